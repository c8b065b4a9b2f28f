// SPDX-License-Identifier: GPL-2.0-only
/* Many calls at once, who pays for them, and who is handed what. */
#include "abi_call.h"
#include <signal.h>
#include <sys/wait.h>

#define BATCH	32
#define MANY	2048

FIXTURE(async) {
	int owner, caller;
	uint64_t handle;
};

FIXTURE_SETUP(async)
{
	struct upcall_register reg = REGISTER_ARGS(.max_queued_calls = UPCALL_MAX_QUEUED_CALLS);

	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	self->handle = reg.handle;
}

FIXTURE_TEARDOWN(async)
{
	close(self->caller);
	close(self->owner);
}

/* So many commands of a kind in one EXCHANGE: how many failed, or -errno. */
static int send_all(int fd, struct upcall_command *commands, uint32_t count)
{
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(commands),
						    .command_count = count);
	int err = verb(fd, UPCALL_IOC_EXCHANGE, &args);

	return err ? err : (int)args.commands_failed;
}

/* Takes one batch of calls and answers all of it in one EXCHANGE: how many, or -errno. */
static int answer_batch(int fd)
{
	static struct upcall_command replies[BATCH];
	static char buf[BATCH * sizeof(struct upcall_event_call)] __attribute__((aligned(8)));
	const struct upcall_event_call *calls = (void *)buf;
	struct upcall_exchange out;
	uint32_t i;
	int err = receive(fd, buf, sizeof(buf), BATCH, 0, &out);

	if (err)
		return err;
	for (i = 0; i < out.event_count; i++)
		replies[i] = COMMAND(REPLY, calls[i].call, .status = calls[i].op);
	err = send_all(fd, replies, out.event_count);
	return err ? err : (int)out.event_count;
}

TEST_F(async, thousands_on_one_thread_are_answered_once_each)
{
	static struct upcall_command calls[BATCH];
	static char buf[BATCH * sizeof(struct upcall_event_result)] __attribute__((aligned(8)));
	const struct upcall_event_result *results = (void *)buf;
	static uint8_t seen[MANY];
	struct upcall_exchange out;
	uint32_t i, n, got = 0;
	int ret;

	for (n = 0; n < MANY; n += BATCH) {
		for (i = 0; i < BATCH; i++)
			calls[i] = CALL(self->handle, .user_data = n + i, .status = n + i);
		ASSERT_EQ(0, send_all(self->caller, calls, BATCH));
	}
	EXPECT_EQ(MANY, stat_of(self->owner, self->handle).queued);
	for (n = 0; n < MANY; n += ret) {
		ret = answer_batch(self->owner);
		ASSERT_LT(0, ret);
	}
	while (got < MANY) {
		ASSERT_EQ(0, receive(self->caller, buf, sizeof(buf), 0, 0, &out));
		for (i = 0; i < out.event_count; i++, got++) {
			ASSERT_GT(MANY, results[i].event.cookie);
			EXPECT_EQ(results[i].event.cookie, results[i].status);
			EXPECT_EQ(0, seen[results[i].event.cookie]++);
		}
	}
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(async, calls_and_results_come_in_one_batch)
{
	uint64_t back = register_new(self->caller, COOKIE, UPCALL_ACCESS_SAME_USER);
	uint64_t id = call_id_of(self->caller, self->handle, 1);
	struct upcall_event_call call;
	struct upcall_exchange out;
	union any_event events[2];

	ASSERT_NE(0, id);
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	ASSERT_EQ(0, notify(self->owner, back, NULL, 0));
	ASSERT_EQ(0, receive(self->caller, events, sizeof(events), 1, 0, &out));
	EXPECT_EQ(2, out.event_count);
	EXPECT_EQ(UPCALL_EVENT_RESULT, events[0].event.type);
	EXPECT_EQ(sizeof(struct upcall_event_result) + sizeof(struct upcall_event_call),
		  out.events_used);
}

TEST_F(async, call_that_timed_out_is_charged_to_its_owner_alone_once_its_result_is_read)
{
	struct upcall_command cmd = COMMAND(CALL, self->handle, .deadline_ns = in_ms(2 * A_MOMENT_MS),
					    .reply_max = 64);
	struct upcall_list_user before = usage(self->caller);
	struct upcall_event_result result;
	struct upcall_event_call call;

	ASSERT_EQ(0, command(self->caller, &cmd));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_TRUE(eventually(usage(self->caller).queued_calls == before.queued_calls + 2));
	ASSERT_EQ(0, result_of(self->caller, cmd.call_id, &result));
	EXPECT_EQ(ETIMEDOUT, result.error);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, result.stage);
	EXPECT_EQ(before.queued_calls + 1, usage(self->caller).queued_calls);
	EXPECT_EQ(before.queued_bytes, usage(self->caller).queued_bytes);
	EXPECT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(before.queued_calls, usage(self->caller).queued_calls);
}

static int call_and_stay(void *arg)
{
	uint64_t handle = *(uint64_t *)arg;
	int fd = peer_open(), i;

	for (i = 0; i < 100; i++) {
		if (!call_id_of(fd, handle, i))
			return 1;
	}
	pause();
	return 0;
}

TEST_F(async, caller_killed_with_results_unread_leaves_no_charge)
{
	struct upcall_list_user before = usage(self->owner);
	pid_t pid = spawn(call_and_stay, &self->handle);
	int n, ret;

	for (n = 0; n < 50; n += ret) {
		ret = answer_batch(self->owner);
		ASSERT_LT(0, ret);
	}
	ASSERT_TRUE(eventually(stat_of(self->owner, self->handle).calls == 100));
	EXPECT_EQ(before.queued_calls + 100, usage(self->owner).queued_calls);
	kill(pid, SIGKILL);
	EXPECT_EQ(SIGKILL, reap(pid));
	EXPECT_TRUE(eventually(usage(self->owner).queued_calls == before.queued_calls));
	/* The last call's bytes are given back a moment after it. */
	EXPECT_TRUE(eventually(usage(self->owner).queued_bytes == before.queued_bytes));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).queued);
}

struct receiver {
	int fd, ret;
	pid_t tid;
	bool done;
	union any_event event;
	pthread_t thread;
};

static void *receiver_main(void *arg)
{
	struct receiver *receiver = arg;

	__atomic_store_n(&receiver->tid, gettid(), __ATOMIC_RELEASE);
	receiver->ret = receive(receiver->fd, &receiver->event, sizeof(receiver->event), 1, 0, NULL);
	__atomic_store_n(&receiver->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_done(struct receiver *receiver)
{
	return __atomic_load_n(&receiver->done, __ATOMIC_ACQUIRE);
}

static bool sleeps(pid_t tid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
		state = 0;
	if (file)
		fclose(file);
	return state == 'S';
}

/* The most threads that wait on any one peer. */
static uint32_t receivers(int fd)
{
	struct upcall_list_peer peers[64];
	int i, n = list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), LENGTH(peers));
	uint32_t most = 0;

	for (i = 0; i < n; i++)
		most = peers[i].receivers > most ? peers[i].receivers : most;
	return most;
}

TEST_F(async, call_goes_to_the_thread_that_began_to_wait_last)
{
	struct receiver waiting[3] = { 0 };
	int i;

	for (i = 0; i < 3; i++) {
		waiting[i].fd = self->owner;
		ASSERT_EQ(0, pthread_create(&waiting[i].thread, NULL, receiver_main, &waiting[i]));
		ASSERT_TRUE(eventually(receivers(self->caller) == (uint32_t)i + 1));
		ASSERT_TRUE(eventually(sleeps(__atomic_load_n(&waiting[i].tid, __ATOMIC_ACQUIRE))));
	}
	for (i = 2; i >= 0; i--) {
		ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
		EXPECT_TRUE(eventually(is_done(&waiting[i])));
		EXPECT_TRUE(i == 0 || !is_done(&waiting[0]));
	}
	for (i = 0; i < 3; i++) {
		pthread_join(waiting[i].thread, NULL);
		EXPECT_EQ(0, waiting[i].ret);
	}
}

struct rebinder {
	int fd;
	uint64_t handle;
	uint64_t bound;		/* the newest cookie that REBIND has returned for */
	bool stop;
	int failed;
	pthread_t thread;
};

static void *rebinder_main(void *arg)
{
	struct rebinder *rebinder = arg;
	struct upcall_rebind args = { .size = sizeof(args), .handle = rebinder->handle };

	while (!__atomic_load_n(&rebinder->stop, __ATOMIC_ACQUIRE)) {
		args.cookie++;
		if (verb(rebinder->fd, UPCALL_IOC_REBIND, &args))
			rebinder->failed = 1;
		__atomic_store_n(&rebinder->bound, args.cookie, __ATOMIC_RELEASE);
	}
	return NULL;
}

TEST_F(async, call_that_began_after_a_rebind_never_sees_the_cookie_before)
{
	struct rebinder rebinder = { .fd = self->owner, .handle = self->handle };
	struct upcall_event_call call;
	uint64_t bound, first = 0, until = in_ms(SOON_MS);
	int i;

	ASSERT_EQ(0, pthread_create(&rebinder.thread, NULL, rebinder_main, &rebinder));
	ASSERT_TRUE(eventually(__atomic_load_n(&rebinder.bound, __ATOMIC_ACQUIRE) > 1));
	/* Its processor may stand still: there is to be a REBIND among all these. */
	for (i = 0; i < 3000 / UPCALL_SLOW || (bound == first && now_ns() < until); i++) {
		bound = __atomic_load_n(&rebinder.bound, __ATOMIC_ACQUIRE);
		if (!first)
			first = bound;
		ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
		ASSERT_EQ(0, one_call(self->owner, &call));
		ASSERT_LE(bound, call.event.cookie);
		ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	}
	EXPECT_LT(first, bound);
	__atomic_store_n(&rebinder.stop, true, __ATOMIC_RELEASE);
	pthread_join(rebinder.thread, NULL);
	EXPECT_EQ(0, rebinder.failed);
}

TEST_HARNESS_MAIN
