// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the measurements of upcall share, on the bare ioctls.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include "bench.h"
#include "upcall.h"

/* A peer; without the module the row is left out. */
int peer_open(void)
{
	int fd = open("/dev/upcall", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip(errno == ENOENT ? "upcall.ko is not loaded" : strerror(errno));
	return fd;
}

uint64_t callback_register(int fd, uint32_t flags)
{
	struct upcall_register reg = {
		.size = sizeof(reg),
		.flags = flags,
		.label = "bench",
		.access = UPCALL_ACCESS_SAME_USER,
		.max_arg = MAX_ARG,
		.max_queued_calls = UPCALL_MAX_QUEUED_CALLS,
		.max_queued_bytes = 16 << 20,
	};

	must(ioctl(fd, UPCALL_IOC_REGISTER, &reg));
	return reg.handle;
}

/* A call with the argument of @run, and an answer of 8 bytes. */
struct upcall_invoke invoke_make(const struct run *run, uint64_t target, uint64_t *result)
{
	return (struct upcall_invoke){
		.size = sizeof(struct upcall_invoke),
		.flags = UPCALL_INVOKE_NO_DEADLINE,
		.target = target,
		.arg = (uintptr_t)run->arg,
		.arg_len = (uint32_t)run->size,
		.reply = (uintptr_t)result,
		.reply_room = sizeof(*result),
		.reply_max = sizeof(*result),
	};
}

/* Answers every call with answer() of its argument, one EXCHANGE each. */
void owner_serve(int fd)
{
	static _Alignas(8) char events[MAX_ARG + 4096];
	uint64_t result;
	struct upcall_command reply = {
		.type = UPCALL_COMMAND_REPLY, .data = (uintptr_t)&result, .data_len = sizeof(result),
	};
	struct upcall_exchange exchange = {
		.size = sizeof(exchange),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = (uintptr_t)&reply,
		.command_size = sizeof(reply),
		.events = (uintptr_t)events,
		.events_len = sizeof(events),
		.max_calls = 1,
	};
	const struct upcall_event_call *call = (void *)events;

	for (;;) {
		must(ioctl(fd, UPCALL_IOC_EXCHANGE, &exchange));
		if (exchange.commands_failed)
			fail("REPLY");
		exchange.command_count = 0;
		if (!exchange.event_count || call->event.type != UPCALL_EVENT_CALL)
			continue;
		result = answer(events + call->payload_offset, call->payload_len);
		reply.target = call->call;
		exchange.command_count = 1;
	}
}
