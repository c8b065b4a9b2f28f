// SPDX-License-Identifier: GPL-2.0-only
/* What operations there are: every ioctl with the members of its struct, and what befalls processes. */
#include <stddef.h>
#include "fuzz.h"

#define IN(_type, _member, _kind, ...) { .name = #_member, .kind = _kind,	\
	.width = sizeof(((struct _type *)0)->_member), .offset = offsetof(struct _type, _member), ##__VA_ARGS__ }
#define ARG(_name, _kind, ...) { .name = _name, .kind = _kind, ##__VA_ARGS__ }
#define USUAL(_number)	.usual = { PLAIN, 0, 0, _number }
#define USUAL_AT(_region) .usual = { MEMORY, _region, 0, 0 }
#define USUAL_SOON(_us)	.usual = { SOON, 0, 0, _us }
#define WORDS(_list)	.words = _list
#define RARE		.rare = true
#define WORD(_prefix, _name) { #_name, _prefix##_##_name }

/* In the order of ARG_FD and its neighbours. */
#define BEGIN(_type)							\
	ARG("fd", PEER, USUAL(-1)), ARG("fail", NTH), ARG("at", POINTER, USUAL_AT(ARGS)), \
	ARG("tail", NUMBER), IN(_type, size, SIZE, USUAL(sizeof(struct _type)))
#define BEGIN_COMMAND	ARG("times", COUNT, USUAL(1))
#define RIDES		ARG("ride", DESCRIPTOR, RARE), ARG("ride2", DESCRIPTOR, RARE)

static const struct word access_words[] = {
	WORD(UPCALL_ACCESS, SAME_USER), WORD(UPCALL_ACCESS, UID), WORD(UPCALL_ACCESS, GID),
	WORD(UPCALL_ACCESS, ANYONE), WORD(UPCALL_ACCESS, STUB_ONLY), { }
};

static const struct word register_words[] = {
	WORD(UPCALL_REGISTER, SIGNATURE), WORD(UPCALL_REGISTER, AUTOEND), WORD(UPCALL_REGISTER, SERIAL),
	WORD(UPCALL_REGISTER, IDEMPOTENT), WORD(UPCALL_REGISTER, UNREFERENCED),
	WORD(UPCALL_REGISTER, AUTO_RELEASE), WORD(UPCALL_REGISTER, FDS), { }
};

static const struct word rebind_words[] = { { "WORD", UPCALL_REBIND_WORD }, { } };
static const struct word release_words[] = {
	WORD(UPCALL_RELEASE, ABORT), WORD(UPCALL_RELEASE, WORD), { }
};
static const struct word list_words[] = {
	WORD(UPCALL_LIST, CALLBACKS), WORD(UPCALL_LIST, PEERS), WORD(UPCALL_LIST, CALLS),
	WORD(UPCALL_LIST, USERS), { }
};

static const struct word invoke_words[] = {
	WORD(UPCALL_INVOKE, ONEWAY), WORD(UPCALL_INVOKE, NO_DEADLINE), WORD(UPCALL_INVOKE, SIGNATURE),
	WORD(UPCALL_INVOKE, STUB_FD), WORD(UPCALL_INVOKE, WAIT_ROOM), WORD(UPCALL_INVOKE, LATEST), { }
};

static const struct word exchange_words[] = {
	WORD(UPCALL_EXCHANGE, NONBLOCK), WORD(UPCALL_EXCHANGE, NO_DEADLINE),
	WORD(UPCALL_EXCHANGE, WAIT_COMMAND), { }
};

static const struct word command_words[] = {
	WORD(UPCALL_COMMAND, CALL), WORD(UPCALL_COMMAND, NOTIFY), WORD(UPCALL_COMMAND, REPLY),
	WORD(UPCALL_COMMAND, REFUSE), WORD(UPCALL_COMMAND, CANCEL), WORD(UPCALL_COMMAND, RELEASE),
	WORD(UPCALL_COMMAND, REBIND), { }
};

static const struct word shutdown_words[] = { { "WORD", UPCALL_SHUTDOWN_WORD }, { } };
static const struct word config_words[] = {
	WORD(UPCALL_CONFIG, ONE_THREAD),
	WORD(UPCALL_CONFIG, ADOPTABLE), { }
};
static const struct word how_words[] = { { "REPLY", 0 }, { "REFUSE", 1 }, { "LEAVE", 2 }, { } };
static const struct word poll_words[] = {
	{ "IN", 1 }, { "OUT", 4 }, { "EDGE", 1U << 31 }, { "ONESHOT", 1U << 30 },
	{ "EXCLUSIVE", 1U << 28 }, { }
};
static const struct word protection_words[] = { { "READ", 1 }, { "WRITE", 2 }, { } };

static const struct field info_fields[] = {
	BEGIN(upcall_info), IN(upcall_info, flags, FLAGS), IN(upcall_info, reserved, NUMBER), { }
};

static const struct field register_fields[] = {
	BEGIN(upcall_register), IN(upcall_register, flags, FLAGS, WORDS(register_words)),
	IN(upcall_register, cookie, NUMBER),
	{ .name = "label", .kind = NUMBER, .width = 8, .offset = offsetof(struct upcall_register, label) },
	IN(upcall_register, signature, NUMBER), IN(upcall_register, word, NUMBER),
	IN(upcall_register, access, CHOICE, WORDS(access_words), USUAL(UPCALL_ACCESS_ANYONE)),
	IN(upcall_register, access_id, NUMBER), IN(upcall_register, max_arg, LENGTH_OF, USUAL(UPCALL_MAX_PAYLOAD)),
	IN(upcall_register, max_queued_calls, COUNT, USUAL(8)),
	IN(upcall_register, max_queued_bytes, LENGTH_OF, USUAL(UPCALL_MAX_PAYLOAD)),
	{ }
};

static const struct field rebind_fields[] = {
	BEGIN(upcall_rebind), IN(upcall_rebind, flags, FLAGS, WORDS(rebind_words)),
	IN(upcall_rebind, handle, HANDLE), IN(upcall_rebind, cookie, NUMBER), IN(upcall_rebind, word, NUMBER), { }
};

static const struct field release_fields[] = {
	BEGIN(upcall_release), IN(upcall_release, flags, FLAGS, WORDS(release_words)),
	IN(upcall_release, handle, HANDLE), IN(upcall_release, word, NUMBER), { }
};

static const struct field stat_fields[] = {
	BEGIN(upcall_stat), IN(upcall_stat, flags, FLAGS), IN(upcall_stat, handle, HANDLE), { }
};

static const struct field list_fields[] = {
	BEGIN(upcall_list), IN(upcall_list, flags, FLAGS),
	IN(upcall_list, what, CHOICE, WORDS(list_words), USUAL(UPCALL_LIST_CALLBACKS)),
	IN(upcall_list, record_size, LENGTH_OF, USUAL(64)), IN(upcall_list, cursor, NUMBER),
	IN(upcall_list, buffer, POINTER, USUAL_AT(GOOD)), IN(upcall_list, buffer_len, LENGTH_OF, USUAL(4096)), { }
};

static const struct field export_fields[] = {
	BEGIN(upcall_export), IN(upcall_export, flags, FLAGS), IN(upcall_export, handle, HANDLE),
	IN(upcall_export, reserved, NUMBER), { }
};

static const struct field invoke_fields[] = {
	BEGIN(upcall_invoke), IN(upcall_invoke, flags, FLAGS, WORDS(invoke_words)),
	IN(upcall_invoke, target, TARGET), IN(upcall_invoke, deadline_ns, TIME, USUAL_SOON(100000)),
	IN(upcall_invoke, arg, POINTER, USUAL_AT(GOOD)), IN(upcall_invoke, reply, POINTER),
	IN(upcall_invoke, arg_len, LENGTH_OF), IN(upcall_invoke, reply_room, LENGTH_OF),
	IN(upcall_invoke, reply_max, LENGTH_OF), IN(upcall_invoke, op, NUMBER),
	IN(upcall_invoke, signature, NUMBER), IN(upcall_invoke, parent, CALL, RARE),
	IN(upcall_invoke, fds, POINTER), IN(upcall_invoke, reply_fds, POINTER),
	IN(upcall_invoke, fd_count, COUNT), IN(upcall_invoke, reply_fd_room, COUNT),
	IN(upcall_invoke, call_id, CALL_ID, RARE), RIDES, { }
};
_Static_assert(LENGTH(invoke_fields) - 1 <= MAX_ARGS, "it has most of all");

static const struct field exchange_fields[] = {
	BEGIN(upcall_exchange), IN(upcall_exchange, flags, FLAGS, WORDS(exchange_words)),
	IN(upcall_exchange, deadline_ns, TIME, USUAL_SOON(100000)),
	IN(upcall_exchange, commands, POINTER, USUAL_AT(COMMANDS)),
	IN(upcall_exchange, events, POINTER, USUAL_AT(EVENTS)),
	IN(upcall_exchange, command_count, COUNT, USUAL(-1)),	/* those that are pending */
	IN(upcall_exchange, command_size, LENGTH_OF, USUAL(sizeof(struct upcall_command))),
	IN(upcall_exchange, events_len, LENGTH_OF, USUAL(16384)), IN(upcall_exchange, max_calls, COUNT, USUAL(4)),
	IN(upcall_exchange, wait_call, CALL_ID, RARE), IN(upcall_exchange, reserved, NUMBER), { }
};

static const struct field shutdown_fields[] = {
	BEGIN(upcall_shutdown), IN(upcall_shutdown, flags, FLAGS, WORDS(shutdown_words)),
	IN(upcall_shutdown, word, NUMBER), { }
};

static const struct field adopt_fields[] = {
	BEGIN(upcall_adopt), IN(upcall_adopt, flags, FLAGS), IN(upcall_adopt, reserved, NUMBER), { }
};

static const struct field config_fields[] = {
	BEGIN(upcall_config), IN(upcall_config, flags, FLAGS, WORDS(config_words)),
	IN(upcall_config, orphan_ns, NUMBER), IN(upcall_config, events, NUMBER), { }
};

/* An ioctl that is none; its struct is that size and nothing else. */
static const struct field ioctl_fields[] = {
	ARG("fd", PEER, USUAL(-1)), ARG("fail", NTH), ARG("at", POINTER, USUAL_AT(ARGS)), ARG("tail", NUMBER),
	{ .name = "size", .kind = SIZE, .width = 4, USUAL(16) }, ARG("cmd", NUMBER), { }
};

/* Commands: of the next EXCHANGE of this thread. */
static const struct field call_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, flags, FLAGS, WORDS(invoke_words)), IN(upcall_command, target, TARGET),
	IN(upcall_command, user_data, NUMBER), IN(upcall_command, value, NUMBER),
	IN(upcall_command, data, POINTER, USUAL_AT(GOOD)), IN(upcall_command, data_len, LENGTH_OF),
	IN(upcall_command, status, NUMBER), IN(upcall_command, deadline_ns, TIME, USUAL_SOON(100000)),
	IN(upcall_command, parent, CALL, RARE), IN(upcall_command, fds, POINTER), IN(upcall_command, fd_count, COUNT),
	IN(upcall_command, reply_max, LENGTH_OF), IN(upcall_command, reply_fd_max, COUNT), RIDES, { }
};

static const struct field notify_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, flags, FLAGS, WORDS(invoke_words)), IN(upcall_command, target, TARGET),
	IN(upcall_command, value, NUMBER), IN(upcall_command, data, POINTER, USUAL_AT(GOOD)),
	IN(upcall_command, data_len, LENGTH_OF), IN(upcall_command, status, NUMBER),
	IN(upcall_command, deadline_ns, TIME, USUAL_SOON(100000)), IN(upcall_command, fds, POINTER),
	IN(upcall_command, fd_count, COUNT), RIDES, { }
};

static const struct field reply_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, flags, FLAGS), IN(upcall_command, target, CALL),
	IN(upcall_command, data, POINTER, USUAL_AT(GOOD)), IN(upcall_command, data_len, LENGTH_OF),
	IN(upcall_command, status, NUMBER), IN(upcall_command, fds, POINTER),
	IN(upcall_command, fd_count, COUNT), RIDES, { }
};

static const struct field refuse_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, flags, FLAGS), IN(upcall_command, target, CALL),
	IN(upcall_command, status, NUMBER, USUAL(EACCES)), { }
};

static const struct field cancel_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, flags, FLAGS), IN(upcall_command, target, CALL_ID), { }
};

static const struct field drop_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, flags, FLAGS, WORDS(release_words)),
	IN(upcall_command, target, HANDLE), IN(upcall_command, value, NUMBER), { }
};

static const struct field again_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, flags, FLAGS, WORDS(rebind_words)), IN(upcall_command, target, HANDLE),
	IN(upcall_command, user_data, NUMBER), IN(upcall_command, value, NUMBER), { }
};

static const struct field any_fields[] = {
	BEGIN_COMMAND, IN(upcall_command, type, CHOICE, WORDS(command_words)), IN(upcall_command, flags, FLAGS),
	IN(upcall_command, target, NUMBER), IN(upcall_command, user_data, NUMBER),
	IN(upcall_command, value, NUMBER), IN(upcall_command, data, POINTER),
	IN(upcall_command, data_len, LENGTH_OF), IN(upcall_command, status, NUMBER),
	IN(upcall_command, deadline_ns, NUMBER), IN(upcall_command, parent, NUMBER),
	IN(upcall_command, fds, POINTER), IN(upcall_command, fd_count, COUNT),
	IN(upcall_command, reply_max, LENGTH_OF), IN(upcall_command, reply_fd_max, COUNT), { }
};

/* The rest has no struct. */
static const struct field no_fields[] = { { } };
static const struct field fd_fields[] = { ARG("fd", DESCRIPTOR, USUAL(-1)), { } };
static const struct field serve_fields[] = {
	ARG("fd", PEER, USUAL(-1)), ARG("times", COUNT, USUAL(1)), ARG("how", CHOICE, WORDS(how_words)),
	ARG("len", LENGTH_OF), ARG("ride", DESCRIPTOR, RARE, USUAL(-1)), { }
};
static const struct field poll_fields[] = {
	ARG("fd", DESCRIPTOR, USUAL(-1)), ARG("events", FLAGS, WORDS(poll_words)), ARG("ms", COUNT), { }
};
static const struct field count_fields[] = { ARG("count", COUNT, USUAL(1)), { } };
static const struct field actor_fields[] = { ARG("who", ACTOR), { } };
static const struct field signal_fields[] = { ARG("who", ACTOR), ARG("restart", COUNT), { } };
static const struct field pause_fields[] = { ARG("us", COUNT), ARG("after", CALL), { } };
static const struct field become_fields[] = { ARG("uid", COUNT, USUAL(1000)), { } };
static const struct field memory_fields[] = {
	ARG("from", POINTER, USUAL_AT(GOOD)), ARG("len", LENGTH_OF, USUAL(4096)),
	ARG("allow", FLAGS, WORDS(protection_words)), { }
};

#define IOCTL(_name, _cmd, _weight, ...) { .name = #_name, .cmd = UPCALL_IOC_##_cmd,	\
	.size = sizeof(struct upcall_##_name), .weight = _weight, .run = run_ioctl,		\
	.fields = _name##_fields, ##__VA_ARGS__ }
#define COMMAND(_name, _type, _weight, _fields, ...) { .name = "command_" _name,	\
	.cmd = _type, .size = sizeof(struct upcall_command), .weight = _weight,		\
	.run = run_command, .fields = _fields, ##__VA_ARGS__ }
#define PLAIN_VERB(_name, _weight, _fields, ...) { .name = #_name, .weight = _weight,	\
	.run = run_##_name, .fields = _fields, ##__VA_ARGS__ }

const struct verb verbs[] = {
	IOCTL(info, INFO, 1),
	IOCTL(register, REGISTER, 14, .gives = { HANDLE }, .out = { offsetof(struct upcall_register, handle) }),
	IOCTL(rebind, REBIND, 3), IOCTL(release, RELEASE, 6), IOCTL(stat, STAT, 4),
	IOCTL(list, LIST, 5, .gives = { NUMBER }, .out = { offsetof(struct upcall_list, cursor) }),
	IOCTL(export, EXPORT, 8, .gives = { STUB }, .out = { offsetof(struct upcall_export, fd) }),
	IOCTL(invoke, INVOKE, 26, .gives = { CALL_ID, DESCRIPTOR },
	      .out = { offsetof(struct upcall_invoke, call_id) }),
	{ .name = "exchange", .cmd = UPCALL_IOC_EXCHANGE, .size = sizeof(struct upcall_exchange), .weight = 30,
	  .run = run_exchange, .fields = exchange_fields, .gives = { CALL, CALL, DESCRIPTOR } },
	IOCTL(shutdown, SHUTDOWN, 3), IOCTL(adopt, ADOPT, 5), IOCTL(config, CONFIG, 5),
	{ .name = "ioctl", .size = 16, .weight = 1, .run = run_ioctl, .fields = ioctl_fields },
	COMMAND("call", UPCALL_COMMAND_CALL, 14, call_fields, .gives = { CALL_ID }),
	COMMAND("notify", UPCALL_COMMAND_NOTIFY, 7, notify_fields),
	COMMAND("reply", UPCALL_COMMAND_REPLY, 14, reply_fields),
	COMMAND("refuse", UPCALL_COMMAND_REFUSE, 4, refuse_fields),
	COMMAND("cancel", UPCALL_COMMAND_CANCEL, 6, cancel_fields),
	COMMAND("release", UPCALL_COMMAND_RELEASE, 3, drop_fields),
	COMMAND("rebind", UPCALL_COMMAND_REBIND, 2, again_fields),
	COMMAND("any", 0, 2, any_fields),
	PLAIN_VERB(serve, 16, serve_fields),
	PLAIN_VERB(open, 4, no_fields, .gives = { PEER }),
	PLAIN_VERB(dup, 3, fd_fields, .gives = { DESCRIPTOR }), PLAIN_VERB(close, 8, fd_fields),
	PLAIN_VERB(pass, 3, fd_fields), PLAIN_VERB(take, 3, no_fields, .gives = { DESCRIPTOR }),
	PLAIN_VERB(pipe, 3, no_fields, .gives = { DESCRIPTOR, DESCRIPTOR }),
	PLAIN_VERB(socket, 1, no_fields, .gives = { DESCRIPTOR }),
	PLAIN_VERB(poll, 4, poll_fields), PLAIN_VERB(epoll, 4, poll_fields, .gives = { DESCRIPTOR }),
	PLAIN_VERB(uring, 4, poll_fields, .gives = { DESCRIPTOR }), PLAIN_VERB(fdinfo, 1, fd_fields),
	PLAIN_VERB(fork, 3, count_fields), PLAIN_VERB(exec, 2, no_fields), PLAIN_VERB(exit, 3, count_fields),
	PLAIN_VERB(kill, 3, actor_fields), PLAIN_VERB(signal, 4, signal_fields),
	PLAIN_VERB(stop, 1, actor_fields), PLAIN_VERB(cont, 1, actor_fields),
	PLAIN_VERB(pause, 3, pause_fields), PLAIN_VERB(become, 2, become_fields),
	PLAIN_VERB(userns, 1, no_fields), PLAIN_VERB(protect, 2, memory_fields), PLAIN_VERB(unmap, 1, memory_fields),
};

const uint32_t verb_count = LENGTH(verbs);

static bool same(const char *name, const char *text, size_t len)
{
	return !strncmp(name, text, len) && !name[len];
}

/* -1: there is none of that name. */
int verb_find(const char *name, size_t len)
{
	uint32_t i;

	for (i = 0; i < verb_count; i++) {
		if (same(verbs[i].name, name, len))
			return i;
	}
	return -1;
}

int field_find(const struct verb *verb, const char *name, size_t len)
{
	int i;

	for (i = 0; verb->fields[i].name; i++) {
		if (same(verb->fields[i].name, name, len))
			return i;
	}
	return -1;
}

/* As it is when nothing but its name is written. */
void op_init(struct op *op, uint8_t verb, uint8_t actor)
{
	const struct field *field = verbs[verb].fields;
	int i;

	memset(op, 0, sizeof(*op));
	op->verb = verb;
	op->actor = actor;
	for (i = 0; field[i].name; i++)
		op->args[i] = field[i].usual;
}

bool op_gives(const struct op *op, int which, enum kind kind)
{
	enum kind gives = verbs[op->verb].gives[which];

	return gives == kind || (kind == DESCRIPTOR && (gives == PEER || gives == STUB));
}
