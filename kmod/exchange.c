// SPDX-License-Identifier: GPL-2.0-only
/*
 * EXCHANGE: commands in. The other half, events out, is receive.c.
 */
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "args.h"
#include "async.h"
#include "call.h"
#include "callback.h"
#include "exchange.h"
#include "hook.h"
#include "main.h"
#include "peer.h"

#define EXCHANGE_FLAGS	(UPCALL_EXCHANGE_NONBLOCK | UPCALL_EXCHANGE_NO_DEADLINE | \
			 UPCALL_EXCHANGE_WAIT_COMMAND)

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
	bool wait_command = args->flags & UPCALL_EXCHANGE_WAIT_COMMAND;

	if (args->flags & ~EXCHANGE_FLAGS || args->reserved)
		return -EINVAL;
	if ((wait_command || args->wait_call) && !args->events_len)
		return -EINVAL;
	if (wait_command && args->wait_call >= args->command_count)
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
	return command->deadline_ns || command->parent || command->reply_max;
}

static bool command_has_fds(const struct upcall_command *command)
{
	return command->fds || command->fd_count;
}

static bool command_has_data(const struct upcall_command *command)
{
	return command->data || command->data_len || command->status;
}

static int command_reply(struct upcall_peer *peer, struct upcall_command *command)
{
	if (command->flags || command->user_data || command->value)
		return -EINVAL;
	if (command->data_len > UPCALL_MAX_PAYLOAD || command->fd_count > UPCALL_MAX_FDS)
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
	int err;

	if (command->flags || command->user_data || command->value || command_has_data(command))
		return -EINVAL;
	err = upcall_async_cancel(peer, command->target);
	return err == -ENOENT ? upcall_invoke_cancel(peer, command->target) : err;
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

/**
 * struct exchange - One EXCHANGE under way
 * @peer: The calling process's.
 * @args: Its struct, as copied in; [out] members are set.
 * @wait: The call that its thread waits for, or NULL.
 */
struct exchange {
	struct upcall_peer *peer;
	struct upcall_exchange *args;
	struct upcall_call *wait;
};

/* The command number @index is the one whose call is waited for. */
static bool exchange_waits(const struct exchange *exchange, u32 index)
{
	return exchange->args->flags & UPCALL_EXCHANGE_WAIT_COMMAND &&
	       exchange->args->wait_call == index;
}

static int command_run(struct exchange *exchange, struct upcall_command *command, u32 index)
{
	struct upcall_peer *peer = exchange->peer;
	bool waits = exchange_waits(exchange, index);

	switch (command->type) {
	case UPCALL_COMMAND_CALL:
		return upcall_async_call(peer, command, waits ? &exchange->wait : NULL,
					 exchange->args->max_calls);
	case UPCALL_COMMAND_NOTIFY:
		return upcall_async_notify(peer, command);
	}
	if (command->reply_fd_max || command_has_call_members(command))
		return -EINVAL;
	if (command->type != UPCALL_COMMAND_REPLY && command_has_fds(command))
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

/* Its [out] members, call_id to needed. */
static int command_write(const struct upcall_command *command, struct upcall_command __user *user)
{
	if (!user_write_access_begin(user, sizeof(*user)))
		return -EFAULT;
	unsafe_put_user(command->call_id, &user->call_id, out_fault);
	unsafe_put_user(command->error, &user->error, out_fault);
	unsafe_put_user(command->stage, &user->stage, out_fault);
	unsafe_put_user(command->needed, &user->needed, out_fault);
	user_write_access_end();
	return 0;

out_fault:
	user_write_access_end();
	return -EFAULT;
}

/* One command: read, run, and its result written; an errno only if that cannot be done. */
static int exchange_command(struct exchange *exchange, u32 index)
{
	u32 usize = exchange->args->command_size;
	char __user *user = u64_to_user_ptr(exchange->args->commands) + index * usize;
	struct upcall_command command __uninitialized;
	int err;

	if (likely(usize == sizeof(command)))	/* a constant, see args.h */
		err = upcall_words_read(&command, user, sizeof(command));
	else
		err = copy_struct_from_user(&command, sizeof(command), user, usize);
	if (err == -EFAULT)
		return err;
	memset((char *)&command + COMMAND_OUT, 0, COMMAND_OUT_END - COMMAND_OUT);
	if (!err)	/* else E2BIG: a tail that this kernel does not know */
		err = command_run(exchange, &command, index);
	if (err)
		exchange->args->commands_failed++;
	command.error = -err;
	return command_write(&command, (struct upcall_command __user *)user);
}

/* All commands, in order. Stops at one that cannot be read or whose result cannot be written. */
static int exchange_commands(struct exchange *exchange)
{
	int err = 0;
	u32 i;

	for (i = 0; i < exchange->args->command_count && !err; i++) {
		err = exchange_command(exchange, i);
		cond_resched();
	}
	return err;
}

/* Which call is waited for, if any. */
static int exchange_find_wait(struct exchange *exchange)
{
	const struct upcall_exchange *args = exchange->args;
	struct upcall_call *call;

	if (args->flags & UPCALL_EXCHANGE_WAIT_COMMAND) {
		if (exchange->wait)
			return 0;
		return args->commands_failed ? -EAGAIN : -EINVAL;
	}
	if (!args->wait_call)
		return 0;
	call = upcall_async_wait(exchange->peer, args->wait_call, args->max_calls);
	if (IS_ERR(call))
		return PTR_ERR(call);
	exchange->wait = call;
	return 0;
}

static int exchange_run(struct exchange *exchange, struct upcall_exchange __user *user, u32 usize)
{
	struct upcall_exchange *args = exchange->args;
	int err;

	err = exchange_commands(exchange);
	if (err)
		return err;
	if (!args->events_len)
		return upcall_receive_write(args, user, usize);
	err = exchange_find_wait(exchange);
	if (!err)
		err = upcall_receive(exchange->peer, args, exchange->wait, user, usize);
	if (!err || err == -EFAULT)
		return err;
	if (!args->command_count)	/* @needed counts also in failure */
		return err == -EMSGSIZE ? upcall_receive_write(args, user, usize) ?: err : err;
	args->wait_error = err == -ERESTARTSYS ? EINTR : -err;
	return upcall_receive_write(args, user, usize);
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
	struct exchange exchange = { .peer = peer, .args = args };
	int err;

	err = exchange_run(&exchange, user, usize);
	UPCALL_HOOK(unwaiting);
	if (exchange.wait)
		upcall_async_unwait(peer, exchange.wait);
	return err;
}
