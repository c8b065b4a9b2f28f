/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_QUOTA_H
#define _UPCALL_QUOTA_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include "main.h"

struct cred;
struct user_namespace;

/* What is counted against a uid. */
enum upcall_resource {
	UPCALL_CALLBACKS,	/* from REGISTER until RELEASED was read */
	UPCALL_CALLS,		/* from submit until both ends have come */
	UPCALL_BYTES,		/* argument and reply room of those calls */
	UPCALL_RESOURCES
};

/**
 * struct upcall_account - What one uid of one user namespace has in use
 * @link: In the table of all accounts. Protected by accounts_lock.
 * @id: For LIST: increasing, never reused.
 * @refs: References; the last one removes it from the table.
 * @uid: Whose.
 * @ns: In this user namespace, which is referenced.
 * @parent: The account of @ns's owner in the namespace above, referenced; NULL at
 *	the top. Whatever is charged here is charged there too, so that a uid gains
 *	nothing by making user namespaces.
 * @used: By enum upcall_resource. Calls and callbacks, or bytes.
 */
struct upcall_account {
	struct hlist_node link;
	u64 id;
	refcount_t refs;
	kuid_t uid;
	struct user_namespace *ns;
	struct upcall_account *parent;
	atomic_long_t used[UPCALL_RESOURCES];
};

struct upcall_account *upcall_account_get(const struct cred *cred);
struct upcall_account *upcall_account_ref(struct upcall_account *account);
struct upcall_account *upcall_account_next(u64 *cursor);
void upcall_account_put(struct upcall_account *account);

int upcall_charge(struct upcall_account *account, enum upcall_resource what, unsigned long n);
void upcall_charge_force(struct upcall_account *account, enum upcall_resource what,
			 unsigned long n);
void upcall_uncharge(struct upcall_account *account, enum upcall_resource what, unsigned long n);

/**
 * struct upcall_share - What one account has in a queue that many share
 * @link: In the list of that queue. Protected by the lock of the queue.
 * @account: Referenced.
 * @parent: The share of the account above it, in the same queue; while @calls is not 0.
 * @calls: That wait in the queue.
 * @bytes: Of their arguments.
 */
struct upcall_share {
	struct hlist_node link;
	struct upcall_account *account;
	struct upcall_share *parent;
	u32 calls;
	u64 bytes;
};

/**
 * struct upcall_pool - A queue's room, and who has how much of it
 * @shares: struct upcall_share. The list is protected by the lock of the queue, as
 *	all of this is.
 * @calls: That are QUEUED or TAKEN.
 * @max_calls: Room for so many.
 * @bytes: Of their arguments.
 * @max_bytes: Room for so many.
 */
struct upcall_pool {
	struct hlist_head shares;
	u32 calls;
	u32 max_calls;
	u64 bytes;
	u64 max_bytes;
};

struct upcall_share *upcall_pool_take(struct upcall_pool *pool, struct upcall_account *account,
				      u32 bytes);
void upcall_pool_drop(struct upcall_pool *pool, struct upcall_share *share, u32 bytes);
void upcall_pool_exit(struct upcall_pool *pool);

#endif /* _UPCALL_QUOTA_H */
