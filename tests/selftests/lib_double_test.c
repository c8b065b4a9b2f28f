// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is special to the library's test double: "test:NAME" instead of a device. It needs
 * no module.
 */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include "lib_test.h"
#include "../../user/lib/internal.h"

static uint64_t instance_of(struct upcall_peer *peer)
{
	struct upcall_info info;

	return upcall_info(peer, &info, sizeof(info)) ? 0 : info.instance;
}

static short poll_now(struct upcall_peer *peer)
{
	struct pollfd pfd = { .fd = upcall_fd(peer), .events = POLLIN | POLLOUT };

	return poll(&pfd, 1, 0) < 0 ? 0 : pfd.revents;
}

static int notify(struct upcall_peer *peer, uint64_t handle, const void *arg, uint32_t len)
{
	struct upcall_invoke args = {
		.size = sizeof(args), .target = handle,
		.flags = UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_ONEWAY,
		.arg = (uintptr_t)arg, .arg_len = len,
	};

	return upcall_peer_control(peer, UPCALL_IOC_INVOKE, &args);
}

FIXTURE(double)
{
	struct upcall_peer *owner, *caller;
	struct upcall_options *options;
	struct upcall_call *call;
	struct upcall_incoming *incoming;
	uint64_t handle;
};

FIXTURE_SETUP(double)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, upcall_open("test:double", &self->owner));
	ASSERT_EQ(0, upcall_open("test:double", &self->caller));
	ASSERT_EQ(0, upcall_options_new(&self->options));
	ASSERT_EQ(0, upcall_call_new(self->caller, &self->call));
	upcall_options_set_limits(self->options, 64, 4, 4 * 64);
	ASSERT_EQ(0, upcall_register(self->owner, self->options, 1, &self->handle));
}

FIXTURE_TEARDOWN(double)
{
	upcall_incoming_free(self->incoming);
	upcall_call_free(self->call);
	upcall_options_free(self->options);
	upcall_close(self->caller);
	upcall_close(self->owner);
}

TEST_F(double, same_name_is_the_same_registry_and_another_name_another)
{
	struct upcall_peer *other, *unnamed, *unnamed_too;
	struct upcall_stat stat;

	ASSERT_EQ(0, upcall_open("test:other", &other));
	ASSERT_EQ(0, upcall_open("test:", &unnamed));
	ASSERT_EQ(0, upcall_open("test:", &unnamed_too));
	EXPECT_EQ(instance_of(self->owner), instance_of(self->caller));
	EXPECT_NE(instance_of(self->owner), instance_of(other));
	EXPECT_NE(instance_of(other), instance_of(unnamed));
	EXPECT_EQ(instance_of(unnamed), instance_of(unnamed_too));
	EXPECT_EQ(0, upcall_stat(self->caller, self->handle, &stat, sizeof(stat)));
	EXPECT_EQ(-ESTALE, upcall_stat(other, self->handle, &stat, sizeof(stat)));
	upcall_close(unnamed_too);
	upcall_close(unnamed);
	upcall_close(other);
}

TEST(registry_goes_with_its_last_peer_and_its_handles_never_come_back)
{
	struct upcall_options *options;
	uint64_t handle, again, instance;
	struct upcall_peer *peer;
	struct upcall_stat stat;

	ASSERT_EQ(0, upcall_options_new(&options));
	ASSERT_EQ(0, upcall_open("test:goes", &peer));
	ASSERT_EQ(0, upcall_register(peer, options, 1, &handle));
	instance = instance_of(peer);
	upcall_close(peer);
	ASSERT_EQ(0, upcall_open("test:goes", &peer));
	EXPECT_NE(instance, instance_of(peer));
	EXPECT_EQ(-ESTALE, upcall_stat(peer, handle, &stat, sizeof(stat)));
	ASSERT_EQ(0, upcall_register(peer, options, 1, &again));
	EXPECT_NE(handle, again);
	EXPECT_GE(UPCALL_MAX_HANDLE, again);
	upcall_close(peer);
	upcall_options_free(options);
}

TEST_F(double, dead_handle_says_why)
{
	EXPECT_EQ(0, upcall_shutdown(self->owner));
	EXPECT_EQ(-ESTALE, upcall_call_invoke(self->call, self->handle, 0, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	EXPECT_EQ(UPCALL_REASON_SHUTDOWN, upcall_call_reason(self->call));
}

TEST_F(double, descriptor_tells_of_events_and_of_the_end)
{
	EXPECT_EQ(POLLOUT, poll_now(self->owner));
	ASSERT_EQ(0, upcall_release(self->owner, self->handle, 0));
	EXPECT_EQ(POLLIN | POLLOUT, poll_now(self->owner));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, upcall_next(self->owner, SOON, &self->incoming));
	EXPECT_EQ(POLLOUT, poll_now(self->owner));
	ASSERT_EQ(0, upcall_shutdown(self->owner));
	EXPECT_EQ(POLLHUP, poll_now(self->owner) & POLLHUP);
}

TEST_F(double, descriptor_is_not_writable_while_the_queue_that_refused_is_full)
{
	int sent = 0;

	while (notify(self->caller, self->handle, "x", 1) == 0)
		sent++;
	EXPECT_EQ(2, sent);	/* one uid has half of a queue of 4 */
	EXPECT_EQ(0, poll_now(self->caller) & POLLOUT);
	EXPECT_EQ(POLLOUT, poll_now(self->owner) & POLLOUT);
	EXPECT_EQ(UPCALL_EVENT_CALL, upcall_next(self->owner, SOON, &self->incoming));
	EXPECT_EQ(POLLOUT, poll_now(self->caller) & POLLOUT);
}

TEST_F(double, child_of_fork_gets_eperm_and_may_have_a_registry_of_its_own)
{
	struct upcall_peer *fresh, *unused;
	struct upcall_stat stat;
	uint64_t handle;
	int status;
	pid_t pid;

	ASSERT_EQ(0, upcall_open("test:double", &unused));
	pid = fork();
	if (!pid) {
		if (upcall_stat(self->caller, self->handle, &stat, sizeof(stat)) != -EPERM)
			_exit(1);
		if (upcall_stat(unused, self->handle, &stat, sizeof(stat)) != -EPERM)
			_exit(2);
		if (upcall_open("test:double", &fresh) ||
		    upcall_stat(fresh, self->handle, &stat, sizeof(stat)) != -ESTALE)
			_exit(3);
		if (upcall_register(fresh, self->options, 1, &handle) || handle == self->handle)
			_exit(4);
		upcall_close(fresh);
		upcall_close(unused);
		upcall_close(self->caller);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, upcall_stat(self->caller, self->handle, &stat, sizeof(stat)));
	upcall_close(unused);
}

TEST_F(double, bad_address_is_a_fault_only_where_nothing_is_ever_mapped)
{
	EXPECT_EQ(-EFAULT, notify(self->caller, self->handle, (void *)8, 1));
	EXPECT_EQ(0, notify(self->caller, self->handle, NULL, 0));
}

static int open_fds(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

TEST(everything_is_given_back)
{
	struct upcall_peer *peer, *other;
	int before = open_fds(), i;
	struct upcall_options *options;
	uint64_t handle;

	ASSERT_EQ(0, upcall_options_new(&options));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, upcall_open("test:back", &peer));
		ASSERT_EQ(0, upcall_open("test:back", &other));
		ASSERT_EQ(0, upcall_register(peer, options, 1, &handle));
		ASSERT_EQ(0, notify(other, handle, "bytes", 5));
		upcall_close(i % 2 ? peer : other);	/* either side may go first */
		upcall_close(i % 2 ? other : peer);
	}
	upcall_options_free(options);
	EXPECT_EQ(before, open_fds());
}

TEST_HARNESS_MAIN
