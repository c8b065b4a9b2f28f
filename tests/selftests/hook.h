/* SPDX-License-Identifier: GPL-2.0-only */
/* The delay points of the module's test build, from the side of a test: see kmod/hook.c. */
#ifndef HOOK_H
#define HOOK_H

#include <stdio.h>
#include "upcall_test.h"

#define HOOK_PARAMETERS	"/sys/module/upcall/parameters/"

static inline int hook_parameter(const char *name, const char *text)
{
	char path[128];
	int fd, err = 0;

	snprintf(path, sizeof(path), HOOK_PARAMETERS "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

/* The next thread that comes to @name stops there, once. */
static inline int hook_arm(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "arm %s 0", name);
	return hook_parameter("hook", text);
}

/* Whoever stopped there goes on; -ENOENT: nobody is there (any more). */
static inline int hook_resume(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "resume %s", name);
	return hook_parameter("hook", text);
}

static inline int hook_clear(void)
{
	return hook_parameter("hook", "clear");
}

/* All that is armed or stopped. */
static inline void hook_read(char *text, size_t size)
{
	int fd = open(HOOK_PARAMETERS "hook", O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, text, size - 1);

	text[len > 0 ? len : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* The thread that is stopped there, or 0. */
static inline pid_t hook_stopped(const char *name)
{
	char text[4096], what[64], *at;

	snprintf(what, sizeof(what), "stopped %s ", name);
	hook_read(text, sizeof(text));
	at = strstr(text, what);
	return at ? atoi(at + strlen(what)) : 0;
}

/* Waits until somebody has come there. */
static inline bool hook_is_hit(const char *name)
{
	return eventually(hook_stopped(name));
}

static inline bool hook_is_quiet(void)
{
	char text[4096];

	hook_read(text, sizeof(text));
	return !text[0];
}

/*
 * REPLY with bytes on a page that is not there yet: these are read without a lock, and the thread
 * can be held at "reply_read".
 */
static inline int reply_from_afar(int fd, uint64_t call, uint32_t status, const char *text)
{
	int memory = memfd_create("reply", MFD_CLOEXEC), ret;
	size_t len = strlen(text);
	void *page;

	if (memory < 0 || write(memory, text, len) != (ssize_t)len)
		return -EIO;
	page = mmap(NULL, len, PROT_READ, MAP_SHARED, memory, 0);
	close(memory);
	if (page == MAP_FAILED)
		return -errno;
	ret = reply(fd, call, status, page, len);
	munmap(page, len);
	return ret;
}

#endif /* HOOK_H */
