// SPDX-License-Identifier: GPL-2.0-only
/* What tracepoints and fdinfo say: whatever begins has its end. */
#include "kselftest_harness.h"
#include "trace.h"

FIXTURE(trace) {
	struct puppet owner, caller;
	struct trace trace;
};

FIXTURE_SETUP(trace)
{
	if (!trace_start(&self->trace, 64 << 20))
		SKIP_TEST("tracing is not there (instances of tracefs, as root)");
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->owner = puppet_new();
	self->caller = puppet_new();
}

FIXTURE_TEARDOWN(trace)
{
	puppet_kill(&self->owner, SIGKILL);
	puppet_kill(&self->caller, SIGKILL);
	trace_stop(&self->trace);
}

static bool read_trace(FIXTURE_DATA(trace) *self)
{
	return trace_read(&self->trace);
}

static uint32_t count(FIXTURE_DATA(trace) *self, const char *event, const char *what)
{
	return trace_count(&self->trace, event, what);
}

static uint32_t count_of(FIXTURE_DATA(trace) *self, const char *event, uint64_t handle)
{
	char what[64];

	snprintf(what, sizeof(what), "handle=%llu ", (unsigned long long)handle);
	return count(self, event, what);
}

TEST_F(trace, of_one_call_from_end_to_end)
{
	uint64_t handle = puppet_register(&self->owner, UPCALL_ACCESS_SAME_USER);

	puppet_call_start(&self->caller, handle);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	ASSERT_TRUE(read_trace(self));
	EXPECT_EQ(1, count_of(self, "upcall_registered:", handle));
	EXPECT_EQ(1, count_of(self, "upcall_queued:", handle));
	EXPECT_EQ(1, count_of(self, "upcall_delivered:", handle));
	EXPECT_EQ(0, count_of(self, "upcall_replied:", handle));
	EXPECT_EQ(0, count_of(self, "upcall_ended:", handle));
	EXPECT_EQ(0, count_of(self, "upcall_released:", handle));

	ASSERT_EQ(0, puppet_reply(&self->owner, 7));
	ASSERT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));
	EXPECT_TRUE(eventually(read_trace(self) &&
			       count_of(self, "upcall_released:", handle) == 1));
	EXPECT_EQ(1, count_of(self, "upcall_replied:", handle));
	EXPECT_EQ(1, count_of(self, "upcall_ended:", handle));
	EXPECT_EQ(1, count(self, "upcall_ended:", "status=7 err=0 stage=3"));
	EXPECT_EQ(1, count(self, "upcall_released:", "reason=6 calls=1"));
}

TEST_F(trace, refused_calls_say_why)
{
	struct puppet alice = puppet_of(ALICE);
	uint64_t handle = puppet_register(&self->owner, UPCALL_ACCESS_SAME_USER);

	EXPECT_EQ(-EACCES, puppet_notify(&alice, handle));
	EXPECT_EQ(-ESTALE, puppet_notify(&alice, UPCALL_MAX_HANDLE));
	EXPECT_TRUE(read_trace(self));
	EXPECT_EQ(1, count_of(self, "upcall_refused:", handle));
	EXPECT_EQ(1, count(self, "upcall_refused:", "err=-13"));
	EXPECT_EQ(1, count_of(self, "upcall_refused:", UPCALL_MAX_HANDLE));
	EXPECT_EQ(1, count(self, "upcall_refused:", "err=-116"));
	EXPECT_EQ(0, count(self, "upcall_queued:", "handle="));
	kill(alice.pid, SIGKILL);
}

/* The next CALL; other events are read and forgotten. */
static int take_call(struct upcall_event_call *call)
{
	union any_event event;
	int type;

	do {
		type = next_event(my_peer, &event);
	} while (type == UPCALL_EVENT_RELEASED || type == UPCALL_EVENT_CANCEL);
	*call = event.call;
	return type == UPCALL_EVENT_CALL ? 0 : -EPROTO;
}

/* A call to oneself, who does not receive meanwhile. On a busy machine it may not be made in time. */
static int time_out_in_the_queue(uint64_t handle)
{
	struct upcall_invoke inv = { .seq = 0 };
	uint64_t ms;

	for (ms = 5; !inv.seq && ms < SOON_MS; ms *= 2) {
		inv = INVOKE_ARGS(handle, .flags = 0, .deadline_ns = in_ms(ms));
		if (verb(my_peer, UPCALL_IOC_INVOKE, &inv) != -ETIMEDOUT)
			return -EIO;
	}
	return inv.seq ? 0 : -ETIME;
}

/*
 * A callback and its calls, with ends of many kinds: notifications that are replied,
 * refused, aborted, and left in the queue; a call that times out there.
 */
static int one_of_each(void)
{
	uint64_t handle = register_new(my_peer, 0, UPCALL_ACCESS_ANYONE);
	struct upcall_invoke inv = INVOKE_ARGS(handle, .flags = UPCALL_INVOKE_ONEWAY |
					       UPCALL_INVOKE_NO_DEADLINE);
	struct upcall_event_call call[3];
	int i;

	for (i = 0; i < 5; i++) {
		if (verb(my_peer, UPCALL_IOC_INVOKE, &inv))
			return -EIO;
	}
	for (i = 0; i < 3; i++) {
		if (take_call(&call[i]))
			return -EPROTO;
	}
	if (reply(my_peer, call[0].call, 0, NULL, 0) || refuse(my_peer, call[1].call, EIO))
		return -EIO;
	if (time_out_in_the_queue(handle))
		return -EIO;
	if (release(my_peer, handle, UPCALL_RELEASE_ABORT))
		return -EIO;
	return reply(my_peer, call[2].call, 0, NULL, 0);
}

/* Until it is killed. */
static int rounds(struct puppet_mem *mem)
{
	int err;

	do {
		err = one_of_each();
	} while (!err && ++mem->value);
	return err;
}

/* Until it is killed, or @mem->handle dies. */
static int call_rounds(struct puppet_mem *mem)
{
	do {
		mem->inv = INVOKE_ARGS(mem->handle);
	} while (!do_invoke(mem));
	return 0;
}

TEST_F(trace, after_a_mixed_run_with_kills_every_begin_has_its_end)
{
	uint64_t handle = puppet_register(&self->owner, UPCALL_ACCESS_ANYONE);
	struct puppet storm[3] = { puppet_new(), puppet_new(), puppet_new() };
	int i;

	for (i = 0; i < 3; i++) {
		storm[i].mem->handle = handle;
		storm[i].mem->value = 0;
		puppet_start(&storm[i], i ? call_rounds : rounds);
	}
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
		puppet_reply(&self->owner, 0);
	}
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_TRUE(eventually(storm[0].mem->value > 20));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(SIGKILL, puppet_kill(&storm[i], SIGKILL));
	EXPECT_EQ(SIGKILL, puppet_kill(&self->owner, SIGKILL));

	EXPECT_TRUE(eventually(trace_is_even(&self->trace)));
	EXPECT_LT(20, count(self, "upcall_registered:", ""));
	EXPECT_LT(20 * 6 + 50, count(self, "upcall_queued:", ""));
	EXPECT_LE(20, count(self, "upcall_ended:", "err=-110"));
	EXPECT_LE(50, count(self, "upcall_replied:", ""));
	EXPECT_EQ(1, count_of(self, "upcall_released:", handle));
	EXPECT_EQ(count_of(self, "upcall_queued:", handle), count_of(self, "upcall_ended:", handle));
}

/* The number that stands behind a name in a puppet's fdinfo, or -1. */
static int fdinfo(struct puppet *puppet, const char *name)
{
	char path[64], line[256], *at;
	int value = -1;
	FILE *file;

	/* A puppet opens its peer as the first file behind its socket. */
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/4", puppet->pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		at = strchr(line, ':');
		if (at && (size_t)(at - line) == strlen(name) && !strncmp(line, name, at - line))
			value = strstr(at, "unbound") ? 0 : strstr(at, "bound") ? 1 :
				strstr(at, "ended") ? 2 : atoi(at + 1);
	}
	if (file)
		fclose(file);
	return value;
}

TEST_F(trace, fdinfo_counts_what_waits)
{
	uint64_t handle;

	EXPECT_TRUE(eventually(fdinfo(&self->owner, "upcall-state") == 0));
	EXPECT_EQ(0, fdinfo(&self->owner, "upcall-peer"));
	handle = puppet_register(&self->owner, UPCALL_ACCESS_SAME_USER);
	EXPECT_EQ(1, fdinfo(&self->owner, "upcall-state"));
	EXPECT_EQ((int)listed_peer(my_peer, self->owner.pid).peer,
		  fdinfo(&self->owner, "upcall-peer"));
	EXPECT_EQ(1, fdinfo(&self->owner, "upcall-callbacks"));
	puppet_call_start(&self->caller, handle);
	EXPECT_TRUE(eventually(fdinfo(&self->owner, "upcall-queued") == 1));
	EXPECT_EQ(1, fdinfo(&self->caller, "upcall-waiting"));
	EXPECT_EQ(0, fdinfo(&self->owner, "upcall-running"));
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->owner, do_receive));
	EXPECT_EQ(0, fdinfo(&self->owner, "upcall-queued"));
	EXPECT_EQ(1, fdinfo(&self->owner, "upcall-running"));
	ASSERT_EQ(0, puppet_reply(&self->owner, 0));
	ASSERT_EQ(0, puppet_wait(&self->caller));
	EXPECT_EQ(0, fdinfo(&self->owner, "upcall-running"));
	EXPECT_EQ(0, fdinfo(&self->caller, "upcall-waiting"));
	puppet_start(&self->owner, do_receive);
	EXPECT_TRUE(eventually(fdinfo(&self->owner, "upcall-receivers") == 1));
	ASSERT_EQ(0, puppet_do(&self->caller, do_shutdown));
	EXPECT_EQ(2, fdinfo(&self->caller, "upcall-state"));
}

TEST_HARNESS_MAIN
