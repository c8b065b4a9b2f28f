// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of checks for CALL and NOTIFY: a command that breaks every rule is mended, one rule
 * after the other, and fails with the errno of the next one each time.
 */
#include "abi_fds.h"

FIXTURE(order) {
	int owner, caller;
	struct upcall_register reg;	/* what refuses the most */
	struct upcall_command cmd;
};

FIXTURE_VARIANT(order) {
	uint32_t type;
};

FIXTURE_VARIANT_ADD(order, call) {
	.type = UPCALL_COMMAND_CALL,
};

FIXTURE_VARIANT_ADD(order, notify) {
	.type = UPCALL_COMMAND_NOTIFY,
};

FIXTURE_SETUP(order)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_UID, .access_id = NOBODY,
		.flags = UPCALL_REGISTER_SIGNATURE, .signature = 5, .max_arg = 8,
		.max_queued_bytes = 64, .max_queued_calls = 1);
	self->cmd = (struct upcall_command){ .type = variant->type, .flags = 1U << 31,
		.data = 8, .data_len = 16, .deadline_ns = 1, .fds = 8, .fd_count = 1 };
}

FIXTURE_TEARDOWN(order)
{
	close(self->owner);
	close(self->caller);
}

/* The command's error as it stands; everything else must say that it was not accepted. */
static int refused_with(FIXTURE_DATA(order) *self)
{
	int err;

	self->cmd.call_id = self->cmd.error = self->cmd.needed = POISON32;
	self->cmd.stage = POISON32;
	err = command(self->caller, &self->cmd);
	if (!err || self->cmd.call_id || self->cmd.stage != UPCALL_STAGE_NOT_DELIVERED)
		return 1;
	return err == -EMSGSIZE && self->cmd.needed != self->reg.max_arg ? 2 : err;
}

/* Aims at a new callback, as @reg says by now. */
static int aim(FIXTURE_DATA(order) *self)
{
	int err = verb(self->owner, UPCALL_IOC_REGISTER, &self->reg);

	self->cmd.target = self->reg.handle;
	return err;
}

TEST_F(order, of_errors_is_that_of_invoke)
{
	struct upcall_event_call call;
	union any_event event;
	int reader = -1, writer = -1;
	uint32_t number;

	ASSERT_EQ(0, pipe_new(&reader, &writer));
	EXPECT_EQ(-EINVAL, refused_with(self));			/* a flag */
	self->cmd.flags = UPCALL_INVOKE_STUB_FD;
	self->cmd.target = -1ULL;
	if (variant->type == UPCALL_COMMAND_CALL) {
		self->cmd.parent = 12345;
		EXPECT_EQ(-ENOENT, refused_with(self));		/* its parent */
		self->cmd.parent = 0;
	}
	EXPECT_EQ(-EBADF, refused_with(self));			/* what should be a stub */
	self->cmd.target = writer;
	EXPECT_EQ(-EINVAL, refused_with(self));
	self->cmd.flags = 0;
	ASSERT_EQ(0, aim(self));
	ASSERT_EQ(0, release(self->owner, self->cmd.target, 0));
	EXPECT_EQ(-ESTALE, refused_with(self));			/* no live callback */
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(-ESTALE, refused_with(self));
	ASSERT_EQ(0, aim(self));
	EXPECT_EQ(-EACCES, refused_with(self));			/* another's */
	self->reg.access_id = geteuid();
	ASSERT_EQ(0, aim(self));
	EXPECT_EQ(-EPROTOTYPE, refused_with(self));		/* signature */
	self->cmd.flags = UPCALL_INVOKE_SIGNATURE;
	self->cmd.value = 5;
	EXPECT_EQ(-EMSGSIZE, refused_with(self));		/* long argument */
	self->cmd.data_len = 8;
	EXPECT_EQ(-EMFILE, refused_with(self));			/* takes no descriptors */
	self->reg.flags |= UPCALL_REGISTER_FDS;
	ASSERT_EQ(0, aim(self));
	EXPECT_EQ(-ETIMEDOUT, refused_with(self));		/* deadline */
	self->cmd.deadline_ns = 0;
	self->cmd.flags |= UPCALL_INVOKE_NO_DEADLINE;
	number = -1U;
	self->cmd.fds = ptr64(&number);
	EXPECT_EQ(-EFAULT, refused_with(self));			/* the argument's bytes */
	self->cmd.data = ptr64(&self->reg);
	EXPECT_EQ(-EBADF, refused_with(self));			/* a descriptor */
	number = self->owner;
	EXPECT_EQ(-EINVAL, refused_with(self));			/* one that may not ride */
	number = writer;
	EXPECT_EQ(0, command(self->caller, &self->cmd));	/* and all is well */
	EXPECT_EQ(-EAGAIN, refused_with(self));			/* the queue is full */
	number = self->owner;
	EXPECT_EQ(-EINVAL, refused_with(self));
	ASSERT_EQ(0, one_call(self->owner, &call));
	number = writer;
	EXPECT_EQ(0, command(self->caller, &self->cmd));
}

TEST_F(pair, certain_deadlock_is_edeadlk_before_full_queue_is_eagain)
{
	struct upcall_config config = { .size = sizeof(config), .flags = UPCALL_CONFIG_ONE_THREAD };
	struct upcall_register back = REGISTER_ARGS(.max_queued_calls = 1);
	struct upcall_event_call call;
	struct upcall_command cmd;
	struct async async;

	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_REGISTER, &back));
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_CONFIG, &config));
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, notify(self->owner, back.handle, NULL, 0));
	cmd = COMMAND(CALL, back.handle, .flags = UPCALL_INVOKE_NO_DEADLINE, .parent = call.call);
	EXPECT_EQ(-EDEADLK, command(self->owner, &cmd));
	cmd.parent = 0;
	EXPECT_EQ(-EAGAIN, command(self->owner, &cmd));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_HARNESS_MAIN
