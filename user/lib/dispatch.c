// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The push shape: events run functions, by one thread or many.
 */
#include "internal.h"

/* A worker's answer without bytes does not fail, so it may ride with its next EXCHANGE. */
static void answer_later(struct upcall_incoming *incoming, int status,
			 struct upcall_command *later)
{
	if (!upcall_incoming_answer_begin(incoming))
		return;
	if (!(upcall_incoming_flags(incoming) & UPCALL_CALL_ENDED))
		upcall_incoming_reply_command(incoming, status, NULL, 0, later);
	upcall_incoming_answer_end(incoming, 0);
}

/* With @later its answer, if it has no bytes, is left there to be sent with what comes next. */
void upcall_dispatch_call(struct upcall_incoming *incoming, struct upcall_command *later)
{
	struct upcall_callback *callback = incoming->callback;
	int status;

	if (!callback || upcall_incoming_flags(incoming) & UPCALL_CALL_FDS_LOST) {
		upcall_refuse(incoming, callback ? EMFILE : ENOSYS);
		upcall_incoming_free(incoming);
		return;
	}
	incoming->dispatched = true;
	upcall_current_enter(incoming);
	status = callback->fn(incoming, callback->user);
	upcall_current_leave(incoming);
	if (incoming->kept) {
		upcall_incoming_put(incoming);
		return;
	}
	if (later)
		answer_later(incoming, status, later);
	else
		upcall_reply(incoming, status, NULL, 0);
	upcall_incoming_free(incoming);
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

/* As upcall_dispatch(), with an answer to go along; says whether a function ran. */
int upcall_dispatch_later(struct upcall_peer *peer, uint64_t deadline,
			  struct upcall_command *later, bool *was_call)
{
	struct upcall_incoming *incoming;
	int err;

	*was_call = false;
	err = upcall_receive(peer, later && later->type ? later : NULL, deadline, &incoming);
	if (err)
		return err;
	if (!incoming)
		return 1;
	*was_call = upcall_incoming_type(incoming) == UPCALL_EVENT_CALL;
	if (!*was_call) {
		upcall_dispatch_event(peer, incoming);
		return 1;
	}
	dispatch_aside(peer);
	upcall_pool_busy(peer);
	upcall_dispatch_call(incoming, later);
	upcall_pool_idle(peer);
	return 1;
}

int upcall_dispatch(struct upcall_peer *peer, uint64_t deadline)
{
	bool was_call;
	int ret;

	upcall_peer_get(peer);
	ret = upcall_dispatch_later(peer, deadline, NULL, &was_call);
	upcall_peer_put(peer);
	return ret;
}
