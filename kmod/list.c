// SPDX-License-Identifier: GPL-2.0-only
/* LIST: cursors over callbacks, peers, calls and users. */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include "access.h"
#include "call.h"
#include "callback.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "quota.h"
#include "registry.h"
#include "timens.h"

/* One record of any kind. */
union record {
	struct upcall_list_callback callback;
	struct upcall_list_peer peer;
	struct upcall_list_call call;
	struct upcall_list_user user;
};

/*
 * Each of these fills in the next record at or behind the cursor, and moves the cursor
 * behind it: its size, or 0 at the end. -EAGAIN: nothing that may be seen here, go on.
 */
typedef int (*list_next_fn)(u64 *cursor, union record *record);

static void list_fill_traffic(struct upcall_list_callback *record,
			      const struct upcall_traffic *traffic)
{
	record->queued = traffic->pool.calls;
	record->queued_bytes = traffic->pool.bytes;
	record->running = traffic->nrunning;
	record->calls = traffic->seq;
	record->refused = traffic->refused;
	record->queued_ns = traffic->queued_ns;
	record->run_ns = traffic->run_ns;
}

static void list_fill_callback(struct upcall_list_callback *record, struct upcall_callback *cb)
{
	struct upcall_ids ids;

	upcall_adopt_show(cb, &ids);
	record->handle = cb->handle;
	record->peer = READ_ONCE(cb->peer->id);
	memcpy(record->label, cb->label, sizeof(record->label));
	record->access = cb->access;
	record->access_id = upcall_access_id(cb);
	record->register_flags = cb->flags;
	record->pid = ids.pid;
	record->uid = ids.uid;
	record->registered_ns = ktime_to_ns(upcall_time_show(cb->registered));
	spin_lock(&cb->peer->lock);
	record->state = cb->state == UPCALL_CB_LIVE ? UPCALL_STATE_LIVE : UPCALL_STATE_CLOSING;
	if (cb->traffic)	/* else it was never called */
		list_fill_traffic(record, cb->traffic);
	spin_unlock(&cb->peer->lock);
}

/* What is in a slot, referenced; NULL: no callback. */
static struct upcall_callback *list_callback_get(u32 slot)
{
	struct upcall_callback *cb;
	u64 handle = 0;

	rcu_read_lock();
	cb = upcall_registry_at(slot);
	UPCALL_HOOK_ATOMIC(listing);
	if (cb)
		handle = READ_ONCE(cb->handle);
	rcu_read_unlock();
	if (upcall_handle_slot(handle) != slot)
		return NULL;	/* by now it is another one, whose turn comes or was */
	cb = upcall_registry_get(handle);
	return IS_ERR(cb) ? NULL : cb;
}

/* The first one at or behind a slot, referenced; NULL at the end. @slot: what is behind it. */
static struct upcall_callback *list_callback_next(u32 *slot)
{
	struct upcall_callback *cb = NULL;
	u32 at = *slot;

	while (!cb && at < upcall_registry_end()) {
		cb = list_callback_get(at++);
		if (!(at % 1024))
			cond_resched();
	}
	*slot = at;
	return cb;
}

static int list_next_callback(u64 *cursor, union record *record)
{
	u32 slot = min_t(u64, *cursor, UPCALL_CAP_CALLBACKS);
	struct upcall_callback *cb = list_callback_next(&slot);
	int ret = -EAGAIN;

	*cursor = slot;
	if (!cb)
		return 0;
	if (upcall_ident_visible(cb->ident)) {
		list_fill_callback(&record->callback, cb);
		ret = sizeof(record->callback);
	}
	upcall_callback_put(cb);
	return ret;
}

static struct upcall_ident *list_peer_ident(struct upcall_peer *peer)
{
	struct upcall_ident *ident;

	spin_lock(&peer->lock);
	ident = upcall_ident_ref(peer->ident);
	spin_unlock(&peer->lock);
	return ident;
}

static void list_fill_peer(struct upcall_list_peer *record, struct upcall_peer *peer, int id,
			   const struct upcall_ident *ident)
{
	struct upcall_ids ids;

	upcall_ident_show(ident, &ids);
	record->peer = id;
	record->pid = ids.pid;
	record->uid = ids.uid;
	spin_lock(&peer->lock);
	record->callbacks = peer->ncallbacks;
	record->queued = peer->nqueued;
	record->running = peer->nrunning;
	record->waiting = peer->noutgoing;
	record->receivers = peer->receivers;
	record->ended = peer->dead ? 1 : peer->custody != UPCALL_OWNED ? 2 : 0;
	spin_unlock(&peer->lock);
}

static int list_next_peer(u64 *cursor, union record *record)
{
	int ret = -EAGAIN, id = min_t(u64, *cursor, INT_MAX);
	struct upcall_peer *peer = upcall_peer_next(&id);
	struct upcall_ident *ident;

	if (!peer)
		return 0;
	*cursor = (u64)id + 1;
	ident = list_peer_ident(peer);
	if (upcall_ident_visible(ident)) {
		list_fill_peer(&record->peer, peer, id, ident);
		ret = sizeof(record->peer);
	}
	upcall_ident_put(ident);
	upcall_peer_put(peer);
	return ret;
}

static void list_fill_call(struct upcall_list_call *record, struct upcall_call *call)
{
	struct upcall_ids caller, owner;

	upcall_ident_show(call->from, &caller);
	upcall_adopt_show(call->cb, &owner);
	record->handle = call->cb->handle;
	record->owner_peer = call->cb->peer->id;
	record->call = call->owner_id;
	record->age_ns = ktime_to_ns(ktime_sub(ktime_get(), call->queued_at));
	if (!(call->flags & UPCALL_CALL_NO_DEADLINE))
		record->deadline_ns = ktime_to_ns(upcall_time_show(call->deadline));
	record->owner_pid = owner.pid;
	record->caller_pid = caller.pid;
	record->caller_tid = upcall_pid_show(call->tid);
	record->caller_uid = caller.uid;
	record->op = call->op;
	record->arg_len = call->arg_len;
	record->flags = call->flags;
	memcpy(record->label, call->cb->label, sizeof(record->label));
	spin_lock(&call->cb->peer->lock);
	record->stage = upcall_call_stage_locked(call);
	record->flags |= call->ran ? UPCALL_CALL_AGAIN : 0;
	if (call->left || (call->answered && !(call->flags & UPCALL_CALL_ONEWAY)))
		record->flags |= UPCALL_CALL_LEFT;
	else
		record->caller_peer = call->caller_peer;
	spin_unlock(&call->cb->peer->lock);
}

/*
 * The first call to a peer whose table slot is at or behind @slot. -EAGAIN: one that waits for
 * room, or memory that is kept for others.
 */
static struct upcall_call *list_call_of(struct upcall_peer *peer, int *slot)
{
	enum upcall_call_state state;
	struct upcall_call *call;

	spin_lock(&peer->lock);
	call = upcall_ids_next_locked(&peer->incoming, slot);
	state = call ? READ_ONCE(call->state) : UPCALL_NEW;	/* see spare_reset() */
	if (call && (state == UPCALL_NEW || state == UPCALL_ENDED))
		call = ERR_PTR(-EAGAIN);
	else if (call)
		refcount_inc(&call->refs);
	spin_unlock(&peer->lock);
	return call;
}

/* The cursor is the number of the owner's peer, and the slot in its table. */
static int list_next_call(u64 *cursor, union record *record)
{
	int ret = -EAGAIN, id = min_t(u64, *cursor >> 32, INT_MAX), first = id;
	int slot = min_t(u32, *cursor, INT_MAX);
	struct upcall_peer *peer = upcall_peer_next(&id);
	struct upcall_call *call;

	if (!peer)
		return 0;
	if (id != first)
		slot = 0;
	call = list_call_of(peer, &slot);
	if (call)
		*cursor = (u64)id << 32 | ((u32)slot + 1);
	else
		*cursor = ((u64)id + 1) << 32;
	if (!IS_ERR_OR_NULL(call)) {
		if (upcall_ident_visible(call->cb->ident) || upcall_ident_visible(call->from)) {
			list_fill_call(&record->call, call);
			ret = sizeof(record->call);
		}
		upcall_call_put(call);
	}
	upcall_peer_put(peer);
	return ret;
}

static bool list_sees_account(const struct upcall_account *account)
{
	if (account->ns == current_user_ns() && uid_eq(account->uid, current_euid()))
		return true;
	return ns_capable_noaudit(account->ns, CAP_SYS_ADMIN);
}

static int list_next_user(u64 *cursor, union record *record)
{
	struct upcall_account *account = upcall_account_next(cursor);
	struct upcall_list_user *user = &record->user;
	int ret = -EAGAIN;

	if (!account)
		return 0;
	if (list_sees_account(account)) {
		user->uid = from_kuid(current_user_ns(), account->uid);
		user->depth = account->ns->level;
		user->callbacks = atomic_long_read(&account->used[UPCALL_CALLBACKS]);
		user->queued_calls = atomic_long_read(&account->used[UPCALL_CALLS]);
		user->queued_bytes = atomic_long_read(&account->used[UPCALL_BYTES]);
		user->fds = atomic_long_read(&account->used[UPCALL_FDS]);
		ret = sizeof(*user);
	}
	upcall_account_put(account);
	return ret;
}

static list_next_fn list_next(u32 what)
{
	switch (what) {
	case UPCALL_LIST_CALLBACKS:
		return list_next_callback;
	case UPCALL_LIST_PEERS:
		return list_next_peer;
	case UPCALL_LIST_CALLS:
		return list_next_call;
	case UPCALL_LIST_USERS:
		return list_next_user;
	default:
		return NULL;
	}
}

/* A record as long as the caller's: cut, or with zeros behind. */
static int list_write(char __user *to, u32 record_size, const union record *record, u32 size)
{
	if (copy_to_user(to, record, min(size, record_size)))
		return -EFAULT;
	if (record_size > size && clear_user(to + size, record_size - size))
		return -EFAULT;
	return 0;
}

/**
 * upcall_list() - LIST
 * @args: [in] members checked by upcall_list_check(); [in,out] cursor; [out] count.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EMSGSIZE: room for no record, -EFAULT, or -ERESTARTSYS: no record yet, and
 *	a signal is pending; the cursor has moved on.
 */
int upcall_list(struct upcall_list *args)
{
	char __user *to = u64_to_user_ptr(args->buffer);
	u32 room = min_t(u32, args->buffer_len, UPCALL_MAX_LIST_BYTES);
	list_next_fn next = list_next(args->what);
	union record record;
	int size, err;

	if (room < args->record_size)
		return -EMSGSIZE;
	for (; room >= args->record_size; room -= args->record_size) {
		do {
			memset(&record, 0, sizeof(record));
			size = next(&args->cursor, &record);
			cond_resched();
			if (size == -EAGAIN && signal_pending(current))
				return args->count ? 0 : -ERESTARTSYS;
		} while (size == -EAGAIN);
		if (!size)
			break;
		err = list_write(to, args->record_size, &record, size);
		if (err)
			return err;
		to += args->record_size;
		args->count++;
	}
	return 0;
}

/**
 * upcall_list_check() - Whether the members of a LIST make sense
 * @args: As copied in.
 *
 * Context: Any context.
 * Return: 0 or -EINVAL.
 */
int upcall_list_check(const struct upcall_list *args)
{
	if (args->flags || !list_next(args->what))
		return -EINVAL;
	if (args->record_size < 8 || args->record_size % 8 ||
	    args->record_size > UPCALL_MAX_STRUCT)
		return -EINVAL;
	return 0;
}
