/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The race matrix: a call is brought to a state and held there, then something befalls it, and
 * then it goes on. Each cell of states and events is forced, by the module's delay points or
 * by a state that lasts; what it must come to stands in a table, of struct cell.
 *
 * An owner and a caller are processes. The owner's order book is its first thread; what is to be
 * held in the kernel is done by a second one.
 */
#ifndef RACE_H
#define RACE_H

#include <pthread.h>
#include <stdarg.h>
#include "hook.h"
#include "kselftest.h"
#include "trace.h"

/* Rows of a table leave @none out. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define OLD_COOKIE	1
#define NEW_COOKIE	2

enum state {
	NO_ROOM,	/* it waits for room in the queue: INVOKE only */
	NOT_QUEUED,	/* made, known to its caller's peer, and not queued */
	QUEUED,
	TAKEN,		/* a receiver has it, and has not copied it */
	COPIED,		/* copied out, and the receiver has not left */
	DELIVERED,
	REPLYING,	/* the reply's bytes are read, the call was not looked at again */
	REPLIED,	/* answered, and the caller has not collected it */
	COLLECTING,	/* a RESULT is copied to the caller, who has not left: asynchronous only */
	STATES
};

enum event {
	CALLER_KILLED,
	CALLER_SIGNALLED,	/* a handler runs */
	DEADLINE,
	CANCELLED,
	OWNER_KILLED,
	OWNER_CLOSES,
	OWNER_EXECS,
	OWNER_SHUTS_DOWN,
	RELEASED,
	ABORTED,		/* RELEASE with ABORT */
	REBOUND,
	QUOTA_HIT,		/* by another call: that one is refused */
	EVENTS
};

static const char * const state_names[STATES] = {
	"no room", "not queued", "queued", "taken", "copied", "delivered", "replying", "replied", "collecting",
};

static const char * const event_names[EVENTS] = {
	"caller SIGKILL", "caller signal", "deadline", "cancel", "owner SIGKILL", "owner close",
	"owner exec", "owner SHUTDOWN", "RELEASE close", "RELEASE abort", "REBIND", "quota hit",
};

/* Instead of an errno. */
#define DIES	(-1)	/* the caller is dead: the stage is what the kernel noted at the end */
#define NOT	(-2)	/* nobody asks */

/**
 * struct cell - What a race must come to
 * @state: Of the call when it happens.
 * @event: What.
 * @answer: The errno that the caller is told, 0: the reply.
 * @stage: Beside it.
 * @again: The errno when the caller comes back to the call.
 * @owner: What the owner is handed in the end: C the CALL, c the same with the new cookie,
 *	X CANCEL, R RELEASED.
 * @reply: The errno of its REPLY.
 * @none: Why there is no such race; nothing else counts then.
 */
struct cell {
	enum state state;
	enum event event;
	int answer;
	uint32_t stage;
	int again;
	const char *owner;
	int reply;
	const char *none;
};

/* What the threads of the owner's process leave behind. */
struct race_notes {
	char seen[32];		/* events, by letter */
	uint64_t call;		/* of the CALL */
	int received;
	int replied;
	bool receive_done;
	bool reply_done;

	/* Of the caller, if its call is asynchronous. */
	struct upcall_event_result result;
	char bytes[64];		/* of the reply */
	int listened;		/* what its wait for the RESULT returned */
	bool listen_done;
};

struct race {
	const struct cell *cell;
	const struct way *way;
	struct puppet owner, caller, other;
	uint64_t handle;
	uint64_t deadline;	/* of the call, CLOCK_MONOTONIC; 0: none */
	const char *held;	/* where somebody stops, or NULL */
	bool answered;
	bool listening;		/* the caller waits for the RESULT of an asynchronous call */
	int answer;		/* an errno, or DIES */
	uint32_t stage;
	uint32_t reason;
	int again;
	int wrong;		/* how much differed from the table */
	bool late;		/* the deadline passed before the state was reached */
};

/**
 * struct way - How a call is made, and its answer got
 * @name: For people.
 * @begin: Makes it. Returns when it is on its way to be QUEUED, or to be held before.
 * @listen: The caller waits for its answer, if it does not do so by itself.
 * @answer_is_held: The DELIVERED call is replied, and its answer not collected.
 * @collect: Waits for the answer, into @answer, @stage and @reason.
 * @again: Comes back to the call: an errno.
 * @cancel: CANCEL, by the caller, which must succeed.
 * @expired: NULL, or waits until the deadline of a call that is held has done its work.
 * @dead: The errno with which a call ends whose caller died.
 */
struct way {
	const char *name;
	bool (*begin)(struct race *race);
	bool (*listen)(struct race *race);
	bool (*answer_is_held)(struct race *race, const char *point);
	void (*collect)(struct race *race);
	int (*again)(struct race *race);
	bool (*cancel)(struct race *race);
	bool (*expired)(struct race *race);
	int dead;
};

static struct race_notes *notes;
static struct trace race_trace;

static inline void wrong(struct race *race, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ksft_print_msg("%s\n", text);
	race->wrong++;
}

/* Says what went wrong where it did. */
#define must(race, cond) ({							\
	bool _held = (cond);							\
	if (!_held)								\
		wrong(race, "line %d: " #cond, __LINE__);			\
	_held;									\
})

/* --- what the owner does ---------------------------------------------------------- */

static char owner_buf[65536] __attribute__((aligned(8)));

/* What fills the queue is a notification that needs no end. */
static inline void note_call(const struct upcall_event_call *call)
{
	if (!(call->flags & UPCALL_CALL_ENDED))
		notes->call = call->call;
}

static inline void note_events(const char *buf, uint32_t used)
{
	const struct upcall_event *event;
	size_t n = strlen(notes->seen);
	uint32_t at;
	char letter;

	for (at = 0; at < used && n + 1 < sizeof(notes->seen); at += event->size) {
		event = (const void *)(buf + at);
		letter = event->type == UPCALL_EVENT_CANCEL ? 'X' :
			 event->type == UPCALL_EVENT_RELEASED ? 'R' :
			 event->type != UPCALL_EVENT_CALL ? '?' :
			 event->cookie == OLD_COOKIE ? 'C' : 'c';
		if (letter == 'C' || letter == 'c')
			note_call((const void *)event);
		notes->seen[n++] = letter;
	}
}

static inline int receive_into(void *buf, uint32_t flags)
{
	struct upcall_exchange out = { 0 };
	int err = receive(my_peer, buf, sizeof(owner_buf), 1, flags, &out);

	if (!err)
		note_events(owner_buf, out.events_used);
	return err;
}

static inline int owner_receive(struct puppet_mem *mem)
{
	(void)mem;
	return receive_into(owner_buf, 0);
}

static inline void *receiver_main(void *to)
{
	notes->received = receive_into(to, 0);
	__atomic_store_n(&notes->receive_done, true, __ATOMIC_RELEASE);
	return NULL;
}

static inline int start_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, fn, arg);
}

static inline int owner_start_receiver(struct puppet_mem *mem)
{
	(void)mem;
	memset(owner_buf, 0, sizeof(owner_buf));	/* it is there: no copy to it faults */
	return start_thread(receiver_main, owner_buf);
}

/* Into memory that there is not. */
static inline int owner_start_faulting(struct puppet_mem *mem)
{
	(void)mem;
	return start_thread(receiver_main, (void *)8);
}

static inline void owner_has_replied(int replied)
{
	notes->replied = replied;
	__atomic_store_n(&notes->reply_done, true, __ATOMIC_RELEASE);
}

static inline int owner_reply(struct puppet_mem *mem)
{
	(void)mem;
	owner_has_replied(reply(my_peer, notes->call, 7, "answer", 6));
	return 0;
}

static inline void *replier_main(void *arg)
{
	(void)arg;
	owner_has_replied(reply_from_afar(my_peer, notes->call, 7, "answer"));
	return NULL;
}

static inline int owner_start_replier(struct puppet_mem *mem)
{
	return start_thread(replier_main, mem);
}

/* Its own queue, of AUTOEND callbacks. */
static inline int owner_fill(struct puppet_mem *mem)
{
	mem->inv = INVOKE_ARGS(mem->handle, .flags = UPCALL_INVOKE_ONEWAY |
			       UPCALL_INVOKE_NO_DEADLINE);
	return do_invoke(mem);
}

/* All that there is; a reply, if it is still owed; and what comes of that. */
static inline int owner_drain(struct puppet_mem *mem)
{
	int i;

	for (i = 0; i < 2; i++) {
		while (!receive_into(owner_buf, UPCALL_EXCHANGE_NONBLOCK))
			;
		if (!notes->call || notes->reply_done)
			break;
		owner_reply(mem);
	}
	return 0;
}

/* @mem->value: its flags. */
static inline int owner_release(struct puppet_mem *mem)
{
	return release(my_peer, mem->handle, mem->value);
}

static inline int owner_rebind(struct puppet_mem *mem)
{
	struct upcall_rebind args = {
		.size = sizeof(args), .handle = mem->handle, .cookie = NEW_COOKIE,
	};

	return verb(my_peer, UPCALL_IOC_REBIND, &args);
}

static inline int owner_exec(struct puppet_mem *mem)
{
	(void)mem;
	stay_mortal();
	execl("/bin/sleep", "sleep", "1000", NULL);
	return -errno;
}

static inline bool receive_done(void)
{
	return __atomic_load_n(&notes->receive_done, __ATOMIC_ACQUIRE);
}

static inline bool reply_done(void)
{
	return __atomic_load_n(&notes->reply_done, __ATOMIC_ACQUIRE);
}

/* --- who is held -------------------------------------------------------------------- */

/* A thread that is held cannot answer, or die, before it goes on. */
static inline bool caller_is_held(const struct race *race)
{
	return race->held && (race->cell->state == NOT_QUEUED || race->cell->state == REPLIED ||
			      race->cell->state == COLLECTING);
}

static inline bool owner_is_held(const struct race *race)
{
	return race->held && !caller_is_held(race);
}

static inline bool owner_lives(const struct race *race)
{
	return race->cell->event != OWNER_KILLED && race->cell->event != OWNER_EXECS;
}

#endif /* RACE_H */
