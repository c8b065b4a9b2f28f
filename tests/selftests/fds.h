/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of descriptors that ride: how to send some, and how to see where they are. */
#ifndef FDS_H
#define FDS_H

#include <sys/stat.h>
#include "upcall_test.h"

/* A call with descriptors; tests change what they are about. */
#define SEND_ARGS(_target, _fds, _count, ...) INVOKE_ARGS(_target,	\
	.fds = ptr64(_fds), .fd_count = (_count), ##__VA_ARGS__)

#define REGISTER_FDS_ARGS(...)						\
	REGISTER_ARGS(.flags = UPCALL_REGISTER_FDS, ##__VA_ARGS__)

/* A notification with descriptors: 0 or -errno. */
static inline int send_fds(int fd, uint64_t handle, const int *fds, uint32_t count)
{
	struct upcall_invoke args = SEND_ARGS(handle, fds, count);

	args.flags |= UPCALL_INVOKE_ONEWAY;
	return verb(fd, UPCALL_IOC_INVOKE, &args);
}

/* @needed: if not NULL, what REPLY says there. */
static inline int reply_fds(int fd, uint64_t call, const int *fds, uint32_t count, uint32_t *needed)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_REPLY, .target = call, .fds = ptr64(fds), .fd_count = count,
	};
	int err = command(fd, &cmd);

	if (needed)
		*needed = cmd.needed;
	return err;
}

/* The descriptors that came with a call. */
static inline const int *fds_of(const union any_event *event)
{
	return (const int *)(event->bytes + event->call.fds_offset);
}

/* How many this process has open. */
static inline int open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1100; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Whether two descriptors are of one file, pipe or anything with a number of its own. */
static inline bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A pipe, in whose reading end is seen whether its writing end is open anywhere: 0 or -errno. */
static inline int pipe_new(int *reader, int *writer)
{
	int ends[2] = { -1, -1 };

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	*reader = ends[0];
	*writer = ends[1];
	return 0;
}

static inline bool writer_is_closed(int reader)
{
	struct pollfd pollfd = { .fd = reader, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1 && pollfd.revents & POLLHUP;
}

#endif /* FDS_H */
