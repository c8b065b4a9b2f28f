// SPDX-License-Identifier: GPL-2.0-only
/*
 * Published names: files, checks, and the object that resolves again.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "lib_test.h"

#define NAME	"lib-name-test"
#define FILE_	"/run/upcall/" NAME

static int answer(struct upcall_incoming *incoming, void *user)
{
	(void)incoming;
	return *(int *)user;
}

FIXTURE(name)
{
	struct upcall_peer *owner;
	struct upcall_peer *other;
	struct upcall_name *name;
	struct upcall_call *call;
	uint64_t handle;
};

FIXTURE_SETUP(name)
{
	memset(self, 0, sizeof(*self));
	unsetenv("XDG_RUNTIME_DIR");
	unlink(FILE_);
	ASSERT_EQ(0, upcall_open(NULL, &self->owner));
	ASSERT_EQ(0, upcall_open(NULL, &self->other));
	ASSERT_EQ(0, upcall_register(self->owner, NULL, 0, &self->handle));
	ASSERT_EQ(0, upcall_name_new(self->other, NAME, &self->name));
	ASSERT_EQ(0, upcall_call_new(self->other, &self->call));
}

FIXTURE_TEARDOWN(name)
{
	unlink(FILE_);
	upcall_call_free(self->call);
	upcall_name_free(self->name);
	upcall_close(self->other);
	upcall_close(self->owner);
}

TEST_F(name, published_is_found_until_withdrawn)
{
	uint64_t handle;
	struct stat stat_;

	EXPECT_EQ(-ENOENT, upcall_lookup(self->other, NAME, &handle));
	umask(077);
	ASSERT_EQ(0, upcall_publish(self->owner, NAME, self->handle));
	ASSERT_EQ(0, stat(FILE_, &stat_));
	EXPECT_EQ(0644, stat_.st_mode & 07777);
	ASSERT_EQ(0, upcall_lookup(self->other, NAME, &handle));
	EXPECT_EQ(self->handle, handle);
	EXPECT_EQ(0, upcall_withdraw(self->owner, NAME, self->handle));
	EXPECT_EQ(-ENOENT, upcall_lookup(self->other, NAME, &handle));
	EXPECT_EQ(-ENOENT, upcall_withdraw(self->owner, NAME, self->handle));
}

TEST_F(name, only_ones_own_live_callback_can_be_published)
{
	EXPECT_EQ(-EPERM, upcall_publish(self->other, NAME, self->handle));
	EXPECT_EQ(-ESTALE, upcall_publish(self->owner, NAME, 1));
	EXPECT_EQ(-EINVAL, upcall_publish(self->owner, "../" NAME, self->handle));
	ASSERT_EQ(0, upcall_release(self->owner, self->handle, 0));
	EXPECT_EQ(-ESTALE, upcall_publish(self->owner, NAME, self->handle));
}

TEST_F(name, withdraw_leaves_anothers_name_alone)
{
	uint64_t second, handle;

	ASSERT_EQ(0, upcall_register(self->owner, NULL, 0, &second));
	ASSERT_EQ(0, upcall_publish(self->owner, NAME, self->handle));
	ASSERT_EQ(0, upcall_publish(self->owner, NAME, second));
	EXPECT_EQ(-ESTALE, upcall_withdraw(self->owner, NAME, self->handle));
	ASSERT_EQ(0, upcall_lookup(self->other, NAME, &handle));
	EXPECT_EQ(second, handle);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t done = write(fd, text, strlen(text));

	close(fd);
	return done == (ssize_t)strlen(text) ? 0 : -1;
}

TEST_F(name, name_of_an_earlier_load_of_the_module_is_estale)
{
	uint64_t handle;

	mkdir("/run/upcall", 0755);
	ASSERT_EQ(0, write_file(FILE_, "upcall=1\nhandle=5\ninstance=1\n"));
	EXPECT_EQ(-ESTALE, upcall_lookup(self->other, NAME, &handle));
}

TEST_F(name, links_and_odd_files_are_eproto)
{
	uint64_t handle;

	mkdir("/run/upcall", 0755);
	ASSERT_EQ(0, symlink("/etc/passwd", FILE_));
	EXPECT_EQ(-EPROTO, upcall_lookup(self->other, NAME, &handle));
	unlink(FILE_);
	ASSERT_EQ(0, mkfifo(FILE_, 0644));
	EXPECT_EQ(-EPROTO, upcall_lookup(self->other, NAME, &handle));
	unlink(FILE_);
	ASSERT_EQ(0, write_file(FILE_, "handle=5\n"));
	EXPECT_EQ(-EPROTO, upcall_lookup(self->other, NAME, &handle));
}

TEST_F(name, publish_replaces_a_link_and_not_what_it_points_to)
{
	struct stat stat_;

	mkdir("/run/upcall", 0755);
	ASSERT_EQ(0, write_file("/tmp/lib-name-victim", "precious"));
	ASSERT_EQ(0, symlink("/tmp/lib-name-victim", FILE_));
	ASSERT_EQ(0, upcall_publish(self->owner, NAME, self->handle));
	ASSERT_EQ(0, stat("/tmp/lib-name-victim", &stat_));
	EXPECT_EQ(8, stat_.st_size);
	ASSERT_EQ(0, lstat(FILE_, &stat_));
	EXPECT_TRUE(S_ISREG(stat_.st_mode));
	unlink("/tmp/lib-name-victim");
}

TEST_F(name, required_uid_is_checked_against_file_and_kernel)
{
	uint64_t handle;

	ASSERT_EQ(0, upcall_publish(self->owner, NAME, self->handle));
	upcall_name_require_uid(self->name, geteuid());
	EXPECT_EQ(0, upcall_name_resolve(self->name, &handle));
	upcall_name_require_uid(self->name, 1000);
	EXPECT_EQ(-EACCES, upcall_name_resolve(self->name, &handle));
	ASSERT_EQ(0, chown(FILE_, 1000, 1000));
	EXPECT_EQ(-EACCES, upcall_name_resolve(self->name, &handle));
	upcall_name_require_uid(self->name, geteuid());
	EXPECT_EQ(-EACCES, upcall_name_resolve(self->name, &handle));
}

TEST_F(name, user_publishes_in_the_runtime_directory)
{
	char dir[] = "/tmp/lib-name-XXXXXX";
	char path[PATH_MAX];
	int status;
	pid_t pid;

	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, chown(dir, 1000, 1000));
	snprintf(path, sizeof(path), "%s/upcall/" NAME, dir);
	setenv("XDG_RUNTIME_DIR", dir, 1);
	pid = fork();
	if (!pid) {
		struct upcall_peer *peer;
		uint64_t handle, found;

		if (setregid(1000, 1000) || setreuid(1000, 1000))
			_exit(1);
		if (upcall_open(NULL, &peer) || upcall_register(peer, NULL, 0, &handle))
			_exit(2);
		if (upcall_publish(peer, NAME, handle) || access(path, F_OK))
			_exit(3);
		if (upcall_lookup(peer, NAME, &found) || found != handle)
			_exit(4);
		_exit(upcall_withdraw(peer, NAME, handle) ? 5 : 0);
	}
	waitpid(pid, &status, 0);
	EXPECT_EQ(0, status);
	EXPECT_NE(0, access(path, F_OK));
}

/* An owner of its own on a thread, published; ended by stop_owner(). */
struct service {
	struct owner owner;
	struct upcall_callback *callback;
	int status;
};

static int start_service(struct service *service, int status)
{
	service->status = status;
	return upcall_open(NULL, &service->owner.peer) ||
	       upcall_callback_new(service->owner.peer, NULL, answer, &service->status, NULL,
				   &service->callback) ||
	       owner_start(&service->owner, 1) ||
	       upcall_publish(service->owner.peer, NAME, upcall_callback_handle(service->callback));
}

static void end_service(struct service *service)
{
	upcall_stop(service->owner.peer);
	owner_join(&service->owner);
	upcall_callback_unref(service->callback);
	upcall_close(service->owner.peer);
}

static void *start_later(void *arg)
{
	usleep(100000);
	return (void *)(intptr_t)start_service(arg, 2);
}

TEST_F(name, call_waits_for_the_name_and_follows_it_to_the_next_owner)
{
	struct service first = { 0 }, second = { 0 };
	pthread_t thread;

	ASSERT_EQ(0, start_service(&first, 1));
	ASSERT_EQ(0, upcall_name_invoke(self->name, self->call, 0, NULL, 0, SOON));
	EXPECT_EQ(1, upcall_call_status(self->call));
	end_service(&first);

	ASSERT_EQ(0, pthread_create(&thread, NULL, start_later, &second));
	ASSERT_EQ(0, upcall_name_invoke(self->name, self->call, 0, NULL, 0, SOON));
	EXPECT_EQ(2, upcall_call_status(self->call));
	pthread_join(thread, NULL);
	end_service(&second);
}

TEST_F(name, call_gives_up_at_the_deadline_or_when_patience_ends)
{
	EXPECT_EQ(-ENOENT, upcall_name_invoke(self->name, self->call, 0, NULL, 0,
					      upcall_deadline_in(50)));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, upcall_call_stage(self->call));
	upcall_name_set_patience(self->name, 0);
	EXPECT_EQ(-ENOENT, upcall_name_invoke(self->name, self->call, 0, NULL, 0,
					      UPCALL_NO_DEADLINE));
	ASSERT_EQ(0, upcall_publish(self->owner, NAME, self->handle));
	upcall_close(self->owner);
	self->owner = NULL;
	EXPECT_EQ(-ESTALE, upcall_name_invoke(self->name, self->call, 0, NULL, 0,
					      UPCALL_NO_DEADLINE));
	EXPECT_NE(UPCALL_REASON_NONE, upcall_call_reason(self->call));
}

TEST_HARNESS_MAIN
