// SPDX-License-Identifier: GPL-2.0-only
/* One stub fd in several processes: what each of them left there, and is told. */
#include "kselftest_harness.h"
#include "fds.h"
#include "puppet.h"
#include "stub.h"

/* The stub of this process; a puppet has its own copy of the variable. */
static int my_stub = -1;

static int do_take_stub(struct puppet_mem *mem)
{
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0);

	my_stub = syscall(SYS_pidfd_getfd, pidfd, (int)mem->value, 0);
	close(pidfd);
	return my_stub < 0 ? -errno : 0;
}

static int do_stub_invoke(struct puppet_mem *mem)
{
	return verb(my_stub, UPCALL_IOC_INVOKE, &mem->inv);
}

/* The test itself is the owner; two others hold the stub as well. */
FIXTURE(shared) {
	struct puppet holder, other;
	uint64_t handle;
};

static struct puppet holder_new(uid_t uid)
{
	struct puppet puppet = puppet_new();

	puppet.mem->value = my_stub;
	if (puppet_do(&puppet, do_take_stub))
		abort();
	puppet.mem->value = uid;
	if (uid && puppet_do(&puppet, become))
		abort();
	return puppet;
}

FIXTURE_SETUP(shared)
{
	struct upcall_register args = REGISTER_ARGS(.access = UPCALL_ACCESS_STUB_ONLY,
						    .flags = UPCALL_REGISTER_UNREFERENCED);

	my_peer = peer_open();
	ASSERT_EQ(0, verb(my_peer, UPCALL_IOC_REGISTER, &args));
	self->handle = args.handle;
	my_stub = export_stub(my_peer, self->handle);
	ASSERT_LE(0, my_stub);
	self->holder = holder_new(ALICE);
	self->other = holder_new(ALICE);
}

FIXTURE_TEARDOWN(shared)
{
	puppet_kill(&self->holder, SIGKILL);
	puppet_kill(&self->other, SIGKILL);
	close(my_stub);
	close(my_peer);
}

static int do_wait_out(struct puppet_mem *mem)
{
	struct pollfd pollfd = { .fd = my_stub, .events = POLLOUT };

	(void)mem;
	return poll(&pollfd, 1, SOON_MS) == 1 ? pollfd.revents : -ETIME;
}

/* What the other one of that user has sent fills its half of the queue. */
TEST_F(shared, room_is_waited_for_in_a_user_namespace_too)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, puppet_do(&self->holder, enter_user_ns));
	self->other.mem->inv = INVOKE_ARGS(0);
	self->other.mem->inv.flags |= UPCALL_INVOKE_ONEWAY;
	while (!puppet_do(&self->other, do_stub_invoke))
		;
	puppet_start(&self->holder, do_wait_out);
	ASSERT_TRUE(eventually(task_state(self->holder.pid) == 'S'));
	ASSERT_FALSE(puppet_done(&self->holder));
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(POLLOUT, puppet_wait(&self->holder));
}

static int notify_latest(struct puppet *puppet, uint32_t op)
{
	puppet->mem->inv = INVOKE_ARGS(0, .op = op);
	puppet->mem->inv.flags |= UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_LATEST;
	return puppet_do(puppet, do_stub_invoke);
}

TEST_F(shared, latest_replaces_what_the_same_process_sent_and_nobody_elses)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, notify_latest(&self->holder, 1));
	ASSERT_EQ(0, notify_latest(&self->other, 1));
	ASSERT_EQ(0, notify_latest(&self->holder, 1));
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(self->holder.pid, call.pid);
	EXPECT_EQ(1, call.dropped);
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(self->other.pid, call.pid);
	EXPECT_EQ(0, call.dropped);
}

/* A call by a holder whose reply, of 8 bytes, is kept for it. */
static int keep_reply(struct puppet *holder)
{
	struct upcall_event_call call;
	int err;

	holder->mem->inv = INVOKE_ARGS(0, .reply_max = 8);
	puppet_start(holder, do_stub_invoke);
	err = next_call(my_peer, &call) ?: reply(my_peer, call.call, 0, "7 bytes", 8);
	return puppet_wait(holder) == -EMSGSIZE ? err : -EPROTO;
}

#define MANY	200	/* more than are ended in one go */

TEST_F(shared, replies_kept_for_a_process_end_with_it_and_others_stay)
{
	int i;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, keep_reply(i % 2 ? &self->holder : &self->other));
	EXPECT_EQ(MANY, listed_user(my_peer, ALICE, 0).queued_calls);
	puppet_kill(&self->holder, SIGKILL);
	self->holder = puppet_new();
	EXPECT_TRUE(eventually(listed_user(my_peer, ALICE, 0).queued_calls == MANY / 2));
	/* The last one of them. */
	self->other.mem->inv.reply = ptr64(self->other.mem->buf);
	self->other.mem->inv.reply_room = 8;
	EXPECT_EQ(0, puppet_do(&self->other, do_stub_invoke));
}

/* It might hold that very stub, which would be open for ever. */
TEST_F(shared, reply_with_descriptors_is_not_kept_on_a_stub)
{
	struct upcall_invoke args = INVOKE_ARGS(0, .reply_max = 8, .reply_fd_room = 1);
	struct upcall_event_call call;
	union any_event event;

	EXPECT_EQ(-EINVAL, verb(my_stub, UPCALL_IOC_INVOKE, &args));
	/* Neither does an interrupted call wait for somebody to come back to it. */
	self->holder.mem->value = 0;
	ASSERT_EQ(0, puppet_do(&self->holder, do_catch));
	self->holder.mem->inv = INVOKE_ARGS(0, .reply_fd_room = 1,
					    .reply_fds = ptr64(self->holder.mem->buf));
	puppet_start(&self->holder, do_stub_invoke);
	ASSERT_EQ(0, next_call(my_peer, &call));
	kill(self->holder.pid, SIGUSR1);
	EXPECT_EQ(0, reply_fds(my_peer, call.call, &my_stub, 1, NULL));
	EXPECT_EQ(0, puppet_wait(&self->holder));
	EXPECT_EQ(1, self->holder.mem->inv.reply_fd_count);
	puppet_kill(&self->other, SIGKILL);
	puppet_kill(&self->holder, SIGKILL);
	close(my_stub);
	my_stub = -1;
	EXPECT_EQ(UPCALL_EVENT_UNREFERENCED, next_event(my_peer, &event));
}

TEST_HARNESS_MAIN
