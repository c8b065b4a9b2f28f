// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall info": what the module is. */
#include <inttypes.h>
#include <stdio.h>

#include "tool.h"

static bool json;

static void info_option(int letter, const char *value)
{
	(void)value;
	if (letter == 'J')
		json = true;
}

static const struct {
	uint64_t bit;
	const char *name;
} features[] = {
	{ UPCALL_FEATURE_SYNC,		"sync" },
	{ UPCALL_FEATURE_ONEWAY,	"oneway" },
	{ UPCALL_FEATURE_CANCEL,	"cancel" },
	{ UPCALL_FEATURE_ASYNC,		"async" },
	{ UPCALL_FEATURE_NOTIFY,	"notify" },
	{ UPCALL_FEATURE_AUTOEND,	"autoend" },
	{ UPCALL_FEATURE_SERIAL,	"serial" },
	{ UPCALL_FEATURE_NESTED,	"nested" },
	{ UPCALL_FEATURE_WAIT_ROOM,	"wait-room" },
	{ UPCALL_FEATURE_FDS,		"fds" },
	{ UPCALL_FEATURE_STUB,		"stub" },
	{ UPCALL_FEATURE_ADOPT,		"adopt" },
};

static struct text feature_names(uint64_t bits)
{
	struct text names = { "" };
	size_t used = 0;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (!(bits & features[i].bit))
			continue;
		used += sprintf(names.s + used, "%s%s", used ? " " : "", features[i].name);
		bits &= ~features[i].bit;
	}
	if (bits)
		sprintf(names.s + used, " and unknown ones, 0x%" PRIx64, bits);
	return names;
}

static const struct column columns[] = {
	COLUMN("library", "library"), COLUMN("ABI", "abi_version"), COLUMN("instance", "instance"),
	COLUMN("features", "features"), COLUMN("callbacks", "max_callbacks"),
	COLUMN("callbacks/user", "max_callbacks_user"), COLUMN("payload", "max_payload"),
	COLUMN("queued/callback", "max_queued_calls"), COLUMN("queued/user", "max_queued_calls_user"),
	COLUMN("queued bytes/user", "max_queued_bytes_user"), COLUMN("commands", "max_commands"),
	COLUMN("descriptors", "max_fds"), COLUMN("nesting", "max_nesting"), { 0 },
};

static int info_run(int argc, char **argv)
{
	struct table table = { .columns = columns };
	struct text instance;
	struct upcall_info info;
	int err = upcall_info(tool_open(), &info, sizeof(info));

	(void)argc;
	(void)argv;
	if (err)
		tool_die(EXIT_LOCAL, "%s: %s", upcall_errname(err), upcall_strerror(err));
	text_print(&instance, "0x%" PRIx64, (uint64_t)info.instance);
	table_add_text(&table, upcall_version());
	table_add_number(&table, info.abi_version);
	table_add_text(&table, instance.s);
	table_add_text(&table, feature_names(info.features).s);
	table_add_number(&table, info.max_callbacks);
	table_add_number(&table, info.max_callbacks_user);
	table_add_number(&table, info.max_payload);
	table_add_number(&table, info.max_queued_calls);
	table_add_number(&table, info.max_queued_calls_user);
	table_add_number(&table, info.max_queued_bytes_user);
	table_add_number(&table, info.max_commands);
	table_add_number(&table, info.max_fds);
	table_add_number(&table, info.max_nesting);
	table_print_record(&table, json);
	table_free(&table);
	return 0;
}

const struct command command_info = {
	.name = "info",
	.operands = "",
	.summary = "what the module is: ABI, features, limits in force",
	.options = (const struct tool_option[]){
		{ 'J', "json", NULL, "for programs" },
		{ 0 },
	},
	.option = info_option,
	.run = info_run,
};
