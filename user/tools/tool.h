/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of the upcall command share.
 *
 *	main.c		the table of commands
 *	option.c	options and their help, from one table per command
 *	target.c	NAME or HANDLE
 *	failure.c	exit codes, and what went wrong in words
 *	text.c table.c	values for people; rows of them, or JSON
 *	call.c ls.c ...	one file per command
 *	serve.c		"upcall serve": its options
 *	server.c job.c	its loop; one run of COMMAND
 */
#ifndef UPCALL_TOOL_H
#define UPCALL_TOOL_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <upcall.h>

/*
 * Exit codes of "call" and "notify" that are not the callback's status. The one
 * table of them is exit_codes[] in failure.c.
 */
enum exit_code {
	EXIT_NO			= 1,	/* other commands: the answer is no */
	EXIT_NOT_DELIVERED	= 120,
	EXIT_DELIVERED		= 121,
	EXIT_REPLIED		= 122,
	EXIT_STATUS		= 123,
	EXIT_LOCAL		= 124,
	EXIT_USAGE		= 125,
};

/* ---- main.c ---- */

/**
 * struct tool_option - An option of a command
 * @letter: Short form, and its name in struct command's @option; 0 ends the table. Above 127:
 *	it has no short form.
 * @name: Long form.
 * @value: What --help calls its value; NULL: it takes none.
 * @help: One line for --help.
 */
struct tool_option {
	int letter;
	const char *name;
	const char *value;
	const char *help;
};

/**
 * struct command - One command
 * @name: As typed.
 * @operands: What follows the options, for --help.
 * @summary: One line.
 * @notes: Further lines for --help, or NULL.
 * @options: Ends with letter 0.
 * @option: Takes note of an option; dies if its value is wrong.
 * @run: Gets the operands. Returns the exit code.
 * @operands_min: How many operands it needs.
 * @operands_max: How many it takes.
 */
struct command {
	const char *name;
	const char *operands;
	const char *summary;
	const char *notes;
	const struct tool_option *options;
	void (*option)(int letter, const char *value);
	int (*run)(int argc, char **argv);
	int operands_min;
	int operands_max;
};

extern const struct command command_serve, command_call, command_notify, command_ls,
	command_stat, command_why, command_revoke, command_info, command_stub;

void tool_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tool_die(int code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
struct upcall_peer *tool_open(void);
void tool_flush(void);

/* ---- option.c ---- */

int option_parse(const struct command *command, int argc, char **argv);
uint64_t option_number(const char *name, const char *value, uint64_t min, uint64_t max);
uint64_t option_size(const char *name, const char *value, uint64_t max);
uint64_t option_duration(const char *name, const char *value);
uint64_t option_signature(const char *value);
uint32_t option_user(const char *name, const char *value);
uint32_t option_group(const char *name, const char *value);

/* ---- target.c ---- */

bool target_is_handle(const char *text, uint64_t *handle);
uint64_t target_handle(struct upcall_peer *peer, const char *text);
const char *target_error(int err);

/* ---- failure.c ---- */

/**
 * struct attempt - A call or notification as the user asked for it
 * @verb: "call" or "notify".
 * @target: NAME or HANDLE, as typed.
 * @oneway: No answer is wanted.
 */
struct attempt {
	const char *verb;
	const char *target;
	bool oneway;
};

void failure_print_codes(void);
int failure_report(const struct attempt *attempt, int err, const struct upcall_call *call);
int failure_report_local(const struct attempt *attempt, int err, const char *meaning);
int failure_status(const struct attempt *attempt, const struct upcall_call *call);

/* ---- ls.c ---- */

bool ls_find(struct upcall_peer *peer, uint64_t handle, struct upcall_list_callback *record);

/* ---- text.c ---- */

/* Text by value: nobody owns memory. Ends with a NUL, and is cut where it does not fit. */
struct text {
	char s[1024];
};

int text_parse_number(const char *text, uint64_t *value);
int text_parse_duration(const char *text, uint64_t *ns);
int text_parse_size(const char *text, uint64_t *bytes);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct text text_age(uint64_t ns);
struct text text_escape(const char *bytes, size_t len);
struct text text_process(uint32_t pid);
struct text text_user(uint32_t uid);
struct text text_access(uint32_t access, uint32_t id);
uint64_t text_now(void);

/* ---- table.c ---- */

/**
 * struct column - A column of a table; a NULL title ends the list
 * @title: Heading, for people.
 * @key: Name in JSON.
 * @right: Aligned to the right, as numbers are.
 */
struct column {
	const char *title;
	const char *key;
	bool right;
};

#define COLUMN(title, key)		{ title, key, false }
#define COLUMN_RIGHT(title, key)	{ title, key, true }

/**
 * struct table - Rows, filled cell by cell
 * @columns: What the cells of a row are.
 * @cells: Owned; row by row.
 * @count: Cells.
 * @room: Cells that there is memory for.
 */
struct table {
	const struct column *columns;
	struct cell *cells;
	size_t count;
	size_t room;
};

void table_add_text(struct table *table, const char *text);
void table_add_number(struct table *table, uint64_t value);
void table_add_id(struct table *table, uint32_t id, const char *text);
void table_add_handle(struct table *table, uint64_t handle);
void table_add_age(struct table *table, uint64_t ns);
void table_print(const struct table *table, bool json);
void table_print_record(const struct table *table, bool json);
void table_free(struct table *table);

/* ---- job.c ---- */

/**
 * struct job_plan - What to run
 * @argv: COMMAND and its arguments, ends with NULL; looked for in PATH.
 * @input: Becomes its stdin.
 * @input_len: Bytes.
 * @output_limit: Bytes of stdout to keep.
 * @capture: Read its stdout; else it has this process's.
 * @signals: Mask for the process.
 */
struct job_plan {
	char *const *argv;
	const void *input;
	size_t input_len;
	size_t output_limit;
	bool capture;
	sigset_t signals;
};

/**
 * struct job - One run of COMMAND, for one call
 * @next: In the server's list.
 * @incoming: The call; the server's business.
 * @pid: Of the process, and number of its group.
 * @out: Where its stdout is read; -1 at its end.
 * @output: Owned; what it wrote, @used bytes, room for @room.
 * @used: Bytes kept.
 * @room: Bytes that there is memory for.
 * @limit: Bytes to keep at most.
 * @written: Bytes it wrote, kept or not.
 * @err: -errno if its output could not be read to the end.
 * @exited: The process has; @exit_code is set.
 * @exit_code: 0 to 255, or 128 + signal.
 * @started_ns: CLOCK_MONOTONIC.
 * @stop_ns: When it is to be stopped, 0: never.
 * @kill_ns: When a stopped one is to be killed, 0: it was not stopped.
 * @killed: It was.
 */
struct job {
	struct job *next;
	struct upcall_incoming *incoming;
	pid_t pid;
	int out;
	char *output;
	size_t used;
	size_t room;
	size_t limit;
	uint64_t written;
	int err;
	bool exited;
	int exit_code;
	uint64_t started_ns;
	uint64_t stop_ns;
	uint64_t kill_ns;
	bool killed;
};

int job_start(struct job *job, const struct job_plan *plan);
void job_read(struct job *job);
bool job_ended(struct job *job);
void job_stop(struct job *job, uint64_t grace_ns);
void job_kill(struct job *job);
void job_free(struct job *job);

/* ---- server.c ---- */

/**
 * struct serve_options - What "upcall serve" was asked to do
 * @name: Published as; NULL: not at all.
 * @argv: COMMAND and its arguments, ends with NULL.
 * @jobs: How many may run at a time.
 * @calls: How many to take before it ends, 0: no end.
 * @max_reply: Bytes of output to keep.
 * @grace_ns: Between TERM and KILL.
 * @verbose: One line for each call.
 */
struct serve_options {
	const char *name;
	char *const *argv;
	uint32_t jobs;
	uint64_t calls;
	uint32_t max_reply;
	uint64_t grace_ns;
	bool verbose;
};

int server_run(const struct serve_options *options, struct upcall_peer *peer, uint64_t handle);

#endif /* UPCALL_TOOL_H */
