// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * An owner: answers every call with its argument in upper case, and can be found
 * by the name "upper". SIGINT or SIGTERM: what was taken is finished, then it ends.
 *
 *	lib_owner &
 *	lib_caller upper hello
 */
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <upcall.h>

#define NAME	"upper"

/* Several threads may be in here at once: it touches nothing but its call. */
static int upper(struct upcall_incoming *call, void *user)
{
	const unsigned char *text = upcall_incoming_data(call);
	size_t len = upcall_incoming_len(call);
	unsigned char reply[4096];

	(void)user;
	if (len > sizeof(reply)) {
		upcall_refuse(call, EMSGSIZE);	/* did not run: the caller may try again */
		return 0;
	}
	for (size_t i = 0; i < len; i++)
		reply[i] = (unsigned char)toupper(text[i]);
	upcall_reply(call, 0, reply, len);
	return 0;	/* would be the status, had we not replied */
}

/* Signals come to this thread alone, so it may do whatever it likes. */
static void *wait_for_end(void *peer)
{
	sigset_t ends;
	int sig;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigwait(&ends, &sig);
	upcall_stop(peer);
	return NULL;
}

int main(void)
{
	struct upcall_callback *callback;
	struct upcall_peer *peer;
	pthread_t thread;
	sigset_t ends;
	uint64_t handle;
	int ret;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);

	ret = upcall_open(NULL, &peer);
	if (ret < 0)
		errx(1, "open: %s", upcall_strerror(ret));
	ret = upcall_callback_new(peer, NULL, upper, NULL, NULL, &callback);
	if (ret < 0)
		errx(1, "export: %s", upcall_strerror(ret));
	handle = upcall_callback_handle(callback);
	ret = upcall_publish(peer, NAME, handle);
	if (ret < 0)
		errx(1, "publish: %s", upcall_strerror(ret));
	printf("%llu\n", (unsigned long long)handle);
	fflush(stdout);

	pthread_create(&thread, NULL, wait_for_end, peer);
	ret = upcall_run(peer, 2);	/* this thread and another, until upcall_stop() */

	upcall_withdraw(peer, NAME, handle);
	upcall_callback_unref(callback);
	upcall_close(peer);
	return ret < 0;
}
