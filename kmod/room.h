/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_ROOM_H
#define _UPCALL_ROOM_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct upcall_account;
struct upcall_call;
struct upcall_callback;
struct upcall_peer;

/**
 * struct upcall_room - Who of one uid waits for room in the queue of one callback
 * @link: In @cb->rooms; the one that got some last is the last. Protected by the lock of
 *	@cb's peer, as all of this is.
 * @cb: Not referenced: each who waits has a reference, and so does @work.
 * @account: Of that uid in the first user namespace, referenced.
 * @calls: NEW calls that wait, by @cb_link; first come, first served.
 * @refusals: struct upcall_refusal by bytes: if there is none for the first, there is for none.
 * @work: Goes on where one hold of the lock would take too long.
 * @working: @work is queued or runs, and has a reference to @cb.
 */
struct upcall_room {
	struct list_head link;
	struct upcall_callback *cb;
	struct upcall_account *account;
	struct list_head calls;
	struct rb_root_cached refusals;
	struct work_struct work;
	bool working;
};

/* What EPOLLOUT of a peer waits for. */
enum upcall_refused_by {
	UPCALL_REFUSED_BY_NONE,		/* nothing: it is set */
	UPCALL_REFUSED_BY_QUEUE,	/* the queue of a callback */
	UPCALL_REFUSED_BY_RESULTS,	/* the peer's own: too many were not received */
};

/**
 * struct upcall_refusal - The last EAGAIN of a peer; part of it
 * @mutex: One thread at a time remembers or forgets.
 * @by: enum upcall_refused_by. Changed by cmpxchg() or by the last one to be refused; read
 *	without a lock.
 * @cb: Whose queue it was, referenced; NULL once there was room. Set under @mutex and the
 *	lock of its peer, cleared under that lock alone, as those below.
 * @room: Where it waits, or NULL.
 * @node: In @room->refusals.
 * @bytes: Of the argument.
 */
struct upcall_refusal {
	struct mutex mutex;	/* see @mutex */
	int by;
	struct upcall_callback *cb;
	struct upcall_room *room;
	struct rb_node node;
	u32 bytes;
};

struct upcall_room *upcall_room_get_locked(struct upcall_callback *cb,
					   struct upcall_account *account);
void upcall_room_tidy_locked(struct upcall_room *room);
bool upcall_room_has_waiters_locked(struct upcall_callback *cb, struct upcall_account *account);
int upcall_room_wait_locked(struct upcall_call *call);
bool upcall_room_leave_locked(struct upcall_call *call, int err);
void upcall_room_freed_locked(struct upcall_callback *cb);
struct upcall_call *upcall_room_first_locked(struct upcall_callback *cb);
bool upcall_room_retired_locked(struct upcall_callback *cb);

void upcall_refusal_remember(struct upcall_peer *peer, const struct upcall_call *call);
bool upcall_refusal_ask(struct upcall_peer *peer, struct upcall_callback *cb,
			struct upcall_account *account);
void upcall_refusal_forget(struct upcall_peer *peer);
void upcall_refusal_by_results_locked(struct upcall_peer *peer);
void upcall_refusal_results_freed_locked(struct upcall_peer *peer);

#endif /* _UPCALL_ROOM_H */
