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
	if (!batch->calls) {
		upcall_spin_meet_locked(&cb->peer->server, task_pid(current));
		upcall_spin_meet_locked(&cb->peer->client, call->tid);
	}
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
