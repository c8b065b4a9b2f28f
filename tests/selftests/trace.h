/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module's tracepoints have said, counted. */
#ifndef TRACE_H
#define TRACE_H

#include <stdio.h>
#include <sys/stat.h>
#include "puppet.h"

#define TRACING	"/sys/kernel/tracing/instances/upcall_test"

struct trace {
	char *text;	/* as last read */
	size_t size;
};

/* Forgets what was said. */
static inline bool trace_clear(void)
{
	int fd = open(TRACING "/trace", O_WRONLY | O_TRUNC);

	close(fd);
	return fd >= 0;
}

/* False: tracing is not there. */
static inline bool trace_start(struct trace *trace, size_t size)
{
	trace->size = size;
	trace->text = malloc(size);
	if (!trace->text || (mkdir(TRACING, 0755) && errno != EEXIST))
		return false;
	return write_to(TRACING "/buffer_size_kb", "4096") && trace_clear() &&
	       write_to(TRACING "/events/upcall/enable", "1");
}

static inline void trace_stop(struct trace *trace)
{
	write_to(TRACING "/events/upcall/enable", "0");
	rmdir(TRACING);
	free(trace->text);
}

/* Reads the trace anew. False: events were lost, or it is longer than we can read. */
static inline bool trace_read(struct trace *trace)
{
	int fd = open(TRACING "/trace", O_RDONLY);
	size_t used = 0;
	ssize_t len;

	while ((len = read(fd, trace->text + used, trace->size - 1 - used)) > 0)
		used += len;
	trace->text[used] = 0;
	close(fd);
	return len == 0 && !strstr(trace->text, "LOST");
}

/* How many lines have @event, and @what behind it. */
static inline uint32_t trace_count(const struct trace *trace, const char *event, const char *what)
{
	char *line = trace->text, *end, *at;
	uint32_t n = 0;

	while ((line = strstr(line, event))) {
		end = strchr(line, '\n');
		at = strstr(line, what);
		n += at && (!end || at < end);
		line = end ? end : line + 1;
	}
	return n;
}

/* Whether each callback and each call that began has ended. */
static inline bool trace_is_even(struct trace *trace)
{
	return trace_read(trace) &&
	       trace_count(trace, "upcall_registered:", "") ==
	       trace_count(trace, "upcall_released:", "") &&
	       trace_count(trace, "upcall_queued:", "") == trace_count(trace, "upcall_ended:", "");
}

#endif /* TRACE_H */
