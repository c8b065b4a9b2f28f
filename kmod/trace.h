/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints. Each registered has its released, each queued its ended: whatever is created
 * is destroyed, and tests count it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM upcall

#if !defined(_UPCALL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _UPCALL_TRACE_H

#include <linux/tracepoint.h>
#include "call.h"
#include "callback.h"
#include "peer.h"

DECLARE_EVENT_CLASS(upcall_callback_class,
	TP_PROTO(struct upcall_callback *cb),
	TP_ARGS(cb),
	TP_STRUCT__entry(
		__field(u64, handle)
		__field(int, peer)
		__field(u32, reason)
		__field(u64, calls)
		__array(char, label, UPCALL_MAX_LABEL + 1)
	),
	TP_fast_assign(
		__entry->handle = cb->handle;
		__entry->peer = READ_ONCE(cb->peer->id);
		__entry->reason = cb->reason;
		__entry->calls = cb->traffic ? cb->traffic->seq : 0;
		memcpy(__entry->label, cb->label, UPCALL_MAX_LABEL);
		__entry->label[UPCALL_MAX_LABEL] = '\0';
	),
	TP_printk("handle=%llu peer=%d label=%s reason=%u calls=%llu",
		  __entry->handle, __entry->peer, __entry->label, __entry->reason,
		  __entry->calls)
);

/* A callback can be called from here on. */
DEFINE_EVENT(upcall_callback_class, upcall_registered,
	TP_PROTO(struct upcall_callback *cb), TP_ARGS(cb));

/* It is over: RELEASED was read, or its owner is gone. */
DEFINE_EVENT(upcall_callback_class, upcall_released,
	TP_PROTO(struct upcall_callback *cb), TP_ARGS(cb));

/* A call that failed before it was queued, and why. */
TRACE_EVENT(upcall_refused,
	TP_PROTO(struct upcall_peer *caller, u64 handle, int err),
	TP_ARGS(caller, handle, err),
	TP_STRUCT__entry(
		__field(u64, handle)
		__field(int, caller)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->handle = handle;
		__entry->caller = READ_ONCE(caller->id);
		__entry->err = err;
	),
	TP_printk("handle=%llu caller=%d err=%d", __entry->handle, __entry->caller, __entry->err)
);

/* Its owner has died, and what that one had under way is ended: it waits for a successor. */
TRACE_EVENT(upcall_orphaned,
	TP_PROTO(struct upcall_peer *peer),
	TP_ARGS(peer),
	TP_STRUCT__entry(
		__field(int, peer)
		__field(u32, reason)
		__field(u32, exit_status)
		__field(u32, callbacks)
	),
	TP_fast_assign(
		__entry->peer = READ_ONCE(peer->id);
		__entry->reason = peer->orphan_death.reason;
		__entry->exit_status = peer->orphan_death.exit_status;
		__entry->callbacks = peer->ncallbacks;
	),
	TP_printk("peer=%d reason=%u exit_status=%u callbacks=%u", __entry->peer,
		  __entry->reason, __entry->exit_status, __entry->callbacks)
);

/* It belongs to the calling process now. */
TRACE_EVENT(upcall_adopted,
	TP_PROTO(struct upcall_peer *peer),
	TP_ARGS(peer),
	TP_STRUCT__entry(
		__field(int, peer)
		__field(u32, callbacks)
		__field(u32, queued)
	),
	TP_fast_assign(
		__entry->peer = READ_ONCE(peer->id);
		__entry->callbacks = peer->ncallbacks;
		__entry->queued = peer->nqueued;
	),
	TP_printk("peer=%d callbacks=%u queued=%u", __entry->peer, __entry->callbacks,
		  __entry->queued)
);

DECLARE_EVENT_CLASS(upcall_call_class,
	TP_PROTO(struct upcall_call *call),
	TP_ARGS(call),
	TP_STRUCT__entry(
		__field(u64, handle)
		__field(u64, call)
		__field(u64, seq)
		__field(int, caller)
		__field(u32, op)
		__field(u32, flags)
		__field(u32, arg_len)
		__field(u32, reply_len)
		__field(u32, status)
		__field(int, err)
		__field(u32, stage)
	),
	TP_fast_assign(
		__entry->handle = call->cb->handle;
		__entry->call = call->owner_id;
		__entry->seq = call->seq;
		__entry->caller = call->caller_peer;
		__entry->op = call->op;
		__entry->flags = call->flags;
		__entry->arg_len = call->arg_len;
		__entry->reply_len = call->answer.reply.len;
		__entry->status = call->answer.status;
		__entry->err = call->answer.err;
		__entry->stage = call->answer.stage;
	),
	TP_printk("handle=%llu call=%#llx seq=%llu caller=%d op=%u flags=%#x arg=%u reply=%u status=%d err=%d stage=%u",
		  __entry->handle, __entry->call, __entry->seq, __entry->caller, __entry->op,
		  __entry->flags, __entry->arg_len, __entry->reply_len, (int)__entry->status,
		  __entry->err, __entry->stage)
);

/* A call was accepted. */
DEFINE_EVENT(upcall_call_class, upcall_queued,
	TP_PROTO(struct upcall_call *call), TP_ARGS(call));

/* Its owner has it. */
DEFINE_EVENT(upcall_call_class, upcall_delivered,
	TP_PROTO(struct upcall_call *call), TP_ARGS(call));

/* Its owner died with it, and it is queued again: it is delivered once more, or ends. */
DEFINE_EVENT(upcall_call_class, upcall_requeued,
	TP_PROTO(struct upcall_call *call), TP_ARGS(call));

/* Its owner replied, and the reply counts. */
DEFINE_EVENT(upcall_call_class, upcall_replied,
	TP_PROTO(struct upcall_call *call), TP_ARGS(call));

/* Both ends have come, and nothing of it is left: err and stage are what its caller got. */
DEFINE_EVENT(upcall_call_class, upcall_ended,
	TP_PROTO(struct upcall_call *call), TP_ARGS(call));

#endif /* _UPCALL_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
