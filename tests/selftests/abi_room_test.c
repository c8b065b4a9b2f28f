// SPDX-License-Identifier: GPL-2.0-only
/* UPCALL_INVOKE_WAIT_ROOM: what it goes with, what is tested before the wait, and EPOLLOUT. */
#include "abi_test.h"

#define WAIT_ROOM	(UPCALL_INVOKE_WAIT_ROOM | UPCALL_INVOKE_NO_DEADLINE)

/* A callback whose queue is full of one notification by @self->caller. */
static uint64_t full_one(FIXTURE_DATA(pair) *self)
{
	struct upcall_register args = REGISTER_ARGS(.max_arg = 8, .max_queued_calls = 1);

	if (verb(self->owner, UPCALL_IOC_REGISTER, &args) ||
	    notify(self->caller, args.handle, NULL, 0))
		return 0;
	return args.handle;
}

static short poll_out(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

	return poll(&pollfd, 1, 0) < 0 ? -1 : pollfd.revents;
}

TEST_F(pair, commands_do_not_wait_for_room)
{
	struct upcall_command call = COMMAND(CALL, self->handle, .flags = WAIT_ROOM);
	struct upcall_command notify = COMMAND(NOTIFY, self->handle, .flags = WAIT_ROOM);

	EXPECT_EQ(-EINVAL, command(self->caller, &call));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, call.stage);
	EXPECT_EQ(-EINVAL, command(self->caller, &notify));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, notify.stage);
	EXPECT_TRUE(no_event(self->owner));
}

/* Each would wait for ever if it came to that. */
TEST_F(pair, all_other_errors_come_before_the_wait)
{
	uint64_t handle = full_one(self);
	static char arg[16];
	struct upcall_invoke args;

	ASSERT_NE(0, handle);
	args = INVOKE_ARGS(NO_HANDLE, .flags = WAIT_ROOM);
	EXPECT_EQ(-ESTALE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args = INVOKE_ARGS(handle, .flags = WAIT_ROOM, .parent = 1);
	EXPECT_EQ(-ENOENT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args = INVOKE_ARGS(handle, .flags = WAIT_ROOM, .arg = ptr64(arg), .arg_len = 9);
	EXPECT_EQ(-EMSGSIZE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(8, args.needed);
	args = INVOKE_ARGS(handle, .flags = WAIT_ROOM, .arg = 8, .arg_len = 8);
	EXPECT_EQ(-EFAULT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args = INVOKE_ARGS(handle, .flags = UPCALL_INVOKE_WAIT_ROOM, .deadline_ns = 1);
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, stat_of(self->owner, handle).refused);
}

TEST_F(pair, with_a_call_id_it_is_not_looked_at)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .flags = WAIT_ROOM, .call_id = 1);

	EXPECT_EQ(-ENOENT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
}

TEST_F(pair, deadline_of_the_wait_is_etimedout_with_nothing_but_the_stage)
{
	uint64_t handle = full_one(self);
	struct upcall_invoke args = INVOKE_ARGS(handle, .flags = UPCALL_INVOKE_WAIT_ROOM,
						.deadline_ns = in_ms(20), .reply_max = 64);

	ASSERT_NE(0, handle);
	poison_out(&args);
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, args.call_id);
	EXPECT_TRUE(all_bytes(&args.status, sizeof(args) -
			      offsetof(struct upcall_invoke, status), 0));
	EXPECT_EQ(1, stat_of(self->owner, handle).calls);
}

/* How many calls of this process's peers have no result yet. */
static uint32_t waiting(int fd)
{
	struct upcall_list_peer peers[4];
	int n = list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 4);
	uint32_t sum = 0;

	while (n > 0)
		sum += peers[--n].waiting;
	return sum;
}

struct invoker {
	int fd;
	void *args;
};

static void *invoker_main(void *arg)
{
	struct invoker *invoker = arg;

	return (void *)(intptr_t)verb(invoker->fd, UPCALL_IOC_INVOKE, invoker->args);
}

/* Its struct cannot be written: it is queued all the same, and only once. */
TEST_F(pair, fault_on_copy_out_after_the_wait_leaves_the_notification_queued)
{
	uint64_t handle = full_one(self);
	struct upcall_invoke args = INVOKE_ARGS(handle, .op = 7,
						.flags = WAIT_ROOM | UPCALL_INVOKE_ONEWAY);
	struct invoker invoker = { .fd = self->caller, .args = pages_alloc(1) };
	struct upcall_event_call call;
	pthread_t thread;
	void *ret;

	ASSERT_NE(0, handle);
	memcpy(invoker.args, &args, sizeof(args));
	ASSERT_EQ(0, page_allow(invoker.args, PROT_READ));
	ASSERT_EQ(0, pthread_create(&thread, NULL, invoker_main, &invoker));
	ASSERT_TRUE(eventually(waiting(self->owner) == 1));
	ASSERT_EQ(0, one_call(self->owner, &call));
	pthread_join(thread, &ret);
	EXPECT_EQ(-EFAULT, (int)(intptr_t)ret);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(7, call.op);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, out_is_cleared_by_eagain_until_there_is_room)
{
	uint64_t handle = full_one(self);
	struct upcall_event_call call;

	ASSERT_NE(0, handle);
	EXPECT_EQ(POLLOUT, poll_out(self->caller));
	EXPECT_EQ(-EAGAIN, notify(self->caller, handle, NULL, 0));
	EXPECT_EQ(0, poll_out(self->caller));
	EXPECT_EQ(POLLOUT, poll_out(self->owner));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(POLLOUT, poll_out(self->caller));
}

TEST_HARNESS_MAIN
