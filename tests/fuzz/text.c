// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs as text. One operation a line, a blank line between programs, # begins a comment:
 *
 *	all: r0 = open()
 *	0.0: r1 = register(fd=r0, flags=SERIAL|FDS, max_arg=0x40)
 *	1.0: r2 = invoke(fd=r0, target=r1, arg=&edge-8, arg_len=0x8, deadline_ns=+3000us)
 *	0.0: serve(fd=r0)
 *
 * In front stands who does it: thread 0 of process 1 is 1.0, and what 'all' does comes before
 * there are processes. Who uses r1 waits for it; r2.1 is the second result of r2, r1+1 a handle
 * that is wrong by one. +3000us is a deadline from when it is used, &edge a region of memory.c.
 * What is not written is as usual, see abi.c.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include "fuzz.h"

/* --- out --------------------------------------------------------------------------- */

struct printer {
	char *text;
	size_t used, room;
};

static void __attribute__((format(printf, 2, 3))) put(struct printer *printer, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(printer->text + printer->used, printer->room - printer->used, format, args);
	va_end(args);
	printer->used += len;
	if (printer->used >= printer->room)
		printer->used = printer->room - 1;
}

static void put_offset(struct printer *printer, int64_t offset)
{
	if (offset)
		put(printer, "%c%#" PRIx64, offset < 0 ? '-' : '+', offset < 0 ? -(uint64_t)offset : (uint64_t)offset);
}

static void put_flags(struct printer *printer, const struct word *words, uint64_t flags)
{
	const char *between = "";

	for (; words->name; words++) {
		if ((flags & words->value) != words->value)
			continue;
		put(printer, "%s%s", between, words->name);
		flags &= ~words->value;
		between = "|";
	}
	if (flags || !*between)
		put(printer, "%s%#" PRIx64, between, flags);
}

static void put_number(struct printer *printer, const struct field *field, uint64_t number)
{
	const struct word *word = field->words;

	if (word && field->kind == FLAGS) {
		put_flags(printer, word, number);
		return;
	}
	while (word && word->name && word->value != number)
		word++;
	if (word && word->name)
		put(printer, "%s", word->name);
	else
		put(printer, "%#" PRIx64, number);
}

static void put_value(struct printer *printer, const struct field *field, const struct value *value)
{
	switch (value->kind) {
	case PLAIN:
		put_number(printer, field, value->number);
		break;
	case RESULT:
		put(printer, "r%u", value->op);
		if (value->which)
			put(printer, ".%u", value->which);
		put_offset(printer, value->number);
		break;
	case MEMORY:
		put(printer, "&%s", region_names[value->op]);
		put_offset(printer, value->number);
		break;
	case SOON:
		put(printer, "+%" PRId64 "us", value->number);
		break;
	}
}

static bool is_usual(const struct field *field, const struct value *value)
{
	return field->usual.kind == value->kind && field->usual.op == value->op &&
	       field->usual.which == value->which && field->usual.number == value->number;
}

static void put_op(struct printer *printer, const struct op *op, uint32_t number)
{
	const struct verb *verb = &verbs[op->verb];
	const char *between = "";
	int i;

	if (op->actor == EVERYBODY)
		put(printer, "all: ");
	else
		put(printer, "%u.%u: ", op->actor / THREADS, op->actor % THREADS);
	if (verb->gives[0])
		put(printer, "r%u = ", number);
	put(printer, "%s(", verb->name);
	for (i = 0; verb->fields[i].name; i++) {
		if (is_usual(&verb->fields[i], &op->args[i]))
			continue;
		put(printer, "%s%s=", between, verb->fields[i].name);
		put_value(printer, &verb->fields[i], &op->args[i]);
		between = ", ";
	}
	put(printer, ")\n");
}

/* Its length; cut off if there is no room. */
size_t program_print(const struct program *program, char *text, size_t room)
{
	struct printer printer = { text, 0, room };
	uint32_t i;

	*text = 0;
	for (i = 0; i < program->count; i++)
		put_op(&printer, &program->ops[i], i);
	return printer.used;
}

/* --- in ---------------------------------------------------------------------------- */

struct parser {
	const char *at;
	struct program *program;
	uint8_t named[256];	/* which operation is rN, plus 1 */
	const char *wrong;
};

static bool fail(struct parser *parser, const char *what)
{
	if (!parser->wrong)
		parser->wrong = what;
	return false;
}

static void skip_blanks(struct parser *parser)
{
	while (*parser->at == ' ' || *parser->at == '\t')
		parser->at++;
}

static bool get(struct parser *parser, const char *token)
{
	size_t len = strlen(token);

	skip_blanks(parser);
	if (strncmp(parser->at, token, len))
		return false;
	parser->at += len;
	return true;
}

static bool get_number(struct parser *parser, uint64_t *number)
{
	char *end;

	*number = strtoull(parser->at, &end, 0);
	if (end == parser->at || !isdigit((unsigned char)*parser->at))
		return fail(parser, "no number");
	parser->at = end;
	return true;
}

static size_t name_length(const char *at)
{
	size_t len = 0;

	while (isalnum((unsigned char)at[len]) || at[len] == '_')
		len++;
	return len;
}

static bool get_offset(struct parser *parser, int64_t *offset)
{
	uint64_t number = 0;
	bool minus = *parser->at == '-';

	*offset = 0;
	if (*parser->at != '-' && *parser->at != '+')
		return true;
	parser->at++;
	if (!get_number(parser, &number))
		return false;
	*offset = minus ? -number : number;
	return true;
}

static bool get_result(struct parser *parser, struct value *value)
{
	uint64_t number, which = 0;

	parser->at++;
	if (!get_number(parser, &number))
		return false;
	if (number >= LENGTH(parser->named) || !parser->named[number])
		return fail(parser, "result of nothing");
	if (*parser->at == '.') {
		parser->at++;
		if (!get_number(parser, &which) || which >= RESULTS)
			return fail(parser, "no such result");
	}
	value->kind = RESULT;
	value->op = parser->named[number] - 1;
	value->which = which;
	return get_offset(parser, &value->number);
}

static bool get_memory(struct parser *parser, struct value *value)
{
	size_t len = name_length(++parser->at);
	int i;

	for (i = 0; i < REGIONS; i++) {
		if (strlen(region_names[i]) == len && !strncmp(region_names[i], parser->at, len))
			break;
	}
	if (i == REGIONS)
		return fail(parser, "no such memory");
	parser->at += len;
	value->kind = MEMORY;
	value->op = i;
	return get_offset(parser, &value->number);
}

static bool get_word(struct parser *parser, const struct field *field, uint64_t *number)
{
	const struct word *word = field->words;
	size_t len = name_length(parser->at);

	if (isdigit((unsigned char)*parser->at))
		return get_number(parser, number);
	while (word && word->name && (strlen(word->name) != len || strncmp(word->name, parser->at, len)))
		word++;
	if (!word || !word->name || !len)
		return fail(parser, "no such word");
	parser->at += len;
	*number = word->value;
	return true;
}

static bool get_value(struct parser *parser, const struct field *field, struct value *value)
{
	uint64_t number, sum = 0;

	memset(value, 0, sizeof(*value));
	if (*parser->at == '&')
		return get_memory(parser, value);
	if (*parser->at == 'r' && isdigit((unsigned char)parser->at[1]))
		return get_result(parser, value);
	if (*parser->at == '+') {
		parser->at++;
		value->kind = SOON;
		if (!get_number(parser, &number))
			return false;
		value->number = number;
		return get(parser, "us") || fail(parser, "no unit");
	}
	do {
		if (!get_word(parser, field, &number))
			return false;
		sum |= number;
	} while (get(parser, "|"));
	value->number = sum;
	return true;
}

static bool get_args(struct parser *parser, struct op *op)
{
	const struct verb *verb = &verbs[op->verb];
	size_t len;
	int i;

	if (!get(parser, "("))
		return fail(parser, "no (");
	while (!get(parser, ")")) {
		get(parser, ",");
		skip_blanks(parser);
		len = name_length(parser->at);
		i = field_find(verb, parser->at, len);
		if (i < 0)
			return fail(parser, "no such argument");
		parser->at += len;
		if (!get(parser, "="))
			return fail(parser, "no =");
		if (!get_value(parser, &verb->fields[i], &op->args[i]))
			return false;
	}
	return true;
}

static bool get_actor(struct parser *parser, uint8_t *actor)
{
	uint64_t process, thread;

	if (get(parser, "all:")) {
		*actor = EVERYBODY;
		return true;
	}
	if (!get_number(parser, &process) || !get(parser, ".") || !get_number(parser, &thread) ||
	    !get(parser, ":") || process >= PROCESSES || thread >= THREADS)
		return fail(parser, "nobody does it");
	*actor = process * THREADS + thread;
	return true;
}

static bool get_op(struct parser *parser)
{
	struct program *program = parser->program;
	uint64_t name = 0;
	uint8_t actor;
	size_t len;
	int verb;

	if (program->count == MAX_OPS)
		return fail(parser, "too long");
	if (!get_actor(parser, &actor))
		return false;
	skip_blanks(parser);
	if (*parser->at == 'r' && isdigit((unsigned char)parser->at[1])) {
		parser->at++;
		if (!get_number(parser, &name) || name >= LENGTH(parser->named) || !get(parser, "="))
			return fail(parser, "no name");
		parser->named[name] = program->count + 1;
		skip_blanks(parser);
	}
	len = name_length(parser->at);
	verb = verb_find(parser->at, len);
	if (verb < 0)
		return fail(parser, "no such operation");
	parser->at += len;
	op_init(&program->ops[program->count], verb, actor);
	if (!get_args(parser, &program->ops[program->count]))
		return false;
	program->count++;
	skip_blanks(parser);
	return *parser->at == '\n' || !*parser->at || fail(parser, "more than an operation");
}

/*
 * The next program of @text: what is behind it, or NULL when there is none, and @why says
 * what is wrong if anything is.
 */
const char *program_parse(const char *text, struct program *program, char *why, size_t room)
{
	struct parser parser = { .at = text, .program = program };
	bool blank;

	*why = 0;
	program->count = 0;
	while (*parser.at) {
		skip_blanks(&parser);
		blank = *parser.at == '\n';
		if (blank && program->count)
			break;
		if (*parser.at == '#') {
			parser.at += strcspn(parser.at, "\n");
		} else if (*parser.at && !blank && !get_op(&parser)) {
			snprintf(why, room, "%s: %.*s", parser.wrong, (int)strcspn(parser.at, "\n"), parser.at);
			return NULL;
		}
		if (*parser.at)
			parser.at++;
	}
	return program->count ? parser.at : NULL;
}

/* --- files ------------------------------------------------------------------------- */

static char *read_file(const char *path)
{
	static char text[1 << 20];
	FILE *file = fopen(path, "r");
	size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[len] = 0;
	return len ? text : NULL;
}

/* Each program of a file, until @fn says false. False: that, or it is no file of programs. */
bool programs_of(const char *path, bool (*fn)(const struct program *program))
{
	static struct program program;
	const char *text = read_file(path);
	char why[256] = "it is empty";

	while (text && (text = program_parse(text, &program, why, sizeof(why)))) {
		if (!fn(&program))
			return false;
	}
	if (*why)
		printf("# %s: %s\n", path, why);
	return !*why;
}
