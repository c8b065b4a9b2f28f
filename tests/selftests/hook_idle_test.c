// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread goes to sleep for events, and in this very moment a RESULT comes, which another one moves
 * on who has no use for it: whoever sleeps must get it. And a wait for a call that is not accepted.
 */
#include "abi_call.h"
#include <sys/syscall.h>
#include "hook.h"

struct waiter {
	int fd, ret;
	bool done, holds;
	struct upcall_exchange args;
	union any_event event;
	pthread_t thread;
};

static void note_signal(int sig)
{
	(void)sig;
}

static void *waiter_main(void *arg)
{
	struct waiter *waiter = arg;
	char text[64];

	if (waiter->holds) {
		snprintf(text, sizeof(text), "arm idling %ld", syscall(SYS_gettid));
		hook_parameter("hook", text);
		snprintf(text, sizeof(text), "arm idle %ld", syscall(SYS_gettid));
		hook_parameter("hook", text);
	}
	waiter->ret = verb(waiter->fd, UPCALL_IOC_EXCHANGE, &waiter->args);
	__atomic_store_n(&waiter->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool waiter_done(struct waiter *waiter)
{
	return __atomic_load_n(&waiter->done, __ATOMIC_ACQUIRE);
}

static int waiter_start(struct waiter *waiter, int fd, uint64_t wait, bool holds)
{
	*waiter = (struct waiter){ .fd = fd, .ret = 1, .holds = holds };
	waiter->args = EXCHANGE_ARGS(.events = ptr64(&waiter->event),
		.events_len = sizeof(waiter->event.result) + 64, .wait_call = wait);
	return -pthread_create(&waiter->thread, NULL, waiter_main, waiter);
}

FIXTURE(idle) {
	int owner, caller;
	uint64_t handle, id, other;
	struct upcall_event_call runs, runs_other;
};

FIXTURE_VARIANT(idle) {
	bool polls;	/* who moves it on polls; else it waits for another call */
};

FIXTURE_VARIANT_ADD(idle, poll) { .polls = true };
FIXTURE_VARIANT_ADD(idle, wait) { };

FIXTURE_SETUP(idle)
{
	struct sigaction action = { .sa_handler = note_signal };

	ASSERT_EQ(0, hook_clear());
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	self->id = call_id_of(self->caller, self->handle, 7);
	ASSERT_NE(0, self->id);
	ASSERT_EQ(0, one_call(self->owner, &self->runs));
	self->other = call_id_of(self->caller, self->handle, 8);
	ASSERT_EQ(0, one_call(self->owner, &self->runs_other));
}

FIXTURE_TEARDOWN(idle)
{
	EXPECT_EQ(0, hook_clear());
	close(self->caller);
	close(self->owner);
}

TEST_F(idle, result_that_another_moved_on_wakes_who_goes_to_sleep)
{
	struct pollfd pollfd = { .fd = self->caller, .events = POLLIN };
	struct waiter sleeper, other;

	ASSERT_EQ(0, waiter_start(&sleeper, self->caller, 0, true));
	/* Under the lock of its peer: it has seen that there is nothing, and stands in no list. */
	ASSERT_TRUE(hook_is_hit("idling"));
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 3, NULL, 0));
	ASSERT_EQ(0, hook_resume("idling"));
	ASSERT_TRUE(hook_is_hit("idle"));
	if (variant->polls) {
		EXPECT_EQ(1, poll(&pollfd, 1, 0));
	} else {
		ASSERT_EQ(0, waiter_start(&other, self->caller, self->other, false));
		ASSERT_TRUE(eventually(receivers_of(self->owner) == 2));
	}
	ASSERT_EQ(0, hook_resume("idle"));
	EXPECT_TRUE(eventually(waiter_done(&sleeper)));
	EXPECT_EQ(0, reply(self->owner, self->runs_other.call, 4, NULL, 0));
	if (!variant->polls) {
		pthread_join(other.thread, NULL);
		EXPECT_EQ(0, other.ret);
	}
	pthread_kill(sleeper.thread, SIGUSR1);	/* if it was forgotten */
	pthread_join(sleeper.thread, NULL);
	EXPECT_EQ(0, sleeper.ret);
	EXPECT_EQ(UPCALL_EVENT_RESULT, sleeper.event.event.type);
	EXPECT_EQ(self->id, sleeper.event.result.call_id);
}

static void *call_main(void *arg)
{
	struct upcall_command *cmd = arg;

	command(cmd->user_data, cmd);
	return NULL;
}

/* Who waits for an id that nobody was told yet may not wait for ever. */
TEST_F(idle, wait_for_a_call_that_is_refused_ends)
{
	struct upcall_command cmd = CALL(self->handle, .user_data = self->caller, .reply_max = 64);
	struct waiter waiter;
	pthread_t thread;
	uint64_t next = ((self->other >> 32) + 1) << 32 | ((uint32_t)self->other + 1);

	ASSERT_EQ(0, hook_arm("linked"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, call_main, &cmd));
	ASSERT_TRUE(hook_is_hit("linked"));
	ASSERT_EQ(0, waiter_start(&waiter, self->caller, next, false));
	ASSERT_TRUE(eventually(waiter_done(&waiter) || receivers_of(self->owner)));
	EXPECT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(0, hook_resume("linked"));
	pthread_join(thread, NULL);
	EXPECT_EQ(ESTALE, cmd.error);
	EXPECT_EQ(0, shut_down(self->caller));
	EXPECT_TRUE(eventually(waiter_done(&waiter)));
	pthread_kill(waiter.thread, SIGUSR1);	/* if it was forgotten */
	pthread_join(waiter.thread, NULL);
	EXPECT_EQ(-ENOENT, waiter.ret);
}

TEST_HARNESS_MAIN
