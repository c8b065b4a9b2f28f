/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_STUB_H
#define _UPCALL_STUB_H

#include <linux/types.h>
#include <linux/wait.h>
#include "event.h"

struct upcall_callback;
struct upcall_peer;

/**
 * struct upcall_stubs - The stub fds of one callback, all together; made by its first EXPORT
 * @cb: Their callback, which this is a part of.
 * @count: How many are open. Protected by the lock of @cb's peer, as all below but @wait.
 * @again: The last one was closed while the event of an earlier time was being copied out.
 * @unreferenced: The UNREFERENCED event.
 * @wait: Who polls for the callback's end. Each stub has a reference to @cb, so it lives as
 *	long as any of their files.
 */
struct upcall_stubs {
	struct upcall_callback *cb;
	u32 count;
	bool again;
	struct upcall_event_node unreferenced;
	wait_queue_head_t wait;
};

/* stub_ioctl.c */
long upcall_stub_ioctl(struct upcall_peer *peer, struct upcall_callback *cb, unsigned int cmd,
		       unsigned long arg);

/* stub.c */
int upcall_stub_export(struct upcall_peer *peer, u64 handle, u32 __user *number);
struct upcall_callback *upcall_stub_callback_get(u64 number);
void upcall_stub_closing_locked(struct upcall_callback *cb);
void upcall_stub_wake(struct upcall_callback *cb);
u32 upcall_stub_count_locked(const struct upcall_callback *cb);
bool upcall_stub_returned_locked(struct upcall_callback *cb);
void upcall_stub_told(struct upcall_callback *cb);

#endif /* _UPCALL_STUB_H */
