// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * INVOKE of the test double.
 */
#include <string.h>
#include "double.h"

static bool oneway_is_bare(const struct upcall_invoke *args)
{
	return !args->reply && !args->reply_room && !args->reply_max && !args->parent &&
	       !args->reply_fds && !args->reply_fd_room;
}

static int members_check(const struct upcall_invoke *args)
{
	const bool oneway = args->flags & UPCALL_INVOKE_ONEWAY;

	if (oneway ? !oneway_is_bare(args) : args->flags & UPCALL_INVOKE_LATEST)
		return -EINVAL;
	if (args->flags & UPCALL_INVOKE_NO_DEADLINE && args->deadline_ns)
		return -EINVAL;
	if (!(args->flags & UPCALL_INVOKE_SIGNATURE) && args->signature)
		return -EINVAL;
	if (args->arg_len > UPCALL_MAX_PAYLOAD || args->reply_max > UPCALL_MAX_PAYLOAD ||
	    args->reply_max < args->reply_room)
		return -EINVAL;
	if (args->fd_count > UPCALL_MAX_FDS || args->reply_fd_room > UPCALL_MAX_FDS)
		return -EINVAL;
	return 0;
}

/* Also clears what will be written. */
int upcall_double_invoke_check(struct upcall_invoke *args)
{
	const size_t out = offsetof(struct upcall_invoke, stage);
	const uint32_t known = UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE |
			       UPCALL_INVOKE_SIGNATURE | UPCALL_INVOKE_WAIT_ROOM |
			       UPCALL_INVOKE_LATEST;

	memset((char *)args + out, 0, sizeof(*args) - out);
	args->stage = UPCALL_STAGE_NOT_DELIVERED;
	if (args->flags & ~known)
		return -EINVAL;
	if (args->call_id)
		return args->flags & UPCALL_INVOKE_ONEWAY ? -EINVAL : 0;
	return members_check(args);
}

static void outcome_write(const struct double_outcome *outcome, struct upcall_invoke *args)
{
	args->stage = outcome->stage;
	args->status = outcome->status;
	args->needed = outcome->needed;
	args->reason = outcome->reason;
	args->word = outcome->word;
	args->seq = outcome->seq;
	args->queued_ns = outcome->queued_ns;
	args->run_ns = outcome->run_ns;
	args->total_ns = outcome->total_ns;
}

/* The reply's descriptors, or -EMFILE: there is no room for them. */
static int fetch_fds(struct double_call *call, struct upcall_invoke *args)
{
	uint32_t count = call->reply_fds.count;

	if (!count)
		return 0;
	if (count > args->reply_fd_room || double_bad(args->reply_fds, count))
		return -EMFILE;
	upcall_double_fds_give(call->registry, &call->reply_fds,
			       (uint32_t *)(uintptr_t)args->reply_fds);
	args->reply_fd_count = count;
	return 0;
}

/* The answer has come. A reply that does not fit is kept. */
static int invoke_fetch(struct double_call *call, struct upcall_invoke *args)
{
	int err = -(int)call->outcome.error;

	outcome_write(&call->outcome, args);
	if (call->reply_len > args->reply_room) {
		args->needed = call->reply_len;
		args->call_id = call->number;
		call->waited = false;
		return -EMSGSIZE;
	}
	args->call_id = 0;
	if (double_bad(args->reply, call->reply_len))
		err = -EFAULT;
	if (!err && call->reply_len) {
		memcpy((void *)(uintptr_t)args->reply, call->reply, call->reply_len);
		args->reply_len = call->reply_len;
	}
	if (!err)
		err = fetch_fds(call, args);
	upcall_double_call_caller_end(call);
	return err;
}

static int invoke_give_up(struct double_call *call, struct upcall_invoke *args, int err)
{
	uint64_t now = upcall_double_now();

	call->outcome.stage = call->delivered ? UPCALL_STAGE_DELIVERED : UPCALL_STAGE_NOT_DELIVERED;
	call->outcome.total_ns = now - call->queued_at;
	if (call->delivered)
		call->outcome.run_ns = now - call->delivered_at;
	outcome_write(&call->outcome, args);
	args->call_id = 0;
	upcall_double_call_leave(call, (uint32_t)-err);
	return err;
}

static int invoke_wait(struct double_peer *peer, struct double_call *call,
		       struct upcall_invoke *args)
{
	const bool forever = args->flags & UPCALL_INVOKE_NO_DEADLINE;
	int err = 0;

	call->waited = true;
	while (!call->answered) {
		if (peer->ended)
			return invoke_give_up(call, args, -ESHUTDOWN);
		if (err == -ETIMEDOUT)
			return invoke_give_up(call, args, err);
		err = upcall_double_wait(peer->registry, &call->wake, forever, args->deadline_ns);
	}
	return invoke_fetch(call, args);
}

static int invoke_resume(struct double_peer *peer, struct upcall_invoke *args)
{
	struct double_call *call = upcall_double_call_find(&peer->outgoing, true, args->call_id);

	if (!call || call->async)
		return -ENOENT;
	if (call->waited)
		return -EBUSY;
	return invoke_wait(peer, call, args);
}

int upcall_double_invoke(struct double_peer *peer, struct upcall_invoke *args)
{
	const struct double_request request = {
		.target = args->target, .flags = args->flags, .deadline_ns = args->deadline_ns,
		.arg = args->arg, .arg_len = args->arg_len, .op = args->op,
		.signature = args->signature, .parent = args->parent,
		.fds = args->fds, .fd_count = args->fd_count,
		.reply_max = args->reply_max, .reply_fd_max = args->reply_fd_room,
	};
	struct double_outcome outcome;
	struct double_call *call;
	int err;

	if (args->call_id)
		return invoke_resume(peer, args);
	err = upcall_double_submit(peer, &request, &outcome, &call);
	if (err || args->flags & UPCALL_INVOKE_ONEWAY) {
		outcome_write(&outcome, args);
		return err;
	}
	return invoke_wait(peer, call, args);
}
