/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_PEER_H
#define _UPCALL_PEER_H

#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/timerqueue.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/upcall.h>
#include "ids.h"
#include "owner.h"
#include "payload.h"
#include "room.h"
#include "spin.h"

struct task_struct;
struct upcall_call;
struct upcall_callback;

/* Whose a bound peer is that has not ended; the picture is in main.h. */
enum upcall_custody {
	UPCALL_OWNED,		/* its process's */
	UPCALL_ORPHANING,	/* nobody's; what that process had under way is being ended */
	UPCALL_ORPHANED,	/* nobody's, until a successor comes or the time is up */
	UPCALL_ADOPTING,	/* one is binding it */
	UPCALL_ABANDONED,	/* the time was up: it is about to end */
};

/**
 * struct upcall_receiver - A thread that sleeps for events, on its stack
 * @link: In @peer->idle, or by itself once somebody woke it. Protected by @peer->idle_lock.
 * @task: It.
 * @calls: It takes calls.
 */
struct upcall_receiver {
	struct list_head link;
	struct task_struct *task;
	bool calls;
};

/**
 * struct upcall_peer - One open file of /dev/upcall
 * @refs: References: see DOC Lifetimes.
 * @lock: See DOC Locking.
 * @id: For LIST; 0 until it is bound. Set once.
 * @owner: The address space it belongs to; NULL until it is bound. Protected by @lock; replaced
 *	while it is ADOPTING only.
 * @mm: That of @owner; to be compared only, without a lock.
 * @owner_link: In @owner->peers. Protected by @owner->lock.
 * @death_work: Ends the peer when its address space has gone; holds a reference.
 * @ident: The process at the last verb that needed it. Protected by @lock; referenced.
 * @dead: It has ended. Set once, under @lock; lockless readers only spare themselves work.
 * @stub: The caller's side of a stub fd: bound to no process, and many may use it. Constant.
 * @one_thread: It declared UPCALL_CONFIG_ONE_THREAD. Protected by @lock, as all below.
 * @adoptable: It declared UPCALL_CONFIG_ADOPTABLE.
 * @custody: enum upcall_custody.
 * @orphan_ns: How long it waits for a successor, once it is ORPHANED.
 * @orphan_until: ORPHANED and later: CLOCK_MONOTONIC.
 * @orphan_death: How its owner died, once it is not OWNED.
 * @orphan_work: Ends it when the time is up; holds a reference while it is queued or runs.
 * @adopter: Who adopted it last, referenced; NULL: nobody.
 * @callbacks: Slot of the first of its callbacks, all that are not GONE; linked by slots.
 * @ncallbacks: How many.
 * @queue: Of QUEUED calls, in the order in which they are to be taken.
 * @nested: Of QUEUED calls those that lead back to calls of this peer; and of those whose CANCEL
 *	waits these, too, and the ones in which calls are nested.
 * @events: CANCEL and RELEASED events that wait.
 * @incoming: QUEUED to DELIVERED calls by the owner's id; and those that wait for room, NEW.
 * @spares: struct upcall_call that have ended, by @cb_link, for the next ones: with their memory
 *	and their place in @incoming.
 * @nspares: How many, at most UPCALL_SPARE_CALLS.
 * @last_spare: One more, that ended last, or NULL: put there and taken without a lock.
 * @spares_low: The fewest that there were since the queue was last seen empty.
 * @spare_callbacks: Callbacks that are GONE, by @spare, for the next ones: with their memory and
 *	their references to this peer and its ident.
 * @nspare_callbacks: How many, at most UPCALL_SPARE_CALLBACKS.
 * @nqueued: QUEUED and TAKEN calls.
 * @nrunning: DELIVERED calls.
 * @receivers: Threads that wait for events.
 * @server: The thread that took a call last: callers wait for it.
 * @client: The thread whose call it was: receivers wait for it.
 * @outgoing: Calls made by this peer whose answer has not been collected.
 * @outgoing_ids: Those of them that have a caller's id.
 * @noutgoing: How many are in @outgoing.
 * @spare: The block that the argument of a call was in, for that of the next one. None on a stub,
 *	whose callers are many.
 * @nresults: How many of them are asynchronous.
 * @answers: Asynchronous calls that were answered. Lockless.
 * @results: RESULT events that wait.
 * @deadlines: Of asynchronous calls.
 * @deadline_timer: For the earliest of them.
 * @deadline_work: Gives up the calls that are due.
 * @refusal: What EPOLLOUT waits for; @lock is not its lock.
 * @idle_lock: Protects @idle; a leaf.
 * @idle: struct upcall_receiver: threads that sleep for events, those that take calls in front,
 *	the last to come first. Who wakes one unlinks it, and does not touch it after that. Added
 *	to under @lock as well.
 * @chain_wait: Where those sleep that wait for one call: woken for a CANCEL, which may be of
 *	the chain of any of them.
 * @poll_wait: poll(2) and epoll: lives as long as the file, as @refs counts it.
 * @rcu: LIST may still look at @refs.
 */
struct upcall_peer {
	refcount_t refs;
	spinlock_t lock;	/* see DOC Locking */
	int id;
	struct upcall_owner *owner;
	struct mm_struct *mm;
	struct list_head owner_link;
	struct work_struct death_work;
	struct upcall_ident *ident;
	bool dead;
	bool stub;
	bool one_thread;
	bool adoptable;
	enum upcall_custody custody;
	u64 orphan_ns;
	ktime_t orphan_until;
	struct upcall_death orphan_death;
	struct delayed_work orphan_work;
	struct upcall_ident *adopter;

	u32 callbacks;
	u32 ncallbacks;
	struct list_head queue;
	struct list_head nested;
	struct list_head events;
	struct upcall_ids_table incoming;
	struct list_head spares;
	u32 nspares;
	struct upcall_call *last_spare;
	u32 spares_low;
	struct upcall_callback *spare_callbacks;
	u32 nspare_callbacks;
	u32 nqueued;
	u32 nrunning;
	u32 receivers;
	struct upcall_spin server;
	struct upcall_spin client;

	struct hlist_head outgoing;
	struct upcall_ids_table outgoing_ids;
	u32 noutgoing;
	struct upcall_block spare;
	u32 nresults;
	struct llist_head answers;
	struct list_head results;
	struct timerqueue_head deadlines;
	struct hrtimer deadline_timer;
	struct work_struct deadline_work;
	struct upcall_refusal refusal;

	spinlock_t idle_lock;	/* protects @idle */
	struct list_head idle;
	wait_queue_head_t chain_wait;
	wait_queue_head_t poll_wait;
	struct rcu_head rcu;
};

struct upcall_peer *upcall_peer_new(void);
void upcall_peer_exit(void);
struct upcall_peer *upcall_peer_ref(struct upcall_peer *peer);
void upcall_peer_put(struct upcall_peer *peer);
void upcall_peer_close(struct upcall_peer *peer);
int upcall_peer_bind_slowly(struct upcall_peer *peer);
void upcall_peer_kill(struct upcall_peer *peer, const struct upcall_death *death);
void upcall_peer_give_up_calls(struct upcall_peer *peer);
void upcall_peer_config(struct upcall_peer *peer, u32 flags, u64 orphan_ns);
int upcall_peer_shutdown(struct upcall_peer *peer, u32 flags, u64 word);
struct upcall_ident *upcall_peer_ident(struct upcall_peer *peer);
struct upcall_peer *upcall_peer_next(int *id);
void upcall_peer_show(struct upcall_peer *peer, struct seq_file *m);

/**
 * upcall_peer_bind() - What every verb but INFO begins with
 * @peer: Perhaps not bound yet: then it is from here on.
 *
 * Context: Process context, may sleep.
 * Return:
 * * 0			- it is the calling process's, and was alive
 * * -EPERM		- it is another process's
 * * -ESHUTDOWN		- it has ended
 * * -ENOMEM		- out of memory; it may be bound
 * * -ERESTARTNOINTR	- a signal is pending; it is not bound
 */
static inline int upcall_peer_bind(struct upcall_peer *peer)
{
	/* As in upcall_owner_bind(), which this spares most callers. */
	if (likely(READ_ONCE(peer->id) && smp_load_acquire(&peer->mm) == current->mm &&
		   current->mm && !READ_ONCE(peer->dead)))
		return 0;
	return upcall_peer_bind_slowly(peer);
}

/* wake.c */
void upcall_peer_wake(struct upcall_peer *peer, u32 event);
void upcall_peer_wake_all(struct upcall_peer *peer);
__poll_t upcall_peer_poll(struct upcall_peer *peer, struct file *file, poll_table *wait);

/* An event was queued, under @peer->lock, which is still held: wakes who can receive it. */
static inline void upcall_peer_wake_locked(struct upcall_peer *peer, u32 event)
{
	lockdep_assert_held(&peer->lock);
	upcall_peer_wake(peer, event);
}

/* orphan.c */
void upcall_orphan_init(struct upcall_peer *peer);
bool upcall_orphan(struct upcall_peer *peer, const struct upcall_death *death);
void upcall_orphan_arm_locked(struct upcall_peer *peer);
void upcall_orphan_disarm(struct upcall_peer *peer);

/* adopt.c */
int upcall_adopt(struct upcall_peer *peer, struct upcall_adopt *args);
void upcall_adopt_show(const struct upcall_callback *cb, struct upcall_ids *ids);

int upcall_list_check(const struct upcall_list *args);
int upcall_list(struct upcall_list *args);

#endif /* _UPCALL_PEER_H */
