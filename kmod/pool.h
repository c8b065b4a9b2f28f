/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_POOL_H
#define _UPCALL_POOL_H

#include <linux/minmax.h>
#include <linux/rbtree.h>
#include <linux/types.h>

struct upcall_account;

/* Half of what others leave of @max, rounded up: the last place can be had. */
static inline u64 upcall_half_of_left(u64 max, u64 all, u64 mine)
{
	u64 others = all - min(all, mine);

	return max > others ? (max - others + 1) / 2 : 0;
}

/* Whether @mine, which is part of @all, is below that: the same without its divisions. */
static inline bool upcall_below_half_of_left(u64 max, u64 all, u64 mine)
{
	return all + mine < max;
}

/**
 * struct upcall_share - What one account has in a queue that many share
 * @node: In the tree of that queue, by the account's id. Protected by the lock of the queue.
 * @account: Referenced.
 * @parent: The share of the account above it, in the same queue; while @calls is not 0.
 * @calls: That are QUEUED or TAKEN.
 * @waiting: Calls that wait for room, and will be counted here. They keep it.
 * @bytes: Of the arguments of @calls.
 */
struct upcall_share {
	struct rb_node node;
	struct upcall_account *account;
	struct upcall_share *parent;
	u32 calls;
	u32 waiting;
	u64 bytes;
};

/**
 * struct upcall_pool - A queue's room, and who has how much of it
 * @shares: struct upcall_share. Protected by the lock of the queue, as all of this is.
 * @calls: That are QUEUED or TAKEN.
 * @max_calls: Room for so many.
 * @bytes: Of their arguments.
 * @max_bytes: Room for so many.
 */
struct upcall_pool {
	struct rb_root shares;
	u32 calls;
	u32 max_calls;
	u64 bytes;
	u64 max_bytes;
};

struct upcall_share *upcall_pool_take(struct upcall_pool *pool, struct upcall_account *account,
				      u32 bytes);
struct upcall_share *upcall_pool_force(struct upcall_pool *pool, struct upcall_account *account,
				       u32 bytes);
int upcall_pool_swap(struct upcall_pool *pool, struct upcall_share *share, u32 old, u32 new);
void upcall_pool_resize(struct upcall_pool *pool, struct upcall_share *share, u32 old, u32 new);
void upcall_pool_drop(struct upcall_pool *pool, struct upcall_share *share, u32 bytes);
bool upcall_pool_has_room(const struct upcall_pool *pool, const struct upcall_account *account,
			  u32 bytes);
int upcall_pool_hold(struct upcall_pool *pool, struct upcall_account *account);
void upcall_pool_unhold(struct upcall_pool *pool, struct upcall_account *account);
void upcall_pool_exit(struct upcall_pool *pool);

#endif /* _UPCALL_POOL_H */
