// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of version 1, by number: whoever changes it breaks programs that are compiled. The
 * asserts fail when this is built, for 64 and for 32 bits.
 */
#include "kselftest_harness.h"
#include <stddef.h>
#include "upcall_test.h"

#define SIZE(type, size)							\
	_Static_assert(sizeof(struct type) == (size), #type);			\
	_Static_assert(sizeof(struct type) % 8 == 0, #type " is padded");	\
	_Static_assert(_Alignof(struct type) == 8 || sizeof(struct type) == 8, #type)
#define OFFSET(type, member, at) \
	_Static_assert(offsetof(struct type, member) == (at), #type "." #member)

SIZE(upcall_info, 72);
OFFSET(upcall_info, flags, 4);
OFFSET(upcall_info, abi_version, 8);
OFFSET(upcall_info, features, 16);
OFFSET(upcall_info, instance, 24);
OFFSET(upcall_info, max_callbacks, 32);
OFFSET(upcall_info, max_queued_bytes_user, 56);
OFFSET(upcall_info, max_nesting, 68);

SIZE(upcall_register, 80);
OFFSET(upcall_register, cookie, 8);
OFFSET(upcall_register, label, 16);
OFFSET(upcall_register, signature, 32);
OFFSET(upcall_register, word, 40);
OFFSET(upcall_register, access, 48);
OFFSET(upcall_register, max_queued_calls, 60);
OFFSET(upcall_register, max_queued_bytes, 64);
OFFSET(upcall_register, handle, 72);

SIZE(upcall_rebind, 32);
OFFSET(upcall_rebind, handle, 8);
OFFSET(upcall_rebind, cookie, 16);
OFFSET(upcall_rebind, word, 24);

SIZE(upcall_release, 24);
OFFSET(upcall_release, handle, 8);
OFFSET(upcall_release, word, 16);

SIZE(upcall_stat, 208);
OFFSET(upcall_stat, handle, 8);
OFFSET(upcall_stat, state, 16);
OFFSET(upcall_stat, died_ns, 32);
OFFSET(upcall_stat, word, 40);
OFFSET(upcall_stat, uid, 48);
OFFSET(upcall_stat, start_time, 72);
OFFSET(upcall_stat, label, 80);
OFFSET(upcall_stat, max_queued_bytes, 112);
OFFSET(upcall_stat, cookie, 120);
OFFSET(upcall_stat, queued_bytes, 144);
OFFSET(upcall_stat, calls, 160);
OFFSET(upcall_stat, run_ns, 200);

SIZE(upcall_list, 40);
OFFSET(upcall_list, what, 8);
OFFSET(upcall_list, cursor, 16);
OFFSET(upcall_list, buffer, 24);
OFFSET(upcall_list, count, 36);
SIZE(upcall_list_callback, 112);
OFFSET(upcall_list_callback, label, 16);
OFFSET(upcall_list_callback, queued_bytes, 64);
OFFSET(upcall_list_callback, run_ns, 104);
SIZE(upcall_list_peer, 40);
OFFSET(upcall_list_peer, ended, 36);
SIZE(upcall_list_call, 96);
OFFSET(upcall_list_call, owner_pid, 48);
OFFSET(upcall_list_call, label, 80);
SIZE(upcall_list_user, 32);
OFFSET(upcall_list_user, queued_bytes, 16);

SIZE(upcall_export, 24);
SIZE(upcall_adopt, 24);
OFFSET(upcall_adopt, peer, 8);
OFFSET(upcall_adopt, callbacks, 16);
OFFSET(upcall_adopt, reserved, 20);
SIZE(upcall_config, 24);

SIZE(upcall_invoke, 176);
OFFSET(upcall_invoke, target, 8);
OFFSET(upcall_invoke, deadline_ns, 16);
OFFSET(upcall_invoke, arg, 24);
OFFSET(upcall_invoke, reply, 32);
OFFSET(upcall_invoke, arg_len, 40);
OFFSET(upcall_invoke, op, 52);
OFFSET(upcall_invoke, signature, 56);
OFFSET(upcall_invoke, fd_count, 88);
OFFSET(upcall_invoke, call_id, 96);
OFFSET(upcall_invoke, stage, 104);
OFFSET(upcall_invoke, status, 108);
OFFSET(upcall_invoke, needed, 120);
OFFSET(upcall_invoke, word, 136);
OFFSET(upcall_invoke, total_ns, 168);

SIZE(upcall_exchange, 80);
OFFSET(upcall_exchange, commands, 16);
OFFSET(upcall_exchange, events, 24);
OFFSET(upcall_exchange, command_count, 32);
OFFSET(upcall_exchange, wait_call, 48);
OFFSET(upcall_exchange, commands_failed, 56);
OFFSET(upcall_exchange, reserved, 76);

SIZE(upcall_command, 104);
OFFSET(upcall_command, target, 8);
OFFSET(upcall_command, data, 32);
OFFSET(upcall_command, status, 44);
OFFSET(upcall_command, call_id, 80);
OFFSET(upcall_command, error, 88);
OFFSET(upcall_command, reply_fd_max, 100);

SIZE(upcall_event, 24);
OFFSET(upcall_event, handle, 8);
OFFSET(upcall_event, cookie, 16);
SIZE(upcall_event_call, 112);
OFFSET(upcall_event_call, call, 24);
OFFSET(upcall_event_call, flags, 56);
OFFSET(upcall_event_call, payload_offset, 88);
OFFSET(upcall_event_call, fd_count, 100);
SIZE(upcall_event_result, 112);
SIZE(upcall_event_cancel, 40);
OFFSET(upcall_event_cancel, call, 24);
OFFSET(upcall_event_cancel, error, 32);

SIZE(upcall_shutdown, 16);
OFFSET(upcall_shutdown, word, 8);

TEST(command_numbers_are_those_of_version_1)
{
	EXPECT_EQ(0xc400, UPCALL_IOC_INFO);
	EXPECT_EQ(0xc401, UPCALL_IOC_REGISTER);
	EXPECT_EQ(0xc402, UPCALL_IOC_REBIND);
	EXPECT_EQ(0xc403, UPCALL_IOC_RELEASE);
	EXPECT_EQ(0xc404, UPCALL_IOC_STAT);
	EXPECT_EQ(0xc405, UPCALL_IOC_LIST);
	EXPECT_EQ(0xc406, UPCALL_IOC_EXPORT);
	EXPECT_EQ(0xc407, UPCALL_IOC_INVOKE);
	EXPECT_EQ(0xc408, UPCALL_IOC_EXCHANGE);
	EXPECT_EQ(0xc409, UPCALL_IOC_SHUTDOWN);
	EXPECT_EQ(0xc40a, UPCALL_IOC_ADOPT);
	EXPECT_EQ(0xc40b, UPCALL_IOC_CONFIG);
}

TEST(handles_survive_a_double)
{
	double handle = UPCALL_MAX_HANDLE;

	EXPECT_EQ(UPCALL_MAX_HANDLE, (uint64_t)handle);
	EXPECT_EQ((1ULL << 53) - 1, UPCALL_MAX_HANDLE);
}

TEST_HARNESS_MAIN
