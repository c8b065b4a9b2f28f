// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * EXCHANGE of the test double: commands in, then the wait for events.
 */
#include <string.h>
#include "double.h"

#define COMMAND_MAX	4096U	/* bytes */

static bool command_size_is_valid(const struct upcall_exchange *args)
{
	if (!args->command_count && !args->command_size)
		return true;
	return args->command_size >= sizeof(struct upcall_command) &&
	       args->command_size <= COMMAND_MAX && args->command_size % 8 == 0;
}

int upcall_double_exchange_check(struct upcall_exchange *args)
{
	const uint32_t known = UPCALL_EXCHANGE_NONBLOCK | UPCALL_EXCHANGE_NO_DEADLINE |
			       UPCALL_EXCHANGE_WAIT_COMMAND;

	if (args->flags & ~known || args->reserved || args->events % 8)
		return -EINVAL;
	if (args->flags & UPCALL_EXCHANGE_NO_DEADLINE && args->deadline_ns)
		return -EINVAL;
	if (!command_size_is_valid(args))
		return -EINVAL;
	if (args->wait_call && !args->events_len)
		return -EINVAL;
	if (args->flags & UPCALL_EXCHANGE_WAIT_COMMAND &&
	    (!args->events_len || args->wait_call >= args->command_count))
		return -EINVAL;
	if (args->command_count > UPCALL_MAX_COMMANDS)
		return -E2BIG;
	args->commands_failed = 0;
	args->event_count = 0;
	args->events_used = 0;
	args->wait_error = 0;
	args->needed = 0;
	return 0;
}

static unsigned char *command_at(const struct upcall_exchange *args, uint64_t index)
{
	return (unsigned char *)(uintptr_t)args->commands + index * args->command_size;
}

static bool tail_is_zero(const unsigned char *command, uint32_t size)
{
	uint32_t i;

	for (i = sizeof(struct upcall_command); i < size; i++) {
		if (command[i])
			return false;
	}
	return true;
}

static void commands_run(struct double_peer *peer, struct upcall_exchange *args)
{
	struct upcall_command command;
	uint32_t i;

	for (i = 0; i < args->command_count; i++) {
		memcpy(&command, command_at(args, i), sizeof(command));
		if (tail_is_zero(command_at(args, i), args->command_size))
			upcall_double_command(peer, &command);
		else
			command.error = E2BIG;
		if (command.error)
			args->commands_failed++;
		memcpy(command_at(args, i), &command, sizeof(command));
	}
}

/* --- the wait ----------------------------------------------------------------------- */

/* The call whose RESULT this thread waits for, or NULL. */
static int wait_find(struct double_peer *peer, const struct upcall_exchange *args,
		     struct double_call **result)
{
	uint64_t number = args->wait_call;
	struct upcall_command command;
	struct double_call *call;

	*result = NULL;
	if (args->flags & UPCALL_EXCHANGE_WAIT_COMMAND) {
		memcpy(&command, command_at(args, number), sizeof(command));
		if (command.error)
			return -EAGAIN;
		number = command.call_id;
	} else if (!number) {
		return 0;
	}
	call = upcall_double_call_find(&peer->outgoing, true, number);
	if (!call || !call->async)
		return -ENOENT;
	if (call->waited)
		return -EBUSY;
	*result = call;
	return 0;
}

static int wait_for_event(struct double_receiver *receiver, struct upcall_exchange *args)
{
	struct double_registry *registry = receiver->peer->registry;
	const bool forever = args->flags & UPCALL_EXCHANGE_NO_DEADLINE;
	int err, waited = 0;

	for (;;) {
		if (receiver->peer->ended)
			return -ESHUTDOWN;
		err = upcall_double_collect(receiver, args);
		if (err != -EAGAIN)
			return err;
		if (args->flags & UPCALL_EXCHANGE_NONBLOCK || args->commands_failed)
			return -EAGAIN;
		if (waited == -ETIMEDOUT)
			return waited;
		/* What woke it may have gone to another thread, or be for another */
		receiver->woken = false;
		upcall_double_peer_update(receiver->peer);
		waited = upcall_double_wait(registry, &receiver->wake, forever, args->deadline_ns);
	}
}

static int receive(struct double_peer *peer, struct upcall_exchange *args)
{
	struct double_receiver receiver = { .peer = peer, .max_calls = args->max_calls };
	uint64_t number = 0;
	int err;

	err = wait_find(peer, args, &receiver.wait_call);
	if (err)
		return err;
	if (receiver.wait_call) {
		number = receiver.wait_call->number;
		receiver.wait_call->waited = true;
		receiver.wait_call->waits_nested = args->max_calls;
	}
	upcall_double_cond_init(&receiver.wake);
	double_list_add(&receiver.link, peer->receivers.next);
	err = wait_for_event(&receiver, args);
	double_list_remove(&receiver.link);
	pthread_cond_destroy(&receiver.wake);
	/* It is gone if its RESULT was received, or the peer has ended */
	receiver.wait_call = upcall_double_call_find(&peer->outgoing, true, number);
	if (receiver.wait_call)
		receiver.wait_call->waited = false;
	upcall_double_peer_update(peer);
	return err;
}

static bool wait_command_is_call(const struct upcall_exchange *args)
{
	struct upcall_command command;

	memcpy(&command, command_at(args, args->wait_call), sizeof(command));
	return command.type == UPCALL_COMMAND_CALL;
}

int upcall_double_exchange(struct double_peer *peer, struct upcall_exchange *args)
{
	int err = 0;

	if (double_bad(args->commands, args->command_count))
		return -EFAULT;
	if (args->flags & UPCALL_EXCHANGE_WAIT_COMMAND && !wait_command_is_call(args))
		return -EINVAL;
	commands_run(peer, args);
	if (args->events_len)
		err = receive(peer, args);
	if (args->command_count) {
		args->wait_error = (uint32_t)-err;
		return 0;
	}
	return err;
}
