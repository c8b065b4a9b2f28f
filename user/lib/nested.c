// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Calls within calls. What a function calls while it runs is on behalf of the call that it
 * runs on: it has that one as its parent, ends with its deadline and its cancellation, and
 * while the function waits its thread runs the calls that come back to it.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>
#include "internal.h"

_Thread_local struct upcall_incoming *upcall_current;

uint64_t upcall_nested_deadline(const struct upcall_call *call, uint64_t deadline)
{
	uint64_t outer;

	if (!upcall_current || call->detached)
		return deadline;
	outer = upcall_incoming_deadline(upcall_current);
	return outer < deadline ? outer : deadline;	/* none is the largest number */
}

static void pending_cancel(struct upcall_peer *peer, const struct upcall_pending *pending)
{
	if (pending->id)
		upcall_cancel(peer, pending->id);
}

/* What is called on its behalf is not wanted any more either. */
void upcall_nested_cancel_children_locked(struct upcall_incoming *incoming)
{
	struct upcall_pending *child;

	for (child = incoming->children; child; child = child->sibling)
		pending_cancel(child->call->peer, child);
}

static void child_add(struct upcall_pending *pending)
{
	struct upcall_incoming *parent = upcall_current;
	struct upcall_peer *peer;

	if (!parent || pending->call->detached)
		return;
	peer = parent->peer;
	pthread_mutex_lock(&peer->lock);
	pending->parent = parent;
	pending->sibling = parent->children;
	parent->children = pending;
	if (atomic_load(&parent->cancelled))
		pending_cancel(pending->call->peer, pending);
	pthread_mutex_unlock(&peer->lock);
}

static void child_remove(struct upcall_pending *pending)
{
	struct upcall_incoming *parent = pending->parent;
	struct upcall_pending **at;

	if (!parent)
		return;
	pthread_mutex_lock(&parent->peer->lock);
	for (at = &parent->children; *at; at = &(*at)->sibling) {
		if (*at == pending) {
			*at = pending->sibling;
			break;
		}
	}
	pthread_mutex_unlock(&parent->peer->lock);
	pending->parent = NULL;
}

/* Its RESULT is another thread's, which hands it over: 0; or -ESHUTDOWN. */
static int wait_for_hand_over(struct upcall_call *call)
{
	struct upcall_peer *peer = call->peer;
	int err;

	pthread_mutex_lock(&peer->lock);
	while (!call->pending.result && !peer->ended)
		pthread_cond_wait(&peer->handed, &peer->lock);
	err = call->pending.result ? 0 : -ESHUTDOWN;
	pthread_mutex_unlock(&peer->lock);
	return err;
}

/* Everything in a batch of the chain; its RESULT is handed over to ourselves. */
static int run_batch(struct upcall_peer *peer, struct upcall_batch *batch)
{
	struct upcall_incoming *incoming;
	int err;

	for (;;) {
		err = upcall_receive_from(peer, batch, &incoming);
		if (err)
			return err == -EAGAIN ? 0 : err;
		switch (upcall_incoming_type(incoming)) {
		case UPCALL_EVENT_CALL:
			upcall_dispatch_call(incoming);
			break;
		case UPCALL_EVENT_RESULT:
			if (!upcall_async_take(peer, incoming))
				upcall_incoming_free(incoming);
			break;
		default:
			upcall_incoming_free(incoming);
		}
	}
}

static bool has_result(struct upcall_call *call)
{
	bool has;

	pthread_mutex_lock(&call->peer->lock);
	has = call->pending.result;
	pthread_mutex_unlock(&call->peer->lock);
	return has;
}

/* Until the RESULT is there. 0, -EINTR, -ESHUTDOWN, -EPERM or -ENOMEM. */
static int wait_in_chain(struct upcall_call *call)
{
	static const struct timespec nap = { .tv_nsec = 1000000 };
	struct upcall_peer *peer = call->peer;
	struct upcall_batch *batch;
	unsigned int max_calls = 1;
	int err;

	while (!has_result(call)) {
		err = upcall_receive_chain(peer, call->pending.id, max_calls, &batch);
		max_calls = 1;
		if (!err) {
			err = run_batch(peer, batch);
			upcall_batch_put(peer, batch);
		}
		if (err == -ENOENT)
			return wait_for_hand_over(call);
		if (err == -EDQUOT)	/* others' ends come first: the RESULT alone */
			max_calls = 0;
		else if (err == -ENOMEM)
			nanosleep(&nap, NULL);
		else if (err && (err != -EINTR || call->interruptible))
			return err;
	}
	return 0;
}

static int finish(struct upcall_call *call, int err)
{
	struct upcall_peer *peer = call->peer;
	struct upcall_incoming *result;

	child_remove(&call->pending);
	if (err == -EINTR)
		return err;	/* may be waited for again */
	pthread_mutex_lock(&peer->lock);
	result = call->pending.result;
	call->pending.result = NULL;
	pthread_mutex_unlock(&peer->lock);
	if (result) {
		err = upcall_call_fill_result(call, result);
		upcall_incoming_free(result);
	} else {
		upcall_async_orphan(call);
		call->invoke.stage = UPCALL_STAGE_DELIVERED;
	}
	atomic_store(&call->active, false);
	return err;
}

int upcall_nested_wait(struct upcall_call *call)
{
	child_add(&call->pending);
	return finish(call, wait_in_chain(call));
}

/* As prepared by upcall_call_begin(). */
int upcall_nested_invoke(struct upcall_call *call)
{
	struct upcall_command command;
	int err;

	if (upcall_current && !call->detached && atomic_load(&upcall_current->cancelled))
		return upcall_call_fail_early(call, -ECANCELED);
	upcall_call_command(call, &command);
	if (upcall_current && !call->detached && upcall_current->peer == call->peer)
		command.parent = upcall_incoming_id(upcall_current);
	call->pending = (struct upcall_pending){ .call = call, .waited = true };
	atomic_store(&call->active, true);
	err = upcall_async_send(call->peer, &call->pending, &command, &call->slot);
	if (!err)
		return upcall_nested_wait(call);
	atomic_store(&call->active, false);
	call->invoke.stage = command.stage ? command.stage : UPCALL_STAGE_NOT_DELIVERED;
	call->invoke.needed = command.needed;
	return err;
}
