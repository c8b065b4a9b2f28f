// SPDX-License-Identifier: GPL-2.0-only
/* An INVOKE with the call_id of an interrupted call: it is about that call, or says nothing. */
#include "kselftest_harness.h"
#include "puppet.h"
#include "stall.h"

FIXTURE(resume) {
	struct puppet caller;
	uint64_t handle;	/* of the test itself */
};

FIXTURE_SETUP(resume)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->caller = puppet_new();
	self->handle = register_new(my_peer, 1, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
}

FIXTURE_TEARDOWN(resume)
{
	puppet_kill(&self->caller, SIGKILL);
	close(my_peer);
}

/* Its handler has run. */
static bool signalled(struct puppet *puppet)
{
	uint32_t before = puppet_caught(puppet);

	kill(puppet->pid, SIGUSR1);
	return eventually(puppet_caught(puppet) == before + 1);
}

static bool waits(struct puppet *puppet)
{
	return eventually(sleeps_in_ioctl(puppet->pid));
}

/* The wait for a call that may have run ends, and its id is told. */
static bool interrupted(struct puppet *puppet)
{
	return waits(puppet) && signalled(puppet) && puppet_wait(puppet) == -EINTR &&
	       puppet->mem->inv.stage == UPCALL_STAGE_DELIVERED && puppet->mem->inv.call_id;
}

/* Begins to wait again, with members that are not to be read; op 99, and another target. */
static void resume_start(struct puppet *caller, uint64_t target)
{
	caller->mem->inv = INVOKE_ARGS(target, .op = 99, .call_id = caller->mem->inv.call_id,
				       .arg = 8, .arg_len = 100, .reply_max = 4096,
				       .reply = ptr64(caller->mem->buf), .reply_room = 4096);
	puppet_start(caller, do_invoke);
}

/* --- errors that are found before the wait --------------------------------------- */

/* Nothing is written: @mem->value is whether so. Else as do_invoke(). */
static int invoke_and_compare(struct puppet_mem *mem)
{
	struct upcall_invoke before;
	int err;

	mem->inv.stage = 77;
	mem->inv.seq = 78;
	before = mem->inv;
	err = do_invoke(mem);
	mem->value = !memcmp(&before, &mem->inv, sizeof(before));
	return err;
}

static int exit_with_invoke(void *arg)
{
	int err = -invoke_and_compare(arg);

	return my_mem->value ? err : 255;
}

/* As a forked child, whose peer it is not. */
static int invoke_in_a_child(struct puppet_mem *mem)
{
	int status = reap(spawn(exit_with_invoke, mem));

	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static bool call_is_interrupted(FIXTURE_DATA(resume) *self, struct upcall_event_call *call)
{
	puppet_call_start(&self->caller, self->handle);
	return !next_call(my_peer, call) && interrupted(&self->caller);
}

TEST_F(resume, after_shutdown_is_eshutdown_and_nothing_is_written)
{
	struct upcall_event_call call;

	ASSERT_TRUE(call_is_interrupted(self, &call));
	ASSERT_EQ(0, puppet_do(&self->caller, do_shutdown));
	EXPECT_EQ(-ESHUTDOWN, puppet_do(&self->caller, invoke_and_compare));
	EXPECT_EQ(1, self->caller.mem->value);
}

TEST_F(resume, by_a_forked_child_is_eperm_and_nothing_is_written)
{
	struct upcall_event_call call;

	ASSERT_TRUE(call_is_interrupted(self, &call));
	EXPECT_EQ(-EPERM, puppet_do(&self->caller, invoke_in_a_child));
	/* It is still there for the one whose it is. */
	EXPECT_EQ(0, reply(my_peer, call.call, 7, NULL, 0));
	EXPECT_EQ(0, puppet_do(&self->caller, do_invoke));
	EXPECT_EQ(7, self->caller.mem->inv.status);
}

static int invoke_with_unknown_flag(struct puppet_mem *mem)
{
	mem->inv.flags |= 1U << 31;
	return invoke_and_compare(mem);
}

TEST_F(resume, with_an_unknown_flag_is_einval_and_nothing_is_written)
{
	struct upcall_event_call call;

	ASSERT_TRUE(call_is_interrupted(self, &call));
	EXPECT_EQ(-EINVAL, puppet_do(&self->caller, invoke_with_unknown_flag));
	EXPECT_EQ(1, self->caller.mem->value);
}

TEST_F(resume, after_the_call_was_cancelled_is_enoent_and_nothing_is_written)
{
	struct upcall_event_call call;

	ASSERT_TRUE(call_is_interrupted(self, &call));
	ASSERT_EQ(0, puppet_do(&self->caller, do_cancel));
	EXPECT_EQ(-ENOENT, puppet_do(&self->caller, invoke_and_compare));
	EXPECT_EQ(1, self->caller.mem->value);
}

/* --- a call that was put back ------------------------------------------------------ */

/* A call with op 5 whose receiver could not take it after all, and who waits for it no more. */
static int call_is_put_back(FIXTURE_DATA(resume) *self)
{
	struct stalled_receiver receiver;
	struct stall stall = { .uffd = -1 };
	int err = stall_make(&stall, true);

	if (err)
		return err;
	self->caller.mem->inv = INVOKE_ARGS(self->handle, .op = 5, .arg_len = 100,
					    .arg = ptr64(self->caller.mem->buf),
					    .reply = ptr64(self->caller.mem->buf),
					    .reply_room = 4096, .reply_max = 4096);
	puppet_start(&self->caller, do_invoke);
	if (!stalled_receive(&receiver, my_peer, &stall, 1) || !interrupted(&self->caller) ||
	    stall_break(&stall) || stalled_join(&receiver) != -EFAULT)
		return -EIO;
	return stat_of(my_peer, self->handle).queued == 1 ? 0 : -EIO;
}

TEST_F(resume, of_a_call_put_back_is_restarted_with_that_call)
{
	uint64_t other = register_new(my_peer, 2, UPCALL_ACCESS_SAME_USER);
	struct upcall_event_call call;
	int err = call_is_put_back(self);

	if (err && err != -EIO)
		SKIP(return, "no userfaultfd here that holds the kernel up: %s", strerror(-err));
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, puppet_catch(&self->caller, SA_RESTART));
	resume_start(&self->caller, other);
	ASSERT_TRUE(waits(&self->caller));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_TRUE(waits(&self->caller));
	EXPECT_FALSE(puppet_done(&self->caller));
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(self->handle, call.event.handle);
	EXPECT_EQ(5, call.op);
	EXPECT_EQ(1, call.seq);
	EXPECT_EQ(100, call.payload_len);
	EXPECT_EQ(0, reply(my_peer, call.call, 7, NULL, 0));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(1, self->caller.mem->inv.seq);
	EXPECT_EQ(1, stat_of(my_peer, self->handle).calls);
	EXPECT_EQ(0, stat_of(my_peer, other).calls);
}

TEST_F(resume, of_a_call_put_back_that_is_interrupted_leaves_it)
{
	struct upcall_event_call call;
	uint64_t id;
	int err = call_is_put_back(self);

	if (err && err != -EIO)
		SKIP(return, "no userfaultfd here that holds the kernel up: %s", strerror(-err));
	ASSERT_EQ(0, err);
	id = self->caller.mem->inv.call_id;
	resume_start(&self->caller, 0);
	EXPECT_TRUE(interrupted(&self->caller));
	EXPECT_EQ(id, self->caller.mem->inv.call_id);
	EXPECT_EQ(1, stat_of(my_peer, self->handle).queued);
	resume_start(&self->caller, 0);
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(5, call.op);
	EXPECT_EQ(0, reply(my_peer, call.call, 7, NULL, 0));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(1, stat_of(my_peer, self->handle).calls);
}

TEST_F(resume, of_a_call_put_back_can_be_cancelled)
{
	int err = call_is_put_back(self);

	if (err && err != -EIO)
		SKIP(return, "no userfaultfd here that holds the kernel up: %s", strerror(-err));
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, puppet_do(&self->caller, do_cancel));
	EXPECT_EQ(0, stat_of(my_peer, self->handle).queued);
	EXPECT_EQ(0, stat_of(my_peer, self->handle).delivered);
}

TEST_HARNESS_MAIN
