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
 * upcall_node_call() - The call that an event is about
 * @node: CALL, RESULT or CANCEL.
 *
 * Context: Any context.
 * Return: It.
 */
struct upcall_call *upcall_node_call(struct upcall_event_node *node)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return container_of(node, struct upcall_call, node);
	case UPCALL_EVENT_RESULT:
		return container_of(node, struct upcall_call, result);
	default:
		return container_of(node, struct upcall_call, cancel);
	}
}

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

/* Every member: one that is left out would go out as it was on our stack. */
static void event_fill_call(struct upcall_event_call *event, struct upcall_call *call)
{
	struct upcall_ids ids;

	upcall_ident_show(call->from, &ids);
	event->event.size = call->node.size;
	event->event.type = UPCALL_EVENT_CALL;
	event->event.handle = call->cb->handle;
	event->event.cookie = call->node.cookie;
	event->call = call->owner_id;
	event->seq = call->seq;
	event->deadline_ns = call->flags & UPCALL_CALL_NO_DEADLINE ?
			     0 : ktime_to_ns(upcall_time_show(call->deadline));
	event->start_time = ids.start_time;
	event->flags = call->flags | (call->ran ? UPCALL_CALL_AGAIN : 0);
	event->op = call->op;
	event->pid = ids.pid;
	event->tid = call->tid == call->from->tgid ? ids.pid : upcall_pid_show(call->tid);
	event->uid = ids.uid;
	event->gid = ids.gid;
	event->reply_max = call->reply_max;
	event->dropped = call->dropped;
	event->depth = call->depth;
	event->payload_offset = sizeof(*event);
	event->payload_len = call->arg_len;
	event->fds_offset = upcall_call_event_size(call);
	event->fd_count = upcall_fds_count(call->fds);
	event->reply_fd_max = call->reply_fd_max;
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

static int node_copy_call(struct upcall_event_node *node, char __user *to)
{
	struct upcall_call *call = container_of(node, struct upcall_call, node);
	struct upcall_event_call event __uninitialized;

	event_fill_call(&event, call);
	if (upcall_words_write(to, &event, sizeof(event)))
		return -EFAULT;
	if (call->arg_len >= UPCALL_BORROW_MIN)
		return upcall_borrowed_to_user(call, to + sizeof(event)) ?:
		       node_clear_fds(node, to);
	return node_copy_payload(node, &call->arg, to, sizeof(event));
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
 *
 * Context: Process context, may fault.
 * Return: 0; -EFAULT; or -ECANCELED: it is a CALL whose caller has left, and cannot be received.
 */
int upcall_node_copy(struct upcall_event_node *node, char __user *to)
{
	switch (node->type) {
	case UPCALL_EVENT_CALL:
		return node_copy_call(node, to);
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
