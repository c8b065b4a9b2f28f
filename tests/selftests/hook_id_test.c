// SPDX-License-Identifier: GPL-2.0-only
/*
 * A call's id would be that of another one, once the sequence in it repeats: after 2^32 calls, or at
 * once with the test build's mask. But a call keeps its place in the table, which is part of its
 * id, as long as anybody holds it.
 */
#include "abi_test.h"
#include "hook.h"

FIXTURE(id) {
	int owner;
	int caller;
	uint64_t handle;
};

FIXTURE_SETUP(id)
{
	ASSERT_EQ(0, hook_clear());
	ASSERT_EQ(0, hook_parameter("sequence_mask", "0"));
	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_LE(0, self->owner);
	self->handle = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(id)
{
	EXPECT_EQ(0, hook_clear());
	EXPECT_EQ(0, hook_parameter("sequence_mask", "4294967295"));
	close(self->owner);
	close(self->caller);
}

struct replier {
	pthread_t thread;
	int fd;
	uint64_t call;
	const char *text;
	int ret;
};

static void *replier_main(void *arg)
{
	struct replier *replier = arg;

	replier->ret = reply_from_afar(replier->fd, replier->call, 1, replier->text);
	return NULL;
}

/* A delivered call, and its reply, whose bytes are read. */
static bool reply_is_held(FIXTURE_DATA(id) *self, struct async *async, struct replier *replier,
			  const char *text)
{
	static char back[1000];
	struct upcall_event_call call;

	if (async_start(async, self->caller, INVOKE_ARGS(self->handle, .reply = ptr64(back),
			.reply_room = sizeof(back), .reply_max = sizeof(back))) ||
	    one_call(self->owner, &call) || hook_arm("reply_read"))
		return false;
	*replier = (struct replier){ .fd = self->owner, .call = call.call, .text = text };
	return !pthread_create(&replier->thread, NULL, replier_main, replier) &&
	       hook_is_hit("reply_read");
}

TEST_F(id, of_a_call_that_has_ended_is_no_others_while_its_late_reply_is_read)
{
	struct upcall_event_call second;
	struct replier replier;
	struct async async[2];

	ASSERT_TRUE(reply_is_held(self, &async[0], &replier, "late"));
	EXPECT_EQ(0, reply(self->owner, replier.call, 2, NULL, 0));
	EXPECT_EQ(0, async_join(&async[0]));
	EXPECT_EQ(2, async[0].args.status);

	ASSERT_EQ(0, async_start(&async[1], self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &second));
	EXPECT_NE(replier.call, second.call);
	ASSERT_EQ(0, hook_resume("reply_read"));
	pthread_join(replier.thread, NULL);
	EXPECT_EQ(-ENOENT, replier.ret);
	EXPECT_EQ(1, stat_of(self->owner, self->handle).running);
	EXPECT_FALSE(async_done(&async[1]));
	EXPECT_EQ(0, reply(self->owner, second.call, 3, NULL, 0));
	EXPECT_EQ(0, async_join(&async[1]));
	EXPECT_EQ(3, async[1].args.status);
	EXPECT_EQ(0, stat_of(self->owner, self->handle).running);
}

/* What was read for it lies in a block, and is freed as one. */
TEST_F(id, of_a_call_that_has_ended_is_enoent_to_its_late_long_reply)
{
	static char text[301];
	struct replier replier;
	struct async async;

	memset(text, 'l', sizeof(text) - 1);
	ASSERT_TRUE(reply_is_held(self, &async, &replier, text));
	EXPECT_EQ(0, reply(self->owner, replier.call, 2, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
	ASSERT_EQ(0, hook_resume("reply_read"));
	pthread_join(replier.thread, NULL);
	EXPECT_EQ(-ENOENT, replier.ret);
	EXPECT_EQ(2, async.args.status);
}

TEST_F(id, of_a_call_that_is_under_way_is_no_other_calls)
{
	struct upcall_event_call call[3];
	struct async async[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, async_start(&async[i], self->caller, INVOKE_ARGS(self->handle)));
		ASSERT_EQ(0, one_call(self->owner, &call[i]));
	}
	EXPECT_NE(call[0].call, call[1].call);
	EXPECT_NE(call[0].call, call[2].call);
	EXPECT_NE(call[1].call, call[2].call);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, reply(self->owner, call[i].call, i, NULL, 0));
		EXPECT_EQ(0, async_join(&async[i]));
		EXPECT_EQ((uint32_t)i, async[i].args.status);
	}
}

TEST_HARNESS_MAIN
