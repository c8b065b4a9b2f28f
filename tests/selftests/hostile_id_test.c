// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ids that are made up, stolen, out of date or off by a bit, wherever a process may name a call:
 * the answer is ENOENT, and no call notices.
 */
#include "abi_call.h"

/* Calls in every state in which an id is known to somebody. */
enum live {
	QUEUED,
	DELIVERED,
	ANSWERED,	/* its RESULT was not received */
	RECEIVED,	/* over */
	KEPT,		/* an INVOKE whose reply is kept */
	CALLS
};

/* Where a process may name a call. */
enum place { REPLY, REFUSE, CANCEL, CALL_PARENT, INVOKE_PARENT, RESUME, WAIT_CALL, PLACES };

static const char * const place_names[PLACES] = {
	"REPLY", "REFUSE", "CANCEL", "parent of CALL", "parent of INVOKE", "call_id of INVOKE", "wait_call",
};

FIXTURE(id) {
	int owner, caller;
	int other;			/* has a call of each side, too */
	uint64_t handle, other_handle;
	uint64_t owner_id[CALLS], caller_id[CALLS];
	uint64_t other_in, other_out;
};

/* The owner's id of the one call that waits in its queue, or 0. */
static uint64_t queued_id(int fd, uint64_t handle)
{
	struct upcall_list_call calls[16];
	int i, n = list_all(fd, UPCALL_LIST_CALLS, calls, sizeof(calls[0]), LENGTH(calls));

	for (i = 0; i < n; i++) {
		if (calls[i].handle == handle && calls[i].stage == UPCALL_STAGE_NOT_DELIVERED)
			return calls[i].call;
	}
	return 0;
}

/* Calls come and go, so that the ids of one side are none of the other's. */
static int age(int fd, uint64_t handle, int owner, int rounds)
{
	struct upcall_event_call call;
	struct upcall_event_result result;
	uint64_t id;
	int err = 0;

	while (rounds-- && !err) {
		id = call_id_of(fd, handle, 0);
		err = one_call(owner, &call) ?: reply(owner, call.call, 0, NULL, 0) ?:
		      result_of(fd, id, &result);
	}
	return err;
}

/* A call of the caller that has its answer. */
static int answer_one(FIXTURE_DATA(id) *self, enum live which)
{
	struct upcall_event_call call;

	self->caller_id[which] = call_id_of(self->caller, self->handle, which);
	if (one_call(self->owner, &call))
		return -EIO;
	self->owner_id[which] = call.call;
	return reply(self->owner, call.call, 0, NULL, 0);
}

static int keep_one(FIXTURE_DATA(id) *self)
{
	struct upcall_event_call call;
	struct async async;
	int err;

	err = async_start(&async, self->caller, INVOKE_ARGS(self->handle, .reply_max = 8)) ?:
	      one_call(self->owner, &call) ?: reply(self->owner, call.call, 0, "12345678", 8);
	if (err || async_join(&async) != -EMSGSIZE)
		return -EIO;
	self->owner_id[KEPT] = call.call;
	self->caller_id[KEPT] = async.args.call_id;
	return 0;
}

FIXTURE_SETUP(id)
{
	struct upcall_event_result result;
	struct upcall_event_call call;

	self->owner = peer_open();
	self->caller = peer_open();
	self->other = peer_open();
	ASSERT_TRUE(alone(self->owner));
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	self->other_handle = register_new(self->other, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(0, age(self->other, self->other_handle, self->other, 7));
	ASSERT_EQ(0, age(self->caller, self->other_handle, self->other, 20));
	self->other_out = call_id_of(self->other, self->other_handle, 0);
	ASSERT_EQ(0, one_call(self->other, &call));
	self->other_in = call.call;
	ASSERT_EQ(0, answer_one(self, RECEIVED));
	ASSERT_EQ(0, result_of(self->caller, self->caller_id[RECEIVED], &result));
	ASSERT_EQ(0, keep_one(self));
	self->caller_id[DELIVERED] = call_id_of(self->caller, self->handle, DELIVERED);
	ASSERT_EQ(0, one_call(self->owner, &call));
	self->owner_id[DELIVERED] = call.call;
	ASSERT_EQ(0, answer_one(self, ANSWERED));
	self->caller_id[QUEUED] = call_id_of(self->caller, self->handle, QUEUED);
	self->owner_id[QUEUED] = queued_id(self->owner, self->handle);
	ASSERT_NE(0, self->owner_id[QUEUED]);
	ASSERT_NE(self->owner_id[DELIVERED], self->caller_id[DELIVERED]);
}

FIXTURE_TEARDOWN(id)
{
	close(self->owner);
	close(self->caller);
	close(self->other);
}

/* Whether that peer may name a call so, there: such ids are not tried. */
static bool is_right(const FIXTURE_DATA(id) *self, int fd, enum place place, uint64_t id)
{
	if (place == REPLY || place == REFUSE || place == CALL_PARENT || place == INVOKE_PARENT)
		return (fd == self->owner && id == self->owner_id[DELIVERED]) ||
		       (fd == self->other && id == self->other_in);
	if (fd == self->other)
		return id == self->other_out && place != RESUME;
	if (fd == self->owner)
		return false;
	if (id == self->caller_id[KEPT])
		return place != WAIT_CALL;
	return place != RESUME && (id == self->caller_id[QUEUED] ||
	       id == self->caller_id[DELIVERED] || id == self->caller_id[ANSWERED]);
}

/* Names a call in that way. What comes of it. */
static int name_it(const FIXTURE_DATA(id) *self, int fd, enum place place, uint64_t id)
{
	struct upcall_invoke invoke = INVOKE_ARGS(self->other_handle);
	struct upcall_command call = CALL(self->other_handle, .parent = id);
	struct seen seen;

	switch (place) {
	case REPLY:
		return reply(fd, id, 0, NULL, 0);
	case REFUSE:
		return refuse(fd, id, EXDEV);
	case CANCEL:
		return cancel(fd, id);
	case CALL_PARENT:
		return command(fd, &call);
	case INVOKE_PARENT:
		invoke.parent = id;
		return verb(fd, UPCALL_IOC_INVOKE, &invoke);
	case RESUME:
		invoke.call_id = id;
		return verb(fd, UPCALL_IOC_INVOKE, &invoke);
	default:
		return exchange_one(fd, NULL, id, UPCALL_EXCHANGE_NONBLOCK, 0, &seen);
	}
}

/* 0 in these places is no name at all. */
static bool means_none(enum place place, uint64_t id)
{
	return !id && place != REPLY && place != REFUSE && place != CANCEL;
}

/* Every place, on every peer. How often the answer was another one than ENOENT. */
static int accepted(struct __test_metadata *_metadata, const FIXTURE_DATA(id) *self, uint64_t id)
{
	const int fds[] = { self->owner, self->caller, self->other };
	enum place place;
	size_t i;
	int ret, n = 0;

	for (i = 0; i < LENGTH(fds); i++) {
		for (place = 0; place < PLACES; place++) {
			if (means_none(place, id) || is_right(self, fds[i], place, id))
				continue;
			ret = name_it(self, fds[i], place, id);
			if (ret == -ENOENT)
				continue;
			TH_LOG("id %llx, %s, peer %zu: %d", (unsigned long long)id,
			       place_names[place], i, ret);
			n++;
		}
	}
	return n;
}

/* Every call is where it was, and can be brought to its end. */
static void expect_untouched(struct __test_metadata *_metadata, FIXTURE_DATA(id) *self)
{
	struct upcall_stat stat = stat_of(self->owner, self->handle);
	struct upcall_invoke invoke = INVOKE_ARGS(0, .call_id = self->caller_id[KEPT]);
	struct upcall_event_result result;
	struct upcall_event_call call = { 0 };
	char bytes[8] = "";

	EXPECT_EQ(1, stat.queued);
	EXPECT_EQ(1, stat.running);
	EXPECT_EQ(5, stat.calls);
	EXPECT_EQ(0, result_of(self->caller, self->caller_id[ANSWERED], &result));
	EXPECT_EQ(0, reply(self->owner, self->owner_id[DELIVERED], 3, NULL, 0));
	EXPECT_EQ(0, result_of(self->caller, self->caller_id[DELIVERED], &result));
	EXPECT_EQ(3, result.status);
	EXPECT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(self->owner_id[QUEUED], call.call);
	EXPECT_EQ(0, reply(self->owner, call.call, 4, NULL, 0));
	EXPECT_EQ(0, result_of(self->caller, self->caller_id[QUEUED], &result));
	EXPECT_EQ(4, result.status);
	invoke.reply = ptr64(bytes);
	invoke.reply_room = sizeof(bytes);
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &invoke));
	EXPECT_EQ(0, memcmp("12345678", bytes, 8));
	EXPECT_EQ(0, reply(self->other, self->other_in, 0, NULL, 0));
	EXPECT_EQ(0, result_of(self->other, self->other_out, &result));
	EXPECT_TRUE(no_event(self->owner));
	EXPECT_TRUE(no_event(self->caller));
	EXPECT_TRUE(no_event(self->other));
	EXPECT_EQ(0, usage(self->owner).queued_calls);
}

/* All ids that somebody knows; returns how many. */
static int known_ids(const FIXTURE_DATA(id) *self, uint64_t *ids)
{
	int n = 0;

	for (; n < CALLS; n++) {
		ids[2 * n] = self->owner_id[n];
		ids[2 * n + 1] = self->caller_id[n];
	}
	ids[2 * n] = self->other_in;
	ids[2 * n + 1] = self->other_out;
	return 2 * n + 2;
}

TEST_F(id, of_another_peer_or_state_or_side_is_enoent)
{
	uint64_t ids[2 * CALLS + 2];
	int i, n = known_ids(self, ids);

	for (i = 0; i < n; i++)
		EXPECT_EQ(0, accepted(_metadata, self, ids[i]));
	expect_untouched(_metadata, self);
}

TEST_F(id, near_that_of_a_live_call_is_enoent)
{
	uint64_t ids[2 * CALLS + 2], id;
	int i, n = known_ids(self, ids), bit;

	for (i = 0; i < n; i++) {
		id = ids[i];
		for (bit = 0; bit < 64; bit++)
			EXPECT_EQ(0, accepted(_metadata, self, id ^ 1ULL << bit));
		EXPECT_EQ(0, accepted(_metadata, self, id + 1));
		EXPECT_EQ(0, accepted(_metadata, self, id - 1));
		EXPECT_EQ(0, accepted(_metadata, self, id + (1ULL << 32)));
		EXPECT_EQ(0, accepted(_metadata, self, id - (1ULL << 32)));
		EXPECT_EQ(0, accepted(_metadata, self, (uint32_t)id));
		EXPECT_EQ(0, accepted(_metadata, self, id >> 32 << 32));
		EXPECT_EQ(0, accepted(_metadata, self, -id));
	}
	expect_untouched(_metadata, self);
}

TEST_F(id, that_is_a_limit_a_handle_or_an_address_is_enoent)
{
	const uint64_t ids[] = {
		0, 1, ~0ULL, INT64_MAX, INT64_MIN, INT32_MAX, (uint32_t)INT32_MIN, ~0U, 1ULL << 32,
		self->handle, self->other_handle, COOKIE, ptr64(self), UPCALL_MAX_HANDLE,
		0xffff888000000000, (uint64_t)self->owner,
	};
	size_t i;

	for (i = 0; i < LENGTH(ids); i++)
		EXPECT_EQ(0, accepted(_metadata, self, ids[i]));
	expect_untouched(_metadata, self);
}

#define SEED		0x9e3779b97f4a7c15ULL
#define BATCHES		40

static uint64_t random64(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Any number; or one that has the slot of a live call, or a slot and a sequence that are small. */
static uint64_t random_id(const uint64_t *ids, int n, uint64_t *state)
{
	uint64_t any = random64(state), live = ids[random64(state) % n];

	switch (any >> 62) {
	case 0:
		return (any & 63) << 32 | (random64(state) & 15);
	case 1:
		return any << 32 | (uint32_t)live;
	default:
		return any;
	}
}

/* As many commands as one EXCHANGE takes, each with a random id. How many did not fail so. */
static int try_batch(const FIXTURE_DATA(id) *self, int fd, const uint64_t *ids, int n, uint64_t *state)
{
	static const enum place places[] = { REPLY, REFUSE, CANCEL, CALL_PARENT };
	static struct upcall_command cmds[UPCALL_MAX_COMMANDS];
	struct upcall_exchange args = EXCHANGE_ARGS(.commands = ptr64(cmds),
						    .command_count = LENGTH(cmds));
	int i, wrong = 0;

	for (i = 0; i < (int)LENGTH(cmds); i++) {
		enum place place = places[i % LENGTH(places)];
		uint64_t id;

		do {
			id = random_id(ids, n, state);
		} while (means_none(place, id) || is_right(self, fd, place, id));
		if (place == CALL_PARENT)
			cmds[i] = CALL(self->other_handle, .parent = id);
		else if (place == REFUSE)
			cmds[i] = COMMAND(REFUSE, id, .status = EXDEV);
		else if (place == REPLY)
			cmds[i] = COMMAND(REPLY, id);
		else
			cmds[i] = COMMAND(CANCEL, id);
	}
	if (verb(fd, UPCALL_IOC_EXCHANGE, &args))
		return -1;
	for (i = 0; i < (int)LENGTH(cmds); i++)
		wrong += cmds[i].error != ENOENT;
	return wrong;
}

TEST_F(id, at_random_thirty_thousand_times_is_enoent)
{
	const int fds[] = { self->owner, self->caller, self->other };
	uint64_t ids[2 * CALLS + 2], state = SEED, id;
	int i, j, n = known_ids(self, ids);

	for (i = 0; i < BATCHES; i++) {
		for (j = 0; j < (int)LENGTH(fds); j++)
			ASSERT_EQ(0, try_batch(self, fds[j], ids, n, &state)) TH_LOG("batch %d", i);
	}
	for (i = 0; i < 1000; i++) {
		id = random_id(ids, n, &state) ?: 1;
		EXPECT_EQ(0, accepted(_metadata, self, id));
	}
	expect_untouched(_metadata, self);
}

/* --- two who answer the same call ------------------------------------------------- */

#define ROUNDS	400

/* Answers each call of the round with what it is: three at the same time. */
struct rival {
	int fd, index, ret;
	const uint64_t *call;
	pthread_barrier_t *barrier;
	pthread_t thread;
};

static void *rival_main(void *arg)
{
	struct rival *rival = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(rival->barrier);
		/* both bytes and none, and a refusal */
		if (rival->index == 1)
			rival->ret = refuse(rival->fd, *rival->call, EXDEV);
		else
			rival->ret = reply(rival->fd, *rival->call, rival->index, "reply", 5);
		pthread_barrier_wait(rival->barrier);
	}
	return NULL;
}

/* What the caller must have been told if that rival was first. */
static bool is_answer_of(const struct upcall_event_result *result, int index)
{
	if (index == 1)
		return result->error == EXDEV && result->stage == UPCALL_STAGE_NOT_DELIVERED;
	return !result->error && result->status == (uint32_t)index && result->payload_len == 5 &&
	       result->stage == UPCALL_STAGE_REPLIED;
}

TEST_F(id, answered_by_three_at_once_has_the_answer_of_one_and_none_of_a_stranger)
{
	struct rival rivals[4];
	struct upcall_event_result result;
	struct upcall_event_call call = { 0 };
	pthread_barrier_t barrier;
	int i, j, first, wins[4] = { 0 };
	uint64_t id;

	EXPECT_EQ(0, result_of(self->caller, self->caller_id[ANSWERED], &result));
	EXPECT_EQ(0, cancel(self->caller, self->caller_id[QUEUED]));
	EXPECT_EQ(0, result_of(self->caller, self->caller_id[QUEUED], &result));
	pthread_barrier_init(&barrier, NULL, LENGTH(rivals) + 1);
	for (i = 0; i < (int)LENGTH(rivals); i++) {
		rivals[i] = (struct rival){ .fd = i == 3 ? self->caller : self->owner, .index = i,
			.call = (uint64_t *)&call.call, .barrier = &barrier };
		ASSERT_EQ(0, pthread_create(&rivals[i].thread, NULL, rival_main, &rivals[i]));
	}
	for (i = 0; i < ROUNDS; i++) {
		id = call_id_of(self->caller, self->handle, i);
		ASSERT_EQ(0, one_call(self->owner, &call));
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		ASSERT_EQ(0, result_of(self->caller, id, &result));
		for (first = -1, j = 0; j < (int)LENGTH(rivals); j++) {
			if (!rivals[j].ret) {
				first = j;
				wins[j]++;
				continue;
			}
			ASSERT_EQ(-ENOENT, rivals[j].ret);
		}
		ASSERT_LE(0, first);
		ASSERT_TRUE(is_answer_of(&result, first));
	}
	for (i = 0; i < (int)LENGTH(rivals); i++)
		pthread_join(rivals[i].thread, NULL);
	EXPECT_EQ(ROUNDS, wins[0] + wins[1] + wins[2]);
	EXPECT_EQ(0, wins[3]);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
}

TEST_HARNESS_MAIN
