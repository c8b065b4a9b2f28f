/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of descriptors in the ABI share: an owner and a caller of this process. */
#ifndef ABI_FDS_H
#define ABI_FDS_H

#include "abi_test.h"
#include <sys/resource.h>
#include "fds.h"

#define MAX	UPCALL_MAX_FDS

/* An owner whose callback takes descriptors, a caller, and a pipe to send the end of. */
FIXTURE(fds) {
	int owner;
	int caller;
	uint64_t handle;
	int reader;
	int writer;
	int open;		/* descriptors of this process before the test */
};

FIXTURE_SETUP(fds)
{
	struct upcall_register reg = REGISTER_FDS_ARGS(.cookie = COOKIE);

	self->owner = peer_open();
	self->caller = peer_open();
	ASSERT_TRUE(alone(self->owner));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	self->handle = reg.handle;
	ASSERT_EQ(0, pipe_new(&self->reader, &self->writer));
	self->open = open_fds();
}

FIXTURE_TEARDOWN(fds)
{
	close(self->owner);
	close(self->caller);
}

static inline void fill_with(int *fds, uint32_t count, int fd)
{
	while (count--)
		fds[count] = fd;
}

static inline int bound_nofile(rlim_t max)
{
	struct rlimit limit = { max, 4096 };

	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

#endif /* ABI_FDS_H */
