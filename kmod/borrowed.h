/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_BORROWED_H
#define _UPCALL_BORROWED_H

#include <linux/types.h>

struct upcall_call;
struct upcall_payload;

bool upcall_borrowed_take(struct upcall_payload *payload, u64 from, u32 len);
void upcall_borrowed_free(struct upcall_payload *payload);
int upcall_borrowed_to_user(struct upcall_call *call, char __user *to);
int upcall_borrowed_leave(struct upcall_call *call, u64 from);

#endif /* _UPCALL_BORROWED_H */
