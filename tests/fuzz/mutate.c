// SPDX-License-Identifier: GPL-2.0-only
/* Changes programs. Results are named by the operation that makes them: whoever moves one moves the names. */
#include "fuzz.h"

/* What named the result of an operation at or behind @from names one @by further on. */
static void rename_results(struct program *program, uint32_t from, int by)
{
	struct value *value;
	uint32_t i, k;

	for (i = 0; i < program->count; i++) {
		for (k = 0; k < MAX_ARGS; k++) {
			value = &program->ops[i].args[k];
			if (value->kind == RESULT && value->op >= from)
				value->op += by;
		}
	}
}

bool program_insert(struct program *program, uint32_t at, const struct op *op)
{
	if (program->count == MAX_OPS)
		return false;
	rename_results(program, at, 1);
	memmove(&program->ops[at + 1], &program->ops[at], (program->count - at) * sizeof(*op));
	program->ops[at] = *op;
	program->count++;
	return true;
}

/* Who used its result has what is usual, instead. */
void program_remove(struct program *program, uint32_t at)
{
	struct value *value;
	uint32_t i, k;

	for (i = 0; i < program->count; i++) {
		for (k = 0; k < MAX_ARGS; k++) {
			value = &program->ops[i].args[k];
			if (value->kind == RESULT && value->op == at)
				*value = verbs[program->ops[i].verb].fields[k].usual;
		}
	}
	program->count--;
	memmove(&program->ops[at], &program->ops[at + 1], (program->count - at) * sizeof(program->ops[0]));
	rename_results(program, at + 1, -1);
}

static void insert_new(struct program *program)
{
	uint32_t at = below(program->count + 1);
	struct op op;

	op_new(program, at, &op);
	program_insert(program, at, &op);
}

/* So that two threads do it, or it is done again. */
static void insert_again(struct program *program)
{
	uint32_t from = below(program->count), to = from + 1 + below(program->count - from);
	struct op op = program->ops[from];

	if (op.actor != EVERYBODY && one_in(2))
		op.actor = below(2 * THREADS);
	program_insert(program, to, &op);
}

static uint32_t field_count(const struct verb *verb)
{
	uint32_t n = 0;

	while (verb->fields[n].name)
		n++;
	return n;
}

static void change_args(struct program *program)
{
	uint32_t at = below(program->count), n, k, times = 1 + below(3);
	struct op *op = &program->ops[at];

	for (n = field_count(&verbs[op->verb]); n && times; times--) {
		k = below(n);
		op->args[k] = one_in(5) ? verbs[op->verb].fields[k].usual :
					  value_new(program, at, &verbs[op->verb].fields[k]);
	}
}

/* A call to the kernel whose allocation or copy fails. */
static void change_failure(struct program *program)
{
	struct op *op = &program->ops[below(program->count)];

	if (verbs[op->verb].run == run_ioctl || verbs[op->verb].run == run_exchange)
		op->args[ARG_FAIL] = (struct value){ PLAIN, .number = 1 + below(one_in(3) ? 40 : 12) };
}

static void change_actor(struct program *program)
{
	struct op *op = &program->ops[below(program->count)];

	if (op->actor != EVERYBODY)
		op->actor = below(one_in(4) ? ACTORS : 2 * THREADS);
}

static void swap(struct program *program)
{
	uint32_t at = below(program->count);
	struct op op = program->ops[at];
	uint32_t k;

	for (k = 0; at && k < MAX_ARGS; k++) {
		if (op.args[k].kind == RESULT && op.args[k].op == at - 1)
			return;
	}
	if (!at || verbs[program->ops[at - 1].verb].gives[0] || verbs[op.verb].gives[0])
		return;
	program->ops[at] = program->ops[at - 1];
	program->ops[at - 1] = op;
}

/* Some operations of another program behind these; the results that they use go with them. */
static void append(struct program *program, const struct program *other)
{
	uint32_t i, k, base = program->count;
	struct op op;

	for (i = 0; i < other->count && program->count < MAX_OPS; i++) {
		op = other->ops[i];
		for (k = 0; k < MAX_ARGS; k++) {
			if (op.args[k].kind == RESULT)
				op.args[k].op += base;
		}
		program->ops[program->count++] = op;
	}
}

/* All of one's operations, one after the other, are mixed with the other's. */
static void mix(struct program *program, const struct program *other)
{
	struct program first = *program, second = *other;
	uint8_t place[2][MAX_OPS];
	uint32_t at[2] = { 0, 0 }, k, which;
	const struct program *from[2] = { &first, &second };

	program->count = 0;
	while ((at[0] < first.count || at[1] < second.count) && program->count < MAX_OPS) {
		which = at[0] == first.count || (at[1] < second.count && one_in(2));
		program->ops[program->count] = from[which]->ops[at[which]];
		for (k = 0; k < MAX_ARGS; k++) {
			struct value *value = &program->ops[program->count].args[k];

			if (value->kind == RESULT)
				value->op = place[which][value->op];
		}
		place[which][at[which]++] = program->count++;
	}
}

void program_mutate(struct program *program, const struct program *other)
{
	uint32_t times = 1 + below(one_in(3) ? 6 : 3);

	while (times--) {
		switch (below(16)) {
		case 0: case 1: case 2: case 3:
			insert_new(program);
			break;
		case 4: case 5: case 6: case 7: case 8:
			change_args(program);
			break;
		case 9:
			insert_again(program);
			break;
		case 10:
			change_actor(program);
			break;
		case 11:
			swap(program);
			break;
		case 12:
			change_failure(program);
			break;
		case 13:
			append(program, other);
			break;
		case 14:
			mix(program, other);
			break;
		default:
			if (program->count > 2)
				program_remove(program, below(program->count));
		}
	}
}
