// SPDX-License-Identifier: GPL-2.0-only
/* Who may call, who calls, who owns: in the kernel's words. */
#include "kselftest_harness.h"
#include <pthread.h>
#include "puppet.h"

#define NOBODY	((uint32_t)-1)	/* an id that has no number here */

/* Alice owns a callback; the test itself is root. */
FIXTURE(identity) {
	struct puppet alice, bob, root;
	uint64_t handle;
};

FIXTURE_SETUP(identity)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->alice = puppet_of(ALICE);
	self->bob = puppet_of(BOB);
	self->root = puppet_new();
	self->handle = puppet_register(&self->alice, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(identity)
{
	kill(self->alice.pid, SIGKILL);
	kill(self->bob.pid, SIGKILL);
	kill(self->root.pid, SIGKILL);
}

static uint64_t register_with_id(struct puppet *puppet, uint32_t access, uint32_t id)
{
	puppet->mem->reg = REGISTER_ARGS(.access = access, .access_id = id);
	return puppet_do(puppet, do_register) ? 0 : puppet->mem->handle;
}

TEST_F(identity, same_user_refuses_all_others_even_root)
{
	struct puppet other_alice = puppet_of(ALICE);

	EXPECT_EQ(0, puppet_notify(&other_alice, self->handle));
	EXPECT_EQ(-EACCES, puppet_notify(&self->bob, self->handle));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, self->bob.mem->inv.stage);
	EXPECT_EQ(0, self->bob.mem->inv.seq);
	EXPECT_EQ(-EACCES, puppet_notify(&self->root, self->handle));
	EXPECT_EQ(1, puppet_stat(&self->alice, self->handle).calls);
	kill(other_alice.pid, SIGKILL);
}

TEST_F(identity, uid_is_for_that_uid_only)
{
	uint64_t handle = register_with_id(&self->alice, UPCALL_ACCESS_UID, BOB);

	EXPECT_EQ(0, puppet_notify(&self->bob, handle));
	EXPECT_EQ(-EACCES, puppet_notify(&self->alice, handle));
	EXPECT_EQ(-EACCES, puppet_notify(&self->root, handle));
}

TEST_F(identity, anyone_is_for_everybody)
{
	uint64_t handle = register_with_id(&self->alice, UPCALL_ACCESS_ANYONE, 0);

	EXPECT_EQ(0, puppet_notify(&self->bob, handle));
	EXPECT_EQ(0, puppet_notify(&self->alice, handle));
	EXPECT_EQ(0, puppet_notify(&self->root, handle));
}

/* @mem->value: a group, besides what it has. */
static int join_group(struct puppet_mem *mem)
{
	gid_t gid = mem->value;

	return setgroups(1, &gid) ? -errno : 0;
}

static int set_egid(struct puppet_mem *mem)
{
	return setegid(mem->value) ? -errno : 0;
}

static int set_euid(struct puppet_mem *mem)
{
	return seteuid(mem->value) ? -errno : 0;
}

static int act(struct puppet *puppet, puppet_fn fn, uint64_t value)
{
	puppet->mem->value = value;
	return puppet_do(puppet, fn);
}

TEST_F(identity, gid_is_for_effective_and_supplementary_members)
{
	uint64_t handle = register_with_id(&self->alice, UPCALL_ACCESS_GID, CAROL);
	struct puppet *root = &self->root;

	EXPECT_EQ(-EACCES, puppet_notify(&self->bob, handle));
	EXPECT_EQ(-EACCES, puppet_notify(root, handle));
	ASSERT_EQ(0, act(root, set_egid, CAROL));
	EXPECT_EQ(0, puppet_notify(root, handle));
	ASSERT_EQ(0, act(root, set_egid, 0));
	EXPECT_EQ(-EACCES, puppet_notify(root, handle));
	ASSERT_EQ(0, act(root, join_group, CAROL));
	EXPECT_EQ(0, puppet_notify(root, handle));
	ASSERT_EQ(0, act(root, join_group, BOB));
	EXPECT_EQ(-EACCES, puppet_notify(root, handle));
}

TEST_F(identity, change_of_the_effective_uid_is_seen_at_once)
{
	uint64_t handle = register_with_id(&self->alice, UPCALL_ACCESS_UID, BOB);
	struct puppet *root = &self->root;

	EXPECT_EQ(-EACCES, puppet_notify(root, handle));
	ASSERT_EQ(0, act(root, set_euid, BOB));
	EXPECT_EQ(0, puppet_notify(root, handle));
	ASSERT_EQ(0, act(root, set_euid, 0));
	EXPECT_EQ(-EACCES, puppet_notify(root, handle));
	/* What was submitted as bob stays bob's. */
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_receive));
	EXPECT_EQ(BOB, self->alice.mem->event.call.uid);
}

/* @mem->value: its new effective group. */
static int register_again_as(struct puppet_mem *mem)
{
	int err = do_register(mem) ?: release(my_peer, mem->handle, 0);

	if (!err && receive(my_peer, &mem->event, sizeof(mem->event), 1, 0, NULL))
		err = -EPROTO;
	return err ?: set_egid(mem) ?: do_register(mem);
}

/* Also of a callback that is made of what an earlier one left. */
TEST_F(identity, stat_says_who_the_owner_was_when_it_registered)
{
	struct puppet *root = &self->root;

	root->mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE);
	root->mem->value = BOB;
	ASSERT_EQ(0, puppet_do(root, register_again_as));
	EXPECT_EQ(BOB, puppet_stat(&self->bob, root->mem->handle).gid);
	root->mem->value = 0;
	ASSERT_EQ(0, puppet_do(root, register_again_as));
	EXPECT_EQ(0, puppet_stat(&self->bob, root->mem->handle).gid);
}

TEST_F(identity, same_uid_in_another_user_namespace_is_another_user)
{
	uint64_t for_all = register_with_id(&self->alice, UPCALL_ACCESS_ANYONE, 0);
	struct puppet inner = puppet_of(ALICE);

	ASSERT_EQ(0, puppet_do(&inner, enter_user_ns));
	EXPECT_EQ(-EACCES, puppet_notify(&inner, self->handle));
	EXPECT_EQ(0, puppet_notify(&inner, for_all));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_receive));
	EXPECT_EQ(ALICE, self->alice.mem->event.call.uid);
	EXPECT_EQ(ALICE, self->alice.mem->event.call.gid);
	kill(inner.pid, SIGKILL);
}

TEST_F(identity, ids_are_shown_as_in_the_receivers_user_namespace)
{
	struct puppet inner = puppet_of(ALICE);
	uint64_t handle;

	ASSERT_EQ(0, puppet_do(&inner, enter_user_ns));
	handle = register_with_id(&inner, UPCALL_ACCESS_ANYONE, 0);
	ASSERT_NE(0, handle);
	EXPECT_EQ(0, puppet_notify(&self->alice, handle));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&inner, do_receive));
	EXPECT_EQ(0, inner.mem->event.call.uid);
	EXPECT_EQ(0, inner.mem->event.call.gid);
	EXPECT_EQ(0, puppet_notify(&self->bob, handle));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&inner, do_receive));
	EXPECT_EQ(NOBODY, inner.mem->event.call.uid);
	EXPECT_EQ(NOBODY, inner.mem->event.call.gid);
	/* And an id that it does not know cannot be let in. */
	EXPECT_EQ(0, register_with_id(&inner, UPCALL_ACCESS_UID, BOB));
	EXPECT_EQ(0, register_with_id(&inner, UPCALL_ACCESS_GID, BOB));
	kill(inner.pid, SIGKILL);
}

TEST_F(identity, same_uid_in_another_pid_namespace_is_another_user)
{
	uint64_t mine = puppet_register(&self->root, UPCALL_ACCESS_SAME_USER);
	uint64_t for_all = puppet_register(&self->root, UPCALL_ACCESS_ANYONE);
	struct puppet inner;

	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	inner = puppet_make(spawn_anywhere);
	EXPECT_EQ(-EACCES, puppet_notify(&inner, mine));
	EXPECT_EQ(0, puppet_notify(&inner, for_all));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->root, do_receive));
	EXPECT_EQ((uint32_t)inner.pid, self->root.mem->event.call.pid);
	puppet_kill(&inner, SIGKILL);
}

TEST_F(identity, caller_outside_the_receivers_pid_namespace_has_no_pid)
{
	struct puppet inner;
	uint64_t handle;

	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	inner = puppet_make(spawn_anywhere);
	handle = puppet_register(&inner, UPCALL_ACCESS_ANYONE);
	EXPECT_EQ(0, puppet_notify(&self->root, handle));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&inner, do_receive));
	EXPECT_EQ(NOBODY, inner.mem->event.call.pid);
	EXPECT_EQ(NOBODY, inner.mem->event.call.tid);
	EXPECT_EQ(0, puppet_notify(&inner, handle));
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&inner, do_receive));
	EXPECT_EQ(1, inner.mem->event.call.pid);
	EXPECT_EQ((uint32_t)inner.pid, stat_of(my_peer, handle).pid);
	puppet_kill(&inner, SIGKILL);
}

static void *invoke_thread(void *arg)
{
	struct puppet_mem *mem = arg;

	mem->value = gettid();
	mem->result = do_invoke(mem);
	return NULL;
}

static int invoke_in_a_thread(struct puppet_mem *mem)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, invoke_thread, mem) || pthread_join(thread, NULL))
		return -EIO;
	return mem->result;
}

TEST_F(identity, event_says_which_thread_of_which_process)
{
	uint64_t handle = puppet_register(&self->alice, UPCALL_ACCESS_ANYONE);
	struct upcall_event_call *call = &self->alice.mem->event.call;

	self->bob.mem->inv = INVOKE_ARGS(handle);
	puppet_start(&self->bob, invoke_in_a_thread);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_receive));
	EXPECT_EQ((uint32_t)self->bob.pid, call->pid);
	EXPECT_EQ((uint32_t)self->bob.mem->value, call->tid);
	EXPECT_NE(call->pid, call->tid);
	EXPECT_EQ(BOB, call->uid);
	EXPECT_EQ(BOB, call->gid);
	EXPECT_NE(0, call->start_time);
	EXPECT_EQ(start_time_of(self->bob.pid), call->start_time);
	EXPECT_EQ(0, puppet_reply(&self->alice, 0));
	EXPECT_EQ(0, puppet_wait(&self->bob));
}

TEST_F(identity, stat_tells_callers_who_the_owner_is)
{
	struct upcall_stat stat;

	self->alice.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_UID, .access_id = BOB,
					     .cookie = 5, .word = 6);
	ASSERT_EQ(0, puppet_do(&self->alice, do_register));
	stat = puppet_stat(&self->bob, self->alice.mem->handle);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	EXPECT_EQ(ALICE, stat.uid);
	EXPECT_EQ(ALICE, stat.gid);
	EXPECT_EQ((uint32_t)self->alice.pid, stat.pid);
	EXPECT_EQ(start_time_of(self->alice.pid), stat.start_time);
	EXPECT_EQ(UPCALL_ACCESS_UID, stat.access);
	EXPECT_EQ(BOB, stat.access_id);
	/* What is the owner's own is shown to nobody else. */
	EXPECT_EQ(0, stat.owned);
	EXPECT_EQ(0, stat.cookie);
	EXPECT_EQ(0, stat.word);
	EXPECT_EQ(0, stat.registered_ns);
}

TEST_F(identity, stat_is_eacces_for_those_who_may_not_call_but_an_administrator)
{
	self->bob.mem->handle = self->handle;
	EXPECT_EQ(-EACCES, puppet_do(&self->bob, do_stat));
	EXPECT_EQ(UPCALL_STATE_LIVE, puppet_stat(&self->root, self->handle).state);
	EXPECT_EQ(ALICE, self->root.mem->stat.uid);
	EXPECT_EQ(0, self->root.mem->stat.owned);
}

static int count_callbacks(struct puppet_mem *mem)
{
	return list_all(my_peer, UPCALL_LIST_CALLBACKS, sizeof(struct upcall_list_callback),
			mem->buf, 100);
}

static int count_users(struct puppet_mem *mem)
{
	return list_all(my_peer, UPCALL_LIST_USERS, sizeof(struct upcall_list_user), mem->buf, 100);
}

TEST_F(identity, list_shows_ones_own_and_to_root_all)
{
	struct upcall_list_callback *seen = (void *)self->alice.mem->buf;
	uint64_t handle = puppet_register(&self->bob, UPCALL_ACCESS_ANYONE);

	/* What the Alice of an earlier test had ends a moment after her. */
	EXPECT_TRUE(eventually(puppet_do(&self->alice, count_callbacks) == 1));
	EXPECT_EQ(self->handle, seen[0].handle);
	EXPECT_EQ(ALICE, seen[0].uid);
	EXPECT_TRUE(eventually(puppet_do(&self->alice, count_users) == 1));
	EXPECT_EQ(handle, listed_callback(my_peer, handle).handle);
	EXPECT_EQ(self->handle, listed_callback(my_peer, self->handle).handle);
	EXPECT_EQ(1, listed_user(my_peer, BOB, 0).callbacks);
}

/* @mem->value: flags. */
static int do_release(struct puppet_mem *mem)
{
	return release(my_peer, mem->handle, mem->value);
}

TEST_F(identity, only_an_administrator_revokes)
{
	uint64_t handle;

	handle = register_with_id(&self->alice, UPCALL_ACCESS_UID, BOB);
	puppet_call_start(&self->bob, handle);
	ASSERT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_receive));
	EXPECT_EQ(-EPERM, release(my_peer, handle, 0));
	self->root.mem->handle = handle;
	EXPECT_EQ(0, act(&self->root, do_release, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(-ECANCELED, puppet_wait(&self->bob));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, self->bob.mem->inv.stage);
	EXPECT_EQ(-ESTALE, puppet_call(&self->bob, handle));
	EXPECT_EQ(UPCALL_REASON_REVOKED, self->bob.mem->inv.reason);
	self->bob.mem->handle = self->handle;
	EXPECT_EQ(-EPERM, act(&self->bob, do_release, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(UPCALL_STATE_LIVE, puppet_stat(&self->alice, self->handle).state);
}

TEST_F(identity, creator_of_a_user_namespace_administers_it)
{
	struct puppet inner = puppet_of(ALICE);
	uint64_t handle;

	ASSERT_EQ(0, puppet_do(&inner, enter_user_ns));
	handle = puppet_register(&inner, UPCALL_ACCESS_SAME_USER);
	ASSERT_NE(0, handle);
	EXPECT_EQ(-EACCES, puppet_notify(&self->alice, handle));
	EXPECT_EQ((uint32_t)inner.pid, puppet_stat(&self->alice, handle).pid);
	EXPECT_EQ(ALICE, self->alice.mem->stat.uid);
	self->bob.mem->handle = handle;
	EXPECT_EQ(-EACCES, puppet_do(&self->bob, do_stat));
	EXPECT_EQ(-EPERM, act(&self->bob, do_release, UPCALL_RELEASE_ABORT));
	self->alice.mem->handle = handle;
	EXPECT_EQ(0, act(&self->alice, do_release, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(UPCALL_REASON_REVOKED, puppet_stat(&self->alice, handle).reason);
	/* Not the other way round. */
	inner.mem->handle = self->handle;
	EXPECT_EQ(-EPERM, act(&inner, do_release, UPCALL_RELEASE_ABORT));
	kill(inner.pid, SIGKILL);
}

/* Processes made from here on have a monotonic clock that is 10,000 s ahead. */
static int enter_time_ns(void)
{
	if (unshare(CLONE_NEWTIME))
		return -errno;
	return write_to("/proc/self/timens_offsets", "monotonic 10000 0") ? 0 : -EIO;
}

#define SECOND	1000000000ULL

/* @mem->value: for so many seconds. */
static int invoke_for(struct puppet_mem *mem)
{
	mem->inv = INVOKE_ARGS(mem->handle, .flags = 0,
			       .deadline_ns = now_ns() + mem->value * SECOND);
	return do_invoke(mem);
}

TEST_F(identity, deadline_is_of_each_sides_own_clock)
{
	uint64_t handle = puppet_register(&self->alice, UPCALL_ACCESS_ANYONE), began;
	struct puppet inner;
	int err = enter_time_ns();

	if (err == -EINVAL)
		SKIP(return, "the kernel has no time namespaces");
	ASSERT_EQ(0, err);
	inner = puppet_make(spawn_anywhere);
	inner.mem->handle = handle;
	inner.mem->value = 3 * UPCALL_SLOW;
	began = now_ns();
	puppet_start(&inner, invoke_for);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&self->alice, do_receive));
	EXPECT_LE(began + 3 * SECOND, self->alice.mem->event.call.deadline_ns);
	EXPECT_GT(began + 100 * SECOND, self->alice.mem->event.call.deadline_ns);
	EXPECT_EQ(-ETIMEDOUT, puppet_wait(&inner));
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, inner.mem->inv.stage);
	EXPECT_LE(began + 3 * SECOND, now_ns());

	handle = puppet_register(&inner, UPCALL_ACCESS_ANYONE);
	self->root.mem->handle = handle;
	self->root.mem->value = 50;	/* this one is answered */
	began = now_ns();
	puppet_start(&self->root, invoke_for);
	EXPECT_EQ(UPCALL_EVENT_CALL, puppet_do(&inner, do_receive));
	EXPECT_LE(began + 10050 * SECOND, inner.mem->event.call.deadline_ns);
	EXPECT_GT(began + 10100 * SECOND, inner.mem->event.call.deadline_ns);
	EXPECT_EQ(0, puppet_reply(&inner, 0));
	EXPECT_EQ(0, puppet_wait(&self->root));
	kill(inner.pid, SIGKILL);
}

TEST_HARNESS_MAIN
