// SPDX-License-Identifier: GPL-2.0-only
/* Every way to call, once from end to end: what the other tests take apart. */
#include "abi_call.h"

FIXTURE(ways) {
	int owner, caller;
	uint64_t handle;
};

FIXTURE_SETUP(ways)
{
	self->owner = peer_open();
	self->caller = peer_open();
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(ways)
{
	close(self->caller);
	close(self->owner);
}

TEST_F(ways, asynchronous_call_is_answered_by_one_result)
{
	struct upcall_command cmd = CALL(self->handle, .user_data = 77, .reply_max = 64,
					 .data = ptr64("hello"), .data_len = 5, .status = 9);
	struct upcall_event_call call;
	struct seen seen;

	ASSERT_EQ(0, command(self->caller, &cmd));
	EXPECT_NE(0, cmd.call_id);
	EXPECT_TRUE(no_event(self->caller));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(9, call.op);
	EXPECT_EQ(1, call.depth);
	ASSERT_EQ(0, reply(self->owner, call.call, 3, "hi", 2));
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->caller, NULL, 0, 0, 0, &seen));
	EXPECT_EQ(77, seen.event.event.cookie);
	EXPECT_EQ(self->handle, seen.event.event.handle);
	EXPECT_EQ(cmd.call_id, seen.event.result.call_id);
	EXPECT_EQ(0, seen.event.result.error);
	EXPECT_EQ(3, seen.event.result.status);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, seen.event.result.stage);
	EXPECT_EQ(2, seen.event.result.payload_len);
	EXPECT_EQ(0, memcmp((char *)&seen.event + seen.event.result.payload_offset, "hi", 2));
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(ways, deadline_of_an_asynchronous_call_is_kept_by_the_kernel)
{
	struct upcall_command cmd = COMMAND(CALL, self->handle);
	struct upcall_event_call call;
	struct seen seen;

	ASSERT_EQ(0, command_in_time(self->caller, &cmd));
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->caller, NULL, 0, 0, 0, &seen));
	EXPECT_EQ(ETIMEDOUT, seen.event.result.error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, seen.event.result.stage);
	cmd.deadline_ns = in_ms(2 * A_MOMENT_MS);
	ASSERT_EQ(0, command(self->caller, &cmd));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->caller, NULL, 0, 0, 0, &seen));
	EXPECT_EQ(ETIMEDOUT, seen.event.result.error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, seen.event.result.stage);
	ASSERT_EQ(UPCALL_EVENT_CANCEL, exchange_one(self->owner, NULL, 0, 0, 0, &seen));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(ways, cancelled_call_has_its_result)
{
	struct upcall_command cmd = CALL(self->handle), undo;
	struct upcall_event_call call;
	struct seen seen;

	ASSERT_EQ(0, command(self->caller, &cmd));
	undo = COMMAND(CANCEL, cmd.call_id);
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->caller, &undo, 0, 0, 0, &seen));
	EXPECT_EQ(ECANCELED, seen.event.result.error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, seen.event.result.stage);
	EXPECT_EQ(-ENOENT, command(self->caller, &undo));
	EXPECT_TRUE(no_event(self->owner));
	ASSERT_EQ(0, command(self->caller, &cmd));
	ASSERT_EQ(0, one_call(self->owner, &call));
	undo = COMMAND(CANCEL, cmd.call_id);
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->caller, &undo, 0, 0, 0, &seen));
	EXPECT_EQ(ECANCELED, seen.event.result.error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, seen.event.result.stage);
}

/* The other side of a game of ping-pong: one thread, which calls back until @depth. */
struct player {
	int fd;
	uint64_t other;		/* the handle that it calls */
	uint32_t deepest;
	int failed;
	pthread_t thread;
};

/* Runs a call: calls back with what is left, and waits for that in its chain. */
static void play(struct player *player, struct upcall_event_call call)
{
	struct upcall_command back, reply;
	struct seen seen;
	int type;

	if (call.depth > player->deepest)
		player->deepest = call.depth;
	if (call.op) {
		back = CALL(player->other, .status = call.op - 1, .parent = call.call);
		type = exchange_one(player->fd, &back, 0, UPCALL_EXCHANGE_WAIT_COMMAND, 1, &seen);
		while (type == UPCALL_EVENT_CALL) {
			play(player, seen.event.call);
			type = exchange_one(player->fd, NULL, back.call_id, 0, 1, &seen);
		}
		if (type != UPCALL_EVENT_RESULT || seen.event.result.error)
			player->failed = __LINE__;
	}
	reply = COMMAND(REPLY, call.call);
	if (command(player->fd, &reply))
		player->failed = __LINE__;
}

static void *player_main(void *arg)
{
	struct player *player = arg;
	struct upcall_event_call call;

	while (!next_call(player->fd, &call))
		play(player, call);
	return NULL;
}

TEST_F(ways, calls_go_back_and_forth_with_one_thread_on_each_side)
{
	struct player here = { .fd = self->caller }, there = { .fd = self->owner };
	struct upcall_command cmd;
	struct seen seen;
	int type;

	here.other = self->handle;
	there.other = register_new(self->caller, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(0, pthread_create(&there.thread, NULL, player_main, &there));
	cmd = CALL(self->handle, .status = UPCALL_MAX_NESTING - 1);
	type = exchange_one(self->caller, &cmd, 0, UPCALL_EXCHANGE_WAIT_COMMAND, 1, &seen);
	while (type == UPCALL_EVENT_CALL) {
		play(&here, seen.event.call);
		type = exchange_one(self->caller, NULL, cmd.call_id, 0, 1, &seen);
	}
	EXPECT_EQ(UPCALL_EVENT_RESULT, type);
	EXPECT_EQ(0, seen.event.result.error);
	EXPECT_EQ(0, here.failed);
	EXPECT_EQ(0, there.failed);
	EXPECT_EQ(UPCALL_MAX_NESTING, here.deepest > there.deepest ? here.deepest : there.deepest);
	shut_down(self->owner);
	pthread_join(there.thread, NULL);
}

TEST_F(ways, nested_call_that_does_not_fit_keeps_no_result_back)
{
	uint64_t back = register_new(self->caller, COOKIE, UPCALL_ACCESS_SAME_USER);
	struct upcall_event_result event;
	struct upcall_exchange args = EXCHANGE_ARGS(.events = ptr64(&event),
		.events_len = sizeof(event), .max_calls = 1);
	struct upcall_event_call call;
	struct upcall_command cmd;
	char data[1000] = "";

	args.wait_call = call_id_of(self->caller, self->handle, 1);
	ASSERT_EQ(0, one_call(self->owner, &call));
	cmd = CALL(back, .parent = call.call, .data = ptr64(data), .data_len = sizeof(data));
	ASSERT_EQ(0, command(self->owner, &cmd));
	EXPECT_EQ(-EMSGSIZE, verb(self->caller, UPCALL_IOC_EXCHANGE, &args));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(1, args.event_count);
	EXPECT_EQ(UPCALL_EVENT_RESULT, event.event.type);
	EXPECT_EQ(args.wait_call, event.call_id);
}

TEST_F(ways, cancel_of_the_call_it_is_nested_in_reaches_the_thread_that_waits)
{
	uint64_t deaf = register_new(self->caller, COOKIE, UPCALL_ACCESS_SAME_USER);
	struct upcall_command outer = CALL(self->handle), inner, undo;
	struct upcall_event_call call;
	struct seen seen;

	ASSERT_EQ(0, command(self->caller, &outer));
	ASSERT_EQ(0, one_call(self->owner, &call));
	inner = CALL(deaf, .parent = call.call, .user_data = 5);
	ASSERT_EQ(0, command(self->owner, &inner));
	undo = COMMAND(CANCEL, outer.call_id);
	ASSERT_EQ(0, command(self->caller, &undo));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, exchange_one(self->owner, NULL, inner.call_id, 0, 1, &seen));
	EXPECT_EQ(call.call, seen.event.cancel.call);
	undo = COMMAND(CANCEL, inner.call_id);
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->owner, &undo, inner.call_id, 0, 1, &seen));
	EXPECT_EQ(ECANCELED, seen.event.result.error);
	EXPECT_EQ(5, seen.event.event.cookie);
}

TEST_F(ways, serial_callback_runs_one_call_at_a_time)
{
	struct upcall_register reg = REGISTER_ARGS(.flags = UPCALL_REGISTER_SERIAL);
	struct upcall_event_call first, second;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_EQ(0, notify(self->caller, reg.handle, "1", 1));
	ASSERT_EQ(0, notify(self->caller, reg.handle, "2", 1));
	ASSERT_EQ(0, one_call(self->owner, &first));
	EXPECT_TRUE(no_event(self->owner));
	ASSERT_EQ(0, reply(self->owner, first.call, 0, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &second));
	EXPECT_EQ(first.seq + 1, second.seq);
}

TEST_F(ways, notification_that_ends_by_itself_is_owed_nothing)
{
	struct upcall_register reg = REGISTER_ARGS(.flags = UPCALL_REGISTER_AUTOEND);
	struct upcall_event_call call;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_EQ(0, notify(self->caller, reg.handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_TRUE(call.flags & UPCALL_CALL_ENDED);
	EXPECT_EQ(0, stat_of(self->owner, reg.handle).running);
	EXPECT_EQ(1, stat_of(self->owner, reg.handle).delivered);
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(ways, latest_notification_takes_the_place_of_the_one_before)
{
	struct upcall_command cmd = COMMAND(NOTIFY, self->handle,
		.flags = UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_LATEST);
	struct upcall_event_call call;
	int i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, command(self->caller, &cmd));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(4, call.dropped);
	EXPECT_EQ(5, call.seq);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(ways, deadlock_that_is_certain_is_edeadlk)
{
	struct upcall_config config = { .size = sizeof(config), .flags = UPCALL_CONFIG_ONE_THREAD };
	uint64_t back = register_new(self->caller, COOKIE, UPCALL_ACCESS_SAME_USER);
	struct upcall_event_call call;
	struct upcall_command cmd;
	struct async async;

	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_CONFIG, &config));
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	cmd = CALL(back, .parent = call.call);
	EXPECT_EQ(-EDEADLK, command(self->owner, &cmd));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmd.stage);
	cmd = CALL(back);
	EXPECT_EQ(0, command(self->owner, &cmd));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

/* A thread that receives whatever there is. */
struct receiver {
	int fd, type;
	union any_event event;
	pthread_t thread;
};

static void *receiver_main(void *arg)
{
	struct receiver *receiver = arg;

	receiver->type = receive(receiver->fd, &receiver->event, sizeof(receiver->event), 0, 0, NULL);
	if (!receiver->type)
		receiver->type = (int)receiver->event.event.type;
	return NULL;
}

static void *replier_main(void *arg)
{
	struct upcall_event_call call;
	char text[64] = { 0 };
	int fd = *(int *)arg;

	if (!one_call(fd, &call))
		reply(fd, call.call, 0, text, sizeof(text));
	return NULL;
}

/* Whether one of our peers has so many threads that wait. */
static bool receivers_are(int fd, uint32_t n)
{
	struct upcall_list_peer peers[64];
	int i, count = list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), LENGTH(peers));

	for (i = 0; i < count; i++) {
		if (peers[i].receivers == n)
			return true;
	}
	return false;
}

TEST_F(ways, result_that_its_waiter_cannot_take_goes_to_a_thread_that_waits_already)
{
	struct upcall_command cmd = CALL(self->handle, .user_data = 6, .reply_max = 64);
	struct receiver other = { .fd = self->caller };
	struct upcall_exchange wait;
	pthread_t replier;
	char room[sizeof(struct upcall_event_result)] __attribute__((aligned(8)));

	ASSERT_EQ(0, pthread_create(&other.thread, NULL, receiver_main, &other));
	ASSERT_TRUE(eventually(receivers_are(self->owner, 1)));
	ASSERT_EQ(0, pthread_create(&replier, NULL, replier_main, &self->owner));
	/* From its very beginning the call is waited for by this thread, which has no room. */
	wait = EXCHANGE_ARGS(.commands = ptr64(&cmd), .command_count = 1,
			     .events = ptr64(room), .events_len = sizeof(room));
	wait.flags |= UPCALL_EXCHANGE_WAIT_COMMAND;
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_EXCHANGE, &wait));
	EXPECT_EQ(EMSGSIZE, wait.wait_error);
	EXPECT_EQ(sizeof(room) + 64, wait.needed);
	pthread_join(replier, NULL);
	pthread_join(other.thread, NULL);
	EXPECT_EQ(UPCALL_EVENT_RESULT, other.type);
	EXPECT_EQ(6, other.event.event.cookie);
}

TEST_HARNESS_MAIN
