/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every allocation and every copy of a call to the kernel fails once. A scenario is a state
 * and one call in it. It is played in a new process for each number N from 1 on: the Nth
 * allocation or copy of that call is made to fail, until there is no Nth. Each time
 *
 *	the call succeeds, or gives an error that the manual has for that,
 *	what it says of itself, as its stage, is so,
 *	the same call then succeeds,
 *	and when the process has gone nobody owes anything and no file is left open.
 *
 * The kernel lets copy_from_user() and its like fail, but not get_user(), put_user() and what is
 * between two user_access_*(): there the memory itself has to fault, see abi_fault_test.c.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <pthread.h>
#include "../selftests/fds.h"
#include "../selftests/stub.h"

#define COOKIE		0xc00c1ec00c1eULL
#define NO_HANDLE	0x12345678ULL	/* generation 0: never issued */
#define AFTER_EXEC	"--after-exec"
#define MIB		(1U << 20)
#define PAGES		(100U << 10)	/* more than is asked for in one piece */
#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))

/**
 * struct scenario - One call in one state
 * @name: For people.
 * @set_up: Makes the state; nothing fails there. NULL: there is none to make.
 * @act: The call, in TRY(): 0, or -errno. What else is to be seen of it says wrong().
 * @again: Once more, after it failed with @err: 0 when that is as it should be. NULL: @act, and
 *	that is to succeed.
 * @errors: What it may fail with, to the first 0. None: ENOMEM and EFAULT.
 * @may_die: Some failures end the process, as it is the kernel's way with execve().
 * @number, @flags: As @set_up and @act will have them.
 */
struct scenario {
	const char *name;
	void (*set_up)(const struct scenario *scenario);
	int (*act)(const struct scenario *scenario);
	int (*again)(const struct scenario *scenario, int err);
	int errors[6];
	bool may_die;
	unsigned long number;
	uint32_t flags;
};

/* The state of this process; descriptors are -1 where there is none. */
struct world {
	int owner, caller, stub;
	int reader, writer;	/* a pipe, whose writing end rides */
	uint64_t handle;
	uint64_t call;		/* one that the owner took */
	uint64_t call_id;	/* one that the caller made */
	pid_t helper_pid;	/* a process that has to go; 0: none */
	pthread_t server;
	bool serves;
	uint32_t served;	/* calls that the server has received */
};

extern struct world w;

/* The scenario is not as it should be, for that reason; this process goes on. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define must(cond) do {							\
	if (!(cond))							\
		wrong("%s:%d: not so: %s", __FILE__, __LINE__, #cond);	\
} while (0)

/* Around the one call of an @act whose allocations and copies are to fail. */
void fault_begin(void);
void fault_end(void);

#define TRY(call) ({							\
	int _ret;							\
									\
	fault_begin();							\
	_ret = (call);							\
	fault_end();							\
	_ret;								\
})

/* What the states are made of: state.c */
uint32_t owner_new(uint32_t flags);
void caller_new(void);
void become_stranger(void);
void pipe_make(void);
void server_start(void);
void server_stop(void);
void when_asleep(void (*fn)(void));
void helper_stop(void);
uint32_t served(void);
void orphan_new(void);
bool event_seen(int fd, uint32_t type, union any_event *event);

extern const struct scenario verb_scenarios[], invoke_scenarios[], exchange_scenarios[],
	receive_scenarios[], life_scenarios[], large_scenarios[];

#endif /* FAULTS_H */
