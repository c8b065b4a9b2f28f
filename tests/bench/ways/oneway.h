/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages of 8 bytes that nobody answers. One call() sends ONEWAY_EACH of them, and then lets
 * the receiver run until it has them all.
 */
#ifndef ONEWAY_H
#define ONEWAY_H

#include <sched.h>
#include "../bench.h"

#define ONEWAY_EACH	256

/* In shared memory. */
struct oneway {
	uint64_t received;
	_Alignas(64) uint64_t sent;
	_Alignas(64) uint64_t messages[2 * ONEWAY_EACH];
};

static inline struct oneway *oneway_of(struct run *run)
{
	return (struct oneway *)run->shared;
}

static inline void oneway_received(struct run *run, uint64_t count)
{
	struct oneway *oneway = oneway_of(run);

	__atomic_store_n(&oneway->received, oneway->received + count, __ATOMIC_RELEASE);
}

static inline void oneway_wait(struct run *run)
{
	struct oneway *oneway = oneway_of(run);

	oneway->sent += ONEWAY_EACH;
	while (__atomic_load_n(&oneway->received, __ATOMIC_ACQUIRE) < oneway->sent)
		sched_yield();
}

#endif /* ONEWAY_H */
