// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that nobody sleeps for: the commands CALL and NOTIFY.
 *
 * Those of one EXCHANGE mostly go to one callback. So it is looked up once, and calls to it are
 * made one by one but queued under one hold of its peer's lock: before anything else is done, and
 * before the thread waits or returns. What they will need and pay is reserved together. Each has
 * an error of its own, the same as if it were alone.
 */
#include <linux/idr.h>
#include <linux/minmax.h>
#include <linux/spinlock.h>
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"
#include "registry.h"
#include "room.h"
#include "run.h"
#include "submit.h"
#include "trace.h"

#define CALL_FLAGS	(UPCALL_INVOKE_NO_DEADLINE | UPCALL_INVOKE_SIGNATURE | \
			 UPCALL_INVOKE_STUB_FD)
#define NOTIFY_FLAGS	(CALL_FLAGS | UPCALL_INVOKE_LATEST)

/* A command in the shape of an INVOKE: all members that a call is made of. */
static int run_fill(struct upcall_submit *submit, const struct upcall_command *command)
{
	struct upcall_invoke *args = &submit->args;

	args->flags = command->flags;
	args->target = command->target;
	args->deadline_ns = command->deadline_ns;
	args->arg = command->data;
	args->arg_len = command->data_len;
	args->reply_room = command->reply_max;
	args->reply_max = command->reply_max;
	args->op = command->status;
	args->signature = command->value;
	args->parent = command->parent;
	args->fds = command->fds;
	args->fd_count = command->fd_count;
	args->reply_fd_room = command->reply_fd_max;
	args->needed = 0;
	submit->user_data = command->user_data;
	submit->async = command->type == UPCALL_COMMAND_CALL;
	if (submit->async)
		return command->flags & ~CALL_FLAGS ? -EINVAL : 0;
	if (command->flags & ~NOTIFY_FLAGS || command->user_data)
		return -EINVAL;
	args->flags |= UPCALL_INVOKE_ONEWAY;
	return 0;
}

static void run_refuse(struct upcall_run *run, struct upcall_command *command, int err)
{
	trace_upcall_refused(run->peer, command->target, err);
	command->stage = UPCALL_STAGE_NOT_DELIVERED;
	command->error = -err;
}

/* It is queued, or further. The run's reference goes. */
static void run_accept(struct upcall_run *run, struct upcall_command *command,
		       struct upcall_call *call, bool waited)
{
	command->call_id = call->caller_id;
	if (waited)
		run->wait = call;
	else
		upcall_call_put(call);
}

/* Neither through a stub fd, nor nested, nor with descriptors: as most are. */
static bool command_is_plain(const struct upcall_command *command)
{
	return !(command->flags & UPCALL_INVOKE_STUB_FD) && !command->parent &&
	       !command->fd_count;
}

/* What the commands that come now need, as far as they are like the first one. */
static void run_plan(struct upcall_run *run, const struct upcall_command *command, u32 ahead)
{
	u64 bytes = 0;
	u32 n;

	for (n = 0; n < ahead; n++) {
		if (command[n].type != command->type || command[n].target != command->target ||
		    !command_is_plain(&command[n]))
			break;
		bytes += min(command[n].data_len, UPCALL_MAX_PAYLOAD) +
			 min(command[n].reply_max, UPCALL_MAX_PAYLOAD);
	}
	if (n > 1)
		upcall_reserve_fill(&run->reserve, run->cb->peer, run->from->account, n, bytes);
}

/* Looks @handle up, if it is not what was called last. Then @from is there as well. */
static int run_aim(struct upcall_run *run, u64 handle)
{
	struct upcall_callback *cb;

	if (run->cb && run->from && run->cb->handle == handle)
		return 0;
	upcall_run_flush(run);
	if (run->cb)
		upcall_callback_put(run->cb);
	run->cb = NULL;
	cb = upcall_registry_get(handle);
	if (IS_ERR(cb))
		return PTR_ERR(cb);
	run->cb = cb;
	if (!run->from)
		run->from = upcall_peer_ident(run->peer);
	return run->from ? 0 : -ENOMEM;
}

static struct upcall_call *run_make(struct upcall_run *run, const struct upcall_command *command,
				    u32 ahead)
{
	int err;

	err = run_aim(run, command->target);
	if (!err)
		err = upcall_submit_may(run->cb, run->from, &run->submit);
	if (err)
		return ERR_PTR(err);
	if (ahead > 1 && !run->reserve.owner)
		run_plan(run, command, ahead);
	refcount_inc(&run->cb->refs);	/* the call's, as the other */
	return upcall_call_new(run->peer, run->cb, upcall_ident_ref(run->from), &run->submit);
}

/* One that is queued by itself. */
static void run_alone(struct upcall_run *run, struct upcall_command *command)
{
	struct upcall_call *call;

	upcall_run_flush(run);
	call = upcall_submit(run->peer, &run->submit);
	run->submit.stub = NULL;
	if (!IS_ERR(call)) {
		run_accept(run, command, call, run->submit.waited);
		return;
	}
	command->needed = run->submit.args.needed;
	run_refuse(run, command, PTR_ERR(call));
}

/**
 * upcall_run_add() - CALL or NOTIFY
 * @run: Begun.
 * @command: As copied in, its [out] members zero. They are set now, or by upcall_run_flush().
 * @ahead: How many commands are known, this one and those behind it.
 * @wait: Its thread will wait for this CALL.
 *
 * Context: Process context, may sleep.
 */
void upcall_run_add(struct upcall_run *run, struct upcall_command *command, u32 ahead, bool wait)
{
	struct upcall_call *call;
	int err;

	err = run_fill(&run->submit, command) ?: upcall_submit_check(&run->submit.args);
	if (err) {
		run_refuse(run, command, err);
		return;
	}
	run->submit.waited = wait;
	run->submit.nests = wait && run->nests;
	if (!command_is_plain(command)) {
		run_alone(run, command);
		return;
	}
	call = run_make(run, command, ahead);
	if (call == ERR_PTR(-EDQUOT) && (run->count || run->reserve.owner)) {
		/* Those before it may yet be refused, and pay nothing then. */
		upcall_run_flush(run);
		call = run_make(run, command, 1);
	}
	if (IS_ERR(call)) {
		command->needed = run->submit.args.needed;
		run_refuse(run, command, PTR_ERR(call));
		return;
	}
	UPCALL_HOOK(made);
	call->waited = wait;
	call->nests = run->submit.nests;
	run->made[run->count++] = (struct upcall_made){ .call = call, .command = command,
						       .waited = wait };
	if (run->count == UPCALL_BATCH_COMMANDS)
		upcall_run_flush(run);
}

static bool made_has_results(const struct upcall_made *made, unsigned int n)
{
	while (n--) {
		if (made[n].call->caller)
			return true;
	}
	return false;
}

/*
 * Links CALLs to their peer, so that its end and their deadlines reach them. Stops at one that
 * cannot be: how many were, or why the first was not.
 */
static int run_link(struct upcall_run *run, struct upcall_made *made, unsigned int n)
{
	struct upcall_peer *peer = run->peer;
	unsigned int i;
	int err = 0;

	if (!made_has_results(made, n))
		return n;
	idr_preload(GFP_KERNEL);
	spin_lock(&peer->lock);
	for (i = 0; i < n; i++) {
		if (made[i].call->caller)
			err = upcall_submit_link_locked(peer, made[i].call, true);
		if (err)
			break;
	}
	spin_unlock(&peer->lock);
	idr_preload_end();
	return i ?: err;
}

/* What became of a call that was to be queued. */
static void run_settle(struct upcall_run *run, struct upcall_made *made)
{
	struct upcall_call *call = made->call;
	int err = PTR_ERR_OR_ZERO(made->old);

	if (!err) {
		if (made->old)
			upcall_call_put(made->old);
		run_accept(run, made->command, call, call->caller && made->waited);
		return;
	}
	if (err == -EAGAIN)
		upcall_refusal_remember(run->peer, call);
	if (call->caller)
		upcall_submit_unlink(run->peer, call);
	upcall_call_put(call);
	run_refuse(run, made->command, err);
}

/* Some of those that were made, the first of them at least. How many. */
static unsigned int run_queue(struct upcall_run *run, struct upcall_made *made, unsigned int n)
{
	int i, at, linked = run_link(run, made, n);

	if (linked < 0) {
		upcall_call_put(made->call);
		run_refuse(run, made->command, linked);
		return 1;
	}
	UPCALL_HOOK(linked);
	/* Those that are left stay linked: they are not to be linked once more. */
	for (at = 0; at < linked; at = i) {
		i = at;
		at += upcall_call_queue_many(made + at, linked - at);
		UPCALL_HOOK(queued);
		while (i < at)
			run_settle(run, &made[i++]);
	}
	return linked;
}

/**
 * upcall_run_flush() - Queue what was made
 * @run: Begun.
 *
 * Every command knows then what became of it, and nothing is reserved any more.
 *
 * Context: Process context, may sleep.
 */
void upcall_run_flush(struct upcall_run *run)
{
	unsigned int at, count = run->count;

	run->count = 0;
	for (at = 0; at < count; )
		at += run_queue(run, run->made + at, count - at);
	if (run->reserve.owner)
		upcall_reserve_drop(&run->reserve);
}

/**
 * upcall_run_begin() - Before the first command
 * @run: Uninitialised.
 * @peer: The calling process's.
 * @nests: A thread that waits for one of the calls takes calls of its chain meanwhile.
 */
void upcall_run_begin(struct upcall_run *run, struct upcall_peer *peer, bool nests)
{
	run->peer = peer;
	run->nests = nests;
	run->wait = NULL;
	run->from = NULL;
	run->cb = NULL;
	run->count = 0;
	run->submit = (struct upcall_submit){};
	run->reserve = (struct upcall_reserve){};
	INIT_LIST_HEAD(&run->reserve.calls);
	run->submit.reserve = &run->reserve;
}

/**
 * upcall_run_end() - After the last command
 * @run: Flushed. @wait stays the caller's.
 *
 * Context: Process context, with no lock of ours held.
 */
void upcall_run_end(struct upcall_run *run)
{
	if (run->cb)
		upcall_callback_put(run->cb);
	upcall_ident_put(run->from);
}
