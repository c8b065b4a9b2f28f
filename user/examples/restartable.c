// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A service that can be killed at any time: restartable PEER LEDGER [idempotent]
 *
 * PEER is a descriptor of /dev/upcall that whoever starts us keeps open (supervise.sh). If a
 * process before us has used it, we take over what it owned there: the handle stays what it was,
 * calls that waited go on waiting, now for us. Each call has its argument written to the file
 * LEDGER as a line, and back to the caller as the reply. A call that was running when we were killed is
 * lost, and its caller knows; as "idempotent" it runs again, and the line may be there twice.
 *
 *	supervise.sh restartable 5 /tmp/ledger &
 *	ledger_caller ledger 1000 4
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <upcall.h>

#define NAME		"ledger"
#define PATIENCE	30000	/* milliseconds that callers wait for the next process */

/* One system call writes a line: it is there, or it is not, whenever we are killed. */
static int write_line(struct upcall_incoming *call, void *user)
{
	struct iovec line[] = {
		{ (void *)upcall_incoming_data(call), upcall_incoming_len(call) }, { "\n", 1 },
	};

	if (writev(*(int *)user, line, 2) < 0)
		upcall_refuse(call, errno);
	else
		upcall_reply(call, 0, line[0].iov_base, line[0].iov_len);
	return 0;
}

/* The callback that the process before had on this peer; 0: it did not get so far */
static uint64_t find_handle(struct upcall_peer *peer, uint64_t number)
{
	const struct upcall_list_callback *record;
	struct upcall_listing *listing;
	const void *next;
	uint64_t handle = 0;

	if (upcall_listing_new(peer, UPCALL_LIST_CALLBACKS, sizeof(*record), &listing) < 0)
		return 0;
	while (!handle && upcall_listing_next(listing, &next) > 0) {
		record = next;
		if (record->peer == number && record->state == UPCALL_STATE_LIVE &&
		    !strncmp(record->label, NAME, sizeof(record->label)))
			handle = record->handle;
	}
	upcall_listing_free(listing);
	return handle;
}

static int register_new(struct upcall_peer *peer, int *ledger, bool idempotent,
			struct upcall_callback **callback)
{
	struct upcall_options *options;
	int ret = upcall_options_new(&options);

	if (ret < 0)
		return ret;
	upcall_options_set_label(options, NAME);
	upcall_options_set_idempotent(options, idempotent);
	ret = upcall_callback_new(peer, options, write_line, ledger, NULL, callback);
	upcall_options_free(options);
	return ret;
}

/* As the successor of whoever had the peer, or as the first */
static int take_over(struct upcall_peer *peer, int *ledger, bool idempotent,
		     struct upcall_callback **callback)
{
	uint64_t number, handle;
	int ret = upcall_adopt(peer, &number, NULL);

	if (ret < 0 && ret != -ENOENT)
		return ret;
	handle = ret < 0 ? 0 : find_handle(peer, number);
	/* First of all, so that there is no moment at which a kill ends more than this process */
	ret = upcall_set_adoptable(peer, 1, PATIENCE);
	if (ret < 0)
		return ret;
	if (!handle)
		return register_new(peer, ledger, idempotent, callback);
	return upcall_callback_adopt(peer, handle, write_line, ledger, NULL, callback);
}

/* SIGTERM ends it for good: what was taken is finished, and nobody need come after us. */
static void *wait_for_end(void *peer)
{
	sigset_t ends;
	int sig;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigwait(&ends, &sig);
	upcall_stop(peer);
	return NULL;
}

int main(int argc, char **argv)
{
	bool idempotent = argc == 4 && !strcmp(argv[3], "idempotent");
	struct upcall_callback *callback;
	struct upcall_peer *peer;
	pthread_t thread;
	sigset_t ends;
	uint64_t handle;
	int ret, ledger;

	if (argc != 3 && !idempotent)
		errx(2, "usage: restartable PEER LEDGER [idempotent]");
	ledger = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (ledger < 0)
		err(1, "%s", argv[2]);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);

	ret = upcall_open_fd(atoi(argv[1]), &peer);
	if (ret >= 0)
		ret = take_over(peer, &ledger, idempotent, &callback);
	if (ret < 0)
		errx(1, "descriptor %s: %s", argv[1], upcall_strerror(ret));
	handle = upcall_callback_handle(callback);
	ret = upcall_publish(peer, NAME, handle);
	if (ret < 0)
		errx(1, "publish: %s", upcall_strerror(ret));
	fprintf(stderr, "restartable: serving %s as handle 0x%llx (pid %d)\n", NAME,
		(unsigned long long)handle, (int)getpid());

	pthread_create(&thread, NULL, wait_for_end, peer);
	ret = upcall_run(peer, 2);

	upcall_withdraw(peer, NAME, handle);
	upcall_callback_unref(callback);
	upcall_close(peer);
	return ret < 0;
}
