// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A caller: lib_caller NAME TEXT calls whoever has the name, prints the reply. If
 * nobody has it, or its owner is just being replaced, it waits for up to five seconds.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <upcall.h>

int main(int argc, char **argv)
{
	struct upcall_peer *peer;
	struct upcall_name *name;
	struct upcall_call *call;
	int ret;

	if (argc != 3)
		errx(2, "usage: lib_caller NAME TEXT");
	ret = upcall_open(NULL, &peer);
	if (ret < 0)
		errx(1, "open: %s", upcall_strerror(ret));
	ret = upcall_name_new(peer, argv[1], &name);
	if (ret < 0)
		errx(1, "%s: %s", argv[1], upcall_strerror(ret));
	ret = upcall_call_new(peer, &call);
	if (ret < 0)
		errx(1, "%s", upcall_strerror(ret));

	ret = upcall_name_invoke(name, call, 0, argv[2], strlen(argv[2]), upcall_deadline_in(5000));
	if (ret < 0)
		errx(1, "call: %s (%s)", upcall_strerror(ret),
		     upcall_stage_text(upcall_call_stage(call)));
	fwrite(upcall_call_reply(call), 1, (size_t)ret, stdout);
	putchar('\n');
	ret = upcall_call_status(call);	/* the owner's own word on success */

	upcall_call_free(call);
	upcall_name_free(name);
	upcall_close(peer);
	return ret != 0;
}
