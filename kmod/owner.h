/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_OWNER_H
#define _UPCALL_OWNER_H

#include <linux/cred.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/upcall.h>

struct pid;
struct upcall_account;
struct upcall_peer;

/**
 * struct upcall_ident - Who a process was at one moment; never changes
 * @refs: References.
 * @cred: Its credentials, referenced. They hold its user namespace.
 * @tgid: Its process, referenced. It holds its pid namespace.
 * @start_ns: When that process started, CLOCK_BOOTTIME in nanoseconds.
 * @account: Of its effective uid, referenced.
 */
struct upcall_ident {
	refcount_t refs;
	const struct cred *cred;
	struct pid *tgid;
	u64 start_ns;
	struct upcall_account *account;
};

/**
 * struct upcall_ids - An ident as the calling process sees it
 * @pid: In its pid namespace, or -1.
 * @uid: Effective, in its user namespace, or -1.
 * @gid: Effective, in its user namespace, or -1.
 * @start_time: In clock ticks since boot, as in /proc/PID/stat.
 */
struct upcall_ids {
	u32 pid;
	u32 uid;
	u32 gid;
	u64 start_time;
};

struct upcall_ident *upcall_ident_new(void);
struct upcall_ident *upcall_ident_ref(struct upcall_ident *ident);
void upcall_ident_put(struct upcall_ident *ident);

/* Several references, one at least. */
static inline void upcall_ident_put_many(struct upcall_ident *ident, int n)
{
	if (n > 1)	/* one is left */
		WARN_ON_ONCE(refcount_sub_and_test(n - 1, &ident->refs));
	upcall_ident_put(ident);
}

bool upcall_ident_same_user(const struct upcall_ident *a, const struct upcall_ident *b);
bool upcall_ident_visible(const struct upcall_ident *ident);
void upcall_ident_show(const struct upcall_ident *ident, struct upcall_ids *ids);
u32 upcall_pid_show(struct pid *pid);

/*
 * Whether it would come out the same if taken now. Credentials are never changed in place, so the
 * same pointer says the same.
 */
static inline bool upcall_ident_is_current(const struct upcall_ident *ident)
{
	return ident->cred == current_cred() && ident->tgid == task_tgid(current);
}

/**
 * struct upcall_death - Why a peer or a callback ended
 * @reason: UPCALL_REASON_*.
 * @exit_status: With UPCALL_REASON_EXITED, as wait(2) reports it.
 * @when: CLOCK_MONOTONIC.
 * @word: What the owner left for callers.
 * @set_word: @word replaces what each callback's owner said before.
 */
struct upcall_death {
	u32 reason;
	u32 exit_status;
	ktime_t when;
	u64 word;
	bool set_word;
};

/**
 * struct upcall_owner - An address space that has peers
 * @mn: Tells when the address space goes; holds its mm_struct.
 * @lock: Protects @peers and @death.
 * @peers: The peers that are bound to it.
 * @dead: It has gone. Set once, under @lock.
 * @death: How, once @dead is set.
 */
struct upcall_owner {
	struct mmu_notifier mn;
	spinlock_t lock;	/* protects @peers, @dead and @death */
	struct list_head peers;
	bool dead;
	struct upcall_death death;
};

void upcall_owner_exit(void);
int upcall_owner_bind(struct upcall_peer *peer);
int upcall_owner_replace(struct upcall_peer *peer);
bool upcall_owner_is_dead(struct upcall_peer *peer, struct upcall_death *death);
void upcall_owner_unbind(struct upcall_peer *peer);
void upcall_owner_death(struct upcall_peer *peer, u32 reason, struct upcall_death *death);

#endif /* _UPCALL_OWNER_H */
