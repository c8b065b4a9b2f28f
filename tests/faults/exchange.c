// SPDX-License-Identifier: GPL-2.0-only
/* EXCHANGE: each command. What comes out of it is in receive.c. */
#include "faults.h"

#define CALL(_handle, ...) ((struct upcall_command){			\
	.type = UPCALL_COMMAND_CALL, .target = (_handle),		\
	.flags = UPCALL_INVOKE_NO_DEADLINE, ##__VA_ARGS__ })

static char sent[MIB], events[2 * MIB] __attribute__((aligned(8)));

/* --- calls ------------------------------------------------------------------------- */

static void set_up_pair(const struct scenario *scenario)
{
	pipe_make();
	memset(sent, 7, scenario->number);
	owner_new(scenario->flags);
	caller_new();
}

/* A call that is told to have failed was not accepted. */
static int run_call(int fd, struct upcall_command *cmd)
{
	uint64_t before = stat_of(w.owner, w.handle).calls;
	int err = TRY(command(fd, cmd));

	if (err && cmd->error)
		must(cmd->stage == UPCALL_STAGE_NOT_DELIVERED &&
		     stat_of(w.owner, w.handle).calls == before);
	return err;
}

static int act_call(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(w.handle, .data = ptr64(sent),
		.data_len = scenario->number, .reply_max = scenario->number, .user_data = 5);
	int err = run_call(w.caller, &cmd);

	if (!err)
		must(cmd.call_id);
	return err;
}

static int act_call_fds(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(w.handle, .fds = ptr64(&w.writer), .fd_count = 1,
					 .reply_fd_max = 1);

	(void)scenario;
	return run_call(w.caller, &cmd);
}

static int act_notify(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(w.handle, .data = ptr64(sent), .data_len = scenario->number);

	cmd.type = UPCALL_COMMAND_NOTIFY;
	return run_call(w.caller, &cmd);
}

/* Several; with @number there is no room for the first. Only what has no error was accepted. */
static int act_row(const struct scenario *scenario)
{
	struct upcall_command cmds[3] = {
		CALL(w.handle, .data = ptr64(sent), .data_len = scenario->number),
		CALL(w.handle), CALL(w.handle),
	};
	struct upcall_exchange args = {
		.size = sizeof(args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(cmds), .command_count = LENGTH(cmds),
		.command_size = sizeof(cmds[0]),
	};
	uint64_t accepted = stat_of(w.owner, w.handle).calls;
	int err = TRY(verb(w.caller, UPCALL_IOC_EXCHANGE, &args));
	size_t i;

	for (i = 0; i < LENGTH(cmds); i++) {
		must(!cmds[i].error || !cmds[i].call_id);
		accepted += !!cmds[i].call_id;
		if (!err && !(scenario->number && cmds[i].error == EAGAIN && !i))
			err = -(int)cmds[i].error;
	}
	must(stat_of(w.owner, w.handle).calls == accepted);
	return err;
}

/* Who calls has to be found out anew. */
static void set_up_renamed(const struct scenario *scenario)
{
	set_up_pair(scenario);
	must(!setresgid(1234, 1234, 1234));
}

/* Another uid has the half of the queue's bytes, and this one has no share yet. */
static void set_up_crowded(const struct scenario *scenario)
{
	struct upcall_register args = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE,
		.max_arg = scenario->number, .max_queued_bytes = scenario->number);
	struct upcall_command cmd;

	w.owner = peer_open();
	must(!verb(w.owner, UPCALL_IOC_REGISTER, &args));
	w.handle = args.handle;
	caller_new();
	cmd = CALL(w.handle, .data = ptr64(sent), .data_len = scenario->number / 2);
	must(!command(w.caller, &cmd));
	must(!setresuid(1234, 1234, 1234));
}

/* The first with a deadline makes the peer's timer run. */
static int act_deadline(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(w.handle, .deadline_ns = in_ms(SOON_MS));

	(void)scenario;
	cmd.flags = 0;
	return run_call(w.caller, &cmd);
}

/* CALL and its RESULT in one. */
static void set_up_served(const struct scenario *scenario)
{
	set_up_pair(scenario);
	server_start();
}

static int act_round_trip(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(w.handle, .data = ptr64(sent),
		.data_len = scenario->number, .reply_max = scenario->number, .user_data = 5);
	struct upcall_event_result *result = (struct upcall_event_result *)events;
	struct upcall_exchange args = {
		.size = sizeof(args),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE | UPCALL_EXCHANGE_WAIT_COMMAND,
		.commands = ptr64(&cmd), .command_count = 1, .command_size = sizeof(cmd),
		.events = ptr64(events), .events_len = sizeof(events),
	};
	int err = TRY(verb(w.caller, UPCALL_IOC_EXCHANGE, &args));

	if (err || cmd.error)
		return err ?: -(int)cmd.error;
	must(!args.wait_error && args.event_count == 1);
	must(result->call_id == cmd.call_id && result->event.cookie == 5 && !result->error &&
	     result->payload_len == scenario->number);
	return 0;
}

/* --- a call that the owner has taken ----------------------------------------------- */

static void set_up_taken(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(0, .reply_max = MIB, .reply_fd_max = 1, .user_data = 5);
	union any_event event;

	set_up_pair(scenario);
	cmd.target = w.handle;
	must(!command(w.caller, &cmd));
	must(event_seen(w.owner, UPCALL_EVENT_CALL, &event));
	w.call = event.call.call;
	w.call_id = cmd.call_id;
}

/* The one RESULT that its caller gets. */
static void expect_result(uint32_t error, uint32_t len)
{
	struct upcall_event_result *result = (struct upcall_event_result *)events;
	struct upcall_exchange out;

	must(!receive(w.caller, events, sizeof(events), 0, 0, &out));
	must(out.event_count == 1 && result->event.type == UPCALL_EVENT_RESULT);
	must(result->error == error && result->payload_len == len && result->call_id == w.call_id);
	must(receive(w.caller, events, sizeof(events), 0, UPCALL_EXCHANGE_NONBLOCK, &out) == -EAGAIN);
}

static int act_reply(const struct scenario *scenario)
{
	return TRY(reply(w.owner, w.call, 0, sent, scenario->number));
}

/* What was carried out, and could not be told, is not carried out twice. */
static int carried_out(int first, int second, int done)
{
	return first == -EFAULT && second == done ? 0 : second;
}

static int again_reply(const struct scenario *scenario, int err)
{
	err = carried_out(err, act_reply(scenario), -ENOENT);
	if (!err)
		expect_result(0, scenario->number);
	return err;
}

static int act_reply_fds(const struct scenario *scenario)
{
	(void)scenario;
	return TRY(reply_fds(w.owner, w.call, &w.writer, 1, NULL));
}

static int again_reply_fds(const struct scenario *scenario, int err)
{
	return carried_out(err, act_reply_fds(scenario), -ENOENT);
}

static int act_refuse(const struct scenario *scenario)
{
	(void)scenario;
	return TRY(refuse(w.owner, w.call, EXDEV));
}

static int again_refuse(const struct scenario *scenario, int err)
{
	err = carried_out(err, act_refuse(scenario), -ENOENT);
	if (!err)
		expect_result(EXDEV, 0);
	return err;
}

static int act_cancel(const struct scenario *scenario)
{
	(void)scenario;
	return TRY(cancel(w.caller, w.call_id));
}

static int again_cancel(const struct scenario *scenario, int err)
{
	err = carried_out(err, act_cancel(scenario), -ENOENT);
	if (!err)
		expect_result(ECANCELED, 0);
	return err;
}

static void set_up_queued(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(0, .user_data = 5);

	set_up_pair(scenario);
	cmd.target = w.handle;
	must(!command(w.caller, &cmd));
	w.call_id = cmd.call_id;
}

static int act_nested(const struct scenario *scenario)
{
	struct upcall_command cmd = CALL(w.handle, .parent = w.call, .reply_max = 100);

	(void)scenario;
	return run_call(w.owner, &cmd);
}

/* --- callbacks --------------------------------------------------------------------- */

static int act_release(const struct scenario *scenario)
{
	struct upcall_command cmd = { .type = UPCALL_COMMAND_RELEASE, .target = w.handle,
				      .flags = scenario->number };

	return TRY(command(w.owner, &cmd));
}

static int again_release(const struct scenario *scenario, int err)
{
	return carried_out(err, act_release(scenario), -ESTALE);
}

static int act_rebind(const struct scenario *scenario)
{
	struct upcall_command cmd = { .type = UPCALL_COMMAND_REBIND, .target = w.handle,
				      .user_data = 9 };
	int err = TRY(command(w.owner, &cmd));

	(void)scenario;
	if (!err)
		must(stat_of(w.owner, w.handle).cookie == 9);
	return err;
}

/* Those before the one that cannot be read were carried out, those behind it were not. */
static int act_many(const struct scenario *scenario)
{
	struct upcall_command cmds[3];
	struct upcall_exchange args = {
		.size = sizeof(args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(cmds), .command_count = LENGTH(cmds),
		.command_size = sizeof(cmds[0]),
	};
	uint64_t before = stat_of(w.owner, w.handle).cookie, after;
	size_t i;
	int err;

	(void)scenario;
	for (i = 0; i < LENGTH(cmds); i++)
		cmds[i] = (struct upcall_command){ .type = UPCALL_COMMAND_REBIND,
			.target = w.handle, .user_data = 100 + i };
	err = TRY(verb(w.owner, UPCALL_IOC_EXCHANGE, &args));
	after = stat_of(w.owner, w.handle).cookie;
	if (err)
		must(after == before || (after >= 100 && after < 100 + LENGTH(cmds)));
	else
		must(after == 100 + LENGTH(cmds) - 1 && !args.commands_failed);
	return err;
}

#define PAIR(name, act, len, ...) { name, set_up_pair, act, .number = (len), ##__VA_ARGS__ }

const struct scenario exchange_scenarios[] = {
	PAIR("CALL", act_call, 0),
	PAIR("CALL of 500 bytes", act_call, 500),
	PAIR("CALL of 10000 bytes", act_call, 10000),
	PAIR("CALL with a descriptor", act_call_fds, 0, .flags = UPCALL_REGISTER_FDS),
	PAIR("CALL with a deadline", act_deadline, 0),
	PAIR("CALL of a SERIAL one", act_call, 500, .flags = UPCALL_REGISTER_SERIAL),
	PAIR("NOTIFY", act_notify, 500),
	PAIR("CALLs in a row", act_row, 0),
	{ "CALLs in a row by another gid", set_up_renamed, act_row },
	{ "CALLs in a row, the first without room", set_up_crowded, act_row, .number = 16 },
	{ "CALL and RESULT", set_up_served, act_round_trip, .number = 0 },
	{ "CALL and RESULT of 10000 bytes", set_up_served, act_round_trip, .number = 10000 },
	{ "nested CALL", set_up_taken, act_nested },
	{ "REPLY without bytes", set_up_taken, act_reply, again_reply, .number = 0 },
	{ "REPLY of 100 bytes", set_up_taken, act_reply, again_reply, .number = 100 },
	{ "REPLY of 500 bytes", set_up_taken, act_reply, again_reply, .number = 500 },
	{ "REPLY of 10000 bytes", set_up_taken, act_reply, again_reply, .number = 10000 },
	{ "REPLY of 100 KiB", set_up_taken, act_reply, again_reply, .number = PAGES },
	{ "REPLY with a descriptor", set_up_taken, act_reply_fds, again_reply_fds },
	{ "REFUSE", set_up_taken, act_refuse, again_refuse },
	{ "CANCEL after delivery", set_up_taken, act_cancel, again_cancel },
	{ "CANCEL before delivery", set_up_queued, act_cancel, again_cancel },
	PAIR("RELEASE command", act_release, 0, .again = again_release),
	PAIR("REBIND command", act_rebind, 0),
	PAIR("three commands", act_many, 0),
	{ "RELEASE of a running one", set_up_taken, act_release, again_release,
		.number = UPCALL_RELEASE_ABORT },
	{ }
};
