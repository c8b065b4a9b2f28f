// SPDX-License-Identifier: GPL-2.0-only
/*
 * Successors, by the library: a process that owned a peer dies, and this one takes it over.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "lib_test.h"

#define LONG_MS	600000	/* no test waits for it */

/* What the process before tells, and is told. */
struct before {
	atomic_ullong handle;
	atomic_int stub;	/* of it; in the process before */
	atomic_int running;	/* functions begun */
	bool idempotent;
	bool one_thread;
	int64_t orphan_ms;	/* 0: not adoptable */
};

FIXTURE(adopt)
{
	struct before *before;		/* shared with it */
	pid_t pid;			/* of it; 0: dead */
	int fd;				/* its peer */
	struct upcall_peer *peer;	/* on that one, here */
	struct upcall_peer *other;	/* who calls */
	struct upcall_callback *callback;
	struct caller caller;
	atomic_int calls;		/* run here */
	atomic_int again;		/* that were UPCALL_CALL_AGAIN */
	atomic_int destroyed;
};

FIXTURE_SETUP(adopt)
{
	memset(self, 0, sizeof(*self));
	if (on_double())
		return;
	self->before = mmap(NULL, sizeof(*self->before), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->before);
	self->before->orphan_ms = LONG_MS;
	self->fd = open("/dev/upcall", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, upcall_open(NULL, &self->other));
}

static void kill_before(FIXTURE_DATA(adopt) *self)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	self->pid = 0;
}

FIXTURE_TEARDOWN(adopt)
{
	if (on_double())
		return;
	kill_before(self);
	caller_end(&self->caller, self->other);
	upcall_callback_unref(self->callback);
	upcall_close(self->peer);
	upcall_close(self->other);
	close(self->fd);
	munmap(self->before, sizeof(*self->before));
}

/* ---- the process before ---- */

static int old_function(struct upcall_incoming *incoming, void *user)
{
	struct before *before = user;

	before->running++;
	if (upcall_incoming_op(incoming) == 1)	/* never ends */
		for (;;)
			pause();
	return 1;
}

static int be_before(struct before *before, int fd)
{
	struct upcall_callback *callback;
	struct upcall_options *options;
	struct upcall_peer *peer;
	int stub;

	if (upcall_open_fd(fd, &peer) || upcall_options_new(&options))
		return 1;
	if (before->orphan_ms && upcall_set_adoptable(peer, 1, before->orphan_ms))
		return 2;
	if (before->one_thread && upcall_set_one_thread(peer, 1))
		return 3;
	upcall_options_set_idempotent(options, before->idempotent);
	if (upcall_options_set_label(options, "heirloom") ||
	    upcall_callback_new(peer, options, old_function, before, NULL, &callback) ||
	    upcall_callback_export(callback, &stub))
		return 4;
	before->stub = stub;
	before->handle = upcall_callback_handle(callback);
	return upcall_run(peer, 1);
}

/* Return: its handle, or 0. */
static uint64_t start_before(FIXTURE_DATA(adopt) *self)
{
	self->pid = fork();
	if (!self->pid)
		_exit(be_before(self->before, self->fd));
	(void)eventually(self->before->handle);
	return self->before->handle;
}

/* ---- the successor ---- */

static int new_function(struct upcall_incoming *incoming, void *user)
{
	FIXTURE_DATA(adopt) *self = user;

	self->calls++;
	self->again += !!(upcall_incoming_flags(incoming) & UPCALL_CALL_AGAIN);
	return 2;
}

static void hook(void *user)
{
	((FIXTURE_DATA(adopt) *)user)->destroyed++;
}

/* As upcall_adopt(), of a peer of our own on the file. */
static int succeed(FIXTURE_DATA(adopt) *self, uint64_t *number, uint32_t *callbacks)
{
	int err = upcall_open_fd(dup(self->fd), &self->peer);

	return err ? err : upcall_adopt(self->peer, number, callbacks);
}

/* The handle of the callback of that label; 0: none. */
static uint64_t find(struct upcall_peer *peer, uint64_t number, const char *label)
{
	struct upcall_listing *listing;
	const void *next;
	uint64_t handle = 0;

	if (upcall_listing_new(peer, UPCALL_LIST_CALLBACKS, sizeof(struct upcall_list_callback),
			       &listing))
		return 0;
	while (upcall_listing_next(listing, &next) > 0) {
		const struct upcall_list_callback *record = next;

		if (record->peer == number && !strncmp(record->label, label, UPCALL_MAX_LABEL))
			handle = record->handle;
	}
	upcall_listing_free(listing);
	return handle;
}

TEST_F(adopt, handle_and_label_go_on_in_the_successor)
{
	uint64_t handle, number = 0;
	uint32_t callbacks = 0;
	struct upcall_call *call;

	MODULE_ONLY("no adoption");
	handle = start_before(self);
	ASSERT_NE(0, handle);
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	ASSERT_EQ(0, upcall_call_invoke(call, handle, 0, NULL, 0, SOON));
	EXPECT_EQ(1, upcall_call_status(call));
	upcall_call_free(call);
	kill_before(self);

	ASSERT_EQ(0, caller_start(&self->caller, self->other, handle));
	ASSERT_EQ(0, succeed(self, &number, &callbacks));
	EXPECT_EQ(1, callbacks);
	EXPECT_EQ(handle, find(self->peer, number, "heirloom"));
	ASSERT_EQ(0, upcall_callback_adopt(self->peer, handle, new_function, self, hook,
					   &self->callback));
	EXPECT_EQ(handle, upcall_callback_handle(self->callback));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(0, caller_join(&self->caller));
	EXPECT_EQ(2, upcall_call_status(self->caller.call));
	EXPECT_EQ(0, self->again);

	upcall_callback_unref(self->callback);
	self->callback = NULL;
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->destroyed);
}

TEST_F(adopt, stub_of_the_process_before_calls_the_successor)
{
	struct upcall_call *call;
	struct upcall_peer *stub;
	struct pollfd pollfd;
	uint64_t handle;
	int fd;

	MODULE_ONLY("no adoption");
	handle = start_before(self);
	ASSERT_NE(0, handle);
	fd = syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, self->pid, 0), self->before->stub, 0);
	ASSERT_LE(0, fd);
	kill_before(self);
	ASSERT_EQ(0, upcall_open_stub(fd, &stub));
	pollfd = (struct pollfd){ .fd = fd, .events = POLLOUT };
	ASSERT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLOUT, pollfd.revents);
	ASSERT_EQ(0, upcall_call_new(stub, &call));
	ASSERT_EQ(0, upcall_call_notify(call, 0, 0, NULL, 0, SOON));
	ASSERT_EQ(0, succeed(self, NULL, NULL));
	ASSERT_EQ(0, upcall_callback_adopt(self->peer, handle, new_function, self, hook,
					   &self->callback));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->calls);
	upcall_call_free(call);
	upcall_close(stub);
}

/* What an idempotent call, or one that is not, comes to when its owner dies with it. */
static int die_with_a_call(FIXTURE_DATA(adopt) *self)
{
	struct upcall_start start = {
		.handle = start_before(self), .op = 1, .deadline = UPCALL_NO_DEADLINE,
	};
	uint64_t id;
	int err = upcall_start(self->other, &start, &id);

	if (!err && !eventually(self->before->running == 1))
		err = -ETIMEDOUT;
	kill_before(self);
	return err;
}

TEST_F(adopt, call_that_ran_is_lost_with_its_owner)
{
	struct upcall_incoming *incoming;

	MODULE_ONLY("no adoption");
	ASSERT_EQ(0, die_with_a_call(self));
	ASSERT_EQ(UPCALL_EVENT_RESULT, upcall_next(self->other, SOON, &incoming));
	EXPECT_EQ(EOWNERDEAD, upcall_incoming_error(incoming));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, upcall_incoming_stage(incoming));
	upcall_incoming_free(incoming);
	ASSERT_EQ(0, succeed(self, NULL, NULL));
	EXPECT_EQ(-EAGAIN, upcall_dispatch(self->peer, UPCALL_NO_WAIT));
}

TEST_F(adopt, idempotent_call_that_ran_runs_again)
{
	struct upcall_incoming *incoming;

	MODULE_ONLY("no adoption");
	self->before->idempotent = true;
	ASSERT_EQ(0, die_with_a_call(self));
	EXPECT_EQ(-EAGAIN, upcall_next(self->other, UPCALL_NO_WAIT, &incoming));
	ASSERT_EQ(0, succeed(self, NULL, NULL));
	ASSERT_EQ(0, upcall_callback_adopt(self->peer, self->before->handle, new_function, self,
					   hook, &self->callback));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->again);
	ASSERT_EQ(UPCALL_EVENT_RESULT, upcall_next(self->other, SOON, &incoming));
	EXPECT_EQ(0, upcall_incoming_error(incoming));
	EXPECT_EQ(2, upcall_incoming_status(incoming));
	upcall_incoming_free(incoming);
}

TEST_F(adopt, living_owner_is_ebusy_and_is_left_alone)
{
	struct upcall_call *call;
	uint64_t handle;

	MODULE_ONLY("no adoption");
	handle = start_before(self);
	ASSERT_NE(0, handle);
	EXPECT_EQ(-EBUSY, succeed(self, NULL, NULL));
	upcall_close(self->peer);
	self->peer = NULL;
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	EXPECT_EQ(0, upcall_call_invoke(call, handle, 0, NULL, 0, SOON));
	upcall_call_free(call);
}

static int succeed_as_another_user(FIXTURE_DATA(adopt) *self)
{
	if (setgid(65534) || setuid(65534))
		return 1;
	return succeed(self, NULL, NULL) == -EPERM ? 0 : 2;
}

TEST_F(adopt, another_user_is_eperm_and_leaves_it_an_orphan)
{
	int status;
	pid_t pid;

	MODULE_ONLY("no adoption");
	ASSERT_NE(0, start_before(self));
	kill_before(self);
	pid = fork();
	if (!pid) {
		int code = succeed_as_another_user(self);

		upcall_close(self->peer);
		_exit(code);
	}
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, succeed(self, NULL, NULL));
}

TEST_F(adopt, peer_that_nobody_used_is_enoent_and_can_be_used)
{
	uint64_t handle;

	MODULE_ONLY("no adoption");
	EXPECT_EQ(-ENOENT, succeed(self, NULL, NULL));
	EXPECT_EQ(0, upcall_register(self->peer, NULL, 0, &handle));
}

TEST_F(adopt, peer_that_was_not_made_adoptable_is_eshutdown)
{
	MODULE_ONLY("no adoption");
	self->before->orphan_ms = 0;
	ASSERT_NE(0, start_before(self));
	kill_before(self);
	EXPECT_EQ(-ESHUTDOWN, succeed(self, NULL, NULL));
}

TEST_F(adopt, orphan_that_nobody_took_in_time_is_eshutdown)
{
	struct pollfd pollfd = { .fd = self->fd };

	MODULE_ONLY("no adoption");
	self->before->orphan_ms = 1;
	ASSERT_NE(0, start_before(self));
	kill_before(self);
	ASSERT_EQ(1, poll(&pollfd, 1, 20000 * UPCALL_SLOW));
	EXPECT_TRUE(pollfd.revents & POLLHUP);
	EXPECT_EQ(-ESHUTDOWN, succeed(self, NULL, NULL));
}

TEST_F(adopt, times_from_1_ms_to_an_hour_are_taken)
{
	MODULE_ONLY("no adoption");
	EXPECT_EQ(-EINVAL, upcall_set_adoptable(self->other, 1, 0));
	EXPECT_EQ(-EINVAL, upcall_set_adoptable(self->other, 1, -1));
	EXPECT_EQ(-EINVAL, upcall_set_adoptable(self->other, 1, 3600001));
	EXPECT_EQ(-EINVAL, upcall_set_adoptable(self->other, 1, INT64_MAX));
	EXPECT_EQ(0, upcall_set_adoptable(self->other, 1, 3600000));
	EXPECT_EQ(0, upcall_set_adoptable(self->other, 1, 1));
	EXPECT_EQ(0, upcall_set_adoptable(self->other, 0, -5));
}

TEST_F(adopt, one_thread_that_is_set_later_leaves_it_adoptable)
{
	MODULE_ONLY("no adoption");
	self->before->one_thread = true;
	ASSERT_NE(0, start_before(self));
	kill_before(self);
	EXPECT_EQ(0, succeed(self, NULL, NULL));
}

/* Its cookie is a slot of the process before: here another function has that one. */
TEST_F(adopt, call_to_a_callback_without_a_function_here_is_enosys)
{
	struct upcall_callback *own;
	uint64_t handle;

	MODULE_ONLY("no adoption");
	handle = start_before(self);
	ASSERT_NE(0, handle);
	kill_before(self);
	ASSERT_EQ(0, succeed(self, NULL, NULL));
	ASSERT_EQ(0, upcall_callback_new(self->peer, NULL, new_function, self, hook, &own));
	ASSERT_EQ(0, caller_start(&self->caller, self->other, handle));
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(-ENOSYS, caller_join(&self->caller));
	EXPECT_EQ(0, self->calls);
	upcall_callback_unref(own);
}

TEST_F(adopt, only_a_live_callback_of_this_peer_is_given_a_function_and_once)
{
	struct upcall_callback *second;
	uint64_t handle, others, number;

	MODULE_ONLY("no adoption");
	handle = start_before(self);
	ASSERT_NE(0, handle);
	kill_before(self);
	ASSERT_EQ(0, upcall_register(self->other, NULL, 0, &others));
	ASSERT_EQ(0, succeed(self, &number, NULL));
	EXPECT_EQ(-ESTALE, upcall_callback_adopt(self->peer, 1, new_function, self, hook, &second));
	EXPECT_EQ(-EPERM, upcall_callback_adopt(self->peer, others, new_function, self, hook,
						&second));
	ASSERT_EQ(0, upcall_callback_adopt(self->peer, handle, new_function, self, hook,
					   &self->callback));
	EXPECT_EQ(-EALREADY, upcall_callback_adopt(self->peer, handle, new_function, self, hook,
						   &second));
	ASSERT_EQ(0, upcall_callback_release(self->callback, 0));
	EXPECT_EQ(-ESTALE, upcall_callback_adopt(self->peer, handle, new_function, self, hook,
						 &second));
	EXPECT_EQ(0, self->destroyed);
	EXPECT_EQ(1, upcall_dispatch(self->peer, SOON));
	EXPECT_EQ(1, self->destroyed);
}

TEST_F(adopt, pulled_callback_gets_a_cookie_of_the_successor)
{
	struct upcall_incoming *incoming;
	uint64_t handle;

	MODULE_ONLY("no adoption");
	handle = start_before(self);
	ASSERT_NE(0, handle);
	kill_before(self);
	ASSERT_EQ(0, succeed(self, NULL, NULL));
	ASSERT_EQ(0, caller_start(&self->caller, self->other, handle));
	ASSERT_EQ(0, upcall_rebind(self->peer, handle, 4711));
	ASSERT_EQ(UPCALL_EVENT_CALL, upcall_next(self->peer, SOON, &incoming));
	EXPECT_EQ(4711, upcall_incoming_cookie(incoming));
	EXPECT_EQ(0, upcall_reply(incoming, 3, NULL, 0));
	upcall_incoming_free(incoming);
	EXPECT_EQ(0, caller_join(&self->caller));
	EXPECT_EQ(3, upcall_call_status(self->caller.call));
}

TEST_HARNESS_MAIN
