// SPDX-License-Identifier: GPL-2.0-only
/* Calls within calls: parent and depth, wait_call, and a deadlock that is certain. CONFIG. */
#include "abi_call.h"

/* A call of the caller runs at the owner; the caller has a callback of its own. */
FIXTURE(nested) {
	int owner, caller;
	uint64_t handle, back, id;
	struct upcall_event_call runs;
};

FIXTURE_SETUP(nested)
{
	self->owner = peer_open();
	self->caller = peer_open();
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	self->back = register_new(self->caller, COOKIE + 1, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
	ASSERT_NE(0, self->back);
	self->id = call_id_of(self->caller, self->handle, 1);
	ASSERT_NE(0, self->id);
	ASSERT_EQ(0, one_call(self->owner, &self->runs));
}

FIXTURE_TEARDOWN(nested)
{
	close(self->caller);
	close(self->owner);
}

static int configure(int fd, uint32_t flags)
{
	struct upcall_config args = { .size = sizeof(args), .flags = flags };

	return verb(fd, UPCALL_IOC_CONFIG, &args);
}

/* A thread in one EXCHANGE, as exchange_one(). */
struct waiter {
	int fd, ret;
	uint64_t wait;
	uint32_t max_calls;
	struct seen seen;
	pthread_t thread;
};

static void *waiter_main(void *arg)
{
	struct waiter *waiter = arg;

	do {	/* is_waited_for() waits for a moment, too */
		waiter->ret = exchange_one(waiter->fd, NULL, waiter->wait, 0, waiter->max_calls,
					   &waiter->seen);
	} while (waiter->ret == -EBUSY);
	return NULL;
}

/* Waits as long as it takes; for no call in particular if @wait is 0. */
static int waiter_start(struct waiter *waiter, int fd, uint64_t wait, uint32_t max_calls)
{
	waiter->fd = fd;
	waiter->wait = wait;
	waiter->max_calls = max_calls;
	return -pthread_create(&waiter->thread, NULL, waiter_main, waiter);
}

static int waiter_join(struct waiter *waiter)
{
	pthread_join(waiter->thread, NULL);
	return waiter->ret;
}

/* Whether some thread waits for @id by now. */
static bool is_waited_for(int fd, uint64_t id)
{
	struct seen seen;

	return exchange_one(fd, NULL, id, UPCALL_EXCHANGE_NONBLOCK, 0, &seen) == -EBUSY;
}

TEST_F(nested, depth_is_one_more_than_the_parents)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);
	struct upcall_event_call call;

	EXPECT_EQ(1, self->runs.depth);
	ASSERT_EQ(0, command(self->owner, &cmd));
	ASSERT_EQ(0, one_call(self->caller, &call));
	EXPECT_EQ(2, call.depth);
	cmd.parent = 0;
	ASSERT_EQ(0, command(self->owner, &cmd));
	ASSERT_EQ(0, one_call(self->caller, &call));
	EXPECT_EQ(1, call.depth);
}

TEST_F(nested, parent_that_does_not_run_on_this_peer_is_enoent)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);

	EXPECT_EQ(-ENOENT, command(self->caller, &cmd));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmd.stage);
	cmd.parent = ~0ULL;
	EXPECT_EQ(-ENOENT, command(self->owner, &cmd));
	cmd.parent = self->runs.call;
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	EXPECT_EQ(-ENOENT, command(self->owner, &cmd));
	cmd.target = NO_HANDLE;
	EXPECT_EQ(-ENOENT, command(self->owner, &cmd));
}

TEST_F(nested, deeper_than_16_is_eloop_before_bad_handle_is_estale)
{
	uint64_t parent = self->runs.call;
	struct upcall_event_call call = { 0 };
	struct upcall_command cmd;
	int i, fd = self->owner, next = self->caller, swap;

	for (i = 2; i <= UPCALL_MAX_NESTING; i++) {
		cmd = CALL(next == self->caller ? self->back : self->handle, .parent = parent);
		ASSERT_EQ(0, command(fd, &cmd));
		ASSERT_EQ(0, one_call(next, &call));
		ASSERT_EQ(i, call.depth);
		parent = call.call;
		swap = fd;
		fd = next;
		next = swap;
	}
	cmd = CALL(NO_HANDLE, .parent = parent);
	EXPECT_EQ(-ELOOP, command(fd, &cmd));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmd.stage);
	cmd.parent = 0;
	EXPECT_EQ(-ESTALE, command(fd, &cmd));
}

TEST_F(nested, invoke_names_its_parent_too)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->owner, INVOKE_ARGS(self->back,
		.parent = self->runs.call)));
	ASSERT_EQ(0, one_call(self->caller, &call));
	EXPECT_EQ(2, call.depth);
	ASSERT_EQ(0, reply(self->caller, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_F(nested, wait_call_takes_the_chains_calls_and_leaves_others)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call, .status = 7);
	struct upcall_event_call call;
	struct seen seen;

	ASSERT_EQ(0, notify(self->owner, self->back, NULL, 0));
	ASSERT_EQ(0, command(self->owner, &cmd));
	ASSERT_EQ(UPCALL_EVENT_CALL, exchange_one(self->caller, NULL, self->id, 0, 1, &seen));
	EXPECT_EQ(7, seen.event.call.op);
	EXPECT_EQ(-EAGAIN, exchange_one(self->caller, NULL, self->id, UPCALL_EXCHANGE_NONBLOCK,
					1, &seen));
	ASSERT_EQ(0, one_call(self->caller, &call));
	EXPECT_EQ(UPCALL_CALL_ONEWAY, call.flags & UPCALL_CALL_ONEWAY);
}

TEST_F(nested, fault_puts_nested_calls_back_before_those_that_came_later)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);
	struct upcall_exchange args = EXCHANGE_ARGS(.events = 8, .events_len = PAGE,
						    .wait_call = self->id);
	struct seen seen;
	uint32_t n;

	for (cmd.status = 1; cmd.status <= 3; cmd.status++)
		ASSERT_EQ(0, command(self->owner, &cmd));
	/* All but the last one, and the first one alone. */
	for (n = 2; n >= 1; n--) {
		args.max_calls = n;
		EXPECT_EQ(-EFAULT, verb(self->caller, UPCALL_IOC_EXCHANGE, &args));
	}
	for (n = 1; n <= 3; n++) {
		ASSERT_EQ(UPCALL_EVENT_CALL, exchange_one(self->caller, NULL, self->id, 0, 1,
							  &seen));
		EXPECT_EQ(n, seen.event.call.op);
	}
}

TEST_F(nested, wait_call_with_max_calls_0_takes_the_result_only)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);
	struct seen seen;

	ASSERT_EQ(0, command(self->owner, &cmd));
	EXPECT_EQ(-EAGAIN, exchange_one(self->caller, NULL, self->id, UPCALL_EXCHANGE_NONBLOCK,
					0, &seen));
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	ASSERT_EQ(UPCALL_EVENT_RESULT, exchange_one(self->caller, NULL, self->id, 0, 0, &seen));
	EXPECT_EQ(self->id, seen.event.result.call_id);
}

TEST_F(nested, wait_call_leaves_other_results)
{
	uint64_t other = call_id_of(self->caller, self->handle, 2);
	struct upcall_event_result result;
	struct seen seen;

	ASSERT_EQ(0, cancel(self->caller, other));
	EXPECT_EQ(-EAGAIN, exchange_one(self->caller, NULL, self->id, UPCALL_EXCHANGE_NONBLOCK,
					1, &seen));
	EXPECT_EQ(0, result_of(self->caller, other, &result));
}

TEST_F(nested, wait_call_of_no_call_or_a_received_result_is_enoent)
{
	struct upcall_event_result result;
	struct seen seen;

	EXPECT_EQ(-ENOENT, exchange_one(self->caller, NULL, ~0ULL, 0, 1, &seen));
	EXPECT_EQ(-ENOENT, exchange_one(self->owner, NULL, self->id, 0, 1, &seen));
	ASSERT_EQ(0, cancel(self->caller, self->id));
	ASSERT_EQ(0, result_of(self->caller, self->id, &result));
	EXPECT_EQ(-ENOENT, exchange_one(self->caller, NULL, self->id, 0, 1, &seen));
}

TEST_F(nested, second_thread_that_waits_for_a_call_is_ebusy)
{
	struct waiter waiter;

	ASSERT_EQ(0, waiter_start(&waiter, self->caller, self->id, 0));
	EXPECT_TRUE(eventually(is_waited_for(self->caller, self->id)));
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RESULT, waiter_join(&waiter));
	EXPECT_EQ(self->id, waiter.seen.event.result.call_id);
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(nested, result_that_is_waited_for_goes_to_no_other_receiver)
{
	struct waiter waiter, other;
	uint64_t second = call_id_of(self->caller, self->handle, 2);

	ASSERT_EQ(0, waiter_start(&waiter, self->caller, self->id, 0));
	EXPECT_TRUE(eventually(is_waited_for(self->caller, self->id)));
	ASSERT_EQ(0, waiter_start(&other, self->caller, 0, 0));
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RESULT, waiter_join(&waiter));
	EXPECT_EQ(self->id, waiter.seen.event.result.call_id);
	ASSERT_EQ(0, cancel(self->caller, second));
	EXPECT_EQ(UPCALL_EVENT_RESULT, waiter_join(&other));
	EXPECT_EQ(second, other.seen.event.result.call_id);
}

TEST_F(nested, waiter_whose_deadline_passes_leaves_the_result_to_others)
{
	struct upcall_exchange args;
	struct upcall_event_result result;
	union any_event event;

	args = EXCHANGE_ARGS(.flags = 0, .deadline_ns = in_ms(10), .events = ptr64(&event),
			     .events_len = sizeof(event), .wait_call = self->id);
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_EXCHANGE, &args));
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	EXPECT_EQ(0, result_of(self->caller, self->id, &result));
}

TEST_F(nested, wait_command_that_is_no_call_of_these_is_einval)
{
	struct upcall_command cmd = COMMAND(NOTIFY, self->handle,
					    .flags = UPCALL_INVOKE_NO_DEADLINE);
	struct upcall_exchange args;
	union any_event event;
	struct seen seen;

	EXPECT_EQ(-EINVAL, exchange_one(self->caller, &cmd, 0, UPCALL_EXCHANGE_WAIT_COMMAND, 1,
					&seen));
	cmd = CALL(self->handle);
	EXPECT_EQ(-EINVAL, exchange_one(self->caller, &cmd, 1, UPCALL_EXCHANGE_WAIT_COMMAND, 1,
					&seen));
	args = EXCHANGE_ARGS(.commands = ptr64(&cmd), .command_count = 1,
			     .events = ptr64(&event), .events_len = 0);
	args.flags |= UPCALL_EXCHANGE_WAIT_COMMAND;
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_EXCHANGE, &args));
}

TEST_F(nested, wait_command_whose_call_fails_does_not_wait)
{
	struct upcall_command cmd = CALL(NO_HANDLE);
	struct seen seen;

	seen.out.event_count = 1;
	exchange_one(self->caller, &cmd, 0, UPCALL_EXCHANGE_WAIT_COMMAND, 1, &seen);
	EXPECT_EQ(0, seen.out.event_count);
	EXPECT_EQ(1, seen.out.commands_failed);
	EXPECT_EQ(ESTALE, cmd.error);
}

TEST_F(nested, one_thread_that_waits_with_max_calls_0_is_edeadlk_to_its_chain_alone)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);
	struct upcall_command apart = CALL(self->back);
	struct upcall_command told = COMMAND(NOTIFY, self->back,
					     .flags = UPCALL_INVOKE_NO_DEADLINE);
	struct waiter waiter;

	ASSERT_EQ(0, configure(self->caller, UPCALL_CONFIG_ONE_THREAD));
	ASSERT_EQ(0, waiter_start(&waiter, self->caller, self->id, 0));
	EXPECT_TRUE(eventually(is_waited_for(self->caller, self->id)));
	EXPECT_EQ(-EDEADLK, command(self->owner, &cmd));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmd.stage);
	EXPECT_EQ(0, command(self->owner, &apart));
	EXPECT_EQ(0, command(self->owner, &told));
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RESULT, waiter_join(&waiter));
}

TEST_F(nested, one_thread_that_takes_nested_calls_is_no_deadlock)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);
	struct waiter waiter;

	ASSERT_EQ(0, configure(self->caller, UPCALL_CONFIG_ONE_THREAD));
	ASSERT_EQ(0, waiter_start(&waiter, self->caller, self->id, 1));
	EXPECT_TRUE(eventually(is_waited_for(self->caller, self->id)));
	EXPECT_EQ(0, command(self->owner, &cmd));
	EXPECT_EQ(UPCALL_EVENT_CALL, waiter_join(&waiter));
	EXPECT_EQ(2, waiter.seen.event.call.depth);
}

TEST_F(nested, without_one_thread_there_is_no_edeadlk)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);
	struct waiter waiter;

	ASSERT_EQ(0, configure(self->caller, UPCALL_CONFIG_ONE_THREAD));
	ASSERT_EQ(0, configure(self->caller, 0));
	ASSERT_EQ(0, waiter_start(&waiter, self->caller, self->id, 0));
	EXPECT_TRUE(eventually(is_waited_for(self->caller, self->id)));
	EXPECT_EQ(0, command(self->owner, &cmd));
	ASSERT_EQ(0, reply(self->owner, self->runs.call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RESULT, waiter_join(&waiter));
}

TEST_F(nested, one_thread_that_does_not_wait_is_no_deadlock)
{
	struct upcall_command cmd = CALL(self->back, .parent = self->runs.call);

	ASSERT_EQ(0, configure(self->caller, UPCALL_CONFIG_ONE_THREAD));
	EXPECT_EQ(0, command(self->owner, &cmd));
}

TEST_F(nested, config_that_makes_no_sense_is_einval)
{
	struct upcall_config args = { .size = sizeof(args), .flags = 1U << 31 };

	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_CONFIG, &args));
	args = (struct upcall_config){ .size = sizeof(args), .orphan_ns = 1 };
	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_CONFIG, &args));
	args = (struct upcall_config){ .size = sizeof(args), .events = 1 };
	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_CONFIG, &args));
	args = (struct upcall_config){ .size = sizeof(args) - 8 };
	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_CONFIG, &args));
	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(-ESHUTDOWN, configure(self->owner, 0));
}

TEST_HARNESS_MAIN
