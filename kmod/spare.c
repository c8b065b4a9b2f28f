// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of calls. What has ended is kept by its owner's peer for the next ones, with its
 * place in the table of ids: both cost more to make than all else of a call.
 */
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include "call.h"
#include "callback.h"
#include "limits.h"
#include "main.h"
#include "peer.h"

static struct kmem_cache *call_cache;

/**
 * upcall_spare_init() - Make the cache of calls
 *
 * Both small payloads are copied from and to user memory, so the region that holds
 * them is declared to hardened usercopy.
 *
 * Return: 0 or -ENOMEM.
 */
int upcall_spare_init(void)
{
	size_t start = offsetof(struct upcall_call, arg);
	size_t end = offsetofend(struct upcall_call, answer);

	call_cache = kmem_cache_create_usercopy("upcall_call", sizeof(struct upcall_call), 0,
						SLAB_ACCOUNT, start, end - start, NULL);
	return call_cache ? 0 : -ENOMEM;
}

/**
 * upcall_spare_exit() - Free the cache of calls
 *
 * Context: Module exit: no call is left.
 */
void upcall_spare_exit(void)
{
	kmem_cache_destroy(call_cache);
}

/* From one offset in a call up to another one. */
static void call_clear(struct upcall_call *call, size_t from, size_t to)
{
	memset((char *)call + from, 0, to - from);
}

/*
 * A recycled call, as new but for its place in the table of ids, and for the bytes of payloads
 * that were there: nobody reads beyond their length.
 */
static void call_reset(struct upcall_call *call)
{
	u64 id = call->owner_id;

	call_clear(call, 0, offsetof(struct upcall_call, arg.small));
	call_clear(call, offsetofend(struct upcall_call, arg),
		   offsetof(struct upcall_call, answer.reply.small));
	call_clear(call, offsetofend(struct upcall_call, answer.reply), sizeof(*call));
	call->owner_id = id;
}

static struct upcall_call *spare_take_locked(struct upcall_peer *owner)
{
	struct upcall_call *call;

	lockdep_assert_held(&owner->lock);
	call = list_first_entry_or_null(&owner->spares, struct upcall_call, out_link);
	if (call) {
		list_del(&call->out_link);
		owner->nspares--;
		owner->spares_low = min(owner->spares_low, owner->nspares);
		call_reset(call);	/* LIST may look at it, by its place in the table */
	}
	return call;
}

/**
 * upcall_spare_get() - Memory for a call
 * @owner: Of the callback that is called.
 *
 * Context: Process context, may sleep.
 * Return: Zeroed but for its place in the table of ids, if it has one; NULL: out of
 *	memory. It comes back by upcall_spare_put().
 */
struct upcall_call *upcall_spare_get(struct upcall_peer *owner)
{
	struct upcall_call *call;

	spin_lock(&owner->lock);
	call = spare_take_locked(owner);
	spin_unlock(&owner->lock);
	return call ?: kmem_cache_zalloc(call_cache, GFP_KERNEL);
}

/* False: it has no place any more, and is to be freed. */
static bool spare_keep_locked(struct upcall_peer *owner, struct upcall_call *call)
{
	lockdep_assert_held(&owner->lock);
	/* Calls nested in it may still look at it: no new ones can, it has ended. */
	if (owner->dead || owner->nspares >= UPCALL_SPARE_CALLS ||
	    refcount_read(&call->links) != 1) {
		upcall_ids_remove_locked(&owner->incoming, call->owner_id);
		return false;
	}
	list_add(&call->out_link, &owner->spares);
	owner->nspares++;
	return true;
}

/**
 * upcall_spare_put() - Nothing is left of a call but its memory
 * @call: Nobody has a reference to it. Calls that are nested in it may look at its memory.
 *
 * Context: Process context, with no lock of ours held. Its callback is there.
 */
void upcall_spare_put(struct upcall_call *call)
{
	struct upcall_peer *owner = call->cb->peer;
	struct upcall_call *parent = call->parent;
	bool kept;

	spin_lock(&owner->lock);
	kept = spare_keep_locked(owner, call);
	spin_unlock(&owner->lock);
	upcall_call_unlink(kept ? parent : call);
}

/* Frees @n of the calls that a peer keeps, or all, those that lay there for longest. */
static void spare_free(struct upcall_peer *owner, u32 n)
{
	struct upcall_call *call, *next;
	LIST_HEAD(spares);

	spin_lock(&owner->lock);
	for (n = min(n, owner->nspares); n; n--) {
		call = list_last_entry(&owner->spares, struct upcall_call, out_link);
		upcall_ids_remove_locked(&owner->incoming, call->owner_id);
		list_move(&call->out_link, &spares);
		owner->nspares--;
	}
	owner->spares_low = owner->nspares;
	spin_unlock(&owner->lock);
	list_for_each_entry_safe(call, next, &spares, out_link)
		kmem_cache_free(call_cache, call);
}

/**
 * upcall_spare_is_idle_locked() - Whether there are more calls than a peer needs
 * @owner: Its queue may be empty: between two times when it is, it is seen what was needed.
 *
 * Context: Under @owner->lock.
 * Return: True if upcall_spare_trim() is to be called.
 */
bool upcall_spare_is_idle_locked(struct upcall_peer *owner)
{
	lockdep_assert_held(&owner->lock);
	if (!list_empty(&owner->queue))
		return false;
	if (owner->spares_low > UPCALL_FEW_SPARES)
		return true;
	owner->spares_low = owner->nspares;
	return false;
}

/**
 * upcall_spare_trim() - Free some of the calls that a peer did not need
 * @owner: upcall_spare_is_idle_locked().
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_spare_trim(struct upcall_peer *owner)
{
	spare_free(owner, min(READ_ONCE(owner->spares_low), UPCALL_BATCH_ENDED));
}

/**
 * upcall_spare_drain() - Free the calls that a peer keeps
 * @owner: Dead: it keeps no others.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_spare_drain(struct upcall_peer *owner)
{
	might_sleep();
	while (READ_ONCE(owner->nspares)) {
		spare_free(owner, UPCALL_BATCH_ENDED);
		cond_resched();
	}
}

/**
 * upcall_call_unlink() - Drop a reference to a call's memory
 * @call: NULL, or not used by the caller any more.
 *
 * Context: Any context.
 */
void upcall_call_unlink(struct upcall_call *call)
{
	while (call && refcount_dec_and_test(&call->links)) {
		struct upcall_call *parent = call->parent;

		kmem_cache_free(call_cache, call);
		call = parent;
	}
}
