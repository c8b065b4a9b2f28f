// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Words for numbers, and what the module is.
 */
#include "addon.h"

static napi_value of_number(napi_env env, napi_callback_info info, const char *(*words)(int))
{
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	return value_text(env, words((int)arg_int(&args, 0)));
}

/* strerror(errno), errname(errno): of either sign */
static napi_value js_strerror(napi_env env, napi_callback_info info)
{
	return of_number(env, info, upcall_strerror);
}

static napi_value js_errname(napi_env env, napi_callback_info info)
{
	return of_number(env, info, upcall_errname);
}

/* stageText(stage) */
static napi_value js_stageText(napi_env env, napi_callback_info info)
{
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	return value_text(env, upcall_stage_text((uint32_t)arg_u64(&args, 0)));
}

/* reasonName(reason) */
static napi_value js_reasonName(napi_env env, napi_callback_info info)
{
	struct args args;

	if (!args_get(env, info, &args))
		return NULL;
	return value_text(env, upcall_reason_name((uint32_t)arg_u64(&args, 0)));
}

/* deathText(reason, exitStatus) */
static napi_value js_deathText(napi_env env, napi_callback_info info)
{
	struct args args;
	char text[128];

	if (!args_get(env, info, &args))
		return NULL;
	return value_text(env, upcall_death_text((uint32_t)arg_u64(&args, 0),
						 (uint32_t)arg_u64(&args, 1), text, sizeof(text)));
}

/* mayRetry(errno, stage) */
static napi_value js_mayRetry(napi_env env, napi_callback_info info)
{
	napi_value value = NULL;
	struct args args;

	if (args_get(env, info, &args))
		napi_get_boolean(env, upcall_may_retry((int)arg_int(&args, 0),
						       (uint32_t)arg_u64(&args, 1)), &value);
	return value;
}

/* signature(text): a BigInt */
static napi_value js_signature(napi_env env, napi_callback_info info)
{
	struct args args;
	char text[4096];

	if (!args_get(env, info, &args) || !arg_text(&args, 0, text, sizeof(text)))
		return NULL;
	return value_u64(env, upcall_signature(text));
}

/* info(): an object, or -errno */
static napi_value js_info(napi_env env, napi_callback_info callback_info)
{
	struct upcall_info info;
	napi_value object;
	struct args args;
	int err;

	if (!args_get(env, callback_info, &args))
		return NULL;
	err = args.upcall ? upcall_info(args.upcall, &info, sizeof(info)) : -ESHUTDOWN;
	if (err || napi_create_object(env, &object) != napi_ok)
		return value_int(env, err);
	object_set(env, object, "version", value_text(env, upcall_version()));
	object_set(env, object, "abiVersion", value_int(env, info.abi_version));
	object_set(env, object, "features", value_u64(env, info.features));
	object_set(env, object, "instance", value_u64(env, info.instance));
	object_set(env, object, "maxPayload", value_int(env, info.max_payload));
	return object;
}

void words_export(napi_env env, napi_value exports)
{
	static const napi_property_descriptor functions[] = {
		FUNCTION(strerror), FUNCTION(errname), FUNCTION(stageText), FUNCTION(reasonName),
		FUNCTION(deathText), FUNCTION(mayRetry), FUNCTION(signature), FUNCTION(info),
	};

	export_functions(env, exports, functions, sizeof(functions) / sizeof(functions[0]));
}
