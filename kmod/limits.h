/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every bound, and the reason for it. What an administrator may lower is a module
 * parameter; its cap, and default, stands here. The ABI's own bounds are in
 * <linux/upcall.h>.
 */
#ifndef _UPCALL_LIMITS_H
#define _UPCALL_LIMITS_H

#include <linux/sizes.h>
#include <linux/upcall.h>

/* A handle is generation << UPCALL_SLOT_BITS | slot, and stays below 2^53. */
#define UPCALL_SLOT_BITS	22
#define UPCALL_GENERATION_BITS	31
#define UPCALL_GENERATION_MAX	((1U << UPCALL_GENERATION_BITS) - 1)

/* All slots. One uid may have a quarter, so that no single one can use them up. */
#define UPCALL_CAP_CALLBACKS		(1U << UPCALL_SLOT_BITS)
#define UPCALL_CAP_CALLBACKS_USER	(1U << 20)

/*
 * Calls under way by one uid: some 700 bytes each without payload, so 44 MiB; the
 * bytes are what such calls may hold besides. What its callers left behind may bring an
 * owner to twice that: see upcall_account_swamped().
 */
#define UPCALL_CAP_CALLS_USER		65536U
#define UPCALL_CAP_BYTES_USER		(64U << 20)

/*
 * Descriptors on their way by one uid; as many are open in four processes with the usual
 * RLIMIT_NOFILE, by which the sender is bounded, too.
 */
#define UPCALL_CAP_FDS_USER		4096U

/* Records of the dead: 48 bytes each, in one table of this fixed length. */
#define UPCALL_GRAVES			16384U

/* A payload up to this length rides in the call object, below the size of a slab page's half. */
#define UPCALL_SMALL_PAYLOAD		128U

/*
 * A payload up to this length is in one block, if memory is not in pieces: it is allocated, and
 * charged, in one step.
 */
#define UPCALL_MAX_BLOCK		SZ_64K

/*
 * The argument of a call whose caller waits is read from that one's own pages from this length on:
 * below, to hold the pages costs as much as to copy them once more. So much of it is copied under
 * one hold of a lock: a microsecond or two.
 */
#define UPCALL_BORROW_MIN		SZ_16K
#define UPCALL_BORROW_STEP		SZ_16K

/*
 * Calls that a peer keeps for the next ones, in the memory cgroups of those who made the first
 * ones: as many as were under way at a time, but no more than a socket may buffer, some 400 KiB.
 * Of those that are not needed any more it keeps a few, some 24 KiB. None where late uses of
 * their memory are looked for.
 */
#define UPCALL_FEW_SPARES		32U
#ifdef UPCALL_TEST
#define UPCALL_SPARE_CALLS		0U
#define UPCALL_SPARE_BLOCK		0U
#else
#define UPCALL_SPARE_CALLS		512U
#define UPCALL_SPARE_BLOCK		1U
#endif

/* Callbacks that a peer keeps likewise, 9 KiB. */
#ifdef CONFIG_KASAN
#define UPCALL_SPARE_CALLBACKS		0U
#else
#define UPCALL_SPARE_CALLBACKS		64U
#endif

/* Commands that are read at once: on the stack. */
#define UPCALL_BATCH_COMMANDS		8U

/* Calls that are ended under one hold of a peer's lock: some tens of microseconds. */
#define UPCALL_BATCH_ENDED		64U

/* Who waits for room and is served by one hold of the lock, beside whoever freed it. */
#define UPCALL_BATCH_ROOM		16U

/* How long a thread may spin before it sleeps, in microseconds, and how long it does. */
#define UPCALL_CAP_SPIN_US		1000U
#define UPCALL_SPIN_US			50U

/* Nothing larger is copied from or to a struct at once. */
#define UPCALL_MAX_STRUCT		4096U

/* A LIST uses no more of its buffer than this in one call. */
#define UPCALL_MAX_LIST_BYTES		SZ_1M

/* Parameters in force: /sys/module/upcall/parameters/ */
extern unsigned int upcall_max_callbacks;
extern unsigned int upcall_max_callbacks_user;
extern unsigned int upcall_max_calls_user;
extern unsigned int upcall_max_bytes_user;
extern unsigned int upcall_max_payload;
extern unsigned int upcall_spin_us;

#endif /* _UPCALL_LIMITS_H */
