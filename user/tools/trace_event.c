// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * One line of the kernel's trace: read, paired with the earlier lines about the same call,
 * and said for people or programs.
 *
 * What is remembered is bounded: a table with one entry for each hash. Where two calls
 * meet in one, the older is forgotten, and its times are not shown.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define CALLS	16384	/* powers of two */
#define LABELS	4096

static const char *const type_names[TRACE_TYPES] = {
	[TRACE_REGISTERED] = "registered", [TRACE_RELEASED] = "released",
	[TRACE_REFUSED] = "refused", [TRACE_QUEUED] = "queued",
	[TRACE_DELIVERED] = "delivered", [TRACE_REPLIED] = "replied", [TRACE_ENDED] = "ended",
};

/* When a call came how far, 0: not seen. No caller has two of one number at a callback. */
static struct times {
	uint64_t handle, seq;
	int32_t caller;
	uint64_t queued_ns, delivered_ns, replied_ns;
} times[CALLS];

static struct label {
	uint64_t handle;
	struct text label;
} labels[LABELS];

static size_t hash(uint64_t handle, uint64_t seq, size_t size)
{
	return ((handle * 31 + seq) * 0x9e3779b97f4a7c15ULL >> 40) & (size - 1);
}

/**
 * trace_type_find() - An event by its name
 * @name: As typed: "queued".
 *
 * Return: enum trace_type; -1 if there is none of that name.
 */
int trace_type_find(const char *name)
{
	for (int i = 0; i < TRACE_TYPES; i++)
		if (!strcmp(type_names[i], name))
			return i;
	return -1;
}

/**
 * trace_label() - Remember what a callback is called
 * @handle: The callback.
 * @label: Its label, of any bytes.
 * @len: Bytes at most.
 */
void trace_label(uint64_t handle, const char *label, size_t len)
{
	struct label *slot = &labels[hash(handle, 0, LABELS)];

	slot->handle = handle;
	slot->label = text_escape(label, len);
}

/* The number behind " key=" where it stands for the first time, 0 if it does not */
static uint64_t field(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 0) : 0;
}

/* A label may hold anything, also what looks like the fields behind it. */
static const char *behind_label(const char *text)
{
	const char *at, *last = text;

	for (at = text; (at = strstr(at, " reason=")); at++)
		last = at;
	return last;
}

static void parse_callback(struct trace_event *event, const char *text)
{
	const char *label = strstr(text, " label="), *rest = behind_label(text);

	event->caller = field(text, " peer=");
	event->reason = field(rest, " reason=");
	event->calls = field(rest, " calls=");
	if (label && rest > label)
		trace_label(event->handle, label + 7, rest - label - 7);
}

static void parse_call(struct trace_event *event, const char *text)
{
	int64_t err = field(text, " err=");

	event->err = err < 0 ? -err : err;
	event->caller = field(text, " caller=");
	event->seq = field(text, " seq=");
	event->op = field(text, " op=");
	event->flags = field(text, " flags=");
	event->arg_len = field(text, " arg=");
	event->reply_len = field(text, " reply=");
	event->status = (int64_t)field(text, " status=");
	event->stage = event->type == TRACE_REFUSED ? UPCALL_STAGE_NOT_DELIVERED :
		       field(text, " stage=");
}

static void pair(struct trace_event *event)
{
	struct times *t = &times[hash(event->handle, event->seq + event->caller, CALLS)];
	uint64_t now = event->time_ns;

	if (event->type == TRACE_QUEUED || t->handle != event->handle || t->seq != event->seq ||
	    t->caller != event->caller)
		*t = (struct times){ event->handle, event->seq, event->caller, 0, 0, 0 };
	if (event->type == TRACE_QUEUED)
		t->queued_ns = now;
	/* Again, if a fault put it back */
	if (event->type == TRACE_DELIVERED)
		t->delivered_ns = now;
	if (event->type == TRACE_REPLIED)
		t->replied_ns = now;
	if (t->queued_ns && t->delivered_ns)
		event->queued_ns = t->delivered_ns - t->queued_ns;
	if (t->delivered_ns && t->replied_ns)
		event->run_ns = t->replied_ns - t->delivered_ns;
	if (event->type != TRACE_ENDED)
		return;
	if (t->delivered_ns && !t->replied_ns)
		event->run_ns = now - t->delivered_ns;
	if (t->queued_ns)
		event->total_ns = now - t->queued_ns;
	*t = (struct times){ 0 };
}

/*
 * "            comm-PID     [CPU] SECONDS.MICROSECONDS: upcall_EVENT: FIELDS". The name of a process
 * may hold anything; but it has at least 16 columns, and at most 15 bytes.
 */
static bool parse_head(struct trace_event *event, const char *line, const char **fields)
{
	unsigned long long seconds, micros;
	char name[16];
	const char *process = line;
	int used = 0, type;

	if (strlen(line) < 17 ||
	    sscanf(line + 16, "-%" SCNu32 " [%*u] %llu.%6llu: upcall_%15[a-z]: %n", &event->pid, &seconds,
		   &micros, name, &used) != 4 || !used)
		return false;
	type = trace_type_find(name);
	if (type < 0)
		return false;
	while (*process == ' ')
		process++;
	event->process = text_escape(process, line + 16 - process);
	event->type = type;
	event->time_ns = seconds * 1000000000 + micros * 1000;
	*fields = line + 16 + used;
	return true;
}

/**
 * trace_parse() - Read a line of the kernel's trace
 * @event: Filled.
 * @line: Without its newline, from a trace with the options irq-info and record-tgid off and
 *	a clock in nanoseconds.
 *
 * Return: false if it is no event of upcall.
 */
bool trace_parse(struct trace_event *event, const char *line)
{
	const struct label *label;
	const char *fields;

	memset(event, 0, sizeof(*event));
	if (!parse_head(event, line, &fields))
		return false;
	event->handle = field(fields, "handle=");
	if (event->type <= TRACE_RELEASED)
		parse_callback(event, fields);
	else
		parse_call(event, fields);
	if (event->type >= TRACE_QUEUED)
		pair(event);
	label = &labels[hash(event->handle, 0, LABELS)];
	text_print(&event->label, "%s", label->handle == event->handle && *label->label.s ?
		   label->label.s : "-");
	return true;
}

/**
 * trace_failed() - Whether an event is about a failure
 * @event: As read.
 *
 * Return: true for a refused call; one that ended with an errno; a reply whose status is not 0.
 */
bool trace_failed(const struct trace_event *event)
{
	return event->err || (event->type == TRACE_REPLIED && event->status);
}

static void print_span(const char *key, uint64_t ns)
{
	if (ns)
		printf(" %s=%s", key, text_span(ns).s);
}

static void print_details(const struct trace_event *e)
{
	printf("tid=%" PRIu32, e->pid);
	if (e->type == TRACE_REGISTERED || e->type == TRACE_RELEASED)
		printf(" peer=%" PRId32, e->caller);
	if (e->type == TRACE_RELEASED)
		printf(" calls=%" PRIu64 " %s", e->calls, upcall_reason_name(e->reason));
	if (e->type >= TRACE_QUEUED)
		printf(" seq=%" PRIu64, e->seq);
	if (e->type == TRACE_QUEUED)
		printf(" caller=%" PRId32 " op=%" PRIu32 " arg=%" PRIu32 "%s", e->caller, e->op, e->arg_len,
		       e->flags & UPCALL_CALL_ONEWAY ? " oneway" : "");
	if (e->type == TRACE_REFUSED)
		printf(" caller=%" PRId32, e->caller);
	if (e->type == TRACE_REPLIED)
		printf(" status=%" PRId32 " reply=%" PRIu32, e->status, e->reply_len);
	if (e->err)
		printf(" %s %s", upcall_errname(e->err), upcall_stage_name(e->stage));
	if (e->type == TRACE_DELIVERED || e->type == TRACE_ENDED)
		print_span("queued", e->queued_ns);
	if (e->type == TRACE_REPLIED || e->type == TRACE_ENDED)
		print_span("run", e->run_ns);
	print_span("total", e->total_ns);
	printf("\n");
}

static void print_json_call(const struct trace_event *e)
{
	printf(", \"seq\": %" PRIu64 ", \"caller\": %" PRId32 ", \"op\": %" PRIu32 ", \"oneway\": %s"
	       ", \"arg_len\": %" PRIu32 ", \"reply_len\": %" PRIu32 ", \"status\": %" PRId32, e->seq, e->caller,
	       e->op, e->flags & UPCALL_CALL_ONEWAY ? "true" : "false", e->arg_len, e->reply_len,
	       e->status);
	if (e->queued_ns)
		printf(", \"queued_ns\": %" PRIu64, e->queued_ns);
	if (e->run_ns)
		printf(", \"run_ns\": %" PRIu64, e->run_ns);
	if (e->total_ns)
		printf(", \"total_ns\": %" PRIu64, e->total_ns);
}

static void print_json(const struct trace_event *e)
{
	printf("{\"time_ns\": %" PRIu64 ", \"event\": \"%s\", \"handle\": %" PRIu64 ", \"label\": %s, \"tid\": %" PRIu32,
	       e->time_ns, type_names[e->type], e->handle, text_json(e->label.s).s, e->pid);
	printf(", \"process\": %s", text_json(e->process.s).s);
	if (e->type >= TRACE_QUEUED)
		print_json_call(e);
	else if (e->type == TRACE_REFUSED)
		printf(", \"caller\": %" PRId32, e->caller);
	else
		printf(", \"peer\": %" PRId32 ", \"calls\": %" PRIu64 ", \"reason\": \"%s\"", e->caller,
		       e->calls, upcall_reason_name(e->reason));
	if (e->err)
		printf(", \"error\": \"%s\", \"stage\": \"%s\"", upcall_errname(e->err),
		       upcall_stage_name(e->stage));
	printf("}\n");
}

/**
 * trace_print() - Say an event, in a line
 * @event: As read.
 * @json: As an object, for programs.
 */
void trace_print(const struct trace_event *event, bool json)
{
	if (json) {
		print_json(event);
		return;
	}
	printf("%" PRIu64 ".%06" PRIu64 "  %-10s  %#-15" PRIx64 "  %-16s  ", event->time_ns / 1000000000,
	       event->time_ns / 1000 % 1000000, type_names[event->type], event->handle,
	       event->label.s);
	print_details(event);
}
