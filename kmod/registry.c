// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handle <-> callback.
 *
 * A handle is a slot and that slot's generation. Slots stand in pages, which are made as they are
 * needed and stay, so a lookup is two loads. No idr: with one REGISTER and RELEASE took 5,262
 * instructions and not 3,834, and a stale handle 101 more; and 64 slots take 512 bytes here, not
 * the 576 of a node and those above it. What stands in a slot is
 *
 *	NULL		it was never used, as all behind it
 *	a callback	live or retired
 *	a value		nothing: the generation that is issued next, or is just being written to
 *			its owner; and, for those in the free list, the next free slot
 *
 * A generation is issued once, and a slot that has none left is never freed: so no
 * handle is ever issued twice. Free slots are used in the order in which they were
 * freed, and only once there are many, or no new ones: so a dead handle's record, in a
 * table of fixed length by slot, stands as long as that length permits.
 */
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>
#include "callback.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "registry.h"

#define SLOT_MASK	((1U << UPCALL_SLOT_BITS) - 1)

#define PAGE_SLOT_BITS	(PAGE_SHIFT - 3)
#define PAGE_SLOTS	(1U << PAGE_SLOT_BITS)

/* A generation and a slot share one value, told from a pointer by its lowest bit. */
static_assert(BITS_PER_LONG == 64, "upcall needs a 64-bit kernel");

/**
 * struct upcall_grave - Why a callback ended
 * @handle: Of the callback; 0: none yet.
 * @death: Reason, time and word.
 */
struct upcall_grave {
	u64 handle;
	struct upcall_death death;
};

/* Protects all of the below; lookups go without it, by RCU. */
static DEFINE_SPINLOCK(registry_lock);
static void **pages[1U << (UPCALL_SLOT_BITS - PAGE_SLOT_BITS)];
static struct upcall_grave *graves;
static u32 used;	/* slots: those behind it are new */
static u32 free_head = UPCALL_SLOT_NONE;
static u32 free_tail = UPCALL_SLOT_NONE;
static u32 free_count;
static u64 salt[2];

#ifdef UPCALL_TEST
static unsigned int upcall_first_generation;
module_param_named(first_generation, upcall_first_generation, uint, 0644);
MODULE_PARM_DESC(first_generation, "Test build: generation of every new slot; 0: salted");

static bool upcall_reuse;
module_param_named(reuse, upcall_reuse, bool, 0644);
MODULE_PARM_DESC(reuse, "Test build: a slot that was freed is used next");
#endif

static bool registry_reuses(void)
{
#ifdef UPCALL_TEST
	return READ_ONCE(upcall_reuse);
#else
	return false;
#endif
}

static u32 handle_generation(u64 handle)
{
	return handle >> UPCALL_SLOT_BITS;
}

static u64 handle_make(u32 slot, u32 generation)
{
	BUILD_BUG_ON(UPCALL_SLOT_BITS + UPCALL_GENERATION_BITS > 53);
	return (u64)generation << UPCALL_SLOT_BITS | slot;
}

/* What a slot without a callback holds: fits the 63 bits of an xarray value. */
static void *vacant_make(u32 generation, u32 next)
{
	return xa_mk_value((unsigned long)generation << UPCALL_SLOT_BITS | next);
}

static u32 vacant_generation(void *entry)
{
	return xa_to_value(entry) >> UPCALL_SLOT_BITS;
}

static u32 vacant_next(void *entry)
{
	return xa_to_value(entry) & SLOT_MASK;
}

/* A slot of a page that is there. */
static void **slot_at(u32 slot)
{
	return pages[slot >> PAGE_SLOT_BITS] + slot % PAGE_SLOTS;
}

/* Of any slot; NULL if it has no page. Pages stay. */
static void **slot_place(u32 slot)
{
	void **page = READ_ONCE(pages[slot >> PAGE_SLOT_BITS]);	/* pairs with registry_grow() */

	return page ? page + slot % PAGE_SLOTS : NULL;
}

/* What stands there, if that is a callback: as long as RCU, or registry_lock, says. */
static struct upcall_callback *slot_callback(void **place)
{
	void *entry = place ? READ_ONCE(*place) : NULL;	/* pairs with upcall_registry_publish() */

	return xa_is_value(entry) ? NULL : entry;
}

static void slot_write_locked(u32 slot, void *entry)
{
	lockdep_assert_held(&registry_lock);
	WRITE_ONCE(*slot_at(slot), entry);
}

/*
 * The lower half of all generations: at least 2^30 are left to every slot. Drawn for each
 * load of the module, so that a handle of an earlier one names nothing; a secret it is not.
 */
static u32 slot_first_generation(u32 slot)
{
#ifdef UPCALL_TEST
	if (upcall_first_generation)
		return min(upcall_first_generation, UPCALL_GENERATION_MAX);
#endif
	return 1 + (u32)((slot * salt[0] + salt[1]) >> (65 - UPCALL_GENERATION_BITS));
}

/* Behind the last one; @generation is to be issued next, if there is one left. */
static void slot_free_locked(u32 slot, u32 generation)
{
	bool first = registry_reuses() || free_head == UPCALL_SLOT_NONE;

	slot_write_locked(slot, vacant_make(generation, first ? free_head : UPCALL_SLOT_NONE));
	if (generation > UPCALL_GENERATION_MAX)
		return;		/* used up: retired */
	if (first)
		free_head = slot;
	else
		slot_write_locked(free_tail,
				  vacant_make(vacant_generation(*slot_at(free_tail)), slot));
	if (!first || free_tail == UPCALL_SLOT_NONE)
		free_tail = slot;
	free_count++;
}

/* Takes the slot that has been free for longest. */
static u64 slot_reuse_locked(void)
{
	u32 slot = free_head;
	void *entry = *slot_at(slot);

	lockdep_assert_held(&registry_lock);
	free_head = vacant_next(entry);
	if (free_head == UPCALL_SLOT_NONE)
		free_tail = UPCALL_SLOT_NONE;
	free_count--;
	return handle_make(slot, vacant_generation(entry));
}

/* Takes one that was never used. 0, -ENOSPC, or -ENOMEM: its page is still to be made. */
static int slot_new_locked(u64 *handle)
{
	u32 generation, slot = used;

	if (slot == UPCALL_SLOT_NONE)
		return -ENOSPC;
	if (!pages[slot >> PAGE_SLOT_BITS])
		return -ENOMEM;
	generation = slot_first_generation(slot);
	slot_write_locked(slot, vacant_make(generation, UPCALL_SLOT_NONE));
	WRITE_ONCE(used, slot + 1);
	*handle = handle_make(slot, generation);
	return 0;
}

/* Makes the page of the next new slot; false if there is no memory for it. */
static bool registry_grow(void)
{
	void **page = (void **)get_zeroed_page(GFP_KERNEL_ACCOUNT), ***at;

	if (!page)
		return false;
	spin_lock(&registry_lock);
	at = &pages[min(used, UPCALL_SLOT_NONE - 1) >> PAGE_SLOT_BITS];
	if (!*at) {
		smp_store_release(at, page);	/* pairs with slot_place() */
		page = NULL;
	}
	spin_unlock(&registry_lock);
	free_page((unsigned long)page);
	return true;
}

/* As upcall_registry_reserve(); -ENOMEM also if a page is to be made. */
static int registry_reserve(u64 *handle, bool reuse)
{
	int err = -ENOSPC;

	spin_lock(&registry_lock);
	/* As long as few are free take a new one, to leave the graves of those alone. */
	if (free_count < UPCALL_GRAVES && !(free_count && registry_reuses()))
		err = slot_new_locked(handle);
	if (free_count && (err == -ENOSPC || (err && reuse))) {
		*handle = slot_reuse_locked();
		err = 0;
	}
	spin_unlock(&registry_lock);
	return err;
}

/**
 * upcall_registry_reserve() - Reserve a slot and make its next handle
 * @handle: Set to a value never issued before.
 *
 * Nothing can be found there until upcall_registry_publish(). Give it back with
 * upcall_registry_unreserve(), or remove what was published.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENOSPC or -ENOMEM.
 */
int upcall_registry_reserve(u64 *handle)
{
	bool grown = true;
	int err;

	while ((err = registry_reserve(handle, !grown)) == -ENOMEM && grown)
		grown = registry_grow();
	return err;
}

/**
 * upcall_registry_unreserve() - Give back a slot that was not published
 * @handle: As reserved. It may have been seen, so it is not issued again.
 *
 * Context: Process context.
 */
void upcall_registry_unreserve(u64 handle)
{
	spin_lock(&registry_lock);
	slot_free_locked(upcall_handle_slot(handle), handle_generation(handle) + 1);
	spin_unlock(&registry_lock);
}

/**
 * upcall_registry_publish() - From here on the callback can be found
 * @cb: Whole, but for its handle. The registry's reference is its first one.
 * @handle: As reserved.
 *
 * A slot that is reserved is nobody else's to write: no lock. A lookup that is late, and found an
 * earlier callback in the same memory and slot, may find this one by its handle: so it gets that
 * only now, when nothing can fail any more.
 *
 * Context: Process context, under the lock of the owner's peer, which also keeps it from being
 *	removed before.
 */
void upcall_registry_publish(struct upcall_callback *cb, u64 handle)
{
	WRITE_ONCE(cb->handle, handle);
	/* Pairs with slot_callback(). */
	smp_store_release(slot_at(upcall_handle_slot(handle)), cb);
}

/**
 * upcall_registry_remove() - From here on the callback cannot be found; its record can
 * @cb: Published, GONE. Its reference stays with the caller.
 *
 * Context: Under the lock of its peer, once for each.
 */
void upcall_registry_remove(struct upcall_callback *cb)
{
	u32 slot = upcall_handle_slot(cb->handle);
	struct upcall_grave *grave = &graves[slot % UPCALL_GRAVES];

	spin_lock(&registry_lock);
	grave->handle = cb->handle;
	upcall_callback_death(cb, &grave->death);
	slot_free_locked(slot, handle_generation(cb->handle) + 1);
	spin_unlock(&registry_lock);
}

/**
 * upcall_registry_get() - Look up a callback and take a reference
 * @handle: As given by a process; any value is safe.
 *
 * What is found may have been retired meanwhile: look at its state under the lock of its peer.
 *
 * Context: Process context. Takes and releases the RCU read lock.
 * Return:
 * * the callback		- drop it with upcall_callback_put()
 * * ERR_PTR(-ESTALE)	- nothing there
 */
struct upcall_callback *upcall_registry_get(u64 handle)
{
	struct upcall_callback *cb;
	void **place;
	bool same;

	/* Nor 0: what is being made, perhaps of what stood in slot 0, has that. */
	if (handle - 1 >= UPCALL_MAX_HANDLE)
		return ERR_PTR(-ESTALE);
	place = slot_place(upcall_handle_slot(handle));
	if (!slot_callback(place))	/* a first look, at the slot: most of the dead end here */
		return ERR_PTR(-ESTALE);
	rcu_read_lock();
	cb = slot_callback(place);
	UPCALL_HOOK_ATOMIC(found);
	if (!cb || READ_ONCE(cb->handle) != handle || !refcount_inc_not_zero(&cb->refs)) {
		rcu_read_unlock();
		return ERR_PTR(-ESTALE);
	}
	smp_mb__after_atomic();	/* pairs with callback_new() */
	same = READ_ONCE(cb->handle) == handle;
	rcu_read_unlock();
	if (likely(same))
		return cb;
	upcall_callback_put(cb);	/* it was kept for another one since we found it */
	return ERR_PTR(-ESTALE);
}

/**
 * upcall_registry_at() - The callback in a slot, borrowed
 * @slot: Any below UPCALL_CAP_CALLBACKS.
 *
 * Context: Under RCU, which keeps its memory, as any spinlock does. One that is not GONE stays what
 *	it is as long as the lock of its peer is held.
 * Return: It, or NULL: there is none.
 */
struct upcall_callback *upcall_registry_at(u32 slot)
{
	return slot_callback(slot_place(slot));
}

/**
 * upcall_registry_end() - How far a walk over all slots has to go
 *
 * Context: Any context.
 * Return: The first slot that was never used, as all behind it.
 */
u32 upcall_registry_end(void)
{
	return READ_ONCE(used);
}

/**
 * upcall_registry_grave() - What is known of a handle that is not live
 * @handle: Any value.
 * @death: Filled in on success.
 *
 * Context: Process context.
 * Return:
 * * 0		- it was issued; the reason is UPCALL_REASON_UNKNOWN if it has been forgotten
 * * -ESTALE	- it was never issued, or is not dead
 */
int upcall_registry_grave(u64 handle, struct upcall_death *death)
{
	u32 slot = upcall_handle_slot(handle), generation = handle_generation(handle);
	const struct upcall_grave *grave = &graves[slot % UPCALL_GRAVES];
	void *entry, **place;
	int err = -ESTALE;

	if (!handle || handle > UPCALL_MAX_HANDLE)
		return err;
	spin_lock(&registry_lock);
	place = slot_place(slot);
	entry = place ? READ_ONCE(*place) : NULL;
	if (grave->handle == handle) {
		*death = grave->death;
		err = 0;
	} else if (entry && generation >= slot_first_generation(slot)) {
		u32 next = xa_is_value(entry) ? vacant_generation(entry) :
			   handle_generation(((struct upcall_callback *)entry)->handle);

		if (generation < next) {
			memset(death, 0, sizeof(*death));
			death->reason = UPCALL_REASON_UNKNOWN;
			err = 0;
		}
	}
	spin_unlock(&registry_lock);
	return err;
}

/**
 * upcall_registry_init() - Make an empty registry
 *
 * Return: 0 or -ENOMEM.
 */
int upcall_registry_init(void)
{
	graves = vcalloc(UPCALL_GRAVES, sizeof(*graves));
	if (!graves)
		return -ENOMEM;
	get_random_bytes(salt, sizeof(salt));
	return 0;
}

/**
 * upcall_registry_exit() - Free the registry
 *
 * Context: Module exit: no callback is left.
 */
void upcall_registry_exit(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pages) && pages[i]; i++)
		free_page((unsigned long)pages[i]);
	vfree(graves);
}
