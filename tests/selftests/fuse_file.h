/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file whose bytes never come: of a FUSE file system of our own, which answers all but READ.
 * Who touches a mapping of it, the kernel's copies included, sleeps there until it is killed.
 */
#ifndef FUSE_FILE_H
#define FUSE_FILE_H

#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/fuse.h>
#include "upcall_test.h"

#define FUSE_MODULE	"/lib/modules/fuse.ko"
#define FUSE_FILE_LEN	65536

struct fuse_file {
	char path[64];
	pid_t server;	/* 0: there is none */
};

static inline void fuse_answer(int fd, const struct fuse_in_header *in, int err, const void *arg, size_t len)
{
	struct {
		struct fuse_out_header head;
		char arg[256];
	} out = { .head.unique = in->unique, .head.error = err };

	out.head.len = sizeof(out.head) + len;
	if (len)
		memcpy(out.arg, arg, len);
	if (write(fd, &out, out.head.len) < 0)
		perror("fuse");
}

static inline void fuse_serve_one(int fd, const struct fuse_in_header *in)
{
	static const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_ASYNC_READ, .max_readahead = FUSE_FILE_LEN, .max_write = 4096,
	};
	static const struct fuse_attr_out attr = {
		.attr_valid = 1000000,
		.attr = { .ino = 1, .size = FUSE_FILE_LEN, .mode = S_IFREG | 0600, .nlink = 1 },
	};
	static const struct fuse_open_out open = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };

	switch (in->opcode) {
	case FUSE_INIT:
		return fuse_answer(fd, in, 0, &init, sizeof(init));
	case FUSE_GETATTR:
		return fuse_answer(fd, in, 0, &attr, sizeof(attr));
	case FUSE_OPEN:
		return fuse_answer(fd, in, 0, &open, sizeof(open));
	case FUSE_READ:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;		/* READ is never answered, the others want no answer */
	default:
		return fuse_answer(fd, in, -ENOSYS, NULL, 0);
	}
}

static inline int fuse_serve(void *arg)
{
	static union {
		struct fuse_in_header in;
		char bytes[65536];
	} request;
	int fd = *(int *)arg;

	while (read(fd, &request, sizeof(request)) > 0)
		fuse_serve_one(fd, &request.in);
	return 0;
}

static inline int fuse_open_device(void)
{
	int module, fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	module = open(FUSE_MODULE, O_RDONLY | O_CLOEXEC);
	if (module >= 0)
		syscall(SYS_finit_module, module, "", 0);
	close(module);
	return open("/dev/fuse", O_RDWR | O_CLOEXEC);
}

/* 0, or -errno: there is no FUSE here. */
static inline int fuse_file_make(struct fuse_file *file)
{
	char options[100];
	int fd, place;

	file->server = 0;
	snprintf(file->path, sizeof(file->path), "/tmp/fuse_file.%d", getpid());
	fd = fuse_open_device();
	if (fd < 0)
		return -errno;
	place = open(file->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	close(place);
	snprintf(options, sizeof(options), "fd=%d,rootmode=100000,user_id=0,group_id=0", fd);
	if (mount("upcall", file->path, "fuse", MS_NOSUID | MS_NODEV, options))
		return -errno;
	file->server = spawn(fuse_serve, &fd);
	close(fd);
	return 0;
}

/* Who still waits for bytes goes on, with an error. */
static inline void fuse_file_end(struct fuse_file *file)
{
	if (!file->server)
		return;
	umount2(file->path, MNT_DETACH);
	kill(file->server, SIGKILL);
	reap(file->server);
	unlink(file->path);
}

/* Its first bytes in the memory of the calling process; NULL: cannot be. */
static inline char *fuse_file_map(const struct fuse_file *file)
{
	int fd = open(file->path, O_RDWR | O_CLOEXEC);
	struct stat stat;
	char *at = MAP_FAILED;

	/* The kernel learns its size so. */
	if (fd >= 0 && !fstat(fd, &stat) && stat.st_size == FUSE_FILE_LEN)
		at = mmap(NULL, FUSE_FILE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

#endif /* FUSE_FILE_H */
