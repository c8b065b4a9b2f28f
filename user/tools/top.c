// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * "upcall top": which callbacks are busy, and whose. The kernel counts; what is shown is the
 * difference of two listings.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

/* What rows have numbers of, and can be sorted by */
enum value { RATE, QUEUED, RUNNING, WAIT, RUN, REFUSED, CALLS, BYTES, CALLBACKS, VALUES };

static const struct {
	const char *name;
	bool callbacks, users;	/* in which table */
} keys[VALUES] = {
	[RATE] = { "rate", true, true }, [QUEUED] = { "queued", true, true },
	[RUNNING] = { "running", true, false }, [WAIT] = { "wait", true, false },
	[RUN] = { "run", true, false }, [REFUSED] = { "refused", true, true },
	[CALLS] = { "calls", true, false }, [BYTES] = { "bytes", false, true },
	[CALLBACKS] = { "callbacks", false, true },
};

static struct {
	bool json, batch, users;
	uint64_t interval_ns, count;
	enum value sort;
} options = { .interval_ns = 1000000000 };

/* One moment */
struct sample {
	uint64_t time_ns;
	struct records callbacks, users;
};

/* What a callback or a user did between two of them; rates are in 1000 seconds */
struct row {
	uint64_t handle;
	struct text label;
	uint32_t pid, uid;
	uint64_t values[VALUES];
};

struct rows {
	struct row *rows;
	size_t count;
};

#define CALLBACK_COLUMNS								\
	COLUMN("HANDLE", "handle"), COLUMN("LABEL", "label"), COLUMN("OWNER", "owner_pid"),	\
	COLUMN("USER", "owner_uid"), COLUMN_RIGHT("CALLS/S", "rate"),			\
	COLUMN_RIGHT("QUEUED", "queued"), COLUMN_RIGHT("RUNNING", "running"),		\
	COLUMN_RIGHT("WAIT", "wait_ns"), COLUMN_RIGHT("RUN", "run_ns"),			\
	COLUMN_RIGHT("REFUSED/S", "refused_rate"), COLUMN_RIGHT("CALLS", "calls"), { 0 }

#define USER_COLUMNS									\
	COLUMN("USER", "uid"), COLUMN_RIGHT("CALLBACKS", "callbacks"),			\
	COLUMN_RIGHT("CALLS/S", "rate"), COLUMN_RIGHT("REFUSED/S", "refused_rate"),	\
	COLUMN_RIGHT("UNDER WAY", "queued"), COLUMN_RIGHT("BYTES", "queued_bytes"), { 0 }

/* The first is for programs only */
static const struct column callback_columns[] = { COLUMN("TIME", "time_ns"), CALLBACK_COLUMNS };
static const struct column user_columns[] = { COLUMN("TIME", "time_ns"), USER_COLUMNS };

static void top_option(int letter, const char *value)
{
	switch (letter) {
	case 'i':
		options.interval_ns = option_duration("interval", value);
		if (options.interval_ns < 10000000)
			tool_die(EXIT_USAGE, "--interval: at least 10ms");
		break;
	case 'n':
		options.count = option_number("iterations", value, 1, UINT64_MAX);
		break;
	case 's':
		for (options.sort = 0; strcmp(keys[options.sort].name, value);)
			if (++options.sort == VALUES)
				tool_die(EXIT_USAGE, "--sort: \"%s\" is no key: \"upcall top --help\" lists them",
					 text_escape(value, SIZE_MAX).s);
		break;
	case 'u':
		options.users = true;
		break;
	case 'J':
		options.json = true;
		break;
	case 'b':
		options.batch = true;
		break;
	}
}

static bool has_key(enum value key)
{
	return options.users ? keys[key].users : keys[key].callbacks;
}

static void next_key(void)
{
	do
		options.sort = (options.sort + 1) % VALUES;
	while (!has_key(options.sort));
}

static int compare_callbacks(const void *a, const void *b)
{
	const struct upcall_list_callback *left = a, *right = b;

	return (left->handle > right->handle) - (left->handle < right->handle);
}

static int compare_users(const void *a, const void *b)
{
	const struct upcall_list_user *left = a, *right = b;

	if (left->uid != right->uid)
		return left->uid > right->uid ? 1 : -1;
	return (left->depth > right->depth) - (left->depth < right->depth);
}

static struct sample sample_take(struct upcall_peer *peer)
{
	return (struct sample){
		.time_ns = text_now(),
		.callbacks = ls_collect(peer, UPCALL_LIST_CALLBACKS,
					sizeof(struct upcall_list_callback), compare_callbacks),
		.users = ls_collect(peer, UPCALL_LIST_USERS, sizeof(struct upcall_list_user),
				    compare_users),
	};
}

static void sample_free(struct sample *sample)
{
	free(sample->callbacks.bytes);
	free(sample->users.bytes);
}

static uint64_t mean(uint64_t sum, uint64_t before, uint64_t count, uint64_t count_before)
{
	return sum > before && count > count_before ? (sum - before) / (count - count_before) : 0;
}

static struct row callback_row(const struct sample *from, const struct sample *to,
			       const struct upcall_list_callback *c)
{
	static const struct upcall_list_callback none;
	const struct upcall_list_callback *old = NULL;
	double scale = 1e12 / (to->time_ns - from->time_ns);
	struct row row = { .handle = c->handle, .pid = c->pid, .uid = c->uid };

	/* One that is new has done all it did since then */
	if (from->callbacks.count)
		old = bsearch(c, from->callbacks.bytes, from->callbacks.count, sizeof(*c),
			      compare_callbacks);
	if (!old)
		old = &none;
	row.label = text_escape(c->label, sizeof(c->label));
	row.values[RATE] = (c->calls - old->calls) * scale;
	row.values[REFUSED] = (c->refused - old->refused) * scale;
	row.values[QUEUED] = c->queued;
	row.values[RUNNING] = c->running;
	row.values[CALLS] = c->calls;
	row.values[WAIT] = mean(c->queued_ns, old->queued_ns, c->calls - c->queued,
				old->calls - old->queued);
	row.values[RUN] = mean(c->run_ns, old->run_ns, c->calls - c->queued - c->running,
			       old->calls - old->queued - old->running);
	return row;
}

static struct rows rows_new(size_t count)
{
	struct rows rows = { calloc(count + 1, sizeof(struct row)), count };

	if (!rows.rows)
		tool_die(EXIT_LOCAL, "out of memory");
	return rows;
}

static struct rows callback_rows(const struct sample *from, const struct sample *to)
{
	const struct upcall_list_callback *c = (const void *)to->callbacks.bytes;
	struct rows all = rows_new(to->callbacks.count);

	for (size_t i = 0; i < all.count; i++)
		all.rows[i] = callback_row(from, to, &c[i]);
	return all;
}

/* A user has one line for each depth of user namespaces; what his callbacks do is in the first. */
static struct rows user_rows(const struct sample *to, const struct rows *callbacks)
{
	const struct upcall_list_user *u = (const void *)to->users.bytes;
	struct rows all = rows_new(to->users.count);

	for (size_t i = 0; i < all.count; i++) {
		struct row *row = &all.rows[i];

		row->uid = u[i].uid;
		row->values[CALLBACKS] = u[i].callbacks;
		row->values[QUEUED] = u[i].queued_calls;
		row->values[BYTES] = u[i].queued_bytes;
		for (size_t k = 0; k < callbacks->count; k++) {
			if (callbacks->rows[k].uid != row->uid || (i && u[i - 1].uid == row->uid))
				continue;
			row->values[RATE] += callbacks->rows[k].values[RATE];
			row->values[REFUSED] += callbacks->rows[k].values[REFUSED];
		}
	}
	return all;
}

/* The largest first; those that are equal in an order that stays */
static int compare_rows(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	uint64_t l = left->values[options.sort], r = right->values[options.sort];

	if (l != r)
		return l < r ? 1 : -1;
	if (left->handle != right->handle)
		return left->handle > right->handle ? 1 : -1;
	return (left->uid > right->uid) - (left->uid < right->uid);
}

static void add_row(struct table *table, const struct row *row)
{
	const uint64_t *v = row->values;

	if (options.users) {
		table_add_id(table, row->uid, text_user(row->uid).s);
		table_add_number(table, v[CALLBACKS]);
		table_add_rate(table, v[RATE]);
		table_add_rate(table, v[REFUSED]);
		table_add_number(table, v[QUEUED]);
		table_add_number(table, v[BYTES]);
		return;
	}
	table_add_handle(table, row->handle);
	table_add_text(table, row->label.s);
	table_add_id(table, row->pid, text_process(row->pid).s);
	table_add_id(table, row->uid, text_user(row->uid).s);
	table_add_rate(table, v[RATE]);
	table_add_number(table, v[QUEUED]);
	table_add_number(table, v[RUNNING]);
	table_add_span(table, v[WAIT]);
	table_add_span(table, v[RUN]);
	table_add_rate(table, v[REFUSED]);
	table_add_number(table, v[CALLS]);
}

static struct table make_table(const struct rows *rows, uint64_t time_ns)
{
	const struct column *columns = options.users ? user_columns : callback_columns;
	struct table table = { .columns = columns + !options.json };

	for (size_t i = 0; i < rows->count; i++) {
		if (options.json)
			table_add_number(&table, time_ns);
		add_row(&table, &rows->rows[i]);
	}
	return table;
}

static void write_summary(FILE *file, const struct rows *callbacks, bool keys_work)
{
	uint64_t rate = 0, refused = 0, queued = 0, running = 0;

	for (size_t i = 0; i < callbacks->count; i++) {
		rate += callbacks->rows[i].values[RATE];
		refused += callbacks->rows[i].values[REFUSED];
		queued += callbacks->rows[i].values[QUEUED];
		running += callbacks->rows[i].values[RUNNING];
	}
	fprintf(file, "%zu callback%s, %.1f calls/s, %" PRIu64 " queued, %" PRIu64 " running, %.1f refused/s\n",
		callbacks->count, callbacks->count == 1 ? "" : "s", rate / 1e3, queued, running,
		refused / 1e3);
	if (keys_work)
		fprintf(file, "sorted by %s (s: another), u: %s, q: quit\n\n", keys[options.sort].name,
			options.users ? "callbacks" : "users");
}

static void show(const struct sample *from, const struct sample *to, bool terminal)
{
	struct rows callbacks = callback_rows(from, to);
	struct rows shown = options.users ? user_rows(to, &callbacks) : callbacks;
	struct table table;
	char *lines = NULL;
	size_t len;
	FILE *file;

	qsort(shown.rows, shown.count, sizeof(struct row), compare_rows);
	table = make_table(&shown, to->time_ns);
	if (options.json) {
		table_print_lines(&table);
	} else {
		file = open_memstream(&lines, &len);
		if (!file)
			tool_die(EXIT_LOCAL, "out of memory");
		write_summary(file, &callbacks, terminal);
		table_write(&table, file);
		fclose(file);
		if (terminal)
			screen_show(lines);
		else
			printf("%s\n", lines);
		free(lines);
	}
	if (!terminal)
		tool_flush();
	table_free(&table);
	free(callbacks.rows);
	if (options.users)
		free(shown.rows);
}

/* Returns false if that was the end. */
static bool take_key(int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		return false;
	case 's':
		next_key();
		break;
	case 'u':
		options.users = !options.users;
		if (!has_key(options.sort))
			options.sort = RATE;
		break;
	}
	return true;
}

static void top_loop(struct upcall_peer *peer, bool terminal)
{
	struct sample from = sample_take(peer), to = { 0 };
	/* The first screen soon; what is read by programs is of full intervals */
	uint64_t next = from.time_ns + (terminal && options.interval_ns > 250000000 ? 250000000 :
					options.interval_ns);
	int event;

	for (uint64_t shown = 0; !options.count || shown < options.count;) {
		event = screen_wait(next);
		if (event == SCREEN_END || (event < SCREEN_TIME && !take_key(event)))
			break;
		if (event == SCREEN_TIME) {
			if (to.time_ns) {
				sample_free(&from);
				from = to;
			}
			to = sample_take(peer);
			next = to.time_ns + options.interval_ns;
			shown++;
		}
		if (to.time_ns && (event == SCREEN_TIME || terminal))
			show(&from, &to, terminal);
	}
	sample_free(&from);
	sample_free(&to);
}

static int top_run(int argc, char **argv)
{
	struct upcall_peer *peer = tool_open();
	bool terminal = !options.batch && !options.json && isatty(STDOUT_FILENO);

	(void)argc;
	(void)argv;
	if (!has_key(options.sort))
		tool_die(EXIT_USAGE, "top: there is no \"%s\" %s", keys[options.sort].name,
			 options.users ? "of users" : "without --users");
	screen_open(terminal);
	top_loop(peer, terminal);
	screen_close();
	upcall_close(peer);
	return 0;
}

const struct command command_top = {
	.name = "top",
	.operands = "",
	.summary = "show which callbacks are busy, again and again",
	.notes = "KEY is rate, queued, running, wait, run, refused or calls; of users rate, queued, refused,\n"
		 "bytes or callbacks. WAIT and RUN are means of the interval. On a terminal: s sorts by the\n"
		 "next key, u changes between callbacks and users, q ends.\n"
		 "Shows what is yours; for an administrator, what is anyone's.\n",
	.options = (const struct tool_option[]){
		{ 'i', "interval", "DURATION", "between two samples (1s)" },
		{ 'n', "iterations", "N", "end after N of them" },
		{ 's', "sort", "KEY", "the largest first (rate)" },
		{ 'u', "users", NULL, "users, not callbacks" },
		{ 'b', "batch", NULL, "one table after the other, as where stdout is no terminal" },
		{ 'J', "json", NULL, "for programs: an object for each row and line" },
		{ 0 },
	},
	.option = top_option,
	.run = top_run,
};
