// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a receiver's batch: all of it was delivered, or all of it goes back to where it came
 * from. What is left of a commit is done for all calls at once.
 */
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include "async.h"
#include "batch.h"
#include "call.h"
#include "callback.h"
#include "main.h"
#include "peer.h"
#include "stub.h"
#include "submit.h"

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
	upcall_chain_cancel_locked(call, true);
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

/* One that ended goes to @over; of one that waits again its owner's side has a reference. */
static void batch_return_to_queue_locked(struct upcall_peer *peer, struct upcall_event_node *node,
					 struct list_head *over)
{
	struct upcall_call *call = upcall_node_call(node);
	bool was_taken = call->state == UPCALL_TAKEN;

	batch_return_locked(peer, node);
	if (call->state == UPCALL_QUEUED) {
		refcount_dec(&call->refs);
		return;
	}
	upcall_fds_drop(&call->fds);
	node->owed = was_taken;
	node->taken = true;
	list_add(&node->link, over);
}

/* Under one hold of the lock: another receiver would take a later one before an earlier one. */
static void batch_return_calls(struct upcall_batch *batch, struct upcall_peer *peer)
{
	struct upcall_event_node *node, *next;
	LIST_HEAD(over);

	list_for_each_entry(node, &batch->events, link) {
		if (node->type == UPCALL_EVENT_CALL && node->fds)
			upcall_fds_undeliver(upcall_node_fds(node));
	}
	spin_lock(&peer->lock);
	list_for_each_entry_safe_reverse(node, next, &batch->events, link) {
		if (node->type == UPCALL_EVENT_CALL)
			batch_return_to_queue_locked(peer, node, &over);
	}
	spin_unlock(&peer->lock);
	list_for_each_entry_safe(node, next, &over, link) {
		list_del_init(&node->link);
		batch_put_call(upcall_node_call(node), node->owed);
	}
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

	batch_return_calls(batch, peer);
	/* Last one first, so that the first one ends up in front. */
	list_for_each_entry_safe_reverse(node, prev, &batch->events, link)
		batch_return_one(peer, node);
}

static void batch_commit_one_locked(struct upcall_peer *peer, struct upcall_event_node *node)
{
	struct upcall_call *call;

	switch (node->type) {
	case UPCALL_EVENT_CALL:
		call = upcall_node_call(node);
		if (call->fds)
			upcall_fds_drop(&call->fds);
		if (call->left)
			call->lends = false;
		if (call->state == UPCALL_TAKEN)
			node->owed = upcall_call_delivered_locked(call);
		break;
	case UPCALL_EVENT_RESULT:
		node->owed = upcall_submit_unlink_locked(peer, upcall_node_call(node));
		break;
	case UPCALL_EVENT_CANCEL:
		upcall_callback_cancelled_locked(upcall_node_callback(node));
		break;
	}
}

/* The receiver's reference goes, and with the owner's end the owner's. */
static void batch_release_call(struct upcall_event_node *node, struct upcall_over *over)
{
	struct upcall_call *call = upcall_node_call(node);

	if (call->arg.len > UPCALL_SMALL_PAYLOAD && !call->keeps_arg && !call->lends)
		upcall_payload_free(&call->arg);
	upcall_call_put_later(call, 1 + node->owed, over);
}

/* As upcall_async_done(), where others have a reference; where they have none they get none. */
static void batch_release_result(struct upcall_event_node *node, struct upcall_over *over)
{
	struct upcall_call *call = upcall_node_call(node);
	int refs = 1 + node->owed;

	if (refcount_read(&call->refs) == refs) {
		upcall_call_put_later(call, refs, over);
		return;
	}
	if (node->owed)
		upcall_call_put(call);
	upcall_async_done(call);
}

static void batch_release(struct upcall_event_node *node)
{
	if (node->type == UPCALL_EVENT_RELEASED) {
		upcall_callback_gone(upcall_node_callback(node));
		return;
	}
	if (node->type == UPCALL_EVENT_UNREFERENCED)
		upcall_stub_told(upcall_node_callback(node));
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
	struct upcall_over over = { .calls = LIST_HEAD_INIT(over.calls) };
	struct upcall_event_node *node, *next;
	u32 idle;

	spin_lock(&peer->lock);
	list_for_each_entry(node, &batch->events, link)
		batch_commit_one_locked(peer, node);
	idle = upcall_spare_idle_locked(peer);
	spin_unlock(&peer->lock);

	list_for_each_entry_safe(node, next, &batch->events, link) {
		INIT_LIST_HEAD(&node->link);	/* all of them leave the batch */
		if (likely(node->type == UPCALL_EVENT_CALL))
			batch_release_call(node, &over);
		else if (likely(node->type == UPCALL_EVENT_RESULT))
			batch_release_result(node, &over);
		else
			batch_release(node);
	}
	upcall_call_put_all(&over);
	if (idle)
		upcall_spare_trim(peer, idle);
}
