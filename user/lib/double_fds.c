// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Descriptors that ride with calls and replies of the test double: duplicates, which stand in the
 * table of this process while they ride. So there is always room for them at the other end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "double.h"

static bool link_is(int fd, const char *wanted)
{
	char path[40], target[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = 0;
	return !strcmp(target, wanted);
}

/* A peer of the double is a unix socket, too. */
static bool may_ride(int fd)
{
	socklen_t len = sizeof(int);
	int domain;

	if (!getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return domain != AF_UNIX;
	return !link_is(fd, "anon_inode:[io_uring]") && !link_is(fd, "/dev/upcall");
}

/* All are open, then all may ride: the order of the manual. */
static int fds_check(const uint32_t *fd, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (fcntl((int)fd[i], F_GETFD) < 0)
			return -EBADF;
	}
	for (i = 0; i < count; i++) {
		if (!may_ride((int)fd[i]))
			return -EINVAL;
	}
	return 0;
}

static int fds_copy(struct double_registry *registry, const uint32_t *from, uint32_t count,
		    struct double_fds *fds)
{
	struct rlimit limit = { .rlim_cur = DOUBLE_MAX_FDS };
	int copy;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (registry->fds + count > DOUBLE_MAX_FDS || registry->fds + count > limit.rlim_cur)
		return -EMFILE;
	for (; fds->count < count; fds->count++) {
		copy = fcntl((int)from[fds->count], F_DUPFD_CLOEXEC, 0);
		if (copy < 0)
			return errno == EBADF ? -EBADF : -EMFILE;
		fds->fd[fds->count] = copy;
		registry->fds++;
	}
	return 0;
}

int upcall_double_fds_take(struct double_registry *registry, uint64_t from, uint32_t count,
			   struct double_fds *fds)
{
	const uint32_t *source = (const uint32_t *)(uintptr_t)from;
	int saved = errno;
	int err;

	fds->count = 0;
	fds->fd = NULL;
	if (!count)
		return 0;
	if (double_bad(from, count))
		return -EFAULT;
	fds->fd = calloc(count, sizeof(*fds->fd));
	if (!fds->fd)
		return -ENOMEM;
	err = fds_check(source, count);
	if (!err)
		err = fds_copy(registry, source, count, fds);
	errno = saved;
	if (err)
		upcall_double_fds_drop(registry, fds);
	return err;
}

/* They are the receiver's now. */
void upcall_double_fds_give(struct double_registry *registry, struct double_fds *fds,
			    uint32_t *to)
{
	uint32_t i;

	for (i = 0; i < fds->count; i++)
		to[i] = (uint32_t)fds->fd[i];
	registry->fds -= fds->count;
	free(fds->fd);
	fds->fd = NULL;
	fds->count = 0;
}

void upcall_double_fds_drop(struct double_registry *registry, struct double_fds *fds)
{
	uint32_t i;

	for (i = 0; i < fds->count; i++)
		close(fds->fd[i]);
	registry->fds -= fds->count;
	free(fds->fd);
	fds->fd = NULL;
	fds->count = 0;
}
