/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Owners and callers that do everything at random, and a book of every call: what its caller
 * was told, and what its owner did. In the end the book must agree with the promises.
 *
 *	stress.c	starts and kills processes, round by round
 *	owner.c		takes calls, and ends callbacks and itself
 *	caller.c	calls in every way
 *	book.c		what is written down, and judged
 */
#ifndef STRESS_H
#define STRESS_H

#include "../selftests/upcall_test.h"

#define OWNERS		8
#define CALLERS		16
#define SLOTS		4		/* callbacks of one owner */
#define OWNER_THREADS	2
#define MAX_CALLS	(1U << 20)	/* of one round */
#define MAX_LIVES	(1U << 16)	/* processes and threads that ever called in one round */
#define ROUND_S		20

enum kind { SYNC, ASYNC, NOTIFICATION };

/**
 * struct entry - One call in the book
 * @handle: What was called.
 * @seq: Of the callback, as its owner was told; 0: it was not.
 * @life: Who called.
 * @kind: How.
 * @answers: How often its caller was answered.
 * @stage: As the caller was told.
 * @runs: How often it ran.
 * @err: The errno.
 */
struct entry {
	uint64_t handle;
	uint64_t seq;
	uint32_t life;
	uint8_t kind;
	uint8_t answers;
	uint8_t stage;
	uint8_t runs;
	uint32_t err;
};

/* Shared by all processes. */
struct shared {
	uint64_t seed;
	bool stop_callers, stop_owners;
	uint32_t calls;			/* entries in use */
	uint32_t lives;
	uint32_t wrong;			/* what was seen at once to be wrong */
	bool cut_short[MAX_LIVES];	/* killed, or left with calls open */
	uint32_t order[OWNERS];		/* what the owner is to do: enum order */
	uint64_t handles[OWNERS][SLOTS];
	struct entry book[MAX_CALLS];
};

enum order { STAY, SHUT_DOWN, LEAVE };

/* The last call of one caller to one callback. */
struct order_of_pair {
	uint64_t handle;
	uint64_t what;
	uint32_t life;
};

#define ORDER_SLOTS	16384U

/* Where in a round one thread stands. */
struct self {
	uint64_t random;
	uint32_t life;
	int fd;
	int owner;	/* its number, or -1: a caller */
};

extern struct shared *shared;

/* --- book.c --- */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool book_open(struct self *self, enum kind kind, uint64_t handle, uint64_t *number);
void book_answer(uint64_t number, int err, uint32_t stage);
bool book_run(uint64_t number, uint64_t handle, uint64_t seq);
bool book_in_order(struct order_of_pair *table, uint64_t number, uint64_t what);
bool book_judge(uint64_t *sent, uint64_t *answered, uint64_t *twice, uint64_t *lost);

/* --- owner.c, caller.c --- */
struct life {
	uint32_t id;	/* of its first thread; the others follow */
	int number;
};

int owner_run(void *life);
int caller_run(void *life);
void call_and_wait(struct self *self, uint64_t handle, uint64_t parent);

/* splitmix64: the same seed, the same decisions (if not the same interleavings) */
static inline uint64_t draw(struct self *self)
{
	uint64_t z = (self->random += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* True @percent times out of a hundred. */
static inline bool chance(struct self *self, unsigned int percent)
{
	return draw(self) % 100 < percent;
}

static inline struct self self_make(uint32_t life, int owner)
{
	return (struct self){
		.random = shared->seed ^ (uint64_t)(life + 1) << 32, .life = life, .owner = owner,
	};
}

static inline bool stopped(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

#endif /* STRESS_H */
