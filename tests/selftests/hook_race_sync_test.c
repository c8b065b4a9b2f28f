// SPDX-License-Identifier: GPL-2.0-only
/* Whatever befalls an INVOKE, wherever it stands: what its caller and its owner are told. */
#define _GNU_SOURCE
#include "race_run.h"

#define NEVER	UPCALL_STAGE_NOT_DELIVERED
#define MAYBE	UPCALL_STAGE_DELIVERED
#define RAN	UPCALL_STAGE_REPLIED

/*
 * CANCELLED: a thread that waits cannot CANCEL, so a handler has interrupted it before, with
 * EINTR, or its reply is kept, with EMSGSIZE; in the queue, it was put back there by a fault.
 * An owner that is killed while its reply is read has replied. What fills the queue is a
 * notification, the first C then.
 */
static const struct cell table[] = {
	/* where    what befalls it   told it is  and it  coming  the	 and its
	 *				      ran     back    owner  REPLY
	 *						      saw    gets
	 */
	{ NO_ROOM,    CALLER_KILLED,    DIES,       NEVER, NOT,    "C",   NOT },
	{ NO_ROOM,    CALLER_SIGNALLED, EINTR,      NEVER, NOT,    "C",   NOT },
	{ NO_ROOM,    DEADLINE,         ETIMEDOUT,  NEVER, NOT,    "C",   NOT },
	{ NO_ROOM, CANCELLED, .none = "its id was not told: nobody can name it" },
	{ NO_ROOM,    OWNER_KILLED,     ESTALE,     NEVER, NOT,    "",    NOT },
	{ NO_ROOM,    OWNER_CLOSES,     ESTALE,     NEVER, NOT,    "",    NOT },
	{ NO_ROOM,    OWNER_EXECS,      ESTALE,     NEVER, NOT,    "",    NOT },
	{ NO_ROOM,    OWNER_SHUTS_DOWN, ESTALE,     NEVER, NOT,    "",    NOT },
	{ NO_ROOM,    RELEASED,         ESTALE,     NEVER, NOT,    "R",   NOT },
	{ NO_ROOM,    ABORTED,          ESTALE,     NEVER, NOT,    "R",   NOT },
	{ NO_ROOM,    REBOUND,          0,          RAN,   NOT,    "cc",  0 },
	{ NO_ROOM,    QUOTA_HIT,        0,          RAN,   NOT,    "CC",  0 },

	{ NOT_QUEUED, CALLER_KILLED,    DIES,       NEVER, NOT,    "",    NOT },
	{ NOT_QUEUED, CALLER_SIGNALLED, EINTR,      NEVER, NOT,    "",    NOT },
	{ NOT_QUEUED, DEADLINE,         ETIMEDOUT,  NEVER, NOT,    "",    NOT },
	{ NOT_QUEUED, CANCELLED, .none = "its id was not told: nobody can name it" },
	{ NOT_QUEUED, OWNER_KILLED,     ESTALE,     NEVER, NOT,    "",    NOT },
	{ NOT_QUEUED, OWNER_CLOSES,     ESTALE,     NEVER, NOT,    "",    NOT },
	{ NOT_QUEUED, OWNER_EXECS,      ESTALE,     NEVER, NOT,    "",    NOT },
	{ NOT_QUEUED, OWNER_SHUTS_DOWN, ESTALE,     NEVER, NOT,    "",    NOT },
	{ NOT_QUEUED, RELEASED,         ESTALE,     NEVER, NOT,    "R",   NOT },
	{ NOT_QUEUED, ABORTED,          ESTALE,     NEVER, NOT,    "R",   NOT },
	{ NOT_QUEUED, REBOUND,          0,          RAN,   NOT,    "c",   0 },
	{ NOT_QUEUED, QUOTA_HIT,        EAGAIN,     NEVER, NOT,    "C",   NOT },

	{ QUEUED,     CALLER_KILLED,    DIES,       NEVER, NOT,    "",    NOT },
	{ QUEUED,     CALLER_SIGNALLED, EINTR,      NEVER, NOT,    "",    NOT },
	{ QUEUED,     DEADLINE,         ETIMEDOUT,  NEVER, NOT,    "",    NOT },
	{ QUEUED,     CANCELLED,        EINTR,      MAYBE, ENOENT, "",    NOT },
	{ QUEUED,     OWNER_KILLED,     ESTALE,     NEVER, NOT,    "",    NOT },
	{ QUEUED,     OWNER_CLOSES,     ESTALE,     NEVER, NOT,    "",    NOT },
	{ QUEUED,     OWNER_EXECS,      ESTALE,     NEVER, NOT,    "",    NOT },
	{ QUEUED,     OWNER_SHUTS_DOWN, ESTALE,     NEVER, NOT,    "",    NOT },
	{ QUEUED,     RELEASED,         ESTALE,     NEVER, NOT,    "R",   NOT },
	{ QUEUED,     ABORTED,          ESTALE,     NEVER, NOT,    "R",   NOT },
	{ QUEUED,     REBOUND,          0,          RAN,   NOT,    "c",   0 },
	{ QUEUED,     QUOTA_HIT,        0,          RAN,   NOT,    "C",   0 },

	{ TAKEN,      CALLER_KILLED,    DIES,       MAYBE, NOT,    "CX",  ENOENT },
	{ TAKEN,      CALLER_SIGNALLED, EINTR,      MAYBE, 0,      "C",   0 },
	{ TAKEN,      DEADLINE,         ETIMEDOUT,  MAYBE, NOT,    "CX",  ENOENT },
	{ TAKEN,      CANCELLED,        EINTR,      MAYBE, ENOENT, "CX",  ENOENT },
	{ TAKEN,      OWNER_KILLED,     EOWNERDEAD, MAYBE, NOT,    "",    NOT },
	{ TAKEN,      OWNER_CLOSES,     EOWNERDEAD, MAYBE, NOT,    "C",   EBADF },
	{ TAKEN,      OWNER_EXECS,      EOWNERDEAD, MAYBE, NOT,    "",    NOT },
	{ TAKEN,      OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE, NOT,    "C",   ESHUTDOWN },
	{ TAKEN,      RELEASED,         0,          RAN,   NOT,    "CR",  0 },
	{ TAKEN,      ABORTED,          ECANCELED,  MAYBE, NOT,    "CXR", ENOENT },
	{ TAKEN,      REBOUND,          0,          RAN,   NOT,    "C",   0 },
	{ TAKEN,      QUOTA_HIT,        0,          RAN,   NOT,    "C",   0 },

	{ COPIED,     CALLER_KILLED,    DIES,       MAYBE, NOT,    "CX",  ENOENT },
	{ COPIED,     CALLER_SIGNALLED, EINTR,      MAYBE, 0,      "C",   0 },
	{ COPIED,     DEADLINE,         ETIMEDOUT,  MAYBE, NOT,    "CX",  ENOENT },
	{ COPIED,     CANCELLED,        EINTR,      MAYBE, ENOENT, "CX",  ENOENT },
	{ COPIED,     OWNER_KILLED,     EOWNERDEAD, MAYBE, NOT,    "",    NOT },
	{ COPIED,     OWNER_CLOSES,     EOWNERDEAD, MAYBE, NOT,    "C",   EBADF },
	{ COPIED,     OWNER_EXECS,      EOWNERDEAD, MAYBE, NOT,    "",    NOT },
	{ COPIED,     OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE, NOT,    "C",   ESHUTDOWN },
	{ COPIED,     RELEASED,         0,          RAN,   NOT,    "CR",  0 },
	{ COPIED,     ABORTED,          ECANCELED,  MAYBE, NOT,    "CXR", ENOENT },
	{ COPIED,     REBOUND,          0,          RAN,   NOT,    "C",   0 },
	{ COPIED,     QUOTA_HIT,        0,          RAN,   NOT,    "C",   0 },

	{ DELIVERED,  CALLER_KILLED,    DIES,       MAYBE, NOT,    "CX",  ENOENT },
	{ DELIVERED,  CALLER_SIGNALLED, EINTR,      MAYBE, 0,      "C",   0 },
	{ DELIVERED,  DEADLINE,         ETIMEDOUT,  MAYBE, NOT,    "CX",  ENOENT },
	{ DELIVERED,  CANCELLED,        EINTR,      MAYBE, ENOENT, "CX",  ENOENT },
	{ DELIVERED,  OWNER_KILLED,     EOWNERDEAD, MAYBE, NOT,    "C",   NOT },
	{ DELIVERED,  OWNER_CLOSES,     EOWNERDEAD, MAYBE, NOT,    "C",   EBADF },
	{ DELIVERED,  OWNER_EXECS,      EOWNERDEAD, MAYBE, NOT,    "C",   NOT },
	{ DELIVERED,  OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE, NOT,    "C",   ESHUTDOWN },
	{ DELIVERED,  RELEASED,         0,          RAN,   NOT,    "CR",  0 },
	{ DELIVERED,  ABORTED,          ECANCELED,  MAYBE, NOT,    "CXR", ENOENT },
	{ DELIVERED,  REBOUND,          0,          RAN,   NOT,    "C",   0 },
	{ DELIVERED,  QUOTA_HIT,        0,          RAN,   NOT,    "C",   0 },

	{ REPLYING,   CALLER_KILLED,    DIES,       MAYBE, NOT,    "C",   ENOENT },
	{ REPLYING,   CALLER_SIGNALLED, EINTR,      MAYBE, 0,      "C",   0 },
	{ REPLYING,   DEADLINE,         ETIMEDOUT,  MAYBE, NOT,    "C",   ENOENT },
	{ REPLYING,   CANCELLED,        EINTR,      MAYBE, ENOENT, "C",   ENOENT },
	{ REPLYING,   OWNER_KILLED,     0,          RAN,   NOT,    "C",   NOT },
	{ REPLYING,   OWNER_CLOSES,     0,          RAN,   NOT,    "C",   0 },
	{ REPLYING,   OWNER_EXECS,      0,          RAN,   NOT,    "C",   NOT },
	{ REPLYING,   OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE, NOT,    "C",   ENOENT },
	{ REPLYING,   RELEASED,         0,          RAN,   NOT,    "CR",  0 },
	{ REPLYING,   ABORTED,          ECANCELED,  MAYBE, NOT,    "CR",  ENOENT },
	{ REPLYING,   REBOUND,          0,          RAN,   NOT,    "C",   0 },
	{ REPLYING,   QUOTA_HIT,        0,          RAN,   NOT,    "C",   0 },

	{ REPLIED,    CALLER_KILLED,    DIES,       RAN,   NOT,    "C",   0 },
	{ REPLIED,    CALLER_SIGNALLED, 0,          RAN,   NOT,    "C",   0 },
	{ REPLIED,    DEADLINE,         0,          RAN,   NOT,    "C",   0 },
	{ REPLIED,    CANCELLED,        EMSGSIZE,   RAN,   ENOENT, "C",   0 },
	{ REPLIED,    OWNER_KILLED,     0,          RAN,   NOT,    "C",   0 },
	{ REPLIED,    OWNER_CLOSES,     0,          RAN,   NOT,    "C",   0 },
	{ REPLIED,    OWNER_EXECS,      0,          RAN,   NOT,    "C",   0 },
	{ REPLIED,    OWNER_SHUTS_DOWN, 0,          RAN,   NOT,    "C",   0 },
	{ REPLIED,    RELEASED,         0,          RAN,   NOT,    "CR",  0 },
	{ REPLIED,    ABORTED,          0,          RAN,   NOT,    "CR",  0 },
	{ REPLIED,    REBOUND,          0,          RAN,   NOT,    "C",   0 },
	{ REPLIED,    QUOTA_HIT,        0,          RAN,   NOT,    "C",   0 },
};

static int reply_is_right(struct race *race, int err)
{
	const struct upcall_invoke *inv = &race->caller.mem->inv;

	if (!err && (inv->status != 7 || inv->reply_len != 6 ||
		     memcmp(race->caller.mem->buf, "answer", 6)))
		wrong(race, "status %u, %u bytes", inv->status, inv->reply_len);
	return err;
}

static bool sync_begin(struct race *race)
{
	bool kept = race->cell->event == CANCELLED && race->cell->state == REPLIED;

	race->caller.mem->inv = INVOKE_ARGS(race->handle, .reply = ptr64(race->caller.mem->buf),
					    .reply_room = kept ? 0 : 64, .reply_max = 64);
	if (race->deadline) {
		race->caller.mem->inv.flags &= ~UPCALL_INVOKE_NO_DEADLINE;
		race->caller.mem->inv.deadline_ns = race->deadline;
	}
	if (race->cell->state == NO_ROOM)
		race->caller.mem->inv.flags |= UPCALL_INVOKE_WAIT_ROOM;
	puppet_start(&race->caller, do_invoke);
	return true;
}

static bool sync_listen(struct race *race)
{
	(void)race;
	return true;
}

static void sync_collect(struct race *race)
{
	const struct upcall_invoke *inv = &race->caller.mem->inv;

	race->answer = reply_is_right(race, -puppet_wait(&race->caller));
	race->stage = inv->stage;
	race->reason = inv->reason;
}

static int sync_again(struct race *race)
{
	return reply_is_right(race, -puppet_do(&race->caller, do_invoke));
}

static bool sync_answer_is_held(struct race *race, const char *point)
{
	if (race->cell->event == CANCELLED)	/* kept: there is no room for it */
		return race_reply(race);
	return race_hold(race, point) && race_reply(race) && race_is_hit(race, point);
}

/* The caller has the id, and its call is in the queue: a copy of it has faulted. */
static bool sync_put_back(struct race *race)
{
	if (!race_take(race, "taken", owner_start_faulting))
		return false;
	kill(race->caller.pid, SIGUSR1);
	race_collect(race);
	race->held = NULL;
	return must(race, !hook_resume("taken")) && must(race, eventually(receive_done())) &&
	       must(race, notes->received == -EFAULT) && race_is_queued(race);
}

static bool sync_cancel(struct race *race)
{
	if (race->cell->state == QUEUED) {
		if (!sync_put_back(race))
			return false;
	} else {
		if (race->cell->state != REPLIED)
			kill(race->caller.pid, SIGUSR1);
		race_collect(race);
	}
	return must(race, race->caller.mem->inv.call_id) &&
	       must(race, !puppet_do(&race->caller, do_cancel));
}

static const struct way invoke = {
	.name = "INVOKE",
	.begin = sync_begin,
	.listen = sync_listen,
	.answer_is_held = sync_answer_is_held,
	.collect = sync_collect,
	.again = sync_again,
	.cancel = sync_cancel,
	.dead = ECANCELED,
};

int main(void)
{
	return race_main(table, sizeof(table) / sizeof(table[0]), NO_ROOM, REPLIED, &invoke);
}
