/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_CALLBACK_H
#define _UPCALL_CALLBACK_H

#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/upcall.h>
#include "event.h"
#include "owner.h"
#include "pool.h"

struct upcall_peer;
struct upcall_stubs;

enum upcall_cb_state {
	UPCALL_CB_LIVE,		/* accepts calls */
	UPCALL_CB_CLOSING,	/* retired; delivered calls lack their owner's end */
	UPCALL_CB_RELEASED,	/* RELEASED is queued, or being copied out */
	UPCALL_CB_GONE,		/* of interest to nobody but those who hold references */
};

/**
 * struct upcall_callback - One entry of the registry
 * @refs: References: the registry's until GONE, one of each call and each lookup.
 * @handle: What callers know. Constant.
 * @peer: The owner's, referenced. Constant.
 * @ident: The owner as of REGISTER, referenced. Constant.
 * @label: For people. Constant, as all to @registered.
 * @signature: With UPCALL_REGISTER_SIGNATURE.
 * @flags: UPCALL_REGISTER_*.
 * @access: UPCALL_ACCESS_*.
 * @access_uid: With UPCALL_ACCESS_UID.
 * @access_gid: With UPCALL_ACCESS_GID.
 * @max_arg: Longest argument, in bytes.
 * @registered: CLOCK_MONOTONIC.
 * @state: enum upcall_cb_state. Protected by @peer->lock, as all below.
 * @cookie: The owner's word.
 * @word: What the owner will leave for callers.
 * @death: Why it ended and what was left, once @state is not LIVE; constant then.
 * @link: In @peer->callbacks until GONE.
 * @queued: struct upcall_call that are QUEUED.
 * @running: Those that are TAKEN or DELIVERED; the ones without an answer come first.
 * @released: The RELEASED event.
 * @rooms: struct upcall_room: who waits for room in the queue.
 * @stubs: Its stub fds; NULL before the first. Set once, under the lock.
 * @pool: Room in the queue; QUEUED and TAKEN calls fill it.
 * @nrunning: Calls that are DELIVERED.
 * @cancelling: CANCEL and UNREFERENCED events of it that receivers are copying: RELEASED waits
 *	for them.
 * @seq: Of the newest call.
 * @delivered: How many were.
 * @replied: How many replies reached their caller.
 * @refused: How many calls were turned away for want of room.
 * @queued_ns: Sum of times from queued to taken.
 * @run_ns: Sum of times from taken to the owner's end.
 * @rcu: Lookups may still look at @refs and @handle.
 */
struct upcall_callback {
	refcount_t refs;
	u64 handle;
	struct upcall_peer *peer;
	struct upcall_ident *ident;
	char label[UPCALL_MAX_LABEL];
	u64 signature;
	u32 flags;
	u32 access;
	kuid_t access_uid;
	kgid_t access_gid;
	u32 max_arg;
	ktime_t registered;

	enum upcall_cb_state state;
	u64 cookie;
	u64 word;
	struct upcall_death death;
	struct list_head link;
	struct list_head queued;
	struct list_head running;
	struct upcall_event_node released;
	struct list_head rooms;
	struct upcall_stubs *stubs;
	struct upcall_pool pool;
	u32 nrunning;
	u32 cancelling;
	u64 seq;
	u64 delivered;
	u64 replied;
	u64 refused;
	u64 queued_ns;
	u64 run_ns;
	struct rcu_head rcu;
};

/* How upcall_callback_retire() treats calls that were delivered. */
enum upcall_retire {
	UPCALL_RETIRE_CLOSE,	/* they may finish */
	UPCALL_RETIRE_ABORT,	/* they fail for their callers, ECANCELED */
	UPCALL_RETIRE_DEATH,	/* they end, EOWNERDEAD: nobody is left to answer */
};

int upcall_rebind_check(const struct upcall_rebind *args);
int upcall_release_check(const struct upcall_release *args);
int upcall_callback_register(struct upcall_peer *peer, const struct upcall_register *args,
			     u64 __user *handle);
int upcall_callback_rebind(struct upcall_peer *peer, u64 handle, u32 flags, u64 cookie,
			   u64 word);
int upcall_callback_release(struct upcall_peer *peer, u64 handle, u32 flags, u64 word);
struct upcall_callback *upcall_callback_get_own(struct upcall_peer *peer, u64 handle);
void upcall_callback_close_locked(struct upcall_callback *cb, const struct upcall_death *death);
void upcall_callback_retire_calls(struct upcall_callback *cb, enum upcall_retire how);
int upcall_callback_retire(struct upcall_callback *cb, enum upcall_retire how,
			   const struct upcall_death *death);
void upcall_callback_end_locked(struct upcall_callback *cb);
void upcall_callback_cancelled_locked(struct upcall_callback *cb);
void upcall_callback_gone(struct upcall_callback *cb);
void upcall_callback_put(struct upcall_callback *cb);
int upcall_callback_stat(struct upcall_peer *peer, struct upcall_stat *stat);
void upcall_callback_stat_stub(struct upcall_callback *cb, struct upcall_stat *stat);

#endif /* _UPCALL_CALLBACK_H */
