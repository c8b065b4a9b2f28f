/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_IDS_H
#define _UPCALL_IDS_H

#include <linux/idr.h>
#include <linux/types.h>

struct upcall_call;

/**
 * struct upcall_ids_table - Calls of one peer by id: table slot and sequence
 * @idr: Slot -> call.
 * @seq: Of the newest id, so that a slot that is used again makes another one.
 */
struct upcall_ids_table {
	struct idr idr;
	u32 seq;
};

void upcall_ids_init(struct upcall_ids_table *table);
void upcall_ids_exit(struct upcall_ids_table *table);
int upcall_ids_add_locked(struct upcall_ids_table *table, struct upcall_call *call, u64 *id);
void upcall_ids_renew_locked(struct upcall_ids_table *table, u64 *id);
void upcall_ids_remove_locked(struct upcall_ids_table *table, u64 id);
struct upcall_call *upcall_ids_find_locked(struct upcall_ids_table *table, u64 id);

#endif /* _UPCALL_IDS_H */
