// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors with calls and replies: how many at a time, full tables, faults. */
#include "abi_fds.h"

/* --- batches -------------------------------------------------------------------------- */

TEST_F(fds, one_exchange_hands_out_no_more_than_64)
{
	static const uint32_t counts[] = { 40, 24, 0, 1, MAX, 1 }, batches[] = { 3, 1, 1, 1 };
	struct upcall_exchange out;
	char events[8192] __attribute__((aligned(8)));
	int sent[MAX];
	size_t i;

	fill_with(sent, MAX, self->writer);
	for (i = 0; i < LENGTH(counts); i++)
		ASSERT_EQ(0, send_fds(self->caller, self->handle, sent, counts[i]));
	EXPECT_EQ(130, usage(self->caller).fds);
	for (i = 0; i < LENGTH(batches); i++) {
		ASSERT_EQ(0, receive(self->owner, events, sizeof(events), 16, 0, &out));
		EXPECT_EQ(batches[i], out.event_count);
	}
	EXPECT_EQ(0, usage(self->caller).fds);
	EXPECT_EQ(self->open + 130, open_fds());
}

TEST_F(fds, event_that_is_too_large_with_them_is_emsgsize_and_stays)
{
	const uint32_t size = sizeof(struct upcall_event_call) + 16;
	struct upcall_exchange out;
	union any_event event;
	int sent[3];

	fill_with(sent, 3, self->writer);
	ASSERT_EQ(0, send_fds(self->caller, self->handle, sent, 3));
	EXPECT_EQ(-EMSGSIZE, receive(self->owner, &event, size - 8, 1, 0, &out));
	EXPECT_EQ(size, out.needed);
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(0, receive(self->owner, &event, size, 1, 0, &out));
	EXPECT_EQ(size, out.events_used);
	EXPECT_EQ(self->open + 3, open_fds());
}

/* --- a full table ------------------------------------------------------------------- */

TEST_F(fds, receiver_without_room_for_all_gets_the_call_without_any)
{
	struct upcall_event_call *calls[2];
	char events[1024] __attribute__((aligned(8)));
	struct upcall_exchange out;
	int sent[3];

	fill_with(sent, 3, self->writer);
	ASSERT_EQ(0, send_fds(self->caller, self->handle, sent, 3));
	ASSERT_EQ(0, send_fds(self->caller, self->handle, sent, 2));
	close(self->writer);
	ASSERT_EQ(0, bound_nofile(self->open + 1));	/* one was closed */
	ASSERT_EQ(0, receive(self->owner, events, sizeof(events), 2, 0, &out));
	ASSERT_EQ(2, out.event_count);
	calls[0] = (void *)events;
	calls[1] = (void *)(events + calls[0]->event.size);
	EXPECT_EQ(UPCALL_CALL_FDS_LOST, calls[0]->flags & UPCALL_CALL_FDS_LOST);
	EXPECT_EQ(0, calls[0]->fd_count);
	/* The next one has fewer. */
	EXPECT_EQ(0, calls[1]->flags & UPCALL_CALL_FDS_LOST);
	ASSERT_EQ(2, calls[1]->fd_count);
	EXPECT_EQ(self->open + 1, open_fds());
	EXPECT_EQ(0, usage(self->caller).fds);
	close(*(int *)((char *)calls[1] + calls[1]->fds_offset));
	close(*(int *)((char *)calls[1] + calls[1]->fds_offset + 4));
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
	EXPECT_EQ(0, reply(self->owner, calls[0]->call, 0, NULL, 0));
	EXPECT_EQ(0, reply(self->owner, calls[1]->call, 0, NULL, 0));
}

TEST_F(fds, caller_without_room_for_them_gets_the_bytes_and_emfile)
{
	struct upcall_event_call call;
	struct upcall_command cmd;
	int fds[2] = { 77, 77 }, sent[2] = { self->writer, self->writer };
	struct async async;
	char back[8];

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(back), .reply_room = 8, .reply_max = 8,
		.reply_fds = ptr64(fds), .reply_fd_room = 2)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, bound_nofile(self->open + 1));
	cmd = COMMAND(REPLY, call.call, .data = ptr64("12345678"), .data_len = 8, .status = 5,
		      .fds = ptr64(sent), .fd_count = 2);
	ASSERT_EQ(0, command(self->owner, &cmd));
	EXPECT_EQ(-EMFILE, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
	EXPECT_EQ(0, async.args.reply_fd_count);
	EXPECT_EQ(8, async.args.reply_len);
	EXPECT_EQ(5, async.args.status);
	EXPECT_EQ(0, memcmp(back, "12345678", 8));
	EXPECT_EQ(0, async.args.call_id);
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(0, usage(self->caller).fds);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

/* --- how many are on their way ------------------------------------------------------------ */

TEST_F(fds, no_more_than_rlimit_nofile_are_on_their_way)
{
	union any_event event;
	int sent[8];

	fill_with(sent, 8, self->writer);
	ASSERT_EQ(0, bound_nofile(self->open + 8));
	ASSERT_GT(8 * 8, self->open + 8);
	while (usage(self->caller).fds + 8 <= (uint32_t)self->open + 8)
		ASSERT_EQ(0, send_fds(self->caller, self->handle, sent, 8));
	EXPECT_EQ(-EMFILE, send_fds(self->caller, self->handle, sent, 8));
	EXPECT_EQ(0, send_fds(self->caller, self->handle, sent,
			      self->open + 8 - usage(self->caller).fds));
	EXPECT_EQ(-EMFILE, send_fds(self->caller, self->handle, sent, 1));
	EXPECT_EQ(0, send_fds(self->caller, self->handle, sent, 0));
	/* One that arrives makes room at once. */
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(0, send_fds(self->caller, self->handle, sent, 8));
	EXPECT_EQ(-EMFILE, send_fds(self->caller, self->handle, sent, 1));
}

TEST_F(fds, call_that_is_refused_can_be_made_again_at_once)
{
	struct upcall_register reg = REGISTER_FDS_ARGS(.max_queued_calls = 1);
	int sent[MAX], i;

	fill_with(sent, MAX, self->writer);
	ASSERT_EQ(0, bound_nofile(MAX));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_EQ(0, notify(self->caller, reg.handle, NULL, 0));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(-EAGAIN, send_fds(self->caller, reg.handle, sent, MAX));
	EXPECT_EQ(0, usage(self->caller).fds);
}

/* --- faults ------------------------------------------------------------------------------ */

TEST_F(fds, numbers_that_cannot_be_written_put_the_call_back_with_its_files)
{
	char *pages = pages_alloc(2), *end = pages + PAGE;
	const uint32_t head = sizeof(struct upcall_event_call);
	union any_event event;
	int sent[3];

	fill_with(sent, 3, self->writer);
	ASSERT_EQ(0, send_fds(self->caller, self->handle, &self->reader, 1));
	ASSERT_EQ(0, send_fds(self->caller, self->handle, sent, 3));
	ASSERT_EQ(0, page_allow(end, PROT_NONE));
	/* those of the second event, from the first one on, and from the third one on */
	EXPECT_EQ(-EFAULT, receive(self->owner, end - 2 * head - 8, 2 * head + 24, 2, 0, NULL));
	EXPECT_EQ(-EFAULT, receive(self->owner, end - 2 * head - 16, 2 * head + 24, 2, 0, NULL));
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(4, usage(self->caller).fds);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).delivered);
	EXPECT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(1, event.call.fd_count);
	EXPECT_TRUE(same_file(self->reader, fds_of(&event)[0]));
	EXPECT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(3, event.call.fd_count);
	EXPECT_TRUE(same_file(self->writer, fds_of(&event)[2]));
	EXPECT_EQ(self->open + 4, open_fds());
}

TEST_F(fds, exchange_struct_that_cannot_be_written_leaves_no_descriptor_behind)
{
	struct upcall_exchange *args = (struct upcall_exchange *)pages_alloc(1);
	union any_event event;

	*args = EXCHANGE_ARGS(.events = ptr64(&event), .events_len = sizeof(event), .max_calls = 1);
	ASSERT_EQ(0, page_allow((char *)args, PROT_READ));
	ASSERT_EQ(0, send_fds(self->caller, self->handle, &self->writer, 1));
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, args));
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(1, usage(self->caller).fds);
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_TRUE(same_file(self->writer, fds_of(&event)[0]));
}

TEST_F(fds, unwritable_reply_fds_are_efault_and_lost)
{
	char *page = pages_alloc(1);
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply_fds = ptr64(page), .reply_fd_room = 1)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, page_allow(page, PROT_READ));
	ASSERT_EQ(0, reply_fds(self->owner, call.call, &self->writer, 1, NULL));
	EXPECT_EQ(-EFAULT, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
	EXPECT_EQ(0, async.args.reply_fd_count);
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(0, usage(self->caller).fds);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

/* INVOKE whose struct turns read-only once it was read. */
static void *invoke_at(void *arg)
{
	struct async *async = arg;

	async->ret = verb(async->fd, UPCALL_IOC_INVOKE, (void *)(uintptr_t)async->args.arg);
	return NULL;
}

TEST_F(fds, unwritable_invoke_struct_closes_what_came_with_the_reply)
{
	struct upcall_invoke *args = (struct upcall_invoke *)pages_alloc(1);
	struct async async = { .fd = self->caller };
	struct upcall_event_call call;
	int fd = -1;

	*args = INVOKE_ARGS(self->handle, .reply_fds = ptr64(&fd), .reply_fd_room = 1);
	async.args.arg = ptr64(args);
	ASSERT_EQ(0, pthread_create(&async.thread, NULL, invoke_at, &async));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, page_allow((char *)args, PROT_READ));
	ASSERT_EQ(0, reply_fds(self->owner, call.call, &self->writer, 1, NULL));
	EXPECT_EQ(-EFAULT, async_join(&async));
	EXPECT_EQ(self->open, open_fds());
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_HARNESS_MAIN
