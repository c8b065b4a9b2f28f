// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * "upcall call -n --async": one thread with many calls under way, over the bare ABI, because what
 * is measured is that: each EXCHANGE carries new calls in, and results out.
 *
 * The wait has a deadline, so that the end which a signal wants is seen soon. Then what is under way
 * is cancelled; the results of that still come, and are counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tool.h"

#define LOOK_NS		100000000ULL	/* how often to look whether to end */
#define EVENT_ROOM	(64U << 10)	/* bytes, beside the longest reply */

/**
 * struct flight - What is under way
 * @load: What was asked for.
 * @stats: What came of it.
 * @fd: The peer.
 * @ids: Of each slot the call's id, 0: it is free. A call's user_data is its slot.
 * @free: Slots that are free; @free_count of them.
 * @free_count: @load->parallel less what is under way.
 * @events: Owned.
 * @events_len: Bytes.
 * @commands: The next batch.
 * @slots: The slot of each command.
 * @command_count: Commands in the batch.
 * @cancelling: The end has begun.
 */
struct flight {
	const struct load *load;
	struct load_stats *stats;
	int fd;
	uint64_t *ids;
	uint32_t *free;
	uint32_t free_count;
	void *events;
	uint32_t events_len;
	struct upcall_command commands[UPCALL_MAX_COMMANDS];
	uint32_t slots[UPCALL_MAX_COMMANDS];
	uint32_t command_count;
	bool cancelling;
};

static void *must_alloc(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		tool_die(EXIT_LOCAL, "out of memory");
	return memory;
}

static void flight_init(struct flight *flight, const struct load *load, struct load_stats *stats)
{
	flight->load = load;
	flight->stats = stats;
	flight->fd = upcall_fd(load->peer);
	flight->ids = must_alloc(load->parallel, sizeof(*flight->ids));
	flight->free = must_alloc(load->parallel, sizeof(*flight->free));
	flight->events_len = EVENT_ROOM + ((load->max_reply + 7) & ~7U);
	flight->events = must_alloc(1, flight->events_len);
	/* The lowest slot is taken first */
	while (flight->free_count < load->parallel) {
		flight->free[flight->free_count] = load->parallel - 1 - flight->free_count;
		flight->free_count++;
	}
}

static bool flight_is_empty(const struct flight *flight)
{
	return flight->free_count == flight->load->parallel;
}

static void slot_end(struct flight *flight, uint32_t slot)
{
	flight->ids[slot] = 0;
	flight->free[flight->free_count++] = slot;
}

static void add_call(struct flight *flight)
{
	const struct load *load = flight->load;
	uint32_t slot = flight->free[--flight->free_count];
	uint64_t deadline = load_deadline(load);

	flight->slots[flight->command_count] = slot;
	flight->commands[flight->command_count++] = (struct upcall_command){
		.type = UPCALL_COMMAND_CALL,
		.flags = (deadline == UPCALL_NO_DEADLINE ? UPCALL_INVOKE_NO_DEADLINE : 0) |
			 (load->has_signature ? UPCALL_INVOKE_SIGNATURE : 0),
		.target = load->handle,
		.user_data = slot,
		.value = load->has_signature ? load->signature : 0,
		.data = (uintptr_t)load->arg,
		.data_len = load->len,
		.status = load->op,
		.deadline_ns = deadline == UPCALL_NO_DEADLINE ? 0 : deadline,
		.reply_max = load->max_reply,
	};
}

static void add_calls(struct flight *flight)
{
	flight->command_count = 0;
	while (flight->command_count < UPCALL_MAX_COMMANDS && flight->free_count && load_next())
		add_call(flight);
}

/* What the kernel did with the batch. One that failed has no result to come. */
static void take_commands(struct flight *flight)
{
	for (uint32_t i = 0; i < flight->command_count; i++) {
		const struct upcall_command *c = &flight->commands[i];

		if (c->type != UPCALL_COMMAND_CALL)
			continue;
		if (!c->error) {
			flight->ids[flight->slots[i]] = c->call_id;
			continue;
		}
		load_stats_add(flight->stats, -(int)c->error, c->stage, 0);
		slot_end(flight, flight->slots[i]);
	}
}

static void take_result(struct flight *flight, const struct upcall_event_result *r)
{
	struct load_stats *stats = flight->stats;

	if (r->stage != UPCALL_STAGE_NOT_DELIVERED) {
		histogram_add(&stats->queued, r->queued_ns);
		histogram_add(&stats->run, r->run_ns);
		histogram_add(&stats->total, r->total_ns);
	}
	load_stats_add(stats, -(int)r->error, r->stage, (int32_t)r->status);
	slot_end(flight, r->event.cookie);
}

static void take_events(struct flight *flight, uint32_t count)
{
	const char *at = flight->events;

	while (count--) {
		const struct upcall_event *event = (const void *)at;

		if (event->type == UPCALL_EVENT_RESULT)
			take_result(flight, (const void *)at);
		at += event->size;
	}
}

static void exchange(struct flight *flight)
{
	struct upcall_exchange args = {
		.size = sizeof(args),
		.deadline_ns = text_now() + LOOK_NS,
		.commands = (uintptr_t)flight->commands,
		.events = (uintptr_t)flight->events,
		.command_count = flight->command_count,
		.command_size = sizeof(struct upcall_command),
		.events_len = flight->events_len,
	};
	int err = ioctl(flight->fd, UPCALL_IOC_EXCHANGE, &args) ? errno : 0;

	if (!err) {
		/* Before the events: a call's result may be among them already */
		take_commands(flight);
		take_events(flight, args.event_count);
		err = args.wait_error;
	}
	if (err && err != ETIMEDOUT && err != EAGAIN && err != EINTR)
		tool_die(EXIT_LOCAL, "call --async: %s (%s)", upcall_errname(err),
			 upcall_strerror(err));
}

static void cancel_all(struct flight *flight)
{
	flight->cancelling = true;
	for (uint32_t slot = 0; slot < flight->load->parallel;) {
		flight->command_count = 0;
		for (; slot < flight->load->parallel && flight->command_count < UPCALL_MAX_COMMANDS;
		     slot++)
			if (flight->ids[slot])
				flight->commands[flight->command_count++] = (struct upcall_command){
					.type = UPCALL_COMMAND_CANCEL,
					.target = flight->ids[slot],
				};
		if (flight->command_count)
			exchange(flight);
	}
}

/**
 * load_async() - Make calls from this thread, many at a time
 * @load: What was asked for.
 * @stats: What came of it.
 */
void load_async(const struct load *load, struct load_stats *stats)
{
	struct flight *flight = must_alloc(1, sizeof(*flight));

	flight_init(flight, load, stats);
	for (;;) {
		if (load_stopped() && !flight->cancelling)
			cancel_all(flight);
		add_calls(flight);
		if (!flight->command_count && flight_is_empty(flight))
			break;
		exchange(flight);
	}
	free(flight->ids);
	free(flight->free);
	free(flight->events);
	free(flight);
}
