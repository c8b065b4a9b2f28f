// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The commands of EXCHANGE, in the test double.
 */
#include <stdlib.h>
#include <string.h>
#include "double.h"

/* Members that a command may use, besides type and target. */
enum {
	USES_USER_DATA = 1, USES_VALUE = 2, USES_DATA = 4, USES_STATUS = 8,
	USES_CALL = 16,		/* parent, reply_max, reply_fd_max */
	USES_FDS = 32, USES_DEADLINE = 64,
};

static bool uses_only(const struct upcall_command *command, unsigned int uses)
{
	if (!(uses & USES_USER_DATA) && command->user_data)
		return false;
	if (!(uses & USES_VALUE) && command->value)
		return false;
	if (!(uses & USES_DATA) && (command->data || command->data_len))
		return false;
	if (!(uses & USES_STATUS) && command->status)
		return false;
	if (!(uses & USES_CALL) &&
	    (command->parent || command->reply_max || command->reply_fd_max))
		return false;
	if (!(uses & USES_FDS) && (command->fds || command->fd_count))
		return false;
	return uses & USES_DEADLINE || !command->deadline_ns;
}

/* --- CALL, NOTIFY ------------------------------------------------------------------- */

static int submit_check(const struct upcall_command *command, uint32_t known)
{
	if (command->flags & ~known)
		return -EINVAL;
	if (command->flags & UPCALL_INVOKE_NO_DEADLINE && command->deadline_ns)
		return -EINVAL;
	if (!(command->flags & UPCALL_INVOKE_SIGNATURE) && command->value)
		return -EINVAL;
	if (command->data_len > UPCALL_MAX_PAYLOAD || command->reply_max > UPCALL_MAX_PAYLOAD)
		return -EINVAL;
	if (command->fd_count > UPCALL_MAX_FDS || command->reply_fd_max > UPCALL_MAX_FDS)
		return -EINVAL;
	return 0;
}

static int command_submit(struct double_peer *peer, struct upcall_command *command, bool async)
{
	const uint32_t known = UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_SIGNATURE |
			       (async ? 0 : UPCALL_INVOKE_LATEST);
	const struct double_request request = {
		.target = command->target, .async = async, .user_data = command->user_data,
		.flags = command->flags | (async ? 0 : UPCALL_INVOKE_ONEWAY),
		.deadline_ns = command->deadline_ns, .signature = command->value,
		.arg = command->data, .arg_len = command->data_len, .op = command->status,
		.parent = command->parent, .fds = command->fds, .fd_count = command->fd_count,
		.reply_max = command->reply_max, .reply_fd_max = command->reply_fd_max,
	};
	struct double_outcome outcome;
	struct double_call *call;
	int err;

	command->stage = UPCALL_STAGE_NOT_DELIVERED;
	err = submit_check(command, known);
	if (err)
		return err;
	err = upcall_double_submit(peer, &request, &outcome, &call);
	if (err) {
		command->needed = outcome.needed;
		return err;
	}
	command->stage = 0;
	if (async)
		command->call_id = call->number;
	return 0;
}

/* --- REPLY, REFUSE, CANCEL ---------------------------------------------------------- */

/* Nobody wants to know it any more. */
static bool is_left(const struct double_call *call)
{
	return !call->caller || call->answered;
}

static int reply_take(struct double_call *call, struct upcall_command *command)
{
	if (command->data_len > call->reply_max) {
		command->needed = call->reply_max;
		return -EMSGSIZE;
	}
	if (command->fd_count > call->reply_fd_max) {
		command->needed = call->reply_fd_max;
		return -EMFILE;
	}
	if (double_bad(command->data, command->data_len))
		return -EFAULT;
	call->reply = malloc(command->data_len ? command->data_len : 1);
	if (!call->reply)
		return -ENOMEM;
	if (command->data_len)
		memcpy(call->reply, (const void *)(uintptr_t)command->data, command->data_len);
	return upcall_double_fds_take(call->registry, command->fds, command->fd_count,
				      &call->reply_fds);
}

static int command_reply(struct double_peer *peer, struct upcall_command *command)
{
	struct double_call *call = upcall_double_call_find(&peer->running, false, command->target);
	int err;

	if (!call)
		return -ENOENT;
	if (call->flags & UPCALL_CALL_ONEWAY) {
		if (command->data_len || command->status || command->fd_count)
			return -EINVAL;
		upcall_double_call_owner_end(call);
		return 0;
	}
	if (is_left(call)) {
		upcall_double_call_owner_end(call);
		return -ENOENT;
	}
	err = reply_take(call, command);
	if (err) {
		free(call->reply);
		call->reply = NULL;
		return err;
	}
	call->reply_len = command->data_len;
	call->outcome.status = command->status;
	call->callback->replied++;
	upcall_double_call_answer(call, 0, UPCALL_STAGE_REPLIED);
	upcall_double_call_owner_end(call);
	return 0;
}

static int command_refuse(struct double_peer *peer, const struct upcall_command *command)
{
	struct double_call *call;
	bool left;

	if (command->status < 1 || command->status > 511)
		return -EINVAL;
	call = upcall_double_call_find(&peer->running, false, command->target);
	if (!call)
		return -ENOENT;
	left = is_left(call) && !(call->flags & UPCALL_CALL_ONEWAY);
	upcall_double_call_answer(call, command->status, UPCALL_STAGE_NOT_DELIVERED);
	upcall_double_call_owner_end(call);
	return left ? -ENOENT : 0;
}

/* Its RESULT is still to come. */
static void cancel_async(struct double_call *call)
{
	struct double_peer *owner = call->owner;

	if (!call->delivered) {
		upcall_double_call_unqueue(call);
		upcall_double_call_answer(call, ECANCELED, UPCALL_STAGE_NOT_DELIVERED);
		upcall_double_call_owner_end(call);
		return;
	}
	upcall_double_call_answer(call, ECANCELED, UPCALL_STAGE_DELIVERED);
	call->cancel_error = ECANCELED;
	upcall_double_event_add(&call->cancel, owner);
}

static int command_cancel(struct double_peer *peer, const struct upcall_command *command)
{
	struct double_call *call;

	call = upcall_double_call_find(&peer->outgoing, true, command->target);
	if (!call)
		return -ENOENT;
	if (!call->async && call->waited)
		return -EBUSY;
	if (!call->async)
		upcall_double_call_leave(call, ECANCELED);
	else if (!call->answered)
		cancel_async(call);
	return 0;
}

/* --- RELEASE, REBIND ---------------------------------------------------------------- */

static int command_release(struct double_peer *peer, const struct upcall_command *command)
{
	struct upcall_release args = {
		.size = sizeof(args), .flags = command->flags,
		.handle = command->target, .word = command->value,
	};
	int err = upcall_double_release_check(&args);

	return err ? err : upcall_double_release(peer, &args);
}

static int command_rebind(struct double_peer *peer, const struct upcall_command *command)
{
	struct upcall_rebind args = {
		.size = sizeof(args), .flags = command->flags, .handle = command->target,
		.cookie = command->user_data, .word = command->value,
	};
	int err = upcall_double_rebind_check(&args);

	return err ? err : upcall_double_rebind(peer, &args);
}

/* --------------------------------------------------------------------------------------- */

static unsigned int command_uses(uint32_t type)
{
	switch (type) {
	case UPCALL_COMMAND_CALL:
		return ~0U;
	case UPCALL_COMMAND_NOTIFY:
		return USES_VALUE | USES_DATA | USES_STATUS | USES_FDS | USES_DEADLINE;
	case UPCALL_COMMAND_REPLY:
		return USES_DATA | USES_STATUS | USES_FDS;
	case UPCALL_COMMAND_REFUSE:
		return USES_STATUS;
	case UPCALL_COMMAND_RELEASE:
		return USES_VALUE;
	case UPCALL_COMMAND_REBIND:
		return USES_USER_DATA | USES_VALUE;
	default:
		return 0;
	}
}

static int command_run(struct double_peer *peer, struct upcall_command *command)
{
	if (!uses_only(command, command_uses(command->type)))
		return -EINVAL;
	if (command->type >= UPCALL_COMMAND_REPLY && command->type <= UPCALL_COMMAND_CANCEL &&
	    command->flags)
		return -EINVAL;
	switch (command->type) {
	case UPCALL_COMMAND_CALL:
		return command_submit(peer, command, true);
	case UPCALL_COMMAND_NOTIFY:
		return command_submit(peer, command, false);
	case UPCALL_COMMAND_REPLY:
		if (command->data_len > UPCALL_MAX_PAYLOAD || command->fd_count > UPCALL_MAX_FDS)
			return -EINVAL;
		return command_reply(peer, command);
	case UPCALL_COMMAND_REFUSE:
		return command_refuse(peer, command);
	case UPCALL_COMMAND_CANCEL:
		return command_cancel(peer, command);
	case UPCALL_COMMAND_RELEASE:
		return command_release(peer, command);
	case UPCALL_COMMAND_REBIND:
		return command_rebind(peer, command);
	default:
		return -EINVAL;
	}
}

void upcall_double_command(struct double_peer *peer, struct upcall_command *command)
{
	command->call_id = 0;
	command->stage = 0;
	command->needed = 0;
	command->error = (uint32_t)-command_run(peer, command);
	if (command->error && (command->type == UPCALL_COMMAND_CALL ||
			       command->type == UPCALL_COMMAND_NOTIFY))
		command->stage = UPCALL_STAGE_NOT_DELIVERED;
}
