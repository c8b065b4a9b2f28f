// SPDX-License-Identifier: GPL-2.0-only
/* INFO: binds nothing, and announces what is built: no more and no less. */
#include "abi_test.h"

/* What the module has, and the library's test double has not. */
#ifdef UPCALL_DOUBLE
#define MODULE_FEATURES	0
#else
#define MODULE_FEATURES	(UPCALL_FEATURE_STUB | UPCALL_FEATURE_ADOPT)
#endif

static int info(int fd, struct upcall_info *args)
{
	memset(args, POISON, sizeof(*args));
	args->size = sizeof(*args);
	args->flags = 0;
	args->reserved = 0;
	return verb(fd, UPCALL_IOC_INFO, args);
}

static uint64_t features(int fd)
{
	struct upcall_info args;

	return info(fd, &args) ? 0 : args.features;
}

TEST_F(pair, info_reports_version_limits_and_instance)
{
	struct upcall_info args;

	ASSERT_EQ(0, info(self->caller, &args));
	EXPECT_EQ(sizeof(args), args.size);
	EXPECT_EQ(UPCALL_ABI_VERSION, args.abi_version);
	EXPECT_NE(0, args.instance);
	EXPECT_EQ(UPCALL_MAX_PAYLOAD, args.max_payload);
	EXPECT_EQ(UPCALL_MAX_QUEUED_CALLS, args.max_queued_calls);
	EXPECT_EQ(UPCALL_MAX_COMMANDS, args.max_commands);
	EXPECT_EQ(1U << 22, args.max_callbacks);
	EXPECT_EQ(1U << 20, args.max_callbacks_user);
	EXPECT_EQ(65536, args.max_queued_calls_user);
	EXPECT_EQ(64U << 20, args.max_queued_bytes_user);
}

static int info_in_child(void *arg)
{
	int fd = peer_open();

	return info(fd, arg) ? 1 : 0;
}

TEST_F(pair, instance_is_the_same_for_all_peers_and_processes)
{
	struct upcall_info mine, other, *childs = shared_alloc(sizeof(*childs));

	MODULE_ONLY("another process");
	ASSERT_EQ(0, info(self->owner, &mine));
	ASSERT_EQ(0, info(self->caller, &other));
	ASSERT_EQ(0, reap(spawn(info_in_child, childs)));
	EXPECT_EQ(mine.instance, other.instance);
	EXPECT_EQ(mine.instance, childs->instance);
}

static int register_on(void *arg)
{
	return register_new(*(int *)arg, COOKIE, UPCALL_ACCESS_SAME_USER) ? 0 : 1;
}

TEST(info_binds_nothing)
{
	struct upcall_register reg = REGISTER_ARGS();
	struct upcall_info args;
	int fd = peer_open();

	MODULE_ONLY("another process");
	ASSERT_EQ(0, info(fd, &args));
	/* Another process makes it its own ... */
	ASSERT_EQ(0, reap(spawn(register_on, &fd)));
	/* ... so that it is not ours; INFO goes on nevertheless. */
	EXPECT_EQ(-EPERM, verb(fd, UPCALL_IOC_REGISTER, &reg));
	EXPECT_EQ(0, info(fd, &args));
}

TEST_F(pair, info_works_on_an_ended_peer)
{
	struct upcall_info args;

	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(0, info(self->owner, &args));
}

TEST_F(pair, info_flags_and_reserved_members_are_einval)
{
	struct upcall_info args = { .size = sizeof(args) };
	int bit;

	for (bit = 0; bit < 32; bit++) {
		args.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INFO, &args));
	}
	args.flags = 0;
	args.reserved = 1;
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INFO, &args));
}

TEST_F(pair, features_are_those_that_this_version_builds)
{
	EXPECT_EQ(UPCALL_FEATURE_SYNC | UPCALL_FEATURE_ONEWAY | UPCALL_FEATURE_CANCEL |
		  UPCALL_FEATURE_ASYNC | UPCALL_FEATURE_NOTIFY | UPCALL_FEATURE_AUTOEND |
		  UPCALL_FEATURE_SERIAL | UPCALL_FEATURE_NESTED | UPCALL_FEATURE_WAIT_ROOM |
		  UPCALL_FEATURE_FDS | MODULE_FEATURES, features(self->caller));
}

TEST_F(pair, limits_of_what_is_not_built_are_zero_and_others_not)
{
	struct upcall_info args;

	ASSERT_EQ(0, info(self->caller, &args));
	EXPECT_EQ(UPCALL_MAX_FDS, args.max_fds);
	EXPECT_EQ(UPCALL_MAX_NESTING, args.max_nesting);
}

TEST_F(pair, unknown_verbs_are_enotty)
{
	struct upcall_info args = { .size = sizeof(args) };
	unsigned int nr;

	for (nr = 0x0c; nr <= 0xff; nr++)
		EXPECT_EQ(-ENOTTY, verb(self->owner, _IO(UPCALL_IOC_MAGIC, nr), &args));
	/* The number alone is not enough: type, direction and size belong to it. */
	EXPECT_EQ(-ENOTTY, verb(self->owner, _IO(0xc5, 0), &args));
	EXPECT_EQ(-ENOTTY, verb(self->owner, _IOWR(UPCALL_IOC_MAGIC, 0, args), &args));
}

TEST_F(pair, unknown_commands_are_einval)
{
	static const uint32_t types[] = {
		0, UPCALL_COMMAND_REBIND + 1, ~0U,
	};
	struct upcall_command cmd;
	size_t i;

	for (i = 0; i < LENGTH(types); i++) {
		cmd = (struct upcall_command){ .type = types[i], .target = self->handle };
		EXPECT_EQ(-EINVAL, command(self->owner, &cmd));
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
}

#ifdef UPCALL_DOUBLE
TEST_F(pair, unbuilt_verbs_are_enotty)
{
	struct upcall_adopt adopt = { .size = sizeof(adopt) };

	EXPECT_EQ(-ENOTTY, verb(self->owner, UPCALL_IOC_ADOPT, &adopt));
}

TEST_F(pair, unbuilt_register_flags_are_einval)
{
	struct upcall_register args = REGISTER_ARGS(.flags = UPCALL_REGISTER_IDEMPOTENT);

	EXPECT_EQ(-EINVAL, verb(self->owner, UPCALL_IOC_REGISTER, &args));
}
#endif

TEST_HARNESS_MAIN
