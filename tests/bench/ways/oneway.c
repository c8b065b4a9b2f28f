// SPDX-License-Identifier: GPL-2.0-only
/*
 * One-way messages: a ring in shared memory, the same with an eventfd for each message, a pipe
 * that is read 4 KiB at a time, and a unix socket with message boundaries.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "oneway.h"

static int in, out;

static void setup_ring(struct run *run)
{
	(void)run;
}

/* How many there are now, after looking at each. */
static uint64_t ring_take(struct oneway *oneway, uint64_t *taken)
{
	uint64_t end = __atomic_load_n(&oneway->messages[ONEWAY_EACH], __ATOMIC_ACQUIRE);
	uint64_t begin = *taken;

	for (; *taken < end; ++*taken) {
		uint64_t seen = oneway->messages[*taken % ONEWAY_EACH];

		__asm__ volatile("" : : "r"(seen));
	}
	return end - begin;
}

static void ring_put(struct oneway *oneway, uint64_t message)
{
	uint64_t *end = &oneway->messages[ONEWAY_EACH];

	oneway->messages[*end % ONEWAY_EACH] = message;
	__atomic_store_n(end, *end + 1, __ATOMIC_RELEASE);
}

static void serve_ring(struct run *run)
{
	uint64_t taken = 0, count;

	serving(run);
	for (;;) {
		count = ring_take(oneway_of(run), &taken);
		if (count)
			oneway_received(run, count);
		else
			sched_yield();
	}
}

static uint64_t call_ring(struct run *run)
{
	for (uint64_t i = 0; i < ONEWAY_EACH; i++)
		ring_put(oneway_of(run), i);
	oneway_wait(run);
	return 0;
}

static void setup_eventfd(struct run *run)
{
	(void)run;
	must(in = eventfd(0, EFD_CLOEXEC));
}

static void serve_eventfd(struct run *run)
{
	uint64_t taken = 0, count;

	serving(run);
	for (;;) {
		must(read(in, &count, sizeof(count)));
		oneway_received(run, ring_take(oneway_of(run), &taken));
	}
}

static uint64_t call_eventfd(struct run *run)
{
	static const uint64_t one = 1;

	for (uint64_t i = 0; i < ONEWAY_EACH; i++) {
		ring_put(oneway_of(run), i);
		must(write(in, &one, sizeof(one)));
	}
	oneway_wait(run);
	return 0;
}

static void setup_pipe(struct run *run)
{
	int ends[2];

	(void)run;
	must(pipe2(ends, O_CLOEXEC));
	in = ends[0];
	out = ends[1];
}

static void setup_seqpacket(struct run *run)
{
	int ends[2];

	(void)run;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	in = ends[0];
	out = ends[1];
}

static void serve_fd(struct run *run)
{
	static char buffer[4096];
	ssize_t n;

	serving(run);
	for (;;) {
		must(n = read(in, buffer, sizeof(buffer)));
		oneway_received(run, (uint64_t)n / 8);
	}
}

static uint64_t call_fd(struct run *run)
{
	for (uint64_t i = 0; i < ONEWAY_EACH; i++)
		must(write(out, &i, sizeof(i)));
	oneway_wait(run);
	return 0;
}

const struct way way_oneway_ring = {
	.name = "oneway/ring", .each = ONEWAY_EACH, .blind = true,
	.setup = setup_ring, .serve = serve_ring, .call = call_ring,
};

const struct way way_oneway_eventfd = {
	.name = "oneway/eventfd", .each = ONEWAY_EACH, .blind = true,
	.setup = setup_eventfd, .serve = serve_eventfd, .call = call_eventfd,
};

const struct way way_oneway_pipe = {
	.name = "oneway/pipe", .each = ONEWAY_EACH, .blind = true,
	.setup = setup_pipe, .serve = serve_fd, .call = call_fd,
};

const struct way way_oneway_seqpacket = {
	.name = "oneway/seqpacket", .each = ONEWAY_EACH, .blind = true,
	.setup = setup_seqpacket, .serve = serve_fd, .call = call_fd,
};
