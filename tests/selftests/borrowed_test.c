// SPDX-License-Identifier: GPL-2.0-only
/*
 * A long argument of a caller who waits is read from that one's own pages when it is delivered:
 * whatever becomes of them meanwhile, and never once the caller has left.
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include <sys/syscall.h>
#include "puppet.h"
#include "stall.h"

#define PAGE		4096UL
#define BORROWED	16384U		/* from this length on */
#define MIB		(1U << 20)
#define SECRET		'S'		/* what a caller writes who has left */

/* An event, and the argument behind it. */
union arrived {
	struct upcall_event_call call;
	char bytes[sizeof(struct upcall_event_call) + MIB];
};

static union arrived arrived;

FIXTURE(borrowed) {
	struct puppet caller;
	uint64_t handle;	/* of the test's own peer */
	char *arg;		/* of the caller and of the test, 64 KiB */
};

FIXTURE_SETUP(borrowed)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	ASSERT_TRUE(eventually(user_owes_nothing(my_peer, geteuid())));
	self->caller = puppet_new();
	self->handle = register_new(my_peer, 1, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
	self->arg = self->caller.mem->buf;
}

FIXTURE_TEARDOWN(borrowed)
{
	kill(self->caller.pid, SIGKILL);
	close(my_peer);
}

/* --- the caller ------------------------------------------------------------------------- */

/* Begins a call with what stands at @arg for the caller, too. */
static bool call_queues(FIXTURE_DATA(borrowed) *self, const void *arg, uint32_t len)
{
	uint32_t queued = stat_of(my_peer, self->handle).queued;

	self->caller.mem->inv = INVOKE_ARGS(self->handle, .arg = ptr64(arg), .arg_len = len);
	puppet_start(&self->caller, do_invoke);
	return eventually(stat_of(my_peer, self->handle).queued == queued + 1) &&
	       eventually(sleeps_in_ioctl(self->caller.pid));
}

static bool holds(const struct upcall_event_call *call, char byte, uint32_t len)
{
	const char *bytes = (const char *)call + call->payload_offset;

	if (call->payload_len != len)
		return false;
	while (len && bytes[len - 1] == byte)
		len--;
	return !len;
}

static bool arrives(char byte, uint32_t len)
{
	return !receive(my_peer, &arrived, sizeof(arrived), 1, 0, NULL) &&
	       holds(&arrived.call, byte, len);
}

/* It is answered, and nobody owes anything any more. */
static bool ends(FIXTURE_DATA(borrowed) *self)
{
	return !reply(my_peer, arrived.call.call, 0, NULL, 0) && !puppet_wait(&self->caller) &&
	       !listed_user(my_peer, geteuid(), 0).queued_bytes;
}

/* --- what is read, and when ----------------------------------------------------------------- */

/* In the caller's own memory, at @mem->value bytes behind a page's start. */
static int invoke_unaligned(struct puppet_mem *mem)
{
	static char memory[MIB + 2 * PAGE] __attribute__((aligned(4096)));
	char *arg = memory + mem->value;

	memset(memory, '?', sizeof(memory));
	memset(arg, 'a', mem->inv.arg_len);
	mem->inv.arg = ptr64(arg);
	return do_invoke(mem);
}

TEST_F(borrowed, arguments_of_all_lengths_arrive_whole_wherever_they_begin)
{
	static const uint32_t lengths[] = {
		BORROWED - 1, BORROWED, BORROWED + 1, 65535, 65536, 65537, MIB - 1, MIB,
	};
	static const uint32_t offsets[] = { 0, 1, 2048, 4095 };

	for (unsigned int i = 0; i < 8 * 4; i++) {
		uint32_t len = lengths[i / 4];

		self->caller.mem->value = offsets[i % 4];
		self->caller.mem->inv = INVOKE_ARGS(self->handle, .arg_len = len);
		puppet_start(&self->caller, invoke_unaligned);
		ASSERT_TRUE(arrives('a', len)) TH_LOG("%u bytes", len);
		ASSERT_TRUE(ends(self));
	}
}

TEST_F(borrowed, change_of_a_queued_one_is_seen)
{
	memset(self->arg, 'a', BORROWED);
	ASSERT_TRUE(call_queues(self, self->arg, BORROWED));
	memset(self->arg, 'b', BORROWED);
	EXPECT_TRUE(arrives('b', BORROWED));
	EXPECT_TRUE(ends(self));
}

TEST_F(borrowed, change_of_a_shorter_one_is_not)
{
	memset(self->arg, 'a', BORROWED);
	ASSERT_TRUE(call_queues(self, self->arg, BORROWED - 1));
	memset(self->arg, 'b', BORROWED);
	EXPECT_TRUE(arrives('a', BORROWED - 1));
	EXPECT_TRUE(ends(self));
}

TEST_F(borrowed, change_of_one_that_a_successor_may_want_again_is_not)
{
	struct upcall_register reg = REGISTER_ARGS(.flags = UPCALL_REGISTER_IDEMPOTENT);

	ASSERT_EQ(0, verb(my_peer, UPCALL_IOC_REGISTER, &reg));
	self->handle = reg.handle;
	memset(self->arg, 'a', BORROWED);
	ASSERT_TRUE(call_queues(self, self->arg, BORROWED));
	memset(self->arg, 'b', BORROWED);
	EXPECT_TRUE(arrives('a', BORROWED));
	EXPECT_TRUE(ends(self));
}

TEST_F(borrowed, change_of_a_notification_or_asynchronous_call_is_not)
{
	struct upcall_command cmds[2] = {
		{ .type = UPCALL_COMMAND_NOTIFY },
		{ .type = UPCALL_COMMAND_CALL },
	};

	for (int i = 0; i < 2; i++) {
		cmds[i].flags = UPCALL_INVOKE_NO_DEADLINE;
		cmds[i].target = self->handle;
		cmds[i].data = ptr64(self->arg);
		cmds[i].data_len = BORROWED;
		memset(self->arg, 'a', BORROWED);
		ASSERT_EQ(0, command(my_peer, &cmds[i]));
		memset(self->arg, 'b', BORROWED);
		EXPECT_TRUE(arrives('a', BORROWED));
		EXPECT_EQ(0, reply(my_peer, arrived.call.call, 0, NULL, 0));
	}
}

/* --- what becomes of the caller's memory ----------------------------------------------------- */

static void *volatile doomed;	/* of the caller */

/* A call with memory of its own that another thread of it treats as @mem->value says. */
enum fate { UNMAPPED, MOVED, FORBIDDEN, COPIED_BY_A_CHILD, FATES };

static void *doom_main(void *arg)
{
	struct puppet_mem *mem = arg;
	void *memory = doomed;
	int child;

	while (!__atomic_load_n(&mem->caught, __ATOMIC_ACQUIRE))
		usleep(1000);
	switch (mem->value) {
	case UNMAPPED:
		munmap(memory, BORROWED);
		/* What comes to stand there is not the argument. */
		memory = mmap(memory, BORROWED, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		memset(memory, SECRET, BORROWED);
		break;
	case MOVED:
		mremap(memory, BORROWED, 2 * BORROWED, MREMAP_MAYMOVE);
		break;
	case FORBIDDEN:
		mprotect(memory, BORROWED, PROT_NONE);
		break;
	case COPIED_BY_A_CHILD:
		child = fork();
		if (!child) {
			memset(memory, SECRET, BORROWED);
			_exit(0);
		}
		waitpid(child, NULL, 0);
		break;
	}
	__atomic_store_n(&mem->caught, 0, __ATOMIC_RELEASE);
	return NULL;
}

static int invoke_doomed(struct puppet_mem *mem)
{
	pthread_t thread;
	int err;

	doomed = mmap(NULL, BORROWED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(doomed, 'a', BORROWED);
	mem->inv.arg = ptr64(doomed);
	if (pthread_create(&thread, NULL, doom_main, mem))
		return -EAGAIN;
	err = do_invoke(mem);
	pthread_join(thread, NULL);
	return err;
}

TEST_F(borrowed, one_whose_memory_has_gone_meanwhile_arrives_whole)
{
	struct puppet_mem *mem = self->caller.mem;

	for (mem->value = 0; mem->value < FATES; mem->value++) {
		mem->inv = INVOKE_ARGS(self->handle, .arg_len = BORROWED);
		puppet_start(&self->caller, invoke_doomed);
		ASSERT_TRUE(eventually(stat_of(my_peer, self->handle).queued == 1));
		__atomic_store_n(&mem->caught, 1, __ATOMIC_RELEASE);
		ASSERT_TRUE(eventually(!puppet_caught(&self->caller)));
		EXPECT_TRUE(arrives('a', BORROWED)) TH_LOG("fate %lu", (unsigned long)mem->value);
		EXPECT_TRUE(ends(self));
	}
}

TEST_F(borrowed, one_whose_caller_is_killed_is_given_back)
{
	memset(self->arg, 'a', BORROWED);
	ASSERT_TRUE(call_queues(self, self->arg, BORROWED));
	EXPECT_EQ(BORROWED, listed_user(my_peer, geteuid(), 0).queued_bytes);
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	EXPECT_TRUE(eventually(!listed_user(my_peer, geteuid(), 0).queued_bytes));
	EXPECT_EQ(-EAGAIN, receive(my_peer, &arrived, sizeof(arrived), 1, UPCALL_EXCHANGE_NONBLOCK,
				   NULL));
}

/* --- memory of all kinds ---------------------------------------------------------------------- */

static int call_oneself(uint64_t handle, const void *arg, uint32_t len, struct upcall_invoke *inv)
{
	int fd = peer_open(), err;

	*inv = INVOKE_ARGS(handle, .arg = ptr64(arg), .arg_len = len);
	err = verb(fd, UPCALL_IOC_INVOKE, inv);
	close(fd);
	return err;
}

/* Receives one call, refuses it if it is not of @arg's bytes, and replies. */
struct answering {
	const char *expected;
	uint32_t len;
	pthread_t thread;
};

static void *answering_main(void *arg)
{
	struct answering *answering = arg;
	const char *bytes;

	if (receive(my_peer, &arrived, sizeof(arrived), 1, 0, NULL))
		return NULL;
	bytes = arrived.bytes + arrived.call.payload_offset;
	if (arrived.call.payload_len == answering->len &&
	    !memcmp(bytes, answering->expected, answering->len))
		reply(my_peer, arrived.call.call, 0, NULL, 0);
	else
		refuse(my_peer, arrived.call.call, EBADMSG);
	return NULL;
}

/* A call of this process to itself: 0, -EBADMSG, or its error. */
static int call_arrives(uint64_t handle, const void *arg, uint32_t len, const void *expected)
{
	struct answering answering = { .expected = expected, .len = len };
	struct upcall_invoke inv;
	int err;

	pthread_create(&answering.thread, NULL, answering_main, &answering);
	err = call_oneself(handle, arg, len, &inv);
	pthread_join(answering.thread, NULL);
	return err;
}

static char *map(int prot, int flags, int fd)
{
	return mmap(NULL, MIB, prot, flags, fd, 0);
}

static char letters[MIB];

TEST_F(borrowed, memory_may_be_of_any_kind)
{
	static const char zeros[MIB];
	int fd = syscall(SYS_memfd_create, "argument", MFD_CLOEXEC);
	char *huge;

	memset(letters, 'f', MIB);
	ASSERT_EQ(MIB, write(fd, letters, MIB));
	EXPECT_EQ(0, call_arrives(self->handle, map(PROT_READ, MAP_SHARED, fd), MIB, letters));
	EXPECT_EQ(0, call_arrives(self->handle, map(PROT_READ, MAP_PRIVATE, fd), MIB, letters));
	EXPECT_EQ(0, call_arrives(self->handle, map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1), MIB, zeros));
	EXPECT_EQ(0, call_arrives(self->handle, zeros, MIB, zeros));
	huge = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	huge = (char *)(((uintptr_t)huge + 2 * MIB - 1) & ~(2UL * MIB - 1));
	madvise(huge, 2 * MIB, MADV_HUGEPAGE);
	memset(huge, 'f', 2 * MIB);
	EXPECT_EQ(0, call_arrives(self->handle, huge + MIB / 2 + 5, MIB, letters));
	close(fd);
}

/* The pages of a device are no memory that could be held: these are copied. */
TEST_F(borrowed, memory_of_a_device_is_copied)
{
	int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	char *bios = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 0xf0000);

	if (bios == MAP_FAILED)
		SKIP(return, "no /dev/mem here");
	memcpy(letters, bios, 65536);
	EXPECT_EQ(0, call_arrives(self->handle, bios, 65536, letters));
	munmap(bios, 65536);
	close(fd);
}

/* In the caller another thread takes the memory away, when it is told to. */
static void *unmap_main(void *arg)
{
	struct puppet_mem *mem = arg;

	while (!__atomic_load_n(&mem->caught, __ATOMIC_ACQUIRE))
		usleep(1000);
	munmap((void *)(uintptr_t)mem->inv.arg, 2 * MIB);
	__atomic_store_n(&mem->caught, 0, __ATOMIC_RELEASE);
	return NULL;
}

static int invoke_unmapped(struct puppet_mem *mem)
{
	pthread_t thread;
	int err;

	if (pthread_create(&thread, NULL, unmap_main, mem))
		return -EAGAIN;
	err = do_invoke(mem);
	pthread_join(thread, NULL);
	return err;
}

/* It writes in place, as nobody else has the page mapped. */
TEST_F(borrowed, child_passes_on_nothing_that_its_parent_writes_to_a_huge_page)
{
	struct puppet child;
	char *huge;

	if (!write_to("/proc/sys/vm/nr_hugepages", "1"))
		SKIP(return, "no huge pages here");
	huge = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (huge == MAP_FAILED)
		SKIP(return, "no huge page is free");
	memset(huge, 'a', BORROWED);
	child = puppet_new();
	child.mem->inv = INVOKE_ARGS(self->handle, .arg = ptr64(huge), .arg_len = BORROWED);
	puppet_start(&child, invoke_unmapped);
	ASSERT_TRUE(eventually(stat_of(my_peer, self->handle).queued == 1));
	__atomic_store_n(&child.mem->caught, 1, __ATOMIC_RELEASE);
	ASSERT_TRUE(eventually(!puppet_caught(&child)));
	memset(huge, SECRET, BORROWED);
	EXPECT_TRUE(arrives('a', BORROWED));
	EXPECT_EQ(0, reply(my_peer, arrived.call.call, 0, NULL, 0));
	EXPECT_EQ(0, puppet_wait(&child));
	puppet_kill(&child, SIGKILL);
	munmap(huge, 2 * MIB);
	EXPECT_TRUE(write_to("/proc/sys/vm/nr_hugepages", "0"));
}

TEST_F(borrowed, memory_that_there_is_not_is_efault_and_not_delivered)
{
	char *memory = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct upcall_invoke inv;

	memset(memory, 'a', 4 * PAGE);
	mprotect(memory + 3 * PAGE, PAGE, PROT_NONE);
	EXPECT_EQ(-EFAULT, call_oneself(self->handle, memory, BORROWED, &inv));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, inv.stage);
	EXPECT_EQ(-EFAULT, call_oneself(self->handle, (void *)8, BORROWED, &inv));
	EXPECT_EQ(-EFAULT, call_oneself(self->handle, (void *)-4096L, BORROWED, &inv));
	EXPECT_EQ(-EFAULT, call_oneself(self->handle, (void *)(1UL << 63), MIB, &inv));
	EXPECT_EQ(0, stat_of(my_peer, self->handle).calls);
	EXPECT_TRUE(eventually(!listed_user(my_peer, geteuid(), 0).queued_bytes));
}

/* --- the receiver's memory -------------------------------------------------------------------- */

TEST_F(borrowed, receivers_memory_that_was_never_touched_is_written)
{
	union arrived *fresh = mmap(NULL, sizeof(*fresh), PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(self->arg, 'a', 65536);
	ASSERT_TRUE(call_queues(self, self->arg, 65536));
	ASSERT_EQ(0, receive(my_peer, fresh, sizeof(*fresh), 1, 0, NULL));
	EXPECT_TRUE(holds(&fresh->call, 'a', 65536));
	EXPECT_EQ(0, reply(my_peer, fresh->call.call, 0, NULL, 0));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	munmap(fresh, sizeof(*fresh));
}

TEST_F(borrowed, receiver_that_faults_half_way_gets_it_the_next_time)
{
	char *into = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memset(self->arg, 'a', 65536);
	ASSERT_TRUE(call_queues(self, self->arg, 65536));
	for (int page = 0; page < 16; page += 3) {
		mprotect(into + page * PAGE, PAGE, PROT_READ);
		EXPECT_EQ(-EFAULT, receive(my_peer, into, MIB, 1, 0, NULL));
		EXPECT_EQ(1, stat_of(my_peer, self->handle).queued);
		mprotect(into + page * PAGE, PAGE, PROT_READ | PROT_WRITE);
	}
	EXPECT_TRUE(arrives('a', 65536));
	EXPECT_TRUE(ends(self));
}

/* --- who leaves in the middle of the copy ------------------------------------------------------ */

struct receiver {
	struct stall stall;
	struct stalled_receiver thread;
	char *into;		/* the stall is in its second page */
};

/* Up to @calls calls are taken, and the copy of the long one is held up. */
static bool receiver_is_held(struct receiver *receiver, uint32_t calls)
{
	struct upcall_exchange *args = &receiver->thread.args;

	receiver->into = receiver->stall.page - STALL_LEN;
	memset(receiver->into, 0, STALL_PAGES * STALL_LEN);
	receiver->thread.fd = my_peer;
	*args = (struct upcall_exchange){
		.size = sizeof(*args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.events = ptr64(receiver->into), .events_len = STALL_PAGES * STALL_LEN, .max_calls = calls,
	};
	return !stall_protect(&receiver->stall, true) &&
	       !pthread_create(&receiver->thread.thread, NULL, stalled_receiver_main,
			       &receiver->thread) && stall_is_hit(&receiver->stall);
}

static int receiver_goes_on(struct receiver *receiver)
{
	int err = stall_end(&receiver->stall, NULL);

	return err ? err : stalled_join(&receiver->thread);
}

static int notify_op(uint64_t handle, uint32_t op)
{
	struct upcall_invoke args = INVOKE_ARGS(handle, .op = op);

	args.flags |= UPCALL_INVOKE_ONEWAY;
	return verb(my_peer, UPCALL_IOC_INVOKE, &args);
}

/* The caller has left, and writes what is not for the owner. */
static void write_secret(FIXTURE_DATA(borrowed) *self)
{
	memset(self->arg, SECRET, 65536);
}

/* Several bytes of it: single ones may stand in any handle. */
static bool has_secret(const struct receiver *receiver)
{
	char secret[16];

	memset(secret, SECRET, sizeof(secret));
	return memmem(receiver->into, STALL_PAGES * STALL_LEN, secret, sizeof(secret));
}

TEST_F(borrowed, one_whose_caller_leaves_while_it_is_copied_is_left_out)
{
	struct receiver receiver = { 0 };
	const struct upcall_event_call *call;

	if (stall_make(&receiver.stall, true))
		SKIP(return, "no userfaultfd here that holds the kernel up");
	memset(self->arg, 'a', 65536);
	ASSERT_EQ(0, notify_op(self->handle, 1));
	ASSERT_TRUE(call_queues(self, self->arg, 32768));
	ASSERT_EQ(0, notify_op(self->handle, 2));
	ASSERT_TRUE(receiver_is_held(&receiver, 3));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	write_secret(self);
	ASSERT_EQ(0, receiver_goes_on(&receiver));

	ASSERT_EQ(2, receiver.thread.args.event_count);
	call = (void *)receiver.into;
	EXPECT_EQ(1, call->op);
	EXPECT_EQ(0, reply(my_peer, call->call, 0, NULL, 0));
	call = (void *)(receiver.into + call->event.size);
	EXPECT_EQ(2, call->op);
	EXPECT_EQ(0, reply(my_peer, call->call, 0, NULL, 0));
	EXPECT_EQ(receiver.thread.args.events_used, 2 * call->event.size);
	EXPECT_FALSE(has_secret(&receiver));
	EXPECT_EQ(2, stat_of(my_peer, self->handle).delivered);
	EXPECT_EQ(0, stat_of(my_peer, self->handle).running);
	EXPECT_TRUE(eventually(!listed_user(my_peer, geteuid(), 0).queued_calls));
	EXPECT_EQ(0, listed_user(my_peer, geteuid(), 0).queued_bytes);
}

TEST_F(borrowed, receiver_that_is_left_with_nothing_waits_on)
{
	struct receiver receiver = { 0 };
	const struct upcall_event_call *call;

	if (stall_make(&receiver.stall, true))
		SKIP(return, "no userfaultfd here that holds the kernel up");
	memset(self->arg, 'a', 65536);
	ASSERT_TRUE(call_queues(self, self->arg, 32768));
	ASSERT_TRUE(receiver_is_held(&receiver, 1));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->caller, SIGKILL));
	write_secret(self);
	ASSERT_EQ(0, stall_end(&receiver.stall, NULL));
	ASSERT_TRUE(eventually(listed_peer(my_peer, getpid()).receivers == 1));
	EXPECT_FALSE(has_secret(&receiver));
	ASSERT_EQ(0, notify_op(self->handle, 3));
	ASSERT_EQ(0, stalled_join(&receiver.thread));
	call = (void *)receiver.into;
	EXPECT_EQ(1, receiver.thread.args.event_count);
	EXPECT_EQ(3, call->op);
	EXPECT_EQ(0, reply(my_peer, call->call, 0, NULL, 0));
	EXPECT_EQ(1, stat_of(my_peer, self->handle).delivered);
}

TEST_F(borrowed, one_that_is_aborted_while_it_is_copied_is_left_out)
{
	struct receiver receiver = { 0 };

	if (stall_make(&receiver.stall, true))
		SKIP(return, "no userfaultfd here that holds the kernel up");
	memset(self->arg, 'a', 65536);
	ASSERT_TRUE(call_queues(self, self->arg, 32768));
	ASSERT_TRUE(receiver_is_held(&receiver, 1));
	ASSERT_EQ(0, release(my_peer, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(-ECANCELED, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	write_secret(self);
	ASSERT_EQ(0, receiver_goes_on(&receiver));
	EXPECT_EQ(1, receiver.thread.args.event_count);
	EXPECT_EQ(UPCALL_EVENT_RELEASED, ((struct upcall_event *)receiver.into)->type);
	EXPECT_FALSE(has_secret(&receiver));
}

/* It comes back: so the call goes on, with what was there when it went. */
TEST_F(borrowed, one_whose_caller_is_interrupted_while_it_is_copied_arrives_whole)
{
	struct receiver receiver = { 0 };
	const struct upcall_event_call *call;

	if (stall_make(&receiver.stall, true))
		SKIP(return, "no userfaultfd here that holds the kernel up");
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	memset(self->arg, 'a', 65536);
	ASSERT_TRUE(call_queues(self, self->arg, 32768));
	ASSERT_TRUE(receiver_is_held(&receiver, 1));
	kill(self->caller.pid, SIGUSR1);
	ASSERT_EQ(-EINTR, puppet_wait(&self->caller));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->caller.mem->inv.stage);
	EXPECT_NE(0, self->caller.mem->inv.call_id);
	write_secret(self);
	ASSERT_EQ(0, receiver_goes_on(&receiver));
	call = (void *)receiver.into;
	ASSERT_EQ(UPCALL_EVENT_CALL, call->event.type);
	EXPECT_TRUE(holds(call, 'a', 32768));
	EXPECT_EQ(0, reply(my_peer, call->call, 7, NULL, 0));
	EXPECT_EQ(0, puppet_do(&self->caller, do_invoke));
	EXPECT_EQ(7, self->caller.mem->inv.status);
	EXPECT_EQ(0, listed_user(my_peer, geteuid(), 0).queued_bytes);
}

/* As before, but it is put back, and the caller has gone on meanwhile. */
TEST_F(borrowed, one_whose_caller_is_interrupted_before_it_is_put_back_arrives_whole)
{
	struct receiver receiver = { 0 };

	if (stall_make(&receiver.stall, true))
		SKIP(return, "no userfaultfd here that holds the kernel up");
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	memset(self->arg, 'a', 65536);
	ASSERT_TRUE(call_queues(self, self->arg, 32768));
	ASSERT_TRUE(receiver_is_held(&receiver, 1));
	kill(self->caller.pid, SIGUSR1);
	ASSERT_EQ(-EINTR, puppet_wait(&self->caller));
	write_secret(self);
	ASSERT_EQ(0, stall_break(&receiver.stall));
	EXPECT_EQ(-EFAULT, stalled_join(&receiver.thread));
	EXPECT_TRUE(arrives('a', 32768));
	EXPECT_EQ(0, reply(my_peer, arrived.call.call, 7, NULL, 0));
	EXPECT_EQ(0, puppet_do(&self->caller, do_invoke));
}

/* To go on it would have to leave a copy behind, and cannot. */
TEST_F(borrowed, one_that_is_not_to_be_read_any_more_keeps_its_caller_until_it_is_answered)
{
	struct receiver receiver = { 0 };
	const struct upcall_event_call *call;

	if (stall_make(&receiver.stall, true))
		SKIP(return, "no userfaultfd here that holds the kernel up");
	ASSERT_EQ(0, puppet_catch(&self->caller, 0));
	self->caller.mem->value = FORBIDDEN;
	self->caller.mem->inv = INVOKE_ARGS(self->handle, .arg_len = BORROWED);
	puppet_start(&self->caller, invoke_doomed);
	ASSERT_TRUE(eventually(stat_of(my_peer, self->handle).queued == 1));
	ASSERT_TRUE(receiver_is_held(&receiver, 1));
	__atomic_store_n(&self->caller.mem->caught, 1, __ATOMIC_RELEASE);
	ASSERT_TRUE(eventually(!puppet_caught(&self->caller)));
	syscall(SYS_tgkill, self->caller.pid, self->caller.pid, SIGUSR1);
	ASSERT_TRUE(eventually(task_state(self->caller.pid) == 'D'));
	ASSERT_EQ(0, receiver_goes_on(&receiver));
	call = (void *)receiver.into;
	EXPECT_TRUE(holds(call, 'a', BORROWED));
	EXPECT_FALSE(puppet_done(&self->caller));
	EXPECT_EQ(0, reply(my_peer, call->call, 0, NULL, 0));
	EXPECT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(1, puppet_caught(&self->caller));
}

TEST_HARNESS_MAIN
