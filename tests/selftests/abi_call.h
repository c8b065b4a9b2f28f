/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of asynchronous calls: a command and one event in one EXCHANGE, and RESULTs. */
#ifndef ABI_CALL_H
#define ABI_CALL_H

#include "abi_test.h"

struct seen {
	struct upcall_exchange out;
	union any_event event;
};

#define CALL(_handle, ...) COMMAND(CALL, _handle, .flags = UPCALL_INVOKE_NO_DEADLINE, ##__VA_ARGS__)

/*
 * One EXCHANGE: a command, then one event; @wait: wait_call. The event's type, or the errno of
 * the ioctl or of its wait.
 */
static inline int exchange_one(int fd, struct upcall_command *cmd, uint64_t wait, uint32_t flags,
			       uint32_t max_calls, struct seen *seen)
{
	int ret;

	memset(&seen->event, POISON, sizeof(seen->event));
	seen->out = EXCHANGE_ARGS(.commands = ptr64(cmd), .command_count = cmd ? 1 : 0,
		.events = ptr64(&seen->event), .events_len = sizeof(seen->event),
		.max_calls = max_calls, .wait_call = wait);
	seen->out.flags |= flags;
	ret = verb(fd, UPCALL_IOC_EXCHANGE, &seen->out);
	if (ret)
		return ret;
	return seen->out.event_count ? (int)seen->event.event.type : -(int)seen->out.wait_error;
}

/* The RESULT of @call_id, within SOON_MS and without taking calls: 0, or -errno, or -EPROTO. */
static inline int result_of(int fd, uint64_t call_id, struct upcall_event_result *result)
{
	union any_event event;
	int err = receive(fd, &event, sizeof(event.result) + 64, 0, 0, NULL);

	if (err)
		return err;
	*result = event.result;
	return event.event.type == UPCALL_EVENT_RESULT && result->call_id == call_id ? 0 : -EPROTO;
}

/* Submits a CALL without argument or deadline: its id, or 0. */
static inline uint64_t call_id_of(int fd, uint64_t handle, uint64_t user_data)
{
	struct upcall_command cmd = CALL(handle, .user_data = user_data, .reply_max = 64);

	return command(fd, &cmd) ? 0 : cmd.call_id;
}

/* Nothing in it says that there was a reply. */
static inline bool unanswered(const struct upcall_event_result *result)
{
	return !result->status && !result->payload_len && !result->fd_count && !result->reserved;
}

#endif /* ABI_CALL_H */
