// SPDX-License-Identifier: GPL-2.0-only
/* Who may adopt and when, and how an orphan ends that nobody adopts. */
#include "kselftest_harness.h"
#include "adopt.h"
#include "trace.h"

TEST_F(adopt, never_bound_is_enoent)
{
	int fresh = peer_open();

	EXPECT_EQ(-ENOENT, adopt(fresh, NULL));
	close(fresh);
}

TEST_F(adopt, arguments_that_make_no_sense_are_einval_before_all_else)
{
	struct upcall_adopt args = { .size = sizeof(args), .flags = 1 };
	int fresh = peer_open();

	EXPECT_EQ(-EINVAL, verb(fresh, UPCALL_IOC_ADOPT, &args));
	args = (struct upcall_adopt){ .size = sizeof(args), .reserved = 1 };
	EXPECT_EQ(-EINVAL, verb(fresh, UPCALL_IOC_ADOPT, &args));
	args = (struct upcall_adopt){ .size = sizeof(args) - 8 };
	EXPECT_EQ(-EINVAL, verb(fresh, UPCALL_IOC_ADOPT, &args));
	EXPECT_EQ(-EFAULT, verb(fresh, UPCALL_IOC_ADOPT, NULL));
	close(fresh);
}

TEST_F(adopt, time_to_wait_is_1_ns_to_an_hour)
{
	int fresh = peer_open();

	EXPECT_EQ(-EINVAL, configure(fresh, UPCALL_CONFIG_ADOPTABLE, 0));
	EXPECT_EQ(-EINVAL, configure(fresh, UPCALL_CONFIG_ADOPTABLE, UPCALL_MAX_ORPHAN_NS + 1));
	EXPECT_EQ(-EINVAL, configure(fresh, 0, 1));
	EXPECT_EQ(0, configure(fresh, UPCALL_CONFIG_ADOPTABLE, 1));
	EXPECT_EQ(0, configure(fresh, UPCALL_CONFIG_ADOPTABLE | UPCALL_CONFIG_ONE_THREAD,
			       UPCALL_MAX_ORPHAN_NS));
	close(fresh);
}

TEST_F(adopt, living_owner_is_ebusy_to_others_and_to_itself)
{
	EXPECT_EQ(-EBUSY, adopt(self->peer, NULL));
	EXPECT_EQ(-EBUSY, puppet_do(&self->owner, do_adopt));
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ(-EBUSY, adopt(self->peer, NULL));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
}

TEST_F(adopt, another_user_is_eperm_before_anything_of_the_peer_counts)
{
	struct puppet alice = puppet_of(ALICE);

	ASSERT_EQ(0, puppet_give(&alice, self->peer));
	EXPECT_EQ(-EPERM, puppet_do(&alice, do_adopt));		/* not EBUSY */
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(-EPERM, puppet_do(&alice, do_adopt));
	EXPECT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ(0, shut_down(self->peer));
	EXPECT_EQ(-EPERM, puppet_do(&alice, do_adopt));		/* not ESHUTDOWN */
	kill(alice.pid, SIGKILL);
}

TEST_F(adopt, root_may_not_adopt_what_is_alices)
{
	struct puppet alice = puppet_of(ALICE), heir = puppet_of(ALICE);
	int peer = peer_open();
	uint64_t handle;

	ASSERT_EQ(0, puppet_give(&alice, peer));
	ASSERT_EQ(0, adoptable(&alice, LONG_MS));
	handle = puppet_register(&alice, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(SIGKILL, puppet_kill(&alice, SIGKILL));
	ASSERT_TRUE(eventually(is_orphaned(alice.pid)));
	EXPECT_EQ(-EPERM, adopt(peer, NULL));
	ASSERT_EQ(0, puppet_give(&heir, peer));
	EXPECT_EQ(0, puppet_do(&heir, do_adopt));
	EXPECT_EQ((uint32_t)heir.pid, listed_callback(my_peer, handle).pid);
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 0).callbacks);
	/* Who may call is as it was. */
	EXPECT_EQ(-EACCES, puppet_call(&self->caller, handle));
	kill(heir.pid, SIGKILL);
	close(peer);
}

TEST_F(adopt, another_user_namespace_is_eperm)
{
	struct puppet inside = puppet_new();

	ASSERT_EQ(0, puppet_give(&inside, self->peer));
	if (puppet_do(&inside, enter_user_ns))
		SKIP(return, "no user namespaces");
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(-EPERM, puppet_do(&inside, do_adopt));
	EXPECT_EQ(0, adopt(self->peer, NULL));
	kill(inside.pid, SIGKILL);
}

TEST_F(adopt, orphan_knows_nobodys_commands_but_info_and_adopt)
{
	struct upcall_info info = { .size = sizeof(info) };

	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(0, verb(self->peer, UPCALL_IOC_INFO, &info));
	EXPECT_EQ(UPCALL_FEATURE_ADOPT, info.features & UPCALL_FEATURE_ADOPT);
	EXPECT_EQ(-EPERM, shut_down(self->peer));
	EXPECT_EQ(-EPERM, configure(self->peer, 0, 0));
	EXPECT_EQ(-EPERM, release(self->peer, self->handle, 0));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
}

/* A queued call's end, and the handle's. */
#define EXPECT_END(why, status) do {							\
	EXPECT_EQ(-ESTALE, puppet_wait(&self->caller));					\
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->caller.mem->inv.stage);		\
	EXPECT_EQ((why), self->caller.mem->inv.reason);					\
	EXPECT_EQ((status), (int)self->caller.mem->inv.exit_status);			\
	EXPECT_TRUE(eventually(stat_of(my_peer, self->handle).state ==			\
			       UPCALL_STATE_DEAD));					\
	EXPECT_EQ((why), stat_of(my_peer, self->handle).reason);			\
	EXPECT_EQ((status), (int)stat_of(my_peer, self->handle).exit_status);		\
} while (0)

#define EXPECT_ENDED(peer) do {								\
	struct pollfd _pollfd = { .fd = (peer) };					\
											\
	EXPECT_EQ(1, poll(&_pollfd, 1, SOON_MS));					\
	EXPECT_EQ(POLLHUP, _pollfd.revents);						\
	EXPECT_EQ(-ESHUTDOWN, adopt(peer, NULL));					\
} while (0)

TEST_F(adopt, time_that_is_up_ends_it_as_its_owner_did)
{
	uint64_t dies;

	ASSERT_EQ(0, adoptable(&self->owner, 300));
	ASSERT_TRUE(call_queues(self));
	self->owner.mem->value = 3;
	dies = now_ns();
	puppet_start(&self->owner, do_exit);
	reap(self->owner.pid);
	EXPECT_END(UPCALL_REASON_EXITED, 3 << 8);
	EXPECT_LE(dies + 300 * MS, now_ns());
	EXPECT_ENDED(self->peer);
}

TEST_F(adopt, successor_is_not_ended_by_the_time_of_the_dead_one)
{
	struct upcall_event_call call;
	uint64_t ms = adopted_in_time(self, NULL), until = in_ms(ms + 200);

	ASSERT_NE(0, ms);
	ASSERT_TRUE(call_queues(self));
	while (now_ns() < until)
		sched_yield();
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	ASSERT_EQ(0, answer(self->peer, 0, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
}

TEST_F(adopt, successor_leaves_an_orphan_with_the_time_that_was_configured)
{
	struct puppet heir = puppet_new();

	ASSERT_NE(0, adopted_in_time(self, &heir));
	ASSERT_TRUE(call_queues(self));
	heir.mem->value = 4;
	puppet_start(&heir, do_exit);
	EXPECT_END(UPCALL_REASON_EXITED, 4 << 8);
	EXPECT_ENDED(self->peer);
}

TEST_F(adopt, successor_may_say_otherwise)
{
	struct puppet heir = puppet_new();

	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_EQ(0, puppet_do(&heir, do_adopt));
	ASSERT_EQ(0, adoptable(&heir, 0));
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(SIGKILL, puppet_kill(&heir, SIGKILL));
	EXPECT_END(UPCALL_REASON_EXITED, SIGKILL);
	EXPECT_ENDED(self->peer);
}

TEST_F(adopt, peer_that_is_not_adoptable_dies_with_its_process)
{
	ASSERT_EQ(0, adoptable(&self->owner, 0));
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_EQ(-ESHUTDOWN, adopt(self->peer, NULL));
	EXPECT_END(UPCALL_REASON_EXITED, SIGKILL);
}

TEST_F(adopt, last_close_ends_an_orphan_as_its_owner_did)
{
	ASSERT_TRUE(call_queues(self));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, close(self->peer));
	EXPECT_END(UPCALL_REASON_EXITED, SIGKILL);
}

TEST_F(adopt, owner_that_has_the_only_descriptor_leaves_no_orphan)
{
	ASSERT_EQ(0, close(self->peer));
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_END(UPCALL_REASON_EXITED, SIGKILL);
}

TEST_F(adopt, shutdown_ends_it_as_ever)
{
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(0, puppet_do(&self->owner, do_shutdown));
	EXPECT_END(UPCALL_REASON_SHUTDOWN, 0);
	EXPECT_ENDED(self->peer);
	ASSERT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_ENDED(self->peer);
}

/* --- signals, forks and execs ---------------------------------------------------------- */

TEST_F(adopt, fatal_signal_to_a_receiver_leaves_an_orphan)
{
	struct upcall_event_call call;

	puppet_start(&self->owner, do_receive);
	ASSERT_TRUE(eventually(listed_peer(my_peer, self->owner.pid).receivers == 1));
	EXPECT_EQ(SIGTERM, puppet_kill(&self->owner, SIGTERM));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	puppet_call_start(&self->caller, self->handle);
	ASSERT_EQ(0, answer(self->peer, 0, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
}

TEST_F(adopt, memory_that_lives_on_is_an_owner_that_lives)
{
	ASSERT_EQ(0, puppet_do(&self->owner, share_memory));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_EQ(-EBUSY, adopt(self->peer, NULL));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	EXPECT_EQ(0, kill(self->owner.mem->result, SIGKILL));
	ASSERT_TRUE(eventually(is_orphaned(self->owner.pid)));
	EXPECT_EQ(0, adopt(self->peer, NULL));
}

/* The child of an owner tries while its parent lives, and again when it is dead. */
static int adopt_in_child(struct puppet_mem *mem)
{
	pid_t owner = getpid();

	mem->result = -EAGAIN;
	mem->caught = 0;
	if (!fork()) {
		my_mem->exch.wait_error = -adopt(my_peer, NULL);
		my_mem->exch.needed = -shut_down(my_peer);
		__atomic_store_n(&mem->caught, 1, __ATOMIC_RELEASE);
		while (getppid() == owner)
			usleep(1000);
		__atomic_store_n(&mem->result, adopt(my_peer, NULL), __ATOMIC_RELEASE);
		for (;;)
			next_event(my_peer, &mem->event);
	}
	return 0;
}

TEST_F(adopt, child_that_shares_the_descriptor_succeeds_its_parent_when_that_is_dead)
{
	struct puppet_mem *mem = self->owner.mem;

	close(self->peer);
	ASSERT_EQ(0, puppet_do(&self->owner, adopt_in_child));
	ASSERT_TRUE(eventually(puppet_caught(&self->owner) == 1));
	EXPECT_EQ(EBUSY, (int)mem->exch.wait_error);
	EXPECT_EQ(EPERM, (int)mem->exch.needed);
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	ASSERT_TRUE(eventually(__atomic_load_n(&mem->result, __ATOMIC_ACQUIRE) != -EAGAIN));
	EXPECT_EQ(0, mem->result);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	EXPECT_NE((uint32_t)self->owner.pid, stat_of(my_peer, self->handle).pid);
	kill(stat_of(my_peer, self->handle).pid, SIGKILL);
	EXPECT_TRUE(eventually(stat_of(my_peer, self->handle).state == UPCALL_STATE_DEAD));
}

/* What the program does if it is run by exec_self(): it adopts, answers one call, and exits. */
__attribute__((constructor)) static void after_exec(void)
{
	const char *fd = getenv("ADOPT_AFTER_EXEC");
	struct upcall_event_call call;
	int err;

	if (!fd)
		return;
	stay_mortal();
	err = next_call(atoi(fd), &call);
	if (err != -EPERM)	/* the peer is not ours by itself */
		_exit(1);
	if (adopt(atoi(fd), NULL) || answer(atoi(fd), 42, &call))
		_exit(2);
	_exit(0);
}

static int exec_self(struct puppet_mem *mem)
{
	char number[16];

	(void)mem;
	snprintf(number, sizeof(number), "%d", my_peer);
	setenv("ADOPT_AFTER_EXEC", number, 1);
	fcntl(my_peer, F_SETFD, 0);
	execl("/proc/self/exe", "exec", NULL);
	return -errno;
}

TEST_F(adopt, new_program_of_the_same_process_succeeds_the_old_one)
{
	close(self->peer);
	ASSERT_TRUE(call_queues(self));
	puppet_start(&self->owner, exec_self);
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(42, self->caller.mem->inv.status);
	EXPECT_EQ(0, reap(self->owner.pid));
}

static int exec_sleep(struct puppet_mem *mem)
{
	(void)mem;
	stay_mortal();
	execl("/bin/sleep", "sleep", "1000", NULL);
	return -errno;
}

TEST_F(adopt, exec_is_the_reason_if_nobody_succeeds_the_old_program)
{
	ASSERT_EQ(0, adoptable(&self->owner, 100));
	ASSERT_TRUE(call_queues(self));
	puppet_start(&self->owner, exec_sleep);
	EXPECT_END(UPCALL_REASON_EXEC, 0);
	EXPECT_EQ(0, kill(self->owner.pid, 0));
}

/* --- many ------------------------------------------------------------------------------- */

#define MANY	300

static int notify_many(struct puppet_mem *mem)
{
	int i, err = 0;

	for (i = 0; i < MANY && !err; i++) {
		mem->inv = INVOKE_ARGS(mem->handle, .op = i, .flags = UPCALL_INVOKE_ONEWAY |
				       UPCALL_INVOKE_NO_DEADLINE);
		err = do_invoke(mem);
	}
	return err;
}

static int receive_many(struct puppet_mem *mem)
{
	int i;

	for (i = 0; i < MANY; i++) {
		if (do_receive(mem) != UPCALL_EVENT_CALL)
			return -EIO;
	}
	return 0;
}

static uint64_t register_wide(struct puppet *puppet, uint32_t flags)
{
	puppet->mem->reg = REGISTER_ARGS(.max_queued_calls = 2 * MANY, .flags = flags);
	puppet_do(puppet, do_register);
	return puppet->mem->handle;
}

TEST_F(adopt, hundreds_of_calls_end_or_are_run_again_in_order)
{
	uint64_t once = register_wide(&self->owner, 0);
	uint64_t again = register_wide(&self->owner, UPCALL_REGISTER_IDEMPOTENT);
	struct upcall_event_call call;
	int i;

	self->caller.mem->handle = once;
	ASSERT_EQ(0, puppet_do(&self->caller, notify_many));
	ASSERT_EQ(0, puppet_do(&self->owner, receive_many));
	self->caller.mem->handle = again;
	ASSERT_EQ(0, puppet_do(&self->caller, notify_many));
	ASSERT_EQ(0, puppet_do(&self->owner, receive_many));
	ASSERT_EQ(0, puppet_do(&self->caller, notify_many));
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(0, listed_callback(my_peer, once).running);
	EXPECT_EQ(0, listed_callback(my_peer, again).running);
	EXPECT_EQ(2 * MANY, queued(again));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	for (i = 0; i < 2 * MANY; i++) {
		ASSERT_EQ(0, answer(self->peer, 0, &call));
		ASSERT_EQ(again, call.event.handle);
		ASSERT_EQ(i % MANY, (int)call.op);
		ASSERT_EQ(i < MANY, !!(call.flags & UPCALL_CALL_AGAIN));
	}
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(adopt, what_was_created_is_destroyed_with_the_last_of_all_owners)
{
	uint64_t again = register_wide(&self->owner, UPCALL_REGISTER_IDEMPOTENT);
	struct puppet heir = puppet_new();
	struct trace trace;

	if (!trace_start(&trace, 4 << 20))
		SKIP(return, "no tracing");
	again = register_wide(&self->owner, UPCALL_REGISTER_IDEMPOTENT);
	self->caller.mem->handle = again;
	ASSERT_EQ(0, puppet_do(&self->caller, notify_many));
	ASSERT_EQ(0, puppet_do(&self->owner, receive_many));
	ASSERT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_EQ(0, puppet_do(&heir, do_adopt));
	ASSERT_EQ(0, puppet_do(&heir, receive_many));
	ASSERT_EQ(SIGKILL, puppet_kill(&heir, SIGKILL));
	/* That is said last of all. */
	EXPECT_TRUE(eventually(trace_read(&trace) &&
			       trace_count(&trace, "upcall_orphaned:", "reason=6") == 2));
	EXPECT_EQ(1, trace_count(&trace, "upcall_adopted:", ""));
	EXPECT_EQ(2 * MANY, (int)trace_count(&trace, "upcall_requeued:", ""));
	EXPECT_EQ(2 * MANY, (int)trace_count(&trace, "upcall_delivered:", ""));
	EXPECT_EQ(MANY, (int)trace_count(&trace, "upcall_queued:", ""));
	EXPECT_EQ(0, (int)trace_count(&trace, "upcall_ended:", ""));
	close(self->peer);
	EXPECT_TRUE(eventually(trace_read(&trace) &&
			       trace_count(&trace, "upcall_ended:", "") == MANY));
	/* Two were registered before the trace began. */
	EXPECT_TRUE(eventually(trace_read(&trace) &&
			       trace_count(&trace, "upcall_released:", "") == 3));
	trace_stop(&trace);
}

TEST_HARNESS_MAIN
