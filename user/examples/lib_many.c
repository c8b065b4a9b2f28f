// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Many calls at once from one thread: lib_many NAME TEXT... calls whoever has the name with
 * each text, without waiting in between, and prints the replies as they come.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <upcall.h>

static int under_way;

/* Runs when the answer is there, on the thread that dispatches: here the only one. */
static void done(struct upcall_call *call, int ret, void *user)
{
	const char *text = user;

	under_way--;
	if (ret < 0)
		printf("%s: %s (%s)\n", text, upcall_strerror(ret),
		       upcall_stage_text(upcall_call_stage(call)));
	else
		printf("%s: %.*s\n", text, ret, (const char *)upcall_call_reply(call));
	upcall_call_free(call);
}

int main(int argc, char **argv)
{
	struct upcall_commands *commands;
	struct upcall_call *call;
	struct upcall_peer *peer;
	uint64_t handle;
	int ret, i;

	if (argc < 3)
		errx(2, "usage: lib_many NAME TEXT...");
	ret = upcall_open(NULL, &peer);
	if (ret < 0)
		errx(1, "open: %s", upcall_strerror(ret));
	ret = upcall_lookup(peer, argv[1], &handle);
	if (ret < 0)
		errx(1, "%s: %s", argv[1], upcall_strerror(ret));

	/* All of them go in one system call. */
	ret = upcall_commands_new(peer, &commands);
	for (i = 2; i < argc && ret >= 0; i++) {
		ret = upcall_call_new(peer, &call);
		if (ret < 0)
			break;
		ret = upcall_commands_start(commands, call, handle, 0, argv[i], strlen(argv[i]),
					    upcall_deadline_in(5000), done, argv[i]);
		under_way += ret >= 0;
	}
	if (ret >= 0)
		ret = upcall_commands_send(commands);
	if (ret)
		errx(1, "%s", ret < 0 ? upcall_strerror(ret) : "some were refused");
	upcall_commands_free(commands);

	while (under_way && ret >= 0)
		ret = upcall_dispatch(peer, UPCALL_NO_DEADLINE);
	upcall_close(peer);
	return ret < 0;
}
