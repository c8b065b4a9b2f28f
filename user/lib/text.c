// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Words for the numbers of the ABI.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "internal.h"

struct word {
	uint32_t value;
	const char *name;
	const char *text;
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define ERROR(e, text)	{ e, #e, text }

static const struct word error_words[] = {
	{ 0, "0", "success" },
	ERROR(EACCES, "the callback's access rule does not let this caller in"),
	ERROR(EAGAIN, "the callback's queue is full, or there is nothing to receive"),
	ERROR(EALREADY, "the call has had its answer"),
	ERROR(EBUSY, "another thread waits for this call"),
	ERROR(ECANCELED, "the call was cancelled, or its callback was released with abort"),
	ERROR(EDEADLK, "the owner waits for this very chain of calls"),
	ERROR(EDQUOT, "this user has as many callbacks, calls or bytes under way as it may"),
	ERROR(EFAULT, "memory that was named cannot be read or written"),
	ERROR(EINTR, "a signal handler ran; the call may still be under way"),
	ERROR(EINVAL, "a value, flag or name that is not allowed"),
	ERROR(EMFILE, "this process has too many open descriptors"),
	ERROR(EMSGSIZE, "the argument is longer than the callback takes, or the reply than the caller"),
	ERROR(ENODEV, "a device node without the upcall module behind it"),
	ERROR(ENOENT, "no such device, name or call: is the module loaded, the name published?"),
	ERROR(ENOMEM, "no memory"),
	ERROR(ENOSPC, "the registry is full"),
	ERROR(ENOSYS, "the owner has no function for this callback"),
	ERROR(ENOTTY, "no upcall device, or a command that this module does not have"),
	ERROR(ENXIO, "a device node without the upcall module behind it"),
	ERROR(EOPNOTSUPP, "not built yet"),
	ERROR(EOWNERDEAD, "the owner died, or shut down, with the call"),
	ERROR(EPERM, "the peer or the callback belongs to another process"),
	ERROR(EPROTO, "another version of the upcall ABI, or a file that publishes no name"),
	ERROR(EPROTOTYPE, "the callback demands another signature"),
	ERROR(ESHUTDOWN, "the peer has ended"),
	ERROR(ESTALE, "the handle is not alive: never issued, released, or its owner is gone"),
	ERROR(ETIMEDOUT, "the deadline passed"),
	ERROR(E2BIG, "more, or newer, than this module knows"),
};

static const struct word stage_words[] = {
	{ UPCALL_STAGE_UNKNOWN, "unknown", "not known: it may have run" },
	{ UPCALL_STAGE_NOT_DELIVERED, "not-delivered", "did not run and will not: a retry is safe" },
	{ UPCALL_STAGE_DELIVERED, "delivered", "may have run, may be running" },
	{ UPCALL_STAGE_REPLIED, "replied", "ran to its end" },
};

static const struct word reason_words[] = {
	{ UPCALL_REASON_NONE, "none", "it is alive" },
	{ UPCALL_REASON_RELEASED, "released", "its owner released it" },
	{ UPCALL_REASON_ABORTED, "aborted", "its owner released it and gave up its calls" },
	{ UPCALL_REASON_REVOKED, "revoked", "an administrator revoked it" },
	{ UPCALL_REASON_SHUTDOWN, "shutdown", "its owner shut its peer down" },
	{ UPCALL_REASON_CLOSED, "closed", "its owner closed its peer" },
	{ UPCALL_REASON_EXITED, "exited", "the owner exited or was killed" },
	{ UPCALL_REASON_EXEC, "exec", "the owner became another program" },
	{ UPCALL_REASON_UNKNOWN, "unknown", "it existed and ended; nothing more is remembered" },
};

static const struct word access_words[] = {
	{ UPCALL_ACCESS_SAME_USER, "same-user", NULL },
	{ UPCALL_ACCESS_UID, "uid", NULL },
	{ UPCALL_ACCESS_GID, "gid", NULL },
	{ UPCALL_ACCESS_ANYONE, "anyone", NULL },
	{ UPCALL_ACCESS_STUB_ONLY, "stub-only", NULL },
};

static const struct word state_words[] = {
	{ UPCALL_STATE_LIVE, "live", NULL },
	{ UPCALL_STATE_CLOSING, "closing", NULL },
	{ UPCALL_STATE_DEAD, "dead", NULL },
};

static const struct word event_words[] = {
	{ UPCALL_EVENT_CALL, "call", NULL },
	{ UPCALL_EVENT_RESULT, "result", NULL },
	{ UPCALL_EVENT_CANCEL, "cancel", NULL },
	{ UPCALL_EVENT_RELEASED, "released", NULL },
	{ UPCALL_EVENT_UNREFERENCED, "unreferenced", NULL },
};

static const struct word *word_find(const struct word *words, size_t count, uint32_t value)
{
	static const struct word unknown = { 0, "?", "a value that this library does not know" };
	size_t i;

	for (i = 0; i < count; i++)
		if (words[i].value == value)
			return &words[i];
	return &unknown;
}

#define FIND(words, value)	word_find(words, COUNT(words), value)

/* NULL: none of ours; an owner may refuse a call with any errno. */
static const struct word *error_find(int err)
{
	const struct word *word;

	word = FIND(error_words, err < 0 ? 0U - (unsigned int)err : (unsigned int)err);
	return word->value || !err ? word : NULL;
}

static int error_positive(int err)
{
	return err < 0 && err >= -4095 ? -err : err;
}

const char *upcall_strerror(int err)
{
	const struct word *word = error_find(err);
	const char *text = word ? word->text : strerrordesc_np(error_positive(err));

	return text ? text : "an error of the owner's own choosing";
}

const char *upcall_errname(int err)
{
	const struct word *word = error_find(err);
	const char *name = word ? word->name : strerrorname_np(error_positive(err));

	return name ? name : "E?";
}

const char *upcall_stage_name(uint32_t stage)
{
	return FIND(stage_words, stage)->name;
}

const char *upcall_stage_text(uint32_t stage)
{
	return FIND(stage_words, stage)->text;
}

const char *upcall_reason_name(uint32_t reason)
{
	return FIND(reason_words, reason)->name;
}

const char *upcall_reason_text(uint32_t reason)
{
	return FIND(reason_words, reason)->text;
}

const char *upcall_access_name(uint32_t access)
{
	return FIND(access_words, access)->name;
}

const char *upcall_state_name(uint32_t state)
{
	return FIND(state_words, state)->name;
}

const char *upcall_event_name(uint32_t type)
{
	return FIND(event_words, type)->name;
}

const char *upcall_death_text(uint32_t reason, uint32_t exit_status, char *text, size_t room)
{
	int status = (int)exit_status;

	if (reason == UPCALL_REASON_EXITED && WIFSIGNALED(status))
		snprintf(text, room, "the owner was killed by signal %d", WTERMSIG(status));
	else if (reason == UPCALL_REASON_EXITED && WIFEXITED(status))
		snprintf(text, room, "the owner exited with status %d", WEXITSTATUS(status));
	else
		snprintf(text, room, "%s", upcall_reason_text(reason));
	return text;
}

int upcall_may_retry(int err, uint32_t stage)
{
	if (stage != UPCALL_STAGE_NOT_DELIVERED)
		return 0;
	switch (err < 0 ? -err : err) {
	case EAGAIN:
	case EBUSY:
	case EDQUOT:
	case EINTR:
	case ENOMEM:
	case ETIMEDOUT:
		return 1;
	default:
		return 0;
	}
}
