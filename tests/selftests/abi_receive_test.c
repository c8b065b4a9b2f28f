// SPDX-License-Identifier: GPL-2.0-only
/* EXCHANGE: events out. How many, in which order, where they are put; and how a wait ends. */
#include "abi_test.h"

static char buf[300 * 1024] __attribute__((aligned(8)));

TEST_F(pair, nonblock_is_eagain_when_there_is_nothing)
{
	struct upcall_exchange out;

	EXPECT_EQ(-EAGAIN, receive(self->owner, buf, sizeof(buf), 1,
				   UPCALL_EXCHANGE_NONBLOCK, &out));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(0, receive(self->owner, buf, sizeof(buf), 1, UPCALL_EXCHANGE_NONBLOCK, &out));
	EXPECT_EQ(1, out.event_count);
}

TEST_F(pair, deadline_is_etimedout_and_what_there_is_goes_before_it)
{
	struct upcall_exchange args = EXCHANGE_ARGS(.flags = 0, .events = ptr64(buf),
		.events_len = sizeof(buf), .max_calls = 1);

	args.deadline_ns = in_ms(20);
	EXPECT_EQ(-ETIMEDOUT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_LE(args.deadline_ns, now_ns());
	EXPECT_EQ(-ETIMEDOUT, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(1, args.event_count);
}

TEST_F(pair, batch_is_laid_out_as_the_header_says)
{
	static const uint32_t lens[] = { 0, 1, 7, 8, 9, 127, 128, 129, 1000, 5000 };
	struct upcall_event_call *call;
	struct upcall_exchange out;
	char arg[5000];
	uint32_t at = 0;
	size_t i;

	for (i = 0; i < LENGTH(lens); i++) {
		fill(arg, lens[i], i);
		ASSERT_EQ(0, notify(self->caller, self->handle, arg, lens[i]));
	}
	memset(buf, POISON, sizeof(buf));
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), 100, 0, &out));
	ASSERT_EQ(LENGTH(lens), out.event_count);
	for (i = 0; i < LENGTH(lens); i++, at += call->event.size) {
		call = (struct upcall_event_call *)(buf + at);
		EXPECT_EQ(UPCALL_EVENT_CALL, call->event.type);
		EXPECT_EQ(0, call->event.size % 8);
		EXPECT_EQ(lens[i], call->payload_len);
		EXPECT_LE(call->payload_offset + call->payload_len, call->event.size);
		EXPECT_LE(sizeof(*call), call->payload_offset);
		EXPECT_EQ(0, call->payload_offset % 8);
		EXPECT_TRUE(filled((char *)call + call->payload_offset, lens[i], i));
		/* padding is the receiver's own */
		EXPECT_TRUE(all_bytes((char *)call + call->payload_offset + lens[i],
				      call->event.size - call->payload_offset - lens[i],
				      POISON));
	}
	EXPECT_EQ(at, out.events_used);
	EXPECT_TRUE(all_bytes(buf + at, sizeof(buf) - at, POISON));
}

TEST_F(pair, max_calls_0_gets_no_calls_but_other_events)
{
	uint64_t second = register_new(self->owner, 5, UPCALL_ACCESS_SAME_USER);
	struct upcall_exchange out;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(-EAGAIN, receive(self->owner, buf, sizeof(buf), 0, UPCALL_EXCHANGE_NONBLOCK,
				   NULL));
	ASSERT_EQ(0, release(self->owner, second, 0));
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), 0, 0, &out));
	EXPECT_EQ(1, out.event_count);
	EXPECT_EQ(UPCALL_EVENT_RELEASED, ((struct upcall_event *)buf)->type);
	EXPECT_EQ(24, out.events_used);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
}

TEST_F(pair, max_calls_n_gets_n_calls)
{
	struct upcall_exchange out;
	int i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), 3, 0, &out));
	EXPECT_EQ(3, out.event_count);
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), 1, 0, &out));
	EXPECT_EQ(1, out.event_count);
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), ~0U, 0, &out));
	EXPECT_EQ(6, out.event_count);
	EXPECT_EQ(10, stat_of(self->owner, self->handle).delivered);
}

TEST_F(pair, no_more_than_256_events_come_at_once)
{
	struct upcall_register reg = REGISTER_ARGS(.max_queued_calls = 4096);
	struct upcall_exchange out;
	int i;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	for (i = 0; i < UPCALL_MAX_EVENTS + 44; i++)
		ASSERT_EQ(0, notify(self->caller, reg.handle, NULL, 0));
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), ~0U, 0, &out));
	EXPECT_EQ(UPCALL_MAX_EVENTS, out.event_count);
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), ~0U, 0, &out));
	EXPECT_EQ(44, out.event_count);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(pair, event_larger_than_the_buffer_is_emsgsize_and_stays)
{
	uint32_t size = sizeof(struct upcall_event_call) + 104;
	struct upcall_exchange out;
	char arg[100] = { 0 };

	ASSERT_EQ(0, notify(self->caller, self->handle, arg, sizeof(arg)));
	memset(buf, POISON, PAGE);
	ASSERT_EQ(-EMSGSIZE, receive(self->owner, buf, size - 8, 1, 0, &out));
	EXPECT_EQ(size, out.needed);
	EXPECT_EQ(0, out.event_count);
	EXPECT_EQ(0, out.events_used);
	EXPECT_TRUE(all_bytes(buf, PAGE, POISON));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
	ASSERT_EQ(-EMSGSIZE, receive(self->owner, buf, 1, 1, 0, &out));
	EXPECT_EQ(size, out.needed);
	ASSERT_EQ(0, receive(self->owner, buf, size, 1, 0, &out));
	EXPECT_EQ(0, out.needed);
	EXPECT_EQ(1, out.event_count);
	EXPECT_EQ(size, out.events_used);
}

TEST_F(pair, large_event_behind_small_ones_waits_for_the_next_call)
{
	struct upcall_exchange out;
	char arg[1000] = { 0 };
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, notify(self->caller, self->handle, arg, i == 2 ? 1000 : 8));
	ASSERT_EQ(0, receive(self->owner, buf, 600, 10, 0, &out));
	EXPECT_EQ(2, out.event_count);
	EXPECT_EQ(0, out.needed);
	EXPECT_EQ(-EMSGSIZE, receive(self->owner, buf, 600, 10, 0, &out));
	EXPECT_EQ(0, receive(self->owner, buf, 2000, 10, 0, &out));
	EXPECT_EQ(1, out.event_count);
}

TEST_F(pair, events_must_be_aligned_to_8)
{
	int i;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	for (i = 1; i < 8; i++)
		EXPECT_EQ(-EINVAL, receive(self->owner, buf + i, PAGE, 1, 0, NULL));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
	EXPECT_EQ(0, receive(self->owner, buf + 8, PAGE, 1, 0, NULL));
}

TEST_F(pair, many_calls_are_answered_by_one_exchange)
{
	static struct upcall_command cmds[50];
	struct upcall_exchange out, args = EXCHANGE_ARGS(.commands = ptr64(cmds),
		.command_count = 50, .events = ptr64(buf), .events_len = sizeof(buf),
		.max_calls = 100, .flags = UPCALL_EXCHANGE_NONBLOCK);
	struct upcall_register reg = REGISTER_ARGS(.max_queued_calls = 1000);
	uint32_t at = 0;
	int i;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, notify(self->caller, reg.handle, NULL, 0));
	ASSERT_EQ(0, receive(self->owner, buf, sizeof(buf), 50, 0, &out));
	ASSERT_EQ(50, out.event_count);
	for (i = 0; i < 50; i++, at += ((struct upcall_event *)(buf + at))->size)
		cmds[i] = COMMAND(REPLY, ((struct upcall_event_call *)(buf + at))->call);
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(0, args.commands_failed);
	EXPECT_EQ(50, args.event_count);
	EXPECT_EQ(50, stat_of(self->owner, reg.handle).running);
}

/* A receiver that waits in a thread. */
struct receiver {
	int fd, err;
	uint32_t max_calls, flags;
	struct upcall_exchange out;
	union any_event event;
	pthread_t thread;
};

static void *receiver_main(void *arg)
{
	struct receiver *r = arg;

	r->err = receive(r->fd, &r->event, sizeof(r->event), r->max_calls, r->flags, &r->out);
	return NULL;
}

TEST_F(pair, waiting_receiver_gets_the_call_that_comes)
{
	struct receiver r = { .fd = self->owner, .max_calls = 1 };

	ASSERT_EQ(0, pthread_create(&r.thread, NULL, receiver_main, &r));
	ASSERT_TRUE(eventually(receivers_of(self->caller) == 1));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(0, r.err);
	EXPECT_EQ(1, r.out.event_count);
	EXPECT_EQ(0, receivers_of(self->caller));
}

TEST_F(pair, receiver_of_no_calls_sleeps_through_one_and_wakes_for_released)
{
	struct receiver r = { .fd = self->owner, .max_calls = 0 };
	uint64_t second = register_new(self->owner, 5, UPCALL_ACCESS_SAME_USER);

	ASSERT_EQ(0, pthread_create(&r.thread, NULL, receiver_main, &r));
	ASSERT_TRUE(eventually(receivers_of(self->caller) == 1));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(1, receivers_of(self->caller));
	ASSERT_EQ(0, release(self->owner, second, 0));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(0, r.err);
	EXPECT_EQ(1, r.out.event_count);
	EXPECT_EQ(UPCALL_EVENT_RELEASED, r.event.event.type);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).queued);
}

TEST_F(pair, each_event_goes_to_one_of_several_receivers)
{
	struct receiver r[4];
	uint64_t seen = 0;
	int i;

	for (i = 0; i < 4; i++) {
		r[i] = (struct receiver){ .fd = self->owner, .max_calls = 1 };
		ASSERT_EQ(0, pthread_create(&r[i].thread, NULL, receiver_main, &r[i]));
	}
	ASSERT_TRUE(eventually(receivers_of(self->caller) == 4));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	for (i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		EXPECT_EQ(0, r[i].err);
		EXPECT_EQ(1, r[i].out.event_count);
		seen |= 1ULL << r[i].event.call.seq;
	}
	EXPECT_EQ(1U << 1 | 1U << 2 | 1U << 3 | 1U << 4, seen);
}

TEST_HARNESS_MAIN
