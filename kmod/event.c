// SPDX-License-Identifier: GPL-2.0-only
/* What an event is about, and how it is written to its receiver. */
#include <linux/pid.h>
#include <linux/uaccess.h>
#include "args.h"
#include "borrowed.h"
#include "call.h"
#include "callback.h"
#include "event.h"
#include "main.h"
#include "owner.h"
#include "stub.h"
#include "submit.h"
#include "timens.h"

/**
 * upcall_node_callback() - The callback that an event is about
 * @node: Any.
 *
 * Context: Any context.
 * Return: It; with RESULT another peer's.
 */
struct upcall_callback *upcall_node_callback(struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_RELEASED:
		return container_of(node, struct upcall_callback, released);
	case UPCALL_EVENT_UNREFERENCED:
		return container_of(node, struct upcall_stubs, unreferenced)->cb;
	default:
		return upcall_node_call(node)->cb;
	}
}

/**
 * upcall_node_fds() - The descriptors that ride with an event
 * @node: Any.
 *
 * Context: Any context.
 * Return: They, or NULL.
 */
struct upcall_fds *upcall_node_fds(struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return upcall_node_call(node)->fds;
	case UPCALL_EVENT_RESULT:
		return upcall_node_call(node)->answer.fds;
	default:
		return NULL;
	}
}

/* Bytes before the numbers of descriptors: a struct and the payload. */
static u32 node_fds_offset(struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return upcall_call_event_size(upcall_node_call(node));
	case UPCALL_EVENT_RESULT:
		return sizeof(struct upcall_event_result) +
		       ALIGN(upcall_node_call(node)->answer.reply.len, 8);
	case UPCALL_EVENT_CANCEL:
		return sizeof(struct upcall_event_cancel);
	default:
		return sizeof(struct upcall_event);
	}
}

/**
 * upcall_node_size() - Bytes that an event takes in the buffer
 * @node: Any.
 *
 * Context: Any context.
 * Return: A multiple of 8; at most a struct, UPCALL_MAX_PAYLOAD and UPCALL_MAX_FDS numbers.
 */
u32 upcall_node_size(struct upcall_event_node *node)
{
	return node_fds_offset(node) + upcall_fds_size(upcall_node_fds(node));
}

static void event_fill_result(struct upcall_event_result *event, struct upcall_call *call)
{
	struct upcall_invoke args = {};

	upcall_submit_say_answer(&args, call);
	event->call_id = call->caller_id;
	event->seq = args.seq;
	event->error = -call->answer.err;
	event->stage = args.stage;
	event->status = args.status;
	event->reason = args.reason;
	event->exit_status = args.exit_status;
	event->word = args.word;
	event->queued_ns = args.queued_ns;
	event->run_ns = args.run_ns;
	event->total_ns = args.total_ns;
	event->payload_offset = sizeof(*event);
	event->payload_len = call->answer.reply.len;
	event->fds_offset = node_fds_offset(&call->result);
	event->fd_count = upcall_fds_count(call->answer.fds);
}

static void event_fill(struct upcall_event *event, struct upcall_event_node *node)
{
	event->size = node->size;
	event->type = node->type;
	event->handle = upcall_node_callback(node)->handle;
	event->cookie = node->cookie;
}

static int node_clear_fds(struct upcall_event_node *node, char __user *to)
{
	if (likely(!upcall_node_fds(node)))
		return 0;
	return upcall_fds_clear(upcall_node_fds(node), to + node_fds_offset(node));
}

static int node_copy_payload(struct upcall_event_node *node, const struct upcall_payload *payload,
			     char __user *to, size_t size)
{
	if (payload->len && upcall_payload_to_user(payload, to + size))
		return -EFAULT;
	return node_clear_fds(node, to);
}

/* Who calls, as the receiver sees it: looked up once for all events of one caller in a batch. */
static void view_look(struct upcall_view *view, const struct upcall_call *call)
{
	if (view->from != call->from) {
		view->from = call->from;
		upcall_ident_show(call->from, &view->ids);
	}
	if (view->tid != call->tid) {
		view->tid = call->tid;
		view->tid_shown = call->tid == call->from->tgid ? view->ids.pid
								: upcall_pid_show(call->tid);
	}
}

/* Between user_write_access_*(): words, as in payload.c. */
static __always_inline int put_small(const u8 *small, u32 len, char __user *to)
{
	u32 i;

	for (i = 0; i + 8 <= len; i += 8)
		unsafe_put_user(*(const u64 *)(small + i), (u64 __user *)(to + i), out_fault);
	for (; i < len; i++)
		unsafe_put_user(small[i], (u8 __user *)(to + i), out_fault);
	return 0;

out_fault:
	return -EFAULT;
}

/* Member by member: all of it is written, so there is nothing to clear, nor to copy once more. */
static __always_inline int put_call(const struct upcall_event_node *node,
				    const struct upcall_call *call, u64 deadline,
				    const struct upcall_view *view,
				    struct upcall_event_call __user *to)
{
	u32 flags = call->flags | (call->ran ? UPCALL_CALL_AGAIN : 0);
	u32 fds = node->fds * sizeof(u32);

	unsafe_put_user(node->size, &to->event.size, out_fault);
	unsafe_put_user(UPCALL_EVENT_CALL, &to->event.type, out_fault);
	unsafe_put_user(call->cb->handle, &to->event.handle, out_fault);
	unsafe_put_user(node->cookie, &to->event.cookie, out_fault);
	unsafe_put_user(call->owner_id, &to->call, out_fault);
	unsafe_put_user(call->seq, &to->seq, out_fault);
	unsafe_put_user(deadline, &to->deadline_ns, out_fault);
	unsafe_put_user(view->ids.start_time, &to->start_time, out_fault);
	unsafe_put_user(flags, &to->flags, out_fault);
	unsafe_put_user(call->op, &to->op, out_fault);
	unsafe_put_user(view->ids.pid, &to->pid, out_fault);
	unsafe_put_user(view->tid_shown, &to->tid, out_fault);
	unsafe_put_user(view->ids.uid, &to->uid, out_fault);
	unsafe_put_user(view->ids.gid, &to->gid, out_fault);
	unsafe_put_user(call->reply_max, &to->reply_max, out_fault);
	unsafe_put_user(call->dropped, &to->dropped, out_fault);
	unsafe_put_user((u32)sizeof(*to), &to->payload_offset, out_fault);
	unsafe_put_user(call->arg_len, &to->payload_len, out_fault);
	unsafe_put_user(node->size - ALIGN(fds, 8), &to->fds_offset, out_fault);
	unsafe_put_user((u32)node->fds, &to->fd_count, out_fault);
	unsafe_put_user(call->reply_fd_max, &to->reply_fd_max, out_fault);
	unsafe_put_user(call->depth, &to->depth, out_fault);
	return 0;

out_fault:
	return -EFAULT;
}

static int node_copy_arg(struct upcall_call *call, char __user *to)
{
	if (call->arg_len >= UPCALL_BORROW_MIN)
		return upcall_borrowed_to_user(call, to);
	return upcall_payload_to_user(&call->arg, to);
}

static int node_copy_call(struct upcall_event_node *node, char __user *to,
			  struct upcall_view *view)
{
	struct upcall_call *call = upcall_node_call(node);
	bool small = call->arg_len <= UPCALL_SMALL_PAYLOAD;
	u64 deadline = 0;
	int err;

	view_look(view, call);
	if (!(call->flags & UPCALL_CALL_NO_DEADLINE))
		deadline = ktime_to_ns(upcall_time_show(call->deadline));
	if (!user_write_access_begin(to, node->size))
		return -EFAULT;
	err = put_call(node, call, deadline, view, (void __user *)to);
	if (!err && small)
		err = put_small(call->arg.small, call->arg.len,
				to + sizeof(struct upcall_event_call));
	user_write_access_end();
	if (!err && !small)
		err = node_copy_arg(call, to + sizeof(struct upcall_event_call));
	return err ?: node_clear_fds(node, to);
}

static int node_copy_result(struct upcall_event_node *node, char __user *to)
{
	struct upcall_call *call = upcall_node_call(node);
	struct upcall_event_result event = {};

	event_fill(&event.event, node);
	event_fill_result(&event, call);
	if (upcall_words_write(to, &event, sizeof(event)))
		return -EFAULT;
	return node_copy_payload(node, &call->answer.reply, to, sizeof(event));
}

static int node_copy_cancel(struct upcall_event_node *node, char __user *to)
{
	struct upcall_event_cancel event = {};

	event_fill(&event.event, node);
	event.call = upcall_node_call(node)->owner_id;
	event.error = -upcall_node_call(node)->answer.err;
	return upcall_words_write(to, &event, sizeof(event));
}

static int node_copy_notice(struct upcall_event_node *node, char __user *to)
{
	struct upcall_event event = {};

	event_fill(&event, node);
	return upcall_words_write(to, &event, sizeof(event));
}

/**
 * upcall_node_copy() - Write one event to its receiver, all but its descriptors
 * @node: In that one's batch.
 * @to: Room for it. Padding behind a payload is not written: what stands there is the
 *	receiver's own.
 * @view: Empty with the first event of a batch.
 *
 * Context: Process context, may fault.
 * Return: 0; -EFAULT; or -ECANCELED: it is a CALL whose caller has left, and cannot be received.
 */
int upcall_node_copy(struct upcall_event_node *node, char __user *to, struct upcall_view *view)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return node_copy_call(node, to, view);
	case UPCALL_EVENT_RESULT:
		return node_copy_result(node, to);
	case UPCALL_EVENT_CANCEL:
		return node_copy_cancel(node, to);
	default:
		return node_copy_notice(node, to);
	}
}

/* The receiver has no room for its descriptors, and gets the event without. */
static int node_lose_fds(struct upcall_event_node *node, char __user *to)
{
	struct upcall_event_result __user *result = (void __user *)to;
	struct upcall_event_call __user *call = (void __user *)to;
	u32 flags = upcall_node_call(node)->flags | UPCALL_CALL_FDS_LOST;
	int err;

	if (node->type == UPCALL_EVENT_RESULT)
		err = put_user(EMFILE, &result->error) ?: put_user(0, &result->fd_count);
	else
		err = put_user(flags, &call->flags) ?: put_user(0, &call->fd_count);
	return err;
}

/**
 * upcall_node_deliver_fds() - Install the descriptors of an event in its receiver
 * @node: Copied. To be undone by upcall_fds_undeliver().
 * @to: Where it was copied to.
 *
 * Context: Process context, may fault.
 * Return: 0 or -EFAULT.
 */
int upcall_node_deliver_fds(struct upcall_event_node *node, char __user *to)
{
	int err = upcall_fds_deliver(upcall_node_fds(node), to + node_fds_offset(node));

	return err == -EMFILE ? node_lose_fds(node, to) : err;
}
