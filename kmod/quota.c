// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pays: what each uid has in use, in its user namespace and in those above.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include "limits.h"
#include "main.h"
#include "pool.h"
#include "quota.h"

static DEFINE_SPINLOCK(accounts_lock);
#define ACCOUNT_BUCKET_BITS	10
#define ACCOUNT_ID_BITS		(63 - ACCOUNT_BUCKET_BITS)
#define ACCOUNT_ID_MASK		((1ULL << ACCOUNT_ID_BITS) - 1)
static DEFINE_HASHTABLE(accounts, ACCOUNT_BUCKET_BITS);
static u64 accounts_last_id;

/* Callbacks of everybody. */
static atomic_long_t callbacks_total;

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

/* @n are in the total already. */
static __always_inline unsigned long account_limit(enum upcall_resource what, unsigned long used,
						   unsigned long n)
{
	u64 half;

	switch (what) {
	case UPCALL_CALLBACKS:
		half = upcall_half_of_left(READ_ONCE(upcall_max_callbacks),
					   atomic_long_read(&callbacks_total) - n, used);
		return min_t(u64, READ_ONCE(upcall_max_callbacks_user), half);
	case UPCALL_CALLS:
		return READ_ONCE(upcall_max_calls_user);
	case UPCALL_FDS:
		return UPCALL_CAP_FDS_USER;
	default:
		return READ_ONCE(upcall_max_bytes_user);
	}
}

/* Test and addition are one step: of two that both want the last place one gets it. */
static __always_inline bool account_charge_one(struct upcall_account *account,
					       enum upcall_resource what, unsigned long n,
					       unsigned long cap)
{
	long used = atomic_long_read(&account->used[what]);
	unsigned long limit;

	if (!n)
		return true;	/* also for one that is above its limit already */
	do {
		limit = min(account_limit(what, used, n), cap);
		if (n > limit || used > limit - n)
			return false;
	} while (!atomic_long_try_cmpxchg(&account->used[what], &used, used + n));
	return true;
}

static void account_uncharge_until(struct upcall_account *account, struct upcall_account *end,
				   enum upcall_resource what, unsigned long n)
{
	for (; account != end; account = account->parent)
		atomic_long_sub(n, &account->used[what]);
}

/**
 * upcall_charge() - Charge a uid, and the owners of its user namespaces
 * @account: Of the one who pays.
 * @what: Of which resource.
 * @n: How much.
 *
 * Context: Any context.
 * Return:
 * * 0		- drop it again with upcall_uncharge()
 * * -EDQUOT	- one of them has too much in use; nothing was charged
 * * -ENOSPC	- the registry is full (UPCALL_CALLBACKS)
 */
int upcall_charge(struct upcall_account *account, enum upcall_resource what, unsigned long n)
{
	return upcall_charge_within(account, what, n, ULONG_MAX);
}

/**
 * upcall_charge_within() - upcall_charge() with a limit of the one who pays
 * @account: Of the one who pays.
 * @what: Of which resource.
 * @n: How much.
 * @limit: The most that @account itself, not those above it, may have in use.
 *
 * Context: Any context.
 * Return: As upcall_charge().
 */
int upcall_charge_within(struct upcall_account *account, enum upcall_resource what,
			 unsigned long n, unsigned long limit)
{
	struct upcall_account *a;

	if (what == UPCALL_CALLBACKS &&
	    atomic_long_add_return(n, &callbacks_total) > READ_ONCE(upcall_max_callbacks)) {
		atomic_long_sub(n, &callbacks_total);
		return -ENOSPC;
	}
	for (a = account; a; a = a->parent) {
		if (!account_charge_one(a, what, n, a == account ? limit : ULONG_MAX)) {
			account_uncharge_until(account, a, what, n);
			if (what == UPCALL_CALLBACKS)
				atomic_long_sub(n, &callbacks_total);
			return -EDQUOT;
		}
	}
	return 0;
}

static void account_uncharge_call(struct upcall_account *account, struct upcall_account *end,
				  unsigned long bytes)
{
	for (; account != end; account = account->parent) {
		atomic_long_dec(&account->used[UPCALL_CALLS]);
		if (bytes)
			atomic_long_sub(bytes, &account->used[UPCALL_BYTES]);
	}
}

/**
 * upcall_charge_call() - Charge a uid for a call, and the owners of its user namespaces
 * @account: Of the one who pays.
 * @bytes: Of its argument and reply room.
 *
 * Context: Any context.
 * Return: 0, drop it again with upcall_uncharge_call(); or -EDQUOT, and nothing was charged.
 */
int upcall_charge_call(struct upcall_account *account, unsigned long bytes)
{
	struct upcall_account *a;

	for (a = account; a; a = a->parent) {
		if (!account_charge_one(a, UPCALL_CALLS, 1, ULONG_MAX))
			break;
		if (!account_charge_one(a, UPCALL_BYTES, bytes, ULONG_MAX)) {
			atomic_long_dec(&a->used[UPCALL_CALLS]);
			break;
		}
	}
	if (likely(!a))
		return 0;
	account_uncharge_call(account, a, bytes);
	return -EDQUOT;
}

/**
 * upcall_uncharge_call() - Undo upcall_charge_call()
 * @account: The same.
 * @bytes: The same.
 *
 * Context: Any context.
 */
void upcall_uncharge_call(struct upcall_account *account, unsigned long bytes)
{
	account_uncharge_call(account, NULL, bytes);
}

/**
 * upcall_charge_force() - Charge beyond every limit
 * @account: Of the one who pays.
 * @what: UPCALL_CALLS, UPCALL_BYTES or UPCALL_FDS.
 * @n: How much.
 *
 * For what a caller left behind with a slow owner: it exists already, so its new payer
 * cannot refuse it, but will be refused the next.
 *
 * Context: Any context.
 */
void upcall_charge_force(struct upcall_account *account, enum upcall_resource what,
			 unsigned long n)
{
	for (; account; account = account->parent)
		atomic_long_add(n, &account->used[what]);
}

/**
 * upcall_uncharge() - Undo upcall_charge()
 * @account: The same.
 * @what: The same.
 * @n: The same, or in parts that add up to it.
 *
 * Context: Any context.
 */
void upcall_uncharge(struct upcall_account *account, enum upcall_resource what, unsigned long n)
{
	account_uncharge_until(account, NULL, what, n);
	if (what == UPCALL_CALLBACKS)
		atomic_long_sub(n, &callbacks_total);
}

/**
 * upcall_account_swamped() - Whether an owner may take on more calls
 * @account: Of the owner.
 *
 * A call that its caller has left is its owner's, beyond every limit: two who work together
 * could pile up any number of them, and of the bytes that stay with those of an IDEMPOTENT
 * callback. So at twice the limit of either an owner receives no more.
 *
 * Context: Any context.
 * Return: True if it has to end some first.
 */
bool upcall_account_swamped(const struct upcall_account *account)
{
	long calls = 2L * READ_ONCE(upcall_max_calls_user);
	long bytes = 2L * READ_ONCE(upcall_max_bytes_user);

	for (; account; account = account->parent) {
		if (atomic_long_read(&account->used[UPCALL_CALLS]) >= calls ||
		    atomic_long_read(&account->used[UPCALL_BYTES]) >= bytes)
			return true;
	}
	return false;
}
