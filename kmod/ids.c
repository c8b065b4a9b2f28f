// SPDX-License-Identifier: GPL-2.0-only
/* The numbers by which the two sides of a call know it. */
#include <linux/idr.h>
#include "hook.h"
#include "ids.h"
#include "main.h"

/**
 * upcall_ids_init() - An empty table
 * @table: Uninitialised.
 */
void upcall_ids_init(struct upcall_ids_table *table)
{
	idr_init(&table->idr);
	table->seq = 0;
}

/**
 * upcall_ids_exit() - Free a table
 * @table: No call is in it.
 */
void upcall_ids_exit(struct upcall_ids_table *table)
{
	idr_destroy(&table->idr);
}

/**
 * upcall_ids_add_locked() - Give a call an id
 * @table: Of a peer whose lock is held.
 * @call: Not in it yet.
 * @id: Set: never 0, and not that of another call in the table.
 *
 * Context: Under the peer's lock, between idr_preload() and idr_preload_end().
 * Return: 0 or -ENOMEM.
 */
int upcall_ids_add_locked(struct upcall_ids_table *table, struct upcall_call *call, u64 *id)
{
	int slot = idr_alloc(&table->idr, call, 1, 0, GFP_NOWAIT | __GFP_ACCOUNT);

	if (slot < 0)
		return -ENOMEM;
	table->seq = UPCALL_HOOK_SEQUENCE(table->seq + 1);
	*id = (u64)table->seq << 32 | slot;
	return 0;
}

/**
 * upcall_ids_renew_locked() - A call that kept its place gets another id
 * @table: Where it has that place.
 * @id: In: of earlier. Out: a new one, in the same place.
 *
 * Context: Under the table's lock.
 */
void upcall_ids_renew_locked(struct upcall_ids_table *table, u64 *id)
{
	table->seq = UPCALL_HOOK_SEQUENCE(table->seq + 1);
	*id = (u64)table->seq << 32 | (u32)*id;
}

/**
 * upcall_ids_remove_locked() - Take an id back
 * @table: Of a peer whose lock is held.
 * @id: As given, or 0: none was.
 *
 * Context: Under the peer's lock.
 */
void upcall_ids_remove_locked(struct upcall_ids_table *table, u64 id)
{
	if (id)
		idr_remove(&table->idr, (u32)id);
}

/**
 * upcall_ids_find_locked() - The call in an id's table slot
 * @table: Of a peer whose lock is held.
 * @id: As given by a process; any value is safe.
 *
 * Context: Under the peer's lock.
 * Return: A call whose own id is to be compared, or NULL.
 */
struct upcall_call *upcall_ids_find_locked(struct upcall_ids_table *table, u64 id)
{
	return (u32)id <= INT_MAX ? idr_find(&table->idr, (u32)id) : NULL;
}
