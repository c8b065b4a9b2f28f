// SPDX-License-Identifier: GPL-2.0-only
/* UNREFERENCED and AUTO_RELEASE: what an owner hears of its stubs. */
#include "abi_test.h"
#include "fds.h"
#include "stub.h"

FIXTURE(counted) {
	int owner;
	uint64_t handle;
	int stub;
};

FIXTURE_VARIANT(counted) {
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(counted, unreferenced) { .flags = UPCALL_REGISTER_UNREFERENCED };
FIXTURE_VARIANT_ADD(counted, auto_release) { .flags = UPCALL_REGISTER_AUTO_RELEASE };

FIXTURE_SETUP(counted)
{
	struct upcall_register args = REGISTER_ARGS(.flags = variant->flags, .cookie = COOKIE);

	self->owner = peer_open();
	ASSERT_LE(0, self->owner);
	ASSERT_TRUE(alone(self->owner));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	self->handle = args.handle;
	self->stub = export_stub(self->owner, self->handle);
	ASSERT_LE(0, self->stub);
}

FIXTURE_TEARDOWN(counted)
{
	close(self->owner);
	close(self->stub);
}

#define THE_EVENT(variant) ((variant)->flags == UPCALL_REGISTER_UNREFERENCED ? \
			    UPCALL_EVENT_UNREFERENCED : UPCALL_EVENT_RELEASED)

TEST_F(counted, last_close_is_told_once)
{
	int other = export_stub(self->owner, self->handle), copy = dup(self->stub);
	union any_event event;

	ASSERT_LE(0, other);
	close(self->stub);
	EXPECT_TRUE(no_event(self->owner));
	close(other);
	EXPECT_TRUE(no_event(self->owner));	/* a duplicate is the same open file */
	close(copy);
	ASSERT_EQ(THE_EVENT(variant), one_event(self->owner, &event));
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_EQ(COOKIE, event.event.cookie);
	EXPECT_EQ(sizeof(event.event), event.event.size);
	EXPECT_TRUE(no_event(self->owner));
	self->stub = -1;
}

TEST_F(counted, callback_without_a_stub_hears_nothing)
{
	struct upcall_register args = REGISTER_ARGS(.flags = variant->flags);

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, args.handle).state);
}

TEST_F(counted, stub_that_rides_in_a_call_is_open)
{
	struct upcall_register args = REGISTER_FDS_ARGS();
	struct upcall_event_call call;
	int other = peer_open();

	ASSERT_EQ(0, verb(other, UPCALL_IOC_REGISTER, &args));
	ASSERT_EQ(0, send_fds(self->owner, args.handle, &self->stub, 1));
	close(self->stub);
	self->stub = -1;
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).stubs);
	ASSERT_EQ(0, next_call(other, &call));
	EXPECT_EQ(1, call.fd_count);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, reply(other, call.call, 0, NULL, 0));
	close(other);
}

TEST_F(counted, stub_in_a_call_that_dies_is_closed)
{
	struct upcall_register args = REGISTER_FDS_ARGS();
	int other = peer_open();
	union any_event event;

	ASSERT_EQ(0, verb(other, UPCALL_IOC_REGISTER, &args));
	ASSERT_EQ(0, send_fds(self->owner, args.handle, &self->stub, 1));
	close(self->stub);
	self->stub = -1;
	close(other);
	ASSERT_EQ(THE_EVENT(variant), next_event(self->owner, &event));
}

TEST_F(counted, stub_of_a_callback_in_a_call_to_itself_dies_with_its_owner)
{
	struct upcall_register args = REGISTER_FDS_ARGS();
	int probe = peer_open(), stub;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	stub = export_stub(self->owner, args.handle);
	ASSERT_EQ(0, send_fds(self->owner, args.handle, &stub, 1));
	close(stub);
	close(self->owner);
	self->owner = -1;
	EXPECT_TRUE(eventually(usage(probe).callbacks == 0 && usage(probe).fds == 0));
	close(probe);
}

TEST_F(counted, release_takes_what_waits_back)
{
	union any_event event;

	if (variant->flags == UPCALL_REGISTER_AUTO_RELEASE) {
		close(self->stub);
		EXPECT_EQ(-ESTALE, release(self->owner, self->handle, 0));
		self->stub = -1;
		return;
	}
	close(self->stub);
	self->stub = -1;
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, unreferenced_is_withdrawn_by_a_new_stub_and_armed_again)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_UNREFERENCED);
	union any_event event;
	int round, stub;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	for (round = 0; round < 3; round++) {
		stub = export_stub(self->owner, args.handle);
		close(stub);
		EXPECT_NE(0, poll_now(self->owner) & POLLIN);
		stub = export_stub(self->owner, args.handle);
		EXPECT_TRUE(no_event(self->owner));
		close(stub);
		ASSERT_EQ(UPCALL_EVENT_UNREFERENCED, one_event(self->owner, &event));
		EXPECT_EQ(args.handle, event.event.handle);
		EXPECT_TRUE(no_event(self->owner));
	}
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, args.handle).state);
}

TEST_F(pair, unreferenced_that_could_not_be_written_waits)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_UNREFERENCED);
	union any_event event;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	close(export_stub(self->owner, args.handle));
	EXPECT_EQ(-EFAULT, receive(self->owner, (void *)8, sizeof(event), 1, 0, NULL));
	ASSERT_EQ(UPCALL_EVENT_UNREFERENCED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, auto_release_lets_what_runs_finish)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_AUTO_RELEASE);
	struct upcall_event_call call;
	union any_event event;
	struct async async;
	int stub;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	stub = export_stub(self->owner, args.handle);
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(args.handle)));
	ASSERT_EQ(0, next_call(self->owner, &call));
	close(stub);
	EXPECT_EQ(UPCALL_STATE_CLOSING, stat_of(self->owner, args.handle).state);
	EXPECT_EQ(UPCALL_REASON_RELEASED, stat_of(self->owner, args.handle).reason);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, next_event(self->owner, &event));
}

TEST_HARNESS_MAIN
