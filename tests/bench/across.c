// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times on several processors. Turns of 2 ms, so that what else the machine does befalls each way
 * alike:
 *
 *	across	the caller on one processor, its server on another. All ways take turns
 *	pairs	1, 2 and 4 callers, each with its server on a processor of their own. The turns are at
 *		the same time
 *
 * The median of what a round trip took in the turns counts: now and then one that would sleep need
 * not, because its processor was held up, and the fastest would say that.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "bench.h"

#define TURN_NS		2000000
#define TURNS		60
#define MAX_WAYS	32
#define PAIRS		4

/**
 * struct stage - One way that waits for its turns
 * @way: Which.
 * @caller_cpu, @server_cpu: Where.
 * @go: A byte there is a turn.
 * @took: What a round trip took in it, as a double.
 * @turns: What a round trip took in each turn.
 */
struct stage {
	const struct way *way;
	int caller_cpu, server_cpu;
	int go[2], took[2];
	double turns[TURNS];
};

static double turn(struct run *run)
{
	uint64_t begin, now;
	unsigned int count = 0;

	if (run->way->spins)
		kill(run->server, SIGCONT);
	run_call(run);
	begin = now_ns();
	do {
		for (int i = 0; i < 8; i++)
			run_call(run);
		count += 8;
		now = now_ns();
	} while (now - begin < TURN_NS);
	if (run->way->spins)
		kill(run->server, SIGSTOP);
	return (double)(now - begin) / count;
}

static void stage_body(void *arg)
{
	struct stage *stage = arg;
	struct run run = { .way = stage->way, .size = 8, .server_cpu = stage->server_cpu };
	double took = 0;
	char go;

	close(stage->go[1]);
	close(stage->took[0]);
	move_to(stage->caller_cpu);
	run_begin(&run);
	if (run.way->spins)
		kill(run.server, SIGSTOP);
	do {
		must(write(stage->took[1], &took, sizeof(took)));
		if (read(stage->go[0], &go, 1) != 1)
			break;
		took = turn(&run);
	} while (1);
	run_end(&run);
}

/* Waits for the end of a turn; false: there is no such way here. */
static bool stage_ended(struct stage *stage, double *took)
{
	return read(stage->took[0], took, sizeof(*took)) == sizeof(*took);
}

static bool stage_begin(struct stage *stage, const struct way *way, int caller_cpu, int server_cpu)
{
	char name[64];
	double none;

	*stage = (struct stage){
		.way = way, .caller_cpu = caller_cpu, .server_cpu = server_cpu,
	};
	must(pipe(stage->go));
	must(pipe(stage->took));
	snprintf(name, sizeof(name), "%s/%s", caller_cpu == server_cpu ? "pairs" : "across", way->name);
	begin_process(name, stage_body, stage);
	close(stage->go[0]);
	close(stage->took[1]);
	return stage_ended(stage, &none);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *took, int n)
{
	qsort(took, n, sizeof(*took), compare);
	return took[n / 2];
}

void measure_across(const struct way *const *ways)
{
	static struct stage stages[MAX_WAYS];
	size_t ready = 0;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		printf("skip across there is only one processor\n");
		return;
	}
	for (; *ways && ready < MAX_WAYS; ways++) {
		if (stage_begin(&stages[ready], *ways, 0, 1))
			ready++;
	}
	for (int t = 0; t < TURNS; t++) {
		for (struct stage *stage = stages; stage < stages + ready; stage++) {
			must(write(stage->go[1], "", 1));
			if (!stage_ended(stage, &stage->turns[t])) {
				errno = ECHILD;
				fail(stage->way->name);
			}
		}
	}
	for (size_t i = 0; i < ready; i++) {
		char name[64];

		snprintf(name, sizeof(name), "across/%s", stages[i].way->name);
		row(name, "ns", median(stages[i].turns, TURNS));
		close(stages[i].go[1]);
	}
}

/* What a round trip takes while @count of them go on: the median of the turns. */
static double pairs_took(struct stage *stages, int count)
{
	static double took[TURNS * PAIRS];
	int n = 0;

	for (int t = 0; t < TURNS; t++) {
		for (int i = 0; i < count; i++)
			must(write(stages[i].go[1], "", 1));
		for (int i = 0; i < count; i++) {
			if (!stage_ended(&stages[i], &took[n++])) {
				errno = ECHILD;
				fail("pairs");
			}
		}
	}
	return median(took, n);
}

/* One way after the other: they are to be compared with themselves. */
void measure_pairs(const struct way *const *ways)
{
	struct stage stages[PAIRS];
	char name[64];

	if (sysconf(_SC_NPROCESSORS_ONLN) < PAIRS) {
		printf("skip pairs there are fewer than %d processors\n", PAIRS);
		return;
	}
	for (; *ways; ways++) {
		for (int i = 0; i < PAIRS; i++) {
			if (!stage_begin(&stages[i], *ways, i, i))
				fail("pairs");
		}
		pairs_took(stages, PAIRS);	/* warm */
		for (int count = 1; count <= PAIRS; count *= 2) {
			snprintf(name, sizeof(name), "pairs/%s/%d", (*ways)->name, count);
			row(name, "ns", pairs_took(stages, count));
		}
		for (int i = 0; i < PAIRS; i++)
			close(stages[i].go[1]);
	}
}
