// SPDX-License-Identifier: GPL-2.0-only
/*
 * From what a process wants called to a call in its owner's queue; for INVOKE, CALL and
 * NOTIFY alike.
 */
#include <linux/ktime.h>
#include <linux/spinlock.h>
#include "access.h"
#include "async.h"
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "main.h"
#include "peer.h"
#include "registry.h"
#include "room.h"
#include "stub.h"
#include "submit.h"
#include "timens.h"

#define SUBMIT_FLAGS	(UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE | \
			 UPCALL_INVOKE_SIGNATURE | UPCALL_INVOKE_STUB_FD | \
			 UPCALL_INVOKE_WAIT_ROOM | UPCALL_INVOKE_LATEST)

static int submit_check_oneway(const struct upcall_invoke *args)
{
	if (args->reply || args->reply_room || args->reply_max || args->parent)
		return -EINVAL;
	return args->reply_fds || args->reply_fd_room ? -EINVAL : 0;
}

/**
 * upcall_submit_check() - Whether the members of an INVOKE make sense
 * @args: As copied in.
 *
 * Context: Any context.
 * Return: 0 or -EINVAL.
 */
int upcall_submit_check(const struct upcall_invoke *args)
{
	u32 max = READ_ONCE(upcall_max_payload), flags = args->flags;

	if (flags & ~SUBMIT_FLAGS)
		return -EINVAL;
	if ((flags & UPCALL_INVOKE_NO_DEADLINE) && args->deadline_ns)
		return -EINVAL;
	if (args->call_id)	/* the rest was looked at when it was a new call */
		return flags & UPCALL_INVOKE_ONEWAY ? -EINVAL : 0;
	if (!(flags & UPCALL_INVOKE_SIGNATURE) && args->signature)
		return -EINVAL;
	if (args->arg_len > max || args->fd_count > UPCALL_MAX_FDS ||
	    args->reply_fd_room > UPCALL_MAX_FDS)
		return -EINVAL;
	if (flags & UPCALL_INVOKE_ONEWAY)
		return submit_check_oneway(args);
	if (flags & UPCALL_INVOKE_LATEST)
		return -EINVAL;
	return args->reply_max > max || args->reply_max < args->reply_room ? -EINVAL : 0;
}

static void submit_say_death(struct upcall_invoke *args, const struct upcall_death *death)
{
	args->reason = death->reason;
	args->exit_status = death->exit_status;
	args->word = death->word;
}

/* Why a callback that was found does not live; nothing if the errno is its owner's own. */
static void submit_say_callback(struct upcall_invoke *args, struct upcall_callback *cb)
{
	struct upcall_death death = {};

	spin_lock(&cb->peer->lock);
	if (cb->state != UPCALL_CB_LIVE)
		upcall_callback_death(cb, &death);
	spin_unlock(&cb->peer->lock);
	submit_say_death(args, &death);
}

/**
 * upcall_submit_say_answer() - How a call ended, but for the reply's bytes
 * @args: [out] members are set.
 * @call: Answered.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_submit_say_answer(struct upcall_invoke *args, struct upcall_call *call)
{
	const struct upcall_answer *answer = &call->answer;

	args->call_id = 0;
	args->seq = call->seq;
	args->stage = answer->stage;
	args->status = answer->status;
	if (call->queued_at)	/* else it waited for room in vain */
		args->total_ns = ktime_to_ns(ktime_sub(answer->when, call->queued_at));
	if (call->taken_at) {
		args->queued_ns = ktime_to_ns(ktime_sub(call->taken_at, call->queued_at));
		args->run_ns = args->total_ns - args->queued_ns;
	}
	args->reason = answer->reason;
	args->exit_status = answer->exit_status;
	if (!answer->reason && (answer->err == -ESTALE || answer->err == -EOWNERDEAD))
		submit_say_callback(args, call->cb);
}

/**
 * upcall_submit_may() - Whether a call may be made, as far as is known without a lock
 * @cb: What is called.
 * @from: The calling process.
 * @submit: @args.needed is set with -EMSGSIZE.
 *
 * Context: Process context.
 * Return: 0, or an error of INVOKE from -ESTALE to -ETIMEDOUT.
 */
int upcall_submit_may(struct upcall_callback *cb, struct upcall_ident *from,
		      struct upcall_submit *submit)
{
	struct upcall_invoke *args = &submit->args;
	int err;

	/* A first look, for the order of errors; the one that counts is under the lock. */
	if (READ_ONCE(cb->state) != UPCALL_CB_LIVE)
		return -ESTALE;
	err = submit->stub ? 0 : upcall_access_check(cb, from);
	if (err)
		return err;
	if ((cb->flags & UPCALL_REGISTER_SIGNATURE) &&
	    (!(args->flags & UPCALL_INVOKE_SIGNATURE) || args->signature != cb->signature))
		return -EPROTOTYPE;
	if (args->arg_len > cb->max_arg) {
		args->needed = cb->max_arg;
		return -EMSGSIZE;
	}
	if (args->fd_count && !(cb->flags & UPCALL_REGISTER_FDS))
		return -EMFILE;
	if (!(args->flags & UPCALL_INVOKE_NO_DEADLINE) &&
	    ktime_compare(ktime_get(), upcall_time_read(args->deadline_ns)) >= 0)
		return -ETIMEDOUT;
	return 0;
}

/**
 * upcall_submit_link_locked() - The end of a caller's peer is to reach a call, and its deadline
 * @peer: The caller's.
 * @call: NEW.
 * @with_id: Its caller is to know it by an id.
 *
 * Context: Under @peer->lock; with @with_id between idr_preload() and idr_preload_end().
 * Return: 0, -ESHUTDOWN, -EAGAIN or -ENOMEM. To be undone by upcall_submit_unlink().
 */
int upcall_submit_link_locked(struct upcall_peer *peer, struct upcall_call *call, bool with_id)
{
	int err = 0;

	lockdep_assert_held(&peer->lock);
	if (peer->dead)
		return -ESHUTDOWN;
	if (call->caller && peer->nresults >= UPCALL_MAX_OUTGOING) {
		upcall_refusal_by_results_locked(peer);
		return -EAGAIN;
	}
	if (with_id)
		err = upcall_ids_add_locked(&peer->outgoing_ids, call, &call->caller_id);
	if (err)
		return err;
	refcount_inc(&call->refs);
	hlist_add_head(&call->out_link, &peer->outgoing);
	peer->noutgoing++;
	if (call->caller) {
		peer->nresults++;
		upcall_deadline_add_locked(peer, call);
	}
	return 0;
}

/*
 * From here on the end of this peer reaches the call, and its deadline, if it is asynchronous.
 * A reply that might have to be kept needs an id now, while it can still be refused.
 */
static int submit_link(struct upcall_peer *peer, struct upcall_call *call,
		       const struct upcall_submit *submit)
{
	bool with_id = submit->async || submit->args.reply_max > submit->args.reply_room;
	int err;

	if (with_id)
		idr_preload(GFP_KERNEL);
	spin_lock(&peer->lock);
	call->waited = !submit->async || submit->waited;
	call->nests = submit->nests;
	err = upcall_submit_link_locked(peer, call, with_id);
	spin_unlock(&peer->lock);
	if (with_id)
		idr_preload_end();
	return err;
}

/**
 * upcall_submit_unlink_locked() - Its caller has done with a call
 * @peer: The caller's.
 * @call: Perhaps unlinked already, by the end of the peer.
 *
 * Context: Under @peer->lock.
 * Return: True if it was linked: a reference is the caller's to put, without the lock.
 */
bool upcall_submit_unlink_locked(struct upcall_peer *peer, struct upcall_call *call)
{
	lockdep_assert_held(&peer->lock);
	WRITE_ONCE(call->waited, false);
	if (hlist_unhashed(&call->out_link))
		return false;
	hlist_del_init(&call->out_link);
	peer->noutgoing--;
	if (call->caller) {
		peer->nresults--;
		upcall_refusal_results_freed_locked(peer);
		upcall_deadline_remove_locked(peer, call);
	}
	upcall_ids_remove_locked(&peer->outgoing_ids, call->caller_id);
	return true;
}

/**
 * upcall_submit_unlink() - Its caller has done with a call
 * @peer: The caller's.
 * @call: The caller of this function has a reference of its own.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_submit_unlink(struct upcall_peer *peer, struct upcall_call *call)
{
	bool linked;

	spin_lock(&peer->lock);
	linked = upcall_submit_unlink_locked(peer, call);
	spin_unlock(&peer->lock);
	if (linked)
		upcall_call_put(call);
}

/*
 * A new call, queued or waiting for room; linked to its peer if anybody is to wait for it. The
 * references to @cb and @from are the call's then, or dropped.
 */
static struct upcall_call *submit_new(struct upcall_peer *peer, struct upcall_callback *cb,
				      struct upcall_ident *from, struct upcall_submit *submit)
{
	bool link = !(submit->args.flags & UPCALL_INVOKE_ONEWAY) ||
		    submit->args.flags & UPCALL_INVOKE_WAIT_ROOM;
	struct upcall_call *call;
	int err;

	err = upcall_submit_may(cb, from, submit);
	if (err)
		goto out_refs;
	call = upcall_call_new(peer, cb, from, submit);
	if (IS_ERR(call))
		return call;
	UPCALL_HOOK(made);
	if (link)
		err = submit_link(peer, call, submit);
	if (err)
		goto out_put;
	UPCALL_HOOK(linked);
	err = upcall_call_queue(call);
	if (err)
		goto out_unlink;
	UPCALL_HOOK(queued);
	if (!call->wait_room)	/* else it is said later */
		submit->args.seq = call->seq;
	return call;

out_unlink:
	if (err == -EAGAIN)
		upcall_refusal_remember(peer, call);
	else if (err == -ESTALE)
		submit_say_callback(&submit->args, cb);
	if (link)
		upcall_submit_unlink(peer, call);
out_put:
	upcall_call_put(call);
	return ERR_PTR(err);

out_refs:
	if (err == -ESTALE)
		submit_say_callback(&submit->args, cb);
	upcall_ident_put(from);
	upcall_callback_put(cb);
	return ERR_PTR(err);
}

/* What the handle names, or the stub fd. */
static struct upcall_callback *submit_callback_get(struct upcall_submit *submit)
{
	struct upcall_invoke *args = &submit->args;
	struct upcall_callback *cb = submit->stub;
	struct upcall_death death;

	if (cb) {
		refcount_inc(&cb->refs);
	} else if (args->flags & UPCALL_INVOKE_STUB_FD) {
		cb = upcall_stub_callback_get(args->target);
		if (!IS_ERR(cb))
			submit->stub = cb;
	} else {
		cb = upcall_registry_get(args->target);
		if (IS_ERR(cb) && !upcall_registry_grave(args->target, &death))
			submit_say_death(args, &death);
	}
	return cb;
}

static struct upcall_call *submit_target(struct upcall_peer *peer, struct upcall_submit *submit)
{
	struct upcall_callback *cb = submit_callback_get(submit);
	struct upcall_ident *from;

	if (IS_ERR(cb))
		return ERR_CAST(cb);
	from = upcall_peer_ident(peer);
	if (from)
		return submit_new(peer, cb, from, submit);
	upcall_callback_put(cb);
	return ERR_PTR(-ENOMEM);
}

/**
 * upcall_submit() - Make a call and queue it
 * @peer: The caller's.
 * @submit: @args checked by upcall_submit_check(); all that is [out] there is zero.
 *
 * Context: Process context, may sleep.
 * Return: The call with a reference, queued or further, or waiting for room; or an ERR_PTR of
 *	INVOKE before its wait, or of CALL.
 */
struct upcall_call *upcall_submit(struct upcall_peer *peer, struct upcall_submit *submit)
{
	struct upcall_call *call;

	if (submit->args.parent) {
		call = upcall_chain_parent_get(peer, submit->args.parent);
		if (IS_ERR(call))
			return call;
		submit->parent = call;
	}
	call = submit_target(peer, submit);
	upcall_call_unlink(submit->parent);
	submit->parent = NULL;
	return call;
}
