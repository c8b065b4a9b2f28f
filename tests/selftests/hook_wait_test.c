// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread that waited for one call leaves, by its deadline or a signal, and in this very moment
 * the RESULT comes, which was to go to no other: one that waits for anything must get it.
 */
#include "abi_call.h"
#include <sys/syscall.h>
#include "hook.h"

FIXTURE(leaving) {
	int owner, caller;
	uint64_t handle, id;
	struct upcall_event_call runs;
};

FIXTURE_VARIANT(leaving) {
	bool signal;		/* else its deadline */
	bool receives_first;	/* the other one waits already when this one begins to */
};

FIXTURE_VARIANT_ADD(leaving, by_deadline) {
	.receives_first = true,
};

FIXTURE_VARIANT_ADD(leaving, by_deadline_before_the_other_comes) {
};

FIXTURE_VARIANT_ADD(leaving, by_signal) {
	.signal = true,
	.receives_first = true,
};

FIXTURE_VARIANT_ADD(leaving, by_signal_before_the_other_comes) {
	.signal = true,
};

static void note_signal(int sig)
{
	(void)sig;
}

FIXTURE_SETUP(leaving)
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
}

FIXTURE_TEARDOWN(leaving)
{
	EXPECT_EQ(0, hook_clear());
	close(self->caller);
	close(self->owner);
}

/* A thread in one EXCHANGE; one that waits for a call is held when it leaves. */
struct waiter {
	int fd, ret;
	pid_t tid;
	struct upcall_exchange args;
	union any_event event;
	pthread_t thread;
};

static void *waiter_main(void *arg)
{
	struct waiter *waiter = arg;
	char text[64];

	snprintf(text, sizeof(text), "arm unwaiting %ld", syscall(SYS_gettid));
	if (waiter->args.wait_call && hook_parameter("hook", text))
		return NULL;
	__atomic_store_n(&waiter->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	waiter->ret = verb(waiter->fd, UPCALL_IOC_EXCHANGE, &waiter->args);
	return NULL;
}

/* @wait: a call, or 0; @deadline_ns: 0 for none. */
static int waiter_start(struct waiter *waiter, int fd, uint64_t wait, uint64_t deadline_ns)
{
	*waiter = (struct waiter){ .fd = fd, .ret = 1 };
	waiter->args = EXCHANGE_ARGS(.events = ptr64(&waiter->event),
		.events_len = sizeof(waiter->event), .wait_call = wait, .deadline_ns = deadline_ns);
	if (deadline_ns)
		waiter->args.flags &= ~UPCALL_EXCHANGE_NO_DEADLINE;
	return -pthread_create(&waiter->thread, NULL, waiter_main, waiter);
}

/* So many threads wait on the peers of the test. */
static bool waiting_are(int fd, uint32_t n)
{
	struct upcall_list_peer peers[2] = { 0 };

	list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 2);
	return peers[0].receivers + peers[1].receivers == n;
}

TEST_F(leaving, waiter_leaves_the_result_that_comes_just_then_to_another)
{
	struct waiter leaver, other;

	if (variant->receives_first) {
		ASSERT_EQ(0, waiter_start(&other, self->caller, 0, 0));
		ASSERT_TRUE(eventually(waiting_are(self->owner, 1)));
	}
	ASSERT_EQ(0, waiter_start(&leaver, self->caller, self->id, variant->signal ? 0 : in_ms(100)));
	if (variant->signal) {
		ASSERT_TRUE(eventually(waiting_are(self->owner, 1 + variant->receives_first)));
		syscall(SYS_tgkill, getpid(), leaver.tid, SIGUSR1);
	}
	/* It leaves: nothing has come. */
	ASSERT_TRUE(hook_is_hit("unwaiting"));
	ASSERT_EQ(leaver.tid, hook_stopped("unwaiting"));
	if (!variant->receives_first) {
		ASSERT_EQ(0, waiter_start(&other, self->caller, 0, 0));
		ASSERT_TRUE(eventually(waiting_are(self->owner, 1)));
	}
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 3, NULL, 0));
	ASSERT_EQ(0, hook_resume("unwaiting"));
	pthread_join(leaver.thread, NULL);
	EXPECT_EQ(variant->signal ? -EINTR : -ETIMEDOUT, leaver.ret);
	pthread_join(other.thread, NULL);
	EXPECT_EQ(0, other.ret);
	EXPECT_EQ(UPCALL_EVENT_RESULT, other.event.event.type);
	EXPECT_EQ(self->id, other.event.result.call_id);
	EXPECT_EQ(3, other.event.result.status);
	EXPECT_TRUE(no_event(self->caller));
}

/* As the fixture, without variants. */
static int begin(int *owner, int *caller, struct upcall_event_call *runs, uint64_t *id)
{
	uint64_t handle;

	*owner = peer_open();
	*caller = peer_open();
	if (hook_clear() || !alone(*owner))
		return -EBUSY;
	handle = register_new(*owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	*id = call_id_of(*caller, handle, 7);
	return one_call(*owner, runs);
}

/* It came while nobody else might take it, and then its peer has ended. */
TEST(result_of_one_who_leaves_an_ended_peer_is_dropped)
{
	struct upcall_event_call runs;
	struct waiter leaver;
	int owner, caller;
	uint64_t id;

	ASSERT_EQ(0, begin(&owner, &caller, &runs, &id));
	ASSERT_EQ(0, waiter_start(&leaver, caller, id, in_ms(100)));
	ASSERT_TRUE(hook_is_hit("unwaiting"));
	ASSERT_EQ(0, reply(owner, runs.call, 3, NULL, 0));
	/* Who looks moves it on, to the one who waits. */
	ASSERT_TRUE(no_event(caller));
	ASSERT_EQ(0, shut_down(caller));
	ASSERT_EQ(0, hook_resume("unwaiting"));
	pthread_join(leaver.thread, NULL);
	EXPECT_EQ(-ETIMEDOUT, leaver.ret);
	EXPECT_EQ(0, usage(owner).queued_calls);
	EXPECT_TRUE(hook_is_quiet());
	close(caller);
	close(owner);
}

static void *fault_main(void *arg)
{
	struct waiter *waiter = arg;

	waiter->ret = receive(waiter->fd, (void *)8, PAGE, 0, 0, NULL);
	return NULL;
}

TEST(result_that_an_ended_peer_could_not_write_is_dropped)
{
	struct upcall_event_call runs;
	struct waiter waiter;
	int owner;
	uint64_t id;

	ASSERT_EQ(0, begin(&owner, &waiter.fd, &runs, &id));
	ASSERT_EQ(0, reply(owner, runs.call, 3, NULL, 0));
	ASSERT_EQ(0, hook_arm("taken"));
	ASSERT_EQ(0, pthread_create(&waiter.thread, NULL, fault_main, &waiter));
	ASSERT_TRUE(hook_is_hit("taken"));
	EXPECT_EQ(0, shut_down(waiter.fd));
	ASSERT_EQ(0, hook_resume("taken"));
	pthread_join(waiter.thread, NULL);
	EXPECT_EQ(-EFAULT, waiter.ret);
	EXPECT_EQ(0, usage(owner).queued_calls);
	EXPECT_TRUE(hook_is_quiet());
	close(waiter.fd);
	close(owner);
}

TEST_HARNESS_MAIN
