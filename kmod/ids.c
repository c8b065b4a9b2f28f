// SPDX-License-Identifier: GPL-2.0-only
/* The numbers by which the two sides of a call know it. */
#include <linux/bitops.h>
#include <linux/idr.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "hook.h"
#include "ids.h"
#include "main.h"

/**
 * upcall_ids_init() - An empty table
 * @table: Uninitialised.
 */
void upcall_ids_init(struct upcall_ids_table *table)
{
	memset(table->near, 0, sizeof(table->near));
	table->near_free = ~0ULL;
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

/* Whether a slot is one of those in the table itself: @near[slot - 1]. */
static bool slot_is_near(u32 slot)
{
	return slot && slot <= UPCALL_NEAR_PLACES;
}

/* A free slot, which is @call's then, or -ENOMEM. */
static int slot_take(struct upcall_ids_table *table, struct upcall_call *call)
{
	unsigned int place;
	int slot;

	BUILD_BUG_ON(BITS_PER_TYPE(table->near_free) != UPCALL_NEAR_PLACES);
	if (table->near_free) {
		place = __ffs64(table->near_free);
		table->near_free &= ~BIT_ULL(place);
		table->near[place] = call;
		return place + 1;
	}
	slot = idr_alloc(&table->idr, call, UPCALL_NEAR_PLACES + 1, 0,
			 GFP_NOWAIT | __GFP_ACCOUNT);
	return slot < 0 ? -ENOMEM : slot;
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
	int slot = slot_take(table, call);

	if (slot < 0)
		return slot;
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
	u32 slot = id;

	if (slot_is_near(slot)) {
		table->near[slot - 1] = NULL;
		table->near_free |= BIT_ULL(slot - 1);
	} else if (slot) {
		idr_remove(&table->idr, slot);
	}
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
	u32 slot = id;

	/* It is any process's word, also for a processor that runs ahead. */
	if (slot_is_near(slot))
		return table->near[array_index_nospec(slot - 1, UPCALL_NEAR_PLACES)];
	return slot <= INT_MAX ? idr_find(&table->idr, slot) : NULL;
}

/**
 * upcall_ids_next_locked() - The first call at or behind a slot
 * @table: Of a peer whose lock is held.
 * @slot: Where to begin; set to the call's.
 *
 * Context: Under the peer's lock.
 * Return: It, or NULL at the end.
 */
struct upcall_call *upcall_ids_next_locked(struct upcall_ids_table *table, int *slot)
{
	struct upcall_call *call;
	int place;

	for (place = max(*slot - 1, 0); place < UPCALL_NEAR_PLACES; place++) {
		call = table->near[array_index_nospec(place, UPCALL_NEAR_PLACES)];
		if (call) {
			*slot = place + 1;
			return call;
		}
	}
	return idr_get_next(&table->idr, slot);
}
