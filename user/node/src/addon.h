/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The addon behind user/node: libupcall's pull shape, for one environment of Node.
 *
 * It is thin, and private to the package: numbers and bytes in, 0 or -errno out. What they
 * mean, and every object that a program sees, is in JavaScript.
 *
 * Threads: none of its own. All of it runs on the thread of its environment: when JavaScript
 * calls, or when libuv says that the peer can be read.
 *
 * Lifetimes:
 *	addon	the environment's instance data; one for the main thread, one for each worker
 *	peer	from open() until its three libuv handles are closed, which begins with close(), or
 *		when the environment ends. Node waits for that: its clean-up hook is asynchronous.
 *	cell	what JavaScript holds of a call, as an external value: emptied by the answer,
 *		freed with the value. A call that is forgotten, unanswered, is answered by that.
 */
#ifndef UPCALL_NODE_ADDON_H
#define UPCALL_NODE_ADDON_H

#define NAPI_VERSION 8
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <node_api.h>
#include <uv.h>
#include <upcall.h>

#define MAX_ARGS	12

/*
 * An event as JavaScript gets it: an ArrayBuffer of so many 64-bit numbers, and then the bytes of
 * the argument or reply.
 */
enum head {
	HEAD_TYPE,
	HEAD_COOKIE,
	HEAD_ID,
	HEAD_LENGTH,
	HEAD_FDS,
	HEAD_SEQ,
	/* of a CALL */
	HEAD_FLAGS,
	HEAD_OP,
	HEAD_PID,
	HEAD_TID,
	HEAD_UID,
	HEAD_GID,
	HEAD_START_TIME,
	HEAD_DEADLINE,
	HEAD_REPLY_MAX,
	HEAD_DROPPED,
	HEAD_DEPTH,
	HEAD_COUNT,
	/* of a RESULT; of a CANCEL only the first */
	HEAD_ERROR = HEAD_FLAGS,
	HEAD_STAGE,
	HEAD_STATUS,
	HEAD_REASON,
	HEAD_EXIT_STATUS,
	HEAD_WORD,
	HEAD_QUEUED_NS,
	HEAD_RUN_NS,
	HEAD_TOTAL_NS,
};

/**
 * struct peer - The peer of one environment
 * @env: The environment.
 * @upcall: NULL: it is being closed.
 * @notify: For notifications.
 * @releases: Collects what is released together.
 * @dispatch: The function of JavaScript that gets the events.
 * @context: For calling it.
 * @hook: Runs at the end of the environment.
 * @poll: On the peer's descriptor.
 * @more: Runs in each turn of the loop while the library holds events.
 * @retry: Looks again, some time after the peer could not be read.
 * @open_handles: How many of those three are not closed yet.
 */
struct peer {
	napi_env env;
	struct upcall_peer *upcall;
	struct upcall_call *notify;
	struct upcall_commands *releases;
	napi_ref dispatch;
	napi_async_context context;
	napi_async_cleanup_hook_handle hook;
	uv_poll_t poll;
	uv_idle_t more;
	uv_timer_t retry;
	unsigned int open_handles;
};

/**
 * struct addon - What belongs to one environment
 * @peer: NULL: not open.
 */
struct addon {
	struct peer *peer;
};

/**
 * struct args - What a function was called with
 * @env: The environment.
 * @addon: Its.
 * @upcall: Its peer; NULL: not open.
 * @count: How many there are of @v.
 * @v: The arguments.
 */
struct args {
	napi_env env;
	struct addon *addon;
	struct upcall_peer *upcall;
	size_t count;
	napi_value v[MAX_ARGS];
};

/* value.c: a value of the wrong type counts as 0, none, or no bytes */
bool args_get(napi_env env, napi_callback_info info, struct args *args);
uint64_t arg_u64(const struct args *args, size_t i);
int64_t arg_int(const struct args *args, size_t i);
bool arg_is_given(const struct args *args, size_t i);
const void *arg_bytes(const struct args *args, size_t i, size_t *len);
const char *arg_text(const struct args *args, size_t i, char *text, size_t room);
napi_value value_int(napi_env env, int64_t number);
napi_value value_u64(napi_env env, uint64_t number);
napi_value value_text(napi_env env, const char *text);
void object_set(napi_env env, napi_value object, const char *name, napi_value value);

/* peer.c */
void peer_dispatch(struct peer *peer, napi_value events, int err);
void peer_watch(struct peer *peer, int ret);
void peer_close(struct addon *addon);

/* receive.c */
void peer_drain(struct peer *peer);
struct upcall_incoming **cell_of(const struct args *args, size_t i);

/* What JavaScript can call: each file adds its own */
void peer_export(napi_env env, napi_value exports);
void call_export(napi_env env, napi_value exports);
void owner_export(napi_env env, napi_value exports);
void constants_export(napi_env env, napi_value exports);
void words_export(napi_env env, napi_value exports);
void export_functions(napi_env env, napi_value exports, const napi_property_descriptor *functions,
		      size_t count);

#define FUNCTION(name)	{ #name, NULL, js_##name, NULL, NULL, NULL, napi_default_method, NULL }

#endif /* UPCALL_NODE_ADDON_H */
