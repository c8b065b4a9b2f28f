// SPDX-License-Identifier: GPL-2.0-only
/* Waiting for room in a full queue: every way out of the wait, and who comes when. */
#include "kselftest_harness.h"
#include <pthread.h>
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

/* --- several who wait ---------------------------------------------------------- */

static void puppets_of(struct puppet *puppets, int n, uid_t uid)
{
	int i;

	for (i = 0; i < n; i++) {
		puppets[i] = puppet_of(uid);
		puppets[i].mem->inv.op = i + 1;
	}
}

static void puppets_kill(struct puppet *puppets, int n)
{
	while (n--)
		puppet_kill(&puppets[n], SIGKILL);
}

/* The op of the next call, which is ended; or -errno. */
static int take_op(FIXTURE_DATA(room) *self)
{
	int uid = take(self);

	return uid < 0 ? uid : (int)self->owner.mem->event.call.op;
}

TEST_F(room, goes_to_those_of_one_uid_in_the_order_in_which_they_came)
{
	struct puppet alices[4];
	int i;

	puppets_of(alices, 4, ALICE);
	ASSERT_EQ(0, puppet_notify(&self->bob, self->handle));
	for (i = 0; i < 4; i++) {
		invoke_start(&alices[i], self->handle, WAIT_ROOM | (i & 1 ? ONEWAY : 0), 0);
		ASSERT_TRUE(waits(&alices[i]));
	}
	EXPECT_EQ(0, take_op(self));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(i + 1, take_op(self));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, puppet_wait(&alices[i]));
	puppets_kill(alices, 4);
}

TEST_F(room, goes_to_each_uid_in_turn)
{
	static const int order[] = { 0, ALICE, BOB, ALICE, BOB, ALICE };
	struct puppet alices[3], bobs[2], other = puppet_new();
	size_t i;

	puppets_of(alices, 3, ALICE);
	puppets_of(bobs, 2, BOB);
	ASSERT_EQ(0, puppet_notify(&other, self->handle));
	for (i = 0; i < 3; i++) {
		invoke_start(&alices[i], self->handle, WAIT_ROOM, 0);
		ASSERT_TRUE(waits(&alices[i]));
	}
	for (i = 0; i < 2; i++) {
		invoke_start(&bobs[i], self->handle, WAIT_ROOM, 0);
		ASSERT_TRUE(waits(&bobs[i]));
	}
	for (i = 0; i < 6; i++)
		EXPECT_EQ(order[i], take(self));
	puppets_kill(alices, 3);
	puppets_kill(bobs, 2);
	puppet_kill(&other, SIGKILL);
}

TEST_F(room, that_one_uid_waits_for_keeps_no_other_out)
{
	struct puppet alices[3];
	int i;

	self->handle = register_room(&self->owner, 8, 8000);
	puppets_of(alices, 3, ALICE);
	while (!puppet_notify(&self->alice, self->handle))
		;
	EXPECT_EQ(4, queued(self));
	for (i = 0; i < 3; i++) {
		invoke_start(&alices[i], self->handle, WAIT_ROOM, 0);
		ASSERT_TRUE(waits(&alices[i]));
	}
	EXPECT_EQ(4, queued(self));
	EXPECT_EQ(0, puppet_notify(&self->bob, self->handle));
	invoke_start(&self->bob, self->handle, WAIT_ROOM | ONEWAY, 0);
	EXPECT_EQ(0, puppet_wait(&self->bob));
	EXPECT_EQ(6, queued(self));
	puppets_kill(alices, 3);
}

/* Who came first wants much; what the second one wants would be there. */
TEST_F(room, is_kept_for_the_first_until_that_one_gives_up)
{
	struct puppet second = puppet_of(ALICE);

	self->handle = register_room(&self->owner, 8, 1000);
	ASSERT_EQ(0, puppet_catch(&self->alice, 0));
	invoke_start(&self->bob, self->handle, ONEWAY, 400);
	ASSERT_EQ(0, puppet_wait(&self->bob));
	invoke_start(&self->alice, self->handle, WAIT_ROOM, 1000);
	ASSERT_TRUE(waits(&self->alice));
	invoke_start(&second, self->handle, WAIT_ROOM, 10);
	ASSERT_TRUE(waits(&second));
	EXPECT_EQ(1, queued(self));
	kill(self->alice.pid, SIGUSR1);
	EXPECT_EQ(-EINTR, puppet_wait(&self->alice));
	EXPECT_TRUE(eventually(queued(self) == 2));
	EXPECT_EQ(BOB, take(self));
	EXPECT_EQ(ALICE, take(self));
	EXPECT_EQ(0, puppet_wait(&second));
	puppet_kill(&second, SIGKILL);
}

TEST_F(room, of_a_user_namespace_is_that_of_its_owner)
{
	struct puppet inner = puppet_of(ALICE);

	ASSERT_EQ(0, puppet_do(&inner, enter_user_ns));
	self->handle = register_room(&self->owner, 2, 1000);
	ASSERT_EQ(0, puppet_notify(&self->alice, self->handle));
	invoke_start(&inner, self->handle, WAIT_ROOM, 0);
	ASSERT_TRUE(waits(&inner));
	EXPECT_EQ(1, queued(self));
	EXPECT_EQ(ALICE, take(self));
	EXPECT_EQ(ALICE, take(self));
	EXPECT_EQ(0, puppet_wait(&inner));
	puppet_kill(&inner, SIGKILL);
}

TEST_F(room, of_a_serial_callback_is_one_after_the_other)
{
	struct puppet alices[3];
	int i;

	self->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_queued_calls = 1,
					     .flags = UPCALL_REGISTER_SERIAL);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	self->handle = self->owner.mem->handle;
	puppets_of(alices, 3, ALICE);
	for (i = 0; i < 3; i++) {
		invoke_start(&alices[i], self->handle, WAIT_ROOM, 0);
		ASSERT_TRUE(waits(&alices[i]));
	}
	for (i = 0; i < 3; i++)
		EXPECT_EQ(i + 1, take_op(self));
	puppets_kill(alices, 3);
}

TEST_F(room, is_not_waited_for_by_what_takes_an_older_ones_place)
{
	uint32_t flags = ONEWAY | UPCALL_INVOKE_LATEST;

	invoke_start(&self->alice, self->handle, flags, 10);
	ASSERT_EQ(0, puppet_wait(&self->alice));
	invoke_start(&self->alice, self->handle, flags | WAIT_ROOM, 0);
	EXPECT_EQ(0, puppet_wait(&self->alice));
	EXPECT_EQ(1, queued(self));
	EXPECT_EQ(ALICE, take(self));
	EXPECT_EQ(1, self->owner.mem->event.call.dropped);
}

/* --- many threads ---------------------------------------------------------------- */

#define CROWD	16
#define EACH	8

static void *crowd_main(void *arg)
{
	struct upcall_invoke args;
	uintptr_t failed = 0;
	int i;

	(void)arg;
	for (i = 0; i < EACH; i++) {
		args = INVOKE_ARGS(my_mem->handle, .flags = i & 1 ? WAIT_ROOM | ONEWAY : WAIT_ROOM);
		failed += !!verb(my_peer, UPCALL_IOC_INVOKE, &args);
	}
	return (void *)failed;
}

/* How many of CROWD threads' calls failed. */
static int do_crowd(struct puppet_mem *mem)
{
	pthread_t threads[CROWD];
	int i, failed = 0;
	void *ret;

	(void)mem;
	for (i = 0; i < CROWD; i++)
		failed += !!pthread_create(&threads[i], NULL, crowd_main, NULL);
	for (i = 0; i < CROWD; i++) {
		pthread_join(threads[i], &ret);
		failed += (uintptr_t)ret;
	}
	return failed;
}

/* Takes and ends @mem->value calls. */
static int do_serve(struct puppet_mem *mem)
{
	int type;

	while (mem->value--) {
		type = do_receive(mem);
		if (type != UPCALL_EVENT_CALL)
			return type < 0 ? type : -EPROTO;
		reply(my_peer, mem->event.call.call, 0, NULL, 0);
	}
	return 0;
}

TEST_F(room, comes_to_everybody_of_a_crowd_of_two_uids)
{
	self->alice.mem->handle = self->handle;
	self->bob.mem->handle = self->handle;
	self->owner.mem->value = 2 * CROWD * EACH;
	puppet_start(&self->alice, do_crowd);
	puppet_start(&self->bob, do_crowd);
	EXPECT_EQ(0, puppet_do(&self->owner, do_serve));
	EXPECT_EQ(0, puppet_wait(&self->alice));
	EXPECT_EQ(0, puppet_wait(&self->bob));
	EXPECT_EQ(2 * CROWD * EACH, puppet_stat(&self->owner, self->handle).delivered);
	EXPECT_EQ(0, self->owner.mem->stat.refused);
}

/* All of a crowd waits when the owner dies: more than are ended under one hold of its lock. */
TEST_F(room, of_a_dead_owner_is_waited_for_by_none_of_a_crowd)
{
	self->alice.mem->handle = self->handle;
	self->bob.mem->handle = self->handle;
	puppet_start(&self->alice, do_crowd);
	puppet_start(&self->bob, do_crowd);
	ASSERT_TRUE(eventually(listed_peer(my_peer, self->alice.pid).waiting == CROWD &&
			       listed_peer(my_peer, self->bob.pid).waiting >= CROWD - 1));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_LE(CROWD * EACH - EACH, puppet_wait(&self->alice));
	EXPECT_LE(CROWD * EACH - EACH, puppet_wait(&self->bob));
	self->owner = puppet_new();
}

static void *waiter_main(void *tid)
{
	struct upcall_invoke args = INVOKE_ARGS(my_mem->handle, .flags = my_mem->value);

	__atomic_store_n((pid_t *)tid, gettid(), __ATOMIC_RELEASE);
	return (void *)(intptr_t)verb(my_peer, UPCALL_IOC_INVOKE, &args);
}

/* What a thread gets that waits for room while another one shuts the peer down. */
static int do_shutdown_of_waiter(struct puppet_mem *mem)
{
	pthread_t thread;
	pid_t tid = 0;
	void *ret;

	(void)mem;
	if (pthread_create(&thread, NULL, waiter_main, &tid))
		return -1;
	if (!eventually(__atomic_load_n(&tid, __ATOMIC_ACQUIRE) && sleeps_in_ioctl(tid)))
		return -2;
	if (shut_down(my_peer))
		return -3;
	pthread_join(thread, &ret);
	return (intptr_t)ret;
}

TEST_F(room, shutdown_of_the_caller_is_eshutdown)
{
	uint32_t flags;

	for_both(flags) {
		ASSERT_EQ(0, puppet_notify(&self->bob, self->handle));
		self->alice.mem->handle = self->handle;
		self->alice.mem->value = flags | UPCALL_INVOKE_WAIT_ROOM;
		EXPECT_EQ(-ESHUTDOWN, puppet_do(&self->alice, do_shutdown_of_waiter));
		EXPECT_EQ(BOB, take(self));
		EXPECT_EQ(0, queued(self));
		puppet_kill(&self->alice, SIGKILL);
		self->alice = puppet_of(ALICE);
	}
}

TEST_HARNESS_MAIN
