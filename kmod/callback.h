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
 * struct upcall_traffic - What calls make of a callback; made with the first call or stub
 * @queued: struct upcall_call that are QUEUED. Protected by the lock of the callback's peer, as
 *	all of this is.
 * @running: Those that are TAKEN or DELIVERED; the ones without an answer come first.
 * @rooms: struct upcall_room: who waits for room in the queue.
 * @stubs: Its stub fds; NULL before the first. Set once.
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
 */
struct upcall_traffic {
	struct list_head queued;
	struct list_head running;
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
};

/**
 * struct upcall_callback - One entry of the registry
 * @refs: References: the registry's until GONE, one of each call and each lookup.
 * @access_uid: With UPCALL_ACCESS_UID. Constant, as all to @registered.
 * @access_gid: With UPCALL_ACCESS_GID.
 * @handle: What callers know; 0 until it is published.
 * @peer: The owner's, referenced.
 * @ident: The owner as of REGISTER, referenced.
 * @label: For people.
 * @signature: With UPCALL_REGISTER_SIGNATURE.
 * @max_queued_bytes: Room in the queue.
 * @max_arg: Longest argument, in bytes.
 * @access: UPCALL_ACCESS_*.
 * @max_queued_calls: Room in the queue.
 * @flags: UPCALL_REGISTER_*.
 * @registered: CLOCK_MONOTONIC.
 * @state: enum upcall_cb_state. Protected by @peer->lock, as all below.
 * @reason: Why it ended, once @state is not LIVE: UPCALL_REASON_*.
 * @exit_status: With UPCALL_REASON_EXITED, as wait(2) reports it.
 * @died: When it ended, CLOCK_MONOTONIC.
 * @word: What the owner will leave, or has left, for callers.
 * @prev: Slot of the one in front of it in @peer->callbacks, until GONE.
 * @next: Slot of the one behind it.
 * @released: The RELEASED event; its cookie is the callback's, whatever event that is for.
 * @traffic: NULL before the first call or stub. Set once, under the lock.
 * @spare: The next one that its peer keeps, of those without references.
 * @rcu: Frees it when no lookup looks at @refs and @handle any more.
 *
 * There may be millions that are hardly ever called: what only calls need is in @traffic.
 */
struct upcall_callback {
	refcount_t refs;
	union {
		kuid_t access_uid;
		kgid_t access_gid;
	};
	u64 handle;
	struct upcall_peer *peer;
	struct upcall_ident *ident;
	union {
		char label[UPCALL_MAX_LABEL];
		struct rcu_head rcu;
	};
	u64 signature;
	u64 max_queued_bytes : 36;
	u64 max_arg : 24;
	u64 access : 4;
	u16 max_queued_calls;
	u16 flags;
	u8 state;
	u8 reason;
	u16 exit_status;
	ktime_t registered;
	ktime_t died;
	u64 word;
	u32 prev;
	u32 next;
	struct upcall_event_node released;
	union {
		struct upcall_traffic *traffic;
		struct upcall_callback *spare;
	};
};

/* A page holds 28 of them. */
static_assert(sizeof(struct upcall_callback) <= 144);

/* How upcall_callback_retire() treats calls that were delivered. */
enum upcall_retire {
	UPCALL_RETIRE_CLOSE,	/* they may finish */
	UPCALL_RETIRE_ABORT,	/* they fail for their callers, ECANCELED */
	UPCALL_RETIRE_DEATH,	/* they end, EOWNERDEAD: nobody is left to answer */
};

int upcall_callback_init(void);
void upcall_callback_exit(void);
int upcall_rebind_check(const struct upcall_rebind *args);
int upcall_release_check(const struct upcall_release *args);
int upcall_callback_register(struct upcall_peer *peer, const struct upcall_register *args,
			     u64 __user *user);
int upcall_traffic_make(struct upcall_callback *cb);
void upcall_callback_unlink_locked(struct upcall_callback *cb);
int upcall_callback_rebind(struct upcall_peer *peer, u64 handle, u32 flags, u64 cookie,
			   u64 word);
int upcall_callback_release(struct upcall_peer *peer, u64 handle, u32 flags, u64 word);
struct upcall_callback *upcall_callback_get_own(struct upcall_peer *peer, u64 handle);
void upcall_callback_death(const struct upcall_callback *cb, struct upcall_death *death);
void upcall_callback_close_locked(struct upcall_callback *cb, const struct upcall_death *death);
void upcall_callback_retire_calls(struct upcall_callback *cb, enum upcall_retire how);
int upcall_callback_retire(struct upcall_callback *cb, enum upcall_retire how,
			   const struct upcall_death *death);
void upcall_callback_end_locked(struct upcall_callback *cb);
void upcall_callback_cancelled_locked(struct upcall_callback *cb);
void upcall_callback_gone(struct upcall_callback *cb);
void upcall_callback_drain(struct upcall_peer *peer);
void upcall_callback_free(struct upcall_callback *cb);
void upcall_callback_put(struct upcall_callback *cb);
bool upcall_callback_put_locked(struct upcall_callback *cb, int n);
int upcall_callback_stat(struct upcall_peer *peer, struct upcall_stat *stat);
void upcall_callback_stat_stub(struct upcall_callback *cb, struct upcall_stat *stat);

/* Before it is called, or has a stub. -ENOMEM, or what calls need of it is there. */
static inline int upcall_traffic_need(struct upcall_callback *cb)
{
	return likely(READ_ONCE(cb->traffic)) ? 0 : upcall_traffic_make(cb);
}

/* Several references, one at least. */
static inline void upcall_callback_put_many(struct upcall_callback *cb, int n)
{
	if (n > 1)	/* one is left */
		WARN_ON_ONCE(refcount_sub_and_test(n - 1, &cb->refs));
	upcall_callback_put(cb);
}

#endif /* _UPCALL_CALLBACK_H */
