// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* "upcall top" on a terminal: what it draws fits, and however it ends the terminal is put back. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "kselftest_harness.h"

#ifndef UPCALL_SLOW
#define UPCALL_SLOW	1
#endif
#define LIMIT	100		/* seconds for a test; the harness multiplies it on a slow kernel */
#define ENTER	"\033[?1049h"
#define LEAVE	"\033[?1049l"
#define HOME	"\033[H"
#define HEADING	"CALLS/S"

#define ROWS	8
#define COLUMNS	40

FIXTURE(terminal)
{
	int master, slave;
	pid_t pid;
	struct termios before;
	char said[1 << 16];
	size_t used;
};

static void resize(int fd, int rows, int columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };

	ioctl(fd, TIOCSWINSZ, &size);
}

/* Whether @text is said, from now on, after @from bytes. */
static bool says(FIXTURE_DATA(terminal) *self, size_t from, const char *text)
{
	time_t end = time(NULL) + LIMIT / 2 * UPCALL_SLOW;
	struct pollfd p = { .fd = self->master, .events = POLLIN };
	ssize_t len;

	while (!strstr(self->said + from, text)) {
		if (time(NULL) > end || self->used + 1 >= sizeof(self->said))
			return false;
		if (poll(&p, 1, 1000) <= 0)
			continue;
		len = read(self->master, self->said + self->used,
			   sizeof(self->said) - 1 - self->used);
		if (len <= 0)
			return false;
		self->used += len;
		self->said[self->used] = 0;
	}
	return true;
}

static bool is_restored(const FIXTURE_DATA(terminal) *self)
{
	struct termios now;

	tcgetattr(self->slave, &now);
	return now.c_lflag == self->before.c_lflag && now.c_iflag == self->before.c_iflag &&
	       now.c_oflag == self->before.c_oflag && !memcmp(now.c_cc, self->before.c_cc, NCCS);
}

static int ends(FIXTURE_DATA(terminal) *self)
{
	int status = -1;

	waitpid(self->pid, &status, 0);
	self->pid = 0;
	return status;
}

FIXTURE_SETUP(terminal)
{
	self->used = 0;
	self->said[0] = 0;
	self->master = posix_openpt(O_RDWR | O_NOCTTY);
	ASSERT_GE(self->master, 0);
	ASSERT_EQ(0, grantpt(self->master));
	ASSERT_EQ(0, unlockpt(self->master));
	self->slave = open(ptsname(self->master), O_RDWR | O_NOCTTY);
	ASSERT_GE(self->slave, 0);
	resize(self->master, ROWS, COLUMNS);
	tcgetattr(self->slave, &self->before);
	self->pid = fork();
	if (!self->pid) {
		setsid();
		ioctl(self->slave, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(self->slave, fd);
		execlp("upcall", "upcall", "top", "-i", "0.1", NULL);
		_exit(127);
	}
	ASSERT_TRUE(says(self, 0, HEADING));
}

FIXTURE_TEARDOWN(terminal)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
	close(self->slave);
	close(self->master);
}

TEST_F_TIMEOUT(terminal, q_ends_it_and_the_terminal_is_as_before, LIMIT)
{
	EXPECT_NE(NULL, strstr(self->said, ENTER));
	EXPECT_FALSE(is_restored(self));
	ASSERT_EQ(1, write(self->master, "q", 1));
	EXPECT_TRUE(says(self, 0, LEAVE));
	EXPECT_EQ(0, ends(self));
	EXPECT_TRUE(is_restored(self));
}

TEST_F_TIMEOUT(terminal, interrupt_ends_it_and_the_terminal_is_as_before, LIMIT)
{
	ASSERT_EQ(1, write(self->master, "\003", 1));
	EXPECT_TRUE(says(self, 0, LEAVE));
	EXPECT_EQ(0, ends(self));
	EXPECT_TRUE(is_restored(self));
}

TEST_F_TIMEOUT(terminal, while_stopped_the_terminal_is_as_before, LIMIT)
{
	int status;
	size_t from;

	/* To a group of its own, which stops like that of a shell's job */
	ASSERT_EQ(0, kill(self->pid, SIGTSTP));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_TRUE(says(self, 0, LEAVE));
	EXPECT_TRUE(is_restored(self));
	from = self->used;
	ASSERT_EQ(0, kill(self->pid, SIGCONT));
	EXPECT_TRUE(says(self, from, ENTER));
	EXPECT_TRUE(says(self, from, HEADING));
	EXPECT_FALSE(is_restored(self));
	ASSERT_EQ(1, write(self->master, "q", 1));
	EXPECT_EQ(0, ends(self));
	EXPECT_TRUE(is_restored(self));
}

TEST_F_TIMEOUT(terminal, keys_change_between_callbacks_and_users, LIMIT)
{
	size_t from = self->used;

	ASSERT_EQ(1, write(self->master, "u", 1));
	/* In the table of callbacks this column is beyond the edge */
	EXPECT_TRUE(says(self, from, "REFUSED/S"));
	from = self->used;
	ASSERT_EQ(2, write(self->master, "us", 2));
	EXPECT_TRUE(says(self, from, "sorted by queued"));
}

/* The length of the longest line of a frame, without escape sequences */
static int longest_line(const char *frame, const char *end)
{
	int longest = 0, len = 0;

	for (; frame < end; frame++) {
		if (*frame == '\033') {
			while (frame < end && (*frame < 'A' || *frame == '['))
				frame++;
			continue;
		}
		len = *frame == '\r' || *frame == '\n' ? 0 : len + 1;
		longest = len > longest ? len : longest;
	}
	return longest;
}

TEST_F_TIMEOUT(terminal, lines_are_cut_to_its_width_also_when_that_changes, LIMIT)
{
	char *frame = strstr(self->said, HOME), *end;
	size_t from;

	ASSERT_NE(NULL, frame);
	ASSERT_TRUE(says(self, frame + 1 - self->said, HOME));
	end = strstr(frame + 1, HOME);
	EXPECT_EQ(COLUMNS, longest_line(frame, end));
	/* Wide enough for all of the heading */
	from = self->used;
	resize(self->master, ROWS, 200);
	EXPECT_TRUE(says(self, from, "REFUSED/S"));
}

TEST_HARNESS_MAIN
