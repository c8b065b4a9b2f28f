// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The numbers of the ABI and of this addon, by name, so that they stand in one place.
 */
#include "addon.h"

struct constant {
	const char *name;
	uint32_t value;
};

#define UPCALL(name)	{ #name, UPCALL_##name }
#define HEAD(name)	{ "HEAD_" #name, HEAD_##name }

static const struct constant table[] = {
	UPCALL(EVENT_CALL), UPCALL(EVENT_RESULT), UPCALL(EVENT_CANCEL), UPCALL(EVENT_RELEASED),
	UPCALL(EVENT_UNREFERENCED),
	UPCALL(CALL_ONEWAY), UPCALL(CALL_STUB), UPCALL(CALL_ENDED),
	UPCALL(STAGE_UNKNOWN), UPCALL(STAGE_NOT_DELIVERED), UPCALL(STAGE_DELIVERED), UPCALL(STAGE_REPLIED),
	UPCALL(REASON_EXITED),
	UPCALL(REGISTER_SERIAL), UPCALL(REGISTER_AUTOEND), UPCALL(REGISTER_FDS),
	UPCALL(REGISTER_UNREFERENCED), UPCALL(REGISTER_AUTO_RELEASE),
	UPCALL(ACCESS_SAME_USER), UPCALL(ACCESS_UID), UPCALL(ACCESS_GID), UPCALL(ACCESS_ANYONE),
	UPCALL(ACCESS_STUB_ONLY),
	UPCALL(MAX_LABEL), UPCALL(DEFAULT_REPLY_MAX), UPCALL(DEFAULT_MAX_ARG),
	UPCALL(DEFAULT_QUEUED_CALLS), UPCALL(DEFAULT_QUEUED_BYTES), UPCALL(MAX_PAYLOAD),
	HEAD(TYPE), HEAD(COOKIE), HEAD(ID), HEAD(LENGTH), HEAD(FDS), HEAD(SEQ), HEAD(COUNT),
	HEAD(FLAGS), HEAD(OP), HEAD(PID), HEAD(TID), HEAD(UID), HEAD(GID), HEAD(START_TIME),
	HEAD(DEADLINE), HEAD(REPLY_MAX), HEAD(DROPPED), HEAD(DEPTH),
	HEAD(ERROR), HEAD(STAGE), HEAD(STATUS), HEAD(REASON), HEAD(EXIT_STATUS), HEAD(WORD),
	HEAD(QUEUED_NS), HEAD(RUN_NS), HEAD(TOTAL_NS),
	{ "ENOENT", ENOENT }, { "EBADF", EBADF }, { "EMSGSIZE", EMSGSIZE }, { "ENOMEM", ENOMEM },
	{ "EALREADY", EALREADY }, { "ESHUTDOWN", ESHUTDOWN }, { "ESTALE", ESTALE },
	{ "ECANCELED", ECANCELED },
};

void constants_export(napi_env env, napi_value exports)
{
	napi_value object;
	size_t i;

	if (napi_create_object(env, &object) != napi_ok)
		return;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		object_set(env, object, table[i].name, value_int(env, table[i].value));
	object_set(env, exports, "constants", object);
}
