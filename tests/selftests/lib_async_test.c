// SPDX-License-Identifier: GPL-2.0-only
/* The library's calls that nobody waits for: completion functions, RESULTs, many at a time. */
#include "kselftest_harness.h"
#include "lib_test.h"

#define MANY	3000

struct count {
	atomic_int runs;	/* of the function */
	atomic_int done;	/* completions */
	atomic_int right;	/* that were as expected */
	int want;
};

/* Says its argument back; op: the status. */
static int echo(struct upcall_incoming *incoming, void *user)
{
	((struct count *)user)->runs++;
	upcall_reply(incoming, (int)upcall_incoming_op(incoming), upcall_incoming_data(incoming),
		     upcall_incoming_len(incoming));
	return 0;
}

FIXTURE(async) {
	struct upcall_peer *peer, *caller;
	struct upcall_callback *callback;
	struct owner owner;
	struct count count;
	uint64_t handle;
};

FIXTURE_SETUP(async)
{
	struct upcall_options *options;

	ASSERT_EQ(0, upcall_open(NULL, &self->peer));
	ASSERT_EQ(0, upcall_open(NULL, &self->caller));
	ASSERT_EQ(0, upcall_options_new(&options));
	upcall_options_set_limits(options, 65536, 4096, 1 << 20);
	ASSERT_EQ(0, upcall_callback_new(self->peer, options, echo, &self->count, NULL,
					 &self->callback));
	upcall_options_free(options);
	self->handle = upcall_callback_handle(self->callback);
	self->owner.peer = self->peer;
}

FIXTURE_TEARDOWN(async)
{
	upcall_close(self->caller);
	if (self->owner.threads) {
		upcall_shutdown(self->peer);
		owner_join(&self->owner);
	}
	upcall_callback_unref(self->callback);
	upcall_close(self->peer);
}

static void done_echo(struct upcall_call *call, int ret, void *user)
{
	struct count *count = user;

	count->done++;
	if (ret == 5 && !memcmp(upcall_call_reply(call), "hello", 5) &&
	    upcall_call_status(call) == 7 && upcall_call_stage(call) == UPCALL_STAGE_REPLIED &&
	    upcall_call_total_ns(call) && !upcall_call_pending(call))
		count->right++;
}

static void done_want(struct upcall_call *call, int ret, void *user)
{
	struct count *count = user;

	(void)call;
	count->done++;
	count->right += ret == count->want;
}

static void done_free(struct upcall_call *call, int ret, void *user)
{
	done_want(call, ret, user);
	upcall_call_free(call);
}

TEST_F(async, completion_function_runs_once_with_the_answer)
{
	struct upcall_call *call;

	ASSERT_EQ(0, owner_start(&self->owner, 1));
	ASSERT_EQ(0, upcall_call_new(self->caller, &call));
	ASSERT_EQ(0, upcall_call_start(call, self->handle, 7, "hello", 5, SOON, done_echo,
				       &self->count));
	EXPECT_TRUE(upcall_call_pending(call));
	EXPECT_EQ(1, upcall_dispatch(self->caller, SOON));
	EXPECT_EQ(1, self->count.done);
	EXPECT_EQ(1, self->count.right);
	EXPECT_EQ(-EAGAIN, upcall_dispatch(self->caller, UPCALL_NO_WAIT));
	upcall_call_free(call);
}

TEST_F(async, thousands_are_under_way_on_one_thread)
{
	struct upcall_call *call;
	int i;

	self->count.want = 5;
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, upcall_call_new(self->caller, &call));
		upcall_call_set_reply_max(call, 64);
		while (upcall_call_start(call, self->handle, 0, "hello", 5, SOON, done_free,
					 &self->count) == -EAGAIN) {
			/* The queue takes half of what is left from one uid. */
			ASSERT_EQ(1, upcall_dispatch(self->peer, UPCALL_NO_WAIT));
		}
	}
	ASSERT_EQ(0, owner_start(&self->owner, 1));
	while (self->count.done < MANY)
		ASSERT_EQ(1, upcall_dispatch(self->caller, SOON));
	EXPECT_EQ(MANY, self->count.right);
	EXPECT_EQ(MANY, self->count.runs);
}

TEST_F(async, cancelled_call_completes_with_ecanceled)
{
	struct upcall_call *call;

	self->count.want = -ECANCELED;
	ASSERT_EQ(0, upcall_call_new(self->caller, &call));
	ASSERT_EQ(0, upcall_call_start(call, self->handle, 0, NULL, 0, SOON, done_want,
				       &self->count));
	ASSERT_EQ(0, upcall_call_cancel(call));
	EXPECT_TRUE(upcall_call_pending(call));
	EXPECT_EQ(1, upcall_dispatch(self->caller, SOON));
	EXPECT_EQ(1, self->count.right);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(call));
	EXPECT_EQ(-ENOENT, upcall_call_cancel(call));
	upcall_call_free(call);
}

TEST_F(async, deadline_completes_with_etimedout)
{
	struct upcall_call *call;
	int ret = -ETIMEDOUT;
	int64_t ms;

	self->count.want = -ETIMEDOUT;
	ASSERT_EQ(0, upcall_call_new(self->caller, &call));
	/* On a busy machine it may have passed before the call is made. */
	for (ms = 50; ret == -ETIMEDOUT && ms < 20000 * UPCALL_SLOW; ms *= 2)
		ret = upcall_call_start(call, self->handle, 0, NULL, 0, upcall_deadline_in(ms),
					done_want, &self->count);
	ASSERT_EQ(0, ret);
	EXPECT_EQ(1, upcall_dispatch(self->caller, SOON));
	EXPECT_EQ(1, self->count.right);
	upcall_call_free(call);
}

TEST_F(async, refused_start_runs_no_completion)
{
	struct upcall_call *call;

	ASSERT_EQ(0, upcall_call_new(self->caller, &call));
	EXPECT_EQ(-ESTALE, upcall_call_start(call, 1, 0, NULL, 0, SOON, done_want, &self->count));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(call));
	EXPECT_FALSE(upcall_call_pending(call));
	EXPECT_EQ(-EAGAIN, upcall_dispatch(self->caller, UPCALL_NO_WAIT));
	EXPECT_EQ(0, self->count.done);
	upcall_call_free(call);
}

TEST_F(async, freed_call_object_runs_no_completion)
{
	struct upcall_call *call;

	ASSERT_EQ(0, upcall_call_new(self->caller, &call));
	ASSERT_EQ(0, upcall_call_start(call, self->handle, 0, NULL, 0, SOON, done_want,
				       &self->count));
	upcall_call_free(call);
	ASSERT_EQ(0, upcall_call_new(self->caller, &call));
	ASSERT_EQ(0, upcall_call_start(call, self->handle, 0, NULL, 0, SOON, done_want,
				       &self->count));
	self->count.want = 0;
	while (upcall_dispatch(self->peer, UPCALL_NO_WAIT) == 1)
		;
	EXPECT_EQ(1, self->count.runs);
	while (!self->count.done)
		ASSERT_EQ(1, upcall_dispatch(self->caller, SOON));
	EXPECT_EQ(1, self->count.right);
	upcall_call_free(call);
}

TEST_F(async, close_completes_what_is_under_way_with_eshutdown)
{
	struct upcall_call *call;

	self->count.want = -ESHUTDOWN;
	ASSERT_EQ(0, upcall_call_new(self->caller, &call));
	ASSERT_EQ(0, upcall_call_start(call, self->handle, 0, NULL, 0, SOON, done_free,
				       &self->count));
	upcall_close(self->caller);
	self->caller = NULL;
	EXPECT_EQ(1, self->count.done);
	EXPECT_EQ(1, self->count.right);
}

TEST_F(async, pull_shape_gets_a_result_with_its_own_word)
{
	struct upcall_start start = {
		.handle = self->handle, .op = 3, .arg = "abc", .len = 3, .reply_max = 16,
		.deadline = SOON, .user_data = 0xfeedfacecafebeefULL,
	};
	struct upcall_incoming *incoming;
	uint64_t id;

	ASSERT_EQ(0, owner_start(&self->owner, 1));
	ASSERT_EQ(0, upcall_start(self->caller, &start, &id));
	ASSERT_EQ(UPCALL_EVENT_RESULT, upcall_next(self->caller, SOON, &incoming));
	EXPECT_EQ(start.user_data, upcall_incoming_cookie(incoming));
	EXPECT_EQ(id, upcall_incoming_id(incoming));
	EXPECT_EQ(self->handle, upcall_incoming_handle(incoming));
	EXPECT_EQ(0, upcall_incoming_error(incoming));
	EXPECT_EQ(3, upcall_incoming_status(incoming));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, upcall_incoming_stage(incoming));
	ASSERT_EQ(3, upcall_incoming_len(incoming));
	EXPECT_EQ(0, memcmp(upcall_incoming_data(incoming), "abc", 3));
	EXPECT_EQ(-EINVAL, upcall_reply(incoming, 0, NULL, 0));
	upcall_incoming_free(incoming);
	EXPECT_EQ(-ENOENT, upcall_cancel(self->caller, id));
}

TEST_F(async, commands_of_all_kinds_go_in_one_system_call)
{
	struct upcall_incoming *first, *second;
	struct upcall_commands *commands;
	struct upcall_call *one, *two;

	self->count.want = 2;
	ASSERT_EQ(0, upcall_call_new(self->caller, &one));
	ASSERT_EQ(0, upcall_call_new(self->caller, &two));
	ASSERT_EQ(0, upcall_commands_new(self->caller, &commands));
	EXPECT_EQ(0, upcall_commands_start(commands, one, self->handle, 1, "1", 1, SOON, done_want,
					   &self->count));
	EXPECT_EQ(1, upcall_commands_start(commands, two, self->handle, 2, "2", 1, SOON, done_want,
					   &self->count));
	EXPECT_EQ(2, upcall_commands_start(commands, one, 1, 0, NULL, 0, SOON, done_want, NULL));
	EXPECT_EQ(3, upcall_commands_notify(commands, self->handle, 4, "4", 1, SOON, 1));
	EXPECT_EQ(4, upcall_commands_rebind(commands, self->handle, 9));
	upcall_commands_free(commands);
	EXPECT_FALSE(upcall_call_pending(one));

	ASSERT_EQ(0, upcall_commands_new(self->caller, &commands));
	EXPECT_EQ(0, upcall_commands_start(commands, one, self->handle, 1, "1", 1, SOON, done_want,
					   &self->count));
	EXPECT_EQ(1, upcall_commands_start(commands, two, self->handle, 2, "2", 1, SOON, done_want,
					   &self->count));
	EXPECT_EQ(2, upcall_commands_notify(commands, self->handle, 4, "4", 1, SOON, 1));
	EXPECT_EQ(3, upcall_commands_rebind(commands, self->handle, 9));
	EXPECT_EQ(1, upcall_commands_send(commands));
	EXPECT_EQ(0, upcall_commands_error(commands, 0));
	EXPECT_EQ(0, upcall_commands_error(commands, 1));
	EXPECT_EQ(0, upcall_commands_error(commands, 2));
	EXPECT_EQ(-EPERM, upcall_commands_error(commands, 3));
	EXPECT_EQ(-EINVAL, upcall_commands_error(commands, 4));
	upcall_commands_free(commands);

	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &first));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &second));
	ASSERT_EQ(0, upcall_commands_new(self->peer, &commands));
	EXPECT_EQ(0, upcall_commands_reply(commands, first, 0, "ok", 2));
	EXPECT_EQ(1, upcall_commands_refuse(commands, second, EBADMSG));
	EXPECT_EQ(-EALREADY, upcall_reply(first, 0, NULL, 0));
	EXPECT_EQ(0, upcall_commands_send(commands));
	EXPECT_EQ(-EALREADY, upcall_reply(first, 0, NULL, 0));
	upcall_commands_free(commands);
	upcall_incoming_free(first);
	upcall_incoming_free(second);
	while (self->count.done < 2)
		ASSERT_EQ(1, upcall_dispatch(self->caller, SOON));
	EXPECT_EQ(1, self->count.right);
	EXPECT_EQ(2, upcall_call_reply_len(one));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(two));
	upcall_call_free(one);
	upcall_call_free(two);
}

TEST_HARNESS_MAIN
