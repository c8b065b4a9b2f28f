// SPDX-License-Identifier: GPL-2.0-only
/*
 * EXCHANGE: commands in. The other half, events out, is receive.c.
 */
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "args.h"
#include "async.h"
#include "call.h"
#include "callback.h"
#include "compat.h"
#include "exchange.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "peer.h"
#include "run.h"

#define EXCHANGE_FLAGS	(UPCALL_EXCHANGE_NONBLOCK | UPCALL_EXCHANGE_NO_DEADLINE | \
			 UPCALL_EXCHANGE_WAIT_COMMAND)

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
 * @run: Its CALLs and NOTIFYs, once there is one.
 * @running: There is.
 */
struct exchange {
	struct upcall_peer *peer;
	struct upcall_exchange *args;
	struct upcall_call *wait;
	struct upcall_run run;
	bool running;
};

/* The command number @index is the one whose call is waited for. */
static bool exchange_waits(const struct exchange *exchange, u32 index)
{
	return exchange->args->flags & UPCALL_EXCHANGE_WAIT_COMMAND &&
	       exchange->args->wait_call == index;
}

/* All but CALL and NOTIFY. */
static int command_run(struct upcall_peer *peer, struct upcall_command *command)
{
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

static struct upcall_command __user *exchange_user(const struct exchange *exchange, u32 index)
{
	const struct upcall_exchange *args = exchange->args;

	return u64_to_user_ptr(args->commands) + (size_t)index * args->command_size;
}

/* The [out] members; between user_write_access_*(). */
static __always_inline int put_result(const struct upcall_command *command,
				      struct upcall_command __user *to)
{
	unsafe_put_user(command->call_id, &to->call_id, out_fault);
	unsafe_put_user(command->error, &to->error, out_fault);
	unsafe_put_user(command->stage, &to->stage, out_fault);
	unsafe_put_user(command->needed, &to->needed, out_fault);
	return 0;

out_fault:
	return -EFAULT;
}

/* The [out] members of some commands, as far as they are not 0: that they are already. */
static int exchange_write(struct exchange *exchange, u32 index,
			  const struct upcall_command *commands, u32 n)
{
	struct upcall_command __user *user = exchange_user(exchange, index);
	u32 i, usize = exchange->args->command_size;
	int err = 0;

	if (!user_write_access_begin(user, (size_t)n * usize))
		return -EFAULT;
	for (i = 0; i < n && !err; i++, user = (void __user *)user + usize) {
		if (commands[i].error || commands[i].call_id)
			err = put_result(&commands[i], user);
	}
	user_write_access_end();
	return err;
}

/* Makes them 0: so it is known before a command runs that its result can be written. */
static int exchange_clear(struct exchange *exchange, u32 index, struct upcall_command *commands,
			  u32 n)
{
	struct upcall_command __user *user = exchange_user(exchange, index);
	u32 i, usize = exchange->args->command_size;
	int err = 0;

	if (!user_write_access_begin(user, (size_t)n * usize))
		return -EFAULT;
	for (i = 0; i < n && !err; i++, user = (void __user *)user + usize) {
		commands[i].call_id = 0;
		commands[i].error = 0;
		commands[i].stage = 0;
		commands[i].needed = 0;
		err = put_result(&commands[i], user);
	}
	user_write_access_end();
	return err;
}

/*
 * Reads some commands, the first at least. How many, or -EFAULT. One with a tail that this kernel
 * does not know has its error then.
 */
static int exchange_read(struct exchange *exchange, u32 index, struct upcall_command *commands)
{
	const struct upcall_command __user *user = exchange_user(exchange, index);
	u32 usize = exchange->args->command_size;
	u32 n = min(exchange->args->command_count - index, UPCALL_BATCH_COMMANDS);
	int err;

	if (n > 1 && usize == sizeof(*commands) &&
	    !copy_from_user(commands, user, n * sizeof(*commands)) &&
	    !exchange_clear(exchange, index, commands, n))
		return n;
	if (likely(usize == sizeof(*commands)))	/* a constant, see args.h */
		err = upcall_words_read(commands, user, sizeof(*commands));
	else
		err = copy_struct_from_user(commands, sizeof(*commands), user, usize);
	if (err == -EFAULT || exchange_clear(exchange, index, commands, 1))
		return -EFAULT;
	if (err)	/* it was not read */
		*commands = (struct upcall_command){ .error = -err };
	return 1;
}

static void exchange_command(struct exchange *exchange, struct upcall_command *command, u32 index,
			     u32 ahead)
{
	if (command->error)
		return;
	if (command->type == UPCALL_COMMAND_CALL || command->type == UPCALL_COMMAND_NOTIFY) {
		if (!exchange->running)
			upcall_run_begin(&exchange->run, exchange->peer,
					 exchange->args->max_calls);
		exchange->running = true;
		upcall_run_add(&exchange->run, command, ahead,
			       command->type == UPCALL_COMMAND_CALL &&
			       exchange_waits(exchange, index));
		return;
	}
	if (exchange->running)
		upcall_run_flush(&exchange->run);
	command->error = -command_run(exchange->peer, command);
}

/*
 * Some commands, in order: read, run, and their results written. How many; an errno only if they
 * cannot be read or their results not be written.
 */
static int exchange_some(struct exchange *exchange, u32 index)
{
	struct upcall_command commands[UPCALL_BATCH_COMMANDS] __uninitialized;
	int i, err, n = exchange_read(exchange, index, commands);
	u32 results = 0;

	for (i = 0; i < n; i++) {
		exchange_command(exchange, &commands[i], index + i, n - i);
		if (commands[i].data_len > PAGE_SIZE)
			cond_resched();
	}
	if (exchange->running)
		upcall_run_flush(&exchange->run);
	for (i = 0; i < n; i++) {
		results += commands[i].error || commands[i].call_id;
		exchange->args->commands_failed += !!commands[i].error;
	}
	err = results ? exchange_write(exchange, index, commands, n) : 0;
	return err ?: n;
}

/* All commands. */
static int exchange_commands(struct exchange *exchange)
{
	int n = 0;
	u32 i;

	for (i = 0; i < exchange->args->command_count; i += n) {
		n = exchange_some(exchange, i);
		if (n < 0)
			break;
		cond_resched();
	}
	if (exchange->running) {
		upcall_run_end(&exchange->run);
		exchange->wait = exchange->run.wait;
	}
	return min(n, 0);
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
	struct exchange exchange __uninitialized;
	int err;

	exchange.peer = peer;
	exchange.args = args;
	exchange.wait = NULL;
	exchange.running = false;

	err = exchange_run(&exchange, user, usize);
	UPCALL_HOOK(unwaiting);
	if (exchange.wait)
		upcall_async_unwait(peer, exchange.wait);
	return err;
}
