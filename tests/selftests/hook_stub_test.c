// SPDX-License-Identifier: GPL-2.0-only
/* Moments in the life of a stub fd that are too short to be met by chance. */
#include "kselftest_harness.h"
#include "hook.h"
#include "puppet.h"
#include "stub.h"

static int my_stub = -1;

/* The parent's, which has the same number there; then it is another user's process. */
static int do_take_stub(struct puppet_mem *mem)
{
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0);

	my_stub = syscall(SYS_pidfd_getfd, pidfd, my_stub, 0);
	close(pidfd);
	return my_stub < 0 ? -errno : become(mem);
}

static int do_wait_out(struct puppet_mem *mem)
{
	struct pollfd pollfd = { .fd = my_stub, .events = POLLOUT };

	(void)mem;
	return poll(&pollfd, 1, -1) < 0 ? -errno : pollfd.revents;
}

/*
 * ALICE waits for EPOLLOUT. BOB asks, on the same stub, and takes the place of what was
 * remembered for her; just then there is room.
 */
TEST(room_that_comes_while_another_user_asks_wakes_who_waited)
{
	struct upcall_register args = REGISTER_ARGS(.max_queued_calls = 1,
						    .access = UPCALL_ACCESS_STUB_ONLY);
	struct puppet alice, bob;
	struct upcall_event_call call;

	my_peer = peer_open();
	ASSERT_EQ(0, verb(my_peer, UPCALL_IOC_REGISTER, &args));
	my_stub = export_stub(my_peer, args.handle);
	ASSERT_LE(0, my_stub);
	alice = puppet_new();
	bob = puppet_new();
	alice.mem->value = ALICE;
	bob.mem->value = BOB;
	ASSERT_EQ(0, puppet_do(&alice, do_take_stub));
	ASSERT_EQ(0, puppet_do(&bob, do_take_stub));
	ASSERT_EQ(0, stub_notify(my_stub));
	puppet_start(&alice, do_wait_out);
	ASSERT_TRUE(eventually(task_state(alice.pid) == 'S' && !puppet_done(&alice)));
	ASSERT_EQ(0, hook_arm("asking"));
	puppet_start(&bob, do_wait_out);
	ASSERT_TRUE(hook_is_hit("asking"));
	ASSERT_EQ(0, next_call(my_peer, &call));
	ASSERT_EQ(0, hook_resume("asking"));
	EXPECT_EQ(POLLOUT, puppet_wait(&bob));
	EXPECT_EQ(POLLOUT, puppet_wait(&alice));
	EXPECT_TRUE(hook_is_quiet());
	puppet_kill(&alice, SIGKILL);
	puppet_kill(&bob, SIGKILL);
	close(my_stub);
	close(my_peer);
}

TEST_HARNESS_MAIN
