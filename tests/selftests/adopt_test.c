// SPDX-License-Identifier: GPL-2.0-only
/* A successor takes over the peer of a dead process: what waits for it, and what does not. */
#include "kselftest_harness.h"
#include "adopt.h"

TEST_F(adopt, queued_call_waits_and_is_answered_by_the_successor)
{
	struct upcall_event_call call;

	ASSERT_TRUE(call_queues(self));
	ASSERT_TRUE(orphan(self));
	EXPECT_FALSE(puppet_done(&self->caller));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, answer(self->peer, 5, &call));
	EXPECT_EQ(COOKIE, call.event.cookie);
	EXPECT_EQ(0, call.flags & UPCALL_CALL_AGAIN);
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->caller.mem->inv.stage);
	EXPECT_EQ(5, self->caller.mem->inv.status);
}

TEST_F(adopt, new_calls_are_accepted_meanwhile)
{
	struct upcall_event_call call;

	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	EXPECT_EQ(UPCALL_REASON_NONE, stat_of(my_peer, self->handle).reason);
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, answer(self->peer, 0, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
}

TEST_F(adopt, delivered_call_ends_with_the_owner_who_had_it)
{
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(UPCALL_REASON_EXITED, self->caller.mem->inv.reason);
	EXPECT_EQ(SIGKILL, self->caller.mem->inv.exit_status);
	EXPECT_EQ(0, listed_callback(my_peer, self->handle).running);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(adopt, reason_of_a_dead_owner_stays_with_the_call_though_its_successor_dies_too)
{
	struct puppet heir = puppet_new();

	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_EQ(0, kill(self->caller.pid, SIGSTOP));
	ASSERT_TRUE(eventually(task_state(self->caller.pid) == 'T'));
	self->owner.mem->value = 3;
	puppet_start(&self->owner, do_exit);
	ASSERT_TRUE(eventually(is_orphaned(self->owner.pid)));
	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_EQ(0, puppet_do(&heir, do_adopt));
	ASSERT_EQ(SIGKILL, puppet_kill(&heir, SIGKILL));
	ASSERT_TRUE(eventually(is_orphaned(heir.pid)));
	ASSERT_EQ(0, kill(self->caller.pid, SIGCONT));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_REASON_EXITED, self->caller.mem->inv.reason);
	EXPECT_EQ(3 << 8, (int)self->caller.mem->inv.exit_status);
}

TEST_F(adopt, reason_of_a_dead_owner_is_not_told_of_later_calls)
{
	struct upcall_event_call call;

	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	ASSERT_EQ(UPCALL_REASON_EXITED, self->caller.mem->inv.reason);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	puppet_call_start(&self->caller, self->handle);
	ASSERT_EQ(0, answer(self->peer, 0, &call));
	ASSERT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_REASON_NONE, self->caller.mem->inv.reason);
	EXPECT_EQ(0, self->caller.mem->inv.exit_status);
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(0, release(self->peer, self->handle, 0));
	EXPECT_EQ(-ESTALE, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_REASON_RELEASED, self->caller.mem->inv.reason);
	EXPECT_EQ(0, self->caller.mem->inv.exit_status);
}

TEST_F(adopt, says_which_peer_it_is_and_how_many_callbacks_it_has)
{
	struct upcall_adopt args;

	ASSERT_NE(0, register_flags(&self->owner, 0));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, adopt(self->peer, &args));
	EXPECT_EQ(listed_callback(my_peer, self->handle).peer, args.peer);
	EXPECT_EQ(2, args.callbacks);
	EXPECT_EQ(0, args.reserved);
}

TEST_F(adopt, successor_is_the_owner_that_stat_and_list_show)
{
	struct upcall_stat before = stat_of(my_peer, self->handle), after;

	EXPECT_EQ((uint32_t)self->owner.pid, before.pid);
	EXPECT_EQ(start_time_of(self->owner.pid), before.start_time);
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ((uint32_t)self->owner.pid, stat_of(my_peer, self->handle).pid);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	after = stat_of(my_peer, self->handle);
	EXPECT_EQ((uint32_t)getpid(), after.pid);
	EXPECT_EQ(start_time_of(getpid()), after.start_time);
	EXPECT_EQ(before.uid, after.uid);
	EXPECT_EQ(0, after.owned);
	EXPECT_EQ(1, stat_of(self->peer, self->handle).owned);
	EXPECT_EQ(COOKIE, stat_of(self->peer, self->handle).cookie);
	EXPECT_EQ((uint32_t)getpid(), listed_callback(my_peer, self->handle).pid);
	EXPECT_EQ(0, listed_peer(my_peer, self->owner.pid).peer);
}

TEST_F(adopt, successor_has_every_verb_of_an_owner)
{
	struct upcall_rebind rebind = {
		.size = sizeof(rebind), .handle = self->handle, .cookie = 1,
	};
	struct upcall_event_call call;
	union any_event event;

	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(-EPERM, verb(self->peer, UPCALL_IOC_REBIND, &rebind));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ(0, verb(self->peer, UPCALL_IOC_REBIND, &rebind));
	puppet_call_start(&self->caller, self->handle);
	ASSERT_EQ(0, answer(self->peer, 0, &call));
	EXPECT_EQ(1, call.event.cookie);
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_NE(0, register_new(self->peer, 0, UPCALL_ACCESS_ANYONE));
	EXPECT_EQ(0, release(self->peer, self->handle, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, next_event(self->peer, &event));
	EXPECT_EQ(0, shut_down(self->peer));
}

TEST_F(adopt, released_event_stays_for_the_successor)
{
	union any_event event;

	ASSERT_TRUE(call_is_delivered(self));
	self->owner.mem->value = 0;
	ASSERT_EQ(0, release(my_peer, self->handle, UPCALL_RELEASE_ABORT));	/* root's */
	EXPECT_EQ(-ECANCELED, puppet_wait(&self->caller));
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(1, listed_peer(my_peer, self->owner.pid).callbacks);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	/* The CANCEL was the dead one's; its end has come with it, and so the callback's. */
	ASSERT_EQ(UPCALL_EVENT_RELEASED, next_event(self->peer, &event));
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_EQ(COOKIE, event.event.cookie);
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(adopt, caller_that_left_is_not_heard_of_again)
{
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(0, listed_callback(my_peer, self->handle).running);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(adopt, poll_says_nothing_of_the_death)
{
	struct pollfd pollfd = { .fd = self->peer, .events = POLLIN | POLLOUT };

	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLOUT, pollfd.revents);
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, pollfd.revents);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, pollfd.revents);
}

static bool fdinfo_says(int fd, const char *what)
{
	char path[64], text[1024] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		return false;
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	return strstr(text, what);
}

TEST_F(adopt, orphan_is_shown_as_one)
{
	EXPECT_TRUE(fdinfo_says(self->peer, "upcall-state:\tbound"));
	EXPECT_EQ(0, listed_peer(my_peer, self->owner.pid).ended);
	ASSERT_TRUE(orphan(self));
	EXPECT_TRUE(fdinfo_says(self->peer, "upcall-state:\torphaned"));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_TRUE(fdinfo_says(self->peer, "upcall-state:\tbound"));
	EXPECT_EQ(0, listed_peer(my_peer, getpid()).ended);
}

TEST_F(adopt, signal_takes_a_queued_call_back_from_an_orphan)
{
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(orphan(self));
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(0, kill(self->caller.pid, SIGUSR1));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(0, queued(self->handle));
}

TEST_F(adopt, deadline_passes_while_nobody_is_there)
{
	ASSERT_TRUE(orphan(self));
	self->caller.mem->inv = INVOKE_ARGS(self->handle, .flags = 0, .deadline_ns = in_ms(50));
	EXPECT_EQ(-ETIMEDOUT, puppet_do(&self->caller, do_invoke));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(0, queued(self->handle));
}

TEST_F(adopt, killed_caller_leaves_the_queue_of_an_orphan)
{
	ASSERT_TRUE(orphan(self));
	ASSERT_TRUE(call_queues(self));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	EXPECT_TRUE(eventually(queued(self->handle) == 0));
}

/* A queue of one, which an AUTOEND notification fills. */
static uint64_t register_narrow(FIXTURE_DATA(adopt) *self)
{
	self->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_arg = 0,
					     .flags = UPCALL_REGISTER_AUTOEND,
					     .max_queued_calls = 1, .max_queued_bytes = 0);
	puppet_do(&self->owner, do_register);
	return self->owner.mem->handle;
}

TEST_F(adopt, who_waits_for_room_waits_for_the_successor)
{
	uint64_t narrow = register_narrow(self);
	struct upcall_event_call call;

	ASSERT_NE(0, narrow);
	ASSERT_EQ(0, puppet_notify(&self->caller, narrow));
	self->caller.mem->inv = INVOKE_ARGS(narrow, .flags = UPCALL_INVOKE_WAIT_ROOM |
					    UPCALL_INVOKE_NO_DEADLINE);
	puppet_start(&self->caller, do_invoke);
	ASSERT_TRUE(eventually(sleeps_in_ioctl(self->caller.pid)));
	ASSERT_TRUE(orphan(self));
	EXPECT_FALSE(puppet_done(&self->caller));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, next_call(self->peer, &call));
	EXPECT_EQ(UPCALL_CALL_ENDED, call.flags & UPCALL_CALL_ENDED);
	ASSERT_EQ(0, answer(self->peer, 4, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(4, self->caller.mem->inv.status);
}

/* The puppet's callback, at another peer. */
static uint64_t elsewhere(struct puppet *puppet)
{
	return puppet_register(puppet, UPCALL_ACCESS_ANYONE);
}

TEST_F(adopt, calls_that_the_dead_one_made_are_given_up)
{
	uint64_t other = elsewhere(&self->caller);
	struct puppet *callee = &self->caller;

	self->owner.mem->inv.target = other;
	ASSERT_EQ(0, puppet_do(&self->owner, do_async));	/* delivered */
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(callee, do_receive));
	ASSERT_EQ(0, puppet_do(&self->owner, do_async));	/* replied, and not received */
	ASSERT_EQ(0, puppet_do(&self->owner, do_async));	/* queued */
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(0, listed_peer(my_peer, self->owner.pid).waiting);
	EXPECT_EQ(0, listed_callback(my_peer, other).queued);
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_do(callee, do_receive));
	EXPECT_EQ(-ENOENT, puppet_reply(callee, 0));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(adopt, results_for_the_dead_one_are_dropped_and_nobody_pays_for_them)
{
	struct puppet alice = puppet_of(ALICE), callee = puppet_new();
	uint64_t other = elsewhere(&callee);
	int peer = peer_open();

	ASSERT_EQ(0, puppet_give(&alice, peer));
	ASSERT_EQ(0, adoptable(&alice, LONG_MS));
	alice.mem->inv = INVOKE_ARGS(other);
	ASSERT_EQ(0, puppet_do(&alice, do_async));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&callee, do_receive));
	ASSERT_EQ(0, puppet_reply(&callee, 1));
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 0).queued_calls);
	ASSERT_EQ(SIGKILL, puppet_kill(&alice, SIGKILL));
	ASSERT_TRUE(eventually(is_orphaned(alice.pid)));
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, ALICE)));
	close(peer);
	kill(callee.pid, SIGKILL);
}

TEST_F(adopt, successor_makes_calls_with_deadlines_of_its_own)
{
	uint64_t other = elsewhere(&self->caller);
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .target = other, .user_data = 9,
	};
	union any_event event;

	self->owner.mem->inv.target = other;
	ASSERT_EQ(0, puppet_do(&self->owner, do_async));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, command_in_time(self->peer, &cmd));
	ASSERT_EQ(UPCALL_EVENT_RESULT, next_event(self->peer, &event));
	EXPECT_EQ(9, event.event.cookie);
	EXPECT_EQ(ETIMEDOUT, event.result.error);
}

TEST_F(adopt, call_nested_in_one_that_the_dead_one_ran_is_given_up)
{
	uint64_t other = elsewhere(&self->caller);
	struct puppet outer = puppet_new();

	puppet_call_start(&outer, self->handle);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	self->owner.mem->inv = INVOKE_ARGS(other, .parent = self->owner.mem->event.call.call);
	ASSERT_EQ(0, puppet_do(&self->owner, do_async));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->caller, do_receive));
	EXPECT_EQ(2, self->caller.mem->event.call.depth);
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&outer));
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_do(&self->caller, do_receive));
	EXPECT_EQ(-ENOENT, puppet_reply(&self->caller, 0));
	kill(outer.pid, SIGKILL);
}

TEST_F(adopt, epollout_is_set_again_for_the_successor)
{
	struct pollfd pollfd = { .fd = self->peer, .events = POLLOUT };
	struct puppet full = puppet_new();
	uint64_t narrow;

	full.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_arg = 0,
				      .max_queued_calls = 1, .max_queued_bytes = 0);
	ASSERT_EQ(0, puppet_do(&full, do_register));
	narrow = full.mem->handle;
	ASSERT_EQ(0, puppet_notify(&self->owner, narrow));
	ASSERT_EQ(-EAGAIN, puppet_notify(&self->owner, narrow));
	EXPECT_EQ(0, poll(&pollfd, 1, 0));
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(1, poll(&pollfd, 1, SOON_MS));
	EXPECT_EQ(POLLOUT, pollfd.revents);
	kill(full.pid, SIGKILL);
}

TEST_F(adopt, successor_of_a_successor)
{
	struct puppet second = puppet_new(), third = puppet_new();
	struct upcall_event_call call;

	ASSERT_TRUE(call_queues(self));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, puppet_give(&second, self->peer));
	ASSERT_EQ(0, puppet_do(&second, do_adopt));
	ASSERT_EQ(SIGKILL, puppet_kill(&second, SIGKILL));
	ASSERT_EQ(0, puppet_give(&third, self->peer));
	ASSERT_EQ(0, puppet_do(&third, do_adopt));
	EXPECT_EQ(-EPERM, next_call(self->peer, &call));
	EXPECT_EQ((uint32_t)third.pid, stat_of(my_peer, self->handle).pid);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&third, do_receive));
	ASSERT_EQ(0, puppet_reply(&third, 3));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(3, self->caller.mem->inv.status);
	kill(third.pid, SIGKILL);
}

TEST_HARNESS_MAIN
