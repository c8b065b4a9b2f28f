// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lookups that are late: they have found a callback's memory, and by the time they look at it, it
 * is another one's, perhaps in the same slot. The test build holds them there, and uses a slot again
 * at once.
 */
#include "abi_test.h"
#include "hook.h"

#define SLOT_BITS	22
#define SLOT_MASK	((1U << SLOT_BITS) - 1)
#define GENERATION_MAX	((1U << 31) - 1)
/* More than other programs of this boot leave near the end of their generations. */
#define SLOTS_MAX	100000

FIXTURE(late) {
	int owner;
	int caller;
	uint64_t handle;
};

/* In a slot that can be used again and again. */
static uint64_t register_early(int fd)
{
	uint64_t handle = 0;
	int i;

	for (i = 0; i < SLOTS_MAX; i++) {
		handle = register_new(fd, COOKIE, UPCALL_ACCESS_SAME_USER);
		if (handle >> SLOT_BITS < GENERATION_MAX - 2)
			return handle;
	}
	return 0;
}

FIXTURE_SETUP(late)
{
	/* A thread that is held spins. */
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP_TEST("there is one processor");
	ASSERT_EQ(0, hook_clear());
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, self->caller);
	self->handle = register_early(self->owner);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(late)
{
	EXPECT_EQ(0, hook_clear());
	EXPECT_EQ(0, hook_parameter("reuse", "0"));
	close(self->owner);
	close(self->caller);
}

static uint64_t slot_of(uint64_t handle)
{
	return handle & SLOT_MASK;
}

/* From here on its memory is free for the next one. */
static bool release_and_read(int fd, uint64_t handle)
{
	union any_event event;

	return !release(fd, handle, 0) && one_event(fd, &event) == UPCALL_EVENT_RELEASED;
}

static uint64_t next_in_slot(uint64_t handle)
{
	return handle + (1ULL << SLOT_BITS);
}

/* Notifies whoever has @handle; is held as soon as it has found what stands in its slot. */
static bool caller_is_held(FIXTURE_DATA(late) *self, struct async *async, uint64_t handle)
{
	struct upcall_invoke args = INVOKE_ARGS(handle);

	args.flags |= UPCALL_INVOKE_ONEWAY;
	return !hook_parameter("reuse", "1") && !hook_arm("found") &&
	       !async_start(async, self->caller, args) && hook_is_hit("found");
}

struct registrar {
	struct upcall_register *args;
	pthread_t thread;
	int fd;
	int ret;
};

static void *registrar_main(void *arg)
{
	struct registrar *registrar = arg;

	registrar->ret = verb(registrar->fd, UPCALL_IOC_REGISTER, registrar->args);
	return NULL;
}

/* A REGISTER that has reserved its handle, and cannot write it. */
static bool registrar_is_held(struct registrar *registrar, int fd)
{
	char *pages = pages_alloc(2);

	registrar->fd = fd;
	registrar->args = (void *)(pages + PAGE - offsetof(struct upcall_register, handle));
	*registrar->args = REGISTER_ARGS();
	return !page_allow(pages + PAGE, PROT_READ) && !hook_arm("reserved") &&
	       !pthread_create(&registrar->thread, NULL, registrar_main, registrar) &&
	       hook_is_hit("reserved");
}

TEST_F(late, lookup_finds_no_callback_whose_registration_may_still_fail)
{
	struct registrar registrar;
	struct async async;

	ASSERT_TRUE(caller_is_held(self, &async, next_in_slot(self->handle)));
	ASSERT_TRUE(release_and_read(self->owner, self->handle));
	ASSERT_TRUE(registrar_is_held(&registrar, self->owner));
	ASSERT_EQ(0, hook_resume("found"));
	EXPECT_EQ(-ESTALE, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, async.args.stage);
	ASSERT_EQ(0, hook_resume("reserved"));
	pthread_join(registrar.thread, NULL);
	EXPECT_EQ(-EFAULT, registrar.ret);
	EXPECT_TRUE(no_event(self->owner));
}

/* Or it finds none, if the memory is another: then it came before. */
TEST_F(late, lookup_of_a_handle_that_has_been_issued_since_finds_that_one)
{
	union any_event event;
	struct async async;
	uint64_t handle;

	ASSERT_TRUE(caller_is_held(self, &async, next_in_slot(self->handle)));
	ASSERT_TRUE(release_and_read(self->owner, self->handle));
	handle = register_new(self->owner, COOKIE + 1, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(next_in_slot(self->handle), handle);
	ASSERT_EQ(0, hook_resume("found"));
	if (async_join(&async)) {
		EXPECT_EQ(-ESTALE, async.ret);
		return;
	}
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(handle, event.event.handle);
	EXPECT_EQ(COOKIE + 1, event.event.cookie);
}

TEST_F(late, lookup_does_not_find_the_one_that_has_the_memory_of_what_it_names)
{
	struct async async;
	uint64_t handle;

	ASSERT_TRUE(caller_is_held(self, &async, self->handle));
	ASSERT_TRUE(release_and_read(self->owner, self->handle));
	handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(next_in_slot(self->handle), handle);
	ASSERT_EQ(0, hook_resume("found"));
	EXPECT_EQ(-ESTALE, async_join(&async));
	EXPECT_EQ(UPCALL_REASON_RELEASED, async.args.reason);
	/* The late one has left it as it was: it can be called, and ends. */
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_EQ(UPCALL_STATE_LIVE, stat_of(self->owner, handle).state);
	EXPECT_TRUE(release_and_read(self->owner, handle));
}

struct lister {
	struct upcall_list args;
	struct upcall_list_callback record;
	pthread_t thread;
	int fd;
	int ret;
};

static void *lister_main(void *arg)
{
	struct lister *lister = arg;

	lister->ret = verb(lister->fd, UPCALL_IOC_LIST, &lister->args);
	return NULL;
}

/* Held when it has found what stands in the slot of @handle. */
static bool lister_is_held(struct lister *lister, int fd, uint64_t handle)
{
	*lister = (struct lister){
		.args = {
			.size = sizeof(lister->args), .what = UPCALL_LIST_CALLBACKS,
			.cursor = slot_of(handle), .buffer = ptr64(&lister->record),
			.buffer_len = sizeof(lister->record),
			.record_size = sizeof(lister->record),
		},
		.fd = fd,
	};
	return !hook_arm("listing") &&
	       !pthread_create(&lister->thread, NULL, lister_main, lister) &&
	       hook_is_hit("listing");
}

/* Or else a callback would be listed twice: out of turn, and once more when its turn comes. */
TEST_F(late, list_shows_a_callback_in_the_turn_of_its_slot)
{
	struct lister lister;
	uint64_t handle;

	ASSERT_TRUE(lister_is_held(&lister, self->caller, self->handle));
	ASSERT_TRUE(release_and_read(self->owner, self->handle));
	handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(slot_of(self->handle), slot_of(handle));
	ASSERT_EQ(0, hook_resume("listing"));
	pthread_join(lister.thread, NULL);
	ASSERT_EQ(0, lister.ret);
	if (lister.args.count)
		EXPECT_EQ(slot_of(lister.record.handle) + 1, lister.args.cursor);
}

TEST_HARNESS_MAIN
