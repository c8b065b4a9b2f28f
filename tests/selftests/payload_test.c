// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory that an argument is in goes to its caller's next call: none sees another one's bytes,
 * whoever leaves when.
 */
#include "abi_test.h"
#include "stall.h"

#define LEN	2000U

/* An event, and the argument behind it. */
union arrived {
	struct upcall_event_call call;
	char bytes[sizeof(struct upcall_event_call) + 2 * 65536];
};

FIXTURE(payload) {
	int owner;
	int caller;
	uint64_t handle;
};

FIXTURE_SETUP(payload)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(payload)
{
	close(self->owner);
	close(self->caller);
}

/* Of @len bytes, each of them @byte. */
static struct upcall_invoke call_with(uint64_t handle, char byte, uint32_t len)
{
	return INVOKE_ARGS(handle, .arg = ptr64(memset(malloc(len), byte, len)), .arg_len = len);
}

static bool holds(const struct upcall_event_call *call, char byte, uint32_t len)
{
	const char *bytes = (const char *)call + call->payload_offset;

	if (call->payload_len != len)
		return false;
	while (len && bytes[len - 1] == byte)
		len--;
	return !len;
}

static const struct upcall_event_call *last_event(const union arrived *arrived, uint32_t used)
{
	const struct upcall_event *event = &arrived->call.event;
	uint32_t at = 0;

	while (at + event->size < used) {
		at += event->size;
		event = (const void *)(arrived->bytes + at);
	}
	return (const void *)event;
}

static bool arrives(int fd, union arrived *arrived, char byte, uint32_t len)
{
	return !receive(fd, arrived, sizeof(*arrived), 1, 0, NULL) &&
	       holds(&arrived->call, byte, len);
}

TEST_F(payload, arguments_of_changing_lengths_arrive_whole)
{
	static const uint32_t lengths[] = {
		129, 65536, 200, 4097, 8, 65537, 4096, 4096, 128, 129, 0, 65536, 65535, 32769, 1,
	};
	static union arrived arrived;
	struct async async;

	for (size_t i = 0; i < 2 * LENGTH(lengths); i++) {
		uint32_t len = lengths[i % LENGTH(lengths)];

		ASSERT_EQ(0, async_start(&async, self->caller,
					 call_with(self->handle, 'a' + i % 26, len)));
		ASSERT_TRUE(arrives(self->owner, &arrived, 'a' + i % 26, len));
		ASSERT_EQ(0, reply(self->owner, arrived.call.call, 0, NULL, 0));
		ASSERT_EQ(0, async_join(&async));
	}
}

TEST_F(payload, two_threads_of_a_peer_have_one_argument_each)
{
	static union arrived arrived[2];
	struct async a, b;

	for (int round = 0; round < 10; round++) {
		ASSERT_EQ(0, async_start(&a, self->caller, call_with(self->handle, 'a', LEN)));
		ASSERT_TRUE(arrives(self->owner, &arrived[0], 'a', LEN));
		ASSERT_EQ(0, async_start(&b, self->caller, call_with(self->handle, 'b', LEN)));
		ASSERT_TRUE(arrives(self->owner, &arrived[1], 'b', LEN));
		ASSERT_EQ(0, reply(self->owner, arrived[0].call.call, 0, NULL, 0));
		ASSERT_EQ(0, reply(self->owner, arrived[1].call.call, 0, NULL, 0));
		ASSERT_EQ(0, async_join(&a));
		ASSERT_EQ(0, async_join(&b));
	}
}

/* Its bytes are being written to a receiver that is held up. */
TEST_F(payload, argument_is_whole_though_its_caller_has_left_and_called_again)
{
	static union arrived arrived;
	struct upcall_invoke leaves = call_with(self->handle, 'b', LEN);
	const struct upcall_event_call *call;
	struct stalled_receiver receiver;
	struct upcall_exchange events;
	struct async async;
	struct stall out = { .uffd = -1 };

	if (stall_make(&out, true))
		SKIP(return, "no userfaultfd here that holds the kernel up");
	ASSERT_EQ(0, async_start(&async, self->caller, call_with(self->handle, 'a', LEN)));
	ASSERT_TRUE(arrives(self->owner, &arrived, 'a', LEN));
	ASSERT_EQ(0, reply(self->owner, arrived.call.call, 0, NULL, 0));
	ASSERT_EQ(0, async_join(&async));

	ASSERT_EQ(0, async_start(&async, self->caller, leaves));
	ASSERT_TRUE(stalled_receive(&receiver, self->owner, &out, 1));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	ASSERT_EQ(-ECANCELED, async_join(&async));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(0, async_start(&async, self->caller, call_with(self->handle, 'c', LEN)));
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).queued == 1));
	ASSERT_EQ(0, stall_end(&out, NULL));
	ASSERT_EQ(0, stalled_join(&receiver));
	EXPECT_TRUE(holds((void *)out.page, 'b', LEN));
	ASSERT_EQ(0, receive(self->owner, &arrived, sizeof(arrived), 1, 0, &events));
	call = last_event(&arrived, events.events_used);	/* behind CANCEL and RELEASED */
	ASSERT_EQ(UPCALL_EVENT_CALL, call->event.type);
	EXPECT_TRUE(holds(call, 'c', LEN));
	EXPECT_EQ(0, reply(self->owner, call->call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_F(payload, argument_of_a_call_that_was_left_is_given_back)
{
	static union arrived arrived;
	union any_event event;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, call_with(self->handle, 'a', LEN)));
	ASSERT_TRUE(arrives(self->owner, &arrived, 'a', LEN));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	ASSERT_EQ(-ECANCELED, async_join(&async));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(-ENOENT, reply(self->owner, arrived.call.call, 0, NULL, 0));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
	EXPECT_EQ(0, usage(self->owner).queued_bytes);
}

TEST_HARNESS_MAIN
