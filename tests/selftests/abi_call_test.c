// SPDX-License-Identifier: GPL-2.0-only
/* The command CALL: its arguments, and the one RESULT of every end that it can come to. */
#include "abi_call.h"

#define ONE_RESULT(_fd, _id, _error, _stage) ({					\
	struct upcall_event_result _result = { 0 };				\
	EXPECT_EQ(0, result_of(_fd, _id, &_result));				\
	EXPECT_EQ(_error, _result.error);					\
	EXPECT_EQ(_stage, _result.stage);					\
	EXPECT_TRUE(no_event(_fd));						\
	_result;								\
})

static int rejected(int fd, struct upcall_command cmd)
{
	int err;

	cmd.stage = POISON32;
	err = command(fd, &cmd);
	if (!err || cmd.stage != UPCALL_STAGE_NOT_DELIVERED || cmd.call_id)
		return 1;
	return err;
}

TEST_F(pair, call_returns_its_id_at_once_and_no_two_are_equal)
{
	uint64_t first = call_id_of(self->caller, self->handle, 1);
	uint64_t second = call_id_of(self->caller, self->handle, 1);

	EXPECT_NE(0, first);
	EXPECT_NE(0, second);
	EXPECT_NE(first, second);
	EXPECT_EQ(2, stat_of(self->owner, self->handle).queued);
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(pair, call_event_says_what_the_command_said)
{
	struct upcall_command cmd = COMMAND(CALL, self->handle, .deadline_ns = in_ms(SOON_MS),
		.data = ptr64("argument"), .data_len = 8, .status = 0xfeed, .reply_max = 77,
		.user_data = 5);
	union any_event event;

	ASSERT_EQ(0, command(self->caller, &cmd));
	EXPECT_EQ(0, cmd.error);
	EXPECT_EQ(0, cmd.stage);
	EXPECT_EQ(0, cmd.needed);
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(COOKIE, event.event.cookie);
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_EQ(cmd.deadline_ns, event.call.deadline_ns);
	EXPECT_EQ(0, event.call.flags);
	EXPECT_EQ(0xfeed, event.call.op);
	EXPECT_EQ(77, event.call.reply_max);
	EXPECT_EQ(getpid(), event.call.pid);
	EXPECT_EQ(1, event.call.depth);
	EXPECT_EQ(1, event.call.seq);
	EXPECT_EQ(8, event.call.payload_len);
	EXPECT_EQ(0, memcmp(event.bytes + event.call.payload_offset, "argument", 8));
}

TEST_F(pair, result_carries_user_data_reply_and_times)
{
	uint64_t before = now_ns(), id = call_id_of(self->caller, self->handle, ~0ULL);
	struct upcall_event_call call;
	struct seen seen;

	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, UPCALL_STATUS_RAISED, "oh", 2));
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->caller, NULL, 0, 0, 0, &seen));
	EXPECT_EQ(~0ULL, seen.event.event.cookie);
	EXPECT_EQ(self->handle, seen.event.event.handle);
	EXPECT_EQ(0, seen.event.event.size % 8);
	EXPECT_EQ(seen.event.event.size, seen.out.events_used);
	EXPECT_EQ(id, seen.event.result.call_id);
	EXPECT_EQ(call.seq, seen.event.result.seq);
	EXPECT_EQ(0, seen.event.result.error);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, seen.event.result.stage);
	EXPECT_EQ(UPCALL_STATUS_RAISED, seen.event.result.status);
	EXPECT_EQ(0, seen.event.result.reason);
	EXPECT_EQ(0, seen.event.result.exit_status);
	EXPECT_EQ(0, seen.event.result.reserved);
	EXPECT_EQ(0, seen.event.result.word);
	EXPECT_EQ(0, seen.event.result.fd_count);
	EXPECT_EQ(2, seen.event.result.payload_len);
	EXPECT_EQ(0, memcmp(seen.event.bytes + seen.event.result.payload_offset, "oh", 2));
	EXPECT_NE(0, seen.event.result.queued_ns);
	EXPECT_LE(seen.event.result.queued_ns + seen.event.result.run_ns,
		  seen.event.result.total_ns);
	EXPECT_LE(seen.event.result.total_ns, now_ns() - before);
}

TEST_F(pair, refused_call_results_in_the_owners_errno_and_not_delivered)
{
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	struct upcall_event_result result;
	struct upcall_event_call call;

	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, refuse(self->owner, call.call, EXDEV));
	result = ONE_RESULT(self->caller, id, EXDEV, UPCALL_STAGE_NOT_DELIVERED);
	EXPECT_TRUE(unanswered(&result));
}

TEST_F(pair, deadline_in_the_queue_results_in_etimedout_and_not_delivered)
{
	struct upcall_command cmd = COMMAND(CALL, self->handle);
	struct upcall_event_result result;

	ASSERT_EQ(0, command_in_time(self->caller, &cmd));
	result = ONE_RESULT(self->caller, cmd.call_id, ETIMEDOUT, UPCALL_STAGE_NOT_DELIVERED);
	EXPECT_LE(cmd.deadline_ns, now_ns());
	EXPECT_TRUE(unanswered(&result));
	EXPECT_EQ(0, result.queued_ns);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).queued);
	EXPECT_TRUE(no_event(self->owner));
}

/*
 * Two calls, whose deadlines come one after the other; the first is answered. 0, or what one says
 * for whom @ms are too short.
 */
static int first_of_two_is_answered(FIXTURE_DATA(pair) *self, uint64_t ms,
				    struct upcall_command *first, struct upcall_command *second)
{
	struct upcall_event_call call = { 0 };
	int err;

	*first = COMMAND(CALL, self->handle, .deadline_ns = in_ms(ms));
	*second = COMMAND(CALL, self->handle, .deadline_ns = first->deadline_ns + 50 * 1000000);
	err = command(self->caller, first) ? : command(self->caller, second);
	if (!err)
		err = call_until(self->owner, first->deadline_ns, &call);
	if (!err && call.deadline_ns != first->deadline_ns)
		err = -ETIMEDOUT;	/* it is the second one */
	return err ? : reply(self->owner, call.call, 0, NULL, 0);
}

/* The timer was set for the first one. */
TEST_F(pair, deadline_is_kept_though_an_earlier_one_came_to_nothing)
{
	struct upcall_command first, second;
	struct upcall_event_result result;
	uint64_t ms = SHORT_MS;

	while (first_of_two_is_answered(self, ms, &first, &second)) {
		close(self->caller);	/* with its calls, of which one may run */
		close(self->owner);
		self->caller = peer_open();
		self->owner = peer_open();
		self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
		ms *= 4;
		ASSERT_LT(ms, SOON_MS);
	}
	ASSERT_EQ(0, result_of(self->caller, first.call_id, &result));
	EXPECT_EQ(0, result.error);
	ONE_RESULT(self->caller, second.call_id, ETIMEDOUT, UPCALL_STAGE_NOT_DELIVERED);
	EXPECT_LE(second.deadline_ns, now_ns());
}

TEST_F(pair, cancelled_twice_a_delivered_call_has_one_result_and_its_owner_one_cancel)
{
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	struct upcall_event_call call;
	union any_event event;

	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, cancel(self->caller, id));
	cancel(self->caller, id);
	ONE_RESULT(self->caller, id, ECANCELED, UPCALL_STAGE_DELIVERED);
	EXPECT_EQ(-ENOENT, cancel(self->caller, id));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(call.call, event.cancel.call);
	EXPECT_EQ(ECANCELED, event.cancel.error);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(pair, cancel_of_an_answered_call_leaves_its_answer)
{
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	struct upcall_event_result result;
	struct upcall_event_call call;

	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 4, NULL, 0));
	cancel(self->caller, id);
	result = ONE_RESULT(self->caller, id, 0, UPCALL_STAGE_REPLIED);
	EXPECT_EQ(4, result.status);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, release_results_in_estale_for_those_that_wait_and_lets_the_delivered_finish)
{
	uint64_t runs = call_id_of(self->caller, self->handle, 0), waits;
	struct upcall_release args = { .size = sizeof(args), .handle = self->handle,
		.flags = UPCALL_RELEASE_WORD, .word = 99 };
	struct upcall_event_result result;
	struct upcall_event_call call;

	ASSERT_EQ(0, one_call(self->owner, &call));
	waits = call_id_of(self->caller, self->handle, 0);
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_RELEASE, &args));
	result = ONE_RESULT(self->caller, waits, ESTALE, UPCALL_STAGE_NOT_DELIVERED);
	EXPECT_EQ(UPCALL_REASON_RELEASED, result.reason);
	EXPECT_EQ(99, result.word);
	EXPECT_TRUE(unanswered(&result));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	result = ONE_RESULT(self->caller, runs, 0, UPCALL_STAGE_REPLIED);
	EXPECT_EQ(0, result.word);
}

TEST_F(pair, abort_results_in_ecanceled_and_delivered)
{
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	struct upcall_event_call call;
	union any_event event;

	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	ONE_RESULT(self->caller, id, ECANCELED, UPCALL_STAGE_DELIVERED);
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
}

TEST_F(pair, owners_end_results_in_eownerdead_or_estale_by_how_far_it_came)
{
	uint64_t runs = call_id_of(self->caller, self->handle, 0), waits;
	struct upcall_event_result results[2];
	struct upcall_event_call call;
	int i, ran;

	ASSERT_EQ(0, one_call(self->owner, &call));
	waits = call_id_of(self->caller, self->handle, 0);
	ASSERT_EQ(0, shut_down(self->owner));
	for (i = 0; i < 2; i++) {
		union any_event event;

		ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->caller, &event));
		results[i] = event.result;
	}
	ran = results[1].call_id == runs;
	EXPECT_EQ(runs, results[ran].call_id);
	EXPECT_EQ(EOWNERDEAD, results[ran].error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, results[ran].stage);
	EXPECT_EQ(UPCALL_REASON_SHUTDOWN, results[ran].reason);
	EXPECT_EQ(waits, results[!ran].call_id);
	EXPECT_EQ(ESTALE, results[!ran].error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, results[!ran].stage);
	EXPECT_EQ(UPCALL_REASON_SHUTDOWN, results[!ran].reason);
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(pair, callers_shutdown_takes_its_calls_back_and_cancels_the_delivered)
{
	struct upcall_event_call call;
	union any_event event;

	ASSERT_NE(0, call_id_of(self->caller, self->handle, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_NE(0, call_id_of(self->caller, self->handle, 0));
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(-ESHUTDOWN, receive(self->caller, &event, sizeof(event), 0, 0, NULL));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(call.call, event.cancel.call);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(pair, rejected_calls_have_no_result)
{
	uint64_t gone = register_new(self->owner, 0, UPCALL_ACCESS_SAME_USER);
	struct upcall_register closed = REGISTER_ARGS(.access = UPCALL_ACCESS_UID,
		.access_id = NOBODY);
	struct upcall_register picky = REGISTER_ARGS(.flags = UPCALL_REGISTER_SIGNATURE,
		.signature = 7, .max_arg = 8, .max_queued_calls = 1);
	struct upcall_command cmd;

	ASSERT_EQ(0, release(self->owner, gone, 0));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &closed));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &picky));
	EXPECT_EQ(-ESTALE, rejected(self->caller, CALL(NO_HANDLE)));
	EXPECT_EQ(-ESTALE, rejected(self->caller, CALL(0)));
	EXPECT_EQ(-ESTALE, rejected(self->caller, CALL(gone)));
	EXPECT_EQ(-EACCES, rejected(self->caller, CALL(closed.handle)));
	EXPECT_EQ(-EPROTOTYPE, rejected(self->caller, CALL(picky.handle)));
	EXPECT_EQ(-ETIMEDOUT, rejected(self->caller, COMMAND(CALL, self->handle,
							     .deadline_ns = 1)));
	EXPECT_EQ(-EFAULT, rejected(self->caller, CALL(self->handle, .data = 8, .data_len = 8)));
	EXPECT_EQ(-ENOENT, rejected(self->caller, CALL(self->handle, .parent = 12345)));
	cmd = CALL(picky.handle, .data = 8, .data_len = 9, .value = 7);
	cmd.flags |= UPCALL_INVOKE_SIGNATURE;
	EXPECT_EQ(-EMSGSIZE, command(self->caller, &cmd));
	EXPECT_EQ(8, cmd.needed);
	cmd.data_len = 0;
	ASSERT_EQ(0, command(self->caller, &cmd));
	cmd.call_id = 0;
	EXPECT_EQ(-EAGAIN, rejected(self->caller, cmd));
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(pair, call_with_members_that_do_not_belong_to_it_is_einval)
{
	EXPECT_EQ(-EINVAL, rejected(self->caller, CALL(NO_HANDLE, .value = 1)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, CALL(NO_HANDLE, .deadline_ns = 1)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, CALL(NO_HANDLE,
		.data_len = UPCALL_MAX_PAYLOAD + 1)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, CALL(NO_HANDLE,
		.reply_max = UPCALL_MAX_PAYLOAD + 1)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, CALL(NO_HANDLE, .fd_count = UPCALL_MAX_FDS + 1)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, CALL(NO_HANDLE,
		.reply_fd_max = UPCALL_MAX_FDS + 1)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, COMMAND(CALL, NO_HANDLE,
		.flags = UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_ONEWAY)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, COMMAND(CALL, NO_HANDLE,
		.flags = UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_WAIT_ROOM)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, COMMAND(CALL, NO_HANDLE,
		.flags = UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_LATEST)));
	EXPECT_EQ(-EINVAL, rejected(self->caller, COMMAND(CALL, NO_HANDLE,
		.flags = UPCALL_INVOKE_NO_DEADLINE | 1U << 31)));
}

TEST_F(pair, result_larger_than_the_buffer_is_emsgsize_and_stays)
{
	struct upcall_command cmd = CALL(self->handle, .reply_max = 256, .user_data = 3);
	char reply_bytes[256], small[sizeof(struct upcall_event_result)];
	struct upcall_event_call call;
	struct upcall_exchange out;
	union any_event event;

	fill(reply_bytes, sizeof(reply_bytes), 1);
	ASSERT_EQ(0, command(self->caller, &cmd));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, reply_bytes, sizeof(reply_bytes)));
	ASSERT_EQ(-EMSGSIZE, receive(self->caller, &event, sizeof(small), 0, 0, &out));
	ASSERT_LT(sizeof(small), out.needed);
	ASSERT_GE(sizeof(event), out.needed);
	EXPECT_EQ(-EMSGSIZE, receive(self->caller, &event, out.needed - 8, 0, 0, NULL));
	ASSERT_EQ(0, receive(self->caller, &event, out.needed, 0, 0, &out));
	EXPECT_EQ(3, event.event.cookie);
	EXPECT_EQ(sizeof(reply_bytes), event.result.payload_len);
	EXPECT_TRUE(filled(event.bytes + event.result.payload_offset, sizeof(reply_bytes), 1));
}

TEST_F(pair, reply_beyond_reply_max_of_a_call_is_emsgsize_to_its_owner)
{
	struct upcall_command cmd = CALL(self->handle, .reply_max = 4), answer;
	struct upcall_event_call call;

	ASSERT_EQ(0, command(self->caller, &cmd));
	ASSERT_EQ(0, one_call(self->owner, &call));
	answer = COMMAND(REPLY, call.call, .data = ptr64("12345"), .data_len = 5);
	EXPECT_EQ(-EMSGSIZE, command(self->owner, &answer));
	EXPECT_EQ(4, answer.needed);
	EXPECT_TRUE(no_event(self->caller));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, "1234", 4));
	ONE_RESULT(self->caller, cmd.call_id, 0, UPCALL_STAGE_REPLIED);
}

TEST_F(pair, invoke_with_the_id_of_a_call_is_enoent)
{
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .call_id = id);

	EXPECT_EQ(-ENOENT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
	EXPECT_EQ(-ENOENT, cancel(self->owner, id));
	EXPECT_EQ(0, cancel(self->caller, id));
	ONE_RESULT(self->caller, id, ECANCELED, UPCALL_STAGE_NOT_DELIVERED);
}

TEST_F(pair, poll_says_in_while_a_result_can_be_received)
{
	struct pollfd pollfd = { .fd = self->caller, .events = POLLIN };
	uint64_t id = call_id_of(self->caller, self->handle, 0);

	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	ASSERT_EQ(0, cancel(self->caller, id));
	EXPECT_EQ(1, poll(&pollfd, 1, SOON_MS));
	EXPECT_EQ(POLLIN, pollfd.revents);
	ONE_RESULT(self->caller, id, ECANCELED, UPCALL_STAGE_NOT_DELIVERED);
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
}

TEST_F(pair, result_that_faults_on_the_way_out_is_received_again)
{
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	struct upcall_event_call call;
	char *page = pages_alloc(1);

	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 6, NULL, 0));
	ASSERT_EQ(0, page_allow(page, PROT_READ));
	EXPECT_EQ(-EFAULT, receive(self->caller, page, PAGE, 0, 0, NULL));
	EXPECT_EQ(6, ONE_RESULT(self->caller, id, 0, UPCALL_STAGE_REPLIED).status);
}

TEST_F(pair, calls_are_charged_until_their_result_is_received)
{
	uint64_t id = call_id_of(self->caller, self->handle, 0);

	EXPECT_EQ(1, usage(self->caller).queued_calls);
	ASSERT_EQ(0, cancel(self->caller, id));
	EXPECT_EQ(1, usage(self->caller).queued_calls);
	ONE_RESULT(self->caller, id, ECANCELED, UPCALL_STAGE_NOT_DELIVERED);
	EXPECT_EQ(0, usage(self->caller).queued_calls);
}

TEST_HARNESS_MAIN
