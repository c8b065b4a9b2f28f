// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall serve": a command that other processes can call. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

enum {
	OPTION_MAX_ARG = 256,
	OPTION_MAX_REPLY,
	OPTION_QUEUE,
	OPTION_GRACE,
	OPTION_REPLACE,
	OPTION_ONCE,
	OPTION_SERIAL,
	OPTION_AUTOEND,
};

#define MAX_JOBS	1024
#define DEFAULT_QUEUE	256
#define QUEUED_BYTES	(64ULL << 20)
#define DEFAULT_GRACE	2000000000ULL

static struct {
	const char *label;
	uint32_t flags, access, access_id, max_arg, queue;
	bool replace;
	uint64_t signature;
} registration = {
	.access = UPCALL_ACCESS_SAME_USER,
	.max_arg = UPCALL_MAX_PAYLOAD,
	.queue = DEFAULT_QUEUE,
};

static struct serve_options options = {
	.jobs = 1,
	.max_reply = UPCALL_MAX_PAYLOAD,
	.grace_ns = DEFAULT_GRACE,
};

static void set_access(const char *value)
{
	if (!strcmp(value, "same-user")) {
		registration.access = UPCALL_ACCESS_SAME_USER;
	} else if (!strcmp(value, "anyone")) {
		registration.access = UPCALL_ACCESS_ANYONE;
	} else if (!strncmp(value, "uid:", 4)) {
		registration.access = UPCALL_ACCESS_UID;
		registration.access_id = option_user("access", value + 4);
	} else if (!strncmp(value, "gid:", 4)) {
		registration.access = UPCALL_ACCESS_GID;
		registration.access_id = option_group("access", value + 4);
	} else {
		tool_die(EXIT_USAGE, "--access: \"%s\" is none of same-user, uid:USER, gid:GROUP, anyone",
			 text_escape(value, SIZE_MAX).s);
	}
}

static void set_label(const char *value)
{
	if (strlen(value) > UPCALL_MAX_LABEL)
		tool_die(EXIT_USAGE, "--label: more than %d bytes", UPCALL_MAX_LABEL);
	registration.label = value;
}

static void serve_option(int letter, const char *value)
{
	switch (letter) {
	case 'j':
		options.jobs = option_number("jobs", value, 1, MAX_JOBS);
		break;
	case 'n':
		options.calls = option_number("calls", value, 1, UINT64_MAX);
		break;
	case OPTION_ONCE:
		options.calls = 1;
		break;
	case 'a':
		set_access(value);
		break;
	case 'l':
		set_label(value);
		break;
	case 's':
		registration.signature = option_signature(value);
		registration.flags |= UPCALL_REGISTER_SIGNATURE;
		break;
	case OPTION_SERIAL:
		registration.flags |= UPCALL_REGISTER_SERIAL;
		break;
	case OPTION_AUTOEND:
		registration.flags |= UPCALL_REGISTER_AUTOEND;
		break;
	case OPTION_MAX_ARG:
		registration.max_arg = option_size("max-arg", value, UPCALL_MAX_PAYLOAD);
		break;
	case OPTION_MAX_REPLY:
		options.max_reply = option_size("max-reply", value, UPCALL_MAX_PAYLOAD);
		break;
	case OPTION_QUEUE:
		registration.queue = option_number("queue", value, 1, UPCALL_MAX_QUEUED_CALLS);
		break;
	case OPTION_GRACE:
		options.grace_ns = option_duration("grace", value);
		break;
	case OPTION_REPLACE:
		registration.replace = true;
		break;
	case 'v':
		options.verbose = true;
		break;
	}
}

/* A name that somebody else serves is not taken from him by accident. */
static void check_name(struct upcall_peer *peer, const char *name)
{
	struct upcall_stat stat;
	uint64_t handle;
	int err;

	if (target_is_handle(name, &handle))
		tool_die(EXIT_USAGE, "serve: \"%s\" would be taken for a handle: a NAME is no number",
			 name);
	err = upcall_lookup(peer, name, &handle);
	if (err == -EINVAL)
		tool_die(EXIT_USAGE, "serve: \"%s\": %s", text_escape(name, SIZE_MAX).s,
			 target_error(err));
	if (err || registration.replace)
		return;
	err = upcall_stat(peer, handle, &stat, sizeof(stat));
	if (err == -EACCES)
		tool_die(EXIT_NO, "serve: %s is served by another user; --replace takes the name over",
			 name);
	if (!err && stat.state == UPCALL_STATE_LIVE)
		tool_die(EXIT_NO, "serve: %s is served by process %s; --replace takes the name over",
			 name, text_process(stat.pid).s);
}

static uint64_t register_callback(struct upcall_peer *peer, const char *name)
{
	const char *label = registration.label ? registration.label : name;
	struct upcall_register reg = {
		.flags = registration.flags,
		.signature = registration.signature,
		.access = registration.access,
		.access_id = registration.access_id,
		.max_arg = registration.max_arg,
		.max_queued_calls = registration.queue,
		.max_queued_bytes = QUEUED_BYTES,
	};
	uint64_t handle;
	int err;

	memcpy(reg.label, label, strnlen(label, UPCALL_MAX_LABEL));
	err = abi_register(peer, &reg);
	if (err)
		tool_die(EXIT_NO, "serve %s: %s (%s)", name, upcall_errname(err),
			 upcall_strerror(err));
	handle = reg.handle;
	if (!options.name)
		return handle;
	err = upcall_publish(peer, options.name, handle);
	if (err)
		tool_die(EXIT_NO, "serve %s: cannot publish the name: %s", name, strerror(-err));
	return handle;
}

static int serve_run(int argc, char **argv)
{
	struct upcall_peer *peer;
	uint64_t handle;

	if (strcmp(argv[-1], "--") && strcmp(argv[1], "--"))
		tool_die(EXIT_USAGE, "serve: COMMAND follows a --: upcall serve NAME -- COMMAND ARG...");
	(void)argc;
	if (registration.flags & UPCALL_REGISTER_SERIAL &&
	    registration.flags & UPCALL_REGISTER_AUTOEND)
		tool_die(EXIT_USAGE, "serve: --serial and --autoend exclude each other");
	peer = tool_open();
	options.name = strcmp(argv[0], "-") ? argv[0] : NULL;
	options.argv = argv + 1;
	if (options.name)
		check_name(peer, options.name);
	handle = register_callback(peer, argv[0]);
	return server_run(&options, peer, handle);
}

const struct command command_serve = {
	.name = "serve",
	.operands = "NAME|- -- COMMAND [ARG]...",
	.summary = "let every call run COMMAND: stdin its bytes, stdout the reply",
	.notes = "COMMAND finds who calls in UPCALL_PID, UPCALL_TID, UPCALL_UID and UPCALL_GID, and what in\n"
		 "UPCALL_OP, UPCALL_SEQ, UPCALL_NAME, UPCALL_HANDLE, UPCALL_ONEWAY (1: a notification).\n"
		 "Its exit code is the status of the call, 128 + N if signal N killed it.\n"
		 "INT, TERM and HUP: take nothing more, let what runs finish, end; again: stop what runs.\n",
	.options = (const struct tool_option[]){
		{ 'j', "jobs", "N", "run up to N at a time (1)" },
		{ 'a', "access", "WHO", "same-user (default), uid:USER, gid:GROUP, anyone" },
		{ 'l', "label", "TEXT", "what lists show (NAME)" },
		{ 's', "signature", "TEXT", "callers must name the same: text, or 0x and digits" },
		{ 'n', "calls", "N", "end after N calls" },
		{ OPTION_ONCE, "once", NULL, "end after one call" },
		{ OPTION_MAX_ARG, "max-arg", "SIZE", "longest argument to take (1M)" },
		{ OPTION_MAX_REPLY, "max-reply", "SIZE", "longest output to pass on (1M)" },
		{ OPTION_QUEUE, "queue", "N", "calls that may wait (256)" },
		{ OPTION_SERIAL, "serial", NULL, "strictly one after the other, in the order made, whatever --jobs says" },
		{ OPTION_AUTOEND, "autoend", NULL, "a notification is done with once it is taken" },
		{ OPTION_GRACE, "grace", "DURATION", "between TERM and KILL for a cancelled COMMAND (2s)" },
		{ OPTION_REPLACE, "replace", NULL, "take over a NAME that is served already" },
		{ 'v', "verbose", NULL, "one line on stderr for each call" },
		{ 0 },
	},
	.option = serve_option,
	.run = serve_run,
	.operands_min = 2,
	.operands_max = INT32_MAX,
};
