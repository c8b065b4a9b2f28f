// SPDX-License-Identifier: GPL-2.0-only
/* Events out: who waits for them, who is woken, and why one leaves without. */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "args.h"
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
	return upcall_args_write_from(user, usize, args, sizeof(*args),
				      offsetof(struct upcall_exchange, commands_failed));
}

/* Wakes others for what is still there. */
static void receive_pass_on_locked(struct upcall_peer *peer)
{
	if (!list_empty(&peer->events) || !list_empty(&peer->results))
		upcall_peer_wake_locked(peer, UPCALL_EVENT_RELEASED);
	else if (!list_empty(&peer->queue))
		upcall_peer_wake_locked(peer, UPCALL_EVENT_CALL);
}

/* The most frequent case, said quickly. */
static bool receive_has_nothing_locked(struct upcall_peer *peer, const struct upcall_batch *batch)
{
	return !batch->wait && list_empty(&peer->queue) && list_empty(&peer->events) &&
	       list_empty(&peer->results) && llist_empty(&peer->answers);
}

/* What there is now: 1, or 0 if there is nothing, or an errno. */
static int receive_try_locked(struct upcall_peer *peer, struct upcall_exchange *args,
			      struct upcall_batch *batch)
{
	if (peer->dead)
		return -ESHUTDOWN;
	if (receive_has_nothing_locked(peer, batch)) {
		args->needed = 0;
		return 0;
	}
	upcall_batch_take_locked(batch, peer, args);
	/* Whoever takes less than all passes the wake-up on. */
	if (batch->count || batch->needed)
		receive_pass_on_locked(peer);
	if (batch->count)
		return 1;
	args->needed = batch->needed;
	if (batch->needed)
		return -EMSGSIZE;
	return batch->swamped ? -EDQUOT : 0;
}

/* Whether it is worth trying again. */
static bool receive_chain_ready(struct upcall_peer *peer, const struct upcall_exchange *args,
				const struct upcall_call *wait)
{
	bool ready;

	spin_lock(&peer->lock);
	ready = peer->dead || upcall_batch_chain_ready_locked(peer, wait, args->max_calls);
	spin_unlock(&peer->lock);
	return ready;
}

/*
 * There is nothing to take, and who makes something sees us from here on: calls and other
 * events come under @peer->lock. RESULTs do not:
 *
 *	here				upcall_async_answered()
 *	add to @idle			llist_add(), a full barrier
 *	smp_mb()			if there is somebody in @idle: wake
 *	if (llist_empty()) sleep
 *
 * Looked at under the same hold of the lock: behind it somebody else may move on, to @results, what
 * came before we were seen. True if we may sleep.
 */
static bool receive_idle_locked(struct upcall_peer *peer, struct upcall_receiver *me)
{
	lockdep_assert_held(&peer->lock);
	UPCALL_HOOK_ATOMIC(idling);
	spin_lock(&peer->idle_lock);
	if (me->calls)	/* in front: who has just run has a warm cache */
		list_add(&me->link, &peer->idle);
	else
		list_add_tail(&me->link, &peer->idle);
	spin_unlock(&peer->idle_lock);
	set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);	/* the barrier */
	return llist_empty(&peer->answers);
}

static int receive_schedule(ktime_t *deadline)
{
	if (signal_pending(current))
		return -ERESTARTSYS;
	if (!deadline) {
		schedule();
		return 0;
	}
	return schedule_hrtimeout_range(deadline, current->timer_slack_ns, HRTIMER_MODE_ABS) ?
	       0 : -ETIMEDOUT;
}

/* As receive_sleep(), for a thread that waits for one call. */
static int receive_sleep_chain(struct upcall_peer *peer, const struct upcall_exchange *args,
			       struct upcall_call *wait, ktime_t *deadline)
{
	DEFINE_WAIT(cancel);
	int err = 0;

	prepare_to_rcuwait(&wait->wait);
	prepare_to_wait(&peer->chain_wait, &cancel, TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	if (!receive_chain_ready(peer, args, wait))
		err = receive_schedule(deadline);
	finish_wait(&peer->chain_wait, &cancel);
	finish_rcuwait(&wait->wait);
	return err;
}

/* Sleeps, if it may, until there is perhaps something. 0, -ETIMEDOUT or -ERESTARTSYS. */
static int receive_sleep(struct upcall_peer *peer, struct upcall_receiver *me, bool may,
			 ktime_t *deadline)
{
	int err = 0;

	UPCALL_HOOK_ATOMIC(idle);
	if (may)
		err = receive_schedule(deadline);
	__set_current_state(TASK_RUNNING);
	/* Whoever woke us has unlinked us, as the last that it does with us: see wake.c. */
	if (list_empty_careful(&me->link))
		return err;
	spin_lock(&peer->idle_lock);
	if (!list_empty(&me->link))
		list_del_init(&me->link);
	spin_unlock(&peer->idle_lock);
	return err;
}

/* Takes a batch, if need be after sleeping. What is there goes before why to leave. */
static int receive_wait(struct upcall_peer *peer, struct upcall_exchange *args,
			struct upcall_batch *batch)
{
	struct upcall_receiver me = { .task = current, .calls = args->max_calls };
	bool spins = args->max_calls && !batch->wait && upcall_spin_enabled();
	ktime_t deadline, *until = NULL;
	bool may_sleep = false;
	int err = 0, ret;

	if (!(args->flags & UPCALL_EXCHANGE_NO_DEADLINE)) {
		deadline = upcall_time_read(args->deadline_ns);
		until = &deadline;
	}
	if (args->flags & UPCALL_EXCHANGE_NONBLOCK || args->commands_failed)
		err = -EAGAIN;
	spin_lock(&peer->lock);
	peer->receivers++;
	while (!(ret = receive_try_locked(peer, args, batch)) && !err) {
		if (spins) {
			spins = false;
			spin_unlock(&peer->lock);
			upcall_spin_receive(peer);
			spin_lock(&peer->lock);
			continue;
		}
		if (!batch->wait)
			may_sleep = receive_idle_locked(peer, &me);
		spin_unlock(&peer->lock);
		err = batch->wait ? receive_sleep_chain(peer, args, batch->wait, until)
				  : receive_sleep(peer, &me, may_sleep, until);
		spin_lock(&peer->lock);
	}
	peer->receivers--;
	if (!ret)	/* a wake-up that came with a signal or the deadline is for somebody else */
		receive_pass_on_locked(peer);
	spin_unlock(&peer->lock);
	return ret ? min(ret, 0) : err;
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

/* Writes the events, all but their descriptors; without calls that cannot be received any more. */
static int receive_copy(struct upcall_peer *peer, const struct upcall_exchange *args,
			struct upcall_batch *batch)
{
	char __user *to = u64_to_user_ptr(args->events);
	struct upcall_event_node *node, *next;
	struct upcall_view view = {};
	int err;

	list_for_each_entry_safe(node, next, &batch->events, link) {
		err = upcall_node_copy(node, to, &view);
		if (!err) {
			to += node->size;
		} else if (err == -ECANCELED) {
			upcall_batch_omit(batch, peer, node);
			view = (struct upcall_view){};	/* it may be gone */
		} else {
			return err;
		}
	}
	return 0;
}

/* Installs their descriptors. After a failure upcall_batch_return() takes them back. */
static int receive_fds(const struct upcall_exchange *args, struct upcall_batch *batch)
{
	char __user *to = u64_to_user_ptr(args->events);
	struct upcall_event_node *node;
	int err;

	if (!batch->fds)
		return 0;
	list_for_each_entry(node, &batch->events, link) {
		err = upcall_node_deliver_fds(node, to);
		if (err)
			return err;
		to += node->size;
	}
	return 0;
}

/* All of what there is. Left with nothing, as its callers have left, it looks again. */
static int receive_take(struct upcall_peer *peer, struct upcall_exchange *args,
			struct upcall_batch *batch)
{
	int err;

	do {
		err = receive_wait(peer, args, batch);
		if (err)
			return err;
		UPCALL_HOOK(taken);
		err = receive_copy(peer, args, batch);
	} while (!err && !batch->count);
	args->event_count = batch->count;
	args->events_used = batch->used;
	return err;
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

	err = receive_take(peer, args, &batch);
	if (batch.count) {
		if (!err)
			err = upcall_receive_write(args, user, usize) ?: receive_fds(args, &batch);
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
