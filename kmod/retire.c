// SPDX-License-Identifier: GPL-2.0-only
/* How a callback ends: RELEASE, what becomes of its calls, RELEASED, and gone. */
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/user_namespace.h>
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "peer.h"
#include "quota.h"
#include "registry.h"
#include "room.h"
#include "stub.h"
#include "trace.h"

static bool callback_is_busy_locked(const struct upcall_callback *cb)
{
	const struct upcall_traffic *traffic = cb->traffic;

	return traffic && (!list_empty(&traffic->queued) || !list_empty(&traffic->running) ||
			   traffic->cancelling);
}

/* Whether it has calls, or somebody waits for it. */
static bool callback_is_idle_locked(const struct upcall_callback *cb)
{
	const struct upcall_traffic *traffic = cb->traffic;

	return !traffic || (!callback_is_busy_locked(cb) && list_empty(&traffic->rooms) &&
			    !traffic->stubs);
}

/* Why it ends, once. */
static void callback_die_locked(struct upcall_callback *cb, const struct upcall_death *death)
{
	lockdep_assert_held(&cb->peer->lock);
	cb->reason = death->reason;
	cb->exit_status = death->exit_status;
	cb->died = death->when;
	if (death->set_word)
		cb->word = death->word;
}

static void callback_released_locked(struct upcall_callback *cb)
{
	struct upcall_peer *peer = cb->peer;

	WRITE_ONCE(cb->state, UPCALL_CB_RELEASED);
	upcall_event_node_queue(&cb->released, &peer->events);
	upcall_peer_wake_locked(peer, UPCALL_EVENT_RELEASED);
}

/* From LIVE to RELEASED at once, if it is idle. */
static bool callback_release_idle_locked(struct upcall_callback *cb,
					 const struct upcall_death *death)
{
	if (cb->state != UPCALL_CB_LIVE || cb->peer->dead || !callback_is_idle_locked(cb))
		return false;
	callback_die_locked(cb, death);
	callback_released_locked(cb);
	return true;
}

/* The way of most: it is the peer's own, and idle. The lock keeps it: no reference is needed. */
static bool callback_release_own(struct upcall_peer *peer, u64 handle,
				 const struct upcall_death *death)
{
	struct upcall_callback *cb;
	bool done;

	if (handle > UPCALL_MAX_HANDLE)
		return false;
	spin_lock(&peer->lock);
	cb = upcall_registry_at(upcall_handle_slot(handle));
	done = cb && cb->peer == peer && READ_ONCE(cb->handle) == handle &&
	       callback_release_idle_locked(cb, death);
	spin_unlock(&peer->lock);
	return done;
}

/**
 * upcall_callback_release() - RELEASE, by the owner or an administrator
 * @peer: The caller's.
 * @handle: As given by a process.
 * @flags: UPCALL_RELEASE_*.
 * @word: With UPCALL_RELEASE_WORD.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ESTALE, -EPERM, or -EINVAL: another's word cannot be set.
 */
int upcall_callback_release(struct upcall_peer *peer, u64 handle, u32 flags, u64 word)
{
	enum upcall_retire how = flags & UPCALL_RELEASE_ABORT ? UPCALL_RETIRE_ABORT
							      : UPCALL_RETIRE_CLOSE;
	struct upcall_death death = {
		.reason = flags & UPCALL_RELEASE_ABORT ? UPCALL_REASON_ABORTED
						       : UPCALL_REASON_RELEASED,
		.when = ktime_get(),
		.word = word,
		.set_word = flags & UPCALL_RELEASE_WORD,
	};
	struct upcall_callback *cb;
	int err;

	if (likely(callback_release_own(peer, handle, &death)))
		return 0;
	cb = upcall_registry_get(handle);
	if (IS_ERR(cb))
		return PTR_ERR(cb);
	if (cb->peer == peer) {
		err = upcall_callback_retire(cb, how, &death);
	} else if (how != UPCALL_RETIRE_ABORT ||
		   !ns_capable(cb->ident->cred->user_ns, CAP_SYS_ADMIN)) {
		err = -EPERM;
	} else if (death.set_word) {
		err = -EINVAL;
	} else {
		death.reason = UPCALL_REASON_REVOKED;
		err = upcall_callback_retire(cb, how, &death);
	}
	upcall_callback_put(cb);
	return err;
}

/* What retiring does to one call. */
static void callback_retire_call_locked(struct upcall_call *call, enum upcall_retire how)
{
	if (call->state == UPCALL_NEW) {
		upcall_room_leave_locked(call, -ESTALE);
	} else if (call->state == UPCALL_QUEUED) {
		upcall_call_unqueue_locked(call, call->ran ? -EOWNERDEAD : -ESTALE);
	} else if (how == UPCALL_RETIRE_DEATH) {
		upcall_call_answer_locked(call, -EOWNERDEAD, UPCALL_STAGE_DELIVERED);
		upcall_call_end_locked(call);
	} else {
		upcall_call_answer_locked(call, -ECANCELED, UPCALL_STAGE_DELIVERED);
		upcall_call_cancel_locked(call);
	}
}

/* The next call that retiring has to treat, or NULL: each one leaves its place by it. */
static struct upcall_call *callback_first_locked(struct upcall_callback *cb, enum upcall_retire how)
{
	struct upcall_call *call;

	if (!cb->traffic)
		return NULL;	/* there never was one */
	call = list_first_entry_or_null(&cb->traffic->queued, struct upcall_call, cb_link) ?:
	       upcall_room_first_locked(cb);
	if (call || how == UPCALL_RETIRE_CLOSE)
		return call;
	call = list_first_entry_or_null(&cb->traffic->running, struct upcall_call, cb_link);
	if (call && call->answered && how == UPCALL_RETIRE_ABORT)
		return NULL;	/* those without an answer come first */
	return call;
}

/* Treats some calls of a callback that accepts no more; true if there are others. */
static bool callback_retire_some(struct upcall_callback *cb, enum upcall_retire how)
{
	struct upcall_call *ended[UPCALL_BATCH_ENDED], *call;
	unsigned int i, n = 0;
	bool more;

	spin_lock(&cb->peer->lock);
	for (i = 0; i < UPCALL_BATCH_ENDED; i++) {
		call = callback_first_locked(cb, how);
		if (!call)
			break;
		callback_retire_call_locked(call, how);
		if (call->state == UPCALL_ENDED || call->state == UPCALL_NEW)
			ended[n++] = call;
	}
	if (!call)
		upcall_callback_end_locked(cb);
	more = call || upcall_room_retired_locked(cb);
	spin_unlock(&cb->peer->lock);
	/* The owner's references, which ending them left to us. */
	while (n--)
		upcall_call_put(ended[n]);
	return more;
}

/**
 * upcall_callback_close_locked() - From LIVE to CLOSING, once
 * @cb: LIVE. upcall_callback_retire_calls() is to follow, without the lock.
 * @death: Why.
 *
 * Context: Under the lock of its peer.
 */
void upcall_callback_close_locked(struct upcall_callback *cb, const struct upcall_death *death)
{
	lockdep_assert_held(&cb->peer->lock);
	WRITE_ONCE(cb->state, UPCALL_CB_CLOSING);
	callback_die_locked(cb, death);
	upcall_stub_closing_locked(cb);
}

/* 1: it was idle, and that is all; 0: upcall_callback_retire_calls() is to follow; or -ESTALE. */
static int callback_close(struct upcall_callback *cb, enum upcall_retire how,
			  const struct upcall_death *death)
{
	int ret = 0;

	spin_lock(&cb->peer->lock);
	if (cb->state == UPCALL_CB_LIVE) {
		upcall_callback_close_locked(cb, death);
		ret = callback_is_idle_locked(cb);
		if (ret)
			upcall_callback_end_locked(cb);
	} else if (how == UPCALL_RETIRE_CLOSE || cb->state != UPCALL_CB_CLOSING) {
		ret = -ESTALE;
	} else if (death->set_word) {
		cb->word = death->word;
	}
	spin_unlock(&cb->peer->lock);
	return ret;
}

/**
 * upcall_callback_retire_calls() - What follows when a callback accepts no more calls
 * @cb: Not LIVE; the caller has a reference.
 * @how: What becomes of calls that were delivered.
 *
 * Context: Process context, may sleep: it may have thousands of calls.
 */
void upcall_callback_retire_calls(struct upcall_callback *cb, enum upcall_retire how)
{
	might_sleep();
	UPCALL_HOOK(closing);
	upcall_stub_wake(cb);
	while (callback_retire_some(cb, how))
		cond_resched();
}

/**
 * upcall_callback_retire() - End a callback
 * @cb: In any state; the caller has a reference.
 * @how: What becomes of calls that were delivered. After UPCALL_RETIRE_DEATH it is
 *	upcall_callback_gone().
 * @death: Why. The first one stays.
 *
 * Context: Process context, may sleep: it may have thousands of calls.
 * Return: 0, or -ESTALE: it was not live (for ABORT: and none of its calls is running).
 */
int upcall_callback_retire(struct upcall_callback *cb, enum upcall_retire how,
			   const struct upcall_death *death)
{
	int ret;

	might_sleep();
	ret = callback_close(cb, how, death);
	if (ret < 0 && how != UPCALL_RETIRE_DEATH)
		return ret;
	if (ret <= 0)
		upcall_callback_retire_calls(cb, how);
	return 0;
}

/**
 * upcall_callback_end_locked() - An owner's end came, or it was retired: is it over?
 * @cb: In any state. If it is CLOSING and has no call left, RELEASED is queued.
 *
 * Context: Under the lock of its peer.
 */
void upcall_callback_end_locked(struct upcall_callback *cb)
{
	struct upcall_peer *peer = cb->peer;

	lockdep_assert_held(&peer->lock);
	if (cb->state != UPCALL_CB_CLOSING || callback_is_busy_locked(cb) || peer->dead)
		return;
	callback_released_locked(cb);
}

/**
 * upcall_callback_cancelled_locked() - A CANCEL or UNREFERENCED is not being copied any more
 * @cb: In any state. RELEASED waits for it: nothing follows that.
 *
 * Context: Under the lock of its peer.
 */
void upcall_callback_cancelled_locked(struct upcall_callback *cb)
{
	cb->traffic->cancelling--;
	upcall_callback_end_locked(cb);
}

/**
 * upcall_callback_gone() - RELEASED was read, or nobody will
 * @cb: Retired, without calls. The caller's reference is dropped.
 *
 * Its receiver and its peer's death may both come here: one of them ends it.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_callback_gone(struct upcall_callback *cb)
{
	struct upcall_peer *peer = cb->peer;
	bool first, last;

	spin_lock(&peer->lock);
	first = cb->state != UPCALL_CB_GONE;
	if (first) {
		upcall_event_node_drop(&cb->released);
		WRITE_ONCE(cb->state, UPCALL_CB_GONE);
		upcall_callback_unlink_locked(cb);
		upcall_registry_remove(cb);
		trace_upcall_released(cb);
		upcall_uncharge_callback(cb->ident->account);
	}
	last = upcall_callback_put_locked(cb, first + 1);	/* the registry's, too */
	spin_unlock(&peer->lock);
	if (last)
		upcall_callback_free(cb);
}
