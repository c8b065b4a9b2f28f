// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes from one process to the other, through a kernel buffer in the caller's memory cgroup; but
 * for what is read from the caller's own pages, see borrowed.c.
 */
#include <linux/sched/mm.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "borrowed.h"
#include "main.h"
#include "payload.h"

static unsigned int payload_pages(u32 len)
{
	return DIV_ROUND_UP(len, PAGE_SIZE);
}

/* How many bytes the piece number @i has: all, or at most a page. */
static u32 piece_len(const struct upcall_payload *payload, unsigned int i)
{
	return payload->paged ? min_t(u32, payload->len - i * PAGE_SIZE, PAGE_SIZE) : payload->len;
}

static unsigned int payload_pieces(const struct upcall_payload *payload)
{
	return payload->paged ? payload_pages(payload->len) : 1;
}

static void *payload_piece(const struct upcall_payload *payload, unsigned int i)
{
	return payload->paged ? payload->pages[i] : payload->block.at;
}

static int payload_alloc_pages(struct upcall_payload *payload, gfp_t gfp)
{
	unsigned int i, n = payload_pages(payload->len);

	payload->pages = kmalloc_array(n, sizeof(void *), gfp);
	if (!payload->pages)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		payload->pages[i] = (void *)__get_free_page(gfp);
		if (!payload->pages[i])
			goto out_free;
	}
	return 0;

out_free:
	while (i--)
		free_page((unsigned long)payload->pages[i]);
	kfree(payload->pages);
	return -ENOMEM;
}

/* Of several pages in a row there may be none, and that is no reason to look long. */
static gfp_t payload_block_gfp(u32 len, gfp_t gfp)
{
	if (len <= PAGE_SIZE)
		return gfp;
	return (gfp | __GFP_NORETRY | __GFP_NOWARN) & ~__GFP_DIRECT_RECLAIM;
}

static bool payload_take(struct upcall_payload *payload, u32 len, struct upcall_block *spare)
{
	if (!spare || spare->room < len)
		return false;
	payload->len = len;
	payload->paged = false;
	payload->borrowed = false;
	payload->block = *spare;
	*spare = (struct upcall_block){};
	return true;
}

static int payload_alloc(struct upcall_payload *payload, u32 len, struct mem_cgroup *memcg,
			 gfp_t gfp)
{
	struct mem_cgroup *old = set_active_memcg(memcg);
	int err = 0;

	payload->len = len;
	payload->paged = false;
	payload->borrowed = false;
	payload->block = (struct upcall_block){ .room = len };
	if (len <= UPCALL_MAX_BLOCK)
		payload->block.at = kmalloc(len, payload_block_gfp(len, gfp));
	if (!payload->block.at && len > PAGE_SIZE) {
		payload->paged = true;
		err = payload_alloc_pages(payload, gfp);
	} else if (!payload->block.at) {
		err = -ENOMEM;
	}
	set_active_memcg(old);
	if (err)
		payload->len = 0;
	return err;
}

/*
 * Words between two user_access_*(): a few bytes are not worth the calls, and the checks that
 * hardened usercopy makes for a length that the compiler does not know. @payload->small has
 * room for the last word as a whole. Pointers, not arrays: nothing that checks an index may be
 * called there.
 */
static noinline int payload_read_small(struct upcall_payload *payload, const void __user *from,
				       u32 len)
{
	const u64 __user *words = from;
	u8 *bytes = payload->small;
	u64 *to = (u64 *)bytes;
	u32 i, n = len / 8;

	if (!user_read_access_begin(from, len))
		return -EFAULT;
	for (i = 0; i < n; i++)
		unsafe_get_user(to[i], words + i, out_fault);
	for (i = n * 8; i < len; i++)
		unsafe_get_user(bytes[i], (const u8 __user *)from + i, out_fault);
	user_read_access_end();
	payload->len = len;
	return 0;

out_fault:
	user_read_access_end();
	return -EFAULT;
}

static noinline int payload_write_small(const struct upcall_payload *payload, void __user *to)
{
	const u8 *bytes = payload->small;
	const u64 *from = (const u64 *)bytes;
	u64 __user *words = to;
	u32 i, n = payload->len / 8;

	if (!user_write_access_begin(to, payload->len))
		return -EFAULT;
	for (i = 0; i < n; i++)
		unsafe_put_user(from[i], words + i, out_fault);
	for (i = n * 8; i < payload->len; i++)
		unsafe_put_user(bytes[i], (u8 __user *)to + i, out_fault);
	user_write_access_end();
	return 0;

out_fault:
	user_write_access_end();
	return -EFAULT;
}

/**
 * upcall_payload_from_user() - Fill an empty payload from the calling process
 * @payload: Uninitialised or empty; on failure it is left empty.
 * @from: User address as it stands in an ioctl's struct.
 * @len: In bytes, at most UPCALL_MAX_PAYLOAD.
 * @memcg: Who is charged for the buffer; NULL: the calling process. Only for the buffer: what
 *	faults in while the bytes are read is the calling process's.
 * @gfp: For the buffer, with __GFP_ACCOUNT.
 * @spare: Taken instead of a new one, if it has room: then it is empty. May be NULL.
 *
 * Context: Process context, may sleep and fault.
 * Return: 0, -ENOMEM or -EFAULT.
 */
int upcall_payload_from_user(struct upcall_payload *payload, u64 from, u32 len,
			     struct mem_cgroup *memcg, gfp_t gfp, struct upcall_block *spare)
{
	const void __user *user = u64_to_user_ptr(from);
	unsigned int i;
	int err;

	payload->len = 0;
	if (!len)
		return 0;
	if (len <= UPCALL_SMALL_PAYLOAD) {
		might_fault();
		return payload_read_small(payload, user, len);
	}
	might_sleep();
	err = payload_take(payload, len, spare) ? 0 : payload_alloc(payload, len, memcg, gfp);
	if (err)
		return err;
	for (i = 0; i < payload_pieces(payload); i++) {
		if (copy_from_user(payload_piece(payload, i), user + i * PAGE_SIZE,
				   piece_len(payload, i))) {
			upcall_payload_free(payload);
			return -EFAULT;
		}
	}
	return 0;
}

/**
 * upcall_payload_try_from_user() - Fill an empty payload, unless a page has to be fetched for that
 * @payload: Uninitialised or empty; on failure it is left empty.
 * @from: User address as it stands in an ioctl's struct.
 * @len: In bytes, at most UPCALL_SMALL_PAYLOAD.
 *
 * Context: Process context; locks may be held.
 * Return: 0, or -EFAULT: perhaps not with upcall_payload_from_user().
 */
int upcall_payload_try_from_user(struct upcall_payload *payload, u64 from, u32 len)
{
	int err = 0;

	payload->len = 0;
	if (len) {
		pagefault_disable();
		err = payload_read_small(payload, u64_to_user_ptr(from), len);
		pagefault_enable();
	}
	return err;
}

/**
 * upcall_payload_to_user() - Copy a payload out to the calling process
 * @payload: Not borrowed. Must not change meanwhile; it is left as it is.
 * @to: At least @payload->len bytes.
 *
 * Context: Process context, may fault.
 * Return: 0 or -EFAULT.
 */
int upcall_payload_to_user(const struct upcall_payload *payload, void __user *to)
{
	unsigned int i;

	if (!payload->len)
		return 0;
	if (payload->len <= UPCALL_SMALL_PAYLOAD) {
		might_fault();
		return payload_write_small(payload, to);
	}
	might_sleep();
	for (i = 0; i < payload_pieces(payload); i++) {
		if (copy_to_user(to + i * PAGE_SIZE, payload_piece(payload, i),
				 piece_len(payload, i)))
			return -EFAULT;
	}
	return 0;
}

/**
 * upcall_payload_free() - Free the buffers, or let go of the pages; the payload is empty then
 * @payload: Of any length, also empty.
 *
 * Context: Any context but hard interrupts.
 */
void upcall_payload_free(struct upcall_payload *payload)
{
	unsigned int i;

	if (payload->len > UPCALL_SMALL_PAYLOAD && payload->borrowed) {
		upcall_borrowed_free(payload);
	} else if (payload->len > UPCALL_SMALL_PAYLOAD && payload->paged) {
		for (i = 0; i < payload_pages(payload->len); i++)
			free_page((unsigned long)payload->pages[i]);
		kfree(payload->pages);
	} else if (payload->len > UPCALL_SMALL_PAYLOAD) {
		kfree(payload->block.at);
	}
	payload->len = 0;
}

/**
 * upcall_payload_keep() - Keep a block for the next payload
 * @payload: One block. Empty afterwards, if there was none with as much room.
 * @spare: Perhaps empty. What it had is in @payload then.
 *
 * Context: Any context.
 */
void upcall_payload_keep(struct upcall_payload *payload, struct upcall_block *spare)
{
	if (!payload->len || payload->block.room <= spare->room || !UPCALL_SPARE_BLOCK)
		return;
	swap(payload->block, *spare);
	if (!payload->block.at)
		payload->len = 0;
}

/**
 * upcall_payload_move() - Give the bytes to another payload
 * @to: Empty, or all zeros.
 * @from: Not borrowed. Empty afterwards.
 *
 * Context: Any context.
 */
void upcall_payload_move(struct upcall_payload *to, struct upcall_payload *from)
{
	if (from->len > UPCALL_SMALL_PAYLOAD) {
		to->paged = from->paged;
		to->block = from->block;	/* or pages: no longer than that */
	} else {
		memcpy(to->small, from->small, from->len);
	}
	to->len = from->len;
	from->len = 0;
}
