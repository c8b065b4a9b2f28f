/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_ASYNC_H
#define _UPCALL_ASYNC_H

#include <linux/llist.h>
#include <linux/types.h>
#include <linux/upcall.h>
#include "peer.h"

struct upcall_call;
struct upcall_peer;

void upcall_async_answered(struct upcall_call *call);
void upcall_async_land_some_locked(struct upcall_peer *peer);

/* Moves RESULTs to where they can be received. Under @peer->lock; it is alive. */
static inline void upcall_async_land_locked(struct upcall_peer *peer)
{
	if (!llist_empty(&peer->answers))
		upcall_async_land_some_locked(peer);
}

void upcall_async_done(struct upcall_call *call);
bool upcall_async_return_locked(struct upcall_call *call);

int upcall_async_cancel(struct upcall_peer *peer, u64 id);
struct upcall_call *upcall_async_wait(struct upcall_peer *peer, u64 id, bool nests);
void upcall_async_unwait(struct upcall_peer *peer, struct upcall_call *call);

void upcall_async_init(struct upcall_peer *peer);
void upcall_async_stop(struct upcall_peer *peer);

void upcall_deadline_init(struct upcall_peer *peer);
void upcall_deadline_stop(struct upcall_peer *peer);
void upcall_deadline_add_locked(struct upcall_peer *peer, struct upcall_call *call);
void upcall_deadline_remove_locked(struct upcall_peer *peer, struct upcall_call *call);

#endif /* _UPCALL_ASYNC_H */
