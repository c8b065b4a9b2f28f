/* SPDX-License-Identifier: GPL-2.0-only */
/* How a cell of the race matrix is run: state, event, end, and what is left. See race.h. */
#ifndef RACE_RUN_H
#define RACE_RUN_H

#include "race.h"

#define FEW_MS		(150 * UPCALL_SLOW)	/* the first try of a deadline; it doubles */
#define QUOTA		"max_queued_calls_user"
#define QUOTA_DEFAULT	"65536"

static const uint32_t reasons[EVENTS] = {
	[OWNER_KILLED] = UPCALL_REASON_EXITED,
	[OWNER_CLOSES] = UPCALL_REASON_CLOSED,
	[OWNER_EXECS] = UPCALL_REASON_EXEC,
	[OWNER_SHUTS_DOWN] = UPCALL_REASON_SHUTDOWN,
	[RELEASED] = UPCALL_REASON_RELEASED,
	[ABORTED] = UPCALL_REASON_ABORTED,
};

/* --- to the state ------------------------------------------------------------------- */

static inline bool race_hold(struct race *race, const char *point)
{
	race->held = point;
	return must(race, !hook_arm(point));
}

/* The call may have ended by its deadline: what it is to reach then does not come. */
static inline bool race_is_late(const struct race *race)
{
	return race->deadline && now_ns() >= race->deadline;
}

static inline bool race_is_hit(struct race *race, const char *point)
{
	return must(race, eventually(hook_stopped(point) || race_is_late(race)));
}

static inline bool race_is_queued(struct race *race)
{
	return must(race, eventually(listed_callback(my_peer, race->handle).queued == 1 ||
				     race_is_late(race)));
}

static inline bool owner_does(struct race *race, puppet_fn fn, uint64_t value)
{
	race->owner.mem->handle = race->handle;
	race->owner.mem->value = value;
	return must(race, !puppet_do(&race->owner, fn));
}

/* The owner's second thread takes it, and is held at @point. */
static inline bool race_take(struct race *race, const char *point, puppet_fn receiver)
{
	return race_hold(race, point) && must(race, !puppet_do(&race->owner, receiver)) &&
	       race_is_hit(race, point);
}

static inline bool race_deliver(struct race *race)
{
	puppet_start(&race->owner, owner_receive);
	if (!must(race, eventually(puppet_done(&race->owner) || race_is_late(race))) ||
	    !puppet_done(&race->owner))
		return false;
	return must(race, !puppet_wait(&race->owner)) && must(race, !strcmp(notes->seen, "C"));
}

static inline bool race_reply(struct race *race)
{
	race->owner.mem->value = 0;
	return must(race, !puppet_do(&race->owner, owner_reply)) && must(race, !notes->replied);
}

/* From QUEUED on. */
static inline bool race_advance(struct race *race, enum state state)
{
	switch (state) {
	case TAKEN:
		return race_take(race, "taken", owner_start_receiver);
	case COPIED:
		return race_take(race, "copied", owner_start_receiver);
	case DELIVERED:
		return race_deliver(race);
	case REPLYING:
		return race_deliver(race) && race_take(race, "reply_read", owner_start_replier);
	case REPLIED:
		return race_deliver(race) && race->way->answer_is_held(race, "woken");
	case COLLECTING:
		return race_deliver(race) && race->way->answer_is_held(race, "copied");
	default:
		return true;
	}
}

static inline bool race_reach(struct race *race)
{
	bool there;

	if (race->cell->state == NO_ROOM)
		there = owner_does(race, owner_fill, 0) && race->way->begin(race) &&
			must(race, eventually(sleeps_in_ioctl(race->caller.pid) ||
					      race_is_late(race)));
	else if (race->cell->state == NOT_QUEUED)
		there = race_hold(race, "linked") && race->way->begin(race) &&
			race_is_hit(race, "linked");
	else
		there = race->way->begin(race) && race_is_queued(race) &&
			race_advance(race, race->cell->state);
	race->late = race_is_late(race);
	return there;
}

/* --- the event -------------------------------------------------------------------- */

static inline void race_collect(struct race *race)
{
	if (race->answered)
		return;
	if (race->cell->event == CALLER_KILLED) {
		must(race, reap(race->caller.pid) == SIGKILL);
		/* A death is done by others, too; its calls are not its own then. */
		must(race, eventually(!listed_user(my_peer, ALICE, 0).queued_calls));
		race->answer = DIES;
	} else {
		race->way->collect(race);
	}
	race->answered = true;
}

/* If it comes by itself: not if its thread is held, or it has to be replied first. */
static inline bool race_collect_now(struct race *race)
{
	if (!caller_is_held(race))
		race_collect(race);
	return true;
}

/* A held thread is not told by /proc/PID/stat that it is to die: its signals are. */
static inline bool kill_is_pending(pid_t pid, pid_t tid)
{
	char path[64], line[256];
	unsigned long long pending = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "SigPnd: %llx", &pending) == 1)
			break;
	}
	if (file)
		fclose(file);
	return pending & 1ULL << (SIGKILL - 1);
}

static inline bool owner_ends(struct race *race)
{
	pid_t tid;

	if (race->cell->event == OWNER_KILLED)
		kill(race->owner.pid, SIGKILL);
	else
		puppet_start(&race->owner, owner_exec);
	if (!owner_is_held(race))
		return must(race, eventually(stat_of(my_peer, race->handle).state ==
					     UPCALL_STATE_DEAD));
	tid = hook_stopped(race->held);
	return must(race, eventually(kill_is_pending(race->owner.pid, tid)));
}

static inline bool caller_signalled(struct race *race)
{
	if (!race->way->listen(race))
		return false;
	kill(race->caller.pid, SIGUSR1);
	return race_collect_now(race);
}

static inline bool deadline_passes(struct race *race)
{
	while (now_ns() < race->deadline)
		usleep(1000);
	if (race->way->expired && !race->way->expired(race))
		return false;
	return race_collect_now(race);
}

/* The queue is full by now, or its uid may have one call only. */
static inline bool quota_is_hit(struct race *race)
{
	struct upcall_invoke *inv;
	bool is_hit;

	if (race->cell->state == NOT_QUEUED)
		return owner_does(race, owner_fill, 0);
	is_hit = must(race, !hook_parameter(QUOTA, "1")) &&
		 must(race, puppet_call(&race->other, race->handle) == -EDQUOT);
	inv = &race->other.mem->inv;
	return must(race, !hook_parameter(QUOTA, QUOTA_DEFAULT)) && is_hit &&
	       must(race, inv->stage == UPCALL_STAGE_NOT_DELIVERED);
}

static inline bool race_befall(struct race *race)
{
	switch (race->cell->event) {
	case CALLER_KILLED:
		kill(race->caller.pid, SIGKILL);
		return race_collect_now(race);
	case CALLER_SIGNALLED:
		return caller_signalled(race);
	case DEADLINE:
		return deadline_passes(race);
	case CANCELLED:
		return race->way->cancel(race);
	case OWNER_KILLED:
	case OWNER_EXECS:
		return owner_ends(race);
	case OWNER_CLOSES:
		return owner_does(race, do_close, 0);
	case OWNER_SHUTS_DOWN:
		return owner_does(race, do_shutdown, 0);
	case RELEASED:
		return owner_does(race, owner_release, 0);
	case ABORTED:
		return owner_does(race, owner_release, UPCALL_RELEASE_ABORT);
	case REBOUND:
		return owner_does(race, owner_rebind, 0);
	case QUOTA_HIT:
		return quota_is_hit(race);
	default:
		return false;
	}
}

/* --- the end ---------------------------------------------------------------------- */

/* Whoever was held goes on, and has left the kernel when this returns. */
static inline bool race_go_on(struct race *race)
{
	if (race->held && !must(race, !hook_resume(race->held)))
		return false;
	if (caller_is_held(race)) {
		/* It waits for its reply; or it is over, before anybody could take it. */
		if (race->cell->state == NOT_QUEUED && !race->cell->answer)
			return race_is_queued(race);
		race_collect(race);
	} else if (race->held && owner_lives(race)) {
		return must(race, eventually(receive_done() || reply_done()));
	}
	return true;
}

static inline void race_finish(struct race *race)
{
	if (!race_go_on(race))
		return;
	if (owner_lives(race))
		owner_does(race, owner_drain, 0);
	race_collect(race);
	race->again = race->cell->again == NOT ? NOT : race->way->again(race);
	if (owner_lives(race))
		owner_does(race, owner_drain, 0);
}

/* The caller is dead: the kernel noted what became of its call. */
static inline void judge_dead(struct race *race)
{
	char what[64];

	must(race, trace_read(&race_trace));
	must(race, trace_count(&race_trace, "upcall_ended:", "") == 1);
	if (race->cell->state == NO_ROOM)	/* that one was never queued */
		return;
	snprintf(what, sizeof(what), "err=%d stage=%u",
		 race->cell->stage == UPCALL_STAGE_REPLIED ? 0 : -race->way->dead,
		 race->cell->stage);
	if (trace_count(&race_trace, "upcall_ended:", what) != 1)
		wrong(race, "no end with %s", what);
}

static inline void race_judge(struct race *race)
{
	const struct cell *cell = race->cell;
	uint32_t reason = cell->answer == ESTALE || cell->answer == EOWNERDEAD ?
			  reasons[cell->event] : 0;

	if (race->answer != cell->answer)
		wrong(race, "answer %d, not %d", race->answer, cell->answer);
	if (race->answer != DIES && race->stage != cell->stage)
		wrong(race, "stage %u, not %u", race->stage, cell->stage);
	if (race->answer != DIES && race->reason != reason)
		wrong(race, "reason %u, not %u", race->reason, reason);
	if (race->again != cell->again)
		wrong(race, "again %d, not %d", race->again, cell->again);
	if (strcmp(notes->seen, cell->owner))
		wrong(race, "the owner saw '%s', not '%s'", notes->seen, cell->owner);
	if ((reply_done() ? -notes->replied : NOT) != cell->reply)
		wrong(race, "reply %d, not %d", reply_done() ? -notes->replied : NOT, cell->reply);
	if (cell->event == CALLER_SIGNALLED)
		must(race, eventually(puppet_caught(&race->caller) == 1));
}

/* Both processes end, and nothing is left of them. */
static inline void race_clean(struct race *race)
{
	hook_parameter(QUOTA, QUOTA_DEFAULT);
	must(race, hook_is_quiet());
	hook_clear();
	puppet_kill(&race->owner, SIGKILL);
	if (race->answer != DIES)
		puppet_kill(&race->caller, SIGKILL);
	if (race->other.pid)
		puppet_kill(&race->other, SIGKILL);
	must(race, eventually(trace_is_even(&race_trace)));
	if (race->answer == DIES)
		judge_dead(race);
	must(race, eventually(user_owes_nothing(my_peer, 0)));
	must(race, eventually(user_owes_nothing(my_peer, ALICE)));
	close(race->owner.sock);
	close(race->caller.sock);
	munmap(race->owner.mem, sizeof(*race->owner.mem));
	munmap(race->caller.mem, sizeof(*race->caller.mem));
}

/* --- the matrix -------------------------------------------------------------------- */

static inline bool race_set_up(struct race *race, uint64_t deadline_ms)
{
	bool full = race->cell->state == NO_ROOM ||
		    (race->cell->state == NOT_QUEUED && race->cell->event == QUOTA_HIT);

	memset(notes, 0, sizeof(*notes));
	hook_clear();
	trace_clear();
	race->owner = puppet_new();
	race->caller = puppet_of(ALICE);
	if (race->cell->event == QUOTA_HIT)
		race->other = puppet_of(ALICE);
	race->owner.mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .cookie = OLD_COOKIE,
					     .max_queued_calls = full ? 1 : 64,
					     .flags = UPCALL_REGISTER_AUTOEND);
	if (!must(race, !puppet_do(&race->owner, do_register)) ||
	    !must(race, !puppet_catch(&race->caller, 0)))
		return false;
	race->handle = race->owner.mem->handle;
	race->deadline = race->cell->event == DEADLINE ? in_ms(deadline_ms) : 0;
	return true;
}

/* How much was wrong; -1: the deadline passed too early for this cell. */
static inline int race_try(const struct cell *cell, const struct way *way, uint64_t deadline_ms)
{
	struct race race = { .cell = cell, .way = way };

	if (race_set_up(&race, deadline_ms) && race_reach(&race) && !race.late &&
	    race_befall(&race)) {
		race_finish(&race);
		race_judge(&race);
	}
	if (race.late) {
		hook_clear();
		race.wrong = 0;
	}
	race_clean(&race);
	return race.late ? -1 : race.wrong;
}

static inline void race_run_cell(const struct cell *cell, const struct way *way)
{
	const char *state = state_names[cell->state], *event = event_names[cell->event];
	uint64_t ms = FEW_MS;
	int wrong;

	if (cell->none) {
		ksft_print_msg("none: %s, %s x %s: %s\n", way->name, state, event, cell->none);
		return;
	}
	do {
		wrong = race_try(cell, way, ms);
		ms *= 2;
	} while (wrong < 0);
	if (wrong)
		ksft_test_result_fail("%s: %s x %s\n", way->name, state, event);
	else
		ksft_test_result_pass("%s: %s x %s\n", way->name, state, event);
}

/* Each cell of these states and all events once. */
static inline bool race_is_complete(const struct cell *table, int count, enum state first,
				    enum state last)
{
	uint32_t all[STATES] = { 0 };
	unsigned int s;
	int i;

	for (i = 0; i < count; i++) {
		if (all[table[i].state] & 1U << table[i].event)
			return false;
		all[table[i].state] |= 1U << table[i].event;
	}
	for (s = first; s <= last; s++) {
		if (all[s] != (1U << EVENTS) - 1)
			return false;
	}
	return count == (int)(last - first + 1) * EVENTS;
}

static inline int race_main(const struct cell *table, int count, enum state first,
			    enum state last, const struct way *way)
{
	int i, plan = 0;

	ksft_print_header();
	if (hook_clear())
		ksft_exit_skip("no delay points: not the module that tests are built with\n");
	if (!trace_start(&race_trace, 1 << 20))
		ksft_exit_skip("tracing is not there (instances of tracefs, as root)\n");
	if (!race_is_complete(table, count, first, last))
		ksft_exit_fail_msg("the table lacks a cell\n");
	notes = shared_alloc(sizeof(*notes));
	my_peer = peer_open();
	for (i = 0; i < count; i++)
		plan += !table[i].none;
	ksft_set_plan(plan);
	for (i = 0; i < count; i++)
		race_run_cell(&table[i], way);
	trace_stop(&race_trace);
	ksft_finished();
	return KSFT_FAIL;
}

#endif /* RACE_RUN_H */
