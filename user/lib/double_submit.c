// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How a call of the test double begins: the tests in the order of the manual, then the queue.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "double.h"

static struct double_call *entry_of_queue(struct double_link *link)
{
	return double_entry(link, struct double_call, owner_link);
}

/* --- may it be made --------------------------------------------------------------- */

static int submit_parent(struct double_peer *peer, const struct double_request *request,
			 struct double_call **parent)
{
	*parent = NULL;
	if (!request->parent)
		return 0;
	*parent = upcall_double_call_find(&peer->running, false, request->parent);
	if (!*parent)
		return -ENOENT;
	return (*parent)->depth >= UPCALL_MAX_NESTING ? -ELOOP : 0;
}

static int submit_live(const struct double_callback *callback, struct double_outcome *outcome)
{
	if (callback && callback->state == UPCALL_STATE_LIVE)
		return 0;
	if (callback) {
		outcome->reason = callback->reason;
		outcome->word = callback->reg.word;
	}
	return -ESTALE;
}

static int submit_allowed(const struct double_callback *callback,
			  const struct double_request *request, struct double_outcome *outcome)
{
	const struct upcall_register *reg = &callback->reg;

	if (!upcall_double_access(callback))
		return -EACCES;
	if (reg->flags & UPCALL_REGISTER_SIGNATURE &&
	    (!(request->flags & UPCALL_INVOKE_SIGNATURE) || request->signature != reg->signature))
		return -EPROTOTYPE;
	if (request->arg_len > reg->max_arg) {
		outcome->needed = reg->max_arg;
		return -EMSGSIZE;
	}
	if (request->fd_count && !(reg->flags & UPCALL_REGISTER_FDS))
		return -EMFILE;
	if (!(request->flags & UPCALL_INVOKE_NO_DEADLINE) &&
	    request->deadline_ns <= upcall_double_now())
		return -ETIMEDOUT;
	return 0;
}

/* The owner's one thread waits where this call cannot reach it. */
static bool submit_would_deadlock(struct double_peer *peer, const struct double_call *call,
				  bool oneway)
{
	struct double_peer *owner = call->callback->owner;
	struct double_call *outer;
	uint32_t i;

	if (oneway || !owner->one_thread)
		return false;
	if (owner == peer && !call->async)
		return true;
	for (i = 0; i + 1 < call->depth; i++) {
		outer = upcall_double_call_find(&owner->outgoing, true, call->ancestors[i]);
		if (outer && outer->waited && !outer->waits_nested)
			return true;
	}
	return false;
}

/* --- the call itself ---------------------------------------------------------------- */

static void call_describe(struct double_call *call, const struct double_request *request,
			  const struct double_call *parent)
{
	const bool oneway = request->flags & UPCALL_INVOKE_ONEWAY;

	call->async = request->async;
	call->user_data = request->user_data;
	call->deadline_ns = request->deadline_ns;
	call->op = request->op;
	call->reply_max = request->reply_max;
	call->reply_fd_max = request->reply_fd_max;
	call->pid = (uint32_t)getpid();
	call->tid = (uint32_t)gettid();
	call->uid = geteuid();
	call->gid = getegid();
	if (oneway)
		call->flags |= UPCALL_CALL_ONEWAY;
	if (request->flags & UPCALL_INVOKE_NO_DEADLINE)
		call->flags |= UPCALL_CALL_NO_DEADLINE;
	if (request->flags & UPCALL_INVOKE_LATEST)
		call->flags |= UPCALL_CALL_LATEST;
	if (oneway && call->callback->reg.flags & UPCALL_REGISTER_AUTOEND)
		call->flags |= UPCALL_CALL_ENDED;
	call->depth = 1;
	if (parent) {
		memcpy(call->ancestors, parent->ancestors, sizeof(call->ancestors));
		call->ancestors[parent->depth - 1] = parent->number;
		call->depth = parent->depth + 1;
	}
}

static int call_take_argument(struct double_call *call, const struct double_request *request)
{
	if (double_bad(request->arg, request->arg_len))
		return -EFAULT;
	call->arg = malloc(request->arg_len ? request->arg_len : 1);
	if (!call->arg)
		return -ENOMEM;
	if (request->arg_len)
		memcpy(call->arg, (const void *)(uintptr_t)request->arg, request->arg_len);
	call->arg_len = request->arg_len;
	return upcall_double_fds_take(call->registry, request->fds, request->fd_count,
				      &call->arg_fds);
}

static int call_make(struct double_peer *peer, struct double_callback *callback,
		     const struct double_request *request, const struct double_call *parent,
		     struct double_call **result)
{
	struct double_registry *registry = peer->registry;
	uint64_t charge = (uint64_t)request->arg_len + request->reply_max;
	struct double_call *call;
	int err;

	if (registry->call_count >= DOUBLE_MAX_CALLS ||
	    registry->call_bytes + charge > DOUBLE_MAX_BYTES)
		return -EDQUOT;
	call = upcall_double_call_new(registry);
	if (!call)
		return -ENOMEM;
	call->callback = callback;
	call->charged = charge;
	registry->call_bytes += charge;
	call_describe(call, request, parent);
	err = call_take_argument(call, request);
	if (err)
		upcall_double_call_free(call);
	else
		*result = call;
	return err;
}

/* --- into the queue ----------------------------------------------------------------- */

/* The notification whose place this one takes, or NULL. */
static struct double_call *queue_find_replaced(struct double_peer *peer,
					       const struct double_call *call)
{
	struct double_link *head = &call->callback->owner->queue, *link;
	unsigned int reach = UPCALL_LATEST_REACH;

	if (!(call->flags & UPCALL_CALL_LATEST))
		return NULL;
	for (link = head->prev; link != head && reach; link = link->prev) {
		struct double_call *old = entry_of_queue(link);

		if (old->callback != call->callback)
			continue;
		if (old->caller == peer)
			return old->flags & UPCALL_CALL_LATEST && old->op == call->op ? old : NULL;
		reach--;
	}
	return NULL;
}

/* Whether its argument may stand where the other one's does. */
static bool queue_has_room_instead(const struct double_call *old, const struct double_call *call)
{
	const struct double_callback *callback = call->callback;

	if (call->arg_len <= old->arg_len)
		return true;
	return call->arg_len - old->arg_len <=
	       callback->reg.max_queued_bytes - callback->queued_bytes &&
	       callback->queued_bytes < (callback->reg.max_queued_bytes + 1) / 2;
}

static void queue_add(struct double_peer *peer, struct double_call *call,
		      struct double_link *before)
{
	struct double_callback *callback = call->callback;

	call->queued_at = upcall_double_now();
	call->outcome.seq = ++callback->last_seq;
	call->owner = callback->owner;
	call->caller = peer;
	callback->calls++;
	callback->queued++;
	callback->queued_bytes += call->arg_len;
	double_list_add(&call->owner_link, before);
	double_list_add(&call->caller_link, &peer->outgoing);
	if (call->async)
		peer->results_due++;
	upcall_double_peer_tell(call->owner);
}

/* 0, or -EAGAIN. */
static int queue_try(struct double_peer *peer, struct double_call *call)
{
	struct double_call *old = queue_find_replaced(peer, call);

	if (old) {
		if (!queue_has_room_instead(old, call))
			return -EAGAIN;
		call->dropped = old->dropped + 1;
		queue_add(peer, call, &old->owner_link);
		upcall_double_call_unqueue(old);
		upcall_double_call_owner_end(old);
		return 0;
	}
	if (call->async && peer->results_due >= UPCALL_MAX_OUTGOING)
		return -EAGAIN;
	if (upcall_double_has_room(call->callback, call->arg_len)) {
		queue_add(peer, call, &call->callback->owner->queue);
		return 0;
	}
	call->callback->refused++;
	peer->refused = call->callback;
	peer->refused_bytes = call->arg_len;
	upcall_double_peer_update(peer);
	return -EAGAIN;
}

/* Again and again with WAIT_ROOM. */
static int queue_wait(struct double_peer *peer, const struct double_request *request,
		      struct double_call *call, struct double_outcome *outcome)
{
	const bool forever = request->flags & UPCALL_INVOKE_NO_DEADLINE;
	int err, waited = 0;

	for (;;) {
		if (peer->ended)
			return -ESHUTDOWN;
		err = submit_live(call->callback, outcome);
		if (err)
			return err;
		if (submit_would_deadlock(peer, call, request->flags & UPCALL_INVOKE_ONEWAY))
			return -EDEADLK;
		err = queue_try(peer, call);
		if (err != -EAGAIN || !(request->flags & UPCALL_INVOKE_WAIT_ROOM))
			return err;
		if (waited == -ETIMEDOUT)
			return -ETIMEDOUT;
		waited = upcall_double_wait(peer->registry, &peer->registry->room, forever,
					    request->deadline_ns);
	}
}

/*
 * A call by @peer. Members of @outcome are set where they say more about the error. *call is
 * not to be touched for a notification: it may have gone.
 */
int upcall_double_submit(struct double_peer *peer, const struct double_request *request,
			 struct double_outcome *outcome, struct double_call **call)
{
	struct double_callback *callback;
	struct double_call *parent;
	int err;

	memset(outcome, 0, sizeof(*outcome));
	outcome->stage = UPCALL_STAGE_NOT_DELIVERED;
	err = submit_parent(peer, request, &parent);
	if (err)
		return err;
	callback = upcall_double_callback_find(peer->registry, request->target);
	err = submit_live(callback, outcome);
	if (!err)
		err = submit_allowed(callback, request, outcome);
	if (!err)
		err = call_make(peer, callback, request, parent, call);
	if (err)
		return err;
	err = queue_wait(peer, request, *call, outcome);
	if (!err && request->async && !(request->flags & UPCALL_INVOKE_NO_DEADLINE))
		err = upcall_double_timer_need(peer->registry);
	if (err && (*call)->caller)
		upcall_double_call_leave(*call, -err);
	else if (err)
		upcall_double_call_free(*call);
	else
		outcome->seq = callback->last_seq;
	return err;
}
