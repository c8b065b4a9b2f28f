/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * A lock of 32 bits, for what every call takes: eight instructions where nobody else wants it,
 * against the 55 of pthread_mutex_t.
 */
#ifndef UPCALL_LOCK_H
#define UPCALL_LOCK_H

#include <stdatomic.h>

/* What @state is. WANTED: somebody may sleep for it. */
enum { UPCALL_LOCK_FREE, UPCALL_LOCK_HELD, UPCALL_LOCK_WANTED };

/**
 * struct upcall_lock - Not recursive; zero is free
 * @state: See above.
 */
struct upcall_lock {
	atomic_uint state;
};

void upcall_lock_wait(struct upcall_lock *lock);
void upcall_lock_wake(struct upcall_lock *lock);
void upcall_signal_wait(atomic_uint *signal, unsigned int seen);
void upcall_signal_all(atomic_uint *signal);

static inline void upcall_lock_take(struct upcall_lock *lock)
{
	unsigned int state = UPCALL_LOCK_FREE;

	if (!atomic_compare_exchange_strong_explicit(&lock->state, &state, UPCALL_LOCK_HELD,
						     memory_order_acquire, memory_order_relaxed))
		upcall_lock_wait(lock);
}

static inline void upcall_lock_give(struct upcall_lock *lock)
{
	if (atomic_exchange_explicit(&lock->state, UPCALL_LOCK_FREE,
				     memory_order_release) == UPCALL_LOCK_WANTED)
		upcall_lock_wake(lock);
}

#endif /* UPCALL_LOCK_H */
