// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who guesses handles, and finds some: another user's stay closed to him. And who is lent a
 * descriptor of ours as his input and output: what he reads and writes there calls nobody.
 */
#include "abi_test.h"
#include <grp.h>
#include <sys/uio.h>
#include "stub.h"

#define CALLBACKS	64
#define GENERATIONS	64		/* before and behind each live one */
#define AT_RANDOM	20000
#define SLOT_BITS	22		/* as in kmod/limits.h */

struct guesser {
	uint64_t handles[CALLBACKS];
	int live, others, wrong;	/* guesses: of callbacks that live, of none, not answered so */
};

/* Of one that was issued before, why it ended is told to anybody. */
static bool stat_says(int fd, uint64_t handle, int expected)
{
	struct upcall_stat stat = { .size = sizeof(stat), .handle = handle };
	int err = verb(fd, UPCALL_IOC_STAT, &stat);

	return err == expected ||
	       (!err && expected == -ESTALE && stat.state == UPCALL_STATE_DEAD);
}

/* What every way to name a callback says of that handle. */
static bool all_say(int fd, uint64_t handle, int expected)
{
	struct upcall_command cmd = COMMAND(NOTIFY, handle, .flags = UPCALL_INVOKE_NO_DEADLINE);

	return notify(fd, handle, "x", 1) == expected && command(fd, &cmd) == expected &&
	       stat_says(fd, handle, expected) && export_stub(fd, handle) < 0;
}

static int guess(void *arg)
{
	struct guesser *guesser = arg;
	uint64_t handle, state = 1;
	int64_t step;
	int i, fd;

	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	fd = peer_open();
	for (i = 0; i < CALLBACKS; i++) {
		for (step = -GENERATIONS; step <= GENERATIONS; step++) {
			handle = guesser->handles[i] + step * (1LL << SLOT_BITS);
			guesser->live += !step;
			guesser->others += !!step;
			guesser->wrong += !all_say(fd, handle, step ? -ESTALE : -EACCES);
		}
	}
	/* Of 2^53: that one of them lives has a chance below one in 10^9 */
	for (i = 0; i < AT_RANDOM; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		guesser->wrong += notify(fd, state >> 11, "x", 1) != -ESTALE;
	}
	return 0;
}

TEST(handles_that_are_guessed_are_estale_or_eacces_and_call_nobody)
{
	struct guesser *guesser = shared_alloc(sizeof(*guesser));
	int i, owner = peer_open();

	MODULE_ONLY("another user");
	for (i = 0; i < CALLBACKS; i++)
		guesser->handles[i] = register_new(owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	ASSERT_EQ(0, reap(spawn(guess, guesser)));
	EXPECT_EQ(CALLBACKS, guesser->live);
	EXPECT_EQ(2 * GENERATIONS * CALLBACKS, guesser->others);
	EXPECT_EQ(0, guesser->wrong);
	EXPECT_TRUE(no_event(owner));
}

TEST(what_is_written_to_a_peer_or_a_stub_calls_nobody_and_nothing_is_read)
{
	int i, fds[3], owner = peer_open();
	uint64_t handle = register_new(owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	struct upcall_invoke call = INVOKE_ARGS(handle);
	struct iovec iov = { &call, sizeof(call) };

	MODULE_ONLY("descriptors of the kernel's");
	fds[0] = owner;
	fds[1] = peer_open();
	fds[2] = export_stub(owner, handle);
	for (i = 0; i < 3; i++) {
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(-EINVAL, write(fds[i], &call, sizeof(call)) < 0 ? -errno : 0);
		EXPECT_EQ(-EINVAL, writev(fds[i], &iov, 1) < 0 ? -errno : 0);
		EXPECT_EQ(-ESPIPE, pwrite(fds[i], &call, sizeof(call), 8) < 0 ? -errno : 0);
		EXPECT_EQ(-EINVAL, read(fds[i], &call, sizeof(call)) < 0 ? -errno : 0);
	}
	EXPECT_TRUE(no_event(owner));
	EXPECT_EQ(0, notify(fds[1], handle, NULL, 0));
	EXPECT_FALSE(no_event(owner));
}

TEST_HARNESS_MAIN
