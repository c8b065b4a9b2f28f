// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who a process is, and when it is no more.
 *
 * A peer belongs to one address space. That it goes we hear from the mmu notifier,
 * in the middle of exit_mmap(): there the peers are only marked and handed to our
 * workqueue, which ends them.
 */
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/time_namespace.h>
#include <linux/user_namespace.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"

/**
 * upcall_ident_new() - Who the calling process is now
 *
 * Context: Process context, may sleep.
 * Return: An ident with one reference, or NULL: out of memory.
 */
struct upcall_ident *upcall_ident_new(void)
{
	struct upcall_ident *ident;

	might_sleep();
	ident = kzalloc(sizeof(*ident), GFP_KERNEL_ACCOUNT);
	if (!ident)
		return NULL;
	ident->account = upcall_account_get(current_cred());
	if (!ident->account) {
		kfree(ident);
		return NULL;
	}
	refcount_set(&ident->refs, 1);
	ident->cred = get_current_cred();
	ident->tgid = get_pid(task_tgid(current));
	ident->start_ns = current->group_leader->start_boottime;
	return ident;
}

/**
 * upcall_ident_ref() - One more reference
 * @ident: Which the caller has a reference to.
 *
 * Context: Any context.
 * Return: @ident.
 */
struct upcall_ident *upcall_ident_ref(struct upcall_ident *ident)
{
	refcount_inc(&ident->refs);
	return ident;
}

/**
 * upcall_ident_put() - Drop a reference
 * @ident: May be NULL.
 *
 * Context: Process context.
 */
void upcall_ident_put(struct upcall_ident *ident)
{
	if (!ident || !refcount_dec_and_test(&ident->refs))
		return;
	upcall_account_put(ident->account);
	put_cred(ident->cred);
	put_pid(ident->tgid);
	kfree(ident);
}

/**
 * upcall_ident_same_user() - Same effective uid, user namespace and pid namespace
 * @a: One.
 * @b: The other.
 *
 * Context: Any context.
 * Return: True if so.
 */
bool upcall_ident_same_user(const struct upcall_ident *a, const struct upcall_ident *b)
{
	return uid_eq(a->cred->euid, b->cred->euid) && a->cred->user_ns == b->cred->user_ns &&
	       ns_of_pid(a->tgid) == ns_of_pid(b->tgid);
}

/**
 * upcall_ident_visible() - Whether the calling process may see what is this one's
 * @ident: Of the owner.
 *
 * Context: Process context.
 * Return: True for the same effective uid and user namespace, and for an administrator.
 */
bool upcall_ident_visible(const struct upcall_ident *ident)
{
	const struct cred *cred = current_cred();

	if (uid_eq(cred->euid, ident->cred->euid) && cred->user_ns == ident->cred->user_ns)
		return true;
	return ns_capable_noaudit(ident->cred->user_ns, CAP_SYS_ADMIN);
}

/**
 * upcall_pid_show() - A process or thread as the calling process sees it
 * @pid: Referenced by the caller.
 *
 * Context: Process context.
 * Return: Its number in the pid namespace of the calling process; -1 if it has none there.
 */
u32 upcall_pid_show(struct pid *pid)
{
	pid_t nr = pid_nr_ns(pid, task_active_pid_ns(current));

	return nr ? nr : (u32)-1;
}

/* As field 22 of /proc/PID/stat: clock ticks since boot, in the reader's time namespace. */
static u64 start_time_show(u64 start_ns)
{
	BUILD_BUG_ON(NSEC_PER_SEC % USER_HZ);
	return div_u64(timens_add_boottime_ns(start_ns), NSEC_PER_SEC / USER_HZ);
}

/**
 * upcall_ident_show() - An ident as the calling process sees it
 * @ident: Any.
 * @ids: Filled in.
 *
 * Context: Process context.
 */
void upcall_ident_show(const struct upcall_ident *ident, struct upcall_ids *ids)
{
	struct user_namespace *ns = current_user_ns();

	ids->pid = upcall_pid_show(ident->tgid);
	if (ns == &init_user_ns) {	/* where each is itself */
		ids->uid = __kuid_val(ident->cred->euid);
		ids->gid = __kgid_val(ident->cred->egid);
	} else {
		ids->uid = from_kuid(ns, ident->cred->euid);
		ids->gid = from_kgid(ns, ident->cred->egid);
	}
	ids->start_time = start_time_show(ident->start_ns);
}

/* Why the address space goes, as told by the task that lets go of it last. */
static void owner_describe_death(struct upcall_death *death)
{
	death->when = ktime_get();
	death->reason = current->in_execve ? UPCALL_REASON_EXEC : UPCALL_REASON_EXITED;
	/* Else it is somebody who looked at it, and outlived it: no status is known. */
	if (current->flags & PF_EXITING)
		death->exit_status = current->exit_code;
}

/*
 * One that has ended has nothing to die of, and its file may be closed: then nobody holds the
 * module, whose workqueue takes no work any more. Without a reference left it is being freed, and
 * leaves the list of its owner next.
 */
static void owner_end_peer_locked(struct upcall_peer *peer)
{
	if (READ_ONCE(peer->dead) || !refcount_inc_not_zero(&peer->refs))
		return;
	if (!queue_work(upcall_wq, &peer->death_work))
		WARN_ON_ONCE(1);	/* release comes once */
}

/* A process may have any number of peers. True if some of @todo are left. */
static bool owner_end_some(struct upcall_owner *owner, struct list_head *todo)
{
	struct upcall_peer *peer;
	unsigned int i;
	bool more;

	spin_lock(&owner->lock);
	for (i = 0; i < UPCALL_BATCH_ENDED && !list_empty(todo); i++) {
		peer = list_first_entry(todo, struct upcall_peer, owner_link);
		list_move_tail(&peer->owner_link, &owner->peers);
		owner_end_peer_locked(peer);
	}
	more = !list_empty(todo);
	spin_unlock(&owner->lock);
	return more;
}

static void owner_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct upcall_owner *owner = container_of(mn, struct upcall_owner, mn);
	LIST_HEAD(todo);

	UPCALL_HOOK(mm_gone);
	spin_lock(&owner->lock);
	owner->dead = true;
	owner_describe_death(&owner->death);
	list_splice_init(&owner->peers, &todo);
	spin_unlock(&owner->lock);
	while (owner_end_some(owner, &todo))
		cond_resched();
}

/* Owners, until owner_free() has been called for them. */
static atomic_t owners;

static struct mmu_notifier *owner_alloc(struct mm_struct *mm)
{
	struct upcall_owner *owner = kzalloc(sizeof(*owner), GFP_KERNEL_ACCOUNT);

	if (!owner)
		return ERR_PTR(-ENOMEM);
	atomic_inc(&owners);
	spin_lock_init(&owner->lock);
	INIT_LIST_HEAD(&owner->peers);
	return &owner->mn;
}

static void owner_free(struct mmu_notifier *mn)
{
	struct upcall_owner *owner = container_of(mn, struct upcall_owner, mn);

	WARN_ON_ONCE(!list_empty(&owner->peers));
	kfree(owner);
	if (atomic_dec_and_test(&owners))
		wake_up_var(&owners);
}

static const struct mmu_notifier_ops owner_ops = {
	.release = owner_release,
	.alloc_notifier = owner_alloc,
	.free_notifier = owner_free,
};

/**
 * upcall_owner_exit() - Wait until the memory manager calls none of our code any more
 *
 * All owners were put. But what mmu_notifier_synchronize() waits for is a grace period, and the
 * callbacks of another processor, owner_free() among them, may come behind that. They are called
 * with soft interrupts off: so whoever has counted the last one has left when RCU says so.
 *
 * Context: Module exit: no peer is left.
 */
void upcall_owner_exit(void)
{
	wait_var_event(&owners, !atomic_read(&owners));
	synchronize_rcu();
}

/* The calling process's, referenced: drop it with mmu_notifier_put(). Or an ERR_PTR. */
static struct upcall_owner *owner_get_current(void)
{
	struct mmu_notifier *mn;

	if (!current->mm)
		return ERR_PTR(-EPERM);
	mn = mmu_notifier_get(&owner_ops, current->mm);
	if (mn == ERR_PTR(-EINTR))
		return ERR_PTR(-ERESTARTNOINTR);	/* a signal, and nothing has happened yet */
	if (IS_ERR(mn))
		return ERR_CAST(mn);
	return container_of(mn, struct upcall_owner, mn);
}

/* With the reference. We run in that address space, so it does not go while we add the peer. */
static void owner_add_locked(struct upcall_owner *owner, struct upcall_peer *peer)
{
	lockdep_assert_held(&peer->lock);
	spin_lock(&owner->lock);
	list_add_tail(&peer->owner_link, &owner->peers);
	spin_unlock(&owner->lock);
	peer->owner = owner;
	/* Pairs with upcall_owner_bind(). */
	smp_store_release(&peer->mm, owner->mn.mm);
}

/**
 * upcall_owner_bind() - Bind a peer to the calling process's address space
 * @peer: Perhaps bound already.
 *
 * Its owner may be replaced at any time, so only the address of its mm_struct is compared. The
 * owner holds that as long as the peer names it, so what is equal is the same one.
 *
 * Context: Process context, may sleep: takes the mmap lock for writing the first time.
 * Return:
 * * 0		- it is bound to this address space
 * * -EPERM	- it is bound to another one
 * * -ENOMEM	- out of memory; it is as before
 * * -ERESTARTNOINTR	- a signal is pending; it is as before
 */
int upcall_owner_bind(struct upcall_peer *peer)
{
	/* Pairs with owner_add_locked(). */
	struct mm_struct *mm = smp_load_acquire(&peer->mm);
	struct upcall_owner *owner;
	bool first;

	if (likely(mm))
		return mm == current->mm ? 0 : -EPERM;
	owner = owner_get_current();
	if (IS_ERR(owner))
		return PTR_ERR(owner);
	spin_lock(&peer->lock);
	first = !peer->owner;
	if (first)
		owner_add_locked(owner, peer);
	mm = peer->mm;
	spin_unlock(&peer->lock);
	if (!first)
		mmu_notifier_put(&owner->mn);
	return mm == current->mm ? 0 : -EPERM;
}

/**
 * upcall_owner_replace() - Bind a peer whose owner has died to the calling process
 * @peer: Perhaps it has ended.
 *
 * Context: Process context, may sleep; nobody else changes the owner meanwhile.
 * Return: 0, -ESHUTDOWN: it has ended, or an error of upcall_owner_bind(); it is as before then.
 */
int upcall_owner_replace(struct upcall_peer *peer)
{
	struct upcall_owner *owner = owner_get_current(), *old;
	bool dead;

	if (IS_ERR(owner))
		return PTR_ERR(owner);
	spin_lock(&peer->lock);
	dead = peer->dead;
	old = peer->owner;
	if (!dead) {
		spin_lock(&old->lock);
		list_del(&peer->owner_link);
		spin_unlock(&old->lock);
		owner_add_locked(owner, peer);
	}
	spin_unlock(&peer->lock);
	mmu_notifier_put(dead ? &owner->mn : &old->mn);
	return dead ? -ESHUTDOWN : 0;
}

/**
 * upcall_owner_unbind() - Forget a peer that nobody has a reference to
 * @peer: Perhaps never bound.
 *
 * Context: Process context.
 */
void upcall_owner_unbind(struct upcall_peer *peer)
{
	struct upcall_owner *owner = peer->owner;

	if (!owner)
		return;
	spin_lock(&owner->lock);
	list_del(&peer->owner_link);
	spin_unlock(&owner->lock);
	mmu_notifier_put(&owner->mn);
}

/**
 * upcall_owner_is_dead() - Whether the address space that a peer is bound to has gone
 * @peer: Perhaps never bound.
 * @death: Filled in if so.
 *
 * Context: Process context.
 * Return: True if so.
 */
bool upcall_owner_is_dead(struct upcall_peer *peer, struct upcall_death *death)
{
	struct upcall_owner *owner;
	bool dead = false;

	spin_lock(&peer->lock);	/* it keeps the owner */
	owner = peer->owner;
	if (owner) {
		spin_lock(&owner->lock);
		dead = owner->dead;
		if (dead)
			*death = owner->death;
		spin_unlock(&owner->lock);
	}
	spin_unlock(&peer->lock);
	return dead;
}

/* A process may close its files before its address space goes, if somebody looks at that. */
static bool owner_is_exiting(struct upcall_peer *peer)
{
	bool same;

	if (!(current->flags & PF_EXITING))
		return false;
	spin_lock(&peer->lock);
	same = peer->ident && peer->ident->tgid == task_tgid(current);
	spin_unlock(&peer->lock);
	return same;
}

/* A receiver with a fatal signal, not in do_exit() yet; another thread's exec sends one too. */
static void owner_describe_kill(struct upcall_death *death)
{
	if (READ_ONCE(current->signal->group_exec_task))
		death->reason = UPCALL_REASON_EXEC;
	else
		death->exit_status = READ_ONCE(current->signal->group_exit_code);
}

/**
 * upcall_owner_death() - Why a peer ends now
 * @peer: Which ends.
 * @reason: UPCALL_REASON_* as far as the one who ends it knows. If its process has
 *	gone, or is going, that comes first.
 * @death: Filled in.
 *
 * Context: Process context.
 */
void upcall_owner_death(struct upcall_peer *peer, u32 reason, struct upcall_death *death)
{
	memset(death, 0, sizeof(*death));
	if (upcall_owner_is_dead(peer, death))
		return;
	death->when = ktime_get();
	death->reason = reason;
	if (owner_is_exiting(peer)) {
		death->reason = UPCALL_REASON_EXITED;
		death->exit_status = current->exit_code;
	} else if (reason == UPCALL_REASON_EXITED) {
		owner_describe_kill(death);
	}
}
