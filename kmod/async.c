// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way of a RESULT. How calls that nobody sleeps for are made is in run.c.
 *
 * A call is answered under the lock of its owner's peer, where the lock of its caller's peer
 * may not be taken. So its RESULT is pushed onto @answers of that peer, a lockless list,
 * and who receives there moves it on, under its own lock:
 *
 *	@answers --land--> @results --take--> a receiver's batch --commit--> gone
 *	             |                             |
 *	             +--> @landed of the call -----+	a thread waits for this one
 *
 * A RESULT in any of these places has a reference. A dead peer moves nothing on: its end
 * empties the first two, and whoever holds one of the others drops it.
 */
#include <linux/llist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include "async.h"
#include "call.h"
#include "callback.h"
#include "event.h"
#include "main.h"
#include "peer.h"
#include "submit.h"

/**
 * upcall_async_answered() - An asynchronous call has its answer: its RESULT is on its way
 * @call: Submitted; just answered.
 *
 *	here				upcall_async_unwait()
 *	llist_add(), a full barrier	waited = false
 *	if (!waited)			smp_mb()
 *		wake receivers		if something is there: wake receivers
 *
 * Either we see that nobody waits for it, or the thread that did sees the RESULT.
 *
 * Context: Under the lock of its owner's peer. The caller's peer is kept by the call.
 */
void upcall_async_answered(struct upcall_call *call)
{
	struct upcall_peer *peer = call->caller;

	refcount_inc(&call->refs);
	llist_add(&call->result_link, &peer->answers);
	if (!READ_ONCE(call->waited))
		upcall_peer_wake(peer, UPCALL_EVENT_RESULT);
}

/**
 * upcall_async_land_some_locked() - Move RESULTs to where they can be received
 * @peer: Alive.
 *
 * Context: Under @peer->lock.
 */
void upcall_async_land_some_locked(struct upcall_peer *peer)
{
	struct upcall_call *call, *next;
	struct llist_node *first;

	lockdep_assert_held(&peer->lock);
	first = llist_reverse_order(llist_del_all(&peer->answers));
	llist_for_each_entry_safe(call, next, first, result_link) {
		if (call->waited)
			call->landed = true;
		else
			upcall_event_node_queue(&call->result, &peer->results);
	}
}

/**
 * upcall_async_done() - Nobody will look at a RESULT any more
 * @call: Its reference is dropped. What its owner still owes, that one pays for.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_async_done(struct upcall_call *call)
{
	spinlock_t *lock = &call->cb->peer->lock;

	if (refcount_read(&call->refs) > 1) {
		spin_lock(lock);
		if (call->left)
			upcall_call_uncharge(call);
		spin_unlock(lock);
	}
	upcall_call_put(call);
}

/**
 * upcall_async_return_locked() - A RESULT could not be copied out: it waits again
 * @call: Out of the batch.
 *
 * Context: Under the lock of its caller's peer.
 * Return: True if it waits, with the batch's reference; false if its peer has ended.
 */
bool upcall_async_return_locked(struct upcall_call *call)
{
	struct upcall_peer *peer = call->caller;

	lockdep_assert_held(&peer->lock);
	if (peer->dead)
		return false;
	if (call->waited)
		call->landed = true;
	else
		list_add(&call->result.link, &peer->results);
	return true;
}

/* Nobody was told its id yet: it may be refused, without a RESULT. */
static bool call_is_untold(const struct upcall_call *call)
{
	/* The lock is its owner's. It leaves NEW once. */
	return data_race(call->state) == UPCALL_NEW && !call->wait_room;
}

/**
 * upcall_async_wait() - A thread begins to wait for one call
 * @peer: The calling process's.
 * @id: As given by a process.
 * @nests: The thread takes calls of its chain meanwhile.
 *
 * Context: Process context.
 * Return: The call, referenced: its RESULT goes to nobody else until upcall_async_unwait(). Or
 *	ERR_PTR(-ENOENT): no CALL of this peer, or its RESULT is another thread's; ERR_PTR(-EBUSY).
 */
struct upcall_call *upcall_async_wait(struct upcall_peer *peer, u64 id, bool nests)
{
	struct upcall_call *call;

	spin_lock(&peer->lock);
	call = upcall_ids_find_locked(&peer->outgoing_ids, id);
	if (!call || call->caller_id != id || !call->caller || call_is_untold(call)) {
		call = ERR_PTR(-ENOENT);
	} else if (call->waited) {
		call = ERR_PTR(-EBUSY);
	} else if (call->result.taken) {
		call = ERR_PTR(-ENOENT);
	} else {
		refcount_inc(&call->refs);
		WRITE_ONCE(call->waited, true);
		call->nests = nests;
		call->landed = upcall_event_node_drop(&call->result);
	}
	spin_unlock(&peer->lock);
	return call;
}

/**
 * upcall_async_unwait() - A thread has waited for a call; whoever comes may have its RESULT
 * @peer: The calling process's.
 * @call: From upcall_async_wait(). The reference is dropped.
 *
 * Context: Process context.
 */
void upcall_async_unwait(struct upcall_peer *peer, struct upcall_call *call)
{
	bool dropped = false;

	spin_lock(&peer->lock);
	WRITE_ONCE(call->waited, false);
	call->nests = false;
	if (call->landed) {
		call->landed = false;
		dropped = peer->dead;
		if (!dropped)
			upcall_event_node_queue(&call->result, &peer->results);
	}
	/* Pairs with upcall_async_answered(). */
	smp_mb();
	if (!peer->dead) {
		upcall_async_land_locked(peer);
		if (!list_empty(&peer->results))
			upcall_peer_wake(peer, UPCALL_EVENT_RESULT);
	}
	spin_unlock(&peer->lock);
	if (dropped)
		upcall_async_done(call);
	upcall_call_put(call);
}

/**
 * upcall_async_cancel() - CANCEL of an asynchronous call
 * @peer: The caller's.
 * @id: As given by a process.
 *
 * Context: Process context.
 * Return: 0: its RESULT comes, or has come and waits; or -ENOENT.
 */
int upcall_async_cancel(struct upcall_peer *peer, u64 id)
{
	struct upcall_call *call;

	spin_lock(&peer->lock);
	call = upcall_ids_find_locked(&peer->outgoing_ids, id);
	if (call && call->caller_id == id && call->caller)
		refcount_inc(&call->refs);
	else
		call = NULL;
	spin_unlock(&peer->lock);
	if (!call)
		return -ENOENT;
	upcall_call_abandon(call, -ECANCELED);
	upcall_call_put(call);
	return 0;
}

/**
 * upcall_async_init() - A peer without results
 * @peer: A new one.
 */
void upcall_async_init(struct upcall_peer *peer)
{
	init_llist_head(&peer->answers);
	INIT_LIST_HEAD(&peer->results);
	upcall_deadline_init(peer);
}

/**
 * upcall_async_stop() - A peer, or its process, has ended: nobody will receive its RESULTs
 * @peer: All its calls are given up, and so answered: nothing is added any more.
 *
 * Context: Process context, may sleep.
 */
void upcall_async_stop(struct upcall_peer *peer)
{
	struct upcall_call *call, *next;
	struct llist_node *first;
	LIST_HEAD(results);

	upcall_deadline_stop(peer);
	spin_lock(&peer->lock);
	first = llist_del_all(&peer->answers);
	list_splice_init(&peer->results, &results);
	spin_unlock(&peer->lock);
	llist_for_each_entry_safe(call, next, first, result_link) {
		upcall_async_done(call);
		cond_resched();
	}
	list_for_each_entry_safe(call, next, &results, result.link) {
		list_del_init(&call->result.link);
		upcall_async_done(call);
		cond_resched();
	}
}
