// SPDX-License-Identifier: GPL-2.0-only
/*
 * Alice floods: several processes, each with threads that call, that notify and that register
 * from many peers. Bob calls the same callback meanwhile. What is asserted does not
 * depend on the machine: Bob is always let in, and what is delivered before a call of his
 * is no more than the queue holds. Times are printed only, as lines "# flood: ...".
 */
#include "kselftest_harness.h"
#include <pthread.h>
#include "puppet.h"

#define PARAMETERS	"/sys/module/upcall/parameters/"
#define QUEUE		64	/* calls */
#define PROCESSES	4
#define PEERS		32	/* of each process, to register from */
#define CALLS		100
#define CALLBACKS	4096	/* in all, while these tests run */

/* What all processes share. */
struct shared {
	bool stop;		/* flooding */
	bool over;		/* nobody calls any more */
	bool gate;		/* closed: the owner receives nothing */
	bool stopped;		/* it has noticed */
	uint64_t delivered;	/* seq of the call that the owner received last */
	uint64_t accepted;	/* of Alice's */
	uint64_t refused;
	uint64_t registered;
	uint64_t took[CALLS];	/* Bob's: nanoseconds of each call */
	uint64_t ahead;		/* the most calls that were delivered between submit and delivery */
};

static struct shared *shared;

#define get(member)		__atomic_load_n(&shared->member, __ATOMIC_SEQ_CST)
#define set(member, value)	__atomic_store_n(&shared->member, (value), __ATOMIC_SEQ_CST)
#define count(member)		__atomic_add_fetch(&shared->member, 1, __ATOMIC_SEQ_CST)

FIXTURE(flood) {
	struct puppet owner, bob, alices[PROCESSES];
	uint64_t handle;
};

/* One call at a time, in order, until nobody calls any more and the test says so. */
static int do_serve(struct puppet_mem *mem)
{
	struct upcall_exchange args;
	int err = 0;

	while (!err || err == -ETIMEDOUT) {
		set(stopped, get(gate));
		if (get(gate))
			continue;
		if (get(over) && err)
			return 0;
		args = (struct upcall_exchange){
			.size = sizeof(args), .deadline_ns = in_ms(20), .max_calls = 1,
			.events = ptr64(&mem->event), .events_len = sizeof(mem->event),
		};
		err = verb(my_peer, UPCALL_IOC_EXCHANGE, &args);
		if (err)
			continue;
		set(delivered, mem->event.call.seq);
		reply(my_peer, mem->event.call.call, 0, NULL, 0);
	}
	return err;
}

static void *flood_with(uint32_t flags)
{
	int fd = peer_open();

	while (!get(stop)) {
		struct upcall_invoke args = INVOKE_ARGS(my_mem->handle, .flags = flags);

		if (verb(fd, UPCALL_IOC_INVOKE, &args))
			count(refused);
		else
			count(accepted);
	}
	close(fd);
	return NULL;
}

static void *flood_calls(void *arg)
{
	(void)arg;
	return flood_with(UPCALL_INVOKE_NO_DEADLINE);
}

static void *flood_notifications(void *arg)
{
	(void)arg;
	return flood_with(UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_ONEWAY);
}

static void *flood_waiting(void *arg)
{
	(void)arg;
	return flood_with(UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_WAIT_ROOM);
}

static void *flood_registry(void *arg)
{
	int fds[PEERS], i;

	(void)arg;
	for (i = 0; i < PEERS; i++)
		fds[i] = peer_open();
	for (i = 0; !get(stop); i = (i + 1) % PEERS) {
		if (register_new(fds[i], 0, UPCALL_ACCESS_ANYONE))
			count(registered);
	}
	for (i = 0; i < PEERS; i++)
		close(fds[i]);
	return NULL;
}

static int do_flood(struct puppet_mem *mem)
{
	static void *(*const mains[])(void *) = {
		flood_calls, flood_notifications, flood_waiting, flood_registry,
	};
	pthread_t threads[4];
	int i;

	(void)mem;
	for (i = 0; i < 4; i++) {
		if (pthread_create(&threads[i], NULL, mains[i], NULL))
			return -EAGAIN;
	}
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* Bob's calls: how many failed. Every other one is a notification, told what is before it. */
static int do_calls(struct puppet_mem *mem)
{
	uint64_t began, ahead;
	int i, failed = 0;

	for (i = 0; i < CALLS; i++) {
		mem->inv = INVOKE_ARGS(mem->handle);
		began = now_ns();
		failed += !!verb(my_peer, UPCALL_IOC_INVOKE, &mem->inv);
		shared->took[i] = now_ns() - began;
		mem->inv = INVOKE_ARGS(mem->handle, .flags = UPCALL_INVOKE_NO_DEADLINE |
				       UPCALL_INVOKE_ONEWAY);
		failed += !!verb(my_peer, UPCALL_IOC_INVOKE, &mem->inv);
		ahead = get(delivered);
		ahead = mem->inv.seq > ahead ? mem->inv.seq - 1 - ahead : 0;
		if (ahead > shared->ahead)
			shared->ahead = ahead;
	}
	return failed;
}

/* How many callbacks Bob can have; he gives them back. */
static int do_register_all(struct puppet_mem *mem)
{
	int fd = peer_open(), n = 0;

	(void)mem;
	while (register_new(fd, 0, UPCALL_ACCESS_ANYONE))
		n++;
	close(fd);
	return n;
}

FIXTURE_SETUP(flood)
{
	int i;

	shared = shared_alloc(sizeof(*shared));
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	ASSERT_TRUE(write_to(PARAMETERS "max_callbacks", "4096"));
	self->owner = puppet_new();
	self->bob = puppet_of(BOB);
	self->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE,
					     .max_queued_calls = QUEUE);
	ASSERT_EQ(0, puppet_do(&self->owner, do_register));
	self->handle = self->owner.mem->handle;
	self->bob.mem->handle = self->handle;
	for (i = 0; i < PROCESSES; i++) {
		self->alices[i] = puppet_of(ALICE);
		self->alices[i].mem->handle = self->handle;
	}
}

FIXTURE_TEARDOWN(flood)
{
	int i;

	write_to(PARAMETERS "max_callbacks", "4194304");
	puppet_kill(&self->owner, SIGKILL);
	puppet_kill(&self->bob, SIGKILL);
	for (i = 0; i < PROCESSES; i++)
		puppet_kill(&self->alices[i], SIGKILL);
	EXPECT_TRUE(eventually(user_owes_nothing(my_peer, ALICE) &&
			       user_owes_nothing(my_peer, BOB)));
}

/* It floods when this returns: something was refused, and Alice can register no more. */
static bool flood_start(FIXTURE_DATA(flood) *self)
{
	int i;

	for (i = 0; i < PROCESSES; i++)
		puppet_start(&self->alices[i], do_flood);
	return eventually(get(refused) > 0 && get(registered) == CALLBACKS / 2);
}

static bool flood_stop(FIXTURE_DATA(flood) *self)
{
	bool stopped = true;
	int i;

	set(stop, true);
	for (i = 0; i < PROCESSES; i++)
		stopped &= !puppet_wait(&self->alices[i]);
	set(over, true);
	return stopped && !puppet_wait(&self->owner);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A line of figures, at once: a test that ends flushes nothing. */
#define figure(format, ...) dprintf(STDOUT_FILENO, "# flood: " format "\n", __VA_ARGS__)

static void print_times(const char *when)
{
	uint64_t *took = shared->took;

	qsort(took, CALLS, sizeof(*took), compare);
	figure("%s: min %.1f ms, median %.1f, 99 %% %.1f, max %.1f", when, took[0] / 1e6,
	       took[CALLS / 2] / 1e6, took[CALLS * 99 / 100] / 1e6, took[CALLS - 1] / 1e6);
}

/* One more than the queue holds: the call that the owner has, and has not told us of yet. */
TEST_F(flood, keeps_no_other_uid_out_and_its_wait_is_bounded)
{
	puppet_start(&self->owner, do_serve);
	EXPECT_EQ(0, puppet_do(&self->bob, do_calls));
	print_times("a call without a flood");
	shared->ahead = 0;
	ASSERT_TRUE(flood_start(self));
	EXPECT_EQ(0, puppet_do(&self->bob, do_calls));
	print_times("a call of another uid in a flood");
	EXPECT_GE(QUEUE + 1, get(ahead));
	EXPECT_TRUE(flood_stop(self));
	figure("%d calls of it, 0 refused; at most %ju others delivered before one, of a queue of %d",
	       2 * CALLS, (uintmax_t)get(ahead), QUEUE);
	figure("meanwhile %ju calls of the flood accepted, %ju refused", (uintmax_t)get(accepted),
	       (uintmax_t)get(refused));
}

TEST_F(flood, has_half_of_a_queue_whose_owner_is_stopped)
{
	struct upcall_stat stat;
	int i;

	puppet_start(&self->owner, do_serve);
	ASSERT_TRUE(flood_start(self));
	for (i = 0; i < 10; i++) {
		set(gate, true);
		ASSERT_TRUE(eventually(get(stopped)));
		ASSERT_TRUE(eventually(listed_callback(my_peer, self->handle).queued == QUEUE / 2));
		EXPECT_EQ(0, puppet_notify(&self->bob, self->handle));
		EXPECT_EQ(QUEUE / 2, self->bob.mem->inv.seq - 1 - get(delivered));
		set(gate, false);
		ASSERT_TRUE(eventually(get(delivered) >= self->bob.mem->inv.seq));
	}
	EXPECT_TRUE(flood_stop(self));
	stat = puppet_stat(&self->owner, self->handle);
	EXPECT_EQ(0, stat.queued);
	EXPECT_LT(0, stat.refused);
}

TEST_F(flood, of_registrations_leaves_half_of_the_rest_to_the_next)
{
	uint64_t had;
	int i, left;

	puppet_start(&self->owner, do_serve);
	ASSERT_TRUE(flood_start(self));
	/* An attempt of the flood that is refused meanwhile takes nothing */
	for (i = 0; i < 10; i++) {
		left = puppet_do(&self->bob, do_register_all);
		EXPECT_EQ(CALLBACKS / 4, left);
	}
	had = get(registered);	/* those that stop give theirs back, for others to have */
	EXPECT_EQ(CALLBACKS / 2, had);
	EXPECT_TRUE(flood_stop(self));
	figure("from %d peers %ju of %d callbacks registered, %d left to another uid",
	       PROCESSES * PEERS, (uintmax_t)had, CALLBACKS, left);
}

TEST_HARNESS_MAIN
