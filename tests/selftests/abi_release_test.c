// SPDX-License-Identifier: GPL-2.0-only
/* The end of a callback: RELEASE, ABORT, SHUTDOWN; what RELEASED promises, and what is left. */
#include "abi_test.h"

static int rebind(int fd, uint64_t handle, uint32_t flags, uint64_t cookie, uint64_t word)
{
	struct upcall_rebind args = { .size = sizeof(args), .handle = handle, .flags = flags,
				      .cookie = cookie, .word = word };

	return verb(fd, UPCALL_IOC_REBIND, &args);
}

static int release_word(int fd, uint64_t handle, uint32_t flags, uint64_t word)
{
	struct upcall_release args = { .size = sizeof(args), .handle = handle, .flags = flags,
				       .word = word };

	return verb(fd, UPCALL_IOC_RELEASE, &args);
}

TEST_F(pair, release_fails_queued_calls_with_estale_not_delivered)
{
	union any_event event;
	struct async async[3];
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, async_start(&async[i], self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 3));
	ASSERT_EQ(0, release_word(self->owner, self->handle, UPCALL_RELEASE_WORD, 42));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-ESTALE, async_join(&async[i]));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, async[i].args.stage);
		EXPECT_EQ(UPCALL_REASON_RELEASED, async[i].args.reason);
		EXPECT_EQ(42, async[i].args.word);
		EXPECT_EQ(0, async[i].args.call_id);
		EXPECT_EQ(0, async[i].args.queued_ns);
	}
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_F(pair, release_while_a_call_runs_lets_it_finish)
{
	struct upcall_event_call call;
	union any_event event;
	struct async async;
	char back[8];

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(back), .reply_room = 8, .reply_max = 8)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(UPCALL_STATE_CLOSING, stat_of(self->caller, self->handle).state);
	EXPECT_EQ(-ESTALE, notify(self->caller, self->handle, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, reply(self->owner, call.call, 1, "finished", 8));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(8, async.args.reply_len);
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(sizeof(event.event), event.event.size);
	EXPECT_EQ(COOKIE, event.event.cookie);
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, abort_fails_delivered_calls_with_ecanceled_and_tells_the_owner)
{
	struct upcall_event_call call[2];
	struct async async[2];
	union any_event event;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, async_start(&async[i], self->caller, INVOKE_ARGS(self->handle)));
		ASSERT_EQ(0, one_call(self->owner, &call[i]));
	}
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-ECANCELED, async_join(&async[i]));
		EXPECT_EQ(UPCALL_STAGE_DELIVERED, async[i].args.stage);
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
		EXPECT_EQ(ECANCELED, event.cancel.error);
		EXPECT_TRUE(event.cancel.call == call[0].call ||
			    event.cancel.call == call[1].call);
	}
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(-ENOENT, reply(self->owner, call[0].call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(-ENOENT, refuse(self->owner, call[1].call, EIO));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(UPCALL_REASON_ABORTED, stat_of(self->caller, self->handle).reason);
}

TEST_F(pair, abort_fails_queued_calls_as_close_does)
{
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(-ESTALE, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, async.args.stage);
	EXPECT_EQ(UPCALL_REASON_ABORTED, async.args.reason);
}

TEST_F(pair, abort_after_close_fails_what_close_let_run)
{
	struct upcall_event_call call;
	union any_event event;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_FALSE(async_done(&async));
	EXPECT_EQ(-ESTALE, release(self->owner, self->handle, 0));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(-ECANCELED, async_join(&async));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
}

TEST_F(pair, abort_after_close_sets_another_word)
{
	struct upcall_event_call call;
	union any_event event;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, release_word(self->owner, self->handle, UPCALL_RELEASE_WORD, 42));
	EXPECT_EQ(42, stat_of(self->caller, self->handle).word);
	ASSERT_EQ(0, release_word(self->owner, self->handle,
				  UPCALL_RELEASE_ABORT | UPCALL_RELEASE_WORD, 77));
	EXPECT_EQ(77, stat_of(self->caller, self->handle).word);
	EXPECT_EQ(-ECANCELED, async_join(&async));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(77, stat_of(self->caller, self->handle).word);
	EXPECT_EQ(UPCALL_STATE_DEAD, stat_of(self->caller, self->handle).state);
}

TEST_F(pair, release_twice_is_estale)
{
	union any_event event;

	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(-ESTALE, release(self->owner, self->handle, 0));
	EXPECT_EQ(-ESTALE, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(-ESTALE, release(self->owner, self->handle, 0));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, release_of_anothers_callback_is_eperm)
{
	/* without ABORT even for an administrator */
	EXPECT_EQ(-EPERM, release(self->caller, self->handle, 0));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, self->handle).state);
}

static int abort_as_nobody(void *arg)
{
	uint64_t *handle = arg;

	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	return -release(peer_open(), *handle, UPCALL_RELEASE_ABORT);
}

TEST_F(pair, administrator_may_abort_and_it_is_revoked)
{
	union any_event event;

	MODULE_ONLY("another process");
	EXPECT_EQ(EPERM, WEXITSTATUS(reap(spawn(abort_as_nobody, &self->handle))));
	EXPECT_EQ(-EINVAL, release_word(self->caller, self->handle,
		UPCALL_RELEASE_ABORT | UPCALL_RELEASE_WORD, 1));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, self->handle).state);
	ASSERT_EQ(0, release(self->caller, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(UPCALL_REASON_REVOKED, stat_of(self->caller, self->handle).reason);
}

TEST_F(pair, word_of_register_rebind_or_release_is_left_behind)
{
	struct upcall_register reg = REGISTER_ARGS(.word = 1);
	uint64_t handles[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
		handles[i] = reg.handle;
		if (i > 0)
			ASSERT_EQ(0, rebind(self->owner, reg.handle, UPCALL_REBIND_WORD, 0, 2));
	}
	/* REBIND without its flag leaves it alone */
	ASSERT_EQ(0, rebind(self->owner, handles[0], 0, 7, 0));
	EXPECT_EQ(0, release(self->owner, handles[0], 0));
	EXPECT_EQ(0, release(self->owner, handles[1], 0));
	EXPECT_EQ(0, release_word(self->owner, handles[2], UPCALL_RELEASE_WORD, 3));
	for (i = 0; i < 3; i++) {
		struct upcall_invoke args = INVOKE_ARGS(handles[i]);

		EXPECT_EQ(i + 1, (int)stat_of(self->caller, handles[i]).word);
		EXPECT_EQ(-ESTALE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		EXPECT_EQ(i + 1, (int)args.word);
	}
	EXPECT_EQ(-EINVAL, release_word(self->owner, self->handle, 0, 1));
	EXPECT_EQ(-EINVAL, rebind(self->owner, self->handle, 0, 0, 1));
}

TEST_F(pair, rebind_changes_the_cookie_of_what_is_delivered_later)
{
	struct upcall_event_call call;
	union any_event event;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, rebind(self->owner, self->handle, 0, 77, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(77, call.event.cookie);
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(-ESTALE, rebind(self->owner, self->handle, 0, 78, 0));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(77, event.event.cookie);
	EXPECT_EQ(-ESTALE, rebind(self->owner, self->handle, 0, 78, 0));
}

TEST_F(pair, rebind_of_anothers_callback_is_eperm)
{
	EXPECT_EQ(-EPERM, rebind(self->caller, self->handle, 0, 1, 0));
	EXPECT_EQ(-EPERM, rebind(self->caller, self->handle, UPCALL_REBIND_WORD, 1, 1));
	EXPECT_EQ(COOKIE, stat_of(self->owner, self->handle).cookie);
}

TEST_F(pair, forged_handles_are_estale_everywhere)
{
	const uint64_t forged[] = {
		0, 1, NO_HANDLE, ~0ULL, 1ULL << 53, UPCALL_MAX_HANDLE, UPCALL_MAX_HANDLE + 1,
		self->handle + (1ULL << 22), self->handle + 1,
		self->handle | 1ULL << 53, self->handle | 1ULL << 63, self->handle ^ 1ULL << 40,
	};
	struct upcall_stat stat;
	size_t i;

	for (i = 0; i < LENGTH(forged); i++) {
		stat = (struct upcall_stat){ .size = sizeof(stat), .handle = forged[i] };
		EXPECT_EQ(-ESTALE, notify(self->caller, forged[i], NULL, 0))
			TH_LOG("case %zu", i);
		EXPECT_EQ(-ESTALE, release(self->owner, forged[i], 0));
		EXPECT_EQ(-ESTALE, release(self->owner, forged[i], UPCALL_RELEASE_ABORT));
		EXPECT_EQ(-ESTALE, rebind(self->owner, forged[i], 0, 1, 0));
		EXPECT_EQ(-ESTALE, verb(self->owner, UPCALL_IOC_STAT, &stat))
			TH_LOG("case %zu", i);
	}
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, self->handle).state);
}

TEST_F(pair, handle_of_an_earlier_generation_never_reaches_a_later_one)
{
	uint64_t earlier = self->handle - (1ULL << 22);
	struct upcall_stat stat = { .size = sizeof(stat), .handle = earlier };

	EXPECT_EQ(-ESTALE, notify(self->caller, earlier, NULL, 0));
	EXPECT_EQ(-ESTALE, release(self->owner, earlier, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(-ESTALE, rebind(self->owner, earlier, 0, 1, 0));
	/* another test may have had it: then it is dead */
	if (!verb(self->owner, UPCALL_IOC_STAT, &stat))
		EXPECT_EQ(UPCALL_STATE_DEAD, stat.state);
	EXPECT_EQ(COOKIE, stat_of(self->owner, self->handle).cookie);
}

TEST_F(pair, stat_says_what_became_of_it)
{
	struct upcall_event_call call;
	struct upcall_stat stat;
	union any_event event;
	uint64_t before;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->caller, self->handle).state);
	before = now_ns();
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	stat = stat_of(self->caller, self->handle);
	EXPECT_EQ(UPCALL_STATE_CLOSING, stat.state);
	EXPECT_EQ(UPCALL_REASON_RELEASED, stat.reason);
	EXPECT_LE(before, stat.died_ns);
	EXPECT_GE(now_ns(), stat.died_ns);
	EXPECT_EQ(getpid(), (pid_t)stat.pid);
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	before = stat.died_ns;
	stat = stat_of(self->caller, self->handle);
	EXPECT_EQ(UPCALL_STATE_DEAD, stat.state);
	EXPECT_EQ(UPCALL_REASON_RELEASED, stat.reason);
	EXPECT_EQ(before, stat.died_ns);
	EXPECT_EQ(0, stat.exit_status);
	EXPECT_EQ(0, stat.owned);
	EXPECT_EQ(0, stat.pid);
	EXPECT_EQ(0, stat.cookie);
}

TEST_F_TIMEOUT(pair, record_that_was_forgotten_is_dead_for_an_unknown_reason, 120)
{
	struct upcall_stat stat;
	union any_event event;
	uint64_t handle;
	int i;

	MODULE_ONLY("forgets nothing");
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	for (i = 0; i < 20000; i++) {
		handle = register_new(self->owner, 0, UPCALL_ACCESS_SAME_USER);
		ASSERT_NE(0, handle);
		ASSERT_EQ(0, release(self->owner, handle, 0));
		ASSERT_EQ(0, receive(self->owner, &event, sizeof(event), 0, 0, NULL));
	}
	stat = stat_of(self->caller, self->handle);
	EXPECT_EQ(UPCALL_STATE_DEAD, stat.state);
	EXPECT_EQ(UPCALL_REASON_UNKNOWN, stat.reason);
	EXPECT_EQ(-ESTALE, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(UPCALL_REASON_RELEASED, stat_of(self->caller, handle).reason);
}

TEST_F(pair, callbacks_of_a_closed_peer_are_dead)
{
	close(self->owner);
	EXPECT_TRUE(eventually(stat_of(self->caller, self->handle).state == UPCALL_STATE_DEAD));
	EXPECT_EQ(UPCALL_REASON_CLOSED, stat_of(self->caller, self->handle).reason);
	self->owner = peer_open();
	EXPECT_EQ(-ESTALE, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(-ESTALE, release(self->owner, self->handle, 0));
	EXPECT_EQ(-ESTALE, rebind(self->owner, self->handle, 0, 1, 0));
}

TEST_HARNESS_MAIN
