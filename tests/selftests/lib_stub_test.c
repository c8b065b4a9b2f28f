// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stubs, by the library: who calls through them, and how.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "lib_test.h"

enum { OP_ECHO, OP_FLAGS, OP_WAIT, OP_FILL };

struct shared {
	atomic_int calls;
	atomic_int cancelled;
	atomic_bool go;
};

/* What it does is the caller's to say. */
static int serve(struct upcall_incoming *incoming, void *user)
{
	uint32_t flags = upcall_incoming_flags(incoming);
	struct shared *shared = user;
	static char large[20000];

	shared->calls++;
	switch (upcall_incoming_op(incoming)) {
	case OP_ECHO:
		upcall_reply(incoming, 5, upcall_incoming_data(incoming),
			     upcall_incoming_len(incoming));
		break;
	case OP_FLAGS:
		upcall_reply(incoming, 0, &flags, sizeof(flags));
		break;
	case OP_WAIT:
		(void)eventually(shared->go || upcall_incoming_cancelled(incoming));
		shared->cancelled = upcall_incoming_cancelled(incoming);
		break;
	case OP_FILL:
		memset(large, 'x', sizeof(large));
		upcall_reply(incoming, 0, large, sizeof(large));
	}
	return 0;
}

FIXTURE(stub)
{
	struct shared shared;
	struct owner owner;
	struct upcall_callback *callback;
	uint64_t handle;
	int fd;				/* a stub */
	struct upcall_peer *peer;	/* on another one */
	struct upcall_call *call;	/* of that */
	struct upcall_peer *other;	/* no stub */
};

FIXTURE_SETUP(stub)
{
	int fd;

	memset(self, 0, sizeof(*self));
	self->fd = -1;
	if (on_double())
		return;
	ASSERT_EQ(0, upcall_open(NULL, &self->owner.peer));
	ASSERT_EQ(0, upcall_open(NULL, &self->other));
	ASSERT_EQ(0, upcall_callback_new(self->owner.peer, NULL, serve, &self->shared, NULL,
					 &self->callback));
	self->handle = upcall_callback_handle(self->callback);
	ASSERT_EQ(0, upcall_callback_export(self->callback, &self->fd));
	ASSERT_EQ(0, upcall_export(self->owner.peer, self->handle, &fd));
	ASSERT_EQ(0, upcall_open_stub(fd, &self->peer));
	ASSERT_EQ(0, upcall_call_new(self->peer, &self->call));
	ASSERT_EQ(0, owner_start(&self->owner, 2));
}

FIXTURE_TEARDOWN(stub)
{
	if (on_double())
		return;
	self->shared.go = true;
	upcall_stop(self->owner.peer);
	EXPECT_EQ(0, owner_join(&self->owner));
	upcall_callback_unref(self->callback);
	upcall_call_free(self->call);
	upcall_close(self->peer);
	upcall_close(self->other);
	upcall_close(self->owner.peer);
	close(self->fd);
}

static int exit_status(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(stub, peer_on_it_calls_notifies_and_stats)
{
	struct upcall_info info;
	struct upcall_stat stat;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(3, upcall_call_invoke(self->call, 0, OP_ECHO, "abc", 3, SOON));
	EXPECT_EQ(0, memcmp("abc", upcall_call_reply(self->call), 3));
	EXPECT_EQ(5, upcall_call_status(self->call));
	EXPECT_EQ(0, upcall_call_notify(self->call, 0, OP_ECHO, NULL, 0, SOON));
	EXPECT_TRUE(eventually(self->shared.calls == 2));
	ASSERT_EQ(0, upcall_stat(self->peer, 0, &stat, sizeof(stat)));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	EXPECT_EQ(getpid(), stat.pid);
	ASSERT_EQ(0, upcall_info(self->peer, &info, sizeof(info)));
	EXPECT_TRUE(info.features & UPCALL_FEATURE_STUB);
}

TEST_F(stub, peer_on_it_is_of_no_use_for_a_handle)
{
	MODULE_ONLY("no stubs");
	EXPECT_EQ(-EINVAL, upcall_call_invoke(self->call, self->handle, OP_ECHO, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
}

TEST_F(stub, owner_sees_that_it_came_through_one)
{
	struct upcall_call *call;
	uint32_t flags;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(4, upcall_call_invoke(self->call, 0, OP_FLAGS, NULL, 0, SOON));
	memcpy(&flags, upcall_call_reply(self->call), sizeof(flags));
	EXPECT_TRUE(flags & UPCALL_CALL_STUB);
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	ASSERT_EQ(4, upcall_call_invoke(call, self->handle, OP_FLAGS, NULL, 0, SOON));
	memcpy(&flags, upcall_call_reply(call), sizeof(flags));
	EXPECT_FALSE(flags & UPCALL_CALL_STUB);
	upcall_call_free(call);
}

static int call_shut_in(int fd)
{
	const struct rlimit none = { 0 };
	struct upcall_peer *peer;
	struct upcall_call *call;
	struct upcall_stat stat;
	char root[] = "/tmp/shut-in-XXXXXX";

	if (!mkdtemp(root) || chroot(root) || chdir("/"))
		return 1;
	if (setrlimit(RLIMIT_NOFILE, &none) || setrlimit(RLIMIT_NPROC, &none) ||
	    setgid(65534) || setuid(65534))
		return 2;
	if (open("/", O_RDONLY) >= 0)
		return 3;
	if (upcall_open_stub(fd, &peer) || upcall_call_new(peer, &call))
		return 4;
	if (upcall_call_invoke(call, 0, OP_ECHO, "in", 2, SOON) != 2 ||
	    memcmp(upcall_call_reply(call), "in", 2))
		return 5;
	if (upcall_call_notify(call, 0, OP_ECHO, NULL, 0, SOON) ||
	    upcall_stat(peer, 0, &stat, sizeof(stat)))
		return 6;
	upcall_call_free(call);
	upcall_close(peer);
	return 0;
}

TEST_F(stub, another_user_without_files_or_threads_calls_through_it)
{
	pid_t pid;

	MODULE_ONLY("no stubs");
	pid = fork();
	if (!pid)
		_exit(call_shut_in(self->fd));
	EXPECT_EQ(0, exit_status(pid));
	EXPECT_TRUE(eventually(self->shared.calls == 2));
}

TEST_F(stub, peer_on_it_serves_parent_and_child_alike)
{
	pid_t pid;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(1, upcall_call_invoke(self->call, 0, OP_ECHO, "a", 1, SOON));
	pid = fork();
	if (!pid)
		_exit(upcall_call_invoke(self->call, 0, OP_ECHO, "bc", 2, SOON) != 2);
	EXPECT_EQ(1, upcall_call_invoke(self->call, 0, OP_ECHO, "d", 1, SOON));
	EXPECT_EQ(0, exit_status(pid));
}

TEST_F(stub, is_told_from_a_peer_and_from_other_files)
{
	struct upcall_peer *peer = NULL;
	int ends[2];

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, pipe(ends));
	errno = 7;
	EXPECT_EQ(1, upcall_is_stub(self->fd));
	EXPECT_EQ(0, upcall_is_stub(upcall_fd(self->other)));
	EXPECT_EQ(0, upcall_is_stub(ends[0]));
	EXPECT_EQ(-EBADF, upcall_is_stub(-1));
	EXPECT_EQ(-ENOTTY, upcall_open_fd(self->fd, &peer));
	EXPECT_EQ(-ENOTTY, upcall_open_stub(upcall_fd(self->other), &peer));
	EXPECT_EQ(-ENOTTY, upcall_open_stub(ends[0], &peer));
	EXPECT_EQ(-EBADF, upcall_open_stub(-1, &peer));
	EXPECT_EQ(7, errno);
	EXPECT_EQ(NULL, peer);
	EXPECT_EQ(1, upcall_is_stub(self->fd));	/* nobody closed it */
	EXPECT_TRUE(fcntl(self->fd, F_GETFD) & FD_CLOEXEC);
	/* Nor was the other one bound by the look at it. */
	EXPECT_EQ(0, upcall_set_one_thread(self->other, 1));
	close(ends[0]);
	close(ends[1]);
}

TEST_F(stub, peer_on_it_does_nothing_else)
{
	struct upcall_start start = { .deadline = UPCALL_NO_DEADLINE };
	struct upcall_callback *callback;
	struct upcall_incoming *incoming;
	uint64_t number;
	int fd;

	MODULE_ONLY("no stubs");
	EXPECT_EQ(-ENOTTY, upcall_call_start(self->call, 0, OP_ECHO, NULL, 0, SOON, NULL, NULL));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	EXPECT_EQ(-ENOTTY, upcall_start(self->peer, &start, &number));
	EXPECT_EQ(-ENOTTY, upcall_next(self->peer, UPCALL_NO_WAIT, &incoming));
	EXPECT_EQ(-ENOTTY, upcall_dispatch(self->peer, UPCALL_NO_WAIT));
	EXPECT_EQ(-ENOTTY, upcall_callback_new(self->peer, NULL, serve, NULL, NULL, &callback));
	EXPECT_EQ(-ENOTTY, upcall_register(self->peer, NULL, 0, &number));
	EXPECT_EQ(-ENOTTY, upcall_release(self->peer, self->handle, 0));
	EXPECT_EQ(-ENOTTY, upcall_export(self->peer, self->handle, &fd));
	EXPECT_EQ(-ENOTTY, upcall_set_one_thread(self->peer, 1));
	EXPECT_EQ(-ENOTTY, upcall_shutdown(self->peer));
	/* and can still call */
	EXPECT_EQ(0, upcall_call_invoke(self->call, 0, OP_ECHO, NULL, 0, SOON));
}

TEST_F(stub, reply_longer_than_the_room_is_fetched)
{
	MODULE_ONLY("no stubs");
	ASSERT_EQ(20000, upcall_call_invoke(self->call, 0, OP_FILL, NULL, 0, SOON));
	EXPECT_EQ('x', ((const char *)upcall_call_reply(self->call))[19999]);
}

static void ignore_signal(int number)
{
	(void)number;
}

/* Ends the wait of the thread that is given, again and again until it has. */
static void *interrupt(void *arg)
{
	struct caller *caller = arg;

	for (;;) {
		usleep(1000);
		pthread_testcancel();
		pthread_kill(caller->thread, SIGUSR1);
	}
	return NULL;
}

static int wait_interrupted(struct upcall_call *call, struct shared *shared)
{
	const struct sigaction action = { .sa_handler = ignore_signal };
	struct caller self = { .thread = pthread_self() };
	pthread_t thread;
	int ret;

	sigaction(SIGUSR1, &action, NULL);
	upcall_call_set_interruptible(call, 1);
	if (pthread_create(&thread, NULL, interrupt, &self))
		return -EAGAIN;
	do
		ret = upcall_call_invoke(call, 0, OP_WAIT, NULL, 0, SOON);
	while (ret == -EINTR && !upcall_call_pending(call));
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	return eventually(shared->calls == 1) ? ret : -ETIMEDOUT;
}

TEST_F(stub, interrupted_call_is_waited_for_again)
{
	MODULE_ONLY("no stubs");
	ASSERT_EQ(-EINTR, wait_interrupted(self->call, &self->shared));
	ASSERT_EQ(1, upcall_call_pending(self->call));
	self->shared.go = true;
	EXPECT_EQ(0, upcall_call_wait(self->call, SOON));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, upcall_call_stage(self->call));
	EXPECT_EQ(0, upcall_call_pending(self->call));
	EXPECT_EQ(1, self->shared.calls);
}

TEST_F(stub, interrupted_call_is_given_up_and_its_owner_told)
{
	MODULE_ONLY("no stubs");
	ASSERT_EQ(-EINTR, wait_interrupted(self->call, &self->shared));
	EXPECT_EQ(0, upcall_call_cancel(self->call));
	EXPECT_EQ(0, upcall_call_pending(self->call));
	EXPECT_EQ(-ENOENT, upcall_call_cancel(self->call));
	EXPECT_TRUE(eventually(self->shared.cancelled == ETIMEDOUT));
	EXPECT_EQ(0, upcall_call_invoke(self->call, 0, OP_ECHO, NULL, 0, SOON));
}

TEST_F(stub, polls_hup_when_its_callback_is_no_more)
{
	struct pollfd pollfd = { .events = POLLOUT };
	struct upcall_stat stat;

	MODULE_ONLY("no stubs");
	pollfd.fd = upcall_fd(self->peer);
	ASSERT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLOUT, pollfd.revents);
	ASSERT_EQ(0, upcall_callback_release(self->callback, 0));
	ASSERT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_TRUE(pollfd.revents & POLLHUP);
	EXPECT_EQ(-ESTALE, upcall_call_invoke(self->call, 0, OP_ECHO, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_REASON_RELEASED, upcall_call_reason(self->call));
	ASSERT_EQ(0, upcall_stat(self->peer, 0, &stat, sizeof(stat)));
	EXPECT_NE(UPCALL_STATE_LIVE, stat.state);
}

/* ---- on a real peer, through it ---- */

static void done(struct upcall_call *call, int ret, void *user)
{
	(void)call;
	*(int *)user = ret;
}

TEST_F(stub, call_object_of_a_peer_goes_through_it)
{
	struct upcall_commands *commands;
	struct upcall_call *call;
	int ret = -1;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	upcall_call_set_stub(call, self->fd);
	EXPECT_EQ(2, upcall_call_invoke(call, 1, OP_ECHO, "hi", 2, SOON));
	EXPECT_EQ(0, upcall_call_notify(call, 1, OP_ECHO, NULL, 0, SOON));
	ASSERT_EQ(0, upcall_call_start(call, 1, OP_ECHO, "abc", 3, SOON, done, &ret));
	EXPECT_EQ(1, upcall_dispatch(self->other, SOON));
	EXPECT_EQ(3, ret);
	ASSERT_EQ(0, upcall_commands_new(self->other, &commands));
	EXPECT_EQ(0, upcall_commands_start(commands, call, 1, OP_ECHO, "abcd", 4, SOON, done, &ret));
	EXPECT_EQ(0, upcall_commands_send(commands));
	EXPECT_EQ(1, upcall_dispatch(self->other, SOON));
	EXPECT_EQ(4, ret);
	upcall_commands_free(commands);
	upcall_call_set_nested(call, 1);
	EXPECT_EQ(5, upcall_call_invoke(call, 1, OP_ECHO, "abcde", 5, SOON));
	EXPECT_TRUE(eventually(self->shared.calls == 5));

	upcall_call_set_stub(call, -1);
	EXPECT_EQ(-ESTALE, upcall_call_invoke(call, 1, OP_ECHO, "hi", 2, SOON));
	EXPECT_EQ(2, upcall_call_invoke(call, self->handle, OP_ECHO, "hi", 2, SOON));
	upcall_call_free(call);
}

TEST_F(stub, what_is_none_is_ebadf_or_einval)
{
	struct upcall_call *call;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, upcall_call_new(self->other, &call));
	upcall_call_set_stub(call, upcall_fd(self->other));
	EXPECT_EQ(-EINVAL, upcall_call_invoke(call, self->handle, OP_ECHO, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(call));
	upcall_call_set_stub(call, 9999);
	EXPECT_EQ(-EBADF, upcall_call_invoke(call, self->handle, OP_ECHO, NULL, 0, SOON));
	EXPECT_EQ(-EBADF, upcall_call_start(call, 0, OP_ECHO, NULL, 0, SOON, NULL, NULL));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(call));
	EXPECT_EQ(0, self->shared.calls);
	upcall_call_free(call);
}

TEST_F(stub, pulled_call_goes_through_it)
{
	struct upcall_start start = {
		.handle = self->fd, .flags = UPCALL_START_STUB, .op = OP_ECHO, .arg = "pull",
		.len = 4, .reply_max = 100, .deadline = UPCALL_NO_DEADLINE, .user_data = 4711,
	};
	struct upcall_incoming *incoming;
	uint64_t id;

	MODULE_ONLY("no stubs");
	ASSERT_EQ(0, upcall_start(self->other, &start, &id));
	ASSERT_EQ(UPCALL_EVENT_RESULT, upcall_next(self->other, SOON, &incoming));
	EXPECT_EQ(4711, upcall_incoming_cookie(incoming));
	EXPECT_EQ(4, upcall_incoming_len(incoming));
	upcall_incoming_free(incoming);
	start.flags |= 1U << 31;
	EXPECT_EQ(-EINVAL, upcall_start(self->other, &start, &id));
	start.flags = 0;	/* its number is no handle */
	EXPECT_EQ(-ESTALE, upcall_start(self->other, &start, &id));
}

TEST(on_the_double_there_are_none)
{
	struct upcall_options *options;
	struct upcall_peer *peer;
	struct upcall_info info;
	uint64_t handle;
	int fd = -1;

	ASSERT_EQ(0, upcall_open("test:stub", &peer));
	ASSERT_EQ(0, upcall_info(peer, &info, sizeof(info)));
	EXPECT_FALSE(info.features & (UPCALL_FEATURE_STUB | UPCALL_FEATURE_ADOPT));
	ASSERT_EQ(0, upcall_register(peer, NULL, 0, &handle));
	EXPECT_EQ(-ENOTTY, upcall_export(peer, handle, &fd));
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(0, upcall_is_stub(upcall_fd(peer)));
	ASSERT_EQ(0, upcall_options_new(&options));
	upcall_options_set_unreferenced(options, 1);
	EXPECT_EQ(-EINVAL, upcall_register(peer, options, 0, &handle));
	upcall_options_set_unreferenced(options, 0);
	upcall_options_set_idempotent(options, 1);
	EXPECT_EQ(-EINVAL, upcall_register(peer, options, 0, &handle));
	EXPECT_EQ(-EINVAL, upcall_set_adoptable(peer, 1, 1000));
	EXPECT_EQ(-ENOTTY, upcall_adopt(peer, NULL, NULL));
	upcall_options_free(options);
	upcall_close(peer);
}

TEST_HARNESS_MAIN
