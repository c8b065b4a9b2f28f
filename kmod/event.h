/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_EVENT_H
#define _UPCALL_EVENT_H

#include <linux/list.h>
#include <linux/types.h>
#include "owner.h"

struct upcall_call;
struct upcall_callback;
struct upcall_fds;
struct upcall_ident;
struct pid;

/**
 * struct upcall_event_node - An event that waits in a peer; part of what it is about
 * @link: In the peer's @queue (CALL), @results or @events, or in a receiver's batch.
 *	Empty otherwise. Protected by the peer's lock; in a batch the receiver's alone.
 * @cookie: As of when the receiver took the event: the callback's; RESULT: its user_data.
 *	Of RELEASED it is the callback's own.
 * @size: Bytes that it takes in the receiver's buffer, once one has looked at it.
 * @type: UPCALL_EVENT_*. Constant.
 * @fds: Descriptors that ride with it, as @size.
 * @taken: It is in a receiver's batch. Protected by the peer's lock.
 * @owed: Its commit ended one side of its call, whose reference the receiver is to drop as
 *	well. The receiver's alone.
 *
 * It is embedded, so no event needs memory when it happens.
 */
struct upcall_event_node {
	struct list_head link;
	u64 cookie;
	u32 size;
	u8 type;
	u8 fds;
	bool taken;
	bool owed;
};

static inline void upcall_event_node_init(struct upcall_event_node *node, u32 type)
{
	INIT_LIST_HEAD(&node->link);
	node->type = type;
}

/* Under the peer's lock, as those below. */
static inline void upcall_event_node_queue(struct upcall_event_node *node, struct list_head *queue)
{
	node->taken = false;
	list_add_tail(&node->link, queue);
}

/* True if it waits in the peer: not in a batch, and not nowhere. */
static inline bool upcall_event_node_waits(const struct upcall_event_node *node)
{
	return !node->taken && !list_empty(&node->link);
}

/* Unlinks it if it waits; from a batch only its receiver unlinks. */
static inline bool upcall_event_node_drop(struct upcall_event_node *node)
{
	if (!upcall_event_node_waits(node))
		return false;
	list_del_init(&node->link);
	return true;
}

/**
 * struct upcall_view - A caller as its receiver sees it
 * @from: Who; kept by a call in the batch. NULL: nobody yet.
 * @ids: Its ids.
 * @tid: Its thread, likewise.
 * @tid_shown: Its number.
 */
struct upcall_view {
	const struct upcall_ident *from;
	struct upcall_ids ids;
	struct pid *tid;
	u32 tid_shown;
};

struct upcall_callback *upcall_node_callback(struct upcall_event_node *node);
u32 upcall_node_size(struct upcall_event_node *node);
struct upcall_fds *upcall_node_fds(struct upcall_event_node *node);
int upcall_node_copy(struct upcall_event_node *node, char __user *to, struct upcall_view *view);
int upcall_node_deliver_fds(struct upcall_event_node *node, char __user *to);

#endif /* _UPCALL_EVENT_H */
