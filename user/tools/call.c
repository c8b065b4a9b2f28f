// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall call" and "upcall notify": bytes in, bytes out, NUL and all. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

enum {
	OPTION_HANDLE = 256,
	OPTION_INSTANCE,
	OPTION_OWNER,
	OPTION_ASYNC,
	OPTION_PROGRESS,
	OPTION_FD,
};

#define MAX_THREADS	1024
#define MANY_REPLIES	(32U << 20)	/* bytes of replies that many calls accept in all */

static struct {
	bool has_timeout, has_signature, has_instance, has_owner, wait;
	uint64_t timeout_ns, signature, instance;
	uint32_t op, max_reply, owner;
	const char *handle, *stub;
	int fd;
	/* Of many calls */
	bool async, latest, json, progress;
	uint64_t count;
	uint32_t parallel;
} options = { .max_reply = UINT32_MAX, .parallel = 1 };

/* The bytes to call with */
struct input {
	const char *bytes;
	size_t len;
};

static void call_option(int letter, const char *value)
{
	switch (letter) {
	case 't':
		options.timeout_ns = option_duration("timeout", value);
		options.has_timeout = true;
		break;
	case 'o':
		options.op = option_number("op", value, 0, UINT32_MAX);
		break;
	case 'm':
		options.max_reply = option_size("max-reply", value, UPCALL_MAX_PAYLOAD);
		break;
	case 's':
		options.signature = option_signature(value);
		options.has_signature = true;
		break;
	case 'w':
		options.wait = true;
		break;
	case 'n':
		options.count = option_number("calls", value, 1, UINT64_MAX / 2);
		break;
	case 'P':
		options.parallel = option_number("parallel", value, 1, UPCALL_MAX_OUTGOING);
		break;
	case 'l':
		options.latest = true;
		break;
	case 'J':
		options.json = true;
		break;
	case OPTION_ASYNC:
		options.async = true;
		break;
	case OPTION_PROGRESS:
		options.progress = true;
		break;
	case OPTION_HANDLE:
		options.handle = value;
		break;
	case OPTION_FD:
		options.fd = option_number("fd", value, 0, INT32_MAX);
		options.stub = value;
		break;
	case OPTION_INSTANCE:
		options.instance = option_number("instance", value, 0, UINT64_MAX);
		options.has_instance = true;
		break;
	case OPTION_OWNER:
		options.owner = option_user("owner", value);
		options.has_owner = true;
		break;
	}
}

static struct input read_stdin(size_t max)
{
	char *bytes = malloc(max + 1);
	size_t len = 0;
	ssize_t ret;

	if (!bytes)
		tool_die(EXIT_LOCAL, "out of memory");
	while (len <= max) {
		ret = read(STDIN_FILENO, bytes + len, max + 1 - len);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			tool_die(EXIT_LOCAL, "stdin: %s", strerror(errno));
		if (!ret)
			break;
		len += ret;
	}
	return (struct input){ bytes, len };
}

static uint64_t deadline(void)
{
	uint64_t now = text_now();

	if (!options.has_timeout || options.timeout_ns >= UPCALL_NO_DEADLINE - now)
		return UPCALL_NO_DEADLINE;
	return now + options.timeout_ns;
}

static int submit(const struct attempt *attempt, struct upcall_call *call, uint64_t handle,
		  const struct input *input)
{
	if (attempt->oneway)
		return upcall_call_notify(call, handle, options.op, input->bytes, input->len,
					  deadline());
	return upcall_call_invoke(call, handle, options.op, input->bytes, input->len, deadline());
}

/* As the kernel says; a dead one is found out by the call */
static void check_owner(const struct attempt *attempt, struct upcall_peer *peer, uint64_t handle)
{
	struct upcall_stat stat;

	if (options.has_owner && !upcall_stat(peer, handle, &stat, sizeof(stat)) &&
	    stat.state == UPCALL_STATE_LIVE && stat.uid != options.owner)
		exit(failure_report_local(attempt, -EACCES, target_error(-EACCES)));
}

static int submit_by_handle(const struct attempt *attempt, struct upcall_peer *peer,
			    struct upcall_call *call, uint64_t handle, const struct input *input)
{
	check_owner(attempt, peer, handle);
	return submit(attempt, call, handle, input);
}

/* A name may have gone to another callback since it was looked up: then ask again. */
static int submit_by_name(const struct attempt *attempt, struct upcall_name *name,
			  struct upcall_call *call, const struct input *input)
{
	uint64_t handle, last = 0;
	int ret;

	for (;;) {
		ret = upcall_name_resolve(name, &handle);
		if (ret)
			exit(failure_report_local(attempt, ret, target_error(ret)));
		if (handle == last)
			return -ESTALE;
		ret = submit(attempt, call, handle, input);
		if (ret != -ESTALE || upcall_call_stage(call) != UPCALL_STAGE_NOT_DELIVERED)
			return ret;
		last = handle;
	}
}

static int submit_to_name(const struct attempt *attempt, struct upcall_peer *peer,
			  struct upcall_call *call, const struct input *input)
{
	struct upcall_name *name;
	int ret = upcall_name_new(peer, attempt->target, &name);

	if (ret)
		exit(failure_report_local(attempt, ret, target_error(ret)));
	if (options.has_owner)
		upcall_name_require_uid(name, options.owner);
	if (options.wait)
		ret = upcall_name_invoke(name, call, options.op, input->bytes, input->len,
					 deadline());
	else
		ret = submit_by_name(attempt, name, call, input);
	upcall_name_free(name);
	return ret;
}

static int submit_to_target(const struct attempt *attempt, struct upcall_peer *peer,
			    struct upcall_call *call, const struct input *input)
{
	uint64_t handle;

	if (options.stub)
		return submit_by_handle(attempt, peer, call, 0, input);
	if (target_is_handle(attempt->target, &handle))
		return submit_by_handle(attempt, peer, call, handle, input);
	return submit_to_name(attempt, peer, call, input);
}

static uint32_t longest_reply(const struct upcall_info *info)
{
	return options.max_reply == UINT32_MAX ? info->max_payload : options.max_reply;
}

static struct upcall_call *new_call(struct upcall_peer *peer, const struct upcall_info *info)
{
	struct upcall_call *call;

	if (upcall_call_new(peer, &call))
		tool_die(EXIT_LOCAL, "out of memory");
	upcall_call_set_reply_max(call, longest_reply(info));
	if (options.has_signature)
		upcall_call_set_signature(call, options.signature);
	return call;
}

static int print_reply(const struct attempt *attempt, const struct upcall_call *call)
{
	const char *bytes = upcall_call_reply(call);
	size_t len = upcall_call_reply_len(call);
	ssize_t ret;

	while (len && upcall_call_status(call) >= 0) {
		ret = write(STDOUT_FILENO, bytes, len);
		if (ret < 0) {
			tool_say("%s %s: it ran to its end, but its reply cannot be written to stdout: %s",
				 attempt->verb, attempt->target, strerror(errno));
			return EXIT_REPLIED;
		}
		bytes += ret;
		len -= ret;
	}
	return failure_status(attempt, call);
}

/* The name is looked up once: what it stands for then is what is measured. */
static int attempt_many(const struct attempt *attempt, struct upcall_peer *peer,
			const struct upcall_info *info, const struct input *input)
{
	uint32_t share = MANY_REPLIES / options.parallel;
	struct load load = {
		.attempt = attempt, .peer = peer, .count = options.count,
		.parallel = options.parallel, .async = options.async, .op = options.op,
		.arg = input->bytes, .len = input->len,
		.timeout_ns = options.has_timeout ? options.timeout_ns : UPCALL_NO_DEADLINE,
		.max_reply = longest_reply(info), .signature = options.signature,
		.has_signature = options.has_signature, .latest = options.latest,
		.wait_room = options.wait, .json = options.json, .progress = options.progress,
	};

	int err = 0;

	if (options.max_reply == UINT32_MAX && load.max_reply > share)
		load.max_reply = share;
	if (!target_is_handle(attempt->target, &load.handle))
		err = upcall_lookup(peer, attempt->target, &load.handle);
	if (err)
		return failure_report_local(attempt, err, target_error(err));
	check_owner(attempt, peer, load.handle);
	return load_run(&load);
}

static int attempt_run(const struct attempt *attempt, const char *data)
{
	struct upcall_peer *peer = options.stub ? tool_open_stub(options.fd) : tool_open();
	struct upcall_call *call;
	struct upcall_info info;
	struct input input;
	int ret = upcall_info(peer, &info, sizeof(info));

	if (ret)
		tool_die(EXIT_LOCAL, "%s: %s", upcall_errname(ret), upcall_strerror(ret));
	if (options.has_instance && options.instance != info.instance)
		return failure_report_local(attempt, -ESTALE,
					    "the handle is of an earlier load of the module");
	input = data ? (struct input){ data, strlen(data) } : read_stdin(info.max_payload);
	if (input.len > info.max_payload)
		return failure_report_local(attempt, -EMSGSIZE,
					    "the argument is longer than any callback takes");
	if (options.count)
		return attempt_many(attempt, peer, &info, &input);
	call = new_call(peer, &info);
	ret = submit_to_target(attempt, peer, call, &input);
	if (ret < 0)
		return failure_report(attempt, ret, call);
	return attempt->oneway ? 0 : print_reply(attempt, call);
}

static void check_options(const struct attempt *attempt)
{
	if (!options.count && (options.async || options.json || options.progress || options.latest ||
			       options.parallel > 1 || (options.wait && attempt->oneway)))
		tool_die(EXIT_USAGE, "%s: %s go with --calls", attempt->verb, attempt->oneway ?
			 "--latest, --wait, --parallel, --progress and --json" :
			 "--async, --parallel, --progress and --json");
	if (options.count && options.wait && !attempt->oneway)
		tool_die(EXIT_USAGE, "call: --wait does not go with --calls: the name is looked up once");
	if (options.stub && (options.count || options.wait || options.handle))
		tool_die(EXIT_USAGE, "%s: --fd is one call to one callback: without --calls, --wait and --handle",
			 attempt->verb);
	if (!options.async && options.parallel > MAX_THREADS)
		tool_die(EXIT_USAGE, "%s: at most %d threads", attempt->verb, MAX_THREADS);
}

static int attempt_from(struct attempt *attempt, int argc, char **argv)
{
	static struct text stub;

	check_options(attempt);
	attempt->target = options.handle;
	if (options.stub) {
		text_print(&stub, "stub %d", options.fd);
		attempt->target = stub.s;
	}
	if (!attempt->target) {
		if (!argc)
			tool_die(EXIT_USAGE, "%s: whom? A NAME or a HANDLE is needed",
				 attempt->verb);
		attempt->target = *argv++;
		argc--;
	}
	if (argc > 1)
		tool_die(EXIT_USAGE, "%s: one DATA only; quote it if it has spaces", attempt->verb);
	return attempt_run(attempt, argc ? argv[0] : NULL);
}

static int call_run(int argc, char **argv)
{
	return attempt_from(&(struct attempt){ "call", NULL, false }, argc, argv);
}

static int notify_run(int argc, char **argv)
{
	return attempt_from(&(struct attempt){ "notify", NULL, true }, argc, argv);
}

#define COMMON_OPTIONS								\
	{ 'P', "parallel", "N", "that many at a time, each from a thread (1)" },	\
	{ 'J', "json", NULL, "figures for programs: times in nanoseconds" },	\
	{ OPTION_PROGRESS, "progress", NULL, "say each second how far it is, though stderr is no terminal" }, \
	{ 'o', "op", "N", "which of the callback's operations (0)" },		\
	{ 's', "signature", "TEXT", "the interface it is called by: text, or 0x and digits" }, \
	{ OPTION_OWNER, "owner", "USER", "only if it belongs to this user" },	\
	{ OPTION_HANDLE, "handle", "HANDLE", "call this one; no NAME|HANDLE follows" },	\
	{ OPTION_FD, "fd", "N", "call through this stub, a descriptor; no NAME|HANDLE follows" }, \
	{ OPTION_INSTANCE, "instance", "N", "only in this load of the module" }

const struct command command_call = {
	.name = "call",
	.operands = "NAME|HANDLE [DATA]",
	.summary = "call it with DATA, or with stdin, and print its reply",
	.notes = "DURATION is 5 (seconds), 2.5s, 500ms, 1m. SIZE is bytes, or 64K, 1M.\n"
		 "The exit code is the callback's status; \"upcall --help\" lists the others.\n",
	.options = (const struct tool_option[]){
		{ 'n', "calls", "N", "make N calls; print figures instead of replies" },
		{ OPTION_ASYNC, "async", NULL, "all from one thread, with --parallel under way" },
		{ 't', "timeout", "DURATION", "give up after that long" },
		{ 'w', "wait", NULL, "wait for the NAME to be served, and for a successor" },
		{ 'm', "max-reply", "SIZE", "longest reply to accept (1M)" },
		COMMON_OPTIONS,
		{ 0 },
	},
	.option = call_option,
	.run = call_run,
	.operands_max = 2,
};

const struct command command_notify = {
	.name = "notify",
	.operands = "NAME|HANDLE [DATA]",
	.summary = "call it with DATA, or with stdin, and do not wait",
	.notes = "Exit code 0 says that the notification is queued.\n",
	.options = (const struct tool_option[]){
		{ 'n', "calls", "N", "send N of them; print figures" },
		{ 'l', "latest", NULL, "with --calls: one may take the place of the one before it" },
		{ 'w', "wait", NULL, "with --calls: where the queue is full, wait for room" },
		{ 't', "timeout", "DURATION", "after that long it need not run any more" },
		COMMON_OPTIONS,
		{ 0 },
	},
	.option = call_option,
	.run = notify_run,
	.operands_max = 2,
};
