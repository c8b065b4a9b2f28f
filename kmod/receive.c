// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events out: a receiver takes a batch under the lock, copies it without, and then
 * either commits it or puts it back.
 *
 * From take to commit a call is TAKEN: its caller cannot take it back any more, and nobody
 * but the receiver touches its place in the batch. Whatever befalls it meanwhile (its caller
 * leaves, its callback is retired, the peer dies) is seen at the commit.
 */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/overflow.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "call.h"
#include "callback.h"
#include "exchange.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "timens.h"

/**
 * struct batch - What one receiver takes at a time
 * @events: struct upcall_event_node, in the order in which they are written.
 * @count: How many.
 * @calls: How many of them are CALLs.
 * @used: Bytes that they take.
 * @needed: Bytes that the first event wants, if not even that fits.
 */
struct batch {
	struct list_head events;
	u32 count;
	u32 calls;
	u32 used;
	u32 needed;
};

static struct upcall_call *node_call(struct upcall_event_node *node)
{
	return node->type == UPCALL_EVENT_CALL ? container_of(node, struct upcall_call, node) :
						 container_of(node, struct upcall_call, cancel);
}

static struct upcall_callback *node_callback(struct upcall_event_node *node)
{
	return node->type == UPCALL_EVENT_RELEASED ?
	       container_of(node, struct upcall_callback, released) : node_call(node)->cb;
}

/* Bytes that an event takes in the buffer: at most a struct and UPCALL_MAX_PAYLOAD. */
static u32 node_size(struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return sizeof(struct upcall_event_call) + ALIGN(node_call(node)->arg_len, 8);
	case UPCALL_EVENT_CANCEL:
		return sizeof(struct upcall_event_cancel);
	default:
		return sizeof(struct upcall_event);
	}
}

static bool batch_fits(struct batch *batch, struct upcall_event_node *node, u32 room)
{
	u32 size = node_size(node);

	if (size <= room - batch->used && batch->count < UPCALL_MAX_EVENTS)
		return true;
	if (!batch->count)
		batch->needed = size;
	return false;
}

static void batch_add_locked(struct batch *batch, struct upcall_event_node *node)
{
	node->taken = true;
	node->cookie = node_callback(node)->cookie;
	list_move_tail(&node->link, &batch->events);
	batch->count++;
	batch->used += node_size(node);
}

/* A queued call becomes TAKEN. The batch has a reference of its own to it. */
static void batch_add_call_locked(struct batch *batch, struct upcall_call *call, ktime_t now)
{
	refcount_inc(&call->refs);
	call->state = UPCALL_TAKEN;
	call->taken_at = now;
	if (call->answered)	/* a notification */
		list_move_tail(&call->cb_link, &call->cb->running);
	else
		list_move(&call->cb_link, &call->cb->running);
	batch_add_locked(batch, &call->node);
	batch->calls++;
}

/* Other events first: they are few, and calls may be many. */
static void batch_take_locked(struct batch *batch, struct upcall_peer *peer,
			      const struct upcall_exchange *args)
{
	struct upcall_event_node *node, *next;
	ktime_t now = ktime_get();

	lockdep_assert_held(&peer->lock);
	list_for_each_entry_safe(node, next, &peer->events, link) {
		if (!batch_fits(batch, node, args->events_len))
			return;
		if (node->type == UPCALL_EVENT_RELEASED)
			refcount_inc(&node_callback(node)->refs);
		batch_add_locked(batch, node);	/* CANCEL brings its reference */
	}
	list_for_each_entry_safe(node, next, &peer->queue, link) {
		if (batch->calls >= args->max_calls ||
		    !batch_fits(batch, node, args->events_len))
			return;
		batch_add_call_locked(batch, node_call(node), now);
	}
}

static void event_fill_call(struct upcall_event_call *event, struct upcall_call *call)
{
	struct upcall_ids ids;

	upcall_ident_show(call->from, &ids);
	event->call = call->owner_id;
	event->seq = call->seq;
	if (!(call->flags & UPCALL_CALL_NO_DEADLINE))
		event->deadline_ns = ktime_to_ns(upcall_time_show(call->deadline));
	event->start_time = ids.start_time;
	event->flags = call->flags;
	event->op = call->op;
	event->pid = ids.pid;
	event->tid = upcall_pid_show(call->tid);
	event->uid = ids.uid;
	event->gid = ids.gid;
	event->reply_max = call->reply_max;
	event->payload_offset = sizeof(*event);
	event->payload_len = call->arg_len;
	event->fds_offset = event->event.size;
}

/* Padding behind a payload is not written: what stands there is the receiver's own. */
static int batch_copy_one(struct upcall_event_node *node, char __user *to)
{
	union {
		struct upcall_event event;
		struct upcall_event_call call;
		struct upcall_event_cancel cancel;
	} out = {};
	size_t size = sizeof(out.event);

	out.event.size = node_size(node);
	out.event.type = node->type;
	out.event.handle = node_callback(node)->handle;
	out.event.cookie = node->cookie;
	if (node->type == UPCALL_EVENT_CALL) {
		size = sizeof(out.call);
		event_fill_call(&out.call, node_call(node));
	} else if (node->type == UPCALL_EVENT_CANCEL) {
		size = sizeof(out.cancel);
		out.cancel.call = node_call(node)->owner_id;
		out.cancel.error = -node_call(node)->answer.err;
	}
	if (copy_to_user(to, &out, size))
		return -EFAULT;
	if (node->type == UPCALL_EVENT_CALL)
		return upcall_payload_to_user(&node_call(node)->arg, to + size);
	return 0;
}

static int batch_copy(struct batch *batch, const struct upcall_exchange *args)
{
	char __user *to = u64_to_user_ptr(args->events);
	struct upcall_event_node *node;
	int err;

	list_for_each_entry(node, &batch->events, link) {
		err = batch_copy_one(node, to);
		if (err)
			return err;
		to += node_size(node);
	}
	return 0;
}

/* Back to where it came from, unless it has met its end meanwhile. */
static void batch_return_call_locked(struct upcall_call *call)
{
	struct upcall_callback *cb = call->cb;

	if (call->state != UPCALL_TAKEN)
		return;
	if (call->answered && !(call->flags & UPCALL_CALL_ONEWAY)) {
		upcall_call_end_locked(call);
	} else if (cb->state != UPCALL_CB_LIVE) {
		upcall_call_answer_locked(call, -ESTALE, UPCALL_STAGE_NOT_DELIVERED);
		upcall_call_end_locked(call);
	} else {
		call->state = UPCALL_QUEUED;
		list_move(&call->cb_link, &cb->queued);
		list_add(&call->node.link, &cb->peer->queue);
	}
}

/* True if the batch's reference is not needed any more: a waiting CANCEL has it. */
static bool batch_return_locked(struct upcall_peer *peer, struct upcall_event_node *node)
{
	list_del_init(&node->link);
	node->taken = false;
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		batch_return_call_locked(node_call(node));
		return true;
	case UPCALL_EVENT_CANCEL:
		if (node_call(node)->state != UPCALL_DELIVERED)
			return true;
		list_add(&node->link, &peer->events);
		return false;
	default:
		if (node_callback(node)->state == UPCALL_CB_RELEASED)
			list_add(&node->link, &peer->events);
		return true;
	}
}

static void node_put(struct upcall_event_node *node)
{
	if (node->type == UPCALL_EVENT_RELEASED)
		upcall_callback_put(node_callback(node));
	else
		upcall_call_put(node_call(node));
}

/* The owner's references of calls that ended go with the batch's own. */
static void batch_put_call(struct upcall_call *call, bool ended)
{
	if (ended)
		upcall_call_put(call);
	upcall_call_put(call);
}

/* Last one first, so that the first one ends up in front. */
static void batch_return(struct batch *batch, struct upcall_peer *peer)
{
	struct upcall_event_node *node, *prev;
	bool was_taken, ended, put;

	list_for_each_entry_safe_reverse(node, prev, &batch->events, link) {
		spin_lock(&peer->lock);
		was_taken = node->type == UPCALL_EVENT_CALL &&
			    node_call(node)->state == UPCALL_TAKEN;
		put = batch_return_locked(peer, node);
		ended = was_taken && node_call(node)->state == UPCALL_ENDED;
		if (upcall_event_node_waits(node))
			upcall_peer_wake_locked(peer, node->type);
		spin_unlock(&peer->lock);
		if (node->type == UPCALL_EVENT_CALL)
			batch_put_call(node_call(node), ended);
		else if (put)
			node_put(node);
	}
}

/* The receiver has all of it. The nodes stay @taken: they are still linked to each other. */
static void batch_commit(struct batch *batch, struct upcall_peer *peer)
{
	struct upcall_event_node *node, *next;

	spin_lock(&peer->lock);
	list_for_each_entry(node, &batch->events, link) {
		if (node->type == UPCALL_EVENT_CALL && node_call(node)->state == UPCALL_TAKEN)
			upcall_call_delivered_locked(node_call(node));
	}
	spin_unlock(&peer->lock);

	list_for_each_entry_safe(node, next, &batch->events, link) {
		list_del_init(&node->link);
		if (node->type == UPCALL_EVENT_RELEASED)
			upcall_callback_gone(node_callback(node));
		else if (node->type == UPCALL_EVENT_CALL)
			upcall_payload_free(&node_call(node)->arg);
		node_put(node);
	}
}

/**
 * upcall_receive_write() - Write the [out] members of an EXCHANGE
 * @args: From here.
 * @user: To there.
 * @usize: How many bytes the caller has there.
 *
 * Context: Process context, may fault.
 * Return: 0 or -EFAULT.
 */
int upcall_receive_write(const struct upcall_exchange *args, struct upcall_exchange __user *user,
			 u32 usize)
{
	size_t start = offsetof(struct upcall_exchange, commands_failed);
	size_t end = min_t(size_t, usize, sizeof(*args));

	return copy_to_user((char __user *)user + start, (const char *)args + start, end - start) ?
	       -EFAULT : 0;
}

/* What there is now: 1, or 0 if there is nothing, or an errno. */
static int receive_try(struct upcall_peer *peer, struct upcall_exchange *args, struct batch *batch)
{
	bool dead;

	spin_lock(&peer->lock);
	dead = peer->dead;
	if (!dead)
		batch_take_locked(batch, peer, args);
	/* Whoever takes less than all passes the wake-up on. */
	if ((batch->count || batch->needed) &&
	    (!list_empty(&peer->queue) || !list_empty(&peer->events)))
		wake_up_interruptible(&peer->recv_wait);
	spin_unlock(&peer->lock);
	if (dead)
		return -ESHUTDOWN;
	if (batch->count)
		return 1;
	args->needed = batch->needed;
	return batch->needed ? -EMSGSIZE : 0;
}

/* Whether it is worth trying again; a receiver of max_calls 0 does not wait for calls. */
static bool receive_ready(struct upcall_peer *peer, const struct upcall_exchange *args)
{
	bool ready;

	spin_lock(&peer->lock);
	ready = peer->dead || !list_empty(&peer->events) ||
		(args->max_calls && !list_empty(&peer->queue));
	spin_unlock(&peer->lock);
	return ready;
}

/* Sleeps until there may be something. 0, -ETIMEDOUT or -ERESTARTSYS. */
static int receive_sleep(struct upcall_peer *peer, const struct upcall_exchange *args,
			 ktime_t *deadline)
{
	wait_queue_head_t *queue = args->max_calls ? &peer->recv_wait : &peer->event_wait;
	DEFINE_WAIT(wait);
	int err = 0;

	prepare_to_wait_exclusive(queue, &wait, TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	if (!receive_ready(peer, args)) {
		if (signal_pending(current))
			err = -ERESTARTSYS;
		else if (!schedule_hrtimeout_range(deadline, current->timer_slack_ns,
						   HRTIMER_MODE_ABS))
			err = -ETIMEDOUT;
	}
	finish_wait(queue, &wait);
	return err;
}

static void receive_count(struct upcall_peer *peer, int n)
{
	spin_lock(&peer->lock);
	peer->receivers += n;
	spin_unlock(&peer->lock);
}

/* A wake-up that came with a signal or the deadline is for somebody else then. */
static void receive_pass_on(struct upcall_peer *peer)
{
	spin_lock(&peer->lock);
	if (!list_empty(&peer->events))
		upcall_peer_wake_locked(peer, UPCALL_EVENT_RELEASED);
	else if (!list_empty(&peer->queue))
		upcall_peer_wake_locked(peer, UPCALL_EVENT_CALL);
	spin_unlock(&peer->lock);
}

/* Takes a batch, if need be after sleeping. What is there goes before why to leave. */
static int receive_wait(struct upcall_peer *peer, struct upcall_exchange *args,
			struct batch *batch)
{
	ktime_t deadline = upcall_time_read(args->deadline_ns);
	ktime_t *until = args->flags & UPCALL_EXCHANGE_NO_DEADLINE ? NULL : &deadline;
	int err = 0, ret;

	if (args->flags & UPCALL_EXCHANGE_NONBLOCK || args->commands_failed)
		err = -EAGAIN;
	receive_count(peer, 1);
	for (;;) {
		ret = receive_try(peer, args, batch);
		if (ret || err)
			break;
		err = receive_sleep(peer, args, until);
	}
	receive_count(peer, -1);
	if (ret)
		return min(ret, 0);
	receive_pass_on(peer);
	return err;
}

/* An owner whose receiver leaves with a fatal signal is as good as dead. */
static void receive_killed(struct upcall_peer *peer)
{
	struct upcall_death death;

	upcall_owner_death(peer, UPCALL_REASON_EXITED, &death);
	upcall_peer_kill(peer, &death);
}

/**
 * upcall_receive() - Events out
 * @peer: The calling process's.
 * @args: As of upcall_exchange(); @events_len is not 0.
 * @user: Where [out] members are written once there are events.
 * @usize: How many bytes the caller has there.
 *
 * Context: Process context, sleeps.
 * Return: 0, and events were delivered, or why there are none: -EAGAIN, -ETIMEDOUT,
 *	-ERESTARTSYS, -EMSGSIZE, -ESHUTDOWN, -EFAULT.
 */
int upcall_receive(struct upcall_peer *peer, struct upcall_exchange *args,
		   struct upcall_exchange __user *user, u32 usize)
{
	struct batch batch = { .events = LIST_HEAD_INIT(batch.events) };
	int err;

	err = receive_wait(peer, args, &batch);
	if (!err) {
		args->event_count = batch.count;
		args->events_used = batch.used;
		err = batch_copy(&batch, args) ?: upcall_receive_write(args, user, usize);
		if (err)
			batch_return(&batch, peer);
		else
			batch_commit(&batch, peer);
	}
	if (fatal_signal_pending(current))
		receive_killed(peer);
	return err;
}
