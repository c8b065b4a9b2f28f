// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A callback: an exported function, and the slot that its cookie leads to. The cookie
 * is an index that is checked against the handle, never an address.
 */
#include <stdlib.h>
#include "internal.h"

static int slots_grow_locked(struct upcall_peer *peer)
{
	size_t count = peer->slot_count ? peer->slot_count * 2 : 16;
	struct upcall_slot *slots;
	size_t i;

	slots = realloc(peer->slots, count * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (i = peer->slot_count; i < count; i++)
		slots[i] = (struct upcall_slot){ .next_free = i + 1 };
	peer->slots = slots;
	peer->slot_count = count;
	return 0;
}

static int slot_add_locked(struct upcall_callback *callback)
{
	struct upcall_peer *peer = callback->peer;
	int err;

	if (peer->slot_free == peer->slot_count) {
		err = slots_grow_locked(peer);
		if (err)
			return err;
	}
	callback->slot = peer->slot_free;
	peer->slot_free = peer->slots[callback->slot].next_free;
	peer->slots[callback->slot].callback = callback;
	peer->live++;
	return 0;
}

/* The slot's pin is now the caller's. */
void upcall_callback_remove_locked(struct upcall_callback *callback)
{
	struct upcall_peer *peer = callback->peer;

	peer->slots[callback->slot].callback = NULL;
	peer->slots[callback->slot].next_free = peer->slot_free;
	peer->slot_free = callback->slot;
	peer->live--;
	callback->released = true;
}

static void callback_free(struct upcall_callback *callback)
{
	struct upcall_peer *peer = callback->peer;

	free(callback);
	upcall_peer_put(peer);
}

void upcall_callback_unpin(struct upcall_callback *callback)
{
	struct upcall_peer *peer = callback->peer;
	unsigned int pins = atomic_load(&callback->pins);
	bool gone;

	while (pins > 1) {
		if (atomic_compare_exchange_weak(&callback->pins, &pins, pins - 1))
			return;
	}
	/* The last pin is out of everyone's reach: no slot leads here, no call is left. */
	if (callback->destroy)
		callback->destroy(callback->user);
	pthread_mutex_lock(&peer->lock);
	atomic_store(&callback->pins, 0);
	gone = !callback->users;
	pthread_mutex_unlock(&peer->lock);
	if (gone)
		callback_free(callback);
}

static int callback_register(struct upcall_callback *callback, const struct upcall_options *options)
{
	struct upcall_register reg;
	int err;

	upcall_options_fill(options, &reg);
	reg.cookie = callback->slot;
	err = upcall_peer_control(callback->peer, UPCALL_IOC_REGISTER, &reg);
	if (!err)
		callback->handle = reg.handle;
	return err;
}

/*
 * With a handle its callback is taken over, else it is registered. Under the lock, so that an
 * event that comes at once finds the handle in its slot.
 */
static int callback_bind(struct upcall_callback *callback, const struct upcall_options *options)
{
	struct upcall_peer *peer = callback->peer;
	int err;

	pthread_mutex_lock(&peer->lock);
	err = peer->stopping ? -ESHUTDOWN : slot_add_locked(callback);
	if (!err) {
		err = callback->handle ? upcall_rebind(peer, callback->handle, callback->slot)
				       : callback_register(callback, options);
		if (err)
			upcall_callback_remove_locked(callback);
	}
	pthread_mutex_unlock(&peer->lock);
	return err;
}

static int callback_make(struct upcall_peer *peer, const struct upcall_callback *model,
			 const struct upcall_options *options, struct upcall_callback **result)
{
	struct upcall_callback *callback;
	int err;

	callback = malloc(sizeof(*callback));
	if (!callback)
		return -ENOMEM;
	*callback = *model;
	callback->peer = upcall_peer_get(peer);
	callback->users = 1;
	atomic_init(&callback->pins, 1);
	err = callback_bind(callback, options);
	if (err)
		callback_free(callback);
	else
		*result = callback;
	return err;
}

int upcall_callback_new(struct upcall_peer *peer, const struct upcall_options *options,
			upcall_fn fn, void *user, void (*destroy)(void *user),
			struct upcall_callback **result)
{
	const struct upcall_callback model = { .fn = fn, .user = user, .destroy = destroy };

	if (upcall_peer_forked(peer))
		return -EPERM;
	return callback_make(peer, &model, options, result);
}

/* Its cookie leads to a slot of ours: it has a function already. */
static bool callback_is_bound(struct upcall_peer *peer, const struct upcall_stat *stat)
{
	const struct upcall_event event = { .handle = stat->handle, .cookie = stat->cookie };
	bool bound;

	pthread_mutex_lock(&peer->lock);
	bound = upcall_callback_find_locked(peer, &event);
	pthread_mutex_unlock(&peer->lock);
	return bound;
}

int upcall_callback_adopt(struct upcall_peer *peer, uint64_t handle, upcall_fn fn, void *user,
			  void (*destroy)(void *user), struct upcall_callback **result)
{
	const struct upcall_callback model = {
		.handle = handle, .fn = fn, .user = user, .destroy = destroy,
	};
	struct upcall_stat stat;
	int err;

	if (upcall_peer_forked(peer))
		return -EPERM;
	err = upcall_stat(peer, handle, &stat, sizeof(stat));
	if (err)
		return err == -EACCES ? -EPERM : err;
	if (stat.state != UPCALL_STATE_LIVE)
		return -ESTALE;
	if (!stat.owned)
		return -EPERM;
	if (callback_is_bound(peer, &stat))
		return -EALREADY;
	return callback_make(peer, &model, NULL, result);
}

static int callback_release_locked(struct upcall_callback *callback, uint32_t flags)
{
	if (callback->released && !flags)
		return -ESTALE;
	callback->released = true;
	return upcall_release(callback->peer, callback->handle, flags);
}

int upcall_callback_release(struct upcall_callback *callback, uint32_t flags)
{
	struct upcall_peer *peer = callback->peer;
	int err;

	if (flags & ~UPCALL_RELEASE_ABORT)
		return -EINVAL;
	if (upcall_peer_forked(peer))
		return -EPERM;
	pthread_mutex_lock(&peer->lock);
	err = callback_release_locked(callback, flags);
	pthread_mutex_unlock(&peer->lock);
	return err;
}

struct upcall_callback *upcall_callback_ref(struct upcall_callback *callback)
{
	struct upcall_peer *peer = callback->peer;

	if (upcall_peer_forked(peer))
		return callback;
	pthread_mutex_lock(&peer->lock);
	callback->users++;
	pthread_mutex_unlock(&peer->lock);
	return callback;
}

void upcall_callback_unref(struct upcall_callback *callback)
{
	struct upcall_peer *peer;
	bool gone = false;

	if (!callback || upcall_peer_forked(callback->peer))
		return;
	peer = callback->peer;
	pthread_mutex_lock(&peer->lock);
	if (--callback->users == 0) {
		callback_release_locked(callback, 0);
		gone = !atomic_load(&callback->pins);
	}
	pthread_mutex_unlock(&peer->lock);
	if (gone)
		callback_free(callback);
}

void upcall_callback_set_unreferenced(struct upcall_callback *callback,
				      void (*fn)(struct upcall_callback *callback, void *user))
{
	struct upcall_peer *peer = callback->peer;

	if (upcall_peer_forked(peer))
		return;
	pthread_mutex_lock(&peer->lock);
	callback->unreferenced = fn;
	pthread_mutex_unlock(&peer->lock);
}

uint64_t upcall_callback_handle(const struct upcall_callback *callback)
{
	return callback->handle;
}

/* At the end of the peer: no RELEASED will come, each slot lets go of its callback now. */
void upcall_callback_end_all(struct upcall_peer *peer)
{
	struct upcall_callback *callback;
	size_t i;

	pthread_mutex_lock(&peer->lock);
	peer->stopping = true;
	for (i = 0; i < peer->slot_count; i++) {
		callback = peer->slots[i].callback;
		if (!callback)
			continue;
		upcall_callback_remove_locked(callback);
		pthread_mutex_unlock(&peer->lock);
		upcall_callback_unpin(callback);
		pthread_mutex_lock(&peer->lock);
	}
	pthread_mutex_unlock(&peer->lock);
}

void upcall_callback_shutdown_if_drained(struct upcall_peer *peer)
{
	bool drained;

	pthread_mutex_lock(&peer->lock);
	drained = peer->stopping && !peer->live;
	pthread_mutex_unlock(&peer->lock);
	if (drained)
		upcall_shutdown(peer);
}

int upcall_stop(struct upcall_peer *peer)
{
	size_t i;

	if (upcall_peer_forked(peer))
		return -EPERM;
	pthread_mutex_lock(&peer->lock);
	peer->stopping = true;
	for (i = 0; i < peer->slot_count; i++)
		if (peer->slots[i].callback)
			callback_release_locked(peer->slots[i].callback, 0);
	pthread_mutex_unlock(&peer->lock);
	upcall_callback_shutdown_if_drained(peer);
	return 0;
}
