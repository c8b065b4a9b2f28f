// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs that are kept: those that reached an edge which none before them did, and do so again.
 * Each is made smaller as long as it reaches what it is kept for. Threads do not meet the same way
 * each time, so that whatever is looked at is looked at more than once.
 */
#include "fuzz.h"

#define MOST		1500		/* programs */
#define SLOTS		(1U << 17)	/* of the table of edges; a power of 2 */
#define AGAIN		3		/* runs that look whether new edges are there, */
#define STABLE		2		/* in so many of which they must be */
#define TRIES		2		/* runs for which a smaller program may reach them */
#define FINAL		180		/* programs that are left at the end, at most */

struct kept {
	struct program program;
	struct edges edges;
};

static struct kept *kept;		/* in memory that fork() does not copy */
static uint64_t *seen;			/* all edges, by their hash; 0: none */
static uint32_t kept_count, seen_count;

bool corpus_init(void)
{
	kept = shared_alloc(MOST * sizeof(*kept));
	seen = shared_alloc(SLOTS * sizeof(*seen));
	return kept != MAP_FAILED && seen != MAP_FAILED;
}

uint32_t corpus_size(void)
{
	return kept_count;
}

uint32_t corpus_edges(void)
{
	return seen_count;
}

/* --- edges ------------------------------------------------------------------------- */

static uint64_t *slot_of(uint64_t edge)
{
	uint32_t slot = (edge * 0x9e3779b97f4a7c15ULL) >> 40;

	for (slot &= SLOTS - 1; seen[slot] && seen[slot] != edge; slot = (slot + 1) & (SLOTS - 1))
		;
	return &seen[slot];
}

/* Those of @edges that were never seen, into @news; from now on they were. */
static void take_news(const struct edges *edges, struct edges *news)
{
	uint64_t *slot;
	uint32_t i;

	news->count = 0;
	for (i = 0; i < edges->count && seen_count < SLOTS / 2; i++) {
		slot = slot_of(edges->edge[i]);
		if (*slot)
			continue;
		*slot = edges->edge[i];
		seen_count++;
		news->edge[news->count++] = edges->edge[i];
	}
}

/* How many of @wanted are in @edges; both are ordered. @hits counts for each. */
static uint32_t common(const struct edges *wanted, const struct edges *edges, uint8_t *hits)
{
	uint32_t i = 0, k = 0, n = 0;

	while (i < wanted->count && k < edges->count) {
		if (wanted->edge[i] == edges->edge[k]) {
			if (hits)
				hits[i]++;
			n++, i++, k++;
		} else if (wanted->edge[i] < edges->edge[k]) {
			i++;
		} else {
			k++;
		}
	}
	return n;
}

/* --- a program, smaller ------------------------------------------------------------ */

static bool reaches(const struct program *program, const struct edges *wanted, reach_fn *reach)
{
	static struct edges edges;
	int i;

	for (i = 0; i < TRIES; i++) {
		if (!reach(program, &edges))
			return false;
		if (common(wanted, &edges, NULL) == wanted->count)
			return true;
	}
	return false;
}

/* Without what it does not need. */
static void shrink(struct program *program, const struct edges *wanted, reach_fn *reach)
{
	static struct program smaller;
	uint32_t i;

	for (i = program->count; i-- > 0 && program->count > 1;) {
		smaller = *program;
		program_remove(&smaller, i);
		if (reaches(&smaller, wanted, reach))
			*program = smaller;
	}
}

static bool is_plain(const struct value *value, const struct value *usual)
{
	return value->kind != RESULT && memcmp(value, usual, sizeof(*value));
}

/* With what is usual where it does not matter. */
static void simplify(struct program *program, const struct edges *wanted, reach_fn *reach)
{
	static struct program simpler;
	const struct field *field;
	uint32_t i, k;

	for (i = 0; i < program->count; i++) {
		field = verbs[program->ops[i].verb].fields;
		for (k = 0; field[k].name; k++) {
			if (!is_plain(&program->ops[i].args[k], &field[k].usual))
				continue;
			simpler = *program;
			simpler.ops[i].args[k] = field[k].usual;
			if (reaches(&simpler, wanted, reach))
				*program = simpler;
		}
	}
}

/* What it is about: the first of these that it has. */
static const char *group_of(const struct program *program)
{
	static const char *const groups[][2] = {
		{ "adopt", "adopt" }, { "fork", "death" }, { "exec", "death" }, { "exit", "death" }, { "kill", "death" },
		{ "uring", "poll" }, { "epoll", "poll" }, { "poll", "poll" }, { "export", "stub" },
		{ "pipe", "descriptors" }, { "signal", "signals" }, { "command_call", "async" },
		{ "list", "list" }, { "serve", "calls" }, { "invoke", "calls" }, { "exchange", "exchange" },
	};
	uint32_t i, k;

	for (k = 0; k < LENGTH(groups); k++) {
		for (i = 0; i < program->count; i++) {
			if (!strcmp(verbs[program->ops[i].verb].name, groups[k][0]))
				return groups[k][1];
		}
	}
	return "verbs";
}

static void print(const char *what, const struct program *program)
{
	static char text[TEXT_ROOM];
	const char *group = group_of(program);
	char *line, *rest = text;

	program_print(program, text, sizeof(text));
	while ((line = strsep(&rest, "\n")) && rest)
		printf("%s|%s|%s\n", what, group, line);
	printf("%s|%s|\n", what, group);
}

/* --- all of them ------------------------------------------------------------------- */

/* Those of @news that are there again, most times. */
static void keep_stable(const struct program *program, struct edges *news, reach_fn *reach)
{
	static struct edges edges;
	static uint8_t hits[MAX_EDGES];
	uint32_t i, n = 0;

	memset(hits, 0, sizeof(hits));
	for (i = 0; i < AGAIN && reach(program, &edges); i++)
		common(news, &edges, hits);
	for (i = 0; i < news->count; i++) {
		if (hits[i] >= STABLE)
			news->edge[n++] = news->edge[i];
	}
	news->count = n;
}

static void keep(const struct program *program, const struct edges *edges)
{
	kept[kept_count].program = *program;
	kept[kept_count++].edges = *edges;
}

/* It reached these; if any of them is new, and it does so again, it is kept. */
void corpus_offer(const struct program *program, const struct edges *edges, reach_fn *reach)
{
	static struct edges news, whole;
	static struct program smallest;

	take_news(edges, &news);
	if (!news.count || kept_count == MOST)
		return;
	keep_stable(program, &news, reach);
	if (!news.count)
		return;
	smallest = *program;
	shrink(&smallest, &news, reach);
	if (!reach(&smallest, &whole))
		return;
	keep(&smallest, &whole);
	print("kept", &smallest);
}

/* One that was kept before: it is, if it reaches anything new. */
void corpus_load(const struct program *program, const struct edges *edges)
{
	static struct edges news;

	take_news(edges, &news);
	if (news.count && kept_count < MOST)
		keep(program, edges);
}

/* The last ones are picked more often. */
const struct program *corpus_pick(void)
{
	uint32_t last = kept_count < 30 ? kept_count : 30;

	return &kept[one_in(3) ? kept_count - 1 - below(last) : below(kept_count)].program;
}

/* Removes from @edges those that are in @others. */
static void subtract(struct edges *edges, const struct edges *others)
{
	uint32_t i, k = 0, n = 0;

	for (i = 0; i < edges->count; i++) {
		while (k < others->count && others->edge[k] < edges->edge[i])
			k++;
		if (k == others->count || others->edge[k] != edges->edge[i])
			edges->edge[n++] = edges->edge[i];
	}
	edges->count = n;
}

static uint32_t find_largest(uint32_t from)
{
	uint32_t i, best = from;

	for (i = from; i < kept_count; i++) {
		if (kept[i].edges.count > kept[best].edges.count)
			best = i;
	}
	return best;
}

/*
 * Leaves those who together reach all edges that any of them does: each time the one that reaches most of
 * what is missing. Of what one reaches, only what those before it do not is left to it.
 */
void corpus_distil(bool simpler, reach_fn *reach)
{
	static struct kept one;
	uint32_t i, n;

	for (n = 0; n < kept_count && n < FINAL; n++) {
		i = find_largest(n);
		if (!kept[i].edges.count)
			break;
		one = kept[i];
		kept[i] = kept[n];
		kept[n] = one;
		for (i = n + 1; i < kept_count; i++)
			subtract(&kept[i].edges, &one.edges);
	}
	kept_count = n;
	for (i = 0; simpler && i < kept_count; i++) {
		if (!reaches(&kept[i].program, &kept[i].edges, reach))
			continue;
		shrink(&kept[i].program, &kept[i].edges, reach);
		simplify(&kept[i].program, &kept[i].edges, reach);
	}
}

/* Of those that are left, each line begins with 'corpus|' and the name of its group. */
void corpus_print(void)
{
	uint32_t i;

	for (i = 0; i < kept_count; i++)
		print("corpus", &kept[i].program);
	fflush(stdout);
}
