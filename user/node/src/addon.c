// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The addon's front door: what an environment gets when it loads it.
 */
#include <stdlib.h>
#include "addon.h"

void export_functions(napi_env env, napi_value exports, const napi_property_descriptor *functions,
		      size_t count)
{
	napi_define_properties(env, exports, count, functions);
}

/* Its peer is closed by now: that hook runs before. */
static void addon_free(napi_env env, void *data, void *hint)
{
	(void)env;
	(void)hint;
	free(data);
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */)
{
	struct addon *addon = calloc(1, sizeof(*addon));

	if (!addon || napi_set_instance_data(env, addon, addon_free, NULL) != napi_ok) {
		free(addon);
		napi_throw_error(env, NULL, "upcall: no memory");
		return NULL;
	}
	peer_export(env, exports);
	call_export(env, exports);
	owner_export(env, exports);
	words_export(env, exports);
	constants_export(env, exports);
	return exports;
}
