// SPDX-License-Identifier: GPL-2.0-only
/* Waits that are stopped, frozen or traced go on as if nothing had been. */
#include "kselftest_harness.h"
#include <sys/ptrace.h>
#include <sys/stat.h>
#include "puppet.h"

#define GROUP	"/sys/fs/cgroup/upcall_stop_test"

FIXTURE(stop) {
	struct puppet owner, caller;
	uint64_t handle;
};

/* How a process is held, and let go. */
struct hold {
	bool (*begin)(pid_t pid);
	bool (*end)(pid_t pid);
};

static bool stop_begin(pid_t pid)
{
	return !kill(pid, SIGSTOP) && eventually(task_state(pid) == 'T');
}

static bool stop_end(pid_t pid)
{
	return !kill(pid, SIGCONT);
}

static bool group_is(const char *state)
{
	char text[128] = "";
	int fd = open(GROUP "/cgroup.events", O_RDONLY);
	bool is = read(fd, text, sizeof(text) - 1) > 0 && strstr(text, state);

	close(fd);
	return is;
}

static bool freeze_begin(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	mkdir(GROUP, 0755);
	return write_to(GROUP "/cgroup.procs", text) && write_to(GROUP "/cgroup.freeze", "1") &&
	       eventually(group_is("frozen 1"));
}

static bool freeze_end(pid_t pid)
{
	(void)pid;
	return write_to(GROUP "/cgroup.freeze", "0");
}

static bool trace_begin(pid_t pid)
{
	return !ptrace(PTRACE_SEIZE, pid, 0, 0) && !ptrace(PTRACE_INTERRUPT, pid, 0, 0) &&
	       waitpid(pid, NULL, __WALL) == pid;
}

static bool trace_end(pid_t pid)
{
	return !ptrace(PTRACE_DETACH, pid, 0, 0);
}

FIXTURE_VARIANT(stop) {
	struct hold hold;
};

FIXTURE_VARIANT_ADD(stop, by_signal) {
	.hold = { stop_begin, stop_end },
};

FIXTURE_VARIANT_ADD(stop, by_freezer) {
	.hold = { freeze_begin, freeze_end },
};

FIXTURE_VARIANT_ADD(stop, by_debugger) {
	.hold = { trace_begin, trace_end },
};

FIXTURE_SETUP(stop)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_new();
	self->caller = puppet_new();
	self->handle = puppet_register(&self->owner, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(stop)
{
	freeze_end(0);
	puppet_kill(&self->owner, SIGKILL);
	puppet_kill(&self->caller, SIGKILL);
	rmdir(GROUP);
}

static void call_start(FIXTURE_DATA(stop) *self, uint64_t deadline)
{
	self->caller.mem->inv = INVOKE_ARGS(self->handle, .flags = 0, .deadline_ns = deadline);
	puppet_start(&self->caller, do_invoke);
}

static bool call_is_delivered(FIXTURE_DATA(stop) *self, uint64_t deadline)
{
	call_start(self, deadline);
	return puppet_do(&self->owner, do_receive) == UPCALL_EVENT_CALL &&
	       eventually(sleeps_in_ioctl(self->caller.pid));
}

TEST_F(stop, queued_caller)
{
	call_start(self, in_ms(SOON_MS));
	ASSERT_TRUE(eventually(listed_callback(my_peer, self->handle).queued == 1));
	ASSERT_TRUE(variant->hold.begin(self->caller.pid));
	ASSERT_TRUE(variant->hold.end(self->caller.pid));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).delivered);
}

TEST_F(stop, caller_of_a_delivered_call)
{
	ASSERT_TRUE(call_is_delivered(self, in_ms(SOON_MS)));
	ASSERT_TRUE(variant->hold.begin(self->caller.pid));
	ASSERT_TRUE(variant->hold.end(self->caller.pid));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).calls);
}

TEST_F(stop, caller_whose_reply_comes_meanwhile)
{
	ASSERT_TRUE(call_is_delivered(self, in_ms(SOON_MS)));
	ASSERT_TRUE(variant->hold.begin(self->caller.pid));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_FALSE(puppet_done(&self->caller));
	ASSERT_TRUE(variant->hold.end(self->caller.pid));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, self->caller.mem->inv.stage);
}

/* Long enough to be held before it has passed, on any machine; else the test says so. */
#define SHORT_MS	(1000 + 1000 * UPCALL_SLOW)

TEST_F(stop, queued_caller_whose_deadline_passes_meanwhile)
{
	uint64_t deadline = in_ms(SHORT_MS);

	call_start(self, deadline);
	ASSERT_TRUE(eventually(listed_callback(my_peer, self->handle).queued == 1));
	ASSERT_TRUE(variant->hold.begin(self->caller.pid));
	ASSERT_GT(deadline, now_ns());
	ASSERT_TRUE(eventually(now_ns() > deadline));
	ASSERT_TRUE(variant->hold.end(self->caller.pid));
	EXPECT_EQ(-ETIMEDOUT, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(0, puppet_stat(&self->owner, self->handle).delivered);
	EXPECT_EQ(0, self->owner.mem->stat.queued);
}

TEST_F(stop, caller_whose_deadline_passes_after_delivery)
{
	uint64_t deadline = in_ms(SHORT_MS), call;

	ASSERT_TRUE(call_is_delivered(self, deadline));
	call = self->owner.mem->event.call.call;
	ASSERT_TRUE(variant->hold.begin(self->caller.pid));
	ASSERT_GT(deadline, now_ns());
	ASSERT_TRUE(eventually(now_ns() > deadline));
	ASSERT_TRUE(variant->hold.end(self->caller.pid));
	EXPECT_EQ(-ETIMEDOUT, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_EQ(0, self->caller.mem->inv.call_id);
	EXPECT_EQ(UPCALL_EVENT_CANCEL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(call, self->owner.mem->event.cancel.call);
	EXPECT_EQ(ETIMEDOUT, self->owner.mem->event.cancel.error);
}

TEST_F(stop, receiver)
{
	puppet_start(&self->owner, do_receive);
	ASSERT_TRUE(eventually(sleeps_in_ioctl(self->owner.pid)));
	ASSERT_TRUE(variant->hold.begin(self->owner.pid));
	call_start(self, in_ms(SOON_MS));
	EXPECT_TRUE(eventually(listed_callback(my_peer, self->handle).queued == 1));
	ASSERT_TRUE(variant->hold.end(self->owner.pid));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_wait(&self->owner));
	EXPECT_EQ(0, puppet_reply(&self->owner, 7));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(1, puppet_stat(&self->owner, self->handle).delivered);
}

static int receive_until(struct puppet_mem *mem)
{
	mem->exch = (struct upcall_exchange) {
		.size = sizeof(mem->exch), .deadline_ns = mem->value, .max_calls = 1,
		.events = ptr64(&mem->event), .events_len = sizeof(mem->event),
	};
	return verb(my_peer, UPCALL_IOC_EXCHANGE, &mem->exch);
}

TEST_F(stop, receiver_whose_deadline_passes_meanwhile)
{
	uint64_t deadline = in_ms(SHORT_MS);

	self->owner.mem->value = deadline;
	puppet_start(&self->owner, receive_until);
	ASSERT_TRUE(eventually(sleeps_in_ioctl(self->owner.pid)));
	ASSERT_TRUE(variant->hold.begin(self->owner.pid));
	ASSERT_GT(deadline, now_ns());
	ASSERT_TRUE(eventually(now_ns() > deadline));
	ASSERT_TRUE(variant->hold.end(self->owner.pid));
	EXPECT_EQ(-ETIMEDOUT, puppet_wait(&self->owner));
}

TEST_F(stop, caller_whose_owner_dies_meanwhile)
{
	ASSERT_TRUE(call_is_delivered(self, in_ms(SOON_MS)));
	ASSERT_TRUE(variant->hold.begin(self->caller.pid));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_TRUE(eventually(!listed_callback(my_peer, self->handle).handle));
	ASSERT_TRUE(variant->hold.end(self->caller.pid));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
}

TEST_HARNESS_MAIN
