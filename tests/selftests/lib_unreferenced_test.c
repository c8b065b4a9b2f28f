// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner's side of stubs, by the library: the last one was closed.
 */
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "lib_test.h"

struct shared {
	struct upcall_callback *callback;	/* what the function is to be given */
	atomic_int calls;
	atomic_int told;
	atomic_int strange;	/* it was given something else */
	atomic_int destroyed;
	atomic_int ret;		/* of what the function did */
	int fd;			/* of what it exported */
	struct upcall_peer *peer;
};

static int count(struct upcall_incoming *incoming, void *user)
{
	(void)incoming;
	((struct shared *)user)->calls++;
	return 0;
}

static void destroy(void *user)
{
	((struct shared *)user)->destroyed++;
}

static void tell(struct upcall_callback *callback, void *user)
{
	struct shared *shared = user;

	shared->told++;
	shared->strange += callback != shared->callback;
}

static void tell_and_release(struct upcall_callback *callback, void *user)
{
	struct shared *shared = user;

	shared->ret = upcall_callback_release(callback, 0);
	shared->told++;
}

static void tell_and_unref(struct upcall_callback *callback, void *user)
{
	struct shared *shared = user;

	shared->callback = NULL;
	upcall_callback_unref(callback);
	shared->told++;
}

static void tell_and_sync(struct upcall_callback *callback, void *user)
{
	struct shared *shared = user;

	shared->ret = upcall_callback_release_sync(callback, 0, SOON);
	shared->told++;
}

static void tell_and_export(struct upcall_callback *callback, void *user)
{
	struct shared *shared = user;

	shared->ret = upcall_callback_export(callback, &shared->fd);
	shared->told++;
}

static void tell_and_stop(struct upcall_callback *callback, void *user)
{
	struct shared *shared = user;

	(void)callback;
	shared->told++;
	upcall_stop(shared->peer);
}

FIXTURE(unreferenced)
{
	struct shared shared;
	struct upcall_options *options;
	struct upcall_peer *peer;
	struct owner owner;
};

FIXTURE_SETUP(unreferenced)
{
	struct upcall_callback *callback;

	memset(self, 0, sizeof(*self));
	if (on_double())
		return;
	ASSERT_EQ(0, upcall_open(NULL, &self->peer));
	ASSERT_EQ(0, upcall_options_new(&self->options));
	upcall_options_set_unreferenced(self->options, 1);
	ASSERT_EQ(0, upcall_callback_new(self->peer, self->options, count, &self->shared, destroy,
					 &callback));
	self->shared.callback = callback;
	self->shared.peer = self->peer;
	self->owner.peer = self->peer;
	upcall_callback_set_unreferenced(callback, tell);
}

FIXTURE_TEARDOWN(unreferenced)
{
	if (on_double())
		return;
	upcall_options_free(self->options);
	upcall_callback_unref(self->shared.callback);
	upcall_close(self->peer);
	EXPECT_EQ(1, self->shared.destroyed);
	EXPECT_EQ(0, self->shared.strange);
}

/* Makes a stub and closes it. */
static int come_and_go(struct shared *shared)
{
	int fd, err = upcall_callback_export(shared->callback, &fd);

	return err ? err : close(fd);
}

static bool nothing_comes(struct upcall_peer *peer)
{
	return upcall_dispatch(peer, UPCALL_NO_WAIT) == -EAGAIN;
}

TEST_F(unreferenced, function_runs_once_when_the_last_one_was_closed)
{
	int one, two;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, upcall_callback_export(self->shared.callback, &one));
	ASSERT_EQ(0, upcall_callback_export(self->shared.callback, &two));
	EXPECT_TRUE(nothing_comes(self->peer));
	close(one);
	EXPECT_TRUE(nothing_comes(self->peer));
	close(two);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->shared.told);
	EXPECT_TRUE(nothing_comes(self->peer));
	EXPECT_EQ(1, self->shared.told);
}

TEST_F(unreferenced, it_runs_again_for_the_next_last_one)
{
	MODULE_ONLY("no stubs");
	for (int i = 1; i <= 3; i++) {
		ASSERT_EQ(0, come_and_go(&self->shared));
		EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
		EXPECT_EQ(i, self->shared.told);
	}
}

TEST_F(unreferenced, new_stub_takes_the_news_back)
{
	int fd;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, come_and_go(&self->shared));
	ASSERT_EQ(0, upcall_callback_export(self->shared.callback, &fd));
	EXPECT_TRUE(nothing_comes(self->peer));
	close(fd);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->shared.told);
}

TEST_F(unreferenced, childs_stub_counts_until_it_exits)
{
	int fd, ends[2];
	pid_t pid;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, upcall_callback_export(self->shared.callback, &fd));
	pid = fork();
	if (!pid) {
		char byte;

		close(ends[1]);
		_exit(read(ends[0], &byte, 1));
	}
	close(fd);
	EXPECT_TRUE(nothing_comes(self->peer));
	close(ends[0]);
	close(ends[1]);
	waitpid(pid, NULL, 0);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->shared.told);
}

TEST_F(unreferenced, function_may_release_the_callback)
{
	MODULE_ONLY("no stubs");
	upcall_callback_set_unreferenced(self->shared.callback, tell_and_release);
	ASSERT_EQ(0, come_and_go(&self->shared));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->shared.told);
	EXPECT_EQ(0, self->shared.ret);
	EXPECT_EQ(0, self->shared.destroyed);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));	/* RELEASED */
	EXPECT_EQ(1, self->shared.destroyed);
}

TEST_F(unreferenced, function_may_drop_the_last_reference)
{
	MODULE_ONLY("no stubs");
	upcall_callback_set_unreferenced(self->shared.callback, tell_and_unref);
	ASSERT_EQ(0, come_and_go(&self->shared));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->shared.told);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->shared.destroyed);
}

TEST_F(unreferenced, function_that_waited_for_its_own_end_would_deadlock)
{
	MODULE_ONLY("no stubs");
	upcall_callback_set_unreferenced(self->shared.callback, tell_and_sync);
	ASSERT_EQ(0, come_and_go(&self->shared));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->shared.told);
	EXPECT_EQ(-EDEADLK, self->shared.ret);
}

TEST_F(unreferenced, function_may_export_again)
{
	MODULE_ONLY("no stubs");
	upcall_callback_set_unreferenced(self->shared.callback, tell_and_export);
	ASSERT_EQ(0, come_and_go(&self->shared));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	ASSERT_EQ(0, self->shared.ret);
	EXPECT_EQ(1, upcall_is_stub(self->shared.fd));
	upcall_callback_set_unreferenced(self->shared.callback, tell);
	close(self->shared.fd);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(2, self->shared.told);
}

TEST_F(unreferenced, function_that_stops_ends_the_run)
{
	MODULE_ONLY("no stubs");
	upcall_callback_set_unreferenced(self->shared.callback, tell_and_stop);
	ASSERT_EQ(0, owner_start(&self->owner, 2));
	ASSERT_EQ(0, come_and_go(&self->shared));
	EXPECT_EQ(0, owner_join(&self->owner));
	EXPECT_EQ(1, self->shared.told);
	EXPECT_EQ(1, self->shared.destroyed);
}

TEST_F(unreferenced, news_that_a_wait_for_release_meets_are_told)
{
	struct upcall_callback *second;
	struct shared shared = { 0 };

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, upcall_callback_new(self->peer, NULL, count, &shared, destroy, &second));
	ASSERT_EQ(0, come_and_go(&self->shared));
	EXPECT_EQ(0, upcall_callback_release_sync(second, 0, SOON));
	EXPECT_EQ(1, shared.destroyed);
	EXPECT_EQ(1, self->shared.told);
	upcall_callback_unref(second);
}

TEST_F(unreferenced, retired_callback_is_not_told)
{
	int fd;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, upcall_callback_export(self->shared.callback, &fd));
	ASSERT_EQ(0, upcall_callback_release(self->shared.callback, 0));
	close(fd);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));	/* RELEASED */
	EXPECT_TRUE(nothing_comes(self->peer));
	EXPECT_EQ(0, self->shared.told);
}

TEST_F(unreferenced, pull_gets_it_as_an_incoming_with_the_cookie)
{
	struct upcall_incoming *incoming;
	uint64_t handle;
	int fd;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, upcall_register(self->peer, self->options, 4711, &handle));
	ASSERT_EQ(0, upcall_export(self->peer, handle, &fd));
	close(fd);
	ASSERT_EQ(UPCALL_EVENT_UNREFERENCED, upcall_next(self->peer, SOON, &incoming));
	EXPECT_EQ(UPCALL_EVENT_UNREFERENCED, upcall_incoming_type(incoming));
	EXPECT_EQ(handle, upcall_incoming_handle(incoming));
	EXPECT_EQ(4711, upcall_incoming_cookie(incoming));
	EXPECT_EQ(0, upcall_incoming_id(incoming));
	EXPECT_EQ(0, upcall_incoming_len(incoming));
	EXPECT_EQ(-EINVAL, upcall_reply(incoming, 0, NULL, 0));
	upcall_incoming_free(incoming);
}

TEST_F(unreferenced, auto_release_ends_it_without_a_word)
{
	struct upcall_callback *callback;
	struct shared shared = { 0 };
	int fd;

	MODULE_ONLY("no stubs");
	upcall_options_set_auto_release(self->options, 1);
	EXPECT_EQ(-EINVAL, upcall_callback_new(self->peer, self->options, count, &shared, destroy,
					       &callback));
	EXPECT_EQ(0, shared.destroyed);
	upcall_options_set_unreferenced(self->options, 0);
	ASSERT_EQ(0, upcall_callback_new(self->peer, self->options, count, &shared, destroy,
					 &callback));
	ASSERT_EQ(0, upcall_callback_export(callback, &fd));
	close(fd);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, shared.destroyed);
	EXPECT_EQ(-ESTALE, upcall_callback_export(callback, &fd));
	upcall_callback_unref(callback);
}

TEST_HARNESS_MAIN
