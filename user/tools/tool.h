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
 *	load.c load_async.c load_stats.c histogram.c	many calls, and their figures
 *	screen.c trace_event.c	what "top" draws on; what "trace" reads
 *	serve.c		"upcall serve": its options
 *	server.c job.c	its loop; one run of COMMAND
 *	environment.c	what COMMAND learns of its call
 *	child.c		the program that it hands a stub to
 *	successor.c store.c	how it takes over from the one before; the service manager
 */
#ifndef UPCALL_TOOL_H
#define UPCALL_TOOL_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
	command_stat, command_why, command_revoke, command_info, command_stub, command_trace,
	command_top;

void tool_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tool_die(int code, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
struct upcall_peer *tool_open(void);
struct upcall_peer *tool_open_stub(int fd);
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

/**
 * struct records - What a listing brought
 * @bytes: Owned; @count records, one behind the other.
 * @count: How many.
 */
struct records {
	char *bytes;
	size_t count;
};

struct records ls_collect(struct upcall_peer *peer, uint32_t what, size_t size,
			  int (*compare)(const void *a, const void *b));
bool ls_find(struct upcall_peer *peer, uint64_t handle, struct upcall_list_callback *record);

/* ---- stat.c ---- */

struct text stat_death(const struct upcall_stat *stat);
uint64_t stat_died_ago(const struct upcall_stat *stat);
struct upcall_stat stat_get(struct upcall_peer *peer, const char *verb, const char *text,
			    uint64_t *handle);

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
struct text text_span(uint64_t ns);
struct text text_json(const char *ascii);
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
void table_add_rate(struct table *table, uint64_t milli);
void table_add_span(struct table *table, uint64_t ns);
void table_write(const struct table *table, FILE *file);
void table_print(const struct table *table, bool json);
void table_print_lines(const struct table *table);
void table_print_record(const struct table *table, bool json);
void table_free(struct table *table);

/* ---- screen.c ---- */

/* What screen_wait() saw: a key as itself, or one of these */
enum screen_event { SCREEN_TIME = 256, SCREEN_RESIZED, SCREEN_END };

void screen_open(bool terminal);
void screen_show(const char *lines);
int screen_wait(uint64_t until_ns);
void screen_close(void);

/* ---- trace_event.c ---- */

enum trace_type {
	TRACE_REGISTERED, TRACE_RELEASED, TRACE_REFUSED, TRACE_QUEUED, TRACE_DELIVERED,
	TRACE_REPLIED, TRACE_ENDED, TRACE_TYPES,
};

/**
 * struct trace_event - What one line of the kernel's trace says
 * @type: Which event.
 * @time_ns: CLOCK_MONOTONIC.
 * @pid: The thread that it happened in.
 * @process: Its name, escaped.
 * @handle: Of the callback.
 * @label: Of the callback, escaped; "-" where it is not known.
 * @seq: Calls: number at that callback.
 * @caller: Calls: the peer that made it. Else: the callback's peer.
 * @op: Calls.
 * @flags: Calls: UPCALL_CALL_*.
 * @arg_len: Calls.
 * @reply_len: Calls.
 * @status: Calls: of the reply.
 * @err: 0 or a positive errno.
 * @stage: Calls: UPCALL_STAGE_*, of what the caller got.
 * @reason: Callbacks: UPCALL_REASON_*.
 * @calls: Callbacks: how many it got.
 * @queued_ns: From queued to delivered; 0: not known, or not yet, as the next two.
 * @run_ns: From delivered to the reply or the end.
 * @total_ns: From queued to the end.
 */
struct trace_event {
	enum trace_type type;
	uint64_t time_ns;
	uint32_t pid;
	struct text process;
	uint64_t handle;
	struct text label;
	uint64_t seq;
	int32_t caller;
	uint32_t op;
	uint32_t flags;
	uint32_t arg_len;
	uint32_t reply_len;
	int32_t status;
	uint32_t err;
	uint32_t stage;
	uint32_t reason;
	uint64_t calls;
	uint64_t queued_ns;
	uint64_t run_ns;
	uint64_t total_ns;
};

int trace_type_find(const char *name);
void trace_label(uint64_t handle, const char *label, size_t len);
bool trace_parse(struct trace_event *event, const char *line);
bool trace_failed(const struct trace_event *event);
void trace_print(const struct trace_event *event, bool json);

/* ---- histogram.c ---- */

#define HISTOGRAM_BITS		6	/* buckets to each power of two, as a power of two */
#define HISTOGRAM_BUCKETS	((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

/**
 * struct histogram - Values counted by size
 * @buckets: How many fell into each.
 * @count: How many in all.
 * @max: The largest.
 */
struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count;
	uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *histogram, const struct histogram *other);
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* ---- load.c ---- */

/**
 * struct load - Many calls, and how they are made
 * @attempt: Whom, in words.
 * @peer: Who calls.
 * @handle: Whom.
 * @count: How many.
 * @parallel: How many at a time: threads, or with @async calls of one thread.
 * @async: One thread makes them all.
 * @op: Which operation.
 * @arg: The argument.
 * @len: Bytes of it.
 * @timeout_ns: For each; UPCALL_NO_DEADLINE: none.
 * @max_reply: Longest reply to accept.
 * @signature: With @has_signature.
 * @has_signature: Name it.
 * @latest: Notifications: out of date once there is a newer one.
 * @wait_room: Notifications: wait for room.
 * @json: Figures for programs.
 * @progress: Say how far it is, though stderr is no terminal.
 */
struct load {
	const struct attempt *attempt;
	struct upcall_peer *peer;
	uint64_t handle;
	uint64_t count;
	uint32_t parallel;
	bool async;
	uint32_t op;
	const void *arg;
	size_t len;
	uint64_t timeout_ns;
	uint32_t max_reply;
	uint64_t signature;
	bool has_signature;
	bool latest;
	bool wait_room;
	bool json;
	bool progress;
};

#define LOAD_OUTCOMES	64	/* that are told apart; the last takes all others */

/**
 * struct load_stats - What became of calls
 * @queued: From queued to delivered, of those that were.
 * @run: From delivered to the answer.
 * @total: From queued to the answer; of a notification, how long sending it took.
 * @done: How many.
 * @good: How many ran to their end with status 0, or were queued as notifications.
 * @outcomes: Each errno, stage and status that there was; @outcome_count.
 * @outcome_count: How many of them.
 */
struct load_stats {
	struct histogram queued, run, total;
	uint64_t done;
	uint64_t good;
	struct load_outcome {
		int err;
		uint32_t stage;
		int32_t status;
		uint64_t count;
	} outcomes[LOAD_OUTCOMES];
	size_t outcome_count;
};

int load_run(const struct load *load);
bool load_next(void);
bool load_stopped(void);
uint64_t load_deadline(const struct load *load);
void load_async(const struct load *load, struct load_stats *stats);

/* ---- load_stats.c ---- */

void load_stats_add(struct load_stats *stats, int err, uint32_t stage, int32_t status);
void load_stats_merge(struct load_stats *stats, const struct load_stats *other);
void load_report(const struct load *load, const struct load_stats *stats, uint64_t elapsed_ns,
		 bool interrupted);

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

/* ---- child.c ---- */

/**
 * struct child - The program of "serve --exec"
 * @command: For sh -c; NULL: there is none.
 * @pid: Of the process; 0: it was not started, or has ended.
 * @exit_code: 0 to 255, or 128 + signal.
 */
struct child {
	const char *command;
	pid_t pid;
	int exit_code;
};

void child_start(struct child *child, struct upcall_peer *peer, uint64_t handle,
		 const sigset_t *signals);
bool child_ended(struct child *child);
void child_signal(const struct child *child, int number);

/* ---- store.c ---- */

int store_take(void);
void store_ready(int peer_fd);

/* ---- successor.c ---- */

struct upcall_peer *successor_open(int fd, uint64_t *number);
uint64_t successor_callback(struct upcall_peer *peer, uint64_t number, const char *label);

/* ---- server.c ---- */

/**
 * struct serve_options - What "upcall serve" was asked to do
 * @name: Published as; NULL: not at all.
 * @exec: A program that gets a stub, for sh -c; NULL: none.
 * @adoptable: A signal ends the process, and leaves the callback to a successor.
 * @argv: COMMAND and its arguments, ends with NULL.
 * @jobs: How many may run at a time.
 * @calls: How many to take before it ends, 0: no end.
 * @max_reply: Bytes of output to keep.
 * @grace_ns: Between TERM and KILL.
 * @verbose: One line for each call.
 */
struct serve_options {
	const char *name;
	const char *exec;
	bool adoptable;
	char *const *argv;
	uint32_t jobs;
	uint64_t calls;
	uint32_t max_reply;
	uint64_t grace_ns;
	bool verbose;
};

void environment_set(const struct serve_options *options, uint64_t handle,
		     const struct upcall_incoming *call);	/* environment.c */
int server_run(const struct serve_options *options, struct upcall_peer *peer, uint64_t handle);

#endif /* UPCALL_TOOL_H */
