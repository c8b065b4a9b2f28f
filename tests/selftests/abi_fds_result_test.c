// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors with asynchronous calls, with their RESULTs, and with notifications. */
#include "abi_fds.h"

/* A CALL with @count descriptors that takes some with its RESULT: 0 or -errno. */
static int call_with(int fd, uint64_t handle, const int *fds, uint32_t count, uint32_t reply_fd_max)
{
	struct upcall_command cmd = COMMAND(CALL, handle, .flags = UPCALL_INVOKE_NO_DEADLINE,
					    .fds = ptr64(fds), .fd_count = count, .user_data = 7,
					    .reply_max = 64, .reply_fd_max = reply_fd_max);
	int err = command(fd, &cmd);

	if (err && cmd.stage != UPCALL_STAGE_NOT_DELIVERED)
		return -EPROTO;
	return err;
}

/* A CALL is made, and answered with @count times the writing end: 0 or -errno. */
static int answered_call(FIXTURE_DATA(fds) *self, uint32_t count, const char *text, uint32_t len)
{
	struct upcall_event_call call = { 0 };
	struct upcall_command cmd;
	int sent[MAX], err;

	fill_with(sent, MAX, self->writer);
	err = call_with(self->caller, self->handle, NULL, 0, MAX);
	if (!err)
		err = one_call(self->owner, &call);
	cmd = COMMAND(REPLY, call.call, .data = ptr64(text), .data_len = len, .fds = ptr64(sent),
		      .fd_count = count);
	return err ? err : command(self->owner, &cmd);
}

static const int *result_fds(const union any_event *event)
{
	return (const int *)(event->bytes + event->result.fds_offset);
}

TEST_F(fds, asynchronous_call_takes_and_brings_some)
{
	union any_event event;

	ASSERT_EQ(0, call_with(self->caller, self->handle, &self->reader, 1, 2));
	EXPECT_EQ(1, usage(self->caller).fds);
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(1, event.call.fd_count);
	EXPECT_EQ(2, event.call.reply_fd_max);
	EXPECT_TRUE(same_file(self->reader, fds_of(&event)[0]));
	EXPECT_EQ(0, usage(self->caller).fds);
	EXPECT_EQ(-EMFILE, reply_fds(self->owner, event.call.call, (int *)8, 3, NULL));
	ASSERT_EQ(0, reply_fds(self->owner, event.call.call,
			       (int[]){ self->writer, fds_of(&event)[0] }, 2, NULL));
	EXPECT_EQ(2, usage(self->caller).fds);
	ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->caller, &event));
	EXPECT_EQ(0, event.result.error);
	EXPECT_EQ(7, event.event.cookie);
	EXPECT_EQ(sizeof(event.result), event.result.fds_offset);
	EXPECT_EQ(sizeof(event.result) + 8, event.event.size);
	ASSERT_EQ(2, event.result.fd_count);
	EXPECT_TRUE(same_file(self->writer, result_fds(&event)[0]));
	EXPECT_EQ(FD_CLOEXEC, fcntl(result_fds(&event)[1], F_GETFD));
	EXPECT_EQ(self->open + 3, open_fds());
	EXPECT_EQ(0, usage(self->caller).fds);
}

TEST_F(fds, numbers_stand_behind_the_payload_of_a_result)
{
	union any_event event;

	ASSERT_EQ(0, answered_call(self, 3, "0123456789", 10));
	ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->caller, &event));
	EXPECT_EQ(10, event.result.payload_len);
	EXPECT_EQ(event.result.payload_offset + 16, event.result.fds_offset);
	EXPECT_EQ(event.result.fds_offset + 16, event.event.size);
	EXPECT_EQ(0, memcmp(event.bytes + event.result.payload_offset, "0123456789", 10));
	EXPECT_TRUE(same_file(self->writer, result_fds(&event)[2]));
}

TEST_F(fds, receiver_of_a_result_without_room_for_them_gets_emfile_and_the_bytes)
{
	union any_event event;

	ASSERT_EQ(0, answered_call(self, 2, "12345678", 8));
	ASSERT_EQ(0, bound_nofile(self->open + 1));
	ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->caller, &event));
	EXPECT_EQ(EMFILE, event.result.error);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, event.result.stage);
	EXPECT_EQ(0, event.result.fd_count);
	EXPECT_EQ(8, event.result.payload_len);
	EXPECT_EQ(0, memcmp(event.bytes + event.result.payload_offset, "12345678", 8));
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(0, usage(self->caller).fds);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_F(fds, result_whose_numbers_cannot_be_written_is_put_back_with_its_files)
{
	const uint32_t head = sizeof(struct upcall_event_result);
	char *pages = pages_alloc(2), *end = pages + PAGE;
	union any_event event;

	ASSERT_EQ(0, page_allow(end, PROT_NONE));
	ASSERT_EQ(0, answered_call(self, 4, NULL, 0));
	EXPECT_EQ(-EFAULT, receive(self->caller, end - head, head + 16, 0, 0, NULL));
	EXPECT_EQ(-EFAULT, receive(self->caller, end - head - 8, head + 16, 0, 0, NULL));
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(4, usage(self->caller).fds);
	ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->caller, &event));
	EXPECT_EQ(4, event.result.fd_count);
	EXPECT_EQ(self->open + 4, open_fds());
}

TEST_F(fds, thread_that_waits_for_one_call_gets_what_comes_with_it)
{
	union any_event event;
	struct upcall_event_call call;
	struct upcall_exchange args;
	struct upcall_command cmd = COMMAND(CALL, self->handle, .reply_fd_max = 1,
					    .flags = UPCALL_INVOKE_NO_DEADLINE);

	ASSERT_EQ(0, command(self->caller, &cmd));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply_fds(self->owner, call.call, &self->writer, 1, NULL));
	args = EXCHANGE_ARGS(.wait_call = cmd.call_id, .events = ptr64(&event),
			     .events_len = sizeof(event));
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_EXCHANGE, &args));
	ASSERT_EQ(UPCALL_EVENT_RESULT, event.event.type);
	ASSERT_EQ(1, event.result.fd_count);
	EXPECT_TRUE(same_file(self->writer, result_fds(&event)[0]));
	EXPECT_EQ(0, usage(self->caller).fds);
}

/* One peer that is owner and caller: its next RESULT goes before a call that waits. */
TEST_F(fds, results_and_calls_of_one_exchange_share_the_64)
{
	char events[8192] __attribute__((aligned(8)));
	struct upcall_exchange out;
	int sent[MAX];

	close(self->caller);
	self->caller = self->owner;
	self->open--;
	fill_with(sent, MAX, self->writer);
	ASSERT_EQ(0, answered_call(self, 40, NULL, 0));
	ASSERT_EQ(0, send_fds(self->owner, self->handle, sent, 25));
	ASSERT_EQ(0, send_fds(self->owner, self->handle, sent, 24));
	ASSERT_EQ(0, receive(self->owner, events, sizeof(events), 9, 0, &out));
	EXPECT_EQ(1, out.event_count);
	EXPECT_EQ(UPCALL_EVENT_RESULT, ((struct upcall_event *)events)->type);
	EXPECT_EQ(self->open + 40, open_fds());
	ASSERT_EQ(0, receive(self->owner, events, sizeof(events), 9, 0, &out));
	EXPECT_EQ(2, out.event_count);
	EXPECT_EQ(self->open + 40 + 49, open_fds());
}

TEST_F(fds, commands_refuse_as_invoke_does)
{
	struct upcall_register reg = REGISTER_ARGS();
	struct upcall_command notify;
	int bad = 1000, sent[2] = { self->writer, self->owner };

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	EXPECT_EQ(-EINVAL, call_with(self->caller, self->handle, &bad, MAX + 1, 0));
	EXPECT_EQ(-EINVAL, call_with(self->caller, self->handle, NULL, 0, MAX + 1));
	EXPECT_EQ(-EMFILE, call_with(self->caller, reg.handle, &bad, 1, 0));
	EXPECT_EQ(-EFAULT, call_with(self->caller, self->handle, (int *)8, 1, 0));
	EXPECT_EQ(-EBADF, call_with(self->caller, self->handle, &bad, 1, 0));
	EXPECT_EQ(-EINVAL, call_with(self->caller, self->handle, sent, 2, 0));
	notify = COMMAND(NOTIFY, self->handle, .flags = UPCALL_INVOKE_NO_DEADLINE,
			 .reply_fd_max = 1);
	EXPECT_EQ(-EINVAL, command(self->caller, &notify));
	EXPECT_EQ(0, usage(self->caller).fds);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(fds, notify_brings_some)
{
	struct upcall_command notify = COMMAND(NOTIFY, self->handle, .fds = ptr64(&self->writer),
					       .flags = UPCALL_INVOKE_NO_DEADLINE, .fd_count = 1);
	union any_event event;

	ASSERT_EQ(0, command(self->caller, &notify));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	ASSERT_EQ(1, event.call.fd_count);
	EXPECT_TRUE(same_file(self->writer, fds_of(&event)[0]));
}

TEST_F(fds, notification_that_a_newer_one_replaces_closes_its_own)
{
	struct upcall_command latest = COMMAND(NOTIFY, self->handle, .fds = ptr64(&self->writer),
		.flags = UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_LATEST, .fd_count = 1);
	union any_event event;

	ASSERT_EQ(0, command(self->caller, &latest));
	close(self->writer);
	latest.fds = ptr64(&self->reader);
	ASSERT_EQ(0, command(self->caller, &latest));
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
	EXPECT_EQ(1, usage(self->caller).fds);
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(1, event.call.dropped);
	EXPECT_TRUE(same_file(self->reader, fds_of(&event)[0]));
}

/* --- ends -------------------------------------------------------------------------------- */

TEST_F(fds, call_that_dies_in_the_queue_closes_its_own_before_its_result_is_read)
{
	union any_event event;

	ASSERT_EQ(0, call_with(self->caller, self->handle, &self->writer, 1, 0));
	close(self->writer);
	EXPECT_FALSE(writer_is_closed(self->reader));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
	EXPECT_EQ(0, usage(self->caller).fds);
	ASSERT_EQ(UPCALL_EVENT_RESULT, one_event(self->caller, &event));
	EXPECT_EQ(ESTALE, event.result.error);
	EXPECT_EQ(0, event.result.fd_count);
}

TEST_F(fds, result_that_nobody_reads_closes_its_own_with_its_peer)
{
	ASSERT_EQ(0, answered_call(self, 5, NULL, 0));
	close(self->writer);
	EXPECT_EQ(5, usage(self->owner).fds);
	EXPECT_FALSE(writer_is_closed(self->reader));
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
	EXPECT_EQ(0, usage(self->owner).fds);
}

/* Results that are not read fill the account of those who do not read, not of who answers. */
TEST_F(fds, caller_who_reads_no_results_fills_its_own_account_and_is_told_by_emfile)
{
	struct upcall_event_call call;
	uint32_t needed = 99;
	int sent[MAX], i;

	fill_with(sent, MAX, self->writer);
	for (i = 0; i < 4096 / MAX; i++)
		ASSERT_EQ(0, answered_call(self, MAX, NULL, 0));
	EXPECT_EQ(4096, usage(self->caller).fds);
	ASSERT_EQ(0, call_with(self->caller, self->handle, NULL, 0, 1));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(-EMFILE, reply_fds(self->owner, call.call, sent, 1, &needed));
	EXPECT_EQ(0, needed);
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(-EMFILE, send_fds(self->caller, self->handle, sent, 1));
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(0, usage(self->owner).fds);
}

TEST_HARNESS_MAIN
