// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module goes at the very moment when nobody holds it any more, while owners are still
 * dying. Only where it may be taken away, and where it came from is known; it is loaded again.
 */
#include "kselftest_harness.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/syscall.h>
#include "fds.h"

#define MODULE	"/lib/modules/upcall.ko"
#define LOADED	"/sys/module/upcall"
#define ROUNDS	30

FIXTURE(unload) {
	char params[1024];	/* as it was loaded */
	bool *ready;		/* shared */
};

FIXTURE_VARIANT(unload) {
	bool owner_first;	/* dies its process, or the other one that has the file */
};

FIXTURE_VARIANT_ADD(unload, owner_first) {
	.owner_first = true,
};

FIXTURE_VARIANT_ADD(unload, owner_last) {
	.owner_first = false,
};

static void read_param(char *to, size_t size, const char *name)
{
	char path[300], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), LOADED "/parameters/%s", name);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0) {
		text[strcspn(text, "\n")] = '\0';
		snprintf(to + strlen(to), size - strlen(to), "%s=%s ", name, text);
	}
	close(fd);
}

static void read_params(char *to, size_t size)
{
	DIR *dir = opendir(LOADED "/parameters");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			read_param(to, size, entry->d_name);
	}
	if (dir)
		closedir(dir);
}

static int load(const char *params)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || syscall(SYS_finit_module, fd, params, 0))
		err = -errno;
	close(fd);
	return err;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "upcall", O_NONBLOCK) ? -errno : 0;
}

/* As soon as it can be: the last file is closed a moment after its process was killed. */
static int unload_at_once(void)
{
	uint64_t until = in_ms(SOON_MS);
	int err;

	do {
		err = unload();
	} while (err == -EWOULDBLOCK && now_ns() < until);
	return err;
}

FIXTURE_SETUP(unload)
{
	if (access(MODULE, R_OK))
		SKIP_TEST("where the module comes from is not known: no " MODULE);
	if (!access("/sys/kernel/debug/kcsan", F_OK))
		SKIP_TEST("KCSAN was told which functions to watch, where they are now");
	read_params(self->params, sizeof(self->params));
	if (unload_at_once())
		SKIP_TEST("the module is in use, or may not be unloaded");
	ASSERT_EQ(0, load(self->params));
	self->ready = shared_alloc(sizeof(bool));
}

FIXTURE_TEARDOWN(unload)
{
	if (access(LOADED, F_OK) && !access(MODULE, R_OK))
		EXPECT_EQ(0, load(self->params));
}

struct holder {
	int fd;
	bool binds;
	bool *ready;
};

static int holder_main(void *arg)
{
	struct holder *holder = arg;

	if (holder->binds && !register_new(holder->fd, 1, UPCALL_ACCESS_ANYONE))
		return 1;
	__atomic_store_n(holder->ready, true, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

/* A process with the open file, which may bind the peer to itself. */
static pid_t hold(int fd, bool binds, bool *ready)
{
	struct holder holder = { .fd = fd, .binds = binds, .ready = ready };
	pid_t pid;

	*ready = false;
	pid = spawn(holder_main, &holder);
	return eventually(__atomic_load_n(ready, __ATOMIC_ACQUIRE)) ? pid : -1;
}

TEST_F_TIMEOUT(unload, while_owners_die_and_their_files_are_closed_elsewhere, 150)
{
	pid_t owner, other;
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		fd = peer_open();
		ASSERT_LE(0, fd);
		owner = hold(fd, true, self->ready);
		other = hold(fd, false, self->ready);
		ASSERT_LT(0, owner);
		ASSERT_LT(0, other);
		close(fd);
		kill(variant->owner_first ? owner : other, SIGKILL);
		kill(variant->owner_first ? other : owner, SIGKILL);
		ASSERT_EQ(0, unload_at_once());
		EXPECT_EQ(SIGKILL, reap(owner));
		EXPECT_EQ(SIGKILL, reap(other));
		ASSERT_EQ(0, load(self->params));
	}
}

/* --- with descriptors on their way ------------------------------------------------- */

#define RIDING	8	/* calls in the queue, each with UPCALL_MAX_FDS */

/* Shared: what the owner has registered. */
struct rider {
	uint64_t handle;
	bool ready;
};

static int rider_owner(void *arg)
{
	struct upcall_register reg = REGISTER_FDS_ARGS(.access = UPCALL_ACCESS_ANYONE);
	struct rider *rider = arg;

	if (verb(peer_open(), UPCALL_IOC_REGISTER, &reg))
		return 1;
	rider->handle = reg.handle;
	__atomic_store_n(&rider->ready, true, __ATOMIC_RELEASE);
	for (;;)
		pause();
}

static int end(pid_t pid)
{
	kill(pid, SIGKILL);
	return reap(pid);
}

/* Fills its queue with ends of @writer. */
static bool fill_queue(int fd, uint64_t handle, int writer)
{
	int fds[UPCALL_MAX_FDS], i;

	for (i = 0; i < UPCALL_MAX_FDS; i++)
		fds[i] = writer;
	for (i = 0; i < RIDING; i++) {
		if (send_fds(fd, handle, fds, UPCALL_MAX_FDS))
			return false;
	}
	return true;
}

TEST_F(unload, with_descriptors_queued_is_refused_and_then_leaves_none_open)
{
	struct rider *rider = shared_alloc(sizeof(*rider));
	int reader = -1, writer = -1, caller, i;
	pid_t owner;

	for (i = 0; i < ROUNDS / 3; i++) {
		rider->ready = false;
		owner = spawn(rider_owner, rider);
		ASSERT_TRUE(eventually(__atomic_load_n(&rider->ready, __ATOMIC_ACQUIRE)));
		caller = peer_open();
		ASSERT_EQ(0, pipe_new(&reader, &writer));
		ASSERT_TRUE(fill_queue(caller, rider->handle, writer));
		close(writer);
		EXPECT_EQ(-EWOULDBLOCK, unload());
		if (variant->owner_first) {
			EXPECT_EQ(SIGKILL, end(owner));
			EXPECT_EQ(-EWOULDBLOCK, unload());
			close(caller);
		} else {
			close(caller);
			EXPECT_EQ(-EWOULDBLOCK, unload());
			EXPECT_FALSE(writer_is_closed(reader));
			EXPECT_EQ(SIGKILL, end(owner));
		}
		ASSERT_EQ(0, unload_at_once());
		/* Its workqueue is gone: nobody else is there to close them. */
		EXPECT_TRUE(eventually(writer_is_closed(reader)));
		close(reader);
		ASSERT_EQ(0, load(self->params));
	}
}

TEST_HARNESS_MAIN
