/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_ACCOUNT_H
#define _UPCALL_ACCOUNT_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include "fds.h"

struct cred;
struct user_namespace;

/* What is counted against a uid. */
enum upcall_resource {
	UPCALL_CALLBACKS,	/* from REGISTER until RELEASED was read */
	UPCALL_CALLS,		/* from submit until both ends have come */
	UPCALL_BYTES,		/* argument and reply room of those calls */
	UPCALL_FDS,		/* descriptors on their way, with those calls and their replies */
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
 * @used: By enum upcall_resource. Bytes, or how many.
 * @closer: Closes files that it sent; in the first user namespace.
 */
struct upcall_account {
	struct hlist_node link;
	u64 id;
	refcount_t refs;
	kuid_t uid;
	struct user_namespace *ns;
	struct upcall_account *parent;
	atomic_long_t used[UPCALL_RESOURCES];
	struct upcall_closer closer;
};

struct upcall_account *upcall_account_get(const struct cred *cred);
struct upcall_account *upcall_account_ref(struct upcall_account *account);
struct upcall_account *upcall_account_next(u64 *cursor);
void upcall_account_put(struct upcall_account *account);

#endif /* _UPCALL_ACCOUNT_H */
