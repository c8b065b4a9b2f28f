// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of calls. What has ended is kept by its owner's peer for the next ones, with its
 * place in the table of ids: both cost more to make than all else of a call.
 */
#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/rcuwait.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timerqueue.h>
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

static struct upcall_call *spare_new(void)
{
	struct upcall_call *call = kmem_cache_zalloc(call_cache, GFP_KERNEL);

	if (!call)
		return NULL;
	upcall_event_node_init(&call->node, UPCALL_EVENT_CALL);
	upcall_event_node_init(&call->cancel, UPCALL_EVENT_CANCEL);
	upcall_event_node_init(&call->result, UPCALL_EVENT_RESULT);
	INIT_LIST_HEAD(&call->cb_link);
	INIT_LIST_HEAD(&call->nest_link);
	INIT_HLIST_NODE(&call->out_link);
	timerqueue_init(&call->deadline_node);
	rcuwait_init(&call->wait);
	return call;
}

/*
 * A recycled call, as new but for its place in the table of ids: whatever its submit does not
 * set, and somebody looks at who has not set it. It is in no list, and its payloads are empty. Who
 * finds it by its place meanwhile looks at no more than its state, with READ_ONCE(), and its id.
 */
static void spare_reset(struct upcall_call *call)
{
	WRITE_ONCE(call->state, UPCALL_NEW);
	call->memcg = NULL;
	call->caller = NULL;
	call->flags = 0;
	call->queued_at = 0;
	call->fds = NULL;
	call->answer.err = 0;
	call->answer.stage = 0;
	call->answer.status = 0;
	call->answer.reason = 0;
	call->answer.exit_status = 0;
	call->answer.fds = NULL;
	call->answered = false;
	call->left = false;
	call->nested = false;
	call->ran = false;
	call->keeps_arg = false;
	call->lends = false;
	call->charged = false;
	call->room = NULL;
	call->dropped = 0;
	call->taken_at = 0;
	call->seq = 0;
	call->caller_id = 0;
	call->waited = false;
	call->nests = false;
	call->landed = false;
	call->node.taken = false;
	call->cancel.taken = false;
	call->result.taken = false;
}

static struct upcall_call *spare_take_locked(struct upcall_peer *owner)
{
	struct upcall_call *call;

	lockdep_assert_held(&owner->lock);
	call = list_first_entry_or_null(&owner->spares, struct upcall_call, cb_link);
	if (call) {
		list_del_init(&call->cb_link);
		owner->nspares--;
		owner->spares_low = min(owner->spares_low, owner->nspares);
	}
	return call;
}

/**
 * upcall_spare_get() - Memory for a call
 * @owner: Of the callback that is called.
 *
 * Context: Process context, may sleep.
 * Return: As zeroed but for its place in the table of ids, if it has one; NULL: out of
 *	memory. It comes back by upcall_spare_put().
 */
struct upcall_call *upcall_spare_get(struct upcall_peer *owner)
{
	struct upcall_call *call = READ_ONCE(owner->last_spare);

	if (call)
		call = xchg(&owner->last_spare, NULL);
	if (!call) {
		spin_lock(&owner->lock);
		call = spare_take_locked(owner);
		spin_unlock(&owner->lock);
	}
	if (!call)
		return spare_new();
	spare_reset(call);
	return call;
}

/* The one that @last_spare holds, if any, has no place any more. */
static void spare_free_last(struct upcall_peer *owner)
{
	struct upcall_call *call = xchg(&owner->last_spare, NULL);

	if (!call)
		return;
	spin_lock(&owner->lock);
	upcall_ids_remove_locked(&owner->incoming, call->owner_id);
	spin_unlock(&owner->lock);
	kmem_cache_free(call_cache, call);
}

/*
 * Without the lock. After the end of the peer nobody would look for it there:
 *
 *	here				the end
 *	cmpxchg(), a full barrier	dead = true
 *	if (dead)			xchg(), a full barrier: in spare_free_last()
 *		spare_free_last()
 *
 * Either that one finds it, or we see that the peer is dead.
 */
static bool spare_keep_last(struct upcall_peer *owner, struct upcall_call *call)
{
	if (!UPCALL_SPARE_CALLS || READ_ONCE(owner->dead) || READ_ONCE(owner->last_spare) ||
	    refcount_read(&call->links) != 1 || cmpxchg(&owner->last_spare, NULL, call))
		return false;
	if (unlikely(READ_ONCE(owner->dead)))
		spare_free_last(owner);
	return true;
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
	list_add(&call->cb_link, &owner->spares);
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
	bool kept = spare_keep_last(owner, call);

	if (!kept) {
		spin_lock(&owner->lock);
		kept = spare_keep_locked(owner, call);
		spin_unlock(&owner->lock);
	}
	upcall_call_unlink(kept ? parent : call);
}

/* Frees @n of the calls that a peer keeps, or all, those that lay there for longest. */
static void spare_free(struct upcall_peer *owner, u32 n)
{
	struct upcall_call *call, *next;
	LIST_HEAD(spares);

	spin_lock(&owner->lock);
	for (n = min(n, owner->nspares); n; n--) {
		call = list_last_entry(&owner->spares, struct upcall_call, cb_link);
		upcall_ids_remove_locked(&owner->incoming, call->owner_id);
		list_move(&call->cb_link, &spares);
		owner->nspares--;
	}
	owner->spares_low = owner->nspares;
	spin_unlock(&owner->lock);
	list_for_each_entry_safe(call, next, &spares, cb_link)
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
	spare_free_last(owner);
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
