// SPDX-License-Identifier: GPL-2.0-only
/*
 * One owner of a million callbacks dies, and nobody who wants a processor has to wait for long. On
 * each processor a thread sleeps from tick to tick: it comes back late by as long as the processor
 * was somebody else's.
 */
#include <pthread.h>
#include <sched.h>
#include "endurance.h"

#define MILLION		1000000U
#define TICK_NS		2000000ULL
#define PROCESSORS	64
#define IDLE_S		5
#define WATCHDOG_S	10	/* a processor that is held for twice as long is a soft lockup */
#define DEATH_S		300

struct sampler {
	pthread_t thread;
	int processor;
	uint64_t longest;
};

static struct sampler samplers[PROCESSORS];
static bool stop_sampling;

static void *sample(void *arg)
{
	struct sampler *me = arg;
	uint64_t next = now_ns(), now;
	struct timespec t;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(me->processor, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (!__atomic_load_n(&stop_sampling, __ATOMIC_ACQUIRE)) {
		next += TICK_NS;
		t = (struct timespec){ next / NS_PER_S, next % NS_PER_S };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		now = now_ns();
		if (now - next > __atomic_load_n(&me->longest, __ATOMIC_RELAXED))
			__atomic_store_n(&me->longest, now - next, __ATOMIC_RELAXED);
		next = now;
	}
	return NULL;
}

/* In ms, of any processor, since this was asked last. */
static double longest_ms(int processors)
{
	uint64_t longest = 0, one;
	int i;

	for (i = 0; i < processors; i++) {
		one = __atomic_exchange_n(&samplers[i].longest, 0, __ATOMIC_RELAXED);
		longest = one > longest ? one : longest;
	}
	return (double)longest / 1000000;
}

static int owner(void *count)
{
	uint32_t *registered = count;
	int fd = peer_open();

	while (*registered < MILLION && register_new(fd, 0, UPCALL_ACCESS_ANYONE))
		__atomic_add_fetch(registered, 1, __ATOMIC_RELEASE);
	if (*registered == MILLION)
		pause();
	return 1;
}

static uint32_t callbacks(void)
{
	struct upcall_list_user user = { 0 };
	struct upcall_list args = {
		.size = sizeof(args), .what = UPCALL_LIST_USERS, .record_size = sizeof(user),
		.buffer = ptr64(&user), .buffer_len = sizeof(user),
	};
	int fd = peer_open();

	if (verb(fd, UPCALL_IOC_LIST, &args))
		user.callbacks = -1;
	close(fd);
	return user.callbacks;
}

static void die(int processors, double idle_ms)
{
	uint32_t *registered = shared_alloc(sizeof(*registered));
	pid_t pid = spawn(owner, registered);
	uint64_t begin = now_ns(), end;
	double alive_ms, dying_ms;

	while (__atomic_load_n(registered, __ATOMIC_ACQUIRE) < MILLION &&
	       !waitpid(pid, NULL, WNOHANG))
		usleep(100000);
	if (!check(*registered == MILLION, "million: %u callbacks of one owner", *registered))
		return;
	alive_ms = longest_ms(processors);
	tell("million: registered in %.1f s", (double)(now_ns() - begin) / NS_PER_S);

	begin = now_ns();
	end = begin + DEATH_S * NS_PER_S;
	kill(pid, SIGKILL);
	reap(pid);
	while (callbacks() && now_ns() < end)
		usleep(10000);
	dying_ms = longest_ms(processors);
	check(!callbacks(), "million: they are gone %.1f s after their owner was killed",
	      (double)(now_ns() - begin) / NS_PER_S);
	check(dying_ms < WATCHDOG_S * 1000,
	      "million: no processor of %d was held for longer than %.0f ms (idle %.0f, registering %.0f)",
	      processors, dying_ms, idle_ms, alive_ms);
}

void part_million(uint64_t seconds)
{
	int i, processors = sysconf(_SC_NPROCESSORS_ONLN);
	char text[16];
	double idle_ms;

	(void)seconds;
	processors = processors < PROCESSORS ? processors : PROCESSORS;
	snprintf(text, sizeof(text), "%d", WATCHDOG_S);
	write_to("/proc/sys/kernel/watchdog_thresh", text);
	for (i = 0; i < processors; i++) {
		samplers[i].processor = i;
		pthread_create(&samplers[i].thread, NULL, sample, &samplers[i]);
	}
	sleep(IDLE_S);
	idle_ms = longest_ms(processors);
	die(processors, idle_ms);
	__atomic_store_n(&stop_sampling, true, __ATOMIC_RELEASE);
	for (i = 0; i < processors; i++)
		pthread_join(samplers[i].thread, NULL);
	check(eventually(nothing_is_owed()), "million: nothing is owed");
}
