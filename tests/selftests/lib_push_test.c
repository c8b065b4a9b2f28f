// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's push shape: functions, worker threads, references, the destroy hook.
 */
#include "kselftest_harness.h"
#include "lib_test.h"

struct shared {
	atomic_int calls;	/* begun */
	atomic_int destroyed;	/* hooks run */
	atomic_bool go;		/* those that wait may go on */
	atomic_int cancelled;
	struct upcall_incoming *_Atomic kept;
	struct upcall_peer *peer;
};

static int echo(struct upcall_incoming *incoming, void *user)
{
	struct shared *shared = user;

	shared->calls++;
	upcall_reply(incoming, (int)upcall_incoming_op(incoming), upcall_incoming_data(incoming),
		     upcall_incoming_len(incoming));
	return 99;
}

static int return_status(struct upcall_incoming *incoming, void *user)
{
	(void)incoming;
	((struct shared *)user)->calls++;
	return 17;
}

/* As many bytes as @op says, all of them 'r'; what the library says of it is counted as calls. */
static int give_back(struct upcall_incoming *incoming, void *user)
{
	size_t len = upcall_incoming_op(incoming);
	char *bytes = malloc(len + 1);
	int err;

	memset(bytes, 'r', len);
	err = upcall_return(incoming, bytes, len);
	free(bytes);
	((struct shared *)user)->calls -= err;
	return 17;
}

static int give_back_then_answer(struct upcall_incoming *incoming, void *user)
{
	upcall_return(incoming, "given", 5);
	upcall_return(incoming, "back", 4);
	if (upcall_incoming_op(incoming) == 1)
		upcall_reply(incoming, 1, "replied", 7);
	if (upcall_incoming_op(incoming) == 2)
		upcall_refuse(incoming, ENOLCK);
	((struct shared *)user)->calls -= upcall_return(incoming, "late", 4);
	return 0;
}

static int wait_for_go(struct upcall_incoming *incoming, void *user)
{
	struct shared *shared = user;

	shared->calls++;
	(void)incoming;
	(void)eventually(shared->go);
	return 0;
}

static int wait_for_cancel(struct upcall_incoming *incoming, void *user)
{
	struct shared *shared = user;

	(void)eventually(upcall_incoming_cancelled(incoming));
	shared->cancelled = upcall_incoming_cancelled(incoming);
	return 0;
}

/* Answers, and then still uses its data. */
static int reply_then_wait(struct upcall_incoming *incoming, void *user)
{
	struct shared *shared = user;

	upcall_reply(incoming, 0, NULL, 0);
	shared->calls++;
	(void)eventually(shared->go);
	return 0;
}

static int keep_then_wait(struct upcall_incoming *incoming, void *user)
{
	struct shared *shared = user;

	upcall_incoming_keep(incoming);
	shared->kept = incoming;
	(void)eventually(shared->go);
	shared->calls++;
	return 0;
}

static int keep(struct upcall_incoming *incoming, void *user)
{
	struct shared *shared = user;

	upcall_incoming_keep(incoming);
	shared->calls++;
	shared->kept = incoming;
	return 0;
}

static int stop_from_inside(struct upcall_incoming *incoming, void *user)
{
	(void)incoming;
	return upcall_stop(((struct shared *)user)->peer);
}

static void destroy(void *user)
{
	((struct shared *)user)->destroyed++;
}

FIXTURE(push)
{
	struct shared shared;
	struct owner owner;
	struct upcall_peer *other;
	struct upcall_callback *callback;
	struct upcall_call *call;
};

static uint64_t export(struct upcall_peer *peer, upcall_fn fn, struct shared *shared,
		       struct upcall_callback **callback)
{
	if (upcall_callback_new(peer, NULL, fn, shared, destroy, callback) < 0)
		return 0;
	return upcall_callback_handle(*callback);
}

#define EXPORT(fn)	export(self->owner.peer, fn, &self->shared, &self->callback)

FIXTURE_SETUP(push)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, upcall_open(NULL, &self->owner.peer));
	ASSERT_EQ(0, upcall_open(NULL, &self->other));
	ASSERT_EQ(0, upcall_call_new(self->other, &self->call));
	self->shared.peer = self->owner.peer;
}

FIXTURE_TEARDOWN(push)
{
	upcall_callback_unref(self->callback);
	upcall_call_free(self->call);
	upcall_close(self->other);
	upcall_close(self->owner.peer);
}

TEST_F(push, function_gets_the_bytes_and_answers)
{
	uint64_t handle = EXPORT(echo);

	ASSERT_NE(0, handle);
	ASSERT_EQ(0, owner_start(&self->owner, 1));
	for (uint32_t op = 0; op < 100; op++) {
		ASSERT_EQ(4, upcall_call_invoke(self->call, handle, op, &op, 4, SOON));
		EXPECT_EQ(0, memcmp(&op, upcall_call_reply(self->call), 4));
		EXPECT_EQ(op, upcall_call_status(self->call));
	}
	EXPECT_EQ(100, self->shared.calls);
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
}

TEST_F(push, what_an_unanswered_function_returns_is_the_status)
{
	uint64_t handle = EXPORT(return_status);

	ASSERT_EQ(0, owner_start(&self->owner, 2));
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(0, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
		EXPECT_EQ(17, upcall_call_status(self->call));
	}
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
}

TEST_F(push, what_is_given_to_return_goes_with_the_status)
{
	static const uint32_t sizes[] = { 8, 0, 1, 4097, UPCALL_DEFAULT_REPLY_MAX, 3 };
	uint64_t handle = EXPORT(give_back);

	ASSERT_EQ(0, owner_start(&self->owner, 1));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *reply;

		ASSERT_EQ((int)sizes[i],
			  upcall_call_invoke(self->call, handle, sizes[i], NULL, 0, SOON));
		EXPECT_EQ(17, upcall_call_status(self->call));
		reply = upcall_call_reply(self->call);
		EXPECT_TRUE(!sizes[i] || (reply[0] == 'r' && reply[sizes[i] - 1] == 'r'));
	}
	EXPECT_EQ(0, self->shared.calls);
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
}

TEST_F(push, what_is_given_to_return_is_sent_before_dispatch_returns)
{
	uint64_t handle = EXPORT(give_back_then_answer);
	struct caller caller = { 0 };

	ASSERT_EQ(0, caller_start(&caller, self->other, handle));
	EXPECT_EQ(1, upcall_dispatch(self->owner.peer, SOON));
	EXPECT_EQ(4, caller_join(&caller));
	EXPECT_EQ(0, memcmp("late", upcall_call_reply(caller.call), 4));
	upcall_call_free(caller.call);
}

TEST_F(push, what_does_not_fit_is_not_returned)
{
	uint64_t handle = EXPORT(give_back);

	upcall_call_set_reply_max(self->call, 100);
	ASSERT_EQ(0, owner_start(&self->owner, 1));
	EXPECT_EQ(100, upcall_call_invoke(self->call, handle, 100, NULL, 0, SOON));
	EXPECT_EQ(0, upcall_call_invoke(self->call, handle, 101, NULL, 0, SOON));
	EXPECT_EQ(EMSGSIZE, self->shared.calls);
	EXPECT_EQ(0, upcall_call_notify(self->call, handle, 200, NULL, 0, SOON));
	EXPECT_EQ(0, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
	EXPECT_EQ(EMSGSIZE, self->shared.calls);
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
}

TEST_F(push, other_answers_count_for_more_than_what_is_given_to_return)
{
	uint64_t handle = EXPORT(give_back_then_answer);

	ASSERT_EQ(0, owner_start(&self->owner, 1));
	EXPECT_EQ(7, upcall_call_invoke(self->call, handle, 1, NULL, 0, SOON));
	EXPECT_EQ(-ENOLCK, upcall_call_invoke(self->call, handle, 2, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(2 * EALREADY, self->shared.calls);
}

TEST_F(push, dispatch_runs_one_and_answers_before_it_returns)
{
	uint64_t handle = EXPORT(return_status);
	struct caller caller = { 0 };

	EXPECT_EQ(-EAGAIN, upcall_dispatch(self->owner.peer, UPCALL_NO_WAIT));
	ASSERT_EQ(0, caller_start(&caller, self->other, handle));
	EXPECT_EQ(1, upcall_dispatch(self->owner.peer, SOON));
	EXPECT_EQ(0, caller_join(&caller));
	EXPECT_EQ(17, upcall_call_status(caller.call));
	upcall_call_free(caller.call);
}

TEST_F(push, threads_run_as_many_calls_at_once)
{
	struct caller callers[4] = { 0 };
	uint64_t handle = EXPORT(wait_for_go);

	ASSERT_EQ(0, owner_start(&self->owner, 4));
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, caller_start(&callers[i], self->other, handle));
	EXPECT_TRUE(eventually(self->shared.calls == 4));
	self->shared.go = true;
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(0, caller_join(&callers[i]));
		upcall_call_free(callers[i].call);
	}
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
}

TEST_F(push, last_reference_releases_and_the_hook_runs_once)
{
	uint64_t handle = EXPORT(echo);
	struct upcall_stat stat;

	upcall_callback_ref(self->callback);
	upcall_callback_unref(self->callback);
	ASSERT_EQ(0, upcall_stat(self->other, handle, &stat, sizeof(stat)));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	upcall_callback_unref(self->callback);
	self->callback = NULL;
	EXPECT_EQ(0, self->shared.destroyed);
	EXPECT_EQ(1, upcall_dispatch(self->owner.peer, SOON));
	EXPECT_EQ(1, self->shared.destroyed);
	ASSERT_EQ(0, upcall_stat(self->other, handle, &stat, sizeof(stat)));
	EXPECT_EQ(UPCALL_STATE_DEAD, stat.state);
	EXPECT_EQ(-ESTALE, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
}

TEST_F(push, hook_runs_although_references_are_held)
{
	uint64_t handle = EXPORT(echo);

	ASSERT_EQ(0, upcall_revoke(self->other, handle));
	EXPECT_EQ(1, upcall_dispatch(self->owner.peer, SOON));
	EXPECT_EQ(1, self->shared.destroyed);
	EXPECT_EQ(handle, upcall_callback_handle(self->callback));
	EXPECT_EQ(-ESTALE, upcall_callback_release(self->callback, 0));
}

TEST_F(push, hook_waits_for_a_function_that_has_answered_but_runs)
{
	uint64_t handle = EXPORT(reply_then_wait);
	struct upcall_stat stat;

	ASSERT_EQ(0, owner_start(&self->owner, 2));
	ASSERT_EQ(0, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
	upcall_callback_unref(self->callback);
	self->callback = NULL;
	EXPECT_EQ(0, upcall_stop(self->owner.peer));	/* RELEASED was read when it has ended */
	EXPECT_TRUE(eventually(upcall_stat(self->owner.peer, handle, &stat, sizeof(stat)) ==
			       -ESHUTDOWN));
	EXPECT_EQ(0, self->shared.destroyed);
	self->shared.go = true;
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(1, self->shared.destroyed);
}

TEST_F(push, hook_waits_for_a_function_whose_kept_call_was_freed)
{
	struct caller caller = { 0 };
	uint64_t handle = EXPORT(keep_then_wait);
	struct upcall_stat stat;

	ASSERT_EQ(0, owner_start(&self->owner, 2));
	ASSERT_EQ(0, caller_start(&caller, self->other, handle));
	ASSERT_TRUE(eventually(self->shared.kept));
	upcall_incoming_free(self->shared.kept);
	EXPECT_LT(0, caller_join(&caller));
	EXPECT_EQ((int32_t)UPCALL_STATUS_RAISED, upcall_call_status(caller.call));
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_TRUE(eventually(upcall_stat(self->owner.peer, handle, &stat, sizeof(stat)) ==
			       -ESHUTDOWN));
	EXPECT_EQ(0, self->shared.destroyed);
	self->shared.go = true;
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(1, self->shared.destroyed);
	upcall_call_free(caller.call);
}

TEST_F(push, hooks_run_at_close_for_what_was_not_released)
{
	struct upcall_callback *second;

	EXPORT(echo);
	ASSERT_NE(0, export(self->owner.peer, echo, &self->shared, &second));
	upcall_callback_unref(second);		/* nobody reads its RELEASED */
	upcall_close(self->owner.peer);
	self->owner.peer = NULL;
	EXPECT_EQ(2, self->shared.destroyed);
	upcall_callback_unref(self->callback);
	self->callback = NULL;
	EXPECT_EQ(2, self->shared.destroyed);
}

TEST_F(push, kept_call_is_answered_by_another_thread)
{
	struct caller caller = { .arg = "later", .len = 5 };
	uint64_t handle = EXPORT(keep);
	struct upcall_incoming *kept;

	ASSERT_EQ(0, owner_start(&self->owner, 1));
	ASSERT_EQ(0, caller_start(&caller, self->other, handle));
	ASSERT_TRUE(eventually(self->shared.kept));
	kept = self->shared.kept;
	upcall_stop(self->owner.peer);
	EXPECT_EQ(0, self->shared.destroyed);
	EXPECT_EQ(0, upcall_reply(kept, 0, upcall_incoming_data(kept), upcall_incoming_len(kept)));
	EXPECT_EQ(5, caller_join(&caller));
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(0, self->shared.destroyed);
	upcall_incoming_free(kept);
	EXPECT_EQ(1, self->shared.destroyed);
	upcall_call_free(caller.call);
}

TEST_F(push, stop_finishes_what_was_delivered)
{
	struct caller caller = { 0 };
	uint64_t handle = EXPORT(wait_for_go);

	ASSERT_EQ(0, owner_start(&self->owner, 2));
	ASSERT_EQ(0, caller_start(&caller, self->other, handle));
	ASSERT_TRUE(eventually(self->shared.calls));
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(-ESTALE, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	self->shared.go = true;
	EXPECT_EQ(0, caller_join(&caller));
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(1, self->shared.destroyed);
	upcall_call_free(caller.call);
}

TEST_F(push, stop_from_a_function_answers_its_call)
{
	uint64_t handle = EXPORT(stop_from_inside);

	ASSERT_EQ(0, owner_start(&self->owner, 3));
	EXPECT_EQ(0, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(1, self->shared.destroyed);
}

TEST_F(push, stop_without_callbacks_ends_at_once)
{
	struct upcall_callback *callback;

	ASSERT_EQ(0, owner_start(&self->owner, 2));
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(-ESHUTDOWN, upcall_callback_new(self->owner.peer, NULL, echo, NULL, NULL, &callback));
}

TEST_F(push, function_learns_that_its_call_was_cancelled)
{
	uint64_t handle = EXPORT(wait_for_cancel);
	int64_t ms;

	ASSERT_EQ(0, owner_start(&self->owner, 2));
	/* On a busy machine it may not be received in time. */
	for (ms = 50; ms < 20000 * UPCALL_SLOW; ms *= 2) {
		EXPECT_EQ(-ETIMEDOUT, upcall_call_invoke(self->call, handle, 0, NULL, 0,
							 upcall_deadline_in(ms)));
		if (upcall_call_stage(self->call) != UPCALL_STAGE_NOT_DELIVERED)
			break;
	}
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, upcall_call_stage(self->call));
	/* The CANCEL comes to the other thread, perhaps a moment later. */
	EXPECT_TRUE(eventually(self->shared.cancelled));
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(ETIMEDOUT, self->shared.cancelled);
}

TEST_F(push, call_to_a_pulled_registration_is_enosys)
{
	uint64_t handle;

	ASSERT_EQ(0, upcall_register(self->owner.peer, NULL, 0, &handle));
	ASSERT_EQ(0, owner_start(&self->owner, 1));
	EXPECT_EQ(-ENOSYS, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	EXPECT_EQ(0, upcall_stop(self->owner.peer));
	EXPECT_EQ(0, owner_join(&self->owner));
}

TEST_F(push, many_callbacks_come_and_go_each_with_its_hook)
{
	struct upcall_callback *callbacks[100];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++)
			ASSERT_NE(0, export(self->owner.peer, echo, &self->shared, &callbacks[i]));
		for (int i = 0; i < 100; i++)
			upcall_callback_unref(callbacks[i]);
		while (upcall_dispatch(self->owner.peer, UPCALL_NO_WAIT) == 1)
			;
		EXPECT_EQ(100 * (round + 1), self->shared.destroyed);
	}
}

TEST_HARNESS_MAIN
