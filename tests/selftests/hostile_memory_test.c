// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that never answers, of userfaultfd and of FUSE: whoever gave it to the kernel sleeps
 * there, and can be killed. Everybody else gets an answer, and goes on.
 */
#include "kselftest_harness.h"
#include "puppet.h"
#include "fuse_file.h"
#include "stall.h"

#define LATER_MS	300	/* a deadline that is to pass; a longer one where it is too short */

FIXTURE(never) {
	struct puppet stuck;	/* has the memory, at @mem->value */
	struct puppet other;
	struct fuse_file file;
	uint64_t handle;	/* of the test itself */
};

FIXTURE_VARIANT(never) {
	bool fuse;
};

FIXTURE_VARIANT_ADD(never, userfaultfd) {
	.fuse = false,
};

FIXTURE_VARIANT_ADD(never, fuse) {
	.fuse = true,
};

static struct fuse_file *fuse_file;	/* NULL: userfaultfd */

/* @mem->value: where it is. */
static int map_never(struct puppet_mem *mem)
{
	static struct stall stall;	/* what nobody reads */
	int err;

	if (fuse_file) {
		mem->value = ptr64(fuse_file_map(fuse_file));
		return mem->value ? 0 : -EIO;
	}
	err = stall_make(&stall, false);
	mem->value = ptr64(stall.page);
	return err;
}

FIXTURE_SETUP(never)
{
	int err;

	self->file.server = 0;
	fuse_file = NULL;
	if (variant->fuse) {
		err = fuse_file_make(&self->file);
		if (err)
			SKIP_TEST("no FUSE here, nor " FUSE_MODULE ": %s", strerror(-err));
		fuse_file = &self->file;
	}
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->stuck = puppet_new();
	self->other = puppet_new();
	err = puppet_do(&self->stuck, map_never);
	if (err && !variant->fuse)
		SKIP_TEST("no userfaultfd here that holds the kernel up: %s", strerror(-err));
	ASSERT_EQ(0, err);
	self->handle = register_new(my_peer, 1, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(never)
{
	kill(self->stuck.pid, SIGKILL);
	kill(self->other.pid, SIGKILL);
	close(my_peer);
	fuse_file_end(&self->file);
}

static bool is_stuck(struct puppet *puppet)
{
	return eventually(sleeps_in_ioctl(puppet->pid));
}

/* It can be killed, and nothing of it is left. */
static bool dies(struct puppet *puppet)
{
	struct upcall_list_user user;

	return puppet_kill(puppet, SIGKILL) == SIGKILL &&
	       eventually((user = listed_user(my_peer, geteuid(), 0), !user.queued_calls &&
			   !user.queued_bytes && !user.fds));
}

static int do_exchange(struct puppet_mem *mem)
{
	return verb(my_peer, UPCALL_IOC_EXCHANGE, &mem->exch);
}

static int invoke_from_never(struct puppet_mem *mem)
{
	return verb(my_peer, UPCALL_IOC_INVOKE, (void *)(uintptr_t)mem->value);
}

static int exchange_from_never(struct puppet_mem *mem)
{
	return verb(my_peer, UPCALL_IOC_EXCHANGE, (void *)(uintptr_t)mem->value);
}

static int register_from_never(struct puppet_mem *mem)
{
	return verb(my_peer, UPCALL_IOC_REGISTER, (void *)(uintptr_t)mem->value);
}

/* --- a caller's memory ------------------------------------------------------------ */

enum part { ARGUMENT, LONG_ARGUMENT, DESCRIPTORS, COMMANDS, DATA, INVOKE_STRUCT, EXCHANGE_STRUCT, REGISTER_STRUCT, PARTS };

/* Begins a call that is to be read from there. */
static void call_from_never(FIXTURE_DATA(never) *self, enum part part)
{
	static const puppet_fn fns[PARTS] = {
		do_invoke, do_invoke, do_invoke, do_exchange, do_exchange, invoke_from_never,
		exchange_from_never, register_from_never,
	};
	struct puppet_mem *mem = self->stuck.mem;
	struct upcall_command *cmd = (void *)mem->buf;	/* where it is for the puppet, too */

	mem->inv = INVOKE_ARGS(self->handle);
	mem->exch = (struct upcall_exchange){
		.size = sizeof(mem->exch), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(cmd), .command_count = 1, .command_size = sizeof(*cmd),
	};
	*cmd = (struct upcall_command){ .type = UPCALL_COMMAND_CALL, .target = self->handle,
		.flags = UPCALL_INVOKE_NO_DEADLINE, .data = mem->value, .data_len = 1000 };
	if (part == ARGUMENT || part == LONG_ARGUMENT) {
		mem->inv.arg = mem->value;
		mem->inv.arg_len = part == ARGUMENT ? 1000 : 40000;
	} else if (part == DESCRIPTORS) {
		mem->inv.fds = mem->value;
		mem->inv.fd_count = 3;
	} else if (part == COMMANDS) {
		mem->exch.commands = mem->value;
	}
	puppet_start(&self->stuck, fns[part]);
}

TEST_F(never, holds_up_only_who_calls_with_it)
{
	struct upcall_register reg = REGISTER_ARGS(.flags = UPCALL_REGISTER_FDS);
	struct upcall_event_call call;
	struct upcall_stat stat;
	enum part part;

	ASSERT_EQ(0, verb(my_peer, UPCALL_IOC_REGISTER, &reg));
	self->handle = reg.handle;
	for (part = 0; part < PARTS; part++) {
		call_from_never(self, part);
		ASSERT_TRUE(is_stuck(&self->stuck)) TH_LOG("part %d", part);
		/* Another process calls, is received and answered. */
		puppet_call_start(&self->other, self->handle);
		ASSERT_EQ(0, next_call(my_peer, &call));
		EXPECT_EQ(0, reply(my_peer, call.call, 0, NULL, 0));
		EXPECT_EQ(0, puppet_wait(&self->other));
		EXPECT_FALSE(puppet_done(&self->stuck));
		EXPECT_TRUE(dies(&self->stuck)) TH_LOG("part %d", part);
		self->stuck = puppet_new();
		ASSERT_EQ(0, puppet_do(&self->stuck, map_never));
	}
	stat = stat_of(my_peer, self->handle);
	EXPECT_EQ(PARTS, stat.calls);	/* those of the other one */
	EXPECT_EQ(0, stat.queued);
	EXPECT_EQ(0, release(my_peer, self->handle, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, next_event(my_peer, &self->other.mem->event));
}

TEST_F(never, as_reply_buffer_lets_the_owner_go_on_at_once)
{
	struct upcall_event_call call;
	union any_event event;

	self->stuck.mem->inv = INVOKE_ARGS(self->handle, .reply = self->stuck.mem->value,
					   .reply_room = 1000, .reply_max = 1000);
	puppet_start(&self->stuck, do_invoke);
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(0, reply(my_peer, call.call, 0, "reply", 5));
	EXPECT_EQ(0, stat_of(my_peer, self->handle).running);
	EXPECT_EQ(0, release(my_peer, self->handle, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, next_event(my_peer, &event));
	EXPECT_TRUE(is_stuck(&self->stuck));
	EXPECT_FALSE(puppet_done(&self->stuck));
	EXPECT_TRUE(dies(&self->stuck));
}

TEST_F(never, as_the_buffer_of_a_result_lets_the_owner_go_on_at_once)
{
	struct puppet_mem *mem = self->stuck.mem;
	struct upcall_command *cmd = (void *)mem->buf;
	struct upcall_event_call call;

	*cmd = (struct upcall_command){ .type = UPCALL_COMMAND_CALL, .target = self->handle,
		.flags = UPCALL_INVOKE_NO_DEADLINE };
	mem->exch = (struct upcall_exchange){
		.size = sizeof(mem->exch),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE | UPCALL_EXCHANGE_WAIT_COMMAND,
		.commands = ptr64(cmd), .command_count = 1, .command_size = sizeof(*cmd),
		.events = mem->value, .events_len = 1000,
	};
	puppet_start(&self->stuck, do_exchange);
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(0, reply(my_peer, call.call, 0, NULL, 0));
	EXPECT_EQ(0, stat_of(my_peer, self->handle).running);
	EXPECT_TRUE(is_stuck(&self->stuck));
	EXPECT_FALSE(puppet_done(&self->stuck));
	EXPECT_TRUE(dies(&self->stuck));
}

/* --- an owner's memory ------------------------------------------------------------ */

/* The stuck one has a callback, and begins to receive into it. */
static uint64_t receive_into_never(FIXTURE_DATA(never) *self)
{
	struct puppet_mem *mem = self->stuck.mem;
	uint64_t handle = puppet_register(&self->stuck, UPCALL_ACCESS_SAME_USER);

	mem->exch = (struct upcall_exchange){
		.size = sizeof(mem->exch), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.events = mem->value, .events_len = 1000, .max_calls = 1,
	};
	puppet_start(&self->stuck, do_exchange);
	return handle;
}

/* ... or has taken the call of the other one, and replies from it. */
static bool replies_from_never(FIXTURE_DATA(never) *self)
{
	struct puppet_mem *mem = self->stuck.mem;
	struct upcall_command *cmd = (void *)mem->buf;

	if (puppet_do(&self->stuck, do_receive) != UPCALL_EVENT_CALL)
		return false;
	*cmd = (struct upcall_command){ .type = UPCALL_COMMAND_REPLY, .data = mem->value,
		.data_len = 1000, .target = mem->event.call.call };
	mem->exch = (struct upcall_exchange){
		.size = sizeof(mem->exch), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = ptr64(cmd), .command_count = 1, .command_size = sizeof(*cmd),
	};
	puppet_start(&self->stuck, do_exchange);
	return is_stuck(&self->stuck);
}

/* The call was taken, and is on its way into that memory for ever. */
static bool is_taken(FIXTURE_DATA(never) *self, uint64_t handle)
{
	return eventually(listed_callback(my_peer, handle).calls == 1 &&
			  !listed_peer(my_peer, self->stuck.pid).receivers) &&
	       is_stuck(&self->stuck);
}

/* Begins a call that accepts a reply of 1000 bytes; @deadline_ns 0: none. */
static void call_start(FIXTURE_DATA(never) *self, uint64_t handle, uint64_t deadline_ns)
{
	struct puppet_mem *mem = self->other.mem;

	mem->inv = INVOKE_ARGS(handle, .reply = ptr64(mem->buf), .reply_room = 4096,
			       .reply_max = 4096, .deadline_ns = deadline_ns);
	if (deadline_ns)
		mem->inv.flags &= ~UPCALL_INVOKE_NO_DEADLINE;
	puppet_start(&self->other, do_invoke);
}

TEST_F(never, to_receive_into_keeps_no_caller_beyond_its_deadline)
{
	uint64_t handle = receive_into_never(self), ms;

	/* A machine may be so slow that it passes before the call is taken: then the next one is. */
	self->other.mem->inv.stage = UPCALL_STAGE_NOT_DELIVERED;
	for (ms = LATER_MS; ms < SOON_MS &&
	     self->other.mem->inv.stage == UPCALL_STAGE_NOT_DELIVERED; ms *= 4) {
		call_start(self, handle, in_ms(ms));
		ASSERT_EQ(-ETIMEDOUT, puppet_wait(&self->other));
	}
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->other.mem->inv.stage);
	EXPECT_FALSE(puppet_done(&self->stuck));
	EXPECT_TRUE(dies(&self->stuck));
}

/* Its only thread comes out of the copy before it dies: the call has not been received. */
TEST_F(never, to_receive_into_keeps_no_caller_when_the_owner_is_killed)
{
	uint64_t handle = receive_into_never(self);

	call_start(self, handle, 0);
	ASSERT_TRUE(is_taken(self, handle));
	EXPECT_FALSE(puppet_done(&self->other));
	EXPECT_TRUE(dies(&self->stuck));
	EXPECT_EQ(-ESTALE, puppet_wait(&self->other));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->other.mem->inv.stage);
	EXPECT_EQ(UPCALL_REASON_EXITED, self->other.mem->inv.reason);
}

TEST_F(never, to_receive_into_lets_the_caller_be_killed)
{
	uint64_t handle = receive_into_never(self);

	call_start(self, handle, 0);
	ASSERT_TRUE(is_taken(self, handle));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->other, SIGKILL));
	EXPECT_FALSE(puppet_done(&self->stuck));
	EXPECT_TRUE(dies(&self->stuck));
}

TEST_F(never, to_receive_into_lets_the_call_be_cancelled)
{
	uint64_t handle = receive_into_never(self);
	struct upcall_command cmd = { .type = UPCALL_COMMAND_CALL, .target = handle,
		.flags = UPCALL_INVOKE_NO_DEADLINE };
	union any_event event;

	ASSERT_EQ(0, command(my_peer, &cmd));
	ASSERT_TRUE(is_taken(self, handle));
	ASSERT_EQ(0, cancel(my_peer, cmd.call_id));
	ASSERT_EQ(UPCALL_EVENT_RESULT, next_event(my_peer, &event));
	EXPECT_EQ(ECANCELED, event.result.error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, event.result.stage);
	EXPECT_TRUE(dies(&self->stuck));
}

TEST_F(never, to_reply_from_keeps_no_caller_beyond_its_deadline)
{
	uint64_t handle = puppet_register(&self->stuck, UPCALL_ACCESS_SAME_USER);

	call_start(self, handle, in_ms(SOON_MS / 10));
	ASSERT_TRUE(replies_from_never(self));
	EXPECT_EQ(-ETIMEDOUT, puppet_wait(&self->other));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->other.mem->inv.stage);
	EXPECT_FALSE(puppet_done(&self->stuck));
	EXPECT_TRUE(dies(&self->stuck));
}

TEST_F(never, to_reply_from_keeps_no_caller_when_the_owner_is_killed)
{
	uint64_t handle = puppet_register(&self->stuck, UPCALL_ACCESS_SAME_USER);

	call_start(self, handle, 0);
	ASSERT_TRUE(replies_from_never(self));
	EXPECT_FALSE(puppet_done(&self->other));
	EXPECT_TRUE(dies(&self->stuck));
	EXPECT_EQ(-EOWNERDEAD, puppet_wait(&self->other));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->other.mem->inv.stage);
}

TEST_F(never, to_reply_from_lets_the_caller_be_killed)
{
	uint64_t handle = puppet_register(&self->stuck, UPCALL_ACCESS_SAME_USER);

	call_start(self, handle, 0);
	ASSERT_TRUE(replies_from_never(self));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->other, SIGKILL));
	EXPECT_FALSE(puppet_done(&self->stuck));
	EXPECT_TRUE(dies(&self->stuck));
}

TEST_HARNESS_MAIN
