// SPDX-License-Identifier: GPL-2.0-only
/* tests/stress, in runs of RUN_S seconds: after each of them nobody is there, and memory is looked at. */
#include "endurance.h"

#define RUN_S	20

static int run_stress(void *seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%llu", *(unsigned long long *)seconds);
	execl("./stress", "stress", text, NULL);
	return 127;
}

void part_load(uint64_t seconds)
{
	uint64_t end = now_ns() + seconds * NS_PER_S, each = seconds / 4 < RUN_S ? seconds / 4 : RUN_S;
	static struct flat flat;
	int runs = 0, bad = 0;

	each = each ?: 1;
	do {
		bad += reap(spawn(run_stress, &each)) != 0;
		runs++;
		flat_sample(&flat, "load");
	} while (now_ns() < end && !bad);
	check(!bad, "load: %d runs of stress, in each of which every call is accounted for", runs);
	flat_judge(&flat, "load");
}
