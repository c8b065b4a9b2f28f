// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of calls is charged to the memory cgroup of who makes them: with those who were called, and
 * need it no more, little of it stays. Seen in how many of them the kernel has.
 */
#include "kselftest_harness.h"
#include "puppet.h"

#define PEERS	16
#define EACH	512
#define KEPT	64	/* of each at the most, with what is in slabs that are begun */

/* -1: not known. Freed ones that KASAN holds back are let go before. */
static long slab_objects(void)
{
	char line[512];
	long n = -1;
	FILE *file;

	write_to("/sys/kernel/slab/upcall_call/shrink", "1");
	file = fopen("/proc/slabinfo", "re");
	while (file && n < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "upcall_call %ld", &n);
	if (file)
		fclose(file);
	return n;
}

static int notify_many(struct puppet_mem *mem)
{
	int i, err = 0;

	for (i = 0; i < EACH && !err; i++)
		err = verb(my_peer, UPCALL_IOC_INVOKE, &mem->inv);
	return err;
}

TEST(memory_of_anothers_calls_does_not_stay_with_those_who_were_called)
{
	static char buf[1 << 16] __attribute__((aligned(8)));
	struct upcall_register reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .max_arg = 0,
		.flags = UPCALL_REGISTER_AUTOEND, .max_queued_calls = 2048, .max_queued_bytes = 0);
	struct puppet bob = puppet_of(BOB);
	struct upcall_exchange out;
	int i, got, peers[PEERS];
	long before, after;

	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	before = slab_objects();
	if (before < 0)
		SKIP_TEST("no /proc/slabinfo here, or caches are merged in it");
	for (i = 0; i < PEERS; i++) {
		peers[i] = peer_open();
		ASSERT_EQ(0, verb(peers[i], UPCALL_IOC_REGISTER, &reg));
		bob.mem->inv = INVOKE_ARGS(reg.handle, .flags = UPCALL_INVOKE_ONEWAY |
					   UPCALL_INVOKE_NO_DEADLINE);
		ASSERT_EQ(0, puppet_do(&bob, notify_many));
		for (got = 0; got < EACH; got += out.event_count)
			ASSERT_EQ(0, receive(peers[i], buf, sizeof(buf), 256, 0, &out));
	}
	after = slab_objects();
	EXPECT_EQ(0, listed_user(my_peer, BOB, 0).queued_calls);
	EXPECT_GE(PEERS * KEPT, after - before);
	puppet_kill(&bob, SIGKILL);
}

TEST_HARNESS_MAIN
