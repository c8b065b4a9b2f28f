// SPDX-License-Identifier: GPL-2.0-only
/*
 * The service manager's side of "upcall serve --adoptable": what it is sent, what it hands over.
 */
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "tool.h"

static char said[1024];

void tool_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
}

int text_parse_number(const char *text, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	return *end || end == text ? -EINVAL : 0;
}

/* A socket as systemd's; the environment says where. */
static int manager(struct sockaddr_un *address, socklen_t len, const char *path)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)address, len) || setenv("NOTIFY_SOCKET", path, 1))
		return -errno;
	return fd;
}

static int manager_in_the_file_system(void)
{
	struct sockaddr_un address = { AF_UNIX, "notify.sock" };
	char path[sizeof(address.sun_path)];

	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/notify-%d", getpid());
	unlink(address.sun_path);
	memcpy(path, address.sun_path, sizeof(path));
	return manager(&address, sizeof(address), path);
}

static int manager_in_the_abstract(void)
{
	struct sockaddr_un address = { AF_UNIX, "" };
	char path[32];
	int len = snprintf(path, sizeof(path), "@notify-%d", getpid());

	memcpy(address.sun_path + 1, path + 1, len - 1);
	return manager(&address, offsetof(struct sockaddr_un, sun_path) + len, path);
}

/* What came, and the descriptor that came with it, or -1. */
static int receive(int manager, char *text, size_t room, int *fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec bytes = { .iov_base = text, .iov_len = room - 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	ssize_t len = recvmsg(manager, &message, MSG_DONTWAIT);
	struct cmsghdr *header = len < 0 ? NULL : CMSG_FIRSTHDR(&message);

	*fd = -1;
	if (header)
		memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	text[len < 0 ? 0 : len] = 0;
	return len < 0 ? -errno : 0;
}

static bool same_file(int a, int b)
{
	struct stat left, right;

	return !fstat(a, &left) && !fstat(b, &right) && left.st_dev == right.st_dev &&
	       left.st_ino == right.st_ino;
}

TEST(peer_is_sent_to_be_kept)
{
	int (*const managers[])(void) = { manager_in_the_file_system, manager_in_the_abstract };
	int ends[2], fd, got;
	char text[100];

	ASSERT_EQ(0, pipe(ends));
	for (int i = 0; i < 2; i++) {
		fd = managers[i]();
		ASSERT_LE(0, fd);
		store_ready(ends[0]);
		ASSERT_EQ(0, receive(fd, text, sizeof(text), &got));
		EXPECT_STREQ("READY=1\nFDSTORE=1\nFDNAME=upcall", text);
		EXPECT_TRUE(same_file(ends[0], got));
		EXPECT_EQ(NULL, getenv("NOTIFY_SOCKET"));
		close(got);
		close(fd);
	}
	EXPECT_STREQ("", said);
}

TEST(without_a_peer_only_readiness_is_told)
{
	int fd = manager_in_the_abstract(), got;
	char text[100];

	ASSERT_LE(0, fd);
	store_ready(-1);
	ASSERT_EQ(0, receive(fd, text, sizeof(text), &got));
	EXPECT_STREQ("READY=1", text);
	EXPECT_EQ(-1, got);
	store_ready(-1);	/* the environment names nobody any more */
	EXPECT_EQ(-EAGAIN, receive(fd, text, sizeof(text), &got));
	close(fd);
}

TEST(manager_that_is_not_there_is_told_of)
{
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	store_ready(-1);
	EXPECT_NE(NULL, strstr(said, "NOTIFY_SOCKET"));
	said[0] = 0;
	setenv("NOTIFY_SOCKET", "vsock:2:3", 1);
	store_ready(-1);
	EXPECT_NE(NULL, strstr(said, "NOTIFY_SOCKET"));
}

static int take(const char *pid, const char *count, const char *names)
{
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
	return store_take();
}

TEST(kept_peer_is_found_by_its_name)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	EXPECT_EQ(3, take(pid, "1", "upcall"));
	EXPECT_EQ(5, take(pid, "3", "a:upcall.socket:upcall"));
	EXPECT_EQ(4, take(pid, "3", ":upcall:upcall"));
	EXPECT_EQ(NULL, getenv("LISTEN_PID"));
	EXPECT_EQ(NULL, getenv("LISTEN_FDS"));
	EXPECT_EQ(NULL, getenv("LISTEN_FDNAMES"));
	EXPECT_EQ(-1, store_take());
}

TEST(what_is_not_meant_for_us_is_left_alone)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	EXPECT_EQ(-1, take("1", "1", "upcall"));
	EXPECT_EQ(-1, take(pid, "1", "other"));
	EXPECT_EQ(-1, take(pid, "1", "a:upcall"));
	EXPECT_EQ(-1, take(pid, "1", NULL));
	EXPECT_EQ(-1, take(pid, "one", "upcall"));
	EXPECT_EQ(-1, take(pid, "1", ""));
}

TEST_HARNESS_MAIN
