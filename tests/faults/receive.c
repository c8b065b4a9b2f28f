// SPDX-License-Identifier: GPL-2.0-only
/*
 * EXCHANGE: each event. One that could not be written is still there, with all that belongs to
 * it, and comes once.
 */
#include "faults.h"

static char sent[MIB], events[2 * MIB] __attribute__((aligned(8)));

static union any_event *first_event(void)
{
	return (union any_event *)events;
}

/* @scenario->number bytes wait for the owner; in a CALL of the caller. */
static void set_up_call(const struct scenario *scenario)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .flags = UPCALL_INVOKE_NO_DEADLINE,
		.data = ptr64(sent), .data_len = scenario->number,
		.reply_max = MIB, .reply_fd_max = 3, .user_data = 5,
	};
	int fds[] = { 0, 0, 0 };

	memset(sent, 7, scenario->number);
	pipe_make();
	owner_new(scenario->flags);
	caller_new();
	cmd.target = w.handle;
	if (scenario->flags & UPCALL_REGISTER_FDS) {
		fds[0] = fds[1] = fds[2] = w.writer;
		cmd.fds = ptr64(fds);
		cmd.fd_count = 3;
	}
	must(!command(w.caller, &cmd));
	w.call_id = cmd.call_id;
}

/* One batch: 0 or -errno. */
static int take(int fd, uint32_t type, uint32_t count)
{
	struct upcall_exchange out;
	int err = TRY(receive(fd, events, sizeof(events), 3, UPCALL_EXCHANGE_NONBLOCK, &out));

	if (!err)
		must(out.event_count == count && first_event()->event.type == type);
	return err;
}

static void close_fds(const int *fds, uint32_t count)
{
	while (count--)
		must(same_file(fds[count], w.writer) && !close(fds[count]));
}

static int act_take_call(const struct scenario *scenario)
{
	struct upcall_event_call *call = &first_event()->call;
	int err = take(w.owner, UPCALL_EVENT_CALL, 1);

	if (err)
		return err;
	must(call->payload_len == scenario->number);
	must(!memcmp(events + call->payload_offset, sent, call->payload_len));
	close_fds((int *)(events + call->fds_offset), call->fd_count);
	return call->flags & UPCALL_CALL_FDS_LOST ? -EMFILE : 0;
}

/* It came without its descriptors, and said so: it will not come again. */
static int again_take_call(const struct scenario *scenario, int err)
{
	if (err != -EMFILE)
		return act_take_call(scenario);
	return take(w.owner, 0, 0) == -EAGAIN ? 0 : -EPROTO;
}

static void set_up_calls(const struct scenario *scenario)
{
	struct upcall_invoke args;
	int i;

	owner_new(scenario->flags);
	caller_new();
	for (i = 0; i < 3; i++) {
		args = INVOKE_ARGS(w.handle, .arg = ptr64(sent), .arg_len = scenario->number,
				   .op = i);
		args.flags |= UPCALL_INVOKE_ONEWAY;
		must(!verb(w.caller, UPCALL_IOC_INVOKE, &args));
	}
}

/* In order. */
static int act_take_calls(const struct scenario *scenario)
{
	struct upcall_event_call *call = &first_event()->call;
	int err = take(w.owner, UPCALL_EVENT_CALL, 3);
	uint32_t i;

	(void)scenario;
	for (i = 0; !err && i < 3; i++) {
		must(call->op == i);
		call = (struct upcall_event_call *)((char *)call + call->event.size);
	}
	return err;
}

/* --- RESULT ------------------------------------------------------------------------ */

static void set_up_result(const struct scenario *scenario)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_REPLY, .data = ptr64(sent), .data_len = scenario->number,
	};
	int fds[3];

	set_up_call(scenario);
	must(!take(w.owner, UPCALL_EVENT_CALL, 1));
	cmd.target = first_event()->call.call;
	close_fds((int *)(events + first_event()->call.fds_offset), first_event()->call.fd_count);
	if (scenario->flags & UPCALL_REGISTER_FDS) {
		fds[0] = fds[1] = fds[2] = w.writer;
		cmd.fds = ptr64(fds);
		cmd.fd_count = 3;
	}
	must(!command(w.owner, &cmd));
}

static int act_take_result(const struct scenario *scenario)
{
	struct upcall_event_result *result = &first_event()->result;
	int err = take(w.caller, UPCALL_EVENT_RESULT, 1);

	if (err)
		return err;
	must(result->call_id == w.call_id && result->event.cookie == 5);
	must(result->stage == UPCALL_STAGE_REPLIED && result->payload_len == scenario->number);
	must(!memcmp(events + result->payload_offset, sent, result->payload_len));
	close_fds((int *)(events + result->fds_offset), result->fd_count);
	return -(int)result->error;
}

/* Its descriptors are lost, and it said so. */
static int again_take_result(const struct scenario *scenario, int err)
{
	if (err != -EMFILE)
		return act_take_result(scenario);
	return take(w.caller, 0, 0) == -EAGAIN ? 0 : -EPROTO;
}

static int act_wait_result(const struct scenario *scenario)
{
	struct upcall_event_result *result = &first_event()->result;
	struct upcall_exchange args = {
		.size = sizeof(args), .deadline_ns = in_ms(SOON_MS), .events = ptr64(events),
		.events_len = sizeof(events), .wait_call = w.call_id,
	};
	int err = TRY(verb(w.caller, UPCALL_IOC_EXCHANGE, &args));

	if (!err)
		must(result->call_id == w.call_id && result->payload_len == scenario->number);
	return err;
}

/* --- the others -------------------------------------------------------------------- */

static void set_up_cancelled(const struct scenario *scenario)
{
	set_up_call(scenario);
	must(!take(w.owner, UPCALL_EVENT_CALL, 1));
	w.call = first_event()->call.call;
	must(!cancel(w.caller, w.call_id));
}

static int act_take_cancel(const struct scenario *scenario)
{
	int err = take(w.owner, UPCALL_EVENT_CANCEL, 1);

	(void)scenario;
	if (!err)
		must(first_event()->cancel.call == w.call && first_event()->cancel.error == ECANCELED);
	return err;
}

static void set_up_released(const struct scenario *scenario)
{
	owner_new(scenario->flags);
	must(!release(w.owner, w.handle, 0));
}

static void set_up_unreferenced(const struct scenario *scenario)
{
	owner_new(scenario->flags);
	must(!close(export_stub(w.owner, w.handle)));
}

static int act_take_notice(const struct scenario *scenario)
{
	int err = take(w.owner, scenario->number, 1);

	if (!err)
		must(first_event()->event.handle == w.handle && first_event()->event.cookie == COOKIE);
	return err;
}

#define BYTES(name, what, n) { name, set_up_##what, act_take_##what, .number = (n) }

const struct scenario receive_scenarios[] = {
	BYTES("event CALL without bytes", call, 0),
	BYTES("event CALL of 100 bytes", call, 100),
	BYTES("event CALL of 10000 bytes", call, 10000),
	BYTES("event CALL of 100 KiB", call, PAGES),
	{ "event CALL with descriptors", set_up_call, act_take_call, again_take_call,
		.flags = UPCALL_REGISTER_FDS, .errors = { ENOMEM, EFAULT, EMFILE } },
	BYTES("event CALL three times", calls, 500),
	BYTES("event RESULT without bytes", result, 0),
	BYTES("event RESULT of 100 bytes", result, 100),
	BYTES("event RESULT of 10000 bytes", result, 10000),
	BYTES("event RESULT of 100 KiB", result, PAGES),
	{ "event RESULT with descriptors", set_up_result, act_take_result, again_take_result,
		.flags = UPCALL_REGISTER_FDS, .errors = { ENOMEM, EFAULT, EMFILE } },
	{ "event RESULT that is waited for", set_up_result, act_wait_result, .number = 500 },
	{ "event CANCEL", set_up_cancelled, act_take_cancel },
	{ "event RELEASED", set_up_released, act_take_notice, .number = UPCALL_EVENT_RELEASED },
	{ "event UNREFERENCED", set_up_unreferenced, act_take_notice,
		.number = UPCALL_EVENT_UNREFERENCED, .flags = UPCALL_REGISTER_UNREFERENCED },
	{ }
};
