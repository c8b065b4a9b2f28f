/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that holds up whoever touches it, the kernel's copies included, until the test says
 * how that ends: so a test can act in the middle of a copy. And a thread that receives into it.
 */
#ifndef STALL_H
#define STALL_H

#include <pthread.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "upcall_test.h"

#define STALL_LEN	4096UL
#define STALL_PAGES	16	/* with those around it: the second one of them is held up */

struct stall {
	int uffd;
	char *page;
	bool writes;
};

static inline struct uffdio_range stall_range(const struct stall *stall)
{
	return (struct uffdio_range){ ptr64(stall->page), STALL_LEN };
}

/* Takes the right to write; reads go on, and what stands there stays. */
static inline int stall_protect(struct stall *stall, bool on)
{
	struct uffdio_writeprotect args = {
		.range = stall_range(stall), .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(stall->uffd, UFFDIO_WRITEPROTECT, &args) ? -errno : 0;
}

/*
 * A page among others. Either what is written to it is held up, but only after
 * stall_protect(); or, as it has no bytes yet, whoever reads them.
 */
static inline int stall_make(struct stall *stall, bool writes)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = writes ? UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};
	struct uffdio_register reg;
	char *pages = mmap(NULL, STALL_PAGES * STALL_LEN, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return -errno;
	stall->page = pages + STALL_LEN;
	stall->writes = writes;
	if (writes)
		memset(stall->page, 0, STALL_LEN);
	stall->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (stall->uffd < 0 || ioctl(stall->uffd, UFFDIO_API, &api))
		return -errno;
	reg = (struct uffdio_register){
		.range = stall_range(stall),
		.mode = writes ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING,
	};
	return ioctl(stall->uffd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

/* Waits until somebody is held up. */
static inline bool stall_is_hit(const struct stall *stall)
{
	struct pollfd pollfd = { .fd = stall->uffd, .events = POLLIN };

	return poll(&pollfd, 1, SOON_MS) == 1 && pollfd.revents == POLLIN;
}

/* Lets them go on; @bytes: a page of what readers find. */
static inline int stall_end(struct stall *stall, const void *bytes)
{
	struct uffdio_copy copy = {
		.dst = ptr64(stall->page), .src = ptr64(bytes), .len = STALL_LEN,
	};

	if (stall->writes)
		return stall_protect(stall, false);
	return ioctl(stall->uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

/* Lets them go on, and fail. */
static inline int stall_break(struct stall *stall)
{
	struct uffdio_range range = stall_range(stall);

	if (mprotect(stall->page, STALL_LEN, PROT_NONE))
		return -errno;
	return ioctl(stall->uffd, UFFDIO_WAKE, &range) ? -errno : 0;
}

/* --- a thread that receives -------------------------------------------------- */

struct stalled_receiver {
	pthread_t thread;
	int fd;
	struct upcall_exchange args;
	int ret;
};

static inline void *stalled_receiver_main(void *arg)
{
	struct stalled_receiver *receiver = arg;

	receiver->ret = verb(receiver->fd, UPCALL_IOC_EXCHANGE, &receiver->args);
	return NULL;
}

/* It has taken up to @max_calls calls, and other events, when this returns. */
static inline bool stalled_receive(struct stalled_receiver *receiver, int fd, struct stall *stall,
				   uint32_t max_calls)
{
	receiver->fd = fd;
	receiver->args = (struct upcall_exchange){
		.size = sizeof(receiver->args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.events = ptr64(stall->page), .events_len = STALL_LEN, .max_calls = max_calls,
	};
	return !stall_protect(stall, true) &&
	       !pthread_create(&receiver->thread, NULL, stalled_receiver_main, receiver) &&
	       stall_is_hit(stall);
}

static inline int stalled_join(struct stalled_receiver *receiver)
{
	pthread_join(receiver->thread, NULL);
	return receiver->ret;
}

#endif /* STALL_H */
