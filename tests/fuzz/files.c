// SPDX-License-Identifier: GPL-2.0-only
/* What the operations do that are about files: how they come, go, cross to others, and are waited for. */
#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "fuzz.h"

#define MOST_MS	10	/* that one waits */

union rights {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int64_t give(struct self *self, int which, int64_t fd)
{
	if (fd < 0)
		return -errno;
	arena->value[self->at][which] = fd;
	return fd;
}

static int wait_ms(uint64_t ms)
{
	return ms < MOST_MS ? ms : MOST_MS;
}

int64_t run_open(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)verb, (void)args;
	return give(self, 0, open("/dev/upcall", O_RDWR));
}

int64_t run_dup(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)verb;
	return give(self, 0, dup(args[0]));
}

int64_t run_close(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)self, (void)verb;
	return close(args[0]) ? -errno : 0;
}

/* To whoever takes it. */
int64_t run_pass(struct self *self, const struct verb *verb, const uint64_t *args)
{
	union rights control = { 0 };
	struct iovec iov = { "", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int fd = args[0];

	(void)self, (void)verb;
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return sendmsg(mailbox[0], &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int64_t run_take(struct self *self, const struct verb *verb, const uint64_t *args)
{
	struct pollfd pollfd = { .fd = mailbox[1], .events = POLLIN };
	union rights control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	(void)verb, (void)args;
	poll(&pollfd, 1, MOST_MS);
	if (recvmsg(mailbox[1], &msg, MSG_DONTWAIT) < 0)
		return -errno;
	if (!CMSG_FIRSTHDR(&msg))
		return -ENODATA;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return give(self, 0, fd);
}

int64_t run_pipe(struct self *self, const struct verb *verb, const uint64_t *args)
{
	int fds[2];

	(void)verb, (void)args;
	if (pipe(fds))
		return -errno;
	give(self, 1, fds[1]);
	return give(self, 0, fds[0]);
}

/* One that may not ride with a call. */
int64_t run_socket(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)verb, (void)args;
	return give(self, 0, socket(AF_UNIX, SOCK_DGRAM, 0));
}

/* --- waiting ----------------------------------------------------------------------- */

int64_t run_poll(struct self *self, const struct verb *verb, const uint64_t *args)
{
	struct pollfd pollfd = { .fd = args[0], .events = args[1] };

	(void)self, (void)verb;
	return poll(&pollfd, 1, wait_ms(args[2])) < 0 ? -errno : pollfd.revents;
}

int64_t run_epoll(struct self *self, const struct verb *verb, const uint64_t *args)
{
	struct epoll_event event = { .events = args[1] };
	int fd = epoll_create1(0);

	(void)verb;
	give(self, 0, fd);
	if (epoll_ctl(fd, EPOLL_CTL_ADD, args[0], &event))
		return -errno;
	return epoll_wait(fd, &event, 1, wait_ms(args[2])) < 0 ? -errno : 0;
}

struct ring {
	int fd;
	char *queue;
	size_t len;
	struct io_uring_sqe *sqes;
	size_t sqes_len;
	struct io_uring_params params;
};

static bool ring_new(struct ring *ring)
{
	ring->fd = syscall(SYS_io_uring_setup, 2, &ring->params);
	if (ring->fd < 0)
		return false;
	ring->len = ring->params.sq_off.array + ring->params.sq_entries * sizeof(uint32_t);
	ring->sqes_len = ring->params.sq_entries * sizeof(*ring->sqes);
	ring->queue = mmap(NULL, ring->len, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, ring->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	return ring->queue != MAP_FAILED && ring->sqes != MAP_FAILED;
}

static void ring_poll(struct ring *ring, int fd, uint32_t events, bool again)
{
	uint32_t *tail = (uint32_t *)(ring->queue + ring->params.sq_off.tail);

	memset(ring->sqes, 0, sizeof(*ring->sqes));
	ring->sqes->opcode = IORING_OP_POLL_ADD;
	ring->sqes->fd = fd;
	ring->sqes->poll32_events = events;
	ring->sqes->len = again ? IORING_POLL_ADD_MULTI : 0;
	*(uint32_t *)(ring->queue + ring->params.sq_off.array) = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0);
}

/* A ring that polls, and goes on with it. EDGE: also after the first time. */
int64_t run_uring(struct self *self, const struct verb *verb, const uint64_t *args)
{
	struct ring ring = { 0 };
	struct pollfd pollfd;
	int64_t ret = -ENOSYS;

	(void)verb;
	if (ring_new(&ring)) {
		ring_poll(&ring, args[0], args[1] & (POLLIN | POLLOUT), args[1] >> 31);
		pollfd = (struct pollfd){ .fd = ring.fd, .events = POLLIN };
		ret = poll(&pollfd, 1, wait_ms(args[2]));
		munmap(ring.queue, ring.len);
		munmap(ring.sqes, ring.sqes_len);
	}
	give(self, 0, ring.fd);
	return ret;
}

int64_t run_fdinfo(struct self *self, const struct verb *verb, const uint64_t *args)
{
	char path[48], text[512];
	int64_t ret;
	int fd;

	(void)self, (void)verb;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", (int)args[0]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ret = read(fd, text, sizeof(text));
	close(fd);
	return ret;
}
