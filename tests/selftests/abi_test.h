/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the ABI share beyond upcall_test.h: an owner and a caller that are peers of
 * the test itself, calls made by a thread, memory that faults, and every verb in one table.
 */
#ifndef ABI_TEST_H
#define ABI_TEST_H

#include "kselftest_harness.h"
#include <pthread.h>
#include <stddef.h>
#include "upcall_test.h"

#define COOKIE		0xc00c1ec00c1eULL
#define NO_HANDLE	0x12345678ULL	/* generation 0: never issued */
#define PAGE		4096UL
#define POISON		0xa5
#define POISON32	0xa5a5a5a5U
#define NOBODY		1000		/* a uid and gid that is nobody's here */
#define A_MOMENT_MS	(500 * UPCALL_SLOW)	/* a deadline that has not passed when its call is queued */
#define SHORT_MS	50		/* the first of deadlines that are tried, each longer than the last */
#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))

/* --- calls by a thread ----------------------------------------------------- */

struct async {
	struct upcall_invoke args;
	int fd;
	int ret;
	bool done;
	pthread_t thread;
};

static inline void *async_main(void *arg)
{
	struct async *async = arg;

	async->ret = verb(async->fd, UPCALL_IOC_INVOKE, &async->args);
	__atomic_store_n(&async->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* [out] members: what the kernel does not write will be seen. */
static inline void poison_out(struct upcall_invoke *args)
{
	size_t out = offsetof(struct upcall_invoke, stage);

	memset((char *)args + out, POISON, sizeof(*args) - out);
}

static inline int async_start(struct async *async, int fd, struct upcall_invoke args)
{
	async->args = args;
	poison_out(&async->args);
	async->fd = fd;
	async->done = false;
	return -pthread_create(&async->thread, NULL, async_main, async);
}

static inline int async_join(struct async *async)
{
	pthread_join(async->thread, NULL);
	return async->ret;
}

static inline bool async_done(struct async *async)
{
	return __atomic_load_n(&async->done, __ATOMIC_ACQUIRE);
}

/* A notification: 0 or -errno. */
static inline int notify(int fd, uint64_t handle, const void *arg, uint32_t len)
{
	struct upcall_invoke args = INVOKE_ARGS(handle, .arg = ptr64(arg), .arg_len = len);

	args.flags |= UPCALL_INVOKE_ONEWAY;
	return verb(fd, UPCALL_IOC_INVOKE, &args);
}

/* --- events ---------------------------------------------------------------- */

/*
 * Exactly one event: the buffer grows until that one fits, so that a second one never does.
 * Its type, or -errno.
 */
static inline int one_event(int fd, union any_event *event)
{
	uint32_t len;
	int err = -EMSGSIZE;

	memset(event, POISON, sizeof(*event));
	for (len = sizeof(event->event); err == -EMSGSIZE && len <= sizeof(*event); len += 8)
		err = receive(fd, event, len, 1, 0, NULL);
	return err ? err : (int)event->event.type;
}

static inline int one_call(int fd, struct upcall_event_call *call)
{
	union any_event event;
	int type = one_event(fd, &event);

	if (type < 0)
		return type;
	*call = event.call;
	return type == UPCALL_EVENT_CALL ? 0 : -EPROTO;
}

/* A call, the only event there is, before @deadline_ns; -ETIMEDOUT: there is none by then. */
static inline int call_until(int fd, uint64_t deadline_ns, struct upcall_event_call *call)
{
	union any_event event;
	struct upcall_exchange args = {
		.size = sizeof(args), .deadline_ns = deadline_ns, .events = ptr64(&event),
		.events_len = sizeof(event), .max_calls = 1,
	};
	int err = verb(fd, UPCALL_IOC_EXCHANGE, &args);

	if (err)
		return err;
	*call = event.call;
	return event.event.type == UPCALL_EVENT_CALL ? 0 : -EPROTO;
}

/*
 * A call by a thread that is delivered, and then left by its caller: its deadline is soon, but
 * does not pass before the delivery, on any machine. One that was too short for that has left
 * nothing behind but a number.
 */
static inline int late_call(struct async *async, int caller, int owner, struct upcall_invoke args,
			    struct upcall_event_call *call)
{
	int err = -ETIMEDOUT, ret = -ETIMEDOUT;
	uint64_t ms;

	args.flags &= ~UPCALL_INVOKE_NO_DEADLINE;
	for (ms = SHORT_MS; err == -ETIMEDOUT && ret == err && ms < SOON_MS; ms *= 4) {
		args.deadline_ns = in_ms(ms);
		err = async_start(async, caller, args);
		if (err)
			return err;
		err = call_until(owner, args.deadline_ns, call);
		ret = async_join(async);
	}
	return err ? err : ret == -ETIMEDOUT ? 0 : -EPROTO;
}

/* True if nothing waits to be received. */
static inline bool no_event(int fd)
{
	union any_event event;

	return receive(fd, &event, sizeof(event), 1, UPCALL_EXCHANGE_NONBLOCK, NULL) == -EAGAIN;
}

#define COMMAND(_type, _target, ...) ((struct upcall_command){		\
	.type = UPCALL_COMMAND_##_type, .target = (_target), ##__VA_ARGS__ })

#define EXCHANGE_ARGS(...) ((struct upcall_exchange){			\
	.size = sizeof(struct upcall_exchange),				\
	.flags = UPCALL_EXCHANGE_NO_DEADLINE,				\
	.command_size = sizeof(struct upcall_command), ##__VA_ARGS__ })

/* --- memory ---------------------------------------------------------------- */

static inline char *pages_alloc(size_t count)
{
	return mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
}

static inline int page_allow(char *page, int prot)
{
	return mprotect(page, PAGE, prot);
}

/* Bytes that differ from place to place, and by @seed. */
static inline void fill(void *buf, size_t len, unsigned int seed)
{
	unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (i * 7 + (i >> 8) * 13 + seed) & 0xff;
}

static inline bool filled(const void *buf, size_t len, unsigned int seed)
{
	const unsigned char *p = buf;
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] != ((i * 7 + (i >> 8) * 13 + seed) & 0xff))
			return false;
	}
	return true;
}

static inline bool all_bytes(const void *buf, size_t len, unsigned char byte)
{
	const unsigned char *p = buf;

	while (len && *p == byte)
		p++, len--;
	return !len;
}

/* --- LIST ------------------------------------------------------------------ */

/* Up to @max records of one kind: how many there are, or -errno. */
static inline int list_all(int fd, uint32_t what, void *records, uint32_t record_size, int max)
{
	struct upcall_list args = {
		.size = sizeof(args), .what = what, .record_size = record_size,
		.buffer_len = record_size,
	};
	int n, err;

	for (n = 0; n < max; n++) {
		args.buffer = ptr64((char *)records + (size_t)n * record_size);
		err = verb(fd, UPCALL_IOC_LIST, &args);
		if (err)
			return err;
		if (!args.count)
			break;
	}
	return n;
}

/* What this process's uid has in use; zeros if it has no account. */
static inline struct upcall_list_user usage(int fd)
{
	struct upcall_list_user users[64], none = { 0 };
	int i, n = list_all(fd, UPCALL_LIST_USERS, users, sizeof(users[0]), LENGTH(users));

	for (i = 0; i < n; i++) {
		if (users[i].uid == geteuid() && !users[i].depth)
			return users[i];
	}
	return none;
}

/* How many threads receive, on all peers of this process. */
static inline uint32_t receivers_of(int fd)
{
	struct upcall_list_peer peers[16];
	int i, n = list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 16);
	uint32_t sum = 0;

	for (i = 0; i < n; i++)
		sum += peers[i].receivers;
	return sum;
}

/* Whether nobody, of whatever uid, has anything in use. */
static inline bool all_owe_nothing(int fd)
{
	static struct upcall_list_user users[256];
	int i, n = list_all(fd, UPCALL_LIST_USERS, users, sizeof(users[0]), LENGTH(users));

	for (i = 0; i < n; i++) {
		if (users[i].callbacks || users[i].queued_calls || users[i].queued_bytes ||
		    users[i].fds)
			return false;
	}
	return n >= 0;
}

/*
 * Whether nothing is left of earlier tests: it dies a moment after their processes, and would
 * be counted. A peer may be closed while its callbacks and calls still go, so it is not enough
 * that it is listed no more. Waits less long than eventually(), as a leak would make every test
 * wait.
 */
static inline bool alone(int fd)
{
	struct upcall_list_peer peers[2];
	int i;

	for (i = 0; i < 5000 * UPCALL_SLOW; i++, usleep(1000)) {
		if (list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 2) == 1 &&
		    all_owe_nothing(fd))
			return true;
	}
	return false;
}

/* An owner with one callback, and a caller; both belong to this process. */
FIXTURE(pair) {
	int owner;
	int caller;
	uint64_t handle;
};

FIXTURE_SETUP(pair)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, self->owner);
	ASSERT_LE(0, self->caller);
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(pair)
{
	close(self->owner);
	close(self->caller);
}

/* --- every verb ------------------------------------------------------------ */

union any_args {
	uint32_t head[2];	/* size, flags */
	struct upcall_info info;
	struct upcall_register reg;
	struct upcall_rebind rebind;
	struct upcall_release release;
	struct upcall_stat stat;
	struct upcall_list list;
	struct upcall_invoke invoke;
	struct upcall_exchange exchange;
	struct upcall_shutdown shutdown;
	struct upcall_export export;
	char bytes[2 * PAGE];
};

static const struct any_verb {
	unsigned long cmd;
	uint32_t size;
} any_verbs[] = {
	{ UPCALL_IOC_INFO, sizeof(struct upcall_info) },
	{ UPCALL_IOC_REGISTER, sizeof(struct upcall_register) },
	{ UPCALL_IOC_REBIND, sizeof(struct upcall_rebind) },
	{ UPCALL_IOC_STAT, sizeof(struct upcall_stat) },
	{ UPCALL_IOC_LIST, sizeof(struct upcall_list) },
#if !IS_DOUBLE
	{ UPCALL_IOC_EXPORT, sizeof(struct upcall_export) },
#endif
	{ UPCALL_IOC_INVOKE, sizeof(struct upcall_invoke) },
	{ UPCALL_IOC_EXCHANGE, sizeof(struct upcall_exchange) },
	{ UPCALL_IOC_RELEASE, sizeof(struct upcall_release) },
	{ UPCALL_IOC_SHUTDOWN, sizeof(struct upcall_shutdown) },
};

static char any_list_buffer[4096];

/* Arguments with which that verb succeeds, if @handle is a callback of the peer. */
static inline void any_args_fill(union any_args *args, unsigned long cmd, uint64_t handle)
{
	memset(args, 0, sizeof(*args));
	switch (cmd) {
	case UPCALL_IOC_REGISTER:
		args->reg = REGISTER_ARGS();
		break;
	case UPCALL_IOC_REBIND:
		args->rebind.handle = handle;
		break;
	case UPCALL_IOC_STAT:
		args->stat.handle = handle;
		break;
	case UPCALL_IOC_LIST:
		args->list.what = UPCALL_LIST_CALLBACKS;
		args->list.record_size = sizeof(struct upcall_list_callback);
		args->list.buffer = ptr64(any_list_buffer);
		args->list.buffer_len = sizeof(any_list_buffer);
		break;
	case UPCALL_IOC_INVOKE:
		args->invoke = INVOKE_ARGS(handle);
		args->invoke.flags |= UPCALL_INVOKE_ONEWAY;
		break;
	case UPCALL_IOC_EXPORT:
		args->export.handle = handle;
		break;
	case UPCALL_IOC_RELEASE:
		args->release.handle = handle;
		break;
	}
	for (size_t i = 0; i < LENGTH(any_verbs); i++) {
		if (any_verbs[i].cmd == cmd)
			args->head[0] = any_verbs[i].size;
	}
}

#endif /* ABI_TEST_H */
