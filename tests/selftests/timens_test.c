// SPDX-License-Identifier: GPL-2.0-only
/* Times are of the monotonic clock that the process itself reads, also if it is behind. */
#include "kselftest_harness.h"
#include "puppet.h"

#define SECOND	1000000000ULL

FIXTURE(timens) {
	struct puppet inner;	/* in the time namespace */
	uint64_t handle;	/* of the test itself, outside */
};

FIXTURE_VARIANT(timens) {
	const char *offset;
	int64_t seconds;
};

FIXTURE_VARIANT_ADD(timens, behind) {
	.offset = "monotonic -1 0",
	.seconds = -1,
};

FIXTURE_VARIANT_ADD(timens, ahead) {
	.offset = "monotonic 10000 0",
	.seconds = 10000,
};

FIXTURE_SETUP(timens)
{
	if (unshare(CLONE_NEWTIME))
		SKIP_TEST("no time namespaces here: %s", strerror(errno));
	/* There is no time before the machine's first second. */
	ASSERT_TRUE(eventually(now_ns() > 2 * SECOND));
	ASSERT_TRUE(write_to("/proc/self/timens_offsets", variant->offset));
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->inner = puppet_make(spawn_anywhere);
	self->handle = register_new(my_peer, 1, UPCALL_ACCESS_ANYONE);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(timens)
{
	kill(self->inner.pid, SIGKILL);
	close(my_peer);
}

/* A moment of our clock, in nanoseconds of the inner one. */
#define INNER(ns) ((ns) + variant->seconds * SECOND)

static int do_now(struct puppet_mem *mem)
{
	mem->value = now_ns();
	return 0;
}

TEST_F(timens, process_in_it_reads_another_clock)
{
	uint64_t before = now_ns();

	ASSERT_EQ(0, puppet_do(&self->inner, do_now));
	EXPECT_LE(INNER(before), self->inner.mem->value);
	EXPECT_GE(INNER(now_ns()), self->inner.mem->value);
}

TEST_F(timens, deadline_of_a_call_from_outside_is_shown_as_inside)
{
	uint64_t handle = puppet_register(&self->inner, UPCALL_ACCESS_ANYONE);
	struct upcall_invoke inv = INVOKE_ARGS(handle, .deadline_ns = in_ms(SOON_MS),
					       .flags = UPCALL_INVOKE_ONEWAY);

	ASSERT_EQ(0, verb(my_peer, UPCALL_IOC_INVOKE, &inv));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->inner, do_receive));
	EXPECT_EQ(INNER(inv.deadline_ns), self->inner.mem->event.call.deadline_ns);
}

/* @mem->value: how far ahead. */
static int notify_with_deadline(struct puppet_mem *mem)
{
	mem->inv = INVOKE_ARGS(mem->handle, .deadline_ns = now_ns() + mem->value,
			       .flags = UPCALL_INVOKE_ONEWAY);
	return do_invoke(mem);
}

TEST_F(timens, deadline_of_a_call_from_inside_is_shown_as_outside)
{
	struct upcall_event_call call;

	self->inner.mem->handle = self->handle;
	self->inner.mem->value = SOON_MS * 1000000ULL;
	ASSERT_EQ(0, puppet_do(&self->inner, notify_with_deadline));
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(INNER(call.deadline_ns), self->inner.mem->inv.deadline_ns);
}

/*
 * An asynchronous call; @mem->value: how far ahead, or more, where that has passed before it is made.
 * Its id is in @mem->handle then.
 */
static int call_with_deadline(struct puppet_mem *mem)
{
	struct upcall_command cmd = { .type = UPCALL_COMMAND_CALL, .target = mem->handle };
	int err = -ETIMEDOUT;

	for (; err == -ETIMEDOUT && mem->value < 100 * SECOND; mem->value *= 4) {
		cmd.deadline_ns = now_ns() + mem->value;
		err = command(my_peer, &cmd);
	}
	mem->inv.deadline_ns = cmd.deadline_ns;
	mem->handle = cmd.call_id;
	return err;
}

TEST_F(timens, deadline_of_an_asynchronous_call_is_kept_by_the_clock_inside)
{
	struct puppet_mem *mem = self->inner.mem;
	struct upcall_event_call call;
	uint64_t before = now_ns();

	mem->handle = self->handle;
	mem->value = SECOND / 2;
	ASSERT_EQ(0, puppet_do(&self->inner, call_with_deadline));
	ASSERT_EQ(UPCALL_EVENT_RESULT, puppet_do(&self->inner, do_receive));
	EXPECT_EQ(mem->handle, mem->event.result.call_id);
	EXPECT_EQ(ETIMEDOUT, mem->event.result.error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, mem->event.result.stage);
	/* as outside: not before */
	EXPECT_LE(before + SECOND / 2, now_ns());
	EXPECT_LE(mem->inv.deadline_ns, INNER(now_ns()));

	mem->handle = self->handle;
	mem->value = 60 * SECOND;
	ASSERT_EQ(0, puppet_do(&self->inner, call_with_deadline));
	ASSERT_EQ(0, next_call(my_peer, &call));
	EXPECT_EQ(mem->inv.deadline_ns, INNER(call.deadline_ns));
	ASSERT_EQ(0, reply(my_peer, call.call, 0, NULL, 0));
	ASSERT_EQ(UPCALL_EVENT_RESULT, puppet_do(&self->inner, do_receive));
	EXPECT_EQ(0, mem->event.result.error);
}

TEST_F(timens, stat_shows_times_as_inside)
{
	uint64_t before = now_ns(), handle, died;

	handle = puppet_register(&self->inner, UPCALL_ACCESS_ANYONE);
	ASSERT_NE(0, handle);
	EXPECT_LE(INNER(before), puppet_stat(&self->inner, handle).registered_ns);
	EXPECT_GE(INNER(now_ns()), self->inner.mem->stat.registered_ns);
	EXPECT_EQ(0, self->inner.mem->stat.died_ns);

	ASSERT_EQ(0, release(my_peer, self->handle, 0));
	died = stat_of(my_peer, self->handle).died_ns;
	EXPECT_LE(before, died);
	EXPECT_EQ(INNER(died), puppet_stat(&self->inner, self->handle).died_ns);
}

/* The callback that is called @mem->handle, and a call to it, into @mem->buf. */
static int list_it(struct puppet_mem *mem)
{
	static struct upcall_list_call calls[64];
	uint32_t n = list_all(my_peer, UPCALL_LIST_CALLS, sizeof(calls[0]), calls, 64), i;
	struct upcall_list_callback *cb = (void *)mem->buf;

	*cb = listed_callback(my_peer, mem->handle);
	for (i = 0; i < n && calls[i].handle != mem->handle; i++)
		;
	memcpy(cb + 1, &calls[i % 64], sizeof(calls[0]));
	return i < n ? 0 : -EIO;
}

TEST_F(timens, list_shows_times_as_inside)
{
	struct upcall_list_callback *cb = (void *)self->inner.mem->buf;
	struct upcall_list_call *call = (void *)(cb + 1);
	struct upcall_invoke inv = INVOKE_ARGS(self->handle, .deadline_ns = in_ms(SOON_MS),
					       .flags = UPCALL_INVOKE_ONEWAY);

	ASSERT_EQ(0, verb(my_peer, UPCALL_IOC_INVOKE, &inv));
	self->inner.mem->handle = self->handle;
	ASSERT_EQ(0, puppet_do(&self->inner, list_it));
	EXPECT_EQ(INNER(stat_of(my_peer, self->handle).registered_ns), cb->registered_ns);
	EXPECT_EQ(INNER(inv.deadline_ns), call->deadline_ns);
}

TEST_HARNESS_MAIN
