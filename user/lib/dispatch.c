// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The push shape: events run functions, by one thread or many.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/* The caller's memory cgroup may be full; but these few bytes need no memory. */
static const char not_sent[] = "the reply could not be sent";

void upcall_later_free(struct upcall_later *later)
{
	free(later->data);
}

int upcall_return(struct upcall_incoming *incoming, const void *data, size_t len)
{
	struct upcall_later *later = incoming->later;

	if (!later)
		return -EINVAL;
	if (atomic_load(&incoming->answer) != UPCALL_OPEN)
		return -EALREADY;
	if (upcall_incoming_oneway(incoming))
		return 0;
	if (len > upcall_incoming_reply_max(incoming))
		return -EMSGSIZE;
	if (len > later->room) {
		free(later->data);
		later->data = malloc(len);
		later->room = later->data ? len : 0;
		later->len = 0;
		if (!later->data)
			return -ENOMEM;
	}
	if (len)
		memcpy(later->data, data, len);
	later->len = (uint32_t)len;
	return 0;
}

/* An answer that may ride with the next EXCHANGE of its thread. */
static void answer_later(struct upcall_incoming *incoming, int status,
			 struct upcall_later *later)
{
	const struct upcall_event_call *call = (const struct upcall_event_call *)incoming->event;
	struct upcall_command *command = &later->command;
	int open = UPCALL_OPEN;

	if (!atomic_compare_exchange_strong(&incoming->answer, &open, UPCALL_ANSWERED))
		return;
	upcall_incoming_unlist(incoming);
	if (call->flags & UPCALL_CALL_ENDED)
		return;
	command->type = UPCALL_COMMAND_REPLY;
	command->target = call->call;
	command->status = call->flags & UPCALL_CALL_ONEWAY ? 0 : (uint32_t)status;
	command->data = later->len ? (uintptr_t)later->data : 0;
	command->data_len = later->len;
	command->error = 0;
}

/* One that does not: what it cannot say is said by upcall_incoming_free(). */
static void answer_now(struct upcall_incoming *incoming, int status,
		       const struct upcall_later *later)
{
	upcall_reply(incoming, status, later->data, later->len);
}

/* The kernel did not take an answer: who called is told at least that it ran. */
static void later_failed(struct upcall_later *later)
{
	struct upcall_command *command = &later->command;

	if (command->data == (uintptr_t)not_sent)
		command->type = 0;	/* not even that */
	command->error = 0;
	command->status = UPCALL_STATUS_RAISED;
	command->data = (uintptr_t)not_sent;
	command->data_len = sizeof(not_sent) - 1;
}

/* Runs the function, if there is one that may run. Return: whether @incoming is to be answered. */
static inline bool run_call(struct upcall_incoming *incoming, struct upcall_later *later,
			    int *status)
{
	struct upcall_callback *callback = incoming->callback;

	if (!callback || upcall_incoming_flags(incoming) & UPCALL_CALL_FDS_LOST) {
		upcall_refuse(incoming, callback ? EMFILE : ENOSYS);
		upcall_incoming_free(incoming);
		return false;
	}
	incoming->dispatched = true;
	incoming->later = later;
	later->len = 0;
	upcall_current_enter(incoming);
	*status = callback->fn(incoming, callback->user);
	upcall_current_leave(incoming);
	if (!incoming->kept)
		return true;
	upcall_incoming_put(incoming);
	return false;
}

/* The answer is left in @later, to be sent with what comes next. */
static void dispatch_call_later(struct upcall_incoming *incoming, struct upcall_later *later)
{
	int status;

	if (!run_call(incoming, later, &status))
		return;
	answer_later(incoming, status, later);
	if (atomic_load(&incoming->answer) == UPCALL_ANSWERED)
		upcall_incoming_put(incoming);
	else
		upcall_incoming_free(incoming);
}

/* The answer is sent before this returns. @incoming is gone then. */
void upcall_dispatch_call(struct upcall_incoming *incoming)
{
	struct upcall_later now = { .room = 0 };
	int status;

	if (run_call(incoming, &now, &status)) {
		answer_now(incoming, status, &now);
		upcall_incoming_free(incoming);
	}
	upcall_later_free(&now);
}

/* The last stub of a callback was closed. What has been retired meanwhile is not told. */
static void run_unreferenced(struct upcall_peer *peer, struct upcall_incoming *incoming)
{
	struct upcall_callback *callback = incoming->callback;
	void (*fn)(struct upcall_callback *callback, void *user) = NULL;

	pthread_mutex_lock(&peer->lock);
	if (callback && !callback->released)
		fn = callback->unreferenced;
	pthread_mutex_unlock(&peer->lock);
	if (!fn)
		return;
	upcall_current_enter(incoming);
	fn(callback, callback->user);
	upcall_current_leave(incoming);
}

/* All that is no call. @incoming is gone then. */
void upcall_dispatch_event(struct upcall_peer *peer, struct upcall_incoming *incoming)
{
	uint32_t type = upcall_incoming_type(incoming);

	if (type == UPCALL_EVENT_RESULT && upcall_async_take(peer, incoming))
		return;
	if (type == UPCALL_EVENT_UNREFERENCED)
		run_unreferenced(peer, incoming);
	upcall_incoming_free(incoming);
}

/* Whatever came with a call and is none is seen to first: the call may take long. */
static void dispatch_aside(struct upcall_peer *peer)
{
	struct upcall_incoming *incoming;

	while (upcall_receive_aside(peer, &incoming) == 0)
		upcall_dispatch_event(peer, incoming);
}

/*
 * As upcall_dispatch(); with an answer to go along, and one to be left; by a thread of @pool, or
 * NULL: there is nothing to count. The caller has a reference to the peer.
 */
int upcall_dispatch_next(struct upcall_peer *peer, uint64_t deadline, struct upcall_later *later,
			 struct upcall_pool *pool)
{
	struct upcall_command *command = later && later->command.type ? &later->command : NULL;
	struct upcall_incoming *incoming;
	int err;

	err = upcall_receive(peer, command, deadline, &incoming);
	if (err && command && command->type && command->error) {
		later_failed(later);
		return 1;
	}
	if (err)
		return err;
	if (!incoming)
		return 1;
	if (upcall_incoming_type(incoming) != UPCALL_EVENT_CALL) {
		upcall_dispatch_event(peer, incoming);
		return 1;
	}
	dispatch_aside(peer);
	if (pool)
		upcall_pool_busy(pool);
	if (later)
		dispatch_call_later(incoming, later);
	else
		upcall_dispatch_call(incoming);
	if (pool)
		upcall_pool_idle(pool);
	return 1;
}

int upcall_dispatch(struct upcall_peer *peer, uint64_t deadline)
{
	int ret;

	upcall_peer_get(peer);
	ret = upcall_dispatch_next(peer, deadline, NULL, NULL);
	upcall_peer_put(peer);
	return ret;
}
