// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer whose process has gone, and which waits for a successor.
 *
 * When its address space has gone none of its threads is left: nobody receives, waits, or has a
 * batch. So of the calls to it some are QUEUED, which stay so, and some DELIVERED. Those end as if
 * their owner were gone for good; or are queued again, if their callback says that a
 * successor may run them. The calls that the process made are given up.
 *
 * The last close and the end of time may come at any moment, also in the middle of that: they
 * set @dead, and end what is left.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "pool.h"
#include "trace.h"

/*
 * The time is up. Either it is ABANDONED, and no successor can have it, under the same hold of the
 * lock that found it due; or somebody was faster.
 */
static void orphan_work(struct work_struct *work)
{
	struct upcall_peer *peer = container_of(work, struct upcall_peer, orphan_work.work);
	struct upcall_death death;
	bool due;

	UPCALL_HOOK(orphan_timer);
	spin_lock(&peer->lock);
	due = !peer->dead && peer->custody == UPCALL_ORPHANED &&
	      !ktime_before(ktime_get(), peer->orphan_until);
	if (due) {
		peer->custody = UPCALL_ABANDONED;
		death = peer->orphan_death;
	} else if (!peer->dead && peer->custody == UPCALL_ORPHANED) {
		upcall_orphan_arm_locked(peer);
	}
	spin_unlock(&peer->lock);
	UPCALL_HOOK(orphan_due);
	if (due)
		upcall_peer_kill(peer, &death);
	upcall_peer_put(peer);
}

/**
 * upcall_orphan_init() - Make what a peer needs to be orphaned
 * @peer: A new one.
 */
void upcall_orphan_init(struct upcall_peer *peer)
{
	INIT_DELAYED_WORK(&peer->orphan_work, orphan_work);
}

/**
 * upcall_orphan_arm_locked() - End a peer when its time is up
 * @peer: Alive, and ORPHANED.
 *
 * Not before: jiffies are rounded up, and one may be almost over.
 *
 * Context: Under @peer->lock. The caller has a reference.
 */
void upcall_orphan_arm_locked(struct upcall_peer *peer)
{
	s64 left = ktime_to_ns(ktime_sub(peer->orphan_until, ktime_get()));

	lockdep_assert_held(&peer->lock);
	upcall_peer_ref(peer);
	if (!queue_delayed_work(upcall_wq, &peer->orphan_work,
				nsecs_to_jiffies(max_t(s64, left, 0)) + 2))
		refcount_dec(&peer->refs);	/* it is armed already */
}

/**
 * upcall_orphan_disarm() - Its time does not matter any more
 * @peer: Dead, or not ORPHANED any more: one that runs already does nothing, and nobody arms it.
 *
 * Context: Process context. The caller has a reference.
 */
void upcall_orphan_disarm(struct upcall_peer *peer)
{
	if (cancel_delayed_work(&peer->orphan_work))
		upcall_peer_put(peer);
}

/* Whether a successor may run it again: it was not answered, and its argument is there. */
static bool orphan_may_requeue(const struct upcall_call *call)
{
	if (!call->keeps_arg || call->cb->state != UPCALL_CB_LIVE)
		return false;
	return !call->answered || call->flags & UPCALL_CALL_ONEWAY;
}

/* The call in its callback's queue behind which it belongs, or NULL; @steps: how long that took. */
static struct upcall_call *orphan_place_locked(const struct upcall_call *call, unsigned int *steps)
{
	struct upcall_call *at, *prev = NULL;

	list_for_each_entry(at, &call->cb->traffic->queued, cb_link) {
		if (at->seq > call->seq)
			break;
		prev = at;
		*steps += 1;
	}
	return prev;
}

/* Of a SERIAL callback the first one alone can be taken, and none while another one runs. */
static void orphan_ready_locked(struct upcall_call *call, struct upcall_call *prev)
{
	struct upcall_callback *cb = call->cb;

	if (cb->flags & UPCALL_REGISTER_SERIAL) {
		call = list_first_entry(&cb->traffic->queued, struct upcall_call, cb_link);
		if (list_empty(&cb->traffic->running) && !upcall_event_node_waits(&call->node))
			upcall_call_ready_locked(call, true);
		return;
	}
	upcall_call_ready_locked(call, true);
	if (prev)
		list_move(&call->node.link, &prev->node.link);
}

/* From DELIVERED to QUEUED. False: no memory to count it. */
static bool orphan_requeue_locked(struct upcall_call *call, unsigned int *steps)
{
	struct upcall_callback *cb = call->cb;
	struct upcall_peer *peer = cb->peer;
	struct upcall_share *share;
	struct upcall_call *prev;

	share = upcall_pool_force(&cb->traffic->pool, call->from->account, call->arg_len);
	if (IS_ERR(share))
		return false;
	cb->traffic->run_ns += ktime_to_ns(ktime_sub(ktime_get(), call->taken_at));
	cb->traffic->nrunning--;
	peer->nrunning--;
	peer->nqueued++;
	call->share = share;
	call->state = UPCALL_QUEUED;
	call->ran = true;
	prev = orphan_place_locked(call, steps);
	list_move(&call->cb_link, prev ? &prev->cb_link : &cb->traffic->queued);
	trace_upcall_requeued(call);
	orphan_ready_locked(call, prev);
	return true;
}

/* True if it has ended: its owner's reference is the caller's to put, without the lock. */
static bool orphan_call_locked(struct upcall_call *call, unsigned int *steps)
{
	const struct upcall_death *death = &call->cb->peer->orphan_death;

	if (orphan_may_requeue(call) && orphan_requeue_locked(call, steps))
		return false;
	if (!call->answered) {
		call->answer.reason = death->reason;
		call->answer.exit_status = death->exit_status;
		upcall_call_answer_locked(call, -EOWNERDEAD, UPCALL_STAGE_DELIVERED);
	}
	upcall_call_end_locked(call);
	return true;
}

/*
 * Of a callback's delivered calls the newest one: each is put in front of those before it, so
 * it need not be searched where. Those without an answer stand in front, the last one taken
 * first; notifications behind, the last one taken last; and among these, calls that just end.
 */
static struct upcall_call *orphan_newest_locked(const struct upcall_callback *cb)
{
	struct list_head *running = &cb->traffic->running;
	struct upcall_call *first = list_first_entry(running, struct upcall_call, cb_link);
	struct upcall_call *last = list_last_entry(running, struct upcall_call, cb_link);

	if (!orphan_may_requeue(last))
		return last;
	return first->seq > last->seq ? first : last;
}

/* Treats some delivered calls, from a slot of the table on. True: there may be more. */
static bool orphan_some(struct upcall_peer *peer, int *slot)
{
	struct upcall_call *ended[UPCALL_BATCH_ENDED], *call = NULL;
	unsigned int steps, n = 0;
	bool more;

	spin_lock(&peer->lock);
	for (steps = 0; steps < UPCALL_BATCH_ENDED; steps++) {
		call = peer->dead ? NULL : upcall_ids_next_locked(&peer->incoming, slot);
		if (!call)
			break;
		if (READ_ONCE(call->state) != UPCALL_DELIVERED) {	/* see spare_reset() */
			*slot += 1;
			continue;
		}
		call = orphan_newest_locked(call->cb);
		if (orphan_call_locked(call, &steps))
			ended[n++] = call;
	}
	more = call;
	spin_unlock(&peer->lock);
	/* The owner's references, which ending them left to us. */
	while (n--)
		upcall_call_put(ended[n]);
	return more;
}

/* False if it is to end at once. */
static bool orphan_begin(struct upcall_peer *peer, const struct upcall_death *death)
{
	bool begun;

	spin_lock(&peer->lock);
	begun = !peer->dead && peer->adoptable;
	if (begun) {
		peer->custody = UPCALL_ORPHANING;
		peer->orphan_death = *death;
	}
	spin_unlock(&peer->lock);
	return begun;
}

/* From here on a successor may come. */
static void orphan_end(struct upcall_peer *peer)
{
	spin_lock(&peer->lock);
	if (!peer->dead) {
		peer->custody = UPCALL_ORPHANED;
		peer->orphan_until = ktime_add_ns(ktime_get(), peer->orphan_ns);
		upcall_orphan_arm_locked(peer);
		trace_upcall_orphaned(peer);
	}
	spin_unlock(&peer->lock);
}

/**
 * upcall_orphan() - The process of a peer has gone: keep the peer for a successor?
 * @peer: Perhaps ended already.
 * @death: How it went.
 *
 * Context: Process context, may sleep; no thread is left to which the peer belongs.
 * Return: True if it is ORPHANED, or has ended meanwhile; false if it is to end.
 */
bool upcall_orphan(struct upcall_peer *peer, const struct upcall_death *death)
{
	int slot = 0;

	might_sleep();
	if (!orphan_begin(peer, death))
		return false;
	UPCALL_HOOK(orphaning);
	upcall_peer_give_up_calls(peer);
	/* What refused the dead one may not refuse its successor. */
	WRITE_ONCE(peer->refusal.by, UPCALL_REFUSED_BY_NONE);
	wake_up_interruptible_poll(&peer->poll_wait, EPOLLOUT | EPOLLWRNORM);
	while (orphan_some(peer, &slot))
		cond_resched();
	orphan_end(peer);
	UPCALL_HOOK(orphaned);
	return true;
}
