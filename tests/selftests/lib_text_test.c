// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's words for the numbers of the ABI.
 */
#include <string.h>
#include "kselftest_harness.h"
#include "lib_test.h"

static const int abi_errnos[] = {
	EACCES, EAGAIN, EBUSY, ECANCELED, EDEADLK, EDQUOT, EFAULT, EINTR, EINVAL, EMFILE, EMSGSIZE,
	ENOENT, ENOMEM, ENOSPC, ENOTTY, EOWNERDEAD, EPERM, EPROTOTYPE, ESHUTDOWN, ESTALE,
	ETIMEDOUT, E2BIG,
};

TEST(every_errno_of_the_abi_has_a_name_and_a_text_of_its_own)
{
	for (size_t i = 0; i < ARRAY_SIZE(abi_errnos); i++) {
		EXPECT_STRNE(upcall_errname(-1000), upcall_errname(abi_errnos[i]));
		EXPECT_STRNE(upcall_strerror(-1000), upcall_strerror(abi_errnos[i]));
	}
}

TEST(both_signs_of_an_errno_mean_the_same)
{
	EXPECT_STREQ("ESTALE", upcall_errname(-ESTALE));
	EXPECT_STREQ(upcall_strerror(ESTALE), upcall_strerror(-ESTALE));
	EXPECT_STREQ("0", upcall_errname(0));
}

TEST(an_owners_own_errno_is_named_too)
{
	EXPECT_STREQ("EIO", upcall_errname(-EIO));
	EXPECT_STREQ(strerror(EIO), upcall_strerror(-EIO));
}

TEST(any_number_has_some_text)
{
	static const uint32_t odd[] = { 4096, 0x7fffffff, 0x80000000, 0xfffff000 };

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		EXPECT_NE(NULL, upcall_strerror((int)odd[i]));
		EXPECT_STREQ("E?", upcall_errname((int)odd[i]));
		EXPECT_STREQ("?", upcall_stage_name(odd[i]));
		EXPECT_STREQ("?", upcall_reason_name(odd[i]));
		EXPECT_STREQ("?", upcall_access_name(odd[i]));
		EXPECT_STREQ("?", upcall_state_name(odd[i]));
		EXPECT_STREQ("?", upcall_event_name(odd[i]));
	}
}

TEST(every_stage_and_reason_has_a_name_and_a_text)
{
	for (uint32_t stage = UPCALL_STAGE_UNKNOWN; stage <= UPCALL_STAGE_REPLIED; stage++) {
		EXPECT_STRNE("?", upcall_stage_name(stage));
		EXPECT_LT(5, strlen(upcall_stage_text(stage)));
	}
	for (uint32_t reason = UPCALL_REASON_NONE; reason <= UPCALL_REASON_UNKNOWN; reason++) {
		EXPECT_STRNE("?", upcall_reason_name(reason));
		EXPECT_LT(5, strlen(upcall_reason_text(reason)));
	}
}

TEST(death_by_signal_and_by_exit_say_which)
{
	char text[64];

	EXPECT_STREQ("the owner was killed by signal 9",
		     upcall_death_text(UPCALL_REASON_EXITED, 9, text, sizeof(text)));
	EXPECT_STREQ("the owner exited with status 3",
		     upcall_death_text(UPCALL_REASON_EXITED, 3 << 8, text, sizeof(text)));
	EXPECT_STREQ(upcall_reason_text(UPCALL_REASON_REVOKED),
		     upcall_death_text(UPCALL_REASON_REVOKED, 0, text, sizeof(text)));
	EXPECT_STREQ("the", upcall_death_text(UPCALL_REASON_EXITED, 9, text, 4));
}

TEST(only_what_was_not_delivered_may_be_retried)
{
	for (size_t i = 0; i < ARRAY_SIZE(abi_errnos); i++) {
		EXPECT_EQ(0, upcall_may_retry(abi_errnos[i], UPCALL_STAGE_UNKNOWN));
		EXPECT_EQ(0, upcall_may_retry(abi_errnos[i], UPCALL_STAGE_DELIVERED));
		EXPECT_EQ(0, upcall_may_retry(abi_errnos[i], UPCALL_STAGE_REPLIED));
	}
	EXPECT_EQ(1, upcall_may_retry(-EAGAIN, UPCALL_STAGE_NOT_DELIVERED));
	EXPECT_EQ(1, upcall_may_retry(ETIMEDOUT, UPCALL_STAGE_NOT_DELIVERED));
}

TEST(what_would_fail_again_is_not_to_be_retried)
{
	static const int lasting[] = { EACCES, EPROTOTYPE, EMSGSIZE, EINVAL, ESTALE, ESHUTDOWN, EPERM };

	for (size_t i = 0; i < ARRAY_SIZE(lasting); i++)
		EXPECT_EQ(0, upcall_may_retry(-lasting[i], UPCALL_STAGE_NOT_DELIVERED));
}

TEST(signature_is_fnv_1a_of_the_text)
{
	EXPECT_EQ(0xcbf29ce484222325u, upcall_signature(""));
	EXPECT_EQ(0xaf63dc4c8601ec8cu, upcall_signature("a"));
	EXPECT_EQ(0x85944171f73967e8u, upcall_signature("foobar"));
}

TEST(deadlines_are_ahead_and_saturate)
{
	uint64_t now = upcall_deadline_in(0);

	EXPECT_LE(now + 1000000000u, upcall_deadline_in(1000));
	EXPECT_GT(now + 100000000000u, upcall_deadline_in(1000));
	EXPECT_EQ(UPCALL_NO_DEADLINE, upcall_deadline_in(-1));
	EXPECT_EQ(UPCALL_NO_DEADLINE, upcall_deadline_in(INT64_MAX));
}

TEST(version_is_that_of_the_header)
{
	EXPECT_STREQ(UPCALL_VERSION, upcall_version());
}

TEST(open_tells_what_is_wrong_with_the_device)
{
	struct upcall_peer *peer;

	errno = 7;
	EXPECT_EQ(-ENOENT, upcall_open("/dev/there-is-no-such-device", &peer));
	EXPECT_EQ(-ENOTTY, upcall_open("/dev/null", &peer));
	EXPECT_EQ(-EBADF, upcall_open_fd(-1, &peer));
	EXPECT_EQ(7, errno);
	upcall_close(NULL);
}

TEST_HARNESS_MAIN
