// SPDX-License-Identifier: GPL-2.0-only
/* A caller: waits, does not wait, waits for room, cancels, is interrupted, and writes it down. */
#include <stdio.h>
#include "stress.h"

#define OPEN_MAX	64	/* asynchronous calls of one caller at a time */
#define AT_A_TIME	8

/* Its asynchronous calls without RESULT. */
struct open_call {
	uint64_t number;
	uint64_t call_id;
};

static struct open_call open_calls[OPEN_MAX];
static int open_count;

static uint64_t any_handle(struct self *self)
{
	return __atomic_load_n(&shared->handles[draw(self) % OWNERS][draw(self) % SLOTS],
			       __ATOMIC_ACQUIRE);
}

/* None, short or long; of a nested call always short. Sets the flag for none. */
static uint64_t any_deadline(struct self *self, uint32_t *flags)
{
	switch (self->owner >= 0 ? 1 : draw(self) % 3) {
	case 0:
		*flags |= UPCALL_INVOKE_NO_DEADLINE;
		return 0;
	case 1:
		return now_ns() + draw(self) % 5000000;
	default:
		return in_ms(500);
	}
}

/* An owner's other thread may shut their peer down, which ends the call as well. */
static void caller_cancel(struct self *self, uint64_t call_id)
{
	int err = cancel(self->fd, call_id);

	if (err && (self->owner < 0 || (err != -ESHUTDOWN && err != -ENOENT)))
		complain("cancel: errno %d", -err);
}

/*
 * INVOKE. If it is interrupted, or its reply kept, the call is waited for again, or given up:
 * what its caller was told then is the answer; or before, if it was told nothing, because
 * another thread has shut the peer down.
 */
void call_and_wait(struct self *self, uint64_t handle, uint64_t parent)
{
	uint64_t number, got = 0;
	struct upcall_invoke args = INVOKE_ARGS(handle, .flags = 0, .arg = ptr64(&number),
		.arg_len = sizeof(number), .reply = ptr64(&got), .reply_max = 64,
		.reply_room = chance(self, 90) ? sizeof(got) : 0, .parent = parent,
		.stage = UPCALL_STAGE_UNKNOWN);
	int err;

	if (!book_open(self, SYNC, handle, &number))
		return;
	args.deadline_ns = any_deadline(self, &args.flags);
	if (chance(self, 20))
		args.flags |= UPCALL_INVOKE_WAIT_ROOM;
	for (;;) {
		err = verb(self->fd, UPCALL_IOC_INVOKE, &args);
		if (!args.call_id || (err != -EINTR && err != -EMSGSIZE))
			break;
		if (chance(self, 30)) {
			caller_cancel(self, args.call_id);
			break;
		}
		args.reply_room = sizeof(got);
	}
	if (!err && got != number)
		complain("call %llu got the reply of %llu", (unsigned long long)number,
			 (unsigned long long)got);
	book_answer(number, -err, args.stage);
}

static void notify(struct self *self)
{
	uint64_t number, handle = any_handle(self);
	struct upcall_invoke args = INVOKE_ARGS(handle, .arg = ptr64(&number),
		.arg_len = sizeof(number), .stage = UPCALL_STAGE_UNKNOWN);
	int err;

	if (!book_open(self, NOTIFICATION, handle, &number))
		return;
	args.flags |= UPCALL_INVOKE_ONEWAY | (chance(self, 50) ? UPCALL_INVOKE_LATEST : 0);
	err = verb(self->fd, UPCALL_IOC_INVOKE, &args);
	book_answer(number, -err, args.stage);
}

/* --- asynchronous ------------------------------------------------------------------ */

static void take_result(const struct upcall_event_result *result)
{
	uint64_t number = result->event.cookie, got;
	int i;

	for (i = 0; i < open_count && open_calls[i].call_id != result->call_id; i++)
		;
	if (i == open_count || open_calls[i].number != number) {
		complain("a result that nobody waits for: call %llu", (unsigned long long)number);
		return;
	}
	open_calls[i] = open_calls[--open_count];
	memcpy(&got, (const char *)result + result->payload_offset, sizeof(got));
	if (!result->error && (result->payload_len != sizeof(got) || got != number))
		complain("call %llu got another's result", (unsigned long long)number);
	book_answer(number, result->error, result->stage);
}

static void take_events(const char *buf, uint32_t used)
{
	const struct upcall_event *event;
	uint32_t at;

	for (at = 0; at < used; at += event->size) {
		event = (const void *)(buf + at);
		if (event->type == UPCALL_EVENT_RESULT)
			take_result((const void *)event);
		else
			complain("a caller got event %u", event->type);
	}
}

/* CALLs or NOTIFYs with numbers of their own. How many. */
static uint32_t fill_commands(struct self *self, struct upcall_command *cmds, uint64_t *numbers,
			      uint32_t count)
{
	uint32_t i, room = OPEN_MAX - open_count;

	for (i = 0; i < count && i < room; i++) {
		bool oneway = chance(self, 20);
		uint64_t handle = any_handle(self);

		if (!book_open(self, oneway ? NOTIFICATION : ASYNC, handle, &numbers[i]))
			break;
		cmds[i] = (struct upcall_command){
			.type = oneway ? UPCALL_COMMAND_NOTIFY : UPCALL_COMMAND_CALL,
			.target = handle, .user_data = oneway ? 0 : numbers[i],
			.data = ptr64(&numbers[i]), .data_len = sizeof(numbers[i]),
			.reply_max = oneway ? 0 : 64, .stage = UPCALL_STAGE_UNKNOWN,
		};
		cmds[i].deadline_ns = any_deadline(self, &cmds[i].flags);
	}
	return i;
}

/* What became of the commands: an errno is the answer, else a RESULT follows. */
static void note_commands(const struct upcall_command *cmds, const uint64_t *numbers,
			  uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (cmds[i].error)
			book_answer(numbers[i], cmds[i].error, cmds[i].stage);
		else if (cmds[i].type == UPCALL_COMMAND_NOTIFY)
			book_answer(numbers[i], 0, UPCALL_STAGE_NOT_DELIVERED);
		else
			open_calls[open_count++] =
				(struct open_call){ numbers[i], cmds[i].call_id };
	}
}

/* Some commands out, and what RESULTs there are in; perhaps after waiting for one, or for its own. */
static void exchange(struct self *self, uint32_t count, uint32_t wait_ms)
{
	static char buf[65536] __attribute__((aligned(8)));
	struct upcall_command cmds[AT_A_TIME];
	uint64_t numbers[AT_A_TIME];
	struct upcall_exchange args = {
		.size = sizeof(args), .commands = ptr64(cmds), .command_size = sizeof(cmds[0]),
		.events = ptr64(buf), .events_len = sizeof(buf), .deadline_ns = in_ms(wait_ms),
		.flags = wait_ms ? 0 : UPCALL_EXCHANGE_NONBLOCK,
	};
	int err;

	args.command_count = fill_commands(self, cmds, numbers, count);
	if (args.command_count == 1 && cmds[0].type == UPCALL_COMMAND_CALL && wait_ms)
		args.flags |= UPCALL_EXCHANGE_WAIT_COMMAND;
	err = verb(self->fd, UPCALL_IOC_EXCHANGE, &args);
	if (err && (args.command_count || (err != -EAGAIN && err != -ETIMEDOUT && err != -EINTR))) {
		complain("exchange of %u commands: errno %d", args.command_count, -err);
		return;
	}
	note_commands(cmds, numbers, args.command_count);
	if (!err)
		take_events(buf, args.events_used);
}

/* Nothing is lost: in the end every RESULT comes. */
static void drain(struct self *self)
{
	uint64_t until = in_ms(2 * SOON_MS);

	while (open_count && now_ns() < until)
		exchange(self, 0, 100);
}

static void caller_step(struct self *self)
{
	switch (draw(self) % 8) {
	case 0:
	case 1:
		call_and_wait(self, any_handle(self), 0);
		break;
	case 2:
		notify(self);
		break;
	case 3:
		if (open_count)
			caller_cancel(self, open_calls[draw(self) % open_count].call_id);
		break;
	case 4:
		exchange(self, 1, 20);
		break;
	default:
		exchange(self, draw(self) % (AT_A_TIME + 1), chance(self, 30) ? 2 : 0);
	}
}

int caller_run(void *arg)
{
	struct life *life = arg;
	struct self self = self_make(life->id, -1);

	self.fd = peer_open();
	if (self.fd < 0)
		return 1;
	while (!stopped(&shared->stop_callers))
		caller_step(&self);
	drain(&self);
	return 0;
}
