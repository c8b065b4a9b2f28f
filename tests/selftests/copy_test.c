// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens in the middle of a copy: the memory of one thread holds the kernel up there
 * while another one acts.
 */
#include "abi_test.h"
#include <sched.h>
#include "stall.h"

FIXTURE(copy) {
	int owner;
	int caller;
	uint64_t handle;
	struct stall in, out;	/* what the kernel reads; what it writes to */
};

FIXTURE_SETUP(copy)
{
	int err = stall_make(&self->in, false) ? : stall_make(&self->out, true);

	if (err)
		SKIP_TEST("no userfaultfd here that holds the kernel up: %s", strerror(-err));
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, self->owner);
	ASSERT_LE(0, self->caller);
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(copy)
{
	close(self->owner);
	close(self->caller);
}

/* --- a reply that is being read ------------------------------------------------ */

static const char page[PAGE] = "first";	/* what there is to read in the end */

struct replier {
	pthread_t thread;
	int fd;
	uint64_t call;
	const char *data;
	int ret;
};

static void *replier_main(void *arg)
{
	struct replier *replier = arg;

	replier->ret = reply(replier->fd, replier->call, 1, replier->data, 1000);
	return NULL;
}

/* A call is delivered, and its reply held up. */
static bool reply_is_held(FIXTURE_DATA(copy) *self, struct async *async, struct replier *replier)
{
	static char back[2000];
	struct upcall_event_call call;

	if (async_start(async, self->caller, INVOKE_ARGS(self->handle, .reply = ptr64(back),
			.reply_room = sizeof(back), .reply_max = sizeof(back))) ||
	    one_call(self->owner, &call))
		return false;
	*replier = (struct replier){
		.fd = self->owner, .call = call.call, .data = self->in.page,
	};
	return !pthread_create(&replier->thread, NULL, replier_main, replier) &&
	       stall_is_hit(&self->in);
}

static int replier_join(struct replier *replier)
{
	pthread_join(replier->thread, NULL);
	return replier->ret;
}

TEST_F(copy, of_two_replies_to_a_call_the_one_that_is_read_first_is_the_answer)
{
	struct replier replier;
	struct async async;

	ASSERT_TRUE(reply_is_held(self, &async, &replier));
	EXPECT_EQ(0, reply(self->owner, replier.call, 2, "second", 6));
	ASSERT_EQ(0, async_join(&async));
	EXPECT_EQ(2, async.args.status);
	EXPECT_EQ(6, async.args.reply_len);
	EXPECT_EQ(0, memcmp("second", (void *)(uintptr_t)async.args.reply, 6));
	ASSERT_EQ(0, stall_end(&self->in, page));
	EXPECT_EQ(-ENOENT, replier_join(&replier));
	EXPECT_EQ(0, memcmp("second", (void *)(uintptr_t)async.args.reply, 6));
	EXPECT_EQ(1, stat_of(self->owner, self->handle).replied);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

TEST_F(copy, reply_that_is_read_when_its_call_is_refused_is_enoent)
{
	struct replier replier;
	struct async async;

	ASSERT_TRUE(reply_is_held(self, &async, &replier));
	EXPECT_EQ(0, refuse(self->owner, replier.call, EXDEV));
	EXPECT_EQ(-EXDEV, async_join(&async));
	ASSERT_EQ(0, stall_end(&self->in, page));
	EXPECT_EQ(-ENOENT, replier_join(&replier));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).replied);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
}

TEST_F(copy, reply_that_is_read_when_its_call_is_aborted_is_its_owners_end)
{
	struct replier replier;
	union any_event event;
	struct async async;

	ASSERT_TRUE(reply_is_held(self, &async, &replier));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(-ECANCELED, async_join(&async));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	ASSERT_EQ(0, stall_end(&self->in, page));
	EXPECT_EQ(-ENOENT, replier_join(&replier));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
}

/* --- a CANCEL that is being written ----------------------------------------------- */

/* A delivered call is aborted; a receiver has taken its CANCEL, and is held up. */
static uint64_t cancel_is_held(FIXTURE_DATA(copy) *self, struct stalled_receiver *receiver)
{
	struct upcall_event_call call;
	struct async async;

	if (async_start(&async, self->caller, INVOKE_ARGS(self->handle)) ||
	    one_call(self->owner, &call) ||
	    release(self->owner, self->handle, UPCALL_RELEASE_ABORT) ||
	    async_join(&async) != -ECANCELED ||
	    !stalled_receive(receiver, self->owner, &self->out, 0))
		return 0;
	return call.call;
}

TEST_F(copy, released_does_not_overtake_a_cancel_that_is_written)
{
	struct upcall_event_cancel *cancel = (void *)self->out.page;
	struct stalled_receiver receiver;
	union any_event event;
	uint64_t call = cancel_is_held(self, &receiver);

	ASSERT_NE(0, call);
	EXPECT_EQ(-ENOENT, reply(self->owner, call, 0, NULL, 0));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(UPCALL_STATE_CLOSING, stat_of(self->owner, self->handle).state);
	ASSERT_EQ(0, stall_end(&self->out, NULL));
	ASSERT_EQ(0, stalled_join(&receiver));
	EXPECT_EQ(1, receiver.args.event_count);
	EXPECT_EQ(UPCALL_EVENT_CANCEL, cancel->event.type);
	EXPECT_EQ(call, cancel->call);
	EXPECT_EQ(COOKIE, cancel->event.cookie);
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(self->handle, event.event.handle);
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(copy, cancel_whose_copy_faults_is_received_by_another_before_released)
{
	struct stalled_receiver receiver;
	union any_event event;
	uint64_t call = cancel_is_held(self, &receiver);

	ASSERT_NE(0, call);
	EXPECT_TRUE(no_event(self->owner));
	ASSERT_EQ(0, stall_break(&self->out));
	EXPECT_EQ(-EFAULT, stalled_join(&receiver));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
	EXPECT_EQ(call, event.cancel.call);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(-ENOENT, reply(self->owner, call, 0, NULL, 0));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
}

TEST_F(copy, cancel_whose_copy_faults_after_its_call_has_ended_is_gone)
{
	struct stalled_receiver receiver;
	union any_event event;
	uint64_t call = cancel_is_held(self, &receiver);

	ASSERT_NE(0, call);
	EXPECT_EQ(-ENOENT, reply(self->owner, call, 0, NULL, 0));
	ASSERT_EQ(0, stall_break(&self->out));
	EXPECT_EQ(-EFAULT, stalled_join(&receiver));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

/* It is in nobody's queue to go back to: it ends, and RELEASED comes. */
TEST_F(copy, notification_whose_copy_faults_after_its_callback_was_released_is_gone)
{
	struct stalled_receiver receiver;
	union any_event event;

	ASSERT_EQ(0, notify(self->caller, self->handle, "x", 1));
	ASSERT_TRUE(stalled_receive(&receiver, self->owner, &self->out, 1));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	ASSERT_EQ(0, stall_break(&self->out));
	EXPECT_EQ(-EFAULT, stalled_join(&receiver));
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->caller).queued_calls);
}

TEST_F(copy, owner_that_shuts_down_while_a_cancel_is_written_leaves_nothing)
{
	struct stalled_receiver receiver;

	ASSERT_NE(0, cancel_is_held(self, &receiver));
	ASSERT_EQ(0, shut_down(self->owner));
	ASSERT_EQ(0, stall_end(&self->out, NULL));
	EXPECT_EQ(0, stalled_join(&receiver));
	EXPECT_EQ(UPCALL_STATE_DEAD, stat_of(self->caller, self->handle).state);
	EXPECT_EQ(0, usage(self->caller).queued_calls);
	EXPECT_EQ(0, usage(self->caller).callbacks);
}

/* Gets the CANCEL, and ends its call at once, before whoever put it back can go on. */
struct hasty {
	pthread_t thread;
	int fd;
	uint64_t call;
	int type;
	int ret;
};

static int to_one_processor(pthread_t thread)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	return pthread_setaffinity_np(thread, sizeof(first), &first);
}

static void *hasty_main(void *arg)
{
	struct sched_param urgent = { .sched_priority = 1 };
	struct hasty *hasty = arg;
	union any_event event;

	if (to_one_processor(pthread_self()) || sched_setscheduler(0, SCHED_FIFO, &urgent)) {
		hasty->type = -EPERM;
		return NULL;
	}
	hasty->ret = receive(hasty->fd, &event, sizeof(event), 0, 0, NULL);
	hasty->type = hasty->ret ? : (int)event.event.type;
	hasty->ret = reply(hasty->fd, hasty->call, 0, NULL, 0);
	return NULL;
}

/* With KASAN, and a kernel that preempts, this sees who touches what has been freed. */
TEST_F(copy, cancel_that_is_put_back_is_left_alone_by_the_one_who_did)
{
	struct stalled_receiver receiver;
	struct hasty hasty = { .fd = self->owner };
	union any_event event;

	hasty.call = cancel_is_held(self, &receiver);
	ASSERT_NE(0, hasty.call);
	ASSERT_EQ(0, to_one_processor(receiver.thread));
	ASSERT_EQ(0, pthread_create(&hasty.thread, NULL, hasty_main, &hasty));
	ASSERT_TRUE(eventually(receivers_of(self->caller) == 1));
	ASSERT_EQ(0, stall_break(&self->out));
	EXPECT_EQ(-EFAULT, stalled_join(&receiver));
	pthread_join(hasty.thread, NULL);
	EXPECT_EQ(UPCALL_EVENT_CANCEL, hasty.type);
	EXPECT_EQ(-ENOENT, hasty.ret);
	EXPECT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_TRUE(no_event(self->owner));
}

#define ROUNDS (300 / UPCALL_SLOW)

struct faulter {
	pthread_t thread;
	int fd;
	bool stop;
};

/* Receives all but calls into memory that there is not. */
static void *faulter_main(void *arg)
{
	struct faulter *faulter = arg;

	while (!__atomic_load_n(&faulter->stop, __ATOMIC_ACQUIRE))
		receive(faulter->fd, (void *)8, PAGE, 0, UPCALL_EXCHANGE_NONBLOCK, NULL);
	return NULL;
}

TEST_F(copy, cancel_that_others_cannot_take_is_received_once)
{
	struct faulter faulter = { .fd = self->owner };
	struct upcall_event_call call;
	union any_event event;
	struct async async;
	uint64_t handle;
	int i;

	ASSERT_EQ(0, pthread_create(&faulter.thread, NULL, faulter_main, &faulter));
	for (i = 0; i < ROUNDS; i++) {
		handle = register_new(self->owner, i, UPCALL_ACCESS_SAME_USER);
		ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(handle)));
		ASSERT_EQ(0, one_call(self->owner, &call));
		ASSERT_EQ(0, release(self->owner, handle, UPCALL_RELEASE_ABORT));
		ASSERT_EQ(-ECANCELED, async_join(&async));
		ASSERT_EQ(UPCALL_EVENT_CANCEL, one_event(self->owner, &event));
		ASSERT_EQ(call.call, event.cancel.call);
		ASSERT_EQ(-ENOENT, reply(self->owner, call.call, 0, NULL, 0));
		ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
		ASSERT_EQ(handle, event.event.handle);
	}
	__atomic_store_n(&faulter.stop, true, __ATOMIC_RELEASE);
	pthread_join(faulter.thread, NULL);
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

/* --- a handle that is being written ------------------------------------------------ */

#define SLOT_BITS	22
#define AT_A_TIME	200
#define MAX_ISSUED	400000

static uint64_t issued[MAX_ISSUED];
static unsigned char times_issued[1 << SLOT_BITS];

/* AT_A_TIME callbacks come and go. The most often that one slot has been used, or -errno. */
static int come_and_go(int fd, uint64_t *handles)
{
	static struct upcall_event events[AT_A_TIME];
	static struct upcall_command cmds[AT_A_TIME];
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
		.command_count = AT_A_TIME, .events = ptr64(events), .events_len = sizeof(events));
	int i, err, times, most = 0;

	for (i = 0; i < AT_A_TIME; i++) {
		handles[i] = register_new(fd, i, UPCALL_ACCESS_SAME_USER);
		cmds[i] = COMMAND(RELEASE, handles[i]);
		times = ++times_issued[handles[i] & ((1 << SLOT_BITS) - 1)];
		most = times > most ? times : most;
	}
	err = verb(fd, UPCALL_IOC_EXCHANGE, &args);
	if (!err && (args.commands_failed || args.event_count != AT_A_TIME))
		err = -EIO;
	return err ? err : most;
}

static void *register_main(void *arg)
{
	struct stalled_receiver *thread = arg;

	thread->ret = verb(thread->fd, UPCALL_IOC_REGISTER,
			   (void *)(uintptr_t)thread->args.commands);
	return NULL;
}

/* Slots are used in turn, once there are many: so all have been, twice, before one is thrice. */
TEST_F_TIMEOUT(copy, handles_are_dead_although_their_slot_is_just_issued_again, 150)
{
	struct upcall_register *args = (void *)(self->out.page -
						offsetof(struct upcall_register, handle));
	struct stalled_receiver thread = { .fd = self->owner, .args.commands = ptr64(args) };
	int most = 0, count = 0, alive = 0, i;

	while (most < 3 && count + AT_A_TIME <= MAX_ISSUED) {
		most = come_and_go(self->owner, issued + count);
		ASSERT_LT(0, most);
		count += AT_A_TIME;
	}
	ASSERT_EQ(3, most);
	*args = REGISTER_ARGS();
	ASSERT_EQ(0, stall_protect(&self->out, true));
	ASSERT_EQ(0, pthread_create(&thread.thread, NULL, register_main, &thread));
	ASSERT_TRUE(stall_is_hit(&self->out));
	for (i = 0; i < count; i++)
		alive += stat_of(self->caller, issued[i]).state != UPCALL_STATE_DEAD;
	EXPECT_EQ(0, alive);
	ASSERT_EQ(0, stall_end(&self->out, NULL));
	EXPECT_EQ(0, stalled_join(&thread));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->caller, args->handle).state);
}

TEST_HARNESS_MAIN
