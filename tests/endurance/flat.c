// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory in use. What the kernel keeps only because it is free is let go first, and what waits for
 * a grace period waited for. Then a line is laid through the samples: where it rises by more
 * than SLACK_KIB from the first one to the last, something is not given back.
 */
#include "endurance.h"

#define SLACK_KIB	4096	/* caches of the processors, other processes */
#define STEADY_KIB	128	/* from one look to the next */

static void let_go(void)
{
	write_to("/proc/sys/vm/drop_caches", "3");
	write_to("/sys/kernel/slab/upcall_call/shrink", "1");
}

static long slab_kib(void)
{
	let_go();
	return number_of("/proc/meminfo", "Slab:");
}

/* Slabs shrink for a while after whoever used them has gone. */
static long steady_slab_kib(void)
{
	long now = slab_kib(), before;
	int tries = 40;

	do {
		before = now;
		usleep(250000);
		now = slab_kib();
	} while (before - now > STEADY_KIB && --tries);
	return now;
}

void flat_sample(struct flat *flat, const char *part)
{
	static uint64_t first;
	int n = flat->n;

	if (n == SAMPLES)
		return;
	if (!n)
		first = now_ns();
	flat->slab[n] = steady_slab_kib();
	flat->available[n] = number_of("/proc/meminfo", "MemAvailable:");
	flat->at[n] = (double)(now_ns() - first) / NS_PER_S;
	tell("%s: %.0f KiB in slabs, %.0f KiB available", part, flat->slab[n], flat->available[n]);
	flat->n++;
}

/* By how much the line through @y, that comes nearest to all, rises from the first to the last. */
static double rise(const struct flat *flat, const double *y)
{
	double x_mean = 0, y_mean = 0, xy = 0, xx = 0;
	int i, first = flat->n > 4 ? flat->n / 5 : 0;	/* what is made once, and stays */
	int n = flat->n - first;

	for (i = first; i < flat->n; i++) {
		x_mean += flat->at[i] / n;
		y_mean += y[i] / n;
	}
	for (i = first; i < flat->n; i++) {
		xy += (flat->at[i] - x_mean) * (y[i] - y_mean);
		xx += (flat->at[i] - x_mean) * (flat->at[i] - x_mean);
	}
	return xx > 0 ? xy / xx * (flat->at[flat->n - 1] - flat->at[first]) : 0;
}

void flat_judge(const struct flat *flat, const char *part)
{
	double slab = rise(flat, flat->slab), gone = -rise(flat, flat->available);
	bool none;

	check(flat->n > 1 && slab < SLACK_KIB && gone < 2 * SLACK_KIB,
	      "%s: memory is flat: slabs %+.0f KiB, available %+.0f KiB, in %d samples over %.0f s",
	      part, slab, -gone, flat->n, flat->n ? flat->at[flat->n - 1] : 0);
	if (access("/sys/kernel/slab/upcall_call/shrink", W_OK))
		return;
	none = eventually((let_go(), !number_of("/proc/slabinfo", "upcall_call ")));
	check(none, "%s: %ld calls are left in memory", part,
	      number_of("/proc/slabinfo", "upcall_call "));
}
