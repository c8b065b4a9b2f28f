// SPDX-License-Identifier: GPL-2.0-only
/*
 * The object that is one call: made, paid for, and done with. What it goes through is in
 * state.c, where its memory comes from in spare.c.
 */
#include <linux/memcontrol.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "borrowed.h"
#include "call.h"
#include "callback.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"
#include "submit.h"
#include "timens.h"
#include "trace.h"

static int call_charge(struct upcall_call *call, struct upcall_reserve *reserve)
{
	struct upcall_account *account = call->from->account;
	int err = 0;

	if (!reserve || !upcall_reserve_pays(reserve, account, call->bytes))
		err = upcall_charge_call(account, call->bytes);
	call->charged = !err;
	return err;
}

/**
 * upcall_call_uncharge() - Its caller does not pay for it any more
 * @call: Perhaps not charged, or not any more.
 *
 * Context: Any context but interrupts; nobody else changes @call->charged now.
 */
void upcall_call_uncharge(struct upcall_call *call)
{
	if (!call->charged)
		return;
	upcall_uncharge_call(call->from->account, call->bytes);
	call->charged = false;
}

/* Who calls, and how long that one waits. */
static void call_fill_caller(struct upcall_call *call, struct upcall_peer *caller,
			     struct upcall_ident *from, const struct upcall_submit *submit)
{
	const struct upcall_invoke *args = &submit->args;

	call->from = from;
	call->foreign |= from->account != call->cb->ident->account;
	call->tid = get_pid(task_pid(current));
	call->caller_peer = READ_ONCE(caller->id);
	call->deadline = KTIME_MAX;
	if (args->flags & UPCALL_INVOKE_NO_DEADLINE)
		call->flags |= UPCALL_CALL_NO_DEADLINE;
	else
		call->deadline = upcall_time_read(args->deadline_ns);
	if (submit->async) {
		call->caller = upcall_peer_ref(caller);
		call->user_data = submit->user_data;
	}
	if (args->reply_max > UPCALL_SMALL_PAYLOAD)
		call->memcg = get_mem_cgroup_from_mm(current->mm);
}

/* Nothing in here fails. */
static void call_fill(struct upcall_call *call, struct upcall_callback *cb,
		      const struct upcall_submit *submit)
{
	const struct upcall_invoke *args = &submit->args;

	refcount_set(&call->refs, 1);
	refcount_set(&call->links, 1);
	call->cb = cb;
	call->parent = submit->parent;
	if (call->parent)
		refcount_inc(&call->parent->links);
	call->depth = call->parent ? call->parent->depth + 1 : 1;
	call->op = args->op;
	call->arg_len = args->arg_len;
	call->reply_max = args->reply_max;
	call->reply_fd_max = args->reply_fd_room;
	call->bytes = args->arg_len + args->reply_max;
	call->wait_room = args->flags & UPCALL_INVOKE_WAIT_ROOM;
	if (args->flags & UPCALL_INVOKE_ONEWAY) {
		call->flags |= UPCALL_CALL_ONEWAY;
		if (cb->flags & UPCALL_REGISTER_AUTOEND)
			call->flags |= UPCALL_CALL_ENDED;
	}
	if (submit->stub)
		call->flags |= UPCALL_CALL_STUB;
	if (args->flags & UPCALL_INVOKE_LATEST)
		call->flags |= UPCALL_CALL_LATEST;
}

/* Into the block that the last argument was in, until its caller, who waits, has the reply. */
static int call_load_lent(struct upcall_call *call, struct upcall_peer *caller,
			  const struct upcall_invoke *args)
{
	struct upcall_block spare = {};
	int err;

	spin_lock(&caller->lock);
	swap(spare, caller->spare);
	spin_unlock(&caller->lock);
	err = upcall_payload_from_user(&call->arg, args->arg, args->arg_len, NULL,
				       GFP_KERNEL_ACCOUNT, &spare);
	call->lends = !err && !call->arg.paged;
	kfree(spare.at);	/* too small */
	return err;
}

/*
 * Of a caller who waits a long argument stays where it is, unless a successor of the owner may want
 * it once more. One that is to be kept so, or only until it is delivered, gives no block.
 */
static int call_load_arg(struct upcall_call *call, struct upcall_peer *caller,
			 const struct upcall_submit *submit)
{
	const struct upcall_invoke *args = &submit->args;

	if (args->arg_len > UPCALL_SMALL_PAYLOAD && !submit->async &&
	    !(args->flags & UPCALL_INVOKE_ONEWAY)) {
		if (args->arg_len < UPCALL_BORROW_MIN && !caller->stub)
			return call_load_lent(call, caller, args);
		if (args->arg_len >= UPCALL_BORROW_MIN &&
		    !(call->cb->flags & UPCALL_REGISTER_IDEMPOTENT) &&
		    upcall_borrowed_take(&call->arg, args->arg, args->arg_len))
			return 0;
	}
	return upcall_payload_from_user(&call->arg, args->arg, args->arg_len, NULL,
					GFP_KERNEL_ACCOUNT, NULL);
}

/* What rides with it. */
static int call_load(struct upcall_call *call, struct upcall_peer *caller,
		     const struct upcall_submit *submit)
{
	const struct upcall_invoke *args = &submit->args;
	struct upcall_fds *fds;
	int err;

	err = call_load_arg(call, caller, submit);
	if (err || likely(!args->fd_count))
		return err;
	fds = upcall_fds_take(args->fds, args->fd_count, call->from->account,
			      call->from->account, rlimit(RLIMIT_NOFILE));
	if (IS_ERR(fds))
		return PTR_ERR(fds);
	call->fds = fds;
	return 0;
}

/**
 * upcall_call_new() - Make a call, charge its caller and take its argument
 * @caller: The peer that calls.
 * @cb: What is called. The reference is the call's then, or dropped if there is none.
 * @from: The calling process, likewise.
 * @submit: Checked by the caller.
 *
 * Context: Process context, may sleep.
 * Return: A NEW call with one reference; ERR_PTR of -EDQUOT, -ENOMEM, -EFAULT or an error of
 *	upcall_fds_take().
 */
struct upcall_call *upcall_call_new(struct upcall_peer *caller, struct upcall_callback *cb,
				    struct upcall_ident *from, const struct upcall_submit *submit)
{
	struct upcall_call *call = NULL;
	int err;

	if (!upcall_traffic_need(cb))
		call = submit->reserve ? upcall_reserve_take(submit->reserve, cb->peer)
				       : upcall_spare_get(cb->peer);
	if (!call) {
		upcall_ident_put(from);
		upcall_callback_put(cb);
		return ERR_PTR(-ENOMEM);
	}
	call_fill(call, cb, submit);
	call_fill_caller(call, caller, from, submit);
	err = call_charge(call, submit->reserve);
	if (!err)
		err = call_load(call, caller, submit);
	if (err) {
		upcall_call_put(call);
		return ERR_PTR(err);
	}
	return call;
}

/**
 * upcall_call_identify_locked() - Give a call the id by which its owner knows it
 * @call: NEW.
 *
 * Its place in the table stays its own until its memory is freed, whoever's call it is by then.
 *
 * Context: Under the lock of its owner's peer; where it has no place yet, between idr_preload()
 *	and idr_preload_end().
 * Return: 0 or -ENOMEM.
 */
int upcall_call_identify_locked(struct upcall_call *call)
{
	struct upcall_ids_table *table = &call->cb->peer->incoming;

	if (!call->owner_id)
		return upcall_ids_add_locked(table, call, &call->owner_id);
	upcall_ids_renew_locked(table, &call->owner_id);
	return 0;
}

/**
 * upcall_call_same_caller() - Whether two calls are of one caller, for LATEST
 * @a: One.
 * @b: The other.
 *
 * Stub fds have no number of a peer: on them each process is a caller of its own.
 *
 * Context: Any context.
 * Return: True if so.
 */
bool upcall_call_same_caller(const struct upcall_call *a, const struct upcall_call *b)
{
	return a->caller_peer == b->caller_peer &&
	       (a->caller_peer || a->from->tgid == b->from->tgid);
}

/* Nobody refers to it: drops what it refers to, but its callback and @from, who pays. */
static void call_finish(struct upcall_call *call)
{
	WARN_ON_ONCE(call->state != UPCALL_NEW && call->state != UPCALL_ENDED);
	WARN_ON_ONCE(call->heir);
	if (call->state == UPCALL_ENDED)
		trace_upcall_ended(call);
	upcall_payload_free(&call->arg);
	upcall_payload_free(&call->answer.reply);
	if (call->fds)
		upcall_fds_free(call->fds);
	if (call->answer.fds)
		upcall_fds_free(call->answer.fds);
	if (call->memcg)
		mem_cgroup_put(call->memcg);
	put_pid(call->tid);
	if (call->caller)
		upcall_peer_put(call->caller);
}

/**
 * upcall_call_free() - Its last reference was dropped: see upcall_call_put()
 * @call: Not used by the caller any more.
 *
 * No lookup finds a call without a lock, under which it took a reference: nobody is left but
 * calls nested in it. These look at nothing but what names it in their chain, and hold
 * its memory by @links; nobody pays for that beyond a call's size, and a chain is short.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_call_free(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;

	call_finish(call);
	upcall_call_uncharge(call);
	upcall_ident_put(call->from);
	upcall_spare_put(call);
	upcall_callback_put(cb);
}

/* Before another caller's come. */
static void over_put_callers(struct upcall_over *over)
{
	if (!over->idents)
		return;
	if (over->charged) {
		upcall_uncharge(over->from->account, UPCALL_CALLS, over->charged);
		upcall_uncharge(over->from->account, UPCALL_BYTES, over->bytes);
	}
	upcall_ident_put_many(over->from, over->idents);
	over->idents = 0;
	over->charged = 0;
	over->bytes = 0;
}

/**
 * upcall_call_put_all() - Nothing is left of several calls but their memory
 * @over: From upcall_call_put_later(). Empty afterwards.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_call_put_all(struct upcall_over *over)
{
	over_put_callers(over);
	if (!over->callbacks)
		return;
	upcall_spare_put_all(over->cb->peer, &over->calls);
	INIT_LIST_HEAD(&over->calls);
	upcall_callback_put_many(over->cb, over->callbacks);
	over->callbacks = 0;
}

/**
 * upcall_call_put_later() - Drop references to one of several calls
 * @call: Not used by the caller any more.
 * @refs: How many.
 * @over: If they were the last ones, what is left to be done for @call is done at once for all
 *	that called the same, by upcall_call_put_all().
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_call_put_later(struct upcall_call *call, int refs, struct upcall_over *over)
{
	if (!refcount_sub_and_test(refs, &call->refs))
		return;
	call_finish(call);
	if (over->cb != call->cb)
		upcall_call_put_all(over);
	if (over->from != call->from)
		over_put_callers(over);
	over->cb = call->cb;
	over->callbacks++;
	over->from = call->from;
	over->idents++;
	if (call->charged) {
		over->charged++;
		over->bytes += call->bytes;
		call->charged = false;
	}
	list_add(&call->cb_link, &over->calls);
}
