// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A call: INVOKE, entered again as often as its rules ask for.
 */
#include <stdlib.h>
#include "internal.h"

#define REPLY_ROOM	4096	/* bytes to begin with */

/**
 * struct upcall_call - See upcall_call_new()
 * @peer: Referenced.
 * @invoke: As last given to the kernel, and what it said.
 * @reply: Library-allocated.
 * @room: Bytes at @reply.
 * @reply_max: Parameter.
 * @signature: Parameter, with @name_signature.
 * @interruptible: Parameter.
 */
struct upcall_call {
	struct upcall_peer *peer;
	struct upcall_invoke invoke;
	void *reply;
	uint32_t room;
	uint32_t reply_max;
	uint64_t signature;
	bool name_signature;
	bool interruptible;
};

int upcall_call_new(struct upcall_peer *peer, struct upcall_call **result)
{
	struct upcall_call *call = calloc(1, sizeof(*call));

	if (!call)
		return -ENOMEM;
	call->reply = malloc(REPLY_ROOM);
	if (!call->reply) {
		free(call);
		return -ENOMEM;
	}
	call->room = REPLY_ROOM;
	call->reply_max = UPCALL_DEFAULT_REPLY_MAX;
	call->peer = upcall_peer_get(peer);
	*result = call;
	return 0;
}

void upcall_call_free(struct upcall_call *call)
{
	if (!call)
		return;
	upcall_call_cancel(call);
	upcall_peer_put(call->peer);
	free(call->reply);
	free(call);
}

static int call_grow(struct upcall_call *call, uint32_t room)
{
	void *reply = realloc(call->reply, room);

	if (!reply)
		return -ENOMEM;
	call->reply = reply;
	call->room = room;
	return 0;
}

static void invoke_set_deadline(struct upcall_invoke *invoke, uint64_t deadline)
{
	invoke->flags &= ~UPCALL_INVOKE_NO_DEADLINE;
	invoke->deadline_ns = deadline;
	if (deadline == UPCALL_NO_DEADLINE) {
		invoke->flags |= UPCALL_INVOKE_NO_DEADLINE;
		invoke->deadline_ns = 0;
	}
}

static void call_prepare(struct upcall_call *call, uint64_t handle, uint32_t op,
			 const void *arg, size_t len, uint64_t deadline)
{
	upcall_call_reset(call);
	call->invoke.target = handle;
	call->invoke.op = op;
	call->invoke.arg = len ? (uintptr_t)arg : 0;
	call->invoke.arg_len = (uint32_t)len;
	if (call->name_signature) {
		call->invoke.flags |= UPCALL_INVOKE_SIGNATURE;
		call->invoke.signature = call->signature;
	}
	invoke_set_deadline(&call->invoke, deadline);
}

/* A new call has nothing to tell yet. */
void upcall_call_reset(struct upcall_call *call)
{
	upcall_call_cancel(call);
	call->invoke = (struct upcall_invoke){ .size = sizeof(call->invoke) };
}

/* So that the accessors tell of a call that never got to the kernel. */
int upcall_call_fail_early(struct upcall_call *call, int err)
{
	call->invoke.stage = UPCALL_STAGE_NOT_DELIVERED;
	return err;
}

static int call_enter(struct upcall_call *call)
{
	struct upcall_invoke *invoke = &call->invoke;

	invoke->stage = UPCALL_STAGE_UNKNOWN;
	return upcall_peer_control(call->peer, UPCALL_IOC_INVOKE, invoke);
}

/* A reply that is kept is fetched; a wait that a signal ended is taken up again. */
static int call_enter_until_done(struct upcall_call *call)
{
	struct upcall_invoke *invoke = &call->invoke;
	int err, grow_err;

	for (;;) {
		invoke->reply = (uintptr_t)call->reply;
		invoke->reply_room = call->room;
		if (invoke->reply_room > call->reply_max)
			invoke->reply_room = call->reply_max;
		err = call_enter(call);
		if (!err)
			return (int)invoke->reply_len;
		if (err == -EINTR && !call->interruptible)
			continue;
		if (err != -EMSGSIZE || !invoke->call_id)
			return err;
		grow_err = call_grow(call, invoke->needed);
		if (grow_err) {
			upcall_call_cancel(call);
			return grow_err;
		}
	}
}

int upcall_call_invoke(struct upcall_call *call, uint64_t handle, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline)
{
	call_prepare(call, handle, op, arg, len, deadline);
	if (len > UPCALL_MAX_PAYLOAD)
		return upcall_call_fail_early(call, -EMSGSIZE);
	call->invoke.reply_max = call->reply_max;
	return call_enter_until_done(call);
}

int upcall_call_notify(struct upcall_call *call, uint64_t handle, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline)
{
	call_prepare(call, handle, op, arg, len, deadline);
	if (len > UPCALL_MAX_PAYLOAD)
		return upcall_call_fail_early(call, -EMSGSIZE);
	call->invoke.flags |= UPCALL_INVOKE_ONEWAY;
	return call_enter(call);
}

int upcall_call_wait(struct upcall_call *call, uint64_t deadline)
{
	if (!upcall_call_pending(call))
		return -ENOENT;
	invoke_set_deadline(&call->invoke, deadline);
	return call_enter_until_done(call);
}

int upcall_call_cancel(struct upcall_call *call)
{
	struct upcall_command command = {
		.type = UPCALL_COMMAND_CANCEL,
		.target = call->invoke.call_id,
	};

	if (!upcall_call_pending(call))
		return -ENOENT;
	call->invoke.call_id = 0;
	return upcall_peer_command(call->peer, &command);
}

int upcall_call_pending(const struct upcall_call *call)
{
	return call->invoke.call_id != 0;
}

void upcall_call_set_signature(struct upcall_call *call, uint64_t signature)
{
	call->name_signature = true;
	call->signature = signature;
}

void upcall_call_clear_signature(struct upcall_call *call)
{
	call->name_signature = false;
}

void upcall_call_set_reply_max(struct upcall_call *call, uint32_t bytes)
{
	call->reply_max = bytes < UPCALL_MAX_PAYLOAD ? bytes : UPCALL_MAX_PAYLOAD;
}

void upcall_call_set_interruptible(struct upcall_call *call, int on)
{
	call->interruptible = on;
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
