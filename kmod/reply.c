// SPDX-License-Identifier: GPL-2.0-only
/* REPLY and REFUSE: both ends of a delivered call, by its owner. */
#include <linux/gfp.h>
#include <linux/spinlock.h>
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "trace.h"

/* The call of an id that owes its owner's end, or NULL. READ_ONCE(): see spare_reset(). */
static struct upcall_call *call_find_locked(struct upcall_peer *peer, u64 id)
{
	struct upcall_call *call = upcall_ids_find_locked(&peer->incoming, id);

	if (!call || call->owner_id != id || READ_ONCE(call->state) != UPCALL_DELIVERED)
		return NULL;
	return call;
}

/*
 * Whether a call can be answered. If nobody wants an answer any more this was its owner's
 * end: -ENOENT as well, and the owner's reference is the caller's to put, as *@ended.
 */
static int call_open_locked(struct upcall_call *call, struct upcall_call **ended)
{
	if (!call || call->state != UPCALL_DELIVERED)
		return -ENOENT;
	if (!call->answered || (call->flags & UPCALL_CALL_ONEWAY))
		return 0;
	upcall_call_end_locked(call);
	*ended = call;
	return -ENOENT;
}

/* Whether the caller takes such a reply; *@ended as by call_open_locked(). */
static int call_check_locked(struct upcall_call *call, const struct upcall_command *command,
			     u32 *needed, struct upcall_call **ended)
{
	int err = call_open_locked(call, ended);

	if (err)
		return err;
	if ((call->flags & UPCALL_CALL_ONEWAY) &&
	    (command->data_len || command->status || command->fd_count))
		return -EINVAL;
	if (command->data_len > call->reply_max) {
		*needed = call->reply_max;
		return -EMSGSIZE;
	}
	if (command->fd_count > call->reply_fd_max) {
		*needed = call->reply_fd_max;
		return -EMFILE;
	}
	return 0;
}

/* The call, referenced, if its caller takes such a reply. */
static int call_reply_begin(struct upcall_peer *peer, const struct upcall_command *command,
			    struct upcall_call **callp, u32 *needed)
{
	struct upcall_call *call, *ended = NULL;
	int err;

	spin_lock(&peer->lock);
	call = call_find_locked(peer, command->target);
	err = call_check_locked(call, command, needed, &ended);
	if (!err) {
		refcount_inc(&call->refs);
		*callp = call;
	}
	spin_unlock(&peer->lock);
	if (ended)
		upcall_call_put(ended);
	return err;
}

/* What its owner sends to a caller. */
struct reply {
	struct upcall_payload payload;
	struct upcall_fds *fds;
};

/*
 * The owner is not to suffer for its caller: not for its full memory cgroup, and not for
 * descriptors that it does not fetch, which therefore count against the caller.
 */
static int reply_take(struct reply *reply, const struct upcall_command *command,
		      const struct upcall_call *call)
{
	int err;

	err = upcall_payload_from_user(&reply->payload, command->data, command->data_len,
				       call->memcg,
				       GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN, NULL);
	if (err)
		return err;
	reply->fds = upcall_fds_take(command->fds, command->fd_count, call->cb->ident->account,
				     call->from->account, ULONG_MAX);
	if (!IS_ERR(reply->fds))
		return 0;
	upcall_payload_free(&reply->payload);
	return PTR_ERR(reply->fds);
}

/* What was not sent. */
static void reply_free(struct reply *reply)
{
	upcall_payload_free(&reply->payload);
	upcall_fds_free(reply->fds);
}

/* Both ends; bytes and descriptors are there. The owner's reference is the caller's to put. */
static void call_reply_locked(struct upcall_call *call, u32 status)
{
	if (!(call->flags & UPCALL_CALL_ONEWAY)) {
		call->answer.status = status;
		upcall_call_answer_locked(call, 0, UPCALL_STAGE_REPLIED);
		call->cb->traffic->replied++;
	}
	trace_upcall_replied(call);
	upcall_call_end_locked(call);
}

/*
 * A few bytes, without descriptors, read under the lock: of pages that are there. Nobody else
 * looks at the reply of a call before its answer. -EAGAIN: there are others, too.
 */
static int call_reply_at_once(struct upcall_peer *peer, const struct upcall_command *command,
			      u32 *needed)
{
	struct upcall_call *call, *ended = NULL;
	int err;

	spin_lock(&peer->lock);
	call = call_find_locked(peer, command->target);
	err = call_check_locked(call, command, needed, &ended);
	if (!err && upcall_payload_try_from_user(&call->answer.reply, command->data,
						 command->data_len))
		err = -EAGAIN;
	if (!err) {
		call_reply_locked(call, command->status);
		ended = call;
	}
	spin_unlock(&peer->lock);
	if (ended)
		upcall_call_put(ended);
	return err;
}

/* As upcall_call_reply(), of any reply. */
static int call_reply_any(struct upcall_peer *peer, const struct upcall_command *command,
			  u32 *needed)
{
	struct upcall_call *call, *ended = NULL;
	struct reply reply;
	int err;

	err = call_reply_begin(peer, command, &call, needed);
	if (err)
		return err;
	err = reply_take(&reply, command, call);
	if (err)
		goto out_put;
	UPCALL_HOOK(reply_read);
	spin_lock(&peer->lock);
	err = call_open_locked(call, &ended);
	if (!err) {
		upcall_payload_move(&call->answer.reply, &reply.payload);
		swap(call->answer.fds, reply.fds);
		call_reply_locked(call, command->status);
		ended = call;
	}
	spin_unlock(&peer->lock);
	reply_free(&reply);
	if (ended)
		upcall_call_put(ended);
out_put:
	upcall_call_put(call);
	return err;
}

/**
 * upcall_call_reply() - REPLY: both ends of a delivered call
 * @peer: The owner's.
 * @command: Checked by the caller.
 * @needed: Set with -EMSGSIZE, and with -EMFILE if the caller takes fewer descriptors.
 *
 * Bytes that may have to be fetched are read without a lock; meanwhile the call may be answered
 * otherwise, and even end by a second reply. So its state is looked at again; the call itself is
 * held, not looked up again: its id might be another's by then.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENOENT, -EINVAL, -EMSGSIZE, -EMFILE, -ENOMEM, -EFAULT or -EBADF. But for 0 and
 *	-ENOENT it is still to be answered.
 */
int upcall_call_reply(struct upcall_peer *peer, const struct upcall_command *command, u32 *needed)
{
	int err = -EAGAIN;

	if (likely(command->data_len <= UPCALL_SMALL_PAYLOAD && !command->fd_count))
		err = call_reply_at_once(peer, command, needed);
	return err == -EAGAIN ? call_reply_any(peer, command, needed) : err;
}

/**
 * upcall_call_refuse() - REFUSE: the owner did not run it, and will not
 * @peer: The owner's.
 * @id: As given by a process.
 * @err: A positive errno, for its caller.
 *
 * Context: Process context.
 * Return: 0 or -ENOENT.
 */
int upcall_call_refuse(struct upcall_peer *peer, u64 id, u32 err)
{
	struct upcall_call *call, *ended = NULL;
	int ret;

	spin_lock(&peer->lock);
	call = call_find_locked(peer, id);
	ret = call_open_locked(call, &ended);
	if (!ret) {
		upcall_call_answer_locked(call, -(int)err, call->ran ? UPCALL_STAGE_DELIVERED
								     : UPCALL_STAGE_NOT_DELIVERED);
		upcall_call_end_locked(call);
		ended = call;
	}
	spin_unlock(&peer->lock);
	if (ended)
		upcall_call_put(ended);
	return ret;
}
