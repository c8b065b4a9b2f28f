// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench [-i] [-p] [-x | -y] [NAME...]: measures everything, or the rows whose names begin so.
 *
 *	-i	the clock counts instructions: see tests/vm/run --icount
 *	-p	does it again and again instead, for tests/bench/profile.sh
 *	-x	the caller on one processor and its server on another, as times
 *	-y	several callers, each with its server on a processor of their own, as times
 */
#include <stdlib.h>
#include <unistd.h>
#include "bench.h"

#ifdef LIBRARIES	/* what takes libraries of others is a program of its own */
#define WAYS(m)		m(sd_bus) m(dbus_daemon) m(rest)
#define ACROSS(m)
#define PAIRED(m)
#define FIGURES(m)
#else
#define WAYS(m) \
	m(floor) m(invoke) m(ring) m(futex) m(eventfd) m(pipe) m(stream) m(seqpacket) m(mq) \
	m(seccomp) m(fuse) m(binder) \
	m(library_caller) m(library_owner) \
	m(async) m(notify) m(oneway_ring) m(oneway_eventfd) m(oneway_pipe) m(oneway_seqpacket) \
	m(oneway_binder)
#define ACROSS(m) \
	m(floor) m(invoke) m(ring) m(futex) m(eventfd) m(pipe) m(seqpacket) m(mq) m(seccomp) m(binder)
#define PAIRED(m)	m(floor) m(invoke) m(futex) m(pipe)
#define FIGURES(m)	m(nothing) m(stale) m(register) m(beside) m(death)
#endif

#define COUNT(array)		(sizeof(array) / sizeof(*(array)))
#define DECLARE_WAY(w)		extern const struct way way_##w;
#define DECLARE_FIGURE(f)	extern const struct figure figure_##f;
#define ADDRESS_WAY(w)		&way_##w,
#define ADDRESS_FIGURE(f)	&figure_##f,

WAYS(DECLARE_WAY)
FIGURES(DECLARE_FIGURE)

static const struct way *const ways[] = { WAYS(ADDRESS_WAY) };
static const struct way *const ways_across[] = { ACROSS(ADDRESS_WAY) NULL };
static const struct way *const ways_paired[] = { PAIRED(ADDRESS_WAY) NULL };
static const struct figure *const figures[] = { FIGURES(ADDRESS_FIGURE) NULL };
static const size_t sizes[] = { 8, 4096, 65536 };

static char **wanted;

static bool is_wanted(const char *name)
{
	char **prefix = wanted;

	if (!*prefix)
		return true;
	for (; *prefix; prefix++) {
		if (strncmp(name, *prefix, strlen(*prefix)) == 0)
			return true;
	}
	return false;
}

static void measure_wanted(const struct way *way, size_t size)
{
	char name[64];

	snprintf(name, sizeof(name), way->max ? "%s/%zu" : "%s", way->name, size);
	if (is_wanted(name))
		measure_way(way, size, name);
}

static void run_figure(void *figure)
{
	((const struct figure *)figure)->measure();
}

int main(int argc, char **argv)
{
	void (*several)(const struct way *const *ways) = NULL;
	int option;

	while ((option = getopt(argc, argv, "ipxy")) != -1) {
		switch (option) {
		case 'i':
			instructions = true;
			break;
		case 'p':
			profiling = true;
			break;
		case 'x':
			several = measure_across;
			break;
		case 'y':
			several = measure_pairs;
			break;
		default:
			return 2;
		}
	}
	wanted = argv + optind;
	become_starter();
	if (several) {
		several(several == measure_pairs ? ways_paired : ways_across);
		return 0;
	}
	for (size_t w = 0; w < COUNT(ways); w++) {
		for (size_t s = 0; s < 3 && sizes[s] <= (ways[w]->max ?: 8); s++)
			measure_wanted(ways[w], sizes[s]);
	}
	for (const struct figure *const *figure = figures; *figure; figure++) {
		if (is_wanted((*figure)->name))
			in_process((*figure)->name, run_figure, (void *)*figure);
	}
	return 0;
}
