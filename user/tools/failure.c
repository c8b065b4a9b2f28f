// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What went wrong, in words and as an exit code: which errno, which stage, is a retry safe. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tool.h"

static const struct {
	int code;
	const char *meaning;
} exit_codes[] = {
	{ EXIT_NOT_DELIVERED,	"not delivered: it did not run, a retry is safe" },
	{ EXIT_DELIVERED,	"delivered, but no reply: it may have run" },
	{ EXIT_REPLIED,		"it ran to its end, but its reply is lost" },
	{ EXIT_STATUS,		"it ran to its end, with a status that is no exit code" },
	{ EXIT_LOCAL,		"nothing was called: no device, or a local file cannot be used" },
	{ EXIT_USAGE,		"nothing was called: wrong option or argument" },
};

/**
 * failure_print_codes() - The exit codes of calls, for --help
 */
void failure_print_codes(void)
{
	printf("exit codes of call and notify:\n"
	       "  0-255    the status of the callback: COMMAND's exit code; except\n");
	for (size_t i = 0; i < sizeof(exit_codes) / sizeof(exit_codes[0]); i++)
		printf("  %d      %s\n", exit_codes[i].code, exit_codes[i].meaning);
	printf("other commands: 0 done, 1 the answer is no, %d, %d\n", EXIT_LOCAL, EXIT_USAGE);
}

static int stage_code(uint32_t stage)
{
	switch (stage) {
	case UPCALL_STAGE_NOT_DELIVERED:
		return EXIT_NOT_DELIVERED;
	case UPCALL_STAGE_REPLIED:
		return EXIT_REPLIED;
	default:
		return EXIT_DELIVERED;
	}
}

static int report(const struct attempt *attempt, int err, uint32_t stage, const char *meaning)
{
	tool_say("%s %s: %s (%s), %s: %s", attempt->verb,
		 text_escape(attempt->target, SIZE_MAX).s, upcall_errname(err), meaning,
		 upcall_stage_name(stage), upcall_stage_text(stage));
	return stage_code(stage);
}

/* Taken, and not run: only an owner that said so makes it this. */
static bool refused(int err, const struct upcall_call *call)
{
	switch (-err) {
	case ECANCELED:
	case EINTR:
	case ESHUTDOWN:
	case ESTALE:
	case ETIMEDOUT:
		return false;
	default:
		return upcall_call_stage(call) == UPCALL_STAGE_NOT_DELIVERED &&
		       upcall_call_queued_ns(call);
	}
}

/**
 * failure_report() - Say how a call failed
 * @attempt: Which call.
 * @err: -errno, as the library returned it.
 * @call: Its object.
 *
 * Return: the exit code.
 */
int failure_report(const struct attempt *attempt, int err, const struct upcall_call *call)
{
	uint32_t reason = upcall_call_reason(call);
	struct text meaning, death;

	text_print(&meaning, "%s", upcall_strerror(err));
	if (refused(err, call))
		text_print(&meaning, "refused by its owner: %s", strerror(-err));
	else if (reason != UPCALL_REASON_NONE)
		text_print(&meaning, "%s: %s", err == -ESTALE ? "not a live handle" :
			   "the callback ended with the call",
			   upcall_death_text(reason, upcall_call_exit_status(call), death.s,
					     sizeof(death.s)));
	else if (err == -EMSGSIZE && upcall_call_stage(call) == UPCALL_STAGE_NOT_DELIVERED)
		text_print(&meaning, "the argument is too long: it takes %" PRIu32 " bytes",
			   upcall_call_needed(call));
	return report(attempt, err, upcall_call_stage(call), meaning.s);
}

/**
 * failure_report_local() - Say why a call was not even tried
 * @attempt: Which call.
 * @err: -errno.
 * @meaning: In words.
 *
 * Return: the exit code.
 */
int failure_report_local(const struct attempt *attempt, int err, const char *meaning)
{
	return report(attempt, err, UPCALL_STAGE_NOT_DELIVERED, meaning);
}

/**
 * failure_status() - The exit code of a call that was answered
 * @attempt: Which call.
 * @call: Its object.
 *
 * Return: the status of the reply, if it can be an exit code that means nothing else here;
 * otherwise EXIT_STATUS, with a message.
 */
int failure_status(const struct attempt *attempt, const struct upcall_call *call)
{
	struct text target = text_escape(attempt->target, SIZE_MAX);
	int32_t status = upcall_call_status(call);

	if (status >= 0 && status <= 255 &&
	    (status < EXIT_NOT_DELIVERED || status > EXIT_USAGE))
		return status;
	if (status < 0)
		tool_say("%s %s: it failed with status %" PRId32 ": %s", attempt->verb, target.s,
			 status, text_escape(upcall_call_reply(call),
					     upcall_call_reply_len(call)).s);
	else
		tool_say("%s %s: it ended with status %" PRId32 ", which is no exit code here",
			 attempt->verb, target.s, status);
	return EXIT_STATUS;
}
