// SPDX-License-Identifier: GPL-2.0-only
/* Registrations of two uids at the same time: the test build holds one where it is counted. */
#include "kselftest_harness.h"
#include "hook.h"
#include "quota.h"

static int register_one(struct puppet_mem *mem)
{
	mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE);
	return do_register(mem);
}

/* How many; the error that was the end of it is in @mem->result. */
static int register_all(struct puppet_mem *mem)
{
	int n = 0;

	while (!(mem->result = register_one(mem)))
		n++;
	return n;
}

/* Its attempt stops at @name. */
static bool held_at(struct puppet *puppet, const char *name)
{
	if (hook_arm(name))
		return false;
	puppet_start(puppet, register_one);
	return hook_is_hit(name);
}

TEST_F(quota, refused_attempt_takes_nothing_from_others_while_it_is_made)
{
	ASSERT_TRUE(write_to(PARAMETERS "max_callbacks", "64"));
	EXPECT_EQ(32, puppet_do(&self->alice, register_all));
	EXPECT_EQ(-EDQUOT, self->alice.mem->result);
	ASSERT_EQ(0, hook_arm("counted"));
	puppet_start(&self->alice, register_one);
	ASSERT_TRUE(eventually(puppet_done(&self->alice) || hook_stopped("counted")));
	if (puppet_done(&self->alice))
		EXPECT_EQ(0, hook_clear());
	EXPECT_EQ(16, puppet_do(&self->bob, register_all));
	EXPECT_EQ(-EDQUOT, self->bob.mem->result);
	EXPECT_EQ(0, hook_clear());
	EXPECT_EQ(-EDQUOT, puppet_wait(&self->alice));
}

TEST_F(quota, one_of_two_uids_gets_the_last_place_of_all)
{
	ASSERT_TRUE(write_to(PARAMETERS "max_callbacks", "2"));
	ASSERT_TRUE(held_at(&self->alice, "counting"));
	EXPECT_EQ(0, puppet_do(&self->bob, register_one));
	EXPECT_EQ(0, hook_resume("counting"));
	EXPECT_EQ(-ENOSPC, puppet_wait(&self->alice));
	EXPECT_TRUE(user_owes_nothing(my_peer, ALICE));
	EXPECT_EQ(1, listed_user(my_peer, BOB, 0).callbacks);
	/* It was not counted: with one place more there is one to be had */
	ASSERT_TRUE(write_to(PARAMETERS "max_callbacks", "3"));
	EXPECT_EQ(0, puppet_do(&self->alice, register_one));
}

TEST_F(quota, one_of_two_processes_gets_the_last_place_of_its_uid)
{
	struct puppet other = puppet_of(ALICE);

	ASSERT_TRUE(write_to(PARAMETERS "max_callbacks_user", "1"));
	ASSERT_TRUE(held_at(&self->alice, "counting"));
	EXPECT_EQ(0, puppet_do(&other, register_one));
	EXPECT_EQ(0, hook_resume("counting"));
	EXPECT_EQ(-EDQUOT, puppet_wait(&self->alice));
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 0).callbacks);
	EXPECT_EQ(1, puppet_do(&self->bob, register_all));
	puppet_kill(&other, SIGKILL);
}

TEST_HARNESS_MAIN
