// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pair of unix sockets: as a stream, and with message boundaries.
 */
#include <sys/socket.h>
#include "../bench.h"
#include "stream.h"

static int pair[2];

static void setup_stream(struct run *run)
{
	(void)run;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

static void setup_seqpacket(struct run *run)
{
	(void)run;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
}

static void serve(struct run *run)
{
	stream_serve(run, pair[1], pair[1]);
}

static uint64_t call(struct run *run)
{
	return stream_call(run, pair[0], pair[0]);
}

const struct way way_stream = {
	.name = "stream", .max = MAX_ARG, .setup = setup_stream, .serve = serve, .call = call,
};

const struct way way_seqpacket = {
	.name = "seqpacket", .max = MAX_ARG, .setup = setup_seqpacket, .serve = serve, .call = call,
};
