// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a slot's generations, which takes 2^30 registrations of one slot to reach: the test
 * build lets new slots begin near it. No value is issued twice, and a used-up slot is retired.
 */
#include "abi_test.h"
#include "hook.h"

#define SLOT_BITS	22
#define GENERATION_MAX	((1U << 31) - 1)
/* As many as make the registry use slots again, each three times, and some new ones. */
#define ROUNDS		56000
#define AT_A_TIME	200
#define EARLY		12345	/* a generation that no slot of another program has, in all likelihood */

static uint64_t handles[ROUNDS];

static int first_generation(unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return hook_parameter("first_generation", text);
}

FIXTURE(generation) {
	int owner;
	int caller;
};

FIXTURE_SETUP(generation)
{
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, self->owner);
}

FIXTURE_TEARDOWN(generation)
{
	EXPECT_EQ(0, first_generation(0));
	EXPECT_EQ(0, hook_parameter("reuse", "0"));
	close(self->owner);
	close(self->caller);
}

static uint32_t generation_of(uint64_t handle)
{
	return handle >> SLOT_BITS;
}

static uint32_t slot_of(uint64_t handle)
{
	return handle & ((1U << SLOT_BITS) - 1);
}

/* RELEASEs @count callbacks and reads what comes of it, in one system call. */
static int release_all(int fd, const uint64_t *which, int count)
{
	static struct upcall_command cmds[AT_A_TIME];
	static struct upcall_event events[AT_A_TIME];
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
		.command_count = count, .events = ptr64(events), .events_len = sizeof(events));
	int i, err;

	for (i = 0; i < count; i++)
		cmds[i] = COMMAND(RELEASE, which[i]);
	err = verb(fd, UPCALL_IOC_EXCHANGE, &args);
	return err ? err : args.commands_failed || args.event_count != (uint32_t)count ? -EIO : 0;
}

static uint64_t next_in_slot(uint64_t handle)
{
	return handle + (1ULL << SLOT_BITS);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

TEST_F(generation, slot_with_its_last_generation_is_retired)
{
	uint64_t last, next;
	union any_event event;

	ASSERT_EQ(0, first_generation(GENERATION_MAX));
	last = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, last);
	EXPECT_GE(UPCALL_MAX_HANDLE, last);
	/* It works as any other. */
	EXPECT_EQ(0, notify(self->caller, last, NULL, 0));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	ASSERT_EQ(0, reply(self->owner, event.call.call, 0, NULL, 0));
	ASSERT_EQ(0, release(self->owner, last, 0));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	next = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, next);
	EXPECT_NE(slot_of(last), slot_of(next));
	EXPECT_EQ(-ESTALE, notify(self->caller, last, NULL, 0));
	EXPECT_EQ(UPCALL_STATE_DEAD, stat_of(self->caller, last).state);
	EXPECT_EQ(UPCALL_REASON_RELEASED, stat_of(self->caller, last).reason);
	/* What would come behind it is no handle at all. */
	EXPECT_EQ(-ESTALE, notify(self->caller, next_in_slot(last), NULL, 0));
}

TEST_F(generation, fault_on_the_handle_uses_a_generation_up)
{
	char *pages = pages_alloc(2);
	struct upcall_register *args =
		(void *)(pages + PAGE - offsetof(struct upcall_register, handle));
	uint64_t next;

	ASSERT_EQ(0, first_generation(GENERATION_MAX));
	*args = REGISTER_ARGS();
	ASSERT_EQ(0, page_allow(pages + PAGE, PROT_READ));
	ASSERT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_REGISTER, args));
	ASSERT_EQ(0, page_allow(pages + PAGE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, args));
	next = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	EXPECT_NE(slot_of(args->handle), slot_of(next));
}

static bool all_differ(uint64_t *some, int count)
{
	int i;

	qsort(some, count, sizeof(some[0]), compare_u64);
	for (i = 1; i < count; i++) {
		if (some[i - 1] == some[i])
			return false;
	}
	return true;
}

/* Registers until every free slot is used, and a new one comes: how many @to has then, or 0. */
static int register_all_free(int fd, uint64_t *to, int max)
{
	int n = 0;

	while (n < max) {
		to[n] = register_new(fd, COOKIE, UPCALL_ACCESS_SAME_USER);
		if (!to[n])
			return 0;
		if (generation_of(to[n++]) == EARLY)
			return n;
	}
	return 0;
}

/* Before the test that frees many. */
TEST_F(generation, free_slots_that_are_used_up_can_be_freed_and_used_again)
{
	uint64_t *live = handles + 5, *freed;
	int i, n;

	ASSERT_TRUE(alone(self->owner));
	for (i = 0; i < 5; i++)
		handles[i] = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(0, release_all(self->owner, handles, 5));
	ASSERT_EQ(0, first_generation(EARLY));
	ASSERT_EQ(0, hook_parameter("reuse", "1"));
	n = register_all_free(self->owner, live, ROUNDS / 2);
	ASSERT_LT(5, n);
	/* The last two are freed, in this order; the others stay. */
	live[n++] = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(EARLY, generation_of(live[n - 1]));
	freed = live + n - 2;
	ASSERT_EQ(0, hook_parameter("reuse", "0"));
	ASSERT_EQ(0, release_all(self->owner, freed, 2));
	for (i = 0; i < n; i++)
		ASSERT_EQ(i < n - 2 ? UPCALL_STATE_LIVE : UPCALL_STATE_DEAD,
			  stat_of(self->owner, live[i]).state);
	ASSERT_EQ(0, hook_parameter("reuse", "1"));
	for (i = 0; i < 3; i++)
		live[n++] = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	EXPECT_EQ(next_in_slot(freed[0]), live[n - 3]);
	EXPECT_EQ(next_in_slot(freed[1]), live[n - 2]);
	EXPECT_EQ(EARLY, generation_of(live[n - 1]));
	EXPECT_TRUE(all_differ(handles, 5 + n));
}

TEST_F_TIMEOUT(generation, no_handle_is_issued_twice_and_none_beyond_the_last, 150)
{
	unsigned int reused = 0, last = 0, others = 0;
	int i;

	ASSERT_EQ(0, first_generation(GENERATION_MAX - 2));
	for (i = 0; i < ROUNDS; i++) {
		handles[i] = register_new(self->owner, i, UPCALL_ACCESS_SAME_USER);
		ASSERT_NE(0, handles[i]);
		ASSERT_GE(UPCALL_MAX_HANDLE, handles[i]);
		others += generation_of(handles[i]) < GENERATION_MAX - 2;
		reused += generation_of(handles[i]) > GENERATION_MAX - 2;
		last += generation_of(handles[i]) == GENERATION_MAX;
		if (i % AT_A_TIME == AT_A_TIME - 1)
			ASSERT_EQ(0, release_all(self->owner, handles + i + 1 - AT_A_TIME,
						 AT_A_TIME));
	}
	/* Slots that were used before us, by other programs of this boot: not many. */
	EXPECT_GT(ROUNDS / 10, others);
	/* Or else this has tested nothing. */
	EXPECT_LT(16384, reused);
	EXPECT_LT(AT_A_TIME, last);
	for (i = 0; i < ROUNDS; i += 1000)
		EXPECT_EQ(-ESTALE, notify(self->caller, handles[i], NULL, 0));
	EXPECT_EQ(UPCALL_STATE_DEAD, stat_of(self->caller, handles[0]).state);
	EXPECT_TRUE(all_differ(handles, ROUNDS));
}

TEST_HARNESS_MAIN
