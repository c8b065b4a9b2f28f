// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pays: what each uid has in use, charged to it and to the owners of its user namespaces.
 */
#include <linux/atomic.h>
#include <linux/spinlock.h>
#include "account.h"
#include "limits.h"
#include "main.h"
#include "pool.h"
#include "quota.h"

/* Callbacks of everybody. They become more, as those of an account, only under the lock. */
static DEFINE_SPINLOCK(callbacks_lock);
static atomic_long_t callbacks_total;

static __always_inline unsigned long account_limit(enum upcall_resource what)
{
	switch (what) {
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
	unsigned long limit = min(account_limit(what), cap);

	if (!n)
		return true;	/* also for one that is above its limit already */
	do {
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
 * @what: Of which resource; for UPCALL_CALLBACKS there is upcall_charge_callback().
 * @n: How much.
 *
 * Context: Any context.
 * Return:
 * * 0		- drop it again with upcall_uncharge()
 * * -EDQUOT	- one of them has too much in use; nothing was charged
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

	for (a = account; a; a = a->parent) {
		if (!account_charge_one(a, what, n, a == account ? limit : ULONG_MAX)) {
			account_uncharge_until(account, a, what, n);
			return -EDQUOT;
		}
	}
	return 0;
}

/* Half of what the others have left of the registry, for each uid. */
static int callback_error_locked(const struct upcall_account *account)
{
	unsigned long max = READ_ONCE(upcall_max_callbacks);
	unsigned long max_user = READ_ONCE(upcall_max_callbacks_user);
	unsigned long all = atomic_long_read(&callbacks_total);

	lockdep_assert_held(&callbacks_lock);
	if (all >= max)
		return -ENOSPC;
	for (; account; account = account->parent) {
		unsigned long used = atomic_long_read(&account->used[UPCALL_CALLBACKS]);

		if (used >= max_user || used >= upcall_half_of_left(max, all, used))
			return -EDQUOT;
	}
	return 0;
}

/**
 * upcall_charge_callback() - Charge a uid for a callback, and the owners of its user namespaces
 * @account: Of the one who pays.
 *
 * What a uid may have depends on what all have. So test and addition are one step for all uids: an
 * attempt that is refused is counted for no instant, and a flood of them takes nothing from others.
 *
 * Context: Process context. Takes callbacks_lock.
 * Return:
 * * 0		- drop it again with upcall_uncharge_callback()
 * * -EDQUOT	- one of them has too many; nothing was charged
 * * -ENOSPC	- the registry is full
 */
int upcall_charge_callback(struct upcall_account *account)
{
	int err;

	spin_lock(&callbacks_lock);
	err = callback_error_locked(account);
	if (!err) {
		atomic_long_inc(&callbacks_total);
		upcall_charge_force(account, UPCALL_CALLBACKS, 1);
	}
	spin_unlock(&callbacks_lock);
	return err;
}

/**
 * upcall_uncharge_callback() - Undo upcall_charge_callback()
 * @account: The same.
 *
 * Who looks meanwhile, and sees one of the two, refuses nothing that was not refused before.
 *
 * Context: Any context.
 */
void upcall_uncharge_callback(struct upcall_account *account)
{
	upcall_uncharge(account, UPCALL_CALLBACKS, 1);
	atomic_long_dec(&callbacks_total);
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
 * @what: Of which resource.
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
