// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arguments that are copied once: the pages of a caller who waits are held, and the receiver
 * copies from them.
 *
 * What a process writes to its memory once it is back from INVOKE is nobody's business but its
 * own. So the pages are read only as long as the call has no answer, and under the lock that who
 * gives it one has to take:
 *
 *	receiver, for each step			caller, or whoever ends the call
 *	lock					lock
 *	if there is no answer: copy		answer
 *	unlock					unlock
 *						leave the kernel
 *
 * A caller who leaves without an answer, to come back for it, leaves a copy in place of the
 * pages. If one left in the middle of the receiver's copy, then that call is not received.
 *
 * In a step nothing sleeps: where a page of the receiver's is not there it is brought in between
 * two steps.
 *
 * The pages are referenced, and not pinned: nobody writes to them, and what a receiver reads is
 * what was there at some moment between submit and delivery, also if a fork or a write has given
 * the caller another page meanwhile. To pin them takes most of what the copy took that is saved.
 */
#include <linux/fault-inject-usercopy.h>
#include <linux/highmem.h>
#include <linux/instrumented.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include "borrowed.h"
#include "call.h"
#include "callback.h"
#include "main.h"
#include "peer.h"

static unsigned int borrowed_count(const struct upcall_payload *payload)
{
	return DIV_ROUND_UP(payload->offset + payload->len, PAGE_SIZE);
}

static struct page **borrowed_pages(struct upcall_payload *payload)
{
	return borrowed_count(payload) > ARRAY_SIZE(payload->few) ? payload->many : payload->few;
}

/* The first @n of them, and the array. */
static void borrowed_put(struct upcall_payload *payload, int n)
{
	struct page **pages = borrowed_pages(payload);

	while (n > 0)
		put_page(pages[--n]);
	if (pages != payload->few)
		kfree(pages);
	payload->borrowed = false;
	payload->len = 0;
}

/*
 * Pages that somebody may wait for cannot be held for as long as a call takes: those that are to
 * be moved when memory is unplugged, and those of a file that are memory of a device. Nor those of
 * hugetlbfs, of which the last process that has one mapped writes to it in place, whoever holds
 * it: a child that has unmapped it would pass on what its parent writes there.
 */
static bool borrowed_may_stay(struct page **pages, int n)
{
	while (n--) {
		if (page_zonenum(pages[n]) >= ZONE_MOVABLE || PageHuge(pages[n]))
			return false;
	}
	return true;
}

/* Takes what is there as it is: a fault in here could not be interrupted. How many. */
static int borrowed_get(struct page **pages, int n, unsigned long from)
{
	return get_user_pages_fast(from, n, FOLL_NOFAULT, pages);
}

/**
 * upcall_borrowed_take() - Let a payload be pages of the calling process
 * @payload: Empty, or all zeros; left empty if that fails.
 * @from: User address as it stands in an ioctl's struct.
 * @len: In bytes, UPCALL_BORROW_MIN to UPCALL_MAX_PAYLOAD.
 *
 * Context: Process context, may sleep and fault.
 * Return: True if so; false if it is to be copied, or there is nothing to read.
 */
bool upcall_borrowed_take(struct upcall_payload *payload, u64 from, u32 len)
{
	const char __user *user = u64_to_user_ptr(from);
	unsigned long start = (unsigned long)user;
	struct page **pages;
	int n, got;

	might_sleep();
	if (!access_ok(user, len))
		return false;
	payload->len = len;
	payload->borrowed = true;
	payload->offset = offset_in_page(start);
	n = borrowed_count(payload);
	if (n > ARRAY_SIZE(payload->few))
		payload->many = kmalloc_array(n, sizeof(struct page *), GFP_KERNEL_ACCOUNT);
	pages = borrowed_pages(payload);
	got = pages ? borrowed_get(pages, n, start) : 0;
	if (unlikely(pages && got != n)) {
		/* Then as any read does, so that death can interrupt it. */
		while (got > 0)
			put_page(pages[--got]);
		got = fault_in_readable(user, len) ? 0 : borrowed_get(pages, n, start);
	}
	if (likely(got == n && borrowed_may_stay(pages, n)))
		return true;
	borrowed_put(payload, got);
	return false;
}

/**
 * upcall_borrowed_free() - Give the pages back
 * @payload: Borrowed; empty afterwards.
 *
 * Context: Any context but hard interrupts.
 */
void upcall_borrowed_free(struct upcall_payload *payload)
{
	borrowed_put(payload, borrowed_count(payload));
}

/*
 * From byte @at on, up to @most of them, as far as that goes without a fault: how many. A page that
 * a process has mapped is no object whose bounds hardened usercopy could check.
 */
static u32 borrowed_copy(struct upcall_payload *payload, u32 at, char __user *to, u32 most)
{
	struct page **pages = borrowed_pages(payload);
	u32 done = 0, from, len, left = 0;
	char *page;

	pagefault_disable();
	while (done < most && !left) {
		from = payload->offset + at + done;
		len = min_t(u32, most - done, PAGE_SIZE - offset_in_page(from));
		if (should_fail_usercopy())
			break;
		page = kmap_local_page(pages[from / PAGE_SIZE]);
		instrument_copy_to_user(to + done, page + offset_in_page(from), len);
		left = raw_copy_to_user(to + done, page + offset_in_page(from), len);
		kunmap_local(page);
		done += len - left;
	}
	pagefault_enable();
	return done;
}

/* Some of the argument, from @at on, which is moved on. 1: it is in a buffer. */
static int borrowed_step(struct upcall_call *call, char __user *to, u32 *at)
{
	struct upcall_peer *owner = call->cb->peer;
	u32 most = min_t(u32, call->arg_len - *at, UPCALL_BORROW_STEP), done = 0;
	int ret = 0;

	spin_lock(&owner->lock);
	if (!call->arg.borrowed)
		ret = 1;
	else if (call->answered)
		ret = -ECANCELED;
	else
		done = borrowed_copy(&call->arg, *at, to + *at, most);
	spin_unlock(&owner->lock);
	*at += done;
	if (ret || done == most)
		return ret;
	if (fatal_signal_pending(current))
		return -EFAULT;
	return clear_user(to + *at, min_t(u32, most - done, PAGE_SIZE)) ? -EFAULT : 0;
}

/**
 * upcall_borrowed_to_user() - Copy an argument that may be borrowed to its receiver
 * @call: TAKEN by the calling process.
 * @to: At least @call->arg_len bytes.
 *
 * Context: Process context, may fault.
 * Return: 0; -EFAULT; or -ECANCELED: its caller has left, and its bytes cannot be had any more.
 */
int upcall_borrowed_to_user(struct upcall_call *call, char __user *to)
{
	u32 at = 0;
	int ret;

	might_sleep();
	if (!access_ok(to, call->arg_len))
		return -EFAULT;
	do {
		ret = borrowed_step(call, to, &at);
		cond_resched();
	} while (!ret && at < call->arg_len);
	/* What is in a buffer stays there, and nobody else changes it before it is delivered. */
	return ret > 0 ? upcall_payload_to_user(&call->arg, to) : ret;
}

/* Whether a receiver has it still to read. */
static bool borrowed_is_owed_locked(const struct upcall_call *call)
{
	lockdep_assert_held(&call->cb->peer->lock);
	return call->state < UPCALL_DELIVERED && call->arg.borrowed;
}

/**
 * upcall_borrowed_leave() - The caller is to go on before its call is answered
 * @call: Submitted by the calling thread, which waits for it.
 * @from: The argument, if the thread has not left before. It is read once more.
 *
 * Context: Process context, may sleep and fault.
 * Return: 0: the pages are not read any more; -ENOMEM or -EFAULT: they are.
 */
int upcall_borrowed_leave(struct upcall_call *call, u64 from)
{
	struct upcall_peer *owner = call->cb->peer;
	struct upcall_payload copy = {};
	bool owed;
	int err;

	if (call->arg_len < UPCALL_BORROW_MIN)
		return 0;
	spin_lock(&owner->lock);
	owed = borrowed_is_owed_locked(call);
	spin_unlock(&owner->lock);
	if (!owed)
		return 0;
	err = upcall_payload_from_user(&copy, from, call->arg_len, NULL, GFP_KERNEL_ACCOUNT, NULL);
	if (err)
		return err;
	spin_lock(&owner->lock);
	if (borrowed_is_owed_locked(call))
		swap(call->arg, copy);
	spin_unlock(&owner->lock);
	upcall_payload_free(&copy);
	return 0;
}
