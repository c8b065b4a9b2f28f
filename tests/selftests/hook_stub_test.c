// SPDX-License-Identifier: GPL-2.0-only
/* Moments in the life of a stub fd that are too short to be met by chance. */
#include "kselftest_harness.h"
#include <pthread.h>
#include "fds.h"
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

/* What another thread of this process does on its peer, and what came of that. */
struct work {
	uint64_t handle;
	union any_event event;
	int ret;
	pthread_t thread;
};

static void *do_export(void *arg)
{
	struct work *work = arg;

	work->ret = export_stub(my_peer, work->handle);
	return NULL;
}

TEST(callback_released_while_a_stub_is_made_is_estale_and_no_stub_is_left)
{
	struct work work;
	int before;

	my_peer = peer_open();
	work.handle = register_new(my_peer, 0, UPCALL_ACCESS_STUB_ONLY);
	ASSERT_NE(0, work.handle);
	before = open_fds();
	ASSERT_EQ(0, hook_arm("exporting"));
	ASSERT_EQ(0, pthread_create(&work.thread, NULL, do_export, &work));
	ASSERT_TRUE(hook_is_hit("exporting"));
	EXPECT_EQ(0, release(my_peer, work.handle, 0));
	EXPECT_EQ(0, hook_resume("exporting"));
	pthread_join(work.thread, NULL);
	EXPECT_EQ(-ESTALE, work.ret);
	EXPECT_EQ(before, open_fds());
	ASSERT_EQ(UPCALL_EVENT_RELEASED, next_event(my_peer, &work.event));
	EXPECT_TRUE(hook_is_quiet());
	close(my_peer);
}

static void *do_next_event(void *arg)
{
	struct work *work = arg;

	work->ret = next_event(my_peer, &work->event);
	return NULL;
}

TEST(last_stub_closed_while_unreferenced_is_copied_is_told_once_more)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_UNREFERENCED,
						    .access = UPCALL_ACCESS_STUB_ONLY);
	union any_event event;
	struct work work;

	my_peer = peer_open();
	ASSERT_EQ(0, verb(my_peer, UPCALL_IOC_REGISTER, &args));
	ASSERT_EQ(0, close(export_stub(my_peer, args.handle)));
	ASSERT_EQ(0, hook_arm("taken"));
	ASSERT_EQ(0, pthread_create(&work.thread, NULL, do_next_event, &work));
	ASSERT_TRUE(hook_is_hit("taken"));
	EXPECT_EQ(0, close(export_stub(my_peer, args.handle)));
	EXPECT_EQ(0, hook_resume("taken"));
	pthread_join(work.thread, NULL);
	EXPECT_EQ(UPCALL_EVENT_UNREFERENCED, work.ret);
	EXPECT_EQ(UPCALL_EVENT_UNREFERENCED, next_event(my_peer, &event));
	EXPECT_EQ(-EAGAIN, receive(my_peer, &event, sizeof(event), 1, UPCALL_EXCHANGE_NONBLOCK, NULL));
	EXPECT_TRUE(hook_is_quiet());
	close(my_peer);
}

TEST_HARNESS_MAIN
