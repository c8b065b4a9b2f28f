// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What an incoming says: one accessor for each member of its event.
 */
#include <unistd.h>
#include "internal.h"

/* Read instead of an event that is no call. */
static const struct upcall_event_call no_call = { .flags = UPCALL_CALL_NO_DEADLINE };

static const struct upcall_event_call *call_of(const struct upcall_incoming *incoming)
{
	if (incoming->event->type != UPCALL_EVENT_CALL)
		return &no_call;
	return (const struct upcall_event_call *)incoming->event;
}

/* Read instead of an event that is no result. */
static const struct upcall_event_result no_result;

static const struct upcall_event_result *result_of(const struct upcall_incoming *incoming)
{
	if (incoming->event->type != UPCALL_EVENT_RESULT)
		return &no_result;
	return (const struct upcall_event_result *)incoming->event;
}

static const struct upcall_event_cancel *cancel_of(const struct upcall_incoming *incoming)
{
	return (const struct upcall_event_cancel *)incoming->event;
}

uint32_t upcall_incoming_type(const struct upcall_incoming *incoming)
{
	return incoming->event->type;
}

uint64_t upcall_incoming_handle(const struct upcall_incoming *incoming)
{
	return incoming->event->handle;
}

uint64_t upcall_incoming_cookie(const struct upcall_incoming *incoming)
{
	return incoming->event->type == UPCALL_EVENT_RESULT ? incoming->user_data
							    : incoming->event->cookie;
}

uint64_t upcall_incoming_id(const struct upcall_incoming *incoming)
{
	if (incoming->event->type == UPCALL_EVENT_CANCEL)
		return cancel_of(incoming)->call;
	if (incoming->event->type == UPCALL_EVENT_RESULT)
		return result_of(incoming)->call_id;
	return call_of(incoming)->call;
}

int upcall_incoming_cancelled(const struct upcall_incoming *incoming)
{
	if (incoming->event->type == UPCALL_EVENT_CANCEL)
		return (int)cancel_of(incoming)->error;
	return (int)atomic_load(&incoming->cancelled);
}

const void *upcall_incoming_data(const struct upcall_incoming *incoming)
{
	if (incoming->event->type == UPCALL_EVENT_RESULT)
		return (const unsigned char *)incoming->event + result_of(incoming)->payload_offset;
	if (incoming->event->type != UPCALL_EVENT_CALL)
		return NULL;
	return (const unsigned char *)incoming->event + call_of(incoming)->payload_offset;
}

size_t upcall_incoming_len(const struct upcall_incoming *incoming)
{
	if (incoming->event->type == UPCALL_EVENT_RESULT)
		return result_of(incoming)->payload_len;
	return call_of(incoming)->payload_len;
}

uint64_t upcall_incoming_deadline(const struct upcall_incoming *incoming)
{
	const struct upcall_event_call *call = call_of(incoming);

	return call->flags & UPCALL_CALL_NO_DEADLINE ? UPCALL_NO_DEADLINE : call->deadline_ns;
}

int upcall_incoming_oneway(const struct upcall_incoming *incoming)
{
	return !!(call_of(incoming)->flags & UPCALL_CALL_ONEWAY);
}

uint32_t upcall_incoming_flags(const struct upcall_incoming *incoming)
{
	return incoming->event->type == UPCALL_EVENT_CALL ? call_of(incoming)->flags : 0;
}

uint32_t upcall_incoming_op(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->op;
}

uint32_t upcall_incoming_pid(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->pid;
}

uint32_t upcall_incoming_tid(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->tid;
}

uint32_t upcall_incoming_uid(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->uid;
}

uint32_t upcall_incoming_gid(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->gid;
}

uint64_t upcall_incoming_start_time(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->start_time;
}

uint64_t upcall_incoming_seq(const struct upcall_incoming *incoming)
{
	if (incoming->event->type == UPCALL_EVENT_RESULT)
		return result_of(incoming)->seq;
	return call_of(incoming)->seq;
}

uint32_t upcall_incoming_reply_max(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->reply_max;
}

uint32_t upcall_incoming_reply_fd_max(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->reply_fd_max;
}

uint32_t upcall_incoming_dropped(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->dropped;
}

uint32_t upcall_incoming_depth(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->depth;
}

int upcall_incoming_error(const struct upcall_incoming *incoming)
{
	return (int)result_of(incoming)->error;
}

uint32_t upcall_incoming_stage(const struct upcall_incoming *incoming)
{
	return result_of(incoming)->stage;
}

int32_t upcall_incoming_status(const struct upcall_incoming *incoming)
{
	return (int32_t)result_of(incoming)->status;
}

uint32_t upcall_incoming_reason(const struct upcall_incoming *incoming)
{
	return result_of(incoming)->reason;
}

uint32_t upcall_incoming_exit_status(const struct upcall_incoming *incoming)
{
	return result_of(incoming)->exit_status;
}

uint64_t upcall_incoming_word(const struct upcall_incoming *incoming)
{
	return result_of(incoming)->word;
}

uint64_t upcall_incoming_queued_ns(const struct upcall_incoming *incoming)
{
	return result_of(incoming)->queued_ns;
}

uint64_t upcall_incoming_run_ns(const struct upcall_incoming *incoming)
{
	return result_of(incoming)->run_ns;
}

uint64_t upcall_incoming_total_ns(const struct upcall_incoming *incoming)
{
	return result_of(incoming)->total_ns;
}

static const uint32_t *fds_of(const struct upcall_incoming *incoming)
{
	uint32_t offset = incoming->event->type == UPCALL_EVENT_RESULT ?
			  result_of(incoming)->fds_offset : call_of(incoming)->fds_offset;

	return (const uint32_t *)((const unsigned char *)incoming->event + offset);
}

unsigned int upcall_incoming_fd_count(const struct upcall_incoming *incoming)
{
	if (incoming->event->type == UPCALL_EVENT_RESULT)
		return result_of(incoming)->fd_count;
	return call_of(incoming)->fd_count;
}

int upcall_incoming_take_fd(struct upcall_incoming *incoming, unsigned int index)
{
	unsigned long long bit;

	if (index >= upcall_incoming_fd_count(incoming) || index >= UPCALL_MAX_FDS)
		return -EBADF;
	bit = 1ULL << index;
	if (atomic_fetch_or(&incoming->fds_taken, bit) & bit)
		return -EBADF;
	return (int)fds_of(incoming)[index];
}

/* What nobody took is closed. */
void upcall_incoming_close_fds(struct upcall_incoming *incoming)
{
	unsigned int i, count = upcall_incoming_fd_count(incoming);
	int fd;

	for (i = 0; i < count; i++) {
		fd = upcall_incoming_take_fd(incoming, i);
		if (fd >= 0)
			close(fd);
	}
}
