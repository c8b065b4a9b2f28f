// SPDX-License-Identifier: GPL-2.0-only
/* One open file: what it is bound to, who waits in it, and its end. */
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include "async.h"
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "main.h"
#include "peer.h"
#include "quota.h"
#include "registry.h"
#include "submit.h"

/* All bound peers by number, for LIST. Lookups go by RCU. */
static DEFINE_SPINLOCK(peers_lock);
static DEFINE_IDR(peers);

static void peer_death_work(struct work_struct *work)
{
	struct upcall_peer *peer = container_of(work, struct upcall_peer, death_work);
	struct upcall_death death;

	upcall_owner_death(peer, UPCALL_REASON_EXITED, &death);
	UPCALL_HOOK(dying);
	if (!upcall_orphan(peer, &death))
		upcall_peer_kill(peer, &death);
	upcall_peer_put(peer);
}

/**
 * upcall_peer_new() - Make the peer of a new open file
 *
 * Context: Process context, may sleep.
 * Return: A peer with one reference, or NULL: out of memory.
 */
struct upcall_peer *upcall_peer_new(void)
{
	struct upcall_peer *peer = kzalloc(sizeof(*peer), GFP_KERNEL_ACCOUNT);

	if (!peer)
		return NULL;
	refcount_set(&peer->refs, 1);
	spin_lock_init(&peer->lock);
	INIT_WORK(&peer->death_work, peer_death_work);
	peer->callbacks = UPCALL_SLOT_NONE;
	INIT_LIST_HEAD(&peer->queue);
	INIT_LIST_HEAD(&peer->nested);
	INIT_LIST_HEAD(&peer->events);
	INIT_LIST_HEAD(&peer->spares);
	INIT_HLIST_HEAD(&peer->outgoing);
	upcall_ids_init(&peer->incoming);
	upcall_ids_init(&peer->outgoing_ids);
	upcall_async_init(peer);
	upcall_orphan_init(peer);
	mutex_init(&peer->refusal.mutex);
	spin_lock_init(&peer->idle_lock);
	INIT_LIST_HEAD(&peer->idle);
	init_waitqueue_head(&peer->chain_wait);
	init_waitqueue_head(&peer->poll_wait);
	return peer;
}

/**
 * upcall_peer_exit() - Free what all peers share
 *
 * Context: Module exit: no peer is left.
 */
void upcall_peer_exit(void)
{
	idr_destroy(&peers);
}

/**
 * upcall_peer_ref() - One more reference
 * @peer: Which the caller has a reference to.
 *
 * Context: Any context.
 * Return: @peer.
 */
struct upcall_peer *upcall_peer_ref(struct upcall_peer *peer)
{
	refcount_inc(&peer->refs);
	return peer;
}

/**
 * upcall_peer_put() - Drop a reference
 * @peer: Not used by the caller any more.
 *
 * Unpublish: out of the idr of peers, when its file was closed, and out of its owner's list.
 * Wait: the file, its callbacks and its death work each had a reference, so only LIST's lookup
 * under RCU is left. Free: after a grace period.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_peer_put(struct upcall_peer *peer)
{
	if (!refcount_dec_and_test(&peer->refs))
		return;
	WARN_ON_ONCE(peer->owner && !peer->dead);
	upcall_owner_unbind(peer);
	upcall_ident_put(peer->ident);
	upcall_ident_put(peer->adopter);
	kfree(peer->spare.at);
	upcall_spin_exit(&peer->server);
	upcall_spin_exit(&peer->client);
	upcall_ids_exit(&peer->incoming);
	upcall_ids_exit(&peer->outgoing_ids);
	kfree_rcu(peer, rcu);
}

/**
 * upcall_peer_close() - Its file is closed: it is listed no more, whoever still refers to it
 * @peer: Ended.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_peer_close(struct upcall_peer *peer)
{
	if (peer->id) {
		spin_lock(&peers_lock);
		idr_remove(&peers, peer->id);
		spin_unlock(&peers_lock);
	}
	upcall_peer_put(peer);
}

static int peer_number(struct upcall_peer *peer)
{
	int id;

	idr_preload(GFP_KERNEL);
	spin_lock(&peers_lock);
	id = peer->id ?: idr_alloc_cyclic(&peers, peer, 1, INT_MAX, GFP_NOWAIT | __GFP_ACCOUNT);
	if (id > 0)
		WRITE_ONCE(peer->id, id);
	spin_unlock(&peers_lock);
	idr_preload_end();
	return min(id, 0);
}

static int peer_bind_first(struct upcall_peer *peer)
{
	struct upcall_ident *ident;
	int err;

	err = upcall_owner_bind(peer);
	if (err)
		return err;
	ident = upcall_peer_ident(peer);	/* LIST shows whose it is */
	if (!ident)
		return -ENOMEM;
	upcall_ident_put(ident);
	return peer_number(peer);
}

/**
 * upcall_peer_bind_slowly() - upcall_peer_bind() where there is something to do, or to refuse
 * @peer: Perhaps not bound yet: then it is from here on.
 *
 * Context: Process context, may sleep.
 * Return: As upcall_peer_bind().
 */
int upcall_peer_bind_slowly(struct upcall_peer *peer)
{
	int err;

	might_sleep();
	if (unlikely(!READ_ONCE(peer->id)))
		err = peer_bind_first(peer);
	else
		err = upcall_owner_bind(peer);
	if (!err && READ_ONCE(peer->dead))
		err = -ESHUTDOWN;
	return err;
}

/**
 * upcall_peer_ident() - Who the calling process is, remembered from one verb to the next
 * @peer: Bound to it.
 *
 * Context: Process context, may sleep.
 * Return: An ident, drop it with upcall_ident_put(); NULL: out of memory.
 */
struct upcall_ident *upcall_peer_ident(struct upcall_peer *peer)
{
	struct upcall_ident *ident, *old;

	spin_lock(&peer->lock);
	ident = peer->ident;
	if (ident && upcall_ident_is_current(ident)) {
		upcall_ident_ref(ident);
		spin_unlock(&peer->lock);
		return ident;
	}
	spin_unlock(&peer->lock);

	ident = upcall_ident_new();
	if (!ident)
		return NULL;
	spin_lock(&peer->lock);
	old = peer->ident;
	peer->ident = upcall_ident_ref(ident);
	spin_unlock(&peer->lock);
	upcall_ident_put(old);
	return ident;
}

/**
 * upcall_peer_next() - The bound peer with the lowest number from a given one on, for LIST
 * @id: Where to begin; set to its number.
 *
 * Context: Process context.
 * Return: A peer with a reference, or NULL at the end.
 */
struct upcall_peer *upcall_peer_next(int *id)
{
	struct upcall_peer *peer;

	rcu_read_lock();
	while ((peer = idr_get_next(&peers, id)) && !refcount_inc_not_zero(&peer->refs))
		*id += 1;
	rcu_read_unlock();
	return peer;
}

/* Takes the next callback; it may be on its way to GONE by another thread as well. */
static struct upcall_callback *peer_first_callback(struct upcall_peer *peer)
{
	struct upcall_callback *cb = NULL;

	spin_lock(&peer->lock);
	if (peer->callbacks != UPCALL_SLOT_NONE) {
		cb = upcall_registry_at(peer->callbacks);
		refcount_inc(&cb->refs);
	}
	spin_unlock(&peer->lock);
	return cb;
}

/* Gives up a call that this peer made; the list's reference comes with it. */
static struct upcall_call *peer_take_outgoing(struct upcall_peer *peer)
{
	struct upcall_call *call;

	spin_lock(&peer->lock);
	call = hlist_entry_safe(peer->outgoing.first, struct upcall_call, out_link);
	if (call)
		upcall_submit_unlink_locked(peer, call);
	spin_unlock(&peer->lock);
	return call;
}

/**
 * upcall_peer_give_up_calls() - What a peer has called is of interest to nobody any more
 * @peer: None of its threads makes calls now, or it is dead and they fail.
 *
 * Context: Process context, may sleep.
 */
void upcall_peer_give_up_calls(struct upcall_peer *peer)
{
	struct upcall_call *call;

	might_sleep();
	upcall_refusal_forget(peer);
	while ((call = peer_take_outgoing(peer))) {
		upcall_call_abandon(call, -ESHUTDOWN);
		upcall_call_put(call);
		cond_resched();
	}
	upcall_async_stop(peer);
}

/**
 * upcall_peer_kill() - End a peer: its callbacks die, its calls are given up
 * @peer: Perhaps ended already: then nothing happens.
 * @death: Why.
 *
 * From the first step on nothing new is added, so the lists only shrink. May be called
 * while its threads wait: they leave with -ESHUTDOWN.
 *
 * Context: Process context, may sleep (it may have a million callbacks).
 */
void upcall_peer_kill(struct upcall_peer *peer, const struct upcall_death *death)
{
	struct upcall_callback *cb;

	might_sleep();
	spin_lock(&peer->lock);
	if (peer->dead) {
		spin_unlock(&peer->lock);
		return;
	}
	WRITE_ONCE(peer->dead, true);
	upcall_peer_wake_all(peer);
	wake_up_poll(&peer->poll_wait, EPOLLHUP | EPOLLIN | EPOLLOUT);
	spin_unlock(&peer->lock);
	UPCALL_HOOK(dead);

	upcall_orphan_disarm(peer);
	upcall_peer_give_up_calls(peer);
	upcall_spare_drain(peer);
	upcall_callback_drain(peer);
	while ((cb = peer_first_callback(peer))) {
		upcall_callback_retire(cb, UPCALL_RETIRE_DEATH, death);
		upcall_callback_gone(cb);
		cond_resched();
	}
}

/**
 * upcall_peer_config() - CONFIG
 * @peer: Bound to the calling process.
 * @flags: UPCALL_CONFIG_*, all that it is to have.
 * @orphan_ns: With UPCALL_CONFIG_ADOPTABLE.
 *
 * Context: Process context.
 */
void upcall_peer_config(struct upcall_peer *peer, u32 flags, u64 orphan_ns)
{
	spin_lock(&peer->lock);
	peer->one_thread = flags & UPCALL_CONFIG_ONE_THREAD;
	WRITE_ONCE(peer->adoptable, flags & UPCALL_CONFIG_ADOPTABLE);
	peer->orphan_ns = orphan_ns;
	spin_unlock(&peer->lock);
}

/**
 * upcall_peer_shutdown() - End a peer at its owner's wish
 * @peer: Bound to the calling process.
 * @flags: UPCALL_SHUTDOWN_*.
 * @word: With UPCALL_SHUTDOWN_WORD, left behind by every callback.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ESHUTDOWN: it has ended already.
 */
int upcall_peer_shutdown(struct upcall_peer *peer, u32 flags, u64 word)
{
	struct upcall_death death;

	if (READ_ONCE(peer->dead))
		return -ESHUTDOWN;
	upcall_owner_death(peer, UPCALL_REASON_SHUTDOWN, &death);
	death.set_word = flags & UPCALL_SHUTDOWN_WORD;
	death.word = word;
	upcall_peer_kill(peer, &death);
	return 0;
}

static const char *peer_state_locked(const struct upcall_peer *peer, int id)
{
	if (peer->dead)
		return "ended";
	if (peer->custody != UPCALL_OWNED)
		return "orphaned";
	return id ? "bound" : "unbound";
}

/**
 * upcall_peer_show() - What /proc/PID/fdinfo says of a peer
 * @peer: Any.
 * @m: Where to.
 *
 * Context: Process context.
 */
void upcall_peer_show(struct upcall_peer *peer, struct seq_file *m)
{
	u32 callbacks, queued, running, waiting, receivers;
	int id = READ_ONCE(peer->id);
	const char *state;

	spin_lock(&peer->lock);
	state = peer_state_locked(peer, id);
	callbacks = peer->ncallbacks;
	queued = peer->nqueued;
	running = peer->nrunning;
	waiting = peer->noutgoing;
	receivers = peer->receivers;
	spin_unlock(&peer->lock);
	seq_printf(m, "upcall-peer:\t%d\n", id);
	seq_printf(m, "upcall-state:\t%s\n", state);
	seq_printf(m, "upcall-callbacks:\t%u\n", callbacks);
	seq_printf(m, "upcall-queued:\t%u\n", queued);
	seq_printf(m, "upcall-running:\t%u\n", running);
	seq_printf(m, "upcall-waiting:\t%u\n", waiting);
	seq_printf(m, "upcall-receivers:\t%u\n", receivers);
}
