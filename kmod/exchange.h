/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_EXCHANGE_H
#define _UPCALL_EXCHANGE_H

#include <linux/types.h>
#include <linux/upcall.h>

struct upcall_call;
struct upcall_peer;

int upcall_exchange_check(const struct upcall_exchange *args);
int upcall_exchange(struct upcall_peer *peer, struct upcall_exchange *args,
		    struct upcall_exchange __user *user, u32 usize);
int upcall_receive(struct upcall_peer *peer, struct upcall_exchange *args,
		   struct upcall_call *wait, struct upcall_exchange __user *user, u32 usize);
int upcall_receive_write(const struct upcall_exchange *args, struct upcall_exchange __user *user,
			 u32 usize);

#endif /* _UPCALL_EXCHANGE_H */
