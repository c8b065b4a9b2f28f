// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Events of the test double, into a receiver's buffer: first all that are no calls, then calls.
 */
#include <string.h>
#include "double.h"

/* Where they go: one behind the other. */
struct buffer {
	struct double_registry *registry;
	unsigned char *at;
	uint32_t room;
	uint32_t calls;
	uint32_t fds;
};

/* One event with what rides: descriptors stand behind the bytes. */
struct layout {
	uint32_t head, payload, fds_offset, size;
};

static struct layout layout_of(uint32_t head, uint32_t payload, uint32_t fds)
{
	struct layout layout = { .head = head, .payload = payload };

	layout.fds_offset = (head + payload + 7) & ~7U;
	layout.size = (layout.fds_offset + fds * 4 + 7) & ~7U;
	return layout;
}

static void write_event(struct buffer *buffer, const struct layout *layout, const void *head,
			const void *payload, struct double_fds *fds)
{
	memcpy(buffer->at, head, layout->head);
	if (payload && layout->payload)
		memcpy(buffer->at + layout->head, payload, layout->payload);
	if (fds && fds->count) {
		buffer->fds += fds->count;
		upcall_double_fds_give(buffer->registry, fds,
				       (uint32_t *)(void *)(buffer->at + layout->fds_offset));
	}
	buffer->at += layout->size;
	buffer->room -= layout->size;
}

/* 1: written. 0: no more in this batch. -EMSGSIZE: *needed. */
static int buffer_fits(const struct buffer *buffer, const struct layout *layout, uint32_t fds,
		       uint32_t *needed)
{
	if (fds && buffer->fds + fds > UPCALL_MAX_FDS)
		return 0;
	if (layout->size <= buffer->room)
		return 1;
	*needed = layout->size;
	return -EMSGSIZE;
}

static int put_call(struct buffer *buffer, struct double_call *call, uint32_t *needed)
{
	const uint32_t fds = call->arg_fds.count;
	const struct layout layout = layout_of(sizeof(struct upcall_event_call), call->arg_len, fds);
	const struct upcall_event_call event = {
		.event = { layout.size, UPCALL_EVENT_CALL, call->callback->reg.handle,
			   call->callback->reg.cookie },
		.call = double_owner_id(call), .seq = call->outcome.seq, .deadline_ns = call->deadline_ns,
		.start_time = call->registry->start_time, .flags = call->flags, .op = call->op,
		.pid = call->pid, .tid = call->tid, .uid = call->uid, .gid = call->gid,
		.reply_max = call->reply_max, .dropped = call->dropped,
		.payload_offset = layout.head, .payload_len = call->arg_len,
		.fds_offset = layout.fds_offset, .fd_count = fds,
		.reply_fd_max = call->reply_fd_max, .depth = call->depth,
	};
	int fits = buffer_fits(buffer, &layout, fds, needed);

	if (fits <= 0)
		return fits;
	write_event(buffer, &layout, &event, call->arg, &call->arg_fds);
	upcall_double_call_deliver(call);
	if (call->flags & UPCALL_CALL_ENDED)
		upcall_double_call_owner_end(call);
	buffer->calls++;
	return 1;
}

static int put_result(struct buffer *buffer, struct double_call *call, uint32_t *needed)
{
	const struct double_outcome *outcome = &call->outcome;
	const uint32_t fds = call->reply_fds.count;
	const struct layout layout = layout_of(sizeof(struct upcall_event_result),
					       call->reply_len, fds);
	const struct upcall_event_result event = {
		.event = { layout.size, UPCALL_EVENT_RESULT, call->callback->reg.handle,
			   call->user_data },
		.call_id = call->number, .seq = outcome->seq, .error = outcome->error,
		.stage = outcome->stage, .status = outcome->status, .reason = outcome->reason,
		.word = outcome->word, .queued_ns = outcome->queued_ns,
		.run_ns = outcome->run_ns, .total_ns = outcome->total_ns,
		.payload_offset = layout.head, .payload_len = call->reply_len,
		.fds_offset = layout.fds_offset, .fd_count = fds,
	};
	int fits = buffer_fits(buffer, &layout, fds, needed);

	if (fits <= 0)
		return fits;
	write_event(buffer, &layout, &event, call->reply, &call->reply_fds);
	upcall_double_call_caller_end(call);
	return 1;
}

static int put_cancel(struct buffer *buffer, struct double_call *call, uint32_t *needed)
{
	const struct layout layout = layout_of(sizeof(struct upcall_event_cancel), 0, 0);
	const struct upcall_event_cancel event = {
		.event = { layout.size, UPCALL_EVENT_CANCEL, call->callback->reg.handle,
			   call->callback->reg.cookie },
		.call = double_owner_id(call), .error = call->cancel_error,
	};
	int fits = buffer_fits(buffer, &layout, 0, needed);

	if (fits <= 0)
		return fits;
	write_event(buffer, &layout, &event, NULL, NULL);
	double_list_remove(&call->cancel.link);
	return 1;
}

static int put_released(struct buffer *buffer, struct double_callback *callback, uint32_t *needed)
{
	const struct layout layout = layout_of(sizeof(struct upcall_event), 0, 0);
	const struct upcall_event event = {
		layout.size, UPCALL_EVENT_RELEASED, callback->reg.handle, callback->reg.cookie
	};
	int fits = buffer_fits(buffer, &layout, 0, needed);

	if (fits <= 0)
		return fits;
	write_event(buffer, &layout, &event, NULL, NULL);
	double_list_remove(&callback->released.link);
	callback->owner->registry->counted--;
	callback->owner = NULL;
	return 1;
}

/* The next event that this receiver takes; -EAGAIN: there is none. */
static int put_next(struct double_receiver *receiver, struct buffer *buffer, uint32_t *needed)
{
	struct double_peer *peer = receiver->peer;
	struct double_link *link;

	double_for_each(link, &peer->events) {
		struct double_event *event = double_entry(link, struct double_event, link);

		if (!upcall_double_takes_event(receiver, event))
			continue;
		if (event->type == UPCALL_EVENT_RESULT)
			return put_result(buffer, event->subject, needed);
		if (event->type == UPCALL_EVENT_CANCEL)
			return put_cancel(buffer, event->subject, needed);
		return put_released(buffer, event->subject, needed);
	}
	double_for_each(link, &peer->queue) {
		struct double_call *call = double_entry(link, struct double_call, owner_link);

		if (buffer->calls >= receiver->max_calls)
			break;
		if (upcall_double_takes_call(receiver, call))
			return put_call(buffer, call, needed);
	}
	return -EAGAIN;
}

/* Whatever there is and fits. 0, -EAGAIN or, if not even the first one fits, -EMSGSIZE. */
int upcall_double_collect(struct double_receiver *receiver, struct upcall_exchange *args)
{
	struct buffer buffer = {
		.registry = receiver->peer->registry,
		.at = (unsigned char *)(uintptr_t)args->events, .room = args->events_len,
	};
	struct double_call *waited = receiver->wait_call;
	uint32_t needed = 0;
	int ret = 1;

	if (double_bad(args->events, args->events_len))
		return -EFAULT;
	while (ret == 1 && args->event_count < UPCALL_MAX_EVENTS) {
		const bool ends = waited && !double_list_empty(&waited->result.link);

		ret = put_next(receiver, &buffer, &needed);
		if (ret == 1)
			args->event_count++;
		if (ret == 1 && ends)
			break;
	}
	args->events_used = args->events_len - buffer.room;
	if (args->event_count)
		return 0;
	args->needed = needed;
	return ret;
}
