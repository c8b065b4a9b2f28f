// SPDX-License-Identifier: GPL-2.0-only
/* Events out: who waits for them, who is woken, and why one leaves without. */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "async.h"
#include "batch.h"
#include "call.h"
#include "exchange.h"
#include "hook.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "timens.h"

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

/* Wakes others for what is still there. */
static void receive_pass_on_locked(struct upcall_peer *peer)
{
	if (!list_empty(&peer->events) || !list_empty(&peer->results))
		upcall_peer_wake_locked(peer, UPCALL_EVENT_RELEASED);
	else if (!list_empty(&peer->queue))
		upcall_peer_wake_locked(peer, UPCALL_EVENT_CALL);
}

/* What there is now: 1, or 0 if there is nothing, or an errno. */
static int receive_try(struct upcall_peer *peer, struct upcall_exchange *args,
		       struct upcall_batch *batch)
{
	bool dead;

	spin_lock(&peer->lock);
	dead = peer->dead;
	if (!dead)
		upcall_batch_take_locked(batch, peer, args);
	/* Whoever takes less than all passes the wake-up on. */
	if (batch->count || batch->needed)
		receive_pass_on_locked(peer);
	spin_unlock(&peer->lock);
	if (dead)
		return -ESHUTDOWN;
	if (batch->count)
		return 1;
	args->needed = batch->needed;
	if (batch->needed)
		return -EMSGSIZE;
	return batch->swamped ? -EDQUOT : 0;
}

/* A receiver of max_calls 0 does not wait for calls. */
static bool receive_ready_locked(struct upcall_peer *peer, const struct upcall_exchange *args,
				 const struct upcall_call *wait)
{
	if (peer->dead)
		return true;
	if (wait)
		return upcall_batch_chain_ready_locked(peer, wait, args->max_calls);
	upcall_async_land_locked(peer);
	return !list_empty(&peer->events) || !list_empty(&peer->results) ||
	       (args->max_calls && !list_empty(&peer->queue));
}

/* Whether it is worth trying again. */
static bool receive_ready(struct upcall_peer *peer, const struct upcall_exchange *args,
			  const struct upcall_call *wait)
{
	bool ready;

	spin_lock(&peer->lock);
	ready = receive_ready_locked(peer, args, wait);
	spin_unlock(&peer->lock);
	return ready;
}

/* As prepare_to_wait_exclusive(), but woken first: who has just run has a warm cache. */
static void receive_prepare(wait_queue_head_t *queue, struct wait_queue_entry *entry)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (list_empty(&entry->entry))
		__add_wait_queue_exclusive(queue, entry);
	set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	spin_unlock_irqrestore(&queue->lock, flags);
}

static int receive_schedule(ktime_t *deadline)
{
	if (signal_pending(current))
		return -ERESTARTSYS;
	return schedule_hrtimeout_range(deadline, current->timer_slack_ns, HRTIMER_MODE_ABS) ?
	       0 : -ETIMEDOUT;
}

/* As receive_sleep(), for a thread that waits for one call. */
static int receive_sleep_chain(struct upcall_peer *peer, const struct upcall_exchange *args,
			       struct upcall_call *wait, ktime_t *deadline)
{
	DEFINE_WAIT(cancel);
	DEFINE_WAIT(entry);
	int err = 0;

	prepare_to_wait(&peer->chain_wait, &cancel, TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	prepare_to_wait(&wait->wait, &entry, TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	if (!receive_ready(peer, args, wait))
		err = receive_schedule(deadline);
	finish_wait(&wait->wait, &entry);
	finish_wait(&peer->chain_wait, &cancel);
	return err;
}

/* Sleeps until there may be something. 0, -ETIMEDOUT or -ERESTARTSYS. */
static int receive_sleep(struct upcall_peer *peer, const struct upcall_exchange *args,
			 ktime_t *deadline)
{
	wait_queue_head_t *queue = args->max_calls ? &peer->recv_wait : &peer->event_wait;
	DEFINE_WAIT(entry);
	int err = 0;

	receive_prepare(queue, &entry);
	if (!receive_ready(peer, args, NULL))
		err = receive_schedule(deadline);
	finish_wait(queue, &entry);
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
	receive_pass_on_locked(peer);
	spin_unlock(&peer->lock);
}

/* Takes a batch, if need be after sleeping. What is there goes before why to leave. */
static int receive_wait(struct upcall_peer *peer, struct upcall_exchange *args,
			struct upcall_batch *batch)
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
		err = batch->wait ? receive_sleep_chain(peer, args, batch->wait, until)
				  : receive_sleep(peer, args, until);
	}
	receive_count(peer, -1);
	if (ret)
		return min(ret, 0);
	receive_pass_on(peer);
	return err;
}

/*
 * An owner whose receiver leaves with a fatal signal is as good as dead. But one that may have a
 * successor dies when its address space goes: then its peer is orphaned.
 */
static void receive_killed(struct upcall_peer *peer)
{
	struct upcall_death death;

	if (READ_ONCE(peer->adoptable))
		return;
	upcall_owner_death(peer, UPCALL_REASON_EXITED, &death);
	upcall_peer_kill(peer, &death);
}

/**
 * upcall_receive() - Events out
 * @peer: The calling process's.
 * @args: As of upcall_exchange(); @events_len is not 0.
 * @wait: The call that the thread waits for, from upcall_async_wait(); or NULL.
 * @user: Where [out] members are written once there are events.
 * @usize: How many bytes the caller has there.
 *
 * Context: Process context, sleeps.
 * Return: 0, and events were delivered, or why there are none: -EAGAIN, -ETIMEDOUT,
 *	-ERESTARTSYS, -EMSGSIZE, -ESHUTDOWN, -EFAULT.
 */
int upcall_receive(struct upcall_peer *peer, struct upcall_exchange *args,
		   struct upcall_call *wait, struct upcall_exchange __user *user, u32 usize)
{
	struct upcall_batch batch = { .wait = wait, .events = LIST_HEAD_INIT(batch.events) };
	int err;

	err = receive_wait(peer, args, &batch);
	if (!err) {
		UPCALL_HOOK(taken);
		args->event_count = batch.count;
		args->events_used = batch.used;
		err = upcall_batch_copy(&batch, args) ?:
		      upcall_receive_write(args, user, usize) ?:
		      upcall_batch_deliver_fds(&batch, args);
		UPCALL_HOOK(copied);
		if (err)
			upcall_batch_return(&batch, peer);
		else
			upcall_batch_commit(&batch, peer);
		UPCALL_HOOK(committed);
	}
	if (fatal_signal_pending(current))
		receive_killed(peer);
	return err;
}
