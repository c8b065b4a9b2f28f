/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_SPIN_H
#define _UPCALL_SPIN_H

#include <linux/cpumask.h>
#include <linux/types.h>
#include "limits.h"

struct pid;
struct upcall_call;
struct upcall_peer;

/**
 * struct upcall_spin - Whom a thread waits for, and whether that was worth spinning
 * @other: The thread that served, or called, last; referenced, NULL: none yet. Protected by the
 *	lock of the peer that it is in.
 * @skip: Waits that are slept through from their beginning. Any thread may change it and lose
 *	another's change: it is a guess.
 * @penalty: What @skip becomes after the next spin in vain; also a guess.
 */
struct upcall_spin {
	struct pid *other;
	u8 skip;
	u8 penalty;
};

/* With one processor the other side waits for this one. */
static inline bool upcall_spin_enabled(void)
{
	return IS_ENABLED(CONFIG_SMP) && !IS_ENABLED(CONFIG_PREEMPT_RT) &&
	       num_online_cpus() > 1 && READ_ONCE(upcall_spin_us);
}

void upcall_spin_remember_locked(struct upcall_spin *spin, struct pid *other);

/* Whom the next wait is for. Under the lock of the peer that @spin is in. */
static inline void upcall_spin_meet_locked(struct upcall_spin *spin, struct pid *other)
{
	if (unlikely(spin->other != other) && upcall_spin_enabled())
		upcall_spin_remember_locked(spin, other);
}

void upcall_spin_exit(struct upcall_spin *spin);
void upcall_spin_answer(struct upcall_call *call);
void upcall_spin_receive(struct upcall_peer *peer);

#endif /* _UPCALL_SPIN_H */
