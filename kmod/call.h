/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_CALL_H
#define _UPCALL_CALL_H

#include <linux/container_of.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/rcuwait.h>
#include <linux/refcount.h>
#include <linux/timerqueue.h>
#include <linux/types.h>
#include <linux/upcall.h>
#include "event.h"
#include "fds.h"
#include "payload.h"

struct mem_cgroup;
struct pid;
struct upcall_account;
struct upcall_callback;
struct upcall_ident;
struct upcall_made;
struct upcall_peer;
struct upcall_room;
struct upcall_share;
struct upcall_submit;

/* The owner's side of a call; the picture is in main.h. */
enum upcall_call_state {
	UPCALL_NEW,	/* not submitted yet; only its caller knows it */
	UPCALL_QUEUED,	/* in the owner's queue */
	UPCALL_TAKEN,	/* in a receiver's batch, being copied out */
	UPCALL_DELIVERED,	/* the owner has it, and owes its end */
	UPCALL_ENDED,	/* the owner's end has come */
};

/**
 * struct upcall_answer - The caller's end of a call
 * @err: 0 or -errno.
 * @stage: UPCALL_STAGE_*.
 * @status: Of the reply.
 * @reason: UPCALL_REASON_*, if @err is the death of an owner who may have a successor; else 0.
 * @exit_status: With UPCALL_REASON_EXITED.
 * @reply: The bytes, if @err is 0.
 * @fds: The descriptors, if @err is 0; NULL: none.
 * @when: CLOCK_MONOTONIC.
 */
struct upcall_answer {
	int err;
	u32 stage;
	u32 status;
	u32 reason;
	u32 exit_status;
	struct upcall_payload reply;
	struct upcall_fds *fds;
	ktime_t when;
};

/**
 * struct upcall_call - One invocation
 * @refs: References: see DOC Lifetimes.
 * @links: References to its memory: one for all of @refs, one of each call nested in it.
 * @cb: What is called, referenced. Constant, as all to @queued_at.
 * @parent: The call that it is nested in, its memory referenced, or NULL.
 * @depth: 1, or one more than its parent's.
 * @from: The caller as of the submit, referenced.
 * @tid: Its thread, referenced.
 * @memcg: The caller's memory cgroup, referenced; the reply's buffer is charged to it.
 * @caller: The caller's peer, referenced, of an asynchronous call; else NULL.
 * @user_data: The caller's, of an asynchronous call.
 * @flags: UPCALL_CALL_ONEWAY, _STUB, _NO_DEADLINE, _LATEST; _ENDED: delivery is its owner's end.
 * @op: As the caller gave it.
 * @arg_len: In bytes; @arg itself may be gone.
 * @reply_max: The longest reply that the caller accepts, in bytes.
 * @reply_fd_max: How many descriptors it takes with it.
 * @bytes: What was charged for it: argument and reply room.
 * @wait_room: With UPCALL_INVOKE_WAIT_ROOM.
 * @caller_peer: The number of the caller's peer.
 * @deadline: CLOCK_MONOTONIC; for the owner to see, and of an asynchronous call ours to keep.
 * @queued_at: CLOCK_MONOTONIC.
 * @arg: The argument; freed by the receiver that delivered it, unless @keeps_arg. Pages of the
 *	caller's are replaced by a copy if that one goes before; under the owner's peer->lock.
 * @fds: The descriptors that ride with it; NULL: none, or not any more. Protected by the owner's
 *	peer->lock; while it is in a receiver's batch, only that one drops them.
 * @answer: Constant once @answered is set; next to @arg for hardened usercopy. Protected by
 *	the owner's peer->lock before, as all to @seq.
 * @state: enum upcall_call_state.
 * @answered: The caller's end has come; set once, and readable without the lock by
 *	load_acquire. A notification has it as soon as it is QUEUED.
 * @left: The caller does not wait for it any more.
 * @nested: It leads back to its owner's peer: an ancestor of it was made there.
 * @ran: An owner had it, and died: it was queued again, and may have run.
 * @keeps_arg: @arg stays until the end, for that case. Set when it is taken.
 * @lends: @arg stays until its caller, who waits, has the reply: its block is kept for that
 *	one's next call. Not with @keeps_arg, and not any more if that one has left.
 * @foreign: Its memory may be charged to somebody else than its owner: of these few are kept.
 * @room: Where it waits for room in the queue, NEW; else NULL.
 * @share: Of its caller in the callback's queue, QUEUED and TAKEN.
 * @charged: @from's account pays for it, on the caller's side.
 * @heir: The owner's account, referenced, from when the caller left until the owner's end.
 * @heir_bytes: What that one is charged besides the call itself.
 * @dropped: Notifications that it replaced.
 * @node: In the owner's queue: QUEUED; in a receiver's batch: TAKEN.
 * @cancel: The CANCEL event.
 * @cb_link: In @cb->queued, or @cb->running; or among those that wait in @room; after its end
 *	in @spares of its owner's peer.
 * @nest_link: In the owner's @nested: a thread that waits in its chain can take it, or its
 *	CANCEL.
 * @owner_id: The id that the owner knows it by, QUEUED and later; before, of an earlier call whose
 *	memory this is, or 0.
 * @taken_at: CLOCK_MONOTONIC, from TAKEN on.
 * @seq: Its number in the callback.
 * @wait: The thread that sleeps for it: of INVOKE, or in wait_call. One at a time, by @waited.
 * @result_link: In the caller's @results, from the answer until that is looked through.
 * @out_link: In the caller's @outgoing. Protected by the lock of that peer, as all below.
 * @caller_id: The id that the caller knows it by; 0: none yet.
 * @waited: A thread waits for it, or has just come to.
 * @nests: That thread takes calls of its chain meanwhile.
 * @landed: Its RESULT is there for that thread, in no list.
 * @result: The RESULT event, in the caller's @events or in a receiver's batch.
 * @deadline_node: In the caller's @deadlines.
 */
struct upcall_call {
	refcount_t refs;
	refcount_t links;
	struct upcall_callback *cb;
	struct upcall_call *parent;
	u32 depth;
	struct upcall_ident *from;
	struct pid *tid;
	struct mem_cgroup *memcg;
	struct upcall_peer *caller;
	u64 user_data;
	u32 flags;
	u32 op;
	u32 arg_len;
	u32 reply_max;
	u32 reply_fd_max;
	u32 bytes;
	bool wait_room;
	int caller_peer;
	ktime_t deadline;
	ktime_t queued_at;
	struct upcall_payload arg;
	struct upcall_fds *fds;

	struct upcall_answer answer;
	enum upcall_call_state state;
	bool answered;
	bool left;
	bool nested;
	bool ran;
	bool keeps_arg;
	bool lends;
	bool charged;
	bool foreign;
	struct upcall_room *room;
	struct upcall_share *share;
	struct upcall_account *heir;
	u32 heir_bytes;
	u32 dropped;
	struct upcall_event_node node;
	struct upcall_event_node cancel;
	struct list_head cb_link;
	struct list_head nest_link;
	u64 owner_id;
	ktime_t taken_at;
	u64 seq;

	struct rcuwait wait;
	struct llist_node result_link;
	struct hlist_node out_link;
	u64 caller_id;
	bool waited;
	bool nests;
	bool landed;
	struct upcall_event_node result;
	struct timerqueue_node deadline_node;
};

/* Bytes of its CALL event before the numbers of descriptors. */
static inline u32 upcall_call_event_size(const struct upcall_call *call)
{
	return sizeof(struct upcall_event_call) + ALIGN(call->arg_len, 8);
}

/**
 * struct upcall_over - Calls of one callback to which nobody refers any more
 * @calls: They, by @cb_link.
 * @cb: The callback.
 * @callbacks: How many references to it are here.
 * @from: Who made the last of them.
 * @idents: How many references to that one are here.
 * @charged: How many of those calls are charged for.
 * @bytes: And how many bytes.
 */
struct upcall_over {
	struct list_head calls;
	struct upcall_callback *cb;
	int callbacks;
	struct upcall_ident *from;
	int idents;
	u32 charged;
	u64 bytes;
};

/* The call that an event is about: CALL, RESULT or CANCEL. */
static inline struct upcall_call *upcall_node_call(struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return container_of(node, struct upcall_call, node);
	case UPCALL_EVENT_RESULT:
		return container_of(node, struct upcall_call, result);
	default:
		return container_of(node, struct upcall_call, cancel);
	}
}

/* call.c */
struct upcall_call *upcall_call_new(struct upcall_peer *caller, struct upcall_callback *cb,
				    struct upcall_ident *from, const struct upcall_submit *submit);
int upcall_call_identify_locked(struct upcall_call *call);
void upcall_call_free(struct upcall_call *call);
void upcall_call_put_later(struct upcall_call *call, int refs, struct upcall_over *over);
void upcall_call_put_all(struct upcall_over *over);
void upcall_call_uncharge(struct upcall_call *call);
bool upcall_call_same_caller(const struct upcall_call *a, const struct upcall_call *b);

/* Drops a reference. Process context, with no lock of ours held. */
static inline void upcall_call_put(struct upcall_call *call)
{
	if (refcount_dec_and_test(&call->refs))
		upcall_call_free(call);
}

/* spare.c */
int upcall_spare_init(void);
void upcall_spare_exit(void);
struct upcall_call *upcall_spare_get(struct upcall_peer *owner);
void upcall_spare_put(struct upcall_call *call);
void upcall_spare_put_all(struct upcall_peer *owner, struct list_head *calls);
u32 upcall_spare_idle_locked(struct upcall_peer *owner);
void upcall_spare_trim(struct upcall_peer *owner, u32 n);
void upcall_spare_drain(struct upcall_peer *owner);
void upcall_call_unlink(struct upcall_call *call);

/* state.c */
unsigned int upcall_call_queue_many(struct upcall_made *made, unsigned int n);
int upcall_call_queue(struct upcall_call *call);
void upcall_call_enqueue_locked(struct upcall_call *call, ktime_t now);
bool upcall_call_answer_locked(struct upcall_call *call, int err, u32 stage);
void upcall_call_end_locked(struct upcall_call *call);
bool upcall_call_delivered_locked(struct upcall_call *call);
void upcall_call_ready_locked(struct upcall_call *call, bool front);
void upcall_call_unqueue_locked(struct upcall_call *call, int err);
void upcall_call_cancel_locked(struct upcall_call *call);
u32 upcall_call_stage_locked(const struct upcall_call *call);

/* withdraw.c */
bool upcall_call_withdraw(struct upcall_call *call);
void upcall_call_abandon(struct upcall_call *call, int err);

/* chain.c */
int upcall_chain_enter_locked(struct upcall_call *call);
void upcall_chain_wake_locked(struct upcall_call *call);
bool upcall_chain_has(const struct upcall_call *call, const struct upcall_call *ancestor);
void upcall_chain_cancel_locked(struct upcall_call *call, bool front);
struct upcall_call *upcall_chain_parent_get(struct upcall_peer *peer, u64 id);

/* reply.c */
int upcall_call_reply(struct upcall_peer *peer, const struct upcall_command *command,
		      u32 *needed);
int upcall_call_refuse(struct upcall_peer *peer, u64 id, u32 err);

/* invoke.c */
int upcall_invoke(struct upcall_peer *peer, struct upcall_submit *submit,
		  struct upcall_invoke __user *user, u32 usize);
int upcall_invoke_refuse(struct upcall_peer *peer, struct upcall_invoke *args,
			 struct upcall_invoke __user *user, u32 usize, int err);
int upcall_invoke_cancel(struct upcall_peer *peer, u64 id);
void upcall_invoke_forget(struct upcall_peer *peer);

#endif /* _UPCALL_CALL_H */
