// SPDX-License-Identifier: GPL-2.0-only
/*
 * A write to a file of FUSE, spoken without libfuse: the argument is what is written, the
 * result how much that was.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "../bench.h"

#define PLACE	"/tmp/upcall-bench-fuse"
#define NODE	2	/* of the one file in there */

static _Alignas(8) char request[MAX_ARG + 4096];
static int device, file;

static void setup(struct run *run)
{
	char options[64];

	(void)run;
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		skip(errno == ENOENT || errno == ENODEV ? "fuse is not loaded" : strerror(errno));
	mkdir(PLACE, 0700);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
	must(mount("bench", PLACE, "fuse", MS_NOSUID | MS_NODEV, options));
}

static void respond(const struct fuse_in_header *in, int err, const void *body, size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len), .error = -err, .unique = in->unique,
	};
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)body, len } };

	must(writev(device, parts, 2));
}

static void respond_init(const struct fuse_in_header *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES,
		.max_write = MAX_ARG, .max_pages = MAX_ARG / 4096 + 1, .max_readahead = 4096,
	};

	respond(in, 0, &init, sizeof(init));
}

static void respond_lookup(const struct fuse_in_header *in)
{
	struct fuse_entry_out entry = {
		.nodeid = NODE, .entry_valid = 1000, .attr_valid = 1000,
		.attr = { .ino = NODE, .mode = S_IFREG | 0600, .nlink = 1, .size = MAX_ARG },
	};

	respond(in, 0, &entry, sizeof(entry));
}

static void respond_attr(const struct fuse_in_header *in)
{
	struct fuse_attr_out attr = {
		.attr_valid = 1000,
		.attr = { .ino = in->nodeid, .nlink = 1, .size = MAX_ARG,
			  .mode = in->nodeid == NODE ? S_IFREG | 0600 : S_IFDIR | 0700 },
	};

	respond(in, 0, &attr, sizeof(attr));
}

static void serve(struct run *run)
{
	const struct fuse_in_header *in = (void *)request;
	const struct fuse_write_in *write_in = (void *)(in + 1);
	struct fuse_open_out opened = { .open_flags = FOPEN_DIRECT_IO };
	struct fuse_write_out written = { 0 };

	serving(run);
	for (;;) {
		must(read(device, request, sizeof(request)));
		switch (in->opcode) {
		case FUSE_WRITE:
			written.size = write_in->size;
			respond(in, 0, &written, sizeof(written));
			break;
		case FUSE_INIT:
			respond_init(in);
			break;
		case FUSE_LOOKUP:
			respond_lookup(in);
			break;
		case FUSE_GETATTR:
			respond_attr(in);
			break;
		case FUSE_OPEN:
			respond(in, 0, &opened, sizeof(opened));
			break;
		case FUSE_FORGET:
			break;
		default:
			respond(in, ENOSYS, NULL, 0);
		}
	}
}

static void connect_caller(struct run *run)
{
	(void)run;
	must(file = open(PLACE "/file", O_WRONLY | O_CLOEXEC));
}

static uint64_t call(struct run *run)
{
	if (pwrite(file, run->arg, run->size, 0) != (ssize_t)run->size)
		fail("pwrite");
	return run->size;
}

static void close_mount(struct run *run)
{
	(void)run;
	close(device);	/* the last: ends the connection, or our own close() would wait for a server */
	close(file);
	umount2(PLACE, MNT_DETACH);
	rmdir(PLACE);
}

const struct way way_fuse = {
	.name = "fuse", .max = MAX_ARG, .blind = true, .setup = setup, .serve = serve,
	.connect = connect_caller, .call = call, .close = close_mount,
};
