// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors between processes, and what becomes of them when one of those dies, gives up or is
 * held up: in the end nothing is open that nobody has, and nobody owes anything.
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/resource.h>
#include "fds.h"
#include "puppet.h"
#include "stall.h"

/* What the orders below share with the test, at the end of a puppet's buffer. */
struct hands {
	int reader;
	int writer;
	int fds[UPCALL_MAX_FDS];
};

static struct hands *hands_of(struct puppet_mem *mem)
{
	return (struct hands *)(mem->buf + sizeof(mem->buf) - sizeof(struct hands));
}

FIXTURE(riding) {
	struct puppet owner, caller;
	uint64_t handle;
	int reader;	/* sees whether the writing end that the caller made is open */
};

static int make_pipe(struct puppet_mem *mem)
{
	struct hands *hands = hands_of(mem);

	return pipe_new(&hands->reader, &hands->writer);
}

static int close_writer(struct puppet_mem *mem)
{
	return close(hands_of(mem)->writer) ? -errno : 0;
}

/* Writes to the descriptor that came with the last event. */
static int write_to_received(struct puppet_mem *mem)
{
	return write(fds_of(&mem->event)[0], "over here", 10) == 10 ? 0 : -errno;
}

static int close_received(struct puppet_mem *mem)
{
	return close(fds_of(&mem->event)[0]) ? -errno : 0;
}

/* The call of the last event, with the writing end of a pipe. */
static int reply_writer(struct puppet_mem *mem)
{
	return reply_fds(my_peer, mem->event.call.call, &hands_of(mem)->writer, 1, NULL);
}

static int bound_files(struct puppet_mem *mem)
{
	struct rlimit limit = { mem->value, mem->value };

	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

/* The reading end of the pipe that a puppet has made, which then has only the writing one. */
static int take_reader(struct puppet *puppet)
{
	char path[64];
	int reader;

	if (puppet_do(puppet, make_pipe))
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", puppet->pid, hands_of(puppet->mem)->reader);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return reader;
}

FIXTURE_SETUP(riding)
{
	my_peer = peer_open();
	self->owner = puppet_new();
	self->caller = puppet_new();
	self->owner.mem->reg = REGISTER_FDS_ARGS(.access = UPCALL_ACCESS_ANYONE);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	self->handle = self->owner.mem->handle;
	self->reader = take_reader(&self->caller);
	ASSERT_LE(0, self->reader);
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).fds);
}

FIXTURE_TEARDOWN(riding)
{
	kill(self->owner.pid, SIGKILL);
	kill(self->caller.pid, SIGKILL);
	EXPECT_TRUE(eventually(!listed_user(my_peer, 0, 0).fds));
}

/* The caller calls with the writing end of its pipe, and takes one with the reply. */
static void call_start(struct puppet *caller, uint64_t handle, uint64_t deadline_ns)
{
	struct hands *hands = hands_of(caller->mem);

	caller->mem->inv = SEND_ARGS(handle, &hands->writer, 1, .reply_fds = ptr64(hands->fds),
				     .reply_fd_room = 1, .deadline_ns = deadline_ns);
	if (deadline_ns)
		caller->mem->inv.flags = 0;
	puppet_start(caller, do_invoke);
}

static int notify_writer(struct puppet *caller, uint64_t handle)
{
	caller->mem->inv = SEND_ARGS(handle, &hands_of(caller->mem)->writer, 1);
	caller->mem->inv.flags |= UPCALL_INVOKE_ONEWAY;
	return puppet_do(caller, do_invoke);
}

#define RIDING(n) eventually(listed_user(my_peer, 0, 0).fds == (n))
#define CLOSED() eventually(writer_is_closed(self->reader))

TEST_F(riding, pipe_goes_to_another_process_and_one_comes_back)
{
	struct hands *hands = hands_of(self->caller.mem);
	char text[16] = "";
	int other;

	other = take_reader(&self->owner);
	call_start(&self->caller, self->handle, 0);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(1, self->owner.mem->event.call.fd_count);
	EXPECT_EQ(0, puppet_do(&self->owner, write_to_received));
	EXPECT_EQ(10, read(self->reader, text, sizeof(text)));
	EXPECT_STREQ("over here", text);
	ASSERT_EQ(0, puppet_do(&self->owner, reply_writer));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(1, self->caller.mem->inv.reply_fd_count);
	EXPECT_NE(hands->writer, hands->fds[0]);
	/* Each is open in both processes now. */
	EXPECT_EQ(0, puppet_do(&self->owner, close_writer));
	EXPECT_FALSE(writer_is_closed(other));
	puppet_kill(&self->caller, SIGKILL);
	EXPECT_TRUE(eventually(writer_is_closed(other)));
	EXPECT_FALSE(writer_is_closed(self->reader));
	EXPECT_EQ(0, puppet_do(&self->owner, close_received));
	EXPECT_TRUE(CLOSED());
}

TEST_F(riding, what_its_sender_has_closed_arrives_open)
{
	ASSERT_EQ(0, notify_writer(&self->caller, self->handle));
	EXPECT_EQ(0, puppet_do(&self->caller, close_writer));
	puppet_kill(&self->caller, SIGKILL);
	EXPECT_FALSE(writer_is_closed(self->reader));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(0, puppet_do(&self->owner, write_to_received));
	EXPECT_EQ(0, puppet_do(&self->owner, close_received));
	EXPECT_TRUE(CLOSED());
}

/* --- ends in every state ------------------------------------------------------------- */

TEST_F(riding, caller_killed_with_its_call_queued)
{
	call_start(&self->caller, self->handle, 0);
	ASSERT_TRUE(RIDING(1));
	puppet_kill(&self->caller, SIGKILL);
	EXPECT_TRUE(CLOSED());
	EXPECT_TRUE(RIDING(0));
}

TEST_F(riding, caller_past_its_deadline_with_its_call_queued)
{
	call_start(&self->caller, self->handle, in_ms(50 * UPCALL_SLOW));
	EXPECT_EQ(-ETIMEDOUT, puppet_wait(&self->caller));
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).fds);
	EXPECT_EQ(0, puppet_do(&self->caller, close_writer));
	EXPECT_TRUE(CLOSED());
}

TEST_F(riding, caller_interrupted_with_its_call_queued)
{
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	call_start(&self->caller, self->handle, 0);
	ASSERT_TRUE(RIDING(1));
	ASSERT_TRUE(eventually(sleeps_in_ioctl(self->caller.pid)));
	kill(self->caller.pid, SIGUSR1);
	EXPECT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).fds);
	EXPECT_EQ(0, puppet_do(&self->caller, close_writer));
	EXPECT_TRUE(CLOSED());
}

TEST_F(riding, owner_killed_with_the_call_queued)
{
	ASSERT_EQ(0, notify_writer(&self->caller, self->handle));
	EXPECT_EQ(0, puppet_do(&self->caller, close_writer));
	EXPECT_FALSE(writer_is_closed(self->reader));
	puppet_kill(&self->owner, SIGKILL);
	EXPECT_TRUE(CLOSED());
	EXPECT_TRUE(RIDING(0));
}

TEST_F(riding, owner_shut_down_with_the_call_queued)
{
	ASSERT_EQ(0, notify_writer(&self->caller, self->handle));
	EXPECT_EQ(0, puppet_do(&self->caller, close_writer));
	EXPECT_EQ(0, puppet_do(&self->owner, do_shutdown));
	EXPECT_TRUE(CLOSED());
	EXPECT_TRUE(RIDING(0));
}

TEST_F(riding, owner_killed_with_the_call_delivered)
{
	call_start(&self->caller, self->handle, 0);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	puppet_kill(&self->owner, SIGKILL);
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(0, puppet_do(&self->caller, close_writer));
	EXPECT_TRUE(CLOSED());
}

TEST_F(riding, caller_killed_before_it_sees_the_reply)
{
	int other = take_reader(&self->owner);

	call_start(&self->caller, self->handle, 0);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	kill(self->caller.pid, SIGSTOP);
	ASSERT_TRUE(eventually(task_state(self->caller.pid) == 'T'));
	EXPECT_EQ(0, puppet_do(&self->owner, reply_writer));
	EXPECT_EQ(0, puppet_do(&self->owner, close_writer));
	EXPECT_EQ(1, listed_user(my_peer, 0, 0).fds);
	EXPECT_FALSE(writer_is_closed(other));
	puppet_kill(&self->caller, SIGKILL);
	EXPECT_TRUE(eventually(writer_is_closed(other)));
	EXPECT_TRUE(RIDING(0));
}

/* --- limits across processes and users ------------------------------------------------ */

TEST_F(riding, receiver_whose_table_is_full_is_told_and_the_sender_does_not_notice)
{
	self->owner.mem->value = 4;	/* its peer and its socket are 3 and 4 */
	ASSERT_EQ(0, puppet_do(&self->owner, bound_files));
	call_start(&self->caller, self->handle, 0);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(UPCALL_CALL_FDS_LOST, self->owner.mem->event.call.flags & UPCALL_CALL_FDS_LOST);
	EXPECT_EQ(0, self->owner.mem->event.call.fd_count);
	EXPECT_EQ(0, puppet_reply(&self->owner, 5));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(5, self->caller.mem->inv.status);
	EXPECT_EQ(0, puppet_do(&self->caller, close_writer));
	EXPECT_TRUE(CLOSED());
}

/* Sends 64 at a time until it is refused: how many were taken. */
static int flood_fds(struct puppet_mem *mem)
{
	struct hands *hands = hands_of(mem);
	uint32_t i, sent = 0;

	for (i = 0; i < UPCALL_MAX_FDS; i++)
		hands->fds[i] = hands->writer;
	while (!(mem->result = send_fds(my_peer, mem->value, hands->fds, UPCALL_MAX_FDS)))
		sent += UPCALL_MAX_FDS;
	return sent;
}

static int flood(struct puppet *puppet, uint64_t handle)
{
	puppet->mem->value = handle;
	return puppet_do(puppet, flood_fds);
}

static int raise_files(struct puppet_mem *mem)
{
	struct rlimit limit = { 8192, 8192 };

	(void)mem;
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

TEST_F(riding, one_uid_has_4096_on_their_way_whatever_its_rlimit_and_others_have_theirs)
{
	struct puppet alice[2] = { puppet_new(), puppet_new() }, bob = puppet_new();
	int i;

	self->owner.mem->reg = REGISTER_FDS_ARGS(.access = UPCALL_ACCESS_ANYONE,
						 .max_queued_calls = 1024);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	self->handle = self->owner.mem->handle;
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, puppet_do(&alice[i], raise_files));
		alice[i].mem->value = ALICE;
		ASSERT_EQ(0, puppet_do(&alice[i], become));
		ASSERT_EQ(0, puppet_do(&alice[i], make_pipe));
	}
	bob.mem->value = BOB;
	ASSERT_EQ(0, puppet_do(&bob, become));
	ASSERT_EQ(0, puppet_do(&bob, make_pipe));
	EXPECT_EQ(4096, flood(&alice[0], self->handle));
	EXPECT_EQ(-EMFILE, alice[0].mem->result);
	EXPECT_EQ(4096, listed_user(my_peer, ALICE, 0).fds);
	EXPECT_EQ(0, flood(&alice[1], self->handle));
	EXPECT_EQ(1024, flood(&bob, self->handle));	/* the usual RLIMIT_NOFILE */
	EXPECT_EQ(-EMFILE, bob.mem->result);
	/* What a dead caller sent still rides, and still counts. */
	puppet_kill(&alice[0], SIGKILL);
	EXPECT_EQ(4096, listed_user(my_peer, ALICE, 0).fds);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(4096 - UPCALL_MAX_FDS, listed_user(my_peer, ALICE, 0).fds);
	EXPECT_EQ(0, puppet_do(&self->owner, do_shutdown));
	EXPECT_EQ(0, listed_user(my_peer, ALICE, 0).fds);
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).fds);
	puppet_kill(&alice[1], SIGKILL);
	puppet_kill(&bob, SIGKILL);
}

TEST_F(riding, user_namespace_is_charged_to_its_owner_too)
{
	struct puppet inner = puppet_of(ALICE);

	ASSERT_EQ(0, puppet_do(&inner, enter_user_ns));
	ASSERT_EQ(0, puppet_do(&inner, make_pipe));
	ASSERT_EQ(0, notify_writer(&inner, self->handle));
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 1).fds);
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 0).fds);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(0, listed_user(my_peer, ALICE, 0).fds);
	puppet_kill(&inner, SIGKILL);
}

/* --- in the middle of a copy --------------------------------------------------------- */

/* A callback of this process, so that its memory can hold the delivery up. */
static uint64_t own_callback(void)
{
	struct upcall_register reg = REGISTER_FDS_ARGS(.access = UPCALL_ACCESS_ANYONE);

	return verb(my_peer, UPCALL_IOC_REGISTER, &reg) ? 0 : reg.handle;
}

/* Alice has sent the writing end of her pipe, and its delivery here is held up. */
struct held {
	struct puppet alice;
	struct stall stall;
	struct stalled_receiver receiver;
	int reader;
	int open;
};

static int held_make(struct held *held, uint64_t handle)
{
	int err = stall_make(&held->stall, true);

	if (err)
		return err;
	held->alice = puppet_new();
	held->reader = take_reader(&held->alice);
	held->alice.mem->value = ALICE;
	if (puppet_do(&held->alice, become))
		return -EIO;
	call_start(&held->alice, handle, 0);
	if (!eventually(listed_user(my_peer, ALICE, 0).fds == 1))
		return -ETIME;
	held->open = open_fds();
	return stalled_receive(&held->receiver, my_peer, &held->stall, 1) ? 0 : -EIO;
}

#define HOLD(held) ({							\
	int _err = held_make(&(held), own_callback());			\
	/* EINVAL: one that cannot protect pages from being written, as on arm64 */ \
	if (_err == -EPERM || _err == -ENOSYS || _err == -EINVAL)	\
		SKIP(return, "no userfaultfd here that holds the kernel up: %s", strerror(-_err)); \
	ASSERT_EQ(0, _err);						\
})

TEST_F(riding, caller_killed_while_they_are_delivered_leaves_them_to_the_owners_account)
{
	struct upcall_event_call *call;
	struct held held;

	HOLD(held);
	puppet_kill(&held.alice, SIGKILL);
	EXPECT_TRUE(eventually(!listed_user(my_peer, ALICE, 0).fds));
	EXPECT_EQ(1, listed_user(my_peer, 0, 0).fds);
	ASSERT_EQ(0, stall_end(&held.stall, NULL));
	ASSERT_EQ(0, stalled_join(&held.receiver));
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).fds);
	call = (void *)held.stall.page;
	ASSERT_EQ(1, call->fd_count);
	EXPECT_FALSE(writer_is_closed(held.reader));
	close(*(int *)((char *)call + call->fds_offset));
	EXPECT_TRUE(eventually(writer_is_closed(held.reader)));
	EXPECT_EQ(-ENOENT, reply(my_peer, call->call, 0, NULL, 0));
}

TEST_F(riding, caller_killed_while_the_delivery_faults_closes_them)
{
	struct held held;

	HOLD(held);
	puppet_kill(&held.alice, SIGKILL);
	EXPECT_TRUE(eventually(!listed_user(my_peer, ALICE, 0).fds));
	ASSERT_EQ(0, stall_break(&held.stall));
	EXPECT_EQ(-EFAULT, stalled_join(&held.receiver));
	EXPECT_TRUE(eventually(writer_is_closed(held.reader)));
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).fds);
	EXPECT_EQ(held.open, open_fds());
}

TEST_F(riding, owner_shut_down_while_they_are_delivered)
{
	struct held held;

	HOLD(held);
	EXPECT_EQ(0, shut_down(my_peer));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&held.alice));
	ASSERT_EQ(0, stall_break(&held.stall));
	EXPECT_EQ(-EFAULT, stalled_join(&held.receiver));
	EXPECT_EQ(held.open, open_fds());
	EXPECT_EQ(0, puppet_do(&held.alice, close_writer));
	EXPECT_TRUE(eventually(writer_is_closed(held.reader)));
	my_peer = peer_open();
	EXPECT_EQ(0, listed_user(my_peer, ALICE, 0).fds);
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).fds);
}

/* --- numbers that are held up while they are read ------------------------------------------ */

static void *invoke_main(void *arg)
{
	struct upcall_invoke *args = arg;
	static int ret;

	ret = verb(my_peer, UPCALL_IOC_INVOKE, args);
	return &ret;
}

TEST_F(riding, number_that_is_closed_while_it_is_read_is_ebadf)
{
	static int page[4096 / sizeof(int)];
	struct upcall_invoke args;
	struct stall stall;
	pthread_t thread;
	int err = stall_make(&stall, false), reader = -1, writer = -1;
	int *ret;

	if (err)
		SKIP(return, "no userfaultfd here that holds the kernel up: %s", strerror(-err));
	ASSERT_EQ(0, pipe_new(&reader, &writer));
	args = SEND_ARGS(self->handle, stall.page, 2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, invoke_main, &args));
	ASSERT_TRUE(stall_is_hit(&stall));
	page[0] = reader;
	page[1] = writer;
	close(writer);
	EXPECT_TRUE(writer_is_closed(reader));
	ASSERT_EQ(0, stall_end(&stall, page));
	pthread_join(thread, (void **)&ret);
	EXPECT_EQ(-EBADF, *ret);
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).fds);
}

TEST_HARNESS_MAIN
