/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of the ABI: each verb as a function that returns 0 or -errno, an owner or
 * a caller in a process of its own, and a way to wait for a condition that has a deadline
 * and no fixed time.
 */
#ifndef UPCALL_TEST_H
#define UPCALL_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE	/* setresuid(); include this header, or the harness, first */
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/upcall.h>

#ifndef UPCALL_SLOW
#define UPCALL_SLOW	1	/* how many times slower than usual the kernel is */
#endif
#define SOON_MS	(20000 * UPCALL_SLOW)	/* longer than any machine takes: a test that waits so long fails */

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline uint64_t in_ms(uint64_t ms)
{
	return now_ns() + ms * 1000000;
}

/*
 * Waits until COND holds; false: it does not within the time that tests give. What has been true
 * is not asked again: it may be so for a moment only. And it is asked once more when time is up.
 */
#define eventually(cond) ({						\
	uint64_t _until = in_ms(SOON_MS);				\
	bool _late, _true;						\
									\
	for (;;) {							\
		_late = now_ns() >= _until;				\
		_true = (cond);						\
		if (_true || _late)					\
			break;						\
		usleep(1000);						\
	}								\
	_true;								\
})

#define ptr64(p) ((uint64_t)(uintptr_t)(p))

/*
 * In FIXTURE_SETUP, where SKIP(return, ...) would run the test all the same: kselftest of 6.1 asks
 * only whether the fixture failed. 255 is how a test of it says that it was skipped.
 */
#define SKIP_TEST(...) SKIP(_exit(255), __VA_ARGS__)

/* First in a test of what the test double cannot do. */
#ifdef UPCALL_DOUBLE
#include "double_shim.h"
#define IS_DOUBLE 1	/* which knows no stub fds and no successors */
#define MODULE_ONLY(why) SKIP(return, why)
#else
#define IS_DOUBLE 0
#define MODULE_ONLY(why) do { } while (0)

static inline int peer_open(void)
{
	return open("/dev/upcall", O_RDWR | O_CLOEXEC);
}

static inline int verb(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}
#endif

/* What a test says replaces what stands in the two macros below. */
#pragma GCC diagnostic ignored "-Woverride-init"

/* A REGISTER that succeeds; tests change what they are about. */
#define REGISTER_ARGS(...) ((struct upcall_register){			\
	.size = sizeof(struct upcall_register), .label = "test",	\
	.max_arg = UPCALL_MAX_PAYLOAD, .max_queued_calls = 64,		\
	.max_queued_bytes = 64 * (uint64_t)UPCALL_MAX_PAYLOAD, ##__VA_ARGS__ })

/* An INVOKE without argument and deadline; tests change what they are about. */
#define INVOKE_ARGS(_target, ...) ((struct upcall_invoke){		\
	.size = sizeof(struct upcall_invoke), .target = (_target),	\
	.flags = UPCALL_INVOKE_NO_DEADLINE, ##__VA_ARGS__ })

/* A new callback, or 0. */
static inline uint64_t register_new(int fd, uint64_t cookie, uint32_t access)
{
	struct upcall_register args = REGISTER_ARGS(.cookie = cookie, .access = access);

	return verb(fd, UPCALL_IOC_REGISTER, &args) ? 0 : args.handle;
}

static inline int release(int fd, uint64_t handle, uint32_t flags)
{
	struct upcall_release args = { .size = sizeof(args), .handle = handle, .flags = flags };

	return verb(fd, UPCALL_IOC_RELEASE, &args);
}

static inline int shut_down(int fd)
{
	struct upcall_shutdown args = { .size = sizeof(args) };

	return verb(fd, UPCALL_IOC_SHUTDOWN, &args);
}

/* Zeros if it fails. */
static inline struct upcall_stat stat_of(int fd, uint64_t handle)
{
	struct upcall_stat args = { .size = sizeof(args), .handle = handle };

	if (verb(fd, UPCALL_IOC_STAT, &args))
		memset(&args, 0, sizeof(args));
	return args;
}

static inline int command(int fd, struct upcall_command *cmd)
{
	struct upcall_exchange args = {
		.size = sizeof(args),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(cmd),
		.command_count = 1,
		.command_size = sizeof(*cmd),
	};
	int err = verb(fd, UPCALL_IOC_EXCHANGE, &args);

	return err ? err : -(int)cmd->error;
}

/* A command whose deadline is soon, and has not passed when it is carried out, on any machine. */
static inline int command_in_time(int fd, struct upcall_command *cmd)
{
	uint64_t ms;
	int err = -ETIMEDOUT;

	for (ms = 20; err == -ETIMEDOUT && ms < SOON_MS; ms *= 4) {
		cmd->deadline_ns = in_ms(ms);
		err = command(fd, cmd);
	}
	return err;
}

static inline int reply(int fd, uint64_t call, uint32_t status, const void *data, uint32_t len)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_REPLY, .target = call, .status = status,
		.data = ptr64(data), .data_len = len,
	};

	return command(fd, &cmd);
}

static inline int refuse(int fd, uint64_t call, uint32_t err)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_REFUSE, .target = call, .status = err,
	};

	return command(fd, &cmd);
}

static inline int cancel(int fd, uint64_t call_id)
{
	struct upcall_command cmd = { .type = UPCALL_COMMAND_CANCEL, .target = call_id };

	return command(fd, &cmd);
}

/* Receives into @buf until SOON_MS; @max_calls and NONBLOCK as given. 0 or -errno. */
static inline int receive(int fd, void *buf, uint32_t len, uint32_t max_calls, uint32_t flags,
			  struct upcall_exchange *out)
{
	struct upcall_exchange args = {
		.size = sizeof(args),
		.flags = flags,
		.deadline_ns = in_ms(SOON_MS),
		.events = ptr64(buf),
		.events_len = len,
		.max_calls = max_calls,
	};
	int err = verb(fd, UPCALL_IOC_EXCHANGE, &args);

	if (out)
		*out = args;
	return err;
}

/* One event of any kind, with room for a small payload. */
union any_event {
	struct upcall_event event;
	struct upcall_event_call call;
	struct upcall_event_result result;
	struct upcall_event_cancel cancel;
	char bytes[512];
};

/*
 * The next event, whatever it is: its type, or -errno. Events that came in the same batch are
 * kept for the next call by this thread on this peer.
 */
static inline int next_event(int fd, union any_event *event)
{
	static __thread struct {
		int fd;
		uint32_t at, used;
		char buf[65536] __attribute__((aligned(8)));
	} batch;
	struct upcall_exchange out;
	struct upcall_event *head;
	int err;

	if (batch.fd != fd || batch.at >= batch.used) {
		err = receive(fd, batch.buf, sizeof(batch.buf), 1, 0, &out);
		if (err)
			return err;
		batch.fd = fd;
		batch.at = 0;
		batch.used = out.events_used;
	}
	head = (struct upcall_event *)(batch.buf + batch.at);
	memcpy(event, head, head->size < sizeof(*event) ? head->size : sizeof(*event));
	batch.at += head->size;
	return event->event.type;
}

/* The next event must be a CALL: 0, or -errno, or -EPROTO for another event. */
static inline int next_call(int fd, struct upcall_event_call *call)
{
	union any_event event;
	int type = next_event(fd, &event);

	if (type < 0)
		return type;
	*call = event.call;
	return type == UPCALL_EVENT_CALL ? 0 : -EPROTO;
}

/* Runs @fn in a child that dies with its parent; its return value is the exit status. */
static inline pid_t spawn(int (*fn)(void *), void *arg)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	_exit(fn(arg));
}

/* As wait(2) says, or -1. */
static inline int reap(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Memory that survives fork(): what children report. */
static inline void *shared_alloc(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* A caller in a process of its own: what it asks, and what it got. Lives in shared memory. */
struct caller {
	struct upcall_invoke args;	/* [in] what to call; [out] what came of it */
	int ret;			/* [out] 0 or -errno */
	bool done;			/* [out] */
	uid_t uid;			/* [in] who it is; 0: as the test */
	pid_t pid;
};

static inline int caller_main(void *arg)
{
	struct caller *caller = arg;
	int fd;

	if (caller->uid && (setresgid(caller->uid, caller->uid, caller->uid) ||
			    setresuid(caller->uid, caller->uid, caller->uid)))
		return 126;
	fd = peer_open();
	if (fd < 0)
		return 125;
	caller->ret = verb(fd, UPCALL_IOC_INVOKE, &caller->args);
	__atomic_store_n(&caller->done, true, __ATOMIC_RELEASE);
	return 0;
}

/* Calls @handle from another process. The owner's fds should be O_CLOEXEC, or closed there. */
static inline struct caller *caller_start(uint64_t handle)
{
	struct caller *caller = shared_alloc(sizeof(*caller));

	caller->args = INVOKE_ARGS(handle);
	caller->args.reply_max = 4096;
	caller->pid = spawn(caller_main, caller);
	return caller;
}

static inline bool caller_done(struct caller *caller)
{
	return __atomic_load_n(&caller->done, __ATOMIC_ACQUIRE);
}

#endif /* UPCALL_TEST_H */
