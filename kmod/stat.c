// SPDX-License-Identifier: GPL-2.0-only
/* STAT: what a handle is, or why it is no more. */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/user_namespace.h>
#include "access.h"
#include "callback.h"
#include "main.h"
#include "peer.h"
#include "registry.h"
#include "stub.h"
#include "timens.h"

static void callback_stat_owner(struct upcall_callback *cb, struct upcall_stat *stat)
{
	struct upcall_ids ids;

	upcall_adopt_show(cb, &ids);
	stat->uid = ids.uid;
	stat->gid = ids.gid;
	stat->pid = ids.pid;
	stat->start_time = ids.start_time;
	stat->access = cb->access;
	stat->access_id = upcall_access_id(cb);
	stat->register_flags = cb->flags;
	memcpy(stat->label, cb->label, sizeof(stat->label));
	stat->signature = cb->signature;
	stat->max_arg = cb->max_arg;
	stat->max_queued_calls = cb->max_queued_calls;
	stat->max_queued_bytes = cb->max_queued_bytes;
}

static void callback_stat_traffic(struct upcall_callback *cb, struct upcall_stat *stat)
{
	const struct upcall_traffic *traffic = cb->traffic;

	stat->queued = traffic->pool.calls;
	stat->queued_bytes = traffic->pool.bytes;
	stat->running = traffic->nrunning;
	stat->stubs = upcall_stub_count_locked(cb);
	stat->calls = traffic->seq;
	stat->delivered = traffic->delivered;
	stat->replied = traffic->replied;
	stat->refused = traffic->refused;
	stat->queued_ns = traffic->queued_ns;
	stat->run_ns = traffic->run_ns;
}

static void callback_stat_own(struct upcall_callback *cb, struct upcall_stat *stat)
{
	stat->owned = 1;
	stat->word = cb->word;
	stat->cookie = cb->released.cookie;
	stat->registered_ns = ktime_to_ns(upcall_time_show(cb->registered));
	if (cb->traffic)	/* else it was never called */
		callback_stat_traffic(cb, stat);
}

static void stat_death(struct upcall_stat *stat, const struct upcall_death *death)
{
	stat->reason = death->reason;
	stat->exit_status = death->exit_status;
	stat->died_ns = death->when ? ktime_to_ns(upcall_time_show(death->when)) : 0;
	stat->word = death->word;
}

static void callback_stat_death(struct upcall_callback *cb, struct upcall_stat *stat)
{
	struct upcall_death death;

	upcall_callback_death(cb, &death);
	stat_death(stat, &death);
}

/* What those may know who may call it, and its owner. */
static void callback_stat(struct upcall_callback *cb, bool own, struct upcall_stat *stat)
{
	callback_stat_owner(cb, stat);
	spin_lock(&cb->peer->lock);
	stat->state = cb->state == UPCALL_CB_LIVE ? UPCALL_STATE_LIVE : UPCALL_STATE_CLOSING;
	if (own)
		callback_stat_own(cb, stat);
	if (cb->state != UPCALL_CB_LIVE)
		callback_stat_death(cb, stat);
	spin_unlock(&cb->peer->lock);
}

/**
 * upcall_callback_stat_stub() - STAT on a stub fd
 * @cb: What it may call. Its record is not forgotten as long as there are stubs.
 * @stat: All [out] members are zero before.
 *
 * Context: Process context.
 */
void upcall_callback_stat_stub(struct upcall_callback *cb, struct upcall_stat *stat)
{
	bool gone;

	spin_lock(&cb->peer->lock);
	gone = cb->state == UPCALL_CB_GONE;
	spin_unlock(&cb->peer->lock);
	if (!gone) {
		callback_stat(cb, false, stat);
		return;
	}
	stat->state = UPCALL_STATE_DEAD;
	callback_stat_death(cb, stat);
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
	if (!from || (cb->peer != peer && upcall_access_check(cb, from) &&
		      !ns_capable_noaudit(cb->ident->cred->user_ns, CAP_SYS_ADMIN))) {
		upcall_ident_put(from);
		upcall_callback_put(cb);
		return from ? -EACCES : -ENOMEM;
	}
	upcall_ident_put(from);
	callback_stat(cb, cb->peer == peer, stat);
	upcall_callback_put(cb);
	return 0;
}
