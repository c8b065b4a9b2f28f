// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays the scenarios, and judges. Its last line is 'faults: N injected, M wrong'.
 *
 *	faults			all of them
 *	faults PATTERN...	those whose names match
 */
#include <fnmatch.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include "faults.h"

#define MAX_NTH		3000	/* no call has so many: it does not end then */
#define NTH_FILE	"/proc/thread-self/fail-nth"
#define LIMIT_S		(60 * UPCALL_SLOW)

enum { DONE, HIT, ABSENT };

struct world w = { .owner = -1, .caller = -1, .stub = -1, .reader = -1, .writer = -1 };

/* What the children say, in memory that all share. */
struct report {
	uint32_t wrong;
	uint32_t swallowed;	/* the call succeeded all the same */
};

static struct report *report;
static const struct scenario *playing;
static int playing_nth;
static int monitor = -1, nth_file = -1, refcnt_file = -1;
static long open_files;		/* of the module, without anybody but ourselves */

void wrong(const char *format, ...)
{
	va_list args;

	__atomic_add_fetch(&report->wrong, 1, __ATOMIC_RELAXED);
	printf("faults: WRONG: %s, number %d: ", playing->name, playing_nth);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* --- the fault --------------------------------------------------------------------- */

static bool pending, hit;	/* there is still one to come; it has come */

void fault_begin(void)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", playing_nth);

	if (pending && pwrite(nth_file, text, len, 0) != len)
		wrong("fail-nth: %s", strerror(errno));
}

/* Whether it was hit. Who asks copies, too: that may be what is hit, and then the call was not. */
static bool nth_is_used_up(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 && text[0] == '0';
}

void fault_end(void)
{
	if (!pending)
		return;
	pending = false;
	hit = nth_is_used_up(nth_file);
	/* What was left may hit this, too, and is used up then. */
	if (pwrite(nth_file, "0", 1, 0) != 1 && pwrite(nth_file, "0", 1, 0) != 1)
		wrong("fail-nth: %s", strerror(errno));
}

/* --- one play ---------------------------------------------------------------------- */

static bool error_is_allowed(const struct scenario *scenario, int err)
{
	static const int usual[] = { ENOMEM, EFAULT, 0 };
	const int *allowed = scenario->errors[0] ? scenario->errors : usual;

	while (*allowed && *allowed != -err)
		allowed++;
	return *allowed;
}

static void judge(const struct scenario *scenario, int err)
{
	if (!err) {
		__atomic_add_fetch(&report->swallowed, 1, __ATOMIC_RELAXED);
		return;
	}
	if (!error_is_allowed(scenario, err))
		wrong("fails with %s", strerror(-err));
	err = scenario->again ? scenario->again(scenario, err) : scenario->act(scenario);
	if (err)
		wrong("fails again: %s", strerror(-err));
}

/* As open_fds(), but there are never many, and this is done thousands of times. */
static int fds_open(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void clean_up(int before)
{
	int *fds[] = { &w.stub, &w.caller, &w.owner, &w.reader, &w.writer };
	size_t i;

	helper_stop();
	server_stop();
	if (w.helper_pid) {
		kill(w.helper_pid, SIGKILL);
		reap(w.helper_pid);
	}
	for (i = 0; i < LENGTH(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	if (fds_open() != before)
		wrong("%d descriptors before, %d after", before, fds_open());
}

/* The child: DONE or HIT. */
static int play(void *arg)
{
	const struct scenario *scenario = arg;
	int before, err;

	alarm(LIMIT_S);
	nth_file = open(NTH_FILE, O_RDWR | O_CLOEXEC);
	if (nth_file < 0)
		return ABSENT;
	before = fds_open();
	if (scenario->set_up)
		scenario->set_up(scenario);
	pending = true;
	err = scenario->act(scenario);
	if (hit)
		judge(scenario, err);
	else if (err)
		wrong("fails by itself: %s", strerror(-err));
	clean_up(before);
	return hit ? HIT : DONE;
}

/* --- what is left ------------------------------------------------------------------ */

static uint32_t listed(uint32_t what, uint32_t record_size, void *records, uint32_t room)
{
	struct upcall_list args = {
		.size = sizeof(args), .what = what, .record_size = record_size,
		.buffer = ptr64(records), .buffer_len = room * record_size,
	};

	return verb(monitor, UPCALL_IOC_LIST, &args) ? room : args.count;
}

static long files_open(void)
{
	char text[16] = "";

	return pread(refcnt_file, text, sizeof(text) - 1, 0) > 0 ? atol(text) : -1;
}

/* Nothing of the process that has gone: it dies a moment after it was reaped. */
static bool nothing_is_left(void)
{
	static struct upcall_list_callback callbacks[2];
	static struct upcall_list_call calls[2];
	struct upcall_list_user users[16];
	struct upcall_list_peer peers[2];
	uint32_t i, owed = 0, n = listed(UPCALL_LIST_USERS, sizeof(users[0]), users, 16);

	for (i = 0; i < n; i++)
		owed += users[i].callbacks + users[i].queued_calls + !!users[i].queued_bytes +
			users[i].fds;
	return !owed && files_open() == open_files &&
	       listed(UPCALL_LIST_PEERS, sizeof(peers[0]), peers, 2) == 1 &&
	       !listed(UPCALL_LIST_CALLBACKS, sizeof(callbacks[0]), callbacks, 2) &&
	       !listed(UPCALL_LIST_CALLS, sizeof(calls[0]), calls, 2);
}

/* Without sleeping at first, which takes longer than what is waited for. */
static bool all_are_gone(void)
{
	int i;

	for (i = 0; i < 1000; i++) {
		if (nothing_is_left())
			return true;
		sched_yield();
	}
	return eventually(nothing_is_left());
}

/* --- all of them ------------------------------------------------------------------- */

/* From 1 on, until there is no Nth. How many were injected, or -1: this kernel cannot. */
static int play_all(const struct scenario *scenario)
{
	int status = HIT, nth;

	playing = scenario;
	report->swallowed = 0;
	for (nth = 1; status == HIT && nth < MAX_NTH; nth++) {
		playing_nth = nth;
		status = reap(spawn(play, (void *)scenario));
		if (scenario->may_die && status != DONE << 8 && status != ABSENT << 8)
			status = HIT << 8;	/* also what its C library ends with */
		if (!WIFEXITED(status)) {
			wrong("ends by signal %d", WTERMSIG(status));
			return nth;
		}
		status = WEXITSTATUS(status);
		if (status == ABSENT)
			return -1;
		if (!all_are_gone()) {
			wrong("something is left when all are gone");
			return nth;
		}
	}
	if (nth == MAX_NTH)
		wrong("it has no end");
	printf("faults: %s: %d injected, %u of them without effect\n", scenario->name, nth - 2,
	       report->swallowed);
	fflush(stdout);
	return nth - 2;
}

static bool chosen(const struct scenario *scenario, char **patterns)
{
	if (!*patterns)
		return true;
	for (; *patterns; patterns++) {
		if (!fnmatch(*patterns, scenario->name, 0))
			return true;
	}
	return false;
}

/* All allocations, not only those that may not wait; and no report of each in the kernel's log. */
static bool prepare(void)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	const char *verbose = getenv("VERBOSE");
	char path[128];
	size_t i;

	for (i = 0; i < LENGTH(settings); i++) {
		const char *value = settings[i][1];
		bool done;
		int fd;

		if (verbose && *verbose && *value == '0')
			value = verbose;
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		done = fd >= 0 && write(fd, value, 1) == 1;
		close(fd);
		if (!done)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static const struct scenario *const all[] = {
		verb_scenarios, invoke_scenarios, exchange_scenarios, receive_scenarios,
		life_scenarios, large_scenarios,
	};
	struct upcall_list bind = { .size = sizeof(bind), .what = UPCALL_LIST_PEERS, .record_size = 8 };
	const struct scenario *scenario;
	int injected = 0, n = 0;
	size_t i;

	if (argc == 2 && !strcmp(argv[1], AFTER_EXEC))
		return nth_is_used_up(open(NTH_FILE, O_RDONLY | O_CLOEXEC)) ? HIT : DONE;
	report = shared_alloc(sizeof(*report));
	monitor = peer_open();
	refcnt_file = open("/sys/module/upcall/refcnt", O_RDONLY | O_CLOEXEC);
	verb(monitor, UPCALL_IOC_LIST, &bind);
	open_files = files_open();
	if (!prepare())
		n = -1;
	for (i = 0; n >= 0 && i < LENGTH(all); i++) {
		for (scenario = all[i]; n >= 0 && scenario->name; scenario++) {
			if (!chosen(scenario, argv + 1))
				continue;
			n = play_all(scenario);
			injected += n;
		}
	}
	if (n < 0)
		printf("faults: this kernel injects none\n");
	printf("faults: %d injected, %u wrong\n", injected, report->wrong);
	return n < 0 || !injected || report->wrong;
}
