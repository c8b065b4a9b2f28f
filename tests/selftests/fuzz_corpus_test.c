// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the programs that the fuzzer has kept (tests/fuzz/corpus), as 'make fuzz' does, without looking
 * at what they reach. A test is a file of them: each program ends, or can be killed, and then nothing of it
 * is left in the kernel.
 */
#include <glob.h>
#include "../fuzz/fuzz.h"
#include "kselftest.h"

static uint32_t run_count;

static bool run(const struct program *program)
{
	static char text[TEXT_ROOM];
	const char *wrong = exec_run(program);
	char *line, *rest = text;

	run_count++;
	wrong = wrong ?: invariants_check(false);
	if (!wrong)
		return true;
	ksft_print_msg("program %u: %s\n", run_count, wrong);
	program_print(program, text, sizeof(text));
	while ((line = strsep(&rest, "\n")) && rest)
		ksft_print_msg("%s\n", line);
	return false;
}

/* "calls.prog": "calls" */
static void test_file(const char *path)
{
	int len = strcspn(path, ".");
	bool good;

	run_count = 0;
	good = programs_of(path, run) && !invariants_check(true);
	ksft_test_result(good, "%u_programs_of_%.*s_end_and_leave_nothing\n", run_count, len, path);
}

int main(int argc, char **argv)
{
	glob_t files;
	size_t i;

	if (argc == 2 && !strcmp(argv[1], LINGER))
		return pause();
	ksft_print_header();
	if (glob("*.prog", 0, NULL, &files) || !exec_init() || !invariants_init())
		ksft_exit_fail_msg("no programs, or no module\n");
	ksft_set_plan(files.gl_pathc);
	if (invariants_check(false))
		ksft_exit_fail_msg("%s of an earlier test\n", invariants_check(false));
	for (i = 0; i < files.gl_pathc; i++)
		test_file(files.gl_pathv[i]);
	ksft_finished();
}
