// SPDX-License-Identifier: GPL-2.0-only
/* How owners and callers end, and what those who dealt with them are told. */
#include "kselftest_harness.h"
#include <pthread.h>
#include "puppet.h"

/* An owner with one callback, a caller of it, and a watcher who sees everything. */
FIXTURE(death) {
	struct puppet owner, caller;
	uint64_t handle;
	uint64_t began;
};

FIXTURE_SETUP(death)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_new();
	self->caller = puppet_new();
	self->handle = puppet_register(&self->owner, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(death)
{
	kill(self->owner.pid, SIGKILL);
	kill(self->caller.pid, SIGKILL);
}

/* A call with a deadline that is far away, so that nobody waits for it by mistake. */
static void call_start(struct puppet *caller, uint64_t handle)
{
	caller->mem->inv = INVOKE_ARGS(handle, .flags = 0, .deadline_ns = in_ms(SOON_MS));
	puppet_start(caller, do_invoke);
}

static bool call_queues(FIXTURE_DATA(death) *self)
{
	call_start(&self->caller, self->handle);
	return eventually(listed_callback(my_peer, self->handle).queued == 1);
}

static bool call_is_delivered(FIXTURE_DATA(death) *self)
{
	call_start(&self->caller, self->handle);
	return puppet_do(&self->owner, do_receive) == UPCALL_EVENT_CALL;
}

/* The answer of a call that had got so far when its owner ended, and of every later one. */
#define EXPECT_DEATH(delivered, why, status) do {					\
	struct upcall_invoke *_inv = &self->caller.mem->inv;				\
	uint64_t _began = now_ns();							\
											\
	EXPECT_EQ((delivered) ? -EOWNERDEAD : -ESTALE, puppet_wait(&self->caller));	\
	EXPECT_GT(_began + PROMPT_MS * 1000000ULL, now_ns());				\
	EXPECT_EQ((delivered) ? UPCALL_STAGE_DELIVERED : UPCALL_STAGE_NOT_DELIVERED,	\
		  _inv->stage);								\
	EXPECT_EQ((why), _inv->reason);							\
	EXPECT_EQ((status), (int)_inv->exit_status);					\
	EXPECT_EQ(-ESTALE, puppet_call(&self->caller, self->handle));			\
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, _inv->stage);				\
	EXPECT_EQ((why), _inv->reason);							\
	EXPECT_EQ((status), (int)_inv->exit_status);					\
	/* CLOSING until the last of its calls has left it: a moment after the answer */	\
	EXPECT_TRUE(eventually(stat_of(my_peer, self->handle).state ==			\
			       UPCALL_STATE_DEAD));					\
	EXPECT_EQ((why), stat_of(my_peer, self->handle).reason);			\
} while (0)

TEST_F(death, owner_killed_with_the_call_queued)
{
	ASSERT_TRUE(call_queues(self));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_DEATH(false, UPCALL_REASON_EXITED, SIGKILL);
}

TEST_F(death, owner_killed_with_the_call_delivered)
{
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_DEATH(true, UPCALL_REASON_EXITED, SIGKILL);
}

#define PEERS	150

/* A callback of each of PEERS peers in @mem->buf; 0 or -errno. */
static int own_many_peers(struct puppet_mem *mem)
{
	uint64_t *handles = (uint64_t *)mem->buf;
	int i;

	for (i = 0; i < PEERS; i++) {
		handles[i] = register_new(peer_open(), 0, UPCALL_ACCESS_ANYONE);
		if (!handles[i])
			return -EIO;
	}
	return 0;
}

TEST_F(death, owner_of_many_peers_dies_with_all_of_them)
{
	uint64_t *handles = (uint64_t *)self->owner.mem->buf;
	int i;

	ASSERT_EQ(0, puppet_do(&self->owner, own_many_peers));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, handles[PEERS - 1]).state);
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	for (i = 0; i < PEERS; i++)
		EXPECT_TRUE(eventually(stat_of(my_peer, handles[i]).state == UPCALL_STATE_DEAD));
}

TEST_F(death, owner_exits_with_the_call_queued)
{
	ASSERT_TRUE(call_queues(self));
	self->owner.mem->value = 3;
	puppet_start(&self->owner, do_exit);
	EXPECT_DEATH(false, UPCALL_REASON_EXITED, 3 << 8);
}

TEST_F(death, owner_exits_with_the_call_delivered)
{
	ASSERT_TRUE(call_is_delivered(self));
	self->owner.mem->value = 3;
	puppet_start(&self->owner, do_exit);
	EXPECT_DEATH(true, UPCALL_REASON_EXITED, 3 << 8);
}

TEST_F(death, last_close_with_the_call_queued)
{
	ASSERT_TRUE(call_queues(self));
	EXPECT_EQ(0, puppet_do(&self->owner, do_close));
	EXPECT_DEATH(false, UPCALL_REASON_CLOSED, 0);
}

TEST_F(death, last_close_with_the_call_delivered)
{
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_EQ(0, puppet_do(&self->owner, do_close));
	EXPECT_DEATH(true, UPCALL_REASON_CLOSED, 0);
}

static int dup_and_close(struct puppet_mem *mem)
{
	mem->value = dup(my_peer);
	return do_close(mem);
}

static int close_value(struct puppet_mem *mem)
{
	return close(mem->value) ? -errno : 0;
}

TEST_F(death, only_the_last_of_two_descriptors_counts)
{
	ASSERT_EQ(0, puppet_do(&self->owner, dup_and_close));
	ASSERT_TRUE(call_queues(self));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	ASSERT_EQ(0, puppet_do(&self->owner, close_value));
	EXPECT_DEATH(false, UPCALL_REASON_CLOSED, 0);
}

/* @mem->value: FD_CLOEXEC or 0. */
static int exec_sleep(struct puppet_mem *mem)
{
	if (fcntl(my_peer, F_SETFD, (int)mem->value))
		return -errno;
	stay_mortal();
	execl("/bin/sleep", "sleep", "1000", NULL);
	return -errno;
}

TEST_F(death, exec_with_close_on_exec)
{
	ASSERT_TRUE(call_is_delivered(self));
	self->owner.mem->value = FD_CLOEXEC;
	puppet_start(&self->owner, exec_sleep);
	EXPECT_DEATH(true, UPCALL_REASON_EXEC, 0);
	EXPECT_EQ(0, kill(self->owner.pid, 0));
}

TEST_F(death, exec_that_keeps_the_descriptor)
{
	ASSERT_TRUE(call_is_delivered(self));
	self->owner.mem->value = 0;
	puppet_start(&self->owner, exec_sleep);
	EXPECT_DEATH(true, UPCALL_REASON_EXEC, 0);
	EXPECT_EQ(0, kill(self->owner.pid, 0));
}

TEST_F(death, exec_with_the_call_queued)
{
	ASSERT_TRUE(call_queues(self));
	self->owner.mem->value = 0;
	puppet_start(&self->owner, exec_sleep);
	EXPECT_DEATH(false, UPCALL_REASON_EXEC, 0);
}

static pthread_t waiting[2];

static void *receive_thread(void *arg)
{
	__atomic_store_n(&my_mem->result, do_receive(arg), __ATOMIC_RELEASE);
	return NULL;
}

static int receive_in_thread(struct puppet_mem *mem)
{
	return -pthread_create(&waiting[1], NULL, receive_thread, mem);
}

/* The receiver is killed for it, before the old memory goes. */
TEST_F(death, exec_while_another_thread_receives)
{
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_EQ(0, puppet_do(&self->owner, receive_in_thread));
	ASSERT_TRUE(eventually(listed_peer(my_peer, self->owner.pid).receivers == 1));
	self->owner.mem->value = 0;
	puppet_start(&self->owner, exec_sleep);
	EXPECT_DEATH(true, UPCALL_REASON_EXEC, 0);
	EXPECT_EQ(0, kill(self->owner.pid, 0));
}

/* @arg: set to 1 when it has none of its parent's files any more. */
static int stay_without_files(void *arg)
{
	syscall(SYS_close_range, 3, ~0U, 0);
	__atomic_store_n((uint64_t *)arg, 1, __ATOMIC_RELEASE);
	return stay(NULL);
}

static int share_memory_alone(struct puppet_mem *mem)
{
	static char child_stack[65536] __attribute__((aligned(16)));

	mem->value = 0;
	mem->result = clone(stay_without_files, child_stack + sizeof(child_stack), CLONE_VM,
			    &mem->value);
	return mem->result < 0 ? -errno : 0;
}

TEST_F(death, last_close_by_the_exit_of_an_owner_whose_memory_lives_on)
{
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_EQ(0, puppet_do(&self->owner, share_memory_alone));
	ASSERT_TRUE(eventually(__atomic_load_n(&self->owner.mem->value, __ATOMIC_ACQUIRE)));
	EXPECT_EQ(SIGTERM, puppet_kill(&self->owner, SIGTERM));
	EXPECT_DEATH(true, UPCALL_REASON_EXITED, SIGTERM);
	EXPECT_EQ(0, kill(self->owner.mem->result, SIGKILL));
}

TEST_F(death, fatal_signal_to_a_receiver)
{
	ASSERT_TRUE(call_is_delivered(self));
	puppet_start(&self->owner, do_receive);
	ASSERT_TRUE(eventually(listed_peer(my_peer, self->owner.pid).receivers == 1));
	EXPECT_EQ(SIGTERM, puppet_kill(&self->owner, SIGTERM));
	EXPECT_DEATH(true, UPCALL_REASON_EXITED, SIGTERM);
}

TEST_F(death, fatal_signal_to_a_receiver_whose_memory_lives_on)
{
	ASSERT_TRUE(call_is_delivered(self));
	ASSERT_EQ(0, puppet_do(&self->owner, share_memory));
	puppet_start(&self->owner, do_receive);
	ASSERT_TRUE(eventually(listed_peer(my_peer, self->owner.pid).receivers == 1));
	EXPECT_EQ(SIGTERM, puppet_kill(&self->owner, SIGTERM));
	EXPECT_DEATH(true, UPCALL_REASON_EXITED, SIGTERM);
	EXPECT_EQ(0, kill(self->owner.mem->result, SIGKILL));
}

/* A call to @mem->inv.target by one thread, and a receiver in another, until SHUTDOWN. */
static void *invoke_thread(void *arg)
{
	my_mem->value = do_invoke(arg);
	return NULL;
}

static int wait_in_threads(struct puppet_mem *mem)
{
	return pthread_create(&waiting[0], NULL, invoke_thread, mem) ||
	       pthread_create(&waiting[1], NULL, receive_thread, mem);
}

static int shutdown_and_join(struct puppet_mem *mem)
{
	return do_shutdown(mem) ? : pthread_join(waiting[0], NULL) | pthread_join(waiting[1], NULL);
}

TEST_F(death, shutdown_ends_the_waits_of_all_threads)
{
	struct puppet *waiter = &self->caller;

	waiter->mem->inv = INVOKE_ARGS(self->handle);
	ASSERT_EQ(0, puppet_do(waiter, wait_in_threads));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(eventually(listed_peer(my_peer, waiter->pid).receivers == 1));
	EXPECT_EQ(0, puppet_do(waiter, shutdown_and_join));
	EXPECT_EQ(-ESHUTDOWN, (int)waiter->mem->value);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, waiter->mem->inv.stage);
	EXPECT_EQ(-ESHUTDOWN, waiter->mem->result);
	/* And the owner of what it had called is told. */
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_do(&self->owner, do_receive));
}

TEST_F(death, shutdown_with_the_call_queued)
{
	ASSERT_TRUE(call_queues(self));
	EXPECT_EQ(0, puppet_do(&self->owner, do_shutdown));
	EXPECT_DEATH(false, UPCALL_REASON_SHUTDOWN, 0);
	EXPECT_EQ(-ESHUTDOWN, puppet_do(&self->owner, do_shutdown));
}

TEST_F(death, shutdown_with_the_call_delivered)
{
	ASSERT_TRUE(call_is_delivered(self));
	EXPECT_EQ(0, puppet_do(&self->owner, do_shutdown));
	EXPECT_DEATH(true, UPCALL_REASON_SHUTDOWN, 0);
	EXPECT_EQ(-ESHUTDOWN, puppet_do(&self->owner, do_receive));
}

/* A child that has the descriptor, and lives until the test ends. @mem->result: its pid. */
static int fork_heir(struct puppet_mem *mem)
{
	pid_t pid = fork();

	if (!pid) {
		struct pollfd pollfd = { .fd = my_peer };

		mem->value = poll(&pollfd, 1, -1) == 1 ? pollfd.revents : 0;
		mem->caught = 1;
		for (;;)
			pause();
	}
	mem->result = pid;
	return 0;
}

TEST_F(death, inherited_descriptor_keeps_nothing_alive)
{
	ASSERT_TRUE(call_queues(self));
	ASSERT_EQ(0, puppet_do(&self->owner, fork_heir));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_DEATH(false, UPCALL_REASON_EXITED, SIGKILL);
	EXPECT_TRUE(eventually(puppet_caught(&self->owner)));
	EXPECT_TRUE(self->owner.mem->value & POLLHUP);
	EXPECT_EQ(0, kill(self->owner.mem->result, SIGKILL));
}

static int receive_in_a_thread(struct puppet_mem *mem)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, receive_thread, mem);
}

TEST_F(death, blocked_receiver_keeps_a_closed_peer_alive)
{
	ASSERT_EQ(0, puppet_do(&self->owner, receive_in_a_thread));
	ASSERT_TRUE(eventually(listed_peer(my_peer, self->owner.pid).receivers == 1));
	ASSERT_EQ(0, puppet_do(&self->owner, do_close));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(my_peer, self->handle).state);
	/* It still receives; and as it leaves, nothing holds the peer any more. */
	call_start(&self->caller, self->handle);
	EXPECT_DEATH(true, UPCALL_REASON_CLOSED, 0);
	EXPECT_TRUE(eventually(__atomic_load_n(&self->owner.mem->result, __ATOMIC_ACQUIRE) ==
			       UPCALL_EVENT_CALL));
}

TEST_F(death, call_of_a_caller_killed_before_is_never_delivered)
{
	struct puppet other = puppet_new();

	ASSERT_TRUE(call_queues(self));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	ASSERT_TRUE(eventually(listed_callback(my_peer, self->handle).queued == 0));
	puppet_call_start(&other, self->handle);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ((uint32_t)other.pid, self->owner.mem->event.call.pid);
	EXPECT_EQ(0, puppet_reply(&self->owner, 0));
	EXPECT_EQ(0, puppet_wait(&other));
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).delivered);
	kill(other.pid, SIGKILL);
}

TEST_F(death, owner_is_told_that_the_caller_of_a_delivered_call_was_killed)
{
	uint64_t call;

	ASSERT_TRUE(call_is_delivered(self));
	call = self->owner.mem->event.call.call;
	puppet_start(&self->owner, do_receive);
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_wait(&self->owner));
	EXPECT_EQ(call, self->owner.mem->event.cancel.call);
	EXPECT_EQ(ECANCELED, self->owner.mem->event.cancel.error);
	self->owner.mem->event.call.call = call;
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).running);
	EXPECT_EQ(-ENOENT, puppet_reply(&self->owner, 0));
	EXPECT_EQ(0, puppet_stat(&self->owner, self->handle).running);
}

static int reply_100(struct puppet_mem *mem)
{
	return reply(my_peer, mem->event.call.call, 0, mem->buf, 100);
}

TEST_F(death, kept_reply_of_a_killed_caller_is_given_up)
{
	struct puppet alice = puppet_of(ALICE);
	uint64_t handle = puppet_register(&self->owner, UPCALL_ACCESS_ANYONE);

	alice.mem->inv = INVOKE_ARGS(handle, .reply_max = 200);
	puppet_start(&alice, do_invoke);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(0, puppet_do(&self->owner, reply_100));
	EXPECT_EQ(-EMSGSIZE, puppet_wait(&alice));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, alice.mem->inv.stage);
	EXPECT_NE(0, alice.mem->inv.call_id);
	EXPECT_EQ(100, alice.mem->inv.needed);
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(200, listed_user(my_peer, ALICE, 0).queued_bytes);
	EXPECT_EQ(SIGKILL, puppet_kill(&alice, SIGKILL));
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, ALICE)));
}

#define MANY	1000

static int register_many(struct puppet_mem *mem)
{
	uint64_t *handles = (uint64_t *)mem->buf;
	int i;

	for (i = 0; i < MANY; i++) {
		handles[i] = register_new(my_peer, i, UPCALL_ACCESS_ANYONE);
		if (!handles[i])
			return -EIO;
	}
	return 0;
}

static int notify_many(struct puppet_mem *mem)
{
	uint64_t *handles = (uint64_t *)mem->buf;
	int i, err = 0;

	for (i = 0; i < MANY && !err; i++) {
		mem->inv = INVOKE_ARGS(handles[i], .arg = ptr64(mem->buf), .arg_len = 300,
				       .flags = UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE);
		err = do_invoke(mem);
	}
	return err;
}

TEST_F(death, of_a_thousand_callbacks_gives_everything_back)
{
	struct puppet alice = puppet_of(ALICE), bob = puppet_of(BOB);

	ASSERT_EQ(0, puppet_do(&alice, register_many));
	memcpy(bob.mem->buf, alice.mem->buf, MANY * sizeof(uint64_t));
	ASSERT_EQ(0, puppet_do(&bob, notify_many));
	EXPECT_EQ(MANY, listed_user(my_peer, ALICE, 0).callbacks);
	EXPECT_EQ(MANY, listed_user(my_peer, BOB, 0).queued_calls);
	EXPECT_EQ(MANY * 300, listed_user(my_peer, BOB, 0).queued_bytes);
	EXPECT_EQ(MANY, listed_peer(my_peer, alice.pid).queued);

	EXPECT_EQ(SIGKILL, puppet_kill(&alice, SIGKILL));
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, ALICE)));
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, BOB)));
	EXPECT_TRUE(eventually(!listed_peer(my_peer, alice.pid).peer));
	EXPECT_EQ(0, listed_callback(my_peer, ((uint64_t *)bob.mem->buf)[0]).handle);
	EXPECT_EQ(0, listed_callback(my_peer, ((uint64_t *)bob.mem->buf)[MANY - 1]).handle);
	kill(bob.pid, SIGKILL);
}

TEST_HARNESS_MAIN
