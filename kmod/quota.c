// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who pays: what each uid has in use, charged to it and to the owners of its user namespaces.
 */
#include <linux/atomic.h>
#include "account.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "pool.h"
#include "quota.h"

/* Callbacks of everybody. */
static atomic_long_t callbacks_total;

/* @n are in the total of callbacks already. */
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

/* What upcall_charge_callback() would say now. */
static int account_callback_error(struct upcall_account *account)
{
	if (atomic_long_read(&callbacks_total) >= READ_ONCE(upcall_max_callbacks))
		return -ENOSPC;
	for (; account; account = account->parent) {
		unsigned long used = atomic_long_read(&account->used[UPCALL_CALLBACKS]);

		if (used >= account_limit(UPCALL_CALLBACKS, used, 0))
			return -EDQUOT;
	}
	return 0;
}

/**
 * upcall_charge_callback() - Charge a uid for a callback, and the owners of its user namespaces
 * @account: Of the one who pays.
 *
 * What a uid may have depends on what all have. So it is looked at before anything is counted: a
 * flood of attempts that are refused takes nothing from others, not for an instant.
 *
 * Context: Process context.
 * Return:
 * * 0		- drop it again with upcall_uncharge_callback()
 * * -EDQUOT	- one of them has too many; nothing was charged
 * * -ENOSPC	- the registry is full
 */
int upcall_charge_callback(struct upcall_account *account)
{
	int err = account_callback_error(account);

	if (err)
		return err;
	UPCALL_HOOK(counting);
	if (atomic_long_inc_return(&callbacks_total) > READ_ONCE(upcall_max_callbacks))
		err = -ENOSPC;
	UPCALL_HOOK(counted);
	if (!err)
		err = upcall_charge(account, UPCALL_CALLBACKS, 1);
	if (err)
		atomic_long_dec(&callbacks_total);
	return err;
}

/**
 * upcall_uncharge_callback() - Undo upcall_charge_callback()
 * @account: The same.
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
