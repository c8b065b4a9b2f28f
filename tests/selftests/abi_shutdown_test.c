// SPDX-License-Identifier: GPL-2.0-only
/* SHUTDOWN: ends a peer although threads wait in it. */
#include "abi_test.h"

static int shut_down_word(int fd, uint32_t flags, uint64_t word)
{
	struct upcall_shutdown args = { .size = sizeof(args), .flags = flags, .word = word };

	return verb(fd, UPCALL_IOC_SHUTDOWN, &args);
}

struct receiver {
	int fd, err;
	uint32_t max_calls;
	pthread_t thread;
};

static void *receiver_main(void *arg)
{
	struct receiver *r = arg;
	union any_event event;

	r->err = receive(r->fd, &event, sizeof(event), r->max_calls, 0, NULL);
	return NULL;
}

TEST_F(pair, shutdown_wakes_all_receivers_with_eshutdown)
{
	struct receiver r[4];
	int i;

	for (i = 0; i < 4; i++) {
		r[i] = (struct receiver){ .fd = self->owner, .max_calls = i % 2 };
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, receiver_main, &r[i]));
	}
	ASSERT_TRUE(eventually(receivers_of(self->caller) == 4));
	ASSERT_EQ(0, shut_down(self->owner));
	for (i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		EXPECT_EQ(-ESHUTDOWN, r[i].err);
	}
}

TEST_F(pair, shutdown_of_the_caller_wakes_its_calls_with_the_stage_of_each)
{
	struct async queued, delivered;
	struct upcall_event_call call;
	union any_event event;

	ASSERT_EQ(0, async_start(&delivered, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, async_start(&queued, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1));
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(-ESHUTDOWN, async_join(&queued));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, queued.args.stage);
	EXPECT_EQ(-ESHUTDOWN, async_join(&delivered));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, delivered.args.stage);
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(call.call, event.cancel.call);
	EXPECT_EQ(ESHUTDOWN, event.cancel.error);
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, shutdown_of_the_owner_fails_calls_by_their_stage)
{
	struct async queued, delivered;
	struct upcall_event_call call;

	ASSERT_EQ(0, async_start(&delivered, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, async_start(&queued, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1));
	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(-ESTALE, async_join(&queued));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, queued.args.stage);
	EXPECT_EQ(UPCALL_REASON_SHUTDOWN, queued.args.reason);
	EXPECT_EQ(-EOWNERDEAD, async_join(&delivered));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, delivered.args.stage);
	EXPECT_EQ(UPCALL_REASON_SHUTDOWN, delivered.args.reason);
	EXPECT_EQ(0, usage(self->caller).queued_calls);
	EXPECT_EQ(0, usage(self->caller).callbacks);
}

TEST_F(pair, second_shutdown_is_eshutdown)
{
	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(-ESHUTDOWN, shut_down(self->owner));
	EXPECT_EQ(-ESHUTDOWN, shut_down(self->owner));
}

TEST_F(pair, shutdown_leaves_each_callback_its_own_word_or_the_given_one)
{
	struct upcall_register reg = REGISTER_ARGS(.word = 11);
	int other = peer_open();
	uint64_t own;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	own = reg.handle;
	ASSERT_EQ(0, verb(other, UPCALL_IOC_REGISTER, &reg));
	EXPECT_EQ(-EINVAL, shut_down_word(self->owner, 0, 1));
	ASSERT_EQ(0, shut_down_word(self->owner, 0, 0));
	ASSERT_EQ(0, shut_down_word(other, UPCALL_SHUTDOWN_WORD, 22));
	EXPECT_EQ(11, stat_of(self->caller, own).word);
	EXPECT_EQ(22, stat_of(self->caller, reg.handle).word);
	EXPECT_EQ(UPCALL_REASON_SHUTDOWN, stat_of(self->caller, own).reason);
	EXPECT_EQ(UPCALL_STATE_DEAD, stat_of(self->caller, own).state);
}

TEST_F(pair, shutdown_touches_no_other_peer_of_the_process)
{
	int other = peer_open();
	uint64_t handle = register_new(other, 5, UPCALL_ACCESS_SAME_USER);

	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(0, notify(self->caller, handle, NULL, 0));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(other, handle).state);
}

TEST_F(pair, shutdown_of_a_peer_that_calls_itself_ends_both_sides)
{
	struct async queued, delivered;
	struct upcall_event_call call;

	ASSERT_EQ(0, async_start(&delivered, self->owner, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, async_start(&queued, self->owner, INVOKE_ARGS(self->handle)));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1));
	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_GT(0, async_join(&queued));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, queued.args.stage);
	EXPECT_GT(0, async_join(&delivered));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, delivered.args.stage);
	EXPECT_TRUE(eventually(usage(self->caller).queued_calls == 0));
}

TEST_F(pair, handles_of_a_former_peer_stay_dead_for_a_new_one)
{
	uint64_t handle;

	ASSERT_EQ(0, shut_down(self->owner));
	close(self->owner);
	self->owner = peer_open();
	handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	EXPECT_NE(self->handle, handle);
	EXPECT_EQ(-ESTALE, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(UPCALL_REASON_SHUTDOWN, stat_of(self->owner, self->handle).reason);
	EXPECT_EQ(0, notify(self->caller, handle, NULL, 0));
}

TEST_HARNESS_MAIN
