// SPDX-License-Identifier: GPL-2.0-only
/* The module goes while an owner's address space goes: it waits for its own code to be left. */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/syscall.h>
#include "hook.h"
#include "puppet.h"

#define MODULE	"/lib/modules/upcall.ko"

/* Its peer lives on in the test, which has the file as well. */
FIXTURE(unload) {
	struct puppet owner;
	pthread_t thread;
	pid_t tid;
	int ret;
};

static int load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 || syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;

	close(fd);
	return err;
}

static void *unload_main(void *arg)
{
	FIXTURE_DATA(unload) *self = arg;
	uint64_t until = in_ms(SOON_MS);

	__atomic_store_n(&self->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	do {
		self->ret = syscall(SYS_delete_module, "upcall", O_NONBLOCK) ? -errno : 0;
	} while (self->ret == -EWOULDBLOCK && now_ns() < until);
	return NULL;
}

static int owner_loop(void *arg)
{
	struct puppet *puppet = arg;
	puppet_fn fn;
	int ret;

	my_mem = puppet->mem;
	while (read(puppet->sock, &fn, sizeof(fn)) == sizeof(fn)) {
		ret = fn(my_mem);
		if (write(puppet->sock, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	return 0;
}

static pid_t start_owner(int (*fn)(void *), void *arg)
{
	(void)fn;
	return spawn(owner_loop, arg);
}

FIXTURE_SETUP(unload)
{
	if (access(MODULE, R_OK))
		SKIP_TEST("where the module comes from is not known: no " MODULE);
	if (!access("/sys/kernel/debug/kcsan", F_OK))
		SKIP_TEST("KCSAN was told which functions to watch, where they are now");
	if (access("/proc/self/stack", R_OK))
		SKIP_TEST("where a thread sleeps is not told: no /proc/self/stack");
	ASSERT_EQ(0, hook_clear());
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_make(start_owner);
	self->owner.mem->reg = REGISTER_ARGS();
	/* my_peer was here before it forked; it is then bound to the puppet. */
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
}

FIXTURE_TEARDOWN(unload)
{
	if (access("/sys/module/upcall", F_OK))
		EXPECT_EQ(0, load());
	hook_clear();
}

/* Whether the thread sleeps in @function, for the module's exit. */
static bool unload_sleeps_in(FIXTURE_DATA(unload) *self, const char *function)
{
	char path[64], stack[4096];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stack", self->tid);
	fd = open(path, O_RDONLY);
	len = read(fd, stack, sizeof(stack) - 1);
	stack[len > 0 ? len : 0] = '\0';
	close(fd);
	return strstr(stack, "upcall_exit") && strstr(stack, function);
}

/* The owner is killed, and what follows comes to a point. */
static bool owner_dies_up_to(FIXTURE_DATA(unload) *self, const char *point)
{
	if (puppet_do(&self->owner, do_close) || hook_arm(point))
		return false;
	kill(self->owner.pid, SIGKILL);
	return hook_is_hit(point);
}

/* Nobody holds the module any more: whoever unloads it comes to sleep in @function. */
static bool unload_waits_in(FIXTURE_DATA(unload) *self, const char *function)
{
	if (hook_arm("exit") || close(my_peer) ||
	    pthread_create(&self->thread, NULL, unload_main, self))
		return false;
	return hook_is_hit("exit") && !hook_resume("exit") &&
	       eventually(unload_sleeps_in(self, function));
}

/* Until that point is left. */
static bool unload_meets(FIXTURE_DATA(unload) *self, const char *point, const char *function)
{
	return owner_dies_up_to(self, point) && unload_waits_in(self, function) &&
	       hook_stopped(point);
}

TEST_F_TIMEOUT(unload, waits_for_a_release_that_has_not_marked_its_peers, 90)
{
	ASSERT_TRUE(unload_meets(self, "mm_gone", "synchronize_srcu"));
	ASSERT_EQ(0, hook_resume("mm_gone"));
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0, self->ret);
	EXPECT_EQ(SIGKILL, reap(self->owner.pid));
}

TEST_F_TIMEOUT(unload, waits_for_a_death_that_has_not_ended_its_peer, 90)
{
	ASSERT_TRUE(unload_meets(self, "dying", "_workqueue"));
	ASSERT_EQ(0, hook_resume("dying"));
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0, self->ret);
	EXPECT_EQ(SIGKILL, reap(self->owner.pid));
}

static int call_without_waiting(struct puppet_mem *mem)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .flags = UPCALL_INVOKE_NO_DEADLINE,
		.target = mem->handle,
	};

	return command(my_peer, &cmd);
}

/* What the kernel logs from now on: a descriptor, to be read by warned(). */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	lseek(fd, 0, SEEK_END);
	return fd;
}

/* Whether there was a warning since then. */
static bool warned(int log)
{
	char record[8192];
	bool found = false;
	ssize_t len;

	while ((len = read(log, record, sizeof(record) - 1)) > 0) {
		record[len] = '\0';
		found |= !!strstr(record, "WARNING:");
	}
	close(log);
	return found;
}

/*
 * The caller's peer has ended, but is there as long as its call is. So its process, when it dies,
 * has an ended peer, and must not queue work that nobody takes any more.
 */
TEST_F_TIMEOUT(unload, process_dies_meanwhile_whose_peer_has_ended, 90)
{
	struct puppet caller = puppet_new();
	int log = log_open();

	ASSERT_LE(0, log);
	caller.mem->handle = self->owner.mem->handle;
	ASSERT_EQ(0, puppet_do(&caller, call_without_waiting));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(owner_dies_up_to(self, "dead"));
	ASSERT_EQ(0, puppet_do(&caller, do_close));
	ASSERT_TRUE(unload_waits_in(self, "_workqueue"));
	EXPECT_EQ(SIGKILL, puppet_kill(&caller, SIGKILL));
	ASSERT_EQ(0, hook_resume("dead"));
	pthread_join(self->thread, NULL);
	EXPECT_EQ(0, self->ret);
	EXPECT_EQ(SIGKILL, reap(self->owner.pid));
	EXPECT_FALSE(warned(log));
}

TEST_HARNESS_MAIN
