// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Where names stand: one file each in $XDG_RUNTIME_DIR/upcall or /run/upcall.
 * A file is replaced by rename, never written in place, so a reader sees a whole one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "internal.h"

#define SYSTEM_DIR	"/run/upcall"

/* false: there is none. */
static bool user_dir(char *path, size_t room)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");

	if (!runtime || *runtime != '/')
		return false;
	return (size_t)snprintf(path, room, "%s/upcall", runtime) < room;
}

static int dir_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int dir_open_to_write(void)
{
	char path[PATH_MAX];

	if (geteuid() == 0 || !user_dir(path, sizeof(path)))
		strcpy(path, SYSTEM_DIR);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	return dir_open(path);
}

static int text_write(int fd, const char *text, size_t len)
{
	ssize_t done;

	while (len) {
		done = write(fd, text, len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		text += done;
		len -= (size_t)done;
	}
	return 0;
}

/* Begins with a dot: no name. */
static void temp_name(char *temp, size_t room, const char *name)
{
	static atomic_uint count;

	snprintf(temp, room, ".%s.%ld.%u", name, (long)getpid(), atomic_fetch_add(&count, 1));
}

static int temp_write(int dir, const char *temp, const char *text, size_t len)
{
	int fd, err;

	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	err = text_write(fd, text, len);
	if (!err && fchmod(fd, 0644) < 0)	/* whatever the umask: finding grants nothing */
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	if (err)
		unlinkat(dir, temp, 0);
	return err;
}

int upcall_name_write(const char *name, const struct upcall_name_record *record)
{
	char text[UPCALL_NAME_TEXT_MAX], temp[UPCALL_NAME_MAX + 48];
	int dir, len, err;

	len = upcall_name_format(record, text, sizeof(text));
	if (len < 0)
		return len;
	dir = dir_open_to_write();
	if (dir < 0)
		return dir;
	temp_name(temp, sizeof(temp), name);
	err = temp_write(dir, temp, text, (size_t)len);
	if (!err && renameat(dir, temp, dir, name) < 0) {
		err = -errno;
		unlinkat(dir, temp, 0);
	}
	close(dir);
	return err;
}

/* A plain file with one name, small; no link, no device that blocks or answers for ever. */
static int file_read(int fd, struct upcall_name_record *record)
{
	char text[UPCALL_NAME_TEXT_MAX];
	struct stat stat;
	ssize_t len;
	int err;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_nlink > 1 || stat.st_size >= (off_t)sizeof(text))
		return -EPROTO;
	len = read(fd, text, sizeof(text) - 1);
	if (len < 0)
		return -errno;
	text[len] = 0;
	err = upcall_name_parse(text, record);
	if (!err)
		record->file_uid = stat.st_uid;
	return err;
}

static int dir_read(int dir, const char *file, struct upcall_name_record *record)
{
	int fd, err;

	fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EPROTO : -errno;
	err = file_read(fd, record);
	close(fd);
	return err;
}

static int path_read(const char *path, const char *name, struct upcall_name_record *record)
{
	int dir, err;

	dir = dir_open(path);
	if (dir < 0)
		return dir;
	err = dir_read(dir, name, record);
	close(dir);
	return err;
}

int upcall_name_read(const char *name, struct upcall_name_record *record)
{
	char path[PATH_MAX];
	int err = -ENOENT;

	if (user_dir(path, sizeof(path)))
		err = path_read(path, name, record);
	if (err == -ENOENT)
		err = path_read(SYSTEM_DIR, name, record);
	return err;
}

static int record_is(int dir, const char *file, uint64_t handle, uint64_t instance)
{
	struct upcall_name_record record;
	int err;

	err = dir_read(dir, file, &record);
	if (err)
		return err;
	return record.handle == handle && record.instance == instance ? 0 : -ESTALE;
}

/*
 * Between a look at the file and its removal another owner may publish. So it is
 * moved aside, looked at again, and moved back if it is somebody else's.
 */
static int dir_remove(int dir, const char *name, uint64_t handle, uint64_t instance)
{
	char temp[UPCALL_NAME_MAX + 48];
	int err;

	err = record_is(dir, name, handle, instance);
	if (err)
		return err;
	temp_name(temp, sizeof(temp), name);
	if (renameat(dir, name, dir, temp) < 0)
		return -errno;
	err = record_is(dir, temp, handle, instance);
	if (err && renameat2(dir, temp, dir, name, RENAME_NOREPLACE) == 0)
		return err;
	unlinkat(dir, temp, 0);
	return err;
}

int upcall_name_remove(const char *name, uint64_t handle, uint64_t instance)
{
	int dir, err;

	dir = dir_open_to_write();
	if (dir < 0)
		return dir;
	err = dir_remove(dir, name, handle, instance);
	close(dir);
	return err;
}
