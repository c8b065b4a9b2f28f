// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A call of the test double, and its two ends.
 */
#include <stdlib.h>
#include "double.h"

struct double_call *upcall_double_call_new(struct double_registry *registry)
{
	struct double_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	upcall_double_cond_init(&call->wake);
	double_list_init(&call->owner_link);
	double_list_init(&call->caller_link);
	double_list_init(&call->result.link);
	double_list_init(&call->cancel.link);
	call->result.type = UPCALL_EVENT_RESULT;
	call->result.subject = call;
	call->cancel.type = UPCALL_EVENT_CANCEL;
	call->cancel.subject = call;
	call->registry = registry;
	call->number = ++registry->last_call;
	double_list_add(&call->all_link, &registry->calls);
	registry->call_count++;
	return call;
}

void upcall_double_call_free(struct double_call *call)
{
	struct double_registry *registry = call->registry;

	double_list_remove(&call->all_link);
	registry->call_count--;
	registry->call_bytes -= call->charged;
	upcall_double_fds_drop(registry, &call->arg_fds);
	upcall_double_fds_drop(registry, &call->reply_fds);
	pthread_cond_destroy(&call->wake);
	free(call->arg);
	free(call->reply);
	free(call);
}

/* Both ends have come; a notification has only one. */
static void call_free_if_done(struct double_call *call)
{
	if (call->owner)
		return;
	if (call->caller && !(call->flags & UPCALL_CALL_ONEWAY))
		return;
	if (call->caller)
		double_list_remove(&call->caller_link);
	upcall_double_call_free(call);
}

/* In double_peer.running, or .outgoing: then without notifications. */
struct double_call *upcall_double_call_find(struct double_link *list, bool outgoing,
					    uint64_t number)
{
	struct double_link *link;
	struct double_call *call;

	double_for_each(link, list) {
		if (outgoing)
			call = double_entry(link, struct double_call, caller_link);
		else
			call = double_entry(link, struct double_call, owner_link);
		if ((outgoing ? call->number : double_owner_id(call)) == number &&
		    !(outgoing && call->flags & UPCALL_CALL_ONEWAY))
			return call;
	}
	return NULL;
}

/* Whether it is nested in @outer, at any depth. */
bool upcall_double_call_within(const struct double_call *call, const struct double_call *outer)
{
	uint32_t i;

	for (i = 0; i + 1 < call->depth; i++) {
		if (call->ancestors[i] == outer->number)
			return true;
	}
	return false;
}

/* --- the caller's end --------------------------------------------------------------- */

/* What the caller will be told; the first answer counts. Nothing for who has left. */
void upcall_double_call_answer(struct double_call *call, uint32_t error, uint32_t stage)
{
	struct double_outcome *outcome = &call->outcome;
	uint64_t now = upcall_double_now();

	if (!call->caller || call->answered || call->flags & UPCALL_CALL_ONEWAY)
		return;
	call->answered = true;
	outcome->error = error;
	outcome->stage = stage;
	outcome->total_ns = now - call->queued_at;
	if (call->delivered)
		outcome->run_ns = now - call->delivered_at;
	if (error == ESTALE || error == EOWNERDEAD)
		outcome->reason = call->callback->reason;
	if (error == ESTALE)
		outcome->word = call->callback->reg.word;
	if (!call->async) {
		pthread_cond_signal(&call->wake);
		return;
	}
	upcall_double_event_add(&call->result, call->caller);
}

/* The caller has its answer, or does not want it any more. */
void upcall_double_call_caller_end(struct double_call *call)
{
	if (call->async)
		call->caller->results_due--;
	double_list_remove(&call->caller_link);
	double_list_remove(&call->result.link);
	call->caller = NULL;
	call->registry->call_bytes -= call->charged;	/* nobody waits for its reply */
	call->charged = 0;
	call_free_if_done(call);
}

/* The caller goes without an answer: back out of the queue, or the owner is told. */
void upcall_double_call_leave(struct double_call *call, uint32_t error)
{
	struct double_peer *owner = call->owner;

	if (owner && !call->delivered) {
		upcall_double_call_unqueue(call);
		upcall_double_call_owner_end(call);
	} else if (owner && !call->answered) {
		call->cancel_error = error;
		upcall_double_event_add(&call->cancel, owner);
	}
	upcall_double_call_caller_end(call);
}

/* --- the owner's end ---------------------------------------------------------------- */

/* Out of the queue, without having been delivered, or to be. */
void upcall_double_call_unqueue(struct double_call *call)
{
	double_list_remove(&call->owner_link);
	call->callback->queued--;
	call->callback->queued_bytes -= call->arg_len;
	upcall_double_peer_room(call->registry);
}

void upcall_double_call_deliver(struct double_call *call)
{
	struct double_callback *callback = call->callback;

	upcall_double_call_unqueue(call);
	call->delivered = true;
	call->delivered_at = upcall_double_now();
	call->outcome.queued_ns = call->delivered_at - call->queued_at;
	callback->delivered++;
	callback->queued_ns += call->outcome.queued_ns;
	callback->running++;
	double_list_add(&call->owner_link, &call->owner->running);
}

/* REPLY, REFUSE, the owner's death; or it was taken out of the queue. May free it. */
void upcall_double_call_owner_end(struct double_call *call)
{
	struct double_callback *callback = call->callback;
	struct double_peer *owner = call->owner;

	double_list_remove(&call->owner_link);
	double_list_remove(&call->cancel.link);
	if (call->delivered) {
		callback->running--;
		callback->run_ns += upcall_double_now() - call->delivered_at;
	}
	call->owner = NULL;
	call_free_if_done(call);
	upcall_double_callback_drain(callback);
	upcall_double_peer_update(owner);
}
