/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files of libupcall share.
 *
 * Locking: upcall_peer.lock is the only lock but that of a pool, which is taken alone. No hook
 * and no function of the application runs under it; REGISTER and RELEASE do, they never sleep
 * for long.
 *
 * Lifetimes:
 *	peer		refs: its opener; each callback, incoming, call, name; each
 *			thread inside. The last one closes the descriptor.
 *	callback	memory: as long as it has users or pins
 *	  users		the application's references; the last one sends RELEASE
 *	  pins		the slot, until RELEASED was read; each incoming of it. The last
 *			one runs the destroy hook.
 *	incoming	one owner: the thread that took it, or the application that keeps it;
 *			and the function that runs on it. Pins its callback, so that the hook
 *			waits for both. Refers to its peer and its batch.
 *	batch		refs: the ready queue, each incoming out of it, one of which lies in it;
 *			then the peer may keep it as its spare
 *	pending		an asynchronous call: part of its call object, or allocated for the pull
 *			shape. In the peer's table from before its command until its RESULT was
 *			taken; who takes it out there ends it, and nobody else touches it then.
 *
 * After fork() the child takes no lock and follows no list: either may be half done.
 */
#ifndef UPCALL_INTERNAL_H
#define UPCALL_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <upcall.h>

#define UPCALL_CALL_BUCKETS	256	/* power of two */
#define UPCALL_EARLY_CANCELS	64	/* remembered for a call that another thread is still unpacking */

/**
 * struct upcall_transport - What stands behind a peer: the module, later a test double
 * @control: One command of the ABI, UPCALL_IOC_*, with its struct. 0 or -errno.
 * @fd: What to poll.
 * @close: Ends and frees it.
 */
struct upcall_transport {
	int (*control)(struct upcall_transport *transport, unsigned long request, void *arg);
	int (*fd)(const struct upcall_transport *transport);
	void (*close)(struct upcall_transport *transport);
};

/**
 * struct upcall_pending - A call whose RESULT is to come
 * @call: Whose it is; NULL: of the pull shape.
 * @done: Completion function, or NULL.
 * @user: For @done.
 * @user_data: The application's, of the pull shape.
 * @id: Of the call; 0: not known yet. Protected by the peer's lock, like all that follows.
 * @waited: A thread waits for it in its chain; another one that gets its RESULT hands it over.
 * @result: As handed over.
 * @parent: The call on whose behalf it is made: cancelled with that one; or NULL.
 * @sibling: In @parent's list of children.
 */
struct upcall_pending {
	struct upcall_call *call;
	upcall_done_fn done;
	void *user;
	uint64_t user_data;
	uint64_t id;
	bool waited;
	struct upcall_incoming *result;
	struct upcall_incoming *parent;
	struct upcall_pending *sibling;
};

/**
 * struct upcall_pending_slot - Where the user data of a CALL command leads
 * @pending: NULL: free, or @orphan.
 * @orphan: Its call object was freed: its RESULT is dropped.
 * @generation: Counts its uses.
 * @next_free: While it is free: the next such slot.
 */
struct upcall_pending_slot {
	struct upcall_pending *pending;
	bool orphan;
	uint32_t generation;
	size_t next_free;
};

/**
 * struct upcall_slot - Where a cookie leads
 * @callback: NULL: free.
 * @next_free: While it is free: the next such slot.
 */
struct upcall_slot {
	struct upcall_callback *callback;
	size_t next_free;
};

/**
 * struct upcall_peer - One open file of the device
 * @refs: See above.
 * @transport: Set at birth.
 * @fork_count: upcall_forks when it was bound, else at birth: differs in a child.
 * @bound: A command other than INFO was sent: the peer is this process's.
 * @max_calls: For one EXCHANGE.
 * @event_room: Bytes for one EXCHANGE.
 * @spare: A batch for the next EXCHANGE, or NULL.
 * @stub: It is a stub fd: it only calls, and is bound to no process.
 * @lock: Protects all that follows.
 * @config_flags: As CONFIG set them, UPCALL_CONFIG_*.
 * @orphan_ns: As CONFIG set it.
 * @stopping: upcall_stop() was called.
 * @ready: Batches with events nobody has taken, oldest first. NULL can be seen without the lock.
 * @ready_tail: Where the next one goes.
 * @calls: Incoming calls without their answer, by id.
 * @early: Ids of cancelled calls that were not in @calls; a ring.
 * @early_mask: A bit for each that is set, see incoming.c.
 * @early_error: Why, each.
 * @early_next: Where in the ring the next one goes.
 * @slots: Callbacks by cookie.
 * @slot_count: Size of @slots.
 * @slot_free: The first free one, or @slot_count.
 * @live: How many of @slots are taken.
 * @ended: upcall_close() was called: no RESULT comes any more.
 * @pending: Asynchronous calls by user data.
 * @pending_count: Size of @pending.
 * @pending_free: The first free one, or @pending_count.
 * @handed: Signalled when a RESULT was handed over, or the peer has ended.
 */
struct upcall_peer {
	atomic_uint refs;
	struct upcall_transport *transport;
	atomic_uint fork_count;
	atomic_bool bound;
	atomic_uint max_calls;
	atomic_uint event_room;
	struct upcall_batch *_Atomic spare;
	bool stub;
	pthread_mutex_t lock;
	uint32_t config_flags;
	uint64_t orphan_ns;
	bool stopping;
	struct upcall_batch *_Atomic ready;
	struct upcall_batch *_Atomic *ready_tail;
	struct upcall_incoming *calls[UPCALL_CALL_BUCKETS];
	uint64_t early[UPCALL_EARLY_CANCELS];
	uint32_t early_error[UPCALL_EARLY_CANCELS];
	uint64_t early_mask;
	unsigned int early_next;
	struct upcall_slot *slots;
	size_t slot_count;
	size_t slot_free;
	size_t live;
	bool ended;
	struct upcall_pending_slot *pending;
	size_t pending_count;
	size_t pending_free;
	pthread_cond_t handed;
};

/**
 * struct upcall_callback - An exported function
 * @peer: Referenced.
 * @handle: Set at birth.
 * @slot: Its index in the peer's slots, and its cookie.
 * @fn: The function.
 * @user: Its data; valid until @destroy ran.
 * @destroy: May be NULL.
 * @unreferenced: May be NULL. Protected by the peer's lock, like all that follows.
 * @users: See above.
 * @pins: See above. Grows under the lock only.
 * @released: RELEASE was sent, or cannot be any more.
 */
struct upcall_callback {
	struct upcall_peer *peer;
	uint64_t handle;
	size_t slot;
	upcall_fn fn;
	void *user;
	void (*destroy)(void *user);
	void (*unreferenced)(struct upcall_callback *callback, void *user);
	unsigned int users;
	atomic_uint pins;
	bool released;
};

/**
 * struct upcall_later - An answer that goes with the next EXCHANGE of its thread
 * @command: REPLY; type 0: there is none.
 * @data: Its bytes, library-allocated.
 * @room: How many fit there.
 * @len: How many the function that runs gave to upcall_return().
 */
struct upcall_later {
	struct upcall_command command;
	void *data;
	size_t room;
	uint32_t len;
};

/* Whether a call has had its answer. ANSWERING: a thread is at it. */
enum upcall_answer { UPCALL_OPEN, UPCALL_ANSWERING, UPCALL_ANSWERED };

/**
 * struct upcall_incoming - One event
 * @peer: Referenced.
 * @batch: Referenced; @event lies in it.
 * @event: As the kernel wrote it.
 * @callback: Pinned; NULL if it is none of upcall_callback_new().
 * @bucket_next: In upcall_peer.calls. Protected by the peer's lock.
 * @bucket_at: What leads to it there; NULL: it is not there. Protected by the peer's lock.
 * @cancelled: CALL: why nobody wants the answer any more, or 0.
 * @answer: CALL: enum upcall_answer.
 * @refs: One of its owner; while a function runs on it that keeps it, another one.
 * @dispatched: A function runs, or ran, on it.
 * @kept: The application said that it frees it.
 * @user_data: RESULT of the pull shape: the application's.
 * @fds_taken: Bit i: the application has descriptor i.
 * @later: While a function runs on it: where its answer may be left.
 * @outer: While a function runs on it: what that thread ran before, and runs on afterwards.
 * @children: Calls made on its behalf. Protected by the peer's lock.
 */
struct upcall_incoming {
	struct upcall_peer *peer;
	struct upcall_batch *batch;
	const struct upcall_event *event;
	struct upcall_callback *callback;
	struct upcall_incoming *bucket_next;
	struct upcall_incoming **bucket_at;
	atomic_uint cancelled;
	atomic_int answer;
	atomic_uint refs;
	bool dispatched;
	bool kept;
	uint64_t user_data;
	atomic_ullong fds_taken;
	struct upcall_later *later;
	struct upcall_incoming *outer;
	struct upcall_pending *children;
};

/**
 * struct upcall_batch - What one EXCHANGE brought
 * @next: The next one in the ready queue. Protected by the peer's lock.
 * @refs: See above.
 * @first_used: @first is one of its events, or was.
 * @first: Most bring one event only: its incoming needs no memory of its own.
 * @room: Bytes at @data.
 * @used: Bytes of events there.
 * @taken: Bytes of events that were taken out. Protected by the peer's lock.
 * @data: The events.
 */
struct upcall_batch {
	struct upcall_batch *_Atomic next;
	atomic_uint refs;
	bool first_used;
	struct upcall_incoming first;
	uint32_t room;
	uint32_t used;
	uint32_t taken;
	_Alignas(8) unsigned char data[];
};

/**
 * struct upcall_call - See upcall_call_new()
 * @peer: Referenced.
 * @invoke: As last given to the kernel, and what it said.
 * @reply: Library-allocated.
 * @room: Bytes at @reply.
 * @reply_max: Parameter.
 * @signature: Parameter; 0 without UPCALL_INVOKE_SIGNATURE.
 * @flags: Parameters: UPCALL_INVOKE_SIGNATURE, STUB_FD, WAIT_ROOM, LATEST.
 * @stub: Parameter: a stub fd to call through, or -1.
 * @interruptible: Parameter.
 * @detached: Parameter.
 * @nested: Parameter.
 * @fds: To go with the next call.
 * @fd_count: How many.
 * @reply_fd_max: Parameter.
 * @reply_fds: That came; -1: taken.
 * @reply_fd_count: How many.
 * @active: It was started, and its RESULT is to come.
 * @slot: In the peer's table, while it is @active.
 * @pending: Its entry there.
 */
struct upcall_call {
	struct upcall_peer *peer;
	struct upcall_invoke invoke;
	void *reply;
	uint32_t room;
	uint32_t reply_max;
	uint64_t signature;
	uint32_t flags;
	int stub;
	bool interruptible;
	bool detached;
	bool nested;
	uint32_t fds[UPCALL_MAX_FDS];
	uint32_t fd_count;
	uint32_t reply_fd_max;
	uint32_t reply_fds[UPCALL_MAX_FDS];
	uint32_t reply_fd_count;
	atomic_bool active;
	size_t slot;
	struct upcall_pending pending;
};

/**
 * struct upcall_options - See upcall_options_new()
 * @reg: All but the cookie.
 */
struct upcall_options {
	struct upcall_register reg;
};

struct upcall_pool;

/* transport.c */
int upcall_transport_open(const char *where, struct upcall_transport **transport);
int upcall_transport_from_fd(int fd, struct upcall_transport **transport);

/* peer.c */
/* How many forks lie between the first process and this one. */
extern atomic_uint upcall_forks __attribute__((visibility("hidden")));
int upcall_peer_new(struct upcall_transport *transport, struct upcall_peer **peer);
void upcall_peer_free(struct upcall_peer *peer);
int upcall_peer_control(struct upcall_peer *peer, unsigned long request, void *arg);
int upcall_peer_command(struct upcall_peer *peer, struct upcall_command *command);

static inline struct upcall_peer *upcall_peer_get(struct upcall_peer *peer)
{
	atomic_fetch_add_explicit(&peer->refs, 1, memory_order_relaxed);
	return peer;
}

static inline void upcall_peer_put(struct upcall_peer *peer)
{
	if (atomic_fetch_sub(&peer->refs, 1) == 1)
		upcall_peer_free(peer);
}

/* Used by the parent of this process. Unused ones may still be used by either. */
static inline bool upcall_peer_forked(const struct upcall_peer *peer)
{
	return atomic_load(&peer->bound) &&
	       atomic_load(&peer->fork_count) != atomic_load(&upcall_forks);
}

/* As upcall_peer_control(), without its detours where none is needed: once for each call. */
static inline int upcall_peer_enter(struct upcall_peer *peer, unsigned long request, void *arg)
{
	if (atomic_load(&peer->bound) && !upcall_peer_forked(peer))
		return peer->transport->control(peer->transport, request, arg);
	return upcall_peer_control(peer, request, arg);
}

/* register.c */
void upcall_options_fill(const struct upcall_options *options, struct upcall_register *reg);

/* receive.c */
int upcall_receive(struct upcall_peer *peer, struct upcall_command *command, uint64_t deadline,
		   struct upcall_incoming **incoming);
int upcall_receive_chain(struct upcall_peer *peer, uint64_t id, unsigned int max_calls,
			 struct upcall_batch **batch);
int upcall_receive_from(struct upcall_peer *peer, struct upcall_batch *batch,
			struct upcall_incoming **incoming);
int upcall_receive_events(struct upcall_peer *peer, uint64_t deadline,
			  struct upcall_incoming **incoming);
int upcall_receive_aside(struct upcall_peer *peer, struct upcall_incoming **incoming);
void upcall_receive_drop_ready(struct upcall_peer *peer);
void upcall_batch_spare(struct upcall_peer *peer, struct upcall_batch *batch);

/* @peer may use it again. */
static inline void upcall_batch_put(struct upcall_peer *peer, struct upcall_batch *batch)
{
	if (atomic_fetch_sub(&batch->refs, 1) == 1)
		upcall_batch_spare(peer, batch);
}

/* incoming.c */
int upcall_incoming_new_locked(struct upcall_peer *peer, struct upcall_batch *batch,
			       const struct upcall_event *event,
			       struct upcall_incoming **incoming);
void upcall_incoming_cancel_locked(struct upcall_peer *peer,
				   const struct upcall_event_cancel *cancel);
void upcall_incoming_put(struct upcall_incoming *incoming);
bool upcall_incoming_answer_begin(struct upcall_incoming *incoming);
void upcall_incoming_unlist(struct upcall_incoming *incoming);
int upcall_incoming_answer_end(struct upcall_incoming *incoming, int err);
void upcall_incoming_reply_command(const struct upcall_incoming *incoming, int32_t status,
				   const void *data, size_t len, struct upcall_command *command);

/* async.c */
int upcall_async_send(struct upcall_peer *peer, struct upcall_pending *pending,
		      struct upcall_command *command, size_t *slot);
int upcall_async_add(struct upcall_peer *peer, struct upcall_pending *pending, size_t *slot,
		     uint32_t *generation);
void upcall_async_sent(struct upcall_peer *peer, struct upcall_pending *pending, size_t slot,
		       uint32_t generation, const struct upcall_command *command);
void upcall_async_remove(struct upcall_peer *peer, size_t slot);
bool upcall_async_take(struct upcall_peer *peer, struct upcall_incoming *incoming);
void upcall_async_end_all(struct upcall_peer *peer);
void upcall_async_orphan(struct upcall_call *call);

/* nested.c */
/* The call that this thread runs a function on, the innermost one; or NULL. */
extern _Thread_local struct upcall_incoming *upcall_current
	__attribute__((visibility("hidden")));
static inline void upcall_current_enter(struct upcall_incoming *incoming)
{
	incoming->outer = upcall_current;
	upcall_current = incoming;
}

static inline void upcall_current_leave(struct upcall_incoming *incoming)
{
	upcall_current = incoming->outer;
}

int upcall_nested_invoke(struct upcall_call *call);
int upcall_nested_wait(struct upcall_call *call);
uint64_t upcall_nested_deadline(const struct upcall_call *call, uint64_t deadline);
void upcall_nested_cancel_children_locked(struct upcall_incoming *incoming);

/* answer.c */
int upcall_call_fill_result(struct upcall_call *call, struct upcall_incoming *incoming);
void upcall_call_command(const struct upcall_call *call, struct upcall_command *command);
void upcall_call_close_fds(struct upcall_call *call);
void upcall_incoming_close_fds(struct upcall_incoming *incoming);

/* dispatch.c */
void upcall_dispatch_event(struct upcall_peer *peer, struct upcall_incoming *incoming);
void upcall_dispatch_call(struct upcall_incoming *incoming);
int upcall_dispatch_next(struct upcall_peer *peer, uint64_t deadline, struct upcall_later *later,
			 struct upcall_pool *pool);
void upcall_later_free(struct upcall_later *later);

/* pool.c */
void upcall_pool_busy(struct upcall_pool *pool);
void upcall_pool_idle(struct upcall_pool *pool);

/* callback.c */
/* Of an event that is no RESULT. NULL: not one of these; its cookie is then the application's. */
static inline struct upcall_callback *
upcall_callback_find_locked(const struct upcall_peer *peer, const struct upcall_event *event)
{
	struct upcall_callback *callback;

	if (event->cookie >= peer->slot_count)
		return NULL;
	callback = peer->slots[event->cookie].callback;
	return callback && callback->handle == event->handle ? callback : NULL;
}

void upcall_callback_remove_locked(struct upcall_callback *callback);
void upcall_callback_unpin(struct upcall_callback *callback);
void upcall_callback_end_all(struct upcall_peer *peer);
void upcall_callback_shutdown_if_drained(struct upcall_peer *peer);

/* call.c */
void upcall_call_reset(struct upcall_call *call);
int upcall_call_fail_early(struct upcall_call *call, int err);
int upcall_call_begin(struct upcall_call *call, uint64_t handle, uint32_t op, const void *arg,
		      size_t len, uint64_t deadline);
int upcall_call_grow(struct upcall_call *call, uint32_t room);

/* name_file.c */
/**
 * struct upcall_name_record - What a published name says
 * @handle: The callback.
 * @instance: Of the load of the module that issued it.
 * @signature: 0: none.
 * @uid: Effective, of the publisher.
 * @pid: Of the publisher.
 * @label: NUL-terminated; for people.
 * @file_uid: Who owns the file; not part of its text.
 */
struct upcall_name_record {
	uint64_t handle;
	uint64_t instance;
	uint64_t signature;
	uint32_t uid;
	uint32_t pid;
	char label[UPCALL_MAX_LABEL + 1];
	uint32_t file_uid;
};

#define UPCALL_NAME_TEXT_MAX	512	/* bytes of a record as text, with NUL */

bool upcall_name_valid(const char *name);
int upcall_name_format(const struct upcall_name_record *record, char *text, size_t room);
int upcall_name_parse(const char *text, struct upcall_name_record *record);

/* name_dir.c */
int upcall_name_write(const char *name, const struct upcall_name_record *record);
int upcall_name_read(const char *name, struct upcall_name_record *record);
int upcall_name_remove(const char *name, uint64_t handle, uint64_t instance);

#endif /* UPCALL_INTERNAL_H */
