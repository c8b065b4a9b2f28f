// SPDX-License-Identifier: GPL-2.0-only
/*
 * Optimistic spinning, as mutexes do it. A caller and its server that run on two processors
 * hand calls and replies to each other without going to sleep: the one that waits looks, for a
 * short time, as long as
 *
 *	- the one that it waits for runs on another processor, or is about to,
 *	- nothing else wants this one,
 *	- such waits have been short: after one in vain the next ones are slept through, 1, then
 *	  3, 7, up to 255 of them.
 *
 * Who spins is in no list, and nobody wakes it: it looks by itself, and after that again under
 * the lock before it sleeps, as if it had not spun. So nothing rests on what is seen here.
 *
 * Never under PREEMPT_RT, where whoever is waited for may need this processor's time for its
 * locks.
 */
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include "call.h"
#include "callback.h"
#include "limits.h"
#include "main.h"
#include "peer.h"
#include "spin.h"

#ifdef CONFIG_SMP
/* Runs on another processor, or has been woken and will. */
static bool spin_task_runs(struct task_struct *task)
{
	if (task_cpu(task) == raw_smp_processor_id())
		return false;
	if (READ_ONCE(task->on_cpu))
		return owner_on_cpu(task);
	return !(READ_ONCE(task->__state) & ~TASK_WAKING);
}

static bool spin_other_runs(struct pid *other)
{
	struct task_struct *task;
	bool runs;

	rcu_read_lock();
	task = pid_task(other, PIDTYPE_PID);
	runs = task && spin_task_runs(task);
	rcu_read_unlock();
	return runs;
}
#else
static bool spin_other_runs(struct pid *other)
{
	return false;
}
#endif

/* Whom to look at, referenced; NULL: it is not worth it. */
static struct pid *spin_begin(struct upcall_spin *spin, spinlock_t *lock)
{
	u8 skip = READ_ONCE(spin->skip);
	struct pid *other;

	if (skip) {
		WRITE_ONCE(spin->skip, skip - 1);
		return NULL;
	}
	spin_lock(lock);
	other = get_pid(spin->other);
	spin_unlock(lock);
	if (other && !spin_other_runs(other)) {
		put_pid(other);
		other = NULL;
	}
	return other;
}

static void spin_end(struct upcall_spin *spin, struct pid *other, bool in_vain)
{
	u8 penalty = in_vain ? READ_ONCE(spin->penalty) * 2 + 1 : 0;

	WRITE_ONCE(spin->penalty, penalty);
	WRITE_ONCE(spin->skip, penalty);
	put_pid(other);
}

static bool spin_may_go_on(struct pid *other, u64 until)
{
	cpu_relax();
	return !need_resched() && !signal_pending(current) && single_task_running() &&
	       spin_other_runs(other) && (s64)(until - local_clock()) > 0;
}

static u64 spin_until(void)
{
	return local_clock() + READ_ONCE(upcall_spin_us) * (u64)NSEC_PER_USEC;
}

/**
 * upcall_spin_remember_locked() - It is another one that the next wait is for
 * @spin: Of a peer whose lock is held.
 * @other: Served, or called, just now.
 *
 * Context: Under the peer's lock.
 */
void upcall_spin_remember_locked(struct upcall_spin *spin, struct pid *other)
{
	put_pid(spin->other);
	spin->other = get_pid(other);
}

/**
 * upcall_spin_exit() - Forget
 * @spin: Nobody uses it any more.
 *
 * Context: Any context.
 */
void upcall_spin_exit(struct upcall_spin *spin)
{
	put_pid(spin->other);
}

/**
 * upcall_spin_answer() - Before a caller sleeps for its answer
 * @call: Submitted; perhaps answered.
 *
 * Context: Process context, with no lock of ours held. At most upcall_spin_us, and a little.
 */
void upcall_spin_answer(struct upcall_call *call)
{
	struct upcall_peer *owner = call->cb->peer;
	struct pid *other;
	u64 until;
	bool done;

	if (!upcall_spin_enabled() || READ_ONCE(call->answered))
		return;
	other = spin_begin(&owner->server, &owner->lock);
	if (!other)
		return;
	until = spin_until();
	while (!(done = READ_ONCE(call->answered)) && spin_may_go_on(other, until))
		;
	spin_end(&owner->server, other, !done);
}

static bool spin_receives(struct upcall_peer *peer)
{
	/* A guess without the lock: not all that change the lists do so by marked writes. */
	return data_race(!list_empty(&peer->queue) || !list_empty(&peer->events) ||
			 !list_empty(&peer->results)) ||
	       !llist_empty(&peer->answers) || READ_ONCE(peer->dead);
}

/**
 * upcall_spin_receive() - Before a receiver sleeps for the next call
 * @peer: Whose calls.
 *
 * Context: Process context, with no lock of ours held. At most upcall_spin_us, and a little.
 */
void upcall_spin_receive(struct upcall_peer *peer)
{
	struct pid *other = spin_begin(&peer->client, &peer->lock);
	u64 until;
	bool done;

	if (!other)
		return;
	until = spin_until();
	while (!(done = spin_receives(peer)) && spin_may_go_on(other, until))
		;
	spin_end(&peer->client, other, !done);
}
