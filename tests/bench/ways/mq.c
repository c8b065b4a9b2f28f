// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two POSIX message queues.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sys/resource.h>
#include "../bench.h"

static mqd_t to_server, to_caller;

static mqd_t queue_open(const char *name, size_t size)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = (long)size };
	mqd_t queue;

	mq_unlink(name);
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	if (queue < 0)
		skip(strerror(errno));
	mq_unlink(name);
	return queue;
}

static void setup(struct run *run)
{
	static const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_MSGQUEUE, &all);
	write_to("/proc/sys/fs/mqueue/msgsize_max", "65536");
	to_server = queue_open("/upcall_bench_1", run->size);
	to_caller = queue_open("/upcall_bench_2", sizeof(uint64_t));
}

static void serve(struct run *run)
{
	static char buffer[MAX_ARG];

	serving(run);
	for (;;) {
		uint64_t result;

		must(mq_receive(to_server, buffer, run->size, NULL));
		result = answer(buffer, run->size);
		must(mq_send(to_caller, (char *)&result, sizeof(result), 0));
	}
}

static uint64_t call(struct run *run)
{
	uint64_t result;

	must(mq_send(to_server, run->arg, run->size, 0));
	must(mq_receive(to_caller, (char *)&result, sizeof(result), NULL));
	return result;
}

const struct way way_mq = {
	.name = "mq", .max = MAX_ARG, .setup = setup, .serve = serve, .call = call,
};
