// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The peer: its life, and the commands that concern no other object.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "internal.h"

atomic_uint upcall_forks;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_in_child(void)
{
	atomic_fetch_add(&upcall_forks, 1);
}

static void fork_watch(void)
{
	pthread_atfork(NULL, NULL, fork_in_child);
}

/* What a thread left in the ready queue when it came back to a peer that was closed. */
static void peer_free_ready(struct upcall_peer *peer)
{
	struct upcall_batch *batch;

	while ((batch = peer->ready)) {
		peer->ready = batch->next;
		upcall_batch_put(peer, batch);
	}
}

void upcall_peer_free(struct upcall_peer *peer)
{
	if (!upcall_peer_forked(peer)) {
		peer_free_ready(peer);
		pthread_cond_destroy(&peer->handed);
		pthread_mutex_destroy(&peer->lock);
	}
	free(atomic_load(&peer->spare));
	if (peer->transport)
		peer->transport->close(peer->transport);
	free(peer->slots);
	free(peer->pending);
	free(peer);
}

static void peer_bind(struct upcall_peer *peer)
{
	if (atomic_load(&peer->bound) || peer->stub)
		return;
	atomic_store(&peer->fork_count, atomic_load(&upcall_forks));
	atomic_store(&peer->bound, true);
}

/* The funnel of every command. A peer that could not be adopted is not this process's. */
int upcall_peer_control(struct upcall_peer *peer, unsigned long request, void *arg)
{
	int err;

	if (upcall_peer_forked(peer) || !peer->transport)
		return -EPERM;
	if (request != UPCALL_IOC_INFO && request != UPCALL_IOC_ADOPT)
		peer_bind(peer);
	err = peer->transport->control(peer->transport, request, arg);
	if (!err && request == UPCALL_IOC_ADOPT)
		peer_bind(peer);
	return err;
}

/* One command of EXCHANGE, without receiving. */
int upcall_peer_command(struct upcall_peer *peer, struct upcall_command *command)
{
	struct upcall_exchange exchange = {
		.size = sizeof(exchange),
		.flags = UPCALL_EXCHANGE_NO_DEADLINE,
		.commands = (uintptr_t)command,
		.command_count = 1,
		.command_size = sizeof(*command),
	};
	int err;

	err = upcall_peer_enter(peer, UPCALL_IOC_EXCHANGE, &exchange);
	return err ? err : -(int)command->error;
}

int upcall_peer_new(struct upcall_transport *transport, struct upcall_peer **result)
{
	struct upcall_peer *peer;

	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	pthread_once(&fork_once, fork_watch);
	atomic_init(&peer->refs, 1);
	atomic_init(&peer->max_calls, 1);
	atomic_init(&peer->event_room, 4096);
	pthread_mutex_init(&peer->lock, NULL);
	pthread_cond_init(&peer->handed, NULL);
	peer->transport = transport;
	atomic_init(&peer->fork_count, atomic_load(&upcall_forks));
	peer->ready_tail = &peer->ready;
	*result = peer;
	return 0;
}

int upcall_open(const char *where, struct upcall_peer **peer)
{
	struct upcall_transport *transport;
	int err;

	err = upcall_transport_open(where, &transport);
	if (err)
		return err;
	err = upcall_peer_new(transport, peer);
	if (err)
		transport->close(transport);
	return err;
}

int upcall_open_fd(int fd, struct upcall_peer **peer)
{
	struct upcall_transport *transport;
	int err;

	err = upcall_transport_from_fd(fd, &transport);
	if (err)
		return err;
	err = upcall_is_stub(fd) ? -ENOTTY : upcall_peer_new(transport, peer);
	if (err)
		free(transport);	/* not close(): the descriptor stays the caller's */
	return err;
}

/* In a child: the descriptor goes now, since references of the parent's threads never will. */
static void peer_close_in_child(struct upcall_peer *peer)
{
	struct upcall_transport *transport = peer->transport;

	peer->transport = NULL;
	if (transport)
		transport->close(transport);
	upcall_peer_put(peer);
}

void upcall_close(struct upcall_peer *peer)
{
	if (!peer)
		return;
	if (upcall_peer_forked(peer)) {
		peer_close_in_child(peer);
		return;
	}
	if (atomic_load(&peer->bound))
		upcall_shutdown(peer);
	upcall_receive_drop_ready(peer);
	upcall_async_end_all(peer);
	upcall_callback_end_all(peer);
	upcall_peer_put(peer);
}

int upcall_shutdown(struct upcall_peer *peer)
{
	struct upcall_shutdown shutdown = { .size = sizeof(shutdown) };

	return upcall_peer_control(peer, UPCALL_IOC_SHUTDOWN, &shutdown);
}

int upcall_fd(const struct upcall_peer *peer)
{
	return peer->transport->fd(peer->transport);
}

void upcall_set_batch(struct upcall_peer *peer, unsigned int max_calls)
{
	if (max_calls > UPCALL_MAX_EVENTS)
		max_calls = UPCALL_MAX_EVENTS;
	atomic_store(&peer->max_calls, max_calls);
}

int upcall_info(struct upcall_peer *peer, struct upcall_info *info, size_t size)
{
	struct upcall_info now = { .size = sizeof(now) };
	int err;

	err = upcall_peer_control(peer, UPCALL_IOC_INFO, &now);
	if (err)
		return err;
	memset(info, 0, size);
	memcpy(info, &now, size < sizeof(now) ? size : sizeof(now));
	return 0;
}

int upcall_stat(struct upcall_peer *peer, uint64_t handle, struct upcall_stat *stat, size_t size)
{
	struct upcall_stat now = { .size = sizeof(now), .handle = handle };
	int err;

	err = upcall_peer_control(peer, UPCALL_IOC_STAT, &now);
	if (err)
		return err;
	memset(stat, 0, size);
	memcpy(stat, &now, size < sizeof(now) ? size : sizeof(now));
	return 0;
}

int upcall_revoke(struct upcall_peer *peer, uint64_t handle)
{
	return upcall_release(peer, handle, UPCALL_RELEASE_ABORT);
}

uint64_t upcall_deadline_in(int64_t ms)
{
	struct timespec now;
	uint64_t ns;

	if (ms < 0)
		return UPCALL_NO_DEADLINE;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if ((uint64_t)ms > (UINT64_MAX / 2 - ns) / 1000000u)
		return UPCALL_NO_DEADLINE;
	return ns + (uint64_t)ms * 1000000u;
}

const char *upcall_version(void)
{
	return UPCALL_VERSION;
}
