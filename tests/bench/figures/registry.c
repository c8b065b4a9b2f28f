// SPDX-License-Identifier: GPL-2.0-only
/*
 * An ioctl that does nothing; a call of a handle that is dead; REGISTER and RELEASE.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "../bench.h"
#include "../floor/floor.h"
#include "../upcall.h"

#define EACH	32

static _Alignas(8) char events[EACH * 64];
static struct upcall_invoke invoke;
static int fd;

static void do_nothing(void *arg)
{
	(void)arg;
	must(ioctl(fd, FLOOR_NOTHING));
}

static void measure_nothing(void)
{
	fd = open("/dev/floor", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip(errno == ENOENT ? "floor.ko is not loaded" : strerror(errno));
	row("empty-ioctl", time_unit(), fastest(do_nothing, NULL, 1));
}

static void release(uint64_t handle)
{
	struct upcall_release args = { .size = sizeof(args), .handle = handle };

	must(ioctl(fd, UPCALL_IOC_RELEASE, &args));
}

/* All the RELEASED events there are, with @commands in the same system call. */
static void receive(struct upcall_command *commands, uint32_t count, uint32_t expected)
{
	struct upcall_exchange exchange = {
		.size = sizeof(exchange),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE | UPCALL_EXCHANGE_NONBLOCK,
		.commands = (uintptr_t)commands,
		.command_count = count,
		.command_size = sizeof(struct upcall_command),
		.events = (uintptr_t)events,
		.events_len = sizeof(events),
	};

	must(ioctl(fd, UPCALL_IOC_EXCHANGE, &exchange));
	if (exchange.event_count != expected) {
		errno = EBADMSG;
		fail("RELEASED");
	}
}

static void call_stale(void *arg)
{
	(void)arg;
	if (ioctl(fd, UPCALL_IOC_INVOKE, &invoke) == 0 || errno != ESTALE)
		fail("a dead handle");
}

static void measure_stale(void)
{
	static char arg[8];
	static uint64_t result;
	struct run run = { .size = sizeof(arg), .arg = arg };

	fd = peer_open();
	invoke = invoke_make(&run, callback_register(fd, 0), &result);
	release(invoke.target);
	receive(NULL, 0, 1);
	row("stale", time_unit(), fastest(call_stale, NULL, 1));
}

/* An ioctl for each; RELEASED as many at a time. */
static void register_release(void *arg)
{
	uint64_t handles[EACH];

	(void)arg;
	for (int i = 0; i < EACH; i++)
		handles[i] = callback_register(fd, 0);
	for (int i = 0; i < EACH; i++)
		release(handles[i]);
	receive(NULL, 0, EACH);
}

/* RELEASE and RELEASED as many at a time. */
static void register_release_many(void *arg)
{
	struct upcall_command commands[EACH];

	(void)arg;
	for (int i = 0; i < EACH; i++) {
		commands[i] = (struct upcall_command){
			.type = UPCALL_COMMAND_RELEASE, .target = callback_register(fd, 0),
		};
	}
	receive(commands, EACH, EACH);
}

static void measure_register(void)
{
	fd = peer_open();
	row("register+release", time_unit(), fastest(register_release, NULL, EACH));
	row("register+release/32", time_unit(), fastest(register_release_many, NULL, EACH));
}

const struct figure figure_nothing = { "empty-ioctl", measure_nothing };
const struct figure figure_stale = { "stale", measure_stale };
const struct figure figure_register = { "register+release", measure_register };
