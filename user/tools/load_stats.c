// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What became of many calls: counted, and said. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "tool.h"

static struct load_outcome *outcome_find(struct load_stats *stats, int err, uint32_t stage,
					 int32_t status)
{
	struct load_outcome *o = stats->outcomes;

	for (; o < stats->outcomes + stats->outcome_count; o++)
		if (o->err == err && o->stage == stage && o->status == status)
			return o;
	/* A callback may answer with any status: what is too much is counted in the last */
	if (stats->outcome_count == LOAD_OUTCOMES)
		return o - 1;
	stats->outcome_count++;
	*o = (struct load_outcome){ err, stage, status, 0 };
	return o;
}

/**
 * load_stats_add() - Count a call
 * @stats: Zeroed before the first one.
 * @err: 0 or -errno.
 * @stage: UPCALL_STAGE_*.
 * @status: Of the reply.
 */
void load_stats_add(struct load_stats *stats, int err, uint32_t stage, int32_t status)
{
	outcome_find(stats, err, stage, status)->count++;
	stats->done++;
	stats->good += !err && !status;
}

/**
 * load_stats_merge() - Count what another thread counted
 * @stats: Grows.
 * @other: Stays.
 */
void load_stats_merge(struct load_stats *stats, const struct load_stats *other)
{
	const struct load_outcome *o = other->outcomes;

	histogram_merge(&stats->queued, &other->queued);
	histogram_merge(&stats->run, &other->run);
	histogram_merge(&stats->total, &other->total);
	stats->done += other->done;
	stats->good += other->good;
	for (size_t i = 0; i < other->outcome_count; i++)
		outcome_find(stats, o[i].err, o[i].stage, o[i].status)->count += o[i].count;
}

static const double percents[] = { 50, 90, 99 };

static void print_times(const char *name, const struct histogram *h)
{
	if (!h->count)
		return;
	printf("  %-8s", name);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		printf("%9s", text_span(histogram_percentile(h, percents[i])).s);
	printf("%9s\n", text_span(h->max).s);
}

static void print_outcome(const struct load *load, const struct load_outcome *o)
{
	printf("  %8" PRIu64 "  ", o->count);
	if (o->err)
		printf("%s (%s), %s\n", upcall_errname(o->err), upcall_strerror(o->err),
		       upcall_stage_name(o->stage));
	else if (load->attempt->oneway)
		printf("queued\n");
	else
		printf("status %" PRId32 "%s\n", o->status,
		       o->status == (int32_t)UPCALL_STATUS_RAISED ? ", a failure in words" : "");
}

static void print_text(const struct load *load, const struct load_stats *stats, uint64_t elapsed_ns,
		       bool interrupted)
{
	bool oneway = load->attempt->oneway;

	printf("%" PRIu64 " %s in %s, %.0f/s%s\n", stats->done, oneway ? "notifications" : "calls",
	       text_span(elapsed_ns).s, stats->done / (elapsed_ns / 1e9),
	       interrupted ? ", interrupted" : "");
	if (stats->total.count)
		printf("  %-8s%9s%9s%9s%9s\n", "", "p50", "p90", "p99", "max");
	print_times("queued", &stats->queued);
	print_times("run", &stats->run);
	print_times(oneway ? "sending" : "total", &stats->total);
	for (size_t i = 0; i < stats->outcome_count; i++)
		print_outcome(load, &stats->outcomes[i]);
}

static void print_json_times(const char *key, const struct histogram *h)
{
	if (!h->count)
		return;
	printf(", \"%s\": {", key);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		printf("\"p%.0f\": %" PRIu64 ", ", percents[i], histogram_percentile(h, percents[i]));
	printf("\"max\": %" PRIu64 "}", h->max);
}

static void print_json_outcome(const struct load_outcome *o)
{
	printf("{\"count\": %" PRIu64 ", \"error\": ", o->count);
	if (o->err)
		printf("\"%s\", \"stage\": \"%s\", \"status\": null}", upcall_errname(o->err),
		       upcall_stage_name(o->stage));
	else
		printf("null, \"stage\": \"%s\", \"status\": %" PRId32 "}", upcall_stage_name(o->stage),
		       o->status);
}

static void print_json(const struct load *load, const struct load_stats *stats, uint64_t elapsed_ns,
		       bool interrupted)
{
	bool oneway = load->attempt->oneway;

	printf("{\"verb\": \"%s\", \"handle\": %" PRIu64 ", \"asked\": %" PRIu64 ", \"parallel\": %" PRIu32
	       ", \"async\": %s, \"done\": %" PRIu64 ", \"good\": %" PRIu64, load->attempt->verb, load->handle,
	       load->count, load->parallel, load->async ? "true" : "false", stats->done, stats->good);
	printf(", \"interrupted\": %s, \"elapsed_ns\": %" PRIu64 ", \"rate\": %.3f",
	       interrupted ? "true" : "false", elapsed_ns, stats->done / (elapsed_ns / 1e9));
	print_json_times("queued_ns", &stats->queued);
	print_json_times("run_ns", &stats->run);
	print_json_times(oneway ? "sending_ns" : "total_ns", &stats->total);
	printf(", \"outcomes\": [");
	for (size_t i = 0; i < stats->outcome_count; i++) {
		printf(i ? ", " : "");
		print_json_outcome(&stats->outcomes[i]);
	}
	printf("]}\n");
}

/**
 * load_report() - Say what became of the calls, to stdout
 * @load: What was asked for.
 * @stats: What came of it.
 * @elapsed_ns: How long it took.
 * @interrupted: A signal ended it.
 */
void load_report(const struct load *load, const struct load_stats *stats, uint64_t elapsed_ns,
		 bool interrupted)
{
	if (load->json)
		print_json(load, stats, elapsed_ns, interrupted);
	else
		print_text(load, stats, elapsed_ns, interrupted);
}
