// SPDX-License-Identifier: GPL-2.0-only
/* Notifications: INVOKE with ONEWAY. Nobody waits; the owner's end is a REPLY without bytes. */
#include "abi_test.h"

TEST_F(pair, notification_returns_once_queued)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle);

	args.flags |= UPCALL_INVOKE_ONEWAY;
	poison_out(&args);
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_NE(0, args.seq);
	EXPECT_EQ(0, args.call_id);
	EXPECT_EQ(0, args.status);
	EXPECT_EQ(0, args.reply_len);
	EXPECT_EQ(0, args.needed);
	EXPECT_EQ(0, args.reason);
	EXPECT_EQ(0, args.run_ns);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).calls);
}

TEST_F(pair, notification_is_marked_and_carries_argument_and_op)
{
	struct upcall_invoke args;
	union any_event event;
	char arg[200];

	fill(arg, sizeof(arg), 4);
	args = INVOKE_ARGS(self->handle, .arg = ptr64(arg), .arg_len = 200, .op = 3);
	args.flags |= UPCALL_INVOKE_ONEWAY;
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(UPCALL_CALL_ONEWAY | UPCALL_CALL_NO_DEADLINE, event.call.flags);
	EXPECT_EQ(3, event.call.op);
	EXPECT_EQ(0, event.call.reply_max);
	EXPECT_EQ(200, event.call.payload_len);
	EXPECT_TRUE(filled(event.bytes + event.call.payload_offset, 200, 4));
}

TEST_F(pair, notification_passes_its_deadline_on_and_is_delivered_after_it)
{
	uint64_t deadline, ms = 1;
	struct upcall_event_call call;
	struct upcall_invoke args;
	int err;

	do {	/* more time, until it is queued within it */
		deadline = in_ms(ms);
		args = INVOKE_ARGS(self->handle, .flags = UPCALL_INVOKE_ONEWAY,
				   .deadline_ns = deadline);
		err = verb(self->caller, UPCALL_IOC_INVOKE, &args);
		ms *= 4;
	} while (err == -ETIMEDOUT && ms < SOON_MS);
	ASSERT_EQ(0, err);
	ASSERT_TRUE(eventually(now_ns() > deadline));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(deadline, call.deadline_ns);
	EXPECT_EQ(UPCALL_CALL_ONEWAY, call.flags);
}

TEST_F(pair, notification_with_a_deadline_in_the_past_is_etimedout)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .flags = UPCALL_INVOKE_ONEWAY,
						.deadline_ns = 1);

	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, args.seq);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
}

TEST_F(pair, notification_with_room_for_a_reply_or_a_call_id_is_einval)
{
	struct upcall_invoke args[] = {
		INVOKE_ARGS(self->handle, .reply = 8),
		INVOKE_ARGS(self->handle, .reply_max = 1),
		INVOKE_ARGS(self->handle, .reply_max = 1, .reply_room = 1),
		INVOKE_ARGS(self->handle, .call_id = 1),
		INVOKE_ARGS(self->handle, .arg_len = UPCALL_MAX_PAYLOAD + 1),
	};
	size_t i;

	for (i = 0; i < LENGTH(args); i++) {
		args[i].flags |= UPCALL_INVOKE_ONEWAY;
		EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args[i]))
			TH_LOG("case %zu", i);
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
}

TEST_F(pair, reply_without_bytes_ends_a_notification)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(pair, reply_with_bytes_or_status_to_a_notification_is_einval_and_it_stays_open)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(-EINVAL, reply(self->owner, call.call, 0, "x", 1));
	EXPECT_EQ(-EINVAL, reply(self->owner, call.call, 1, NULL, 0));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(pair, refusal_ends_a_notification)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, refuse(self->owner, call.call, EIO));
	EXPECT_EQ(-ENOENT, refuse(self->owner, call.call, EIO));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
}

TEST_F(pair, notifications_outlive_their_caller)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, shut_down(self->caller));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, undelivered_notifications_are_lost_with_their_callback)
{
	union any_event event;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_F(pair, delivered_notifications_hold_released_back)
{
	struct upcall_event_call call;
	union any_event event;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(UPCALL_STATE_CLOSING, stat_of(self->owner, self->handle).state);
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
}

TEST_F(pair, notifications_and_calls_of_one_caller_come_in_order)
{
	struct upcall_event_call call;
	struct async async;
	int i;

	for (i = 0; i < 3; i++) {
		struct upcall_invoke args = INVOKE_ARGS(self->handle, .op = i);

		args.flags |= UPCALL_INVOKE_ONEWAY;
		ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	}
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle, .op = 3)));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(i, (int)call.op);
		ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	}
	EXPECT_EQ(0, async_join(&async));
}

TEST_HARNESS_MAIN
