// SPDX-License-Identifier: GPL-2.0-only
/* Who pays for calls and callbacks, and what nobody can take from the others. */
#include "kselftest_harness.h"
#include <pthread.h>
#include "quota.h"

/* Notifies until it fails: how often it did not. The errno is left in @caller->mem->result. */
static uint32_t flood(struct puppet *caller, uint64_t handle)
{
	uint32_t n = 0;

	while (n < 10000 && !(caller->mem->result = puppet_notify(caller, handle)))
		n++;
	return n;
}

TEST_F(quota, of_one_uid_is_not_anothers)
{
	ASSERT_TRUE(write_to(PARAMETERS "max_queued_calls_user", "4"));
	EXPECT_EQ(4, flood(&self->alice, self->handle));
	EXPECT_EQ(-EDQUOT, self->alice.mem->result);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->alice.mem->inv.stage);
	EXPECT_EQ(4, flood(&self->bob, self->handle));
	EXPECT_EQ(-EDQUOT, self->bob.mem->result);
	/* What is delivered is not alice's any more. */
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(ALICE, self->owner.mem->event.call.uid);
	EXPECT_EQ(0, puppet_reply(&self->owner, 0));
	EXPECT_EQ(1, flood(&self->alice, self->handle));
}

TEST_F(quota, of_a_uid_is_shared_by_its_processes)
{
	struct puppet other = puppet_of(ALICE);

	ASSERT_TRUE(write_to(PARAMETERS "max_queued_calls_user", "4"));
	EXPECT_EQ(0, puppet_notify(&self->alice, self->handle));
	EXPECT_EQ(0, puppet_notify(&self->alice, self->handle));
	EXPECT_EQ(0, puppet_notify(&self->alice, self->handle));
	EXPECT_EQ(1, flood(&other, self->handle));
	EXPECT_EQ(-EDQUOT, other.mem->result);
	EXPECT_EQ(-EDQUOT, puppet_notify(&self->alice, self->handle));
	EXPECT_EQ(4, listed_user(my_peer, ALICE, 0).queued_calls);
	puppet_kill(&other, SIGKILL);
}

/* One of two threads that come at once, as a uid that nobody had before. */
struct twin {
	int fd, *met;
	uid_t uid;
	uint64_t handle;
	pthread_t thread;
};

static void *twin_main(void *arg)
{
	struct twin *twin = arg;
	/* Not the C library's: that one is for all threads. */
	bool other = !syscall(SYS_setresuid, -1, twin->uid, -1);

	meet(twin->met);
	if (other)
		twin->handle = register_new(twin->fd, 0, UPCALL_ACCESS_ANYONE);
	return NULL;
}

TEST_F(quota, of_a_new_uid_is_one_although_two_come_at_once)
{
	struct twin twins[2];
	int i, j, met;

	for (i = 0; i < 100; i++) {
		met = 0;
		for (j = 0; j < 2; j++) {
			twins[j] = (struct twin){ .fd = peer_open(), .met = &met, .uid = 5000 + i };
			ASSERT_EQ(0, stat_of(twins[j].fd, self->handle).owned);	/* bound, as root */
			ASSERT_EQ(0, pthread_create(&twins[j].thread, NULL, twin_main, &twins[j]));
		}
		for (j = 0; j < 2; j++) {
			pthread_join(twins[j].thread, NULL);
			EXPECT_NE(0, twins[j].handle);
		}
		EXPECT_EQ(2, listed_user(my_peer, 5000 + i, 0).callbacks);
		for (j = 0; j < 2; j++)
			close(twins[j].fd);
	}
}

TEST_F(quota, of_bytes_counts_argument_and_reply_room)
{
	ASSERT_TRUE(write_to(PARAMETERS "max_queued_bytes_user", "10000"));
	self->alice.mem->inv = INVOKE_ARGS(self->handle, .arg = ptr64(self->alice.mem->buf),
					   .arg_len = 6000, .reply_max = 4001);
	EXPECT_EQ(-EDQUOT, puppet_do(&self->alice, do_invoke));
	self->alice.mem->inv.reply_max = 4000;
	puppet_start(&self->alice, do_invoke);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(10000, listed_user(my_peer, ALICE, 0).queued_bytes);
	EXPECT_EQ(0, puppet_reply(&self->owner, 0));
	EXPECT_EQ(0, puppet_wait(&self->alice));
	EXPECT_TRUE(user_owes_nothing(my_peer, ALICE));
}

static int release_own(struct puppet_mem *mem)
{
	return release(my_peer, mem->handle, 0);
}

TEST_F(quota, of_callbacks_counts_until_released_was_read)
{
	ASSERT_TRUE(write_to(PARAMETERS "max_callbacks_user", "2"));
	EXPECT_NE(0, puppet_register(&self->alice, UPCALL_ACCESS_ANYONE));
	EXPECT_NE(0, puppet_register(&self->alice, UPCALL_ACCESS_ANYONE));
	self->alice.mem->value = self->alice.mem->handle;
	EXPECT_EQ(-EDQUOT, puppet_do(&self->alice, do_register));
	EXPECT_NE(0, puppet_register(&self->bob, UPCALL_ACCESS_ANYONE));
	self->alice.mem->handle = self->alice.mem->value;
	EXPECT_EQ(0, puppet_do(&self->alice, release_own));
	EXPECT_EQ(-EDQUOT, puppet_do(&self->alice, do_register));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, puppet_do(&self->alice, do_receive));
	EXPECT_EQ(0, puppet_do(&self->alice, do_register));
}

/* In vain, until @mem->value is set: how often it was not. When all places are taken it is ENOSPC. */
static int register_in_vain(struct puppet_mem *mem)
{
	int err, others = 0;

	do {
		err = do_register(mem);
		mem->result++;
		others += err != -EDQUOT && err != -ENOSPC;
	} while (!__atomic_load_n(&mem->value, __ATOMIC_ACQUIRE));
	return others;
}

/* Again and again: how often that failed. */
static int register_and_release(struct puppet_mem *mem)
{
	int i, failed = 0;

	for (i = 0; i < 4000; i++)
		failed += do_register(mem) || release_own(mem) ||
			  do_receive(mem) != UPCALL_EVENT_RELEASED;
	return failed;
}

/* There is one place left, and it is Bob's: Alice has her half, and tries nevertheless. */
TEST_F(quota, attempt_that_is_refused_takes_no_place_for_an_instant)
{
	struct puppet_mem *alice = self->alice.mem, *bob = self->bob.mem;

	ASSERT_TRUE(eventually(callbacks_of_all(my_peer) == 1));
	ASSERT_TRUE(write_to(PARAMETERS "max_callbacks", "4"));
	EXPECT_NE(0, puppet_register(&self->alice, UPCALL_ACCESS_ANYONE));
	EXPECT_NE(0, puppet_register(&self->alice, UPCALL_ACCESS_ANYONE));
	alice->result = alice->value = 0;
	puppet_start(&self->alice, register_in_vain);
	ASSERT_TRUE(eventually(__atomic_load_n(&alice->result, __ATOMIC_ACQUIRE)));
	bob->reg = alice->reg;
	EXPECT_EQ(0, puppet_do(&self->bob, register_and_release));
	__atomic_store_n(&alice->value, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, puppet_wait(&self->alice));
	EXPECT_EQ(2, listed_user(my_peer, ALICE, 0).callbacks);
}

TEST_F(quota, user_namespace_is_charged_to_its_owner_too)
{
	struct puppet inner[2] = { puppet_of(ALICE), puppet_of(ALICE) };
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, puppet_do(&inner[i], enter_user_ns));
		EXPECT_EQ(0, puppet_notify(&inner[i], self->handle));
		EXPECT_NE(0, puppet_register(&inner[i], UPCALL_ACCESS_SAME_USER));
	}
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 1).queued_calls);
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 1).callbacks);
	EXPECT_EQ(2, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(2, listed_user(my_peer, ALICE, 0).callbacks);

	ASSERT_TRUE(write_to(PARAMETERS "max_queued_calls_user", "3"));
	EXPECT_EQ(1, flood(&inner[0], self->handle));
	EXPECT_EQ(-EDQUOT, inner[0].mem->result);
	EXPECT_EQ(-EDQUOT, puppet_notify(&inner[1], self->handle));
	EXPECT_EQ(-EDQUOT, puppet_notify(&self->alice, self->handle));
	EXPECT_EQ(0, puppet_notify(&self->bob, self->handle));
	for (i = 0; i < 2; i++)
		puppet_kill(&inner[i], SIGKILL);
	EXPECT_TRUE(eventually(!listed_user(my_peer, ALICE, 1).callbacks));
}

TEST_F(quota, each_uid_gets_half_of_what_the_others_left_of_a_queue)
{
	struct puppet carol = puppet_of(CAROL);

	EXPECT_EQ(32, flood(&self->alice, self->handle));	/* of 64 */
	EXPECT_EQ(-EAGAIN, self->alice.mem->result);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->alice.mem->inv.stage);
	EXPECT_EQ(16, flood(&self->bob, self->handle));
	EXPECT_EQ(-EAGAIN, self->bob.mem->result);
	EXPECT_EQ(8, flood(&carol, self->handle));
	EXPECT_EQ(-EAGAIN, puppet_notify(&self->alice, self->handle));
	EXPECT_EQ(56, puppet_stat(&self->owner, self->handle).queued);
	EXPECT_EQ(4, self->owner.mem->stat.refused);
	puppet_kill(&carol, SIGKILL);
}

/* What is refused leaves nothing behind: there is room again for either. */
TEST_F(quota, full_queue_of_one_is_eagain_to_others_until_it_is_empty)
{
	int i;

	self->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_queued_calls = 1);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	self->handle = self->owner.mem->handle;
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, puppet_notify(i % 2 ? &self->alice : &self->bob, self->handle));
		EXPECT_EQ(-EAGAIN, puppet_notify(&self->alice, self->handle));
		EXPECT_EQ(-EAGAIN, puppet_notify(&self->bob, self->handle));
		EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
		EXPECT_EQ(0, puppet_reply(&self->owner, 0));
	}
}

#define COMMANDS	12U

/* NOTIFYs of @mem->value bytes each in one EXCHANGE: how many were accepted, the rest EDQUOT. */
static int notify_many(struct puppet_mem *mem)
{
	struct upcall_command commands[COMMANDS] = {};
	struct upcall_exchange args = {
		.size = sizeof(args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.command_size = sizeof(commands[0]), .commands = ptr64(commands),
		.command_count = COMMANDS,
	};
	int accepted = 0, refused = 0;
	uint32_t i;

	for (i = 0; i < COMMANDS; i++) {
		commands[i] = (struct upcall_command){
			.type = UPCALL_COMMAND_NOTIFY, .target = mem->handle,
			.flags = UPCALL_INVOKE_NO_DEADLINE,
			.data = ptr64(mem->buf), .data_len = mem->value,
		};
	}
	if (verb(my_peer, UPCALL_IOC_EXCHANGE, &args))
		return -EPROTO;
	for (i = 0; i < COMMANDS; i++) {
		/* Those behind the first that was refused are refused as well */
		accepted += !commands[i].error && !refused;
		refused += commands[i].error == EDQUOT;
	}
	return accepted + refused == (int)COMMANDS &&
	       refused == (int)args.commands_failed ? accepted : -EPROTO;
}

TEST_F(quota, commands_are_accepted_up_to_the_limit_and_those_behind_them_are_edquot)
{
	ASSERT_TRUE(write_to(PARAMETERS "max_queued_calls_user", "5"));
	self->alice.mem->handle = self->handle;
	self->alice.mem->value = 8;
	EXPECT_EQ(5, puppet_do(&self->alice, notify_many));
	EXPECT_EQ(5, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(5, puppet_stat(&self->owner, self->handle).queued);
	EXPECT_EQ(0, puppet_do(&self->alice, notify_many));
	EXPECT_EQ(5, listed_user(my_peer, ALICE, 0).queued_calls);
}

TEST_F(quota, commands_are_accepted_up_to_the_limit_of_bytes)
{
	ASSERT_TRUE(write_to(PARAMETERS "max_queued_bytes_user", "7000"));
	self->alice.mem->handle = self->handle;
	self->alice.mem->value = 1000;
	EXPECT_EQ(7, puppet_do(&self->alice, notify_many));
	EXPECT_EQ(7, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(7000, listed_user(my_peer, ALICE, 0).queued_bytes);
	self->alice.mem->value = 0;
	EXPECT_EQ((int)COMMANDS, puppet_do(&self->alice, notify_many));
}

TEST_F(quota, user_namespaces_make_no_second_half)
{
	struct puppet inner = puppet_of(ALICE);

	ASSERT_EQ(0, puppet_do(&inner, enter_user_ns));
	EXPECT_EQ(32, flood(&self->alice, self->handle));
	EXPECT_EQ(-EAGAIN, puppet_notify(&inner, self->handle));
	EXPECT_EQ(16, flood(&self->bob, self->handle));
	puppet_kill(&inner, SIGKILL);
}

/* Alice has her half, through a namespace in part: what is refused there takes nothing from it. */
TEST_F(quota, refused_by_the_account_above_nothing_is_dropped_there)
{
	struct puppet inner = puppet_of(ALICE);
	uint64_t handle;
	int i;

	self->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_queued_calls = 8);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	handle = self->owner.mem->handle;
	ASSERT_EQ(0, puppet_do(&inner, enter_user_ns));
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, puppet_notify(&self->alice, handle));
	ASSERT_EQ(0, puppet_notify(&inner, handle));
	for (i = 0; i < 6; i++)
		EXPECT_EQ(-EAGAIN, puppet_notify(&inner, handle));
	EXPECT_EQ(-EAGAIN, puppet_notify(&self->alice, handle));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
		EXPECT_EQ(0, puppet_reply(&self->owner, 0));
	}
	EXPECT_EQ(4, flood(&inner, handle));
	puppet_kill(&inner, SIGKILL);
}

TEST_F(quota, half_goes_for_bytes_as_well)
{
	char *arg = self->alice.mem->buf;

	self->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_arg = 1000,
					     .max_queued_bytes = 4000);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	self->alice.mem->inv = INVOKE_ARGS(self->owner.mem->handle, .arg = ptr64(arg),
					   .arg_len = 1000, .flags = UPCALL_INVOKE_ONEWAY |
					   UPCALL_INVOKE_NO_DEADLINE);
	self->bob.mem->inv = self->alice.mem->inv;
	self->bob.mem->inv.arg = ptr64(self->bob.mem->buf);
	EXPECT_EQ(0, puppet_do(&self->alice, do_invoke));
	EXPECT_EQ(0, puppet_do(&self->alice, do_invoke));
	EXPECT_EQ(-EAGAIN, puppet_do(&self->alice, do_invoke));
	EXPECT_EQ(0, puppet_do(&self->bob, do_invoke));
	EXPECT_EQ(-EAGAIN, puppet_do(&self->bob, do_invoke));
}

TEST_F(quota, notification_is_its_owners_once_delivered)
{
	uint64_t handle = puppet_register(&self->bob, UPCALL_ACCESS_ANYONE);

	self->alice.mem->inv = INVOKE_ARGS(handle, .arg = ptr64(self->alice.mem->buf),
					   .arg_len = 1000, .flags = UPCALL_INVOKE_ONEWAY |
					   UPCALL_INVOKE_NO_DEADLINE);
	EXPECT_EQ(0, puppet_do(&self->alice, do_invoke));
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(1000, listed_user(my_peer, ALICE, 0).queued_bytes);
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_calls);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->bob, do_receive));
	EXPECT_TRUE(user_owes_nothing(my_peer, ALICE));
	EXPECT_EQ(1, listed_user(my_peer, BOB, 0).queued_calls);
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_bytes);	/* they were copied */
	EXPECT_EQ(0, puppet_reply(&self->bob, 0));
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_calls);
}

TEST_F(quota, delivered_call_that_was_given_up_is_its_owners)
{
	uint64_t handle = puppet_register(&self->bob, UPCALL_ACCESS_ANYONE);

	puppet_call_start(&self->alice, handle);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->bob, do_receive));
	EXPECT_EQ(1, listed_user(my_peer, ALICE, 0).queued_calls);
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_calls);
	EXPECT_EQ(SIGKILL, puppet_kill(&self->alice, SIGKILL));
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, ALICE)));
	EXPECT_EQ(1, listed_user(my_peer, BOB, 0).queued_calls);
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_bytes);
	EXPECT_EQ(-ENOENT, puppet_reply(&self->bob, 0));
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_calls);
	self->alice = puppet_new();
}

TEST_HARNESS_MAIN
