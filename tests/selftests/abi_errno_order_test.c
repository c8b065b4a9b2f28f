// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of checks that the header promises. Each test breaks two rules at once and sees which
 * errno wins; programs that probe for a feature with bad arguments depend on it.
 */
#include "abi_test.h"

#define BAD_FLAG	(1U << 31)

/* A verb, made to fail in some ways, by a process whose peer it is not. */
struct foreign {
	int fd;
	uint64_t handle;
	uint32_t flags;		/* or'ed in */
	uint32_t size;		/* if not 0 */
	int ret[LENGTH(any_verbs)];
};

static union any_args args;

static int foreign_main(void *arg)
{
	struct foreign *foreign = arg;
	size_t i;

	for (i = 0; i < LENGTH(any_verbs); i++) {
		any_args_fill(&args, any_verbs[i].cmd, foreign->handle);
		args.head[1] |= foreign->flags;
		if (foreign->size)
			args.head[0] = foreign->size;
		foreign->ret[i] = verb(foreign->fd, any_verbs[i].cmd, &args);
	}
	return 0;
}

/* All verbs by another process; index 0 is INFO. */
static struct foreign *as_foreigner(int fd, uint64_t handle, uint32_t flags, uint32_t size)
{
	struct foreign *foreign = shared_alloc(sizeof(*foreign));

	*foreign = (struct foreign){ .fd = fd, .handle = handle, .flags = flags, .size = size };
	return reap(spawn(foreign_main, foreign)) ? NULL : foreign;
}

/* Where in any_verbs[] a verb but INFO failed otherwise; 0 if none did. */
static int odd_one(const struct foreign *foreign, int expected)
{
	size_t i;

	for (i = 1; foreign && i < LENGTH(any_verbs); i++) {
		if (foreign->ret[i] != expected)
			return i;
	}
	return foreign ? 0 : -1;
}

TEST_F(pair, foreign_peer_is_eperm_for_every_verb_but_info)
{
	const struct foreign *foreign = as_foreigner(self->owner, self->handle, 0, 0);

	EXPECT_EQ(0, odd_one(foreign, -EPERM));
	EXPECT_EQ(0, foreign->ret[0]);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, self->handle).state);
}

TEST_F(pair, unknown_flag_is_einval_before_foreign_peer_is_eperm)
{
	EXPECT_EQ(0, odd_one(as_foreigner(self->owner, self->handle, BAD_FLAG, 0), -EINVAL));
}

TEST_F(pair, too_large_struct_is_e2big_before_foreign_peer_is_eperm)
{
	EXPECT_EQ(0, odd_one(as_foreigner(self->owner, self->handle, 0, 2 * PAGE), -E2BIG));
}

TEST_F(pair, too_large_struct_is_e2big_before_unknown_flag_is_einval)
{
	EXPECT_EQ(0, odd_one(as_foreigner(self->owner, self->handle, BAD_FLAG, 2 * PAGE), -E2BIG));
}

TEST_F(pair, foreign_peer_is_eperm_before_bad_handle_is_estale)
{
	EXPECT_EQ(0, odd_one(as_foreigner(self->owner, NO_HANDLE, 0, 0), -EPERM));
}

TEST_F(pair, foreign_peer_is_eperm_before_ended_peer_is_eshutdown)
{
	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(0, odd_one(as_foreigner(self->owner, self->handle, 0, 0), -EPERM));
}

TEST_F(pair, ended_peer_is_eshutdown_for_every_verb_but_info)
{
	size_t i;

	ASSERT_EQ(0, shut_down(self->owner));
	for (i = 0; i < LENGTH(any_verbs); i++) {
		any_args_fill(&args, any_verbs[i].cmd, self->handle);
		EXPECT_EQ(i ? -ESHUTDOWN : 0, verb(self->owner, any_verbs[i].cmd, &args))
			TH_LOG("verb %zu", i);
	}
}

TEST_F(pair, unknown_flag_is_einval_before_ended_peer_is_eshutdown)
{
	size_t i;

	ASSERT_EQ(0, shut_down(self->owner));
	for (i = 0; i < LENGTH(any_verbs); i++) {
		any_args_fill(&args, any_verbs[i].cmd, self->handle);
		args.head[1] |= BAD_FLAG;
		EXPECT_EQ(-EINVAL, verb(self->owner, any_verbs[i].cmd, &args));
	}
}

TEST_F(pair, ended_peer_is_eshutdown_before_bad_handle_is_estale)
{
	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(-ESHUTDOWN, release(self->owner, NO_HANDLE, 0));
	EXPECT_EQ(-ESHUTDOWN, notify(self->owner, NO_HANDLE, NULL, 0));
}

TEST_F(pair, unknown_flag_is_einval_before_bad_handle_is_estale)
{
	static const unsigned long cmds[] = {
		UPCALL_IOC_REBIND, UPCALL_IOC_RELEASE, UPCALL_IOC_STAT, UPCALL_IOC_INVOKE,
	};
	size_t i;

	for (i = 0; i < LENGTH(cmds); i++) {
		any_args_fill(&args, cmds[i], NO_HANDLE);
		EXPECT_EQ(-ESTALE, verb(self->owner, cmds[i], &args));
		args.head[1] |= BAD_FLAG;
		EXPECT_EQ(-EINVAL, verb(self->owner, cmds[i], &args));
	}
}

static int list_into_nothing(void *arg)
{
	struct upcall_list list = {
		.size = sizeof(list), .what = UPCALL_LIST_PEERS, .record_size = 40,
	};

	return -verb(*(int *)arg, UPCALL_IOC_LIST, &list);
}

TEST_F(pair, list_on_a_foreign_peer_is_eperm_before_small_buffer_is_emsgsize)
{
	EXPECT_EQ(EMSGSIZE, list_into_nothing(&self->owner));
	EXPECT_EQ(EPERM, WEXITSTATUS(reap(spawn(list_into_nothing, &self->owner))));
}

static int register_for_no_uid(void *arg)
{
	struct upcall_register reg = REGISTER_ARGS(.access = UPCALL_ACCESS_UID,
						   .access_id = ~0U);

	return -verb(*(int *)arg, UPCALL_IOC_REGISTER, &reg);
}

TEST_F(pair, register_for_no_uid_is_einval_before_foreign_peer_is_eperm)
{
	EXPECT_EQ(EINVAL, register_for_no_uid(&self->owner));
	EXPECT_EQ(EINVAL, WEXITSTATUS(reap(spawn(register_for_no_uid, &self->owner))));
}

TEST_F(pair, too_many_commands_are_e2big_before_ended_peer_is_eshutdown)
{
	struct upcall_exchange ex = EXCHANGE_ARGS(.command_count = UPCALL_MAX_COMMANDS + 1);

	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(-E2BIG, verb(self->owner, UPCALL_IOC_EXCHANGE, &ex));
}

/* --- INVOKE: each errno of its list against the next one -------------------- */

/* A callback that this process may not call, with a signature, and no argument. */
FIXTURE(strict) {
	int owner;
	int caller;
	struct upcall_register reg;
	struct upcall_invoke args;	/* breaks every rule but EINVAL's */
};

FIXTURE_SETUP(strict)
{
	self->owner = peer_open();
	self->caller = peer_open();
	self->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_UID, .access_id = NOBODY,
		.flags = UPCALL_REGISTER_SIGNATURE, .signature = 5, .word = 99,
		.max_arg = 0, .max_queued_bytes = 0, .max_queued_calls = 1);
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &self->reg));
	self->args = INVOKE_ARGS(self->reg.handle, .flags = UPCALL_INVOKE_SIGNATURE,
		.signature = 6, .deadline_ns = 1, .arg = 8, .arg_len = 16);
}

FIXTURE_TEARDOWN(strict)
{
	close(self->owner);
	close(self->caller);
}

#define INVOKE_STRICT() ({						\
	poison_out(&self->args);					\
	verb(self->caller, UPCALL_IOC_INVOKE, &self->args);		\
})

/* The same, but for whom it is: this process may call it. */
static int strict_open(int owner, struct upcall_register *reg, struct upcall_invoke *invoke)
{
	int err;

	reg->access_id = geteuid();
	err = verb(owner, UPCALL_IOC_REGISTER, reg);
	invoke->target = reg->handle;
	return err;
}

TEST_F(strict, unknown_flag_is_einval_before_unknown_call_is_enoent)
{
	self->args.call_id = 12345;
	self->args.flags |= BAD_FLAG;
	EXPECT_EQ(-EINVAL, INVOKE_STRICT());
	EXPECT_EQ(POISON32, self->args.stage);	/* says nothing about that call */
}

TEST_F(strict, unknown_call_is_enoent_before_bad_handle_is_estale)
{
	self->args.target = NO_HANDLE;
	self->args.call_id = 12345;
	EXPECT_EQ(-ENOENT, INVOKE_STRICT());
	/* and writes nothing */
	EXPECT_EQ(12345, self->args.call_id);
	EXPECT_EQ(POISON32, self->args.stage);
}

TEST_F(strict, released_is_estale_before_forbidden_is_eacces)
{
	union any_event event;

	/* released, but RELEASED not read yet */
	ASSERT_EQ(0, release(self->owner, self->reg.handle, 0));
	EXPECT_EQ(-ESTALE, INVOKE_STRICT());
	EXPECT_EQ(UPCALL_REASON_RELEASED, self->args.reason);
	EXPECT_EQ(99, self->args.word);
	/* and gone */
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(-ESTALE, INVOKE_STRICT());
	EXPECT_EQ(UPCALL_REASON_RELEASED, self->args.reason);
	EXPECT_EQ(99, self->args.word);
}

TEST_F(strict, released_is_estale_before_long_argument_is_emsgsize)
{
	self->args.flags |= UPCALL_INVOKE_SIGNATURE;
	self->args.signature = 5;
	ASSERT_EQ(0, strict_open(self->owner, &self->reg, &self->args));
	EXPECT_EQ(-EMSGSIZE, INVOKE_STRICT());
	ASSERT_EQ(0, release(self->owner, self->reg.handle, 0));
	EXPECT_EQ(-ESTALE, INVOKE_STRICT());
}

TEST_F(strict, forbidden_is_eacces_before_signature_is_eprototype)
{
	EXPECT_EQ(-EACCES, INVOKE_STRICT());
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->args.stage);
}

TEST_F(strict, signature_is_eprototype_before_long_argument_is_emsgsize)
{
	ASSERT_EQ(0, strict_open(self->owner, &self->reg, &self->args));
	EXPECT_EQ(-EPROTOTYPE, INVOKE_STRICT());
	EXPECT_EQ(0, self->args.needed);
}

TEST_F(strict, long_argument_is_emsgsize_before_deadline_is_etimedout)
{
	ASSERT_EQ(0, strict_open(self->owner, &self->reg, &self->args));
	self->args.signature = 5;
	EXPECT_EQ(-EMSGSIZE, INVOKE_STRICT());
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->args.stage);
}

TEST_F(strict, deadline_is_etimedout_before_unreadable_argument_is_efault)
{
	self->reg.max_arg = 16;
	self->reg.max_queued_bytes = 16;
	ASSERT_EQ(0, strict_open(self->owner, &self->reg, &self->args));
	self->args.signature = 5;
	EXPECT_EQ(-ETIMEDOUT, INVOKE_STRICT());
}

TEST_F(strict, unreadable_argument_is_efault_before_full_queue_is_eagain)
{
	self->reg.max_arg = 16;
	self->reg.max_queued_bytes = 64;
	ASSERT_EQ(0, strict_open(self->owner, &self->reg, &self->args));
	self->args.signature = 5;
	self->args.flags |= UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE;
	self->args.deadline_ns = 0;
	self->args.arg_len = 0;
	ASSERT_EQ(0, INVOKE_STRICT());
	EXPECT_EQ(-EAGAIN, INVOKE_STRICT());
	self->args.arg_len = 16;
	EXPECT_EQ(-EFAULT, INVOKE_STRICT());
}

TEST_HARNESS_MAIN
