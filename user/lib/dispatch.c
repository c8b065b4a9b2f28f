// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The push shape: events run functions, by one thread or many.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "internal.h"

/* A worker's answer without bytes does not fail, so it may ride with its next EXCHANGE. */
static void answer_later(struct upcall_incoming *incoming, int status,
			 struct upcall_command *later)
{
	if (!upcall_incoming_answer_begin(incoming))
		return;
	if (!(upcall_incoming_flags(incoming) & UPCALL_CALL_ENDED))
		upcall_incoming_reply_command(incoming, status, NULL, 0, later);
	upcall_incoming_answer_end(incoming, 0);
}

static void dispatch_call(struct upcall_incoming *incoming, struct upcall_command *later)
{
	struct upcall_callback *callback = incoming->callback;
	int status;

	if (!callback) {
		upcall_refuse(incoming, ENOSYS);
		upcall_incoming_free(incoming);
		return;
	}
	incoming->dispatched = true;
	status = callback->fn(incoming, callback->user);
	if (incoming->kept) {
		upcall_incoming_put(incoming);
		return;
	}
	if (later)
		answer_later(incoming, status, later);
	else
		upcall_reply(incoming, status, NULL, 0);
	upcall_incoming_free(incoming);
}

/* Whatever came with a call and is none is seen to first: the call may take long. */
static void dispatch_aside(struct upcall_peer *peer)
{
	struct upcall_incoming *incoming;

	while (upcall_receive_aside(peer, &incoming) == 0)
		upcall_incoming_free(incoming);
}

static int dispatch(struct upcall_peer *peer, uint64_t deadline, struct upcall_command *later)
{
	struct upcall_incoming *incoming;
	int err;

	err = upcall_receive(peer, later && later->type ? later : NULL, deadline, &incoming);
	if (err)
		return err;
	if (upcall_incoming_type(incoming) != UPCALL_EVENT_CALL) {
		upcall_incoming_free(incoming);
		return 1;
	}
	dispatch_aside(peer);
	dispatch_call(incoming, later);
	return 1;
}

int upcall_dispatch(struct upcall_peer *peer, uint64_t deadline)
{
	int ret;

	upcall_peer_get(peer);
	ret = dispatch(peer, deadline, NULL);
	upcall_peer_put(peer);
	return ret;
}

static int worker_run(struct upcall_peer *peer)
{
	static const struct timespec nap = { .tv_nsec = 10000000 };
	struct upcall_command later = { 0 };
	int ret;

	for (;;) {
		ret = dispatch(peer, UPCALL_NO_DEADLINE, &later);
		if (ret == -ENOMEM || ret == -EDQUOT)	/* others' ends, or memory, come first */
			nanosleep(&nap, NULL);
		else if (ret < 0 && ret != -EINTR)
			break;
	}
	upcall_shutdown(peer);	/* one for all */
	return ret == -ESHUTDOWN ? 0 : ret;
}

static void *worker_main(void *arg)
{
	return (void *)(intptr_t)worker_run(arg);
}

/* Signals are the application's: they go to threads that it knows. */
static int worker_start(struct upcall_peer *peer, pthread_t *thread)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, NULL, worker_main, peer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

static int run(struct upcall_peer *peer, pthread_t *workers, unsigned int count)
{
	unsigned int started = 0;
	void *result;
	int err = 0, first = 0;

	while (started < count && !err) {
		err = worker_start(peer, &workers[started]);
		if (!err)
			started++;
	}
	if (err)
		upcall_shutdown(peer);
	else
		err = worker_run(peer);
	while (started) {
		pthread_join(workers[--started], &result);
		if (result)
			first = (int)(intptr_t)result;
	}
	return err ? err : first;
}

int upcall_run(struct upcall_peer *peer, unsigned int threads)
{
	pthread_t *workers;
	int err;

	if (upcall_peer_forked(peer))
		return -EPERM;
	if (threads < 1)
		threads = 1;
	workers = calloc(threads, sizeof(*workers));
	if (!workers)
		return -ENOMEM;
	upcall_peer_get(peer);
	err = run(peer, workers, threads - 1);
	upcall_peer_put(peer);
	free(workers);
	return err;
}
