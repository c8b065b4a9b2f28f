/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The test double: what the module does, inside one process, for unit tests. It follows the
 * manual <linux/upcall.h> and shares no code with the module, so that each checks the other.
 *
 * Files: double.c the registry and the front door; double_peer.c a peer, its descriptor and who
 * wakes; double_callback.c; double_call.c a call and its two ends; double_submit.c how one
 * begins; double_invoke.c, double_exchange.c, double_event.c, double_list.c the verbs;
 * double_fds.c descriptors that ride; double_timer.c deadlines of asynchronous calls.
 *
 * Locking: one mutex for each registry protects all that is in it. A thread that waits holds
 * nothing. The list of registries has a mutex of its own, taken before that.
 *
 * Lifetimes:
 *	registry	refs: its peers
 *	peer		until its transport is closed: no thread is inside then
 *	callback	as long as the registry: a dead one says why it died
 *	call		until both ends have come: caller and owner are NULL then
 */
#ifndef UPCALL_DOUBLE_H
#define UPCALL_DOUBLE_H

#include <sys/types.h>
#include <time.h>
#include "internal.h"

#define DOUBLE_FEATURES	(UPCALL_FEATURE_SYNC | UPCALL_FEATURE_ONEWAY | UPCALL_FEATURE_CANCEL | \
	UPCALL_FEATURE_ASYNC | UPCALL_FEATURE_NOTIFY | UPCALL_FEATURE_AUTOEND | \
	UPCALL_FEATURE_SERIAL | UPCALL_FEATURE_NESTED | UPCALL_FEATURE_WAIT_ROOM | \
	UPCALL_FEATURE_FDS)

#define DOUBLE_MAX_CALLBACKS	(1U << 20)
#define DOUBLE_MAX_CALLS	65536U		/* under way in one registry: it has one uid */
#define DOUBLE_MAX_BYTES	(64U << 20)	/* their arguments and reply room */
#define DOUBLE_MAX_FDS		4096U		/* that ride */

/* A list is circular, through its head. */
struct double_link {
	struct double_link *next, *prev;
};

#define double_entry(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))
#define double_for_each(link, head) for (link = (head)->next; link != (head); link = link->next)

static inline void double_list_init(struct double_link *link)
{
	link->next = link;
	link->prev = link;
}

static inline bool double_list_empty(const struct double_link *head)
{
	return head->next == head;
}

/* Before @head, which is at the end of that list; or before an entry. */
static inline void double_list_add(struct double_link *link, struct double_link *head)
{
	link->next = head;
	link->prev = head->prev;
	head->prev->next = link;
	head->prev = link;
}

static inline void double_list_remove(struct double_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	double_list_init(link);
}

/**
 * struct double_registry - What "test:NAME" stands for
 * @next: In the list of registries.
 * @name: Behind "test:".
 * @peers_open: References.
 * @lock: Protects all that follows, and all that hangs there.
 * @room: Broadcast when a queue may have room.
 * @timer_wake: The timer thread waits here.
 * @timer: Ends deadlines of asynchronous calls.
 * @timer_runs: It was started.
 * @closing: It shall end.
 * @number: Of this registry, in the upper bits of its handles.
 * @instance: As INFO says it.
 * @start_time: Of this process: field 22 of /proc/self/stat.
 * @callbacks: By the lower bits of their handles, from 1.
 * @callback_count: So many were ever registered.
 * @callback_room: So many fit in @callbacks.
 * @counted: Callbacks whose RELEASED was not received.
 * @peers: All of them.
 * @calls: All of them, oldest first.
 * @call_count: How many those are.
 * @call_bytes: Their arguments and reply room.
 * @fds: Descriptors that ride.
 * @last_peer: The number that was given last.
 * @last_call: The number that was given last.
 */
struct double_registry {
	struct double_registry *next;
	char *name;
	unsigned int peers_open;
	pthread_mutex_t lock;
	pthread_cond_t room;
	pthread_cond_t timer_wake;
	pthread_t timer;
	bool timer_runs;
	bool closing;
	uint64_t number;
	uint64_t instance;
	uint64_t start_time;
	struct double_callback **callbacks;
	uint32_t callback_count;
	uint32_t callback_room;
	uint32_t counted;
	struct double_link peers;
	struct double_link calls;
	uint32_t call_count;
	uint64_t call_bytes;
	uint32_t fds;
	uint64_t last_peer;
	uint64_t last_call;
};

/**
 * struct double_peer - One upcall_open("test:")
 * @transport: First member.
 * @registry: Referenced.
 * @link: In double_registry.peers.
 * @number: As LIST shows it.
 * @pid: The process that it belongs to.
 * @fd: The application polls it.
 * @far: The other end of that socket pair; -1 once the peer has ended.
 * @shows_in: There is a byte to be read from @fd.
 * @shows_full: @fd is full: not writable.
 * @bound: A command other than INFO came.
 * @ended: SHUTDOWN, or closed.
 * @one_thread: CONFIG ONE_THREAD.
 * @refused: The callback whose queue refused a call of this peer last, or NULL.
 * @refused_bytes: Of that call's argument.
 * @queue: Calls to it that wait, in the order of their delivery.
 * @running: Calls to it without their owner's end.
 * @outgoing: Calls by it that it has not left.
 * @results_due: How many of those are CALLs.
 * @events: struct double_event: all but calls.
 * @receivers: struct double_receiver: the one that began to wait last is first.
 */
struct double_peer {
	struct upcall_transport transport;
	struct double_registry *registry;
	struct double_link link;
	uint64_t number;
	pid_t pid;
	int fd;
	int far;
	bool shows_in;
	bool shows_full;
	bool bound;
	bool ended;
	bool one_thread;
	struct double_callback *refused;
	uint32_t refused_bytes;
	struct double_link queue;
	struct double_link running;
	struct double_link outgoing;
	uint32_t results_due;
	struct double_link events;
	struct double_link receivers;
};

/* An event that is no CALL is part of what it is about: it needs no memory when it happens. */
struct double_event {
	struct double_link link;	/* in double_peer.events; else empty */
	uint32_t type;
	void *subject;			/* RESULT, CANCEL: the call; RELEASED: the callback */
};

/* A thread that receives. */
struct double_receiver {
	struct double_link link;
	pthread_cond_t wake;
	bool woken;
	uint32_t max_calls;
	struct double_call *wait_call;	/* or NULL */
	struct double_peer *peer;
};

struct double_callback {
	struct upcall_register reg;	/* as it was given, with handle; cookie and word as now */
	struct double_peer *owner;	/* NULL: RELEASED was received, or the peer has ended */
	uint32_t state;
	uint32_t reason;
	uint64_t died_ns;
	uint64_t registered_ns;
	uint64_t start_time;
	uint64_t last_seq;
	uint32_t queued;
	uint64_t queued_bytes;
	uint32_t running;
	uint32_t uid, gid;
	uint64_t calls, delivered, replied, refused, queued_ns, run_ns;
	struct double_event released;
};

/* What a caller was, or will be, told. */
struct double_outcome {
	uint32_t error;
	uint32_t stage;
	uint32_t status;
	uint32_t reason;
	uint32_t needed;
	uint64_t word;
	uint64_t seq;
	uint64_t queued_ns, run_ns, total_ns;
};

/* Descriptors that ride: duplicates, which belong to it. */
struct double_fds {
	int *fd;
	uint32_t count;
};

/**
 * struct double_call - One invocation
 * @owner_link: In double_peer.queue or .running of @owner.
 * @caller_link: In double_peer.outgoing of @caller.
 * @all_link: In double_registry.calls.
 * @registry: Of all of them.
 * @callback: What is called.
 * @owner: NULL: the owner's end has come.
 * @caller: NULL: it has left, or got its answer. A notification's is only for LATEST and LIST.
 * @number: Its id for the caller; see double_owner_id().
 * @ancestors: Numbers of the calls that it is nested in, outermost first; one less than @depth.
 * @depth: 1, or one more than its parent's.
 * @flags: UPCALL_CALL_ONEWAY and so on, as its event has them.
 * @async: A CALL command.
 * @user_data: For its RESULT.
 * @delivered: The owner has it, or had it.
 * @answered: @outcome is complete.
 * @waited: A thread waits for its answer: in INVOKE, or in EXCHANGE with wait_call.
 * @waits_nested: That thread takes nested calls.
 * @wake: The thread in INVOKE waits here.
 * @charged: Bytes of argument and reply room.
 */
struct double_call {
	struct double_link owner_link, caller_link, all_link;
	struct double_registry *registry;
	struct double_callback *callback;
	struct double_peer *owner, *caller;
	uint64_t number;
	uint64_t ancestors[UPCALL_MAX_NESTING];
	uint32_t depth;
	uint32_t flags;
	bool async, delivered, answered, waited, waits_nested;
	uint64_t user_data;
	uint64_t deadline_ns;
	uint32_t op, pid, tid, uid, gid, reply_max, reply_fd_max, dropped;
	void *arg, *reply;
	uint32_t arg_len, reply_len;
	struct double_fds arg_fds, reply_fds;
	uint64_t charged;
	uint64_t queued_at, delivered_at;
	struct double_outcome outcome;
	struct double_event result, cancel;
	uint32_t cancel_error;
	pthread_cond_t wake;
};

/* The owner's id is another one than the caller's. */
static inline uint64_t double_owner_id(const struct double_call *call)
{
	return call->number | 1ULL << 62;
}

/* What INVOKE, CALL and NOTIFY have in common. */
struct double_request {
	uint64_t target;
	uint32_t flags;			/* UPCALL_INVOKE_* */
	bool async;
	uint64_t deadline_ns, arg, signature, parent, fds, user_data;
	uint32_t arg_len, reply_max, op, fd_count, reply_fd_max;
};

/* double.c */
int upcall_double_open(const char *name, struct upcall_transport **transport);
uint64_t upcall_double_now(void);
void upcall_double_cond_init(pthread_cond_t *cond);
int upcall_double_wait(struct double_registry *registry, pthread_cond_t *cond, bool forever,
		       uint64_t deadline_ns);

/* double_peer.c */
int upcall_double_peer_init(struct double_peer *peer);
void upcall_double_peer_end(struct double_peer *peer, uint32_t reason, const uint64_t *word);
void upcall_double_peer_update(struct double_peer *peer);
void upcall_double_peer_tell(struct double_peer *peer);
void upcall_double_event_add(struct double_event *event, struct double_peer *peer);
void upcall_double_peer_room(struct double_registry *registry);
bool upcall_double_takes_call(const struct double_receiver *receiver,
			      const struct double_call *call);
bool upcall_double_takes_event(const struct double_receiver *receiver,
			       const struct double_event *event);

/* double_callback.c */
struct double_callback *upcall_double_callback_find(struct double_registry *registry,
						    uint64_t handle);
int upcall_double_register(struct double_peer *peer, struct upcall_register *args);
int upcall_double_register_check(struct upcall_register *args);
int upcall_double_rebind(struct double_peer *peer, struct upcall_rebind *args);
int upcall_double_rebind_check(struct upcall_rebind *args);
int upcall_double_release(struct double_peer *peer, struct upcall_release *args);
int upcall_double_release_check(struct upcall_release *args);
int upcall_double_stat(struct double_peer *peer, struct upcall_stat *args);
bool upcall_double_access(const struct double_callback *callback);
bool upcall_double_has_room(const struct double_callback *callback, uint32_t bytes);
void upcall_double_callback_drain(struct double_callback *callback);
void upcall_double_callback_die(struct double_callback *callback, uint32_t reason);

/* double_call.c */
struct double_call *upcall_double_call_new(struct double_registry *registry);
void upcall_double_call_free(struct double_call *call);
struct double_call *upcall_double_call_find(struct double_link *list, bool outgoing,
					    uint64_t number);
void upcall_double_call_answer(struct double_call *call, uint32_t error, uint32_t stage);
void upcall_double_call_leave(struct double_call *call, uint32_t error);
void upcall_double_call_deliver(struct double_call *call);
void upcall_double_call_unqueue(struct double_call *call);
void upcall_double_call_owner_end(struct double_call *call);
void upcall_double_call_caller_end(struct double_call *call);
bool upcall_double_call_within(const struct double_call *call, const struct double_call *outer);

/* double_submit.c */
int upcall_double_submit(struct double_peer *peer, const struct double_request *request,
			 struct double_outcome *outcome, struct double_call **call);

/* double_invoke.c */
int upcall_double_invoke(struct double_peer *peer, struct upcall_invoke *args);
int upcall_double_invoke_check(struct upcall_invoke *args);

/* double_command.c */
void upcall_double_command(struct double_peer *peer, struct upcall_command *command);

/* double_exchange.c */
int upcall_double_exchange(struct double_peer *peer, struct upcall_exchange *args);
int upcall_double_exchange_check(struct upcall_exchange *args);

/* double_event.c */
int upcall_double_collect(struct double_receiver *receiver, struct upcall_exchange *args);

/* double_list.c */
int upcall_double_list(struct double_peer *peer, struct upcall_list *args);
int upcall_double_list_check(struct upcall_list *args);

/* double_fds.c */
int upcall_double_fds_take(struct double_registry *registry, uint64_t from, uint32_t count,
			   struct double_fds *fds);
void upcall_double_fds_give(struct double_registry *registry, struct double_fds *fds,
			    uint32_t *to);
void upcall_double_fds_drop(struct double_registry *registry, struct double_fds *fds);

/* double_timer.c */
int upcall_double_timer_need(struct double_registry *registry);
void upcall_double_timer_end(struct double_registry *registry);

/* Nothing is mapped there: the one bad address that is told without a crash. */
static inline bool double_bad(uint64_t address, uint64_t len)
{
	return len && address < 4096;
}

#endif /* UPCALL_DOUBLE_H */
