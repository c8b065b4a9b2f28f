// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is unloaded and loaded again, over and over, beside processes that open it, poll, call
 * themselves and are killed. While it is to go, most of them begin no new life; but those that live
 * still die, and some go on opening it at any moment. It is gone as soon as no file is
 * open: what the dead left to its workers and to the memory manager is going on then.
 */
#include <poll.h>
#include <sys/syscall.h>
#include "endurance.h"

#define MODULE	"/lib/modules/upcall.ko"
#define LIVES	6	/* at a time */
#define OPENERS	2

struct shared {
	bool stop;
	bool pause;		/* no new lives */
	uint64_t lives;
	uint64_t opened;	/* by the openers */
	uint64_t turned_away;	/* as the module was not there, or was going */
	uint64_t wrong;
};

static struct shared *shared;

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void count(uint64_t *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

/* A peer, or -1: the module is not there just now. */
static int try_open(void)
{
	int fd = peer_open();

	if (fd < 0) {
		count(&shared->turned_away);
		if (errno != ENOENT && errno != ENODEV && errno != ENXIO)
			count(&shared->wrong);
	}
	return fd;
}

/* What it has begun it does not end. */
static int live(void *unused)
{
	struct upcall_export export = { .size = sizeof(export) };
	struct upcall_invoke inv;
	struct pollfd pollfd;
	int fd = try_open();
	char buf[256] __attribute__((aligned(8)));
	uint64_t handle;

	(void)unused;
	if (fd < 0)
		return 0;
	handle = register_new(fd, 1, UPCALL_ACCESS_ANYONE);
	inv = INVOKE_ARGS(handle, .flags = UPCALL_INVOKE_ONEWAY | UPCALL_INVOKE_NO_DEADLINE);
	pollfd = (struct pollfd){ .fd = fd, .events = POLLIN };
	switch (draw() % 6) {
	case 0:
		poll(&pollfd, 1, 1000);
		break;
	case 1:
		verb(fd, UPCALL_IOC_INVOKE, &inv);
		poll(&pollfd, 1, 1000);
		receive(fd, buf, sizeof(buf), 1, UPCALL_EXCHANGE_NONBLOCK, NULL);
		break;
	case 2:
		receive(fd, buf, sizeof(buf), 1, 0, NULL);
		break;
	case 3:
		inv.flags = UPCALL_INVOKE_NO_DEADLINE;	/* which nobody answers */
		verb(fd, UPCALL_IOC_INVOKE, &inv);
		break;
	case 4:
		export.handle = handle;
		verb(fd, UPCALL_IOC_EXPORT, &export);
		close(fd);
		poll(NULL, 0, draw() % 4);
		break;
	default:
		break;
	}
	return 0;
}

/* One life after the other: each is killed when it is up to 8 ms old, if it is there still. */
static int breed(void *unused)
{
	pid_t pid;

	(void)unused;
	while (!is_set(&shared->stop)) {
		if (is_set(&shared->pause)) {
			usleep(500);
			continue;
		}
		pid = spawn(live, NULL);
		usleep(draw() % 8000);
		kill(pid, SIGKILL);
		reap(pid);
		count(&shared->lives);
	}
	return 0;
}

static int open_and_close(void *unused)
{
	struct upcall_info info = { .size = sizeof(info) };
	int fd;

	(void)unused;
	while (!is_set(&shared->stop)) {
		fd = try_open();
		if (fd >= 0) {
			count(&shared->opened);
			if (verb(fd, UPCALL_IOC_INFO, &info))
				count(&shared->wrong);
			if (draw() % 2)
				register_new(fd, 0, UPCALL_ACCESS_ANYONE);
			close(fd);
		}
		usleep(draw() % 5000);
	}
	return 0;
}

static bool unload(void)
{
	return eventually(!syscall(SYS_delete_module, "upcall", O_NONBLOCK) || errno == ENOENT);
}

static bool load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);
	bool done = fd >= 0 && !syscall(SYS_finit_module, fd, "", 0);

	if (fd >= 0)
		close(fd);
	return done;
}

static uint64_t instance(void)
{
	struct upcall_info info = { .size = sizeof(info) };
	int fd = peer_open();

	if (fd < 0 || verb(fd, UPCALL_IOC_INFO, &info))
		info.instance = 0;
	if (fd >= 0)
		close(fd);
	return info.instance;
}

/* Once. False: it did not go, did not come back, or is not another one. */
static bool reload(void)
{
	uint64_t before = instance(), after;
	bool done;

	__atomic_store_n(&shared->pause, true, __ATOMIC_RELEASE);
	done = unload() && load();
	__atomic_store_n(&shared->pause, false, __ATOMIC_RELEASE);
	after = instance();
	return done && before && after && before != after;
}

void part_reload(uint64_t seconds)
{
	uint64_t end = now_ns() + seconds * NS_PER_S, next = 0, every = (seconds / 8 + 1) * NS_PER_S;
	static struct flat flat;
	pid_t pids[LIVES + OPENERS];
	int i, reloads = 0, bad = 0;

	shared = shared_alloc(sizeof(*shared));
	for (i = 0; i < LIVES + OPENERS; i++)
		pids[i] = spawn(i < LIVES ? breed : open_and_close, NULL);
	do {
		usleep(between(5000, 100000));
		bad += !reload();
		reloads += !bad;
		if (now_ns() > next) {
			__atomic_store_n(&shared->pause, true, __ATOMIC_RELEASE);
			flat_sample(&flat, "reload");
			__atomic_store_n(&shared->pause, false, __ATOMIC_RELEASE);
			tell("reload: %d times", reloads);
			next = now_ns() + every;
		}
	} while (now_ns() < end && !bad);
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < LIVES + OPENERS; i++)
		reap(pids[i]);
	check(!bad && reloads > 1 && shared->lives, "reload: %d times, beside %llu processes that died",
	      reloads, (unsigned long long)shared->lives);
	check(!shared->wrong && shared->opened,
	      "reload: opened at any moment %llu times, and %llu times there was nothing to open",
	      (unsigned long long)shared->opened, (unsigned long long)shared->turned_away);
	check(eventually(nothing_is_owed()), "reload: nothing is owed");
	flat_sample(&flat, "reload");
	flat_judge(&flat, "reload");
}
