// SPDX-License-Identifier: GPL-2.0-only
/* Makes operations and programs. What it draws is the same for the same seed. */
#include "fuzz.h"

static uint64_t state;

void random_seed(uint64_t seed)
{
	state = seed;
}

/* splitmix64 */
uint64_t random_word(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint32_t below(uint32_t bound)
{
	return random_word() % bound;
}

bool one_in(uint32_t n)
{
	return !below(n);
}

/* --- values ------------------------------------------------------------------------ */

static const int64_t numbers[] = {
	0, 1, 2, 7, 8, 16, 64, 255, 256, 4095, 4096, 0x12345678, INT32_MAX, 1LL << 31, UINT32_MAX, 1LL << 32,
	1LL << 53, (1LL << 53) - 1, INT64_MAX, INT64_MIN, -1, -8, 1000,
};

static const int64_t lengths[] = {
	0, 1, 7, 8, 24, 63, 64, 100, 127, 128, 129, 136, 4000, 4095, 4096, 4097, 8192, 16383, 16384, 16385, 20000,
	65535, 65536, 65537, 200000, UPCALL_MAX_PAYLOAD - 1, UPCALL_MAX_PAYLOAD, UPCALL_MAX_PAYLOAD + 1,
	UINT32_MAX, -8,
};

static const int64_t counts[] = { 0, 1, 1, 1, 2, 3, 4, 8, 16, 63, 64, 65, 256, 257, -1 };
static const int64_t waits[] = { 0, 1, 100, 1000, 10000, 30000, 100000 };

static struct value plain(int64_t number)
{
	return (struct value){ PLAIN, .number = number };
}

static struct value number_new(void)
{
	return plain(one_in(8) ? (int64_t)random_word() : numbers[below(LENGTH(numbers))]);
}

static struct value flags_new(const struct word *word)
{
	int64_t flags = 0;

	for (; word && word->name; word++) {
		if (one_in(4))
			flags |= word->value;
	}
	if (one_in(40))
		flags |= 1LL << below(32);
	return plain(flags);
}

static struct value choice_new(const struct word *words)
{
	uint32_t n = 0;

	while (words[n].name)
		n++;
	return one_in(40) ? number_new() : plain(words[below(n)].value);
}

static struct value pointer_new(const struct field *field)
{
	static const enum region hostile[] = { READONLY, EDGE, EDGE, EDGE, HOLE, CUT, KERNEL, COMMON };
	struct value value = { MEMORY, .op = GOOD };

	if (!one_in(4))
		return one_in(3) && !field->usual.kind ? value : field->usual;
	if (one_in(10))
		return plain(one_in(2) ? 0 : random_word());
	value.op = hostile[below(LENGTH(hostile))];
	if (value.op == EDGE || value.op == CUT)
		value.number = -(int64_t)lengths[below(LENGTH(lengths) - 2)] & ~(one_in(4) ? 0 : 7LL);
	else if (one_in(3))
		value.number = below(4097);
	return value;
}

/* A result of that kind that is made before @at, if there is any. */
static bool result_new(const struct program *program, uint32_t at, enum kind kind, struct value *value)
{
	uint32_t i, which, n = 0;

	for (i = at; i-- > 0;) {
		for (which = 0; which < RESULTS; which++) {
			if (!op_gives(&program->ops[i], which, kind) || !one_in(++n))
				continue;
			*value = (struct value){ RESULT, .op = i, .which = which };
		}
	}
	return n;
}

static struct value object_new(const struct program *program, uint32_t at, const struct field *field)
{
	enum kind kind = field->kind;
	struct value value;

	if (kind == TARGET)
		kind = one_in(4) ? STUB : HANDLE;
	else if (kind == PEER && one_in(8))
		kind = one_in(2) ? STUB : DESCRIPTOR;
	if (one_in(20) || !result_new(program, at, kind, &value))
		return one_in(4) ? number_new() : field->usual;
	if (one_in(40))
		value.number = (int64_t)below(3) - 1;
	return value;
}

/* For that argument of the operation at @at. */
struct value value_new(const struct program *program, uint32_t at, const struct field *field)
{
	switch (field->kind) {
	case SIZE:
		return one_in(15) ? plain((field->usual.number + 8 * (int64_t)below(4) - 16)) :
		       one_in(30) ? plain(lengths[below(LENGTH(lengths))]) : field->usual;
	case FLAGS:
		return flags_new(field->words);
	case CHOICE:
		return choice_new(field->words);
	case PEER:
	case STUB:
	case DESCRIPTOR:
	case HANDLE:
	case TARGET:
	case CALL:
	case CALL_ID:
		return object_new(program, at, field);
	case POINTER:
		return pointer_new(field);
	case LENGTH_OF:
		return plain(lengths[below(LENGTH(lengths))]);
	case COUNT:
		return plain(counts[below(LENGTH(counts))]);
	case TIME:
		if (one_in(8))
			return number_new();
		return (struct value){ SOON, .number = waits[below(LENGTH(waits))] };
	case ACTOR:
		return plain(below(ACTORS));
	case NTH:
		return plain(one_in(3) ? 1 + below(20) : 0);
	default:
		return number_new();
	}
}

/* --- operations -------------------------------------------------------------------- */

static struct value *arg(struct op *op, const char *name)
{
	int i = field_find(&verbs[op->verb], name, strlen(name));

	return i < 0 ? NULL : &op->args[i];
}

static void set(struct op *op, const char *name, struct value value)
{
	struct value *to = arg(op, name);

	if (to)
		*to = value;
}

/* What only together makes sense. */
static void set_together(const struct program *program, uint32_t at, struct op *op)
{
	struct value *flags = arg(op, "flags"), *target = arg(op, "target"), *deadline = arg(op, "deadline_ns");
	struct value ride, ids = { MEMORY, .op = RIDE };
	bool from_stub = target && target->kind == RESULT && op_gives(&program->ops[target->op], 0, STUB);

	if (from_stub && !one_in(8))
		flags->number |= UPCALL_INVOKE_STUB_FD;
	if (deadline && flags->number & UPCALL_INVOKE_NO_DEADLINE && !one_in(8))
		*deadline = plain(0);
	if (arg(op, "ride") && arg(op, "fds") && one_in(4) && result_new(program, at, DESCRIPTOR, &ride)) {
		set(op, "ride", ride);
		set(op, "fds", ids);
		set(op, "fd_count", plain(1));
	}
	if (arg(op, "reply_fds") && one_in(4)) {
		set(op, "reply_fds", ids);
		set(op, "reply_fd_room", plain(1));
	}
	set(op, "reply_fd_max", plain(one_in(4)));
	if (arg(op, "reply") && one_in(2)) {
		set(op, "reply", (struct value){ MEMORY, .op = GOOD, .number = 4096 });
		set(op, "reply_room", plain(lengths[below(16)]));
		set(op, "reply_max", plain(lengths[below(LENGTH(lengths) - 3)]));
	}
}

/* How rarely it is not usual: seldom what it is about, often the rest. */
static uint32_t rarity(const struct field *field)
{
	if (field->rare)
		return 10;
	switch (field->kind) {
	case PEER:
	case HANDLE:
	case TARGET:
	case CALL:
	case CALL_ID:
	case DESCRIPTOR:
	case ACTOR:
	case CHOICE:
		return 1;
	case FLAGS:
		return 2;
	case LENGTH_OF:
	case COUNT:
		return 4;
	default:
		return 20;
	}
}

static void fill(const struct program *program, uint32_t at, struct op *op)
{
	const struct field *field = verbs[op->verb].fields;
	bool wild = one_in(8);
	int i;

	for (i = 0; field[i].name; i++) {
		if (one_in(wild ? (rarity(&field[i]) + 3) / 4 : rarity(&field[i])))
			op->args[i] = value_new(program, at, &field[i]);
	}
	set_together(program, at, op);
}

static uint8_t verb_new(void)
{
	static uint32_t sum;
	uint32_t i, at;

	if (!sum) {
		for (i = 0; i < verb_count; i++)
			sum += verbs[i].weight;
	}
	at = below(sum);
	for (i = 0; at >= verbs[i].weight; i++)
		at -= verbs[i].weight;
	return i;
}

/* Mostly one of those that are there. */
static uint8_t actor_new(const struct program *program)
{
	uint8_t actor = program->count ? program->ops[below(program->count)].actor : EVERYBODY;

	if (actor == EVERYBODY || one_in(5))
		actor = below(one_in(3) ? ACTORS : 2 * THREADS);
	return actor;
}

/* One that could stand at @at. */
void op_new(const struct program *program, uint32_t at, struct op *op)
{
	uint8_t verb = verb_new(), actor = actor_new(program);

	op_init(op, verb, verbs[verb].run == run_open && one_in(2) ? EVERYBODY : actor);
	fill(program, at, op);
}

void program_new(struct program *program)
{
	uint32_t i, peers = 1 + below(3), count = 4 + below(MAX_OPS - 8);
	struct op op;

	program->count = 0;
	for (i = 0; i < peers; i++)
		op_init(&program->ops[program->count++], verb_find("open", 4), EVERYBODY);
	while (program->count < count) {
		op_new(program, program->count, &op);
		program->ops[program->count++] = op;
	}
}
