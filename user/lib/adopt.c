// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What a peer declares about itself, and a successor that takes it over.
 */
#include "internal.h"

#define NS_PER_MS	1000000u

/* CONFIG sets all there is: what the other setters said stays as it was. */
static int peer_config(struct upcall_peer *peer, uint32_t flag, int on, uint64_t orphan_ns)
{
	struct upcall_config config = { .size = sizeof(config), .orphan_ns = orphan_ns };
	int err;

	if (upcall_peer_forked(peer))
		return -EPERM;
	pthread_mutex_lock(&peer->lock);
	config.flags = on ? peer->config_flags | flag : peer->config_flags & ~flag;
	if (flag != UPCALL_CONFIG_ADOPTABLE)
		config.orphan_ns = peer->orphan_ns;
	err = upcall_peer_control(peer, UPCALL_IOC_CONFIG, &config);
	if (!err) {
		peer->config_flags = config.flags;
		peer->orphan_ns = config.orphan_ns;
	}
	pthread_mutex_unlock(&peer->lock);
	return err;
}

int upcall_set_one_thread(struct upcall_peer *peer, int on)
{
	return peer_config(peer, UPCALL_CONFIG_ONE_THREAD, on, 0);
}

int upcall_set_adoptable(struct upcall_peer *peer, int on, int64_t orphan_ms)
{
	if (!on)
		return peer_config(peer, UPCALL_CONFIG_ADOPTABLE, 0, 0);
	if (orphan_ms < 1 || orphan_ms > INT64_MAX / NS_PER_MS)
		return -EINVAL;
	return peer_config(peer, UPCALL_CONFIG_ADOPTABLE, 1, (uint64_t)orphan_ms * NS_PER_MS);
}

int upcall_adopt(struct upcall_peer *peer, uint64_t *number, uint32_t *callbacks)
{
	struct upcall_adopt adopt = { .size = sizeof(adopt) };
	int err;

	err = upcall_peer_control(peer, UPCALL_IOC_ADOPT, &adopt);
	if (err)
		return err;
	if (number)
		*number = adopt.peer;
	if (callbacks)
		*callbacks = adopt.callbacks;
	return 0;
}
