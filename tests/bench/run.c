// SPDX-License-Identifier: GPL-2.0-only
/*
 * A caller and its server: processes, priorities, batches.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

/* Who starts the others comes before them; all who are measured are equals. */
#define STARTER_PRIORITY	20
#define MEASURED_PRIORITY	10

#define PROCESS_LIMIT_S		300

void write_to(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(file);
	close(fd);
}

void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

static void turn_realtime(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
		fail("SCHED_FIFO");
}

void move_to(int nth)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(nth, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		fail("sched_setaffinity");
}

void become_starter(void)
{
	write_to("/proc/sys/kernel/sched_rt_runtime_us", "-1");
	turn_realtime(STARTER_PRIORITY);
}

pid_t begin_process(const char *name, void (*body)(void *arg), void *arg)
{
	pid_t pid;

	current_row = name;
	pid = fork();
	must(pid);
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(PROCESS_LIMIT_S);
		move_to(0);
		turn_realtime(MEASURED_PRIORITY);
		body(arg);
		fflush(stdout);
		_exit(0);
	}
	return pid;
}

/* Runs @body in a process of its own, so that nothing of it stays. */
void in_process(const char *name, void (*body)(void *arg), void *arg)
{
	pid_t pid = begin_process(name, body, arg);
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL);
	if (WIFSIGNALED(status)) {
		printf("fail %s killed by signal %d\n", name, WTERMSIG(status));
		fflush(stdout);
	}
}

void serving(struct run *run)
{
	must(write(run->serving[1], "", 1));
	close(run->serving[1]);
}

static void serve(struct run *run)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	move_to(run->server_cpu);
	run->way->serve(run);
	_exit(1);
}

/* Brings both sides up, and makes one round trip. */
void run_begin(struct run *run)
{
	char ready;

	run->shared = shared_memory(SHARED_BYTES);
	run->arg = malloc(MAX_ARG);
	memset(run->arg, 0x5a, MAX_ARG);
	memcpy(run->arg, "argument", 8);
	must(pipe2(run->serving, O_CLOEXEC));
	run->way->setup(run);
	run->server = fork();
	must(run->server);
	if (run->server == 0)
		serve(run);
	close(run->serving[1]);
	if (read(run->serving[0], &ready, 1) != 1)
		fail("its server ended");
	if (run->way->connect)
		run->way->connect(run);
	if (run->way->call(run) != answer(run->arg, run->size) && !run->way->blind) {
		errno = EBADMSG;
		fail("wrong answer");
	}
}

void run_end(struct run *run)
{
	kill(run->server, SIGKILL);
	waitpid(run->server, NULL, 0);
	if (run->way->close)
		run->way->close(run);
}

void run_call(void *run)
{
	((struct run *)run)->way->call(run);
}

static void measure_run(void *arg)
{
	struct run *run = arg;

	run_begin(run);
	row(current_row, time_unit(), fastest(run_call, run, run->way->each ?: 1));
	run_end(run);
}

void measure_way(const struct way *way, size_t size, const char *name)
{
	struct run run = { .way = way, .size = size };

	in_process(name, measure_run, &run);
}
