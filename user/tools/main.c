// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* upcall - callbacks across processes, from the shell. See upcall(1). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const struct command *const commands[] = {
	&command_serve, &command_call, &command_notify, &command_ls, &command_stat,
	&command_why, &command_revoke, &command_info, &command_stub,
	&command_trace, &command_top, NULL,
};

/**
 * tool_say() - A message to stderr
 * @format: As of printf(3), without a newline.
 */
void tool_say(const char *format, ...)
{
	struct text text;
	va_list args;

	va_start(args, format);
	vsnprintf(text.s, sizeof(text.s), format, args);
	va_end(args);
	fprintf(stderr, "upcall: %s\n", text.s);
}

/**
 * tool_die() - A message to stderr, and the end
 * @code: Exit code.
 * @format: As of printf(3), without a newline.
 */
void tool_die(int code, const char *format, ...)
{
	struct text text;
	va_list args;

	va_start(args, format);
	vsnprintf(text.s, sizeof(text.s), format, args);
	va_end(args);
	fprintf(stderr, "upcall: %s\n", text.s);
	exit(code);
}

static const char *device(void)
{
	const char *path = getenv("UPCALL_DEVICE");

	return path && *path ? path : "/dev/upcall";
}

static const char *open_hint(int err)
{
	switch (-err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return ": is the module loaded? (modprobe upcall)";
	case EPROTO:
		return ": the module speaks another version of the ABI";
	case ENOTTY:
		return ": it is no upcall device";
	default:
		return "";
	}
}

/**
 * tool_open() - Open the device, or die
 *
 * Return: a peer, for the rest of this process's life.
 */
struct upcall_peer *tool_open(void)
{
	struct upcall_peer *peer;
	int err = upcall_open(NULL, &peer);

	if (err)
		tool_die(EXIT_LOCAL, "%s: %s (%s)%s", device(), upcall_errname(err),
			 strerror(-err), open_hint(err));
	return peer;
}

/**
 * tool_open_stub() - Use a stub that was inherited, or die
 * @fd: Its descriptor.
 *
 * Return: a peer that can only call, and only handle 0, for the rest of this process's life.
 */
struct upcall_peer *tool_open_stub(int fd)
{
	struct upcall_peer *peer;
	int err = upcall_open_stub(fd, &peer);

	if (err)
		tool_die(EXIT_LOCAL, "--fd %d: %s (%s)", fd, upcall_errname(err),
			 err == -ENOTTY ? "it is no stub" : strerror(-err));
	return peer;
}

/**
 * tool_flush() - Write what was printed, or die
 *
 * A full disk or a closed pipe is found here at the latest.
 */
void tool_flush(void)
{
	if (fflush(stdout) || ferror(stdout))
		tool_die(EXIT_LOCAL, "stdout: %s", strerror(errno));
}

static void print_help(void)
{
	printf("upcall - call programs of other processes, by name or handle\n\n"
	       "usage: upcall COMMAND [OPTION]... [ARG]...\n\n");
	for (const struct command *const *c = commands; *c; c++)
		printf("  %-8s %s\n", (*c)->name, (*c)->summary);
	printf("\n\"upcall COMMAND --help\" tells more, and upcall(1) all.\n"
	       "\nA HANDLE is a number, decimal or with 0x; every other word is a NAME.\n\n");
	failure_print_codes();
}

static const struct command *find_command(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	int first = option_parse(command, argc, argv);
	int count = argc - first;
	int code;

	if (count < command->operands_min)
		tool_die(EXIT_USAGE, "%s: too few arguments: upcall %s %s", command->name,
			 command->name, command->operands);
	if (count > command->operands_max)
		tool_die(EXIT_USAGE, "%s: too many arguments, from \"%s\"", command->name,
			 text_escape(argv[first + command->operands_max], SIZE_MAX).s);
	code = command->run(count, argv + first);
	tool_flush();
	return code;
}

int main(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		tool_die(EXIT_USAGE, "which command? \"upcall --help\" lists them");
	} else if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
		   !strcmp(argv[1], "help")) {
		print_help();
	} else if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("upcall %s\n", upcall_version());
	} else {
		command = find_command(argv[1]);
		if (!command)
			tool_die(EXIT_USAGE, "no command \"%s\": \"upcall --help\" lists them",
				 text_escape(argv[1], SIZE_MAX).s);
		return run_command(command, argc - 1, argv + 1);
	}
	tool_flush();
	return 0;
}
