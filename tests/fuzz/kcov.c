// SPDX-License-Identifier: GPL-2.0-only
/*
 * Edges: two points of the module that one thread came by, one behind the other, in one operation.
 * Each thread of a program writes its own trace; they are read when all have gone.
 */
#include "fuzz.h"

#define KCOV_INIT_TRACE	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)
#define KCOV_FILE	"/sys/kernel/debug/kcov"
#define ENTRIES		(8UL << 10)
#define HIGH_FD		600	/* programs have those below */

static struct {
	int fd;
	unsigned long *trace;	/* the count, and so many points; 0: an operation begins */
} threads[ACTORS];

static bool available;

static bool thread_init(int i)
{
	int fd = open(KCOV_FILE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	threads[i].fd = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	close(fd);
	if (ioctl(threads[i].fd, KCOV_INIT_TRACE, ENTRIES))
		return false;
	threads[i].trace = mmap(NULL, ENTRIES * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED,
				threads[i].fd, 0);
	return threads[i].trace != MAP_FAILED;
}

/* False: this kernel cannot tell. */
bool kcov_init(void)
{
	int i;

	for (i = 0; i < ACTORS; i++) {
		if (!thread_init(i))
			return false;
	}
	available = true;
	return true;
}

void kcov_reset(void)
{
	int i;

	for (i = 0; available && i < ACTORS; i++)
		threads[i].trace[0] = 0;
}

/* From here on, until this thread ends. */
void kcov_start(uint32_t actor)
{
	if (available)
		ioctl(threads[actor].fd, KCOV_ENABLE, 0);
}

/* An operation begins. */
void kcov_mark(uint32_t actor)
{
	unsigned long *trace = threads[actor].trace;

	if (available && trace[0] + 1 < ENTRIES) {
		trace[trace[0] + 1] = 0;
		trace[0]++;
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return first < second ? -1 : first > second;
}

/* Points are in the upper 2 GiB: both fit one word. */
static uint32_t edges_of(const unsigned long *trace, uint64_t *edges, uint32_t count, uint32_t room)
{
	unsigned long i, before = 0, n = trace[0] < ENTRIES ? trace[0] : ENTRIES - 1;
	uint64_t edge, last[64] = { 0 };

	for (i = 1; i <= n && count < room; before = trace[i++]) {
		edge = (before << 32) | (trace[i] & 0xffffffff);
		/* loops give the same ones again and again */
		if (!trace[i] || last[edge % 61] == edge)
			continue;
		last[edge % 61] = edge;
		edges[count++] = edge;
	}
	return count;
}

void kcov_collect(struct edges *edges)
{
	static uint64_t all[ACTORS * ENTRIES];
	uint32_t i, count = 0;

	edges->count = 0;
	for (i = 0; available && i < ACTORS; i++)
		count = edges_of(threads[i].trace, all, count, LENGTH(all));
	qsort(all, count, sizeof(all[0]), compare);
	for (i = 0; i < count && edges->count < MAX_EDGES; i++) {
		if (!i || all[i] != all[i - 1])
			edges->edge[edges->count++] = all[i];
	}
}
