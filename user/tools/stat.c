// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall stat" and "upcall revoke": one handle, dead or alive. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static bool json;
static int fd = -1;

#define OPTION_FD	256

static void stat_option(int letter, const char *value)
{
	if (letter == 'J')
		json = true;
	else
		fd = option_number("fd", value, 0, INT32_MAX);
}

static const struct column dead_columns[] = {
	COLUMN("handle", "handle"), COLUMN("state", "state"), COLUMN("reason", "reason"),
	COLUMN("why", "why"), COLUMN("died, ago", "died_ago_ns"), COLUMN("word", "word"), { 0 },
};

static const struct column live_columns[] = {
	COLUMN("handle", "handle"), COLUMN("state", "state"), COLUMN("label", "label"),
	COLUMN("owner", "owner_pid"), COLUMN("user", "owner_uid"), COLUMN("group", "owner_gid"),
	COLUMN("access", "access"), COLUMN("signature", "signature"),
	COLUMN("max argument", "max_arg"), COLUMN("max queued calls", "max_queued_calls"),
	COLUMN("max queued bytes", "max_queued_bytes"), { 0 },
};

static const struct column counted_columns[] = {
	COLUMN("handle", "handle"), COLUMN("state", "state"), COLUMN("label", "label"),
	COLUMN("owner", "owner_pid"), COLUMN("user", "owner_uid"), COLUMN("group", "owner_gid"),
	COLUMN("access", "access"), COLUMN("signature", "signature"),
	COLUMN("max argument", "max_arg"), COLUMN("max queued calls", "max_queued_calls"),
	COLUMN("max queued bytes", "max_queued_bytes"), COLUMN("age", "age_ns"),
	COLUMN("calls", "calls"), COLUMN("refused", "refused"), COLUMN("queued", "queued"),
	COLUMN("queued bytes", "queued_bytes"), COLUMN("running", "running"),
	COLUMN("time queued", "queued_ns"), COLUMN("time running", "run_ns"), { 0 },
};

static struct text hex(uint64_t number)
{
	struct text text;

	text_print(&text, "0x%" PRIx64, number);
	return text;
}

static void add_dead(struct table *table, const struct upcall_stat *stat)
{
	table_add_text(table, upcall_state_name(stat->state));
	table_add_text(table, upcall_reason_name(stat->reason));
	table_add_text(table, stat_death(stat).s);
	table_add_age(table, stat_died_ago(stat));
	table_add_text(table, hex(stat->word).s);
}

static void add_live(struct table *table, const struct upcall_stat *stat)
{
	bool has_signature = stat->register_flags & UPCALL_REGISTER_SIGNATURE;

	table_add_text(table, upcall_state_name(stat->state));
	table_add_text(table, text_escape(stat->label, sizeof(stat->label)).s);
	table_add_id(table, stat->pid, text_process(stat->pid).s);
	table_add_id(table, stat->uid, text_user(stat->uid).s);
	table_add_id(table, stat->gid, NULL);
	table_add_text(table, text_access(stat->access, stat->access_id).s);
	table_add_text(table, has_signature ? hex(stat->signature).s : "none");
	table_add_number(table, stat->max_arg);
	table_add_number(table, stat->max_queued_calls);
	table_add_number(table, stat->max_queued_bytes);
}

static void add_counters(struct table *table, const struct upcall_list_callback *record)
{
	table_add_age(table, text_now() - record->registered_ns);
	table_add_number(table, record->calls);
	table_add_number(table, record->refused);
	table_add_number(table, record->queued);
	table_add_number(table, record->queued_bytes);
	table_add_number(table, record->running);
	table_add_age(table, record->queued_ns);
	table_add_age(table, record->run_ns);
}

/**
 * stat_death() - Why a callback ended
 * @stat: Of a dead one.
 *
 * Return: the text, by value.
 */
struct text stat_death(const struct upcall_stat *stat)
{
	struct text text = { "" };

	upcall_death_text(stat->reason, stat->exit_status, text.s, sizeof(text.s));
	return text;
}

/**
 * stat_died_ago() - How long it is dead
 * @stat: Of a dead one.
 *
 * Return: nanoseconds; 0 if it is not known.
 */
uint64_t stat_died_ago(const struct upcall_stat *stat)
{
	return stat->died_ns ? text_now() - stat->died_ns : 0;
}

/**
 * stat_get() - What a handle is, or die
 * @peer: Any peer; or one on a stub.
 * @verb: Of the command, for messages.
 * @text: NAME or HANDLE, as typed; NULL: what the stub calls.
 * @handle: Set; 0 if it is a stub that was asked.
 *
 * Return: as upcall_stat() says.
 */
struct upcall_stat stat_get(struct upcall_peer *peer, const char *verb, const char *text,
			    uint64_t *handle)
{
	struct upcall_stat stat;
	int err;

	*handle = text ? target_handle(peer, text) : 0;
	if (!text)
		text = "stub";
	err = upcall_stat(peer, *handle, &stat, sizeof(stat));
	if (err == -ESTALE)
		tool_die(EXIT_NO, "%s %s: 0x%" PRIx64 " was never issued since the module was loaded",
			 verb, text, *handle);
	if (err == -EACCES)
		tool_die(EXIT_NO, "%s %s: 0x%" PRIx64 " is live, and you may not call it: that is all it says",
			 verb, text, *handle);
	if (err)
		tool_die(EXIT_NO, "%s %s: %s (%s)", verb, text, upcall_errname(err),
			 upcall_strerror(err));
	return stat;
}

/* A stub does not say which handle it is of. */
static int stat_run(int argc, char **argv)
{
	bool is_stub = fd >= 0;
	struct upcall_list_callback record;
	struct table table = { 0 };
	struct upcall_peer *peer;
	struct upcall_stat stat;
	uint64_t handle;

	if (is_stub == argc)
		tool_die(EXIT_USAGE, "stat: one of NAME, HANDLE and --fd");
	peer = is_stub ? tool_open_stub(fd) : tool_open();
	stat = stat_get(peer, "stat", argv[0], &handle);
	if (!is_stub)
		table_add_handle(&table, handle);
	if (stat.state == UPCALL_STATE_DEAD) {
		table.columns = dead_columns + is_stub;
		add_dead(&table, &stat);
	} else {
		table.columns = live_columns + is_stub;
		add_live(&table, &stat);
		if (!is_stub && ls_find(peer, handle, &record)) {
			table.columns = counted_columns;
			add_counters(&table, &record);
		}
	}
	table_print_record(&table, json);
	table_free(&table);
	return stat.state == UPCALL_STATE_LIVE ? 0 : EXIT_NO;
}

static int revoke_run(int argc, char **argv)
{
	struct upcall_peer *peer = tool_open();
	int code = 0;

	for (int i = 0; i < argc; i++) {
		uint64_t handle = target_handle(peer, argv[i]);
		int err = upcall_revoke(peer, handle);

		if (!err)
			continue;
		tool_say("revoke %s: %s (%s)", argv[i], upcall_errname(err),
			 err == -EPERM ? "not yours: this takes CAP_SYS_ADMIN" :
			 upcall_strerror(err));
		code = EXIT_NO;
	}
	return code;
}

const struct command command_stat = {
	.name = "stat",
	.operands = "NAME|HANDLE",
	.summary = "what a handle is, or was",
	.notes = "Exit code 0: it is live. 1: it is not, or its owner does not let you see it.\n",
	.options = (const struct tool_option[]){
		{ 'J', "json", NULL, "for programs: times in nanoseconds" },
		{ OPTION_FD, "fd", "N", "what this stub, a descriptor, calls; no NAME|HANDLE follows" },
		{ 0 },
	},
	.option = stat_option,
	.run = stat_run,
	.operands_max = 1,
};

const struct command command_revoke = {
	.name = "revoke",
	.operands = "NAME|HANDLE...",
	.summary = "end callbacks of others, as an administrator",
	.notes = "Calls that run fail now, with ECANCELED. Needs CAP_SYS_ADMIN.\n",
	.options = (const struct tool_option[]){ { 0 } },
	.option = stat_option,
	.run = revoke_run,
	.operands_min = 1,
	.operands_max = INT32_MAX,
};
