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

static inline uint64_t id_hash(uint64_t id)
{
	return (id ^ id >> 32) * 0x9e3779b97f4a7c15u;
}

static struct upcall_incoming **call_bucket(struct upcall_peer *peer, uint64_t id)
{
	return &peer->calls[id_hash(id) >> 56 & (UPCALL_CALL_BUCKETS - 1)];
}

/* One of 64 bits: not set in upcall_peer.early_mask, then @id is not in its ring. */
static inline uint64_t early_bit(uint64_t id)
{
	return 1ULL << (id_hash(id) >> 58);
}

static void early_set_locked(struct upcall_peer *peer, unsigned int at, uint64_t id,
			     uint32_t error)
{
	unsigned int i;

	peer->early[at] = id;
	peer->early_error[at] = error;
	peer->early_mask = 0;
	for (i = 0; i < UPCALL_EARLY_CANCELS; i++) {
		if (peer->early[i])
			peer->early_mask |= early_bit(peer->early[i]);
	}
}

/* A CANCEL can overtake its CALL where several threads receive: it is looked for here, once. */
static unsigned int early_cancel_take_locked(struct upcall_peer *peer, uint64_t id)
{
	unsigned int i;

	if (!(peer->early_mask & early_bit(id)))
		return 0;
	for (i = 0; i < UPCALL_EARLY_CANCELS; i++) {
		if (peer->early[i] == id) {
			early_set_locked(peer, i, 0, peer->early_error[i]);
			return peer->early_error[i];
		}
	}
	return 0;
}

static void early_cancel_put_locked(struct upcall_peer *peer, uint64_t id, uint32_t error)
{
	early_set_locked(peer, peer->early_next++ % UPCALL_EARLY_CANCELS, id, error);
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
	incoming->bucket_at = bucket;
	if (*bucket)
		(*bucket)->bucket_at = &incoming->bucket_next;
	*bucket = incoming;
	if (incoming->peer->early_mask)
		atomic_store(&incoming->cancelled, early_cancel_take_locked(incoming->peer, id));
}

/* A CANCEL does not find it any more. */
void upcall_incoming_unlist(struct upcall_incoming *incoming)
{
	struct upcall_peer *peer = incoming->peer;

	pthread_mutex_lock(&peer->lock);
	if (incoming->bucket_at) {
		*incoming->bucket_at = incoming->bucket_next;
		if (incoming->bucket_next)
			incoming->bucket_next->bucket_at = incoming->bucket_at;
		incoming->bucket_at = NULL;
	}
	pthread_mutex_unlock(&peer->lock);
}

/* Member by member: that is what every call pays. */
static inline void incoming_init(struct upcall_incoming *incoming, struct upcall_peer *peer,
				 struct upcall_batch *batch, const struct upcall_event *event)
{
	incoming->peer = upcall_peer_get(peer);
	atomic_fetch_add_explicit(&batch->refs, 1, memory_order_relaxed);
	incoming->batch = batch;
	incoming->event = event;
	incoming->callback = NULL;
	incoming->bucket_next = NULL;
	incoming->bucket_at = NULL;
	atomic_init(&incoming->cancelled, 0);
	atomic_init(&incoming->answer, UPCALL_OPEN);
	atomic_init(&incoming->refs, 1);
	incoming->dispatched = false;
	incoming->kept = false;
	incoming->user_data = 0;
	atomic_init(&incoming->fds_taken, 0);
	incoming->later = NULL;
	incoming->outer = NULL;
	incoming->children = NULL;
}

/*
 * A call pins its callback, as does the news that its last stub was closed. A RELEASED takes over
 * the pin that the slot held: with the incoming the callback goes.
 */
int upcall_incoming_new_locked(struct upcall_peer *peer, struct upcall_batch *batch,
			       const struct upcall_event *event,
			       struct upcall_incoming **result)
{
	struct upcall_incoming *incoming = &batch->first;

	if (batch->first_used) {
		incoming = malloc(sizeof(*incoming));
		if (!incoming)
			return -ENOMEM;
	}
	batch->first_used = true;
	incoming_init(incoming, peer, batch, event);
	if (event->type == UPCALL_EVENT_CALL)
		call_add_locked(incoming);
	if (event->type == UPCALL_EVENT_CALL || event->type == UPCALL_EVENT_UNREFERENCED) {
		incoming->callback = upcall_callback_find_locked(peer, event);
		if (incoming->callback)
			atomic_fetch_add(&incoming->callback->pins, 1);
	} else if (event->type == UPCALL_EVENT_RELEASED) {
		incoming->callback = upcall_callback_find_locked(peer, event);
		if (incoming->callback)
			upcall_callback_remove_locked(incoming->callback);
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
	upcall_incoming_unlist(incoming);
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
	int err, answer_err;

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

	upcall_peer_get(peer);
	err = upcall_receive(peer, command.type ? &command : NULL, deadline, &got);
	answer_err = upcall_incoming_answer_end(incoming, command.type ? err : 0);
	upcall_peer_put(peer);
	if (answer_err < 0)
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
	struct upcall_batch *batch;
	struct upcall_peer *peer;

	if (atomic_fetch_sub(&incoming->refs, 1) != 1)
		return;
	batch = incoming->batch;
	peer = incoming->peer;
	if (!upcall_peer_forked(peer))
		incoming_let_go(incoming);
	if (upcall_incoming_fd_count(incoming))
		upcall_incoming_close_fds(incoming);
	if (incoming != &batch->first)
		free(incoming);
	upcall_batch_put(peer, batch);
	upcall_peer_put(peer);
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
