// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file of a FUSE file system that never answers is closed for ever. Who sends it with a call that
 * nobody receives holds up himself, not the files of others.
 */
#include "kselftest_harness.h"
#include "fds.h"
#include "fuse_file.h"
#include "puppet.h"

/* Where the file system's server says that the file is being closed. */
static bool *closing;

/*
 * A folder with one file, as fuse_serve_one() has one alone. What is written stays in the kernel until
 * the file is closed, which then asks for a SETATTR.
 */
static void serve_one(int fd, const struct fuse_in_header *in)
{
	static const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_ASYNC_READ | FUSE_WRITEBACK_CACHE | FUSE_BIG_WRITES,
		.max_readahead = FUSE_FILE_LEN, .max_write = 4096,
	};
	static const struct fuse_attr_out root = {
		.attr_valid = 1000000, .attr = { .ino = 1, .mode = S_IFDIR | 0700, .nlink = 2 },
	};
	static const struct fuse_attr_out attr = {
		.attr_valid = 1000000,
		.attr = { .ino = 2, .size = FUSE_FILE_LEN, .mode = S_IFREG | 0600, .nlink = 1 },
	};
	struct fuse_entry_out entry = {
		.nodeid = 2, .generation = 1, .entry_valid = 1000000, .attr_valid = 1000000,
		.attr = attr.attr,
	};

	if (in->opcode == FUSE_INIT)
		fuse_answer(fd, in, 0, &init, sizeof(init));
	else if (in->opcode == FUSE_LOOKUP)
		fuse_answer(fd, in, 0, &entry, sizeof(entry));
	else if (in->opcode == FUSE_GETATTR)
		fuse_answer(fd, in, 0, in->nodeid == 1 ? &root : &attr, sizeof(attr));
	else if (in->opcode == FUSE_SETATTR || in->opcode == FUSE_WRITE)
		__atomic_store_n(closing, true, __ATOMIC_RELEASE);
	else
		fuse_serve_one(fd, in);
}

static int serve(void *arg)
{
	static union {
		struct fuse_in_header in;
		char bytes[1 << 17];
	} request;
	int fd = *(int *)arg;

	while (read(fd, &request, sizeof(request)) > 0)
		serve_one(fd, &request.in);
	return 0;
}

/* 0, or -errno: there is no FUSE here. */
static int folder_make(struct fuse_file *folder)
{
	char options[100];
	int fd;

	closing = shared_alloc(sizeof(*closing));
	snprintf(folder->path, sizeof(folder->path), "/tmp/fuse_folder.%d", getpid());
	fd = fuse_open_device();
	if (fd < 0)
		return -errno;
	mkdir(folder->path, 0700);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount("upcall", folder->path, "fuse", MS_NOSUID | MS_NODEV, options))
		return -errno;
	folder->server = spawn(serve, &fd);
	close(fd);
	return 0;
}

static int open_in(const struct fuse_file *folder)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/f", folder->path);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* It rides to a peer of this process, and is open nowhere else: that peer, or -errno. */
static int send_off(int fd)
{
	struct upcall_register args = REGISTER_FDS_ARGS();
	int peer = peer_open();
	int err = verb(peer, UPCALL_IOC_REGISTER, &args) ?: send_fds(peer, args.handle, &fd, 1);

	close(fd);
	return err ?: peer;
}

FIXTURE(files) {
	struct fuse_file folder;
	int peer, second;	/* with which the one that hangs rides; it, opened once more */
};

FIXTURE_SETUP(files)
{
	static const char page[4096] = "to be written when it is closed";
	int fd;

	MODULE_ONLY("files");
	self->folder.server = 0;
	if (folder_make(&self->folder))
		SKIP_TEST("no FUSE here, nor " FUSE_MODULE ": %s", strerror(errno));
	fd = open_in(&self->folder);
	self->second = open_in(&self->folder);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, self->second);
	self->peer = send_off(fd);
	ASSERT_LE(0, self->peer);
	ASSERT_EQ(sizeof(page), pwrite(self->second, page, sizeof(page), 0));
	ASSERT_EQ(0, close(self->peer));
	ASSERT_TRUE(eventually(__atomic_load_n(closing, __ATOMIC_ACQUIRE)));
}

FIXTURE_TEARDOWN(files)
{
	fuse_file_end(&self->folder);
	close(self->second);
	rmdir(self->folder.path);
}

TEST_F(files, one_that_hangs_when_it_is_closed_holds_up_no_other_uid)
{
	int peer, reader = -1, writer = -1;

	ASSERT_EQ(0, pipe_new(&reader, &writer));
	ASSERT_EQ(0, seteuid(BOB));
	peer = send_off(writer);
	ASSERT_EQ(0, seteuid(0));
	ASSERT_LE(0, peer);
	EXPECT_FALSE(writer_is_closed(reader));
	EXPECT_EQ(0, close(peer));
	EXPECT_TRUE(eventually(writer_is_closed(reader)));
}

TEST_F(files, one_that_hangs_when_it_is_closed_holds_up_its_uid_until_its_server_goes)
{
	int peer, reader = -1, writer = -1;

	ASSERT_EQ(0, pipe_new(&reader, &writer));
	peer = send_off(writer);
	ASSERT_LE(0, peer);
	EXPECT_EQ(0, close(peer));
	fuse_file_end(&self->folder);
	EXPECT_TRUE(eventually(writer_is_closed(reader)));
	self->folder.server = 0;
}

TEST_HARNESS_MAIN
