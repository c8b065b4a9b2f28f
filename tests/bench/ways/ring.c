// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring in shared memory whose two sides look again and again, and never sleep: the limit
 * of what can be had with a processor for each side. On one processor they yield.
 */
#include <sched.h>
#include "../bench.h"

struct ring {
	uint64_t called;	/* how often; as all below on a line of its own */
	_Alignas(64) uint64_t answered;
	uint64_t result;
	_Alignas(64) char data[MAX_ARG];
};

static void wait_until(const struct run *run, const uint64_t *counter, uint64_t value)
{
	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) != value) {
		if (run->server_cpu)
			__builtin_ia32_pause();
		else
			sched_yield();
	}
}

static void setup(struct run *run)
{
	(void)run;
}

static void serve(struct run *run)
{
	struct ring *ring = (void *)run->shared;

	serving(run);
	for (uint64_t n = 1;; n++) {
		wait_until(run, &ring->called, n);
		ring->result = answer(ring->data, run->size);
		__atomic_store_n(&ring->answered, n, __ATOMIC_RELEASE);
	}
}

static uint64_t call(struct run *run)
{
	struct ring *ring = (void *)run->shared;
	uint64_t n = ring->called + 1;

	memcpy(ring->data, run->arg, run->size);
	__atomic_store_n(&ring->called, n, __ATOMIC_RELEASE);
	wait_until(run, &ring->answered, n);
	return ring->result;
}

const struct way way_ring = {
	.name = "ring", .max = MAX_ARG, .spins = true,
	.setup = setup, .serve = serve, .call = call,
};
