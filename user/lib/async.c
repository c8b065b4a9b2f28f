// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Asynchronous calls: the table that leads from a RESULT back to who made the call, and
 * what is done with it there. The user data of a CALL command is an index of that
 * table, never an address.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

static int slots_grow_locked(struct upcall_peer *peer)
{
	size_t count = peer->pending_count ? peer->pending_count * 2 : 16;
	struct upcall_pending_slot *slots;
	size_t i;

	slots = realloc(peer->pending, count * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (i = peer->pending_count; i < count; i++)
		slots[i] = (struct upcall_pending_slot){ .next_free = i + 1 };
	peer->pending = slots;
	peer->pending_count = count;
	return 0;
}

/* Before its command is sent: its RESULT may be there before the command has returned. */
int upcall_async_add(struct upcall_peer *peer, struct upcall_pending *pending, size_t *slot,
		     uint32_t *generation)
{
	struct upcall_pending_slot *at;
	int err = 0;

	pthread_mutex_lock(&peer->lock);
	if (peer->ended)
		err = -ESHUTDOWN;
	else if (peer->pending_free == peer->pending_count)
		err = slots_grow_locked(peer);
	if (!err) {
		*slot = peer->pending_free;
		at = &peer->pending[*slot];
		peer->pending_free = at->next_free;
		at->pending = pending;
		*generation = ++at->generation;
		pending->id = 0;
		pending->result = NULL;
	}
	pthread_mutex_unlock(&peer->lock);
	return err;
}

static void slot_free_locked(struct upcall_peer *peer, size_t slot)
{
	peer->pending[slot].pending = NULL;
	peer->pending[slot].orphan = false;
	peer->pending[slot].next_free = peer->pending_free;
	peer->pending_free = slot;
}

void upcall_async_remove(struct upcall_peer *peer, size_t slot)
{
	pthread_mutex_lock(&peer->lock);
	slot_free_locked(peer, slot);
	pthread_mutex_unlock(&peer->lock);
}

/* Its command was accepted, and perhaps has had its RESULT: then it is not there any more. */
void upcall_async_sent(struct upcall_peer *peer, struct upcall_pending *pending, size_t slot,
		       uint32_t generation, const struct upcall_command *command)
{
	struct upcall_pending_slot *at;

	pthread_mutex_lock(&peer->lock);
	at = &peer->pending[slot];
	if (at->generation == generation && at->pending == pending)
		pending->id = command->call_id;
	pthread_mutex_unlock(&peer->lock);
}

/* One CALL. With 0 returned @pending is its RESULT's, which may have come. */
int upcall_async_send(struct upcall_peer *peer, struct upcall_pending *pending,
		      struct upcall_command *command, size_t *slot)
{
	uint32_t generation;
	size_t at;
	int err;

	err = upcall_async_add(peer, pending, slot, &generation);
	if (err)
		return err;
	at = *slot;
	command->user_data = at;
	err = upcall_peer_command(peer, command);
	if (err)
		upcall_async_remove(peer, at);
	else
		upcall_async_sent(peer, pending, at, generation, command);
	return err;
}

/* Runs the completion; @incoming is gone then. */
static void complete(struct upcall_pending *pending, struct upcall_incoming *incoming)
{
	struct upcall_call *call = pending->call;
	upcall_done_fn done = pending->done;
	void *user = pending->user;
	int ret = upcall_call_fill_result(call, incoming);

	upcall_incoming_free(incoming);
	atomic_store(&call->active, false);
	if (done)
		done(call, ret, user);
}

/*
 * A RESULT was received. false: it is for the one who received it, with the application's user
 * data. true: it has gone where it belongs.
 */
bool upcall_async_take(struct upcall_peer *peer, struct upcall_incoming *incoming)
{
	struct upcall_pending *pending = NULL;
	size_t slot = incoming->event->cookie;
	bool handed = false;

	pthread_mutex_lock(&peer->lock);
	if (slot < peer->pending_count) {
		pending = peer->pending[slot].pending;
		slot_free_locked(peer, slot);
	}
	if (pending && pending->waited) {
		pending->result = incoming;
		pthread_cond_broadcast(&peer->handed);
		handed = true;
	}
	pthread_mutex_unlock(&peer->lock);
	if (handed)
		return true;
	if (!pending) {
		upcall_incoming_free(incoming);
		return true;
	}
	if (pending->call) {
		complete(pending, incoming);
		return true;
	}
	incoming->user_data = pending->user_data;
	free(pending);
	return false;
}

/* At the end of the peer: no RESULT comes, each call is completed here. */
void upcall_async_end_all(struct upcall_peer *peer)
{
	struct upcall_pending *pending;
	struct upcall_call *call;
	size_t i;

	pthread_mutex_lock(&peer->lock);
	peer->ended = true;
	pthread_cond_broadcast(&peer->handed);
	for (i = 0; i < peer->pending_count; i++) {
		pending = peer->pending[i].pending;
		if (!pending || pending->waited)
			continue;
		slot_free_locked(peer, i);
		pthread_mutex_unlock(&peer->lock);
		call = pending->call;
		if (call) {
			call->invoke.stage = UPCALL_STAGE_DELIVERED;
			atomic_store(&call->active, false);
			if (pending->done)
				pending->done(call, -ESHUTDOWN, pending->user);
		} else {
			free(pending);
		}
		pthread_mutex_lock(&peer->lock);
	}
	pthread_mutex_unlock(&peer->lock);
}

/* The call object goes before its RESULT came: that one will be dropped. */
void upcall_async_orphan(struct upcall_call *call)
{
	struct upcall_peer *peer = call->peer;

	pthread_mutex_lock(&peer->lock);
	if (peer->pending[call->slot].pending == &call->pending) {
		peer->pending[call->slot].pending = NULL;
		peer->pending[call->slot].orphan = true;
	}
	pthread_mutex_unlock(&peer->lock);
	atomic_store(&call->active, false);
}

int upcall_call_start(struct upcall_call *call, uint64_t handle, uint32_t op, const void *arg,
		      size_t len, uint64_t deadline, upcall_done_fn done, void *user)
{
	struct upcall_command command;
	int err;

	err = upcall_call_begin(call, handle, op, arg, len, deadline);
	if (err)
		return err;
	upcall_call_command(call, &command);
	call->pending = (struct upcall_pending){ .call = call, .done = done, .user = user };
	atomic_store(&call->active, true);
	err = upcall_async_send(call->peer, &call->pending, &command, &call->slot);
	if (!err)
		return 0;	/* it may be complete, and @call free */
	atomic_store(&call->active, false);
	call->invoke.stage = command.stage ? command.stage : UPCALL_STAGE_NOT_DELIVERED;
	call->invoke.needed = command.needed;
	return err;
}

static void start_command(const struct upcall_start *start, struct upcall_command *command)
{
	*command = (struct upcall_command){
		.type = UPCALL_COMMAND_CALL,
		.target = start->handle,
		.data = start->len ? (uintptr_t)start->arg : 0,
		.data_len = (uint32_t)start->len,
		.status = start->op,
		.parent = start->parent,
		.reply_max = start->reply_max,
		.fds = start->fd_count ? (uintptr_t)start->fds : 0,
		.fd_count = start->fd_count,
		.reply_fd_max = start->reply_fd_max,
	};
	if (start->deadline == UPCALL_NO_DEADLINE)
		command->flags |= UPCALL_INVOKE_NO_DEADLINE;
	else
		command->deadline_ns = start->deadline;
	if (start->flags & UPCALL_START_STUB)
		command->flags |= UPCALL_INVOKE_STUB_FD;
	if (start->flags & UPCALL_START_SIGNATURE) {
		command->flags |= UPCALL_INVOKE_SIGNATURE;
		command->value = start->signature;
	}
}

int upcall_start(struct upcall_peer *peer, const struct upcall_start *start, uint64_t *id)
{
	struct upcall_pending *pending;
	struct upcall_command command;
	size_t slot;
	int err;

	if (start->flags & ~(UPCALL_START_STUB | UPCALL_START_SIGNATURE))
		return -EINVAL;
	if (start->len > UPCALL_MAX_PAYLOAD)
		return -EMSGSIZE;
	if (upcall_peer_forked(peer))
		return -EPERM;
	pending = calloc(1, sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	pending->user_data = start->user_data;
	start_command(start, &command);
	err = upcall_async_send(peer, pending, &command, &slot);
	if (err)
		free(pending);
	else
		*id = command.call_id;
	return err;
}

int upcall_cancel(struct upcall_peer *peer, uint64_t id)
{
	struct upcall_command command = { .type = UPCALL_COMMAND_CANCEL, .target = id };

	return upcall_peer_command(peer, &command);
}
