// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Several commands in one system call.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

/**
 * struct entry - What a command was made from
 * @call: CALL: the call object.
 * @incoming: REPLY, REFUSE: what is answered.
 * @generation: CALL: of its slot.
 * @err: 0 or -errno, once it was sent.
 * @stage: CALL, NOTIFY: beside @err.
 */
struct entry {
	struct upcall_call *call;
	struct upcall_incoming *incoming;
	uint32_t generation;
	int err;
	uint32_t stage;
};

/**
 * struct upcall_commands - See upcall_commands_new()
 * @peer: Referenced.
 * @count: How many were added.
 * @sent: They have been sent: the next one that is added begins anew.
 * @commands: As for the kernel.
 * @entries: Beside each.
 */
struct upcall_commands {
	struct upcall_peer *peer;
	unsigned int count;
	bool sent;
	struct upcall_command commands[UPCALL_MAX_COMMANDS];
	struct entry entries[UPCALL_MAX_COMMANDS];
};

int upcall_commands_new(struct upcall_peer *peer, struct upcall_commands **result)
{
	struct upcall_commands *commands = malloc(sizeof(*commands));

	if (!commands)
		return -ENOMEM;
	commands->peer = upcall_peer_get(peer);
	commands->count = 0;
	commands->sent = false;
	*result = commands;
	return 0;
}

/* Back to how it was before it was added. */
static void entry_undo(struct upcall_commands *commands, unsigned int i)
{
	struct entry *entry = &commands->entries[i];

	if (entry->call) {
		upcall_async_remove(commands->peer, commands->commands[i].user_data);
		atomic_store(&entry->call->active, false);
	}
	if (entry->incoming)
		upcall_incoming_answer_end(entry->incoming, -EINTR);
}

void upcall_commands_clear(struct upcall_commands *commands)
{
	unsigned int i;

	if (!commands->sent)
		for (i = 0; i < commands->count; i++)
			entry_undo(commands, i);
	commands->count = 0;
	commands->sent = false;
}

void upcall_commands_free(struct upcall_commands *commands)
{
	if (!commands)
		return;
	if (!upcall_peer_forked(commands->peer))
		upcall_commands_clear(commands);
	upcall_peer_put(commands->peer);
	free(commands);
}

/* Room for one more; its index, or -errno. */
static int add(struct upcall_commands *commands, uint32_t type, uint64_t target)
{
	unsigned int i;

	if (upcall_peer_forked(commands->peer))
		return -EPERM;
	if (commands->sent)
		upcall_commands_clear(commands);
	if (commands->count == UPCALL_MAX_COMMANDS)
		return -E2BIG;
	i = commands->count++;
	commands->commands[i] = (struct upcall_command){ .type = type, .target = target };
	commands->entries[i] = (struct entry){ 0 };
	return (int)i;
}

int upcall_commands_start(struct upcall_commands *commands, struct upcall_call *call,
			  uint64_t handle, uint32_t op, const void *arg, size_t len,
			  uint64_t deadline, upcall_done_fn done, void *user)
{
	int err, i;

	if (call->peer != commands->peer)
		return -EINVAL;
	err = upcall_call_begin(call, handle, op, arg, len, deadline);
	if (err)
		return err;
	i = add(commands, UPCALL_COMMAND_CALL, handle);
	if (i < 0)
		return i;
	call->pending = (struct upcall_pending){ .call = call, .done = done, .user = user };
	err = upcall_async_add(call->peer, &call->pending, &call->slot,
			       &commands->entries[i].generation);
	if (err) {
		commands->count--;
		return err;
	}
	upcall_call_command(call, &commands->commands[i]);
	commands->commands[i].user_data = call->slot;
	commands->entries[i].call = call;
	atomic_store(&call->active, true);
	return i;
}

int upcall_commands_notify(struct upcall_commands *commands, uint64_t handle, uint32_t op,
			   const void *arg, size_t len, uint64_t deadline, int latest)
{
	struct upcall_command *command;
	int i;

	if (len > UPCALL_MAX_PAYLOAD)
		return -EMSGSIZE;
	i = add(commands, UPCALL_COMMAND_NOTIFY, handle);
	if (i < 0)
		return i;
	command = &commands->commands[i];
	command->flags = latest ? UPCALL_INVOKE_LATEST : 0;
	if (deadline == UPCALL_NO_DEADLINE)
		command->flags |= UPCALL_INVOKE_NO_DEADLINE;
	else
		command->deadline_ns = deadline;
	command->status = op;
	command->data = len ? (uintptr_t)arg : 0;
	command->data_len = (uint32_t)len;
	return i;
}

/* The answer to @incoming is this command's to give from now on. */
static int add_answer(struct upcall_commands *commands, struct upcall_incoming *incoming,
		      uint32_t type)
{
	int i;

	if (upcall_incoming_type(incoming) != UPCALL_EVENT_CALL ||
	    incoming->peer != commands->peer)
		return -EINVAL;
	if (!upcall_incoming_answer_begin(incoming))
		return -EALREADY;
	i = add(commands, type, upcall_incoming_id(incoming));
	if (i < 0)
		upcall_incoming_answer_end(incoming, i);
	else
		commands->entries[i].incoming = incoming;
	return i;
}

int upcall_commands_reply(struct upcall_commands *commands, struct upcall_incoming *incoming,
			  int32_t status, const void *data, size_t len)
{
	int i;

	if (len > UPCALL_MAX_PAYLOAD)
		return -EMSGSIZE;
	i = add_answer(commands, incoming, UPCALL_COMMAND_REPLY);
	if (i >= 0)
		upcall_incoming_reply_command(incoming, status, data, len, &commands->commands[i]);
	return i;
}

int upcall_commands_refuse(struct upcall_commands *commands, struct upcall_incoming *incoming,
			   int err)
{
	int i;

	if (err < 0)
		err = -err;
	if (err < 1 || err > 511)
		return -EINVAL;
	i = add_answer(commands, incoming, UPCALL_COMMAND_REFUSE);
	if (i >= 0)
		commands->commands[i].status = (uint32_t)err;
	return i;
}

int upcall_commands_cancel(struct upcall_commands *commands, uint64_t id)
{
	return add(commands, UPCALL_COMMAND_CANCEL, id);
}

int upcall_commands_release(struct upcall_commands *commands, uint64_t handle, uint32_t flags)
{
	int i;

	if (flags & ~UPCALL_RELEASE_ABORT)
		return -EINVAL;
	i = add(commands, UPCALL_COMMAND_RELEASE, handle);
	if (i >= 0)
		commands->commands[i].flags = flags;
	return i;
}

int upcall_commands_rebind(struct upcall_commands *commands, uint64_t handle, uint64_t cookie)
{
	int i = add(commands, UPCALL_COMMAND_REBIND, handle);

	if (i >= 0)
		commands->commands[i].user_data = cookie;
	return i;
}

/* What the kernel said of one of them. Return: 1 if it failed. */
static int settle(struct upcall_commands *commands, unsigned int i)
{
	const struct upcall_command *command = &commands->commands[i];
	struct entry *entry = &commands->entries[i];
	struct upcall_call *call = entry->call;

	entry->err = -(int)command->error;
	entry->stage = command->stage;
	if (entry->incoming)
		entry->err = upcall_incoming_answer_end(entry->incoming, entry->err);
	if (call && !entry->err) {
		upcall_async_sent(commands->peer, &call->pending, command->user_data,
				  entry->generation, command);
	} else if (call) {
		entry_undo(commands, i);
		call->invoke.stage = command->stage;
		call->invoke.needed = command->needed;
	}
	return entry->err < 0;
}

int upcall_commands_send(struct upcall_commands *commands)
{
	struct upcall_exchange exchange = {
		.size = sizeof(exchange),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = (uintptr_t)commands->commands,
		.command_count = commands->count,
		.command_size = sizeof(commands->commands[0]),
	};
	int err, failed = 0;
	unsigned int i;

	if (commands->sent || !commands->count)
		return 0;
	err = upcall_peer_control(commands->peer, UPCALL_IOC_EXCHANGE, &exchange);
	if (err)
		return err;
	commands->sent = true;
	for (i = 0; i < commands->count; i++)
		failed += settle(commands, i);
	return failed;
}

int upcall_commands_error(const struct upcall_commands *commands, unsigned int index)
{
	return index < commands->count && commands->sent ? commands->entries[index].err : -EINVAL;
}

uint32_t upcall_commands_stage(const struct upcall_commands *commands, unsigned int index)
{
	return index < commands->count && commands->sent ? commands->entries[index].stage
							 : UPCALL_STAGE_UNKNOWN;
}
