// SPDX-License-Identifier: GPL-2.0-only
/*
 * EXCHANGE: commands in. The other half, events out, is receive.c.
 */
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "call.h"
#include "callback.h"
#include "exchange.h"
#include "main.h"
#include "peer.h"

#define EXCHANGE_FLAGS	(UPCALL_EXCHANGE_NONBLOCK | UPCALL_EXCHANGE_NO_DEADLINE)

/* [out] members of a command, at its end. */
#define COMMAND_OUT	offsetof(struct upcall_command, call_id)
#define COMMAND_OUT_END	offsetof(struct upcall_command, reply_fd_max)

/**
 * upcall_exchange_check() - Whether the members of an EXCHANGE make sense
 * @args: As copied in.
 *
 * Context: Any context.
 * Return: 0, -EINVAL or -E2BIG.
 */
int upcall_exchange_check(const struct upcall_exchange *args)
{
	if (args->flags & ~EXCHANGE_FLAGS || args->wait_call || args->reserved)
		return -EINVAL;
	if ((args->flags & UPCALL_EXCHANGE_NO_DEADLINE) && args->deadline_ns)
		return -EINVAL;
	if (args->events % 8)
		return -EINVAL;
	if (args->command_count > UPCALL_MAX_COMMANDS)
		return -E2BIG;
	if (args->command_count && (args->command_size < sizeof(struct upcall_command) ||
				    args->command_size % 8 ||
				    args->command_size > UPCALL_MAX_STRUCT))
		return -EINVAL;
	return 0;
}

/* Members that REPLY, REFUSE, CANCEL, RELEASE and REBIND do not know. */
static bool command_has_call_members(const struct upcall_command *command)
{
	return command->deadline_ns || command->parent || command->fds || command->fd_count ||
	       command->reply_max;
}

static bool command_has_data(const struct upcall_command *command)
{
	return command->data || command->data_len || command->status;
}

static int command_reply(struct upcall_peer *peer, struct upcall_command *command)
{
	if (command->flags || command->user_data || command->value)
		return -EINVAL;
	if (command->data_len > UPCALL_MAX_PAYLOAD)
		return -EINVAL;
	return upcall_call_reply(peer, command, &command->needed);
}

static int command_refuse(struct upcall_peer *peer, struct upcall_command *command)
{
	if (command->flags || command->user_data || command->value || command->data ||
	    command->data_len)
		return -EINVAL;
	/* Above are the kernel's own, ERESTARTSYS and the like. */
	if (!command->status || command->status >= ERESTARTSYS)
		return -EINVAL;
	return upcall_call_refuse(peer, command->target, command->status);
}

static int command_cancel(struct upcall_peer *peer, struct upcall_command *command)
{
	if (command->flags || command->user_data || command->value || command_has_data(command))
		return -EINVAL;
	return upcall_invoke_cancel(peer, command->target);
}

static int command_release(struct upcall_peer *peer, struct upcall_command *command)
{
	const struct upcall_release args = {
		.flags = command->flags,
		.handle = command->target,
		.word = command->value,
	};

	if (command->user_data || command_has_data(command) || upcall_release_check(&args))
		return -EINVAL;
	return upcall_callback_release(peer, args.handle, args.flags, args.word);
}

static int command_rebind(struct upcall_peer *peer, struct upcall_command *command)
{
	const struct upcall_rebind args = {
		.flags = command->flags,
		.handle = command->target,
		.cookie = command->user_data,
		.word = command->value,
	};

	if (command_has_data(command) || upcall_rebind_check(&args))
		return -EINVAL;
	return upcall_callback_rebind(peer, args.handle, args.flags, args.cookie, args.word);
}

static int command_run(struct upcall_peer *peer, struct upcall_command *command)
{
	if (command->reply_fd_max || command_has_call_members(command))
		return -EINVAL;
	switch (command->type) {
	case UPCALL_COMMAND_REPLY:
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

/* One command: read, run, and its result written; an errno only if that cannot be done. */
static int exchange_command(struct upcall_peer *peer, void __user *user, u32 usize, u32 *failed)
{
	struct upcall_command command;
	int err;

	err = copy_struct_from_user(&command, sizeof(command), user, usize);
	if (err == -EFAULT)
		return err;
	memset((char *)&command + COMMAND_OUT, 0, COMMAND_OUT_END - COMMAND_OUT);
	if (!err)	/* else E2BIG: a tail that this kernel does not know */
		err = command_run(peer, &command);
	if (err)
		++*failed;
	command.error = -err;
	return copy_to_user(user + COMMAND_OUT, (char *)&command + COMMAND_OUT,
			    COMMAND_OUT_END - COMMAND_OUT) ? -EFAULT : 0;
}

/* All commands, in order. Stops at one that cannot be read or whose result cannot be written. */
static int exchange_commands(struct upcall_peer *peer, struct upcall_exchange *args)
{
	char __user *user = u64_to_user_ptr(args->commands);
	int err = 0;
	u32 i;

	for (i = 0; i < args->command_count && !err; i++) {
		err = exchange_command(peer, user + i * args->command_size, args->command_size,
				       &args->commands_failed);
		cond_resched();
	}
	return err;
}

/**
 * upcall_exchange() - EXCHANGE: commands, then events
 * @peer: The calling process's.
 * @args: Checked by upcall_exchange_check(); [out] members are zero.
 * @user: Where those are written.
 * @usize: How many bytes the caller has there.
 *
 * Context: Process context, sleeps.
 * Return: 0, or an error of EXCHANGE.
 */
int upcall_exchange(struct upcall_peer *peer, struct upcall_exchange *args,
		    struct upcall_exchange __user *user, u32 usize)
{
	int err;

	err = exchange_commands(peer, args);
	if (err)
		return err;
	if (!args->events_len)
		return upcall_receive_write(args, user, usize);
	err = upcall_receive(peer, args, user, usize);
	if (!err || err == -EFAULT)
		return err;
	if (!args->command_count)	/* @needed counts also in failure */
		return err == -EMSGSIZE ? upcall_receive_write(args, user, usize) ?: err : err;
	args->wait_error = err == -ERESTARTSYS ? EINTR : -err;
	return upcall_receive_write(args, user, usize);
}
