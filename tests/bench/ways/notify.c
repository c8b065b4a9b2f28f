// SPDX-License-Identifier: GPL-2.0-only
/*
 * upcall: notifications that end when they are delivered, 32 to an EXCHANGE, received as many
 * at a time as there are.
 */
#include <sys/ioctl.h>
#include <unistd.h>
#include "../upcall.h"
#include "oneway.h"

#define EACH	32

static struct upcall_command commands[EACH];
static int fd;

static void setup(struct run *run)
{
	(void)run;
	close(peer_open());
}

static void serve(struct run *run)
{
	static _Alignas(8) char events[UPCALL_MAX_EVENTS * 256];
	struct upcall_exchange exchange = {
		.size = sizeof(exchange),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.command_size = sizeof(struct upcall_command),
		.events = (uintptr_t)events,
		.events_len = sizeof(events),
		.max_calls = UPCALL_MAX_EVENTS,
	};

	fd = peer_open();
	*(uint64_t *)oneway_of(run)->messages = callback_register(fd, UPCALL_REGISTER_AUTOEND);
	serving(run);
	for (;;) {
		must(ioctl(fd, UPCALL_IOC_EXCHANGE, &exchange));
		oneway_received(run, exchange.event_count);
	}
}

static void connect_caller(struct run *run)
{
	fd = peer_open();
	for (int i = 0; i < EACH; i++) {
		commands[i] = (struct upcall_command){
			.type = UPCALL_COMMAND_NOTIFY,
			.flags = UPCALL_INVOKE_NO_DEADLINE,
			.target = *(uint64_t *)oneway_of(run)->messages,
			.data = (uintptr_t)run->arg, .data_len = 8,
		};
	}
}

static uint64_t call(struct run *run)
{
	struct upcall_exchange exchange = {
		.size = sizeof(exchange),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = (uintptr_t)commands,
		.command_size = sizeof(*commands),
		.command_count = EACH,
	};

	for (int i = 0; i < ONEWAY_EACH / EACH; i++) {
		must(ioctl(fd, UPCALL_IOC_EXCHANGE, &exchange));
		if (exchange.commands_failed)
			fail("NOTIFY");
	}
	oneway_wait(run);
	return 0;
}

const struct way way_notify = {
	.name = "notify/32", .each = ONEWAY_EACH, .blind = true,
	.setup = setup, .serve = serve, .connect = connect_caller, .call = call,
};
