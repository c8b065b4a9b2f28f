/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of stub fds: how to make one, and what can be done with it. */
#ifndef STUB_H
#define STUB_H

#include "upcall_test.h"

/* A stub fd, or -errno. */
static inline int export_stub(int fd, uint64_t handle)
{
	struct upcall_export args = { .size = sizeof(args), .handle = handle };
	int err = verb(fd, UPCALL_IOC_EXPORT, &args);

	return err ?: (int)args.fd;
}

/* A notification on a stub fd: 0 or -errno. */
static inline int stub_notify(int stub)
{
	struct upcall_invoke args = INVOKE_ARGS(0);

	args.flags |= UPCALL_INVOKE_ONEWAY;
	return verb(stub, UPCALL_IOC_INVOKE, &args);
}

/* What poll(2) says at once, whatever was asked for. */
static inline int poll_now(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&pollfd, 1, 0) < 0 ? -errno : pollfd.revents;
}

/* Whether poll(2) comes to say exactly that. */
static inline bool polls(int fd, int events)
{
	return eventually(poll_now(fd) == events);
}

#endif /* STUB_H */
