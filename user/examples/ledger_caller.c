// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A caller who never has anything done twice: ledger_caller NAME COUNT THREADS calls NAME with
 * each of the numbers from 1 to COUNT, and prints what became of it, a line each:
 *
 *	17 answered
 *	18 owner died		it may have been done
 *	19 failed: ...
 *
 * What the stage says was not delivered is tried again; all else is not. SIGTERM: no new ones.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <upcall.h>

#define MAX_THREADS	64
#define PATIENCE	60000	/* milliseconds, of all attempts together */

static atomic_uint next_number = 1;
static unsigned int count;
static uint64_t handle;

static void no_new_ones(int sig)
{
	(void)sig;
	atomic_store(&next_number, count + 1);
}

static int call_number(struct upcall_call *call, const char *text)
{
	uint64_t deadline = upcall_deadline_in(PATIENCE);
	int ret;

	do {
		ret = upcall_call_invoke(call, handle, 0, text, strlen(text), deadline);
	} while (ret < 0 && ret != -ETIMEDOUT && upcall_may_retry(ret, upcall_call_stage(call)));
	return ret;
}

static void tell(struct upcall_call *call, const char *text, int ret)
{
	uint32_t stage = upcall_call_stage(call);

	if (ret >= 0 && (size_t)ret == strlen(text) &&
	    !memcmp(upcall_call_reply(call), text, (size_t)ret))
		printf("%s answered\n", text);
	else if (ret == -EOWNERDEAD && stage == UPCALL_STAGE_DELIVERED)
		printf("%s owner died\n", text);
	else
		printf("%s failed: %s (%s)\n", text, ret < 0 ? upcall_strerror(ret) : "another's answer",
		       upcall_stage_name(stage));
}

static void *make_calls(void *peer)
{
	struct upcall_call *call;
	unsigned int number;
	char text[12];

	if (upcall_call_new(peer, &call) < 0)
		errx(1, "no memory");
	upcall_call_set_wait_room(call, 1);
	while ((number = atomic_fetch_add(&next_number, 1)) <= count) {
		snprintf(text, sizeof(text), "%u", number);
		tell(call, text, call_number(call, text));
	}
	upcall_call_free(call);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	struct upcall_peer *peer;
	unsigned int wanted, i;
	int ret;

	if (argc != 4)
		errx(2, "usage: ledger_caller NAME COUNT THREADS");
	count = (unsigned int)atoi(argv[2]);
	wanted = (unsigned int)atoi(argv[3]);
	if (wanted < 1 || wanted > MAX_THREADS)
		errx(2, "THREADS: 1 to %d", MAX_THREADS);
	ret = upcall_open(NULL, &peer);
	if (ret < 0)
		errx(1, "open: %s", upcall_strerror(ret));
	ret = upcall_lookup(peer, argv[1], &handle);
	if (ret < 0)
		errx(1, "%s: %s", argv[1], upcall_strerror(ret));

	signal(SIGTERM, no_new_ones);
	for (i = 0; i < wanted; i++)
		if (pthread_create(&threads[i], NULL, make_calls, peer))
			errx(1, "no thread");
	for (i = 0; i < wanted; i++)
		pthread_join(threads[i], NULL);
	upcall_close(peer);
	return 0;
}
