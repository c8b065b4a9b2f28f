// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall ls": callbacks, calls, peers, users, names. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static struct {
	int what;		/* UPCALL_LIST_*, or LIST_NAMES */
	bool json;
} options = { .what = UPCALL_LIST_CALLBACKS };

#define LIST_NAMES	0

/**
 * ls_collect() - All records of one kind, sorted
 * @peer: Any peer.
 * @what: UPCALL_LIST_*.
 * @size: sizeof its record type.
 * @compare: Order, as of qsort(3).
 *
 * Return: the records; the caller frees @bytes. Dies if they cannot be had.
 */
struct records ls_collect(struct upcall_peer *peer, uint32_t what, size_t size,
			  int (*compare)(const void *a, const void *b))
{
	struct upcall_listing *listing;
	struct records all = { 0 };
	const void *record;
	int ret = upcall_listing_new(peer, what, size, &listing);

	while (!ret && (ret = upcall_listing_next(listing, &record)) > 0) {
		all.bytes = reallocarray(all.bytes, all.count + 1, size);
		if (!all.bytes)
			tool_die(EXIT_LOCAL, "out of memory");
		memcpy(all.bytes + all.count++ * size, record, size);
		ret = 0;
	}
	if (ret < 0)
		tool_die(EXIT_NO, "listing: %s (%s)", upcall_errname(ret), upcall_strerror(ret));
	upcall_listing_free(listing);
	if (all.count)
		qsort(all.bytes, all.count, size, compare);
	return all;
}

/**
 * ls_find() - A callback as a listing shows it, with its counters
 * @peer: Any peer.
 * @handle: Whose.
 * @record: Set if it was found.
 *
 * Return: false if it is not live, or not to be seen by this user.
 */
bool ls_find(struct upcall_peer *peer, uint64_t handle, struct upcall_list_callback *record)
{
	struct upcall_listing *listing;
	bool found = false;
	const void *next;

	if (upcall_listing_new(peer, UPCALL_LIST_CALLBACKS, sizeof(*record), &listing))
		return false;
	while (!found && upcall_listing_next(listing, &next) > 0) {
		memcpy(record, next, sizeof(*record));
		found = record->handle == handle;
	}
	upcall_listing_free(listing);
	return found;
}

static int compare_callbacks(const void *a, const void *b)
{
	const struct upcall_list_callback *left = a, *right = b;
	int order = strncmp(left->label, right->label, UPCALL_MAX_LABEL);

	return order ? order : (left->handle > right->handle) - (left->handle < right->handle);
}

static void list_callbacks(struct upcall_peer *peer, struct table *table)
{
	struct records all = ls_collect(peer, UPCALL_LIST_CALLBACKS,
					sizeof(struct upcall_list_callback), compare_callbacks);
	const struct upcall_list_callback *c = (const void *)all.bytes;
	uint64_t now = text_now();

	for (; all.count--; c++) {
		table_add_handle(table, c->handle);
		table_add_text(table, text_escape(c->label, sizeof(c->label)).s);
		table_add_id(table, c->pid, text_process(c->pid).s);
		table_add_id(table, c->uid, text_user(c->uid).s);
		table_add_text(table, text_access(c->access, c->access_id).s);
		table_add_text(table, upcall_state_name(c->state));
		table_add_number(table, c->queued);
		table_add_number(table, c->running);
		table_add_number(table, c->calls);
		table_add_age(table, now - c->registered_ns);
	}
	free(all.bytes);
}

static int compare_calls(const void *a, const void *b)
{
	const struct upcall_list_call *left = a, *right = b;

	return (left->age_ns < right->age_ns) - (left->age_ns > right->age_ns);
}

static const char *call_kind(const struct upcall_list_call *call)
{
	if (call->flags & UPCALL_CALL_ONEWAY)
		return "notify";
	return call->flags & UPCALL_CALL_LEFT ? "left" : "call";
}

static void list_calls(struct upcall_peer *peer, struct table *table)
{
	struct records all = ls_collect(peer, UPCALL_LIST_CALLS, sizeof(struct upcall_list_call),
					compare_calls);
	const struct upcall_list_call *c = (const void *)all.bytes;

	for (; all.count--; c++) {
		bool queued = c->stage == UPCALL_STAGE_NOT_DELIVERED;

		table_add_id(table, c->caller_pid, text_process(c->caller_pid).s);
		table_add_id(table, c->owner_pid, text_process(c->owner_pid).s);
		table_add_handle(table, c->handle);
		table_add_text(table, text_escape(c->label, sizeof(c->label)).s);
		table_add_text(table, call_kind(c));
		table_add_text(table, queued ? "queued" : "running");
		table_add_age(table, c->age_ns);
		table_add_number(table, c->op);
		table_add_number(table, c->arg_len);
		table_add_id(table, c->caller_uid, text_user(c->caller_uid).s);
	}
	free(all.bytes);
}

static int compare_peers(const void *a, const void *b)
{
	const struct upcall_list_peer *left = a, *right = b;

	return (left->peer > right->peer) - (left->peer < right->peer);
}

static void list_peers(struct upcall_peer *peer, struct table *table)
{
	struct records all = ls_collect(peer, UPCALL_LIST_PEERS, sizeof(struct upcall_list_peer),
					compare_peers);
	const struct upcall_list_peer *p = (const void *)all.bytes;

	for (; all.count--; p++) {
		table_add_number(table, p->peer);
		table_add_id(table, p->pid, text_process(p->pid).s);
		table_add_id(table, p->uid, text_user(p->uid).s);
		table_add_number(table, p->callbacks);
		table_add_number(table, p->queued);
		table_add_number(table, p->running);
		table_add_number(table, p->waiting);
		table_add_number(table, p->receivers);
		table_add_text(table, p->ended ? "ended" : "live");
	}
	free(all.bytes);
}

static int compare_users(const void *a, const void *b)
{
	const struct upcall_list_user *left = a, *right = b;

	return (left->uid > right->uid) - (left->uid < right->uid);
}

static void list_users(struct upcall_peer *peer, struct table *table)
{
	struct records all = ls_collect(peer, UPCALL_LIST_USERS, sizeof(struct upcall_list_user),
					compare_users);
	const struct upcall_list_user *u = (const void *)all.bytes;

	for (; all.count--; u++) {
		table_add_id(table, u->uid, text_user(u->uid).s);
		table_add_number(table, u->depth);
		table_add_number(table, u->callbacks);
		table_add_number(table, u->queued_calls);
		table_add_number(table, u->queued_bytes);
	}
	free(all.bytes);
}

static void add_name(struct upcall_peer *peer, struct table *table, const char *name)
{
	struct upcall_stat stat = { 0 };
	uint64_t handle;
	int err = upcall_lookup(peer, name, &handle);

	if (err && err != -ESTALE)
		return;
	if (!err)
		err = upcall_stat(peer, handle, &stat, sizeof(stat));
	table_add_text(table, name);
	table_add_handle(table, err == -ESTALE ? 0 : handle);
	table_add_text(table, err == -EACCES ? "live" : err ? "dead" :
		       upcall_state_name(stat.state));
	table_add_id(table, err || stat.state == UPCALL_STATE_DEAD ? UINT32_MAX : stat.pid,
		     text_process(stat.pid).s);
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void list_names_in(struct upcall_peer *peer, struct table *table, const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, visible, alphasort);

	for (int i = 0; i < count; i++) {
		add_name(peer, table, entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* Where the library looks, in its order */
static void list_names(struct upcall_peer *peer, struct table *table)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct text directory;

	if (runtime && *runtime) {
		text_print(&directory, "%s/upcall", runtime);
		list_names_in(peer, table, directory.s);
	}
	list_names_in(peer, table, "/run/upcall");
}

static const struct {
	struct column columns[12];
	void (*fill)(struct upcall_peer *peer, struct table *table);
} lists[] = {
	[LIST_NAMES] = { {
		COLUMN("NAME", "name"), COLUMN("HANDLE", "handle"), COLUMN("STATE", "state"),
		COLUMN("OWNER", "owner_pid"),
	}, list_names },
	[UPCALL_LIST_CALLBACKS] = { {
		COLUMN("HANDLE", "handle"), COLUMN("LABEL", "label"), COLUMN("OWNER", "owner_pid"),
		COLUMN("USER", "owner_uid"), COLUMN("ACCESS", "access"), COLUMN("STATE", "state"),
		COLUMN_RIGHT("QUEUED", "queued"), COLUMN_RIGHT("RUNNING", "running"),
		COLUMN_RIGHT("CALLS", "calls"), COLUMN_RIGHT("AGE", "age_ns"),
	}, list_callbacks },
	[UPCALL_LIST_PEERS] = { {
		COLUMN_RIGHT("PEER", "peer"), COLUMN("PROCESS", "pid"), COLUMN("USER", "uid"),
		COLUMN_RIGHT("CALLBACKS", "callbacks"), COLUMN_RIGHT("QUEUED", "queued"),
		COLUMN_RIGHT("RUNNING", "running"), COLUMN_RIGHT("WAITING", "waiting"),
		COLUMN_RIGHT("RECEIVERS", "receivers"), COLUMN("STATE", "state"),
	}, list_peers },
	[UPCALL_LIST_CALLS] = { {
		COLUMN("CALLER", "caller_pid"), COLUMN("WAITS FOR", "owner_pid"), COLUMN("HANDLE", "handle"),
		COLUMN("LABEL", "label"), COLUMN("KIND", "kind"), COLUMN("STATE", "state"),
		COLUMN_RIGHT("AGE", "age_ns"), COLUMN_RIGHT("OP", "op"), COLUMN_RIGHT("BYTES", "arg_len"),
		COLUMN("USER", "caller_uid"),
	}, list_calls },
	[UPCALL_LIST_USERS] = { {
		COLUMN("USER", "uid"), COLUMN_RIGHT("DEPTH", "depth"), COLUMN_RIGHT("CALLBACKS", "callbacks"),
		COLUMN_RIGHT("CALLS", "queued_calls"), COLUMN_RIGHT("BYTES", "queued_bytes"),
	}, list_users },
};

static void ls_option(int letter, const char *value)
{
	(void)value;
	switch (letter) {
	case 'c':
		options.what = UPCALL_LIST_CALLS;
		break;
	case 'p':
		options.what = UPCALL_LIST_PEERS;
		break;
	case 'u':
		options.what = UPCALL_LIST_USERS;
		break;
	case 'n':
		options.what = LIST_NAMES;
		break;
	case 'J':
		options.json = true;
		break;
	}
}

static int ls_run(int argc, char **argv)
{
	struct table table = { .columns = lists[options.what].columns };

	(void)argc;
	(void)argv;
	lists[options.what].fill(tool_open(), &table);
	table_print(&table, options.json);
	table_free(&table);
	return 0;
}

const struct command command_ls = {
	.name = "ls",
	.operands = "",
	.summary = "list callbacks; or calls, peers, users, names",
	.notes = "Shows what is yours; for an administrator, what is anyone's.\n",
	.options = (const struct tool_option[]){
		{ 'c', "calls", NULL, "who waits for whom" },
		{ 'p', "peers", NULL, "open files of the device" },
		{ 'u', "users", NULL, "what is counted against each user" },
		{ 'n', "names", NULL, "what is published under which name" },
		{ 'J', "json", NULL, "for programs: times in nanoseconds" },
		{ 0 },
	},
	.option = ls_option,
	.run = ls_run,
};
