// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two futexes; the data is in shared memory.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../bench.h"

/* A word is 1 while it is the turn of who waits on it. */
struct pair {
	uint32_t server, caller;
	uint64_t result;
	_Alignas(64) char data[MAX_ARG];
};

static void wake(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	must(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0));
}

static void wait_for(uint32_t *word)
{
	while (!__atomic_load_n(word, __ATOMIC_ACQUIRE)) {
		if (syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			fail("futex");
	}
	*word = 0;
}

static void setup(struct run *run)
{
	(void)run;
}

static void serve(struct run *run)
{
	struct pair *pair = (void *)run->shared;

	serving(run);
	for (;;) {
		wait_for(&pair->server);
		pair->result = answer(pair->data, run->size);
		wake(&pair->caller);
	}
}

static uint64_t call(struct run *run)
{
	struct pair *pair = (void *)run->shared;

	memcpy(pair->data, run->arg, run->size);
	wake(&pair->server);
	wait_for(&pair->caller);
	return pair->result;
}

const struct way way_futex = {
	.name = "futex", .max = MAX_ARG, .setup = setup, .serve = serve, .call = call,
};
