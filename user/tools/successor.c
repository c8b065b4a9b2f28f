// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * "upcall serve --adoptable": takes over the peer of the process before, if there was one, and
 * the callback that it had there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* A peer that ended stays ended: its file is of no use to the next process either. */
static struct upcall_peer *start_anew(struct upcall_peer *ended)
{
	tool_say("the peer that was handed over has ended: its handles are dead");
	upcall_close(ended);
	return tool_open();
}

/**
 * successor_open() - The peer to serve on
 * @fd: A peer that was handed over; -1: none.
 * @number: Set to the number of one that was adopted, else to 0.
 *
 * Return: the peer; dies if the process that has it lives.
 */
struct upcall_peer *successor_open(int fd, uint64_t *number)
{
	struct upcall_peer *peer;
	int err;

	*number = 0;
	if (fd < 0)
		return tool_open();
	err = upcall_open_fd(fd, &peer);
	if (err)
		tool_die(EXIT_LOCAL, "descriptor %d: %s (%s)", fd, upcall_errname(err),
			 err == -ENOTTY ? "it is no peer" : strerror(-err));
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	err = upcall_adopt(peer, number, NULL);
	if (!err || err == -ENOENT)
		return peer;
	if (err == -ESHUTDOWN)
		return start_anew(peer);
	tool_die(EXIT_NO, "descriptor %d cannot be adopted: %s (%s)", fd, upcall_errname(err),
		 upcall_strerror(err));
}

static int by_age(const void *a, const void *b)
{
	const struct upcall_list_callback *left = a, *right = b;

	return (left->registered_ns > right->registered_ns) -
	       (left->registered_ns < right->registered_ns);
}

/**
 * successor_callback() - The callback that an adopted peer has
 * @peer: The peer.
 * @number: Its number, as successor_open() gave it.
 * @label: Of the callback.
 *
 * Others that it has are released: nobody would know what to answer.
 *
 * Return: its handle; 0 if there is none with this label.
 */
uint64_t successor_callback(struct upcall_peer *peer, uint64_t number, const char *label)
{
	const struct upcall_list_callback *c;
	struct records all;
	uint64_t handle = 0;

	if (!number)
		return 0;
	all = ls_collect(peer, UPCALL_LIST_CALLBACKS, sizeof(*c), by_age);
	c = (const void *)all.bytes;
	for (size_t i = 0; i < all.count; i++, c++) {
		if (c->peer != number || c->state != UPCALL_STATE_LIVE)
			continue;
		if (!handle && !strncmp(c->label, label, sizeof(c->label)))
			handle = c->handle;
		else
			upcall_release(peer, c->handle, 0);
	}
	free(all.bytes);
	return handle;
}
