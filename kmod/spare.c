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
#include "quota.h"
#include "submit.h"

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

/*
 * How many a peer may keep for this one to be another. What others made is memory of theirs, which
 * no quota counts any more, and which they cannot ask back.
 */
static u32 spare_most(const struct upcall_call *call)
{
	return call->foreign ? min(UPCALL_FEW_SPARES, UPCALL_SPARE_CALLS) : UPCALL_SPARE_CALLS;
}

/* False: it has no place any more, and is to be freed. */
static bool spare_keep_locked(struct upcall_peer *owner, struct upcall_call *call)
{
	lockdep_assert_held(&owner->lock);
	/* Calls nested in it may still look at it: no new ones can, it has ended. */
	if (owner->dead || owner->nspares >= spare_most(call) ||
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

/**
 * upcall_spare_put_all() - As upcall_spare_put(), of several calls
 * @owner: What they called is this peer's. The caller keeps it.
 * @calls: They, by @cb_link.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_spare_put_all(struct upcall_peer *owner, struct list_head *calls)
{
	struct upcall_call *call, *next;
	LIST_HEAD(rest);
	u32 n = 0;

	spin_lock(&owner->lock);
	list_for_each_entry_safe(call, next, calls, cb_link) {
		if (!owner->dead && owner->nspares + n < spare_most(call) && !call->parent &&
		    refcount_read(&call->links) == 1) {
			n++;
			continue;
		}
		upcall_ids_remove_locked(&owner->incoming, call->owner_id);
		list_move(&call->cb_link, &rest);
	}
	list_splice(calls, &owner->spares);
	owner->nspares += n;
	spin_unlock(&owner->lock);
	list_for_each_entry_safe(call, next, &rest, cb_link)
		upcall_call_unlink(call);
}

/**
 * upcall_reserve_fill() - Reserve for several calls at once
 * @reserve: An empty one. It takes what there is, and that may be less.
 * @owner: Of the callback that is called, kept by the caller; and so is @payer.
 * @payer: The account of the caller.
 * @calls: So many.
 * @bytes: Of all of them.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_reserve_fill(struct upcall_reserve *reserve, struct upcall_peer *owner,
			 struct upcall_account *payer, u32 calls, u64 bytes)
{
	struct list_head *last = &owner->spares;
	u32 i, n;

	reserve->owner = owner;
	if (!upcall_charge(payer, UPCALL_CALLS, calls)) {
		if (upcall_charge(payer, UPCALL_BYTES, bytes)) {
			upcall_uncharge(payer, UPCALL_CALLS, calls);
		} else {
			reserve->payer = payer;
			reserve->paid = calls;
			reserve->paid_bytes = bytes;
		}
	}
	spin_lock(&owner->lock);
	n = min(calls, owner->nspares);
	for (i = 0; i < n; i++)
		last = last->next;
	list_cut_position(&reserve->calls, &owner->spares, last);
	owner->nspares -= n;
	owner->spares_low = min(owner->spares_low, owner->nspares);
	spin_unlock(&owner->lock);
}

/**
 * upcall_reserve_take() - Memory for a call, reserved or not
 * @reserve: Perhaps empty.
 * @owner: Of the callback that is called.
 *
 * Context: Process context, may sleep.
 * Return: As upcall_spare_get().
 */
struct upcall_call *upcall_reserve_take(struct upcall_reserve *reserve, struct upcall_peer *owner)
{
	struct upcall_call *call;

	if (reserve->owner != owner || list_empty(&reserve->calls))
		return upcall_spare_get(owner);
	call = list_first_entry(&reserve->calls, struct upcall_call, cb_link);
	list_del_init(&call->cb_link);
	spare_reset(call);
	return call;
}

/**
 * upcall_reserve_pays() - Pay for a call out of what was reserved
 * @reserve: Perhaps empty.
 * @payer: Who pays.
 * @bytes: Of this call.
 *
 * Context: Any context.
 * Return: True if it did: then the call is charged for as by upcall_charge().
 */
bool upcall_reserve_pays(struct upcall_reserve *reserve, struct upcall_account *payer, u32 bytes)
{
	if (!reserve->paid || reserve->payer != payer || bytes > reserve->paid_bytes)
		return false;
	reserve->paid--;
	reserve->paid_bytes -= bytes;
	return true;
}

/**
 * upcall_reserve_drop() - Give back what was not used
 * @reserve: Empty afterwards.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_reserve_drop(struct upcall_reserve *reserve)
{
	struct upcall_peer *owner = reserve->owner;
	struct upcall_call *call, *next;
	LIST_HEAD(over);

	if (reserve->paid)
		upcall_uncharge(reserve->payer, UPCALL_CALLS, reserve->paid);
	if (reserve->paid_bytes)
		upcall_uncharge(reserve->payer, UPCALL_BYTES, reserve->paid_bytes);
	if (!list_empty(&reserve->calls)) {
		spin_lock(&owner->lock);
		list_for_each_entry_safe(call, next, &reserve->calls, cb_link) {
			list_del(&call->cb_link);
			if (!spare_keep_locked(owner, call))
				list_add(&call->cb_link, &over);
		}
		spin_unlock(&owner->lock);
	}
	list_for_each_entry_safe(call, next, &over, cb_link)
		kmem_cache_free(call_cache, call);
	reserve->owner = NULL;
	reserve->paid = 0;
	reserve->paid_bytes = 0;
}

/* Frees @n of the calls that a peer keeps, or all, those that lay there for longest: how many. */
static u32 spare_free(struct upcall_peer *owner, u32 n)
{
	struct upcall_call *call, *next;
	LIST_HEAD(spares);
	u32 i;

	spin_lock(&owner->lock);
	n = min(n, owner->nspares);
	for (i = 0; i < n; i++) {
		call = list_last_entry(&owner->spares, struct upcall_call, cb_link);
		upcall_ids_remove_locked(&owner->incoming, call->owner_id);
		list_move(&call->cb_link, &spares);
	}
	owner->nspares -= n;
	owner->spares_low = owner->nspares;
	spin_unlock(&owner->lock);
	list_for_each_entry_safe(call, next, &spares, cb_link)
		kmem_cache_free(call_cache, call);
	return n;
}

/**
 * upcall_spare_idle_locked() - How many more calls a peer keeps than it needs
 * @owner: Its queue may be empty: between two times when it is, it is seen what was needed.
 *
 * Context: Under @owner->lock.
 * Return: How many are to be freed by upcall_spare_trim(): mostly 0.
 */
u32 upcall_spare_idle_locked(struct upcall_peer *owner)
{
	lockdep_assert_held(&owner->lock);
	if (!list_empty(&owner->queue))
		return 0;
	if (owner->spares_low > UPCALL_FEW_SPARES)
		return min(owner->spares_low - UPCALL_FEW_SPARES, UPCALL_BATCH_ENDED);
	owner->spares_low = owner->nspares;
	return 0;
}

/**
 * upcall_spare_trim() - Free some of the calls that a peer did not need
 * @owner: Its.
 * @n: As upcall_spare_idle_locked() said.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_spare_trim(struct upcall_peer *owner, u32 n)
{
	spare_free(owner, n);
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
	while (spare_free(owner, UPCALL_BATCH_ENDED))
		cond_resched();
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
