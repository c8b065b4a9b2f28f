// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a program: its processes are made, do what is theirs, wait until all are done, and go. Whoever
 * does not go on is killed; that it then goes is the kernel's duty.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include "fuzz.h"

#define RESULT_MS	100			/* that one waits for another's result */
#define QUIET_MS	150			/* without progress: the rest is stuck */
#define LIMIT_MS	3000
#define DEATH_MS	(30000 * UPCALL_SLOW)	/* that a killed process may take, on a busy machine */
#define MAILBOX_FD	500			/* programs have those below */

struct arena *arena;
int mailbox[2];

static pid_t groups[PROCESSES];	/* of each process, with the children that it makes */

static long futex(uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static void wait_for_change(uint32_t *word, uint32_t value, uint64_t ns)
{
	struct timespec timeout = { ns / 1000000000, ns % 1000000000 };

	futex(word, FUTEX_WAIT, value, &timeout);
}

static void set_and_wake(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	futex(word, FUTEX_WAKE, INT_MAX, NULL);
}

/* --- in the processes -------------------------------------------------------------- */

void op_ended(uint32_t op, int64_t returned)
{
	arena->returned[op] = returned;
	set_and_wake(&arena->ended[op]);
	__atomic_add_fetch(&arena->progress, 1, __ATOMIC_RELAXED);
}

void actor_done(uint32_t actor)
{
	__atomic_store_n(&arena->done[actor], 1, __ATOMIC_SEQ_CST);
	kill(arena->runner, SIGCHLD);
}

void process_done(uint32_t process)
{
	uint32_t thread;

	for (thread = 0; thread < THREADS; thread++)
		actor_done(process * THREADS + thread);
}

static void wait_for_result(uint32_t op)
{
	uint64_t now, until = in_ms(RESULT_MS);

	while (!__atomic_load_n(&arena->ended[op], __ATOMIC_SEQ_CST)) {
		now = now_ns();
		if (now >= until)
			return;
		wait_for_change(&arena->ended[op], 0, until - now);
	}
}

static uint64_t resolve(struct self *self, const struct value *value)
{
	switch (value->kind) {
	case RESULT:
		wait_for_result(value->op);
		return arena->value[value->op][value->which] + value->number;
	case MEMORY:
		return memory_at(self, value->op, value->number);
	case SOON:
		return now_ns() + value->number * 1000;
	default:
		return value->number;
	}
}

static void op_run(struct self *self, uint32_t at)
{
	const struct op *op = &self->program->ops[at];
	const struct verb *verb = &verbs[op->verb];
	bool is_command = verb->run == run_command;
	uint64_t args[MAX_ARGS] = { 0 };
	int64_t ret;
	int i;

	self->at = at;
	self->riding = is_command && self->pending < PENDING ? self->pending : PENDING;
	for (i = 0; verb->fields[i].name; i++)
		args[i] = resolve(self, &op->args[i]);
	__atomic_add_fetch(&arena->progress, 1, __ATOMIC_RELAXED);
	if (!self->is_child && self->actor < ACTORS)
		kcov_mark(self->actor);
	ret = verb->run(self, verb, args);
	if (!is_command)
		op_ended(at, ret);
}

/* Its operations from there on, at most so many. */
void actor_run(struct self *self, uint32_t from, uint32_t most)
{
	uint32_t i;

	for (i = from; i < self->program->count && most; i++) {
		if (self->program->ops[i].actor != self->actor)
			continue;
		most--;
		if (self->skip)
			self->skip--;
		else
			op_run(self, i);
	}
}

static struct self selves[THREADS];

static void *actor_main(void *arg)
{
	struct self *self = arg;

	arena->tid[self->actor] = syscall(SYS_gettid);
	kcov_start(self->actor);
	actor_run(self, 0, MAX_OPS);
	actor_done(self->actor);
	while (!__atomic_load_n(&arena->stop, __ATOMIC_SEQ_CST))
		wait_for_change(&arena->stop, 0, 1000000000);
	_exit(0);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void process_main(const struct program *program, uint32_t process, bool second)
{
	struct sigaction restart = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction interrupt = { .sa_handler = on_signal };
	pthread_t thread;
	sigset_t set;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != arena->runner)
		_exit(1);
	setpgid(0, 0);
	arena->pid[process] = getpid();
	sigaction(SIGUSR1, &restart, NULL);
	sigaction(SIGUSR2, &interrupt, NULL);
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	for (i = 0; i < THREADS; i++) {
		selves[i].program = program;
		selves[i].actor = process * THREADS + i;
	}
	if (second && pthread_create(&thread, NULL, actor_main, &selves[1]))
		actor_done(process * THREADS + 1);
	actor_main(&selves[0]);
}

/* --- in the one that runs it ------------------------------------------------------- */

static bool exec_has(const struct program *program, uint32_t actor)
{
	uint32_t i;

	for (i = 0; i < program->count; i++) {
		if (program->ops[i].actor == actor)
			return true;
	}
	return false;
}

static void start(const struct program *program)
{
	uint32_t process, first;
	bool second;

	for (process = 0; process < PROCESSES; process++) {
		first = process * THREADS;
		second = exec_has(program, first + 1);
		if (!second)
			arena->done[first + 1] = 1;
		if (!second && !exec_has(program, first)) {
			arena->done[first] = 1;
			continue;
		}
		groups[process] = fork();
		if (!groups[process])
			process_main(program, process, second);
		setpgid(groups[process], 0);
		arena->pid[process] = groups[process];
	}
}

static bool all_are_done(void)
{
	uint32_t i, done = 0;

	for (i = 0; i < ACTORS; i++)
		done += __atomic_load_n(&arena->done[i], __ATOMIC_SEQ_CST);
	return done == ACTORS;
}

/* Those that have gone. False: there is nobody left. */
static bool reap_some(void)
{
	uint32_t i;
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
		for (i = 0; i < PROCESSES; i++) {
			if (groups[i] == pid) {
				arena->pid[i] = 0;
				process_done(i);
			}
		}
	}
	return !pid;
}

static void wait_for_news(uint64_t ms)
{
	struct timespec timeout = { 0, ms * 1000000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &timeout);
}

/* Until all are done, or nothing happens any more. */
static void supervise(void)
{
	uint64_t end = in_ms(LIMIT_MS), quiet = in_ms(QUIET_MS), now;
	uint32_t progress = 0, seen;

	while (!all_are_done()) {
		wait_for_news(10);
		reap_some();
		seen = __atomic_load_n(&arena->progress, __ATOMIC_RELAXED);
		now = now_ns();
		if (seen != progress)
			quiet = now + QUIET_MS * 1000000ULL;
		progress = seen;
		if (now > quiet || now > end)
			break;
	}
}

static void kill_all(void)
{
	uint32_t i;

	for (i = 0; i < PROCESSES; i++) {
		if (groups[i] > 0)
			kill(-groups[i], SIGKILL);
	}
}

/* NULL, or what is wrong. */
static const char *end(void)
{
	uint64_t until = in_ms(DEATH_MS);
	bool by_itself = all_are_done();

	set_and_wake(&arena->stop);
	if (!by_itself)
		kill_all();
	else
		wait_for_news(10);
	while (reap_some()) {
		kill_all();	/* also who was stopped, or stays */
		if (now_ns() > until)
			return "a process was killed and does not end";
		wait_for_news(10);
	}
	return NULL;
}

static void close_range_of(unsigned int first, unsigned int last)
{
	syscall(SYS_close_range, first, last, 0);
}

static bool mailbox_new(void)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds))
		return false;
	mailbox[0] = fcntl(fds[0], F_DUPFD, MAILBOX_FD);
	mailbox[1] = fcntl(fds[1], F_DUPFD, MAILBOX_FD);
	close(fds[0]);
	close(fds[1]);
	return mailbox[0] > 0 && mailbox[1] > 0;
}

/* NULL, or what is wrong: the program ran, and its processes have gone. */
const char *exec_run(const struct program *program)
{
	static struct self everybody = { .actor = EVERYBODY };

	memset(arena, 0, sizeof(*arena));
	memset(groups, 0, sizeof(groups));
	arena->runner = getpid();
	if (!mailbox_new())
		return "no mailbox";
	kcov_reset();
	everybody.program = program;
	everybody.skip = 0;
	actor_run(&everybody, 0, MAX_OPS);
	start(program);
	close_range_of(3, MAILBOX_FD - 1);
	close(mailbox[0]);
	close(mailbox[1]);
	supervise();
	return end();
}

/* Where the kernel lets allocations and copies fail, of all kinds, and without a word. */
static void prepare_failures(void)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" }, { "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" }, { "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" }, { "fail_usercopy/verbose", "0" },
	};
	char path[80];
	size_t i;
	int fd;

	for (i = 0; i < LENGTH(settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, settings[i][1], 1) != 1)
			perror(path);
		close(fd);
	}
}

/* Once, first. */
bool exec_init(void)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	arena = shared_alloc(sizeof(*arena));
	setrlimit(RLIMIT_CORE, &none);
	prepare_failures();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	memory_init();
	return arena != MAP_FAILED && !prctl(PR_SET_CHILD_SUBREAPER, 1);
}
