// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a lock does where somebody else has it, and signals to all who wait for news.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "lock.h"

/* Any reason to come back will do: who waits looks again. */
static void futex(atomic_uint *word, int op, unsigned int value)
{
	int saved = errno;

	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
	errno = saved;
}

/* Who slept cannot know that it was the last one: it leaves the lock as wanted. */
void upcall_lock_wait(struct upcall_lock *lock)
{
	while (atomic_exchange_explicit(&lock->state, UPCALL_LOCK_WANTED,
					memory_order_acquire) != UPCALL_LOCK_FREE)
		futex(&lock->state, FUTEX_WAIT, UPCALL_LOCK_WANTED);
}

void upcall_lock_wake(struct upcall_lock *lock)
{
	futex(&lock->state, FUTEX_WAKE, 1);
}

/* Sleeps unless there was a signal since *@signal was @seen. May come back for nothing. */
void upcall_signal_wait(atomic_uint *signal, unsigned int seen)
{
	futex(signal, FUTEX_WAIT, seen);
}

void upcall_signal_all(atomic_uint *signal)
{
	atomic_fetch_add(signal, 1);
	futex(signal, FUTEX_WAKE, INT_MAX);
}
