// SPDX-License-Identifier: GPL-2.0-only
/*
 * The caller's side of a call: submit, wait, come back to it, collect.
 *
 * There is one wait mode: interruptible and freezable. A signal before delivery takes
 * the call back. After delivery the call's id is written to the caller, who comes back with
 * it, by restart or by itself; only if the id cannot be written, or an argument that is still to
 * be delivered not be copied for that, the wait turns killable.
 */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/idr.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "args.h"
#include "borrowed.h"
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "submit.h"
#include "timens.h"
#include "trace.h"

/* Writes call_id and all that is [out] behind it, as far as the caller's struct goes. */
static int invoke_write(const struct upcall_invoke *args, struct upcall_invoke __user *user,
			u32 usize)
{
	return upcall_args_write_from(user, usize, args, sizeof(*args),
				      offsetof(struct upcall_invoke, call_id));
}

static void invoke_unwait(struct upcall_peer *peer, struct upcall_call *call)
{
	spin_lock(&peer->lock);
	WRITE_ONCE(call->waited, false);
	spin_unlock(&peer->lock);
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

/* On a stub that many use each one's calls are its own. */
static bool invoke_is_ours(const struct upcall_peer *peer, const struct upcall_call *call)
{
	return !peer->stub || call->from->tgid == task_tgid(current);
}

/* Comes back to a call that was delivered, or a reply that was kept. */
static struct upcall_call *invoke_resume(struct upcall_peer *peer, u64 id)
{
	struct upcall_call *call;

	spin_lock(&peer->lock);
	call = upcall_ids_find_locked(&peer->outgoing_ids, id);
	if (!call || call->caller_id != id || call->caller || !invoke_is_ours(peer, call)) {
		call = ERR_PTR(-ENOENT);
	} else if (call->waited) {
		call = ERR_PTR(-EBUSY);
	} else {
		WRITE_ONCE(call->waited, true);
		refcount_inc(&call->refs);
	}
	spin_unlock(&peer->lock);
	return call;
}

/* Sleeps until the call has its answer. 0, -ETIMEDOUT or -ERESTARTSYS. */
static int invoke_sleep(struct upcall_call *call, ktime_t *deadline, unsigned int state)
{
	bool expired = false;
	int err = 0;

	prepare_to_rcuwait(&call->wait);
	for (;;) {
		set_current_state(state | TASK_FREEZABLE);
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
		if (!deadline)
			schedule();
		else
			expired = !schedule_hrtimeout_range(deadline, current->timer_slack_ns,
							    HRTIMER_MODE_ABS);
	}
	finish_rcuwait(&call->wait);
	return err;
}

/*
 * What a stub holds until somebody comes back to it may not be a stub that holds the first one:
 * neither would ever be closed. So a thread stays, and with it its open file.
 */
static bool invoke_must_stay(const struct upcall_peer *peer, const struct upcall_call *call)
{
	return peer->stub && call->reply_fd_max;
}

/*
 * Lets the caller go and come back by id. Fails if it cannot be told the id, and if its argument is
 * not to be had without it.
 */
static int invoke_detach(struct upcall_peer *peer, struct upcall_call *call,
			 struct upcall_invoke *args, struct upcall_invoke __user *user, u32 usize)
{
	int err;

	err = upcall_borrowed_leave(call, args->arg);
	if (err)
		return err;
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

/* The reply, into the calling process. Lost, all or only the descriptors, if that fails. */
static int invoke_deliver(struct upcall_call *call, struct upcall_invoke *args)
{
	struct upcall_answer *answer = &call->answer;
	u32 count = upcall_fds_count(answer->fds);
	void __user *fds = u64_to_user_ptr(args->reply_fds);
	int err;

	if (upcall_payload_to_user(&answer->reply, u64_to_user_ptr(args->reply)))
		return -EFAULT;
	args->reply_len = answer->reply.len;
	if (likely(!count))
		return 0;
	if (count > args->reply_fd_room)	/* it came back with less room */
		err = -EMFILE;
	else
		err = upcall_fds_clear(answer->fds, fds) ?: upcall_fds_deliver(answer->fds, fds);
	if (err == -EFAULT) {
		args->reply_len = 0;
		return err;
	}
	args->reply_fd_count = err ? 0 : count;
	return err;
}

/*
 * Its caller has its answer, or, if its reply is kept, comes back for it. Nobody else looks at the
 * argument of a call that was replied to, nor changes @lends: of others the receiver may.
 */
static void invoke_leave(struct upcall_peer *peer, struct upcall_call *call, bool kept)
{
	bool linked = false;

	spin_lock(&peer->lock);
	if (call->answer.stage == UPCALL_STAGE_REPLIED && call->lends)
		upcall_payload_keep(&call->arg, &peer->spare);
	if (kept)
		WRITE_ONCE(call->waited, false);
	else
		linked = upcall_submit_unlink_locked(peer, call);
	spin_unlock(&peer->lock);
	if (linked)
		upcall_call_put(call);
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

	upcall_submit_say_answer(args, call);
	if (!err && reply->len > args->reply_room) {
		kept = true;
		err = -EMSGSIZE;
		args->needed = reply->len;
		args->call_id = call->caller_id;
	} else if (!err) {
		err = invoke_deliver(call, args);
	}
	if (invoke_write(args, user, usize)) {
		upcall_fds_undeliver(call->answer.fds);
		kept = false;
		err = -EFAULT;
	}
	invoke_leave(peer, call, kept);
	return err;
}

static int invoke_wait(struct upcall_peer *peer, struct upcall_call *call,
		       struct upcall_invoke *args, struct upcall_invoke __user *user, u32 usize)
{
	ktime_t deadline, *until = NULL;
	bool resumed = args->call_id;
	int err;

	if (!(args->flags & UPCALL_INVOKE_NO_DEADLINE)) {
		deadline = upcall_time_read(args->deadline_ns);
		until = &deadline;
	}
	upcall_spin_answer(call);
	err = invoke_sleep(call, until, TASK_INTERRUPTIBLE);
	UPCALL_HOOK(woken);
	/* One that was put back stays: its caller may not have the means to make it again. */
	if (err == -ERESTARTSYS && !fatal_signal_pending(current) &&
	    (resumed || !upcall_call_withdraw(call))) {
		if (!invoke_must_stay(peer, call) &&
		    !invoke_detach(peer, call, args, user, usize))
			return -ERESTARTSYS;
		err = invoke_sleep(call, until, TASK_KILLABLE);
	}
	if (err)
		upcall_call_abandon(call, err == -ETIMEDOUT ? -ETIMEDOUT : -ECANCELED);
	return invoke_collect(peer, call, args, user, usize);
}

/* A notification, queued or waiting for room: that it was queued is its caller's end. */
static int invoke_oneway(struct upcall_peer *peer, struct upcall_call *call,
			 struct upcall_invoke *args, struct upcall_invoke __user *user, u32 usize)
{
	ktime_t deadline = upcall_time_read(args->deadline_ns);
	ktime_t *until = args->flags & UPCALL_INVOKE_NO_DEADLINE ? NULL : &deadline;
	int err;

	if (call->wait_room) {
		err = invoke_sleep(call, until, TASK_INTERRUPTIBLE);
		if (err)
			upcall_call_abandon(call, err);
		upcall_submit_unlink(peer, call);
		args->seq = call->seq;
	}
	err = call->answer.err;
	if (err)	/* else it is its owner's business by now */
		upcall_submit_say_answer(args, call);
	args->stage = UPCALL_STAGE_NOT_DELIVERED;
	return invoke_write(args, user, usize) ?: err;
}

/**
 * upcall_invoke() - INVOKE: a call and its answer, or a notification
 * @peer: The caller's.
 * @submit: Checked by upcall_submit_check(). All [out] members are zero but call_id.
 * @user: Where they are written to, also with an error.
 * @usize: How many bytes the caller has there.
 *
 * Context: Process context, sleeps.
 * Return: 0, or an error of INVOKE.
 */
int upcall_invoke(struct upcall_peer *peer, struct upcall_submit *submit,
		  struct upcall_invoke __user *user, u32 usize)
{
	struct upcall_invoke *args = &submit->args;
	struct upcall_call *call;
	int err;

	call = args->call_id ? invoke_resume(peer, args->call_id) : upcall_submit(peer, submit);
	if (IS_ERR(call)) {
		err = PTR_ERR(call);
		return upcall_invoke_refuse(peer, args, user, usize, err);
	}
	if (args->flags & UPCALL_INVOKE_ONEWAY)
		err = invoke_oneway(peer, call, args, user, usize);
	else
		err = invoke_wait(peer, call, args, user, usize);
	upcall_call_put(call);
	return err;
}

/**
 * upcall_invoke_cancel() - CANCEL: end an INVOKE that nobody waits for
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
	upcall_submit_unlink(peer, call);
	upcall_call_put(call);
	return 0;
}

/* Some of them, from @slot of the table on, which is moved on. True if there are others. */
static bool invoke_forget_some(struct upcall_peer *peer, int *slot)
{
	struct upcall_call *left[UPCALL_BATCH_ENDED], *call;
	unsigned int i, n = 0;

	spin_lock(&peer->lock);
	for (i = 0; i < UPCALL_BATCH_ENDED; i++) {
		call = upcall_ids_next_locked(&peer->outgoing_ids, slot);
		if (!call)
			break;
		*slot += 1;
		if (!call->waited && invoke_is_ours(peer, call) &&
		    upcall_submit_unlink_locked(peer, call))
			left[n++] = call;
	}
	spin_unlock(&peer->lock);
	while (n--) {
		upcall_call_abandon(left[n], -ECANCELED);
		upcall_call_put(left[n]);
	}
	return call;
}

/**
 * upcall_invoke_forget() - The calling process goes: end what it did not come back to
 * @peer: A stub's. Whoever may come back to a call has its id: so they are all in the table.
 *
 * Context: Process context, may sleep: others may have left thousands there.
 */
void upcall_invoke_forget(struct upcall_peer *peer)
{
	int slot = 0;

	might_sleep();
	while (invoke_forget_some(peer, &slot))
		cond_resched();
}
