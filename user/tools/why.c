// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall why": why a handle is dead, and what its owner left to say. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>

#include "tool.h"

static bool json;

static void why_option(int letter, const char *value)
{
	(void)value;
	if (letter == 'J')
		json = true;
}

/* What the word of a dead callback stands for, if it is a handle: often its successor's. */
enum word { WORD_NONE, WORD_LIVE, WORD_NOT_LIVE, WORD_NO_HANDLE };

static const char *const word_names[] = { "none", "live", "not live", "no handle" };

static enum word word_kind(struct upcall_peer *peer, uint64_t word, struct upcall_stat *stat)
{
	int err;

	if (!word)
		return WORD_NONE;
	err = word > UPCALL_MAX_HANDLE ? -ESTALE : upcall_stat(peer, word, stat, sizeof(*stat));
	if (err == -EACCES) {
		*stat = (struct upcall_stat){ .pid = UINT32_MAX };
		return WORD_LIVE;
	}
	if (err)
		return WORD_NO_HANDLE;
	return stat->state == UPCALL_STATE_LIVE ? WORD_LIVE : WORD_NOT_LIVE;
}

static void print_owner(const struct upcall_stat *stat)
{
	printf("\"%s\", owned by process %s of user %s",
	       text_escape(stat->label, sizeof(stat->label)).s, text_process(stat->pid).s,
	       text_user(stat->uid).s);
}

static void print_word(struct upcall_peer *peer, uint64_t word)
{
	struct upcall_stat stat;
	enum word kind = word_kind(peer, word, &stat);

	if (kind == WORD_NONE)
		return;
	printf("; the word it left: 0x%" PRIx64, word);
	if (kind == WORD_NOT_LIVE) {
		printf(", a handle that is %s, too: %s", upcall_state_name(stat.state),
		       stat_death(&stat).s);
	} else if (kind == WORD_LIVE) {
		printf(", use this handle instead: it is live");
		if (stat.pid != UINT32_MAX) {
			printf(", ");
			print_owner(&stat);
		}
	}
}

static void print_sentence(struct upcall_peer *peer, uint64_t handle, const struct upcall_stat *stat)
{
	printf("0x%" PRIx64 " is %s: ", handle, upcall_state_name(stat->state));
	if (stat->state == UPCALL_STATE_LIVE) {
		print_owner(stat);
		printf("\n");
		return;
	}
	printf("%s", stat_death(stat).s);
	if (stat->died_ns)
		printf(", %s ago", text_age(stat_died_ago(stat)).s);
	print_word(peer, stat->word);
	printf(stat->state == UPCALL_STATE_CLOSING ? "; calls of it still run\n" : "\n");
}

static const struct column columns[] = {
	COLUMN("handle", "handle"), COLUMN("state", "state"), COLUMN("reason", "reason"),
	COLUMN("why", "why"), COLUMN("exit code", "exit_code"), COLUMN("signal", "signal"),
	COLUMN("died, ago", "died_ago_ns"), COLUMN("word", "word"),
	COLUMN("the word is", "word_is"), { 0 },
};

/* A number, or null. */
static void add_if(struct table *table, bool has, uint32_t number)
{
	table_add_id(table, has ? number : UINT32_MAX, NULL);
}

static void print_record(struct upcall_peer *peer, uint64_t handle, const struct upcall_stat *stat)
{
	bool exited = stat->reason == UPCALL_REASON_EXITED;
	int status = (int)stat->exit_status;
	struct table table = { .columns = columns };
	struct upcall_stat other;
	struct text word;

	table_add_handle(&table, handle);
	table_add_text(&table, upcall_state_name(stat->state));
	table_add_text(&table, upcall_reason_name(stat->reason));
	table_add_text(&table, stat->reason ? stat_death(stat).s : "");
	add_if(&table, exited && WIFEXITED(status), WEXITSTATUS(status));
	add_if(&table, exited && WIFSIGNALED(status), WTERMSIG(status));
	table_add_age(&table, stat_died_ago(stat));
	text_print(&word, "0x%" PRIx64, (uint64_t)stat->word);
	table_add_text(&table, word.s);
	table_add_text(&table, word_names[word_kind(peer, stat->word, &other)]);
	table_print_record(&table, true);
	table_free(&table);
}

static int why_run(int argc, char **argv)
{
	struct upcall_peer *peer = tool_open();
	uint64_t handle;
	struct upcall_stat stat = stat_get(peer, "why", argv[0], &handle);

	(void)argc;
	if (json)
		print_record(peer, handle, &stat);
	else
		print_sentence(peer, handle, &stat);
	return 0;
}

const struct command command_why = {
	.name = "why",
	.operands = "NAME|HANDLE",
	.summary = "why a handle is dead, in a sentence",
	.notes = "The word that an owner left may be the handle of its successor: whether that is live,\n"
		 "is said, too.\n",
	.options = (const struct tool_option[]){
		{ 'J', "json", NULL, "for programs: times in nanoseconds" },
		{ 0 },
	},
	.option = why_option,
	.run = why_run,
	.operands_min = 1,
	.operands_max = 1,
};
