// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Options: the table of a command is what getopt reads, and what --help prints. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define OPTIONS_MAX	24
#define LETTER_HELP	'h'

static void print_option(int letter, const char *name, const char *value, const char *help)
{
	struct text left;

	text_print(&left, "--%s%s%s", name, value ? " " : "", value ? value : "");
	if (letter < 128)
		printf("  -%c, %-22s %s\n", letter, left.s, help);
	else
		printf("      %-22s %s\n", left.s, help);
}

static __attribute__((noreturn)) void print_help(const struct command *command)
{
	printf("upcall %s - %s\n\nusage: upcall %s [OPTION]... %s\n\n", command->name,
	       command->summary, command->name, command->operands);
	for (const struct tool_option *o = command->options; o->letter; o++)
		print_option(o->letter, o->name, o->value, o->help);
	print_option(LETTER_HELP, "help", NULL, "show this");
	if (command->notes)
		printf("\n%s", command->notes);
	tool_flush();
	exit(0);
}

/**
 * option_parse() - Read the options of a command
 * @command: Its @option is called for each; --help ends the process.
 * @argc: As of main(), from the command's name on.
 * @argv: Put in order: operands last.
 *
 * Return: where the operands begin.
 */
int option_parse(const struct command *command, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 2] = { { "help", no_argument, NULL, LETTER_HELP } };
	char shorts[2 * OPTIONS_MAX + 3] = "h";
	size_t count = 1;
	int letter;

	for (const struct tool_option *o = command->options; o->letter; o++) {
		longs[count++] = (struct option){ o->name, o->value ? required_argument :
						  no_argument, NULL, o->letter };
		if (o->letter < 128)
			sprintf(shorts + strlen(shorts), "%c%s", o->letter, o->value ? ":" : "");
	}
	opterr = 0;
	optind = 1;
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (letter == LETTER_HELP)
			print_help(command);
		if (letter == '?')
			tool_die(EXIT_USAGE, "%s: \"%s\" is no option, or lacks its value: \"upcall %s --help\"",
				 command->name, text_escape(argv[optind - 1], SIZE_MAX).s,
				 command->name);
		command->option(letter, optarg);
	}
	return optind;
}

static __attribute__((noreturn)) void bad_value(const char *name, const char *value, const char *what)
{
	tool_die(EXIT_USAGE, "--%s: \"%s\" is no %s", name, text_escape(value, SIZE_MAX).s, what);
}

/**
 * option_number() - The value of an option: a number
 * @name: Of the option.
 * @value: As typed.
 * @min: Least that is taken.
 * @max: Most that is taken.
 *
 * Return: the number; dies if there is none.
 */
uint64_t option_number(const char *name, const char *value, uint64_t min, uint64_t max)
{
	struct text what;
	uint64_t number;

	if (text_parse_number(value, &number) || number < min || number > max) {
		text_print(&what, "number from %" PRIu64 " to %" PRIu64, min, max);
		bad_value(name, value, what.s);
	}
	return number;
}

/**
 * option_size() - The value of an option: bytes, as in 64K
 * @name: Of the option.
 * @value: As typed.
 * @max: Most that is taken.
 *
 * Return: bytes; dies if there are none.
 */
uint64_t option_size(const char *name, const char *value, uint64_t max)
{
	struct text what;
	uint64_t size;

	if (text_parse_size(value, &size) || size > max) {
		text_print(&what, "size up to %" PRIu64 " bytes, as 512 or 64K", max);
		bad_value(name, value, what.s);
	}
	return size;
}

/**
 * option_duration() - The value of an option: a time span, as in 500ms
 * @name: Of the option.
 * @value: As typed.
 *
 * Return: nanoseconds; dies if there are none.
 */
uint64_t option_duration(const char *name, const char *value)
{
	uint64_t ns;

	if (text_parse_duration(value, &ns))
		bad_value(name, value, "duration, as 5, 2.5s, 500ms or 1m");
	return ns;
}

/**
 * option_signature() - The value of an option: a signature
 * @value: 0x and hexadecimal digits stand for themselves; any other text is hashed.
 *
 * Return: the signature.
 */
uint64_t option_signature(const char *value)
{
	uint64_t number;

	if (!strncmp(value, "0x", 2) && !text_parse_number(value, &number))
		return number;
	return upcall_signature(value);
}

/**
 * option_user() - The value of an option: a user, by name or number
 * @name: Of the option.
 * @value: As typed.
 *
 * Return: the uid; dies if there is no such user.
 */
uint32_t option_user(const char *name, const char *value)
{
	struct passwd *user;
	uint64_t number;

	if (!text_parse_number(value, &number) && number < UINT32_MAX)
		return number;
	user = getpwnam(value);
	if (!user)
		bad_value(name, value, "user");
	return user->pw_uid;
}

/**
 * option_group() - The value of an option: a group, by name or number
 * @name: Of the option.
 * @value: As typed.
 *
 * Return: the gid; dies if there is no such group.
 */
uint32_t option_group(const char *name, const char *value)
{
	struct group *group;
	uint64_t number;

	if (!text_parse_number(value, &number) && number < UINT32_MAX)
		return number;
	group = getgrnam(value);
	if (!group)
		bad_value(name, value, "group");
	return group->gr_gid;
}
