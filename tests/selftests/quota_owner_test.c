// SPDX-License-Identifier: GPL-2.0-only
/* Owners who receive and end nothing: that has an end, too. */
#include "kselftest_harness.h"
#include "quota.h"

/* Bob calls, Alice takes and never ends: what two do together has an end, too. */
TEST_F(quota, owner_who_ends_nothing_is_edquot_at_twice_the_limit)
{
	uint64_t handle = puppet_register(&self->alice, UPCALL_ACCESS_ANYONE);
	uint32_t taken = 0;
	int type;

	ASSERT_TRUE(write_to(PARAMETERS "max_queued_calls_user", "4"));
	for (type = UPCALL_EVENT_CALL; type == UPCALL_EVENT_CALL && taken < 20; taken++) {
		ASSERT_EQ(0, puppet_notify(&self->bob, handle));
		type = puppet_do(&self->alice, do_receive);
	}
	EXPECT_EQ(-EDQUOT, type);
	EXPECT_EQ(9, taken);
	EXPECT_EQ(8, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(0, puppet_reply(&self->alice, 0));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_receive));
}

/* The same with the bytes that stay for a successor's run. */
TEST_F(quota, owner_who_keeps_bytes_is_edquot_at_twice_their_limit)
{
	int taken, type = UPCALL_EVENT_CALL;

	ASSERT_TRUE(write_to(PARAMETERS "max_queued_bytes_user", "100000"));
	self->alice.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE,
					     .flags = UPCALL_REGISTER_IDEMPOTENT);
	ASSERT_EQ(0, puppet_do(&self->alice, do_register));
	self->bob.mem->inv = INVOKE_ARGS(self->alice.mem->handle, .arg = ptr64(self->bob.mem->buf),
					 .arg_len = 40000, .flags = UPCALL_INVOKE_ONEWAY |
					 UPCALL_INVOKE_NO_DEADLINE);
	for (taken = 0; type == UPCALL_EVENT_CALL && taken < 20; taken++) {
		ASSERT_EQ(0, puppet_do(&self->bob, do_invoke));
		type = puppet_do(&self->alice, do_receive);
	}
	EXPECT_EQ(-EDQUOT, type);
	EXPECT_EQ(6, taken);
	EXPECT_EQ(200000, listed_user(my_peer, ALICE, 0).queued_bytes);
	EXPECT_EQ(0, puppet_reply(&self->alice, 0));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_receive));
}

/* A CALL to @mem->inv.target within @mem->inv.parent; leaves its id. */
static int do_call(struct puppet_mem *mem)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .flags = UPCALL_INVOKE_NO_DEADLINE,
		.target = mem->inv.target, .parent = mem->inv.parent,
	};
	int err = command(my_peer, &cmd);

	mem->inv.call_id = cmd.call_id;
	return err;
}

/* Waits for that CALL: the type of what comes, a nested call or its RESULT. */
static int do_wait_call(struct puppet_mem *mem)
{
	int err;

	mem->exch = (struct upcall_exchange){
		.size = sizeof(mem->exch), .deadline_ns = in_ms(SOON_MS),
		.events = ptr64(&mem->event), .events_len = sizeof(mem->event),
		.max_calls = 1, .wait_call = mem->inv.call_id,
	};
	err = verb(my_peer, UPCALL_IOC_EXCHANGE, &mem->exch);
	return err ? err : (int)mem->event.event.type;
}

/*
 * Alice has called the owner, and owes the end of so many of Bob's calls that she gets no more of
 * them; then the owner calls her back. The last event of hers is one of those.
 */
static bool swamped_alice_is_called_back(FIXTURE_DATA(quota) *self)
{
	uint64_t handle = puppet_register(&self->alice, UPCALL_ACCESS_ANYONE);
	uint32_t taken;

	if (!write_to(PARAMETERS "max_queued_calls_user", "4"))
		return false;
	self->alice.mem->inv.target = self->handle;
	if (puppet_do(&self->alice, do_call) ||
	    puppet_do(&self->owner, do_receive) != UPCALL_EVENT_CALL)
		return false;
	for (taken = 0; taken < 7; taken++) {
		if (puppet_notify(&self->bob, handle) ||
		    puppet_do(&self->alice, do_receive) != UPCALL_EVENT_CALL)
			return false;
	}
	self->owner.mem->inv.target = handle;
	self->owner.mem->inv.parent = self->owner.mem->event.call.call;
	return listed_user(my_peer, ALICE, 0).queued_calls == 8 &&
	       !puppet_do(&self->owner, do_call);
}

TEST_F(quota, owner_at_twice_the_limit_is_edquot_in_its_own_chain_until_it_has_ended_one)
{
	ASSERT_TRUE(swamped_alice_is_called_back(self));
	EXPECT_EQ(-EDQUOT, puppet_do(&self->alice, do_wait_call));
	EXPECT_EQ(0, puppet_reply(&self->alice, 0));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_wait_call));
	EXPECT_EQ(self->owner.pid, (pid_t)self->alice.mem->event.call.pid);
	EXPECT_EQ(2, self->alice.mem->event.call.depth);
}

TEST_F(quota, owner_at_twice_the_limit_gets_the_result_that_it_waits_for)
{
	ASSERT_TRUE(swamped_alice_is_called_back(self));
	ASSERT_EQ(0, puppet_reply(&self->owner, 3));
	EXPECT_EQ(UPCALL_EVENT_RESULT, puppet_do(&self->alice, do_wait_call));
	EXPECT_EQ(0, self->alice.mem->event.result.error);
	EXPECT_EQ(3, self->alice.mem->event.result.status);
}

TEST_HARNESS_MAIN
