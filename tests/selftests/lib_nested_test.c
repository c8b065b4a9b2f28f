// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the library does by itself for code that runs inside a callback: parents, deadlines,
 * cancellation, calls that come back; and the threads that it runs.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include "lib_test.h"

/* Two sides that call each other. */
struct side {
	struct upcall_peer *peer;
	struct upcall_callback *callback;
	uint64_t handle;
	struct side *other;
	struct owner owner;
	atomic_int deepest;
	atomic_int running;
	atomic_int most;	/* ran at once */
	atomic_int failed;
	atomic_int inner;	/* what the nested call returned */
	atomic_int stage;
	atomic_ullong deadline;	/* of what ran last */
	atomic_bool go;
};

FIXTURE(nested) {
	struct side here, there;
	struct upcall_call *call;
};

/* Several threads may do so at once: none takes back what another one has noted. */
static void note_most(atomic_int *most, int value)
{
	int before = *most;

	while (value > before && !atomic_compare_exchange_weak(most, &before, value))
		;
}

/* op: how often it still goes back and forth. */
static int ping(struct upcall_incoming *incoming, void *user)
{
	uint32_t op = upcall_incoming_op(incoming);
	struct side *side = user;
	struct upcall_call *call;
	int ret;

	note_most(&side->deepest, (int)upcall_incoming_depth(incoming));
	if (!op)
		return 0;
	if (upcall_call_new(side->peer, &call))
		return 1;
	ret = upcall_call_invoke(call, side->other->handle, op - 1, NULL, 0, UPCALL_NO_DEADLINE);
	if (op == 1) {
		side->stage = (int)upcall_call_stage(call);
		side->inner = ret;	/* last: tests wait for it */
	}
	if (ret < 0)
		side->failed++;
	upcall_call_free(call);
	return 0;
}

static int note_deadline(struct upcall_incoming *incoming, void *user)
{
	((struct side *)user)->deadline = upcall_incoming_deadline(incoming);
	return 0;
}

/* Waits until it is cancelled, or told to go. */
static int linger(struct upcall_incoming *incoming, void *user)
{
	struct side *side = user;

	note_most(&side->most, ++side->running);
	(void)eventually(side->go || upcall_incoming_cancelled(incoming));
	side->running--;
	return 0;
}

static int retire_itself(struct upcall_incoming *incoming, void *user)
{
	struct side *side = user;

	(void)incoming;
	side->inner = upcall_callback_release_sync(side->callback, 0, SOON);
	return 0;
}

static int open_side(struct side *side, upcall_fn fn)
{
	int err = upcall_open(NULL, &side->peer);

	if (!err)
		err = upcall_callback_new(side->peer, NULL, fn, side, NULL, &side->callback);
	if (!err)
		side->handle = upcall_callback_handle(side->callback);
	side->owner.peer = side->peer;
	return err;
}

static void close_side(struct side *side)
{
	side->go = true;
	if (side->owner.threads) {
		upcall_shutdown(side->peer);
		owner_join(&side->owner);
	}
	upcall_callback_unref(side->callback);
	upcall_close(side->peer);
}

FIXTURE_SETUP(nested)
{
	ASSERT_EQ(0, open_side(&self->here, ping));
	ASSERT_EQ(0, open_side(&self->there, ping));
	self->here.other = &self->there;
	self->there.other = &self->here;
	ASSERT_EQ(0, upcall_call_new(self->here.peer, &self->call));
}

FIXTURE_TEARDOWN(nested)
{
	upcall_call_free(self->call);
	close_side(&self->there);
	close_side(&self->here);
}

/* Another function for one side. */
static int replace(struct side *side, upcall_fn fn)
{
	upcall_callback_unref(side->callback);
	side->callback = NULL;
	if (upcall_callback_new(side->peer, NULL, fn, side, NULL, &side->callback))
		return -1;
	side->handle = upcall_callback_handle(side->callback);
	return 0;
}

TEST_F(nested, calls_go_back_and_forth_with_one_thread_on_each_side)
{
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	upcall_call_set_nested(self->call, 1);
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, UPCALL_MAX_NESTING - 1,
					NULL, 0, SOON));
	EXPECT_EQ(0, self->here.failed);
	EXPECT_EQ(0, self->there.failed);
	EXPECT_EQ(UPCALL_MAX_NESTING - 1, self->there.deepest);
	EXPECT_EQ(UPCALL_MAX_NESTING, self->here.deepest);
}

TEST_F(nested, one_level_too_deep_is_eloop)
{
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	upcall_call_set_nested(self->call, 1);
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, UPCALL_MAX_NESTING,
					NULL, 0, SOON));
	EXPECT_EQ(1, self->here.failed);
	EXPECT_EQ(-ELOOP, self->here.inner);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->here.stage);
}

TEST_F(nested, only_thread_that_takes_no_calls_is_edeadlk)
{
	ASSERT_EQ(0, upcall_set_one_thread(self->here.peer, 1));
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, 1, NULL, 0, SOON));
	EXPECT_EQ(-EDEADLK, self->there.inner);
	upcall_call_set_nested(self->call, 1);
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, 1, NULL, 0, SOON));
	EXPECT_EQ(0, self->there.inner);
}

TEST_F(nested, deadline_is_passed_on)
{
	struct side third = { 0 };
	uint64_t deadline = SOON;

	ASSERT_EQ(0, open_side(&third, note_deadline));
	ASSERT_EQ(0, owner_start(&third.owner, 1));
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	self->there.other = &third;	/* and ping() gives no deadline */
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, 1, NULL, 0, deadline));
	EXPECT_EQ(0, self->there.inner);
	EXPECT_EQ(deadline, third.deadline);
	close_side(&third);
}

TEST_F(nested, deadline_ends_what_is_called_within)
{
	struct side third = { 0 };
	int64_t ms;

	ASSERT_EQ(0, open_side(&third, linger));
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	self->there.other = &third;	/* nobody receives there */
	/* On a busy machine the outer one may not even begin in time. */
	for (ms = 50; ms < 20000 * UPCALL_SLOW; ms *= 2) {
		upcall_call_invoke(self->call, self->there.handle, 1, NULL, 0,
				   upcall_deadline_in(ms));
		if (upcall_call_stage(self->call) != UPCALL_STAGE_NOT_DELIVERED)
			break;
	}
	ASSERT_TRUE(eventually(self->there.inner));
	/* Both end at the same moment: the outer one may be answered, or the inner one cancelled. */
	if (self->there.inner != -ECANCELED)
		EXPECT_EQ(-ETIMEDOUT, self->there.inner);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->there.stage);
	close_side(&third);
}

static void do_nothing(struct upcall_call *call, int ret, void *user)
{
	(void)call;
	*(int *)user = ret;
}

TEST_F(nested, cancellation_is_passed_on_with_one_thread)
{
	struct side third = { 0 };
	int ret = 0;

	ASSERT_EQ(0, open_side(&third, linger));
	ASSERT_EQ(0, owner_start(&third.owner, 2));
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	self->there.other = &third;
	ASSERT_EQ(0, upcall_call_start(self->call, self->there.handle, 1, NULL, 0,
				       UPCALL_NO_DEADLINE, do_nothing, &ret));
	ASSERT_TRUE(eventually(third.running == 1));
	ASSERT_EQ(0, upcall_call_cancel(self->call));
	EXPECT_EQ(1, upcall_dispatch(self->here.peer, SOON));
	EXPECT_EQ(-ECANCELED, ret);
	EXPECT_TRUE(eventually(self->there.inner == -ECANCELED));
	EXPECT_TRUE(eventually(third.running == 0));
	close_side(&third);
}

TEST_F(nested, cancellation_that_another_thread_receives_is_passed_on)
{
	struct side third = { 0 };
	int ret = 0;

	ASSERT_EQ(0, open_side(&third, linger));
	ASSERT_EQ(0, owner_start(&third.owner, 2));
	ASSERT_EQ(0, owner_start(&self->there.owner, 4));
	self->there.other = &third;
	ASSERT_EQ(0, upcall_call_start(self->call, self->there.handle, 1, NULL, 0,
				       UPCALL_NO_DEADLINE, do_nothing, &ret));
	ASSERT_TRUE(eventually(third.running == 1));
	ASSERT_EQ(0, upcall_call_cancel(self->call));
	EXPECT_EQ(1, upcall_dispatch(self->here.peer, SOON));
	EXPECT_TRUE(eventually(self->there.inner == -ECANCELED));
	close_side(&third);
}

TEST_F(nested, many_threads_nest_at_once)
{
	struct caller callers[8] = { 0 };
	int i;

	ASSERT_EQ(0, owner_start(&self->there.owner, 4));
	ASSERT_EQ(0, owner_start(&self->here.owner, 4));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, caller_start(&callers[i], self->here.peer, self->there.handle));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, caller_join(&callers[i]));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, 6, NULL, 0, SOON));
	EXPECT_EQ(0, self->here.failed + self->there.failed);
	for (i = 0; i < 8; i++)
		upcall_call_free(callers[i].call);
}

TEST_F(nested, release_sync_waits_for_the_function_and_from_inside_is_edeadlk)
{
	struct caller caller = { 0 };

	ASSERT_EQ(0, replace(&self->there, linger));
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	ASSERT_EQ(0, caller_start(&caller, self->here.peer, self->there.handle));
	ASSERT_TRUE(eventually(self->there.running == 1));
	EXPECT_EQ(-ETIMEDOUT, upcall_callback_release_sync(self->there.callback, 0,
							   upcall_deadline_in(50)));
	self->there.go = true;
	EXPECT_EQ(0, upcall_callback_release_sync(self->there.callback, 0, SOON));
	EXPECT_EQ(0, self->there.running);
	EXPECT_EQ(0, caller_join(&caller));
	ASSERT_EQ(0, replace(&self->there, retire_itself));
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, 0, NULL, 0, SOON));
	EXPECT_EQ(-EDEADLK, self->there.inner);
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->there.handle, 0, NULL, 0, SOON));
	caller_end(&caller, self->here.peer);
}

TEST_F(nested, release_sync_needs_no_other_thread)
{
	EXPECT_EQ(0, upcall_callback_release_sync(self->there.callback, 0, SOON));
	EXPECT_EQ(-ESTALE, upcall_call_invoke(self->call, self->there.handle, 0, NULL, 0, SOON));
}

static void *pool_main(void *arg)
{
	struct side *side = arg;

	side->owner.ret = upcall_run_pool(side->peer, 1, 4, 50);
	return NULL;
}

static uint32_t receivers(struct upcall_peer *look, struct side *side)
{
	const struct upcall_list_peer *record;
	struct upcall_listing *listing;
	struct upcall_stat stat;
	const void *next;
	uint32_t n = 0;

	if (upcall_stat(look, side->handle, &stat, sizeof(stat)) ||
	    upcall_listing_new(look, UPCALL_LIST_PEERS, sizeof(*record), &listing))
		return 0;
	while (upcall_listing_next(listing, &next) == 1) {
		record = next;
		if (record->pid == stat.pid && record->callbacks && record->receivers > n)
			n = record->receivers;
	}
	upcall_listing_free(listing);
	return n;
}

TEST_F(nested, pool_grows_with_the_work_to_its_bound_and_shrinks_again)
{
	struct caller callers[6] = { 0 };
	int i;

	ASSERT_EQ(0, replace(&self->there, linger));
	ASSERT_EQ(0, pthread_create(&self->there.owner.thread, NULL, pool_main, &self->there));
	self->there.owner.threads = 1;
	for (i = 0; i < 6; i++)
		ASSERT_EQ(0, caller_start(&callers[i], self->here.peer, self->there.handle));
	EXPECT_TRUE(eventually(self->there.running == 4));
	self->there.go = true;
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, caller_join(&callers[i]));
	EXPECT_EQ(4, self->there.most);
	EXPECT_TRUE(eventually(receivers(self->here.peer, &self->there) == 1));
	ASSERT_EQ(0, upcall_stop(self->there.peer));
	EXPECT_EQ(0, owner_join(&self->there.owner));
	self->there.owner.threads = 0;
	for (i = 0; i < 6; i++)
		upcall_call_free(callers[i].call);
}

/* Writes into the descriptor that came, and gives another one back. */
static int swap_fds(struct upcall_incoming *incoming, void *user)
{
	int fd = upcall_incoming_take_fd(incoming, 0), back[2];

	(void)user;
	if (fd < 0 || write(fd, "x", 1) != 1 || pipe2(back, O_CLOEXEC))
		return 1;
	close(fd);
	if (write(back[1], "y", 1) != 1)
		return 2;
	upcall_reply_fds(incoming, 0, "z", 1, back, 1);
	close(back[0]);
	close(back[1]);
	return 0;
}

TEST_F(nested, descriptors_ride_with_calls_and_replies)
{
	struct upcall_options *options;
	char c = 0;
	int ends[2], fd;

	upcall_callback_unref(self->there.callback);
	ASSERT_EQ(0, upcall_options_new(&options));
	upcall_options_set_fds(options, 1);
	ASSERT_EQ(0, upcall_callback_new(self->there.peer, options, swap_fds, NULL, NULL,
					 &self->there.callback));
	upcall_options_free(options);
	self->there.handle = upcall_callback_handle(self->there.callback);
	ASSERT_EQ(0, owner_start(&self->there.owner, 1));
	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	ASSERT_EQ(0, upcall_call_set_reply_fds(self->call, 2));
	ASSERT_EQ(0, upcall_call_set_fds(self->call, &ends[1], 1));
	ASSERT_EQ(1, upcall_call_invoke(self->call, self->there.handle, 0, NULL, 0, SOON));
	EXPECT_EQ(0, upcall_call_status(self->call));
	EXPECT_EQ(1, read(ends[0], &c, 1));
	EXPECT_EQ('x', c);
	ASSERT_EQ(1, upcall_call_reply_fd_count(self->call));
	fd = upcall_call_take_reply_fd(self->call, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, upcall_call_take_reply_fd(self->call, 0));
	EXPECT_EQ(1, read(fd, &c, 1));
	EXPECT_EQ('y', c);
	close(fd);
	close(ends[0]);
	close(ends[1]);
}

TEST_HARNESS_MAIN
