// SPDX-License-Identifier: GPL-2.0-only
/* REGISTER: each member, each bound, and what a handle is. */
#include "abi_test.h"
#include <grp.h>

#define REGISTER(...) ({						\
	struct upcall_register _args = REGISTER_ARGS(__VA_ARGS__);	\
	verb(self->owner, UPCALL_IOC_REGISTER, &_args);			\
})

TEST_F(pair, every_flag_that_is_not_built_is_einval)
{
	const uint32_t module = UPCALL_REGISTER_UNREFERENCED | UPCALL_REGISTER_AUTO_RELEASE |
				UPCALL_REGISTER_IDEMPOTENT;
	const uint32_t built = UPCALL_REGISTER_SIGNATURE | UPCALL_REGISTER_AUTOEND |
			       UPCALL_REGISTER_SERIAL | UPCALL_REGISTER_FDS |
			       (IS_DOUBLE ? 0 : module);
	int bit;

	for (bit = 0; bit < 32; bit++)
		EXPECT_EQ(1U << bit & built ? 0 : -EINVAL, REGISTER(.flags = 1U << bit));
	EXPECT_EQ(-EINVAL, REGISTER(.flags = UPCALL_REGISTER_AUTOEND | UPCALL_REGISTER_SERIAL));
	EXPECT_EQ(-EINVAL, REGISTER(.flags = UPCALL_REGISTER_UNREFERENCED |
					     UPCALL_REGISTER_AUTO_RELEASE));
	EXPECT_EQ(-EINVAL, REGISTER(.flags = UPCALL_REGISTER_SIGNATURE | 1U << 31));
}

TEST_F(pair, signature_needs_its_flag_and_may_be_any_value)
{
	EXPECT_EQ(-EINVAL, REGISTER(.signature = 1));
	EXPECT_EQ(-EINVAL, REGISTER(.signature = 1ULL << 63));
	EXPECT_EQ(0, REGISTER(.flags = UPCALL_REGISTER_SIGNATURE));
	EXPECT_EQ(0, REGISTER(.flags = UPCALL_REGISTER_SIGNATURE, .signature = ~0ULL));
}

TEST_F(pair, access_modes_are_five)
{
	EXPECT_EQ(0, REGISTER(.access = UPCALL_ACCESS_SAME_USER));
	EXPECT_EQ(0, REGISTER(.access = UPCALL_ACCESS_UID));
	EXPECT_EQ(0, REGISTER(.access = UPCALL_ACCESS_GID));
	EXPECT_EQ(0, REGISTER(.access = UPCALL_ACCESS_ANYONE));
	EXPECT_EQ(IS_DOUBLE ? -EINVAL : 0, REGISTER(.access = UPCALL_ACCESS_STUB_ONLY));
	EXPECT_EQ(-EINVAL, REGISTER(.access = UPCALL_ACCESS_STUB_ONLY + 1));
	EXPECT_EQ(-EINVAL, REGISTER(.access = ~0U));
}

TEST_F(pair, access_id_belongs_to_uid_and_gid_and_must_exist_here)
{
	EXPECT_EQ(-EINVAL, REGISTER(.access = UPCALL_ACCESS_SAME_USER, .access_id = 1));
	EXPECT_EQ(-EINVAL, REGISTER(.access = UPCALL_ACCESS_ANYONE, .access_id = 1));
	EXPECT_EQ(0, REGISTER(.access = UPCALL_ACCESS_UID, .access_id = 65534));
	EXPECT_EQ(0, REGISTER(.access = UPCALL_ACCESS_GID, .access_id = 65534));
	EXPECT_EQ(-EINVAL, REGISTER(.access = UPCALL_ACCESS_UID, .access_id = ~0U));
	EXPECT_EQ(-EINVAL, REGISTER(.access = UPCALL_ACCESS_GID, .access_id = ~0U));
}

TEST_F(pair, max_arg_may_be_0_to_1_mib)
{
	EXPECT_EQ(0, REGISTER(.max_arg = 0));
	EXPECT_EQ(0, REGISTER(.max_arg = UPCALL_MAX_PAYLOAD));
	EXPECT_EQ(-EINVAL, REGISTER(.max_arg = UPCALL_MAX_PAYLOAD + 1));
	EXPECT_EQ(-EINVAL, REGISTER(.max_arg = ~0U));
}

TEST_F(pair, max_queued_calls_may_be_1_to_4096)
{
	EXPECT_EQ(-EINVAL, REGISTER(.max_queued_calls = 0));
	EXPECT_EQ(0, REGISTER(.max_queued_calls = 1));
	EXPECT_EQ(0, REGISTER(.max_queued_calls = UPCALL_MAX_QUEUED_CALLS));
	EXPECT_EQ(-EINVAL, REGISTER(.max_queued_calls = UPCALL_MAX_QUEUED_CALLS + 1));
	EXPECT_EQ(-EINVAL, REGISTER(.max_queued_calls = ~0U));
}

TEST_F(pair, max_queued_bytes_may_be_max_arg_to_4_gib)
{
	EXPECT_EQ(-EINVAL, REGISTER(.max_arg = 100, .max_queued_bytes = 99));
	EXPECT_EQ(0, REGISTER(.max_arg = 100, .max_queued_bytes = 100));
	EXPECT_EQ(0, REGISTER(.max_arg = 0, .max_queued_bytes = 0));
	EXPECT_EQ(0, REGISTER(.max_queued_bytes = 4ULL << 30));
	EXPECT_EQ(-EINVAL, REGISTER(.max_queued_bytes = (4ULL << 30) + 1));
	EXPECT_EQ(-EINVAL, REGISTER(.max_queued_bytes = ~0ULL));
}

TEST_F(pair, label_may_fill_its_16_bytes)
{
	struct upcall_register args = REGISTER_ARGS();

	memcpy(args.label, "0123456789abcdef", UPCALL_MAX_LABEL);
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	EXPECT_EQ(0, memcmp(args.label, stat_of(self->caller, args.handle).label, 16));
	memset(args.label, 0, UPCALL_MAX_LABEL);
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
}

TEST_F(pair, label_with_a_byte_behind_its_nul_is_einval)
{
	struct upcall_register args;
	int nul, at;

	for (nul = 0; nul < UPCALL_MAX_LABEL; nul++) {
		for (at = nul + 1; at < UPCALL_MAX_LABEL; at++) {
			args = REGISTER_ARGS();
			memset(args.label, 0, UPCALL_MAX_LABEL);
			memset(args.label, 'x', nul);
			args.label[at] = 'y';
			EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_REGISTER, &args));
		}
	}
}

TEST_F(pair, failed_register_writes_and_registers_nothing)
{
	uint32_t before = usage(self->owner).callbacks;
	struct upcall_register args = REGISTER_ARGS(.flags = 1U << 31, .handle = 77);

	ASSERT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	EXPECT_EQ(77, args.handle);
	EXPECT_EQ(before, usage(self->owner).callbacks);
}

TEST_F(pair, fault_on_the_handle_registers_nothing)
{
	struct upcall_list_callback list[8];
	char *pages = pages_alloc(2);
	struct upcall_register *args =
		(void *)(pages + PAGE - offsetof(struct upcall_register, handle));

	MODULE_ONLY("no EFAULT");
	*args = REGISTER_ARGS();
	ASSERT_EQ(0, page_allow(pages + PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, verb(self->owner, UPCALL_IOC_REGISTER, args));
	EXPECT_EQ(1, usage(self->owner).callbacks);
	EXPECT_EQ(1, list_all(self->owner, UPCALL_LIST_CALLBACKS, list, sizeof(list[0]), 8));
	EXPECT_EQ(self->handle, list[0].handle);
	/* The same again, writable, succeeds. */
	ASSERT_EQ(0, page_allow(pages + PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, args));
	EXPECT_EQ(2, usage(self->owner).callbacks);
	EXPECT_EQ(2, list_all(self->owner, UPCALL_LIST_CALLBACKS, list, sizeof(list[0]), 8));
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

TEST_F(pair, handles_are_below_2_to_the_53_and_all_different)
{
	static uint64_t handles[4000];
	union any_event event;
	size_t i;

	for (i = 0; i < LENGTH(handles); i++) {
		handles[i] = register_new(self->owner, 0, UPCALL_ACCESS_SAME_USER);
		ASSERT_NE(0, handles[i]);
		ASSERT_GE(UPCALL_MAX_HANDLE, handles[i]);
		if (i % 2)
			continue;
		ASSERT_EQ(0, release(self->owner, handles[i], 0));
		ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	}
	qsort(handles, LENGTH(handles), sizeof(handles[0]), compare_u64);
	for (i = 1; i < LENGTH(handles); i++)
		ASSERT_NE(handles[i - 1], handles[i]);
}

TEST_F(pair, equal_registrations_are_two_callbacks)
{
	uint64_t second = register_new(self->owner, COOKIE, UPCALL_ACCESS_SAME_USER);
	struct upcall_event_call call;

	ASSERT_NE(0, second);
	EXPECT_NE(self->handle, second);
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	ASSERT_EQ(0, notify(self->caller, second, NULL, 0));
	EXPECT_EQ(-ESTALE, notify(self->caller, self->handle, NULL, 0));
	union any_event event;

	ASSERT_EQ(UPCALL_EVENT_RELEASED, one_event(self->owner, &event));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(second, call.event.handle);
}

TEST_F(pair, what_was_registered_is_what_stat_says)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_SIGNATURE,
		.cookie = ~0ULL, .signature = 5, .word = 6, .access = UPCALL_ACCESS_GID,
		.access_id = 7, .max_arg = 8, .max_queued_calls = 9, .max_queued_bytes = 10);
	uint64_t before = now_ns();
	struct upcall_stat stat;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
	stat = stat_of(self->owner, args.handle);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	EXPECT_EQ(UPCALL_REASON_NONE, stat.reason);
	EXPECT_EQ(1, stat.owned);
	EXPECT_EQ(~0ULL, stat.cookie);
	EXPECT_EQ(5, stat.signature);
	EXPECT_EQ(6, stat.word);
	EXPECT_EQ(UPCALL_ACCESS_GID, stat.access);
	EXPECT_EQ(7, stat.access_id);
	EXPECT_EQ(8, stat.max_arg);
	EXPECT_EQ(9, stat.max_queued_calls);
	EXPECT_EQ(10, stat.max_queued_bytes);
	EXPECT_EQ(UPCALL_REGISTER_SIGNATURE, stat.register_flags);
	EXPECT_EQ(getpid(), (pid_t)stat.pid);
	EXPECT_EQ(geteuid(), stat.uid);
	EXPECT_EQ(getegid(), stat.gid);
	EXPECT_EQ(0, strcmp("test", stat.label));
	EXPECT_EQ(0, stat.died_ns);
	EXPECT_LE(before, stat.registered_ns);
	EXPECT_GE(now_ns(), stat.registered_ns);
}

TEST_F(pair, cookie_word_and_counters_are_not_shown_to_others)
{
	struct upcall_stat stat = stat_of(self->caller, self->handle);
	size_t own = offsetof(struct upcall_stat, cookie);
	struct upcall_list_callback list[8];
	uint64_t cookie = COOKIE;

	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	EXPECT_EQ(0, stat.owned);
	EXPECT_EQ(0, stat.word);
	EXPECT_TRUE(all_bytes((char *)&stat + own, sizeof(stat) - own, 0));
	ASSERT_EQ(1, list_all(self->caller, UPCALL_LIST_CALLBACKS, list, sizeof(list[0]), 8));
	EXPECT_EQ(NULL, memmem(list, sizeof(list[0]), &cookie, sizeof(cookie)));
}

/* Who calls, and what comes of it. */
struct visitor {
	uid_t uid, gid, group;
	uint64_t handle;
	int notified, stated;
};

static int visit(void *arg)
{
	struct visitor *visitor = arg;
	struct upcall_stat stat = { .size = sizeof(stat), .handle = visitor->handle };
	int fd;

	if (setgroups(1, &visitor->group) ||
	    setresgid(visitor->gid, visitor->gid, visitor->gid) ||
	    setresuid(visitor->uid, visitor->uid, visitor->uid))
		return 1;
	fd = peer_open();
	visitor->notified = notify(fd, visitor->handle, NULL, 0);
	visitor->stated = verb(fd, UPCALL_IOC_STAT, &stat);
	return 0;
}

TEST_F(pair, access_goes_by_the_callers_effective_ids)
{
	const struct {
		uint32_t access, id;
		uid_t uid, gid, group;
		int expected;
	} cases[] = {
		{ UPCALL_ACCESS_SAME_USER, 0, 0, NOBODY, NOBODY, 0 },
		{ UPCALL_ACCESS_SAME_USER, 0, NOBODY, 0, 0, -EACCES },
		{ UPCALL_ACCESS_ANYONE, 0, NOBODY, NOBODY, NOBODY, 0 },
		{ UPCALL_ACCESS_UID, NOBODY, NOBODY, NOBODY, NOBODY, 0 },
		{ UPCALL_ACCESS_UID, NOBODY, NOBODY + 1, NOBODY, NOBODY, -EACCES },
		{ UPCALL_ACCESS_GID, NOBODY, NOBODY, NOBODY, 0, 0 },
		{ UPCALL_ACCESS_GID, NOBODY, NOBODY, 0, NOBODY, 0 },
		{ UPCALL_ACCESS_GID, NOBODY, NOBODY, NOBODY + 1, 0, -EACCES },
		/* no capability overrides it: the owner's own uid, root, may not either */
		{ UPCALL_ACCESS_UID, NOBODY, 0, 0, 0, -EACCES },
	};
	struct visitor *visitor = shared_alloc(sizeof(*visitor));
	size_t i;

	MODULE_ONLY("another process");
	for (i = 0; i < LENGTH(cases); i++) {
		struct upcall_register args = REGISTER_ARGS(.access = cases[i].access,
							    .access_id = cases[i].id);

		ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &args));
		*visitor = (struct visitor){ .uid = cases[i].uid, .gid = cases[i].gid,
			.group = cases[i].group, .handle = args.handle };
		ASSERT_EQ(0, reap(spawn(visit, visitor)));
		EXPECT_EQ(cases[i].expected, visitor->notified) TH_LOG("case %zu", i);
		/* STAT goes by the same rule, but for CAP_SYS_ADMIN */
		EXPECT_EQ(cases[i].uid ? cases[i].expected : 0, visitor->stated)
			TH_LOG("case %zu", i);
	}
}

TEST_HARNESS_MAIN
