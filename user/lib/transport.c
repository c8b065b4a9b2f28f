// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What stands behind a peer: the device, or the test double.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "double.h"

struct device {
	struct upcall_transport transport;	/* first member */
	int fd;
};

static int device_control(struct upcall_transport *transport, unsigned long request, void *arg)
{
	const struct device *device = (struct device *)transport;
	int saved = errno;
	int err = 0;

	if (ioctl(device->fd, request, arg) < 0)
		err = -errno;
	errno = saved;
	return err;
}

static int device_fd(const struct upcall_transport *transport)
{
	return ((const struct device *)transport)->fd;
}

static void device_close(struct upcall_transport *transport)
{
	struct device *device = (struct device *)transport;
	int saved = errno;

	close(device->fd);
	free(device);
	errno = saved;
}

/* -EPROTO rather than some errno of a later command: the one clear answer to a mismatch. */
static int device_check_abi(struct upcall_transport *transport)
{
	struct upcall_info info = { .size = sizeof(info) };
	int err;

	err = transport->control(transport, UPCALL_IOC_INFO, &info);
	if (err == -E2BIG || err == -EINVAL)
		return -EPROTO;
	if (err)
		return err;
	return info.abi_version == UPCALL_ABI_VERSION ? 0 : -EPROTO;
}

int upcall_transport_from_fd(int fd, struct upcall_transport **transport)
{
	struct device *device;
	int err;

	device = malloc(sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->transport.control = device_control;
	device->transport.fd = device_fd;
	device->transport.close = device_close;
	device->fd = fd;

	err = device_check_abi(&device->transport);
	if (err) {
		free(device);
		return err;
	}
	*transport = &device->transport;
	return 0;
}

static int device_open(const char *path, struct upcall_transport **transport)
{
	int saved = errno;
	int fd, err;

	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		errno = saved;
		return err;
	}
	err = upcall_transport_from_fd(fd, transport);
	if (err)
		close(fd);
	errno = saved;
	return err;
}

int upcall_transport_open(const char *where, struct upcall_transport **transport)
{
	if (!where)
		where = secure_getenv("UPCALL_DEVICE");
	if (!where || !*where)
		where = "/dev/upcall";
	if (strncmp(where, "test:", 5) == 0)
		return upcall_double_open(where + 5, transport);
	return device_open(where, transport);
}
