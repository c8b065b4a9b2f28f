// SPDX-License-Identifier: GPL-2.0-only
/* INVOKE: what is handed over, what comes back, and what is written where. */
#include "abi_test.h"
#include <sys/syscall.h>

#define MIB UPCALL_MAX_PAYLOAD

/* Delivers the one call that waits, of any length, into a buffer that is poisoned before. */
static struct upcall_event_call *big_call(int fd, char *buf, size_t len)
{
	struct upcall_exchange out;

	memset(buf, POISON, len);
	if (receive(fd, buf, len, 1, 0, &out) || out.event_count != 1)
		return NULL;
	return (struct upcall_event_call *)buf;
}

TEST_F(pair, payloads_of_every_size_arrive_whole_both_ways)
{
	static const uint32_t sizes[] = {
		0, 1, 7, 8, 127, 128, 129, 4095, 4096, 4097, 8191, 8192, 65536, MIB - 1, MIB,
	};
	char *arg = pages_alloc(257), *events = pages_alloc(258), *back = pages_alloc(258);
	struct upcall_event_call *call;
	struct async async;
	size_t i;

	for (i = 0; i < LENGTH(sizes); i++) {
		uint32_t n = sizes[i], m = sizes[LENGTH(sizes) - 1 - i];

		fill(arg, n, i);
		memset(back, POISON, MIB + PAGE);
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
			.arg = ptr64(arg), .arg_len = n, .reply = ptr64(back),
			.reply_room = MIB, .reply_max = MIB)));
		call = big_call(self->owner, events, MIB + PAGE);
		ASSERT_NE(NULL, call);
		EXPECT_EQ(n, call->payload_len);
		EXPECT_EQ(0, call->payload_offset % 8);
		EXPECT_TRUE(filled(events + call->payload_offset, n, i));
		EXPECT_TRUE(all_bytes(events + call->payload_offset + n, PAGE / 2, POISON));
		fill(arg, m, i + 100);
		ASSERT_EQ(0, reply(self->owner, call->call, 0, arg, m));
		ASSERT_EQ(0, async_join(&async));
		EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
		EXPECT_EQ(m, async.args.reply_len);
		EXPECT_TRUE(filled(back, m, i + 100));
		EXPECT_TRUE(all_bytes(back + m, MIB + PAGE - m, POISON));
	}
}

TEST_F(pair, payloads_need_no_alignment)
{
	char *arg = pages_alloc(4), *back = pages_alloc(4);
	struct upcall_event_call *call;
	static char events[3 * PAGE] __attribute__((aligned(8)));
	struct async async;

	fill(arg + 3, 5000, 1);
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.arg = ptr64(arg + 3), .arg_len = 5000, .reply = ptr64(back + 5),
		.reply_room = 5000, .reply_max = 5000)));
	call = big_call(self->owner, events, sizeof(events));
	ASSERT_NE(NULL, call);
	EXPECT_TRUE(filled(events + call->payload_offset, 5000, 1));
	ASSERT_EQ(0, reply(self->owner, call->call, 0, arg + 3, 5000));
	ASSERT_EQ(0, async_join(&async));
	EXPECT_TRUE(filled(back + 5, 5000, 1));
	EXPECT_TRUE(all_bytes(back, 5, 0));
}

TEST_F(pair, more_than_1_mib_or_less_room_than_accepted_is_einval)
{
	struct upcall_invoke args[] = {
		INVOKE_ARGS(self->handle, .arg_len = MIB + 1),
		INVOKE_ARGS(self->handle, .arg_len = ~0U),
		INVOKE_ARGS(self->handle, .reply_max = MIB + 1),
		INVOKE_ARGS(self->handle, .reply_max = ~0U, .reply_room = ~0U),
		INVOKE_ARGS(self->handle, .reply_max = 7, .reply_room = 8),
	};
	size_t i;

	for (i = 0; i < LENGTH(args); i++) {
		poison_out(&args[i]);
		EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args[i]));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args[i].stage);
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
}

TEST_F(pair, members_of_what_is_not_asked_for_are_einval)
{
	struct upcall_invoke args[] = {
		INVOKE_ARGS(self->handle, .deadline_ns = 1),
		INVOKE_ARGS(self->handle, .signature = 1),
	};
	size_t i;

	for (i = 0; i < LENGTH(args); i++) {
		EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args[i]))
			TH_LOG("case %zu", i);
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
}

TEST_F(pair, owner_sees_who_calls_and_what)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.op = 0xdeadbeef, .reply_max = 77)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(self->handle, call.event.handle);
	EXPECT_EQ(COOKIE, call.event.cookie);
	EXPECT_EQ(sizeof(call), call.event.size);
	EXPECT_EQ(0xdeadbeef, call.op);
	EXPECT_EQ(77, call.reply_max);
	EXPECT_EQ(UPCALL_CALL_NO_DEADLINE, call.flags);
	EXPECT_EQ(0, call.deadline_ns);
	EXPECT_NE(0, call.call);
	EXPECT_EQ(getpid(), (pid_t)call.pid);
	EXPECT_NE(call.pid, call.tid);
	EXPECT_EQ(geteuid(), call.uid);
	EXPECT_EQ(getegid(), call.gid);
	EXPECT_EQ(stat_of(self->caller, self->handle).start_time, call.start_time);
	EXPECT_EQ(0, call.dropped);
	EXPECT_EQ(0, call.fd_count);
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_F(pair, status_passes_through_unread)
{
	static const uint32_t statuses[] = { 0, 1, 4095, 0x7fffffff, UPCALL_STATUS_RAISED,
					     0x80000000 };
	struct upcall_event_call call;
	struct async async;
	size_t i;

	for (i = 0; i < LENGTH(statuses); i++) {
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
		ASSERT_EQ(0, one_call(self->owner, &call));
		ASSERT_EQ(0, reply(self->owner, call.call, statuses[i], NULL, 0));
		EXPECT_EQ(0, async_join(&async));
		EXPECT_EQ(statuses[i], async.args.status);
	}
}

TEST_F(pair, all_out_members_are_written_on_success)
{
	uint64_t start = now_ns(), end;
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 3, NULL, 0));
	ASSERT_EQ(0, async_join(&async));
	end = now_ns();
	EXPECT_EQ(0, async.args.call_id);
	EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
	EXPECT_EQ(0, async.args.reply_len);
	EXPECT_EQ(0, async.args.reply_fd_count);
	EXPECT_EQ(0, async.args.needed);
	EXPECT_EQ(0, async.args.reason);
	EXPECT_EQ(0, async.args.exit_status);
	EXPECT_EQ(0, async.args.reserved);
	EXPECT_EQ(0, async.args.word);
	EXPECT_EQ(call.seq, async.args.seq);
	EXPECT_NE(0, async.args.seq);
	EXPECT_EQ(async.args.total_ns, async.args.queued_ns + async.args.run_ns);
	EXPECT_LT(0, async.args.run_ns);
	EXPECT_GE(end - start, async.args.total_ns);
}

TEST_F(pair, all_out_members_are_written_on_failure)
{
	struct upcall_invoke args = INVOKE_ARGS(NO_HANDLE);
	size_t out = offsetof(struct upcall_invoke, status);

	poison_out(&args);
	ASSERT_EQ(-ESTALE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, args.call_id);
	EXPECT_TRUE(all_bytes((char *)&args + out, sizeof(args) - out, 0));
	/* [in] members are as they were */
	EXPECT_EQ(NO_HANDLE, args.target);
	EXPECT_EQ(UPCALL_INVOKE_NO_DEADLINE, args.flags);
}

TEST_F(pair, seq_increases_in_the_order_of_the_calls)
{
	struct upcall_event_call call;
	uint64_t last = 0;
	int i;

	for (i = 0; i < 20; i++) {
		struct upcall_invoke args = INVOKE_ARGS(self->handle, .op = i);

		args.flags |= UPCALL_INVOKE_ONEWAY;
		ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		EXPECT_LT(last, args.seq);
		last = args.seq;
	}
	for (i = 0, last = 0; i < 20; i++) {
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(i, (int)call.op);
		EXPECT_LT(last, call.seq);
		last = call.seq;
	}
}

TEST_F(pair, refusal_is_the_callers_errno_and_not_delivered)
{
	static const uint32_t errors[] = { 1, EBUSY, ENOENT, EINTR, ESTALE, EMSGSIZE, 511 };
	struct upcall_event_call call;
	struct async async;
	size_t i;

	for (i = 0; i < LENGTH(errors); i++) {
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
		ASSERT_EQ(0, one_call(self->owner, &call));
		ASSERT_EQ(0, refuse(self->owner, call.call, errors[i]));
		EXPECT_EQ(-(int)errors[i], async_join(&async));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, async.args.stage);
		EXPECT_EQ(0, async.args.call_id);
		EXPECT_EQ(0, async.args.reason);
		EXPECT_EQ(0, async.args.needed);
		EXPECT_EQ(-ENOENT, refuse(self->owner, call.call, errors[i]));
	}
}

TEST_F(pair, refusal_with_what_is_no_errno_is_einval_and_the_call_still_open)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(-EINVAL, refuse(self->owner, call.call, 0));
	EXPECT_EQ(-EINVAL, refuse(self->owner, call.call, 512));
	EXPECT_EQ(-EINVAL, refuse(self->owner, call.call, (uint32_t)-EIO));
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_F(pair, signature_must_be_named_and_equal)
{
	struct upcall_register reg = REGISTER_ARGS(.flags = UPCALL_REGISTER_SIGNATURE,
						   .signature = 5);
	const uint32_t oneway = UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE;
	struct upcall_invoke args;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	EXPECT_EQ(-EPROTOTYPE, notify(self->caller, reg.handle, NULL, 0));
	args = INVOKE_ARGS(reg.handle, .flags = oneway | UPCALL_INVOKE_SIGNATURE,
			   .signature = 6);
	EXPECT_EQ(-EPROTOTYPE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	args.signature = 5;
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	/* Who demands none takes any. */
	args.target = self->handle;
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
}

TEST_F(pair, argument_above_max_arg_is_emsgsize_with_what_is_taken)
{
	struct upcall_register reg = REGISTER_ARGS(.max_arg = 100);
	struct upcall_invoke args;
	char buf[128] = { 0 };

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	EXPECT_EQ(0, notify(self->caller, reg.handle, buf, 100));
	args = INVOKE_ARGS(reg.handle, .arg = ptr64(buf), .arg_len = 101);
	EXPECT_EQ(-EMSGSIZE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(100, args.needed);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, args.call_id);
}

TEST_F(pair, peer_may_call_its_own_callback)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->owner, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 1, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(1, async.args.status);
}

TEST_F(pair, call_ids_of_owners_are_of_one_peer_only)
{
	int other = peer_open();
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(-ENOENT, reply(other, call.call, 0, NULL, 0));
	EXPECT_EQ(-ENOENT, reply(self->caller, call.call, 0, NULL, 0));
	EXPECT_EQ(-ENOENT, cancel(self->caller, call.call));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call + (1ULL << 32), 0, NULL, 0));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call + 1, 0, NULL, 0));
	EXPECT_EQ(-ENOENT, reply(self->owner, 0, 0, NULL, 0));
	EXPECT_EQ(-ENOENT, reply(self->owner, ~0ULL, 0, NULL, 0));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_F(pair, usage_is_given_back_when_a_call_has_ended)
{
	struct upcall_list_user use;
	struct upcall_event_call call;
	struct async async;
	char arg[300] = { 0 };

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.arg = ptr64(arg), .arg_len = 300, .reply_max = 1000)));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1));
	use = usage(self->owner);
	EXPECT_EQ(1, use.queued_calls);
	EXPECT_EQ(1300, use.queued_bytes);
	EXPECT_EQ(1, use.callbacks);
	EXPECT_EQ(300, stat_of(self->owner, self->handle).queued_bytes);
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(0, async_join(&async));
	use = usage(self->owner);
	EXPECT_EQ(0, use.queued_calls);
	EXPECT_EQ(0, use.queued_bytes);
}

TEST_HARNESS_MAIN
