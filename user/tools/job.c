// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A job: one run of COMMAND, in a process group of its own.
 *
 * Its stdin is a file that holds the call's bytes, so COMMAND may leave them unread
 * and nobody waits for it. Its stdout is a pipe that this process reads without
 * blocking. It has ended when COMMAND has exited and its output is at an end, as in
 * the shell's $(COMMAND).
 *
 * The process is not reaped before job_free(): till then its number, which is the
 * group's too, cannot become someone else's, and job_signal() is safe.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U
#endif

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t ret = write(fd, bytes, len);

		if (ret < 0)
			return -errno;
		bytes += ret;
		len -= ret;
	}
	return 0;
}

/* A file in memory, read from its start. Kernels before 6.3 do not know the flag. */
static int input_file(const void *bytes, size_t len)
{
	int err, fd = memfd_create("upcall-input", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("upcall-input", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write_all(fd, bytes, len);
	if (!err && lseek(fd, 0, SEEK_SET) < 0)
		err = -errno;
	if (err)
		close_fd(&fd);
	return err ? err : fd;
}

static void child_setup(const struct job_plan *plan, pid_t parent, int in, int out)
{
	struct sigaction act = { .sa_handler = SIG_DFL };

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		raise(SIGTERM);
	sigaction(SIGPIPE, &act, NULL);
	sigprocmask(SIG_SETMASK, &plan->signals, NULL);
	if (dup2(in, STDIN_FILENO) < 0 || (out >= 0 && dup2(out, STDOUT_FILENO) < 0))
		_exit(127);
}

/* What exec said, through a pipe that a successful exec closes. */
static int exec_error(int fd)
{
	int err = 0;

	return read(fd, &err, sizeof(err)) == sizeof(err) ? -err : 0;
}

static int job_spawn(struct job *job, const struct job_plan *plan, int in, int out)
{
	int report[2], err;
	pid_t parent = getpid();

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	job->pid = fork();
	if (!job->pid) {
		child_setup(plan, parent, in, out);
		execvp(plan->argv[0], plan->argv);
		err = errno;
		err = write(report[1], &err, sizeof(err));
		_exit(127);
	}
	err = job->pid < 0 ? -errno : 0;
	close_fd(&report[1]);
	if (!err) {
		setpgid(job->pid, job->pid);
		err = exec_error(report[0]);
		if (err)
			waitpid(job->pid, NULL, 0);
	}
	close_fd(&report[0]);
	return err;
}

/**
 * job_start() - Run COMMAND
 * @job: Zeroed by the caller, who frees it with job_free() if this succeeds.
 * @plan: What to run, with which input; not used after the return.
 *
 * Return: 0; or -errno, and nothing was run: -ENOENT and -EACCES are those of exec.
 */
int job_start(struct job *job, const struct job_plan *plan)
{
	int out[2] = { -1, -1 };
	int in, err = 0;

	in = input_file(plan->input, plan->input_len);
	if (in < 0)
		return in;
	if (plan->capture && pipe2(out, O_CLOEXEC) < 0)
		err = -errno;
	if (!err)
		err = job_spawn(job, plan, in, out[1]);
	close_fd(&in);
	close_fd(&out[1]);
	if (err) {
		close_fd(&out[0]);
		return err;
	}
	if (out[0] >= 0)
		fcntl(out[0], F_SETFL, O_NONBLOCK);
	job->out = out[0];
	job->limit = plan->output_limit;
	job->started_ns = text_now();
	return 0;
}

static bool output_grow(struct job *job)
{
	size_t room = job->room ? job->room * 2 : 4096;
	char *output;

	if (room > job->limit)
		room = job->limit;
	output = realloc(job->output, room ? room : 1);
	if (!output)
		return false;
	job->output = output;
	job->room = room;
	return true;
}

/* Beyond the limit bytes are counted, to say how much was needed, but not kept. */
static ssize_t output_read(struct job *job)
{
	static char beyond[65536];
	ssize_t ret;

	if (job->used == job->room && job->room < job->limit && !output_grow(job))
		return -ENOMEM;
	if (job->used < job->room)
		ret = read(job->out, job->output + job->used, job->room - job->used);
	else
		ret = read(job->out, beyond, sizeof(beyond));
	if (ret < 0)
		return -errno;
	if (job->used < job->room)
		job->used += ret;
	job->written += ret;
	return ret;
}

/**
 * job_read() - Take what COMMAND has written so far
 * @job: Whose pipe is readable.
 *
 * At its end, or once it wrote more than any caller could take, the pipe is closed:
 * a COMMAND that goes on writing gets SIGPIPE, as in front of head(1).
 */
void job_read(struct job *job)
{
	ssize_t ret;

	while (job->out >= 0) {
		ret = output_read(job);
		if (ret == -EAGAIN || ret == -EINTR)
			return;
		if (ret < 0)
			job->err = ret;
		if (ret <= 0 || job->written > UPCALL_MAX_PAYLOAD)
			close_fd(&job->out);
	}
}

/* WNOWAIT: it stays a zombie, and its number its own. */
static void job_notice_exit(struct job *job)
{
	siginfo_t info = { 0 };

	if (waitid(P_PID, job->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
		return;
	job->exited = true;
	job->exit_code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

/**
 * job_ended() - Whether COMMAND has exited and its output is at an end
 * @job: A started one.
 *
 * Return: true if @exit_code is set and nothing more will come.
 */
bool job_ended(struct job *job)
{
	if (!job->exited)
		job_notice_exit(job);
	if (job->exited)
		job_read(job);
	return job->exited && job->out < 0;
}

/**
 * job_stop() - Ask COMMAND to end: TERM now, KILL after a while
 * @job: A started one; stopping it twice is stopping it once.
 * @grace_ns: How long it has to end by itself.
 */
void job_stop(struct job *job, uint64_t grace_ns)
{
	if (job->kill_ns)
		return;
	kill(-job->pid, SIGTERM);
	kill(-job->pid, SIGCONT);
	job->kill_ns = text_now() + grace_ns;
	job->stop_ns = 0;
}

/**
 * job_kill() - End COMMAND and all of its group now
 * @job: A started one. Its output ends here, whoever else holds the pipe.
 */
void job_kill(struct job *job)
{
	kill(-job->pid, SIGKILL);
	close_fd(&job->out);
	job->killed = true;
}

/**
 * job_free() - Reap the process and give back what the job took
 * @job: One that job_ended(), or that was killed: then this waits for its end.
 */
void job_free(struct job *job)
{
	if (job->kill_ns && !job->killed)
		kill(-job->pid, SIGKILL);
	waitpid(job->pid, NULL, 0);
	close_fd(&job->out);
	free(job->output);
	free(job);
}
