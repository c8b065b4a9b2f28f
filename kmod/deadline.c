// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlines of asynchronous calls: nobody sleeps for these, so their caller's peer has one
 * timer, for the earliest. It goes off in interrupt context, where none of our locks may be
 * taken, so it only queues work that gives up what is due.
 */
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/timerqueue.h>
#include <linux/workqueue.h>
#include "async.h"
#include "call.h"
#include "compat.h"
#include "hook.h"
#include "main.h"
#include "peer.h"

static enum hrtimer_restart deadline_timer(struct hrtimer *timer)
{
	struct upcall_peer *peer = container_of(timer, struct upcall_peer, deadline_timer);

	queue_work(upcall_wq, &peer->deadline_work);
	return HRTIMER_NORESTART;
}

/* The next call that is due, referenced and out of the queue; else the timer is set. */
static struct upcall_call *deadline_take(struct upcall_peer *peer)
{
	struct upcall_call *call = NULL;
	struct timerqueue_node *node;

	spin_lock(&peer->lock);
	node = timerqueue_getnext(&peer->deadlines);
	if (node && !peer->dead) {
		if (ktime_after(node->expires, ktime_get())) {
			hrtimer_start(&peer->deadline_timer, node->expires, HRTIMER_MODE_ABS);
		} else {
			call = container_of(node, struct upcall_call, deadline_node);
			upcall_deadline_remove_locked(peer, call);
			refcount_inc(&call->refs);
		}
	}
	spin_unlock(&peer->lock);
	return call;
}

static void deadline_work(struct work_struct *work)
{
	struct upcall_peer *peer = container_of(work, struct upcall_peer, deadline_work);
	struct upcall_call *call;

	while ((call = deadline_take(peer))) {
		upcall_call_abandon(call, -ETIMEDOUT);
		upcall_call_put(call);
		UPCALL_HOOK(expired);
		cond_resched();
	}
}

/**
 * upcall_deadline_init() - Make a peer's timer
 * @peer: A new one.
 *
 * Context: Process context.
 */
void upcall_deadline_init(struct upcall_peer *peer)
{
	timerqueue_init_head(&peer->deadlines);
	hrtimer_setup(&peer->deadline_timer, deadline_timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	INIT_WORK(&peer->deadline_work, deadline_work);
}

/**
 * upcall_deadline_stop() - No deadline of a peer is looked at any more
 * @peer: Dead, or none of its threads makes calls now, and its deadlines are removed: nothing sets
 *	the timer again.
 *
 * The timer first: it queues the work; the work, which saw that the peer is dead or has no
 * deadlines, does not start the timer.
 *
 * Context: Process context, may sleep.
 */
void upcall_deadline_stop(struct upcall_peer *peer)
{
	might_sleep();
	hrtimer_cancel(&peer->deadline_timer);
	cancel_work_sync(&peer->deadline_work);
}

/**
 * upcall_deadline_add_locked() - Give a call up at its deadline
 * @peer: Its caller's.
 * @call: Linked to it, so that it stays as long as it is in the queue of deadlines.
 *
 * Context: Under @peer->lock.
 */
void upcall_deadline_add_locked(struct upcall_peer *peer, struct upcall_call *call)
{
	lockdep_assert_held(&peer->lock);
	if (call->flags & UPCALL_CALL_NO_DEADLINE || call->deadline == KTIME_MAX)
		return;
	call->deadline_node.expires = call->deadline;
	if (timerqueue_add(&peer->deadlines, &call->deadline_node))
		hrtimer_start(&peer->deadline_timer, call->deadline, HRTIMER_MODE_ABS);
}

/**
 * upcall_deadline_remove_locked() - Its deadline does not matter any more
 * @peer: Its caller's.
 * @call: Perhaps not in the queue of deadlines. The timer may go off for it all the same.
 *
 * Context: Under @peer->lock.
 */
void upcall_deadline_remove_locked(struct upcall_peer *peer, struct upcall_call *call)
{
	lockdep_assert_held(&peer->lock);
	if (!RB_EMPTY_NODE(&call->deadline_node.node))
		timerqueue_del(&peer->deadlines, &call->deadline_node);
}
