// SPDX-License-Identifier: GPL-2.0-only
/*
 * upcall: an INVOKE, and an owner with one EXCHANGE a call, on the bare ioctls.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "../bench.h"
#include "../upcall.h"

static uint64_t result;
static struct upcall_invoke invoke;
static int fd;

static void setup(struct run *run)
{
	(void)run;
	close(peer_open());
}

static void serve(struct run *run)
{
	*(uint64_t *)run->shared = callback_register(fd = peer_open(), 0);
	serving(run);
	owner_serve(fd);
}

static void connect_caller(struct run *run)
{
	fd = peer_open();
	invoke = invoke_make(run, *(uint64_t *)run->shared, &result);
}

static uint64_t call(struct run *run)
{
	(void)run;
	must(ioctl(fd, UPCALL_IOC_INVOKE, &invoke));
	return result;
}

const struct way way_invoke = {
	.name = "invoke", .max = MAX_ARG,
	.setup = setup, .serve = serve, .connect = connect_caller, .call = call,
};
