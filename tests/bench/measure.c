// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows, and the batches that are timed for them.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

#define BATCHES			7
#define INSTRUCTIONS_BATCH_NS	3000000		/* less than a tick of the guest's clock */
#define TIME_BATCH_NS		20000000
#define PROFILE_NS		300000000

bool instructions, profiling;
const char *current_row = "";

void row(const char *name, const char *unit, double value)
{
	printf("row %s %s %.*f\n", name, unit, value < 10 ? 3 : value < 100 ? 1 : 0, value);
	fflush(stdout);
}

const char *time_unit(void)
{
	return instructions ? "instructions" : "ns";
}

void skip(const char *why)
{
	printf("skip %s %s\n", current_row, why);
	fflush(stdout);
	_exit(0);
}

void fail(const char *what)
{
	printf("fail %s %s: %s\n", current_row, what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t batch(void (*op)(void *arg), void *arg, unsigned int count)
{
	uint64_t begin = now_ns();

	for (unsigned int i = 0; i < count; i++)
		op(arg);
	return now_ns() - begin;
}

/* How many make a batch of @ns; warms everything up on its way. */
static unsigned int batch_size(void (*op)(void *arg), void *arg, uint64_t ns)
{
	unsigned int count = 8;
	uint64_t took;

	while ((took = batch(op, arg, count)) < ns / 2 && count < 1U << 24)
		count *= 2;
	if (took > ns && count > 8)
		count /= 2;
	return count;
}

/* A function of its own, so that profile.awk can count how often it is called. */
static __attribute__((noinline)) void profiled(void (*op)(void *arg), void *arg)
{
	op(arg);
}

/* What @op takes in the fastest of several batches, divided by @each. */
double fastest(void (*op)(void *arg), void *arg, unsigned int each)
{
	unsigned int count = batch_size(op, arg, instructions ? INSTRUCTIONS_BATCH_NS : TIME_BATCH_NS);
	uint64_t best = UINT64_MAX, begin = now_ns();

	if (profiling) {
		printf("profile %s %u\n", current_row, each);
		fflush(stdout);
		do {
			for (int i = 0; i < 16; i++)
				profiled(op, arg);
		} while (now_ns() - begin < PROFILE_NS);
		return 0;
	}
	for (int i = 0; i < BATCHES; i++) {
		uint64_t took = batch(op, arg, count);

		best = took < best ? took : best;
	}
	return (double)best / count / each;
}
