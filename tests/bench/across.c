// SPDX-License-Identifier: GPL-2.0-only
/*
 * The caller on one processor, its server on another. All ways are ready at once and take turns
 * of 2 ms, so that what else the machine does befalls each of them alike; the fastest turn counts.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "bench.h"

#define TURN_NS		2000000
#define TURNS		60
#define MAX_WAYS	32

/**
 * struct stage - One way that waits for its turns
 * @way: Which.
 * @go: A byte there is a turn.
 * @took: What a round trip took in it, as a double.
 * @best: The fastest turn's.
 */
struct stage {
	const struct way *way;
	int go[2], took[2];
	double best;
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
	struct run run = { .way = stage->way, .size = 8, .across = true };
	double took = 0;
	char go;

	close(stage->go[1]);
	close(stage->took[0]);
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

static bool stage_begin(struct stage *stage, const struct way *way)
{
	char name[64];
	double none;

	*stage = (struct stage){ .way = way, .best = 1e18 };
	must(pipe(stage->go));
	must(pipe(stage->took));
	snprintf(name, sizeof(name), "across/%s", way->name);
	begin_process(name, stage_body, stage);
	close(stage->go[0]);
	close(stage->took[1]);
	return stage_ended(stage, &none);
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
		if (stage_begin(&stages[ready], *ways))
			ready++;
	}
	for (int t = 0; t < TURNS; t++) {
		for (struct stage *stage = stages; stage < stages + ready; stage++) {
			double took;

			must(write(stage->go[1], "", 1));
			if (!stage_ended(stage, &took)) {
				errno = ECHILD;
				fail(stage->way->name);
			}
			stage->best = took < stage->best ? took : stage->best;
		}
	}
	for (size_t i = 0; i < ready; i++) {
		char name[64];

		snprintf(name, sizeof(name), "across/%s", stages[i].way->name);
		row(name, "ns", stages[i].best);
		close(stages[i].go[1]);
	}
}
