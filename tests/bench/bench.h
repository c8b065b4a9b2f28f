/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What callers pay: upcall, and beside it other ways from one process to another, on the same
 * work. Each way is one file with one 'const struct way'; what is no round trip is a
 * 'const struct figure'.
 *
 *	bench.c		the list of all, and which to run
 *	run.c		a caller and its server: processes and priorities
 *	measure.c	rows, and the batches that are timed for them
 *	across.c	several processors
 *
 * Prints lines for tests/bench/run.sh: 'row NAME UNIT VALUE', 'skip NAME WHY'.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#define MAX_ARG		65536
#define SHARED_BYTES	(MAX_ARG + 65536)

struct way;

/**
 * struct run - One way, with arguments of one size
 * @way: Which.
 * @size: Of the argument, in bytes.
 * @arg: The argument, in the caller's own memory; @size bytes.
 * @shared: SHARED_BYTES that both processes see; zero at first.
 * @serving: The pipe on which the server says that it serves.
 * @server_cpu: The processor that the server is on.
 * @server: The server's process.
 */
struct run {
	const struct way *way;
	size_t size;
	char *arg;
	char *shared;
	int serving[2];
	int server_cpu;
	pid_t server;
};

/**
 * struct way - One way to make a round trip
 * @name: Its rows are NAME/SIZE.
 * @max: The longest argument; 0: it has one row, NAME.
 * @each: Of how many messages or calls @call is; 0: of one.
 * @blind: Its server cannot look at the argument: what comes back is not checked.
 * @spins: Its server never sleeps, and is stopped while others are measured.
 * @setup: Before the server is forked.
 * @serve: The server: calls serving() once it serves, and never returns.
 * @connect: The caller, once the server serves. May be NULL.
 * @call: One round trip. Returns the result, which is answer() of the argument.
 * @close: What does not end with the processes. May be NULL.
 */
struct way {
	const char *name;
	size_t max;
	unsigned int each;
	bool blind;
	bool spins;
	void (*setup)(struct run *run);
	void (*serve)(struct run *run);
	void (*connect)(struct run *run);
	uint64_t (*call)(struct run *run);
	void (*close)(struct run *run);
};

/**
 * struct figure - Rows that are no round trips
 * @name: What they begin with.
 * @measure: In a process of its own; prints them with row().
 */
struct figure {
	const char *name;
	void (*measure)(void);
};

/* One processor whose clock counts instructions: see tests/vm/run --icount. Else nanoseconds. */
extern bool instructions;

/* Somebody else looks at what runs. */
extern bool profiling;


extern const char *current_row;

/* --- measure.c --- */
void row(const char *name, const char *unit, double value);
const char *time_unit(void);
void skip(const char *why) __attribute__((noreturn));
void fail(const char *what) __attribute__((noreturn));
uint64_t now_ns(void);
double fastest(void (*op)(void *arg), void *arg, unsigned int each);

/* --- run.c --- */
void write_to(const char *file, const char *text);
void *shared_memory(size_t bytes);
void move_to(int cpu);
void become_starter(void);
pid_t begin_process(const char *name, void (*body)(void *arg), void *arg);
void in_process(const char *name, void (*body)(void *arg), void *arg);
void serving(struct run *run);
void run_begin(struct run *run);
void run_call(void *run);
void run_end(struct run *run);
void measure_way(const struct way *way, size_t size, const char *name);

/* --- across.c --- */
void measure_across(const struct way *const *ways);
void measure_pairs(const struct way *const *ways);

/* What every server returns: it has seen both ends of the argument. */
static inline uint64_t answer(const void *arg, size_t size)
{
	uint64_t first, last;

	memcpy(&first, arg, sizeof(first));
	memcpy(&last, (const char *)arg + size - sizeof(last), sizeof(last));
	return first + last;
}

#define must(x)	do { if ((x) < 0) fail(#x); } while (0)

#endif /* BENCH_H */
