// SPDX-License-Identifier: GPL-2.0-only
/* Waiting for room in a full queue: every way out of the wait, and who comes when. */
#include "kselftest_harness.h"
#include <stddef.h>
#include "puppet.h"

#define WAIT_ROOM	(UPCALL_INVOKE_WAIT_ROOM | UPCALL_INVOKE_NO_DEADLINE)
#define ONEWAY		(UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE)

/* An owner whose callback has room for one call, and two who call it. */
FIXTURE(room) {
	struct puppet owner, alice, bob;
	uint64_t handle;
};

static uint64_t register_room(struct puppet *owner, uint32_t calls, uint64_t bytes)
{
	owner->mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_queued_calls = calls,
					.max_queued_bytes = bytes, .max_arg = bytes < 1000 ? bytes : 1000);
	puppet_do(owner, do_register);
	return owner->mem->handle;
}

/* Nothing is left of whoever called, and of what was called. */
static bool all_is_settled(FIXTURE_DATA(room) *self)
{
	static struct upcall_list_call calls[16];

	return user_owes_nothing(my_peer, ALICE) && user_owes_nothing(my_peer, BOB) &&
	       !listed_user(my_peer, 0, 0).queued_calls &&
	       !list_all(my_peer, UPCALL_LIST_CALLS, sizeof(calls[0]), calls, 16) &&
	       !listed_peer(my_peer, self->alice.pid).waiting &&
	       !listed_peer(my_peer, self->bob.pid).waiting;
}

FIXTURE_SETUP(room)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_new();
	self->alice = puppet_of(ALICE);
	self->bob = puppet_of(BOB);
	self->handle = register_room(&self->owner, 1, 1000);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(room)
{
	puppet_kill(&self->owner, SIGKILL);
	EXPECT_TRUE(eventually(all_is_settled(self)));
	puppet_kill(&self->alice, SIGKILL);
	puppet_kill(&self->bob, SIGKILL);
}

static void invoke_start(struct puppet *caller, uint64_t handle, uint32_t flags, uint32_t len)
{
	caller->mem->inv = INVOKE_ARGS(handle, .flags = flags, .arg = ptr64(caller->mem->buf),
				       .arg_len = len, .op = caller->mem->inv.op);
	memset((char *)&caller->mem->inv + offsetof(struct upcall_invoke, stage), 0xa5,
	       sizeof(caller->mem->inv) - offsetof(struct upcall_invoke, stage));
	if (!(flags & UPCALL_INVOKE_NO_DEADLINE))
		caller->mem->inv.deadline_ns = in_ms(100);
	puppet_start(caller, do_invoke);
}

/* It is known to its peer and asleep: it waits for room, or has been queued. */
static bool waits(struct puppet *caller)
{
	return eventually(listed_peer(my_peer, caller->pid).waiting == 1 &&
			  sleeps_in_ioctl(caller->pid));
}

static uint32_t queued(FIXTURE_DATA(room) *self)
{
	return listed_callback(my_peer, self->handle).queued;
}

/* The queue is full, by Bob's notification, and Alice waits for room. */
static bool alice_waits(FIXTURE_DATA(room) *self, uint32_t flags)
{
	if (puppet_notify(&self->bob, self->handle))
		return false;
	invoke_start(&self->alice, self->handle, flags | UPCALL_INVOKE_WAIT_ROOM, 0);
	return waits(&self->alice) && queued(self) == 1;
}

/* The uid of the next call's caller, which is ended; or -errno. */
static int take(FIXTURE_DATA(room) *self)
{
	int type = puppet_do(&self->owner, do_receive);

	if (type != UPCALL_EVENT_CALL)
		return type < 0 ? type : -EPROTO;
	type = puppet_reply(&self->owner, 0);
	return type ? type : (int)self->owner.mem->event.call.uid;
}

static int do_release(struct puppet_mem *mem)
{
	return release(my_peer, mem->handle, 0);
}

#define EXPECT_NOT_QUEUED(caller) do {						\
	struct upcall_invoke *_inv = &(caller)->mem->inv;			\
										\
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, _inv->stage);			\
	EXPECT_EQ(0, _inv->seq);						\
	EXPECT_EQ(0, _inv->call_id);						\
	EXPECT_EQ(0, _inv->total_ns);						\
	EXPECT_EQ(0, _inv->queued_ns);						\
	EXPECT_EQ(0, _inv->run_ns);						\
} while (0)

static const uint32_t both[] = { UPCALL_INVOKE_NO_DEADLINE, ONEWAY };

#define for_both(flags) \
	for (const uint32_t *_f = both; _f < both + 2 && ((flags) = *_f, true); _f++)

TEST_F(room, call_waits_until_there_is_some_and_is_answered)
{
	ASSERT_TRUE(alice_waits(self, UPCALL_INVOKE_NO_DEADLINE));
	EXPECT_EQ(BOB, take(self));
	EXPECT_EQ(ALICE, take(self));
	EXPECT_EQ(0, puppet_wait(&self->alice));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->alice.mem->inv.stage);
	EXPECT_EQ(2, self->alice.mem->inv.seq);
	EXPECT_EQ(0, puppet_stat(&self->owner, self->handle).refused);
}

TEST_F(room, notification_waits_until_it_is_queued_and_no_longer)
{
	ASSERT_TRUE(alice_waits(self, ONEWAY));
	EXPECT_FALSE(puppet_done(&self->alice));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(0, puppet_wait(&self->alice));
	EXPECT_EQ(2, self->alice.mem->inv.seq);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->alice.mem->inv.stage);
	EXPECT_EQ(0, self->alice.mem->inv.total_ns);
	EXPECT_EQ(1, queued(self));
	EXPECT_EQ(0, puppet_reply(&self->owner, 0));
	EXPECT_EQ(ALICE, take(self));
}

TEST_F(room, with_room_nothing_waits)
{
	invoke_start(&self->alice, self->handle, WAIT_ROOM | ONEWAY, 0);
	EXPECT_EQ(0, puppet_wait(&self->alice));
	EXPECT_EQ(1, self->alice.mem->inv.seq);
	EXPECT_EQ(ALICE, take(self));
}

TEST_F(room, deadline_is_etimedout_and_not_delivered)
{
	uint32_t flags;

	for_both(flags) {
		ASSERT_TRUE(!puppet_notify(&self->bob, self->handle));
		invoke_start(&self->alice, self->handle, UPCALL_INVOKE_WAIT_ROOM |
			     (flags & ~UPCALL_INVOKE_NO_DEADLINE), 0);
		EXPECT_EQ(-ETIMEDOUT, puppet_wait(&self->alice));
		EXPECT_NOT_QUEUED(&self->alice);
		EXPECT_EQ(BOB, take(self));
		EXPECT_EQ(0, puppet_stat(&self->owner, self->handle).queued);
	}
}

TEST_F(room, signal_is_eintr_and_nothing_was_submitted)
{
	uint32_t flags;

	ASSERT_EQ(0, puppet_catch(&self->alice, 0));
	for_both(flags) {
		ASSERT_TRUE(alice_waits(self, flags));
		kill(self->alice.pid, SIGUSR1);
		EXPECT_EQ(-EINTR, puppet_wait(&self->alice));
		EXPECT_NOT_QUEUED(&self->alice);
		EXPECT_EQ(BOB, take(self));
		EXPECT_EQ(0, queued(self));
	}
}

TEST_F(room, signal_with_sa_restart_waits_again)
{
	uint32_t flags;

	ASSERT_EQ(0, puppet_catch(&self->alice, SA_RESTART));
	for_both(flags) {
		self->alice.mem->caught = 0;
		ASSERT_TRUE(alice_waits(self, flags));
		kill(self->alice.pid, SIGUSR1);
		ASSERT_TRUE(eventually(puppet_caught(&self->alice) == 1));
		ASSERT_TRUE(waits(&self->alice));
		EXPECT_EQ(BOB, take(self));
		EXPECT_EQ(ALICE, take(self));
		EXPECT_EQ(0, puppet_wait(&self->alice));
		EXPECT_EQ(0, queued(self));
	}
}

TEST_F(room, stop_and_continue_are_not_seen)
{
	ASSERT_TRUE(alice_waits(self, UPCALL_INVOKE_NO_DEADLINE));
	kill(self->alice.pid, SIGSTOP);
	ASSERT_TRUE(eventually(task_state(self->alice.pid) == 'T'));
	EXPECT_EQ(BOB, take(self));
	EXPECT_EQ(0, queued(self));	/* who is stopped has taken its call back */
	kill(self->alice.pid, SIGCONT);
	EXPECT_EQ(ALICE, take(self));
	EXPECT_EQ(0, puppet_wait(&self->alice));
}

TEST_F(room, killed_caller_is_gone_without_a_trace)
{
	uint32_t flags;

	for_both(flags) {
		ASSERT_TRUE(alice_waits(self, flags));
		EXPECT_EQ(SIGKILL, puppet_kill(&self->alice, SIGKILL));
		EXPECT_EQ(BOB, take(self));
		EXPECT_EQ(0, queued(self));
		EXPECT_TRUE(eventually(user_owes_nothing(my_peer, ALICE)));
		self->alice = puppet_of(ALICE);
	}
}

TEST_F(room, release_of_the_callback_is_estale)
{
	uint32_t flags;

	for_both(flags) {
		ASSERT_TRUE(alice_waits(self, flags));
		self->owner.mem->handle = self->handle;
		EXPECT_EQ(0, puppet_do(&self->owner, do_release));
		EXPECT_EQ(-ESTALE, puppet_wait(&self->alice));
		EXPECT_NOT_QUEUED(&self->alice);
		EXPECT_EQ(UPCALL_REASON_RELEASED, self->alice.mem->inv.reason);
		EXPECT_EQ(UPCALL_EVENT_RELEASED, puppet_do(&self->owner, do_receive));
		self->handle = register_room(&self->owner, 1, 1000);
	}
}

TEST_F(room, death_of_the_owner_is_estale)
{
	uint32_t flags;

	for_both(flags) {
		ASSERT_TRUE(alice_waits(self, flags));
		EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
		EXPECT_EQ(-ESTALE, puppet_wait(&self->alice));
		EXPECT_NOT_QUEUED(&self->alice);
		EXPECT_EQ(UPCALL_REASON_EXITED, self->alice.mem->inv.reason);
		EXPECT_EQ(SIGKILL, (int)self->alice.mem->inv.exit_status);
		self->owner = puppet_new();
		self->handle = register_room(&self->owner, 1, 1000);
	}
}

TEST_HARNESS_MAIN
