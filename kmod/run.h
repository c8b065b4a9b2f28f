/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_RUN_H
#define _UPCALL_RUN_H

#include <linux/types.h>
#include <linux/upcall.h>
#include "limits.h"
#include "submit.h"

struct upcall_call;
struct upcall_callback;
struct upcall_ident;
struct upcall_peer;

/**
 * struct upcall_made - A call of a run
 * @call: NEW, with the run's reference.
 * @command: What it is for.
 * @waited: Its thread will wait for it.
 * @old: What upcall_call_queue_many() said.
 */
struct upcall_made {
	struct upcall_call *call;
	struct upcall_command *command;
	bool waited;
	struct upcall_call *old;
};

/**
 * struct upcall_run - CALLs and NOTIFYs of one EXCHANGE on their way
 * @peer: The caller's.
 * @nests: A thread that waits for one of them takes calls of its chain meanwhile.
 * @wait: The call that its thread waits for, referenced, once it is queued; or NULL.
 * @from: The calling process, referenced; NULL: not needed yet.
 * @cb: What was called last, referenced, or NULL.
 * @submit: Of the command at hand.
 * @reserve: For the commands behind it.
 * @made: Calls to @cb, in order, that were made and not queued yet.
 * @count: How many.
 *
 * On the stack of the calling thread.
 */
struct upcall_run {
	struct upcall_peer *peer;
	bool nests;
	struct upcall_call *wait;
	struct upcall_ident *from;
	struct upcall_callback *cb;
	struct upcall_submit submit;
	struct upcall_reserve reserve;
	struct upcall_made made[UPCALL_BATCH_COMMANDS];
	unsigned int count;
};

void upcall_run_begin(struct upcall_run *run, struct upcall_peer *peer, bool nests);
void upcall_run_add(struct upcall_run *run, struct upcall_command *command, u32 ahead, bool wait);
void upcall_run_flush(struct upcall_run *run);
void upcall_run_end(struct upcall_run *run);

#endif /* _UPCALL_RUN_H */
