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
	OPTION_WORD,
	OPTION_EXEC,
	OPTION_UNREFERENCED,
	OPTION_IDEMPOTENT,
	OPTION_ADOPTABLE,
	OPTION_PEER_FD,
};

#define MAX_JOBS	1024
#define DEFAULT_QUEUE	256
#define QUEUED_BYTES	(64ULL << 20)
#define DEFAULT_GRACE	2000000000ULL

static struct {
	const char *label;
	uint32_t access, access_id, max_arg, queue;
	bool replace, has_signature, serial, autoend, unreferenced, idempotent;
	uint64_t signature, word;
	int64_t orphan_ms;	/* with options.adoptable */
	int peer_fd;		/* -1: none */
} registration = {
	.access = UPCALL_ACCESS_SAME_USER,
	.max_arg = UPCALL_MAX_PAYLOAD,
	.queue = DEFAULT_QUEUE,
	.peer_fd = -1,
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
	} else if (!strcmp(value, "stub-only")) {
		registration.access = UPCALL_ACCESS_STUB_ONLY;
	} else if (!strncmp(value, "uid:", 4)) {
		registration.access = UPCALL_ACCESS_UID;
		registration.access_id = option_user("access", value + 4);
	} else if (!strncmp(value, "gid:", 4)) {
		registration.access = UPCALL_ACCESS_GID;
		registration.access_id = option_group("access", value + 4);
	} else {
		tool_die(EXIT_USAGE, "--access: \"%s\" is none of same-user, uid:USER, gid:GROUP, anyone, stub-only",
			 text_escape(value, SIZE_MAX).s);
	}
}

static void set_label(const char *value)
{
	if (strlen(value) > UPCALL_MAX_LABEL)
		tool_die(EXIT_USAGE, "--label: more than %d bytes", UPCALL_MAX_LABEL);
	registration.label = value;
}

/* Of what is registered */
static bool registration_option(int letter, const char *value)
{
	switch (letter) {
	case 'a':
		set_access(value);
		break;
	case 'l':
		set_label(value);
		break;
	case 's':
		registration.signature = option_signature(value);
		registration.has_signature = true;
		break;
	case OPTION_SERIAL:
		registration.serial = true;
		break;
	case OPTION_AUTOEND:
		registration.autoend = true;
		break;
	case OPTION_WORD:
		registration.word = option_number("word", value, 0, UINT64_MAX);
		break;
	case OPTION_UNREFERENCED:
		registration.unreferenced = true;
		break;
	case OPTION_IDEMPOTENT:
		registration.idempotent = true;
		break;
	case OPTION_MAX_ARG:
		registration.max_arg = option_size("max-arg", value, UPCALL_MAX_PAYLOAD);
		break;
	case OPTION_QUEUE:
		registration.queue = option_number("queue", value, 1, UPCALL_MAX_QUEUED_CALLS);
		break;
	default:
		return false;
	}
	return true;
}

static void serve_option(int letter, const char *value)
{
	if (registration_option(letter, value))
		return;
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
	case OPTION_MAX_REPLY:
		options.max_reply = option_size("max-reply", value, UPCALL_MAX_PAYLOAD);
		break;
	case OPTION_GRACE:
		options.grace_ns = option_duration("grace", value);
		break;
	case OPTION_REPLACE:
		registration.replace = true;
		break;
	case OPTION_EXEC:
		options.exec = value;
		break;
	case OPTION_ADOPTABLE:
		registration.orphan_ms = option_duration("adoptable", value) / 1000000;
		options.adoptable = true;
		break;
	case OPTION_PEER_FD:
		registration.peer_fd = option_number("peer-fd", value, 0, INT32_MAX);
		break;
	case 'v':
		options.verbose = true;
		break;
	}
}

/* A name that somebody else serves is not taken from him by accident. */
static void check_name(struct upcall_peer *peer, const char *name, uint64_t own)
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
	if (err || registration.replace || handle == own)
		return;
	err = upcall_stat(peer, handle, &stat, sizeof(stat));
	if (err == -EACCES)
		tool_die(EXIT_NO, "serve: %s is served by another user; --replace takes the name over",
			 name);
	if (!err && stat.state == UPCALL_STATE_LIVE)
		tool_die(EXIT_NO, "serve: %s is served by process %s; --replace takes the name over",
			 name, text_process(stat.pid).s);
}

static uint64_t register_callback(struct upcall_peer *peer, const char *label)
{
	struct upcall_options *how;
	uint64_t handle = 0;
	int err = upcall_options_new(&how);

	if (err)
		tool_die(EXIT_LOCAL, "out of memory");
	upcall_options_set_label(how, label);
	upcall_options_set_access(how, registration.access, registration.access_id);
	upcall_options_set_limits(how, registration.max_arg, registration.queue, QUEUED_BYTES);
	upcall_options_set_word(how, registration.word);
	upcall_options_set_serial(how, registration.serial);
	upcall_options_set_autoend(how, registration.autoend);
	upcall_options_set_unreferenced(how, registration.unreferenced);
	upcall_options_set_idempotent(how, registration.idempotent);
	if (registration.has_signature)
		upcall_options_set_signature(how, registration.signature);
	err = upcall_register(peer, how, 0, &handle);
	if (err)
		tool_die(EXIT_NO, "serve %s: %s (%s)", label, upcall_errname(err),
			 upcall_strerror(err));
	upcall_options_free(how);
	return handle;
}

/* Adopted with its peer, or new. */
static uint64_t find_callback(struct upcall_peer *peer, uint64_t number, const char *name)
{
	struct text label;
	uint64_t handle;
	int err;

	/* What a label holds of it */
	text_print(&label, "%.*s", UPCALL_MAX_LABEL, registration.label ? registration.label : name);
	handle = successor_callback(peer, number, label.s);
	if (options.name)
		check_name(peer, options.name, handle);
	if (handle)
		tool_say("adopted handle 0x%" PRIx64 " from the process before", handle);
	else
		handle = register_callback(peer, label.s);
	if (!options.name)
		return handle;
	err = upcall_publish(peer, options.name, handle);
	if (err)
		tool_die(EXIT_NO, "serve %s: cannot publish the name: %s", name, strerror(-err));
	return handle;
}

static void set_adoptable(struct upcall_peer *peer)
{
	int err;

	if (!options.adoptable)
		return;
	err = upcall_set_adoptable(peer, 1, registration.orphan_ms);
	if (err)
		tool_die(EXIT_USAGE, "--adoptable: %s (%s)", upcall_errname(err),
			 err == -EINVAL ? "from 1ms to 1h, where the module has it" :
			 upcall_strerror(err));
}

static void check_options(void)
{
	if (registration.serial && registration.autoend)
		tool_die(EXIT_USAGE, "serve: --serial and --autoend exclude each other");
	if (registration.peer_fd >= 0 && !options.adoptable)
		tool_die(EXIT_USAGE, "serve: --peer-fd goes with --adoptable");
	if (options.exec && options.adoptable)
		tool_die(EXIT_USAGE, "serve: --exec and --adoptable exclude each other: PROGRAM ends with this process");
	if (registration.access == UPCALL_ACCESS_STUB_ONLY && !options.exec)
		tool_die(EXIT_USAGE, "serve: --access stub-only without --exec: nobody could call");
}

static int serve_run(int argc, char **argv)
{
	struct upcall_peer *peer;
	uint64_t handle, number;

	if (strcmp(argv[-1], "--") && strcmp(argv[1], "--"))
		tool_die(EXIT_USAGE, "serve: COMMAND follows a --: upcall serve NAME -- COMMAND ARG...");
	(void)argc;
	check_options();
	if (options.adoptable && registration.peer_fd < 0)
		registration.peer_fd = store_take();
	peer = successor_open(registration.peer_fd, &number);
	options.name = strcmp(argv[0], "-") ? argv[0] : NULL;
	options.argv = argv + 1;
	set_adoptable(peer);
	handle = find_callback(peer, number, argv[0]);
	store_ready(options.adoptable ? upcall_fd(peer) : -1);
	return server_run(&options, peer, handle);
}

const struct command command_serve = {
	.name = "serve",
	.operands = "NAME|- -- COMMAND [ARG]...",
	.summary = "let every call run COMMAND: stdin its bytes, stdout the reply",
	.notes = "COMMAND finds who calls in UPCALL_PID, UPCALL_TID, UPCALL_UID and UPCALL_GID, and what in\n"
		 "UPCALL_OP, UPCALL_SEQ, UPCALL_NAME, UPCALL_HANDLE, UPCALL_ONEWAY (1: a notification),\n"
		 "UPCALL_STUB (1: it came through a stub).\n"
		 "Its exit code is the status of the call, 128 + N if signal N killed it.\n"
		 "INT, TERM and HUP: take nothing more, let what runs finish, end; again: stop what runs.\n"
		 "With --adoptable they leave the callback to the next process, if somebody holds the peer:\n"
		 "the service manager (its descriptor store is used), or who passes --peer-fd.\n",
	.options = (const struct tool_option[]){
		{ 'j', "jobs", "N", "run up to N at a time (1)" },
		{ 'a', "access", "WHO", "same-user (default), uid:USER, gid:GROUP, anyone, stub-only" },
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
		{ OPTION_WORD, "word", "N", "left to callers when it is gone; a handle to use instead, say" },
		{ OPTION_EXEC, "exec", "PROGRAM", "run this by sh, with a stub in UPCALL_STUB_FD; end with it" },
		{ OPTION_UNREFERENCED, "unreferenced", NULL, "say on stderr when the last stub was closed" },
		{ OPTION_ADOPTABLE, "adoptable", "DURATION", "outlive this process: wait that long for the next one" },
		{ OPTION_PEER_FD, "peer-fd", "N", "with --adoptable: the peer of the process before, a descriptor" },
		{ OPTION_IDEMPOTENT, "idempotent", NULL, "with --adoptable: what ran when we died may run again" },
		{ 'v', "verbose", NULL, "one line on stderr for each call" },
		{ 0 },
	},
	.option = serve_option,
	.run = serve_run,
	.operands_min = 2,
	.operands_max = INT32_MAX,
};
