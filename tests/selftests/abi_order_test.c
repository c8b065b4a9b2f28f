// SPDX-License-Identifier: GPL-2.0-only
/* NOTIFY, AUTOEND, SERIAL and LATEST: what is delivered when, and what is owed for it. */
#include "abi_call.h"

#define NOTIFY(_handle, ...) COMMAND(NOTIFY, _handle, .flags = UPCALL_INVOKE_NO_DEADLINE, \
				     ##__VA_ARGS__)
#define LATEST(_handle, ...) COMMAND(NOTIFY, _handle, .flags = UPCALL_INVOKE_NO_DEADLINE | \
				     UPCALL_INVOKE_LATEST, ##__VA_ARGS__)

static uint64_t register_with(int fd, uint32_t flags)
{
	struct upcall_register args = REGISTER_ARGS(.flags = flags, .max_queued_calls = 256);

	return verb(fd, UPCALL_IOC_REGISTER, &args) ? 0 : args.handle;
}

static int send_command(int fd, struct upcall_command cmd)
{
	return command(fd, &cmd);
}

TEST_F(pair, notify_has_no_result_and_no_call_id)
{
	struct upcall_command cmd = NOTIFY(self->handle, .data = ptr64("x"), .data_len = 1,
					   .status = 3);
	struct upcall_event_call call;

	ASSERT_EQ(0, command(self->caller, &cmd));
	EXPECT_EQ(0, cmd.call_id);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(UPCALL_CALL_ONEWAY | UPCALL_CALL_NO_DEADLINE,
		  call.flags | UPCALL_CALL_NO_DEADLINE);
	EXPECT_EQ(3, call.op);
	EXPECT_EQ(1, call.payload_len);
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(pair, notify_with_members_of_a_call_is_einval)
{
	EXPECT_EQ(-EINVAL, send_command(self->caller, NOTIFY(NO_HANDLE, .user_data = 1)));
	EXPECT_EQ(-EINVAL, send_command(self->caller, NOTIFY(NO_HANDLE, .reply_max = 1)));
	EXPECT_EQ(-EINVAL, send_command(self->caller, NOTIFY(NO_HANDLE, .reply_fd_max = 1)));
	EXPECT_EQ(-EINVAL, send_command(self->caller, NOTIFY(NO_HANDLE, .parent = 1)));
	EXPECT_EQ(-EINVAL, send_command(self->caller, NOTIFY(NO_HANDLE, .value = 1)));
	EXPECT_EQ(-ESTALE, send_command(self->caller, NOTIFY(NO_HANDLE)));
}

TEST_F(pair, autoend_and_serial_together_are_einval)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_AUTOEND |
						    UPCALL_REGISTER_SERIAL);

	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_REGISTER, &args));
}

TEST_F(pair, autoend_ends_notifications_and_no_calls)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_AUTOEND), id;
	struct upcall_event_result result;
	struct upcall_event_call call;
	union any_event event;

	ASSERT_EQ(0, send_command(self->caller, NOTIFY(handle)));
	id = call_id_of(self->caller, handle, 0);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_TRUE(call.flags & UPCALL_CALL_ENDED);
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_FALSE(call.flags & UPCALL_CALL_ENDED);
	EXPECT_EQ(1, stat_of(self->owner, handle).running);
	ASSERT_EQ(0, release(self->owner, handle, 0));
	EXPECT_TRUE(no_event(self->owner));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, result_of(self->caller, id, &result));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
}

TEST_F(pair, autoend_that_faults_on_the_way_out_is_received_again)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_AUTOEND);
	struct upcall_event_call call;
	char *page = pages_alloc(1);

	ASSERT_EQ(0, send_command(self->caller, NOTIFY(handle)));
	ASSERT_EQ(0, page_allow(page, PROT_READ));
	EXPECT_EQ(-EFAULT, receive(self->owner, page, PAGE, 1, 0, NULL));
	EXPECT_EQ(1, stat_of(self->owner, handle).queued);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_TRUE(call.flags & UPCALL_CALL_ENDED);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, serial_gives_out_one_call_although_there_is_room_for_more)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_SERIAL);
	struct upcall_exchange out;
	char events[4096] __attribute__((aligned(8)));
	union any_event event;
	uint64_t seq = 0;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, send_command(self->caller, NOTIFY(handle)));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, receive(self->owner, events, sizeof(events), 16, 0, &out));
		ASSERT_EQ(1, out.event_count);
		memcpy(&event, events, sizeof(event.call));
		EXPECT_LT(seq, event.call.seq);
		seq = event.call.seq;
		EXPECT_TRUE(no_event(self->owner));
		ASSERT_EQ(0, reply(self->owner, event.call.call, 0, NULL, 0));
	}
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, serial_callbacks_do_not_wait_for_each_other)
{
	uint64_t first = register_with(self->owner, UPCALL_REGISTER_SERIAL);
	uint64_t second = register_with(self->owner, UPCALL_REGISTER_SERIAL);
	union any_event event;

	ASSERT_EQ(0, send_command(self->caller, NOTIFY(first)));
	ASSERT_EQ(0, send_command(self->caller, NOTIFY(first)));
	ASSERT_EQ(0, send_command(self->caller, NOTIFY(second)));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(first, event.event.handle);
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(second, event.event.handle);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, serial_goes_by_the_owners_end_and_not_by_the_callers)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_SERIAL);
	uint64_t id = call_id_of(self->caller, handle, 0);
	struct upcall_event_call first, second;
	union any_event event;

	ASSERT_EQ(0, one_call(self->owner, &first));
	ASSERT_EQ(0, send_command(self->caller, NOTIFY(handle)));
	ASSERT_EQ(0, cancel(self->caller, id));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(-ENOENT, refuse(self->owner, first.call, EIO));
	EXPECT_EQ(0, one_call(self->owner, &second));
}

TEST_F(pair, serial_call_that_faults_on_the_way_out_stays_the_first)
{
	uint64_t handle = register_with(self->owner, UPCALL_REGISTER_SERIAL);
	struct upcall_event_call call;
	char *page = pages_alloc(1);

	ASSERT_EQ(0, send_command(self->caller, NOTIFY(handle, .status = 1)));
	ASSERT_EQ(0, send_command(self->caller, NOTIFY(handle, .status = 2)));
	ASSERT_EQ(0, page_allow(page, PROT_READ));
	EXPECT_EQ(-EFAULT, receive(self->owner, page, PAGE, 2, 0, NULL));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(1, call.op);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, latest_replaces_bytes_and_keeps_the_place)
{
	int other = peer_open();
	union any_event event;

	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle, .data = ptr64("old"),
						       .data_len = 3)));
	ASSERT_EQ(0, notify(other, self->handle, "o", 1));
	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle, .data = ptr64("newer"),
						       .data_len = 5)));
	EXPECT_EQ(2, stat_of(self->owner, self->handle).queued);
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(UPCALL_CALL_LATEST, event.call.flags & UPCALL_CALL_LATEST);
	EXPECT_EQ(1, event.call.dropped);
	EXPECT_EQ(5, event.call.payload_len);
	EXPECT_EQ(0, memcmp(event.bytes + event.call.payload_offset, "newer", 5));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(0, event.call.flags & UPCALL_CALL_LATEST);
	EXPECT_EQ(0, event.call.dropped);
	EXPECT_TRUE(no_event(self->owner));
	close(other);
}

TEST_F(pair, latest_replaces_neither_another_op_nor_what_has_a_newer_call_behind_it)
{
	struct upcall_event_call call;
	int i;

	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle, .status = 1)));
	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle, .status = 2)));
	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle, .status = 1)));
	ASSERT_EQ(0, send_command(self->caller, NOTIFY(self->handle, .status = 1)));
	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle, .status = 1)));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(0, call.dropped);
		EXPECT_EQ(i == 1 ? 2 : 1, call.op);
	}
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, latest_replaces_nothing_that_was_delivered_or_is_anothers)
{
	struct upcall_event_call call;
	int other = peer_open();

	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, send_command(self->caller, LATEST(self->handle)));
	ASSERT_EQ(0, send_command(other, LATEST(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, call.dropped);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, call.dropped);
	close(other);
}

TEST_F(pair, latest_looks_no_further_back_than_64_calls)
{
	uint64_t handle = register_with(self->owner, 0);
	int other = peer_open(), i;

	ASSERT_EQ(0, send_command(self->caller, LATEST(handle)));
	for (i = 1; i < UPCALL_LATEST_REACH; i++)
		ASSERT_EQ(0, notify(other, handle, NULL, 0));
	ASSERT_EQ(0, send_command(self->caller, LATEST(handle)));
	EXPECT_EQ(UPCALL_LATEST_REACH, stat_of(self->owner, handle).queued);
	ASSERT_EQ(0, notify(other, handle, NULL, 0));
	ASSERT_EQ(0, send_command(self->caller, LATEST(handle)));
	EXPECT_EQ(UPCALL_LATEST_REACH + 2, stat_of(self->owner, handle).queued);
	close(other);
}

TEST_HARNESS_MAIN
