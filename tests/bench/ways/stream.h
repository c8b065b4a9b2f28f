/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is written into one descriptor and read from another, perhaps in pieces.
 */
#ifndef STREAM_H
#define STREAM_H

#include <unistd.h>
#include "../bench.h"

static inline void read_all(int fd, char *buffer, size_t size)
{
	for (size_t had = 0; had < size;) {
		ssize_t n = read(fd, buffer + had, size - had);

		if (n <= 0)
			fail("read");
		had += (size_t)n;
	}
}

static inline void write_all(int fd, const char *buffer, size_t size)
{
	for (size_t had = 0; had < size;) {
		ssize_t n = write(fd, buffer + had, size - had);

		if (n <= 0)
			fail("write");
		had += (size_t)n;
	}
}

static inline void stream_serve(struct run *run, int in, int out)
{
	static char buffer[MAX_ARG];

	serving(run);
	for (;;) {
		uint64_t result;

		read_all(in, buffer, run->size);
		result = answer(buffer, run->size);
		write_all(out, (char *)&result, sizeof(result));
	}
}

static inline uint64_t stream_call(struct run *run, int out, int in)
{
	uint64_t result;

	write_all(out, run->arg, run->size);
	read_all(in, (char *)&result, sizeof(result));
	return result;
}

#endif /* STREAM_H */
