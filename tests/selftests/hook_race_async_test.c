// SPDX-License-Identifier: GPL-2.0-only
/* Whatever befalls an asynchronous CALL, wherever it stands: its RESULT, and what its owner sees. */
#define _GNU_SOURCE
#include "race_run.h"

#define UNTOLD	UPCALL_STAGE_UNKNOWN
#define NEVER	UPCALL_STAGE_NOT_DELIVERED
#define MAYBE	UPCALL_STAGE_DELIVERED
#define RAN	UPCALL_STAGE_REPLIED

/*
 * A signal interrupts the wait for the RESULT, never the call: waiting again gets it. In REPLIED
 * the RESULT waits in the caller's peer. A CALL that was not queued has its error at once, and
 * no RESULT.
 */
static const struct cell table[] = {
	/* where    what befalls it    told it is   and it  wait the	and its
	 *				       ran     again owner	REPLY
	 *						     saw	gets
	 */
	{ NOT_QUEUED, CALLER_KILLED,    DIES,       NEVER,  NOT, "",    NOT },
	{ NOT_QUEUED, CALLER_SIGNALLED, 0,          RAN,    NOT, "C",   0 },
	{ NOT_QUEUED, DEADLINE,         ETIMEDOUT,  NEVER,  NOT, "",    NOT },
	{ NOT_QUEUED, CANCELLED, .none = "its id was not told: nobody can name it" },
	{ NOT_QUEUED, OWNER_KILLED,     ESTALE,     NEVER,  NOT, "",    NOT },
	{ NOT_QUEUED, OWNER_CLOSES,     ESTALE,     NEVER,  NOT, "",    NOT },
	{ NOT_QUEUED, OWNER_EXECS,      ESTALE,     NEVER,  NOT, "",    NOT },
	{ NOT_QUEUED, OWNER_SHUTS_DOWN, ESTALE,     NEVER,  NOT, "",    NOT },
	{ NOT_QUEUED, RELEASED,         ESTALE,     NEVER,  NOT, "R",   NOT },
	{ NOT_QUEUED, ABORTED,          ESTALE,     NEVER,  NOT, "R",   NOT },
	{ NOT_QUEUED, REBOUND,          0,          RAN,    NOT, "c",   0 },
	{ NOT_QUEUED, QUOTA_HIT,        EAGAIN,     NEVER,  NOT, "C",   NOT },

	{ QUEUED,     CALLER_KILLED,    DIES,       NEVER,  NOT, "",    NOT },
	{ QUEUED,     CALLER_SIGNALLED, EINTR,      UNTOLD, 0,   "C",   0 },
	{ QUEUED,     DEADLINE,         ETIMEDOUT,  NEVER,  NOT, "",    NOT },
	{ QUEUED,     CANCELLED,        ECANCELED,  NEVER,  NOT, "",    NOT },
	{ QUEUED,     OWNER_KILLED,     ESTALE,     NEVER,  NOT, "",    NOT },
	{ QUEUED,     OWNER_CLOSES,     ESTALE,     NEVER,  NOT, "",    NOT },
	{ QUEUED,     OWNER_EXECS,      ESTALE,     NEVER,  NOT, "",    NOT },
	{ QUEUED,     OWNER_SHUTS_DOWN, ESTALE,     NEVER,  NOT, "",    NOT },
	{ QUEUED,     RELEASED,         ESTALE,     NEVER,  NOT, "R",   NOT },
	{ QUEUED,     ABORTED,          ESTALE,     NEVER,  NOT, "R",   NOT },
	{ QUEUED,     REBOUND,          0,          RAN,    NOT, "c",   0 },
	{ QUEUED,     QUOTA_HIT,        0,          RAN,    NOT, "C",   0 },

	{ TAKEN,      CALLER_KILLED,    DIES,       MAYBE,  NOT, "CX",  ENOENT },
	{ TAKEN,      CALLER_SIGNALLED, EINTR,      UNTOLD, 0,   "C",   0 },
	{ TAKEN,      DEADLINE,         ETIMEDOUT,  MAYBE,  NOT, "CX",  ENOENT },
	{ TAKEN,      CANCELLED,        ECANCELED,  MAYBE,  NOT, "CX",  ENOENT },
	{ TAKEN,      OWNER_KILLED,     EOWNERDEAD, MAYBE,  NOT, "",    NOT },
	{ TAKEN,      OWNER_CLOSES,     EOWNERDEAD, MAYBE,  NOT, "C",   EBADF },
	{ TAKEN,      OWNER_EXECS,      EOWNERDEAD, MAYBE,  NOT, "",    NOT },
	{ TAKEN,      OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE,  NOT, "C",   ESHUTDOWN },
	{ TAKEN,      RELEASED,         0,          RAN,    NOT, "CR",  0 },
	{ TAKEN,      ABORTED,          ECANCELED,  MAYBE,  NOT, "CXR", ENOENT },
	{ TAKEN,      REBOUND,          0,          RAN,    NOT, "C",   0 },
	{ TAKEN,      QUOTA_HIT,        0,          RAN,    NOT, "C",   0 },

	{ COPIED,     CALLER_KILLED,    DIES,       MAYBE,  NOT, "CX",  ENOENT },
	{ COPIED,     CALLER_SIGNALLED, EINTR,      UNTOLD, 0,   "C",   0 },
	{ COPIED,     DEADLINE,         ETIMEDOUT,  MAYBE,  NOT, "CX",  ENOENT },
	{ COPIED,     CANCELLED,        ECANCELED,  MAYBE,  NOT, "CX",  ENOENT },
	{ COPIED,     OWNER_KILLED,     EOWNERDEAD, MAYBE,  NOT, "",    NOT },
	{ COPIED,     OWNER_CLOSES,     EOWNERDEAD, MAYBE,  NOT, "C",   EBADF },
	{ COPIED,     OWNER_EXECS,      EOWNERDEAD, MAYBE,  NOT, "",    NOT },
	{ COPIED,     OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE,  NOT, "C",   ESHUTDOWN },
	{ COPIED,     RELEASED,         0,          RAN,    NOT, "CR",  0 },
	{ COPIED,     ABORTED,          ECANCELED,  MAYBE,  NOT, "CXR", ENOENT },
	{ COPIED,     REBOUND,          0,          RAN,    NOT, "C",   0 },
	{ COPIED,     QUOTA_HIT,        0,          RAN,    NOT, "C",   0 },

	{ DELIVERED,  CALLER_KILLED,    DIES,       MAYBE,  NOT, "CX",  ENOENT },
	{ DELIVERED,  CALLER_SIGNALLED, EINTR,      UNTOLD, 0,   "C",   0 },
	{ DELIVERED,  DEADLINE,         ETIMEDOUT,  MAYBE,  NOT, "CX",  ENOENT },
	{ DELIVERED,  CANCELLED,        ECANCELED,  MAYBE,  NOT, "CX",  ENOENT },
	{ DELIVERED,  OWNER_KILLED,     EOWNERDEAD, MAYBE,  NOT, "C",   NOT },
	{ DELIVERED,  OWNER_CLOSES,     EOWNERDEAD, MAYBE,  NOT, "C",   EBADF },
	{ DELIVERED,  OWNER_EXECS,      EOWNERDEAD, MAYBE,  NOT, "C",   NOT },
	{ DELIVERED,  OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE,  NOT, "C",   ESHUTDOWN },
	{ DELIVERED,  RELEASED,         0,          RAN,    NOT, "CR",  0 },
	{ DELIVERED,  ABORTED,          ECANCELED,  MAYBE,  NOT, "CXR", ENOENT },
	{ DELIVERED,  REBOUND,          0,          RAN,    NOT, "C",   0 },
	{ DELIVERED,  QUOTA_HIT,        0,          RAN,    NOT, "C",   0 },

	{ REPLYING,   CALLER_KILLED,    DIES,       MAYBE,  NOT, "C",   ENOENT },
	{ REPLYING,   CALLER_SIGNALLED, EINTR,      UNTOLD, 0,   "C",   0 },
	{ REPLYING,   DEADLINE,         ETIMEDOUT,  MAYBE,  NOT, "C",   ENOENT },
	{ REPLYING,   CANCELLED,        ECANCELED,  MAYBE,  NOT, "C",   ENOENT },
	{ REPLYING,   OWNER_KILLED,     0,          RAN,    NOT, "C",   NOT },
	{ REPLYING,   OWNER_CLOSES,     0,          RAN,    NOT, "C",   0 },
	{ REPLYING,   OWNER_EXECS,      0,          RAN,    NOT, "C",   NOT },
	{ REPLYING,   OWNER_SHUTS_DOWN, EOWNERDEAD, MAYBE,  NOT, "C",   ENOENT },
	{ REPLYING,   RELEASED,         0,          RAN,    NOT, "CR",  0 },
	{ REPLYING,   ABORTED,          ECANCELED,  MAYBE,  NOT, "CR",  ENOENT },
	{ REPLYING,   REBOUND,          0,          RAN,    NOT, "C",   0 },
	{ REPLYING,   QUOTA_HIT,        0,          RAN,    NOT, "C",   0 },

	{ REPLIED,    CALLER_KILLED,    DIES,       RAN,    NOT, "C",   0 },
	{ REPLIED,    CALLER_SIGNALLED, 0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    DEADLINE,         0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    CANCELLED,        0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    OWNER_KILLED,     0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    OWNER_CLOSES,     0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    OWNER_EXECS,      0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    OWNER_SHUTS_DOWN, 0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    RELEASED,         0,          RAN,    NOT, "CR",  0 },
	{ REPLIED,    ABORTED,          0,          RAN,    NOT, "CR",  0 },
	{ REPLIED,    REBOUND,          0,          RAN,    NOT, "C",   0 },
	{ REPLIED,    QUOTA_HIT,        0,          RAN,    NOT, "C",   0 },

	{ COLLECTING, CALLER_KILLED,    DIES,       RAN,    NOT, "C",   0 },
	{ COLLECTING, CALLER_SIGNALLED, 0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, DEADLINE,         0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, CANCELLED,        0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, OWNER_KILLED,     0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, OWNER_CLOSES,     0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, OWNER_EXECS,      0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, OWNER_SHUTS_DOWN, 0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, RELEASED,         0,          RAN,    NOT, "CR",  0 },
	{ COLLECTING, ABORTED,          0,          RAN,    NOT, "CR",  0 },
	{ COLLECTING, REBOUND,          0,          RAN,    NOT, "C",   0 },
	{ COLLECTING, QUOTA_HIT,        0,          RAN,    NOT, "C",   0 },
};

#define MY_DATA	0xda7aULL

static int caller_call(struct puppet_mem *mem)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .target = mem->handle, .user_data = MY_DATA,
		.flags = mem->value ? 0 : UPCALL_INVOKE_NO_DEADLINE, .deadline_ns = mem->value,
		.reply_max = sizeof(notes->bytes),
	};
	int err = command(my_peer, &cmd);

	notes->result.stage = cmd.stage;
	mem->inv.call_id = cmd.call_id;
	return err;
}

/* The RESULT, into @notes. */
static int caller_listen(struct puppet_mem *mem)
{
	static char buf[4096] __attribute__((aligned(8)));
	struct upcall_event_result *result = (void *)buf;

	(void)mem;
	memset(buf, 0, sizeof(buf));
	notes->listened = receive(my_peer, buf, sizeof(buf), 0, 0, NULL);
	if (!notes->listened && result->event.type != UPCALL_EVENT_RESULT)
		notes->listened = -EPROTO;
	notes->result = *result;
	memcpy(notes->bytes, buf + result->payload_offset,
	       result->payload_len < sizeof(notes->bytes) ? result->payload_len : 0);
	__atomic_store_n(&notes->listen_done, true, __ATOMIC_RELEASE);
	return notes->listened;
}

static void *listener_main(void *arg)
{
	caller_listen(arg);
	return NULL;
}

static int caller_start_listener(struct puppet_mem *mem)
{
	return start_thread(listener_main, mem);
}

/* 0: nothing waits to be received. */
static int caller_has_nothing(struct puppet_mem *mem)
{
	char buf[4096] __attribute__((aligned(8)));
	int err = receive(my_peer, buf, sizeof(buf), 0, UPCALL_EXCHANGE_NONBLOCK, NULL);

	(void)mem;
	return err == -EAGAIN ? 0 : err ? err : -EEXIST;
}

static bool async_begin(struct race *race)
{
	race->caller.mem->handle = race->handle;
	race->caller.mem->value = race->deadline;
	if (race->deadline && !must(race, !hook_arm("expired")))
		return false;
	puppet_start(&race->caller, caller_call);
	return race->cell->state == NOT_QUEUED || must(race, !puppet_wait(&race->caller));
}

static bool async_listen(struct race *race)
{
	if (race->cell->state == NOT_QUEUED || race->cell->state >= REPLIED)
		return true;
	puppet_start(&race->caller, caller_listen);
	race->listening = true;
	return must(race, eventually(sleeps_in_ioctl(race->caller.pid)));
}

static int async_result(struct race *race, int err)
{
	const struct upcall_event_result *result = &notes->result;

	race->stage = result->stage;
	race->reason = result->reason;
	if (err)
		return -err;
	if (result->event.cookie != MY_DATA || result->call_id != race->caller.mem->inv.call_id)
		wrong(race, "another call's result");
	if (!result->error && (result->status != 7 || result->payload_len != 6 ||
			       memcmp(notes->bytes, "answer", 6)))
		wrong(race, "status %u, %u bytes", result->status, result->payload_len);
	return result->error;
}

static void async_collect(struct race *race)
{
	int err = 0;

	if (race->cell->state == NOT_QUEUED)
		err = puppet_wait(&race->caller);
	if (err) {
		race->answer = -err;
		race->stage = notes->result.stage;
		race->reason = reasons[race->cell->event];	/* a command does not say */
	} else if (race->cell->state == COLLECTING) {
		must(race, eventually(__atomic_load_n(&notes->listen_done, __ATOMIC_ACQUIRE)));
		race->answer = async_result(race, notes->listened);
	} else {
		if (!race->listening)
			puppet_start(&race->caller, caller_listen);
		race->answer = async_result(race, puppet_wait(&race->caller));
	}
	/* One answer: the errno of the command, or one RESULT. */
	if (race->answer != EINTR)
		must(race, !puppet_do(&race->caller, caller_has_nothing));
}

static int async_again(struct race *race)
{
	uint32_t stage = race->stage, reason = race->reason;
	int err = async_result(race, puppet_do(&race->caller, caller_listen));

	must(race, race->stage == RAN);
	race->stage = stage;
	race->reason = reason;
	must(race, !puppet_do(&race->caller, caller_has_nothing));
	return err;
}

static bool async_answer_is_held(struct race *race, const char *point)
{
	if (!race_reply(race) || race->cell->state == REPLIED)
		return !race->wrong;
	return race_hold(race, point) &&
	       must(race, !puppet_do(&race->caller, caller_start_listener)) &&
	       race_is_hit(race, point);
}

static bool async_cancel(struct race *race)
{
	return must(race, race->caller.mem->inv.call_id) &&
	       must(race, !puppet_do(&race->caller, do_cancel));
}

/* The timer's work has been here, or, with the answer there already, has nothing to do. */
static bool async_expired(struct race *race)
{
	return must(race, hook_is_hit("expired")) && must(race, !hook_resume("expired"));
}

static const struct way call = {
	.name = "CALL",
	.begin = async_begin,
	.listen = async_listen,
	.answer_is_held = async_answer_is_held,
	.collect = async_collect,
	.again = async_again,
	.cancel = async_cancel,
	.expired = async_expired,
	.dead = ESHUTDOWN,
};

int main(void)
{
	return race_main(table, sizeof(table) / sizeof(table[0]), NOT_QUEUED, COLLECTING, &call);
}
