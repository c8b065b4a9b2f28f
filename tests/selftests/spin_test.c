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
#define PARAMETER	"/sys/module/upcall/parameters/spin_us"

/* What the server is told, and tells. */
struct shared {
	int cpu;
	uint64_t handle;
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

static bool server_start(struct shared *shared, pid_t *server, int cpu)
{
	shared->cpu = cpu;
	*server = spawn(serve, shared);
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

/*
 * Not each time: what are processors here may be threads of a busy machine. Without spinning
 * all calls sleep, time and again.
 */
TEST_F(spin, caller_of_a_server_on_another_processor_does_not_sleep)
{
	long n = CALLS;

	if (preempt_rt())
		SKIP_TEST("nobody spins under PREEMPT_RT");
	ASSERT_TRUE(server_start(self->shared, &self->server, 1));
	ASSERT_TRUE(spin_for(1000));
	EXPECT_TRUE(eventually((n = sleeps_of_calls(self->fd, self->shared->handle)) <
			       MOST));
	EXPECT_LE(0, n);
}

TEST_F(spin, nobody_spins_for_0_microseconds_or_under_preempt_rt)
{
	ASSERT_TRUE(server_start(self->shared, &self->server, 1));
	ASSERT_TRUE(spin_for(preempt_rt() ? 1000 : 0));
	EXPECT_TRUE(eventually(sleeps_of_calls(self->fd, self->shared->handle) >
			       MOST));
}

/* Microseconds of processor time that CALLS calls take their caller; -1: one failed. */
static long time_of_calls(int fd, uint64_t handle)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
	if (sleeps_of_calls(fd, handle) < 0)
		return -1;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	return (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000;
}

/* Each call would take 1000 us, for which it keeps its server from running. */
TEST_F(spin, caller_of_a_server_on_its_own_processor_does_not_spin)
{
	long us = -1;

	if (preempt_rt())
		SKIP_TEST("nobody spins under PREEMPT_RT");
	ASSERT_TRUE(server_start(self->shared, &self->server, 0));
	ASSERT_TRUE(spin_for(1000));
	EXPECT_TRUE(eventually((us = time_of_calls(self->fd, self->shared->handle)) <
			       CALLS * 1000 / 2));
	EXPECT_LE(0, us);
}

/* The next calls find it at work elsewhere, and then asleep: nothing is lost in between. */
TEST_F(spin, server_that_stops_and_goes_on_answers_each_call)
{
	ASSERT_TRUE(server_start(self->shared, &self->server, 1));
	ASSERT_TRUE(spin_for(1000));
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
