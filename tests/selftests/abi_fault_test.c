// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault at every copy: what has happened then is what the header promises, and the same call
 * succeeds once the memory is there.
 */
#include "abi_test.h"

FIXTURE(fault) {
	int owner;
	int caller;
	uint64_t handle;
	char *pages;		/* the second of three cannot be touched at all */
	char *end;		/* where it begins */
};

FIXTURE_SETUP(fault)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	self->pages = pages_alloc(3);
	self->end = self->pages + PAGE;
	ASSERT_EQ(0, page_allow(self->end, PROT_NONE));
}

FIXTURE_TEARDOWN(fault)
{
	close(self->owner);
	close(self->caller);
}

#define MEND() ASSERT_EQ(0, page_allow(self->end, PROT_READ | PROT_WRITE))

TEST_F(fault, unreadable_argument_is_efault_and_nothing_is_queued)
{
	static const uint32_t lens[] = { 1, 100, 128, 129, 4096, 8000 };
	struct upcall_invoke args;
	size_t i;

	for (i = 0; i < LENGTH(lens); i++) {
		/* its last byte, or all but its first one */
		uint32_t before = i % 2 || lens[i] > PAGE ? 1 : lens[i] - 1;

		args = INVOKE_ARGS(self->handle, .arg = ptr64(self->end - before),
				   .arg_len = lens[i]);
		poison_out(&args);
		EXPECT_EQ(-EFAULT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
		EXPECT_EQ(0, args.seq);
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
	EXPECT_EQ(0, usage(self->owner).queued_calls);
	EXPECT_EQ(0, usage(self->owner).queued_bytes);
	MEND();
	args.flags |= UPCALL_INVOKE_ONEWAY;
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
}

TEST_F(fault, unwritable_reply_buffer_is_efault_replied_and_the_reply_is_lost)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(self->end - 10), .reply_room = 200, .reply_max = 300)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	/* The owner does not notice. */
	ASSERT_EQ(0, reply(self->owner, call.call, 0, self->pages, 200));
	EXPECT_EQ(-EFAULT, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
	EXPECT_EQ(0, async.args.reply_len);
	EXPECT_EQ(0, async.args.call_id);
	EXPECT_EQ(0, usage(self->owner).queued_calls);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
}

TEST_F(fault, reply_that_fits_before_the_fault_is_written)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(self->end - 10), .reply_room = 200, .reply_max = 200)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, "0123456789", 10));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(0, memcmp("0123456789", self->end - 10, 10));
}

/* INVOKE whose struct turns read-only once it was read. */
static void *invoke_at(void *arg)
{
	struct async *async = arg;

	async->ret = verb(async->fd, UPCALL_IOC_INVOKE, (void *)(uintptr_t)async->args.arg);
	return NULL;
}

TEST_F(fault, unwritable_invoke_struct_is_efault_and_stage_stays_unknown)
{
	struct upcall_invoke *args = (struct upcall_invoke *)self->pages;
	struct async async = { .fd = self->caller };
	struct upcall_event_call call;

	*args = INVOKE_ARGS(self->handle, .reply_max = 8, .reply = ptr64(self->end));
	async.args.arg = ptr64(args);
	ASSERT_EQ(0, pthread_create(&async.thread, NULL, invoke_at, &async));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, page_allow(self->pages, PROT_READ));
	/* It would be kept, but its id cannot be told. */
	ASSERT_EQ(0, reply(self->owner, call.call, 0, "12345678", 8));
	EXPECT_EQ(-EFAULT, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_UNKNOWN, args->stage);
	EXPECT_EQ(0, args->call_id);
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_F(fault, unreadable_reply_data_is_efault_and_the_call_still_open)
{
	static const uint32_t lens[] = { 2, 128, 129, 4096, 8000 };
	struct upcall_event_call call;
	struct async async;
	char back[10];
	size_t i;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(back), .reply_room = 10, .reply_max = 8000)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	for (i = 0; i < LENGTH(lens); i++)
		EXPECT_EQ(-EFAULT, reply(self->owner, call.call, 0, self->end - 1, lens[i]));
	EXPECT_FALSE(async_done(&async));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	MEND();
	memcpy(self->end - 1, "abcdefghij", 10);
	EXPECT_EQ(0, reply(self->owner, call.call, 0, self->end - 1, 10));
	ASSERT_EQ(0, async_join(&async));
	EXPECT_EQ(0, memcmp("abcdefghij", back, 10));
}

/* Queues @count notifications, op 0 and up, each an event of 104 + 24 bytes. */
static int notify_some(int fd, uint64_t handle, int count)
{
	char arg[24] = { 0 };
	int i, err = 0;

	for (i = 0; i < count && !err; i++) {
		struct upcall_invoke args = INVOKE_ARGS(handle, .arg = ptr64(arg),
							.arg_len = sizeof(arg), .op = i);

		args.flags |= UPCALL_INVOKE_ONEWAY;
		err = verb(fd, UPCALL_IOC_INVOKE, &args);
	}
	return err;
}

TEST_F(fault, fault_on_copy_out_keeps_the_events_in_order)
{
	const uint32_t size = sizeof(struct upcall_event_call) + 24;
	/* Into the head of each event, and into its payload. */
	static const uint32_t into[] = { 0, 8, 103, 104, 127 };
	struct upcall_exchange out;
	struct upcall_stat stat;
	size_t i, n;

	ASSERT_EQ(0, notify_some(self->caller, self->handle, 5));
	for (n = 0; n < 5; n++) {
		for (i = 0; i < LENGTH(into); i++) {
			char *to = self->end - ((n * size + into[i]) & ~7U);

			EXPECT_EQ(-EFAULT, receive(self->owner, to, 5 * size, 5, 0, NULL));
		}
	}
	stat = stat_of(self->owner, self->handle);
	EXPECT_EQ(5, stat.queued);
	EXPECT_EQ(5 * 24, stat.queued_bytes);
	EXPECT_EQ(0, stat.delivered);
	EXPECT_EQ(0, stat.running);
	MEND();
	ASSERT_EQ(0, receive(self->owner, self->end, 5 * size, 5, 0, &out));
	ASSERT_EQ(5, out.event_count);
	for (n = 0; n < 5; n++) {
		struct upcall_event_call *call = (void *)(self->end + n * size);

		EXPECT_EQ(n, call->op);
		EXPECT_EQ(n + 1, call->seq);
		EXPECT_EQ(0, reply(self->owner, call->call, 0, NULL, 0));
	}
}

TEST_F(fault, events_put_back_come_before_those_that_were_queued_behind)
{
	struct upcall_event_call call;
	int i;

	ASSERT_EQ(0, notify_some(self->caller, self->handle, 3));
	EXPECT_EQ(-EFAULT, receive(self->owner, self->end - 8, 1000, 2, 0, NULL));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(i, (int)call.op);
	}
}

TEST_F(fault, fault_keeps_released_and_cancel_too)
{
	uint64_t second = register_new(self->owner, 5, UPCALL_ACCESS_SAME_USER);
	struct upcall_event_call call;
	union any_event event;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	ASSERT_EQ(-ECANCELED, async_join(&async));
	ASSERT_EQ(0, release(self->owner, second, 0));
	EXPECT_EQ(-EFAULT, receive(self->owner, self->end - 8, 200, 1, 0, NULL));
	EXPECT_EQ(-EFAULT, receive(self->owner, self->end - 48, 200, 1, 0, NULL));
	EXPECT_EQ(UPCALL_STATE_CLOSING, stat_of(self->owner, second).state);
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(call.call, event.cancel.call);
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(second, event.event.handle);
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(fault, read_only_exchange_header_puts_the_batch_back)
{
	struct upcall_exchange *args = (struct upcall_exchange *)self->pages;
	char events[512] __attribute__((aligned(8)));
	struct upcall_event_call call;

	ASSERT_EQ(0, notify_some(self->caller, self->handle, 2));
	*args = EXCHANGE_ARGS(.events = ptr64(events), .events_len = sizeof(events),
			      .max_calls = 2);
	ASSERT_EQ(0, page_allow(self->pages, PROT_READ));
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, args));
	EXPECT_EQ(2, stat_of(self->owner, self->handle).queued);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).delivered);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, call.op);
	ASSERT_EQ(0, page_allow(self->pages, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_EXCHANGE, args));
	EXPECT_EQ(1, args->event_count);
}

TEST_F(fault, unreadable_command_stops_there_and_those_before_were_carried_out)
{
	struct upcall_command *cmds = (void *)(self->end - 2 * sizeof(*cmds));
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
						    .command_count = 4);

	cmds[0] = COMMAND(REBIND, self->handle, .user_data = 1);
	cmds[1] = COMMAND(REBIND, self->handle, .user_data = 2);
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(2, stat_of(self->owner, self->handle).cookie);
	args.commands = 8;
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	args.commands = ptr64(cmds);
	args.command_count = 2;
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
}

TEST_F(fault, unwritable_command_is_not_carried_out_nor_are_those_behind)
{
	struct upcall_command *cmds = (struct upcall_command *)self->pages;
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
						    .command_count = 2);
	uint64_t before;

	cmds[0] = COMMAND(REBIND, self->handle, .user_data = 1);
	cmds[1] = COMMAND(REBIND, self->handle, .user_data = 2);
	ASSERT_EQ(0, page_allow(self->pages, PROT_READ));
	before = stat_of(self->owner, self->handle).cookie;
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(before, stat_of(self->owner, self->handle).cookie);
}

TEST_F(fault, events_that_cannot_be_written_leave_all_commands_carried_out)
{
	struct upcall_command cmd = COMMAND(REBIND, self->handle, .user_data = 1);
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(&cmd),
		.command_count = 1, .events = ptr64(self->end), .events_len = PAGE,
		.max_calls = 1);

	ASSERT_EQ(0, notify_some(self->caller, self->handle, 1));
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).cookie);
	EXPECT_EQ(0, cmd.error);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
	MEND();
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(1, args.event_count);
}

TEST_F(fault, unwritable_list_buffer_is_efault_and_the_cursor_stays)
{
	struct upcall_list args = { .size = sizeof(args), .what = UPCALL_LIST_CALLBACKS,
		.record_size = 112, .buffer = ptr64(self->end - 112 - 8), .buffer_len = 1120 };
	uint32_t count = POISON32;

	ASSERT_NE(0, register_new(self->owner, 0, UPCALL_ACCESS_SAME_USER));
	args.count = count;
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_LIST, &args));
	EXPECT_EQ(0, args.cursor);
	EXPECT_EQ(count, args.count);
	/* zeros behind the record are written, too */
	args.record_size = 120 + 8;
	args.buffer = ptr64(self->end - 120);
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_LIST, &args));
	MEND();
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_LIST, &args));
	EXPECT_EQ(2, args.count);
}

TEST_F(fault, unwritable_stat_is_efault_and_succeeds_when_repeated)
{
	struct upcall_stat *stat = (void *)(self->end - sizeof(*stat));

	*stat = (struct upcall_stat){ .size = sizeof(*stat), .handle = self->handle };
	ASSERT_EQ(0, page_allow(self->pages, PROT_READ));
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_STAT, stat));
	EXPECT_EQ(0, stat->state);
	ASSERT_EQ(0, page_allow(self->pages, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_STAT, stat));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat->state);
}

TEST_HARNESS_MAIN
