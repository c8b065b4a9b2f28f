// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library under threads: callbacks come and go while they are called. Run it also with
 * -fsanitize=thread and -fsanitize=address.
 */
#include "kselftest_harness.h"
#include "lib_test.h"

#define CALLERS	3
#define ROUNDS	60

struct object {
	atomic_int *live;
	int *closure;		/* gone with the hook: touching it later is a bug that ASAN sees */
};

static int work(struct upcall_incoming *incoming, void *user)
{
	struct object *object = user;

	switch (upcall_incoming_op(incoming) % 4) {
	case 0:
		return *object->closure;
	case 1:
		upcall_reply(incoming, *object->closure, "x", 1);
		return *object->closure;
	case 2:
		upcall_refuse(incoming, EIO);
		return 0;
	default:
		upcall_incoming_keep(incoming);
		upcall_reply(incoming, *object->closure, NULL, 0);
		upcall_incoming_free(incoming);
		return 0;
	}
}

static void gone(void *user)
{
	struct object *object = user;

	(*object->live)--;
	free(object->closure);
	free(object);
}

struct storm {
	struct upcall_peer *owner;
	_Atomic uint64_t handle;
	atomic_int live;
	atomic_int made;
	atomic_int wrong;
	atomic_int ran;
	atomic_bool end;
};

static struct upcall_callback *make(struct storm *storm)
{
	struct object *object = malloc(sizeof(*object));
	struct upcall_callback *callback;

	object->closure = malloc(sizeof(int));
	*object->closure = 5;
	object->live = &storm->live;
	storm->live++;
	storm->made++;
	if (upcall_callback_new(storm->owner, NULL, work, object, gone, &callback)) {
		storm->wrong++;
		return NULL;
	}
	storm->handle = upcall_callback_handle(callback);
	return callback;
}

/* Every outcome is one that the header promises. */
static void judge(struct storm *storm, struct upcall_call *call, uint32_t op, int ret)
{
	uint32_t stage = upcall_call_stage(call);
	bool good;

	if (ret >= 0)
		good = op % 4 != 2 && stage == UPCALL_STAGE_REPLIED && upcall_call_status(call) == 5;
	else if (ret == -EIO)
		good = op % 4 == 2 && stage == UPCALL_STAGE_NOT_DELIVERED;
	else
		good = ret == -ESTALE && stage == UPCALL_STAGE_NOT_DELIVERED;
	if (!good)
		storm->wrong++;
	if (ret >= 0)
		storm->ran++;
}

static void *call_storm(void *arg)
{
	struct storm *storm = arg;
	struct upcall_peer *peer;
	struct upcall_call *call;
	uint32_t op = 0;
	int ret;

	if (upcall_open(NULL, &peer) || upcall_call_new(peer, &call)) {
		storm->wrong++;
		return NULL;
	}
	while (!storm->end) {
		op++;
		ret = upcall_call_invoke(call, storm->handle, op, &op, sizeof(op), SOON);
		judge(storm, call, op, ret);
	}
	upcall_call_free(call);
	upcall_close(peer);
	return NULL;
}

TEST(callbacks_come_and_go_while_they_are_called)
{
	struct storm storm = { 0 };
	struct owner owner = { 0 };
	struct upcall_callback *callback, *next;
	pthread_t callers[CALLERS];

	ASSERT_EQ(0, upcall_open(NULL, &storm.owner));
	owner.peer = storm.owner;
	callback = make(&storm);
	ASSERT_EQ(0, owner_start(&owner, 3));
	for (int i = 0; i < CALLERS; i++)
		ASSERT_EQ(0, pthread_create(&callers[i], NULL, call_storm, &storm));
	for (int i = 0; i < ROUNDS; i++) {
		usleep(2000);
		next = make(&storm);
		ASSERT_NE(NULL, next);
		upcall_callback_unref(callback);
		callback = next;
	}
	/* The callers may have begun late: the last callback is there for them. */
	EXPECT_TRUE(eventually(storm.ran));
	storm.end = true;
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	EXPECT_EQ(0, upcall_stop(storm.owner));
	EXPECT_EQ(0, owner_join(&owner));
	EXPECT_EQ(ROUNDS + 1, storm.made);
	EXPECT_EQ(0, storm.live);
	EXPECT_EQ(0, storm.wrong);
	upcall_callback_unref(callback);
	upcall_close(storm.owner);
}

static void *dispatch_till_end(void *peer)
{
	int ret;

	do
		ret = upcall_dispatch(peer, UPCALL_NO_DEADLINE);
	while (ret > 0);
	return (void *)(intptr_t)ret;
}

TEST(close_while_threads_wait_and_calls_run_leaves_nothing_behind)
{
	for (int round = 0; round < 20; round++) {
		struct storm storm = { 0 };
		struct upcall_callback *callback;
		struct caller caller = { 0 };
		struct upcall_peer *other;
		pthread_t thread;
		void *ret;

		ASSERT_EQ(0, upcall_open(NULL, &storm.owner));
		ASSERT_EQ(0, upcall_open(NULL, &other));
		callback = make(&storm);
		ASSERT_NE(NULL, callback);
		ASSERT_EQ(0, pthread_create(&thread, NULL, dispatch_till_end, storm.owner));
		ASSERT_EQ(0, caller_start(&caller, other, storm.handle));
		usleep((unsigned int)round * 100);
		upcall_shutdown(storm.owner);
		pthread_join(thread, &ret);
		EXPECT_EQ(-ESHUTDOWN, (int)(intptr_t)ret);
		upcall_close(storm.owner);
		EXPECT_EQ(0, storm.live);
		caller_join(&caller);
		upcall_callback_unref(callback);
		upcall_call_free(caller.call);
		upcall_close(other);
	}
}

TEST_HARNESS_MAIN
