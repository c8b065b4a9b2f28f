// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Callbacks of this environment: registered, released, named; and what there is to know of any.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "addon.h"

#define MAX_NAME	256	/* more than any that is valid */

/* register(cookie, label, flags, access, accessId, signature or undefined, word, maxArg,
 * queuedCalls, queuedBytes)
 */
static int options_fill(const struct args *args, struct upcall_options *options)
{
	uint64_t flags = arg_u64(args, 2);
	char label[MAX_NAME];
	int err;

	err = upcall_options_set_label(options, arg_text(args, 1, label, sizeof(label)) ? label : "");
	if (err)
		return err;
	upcall_options_set_serial(options, !!(flags & UPCALL_REGISTER_SERIAL));
	upcall_options_set_autoend(options, !!(flags & UPCALL_REGISTER_AUTOEND));
	upcall_options_set_fds(options, !!(flags & UPCALL_REGISTER_FDS));
	upcall_options_set_unreferenced(options, !!(flags & UPCALL_REGISTER_UNREFERENCED));
	upcall_options_set_auto_release(options, !!(flags & UPCALL_REGISTER_AUTO_RELEASE));
	upcall_options_set_access(options, (uint32_t)arg_u64(args, 3), (uint32_t)arg_u64(args, 4));
	if (arg_is_given(args, 5))
		upcall_options_set_signature(options, arg_u64(args, 5));
	upcall_options_set_word(options, arg_u64(args, 6));
	upcall_options_set_limits(options, (uint32_t)arg_u64(args, 7), (uint32_t)arg_u64(args, 8),
				  arg_u64(args, 9));
	return 0;
}

static napi_value js_register(napi_env env, napi_callback_info info)
{
	struct upcall_options *options;
	struct args args;
	uint64_t handle;
	int err;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	err = upcall_options_new(&options);
	if (err)
		return value_int(env, err);
	err = options_fill(&args, options);
	if (!err)
		err = upcall_register(args.upcall, options, arg_u64(&args, 0), &handle);
	upcall_options_free(options);
	return value_int(env, err ? err : (int64_t)handle);
}

/* release(handle, abort): 0 or -errno */
static napi_value js_release(napi_env env, napi_callback_info info)
{
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	return value_int(env, upcall_release(args.upcall, arg_u64(&args, 0),
					     arg_int(&args, 1) ? UPCALL_RELEASE_ABORT : 0));
}

/* exportFd(handle): a stub, or -errno */
static napi_value js_exportFd(napi_env env, napi_callback_info info)
{
	struct args args;
	int err, fd;

	if (!args_get(env, info, &args))
		return NULL;
	err = args.upcall ? upcall_export(args.upcall, arg_u64(&args, 0), &fd) : -ESHUTDOWN;
	return value_int(env, err ? err : fd);
}

/* isStub(fd): 1, 0 or -errno */
static napi_value js_isStub(napi_env env, napi_callback_info info)
{
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	return value_int(env, upcall_is_stub((int)arg_int(&args, 0)));
}

/* releaseAll(array of handles): as few system calls as there can be; those that are dead are passed over */
static napi_value js_releaseAll(napi_env env, napi_callback_info info)
{
	struct upcall_commands *releases;
	uint32_t count = 0, i;
	napi_value element;
	struct args args;
	double handle;

	if (!args_get(env, info, &args) || !args.upcall || !args.count)
		return NULL;
	releases = args.addon->peer->releases;
	napi_get_array_length(env, args.v[0], &count);
	for (i = 0; i < count; i++) {
		if (napi_get_element(env, args.v[0], i, &element) != napi_ok ||
		    napi_get_value_double(env, element, &handle) != napi_ok)
			continue;
		if (upcall_commands_release(releases, (uint64_t)handle, 0) != -E2BIG)
			continue;
		upcall_commands_send(releases);
		upcall_commands_release(releases, (uint64_t)handle, 0);
	}
	upcall_commands_send(releases);
	return NULL;
}

/* name_function(name, handle): 0 or -errno */
static napi_value with_name(napi_env env, napi_callback_info info,
			    int (*function)(struct upcall_peer *, const char *, uint64_t))
{
	char name[MAX_NAME];
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	if (!arg_text(&args, 0, name, sizeof(name)))
		return value_int(env, -EINVAL);
	return value_int(env, function(args.upcall, name, arg_u64(&args, 1)));
}

static napi_value js_publish(napi_env env, napi_callback_info info)
{
	return with_name(env, info, upcall_publish);
}

static napi_value js_withdraw(napi_env env, napi_callback_info info)
{
	return with_name(env, info, upcall_withdraw);
}

/* lookup(name): a handle, or -errno */
static napi_value js_lookup(napi_env env, napi_callback_info info)
{
	char name[MAX_NAME];
	struct args args;
	uint64_t handle;
	int err;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	if (!arg_text(&args, 0, name, sizeof(name)))
		return value_int(env, -EINVAL);
	err = upcall_lookup(args.upcall, name, &handle);
	return value_int(env, err ? err : (int64_t)handle);
}

static napi_value label_value(napi_env env, const char *label)
{
	char text[UPCALL_MAX_LABEL + 1] = { 0 };

	memcpy(text, label, UPCALL_MAX_LABEL);
	return value_text(env, text);
}

static napi_value stat_value(napi_env env, const struct upcall_stat *stat)
{
	napi_value object;

	if (napi_create_object(env, &object) != napi_ok)
		return NULL;
	object_set(env, object, "state", value_text(env, upcall_state_name(stat->state)));
	object_set(env, object, "reason", value_int(env, stat->reason));
	object_set(env, object, "exitStatus", value_int(env, stat->exit_status));
	object_set(env, object, "word", value_u64(env, stat->word));
	object_set(env, object, "owned", value_int(env, stat->owned));
	object_set(env, object, "uid", value_int(env, stat->uid));
	object_set(env, object, "gid", value_int(env, stat->gid));
	object_set(env, object, "pid", value_int(env, stat->pid));
	object_set(env, object, "startTime", value_int(env, (int64_t)stat->start_time));
	object_set(env, object, "label", label_value(env, stat->label));
	object_set(env, object, "signature", value_u64(env, stat->signature));
	object_set(env, object, "maxArg", value_int(env, stat->max_arg));
	object_set(env, object, "stubs", value_int(env, stat->stubs));
	object_set(env, object, "queued", value_int(env, stat->queued));
	object_set(env, object, "running", value_int(env, stat->running));
	object_set(env, object, "calls", value_int(env, (int64_t)stat->calls));
	return object;
}

static int stub_stat(int fd, struct upcall_stat *stat)
{
	struct upcall_peer *stub;
	int err;

	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = upcall_open_stub(fd, &stub);
	if (err) {
		close(fd);
		return err;
	}
	err = upcall_stat(stub, 0, stat, sizeof(*stat));
	upcall_close(stub);
	return err;
}

/* stat(handle or stub, is a stub): an object, or -errno */
static napi_value js_stat(napi_env env, napi_callback_info info)
{
	struct upcall_stat stat;
	struct args args;
	int err;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	if (arg_int(&args, 1))
		err = stub_stat((int)arg_int(&args, 0), &stat);
	else
		err = upcall_stat(args.upcall, arg_u64(&args, 0), &stat, sizeof(stat));
	return err ? value_int(env, err) : stat_value(env, &stat);
}

static napi_value record_value(napi_env env, const struct upcall_list_callback *record)
{
	napi_value object;

	if (napi_create_object(env, &object) != napi_ok)
		return NULL;
	object_set(env, object, "handle", value_int(env, (int64_t)record->handle));
	object_set(env, object, "label", label_value(env, record->label));
	object_set(env, object, "state", value_text(env, upcall_state_name(record->state)));
	object_set(env, object, "pid", value_int(env, record->pid));
	object_set(env, object, "uid", value_int(env, record->uid));
	object_set(env, object, "queued", value_int(env, record->queued));
	object_set(env, object, "running", value_int(env, record->running));
	object_set(env, object, "calls", value_int(env, (int64_t)record->calls));
	return object;
}

/* list(): an array of callbacks, as far as one may see them; or -errno */
static napi_value js_list(napi_env env, napi_callback_info info)
{
	struct upcall_listing *listing;
	const void *record;
	struct args args;
	uint32_t count = 0;
	napi_value array;
	int ret;

	if (!args_get(env, info, &args))
		return NULL;
	if (!args.upcall)
		return value_int(env, -ESHUTDOWN);
	ret = upcall_listing_new(args.upcall, UPCALL_LIST_CALLBACKS,
				 sizeof(struct upcall_list_callback), &listing);
	if (ret)
		return value_int(env, ret);
	if (napi_create_array(env, &array) != napi_ok)
		ret = -ENOMEM;
	while (ret >= 0 && (ret = upcall_listing_next(listing, &record)) > 0)
		napi_set_element(env, array, count++, record_value(env, record));
	upcall_listing_free(listing);
	return ret < 0 ? value_int(env, ret) : array;
}

void owner_export(napi_env env, napi_value exports)
{
	static const napi_property_descriptor functions[] = {
		FUNCTION(register), FUNCTION(release), FUNCTION(releaseAll), FUNCTION(publish),
		FUNCTION(withdraw), FUNCTION(lookup), FUNCTION(stat), FUNCTION(list),
		FUNCTION(exportFd), FUNCTION(isStub),
	};

	export_functions(env, exports, functions, sizeof(functions) / sizeof(functions[0]));
}
