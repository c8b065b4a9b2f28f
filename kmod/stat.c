// SPDX-License-Identifier: GPL-2.0-only
/* STAT: what a handle is, or why it is no more. */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/user_namespace.h>
#include "callback.h"
#include "main.h"
#include "peer.h"
#include "registry.h"
#include "timens.h"

/**
 * upcall_callback_access_id() - The uid or gid that may call, as the calling process sees it
 * @cb: Any.
 *
 * Context: Process context.
 * Return: The id, -1 if it has none here, 0 if the access mode knows none.
 */
u32 upcall_callback_access_id(const struct upcall_callback *cb)
{
	switch (cb->access) {
	case UPCALL_ACCESS_UID:
		return from_kuid(current_user_ns(), cb->access_uid);
	case UPCALL_ACCESS_GID:
		return from_kgid(current_user_ns(), cb->access_gid);
	default:
		return 0;
	}
}

static void callback_stat_owner(struct upcall_callback *cb, struct upcall_stat *stat)
{
	struct upcall_ids ids;

	upcall_ident_show(cb->ident, &ids);
	stat->uid = ids.uid;
	stat->gid = ids.gid;
	stat->pid = ids.pid;
	stat->start_time = ids.start_time;
	stat->access = cb->access;
	stat->access_id = upcall_callback_access_id(cb);
	stat->register_flags = cb->flags;
	memcpy(stat->label, cb->label, sizeof(stat->label));
	stat->signature = cb->signature;
	stat->max_arg = cb->max_arg;
	stat->max_queued_calls = cb->pool.max_calls;
	stat->max_queued_bytes = cb->pool.max_bytes;
}

static void callback_stat_own(struct upcall_callback *cb, struct upcall_stat *stat)
{
	stat->owned = 1;
	stat->word = cb->word;
	stat->cookie = cb->cookie;
	stat->registered_ns = ktime_to_ns(upcall_time_show(cb->registered));
	stat->queued = cb->pool.calls;
	stat->queued_bytes = cb->pool.bytes;
	stat->running = cb->nrunning;
	stat->calls = cb->seq;
	stat->delivered = cb->delivered;
	stat->replied = cb->replied;
	stat->refused = cb->refused;
	stat->queued_ns = cb->queued_ns;
	stat->run_ns = cb->run_ns;
}

static void stat_death(struct upcall_stat *stat, const struct upcall_death *death)
{
	stat->reason = death->reason;
	stat->exit_status = death->exit_status;
	stat->died_ns = death->when ? ktime_to_ns(upcall_time_show(death->when)) : 0;
	stat->word = death->word;
}

/**
 * upcall_callback_stat() - STAT
 * @peer: The caller's.
 * @stat: [in] handle; [out] all others, zero before.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ESTALE, -EACCES or -ENOMEM.
 */
int upcall_callback_stat(struct upcall_peer *peer, struct upcall_stat *stat)
{
	struct upcall_callback *cb = upcall_registry_get(stat->handle);
	struct upcall_ident *from;
	struct upcall_death death;

	if (IS_ERR(cb)) {
		if (upcall_registry_grave(stat->handle, &death))
			return -ESTALE;
		stat->state = UPCALL_STATE_DEAD;
		stat_death(stat, &death);
		return 0;
	}
	from = upcall_peer_ident(peer);
	if (!from || (cb->peer != peer && upcall_callback_check(cb, from) &&
		      !ns_capable_noaudit(cb->ident->cred->user_ns, CAP_SYS_ADMIN))) {
		upcall_ident_put(from);
		upcall_callback_put(cb);
		return from ? -EACCES : -ENOMEM;
	}
	upcall_ident_put(from);
	callback_stat_owner(cb, stat);
	spin_lock(&cb->peer->lock);
	stat->state = cb->state == UPCALL_CB_LIVE ? UPCALL_STATE_LIVE : UPCALL_STATE_CLOSING;
	if (cb->peer == peer)
		callback_stat_own(cb, stat);
	if (cb->state != UPCALL_CB_LIVE)
		stat_death(stat, &cb->death);
	spin_unlock(&cb->peer->lock);
	upcall_callback_put(cb);
	return 0;
}
