// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for a thread on another processor spins for a moment; otherwise, and always under
 * PREEMPT_RT, it sleeps. Each sleep is one voluntary context switch of the caller.
 */
#include "kselftest_harness.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include "upcall_test.h"

#define CALLS		50	/* few: so that both processors run all the while, now and then */
#define MOST		(CALLS * 4 / 5)
#define MAX_US		1000	/* as long as one may spin */
#define PARAMETER	"/sys/module/upcall/parameters/spin_us"

/* What the server is told, and tells. */
struct shared {
	int cpu;
	uint64_t handle;
	uint64_t met;		/* of serve_each(): the handle of the peer that knows its server */
	uint64_t keep_ns;	/* how long it has a call before it answers */
	uint64_t answered_ns;	/* when it has answered the last one */
};

static bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static bool spin_for(unsigned int us)
{
	FILE *file = fopen(PARAMETER, "w");

	return file && fprintf(file, "%u", us) > 0 && !fclose(file);
}

static bool preempt_rt(void)
{
	struct utsname name;

	return !uname(&name) && strstr(name.version, "PREEMPT_RT");
}

/* Replies, and takes the next call in the same system call. */
static int serve(void *arg)
{
	struct shared *shared = arg;
	union any_event event;
	struct upcall_command done = { .type = UPCALL_COMMAND_REPLY };
	struct upcall_exchange args = {
		.size = sizeof(args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(&done), .command_size = sizeof(done),
		.events = ptr64(&event), .events_len = sizeof(event), .max_calls = 1,
	};
	int fd = peer_open();

	if (!run_on(shared->cpu))
		return 1;
	__atomic_store_n(&shared->handle, register_new(fd, 0, UPCALL_ACCESS_ANYONE),
			 __ATOMIC_RELEASE);
	while (!verb(fd, UPCALL_IOC_EXCHANGE, &args)) {
		done.target = event.call.call;
		args.command_count = 1;
	}
	return 1;
}

/* The next call, without sleeping. */
static uint64_t take(int fd)
{
	union any_event event;

	while (receive(fd, &event, sizeof(event), 1, UPCALL_EXCHANGE_NONBLOCK, NULL))
		;
	return event.call.call;
}

/*
 * For each call a new peer, to which no wait has been in vain yet. A notification comes first: who took
 * that is known to serve. It never sleeps, so that whoever waits for it sees it run.
 */
static int serve_each(void *arg)
{
	struct shared *shared = arg;
	uint64_t handle, call, until;
	int fd;

	if (!run_on(shared->cpu))
		return 1;
	for (;;) {
		fd = peer_open();
		handle = register_new(fd, 0, UPCALL_ACCESS_ANYONE);
		__atomic_store_n(&shared->handle, handle, __ATOMIC_RELEASE);
		reply(fd, take(fd), 0, NULL, 0);
		__atomic_store_n(&shared->met, handle, __ATOMIC_RELEASE);
		call = take(fd);
		until = now_ns() + shared->keep_ns;
		while (now_ns() < until)
			;
		reply(fd, call, 0, NULL, 0);
		shared->answered_ns = now_ns();
		close(fd);
	}
}

FIXTURE(spin) {
	struct shared *shared;
	pid_t server;
	int fd;
};

FIXTURE_SETUP(spin)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP_TEST("there is only one processor");
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->fd = peer_open();
	ASSERT_TRUE(run_on(0));
}

FIXTURE_TEARDOWN(spin)
{
	EXPECT_TRUE(spin_for(50));
	kill(self->server, SIGKILL);
	reap(self->server);
}

static bool server_start(struct shared *shared, pid_t *server, int (*fn)(void *), int cpu)
{
	shared->cpu = cpu;
	*server = spawn(fn, shared);
	return eventually(__atomic_load_n(&shared->handle, __ATOMIC_ACQUIRE));
}

static long sleeps(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? -1 : usage.ru_nvcsw;
}

/* How many of CALLS calls their caller sleeps for; -1: one failed. */
static long sleeps_of_calls(int fd, uint64_t handle)
{
	struct upcall_invoke args;
	long before = sleeps();

	for (int i = 0; i < CALLS; i++) {
		args = INVOKE_ARGS(handle);
		if (verb(fd, UPCALL_IOC_INVOKE, &args))
			return -1;
	}
	return sleeps() - before;
}

/* Microseconds of processor time that the calling thread has had. */
static long time_used(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* What one call to serve_each() took its caller. */
struct one {
	long us, sleeps;
	bool soon;	/* it was answered before its caller could have spun to the end */
};

static bool call_once(int fd, struct shared *shared, struct one *one)
{
	uint64_t handle = __atomic_load_n(&shared->handle, __ATOMIC_ACQUIRE), began;
	struct upcall_invoke args = INVOKE_ARGS(handle, .flags = UPCALL_INVOKE_ONEWAY |
						UPCALL_INVOKE_NO_DEADLINE);

	if (verb(fd, UPCALL_IOC_INVOKE, &args) ||
	    !eventually(__atomic_load_n(&shared->met, __ATOMIC_ACQUIRE) == handle))
		return false;
	args = INVOKE_ARGS(handle);
	*one = (struct one){ -time_used(), -sleeps(), false };
	began = now_ns();
	if (verb(fd, UPCALL_IOC_INVOKE, &args))
		return false;
	one->us += time_used();
	one->sleeps += sleeps();
	if (!eventually(__atomic_load_n(&shared->handle, __ATOMIC_ACQUIRE) != handle))
		return false;
	one->soon = shared->answered_ns < began + MAX_US * 1000;
	return true;
}

#define PAIRS	24

/* In how many of PAIRS pairs of calls the one that may be spun for takes its caller longer; -1: failed. */
static int longer_pairs(int fd, struct shared *shared)
{
	struct one without, with;
	int i, n = 0;

	for (i = 0; i < PAIRS; i++) {
		if (!spin_for(0) || !call_once(fd, shared, &without) ||
		    !spin_for(MAX_US) || !call_once(fd, shared, &with))
			return -1;
		n += with.us - without.us > MAX_US / 2;
	}
	return n;
}

/*
 * Its server does not answer so soon, and runs all the while, as its kernel sees it: so the caller spins to
 * the end, whether or not the machine lets both processors run at once. Now and then one of the two is
 * interrupted, or has to wait for the machine, which counts as its own time. Without spinning no call of
 * a pair takes longer but by chance.
 */
TEST_F(spin, caller_of_a_server_on_another_processor_spins)
{
	int n = 0;

	if (preempt_rt())
		SKIP_TEST("nobody spins under PREEMPT_RT");
	self->shared->keep_ns = 3 * MAX_US * 1000;
	ASSERT_TRUE(server_start(self->shared, &self->server, serve_each, 1));
	EXPECT_TRUE(eventually((n = longer_pairs(self->fd, self->shared)) >= PAIRS * 3 / 4 || n < 0));
	EXPECT_LE(0, n);
}

/*
 * Only of those that are answered so soon something is said: where the processors do not run at once there
 * may be none. Without spinning most of them are slept for. With it a few are, where something else wants
 * the processor.
 */
TEST_F(spin, call_that_is_answered_soon_is_not_slept_for)
{
	int i, soon = 0, slept = 0;
	struct one one;

	if (preempt_rt())
		SKIP_TEST("nobody spins under PREEMPT_RT");
	ASSERT_TRUE(server_start(self->shared, &self->server, serve_each, 1));
	ASSERT_TRUE(spin_for(MAX_US));
	for (i = 0; i < 400 && soon < 40; i++) {
		ASSERT_TRUE(call_once(self->fd, self->shared, &one));
		soon += one.soon;
		slept += one.soon && one.sleeps;
	}
	TH_LOG("of %d calls %d were answered soon, and %d of these slept for", i, soon, slept);
	if (soon == 40)
		EXPECT_GT(soon / 2, slept);
}

TEST_F(spin, nobody_spins_for_0_microseconds_or_under_preempt_rt)
{
	ASSERT_TRUE(server_start(self->shared, &self->server, serve, 1));
	ASSERT_TRUE(spin_for(preempt_rt() ? MAX_US : 0));
	EXPECT_TRUE(eventually(sleeps_of_calls(self->fd, self->shared->handle) >
			       MOST));
}

/* Microseconds of processor time that CALLS calls take their caller; -1: one failed. */
static long time_of_calls(int fd, uint64_t handle)
{
	long before = time_used();

	return sleeps_of_calls(fd, handle) < 0 ? -1 : time_used() - before;
}

/* Each call would take MAX_US more than without spinning, for which it keeps its server from running. */
TEST_F(spin, caller_of_a_server_on_its_own_processor_does_not_spin)
{
	long us = -1, without = -1;

	if (preempt_rt())
		SKIP_TEST("nobody spins under PREEMPT_RT");
	ASSERT_TRUE(server_start(self->shared, &self->server, serve, 0));
	EXPECT_TRUE(eventually(spin_for(0) &&
		(without = time_of_calls(self->fd, self->shared->handle)) >= 0 && spin_for(MAX_US) &&
		(us = time_of_calls(self->fd, self->shared->handle)) < without + CALLS * MAX_US / 2));
	EXPECT_LE(0, without);
	EXPECT_LE(0, us);
}

/* The next calls find it at work elsewhere, and then asleep: nothing is lost in between. */
TEST_F(spin, server_that_stops_and_goes_on_answers_each_call)
{
	ASSERT_TRUE(server_start(self->shared, &self->server, serve, 1));
	ASSERT_TRUE(spin_for(MAX_US));
	for (int i = 0; i < 20; i++) {
		ASSERT_LE(0, sleeps_of_calls(self->fd, self->shared->handle));
		kill(self->server, SIGSTOP);
		kill(self->server, SIGCONT);
	}
}

TEST(spin_us_is_0_to_1000)
{
	EXPECT_TRUE(spin_for(0));
	EXPECT_TRUE(spin_for(1000));
	EXPECT_FALSE(spin_for(1001));
	EXPECT_TRUE(spin_for(50));
}

TEST_HARNESS_MAIN
