// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * "upcall trace": the module's tracepoints, live.
 *
 * They are enabled in an instance of tracefs of our own, so nobody else's tracing is
 * disturbed. It goes at exit, however that comes; what a killed one left behind is removed by
 * the next.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

static struct {
	bool json, errors, chosen, types[TRACE_TYPES];
	const char *handle;
	uint64_t count;
} options;

static struct {
	char path[128];		/* of the instance; empty: there is none */
	int pipe;
	uint64_t printed, lost;
	size_t used;
	char buffer[16384];	/* a line that has not come to its end */
} trace = { .pipe = -1 };

static void trace_option(int letter, const char *value)
{
	switch (letter) {
	case 'H':
		options.handle = value;
		break;
	case 'e':
		options.errors = true;
		break;
	case 'n':
		options.count = option_number("count", value, 1, UINT64_MAX);
		break;
	case 'J':
		options.json = true;
		break;
	}
}

static int instance_write(const char *file, const char *value)
{
	struct text path;
	int fd, err = 0;

	text_print(&path, "%s/%s", trace.path, file);
	fd = open(path.s, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static void instance_remove(void)
{
	if (trace.pipe >= 0)
		close(trace.pipe);
	trace.pipe = -1;
	if (*trace.path && rmdir(trace.path))
		tool_say("trace: %s stays: %s", trace.path, strerror(errno));
	*trace.path = 0;
}

static void instances_sweep(const char *instances)
{
	DIR *directory = opendir(instances);
	struct dirent *entry;
	struct text path;
	int pid, used;

	while (directory && (entry = readdir(directory))) {
		if (sscanf(entry->d_name, "upcall-%d%n", &pid, &used) != 1 || entry->d_name[used] ||
		    pid <= 0 || !kill(pid, 0) || errno != ESRCH)
			continue;
		text_print(&path, "%s/%s", instances, entry->d_name);
		rmdir(path.s);
	}
	if (directory)
		closedir(directory);
}

static void die(int err, const char *what)
{
	if (err == -EACCES || err == -EPERM)
		tool_die(EXIT_NO, "trace: this takes root (%s: %s)", what, strerror(-err));
	tool_die(EXIT_NO, "trace: %s: %s", what, strerror(-err));
}

static const char *find_tracefs(void)
{
	static const char *const places[] = {
		"/sys/kernel/tracing/instances", "/sys/kernel/debug/tracing/instances",
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!access(places[i], W_OK | X_OK))
			return places[i];
		if (errno == EACCES || errno == EPERM)
			die(-errno, places[i]);
	}
	tool_die(EXIT_NO, "trace: there is no tracefs: mount -t tracefs tracefs /sys/kernel/tracing");
}

static void instance_make(void)
{
	const char *instances = find_tracefs();
	struct text path;

	instances_sweep(instances);
	text_print(&path, "%s/upcall-%d", instances, (int)getpid());
	if (mkdir(path.s, 0700))
		die(-errno, path.s);
	strcpy(trace.path, path.s);
	atexit(instance_remove);
}

/* Not before what they happen to is known: the labels */
static void instance_start(uint64_t handle)
{
	struct text filter, path;
	int err;

	/* A kernel without one of these three has no other form of line or wait anyway */
	instance_write("options/irq-info", "0");
	instance_write("options/record-tgid", "0");
	instance_write("buffer_percent", "0");
	err = instance_write("trace_clock", "mono");
	if (err)
		die(err, "trace_clock");
	text_print(&filter, "handle==%" PRIu64, handle);
	err = handle ? instance_write("events/upcall/filter", filter.s) : 0;
	if (!err)
		err = instance_write("events/upcall/enable", "1");
	if (err == -ENOENT)
		tool_die(EXIT_NO, "trace: the kernel has no events of upcall: is the module loaded? (modprobe upcall)");
	if (err)
		die(err, "events/upcall");
	text_print(&path, "%s/trace_pipe", trace.path);
	trace.pipe = open(path.s, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (trace.pipe < 0)
		die(-errno, path.s);
}

static void learn_labels(struct upcall_peer *peer)
{
	struct upcall_listing *listing;
	const void *record;

	if (upcall_listing_new(peer, UPCALL_LIST_CALLBACKS, sizeof(struct upcall_list_callback),
			       &listing))
		return;
	while (upcall_listing_next(listing, &record) > 0) {
		const struct upcall_list_callback *c = record;

		trace_label(c->handle, c->label, sizeof(c->label));
	}
	upcall_listing_free(listing);
}

static bool wanted(const struct trace_event *event)
{
	if (options.chosen && !options.types[event->type])
		return false;
	return !options.errors || trace_failed(event);
}

static bool trace_done(void)
{
	return options.count && trace.printed >= options.count;
}

static void take_line(const char *line)
{
	struct trace_event event;
	unsigned long long lost;
	const char *at = strstr(line, "[LOST ");

	if (!strncmp(line, "CPU:", 4) && at && sscanf(at, "[LOST %llu", &lost) == 1)
		trace.lost += lost;
	else if (trace_parse(&event, line) && wanted(&event) && !trace_done()) {
		trace_print(&event, options.json);
		trace.printed++;
	}
}

static void take_lines(void)
{
	char *line = trace.buffer, *end;

	trace.buffer[trace.used] = 0;
	while ((end = strchr(line, '\n'))) {
		*end = 0;
		take_line(line);
		line = end + 1;
	}
	trace.used -= line - trace.buffer;
	memmove(trace.buffer, line, trace.used);
	/* Longer than any line of the kernel's */
	if (trace.used == sizeof(trace.buffer) - 1)
		trace.used = 0;
}

static void take_all(void)
{
	ssize_t len;

	while (!trace_done()) {
		len = read(trace.pipe, trace.buffer + trace.used,
			   sizeof(trace.buffer) - 1 - trace.used);
		if (len <= 0)
			break;
		trace.used += len;
		take_lines();
	}
	tool_flush();
}

static int stop_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;
	int fd;

	sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		tool_die(EXIT_LOCAL, "signalfd: %s", strerror(errno));
	return fd;
}

static void choose(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		int type = trace_type_find(argv[i]);

		if (type < 0)
			tool_die(EXIT_USAGE, "trace: there is no event \"%s\": \"upcall trace --help\" lists them",
				 text_escape(argv[i], SIZE_MAX).s);
		options.types[type] = options.chosen = true;
	}
}

static int trace_run(int argc, char **argv)
{
	struct upcall_peer *peer;
	uint64_t handle = 0;
	struct pollfd polls[2];

	choose(argc, argv);
	/* From here on a signal ends the loop, and not before the instance has an end */
	polls[0] = (struct pollfd){ .fd = stop_signals(), .events = POLLIN };
	instance_make();
	peer = tool_open();
	if (options.handle)
		handle = target_handle(peer, options.handle);
	learn_labels(peer);
	upcall_close(peer);
	instance_start(handle);
	tool_say("tracing%s; ^C ends it", options.handle ? " one callback" : "");
	polls[1] = (struct pollfd){ .fd = trace.pipe, .events = POLLIN };
	while (!trace_done()) {
		if (poll(polls, 2, -1) < 0)
			continue;
		take_all();
		if (polls[0].revents)
			break;
	}
	if (trace.lost)
		tool_say("trace: %" PRIu64 " events were lost: they came faster than they were read",
			 trace.lost);
	instance_remove();
	return 0;
}

const struct command command_trace = {
	.name = "trace",
	.operands = "[EVENT]...",
	.summary = "show what happens to callbacks and calls, live",
	.notes = "EVENT is registered, released, refused, queued, delivered, replied or ended; all, if\n"
		 "none is given. Times behind an event are those of its call so far. Needs root.\n",
	.options = (const struct tool_option[]){
		{ 'H', "handle", "NAME|HANDLE", "this callback only" },
		{ 'e', "errors", NULL, "failures only: an errno, or a status that is not 0" },
		{ 'n', "count", "N", "end after N lines" },
		{ 'J', "json", NULL, "for programs: an object each line, times in nanoseconds" },
		{ 0 },
	},
	.option = trace_option,
	.run = trace_run,
	.operands_max = TRACE_TYPES,
};
