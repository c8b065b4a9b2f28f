// SPDX-License-Identifier: GPL-2.0-only
/* SERIAL with several receivers, and LATEST with many senders, under load. */
#include "abi_call.h"
#include <sched.h>

#define RECEIVERS	4
#define SENDERS		6
#define ROUNDS		250

/* What the receivers of one peer see; under @lock. */
struct seen_by_all {
	int owner;
	pthread_mutex_t lock;
	uint32_t running;	/* SERIAL: calls between receipt and reply */
	uint64_t seq;
	uint32_t received, dropped;
	uint32_t last[SENDERS];	/* what each has sent, last received */
	uint32_t together, disorder;	/* what must not be */
	bool serial, latest;
};

/* What a sender sends: it says who it is, and counts. */
struct message {
	uint32_t sender, count;
};

static void note(struct seen_by_all *all, const struct upcall_event_call *call, struct message message)
{
	pthread_mutex_lock(&all->lock);
	if (all->serial) {
		all->together += all->running++ != 0;
		all->disorder += message.count <= all->last[message.sender];
	}
	if (all->serial && !all->latest) {
		all->disorder += call->seq != all->seq + 1;
		all->disorder += message.count != all->last[message.sender] + 1;
	}
	all->seq = call->seq;
	/* Without SERIAL they are received in order, and seen here in any. */
	if (message.count > all->last[message.sender])
		all->last[message.sender] = message.count;
	all->received++;
	all->dropped += call->dropped;
	pthread_mutex_unlock(&all->lock);
}

static void note_end(struct seen_by_all *all)
{
	pthread_mutex_lock(&all->lock);
	all->running -= all->serial;
	pthread_mutex_unlock(&all->lock);
}

static void *receiver_main(void *arg)
{
	struct seen_by_all *all = arg;
	struct {
		struct upcall_event_call call;
		struct message message;
	} event;
	struct upcall_exchange args;

	for (;;) {
		/* Room for one: what comes is received by whoever is free. */
		args = EXCHANGE_ARGS(.events = ptr64(&event), .events_len = sizeof(event),
				     .max_calls = 1);
		if (verb(all->owner, UPCALL_IOC_EXCHANGE, &args))
			return NULL;
		note(all, &event.call, event.message);
		sched_yield();
		note_end(all);
		reply(all->owner, event.call.call, 0, NULL, 0);
	}
}

struct sender {
	uint64_t handle;
	uint32_t index, failed;
	struct upcall_invoke args;	/* what it sends */
	pthread_t thread;
};

static void *sender_main(void *arg)
{
	struct sender *sender = arg;
	struct message message = { .sender = sender->index };
	int fd = peer_open();

	while (message.count < ROUNDS) {
		struct upcall_invoke args = sender->args;

		message.count++;
		args.target = sender->handle;
		args.arg = ptr64(&message);
		args.arg_len = sizeof(message);
		/* now and then a call among the notifications, and its answer */
		if (!(args.flags & UPCALL_INVOKE_LATEST) && message.count % 5 == sender->index % 5)
			args.flags &= ~UPCALL_INVOKE_ONEWAY;
		sender->failed += verb(fd, UPCALL_IOC_INVOKE, &args) != 0;
	}
	close(fd);
	return NULL;
}

FIXTURE(load) {
	struct seen_by_all all;
	pthread_t receivers[RECEIVERS];
	struct sender senders[SENDERS];
};

FIXTURE_SETUP(load)
{
	self->all = (struct seen_by_all){ .owner = peer_open() };
	pthread_mutex_init(&self->all.lock, NULL);
	ASSERT_TRUE(alone(self->all.owner));
}

FIXTURE_TEARDOWN(load)
{
	close(self->all.owner);
}

static int start(FIXTURE_DATA(load) *self, uint32_t register_flags, uint32_t invoke_flags)
{
	struct upcall_register reg = REGISTER_ARGS(.flags = register_flags);
	int i, err;

	self->all.serial = register_flags & UPCALL_REGISTER_SERIAL;
	self->all.latest = invoke_flags & UPCALL_INVOKE_LATEST;
	err = verb(self->all.owner, UPCALL_IOC_REGISTER, &reg);
	for (i = 0; i < RECEIVERS && !err; i++)
		err = pthread_create(&self->receivers[i], NULL, receiver_main, &self->all);
	for (i = 0; i < SENDERS && !err; i++) {
		self->senders[i] = (struct sender){ .handle = reg.handle, .index = i,
			.args = INVOKE_ARGS(0, .flags = invoke_flags | UPCALL_INVOKE_NO_DEADLINE) };
		err = pthread_create(&self->senders[i].thread, NULL, sender_main, &self->senders[i]);
	}
	return err;
}

/* All have sent what they send, and all of that is over. */
static bool ended(FIXTURE_DATA(load) *self)
{
	uint64_t handle = self->senders[0].handle;
	int i;

	for (i = 0; i < SENDERS; i++)
		pthread_join(self->senders[i].thread, NULL);
	if (!eventually(!stat_of(self->all.owner, handle).queued &&
			!stat_of(self->all.owner, handle).running))
		return false;
	shut_down(self->all.owner);
	for (i = 0; i < RECEIVERS; i++)
		pthread_join(self->receivers[i], NULL);
	return true;
}

TEST_F(load, serial_calls_never_run_together_and_keep_their_order)
{
	int i;

	ASSERT_EQ(0, start(self, UPCALL_REGISTER_SERIAL, UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_WAIT_ROOM));
	ASSERT_TRUE(ended(self));
	EXPECT_EQ(0, self->all.together);
	EXPECT_EQ(0, self->all.disorder);
	EXPECT_EQ(SENDERS * ROUNDS, self->all.received);
	for (i = 0; i < SENDERS; i++)
		EXPECT_EQ(0, self->senders[i].failed);
}

TEST_F(load, latest_of_every_sender_arrives_and_each_replaced_one_is_counted)
{
	int i;

	ASSERT_EQ(0, start(self, 0, UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_LATEST));
	ASSERT_TRUE(ended(self));
	EXPECT_EQ(SENDERS * ROUNDS, self->all.received + self->all.dropped);
	for (i = 0; i < SENDERS; i++) {
		/* with one place in the queue each, there is always room */
		EXPECT_EQ(0, self->senders[i].failed);
		EXPECT_EQ(ROUNDS, self->all.last[i]);
	}
	TH_LOG("%u received, %u replaced", self->all.received, self->all.dropped);
}

TEST_F(load, latest_of_a_serial_callback_keeps_the_order_of_each_sender)
{
	int i;

	ASSERT_EQ(0, start(self, UPCALL_REGISTER_SERIAL, UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_LATEST));
	ASSERT_TRUE(ended(self));
	EXPECT_EQ(0, self->all.together);
	EXPECT_EQ(0, self->all.disorder);
	EXPECT_EQ(SENDERS * ROUNDS, self->all.received + self->all.dropped);
	for (i = 0; i < SENDERS; i++) {
		EXPECT_EQ(0, self->senders[i].failed);
		EXPECT_EQ(ROUNDS, self->all.last[i]);
	}
}

TEST_HARNESS_MAIN
