// SPDX-License-Identifier: GPL-2.0-only
/*
 * EPOLLOUT: the last EAGAIN of a peer, remembered until whoever refused has room again.
 *
 * Two peers are involved, and two locks of peers are never held together. What waits in a
 * room is under the lock of the owner's peer; the mutex of the refusal, which belongs to the
 * caller's peer, is held around that by those who remember and forget. Whoever frees
 * room holds the owner's lock only, and touches nothing of the caller's peer but its refusal
 * and its poll_wait; why that is there is said in room.c.
 */
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "pool.h"
#include "quota.h"
#include "room.h"

static bool refusal_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct upcall_refusal, node)->bytes <
	       rb_entry(b, struct upcall_refusal, node)->bytes;
}

/*
 * Under @refusal->mutex: nobody else sets @cb. But whoever frees room may clear it and drop
 * its reference. So we look at it under RCU: it and its peer are freed after a grace
 * period; and once we have the lock and it is still there, the reference is ours.
 */
static void refusal_forget(struct upcall_refusal *refusal)
{
	struct upcall_callback *cb;
	bool mine = false;

	lockdep_assert_held(&refusal->mutex);
	rcu_read_lock();
	cb = smp_load_acquire(&refusal->cb);	/* pairs with room_wake_locked() */
	if (cb) {
		spin_lock(&cb->peer->lock);
		mine = refusal->cb;
		if (mine) {
			rb_erase_cached(&refusal->node, &refusal->room->refusals);
			upcall_room_tidy_locked(refusal->room);
			refusal->room = NULL;
			WRITE_ONCE(refusal->cb, NULL);
		}
		spin_unlock(&cb->peer->lock);
	}
	rcu_read_unlock();
	if (mine)
		upcall_callback_put(cb);
}

/* True if it waits for just that already: who is refused over and over costs its owner little. */
static bool refusal_repeats(struct upcall_refusal *refusal, struct upcall_callback *cb,
			    const struct upcall_account *account, u32 bytes)
{
	const struct upcall_account *top = account;
	bool repeats;

	lockdep_assert_held(&refusal->mutex);
	if (READ_ONCE(refusal->cb) != cb)
		return false;
	while (top->parent)
		top = top->parent;
	spin_lock(&cb->peer->lock);
	repeats = refusal->cb && refusal->bytes == bytes && refusal->room->account == top;
	if (repeats)
		WRITE_ONCE(refusal->by, UPCALL_REFUSED_BY_QUEUE);
	spin_unlock(&cb->peer->lock);
	return repeats;
}

/* False if there is nothing to wait for, or no memory to do so. */
static bool refusal_remember(struct upcall_refusal *refusal, struct upcall_callback *cb,
			     struct upcall_account *account, u32 bytes)
{
	struct upcall_room *room = NULL;

	spin_lock(&cb->peer->lock);
	if (cb->state == UPCALL_CB_LIVE &&
	    !upcall_pool_has_room(&cb->traffic->pool, account, bytes))
		room = upcall_room_get_locked(cb, account);
	if (room) {
		refcount_inc(&cb->refs);
		refusal->room = room;
		refusal->bytes = bytes;
		WRITE_ONCE(refusal->by, UPCALL_REFUSED_BY_QUEUE);
		WRITE_ONCE(refusal->cb, cb);
		rb_add_cached(&refusal->node, &room->refusals, refusal_less);
	}
	spin_unlock(&cb->peer->lock);
	return room;
}

/**
 * upcall_refusal_remember() - A call was refused for want of room: EPOLLOUT is cleared
 * @peer: Of its caller.
 * @call: NEW. Its callback's queue is the one that has to have room again, for this uid
 *	and an argument of this length.
 *
 * There may be room again since it was refused: then whoever is to poll for EPOLLOUT
 * finds it set, and an edge.
 *
 * Context: Process context, may sleep.
 */
void upcall_refusal_remember(struct upcall_peer *peer, const struct upcall_call *call)
{
	struct upcall_refusal *refusal = &peer->refusal;

	mutex_lock(&refusal->mutex);
	if (refusal_repeats(refusal, call->cb, call->from->account, call->arg_len))
		goto out_unlock;
	refusal_forget(refusal);
	/* Its end comes here after it set @dead, and waits for us. */
	if (!READ_ONCE(peer->dead) &&
	    !refusal_remember(refusal, call->cb, call->from->account, call->arg_len)) {
		WRITE_ONCE(refusal->by, UPCALL_REFUSED_BY_NONE);
		wake_up_interruptible_poll(&peer->poll_wait, EPOLLOUT | EPOLLWRNORM);
	}
out_unlock:
	mutex_unlock(&refusal->mutex);
}

/**
 * upcall_refusal_ask() - Whether a uid has room in a queue; if not, EPOLLOUT comes when it has
 * @peer: Of a stub; makes no calls to anything else.
 * @cb: That callback.
 * @account: Of that uid.
 *
 * A peer remembers one refusal, so those who share a stub are woken when the last that asked
 * has room: not before, whoever else has.
 *
 * Context: Process context, may sleep.
 * Return: True if there is room for a call, as far as it is known without its length.
 */
bool upcall_refusal_ask(struct upcall_peer *peer, struct upcall_callback *cb,
			struct upcall_account *account)
{
	struct upcall_refusal *refusal = &peer->refusal;
	struct upcall_account *top = account;
	bool waits, room;

	while (top->parent)
		top = top->parent;
	mutex_lock(&refusal->mutex);
	spin_lock(&cb->peer->lock);
	waits = refusal->cb && refusal->room->account == top;
	room = !waits && upcall_pool_has_room(&cb->traffic->pool, account, 0);
	spin_unlock(&cb->peer->lock);
	if (!waits && !room) {
		refusal_forget(refusal);
		UPCALL_HOOK(asking);
		room = !refusal_remember(refusal, cb, account, 0);
		/* Whoever waited for the other refusal may have missed what made this room. */
		if (room)
			wake_up_interruptible_poll(&peer->poll_wait, EPOLLOUT | EPOLLWRNORM);
	}
	mutex_unlock(&refusal->mutex);
	return room;
}

/**
 * upcall_refusal_forget() - A peer, or its process, has ended: nobody is to look for it any more
 * @peer: @dead is set, or none of its threads makes calls now, so it remembers no other refusal.
 *
 * Context: Process context, may sleep.
 */
void upcall_refusal_forget(struct upcall_peer *peer)
{
	mutex_lock(&peer->refusal.mutex);
	refusal_forget(&peer->refusal);
	mutex_unlock(&peer->refusal.mutex);
}

/**
 * upcall_refusal_by_results_locked() - A CALL was refused: too many RESULTs not received
 * @peer: Of its caller. EPOLLOUT is cleared until upcall_refusal_results_freed_locked().
 *
 * To be called under the same hold of the lock under which it was refused.
 *
 * Context: Under @peer->lock.
 */
void upcall_refusal_by_results_locked(struct upcall_peer *peer)
{
	lockdep_assert_held(&peer->lock);
	WRITE_ONCE(peer->refusal.by, UPCALL_REFUSED_BY_RESULTS);
}

/**
 * upcall_refusal_results_freed_locked() - A peer has received RESULTs
 * @peer: Which, and may make CALLs again.
 *
 * Context: Under @peer->lock.
 */
void upcall_refusal_results_freed_locked(struct upcall_peer *peer)
{
	lockdep_assert_held(&peer->lock);
	if (READ_ONCE(peer->refusal.by) == UPCALL_REFUSED_BY_RESULTS &&
	    cmpxchg(&peer->refusal.by, UPCALL_REFUSED_BY_RESULTS, UPCALL_REFUSED_BY_NONE) ==
	    UPCALL_REFUSED_BY_RESULTS)
		wake_up_interruptible_poll(&peer->poll_wait, EPOLLOUT | EPOLLWRNORM);
}
