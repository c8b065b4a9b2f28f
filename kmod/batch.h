/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_BATCH_H
#define _UPCALL_BATCH_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/upcall.h>

struct upcall_call;
struct upcall_event_node;
struct upcall_peer;

/**
 * struct upcall_batch - What one receiver takes at a time
 * @wait: Of the peer's own calls the one whose thread takes them: RESULT, and what its chain
 *	leads here. NULL: a thread that takes whatever there is, but such RESULTs.
 * @events: struct upcall_event_node, in the order in which they are written.
 * @count: How many.
 * @calls: How many of them are CALLs.
 * @fds: How many descriptors ride with them.
 * @used: Bytes that they take.
 * @needed: Bytes that the first event wants, if not even that fits.
 * @swamped: There are calls, but their owner has to end others first.
 */
struct upcall_batch {
	struct upcall_call *wait;
	struct list_head events;
	u32 count;
	u32 calls;
	u32 fds;
	u32 used;
	u32 needed;
	bool swamped;
};

void upcall_batch_take_locked(struct upcall_batch *batch, struct upcall_peer *peer,
			      const struct upcall_exchange *args);
bool upcall_batch_chain_ready_locked(struct upcall_peer *peer, const struct upcall_call *wait,
				     bool calls);
void upcall_batch_omit(struct upcall_batch *batch, struct upcall_peer *peer,
		       struct upcall_event_node *node);
void upcall_batch_return(struct upcall_batch *batch, struct upcall_peer *peer);
void upcall_batch_commit(struct upcall_batch *batch, struct upcall_peer *peer);

#endif /* _UPCALL_BATCH_H */
