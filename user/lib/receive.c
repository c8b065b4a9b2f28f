// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Receiving: one EXCHANGE brings a batch of events, each caller takes one. What is
 * left waits in the peer's ready queue, as bytes, until somebody asks for it.
 */
#include <stdlib.h>
#include "internal.h"

#define EVENT_ROOM_KEPT	(64U << 10)	/* bytes; larger events get a buffer of their own */

static struct upcall_batch *batch_alloc(struct upcall_batch *spare, uint32_t room)
{
	struct upcall_batch *batch;

	free(spare);
	batch = malloc(sizeof(*batch) + room);
	if (batch)
		batch->room = room;
	return batch;
}

/* The last one again, if it is not in use and has the room. */
static inline struct upcall_batch *batch_new(struct upcall_peer *peer, uint32_t room)
{
	struct upcall_batch *batch = atomic_exchange(&peer->spare, NULL);

	if (!batch || batch->room < room) {
		batch = batch_alloc(batch, room);
		if (!batch)
			return NULL;
	}
	atomic_init(&batch->refs, 1);
	batch->first_used = false;
	batch->used = 0;
	batch->taken = 0;
	return batch;
}

/* Nobody refers to @batch any more. */
void upcall_batch_spare(struct upcall_peer *peer, struct upcall_batch *batch)
{
	struct upcall_batch *none = NULL;

	if (batch->room > EVENT_ROOM_KEPT ||
	    !atomic_compare_exchange_strong(&peer->spare, &none, batch))
		free(batch);
}

static const struct upcall_event *batch_event(const struct upcall_batch *batch, uint32_t at)
{
	return (const struct upcall_event *)(batch->data + at);
}

/* Takes the first event out of a batch; it stays where it is if there is no memory. */
static inline int batch_take_locked(struct upcall_peer *peer, struct upcall_batch *batch,
			     struct upcall_incoming **incoming)
{
	const struct upcall_event *event = batch_event(batch, batch->taken);
	int err;

	err = upcall_incoming_new_locked(peer, batch, event, incoming);
	if (!err)
		batch->taken += event->size;
	return err;
}

static void ready_add_locked(struct upcall_peer *peer, struct upcall_batch *batch)
{
	atomic_fetch_add(&batch->refs, 1);
	batch->next = NULL;
	*peer->ready_tail = batch;
	peer->ready_tail = &batch->next;
}

static void ready_remove_first_locked(struct upcall_peer *peer)
{
	struct upcall_batch *batch = peer->ready;

	peer->ready = batch->next;
	if (!peer->ready)
		peer->ready_tail = &peer->ready;
	upcall_batch_put(peer, batch);
}

/* What another thread adds just now it takes itself, sooner or later. */
static inline bool ready_any(const struct upcall_peer *peer)
{
	return atomic_load(&peer->ready);
}

/* -EAGAIN: there is none. @calls: also if it is a call. */
static int ready_take(struct upcall_peer *peer, bool calls, struct upcall_incoming **incoming)
{
	struct upcall_batch *batch;
	int err = -EAGAIN;

	if (!ready_any(peer))
		return err;
	pthread_mutex_lock(&peer->lock);
	batch = peer->ready;
	if (batch && (calls || batch_event(batch, batch->taken)->type != UPCALL_EVENT_CALL)) {
		err = batch_take_locked(peer, batch, incoming);
		if (batch->taken == batch->used)
			ready_remove_first_locked(peer);
	}
	pthread_mutex_unlock(&peer->lock);
	return err;
}

/* Cancellations take effect as soon as they are known, wherever they stand in the batch. */
static void batch_note_cancels_locked(struct upcall_peer *peer, const struct upcall_batch *batch)
{
	const struct upcall_event *event;
	uint32_t at;

	for (at = 0; at < batch->used; at += event->size) {
		event = batch_event(batch, at);
		if (event->type == UPCALL_EVENT_CANCEL)
			upcall_incoming_cancel_locked(peer,
					(const struct upcall_event_cancel *)event);
	}
}

/* The first event is the caller's; the others, or all if there is no memory, wait. */
static int batch_accept(struct upcall_peer *peer, struct upcall_batch *batch, bool take,
			struct upcall_incoming **incoming)
{
	int err = 0;

	pthread_mutex_lock(&peer->lock);
	batch_note_cancels_locked(peer, batch);
	if (take)
		err = batch_take_locked(peer, batch, incoming);
	if (batch->taken < batch->used)
		ready_add_locked(peer, batch);
	pthread_mutex_unlock(&peer->lock);
	return err;
}

static inline void exchange_init(struct upcall_exchange *exchange, struct upcall_peer *peer,
			  struct upcall_command *command, uint64_t deadline,
			  struct upcall_batch *batch)
{
	*exchange = (struct upcall_exchange){
		.size = sizeof(*exchange),
		.events = (uintptr_t)batch->data,
		.events_len = batch->room,
		.max_calls = atomic_load(&peer->max_calls),
		.commands = (uintptr_t)command,
		.command_count = command ? 1 : 0,
		.command_size = sizeof(*command),
		.deadline_ns = deadline,
	};
	if (deadline == UPCALL_NO_DEADLINE || deadline == UPCALL_NO_WAIT) {
		exchange->flags |= UPCALL_EXCHANGE_NO_DEADLINE;
		exchange->deadline_ns = 0;
	}
	if (deadline == UPCALL_NO_WAIT)
		exchange->flags |= UPCALL_EXCHANGE_NONBLOCK;
}

static void room_remember(struct upcall_peer *peer, uint32_t room)
{
	if (room <= EVENT_ROOM_KEPT && room > atomic_load(&peer->event_room))
		atomic_store(&peer->event_room, room);
}

/* What an EXCHANGE that returned 0 comes to. */
static int exchange_outcome(const struct upcall_exchange *exchange, struct upcall_command *command)
{
	int err;

	if (!command)
		return -(int)exchange->wait_error;
	err = -(int)command->error;
	if (err && err != -ENOENT)
		return err;
	command->type = 0;
	return err ? 0 : -(int)exchange->wait_error;
}

/*
 * One EXCHANGE. Return: 1 *incoming is set; 0 try again, with *room bytes; -errno.
 * command->type is 0 as soon as the command has had its effect.
 */
static int receive_once(struct upcall_peer *peer, struct upcall_command *command,
			uint64_t deadline, uint32_t *room, struct upcall_incoming **incoming)
{
	struct upcall_exchange exchange;
	struct upcall_batch *batch;
	bool failed;
	int err;

	batch = batch_new(peer, *room);
	if (!batch)
		return -ENOMEM;
	exchange_init(&exchange, peer, command, deadline, batch);
	err = upcall_peer_enter(peer, UPCALL_IOC_EXCHANGE, &exchange);
	if (!err) {
		err = exchange_outcome(&exchange, command);
		batch->used = exchange.events_used;
	}
	failed = command && command->type;
	if (batch->used) {
		int accept_err = batch_accept(peer, batch, !failed, incoming);

		if (!failed)
			err = accept_err ? accept_err : 1;
	} else if (err == -EMSGSIZE && !failed && exchange.needed > *room) {
		*room = (exchange.needed + 7) & ~7U;
		room_remember(peer, *room);
		err = 0;
	}
	upcall_batch_put(peer, batch);
	return err;
}

/* What waits in the library comes first; an answer goes before it. 1, or as receive_once(). */
static int receive_ready(struct upcall_peer *peer, struct upcall_command *command,
			 struct upcall_incoming **incoming)
{
	int err;

	if (command && command->type) {
		err = upcall_peer_command(peer, command);
		if (err && err != -ENOENT)
			return err;
		command->type = 0;
	}
	err = ready_take(peer, true, incoming);
	if (err)
		return err == -EAGAIN ? 0 : err;
	return 1;
}

/*
 * The next event, behind an optional command (REPLY, REFUSE). If command->type is
 * not 0 on return, it is to be given again, and the error is its own or came before it.
 * With 0 *incoming may be NULL: it was a RESULT that went to its completion.
 * The caller has a reference to the peer.
 */
int upcall_receive(struct upcall_peer *peer, struct upcall_command *command, uint64_t deadline,
		   struct upcall_incoming **incoming)
{
	uint32_t room = atomic_load(&peer->event_room);
	int ret;

	if (upcall_peer_forked(peer))
		return -EPERM;
	do {
		ret = ready_any(peer) ? receive_ready(peer, command, incoming) : 0;
		if (!ret)
			ret = receive_once(peer, command && command->type ? command : NULL,
					   deadline, &room, incoming);
	} while (!ret);
	if (ret < 0)
		return ret;
	if (upcall_incoming_type(*incoming) == UPCALL_EVENT_RESULT &&
	    upcall_async_take(peer, *incoming))
		*incoming = NULL;
	return 0;
}

/*
 * One EXCHANGE for a thread that waits for one call: a batch of its chain, or -errno. *@batch is
 * the caller's to put.
 */
int upcall_receive_chain(struct upcall_peer *peer, uint64_t id, unsigned int max_calls,
			 struct upcall_batch **result)
{
	uint32_t room = atomic_load(&peer->event_room);
	struct upcall_exchange exchange;
	struct upcall_batch *batch;
	int err;

	for (;;) {
		batch = batch_new(peer, room);
		if (!batch)
			return -ENOMEM;
		exchange_init(&exchange, peer, NULL, UPCALL_NO_DEADLINE, batch);
		exchange.wait_call = id;
		exchange.max_calls = max_calls;
		err = upcall_peer_enter(peer, UPCALL_IOC_EXCHANGE, &exchange);
		if (!err)
			break;
		upcall_batch_put(peer, batch);
		if (err != -EMSGSIZE || exchange.needed <= room)
			return err;
		room = (exchange.needed + 7) & ~7U;
	}
	batch->used = exchange.events_used;
	pthread_mutex_lock(&peer->lock);
	batch_note_cancels_locked(peer, batch);
	pthread_mutex_unlock(&peer->lock);
	*result = batch;
	return 0;
}

/* The next event of a batch that is the caller's alone; -EAGAIN: there is no other. */
int upcall_receive_from(struct upcall_peer *peer, struct upcall_batch *batch,
			struct upcall_incoming **incoming)
{
	int err = -EAGAIN;

	pthread_mutex_lock(&peer->lock);
	if (batch->taken < batch->used)
		err = batch_take_locked(peer, batch, incoming);
	pthread_mutex_unlock(&peer->lock);
	return err;
}

/* The next event that is no call: 0, or as upcall_next(). */
int upcall_receive_events(struct upcall_peer *peer, uint64_t deadline,
			  struct upcall_incoming **incoming)
{
	uint32_t room = atomic_load(&peer->event_room);
	struct upcall_exchange exchange;
	struct upcall_batch *batch;
	int err;

	err = ready_take(peer, false, incoming);
	if (err != -EAGAIN)
		return err;
	batch = batch_new(peer, room);
	if (!batch)
		return -ENOMEM;
	exchange_init(&exchange, peer, NULL, deadline, batch);
	exchange.max_calls = 0;
	err = upcall_peer_enter(peer, UPCALL_IOC_EXCHANGE, &exchange);
	if (err == -EMSGSIZE)
		room_remember(peer, (exchange.needed + 7) & ~7U);
	if (!err) {
		batch->used = exchange.events_used;
		err = batch_accept(peer, batch, true, incoming);
	}
	upcall_batch_put(peer, batch);
	return err;
}

/* What came behind a call and can be seen to before it runs. -EAGAIN: nothing. */
int upcall_receive_aside(struct upcall_peer *peer, struct upcall_incoming **incoming)
{
	return ready_take(peer, false, incoming);
}

/* At the end of the peer: what nobody took is answered (in vain) and its callbacks let go. */
void upcall_receive_drop_ready(struct upcall_peer *peer)
{
	struct upcall_incoming *incoming;

	while (ready_take(peer, true, &incoming) == 0) {
		if (upcall_incoming_type(incoming) != UPCALL_EVENT_RESULT ||
		    !upcall_async_take(peer, incoming))
			upcall_incoming_free(incoming);
	}
}

int upcall_next(struct upcall_peer *peer, uint64_t deadline, struct upcall_incoming **incoming)
{
	int err;

	upcall_peer_get(peer);
	do
		err = upcall_receive(peer, NULL, deadline, incoming);
	while (!err && !*incoming);
	upcall_peer_put(peer);
	return err ? err : (int)upcall_incoming_type(*incoming);
}
