// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two eventfds; the data is in shared memory.
 */
#include <sys/eventfd.h>
#include <unistd.h>
#include "../bench.h"

struct pair {
	uint64_t result;
	_Alignas(64) char data[MAX_ARG];
};

static int to_server, to_caller;

static void signal_fd(int fd)
{
	static const uint64_t one = 1;

	must(write(fd, &one, sizeof(one)));
}

static void wait_fd(int fd)
{
	uint64_t count;

	must(read(fd, &count, sizeof(count)));
}

static void setup(struct run *run)
{
	(void)run;
	must(to_server = eventfd(0, EFD_CLOEXEC));
	must(to_caller = eventfd(0, EFD_CLOEXEC));
}

static void serve(struct run *run)
{
	struct pair *pair = (void *)run->shared;

	serving(run);
	for (;;) {
		wait_fd(to_server);
		pair->result = answer(pair->data, run->size);
		signal_fd(to_caller);
	}
}

static uint64_t call(struct run *run)
{
	struct pair *pair = (void *)run->shared;

	memcpy(pair->data, run->arg, run->size);
	signal_fd(to_server);
	wait_fd(to_caller);
	return pair->result;
}

const struct way way_eventfd = {
	.name = "eventfd", .max = MAX_ARG, .setup = setup, .serve = serve, .call = call,
};
