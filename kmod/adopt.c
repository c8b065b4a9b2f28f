// SPDX-License-Identifier: GPL-2.0-only
/* ADOPT: a process takes over the peer of a dead one. */
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include "callback.h"
#include "hook.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "trace.h"

/* As the last owner's: not less, as calls to it are meant for that one. */
static bool adopt_may_locked(const struct upcall_peer *peer)
{
	const struct cred *cred = current_cred(), *old = peer->ident->cred;

	return uid_eq(cred->euid, old->euid) && cred->user_ns == old->user_ns;
}

/* Before the question who lives: who may ask. */
static int adopt_check(struct upcall_peer *peer)
{
	int err;

	spin_lock(&peer->lock);
	if (!peer->ident)
		err = -ENOENT;
	else if (!adopt_may_locked(peer))
		err = -EPERM;
	else
		err = peer->dead ? -ESHUTDOWN : 0;
	spin_unlock(&peer->lock);
	return err;
}

/* From ORPHANED to ADOPTING: of two that come at once, one. */
static int adopt_begin(struct upcall_peer *peer)
{
	int err = 0;

	spin_lock(&peer->lock);
	if (peer->dead || peer->custody == UPCALL_ABANDONED)
		err = -ESHUTDOWN;
	else if (peer->custody != UPCALL_ORPHANED)
		err = -EBUSY;
	else if (!adopt_may_locked(peer))
		err = -EPERM;
	else
		peer->custody = UPCALL_ADOPTING;
	spin_unlock(&peer->lock);
	return err;
}

/* It was not to be: it waits for another one, as long as it has waited for us. */
static void adopt_undo(struct upcall_peer *peer)
{
	spin_lock(&peer->lock);
	if (!peer->dead) {
		peer->custody = UPCALL_ORPHANED;
		upcall_orphan_arm_locked(peer);
	}
	spin_unlock(&peer->lock);
}

/* It is ours: whatever it says of its owner is said of us. */
static void adopt_end(struct upcall_peer *peer, struct upcall_ident *ident,
		      struct upcall_adopt *args)
{
	struct upcall_ident *old, *adopter;

	spin_lock(&peer->lock);
	old = peer->ident;
	adopter = peer->adopter;
	peer->ident = upcall_ident_ref(ident);
	WRITE_ONCE(peer->adopter, upcall_ident_ref(ident));
	peer->custody = UPCALL_OWNED;
	args->peer = peer->id;
	args->callbacks = peer->ncallbacks;
	trace_upcall_adopted(peer);
	spin_unlock(&peer->lock);
	upcall_ident_put(old);
	upcall_ident_put(adopter);
}

/**
 * upcall_adopt() - ADOPT: bind the peer of a dead process to the calling one
 * @peer: In any state.
 * @args: [out] members are set.
 *
 * Of a process that has gone a moment ago its work may not be done; whoever saw it go is not told
 * that it lives, but waits for that.
 *
 * Context: Process context, may sleep.
 * Return: 0, an error of ADOPT, or -ERESTARTNOINTR; nothing has changed then.
 */
int upcall_adopt(struct upcall_peer *peer, struct upcall_adopt *args)
{
	struct upcall_ident *ident;
	struct upcall_death death;
	int err;

	err = adopt_check(peer);
	if (err)
		return err;
	if (!upcall_owner_is_dead(peer, &death))
		return -EBUSY;
	flush_work(&peer->death_work);
	ident = upcall_ident_new();
	if (!ident)
		return -ENOMEM;
	err = adopt_begin(peer);
	if (err)
		goto out_put;
	upcall_orphan_disarm(peer);
	UPCALL_HOOK(adopting);
	err = upcall_owner_replace(peer);
	if (err)
		adopt_undo(peer);
	else
		adopt_end(peer, ident, args);
out_put:
	upcall_ident_put(ident);
	return err;
}

/**
 * upcall_adopt_show() - The owner of a callback as the calling process sees it
 * @cb: Any.
 * @ids: Filled in: uid and gid as of REGISTER; pid and start time of the process that has its
 *	peer now, if that adopted it.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_adopt_show(const struct upcall_callback *cb, struct upcall_ids *ids)
{
	struct upcall_peer *peer = cb->peer;
	struct upcall_ident *adopter = NULL;
	struct upcall_ids now;

	upcall_ident_show(cb->ident, ids);
	if (likely(!READ_ONCE(peer->adopter)))
		return;
	spin_lock(&peer->lock);
	adopter = upcall_ident_ref(peer->adopter);
	spin_unlock(&peer->lock);
	upcall_ident_show(adopter, &now);
	ids->pid = now.pid;
	ids->start_time = now.start_time;
	upcall_ident_put(adopter);
}
