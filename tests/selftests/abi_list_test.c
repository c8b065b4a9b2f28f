// SPDX-License-Identifier: GPL-2.0-only
/* LIST: what each kind says, cursors, record sizes, and who sees what. */
#include "abi_test.h"

static struct upcall_list list_args(uint32_t what, void *buffer, uint32_t len, uint32_t record)
{
	return (struct upcall_list){ .size = sizeof(struct upcall_list), .what = what,
		.buffer = ptr64(buffer), .buffer_len = len, .record_size = record };
}

TEST_F(pair, unknown_kind_or_record_size_is_einval)
{
	static const struct { uint32_t what, record; } bad[] = {
		{ 0, 40 }, { 5, 40 }, { ~0U, 40 },
		{ UPCALL_LIST_PEERS, 0 }, { UPCALL_LIST_PEERS, 7 }, { UPCALL_LIST_PEERS, 9 },
		{ UPCALL_LIST_PEERS, 44 }, { UPCALL_LIST_PEERS, 4104 }, { UPCALL_LIST_PEERS, ~7U },
	};
	char buf[8192];
	struct upcall_list args;
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		args = list_args(bad[i].what, buf, sizeof(buf), bad[i].record);
		EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_LIST, &args))
			TH_LOG("case %zu", i);
	}
	args = list_args(UPCALL_LIST_PEERS, buf, sizeof(buf), 40);
	args.flags = 1;
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_LIST, &args));
}

TEST_F(pair, buffer_without_room_for_a_record_is_emsgsize)
{
	char buf[64];
	struct upcall_list args = list_args(UPCALL_LIST_PEERS, buf, 39, 40);

	EXPECT_EQ(-EMSGSIZE, verb(self->caller, UPCALL_IOC_LIST, &args));
	args.buffer_len = 0;
	EXPECT_EQ(-EMSGSIZE, verb(self->caller, UPCALL_IOC_LIST, &args));
	EXPECT_EQ(0, args.cursor);
}

TEST_F(pair, callbacks_are_listed_with_what_was_registered)
{
	struct upcall_register reg = REGISTER_ARGS(.access = UPCALL_ACCESS_UID, .access_id = 77,
		.flags = UPCALL_REGISTER_SIGNATURE, .label = "0123456789abcde");
	struct upcall_list_callback list[8];

	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_EQ(2, list_all(self->caller, UPCALL_LIST_CALLBACKS, list, sizeof(list[0]), 8));
	struct upcall_list_callback *new = list[0].handle == reg.handle ? &list[0] : &list[1];
	struct upcall_list_callback *old = new == &list[0] ? &list[1] : &list[0];

	EXPECT_EQ(reg.handle, new->handle);
	EXPECT_EQ(UPCALL_STATE_LIVE, new->state);
	EXPECT_EQ(UPCALL_ACCESS_UID, new->access);
	EXPECT_EQ(77, new->access_id);
	EXPECT_EQ(UPCALL_REGISTER_SIGNATURE, new->register_flags);
	EXPECT_EQ(0, memcmp(reg.label, new->label, UPCALL_MAX_LABEL));
	EXPECT_EQ(getpid(), (pid_t)new->pid);
	EXPECT_EQ(geteuid(), new->uid);
	EXPECT_EQ(stat_of(self->owner, reg.handle).registered_ns, new->registered_ns);
	EXPECT_EQ(self->handle, old->handle);
	EXPECT_EQ(UPCALL_STATE_CLOSING, old->state);
	EXPECT_EQ(new->peer, old->peer);
	EXPECT_NE(0, new->peer);
	union any_event event;

	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	EXPECT_EQ(1, list_all(self->caller, UPCALL_LIST_CALLBACKS, list, sizeof(list[0]), 8));
}

TEST_F(pair, callbacks_and_peers_are_listed_with_their_calls)
{
	struct upcall_list_callback cb;
	struct upcall_list_peer peers[8];
	struct upcall_event_call call;
	struct async async;
	char arg[10] = { 0 };
	int i, n;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, notify(self->caller, self->handle, arg, 10));
	ASSERT_EQ(0, notify(self->caller, self->handle, arg, 5));
	ASSERT_EQ(1, list_all(self->caller, UPCALL_LIST_CALLBACKS, &cb, sizeof(cb), 1));
	EXPECT_EQ(2, cb.queued);
	EXPECT_EQ(15, cb.queued_bytes);
	EXPECT_EQ(1, cb.running);
	EXPECT_EQ(3, cb.calls);
	EXPECT_EQ(0, cb.refused);
	n = list_all(self->caller, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 8);
	ASSERT_EQ(2, n);
	for (i = 0; i < n; i++) {
		bool owner = peers[i].peer == cb.peer;

		EXPECT_EQ(getpid(), (pid_t)peers[i].pid);
		EXPECT_EQ(geteuid(), peers[i].uid);
		EXPECT_EQ(owner ? 1 : 0, peers[i].callbacks);
		EXPECT_EQ(owner ? 2 : 0, peers[i].queued);
		EXPECT_EQ(owner ? 1 : 0, peers[i].running);
		EXPECT_EQ(owner ? 0 : 1, peers[i].waiting);
		EXPECT_EQ(0, peers[i].receivers);
		EXPECT_EQ(0, peers[i].ended);
	}
	EXPECT_NE(peers[0].peer, peers[1].peer);
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
}

TEST_F(pair, ended_peer_is_listed_until_it_is_closed)
{
	struct upcall_list_peer peers[8];
	int n;

	ASSERT_EQ(0, shut_down(self->owner));
	n = list_all(self->caller, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 8);
	ASSERT_EQ(2, n);
	EXPECT_EQ(1, peers[0].ended + peers[1].ended);
	EXPECT_EQ(0, peers[0].callbacks + peers[1].callbacks);
	close(self->owner);
	EXPECT_TRUE(eventually(list_all(self->caller, UPCALL_LIST_PEERS, peers,
					sizeof(peers[0]), 8) == 1));
	self->owner = peer_open();
}

TEST_F(pair, calls_are_listed_with_both_ends)
{
	struct upcall_list_call list[4];
	struct upcall_list_callback cb;
	struct upcall_event_call call;
	struct async async;
	char arg[10] = { 0 };
	uint64_t deadline = in_ms(SOON_MS);

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle, .op = 3,
		.flags = 0, .deadline_ns = deadline, .arg = ptr64(arg), .arg_len = 10)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(1, list_all(self->caller, UPCALL_LIST_CALLBACKS, &cb, sizeof(cb), 1));
	ASSERT_EQ(2, list_all(self->caller, UPCALL_LIST_CALLS, list, sizeof(list[0]), 4));
	struct upcall_list_call *first = list[0].call == call.call ? &list[0] : &list[1];
	struct upcall_list_call *other = first == &list[0] ? &list[1] : &list[0];

	EXPECT_EQ(call.call, first->call);
	EXPECT_EQ(self->handle, first->handle);
	EXPECT_EQ(cb.peer, first->owner_peer);
	EXPECT_NE(0, first->caller_peer);
	EXPECT_NE(cb.peer, first->caller_peer);
	EXPECT_EQ(deadline, first->deadline_ns);
	EXPECT_LT(0, first->age_ns);
	EXPECT_EQ(getpid(), (pid_t)first->owner_pid);
	EXPECT_EQ(getpid(), (pid_t)first->caller_pid);
	EXPECT_EQ(call.tid, first->caller_tid);
	EXPECT_EQ(geteuid(), first->caller_uid);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, first->stage);
	EXPECT_EQ(3, first->op);
	EXPECT_EQ(0, first->flags);
	EXPECT_EQ(10, first->arg_len);
	EXPECT_EQ(0, strcmp("test", first->label));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, other->stage);
	EXPECT_EQ(UPCALL_CALL_ONEWAY | UPCALL_CALL_NO_DEADLINE, other->flags);
	EXPECT_EQ(0, other->deadline_ns);
	ASSERT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(1, list_all(self->caller, UPCALL_LIST_CALLS, list, sizeof(list[0]), 4));
}

TEST_F(pair, call_whose_caller_left_says_so)
{
	struct upcall_event_call call;
	struct upcall_list_call list;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(-ESHUTDOWN, async_join(&async));
	ASSERT_EQ(1, list_all(self->owner, UPCALL_LIST_CALLS, &list, sizeof(list), 1));
	EXPECT_EQ(UPCALL_CALL_LEFT | UPCALL_CALL_NO_DEADLINE, list.flags);
	EXPECT_EQ(0, list.caller_peer);
	EXPECT_EQ(UPCALL_STAGE_DELIVERED, list.stage);
}

TEST_F(pair, cursor_walks_with_room_for_one_record_and_ends_with_count_0)
{
	uint64_t handles[20], seen = 0;
	struct upcall_list_callback cb;
	struct upcall_list args = list_args(UPCALL_LIST_CALLBACKS, &cb, sizeof(cb), sizeof(cb));
	int i, n;

	handles[0] = self->handle;
	for (i = 1; i < 20; i++)
		handles[i] = register_new(self->owner, 0, UPCALL_ACCESS_SAME_USER);
	for (n = 0; n < 100; n++) {
		ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_LIST, &args));
		if (!args.count)
			break;
		ASSERT_EQ(1, args.count);
		for (i = 0; i < 20; i++)
			seen |= (uint64_t)(handles[i] == cb.handle) << i;
	}
	EXPECT_EQ(20, n);
	EXPECT_EQ((1ULL << 20) - 1, seen);
	/* Once more at the end: still the end. */
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_LIST, &args));
	EXPECT_EQ(0, args.count);
}

TEST_F(pair, any_cursor_is_safe)
{
	static const uint64_t cursors[] = { 1, 1ULL << 22, ~0U, 1ULL << 31, 1ULL << 32,
					    1ULL << 62, 1ULL << 63, ~0ULL };
	char buf[4096];
	uint32_t what;
	size_t i;

	for (what = UPCALL_LIST_CALLBACKS; what <= UPCALL_LIST_USERS; what++) {
		for (i = 0; i < LENGTH(cursors); i++) {
			struct upcall_list args = list_args(what, buf, sizeof(buf), 128);

			args.cursor = cursors[i];
			EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_LIST, &args));
		}
	}
}

TEST_F(pair, smaller_records_are_cut_and_larger_ones_end_in_zeros)
{
	uint64_t handle;
	char large[256];
	struct upcall_list args = list_args(UPCALL_LIST_CALLBACKS, &handle, 8, 8);

	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_LIST, &args));
	EXPECT_EQ(1, args.count);
	EXPECT_EQ(self->handle, handle);
	memset(large, POISON, sizeof(large));
	args = list_args(UPCALL_LIST_CALLBACKS, large, sizeof(large), 200);
	ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_LIST, &args));
	EXPECT_EQ(1, args.count);
	EXPECT_EQ(0, memcmp(&self->handle, large, 8));
	EXPECT_TRUE(all_bytes(large + sizeof(struct upcall_list_callback),
			      200 - sizeof(struct upcall_list_callback), 0));
	EXPECT_TRUE(all_bytes(large + 200, 56, POISON));
}

TEST_F(pair, users_are_listed_with_what_they_use)
{
	struct upcall_list_user use = usage(self->caller);
	char arg[10] = { 0 };

	EXPECT_EQ(geteuid(), use.uid);
	EXPECT_EQ(0, use.depth);
	EXPECT_EQ(1, use.callbacks);
	EXPECT_EQ(0, use.queued_calls);
	EXPECT_EQ(0, use.fds);
	EXPECT_EQ(0, use.reserved);
	ASSERT_EQ(0, notify(self->caller, self->handle, arg, 10));
	EXPECT_EQ(1, usage(self->caller).queued_calls);
	EXPECT_EQ(10, usage(self->caller).queued_bytes);
}

#define USERS 40

/* Becomes a uid of its own, and keeps something in use until it is killed. */
static int use_something(void *arg)
{
	uid_t *uid = arg, id = *uid;

	if (setresgid(id, id, id) || setresuid(id, id, id) ||
	    !register_new(peer_open(), 0, UPCALL_ACCESS_ANYONE))
		return 1;
	__atomic_store_n(uid, 0, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

TEST_F(pair, each_user_is_listed_once_with_room_for_one_record_at_a_time)
{
	uid_t *uids = shared_alloc(USERS * sizeof(uid_t));
	static struct upcall_list_user users[2 * USERS];
	int i, n, seen[USERS] = { 0 };
	pid_t pids[USERS];

	MODULE_ONLY("another process");
	for (i = 0; i < USERS; i++) {
		uids[i] = NOBODY + i;
		pids[i] = spawn(use_something, &uids[i]);
	}
	for (i = 0; i < USERS; i++)
		ASSERT_TRUE(eventually(!__atomic_load_n(&uids[i], __ATOMIC_ACQUIRE)));
	n = list_all(self->caller, UPCALL_LIST_USERS, users, sizeof(users[0]), LENGTH(users));
	ASSERT_LE(USERS + 1, n);
	for (i = 0; i < n; i++) {
		if (!users[i].depth && users[i].uid >= NOBODY && users[i].uid < NOBODY + USERS)
			seen[users[i].uid - NOBODY]++;
	}
	for (i = 0; i < USERS; i++) {
		EXPECT_EQ(1, seen[i]);
		kill(pids[i], SIGKILL);
		reap(pids[i]);
	}
}

TEST_F(pair, any_cursor_of_users_is_safe)
{
	struct upcall_list_user user;
	struct upcall_list args = list_args(UPCALL_LIST_USERS, &user, sizeof(user), sizeof(user));
	static const uint64_t cursors[] = { 1, 1ULL << 32, 1ULL << 52, 1ULL << 53, 1ULL << 63, ~0ULL };
	size_t i;

	for (i = 0; i < LENGTH(cursors); i++) {
		args.cursor = cursors[i];
		EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_LIST, &args));
		EXPECT_GE(1, args.count);
	}
	EXPECT_EQ(0, args.count);
}

static int list_as_nobody(void *arg)
{
	struct upcall_list_callback cb[4];
	struct upcall_list_peer peers[4];
	struct upcall_list_call calls[4];
	struct upcall_list_user users[4];
	int fd;

	(void)arg;
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	fd = peer_open();
	if (list_all(fd, UPCALL_LIST_CALLBACKS, cb, sizeof(cb[0]), 4) ||
	    list_all(fd, UPCALL_LIST_CALLS, calls, sizeof(calls[0]), 4))
		return 2;
	/* itself */
	if (list_all(fd, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 4) != 1 ||
	    peers[0].uid != NOBODY || peers[0].pid != (uint32_t)getpid())
		return 3;
	if (list_all(fd, UPCALL_LIST_USERS, users, sizeof(users[0]), 4) > 1)
		return 4;
	if (!register_new(fd, 1, UPCALL_ACCESS_ANYONE))
		return 5;
	return list_all(fd, UPCALL_LIST_CALLBACKS, cb, sizeof(cb[0]), 4) == 1 ? 0 : 6;
}

TEST_F(pair, others_see_nothing_of_it)
{
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(0, WEXITSTATUS(reap(spawn(list_as_nobody, NULL))));
}

TEST_HARNESS_MAIN
