// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two pipes.
 */
#include <unistd.h>
#include <fcntl.h>
#include "../bench.h"
#include "stream.h"

static int to_server[2], to_caller[2];

static void setup(struct run *run)
{
	(void)run;
	must(pipe2(to_server, O_CLOEXEC));
	must(pipe2(to_caller, O_CLOEXEC));
}

static void serve(struct run *run)
{
	stream_serve(run, to_server[0], to_caller[1]);
}

static uint64_t call(struct run *run)
{
	return stream_call(run, to_server[1], to_caller[0]);
}

const struct way way_pipe = {
	.name = "pipe", .max = MAX_ARG, .setup = setup, .serve = serve, .call = call,
};
