// SPDX-License-Identifier: GPL-2.0-only
/*
 * CALLs and NOTIFYs in a row in one EXCHANGE: what they share inside the kernel is not to be
 * seen. Order, errors, quota and queues are as if each were alone.
 */
#include "abi_test.h"
#include "abi_call.h"

#define MANY	40

#define NOTIFY(_handle, ...) COMMAND(NOTIFY, _handle, .flags = UPCALL_INVOKE_NO_DEADLINE, \
				     ##__VA_ARGS__)

static uint64_t register_with(int fd, uint32_t flags)
{
	struct upcall_register args = REGISTER_ARGS(.flags = flags, .max_queued_calls = 4096,
						    .max_queued_bytes = 1 << 20);

	return verb(fd, UPCALL_IOC_REGISTER, &args) ? 0 : args.handle;
}

static int exchange(int fd, struct upcall_command *cmds, uint32_t count)
{
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
						    .command_count = count);
	int err = verb(fd, UPCALL_IOC_EXCHANGE, &args);

	return err ? err : (int)args.commands_failed;
}

/* The op of the next call, whichever callback is called. */
static int next_op(int fd)
{
	struct upcall_event_call call;
	int err = one_call(fd, &call);

	return err ? err : (int)call.op;
}

TEST_F(pair, order_is_kept_from_one_callback_to_the_other)
{
	uint64_t handles[] = { register_with(self->owner, UPCALL_REGISTER_AUTOEND),
			       register_with(self->owner, UPCALL_REGISTER_AUTOEND) };
	struct upcall_command cmds[MANY];
	uint32_t i;

	for (i = 0; i < MANY; i++)
		cmds[i] = NOTIFY(handles[i / 3 % 2], .status = i);
	ASSERT_EQ(0, exchange(self->caller, cmds, MANY));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ((int)i, next_op(self->owner));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, calls_and_notifications_in_a_row_keep_their_order)
{
	uint64_t handle = register_with(self->owner, 0);
	struct upcall_command cmds[MANY];
	struct upcall_event_result result;
	struct upcall_event_call call;
	uint32_t i;

	for (i = 0; i < MANY; i++)
		cmds[i] = i % 3 ? CALL(handle, .status = i, .user_data = i)
				: NOTIFY(handle, .status = i);
	ASSERT_EQ(0, exchange(self->caller, cmds, MANY));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(i, call.op);
		EXPECT_EQ(i + 1, call.seq);
		ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	}
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(!(i % 3), !cmds[i].call_id);
		if (!cmds[i].call_id)
			continue;
		ASSERT_EQ(0, result_of(self->caller, cmds[i].call_id, &result));
		EXPECT_EQ(i, result.event.cookie);
	}
}

TEST_F(pair, a_release_in_between_ends_what_was_sent_before_and_refuses_what_comes_after)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_AUTOEND);
	struct upcall_command cmds[] = {
		NOTIFY(handle), NOTIFY(handle), COMMAND(RELEASE, handle), NOTIFY(handle),
		NOTIFY(handle),
	};
	union any_event event;

	ASSERT_EQ(2, exchange(self->owner, cmds, LENGTH(cmds)));
	EXPECT_EQ(0, cmds[0].error);
	EXPECT_EQ(0, cmds[1].error);
	EXPECT_EQ(0, cmds[2].error);
	EXPECT_EQ(ESTALE, cmds[3].error);
	EXPECT_EQ(ESTALE, cmds[4].error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmds[4].stage);
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
}

/* Of each kind of refusal one, with such as are accepted in between. */
static void fill_mixed(struct upcall_command *cmds, uint64_t handle, uint64_t small)
{
	static char arg[64];
	uint32_t i = 0;

	cmds[i++] = NOTIFY(handle, .data = ptr64(arg), .data_len = 8);
	cmds[i++] = NOTIFY(handle, .user_data = 1);
	cmds[i++] = NOTIFY(handle, .data = 8, .data_len = 8);
	cmds[i++] = NOTIFY(handle, .data = ptr64(arg), .data_len = 64);
	cmds[i++] = NOTIFY(small, .data = ptr64(arg), .data_len = 9);
	cmds[i++] = NOTIFY(small, .data = ptr64(arg), .data_len = 8);
	cmds[i++] = CALL(NO_HANDLE);
	cmds[i++] = CALL(handle, .reply_max = 100);
	cmds[i++] = CALL(handle, .deadline_ns = 1);
	cmds[i++] = COMMAND(CALL, handle, .deadline_ns = 1);
	cmds[i++] = NOTIFY(handle, .value = 1);
	cmds[i++] = NOTIFY(handle);
}

#define MIXED	12

TEST_F(pair, each_has_the_error_that_it_would_have_alone)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_AUTOEND,
						    .max_arg = 8);
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_AUTOEND);
	struct upcall_command together[MIXED], alone[MIXED];
	uint32_t i, failed = 0, accepted = 0;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	fill_mixed(together, handle, args.handle);
	fill_mixed(alone, handle, args.handle);
	for (i = 0; i < MIXED; i++)
		failed += exchange(self->caller, &alone[i], 1);
	EXPECT_EQ((int)failed, exchange(self->caller, together, MIXED));
	for (i = 0; i < MIXED; i++) {
		EXPECT_EQ(alone[i].error, together[i].error) TH_LOG("command %u", i);
		EXPECT_EQ(alone[i].stage, together[i].stage) TH_LOG("command %u", i);
		EXPECT_EQ(alone[i].needed, together[i].needed) TH_LOG("command %u", i);
		accepted += !together[i].error;
	}
	EXPECT_EQ(EFAULT, together[2].error);
	EXPECT_EQ(ESTALE, together[6].error);
	EXPECT_EQ(5, accepted);
	EXPECT_EQ(2 * accepted, usage(self->owner).queued_calls);
	EXPECT_EQ(2 * (8 + 64 + 8 + 100), usage(self->owner).queued_bytes);
}

TEST_F(pair, call_within_one_that_does_not_run_is_refused_and_those_behind_it_are_not)
{
	uint64_t handle = register_with(self->owner, 0);
	struct upcall_command cmds[] = {
		CALL(handle, .parent = ~0ULL, .status = 1), CALL(handle, .status = 2),
		NOTIFY(handle, .status = 3), CALL(handle, .parent = ~0ULL, .status = 4),
		CALL(NO_HANDLE), CALL(handle, .status = 5),
	};
	struct upcall_event_call call;
	int op;

	ASSERT_EQ(3, exchange(self->caller, cmds, LENGTH(cmds)));
	EXPECT_EQ(ENOENT, cmds[0].error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmds[0].stage);
	EXPECT_EQ(ENOENT, cmds[3].error);
	EXPECT_EQ(ESTALE, cmds[4].error);
	for (op = 2; op <= 5; op += op == 3 ? 2 : 1) {
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(op, (int)call.op);
		EXPECT_EQ(1, call.depth);
	}
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, queue_that_fills_half_way_takes_those_in_front)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_AUTOEND,
						    .max_queued_calls = 9);
	struct upcall_command cmds[MANY];
	uint32_t i;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	for (i = 0; i < MANY; i++)
		cmds[i] = NOTIFY(args.handle, .status = i);
	ASSERT_EQ(MANY - 5, exchange(self->caller, cmds, MANY));	/* half is one uid's */
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(i < 5 ? 0 : EAGAIN, (int)cmds[i].error);
	EXPECT_EQ(5, usage(self->owner).queued_calls);
	EXPECT_EQ(MANY - 5, stat_of(self->owner, args.handle).refused);
	for (i = 0; i < 5; i++)
		ASSERT_EQ((int)i, next_op(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_F(pair, latest_replaces_the_one_before_it_in_the_same_exchange)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_AUTOEND);
	struct upcall_event_call call;
	struct upcall_command cmds[MANY];
	uint32_t i;

	for (i = 0; i < MANY; i++) {
		cmds[i] = NOTIFY(handle, .data = ptr64(&cmds[i].user_data), .data_len = i % 9);
		cmds[i].flags |= UPCALL_INVOKE_LATEST;
	}
	ASSERT_EQ(0, exchange(self->caller, cmds, MANY));
	EXPECT_EQ(1, usage(self->owner).queued_calls);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(MANY - 1, (int)call.dropped);
	EXPECT_EQ((MANY - 1) % 9, (int)call.payload_len);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_bytes);
}

TEST_F(pair, commands_in_front_of_one_that_cannot_be_written_are_carried_out)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_AUTOEND);
	char *pages = pages_alloc(2);
	struct upcall_command *cmds = (void *)(pages + PAGE - 3 * sizeof(*cmds));
	uint32_t i;

	for (i = 0; i < 6; i++)
		cmds[i] = NOTIFY(handle, .status = i);
	ASSERT_EQ(0, page_allow(pages + PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, exchange(self->caller, cmds, 6));
	for (i = 0; i < 3; i++)
		ASSERT_EQ((int)i, next_op(self->owner));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
	EXPECT_EQ(0, munmap(pages, 2 * PAGE));
}

/* More than a peer keeps at hand, more than once. */
TEST_F(pair, hundreds_of_calls_that_ended_leave_nothing_behind)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_AUTOEND);
	static _Alignas(8) char events[UPCALL_MAX_EVENTS * 256];
	static struct upcall_command cmds[UPCALL_MAX_COMMANDS];
	struct upcall_exchange out;
	uint32_t i, round, had;

	for (i = 0; i < LENGTH(cmds); i++)
		cmds[i] = NOTIFY(handle, .data = ptr64(&handle), .data_len = 8);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, exchange(self->caller, cmds, LENGTH(cmds)));
		EXPECT_EQ(3 * LENGTH(cmds), usage(self->owner).queued_calls);
		for (had = 0; had < 3 * LENGTH(cmds); had += out.event_count)
			ASSERT_EQ(0, receive(self->owner, events, sizeof(events), UPCALL_MAX_EVENTS,
					     0, &out));
		EXPECT_EQ(0, usage(self->owner).queued_calls);
		EXPECT_EQ(0, usage(self->owner).queued_bytes);
	}
	EXPECT_EQ(9 * LENGTH(cmds), stat_of(self->owner, handle).delivered);
}

TEST_HARNESS_MAIN
