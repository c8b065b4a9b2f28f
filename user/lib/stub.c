// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Stubs: descriptors that may call one callback, and nothing else. Nothing here needs a file
 * system or a thread: who holds one may be shut in as tightly as it likes.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include "internal.h"

int upcall_export(struct upcall_peer *peer, uint64_t handle, int *fd)
{
	struct upcall_export export = { .size = sizeof(export), .handle = handle };
	int err;

	err = upcall_peer_control(peer, UPCALL_IOC_EXPORT, &export);
	if (!err)
		*fd = (int)export.fd;
	return err;
}

int upcall_callback_export(struct upcall_callback *callback, int *fd)
{
	return upcall_export(callback->peer, callback->handle, fd);
}

static int probe(int fd, unsigned long request, void *arg)
{
	int saved = errno;
	int err = 0;

	if (ioctl(fd, request, arg) < 0)
		err = -errno;
	errno = saved;
	return err;
}

/* An EXCHANGE of no size does nothing: a peer finds it invalid, a stub does not know it. */
int upcall_is_stub(int fd)
{
	struct upcall_info info = { .size = sizeof(info) };
	struct upcall_exchange exchange = { .size = 0 };
	int err;

	err = probe(fd, UPCALL_IOC_INFO, &info);
	if (err)
		return err == -EBADF ? err : 0;
	return probe(fd, UPCALL_IOC_EXCHANGE, &exchange) == -ENOTTY;
}

int upcall_open_stub(int fd, struct upcall_peer **peer)
{
	struct upcall_transport *transport;
	int err;

	err = upcall_transport_from_fd(fd, &transport);
	if (err)
		return err;
	err = upcall_is_stub(fd) ? upcall_peer_new(transport, peer) : -ENOTTY;
	if (err)
		free(transport);	/* not close(): the descriptor stays the caller's */
	else
		(*peer)->stub = true;
	return err;
}
