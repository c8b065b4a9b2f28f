// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's pull shape: register, next, reply, refuse, release.
 */
#include "kselftest_harness.h"
#include "lib_test.h"

FIXTURE(pull)
{
	struct upcall_peer *peer;	/* the owner */
	struct upcall_peer *other;	/* the caller */
	struct upcall_options *options;
	uint64_t handle;
	struct caller caller;
	struct upcall_incoming *incoming;
};

FIXTURE_SETUP(pull)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, upcall_open(NULL, &self->peer));
	ASSERT_EQ(0, upcall_open(NULL, &self->other));
	ASSERT_EQ(0, upcall_options_new(&self->options));
	upcall_options_set_limits(self->options, UPCALL_MAX_PAYLOAD, 64, 4 * UPCALL_MAX_PAYLOAD);
	ASSERT_EQ(0, upcall_options_set_label(self->options, "pull"));
	ASSERT_EQ(0, upcall_register(self->peer, self->options, 4711, &self->handle));
}

FIXTURE_TEARDOWN(pull)
{
	upcall_incoming_free(self->incoming);
	caller_end(&self->caller, self->other);
	upcall_options_free(self->options);
	upcall_close(self->other);
	upcall_close(self->peer);
}

TEST_F(pull, nothing_to_receive_is_eagain_or_etimedout)
{
	errno = 7;
	EXPECT_EQ(-EAGAIN, upcall_next(self->peer, UPCALL_NO_WAIT, &self->incoming));
	EXPECT_EQ(-ETIMEDOUT, upcall_next(self->peer, upcall_deadline_in(10), &self->incoming));
	EXPECT_EQ(7, errno);
	EXPECT_EQ(NULL, self->incoming);
}

TEST_F(pull, call_carries_bytes_cookie_and_the_callers_identity)
{
	self->caller.arg = "hello";
	self->caller.len = 5;
	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	EXPECT_EQ(4711, upcall_incoming_cookie(self->incoming));
	EXPECT_EQ(self->handle, upcall_incoming_handle(self->incoming));
	EXPECT_NE(0, upcall_incoming_id(self->incoming));
	EXPECT_EQ(5, upcall_incoming_len(self->incoming));
	EXPECT_EQ(0, memcmp("hello", upcall_incoming_data(self->incoming), 5));
	EXPECT_EQ(getpid(), upcall_incoming_pid(self->incoming));
	EXPECT_NE(getpid(), upcall_incoming_tid(self->incoming));
	EXPECT_EQ(geteuid(), upcall_incoming_uid(self->incoming));
	EXPECT_EQ(getegid(), upcall_incoming_gid(self->incoming));
	EXPECT_EQ(self->caller.deadline, upcall_incoming_deadline(self->incoming));
	EXPECT_EQ(0, upcall_incoming_oneway(self->incoming));
	EXPECT_EQ(UPCALL_DEFAULT_REPLY_MAX, upcall_incoming_reply_max(self->incoming));

	EXPECT_EQ(0, upcall_reply(self->incoming, 3, "bye", 3));
	EXPECT_EQ(3, caller_join(&self->caller));
	EXPECT_EQ(3, upcall_call_status(self->caller.call));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, upcall_call_stage(self->caller.call));
	EXPECT_EQ(0, memcmp("bye", upcall_call_reply(self->caller.call), 3));
}

TEST_F(pull, second_answer_is_ealready)
{
	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	EXPECT_EQ(0, upcall_reply(self->incoming, 0, NULL, 0));
	EXPECT_EQ(-EALREADY, upcall_reply(self->incoming, 0, NULL, 0));
	EXPECT_EQ(-EALREADY, upcall_refuse(self->incoming, EIO));
	EXPECT_EQ(0, caller_join(&self->caller));
}

TEST_F(pull, refused_call_was_not_delivered)
{
	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	EXPECT_EQ(-EINVAL, upcall_refuse(self->incoming, 0));
	EXPECT_EQ(-EINVAL, upcall_refuse(self->incoming, 4096));
	EXPECT_EQ(-EINVAL, upcall_return(self->incoming, "no function", 11));
	EXPECT_EQ(0, upcall_refuse(self->incoming, -EIO));
	EXPECT_EQ(-EIO, caller_join(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->caller.call));
}

TEST_F(pull, call_that_is_freed_unanswered_is_answered_as_raised)
{
	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	upcall_incoming_free(self->incoming);
	self->incoming = NULL;
	EXPECT_LT(0, caller_join(&self->caller));
	EXPECT_EQ((int32_t)UPCALL_STATUS_RAISED, upcall_call_status(self->caller.call));
}

TEST_F(pull, reply_too_long_may_be_answered_shorter)
{
	char big[100];

	memset(big, 'x', sizeof(big));
	ASSERT_EQ(0, upcall_call_new(self->other, &self->caller.call));
	upcall_call_set_reply_max(self->caller.call, 10);
	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	EXPECT_EQ(10, upcall_incoming_reply_max(self->incoming));
	EXPECT_EQ(-EMSGSIZE, upcall_reply(self->incoming, 0, big, 11));
	EXPECT_EQ(-EMSGSIZE, upcall_reply(self->incoming, 0, big, UPCALL_MAX_PAYLOAD + 1));
	EXPECT_EQ(0, upcall_reply(self->incoming, 0, big, 10));
	EXPECT_EQ(10, caller_join(&self->caller));
}

TEST_F(pull, largest_argument_and_reply_get_through)
{
	char *bytes = malloc(UPCALL_MAX_PAYLOAD);

	ASSERT_NE(NULL, bytes);
	for (size_t i = 0; i < UPCALL_MAX_PAYLOAD; i++)
		bytes[i] = (char)(i * 7 + i / 1000);
	self->caller.arg = bytes;
	self->caller.len = UPCALL_MAX_PAYLOAD;
	ASSERT_EQ(0, upcall_call_new(self->other, &self->caller.call));
	upcall_call_set_reply_max(self->caller.call, UPCALL_MAX_PAYLOAD);
	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	ASSERT_EQ(UPCALL_MAX_PAYLOAD, upcall_incoming_len(self->incoming));
	EXPECT_EQ(0, memcmp(bytes, upcall_incoming_data(self->incoming), UPCALL_MAX_PAYLOAD));
	EXPECT_EQ(0, upcall_reply(self->incoming, 0, upcall_incoming_data(self->incoming),
				  UPCALL_MAX_PAYLOAD));
	ASSERT_EQ(UPCALL_MAX_PAYLOAD, caller_join(&self->caller));
	EXPECT_EQ(0, memcmp(bytes, upcall_call_reply(self->caller.call), UPCALL_MAX_PAYLOAD));
	free(bytes);
}

TEST_F(pull, notification_is_answered_with_nothing)
{
	struct upcall_call *call;

	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	ASSERT_EQ(0, upcall_call_notify(call, self->handle, 9, "x", 1, UPCALL_NO_DEADLINE));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	EXPECT_EQ(1, upcall_incoming_oneway(self->incoming));
	EXPECT_EQ(9, upcall_incoming_op(self->incoming));
	EXPECT_EQ(UPCALL_NO_DEADLINE, upcall_incoming_deadline(self->incoming));
	EXPECT_EQ(0, upcall_reply(self->incoming, 5, "ignored", 7));
	upcall_call_free(call);
}

TEST_F(pull, released_brings_the_cookie_back_and_then_nothing)
{
	ASSERT_EQ(0, upcall_rebind(self->peer, self->handle, 4712));
	ASSERT_EQ(0, upcall_release(self->peer, self->handle, 0));
	EXPECT_EQ(-ESTALE, upcall_release(self->peer, self->handle, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, upcall_next(self->peer, SOON, &self->incoming));
	EXPECT_EQ(4712, upcall_incoming_cookie(self->incoming));
	EXPECT_EQ(0, upcall_incoming_len(self->incoming));
	EXPECT_EQ(NULL, upcall_incoming_data(self->incoming));
	EXPECT_EQ(-EINVAL, upcall_reply(self->incoming, 0, NULL, 0));
	upcall_incoming_free(self->incoming);
	self->incoming = NULL;
	EXPECT_EQ(-EAGAIN, upcall_next(self->peer, UPCALL_NO_WAIT, &self->incoming));
}

TEST_F(pull, cancelled_call_says_so_and_its_answer_is_wanted_by_nobody)
{
	struct upcall_incoming *cancel;
	int64_t ms;

	/* On a busy machine it may not be received in time. */
	for (ms = 50; !self->incoming && ms < 20000 * UPCALL_SLOW; ms *= 2) {
		self->caller.deadline = upcall_deadline_in(ms);
		ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
		upcall_next(self->peer, self->caller.deadline, &self->incoming);
		EXPECT_EQ(-ETIMEDOUT, caller_join(&self->caller));
	}
	ASSERT_NE(NULL, self->incoming);
	EXPECT_EQ(UPCALL_EVENT_CALL, upcall_incoming_type(self->incoming));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, upcall_call_stage(self->caller.call));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, upcall_next(self->peer, SOON, &cancel));
	EXPECT_EQ(ETIMEDOUT, upcall_incoming_cancelled(cancel));
	EXPECT_EQ(upcall_incoming_id(self->incoming), upcall_incoming_id(cancel));
	EXPECT_EQ(ETIMEDOUT, upcall_incoming_cancelled(self->incoming));
	upcall_incoming_free(cancel);
	EXPECT_EQ(1, upcall_reply(self->incoming, 0, NULL, 0));
}

TEST_F(pull, reply_next_answers_and_receives)
{
	struct upcall_call *call;
	int answered;

	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &self->incoming));
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	ASSERT_EQ(0, upcall_call_notify(call, self->handle, 1, NULL, 0, UPCALL_NO_DEADLINE));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_reply_next(self->incoming, 0, "one", 3, SOON,
						       &self->incoming, &answered));
	EXPECT_EQ(1, answered);
	EXPECT_EQ(1, upcall_incoming_op(self->incoming));
	EXPECT_EQ(3, caller_join(&self->caller));

	EXPECT_EQ(-EAGAIN, upcall_reply_next(self->incoming, 0, NULL, 0, UPCALL_NO_WAIT,
					     &self->incoming, &answered));
	EXPECT_EQ(1, answered);
	self->incoming = NULL;
	upcall_call_free(call);
}

TEST_F(pull, reply_next_with_a_reply_too_long_keeps_the_call)
{
	struct upcall_call *call;
	struct upcall_incoming *first, *next;
	char big[100] = "";
	int answered;

	ASSERT_EQ(0, upcall_call_new(self->other, &self->caller.call));
	upcall_call_set_reply_max(self->caller.call, 10);
	ASSERT_EQ(0, caller_start(&self->caller, self->other, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &first));
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	ASSERT_EQ(0, upcall_call_notify(call, self->handle, 1, NULL, 0, UPCALL_NO_DEADLINE));
	EXPECT_EQ(-EMSGSIZE, upcall_reply_next(first, 0, big, sizeof(big), SOON, &next, &answered));
	EXPECT_EQ(0, answered);
	/* the notification was not lost with it */
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_reply_next(first, 0, big, 10, SOON,
						       &self->incoming, &answered));
	EXPECT_EQ(1, answered);
	EXPECT_EQ(1, upcall_incoming_op(self->incoming));
	EXPECT_EQ(10, caller_join(&self->caller));
	upcall_call_free(call);
}

TEST_F(pull, batch_hands_out_every_call_in_order)
{
	struct upcall_call *call;

	upcall_set_batch(self->peer, 8);
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	for (uint32_t op = 0; op < 12; op++)
		ASSERT_EQ(0, upcall_call_notify(call, self->handle, op, &op, 4, UPCALL_NO_DEADLINE));
	for (uint32_t op = 0; op < 12; op++) {
		ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, UPCALL_NO_WAIT, &self->incoming));
		EXPECT_EQ(op, upcall_incoming_op(self->incoming));
		EXPECT_EQ(0, memcmp(&op, upcall_incoming_data(self->incoming), 4));
		upcall_incoming_free(self->incoming);
		self->incoming = NULL;
	}
	EXPECT_EQ(-EAGAIN, upcall_next(self->peer, UPCALL_NO_WAIT, &self->incoming));
	upcall_call_free(call);
}

TEST_F(pull, shutdown_wakes_who_waits)
{
	struct owner owner = { .peer = self->peer };

	ASSERT_EQ(0, owner_start(&owner, 3));
	usleep(1000);
	EXPECT_EQ(0, upcall_shutdown(self->peer));
	EXPECT_EQ(0, owner_join(&owner));
	EXPECT_EQ(-ESHUTDOWN, upcall_next(self->peer, SOON, &self->incoming));
	EXPECT_EQ(-ESHUTDOWN, upcall_shutdown(self->peer));
}

TEST_F(pull, stat_and_list_know_the_callback)
{
	const struct upcall_list_callback *record;
	struct upcall_listing *listing;
	struct upcall_stat stat;
	bool found = false;
	int ret;

	ASSERT_EQ(0, upcall_stat(self->other, self->handle, &stat, sizeof(stat)));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	EXPECT_EQ(getpid(), stat.pid);
	EXPECT_EQ(0, strcmp("pull", stat.label));
	EXPECT_EQ(0, stat.owned);
	EXPECT_EQ(-ESTALE, upcall_stat(self->other, 1, &stat, sizeof(stat)));

	ASSERT_EQ(0, upcall_listing_new(self->other, UPCALL_LIST_CALLBACKS, sizeof(*record), &listing));
	while ((ret = upcall_listing_next(listing, (const void **)&record)) == 1)
		found |= record->handle == self->handle;
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(found);
	upcall_listing_free(listing);
}

TEST_HARNESS_MAIN
