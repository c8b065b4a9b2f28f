// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Many calls: "upcall call -n" and "upcall notify -n".
 *
 * The first thread waits, for the end of the others or for a signal, and says how far
 * they are. A signal ends the peer, so every call that waits comes back at once, and
 * its owner is told that nobody wants the answer.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

#define PROGRESS_NS	1000000000ULL

/* One thread that calls */
struct worker {
	const struct load *load;
	pthread_t thread;
	struct load_stats stats;
};

static struct {
	uint64_t count;			/* how many to make */
	_Atomic uint64_t begun;		/* and how many were */
	_Atomic uint32_t working;	/* threads */
	atomic_bool stopped;
	pthread_t first;
	struct load_stats stats;
} run;

/**
 * load_next() - Whether to make another call
 *
 * Return: true once for each call that is to be made, in whatever thread.
 */
bool load_next(void)
{
	return !run.stopped && atomic_fetch_add(&run.begun, 1) < run.count;
}

/**
 * load_stopped() - Whether a signal wants the end
 *
 * Return: true if so.
 */
bool load_stopped(void)
{
	return run.stopped;
}

/**
 * load_deadline() - The deadline of a call that is made now
 * @load: What was asked for.
 *
 * Return: as the library takes it.
 */
uint64_t load_deadline(const struct load *load)
{
	uint64_t now = text_now();

	return load->timeout_ns >= UPCALL_NO_DEADLINE - now ? UPCALL_NO_DEADLINE :
	       now + load->timeout_ns;
}

static void call_once(const struct load *load, struct upcall_call *call, struct load_stats *stats)
{
	int ret = upcall_call_invoke(call, load->handle, load->op, load->arg, load->len,
				     load_deadline(load));

	if (upcall_call_stage(call) != UPCALL_STAGE_NOT_DELIVERED && ret != -ESHUTDOWN) {
		histogram_add(&stats->queued, upcall_call_queued_ns(call));
		histogram_add(&stats->run, upcall_call_run_ns(call));
		histogram_add(&stats->total, upcall_call_total_ns(call));
	}
	load_stats_add(stats, ret < 0 ? ret : 0, upcall_call_stage(call),
		       ret < 0 ? 0 : upcall_call_status(call));
}

static void notify_once(const struct load *load, struct upcall_call *call, struct load_stats *stats)
{
	uint64_t from = text_now();
	int err = upcall_call_notify(call, load->handle, load->op, load->arg, load->len,
				     load_deadline(load));

	if (!err)
		histogram_add(&stats->total, text_now() - from);
	load_stats_add(stats, err, UPCALL_STAGE_NOT_DELIVERED, 0);
}

static struct upcall_call *new_call(const struct load *load)
{
	struct upcall_call *call;

	if (upcall_call_new(load->peer, &call))
		tool_die(EXIT_LOCAL, "out of memory");
	upcall_call_set_reply_max(call, load->max_reply);
	if (load->has_signature)
		upcall_call_set_signature(call, load->signature);
	upcall_call_set_latest(call, load->latest);
	upcall_call_set_wait_room(call, load->wait_room);
	return call;
}

/* One call after the other */
static void work_in_turn(const struct load *load, struct load_stats *stats)
{
	struct upcall_call *call = new_call(load);

	while (load_next()) {
		if (load->attempt->oneway)
			notify_once(load, call, stats);
		else
			call_once(load, call, stats);
	}
	upcall_call_free(call);
}

static uint32_t threads(const struct load *load)
{
	return load->async ? 1 : load->parallel;
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	const struct load *load = worker->load;

	if (load->async)
		load_async(load, &worker->stats);
	else
		work_in_turn(load, &worker->stats);
	if (atomic_fetch_sub(&run.working, 1) == 1)
		pthread_kill(run.first, SIGUSR1);
	return NULL;
}

static struct worker *start(const struct load *load)
{
	struct worker *workers = calloc(threads(load), sizeof(*workers));
	int err;

	if (!workers)
		tool_die(EXIT_LOCAL, "out of memory");
	run.working = threads(load);
	for (uint32_t i = 0; i < threads(load); i++) {
		workers[i].load = load;
		err = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
		if (err)
			tool_die(EXIT_LOCAL, "a thread cannot be made: %s", strerror(err));
	}
	return workers;
}

static void say_progress(const struct load *load, uint64_t since_ns)
{
	uint64_t begun = run.begun < run.count ? run.begun : run.count;
	double seconds = (text_now() - since_ns) / 1e9;
	bool terminal = isatty(STDERR_FILENO);

	if (load->progress || terminal)
		fprintf(stderr, "%s%" PRIu64 " of %" PRIu64 ", %.0f/s%s", terminal ? "\r\033[K" : "",
			begun, run.count, begun / seconds, terminal ? "" : "\n");
}

/* Returns the signal that ended it, 0: the work is done. */
static int wait_for_end(const struct load *load, const sigset_t *set, uint64_t since_ns)
{
	struct timespec tick = { .tv_sec = PROGRESS_NS / 1000000000 };
	bool said = false;
	int number;

	while ((number = sigtimedwait(set, NULL, &tick)) < 0) {
		if (errno == EAGAIN)
			say_progress(load, since_ns);
		said = true;
	}
	if (said && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	return number == SIGUSR1 ? 0 : number;
}

static void finish(const struct load *load, struct worker *workers)
{
	for (uint32_t i = 0; i < threads(load); i++) {
		pthread_join(workers[i].thread, NULL);
		load_stats_merge(&run.stats, &workers[i].stats);
	}
	free(workers);
}

/**
 * load_run() - Make many calls, and say what became of them
 * @load: What was asked for.
 *
 * Return: the exit code: 0 all went well, EXIT_NO not all, 128 + N signal N ended it.
 */
int load_run(const struct load *load)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	struct worker *workers;
	uint64_t since_ns;
	sigset_t set;
	int number;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run.count = load->count;
	run.first = pthread_self();
	since_ns = text_now();
	workers = start(load);
	number = wait_for_end(load, &set, since_ns);
	if (number) {
		run.stopped = true;
		/* With --async its thread cancels what is under way, and gets the results */
		if (!load->async)
			upcall_shutdown(load->peer);
	}
	finish(load, workers);
	load_report(load, &run.stats, text_now() - since_ns, number);
	if (number)
		return 128 + number;
	return run.stats.good == load->count ? 0 : EXIT_NO;
}
