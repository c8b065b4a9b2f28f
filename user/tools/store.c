// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The service manager: what it kept for us from the process before, and what it is to keep for
 * the next one. The protocols of sd_listen_fds(3) and sd_notify(3), which are a few lines each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tool.h"

#define STORE_NAME	"upcall"	/* of our descriptor among those that are kept */
#define FIRST_FD	3

/* Which of the names between colons it is; -1: none. */
static int name_index(const char *names)
{
	size_t len;

	for (int i = 0; names; i++) {
		len = strcspn(names, ":");
		if (len == strlen(STORE_NAME) && !strncmp(names, STORE_NAME, len))
			return i;
		names = names[len] ? names + len + 1 : NULL;
	}
	return -1;
}

/**
 * store_take() - The peer that the service manager kept
 *
 * Not to be done twice: COMMAND is not to take what was meant for us.
 *
 * Return: its descriptor, or -1.
 */
int store_take(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	uint64_t for_pid, fds;
	int index, fd = -1;

	if (pid && count && !text_parse_number(pid, &for_pid) && !text_parse_number(count, &fds) &&
	    for_pid == (uint64_t)getpid()) {
		index = name_index(getenv("LISTEN_FDNAMES"));
		if (index >= 0 && (uint64_t)index < fds)
			fd = FIRST_FD + index;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return fd;
}

static int notify_socket(const char *path, struct sockaddr_un *address, socklen_t *len)
{
	size_t size = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || size >= sizeof(address->sun_path))
		return -EINVAL;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, size);
	if (path[0] == '@')
		address->sun_path[0] = 0;
	*len = offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '/');
	return 0;
}

static int send_message(const char *path, const char *text, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec bytes = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct sockaddr_un address;
	struct msghdr message = { .msg_name = &address, .msg_iov = &bytes, .msg_iovlen = 1 };
	struct cmsghdr *header;
	int sock, err = notify_socket(path, &address, &message.msg_namelen);

	if (err)
		return err;
	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	err = sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
	close(sock);
	return err;
}

/**
 * store_ready() - Tell the service manager that we serve, and give it the peer to keep
 * @peer_fd: The peer; -1: nothing is to be kept.
 */
void store_ready(int peer_fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	int err;

	if (!path || !*path)
		return;
	err = send_message(path, peer_fd < 0 ? "READY=1" :
			   "READY=1\nFDSTORE=1\nFDNAME=" STORE_NAME, peer_fd);
	if (err)
		tool_say("NOTIFY_SOCKET: %s", strerror(-err));
	unsetenv("NOTIFY_SOCKET");
}
