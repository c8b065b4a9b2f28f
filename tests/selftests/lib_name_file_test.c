// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names and the text of the files that publish them: no module needed.
 */
#include <string.h>
#include "kselftest_harness.h"
#include "../../user/lib/internal.h"

static const struct upcall_name_record sample = {
	.handle = UPCALL_MAX_HANDLE,
	.instance = 0xfedcba9876543210u,
	.signature = 5,
	.uid = 1000,
	.pid = 4321,
	.label = "sixteen bytes ok",
};

TEST(names_are_1_to_64_plain_characters)
{
	char longest[UPCALL_NAME_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	longest[UPCALL_NAME_MAX] = 0;
	EXPECT_TRUE(upcall_name_valid(longest));
	EXPECT_TRUE(upcall_name_valid("a"));
	EXPECT_TRUE(upcall_name_valid("org.example_App-2"));
	EXPECT_TRUE(upcall_name_valid("-"));
	longest[UPCALL_NAME_MAX] = 'x';
	longest[UPCALL_NAME_MAX + 1] = 0;
	EXPECT_FALSE(upcall_name_valid(longest));
}

TEST(names_that_could_leave_the_folder_or_hide_are_refused)
{
	static const char *const bad[] = {
		"", ".", "..", ".hidden", "a/b", "/a", "a b", "a\n", "\xc3\xa4", "a*", "a:b",
	};

	EXPECT_FALSE(upcall_name_valid(NULL));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_FALSE(upcall_name_valid(bad[i]));
}

TEST(what_is_written_reads_the_same)
{
	struct upcall_name_record record;
	char text[UPCALL_NAME_TEXT_MAX];

	ASSERT_LT(0, upcall_name_format(&sample, text, sizeof(text)));
	ASSERT_EQ(0, upcall_name_parse(text, &record));
	EXPECT_EQ(sample.handle, record.handle);
	EXPECT_EQ(sample.instance, record.instance);
	EXPECT_EQ(sample.signature, record.signature);
	EXPECT_EQ(sample.uid, record.uid);
	EXPECT_EQ(sample.pid, record.pid);
	EXPECT_STREQ(sample.label, record.label);
}

TEST(label_cannot_forge_a_line)
{
	struct upcall_name_record record = sample;
	char text[UPCALL_NAME_TEXT_MAX];

	strcpy(record.label, "a\nhandle=7\n");
	ASSERT_LT(0, upcall_name_format(&record, text, sizeof(text)));
	ASSERT_EQ(0, upcall_name_parse(text, &record));
	EXPECT_EQ(sample.handle, record.handle);
	EXPECT_STREQ("a?handle=7?", record.label);
}

TEST(text_that_does_not_fit_is_emsgsize)
{
	char text[20];

	EXPECT_EQ(-EMSGSIZE, upcall_name_format(&sample, text, sizeof(text)));
}

TEST(unknown_keys_are_passed_over)
{
	struct upcall_name_record record;

	ASSERT_EQ(0, upcall_name_parse("upcall=1\nhandle=1\ncolour=blue\ninstance=a\n", &record));
	EXPECT_EQ(1, record.handle);
	EXPECT_EQ(10, record.instance);
}

TEST(anything_else_is_eproto)
{
	static const char *const bad[] = {
		"",
		"upcall=2\nhandle=1\ninstance=1\n",		/* a newer format */
		"handle=1\ninstance=1\nupcall=1\n",
		"upcall=1\nhandle=1\n",				/* no instance */
		"upcall=1\ninstance=1\n",
		"upcall=1\nhandle=0\ninstance=1\n",
		"upcall=1\nhandle=9007199254740992\ninstance=1\n",	/* 2^53 */
		"upcall=1\nhandle=18446744073709551617\ninstance=1\n",	/* 2^64 + 1 */
		"upcall=1\nhandle=-1\ninstance=1\n",
		"upcall=1\nhandle= 1\ninstance=1\n",
		"upcall=1\nhandle=1x\ninstance=1\n",
		"upcall=1\nhandle=1\ninstance=1",		/* cut short */
		"upcall=1\nhandle=1\ninstance=\n",
		"upcall=1\nhandle=1\ninstance=1\nuid=4294967296\n",
		"upcall=1\nhandle=1\ninstance=1\nno value\n",
		"upcall=1\nno value\nhandle=1\ninstance=1\n",
	};
	struct upcall_name_record record;
	char huge[2 * UPCALL_NAME_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EPROTO, upcall_name_parse(bad[i], &record)) {
			TH_LOG("%s", bad[i]);
		}
	}
	memset(huge, 'x', sizeof(huge));
	memcpy(huge, "upcall=1\n", 9);
	huge[sizeof(huge) - 1] = 0;
	EXPECT_EQ(-EPROTO, upcall_name_parse(huge, &record));
}

TEST_HARNESS_MAIN
