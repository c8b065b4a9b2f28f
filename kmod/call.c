// SPDX-License-Identifier: GPL-2.0-only
/*
 * One call: from its caller's submit to its two ends.
 *
 * The picture of the states is in main.h. Functions that end in _locked want the lock
 * of the owner's peer.
 */
#include <linux/memcontrol.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "call.h"
#include "callback.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"
#include "timens.h"
#include "trace.h"

static struct kmem_cache *call_cache;

/* The peer of the callback: under its lock the call lives. */
static struct upcall_peer *call_owner(const struct upcall_call *call)
{
	return call->cb->peer;
}

/**
 * upcall_call_init() - Make the cache of calls
 *
 * Both small payloads are copied from and to user memory, so the region that holds
 * them is declared to hardened usercopy.
 *
 * Return: 0 or -ENOMEM.
 */
int upcall_call_init(void)
{
	size_t start = offsetof(struct upcall_call, arg);
	size_t end = offsetofend(struct upcall_call, answer);

	call_cache = kmem_cache_create_usercopy("upcall_call", sizeof(struct upcall_call), 0,
						SLAB_ACCOUNT, start, end - start, NULL);
	return call_cache ? 0 : -ENOMEM;
}

/**
 * upcall_call_exit() - Free the cache of calls
 *
 * Context: Module exit: no call is left.
 */
void upcall_call_exit(void)
{
	kmem_cache_destroy(call_cache);
}

static int call_charge(struct upcall_call *call)
{
	struct upcall_account *account = call->from->account;
	int err;

	err = upcall_charge(account, UPCALL_CALLS, 1);
	if (err)
		return err;
	err = upcall_charge(account, UPCALL_BYTES, call->bytes);
	if (err) {
		upcall_uncharge(account, UPCALL_CALLS, 1);
		return err;
	}
	call->payer = upcall_account_ref(account);
	return 0;
}

static void call_uncharge(struct upcall_call *call)
{
	if (!call->payer)
		return;
	upcall_uncharge(call->payer, UPCALL_CALLS, 1);
	upcall_uncharge(call->payer, UPCALL_BYTES, call->bytes);
	upcall_account_put(call->payer);
}

/* Takes the references and the deadline; nothing in here fails. */
static void call_fill(struct upcall_call *call, struct upcall_callback *cb,
		      struct upcall_ident *from, const struct upcall_invoke *args)
{
	refcount_set(&call->refs, 1);
	refcount_inc(&cb->refs);
	call->cb = cb;
	call->from = upcall_ident_ref(from);
	call->tid = get_pid(task_pid(current));
	call->op = args->op;
	call->arg_len = args->arg_len;
	call->reply_max = args->reply_max;
	call->bytes = args->arg_len + args->reply_max;
	call->deadline = KTIME_MAX;
	if (args->flags & UPCALL_INVOKE_NO_DEADLINE)
		call->flags |= UPCALL_CALL_NO_DEADLINE;
	else
		call->deadline = upcall_time_read(args->deadline_ns);
	if (args->flags & UPCALL_INVOKE_ONEWAY) {
		call->flags |= UPCALL_CALL_ONEWAY;
		call->answered = true;
	}
	if (args->reply_max > UPCALL_SMALL_PAYLOAD)
		call->memcg = get_mem_cgroup_from_mm(current->mm);
	upcall_event_node_init(&call->node, UPCALL_EVENT_CALL);
	upcall_event_node_init(&call->cancel, UPCALL_EVENT_CANCEL);
	INIT_LIST_HEAD(&call->cb_link);
	INIT_LIST_HEAD(&call->out_link);
	init_waitqueue_head(&call->wait);
}

/**
 * upcall_call_new() - Make a call, charge its caller and take its argument
 * @caller: The peer that calls.
 * @cb: What is called.
 * @from: The calling process.
 * @args: Checked by the caller.
 *
 * Context: Process context, may sleep.
 * Return: A NEW call with one reference; ERR_PTR of -EDQUOT, -ENOMEM or -EFAULT.
 */
struct upcall_call *upcall_call_new(struct upcall_peer *caller, struct upcall_callback *cb,
				    struct upcall_ident *from, const struct upcall_invoke *args)
{
	struct upcall_call *call = kmem_cache_zalloc(call_cache, GFP_KERNEL);
	int err;

	if (!call)
		return ERR_PTR(-ENOMEM);
	call_fill(call, cb, from, args);
	call->caller_peer = READ_ONCE(caller->id);
	err = call_charge(call);
	if (!err)
		err = upcall_payload_from_user(&call->arg, args->arg, args->arg_len, NULL,
					       GFP_KERNEL_ACCOUNT);
	if (err) {
		upcall_call_put(call);
		return ERR_PTR(err);
	}
	return call;
}

/**
 * upcall_call_put() - Drop a reference
 * @call: Not used by the caller any more.
 *
 * No lookup finds a call without a lock, under which it took a reference: nobody is left.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_call_put(struct upcall_call *call)
{
	if (!refcount_dec_and_test(&call->refs))
		return;
	WARN_ON_ONCE(call->state != UPCALL_NEW && call->state != UPCALL_ENDED);
	if (call->state == UPCALL_ENDED)
		trace_upcall_ended(call);
	upcall_payload_free(&call->arg);
	upcall_payload_free(&call->answer.reply);
	call_uncharge(call);
	mem_cgroup_put(call->memcg);
	put_pid(call->tid);
	upcall_ident_put(call->from);
	upcall_callback_put(call->cb);
	kmem_cache_free(call_cache, call);
}

static int call_queue_locked(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;
	struct upcall_peer *owner = cb->peer;
	int err;

	lockdep_assert_held(&owner->lock);
	if (cb->state != UPCALL_CB_LIVE)
		return -ESTALE;
	call->share = upcall_pool_take(&cb->pool, call->from->account, call->arg_len);
	if (IS_ERR(call->share)) {
		cb->refused += call->share == ERR_PTR(-EAGAIN);
		return PTR_ERR(call->share);
	}
	err = upcall_ids_add_locked(&owner->incoming, call, &call->owner_id);
	if (err) {
		upcall_pool_drop(&cb->pool, call->share, call->arg_len);
		return err;
	}
	refcount_inc(&call->refs);	/* the owner's side */
	call->state = UPCALL_QUEUED;
	call->queued_at = ktime_get();
	call->seq = ++cb->seq;
	list_add_tail(&call->cb_link, &cb->queued);
	upcall_event_node_queue(&call->node, &owner->queue);
	owner->nqueued++;
	upcall_peer_wake_locked(owner, UPCALL_EVENT_CALL);
	return 0;
}

/**
 * upcall_call_submit() - Put a new call into its owner's queue
 * @call: NEW. It may have been given up already, by the end of its caller's peer.
 *
 * Context: Process context, may sleep.
 * Return:
 * * 0		- it is QUEUED, or further
 * * -ESTALE	- the callback is not live any more
 * * -EAGAIN	- its queue is full for this uid
 * * -ENOMEM	- out of memory
 * * other	- what it was given up with
 */
int upcall_call_submit(struct upcall_call *call)
{
	struct upcall_peer *owner = call_owner(call);
	int err;

	idr_preload(GFP_KERNEL);
	spin_lock(&owner->lock);
	if (call->answered && !(call->flags & UPCALL_CALL_ONEWAY))
		err = call->answer.err;
	else
		err = call_queue_locked(call);
	if (!err)
		trace_upcall_queued(call);
	spin_unlock(&owner->lock);
	idr_preload_end();
	return err;
}

/**
 * upcall_call_stage_locked() - How far a call has come on its owner's side
 * @call: Any.
 *
 * Return: UPCALL_STAGE_NOT_DELIVERED or UPCALL_STAGE_DELIVERED.
 */
u32 upcall_call_stage_locked(const struct upcall_call *call)
{
	return call->state >= UPCALL_TAKEN ? UPCALL_STAGE_DELIVERED : UPCALL_STAGE_NOT_DELIVERED;
}

/**
 * upcall_call_answer_locked() - The caller's end
 * @call: Perhaps answered already: the first answer stays.
 * @err: 0 or -errno.
 * @stage: UPCALL_STAGE_*.
 *
 * With a reply, its bytes and status are filled in before.
 *
 * Return: True if this was the first answer.
 */
bool upcall_call_answer_locked(struct upcall_call *call, int err, u32 stage)
{
	lockdep_assert_held(&call_owner(call)->lock);
	if (call->answered)
		return false;
	call->answer.err = err;
	call->answer.stage = stage;
	call->answer.when = ktime_get();
	/* In @running, those without an answer come first. */
	if (call->state == UPCALL_TAKEN || call->state == UPCALL_DELIVERED)
		list_move_tail(&call->cb_link, &call->cb->running);
	/* Pairs with invoke_sleep(): who sees it sees all of @answer. */
	smp_store_release(&call->answered, true);
	wake_up(&call->wait);
	return true;
}

/*
 * The caller will not wait for it: what still hangs on it is its owner's business, and
 * its owner's account.
 */
static void call_leave_locked(struct upcall_call *call)
{
	struct upcall_account *payer = call->payer;
	u32 bytes = call->state == UPCALL_TAKEN ? call->arg_len : 0;

	if (call->left || call->state == UPCALL_ENDED)
		return;
	call->left = true;
	call->payer = upcall_account_ref(call->cb->ident->account);
	upcall_charge_force(call->payer, UPCALL_CALLS, 1);
	upcall_charge_force(call->payer, UPCALL_BYTES, bytes);
	upcall_uncharge(payer, UPCALL_CALLS, 1);
	upcall_uncharge(payer, UPCALL_BYTES, call->bytes);
	call->bytes = bytes;
	upcall_account_put(payer);
}

/* Out of the pool that QUEUED and TAKEN calls fill. */
static void call_leave_pool_locked(struct upcall_call *call)
{
	upcall_pool_drop(&call->cb->pool, call->share, call->arg_len);
	call_owner(call)->nqueued--;
}

/**
 * upcall_call_end_locked() - The owner's end
 * @call: QUEUED and out of the queue, TAKEN or DELIVERED. The owner's reference goes to the
 *	one who calls this, to be dropped without the lock.
 *
 * May be the last one of its callback: then RELEASED is queued.
 */
void upcall_call_end_locked(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;
	struct upcall_peer *owner = cb->peer;

	lockdep_assert_held(&owner->lock);
	if (call->state == UPCALL_DELIVERED) {
		cb->run_ns += ktime_to_ns(ktime_sub(ktime_get(), call->taken_at));
		cb->nrunning--;
		owner->nrunning--;
	} else {
		call_leave_pool_locked(call);
	}
	call->state = UPCALL_ENDED;
	list_del_init(&call->cb_link);
	upcall_ids_remove_locked(&owner->incoming, call->owner_id);
	/* Its reference is not the last one: the owner's is still there. */
	if (upcall_event_node_drop(&call->cancel))
		refcount_dec(&call->refs);
	upcall_callback_end_locked(cb);
}

/**
 * upcall_call_unqueue_locked() - Both ends of a call that was not delivered
 * @call: QUEUED. The owner's reference goes to the one who calls this.
 * @err: -errno for its caller; the stage is NOT_DELIVERED.
 */
void upcall_call_unqueue_locked(struct upcall_call *call, int err)
{
	upcall_event_node_drop(&call->node);
	upcall_call_answer_locked(call, err, UPCALL_STAGE_NOT_DELIVERED);
	upcall_call_end_locked(call);
}

/**
 * upcall_call_cancel_locked() - Tell the owner that nobody wants the answer any more
 * @call: Answered. Told only once it is DELIVERED: before, see
 *	upcall_call_delivered_locked().
 */
void upcall_call_cancel_locked(struct upcall_call *call)
{
	struct upcall_peer *owner = call_owner(call);

	lockdep_assert_held(&owner->lock);
	call_leave_locked(call);
	if (call->state != UPCALL_DELIVERED || owner->dead)
		return;
	refcount_inc(&call->refs);
	upcall_event_node_queue(&call->cancel, &owner->events);
	upcall_peer_wake_locked(owner, UPCALL_EVENT_CANCEL);
}

/**
 * upcall_call_delivered_locked() - The receiver has it
 * @call: TAKEN.
 */
void upcall_call_delivered_locked(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;

	lockdep_assert_held(&cb->peer->lock);
	call_leave_pool_locked(call);
	call->state = UPCALL_DELIVERED;
	cb->nrunning++;
	cb->peer->nrunning++;
	cb->delivered++;
	cb->queued_ns += ktime_to_ns(ktime_sub(call->taken_at, call->queued_at));
	trace_upcall_delivered(call);
	if (call->flags & UPCALL_CALL_ONEWAY)
		call_leave_locked(call);
	else if (call->answered)
		upcall_call_cancel_locked(call);
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
	struct upcall_peer *owner = call_owner(call);
	bool queued, done;

	spin_lock(&owner->lock);
	queued = call->state == UPCALL_QUEUED;
	if (queued)
		upcall_call_unqueue_locked(call, -ERESTARTSYS);
	done = call->answered;
	spin_unlock(&owner->lock);
	if (queued)
		upcall_call_put(call);
	return done;
}

/**
 * upcall_call_abandon() - Give a call up
 * @call: In any state, even NEW; the caller has a reference.
 * @err: -errno, if it has no answer yet.
 *
 * Context: Process context.
 */
void upcall_call_abandon(struct upcall_call *call, int err)
{
	struct upcall_peer *owner = call_owner(call);
	bool queued;

	spin_lock(&owner->lock);
	queued = call->state == UPCALL_QUEUED;
	if (queued)
		upcall_call_unqueue_locked(call, err);
	else if (upcall_call_answer_locked(call, err, upcall_call_stage_locked(call)) &&
		 call->state != UPCALL_NEW)
		upcall_call_cancel_locked(call);
	spin_unlock(&owner->lock);
	if (queued)
		upcall_call_put(call);
}
