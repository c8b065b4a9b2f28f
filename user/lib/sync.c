// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Retiring a callback and waiting until its function will not run any more.
 */
#include <time.h>
#include "internal.h"

#define SLICE_MS	20	/* between looks, where another thread receives what we wait for */

/* A thread that runs its function would wait for itself. */
static bool runs_here(const struct upcall_callback *callback)
{
	const struct upcall_incoming *at;

	for (at = upcall_current; at; at = at->outer) {
		if (at->callback == callback)
			return true;
	}
	return false;
}

static bool is_gone(struct upcall_callback *callback)
{
	bool gone;

	pthread_mutex_lock(&callback->peer->lock);
	gone = !atomic_load(&callback->pins);
	pthread_mutex_unlock(&callback->peer->lock);
	return gone;
}

static uint64_t slice_end(uint64_t deadline)
{
	uint64_t end = upcall_deadline_in(SLICE_MS);

	return end < deadline ? end : deadline;
}

/* Its RELEASED may come to any thread; if no other receives, it comes to this one. */
static int wait_until_gone(struct upcall_callback *callback, uint64_t deadline)
{
	static const struct timespec slice = { .tv_nsec = SLICE_MS * 1000000L };
	struct upcall_peer *peer = callback->peer;
	struct upcall_incoming *incoming;
	int err;

	while (!is_gone(callback)) {
		if (upcall_deadline_in(0) >= deadline)
			return -ETIMEDOUT;
		err = upcall_receive_events(peer, slice_end(deadline), &incoming);
		if (!err) {
			upcall_dispatch_event(peer, incoming);
		} else if (err == -ESHUTDOWN) {
			nanosleep(&slice, NULL);	/* upcall_close() ends it, or has */
		} else if (err != -ETIMEDOUT && err != -EINTR && err != -ENOMEM &&
			   err != -EMSGSIZE) {
			return err;
		}
	}
	return 0;
}

int upcall_callback_release_sync(struct upcall_callback *callback, uint32_t flags,
				 uint64_t deadline)
{
	struct upcall_peer *peer = callback->peer;
	int err;

	if (runs_here(callback))
		return -EDEADLK;
	err = upcall_callback_release(callback, flags);
	if (err && err != -ESTALE && err != -ESHUTDOWN)
		return err;
	upcall_peer_get(peer);
	err = wait_until_gone(callback, deadline);
	upcall_peer_put(peer);
	return err;
}
