// SPDX-License-Identifier: GPL-2.0-only
/* INVOKE: the whole way of a call and its answer, seen from the thread that makes it. */
#include "faults.h"

#define FDS	3

static char sent[MIB], got[MIB];
static struct upcall_invoke args;	/* of the last one: what it says of itself */

/* No more than is needed: it is all done again for each number. */
static void fill_sent(size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sent[i] = i * 7 + (i >> 8);
}

/* What the stage says is so. @before: calls that the owner had received. */
static void check_stage(int err, uint32_t before)
{
	switch (args.stage) {
	case UPCALL_STAGE_NOT_DELIVERED:
		must(served() == before);
		break;
	case UPCALL_STAGE_REPLIED:
		must(served() == before + 1);
		must(err == -EFAULT || err == -EMFILE || err == -EMSGSIZE);
		break;
	case UPCALL_STAGE_UNKNOWN:
		must(err == -EFAULT);	/* the struct could not be read, or not written */
		break;
	default:
		wrong("stage %u with %s", args.stage, strerror(-err));
	}
}

/* --- a call that a server answers -------------------------------------------------- */

static void set_up_served(const struct scenario *scenario)
{
	fill_sent(scenario->number);
	pipe_make();
	owner_new(scenario->flags);
	caller_new();
	w.stub = export_stub(w.owner, w.handle);
	must(w.stub >= 0);
	server_start();
}

static int invoke(int fd, uint64_t target, uint32_t flags, uint32_t len)
{
	uint32_t before = served();
	int err;

	args = INVOKE_ARGS(target, .arg = ptr64(sent), .arg_len = len,
			   .reply = ptr64(got), .reply_room = len, .reply_max = len);
	args.flags |= flags;
	err = TRY(verb(fd, UPCALL_IOC_INVOKE, &args));
	if (err)
		check_stage(err, before);
	else
		must(args.reply_len == len && !memcmp(sent, got, len));
	return err;
}

static int act_invoke(const struct scenario *scenario)
{
	return invoke(w.caller, w.handle, 0, scenario->number);
}

static int act_stub(const struct scenario *scenario)
{
	return invoke(w.stub, 0, 0, scenario->number);
}

static int act_stub_fd(const struct scenario *scenario)
{
	return invoke(w.caller, w.stub, UPCALL_INVOKE_STUB_FD, scenario->number);
}

/* Descriptors there and back. */
static int act_fds(const struct scenario *scenario)
{
	uint32_t before = served(), i;
	int fds[FDS] = { w.writer, w.writer, w.writer }, back[FDS];
	int err;

	(void)scenario;
	args = SEND_ARGS(w.handle, fds, FDS, .reply_fds = ptr64(back), .reply_fd_room = FDS);
	err = TRY(verb(w.caller, UPCALL_IOC_INVOKE, &args));
	if (err)
		check_stage(err, before);
	else
		must(args.reply_fd_count == FDS);
	for (i = 0; !err && i < FDS; i++)
		must(same_file(back[i], w.writer) && !close(back[i]));
	return err;
}

/* --- a reply that is kept ---------------------------------------------------------- */

static int act_keep(const struct scenario *scenario)
{
	uint32_t before = served();
	int err;

	args = INVOKE_ARGS(w.handle, .arg = ptr64(sent), .arg_len = scenario->number,
			   .reply_max = scenario->number);
	err = TRY(verb(w.caller, UPCALL_IOC_INVOKE, &args));
	if (err != -EMSGSIZE) {
		check_stage(err, before);
		return err;
	}
	must(args.stage == UPCALL_STAGE_REPLIED && args.needed == scenario->number);
	w.call_id = args.call_id;
	return w.call_id ? 0 : -EPROTO;
}

static void set_up_kept(const struct scenario *scenario)
{
	set_up_served(scenario);
	must(!act_keep(scenario));
}

static int act_fetch(const struct scenario *scenario)
{
	int err;

	args = INVOKE_ARGS(0, .call_id = w.call_id, .reply = ptr64(got),
			   .reply_room = sizeof(got), .reply_max = sizeof(got));
	err = TRY(verb(w.caller, UPCALL_IOC_INVOKE, &args));
	if (!err)
		must(args.reply_len == scenario->number && !memcmp(sent, got, args.reply_len));
	return err;
}

/* A reply that cannot be written is lost, if it was that and not the struct that faulted. */
static int again_fetch(const struct scenario *scenario, int err)
{
	bool lost = err == -EFAULT && (args.stage == UPCALL_STAGE_REPLIED ||
				       args.stage == UPCALL_STAGE_UNKNOWN);

	err = act_fetch(scenario);
	return err == -ENOENT && lost ? 0 : err;
}

/* --- notifications ----------------------------------------------------------------- */

static uint64_t calls_made(void)
{
	return stat_of(w.owner, w.handle).calls;
}

static void set_up_unserved(const struct scenario *scenario)
{
	fill_sent(scenario->number);
	pipe_make();
	owner_new(scenario->flags);
	caller_new();
}

static int act_notify(const struct scenario *scenario)
{
	uint64_t before = calls_made();
	int err;

	args = INVOKE_ARGS(w.handle, .arg = ptr64(sent), .arg_len = scenario->number);
	args.flags |= UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_LATEST;
	err = TRY(verb(w.caller, UPCALL_IOC_INVOKE, &args));
	if (!err)
		must(calls_made() == before + 1);
	else if (args.stage != UPCALL_STAGE_UNKNOWN)
		must(calls_made() == before);
	else
		must(err == -EFAULT);
	return err;
}

static int act_notify_fds(const struct scenario *scenario)
{
	(void)scenario;
	return TRY(send_fds(w.caller, w.handle, &w.writer, 1));
}

static void set_up_replaced(const struct scenario *scenario)
{
	set_up_unserved(scenario);
	must(!act_notify(scenario));
}

/* --- want of room ------------------------------------------------------------------ */

static int fill_queue(int fd, uint64_t handle)
{
	struct upcall_invoke notify;
	int err;

	do {
		notify = INVOKE_ARGS(handle);
		notify.flags |= UPCALL_INVOKE_ONEWAY;
		err = verb(fd, UPCALL_IOC_INVOKE, &notify);
	} while (!err);
	return err;
}

/* By another peer: this one was never refused. */
static void set_up_full(const struct scenario *scenario)
{
	set_up_unserved(scenario);
	w.stub = export_stub(w.owner, w.handle);
	must(fill_queue(w.owner, w.handle) == -EAGAIN);
}

static int act_refused(const struct scenario *scenario)
{
	int err;

	args = INVOKE_ARGS(w.handle, .arg = ptr64(sent), .arg_len = scenario->number);
	args.flags |= UPCALL_INVOKE_ONEWAY;
	err = TRY(verb(w.caller, UPCALL_IOC_INVOKE, &args));
	if (err == -EAGAIN)
		must(args.stage == UPCALL_STAGE_NOT_DELIVERED);
	return err == -EAGAIN ? 0 : err;
}

/* The server begins when the call waits for room. */
static void set_up_waits(const struct scenario *scenario)
{
	set_up_full(scenario);
	when_asleep(server_start);
}

static int act_wait_room(const struct scenario *scenario)
{
	int err;

	args = INVOKE_ARGS(w.handle, .arg = ptr64(sent), .arg_len = scenario->number);
	args.flags |= UPCALL_INVOKE_WAIT_ROOM | UPCALL_INVOKE_ONEWAY;
	err = TRY(verb(w.caller, UPCALL_IOC_INVOKE, &args));
	if (err)
		must(args.stage == UPCALL_STAGE_NOT_DELIVERED || err == -EFAULT);
	return err;
}

/* Whoever waits has nothing in that queue, and nothing is counted for it there. */
static void set_up_stranger_waits(const struct scenario *scenario)
{
	struct upcall_register reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE,
						   .max_queued_calls = 1);

	set_up_unserved(scenario);
	must(!verb(w.owner, UPCALL_IOC_REGISTER, &reg));
	w.handle = reg.handle;
	must(fill_queue(w.owner, w.handle) == -EAGAIN);
	become_stranger();
	when_asleep(server_start);
}

#define SERVED(name, act, len, ...) { name, set_up_served, act, .number = (len), ##__VA_ARGS__ }

const struct scenario invoke_scenarios[] = {
	SERVED("INVOKE without bytes", act_invoke, 0),
	SERVED("INVOKE of 100 bytes", act_invoke, 100),
	SERVED("INVOKE of 500 bytes", act_invoke, 500),
	SERVED("INVOKE of 10000 bytes", act_invoke, 10000),
	SERVED("INVOKE of 100 KiB", act_invoke, PAGES),
	SERVED("INVOKE on a stub", act_stub, 500),
	SERVED("INVOKE of a stub fd", act_stub_fd, 500),
	SERVED("INVOKE with descriptors", act_fds, 0, .flags = UPCALL_REGISTER_FDS,
	       .errors = { ENOMEM, EFAULT, EMFILE }),
	SERVED("INVOKE of a SERIAL one", act_invoke, 500, .flags = UPCALL_REGISTER_SERIAL),
	SERVED("INVOKE of an IDEMPOTENT one", act_invoke, 500, .flags = UPCALL_REGISTER_IDEMPOTENT),
	SERVED("INVOKE whose reply is kept", act_keep, 10000),
	{ "INVOKE that fetches a reply", set_up_kept, act_fetch, again_fetch, .number = 10000 },
	{ "INVOKE that fetches a short reply", set_up_kept, act_fetch, again_fetch, .number = 100 },
	{ "ONEWAY", set_up_unserved, act_notify, .number = 0 },
	{ "ONEWAY of 10000 bytes", set_up_unserved, act_notify, .number = 10000 },
	{ "ONEWAY of 100 KiB", set_up_unserved, act_notify, .number = PAGES },
	{ "ONEWAY with a descriptor", set_up_unserved, act_notify_fds,
		.flags = UPCALL_REGISTER_FDS },
	{ "ONEWAY that replaces one", set_up_replaced, act_notify, .number = 500 },
	{ "ONEWAY that is AUTOEND", set_up_unserved, act_notify, .number = 500,
		.flags = UPCALL_REGISTER_AUTOEND },
	{ "a queue that is full", set_up_full, act_refused, .number = 500 },
	{ "a wait for room", set_up_waits, act_wait_room, .number = 500 },
	{ "a wait for room of another uid", set_up_stranger_waits, act_wait_room, .number = 500 },
	{ }
};

/* Some hundred failures each: last. */
const struct scenario large_scenarios[] = {
	SERVED("INVOKE of 1 MiB", act_invoke, MIB),
	{ }
};
