// SPDX-License-Identifier: GPL-2.0-only
/* What pointers point to. The regions are made once; each process has its own copy, but for &common. */
#include "fuzz.h"

#define PAGE	4096UL

const char *const region_names[REGIONS] = {
	[ARGS] = "args",		/* the thread's own place for structs */
	[COMMANDS] = "commands",	/* and for commands, */
	[EVENTS] = "events",		/* for events, */
	[RIDE] = "ride",		/* for the descriptors of a call: ride, ride2 */
	[GOOD] = "good",		/* memory, as much as a payload may have, and some */
	[COMMON] = "common",		/* the same, shared by all processes */
	[READONLY] = "readonly",	/* that can be read */
	[EDGE] = "edge",		/* the end of memory: before it can be used, behind it not */
	[HOLE] = "hole",		/* none */
	[CUT] = "cut",			/* the end of a file that is mapped beyond it */
	[KERNEL] = "kernel",		/* the kernel's */
};

static char *regions[REGIONS];

static char *map(size_t len, int protection, int flags, int fd)
{
	char *at = mmap(NULL, len, protection, flags, fd, 0);

	if (at == MAP_FAILED) {
		perror("fuzz: no memory");
		exit(2);
	}
	return at;
}

void memory_init(void)
{
	const size_t len = UPCALL_MAX_PAYLOAD + 64 * 1024;
	int fd = memfd_create("cut", MFD_CLOEXEC);

	regions[GOOD] = map(len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	regions[COMMON] = map(len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	regions[READONLY] = map(16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	regions[HOLE] = map(16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	regions[EDGE] = map(32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) + 16 * PAGE;
	if (ftruncate(fd, 16 * PAGE))
		exit(2);
	regions[CUT] = map(32 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd) + 16 * PAGE;
	close(fd);
	mprotect(regions[EDGE], 16 * PAGE, PROT_NONE);
	regions[KERNEL] = (char *)0xffff888000000000UL;
}

uint64_t memory_at(struct self *self, enum region region, int64_t offset)
{
	switch (region) {
	case ARGS:
		return ptr64(self->args) + offset;
	case COMMANDS:
		return ptr64(self->commands) + offset;
	case EVENTS:
		return ptr64(self->events) + offset;
	case RIDE:
		return ptr64(self->ride[self->riding]) + offset;
	default:
		return ptr64(regions[region]) + offset;
	}
}
