// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What COMMAND of "upcall serve" finds in its environment. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool.h"

/* Ids that are unmapped here are -1, as the kernel says. */
static void set_id(const char *name, uint32_t id)
{
	char text[16];

	snprintf(text, sizeof(text), "%" PRId64, id == UINT32_MAX ? -1 : (int64_t)id);
	setenv(name, text, 1);
}

static void set_number(const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	setenv(name, text, 1);
}

/**
 * environment_set() - What COMMAND learns of its call
 * @options: Of the server.
 * @handle: The callback.
 * @call: The call.
 *
 * Set for the next COMMAND in this process's own environment: there is one thread.
 */
void environment_set(const struct serve_options *options, uint64_t handle,
		     const struct upcall_incoming *call)
{
	set_id("UPCALL_PID", upcall_incoming_pid(call));
	set_id("UPCALL_TID", upcall_incoming_tid(call));
	set_id("UPCALL_UID", upcall_incoming_uid(call));
	set_id("UPCALL_GID", upcall_incoming_gid(call));
	set_number("UPCALL_OP", upcall_incoming_op(call));
	set_number("UPCALL_SEQ", upcall_incoming_seq(call));
	set_number("UPCALL_ONEWAY", upcall_incoming_oneway(call));
	set_number("UPCALL_STUB", !!(upcall_incoming_flags(call) & UPCALL_CALL_STUB));
	set_number("UPCALL_HANDLE", handle);
	setenv("UPCALL_NAME", options->name ? options->name : "", 1);
}
