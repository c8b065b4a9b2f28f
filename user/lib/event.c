// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What an incoming says: one accessor for each member of its event.
 */
#include "internal.h"

/* Read instead of an event that is no call. */
static const struct upcall_event_call no_call = { .flags = UPCALL_CALL_NO_DEADLINE };

static const struct upcall_event_call *call_of(const struct upcall_incoming *incoming)
{
	if (incoming->event->type != UPCALL_EVENT_CALL)
		return &no_call;
	return (const struct upcall_event_call *)incoming->event;
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
	return incoming->event->cookie;
}

uint64_t upcall_incoming_id(const struct upcall_incoming *incoming)
{
	if (incoming->event->type == UPCALL_EVENT_CANCEL)
		return cancel_of(incoming)->call;
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
	if (incoming->event->type != UPCALL_EVENT_CALL)
		return NULL;
	return (const unsigned char *)incoming->event + call_of(incoming)->payload_offset;
}

size_t upcall_incoming_len(const struct upcall_incoming *incoming)
{
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
	return call_of(incoming)->seq;
}

uint32_t upcall_incoming_reply_max(const struct upcall_incoming *incoming)
{
	return call_of(incoming)->reply_max;
}
