/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_CALL_H
#define _UPCALL_CALL_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/upcall.h>
#include <linux/wait.h>
#include "event.h"
#include "payload.h"

struct mem_cgroup;
struct pid;
struct upcall_callback;
struct upcall_ident;
struct upcall_peer;
struct upcall_share;

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
 * @reply: The bytes, if @err is 0.
 * @when: CLOCK_MONOTONIC.
 */
struct upcall_answer {
	int err;
	u32 stage;
	u32 status;
	struct upcall_payload reply;
	ktime_t when;
};

/**
 * struct upcall_call - One invocation
 * @refs: References: see DOC Lifetimes.
 * @cb: What is called, referenced. Constant, as all to @queued_at.
 * @from: The caller as of the submit, referenced.
 * @tid: Its thread, referenced.
 * @memcg: The caller's memory cgroup, referenced; the reply's buffer is charged to it.
 * @flags: UPCALL_CALL_ONEWAY, UPCALL_CALL_NO_DEADLINE.
 * @op: As the caller gave it.
 * @arg_len: In bytes; @arg itself may be gone.
 * @reply_max: The longest reply that the caller accepts, in bytes.
 * @bytes: What was charged for it: argument and reply room.
 * @caller_peer: The number of the caller's peer, for LIST.
 * @deadline: CLOCK_MONOTONIC, for the owner to see.
 * @queued_at: CLOCK_MONOTONIC.
 * @arg: The argument; freed by the receiver that delivered it.
 * @answer: Constant once @answered is set; next to @arg for hardened usercopy. Protected by
 *	the owner's peer->lock before, as all to @seq.
 * @state: enum upcall_call_state.
 * @answered: The caller's end has come; set once, and readable without the lock by
 *	load_acquire. A notification has it from the start.
 * @left: The caller does not wait for it, and its charge has moved to the owner's account.
 * @share: Of its caller in the callback's queue, QUEUED and TAKEN.
 * @payer: Who is charged for it, referenced.
 * @node: In the owner's queue: QUEUED; in a receiver's batch: TAKEN.
 * @cancel: The CANCEL event.
 * @cb_link: In @cb->queued, or @cb->running.
 * @owner_id: The id that the owner knows it by; 0 before QUEUED.
 * @taken_at: CLOCK_MONOTONIC, from TAKEN on.
 * @seq: Its number in the callback.
 * @wait: Where the caller sleeps.
 * @out_link: In the caller's @outgoing. Protected by the lock of that peer, as all below.
 * @caller_id: The id that the caller knows it by; 0: none yet.
 * @waited: A thread waits for it, or has just come to.
 */
struct upcall_call {
	refcount_t refs;
	struct upcall_callback *cb;
	struct upcall_ident *from;
	struct pid *tid;
	struct mem_cgroup *memcg;
	u32 flags;
	u32 op;
	u32 arg_len;
	u32 reply_max;
	u32 bytes;
	int caller_peer;
	ktime_t deadline;
	ktime_t queued_at;
	struct upcall_payload arg;

	struct upcall_answer answer;
	enum upcall_call_state state;
	bool answered;
	bool left;
	struct upcall_share *share;
	struct upcall_account *payer;
	struct upcall_event_node node;
	struct upcall_event_node cancel;
	struct list_head cb_link;
	u64 owner_id;
	ktime_t taken_at;
	u64 seq;

	wait_queue_head_t wait;
	struct list_head out_link;
	u64 caller_id;
	bool waited;
};

int upcall_call_init(void);
void upcall_call_exit(void);

struct upcall_call *upcall_call_new(struct upcall_peer *caller, struct upcall_callback *cb,
				    struct upcall_ident *from, const struct upcall_invoke *args);
int upcall_call_submit(struct upcall_call *call);
void upcall_call_put(struct upcall_call *call);
bool upcall_call_withdraw(struct upcall_call *call);
void upcall_call_abandon(struct upcall_call *call, int err);
bool upcall_call_answer_locked(struct upcall_call *call, int err, u32 stage);
void upcall_call_end_locked(struct upcall_call *call);
void upcall_call_delivered_locked(struct upcall_call *call);
void upcall_call_unqueue_locked(struct upcall_call *call, int err);
void upcall_call_cancel_locked(struct upcall_call *call);
u32 upcall_call_stage_locked(const struct upcall_call *call);

int upcall_call_reply(struct upcall_peer *peer, const struct upcall_command *command,
		      u32 *needed);
int upcall_call_refuse(struct upcall_peer *peer, u64 id, u32 err);

int upcall_invoke_check(const struct upcall_invoke *args);
int upcall_invoke(struct upcall_peer *peer, struct upcall_invoke *args,
		  struct upcall_invoke __user *user, u32 usize);
int upcall_invoke_refuse(struct upcall_peer *peer, struct upcall_invoke *args,
			 struct upcall_invoke __user *user, u32 usize, int err);
int upcall_invoke_cancel(struct upcall_peer *peer, u64 id);

#endif /* _UPCALL_CALL_H */
