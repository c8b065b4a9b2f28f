/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of the library: an owner on a thread, or several, and a caller, both in this process.
 */
#ifndef LIB_TEST_H
#define LIB_TEST_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <upcall.h>

#ifndef UPCALL_SLOW
#define UPCALL_SLOW	1	/* how many times slower than usual the kernel is */
#endif
#define SOON	upcall_deadline_in(20000 * UPCALL_SLOW)	/* longer than any machine takes; no test waits for it */

static inline bool on_double(void)
{
	const char *device = getenv("UPCALL_DEVICE");

	return device && strncmp(device, "test:", 5) == 0;
}

/* First in a test of what the test double cannot do. */
#define MODULE_ONLY(why) do { if (on_double()) SKIP(return, why); } while (0)

/*
 * Waits until COND holds; false: it does not within the time that tests give. What has been true
 * is not asked again: it may be so for a moment only. And it is asked once more when time is up.
 */
#define eventually(cond) ({						\
	uint64_t _until = SOON;						\
	bool _late, _true;						\
									\
	for (;;) {							\
		_late = upcall_deadline_in(0) >= _until;		\
		_true = (cond);						\
		if (_true || _late)					\
			break;						\
		usleep(1000);						\
	}								\
	_true;								\
})

struct owner {
	struct upcall_peer *peer;
	pthread_t thread;
	unsigned int threads;
	int ret;		/* of upcall_run(), once joined */
};

static void *owner_main(void *arg)
{
	struct owner *owner = arg;

	owner->ret = upcall_run(owner->peer, owner->threads);
	return NULL;
}

static inline int owner_start(struct owner *owner, unsigned int threads)
{
	owner->threads = threads;
	owner->ret = 1;
	return -pthread_create(&owner->thread, NULL, owner_main, owner);
}

static inline int owner_join(struct owner *owner)
{
	pthread_join(owner->thread, NULL);
	return owner->ret;
}

/* One call on a thread of its own. */
struct caller {
	struct upcall_call *call;
	uint64_t handle;
	const void *arg;
	size_t len;
	uint64_t deadline;
	pthread_t thread;
	bool running;
	int ret;
};

static void *caller_main(void *arg)
{
	struct caller *caller = arg;

	caller->ret = upcall_call_invoke(caller->call, caller->handle, 0, caller->arg,
					 caller->len, caller->deadline);
	return NULL;
}

static inline int caller_start(struct caller *caller, struct upcall_peer *peer, uint64_t handle)
{
	caller->handle = handle;
	if (!caller->deadline)
		caller->deadline = SOON;
	if (!caller->call && upcall_call_new(peer, &caller->call) < 0)
		return -ENOMEM;
	caller->running = pthread_create(&caller->thread, NULL, caller_main, caller) == 0;
	return caller->running ? 0 : -EAGAIN;
}

static inline int caller_join(struct caller *caller)
{
	pthread_join(caller->thread, NULL);
	caller->running = false;
	return caller->ret;
}

/* Also where the test gave up half way. */
static inline void caller_end(struct caller *caller, struct upcall_peer *peer)
{
	if (caller->running) {
		upcall_shutdown(peer);
		caller_join(caller);
	}
	upcall_call_free(caller->call);
}

#endif /* LIB_TEST_H */
