/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_QUOTA_H
#define _UPCALL_QUOTA_H

#include <linux/types.h>
#include "account.h"

bool upcall_account_swamped(const struct upcall_account *account);

int upcall_charge(struct upcall_account *account, enum upcall_resource what, unsigned long n);
int upcall_charge_within(struct upcall_account *account, enum upcall_resource what,
			 unsigned long n, unsigned long limit);
int upcall_charge_callback(struct upcall_account *account);
void upcall_uncharge_callback(struct upcall_account *account);
int upcall_charge_call(struct upcall_account *account, unsigned long bytes);
void upcall_uncharge_call(struct upcall_account *account, unsigned long bytes);
void upcall_charge_force(struct upcall_account *account, enum upcall_resource what,
			 unsigned long n);
void upcall_uncharge(struct upcall_account *account, enum upcall_resource what, unsigned long n);

#endif /* _UPCALL_QUOTA_H */
