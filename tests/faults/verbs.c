// SPDX-License-Identifier: GPL-2.0-only
/* Each verb by itself: the first of a peer, which binds it, and on one that is bound. */
#include "faults.h"

union any_args {
	uint32_t size;
	struct upcall_info info;
	struct upcall_register reg;
	struct upcall_rebind rebind;
	struct upcall_release release;
	struct upcall_stat stat;
	struct upcall_list list;
	struct upcall_invoke invoke;
	struct upcall_exchange exchange;
	struct upcall_shutdown shutdown;
	struct upcall_export export;
	struct upcall_config config;
	struct upcall_adopt adopt;
};

static char listed[4096];

/* What succeeds on a peer that has w.handle; else it says that there is none. */
static union any_args args_of(unsigned long cmd)
{
	static const uint32_t sizes[] = {
		sizeof(struct upcall_info), sizeof(struct upcall_register),
		sizeof(struct upcall_rebind), sizeof(struct upcall_release),
		sizeof(struct upcall_stat), sizeof(struct upcall_list),
		sizeof(struct upcall_export), sizeof(struct upcall_invoke),
		sizeof(struct upcall_exchange), sizeof(struct upcall_shutdown),
		sizeof(struct upcall_adopt), sizeof(struct upcall_config),
	};
	union any_args args = { 0 };

	switch (cmd) {
	case UPCALL_IOC_REGISTER:
		args.reg = REGISTER_ARGS();
		break;
	case UPCALL_IOC_REBIND:
	case UPCALL_IOC_RELEASE:
	case UPCALL_IOC_STAT:
	case UPCALL_IOC_EXPORT:
		args.stat.handle = w.handle;	/* the same place in all of them */
		break;
	case UPCALL_IOC_LIST:
		args.list.what = UPCALL_LIST_CALLBACKS;
		args.list.record_size = sizeof(struct upcall_list_callback);
		args.list.buffer = ptr64(listed);
		args.list.buffer_len = sizeof(listed);
		break;
	case UPCALL_IOC_INVOKE:
		args.invoke = INVOKE_ARGS(w.handle);
		args.invoke.flags |= UPCALL_INVOKE_ONEWAY;
		break;
	case UPCALL_IOC_EXCHANGE:
		args.exchange.flags = UPCALL_EXCHANGE_NO_DEADLINE;
		args.exchange.command_size = sizeof(struct upcall_command);
		break;
	}
	args.size = sizes[cmd - UPCALL_IOC_INFO];
	return args;
}

static uint32_t callbacks_of(int fd)
{
	union any_args args = args_of(UPCALL_IOC_LIST);

	return verb(fd, UPCALL_IOC_LIST, &args) ? ~0U : args.list.count;
}

/* --- on a peer that is bound ------------------------------------------------------- */

static void set_up_owner(const struct scenario *scenario)
{
	owner_new(scenario->flags);
}

static int act_verb(const struct scenario *scenario)
{
	union any_args args = args_of(scenario->number);

	return TRY(verb(w.owner, scenario->number, &args));
}

/* REGISTER that failed registered nothing. */
static int again_register(const struct scenario *scenario, int err)
{
	(void)err;
	must(callbacks_of(w.owner) == !!w.handle);
	err = act_verb(scenario);
	must(callbacks_of(w.owner) == 1U + !!w.handle);
	return err;
}

/* Its identity is to be made anew. */
static void set_up_renamed_owner(const struct scenario *scenario)
{
	owner_new(scenario->flags);
	must(!setresgid(1234, 1234, 1234));
}

/* The same, with a callback that an earlier one left. */
static void set_up_renamed_heir(const struct scenario *scenario)
{
	union any_event event;
	union any_args args = args_of(UPCALL_IOC_REGISTER);

	owner_new(scenario->flags);
	must(!verb(w.owner, UPCALL_IOC_REGISTER, &args));
	must(!release(w.owner, args.reg.handle, 0));
	must(event_seen(w.owner, UPCALL_EVENT_RELEASED, &event));
	must(!setresgid(1234, 1234, 1234));
}

/* EXPORT tells a number, and the number is to be closed. */
static int act_export(const struct scenario *scenario)
{
	struct upcall_export args = { .size = sizeof(args), .handle = w.handle };
	int err = TRY(verb(w.owner, UPCALL_IOC_EXPORT, &args));

	(void)scenario;
	if (!err && close(args.fd))
		wrong("the stub fd %u is not open", args.fd);
	return err;
}

static void set_up_stub(const struct scenario *scenario)
{
	struct upcall_export args = { .size = sizeof(args) };

	owner_new(scenario->flags);
	args.handle = w.handle;
	must(!verb(w.owner, UPCALL_IOC_EXPORT, &args));
	w.stub = args.fd;
}

static int act_stub_stat(const struct scenario *scenario)
{
	struct upcall_stat args = { .size = sizeof(args) };
	int err = TRY(verb(w.stub, UPCALL_IOC_STAT, &args));

	(void)scenario;
	if (!err)
		must(args.state == UPCALL_STATE_LIVE && args.max_arg == UPCALL_MAX_PAYLOAD);
	return err;
}

static int act_stub_info(const struct scenario *scenario)
{
	struct upcall_info args = { .size = sizeof(args) };

	(void)scenario;
	return TRY(verb(w.stub, UPCALL_IOC_INFO, &args));
}

static int act_stat(const struct scenario *scenario)
{
	struct upcall_stat args = { .size = sizeof(args), .handle = w.handle };
	int err = TRY(verb(w.owner, UPCALL_IOC_STAT, &args));

	if (!err)
		must(args.state == scenario->number);
	return err;
}

static void set_up_released(const struct scenario *scenario)
{
	union any_event event;

	owner_new(scenario->flags);
	must(!release(w.owner, w.handle, 0));
	must(event_seen(w.owner, UPCALL_EVENT_RELEASED, &event));
}

static int act_list(const struct scenario *scenario)
{
	static const uint32_t sizes[] = {
		sizeof(struct upcall_list_callback), sizeof(struct upcall_list_peer),
		sizeof(struct upcall_list_call), sizeof(struct upcall_list_user),
	};
	struct upcall_list args = {
		.size = sizeof(args), .what = scenario->number,
		.record_size = sizes[scenario->number - 1],
		.buffer = ptr64(listed), .buffer_len = sizeof(listed),
	};
	int err = TRY(verb(w.owner, UPCALL_IOC_LIST, &args));

	if (err)
		must(!args.cursor && !args.count);
	else
		must(args.count);
	return err;
}

/* One call waits in the queue. */
static void set_up_list(const struct scenario *scenario)
{
	struct upcall_invoke args;

	owner_new(scenario->flags);
	args = INVOKE_ARGS(w.handle);
	args.flags |= UPCALL_INVOKE_ONEWAY;
	must(!verb(w.owner, UPCALL_IOC_INVOKE, &args));
}

/* --- on a peer that is not --------------------------------------------------------- */

static void set_up_fresh(const struct scenario *scenario)
{
	(void)scenario;
	w.owner = peer_open();
	w.handle = NO_HANDLE;
	must(w.owner >= 0);
}

/* Its account is new. */
static void set_up_stranger(const struct scenario *scenario)
{
	set_up_fresh(scenario);
	become_stranger();
}

/* The one error that each has without a callback is its success here. */
static int act_fresh(const struct scenario *scenario)
{
	union any_args args = args_of(scenario->number);
	int err = TRY(verb(w.owner, scenario->number, &args));

	return err == -(int)scenario->flags ? 0 : err;
}

static int again_fresh_register(const struct scenario *scenario, int err)
{
	(void)err;
	must(callbacks_of(w.owner) == 0);
	err = act_fresh(scenario);
	must(callbacks_of(w.owner) == 1);
	return err;
}

#define FRESH(verb, want) { "first " #verb, set_up_fresh, act_fresh, \
	.number = UPCALL_IOC_##verb, .flags = (want) }
#define BOUND(verb) { #verb, set_up_owner, act_verb, .number = UPCALL_IOC_##verb }

const struct scenario verb_scenarios[] = {
	FRESH(INFO, 0),
	{ "first REGISTER", set_up_fresh, act_fresh, again_fresh_register,
		.number = UPCALL_IOC_REGISTER },
	{ "first REGISTER of a uid", set_up_stranger, act_fresh, again_fresh_register,
		.number = UPCALL_IOC_REGISTER },
	FRESH(REBIND, ESTALE),
	FRESH(RELEASE, ESTALE),
	FRESH(STAT, ESTALE),
	FRESH(LIST, 0),
	FRESH(EXPORT, ESTALE),
	FRESH(INVOKE, ESTALE),
	FRESH(EXCHANGE, 0),
	FRESH(SHUTDOWN, 0),
	FRESH(ADOPT, ENOENT),
	FRESH(CONFIG, 0),
	{ "REGISTER", set_up_owner, act_verb, again_register, .number = UPCALL_IOC_REGISTER },
	{ "REGISTER by another gid", set_up_renamed_owner, act_verb, again_register,
		.number = UPCALL_IOC_REGISTER },
	{ "REGISTER by another gid, again", set_up_renamed_heir, act_verb, again_register,
		.number = UPCALL_IOC_REGISTER },
	BOUND(REBIND),
	BOUND(RELEASE),
	BOUND(INVOKE),
	BOUND(EXCHANGE),
	BOUND(SHUTDOWN),
	BOUND(CONFIG),
	{ "STAT of a live one", set_up_owner, act_stat, .number = UPCALL_STATE_LIVE },
	{ "STAT of a dead one", set_up_released, act_stat, .number = UPCALL_STATE_DEAD },
	{ "LIST of callbacks", set_up_list, act_list, .number = UPCALL_LIST_CALLBACKS },
	{ "LIST of peers", set_up_list, act_list, .number = UPCALL_LIST_PEERS },
	{ "LIST of calls", set_up_list, act_list, .number = UPCALL_LIST_CALLS },
	{ "LIST of users", set_up_list, act_list, .number = UPCALL_LIST_USERS },
	{ "EXPORT of the first stub", set_up_owner, act_export },
	{ "EXPORT of the second stub", set_up_stub, act_export },
	{ "INFO on a stub", set_up_stub, act_stub_info },
	{ "STAT on a stub", set_up_stub, act_stub_stat },
	{ }
};
