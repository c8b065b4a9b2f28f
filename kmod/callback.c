// SPDX-License-Identifier: GPL-2.0-only
/* One callback: made, published, freed. How it ends is in retire.c. */
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include "access.h"
#include "callback.h"
#include "hook.h"
#include "main.h"
#include "peer.h"
#include "quota.h"
#include "registry.h"
#include "stub.h"
#include "trace.h"

static struct kmem_cache *callback_cache;

/**
 * upcall_callback_init() - Make the cache of callbacks
 *
 * Return: 0 or -ENOMEM.
 */
int upcall_callback_init(void)
{
	callback_cache = kmem_cache_create("upcall_callback", sizeof(struct upcall_callback), 0,
					   SLAB_ACCOUNT, NULL);
	return callback_cache ? 0 : -ENOMEM;
}

/**
 * upcall_callback_exit() - Free the cache of callbacks
 *
 * Context: Module exit: no callback is left, and no grace period for one.
 */
void upcall_callback_exit(void)
{
	kmem_cache_destroy(callback_cache);
}

static void callback_free_rcu(struct rcu_head *rcu)
{
	kmem_cache_free(callback_cache, container_of(rcu, struct upcall_callback, rcu));
}

/* One of those that the peer keeps, with the calling process as its @ident; or NULL. */
static struct upcall_callback *callback_take_spare(struct upcall_peer *peer)
{
	struct upcall_callback *cb;
	bool known;

	spin_lock(&peer->lock);
	cb = peer->spare_callbacks;
	if (cb) {
		peer->spare_callbacks = cb->spare;
		peer->nspare_callbacks--;
	}
	known = cb && cb->ident == peer->ident;
	spin_unlock(&peer->lock);
	if (!cb || (known && upcall_ident_is_current(cb->ident)))
		return cb;
	upcall_ident_put(cb->ident);
	cb->ident = upcall_peer_ident(peer);
	if (cb->ident)
		return cb;
	upcall_callback_free(cb);
	return NULL;
}

static struct upcall_callback *callback_alloc(struct upcall_peer *peer)
{
	struct upcall_callback *cb = kmem_cache_zalloc(callback_cache, GFP_KERNEL);

	if (!cb)
		return NULL;
	cb->ident = upcall_peer_ident(peer);
	if (!cb->ident) {
		kmem_cache_free(callback_cache, cb);
		return NULL;
	}
	cb->peer = upcall_peer_ref(peer);
	upcall_event_node_init(&cb->released, UPCALL_EVENT_RELEASED);
	return cb;
}

static struct upcall_callback *callback_new(struct upcall_peer *peer,
					    const struct upcall_register *args)
{
	struct upcall_callback *cb = callback_take_spare(peer) ?: callback_alloc(peer);

	if (!cb)
		return NULL;
	upcall_access_set(cb, args);
	memcpy(cb->label, args->label, sizeof(cb->label));
	cb->signature = args->signature;
	cb->flags = args->flags;
	cb->max_arg = args->max_arg;
	cb->max_queued_calls = args->max_queued_calls;
	cb->max_queued_bytes = args->max_queued_bytes;
	cb->registered = ktime_get();
	cb->state = UPCALL_CB_LIVE;
	cb->reason = 0;
	cb->word = args->word;
	cb->released.cookie = args->cookie;
	cb->traffic = NULL;
	WRITE_ONCE(cb->handle, 0);
	smp_wmb();	/* pairs with upcall_registry_get(): it sees that it is another one */
	refcount_set(&cb->refs, 1);
	return cb;
}

static void callback_free_traffic(struct upcall_traffic *traffic)
{
	if (!traffic)
		return;
	WARN_ON_ONCE(!list_empty(&traffic->rooms));
	upcall_pool_exit(&traffic->pool);
	kfree(traffic->stubs);
	kfree(traffic);
}

/* Nobody has a reference: keeps it for the next one, with its own to peer and ident. */
static bool callback_keep_locked(struct upcall_callback *cb)
{
	struct upcall_peer *peer = cb->peer;

	lockdep_assert_held(&peer->lock);
	if (peer->dead || peer->nspare_callbacks >= UPCALL_SPARE_CALLBACKS)
		return false;
	cb->spare = peer->spare_callbacks;
	peer->spare_callbacks = cb;
	peer->nspare_callbacks++;
	return true;
}

/**
 * upcall_callback_free() - Nobody has a reference any more
 * @cb: Not kept for the next one.
 *
 * It was unpublished before the registry's reference was dropped, so a lookup under RCU
 * may still look at its count, which is zero, and at its handle; hence the grace period. If it is
 * kept for the next one of its peer instead, what such a lookup gets has another handle.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_callback_free(struct upcall_callback *cb)
{
	upcall_ident_put(cb->ident);
	upcall_peer_put(cb->peer);
	call_rcu(&cb->rcu, callback_free_rcu);
}

/**
 * upcall_callback_put() - Drop a reference
 * @cb: Not used by the caller any more.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_callback_put(struct upcall_callback *cb)
{
	struct upcall_peer *peer = cb->peer;
	bool kept;

	if (!refcount_dec_and_test(&cb->refs))
		return;
	callback_free_traffic(cb->traffic);
	spin_lock(&peer->lock);
	kept = callback_keep_locked(cb);
	spin_unlock(&peer->lock);
	if (!kept)
		upcall_callback_free(cb);
}

/**
 * upcall_callback_put_locked() - Drop references, which may be the last ones
 * @cb: Not used by the caller any more.
 * @n: How many.
 *
 * Context: Under the lock of its peer.
 * Return: True if it is the caller's to give to upcall_callback_free(), without the lock.
 */
bool upcall_callback_put_locked(struct upcall_callback *cb, int n)
{
	if (!refcount_sub_and_test(n, &cb->refs))
		return false;
	callback_free_traffic(cb->traffic);
	return !callback_keep_locked(cb);
}

/**
 * upcall_callback_drain() - Free the callbacks that a peer keeps for the next ones
 * @peer: Dead: it keeps no others.
 *
 * Context: Process context, with no lock of ours held. The caller has a reference to @peer.
 */
void upcall_callback_drain(struct upcall_peer *peer)
{
	struct upcall_callback *cb, *next;

	spin_lock(&peer->lock);
	cb = peer->spare_callbacks;
	peer->spare_callbacks = NULL;
	peer->nspare_callbacks = 0;
	spin_unlock(&peer->lock);
	for (; cb; cb = next) {
		next = cb->spare;
		upcall_callback_free(cb);
	}
}

/**
 * upcall_traffic_make() - Make what calls need of a callback
 * @cb: Which has none, or perhaps by now it has.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int upcall_traffic_make(struct upcall_callback *cb)
{
	struct upcall_traffic *traffic = kzalloc(sizeof(*traffic), GFP_KERNEL_ACCOUNT);

	if (!traffic)
		return -ENOMEM;
	INIT_LIST_HEAD(&traffic->queued);
	INIT_LIST_HEAD(&traffic->running);
	INIT_LIST_HEAD(&traffic->rooms);
	traffic->pool.max_calls = cb->max_queued_calls;
	traffic->pool.max_bytes = cb->max_queued_bytes;
	spin_lock(&cb->peer->lock);
	if (!cb->traffic) {
		/* Pairs with upcall_stub_wake(), which has no lock. */
		smp_store_release(&cb->traffic, traffic);
		traffic = NULL;
	}
	spin_unlock(&cb->peer->lock);
	kfree(traffic);
	return 0;
}

/* Into the list of its peer's callbacks: by slots, which take less than pointers do. */
static void callback_link_locked(struct upcall_callback *cb)
{
	struct upcall_peer *peer = cb->peer;

	lockdep_assert_held(&peer->lock);
	cb->prev = UPCALL_SLOT_NONE;
	cb->next = peer->callbacks;
	if (cb->next != UPCALL_SLOT_NONE)
		upcall_registry_at(cb->next)->prev = upcall_handle_slot(cb->handle);
	peer->callbacks = upcall_handle_slot(cb->handle);
	peer->ncallbacks++;
}

/**
 * upcall_callback_unlink_locked() - Out of the list of its peer's callbacks
 * @cb: In it, as it was since it was published.
 *
 * Context: Under the lock of its peer.
 */
void upcall_callback_unlink_locked(struct upcall_callback *cb)
{
	struct upcall_peer *peer = cb->peer;

	lockdep_assert_held(&peer->lock);
	if (cb->prev == UPCALL_SLOT_NONE)
		peer->callbacks = cb->next;
	else
		upcall_registry_at(cb->prev)->next = cb->next;
	if (cb->next != UPCALL_SLOT_NONE)
		upcall_registry_at(cb->next)->prev = cb->prev;
	peer->ncallbacks--;
}

/* The step that makes it callable. Fails only if the peer ended meanwhile. */
static int callback_publish(struct upcall_callback *cb, u64 handle)
{
	struct upcall_peer *peer = cb->peer;
	int err = 0;

	spin_lock(&peer->lock);
	if (peer->dead) {
		err = -ESHUTDOWN;
	} else {
		upcall_registry_publish(cb, handle);
		callback_link_locked(cb);
		trace_upcall_registered(cb);
	}
	spin_unlock(&peer->lock);
	return err;
}

/**
 * upcall_callback_register() - Make a callback callable
 * @peer: The owner's.
 * @args: Checked by the caller.
 * @user: Where its handle is to be written, before anyone can call it.
 *
 * Context: Process context, may sleep.
 * Return: 0, or an error of REGISTER; nothing has changed then.
 */
int upcall_callback_register(struct upcall_peer *peer, const struct upcall_register *args,
			     u64 __user *user)
{
	struct upcall_account *account;
	struct upcall_callback *cb;
	u64 handle;
	int err;

	cb = callback_new(peer, args);
	if (!cb)
		return -ENOMEM;
	account = cb->ident->account;
	err = upcall_charge_callback(account);
	if (err)
		goto out_put;
	err = upcall_registry_reserve(&handle);
	if (err)
		goto out_uncharge;
	UPCALL_HOOK(reserved);
	err = put_user(handle, user);
	if (!err)
		err = callback_publish(cb, handle);
	if (err)
		goto out_unreserve;
	return 0;	/* it may have been released, and be gone */

out_unreserve:
	upcall_registry_unreserve(handle);
out_uncharge:
	upcall_uncharge_callback(account);
out_put:
	upcall_callback_put(cb);
	return err;
}

/**
 * upcall_callback_get_own() - Look up a callback of this very peer
 * @peer: The calling process's.
 * @handle: As given by a process.
 *
 * Context: Process context.
 * Return: It, referenced, live or closing; ERR_PTR(-ESTALE) or ERR_PTR(-EPERM).
 */
struct upcall_callback *upcall_callback_get_own(struct upcall_peer *peer, u64 handle)
{
	struct upcall_callback *cb = upcall_registry_get(handle);

	if (!IS_ERR(cb) && cb->peer != peer) {
		upcall_callback_put(cb);
		return ERR_PTR(-EPERM);
	}
	return cb;
}

/**
 * upcall_callback_rebind() - Another cookie for a live callback
 * @peer: Its owner's.
 * @handle: As given by a process.
 * @flags: UPCALL_REBIND_*.
 * @cookie: For deliveries that begin from now on.
 * @word: With UPCALL_REBIND_WORD.
 *
 * Context: Process context.
 * Return: 0, -ESTALE or -EPERM.
 */
int upcall_callback_rebind(struct upcall_peer *peer, u64 handle, u32 flags, u64 cookie, u64 word)
{
	struct upcall_callback *cb = upcall_callback_get_own(peer, handle);
	int err = -ESTALE;

	if (IS_ERR(cb))
		return PTR_ERR(cb);
	spin_lock(&peer->lock);
	if (cb->state == UPCALL_CB_LIVE) {
		cb->released.cookie = cookie;
		if (flags & UPCALL_REBIND_WORD)
			cb->word = word;
		err = 0;
	}
	spin_unlock(&peer->lock);
	upcall_callback_put(cb);
	return err;
}

/**
 * upcall_callback_death() - Why a callback ended
 * @cb: Not LIVE.
 * @death: Filled in.
 *
 * Context: Under the lock of its peer; or it is GONE, and nothing changes any more.
 */
void upcall_callback_death(const struct upcall_callback *cb, struct upcall_death *death)
{
	*death = (struct upcall_death){
		.reason = cb->reason,
		.exit_status = cb->exit_status,
		.when = cb->died,
		.word = cb->word,
	};
}
