// SPDX-License-Identifier: GPL-2.0-only
/*
 * EPOLLOUT: cleared by EAGAIN, and set when whoever refused has room again. The caller is
 * a peer of the test itself; the owner is a puppet.
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/epoll.h>
#include "puppet.h"

#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))
#define ONEWAY		(UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE)

/* The callback has room for one call. */
FIXTURE(out) {
	struct puppet owner, bob;
	uint64_t handle;
	int caller;
	int ep;		/* watches @caller for EPOLLOUT, edge triggered */
};

static uint64_t register_room(struct puppet *owner, uint32_t calls, uint64_t bytes)
{
	owner->mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_queued_calls = calls,
					.max_queued_bytes = bytes, .max_arg = 1000);
	puppet_do(owner, do_register);
	return owner->mem->handle;
}

static int epoll_wait_out(int ep, int timeout)
{
	struct epoll_event event;
	int n = epoll_wait(ep, &event, 1, timeout);

	return n == 1 ? (int)event.events : n;
}

FIXTURE_SETUP(out)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };

	my_peer = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, my_peer);
	ASSERT_LE(0, self->caller);
	self->owner = puppet_new();
	self->bob = puppet_of(BOB);
	self->handle = register_room(&self->owner, 1, 1000);
	ASSERT_NE(0, self->handle);
	self->ep = epoll_create1(EPOLL_CLOEXEC);
	ASSERT_EQ(0, epoll_ctl(self->ep, EPOLL_CTL_ADD, self->caller, &event));
	ASSERT_EQ(EPOLLOUT, epoll_wait_out(self->ep, 0));
}

FIXTURE_TEARDOWN(out)
{
	close(self->caller);
	close(self->ep);
	puppet_kill(&self->owner, SIGKILL);
	puppet_kill(&self->bob, SIGKILL);
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, BOB) && user_owes_nothing(my_peer, 0)));
}

static int notify(int fd, uint64_t handle, uint32_t len)
{
	static char arg[1000];
	struct upcall_invoke args = INVOKE_ARGS(handle, .flags = ONEWAY, .arg = ptr64(arg),
						.arg_len = len);

	return verb(fd, UPCALL_IOC_INVOKE, &args);
}

static bool out(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

	return poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLOUT;
}

static int take(struct puppet *owner)
{
	int type = puppet_do(owner, do_receive);

	return type == UPCALL_EVENT_CALL ? puppet_reply(owner, 0) : -EPROTO;
}

/* Told by the edge, once, and by poll. */
#define EXPECT_OUT() do {							\
	EXPECT_EQ(EPOLLOUT, epoll_wait_out(self->ep, SOON_MS));			\
	EXPECT_EQ(0, epoll_wait_out(self->ep, 0));				\
	EXPECT_TRUE(out(self->caller));						\
} while (0)

#define EXPECT_NO_OUT() do {							\
	EXPECT_EQ(0, epoll_wait_out(self->ep, 0));				\
	EXPECT_FALSE(out(self->caller));					\
} while (0)

/* Fills the queue and is refused. */
#define REFUSED(handle) do {							\
	ASSERT_EQ(0, notify(self->caller, (handle), 0));			\
	EXPECT_EQ(0, epoll_wait_out(self->ep, 0));				\
	ASSERT_EQ(-EAGAIN, notify(self->caller, (handle), 0));			\
	EXPECT_NO_OUT();							\
} while (0)

TEST_F(out, clears_at_eagain_and_comes_back_with_room)
{
	int i;

	for (i = 0; i < 3; i++) {
		REFUSED(self->handle);
		EXPECT_EQ(0, take(&self->owner));
		EXPECT_OUT();
	}
	EXPECT_EQ(3, puppet_stat(&self->owner, self->handle).refused);
}

TEST_F(out, clears_for_whatever_was_refused)
{
	struct upcall_command cmd = { .type = UPCALL_COMMAND_CALL, .target = self->handle,
				      .flags = UPCALL_INVOKE_NO_DEADLINE };
	struct upcall_invoke args = INVOKE_ARGS(self->handle);

	ASSERT_EQ(0, notify(self->caller, self->handle, 0));
	EXPECT_EQ(-EAGAIN, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_NO_OUT();
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_OUT();
	ASSERT_EQ(0, notify(self->caller, self->handle, 0));
	EXPECT_EQ(-EAGAIN, command(self->caller, &cmd));
	EXPECT_NO_OUT();
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_OUT();
	ASSERT_EQ(0, notify(self->caller, self->handle, 0));
	cmd.type = UPCALL_COMMAND_NOTIFY;
	EXPECT_EQ(-EAGAIN, command(self->caller, &cmd));
	EXPECT_NO_OUT();
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_OUT();
}

static int do_refuse(struct puppet_mem *mem)
{
	return refuse(my_peer, mem->event.call.call, EAGAIN);
}

static void *refused_by_owner(void *arg)
{
	struct puppet *owner = arg;

	if (puppet_do(owner, do_receive) == UPCALL_EVENT_CALL)
		puppet_do(owner, do_refuse);
	return NULL;
}

TEST_F(out, stays_when_the_owner_itself_refuses_with_eagain)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle);
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, refused_by_owner, &self->owner));
	EXPECT_EQ(-EAGAIN, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_TRUE(out(self->caller));
	pthread_join(thread, NULL);
}

TEST_F(out, stays_for_a_call_that_waits_for_room)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .flags = UPCALL_INVOKE_WAIT_ROOM,
						.deadline_ns = in_ms(50));

	ASSERT_EQ(0, notify(self->caller, self->handle, 0));
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_TRUE(out(self->caller));
}

TEST_F(out, stays_for_other_peers)
{
	REFUSED(self->handle);
	EXPECT_TRUE(out(my_peer));
}

TEST_F(out, waits_for_room_for_this_uid)
{
	self->handle = register_room(&self->owner, 3, 1000);
	ASSERT_EQ(0, notify(self->caller, self->handle, 0));
	REFUSED(self->handle);
	ASSERT_EQ(0, puppet_notify(&self->bob, self->handle));
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_NO_OUT();	/* the place that was freed is another uid's to have */
	EXPECT_EQ(-EAGAIN, notify(self->caller, self->handle, 0));
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_OUT();
	EXPECT_EQ(0, notify(self->caller, self->handle, 0));
}

static int do_wait_out(struct puppet_mem *mem)
{
	struct pollfd pollfd = { .fd = my_peer, .events = POLLOUT };

	(void)mem;
	return poll(&pollfd, 1, SOON_MS) == 1 ? pollfd.revents : -ETIME;
}

TEST_F(out, comes_back_to_who_was_refused_twice_in_a_user_namespace)
{
	ASSERT_EQ(0, puppet_do(&self->bob, enter_user_ns));
	ASSERT_EQ(0, notify(self->caller, self->handle, 0));
	ASSERT_EQ(-EAGAIN, puppet_notify(&self->bob, self->handle));
	ASSERT_EQ(-EAGAIN, puppet_notify(&self->bob, self->handle));
	puppet_start(&self->bob, do_wait_out);
	ASSERT_TRUE(eventually(task_state(self->bob.pid) == 'S'));
	ASSERT_FALSE(puppet_done(&self->bob));
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_EQ(POLLOUT, puppet_wait(&self->bob));
}

TEST_F(out, waits_for_room_for_an_argument_of_that_length)
{
	self->handle = register_room(&self->owner, 8, 1000);
	ASSERT_EQ(0, notify(self->caller, self->handle, 20));
	ASSERT_EQ(0, notify(self->caller, self->handle, 380));
	EXPECT_EQ(-EAGAIN, notify(self->caller, self->handle, 650));
	EXPECT_NO_OUT();
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_NO_OUT();
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_OUT();
	EXPECT_EQ(0, notify(self->caller, self->handle, 650));
}

TEST_F(out, remembers_the_last_of_two_refusals)
{
	uint64_t other = register_room(&self->owner, 1, 1000);

	REFUSED(self->handle);
	ASSERT_EQ(0, notify(my_peer, other, 0));
	EXPECT_EQ(-EAGAIN, notify(self->caller, other, 0));
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_EQ(0, notify(self->caller, self->handle, 0));
	EXPECT_NO_OUT();
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_OUT();
}

static int do_release(struct puppet_mem *mem)
{
	return release(my_peer, mem->handle, 0);
}

TEST_F(out, comes_back_when_the_callback_is_released)
{
	REFUSED(self->handle);
	self->owner.mem->handle = self->handle;
	EXPECT_EQ(0, puppet_do(&self->owner, do_release));
	EXPECT_OUT();
}

TEST_F(out, comes_back_when_the_owner_dies)
{
	REFUSED(self->handle);
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_OUT();
	self->owner = puppet_new();
}

TEST_F(out, of_an_ended_peer_is_asked_for_by_nobody)
{
	REFUSED(self->handle);
	EXPECT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(EPOLLHUP, epoll_wait_out(self->ep, SOON_MS) & (EPOLLHUP | EPOLLOUT));
	EXPECT_EQ(0, take(&self->owner));
	EXPECT_EQ(0, epoll_wait_out(self->ep, 0));
}

/* More than are woken under one hold of the lock. */
TEST_F(out, comes_back_for_all_of_many_peers)
{
	int fds[100];
	size_t i;

	ASSERT_EQ(0, notify(self->caller, self->handle, 0));
	for (i = 0; i < LENGTH(fds); i++) {
		fds[i] = peer_open();
		ASSERT_EQ(-EAGAIN, notify(fds[i], self->handle, 0));
		EXPECT_FALSE(out(fds[i]));
	}
	EXPECT_EQ(0, take(&self->owner));
	for (i = 0; i < LENGTH(fds); i++) {
		EXPECT_TRUE(eventually(out(fds[i])));
		close(fds[i]);
	}
}

/* Two ends race, over and over: the caller's, and that of what was refused. */
static int refused_and_gone(void *handle)
{
	int fd = peer_open();

	while (!notify(fd, *(uint64_t *)handle, 0))
		;
	return 0;
}

TEST_F(out, is_forgotten_by_a_caller_that_exits_while_room_comes)
{
	pid_t pid;
	int i;

	for (i = 0; i < 100; i++) {
		pid = spawn(refused_and_gone, &self->handle);
		EXPECT_EQ(0, take(&self->owner));
		while (puppet_stat(&self->owner, self->handle).queued)
			EXPECT_EQ(0, take(&self->owner));
		EXPECT_EQ(0, reap(pid));
		while (puppet_stat(&self->owner, self->handle).queued)
			EXPECT_EQ(0, take(&self->owner));
	}
}

/* RESULTs are not received: 8 times the half of a queue is as many as may be. */
TEST_F(out, waits_for_results_to_be_received)
{
	static struct upcall_command cmds[UPCALL_MAX_COMMANDS];
	struct upcall_exchange args = {
		.size = sizeof(args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(cmds), .command_count = LENGTH(cmds),
		.command_size = sizeof(cmds[0]),
	};
	struct upcall_command cmd = { .type = UPCALL_COMMAND_CALL,
				      .flags = UPCALL_INVOKE_NO_DEADLINE };
	union any_event event;
	uint32_t made;
	size_t i;

	for (made = 0; made < UPCALL_MAX_OUTGOING; made += LENGTH(cmds)) {
		if (!(made % 2048)) {	/* the queue's calls fail, and have their RESULTs */
			release(my_peer, cmd.target, UPCALL_RELEASE_ABORT);
			cmd.target = register_room(&self->owner, 4096, 1000);
		}
		for (i = 0; i < LENGTH(cmds); i++)
			cmds[i] = cmd;
		ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_EXCHANGE, &args));
		ASSERT_EQ(0, args.commands_failed);
	}
	EXPECT_EQ(0, epoll_wait_out(self->ep, 0));
	release(my_peer, cmd.target, UPCALL_RELEASE_ABORT);
	cmd.target = self->handle;
	EXPECT_EQ(-EAGAIN, command(self->caller, &cmd));
	EXPECT_NO_OUT();
	ASSERT_EQ(0, receive(self->caller, &event, sizeof(event), 0, 0, NULL));
	EXPECT_EQ(UPCALL_EVENT_RESULT, (int)event.event.type);
	EXPECT_OUT();
}

TEST_HARNESS_MAIN
