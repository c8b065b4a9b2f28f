// SPDX-License-Identifier: GPL-2.0-only
/* A peer belongs to the process that uses it first, and to nobody else. */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sched.h>
#include "puppet.h"

/* Every verb but INFO, on a peer: how many do not answer with @want. */
static int verbs_not(int fd, int want)
{
	struct upcall_register reg = REGISTER_ARGS();
	struct upcall_rebind rebind = { .size = sizeof(rebind) };
	struct upcall_release rel = { .size = sizeof(rel) };
	struct upcall_stat stat = { .size = sizeof(stat) };
	struct upcall_list_peer peer;
	struct upcall_list list = {
		.size = sizeof(list), .what = UPCALL_LIST_PEERS, .record_size = sizeof(peer),
		.buffer = ptr64(&peer), .buffer_len = sizeof(peer),
	};
	struct upcall_invoke inv = INVOKE_ARGS(0);
	struct upcall_exchange exch = { .size = sizeof(exch) };
	int wrong = 0;

	wrong += verb(fd, UPCALL_IOC_REGISTER, &reg) != want;
	wrong += verb(fd, UPCALL_IOC_REBIND, &rebind) != want;
	wrong += verb(fd, UPCALL_IOC_RELEASE, &rel) != want;
	wrong += verb(fd, UPCALL_IOC_STAT, &stat) != want;
	wrong += verb(fd, UPCALL_IOC_LIST, &list) != want;
	wrong += verb(fd, UPCALL_IOC_INVOKE, &inv) != want;
	wrong += verb(fd, UPCALL_IOC_EXCHANGE, &exch) != want;
	wrong += shut_down(fd) != want;
	return wrong;
}

static int info(int fd)
{
	struct upcall_info args = { .size = sizeof(args) };

	return verb(fd, UPCALL_IOC_INFO, &args);
}

static int poll_now(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&pollfd, 1, 0) < 0 ? -errno : pollfd.revents;
}

/* What fdinfo says of it. */
static bool is_bound(int fd)
{
	char path[64], text[1024] = "";
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY);
	if (info < 0 || read(info, text, sizeof(text) - 1) < 0)
		return false;
	close(info);
	return strstr(text, "upcall-state:\tbound");
}

/* Runs @fn(@fd) in a child; -1: it did not return. Its result is not negative. */
static int in_child(int (*fn)(void *), int fd)
{
	int status = reap(spawn(fn, &fd));

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int use(void *fd)
{
	return register_new(*(int *)fd, 0, 0) ? 0 : 1;
}

static int count_not_eperm(void *fd)
{
	return verbs_not(*(int *)fd, -EPERM);
}

static int get_info(void *fd)
{
	return -info(*(int *)fd);
}

static int get_poll(void *fd)
{
	return poll_now(*(int *)fd);
}

FIXTURE(binding) {
	int fd;
};

FIXTURE_SETUP(binding)
{
	self->fd = my_peer = peer_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(binding)
{
	close(self->fd);
}

TEST_F(binding, comes_with_the_first_verb_and_not_with_info)
{
	EXPECT_EQ(0, info(self->fd));
	EXPECT_FALSE(is_bound(self->fd));
	EXPECT_NE(0, register_new(self->fd, 0, 0));
	EXPECT_TRUE(is_bound(self->fd));
	EXPECT_EQ(0, in_child(count_not_eperm, self->fd));
}

TEST_F(binding, verb_that_fails_early_binds_nothing)
{
	struct upcall_register args = REGISTER_ARGS(.flags = ~0U);

	EXPECT_EQ(-EINVAL, verb(self->fd, UPCALL_IOC_REGISTER, &args));
	EXPECT_FALSE(is_bound(self->fd));
}

static int serve_one(void *arg)
{
	int fd = *(int *)arg;
	uint64_t handle = register_new(fd, 0, 0);
	union any_event event;

	my_mem->handle = handle;
	__atomic_store_n(&my_mem->caught, 1, __ATOMIC_RELEASE);
	if (next_event(fd, &event) != UPCALL_EVENT_CALL)
		return 1;
	return reply(fd, event.call.call, 7, NULL, 0) ? 2 : 0;
}

TEST_F(binding, peer_of_the_parent_belongs_to_the_child_that_uses_it_first)
{
	struct upcall_invoke inv;
	int other = peer_open();
	pid_t child;

	my_mem = shared_alloc(sizeof(*my_mem));
	child = spawn(serve_one, &self->fd);
	ASSERT_TRUE(eventually(__atomic_load_n(&my_mem->caught, __ATOMIC_ACQUIRE)));
	EXPECT_EQ(0, verbs_not(self->fd, -EPERM));
	EXPECT_EQ(0, info(self->fd));
	EXPECT_EQ(POLLOUT, poll_now(self->fd));
	EXPECT_EQ((uint32_t)child, stat_of(other, my_mem->handle).pid);
	inv = INVOKE_ARGS(my_mem->handle);
	EXPECT_EQ(0, verb(other, UPCALL_IOC_INVOKE, &inv));
	EXPECT_EQ(7, inv.status);
	EXPECT_EQ(0, reap(child));
	/* It died with the child, although we hold it. */
	EXPECT_TRUE(eventually(poll_now(self->fd) & POLLHUP));
	EXPECT_EQ(0, verbs_not(self->fd, -EPERM));
	EXPECT_EQ(0, info(self->fd));
	/* Its callbacks die behind it, one after the other. */
	EXPECT_TRUE(eventually(stat_of(other, my_mem->handle).reason == UPCALL_REASON_EXITED));
}

TEST_F(binding, forked_child_may_only_look)
{
	uint64_t handle = register_new(self->fd, 0, 0);

	ASSERT_NE(0, handle);
	EXPECT_EQ(0, in_child(count_not_eperm, self->fd));
	EXPECT_EQ(0, in_child(get_info, self->fd));
	EXPECT_EQ(POLLOUT, in_child(get_poll, self->fd));
	/* That it exited does not harm. */
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->fd, handle).state);
	EXPECT_EQ(0, release(self->fd, handle, 0));
	EXPECT_EQ(POLLIN | POLLOUT, poll_now(self->fd));
	EXPECT_EQ(POLLIN | POLLOUT, in_child(get_poll, self->fd));
}

/* Sends @fd over a socket and back again: what arrives is another descriptor of it. */
static int pass(int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int pair[2], got = -1;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(pair[0], &msg, 0) == 1 && recvmsg(pair[1], &msg, 0) == 1)
		memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(got));
	close(pair[0]);
	close(pair[1]);
	return got;
}

TEST_F(binding, passed_descriptor_is_bound_where_it_is_used)
{
	int got = pass(self->fd);

	ASSERT_LE(0, got);
	EXPECT_EQ(0, close(self->fd));
	self->fd = got;
	EXPECT_FALSE(is_bound(got));
	EXPECT_EQ(0, in_child(use, got));
	EXPECT_EQ(0, verbs_not(got, -EPERM));
}

TEST_F(binding, passing_a_bound_one_on_changes_nothing)
{
	uint64_t handle = register_new(self->fd, 0, 0);
	int got = pass(self->fd);

	ASSERT_LE(0, got);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(got, handle).state);
	EXPECT_EQ(0, in_child(count_not_eperm, got));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(got, handle).state);
	self->fd = got;
}

/* A second life of this program: what exec_and_count() made. */
static __attribute__((constructor)) void second_life(void)
{
	const char *fd = getenv("UPCALL_TEST_EXEC_FD");

	if (fd)
		_exit(verbs_not(atoi(fd), -EPERM) << 1 | (info(atoi(fd)) != 0));
}

/* @arg: a peer that is used before exec. */
static int exec_and_count(void *arg)
{
	int fd = *(int *)arg;
	char text[16];

	if (fcntl(fd, F_SETFD, 0) || use(&fd))
		return 101;
	snprintf(text, sizeof(text), "%d", fd);
	setenv("UPCALL_TEST_EXEC_FD", text, 1);
	execl("/proc/self/exe", "exec", NULL);
	return 102;
}

TEST_F(binding, program_after_exec_is_another_process)
{
	EXPECT_EQ(0, in_child(exec_and_count, self->fd));
}

static void *use_in_thread(void *fd)
{
	return (void *)(intptr_t)use(fd);
}

TEST_F(binding, threads_share_it)
{
	pthread_t thread;
	void *ret = NULL;

	ASSERT_EQ(0, pthread_create(&thread, NULL, use_in_thread, &self->fd));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_NE(0, register_new(self->fd, 0, 0));
}

/* One of two threads whose first verbs come at once. */
struct twin {
	int fd, *met;
	uint64_t handle;
	pthread_t thread;
};

static void *twin_main(void *arg)
{
	struct twin *twin = arg;

	meet(twin->met);
	twin->handle = register_new(twin->fd, 0, UPCALL_ACCESS_SAME_USER);
	return NULL;
}

TEST_F(binding, threads_whose_first_verbs_come_at_once_bind_it_once)
{
	struct twin twins[2];
	int i, j, met, fd;

	for (i = 0; i < 50; i++) {
		fd = peer_open();
		met = 0;
		for (j = 0; j < 2; j++) {
			twins[j] = (struct twin){ .fd = fd, .met = &met };
			ASSERT_EQ(0, pthread_create(&twins[j].thread, NULL, twin_main, &twins[j]));
		}
		for (j = 0; j < 2; j++) {
			pthread_join(twins[j].thread, NULL);
			EXPECT_EQ(1, stat_of(fd, twins[j].handle).owned);
		}
		close(fd);
	}
}

static char clone_stack[65536] __attribute__((aligned(16)));

TEST_F(binding, child_in_the_same_address_space_shares_it)
{
	uint64_t handle;
	int status = -1;
	pid_t child;

	child = clone(use, clone_stack + sizeof(clone_stack), CLONE_VM | SIGCHLD, &self->fd);
	ASSERT_LT(0, child);
	EXPECT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	/* It has gone, the address space has not. */
	handle = register_new(self->fd, 0, 0);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->fd, handle).state);
	EXPECT_EQ(2, listed_peer(self->fd, getpid()).callbacks);
}

TEST_F(binding, child_of_vfork_that_execs_harms_nothing)
{
	volatile uint64_t handle = register_new(self->fd, 0, 0);
	char *argv[] = { "true", NULL };
	pid_t child = vfork();

	if (!child) {
		execv("/bin/true", argv);
		_exit(1);
	}
	EXPECT_EQ(0, reap(child));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->fd, handle).state);
}

/* Opens a peer, and leaves it to a child that waits for the go and then uses it. */
static int open_and_leave(void *arg)
{
	int fd = peer_open(), *go = arg;
	char byte;

	close(go[1]);
	if (fork())
		return 0;
	my_mem->value = read(go[0], &byte, 1);	/* its parent has gone by then */
	stay_mortal();
	my_mem->handle = register_new(fd, 0, UPCALL_ACCESS_ANYONE);
	__atomic_store_n(&my_mem->caught, 1, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

TEST_F(binding, user_lives_on_when_the_opener_has_gone)
{
	struct upcall_stat stat;
	int go[2];

	my_mem = shared_alloc(sizeof(*my_mem));
	ASSERT_EQ(0, pipe(go));
	/* Whoever is left without a parent is ours. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	EXPECT_EQ(0, reap(spawn(open_and_leave, go)));
	close(go[1]);
	EXPECT_TRUE(eventually(__atomic_load_n(&my_mem->caught, __ATOMIC_ACQUIRE)));
	stat = stat_of(self->fd, my_mem->handle);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	kill(stat.pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap(stat.pid));
	EXPECT_TRUE(eventually(stat_of(self->fd, my_mem->handle).state == UPCALL_STATE_DEAD));
}

TEST_HARNESS_MAIN
