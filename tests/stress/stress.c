// SPDX-License-Identifier: GPL-2.0-only
/*
 * stress SECONDS [SEED]: 8 owners and 16 callers, who are killed and come again, in rounds; after
 * each of them every call is accounted for. The last line is 'stress: sent S, answered S,
 * duplicates 0, lost 0', and the exit status 0, if no call was lost, answered or run twice, and
 * what each caller was told is what its owner did.
 */
#include <stdio.h>
#include <sys/random.h>
#include "stress.h"

#define PROCESSES	(OWNERS + CALLERS)

/* Owners come first. */
struct process {
	pid_t pid;
	struct life life;
};

static struct process processes[PROCESSES];
static struct self chaos;

static bool is_owner(const struct process *process)
{
	return process < processes + OWNERS;
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Before anybody is there to be interrupted: a caller inherits it. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &action, NULL);
}

static void start(struct process *process)
{
	process->life.number = process - processes;
	process->life.id = shared->lives;
	shared->lives += OWNER_THREADS;
	if (is_owner(process))
		shared->order[process->life.number] = STAY;
	process->pid = spawn(is_owner(process) ? owner_run : caller_run, &process->life);
}

/* Those that have ended; true if it is one of them. */
static bool ended(struct process *process)
{
	int status;

	if (waitpid(process->pid, &status, WNOHANG) != process->pid)
		return false;
	if (status && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		complain("process %d ended with %#x", (int)(process - processes), status);
	process->pid = 0;
	return true;
}

static void kill_one(struct process *process)
{
	memset(&shared->cut_short[process->life.id], true, OWNER_THREADS);
	kill(process->pid, SIGKILL);
}

/* Something happens to somebody. */
static void disturb(void)
{
	struct process *process = &processes[draw(&chaos) % PROCESSES];
	uint64_t what = draw(&chaos) % 10;

	if (what < 4 && !is_owner(process))
		kill(process->pid, SIGUSR1);
	else if (what < 6)
		kill_one(process);
	else if (is_owner(process))
		__atomic_store_n(&shared->order[process->life.number],
				 what < 8 ? SHUT_DOWN : LEAVE, __ATOMIC_RELEASE);
}

/* Waits for @count of them; those who do not end are killed, and that is a fault. */
static void wait_for(struct process *first, int count)
{
	uint64_t until = in_ms(3 * SOON_MS);
	int i, left;

	do {
		for (i = 0, left = 0; i < count; i++)
			left += first[i].pid && !ended(&first[i]);
		usleep(1000);
	} while (left && now_ns() < until);
	for (i = 0; i < count; i++) {
		if (first[i].pid) {
			complain("process %d does not end", (int)(first + i - processes));
			kill(first[i].pid, SIGKILL);
			reap(first[i].pid);
			first[i].pid = 0;
		}
	}
}

/* What the users owe, when nobody is left. */
static bool nothing_is_owed(void)
{
	struct upcall_list_user users[16] = { 0 };
	struct upcall_list args = {
		.size = sizeof(args), .what = UPCALL_LIST_USERS, .record_size = sizeof(users[0]),
		.buffer = ptr64(users), .buffer_len = sizeof(users),
	};
	int fd = peer_open();
	uint32_t i, owed = 0;

	if (verb(fd, UPCALL_IOC_LIST, &args))
		owed = 1;
	for (i = 0; i < args.count; i++)
		owed += users[i].callbacks + users[i].queued_calls + !!users[i].queued_bytes;
	close(fd);
	return !owed;
}

/* Callers first, so that there is somebody to answer them. */
static void end_round(void)
{
	__atomic_store_n(&shared->stop_callers, true, __ATOMIC_RELEASE);
	for (int i = 0; i < OWNERS; i++) {
		if (!processes[i].pid || ended(&processes[i]))
			start(&processes[i]);
	}
	wait_for(processes + OWNERS, CALLERS);
	__atomic_store_n(&shared->stop_owners, true, __ATOMIC_RELEASE);
	wait_for(processes, OWNERS);
	if (!eventually(nothing_is_owed()))
		complain("something is owed, and nobody is left");
}

static void play_round(uint64_t ns)
{
	uint64_t end = now_ns() + ns;
	int i;

	for (i = 0; i < PROCESSES; i++)
		start(&processes[i]);
	while (now_ns() < end && shared->lives < MAX_LIVES - 2 * PROCESSES * OWNER_THREADS &&
	       __atomic_load_n(&shared->calls, __ATOMIC_RELAXED) < MAX_CALLS) {
		usleep(20000);
		disturb();
		for (i = 0; i < PROCESSES; i++) {
			if (ended(&processes[i]))
				start(&processes[i]);
		}
	}
	end_round();
}

int main(int argc, char **argv)
{
	uint64_t sent = 0, answered = 0, twice = 0, lost = 0, seed, began = now_ns(), left;
	uint64_t ns = (argc > 1 ? strtoull(argv[1], NULL, 0) : 10) * 1000000000ULL;
	bool good = true;
	int round;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return 1;
	printf("stress: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	chaos.random = seed;
	catch_signals();
	for (round = 0; good && now_ns() < began + ns; round++) {
		left = began + ns - now_ns();
		shared = shared_alloc(sizeof(*shared));
		if (shared == MAP_FAILED)
			return 1;
		shared->seed = seed + round;
		/* Life 0 is nobody's: of an entry whose caller was killed as it opened it */
		shared->lives = OWNER_THREADS;
		shared->cut_short[0] = true;
		play_round(left < 3 * ROUND_S * 500000000ULL ? left : ROUND_S * 1000000000ULL);
		good = book_judge(&sent, &answered, &twice, &lost);
		printf("stress: %llu s: sent %llu, answered %llu\n",
		       (unsigned long long)(now_ns() - began) / 1000000000,
		       (unsigned long long)sent, (unsigned long long)answered);
		fflush(stdout);
		munmap(shared, sizeof(*shared));
	}
	printf("stress: sent %llu, answered %llu, duplicates %llu, lost %llu\n",
	       (unsigned long long)sent, (unsigned long long)answered,
	       (unsigned long long)twice, (unsigned long long)lost);
	return good && sent && !twice && !lost ? 0 : 1;
}
