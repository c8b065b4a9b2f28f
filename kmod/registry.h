/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_REGISTRY_H
#define _UPCALL_REGISTRY_H

#include <linux/types.h>
#include "limits.h"
#include "owner.h"

/* No slot. Slots are used from 0 to the one before it. */
#define UPCALL_SLOT_NONE	((1U << UPCALL_SLOT_BITS) - 1)

static inline u32 upcall_handle_slot(u64 handle)
{
	return handle & ((1U << UPCALL_SLOT_BITS) - 1);
}

struct upcall_callback;

int upcall_registry_init(void);
void upcall_registry_exit(void);

int upcall_registry_reserve(u64 *handle);
void upcall_registry_unreserve(u64 handle);
void upcall_registry_publish(struct upcall_callback *cb, u64 handle);
void upcall_registry_remove(struct upcall_callback *cb);
struct upcall_callback *upcall_registry_get(u64 handle);
struct upcall_callback *upcall_registry_at(u32 slot);
u32 upcall_registry_end(void);
int upcall_registry_grave(u64 handle, struct upcall_death *death);

#endif /* _UPCALL_REGISTRY_H */
