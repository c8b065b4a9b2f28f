// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Receiving: what the peer has, at most so much in one turn of the loop, handed to JavaScript in
 * one go.
 */
#include <stdlib.h>
#include <string.h>
#include "addon.h"

#define EVENTS_PER_TURN	64

/* The value was collected. Of a call without an answer: the library gives one. */
static void cell_free(napi_env env, void *data, void *hint)
{
	struct upcall_incoming **cell = data;

	(void)env;
	(void)hint;
	upcall_incoming_free(*cell);
	free(cell);
}

/* Takes @incoming over, in any case. */
static napi_value cell_new(napi_env env, struct upcall_incoming *incoming)
{
	struct upcall_incoming **cell = malloc(sizeof(*cell));
	napi_value value = NULL;

	if (cell) {
		*cell = incoming;
		if (napi_create_external(env, cell, cell_free, NULL, &value) == napi_ok)
			return value;
	}
	upcall_incoming_free(incoming);
	free(cell);
	return NULL;
}

/* NULL: no call, or it has been answered. */
struct upcall_incoming **cell_of(const struct args *args, size_t i)
{
	napi_valuetype type = napi_undefined;
	void *cell = NULL;

	if (i < args->count)
		napi_typeof(args->env, args->v[i], &type);
	if (type == napi_external)
		napi_get_value_external(args->env, args->v[i], &cell);
	return cell && *(struct upcall_incoming **)cell ? cell : NULL;
}

static void head_of_call(const struct upcall_incoming *incoming, uint64_t *head)
{
	head[HEAD_FLAGS] = upcall_incoming_flags(incoming);
	head[HEAD_OP] = upcall_incoming_op(incoming);
	head[HEAD_PID] = upcall_incoming_pid(incoming);
	head[HEAD_TID] = upcall_incoming_tid(incoming);
	head[HEAD_UID] = upcall_incoming_uid(incoming);
	head[HEAD_GID] = upcall_incoming_gid(incoming);
	head[HEAD_START_TIME] = upcall_incoming_start_time(incoming);
	head[HEAD_DEADLINE] = upcall_incoming_deadline(incoming);
	head[HEAD_REPLY_MAX] = upcall_incoming_reply_max(incoming);
	head[HEAD_DROPPED] = upcall_incoming_dropped(incoming);
	head[HEAD_DEPTH] = upcall_incoming_depth(incoming);
}

static void head_of_result(const struct upcall_incoming *incoming, uint64_t *head)
{
	head[HEAD_ERROR] = (uint64_t)upcall_incoming_error(incoming);
	head[HEAD_STAGE] = upcall_incoming_stage(incoming);
	head[HEAD_STATUS] = (uint64_t)(int64_t)upcall_incoming_status(incoming);
	head[HEAD_REASON] = upcall_incoming_reason(incoming);
	head[HEAD_EXIT_STATUS] = upcall_incoming_exit_status(incoming);
	head[HEAD_WORD] = upcall_incoming_word(incoming);
	head[HEAD_QUEUED_NS] = upcall_incoming_queued_ns(incoming);
	head[HEAD_RUN_NS] = upcall_incoming_run_ns(incoming);
	head[HEAD_TOTAL_NS] = upcall_incoming_total_ns(incoming);
}

static napi_value event_value(napi_env env, const struct upcall_incoming *incoming)
{
	uint64_t head[HEAD_COUNT] = { 0 };
	size_t len = upcall_incoming_len(incoming);
	napi_value value;
	void *data;

	head[HEAD_TYPE] = upcall_incoming_type(incoming);
	head[HEAD_COOKIE] = upcall_incoming_cookie(incoming);
	head[HEAD_ID] = upcall_incoming_id(incoming);
	head[HEAD_LENGTH] = len;
	head[HEAD_FDS] = upcall_incoming_fd_count(incoming);
	head[HEAD_SEQ] = upcall_incoming_seq(incoming);
	if (head[HEAD_TYPE] == UPCALL_EVENT_CALL)
		head_of_call(incoming, head);
	else if (head[HEAD_TYPE] == UPCALL_EVENT_RESULT)
		head_of_result(incoming, head);
	else
		head[HEAD_ERROR] = (uint64_t)upcall_incoming_cancelled(incoming);
	if (napi_create_arraybuffer(env, sizeof(head) + len, &data, &value) != napi_ok)
		return NULL;
	memcpy(data, head, sizeof(head));
	if (len)
		memcpy((char *)data + sizeof(head), upcall_incoming_data(incoming), len);
	return value;
}

/* The descriptors that came with a RESULT, from now on the program's. */
static napi_value fds_value(napi_env env, struct upcall_incoming *incoming)
{
	unsigned int count = upcall_incoming_fd_count(incoming), i;
	napi_value array = NULL;

	if (!count || napi_create_array(env, &array) != napi_ok)
		return NULL;
	for (i = 0; i < count; i++)
		napi_set_element(env, array, i, value_int(env, upcall_incoming_take_fd(incoming, i)));
	return array;
}

/*
 * Two elements for each event: its bytes; and of a call what is needed to answer it, of a RESULT
 * its descriptors.
 */
static void events_add(napi_env env, napi_value events, uint32_t *count,
		       struct upcall_incoming *incoming)
{
	bool is_call = upcall_incoming_type(incoming) == UPCALL_EVENT_CALL;
	napi_value value = event_value(env, incoming);
	napi_value with = NULL;

	if (is_call && value) {
		with = cell_new(env, incoming);
	} else {
		with = fds_value(env, incoming);
		upcall_incoming_free(incoming);
	}
	if (!value || (is_call && !with))
		return;
	if (!with)
		napi_get_undefined(env, &with);
	napi_set_element(env, events, (*count)++, value);
	napi_set_element(env, events, (*count)++, with);
}

void peer_drain(struct peer *peer)
{
	struct upcall_incoming *incoming;
	napi_handle_scope scope;
	napi_env env = peer->env;
	uint32_t count = 0;
	napi_value events;
	int ret = 0, i;

	if (napi_open_handle_scope(env, &scope) != napi_ok)
		return;
	if (napi_create_array(env, &events) == napi_ok) {
		for (i = 0; i < EVENTS_PER_TURN && ret >= 0; i++) {
			do
				ret = upcall_next(peer->upcall, UPCALL_NO_WAIT, &incoming);
			while (ret == -EINTR);
			if (ret >= 0)
				events_add(env, events, &count, incoming);
		}
		peer_watch(peer, ret);
		if (count || ret == -ESHUTDOWN)
			peer_dispatch(peer, events, ret == -ESHUTDOWN ? ret : 0);
	}
	napi_close_handle_scope(env, scope);
}
