// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A peer of the test double: its descriptor, its receivers, its end.
 *
 * Its descriptor is one end of a socket pair, so that poll(2) can tell of all three: a byte in it is
 * EPOLLIN, the other end closed EPOLLHUP, and a full buffer takes EPOLLOUT away.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "double.h"

int upcall_double_peer_init(struct double_peer *peer)
{
	int pair[2], least = 1;
	int saved = errno;
	int err = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
		err = -errno;
		errno = saved;
		return err;
	}
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	peer->fd = pair[0];
	peer->far = pair[1];
	peer->pid = getpid();
	double_list_init(&peer->queue);
	double_list_init(&peer->running);
	double_list_init(&peer->outgoing);
	double_list_init(&peer->events);
	double_list_init(&peer->receivers);
	return 0;
}

/* --- who can take what ------------------------------------------------------------ */

bool upcall_double_takes_call(const struct double_receiver *receiver,
			      const struct double_call *call)
{
	if (!receiver->max_calls)
		return false;
	if ((call->callback->reg.flags & UPCALL_REGISTER_SERIAL) && call->callback->running)
		return false;
	return !receiver->wait_call || upcall_double_call_within(call, receiver->wait_call);
}

bool upcall_double_takes_event(const struct double_receiver *receiver,
			       const struct double_event *event)
{
	const struct double_call *call = event->subject;

	if (event->type == UPCALL_EVENT_RESULT)
		return receiver->wait_call ? call == receiver->wait_call : !call->waited;
	if (!receiver->wait_call)
		return true;
	return event->type == UPCALL_EVENT_CANCEL &&
	       (upcall_double_call_within(call, receiver->wait_call) ||
		upcall_double_call_within(receiver->wait_call, call));
}

/* How many events there are for it, up to @enough. */
static unsigned int peer_count(const struct double_peer *peer,
			       const struct double_receiver *receiver, unsigned int enough)
{
	const struct double_link *link;
	unsigned int count = 0;

	double_for_each(link, &peer->events) {
		if (count >= enough)
			return count;
		if (upcall_double_takes_event(receiver,
					      double_entry(link, struct double_event, link)))
			count++;
	}
	double_for_each(link, &peer->queue) {
		if (count >= enough)
			break;
		if (upcall_double_takes_call(receiver, double_entry(link, struct double_call,
								     owner_link)))
			count++;
	}
	return count;
}

/* The newest first; only as many as there are events, so that a flood wakes no herd. */
static void peer_wake(struct double_peer *peer)
{
	struct double_link *link;
	unsigned int woken = 0;

	double_for_each(link, &peer->receivers) {
		struct double_receiver *receiver = double_entry(link, struct double_receiver, link);

		if (!receiver->woken && (peer->ended ||
		    peer_count(peer, receiver, receiver->wait_call ? 1 : woken + 1) > 
		    (receiver->wait_call ? 0 : woken))) {
			receiver->woken = true;
			pthread_cond_signal(&receiver->wake);
		}
		if (receiver->woken && !receiver->wait_call)
			woken++;
	}
}

/* --- what poll(2) sees ------------------------------------------------------------- */

static void peer_show_in(struct double_peer *peer, bool in)
{
	char byte = 0;

	if (in == peer->shows_in)
		return;
	if (in)
		send(peer->far, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		recv(peer->fd, &byte, 1, MSG_DONTWAIT);
	peer->shows_in = in;
}

static void peer_show_full(struct double_peer *peer, bool full)
{
	static const char filler[1024];
	char drained[1024];

	if (full == peer->shows_full)
		return;
	if (full) {
		while (send(peer->fd, filler, sizeof(filler), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
	} else {
		while (recv(peer->far, drained, sizeof(drained), MSG_DONTWAIT) > 0)
			;
	}
	peer->shows_full = full;
}

static bool peer_is_refused(const struct double_peer *peer)
{
	return peer->refused && peer->refused->state == UPCALL_STATE_LIVE &&
	       !upcall_double_has_room(peer->refused, peer->refused_bytes);
}

/* After each change of what can be received, or where it has been refused. */
void upcall_double_peer_update(struct double_peer *peer)
{
	const struct double_receiver anyone = { .max_calls = 1, .peer = peer };
	int saved = errno;

	peer_wake(peer);
	if (!peer->ended) {
		if (!peer_is_refused(peer))
			peer->refused = NULL;
		peer_show_in(peer, peer_count(peer, &anyone, 1));
		peer_show_full(peer, peer->refused);
	}
	errno = saved;
}

/* There is something new: also to who watches @fd for edges. */
void upcall_double_peer_tell(struct double_peer *peer)
{
	int saved = errno;

	if (!peer->ended)
		peer_show_in(peer, false);
	upcall_double_peer_update(peer);
	errno = saved;
}

/* One that is there already stays where it is. */
void upcall_double_event_add(struct double_event *event, struct double_peer *peer)
{
	if (peer->ended || !double_list_empty(&event->link))
		return;
	double_list_add(&event->link, &peer->events);
	upcall_double_peer_tell(peer);
}

/* A queue has become shorter, or is gone. */
void upcall_double_peer_room(struct double_registry *registry)
{
	struct double_link *link;

	pthread_cond_broadcast(&registry->room);
	double_for_each(link, &registry->peers) {
		struct double_peer *peer = double_entry(link, struct double_peer, link);

		if (peer->refused)
			upcall_double_peer_update(peer);
	}
}

/* --- its end ------------------------------------------------------------------------ */

/* Of every call by it. The thread that waits in INVOKE gives its own up. */
static void peer_leave_calls(struct double_peer *peer)
{
	struct double_link *link, *next;

	for (link = peer->outgoing.next; link != &peer->outgoing; link = next) {
		struct double_call *call = double_entry(link, struct double_call, caller_link);

		next = link->next;
		if (call->flags & UPCALL_CALL_ONEWAY) {
			double_list_remove(&call->caller_link);
			call->caller = NULL;
		} else if (call->waited && !call->async) {
			pthread_cond_signal(&call->wake);
		} else {
			upcall_double_call_leave(call, ESHUTDOWN);
		}
	}
}

static void peer_end_callbacks(struct double_peer *peer, uint32_t reason, const uint64_t *word)
{
	struct double_registry *registry = peer->registry;
	uint32_t i;

	for (i = 0; i < registry->callback_count; i++) {
		struct double_callback *callback = registry->callbacks[i];

		if (callback->owner != peer)
			continue;
		if (word && callback->state == UPCALL_STATE_LIVE)
			callback->reg.word = *word;
		upcall_double_callback_die(callback, reason);
	}
}

void upcall_double_peer_end(struct double_peer *peer, uint32_t reason, const uint64_t *word)
{
	struct double_link *link;

	if (peer->ended)
		return;
	peer->ended = true;
	peer->refused = NULL;
	peer_end_callbacks(peer, reason, word);
	peer_leave_calls(peer);
	while (!double_list_empty(&peer->events)) {
		link = peer->events.next;
		double_list_remove(link);
	}
	peer_wake(peer);
	close(peer->far);
	peer->far = -1;
	upcall_double_peer_room(peer->registry);
}
