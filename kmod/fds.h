/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_FDS_H
#define _UPCALL_FDS_H

#include <linux/llist.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include "main.h"

struct file;
struct upcall_account;

/**
 * struct upcall_fd - A file on its way
 * @file: Referenced.
 * @number: Of the descriptor in the receiving process, while the delivery may still fail; else -1.
 */
struct upcall_fd {
	struct file *file;
	int number;
};

/**
 * struct upcall_closer - Closes what one uid sent in vain; part of its account
 * @fds: struct upcall_fds. Lockless.
 * @work: Closes them. While it is queued or runs it has a reference to the account.
 *
 * To close a file may take as long as a process likes whose file system it is in. So each uid waits
 * for its own files only, and none of them is in the way of the kernel's.
 */
struct upcall_closer {
	struct llist_head fds;
	struct work_struct work;
};

/**
 * struct upcall_fds - The files that ride with one call or reply
 * @payer: Who is charged for them, referenced; NULL: nobody yet. Those of a call: protected by
 *	the lock of its owner's peer from QUEUED on.
 * @sender: Who sent them, in the first user namespace, referenced: with that one's others they are
 *	closed, one after the other.
 * @closing: In @sender's closer.
 * @count: How many, 1 to UPCALL_MAX_FDS. Constant.
 * @fd: Whoever delivers them writes @number, alone: the receiver of a TAKEN call, or the
 *	thread that collects an answer.
 *
 * A call without descriptors has none of these, but NULL, which all functions below take.
 */
struct upcall_fds {
	struct upcall_account *payer;
	struct upcall_account *sender;
	struct llist_node closing;
	u32 count;
	struct upcall_fd fd[];
};

static inline u32 upcall_fds_count(const struct upcall_fds *fds)
{
	return fds ? fds->count : 0;
}

/* Bytes that their numbers take in an event, with padding. */
static inline u32 upcall_fds_size(const struct upcall_fds *fds)
{
	return ALIGN(upcall_fds_count(fds) * sizeof(u32), 8);
}

int upcall_fds_init(void);
void upcall_fds_exit(void);
void upcall_closer_init(struct upcall_closer *closer);
struct upcall_fds *upcall_fds_take(u64 from, u32 count, struct upcall_account *sender,
				   struct upcall_account *payer, unsigned long limit);
void upcall_fds_move(struct upcall_fds *fds, struct upcall_account *payer);
void upcall_fds_free(struct upcall_fds *fds);
void upcall_fds_drop(struct upcall_fds **fds);

int upcall_fds_clear(const struct upcall_fds *fds, void __user *to);
int upcall_fds_deliver(struct upcall_fds *fds, void __user *to);
void upcall_fds_undeliver(struct upcall_fds *fds);

#endif /* _UPCALL_FDS_H */
