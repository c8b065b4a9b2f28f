// SPDX-License-Identifier: GPL-2.0-only
/* IDEMPOTENT: what an owner had when it died is run again by its successor. */
#include "kselftest_harness.h"
#include "adopt.h"
#include "fds.h"

FIXTURE(again) {
	struct puppet owner, caller;
	int peer;
	uint64_t handle;
};

/* The beginning of FIXTURE(adopt), whose functions are used here. */
static FIXTURE_DATA(adopt) *as_adopt(FIXTURE_DATA(again) *self)
{
	_Static_assert(sizeof(FIXTURE_DATA(again)) == sizeof(FIXTURE_DATA(adopt)), "same");
	return (FIXTURE_DATA(adopt) *)self;
}

FIXTURE_SETUP(again)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->peer = peer_open();
	self->owner = puppet_new();
	self->caller = puppet_new();
	ASSERT_EQ(0, puppet_give(&self->owner, self->peer));
	ASSERT_EQ(0, adoptable(&self->owner, LONG_MS));
	self->handle = register_flags(&self->owner, UPCALL_REGISTER_IDEMPOTENT);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(again)
{
	kill(self->owner.pid, SIGKILL);
	kill(self->caller.pid, SIGKILL);
	close(self->peer);
}

/* The caller's call, delivered to an owner who is dead now, waits again. */
static bool call_waits_again(FIXTURE_DATA(again) *self)
{
	return call_is_delivered(as_adopt(self)) && orphan(as_adopt(self)) &&
	       queued(self->handle) == 1;
}

TEST_F(again, delivered_call_is_run_again_by_the_successor)
{
	struct upcall_event_call call;
	uint64_t id, seq;

	ASSERT_TRUE(call_waits_again(self));
	id = self->owner.mem->event.call.call;
	seq = self->owner.mem->event.call.seq;
	EXPECT_EQ(0, self->owner.mem->event.call.flags & UPCALL_CALL_AGAIN);
	EXPECT_FALSE(puppet_done(&self->caller));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ(-ENOENT, reply(self->peer, id, 0, NULL, 0));	/* not before it has it */
	ASSERT_EQ(0, answer(self->peer, 9, &call));
	EXPECT_EQ(UPCALL_CALL_AGAIN, call.flags & UPCALL_CALL_AGAIN);
	EXPECT_EQ(id, call.call);
	EXPECT_EQ(seq, call.seq);
	EXPECT_EQ((uint32_t)self->caller.pid, call.pid);
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(9, self->caller.mem->inv.status);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->caller.mem->inv.stage);
	EXPECT_EQ(0, queued(self->handle));
	EXPECT_EQ(0, listed_callback(my_peer, self->handle).running);
}

static int invoke_bytes(struct puppet_mem *mem)
{
	memset(mem->buf, 'x', mem->value);
	mem->inv.arg = ptr64(mem->buf);
	mem->inv.arg_len = mem->value;
	return do_invoke(mem);
}

TEST_F(again, argument_comes_again_of_any_length)
{
	static const uint32_t lengths[] = { 0, 1, 128, 129, 4096, 20000 };
	struct puppet heir = self->owner;
	size_t i, j;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		self->caller.mem->inv = INVOKE_ARGS(self->handle);
		self->caller.mem->value = lengths[i];
		puppet_start(&self->caller, invoke_bytes);
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&heir, do_receive));
		ASSERT_EQ(SIGKILL, puppet_kill(&heir, SIGKILL));
		ASSERT_TRUE(eventually(is_orphaned(heir.pid)));
		EXPECT_EQ(lengths[i], listed_callback(my_peer, self->handle).queued_bytes);
		heir = puppet_new();
		ASSERT_EQ(0, puppet_give(&heir, self->peer));
		ASSERT_EQ(0, puppet_do(&heir, do_adopt));
		/* The next one dies with it, too; the test is the last one. */
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&heir, do_receive));
		ASSERT_EQ(SIGKILL, puppet_kill(&heir, SIGKILL));
		ASSERT_TRUE(eventually(is_orphaned(heir.pid)));
		heir = puppet_new();
		ASSERT_EQ(0, puppet_give(&heir, self->peer));
		ASSERT_EQ(0, puppet_do(&heir, do_adopt));
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&heir, do_receive));
		EXPECT_EQ(lengths[i], heir.mem->event.call.payload_len);
		for (j = 0; j < lengths[i] && j < 300; j++)
			ASSERT_EQ('x', heir.mem->event.bytes[sizeof(struct upcall_event_call) + j]);
		ASSERT_EQ(0, puppet_reply(&heir, 0));
		ASSERT_EQ(0, puppet_wait(&self->caller));
	}
	kill(heir.pid, SIGKILL);
}

/* --- order --------------------------------------------------------------------------- */

#define CALLERS	6

/* So many calls, one after the other: those of op 0 to @count - 1. */
static bool calls_queue(FIXTURE_DATA(again) *self, struct puppet *callers, int count)
{
	uint32_t before = listed_callback(my_peer, self->handle).calls;
	int i;

	for (i = 0; i < count; i++) {
		callers[i] = puppet_new();
		callers[i].mem->inv = INVOKE_ARGS(self->handle, .op = i);
		puppet_start(&callers[i], do_invoke);
		if (!eventually(listed_callback(my_peer, self->handle).calls == before + i + 1))
			return false;
	}
	return true;
}

static int next_op(int peer, struct upcall_event_call *call)
{
	int err = next_call(peer, call);

	return err ? err : (int)call->op;
}

TEST_F(again, calls_that_ran_come_first_and_in_their_order)
{
	struct puppet callers[CALLERS];
	struct upcall_event_call call;
	int i;

	ASSERT_TRUE(calls_queue(self, callers, CALLERS));
	/* Three were delivered, and one of them answered. */
	for (i = 0; i < 3; i++)
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(2, self->owner.mem->event.call.op);
	ASSERT_EQ(0, puppet_reply(&self->owner, 0));
	ASSERT_TRUE(orphan(as_adopt(self)));
	EXPECT_EQ(CALLERS - 1, queued(self->handle));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	for (i = 0; i < CALLERS; i++) {
		if (i == 2)
			continue;
		ASSERT_EQ(i, next_op(self->peer, &call));
		EXPECT_EQ(i < 2, !!(call.flags & UPCALL_CALL_AGAIN));
		ASSERT_EQ(0, reply(self->peer, call.call, 0, NULL, 0));
	}
	for (i = 0; i < CALLERS; i++) {
		EXPECT_EQ(0, puppet_wait(&callers[i]));
		kill(callers[i].pid, SIGKILL);
	}
}

static int notify_op(struct puppet_mem *mem)
{
	mem->inv = INVOKE_ARGS(mem->inv.target, .op = mem->value, .flags =
			       UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE);
	return do_invoke(mem);
}

TEST_F(again, notifications_and_calls_keep_their_order_among_each_other)
{
	struct puppet callers[CALLERS];
	struct upcall_event_call call;
	int i;

	for (i = 0; i < CALLERS; i++) {
		callers[i] = puppet_new();
		callers[i].mem->inv = INVOKE_ARGS(self->handle, .op = i);
		callers[i].mem->value = i;
		puppet_start(&callers[i], i % 2 ? notify_op : do_invoke);
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
		ASSERT_EQ(i, (int)self->owner.mem->event.call.op);
	}
	ASSERT_TRUE(orphan(as_adopt(self)));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	for (i = 0; i < CALLERS; i++) {
		ASSERT_EQ(i, next_op(self->peer, &call));
		ASSERT_EQ(0, reply(self->peer, call.call, 0, NULL, 0));
	}
	for (i = 0; i < CALLERS; i++)
		kill(callers[i].pid, SIGKILL);
}

TEST_F(again, second_death_keeps_the_order)
{
	struct puppet callers[CALLERS], heir = puppet_new();
	struct upcall_event_call call;
	int i;

	ASSERT_TRUE(calls_queue(self, callers, CALLERS));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_EQ(0, puppet_do(&heir, do_adopt));
	/* It takes two of the four, answers the first, and dies. */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&heir, do_receive));
		ASSERT_EQ(i, (int)heir.mem->event.call.op);
		if (!i) {
			ASSERT_EQ(0, puppet_reply(&heir, 0));
		}
	}
	ASSERT_EQ(SIGKILL, puppet_kill(&heir, SIGKILL));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	for (i = 1; i < CALLERS; i++) {
		ASSERT_EQ(i, next_op(self->peer, &call));
		EXPECT_EQ(i < 4, !!(call.flags & UPCALL_CALL_AGAIN));
		ASSERT_EQ(0, reply(self->peer, call.call, 0, NULL, 0));
	}
	for (i = 0; i < CALLERS; i++) {
		EXPECT_EQ(0, puppet_wait(&callers[i]));
		kill(callers[i].pid, SIGKILL);
	}
}

TEST_F(again, serial_callback_runs_it_first_and_alone)
{
	struct puppet callers[3];
	struct upcall_event_call call;
	int i;

	self->handle = register_flags(&self->owner, UPCALL_REGISTER_IDEMPOTENT |
				      UPCALL_REGISTER_SERIAL);
	ASSERT_NE(0, self->handle);
	ASSERT_TRUE(calls_queue(self, callers, 3));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(i, next_op(self->peer, &call));
		EXPECT_EQ(i == 0, !!(call.flags & UPCALL_CALL_AGAIN));
		EXPECT_TRUE(nothing_to_receive(self->peer));
		ASSERT_EQ(0, reply(self->peer, call.call, 0, NULL, 0));
	}
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, puppet_wait(&callers[i]));
		kill(callers[i].pid, SIGKILL);
	}
}

/* --- how it ends, if not so ---------------------------------------------------------- */

TEST_F(again, deadline_in_the_queue_says_that_it_may_have_run)
{
	self->caller.mem->inv = INVOKE_ARGS(self->handle, .flags = 0,
					    .deadline_ns = in_ms(3000 * UPCALL_SLOW));
	puppet_start(&self->caller, do_invoke);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	/* Else the deadline came while its owner had it, and nothing is said of the queue. */
	ASSERT_TRUE(eventually(queued(self->handle) == 1));
	EXPECT_EQ(-ETIMEDOUT, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_NE(0, self->caller.mem->inv.queued_ns);
	EXPECT_EQ(0, queued(self->handle));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(again, signal_does_not_take_it_back)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_waits_again(self));
	ASSERT_EQ(0, kill(self->caller.pid, SIGUSR1));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_NE(0, self->caller.mem->inv.call_id);
	EXPECT_EQ(1, queued(self->handle));
	puppet_start(&self->caller, do_invoke);	/* comes back to it */
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, answer(self->peer, 6, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(6, self->caller.mem->inv.status);
	EXPECT_EQ(1, listed_callback(my_peer, self->handle).calls);
}

TEST_F(again, cancel_takes_it_out_of_the_queue)
{
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_waits_again(self));
	ASSERT_EQ(0, kill(self->caller.pid, SIGUSR1));
	ASSERT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(0, puppet_do(&self->caller, do_cancel));
	EXPECT_EQ(0, queued(self->handle));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(again, cancelled_asynchronous_call_has_its_result_and_may_have_run)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .flags = UPCALL_INVOKE_NO_DEADLINE,
		.target = self->handle,
	};
	union any_event event;

	ASSERT_EQ(0, command(my_peer, &cmd));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	ASSERT_EQ(1, queued(self->handle));
	ASSERT_EQ(0, cancel(my_peer, cmd.call_id));
	ASSERT_EQ(UPCALL_EVENT_RESULT, next_event(my_peer, &event));
	EXPECT_EQ(ECANCELED, event.result.error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, event.result.stage);
	EXPECT_EQ(0, queued(self->handle));
}

TEST_F(again, release_by_the_successor_ends_it_with_eownerdead)
{
	ASSERT_TRUE(call_waits_again(self));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, release(self->peer, self->handle, 0));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(UPCALL_REASON_RELEASED, self->caller.mem->inv.reason);
}

TEST_F(again, refusal_by_the_successor_says_that_it_may_have_run)
{
	struct upcall_event_call call;

	ASSERT_TRUE(call_waits_again(self));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, next_call(self->peer, &call));
	ASSERT_EQ(0, refuse(self->peer, call.call, ENOSYS));
	EXPECT_EQ(-ENOSYS, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
}

TEST_F(again, last_close_ends_it_with_eownerdead)
{
	ASSERT_TRUE(call_waits_again(self));
	ASSERT_EQ(0, close(self->peer));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(UPCALL_REASON_EXITED, self->caller.mem->inv.reason);
	EXPECT_EQ(SIGKILL, (int)self->caller.mem->inv.exit_status);
}

TEST_F(again, caller_that_left_is_not_run_for)
{
	ASSERT_TRUE(call_is_delivered(as_adopt(self)));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	ASSERT_TRUE(orphan(as_adopt(self)));
	EXPECT_EQ(0, queued(self->handle));
	EXPECT_EQ(0, listed_callback(my_peer, self->handle).running);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

static int do_release(struct puppet_mem *mem)
{
	return release(my_peer, mem->handle, 0);
}

TEST_F(again, closing_callback_runs_nothing_again)
{
	union any_event event;

	ASSERT_TRUE(call_is_delivered(as_adopt(self)));
	ASSERT_EQ(0, puppet_do(&self->owner, do_release));
	ASSERT_TRUE(orphan(as_adopt(self)));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, next_event(self->peer, &event));
}

TEST_F(again, notification_is_run_again)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, puppet_notify(&self->caller, self->handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	EXPECT_EQ(1, queued(self->handle));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, next_call(self->peer, &call));
	EXPECT_EQ(UPCALL_CALL_ONEWAY | UPCALL_CALL_AGAIN,
		  call.flags & (UPCALL_CALL_ONEWAY | UPCALL_CALL_AGAIN));
	EXPECT_EQ(0, reply(self->peer, call.call, 0, NULL, 0));
}

TEST_F(again, notification_that_ended_when_delivered_is_not)
{
	uint64_t handle = register_flags(&self->owner, UPCALL_REGISTER_IDEMPOTENT |
					 UPCALL_REGISTER_AUTOEND);

	ASSERT_EQ(0, puppet_notify(&self->caller, handle));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	EXPECT_EQ(0, queued(handle));
}

static int notify_latest(struct puppet_mem *mem)
{
	mem->inv = INVOKE_ARGS(mem->inv.target, .flags = UPCALL_INVOKE_ONEWAY |
			       UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_LATEST);
	return do_invoke(mem);
}

TEST_F(again, latest_takes_no_place_of_one_that_may_have_run)
{
	self->caller.mem->inv.target = self->handle;
	ASSERT_EQ(0, puppet_do(&self->caller, notify_latest));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	ASSERT_EQ(0, puppet_do(&self->caller, notify_latest));
	EXPECT_EQ(2, queued(self->handle));
	ASSERT_EQ(0, puppet_do(&self->caller, notify_latest));
	EXPECT_EQ(2, queued(self->handle));
}

/* --- what it costs ------------------------------------------------------------------- */

TEST_F(again, full_queue_takes_it_beyond_its_bounds)
{
	struct puppet callers[3];
	struct upcall_event_call call;
	int i;

	self->owner.mem->reg = REGISTER_ARGS(.flags = UPCALL_REGISTER_IDEMPOTENT,
					     .max_arg = 100, .max_queued_bytes = 100,
					     .max_queued_calls = 1);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	self->handle = self->owner.mem->handle;
	for (i = 0; i < 3; i++) {
		callers[i] = puppet_new();
		callers[i].mem->inv = INVOKE_ARGS(self->handle, .op = i);
		callers[i].mem->value = 100;
		puppet_start(&callers[i], invoke_bytes);
		if (i < 2) {
			ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
		} else {
			ASSERT_TRUE(eventually(queued(self->handle) == 1));
		}
	}
	ASSERT_TRUE(orphan(as_adopt(self)));
	EXPECT_EQ(3, queued(self->handle));
	EXPECT_EQ(300, listed_callback(my_peer, self->handle).queued_bytes);
	EXPECT_EQ(-EAGAIN, puppet_call(&self->caller, self->handle));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(i, next_op(self->peer, &call));
		ASSERT_EQ(0, reply(self->peer, call.call, 0, NULL, 0));
		EXPECT_EQ(0, puppet_wait(&callers[i]));
		EXPECT_EQ(i < 2 ? -EAGAIN : 0, i < 2 ? puppet_call(&self->caller, self->handle) : 0);
		kill(callers[i].pid, SIGKILL);
	}
	EXPECT_EQ(0, queued(self->handle));
	EXPECT_EQ(0, listed_callback(my_peer, self->handle).queued_bytes);
	puppet_call_start(&self->caller, self->handle);
	ASSERT_EQ(0, answer(self->peer, 0, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
}

static int notify_100(struct puppet_mem *mem)
{
	mem->inv = INVOKE_ARGS(mem->inv.target, .arg = ptr64(mem->buf), .arg_len = 100,
			       .flags = UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE);
	return do_invoke(mem);
}

TEST_F(again, nothing_is_owed_in_the_end)
{
	struct puppet alice = puppet_of(ALICE), bob = puppet_of(BOB);
	int peer = peer_open();
	uint64_t handle;

	ASSERT_EQ(0, puppet_give(&alice, peer));
	ASSERT_EQ(0, adoptable(&alice, LONG_MS));
	handle = register_flags(&alice, UPCALL_REGISTER_IDEMPOTENT);
	bob.mem->inv.target = handle;
	ASSERT_EQ(0, puppet_do(&bob, notify_100));
	ASSERT_EQ(0, puppet_do(&bob, notify_100));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&alice, do_receive));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&alice, do_receive));
	/* They are their owner's now, with the arguments that are kept for its successor. */
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_calls);
	EXPECT_EQ(2, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(200, listed_user(my_peer, ALICE, 0).queued_bytes);
	ASSERT_EQ(SIGKILL, puppet_kill(&alice, SIGKILL));
	ASSERT_TRUE(eventually(is_orphaned(alice.pid)));
	EXPECT_EQ(2, queued(handle));
	EXPECT_EQ(2, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(200, listed_user(my_peer, ALICE, 0).queued_bytes);
	close(peer);
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, ALICE)));
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, BOB)));
	kill(bob.pid, SIGKILL);
}

static int invoke_fd(struct puppet_mem *mem)
{
	int fd = 0;

	mem->inv.fds = ptr64(&fd);
	mem->inv.fd_count = 1;
	return do_invoke(mem);
}

TEST_F(again, call_with_descriptors_is_not_run_without_them)
{
	uint64_t handle = register_flags(&self->owner, UPCALL_REGISTER_IDEMPOTENT |
					 UPCALL_REGISTER_FDS);
	struct puppet with = puppet_new(), without = puppet_new();

	with.mem->inv = INVOKE_ARGS(handle);
	without.mem->inv = INVOKE_ARGS(handle);
	puppet_start(&with, invoke_fd);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(1, self->owner.mem->event.call.fd_count);
	puppet_start(&without, do_invoke);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(orphan(as_adopt(self)));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&with));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, with.mem->inv.stage);
	EXPECT_EQ(1, queued(handle));
	kill(with.pid, SIGKILL);
	kill(without.pid, SIGKILL);
}

TEST_F(again, list_says_that_it_may_have_run)
{
	static struct upcall_list_call all[64];
	uint32_t n, i, found = 0;

	ASSERT_TRUE(call_waits_again(self));
	n = list_all(my_peer, UPCALL_LIST_CALLS, sizeof(all[0]), all, 64);
	for (i = 0; i < n; i++) {
		if (all[i].handle != self->handle)
			continue;
		found++;
		EXPECT_EQ(UPCALL_STAGE_DELIVERED, all[i].stage);
		EXPECT_EQ(UPCALL_CALL_AGAIN, all[i].flags & UPCALL_CALL_AGAIN);
	}
	EXPECT_EQ(1, found);
}

TEST_HARNESS_MAIN
