// SPDX-License-Identifier: GPL-2.0-only
/* The bytes of calls and replies are in the memory cgroup of the caller. */
#include "kselftest_harness.h"
#include <sys/stat.h>
#include "puppet.h"

#define GROUP	"/sys/fs/cgroup/upcall_memcg_test"
#define MIB	(1UL << 20)

FIXTURE(memcg) {
	struct puppet owner, caller;	/* the caller in the group */
	uint64_t handle;
};

static bool enter(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return write_to(GROUP "/cgroup.procs", text);
}

FIXTURE_SETUP(memcg)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_new();
	self->caller = puppet_new();
	self->handle = puppet_register(&self->owner, UPCALL_ACCESS_ANYONE);
	ASSERT_NE(0, self->handle);
	if (mkdir(GROUP, 0755) || access(GROUP "/memory.max", W_OK))
		SKIP_TEST("no memory cgroups (v2) here");
	ASSERT_TRUE(enter(self->caller.pid));
}

FIXTURE_TEARDOWN(memcg)
{
	puppet_kill(&self->owner, SIGKILL);
	puppet_kill(&self->caller, SIGKILL);
	eventually(!rmdir(GROUP) || errno == ENOENT);
}

static uint64_t read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	close(fd);
	return strtoull(text, NULL, 10);
}

static uint64_t current(void)
{
	return read_number(GROUP "/memory.current");
}

/* The group may take @more than it has. */
static bool leave_room(uint64_t more)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", (unsigned long)(current() + more));
	return write_to(GROUP "/memory.max", text);
}

/* Never written to, so that it takes no memory of its own to speak of. */
static const char zeros[1 << 20];

/* Notifications of 1 MiB, @mem->value of them, or until one fails: the last one's errno. */
static int notify_large(struct puppet_mem *mem)
{
	uint32_t n = mem->value;
	int err = 0;

	for (mem->value = 0; mem->value < n && !err; mem->value += !err) {
		mem->inv = INVOKE_ARGS(mem->handle, .arg = ptr64(zeros), .arg_len = MIB,
				       .flags = UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE);
		err = do_invoke(mem);
	}
	return err;
}

static int receive_large(struct puppet_mem *mem)
{
	static char buf[2 << 20] __attribute__((aligned(8)));
	struct upcall_event_call *call = (struct upcall_event_call *)buf;
	int err = receive(my_peer, buf, sizeof(buf), 1, 0, NULL);

	mem->event.call = *call;
	return err;
}

TEST_F(memcg, arguments_are_charged_to_the_caller_until_delivered)
{
	uint64_t before, after;

	self->caller.mem->handle = self->handle;
	self->caller.mem->value = 1;
	ASSERT_EQ(0, puppet_do(&self->caller, notify_large));	/* its own pages are there now */
	ASSERT_EQ(0, puppet_do(&self->owner, receive_large));
	before = current();
	self->caller.mem->value = 8;
	ASSERT_EQ(0, puppet_do(&self->caller, notify_large));
	after = current();
	EXPECT_LE(before + 8 * MIB - MIB / 2, after);
	EXPECT_GE(before + 8 * MIB + MIB, after);
	while (self->caller.mem->value--)
		EXPECT_EQ(0, puppet_do(&self->owner, receive_large));
	EXPECT_TRUE(eventually(current() < before + MIB));
}

/* A call of 1 MiB that waits, or runs. */
static int invoke_large(struct puppet_mem *mem)
{
	mem->inv = INVOKE_ARGS(mem->handle, .arg = ptr64(zeros), .arg_len = MIB);
	return do_invoke(mem);
}

TEST_F(memcg, argument_of_a_caller_who_waits_takes_no_memory_while_it_waits_or_runs)
{
	uint64_t before;

	self->caller.mem->handle = self->handle;
	puppet_start(&self->caller, invoke_large);
	ASSERT_EQ(0, puppet_do(&self->owner, receive_large));
	ASSERT_EQ(0, puppet_reply(&self->owner, 0));
	ASSERT_EQ(0, puppet_wait(&self->caller));

	before = current();
	puppet_start(&self->caller, invoke_large);
	ASSERT_TRUE(eventually(listed_callback(my_peer, self->handle).queued == 1));
	EXPECT_GE(before + MIB / 2, current());
	ASSERT_EQ(0, puppet_do(&self->owner, receive_large));
	EXPECT_GE(before + MIB / 2, current());
	EXPECT_FALSE(puppet_done(&self->caller));
	ASSERT_EQ(0, puppet_reply(&self->owner, 0));
	EXPECT_EQ(0, puppet_wait(&self->caller));
}

TEST_F(memcg, full_one_hurts_the_caller_alone)
{
	struct puppet other = puppet_new();
	uint32_t n;
	int ret;

	self->caller.mem->handle = self->handle;
	self->caller.mem->value = 1;
	ASSERT_EQ(0, puppet_do(&self->caller, notify_large));
	ASSERT_EQ(0, puppet_do(&self->owner, receive_large));
	ASSERT_TRUE(leave_room(4 * MIB));
	self->caller.mem->value = 16;
	ret = puppet_do(&self->caller, notify_large);
	EXPECT_TRUE(ret == -ENOMEM || ret == -EPIPE);	/* or it was killed for it */
	n = listed_callback(my_peer, self->handle).queued;
	EXPECT_LE(2, n);
	EXPECT_GE(5, n);
	if (ret == -ENOMEM)
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->caller.mem->inv.stage);

	/* What it queued before is delivered, and others are served. */
	while (n--)
		EXPECT_EQ(0, puppet_do(&self->owner, receive_large));
	puppet_call_start(&other, self->handle);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ((uint32_t)other.pid, self->owner.mem->event.call.pid);
	EXPECT_EQ(0, puppet_reply(&self->owner, 0));
	EXPECT_EQ(0, puppet_wait(&other));
	kill(other.pid, SIGKILL);
}

/* A reply of @mem->value bytes. */
static int reply_zeros(struct puppet_mem *mem)
{
	return reply(my_peer, mem->event.call.call, 7, zeros, mem->value);
}

/* Leaves 0 in @mem->value if it was taken. */
static int reply_zeros_once(struct puppet_mem *mem)
{
	int err = reply_zeros(mem);

	if (!err)
		mem->value = 0;
	return err;
}

static int refuse_it(struct puppet_mem *mem)
{
	return refuse(my_peer, mem->event.call.call, EXDEV);
}

/* A call is delivered whose caller has no memory for a long reply. */
static bool call_with_little_memory(FIXTURE_DATA(memcg) *self)
{
	self->caller.mem->inv = INVOKE_ARGS(self->handle, .reply_max = MIB, .reply_room = 60000,
					    .reply = ptr64(self->caller.mem->buf));
	puppet_start(&self->caller, do_invoke);
	if (puppet_do(&self->owner, do_receive) != UPCALL_EVENT_CALL ||
	    !eventually(sleeps_in_ioctl(self->caller.pid)) || !leave_room(MIB / 4))
		return false;
	self->owner.mem->value = MIB;
	return true;
}

TEST_F(memcg, full_one_makes_long_replies_enomem_and_short_ones_pass)
{
	ASSERT_TRUE(call_with_little_memory(self));
	EXPECT_EQ(-ENOMEM, puppet_do(&self->owner, reply_zeros));
	EXPECT_FALSE(puppet_done(&self->caller));
	EXPECT_EQ(-ENOMEM, puppet_do(&self->owner, reply_zeros));
	/* What the long one gave back may be with other processors for a moment. */
	self->owner.mem->value = 1000;
	EXPECT_TRUE(eventually(self->owner.mem->value == 0 ||
			       puppet_do(&self->owner, reply_zeros_once) == 0));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(1000, self->caller.mem->inv.reply_len);
	EXPECT_EQ(7, self->caller.mem->inv.status);
}

TEST_F(memcg, full_one_lets_the_owner_refuse)
{
	ASSERT_TRUE(call_with_little_memory(self));
	EXPECT_EQ(-ENOMEM, puppet_do(&self->owner, reply_zeros));
	EXPECT_EQ(0, puppet_do(&self->owner, refuse_it));
	EXPECT_EQ(-EXDEV, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->caller.mem->inv.stage);
}

/* Of the group, in bytes; -1: not known. */
static uint64_t page_tables(void)
{
	char text[8192] = "", *at;
	int fd = open(GROUP "/memory.stat", O_RDONLY);
	ssize_t len = read(fd, text, sizeof(text) - 1);

	close(fd);
	at = len > 0 ? strstr(text, "\npagetables ") : NULL;
	return at ? strtoull(at + strlen("\npagetables "), NULL, 10) : -1ULL;
}

#define REPLIES	500
#define STRIDE	(2 * MIB)	/* what one page table maps */

/* Answers REPLIES calls, each with bytes that no page table maps yet. */
static int reply_from_afar(struct puppet_mem *mem)
{
	char *from = mmap(NULL, REPLIES * STRIDE, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int i, err = 0;

	if (from == MAP_FAILED)
		return -errno;
	/* EINVAL: a kernel without huge pages, as those with PREEMPT_RT */
	if (madvise(from, REPLIES * STRIDE, MADV_NOHUGEPAGE) && errno != EINVAL)
		return -errno;
	for (i = 0; i < REPLIES && !err; i++) {
		if (do_receive(mem) != UPCALL_EVENT_CALL)
			return -EPROTO;
		err = reply(my_peer, mem->event.call.call, 7, from + i * STRIDE, 200);
	}
	return err;
}

static int call_for_replies(struct puppet_mem *mem)
{
	int i, err = 0;

	for (i = 0; i < REPLIES && !err; i++) {
		mem->inv = INVOKE_ARGS(mem->handle, .reply = ptr64(mem->buf), .reply_room = 4096,
				       .reply_max = 4096);
		err = do_invoke(mem);
	}
	return err;
}

TEST_F(memcg, page_tables_of_the_owner_are_not_charged_to_the_caller)
{
	uint64_t before = page_tables();

	ASSERT_NE(-1ULL, before);
	self->caller.mem->handle = self->handle;
	puppet_start(&self->owner, reply_from_afar);
	EXPECT_EQ(0, puppet_do(&self->caller, call_for_replies));
	EXPECT_EQ(0, puppet_wait(&self->owner));
	EXPECT_GT(before + REPLIES * 4096UL / 2, page_tables());
}

TEST_F(memcg, kept_reply_is_charged_to_the_caller)
{
	uint64_t before;

	ASSERT_TRUE(call_with_little_memory(self));
	ASSERT_TRUE(leave_room(4 * MIB));
	before = current();
	EXPECT_EQ(0, puppet_do(&self->owner, reply_zeros));
	EXPECT_EQ(-EMSGSIZE, puppet_wait(&self->caller));
	EXPECT_EQ(MIB, self->caller.mem->inv.needed);
	/* Each processor may have had 64 pages at hand, which are charged already. */
	EXPECT_LE(before + MIB - MIB / 2, current());
	EXPECT_EQ(0, puppet_do(&self->caller, do_cancel));
	EXPECT_TRUE(eventually(current() < before + MIB / 2));
}

TEST_HARNESS_MAIN
