// SPDX-License-Identifier: GPL-2.0-only
/* The rules that hold for the struct of every command: its size in front, flags, faults. */
#include "abi_test.h"

FIXTURE(verb) {
	union any_args *args;	/* ends where its pages end: bytes behind them fault */
	int fd;
	uint64_t handle;
	struct any_verb verb;
};

FIXTURE_VARIANT(verb) {
	unsigned long cmd;
	bool writes;		/* has [out] members */
};

FIXTURE_VARIANT_ADD(verb, info) { .cmd = UPCALL_IOC_INFO, .writes = true };
FIXTURE_VARIANT_ADD(verb, register) { .cmd = UPCALL_IOC_REGISTER, .writes = true };
FIXTURE_VARIANT_ADD(verb, rebind) { .cmd = UPCALL_IOC_REBIND };
FIXTURE_VARIANT_ADD(verb, release) { .cmd = UPCALL_IOC_RELEASE };
FIXTURE_VARIANT_ADD(verb, stat) { .cmd = UPCALL_IOC_STAT, .writes = true };
FIXTURE_VARIANT_ADD(verb, list) { .cmd = UPCALL_IOC_LIST, .writes = true };
FIXTURE_VARIANT_ADD(verb, invoke) { .cmd = UPCALL_IOC_INVOKE, .writes = true };
FIXTURE_VARIANT_ADD(verb, exchange) { .cmd = UPCALL_IOC_EXCHANGE, .writes = true };
FIXTURE_VARIANT_ADD(verb, shutdown) { .cmd = UPCALL_IOC_SHUTDOWN };

FIXTURE_SETUP(verb)
{
	char *pages = pages_alloc(4);
	size_t i;

	ASSERT_EQ(0, page_allow(pages + 2 * PAGE, PROT_NONE));
	self->args = (union any_args *)pages;
	self->fd = peer_open();
	self->handle = register_new(self->fd, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
	for (i = 0; i < LENGTH(any_verbs); i++) {
		if (any_verbs[i].cmd == variant->cmd)
			self->verb = any_verbs[i];
	}
	any_args_fill(self->args, variant->cmd, self->handle);
}

FIXTURE_TEARDOWN(verb)
{
	close(self->fd);
}

#define CALL_VERB(args) verb(self->fd, self->verb.cmd, args)

TEST_F(verb, struct_of_version_1_is_accepted)
{
	/* Its last byte is the last one that can be read. */
	char *end = (char *)self->args + 2 * PAGE;
	void *last = memcpy(end - self->verb.size, self->args, self->verb.size);

	EXPECT_EQ(0, CALL_VERB(last));
}

TEST_F(verb, size_0_is_einval)
{
	self->args->head[0] = 0;
	EXPECT_EQ(-EINVAL, CALL_VERB(self->args));
}

TEST_F(verb, smaller_than_version_1_is_einval)
{
	self->args->head[0] = self->verb.size - 8;
	EXPECT_EQ(-EINVAL, CALL_VERB(self->args));
	self->args->head[0] = self->verb.size - 1;
	EXPECT_EQ(-EINVAL, CALL_VERB(self->args));
}

TEST_F(verb, larger_with_zero_tail_is_accepted_and_the_tail_stays_zero)
{
	self->args->head[0] = self->verb.size + 8;
	ASSERT_EQ(0, CALL_VERB(self->args));
	EXPECT_TRUE(all_bytes(self->args->bytes + self->verb.size, PAGE, 0));
	EXPECT_EQ(self->verb.size + 8, self->args->head[0]);
}

TEST_F(verb, size_4096_with_zero_tail_is_accepted)
{
	self->args->head[0] = PAGE;
	/* What stands behind it is not looked at. */
	memset(self->args->bytes + PAGE, POISON, PAGE);
	ASSERT_EQ(0, CALL_VERB(self->args));
	EXPECT_TRUE(all_bytes(self->args->bytes + self->verb.size, PAGE - self->verb.size, 0));
	EXPECT_TRUE(all_bytes(self->args->bytes + PAGE, PAGE, POISON));
}

TEST_F(verb, non_zero_tail_is_e2big)
{
	self->args->head[0] = self->verb.size + 16;
	self->args->bytes[self->verb.size] = 1;
	EXPECT_EQ(-E2BIG, CALL_VERB(self->args));
	self->args->bytes[self->verb.size] = 0;
	self->args->bytes[self->verb.size + 15] = 1;
	EXPECT_EQ(-E2BIG, CALL_VERB(self->args));
	self->args->head[0] = PAGE;
	self->args->bytes[self->verb.size + 15] = 0;
	self->args->bytes[PAGE - 1] = 1;
	EXPECT_EQ(-E2BIG, CALL_VERB(self->args));
}

TEST_F(verb, size_above_4096_is_e2big)
{
	static const uint32_t sizes[] = { PAGE + 1, PAGE + 8, 2 * PAGE, 1U << 31, ~0U };
	size_t i;

	for (i = 0; i < LENGTH(sizes); i++) {
		self->args->head[0] = sizes[i];
		EXPECT_EQ(-E2BIG, CALL_VERB(self->args));
	}
}

TEST_F(verb, size_that_cannot_be_read_is_efault)
{
	MODULE_ONLY("no EFAULT");

	EXPECT_EQ(-EFAULT, CALL_VERB(NULL));
	EXPECT_EQ(-EFAULT, CALL_VERB(self->args->bytes + 2 * PAGE));
	EXPECT_EQ(-EFAULT, CALL_VERB((void *)-8L));
}

TEST_F(verb, struct_that_cannot_be_read_to_its_end_is_efault)
{
	char *end = (char *)self->args + 2 * PAGE;
	void *cut = memcpy(end - 8, self->args, 8);

	MODULE_ONLY("no EFAULT");
	EXPECT_EQ(-EFAULT, CALL_VERB(cut));
}

TEST_F(verb, tail_that_cannot_be_read_is_efault)
{
	char *end = (char *)self->args + 2 * PAGE;
	union any_args *cut = memcpy(end - self->verb.size, self->args, self->verb.size);

	MODULE_ONLY("no EFAULT");
	cut->head[0] = self->verb.size + 8;
	EXPECT_EQ(-EFAULT, CALL_VERB(cut));
}

TEST_F(verb, read_only_struct_is_efault_where_something_is_to_be_written)
{
	MODULE_ONLY("no EFAULT");

	ASSERT_EQ(0, page_allow(self->args->bytes, PROT_READ));
	EXPECT_EQ(variant->writes ? -EFAULT : 0, CALL_VERB(self->args));
}

TEST_F(verb, each_high_flag_is_einval)
{
	int bit;

	for (bit = 16; bit < 32; bit++) {
		any_args_fill(self->args, variant->cmd, self->handle);
		self->args->head[1] |= 1U << bit;
		EXPECT_EQ(-EINVAL, CALL_VERB(self->args));
	}
}

TEST_F(verb, failure_leaves_the_struct_as_it_was)
{
	size_t end = sizeof(*self->args);
	char before[sizeof(*self->args)];

	/* INVOKE is the exception: it writes its [out] members also when it fails. */
	if (variant->cmd == UPCALL_IOC_INVOKE)
		end = offsetof(struct upcall_invoke, call_id);
	self->args->head[1] = 1U << 31;
	memcpy(before, self->args, end);
	ASSERT_EQ(-EINVAL, CALL_VERB(self->args));
	EXPECT_EQ(0, memcmp(before, self->args, end));
}

TEST_F(verb, failed_struct_checks_change_nothing)
{
	self->args->head[0] = 0;
	ASSERT_EQ(-EINVAL, CALL_VERB(self->args));
	self->args->head[0] = self->verb.size;
	self->args->head[1] |= 1U << 31;
	ASSERT_EQ(-EINVAL, CALL_VERB(self->args));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->fd, self->handle).state);
	EXPECT_EQ(COOKIE, stat_of(self->fd, self->handle).cookie);
	EXPECT_EQ(0, stat_of(self->fd, self->handle).calls);
	/* and the same struct, right, does */
	any_args_fill(self->args, variant->cmd, self->handle);
	EXPECT_EQ(0, CALL_VERB(self->args));
}

TEST_HARNESS_MAIN
