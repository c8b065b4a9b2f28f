// SPDX-License-Identifier: GPL-2.0-only
/*
 * fuzz [--minutes N] [--seed N] [--simplify] [FILE]...	starts from the programs of those files
 * fuzz --replay TIMES FILE...				runs them so many times, and says what each came to
 *
 * The last line is 'fuzz: N executions, N edges, N crashes'; the exit status is 0 if nothing crashed.
 * All that it kept is printed before, see corpus_print().
 */
#include <stdio.h>
#include "fuzz.h"

#define SLAB_EVERY	64	/* programs: it takes a while */
#define RECENT		16	/* of which the texts are kept */
#define NEWS_S		30

static uint64_t executions, crashes;
static bool has_kcov;

/* The texts of the last ones, where whoever has the machine's memory finds them: see tests/fuzz.sh. */
static char (*recent)[TEXT_ROOM];

static void remember(const struct program *program)
{
	static char text[TEXT_ROOM / 2];
	char *to = recent[executions % RECENT], *line, *rest = text;
	size_t used;
	int n;

	program_print(program, text, sizeof(text));
	/* Behind whatever stands before it in memory, its first line is to begin one */
	used = snprintf(to, TEXT_ROOM, "\n");
	for (n = 0; (line = strsep(&rest, "\n")) && rest && used < TEXT_ROOM; n++)
		used += snprintf(to + used, TEXT_ROOM - used, "@fuzz@ %llu %d %s\n",
				 (unsigned long long)executions, n, line);
	if (used < TEXT_ROOM)
		memset(to + used, 0, TEXT_ROOM - used);
}

static void crash(const char *what)
{
	uint64_t n = executions < RECENT ? 0 : executions - RECENT + 1;

	crashes++;
	printf("fuzz: CRASH: execution %llu: %s\n", (unsigned long long)executions, what);
	for (; n <= executions; n++)
		printf("%s\n", recent[n % RECENT]);
	fflush(stdout);
}

/* False: it is not as it should be, which has been said. */
static bool run(const struct program *program, struct edges *edges)
{
	const char *wrong;

	if (crashes)
		return false;
	remember(program);
	wrong = exec_run(program);
	kcov_collect(edges);
	if (!wrong)
		wrong = invariants_check(executions % SLAB_EVERY == SLAB_EVERY - 1);
	if (wrong)
		crash(wrong);
	executions++;
	return !wrong;
}

static void verdict(void)
{
	printf("fuzz: %llu executions, %u edges, %llu crashes\n", (unsigned long long)executions,
	       corpus_edges(), (unsigned long long)crashes);
	fflush(stdout);
}

/* --- the programs of files --------------------------------------------------------- */

static bool load(const struct program *program)
{
	static struct edges edges;

	if (!run(program, &edges))
		return false;
	corpus_load(program, &edges);
	return true;
}

/* --- replay ------------------------------------------------------------------------ */

static int times;

static bool replay(const struct program *program)
{
	static char text[TEXT_ROOM];
	static struct edges edges;
	char *line, *rest = text;
	uint32_t i;

	for (int n = 0; n < times; n++) {
		if (!run(program, &edges))
			return false;
		corpus_load(program, &edges);
	}
	program_print(program, text, sizeof(text));
	for (i = 0; (line = strsep(&rest, "\n")) && rest; i++)
		printf("%s	# %lld: %#llx %#llx\n", line, (long long)arena->returned[i],
		       (unsigned long long)arena->value[i][0], (unsigned long long)arena->value[i][1]);
	printf("\n");
	return true;
}

/* --- fuzzing ----------------------------------------------------------------------- */

static void fuzz_once(void)
{
	static struct program program;
	static struct edges edges;

	if (!corpus_size() || one_in(20)) {
		program_new(&program);
	} else {
		program = *corpus_pick();
		program_mutate(&program, corpus_pick());
	}
	if (program.count && run(&program, &edges))
		corpus_offer(&program, &edges, run);
}

static void tell(uint64_t began)
{
	printf("fuzz: %llu s: %llu executions, %u edges, %u programs kept\n",
	       (unsigned long long)(now_ns() - began) / 1000000000, (unsigned long long)executions,
	       corpus_edges(), corpus_size());
	fflush(stdout);
}

static void fuzz(uint64_t minutes)
{
	uint64_t began = now_ns(), end = began + minutes * 60000000000ULL, news = began;

	while (now_ns() < end && !crashes) {
		if (now_ns() >= news) {
			tell(began);
			news += NEWS_S * 1000000000ULL;
		}
		fuzz_once();
	}
	tell(began);
}

int main(int argc, char **argv)
{
	uint64_t minutes = 1, seed = now_ns();
	bool simplify = false, good = true;
	int i;

	if (argc == 2 && !strcmp(argv[1], LINGER))
		return pause();
	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--simplify"))
			simplify = true;
		else if (!strcmp(argv[i], "--minutes") && i + 1 < argc)
			minutes = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--replay") && i + 1 < argc)
			times = strtoul(argv[++i], NULL, 0);
	}
	recent = shared_alloc(RECENT * sizeof(*recent));
	has_kcov = kcov_init();
	if (!corpus_init() || !exec_init() || !invariants_init()) {
		perror("fuzz");
		return 2;
	}
	printf("fuzz: seed %llu%s\n", (unsigned long long)seed, has_kcov ? "" : ", without coverage");
	random_seed(seed);
	for (; i < argc && good; i++)
		good = programs_of(argv[i], times ? replay : load);
	if (good && !times) {
		fuzz(minutes);
		corpus_distil(simplify, run);
		corpus_print();
	}
	verdict();
	return !good || crashes || !executions;
}
