// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * An owner without the library: registers one callback, prints its handle, and
 * answers every call with its argument in upper case. Ended by Ctrl-C: with
 * the process the handle dies.
 *
 *	raw_owner &		prints a number
 *	raw_caller NUMBER hello
 */
#include <ctype.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <linux/upcall.h>

/* Events are read in place: the buffer is aligned as the header asks. */
static _Alignas(8) char events[8192];

int main(void)
{
	struct upcall_register reg = {
		.size = sizeof(reg),
		.cookie = 42,			/* our own word: comes back with every event */
		.label = "raw_owner",
		.access = UPCALL_ACCESS_SAME_USER,
		.max_arg = 4096,		/* fits into events[] */
		.max_queued_calls = 16,
		.max_queued_bytes = 16 * 4096,
	};
	struct upcall_command reply = { .type = UPCALL_COMMAND_REPLY };
	struct upcall_exchange exchange = {
		.size = sizeof(exchange),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = (uintptr_t)&reply,
		.command_size = sizeof(reply),
		.events = (uintptr_t)events,
		.events_len = sizeof(events),
		.max_calls = 1,
	};
	int peer = open("/dev/upcall", O_RDWR | O_CLOEXEC);

	if (peer < 0)
		err(1, "/dev/upcall");
	if (ioctl(peer, UPCALL_IOC_REGISTER, &reg) < 0)
		err(1, "register");
	printf("%llu\n", (unsigned long long)reg.handle);
	fflush(stdout);

	/* Each round hands in the reply to the last call, if any, and waits for the next one. */
	for (;;) {
		const struct upcall_event_call *call = (void *)events;

		if (ioctl(peer, UPCALL_IOC_EXCHANGE, &exchange) < 0)
			err(1, "exchange");
		exchange.command_count = 0;

		/* max_calls is 1, but other events may come with it, or alone. */
		for (char *at = events; at < events + exchange.events_used; at += call->event.size) {
			call = (void *)at;
			if (call->event.type != UPCALL_EVENT_CALL)
				continue;	/* CANCEL: the reply is owed all the same */
			reply.target = call->call;
			/* A notification wants no answer, but it is ended by an empty reply. */
			reply.data_len = call->flags & UPCALL_CALL_ONEWAY ? 0 : call->payload_len;
			reply.data = reply.data_len ? (uintptr_t)(at + call->payload_offset) : 0;
			for (__u32 i = 0; i < call->payload_len; i++) {
				char *c = at + call->payload_offset + i;

				*c = (char)toupper((unsigned char)*c);
			}
			exchange.command_count = 1;
		}
	}
}
