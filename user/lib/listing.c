// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A listing: LIST, a buffer at a time.
 */
#include <stdlib.h>
#include "internal.h"

#define LISTING_ROOM	(32U << 10)	/* bytes */

struct upcall_listing {
	struct upcall_peer *peer;	/* borrowed */
	struct upcall_list list;	/* as of the last command; count, cursor */
	uint32_t at;			/* records handed out of count */
	_Alignas(8) unsigned char buffer[LISTING_ROOM];
};

int upcall_listing_new(struct upcall_peer *peer, uint32_t what, uint32_t record_size,
		       struct upcall_listing **result)
{
	struct upcall_listing *listing;

	if (record_size < 8 || record_size > 4096 || record_size % 8)
		return -EINVAL;
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return -ENOMEM;
	listing->peer = peer;
	listing->list.size = sizeof(listing->list);
	listing->list.what = what;
	listing->list.record_size = record_size;
	listing->list.buffer = (uintptr_t)listing->buffer;
	listing->list.buffer_len = sizeof(listing->buffer);
	*result = listing;
	return 0;
}

int upcall_listing_next(struct upcall_listing *listing, const void **record)
{
	int err;

	if (listing->at == listing->list.count) {
		err = upcall_peer_control(listing->peer, UPCALL_IOC_LIST, &listing->list);
		if (err)
			return err;
		listing->at = 0;
		if (!listing->list.count)
			return 0;
	}
	*record = listing->buffer + (size_t)listing->at++ * listing->list.record_size;
	return 1;
}

void upcall_listing_free(struct upcall_listing *listing)
{
	free(listing);
}
