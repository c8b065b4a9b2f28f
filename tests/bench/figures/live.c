// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many live handles: what a call costs beside them, what memory each takes, and what it takes
 * to end them with their owner.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "../bench.h"
#include "../upcall.h"

#define FIRST_UID	20000
#define HOLDERS		64
#define TICK_NS		1000000

extern const struct way way_invoke;

/* In shared memory. */
static uint64_t *registered;
static pid_t holders[HOLDERS];
static unsigned int holder_count;

/* A process of a user of its own, who registers @count or as many as it is granted. */
static void hold(uint32_t uid, uint64_t count)
{
	struct upcall_register reg = {
		.size = sizeof(reg), .max_queued_calls = 1, .label = "held",
	};
	int fd, ready[2];
	char byte;
	pid_t pid;

	must(pipe(ready));
	pid = fork();
	must(pid);
	if (pid == 0) {
		close(ready[0]);
		must(setresuid(uid, uid, uid));
		fd = peer_open();
		while (count-- && ioctl(fd, UPCALL_IOC_REGISTER, &reg) == 0)
			++*registered;
		close(ready[1]);
		pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 0)
		fail("a holder");
	close(ready[0]);
	holders[holder_count++] = pid;
}

/* One uid has at most 2^20, and at most half of what is left. */
static void hold_until(uint64_t count)
{
	uint64_t before;

	do {
		before = *registered;
		if (holder_count == HOLDERS)
			break;
		hold(FIRST_UID + holder_count, count - before);
	} while (*registered < count && *registered > before);
	if (*registered < count) {
		errno = EDQUOT;
		fail("handles");
	}
}

/* How many callbacks count against @uid. */
static uint32_t callbacks_of(int fd, uint32_t uid)
{
	struct upcall_list_user users[16] = { 0 };
	struct upcall_list list = {
		.size = sizeof(list), .what = UPCALL_LIST_USERS, .record_size = sizeof(*users),
		.buffer = (uintptr_t)users, .buffer_len = sizeof(users),
	};

	do {
		must(ioctl(fd, UPCALL_IOC_LIST, &list));
		for (uint32_t i = 0; i < list.count; i++) {
			if (users[i].uid == uid)
				return users[i].callbacks;
		}
	} while (list.count);
	return 0;
}

/* Returns when all of theirs is gone, so that it is in nobody's way. */
static void let_go(void)
{
	int fd = peer_open();

	while (holder_count) {
		kill(holders[--holder_count], SIGKILL);
		waitpid(holders[holder_count], NULL, 0);
		while (callbacks_of(fd, FIRST_UID + holder_count))
			usleep(10000);
	}
	close(fd);
	sleep(1);	/* for the grace period after which memory is free */
}

/* Once what was used before is free, which takes grace periods. */
static uint64_t available_bytes(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file;

	sleep(1);
	file = fopen("/proc/meminfo", "re");
	while (file && fgets(line, sizeof(line), file) &&
	       sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
		;
	if (file)
		fclose(file);
	return kib * 1024;
}

static void call_beside(uint64_t count)
{
	struct run run = { .way = &way_invoke, .size = 8 };
	uint64_t had = *registered, before = available_bytes();
	char name[64];

	if (before / 640 < count) {
		printf("skip invoke@%llu too little memory\n", (unsigned long long)count);
		return;
	}
	hold_until(count);
	if (count == 1000000)
		row("handle-memory", "bytes", (double)(before - available_bytes()) / (double)(count - had));
	snprintf(name, sizeof(name), "invoke@%llu", (unsigned long long)count);
	run_begin(&run);
	row(name, time_unit(), fastest(run_call, &run, 1));
	run_end(&run);
}

static void measure_beside(void)
{
	registered = shared_memory(sizeof(*registered));
	call_beside(1000);
	call_beside(1000000);
	call_beside(4000000);
	let_go();
}

/* Sleeps until @wake, and returns how much later than that it was back. */
static uint64_t sleep_until(uint64_t wake)
{
	struct timespec t = { (time_t)(wake / 1000000000), (long)(wake % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	return now_ns() - wake;
}

/* A sleeper that comes before all others is late by as long as somebody holds the processor. */
static double die(uint64_t count, uint64_t *longest)
{
	int fd = peer_open();
	uint64_t begin, next;

	*registered = 0;
	hold(FIRST_UID, count);
	if (*registered != count)
		fail("handles");
	begin = next = now_ns();
	kill(holders[--holder_count], SIGKILL);
	do {
		uint64_t late = sleep_until(next += TICK_NS);

		*longest = late > *longest ? late : *longest;
		next += late;
	} while (callbacks_of(fd, FIRST_UID));
	waitpid(holders[holder_count], NULL, 0);
	close(fd);
	return (double)(now_ns() - begin) / (double)count;
}

static void measure_death(void)
{
	uint64_t longest = 0;

	registered = shared_memory(sizeof(*registered));
	row("death/100000", time_unit(), die(100000, &longest));
	longest = 0;
	row("death/1000000", time_unit(), die(1000000, &longest));
	row("death-holds-cpu", time_unit(), (double)longest);
}

const struct figure figure_beside = { "invoke@", measure_beside };
const struct figure figure_death = { "death", measure_death };
