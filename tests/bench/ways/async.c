// SPDX-License-Identifier: GPL-2.0-only
/*
 * upcall: asynchronous calls, 32 to an EXCHANGE on both sides.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "../bench.h"
#include "../upcall.h"

#define EACH	32

static _Alignas(8) char events[EACH * 256];
static struct upcall_command commands[EACH];
static uint64_t results[EACH];
static int fd;

static struct upcall_exchange exchange = {
	.size = sizeof(exchange),
	.flags = UPCALL_EXCHANGE_NO_DEADLINE,
	.commands = (uintptr_t)commands,
	.command_size = sizeof(*commands),
	.events = (uintptr_t)events,
	.events_len = sizeof(events),
	.max_calls = EACH,
};

static void setup(struct run *run)
{
	(void)run;
	close(peer_open());
}

/* Hands the replies to the last batch in, and takes the next one. */
static void serve(struct run *run)
{
	*(uint64_t *)run->shared = callback_register(fd = peer_open(), 0);
	serving(run);
	for (int i = 0; i < EACH; i++) {
		commands[i] = (struct upcall_command){
			.type = UPCALL_COMMAND_REPLY,
			.data = (uintptr_t)&results[i], .data_len = sizeof(*results),
		};
	}
	for (;;) {
		const struct upcall_event_call *call;

		must(ioctl(fd, UPCALL_IOC_EXCHANGE, &exchange));
		exchange.command_count = 0;
		for (char *at = events; at < events + exchange.events_used; at += call->event.size) {
			call = (void *)at;
			results[exchange.command_count] =
				answer(at + call->payload_offset, call->payload_len);
			commands[exchange.command_count++].target = call->call;
		}
	}
}

static void connect_caller(struct run *run)
{
	fd = peer_open();
	for (int i = 0; i < EACH; i++) {
		commands[i] = (struct upcall_command){
			.type = UPCALL_COMMAND_CALL,
			.flags = UPCALL_INVOKE_NO_DEADLINE,
			.target = *(uint64_t *)run->shared,
			.data = (uintptr_t)run->arg, .data_len = 8, .reply_max = 8,
		};
	}
}

static uint64_t call(struct run *run)
{
	uint64_t result = 0;

	exchange.command_count = EACH;
	for (unsigned int had = 0; had < EACH; had += exchange.event_count) {
		const struct upcall_event_result *last = (void *)events;

		must(ioctl(fd, UPCALL_IOC_EXCHANGE, &exchange));
		if (exchange.commands_failed || last->error)
			fail("CALL");
		memcpy(&result, events + last->payload_offset, sizeof(result));
		exchange.command_count = 0;
	}
	(void)run;
	return result;
}

const struct way way_async = {
	.name = "async/32", .each = EACH,
	.setup = setup, .serve = serve, .connect = connect_caller, .call = call,
};
