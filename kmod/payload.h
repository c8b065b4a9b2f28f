/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_PAYLOAD_H
#define _UPCALL_PAYLOAD_H

#include <linux/gfp.h>
#include <linux/types.h>
#include "limits.h"

struct mem_cgroup;

/**
 * struct upcall_payload - The bytes of an argument or a reply
 * @len: In bytes, 0 to UPCALL_MAX_PAYLOAD. Says which of the others is in use.
 * @small: Up to UPCALL_SMALL_PAYLOAD bytes.
 * @paged: Not @block, but @pages.
 * @block: Above: one kmalloc block, up to UPCALL_MAX_BLOCK bytes, if there is one.
 * @pages: An array of single pages, the last one partly filled.
 *
 * Has no lock: whoever holds it alone may change it. Single pages rather than
 * vmalloc, whose unmapping interrupts every CPU.
 */
struct upcall_payload {
	u32 len;
	bool paged;
	union {
		u8 small[UPCALL_SMALL_PAYLOAD] __aligned(8);
		void *block;
		void **pages;
	};
};

int upcall_payload_from_user(struct upcall_payload *payload, u64 from, u32 len,
			     struct mem_cgroup *memcg, gfp_t gfp);
int upcall_payload_to_user(const struct upcall_payload *payload, void __user *to);
void upcall_payload_free(struct upcall_payload *payload);
void upcall_payload_move(struct upcall_payload *to, struct upcall_payload *from);

#endif /* _UPCALL_PAYLOAD_H */
