/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests of the ABI, on the library's test double: built with -DUPCALL_DOUBLE and linked with
 * libupcall.a, a peer is what stands behind upcall_open("test:"), and verb() goes there. As with
 * an open file, a verb that blocks holds the peer open.
 */
#ifndef DOUBLE_SHIM_H
#define DOUBLE_SHIM_H

#include "../../user/lib/internal.h"

#define SHIM_FDS	1024

static struct shim {
	struct upcall_transport *transport;
	unsigned int refs;
} shims[SHIM_FDS];
static pthread_mutex_t shim_lock = PTHREAD_MUTEX_INITIALIZER;

static inline int peer_open(void)
{
	struct upcall_transport *transport;
	int fd;

	if (upcall_transport_open("test:", &transport))
		return -1;
	fd = transport->fd(transport);
	if (fd >= SHIM_FDS)
		abort();
	pthread_mutex_lock(&shim_lock);
	shims[fd] = (struct shim){ transport, 1 };
	pthread_mutex_unlock(&shim_lock);
	return fd;
}

static inline struct shim *shim_get(int fd)
{
	struct shim *shim = NULL;

	pthread_mutex_lock(&shim_lock);
	if (fd >= 0 && fd < SHIM_FDS && shims[fd].refs) {
		shim = &shims[fd];
		shim->refs++;
	}
	pthread_mutex_unlock(&shim_lock);
	return shim;
}

static inline void shim_put(struct shim *shim)
{
	struct upcall_transport *transport = NULL;

	pthread_mutex_lock(&shim_lock);
	if (!--shim->refs)
		transport = shim->transport;
	pthread_mutex_unlock(&shim_lock);
	if (transport)
		transport->close(transport);
}

static inline int verb(int fd, unsigned long cmd, void *arg)
{
	struct shim *shim = shim_get(fd);
	int err;

	if (!shim)
		return ioctl(fd, cmd, arg) ? -errno : 0;
	err = shim->transport->control(shim->transport, cmd, arg);
	shim_put(shim);
	return err;
}

static inline int shim_close(int fd)
{
	struct shim *shim = shim_get(fd);

	if (!shim)
		return close(fd);
	shim_put(shim);		/* ours, and the descriptor's */
	shim_put(shim);
	return 0;
}

#define close(fd) shim_close(fd)

#endif /* DOUBLE_SHIM_H */
