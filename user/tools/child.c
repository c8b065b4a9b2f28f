// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The program of "upcall serve --exec": it gets a stub of the callback, and needs no access to
 * the device. It stays in the process group, and so on the terminal, of this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

static void child_main(const struct child *child, int stub, pid_t parent, const sigset_t *signals)
{
	struct sigaction act = { .sa_handler = SIG_DFL };
	struct text number;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		raise(SIGTERM);
	sigaction(SIGPIPE, &act, NULL);
	sigprocmask(SIG_SETMASK, signals, NULL);
	text_print(&number, "%d", stub);
	if (fcntl(stub, F_SETFD, 0) < 0 || setenv("UPCALL_STUB_FD", number.s, 1))
		_exit(127);
	execl("/bin/sh", "sh", "-c", child->command, NULL);
	_exit(127);
}

/**
 * child_start() - Run it, with a stub
 * @child: Its @command is set.
 * @peer: Owner of the callback.
 * @handle: The callback.
 * @signals: Mask for the process.
 *
 * Dies if that cannot be.
 */
void child_start(struct child *child, struct upcall_peer *peer, uint64_t handle,
		 const sigset_t *signals)
{
	pid_t parent = getpid();
	int stub, err = upcall_export(peer, handle, &stub);

	if (err)
		tool_die(EXIT_NO, "--exec: no stub: %s (%s)", upcall_errname(err),
			 upcall_strerror(err));
	child->pid = fork();
	if (!child->pid)
		child_main(child, stub, parent, signals);
	if (child->pid < 0)
		tool_die(EXIT_LOCAL, "--exec: fork: %s", strerror(errno));
	close(stub);
}

/**
 * child_ended() - Whether it has exited
 * @child: A started one.
 *
 * Return: true once, when it has: @exit_code is set, and its @pid 0.
 */
bool child_ended(struct child *child)
{
	int status;

	if (child->pid <= 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
		return false;
	child->pid = 0;
	child->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return true;
}

/**
 * child_signal() - Pass a signal on
 * @child: May have ended, or never have been started.
 * @number: Of the signal.
 */
void child_signal(const struct child *child, int number)
{
	if (child->pid > 0)
		kill(child->pid, number);
}
