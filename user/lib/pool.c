// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Threads that dispatch: at least so many, at most so many. A thread that takes a call while
 * no other one is left to receive starts another one first; one that had nothing to do for a
 * while ends, as long as enough are left.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "internal.h"

/**
 * struct upcall_pool - The threads in one upcall_run()
 * @peer: Referenced by upcall_run().
 * @min: Of threads.
 * @max: Of threads.
 * @idle_ms: How long one waits in vain before it ends.
 * @idle: Threads that receive. Not counted if @min is @max.
 * @lock: Protects all that follows.
 * @ended: A thread has ended.
 * @threads: That run, the caller of upcall_run() among them.
 * @err: The first error of a thread.
 */
struct upcall_pool {
	struct upcall_peer *peer;
	unsigned int min;
	unsigned int max;
	int64_t idle_ms;
	atomic_uint idle;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned int threads;
	int err;
};

static void *worker_main(void *arg);

/* Signals are the application's: they go to threads that it knows. */
static int worker_start_locked(struct upcall_pool *pool)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pool->threads++;
	atomic_fetch_add(&pool->idle, 1);	/* before it begins, and may be busy */
	err = pthread_create(&thread, &attr, worker_main, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (err) {
		pool->threads--;
		atomic_fetch_sub(&pool->idle, 1);
	}
	return -err;
}

/* This thread is about to run a function: somebody is to receive meanwhile. */
void upcall_pool_busy(struct upcall_pool *pool)
{
	if (atomic_fetch_sub(&pool->idle, 1) != 1)
		return;
	pthread_mutex_lock(&pool->lock);
	/* Without a thread more the calls wait a little longer. */
	if (!atomic_load(&pool->idle) && pool->threads < pool->max)
		worker_start_locked(pool);
	pthread_mutex_unlock(&pool->lock);
}

void upcall_pool_idle(struct upcall_pool *pool)
{
	atomic_fetch_add(&pool->idle, 1);
}

/* True: this thread is one too many, and has left the count. */
static bool worker_may_end(struct upcall_pool *pool, bool started)
{
	unsigned int idle = atomic_load(&pool->idle);
	bool may;

	pthread_mutex_lock(&pool->lock);
	may = started && pool->threads > pool->min && idle > 1 &&
	      atomic_compare_exchange_strong(&pool->idle, &idle, idle - 1);
	pthread_mutex_unlock(&pool->lock);
	return may;
}

static uint64_t worker_deadline(const struct upcall_pool *pool)
{
	return pool->min == pool->max ? UPCALL_NO_DEADLINE : upcall_deadline_in(pool->idle_ms);
}

/* @started: by us, so it may end before the others. */
static int worker_run(struct upcall_pool *pool, bool started)
{
	static const struct timespec nap = { .tv_nsec = 10000000 };
	struct upcall_peer *peer = pool->peer;
	/* Where threads do not come and go there is nothing to count. */
	struct upcall_pool *counted = pool->min != pool->max ? pool : NULL;
	struct upcall_later later = { .room = 0 };
	int ret;

	for (;;) {
		ret = upcall_dispatch_next(peer, worker_deadline(pool), &later, counted);
		if (ret == -ETIMEDOUT) {	/* whoever has an answer left sends that first */
			if (!later.command.type && worker_may_end(pool, started))
				break;
		} else if (ret == -ENOMEM || ret == -EDQUOT) {	/* others' ends come first */
			nanosleep(&nap, NULL);
		} else if (ret < 0 && ret != -EINTR) {
			break;
		}
	}
	upcall_later_free(&later);
	if (ret == -ETIMEDOUT)
		return 0;
	upcall_shutdown(peer);	/* one for all */
	return ret == -ESHUTDOWN ? 0 : ret;
}

static void *worker_main(void *arg)
{
	struct upcall_pool *pool = arg;
	int err = worker_run(pool, true);

	pthread_mutex_lock(&pool->lock);
	if (!pool->err)
		pool->err = err;
	pool->threads--;
	pthread_cond_signal(&pool->ended);	/* under the lock: the pool goes when it is free */
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int run(struct upcall_pool *pool)
{
	int err = 0;

	pthread_mutex_lock(&pool->lock);
	while (pool->threads < pool->min && !err)
		err = worker_start_locked(pool);
	pthread_mutex_unlock(&pool->lock);
	if (err)
		upcall_shutdown(pool->peer);
	else
		err = worker_run(pool, false);

	pthread_mutex_lock(&pool->lock);
	pool->threads--;
	while (pool->threads)
		pthread_cond_wait(&pool->ended, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	return err ? err : pool->err;
}

int upcall_run_pool(struct upcall_peer *peer, unsigned int min, unsigned int max, int64_t idle_ms)
{
	struct upcall_pool pool = {
		.peer = peer,
		.min = min ? min : 1,
		.idle_ms = idle_ms,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
		.threads = 1,
		.idle = 1,
	};
	int err;

	pool.max = max > pool.min ? max : pool.min;
	if (upcall_peer_forked(peer))
		return -EPERM;
	upcall_peer_get(peer);
	err = run(&pool);
	upcall_peer_put(peer);
	pthread_cond_destroy(&pool.ended);
	pthread_mutex_destroy(&pool.lock);
	return err;
}

int upcall_run(struct upcall_peer *peer, unsigned int threads)
{
	return upcall_run_pool(peer, threads, threads, -1);
}
