// SPDX-License-Identifier: GPL-2.0-only
/*
 * The accounts of uids, in their user namespace and in those above; what is charged: quota.c.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include "account.h"

static DEFINE_SPINLOCK(accounts_lock);
#define ACCOUNT_BUCKET_BITS	10
#define ACCOUNT_ID_BITS		(63 - ACCOUNT_BUCKET_BITS)
#define ACCOUNT_ID_MASK		((1ULL << ACCOUNT_ID_BITS) - 1)
static DEFINE_HASHTABLE(accounts, ACCOUNT_BUCKET_BITS);
static u64 accounts_last_id;

static u32 account_hash(struct user_namespace *ns, kuid_t uid)
{
	return hash_ptr(ns, 32) ^ __kuid_val(uid);
}

static struct upcall_account *account_find_locked(struct user_namespace *ns, kuid_t uid)
{
	struct upcall_account *account;

	lockdep_assert_held(&accounts_lock);
	hash_for_each_possible(accounts, account, link, account_hash(ns, uid)) {
		if (account->ns == ns && uid_eq(account->uid, uid) &&
		    refcount_inc_not_zero(&account->refs))
			return account;
	}
	return NULL;
}

static struct upcall_account *account_find(struct user_namespace *ns, kuid_t uid)
{
	struct upcall_account *account;

	spin_lock(&accounts_lock);
	account = account_find_locked(ns, uid);
	spin_unlock(&accounts_lock);
	return account;
}

/* Adds @new, or finds that another thread was faster: then @new is freed. */
static struct upcall_account *account_add(struct upcall_account *new)
{
	struct upcall_account *account;

	spin_lock(&accounts_lock);
	account = account_find_locked(new->ns, new->uid);
	if (!account) {
		new->id = ++accounts_last_id;
		hash_add(accounts, &new->link, account_hash(new->ns, new->uid));
	}
	spin_unlock(&accounts_lock);
	if (!account)
		return new;
	put_user_ns(new->ns);
	kfree(new);
	return account;
}

static struct upcall_account *account_get_one(struct user_namespace *ns, kuid_t uid)
{
	struct upcall_account *account = account_find(ns, uid);

	if (account)
		return account;
	account = kzalloc(sizeof(*account), GFP_KERNEL_ACCOUNT);
	if (!account)
		return NULL;
	refcount_set(&account->refs, 1);
	upcall_closer_init(&account->closer);
	account->uid = uid;
	account->ns = get_user_ns(ns);
	return account_add(account);
}

/* The parents are made first: nobody comes back from here with an account that has none. */
static struct upcall_account *account_get_chain(struct user_namespace *ns, kuid_t uid)
{
	struct upcall_account *parent = NULL, *account;
	struct user_namespace *level;
	int depth;

	/* One pass for each level from the top down: namespaces nest at most 32 deep. */
	for (depth = 0; depth <= ns->level; depth++) {
		kuid_t who = uid;

		for (level = ns; level->level > depth; level = level->parent)
			who = level->owner;
		account = account_get_one(level, who);
		if (!account) {
			upcall_account_put(parent);
			return NULL;
		}
		/* Set by whoever comes first; the others come with the same one. */
		if (parent && cmpxchg(&account->parent, NULL, parent))
			upcall_account_put(parent);
		parent = account;
	}
	return parent;
}

/**
 * upcall_account_get() - The account of a process's effective uid
 * @cred: Of that process.
 *
 * Context: Process context, may sleep.
 * Return: The account with a reference, or NULL: out of memory.
 */
struct upcall_account *upcall_account_get(const struct cred *cred)
{
	might_sleep();
	return account_get_chain(cred->user_ns, cred->euid);
}

/**
 * upcall_account_ref() - One more reference
 * @account: Which the caller has a reference to.
 *
 * Context: Any context.
 * Return: @account.
 */
struct upcall_account *upcall_account_ref(struct upcall_account *account)
{
	refcount_inc(&account->refs);
	return account;
}

/* True if this was the last reference; then it cannot be found any more. */
static bool account_unref(struct upcall_account *account)
{
	bool last;

	if (refcount_dec_not_one(&account->refs))
		return false;
	spin_lock(&accounts_lock);
	last = refcount_dec_and_test(&account->refs);
	if (last)
		hash_del(&account->link);
	spin_unlock(&accounts_lock);
	return last;
}

/**
 * upcall_account_put() - Drop a reference
 * @account: May be NULL.
 *
 * Context: Any context but interrupts; locks may be held. Takes accounts_lock.
 */
void upcall_account_put(struct upcall_account *account)
{
	while (account && account_unref(account)) {
		struct upcall_account *parent = account->parent;

		put_user_ns(account->ns);
		kfree(account);
		account = parent;
	}
}

/* The account with the lowest id above @id in a bucket, referenced, or NULL. */
static struct upcall_account *account_next_in(u32 bucket, u64 id)
{
	struct upcall_account *account, *next = NULL;

	spin_lock(&accounts_lock);
	hlist_for_each_entry(account, &accounts[bucket], link) {
		if (account->id > id && (!next || account->id < next->id))
			next = account;
	}
	if (next)
		refcount_inc(&next->refs);
	spin_unlock(&accounts_lock);
	return next;
}

/**
 * upcall_account_next() - Walk all accounts, for LIST
 * @cursor: 0 to begin, any value is safe; moved on. The bucket, and the last id in it: so
 *	no step holds the lock for longer than one bucket takes.
 *
 * Context: Process context, may sleep.
 * Return: An account with a reference, or NULL at the end.
 */
struct upcall_account *upcall_account_next(u64 *cursor)
{
	struct upcall_account *account;
	u64 bucket = *cursor >> ACCOUNT_ID_BITS, id = *cursor & ACCOUNT_ID_MASK;

	for (; bucket < HASH_SIZE(accounts); bucket++, id = 0) {
		account = account_next_in(bucket, id);
		if (account) {
			*cursor = bucket << ACCOUNT_ID_BITS | account->id;
			return account;
		}
		cond_resched();
	}
	return NULL;
}
