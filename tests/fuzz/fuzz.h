/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fuzzer of the ABI that is led by coverage. A program is a list of operations by up to four
 * processes of two threads each; text.c says how it is written, abi.c what there is.
 *
 *	gen.c, mutate.c		make programs
 *	exec.c			runs one: processes anew each time, every wait bounded
 *	verbs.c, files.c, processes.c	what each operation does
 *	memory.c		what its pointers point to
 *	kcov.c			the edges that it reached
 *	corpus.c		keeps what reaches new ones, made as small as it can be
 *	invariants.c		what has to be so when all its processes have gone
 *
 * What is random is drawn by the process that makes programs, from the seed. What threads do to
 * each other is not repeated by it; a program is, from its text.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include "../selftests/upcall_test.h"

#define LENGTH(a)	(sizeof(a) / sizeof((a)[0]))

#define MAX_OPS		24
#define MAX_ARGS	24
#define RESULTS		3	/* of one operation */
#define PROCESSES	4
#define THREADS		2	/* of a process */
#define ACTORS		(PROCESSES * THREADS)
#define EVERYBODY	ACTORS	/* by the fuzzer, before the processes are made: all inherit it */
#define TEXT_ROOM	8192	/* of a program that is written down */

/* --- programs: abi.c --------------------------------------------------------------- */

/* What an argument is for; also what a result is. */
enum kind {
	NONE, NUMBER, SIZE, FLAGS, CHOICE, PEER, STUB, DESCRIPTOR, HANDLE, TARGET, CALL, CALL_ID,
	POINTER, LENGTH_OF, COUNT, TIME, ACTOR, NTH,
};

enum value_kind {
	PLAIN,		/* @number */
	RESULT,		/* what operation @op made, the @which'th of it, plus @number */
	MEMORY,		/* region @op, plus @number */
	SOON,		/* @number microseconds from when it is used */
};

struct value {
	uint8_t kind;
	uint8_t op;
	uint8_t which;
	int64_t number;
};

struct op {
	uint8_t verb;
	uint8_t actor;		/* process * THREADS + thread, or EVERYBODY */
	struct value args[MAX_ARGS];
};

struct program {
	uint32_t count;
	struct op ops[MAX_OPS];
};

struct word {
	const char *name;
	uint64_t value;
};

/**
 * struct field - One argument of a verb
 * @name: As it is written; NULL ends the list.
 * @kind: What it is.
 * @width: In the struct of the ioctl, in bytes. 0: it is not there.
 * @offset: And where.
 * @words: Its flags or choices. NULL: it has none.
 * @rare: Mostly it is usual.
 * @usual: What it is when nothing is written.
 */
struct field {
	const char *name;
	enum kind kind;
	uint8_t width;
	uint16_t offset;
	const struct word *words;
	bool rare;
	struct value usual;
};

struct self;
struct verb;
typedef int64_t run_fn(struct self *self, const struct verb *verb, const uint64_t *args);

/**
 * struct verb - What an operation does
 * @name: As it is written.
 * @cmd: The ioctl. 0: it is none.
 * @size: Of its struct.
 * @weight: How often it is drawn.
 * @run: Does it: 0 or more, or -errno.
 * @gives: What its results are.
 * @out: Where in the struct they are found; 0: nowhere.
 * @fields: Its arguments.
 */
struct verb {
	const char *name;
	unsigned long cmd;
	uint16_t size;
	uint8_t weight;
	run_fn *run;
	enum kind gives[RESULTS];
	uint16_t out[RESULTS];
	const struct field *fields;
};

extern const struct verb verbs[];
extern const uint32_t verb_count;

int verb_find(const char *name, size_t len);
int field_find(const struct verb *verb, const char *name, size_t len);
void op_init(struct op *op, uint8_t verb, uint8_t actor);
bool op_gives(const struct op *op, int which, enum kind kind);

/* The positions of those arguments that are no member of a struct, in every ioctl's @fields. */
enum { ARG_FD, ARG_FAIL, ARG_AT, ARG_TAIL };

/* --- as text: text.c --------------------------------------------------------------- */

size_t program_print(const struct program *program, char *text, size_t room);
const char *program_parse(const char *text, struct program *program, char *why, size_t room);
bool programs_of(const char *path, bool (*fn)(const struct program *program));

/* --- at random: gen.c, mutate.c ---------------------------------------------------- */

void random_seed(uint64_t seed);
uint64_t random_word(void);
uint32_t below(uint32_t bound);
bool one_in(uint32_t n);
struct value value_new(const struct program *program, uint32_t at, const struct field *field);
void op_new(const struct program *program, uint32_t at, struct op *op);
void program_new(struct program *program);

bool program_insert(struct program *program, uint32_t at, const struct op *op);
void program_remove(struct program *program, uint32_t at);
void program_mutate(struct program *program, const struct program *other);

/* --- running: exec.c, memory.c ---------------------------------------------------- */

/* What the processes of a program share. */
struct arena {
	uint32_t ended[MAX_OPS];	/* a futex each: 1 when the operation has ended */
	int64_t returned[MAX_OPS];
	uint64_t value[MAX_OPS][RESULTS];
	uint32_t progress;		/* operations that have begun or ended */
	uint32_t done[ACTORS];		/* threads that have */
	uint32_t stop;			/* a futex: all may go */
	pid_t runner;			/* who started them */
	pid_t pid[PROCESSES];
	pid_t tid[ACTORS];
};

#define PENDING	64	/* commands of one EXCHANGE */

/* A thread that runs its operations. */
struct self {
	const struct program *program;
	uint32_t actor;
	uint32_t at;			/* its operation now */
	uint32_t skip;			/* operations that its child does */
	bool is_child;			/* of fork: no other actor waits for it */
	struct upcall_command commands[PENDING];
	uint8_t command_of[PENDING];	/* the operation that each came from */
	uint32_t pending;
	uint32_t ride[PENDING + 1][2];	/* descriptors, for each of them and for an ioctl */
	uint32_t riding;		/* whose the next ones are */
	uint64_t args[1024];		/* the struct of an ioctl, with its tail */
	uint64_t events[2048];
};

extern struct arena *arena;
extern int mailbox[2];			/* for descriptors that go from one process to another */

#define LINGER	"--linger"	/* with this argument the program only stays: run_exec() */

bool exec_init(void);
const char *exec_run(const struct program *program);
void actor_run(struct self *self, uint32_t from, uint32_t most);
void op_ended(uint32_t op, int64_t returned);
void actor_done(uint32_t actor);
void process_done(uint32_t process);
/* What they do: ioctls in verbs.c, files in files.c, processes and memory in processes.c. */
run_fn run_ioctl, run_exchange, run_command, run_serve;
run_fn run_open, run_dup, run_close, run_pass, run_take, run_pipe, run_socket, run_poll, run_epoll,
	run_uring, run_fdinfo;
run_fn run_fork, run_exec, run_exit, run_kill, run_signal, run_stop, run_cont, run_pause, run_become,
	run_userns, run_protect, run_unmap;

enum region { ARGS, COMMANDS, EVENTS, RIDE, GOOD, COMMON, READONLY, EDGE, HOLE, CUT, KERNEL, REGIONS };

extern const char *const region_names[REGIONS];
void memory_init(void);
uint64_t memory_at(struct self *self, enum region region, int64_t offset);

/* --- what it reached: kcov.c ------------------------------------------------------- */

#define MAX_EDGES	4096	/* of one program */

struct edges {
	uint32_t count;
	uint64_t edge[MAX_EDGES];	/* ordered, each once */
};

bool kcov_init(void);
void kcov_reset(void);
void kcov_start(uint32_t actor);
void kcov_mark(uint32_t actor);
void kcov_collect(struct edges *edges);

/* --- what it kept: corpus.c -------------------------------------------------------- */

/* Runs it, and says what it reached; false: no more is to be run. */
typedef bool reach_fn(const struct program *program, struct edges *edges);

bool corpus_init(void);
uint32_t corpus_size(void);
uint32_t corpus_edges(void);
const struct program *corpus_pick(void);
void corpus_offer(const struct program *program, const struct edges *edges, reach_fn *reach);
void corpus_load(const struct program *program, const struct edges *edges);
void corpus_distil(bool simplify, reach_fn *reach);
void corpus_print(void);

/* --- what has to be so: invariants.c ----------------------------------------------- */

bool invariants_init(void);
const char *invariants_check(bool slabs);

#endif /* FUZZ_H */
