// SPDX-License-Identifier: GPL-2.0-only
/* Stub fds between processes: who holds one may call, wherever it came from. */
#include "kselftest_harness.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include "puppet.h"
#include "stub.h"

/* A stub that this process holds; a puppet has its own copy of the variable. */
static int my_stub = -1;

/* Takes descriptor @mem->value of its parent. */
static int do_take_stub(struct puppet_mem *mem)
{
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0);

	my_stub = syscall(SYS_pidfd_getfd, pidfd, (int)mem->value, 0);
	close(pidfd);
	return my_stub < 0 ? -errno : 0;
}

static int do_stub_invoke(struct puppet_mem *mem)
{
	return verb(my_stub, UPCALL_IOC_INVOKE, &mem->inv);
}

static int do_stub_poll(struct puppet_mem *mem)
{
	(void)mem;
	return poll_now(my_stub);
}

static int do_close_stub(struct puppet_mem *mem)
{
	(void)mem;
	return close(my_stub) ? -errno : 0;
}

FIXTURE(stub) {
	struct puppet owner, holder;
	uint64_t handle;
};

/* The owner's part: a callback that is to be called through stubs only. */
static int do_export(struct puppet_mem *mem)
{
	int err = do_register(mem);

	my_stub = err ?: export_stub(my_peer, mem->handle);
	return my_stub < 0 ? my_stub : 0;
}

static int take_from(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	close(pidfd);
	return taken;
}

static int do_say_stub(struct puppet_mem *mem)
{
	mem->value = my_stub;
	return 0;
}

FIXTURE_SETUP(stub)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_new();
	self->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_STUB_ONLY, .cookie = 4,
					     .flags = UPCALL_REGISTER_UNREFERENCED);
	ASSERT_EQ(0, puppet_do(&self->owner, do_export));
	self->handle = self->owner.mem->handle;
	/* Ours: what the owner has, it closes. */
	ASSERT_EQ(0, puppet_do(&self->owner, do_say_stub));
	my_stub = take_from(self->owner.pid, self->owner.mem->value);
	ASSERT_LE(0, my_stub);
	ASSERT_EQ(0, puppet_do(&self->owner, do_close_stub));
	self->holder = puppet_new();
	self->holder.mem->value = my_stub;
	ASSERT_EQ(0, puppet_do(&self->holder, do_take_stub));
	self->holder.mem->inv = INVOKE_ARGS(0);
}

FIXTURE_TEARDOWN(stub)
{
	puppet_kill(&self->owner, SIGKILL);
	puppet_kill(&self->holder, SIGKILL);
	close(my_stub);
	close(my_peer);
}

/* The holder calls, the owner answers; what the owner saw is in its @event. */
static int call_through(FIXTURE_DATA(stub) *self)
{
	int type;

	puppet_start(&self->holder, do_stub_invoke);
	type = puppet_do(&self->owner, do_receive);
	if (type != UPCALL_EVENT_CALL)
		return type < 0 ? type : -EPROTO;
	if (puppet_do(&self->owner, do_reply))
		return -EIO;
	return puppet_wait(&self->holder);
}

static bool unreferenced(FIXTURE_DATA(stub) *self)
{
	return puppet_do(&self->owner, do_receive) == UPCALL_EVENT_UNREFERENCED;
}

TEST_F(stub, other_user_calls_through_it_and_is_seen_as_what_he_is)
{
	self->holder.mem->value = ALICE;
	ASSERT_EQ(0, puppet_do(&self->holder, become));
	EXPECT_EQ(0, call_through(self));
	EXPECT_EQ(ALICE, self->owner.mem->event.call.uid);
	EXPECT_EQ(self->holder.pid, self->owner.mem->event.call.pid);
	EXPECT_EQ(UPCALL_CALL_STUB, self->owner.mem->event.call.flags & UPCALL_CALL_STUB);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->holder.mem->inv.stage);
}

/* chroot, a user namespace, and seccomp that knows nothing that opens. */
static int do_lock_in(struct puppet_mem *mem)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
#ifdef SYS_open
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
#endif
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(filter) / sizeof(*filter), .filter = filter };
	int err;

	close(my_peer);
	if (mkdir("/tmp/empty", 0755) && errno != EEXIST)
		return -errno;
	err = become(mem) ?: enter_user_ns(mem);
	if (err)
		return err;
	if (chroot("/tmp/empty") || chdir("/") || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		return -errno;
	return open("/dev/upcall", O_RDWR) < 0 && errno == EPERM ? 0 : -EIO;
}

TEST_F(stub, process_that_can_open_nothing_calls_through_it)
{
	self->holder.mem->value = BOB;
	ASSERT_EQ(0, puppet_do(&self->holder, do_lock_in));
	EXPECT_EQ(0, call_through(self));
	EXPECT_EQ(BOB, self->owner.mem->event.call.uid);
}

/* What the program does when it is exec'ed by the test below. */
__attribute__((constructor)) static void exec_main(void)
{
	const char *number = getenv("STUB_OF_EXEC");
	struct upcall_invoke args = INVOKE_ARGS(0);

	if (number)
		_exit(verb(atoi(number), UPCALL_IOC_INVOKE, &args) ? 1 : 7);
}

static int do_exec(struct puppet_mem *mem)
{
	char number[16], *argv[] = { "stub", NULL }, *envp[] = { number, NULL };
	char variable[32];

	(void)mem;
	fcntl(my_stub, F_SETFD, 0);
	snprintf(variable, sizeof(variable), "STUB_OF_EXEC=%d", my_stub);
	envp[0] = variable;
	execve("/proc/self/exe", argv, envp);
	return -errno;
}

TEST_F(stub, is_inherited_across_exec)
{
	puppet_start(&self->holder, do_exec);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(self->holder.pid, self->owner.mem->event.call.pid);
	EXPECT_EQ(0, puppet_do(&self->owner, do_reply));
	EXPECT_EQ(7 << 8, reap(self->holder.pid));
}

static int send_fd(int sock, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	control.head = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)),
	};
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EIO;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

TEST_F(stub, passed_over_a_socket_is_the_same_stub)
{
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	ASSERT_EQ(0, send_fd(pair[0], my_stub));
	close(my_stub);
	ASSERT_EQ(0, puppet_do(&self->holder, do_close_stub));
	my_stub = receive_fd(pair[1]);
	ASSERT_LE(0, my_stub);
	EXPECT_EQ(0, stub_notify(my_stub));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	close(pair[0]);
	close(pair[1]);
}

TEST_F(stub, in_flight_on_a_socket_that_is_closed_is_closed_with_it)
{
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	ASSERT_EQ(0, send_fd(pair[0], my_stub));
	close(my_stub);
	ASSERT_EQ(0, puppet_do(&self->holder, do_close_stub));
	close(pair[0]);
	close(pair[1]);
	EXPECT_TRUE(unreferenced(self));
	my_stub = -1;
}

static int do_stub_resume(struct puppet_mem *mem)
{
	struct upcall_invoke args = INVOKE_ARGS(0, .call_id = mem->value);

	return verb(my_stub, UPCALL_IOC_INVOKE, &args);
}

TEST_F(stub, call_that_was_interrupted_is_of_its_process_alone)
{
	struct upcall_invoke args;

	ASSERT_EQ(0, puppet_do(&self->holder, do_catch));	/* without SA_RESTART */
	self->holder.mem->value = 0;
	ASSERT_EQ(0, puppet_do(&self->holder, do_catch));
	puppet_start(&self->holder, do_stub_invoke);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	kill(self->holder.pid, SIGUSR1);
	ASSERT_EQ(-EINTR, puppet_wait(&self->holder));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->holder.mem->inv.stage);
	ASSERT_NE(0, self->holder.mem->inv.call_id);
	/* We have the same open file, and the number of the call. */
	args = INVOKE_ARGS(0, .call_id = self->holder.mem->inv.call_id);
	EXPECT_EQ(-ENOENT, verb(my_stub, UPCALL_IOC_INVOKE, &args));
	self->holder.mem->value = self->holder.mem->inv.call_id;
	puppet_start(&self->holder, do_stub_resume);
	ASSERT_EQ(0, puppet_do(&self->owner, do_reply));
	EXPECT_EQ(0, puppet_wait(&self->holder));
}

TEST_F(stub, call_that_its_process_left_behind_ends_with_it)
{
	self->holder.mem->value = 0;
	ASSERT_EQ(0, puppet_do(&self->holder, do_catch));
	puppet_start(&self->holder, do_stub_invoke);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	kill(self->holder.pid, SIGUSR1);
	ASSERT_EQ(-EINTR, puppet_wait(&self->holder));
	self->holder.mem->value = 0;
	puppet_start(&self->holder, do_exit);
	ASSERT_EQ(UPCALL_EVENT_CANCEL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(ECANCELED, self->owner.mem->event.cancel.error);
	EXPECT_EQ(-ENOENT, puppet_do(&self->owner, do_reply));
}

TEST_F(stub, holder_that_is_killed_in_a_call_cancels_it)
{
	puppet_start(&self->holder, do_stub_invoke);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	puppet_kill(&self->holder, SIGKILL);
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(-ENOENT, puppet_do(&self->owner, do_reply));
	EXPECT_EQ(0, stub_notify(my_stub));	/* of no concern to others */
}

TEST_F(stub, owner_that_is_killed_is_told_on_it_with_its_signal)
{
	puppet_start(&self->holder, do_stub_invoke);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	puppet_kill(&self->owner, SIGKILL);
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->holder));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->holder.mem->inv.stage);
	EXPECT_EQ(POLLHUP | POLLERR, puppet_do(&self->holder, do_stub_poll));
	EXPECT_TRUE(polls(my_stub, POLLHUP | POLLERR));
	EXPECT_EQ(UPCALL_REASON_EXITED, stat_of(my_stub, 0).reason);
	EXPECT_EQ(SIGKILL, stat_of(my_stub, 0).exit_status);
}

static void *invoke_on_stub(void *arg)
{
	struct upcall_invoke args = INVOKE_ARGS(0);

	*(int *)arg = verb(my_stub, UPCALL_IOC_INVOKE, &args);
	return NULL;
}

TEST_F(stub, closed_while_a_call_through_it_runs_stays_until_it_has_run)
{
	pthread_t thread;
	int ret = 1;

	ASSERT_EQ(0, puppet_do(&self->holder, do_close_stub));
	ASSERT_EQ(0, pthread_create(&thread, NULL, invoke_on_stub, &ret));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	close(my_stub);
	ASSERT_EQ(0, puppet_do(&self->owner, do_reply));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(unreferenced(self));
	my_stub = -1;
}

TEST_F(stub, unreferenced_comes_when_the_last_holder_dies)
{
	close(my_stub);
	my_stub = -1;
	puppet_kill(&self->holder, SIGKILL);
	EXPECT_TRUE(unreferenced(self));
}

static const char *const orders[] = { "sep", "spe", "esp", "eps", "pse", "pes" };

/* s: the stub, e: the set, p: the owner's peer (by killing it) */
TEST_F(stub, in_an_epoll_set_can_be_closed_in_every_order)
{
	struct epoll_event event;
	const char *step;
	uint64_t handle;
	size_t i;
	int fds[128];

	for (i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		event = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT | EPOLLET };
		fds['p'] = peer_open();
		handle = register_new(fds['p'], 0, UPCALL_ACCESS_STUB_ONLY);
		fds['s'] = export_stub(fds['p'], handle);
		fds['e'] = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, fds['s']);
		ASSERT_EQ(0, epoll_ctl(fds['e'], EPOLL_CTL_ADD, fds['s'], &event));
		ASSERT_EQ(0, epoll_ctl(fds['e'], EPOLL_CTL_ADD, fds['p'], &event));
		ASSERT_LE(1, epoll_wait(fds['e'], &event, 1, 0));
		for (step = orders[i]; *step; step++) {
			EXPECT_EQ(0, close(fds[(int)*step]));
			if (*step == 'p' && step == orders[i])
				EXPECT_EQ(1, epoll_wait(fds['e'], &event, 1, SOON_MS));
		}
	}
}

static int do_call_often(struct puppet_mem *mem)
{
	uint32_t i, out;

	for (i = 0; i < mem->value; i++) {
		struct upcall_invoke args = INVOKE_ARGS(0, .op = i ^ getpid(), .reply = ptr64(&out),
							.reply_room = 4, .reply_max = 4);

		if (verb(my_stub, UPCALL_IOC_INVOKE, &args) || out != (i ^ (uint32_t)getpid()))
			return -EBADMSG;
	}
	return 0;
}

static int do_echo(struct puppet_mem *mem)
{
	while (do_receive(mem) == UPCALL_EVENT_CALL) {
		if (reply(my_peer, mem->event.call.call, 0, &mem->event.call.op, 4))
			return -EIO;
	}
	return 0;
}

#define HOLDERS	4
#define CALLS	200

TEST_F(stub, that_many_processes_share_answers_each_its_own)
{
	struct puppet holders[HOLDERS];
	int i;

	puppet_start(&self->owner, do_echo);
	for (i = 0; i < HOLDERS; i++) {
		holders[i] = puppet_new();
		holders[i].mem->value = my_stub;
		ASSERT_EQ(0, puppet_do(&holders[i], do_take_stub));
		holders[i].mem->value = CALLS;
	}
	for (i = 0; i < HOLDERS; i++)
		puppet_start(&holders[i], do_call_often);
	for (i = 0; i < HOLDERS; i++) {
		EXPECT_EQ(0, puppet_wait(&holders[i]));
		puppet_kill(&holders[i], SIGKILL);
	}
}

/* Memory is looked at by churn_test; here: that none is counted as open. */
TEST_F(stub, exported_and_closed_a_thousand_times_leaves_none)
{
	uint64_t handle = register_new(my_peer, 0, UPCALL_ACCESS_STUB_ONLY);
	int i, stub;

	for (i = 0; i < 1000; i++) {
		stub = export_stub(my_peer, handle);
		ASSERT_LE(0, stub);
		close(stub);
	}
	EXPECT_EQ(0, stat_of(my_peer, handle).stubs);
}

TEST_HARNESS_MAIN
