// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * LIST of the test double. A cursor is the number of the last record that was written.
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>
#include "double.h"

#define RECORD_MAX	4096U	/* bytes */
#define LIST_BYTES_MAX	(1U << 20)

union record {
	struct upcall_list_callback callback;
	struct upcall_list_peer peer;
	struct upcall_list_call call;
	struct upcall_list_user user;
};

static uint64_t next_callback(struct double_registry *registry, uint64_t cursor,
			      union record *record)
{
	for (; cursor < registry->callback_count; cursor++) {
		const struct double_callback *callback = registry->callbacks[cursor];

		if (!callback->owner)	/* its RELEASED was received */
			continue;
		record->callback = (struct upcall_list_callback){
			.handle = callback->reg.handle, .peer = callback->owner->number,
			.state = callback->state == UPCALL_STATE_LIVE ?
				 UPCALL_STATE_LIVE : UPCALL_STATE_CLOSING,
			.access = callback->reg.access,
			.access_id = callback->reg.access_id,
			.register_flags = callback->reg.flags, .pid = (uint32_t)getpid(),
			.uid = callback->uid, .queued = callback->queued,
			.running = callback->running, .queued_bytes = callback->queued_bytes,
			.calls = callback->calls, .refused = callback->refused,
			.registered_ns = callback->registered_ns,
			.queued_ns = callback->queued_ns, .run_ns = callback->run_ns,
		};
		memcpy(record->callback.label, callback->reg.label, UPCALL_MAX_LABEL);
		return cursor + 1;
	}
	return 0;
}

static uint32_t list_length(const struct double_link *head)
{
	const struct double_link *link;
	uint32_t length = 0;

	double_for_each(link, head)
		length++;
	return length;
}

static uint32_t peer_count_waiting(const struct double_peer *peer)
{
	const struct double_link *link;
	uint32_t count = 0;

	double_for_each(link, &peer->outgoing) {
		const struct double_call *call = double_entry(link, struct double_call, caller_link);

		count += !(call->flags & UPCALL_CALL_ONEWAY);
	}
	return count;
}

static uint32_t peer_count_callbacks(const struct double_peer *peer)
{
	uint32_t i, count = 0;

	for (i = 0; i < peer->registry->callback_count; i++)
		count += peer->registry->callbacks[i]->owner == peer;
	return count;
}

static uint64_t next_peer(struct double_registry *registry, uint64_t cursor, union record *record)
{
	struct double_link *link;

	double_for_each(link, &registry->peers) {
		const struct double_peer *peer = double_entry(link, struct double_peer, link);

		if (peer->number <= cursor || !peer->bound)
			continue;
		record->peer = (struct upcall_list_peer){
			.peer = peer->number, .pid = (uint32_t)getpid(), .uid = geteuid(),
			.callbacks = peer_count_callbacks(peer),
			.queued = list_length(&peer->queue),
			.running = list_length(&peer->running),
			.waiting = peer_count_waiting(peer),
			.receivers = list_length(&peer->receivers), .ended = peer->ended,
		};
		return peer->number;
	}
	return 0;
}

static void fill_call(const struct double_call *call, union record *record)
{
	const bool left = !call->caller && !(call->flags & UPCALL_CALL_ONEWAY);

	record->call = (struct upcall_list_call){
		.handle = call->callback->reg.handle, .owner_peer = call->owner->number,
		.caller_peer = call->caller ? call->caller->number : 0, .call = double_owner_id(call),
		.age_ns = upcall_double_now() - call->queued_at,
		.deadline_ns = call->deadline_ns, .owner_pid = (uint32_t)getpid(),
		.caller_pid = call->pid, .caller_tid = call->tid, .caller_uid = call->uid,
		.stage = call->delivered ? UPCALL_STAGE_DELIVERED : UPCALL_STAGE_NOT_DELIVERED,
		.op = call->op, .flags = call->flags | (left ? UPCALL_CALL_LEFT : 0),
		.arg_len = call->arg_len,
	};
	memcpy(record->call.label, call->callback->reg.label, UPCALL_MAX_LABEL);
}

static uint64_t next_call(struct double_registry *registry, uint64_t cursor, union record *record)
{
	struct double_link *link;

	double_for_each(link, &registry->calls) {
		const struct double_call *call = double_entry(link, struct double_call, all_link);

		if (call->number > cursor && call->owner) {
			fill_call(call, record);
			return call->number;
		}
	}
	return 0;
}

static uint64_t next_user(struct double_registry *registry, uint64_t cursor, union record *record)
{
	if (cursor)
		return 0;
	record->user = (struct upcall_list_user){
		.uid = geteuid(), .callbacks = registry->counted,
		.queued_calls = registry->call_count, .queued_bytes = registry->call_bytes,
		.fds = registry->fds,
	};
	return 1;
}

static const struct {
	uint64_t (*next)(struct double_registry *registry, uint64_t cursor, union record *record);
	uint32_t size;
} kinds[] = {
	[UPCALL_LIST_CALLBACKS] = { next_callback, sizeof(struct upcall_list_callback) },
	[UPCALL_LIST_PEERS] = { next_peer, sizeof(struct upcall_list_peer) },
	[UPCALL_LIST_CALLS] = { next_call, sizeof(struct upcall_list_call) },
	[UPCALL_LIST_USERS] = { next_user, sizeof(struct upcall_list_user) },
};

int upcall_double_list_check(struct upcall_list *args)
{
	if (args->flags || args->what < UPCALL_LIST_CALLBACKS || args->what > UPCALL_LIST_USERS)
		return -EINVAL;
	if (args->record_size < 8 || args->record_size > RECORD_MAX || args->record_size % 8)
		return -EINVAL;
	return 0;
}

int upcall_double_list(struct double_peer *peer, struct upcall_list *args)
{
	uint32_t len = args->buffer_len < LIST_BYTES_MAX ? args->buffer_len : LIST_BYTES_MAX;
	uint32_t size = kinds[args->what].size;
	unsigned char *at = (unsigned char *)(uintptr_t)args->buffer;
	union record record;
	uint64_t next;

	if (len < args->record_size)
		return -EMSGSIZE;
	for (args->count = 0; len >= args->record_size; len -= args->record_size) {
		next = kinds[args->what].next(peer->registry, args->cursor, &record);
		if (!next)
			break;
		if (double_bad(args->buffer, 1))
			return -EFAULT;
		memset(at, 0, args->record_size);
		memcpy(at, &record, size < args->record_size ? size : args->record_size);
		at += args->record_size;
		args->cursor = next;
		args->count++;
	}
	return 0;
}
