/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_PAYLOAD_H
#define _UPCALL_PAYLOAD_H

#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/types.h>
#include "limits.h"

struct mem_cgroup;
struct page;

/**
 * struct upcall_block - A block that is kept for the next payload
 * @at: From kmalloc; NULL: none.
 * @room: In bytes, at most UPCALL_MAX_BLOCK.
 */
struct upcall_block {
	void *at;
	u32 room;
};

/**
 * struct upcall_payload - The bytes of an argument or a reply
 * @len: In bytes, 0 to UPCALL_MAX_PAYLOAD. Says which of the others is in use.
 * @small: Up to UPCALL_SMALL_PAYLOAD bytes.
 * @paged: Not @block, but @pages.
 * @borrowed: Not @block, but pages of the process that gave it: see borrowed.c.
 * @offset: Where it begins in the first one of those.
 * @block: Above: one block, if there is one.
 * @pages: An array of single pages, the last one partly filled.
 * @few: Borrowed pages, if they are no more than that.
 * @many: An array of them, if they are.
 *
 * Has no lock: whoever holds it alone may change it. Single pages rather than
 * vmalloc, whose unmapping interrupts every CPU.
 */
struct upcall_payload {
	u32 len;
	bool paged;
	bool borrowed;
	u16 offset;
	union {
		u8 small[UPCALL_SMALL_PAYLOAD] __aligned(8);
		struct upcall_block block;
		void **pages;
		struct page *few[UPCALL_MAX_BLOCK / PAGE_SIZE + 1];
		struct page **many;
	};
};

int upcall_payload_from_user(struct upcall_payload *payload, u64 from, u32 len,
			     struct mem_cgroup *memcg, gfp_t gfp, struct upcall_block *spare);
int upcall_payload_try_from_user(struct upcall_payload *payload, u64 from, u32 len);
int upcall_payload_to_user(const struct upcall_payload *payload, void __user *to);
void upcall_payload_free(struct upcall_payload *payload);
void upcall_payload_keep(struct upcall_payload *payload, struct upcall_block *spare);
void upcall_payload_move(struct upcall_payload *to, struct upcall_payload *from);

#endif /* _UPCALL_PAYLOAD_H */
