/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of what a uid may have: an owner, and two uids that call; the limits are as before in the end. */
#ifndef QUOTA_H
#define QUOTA_H

#include "kselftest_harness.h"
#include "puppet.h"

#define PARAMETERS	"/sys/module/upcall/parameters/"

FIXTURE(quota) {
	struct puppet owner, alice, bob;
	uint64_t handle;	/* of the owner, who is root; for anyone */
};

FIXTURE_SETUP(quota)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	/* What an earlier test had ends a moment after its processes, and would be counted. */
	ASSERT_TRUE(eventually(user_owes_nothing(my_peer, ALICE) && user_owes_nothing(my_peer, BOB)));
	self->owner = puppet_new();
	self->alice = puppet_of(ALICE);
	self->bob = puppet_of(BOB);
	self->handle = puppet_register(&self->owner, UPCALL_ACCESS_ANYONE);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(quota)
{
	write_to(PARAMETERS "max_queued_calls_user", "65536");
	write_to(PARAMETERS "max_queued_bytes_user", "67108864");
	write_to(PARAMETERS "max_callbacks_user", "1048576");
	write_to(PARAMETERS "max_callbacks", "4194304");
	puppet_kill(&self->owner, SIGKILL);
	puppet_kill(&self->alice, SIGKILL);
	puppet_kill(&self->bob, SIGKILL);
	/* Who is reaped may still be charged for a moment */
	close(my_peer);
	my_peer = peer_open();
	EXPECT_TRUE(eventually(!callbacks_of_all(my_peer)));
}

#endif /* QUOTA_H */
