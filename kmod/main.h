/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_MAIN_H
#define _UPCALL_MAIN_H

/**
 * DOC: Overview
 *
 * upcall lets one process hand out a callback as an integer, and others call it.
 *
 *	registry --handle--> callback --owner--> peer  (one open file)
 *	                        ^                  |
 *	                        |                  | queue, events: what its
 *	                       call  <-------------+ receivers will get
 *	                        ^
 *	                        +---- outgoing ---- peer  (the caller's)
 *
 * A *peer* is an open file. It belongs to one address space (an *owner*), may own
 * *callbacks* and may make *calls*. The *registry* maps handles to live callbacks.
 * A call has two ends. The caller's end is its answer: a reply, a refusal, or an
 * error with the stage that the call had reached. The owner's end is its REPLY or
 * REFUSE, or its death. Either may come first; each comes exactly once.
 *
 * The owner's side of a call, enum upcall_call_state:
 *
 *	NEW --submit--> QUEUED --take--> TAKEN --commit--> DELIVERED --end--> ENDED
 *	                  |  ^             |  |                          ^
 *	                  |  +--put back---+  +--omitted---------------->+
 *	                  |  (a copy-out faulted)                        |
 *	                  +-----withdrawn, retired---------------------->+
 *
 * A TAKEN call is being copied out. For its caller it is as good as DELIVERED: it
 * cannot be withdrawn any more. It is omitted if its argument is in its caller's own pages, and
 * that one left before they were copied: see borrowed.c.
 *
 * The caller's side is one bit, @answered, and what was answered.
 *
 * With WAIT_ROOM a call is NEW until there is room in the queue, and is submitted by whoever
 * frees it: see room.c. What was refused for want of room clears EPOLLOUT: see refusal.c.
 *
 * CALLs and NOTIFYs of one EXCHANGE that go to one callback are queued together: see run.c.
 * An INVOKE waits for its answer; an asynchronous call is told it by a RESULT event, whose way
 * is in async.c. Calls that were made while another one ran may name it as their parent: see
 * chain.c. Of a SERIAL callback one call at a time is among what its owner can take, or
 * runs; the others are QUEUED with their callback only.
 *
 * Who is about to sleep for an answer, or for the next call, may spin first: spin.c. It stands in
 * no list then, and whatever it sees it looks again under the lock.
 *
 * A stub fd calls one callback. Its calls stand in a peer of its own that belongs to nobody
 * (stub.c).
 *
 * A callback, enum upcall_cb_state:
 *
 *	LIVE --retire--> CLOSING --last owner's end--> RELEASED --read--> GONE
 *
 * Only a LIVE one accepts calls. The death of its peer takes it from any state to GONE.
 *
 * A peer whose process has gone, if it is adoptable and its file still open, enum
 * upcall_custody (orphan.c, adopt.c):
 *
 *	OWNED --mm gone--> ORPHANING --calls ended--> ORPHANED --due--> ABANDONED --> dead
 *	  ^                                            |   ^
 *	  |                                          begin |
 *	  |                                            v  failed
 *	  +-------------------- bound ------------- ADOPTING
 *
 * Whoever ends a peer may do so in each of these but ADOPTING, which the file of the adopter
 * keeps from its last close. Then of its calls that were DELIVERED the states go
 * DELIVERED --requeue--> QUEUED, with @ran set, if their callback is IDEMPOTENT.
 */

/**
 * DOC: Locking
 *
 *	refusal->mutex		one per peer, who calls; sleeps; RCU inside
 *	peer->lock		one per peer, never two of them at a time
 *	  registry_lock		slots, those that are free, and the graves
 *	  peer->idle_lock
 *	  peer->chain_wait, poll_wait	(their own locks)
 *	  owner->lock		the peers of an address space
 *	peers_lock		the idr of all peers, for LIST
 *	accounts_lock		the table of users; also inside peer->lock
 *	callbacks_lock		how many callbacks each user has, against all: who registers
 *
 * wait queues are woken with no more than one peer->lock held, by the peer of the other side
 * too: they are leaves.
 *
 * A call stands between two peers. All of its state, and the lists of its
 * callback, are under the lock of the *owner's* peer; what the caller's peer
 * knows of it (@out_link, @caller_id, @waited, its RESULT) is under the lock of the *caller's*
 * peer. A peer may call itself: then they are one lock, and are still not taken twice.
 * So: change state, take a reference, drop the lock, then take the other one. A RESULT goes from
 * one side to the other by a lockless list.
 *
 * No lock is held across an allocation that sleeps or a copy from or to user memory, but for one
 * that gives up where it would sleep: a step of an argument's copy, see borrowed.c.
 * All but the mutex are spinlocks, taken in process context only; the timer of deadlines takes
 * none. A queue's room, and who waits for it, are under the lock of the owner's peer, also
 * the refusal that belongs to the caller's peer; who frees room wakes that one's poll_wait.
 */

/**
 * DOC: Lifetimes
 *
 * peer		references: its open file, each of its callbacks, also those it keeps until its
 *		end, each asynchronous call that
 *		it made, a queued death work, the work that ends an orphan. Its timer and the
 *		timer's work are stopped by its end, which every open file comes to.
 *		Freed after a grace period: LIST finds peers under RCU.
 * callback	references: the registry from REGISTER until GONE, each of its calls, each
 *		of its stubs, each lookup, a receiver that copies RELEASED or UNREFERENCED, a
 *		refusal that waits for it,
 *		work for a room. Freed after a grace period:
 *		lookups are lockless, and take a reference unless it is zero. Some are kept by
 *		their peer for the next ones instead: a lookup that was late then has a
 *		reference to another one, sees that by the handle, and drops it.
 * traffic	what calls need of a callback: from the first call or stub until that one's last
 *		reference. Whoever looks at it has one.
 * stub		its open file. Its peer is ended with it, and its calls. What all stubs of a
 *		callback share is freed with that.
 * room		who of one uid waits for a queue: as long as anybody does, or its work.
 * call		references: the owner's side from QUEUED to ENDED, or from when it waits for
 *		room, the caller's @outgoing,
 *		the thread that waits, a CANCEL event, a RESULT, a receiver that is copying it.
 *		Freed at once: nothing finds a call without a lock. Its memory stays for calls
 *		that are nested in it (@links), and can be seen through them only; or its
 *		owner's peer keeps it, ENDED, for the next call to that (spare.c).
 * pages	of a caller, borrowed for the argument of its call: a reference each, the call's.
 *		They are read only while it has no answer, and go when it is delivered, or with
 *		the call.
 * ident	who a process was at one moment; immutable; references by count.
 * account	what a uid has charged; as long as anything is charged to it or an
 *		ident names it.
 * owner	one per address space, shared by its peers (mmu_notifier_get); holds
 *		the mm_struct, not the memory. Freed by SRCU after the last put. A peer's is
 *		replaced by ADOPT: it is used under the lock of the peer, and without that
 *		only the address of its mm_struct is compared.
 *
 * References are dropped with no peer lock held.
 *
 * Module exit: every open file holds the module, so no orphan is left. Then
 * mmu_notifier_synchronize() waits for a release that has found a peer and not yet queued its
 * death work; the workqueue is drained, and then the one that closes files, as long as that may
 * take; then we wait for free_notifier of each owner.
 * Peers that wait for a grace period are plain kmalloc memory, and need no code of ours;
 * callbacks have a cache of their own, and rcu_barrier() waits for them.
 */

#include <linux/types.h>
#include <linux/compiler.h>

struct file;
struct workqueue_struct;

extern struct workqueue_struct *upcall_wq;
extern u64 upcall_instance;

long upcall_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif /* _UPCALL_MAIN_H */
