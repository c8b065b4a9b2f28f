// SPDX-License-Identifier: GPL-2.0-only
/*
 * The floor: see floor/floor.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "../bench.h"
#include "../floor/floor.h"

static int fd;

static void setup(struct run *run)
{
	(void)run;
	fd = open("/dev/floor", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip(errno == ENOENT ? "floor.ko is not loaded" : strerror(errno));
}

static void serve(struct run *run)
{
	serving(run);
	for (;;)
		must(ioctl(fd, FLOOR_SERVE));
}

static uint64_t call(struct run *run)
{
	(void)run;
	must(ioctl(fd, FLOOR_CALL));
	return 0;
}

const struct way way_floor = {
	.name = "floor", .blind = true, .setup = setup, .serve = serve, .call = call,
};
