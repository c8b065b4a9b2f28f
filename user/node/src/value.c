// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * From JavaScript's values to C's, and back. Nothing here throws.
 */
#include "addon.h"

bool args_get(napi_env env, napi_callback_info info, struct args *args)
{
	void *data = NULL;

	args->env = env;
	args->count = MAX_ARGS;
	if (napi_get_cb_info(env, info, &args->count, args->v, NULL, NULL) != napi_ok)
		return false;
	if (args->count > MAX_ARGS)
		args->count = MAX_ARGS;
	napi_get_instance_data(env, &data);
	args->addon = data;
	args->upcall = args->addon && args->addon->peer ? args->addon->peer->upcall : NULL;
	return args->addon;
}

static napi_valuetype arg_type(const struct args *args, size_t i)
{
	napi_valuetype type = napi_undefined;

	if (i < args->count)
		napi_typeof(args->env, args->v[i], &type);
	return type;
}

bool arg_is_given(const struct args *args, size_t i)
{
	return arg_type(args, i) != napi_undefined;
}

/* A Number below 2^53, or a BigInt of 64 bits. */
uint64_t arg_u64(const struct args *args, size_t i)
{
	uint64_t number = 0;
	bool lossless;

	if (arg_type(args, i) != napi_bigint)
		return (uint64_t)arg_int(args, i);
	napi_get_value_bigint_uint64(args->env, args->v[i], &number, &lossless);
	return lossless ? number : 0;
}

int64_t arg_int(const struct args *args, size_t i)
{
	int64_t number = 0;

	if (arg_type(args, i) == napi_number)
		napi_get_value_int64(args->env, args->v[i], &number);
	return number;
}

/* Of a Uint8Array; valid until JavaScript runs again. */
const void *arg_bytes(const struct args *args, size_t i, size_t *len)
{
	napi_typedarray_type type;
	bool is_array = false;
	void *data = NULL;
	size_t count = 0;

	*len = 0;
	if (i < args->count)
		napi_is_typedarray(args->env, args->v[i], &is_array);
	if (!is_array || napi_get_typedarray_info(args->env, args->v[i], &type, &count, &data, NULL,
						  NULL) != napi_ok)
		return NULL;
	if (type != napi_uint8_array || !data)
		return NULL;
	*len = count;
	return data;
}

/* NULL: not a string. One that does not fit comes out longer than anything allows. */
const char *arg_text(const struct args *args, size_t i, char *text, size_t room)
{
	size_t len;

	if (arg_type(args, i) != napi_string ||
	    napi_get_value_string_utf8(args->env, args->v[i], text, room, &len) != napi_ok)
		return NULL;
	return text;
}

napi_value value_int(napi_env env, int64_t number)
{
	napi_value value = NULL;

	napi_create_int64(env, number, &value);
	return value;
}

napi_value value_u64(napi_env env, uint64_t number)
{
	napi_value value = NULL;

	napi_create_bigint_uint64(env, number, &value);
	return value;
}

napi_value value_text(napi_env env, const char *text)
{
	napi_value value = NULL;

	napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
	return value;
}

void object_set(napi_env env, napi_value object, const char *name, napi_value value)
{
	if (value)
		napi_set_named_property(env, object, name, value);
}
