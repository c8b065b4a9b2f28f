// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits: module parameters and what runs into them; that each is reached exactly; and that what
 * was charged is given back.
 */
#include "abi_test.h"

#define PARAMETERS "/sys/module/upcall/parameters/"

static const char *const names[] = {
	"max_callbacks", "max_callbacks_user", "max_queued_calls_user", "max_queued_bytes_user",
	"max_payload",
};

static const unsigned int caps[LENGTH(names)] = {
	1U << 22, 1U << 20, 65536, 64U << 20, UPCALL_MAX_PAYLOAD,
};

/* 0 or -errno */
static int parameter_write(const char *name, const char *text)
{
	char path[128];
	int fd, err;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

static int parameter_set(const char *name, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return parameter_write(name, text);
}

FIXTURE(limits) {
	int owner;
	int caller;
	uint64_t handle;
};

FIXTURE_SETUP(limits)
{
	size_t i;

	for (i = 0; i < LENGTH(names); i++)
		ASSERT_EQ(0, parameter_set(names[i], caps[i]));
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(limits)
{
	size_t i;

	for (i = 0; i < LENGTH(names); i++)
		EXPECT_EQ(0, parameter_set(names[i], caps[i]));
	close(self->owner);
	close(self->caller);
}

static int register_one(int fd)
{
	struct upcall_register args = REGISTER_ARGS();

	return verb(fd, UPCALL_IOC_REGISTER, &args);
}

TEST_F(limits, parameters_below_1_or_above_their_cap_are_refused)
{
	size_t i;

	for (i = 0; i < LENGTH(names); i++) {
		EXPECT_EQ(-EINVAL, parameter_set(names[i], 0));
		EXPECT_EQ(-EINVAL, parameter_set(names[i], caps[i] + 1));
		EXPECT_EQ(-EINVAL, parameter_write(names[i], "-1"));
		EXPECT_GT(0, parameter_write(names[i], "4294967297"));
		EXPECT_EQ(-EINVAL, parameter_write(names[i], "many"));
		EXPECT_EQ(0, parameter_set(names[i], 1));
		EXPECT_EQ(0, parameter_set(names[i], caps[i]));
	}
}

TEST_F(limits, info_shows_the_values_in_force)
{
	struct upcall_info info = { .size = sizeof(info) };
	size_t i;

	for (i = 0; i < LENGTH(names); i++)
		ASSERT_EQ(0, parameter_set(names[i], 100 + i));
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_INFO, &info));
	EXPECT_EQ(100, info.max_callbacks);
	EXPECT_EQ(101, info.max_callbacks_user);
	EXPECT_EQ(102, info.max_queued_calls_user);
	EXPECT_EQ(103, info.max_queued_bytes_user);
	EXPECT_EQ(104, info.max_payload);
}

TEST_F(limits, callbacks_of_a_uid_are_edquot_beyond_its_limit)
{
	union any_event event;
	int i;

	ASSERT_EQ(0, parameter_set("max_callbacks_user", 10));
	for (i = 1; i < 10; i++)
		ASSERT_EQ(0, register_one(self->owner));
	EXPECT_EQ(-EDQUOT, register_one(self->owner));
	EXPECT_EQ(-EDQUOT, register_one(self->caller));
	EXPECT_EQ(10, usage(self->owner).callbacks);
	/* A callback counts until its RELEASED was read. */
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(-EDQUOT, register_one(self->owner));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(0, register_one(self->owner));
	EXPECT_EQ(-EDQUOT, register_one(self->owner));
}

TEST_F(limits, a_uid_gets_half_of_the_registry_that_others_left)
{
	int i;

	ASSERT_EQ(0, parameter_set("max_callbacks", 10));
	for (i = 1; i < 5; i++)
		ASSERT_EQ(0, register_one(self->owner));
	EXPECT_EQ(-EDQUOT, register_one(self->owner));
}

TEST_F(limits, last_place_of_the_registry_can_be_had)
{
	union any_event event;

	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	ASSERT_EQ(0, parameter_set("max_callbacks", 1));
	EXPECT_EQ(0, register_one(self->owner));
	EXPECT_EQ(-ENOSPC, register_one(self->owner));
	EXPECT_EQ(1, usage(self->owner).callbacks);
}

TEST_F(limits, full_registry_is_enospc)
{
	ASSERT_EQ(0, register_one(self->owner));
	ASSERT_EQ(0, parameter_set("max_callbacks", 2));
	EXPECT_EQ(-ENOSPC, register_one(self->owner));
	EXPECT_EQ(2, usage(self->owner).callbacks);
	ASSERT_EQ(0, parameter_set("max_callbacks", caps[0]));
	EXPECT_EQ(0, register_one(self->owner));
}

/* As another uid: how many notifications fit, and with what the next one fails. */
struct flooder {
	uid_t uid;
	uint64_t handle;
	int sent, err;
};

static int flood(void *arg)
{
	struct flooder *flooder = arg;
	int fd;

	if (setresuid(flooder->uid, flooder->uid, flooder->uid))
		return 1;
	fd = peer_open();
	while (!(flooder->err = notify(fd, flooder->handle, NULL, 0)))
		flooder->sent++;
	return 0;
}

TEST_F(limits, queue_of_n_takes_half_of_what_is_left_from_each_uid)
{
	static const int expected[] = { 8, 4, 2, 1, 1 };	/* of 16; the last place can be had */
	struct upcall_register reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE,
						   .max_queued_calls = 16);
	struct flooder *flooder = shared_alloc(sizeof(*flooder));
	size_t i;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	for (i = 0; i < LENGTH(expected); i++) {
		*flooder = (struct flooder){ .uid = NOBODY + i, .handle = reg.handle };
		ASSERT_EQ(0, reap(spawn(flood, flooder)));
		EXPECT_EQ(expected[i], flooder->sent);
		EXPECT_EQ(-EAGAIN, flooder->err);
	}
	EXPECT_EQ(16, stat_of(self->owner, reg.handle).queued);
	EXPECT_EQ(-EAGAIN, notify(self->caller, reg.handle, NULL, 0));
	EXPECT_EQ(LENGTH(expected) + 1, stat_of(self->owner, reg.handle).refused);
}

TEST_F(limits, queue_of_1_takes_1_and_again_when_it_was_delivered)
{
	struct upcall_register reg = REGISTER_ARGS(.max_queued_calls = 1);
	struct upcall_invoke args;
	struct upcall_event_call call;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_EQ(0, notify(self->caller, reg.handle, NULL, 0));
	args = INVOKE_ARGS(reg.handle);
	EXPECT_EQ(-EAGAIN, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, args.seq);
	EXPECT_EQ(1, stat_of(self->owner, reg.handle).refused);
	EXPECT_EQ(1, usage(self->caller).queued_calls);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, notify(self->caller, reg.handle, NULL, 0));
}

TEST_F(limits, queued_bytes_of_a_callback_are_eagain_beyond_its_limit)
{
	struct upcall_register reg = REGISTER_ARGS(.max_arg = 100, .max_queued_bytes = 100);
	struct upcall_event_call call;
	char arg[100] = { 0 };

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_EQ(0, notify(self->caller, reg.handle, arg, 100));
	EXPECT_EQ(-EAGAIN, notify(self->caller, reg.handle, arg, 1));
	EXPECT_EQ(0, notify(self->caller, reg.handle, arg, 0));
	EXPECT_EQ(100, stat_of(self->owner, reg.handle).queued_bytes);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, notify(self->caller, reg.handle, arg, 100));
}

TEST_F(limits, calls_of_a_uid_are_edquot_beyond_its_limit_and_given_back)
{
	struct upcall_event_call call;
	struct upcall_invoke args;
	int i;

	ASSERT_EQ(0, parameter_set("max_queued_calls_user", 5));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	args = INVOKE_ARGS(self->handle);
	EXPECT_EQ(-EDQUOT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(5, usage(self->caller).queued_calls);
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(-EDQUOT, notify(self->caller, self->handle, NULL, 0));
}

TEST_F(limits, bytes_of_a_uid_are_arguments_and_reply_room)
{
	struct upcall_event_call call;
	struct upcall_invoke args;
	struct async async;
	char arg[61] = { 0 };

	ASSERT_EQ(0, parameter_set("max_queued_bytes_user", 100));
	args = INVOKE_ARGS(self->handle, .arg = ptr64(arg), .arg_len = 61, .reply_max = 40);
	EXPECT_EQ(-EDQUOT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, usage(self->caller).queued_calls);
	args.arg_len = 60;
	ASSERT_EQ(0, async_start(&async, self->caller, args));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1));
	EXPECT_EQ(100, usage(self->caller).queued_bytes);
	EXPECT_EQ(-EDQUOT, notify(self->caller, self->handle, arg, 1));
	EXPECT_EQ(0, notify(self->caller, self->handle, arg, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(0, async_join(&async));
	EXPECT_EQ(0, notify(self->caller, self->handle, arg, 61));
}

TEST_F(limits, deadline_is_etimedout_before_quota_is_edquot_before_argument_is_efault)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .flags = 0, .deadline_ns = 1,
						.arg = 8, .arg_len = 200);

	ASSERT_EQ(0, parameter_set("max_queued_bytes_user", 100));
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.deadline_ns = 0;
	args.flags = UPCALL_INVOKE_NO_DEADLINE;
	EXPECT_EQ(-EDQUOT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.arg_len = 100;
	EXPECT_EQ(-EFAULT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(0, usage(self->caller).queued_bytes);
}

TEST_F(limits, of_a_uid_are_edquot_to_commands_too_after_their_deadline_before_their_argument)
{
	static const uint32_t types[] = { UPCALL_COMMAND_CALL, UPCALL_COMMAND_NOTIFY };
	struct upcall_command cmd;
	size_t i;

	ASSERT_EQ(0, parameter_set("max_queued_bytes_user", 100));
	for (i = 0; i < LENGTH(types); i++) {
		cmd = (struct upcall_command){ .type = types[i], .target = self->handle,
			.deadline_ns = 1, .data = 8, .data_len = 200 };
		EXPECT_EQ(-ETIMEDOUT, command(self->caller, &cmd));
		cmd.deadline_ns = 0;
		cmd.flags = UPCALL_INVOKE_NO_DEADLINE;
		EXPECT_EQ(-EDQUOT, command(self->caller, &cmd));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmd.stage);
		cmd.data_len = 100;
		EXPECT_EQ(-EFAULT, command(self->caller, &cmd));
	}
	EXPECT_EQ(0, usage(self->caller).queued_bytes);
}

TEST_F(limits, lowered_max_payload_is_einval_beyond_it)
{
	struct upcall_register reg = REGISTER_ARGS(.max_arg = 1001);
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .arg_len = 1001);

	ASSERT_EQ(0, parameter_set("max_payload", 1000));
	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.arg_len = 0;
	args.reply_max = 1001;
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	reg.max_arg = 1000;
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
}

TEST_F(limits, what_a_caller_left_behind_is_charged_to_the_owner)
{
	struct flooder *flooder = shared_alloc(sizeof(*flooder));
	struct upcall_register reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE,
						   .max_queued_calls = 2);
	struct upcall_event_call call;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	*flooder = (struct flooder){ .uid = NOBODY, .handle = reg.handle };
	ASSERT_EQ(0, reap(spawn(flood, flooder)));
	ASSERT_EQ(1, flooder->sent);
	EXPECT_EQ(0, usage(self->owner).queued_calls);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(1, usage(self->owner).queued_calls);
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_HARNESS_MAIN
