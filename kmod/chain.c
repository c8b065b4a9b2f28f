// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls within calls.
 *
 * A call that was made while another one ran may name it as its parent. Parents are
 * constant, and their memory is held by their children: a chain can be walked without a lock,
 * in at most UPCALL_MAX_NESTING steps.
 */
#include <linux/spinlock.h>
#include <linux/wait.h>
#include "call.h"
#include "callback.h"
#include "main.h"
#include "peer.h"

/**
 * upcall_chain_parent_get() - The running call that a new one is to be nested in
 * @peer: The new one's caller, and the other one's owner.
 * @id: As given by a process.
 *
 * Context: Process context.
 * Return: Its memory, referenced: drop it with upcall_call_unlink(). ERR_PTR(-ENOENT): no such
 *	call runs here; ERR_PTR(-ELOOP): it is as deep as calls may be.
 */
struct upcall_call *upcall_chain_parent_get(struct upcall_peer *peer, u64 id)
{
	struct upcall_call *call;

	spin_lock(&peer->lock);
	call = upcall_ids_find_locked(&peer->incoming, id);
	/* READ_ONCE(): see spare_reset(). */
	if (!call || call->owner_id != id || READ_ONCE(call->state) != UPCALL_DELIVERED)
		call = ERR_PTR(-ENOENT);
	else if (call->depth >= UPCALL_MAX_NESTING)
		call = ERR_PTR(-ELOOP);
	else
		refcount_inc(&call->links);
	/* Its CANCEL may wait, and be for a thread that is about to wait for the new one. */
	if (!IS_ERR(call) && upcall_event_node_waits(&call->cancel) && list_empty(&call->nest_link))
		list_add_tail(&call->nest_link, &peer->nested);
	spin_unlock(&peer->lock);
	return call;
}

/**
 * upcall_chain_cancel_locked() - A CANCEL waits, perhaps for a thread that waits for one call
 * @call: DELIVERED. It leads back there, or calls are nested in it; else nothing is done.
 * @front: It was taken before, and goes before the others.
 *
 * Such a thread looks at all of @nested, under the lock: what others call, and give up, is in no
 * chain of its, and may be thousands.
 *
 * Context: Under the lock of its owner's peer.
 */
void upcall_chain_cancel_locked(struct upcall_call *call, bool front)
{
	struct upcall_peer *owner = call->cb->peer;

	lockdep_assert_held(&owner->lock);
	if (!call->nested && refcount_read(&call->links) == 1)
		return;
	if (front)
		list_add(&call->nest_link, &owner->nested);
	else
		list_add_tail(&call->nest_link, &owner->nested);
	wake_up(&owner->chain_wait);
}

/**
 * upcall_chain_has() - Whether one call is nested in another
 * @call: This one, perhaps several levels down.
 * @ancestor: In that one.
 *
 * Context: Any context.
 * Return: True if so.
 */
bool upcall_chain_has(const struct upcall_call *call, const struct upcall_call *ancestor)
{
	while (call && call != ancestor)
		call = call->parent;
	return call;
}

/**
 * upcall_chain_enter_locked() - A call is to be queued: does it lead back to its owner?
 * @call: NEW.
 *
 * What was called by the owner's peer has its caller's side under the lock that is held here.
 *
 * Context: Under the lock of its owner's peer.
 * Return: 0, or -EDEADLK: the owner's only thread waits in its chain, and takes no calls there.
 */
int upcall_chain_enter_locked(struct upcall_call *call)
{
	struct upcall_peer *owner = call->cb->peer;
	struct upcall_call *above;

	lockdep_assert_held(&owner->lock);
	for (above = call->parent; above; above = above->parent) {
		if (above->caller_peer != owner->id)
			continue;
		call->nested = true;
		/* With its answer the wait is as good as over. */
		if (owner->one_thread && above->waited && !above->nests &&
		    !READ_ONCE(above->answered))
			return -EDEADLK;
	}
	return 0;
}

/**
 * upcall_chain_wake_locked() - Wake the threads that wait in a call's chain
 * @call: Nested; it, or its CANCEL, can be taken.
 *
 * Context: Under the lock of its owner's peer.
 */
void upcall_chain_wake_locked(struct upcall_call *call)
{
	struct upcall_peer *owner = call->cb->peer;
	struct upcall_call *above;

	lockdep_assert_held(&owner->lock);
	for (above = call->parent; above; above = above->parent) {
		if (above->caller_peer == owner->id && above->waited)
			rcuwait_wake_up(&above->wait);
	}
}
