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
#include <linux/uaccess.h>
#include "batch.h"
#include "call.h"
#include "callback.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"
#include "timens.h"

static struct upcall_call *node_call(struct upcall_event_node *node)
{
	return node->type == UPCALL_EVENT_CALL ? container_of(node, struct upcall_call, node) :
						 container_of(node, struct upcall_call, cancel);
}

static struct upcall_callback *node_callback(struct upcall_event_node *node)
{
	return node->type == UPCALL_EVENT_RELEASED ?
	       container_of(node, struct upcall_callback, released) : node_call(node)->cb;
}

/* Bytes that an event takes in the buffer: at most a struct and UPCALL_MAX_PAYLOAD. */
static u32 node_size(struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return sizeof(struct upcall_event_call) + ALIGN(node_call(node)->arg_len, 8);
	case UPCALL_EVENT_CANCEL:
		return sizeof(struct upcall_event_cancel);
	default:
		return sizeof(struct upcall_event);
	}
}

static bool batch_fits(struct upcall_batch *batch, struct upcall_event_node *node, u32 room)
{
	u32 size = node_size(node);

	if (size <= room - batch->used && batch->count < UPCALL_MAX_EVENTS)
		return true;
	if (!batch->count)
		batch->needed = size;
	return false;
}

static void batch_add_locked(struct upcall_batch *batch, struct upcall_event_node *node)
{
	node->taken = true;
	node->cookie = node_callback(node)->cookie;
	list_move_tail(&node->link, &batch->events);
	batch->count++;
	batch->used += node_size(node);
}

/* A queued call becomes TAKEN. The batch has a reference of its own to it. */
static void batch_add_call_locked(struct upcall_batch *batch, struct upcall_call *call, ktime_t now)
{
	refcount_inc(&call->refs);
	call->state = UPCALL_TAKEN;
	call->taken_at = now;
	if (call->answered)	/* a notification */
		list_move_tail(&call->cb_link, &call->cb->running);
	else
		list_move(&call->cb_link, &call->cb->running);
	batch_add_locked(batch, &call->node);
	batch->calls++;
}

/**
 * upcall_batch_take_locked() - Take what there is, as far as it fits
 * @batch: Empty. If it stays so, @needed says whether something is there.
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
	struct upcall_event_node *node, *next;
	ktime_t now = ktime_get();

	lockdep_assert_held(&peer->lock);
	list_for_each_entry_safe(node, next, &peer->events, link) {
		if (!batch_fits(batch, node, args->events_len))
			return;
		if (node->type == UPCALL_EVENT_RELEASED)
			refcount_inc(&node_callback(node)->refs);
		else
			node_callback(node)->cancelling++;
		batch_add_locked(batch, node);	/* CANCEL brings its reference */
	}
	batch->swamped = !list_empty(&peer->queue) && args->max_calls &&
			 upcall_account_swamped(peer->ident->account);
	if (batch->swamped)
		return;
	list_for_each_entry_safe(node, next, &peer->queue, link) {
		if (batch->calls >= args->max_calls ||
		    !batch_fits(batch, node, args->events_len))
			return;
		batch_add_call_locked(batch, node_call(node), now);
	}
}

static void event_fill_call(struct upcall_event_call *event, struct upcall_call *call)
{
	struct upcall_ids ids;

	upcall_ident_show(call->from, &ids);
	event->call = call->owner_id;
	event->seq = call->seq;
	if (!(call->flags & UPCALL_CALL_NO_DEADLINE))
		event->deadline_ns = ktime_to_ns(upcall_time_show(call->deadline));
	event->start_time = ids.start_time;
	event->flags = call->flags;
	event->op = call->op;
	event->pid = ids.pid;
	event->tid = upcall_pid_show(call->tid);
	event->uid = ids.uid;
	event->gid = ids.gid;
	event->reply_max = call->reply_max;
	event->payload_offset = sizeof(*event);
	event->payload_len = call->arg_len;
	event->fds_offset = event->event.size;
}

/* Padding behind a payload is not written: what stands there is the receiver's own. */
static int batch_copy_one(struct upcall_event_node *node, char __user *to)
{
	union {
		struct upcall_event event;
		struct upcall_event_call call;
		struct upcall_event_cancel cancel;
	} out;
	size_t size = sizeof(out.event);

	memset(&out, 0, sizeof(out));
	out.event.size = node_size(node);
	out.event.type = node->type;
	out.event.handle = node_callback(node)->handle;
	out.event.cookie = node->cookie;
	if (node->type == UPCALL_EVENT_CALL) {
		size = sizeof(out.call);
		event_fill_call(&out.call, node_call(node));
	} else if (node->type == UPCALL_EVENT_CANCEL) {
		size = sizeof(out.cancel);
		out.cancel.call = node_call(node)->owner_id;
		out.cancel.error = -node_call(node)->answer.err;
	}
	if (copy_to_user(to, &out, size))
		return -EFAULT;
	if (node->type == UPCALL_EVENT_CALL)
		return upcall_payload_to_user(&node_call(node)->arg, to + size);
	return 0;
}

/**
 * upcall_batch_copy() - Write the events to their receiver
 * @batch: Taken.
 * @args: Where to.
 *
 * Context: Process context, may fault.
 * Return: 0 or -EFAULT.
 */
int upcall_batch_copy(struct upcall_batch *batch, const struct upcall_exchange *args)
{
	char __user *to = u64_to_user_ptr(args->events);
	struct upcall_event_node *node;
	int err;

	list_for_each_entry(node, &batch->events, link) {
		err = batch_copy_one(node, to);
		if (err)
			return err;
		to += node_size(node);
	}
	return 0;
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
		call->taken_at = 0;
		upcall_call_answer_locked(call, -ESTALE, UPCALL_STAGE_NOT_DELIVERED);
		upcall_call_end_locked(call);
	} else {
		call->taken_at = 0;
		call->state = UPCALL_QUEUED;
		list_move(&call->cb_link, &cb->queued);
		list_add(&call->node.link, &cb->peer->queue);
	}
}

/* RELEASED waits for CANCELs that are being copied: nothing follows it. */
static void batch_cancelled_locked(struct upcall_callback *cb)
{
	cb->cancelling--;
	upcall_callback_end_locked(cb);
}

/* True if the batch's reference is not needed any more: a waiting CANCEL has it. */
static bool batch_return_locked(struct upcall_peer *peer, struct upcall_event_node *node)
{
	list_del_init(&node->link);
	node->taken = false;
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		batch_return_call_locked(node_call(node));
		return true;
	case UPCALL_EVENT_CANCEL:
		batch_cancelled_locked(node_callback(node));
		if (node_call(node)->state != UPCALL_DELIVERED)
			return true;
		list_add(&node->link, &peer->events);
		return false;
	default:
		if (node_callback(node)->state == UPCALL_CB_RELEASED)
			list_add(&node->link, &peer->events);
		return true;
	}
}

static void node_put(struct upcall_event_node *node)
{
	if (node->type == UPCALL_EVENT_RELEASED)
		upcall_callback_put(node_callback(node));
	else
		upcall_call_put(node_call(node));
}

/* The owner's references of calls that ended go with the batch's own. */
static void batch_put_call(struct upcall_call *call, bool ended)
{
	if (ended)
		upcall_call_put(call);
	upcall_call_put(call);
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
	bool was_taken, ended, put;
	u32 type;

	/* Last one first, so that the first one ends up in front. */
	list_for_each_entry_safe_reverse(node, prev, &batch->events, link) {
		spin_lock(&peer->lock);
		type = node->type;
		was_taken = type == UPCALL_EVENT_CALL && node_call(node)->state == UPCALL_TAKEN;
		put = batch_return_locked(peer, node);
		ended = was_taken && node_call(node)->state == UPCALL_ENDED;
		if (upcall_event_node_waits(node))
			upcall_peer_wake_locked(peer, type);
		spin_unlock(&peer->lock);
		/* A CANCEL that waits again took its reference along: it is not ours to touch. */
		if (type == UPCALL_EVENT_CALL)
			batch_put_call(node_call(node), ended);
		else if (put)
			node_put(node);
	}
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

	spin_lock(&peer->lock);
	list_for_each_entry(node, &batch->events, link) {
		if (node->type == UPCALL_EVENT_CALL && node_call(node)->state == UPCALL_TAKEN)
			upcall_call_delivered_locked(node_call(node));
		else if (node->type == UPCALL_EVENT_CANCEL)
			batch_cancelled_locked(node_callback(node));
	}
	spin_unlock(&peer->lock);

	list_for_each_entry_safe(node, next, &batch->events, link) {
		list_del_init(&node->link);
		if (node->type == UPCALL_EVENT_RELEASED)
			upcall_callback_gone(node_callback(node));
		else if (node->type == UPCALL_EVENT_CALL)
			upcall_payload_free(&node_call(node)->arg);
		node_put(node);
	}
}
