// SPDX-License-Identifier: GPL-2.0-only
/* What the operations do that are commands of the ABI. */
#include <stdio.h>
#include "fuzz.h"

#define WAIT_MS		100	/* for a call; a busy machine is slow */

/* The @n'th allocation or copy from now on fails, where the kernel can do that; 0: none does. */
static void fail_nth(uint64_t n)
{
	int fd = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC);
	char text[24];
	int len = snprintf(text, sizeof(text), "%u", (unsigned int)n & 0xfff);

	/* what is left may hit this, too, and is used up then */
	if (fd >= 0 && write(fd, text, len) != len && write(fd, text, len) != len)
		perror("fuzz: fail-nth");
	close(fd);
}

/* Writes also where the process itself may not write, as far as there is memory. */
static ssize_t place(uint64_t at, const void *from, size_t len)
{
	int fd = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
	ssize_t done = pwrite(fd, from, len, at);

	close(fd);
	return done;
}

/* The struct of an ioctl, or a command. */
static void fill_struct(const struct verb *verb, const uint64_t *args, void *to)
{
	const struct field *field = verb->fields;
	int i;

	for (i = 0; field[i].name; i++)
		memcpy((char *)to + field[i].offset, &args[i], field[i].width);
}

static void fill_ride(struct self *self, const struct verb *verb, const uint64_t *args)
{
	int i = field_find(verb, "ride", strlen("ride"));

	if (i < 0)
		return;
	self->ride[self->riding][0] = args[i];
	self->ride[self->riding][1] = args[i + 1];
}

static int ioctl_at(struct self *self, unsigned long cmd, const uint64_t *args)
{
	size_t len = (uint32_t)self->args[0];
	int ret;

	/* what cannot be written there is as it was */
	if (args[ARG_AT] != ptr64(self->args))
		place(args[ARG_AT], self->args, len < sizeof(self->args) ? len : sizeof(self->args));
	if (args[ARG_FAIL])
		fail_nth(args[ARG_FAIL]);
	ret = ioctl(args[ARG_FD], cmd, args[ARG_AT]) ? -errno : 0;
	if (args[ARG_FAIL])
		fail_nth(0);
	return ret;
}

static void read_results(struct self *self, const struct verb *verb)
{
	const struct upcall_invoke *invoke = (struct upcall_invoke *)self->args;
	uint64_t *value = arena->value[self->at];
	int i;

	for (i = 0; i < RESULTS; i++) {
		if (verb->out[i])
			memcpy(&value[i], (char *)self->args + verb->out[i],
			       verb->gives[i] == STUB ? sizeof(uint32_t) : sizeof(uint64_t));
	}
	if (verb->cmd == UPCALL_IOC_INVOKE && invoke->reply_fds == ptr64(self->ride[self->riding]))
		value[1] = self->ride[self->riding][0];
}

int64_t run_ioctl(struct self *self, const struct verb *verb, const uint64_t *args)
{
	unsigned long cmd = verb->cmd ? verb->cmd : args[field_find(verb, "cmd", 3)];
	int ret;

	memset(self->args, args[ARG_TAIL], sizeof(self->args));
	memset(self->args, 0, verb->size);
	fill_struct(verb, args, self->args);
	fill_ride(self, verb, args);
	ret = ioctl_at(self, cmd, args);
	if (args[ARG_AT] == ptr64(self->args))
		read_results(self, verb);
	return ret;
}

/* --- EXCHANGE ---------------------------------------------------------------------- */

int64_t run_command(struct self *self, const struct verb *verb, const uint64_t *args)
{
	uint64_t times = args[0];
	struct upcall_command *command;

	fill_ride(self, verb, args);
	for (; times && self->pending < PENDING; times--) {
		command = &self->commands[self->pending];
		memset(command, 0, sizeof(*command));
		command->type = verb->cmd;
		fill_struct(verb, args, command);
		self->command_of[self->pending++] = self->at;
	}
	return 0;
}

static const uint32_t *fds_of(const struct upcall_event *event, uint32_t offset, uint32_t count)
{
	return count ? (const uint32_t *)((const char *)event + offset) : NULL;
}

/* The calls, and the first descriptor, of some events. */
static void read_events(const void *events, uint32_t used, uint64_t *value)
{
	const struct upcall_event *event = events;
	const char *end = (const char *)events + used;
	const uint32_t *fds;
	int calls = 0;

	for (; (const char *)event < end && event->size; event = (void *)((char *)event + event->size)) {
		const struct upcall_event_call *call = (void *)event;
		const struct upcall_event_result *result = (void *)event;

		fds = NULL;
		if (event->type == UPCALL_EVENT_CALL) {
			fds = fds_of(event, call->fds_offset, call->fd_count);
			if (calls < 2)
				value[calls++] = call->call;
		} else if (event->type == UPCALL_EVENT_RESULT) {
			fds = fds_of(event, result->fds_offset, result->fd_count);
		}
		if (fds && !value[2])
			value[2] = *fds;
	}
}

/* The commands have ended with it. */
static void end_commands(struct self *self)
{
	uint32_t i;

	for (i = 0; i < self->pending; i++) {
		arena->value[self->command_of[i]][0] = self->commands[i].call_id;
		op_ended(self->command_of[i], -(int64_t)self->commands[i].error);
	}
	self->pending = 0;
}

int64_t run_exchange(struct self *self, const struct verb *verb, const uint64_t *given)
{
	struct upcall_exchange *args = (struct upcall_exchange *)self->args;
	int count = field_find(verb, "command_count", strlen("command_count"));
	uint64_t filled[MAX_ARGS];
	int64_t ret;

	memcpy(filled, given, sizeof(filled));
	if (filled[count] == (uint64_t)-1)
		filled[count] = self->pending;
	ret = run_ioctl(self, verb, filled);
	if (!ret && given[ARG_AT] == ptr64(args) && args->events == ptr64(self->events) &&
	    args->events_used <= sizeof(self->events))
		read_events(self->events, args->events_used, arena->value[self->at]);
	end_commands(self);
	return ret;
}

/* --- an owner ---------------------------------------------------------------------- */

enum { REPLY, REFUSE, LEAVE };

static void answer(struct upcall_command *command, uint64_t call, uint64_t how, uint64_t len, const uint32_t *ride)
{
	*command = (struct upcall_command){
		.type = how == REFUSE ? UPCALL_COMMAND_REFUSE : UPCALL_COMMAND_REPLY,
		.target = call,
		.status = how == REFUSE ? EACCES : 0,
	};
	if (how == REPLY) {
		command->data = memory_at(NULL, GOOD, 0);
		command->data_len = len;
		command->fds = ptr64(ride);
		command->fd_count = *ride != (uint32_t)-1;
	}
}

/* Receives so many calls, one after the other, and answers each as it receives the next one. */
int64_t run_serve(struct self *self, const struct verb *verb, const uint64_t *args)
{
	struct upcall_exchange exchange = {
		.size = sizeof(exchange), .events = ptr64(self->events), .events_len = sizeof(self->events),
		.max_calls = 1, .command_size = sizeof(struct upcall_command),
	};
	uint64_t value[RESULTS], times = args[1] < PENDING ? args[1] : PENDING;
	const uint32_t ride = args[4];
	struct upcall_command command;
	int ret = 0;

	(void)verb;
	for (; times + exchange.command_count && !ret; times -= !!times) {
		exchange.deadline_ns = in_ms(WAIT_MS);
		exchange.commands = ptr64(&command);
		exchange.events_len = times ? sizeof(self->events) : 0;
		ret = ioctl(args[0], UPCALL_IOC_EXCHANGE, &exchange) ? -errno : 0;
		exchange.command_count = 0;
		memset(value, 0, sizeof(value));
		if (!ret && times)
			read_events(self->events, exchange.events_used, value);
		if (value[0] && args[2] != LEAVE) {
			answer(&command, value[0], args[2], args[3], &ride);
			exchange.command_count = 1;
		}
	}
	return ret;
}
