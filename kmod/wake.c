// SPDX-License-Identifier: GPL-2.0-only
/* Who is told that there is something to receive: threads that sleep for it, and poll(2). */
#include <linux/list.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/wait.h>
#include "async.h"
#include "main.h"
#include "peer.h"

/*
 * Out of @idle. One that sees that it is not linked goes on without a lock, and with it goes what
 * stands on its stack: that is the last we touch. Its task stays for a grace period of RCU, and
 * whoever holds a spinlock holds that up. False if it is not awake now.
 */
static bool receiver_wake_locked(struct upcall_receiver *receiver)
{
	struct task_struct *task = receiver->task;

	/* Pairs with receive_sleep(). */
	list_del_init_careful(&receiver->link);
	/* Since 6.7 who is frozen counts as woken, which it is once it is thawed */
	return wake_up_process(task) && !(READ_ONCE(task->__state) & TASK_FROZEN);
}

/*
 * The first in @idle that takes calls, or whoever is the first. One that does not sleep any more
 * looks again by itself, and one that is frozen once it is thawed: then the next one is woken, too.
 */
static void peer_wake_one(struct upcall_peer *peer, bool call)
{
	struct upcall_receiver *first;
	bool woken = false;

	spin_lock(&peer->idle_lock);
	while (!woken && !list_empty(&peer->idle)) {
		first = list_first_entry(&peer->idle, struct upcall_receiver, link);
		if (call && !first->calls)
			break;
		woken = receiver_wake_locked(first);
	}
	spin_unlock(&peer->idle_lock);
}

/**
 * upcall_peer_wake_all() - A peer has ended: nobody sleeps for its events any more
 * @peer: Dead.
 *
 * Context: Under @peer->lock, which keeps others from going to sleep.
 */
void upcall_peer_wake_all(struct upcall_peer *peer)
{
	struct upcall_receiver *receiver, *next;

	lockdep_assert_held(&peer->lock);
	spin_lock(&peer->idle_lock);
	list_for_each_entry_safe(receiver, next, &peer->idle, link)
		receiver_wake_locked(receiver);
	spin_unlock(&peer->idle_lock);
}

/**
 * upcall_peer_wake() - An event is there: wake who can receive it
 * @peer: Whose.
 * @event: UPCALL_EVENT_*. It was made known under @peer->lock, which is still held, or before a
 *	full barrier.
 *
 * Context: Any context but hard interrupts; whoever is woken sees what was there before.
 */
void upcall_peer_wake(struct upcall_peer *peer, u32 event)
{
	if (!list_empty(&peer->idle))
		peer_wake_one(peer, event == UPCALL_EVENT_CALL);
	/* Pairs with the lock, or the barrier, in upcall_peer_poll(). */
	if (waitqueue_active(&peer->poll_wait))
		wake_up_interruptible_poll(&peer->poll_wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * upcall_peer_poll() - poll(2) on a peer; the uapi header says what each bit means
 * @peer: Any.
 * @file: Its file.
 * @wait: As handed to f_op->poll.
 *
 * Context: Process context.
 * Return: EPOLL* bits.
 */
__poll_t upcall_peer_poll(struct upcall_peer *peer, struct file *file, poll_table *wait)
{
	__poll_t mask;

	poll_wait(file, &peer->poll_wait, wait);
	smp_mb();	/* pairs with llist_add() in upcall_async_answered() */
	spin_lock(&peer->lock);
	mask = peer->dead ? EPOLLHUP : 0;
	if (!mask && READ_ONCE(peer->refusal.by) == UPCALL_REFUSED_BY_NONE)
		mask = EPOLLOUT | EPOLLWRNORM;
	if (!peer->dead)
		upcall_async_land_locked(peer);
	if (!list_empty(&peer->queue) || !list_empty(&peer->events) ||
	    !list_empty(&peer->results))
		mask |= EPOLLIN | EPOLLRDNORM;
	spin_unlock(&peer->lock);
	return mask;
}
