// SPDX-License-Identifier: GPL-2.0-only
/* Signals to those who wait: nothing is submitted twice, nothing is lost. */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/time.h>
#include "puppet.h"

FIXTURE(signal) {
	struct puppet owner, caller;
	uint64_t handle;
};

FIXTURE_SETUP(signal)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_new();
	self->caller = puppet_new();
	self->handle = puppet_register(&self->owner, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(signal)
{
	kill(self->owner.pid, SIGKILL);
	kill(self->caller.pid, SIGKILL);
}

static bool call_queues(FIXTURE_DATA(signal) *self)
{
	puppet_call_start(&self->caller, self->handle);
	return eventually(listed_callback(my_peer, self->handle).queued == 1);
}

static bool call_is_delivered(FIXTURE_DATA(signal) *self)
{
	puppet_call_start(&self->caller, self->handle);
	return puppet_do(&self->owner, do_receive) == UPCALL_EVENT_CALL &&
	       eventually(sleeps_in_ioctl(self->caller.pid));
}

/* Its handler has run. */
static bool signalled(struct puppet *puppet)
{
	uint32_t before = puppet_caught(puppet);

	kill(puppet->pid, SIGUSR1);
	return eventually(puppet_caught(puppet) == before + 1);
}

TEST_F(signal, restarted_while_queued_the_call_goes_on)
{
	ASSERT_EQ(0, puppet_catch(&self->caller, SA_RESTART));
	ASSERT_TRUE(call_queues(self));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->caller.mem->inv.stage);
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).delivered);
	EXPECT_EQ(0, self->owner.mem->stat.queued);
}

TEST_F(signal, interrupted_while_queued_it_never_runs)
{
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_queues(self));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(0, self->caller.mem->inv.call_id);
	EXPECT_EQ(0, puppet_stat(&self->owner, self->handle).queued);
	EXPECT_EQ(0, self->owner.mem->stat.delivered);

	/* What the owner receives next is another call. */
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_EQ(2, self->owner.mem->event.call.seq);
}

TEST_F(signal, restarted_after_delivery_the_call_goes_on)
{
	ASSERT_EQ(0, puppet_catch(&self->caller, SA_RESTART));
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_FALSE(puppet_done(&self->caller));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->caller.mem->inv.stage);
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(0, self->caller.mem->inv.call_id);
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).calls);
	EXPECT_EQ(1, self->owner.mem->stat.delivered);
}

TEST_F(signal, interrupted_after_delivery_it_can_be_waited_for_again)
{
	uint64_t id;

	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	id = self->caller.mem->inv.call_id;
	EXPECT_NE(0, id);

	puppet_start(&self->caller, do_invoke);
	EXPECT_TRUE(eventually(sleeps_in_ioctl(self->caller.pid)));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(id, self->caller.mem->inv.call_id);

	puppet_start(&self->caller, do_invoke);
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(0, self->caller.mem->inv.call_id);
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).delivered);
}

TEST_F(signal, reply_that_comes_between_the_waits_is_fetched_once)
{
	uint64_t id;

	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	id = self->caller.mem->inv.call_id;
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_do(&self->caller, do_invoke));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	self->caller.mem->inv.call_id = id;
	EXPECT_EQ(-ENOENT, puppet_do(&self->caller, do_invoke));
}

TEST_F(signal, interrupted_call_can_be_cancelled)
{
	uint64_t call;

	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_is_delivered(self));
	call = self->owner.mem->event.call.call;
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(0, puppet_do(&self->caller, do_cancel));
	EXPECT_EQ(-ENOENT, puppet_do(&self->caller, do_cancel));
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(call, self->owner.mem->event.cancel.call);
	EXPECT_EQ(ECANCELED, self->owner.mem->event.cancel.error);
	self->owner.mem->event.call.call = call;
	EXPECT_EQ(-ENOENT, puppet_reply(&self->owner, 0));
	EXPECT_EQ(0, puppet_stat(&self->owner, self->handle).running);
	EXPECT_EQ(0, self->owner.mem->stat.replied);
}

TEST_F(signal, call_id_of_another_peer_is_enoent)
{
	struct puppet thief = puppet_new();

	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	thief.mem->inv = self->caller.mem->inv;
	thief.mem->inv.stage = 77;
	EXPECT_EQ(-ENOENT, puppet_do(&thief, do_invoke));
	EXPECT_EQ(77, thief.mem->inv.stage);
	EXPECT_EQ(-ENOENT, puppet_do(&thief, do_cancel));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_do(&self->caller, do_invoke));
	kill(thief.pid, SIGKILL);
}

static pid_t waiter_tid;
static int waiter_ret;

static void *wait_again(void *arg)
{
	struct upcall_invoke again = *(struct upcall_invoke *)arg;

	__atomic_store_n(&waiter_tid, gettid(), __ATOMIC_RELEASE);
	waiter_ret = verb(my_peer, UPCALL_IOC_INVOKE, &again);
	return NULL;
}

/* A second wait and a CANCEL, while a thread waits: their errors in @mem->value. */
static int wait_twice(struct puppet_mem *mem)
{
	struct upcall_invoke again = mem->inv;
	pthread_t thread;

	pthread_create(&thread, NULL, wait_again, &mem->inv);
	if (!eventually(__atomic_load_n(&waiter_tid, __ATOMIC_ACQUIRE) &&
			sleeps_in_ioctl(waiter_tid)))
		return -ETIME;
	again.stage = 77;
	mem->value = verb(my_peer, UPCALL_IOC_INVOKE, &again) == -EBUSY && again.stage == 77 &&
		     cancel(my_peer, mem->inv.call_id) == -EBUSY;
	mem->caught = 100;
	pthread_join(thread, NULL);
	return waiter_ret;
}

TEST_F(signal, only_one_thread_waits_for_a_call)
{
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_TRUE(signalled(&self->caller));
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	puppet_start(&self->caller, wait_twice);
	EXPECT_TRUE(eventually(puppet_caught(&self->caller) == 100));
	EXPECT_EQ(1, self->caller.mem->value);
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_wait(&self->caller));
}

/* INVOKE whose struct nobody can write once it waits. */
static struct upcall_invoke *sealed;

static void *seal(void *arg)
{
	pid_t tid = *(pid_t *)arg;

	/* Until it waits it must be able to write; reading works on. */
	while (!sleeps_in_ioctl(tid))
		sched_yield();
	mprotect(sealed, 4096, PROT_READ);
	__atomic_store_n(&my_mem->result, 1, __ATOMIC_RELEASE);
	return NULL;
}

static int invoke_sealed(struct puppet_mem *mem)
{
	pid_t tid = gettid();
	sigset_t usr1, old;
	pthread_t thread;
	int err;

	sealed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*sealed = mem->inv;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, &old);	/* not for the other thread */
	pthread_create(&thread, NULL, seal, &tid);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	err = verb(my_peer, UPCALL_IOC_INVOKE, sealed);
	pthread_join(thread, NULL);
	return err;
}

static bool call_is_sealed(FIXTURE_DATA(signal) *self)
{
	if (puppet_catch(&self->caller, 0))
		return false;
	self->caller.mem->inv = INVOKE_ARGS(self->handle);
	puppet_start(&self->caller, invoke_sealed);
	if (puppet_do(&self->owner, do_receive) != UPCALL_EVENT_CALL)
		return false;
	if (!eventually(__atomic_load_n(&self->caller.mem->result, __ATOMIC_ACQUIRE)))
		return false;
	kill(self->caller.pid, SIGUSR1);
	return eventually(task_state(self->caller.pid) == 'D');
}

TEST_F(signal, caller_that_cannot_be_told_the_id_waits_on)
{
	ASSERT_TRUE(call_is_sealed(self));
	EXPECT_EQ(0, puppet_caught(&self->caller));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(-EFAULT, puppet_wait(&self->caller));
	EXPECT_EQ(1, puppet_caught(&self->caller));
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).delivered);
}

TEST_F(signal, caller_that_cannot_be_told_the_id_can_be_killed)
{
	uint64_t call;

	ASSERT_TRUE(call_is_sealed(self));
	call = self->owner.mem->event.call.call;
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(call, self->owner.mem->event.cancel.call);
}

TEST_F(signal, interrupted_receiver_is_eintr)
{
	ASSERT_EQ(0, puppet_catch(&self->owner, 0));
	puppet_start(&self->owner, do_receive);
	ASSERT_TRUE(eventually(sleeps_in_ioctl(self->owner.pid)));
	EXPECT_TRUE(signalled(&self->owner));
	EXPECT_EQ(-EINTR, puppet_wait(&self->owner));
	EXPECT_EQ(0, listed_peer(my_peer, self->owner.pid).receivers);
	EXPECT_TRUE(call_is_delivered(self));
}

TEST_F(signal, restarted_receiver_receives)
{
	ASSERT_EQ(0, puppet_catch(&self->owner, SA_RESTART));
	puppet_start(&self->owner, do_receive);
	ASSERT_TRUE(eventually(sleeps_in_ioctl(self->owner.pid)));
	EXPECT_TRUE(signalled(&self->owner));
	EXPECT_FALSE(puppet_done(&self->owner));
	puppet_call_start(&self->caller, self->handle);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_wait(&self->owner));
}

/* Replies to the last call, and waits for the next. */
static int reply_and_receive(struct puppet_mem *mem)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_REPLY, .target = mem->event.call.call, .status = 7,
	};

	mem->exch = (struct upcall_exchange) {
		.size = sizeof(mem->exch), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(&cmd), .command_count = 1, .command_size = sizeof(cmd),
		.events = ptr64(mem->buf), .events_len = 1024, .max_calls = 1,
	};
	return verb(my_peer, UPCALL_IOC_EXCHANGE, &mem->exch) ? : -(int)cmd.error;
}

TEST_F(signal, receiver_whose_commands_were_carried_out_is_not_restarted)
{
	ASSERT_EQ(0, puppet_catch(&self->owner, SA_RESTART));
	ASSERT_TRUE(call_is_delivered(self));
	puppet_start(&self->owner, reply_and_receive);
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	ASSERT_TRUE(eventually(listed_peer(my_peer, self->owner.pid).receivers == 1));
	EXPECT_TRUE(signalled(&self->owner));
	EXPECT_EQ(0, puppet_wait(&self->owner));
	EXPECT_EQ(EINTR, self->owner.mem->exch.wait_error);
	EXPECT_EQ(0, self->owner.mem->exch.commands_failed);
	EXPECT_EQ(0, self->owner.mem->exch.event_count);
}

#define AREAS	4000	/* of memory: the more there are, the longer takes a first verb */
#define VERBS	1000

static bool make_areas(void)
{
	char *pages = mmap(NULL, AREAS * 4096UL, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	for (i = 0; pages != MAP_FAILED && i < AREAS; i += 2) {
		if (mprotect(pages + i * 4096UL, 4096, PROT_READ | PROT_WRITE))
			return false;
	}
	return pages != MAP_FAILED;
}

/* The first verb on a new peer; a signal comes after @usecs, if not 0. */
static int first_verb(uint64_t usecs)
{
	struct itimerval timer = { .it_value = { usecs / 1000000, usecs % 1000000 } };
	struct upcall_register reg = REGISTER_ARGS();
	int fd = peer_open(), err;

	setitimer(ITIMER_REAL, &timer, NULL);
	err = verb(fd, UPCALL_IOC_REGISTER, &reg);
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	close(fd);
	return err;
}

/* The @i-th of VERBS moments, in an order in which the first few of them are spread over all. */
static uint64_t moment(uint64_t usecs, int i)
{
	return 1 + usecs * (i * 619 % VERBS) / VERBS;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Signals at all moments of as many first verbs, or of as many of them as a slow kernel has
 * time for; @mem->caught counts the signals, @mem->value the verbs.
 */
static int interrupt_first_verbs(struct puppet_mem *mem)
{
	struct sigaction action = { .sa_handler = note_signal, .sa_flags = mem->value };
	uint64_t began, took[10], usecs;
	int i, err = 0;

	close(my_peer);
	if (!make_areas() || sigaction(SIGALRM, &action, NULL))
		return -ENOMEM;
	for (i = 0; i < 10; i++) {
		began = now_ns();
		first_verb(0);
		took[i] = now_ns() - began;
	}
	/* Not the mean: if our processor stood still in one of them, most signals would come late. */
	qsort(took, 10, sizeof(took[0]), by_value);
	usecs = took[5] / 1000;
	began = now_ns();
	for (i = 0; i < VERBS && !err && now_ns() - began < SOON_MS / 4 * 1000000ULL; i++)
		err = first_verb(moment(usecs, i));
	mem->value = i;
	return err;
}

TEST_F(signal, first_verb_of_a_process_is_never_eintr)
{
	struct puppet puppet = puppet_new();

	puppet.mem->value = SA_RESTART;
	EXPECT_EQ(0, puppet_do(&puppet, interrupt_first_verbs));
	/* or else this has tested nothing */
	EXPECT_LE(20, puppet.mem->value);
	EXPECT_LT(puppet.mem->value / 10, puppet_caught(&puppet));
	kill(puppet.pid, SIGKILL);
}

/* Looks over and over for what it may not see, with an alarm each millisecond, until that is seen. */
static int list_until_interrupted(struct puppet_mem *mem)
{
	struct sigaction action = { .sa_handler = note_signal };
	struct itimerval often = { .it_interval.tv_usec = 1000, .it_value.tv_usec = 1000 }, never = { 0 };
	struct upcall_list args;
	uint64_t until = in_ms(SOON_MS);
	int err;

	if (become(mem) || sigaction(SIGALRM, &action, NULL))
		return -EPROTO;
	/* Binds the peer: a slow kernel takes longer than from alarm to alarm, and would begin anew for ever. */
	stat_of(my_peer, 0);
	setitimer(ITIMER_REAL, &often, NULL);
	do {
		args = (struct upcall_list){
			.size = sizeof(args), .what = UPCALL_LIST_CALLBACKS,
			.record_size = sizeof(struct upcall_list_callback),
			.buffer = ptr64(mem->buf), .buffer_len = sizeof(mem->buf),
		};
		err = verb(my_peer, UPCALL_IOC_LIST, &args);
	} while (!err && !args.count && now_ns() < until);
	setitimer(ITIMER_REAL, &never, NULL);
	mem->value = args.cursor;
	return err;
}

TEST_F(signal, list_that_has_found_nothing_yet_is_eintr_and_goes_on_from_there)
{
	struct puppet puppet = puppet_new();
	int i;

	for (i = 0; i < 1000; i++)
		ASSERT_NE(0, register_new(my_peer, i, UPCALL_ACCESS_SAME_USER));
	puppet.mem->value = BOB;
	EXPECT_EQ(-EINTR, puppet_do(&puppet, list_until_interrupted));
	EXPECT_LT(0, puppet.mem->value);
	close(my_peer);
	kill(puppet.pid, SIGKILL);
}

TEST_F(signal, fatal_one_to_a_queued_caller_takes_the_call_back)
{
	ASSERT_TRUE(call_queues(self));
	EXPECT_EQ(SIGTERM, puppet_kill(&self->caller, SIGTERM));
	EXPECT_TRUE(eventually(!listed_callback(my_peer, self->handle).queued));
	EXPECT_EQ(0, puppet_stat(&self->owner, self->handle).delivered);
}

TEST_HARNESS_MAIN
