// SPDX-License-Identifier: GPL-2.0-only
/* What the operations do that befall processes, and their memory. */
#include <sched.h>
#include <sys/syscall.h>
#include "fuzz.h"

#define MOST_US	5000	/* that one sleeps */

/* The child does the next so many operations of its thread. */
int64_t run_fork(struct self *self, const struct verb *verb, const uint64_t *args)
{
	uint32_t count = args[0] < MAX_OPS ? args[0] : MAX_OPS;
	pid_t pid = fork();

	(void)verb;
	if (pid) {
		self->skip = pid > 0 ? count : 0;
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self->is_child = true;
	op_ended(self->at, 0);
	actor_run(self, self->at + 1, count);
	_exit(0);
}

/* No thread of this process comes back to say that it is done. */
static void all_done(struct self *self)
{
	op_ended(self->at, 0);
	if (!self->is_child)
		process_done(self->actor / THREADS);
}

int64_t run_exec(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)verb, (void)args;
	all_done(self);
	execl("/proc/self/exe", "fuzz", LINGER, NULL);
	_exit(1);
}

/* 0: of the thread alone. */
int64_t run_exit(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)verb;
	if (args[0] || self->is_child) {
		all_done(self);
		_exit(args[0]);
	}
	op_ended(self->at, 0);
	actor_done(self->actor);
	syscall(SYS_exit, 0);
	return 0;
}

static int64_t signal_process(uint64_t who, int sig)
{
	pid_t pid = arena->pid[who % ACTORS / THREADS];

	return pid > 0 && !kill(pid, sig) ? 0 : -ESRCH;
}

int64_t run_kill(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)verb;
	if (args[0] % ACTORS / THREADS == self->actor / THREADS)
		all_done(self);
	return signal_process(args[0], SIGKILL);
}

int64_t run_signal(struct self *self, const struct verb *verb, const uint64_t *args)
{
	uint64_t who = args[0] % ACTORS;

	(void)self, (void)verb;
	if (arena->tid[who] <= 0)
		return -ESRCH;
	return syscall(SYS_tgkill, arena->pid[who / THREADS], arena->tid[who], args[1] ? SIGUSR1 : SIGUSR2);
}

int64_t run_stop(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)self, (void)verb;
	return signal_process(args[0], SIGSTOP);
}

int64_t run_cont(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)self, (void)verb;
	return signal_process(args[0], SIGCONT);
}

int64_t run_pause(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)self, (void)verb;
	return usleep(args[0] < MOST_US ? args[0] : MOST_US);
}

/* This thread alone. The signal that its parent's death is goes with that. */
int64_t run_become(struct self *self, const struct verb *verb, const uint64_t *args)
{
	uid_t id = args[0];
	int64_t ret;

	(void)self, (void)verb;
	syscall(SYS_setresgid, id, id, id);
	ret = syscall(SYS_setresuid, id, id, id);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return ret;
}

int64_t run_userns(struct self *self, const struct verb *verb, const uint64_t *args)
{
	int64_t ret = unshare(CLONE_NEWUSER);

	(void)self, (void)verb, (void)args;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return ret;
}

int64_t run_protect(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)self, (void)verb;
	return mprotect((void *)(args[0] & ~4095UL), args[1], args[2] & (PROT_READ | PROT_WRITE));
}

int64_t run_unmap(struct self *self, const struct verb *verb, const uint64_t *args)
{
	(void)self, (void)verb;
	return munmap((void *)(args[0] & ~4095UL), args[1]);
}
