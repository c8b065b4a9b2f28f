// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A caller without the library: raw_caller HANDLE TEXT calls once, prints the reply.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/upcall.h>

int main(int argc, char **argv)
{
	char reply[4096];
	struct upcall_invoke invoke = {
		.size = sizeof(invoke),
		.flags = UPCALL_INVOKE_NO_DEADLINE,
		.reply = (uintptr_t)reply,
		.reply_room = sizeof(reply),	/* what we have now ... */
		.reply_max = sizeof(reply),	/* ... and could have: longer ones are refused */
		.stage = UPCALL_STAGE_UNKNOWN,
	};
	int peer;

	if (argc != 3)
		errx(2, "usage: raw_caller HANDLE TEXT");
	invoke.target = strtoull(argv[1], NULL, 10);
	invoke.arg = (uintptr_t)argv[2];
	invoke.arg_len = (__u32)strlen(argv[2]);

	peer = open("/dev/upcall", O_RDWR | O_CLOEXEC);
	if (peer < 0)
		err(1, "/dev/upcall");
	/* The stage says what an errno alone cannot: whether the callback may have run. */
	if (ioctl(peer, UPCALL_IOC_INVOKE, &invoke) < 0)
		err(1, "call (%s)", invoke.stage == UPCALL_STAGE_NOT_DELIVERED ?
		    "did not run" : "may have run");
	fwrite(reply, 1, invoke.reply_len, stdout);
	putchar('\n');
	return invoke.status ? 1 : 0;
}
