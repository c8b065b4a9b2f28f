// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A screen that is drawn again and again, and the wait between. The terminal is put back
 * at exit, however that comes, and while the process is stopped.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "tool.h"

#define ENTER	"\033[?1049h\033[?25l"	/* other screen, no cursor */
#define LEAVE	"\033[?25h\033[?1049l"
#define HOME	"\033[H"
#define CLEAR	"\033[K"		/* to the end of the line */
#define CLEAR_DOWN "\033[J"

static struct {
	bool terminal, entered, keys;
	int signals;
	struct termios before;
} screen;

static void say(const char *text, size_t len)
{
	while (len) {
		ssize_t ret = write(STDOUT_FILENO, text, len);

		if (ret < 0 && errno == EINTR)
			continue;
		if (ret <= 0)
			return;
		text += ret;
		len -= ret;
	}
}

static void screen_enter(void)
{
	struct termios now;

	if (!screen.terminal || screen.entered)
		return;
	screen.keys = !tcgetattr(STDIN_FILENO, &screen.before);
	now = screen.before;
	now.c_lflag &= ~(ICANON | ECHO);
	now.c_cc[VMIN] = 0;
	now.c_cc[VTIME] = 0;
	if (screen.keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
	say(ENTER, strlen(ENTER));
	screen.entered = true;
}

/**
 * screen_close() - Put the terminal back
 */
void screen_close(void)
{
	if (!screen.entered)
		return;
	screen.entered = false;
	say(LEAVE, strlen(LEAVE));
	if (screen.keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
}

/**
 * screen_open() - Begin
 * @terminal: Draw on it; else screen_wait() is all there is.
 */
void screen_open(bool terminal)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH };
	sigset_t set;

	screen.terminal = terminal;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (terminal || numbers[i] != SIGTSTP)
			sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	screen.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (screen.signals < 0)
		tool_die(EXIT_LOCAL, "signalfd: %s", strerror(errno));
	atexit(screen_close);
	screen_enter();
}

/**
 * screen_show() - Draw
 * @lines: ASCII. What does not fit is cut, to the right and below.
 */
void screen_show(const char *lines)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	size_t room, used = 0;
	char *out;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	room = strlen(HOME CLEAR_DOWN) + 1 + size.ws_row * (size.ws_col + strlen(CLEAR "\r\n"));
	out = malloc(room);
	if (!out)
		tool_die(EXIT_LOCAL, "out of memory");
	used += sprintf(out, HOME);
	for (int row = 0; row < size.ws_row && *lines; row++) {
		size_t len = strcspn(lines, "\n");
		int width = len < size.ws_col ? len : size.ws_col;

		/* No newline on the last row: it would scroll */
		used += sprintf(out + used, "%s%.*s%s", row ? "\r\n" : "", width, lines,
				width < size.ws_col ? CLEAR : "");
		lines += len + (lines[len] == '\n');
	}
	used += sprintf(out + used, CLEAR_DOWN);
	say(out, used);
	free(out);
}

static int take_signal(void)
{
	struct signalfd_siginfo info;

	if (read(screen.signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGWINCH)
		return SCREEN_RESIZED;
	if (info.ssi_signo != SIGTSTP)
		return SCREEN_END;
	screen_close();
	raise(SIGSTOP);
	screen_enter();
	return SCREEN_RESIZED;
}

static int timeout_until(uint64_t until_ns)
{
	uint64_t now = text_now(), ms;

	if (until_ns <= now)
		return 0;
	ms = (until_ns - now) / 1000000 + 1;
	return ms < INT32_MAX ? (int)ms : INT32_MAX;
}

/**
 * screen_wait() - Wait for the time to come, or something to happen
 * @until_ns: CLOCK_MONOTONIC.
 *
 * Return: SCREEN_TIME it has come; SCREEN_RESIZED draw again; SCREEN_END a signal wants the
 * end; or the key that was pressed.
 */
int screen_wait(uint64_t until_ns)
{
	struct pollfd polls[] = {
		{ .fd = screen.signals, .events = POLLIN },
		{ .fd = screen.keys ? STDIN_FILENO : -1, .events = POLLIN },
	};
	unsigned char key;
	int event;

	for (;;) {
		if (!poll(polls, 2, timeout_until(until_ns)))
			return SCREEN_TIME;
		event = polls[0].revents ? take_signal() : 0;
		if (event)
			return event;
		if (!polls[1].revents)
			continue;
		if (read(STDIN_FILENO, &key, 1) == 1)
			return key;
		polls[1].fd = -1;	/* its end */
	}
}
