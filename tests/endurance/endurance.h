/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What takes its time to go wrong: memory that grows, a module that comes and goes while it is in
 * use, tasks that are frozen in the middle of a call, a memory cgroup that is full, a death that is
 * long. Each of these is a part, of so many seconds:
 *
 *	load.c		tests/stress over and over
 *	reload.c	the module unloaded and loaded beside processes that open, poll and die
 *	freeze.c	both sides of calls frozen and stopped
 *	memory.c	callers at the limit of their memory cgroup
 *	million.c	a million callbacks of one owner that dies
 *	flat.c		what memory is in use, from time to time
 */
#ifndef ENDURANCE_H
#define ENDURANCE_H

#include <stdio.h>
#include "../selftests/upcall_test.h"

#define NS_PER_S	1000000000ULL

/* --- endurance.c --- */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t draw(void);
bool write_to(const char *path, const char *text);
long number_of(const char *path, const char *word);
bool nothing_is_owed(void);

/**
 * struct flat - What memory is in use, sample by sample
 * @n: How many.
 * @at: When, in seconds since the first.
 * @slab: Kernel objects, in KiB.
 * @available: MemAvailable, in KiB.
 */
#define SAMPLES	1024
struct flat {
	int n;
	double at[SAMPLES];
	double slab[SAMPLES];
	double available[SAMPLES];
};

/* --- flat.c: to be sampled when nobody uses the module, and judged in the end --- */
void flat_sample(struct flat *flat, const char *part);
void flat_judge(const struct flat *flat, const char *part);

/* --- the parts --- */
void part_load(uint64_t seconds);
void part_reload(uint64_t seconds);
void part_freeze(uint64_t seconds);
void part_memory(uint64_t seconds);
void part_million(uint64_t seconds);

/* From @low to @high. */
static inline uint64_t between(uint64_t low, uint64_t high)
{
	return low + draw() % (high - low + 1);
}

#endif /* ENDURANCE_H */
