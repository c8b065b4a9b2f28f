/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_IDS_H
#define _UPCALL_IDS_H

#include <linux/idr.h>
#include <linux/types.h>

struct upcall_call;

/* Places that stand in a table itself: slots 1 and up. */
#define UPCALL_NEAR_PLACES	64

/**
 * struct upcall_ids_table - Calls of one peer by id: table slot and sequence
 * @near: The calls in the first slots, which most peers never go beyond: an idr takes some 500
 *	instructions to add a call and remove it.
 * @near_free: A bit for each of those that is free.
 * @idr: Slot -> call, behind them.
 * @seq: Of the newest id, so that a slot that is used again makes another one.
 *
 * Protected by the lock of the peer.
 */
struct upcall_ids_table {
	struct upcall_call *near[UPCALL_NEAR_PLACES];
	u64 near_free;
	struct idr idr;
	u32 seq;
};

void upcall_ids_init(struct upcall_ids_table *table);
void upcall_ids_exit(struct upcall_ids_table *table);
int upcall_ids_add_locked(struct upcall_ids_table *table, struct upcall_call *call, u64 *id);
void upcall_ids_renew_locked(struct upcall_ids_table *table, u64 *id);
void upcall_ids_remove_locked(struct upcall_ids_table *table, u64 id);
struct upcall_call *upcall_ids_find_locked(struct upcall_ids_table *table, u64 id);
struct upcall_call *upcall_ids_next_locked(struct upcall_ids_table *table, int *slot);

#endif /* _UPCALL_IDS_H */
