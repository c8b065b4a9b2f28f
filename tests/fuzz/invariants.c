// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has to be so when all processes of a program have gone: nobody owns, calls, waits or owes, no
 * file of the module is open but ours, none of its calls is in memory, and the kernel has not complained.
 */
#include <regex.h>
#include <sched.h>
#include "fuzz.h"

#define HIGH_FD		700	/* programs have those below */
#define SLAB		"/sys/kernel/slab/upcall_call"
#define REFCNT		"/sys/module/upcall/refcnt"

static int monitor, refcnt, kernel_log = -1;
static regex_t bad;
static bool has_bad;
static char said[1200];

static int move_up(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	close(fd);
	return high;
}

static long number_in(int fd)
{
	char text[32] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atol(text) : -1;
}

static uint32_t listed(uint32_t what, uint32_t record_size, void *records, uint32_t room)
{
	struct upcall_list args = {
		.size = sizeof(args), .what = what, .record_size = record_size,
		.buffer = ptr64(records), .buffer_len = room * record_size,
	};

	return verb(monitor, UPCALL_IOC_LIST, &args) ? room : args.count;
}

static uint64_t owed(void)
{
	struct upcall_list_user users[16];
	uint32_t i, n = listed(UPCALL_LIST_USERS, sizeof(users[0]), users, LENGTH(users));
	uint64_t sum = 0;

	for (i = 0; i < n; i++)
		sum += users[i].callbacks + users[i].queued_calls + users[i].queued_bytes + users[i].fds;
	return sum;
}

/* What is left, in words; NULL: nothing. */
static const char *what_is_left(void)
{
	static struct upcall_list_callback callbacks[2];
	static struct upcall_list_call calls[2];
	static struct upcall_list_peer peers[2];

	if (listed(UPCALL_LIST_CALLBACKS, sizeof(callbacks[0]), callbacks, 2))
		return "a callback is left";
	if (listed(UPCALL_LIST_CALLS, sizeof(calls[0]), calls, 2))
		return "a call is left";
	if (listed(UPCALL_LIST_PEERS, sizeof(peers[0]), peers, 2) != 1)
		return "a peer is left";
	if (owed())
		return "a user owes something, and has nothing";
	if (number_in(refcnt) != 1)	/* ours */
		return "a file is left open";
	return NULL;
}

/* Objects of the cache of calls, without those that a processor has put by; -1: it is not told. */
static long calls_in_memory(void)
{
	int fd = open(SLAB "/shrink", O_WRONLY | O_CLOEXEC);
	long objects;

	if (fd < 0)
		return -1;
	if (write(fd, "1", 1) < 0)
		perror(SLAB);
	close(fd);
	fd = open(SLAB "/objects", O_RDONLY | O_CLOEXEC);
	objects = number_in(fd);
	close(fd);
	return objects;
}

/* What it has said since the last time that it should not. */
static const char *complaint(void)
{
	char line[1100];
	ssize_t len;

	while (kernel_log >= 0) {
		len = read(kernel_log, line, sizeof(line) - 1);
		if (len < 0 && errno == EPIPE)
			continue;	/* it was faster than we read */
		if (len <= 0)
			break;
		line[len] = 0;
		if (!has_bad || regexec(&bad, line, 0, NULL, 0))
			continue;
		snprintf(said, sizeof(said), "the kernel says: %s", strchr(line, ';') ?: line);
		said[strcspn(said, "\n")] = 0;
		return said;
	}
	return NULL;
}

/* NULL, or what is not so. They die a moment after their processes, which is waited for. */
const char *invariants_check(bool slabs)
{
	const char *left = complaint();
	int i;

	if (left)
		return left;
	for (i = 0; i < 300; i++) {
		left = what_is_left();
		if (!left)
			break;
		sched_yield();
	}
	if (left && eventually(!(left = what_is_left())))
		left = NULL;
	if (!left && slabs && !eventually(calls_in_memory() <= 0))
		left = "a call is in memory, and nobody's";
	return complaint() ?: left;
}

/* BAD_LINES in the environment says what a kernel should not say. */
bool invariants_init(void)
{
	struct upcall_list bind = { .size = sizeof(bind), .what = UPCALL_LIST_PEERS, .record_size = 8 };
	const char *lines = getenv("BAD_LINES");

	monitor = move_up(peer_open());
	refcnt = move_up(open(REFCNT, O_RDONLY | O_CLOEXEC));
	kernel_log = move_up(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	if (monitor < 0 || refcnt < 0)
		return false;
	lseek(kernel_log, 0, SEEK_END);
	if (lines && *lines && !regcomp(&bad, lines, REG_EXTENDED | REG_NOSUB))
		has_bad = true;
	verb(monitor, UPCALL_IOC_LIST, &bind);
	return true;
}
