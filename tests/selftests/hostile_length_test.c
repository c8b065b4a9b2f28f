// SPDX-License-Identifier: GPL-2.0-only
/* Lengths that overflow whatever they are added to, and pointers to where no process's memory is. */
#include "abi_call.h"

static const uint32_t lengths[] = {
	UPCALL_MAX_PAYLOAD + 1, INT32_MAX, 1U << 31, (1U << 31) + 1, -8U, -64U, -104U, -4095U, -4096U, -1U,
};

static const uint64_t pointers[] = {
	0, 8, 0x7fffffffe000, 0x7ffffffff000, 0x7fffffffffff8, 1ULL << 47, 1ULL << 63,
	0xffff800000000000, 0xffff888000000000, 0xffffffff81000000, 0xffffffffff600000,
	-4096ULL, -1048576ULL, -104ULL, -8ULL, INT64_MAX - 7,
};

/* As for the memory of the test itself: then that pointer is no wrong one. */
static bool is_mapped(uint64_t pointer)
{
	unsigned char present;
	uint64_t page = pointer & ~(PAGE - 1);

	return !mincore((void *)(uintptr_t)page, PAGE, &present) || errno != ENOMEM;
}

FIXTURE(length) {
	int owner, caller;
	uint64_t handle;		/* takes descriptors */
	struct upcall_event_call runs;	/* a call that is to be answered */
	uint64_t id;
};

FIXTURE_SETUP(length)
{
	struct upcall_register reg = REGISTER_ARGS(.cookie = COOKIE, .flags = UPCALL_REGISTER_FDS);
	struct upcall_command cmd;

	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	self->handle = reg.handle;
	cmd = CALL(self->handle, .reply_max = UPCALL_MAX_PAYLOAD, .reply_fd_max = UPCALL_MAX_FDS);
	ASSERT_EQ(0, command(self->caller, &cmd));
	self->id = cmd.call_id;
	ASSERT_EQ(0, one_call(self->owner, &self->runs));
}

FIXTURE_TEARDOWN(length)
{
	close(self->owner);
	close(self->caller);
}

/* Nothing came of all that; the call can be answered. */
static void expect_nothing(struct __test_metadata *_metadata, FIXTURE_DATA(length) *self)
{
	struct upcall_event_result result;

	EXPECT_EQ(1, stat_of(self->owner, self->handle).calls);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(1, usage(self->owner).queued_calls);
	EXPECT_EQ(UPCALL_MAX_PAYLOAD, usage(self->owner).queued_bytes);
	EXPECT_EQ(0, usage(self->owner).fds);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	EXPECT_EQ(0, result_of(self->caller, self->id, &result));
}

TEST_F(length, of_an_invoke_that_overflows_is_einval)
{
	struct upcall_invoke args[6];
	uint32_t oneway;
	size_t i, j;

	for (i = 0; i < LENGTH(lengths); i++) {
		args[0] = INVOKE_ARGS(self->handle, .arg_len = lengths[i]);
		args[1] = INVOKE_ARGS(self->handle, .reply_max = lengths[i]);
		args[2] = INVOKE_ARGS(self->handle, .reply_room = lengths[i], .reply_max = lengths[i]);
		args[3] = INVOKE_ARGS(self->handle, .reply_room = lengths[i]);
		args[4] = INVOKE_ARGS(self->handle, .fd_count = lengths[i]);
		args[5] = INVOKE_ARGS(self->handle, .reply_fd_room = lengths[i]);
		for (j = 0; j < LENGTH(args) * 2; j++) {
			struct upcall_invoke one = args[j / 2];

			oneway = j % 2 ? UPCALL_INVOKE_ONEWAY : 0;
			one.flags |= oneway;
			poison_out(&one);
			EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &one))
				TH_LOG("length %u, member %zu, oneway %u", lengths[i], j / 2, oneway);
			EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, one.stage);
		}
	}
	expect_nothing(_metadata, self);
}

TEST_F(length, of_a_command_that_overflows_is_einval)
{
	struct upcall_command cmds[10];
	size_t i, j;

	for (i = 0; i < LENGTH(lengths); i++) {
		uint32_t len = lengths[i];
		uint64_t call = self->runs.call;

		cmds[0] = CALL(self->handle, .data_len = len);
		cmds[1] = CALL(self->handle, .reply_max = len);
		cmds[2] = CALL(self->handle, .fd_count = len);
		cmds[3] = CALL(self->handle, .reply_fd_max = len);
		cmds[4] = COMMAND(NOTIFY, self->handle, .data_len = len);
		cmds[5] = COMMAND(NOTIFY, self->handle, .fd_count = len);
		cmds[6] = COMMAND(REPLY, call, .data_len = len);
		cmds[7] = COMMAND(REPLY, call, .fd_count = len);
		cmds[8] = COMMAND(REFUSE, call, .data_len = len, .status = EXDEV);
		cmds[9] = COMMAND(REFUSE, call, .fd_count = len, .status = EXDEV);
		for (j = 0; j < LENGTH(cmds); j++) {
			EXPECT_EQ(-EINVAL, command(j < 6 ? self->caller : self->owner, &cmds[j]))
				TH_LOG("length %u, command %zu", len, j);
			EXPECT_EQ(0, cmds[j].call_id);
		}
	}
	expect_nothing(_metadata, self);
}

TEST_F(length, of_the_commands_that_overflows_is_e2big_or_einval)
{
	static const uint32_t sizes[] = { 0, 4, 8, 100, 127, 4104, 1U << 31, -8U, -1U };
	struct upcall_command cmd = COMMAND(REBIND, self->handle, .user_data = 1);
	struct upcall_exchange args;
	size_t i;

	for (i = 0; i < LENGTH(lengths); i++) {
		args = EXCHANGE_ARGS(.commands = ptr64(&cmd), .command_count = lengths[i]);
		EXPECT_EQ(-E2BIG, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
		args.command_size = 4096;
		EXPECT_EQ(-E2BIG, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	}
	for (i = 0; i < LENGTH(sizes); i++) {
		args = EXCHANGE_ARGS(.commands = ptr64(&cmd), .command_count = 1,
				     .command_size = sizes[i]);
		EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_EXCHANGE, &args))
			TH_LOG("size %u", sizes[i]);
	}
	for (i = 0; i < LENGTH(lengths); i++) {
		args = EXCHANGE_ARGS(.commands = ptr64(&cmd), .command_count = 1,
			.events = ptr64(&args), .events_len = 8, .wait_call = lengths[i]);
		args.flags |= UPCALL_EXCHANGE_WAIT_COMMAND;
		EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	}
	EXPECT_EQ(COOKIE, stat_of(self->owner, self->handle).cookie);
	expect_nothing(_metadata, self);
}

/* A buffer that is said to be larger than all memory is used as far as events go. */
TEST_F(length, of_the_events_is_believed_and_nothing_beyond_them_written)
{
	struct upcall_event_call call;
	struct upcall_exchange args;
	char buf[512] __attribute__((aligned(8)));
	size_t i;

	for (i = 0; i < LENGTH(lengths); i++) {
		memset(buf, POISON, sizeof(buf));
		ASSERT_EQ(0, notify(self->caller, self->handle, "12345678", 8));
		args = EXCHANGE_ARGS(.events = ptr64(buf), .events_len = lengths[i],
				     .max_calls = -1U);
		ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
		EXPECT_EQ(1, args.event_count);
		EXPECT_EQ(sizeof(call) + 8, args.events_used);
		EXPECT_TRUE(all_bytes(buf + args.events_used, sizeof(buf) - args.events_used, POISON));
		memcpy(&call, buf, sizeof(call));
		EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	}
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
}

TEST_F(length, of_a_list_is_believed_and_nothing_beyond_it_written)
{
	static struct upcall_list_peer peers[8];
	struct upcall_list args;
	size_t i;

	for (i = 0; i < LENGTH(lengths); i++) {
		memset(peers, POISON, sizeof(peers));
		args = (struct upcall_list){ .size = sizeof(args), .what = UPCALL_LIST_PEERS,
			.record_size = sizeof(peers[0]), .buffer = ptr64(peers),
			.buffer_len = lengths[i] };
		ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_LIST, &args));
		EXPECT_EQ(2, args.count);
		EXPECT_TRUE(all_bytes(&peers[2], sizeof(peers) - 2 * sizeof(peers[0]), POISON));
		args.record_size = lengths[i];
		EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_LIST, &args));
	}
}

/* --- pointers ----------------------------------------------------------------------- */

TEST_F(length, and_a_pointer_to_no_memory_of_a_call_are_efault)
{
	struct upcall_invoke args[3];
	struct upcall_command cmds[4];
	size_t i, j;

	for (i = 0; i < LENGTH(pointers); i++) {
		uint64_t at = pointers[i];

		if (is_mapped(at))
			continue;
		args[0] = INVOKE_ARGS(self->handle, .arg = at, .arg_len = 8);
		args[1] = INVOKE_ARGS(self->handle, .arg = at, .arg_len = UPCALL_MAX_PAYLOAD);
		args[2] = INVOKE_ARGS(self->handle, .fds = at, .fd_count = UPCALL_MAX_FDS);
		for (j = 0; j < LENGTH(args); j++)
			EXPECT_EQ(-EFAULT, verb(self->caller, UPCALL_IOC_INVOKE, &args[j]))
				TH_LOG("%llx, member %zu", (unsigned long long)at, j);
		cmds[0] = CALL(self->handle, .data = at, .data_len = UPCALL_MAX_PAYLOAD);
		cmds[1] = CALL(self->handle, .fds = at, .fd_count = 1);
		cmds[2] = COMMAND(REPLY, self->runs.call, .data = at, .data_len = 100);
		cmds[3] = COMMAND(REPLY, self->runs.call, .fds = at, .fd_count = 1);
		for (j = 0; j < LENGTH(cmds); j++)
			EXPECT_EQ(-EFAULT, command(j < 2 ? self->caller : self->owner, &cmds[j]))
				TH_LOG("%llx, command %zu", (unsigned long long)at, j);
	}
	expect_nothing(_metadata, self);
}

TEST_F(length, and_a_pointer_to_no_memory_for_a_reply_are_efault_to_its_caller)
{
	struct upcall_event_call call;
	struct async async;
	size_t i;

	for (i = 0; i < LENGTH(pointers); i++) {
		if (is_mapped(pointers[i]))
			continue;
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
			.reply = pointers[i], .reply_room = UPCALL_MAX_PAYLOAD,
			.reply_max = UPCALL_MAX_PAYLOAD)));
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(0, reply(self->owner, call.call, 0, "1", 1));
		EXPECT_EQ(-EFAULT, async_join(&async));
		EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
		EXPECT_EQ(0, async.args.reply_len);
	}
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(1, usage(self->owner).queued_calls);
}

TEST_F(length, and_a_pointer_to_no_memory_for_events_are_efault_and_put_back)
{
	struct upcall_event_call call;
	struct upcall_exchange args;
	size_t i, tried = 0;

	ASSERT_EQ(0, notify(self->caller, self->handle, "12345678", 8));
	for (i = 0; i < LENGTH(pointers); i++) {
		if (is_mapped(pointers[i]))
			continue;
		args = EXCHANGE_ARGS(.events = pointers[i], .events_len = -8U, .max_calls = 1);
		EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args))
			TH_LOG("%llx", (unsigned long long)pointers[i]);
		args = EXCHANGE_ARGS(.commands = pointers[i], .command_count = UPCALL_MAX_COMMANDS,
				     .command_size = 4096);
		EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
		tried++;
	}
	/* Most of them are no memory in any process. */
	EXPECT_LE(LENGTH(pointers) - 3, tried);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(1, call.seq - self->runs.seq);
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(length, and_a_pointer_to_no_memory_of_any_struct_are_efault)
{
	size_t i, j;

	for (i = 0; i < LENGTH(pointers); i++) {
		for (j = 0; j < LENGTH(any_verbs) && !is_mapped(pointers[i]); j++)
			EXPECT_EQ(-EFAULT, verb(self->owner, any_verbs[j].cmd,
						(void *)(uintptr_t)pointers[i]))
				TH_LOG("%llx, verb %zu", (unsigned long long)pointers[i], j);
	}
	expect_nothing(_metadata, self);
}

TEST_HARNESS_MAIN
