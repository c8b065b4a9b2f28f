// SPDX-License-Identifier: GPL-2.0-only
/*
 * Callers at the limit of their memory cgroup, which is set anew all the time: they are told
 * ENOMEM, or killed. Their owner and two other callers are in no such group, and do not notice.
 */
#include <signal.h>
#include <sys/stat.h>
#include "endurance.h"

#define GROUP		"/sys/fs/cgroup/upcall_endurance"
#define EVENTS		GROUP "/memory.events"
#define LIMITED		4
#define OTHERS		2
#define MIB		(1U << 20)

struct shared {
	bool stop;
	uint64_t handle;
	uint64_t served;	/* by the owner */
	uint64_t no_memory;	/* ENOMEM, to the limited or, for their replies, to the owner */
	uint64_t answered[OTHERS];
	uint64_t wrong;
};

static struct shared *shared;

static void count(uint64_t *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

static bool stopped(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE);
}

/* Never written to: as an argument or a reply it takes no memory of its own to speak of. */
static const char zeros[MIB];

/* A reply as long as its caller takes it; where that one has no memory for it, a short one. */
static void answer(int fd, const struct upcall_event_call *call)
{
	int err;

	if (call->flags & UPCALL_CALL_ONEWAY) {
		err = reply(fd, call->call, 0, NULL, 0);
	} else {
		err = reply(fd, call->call, call->op, zeros, call->reply_max);
		if (err == -ENOMEM) {
			count(&shared->no_memory);
			err = reply(fd, call->call, call->op, NULL, 0);
		}
	}
	if (err && err != -ENOENT)
		count(&shared->wrong);
}

static int owner(void *unused)
{
	struct upcall_register args = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE);
	static char buf[2 * MIB] __attribute__((aligned(8)));
	struct upcall_event *event;
	struct upcall_exchange out;
	int fd = peer_open(), err;
	uint32_t at;

	(void)unused;
	if (verb(fd, UPCALL_IOC_REGISTER, &args))
		return 1;
	__atomic_store_n(&shared->handle, args.handle, __ATOMIC_RELEASE);
	for (;;) {	/* until it is killed */
		err = receive(fd, buf, sizeof(buf), 4, 0, &out);
		if (err)
			continue;	/* ETIMEDOUT; a faulted batch would come again */
		for (at = 0; at < out.events_used; at += event->size) {
			event = (struct upcall_event *)(buf + at);
			if (event->type != UPCALL_EVENT_CALL)
				continue;
			answer(fd, (struct upcall_event_call *)event);
			count(&shared->served);
		}
	}
}

/* Of the same uid as the limited ones, who leave enough of its quota. */
static int other(void *answered)
{
	char back[200];
	int fd = peer_open(), err;
	struct upcall_invoke inv;
	uint32_t op = 0;

	while (!stopped()) {
		op++;
		inv = INVOKE_ARGS(shared->handle, .op = op, .reply = ptr64(back),
				  .reply_room = sizeof(back), .reply_max = sizeof(back),
				  .arg = ptr64(zeros), .arg_len = draw() % 20000,
				  .flags = UPCALL_INVOKE_WAIT_ROOM, .deadline_ns = in_ms(SOON_MS));
		err = verb(fd, UPCALL_IOC_INVOKE, &inv);
		if (err || inv.status != op || inv.reply_len != sizeof(back))
			count(&shared->wrong);
		else
			count(answered);
		usleep(draw() % 2000);
	}
	return 0;
}

static int limited(void *unused)
{
	static char back[MIB];
	struct upcall_invoke inv;
	char text[16];
	int fd, err;

	(void)unused;
	snprintf(text, sizeof(text), "%d", getpid());
	if (!write_to(GROUP "/cgroup.procs", text) || !write_to("/proc/self/oom_score_adj", "1000"))
		count(&shared->wrong);
	fd = peer_open();
	while (!stopped()) {
		inv = INVOKE_ARGS(shared->handle, .arg = ptr64(zeros), .arg_len = draw() % MIB,
				  .flags = UPCALL_INVOKE_WAIT_ROOM, .deadline_ns = in_ms(SOON_MS));
		if (draw() % 2) {
			inv.flags |= UPCALL_INVOKE_ONEWAY;
		} else {
			inv.reply = ptr64(back);
			inv.reply_room = inv.reply_max = draw() % MIB;
		}
		err = verb(fd, UPCALL_IOC_INVOKE, &inv);
		if (err == -ENOMEM)
			count(&shared->no_memory);
		else if (err && err != -ETIMEDOUT && err != -EDQUOT)
			count(&shared->wrong);
	}
	return 0;
}

static void set_limit(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)(MIB << draw() % 6));
	write_to(GROUP "/memory.max", text);
}

/* Those of the group that were killed come again; anybody else must not end. */
static int replace_dead(pid_t *pids, pid_t *outside, int others)
{
	int i, status, bad = 0;

	for (i = 0; i < LIMITED; i++) {
		if (waitpid(pids[i], &status, WNOHANG) != pids[i])
			continue;
		bad += !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
		pids[i] = spawn(limited, NULL);
	}
	for (i = 0; i < others; i++)
		bad += waitpid(outside[i], &status, WNOHANG) == outside[i];
	return bad;
}

static void play(uint64_t seconds, struct flat *flat)
{
	uint64_t end = now_ns() + seconds * NS_PER_S, next = now_ns();
	pid_t pids[LIMITED], outside[1 + OTHERS];
	int i, bad = 0;

	memset(shared, 0, sizeof(*shared));
	outside[0] = spawn(owner, NULL);
	if (!check(eventually(__atomic_load_n(&shared->handle, __ATOMIC_ACQUIRE)), "memory: an owner"))
		return;
	for (i = 0; i < OTHERS; i++)
		outside[1 + i] = spawn(other, &shared->answered[i]);
	for (i = 0; i < LIMITED; i++)
		pids[i] = spawn(limited, NULL);
	while (now_ns() < end && !bad) {
		set_limit();
		usleep(between(1000, 50000));
		bad = replace_dead(pids, outside, 1 + OTHERS);
		if (now_ns() < next)
			continue;
		next = now_ns() + 10 * NS_PER_S;
		tell("memory: %llu served, %llu times no memory, %ld killed for it",
		     (unsigned long long)shared->served, (unsigned long long)shared->no_memory,
		     number_of(EVENTS, "oom_kill "));
	}
	write_to(GROUP "/memory.max", "max");
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < OTHERS; i++)
		bad += reap(outside[1 + i]) != 0;
	for (i = 0; i < LIMITED; i++)
		reap(pids[i]);
	kill(outside[0], SIGKILL);
	reap(outside[0]);
	check(!bad, "memory: only those of the group were killed");
	flat_sample(flat, "memory");
}

void part_memory(uint64_t seconds)
{
	uint64_t no_memory = 0, wrong = 0, answered = 0;
	static struct flat flat;
	long killed;
	int i, round;

	if (mkdir(GROUP, 0755) || access(GROUP "/memory.max", W_OK)) {
		check(false, "memory: there are no memory cgroups (v2) here");
		return;
	}
	shared = shared_alloc(sizeof(*shared));
	for (round = 0; round < 4; round++) {
		play(seconds / 4 ?: 1, &flat);
		no_memory += shared->no_memory;
		wrong += shared->wrong;
		for (i = 0; i < OTHERS; i++)
			answered += shared->answered[i];
	}
	killed = number_of(EVENTS, "oom_kill ");
	check(no_memory + killed > 0, "memory: ENOMEM %llu times, and %ld killed for want of it",
	      (unsigned long long)no_memory, killed);
	check(!wrong && answered, "memory: %llu calls of others were answered, %llu not as they should",
	      (unsigned long long)answered, (unsigned long long)wrong);
	check(eventually(nothing_is_owed()), "memory: nothing is owed");
	check(eventually(!rmdir(GROUP) || errno == ENOENT), "memory: the group is empty");
	flat_judge(&flat, "memory");
}
