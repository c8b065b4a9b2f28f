// SPDX-License-Identifier: GPL-2.0-only
/* The library where the caller's memory cgroup is full. */
#include "kselftest_harness.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "lib_test.h"

#define GROUP	"/sys/fs/cgroup/upcall_lib_memcg_test"
#define LARGE	UPCALL_MAX_PAYLOAD
/*
 * A processor charges 64 pages at once and keeps what is left of them. A limit below what is
 * charged when it is written kills; so there is room for another such charge.
 */
#define SLACK	(384U << 10)

static bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

/* As many bytes as @op says, to go with the next EXCHANGE. */
static int give_back(struct upcall_incoming *incoming, void *user)
{
	size_t len = upcall_incoming_op(incoming);
	char *bytes = calloc(1, len + 1);
	int err = upcall_return(incoming, bytes, len);

	(void)user;
	free(bytes);
	return err ? 99 : 17;
}

/* This process may take SLACK more than it has. */
static bool fill_group(void)
{
	char text[32] = "";
	int fd = open(GROUP "/memory.current", O_RDONLY);
	bool done = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0;

	close(fd);
	snprintf(text, sizeof(text), "%llu", strtoull(text, NULL, 10) + SLACK);
	return done && write_to(GROUP "/memory.max", text);
}

/* In the group: 0, or which step went wrong. */
static int caller(uint64_t handle)
{
	static const char told[] = "the reply could not be sent";
	struct upcall_peer *peer;
	struct upcall_call *call;

	if (!write_to(GROUP "/cgroup.procs", "0"))
		return 1;
	if (upcall_open(NULL, &peer) || upcall_call_new(peer, &call))
		return 2;
	upcall_call_set_reply_max(call, LARGE);
	if (upcall_call_invoke(call, handle, 3, NULL, 0, SOON) != 3 || !fill_group())
		return 3;
	if (upcall_call_invoke(call, handle, LARGE, NULL, 0, SOON) != sizeof(told) - 1)
		return 4;
	if ((uint32_t)upcall_call_status(call) != UPCALL_STATUS_RAISED ||
	    memcmp(upcall_call_reply(call), told, sizeof(told) - 1))
		return 5;
	if (!write_to(GROUP "/memory.max", "max") ||
	    upcall_call_invoke(call, handle, LARGE, NULL, 0, SOON) != LARGE ||
	    upcall_call_status(call) != 17)
		return 6;
	return 0;
}

/* And of those that it starts: so only this processor keeps pages that are charged. */
static bool stay_on_this_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

FIXTURE(memcg)
{
	struct owner owner;
	struct upcall_callback *callback;
	pid_t caller;
};

FIXTURE_SETUP(memcg)
{
	MODULE_ONLY("the test double charges nobody");
	if (mkdir(GROUP, 0755) || access(GROUP "/memory.max", W_OK))
		SKIP(return, "no memory cgroups (v2) here");
	ASSERT_TRUE(stay_on_this_processor());
	ASSERT_EQ(0, upcall_open(NULL, &self->owner.peer));
	ASSERT_EQ(0, upcall_callback_new(self->owner.peer, NULL, give_back, NULL, NULL,
					 &self->callback));
	self->caller = fork();
	ASSERT_LE(0, self->caller);
	if (self->caller == 0)
		_exit(caller(upcall_callback_handle(self->callback)));
	ASSERT_EQ(0, owner_start(&self->owner, 1));
}

FIXTURE_TEARDOWN(memcg)
{
	upcall_stop(self->owner.peer);
	EXPECT_EQ(0, owner_join(&self->owner));
	upcall_callback_unref(self->callback);
	upcall_close(self->owner.peer);
	EXPECT_TRUE(eventually(!rmdir(GROUP) || errno == ENOENT));
}

TEST_F(memcg, answer_that_cannot_be_sent_is_told_as_raised)
{
	int status = -1;

	ASSERT_EQ(self->caller, waitpid(self->caller, &status, 0));
	EXPECT_EQ(0, status) TH_LOG("the caller's step %d went wrong", WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
