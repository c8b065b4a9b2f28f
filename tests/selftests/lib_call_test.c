// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's call object: replies that grow, interrupted waits, signatures, reasons.
 */
#include <signal.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "lib_test.h"

enum { OP_SIZE, OP_HOLD };

static atomic_bool hold_began, hold_end;

/* OP_SIZE: a reply of as many bytes as the argument says. OP_HOLD: when told. */
static int serve(struct upcall_incoming *incoming, void *user)
{
	static char bytes[UPCALL_MAX_PAYLOAD];
	uint32_t size;

	(void)user;
	if (upcall_incoming_op(incoming) == OP_HOLD) {
		hold_began = true;
		(void)eventually(hold_end);
		return 23;
	}
	memcpy(&size, upcall_incoming_data(incoming), sizeof(size));
	return -upcall_reply(incoming, 0, bytes, size);
}

FIXTURE(call)
{
	struct owner owner;
	struct upcall_callback *callback;
	struct upcall_peer *other;
	struct upcall_call *call;
	uint64_t handle;
};

FIXTURE_SETUP(call)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, upcall_open(NULL, &self->owner.peer));
	ASSERT_EQ(0, upcall_open(NULL, &self->other));
	ASSERT_EQ(0, upcall_callback_new(self->owner.peer, NULL, serve, NULL, NULL, &self->callback));
	self->handle = upcall_callback_handle(self->callback);
	ASSERT_EQ(0, upcall_call_new(self->other, &self->call));
	ASSERT_EQ(0, owner_start(&self->owner, 2));
}

FIXTURE_TEARDOWN(call)
{
	hold_end = true;
	upcall_stop(self->owner.peer);
	EXPECT_EQ(0, owner_join(&self->owner));
	upcall_callback_unref(self->callback);
	upcall_call_free(self->call);
	upcall_close(self->other);
	upcall_close(self->owner.peer);
}

#define CALL_SIZE(size) ({							\
	uint32_t _size = size;							\
	upcall_call_invoke(self->call, self->handle, OP_SIZE, &_size, 4, SOON);	\
})

TEST_F(call, reply_of_any_accepted_size_arrives_in_one_invoke)
{
	static const uint32_t sizes[] = { 0, 1, 4096, 4097, UPCALL_DEFAULT_REPLY_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(sizes[i], CALL_SIZE(sizes[i]));
		EXPECT_EQ(sizes[i], upcall_call_reply_len(self->call));
		EXPECT_EQ(0, upcall_call_pending(self->call));
	}
	upcall_call_set_reply_max(self->call, UPCALL_MAX_PAYLOAD);
	EXPECT_EQ(UPCALL_MAX_PAYLOAD, CALL_SIZE(UPCALL_MAX_PAYLOAD));
}

TEST_F(call, reply_above_reply_max_fails_at_the_owner)
{
	upcall_call_set_reply_max(self->call, 100);
	EXPECT_EQ(0, CALL_SIZE(101));
	EXPECT_EQ(EMSGSIZE, upcall_call_status(self->call));
	EXPECT_EQ(100, CALL_SIZE(100));
	upcall_call_set_reply_max(self->call, 0);
	EXPECT_EQ(0, CALL_SIZE(0));
}

TEST_F(call, argument_too_long_says_how_much_is_taken)
{
	static char big[UPCALL_MAX_PAYLOAD + 1];

	EXPECT_EQ(-EMSGSIZE, upcall_call_invoke(self->call, self->handle, 0, big,
						UPCALL_DEFAULT_MAX_ARG + 1, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	EXPECT_EQ(UPCALL_DEFAULT_MAX_ARG, upcall_call_needed(self->call));
	EXPECT_EQ(-EMSGSIZE, upcall_call_invoke(self->call, self->handle, 0, big, sizeof(big), SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
}

TEST_F(call, signature_must_be_the_one_that_is_demanded)
{
	struct upcall_options *options;
	struct upcall_callback *callback;
	uint32_t size = 3;
	uint64_t handle;

	ASSERT_EQ(0, upcall_options_new(&options));
	upcall_options_set_signature(options, upcall_signature("u32 -> bytes"));
	ASSERT_EQ(0, upcall_callback_new(self->owner.peer, options, serve, NULL, NULL, &callback));
	upcall_options_free(options);
	handle = upcall_callback_handle(callback);

	EXPECT_EQ(-EPROTOTYPE, upcall_call_invoke(self->call, handle, 0, &size, 4, SOON));
	upcall_call_set_signature(self->call, upcall_signature("text -> text"));
	EXPECT_EQ(-EPROTOTYPE, upcall_call_invoke(self->call, handle, 0, &size, 4, SOON));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	upcall_call_set_signature(self->call, upcall_signature("u32 -> bytes"));
	EXPECT_EQ(3, upcall_call_invoke(self->call, handle, 0, &size, 4, SOON));
	upcall_callback_unref(callback);
}

TEST_F(call, call_never_submitted_has_no_stage)
{
	EXPECT_EQ(UPCALL_STAGE_UNKNOWN, upcall_call_stage(self->call));
	EXPECT_EQ(-ENOENT, upcall_call_wait(self->call, SOON));
	EXPECT_EQ(-ENOENT, upcall_call_cancel(self->call));
}

static void on_signal(int sig)
{
	(void)sig;
}

static void *interrupt(void *arg)
{
	pthread_t *target = arg;

	(void)eventually(hold_began);
	usleep(20000);
	pthread_kill(*target, SIGUSR1);
	return NULL;
}

static void *interrupt_and_end(void *arg)
{
	interrupt(arg);
	usleep(20000);
	hold_end = true;
	return NULL;
}

static void handle_signal(void)
{
	struct sigaction action = { .sa_handler = on_signal };	/* no SA_RESTART */

	sigaction(SIGUSR1, &action, NULL);
}

TEST_F(call, signal_is_waited_through)
{
	pthread_t me = pthread_self(), thread;

	handle_signal();
	ASSERT_EQ(0, pthread_create(&thread, NULL, interrupt_and_end, &me));
	EXPECT_EQ(0, upcall_call_invoke(self->call, self->handle, OP_HOLD, NULL, 0, SOON));
	EXPECT_EQ(23, upcall_call_status(self->call));
	pthread_join(thread, NULL);
}

TEST_F(call, interruptible_wait_ends_and_can_be_taken_up_again)
{
	pthread_t me = pthread_self(), thread;

	MODULE_ONLY("no EINTR");
	handle_signal();
	upcall_call_set_interruptible(self->call, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, interrupt, &me));
	EXPECT_EQ(-EINTR, upcall_call_invoke(self->call, self->handle, OP_HOLD, NULL, 0, SOON));
	pthread_join(thread, NULL);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, upcall_call_stage(self->call));
	ASSERT_EQ(1, upcall_call_pending(self->call));
	hold_end = true;
	EXPECT_EQ(0, upcall_call_wait(self->call, SOON));
	EXPECT_EQ(23, upcall_call_status(self->call));
	EXPECT_EQ(0, upcall_call_pending(self->call));
}

TEST_F(call, interrupted_call_can_be_given_up)
{
	pthread_t me = pthread_self(), thread;

	MODULE_ONLY("no EINTR");
	handle_signal();
	upcall_call_set_interruptible(self->call, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, interrupt, &me));
	EXPECT_EQ(-EINTR, upcall_call_invoke(self->call, self->handle, OP_HOLD, NULL, 0, SOON));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, upcall_call_cancel(self->call));
	EXPECT_EQ(0, upcall_call_pending(self->call));
	EXPECT_EQ(2, CALL_SIZE(2));
}

TEST_F(call, owner_killed_in_a_call_is_eownerdead_with_the_signal)
{
	uint64_t handle;
	int fds[2];
	pid_t pid;

	MODULE_ONLY("another process");
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		struct upcall_incoming *incoming;
		struct upcall_peer *peer;

		if (upcall_open(NULL, &peer) || upcall_register(peer, NULL, 0, &handle))
			_exit(1);
		if (write(fds[1], &handle, sizeof(handle)) < 0)
			_exit(1);
		upcall_next(peer, SOON, &incoming);
		raise(SIGKILL);
	}
	ASSERT_EQ(sizeof(handle), read(fds[0], &handle, sizeof(handle)));
	EXPECT_EQ(-EOWNERDEAD, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, upcall_call_stage(self->call));
	waitpid(pid, NULL, 0);
	EXPECT_EQ(-ESTALE, upcall_call_invoke(self->call, handle, 0, NULL, 0, SOON));
	EXPECT_EQ(UPCALL_REASON_EXITED, upcall_call_reason(self->call));
	EXPECT_EQ(SIGKILL, WTERMSIG((int)upcall_call_exit_status(self->call)));
}

TEST_HARNESS_MAIN
