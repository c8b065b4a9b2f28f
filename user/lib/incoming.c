// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * An incoming: one event, and for a call the answer that is owed.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

static const struct upcall_event_call *incoming_call(const struct upcall_incoming *incoming)
{
	return (const struct upcall_event_call *)incoming->event;
}

static bool incoming_is_call(const struct upcall_incoming *incoming)
{
	return incoming->event->type == UPCALL_EVENT_CALL;
}

static struct upcall_incoming **call_bucket(struct upcall_peer *peer, uint64_t id)
{
	uint64_t hash = (id ^ id >> 32) * 0x9e3779b97f4a7c15u;

	return &peer->calls[hash >> 56 & (UPCALL_CALL_BUCKETS - 1)];
}

/* A CANCEL can overtake its CALL where several threads receive: it is looked for here, once. */
static unsigned int early_cancel_take_locked(struct upcall_peer *peer, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < UPCALL_EARLY_CANCELS; i++) {
		if (peer->early[i] == id) {
			peer->early[i] = 0;
			return peer->early_error[i];
		}
	}
	return 0;
}

static void early_cancel_put_locked(struct upcall_peer *peer, uint64_t id, uint32_t error)
{
	unsigned int i = peer->early_next++ % UPCALL_EARLY_CANCELS;

	peer->early[i] = id;
	peer->early_error[i] = error;
}

void upcall_incoming_cancel_locked(struct upcall_peer *peer,
				   const struct upcall_event_cancel *cancel)
{
	struct upcall_incoming *incoming = *call_bucket(peer, cancel->call);

	while (incoming && incoming_call(incoming)->call != cancel->call)
		incoming = incoming->bucket_next;
	if (incoming) {
		atomic_store(&incoming->cancelled, cancel->error);
		upcall_nested_cancel_children_locked(incoming);
	} else {
		early_cancel_put_locked(peer, cancel->call, cancel->error);
	}
}

static void call_add_locked(struct upcall_incoming *incoming)
{
	uint64_t id = incoming_call(incoming)->call;
	struct upcall_incoming **bucket = call_bucket(incoming->peer, id);

	incoming->bucket_next = *bucket;
	*bucket = incoming;
	atomic_init(&incoming->cancelled, early_cancel_take_locked(incoming->peer, id));
}

static void call_remove_locked(struct upcall_incoming *incoming)
{
	struct upcall_incoming **at = call_bucket(incoming->peer, incoming_call(incoming)->call);

	while (*at && *at != incoming)
		at = &(*at)->bucket_next;
	if (*at)
		*at = incoming->bucket_next;
}

/*
 * A call pins its callback, as does the news that its last stub was closed. A RELEASED takes over the pin that the slot held: with
 * the incoming the callback goes.
 */
int upcall_incoming_new_locked(struct upcall_peer *peer, struct upcall_batch *batch,
			       const struct upcall_event *event,
			       struct upcall_incoming **result)
{
	struct upcall_incoming *incoming;

	incoming = calloc(1, sizeof(*incoming));
	if (!incoming)
		return -ENOMEM;
	incoming->peer = upcall_peer_get(peer);
	incoming->batch = batch;
	atomic_fetch_add(&batch->refs, 1);
	incoming->event = event;
	atomic_init(&incoming->refs, 1);
	atomic_init(&incoming->answer, UPCALL_OPEN);

	incoming->callback = upcall_callback_find_locked(peer, event);
	if (event->type == UPCALL_EVENT_CALL)
		call_add_locked(incoming);
	if (event->type == UPCALL_EVENT_CALL || event->type == UPCALL_EVENT_UNREFERENCED) {
		if (incoming->callback)
			incoming->callback->pins++;
	} else if (event->type == UPCALL_EVENT_RELEASED) {
		if (incoming->callback)
			upcall_callback_remove_locked(incoming->callback);
	} else {
		incoming->callback = NULL;
	}
	*result = incoming;
	return 0;
}

/* true: the answer is this thread's to give, and upcall_incoming_answer_end() must follow. */
bool upcall_incoming_answer_begin(struct upcall_incoming *incoming)
{
	int open = UPCALL_OPEN;

	return atomic_compare_exchange_strong(&incoming->answer, &open, UPCALL_ANSWERING);
}

/* Return: what upcall_reply() makes of the command's error. */
int upcall_incoming_answer_end(struct upcall_incoming *incoming, int err)
{
	if (err && err != -ENOENT && err != -ESHUTDOWN) {
		atomic_store(&incoming->answer, UPCALL_OPEN);
		return err;
	}
	pthread_mutex_lock(&incoming->peer->lock);
	call_remove_locked(incoming);
	pthread_mutex_unlock(&incoming->peer->lock);
	atomic_store(&incoming->answer, UPCALL_ANSWERED);
	return err == -ENOENT ? 1 : err;
}

void upcall_incoming_reply_command(const struct upcall_incoming *incoming, int32_t status,
				   const void *data, size_t len, struct upcall_command *command)
{
	const struct upcall_event_call *call = incoming_call(incoming);

	memset(command, 0, sizeof(*command));
	command->type = UPCALL_COMMAND_REPLY;
	command->target = call->call;
	if (call->flags & UPCALL_CALL_ONEWAY)
		return;
	command->status = (uint32_t)status;
	command->data = len ? (uintptr_t)data : 0;
	command->data_len = (uint32_t)len;
}

static int incoming_answer(struct upcall_incoming *incoming, struct upcall_command *command)
{
	int err = 0;

	if (upcall_peer_forked(incoming->peer))
		return -EPERM;
	if (!upcall_incoming_answer_begin(incoming))
		return -EALREADY;
	if (!(incoming_call(incoming)->flags & UPCALL_CALL_ENDED))
		err = upcall_peer_command(incoming->peer, command);
	return upcall_incoming_answer_end(incoming, err);
}

int upcall_reply(struct upcall_incoming *incoming, int32_t status, const void *data, size_t len)
{
	struct upcall_command command;

	if (!incoming_is_call(incoming))
		return -EINVAL;
	if (len > UPCALL_MAX_PAYLOAD)
		return -EMSGSIZE;
	upcall_incoming_reply_command(incoming, status, data, len, &command);
	return incoming_answer(incoming, &command);
}

int upcall_reply_fds(struct upcall_incoming *incoming, int32_t status, const void *data,
		     size_t len, const int *fds, unsigned int fd_count)
{
	uint32_t numbers[UPCALL_MAX_FDS];
	struct upcall_command command;
	unsigned int i;

	if (!incoming_is_call(incoming) || fd_count > UPCALL_MAX_FDS)
		return -EINVAL;
	if (len > UPCALL_MAX_PAYLOAD)
		return -EMSGSIZE;
	for (i = 0; i < fd_count; i++)
		numbers[i] = (uint32_t)fds[i];
	upcall_incoming_reply_command(incoming, status, data, len, &command);
	if (!(incoming_call(incoming)->flags & UPCALL_CALL_ONEWAY)) {
		command.fds = fd_count ? (uintptr_t)numbers : 0;
		command.fd_count = fd_count;
	}
	return incoming_answer(incoming, &command);
}

int upcall_refuse(struct upcall_incoming *incoming, int err)
{
	struct upcall_command command = { .type = UPCALL_COMMAND_REFUSE };

	if (err < 0)
		err = -err;
	if (!incoming_is_call(incoming) || err < 1 || err > 511)
		return -EINVAL;
	command.target = incoming_call(incoming)->call;
	command.status = (uint32_t)err;
	return incoming_answer(incoming, &command);
}

int upcall_reply_next(struct upcall_incoming *incoming, int32_t status, const void *data,
		      size_t len, uint64_t deadline, struct upcall_incoming **next, int *answered)
{
	struct upcall_peer *peer = incoming->peer;
	struct upcall_command command;
	struct upcall_incoming *got;
	int err;

	*answered = 0;
	if (!incoming_is_call(incoming))
		return -EINVAL;
	if (len > UPCALL_MAX_PAYLOAD)
		return -EMSGSIZE;
	if (upcall_peer_forked(peer))
		return -EPERM;
	if (!upcall_incoming_answer_begin(incoming))
		return -EALREADY;
	upcall_incoming_reply_command(incoming, status, data, len, &command);
	if (incoming_call(incoming)->flags & UPCALL_CALL_ENDED)
		command.type = 0;

	err = upcall_receive(peer, command.type ? &command : NULL, deadline, &got);
	if (upcall_incoming_answer_end(incoming, command.type ? err : 0) < 0)
		return err;
	*answered = 1;
	upcall_incoming_free(incoming);
	if (!err && !got)
		return upcall_next(peer, deadline, next);
	if (err)
		return err;
	*next = got;
	return (int)upcall_incoming_type(got);
}

/* Not a refusal: that would claim that it did not run. */
static void incoming_answer_for_owner(struct upcall_incoming *incoming)
{
	static const char text[] = "the callback gave no answer";
	const int32_t raised = (int32_t)UPCALL_STATUS_RAISED;

	if (upcall_reply(incoming, raised, text, sizeof(text) - 1) >= 0)
		return;
	if (upcall_reply(incoming, raised, NULL, 0) >= 0)
		return;
	if (upcall_incoming_answer_begin(incoming))
		upcall_incoming_answer_end(incoming, -ESHUTDOWN);
}

static void incoming_let_go(struct upcall_incoming *incoming)
{
	bool released = incoming->event->type == UPCALL_EVENT_RELEASED;

	if (incoming->callback)
		upcall_callback_unpin(incoming->callback);
	if (released)
		upcall_callback_shutdown_if_drained(incoming->peer);
}

void upcall_incoming_put(struct upcall_incoming *incoming)
{
	if (atomic_fetch_sub(&incoming->refs, 1) != 1)
		return;
	if (!upcall_peer_forked(incoming->peer))
		incoming_let_go(incoming);
	upcall_incoming_close_fds(incoming);
	upcall_batch_put(incoming->batch);
	upcall_peer_put(incoming->peer);
	free(incoming);
}

void upcall_incoming_free(struct upcall_incoming *incoming)
{
	if (!incoming)
		return;
	if (incoming_is_call(incoming) && atomic_load(&incoming->answer) != UPCALL_ANSWERED &&
	    !upcall_peer_forked(incoming->peer))
		incoming_answer_for_owner(incoming);
	upcall_incoming_put(incoming);
}

void upcall_incoming_keep(struct upcall_incoming *incoming)
{
	if (!incoming->dispatched || incoming->kept)
		return;
	incoming->kept = true;
	atomic_fetch_add(&incoming->refs, 1);
}
