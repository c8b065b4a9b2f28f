/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of several processes: a puppet is a process that does what the test tells
 * it to, one order after the other, so that a test reads from top to bottom whoever acts.
 * And what LIST and /proc say of others, to wait for.
 */
#ifndef PUPPET_H
#define PUPPET_H

#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "upcall_test.h"

#define ALICE	1000
#define BOB	1001
#define CAROL	1002

/* Nobody is to notice a death later than this; far below the deadline of the calls. */
#define PROMPT_MS	(SOON_MS / 4)

/* What a test and its puppet share: orders take from here, and leave results here. */
struct puppet_mem {
	struct upcall_register reg;
	struct upcall_invoke inv;
	struct upcall_exchange exch;
	union any_event event;
	struct upcall_stat stat;
	uint64_t handle;
	uint64_t value;
	uint32_t caught;	/* signals that its handler has seen */
	int result;
	char buf[65536] __attribute__((aligned(8)));
};

struct puppet {
	pid_t pid;
	int sock;
	struct puppet_mem *mem;
};

typedef int (*puppet_fn)(struct puppet_mem *mem);

/* The peer of this process: of a puppet, or of the test itself. */
static int my_peer = -1;
static struct puppet_mem *my_mem;

static inline int stay_mortal(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static inline int puppet_main(void *arg)
{
	struct puppet *puppet = arg;
	ssize_t len;
	puppet_fn fn;
	int ret;

	dup2(puppet->sock, 3);
	syscall(SYS_close_range, 4, ~0U, 0);	/* else it would keep others' peers open */
	my_mem = puppet->mem;
	my_peer = peer_open();
	for (;;) {
		len = read(3, &fn, sizeof(fn));
		if (len < 0 && errno == EINTR)
			continue;
		if (len != sizeof(fn))
			return 0;
		ret = fn(my_mem);
		if (write(3, &ret, sizeof(ret)) != sizeof(ret))
			return 0;
	}
}

/* Like spawn(), also into another pid namespace, where our own pid is not known. */
static inline pid_t spawn_anywhere(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	stay_mortal();
	_exit(fn(arg));
}

static inline struct puppet puppet_make(pid_t (*start)(int (*)(void *), void *))
{
	struct puppet puppet = { .mem = shared_alloc(sizeof(*puppet.mem)) };
	int pair[2] = { -1, -1 };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		abort();
	puppet.sock = pair[1];
	puppet.pid = start(puppet_main, &puppet);
	puppet.sock = pair[0];
	close(pair[1]);
	return puppet;
}

/* A process with an open peer that is not bound yet. */
static inline struct puppet puppet_new(void)
{
	return puppet_make(spawn);
}

static inline void puppet_start(struct puppet *puppet, puppet_fn fn)
{
	if (send(puppet->sock, &fn, sizeof(fn), MSG_NOSIGNAL) != sizeof(fn))
		perror("puppet_start");
}

static inline bool puppet_done(struct puppet *puppet)
{
	struct pollfd pollfd = { .fd = puppet->sock, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

/* What the order returned; -ETIME: nothing until SOON_MS, -EPIPE: it is dead. */
static inline int puppet_wait(struct puppet *puppet)
{
	struct pollfd pollfd = { .fd = puppet->sock, .events = POLLIN };
	int ret;

	if (poll(&pollfd, 1, SOON_MS) != 1)
		return -ETIME;
	return read(puppet->sock, &ret, sizeof(ret)) == sizeof(ret) ? ret : -EPIPE;
}

static inline int puppet_do(struct puppet *puppet, puppet_fn fn)
{
	puppet_start(puppet, fn);
	return puppet_wait(puppet);
}

/* Its wait status. */
static inline int puppet_kill(struct puppet *puppet, int sig)
{
	kill(puppet->pid, sig);
	return reap(puppet->pid);
}

/* --- orders ------------------------------------------------------------------- */

/* @mem->value: a uid, and the gid of the same number; no other groups. */
static inline int become(struct puppet_mem *mem)
{
	if (setgroups(0, NULL) || setresgid(mem->value, mem->value, mem->value) ||
	    setresuid(mem->value, mem->value, mem->value))
		return -errno;
	/* It may still write its /proc/self/uid_map. */
	return prctl(PR_SET_DUMPABLE, 1) || stay_mortal() ? -errno : 0;
}

static inline bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

static inline int stay(void *arg)
{
	(void)arg;
	while (pause())
		;
	return 0;
}

/* @mem->result: a process that has the same memory, and files of its own. */
static inline int share_memory(struct puppet_mem *mem)
{
	static char child_stack[65536] __attribute__((aligned(16)));

	mem->result = clone(stay, child_stack + sizeof(child_stack), CLONE_VM, NULL);
	return mem->result < 0 ? -errno : 0;
}

/* A user namespace of one's own, where one is root. */
static inline int enter_user_ns(struct puppet_mem *mem)
{
	char uids[32], gids[32];

	(void)mem;
	snprintf(uids, sizeof(uids), "0 %u 1", geteuid());
	snprintf(gids, sizeof(gids), "0 %u 1", getegid());
	if (unshare(CLONE_NEWUSER))
		return -errno;
	if (!write_to("/proc/self/setgroups", "deny") || !write_to("/proc/self/uid_map", uids) ||
	    !write_to("/proc/self/gid_map", gids))
		return -EIO;
	return stay_mortal();
}

static inline int do_register(struct puppet_mem *mem)
{
	int err = verb(my_peer, UPCALL_IOC_REGISTER, &mem->reg);

	mem->handle = err ? 0 : mem->reg.handle;
	return err;
}

static inline int do_invoke(struct puppet_mem *mem)
{
	return verb(my_peer, UPCALL_IOC_INVOKE, &mem->inv);
}

static inline int do_receive(struct puppet_mem *mem)
{
	return next_event(my_peer, &mem->event);
}

/* The call of the last event, with status @mem->value. */
static inline int do_reply(struct puppet_mem *mem)
{
	return reply(my_peer, mem->event.call.call, mem->value, NULL, 0);
}

static inline int do_cancel(struct puppet_mem *mem)
{
	return cancel(my_peer, mem->inv.call_id);
}

static inline int do_stat(struct puppet_mem *mem)
{
	mem->stat = (struct upcall_stat){ .size = sizeof(mem->stat), .handle = mem->handle };
	return verb(my_peer, UPCALL_IOC_STAT, &mem->stat);
}

static inline int do_close(struct puppet_mem *mem)
{
	(void)mem;
	return close(my_peer) ? -errno : 0;
}

static inline int do_shutdown(struct puppet_mem *mem)
{
	(void)mem;
	return shut_down(my_peer);
}

static inline int do_exit(struct puppet_mem *mem)
{
	_exit(mem->value);
}

static inline void note_signal(int sig)
{
	(void)sig;
	__atomic_add_fetch(&my_mem->caught, 1, __ATOMIC_RELEASE);
}

/* SIGUSR1 has a handler; @mem->value: its SA_ flags. */
static inline int do_catch(struct puppet_mem *mem)
{
	struct sigaction action = { .sa_handler = note_signal, .sa_flags = mem->value };

	return sigaction(SIGUSR1, &action, NULL) ? -errno : 0;
}

/* --- the usual orders, in one line each ------------------------------------------ */

static inline struct puppet puppet_of(uid_t uid)
{
	struct puppet puppet = puppet_new();

	puppet.mem->value = uid;
	if (uid && puppet_do(&puppet, become))
		puppet.mem->value = -1;
	return puppet;
}

/* A handle, or 0. */
static inline uint64_t puppet_register(struct puppet *puppet, uint32_t access)
{
	puppet->mem->reg = REGISTER_ARGS(.access = access);
	puppet_do(puppet, do_register);
	return puppet->mem->handle;
}

/* Begins a call without deadline that accepts replies into @mem->buf. */
static inline void puppet_call_start(struct puppet *puppet, uint64_t handle)
{
	puppet->mem->inv = INVOKE_ARGS(handle, .reply = ptr64(puppet->mem->buf),
				       .reply_room = 4096, .reply_max = 4096);
	puppet_start(puppet, do_invoke);
}

static inline int puppet_call(struct puppet *puppet, uint64_t handle)
{
	puppet_call_start(puppet, handle);
	return puppet_wait(puppet);
}

static inline int puppet_notify(struct puppet *puppet, uint64_t handle)
{
	puppet->mem->inv = INVOKE_ARGS(handle, .flags = UPCALL_INVOKE_ONEWAY |
				       UPCALL_INVOKE_NO_DEADLINE);
	return puppet_do(puppet, do_invoke);
}

static inline int puppet_reply(struct puppet *puppet, uint32_t status)
{
	puppet->mem->value = status;
	return puppet_do(puppet, do_reply);
}

static inline int puppet_catch(struct puppet *puppet, int sa_flags)
{
	puppet->mem->value = sa_flags;
	return puppet_do(puppet, do_catch);
}

static inline struct upcall_stat puppet_stat(struct puppet *puppet, uint64_t handle)
{
	puppet->mem->handle = handle;
	if (puppet_do(puppet, do_stat))
		memset(&puppet->mem->stat, 0, sizeof(puppet->mem->stat));
	return puppet->mem->stat;
}

static inline uint32_t puppet_caught(struct puppet *puppet)
{
	return __atomic_load_n(&puppet->mem->caught, __ATOMIC_ACQUIRE);
}

/* --- threads ----------------------------------------------------------------------- */

/* Two threads go on from here at once. @met: 0 before. */
static inline void meet(int *met)
{
	__atomic_add_fetch(met, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(met, __ATOMIC_ACQUIRE) < 2)
		sched_yield();
}

/* --- what others see --------------------------------------------------------------- */

/* All records of a kind, as @fd's process sees them; at most @room. */
static inline uint32_t list_all(int fd, uint32_t what, uint32_t record_size, void *to, uint32_t room)
{
	struct upcall_list args = {
		.size = sizeof(args), .what = what, .record_size = record_size,
	};
	uint32_t n = 0;

	do {
		args.buffer = ptr64((char *)to + n * record_size);
		args.buffer_len = (room - n) * record_size;
		if (verb(fd, UPCALL_IOC_LIST, &args))
			break;
		n += args.count;
	} while (args.count && n < room);
	return n;
}

/* Zeros if it is not listed. */
static inline struct upcall_list_callback listed_callback(int fd, uint64_t handle)
{
	static struct upcall_list_callback all[4096];
	uint32_t n = list_all(fd, UPCALL_LIST_CALLBACKS, sizeof(all[0]), all, 4096), i;

	for (i = 0; i < n; i++) {
		if (all[i].handle == handle)
			return all[i];
	}
	return (struct upcall_list_callback){ 0 };
}

static inline struct upcall_list_peer listed_peer(int fd, pid_t pid)
{
	static struct upcall_list_peer all[512];
	uint32_t n = list_all(fd, UPCALL_LIST_PEERS, sizeof(all[0]), all, 512), i;

	for (i = 0; i < n; i++) {
		if (all[i].pid == (uint32_t)pid)
			return all[i];
	}
	return (struct upcall_list_peer){ 0 };
}

static inline struct upcall_list_user listed_user(int fd, uid_t uid, uint32_t depth)
{
	static struct upcall_list_user all[512];
	uint32_t n = list_all(fd, UPCALL_LIST_USERS, sizeof(all[0]), all, 512), i;

	for (i = 0; i < n; i++) {
		if (all[i].uid == uid && all[i].depth == depth)
			return all[i];
	}
	return (struct upcall_list_user){ 0 };
}

/* As they are charged for: also of processes that are dying. */
static inline uint32_t callbacks_of_all(int fd)
{
	static struct upcall_list_user all[512];
	uint32_t n = list_all(fd, UPCALL_LIST_USERS, sizeof(all[0]), all, 512), i, sum = 0;

	for (i = 0; i < n; i++)
		sum += all[i].depth ? 0 : all[i].callbacks;
	return sum;
}

static inline bool user_owes_nothing(int fd, uid_t uid)
{
	struct upcall_list_user user = listed_user(fd, uid, 0);

	return !user.callbacks && !user.queued_calls && !user.queued_bytes;
}

/* One letter: R running, S sleeping, D killable only, T stopped, t traced, ... */
static inline char task_state(pid_t tid)
{
	char path[64], line[512], *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return end ? end[2] : 0;
}

/* Field 22 of its stat: the 20th behind the name. */
static inline uint64_t start_time_of(pid_t pid)
{
	char path[64], line[1024] = "", *at;
	FILE *file;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	at = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	for (i = 0; at && i < 20; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

/* Whether a thread is blocked within ioctl(2). */
static inline bool sleeps_in_ioctl(pid_t tid)
{
	char path[64];
	int nr = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fscanf(file, "%d", &nr) != 1)
		nr = -1;	/* "running" */
	fclose(file);
	return nr == SYS_ioctl;
}

#endif /* PUPPET_H */
