// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How a call went: what a RESULT says, and the accessors of the call object.
 */
#include <string.h>
#include <unistd.h>
#include "internal.h"

/* The CALL command of what upcall_call_begin() prepared. */
void upcall_call_command(const struct upcall_call *call, struct upcall_command *command)
{
	const struct upcall_invoke *invoke = &call->invoke;

	*command = (struct upcall_command){
		.type = UPCALL_COMMAND_CALL,
		.flags = invoke->flags,
		.target = invoke->target,
		.value = invoke->signature,
		.data = invoke->arg,
		.data_len = invoke->arg_len,
		.status = invoke->op,
		.deadline_ns = invoke->deadline_ns,
		.fds = invoke->fds,
		.fd_count = invoke->fd_count,
		.reply_max = call->reply_max,
		.reply_fd_max = call->reply_fd_max,
	};
}

static const struct upcall_event_result *result_of(const struct upcall_incoming *incoming)
{
	return (const struct upcall_event_result *)incoming->event;
}

/* The descriptors are the call object's from now on. */
static void fill_fds(struct upcall_call *call, struct upcall_incoming *incoming)
{
	const struct upcall_event_result *result = result_of(incoming);
	uint32_t count = result->fd_count;

	if (count > UPCALL_MAX_FDS)
		count = UPCALL_MAX_FDS;
	memcpy(call->reply_fds, (const char *)result + result->fds_offset,
	       count * sizeof(call->reply_fds[0]));
	call->reply_fd_count = count;
	atomic_store(&incoming->fds_taken, ~0ULL);
}

/* Return: as upcall_call_invoke(). */
int upcall_call_fill_result(struct upcall_call *call, struct upcall_incoming *incoming)
{
	const struct upcall_event_result *result = result_of(incoming);
	struct upcall_invoke *invoke = &call->invoke;
	int err;

	invoke->stage = result->stage;
	invoke->status = result->status;
	invoke->reason = result->reason;
	invoke->exit_status = result->exit_status;
	invoke->word = result->word;
	invoke->seq = result->seq;
	invoke->queued_ns = result->queued_ns;
	invoke->run_ns = result->run_ns;
	invoke->total_ns = result->total_ns;
	invoke->reply_len = 0;
	fill_fds(call, incoming);
	if (result->payload_len > call->room) {
		err = upcall_call_grow(call, result->payload_len);
		if (err)
			return err;
	}
	memcpy(call->reply, (const char *)result + result->payload_offset, result->payload_len);
	invoke->reply_len = result->payload_len;
	return result->error ? -(int)result->error : (int)result->payload_len;
}

void upcall_call_close_fds(struct upcall_call *call)
{
	uint32_t i;

	for (i = 0; i < call->reply_fd_count; i++) {
		if ((int)call->reply_fds[i] >= 0)
			close((int)call->reply_fds[i]);
	}
	call->reply_fd_count = 0;
}

unsigned int upcall_call_reply_fd_count(const struct upcall_call *call)
{
	return call->reply_fd_count;
}

int upcall_call_take_reply_fd(struct upcall_call *call, unsigned int index)
{
	int fd;

	if (index >= call->reply_fd_count || (int)call->reply_fds[index] < 0)
		return -EBADF;
	fd = (int)call->reply_fds[index];
	call->reply_fds[index] = (uint32_t)-1;
	return fd;
}

uint32_t upcall_call_stage(const struct upcall_call *call)
{
	return call->invoke.stage;
}

int32_t upcall_call_status(const struct upcall_call *call)
{
	return (int32_t)call->invoke.status;
}

const void *upcall_call_reply(const struct upcall_call *call)
{
	return call->reply;
}

size_t upcall_call_reply_len(const struct upcall_call *call)
{
	return call->invoke.reply_len;
}

uint32_t upcall_call_needed(const struct upcall_call *call)
{
	return call->invoke.needed;
}

uint32_t upcall_call_reason(const struct upcall_call *call)
{
	return call->invoke.reason;
}

uint32_t upcall_call_exit_status(const struct upcall_call *call)
{
	return call->invoke.exit_status;
}

uint64_t upcall_call_word(const struct upcall_call *call)
{
	return call->invoke.word;
}

uint64_t upcall_call_seq(const struct upcall_call *call)
{
	return call->invoke.seq;
}

uint64_t upcall_call_queued_ns(const struct upcall_call *call)
{
	return call->invoke.queued_ns;
}

uint64_t upcall_call_run_ns(const struct upcall_call *call)
{
	return call->invoke.run_ns;
}

uint64_t upcall_call_total_ns(const struct upcall_call *call)
{
	return call->invoke.total_ns;
}
