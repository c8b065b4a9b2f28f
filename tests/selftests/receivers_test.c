// SPDX-License-Identifier: GPL-2.0-only
/* Several threads receive on one peer, for several callers. */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "puppet.h"

#define FREEZER	"/tmp/upcall_receivers_test"
#define GROUP	FREEZER "/thread"
#define THREADS	4
#define CALLS	200

/* One thread that receives: what it waits for, and what it got. */
struct receiver {
	pthread_t thread;
	pid_t tid;		/* once it has begun */
	uint32_t room;		/* bytes */
	uint32_t max_calls;
	int ret;
	bool done;
	struct upcall_exchange out;
	char buf[1024] __attribute__((aligned(8)));
};

static void *receiver_main(void *arg)
{
	struct receiver *receiver = arg;

	__atomic_store_n(&receiver->tid, gettid(), __ATOMIC_RELEASE);
	receiver->ret = receive(my_peer, receiver->buf, receiver->room, receiver->max_calls, 0,
				&receiver->out);
	__atomic_store_n(&receiver->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool receiver_done(struct receiver *receiver)
{
	return __atomic_load_n(&receiver->done, __ATOMIC_ACQUIRE);
}

/* It sleeps when this returns, so that those who come later queue up behind it. */
static bool receiver_start(struct receiver *receiver, uint32_t room, uint32_t max_calls)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->room = room;
	receiver->max_calls = max_calls;
	return !pthread_create(&receiver->thread, NULL, receiver_main, receiver) &&
	       eventually(__atomic_load_n(&receiver->tid, __ATOMIC_ACQUIRE) &&
			  sleeps_in_ioctl(receiver->tid));
}

static void ignore_signal(int sig)
{
	(void)sig;
}

/* The freezer of cgroups v1, which takes single threads, and leaves them where they sleep. */
static bool freezer_mount(void)
{
	mkdir(FREEZER, 0700);
	return !mount("none", FREEZER, "cgroup", 0, "freezer") && !mkdir(GROUP, 0700);
}

/* Nobody is left there: a thread that is frozen could not be killed, either. */
static void freezer_unmount(void)
{
	eventually(!rmdir(GROUP) || errno == ENOENT);
	umount(FREEZER);
	rmdir(FREEZER);
}

FIXTURE(receivers) {
	struct puppet caller;
	uint64_t handle;
};

FIXTURE_SETUP(receivers)
{
	struct sigaction action = { .sa_handler = ignore_signal };

	self->caller = puppet_new();
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->handle = register_new(my_peer, 1, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
}

FIXTURE_TEARDOWN(receivers)
{
	write_to(GROUP "/freezer.state", "THAWED");
	shut_down(my_peer);
	kill(self->caller.pid, SIGKILL);
	freezer_unmount();
}

static int notify_with(uint64_t handle, uint32_t op, uint32_t arg_len, void *arg)
{
	struct upcall_invoke inv = INVOKE_ARGS(handle, .op = op, .arg = ptr64(arg),
					       .arg_len = arg_len, .flags = UPCALL_INVOKE_ONEWAY |
					       UPCALL_INVOKE_NO_DEADLINE);

	return verb(my_peer, UPCALL_IOC_INVOKE, &inv);
}

TEST_F(receivers, of_two_that_wait_one_gets_the_call)
{
	static struct receiver two[2];
	int got;

	ASSERT_TRUE(receiver_start(&two[0], 1024, 1));
	ASSERT_TRUE(receiver_start(&two[1], 1024, 1));
	puppet_call_start(&self->caller, self->handle);
	EXPECT_TRUE(eventually(receiver_done(&two[0]) || receiver_done(&two[1])));
	got = receiver_done(&two[0]) ? 0 : 1;
	EXPECT_EQ(0, two[got].ret);
	EXPECT_EQ(1, two[got].out.event_count);
	EXPECT_EQ(1, stat_of(my_peer, self->handle).delivered);
	EXPECT_FALSE(receiver_done(&two[!got]));
	/* The other one is there for the next. */
	EXPECT_EQ(0, notify_with(self->handle, 5, 0, NULL));
	EXPECT_TRUE(eventually(receiver_done(&two[!got])));
	EXPECT_EQ(5, ((struct upcall_event_call *)two[!got].buf)->op);
}

TEST_F(receivers, wake_up_of_one_that_is_signalled_goes_to_another)
{
	static struct receiver two[2];
	int round, got;

	/* The first in line is signalled just as the call comes, in either order. */
	for (round = 0; round < 100; round++) {
		ASSERT_TRUE(receiver_start(&two[0], 1024, 1));
		ASSERT_TRUE(receiver_start(&two[1], 1024, 1));
		if (round & 1)
			pthread_kill(two[0].thread, SIGUSR1);
		ASSERT_EQ(0, notify_with(self->handle, round, 0, NULL));
		if (!(round & 1))
			pthread_kill(two[0].thread, SIGUSR1);
		/* The signalled one leaves with the call or with EINTR; then it was the other's. */
		ASSERT_TRUE(eventually(receiver_done(&two[0])));
		ASSERT_TRUE(two[0].ret == 0 || two[0].ret == -EINTR);
		got = two[0].ret ? 1 : 0;
		if (!got)
			ASSERT_EQ(0, notify_with(self->handle, round, 0, NULL));
		ASSERT_TRUE(eventually(receiver_done(&two[1])));
		ASSERT_EQ(0, two[1].ret);
		EXPECT_EQ(round, ((struct upcall_event_call *)two[got].buf)->op);
		pthread_join(two[0].thread, NULL);
		pthread_join(two[1].thread, NULL);
	}
	EXPECT_EQ(stat_of(my_peer, self->handle).calls, stat_of(my_peer, self->handle).delivered);
}

static bool group_is_frozen(void)
{
	char text[16] = "";
	int fd = open(GROUP "/freezer.state", O_RDONLY);
	bool is = read(fd, text, sizeof(text) - 1) > 0 && !strcmp(text, "FROZEN\n");

	close(fd);
	return is;
}

static bool freeze(pid_t tid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", tid);
	return write_to(GROUP "/tasks", text) && write_to(GROUP "/freezer.state", "FROZEN") &&
	       eventually(group_is_frozen());
}

TEST_F(receivers, call_goes_past_one_that_is_frozen)
{
	static struct receiver two[2];
	uint64_t deadline = in_ms(SOON_MS);

	if (!freezer_mount())
		SKIP_TEST("no freezer of cgroups v1 here");
	ASSERT_TRUE(receiver_start(&two[0], 1024, 1));
	ASSERT_TRUE(receiver_start(&two[1], 1024, 1));
	ASSERT_TRUE(freeze(two[1].tid));
	EXPECT_EQ(0, notify_with(self->handle, 5, 0, NULL));
	EXPECT_TRUE(eventually(receiver_done(&two[0])));
	EXPECT_GT(deadline, now_ns());	/* not only because its own came */
	EXPECT_EQ(1, two[0].out.event_count);
	EXPECT_FALSE(receiver_done(&two[1]));
	/* Thawed, it is there for the next. */
	EXPECT_TRUE(write_to(GROUP "/freezer.state", "THAWED"));
	EXPECT_EQ(0, notify_with(self->handle, 6, 0, NULL));
	EXPECT_TRUE(eventually(receiver_done(&two[1])));
	EXPECT_EQ(6, ((struct upcall_event_call *)two[1].buf)->op);
}

TEST_F(receivers, one_of_max_calls_0_leaves_calls_to_others)
{
	static struct receiver control, worker;

	ASSERT_TRUE(receiver_start(&control, 1024, 0));
	ASSERT_TRUE(receiver_start(&worker, 1024, 1));
	EXPECT_EQ(0, notify_with(self->handle, 5, 0, NULL));
	EXPECT_TRUE(eventually(receiver_done(&worker)));
	EXPECT_EQ(5, ((struct upcall_event_call *)worker.buf)->op);
	EXPECT_FALSE(receiver_done(&control));

	/* With nobody else there, a call waits, and another event does not. */
	EXPECT_EQ(0, notify_with(self->handle, 6, 0, NULL));
	EXPECT_FALSE(receiver_done(&control));
	EXPECT_EQ(0, release(my_peer, register_new(my_peer, 2, 0), 0));
	EXPECT_TRUE(eventually(receiver_done(&control)));
	EXPECT_EQ(0, control.ret);
	EXPECT_EQ(1, control.out.event_count);
	EXPECT_EQ(UPCALL_EVENT_RELEASED, ((struct upcall_event *)control.buf)->type);
	EXPECT_EQ(1, stat_of(my_peer, self->handle).queued);
}

TEST_F(receivers, call_too_large_for_one_goes_to_another)
{
	static struct receiver small, large;
	uint64_t deadline = in_ms(SOON_MS);
	char arg[300] = "";

	/* The last to come is the first in line. */
	ASSERT_TRUE(receiver_start(&large, 1024, 1));
	ASSERT_TRUE(receiver_start(&small, sizeof(struct upcall_event_call), 1));
	EXPECT_EQ(0, notify_with(self->handle, 5, sizeof(arg), arg));
	EXPECT_TRUE(eventually(receiver_done(&large)));
	EXPECT_GT(deadline, now_ns());	/* not only because its own came */
	EXPECT_EQ(0, large.ret);
	EXPECT_EQ(5, ((struct upcall_event_call *)large.buf)->op);
	EXPECT_TRUE(eventually(receiver_done(&small)));
	EXPECT_EQ(-EMSGSIZE, small.ret);
	EXPECT_EQ(sizeof(struct upcall_event_call) + 304, small.out.needed);
}

TEST_F(receivers, call_too_large_is_emsgsize_and_stays)
{
	static struct receiver small;
	char arg[300] = "";

	ASSERT_TRUE(receiver_start(&small, sizeof(struct upcall_event_call), 1));
	EXPECT_EQ(0, notify_with(self->handle, 5, sizeof(arg), arg));
	EXPECT_TRUE(eventually(receiver_done(&small)));
	EXPECT_EQ(-EMSGSIZE, small.ret);
	EXPECT_EQ(sizeof(struct upcall_event_call) + 304, small.out.needed);
	EXPECT_EQ(1, stat_of(my_peer, self->handle).queued);
	ASSERT_EQ(0, receive(my_peer, small.buf, 1024, 1, 0, NULL));
	EXPECT_EQ(5, ((struct upcall_event_call *)small.buf)->op);
}

TEST_F(receivers, event_too_large_for_one_of_max_calls_0_goes_to_another)
{
	static struct receiver small, large;
	struct upcall_event_call call;
	uint64_t began;

	puppet_call_start(&self->caller, self->handle);
	ASSERT_EQ(0, next_call(my_peer, &call));
	ASSERT_TRUE(receiver_start(&small, sizeof(struct upcall_event), 0));
	ASSERT_TRUE(receiver_start(&large, 1024, 0));
	began = now_ns();
	ASSERT_EQ(0, release(my_peer, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_TRUE(eventually(receiver_done(&large)));
	/* Not only because its deadline came. */
	EXPECT_GT(began + PROMPT_MS * 1000000UL, now_ns());
	EXPECT_EQ(0, large.ret);
	EXPECT_EQ(UPCALL_EVENT_CANCEL, ((struct upcall_event *)large.buf)->type);
	if (receiver_done(&small)) {
		EXPECT_EQ(-EMSGSIZE, small.ret);
		EXPECT_EQ(sizeof(struct upcall_event_cancel), small.out.needed);
	}
}

/* Counts each call by its op. */
static uint32_t times_seen[THREADS * CALLS];

static void *drain(void *arg)
{
	char buf[4096] __attribute__((aligned(8)));
	struct upcall_event_call *call = (struct upcall_event_call *)buf;
	struct upcall_exchange out;

	(void)arg;
	while (!receive(my_peer, buf, sizeof(buf), 1, 0, &out)) {
		__atomic_add_fetch(&times_seen[call->op], 1, __ATOMIC_RELAXED);
		reply(my_peer, call->call, call->op, NULL, 0);
	}
	return NULL;
}

/* Calls @mem->handle CALLS times; the reply's status must be the op. */
static int call_often(struct puppet_mem *mem)
{
	uint32_t i, op;
	int err;

	for (i = 0; i < CALLS; i++) {
		op = mem->value * CALLS + i;
		mem->inv = INVOKE_ARGS(mem->handle, .op = op);
		err = do_invoke(mem);
		if (err)
			return err;
		if (mem->inv.status != op)
			return -EBADMSG;
	}
	return 0;
}

TEST_F(receivers, every_call_runs_once_and_each_caller_gets_its_own_answer)
{
	struct puppet callers[THREADS];
	pthread_t threads[THREADS];
	uint64_t handles[2] = { self->handle, register_new(my_peer, 2, 0) };
	int i;

	for (i = 0; i < THREADS; i++) {
		callers[i] = puppet_new();
		callers[i].mem->handle = handles[i % 2];
		callers[i].mem->value = i;
		pthread_create(&threads[i], NULL, drain, NULL);
	}
	for (i = 0; i < THREADS; i++)
		puppet_start(&callers[i], call_often);
	for (i = 0; i < THREADS; i++)
		EXPECT_EQ(0, puppet_wait(&callers[i]));
	for (i = 0; i < THREADS * CALLS; i++)
		ASSERT_EQ(1, times_seen[i]);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(THREADS * CALLS / 2, stat_of(my_peer, handles[i]).delivered);
		EXPECT_EQ(THREADS * CALLS / 2, stat_of(my_peer, handles[i]).replied);
		EXPECT_EQ(0, stat_of(my_peer, handles[i]).running);
	}
	EXPECT_EQ(0, shut_down(my_peer));
	for (i = 0; i < THREADS; i++) {
		EXPECT_EQ(0, pthread_join(threads[i], NULL));
		kill(callers[i].pid, SIGKILL);
	}
}

/* CALLS notifications; op counts up, and the upper half says who. EAGAIN: again. */
static int notify_often(struct puppet_mem *mem)
{
	uint32_t i = 0;
	int err = 0;

	while (i < CALLS && (!err || err == -EAGAIN)) {
		mem->inv = INVOKE_ARGS(mem->handle, .op = mem->value << 16 | i,
				       .flags = UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE);
		err = do_invoke(mem);
		if (!err)
			i++;
		else
			sched_yield();
	}
	return err;
}

TEST_F(receivers, each_callers_calls_come_in_its_order)
{
	struct puppet callers[THREADS];
	uint32_t next[THREADS] = { 0 }, who;
	struct upcall_event_call call;
	uint64_t seq = 0;
	int i;

	for (i = 0; i < THREADS; i++) {
		callers[i] = puppet_new();
		callers[i].mem->handle = self->handle;
		callers[i].mem->value = i;
		puppet_start(&callers[i], notify_often);
	}
	for (i = 0; i < THREADS * CALLS; i++) {
		ASSERT_EQ(0, next_call(my_peer, &call));
		ASSERT_LT(seq, call.seq);
		seq = call.seq;
		who = call.op >> 16;
		ASSERT_GT(THREADS, who);
		ASSERT_EQ(next[who], call.op & 0xffff);
		next[who]++;
		ASSERT_EQ(0, reply(my_peer, call.call, 0, NULL, 0));
	}
	for (i = 0; i < THREADS; i++) {
		EXPECT_EQ(0, puppet_wait(&callers[i]));
		kill(callers[i].pid, SIGKILL);
	}
}

TEST_HARNESS_MAIN
