// SPDX-License-Identifier: GPL-2.0-only
/*
 * The caller's side of a call: submit, wait, come back to it, collect.
 *
 * There is one wait mode: interruptible and freezable. A signal before delivery takes
 * the call back. After delivery the call's id is written to the caller, who comes back with
 * it, by restart or by itself; only if the id cannot be written the wait turns killable.
 */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "main.h"
#include "peer.h"
#include "registry.h"
#include "timens.h"
#include "trace.h"

#define INVOKE_FLAGS	(UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE | \
			 UPCALL_INVOKE_SIGNATURE)

/**
 * upcall_invoke_check() - Whether the members of an INVOKE make sense
 * @args: As copied in.
 *
 * Context: Any context.
 * Return: 0 or -EINVAL.
 */
int upcall_invoke_check(const struct upcall_invoke *args)
{
	u32 max = READ_ONCE(upcall_max_payload), flags = args->flags;

	if (flags & ~INVOKE_FLAGS)
		return -EINVAL;
	if ((flags & UPCALL_INVOKE_NO_DEADLINE) && args->deadline_ns)
		return -EINVAL;
	if (args->call_id)	/* the rest was looked at when it was a new call */
		return flags & UPCALL_INVOKE_ONEWAY ? -EINVAL : 0;
	if (!(flags & UPCALL_INVOKE_SIGNATURE) && args->signature)
		return -EINVAL;
	if (args->parent || args->fds || args->reply_fds || args->fd_count || args->reply_fd_room)
		return -EINVAL;
	if (args->arg_len > max)
		return -EINVAL;
	if (flags & UPCALL_INVOKE_ONEWAY)
		return args->reply || args->reply_room || args->reply_max ? -EINVAL : 0;
	return args->reply_max > max || args->reply_max < args->reply_room ? -EINVAL : 0;
}

/* Writes call_id and all that is [out] behind it, as far as the caller's struct goes. */
static int invoke_write(const struct upcall_invoke *args, struct upcall_invoke __user *user,
			u32 usize)
{
	size_t start = offsetof(struct upcall_invoke, call_id);
	size_t end = min_t(size_t, usize, sizeof(*args));

	return copy_to_user((char __user *)user + start, (const char *)args + start, end - start) ?
	       -EFAULT : 0;
}

static void invoke_say_death(struct upcall_invoke *args, const struct upcall_death *death)
{
	args->reason = death->reason;
	args->exit_status = death->exit_status;
	args->word = death->word;
}

/* Why a callback that was found does not live; nothing if the errno is its owner's own. */
static void invoke_say_callback(struct upcall_invoke *args, struct upcall_callback *cb)
{
	struct upcall_death death = {};

	spin_lock(&cb->peer->lock);
	if (cb->state != UPCALL_CB_LIVE)
		death = cb->death;
	spin_unlock(&cb->peer->lock);
	invoke_say_death(args, &death);
}

static int invoke_may(struct upcall_callback *cb, struct upcall_ident *from,
		      struct upcall_invoke *args)
{
	int err;

	/* A first look, for the order of errors; the one that counts is under the lock. */
	if (READ_ONCE(cb->state) != UPCALL_CB_LIVE)
		return -ESTALE;
	err = upcall_callback_check(cb, from);
	if (err)
		return err;
	if ((cb->flags & UPCALL_REGISTER_SIGNATURE) &&
	    (!(args->flags & UPCALL_INVOKE_SIGNATURE) || args->signature != cb->signature))
		return -EPROTOTYPE;
	if (args->arg_len > cb->max_arg) {
		args->needed = cb->max_arg;
		return -EMSGSIZE;
	}
	if (!(args->flags & UPCALL_INVOKE_NO_DEADLINE) &&
	    ktime_compare(ktime_get(), upcall_time_read(args->deadline_ns)) >= 0)
		return -ETIMEDOUT;
	return 0;
}

/*
 * From here on the end of this peer reaches the call. A reply that might have to be
 * kept needs an id now, while it can still be refused.
 */
static int invoke_link(struct upcall_peer *peer, struct upcall_call *call, bool with_id)
{
	int err = 0;

	idr_preload(GFP_KERNEL);
	spin_lock(&peer->lock);
	if (peer->dead)
		err = -ESHUTDOWN;
	else if (with_id)
		err = upcall_ids_add_locked(&peer->outgoing_ids, call, &call->caller_id);
	if (!err) {
		refcount_inc(&call->refs);
		list_add_tail(&call->out_link, &peer->outgoing);
		peer->noutgoing++;
		call->waited = true;
	}
	spin_unlock(&peer->lock);
	idr_preload_end();
	return err;
}

static void invoke_unlink(struct upcall_peer *peer, struct upcall_call *call)
{
	bool linked;

	spin_lock(&peer->lock);
	linked = !list_empty(&call->out_link);
	if (linked) {
		list_del_init(&call->out_link);
		peer->noutgoing--;
		upcall_ids_remove_locked(&peer->outgoing_ids, call->caller_id);
	}
	spin_unlock(&peer->lock);
	if (linked)
		upcall_call_put(call);
}

static void invoke_unwait(struct upcall_peer *peer, struct upcall_call *call)
{
	spin_lock(&peer->lock);
	call->waited = false;
	spin_unlock(&peer->lock);
}

/* A new call, queued; linked to its peer unless it is a notification. */
static struct upcall_call *invoke_submit(struct upcall_peer *peer, struct upcall_callback *cb,
					 struct upcall_ident *from, struct upcall_invoke *args)
{
	bool oneway = args->flags & UPCALL_INVOKE_ONEWAY;
	struct upcall_call *call;
	int err;

	err = invoke_may(cb, from, args);
	if (err)
		return ERR_PTR(err);
	call = upcall_call_new(peer, cb, from, args);
	if (IS_ERR(call))
		return call;
	UPCALL_HOOK(made);
	if (!oneway)
		err = invoke_link(peer, call, args->reply_max > args->reply_room);
	if (err)
		goto out_put;
	UPCALL_HOOK(linked);
	err = upcall_call_submit(call);
	if (err)
		goto out_unlink;
	UPCALL_HOOK(queued);
	args->seq = call->seq;
	return call;

out_unlink:
	if (!oneway)
		invoke_unlink(peer, call);
out_put:
	upcall_call_put(call);
	return ERR_PTR(err);
}

static struct upcall_call *invoke_new(struct upcall_peer *peer, struct upcall_invoke *args)
{
	struct upcall_callback *cb = upcall_registry_get(args->target);
	struct upcall_death death;
	struct upcall_ident *from;
	struct upcall_call *call;

	if (IS_ERR(cb)) {
		if (!upcall_registry_grave(args->target, &death))
			invoke_say_death(args, &death);
		return ERR_CAST(cb);
	}
	from = upcall_peer_ident(peer);
	call = from ? invoke_submit(peer, cb, from, args) : ERR_PTR(-ENOMEM);
	if (call == ERR_PTR(-ESTALE))
		invoke_say_callback(args, cb);
	upcall_ident_put(from);
	upcall_callback_put(cb);
	return call;
}

/**
 * upcall_invoke_refuse() - An INVOKE that fails before it is queued
 * @peer: The caller's.
 * @args: All [out] members are zero, or say more. With a call_id it is none of those that
 *	are refused: what became of that call is not known here, and nothing is written.
 * @user: Where they are written to.
 * @usize: How many bytes the caller has there.
 * @err: Why.
 *
 * Context: Process context, may fault.
 * Return: @err, or -EFAULT.
 */
int upcall_invoke_refuse(struct upcall_peer *peer, struct upcall_invoke *args,
			 struct upcall_invoke __user *user, u32 usize, int err)
{
	if (args->call_id)
		return err;
	trace_upcall_refused(peer, args->target, err);
	args->stage = UPCALL_STAGE_NOT_DELIVERED;
	return invoke_write(args, user, usize) ?: err;
}

/* Comes back to a call that was delivered, or a reply that was kept. */
static struct upcall_call *invoke_resume(struct upcall_peer *peer, u64 id)
{
	struct upcall_call *call;

	spin_lock(&peer->lock);
	call = upcall_ids_find_locked(&peer->outgoing_ids, id);
	if (!call || call->caller_id != id) {
		call = ERR_PTR(-ENOENT);
	} else if (call->waited) {
		call = ERR_PTR(-EBUSY);
	} else {
		call->waited = true;
		refcount_inc(&call->refs);
	}
	spin_unlock(&peer->lock);
	return call;
}

/* Sleeps until the call has its answer. 0, -ETIMEDOUT or -ERESTARTSYS. */
static int invoke_sleep(struct upcall_call *call, ktime_t *deadline, unsigned int state)
{
	bool expired = false;
	DEFINE_WAIT(wait);
	int err = 0;

	for (;;) {
		prepare_to_wait(&call->wait, &wait, state | TASK_FREEZABLE);
		/* Pairs with upcall_call_answer_locked(). */
		if (smp_load_acquire(&call->answered))
			break;
		if (signal_pending_state(state, current)) {
			err = -ERESTARTSYS;
			break;
		}
		if (expired) {
			err = -ETIMEDOUT;
			break;
		}
		expired = !schedule_hrtimeout_range(deadline, current->timer_slack_ns,
						    HRTIMER_MODE_ABS);
	}
	finish_wait(&call->wait, &wait);
	return err;
}

/* Lets the caller go and come back by id. Fails if it cannot be told the id. */
static int invoke_detach(struct upcall_peer *peer, struct upcall_call *call,
			 struct upcall_invoke *args, struct upcall_invoke __user *user, u32 usize)
{
	int err = 0;

	idr_preload(GFP_KERNEL);
	spin_lock(&peer->lock);
	if (peer->dead)
		err = -ESHUTDOWN;	/* it is being answered */
	else if (!call->caller_id)
		err = upcall_ids_add_locked(&peer->outgoing_ids, call, &call->caller_id);
	args->call_id = call->caller_id;
	spin_unlock(&peer->lock);
	idr_preload_end();
	if (err)
		return err;
	args->seq = call->seq;
	args->stage = UPCALL_STAGE_DELIVERED;
	err = invoke_write(args, user, usize);
	if (!err)
		invoke_unwait(peer, call);
	return err;
}

static void invoke_say_answer(struct upcall_invoke *args, struct upcall_call *call)
{
	const struct upcall_answer *answer = &call->answer;

	args->call_id = 0;
	args->seq = call->seq;
	args->stage = answer->stage;
	args->status = answer->status;
	args->total_ns = ktime_to_ns(ktime_sub(answer->when, call->queued_at));
	if (call->taken_at) {
		args->queued_ns = ktime_to_ns(ktime_sub(call->taken_at, call->queued_at));
		args->run_ns = args->total_ns - args->queued_ns;
	}
	if (answer->err == -ESTALE || answer->err == -EOWNERDEAD)
		invoke_say_callback(args, call->cb);
}

/*
 * The caller gets its answer. Ends its interest in the call, unless the reply is kept for
 * it: it fits what the caller accepts, but not the room it has now.
 */
static int invoke_collect(struct upcall_peer *peer, struct upcall_call *call,
			  struct upcall_invoke *args, struct upcall_invoke __user *user, u32 usize)
{
	const struct upcall_payload *reply = &call->answer.reply;
	int err = call->answer.err;
	bool kept = false;

	invoke_say_answer(args, call);
	if (!err && reply->len > args->reply_room) {
		kept = true;
		err = -EMSGSIZE;
		args->needed = reply->len;
		args->call_id = call->caller_id;
	} else if (!err) {
		err = upcall_payload_to_user(reply, u64_to_user_ptr(args->reply));
		args->reply_len = err ? 0 : reply->len;
	}
	if (invoke_write(args, user, usize)) {
		kept = false;
		err = -EFAULT;
	}
	if (kept)
		invoke_unwait(peer, call);
	else
		invoke_unlink(peer, call);
	return err;
}

static int invoke_wait(struct upcall_peer *peer, struct upcall_call *call,
		       struct upcall_invoke *args, struct upcall_invoke __user *user, u32 usize)
{
	ktime_t deadline = upcall_time_read(args->deadline_ns);
	ktime_t *until = args->flags & UPCALL_INVOKE_NO_DEADLINE ? NULL : &deadline;
	bool resumed = args->call_id;
	int err;

	err = invoke_sleep(call, until, TASK_INTERRUPTIBLE);
	UPCALL_HOOK(woken);
	/* One that was put back stays: its caller may not have the means to make it again. */
	if (err == -ERESTARTSYS && !fatal_signal_pending(current) &&
	    (resumed || !upcall_call_withdraw(call))) {
		if (!invoke_detach(peer, call, args, user, usize))
			return -ERESTARTSYS;
		err = invoke_sleep(call, until, TASK_KILLABLE);
	}
	if (err)
		upcall_call_abandon(call, err == -ETIMEDOUT ? -ETIMEDOUT : -ECANCELED);
	return invoke_collect(peer, call, args, user, usize);
}

/**
 * upcall_invoke() - INVOKE: a call and its answer, or a notification
 * @peer: The caller's.
 * @args: Checked by upcall_invoke_check(). All [out] members are zero but call_id.
 * @user: Where they are written to, also with an error.
 * @usize: How many bytes the caller has there.
 *
 * Context: Process context, sleeps.
 * Return: 0, or an error of INVOKE.
 */
int upcall_invoke(struct upcall_peer *peer, struct upcall_invoke *args,
		  struct upcall_invoke __user *user, u32 usize)
{
	struct upcall_call *call;
	int err;

	call = args->call_id ? invoke_resume(peer, args->call_id) : invoke_new(peer, args);
	if (IS_ERR(call)) {
		err = PTR_ERR(call);
		return upcall_invoke_refuse(peer, args, user, usize, err);
	}
	if (args->flags & UPCALL_INVOKE_ONEWAY) {
		args->stage = UPCALL_STAGE_NOT_DELIVERED;
		err = invoke_write(args, user, usize);
	} else {
		err = invoke_wait(peer, call, args, user, usize);
	}
	upcall_call_put(call);
	return err;
}

/**
 * upcall_invoke_cancel() - CANCEL: end a call that nobody waits for
 * @peer: The caller's.
 * @id: As given by a process.
 *
 * Context: Process context.
 * Return: 0, -ENOENT or -EBUSY.
 */
int upcall_invoke_cancel(struct upcall_peer *peer, u64 id)
{
	struct upcall_call *call = invoke_resume(peer, id);

	if (IS_ERR(call))
		return PTR_ERR(call);
	upcall_call_abandon(call, -ECANCELED);
	invoke_unlink(peer, call);
	upcall_call_put(call);
	return 0;
}
