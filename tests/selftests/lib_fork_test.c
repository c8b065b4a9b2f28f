// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library across fork(): the child's copies are dead, the parent's go on.
 */
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "lib_test.h"

static atomic_int hooks;

static int echo(struct upcall_incoming *incoming, void *user)
{
	(void)user;
	upcall_reply(incoming, 0, upcall_incoming_data(incoming), upcall_incoming_len(incoming));
	return 0;
}

static void hook(void *user)
{
	(void)user;
	hooks++;
}

FIXTURE(fork)
{
	struct owner owner;
	struct upcall_callback *callback;
	struct upcall_peer *other;
	struct upcall_call *call;
	uint64_t handle;
};

FIXTURE_SETUP(fork)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, upcall_open(NULL, &self->owner.peer));
	ASSERT_EQ(0, upcall_open(NULL, &self->other));
	ASSERT_EQ(0, upcall_callback_new(self->owner.peer, NULL, echo, NULL, hook, &self->callback));
	self->handle = upcall_callback_handle(self->callback);
	ASSERT_EQ(0, upcall_call_new(self->other, &self->call));
	ASSERT_EQ(0, owner_start(&self->owner, 2));
	ASSERT_EQ(2, upcall_call_invoke(self->call, self->handle, 0, "hi", 2, SOON));
}

FIXTURE_TEARDOWN(fork)
{
	upcall_stop(self->owner.peer);
	EXPECT_EQ(0, owner_join(&self->owner));
	upcall_callback_unref(self->callback);
	upcall_call_free(self->call);
	upcall_close(self->other);
	upcall_close(self->owner.peer);
	EXPECT_EQ(1, hooks);
}

static int exit_status(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(fork, child_gets_eperm_for_everything)
{
	pid_t pid = fork();

	if (!pid) {
		struct upcall_callback *callback;
		struct upcall_incoming *incoming;
		struct upcall_stat stat;
		uint64_t handle;

		if (upcall_stat(self->owner.peer, self->handle, &stat, sizeof(stat)) != -EPERM)
			_exit(1);
		if (upcall_register(self->owner.peer, NULL, 0, &handle) != -EPERM)
			_exit(2);
		if (upcall_callback_new(self->owner.peer, NULL, echo, NULL, NULL, &callback) != -EPERM)
			_exit(3);
		if (upcall_next(self->owner.peer, SOON, &incoming) != -EPERM)
			_exit(4);
		if (upcall_dispatch(self->owner.peer, SOON) != -EPERM)
			_exit(5);
		if (upcall_run(self->owner.peer, 2) != -EPERM)
			_exit(6);
		if (upcall_stop(self->owner.peer) != -EPERM)
			_exit(7);
		if (upcall_shutdown(self->owner.peer) != -EPERM)
			_exit(8);
		if (upcall_call_invoke(self->call, self->handle, 0, NULL, 0, SOON) != -EPERM)
			_exit(9);
		if (upcall_callback_release(self->callback, 0) != -EPERM)
			_exit(10);
		_exit(0);
	}
	EXPECT_EQ(0, exit_status(pid));
}

TEST_F(fork, childs_close_and_frees_leave_the_parent_alone)
{
	pid_t pid = fork();

	if (!pid) {
		upcall_callback_unref(self->callback);
		upcall_call_free(self->call);
		upcall_close(self->other);
		upcall_close(self->owner.peer);
		_exit(hooks);
	}
	EXPECT_EQ(0, exit_status(pid));
	EXPECT_EQ(2, upcall_call_invoke(self->call, self->handle, 0, "hi", 2, SOON));
}

static void *busy(void *arg)
{
	struct upcall_callback *callback = arg;

	for (int i = 0; i < 1000000; i++) {
		upcall_callback_ref(callback);
		upcall_callback_unref(callback);
	}
	return NULL;
}

TEST_F(fork, child_cannot_block_on_a_lock_that_a_thread_held)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, busy, self->callback));
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(20 * UPCALL_SLOW);
			upcall_callback_unref(self->callback);
			upcall_close(self->owner.peer);
			_exit(0);
		}
		EXPECT_EQ(0, exit_status(pid));
	}
	pthread_join(thread, NULL);
}

TEST_F(fork, child_may_use_peers_of_its_own_and_unused_ones)
{
	struct upcall_peer *unused;
	pid_t pid;

	MODULE_ONLY("another process");
	ASSERT_EQ(0, upcall_open(NULL, &unused));
	pid = fork();
	if (!pid) {
		struct upcall_peer *own;
		struct upcall_call *call;

		if (upcall_open(NULL, &own) || upcall_call_new(own, &call) ||
		    upcall_call_invoke(call, self->handle, 0, "abc", 3, SOON) != 3)
			_exit(1);
		upcall_call_free(call);
		upcall_close(own);
		if (upcall_call_new(unused, &call) ||
		    upcall_call_invoke(call, self->handle, 0, "abc", 3, SOON) != 3)
			_exit(2);
		upcall_call_free(call);
		upcall_close(unused);
		_exit(0);
	}
	EXPECT_EQ(0, exit_status(pid));
	upcall_close(unused);
}

TEST_HARNESS_MAIN
