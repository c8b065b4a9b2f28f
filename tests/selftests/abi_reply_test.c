// SPDX-License-Identifier: GPL-2.0-only
/* Replies that do not fit: kept for a caller who accepts them, or turned down to the owner. */
#include "abi_test.h"

FIXTURE(kept) {
	int owner;
	int caller;
	uint64_t handle;
	char *room;		/* a page, poisoned */
	struct upcall_event_call call;
	struct async async;	/* has ended with EMSGSIZE: 300 bytes are kept, room is 100 */
};

FIXTURE_SETUP(kept)
{
	char data[300];

	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	self->room = pages_alloc(1);
	memset(self->room, POISON, PAGE);
	fill(data, sizeof(data), 1);
	ASSERT_EQ(0, async_start(&self->async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(self->room), .reply_room = 100, .reply_max = 1000)));
	ASSERT_EQ(0, one_call(self->owner, &self->call));
	ASSERT_EQ(0, reply(self->owner, self->call.call, 17, data, sizeof(data)));
	ASSERT_EQ(-EMSGSIZE, async_join(&self->async));
}

FIXTURE_TEARDOWN(kept)
{
	close(self->owner);
	close(self->caller);
}

#define FETCH() ({							\
	poison_out(&self->async.args);					\
	verb(self->caller, UPCALL_IOC_INVOKE, &self->async.args);	\
})

TEST_F(kept, reply_beyond_the_room_is_emsgsize_and_kept)
{
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->async.args.stage);
	EXPECT_EQ(300, self->async.args.needed);
	EXPECT_NE(0, self->async.args.call_id);
	EXPECT_EQ(0, self->async.args.reply_len);
	EXPECT_EQ(self->call.seq, self->async.args.seq);
	EXPECT_TRUE(all_bytes(self->room, PAGE, POISON));
	/* For its owner it has ended. */
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(-ENOENT, reply(self->owner, self->call.call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(kept, kept_reply_is_fetched_with_more_room_once)
{
	uint64_t id = self->async.args.call_id;

	self->async.args.reply_room = 300;
	ASSERT_EQ(0, FETCH());
	EXPECT_EQ(300, self->async.args.reply_len);
	EXPECT_EQ(17, self->async.args.status);
	EXPECT_EQ(0, self->async.args.call_id);
	EXPECT_EQ(0, self->async.args.needed);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->async.args.stage);
	EXPECT_TRUE(filled(self->room, 300, 1));
	EXPECT_TRUE(all_bytes(self->room + 300, PAGE - 300, POISON));
	self->async.args.call_id = id;
	EXPECT_EQ(-ENOENT, FETCH());
	EXPECT_EQ(-ENOENT, cancel(self->caller, id));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).calls);
}

TEST_F(kept, fetched_with_too_little_room_it_stays)
{
	uint64_t id = self->async.args.call_id;
	int i;

	for (i = 0; i < 3; i++) {
		self->async.args.reply_room = 299;
		ASSERT_EQ(-EMSGSIZE, FETCH());
		EXPECT_EQ(id, self->async.args.call_id);
		EXPECT_EQ(300, self->async.args.needed);
		EXPECT_EQ(UPCALL_STAGE_REPLIED, self->async.args.stage);
		EXPECT_TRUE(all_bytes(self->room, PAGE, POISON));
	}
	self->async.args.reply_room = 301;
	EXPECT_EQ(0, FETCH());
	EXPECT_EQ(300, self->async.args.reply_len);
}

TEST_F(kept, fetching_ignores_target_argument_and_deadline_that_has_passed)
{
	self->async.args.target = NO_HANDLE;
	self->async.args.arg = 8;
	self->async.args.arg_len = 100;
	self->async.args.op = 99;
	self->async.args.flags = 0;
	self->async.args.deadline_ns = 1;
	self->async.args.reply_room = 300;
	EXPECT_EQ(0, FETCH());
	EXPECT_TRUE(filled(self->room, 300, 1));
}

TEST_F(kept, fetching_ignores_reply_max)
{
	self->async.args.reply_room = 300;
	self->async.args.reply_max = 0;
	EXPECT_EQ(0, FETCH());
	EXPECT_EQ(300, self->async.args.reply_len);
}

TEST_F(kept, fetching_ignores_members_that_do_not_belong_to_the_flags)
{
	self->async.args.reply_room = 300;
	self->async.args.signature = 5;
	self->async.args.arg_len = UPCALL_MAX_PAYLOAD + 1;
	EXPECT_EQ(0, FETCH());
	EXPECT_EQ(300, self->async.args.reply_len);
}

TEST_F(kept, cancel_drops_it)
{
	EXPECT_EQ(0, cancel(self->caller, self->async.args.call_id));
	EXPECT_EQ(-ENOENT, cancel(self->caller, self->async.args.call_id));
	EXPECT_EQ(-ENOENT, FETCH());
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(kept, its_id_is_of_one_peer_only)
{
	int other = peer_open();

	EXPECT_EQ(-ENOENT, cancel(other, self->async.args.call_id));
	EXPECT_EQ(-ENOENT, cancel(self->owner, self->async.args.call_id));
	EXPECT_EQ(-ENOENT, verb(other, UPCALL_IOC_INVOKE, &self->async.args));
	EXPECT_EQ(0, cancel(self->caller, self->async.args.call_id));
}

TEST_F(kept, quota_is_held_until_it_is_fetched_or_dropped)
{
	EXPECT_EQ(1, usage(self->caller).queued_calls);
	EXPECT_EQ(1000, usage(self->caller).queued_bytes);
	ASSERT_EQ(0, cancel(self->caller, self->async.args.call_id));
	EXPECT_EQ(0, usage(self->caller).queued_calls);
	EXPECT_EQ(0, usage(self->caller).queued_bytes);
}

TEST_F(kept, quota_is_given_back_when_it_is_fetched)
{
	self->async.args.reply_room = 1000;
	ASSERT_EQ(0, FETCH());
	EXPECT_EQ(0, usage(self->caller).queued_calls);
	EXPECT_EQ(0, usage(self->caller).queued_bytes);
}

TEST_F(kept, it_outlives_its_callback_and_its_owner)
{
	union any_event event;

	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	ASSERT_EQ(0, shut_down(self->owner));
	self->async.args.reply_room = 300;
	EXPECT_EQ(0, FETCH());
	EXPECT_TRUE(filled(self->room, 300, 1));
}

TEST_F(kept, shutdown_of_the_caller_gives_its_quota_back)
{
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(-ESHUTDOWN, FETCH());
	EXPECT_EQ(POISON32, self->async.args.stage);	/* it was REPLIED */
	EXPECT_TRUE(eventually(usage(self->owner).queued_calls == 0));
}

TEST_F(pair, reply_beyond_reply_max_is_emsgsize_to_the_owner_who_may_answer_shorter)
{
	struct upcall_command cmd;
	struct upcall_event_call call;
	struct async async;
	char data[101], back[100];

	fill(data, sizeof(data), 2);
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(back), .reply_room = 100, .reply_max = 100)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(100, call.reply_max);
	cmd = COMMAND(REPLY, call.call, .data = ptr64(data), .data_len = 101);
	EXPECT_EQ(-EMSGSIZE, command(self->owner, &cmd));
	EXPECT_EQ(100, cmd.needed);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_FALSE(async_done(&async));
	EXPECT_EQ(0, reply(self->owner, call.call, 0, data, 100));
	ASSERT_EQ(0, async_join(&async));
	EXPECT_EQ(100, async.args.reply_len);
	EXPECT_TRUE(filled(back, 100, 2));
}

TEST_F(pair, no_reply_bytes_are_accepted_by_reply_max_0)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(-EMSGSIZE, reply(self->owner, call.call, 0, "x", 1));
	EXPECT_EQ(0, reply(self->owner, call.call, 5, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(5, async.args.status);
}

TEST_F(pair, reply_of_the_whole_1_mib_may_be_kept)
{
	char *data = pages_alloc(256), *back = pages_alloc(256);
	struct upcall_event_call call;
	struct async async;

	fill(data, UPCALL_MAX_PAYLOAD, 3);
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply_max = UPCALL_MAX_PAYLOAD)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, data, UPCALL_MAX_PAYLOAD));
	ASSERT_EQ(-EMSGSIZE, async_join(&async));
	EXPECT_EQ(UPCALL_MAX_PAYLOAD, async.args.needed);
	async.args.reply = ptr64(back);
	async.args.reply_room = UPCALL_MAX_PAYLOAD;
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &async.args));
	EXPECT_TRUE(filled(back, UPCALL_MAX_PAYLOAD, 3));
}

TEST_F(pair, a_call_that_is_waited_for_is_ebusy_to_cancel)
{
	struct upcall_event_call call;
	struct async async;

	MODULE_ONLY("guesses an id");
	/* Its id is told only when the wait ends; this is the first one that a peer gives. */
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply_max = 100)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(-EBUSY, cancel(self->caller, 1ULL << 32 | 1));
	EXPECT_FALSE(async_done(&async));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_HARNESS_MAIN
