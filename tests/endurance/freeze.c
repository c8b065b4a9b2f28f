// SPDX-License-Identifier: GPL-2.0-only
/*
 * An owner and its callers are frozen and stopped, wherever they are: by SIGSTOP, by the
 * freezer of cgroups v2, by that of v1, which leaves them asleep where they are, and by that of the
 * whole machine, as before a suspend. When they go on, every call is answered, once.
 */
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "endurance.h"

#define V1		"/tmp/upcall_endurance"
#define V2		"/sys/fs/cgroup/upcall_endurance"
#define CALLERS		4
#define SIDES		(1 + CALLERS)	/* the owner first */
#define THREADS		2		/* of the owner */
#define MAX_CALLS	(1U << 22)

struct shared {
	bool stop;
	uint64_t handle;
	uint32_t calls;			/* numbers given out */
	uint64_t answered[CALLERS];
	uint64_t expired;		/* of those, by their deadline */
	uint64_t wrong;
	uint8_t runs[MAX_CALLS];	/* how often a call ran, by its number */
	uint8_t ends[MAX_CALLS];	/* how often it was answered */
};

static struct shared *shared;

static bool stopped(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE);
}

static void complain(const char *what, long value)
{
	if (__atomic_add_fetch(&shared->wrong, 1, __ATOMIC_RELAXED) <= 10)
		tell("freeze: %s: %ld", what, value);
}

/* --- the owner ------------------------------------------------------------------ */

/* What came with it goes back: the argument. */
static void run(int peer, struct upcall_event_call *call)
{
	int err;

	if (call->op < MAX_CALLS &&
	    __atomic_add_fetch(&shared->runs[call->op], 1, __ATOMIC_RELAXED) > 1)
		complain("ran twice", call->op);
	err = reply(peer, call->call, call->op, (char *)call + call->payload_offset,
		    call->payload_len);
	if (err && err != -ENOENT)	/* its deadline has passed */
		complain("reply", err);
}

static void *serve(void *fd)
{
	static __thread char buf[65536] __attribute__((aligned(8)));
	struct upcall_exchange out;
	struct upcall_event *event;
	int peer = *(int *)fd, err;
	uint32_t at;

	for (;;) {
		err = receive(peer, buf, sizeof(buf), 1, 0, &out);
		if (err == -ETIMEDOUT)
			continue;
		if (err)
			return NULL;
		for (at = 0; at < out.events_used; at += event->size) {
			event = (struct upcall_event *)(buf + at);
			if (event->type == UPCALL_EVENT_CALL)	/* else a CANCEL */
				run(peer, (struct upcall_event_call *)event);
		}
	}
}

static int owner(void *unused)
{
	pthread_t threads[THREADS];
	int fd = peer_open(), i;

	(void)unused;
	__atomic_store_n(&shared->handle, register_new(fd, 0, UPCALL_ACCESS_ANYONE),
			 __ATOMIC_RELEASE);
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, serve, &fd);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 1;	/* it is killed in the end */
}

/* --- a caller ------------------------------------------------------------------- */

static char arg[32768], back[32768];

static void ended(uint32_t number, int err, bool same)
{
	if (__atomic_add_fetch(&shared->ends[number], 1, __ATOMIC_RELAXED) > 1)
		complain("answered twice", number);
	if (err == -ETIMEDOUT)
		__atomic_add_fetch(&shared->expired, 1, __ATOMIC_RELAXED);
	else if (err || !same)
		complain("answered wrongly", err);
}

static void invoke(int fd, uint32_t number, uint32_t len, uint64_t deadline)
{
	struct upcall_invoke inv = INVOKE_ARGS(shared->handle, .op = number, .arg = ptr64(arg),
		.arg_len = len, .reply = ptr64(back), .reply_room = len, .reply_max = len,
		.deadline_ns = deadline, .flags = deadline ? 0 : UPCALL_INVOKE_NO_DEADLINE);
	int err = verb(fd, UPCALL_IOC_INVOKE, &inv);

	ended(number, err, inv.status == number && inv.reply_len == len && !memcmp(arg, back, len));
}

/* A CALL, and the wait for its RESULT in the same EXCHANGE. */
static void call(int fd, uint32_t number, uint32_t len, uint64_t deadline)
{
	static char buf[65536] __attribute__((aligned(8)));
	struct upcall_event_result *result = (struct upcall_event_result *)buf;
	struct upcall_command command = {
		.type = UPCALL_COMMAND_CALL, .target = shared->handle, .status = number,
		.data = ptr64(arg), .data_len = len, .reply_max = len, .user_data = number,
		.deadline_ns = deadline, .flags = deadline ? 0 : UPCALL_INVOKE_NO_DEADLINE,
	};
	struct upcall_exchange args = {
		.size = sizeof(args), .flags = UPCALL_EXCHANGE_NO_DEADLINE |
		UPCALL_EXCHANGE_WAIT_COMMAND, .commands = ptr64(&command), .command_count = 1,
		.command_size = sizeof(command), .events = ptr64(buf), .events_len = sizeof(buf),
	};
	int err = verb(fd, UPCALL_IOC_EXCHANGE, &args);

	if (!err && command.error) {
		ended(number, -(int)command.error, true);
		return;
	}
	/* Stopped in the middle: then it is waited for again */
	while (!err && args.wait_error == EINTR) {
		args.flags = UPCALL_EXCHANGE_NO_DEADLINE;
		args.command_count = 0;
		args.wait_call = command.call_id;
		err = verb(fd, UPCALL_IOC_EXCHANGE, &args);
		args.wait_error = err == -EINTR ? EINTR : args.wait_error;
		err = err == -EINTR ? 0 : err;
	}
	if (err || args.event_count != 1 || result->event.type != UPCALL_EVENT_RESULT ||
	    result->event.cookie != number) {
		complain("RESULT", err ?: -(int)args.wait_error);
		return;
	}
	ended(number, -(int)result->error, result->status == number && result->payload_len == len &&
	      !memcmp(arg, buf + result->payload_offset, len));
}

static int caller(void *answered)
{
	uint32_t number, len;
	uint64_t deadline;
	int fd = peer_open();

	while (!stopped()) {
		number = __atomic_fetch_add(&shared->calls, 1, __ATOMIC_RELAXED);
		if (number >= MAX_CALLS)
			return 0;
		len = draw() % 4 ? draw() % 100 : draw() % sizeof(arg);
		memset(arg, number, len);
		deadline = draw() % 8 ? 0 : in_ms(draw() % 50);
		(draw() % 2 ? invoke : call)(fd, number, len, deadline);
		__atomic_add_fetch((uint64_t *)answered, 1, __ATOMIC_RELEASE);
	}
	return 0;
}

/* --- who freezes them ------------------------------------------------------------ */

enum way { STOP, FREEZER_V2, FREEZER_V1, SUSPEND, WAYS };

static const char *const way_names[WAYS] = { "SIGSTOP", "cgroup v2", "cgroup v1", "suspend" };
static bool there[WAYS];
static uint32_t times[WAYS];
static pid_t pids[SIDES];

static bool join(const char *group, const char *file, int side)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "%s%d%s", group, side, file);
	snprintf(text, sizeof(text), "%d", pids[side]);
	return write_to(path, text);
}

static bool groups_make(const char *base, const char *file)
{
	char path[128];
	bool made = true;
	int i;

	for (i = 0; i < SIDES; i++) {
		snprintf(path, sizeof(path), "%s%d", base, i);
		made &= !mkdir(path, 0755) && join(base, file, i);
	}
	return made;
}

static void groups_remove(const char *base)
{
	char path[128];
	int i;

	for (i = 0; i < SIDES; i++) {
		snprintf(path, sizeof(path), "%s%d", base, i);
		eventually(!rmdir(path) || errno == ENOENT);
	}
}

static void ways_find(void)
{
	there[STOP] = true;
	there[FREEZER_V2] = groups_make(V2, "/cgroup.procs");
	mkdir(V1, 0700);
	there[FREEZER_V1] = !mount("none", V1, "cgroup", 0, "freezer") &&
			    groups_make(V1 "/", "/cgroup.procs");
	/* Everybody is frozen, and thawed a second later: nothing else of a suspend is done */
	write_to("/sys/module/suspend/parameters/pm_test_delay", "1");
	there[SUSPEND] = write_to("/sys/power/pm_test", "freezer");
}

static void ways_undo(void)
{
	groups_remove(V2);
	groups_remove(V1 "/");
	umount(V1);
	rmdir(V1);
	write_to("/sys/power/pm_test", "none");
}

static void set_frozen(enum way way, int side, bool frozen)
{
	char path[128];
	bool done = true;

	switch (way) {
	case STOP:
		done = !kill(pids[side], frozen ? SIGSTOP : SIGCONT);
		break;
	case FREEZER_V2:
		snprintf(path, sizeof(path), V2 "%d/cgroup.freeze", side);
		done = write_to(path, frozen ? "1" : "0");
		break;
	case FREEZER_V1:
		snprintf(path, sizeof(path), V1 "/%d/freezer.state", side);
		done = write_to(path, frozen ? "FROZEN" : "THAWED");
		break;
	default:
		if (frozen)
			done = write_to("/sys/power/state", "freeze");
	}
	if (!done)
		complain(way_names[way], -errno);
}

/* The owner, one caller, or both; for a moment. */
static void freeze_somebody(enum way way)
{
	int side = draw() % SIDES;
	bool both = draw() % 4 == 0;

	set_frozen(way, side, true);
	if (both && side)
		set_frozen(way, 0, true);
	usleep(between(0, 60000));
	if (both && side)
		set_frozen(way, 0, false);
	set_frozen(way, side, false);
	times[way]++;
}

/* Every caller has had an answer since. */
static bool all_go_on(void)
{
	uint64_t before[CALLERS];
	bool on = true;
	int i;

	for (i = 0; i < CALLERS; i++)
		before[i] = __atomic_load_n(&shared->answered[i], __ATOMIC_ACQUIRE);
	for (i = 0; i < CALLERS; i++)
		on &= eventually(__atomic_load_n(&shared->answered[i], __ATOMIC_ACQUIRE) >
				 before[i] + 1 || __atomic_load_n(&shared->calls, __ATOMIC_RELAXED) >=
				 MAX_CALLS);
	return on;
}

static uint32_t freezes(void)
{
	uint32_t n = 0;
	int i;

	for (i = 0; i < WAYS; i++)
		n += times[i];
	return n;
}

static bool play(uint64_t end)
{
	uint64_t next = 0, suspend = now_ns() + NS_PER_S;
	bool on = true;
	enum way way;

	while (now_ns() < end && on && shared->calls < MAX_CALLS) {
		if (there[SUSPEND] && now_ns() > suspend) {
			freeze_somebody(SUSPEND);
			suspend = now_ns() + 15 * NS_PER_S;
		}
		way = draw() % SUSPEND;
		if (!there[way])
			continue;
		freeze_somebody(way);
		usleep(between(0, 20000));
		if (freezes() % 32 == 0)
			on = all_go_on();
		if (now_ns() < next)
			continue;
		next = now_ns() + 10 * NS_PER_S;
		tell("freeze: %u times, %u calls", freezes(), shared->calls);
	}
	return on && all_go_on();
}

/* Callers end by themselves once they are told to: each in the middle of nothing. */
static bool all_end(void)
{
	int i, status = 0;
	bool good = true;

	__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
	for (i = 1; i < SIDES; i++)
		good &= eventually(waitpid(pids[i], &status, WNOHANG)) && !status;
	for (i = good ? 0 : 1; !good && i < SIDES; i++)
		kill(pids[i], SIGKILL);
	kill(pids[0], SIGKILL);
	reap(pids[0]);
	return good;
}

void part_freeze(uint64_t seconds)
{
	uint64_t end = now_ns() + seconds * NS_PER_S;
	uint32_t i, calls, unanswered = 0;
	bool on;

	shared = shared_alloc(sizeof(*shared));
	pids[0] = spawn(owner, NULL);
	if (!check(eventually(__atomic_load_n(&shared->handle, __ATOMIC_ACQUIRE)), "freeze: an owner"))
		return;
	for (i = 1; i < SIDES; i++)
		pids[i] = spawn(caller, &shared->answered[i - 1]);
	ways_find();
	on = play(end);
	check(on, "freeze: all go on after %u times (%s %u, %s %u, %s %u, %s %u)", freezes(),
	      way_names[STOP], times[STOP], way_names[FREEZER_V2], times[FREEZER_V2],
	      way_names[FREEZER_V1], times[FREEZER_V1], way_names[SUSPEND], times[SUSPEND]);
	on = all_end();
	ways_undo();
	calls = shared->calls < MAX_CALLS ? shared->calls : MAX_CALLS;
	for (i = 0; i < calls; i++)
		unanswered += !shared->ends[i];
	check(on && !unanswered && !shared->wrong && calls,
	      "freeze: %u calls, of which %llu ended by their deadline; %u without an answer, %llu wrong",
	      calls, (unsigned long long)shared->expired, unanswered, (unsigned long long)shared->wrong);
	check(eventually(nothing_is_owed()), "freeze: nothing is owed");
}
