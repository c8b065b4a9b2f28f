// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners that answer garbage, or take a call and sleep for ever, and callers that never read
 * their results: whoever is on the other side gets an answer, and what they can pile up is bounded.
 */
#include "abi_call.h"

FIXTURE(hostile) {
	int owner, caller;
	uint64_t handle;
};

FIXTURE_SETUP(hostile)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(hostile)
{
	close(self->owner);
	close(self->caller);
}

/* --- garbage from an owner ---------------------------------------------------------- */

TEST_F(hostile, status_of_a_reply_is_passed_on_whatever_it_is)
{
	static const uint32_t any[] = { 1, EINVAL, 512, INT32_MAX, 1U << 31, UPCALL_STATUS_RAISED, ~1U };
	struct upcall_event_result result;
	struct upcall_event_call call;
	uint64_t id;
	size_t i;

	for (i = 0; i < LENGTH(any); i++) {
		id = call_id_of(self->caller, self->handle, 0);
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(0, reply(self->owner, call.call, any[i], NULL, 0));
		ASSERT_EQ(0, result_of(self->caller, id, &result));
		EXPECT_EQ(any[i], result.status);
		EXPECT_EQ(0, result.error);
		EXPECT_EQ(UPCALL_STAGE_REPLIED, result.stage);
	}
}

TEST_F(hostile, refusal_with_what_is_no_errno_is_einval_and_the_call_still_open)
{
	static const uint32_t wrong[] = { 0, 512, 513, 516, 530, 4095, 4096, INT32_MAX, 1U << 31,
		-1U, -22U, -512U };
	struct upcall_event_result result;
	struct upcall_event_call call;
	uint64_t id;
	size_t i;

	id = call_id_of(self->caller, self->handle, 0);
	ASSERT_EQ(0, one_call(self->owner, &call));
	for (i = 0; i < LENGTH(wrong); i++)
		EXPECT_EQ(-EINVAL, refuse(self->owner, call.call, wrong[i]));
	EXPECT_TRUE(no_event(self->caller));
	EXPECT_EQ(0, refuse(self->owner, call.call, 511));
	ASSERT_EQ(0, result_of(self->caller, id, &result));
	EXPECT_EQ(511, result.error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, result.stage);
	EXPECT_TRUE(unanswered(&result));
}

/* An owner refuses with an errno that says more when it is the kernel's. */
TEST_F(hostile, refusal_with_estale_says_nothing_about_a_death)
{
	static const uint32_t errnos[] = { ESTALE, EOWNERDEAD, EMSGSIZE, ETIMEDOUT, EINTR, ESHUTDOWN };
	struct upcall_event_call call;
	struct async async;
	size_t i;

	for (i = 0; i < LENGTH(errnos); i++) {
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(0, refuse(self->owner, call.call, errnos[i]));
		EXPECT_EQ(-(int)errnos[i], async_join(&async));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, async.args.stage);
		EXPECT_EQ(UPCALL_REASON_NONE, async.args.reason);
		EXPECT_EQ(0, async.args.exit_status);
		EXPECT_EQ(0, async.args.word);
		EXPECT_EQ(0, async.args.needed);
		EXPECT_EQ(0, async.args.call_id);
	}
}

TEST_F(hostile, unknown_commands_in_a_batch_fail_alone)
{
	static const uint32_t types[] = { 0, 8, 9, 255, 1U << 31, ~0U };
	struct upcall_command cmds[2 * LENGTH(types) + 1];
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
						    .command_count = LENGTH(cmds));
	struct upcall_event_result result;
	struct upcall_event_call call;
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	size_t i;

	ASSERT_EQ(0, one_call(self->owner, &call));
	for (i = 0; i < LENGTH(types); i++) {
		/* what is [out] is garbage, too */
		cmds[2 * i] = COMMAND(REBIND, self->handle, .user_data = i + 100,
			.error = POISON32, .stage = POISON32, .needed = POISON32, .call_id = ~0ULL);
		cmds[2 * i + 1] = COMMAND(REPLY, call.call, .error = POISON32, .stage = POISON32);
		cmds[2 * i + 1].type = types[i];
	}
	cmds[2 * i] = COMMAND(REPLY, call.call, .status = 5);
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(LENGTH(types), args.commands_failed);
	for (i = 0; i < LENGTH(types); i++) {
		EXPECT_EQ(0, cmds[2 * i].error);
		EXPECT_EQ(0, cmds[2 * i].stage);
		EXPECT_EQ(0, cmds[2 * i].needed);
		EXPECT_EQ(0, cmds[2 * i].call_id);
		EXPECT_EQ(EINVAL, cmds[2 * i + 1].error);
		EXPECT_EQ(0, cmds[2 * i + 1].stage);
	}
	EXPECT_EQ(99 + LENGTH(types), stat_of(self->owner, self->handle).cookie);
	ASSERT_EQ(0, result_of(self->caller, id, &result));
	EXPECT_EQ(5, result.status);
}

/* Whatever stands in an event, it names a call as its @call only. */
TEST_F(hostile, replies_to_what_else_stands_in_events_are_enoent)
{
	uint64_t back = register_new(self->caller, COOKIE, UPCALL_ACCESS_SAME_USER), id, wrong;
	struct upcall_event_result result;
	struct upcall_event_call call;
	struct upcall_command cmd;
	union any_event event;
	size_t i;

	id = call_id_of(self->caller, self->handle, 77);
	ASSERT_EQ(0, one_call(self->owner, &call));
	for (i = 0; i < sizeof(call) / 8; i++) {
		wrong = ((uint64_t *)&call)[i];
		if (wrong == call.call)
			continue;
		EXPECT_EQ(-ENOENT, reply(self->owner, wrong, 0, NULL, 0)) TH_LOG("word %zu", i);
		EXPECT_EQ(-ENOENT, refuse(self->owner, wrong, EXDEV));
	}
	/* A RESULT of the owner's own call. */
	cmd = CALL(back, .user_data = 1ULL << 40);
	ASSERT_EQ(0, command(self->owner, &cmd));
	ASSERT_EQ(0, cancel(self->owner, cmd.call_id));
	ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->owner, &event));
	for (i = 0; i < sizeof(event.result) / 8; i++) {
		wrong = ((uint64_t *)&event.result)[i];
		if (wrong != call.call)
			EXPECT_EQ(-ENOENT, reply(self->owner, wrong, 0, NULL, 0)) TH_LOG("word %zu", i);
	}
	/* A CANCEL: its call has its owner's end once. */
	ASSERT_EQ(0, cancel(self->caller, id));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(-ENOENT, reply(self->owner, event.cancel.call, 0, NULL, 0));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(-ENOENT, reply(self->owner, event.cancel.call, 0, NULL, 0));
	ASSERT_EQ(0, result_of(self->caller, id, &result));
	EXPECT_EQ(ECANCELED, result.error);
	EXPECT_EQ(77, result.event.cookie);
}

/* --- an owner that takes a call and sleeps -------------------------------------------- */

/* It has taken one, which it never answers. */
static uint64_t take_one(FIXTURE_DATA(hostile) *self)
{
	struct upcall_event_call call;

	return one_call(self->owner, &call) ? 0 : call.call;
}

/* Whether there was a call to take until then. */
static bool take_until(FIXTURE_DATA(hostile) *self, uint64_t ns)
{
	bool none;

	while ((none = no_event(self->owner)) && now_ns() < ns)
		usleep(1000);
	return !none;
}

/* A call that is taken before its deadline passes: where that is too soon, the next one is. */
static bool invoke_is_taken(FIXTURE_DATA(hostile) *self, struct async *async)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .flags = 0);
	uint64_t ms;

	for (ms = 2 * A_MOMENT_MS; ms < SOON_MS; ms *= 4) {
		args.deadline_ns = in_ms(ms);
		if (async_start(async, self->caller, args))
			return false;
		if (take_until(self, args.deadline_ns))
			return true;
		async_join(async);
	}
	return false;
}

static bool call_is_taken(FIXTURE_DATA(hostile) *self, struct upcall_command *cmd)
{
	struct upcall_event_result result;
	uint64_t ms;
	int err;

	for (ms = 2 * A_MOMENT_MS; ms < SOON_MS; ms *= 4) {
		cmd->deadline_ns = in_ms(ms);
		err = command(self->caller, cmd);
		if (!err && take_until(self, cmd->deadline_ns))
			return true;
		if (err ? err != -ETIMEDOUT : result_of(self->caller, cmd->call_id, &result))
			return false;
	}
	return false;
}

TEST_F(hostile, sleeping_owner_keeps_no_caller_beyond_its_deadline)
{
	struct upcall_command cmd = COMMAND(CALL, self->handle);
	struct upcall_event_result result;
	struct async async;
	uint64_t begin = now_ns();

	ASSERT_TRUE(invoke_is_taken(self, &async));
	ASSERT_TRUE(call_is_taken(self, &cmd));
	EXPECT_EQ(-ETIMEDOUT, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, async.args.stage);
	ASSERT_EQ(0, result_of(self->caller, cmd.call_id, &result));
	EXPECT_EQ(ETIMEDOUT, result.error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, result.stage);
	EXPECT_LE(begin + 2 * A_MOMENT_MS * 1000000ULL, now_ns());
	EXPECT_EQ(2, stat_of(self->owner, self->handle).running);
}

TEST_F(hostile, sleeping_owner_keeps_no_caller_that_cancels_or_shuts_down)
{
	struct upcall_event_result result;
	union any_event event;
	struct async async;
	uint64_t id = call_id_of(self->caller, self->handle, 0);

	ASSERT_NE(0, take_one(self));
	ASSERT_EQ(0, cancel(self->caller, id));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	ASSERT_EQ(0, result_of(self->caller, id, &result));
	EXPECT_EQ(ECANCELED, result.error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, result.stage);
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_NE(0, take_one(self));
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(-ESHUTDOWN, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, async.args.stage);
}

TEST_F(hostile, sleeping_owner_of_a_serial_call_keeps_those_behind_it_undelivered)
{
	struct upcall_register reg = REGISTER_ARGS(.flags = UPCALL_REGISTER_SERIAL);
	struct upcall_event_result result;
	struct upcall_command cmd;
	uint64_t id;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_NE(0, call_id_of(self->caller, reg.handle, 0));
	ASSERT_NE(0, take_one(self));
	cmd = COMMAND(CALL, reg.handle);
	ASSERT_EQ(0, command_in_time(self->caller, &cmd));
	ASSERT_EQ(0, result_of(self->caller, cmd.call_id, &result));
	EXPECT_EQ(ETIMEDOUT, result.error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, result.stage);
	/* Its other callbacks are not concerned. */
	id = call_id_of(self->caller, self->handle, 0);
	ASSERT_EQ(0, reply(self->owner, take_one(self), 0, NULL, 0));
	ASSERT_EQ(0, result_of(self->caller, id, &result));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, result.stage);
}

/* The queue of an owner that does not even receive, and what may be called meanwhile. */
TEST_F(hostile, owner_that_receives_nothing_is_eagain_at_the_limit_of_its_queue)
{
	uint64_t other = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	struct upcall_command cmd = CALL(self->handle, .reply_max = 8);
	uint32_t n = 0;

	while (!command(self->caller, &cmd))
		n++;
	EXPECT_EQ(EAGAIN, cmd.error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmd.stage);
	EXPECT_EQ(0, cmd.call_id);
	/* of 64 one uid has half of what is left, rounded up */
	EXPECT_EQ(32, n);
	EXPECT_EQ(n, usage(self->owner).queued_calls);
	EXPECT_EQ(n * 8, usage(self->owner).queued_bytes);
	EXPECT_EQ(0, notify(self->caller, other, NULL, 0));
}

/* --- a caller that reads no results ------------------------------------------------- */

/* Submits and has answered until one is refused; how many, or -1. */
static int pile_up(int owner, int caller, uint64_t handle)
{
	static struct upcall_command calls[16], replies[16];
	static char events[16 * sizeof(struct upcall_event_call)] __attribute__((aligned(8)));
	struct upcall_exchange submit = EXCHANGE_ARGS(.commands = ptr64(calls),
		.command_count = LENGTH(calls));
	struct upcall_exchange answer, out;
	uint32_t i;
	int n = 0;

	do {
		for (i = 0; i < LENGTH(calls); i++)
			calls[i] = CALL(handle, .reply_max = 64, .user_data = n + i);
		if (verb(caller, UPCALL_IOC_EXCHANGE, &submit))
			return -1;
		n += LENGTH(calls) - submit.commands_failed;
		if (submit.commands_failed == LENGTH(calls))
			break;
		if (receive(owner, events, sizeof(events), LENGTH(calls), 0, &out))
			return -1;
		for (i = 0; i < out.event_count; i++)
			replies[i] = COMMAND(REPLY, ((struct upcall_event_call *)events)[i].call,
				.data = ptr64("result"), .data_len = 6);
		answer = EXCHANGE_ARGS(.commands = ptr64(replies), .command_count = out.event_count);
		if (verb(owner, UPCALL_IOC_EXCHANGE, &answer) || answer.commands_failed)
			return -1;
	} while (!submit.commands_failed);
	return n;
}

TEST_F_TIMEOUT(hostile, caller_that_reads_no_results_is_eagain_at_16384_of_them, 90)
{
	int other = peer_open();
	struct upcall_event_call call;
	struct upcall_command cmd;
	union any_event event;

	ASSERT_EQ(UPCALL_MAX_OUTGOING, pile_up(self->owner, self->caller, self->handle));
	cmd = CALL(self->handle);
	EXPECT_EQ(-EAGAIN, command(self->caller, &cmd));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmd.stage);
	/* Its owner owes nothing, and nobody else is kept from calling: neither it in other ways. */
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).queued);
	EXPECT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(0, command(other, &cmd));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, one_call(self->owner, &call));
	/* One that is read makes room for one. */
	ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->caller, &event));
	EXPECT_EQ(0, event.event.cookie);
	EXPECT_EQ(0, command(self->caller, &cmd));
	EXPECT_EQ(-EAGAIN, command(self->caller, &cmd));
	/* What it left behind goes with it. */
	close(self->caller);
	self->caller = -1;
	EXPECT_TRUE(eventually(usage(self->owner).queued_calls <= 3));
	close(other);
}

TEST_HARNESS_MAIN
