// SPDX-License-Identifier: GPL-2.0-only
/*
 * A call is made, charged, with its argument and descriptors; and before its peer knows of it, so
 * that its end would reach it, that peer ends. It is never queued, and nothing of it is left.
 */
#include "abi_test.h"
#include "fds.h"
#include "hook.h"

FIXTURE(ending) {
	int owner;
	int caller;
	uint64_t handle;
};

FIXTURE_VARIANT(ending) {
	bool command;		/* CALL, else INVOKE */
	uint32_t arg_len;
	uint32_t fd_count;
};

FIXTURE_VARIANT_ADD(ending, invoke) {
	.arg_len = 100,
};

FIXTURE_VARIANT_ADD(ending, invoke_with_a_descriptor) {
	.arg_len = 4000,
	.fd_count = 1,
};

/* So long that it is read from the caller's own memory. */
FIXTURE_VARIANT_ADD(ending, invoke_with_a_long_argument) {
	.arg_len = 40000,
};

FIXTURE_VARIANT_ADD(ending, call) {
	.command = true,
	.arg_len = 100,
};

FIXTURE_VARIANT_ADD(ending, call_with_a_descriptor) {
	.command = true,
	.arg_len = 4000,
	.fd_count = 1,
};

FIXTURE_SETUP(ending)
{
	struct upcall_register args = REGISTER_FDS_ARGS(.cookie = COOKIE);

	ASSERT_EQ(0, hook_clear());
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, self->caller);
	ASSERT_TRUE(alone(self->owner));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	self->handle = args.handle;
}

FIXTURE_TEARDOWN(ending)
{
	EXPECT_EQ(0, hook_clear());
	close(self->owner);
	close(self->caller);
}

/* Submits by a thread, which leaves what it was told. */
struct submitter {
	struct upcall_invoke invoke;
	struct upcall_command call;
	bool command;
	int fd;
	int ret;
	pthread_t thread;
};

static void *submitter_main(void *arg)
{
	struct submitter *submitter = arg;

	submitter->ret = submitter->command
		? command(submitter->fd, &submitter->call)
		: verb(submitter->fd, UPCALL_IOC_INVOKE, &submitter->invoke);
	return NULL;
}

static int submitter_start(struct submitter *submitter)
{
	return -pthread_create(&submitter->thread, NULL, submitter_main, submitter);
}

TEST_F(ending, peer_whose_call_is_just_made_is_eshutdown_and_the_owner_gets_nothing)
{
	static char arg[40000], to[64];
	int file = memfd_create("rides", MFD_CLOEXEC);
	struct submitter submitter = {
		.invoke = SEND_ARGS(self->handle, &file, variant->fd_count, .arg = ptr64(arg),
			.arg_len = variant->arg_len, .reply = ptr64(to), .reply_room = 8,
			.reply_max = sizeof(to)),
		.call = COMMAND(CALL, self->handle, .flags = UPCALL_INVOKE_NO_DEADLINE,
			.data = ptr64(arg), .data_len = variant->arg_len, .fds = ptr64(&file),
			.fd_count = variant->fd_count, .reply_max = sizeof(to)),
		.command = variant->command,
		.fd = self->caller,
	};
	struct upcall_list_user use;

	if (!variant->fd_count)
		submitter.invoke.fds = submitter.call.fds = 0;
	ASSERT_EQ(0, hook_arm("made"));
	ASSERT_EQ(0, submitter_start(&submitter));
	ASSERT_TRUE(hook_is_hit("made"));
	use = usage(self->owner);
	EXPECT_EQ(1, use.queued_calls);
	EXPECT_EQ(variant->arg_len + sizeof(to), use.queued_bytes);
	EXPECT_EQ(variant->fd_count, use.fds);
	ASSERT_EQ(0, shut_down(self->caller));
	ASSERT_EQ(0, hook_resume("made"));
	pthread_join(submitter.thread, NULL);
	EXPECT_EQ(-ESHUTDOWN, submitter.ret);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED,
		  variant->command ? submitter.call.stage : submitter.invoke.stage);
	EXPECT_EQ(0, variant->command ? submitter.call.call_id : submitter.invoke.call_id);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
	use = usage(self->owner);
	EXPECT_EQ(0, use.queued_calls);
	EXPECT_EQ(0, use.queued_bytes);
	EXPECT_EQ(0, use.fds);
	close(file);
}

TEST_HARNESS_MAIN
