// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A callback of the test double: registered, rebound, released, dead.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "double.h"

#define NO_ID	((uint32_t)-1)

struct double_callback *upcall_double_callback_find(struct double_registry *registry,
						    uint64_t handle)
{
	uint64_t index = (uint32_t)handle;

	if (handle >> 32 != registry->number || !index || index > registry->callback_count)
		return NULL;
	return registry->callbacks[index - 1];
}

/* --- REGISTER ----------------------------------------------------------------------- */

static bool label_is_padded(const char *label)
{
	bool ended = false;
	int i;

	for (i = 0; i < UPCALL_MAX_LABEL; i++) {
		if (ended && label[i])
			return false;
		ended = ended || !label[i];
	}
	return true;
}

static bool access_is_valid(uint32_t access, uint32_t id)
{
	if (access == UPCALL_ACCESS_UID || access == UPCALL_ACCESS_GID)
		return id != NO_ID;
	return access <= UPCALL_ACCESS_ANYONE && !id;
}

int upcall_double_register_check(struct upcall_register *args)
{
	const uint32_t known = UPCALL_REGISTER_SIGNATURE | UPCALL_REGISTER_AUTOEND |
			       UPCALL_REGISTER_SERIAL | UPCALL_REGISTER_FDS;
	const uint32_t both = UPCALL_REGISTER_AUTOEND | UPCALL_REGISTER_SERIAL;

	if (args->flags & ~known || (args->flags & both) == both)
		return -EINVAL;
	if (!(args->flags & UPCALL_REGISTER_SIGNATURE) && args->signature)
		return -EINVAL;
	if (!access_is_valid(args->access, args->access_id) || !label_is_padded(args->label))
		return -EINVAL;
	if (args->max_arg > UPCALL_MAX_PAYLOAD || !args->max_queued_calls ||
	    args->max_queued_calls > UPCALL_MAX_QUEUED_CALLS)
		return -EINVAL;
	if (args->max_queued_bytes < args->max_arg || args->max_queued_bytes > 1ULL << 32)
		return -EINVAL;
	return 0;
}

static int registry_make_room(struct double_registry *registry)
{
	uint32_t room = registry->callback_room ? 2 * registry->callback_room : 16;
	struct double_callback **more;

	if (registry->callback_count < registry->callback_room)
		return 0;
	more = realloc(registry->callbacks, room * sizeof(struct double_callback *));
	if (!more)
		return -ENOMEM;
	registry->callbacks = more;
	registry->callback_room = room;
	return 0;
}

int upcall_double_register(struct double_peer *peer, struct upcall_register *args)
{
	struct double_registry *registry = peer->registry;
	struct double_callback *callback;

	if (registry->counted >= DOUBLE_MAX_CALLBACKS)
		return -EDQUOT;
	if (registry_make_room(registry))
		return -ENOMEM;
	callback = calloc(1, sizeof(*callback));
	if (!callback)
		return -ENOMEM;
	registry->callbacks[registry->callback_count++] = callback;
	registry->counted++;
	args->handle = registry->number << 32 | registry->callback_count;
	callback->reg = *args;
	callback->owner = peer;
	callback->state = UPCALL_STATE_LIVE;
	callback->registered_ns = upcall_double_now();
	callback->start_time = registry->start_time;
	callback->uid = geteuid();
	callback->gid = getegid();
	callback->released.type = UPCALL_EVENT_RELEASED;
	callback->released.subject = callback;
	double_list_init(&callback->released.link);
	return 0;
}

/* --- access and room ---------------------------------------------------------------- */

static bool has_group(gid_t wanted)
{
	gid_t *groups;
	int i, count;
	bool found = getegid() == wanted;

	count = getgroups(0, NULL);
	if (found || count <= 0)
		return found;
	groups = calloc((size_t)count, sizeof(*groups));
	count = groups ? getgroups(count, groups) : 0;
	for (i = 0; i < count && !found; i++)
		found = groups[i] == wanted;
	free(groups);
	return found;
}

/* Stands for CAP_SYS_ADMIN. */
static bool is_administrator(void)
{
	return !geteuid();
}

bool upcall_double_access(const struct double_callback *callback)
{
	switch (callback->reg.access) {
	case UPCALL_ACCESS_SAME_USER:
		return geteuid() == callback->uid;
	case UPCALL_ACCESS_UID:
		return geteuid() == callback->reg.access_id;
	case UPCALL_ACCESS_GID:
		return has_group(callback->reg.access_id);
	default:
		return true;
	}
}

/* One uid gets half of a queue, rounded up; its last argument may reach beyond that half of the bytes. */
bool upcall_double_has_room(const struct double_callback *callback, uint32_t bytes)
{
	if (callback->queued >= (callback->reg.max_queued_calls + 1) / 2)
		return false;
	if (!bytes)
		return true;
	return bytes <= callback->reg.max_queued_bytes - callback->queued_bytes &&
	       callback->queued_bytes < (callback->reg.max_queued_bytes + 1) / 2;
}

/* --- REBIND, RELEASE ---------------------------------------------------------------- */

/* A callback of this peer that is in @state, at most. */
static int callback_own(struct double_peer *peer, uint64_t handle, uint32_t state,
			struct double_callback **found)
{
	struct double_callback *callback = upcall_double_callback_find(peer->registry, handle);

	if (!callback || callback->state > state)
		return -ESTALE;
	if (callback->owner != peer)
		return -EPERM;
	*found = callback;
	return 0;
}

int upcall_double_rebind_check(struct upcall_rebind *args)
{
	if (args->flags & ~UPCALL_REBIND_WORD)
		return -EINVAL;
	return !args->flags && args->word ? -EINVAL : 0;
}

int upcall_double_rebind(struct double_peer *peer, struct upcall_rebind *args)
{
	struct double_callback *callback;
	int err;

	err = callback_own(peer, args->handle, UPCALL_STATE_LIVE, &callback);
	if (err)
		return err;
	callback->reg.cookie = args->cookie;
	if (args->flags & UPCALL_REBIND_WORD)
		callback->reg.word = args->word;
	return 0;
}

int upcall_double_release_check(struct upcall_release *args)
{
	if (args->flags & ~(UPCALL_RELEASE_ABORT | UPCALL_RELEASE_WORD))
		return -EINVAL;
	return !(args->flags & UPCALL_RELEASE_WORD) && args->word ? -EINVAL : 0;
}

static void callback_fail_queued(struct double_callback *callback)
{
	struct double_peer *owner = callback->owner;
	struct double_link *link, *next;

	for (link = owner->queue.next; link != &owner->queue; link = next) {
		struct double_call *call = double_entry(link, struct double_call, owner_link);

		next = link->next;
		if (call->callback != callback)
			continue;
		upcall_double_call_unqueue(call);
		upcall_double_call_answer(call, ESTALE, UPCALL_STAGE_NOT_DELIVERED);
		upcall_double_call_owner_end(call);
	}
}

/* Those that were delivered: their callers are told; the owner still owes their end. */
static void callback_abort_running(struct double_callback *callback)
{
	struct double_link *link;

	double_for_each(link, &callback->owner->running) {
		struct double_call *call = double_entry(link, struct double_call, owner_link);

		if (call->callback != callback || !call->caller || call->answered ||
		    call->flags & UPCALL_CALL_ONEWAY)
			continue;
		call->cancel_error = ECANCELED;
		upcall_double_event_add(&call->cancel, callback->owner);
		upcall_double_call_answer(call, ECANCELED, UPCALL_STAGE_DELIVERED);
	}
}

/* Once a closing one has neither queued calls nor delivered ones without their owner's end. */
void upcall_double_callback_drain(struct double_callback *callback)
{
	if (callback->state != UPCALL_STATE_CLOSING || callback->running || callback->queued)
		return;
	callback->state = UPCALL_STATE_DEAD;
	upcall_double_event_add(&callback->released, callback->owner);
}

static void callback_retire(struct double_callback *callback, const struct upcall_release *args,
			    uint32_t reason)
{
	struct double_peer *owner = callback->owner;

	if (args->flags & UPCALL_RELEASE_WORD)
		callback->reg.word = args->word;
	if (callback->state == UPCALL_STATE_LIVE) {
		callback->died_ns = upcall_double_now();
		callback->state = UPCALL_STATE_CLOSING;
	}
	callback->reason = reason;
	callback_fail_queued(callback);
	if (args->flags & UPCALL_RELEASE_ABORT)
		callback_abort_running(callback);
	upcall_double_callback_drain(callback);
	upcall_double_peer_update(owner);
	upcall_double_peer_room(owner->registry);
}

int upcall_double_release(struct double_peer *peer, struct upcall_release *args)
{
	const bool abort = args->flags & UPCALL_RELEASE_ABORT;
	uint32_t reason = abort ? UPCALL_REASON_ABORTED : UPCALL_REASON_RELEASED;
	struct double_callback *callback;
	int err;

	err = callback_own(peer, args->handle, abort ? UPCALL_STATE_CLOSING : UPCALL_STATE_LIVE,
			   &callback);
	if (err == -EPERM && abort && is_administrator()) {
		callback = upcall_double_callback_find(peer->registry, args->handle);
		if (args->flags & UPCALL_RELEASE_WORD)
			return -EINVAL;
		reason = UPCALL_REASON_REVOKED;
	} else if (err) {
		return err;
	}
	callback_retire(callback, args, reason);
	return 0;
}

/* With its owner. */
void upcall_double_callback_die(struct double_callback *callback, uint32_t reason)
{
	struct double_peer *owner = callback->owner;
	struct double_link *link, *next;

	if (callback->state == UPCALL_STATE_LIVE) {
		callback->died_ns = upcall_double_now();
		callback->reason = reason;
	}
	callback->state = UPCALL_STATE_DEAD;
	double_list_remove(&callback->released.link);
	callback_fail_queued(callback);
	for (link = owner->running.next; link != &owner->running; link = next) {
		struct double_call *call = double_entry(link, struct double_call, owner_link);

		next = link->next;
		if (call->callback != callback)
			continue;
		upcall_double_call_answer(call, EOWNERDEAD, UPCALL_STAGE_DELIVERED);
		upcall_double_call_owner_end(call);
	}
	callback->owner = NULL;
	owner->registry->counted--;
}

/* --- STAT --------------------------------------------------------------------------- */

static void stat_fill_own(const struct double_callback *callback, struct upcall_stat *stat)
{
	stat->owned = 1;
	stat->word = callback->reg.word;
	stat->cookie = callback->reg.cookie;
	stat->registered_ns = callback->registered_ns;
	stat->queued = callback->queued;
	stat->queued_bytes = callback->queued_bytes;
	stat->running = callback->running;
	stat->calls = callback->calls;
	stat->delivered = callback->delivered;
	stat->replied = callback->replied;
	stat->refused = callback->refused;
	stat->queued_ns = callback->queued_ns;
	stat->run_ns = callback->run_ns;
}

static void stat_fill_live(const struct double_callback *callback, struct upcall_stat *stat)
{
	stat->uid = callback->uid;
	stat->gid = callback->gid;
	stat->pid = (uint32_t)getpid();
	stat->access = callback->reg.access;
	stat->access_id = callback->reg.access_id;
	stat->register_flags = callback->reg.flags;
	stat->start_time = callback->start_time;
	memcpy(stat->label, callback->reg.label, sizeof(stat->label));
	stat->signature = callback->reg.signature;
	stat->max_arg = callback->reg.max_arg;
	stat->max_queued_calls = callback->reg.max_queued_calls;
	stat->max_queued_bytes = callback->reg.max_queued_bytes;
}

int upcall_double_stat(struct double_peer *peer, struct upcall_stat *args)
{
	const struct double_callback *callback;

	callback = upcall_double_callback_find(peer->registry, args->handle);
	if (!callback)
		return -ESTALE;
	if (callback->state == UPCALL_STATE_LIVE && callback->owner != peer &&
	    !upcall_double_access(callback) && !is_administrator())
		return -EACCES;
	*args = (struct upcall_stat){
		.size = args->size, .handle = args->handle,
		.state = callback->state, .reason = callback->reason,
		.died_ns = callback->died_ns,
	};
	if (callback->state != UPCALL_STATE_LIVE)
		args->word = callback->reg.word;
	if (callback->state == UPCALL_STATE_DEAD)
		return 0;
	stat_fill_live(callback, args);
	if (callback->owner == peer)
		stat_fill_own(callback, args);
	return 0;
}
