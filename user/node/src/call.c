// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Calling, and answering calls.
 */
#include <limits.h>
#include "addon.h"

/* Of an array of numbers; how many. */
static unsigned int fds_get(const struct args *args, size_t i, int *fds)
{
	uint32_t count = 0, j;
	bool is_array = false;
	napi_value element;

	if (i < args->count)
		napi_is_array(args->env, args->v[i], &is_array);
	if (is_array)
		napi_get_array_length(args->env, args->v[i], &count);
	if (count > UPCALL_MAX_FDS)
		count = UPCALL_MAX_FDS;
	for (j = 0; j < count; j++) {
		fds[j] = -1;
		if (napi_get_element(args->env, args->v[i], j, &element) == napi_ok)
			napi_get_value_int32(args->env, element, &fds[j]);
	}
	return count;
}

/*
 * start(handle or stub, is a stub, op, bytes, deadline, signature or undefined, fds, replyMax,
 * replyFds, parent, cookie): its id, a BigInt; or -errno
 */
static napi_value js_start(napi_env env, napi_callback_info info)
{
	struct upcall_start start = { 0 };
	int fds[UPCALL_MAX_FDS];
	struct args args;
	uint64_t id;
	int err;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	start.handle = arg_u64(&args, 0);
	start.flags = (arg_int(&args, 1) ? UPCALL_START_STUB : 0) |
		      (arg_is_given(&args, 5) ? UPCALL_START_SIGNATURE : 0);
	start.op = (uint32_t)arg_u64(&args, 2);
	start.arg = arg_bytes(&args, 3, &start.len);
	start.deadline = arg_is_given(&args, 4) ? arg_u64(&args, 4) : UPCALL_NO_DEADLINE;
	start.signature = arg_u64(&args, 5);
	start.fds = fds;
	start.fd_count = fds_get(&args, 6, fds);
	start.reply_max = (uint32_t)arg_u64(&args, 7);
	start.reply_fd_max = (uint32_t)arg_u64(&args, 8);
	start.parent = arg_u64(&args, 9);
	start.user_data = arg_u64(&args, 10);
	err = upcall_start(args.upcall, &start, &id);
	return err ? value_int(env, err) : value_u64(env, id);
}

/* notify(handle or stub, is a stub, op, bytes, deadline, signature or undefined, fds, latest): 0 or -errno */
static napi_value js_notify(napi_env env, napi_callback_info info)
{
	struct upcall_call *call;
	int fds[UPCALL_MAX_FDS];
	uint64_t deadline;
	struct args args;
	const void *data;
	size_t len;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	call = args.addon->peer->notify;
	upcall_call_set_stub(call, arg_int(&args, 1) ? (int)arg_int(&args, 0) : -1);
	data = arg_bytes(&args, 3, &len);
	deadline = arg_is_given(&args, 4) ? arg_u64(&args, 4) : UPCALL_NO_DEADLINE;
	if (arg_is_given(&args, 5))
		upcall_call_set_signature(call, arg_u64(&args, 5));
	else
		upcall_call_clear_signature(call);
	upcall_call_set_fds(call, fds, fds_get(&args, 6, fds));
	upcall_call_set_latest(call, arg_int(&args, 7) != 0);
	return value_int(env, upcall_call_notify(call, arg_u64(&args, 0),
						 (uint32_t)arg_u64(&args, 2), data, len, deadline));
}

/* cancel(id): 0 or -errno; the RESULT comes in any case */
static napi_value js_cancel(napi_env env, napi_callback_info info)
{
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	return value_int(env, args.upcall ? upcall_cancel(args.upcall, arg_u64(&args, 0)) : -ESHUTDOWN);
}

/* What is still to be answered stays in its cell. */
static napi_value answered(napi_env env, struct upcall_incoming **cell, int ret)
{
	if (ret >= 0 || ret == -ESHUTDOWN || ret == -EALREADY) {
		upcall_incoming_free(*cell);
		*cell = NULL;
	}
	return value_int(env, ret);
}

/* reply(call, status, bytes, fds): 0; 1 nobody wants it; -EMSGSIZE, ...: still to be answered */
static napi_value js_reply(napi_env env, napi_callback_info info)
{
	struct upcall_incoming **cell;
	int fds[UPCALL_MAX_FDS];
	struct args args;
	const void *data;
	int32_t status;
	size_t len;

	if (!args_get(env, info, &args))
		return NULL;
	cell = cell_of(&args, 0);
	if (!cell)
		return value_int(env, -EALREADY);
	status = (int32_t)arg_int(&args, 1);
	data = arg_bytes(&args, 2, &len);
	return answered(env, cell, upcall_reply_fds(*cell, status, data, len, fds,
						    fds_get(&args, 3, fds)));
}

/* refuse(call, errno): 0; 1 nobody wants it; -EINVAL no errno */
static napi_value js_refuse(napi_env env, napi_callback_info info)
{
	struct upcall_incoming **cell;
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	cell = cell_of(&args, 0);
	if (!cell)
		return value_int(env, -EALREADY);
	return answered(env, cell, upcall_refuse(*cell, (int)arg_int(&args, 1)));
}

/* takeFd(call, index): a descriptor that came along, or -EBADF */
static napi_value js_takeFd(napi_env env, napi_callback_info info)
{
	struct upcall_incoming **cell;
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	cell = cell_of(&args, 0);
	if (!cell)
		return value_int(env, -EBADF);
	return value_int(env, upcall_incoming_take_fd(*cell, (unsigned int)arg_u64(&args, 1)));
}

void call_export(napi_env env, napi_value exports)
{
	static const napi_property_descriptor functions[] = {
		FUNCTION(start), FUNCTION(notify), FUNCTION(cancel),
		FUNCTION(reply), FUNCTION(refuse), FUNCTION(takeFd),
	};

	export_functions(env, exports, functions, sizeof(functions) / sizeof(functions[0]));
}
