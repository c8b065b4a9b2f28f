// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that another thread unmaps: before the kernel comes to it, and while the kernel
 * reads or writes it. It is EFAULT to who gave it, and nothing is lost or done twice.
 */
#include "abi_call.h"
#include <sched.h>
#include "fds.h"
#include "stall.h"

FIXTURE(unmap) {
	int owner, caller;
	uint64_t handle;	/* takes descriptors */
	struct stall stall;	/* a page that holds up whoever touches it */
};

FIXTURE_SETUP(unmap)
{
	struct upcall_register reg = REGISTER_FDS_ARGS(.cookie = COOKIE);
	int err = stall_make(&self->stall, false);

	if (err)
		SKIP_TEST("no userfaultfd here that holds the kernel up: %s", strerror(-err));
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	self->handle = reg.handle;
}

FIXTURE_TEARDOWN(unmap)
{
	close(self->owner);
	close(self->caller);
}

/* A verb in a thread of its own. */
struct actor {
	int fd, ret;
	unsigned long cmd;
	void *args;
	pthread_t thread;
};

static void *actor_main(void *arg)
{
	struct actor *actor = arg;

	actor->ret = verb(actor->fd, actor->cmd, actor->args);
	return NULL;
}

static int actor_start(struct actor *actor, int fd, unsigned long cmd, void *args)
{
	*actor = (struct actor){ .fd = fd, .cmd = cmd, .args = args };
	return -pthread_create(&actor->thread, NULL, actor_main, actor);
}

static int actor_join(struct actor *actor)
{
	pthread_join(actor->thread, NULL);
	return actor->ret;
}

/* The page goes from under whoever is held up there. */
static int stall_unmap(struct stall *stall)
{
	struct uffdio_range range = stall_range(stall);

	if (munmap(stall->page, STALL_LEN))
		return -errno;
	return ioctl(stall->uffd, UFFDIO_WAKE, &range) ? -errno : 0;
}

/* The verb touches the page, which goes. What it returns, or 1: it has not touched it. */
static int touch_and_unmap(FIXTURE_DATA(unmap) *self, int fd, unsigned long cmd, void *args)
{
	struct actor actor;

	if (actor_start(&actor, fd, cmd, args) || !stall_is_hit(&self->stall) ||
	    stall_unmap(&self->stall))
		return 1;
	return actor_join(&actor);
}

static void expect_no_call(struct __test_metadata *_metadata, FIXTURE_DATA(unmap) *self)
{
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
	EXPECT_EQ(0, usage(self->owner).queued_calls);
	EXPECT_EQ(0, usage(self->owner).queued_bytes);
	EXPECT_EQ(0, usage(self->owner).fds);
	EXPECT_TRUE(no_event(self->owner));
}

/* --- while it is read ----------------------------------------------------------------- */

TEST_F(unmap, argument_while_it_is_read_is_efault_and_nothing_queued)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .arg_len = 2 * STALL_LEN,
		.arg = ptr64(self->stall.page - STALL_LEN));

	EXPECT_EQ(-EFAULT, touch_and_unmap(self, self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	expect_no_call(_metadata, self);
}

TEST_F(unmap, numbers_of_descriptors_while_they_are_read_are_efault_and_none_taken)
{
	int *fds = (int *)self->stall.page - 1, reader = -1, writer = -1;
	struct upcall_invoke args = SEND_ARGS(self->handle, fds, 2);

	ASSERT_EQ(0, pipe_new(&reader, &writer));
	fds[0] = writer;
	EXPECT_EQ(-EFAULT, touch_and_unmap(self, self->caller, UPCALL_IOC_INVOKE, &args));
	close(writer);
	EXPECT_TRUE(eventually(writer_is_closed(reader)));
	expect_no_call(_metadata, self);
}

TEST_F(unmap, commands_while_they_are_read_are_efault_and_those_before_carried_out)
{
	struct upcall_command *cmds = (void *)(self->stall.page - sizeof(*cmds));
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds), .command_count = 3);

	cmds[0] = COMMAND(REBIND, self->handle, .user_data = 1);
	EXPECT_EQ(-EFAULT, touch_and_unmap(self, self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).cookie);
	EXPECT_EQ(0, cmds[0].error);
	expect_no_call(_metadata, self);
}

TEST_F(unmap, data_of_a_command_while_it_is_read_is_its_own_efault)
{
	struct upcall_command cmds[2] = {
		CALL(self->handle, .data = ptr64(self->stall.page), .data_len = 1),
		COMMAND(NOTIFY, self->handle, .flags = UPCALL_INVOKE_NO_DEADLINE),
	};
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds), .command_count = 2);
	struct upcall_event_call call;

	EXPECT_EQ(0, touch_and_unmap(self, self->caller, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(EFAULT, cmds[0].error);
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, cmds[0].stage);
	EXPECT_EQ(0, cmds[0].call_id);
	EXPECT_EQ(0, cmds[1].error);
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(UPCALL_CALL_ONEWAY, call.flags & UPCALL_CALL_ONEWAY);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(unmap, bytes_of_a_reply_while_they_are_read_leave_the_call_open)
{
	struct upcall_command cmd = COMMAND(REPLY, 0, .data = ptr64(self->stall.page), .data_len = 64);
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(&cmd), .command_count = 1);
	uint64_t id = call_id_of(self->caller, self->handle, 0);
	struct upcall_event_result result;
	struct upcall_event_call call;

	ASSERT_EQ(0, one_call(self->owner, &call));
	cmd.target = call.call;
	EXPECT_EQ(0, touch_and_unmap(self, self->owner, UPCALL_IOC_EXCHANGE, &args));
	EXPECT_EQ(EFAULT, cmd.error);
	EXPECT_TRUE(no_event(self->caller));
	EXPECT_EQ(0, reply(self->owner, call.call, 4, NULL, 0));
	ASSERT_EQ(0, result_of(self->caller, id, &result));
	EXPECT_EQ(4, result.status);
}

/* --- while it is written ---------------------------------------------------------------- */

TEST_F(unmap, events_while_they_are_written_are_efault_and_put_back)
{
	struct upcall_exchange args = EXCHANGE_ARGS(.events = ptr64(self->stall.page - 200),
		.events_len = STALL_LEN, .max_calls = 3);
	struct upcall_event_call call;
	uint32_t i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, notify(self->caller, self->handle, "12345678", i));
	EXPECT_EQ(-EFAULT, touch_and_unmap(self, self->owner, UPCALL_IOC_EXCHANGE, &args));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, one_call(self->owner, &call));
		EXPECT_EQ(i, call.payload_len);
		EXPECT_EQ(i + 1, call.seq);
	}
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(unmap, result_while_it_is_written_is_efault_and_received_by_another)
{
	struct upcall_exchange args = EXCHANGE_ARGS(.events = ptr64(self->stall.page - 8),
						    .events_len = STALL_LEN);
	struct upcall_event_result result;
	struct upcall_event_call call;

	args.wait_call = call_id_of(self->caller, self->handle, 0);
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, reply(self->owner, call.call, 4, NULL, 0));
	EXPECT_EQ(-EFAULT, touch_and_unmap(self, self->caller, UPCALL_IOC_EXCHANGE, &args));
	ASSERT_EQ(0, result_of(self->caller, args.wait_call, &result));
	EXPECT_EQ(4, result.status);
	EXPECT_TRUE(no_event(self->caller));
}

TEST_F(unmap, reply_buffer_while_it_is_written_is_efault_and_replied)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .reply = ptr64(self->stall.page - 8),
						.reply_room = 64, .reply_max = 64);
	struct upcall_event_call call;
	struct actor actor;
	char bytes[64] = "";

	poison_out(&args);
	ASSERT_EQ(0, actor_start(&actor, self->caller, UPCALL_IOC_INVOKE, &args));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, reply(self->owner, call.call, 0, bytes, sizeof(bytes)));
	ASSERT_TRUE(stall_is_hit(&self->stall));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
	ASSERT_EQ(0, stall_unmap(&self->stall));
	EXPECT_EQ(-EFAULT, actor_join(&actor));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, args.stage);
	EXPECT_EQ(0, args.reply_len);
	EXPECT_EQ(0, args.call_id);
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

/* --- between submit and delivery --------------------------------------------------------- */

/* Whether a thread of the test waits on one of its peers for its answer, or for events. */
static bool waits(int fd, bool events)
{
	struct upcall_list_peer peers[2] = { 0 };

	list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 2);
	return events ? peers[0].receivers + peers[1].receivers : peers[0].waiting + peers[1].waiting;
}

TEST_F(unmap, all_of_a_call_that_waits_is_efault_and_replied)
{
	struct upcall_invoke *args = (void *)pages_alloc(1);
	char *reply_page = pages_alloc(1), *arg = pages_alloc(2);
	union any_event event;
	struct actor actor;

	fill(arg, 300, 1);
	*args = INVOKE_ARGS(self->handle, .arg = ptr64(arg), .arg_len = 300,
		.reply = ptr64(reply_page), .reply_room = PAGE, .reply_max = 2 * PAGE);
	ASSERT_EQ(0, actor_start(&actor, self->caller, UPCALL_IOC_INVOKE, args));
	ASSERT_TRUE(eventually(waits(self->owner, false)));
	munmap(arg, 2 * PAGE);
	munmap(reply_page, PAGE);
	munmap(args, PAGE);
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_TRUE(filled(event.bytes + event.call.payload_offset, 300, 1));
	/* It would be kept for its caller, who cannot be told its id. */
	EXPECT_EQ(0, reply(self->owner, event.call.call, 0, event.bytes, 8));
	EXPECT_EQ(-EFAULT, actor_join(&actor));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
	EXPECT_EQ(0, usage(self->owner).queued_bytes);
}

TEST_F(unmap, buffer_of_a_receiver_that_waits_is_efault_and_the_call_anothers)
{
	struct upcall_exchange args = EXCHANGE_ARGS(.events = ptr64(self->stall.page),
		.events_len = STALL_LEN, .max_calls = 1);
	struct upcall_event_call call;
	struct actor actor;

	ASSERT_EQ(0, actor_start(&actor, self->owner, UPCALL_IOC_EXCHANGE, &args));
	ASSERT_TRUE(eventually(waits(self->owner, true)));
	ASSERT_EQ(0, stall_unmap(&self->stall));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(-EFAULT, actor_join(&actor));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(unmap, commands_of_a_thread_that_waits_are_not_needed_any_more)
{
	struct upcall_command *cmd = (void *)pages_alloc(1);
	struct upcall_event_result result;
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmd), .command_count = 1,
		.events = ptr64(&result), .events_len = sizeof(result));
	struct upcall_event_call call;
	struct actor actor;

	*cmd = CALL(self->handle);
	args.flags |= UPCALL_EXCHANGE_WAIT_COMMAND;
	ASSERT_EQ(0, actor_start(&actor, self->caller, UPCALL_IOC_EXCHANGE, &args));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_TRUE(eventually(waits(self->owner, true)));
	munmap(cmd, PAGE);
	ASSERT_EQ(0, reply(self->owner, call.call, 9, NULL, 0));
	EXPECT_EQ(0, actor_join(&actor));
	EXPECT_EQ(1, args.event_count);
	EXPECT_EQ(9, result.status);
}

/* --- all at once ------------------------------------------------------------------------- */

#define ROUNDS	400

/* Pages that come and go while the others use them; at rest they are there. */
struct flicker {
	char *pages;
	bool stop, rest, rests;
	pthread_t thread;
};

static void *flicker_main(void *arg)
{
	struct flicker *flicker = arg;

	while (!__atomic_load_n(&flicker->stop, __ATOMIC_ACQUIRE)) {
		bool rest = __atomic_load_n(&flicker->rest, __ATOMIC_ACQUIRE);

		__atomic_store_n(&flicker->rests, rest, __ATOMIC_RELEASE);
		if (rest) {
			sched_yield();
			continue;
		}
		munmap(flicker->pages, 4 * PAGE);
		mmap(flicker->pages, 4 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	return NULL;
}

static bool flicker_rest(struct flicker *flicker, bool rest)
{
	__atomic_store_n(&flicker->rest, rest, __ATOMIC_RELEASE);
	return eventually(__atomic_load_n(&flicker->rests, __ATOMIC_ACQUIRE) == rest);
}

struct flickering {
	int fd;
	struct flicker *flicker;
	uint32_t served, odd;
	pthread_t thread;
};

/*
 * Receives, with payloads that reach into those pages, and replies from them. The event's own
 * bytes stand before them. A call that comes twice, or out of order, is odd.
 */
static void *flickering_main(void *arg)
{
	struct flickering *owner = arg;
	char *pages = owner->flicker->pages;
	struct upcall_event_call *call = (void *)(pages - sizeof(*call));
	struct upcall_exchange into = EXCHANGE_ARGS(.events = ptr64(call),
		.events_len = 4 * PAGE, .max_calls = 1);
	uint64_t seq = 0;
	int err;

	for (;;) {
		do {
			err = verb(owner->fd, UPCALL_IOC_EXCHANGE, &into);
		} while (err == -EFAULT);
		if (err)
			return NULL;
		owner->odd += call->seq != ++seq;
		owner->served++;
		err = reply(owner->fd, call->call, call->op, pages + 100, 2 * PAGE);
		if (err == -EFAULT)
			err = reply(owner->fd, call->call, call->op, NULL, 0);
		owner->odd += err != 0;
	}
}

TEST_F_TIMEOUT(unmap, of_everything_all_the_time_fails_calls_and_confuses_none, 90)
{
	struct flicker flicker = { .pages = pages_alloc(5) + PAGE };
	struct flickering owner = { .fd = self->owner, .flicker = &flicker };
	uint32_t i, good = 0, bad = 0;
	int ret;

	ASSERT_EQ(0, pthread_create(&flicker.thread, NULL, flicker_main, &flicker));
	ASSERT_EQ(0, pthread_create(&owner.thread, NULL, flickering_main, &owner));
	for (i = 0; i < ROUNDS; i++) {
		struct upcall_invoke args = INVOKE_ARGS(self->handle, .op = i,
			.arg = ptr64(flicker.pages + 8), .arg_len = 3 * PAGE,
			.reply = ptr64(flicker.pages), .reply_room = 3 * PAGE, .reply_max = 3 * PAGE);

		/* Those in between succeed, whatever has befallen the others. */
		if (i % 8 < 2)
			ASSERT_TRUE(flicker_rest(&flicker, i % 8 == 0));
		ret = verb(self->caller, UPCALL_IOC_INVOKE, &args);
		good += !ret && args.status == i;
		bad += ret == -EFAULT;
		if (i % 8 == 0)
			ASSERT_EQ(0, ret);
	}
	__atomic_store_n(&flicker.stop, true, __ATOMIC_RELEASE);
	pthread_join(flicker.thread, NULL);
	shut_down(self->owner);
	pthread_join(owner.thread, NULL);
	EXPECT_EQ(ROUNDS, good + bad);
	EXPECT_EQ(0, owner.odd);
	EXPECT_LE(ROUNDS / 8, good);
	EXPECT_LE(good, owner.served);
	EXPECT_GE(ROUNDS, owner.served);
	EXPECT_EQ(0, usage(self->caller).queued_calls);
	EXPECT_EQ(0, usage(self->caller).queued_bytes);
	TH_LOG("%u calls were answered, %u failed", good, bad);
}

TEST_HARNESS_MAIN
