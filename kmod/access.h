/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_ACCESS_H
#define _UPCALL_ACCESS_H

#include <linux/types.h>
#include <linux/upcall.h>

struct upcall_callback;
struct upcall_ident;

bool upcall_access_is_valid(const struct upcall_register *args);
void upcall_access_set(struct upcall_callback *cb, const struct upcall_register *args);
u32 upcall_access_id(const struct upcall_callback *cb);
int upcall_access_check(const struct upcall_callback *cb, const struct upcall_ident *from);

#endif /* _UPCALL_ACCESS_H */
