// SPDX-License-Identifier: GPL-2.0-only
/* Deadlines of calls: before they are queued, while they wait, and after delivery. */
#include "abi_test.h"

TEST_F(pair, deadline_in_the_past_is_not_queued)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .flags = 0);
	static const uint64_t past[] = { 0, 1, 1000000 };
	size_t i;

	for (i = 0; i < LENGTH(past); i++) {
		args.deadline_ns = past[i];
		poison_out(&args);
		EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
		EXPECT_EQ(0, args.call_id);
		EXPECT_EQ(0, args.seq);
		EXPECT_EQ(0, args.total_ns);
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, deadline_while_queued_takes_the_call_back)
{
	struct upcall_invoke args;
	uint64_t ms = SHORT_MS;

	do {	/* until it is queued before its deadline */
		args = INVOKE_ARGS(self->handle, .flags = 0, .deadline_ns = in_ms(ms));
		poison_out(&args);
		ASSERT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		EXPECT_LE(args.deadline_ns, now_ns());
		ms *= 4;
	} while (!args.seq && ms < SOON_MS);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, args.call_id);
	EXPECT_NE(0, args.seq);
	EXPECT_EQ(0, args.queued_ns);
	EXPECT_EQ(0, args.run_ns);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).calls);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).queued);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).delivered);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_F(pair, deadline_of_a_call_that_was_put_back_says_that_it_did_not_run)
{
	uint64_t deadline, back, ms = SHORT_MS;
	struct async async;
	int err;

	do {	/* until it is taken, and put back, before its deadline */
		deadline = in_ms(ms);
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
			.flags = 0, .deadline_ns = deadline)));
		ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1 ||
				       async_done(&async)));
		err = receive(self->owner, (void *)8, PAGE, 1, UPCALL_EXCHANGE_NONBLOCK, NULL);
		back = now_ns();
		ASSERT_EQ(-ETIMEDOUT, async_join(&async));
		ms *= 4;
	} while ((err == -EAGAIN || back >= deadline) && ms < SOON_MS);
	ASSERT_EQ(-EFAULT, err);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, async.args.stage);
	EXPECT_EQ(0, async.args.call_id);
	EXPECT_EQ(0, async.args.queued_ns);
	EXPECT_EQ(0, async.args.run_ns);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).delivered);
	EXPECT_TRUE(no_event(self->owner));
}

FIXTURE(late) {
	int owner;
	int caller;
	uint64_t handle;
	struct async async;
	struct upcall_event_call call;	/* delivered, and given up by its caller */
};

FIXTURE_SETUP(late)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(0, late_call(&self->async, self->caller, self->owner,
			       INVOKE_ARGS(self->handle, .reply_max = 100), &self->call));
}

FIXTURE_TEARDOWN(late)
{
	close(self->owner);
	close(self->caller);
}

TEST_F(late, deadline_after_delivery_says_so)
{
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->async.args.stage);
	EXPECT_EQ(0, self->async.args.call_id);
	EXPECT_EQ(self->call.seq, self->async.args.seq);
	EXPECT_EQ(0, self->async.args.status);
	EXPECT_EQ(0, self->async.args.reply_len);
	EXPECT_EQ(0, self->async.args.reason);
	EXPECT_EQ(self->async.args.total_ns,
		  self->async.args.queued_ns + self->async.args.run_ns);
}

TEST_F(late, event_carries_the_deadline)
{
	EXPECT_EQ(self->async.args.deadline_ns, self->call.deadline_ns);
	EXPECT_EQ(0, self->call.flags & UPCALL_CALL_NO_DEADLINE);
}

TEST_F(late, owner_gets_cancel_with_etimedout_and_the_end_is_still_owed)
{
	union any_event event;

	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(sizeof(event.cancel), event.event.size);
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_EQ(COOKIE, event.event.cookie);
	EXPECT_EQ(self->call.call, event.cancel.call);
	EXPECT_EQ(ETIMEDOUT, event.cancel.error);
	EXPECT_EQ(0, event.cancel.reserved);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(-ENOENT, reply(self->owner, self->call.call, 0, "late", 4));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(-ENOENT, reply(self->owner, self->call.call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(late, released_comes_after_the_late_end)
{
	union any_event event;

	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(-ENOENT, refuse(self->owner, self->call.call, EIO));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
}

TEST_F(late, end_before_cancel_was_read_takes_cancel_back)
{
	EXPECT_EQ(-ENOENT, reply(self->owner, self->call.call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(late, what_the_caller_left_behind_is_given_back_at_the_end)
{
	EXPECT_EQ(0, usage(self->owner).queued_bytes);
	EXPECT_EQ(-ENOENT, reply(self->owner, self->call.call, 0, NULL, 0));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_F(pair, far_deadlines_are_as_good_as_none)
{
	static const uint64_t far[] = { 1ULL << 62, (1ULL << 63) - 1, 1ULL << 63, ~0ULL };
	struct upcall_event_call call;
	struct async async;
	size_t i;

	for (i = 0; i < LENGTH(far); i++) {
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
			.flags = 0, .deadline_ns = far[i])));
		ASSERT_EQ(0, one_call(self->owner, &call));
		ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
		EXPECT_EQ(0, async_join(&async));
	}
}

TEST_HARNESS_MAIN
