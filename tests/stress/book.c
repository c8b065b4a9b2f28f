// SPDX-License-Identifier: GPL-2.0-only
/* What is written down of each call, and whether it agrees with the promises. */
#include <stdarg.h>
#include <stdio.h>
#include "stress.h"

struct shared *shared;

/* One line, and the run has failed; the first few say enough. */
void complain(const char *format, ...)
{
	char text[200];
	va_list args;

	if (__atomic_fetch_add(&shared->wrong, 1, __ATOMIC_RELAXED) >= 20)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("wrong: %s\n", text);
	fflush(stdout);
}

/*
 * A new entry, before the call is made. False: the book is full for this round. Whoever is killed
 * in the middle of it (its first touch of a page is a fault) leaves it without a life: last.
 */
bool book_open(struct self *self, enum kind kind, uint64_t handle, uint64_t *number)
{
	uint32_t n = __atomic_fetch_add(&shared->calls, 1, __ATOMIC_RELAXED);

	if (n >= MAX_CALLS)
		return false;
	shared->book[n].handle = handle;
	shared->book[n].kind = kind;
	*number = n;
	__atomic_store_n(&shared->book[n].life, self->life, __ATOMIC_RELEASE);
	return true;
}

/* What the caller was told. */
void book_answer(uint64_t number, int err, uint32_t stage)
{
	struct entry *entry = &shared->book[number];

	entry->err = err;
	entry->stage = stage;
	__atomic_add_fetch(&entry->answers, 1, __ATOMIC_RELEASE);
}

/* The owner runs it. False: that is no call in the book. */
bool book_run(uint64_t number, uint64_t handle, uint64_t seq)
{
	struct entry *entry = &shared->book[number];

	if (number >= MAX_CALLS || entry->handle != handle) {
		complain("call %llu reached another callback", (unsigned long long)number);
		return false;
	}
	entry->seq = seq;
	__atomic_add_fetch(&entry->runs, 1, __ATOMIC_RELEASE);
	return true;
}

/* Whether what the caller was told is what the owner did. */
static bool entry_is_true(const struct entry *entry)
{
	switch (entry->stage) {
	case UPCALL_STAGE_NOT_DELIVERED:
		/* A notification without error is queued, and may run. */
		return (entry->kind == NOTIFICATION && !entry->err) || !entry->runs;
	case UPCALL_STAGE_DELIVERED:
		return entry->err && entry->kind != NOTIFICATION;
	case UPCALL_STAGE_REPLIED:
		return entry->runs && entry->kind != NOTIFICATION;
	default:
		return false;
	}
}

/**
 * book_in_order() - Whether a call is behind the last one of its caller to its callback
 * @table: Of ORDER_SLOTS; what was the last one of each such pair, or of another that fell on its
 *	place: then one comparison is missed.
 * @number: Of the call.
 * @what: Which is to increase: the number, or what its owner was told.
 */
bool book_in_order(struct order_of_pair *table, uint64_t number, uint64_t what)
{
	const struct entry *entry = &shared->book[number];
	uint32_t at = entry->handle * 0x9e3779b97f4a7c15ULL >> 40 ^ entry->life * 2654435761U;
	struct order_of_pair *pair = &table[at % ORDER_SLOTS], last = *pair;

	*pair = (struct order_of_pair){ entry->handle, what, entry->life };
	return last.handle != entry->handle || last.life != entry->life || last.what < what;
}

/* Calls of one caller to one callback were numbered in the order made. */
static void judge_order(uint32_t calls)
{
	struct order_of_pair *table = calloc(ORDER_SLOTS, sizeof(*table));
	uint32_t i;

	for (i = 0; table && i < calls; i++) {
		if (shared->book[i].seq && !book_in_order(table, i, shared->book[i].seq))
			complain("call %u has a lower number than one before it", i);
	}
	free(table);
}

/* Adds up the round. Calls of the killed, if they have no answer, are nobody's: not counted. */
bool book_judge(uint64_t *sent, uint64_t *answered, uint64_t *twice, uint64_t *lost)
{
	uint32_t calls = shared->calls < MAX_CALLS ? shared->calls : MAX_CALLS, i, open = 0;

	for (i = 0; i < calls; i++) {
		const struct entry *entry = &shared->book[i];

		if (entry->runs > 1 || entry->answers > 1) {
			complain("call %u: %u answers, ran %u times", i, entry->answers, entry->runs);
			++*twice;
		}
		if (!entry->answers && shared->cut_short[entry->life]) {
			open++;
			continue;
		}
		++*sent;
		if (entry->answers)
			++*answered;
		else
			++*lost;
		if (!entry->answers)
			complain("call %u, kind %u: no answer, ran %u times", i, entry->kind,
				 entry->runs);
		else if (!entry_is_true(entry))
			complain("call %u, kind %u: errno %u, stage %u, and ran %u times", i,
				 entry->kind, entry->err, entry->stage, entry->runs);
	}
	judge_order(calls);
	printf("stress: %u calls, %u of them left open by callers that were killed\n", calls, open);
	return !shared->wrong;
}
