// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Deadlines of asynchronous calls: a thread for each registry that has such a call. Threads that
 * wait in INVOKE see to their own.
 */
#define _GNU_SOURCE
#include <signal.h>
#include "double.h"

static bool is_timed(const struct double_call *call)
{
	return call->async && call->caller && !call->answered &&
	       !(call->flags & UPCALL_CALL_NO_DEADLINE);
}

static void call_expire(struct double_call *call)
{
	struct double_peer *owner = call->owner;

	if (!call->delivered) {
		upcall_double_call_unqueue(call);
		upcall_double_call_answer(call, ETIMEDOUT, UPCALL_STAGE_NOT_DELIVERED);
		upcall_double_call_owner_end(call);
		return;
	}
	upcall_double_call_answer(call, ETIMEDOUT, UPCALL_STAGE_DELIVERED);
	if (owner) {
		call->cancel_error = ETIMEDOUT;
		upcall_double_event_add(&call->cancel, owner);
	}
}

/* Ends what is due; when the next one is, or UINT64_MAX. */
static uint64_t timer_expire(struct double_registry *registry)
{
	uint64_t now = upcall_double_now(), next_due = UINT64_MAX;
	struct double_link *link, *next;

	for (link = registry->calls.next; link != &registry->calls; link = next) {
		struct double_call *call = double_entry(link, struct double_call, all_link);

		next = link->next;
		if (!is_timed(call))
			continue;
		if (call->deadline_ns <= now)
			call_expire(call);	/* its caller's end is still to come: it stays */
		else if (call->deadline_ns < next_due)
			next_due = call->deadline_ns;
	}
	return next_due;
}

static void *timer_main(void *arg)
{
	struct double_registry *registry = arg;

	pthread_mutex_lock(&registry->lock);
	while (!registry->closing) {
		uint64_t due = timer_expire(registry);

		upcall_double_wait(registry, &registry->timer_wake, due == UINT64_MAX, due);
	}
	pthread_mutex_unlock(&registry->lock);
	return NULL;
}

/* There is a new deadline. */
int upcall_double_timer_need(struct double_registry *registry)
{
	sigset_t all, before;
	int err;

	if (registry->timer_runs) {
		pthread_cond_signal(&registry->timer_wake);
		return 0;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&registry->timer, NULL, timer_main, registry);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	registry->timer_runs = !err;
	return err ? -ENOMEM : 0;
}

/* Of a registry without peers. */
void upcall_double_timer_end(struct double_registry *registry)
{
	if (!registry->timer_runs)
		return;
	pthread_mutex_lock(&registry->lock);
	registry->closing = true;
	pthread_cond_signal(&registry->timer_wake);
	pthread_mutex_unlock(&registry->lock);
	pthread_join(registry->timer, NULL);
}
