// SPDX-License-Identifier: GPL-2.0-only
/* A peer is orphaned, adopted and ended at the same time: who is first, and what is left. */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/syscall.h>
#include "hook.h"
#include "adopt.h"
#include "stub.h"

#define AGAIN	UPCALL_REGISTER_IDEMPOTENT

/* An ADOPT by a thread of the test. */
struct adopter {
	pthread_t thread;
	int peer;
	int ret;
	bool done;
};

static void *adopter_main(void *arg)
{
	struct adopter *adopter = arg;

	adopter->ret = adopt(adopter->peer, NULL);
	__atomic_store_n(&adopter->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static int adopter_start(struct adopter *adopter, int peer)
{
	*adopter = (struct adopter){ .peer = peer };
	return pthread_create(&adopter->thread, NULL, adopter_main, adopter);
}

static bool adopter_done(struct adopter *adopter)
{
	return __atomic_load_n(&adopter->done, __ATOMIC_ACQUIRE);
}

static int adopter_join(struct adopter *adopter)
{
	pthread_join(adopter->thread, NULL);
	return adopter->ret;
}

/* The owner is dead, and the work that follows stopped at @point. */
static bool dies_up_to(FIXTURE_DATA(adopt) *self, const char *point)
{
	return !hook_arm(point) && puppet_kill(&self->owner, SIGKILL) == SIGKILL &&
	       hook_is_hit(point);
}

TEST_F(adopt, who_saw_the_owner_die_waits_until_it_is_an_orphan)
{
	struct adopter adopter;

	ASSERT_TRUE(dies_up_to(self, "dying"));
	ASSERT_EQ(0, adopter_start(&adopter, self->peer));
	ASSERT_EQ(0, hook_arm("orphaning"));
	ASSERT_EQ(0, hook_resume("dying"));
	ASSERT_TRUE(hook_is_hit("orphaning"));
	EXPECT_FALSE(adopter_done(&adopter));
	EXPECT_EQ(2, listed_peer(my_peer, self->owner.pid).ended);
	ASSERT_EQ(0, hook_resume("orphaning"));
	EXPECT_EQ(0, adopter_join(&adopter));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
}

TEST_F(adopt, last_close_before_it_is_an_orphan)
{
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(dies_up_to(self, "dying"));
	ASSERT_EQ(0, close(self->peer));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STATE_DEAD, stat_of(my_peer, self->handle).state);
	EXPECT_EQ(0, hook_resume("dying"));
}

TEST_F(adopt, last_close_in_the_middle)
{
	uint64_t again = register_flags(&self->owner, AGAIN);
	struct puppet other = puppet_new();

	ASSERT_TRUE(call_is_delivered(self));
	puppet_call_start(&other, again);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(dies_up_to(self, "orphaning"));
	ASSERT_EQ(0, close(self->peer));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&other));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, other.mem->inv.stage);
	EXPECT_EQ(SIGKILL, (int)other.mem->inv.exit_status);
	EXPECT_EQ(0, hook_resume("orphaning"));
	kill(other.pid, SIGKILL);
}

static void *close_main(void *peer)
{
	close(*(int *)peer);
	return NULL;
}

TEST_F(adopt, last_close_while_the_calls_of_the_dead_one_are_given_up)
{
	uint64_t other = puppet_register(&self->caller, UPCALL_ACCESS_ANYONE);
	pthread_t closer;
	int i;

	self->owner.mem->inv.target = other;
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, puppet_do(&self->owner, do_async));
	ASSERT_TRUE(dies_up_to(self, "orphaning"));
	ASSERT_EQ(0, hook_arm("dead"));
	ASSERT_EQ(0, pthread_create(&closer, NULL, close_main, &self->peer));
	ASSERT_TRUE(hook_is_hit("dead"));
	ASSERT_EQ(0, hook_resume("orphaning"));
	EXPECT_TRUE(eventually(queued(other) == 0));
	ASSERT_EQ(0, hook_resume("dead"));
	EXPECT_EQ(0, pthread_join(closer, NULL));
}

TEST_F(adopt, signal_to_a_caller_in_the_middle_leaves_it_a_call_to_come_back_to)
{
	struct upcall_event_call call;

	self->handle = register_flags(&self->owner, AGAIN);
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(dies_up_to(self, "orphaning"));
	ASSERT_EQ(0, kill(self->caller.pid, SIGUSR1));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	ASSERT_EQ(0, hook_resume("orphaning"));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	puppet_start(&self->caller, do_invoke);
	ASSERT_EQ(0, answer(self->peer, 8, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(8, self->caller.mem->inv.status);
}

TEST_F(adopt, revoked_in_the_middle_nothing_is_run_again)
{
	union any_event event;

	self->handle = register_flags(&self->owner, AGAIN);
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(dies_up_to(self, "orphaning"));
	ASSERT_EQ(0, release(my_peer, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(-ECANCELED, puppet_wait(&self->caller));
	ASSERT_EQ(0, hook_resume("orphaning"));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, next_event(self->peer, &event));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

static int do_export(struct puppet_mem *mem)
{
	return export_stub(my_peer, mem->handle);
}

/* A new callback with @flags, and its only stub fd once the owner is dead; or -errno. */
static int stub_of_owner(FIXTURE_DATA(adopt) *self, uint32_t flags)
{
	int number, pidfd, stub;

	self->handle = register_flags(&self->owner, flags);
	number = puppet_do(&self->owner, do_export);
	pidfd = syscall(SYS_pidfd_open, self->owner.pid, 0);
	stub = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	close(pidfd);
	return number < 0 ? number : stub;
}

TEST_F(adopt, last_stub_closed_in_the_middle_releases_and_nothing_is_run_again)
{
	int stub = stub_of_owner(self, UPCALL_REGISTER_AUTO_RELEASE | AGAIN);
	union any_event event;

	ASSERT_LE(0, stub);
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(dies_up_to(self, "orphaning"));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	ASSERT_EQ(0, close(stub));
	ASSERT_EQ(0, hook_resume("orphaning"));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	ASSERT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, next_event(self->peer, &event));
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(adopt, last_stub_closed_in_the_middle_is_told_to_the_successor)
{
	int stub = stub_of_owner(self, UPCALL_REGISTER_UNREFERENCED | AGAIN);
	struct upcall_event_call call;
	union any_event event;

	ASSERT_LE(0, stub);
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(dies_up_to(self, "orphaning"));
	ASSERT_EQ(0, close(stub));
	ASSERT_EQ(0, hook_resume("orphaning"));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(UPCALL_EVENT_UNREFERENCED, next_event(self->peer, &event));
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_EQ(COOKIE, event.event.cookie);
	ASSERT_EQ(0, answer(self->peer, 5, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(5, self->caller.mem->inv.status);
	EXPECT_TRUE(nothing_to_receive(self->peer));
}

TEST_F(adopt, who_polls_a_stub_is_told_of_the_end_and_not_of_the_death)
{
	int stub = stub_of_owner(self, 0);

	ASSERT_LE(0, stub);
	ASSERT_TRUE(dies_up_to(self, "orphaning"));
	EXPECT_EQ(POLLOUT, poll_now(stub));
	ASSERT_EQ(0, hook_resume("orphaning"));
	ASSERT_TRUE(eventually(is_orphaned(self->owner.pid)));
	EXPECT_EQ(POLLOUT, poll_now(stub));
	ASSERT_EQ(0, close(self->peer));
	EXPECT_EQ(POLLHUP | POLLERR, poll_now(stub));
}

TEST_F(adopt, of_two_at_once_one_is_ebusy)
{
	struct puppet heir = puppet_new();

	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, hook_arm("adopting"));
	puppet_start(&heir, do_adopt);
	ASSERT_TRUE(hook_is_hit("adopting"));
	EXPECT_EQ(-EBUSY, adopt(self->peer, NULL));
	EXPECT_EQ(2, listed_peer(my_peer, self->owner.pid).ended);
	ASSERT_EQ(0, hook_resume("adopting"));
	EXPECT_EQ(0, puppet_wait(&heir));
	EXPECT_EQ((uint32_t)heir.pid, stat_of(my_peer, self->handle).pid);
	kill(heir.pid, SIGKILL);
}

TEST_F(adopt, adopter_killed_in_the_middle_leaves_it_to_the_next)
{
	struct puppet heir = puppet_new();

	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, hook_arm("adopting"));
	puppet_start(&heir, do_adopt);
	ASSERT_TRUE(hook_is_hit("adopting"));
	ASSERT_EQ(0, kill(heir.pid, SIGKILL));
	ASSERT_EQ(0, hook_resume("adopting"));
	ASSERT_EQ(SIGKILL, reap(heir.pid));
	/* It was never the owner. */
	EXPECT_EQ((uint32_t)self->owner.pid, stat_of(my_peer, self->handle).pid);
	EXPECT_EQ(0, adopt(self->peer, NULL));
	EXPECT_EQ((uint32_t)getpid(), stat_of(my_peer, self->handle).pid);
}

static int bind_another(struct puppet_mem *mem)
{
	(void)mem;
	return configure(peer_open(), 0, 0);
}

TEST_F(adopt, adopter_killed_when_it_can_no_more_fail_leaves_an_orphan_of_its_own)
{
	struct puppet heir = puppet_new();

	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_EQ(0, puppet_do(&heir, bind_another));
	ASSERT_TRUE(orphan(self));
	ASSERT_EQ(0, hook_arm("adopting"));
	puppet_start(&heir, do_adopt);
	ASSERT_TRUE(hook_is_hit("adopting"));
	ASSERT_EQ(0, kill(heir.pid, SIGKILL));
	ASSERT_EQ(0, hook_resume("adopting"));
	ASSERT_EQ(SIGKILL, reap(heir.pid));
	EXPECT_EQ((uint32_t)heir.pid, stat_of(my_peer, self->handle).pid);
	EXPECT_EQ(0, adopt(self->peer, NULL));
}

/*
 * The owner is dead, the time of its peer has passed, and the timer's work has not looked yet. It
 * may come early, by a tick that was late; then it would look once more.
 */
static bool time_is_up(FIXTURE_DATA(adopt) *self)
{
	uint64_t until;

	if (adoptable(&self->owner, 1) || !call_queues(self) || !dies_up_to(self, "orphan_timer"))
		return false;
	until = in_ms(2);
	return eventually(now_ns() > until);
}

/* It goes on, and has looked: it is stopped again. */
static bool timer_looks(void)
{
	return !hook_arm("orphan_due") && !hook_resume("orphan_timer") && hook_is_hit("orphan_due");
}

TEST_F(adopt, time_that_is_up_comes_before_an_adopter_who_is_late)
{
	ASSERT_TRUE(time_is_up(self));
	ASSERT_TRUE(timer_looks());
	EXPECT_EQ(-ESHUTDOWN, adopt(self->peer, NULL));
	ASSERT_EQ(0, hook_resume("orphan_due"));
	EXPECT_EQ(-ESTALE, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_REASON_EXITED, self->caller.mem->inv.reason);
}

TEST_F(adopt, last_close_when_the_time_is_up)
{
	ASSERT_TRUE(time_is_up(self));
	ASSERT_TRUE(timer_looks());
	ASSERT_EQ(0, close(self->peer));
	EXPECT_EQ(-ESTALE, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_REASON_EXITED, self->caller.mem->inv.reason);
	EXPECT_EQ(0, hook_resume("orphan_due"));
}

/* Stopped in the middle of its ADOPT, and the time of the orphan has passed. */
static bool adopter_is_late(FIXTURE_DATA(adopt) *self, struct puppet *heir)
{
	if (puppet_give(heir, self->peer) || !time_is_up(self) || hook_arm("adopting"))
		return false;
	puppet_start(heir, do_adopt);
	return hook_is_hit("adopting") && timer_looks() && !hook_resume("orphan_due") &&
	       listed_peer(my_peer, self->owner.pid).ended == 2;
}

TEST_F(adopt, time_does_not_pass_while_one_adopts)
{
	struct puppet heir = puppet_new();

	ASSERT_TRUE(adopter_is_late(self, &heir));
	ASSERT_EQ(0, hook_resume("adopting"));
	EXPECT_EQ(0, puppet_wait(&heir));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	kill(heir.pid, SIGKILL);
}

TEST_F(adopt, time_has_passed_when_the_one_who_adopted_is_killed)
{
	struct puppet heir = puppet_new();

	ASSERT_TRUE(adopter_is_late(self, &heir));
	ASSERT_EQ(0, kill(heir.pid, SIGKILL));
	ASSERT_EQ(0, hook_resume("adopting"));
	EXPECT_EQ(-ESTALE, puppet_wait(&self->caller));
	EXPECT_EQ((uint32_t)UPCALL_REASON_EXITED, self->caller.mem->inv.reason);
	EXPECT_TRUE(eventually(stat_of(my_peer, self->handle).state == UPCALL_STATE_DEAD));
}

TEST_F(adopt, timer_that_was_late_leaves_the_orphan_of_the_next_one_its_own_time)
{
	struct puppet heir = puppet_new();
	struct upcall_event_call call;

	self->handle = register_flags(&self->owner, AGAIN);
	ASSERT_EQ(0, puppet_give(&heir, self->peer));
	ASSERT_EQ(0, adoptable(&self->owner, 1));
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_TRUE(dies_up_to(self, "orphan_timer"));
	ASSERT_EQ(0, puppet_do(&heir, do_adopt));
	ASSERT_EQ(0, adoptable(&heir, LONG_MS));
	ASSERT_EQ(SIGKILL, puppet_kill(&heir, SIGKILL));
	ASSERT_TRUE(eventually(is_orphaned(heir.pid)));
	ASSERT_EQ(0, hook_arm("orphan_due"));
	ASSERT_EQ(0, hook_resume("orphan_timer"));
	ASSERT_TRUE(hook_is_hit("orphan_due"));
	/* It has looked, and armed itself for the time that is left. */
	EXPECT_TRUE(is_orphaned(heir.pid));
	EXPECT_FALSE(puppet_done(&self->caller));
	EXPECT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, hook_resume("orphan_due"));
	ASSERT_EQ(0, answer(self->peer, 6, &call));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(6, self->caller.mem->inv.status);
}

static pthread_t vain_thread;

/* Into memory that there is not. */
static void *vain_main(void *arg)
{
	struct puppet_mem *mem = arg;

	mem->result = receive(my_peer, (void *)8, 4096, 1, 0, NULL);
	return NULL;
}

static int do_start_in_vain(struct puppet_mem *mem)
{
	return -pthread_create(&vain_thread, NULL, vain_main, mem);
}

static int do_join_in_vain(struct puppet_mem *mem)
{
	pthread_join(vain_thread, NULL);
	return mem->result;
}

/* The owner had the second one, and the first one is in the queue again: its copy has faulted. */
TEST_F(adopt, delivered_call_goes_back_behind_an_older_one_that_waits)
{
	struct puppet other = puppet_new();
	struct upcall_event_call first, second;

	self->handle = register_flags(&self->owner, AGAIN);
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(0, hook_arm("taken"));
	ASSERT_EQ(0, puppet_do(&self->owner, do_start_in_vain));
	ASSERT_TRUE(hook_is_hit("taken"));
	puppet_call_start(&other, self->handle);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_EQ(0, hook_resume("taken"));
	ASSERT_EQ(-EFAULT, puppet_do(&self->owner, do_join_in_vain));
	ASSERT_TRUE(orphan(self));
	EXPECT_EQ(2, queued(self->handle));
	ASSERT_EQ(0, adopt(self->peer, NULL));
	ASSERT_EQ(0, answer(self->peer, 1, &first));
	ASSERT_EQ(0, answer(self->peer, 2, &second));
	EXPECT_EQ(1, first.seq);
	EXPECT_EQ(0, first.flags & UPCALL_CALL_AGAIN);
	EXPECT_EQ(2, second.seq);
	EXPECT_EQ(UPCALL_CALL_AGAIN, second.flags & UPCALL_CALL_AGAIN);
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(1, self->caller.mem->inv.status);
	EXPECT_EQ(0, puppet_wait(&other));
	EXPECT_EQ(2, other.mem->inv.status);
	kill(other.pid, SIGKILL);
}

TEST_F(adopt, no_hook_is_left)
{
	EXPECT_TRUE(hook_is_quiet());
}

TEST_HARNESS_MAIN
