// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A call: INVOKE, entered again as often as its rules ask for.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

#define REPLY_ROOM	4096	/* bytes to begin with */

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
	call->stub = -1;
	call->invoke.size = sizeof(call->invoke);
	call->peer = upcall_peer_get(peer);
	*result = call;
	return 0;
}

void upcall_call_free(struct upcall_call *call)
{
	if (!call)
		return;
	upcall_call_reset(call);
	upcall_peer_put(call->peer);
	free(call->reply);
	free(call);
}

int upcall_call_grow(struct upcall_call *call, uint32_t room)
{
	void *reply = realloc(call->reply, room);

	if (!reply)
		return -ENOMEM;
	call->reply = reply;
	call->room = room;
	return 0;
}

/*
 * Room for the longest reply: one that has to be kept for its caller costs the kernel an id. What
 * is not written to takes address space only. Without it a longer one is fetched again.
 */
static void call_make_room(struct upcall_call *call)
{
	void *reply = malloc(call->reply_max);

	if (!reply)
		return;
	free(call->reply);
	call->reply = reply;
	call->room = call->reply_max;
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

/* What the last call left. */
static void call_end_last(struct upcall_call *call)
{
	upcall_call_cancel(call);
	if (atomic_load(&call->active))
		upcall_async_orphan(call);
	upcall_call_close_fds(call);
	call->invoke.call_id = 0;
}

/* A new call has nothing to tell yet. */
void upcall_call_reset(struct upcall_call *call)
{
	const size_t out = offsetof(struct upcall_invoke, stage);

	if (call->invoke.call_id || call->reply_fd_count || atomic_load(&call->active))
		call_end_last(call);
	memset((char *)&call->invoke + out, 0, sizeof(call->invoke) - out);
}

static inline int call_begin(struct upcall_call *call, uint64_t handle, uint32_t op,
			     const void *arg, size_t len, uint64_t deadline)
{
	struct upcall_invoke *invoke = &call->invoke;

	upcall_call_reset(call);
	if (len > UPCALL_MAX_PAYLOAD)
		return upcall_call_fail_early(call, -EMSGSIZE);
	invoke->flags = call->flags & (UPCALL_INVOKE_SIGNATURE | UPCALL_INVOKE_STUB_FD);
	invoke->target = call->stub < 0 ? handle : (uint64_t)call->stub;
	invoke->op = op;
	invoke->arg = len ? (uintptr_t)arg : 0;
	invoke->arg_len = (uint32_t)len;
	invoke->fds = call->fd_count ? (uintptr_t)call->fds : 0;
	invoke->fd_count = call->fd_count;
	call->fd_count = 0;	/* with this call only */
	invoke->signature = call->signature;
	if (upcall_current)
		deadline = upcall_nested_deadline(call, deadline);
	invoke_set_deadline(invoke, deadline);
	return 0;
}

/* A new call: what is common to all ways of making it. */
int upcall_call_begin(struct upcall_call *call, uint64_t handle, uint32_t op, const void *arg,
		      size_t len, uint64_t deadline)
{
	return call_begin(call, handle, op, arg, len, deadline);
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
	return upcall_peer_enter(call->peer, UPCALL_IOC_INVOKE, invoke);
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
		call->reply_fd_count = invoke->reply_fd_count;
		if (!err)
			return (int)invoke->reply_len;
		if (err == -EINTR && !call->interruptible)
			continue;
		if (err != -EMSGSIZE || !invoke->call_id)
			return err;
		grow_err = upcall_call_grow(call, invoke->needed);
		if (grow_err) {
			if (!call->peer->stub)	/* there it stays, to be fetched */
				upcall_call_cancel(call);
			return grow_err;
		}
	}
}

static bool call_nests(const struct upcall_call *call)
{
	return (call->nested || (upcall_current && !call->detached)) && !call->peer->stub;
}

int upcall_call_invoke(struct upcall_call *call, uint64_t handle, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline)
{
	struct upcall_invoke *invoke = &call->invoke;
	int err;

	err = call_begin(call, handle, op, arg, len, deadline);
	if (err)
		return err;
	if (call_nests(call))
		return upcall_nested_invoke(call);
	if (call->room < call->reply_max) {
		call_make_room(call);
		/* No reply with descriptors is kept on a stub fd, to be fetched with more room. */
		if (call->peer->stub && call->reply_fd_max && call->room < call->reply_max)
			return upcall_call_fail_early(call, -ENOMEM);
	}
	invoke->flags |= call->flags & UPCALL_INVOKE_WAIT_ROOM;
	invoke->reply_max = call->reply_max;
	invoke->reply_fds = call->reply_fd_max ? (uintptr_t)call->reply_fds : 0;
	invoke->reply_fd_room = call->reply_fd_max;
	return call_enter_until_done(call);
}

int upcall_call_notify(struct upcall_call *call, uint64_t handle, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline)
{
	struct upcall_invoke *invoke = &call->invoke;
	int err;

	err = call_begin(call, handle, op, arg, len, deadline);
	if (err)
		return err;
	invoke->flags |= UPCALL_INVOKE_ONEWAY | call->flags;
	invoke->reply = 0;
	invoke->reply_room = 0;
	invoke->reply_max = 0;
	invoke->reply_fds = 0;
	invoke->reply_fd_room = 0;
	return call_enter(call);
}

int upcall_call_wait(struct upcall_call *call, uint64_t deadline)
{
	if (atomic_load(&call->active) && call->pending.waited)
		return upcall_nested_wait(call);	/* the kernel keeps its deadline */
	if (!call->invoke.call_id)
		return -ENOENT;
	invoke_set_deadline(&call->invoke, deadline);
	return call_enter_until_done(call);
}

/* One whose wait was interrupted is given up; of one that was started the RESULT still comes. */
static int call_cancel_active(struct upcall_call *call)
{
	int err = upcall_cancel(call->peer, call->pending.id);

	if (!call->pending.waited)
		return err;
	upcall_async_orphan(call);
	upcall_incoming_free(call->pending.result);
	call->pending.result = NULL;
	return 0;
}

/* A stub takes no commands: a wait whose deadline has passed gives the call up. */
static int call_cancel_on_stub(struct upcall_call *call)
{
	int err;

	invoke_set_deadline(&call->invoke, 1);
	err = call_enter_until_done(call);
	call->invoke.call_id = 0;
	return err == -ENOENT ? err : 0;
}

int upcall_call_cancel(struct upcall_call *call)
{
	uint64_t id = call->invoke.call_id;

	if (atomic_load(&call->active))
		return call_cancel_active(call);
	if (!id)
		return -ENOENT;
	if (call->peer->stub)
		return call_cancel_on_stub(call);
	call->invoke.call_id = 0;
	return upcall_cancel(call->peer, id);
}

int upcall_call_pending(const struct upcall_call *call)
{
	return call->invoke.call_id != 0 || atomic_load(&call->active);
}

void upcall_call_set_reply_max(struct upcall_call *call, uint32_t bytes)
{
	call->reply_max = bytes < UPCALL_MAX_PAYLOAD ? bytes : UPCALL_MAX_PAYLOAD;
}

void upcall_call_set_interruptible(struct upcall_call *call, int on)
{
	call->interruptible = on;
}

static void call_set_flag(struct upcall_call *call, uint32_t flag, int on)
{
	call->flags = on ? call->flags | flag : call->flags & ~flag;
}

void upcall_call_set_signature(struct upcall_call *call, uint64_t signature)
{
	call_set_flag(call, UPCALL_INVOKE_SIGNATURE, 1);
	call->signature = signature;
}

void upcall_call_clear_signature(struct upcall_call *call)
{
	call_set_flag(call, UPCALL_INVOKE_SIGNATURE, 0);
	call->signature = 0;
}

void upcall_call_set_stub(struct upcall_call *call, int fd)
{
	call->stub = fd < 0 ? -1 : fd;
	call_set_flag(call, UPCALL_INVOKE_STUB_FD, fd >= 0);
}

void upcall_call_set_wait_room(struct upcall_call *call, int on)
{
	call_set_flag(call, UPCALL_INVOKE_WAIT_ROOM, on);
}

void upcall_call_set_latest(struct upcall_call *call, int on)
{
	call_set_flag(call, UPCALL_INVOKE_LATEST, on);
}

void upcall_call_set_nested(struct upcall_call *call, int on)
{
	call->nested = on;
}

void upcall_call_set_detached(struct upcall_call *call, int on)
{
	call->detached = on;
}

int upcall_call_set_fds(struct upcall_call *call, const int *fds, unsigned int count)
{
	unsigned int i;

	if (count > UPCALL_MAX_FDS)
		return -EINVAL;
	for (i = 0; i < count; i++)
		call->fds[i] = (uint32_t)fds[i];
	call->fd_count = count;
	return 0;
}

int upcall_call_set_reply_fds(struct upcall_call *call, unsigned int max)
{
	if (max > UPCALL_MAX_FDS)
		return -EINVAL;
	call->reply_fd_max = max;
	return 0;
}
