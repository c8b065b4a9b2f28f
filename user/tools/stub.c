// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall stub": an executable with a handle burned in. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

static const char *output = "-";

static void stub_option(int letter, const char *value)
{
	if (letter == 'o')
		output = value;
}

static void print_stub(FILE *file, uint64_t handle, uint64_t instance, const struct upcall_stat *stat)
{
	fprintf(file, "#!/bin/sh\n");
	fprintf(file, "# A stub of the callback \"%s\" (process %" PRIu32 " of user %" PRIu32 "):\n",
		text_escape(stat->label, sizeof(stat->label)).s, stat->pid, stat->uid);
	fprintf(file, "# calls it with DATA, or with stdin, and takes the options of \"upcall call\".\n");
	fprintf(file, "# It is dead when the callback is, and never calls another one.\n");
	fprintf(file, "exec \"${UPCALL:-upcall}\" call --handle 0x%" PRIx64 " --instance 0x%" PRIx64,
		handle, instance);
	if (stat->register_flags & UPCALL_REGISTER_SIGNATURE)
		fprintf(file, " --signature 0x%" PRIx64, (uint64_t)stat->signature);
	fprintf(file, " \"$@\"\n");
}

static bool make_executable(FILE *file)
{
	mode_t mask = umask(0);

	umask(mask);
	return !fchmod(fileno(file), 0777 & ~mask);
}

/* Written beside it, then moved: nobody ever runs half of it. */
static void write_file(const char *path, uint64_t handle, uint64_t instance,
		       const struct upcall_stat *stat)
{
	struct text name;
	FILE *file;
	int fd;

	text_print(&name, "%s.XXXXXX", path);
	fd = mkstemp(name.s);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (!file)
		tool_die(EXIT_LOCAL, "%s: %s", path, strerror(errno));
	print_stub(file, handle, instance, stat);
	if (fflush(file) || !make_executable(file) || fclose(file) || rename(name.s, path)) {
		unlink(name.s);
		tool_die(EXIT_LOCAL, "%s: %s", path, strerror(errno));
	}
}

static int stub_run(int argc, char **argv)
{
	struct upcall_peer *peer = tool_open();
	uint64_t handle = target_handle(peer, argv[0]);
	struct upcall_stat stat;
	struct upcall_info info;
	int err = upcall_info(peer, &info, sizeof(info));

	(void)argc;
	if (!err)
		err = upcall_stat(peer, handle, &stat, sizeof(stat));
	if (!err && stat.state != UPCALL_STATE_LIVE)
		err = -ESTALE;
	if (err)
		tool_die(EXIT_NO, "stub %s: %s (%s)", argv[0], upcall_errname(err),
			 upcall_strerror(err));
	if (strcmp(output, "-"))
		write_file(output, handle, info.instance, &stat);
	else
		print_stub(stdout, handle, info.instance, &stat);
	return 0;
}

const struct command command_stub = {
	.name = "stub",
	.operands = "NAME|HANDLE",
	.summary = "write an executable that calls it",
	.notes = "The file holds the handle and the instance of the module: when the callback is dead,\n"
		 "or the module was loaded anew, it answers ESTALE and calls nothing.\n",
	.options = (const struct tool_option[]){
		{ 'o', "output", "FILE", "write it there, mode 755; else to stdout" },
		{ 0 },
	},
	.option = stub_option,
	.run = stub_run,
	.operands_min = 1,
	.operands_max = 1,
};
