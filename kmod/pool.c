// SPDX-License-Identifier: GPL-2.0-only
/*
 * Room in a queue that several uids share: one gets at most half of what the others
 * left, so that whoever floods it always leaves room for the next one.
 */
#include <linux/err.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include "main.h"
#include "pool.h"
#include "quota.h"

static int share_compare(u64 id, const struct rb_node *node)
{
	u64 other = rb_entry(node, struct upcall_share, node)->account->id;

	return id < other ? -1 : id > other;
}

static int share_find_compare(const void *account, const struct rb_node *node)
{
	return share_compare(((const struct upcall_account *)account)->id, node);
}

static int share_add_compare(struct rb_node *new, const struct rb_node *node)
{
	return share_compare(rb_entry(new, struct upcall_share, node)->account->id, node);
}

static void share_free(struct upcall_pool *pool, struct upcall_share *share)
{
	rb_erase(&share->node, &pool->shares);
	upcall_account_put(share->account);
	kfree(share);
}

/* An idle share is kept if it is the only one: most queues have one caller at a time. */
static void share_tidy(struct upcall_pool *pool, struct upcall_share *share)
{
	if (!share->calls && !share->waiting && rb_first(&pool->shares) != rb_last(&pool->shares))
		share_free(pool, share);
}

static void share_drop(struct upcall_pool *pool, struct upcall_share *share, u32 bytes)
{
	share->calls--;
	share->bytes -= bytes;
	share_tidy(pool, share);
}

/* From @share up to and with @last, or to the top if that is NULL. */
static void share_drop_chain(struct upcall_pool *pool, struct upcall_share *share,
			     const struct upcall_share *last, u32 bytes)
{
	while (share) {
		struct upcall_share *parent = share == last ? NULL : share->parent;

		share_drop(pool, share, bytes);
		share = parent;
	}
}

static struct upcall_share *share_find(const struct upcall_pool *pool,
				       const struct upcall_account *account)
{
	struct rb_node *node = rb_find(account, &pool->shares, share_find_compare);

	return node ? rb_entry(node, struct upcall_share, node) : NULL;
}

static struct upcall_share *share_get(struct upcall_pool *pool, struct upcall_account *account)
{
	struct upcall_share *share = share_find(pool, account);

	if (share)
		return share;
	share = kzalloc(sizeof(*share), GFP_ATOMIC | __GFP_ACCOUNT | __GFP_NOWARN);
	if (!share)
		return NULL;
	share->account = upcall_account_ref(account);
	rb_find_add(&share->node, &pool->shares, share_add_compare);
	return share;
}

static bool share_has_room(const struct upcall_pool *pool, const struct upcall_share *share,
			   u32 bytes)
{
	if (!upcall_below_half_of_left(pool->max_calls, pool->calls, share->calls))
		return false;
	return !bytes || upcall_below_half_of_left(pool->max_bytes, pool->bytes, share->bytes);
}

static struct upcall_share *share_take(struct upcall_pool *pool, struct upcall_account *account,
				       u32 bytes, bool force)
{
	struct upcall_share *share = share_get(pool, account);

	if (!share)
		return ERR_PTR(-ENOMEM);
	if (!force && !share_has_room(pool, share, bytes)) {
		if (!share->calls && !share->waiting)
			share_free(pool, share);
		return ERR_PTR(-EAGAIN);
	}
	if (!share->calls)
		share->parent = NULL;	/* what an idle one had there may be gone */
	share->calls++;
	share->bytes += bytes;
	return share;
}

/* It may be over its bounds: see upcall_pool_force(). */
static bool pool_has_bytes(const struct upcall_pool *pool, u32 bytes)
{
	return pool->bytes <= pool->max_bytes && bytes <= pool->max_bytes - pool->bytes;
}

static struct upcall_share *pool_take(struct upcall_pool *pool, struct upcall_account *account,
				      u32 bytes, bool force)
{
	struct upcall_share *first = NULL, *below = NULL, *share;

	for (; account; account = account->parent) {
		share = share_take(pool, account, bytes, force);
		if (IS_ERR(share)) {
			/* Not beyond: a share in use has a parent that we did not take. */
			share_drop_chain(pool, first, below, bytes);
			return share;
		}
		if (below)
			below->parent = share;
		else
			first = share;
		below = share;
	}
	pool->calls++;
	pool->bytes += bytes;
	return first;
}

/**
 * upcall_pool_take() - Take room for one call in a queue
 * @pool: Of that queue.
 * @account: Of the caller. Its share, and those of the accounts above it, are counted.
 * @bytes: Of the argument.
 *
 * Context: Under the lock of the queue.
 * Return:
 * * the share		- drop it with upcall_pool_drop()
 * * ERR_PTR(-EAGAIN)	- full, or this uid has its half of what the others leave
 * * ERR_PTR(-ENOMEM)	- no memory to count a new uid
 */
struct upcall_share *upcall_pool_take(struct upcall_pool *pool, struct upcall_account *account,
				      u32 bytes)
{
	if (pool->calls >= pool->max_calls || !pool_has_bytes(pool, bytes))
		return ERR_PTR(-EAGAIN);
	return pool_take(pool, account, bytes, false);
}

/**
 * upcall_pool_force() - Take room for a call that was in the queue before
 * @pool: Of that queue. It may be over its bounds then, and takes nothing else until it is below.
 * @account: Of the caller.
 * @bytes: Of the argument.
 *
 * Context: Under the lock of the queue.
 * Return: The share, as upcall_pool_take(); ERR_PTR(-ENOMEM).
 */
struct upcall_share *upcall_pool_force(struct upcall_pool *pool, struct upcall_account *account,
				       u32 bytes)
{
	return pool_take(pool, account, bytes, true);
}

/**
 * upcall_pool_resize() - Undo upcall_pool_swap(), under the same hold of the lock
 * @pool: Of that queue.
 * @share: Which has the place.
 * @old: Bytes of the argument that goes.
 * @new: Bytes of the one that comes, or comes back: there is room for it.
 *
 * Context: Under the lock of the queue.
 */
void upcall_pool_resize(struct upcall_pool *pool, struct upcall_share *share, u32 old, u32 new)
{
	for (; share; share = share->parent)
		share->bytes = share->bytes - old + new;
	pool->bytes = pool->bytes - old + new;
}

/**
 * upcall_pool_swap() - Give a place in the queue to another call of the same account
 * @pool: Of that queue.
 * @share: Which has the place.
 * @old: Bytes of the argument that goes.
 * @new: Bytes of the one that comes.
 *
 * Context: Under the lock of the queue.
 * Return: 0, or -EAGAIN: @new is larger, and there is no room for that; nothing has changed.
 */
int upcall_pool_swap(struct upcall_pool *pool, struct upcall_share *share, u32 old, u32 new)
{
	struct upcall_share *at;

	if (new > old) {
		if (!pool_has_bytes(pool, new - old))
			return -EAGAIN;
		for (at = share; at; at = at->parent) {
			if (!upcall_below_half_of_left(pool->max_bytes, pool->bytes, at->bytes))
				return -EAGAIN;
		}
	}
	upcall_pool_resize(pool, share, old, new);
	return 0;
}

/**
 * upcall_pool_drop() - Give the room of one call back
 * @pool: Of the queue.
 * @share: As upcall_pool_take() returned it.
 * @bytes: As it was taken.
 *
 * Context: Under the lock of the queue.
 */
void upcall_pool_drop(struct upcall_pool *pool, struct upcall_share *share, u32 bytes)
{
	share_drop_chain(pool, share, NULL, bytes);
	pool->calls--;
	pool->bytes -= bytes;
}

/**
 * upcall_pool_has_room() - Whether a call could be taken now
 * @pool: Of its queue.
 * @account: Of the caller.
 * @bytes: Of the argument.
 *
 * Looks at the top account only: of all that a call counts in it has the largest share, and
 * the rule is the same for each.
 *
 * Context: Under the lock of the queue.
 * Return: True if so.
 */
bool upcall_pool_has_room(const struct upcall_pool *pool, const struct upcall_account *account,
			  u32 bytes)
{
	static const struct upcall_share none;
	const struct upcall_share *share;

	if (pool->calls >= pool->max_calls || !pool_has_bytes(pool, bytes))
		return false;
	while (account->parent)
		account = account->parent;
	share = share_find(pool, account);
	return share_has_room(pool, share ?: &none, bytes);
}

static void share_unhold_below(struct upcall_pool *pool, struct upcall_account *account,
			       const struct upcall_account *end)
{
	for (; account != end; account = account->parent) {
		struct upcall_share *share = share_find(pool, account);

		share->waiting--;
		share_tidy(pool, share);
	}
}

/**
 * upcall_pool_hold() - A call waits for room, and is to need no memory when there is some
 * @pool: Of the queue.
 * @account: Of the caller.
 *
 * Context: Under the lock of the queue.
 * Return: 0, and upcall_pool_take() does not fail with -ENOMEM for it until
 *	upcall_pool_unhold(); or -ENOMEM.
 */
int upcall_pool_hold(struct upcall_pool *pool, struct upcall_account *account)
{
	struct upcall_account *a;

	for (a = account; a; a = a->parent) {
		struct upcall_share *share = share_get(pool, a);

		if (!share) {
			share_unhold_below(pool, account, a);
			return -ENOMEM;
		}
		share->waiting++;
	}
	return 0;
}

/**
 * upcall_pool_unhold() - Undo upcall_pool_hold()
 * @pool: The same.
 * @account: The same.
 *
 * Context: Under the lock of the queue.
 */
void upcall_pool_unhold(struct upcall_pool *pool, struct upcall_account *account)
{
	share_unhold_below(pool, account, NULL);
}

/**
 * upcall_pool_exit() - Free the last idle share
 * @pool: An empty one that nobody uses any more.
 *
 * Context: Any context but interrupts.
 */
void upcall_pool_exit(struct upcall_pool *pool)
{
	struct rb_node *node;

	WARN_ON_ONCE(pool->calls);
	while ((node = rb_first(&pool->shares)))
		share_free(pool, rb_entry(node, struct upcall_share, node));
}
