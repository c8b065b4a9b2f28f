// SPDX-License-Identifier: GPL-2.0-only
/*
 * The states of a call, and what leads from one to the next.
 *
 * The picture is in main.h. Functions that end in _locked want the lock of the owner's
 * peer.
 */
#include <linux/idr.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include "async.h"
#include "call.h"
#include "callback.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"
#include "room.h"
#include "run.h"
#include "trace.h"

/* The peer of the callback: under its lock the call lives. */
static struct upcall_peer *call_owner(const struct upcall_call *call)
{
	return call->cb->peer;
}

/**
 * upcall_call_ready_locked() - A queued call may be taken now
 * @call: QUEUED; in no list of its owner's peer.
 * @front: It was taken before, and goes before the others.
 */
void upcall_call_ready_locked(struct upcall_call *call, bool front)
{
	struct upcall_peer *owner = call_owner(call);

	lockdep_assert_held(&owner->lock);
	call->node.taken = false;
	if (front)
		list_add(&call->node.link, &owner->queue);
	else
		list_add_tail(&call->node.link, &owner->queue);
	if (call->nested) {
		if (front)
			list_add(&call->nest_link, &owner->nested);
		else
			list_add_tail(&call->nest_link, &owner->nested);
		upcall_chain_wake_locked(call);
	}
	upcall_peer_wake_locked(owner, UPCALL_EVENT_CALL);
}

/* A SERIAL callback has one call among what its peer can take, or running. */
static void call_serial_next_locked(struct upcall_callback *cb)
{
	struct upcall_call *call;

	if (!(cb->flags & UPCALL_REGISTER_SERIAL) || cb->state != UPCALL_CB_LIVE ||
	    !list_empty(&cb->traffic->running))
		return;
	call = list_first_entry_or_null(&cb->traffic->queued, struct upcall_call, cb_link);
	if (call && !upcall_event_node_waits(&call->node))
		upcall_call_ready_locked(call, false);
}

/* The notification whose place a newer one of the same caller takes, or NULL. */
static struct upcall_call *call_latest_locked(struct upcall_call *call)
{
	unsigned int reach = UPCALL_LATEST_REACH;
	struct upcall_call *old;

	if (!(call->flags & UPCALL_CALL_LATEST))
		return NULL;
	list_for_each_entry_reverse(old, &call->cb->traffic->queued, cb_link) {
		if (!reach--)
			return NULL;
		if (!upcall_call_same_caller(old, call))
			continue;
		/* Somebody else's uid by now: its share of the queue is not ours. */
		if (!(old->flags & UPCALL_CALL_LATEST) || old->op != call->op || old->ran ||
		    old->from->account != call->from->account)
			return NULL;
		return old;
	}
	return NULL;
}

/* Room in the queue, and an id. With @old, the place and the share of that one. */
static int call_admit_locked(struct upcall_call *call, struct upcall_call *old)
{
	struct upcall_traffic *traffic = call->cb->traffic;
	int err;

	if (old) {
		err = upcall_pool_swap(&traffic->pool, old->share, old->arg_len, call->arg_len);
		call->share = old->share;
	} else {
		call->share = upcall_pool_take(&traffic->pool, call->from->account, call->arg_len);
		err = PTR_ERR_OR_ZERO(call->share);
	}
	if (err) {
		traffic->refused += err == -EAGAIN && !call->wait_room;
		return err;
	}
	err = upcall_call_identify_locked(call);
	if (err && old)		/* not asked again: what has a place may be above its half by now */
		upcall_pool_resize(&traffic->pool, old->share, call->arg_len, old->arg_len);
	else if (err)
		upcall_pool_drop(&traffic->pool, call->share, call->arg_len);
	return err;
}

/* @call stands where @old stood; that one has ended, and its owner's reference is ours. */
static void call_replace_locked(struct upcall_call *call, struct upcall_call *old)
{
	call->dropped = old->dropped + 1;
	list_replace_init(&old->cb_link, &call->cb_link);
	if (upcall_event_node_waits(&old->node))
		list_replace_init(&old->node.link, &call->node.link);
	old->state = UPCALL_ENDED;
}

/* @call has room and an id, and its owner's side has a reference. A notification is answered. */
static void call_queued_locked(struct upcall_call *call, ktime_t now)
{
	call->state = UPCALL_QUEUED;
	call->queued_at = now;
	call->seq = ++call->cb->traffic->seq;
	if (call->wait_room && (call->flags & UPCALL_CALL_ONEWAY))
		upcall_call_answer_locked(call, 0, UPCALL_STAGE_NOT_DELIVERED);
	else if (call->flags & UPCALL_CALL_ONEWAY)
		call->answered = true;	/* nobody waits for that */
	trace_upcall_queued(call);
}

/**
 * upcall_call_enqueue_locked() - Put a call into its owner's queue
 * @call: NEW, with @share, @owner_id and the reference of its owner's side. See also room.c.
 * @now: CLOCK_MONOTONIC.
 */
void upcall_call_enqueue_locked(struct upcall_call *call, ktime_t now)
{
	struct upcall_callback *cb = call->cb;

	lockdep_assert_held(&cb->peer->lock);
	call_queued_locked(call, now);
	list_add_tail(&call->cb_link, &cb->traffic->queued);
	cb->peer->nqueued++;
	if (cb->flags & UPCALL_REGISTER_SERIAL)
		call_serial_next_locked(cb);
	else
		upcall_call_ready_locked(call, false);
}

/* The call whose place it took, whose owner's reference is the caller's; NULL; or an error. */
static struct upcall_call *call_queue_locked(struct upcall_call *call, ktime_t now)
{
	struct upcall_callback *cb = call->cb;
	struct upcall_call *old;
	int err;

	lockdep_assert_held(&cb->peer->lock);
	if (cb->state != UPCALL_CB_LIVE)
		return ERR_PTR(-ESTALE);
	err = upcall_chain_enter_locked(call);
	if (err)
		return ERR_PTR(err);
	old = call_latest_locked(call);
	if (!old && call->wait_room && upcall_room_has_waiters_locked(cb, call->from->account))
		return ERR_PTR(upcall_room_wait_locked(call));
	err = call_admit_locked(call, old);
	if (err == -EAGAIN && call->wait_room)
		err = upcall_room_wait_locked(call);
	else if (!err)
		refcount_inc(&call->refs);	/* the owner's side */
	if (err || call->room)
		return ERR_PTR(err);
	if (!old) {
		upcall_call_enqueue_locked(call, now);
		return NULL;
	}
	call_queued_locked(call, now);
	call_replace_locked(call, old);
	if (call->arg_len < old->arg_len)
		upcall_room_freed_locked(cb);
	return old;
}

/**
 * upcall_call_queue_many() - Put new calls into their owner's queue
 * @made: NEW calls to one callback, in order. They may have been given up already, by the end of
 *	their caller's peer, or their deadline. @old of each is set: an ERR_PTR as of
 *	upcall_call_queue(); or a call whose place it took, of which the owner's reference is the
 *	caller's; or NULL.
 * @n: How many, 1 at least.
 *
 * Memory can be set aside for one of them. Where there is none for another, it stops.
 *
 * Context: Process context, may sleep.
 * Return: Of how many @old is set, 1 at least: those behind are still to be queued.
 */
unsigned int upcall_call_queue_many(struct upcall_made *made, unsigned int n)
{
	struct upcall_peer *owner = call_owner(made->call);
	unsigned int i, new = 0;
	ktime_t now;

	for (i = 0; i < n; i++)
		new += !made[i].call->owner_id;
	if (new)
		idr_preload(GFP_KERNEL);
	spin_lock(&owner->lock);
	now = ktime_get();
	for (i = 0; i < n; i++) {
		struct upcall_call *call = made[i].call;

		made[i].old = call->answered ? ERR_PTR(call->answer.err)
					     : call_queue_locked(call, now);
		if (i && made[i].old == ERR_PTR(-ENOMEM))
			break;
	}
	spin_unlock(&owner->lock);
	if (new)
		idr_preload_end();
	return i;
}

/**
 * upcall_call_queue() - Put a new call into its owner's queue
 * @call: As above.
 *
 * Context: Process context, may sleep.
 * Return:
 * * 0		- it is QUEUED, or further; with @wait_room it may wait for room
 * * -ESTALE	- the callback is not live any more
 * * -EAGAIN	- its queue is full for this uid
 * * -EDEADLK	- its owner waits for it, and cannot take it
 * * -ENOMEM	- out of memory
 * * other	- what it was given up with
 */
int upcall_call_queue(struct upcall_call *call)
{
	struct upcall_made made = { .call = call };

	upcall_call_queue_many(&made, 1);
	if (!IS_ERR_OR_NULL(made.old))
		upcall_call_put(made.old);
	return PTR_ERR_OR_ZERO(made.old);
}

/**
 * upcall_call_stage_locked() - How far a call has come on its owner's side
 * @call: Any.
 *
 * Return: UPCALL_STAGE_NOT_DELIVERED or UPCALL_STAGE_DELIVERED.
 */
u32 upcall_call_stage_locked(const struct upcall_call *call)
{
	return call->state >= UPCALL_TAKEN || call->ran ? UPCALL_STAGE_DELIVERED
							: UPCALL_STAGE_NOT_DELIVERED;
}

/**
 * upcall_call_answer_locked() - The caller's end
 * @call: Perhaps answered already: the first answer stays.
 * @err: 0 or -errno.
 * @stage: UPCALL_STAGE_*.
 *
 * With a reply, its bytes and status are filled in before. One that was not submitted yet
 * gets no RESULT: its submit fails.
 *
 * Return: True if this was the first answer.
 */
bool upcall_call_answer_locked(struct upcall_call *call, int err, u32 stage)
{
	lockdep_assert_held(&call_owner(call)->lock);
	if (call->answered)
		return false;
	call->answer.err = err;
	call->answer.stage = stage;
	call->answer.when = ktime_get();
	/* In @running, those without an answer come first. A reply ends the call at once. */
	if (stage != UPCALL_STAGE_REPLIED &&
	    (call->state == UPCALL_TAKEN || call->state == UPCALL_DELIVERED))
		list_move_tail(&call->cb_link, &call->cb->traffic->running);
	/* Pairs with invoke_sleep(): who sees it sees all of @answer. */
	smp_store_release(&call->answered, true);
	if (call->caller && call->state != UPCALL_NEW)
		upcall_async_answered(call);
	rcuwait_wake_up(&call->wait);
	return true;
}

/*
 * The caller will not wait for it: what still hangs on it is its owner's business, and
 * its owner's account. A RESULT that waits to be received is still its caller's.
 */
static void call_leave_locked(struct upcall_call *call)
{
	if (call->left || call->state == UPCALL_ENDED)
		return;
	call->left = true;
	if (call->lends && call->state == UPCALL_DELIVERED)
		upcall_payload_free(&call->arg);
	call->heir = upcall_account_ref(call->cb->ident->account);
	call->heir_bytes = call->state == UPCALL_TAKEN || call->keeps_arg ? call->arg_len : 0;
	upcall_charge_force(call->heir, UPCALL_CALLS, 1);
	upcall_charge_force(call->heir, UPCALL_BYTES, call->heir_bytes);
	upcall_fds_move(call->fds, call->heir);
	if (!call->caller)
		upcall_call_uncharge(call);
}

/* Its owner has done with it. */
static void call_uncharge_heir_locked(struct upcall_call *call)
{
	if (!call->heir)
		return;
	upcall_uncharge(call->heir, UPCALL_CALLS, 1);
	upcall_uncharge(call->heir, UPCALL_BYTES, call->heir_bytes);
	upcall_account_put(call->heir);
	call->heir = NULL;
}

/* Out of the pool that QUEUED and TAKEN calls fill. */
static void call_leave_pool_locked(struct upcall_call *call)
{
	upcall_pool_drop(&call->cb->traffic->pool, call->share, call->arg_len);
	call_owner(call)->nqueued--;
}

/* How long its owner had it. Of an AUTOEND callback's notification its delivery is the end. */
static s64 call_run_ns(const struct upcall_call *call)
{
	if (call->flags & UPCALL_CALL_ENDED)
		return 0;
	if (call->answer.stage == UPCALL_STAGE_REPLIED)
		return ktime_to_ns(ktime_sub(call->answer.when, call->taken_at));
	return ktime_to_ns(ktime_sub(ktime_get(), call->taken_at));
}

/* There is room in its queue: for whom? Mostly nobody waits for it. */
static void call_freed_room_locked(struct upcall_callback *cb)
{
	if (unlikely(!list_empty(&cb->traffic->rooms)))
		upcall_room_freed_locked(cb);
}

/**
 * upcall_call_end_locked() - The owner's end
 * @call: QUEUED and out of the queue, TAKEN or DELIVERED. The owner's reference goes to the
 *	one who calls this, to be dropped without the lock.
 *
 * May be the last one of its callback: then RELEASED is queued.
 */
void upcall_call_end_locked(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;
	struct upcall_peer *owner = cb->peer;
	bool delivered = call->state == UPCALL_DELIVERED;

	lockdep_assert_held(&owner->lock);
	if (delivered) {
		cb->traffic->run_ns += call_run_ns(call);
		cb->traffic->nrunning--;
		owner->nrunning--;
	} else {
		call_leave_pool_locked(call);
	}
	call->state = UPCALL_ENDED;
	call_uncharge_heir_locked(call);
	list_del_init(&call->cb_link);
	if (!list_empty(&call->nest_link))
		list_del_init(&call->nest_link);
	/* Its reference is not the last one: the owner's is still there. */
	if (upcall_event_node_drop(&call->cancel))
		refcount_dec(&call->refs);
	call_serial_next_locked(cb);
	if (!delivered)
		call_freed_room_locked(cb);
	upcall_callback_end_locked(cb);
}

/**
 * upcall_call_unqueue_locked() - Both ends of a call in the queue
 * @call: QUEUED. The owner's reference goes to the one who calls this.
 * @err: -errno for its caller; the stage is NOT_DELIVERED, unless it @ran.
 */
void upcall_call_unqueue_locked(struct upcall_call *call, int err)
{
	upcall_event_node_drop(&call->node);
	upcall_fds_drop(&call->fds);	/* it may stay for long, for its RESULT */
	upcall_call_answer_locked(call, err, upcall_call_stage_locked(call));
	upcall_call_end_locked(call);
}

/**
 * upcall_call_cancel_locked() - Tell the owner that nobody wants the answer any more
 * @call: Answered. Told only once it is DELIVERED: before, see
 *	upcall_call_delivered_locked().
 */
void upcall_call_cancel_locked(struct upcall_call *call)
{
	struct upcall_peer *owner = call_owner(call);

	lockdep_assert_held(&owner->lock);
	call_leave_locked(call);
	if (call->state != UPCALL_DELIVERED || owner->dead)
		return;
	refcount_inc(&call->refs);
	upcall_event_node_queue(&call->cancel, &owner->events);
	upcall_chain_cancel_locked(call, false);
	upcall_peer_wake_locked(owner, UPCALL_EVENT_CANCEL);
}

/**
 * upcall_call_delivered_locked() - The receiver has it
 * @call: TAKEN.
 *
 * Return: True if that was its owner's end as well: a notification of an AUTOEND callback. The
 *	owner's reference goes to the caller then.
 */
bool upcall_call_delivered_locked(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;

	lockdep_assert_held(&cb->peer->lock);
	call_leave_pool_locked(call);
	call->state = UPCALL_DELIVERED;
	cb->traffic->nrunning++;
	cb->peer->nrunning++;
	cb->traffic->delivered++;
	if (!call->ran)
		cb->traffic->queued_ns += ktime_to_ns(ktime_sub(call->taken_at, call->queued_at));
	trace_upcall_delivered(call);
	call_freed_room_locked(cb);
	if (call->flags & UPCALL_CALL_ENDED) {
		upcall_call_end_locked(call);
		return true;
	}
	if (call->flags & UPCALL_CALL_ONEWAY)
		call_leave_locked(call);
	else if (call->answered)
		upcall_call_cancel_locked(call);
	return false;
}
