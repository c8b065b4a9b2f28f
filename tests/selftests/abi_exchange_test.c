// SPDX-License-Identifier: GPL-2.0-only
/* EXCHANGE: commands in. What it hands out is abi_receive_test.c. */
#include "abi_test.h"

#define EXCHANGE(args) verb(self->owner, UPCALL_IOC_EXCHANGE, args)

static struct upcall_exchange of_commands(struct upcall_command *cmds, uint32_t count)
{
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
						    .command_count = count);

	args.commands_failed = args.event_count = args.events_used = POISON32;
	args.wait_error = args.needed = POISON32;
	return args;
}

TEST_F(pair, nothing_asked_for_is_done_at_once)
{
	struct upcall_exchange args = of_commands(NULL, 0);

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(0, args.commands_failed);
	EXPECT_EQ(0, args.event_count);
	EXPECT_EQ(0, args.events_used);
	EXPECT_EQ(0, args.wait_error);
	EXPECT_EQ(0, args.needed);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
}

TEST_F(pair, commands_run_in_order_and_a_failed_one_stops_none_behind_it)
{
	struct upcall_command cmds[] = {
		COMMAND(REPLY, 12345),
		COMMAND(REBIND, self->handle, .user_data = 1),
		COMMAND(RELEASE, NO_HANDLE),
		COMMAND(CANCEL, 12345),
		COMMAND(REFUSE, 12345, .status = 0),
		COMMAND(REBIND, self->handle, .user_data = 2),
	};
	struct upcall_exchange args = of_commands(cmds, LENGTH(cmds));
	size_t i;

	for (i = 0; i < LENGTH(cmds); i++)
		cmds[i].error = cmds[i].stage = cmds[i].needed = POISON32;
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(4, args.commands_failed);
	EXPECT_EQ(ENOENT, cmds[0].error);
	EXPECT_EQ(0, cmds[1].error);
	EXPECT_EQ(ESTALE, cmds[2].error);
	EXPECT_EQ(ENOENT, cmds[3].error);
	EXPECT_EQ(EINVAL, cmds[4].error);
	EXPECT_EQ(0, cmds[5].error);
	EXPECT_EQ(2, stat_of(self->owner, self->handle).cookie);
	for (i = 0; i < LENGTH(cmds); i++) {
		EXPECT_EQ(0, cmds[i].stage);
		EXPECT_EQ(0, cmds[i].needed);
		EXPECT_EQ(0, cmds[i].call_id);
	}
}

TEST_F(pair, up_to_256_commands_are_carried_out)
{
	static struct upcall_command cmds[UPCALL_MAX_COMMANDS + 1];
	struct upcall_exchange args = of_commands(cmds, UPCALL_MAX_COMMANDS);
	int i;

	for (i = 0; i <= UPCALL_MAX_COMMANDS; i++)
		cmds[i] = COMMAND(REBIND, self->handle, .user_data = i);
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(0, args.commands_failed);
	EXPECT_EQ(UPCALL_MAX_COMMANDS - 1, (int)stat_of(self->owner, self->handle).cookie);
	args.command_count = UPCALL_MAX_COMMANDS + 1;
	EXPECT_EQ(-E2BIG, EXCHANGE(&args));
	args.command_count = ~0U;
	EXPECT_EQ(-E2BIG, EXCHANGE(&args));
	EXPECT_EQ(UPCALL_MAX_COMMANDS - 1, (int)stat_of(self->owner, self->handle).cookie);
}

TEST_F(pair, command_size_below_version_1_or_above_4096_is_einval)
{
	static const uint32_t sizes[] = { 0, 8, sizeof(struct upcall_command) - 8, 4104, ~0U };
	struct upcall_command cmd = COMMAND(REBIND, self->handle, .user_data = 1);
	struct upcall_exchange args;
	size_t i;

	for (i = 0; i < LENGTH(sizes); i++) {
		args = of_commands(&cmd, 1);
		args.command_size = sizes[i];
		EXPECT_EQ(-EINVAL, EXCHANGE(&args));
	}
	EXPECT_EQ(COOKIE, stat_of(self->owner, self->handle).cookie);
}

TEST_F(pair, larger_commands_with_a_zero_tail_are_accepted)
{
	static const uint32_t sizes[] = { sizeof(struct upcall_command) + 8, 4096 };
	char *bytes = pages_alloc(3);
	struct upcall_exchange args;
	size_t i, j;

	for (i = 0; i < LENGTH(sizes); i++) {
		memset(bytes, 0, 3 * PAGE);
		for (j = 0; j < 3; j++)
			*(struct upcall_command *)(bytes + j * sizes[i]) =
				COMMAND(REBIND, self->handle, .user_data = 10 * i + j);
		args = of_commands((void *)bytes, 3);
		args.command_size = sizes[i];
		ASSERT_EQ(0, EXCHANGE(&args));
		EXPECT_EQ(0, args.commands_failed);
		EXPECT_EQ(10 * i + 2, stat_of(self->owner, self->handle).cookie);
		EXPECT_TRUE(all_bytes(bytes + sizeof(struct upcall_command),
				      sizes[i] - sizeof(struct upcall_command), 0));
	}
}

TEST_F(pair, non_zero_tail_is_e2big_of_that_command_alone)
{
	struct {
		struct upcall_command cmd;
		uint64_t tail;
	} cmds[3];
	struct upcall_exchange args = of_commands(&cmds[0].cmd, 3);
	int i;

	memset(cmds, 0, sizeof(cmds));
	for (i = 0; i < 3; i++)
		cmds[i].cmd = COMMAND(REBIND, self->handle, .user_data = i + 1);
	cmds[2].tail = 1ULL << 56;
	args.command_size = sizeof(cmds[0]);
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(1, args.commands_failed);
	EXPECT_EQ(0, cmds[1].cmd.error);
	EXPECT_EQ(E2BIG, cmds[2].cmd.error);
	EXPECT_EQ(2, stat_of(self->owner, self->handle).cookie);
}

/* Sets each member that none of the commands below knows, one by one. */
static int set_foreign_member(struct upcall_command *cmd, int which)
{
	switch (which) {
	case 0: cmd->deadline_ns = 1; return 1;
	case 1: cmd->parent = 1; return 1;
	case 2: cmd->reply_max = 1; return 1;
	case 3: cmd->reply_fd_max = 1; return 1;
	case 4: cmd->flags = 1U << 31; return 1;
	default: return 0;
	}
}

TEST_F(pair, members_of_other_commands_are_einval)
{
	struct upcall_event_call call;
	struct upcall_command valid[] = {
		COMMAND(REPLY, 0), COMMAND(REFUSE, 0, .status = EIO), COMMAND(CANCEL, 0),
		COMMAND(RELEASE, self->handle), COMMAND(REBIND, self->handle),
	};
	struct upcall_command cmd;
	size_t i;
	int j;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	valid[0].target = valid[1].target = call.call;
	for (i = 0; i < LENGTH(valid); i++) {
		for (j = 0, cmd = valid[i]; set_foreign_member(&cmd, j); j++, cmd = valid[i]) {
			EXPECT_EQ(-EINVAL, command(self->owner, &cmd))
				TH_LOG("command %zu, member %d", i, j);
		}
	}
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, self->handle).state);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
}

TEST_F(pair, members_that_one_command_does_not_use_are_einval)
{
	struct upcall_event_call call;
	uint64_t h = self->handle;
	size_t i;

	ASSERT_EQ(0, notify(self->caller, h, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	struct upcall_command cmds[] = {
		COMMAND(REPLY, call.call, .flags = 1),
		COMMAND(REPLY, call.call, .user_data = 1),
		COMMAND(REPLY, call.call, .value = 1),
		COMMAND(REPLY, call.call, .data_len = UPCALL_MAX_PAYLOAD + 1),
		COMMAND(REPLY, call.call, .fd_count = UPCALL_MAX_FDS + 1),
		COMMAND(REFUSE, call.call, .status = EIO, .flags = 1),
		COMMAND(REFUSE, call.call, .status = EIO, .user_data = 1),
		COMMAND(REFUSE, call.call, .status = EIO, .value = 1),
		COMMAND(REFUSE, call.call, .status = EIO, .data = 8),
		COMMAND(REFUSE, call.call, .status = EIO, .data_len = 1),
		COMMAND(REFUSE, call.call, .status = EIO, .fds = 8),
		COMMAND(REFUSE, call.call, .status = EIO, .fd_count = 1),
		COMMAND(CANCEL, 1, .flags = 1),
		COMMAND(CANCEL, 1, .user_data = 1),
		COMMAND(CANCEL, 1, .value = 1),
		COMMAND(CANCEL, 1, .data = 8),
		COMMAND(CANCEL, 1, .data_len = 1),
		COMMAND(CANCEL, 1, .status = 1),
		COMMAND(CANCEL, 1, .fds = 8),
		COMMAND(CANCEL, 1, .fd_count = 1),
		COMMAND(RELEASE, h, .user_data = 1),
		COMMAND(RELEASE, h, .value = 1),
		COMMAND(RELEASE, h, .data = 8),
		COMMAND(RELEASE, h, .data_len = 1),
		COMMAND(RELEASE, h, .status = 1),
		COMMAND(RELEASE, h, .fds = 8),
		COMMAND(RELEASE, h, .fd_count = 1),
		COMMAND(REBIND, h, .value = 1),
		COMMAND(REBIND, h, .data = 8),
		COMMAND(REBIND, h, .data_len = 1),
		COMMAND(REBIND, h, .status = 1),
		COMMAND(REBIND, h, .fds = 8),
		COMMAND(REBIND, h, .fd_count = 1),
	};
	struct upcall_exchange args = of_commands(cmds, LENGTH(cmds));

	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(LENGTH(cmds), args.commands_failed);
	for (i = 0; i < LENGTH(cmds); i++) {
		EXPECT_EQ(EINVAL, cmds[i].error)
			TH_LOG("case %zu", i);
	}
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, h).state);
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(pair, header_members_that_make_no_sense_are_einval)
{
	struct upcall_exchange args[] = {
		EXCHANGE_ARGS(.flags = 1U << 2),
		EXCHANGE_ARGS(.flags = 1U << 31),
		EXCHANGE_ARGS(.deadline_ns = 1),
		EXCHANGE_ARGS(.wait_call = 1),
		EXCHANGE_ARGS(.reserved = 1),
		EXCHANGE_ARGS(.events = 4),
		EXCHANGE_ARGS(.events = 1),
	};
	size_t i;

	for (i = 0; i < LENGTH(args); i++) {
		EXPECT_EQ(-EINVAL, EXCHANGE(&args[i]))
			TH_LOG("case %zu", i);
	}
}

TEST_F(pair, release_and_rebind_commands_do_what_the_ioctls_do)
{
	struct upcall_command cmds[] = {
		COMMAND(REBIND, self->handle, .flags = UPCALL_REBIND_WORD, .user_data = 7,
			.value = 8),
		COMMAND(RELEASE, self->handle, .flags = UPCALL_RELEASE_WORD, .value = 9),
		COMMAND(RELEASE, self->handle),
		COMMAND(REBIND, self->handle),
	};
	struct upcall_exchange args = of_commands(cmds, 1);
	union any_event event;

	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(7, stat_of(self->owner, self->handle).cookie);
	EXPECT_EQ(8, stat_of(self->owner, self->handle).word);
	args = of_commands(cmds + 1, 3);
	args.events = ptr64(&event);
	args.events_len = sizeof(event);
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(0, cmds[1].error);
	EXPECT_EQ(ESTALE, cmds[2].error);
	EXPECT_EQ(ESTALE, cmds[3].error);
	/* What the commands caused is received by the same call. */
	EXPECT_EQ(1, args.event_count);
	EXPECT_EQ(UPCALL_EVENT_RELEASED, event.event.type);
	EXPECT_EQ(7, event.event.cookie);
	EXPECT_EQ(9, stat_of(self->caller, self->handle).word);
}

TEST_F(pair, release_command_on_anothers_callback_is_eperm)
{
	int other = peer_open();
	struct upcall_command cmd = COMMAND(RELEASE, self->handle);

	EXPECT_EQ(-EPERM, command(other, &cmd));
	cmd = COMMAND(REBIND, self->handle);
	EXPECT_EQ(-EPERM, command(other, &cmd));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, self->handle).state);
	EXPECT_EQ(COOKIE, stat_of(self->owner, self->handle).cookie);
}

TEST_F(pair, failed_command_means_no_waiting)
{
	struct upcall_command cmd = COMMAND(REPLY, 12345);
	struct upcall_exchange args = of_commands(&cmd, 1);
	union any_event event;

	args.events = ptr64(&event);
	args.events_len = sizeof(event);
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(1, args.commands_failed);
	EXPECT_EQ(0, args.event_count);
	EXPECT_EQ(0, args.events_used);
	EXPECT_EQ(EAGAIN, args.wait_error);
	EXPECT_EQ(ENOENT, cmd.error);
}

TEST_F(pair, failed_command_receives_what_there_is)
{
	struct upcall_command cmd = COMMAND(REPLY, 12345);
	struct upcall_exchange args = of_commands(&cmd, 1);
	union any_event event;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	args.events = ptr64(&event);
	args.events_len = sizeof(event);
	args.max_calls = 1;
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(1, args.commands_failed);
	EXPECT_EQ(1, args.event_count);
	EXPECT_EQ(0, args.wait_error);
}

TEST_F(pair, end_of_the_wait_is_in_wait_error_once_a_command_was_processed)
{
	struct upcall_command cmd = COMMAND(REBIND, self->handle);
	struct upcall_exchange args = of_commands(&cmd, 1);
	union any_event event;

	args.events = ptr64(&event);
	args.events_len = sizeof(event);
	args.max_calls = 1;
	args.flags = UPCALL_EXCHANGE_NONBLOCK;
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(EAGAIN, args.wait_error);
	args.flags = 0;
	args.deadline_ns = in_ms(1);
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(ETIMEDOUT, args.wait_error);
	ASSERT_EQ(0, notify(self->caller, self->handle, "12345678", 8));
	args.events_len = 24;
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(EMSGSIZE, args.wait_error);
	EXPECT_EQ(sizeof(struct upcall_event_call) + 8, args.needed);
	EXPECT_EQ(0, args.event_count);
	args.events_len = sizeof(event);
	ASSERT_EQ(0, EXCHANGE(&args));
	EXPECT_EQ(0, args.wait_error);
	EXPECT_EQ(0, args.needed);
	EXPECT_EQ(1, args.event_count);
}

TEST_HARNESS_MAIN
