// SPDX-License-Identifier: GPL-2.0-only
/*
 * endurance PART SECONDS: says 'ok' or 'FAIL' for each thing that it has to show, and how it goes
 * on the way. The exit status is 0 if nothing failed.
 */
#include <stdarg.h>
#include "endurance.h"

static const struct part {
	const char *name;
	void (*run)(uint64_t seconds);
} parts[] = {
	{ "load", part_load },
	{ "reload", part_reload },
	{ "freeze", part_freeze },
	{ "memory", part_memory },
	{ "million", part_million },
};

static int failed;
static uint64_t began, state;

/* How it goes, after so many seconds. */
void tell(const char *format, ...)
{
	va_list args;

	printf("%6llu s  ", (unsigned long long)((now_ns() - began) / NS_PER_S));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* One of the results. */
bool check(bool holds, const char *format, ...)
{
	va_list args;

	printf("%s", holds ? "ok    " : "FAIL  ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	failed += !holds;
	return holds;
}

/* splitmix64, from another start in each process */
uint64_t draw(void)
{
	uint64_t z;

	if (!state)
		state = now_ns() ^ (uint64_t)getpid() << 32;
	z = (state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

/* Out of a file of /proc or a cgroup, by the word that its line begins with; -1: none. */
long number_of(const char *path, const char *word)
{
	char line[512];
	long value = -1;
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, word, strlen(word)))
			value = atol(line + strlen(word));
	}
	if (file)
		fclose(file);
	return value;
}

/* All users together, once nobody is left. */
bool nothing_is_owed(void)
{
	struct upcall_list_user users[64] = { 0 };
	struct upcall_list args = {
		.size = sizeof(args), .what = UPCALL_LIST_USERS, .record_size = sizeof(users[0]),
		.buffer = ptr64(users), .buffer_len = sizeof(users),
	};
	int fd = peer_open();
	uint32_t i, owed = 0;

	if (fd < 0 || verb(fd, UPCALL_IOC_LIST, &args))
		owed = 1;
	for (i = 0; i < args.count; i++)
		owed += users[i].callbacks + users[i].queued_calls + !!users[i].queued_bytes +
			users[i].fds;
	if (fd >= 0)
		close(fd);
	return !owed;
}

int main(int argc, char **argv)
{
	uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	size_t i;

	began = now_ns();
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (argc > 1 && !strcmp(argv[1], parts[i].name)) {
			parts[i].run(seconds);
			return failed != 0;
		}
	}
	fprintf(stderr, "usage: endurance load|reload|freeze|memory|million SECONDS\n");
	return 2;
}
