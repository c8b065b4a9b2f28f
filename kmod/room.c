// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who waits for room in the queue of a callback: calls that were made with WAIT_ROOM, and
 * peers whose EPOLLOUT was cleared.
 *
 * They stand in rooms: one for each uid that waits for that callback, made when the first
 * comes and freed when the last has gone. So a callback for which nobody waits has an
 * empty list and nothing else, and what one uid piles up is not in the way of another's.
 * User namespaces make no room of their own: of all shares that one call counts in, the top
 * account's is the largest, and the rule of half of what is left is the same for each.
 *
 * Whoever frees room submits the first waiting call in its stead, under the same hold of the
 * lock: nobody gets in between, and the order within a uid is the one in which they came. A
 * call waits only while its owner's queue holds others. So there is always a next one to
 * free room, and no wake-up can be lost: the queue cannot run empty while anybody waits.
 */
#include <linux/ktime.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "call.h"
#include "callback.h"
#include "limits.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "pool.h"
#include "quota.h"
#include "room.h"

static void room_work(struct work_struct *work);

static struct upcall_account *account_top(struct upcall_account *account)
{
	while (account->parent)
		account = account->parent;
	return account;
}

static struct upcall_room *room_find_locked(struct upcall_callback *cb,
					    const struct upcall_account *top)
{
	struct upcall_room *room;

	lockdep_assert_held(&cb->peer->lock);
	list_for_each_entry(room, &cb->traffic->rooms, link) {
		if (room->account == top)
			return room;
	}
	return NULL;
}

/**
 * upcall_room_get_locked() - The room of a uid, made if need be
 * @cb: Whose queue has none.
 * @account: Of that uid.
 *
 * Context: Under the lock of @cb's peer.
 * Return: It, or NULL: out of memory.
 */
struct upcall_room *upcall_room_get_locked(struct upcall_callback *cb,
					   struct upcall_account *account)
{
	struct upcall_account *top = account_top(account);
	struct upcall_room *room = room_find_locked(cb, top);

	if (room)
		return room;
	room = kzalloc(sizeof(*room), GFP_ATOMIC | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!room)
		return NULL;
	room->cb = cb;
	room->account = upcall_account_ref(top);
	INIT_LIST_HEAD(&room->calls);
	room->refusals = RB_ROOT_CACHED;
	INIT_WORK(&room->work, room_work);
	list_add_tail(&room->link, &cb->traffic->rooms);
	return room;
}

/**
 * upcall_room_tidy_locked() - Free a room if nobody is in it
 * @room: Not used by the caller any more.
 *
 * Context: Under the lock of its callback's peer.
 */
void upcall_room_tidy_locked(struct upcall_room *room)
{
	if (!list_empty(&room->calls) || rb_first_cached(&room->refusals) || room->working)
		return;
	list_del(&room->link);
	upcall_account_put(room->account);
	kfree(room);
}

static struct upcall_call *room_first_call(struct upcall_room *room)
{
	return list_first_entry_or_null(&room->calls, struct upcall_call, cb_link);
}

static struct upcall_refusal *room_first_refusal(struct upcall_room *room)
{
	struct rb_node *node = rb_first_cached(&room->refusals);

	return node ? rb_entry(node, struct upcall_refusal, node) : NULL;
}

/* Submits the first call, if there is room for it: as it would be for the caller itself. */
static bool room_admit_locked(struct upcall_room *room)
{
	struct upcall_call *call = room_first_call(room);
	struct upcall_pool *pool = &room->cb->traffic->pool;
	struct upcall_share *share;

	if (!call)
		return false;
	/* Never -ENOMEM: what it counts is held since it began to wait. */
	share = upcall_pool_take(pool, call->from->account, call->arg_len);
	if (IS_ERR(share))
		return false;
	upcall_pool_unhold(pool, call->from->account);
	list_del_init(&call->cb_link);
	call->room = NULL;
	call->share = share;
	upcall_call_enqueue_locked(call, ktime_get());	/* with the reference that the wait had */
	return true;
}

/*
 * EPOLLOUT again. The peer is there: before it is freed its end forgets the refusal, and
 * that waits for the lock that we hold, or sees that @cb is NULL, our last step. Nor is the
 * callback's reference the last one: who frees room, or retires it, has another.
 */
static void room_wake_locked(struct upcall_room *room, struct upcall_refusal *refusal)
{
	struct upcall_peer *peer = container_of(refusal, struct upcall_peer, refusal);

	rb_erase_cached(&refusal->node, &room->refusals);
	refusal->room = NULL;
	if (cmpxchg(&refusal->by, UPCALL_REFUSED_BY_QUEUE, UPCALL_REFUSED_BY_NONE) ==
	    UPCALL_REFUSED_BY_QUEUE)
		wake_up_interruptible_poll(&peer->poll_wait, EPOLLOUT | EPOLLWRNORM);
	/* Last: pairs with refusal_forget(), which then has nothing to wait for. */
	smp_store_release(&refusal->cb, NULL);
	refcount_dec(&room->cb->refs);
}

static bool room_fits_locked(struct upcall_room *room, u32 bytes)
{
	return upcall_pool_has_room(&room->cb->traffic->pool, room->account, bytes);
}

/* Whether somebody in it could go ahead. */
static bool room_ready_locked(struct upcall_room *room)
{
	struct upcall_refusal *refusal = room_first_refusal(room);
	struct upcall_call *call = room_first_call(room);

	if (room->cb->state != UPCALL_CB_LIVE)
		return false;	/* retiring it treats them */
	return (call && room_fits_locked(room, call->arg_len)) ||
	       (refusal && room_fits_locked(room, refusal->bytes));
}

/* At most so many calls, then the peers for which there is room. True if a call was submitted. */
static bool room_serve_locked(struct upcall_room *room, unsigned int calls)
{
	unsigned int peers = UPCALL_BATCH_ROOM;
	struct upcall_refusal *refusal;
	bool admitted = false;

	while (calls-- && room_admit_locked(room))
		admitted = true;
	while (peers-- && (refusal = room_first_refusal(room)) &&
	       room_fits_locked(room, refusal->bytes))
		room_wake_locked(room, refusal);
	return admitted;
}

/* What one hold of the lock has left over is for our workqueue. May free the room. */
static void room_go_on_locked(struct upcall_room *room)
{
	if (!room->working && room_ready_locked(room)) {
		room->working = true;
		refcount_inc(&room->cb->refs);
		queue_work(upcall_wq, &room->work);
	}
	upcall_room_tidy_locked(room);
}

static void room_work(struct work_struct *work)
{
	struct upcall_room *room = container_of(work, struct upcall_room, work);
	struct upcall_callback *cb = room->cb;
	bool more;

	do {
		spin_lock(&cb->peer->lock);
		if (cb->state == UPCALL_CB_LIVE)
			room_serve_locked(room, UPCALL_BATCH_ROOM);
		more = room_ready_locked(room);
		if (!more) {
			room->working = false;
			upcall_room_tidy_locked(room);
		}
		spin_unlock(&cb->peer->lock);
		cond_resched();
	} while (more);
	upcall_callback_put(cb);
}

/**
 * upcall_room_has_waiters_locked() - Whether calls of a uid wait already
 * @cb: For room in its queue.
 * @account: Of that uid.
 *
 * Context: Under the lock of @cb's peer.
 * Return: True if so: then who is ready to wait comes after them.
 */
bool upcall_room_has_waiters_locked(struct upcall_callback *cb, struct upcall_account *account)
{
	struct upcall_room *room;

	if (list_empty(&cb->traffic->rooms))
		return false;
	room = room_find_locked(cb, account_top(account));
	return room && !list_empty(&room->calls);
}

/**
 * upcall_room_wait_locked() - A call begins to wait for room
 * @call: NEW, of a LIVE callback, and known to its caller's peer.
 *
 * All that could fail later is done now: to submit it needs no memory. It has the reference
 * of its owner's side from now on.
 *
 * Context: Under the lock of the owner's peer, between idr_preload() and idr_preload_end().
 * Return: 0 or -ENOMEM.
 */
int upcall_room_wait_locked(struct upcall_call *call)
{
	struct upcall_account *account = call->from->account;
	struct upcall_callback *cb = call->cb;
	struct upcall_room *room = upcall_room_get_locked(cb, account);

	if (!room)
		return -ENOMEM;
	if (upcall_pool_hold(&cb->traffic->pool, account))
		goto out_tidy;
	if (upcall_call_identify_locked(call))
		goto out_unhold;
	refcount_inc(&call->refs);
	call->room = room;
	list_add_tail(&call->cb_link, &room->calls);
	return 0;

out_unhold:
	upcall_pool_unhold(&cb->traffic->pool, account);
out_tidy:
	upcall_room_tidy_locked(room);
	return -ENOMEM;
}

/**
 * upcall_room_leave_locked() - A call waits for room no more
 * @call: Any.
 * @err: -errno for its caller; the stage is NOT_DELIVERED.
 *
 * The next one may be content with less, and go ahead.
 *
 * Context: Under the lock of the owner's peer.
 * Return: True if it waited. Then the wait's reference goes to the one who calls this, to
 *	be dropped without the lock.
 */
bool upcall_room_leave_locked(struct upcall_call *call, int err)
{
	struct upcall_room *room = call->room;
	struct upcall_callback *cb = call->cb;

	lockdep_assert_held(&cb->peer->lock);
	if (!room)
		return false;
	list_del_init(&call->cb_link);
	call->room = NULL;
	upcall_pool_unhold(&cb->traffic->pool, call->from->account);
	upcall_call_answer_locked(call, err, UPCALL_STAGE_NOT_DELIVERED);
	room_go_on_locked(room);
	return true;
}

/**
 * upcall_room_freed_locked() - There is room in a queue: for whom?
 * @cb: Whose. The caller has a reference.
 *
 * One call of each uid, in turn. One place was freed, so it is rarely more, and then
 * our workqueue goes on.
 *
 * Context: Under the lock of @cb's peer.
 */
void upcall_room_freed_locked(struct upcall_callback *cb)
{
	struct upcall_room *room, *next;
	LIST_HEAD(served);

	lockdep_assert_held(&cb->peer->lock);
	if (likely(list_empty(&cb->traffic->rooms)) || cb->state != UPCALL_CB_LIVE)
		return;
	list_for_each_entry_safe(room, next, &cb->traffic->rooms, link) {
		if (cb->traffic->pool.calls >= cb->traffic->pool.max_calls)
			break;
		if (room_serve_locked(room, 1))
			list_move_tail(&room->link, &served);
		room_go_on_locked(room);
	}
	list_splice_tail(&served, &cb->traffic->rooms);
}

/**
 * upcall_room_first_locked() - One of the calls that wait for room
 * @cb: In its queue.
 *
 * Context: Under the lock of @cb's peer.
 * Return: A NEW call, or NULL.
 */
struct upcall_call *upcall_room_first_locked(struct upcall_callback *cb)
{
	struct upcall_room *room;

	list_for_each_entry(room, &cb->traffic->rooms, link) {
		if (!list_empty(&room->calls))
			return room_first_call(room);
	}
	return NULL;
}

/**
 * upcall_room_retired_locked() - A callback is not live: EPOLLOUT of those who wait for it
 * @cb: Which. The caller has a reference.
 *
 * Context: Under the lock of @cb's peer.
 * Return: True if there may be more: call it again.
 */
bool upcall_room_retired_locked(struct upcall_callback *cb)
{
	unsigned int peers = UPCALL_BATCH_ENDED;
	struct upcall_room *room, *next;
	struct upcall_refusal *refusal;

	if (!cb->traffic)
		return false;	/* it was never called */
	list_for_each_entry_safe(room, next, &cb->traffic->rooms, link) {
		while ((refusal = room_first_refusal(room))) {
			if (!peers--)
				return true;
			room_wake_locked(room, refusal);
		}
		upcall_room_tidy_locked(room);
	}
	return false;
}
