// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a caller takes back, or gives up.
 *
 * What is in the queue leaves it; of what was delivered the owner is told. One that was queued
 * again when its owner died leaves the queue as well, but it may have run: it is not taken back
 * to be made once more, and its stage is DELIVERED.
 */
#include <linux/spinlock.h>
#include "call.h"
#include "callback.h"
#include "main.h"
#include "peer.h"
#include "room.h"

/* True if it will not be delivered any more: the owner's reference is the caller's to put. */
static bool call_take_back_locked(struct upcall_call *call, int err)
{
	lockdep_assert_held(&call->cb->peer->lock);
	if (call->state != UPCALL_QUEUED)
		return upcall_room_leave_locked(call, err);
	if (call->flags & UPCALL_CALL_ONEWAY)
		return false;
	upcall_call_unqueue_locked(call, err);
	return true;
}

/**
 * upcall_call_withdraw() - Take a call back, if it was not delivered
 * @call: Submitted; the caller has a reference.
 *
 * Context: Process context.
 * Return: True if it will not run now, or has an answer; false if it may run.
 */
bool upcall_call_withdraw(struct upcall_call *call)
{
	struct upcall_peer *owner = call->cb->peer;
	bool back = false, done;

	spin_lock(&owner->lock);
	if (!call->ran)
		back = call_take_back_locked(call, -ERESTARTSYS);
	done = call->answered;
	spin_unlock(&owner->lock);
	if (back)
		upcall_call_put(call);
	return done;
}

/**
 * upcall_call_abandon() - Give a call up
 * @call: In any state, even NEW; the caller has a reference. A queued notification stays.
 * @err: -errno, if it has no answer yet.
 *
 * Context: Process context.
 */
void upcall_call_abandon(struct upcall_call *call, int err)
{
	struct upcall_peer *owner = call->cb->peer;
	bool back;

	spin_lock(&owner->lock);
	back = call_take_back_locked(call, err);
	if (!back && upcall_call_answer_locked(call, err, upcall_call_stage_locked(call)) &&
	    call->state != UPCALL_NEW)
		upcall_call_cancel_locked(call);
	spin_unlock(&owner->lock);
	if (back)
		upcall_call_put(call);
}
