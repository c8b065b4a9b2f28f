// SPDX-License-Identifier: GPL-2.0-only
/* EXPORT, and what a stub fd can do and cannot. */
#include "abi_test.h"
#include <sys/resource.h>
#include "stub.h"

FIXTURE(stub) {
	int owner;
	int caller;
	int stub;
	uint64_t handle;
};

FIXTURE_SETUP(stub)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, self->owner);
	ASSERT_LE(0, self->caller);
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_STUB_ONLY);
	ASSERT_NE(0, self->handle);
	self->stub = export_stub(self->owner, self->handle);
	ASSERT_LE(0, self->stub);
}

FIXTURE_TEARDOWN(stub)
{
	close(self->owner);
	close(self->caller);
	close(self->stub);
}

static struct upcall_stat stub_stat(int stub)
{
	return stat_of(stub, 0);
}

TEST_F(stub, call_on_it_reaches_the_owner_and_comes_back)
{
	struct upcall_event_call call;
	struct async async;
	char out[8] = "";

	ASSERT_EQ(0, async_start(&async, self->stub, INVOKE_ARGS(0, .arg = ptr64("hello"),
		  .arg_len = 6, .reply = ptr64(out), .reply_room = 8, .reply_max = 8, .op = 7)));
	ASSERT_EQ(0, next_call(self->owner, &call));
	EXPECT_EQ(self->handle, call.event.handle);
	EXPECT_EQ(COOKIE, call.event.cookie);
	EXPECT_EQ(getpid(), call.pid);
	EXPECT_EQ(geteuid(), call.uid);
	EXPECT_EQ(7, call.op);
	EXPECT_EQ(UPCALL_CALL_STUB | UPCALL_CALL_NO_DEADLINE, call.flags);
	EXPECT_EQ(0, reply(self->owner, call.call, 3, "world", 6));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
	EXPECT_EQ(3, async.args.status);
	EXPECT_STREQ("world", out);
}

TEST_F(stub, is_the_only_way_in_to_a_stub_only_callback)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle);

	EXPECT_EQ(-EACCES, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args = INVOKE_ARGS(self->handle);
	EXPECT_EQ(-EACCES, verb(self->owner, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(0, stub_notify(self->stub));
}

TEST_F(stub, is_a_target_of_invoke_notify_and_call_on_a_peer)
{
	struct upcall_invoke args = INVOKE_ARGS(self->stub);
	struct upcall_command cmd = COMMAND(NOTIFY, self->stub, .flags = UPCALL_INVOKE_STUB_FD |
					    UPCALL_INVOKE_NO_DEADLINE);
	struct upcall_event_call call;
	union any_event event;

	args.flags |= UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_STUB_FD;
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(0, command(self->caller, &cmd));
	cmd = COMMAND(CALL, self->stub, .flags = UPCALL_INVOKE_STUB_FD | UPCALL_INVOKE_NO_DEADLINE,
		      .user_data = 5);
	EXPECT_EQ(0, command(self->caller, &cmd));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, next_call(self->owner, &call));
		EXPECT_EQ(UPCALL_CALL_STUB, call.flags & UPCALL_CALL_STUB);
		EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	}
	ASSERT_EQ(UPCALL_EVENT_RESULT, next_event(self->caller, &event));
	EXPECT_EQ(5, event.event.cookie);
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_EQ(0, event.result.error);
}

TEST_F(stub, target_that_is_not_open_is_ebadf_and_no_stub_is_einval)
{
	static const int numbers[] = { -1, 1000000, 99 };
	struct upcall_invoke args;
	size_t i;

	for (i = 0; i < LENGTH(numbers); i++) {
		args = INVOKE_ARGS((uint64_t)numbers[i]);
		args.flags |= UPCALL_INVOKE_STUB_FD;
		poison_out(&args);
		EXPECT_EQ(-EBADF, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	}
	args = INVOKE_ARGS(self->stub | 1ULL << 32);
	args.flags |= UPCALL_INVOKE_STUB_FD;
	EXPECT_EQ(-EBADF, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.target = self->owner;
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.target = 0;	/* standard input, whatever that is */
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args));
}

TEST_F(stub, knows_three_commands)
{
	union any_args args;
	size_t i;
	unsigned long cmd;
	bool known;

	for (i = 0; i < LENGTH(any_verbs); i++) {
		cmd = any_verbs[i].cmd;
		known = cmd == UPCALL_IOC_INFO || cmd == UPCALL_IOC_STAT || cmd == UPCALL_IOC_INVOKE;
		any_args_fill(&args, cmd, 0);
		EXPECT_EQ(known ? 0 : -ENOTTY, verb(self->stub, cmd, &args));
	}
}

TEST_F(stub, members_that_say_whom_to_call_are_einval_on_it)
{
	struct upcall_stat stat = { .size = sizeof(stat), .handle = self->handle };
	struct upcall_invoke args = INVOKE_ARGS(self->handle);

	poison_out(&args);
	EXPECT_EQ(-EINVAL, verb(self->stub, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	args = INVOKE_ARGS(0);
	args.flags |= UPCALL_INVOKE_STUB_FD;
	EXPECT_EQ(-EINVAL, verb(self->stub, UPCALL_IOC_INVOKE, &args));
	args = INVOKE_ARGS(0, .parent = 1);
	EXPECT_EQ(-ENOENT, verb(self->stub, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(-EINVAL, verb(self->stub, UPCALL_IOC_STAT, &stat));
}

TEST_F(stub, export_is_for_the_owner_and_for_what_lives)
{
	struct upcall_export args = { .size = sizeof(args), .handle = self->handle, .flags = 1 };

	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_EXPORT, &args));
	args.flags = 0;
	args.reserved = 1;
	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_EXPORT, &args));
	EXPECT_EQ(-EPERM, export_stub(self->caller, self->handle));
	EXPECT_EQ(-ESTALE, export_stub(self->owner, NO_HANDLE));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(-ESTALE, export_stub(self->owner, self->handle));
}

TEST_F(stub, fds_that_export_makes_are_new_and_close_on_exec)
{
	int other = export_stub(self->owner, self->handle);

	ASSERT_LE(0, other);
	EXPECT_NE(self->stub, other);
	EXPECT_EQ(FD_CLOEXEC, fcntl(other, F_GETFD));
	EXPECT_EQ(2, stat_of(self->owner, self->handle).stubs);
	EXPECT_EQ(0, close(other));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).stubs);
}

TEST_F(stub, export_that_cannot_tell_the_number_makes_none)
{
	char *page = pages_alloc(1);
	struct upcall_export *args = (struct upcall_export *)page;
	struct rlimit old, none;

	*args = (struct upcall_export){ .size = sizeof(*args), .handle = self->handle };
	ASSERT_EQ(0, page_allow(page, PROT_READ));
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_EXPORT, page));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).stubs);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = old;
	none.rlim_cur = self->stub + 1;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, export_stub(self->owner, self->handle));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).stubs);
}

TEST_F(stub, stat_on_it_is_what_callers_may_know)
{
	struct upcall_stat stat = stub_stat(self->stub);

	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	EXPECT_EQ(getpid(), stat.pid);
	EXPECT_EQ(UPCALL_ACCESS_STUB_ONLY, stat.access);
	EXPECT_EQ(0, stat.owned);
	EXPECT_EQ(0, stat.cookie);
	EXPECT_EQ(0, stat.stubs);
}

TEST_F(stub, says_why_its_callback_died_long_after_the_record_is_forgotten)
{
	struct upcall_release args = {
		.size = sizeof(args), .handle = self->handle,
		.flags = UPCALL_RELEASE_WORD, .word = 77,
	};
	struct upcall_invoke inv = INVOKE_ARGS(0);
	union any_event event;
	uint64_t other;
	int i;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_RELEASE, &args));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, next_event(self->owner, &event));
	for (i = 0; i < 16384 + 1; i++) {	/* as many records as are kept */
		other = register_new(self->owner, 0, UPCALL_ACCESS_ANYONE);
		ASSERT_EQ(0, release(self->owner, other, 0));
		ASSERT_EQ(UPCALL_EVENT_RELEASED, next_event(self->owner, &event));
	}
	EXPECT_EQ(UPCALL_STATE_DEAD, stub_stat(self->stub).state);
	EXPECT_EQ(UPCALL_REASON_RELEASED, stub_stat(self->stub).reason);
	EXPECT_EQ(77, stub_stat(self->stub).word);
	EXPECT_EQ(-ESTALE, verb(self->stub, UPCALL_IOC_INVOKE, &inv));
	EXPECT_EQ(UPCALL_REASON_RELEASED, inv.reason);
	EXPECT_EQ(77, inv.word);
}

TEST_F(stub, signature_and_length_count_as_by_handle)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_SIGNATURE,
						    .signature = 9, .max_arg = 4);
	struct upcall_invoke inv = INVOKE_ARGS(0, .arg = ptr64("12345"), .arg_len = 5);
	int stub;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	stub = export_stub(self->owner, args.handle);
	ASSERT_LE(0, stub);
	EXPECT_EQ(-EPROTOTYPE, verb(stub, UPCALL_IOC_INVOKE, &inv));
	inv.flags |= UPCALL_INVOKE_SIGNATURE;
	inv.signature = 9;
	EXPECT_EQ(-EMSGSIZE, verb(stub, UPCALL_IOC_INVOKE, &inv));
	EXPECT_EQ(4, inv.needed);
	close(stub);
}

TEST_F(stub, polls_out_while_there_is_room_and_hup_when_the_callback_is_dead)
{
	struct upcall_event_call call;
	int n = 0;

	EXPECT_EQ(POLLOUT, poll_now(self->stub));
	while (!stub_notify(self->stub))
		n++;
	EXPECT_EQ(32, n);	/* half of 64 */
	EXPECT_EQ(0, poll_now(self->stub));
	ASSERT_EQ(0, next_call(self->owner, &call));
	EXPECT_TRUE(polls(self->stub, POLLOUT));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(POLLHUP | POLLERR, poll_now(self->stub));
}

TEST_F(stub, that_was_never_refused_knows_of_a_full_queue)
{
	int other = export_stub(self->owner, self->handle);
	struct upcall_event_call call;

	ASSERT_LE(0, other);
	while (!stub_notify(other))
		;
	EXPECT_EQ(0, poll_now(self->stub));
	ASSERT_EQ(0, next_call(self->owner, &call));
	EXPECT_TRUE(polls(self->stub, POLLOUT));
	EXPECT_TRUE(polls(other, POLLOUT));
	close(other);
}

TEST_F(stub, counts_for_list_as_a_caller_without_a_peer)
{
	struct upcall_list_call record;

	ASSERT_EQ(0, stub_notify(self->stub));
	ASSERT_EQ(1, list_all(self->owner, UPCALL_LIST_CALLS, &record, sizeof(record), 1));
	EXPECT_EQ(0, record.caller_peer);
	EXPECT_EQ(UPCALL_CALL_STUB, record.flags & (UPCALL_CALL_STUB | UPCALL_CALL_LEFT));
	EXPECT_EQ(getpid(), record.caller_pid);
}

static bool fdinfo_has(int fd, const char *line)
{
	char path[64], text[1024] = "";
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		return false;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	return strstr(text, line);
}

TEST_F(stub, fdinfo_names_its_callback_and_says_whether_that_lives)
{
	char line[64];

	snprintf(line, sizeof(line), "upcall-stub:\t%llu\n", (unsigned long long)self->handle);
	EXPECT_TRUE(fdinfo_has(self->stub, line));
	EXPECT_TRUE(fdinfo_has(self->stub, "upcall-state:\tlive\n"));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_TRUE(fdinfo_has(self->stub, line));
	EXPECT_TRUE(fdinfo_has(self->stub, "upcall-state:\tdead\n"));
}

TEST_F(stub, keeps_neither_callback_nor_owner)
{
	struct upcall_stat stat;

	close(self->owner);
	self->owner = -1;
	EXPECT_TRUE(polls(self->stub, POLLHUP | POLLERR));
	stat = stub_stat(self->stub);
	EXPECT_EQ(UPCALL_STATE_DEAD, stat.state);
	EXPECT_EQ(UPCALL_REASON_CLOSED, stat.reason);
	EXPECT_EQ(-ESTALE, stub_notify(self->stub));
	EXPECT_TRUE(alone(self->caller));
}

TEST_F(stub, wait_for_room_and_deadline_work_on_it)
{
	struct upcall_event_call call;
	struct upcall_invoke args;
	struct async async;

	while (!stub_notify(self->stub))
		;
	args = INVOKE_ARGS(0, .deadline_ns = in_ms(1));
	args.flags = UPCALL_INVOKE_WAIT_ROOM;
	EXPECT_EQ(-ETIMEDOUT, verb(self->stub, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	args = INVOKE_ARGS(0);
	args.flags |= UPCALL_INVOKE_WAIT_ROOM;
	ASSERT_EQ(0, async_start(&async, self->stub, args));
	do {
		ASSERT_EQ(0, next_call(self->owner, &call));
		EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	} while (call.flags & UPCALL_CALL_ONEWAY);
	EXPECT_EQ(0, async_join(&async));
}

TEST_F(stub, reply_that_did_not_fit_is_kept_and_fetched_there)
{
	struct upcall_invoke args = INVOKE_ARGS(0, .reply_max = 8);
	struct upcall_event_call call;
	struct async async;
	char out[8];

	ASSERT_EQ(0, async_start(&async, self->stub, args));
	ASSERT_EQ(0, next_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, "1234567", 8));
	EXPECT_EQ(-EMSGSIZE, async_join(&async));
	args = INVOKE_ARGS(0, .call_id = async.args.call_id, .reply = ptr64(out), .reply_room = 8);
	EXPECT_EQ(0, verb(self->stub, UPCALL_IOC_INVOKE, &args));
	EXPECT_STREQ("1234567", out);
}

TEST_HARNESS_MAIN
