// SPDX-License-Identifier: GPL-2.0-only
/*
 * A batch of events: a receiver takes it under the lock, copies it without, and then
 * either commits it or puts it back.
 *
 * From take to commit a call is TAKEN: its caller cannot take it back any more, and nobody
 * but the receiver touches its place in the batch. Whatever befalls it meanwhile (its caller
 * leaves, its callback is retired, the peer dies) is seen at the commit.
 */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "async.h"
#include "batch.h"
#include "call.h"
#include "callback.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"
#include "stub.h"
#include "submit.h"

static bool batch_has_room(struct upcall_batch *batch, const struct upcall_event_node *node,
			   u32 room)
{
	if (node->size <= room - batch->used && batch->count < UPCALL_MAX_EVENTS &&
	    batch->fds + node->fds <= UPCALL_MAX_FDS)
		return true;
	if (!batch->count)
		batch->needed = node->size;
	return false;
}

static bool batch_fits(struct upcall_batch *batch, struct upcall_event_node *node, u32 room)
{
	node->size = upcall_node_size(node);
	node->fds = upcall_fds_count(upcall_node_fds(node));
	return batch_has_room(batch, node, room);
}

static bool batch_fits_call(struct upcall_batch *batch, struct upcall_call *call, u32 room)
{
	call->node.size = upcall_call_event_size(call) + upcall_fds_size(call->fds);
	call->node.fds = upcall_fds_count(call->fds);
	return batch_has_room(batch, &call->node, room);
}

static void batch_add_locked(struct upcall_batch *batch, struct upcall_event_node *node,
			     u64 cookie)
{
	node->taken = true;
	node->owed = false;
	node->cookie = cookie;
	list_move_tail(&node->link, &batch->events);
	batch->count++;
	batch->fds += node->fds;
	batch->used += node->size;
}

/* A queued call becomes TAKEN. The batch has a reference of its own to it. */
static void batch_add_call_locked(struct upcall_batch *batch, struct upcall_call *call, ktime_t now)
{
	struct upcall_callback *cb = call->cb;

	refcount_inc(&call->refs);
	call->state = UPCALL_TAKEN;
	call->keeps_arg = cb->flags & UPCALL_REGISTER_IDEMPOTENT && !call->fds;
	call->lends &= !call->keeps_arg;
	call->taken_at = now;
	if (!list_empty(&call->nest_link))
		list_del_init(&call->nest_link);
	if (call->answered)	/* a notification */
		list_move_tail(&call->cb_link, &cb->traffic->running);
	else
		list_move(&call->cb_link, &cb->traffic->running);
	upcall_spin_meet_locked(&cb->peer->server, task_pid(current));
	upcall_spin_meet_locked(&cb->peer->client, call->tid);
	batch_add_locked(batch, &call->node, cb->released.cookie);
	batch->calls++;
}

/* The batch has the reference that the event had. */
static void batch_add_cancel_locked(struct upcall_batch *batch, struct upcall_call *call)
{
	list_del_init(&call->nest_link);
	call->cb->traffic->cancelling++;
	batch_add_locked(batch, &call->cancel, call->cb->released.cookie);
}

/* The batch has a reference to the callback. */
static void batch_add_notice_locked(struct upcall_batch *batch, struct upcall_event_node *node)
{
	struct upcall_callback *cb = upcall_node_callback(node);

	refcount_inc(&cb->refs);
	if (node->type == UPCALL_EVENT_UNREFERENCED)
		cb->traffic->cancelling++;
	batch_add_locked(batch, node, cb->released.cookie);
}

/* True if all of them fit. */
static bool batch_take_events_locked(struct upcall_batch *batch, struct upcall_peer *peer, u32 room)
{
	struct upcall_event_node *node, *next;

	list_for_each_entry_safe(node, next, &peer->events, link) {
		if (!batch_fits(batch, node, room))
			return false;
		if (node->type == UPCALL_EVENT_CANCEL)
			batch_add_cancel_locked(batch, upcall_node_call(node));
		else
			batch_add_notice_locked(batch, node);
	}
	list_for_each_entry_safe(node, next, &peer->results, link) {
		if (!batch_fits(batch, node, room))
			return false;
		/* Brings its reference. The callback's cookie is not ours to see. */
		batch_add_locked(batch, node, upcall_node_call(node)->user_data);
	}
	return true;
}

/* Whether it is a call of that chain, or the CANCEL of one below or above in it. */
static bool chain_takes(const struct upcall_call *call, const struct upcall_call *wait, bool calls)
{
	if (call->state == UPCALL_QUEUED)
		return calls && upcall_chain_has(call, wait);
	return upcall_event_node_waits(&call->cancel) &&
	       (upcall_chain_has(call, wait) || upcall_chain_has(wait, call));
}

/**
 * upcall_batch_chain_ready_locked() - Whether there is something for a thread that waits
 * @peer: Its.
 * @wait: For this call.
 * @calls: It takes calls.
 *
 * Context: Under @peer->lock.
 * Return: True if so.
 */
bool upcall_batch_chain_ready_locked(struct upcall_peer *peer, const struct upcall_call *wait,
				     bool calls)
{
	struct upcall_call *call;

	lockdep_assert_held(&peer->lock);
	if (wait->landed || !llist_empty(&peer->answers))
		return true;
	list_for_each_entry(call, &peer->nested, nest_link) {
		if (chain_takes(call, wait, calls))
			return true;
	}
	return false;
}

/* For a thread that waits for one call: what its chain leads here, then its RESULT. */
static void batch_take_chain_locked(struct upcall_batch *batch, struct upcall_peer *peer,
				    const struct upcall_exchange *args)
{
	struct upcall_call *call, *next;
	ktime_t now = ktime_get();
	bool calls;

	list_for_each_entry_safe(call, next, &peer->nested, nest_link) {
		calls = batch->calls < args->max_calls;
		if (!chain_takes(call, batch->wait, calls))
			continue;
		if (call->state != UPCALL_QUEUED) {
			if (!batch_fits(batch, &call->cancel, args->events_len))
				break;
			batch_add_cancel_locked(batch, call);
		} else if (upcall_account_swamped(peer->ident->account)) {
			batch->swamped = true;
		} else {
			if (!batch_fits_call(batch, call, args->events_len))
				break;
			batch_add_call_locked(batch, call, now);
		}
	}
	/* Also beside one that does not fit: others made that, and may go on doing so. */
	call = batch->wait;
	if (!call->landed || !batch_fits(batch, &call->result, args->events_len))
		return;
	call->landed = false;
	batch_add_locked(batch, &call->result, call->user_data);
}

/**
 * upcall_batch_take_locked() - Take what there is, as far as it fits
 * @batch: Empty but for @wait. If it stays so, @needed says whether something is there.
 * @peer: Whose events.
 * @args: @events_len and @max_calls bound it.
 *
 * Other events go first: they are few, and calls may be many. An owner who owes the end
 * of too many calls gets no more of them: @swamped.
 *
 * Context: Under @peer->lock.
 */
void upcall_batch_take_locked(struct upcall_batch *batch, struct upcall_peer *peer,
			      const struct upcall_exchange *args)
{
	struct upcall_call *call, *next;
	ktime_t now;

	lockdep_assert_held(&peer->lock);
	upcall_async_land_locked(peer);
	if (batch->wait) {
		batch_take_chain_locked(batch, peer, args);
		return;
	}
	if (!batch_take_events_locked(batch, peer, args->events_len))
		return;
	if (list_empty(&peer->queue) || !args->max_calls)
		return;
	batch->swamped = upcall_account_swamped(peer->ident->account);
	if (batch->swamped)
		return;
	now = ktime_get();
	list_for_each_entry_safe(call, next, &peer->queue, node.link) {
		if (batch->calls >= args->max_calls ||
		    !batch_fits_call(batch, call, args->events_len))
			return;
		batch_add_call_locked(batch, call, now);
	}
}

/* Back to where it came from, unless it has met its end meanwhile. */
static void batch_return_call_locked(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;

	if (call->state != UPCALL_TAKEN)
		return;
	if (call->answered && !(call->flags & UPCALL_CALL_ONEWAY)) {
		upcall_call_end_locked(call);
	} else if (cb->state != UPCALL_CB_LIVE) {
		if (call->ran) {
			upcall_call_answer_locked(call, -EOWNERDEAD, UPCALL_STAGE_DELIVERED);
		} else {
			call->taken_at = 0;
			upcall_call_answer_locked(call, -ESTALE, UPCALL_STAGE_NOT_DELIVERED);
		}
		upcall_call_end_locked(call);
	} else {
		if (!call->ran)
			call->taken_at = 0;
		call->state = UPCALL_QUEUED;
		list_move(&call->cb_link, &cb->traffic->queued);
		upcall_call_ready_locked(call, true);
	}
}

/* True if it waits again. */
static bool batch_return_cancel_locked(struct upcall_peer *peer, struct upcall_call *call)
{
	upcall_callback_cancelled_locked(call->cb);
	if (call->state != UPCALL_DELIVERED)
		return false;
	list_add(&call->cancel.link, &peer->events);
	list_add(&call->nest_link, &peer->nested);
	wake_up(&peer->chain_wait);
	return true;
}

/* True if the batch's reference is not needed any more: a waiting CANCEL has it. */
static bool batch_return_locked(struct upcall_peer *peer, struct upcall_event_node *node)
{
	struct upcall_callback *cb = upcall_node_callback(node);

	list_del_init(&node->link);
	node->taken = false;
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		batch_return_call_locked(upcall_node_call(node));
		return true;
	case UPCALL_EVENT_RESULT:
		return !upcall_async_return_locked(upcall_node_call(node));
	case UPCALL_EVENT_CANCEL:
		return !batch_return_cancel_locked(peer, upcall_node_call(node));
	case UPCALL_EVENT_UNREFERENCED:
		if (upcall_stub_returned_locked(cb))
			list_add(&node->link, &peer->events);
		upcall_callback_cancelled_locked(cb);
		return true;
	default:
		if (cb->state == UPCALL_CB_RELEASED)
			list_add(&node->link, &peer->events);
		return true;
	}
}

static void node_put(struct upcall_event_node *node)
{
	if (node->type == UPCALL_EVENT_RELEASED || node->type == UPCALL_EVENT_UNREFERENCED)
		upcall_callback_put(upcall_node_callback(node));
	else if (node->type == UPCALL_EVENT_RESULT)
		upcall_async_done(upcall_node_call(node));
	else
		upcall_call_put(upcall_node_call(node));
}

/* The owner's references of calls that ended go with the batch's own. */
static void batch_put_call(struct upcall_call *call, bool ended)
{
	if (ended)
		upcall_call_put(call);
	upcall_call_put(call);
}

/* As upcall_batch_return(), one of them; it is in no batch then. */
static void batch_return_one(struct upcall_peer *peer, struct upcall_event_node *node)
{
	bool was_taken, ended, put;
	struct upcall_call *call;
	u32 type;

	if (node->fds)
		upcall_fds_undeliver(upcall_node_fds(node));
	spin_lock(&peer->lock);
	type = node->type;
	call = type == UPCALL_EVENT_CALL ? upcall_node_call(node) : NULL;
	was_taken = call && call->state == UPCALL_TAKEN;
	put = batch_return_locked(peer, node);
	ended = was_taken && call->state == UPCALL_ENDED;
	if (call && call->state == UPCALL_ENDED)
		upcall_fds_drop(&call->fds);
	if (upcall_event_node_waits(node))
		upcall_peer_wake_locked(peer, type);
	spin_unlock(&peer->lock);
	/* A CANCEL that waits again took its reference along: it is not ours to touch. */
	if (call)
		batch_put_call(call, ended);
	else if (put)
		node_put(node);
}

/**
 * upcall_batch_omit() - A call that cannot be received any more
 * @batch: Taken; the call is not in it any more.
 * @peer: From there.
 * @node: The call's. Its caller has left: this is its owner's end.
 *
 * Context: Process context.
 */
void upcall_batch_omit(struct upcall_batch *batch, struct upcall_peer *peer,
		       struct upcall_event_node *node)
{
	batch->count--;
	batch->calls--;
	batch->fds -= node->fds;
	batch->used -= node->size;
	batch_return_one(peer, node);
}

/**
 * upcall_batch_return() - The copy faulted: put all back, in front, in order
 * @batch: Taken.
 * @peer: From there.
 *
 * Context: Process context.
 */
void upcall_batch_return(struct upcall_batch *batch, struct upcall_peer *peer)
{
	struct upcall_event_node *node, *prev;

	/* Last one first, so that the first one ends up in front. */
	list_for_each_entry_safe_reverse(node, prev, &batch->events, link)
		batch_return_one(peer, node);
}

static void batch_commit_call_locked(struct upcall_call *call)
{
	if (call->fds)
		upcall_fds_drop(&call->fds);
	if (call->left)
		call->lends = false;
	if (call->state == UPCALL_TAKEN)
		call->node.owed = upcall_call_delivered_locked(call);
}

static void batch_commit_one_locked(struct upcall_peer *peer, struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		batch_commit_call_locked(container_of(node, struct upcall_call, node));
		break;
	case UPCALL_EVENT_RESULT:
		node->owed = upcall_submit_unlink_locked(peer, upcall_node_call(node));
		break;
	case UPCALL_EVENT_CANCEL:
		upcall_callback_cancelled_locked(upcall_node_callback(node));
		break;
	}
}

/* The batch's references, and those that its commit took over. */
static void batch_done_call(struct upcall_call *call)
{
	if (!call->keeps_arg && !call->lends)
		upcall_payload_free(&call->arg);
	if (unlikely(call->node.owed))
		upcall_call_put(call);
	upcall_call_put(call);
}

static void batch_done_other(struct upcall_event_node *node)
{
	if (node->type == UPCALL_EVENT_RELEASED) {
		upcall_callback_gone(upcall_node_callback(node));
		return;
	}
	if (node->type == UPCALL_EVENT_UNREFERENCED)
		upcall_stub_told(upcall_node_callback(node));
	if (node->owed)
		upcall_call_put(upcall_node_call(node));
	node_put(node);
}

/**
 * upcall_batch_commit() - The receiver has all of it
 * @batch: Taken and copied.
 * @peer: From there.
 *
 * The nodes stay @taken: they are still linked to each other.
 *
 * Context: Process context.
 */
void upcall_batch_commit(struct upcall_batch *batch, struct upcall_peer *peer)
{
	struct upcall_event_node *node, *next;
	bool trim;

	spin_lock(&peer->lock);
	list_for_each_entry(node, &batch->events, link)
		batch_commit_one_locked(peer, node);
	trim = upcall_spare_is_idle_locked(peer);
	spin_unlock(&peer->lock);

	list_for_each_entry_safe(node, next, &batch->events, link) {
		INIT_LIST_HEAD(&node->link);	/* all of them: there is no list any more */
		if (likely(node->type == UPCALL_EVENT_CALL))
			batch_done_call(container_of(node, struct upcall_call, node));
		else
			batch_done_other(node);
	}
	if (trim)
		upcall_spare_trim(peer);
}
