/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * libupcall - callbacks across processes, by handle.
 *
 * Two shapes over the same calls, which can be mixed on one peer:
 *
 *   pull   upcall_register(), upcall_fd(), upcall_next(), upcall_reply(), upcall_refuse():
 *          no threads, no callbacks, no structs; what a binding in any language wants
 *   push   upcall_callback_new() with a C function, then upcall_dispatch() or
 *          upcall_run() with worker threads, ended by upcall_stop()
 *
 * Callers use a call object, upcall_call_new(), and upcall_call_invoke(), which waits, or
 * upcall_call_start(), which does not: its completion function is run by whoever receives
 * on the peer, so somebody must. In the pull shape upcall_start(), and a RESULT.
 *
 * Calls within calls: what a function of the push shape calls on its own thread is on
 * behalf of the call that it runs on. It ends with that one's deadline and cancellation, names it
 * as its parent if it is made on the same peer, and while it waits its thread runs the functions
 * that are called back meanwhile: so one thread on each side is enough. upcall_call_set_detached()
 * is for calls that have nothing to do with it.
 *
 * Rules that hold for every function
 *   - A function that can fail returns an int: 0 or a positive value, or -errno. errno itself
 *     is left as it was. Every function that takes a peer also fails with
 *     -ESHUTDOWN (the peer has ended) and -EPERM (the peer belongs to another process, as after fork()).
 *   - Objects come from a _new() or an open, through a pointer that is written on success
 *     only, and go by their _free(), _unref() or close; these take NULL.
 *   - Bytes are a pointer and a length; length 0 allows NULL. The library copies what it is
 *     given, or is done with it on return; what it hands out says until when it is valid.
 *   - Deadlines are absolute, in nanoseconds of CLOCK_MONOTONIC; see upcall_deadline_in().
 *   - Functions on a peer, a callback or an incoming may be called by any thread at any time
 *     until its last reference goes. A call, options, listing or name object is used by one
 *     thread at a time. No function is async-signal-safe, but upcall_shutdown() is.
 *   - After fork() the child may only close or free what it inherited: this
 *     releases nothing in the parent, runs no hook and cannot block. All else is -EPERM, but
 *     on a peer that was not used before the fork.
 *
 * Stubs: upcall_export() makes a descriptor that may call one callback and nothing else. It can be
 * inherited, passed, and ride with a call; who has it needs no access to the device or to any
 * file: upcall_open_stub(). The owner can be told when the last one is closed.
 *
 * Successors: a peer that was made adoptable outlives its process as long as another one
 * holds its descriptor, and upcall_adopt() takes it over: its handles stay valid.
 *
 * The ABI below this library, its limits and constants (UPCALL_STAGE_*, UPCALL_REASON_*,
 * UPCALL_ACCESS_*, UPCALL_EVENT_*, UPCALL_LIST_*) are those of <linux/upcall.h>.
 */
#ifndef UPCALL_H
#define UPCALL_H

#include <stddef.h>
#include <stdint.h>
#include <linux/upcall.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UPCALL_VERSION		"0.1.0"

/* A deadline that never comes; a binding writes it as the 64 bits of -1. */
#define UPCALL_NO_DEADLINE	(~(uint64_t)0)
/* Do not wait at all: upcall_next() and upcall_dispatch() answer -EAGAIN instead. */
#define UPCALL_NO_WAIT		((uint64_t)0)

/* What a call accepts as reply unless upcall_call_set_reply_max() says otherwise, in bytes. */
#define UPCALL_DEFAULT_REPLY_MAX	(64U << 10)
/* What a callback takes unless upcall_options_set_limits() says otherwise. */
#define UPCALL_DEFAULT_MAX_ARG		(64U << 10)	/* bytes */
#define UPCALL_DEFAULT_QUEUED_CALLS	256U
#define UPCALL_DEFAULT_QUEUED_BYTES	(1U << 20)	/* bytes */

#define UPCALL_NAME_MAX		64	/* bytes in a name, without the NUL */

struct upcall_peer;	/* one open file of /dev/upcall */
struct upcall_options;	/* how a callback is registered */
struct upcall_callback;	/* push: an exported C function, reference counted */
struct upcall_incoming;	/* one event as received: a call, a cancellation, a released callback */
struct upcall_call;	/* one call at a time to somebody else's callback, and its answer */
struct upcall_name;	/* a published name that resolves again when its owner was replaced */
struct upcall_commands;	/* several commands that go in one system call */
struct upcall_listing;	/* a cursor over callbacks, peers, calls or users */

/**
 * upcall_version() - The version of the library that is running, "0.1.0"
 *
 * Return: a constant string.
 */
const char *upcall_version(void);

/**
 * upcall_deadline_in() - The deadline that many milliseconds from now
 * @ms: Milliseconds; negative: no deadline.
 *
 * Return: nanoseconds of CLOCK_MONOTONIC, or UPCALL_NO_DEADLINE.
 */
uint64_t upcall_deadline_in(int64_t ms);

/* ---- Peers ---- */

/**
 * upcall_open() - Open a peer
 * @where: Path of the device; NULL: $UPCALL_DEVICE, else /dev/upcall. "test:", or "test:NAME":
 *	a test double inside this process, which needs no module.
 * @peer: Set to the peer on success; ended by upcall_close().
 *
 * Binds nothing: the peer can still be passed to another process by its descriptor.
 *
 * The test double is for unit tests of programs that use this library: the same verbs, errors and
 * stages. All peers of this process with the same "test:NAME" share a registry, which goes with the last of
 * them; "test:" is one more name. What it cannot do: calls from other processes and other users,
 * a child of fork() among them, even with a peer that was not used before; the death of a process, and
 * so no adoption; stubs (both are -ENOTTY or -EINVAL, and not among its features);
 * -EINTR by a signal; -EFAULT, but for addresses below 4096: a bad one is a crash.
 * libupcall(7) says more.
 *
 * Return: 0; -ENOENT no such device, the module is not loaded; -ENODEV, -ENXIO a node with
 * no module behind it; -ENOTTY a file that is no peer; -EPROTO a module with another ABI;
 * -ENOMEM; or an errno of open(2).
 */
int upcall_open(const char *where, struct upcall_peer **peer);

/**
 * upcall_open_fd() - Use a peer that was passed or inherited
 * @fd: Its descriptor; on success it belongs to the peer.
 * @peer: Set to the peer on success; ended by upcall_close().
 *
 * One that another process has used is still that one's: see upcall_adopt(). A stub is no peer.
 *
 * Return: 0, or as upcall_open().
 */
int upcall_open_fd(int fd, struct upcall_peer **peer);

/**
 * upcall_open_stub() - Use a stub as a peer that can only call
 * @fd: The stub, passed or inherited; on success it belongs to the peer.
 * @peer: Set to the peer on success; ended by upcall_close().
 *
 * Needs no device, no other file, no thread; any process may use it, at the same time as others.
 * What can be done with it: upcall_call_new() and its upcall_call_invoke(), upcall_call_notify() and
 * what belongs to them, and upcall_stat(), all of handle 0 (else -EINVAL); upcall_info();
 * upcall_fd(), which polls writable when there is room, and HUP when the callback is no longer
 * live. All else is -ENOTTY: there are no asynchronous calls, and nothing is called back
 * meanwhile. For those a real peer calls through it: upcall_call_set_stub().
 *
 * Return: 0; -ENOTTY no stub; -EPROTO a module with another ABI; -ENOMEM; -EBADF.
 */
int upcall_open_stub(int fd, struct upcall_peer **peer);

/**
 * upcall_is_stub() - Is this descriptor a stub?
 * @fd: Any; nothing is done to it.
 *
 * Return: 1; 0 it is something else; -EBADF.
 */
int upcall_is_stub(int fd);

/**
 * upcall_close() - End a peer
 * @peer: May be NULL. Not to be used by the caller any more.
 *
 * A peer that was used by this process is shut down: its callbacks die, threads that wait in it
 * return -ESHUTDOWN. Then the destroy hooks run of callbacks whose function is not running;
 * the others' follow when it has returned. References to callbacks, kept incomings and call
 * objects stay valid and must still be dropped; the last of them closes the descriptor.
 */
void upcall_close(struct upcall_peer *peer);

/**
 * upcall_shutdown() - End a peer although threads wait in it
 * @peer: Stays allocated until upcall_close().
 *
 * Context: Any, also a signal handler.
 * Return: 0; -ESHUTDOWN it has ended already.
 */
int upcall_shutdown(struct upcall_peer *peer);

/**
 * upcall_fd() - The descriptor to poll
 * @peer: Keeps the descriptor.
 *
 * Readable when an event can be received. Then call upcall_next() or upcall_dispatch() with
 * UPCALL_NO_WAIT until -EAGAIN: one system call may have brought several events.
 *
 * Return: the descriptor, close-on-exec if upcall_open() made it.
 */
int upcall_fd(const struct upcall_peer *peer);

/**
 * upcall_set_batch() - How many calls one system call may bring
 * @peer: Any peer.
 * @max_calls: 1 (as opened) to UPCALL_MAX_EVENTS, larger values are brought down to that; 0: leave
 *	calls in the kernel's queue and bring only other events.
 *
 * Calls that wait in the library count as delivered. Use more than 1 only where one thread receives:
 * a thread that already waits in the kernel is not woken for what another one brought along.
 */
void upcall_set_batch(struct upcall_peer *peer, unsigned int max_calls);

/**
 * upcall_set_one_thread() - Say that one thread makes and receives all calls of this peer
 * @peer: Any peer.
 * @on: 1 or 0, as opened.
 *
 * So a call that leads back to it while it waits in INVOKE can never run: whoever makes it
 * gets -EDEADLK instead of waiting for its deadline.
 *
 * Return: 0, or an errno of UPCALL_IOC_CONFIG.
 */
int upcall_set_one_thread(struct upcall_peer *peer, int on);

/**
 * upcall_set_adoptable() - Let a successor take this peer over when the process dies
 * @peer: Any peer. Its descriptor has to be open elsewhere by then: in a parent, a supervisor, the
 *	service manager's store.
 * @on: 1; or 0, as opened.
 * @orphan_ms: How long it waits for a successor, from 1 to an hour; ignored with 0.
 *
 * Then exit, kill and exec leave the callbacks alive: calls wait. Those that the process had taken
 * fail with -EOWNERDEAD, or, of callbacks made with upcall_options_set_idempotent(), wait for the
 * successor. upcall_shutdown() and upcall_close() end it as ever.
 *
 * Return: 0; -EINVAL @orphan_ms; or an errno of UPCALL_IOC_CONFIG.
 */
int upcall_set_adoptable(struct upcall_peer *peer, int on, int64_t orphan_ms);

/**
 * upcall_adopt() - Take over the peer of a dead process
 * @peer: By upcall_open_fd(), not used for anything else yet. After fork() alone, too: the child's
 *	copy of its parent's object is of no use, a new one on a dup(2) of its descriptor is.
 * @number: Its number, if not NULL: struct upcall_list_peer.peer, and upcall_list_callback.peer of its
 *	callbacks.
 * @callbacks: How many it has, if not NULL.
 *
 * Then find the callbacks by upcall_listing_new(), and give each its function by
 * upcall_callback_adopt(), or its cookie by upcall_rebind(), before anything is received:
 * calls wait till then. What RELEASED and UNREFERENCED of the process before were not received
 * come with its cookies.
 *
 * It is as adoptable as it was, but this library does not know it: call upcall_set_adoptable()
 * again, before upcall_set_one_thread() if that is to be called.
 *
 * Return: 0; -EBUSY its owner lives; -EPERM of another user; -ENOENT nobody has used it yet: do so;
 * -ESHUTDOWN it has ended, or nobody came in time.
 */
int upcall_adopt(struct upcall_peer *peer, uint64_t *number, uint32_t *callbacks);

/**
 * upcall_info() - What the module is
 * @peer: Any peer.
 * @info: Filled, on success only.
 * @size: sizeof(*info).
 *
 * Return: 0, or an errno of UPCALL_IOC_INFO.
 */
int upcall_info(struct upcall_peer *peer, struct upcall_info *info, size_t size);

/**
 * upcall_stat() - What a handle is, or why it is no more
 * @peer: Any peer.
 * @handle: Any value; of a peer by upcall_open_stub() 0, the callback behind it.
 * @stat: Filled, on success only.
 * @size: sizeof(*stat).
 *
 * Return: 0; -ESTALE never issued; -EACCES alive, and may not be called.
 */
int upcall_stat(struct upcall_peer *peer, uint64_t handle, struct upcall_stat *stat, size_t size);

/**
 * upcall_revoke() - Abort any callback, as an administrator
 * @peer: Any peer.
 * @handle: One's own, or any with CAP_SYS_ADMIN in its owner's user namespace.
 *
 * Return: 0; -ESTALE; -EPERM.
 */
int upcall_revoke(struct upcall_peer *peer, uint64_t handle);

/**
 * upcall_listing_new() - List what there is, as far as one may see it
 * @peer: Must outlive the listing.
 * @what: UPCALL_LIST_*.
 * @record_size: sizeof the record type of @what.
 * @listing: Set on success; freed by upcall_listing_free().
 *
 * Return: 0; -ENOMEM; -EINVAL.
 */
int upcall_listing_new(struct upcall_peer *peer, uint32_t what, uint32_t record_size,
		       struct upcall_listing **listing);

/**
 * upcall_listing_next() - The next record
 * @listing: The listing.
 * @record: Set to a struct upcall_list_* that is valid until the next call on @listing.
 *
 * Return: 1; 0 at the end; or an errno of UPCALL_IOC_LIST.
 */
int upcall_listing_next(struct upcall_listing *listing, const void **record);

/**
 * upcall_listing_free() - Free a listing
 * @listing: May be NULL.
 */
void upcall_listing_free(struct upcall_listing *listing);

/* ---- Registration ---- */

/**
 * upcall_options_new() - How a callback is to be registered
 * @options: Set on success; freed by upcall_options_free(). It may serve many registrations.
 *
 * As made: no label, UPCALL_ACCESS_SAME_USER, no signature, word 0, the UPCALL_DEFAULT_*
 * limits. Where options are taken, NULL means just that.
 *
 * Return: 0; -ENOMEM.
 */
int upcall_options_new(struct upcall_options **options);

/**
 * upcall_options_free() - Free options
 * @options: May be NULL.
 */
void upcall_options_free(struct upcall_options *options);

/**
 * upcall_options_set_label() - What people see in lists
 * @options: The options.
 * @label: At most UPCALL_MAX_LABEL bytes; copied.
 *
 * Return: 0; -EINVAL it is longer.
 */
int upcall_options_set_label(struct upcall_options *options, const char *label);

/**
 * upcall_options_set_access() - Who may call
 * @options: The options.
 * @access: UPCALL_ACCESS_*, checked at registration.
 * @id: uid or gid where @access takes one, else 0.
 */
void upcall_options_set_access(struct upcall_options *options, uint32_t access, uint32_t id);

/**
 * upcall_options_set_signature() - Demand that callers name this signature
 * @options: The options.
 * @signature: Any number, for instance upcall_signature() of a text.
 */
void upcall_options_set_signature(struct upcall_options *options, uint64_t signature);

/* 1: one call at a time, strictly in order; 0, as made. */
void upcall_options_set_serial(struct upcall_options *options, int on);
/* 1: a notification needs no answer, not even an empty one; 0, as made. Not with serial. */
void upcall_options_set_autoend(struct upcall_options *options, int on);
/* 1: calls may bring descriptors; 0, as made. */
void upcall_options_set_fds(struct upcall_options *options, int on);
/* 1: UPCALL_EVENT_UNREFERENCED comes when its last stub was closed; 0, as made. */
void upcall_options_set_unreferenced(struct upcall_options *options, int on);
/* 1: it is released when its last stub was closed; 0, as made. Not with unreferenced. */
void upcall_options_set_auto_release(struct upcall_options *options, int on);
/* 1: a call that this process took may run again in its successor; 0, as made. */
void upcall_options_set_idempotent(struct upcall_options *options, int on);

/**
 * upcall_options_set_word() - What is left behind for callers when the callback dies
 * @options: The options.
 * @word: Any number.
 */
void upcall_options_set_word(struct upcall_options *options, uint64_t word);

/**
 * upcall_options_set_limits() - What the callback takes; checked at registration
 * @options: The options.
 * @max_arg: Bytes of one argument, to UPCALL_MAX_PAYLOAD.
 * @queued_calls: Calls that may wait, 1 to UPCALL_MAX_QUEUED_CALLS.
 * @queued_bytes: Bytes of their arguments, @max_arg or more.
 */
void upcall_options_set_limits(struct upcall_options *options, uint32_t max_arg,
			       uint32_t queued_calls, uint64_t queued_bytes);

/**
 * upcall_signature() - A signature from the text that describes an interface
 * @text: Any string; every byte counts.
 *
 * Return: its 64-bit FNV-1a hash, but 1 instead of 0.
 */
uint64_t upcall_signature(const char *text);

/**
 * upcall_register() - Pull: register a callback
 * @peer: Its owner.
 * @options: May be NULL.
 * @cookie: The caller's own word; upcall_incoming_cookie() gives it back with every event.
 * @handle: Set on success.
 *
 * Return: 0; -EINVAL; -EDQUOT; -ENOSPC; -ENOMEM.
 */
int upcall_register(struct upcall_peer *peer, const struct upcall_options *options,
		    uint64_t cookie, uint64_t *handle);

/**
 * upcall_rebind() - Pull: another cookie for a callback
 * @peer: Its owner.
 * @handle: From upcall_register().
 * @cookie: Every delivery that begins after this returned carries it.
 *
 * Return: 0; -ESTALE.
 */
int upcall_rebind(struct upcall_peer *peer, uint64_t handle, uint64_t cookie);

/**
 * upcall_release() - Pull: retire a callback
 * @peer: Its owner.
 * @handle: From upcall_register().
 * @flags: 0, delivered calls finish; or UPCALL_RELEASE_ABORT, they fail now.
 *
 * What the cookie stands for may go only when UPCALL_EVENT_RELEASED came for it.
 *
 * Return: 0; -ESTALE; -EINVAL any other flag.
 */
int upcall_release(struct upcall_peer *peer, uint64_t handle, uint32_t flags);

/**
 * upcall_export() - A stub: a descriptor that may call this callback, and nothing else
 * @peer: Its owner.
 * @handle: From upcall_register().
 * @fd: Set on success, close-on-exec; the caller's to close or to give away.
 *
 * Each call makes one more. Whoever has it may call, whatever the callback's access says; one of
 * UPCALL_ACCESS_STUB_ONLY can be called in no other way. When the last stub of the callback is
 * closed, in all processes, upcall_options_set_unreferenced() and
 * upcall_options_set_auto_release() say what happens.
 *
 * Return: 0; -ESTALE; -EPERM of another peer; -EMFILE; -ENFILE; -ENOMEM; -ENOTTY on the test double.
 */
int upcall_export(struct upcall_peer *peer, uint64_t handle, int *fd);

/* ---- Receiving ---- */

/**
 * upcall_next() - Receive one event
 * @peer: Several threads may receive on it; each event goes to one of them.
 * @deadline: For the wait; UPCALL_NO_WAIT, UPCALL_NO_DEADLINE.
 * @incoming: Set to the event on success; freed by upcall_incoming_free().
 *
 * Completion functions of calls by upcall_call_start() are run meanwhile.
 *
 * Return: UPCALL_EVENT_CALL, UPCALL_EVENT_RESULT (of upcall_start()), UPCALL_EVENT_CANCEL,
 * UPCALL_EVENT_RELEASED or UPCALL_EVENT_UNREFERENCED (skip others);
 * -EAGAIN with UPCALL_NO_WAIT; -ETIMEDOUT; -EINTR; -ENOMEM.
 */
int upcall_next(struct upcall_peer *peer, uint64_t deadline, struct upcall_incoming **incoming);

/**
 * upcall_reply() - Answer a call that ran
 * @incoming: A call that has not been answered, of any thread.
 * @status: 0; positive, the application's own failure; UPCALL_STATUS_RAISED (-1) with text.
 * @data: The reply. Ignored, as is @status, if the call is one-way.
 * @len: Bytes of it, to upcall_incoming_reply_max().
 *
 * Return: 0; 1 nobody wants the answer any more; -EALREADY it has been answered; -EINVAL no
 * call. Still to be answered: -EMSGSIZE too long for the caller; -ENOMEM; -EFAULT.
 */
int upcall_reply(struct upcall_incoming *incoming, int32_t status, const void *data, size_t len);

/**
 * upcall_reply_fds() - Answer a call that ran, with descriptors
 * @incoming: As for upcall_reply().
 * @status: As for upcall_reply().
 * @data: As for upcall_reply().
 * @len: As for upcall_reply().
 * @fds: Stay the application's; the caller gets duplicates.
 * @fd_count: How many, to upcall_incoming_reply_fd_max().
 *
 * Return: as upcall_reply(). Still to be answered: -EMFILE too many for the caller, or under way;
 * -EBADF not open; -EINVAL a kind that may not ride.
 */
int upcall_reply_fds(struct upcall_incoming *incoming, int32_t status, const void *data,
		     size_t len, const int *fds, unsigned int fd_count);

/**
 * upcall_refuse() - Answer a call that did not and will not run
 * @incoming: A call that has not been answered, of any thread.
 * @err: An errno, 1 to 511, for the caller, beside UPCALL_STAGE_NOT_DELIVERED; either sign.
 *
 * Return: 0; 1 nobody wants the answer any more; -EALREADY; -EINVAL.
 */
int upcall_refuse(struct upcall_incoming *incoming, int err);

/**
 * upcall_reply_next() - Answer a call and receive the next event, in one system call
 * @incoming: As for upcall_reply(); freed if @answered says so.
 * @status: As for upcall_reply().
 * @data: As for upcall_reply().
 * @len: As for upcall_reply().
 * @deadline: As for upcall_next().
 * @next: Set to the next event on success.
 * @answered: Set to 1: the answer was given, or nobody wanted it, and @incoming is freed.
 *	Set to 0: the return value is the error of upcall_reply(), and nothing was received.
 *
 * Return: as upcall_next(), or an error of upcall_reply().
 */
int upcall_reply_next(struct upcall_incoming *incoming, int32_t status, const void *data,
		      size_t len, uint64_t deadline, struct upcall_incoming **next, int *answered);

/**
 * upcall_incoming_free() - Be done with an event
 * @incoming: From upcall_next() or upcall_incoming_keep(); may be NULL.
 *
 * A call that was not answered is answered now, with UPCALL_STATUS_RAISED and a text.
 */
void upcall_incoming_free(struct upcall_incoming *incoming);

/**
 * upcall_incoming_keep() - Push: answer later, from any thread
 * @incoming: As given to the function, before that returns.
 *
 * From now on it is the application's: upcall_reply() or upcall_refuse(), then
 * upcall_incoming_free(). Its bytes stay valid until then.
 */
void upcall_incoming_keep(struct upcall_incoming *incoming);

/* UPCALL_EVENT_*. */
uint32_t upcall_incoming_type(const struct upcall_incoming *incoming);
/* Of the callback. */
uint64_t upcall_incoming_handle(const struct upcall_incoming *incoming);
/* As registered or rebound; of a callback by upcall_callback_new(), the library's. RESULT: the
 * user data of upcall_start().
 */
uint64_t upcall_incoming_cookie(const struct upcall_incoming *incoming);
/* CALL and CANCEL: of the call, equal in both. RESULT: as upcall_start() gave it. Else 0. */
uint64_t upcall_incoming_id(const struct upcall_incoming *incoming);

/*
 * Of a CALL; of other types 0 or NULL. Who calls is the kernel's word; (uint32_t)-1 is
 * an id that this process's namespaces do not show.
 */

/* Which of the callback's operations. */
uint32_t upcall_incoming_op(const struct upcall_incoming *incoming);
/*
 * The argument, or of a RESULT the reply; aligned to 8 bytes. Valid until the incoming is freed; not
 * NULL if it is a CALL or RESULT.
 */
const void *upcall_incoming_data(const struct upcall_incoming *incoming);
/* Bytes of the argument or reply. */
size_t upcall_incoming_len(const struct upcall_incoming *incoming);
/* The caller's process. */
uint32_t upcall_incoming_pid(const struct upcall_incoming *incoming);
/* The calling thread. */
uint32_t upcall_incoming_tid(const struct upcall_incoming *incoming);
/* The caller's effective user. */
uint32_t upcall_incoming_uid(const struct upcall_incoming *incoming);
/* The caller's effective group. */
uint32_t upcall_incoming_gid(const struct upcall_incoming *incoming);
/* Of the caller's process: field 22 of /proc/PID/stat. With the pid it names it for good. */
uint64_t upcall_incoming_start_time(const struct upcall_incoming *incoming);
/* UPCALL_NO_DEADLINE if there is none. Pass it on to calls made on behalf of this one. */
uint64_t upcall_incoming_deadline(const struct upcall_incoming *incoming);
/* 1: a notification; its answer carries nothing. */
int upcall_incoming_oneway(const struct upcall_incoming *incoming);
/* Each caller's own calls to one callback have increasing numbers, in the order it made them. */
uint64_t upcall_incoming_seq(const struct upcall_incoming *incoming);
/* Bytes that the caller accepts. */
uint32_t upcall_incoming_reply_max(const struct upcall_incoming *incoming);
/*
 * UPCALL_CALL_*. For instance UPCALL_CALL_STUB, it came through a stub; or UPCALL_CALL_AGAIN, an owner
 * before this one died with it and may have run it: upcall_refuse() then says DELIVERED.
 */
uint32_t upcall_incoming_flags(const struct upcall_incoming *incoming);
/* Descriptors that the caller takes with the reply. */
uint32_t upcall_incoming_reply_fd_max(const struct upcall_incoming *incoming);
/* Notifications that this one took the place of: they were sent as latest. */
uint32_t upcall_incoming_dropped(const struct upcall_incoming *incoming);
/* Calls within calls: 1, or one more than the call that it is nested in. */
uint32_t upcall_incoming_depth(const struct upcall_incoming *incoming);

/* Of a RESULT; of other types 0. As the accessors of a call object say it. */

/* 0: it was replied to; or a positive errno. */
int upcall_incoming_error(const struct upcall_incoming *incoming);
/* UPCALL_STAGE_*. */
uint32_t upcall_incoming_stage(const struct upcall_incoming *incoming);
/* Of the reply. */
int32_t upcall_incoming_status(const struct upcall_incoming *incoming);
/* With ESTALE and EOWNERDEAD: UPCALL_REASON_*. */
uint32_t upcall_incoming_reason(const struct upcall_incoming *incoming);
/* With UPCALL_REASON_EXITED: as wait(2) reports it. */
uint32_t upcall_incoming_exit_status(const struct upcall_incoming *incoming);
/* With ESTALE: what the owner left behind. */
uint64_t upcall_incoming_word(const struct upcall_incoming *incoming);
/* Nanoseconds from queued to delivered. */
uint64_t upcall_incoming_queued_ns(const struct upcall_incoming *incoming);
/* Nanoseconds from delivered to the answer. */
uint64_t upcall_incoming_run_ns(const struct upcall_incoming *incoming);
/* Nanoseconds from queued to the answer. */
uint64_t upcall_incoming_total_ns(const struct upcall_incoming *incoming);

/* How many descriptors came with a CALL or RESULT. */
unsigned int upcall_incoming_fd_count(const struct upcall_incoming *incoming);

/**
 * upcall_incoming_take_fd() - Take a descriptor that came along
 * @incoming: A CALL or RESULT. What is not taken is closed with it.
 * @index: 0 to upcall_incoming_fd_count() - 1.
 *
 * Return: the descriptor, close-on-exec, the application's to close; -EBADF there is none, or
 * it was taken.
 */
int upcall_incoming_take_fd(struct upcall_incoming *incoming, unsigned int index);

/**
 * upcall_incoming_cancelled() - Does nobody want the answer any more?
 * @incoming: A call; or a CANCEL.
 *
 * Known as soon as any thread has received the CANCEL event. The answer is still owed.
 *
 * Return: 0; or why, a positive errno: ECANCELED, ETIMEDOUT.
 */
int upcall_incoming_cancelled(const struct upcall_incoming *incoming);

/* ---- Push ---- */

/**
 * typedef upcall_fn - A function that others can call
 * @incoming: The call, the library's own: valid until the function returns, unless kept by
 *	upcall_incoming_keep().
 * @user: As given to upcall_callback_new().
 *
 * It answers with upcall_reply() or upcall_refuse(), or keeps the call. If it
 * did neither, the library replies with what it gave to upcall_return(), else without bytes.
 *
 * Return: the status of that reply; ignored if the call was answered or kept.
 */
typedef int (*upcall_fn)(struct upcall_incoming *incoming, void *user);

/**
 * upcall_return() - Push: the bytes of the reply that is made when the function returns
 * @incoming: As given to the function, which calls this on its own thread.
 * @data: Copied.
 * @len: Bytes of it, to upcall_incoming_reply_max().
 *
 * Then the reply goes along with the wait for the next call, in one system call instead of two. But
 * the caller waits for it until the function has returned: where something is left to do that it need
 * not wait for, upcall_reply(). The last of several counts; none, if the function refuses or keeps
 * the call. If the reply cannot be sent, for want of memory of the caller's, that one gets
 * UPCALL_STATUS_RAISED with a text. Ignored if the call is one-way.
 *
 * Return: 0; -EINVAL no call, or no function runs on it; -EALREADY it has been answered; -EMSGSIZE too
 * long for the caller; -ENOMEM. With these the function may answer otherwise.
 */
int upcall_return(struct upcall_incoming *incoming, const void *data, size_t len);

/**
 * upcall_callback_new() - Export a function
 * @peer: Its owner.
 * @options: May be NULL.
 * @fn: Run by upcall_dispatch() and upcall_run(), by several threads at once if there are several.
 * @user: For @fn and @destroy; not touched by the library.
 * @destroy: May be NULL. Run exactly once if this function succeeded, with no lock held, when
 *	@fn will not run any more and no kept call is left: from a dispatch when RELEASED came,
 *	from upcall_incoming_free(), or from upcall_close(). Until then @user must live.
 * @callback: Set on success, with one reference.
 *
 * Return: 0, or as upcall_register().
 */
int upcall_callback_new(struct upcall_peer *peer, const struct upcall_options *options,
			upcall_fn fn, void *user, void (*destroy)(void *user),
			struct upcall_callback **callback);

/**
 * upcall_callback_adopt() - Give a callback of an adopted peer its function
 * @peer: The peer, after upcall_adopt().
 * @handle: Of a live callback of it; once each.
 * @fn: As for upcall_callback_new(), like all that follows.
 * @user: For @fn and @destroy.
 * @destroy: May be NULL.
 * @callback: Set on success, with one reference.
 *
 * It keeps its handle, label, limits and all else it was registered with. The function may run
 * for calls that it ran for before: those of an idempotent callback.
 *
 * Return: 0; -ESTALE it is not live; -EPERM of another peer; -EALREADY it has a function of this
 * process; -ESHUTDOWN upcall_stop() was called; -ENOMEM.
 */
int upcall_callback_adopt(struct upcall_peer *peer, uint64_t handle, upcall_fn fn, void *user,
			  void (*destroy)(void *user), struct upcall_callback **callback);

/* As upcall_export(). */
int upcall_callback_export(struct upcall_callback *callback, int *fd);

/**
 * upcall_callback_set_unreferenced() - What to run when the last stub was closed
 * @callback: Made with upcall_options_set_unreferenced().
 * @fn: Gets @callback, without a reference of its own, and its user pointer. Run with no lock held by
 *	upcall_dispatch() or upcall_run(), while calls of the same callback may run in other threads.
 *	It may do anything: release, unref or export the callback. NULL, as made: nothing.
 *
 * It is run once each time that there were stubs and are none. An export that comes before
 * the event was received takes it back.
 */
void upcall_callback_set_unreferenced(struct upcall_callback *callback,
				      void (*fn)(struct upcall_callback *callback, void *user));

/**
 * upcall_callback_ref() - Take a reference
 * @callback: With a reference that is held meanwhile.
 *
 * Return: @callback.
 */
struct upcall_callback *upcall_callback_ref(struct upcall_callback *callback);

/**
 * upcall_callback_unref() - Drop a reference; the last one releases the handle
 * @callback: May be NULL.
 *
 * Delivered calls finish. @user lives until the destroy hook has run.
 */
void upcall_callback_unref(struct upcall_callback *callback);

/**
 * upcall_callback_release() - Retire the handle although references are held
 * @callback: The references stay.
 * @flags: 0 or UPCALL_RELEASE_ABORT.
 *
 * Return: 0; -ESTALE it is retired already; -EINVAL any other flag.
 */
int upcall_callback_release(struct upcall_callback *callback, uint32_t flags);

/**
 * upcall_callback_release_sync() - Retire the handle, and wait until the function will not run
 * @callback: The references stay. It may be retired already.
 * @flags: As for upcall_callback_release().
 * @deadline: For the wait.
 *
 * Waits until the destroy hook has run: kept calls of it have to be answered too. Other events
 * than calls are seen to meanwhile, so no other thread need receive.
 *
 * Return: 0: @user may go; -EDEADLK its function runs on this very thread: nothing was done;
 * -ETIMEDOUT it is retired, and not gone yet; -EINVAL any other flag.
 */
int upcall_callback_release_sync(struct upcall_callback *callback, uint32_t flags,
				 uint64_t deadline);

/**
 * upcall_callback_handle() - The number that callers need
 * @callback: With a reference.
 *
 * Return: 1 to UPCALL_MAX_HANDLE.
 */
uint64_t upcall_callback_handle(const struct upcall_callback *callback);

/**
 * upcall_dispatch() - Receive one event and do what it asks for
 * @peer: A call to a callback that was registered by upcall_register(), or not by this process, is
 *	refused with ENOSYS.
 * @deadline: For the wait, not for the function that runs.
 *
 * Return: 1 an event was handled; -EAGAIN with UPCALL_NO_WAIT; -ETIMEDOUT; -EINTR; -ENOMEM.
 */
int upcall_dispatch(struct upcall_peer *peer, uint64_t deadline);

/**
 * upcall_run() - Dispatch until upcall_stop() has drained the peer, or it ended
 * @peer: The peer.
 * @threads: How many in all: the caller, and @threads - 1 new ones with all signals
 *	blocked, joined before the return. 0 counts as 1.
 *
 * Signals are passed over: to stop on one, block it in all threads and upcall_stop() from one that
 * waits for it by sigwait(3) or signalfd(2).
 *
 * Return: 0 when stopped or shut down; -EAGAIN or -ENOMEM a thread could not be made (the
 * peer is shut down); or what upcall_dispatch() failed with.
 */
int upcall_run(struct upcall_peer *peer, unsigned int threads);

/**
 * upcall_run_pool() - As upcall_run(), with as many threads as there is work for
 * @peer: The peer.
 * @min: Threads to begin with, and to keep; the caller is one. 0 counts as 1.
 * @max: At most so many; less than @min counts as @min.
 * @idle_ms: A thread above @min that received nothing for so many milliseconds ends.
 *
 * A thread that takes a call while no other one receives starts another one first.
 *
 * Return: as upcall_run().
 */
int upcall_run_pool(struct upcall_peer *peer, unsigned int min, unsigned int max,
		    int64_t idle_ms);

/**
 * upcall_stop() - Finish what was delivered, take nothing more, end the peer
 * @peer: The peer.
 *
 * Releases every callback of upcall_callback_new(); new ones are -ESHUTDOWN from now on. When
 * the last has come to its end, the peer is shut down and upcall_run() returns. Does not wait,
 * and may be called by a callback's function. upcall_shutdown() gives up on calls that do not
 * finish.
 *
 * Return: 0, also if it was stopped before.
 */
int upcall_stop(struct upcall_peer *peer);

/* ---- Calling ---- */

/**
 * upcall_call_new() - A call object: parameters, room for the answer, and how it went
 * @peer: Who calls. Kept alive by the object.
 * @call: Set on success; freed by upcall_call_free(). It may make any number of calls, one
 *	after the other.
 *
 * Return: 0; -ENOMEM.
 */
int upcall_call_new(struct upcall_peer *peer, struct upcall_call **call);

/**
 * upcall_call_free() - Free a call object
 * @call: May be NULL. A call that is still under way is cancelled.
 */
void upcall_call_free(struct upcall_call *call);

/* As all these parameters: stays until set again. Any number; compared with the callback's. */
void upcall_call_set_signature(struct upcall_call *call, uint64_t signature);
/* Names none, as made. */
void upcall_call_clear_signature(struct upcall_call *call);
/* Bytes, to UPCALL_MAX_PAYLOAD; they count against the caller's quota while a call is under way. */
void upcall_call_set_reply_max(struct upcall_call *call, uint32_t bytes);
/* 1: a signal handler ends the wait with -EINTR; 0, as made: the library waits again. */
void upcall_call_set_interruptible(struct upcall_call *call, int on);

/* 1: wait for room in a full queue until the deadline; 0, as made: -EAGAIN. Not for _start(). */
void upcall_call_set_wait_room(struct upcall_call *call, int on);
/* For upcall_call_notify(). 1: takes the place of the last such one that still waits; 0, as made. */
void upcall_call_set_latest(struct upcall_call *call, int on);
/* 1: run what is called back while it waits, also outside of functions; 0, as made. */
void upcall_call_set_nested(struct upcall_call *call, int on);
/* 1: not on behalf of the call whose function makes it; 0, as made. */
void upcall_call_set_detached(struct upcall_call *call, int on);

/**
 * upcall_call_set_stub() - Call through a stub, whatever handle is given
 * @call: The call object; all its ways of calling.
 * @fd: A stub. Stays the application's, open until the call was made; -1, as made: by handle.
 *
 * A call is then -EBADF if it is not open, -EINVAL if it is no stub.
 */
void upcall_call_set_stub(struct upcall_call *call, int fd);

/**
 * upcall_call_set_fds() - Descriptors to go with the next call
 * @call: The call object.
 * @fds: Stay the application's, open until the call was made; the owner gets duplicates.
 * @count: How many, to UPCALL_MAX_FDS.
 *
 * Return: 0; -EINVAL too many.
 */
int upcall_call_set_fds(struct upcall_call *call, const int *fds, unsigned int count);

/**
 * upcall_call_set_reply_fds() - How many descriptors are taken with a reply
 * @call: The call object; as made, none.
 * @max: To UPCALL_MAX_FDS.
 *
 * Return: 0; -EINVAL too many.
 */
int upcall_call_set_reply_fds(struct upcall_call *call, unsigned int max);

/* How many came with the reply. */
unsigned int upcall_call_reply_fd_count(const struct upcall_call *call);

/**
 * upcall_call_take_reply_fd() - Take a descriptor that came with the reply
 * @call: What is not taken is closed at the next use of the object.
 * @index: 0 to upcall_call_reply_fd_count() - 1.
 *
 * Return: the descriptor, close-on-exec, the application's to close; -EBADF there is none, or
 * it was taken.
 */
int upcall_call_take_reply_fd(struct upcall_call *call, unsigned int index);

/**
 * upcall_call_invoke() - Call and wait for the answer
 * @call: A call of this object that is still under way is cancelled first.
 * @handle: Whom; any value is safe.
 * @op: Which of its operations, as the two sides agreed.
 * @arg: The argument; not needed any more on return, with any result.
 * @len: Bytes of it, to UPCALL_MAX_PAYLOAD.
 * @deadline: Or UPCALL_NO_DEADLINE. The owner gets to know it.
 *
 * The object has room for the longest reply that it accepts, from its first use on. Where there is no
 * memory for that, a longer one is fetched again.
 *
 * Return: the bytes of the reply, 0 and up: the callback ran, see upcall_call_status(). Or the
 * errors of UPCALL_IOC_INVOKE: upcall_call_stage() says whether it may have run, upcall_strerror()
 * what it means. With -EINTR and upcall_call_pending(), upcall_call_wait() waits again.
 */
int upcall_call_invoke(struct upcall_call *call, uint64_t handle, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline);

/**
 * upcall_call_notify() - Call and do not wait: there will be no answer
 * @call: As for upcall_call_invoke().
 * @handle: Whom.
 * @op: Which of its operations.
 * @arg: The argument; not needed any more on return.
 * @len: Bytes of it.
 * @deadline: When it need not run any more, for the owner to know; or UPCALL_NO_DEADLINE.
 *
 * Return: 0 it is queued; or the errors of UPCALL_IOC_INVOKE.
 */
int upcall_call_notify(struct upcall_call *call, uint64_t handle, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline);

/**
 * typedef upcall_done_fn - A call that was started has ended
 * @call: Its accessors tell how. It may be used again, or freed.
 * @ret: As upcall_call_invoke() returns it.
 * @user: As given to upcall_call_start().
 */
typedef void (*upcall_done_fn)(struct upcall_call *call, int ret, void *user);

/**
 * upcall_call_start() - Call and do not wait: a function is run when the answer is there
 * @call: As for upcall_call_invoke(). Not to be used again before it has ended, but for
 *	upcall_call_cancel(), upcall_call_pending() and upcall_call_free(), which cancels it; then
 *	@done is not run.
 * @handle: Whom.
 * @op: Which of its operations.
 * @arg: The argument; not needed any more on return.
 * @len: Bytes of it.
 * @deadline: Kept by the kernel.
 * @done: Run once if this function returned 0, with no lock held, by the thread that
 *	receives the result (upcall_dispatch(), upcall_run(), upcall_next()), perhaps before
 *	this function has returned; or by upcall_close(), with -ESHUTDOWN. May be NULL.
 * @user: For @done.
 *
 * Return: 0; or the errors of UPCALL_IOC_INVOKE before its wait, with their stage. -EAGAIN also if
 * UPCALL_MAX_OUTGOING results of this peer were not received.
 */
int upcall_call_start(struct upcall_call *call, uint64_t handle, uint32_t op, const void *arg,
		      size_t len, uint64_t deadline, upcall_done_fn done, void *user);

/* struct upcall_start.flags */
#define UPCALL_START_STUB	(1U << 0)	/* @handle is a stub's descriptor */
#define UPCALL_START_SIGNATURE	(1U << 1)	/* @signature is named */

/**
 * struct upcall_start - What upcall_start() calls; zero where nothing else is wanted
 * @handle: Whom; with UPCALL_START_STUB a stub, which stays the application's.
 * @op: Which of its operations.
 * @arg: The argument; not needed any more on return.
 * @len: Bytes of it.
 * @reply_max: Bytes that are accepted as reply.
 * @deadline: Kept by the kernel; or UPCALL_NO_DEADLINE.
 * @parent: upcall_incoming_id() of the call on whose behalf it is made, not answered yet; or 0.
 * @user_data: upcall_incoming_cookie() of its RESULT.
 * @flags: UPCALL_START_*.
 * @fd_count: Descriptors to go along, to UPCALL_MAX_FDS.
 * @fds: These; they stay the application's, the owner gets duplicates.
 * @signature: With UPCALL_START_SIGNATURE.
 * @reply_fd_max: How many descriptors are taken with the reply, to UPCALL_MAX_FDS.
 */
struct upcall_start {
	uint64_t handle;
	uint32_t op;
	uint32_t reply_max;
	const void *arg;
	size_t len;
	uint64_t deadline;
	uint64_t parent;
	uint64_t user_data;
	uint32_t flags;
	uint32_t fd_count;
	const int *fds;
	uint64_t signature;
	uint32_t reply_fd_max;
};

/**
 * upcall_start() - Pull: call and do not wait; upcall_next() brings one RESULT
 * @peer: Who calls.
 * @start: What.
 * @id: Set on success, for upcall_cancel(); upcall_incoming_id() of the RESULT.
 *
 * Return: as upcall_call_start().
 */
int upcall_start(struct upcall_peer *peer, const struct upcall_start *start, uint64_t *id);

/**
 * upcall_cancel() - Pull: give a call up; its RESULT still comes
 * @peer: Who called.
 * @id: From upcall_start().
 *
 * Return: 0; -ENOENT its RESULT was received.
 */
int upcall_cancel(struct upcall_peer *peer, uint64_t id);

/**
 * upcall_call_wait() - Wait again for a call whose wait was interrupted
 * @call: With upcall_call_pending().
 * @deadline: A new one, or UPCALL_NO_DEADLINE.
 *
 * Return: as upcall_call_invoke(); -ENOENT nothing is under way.
 */
int upcall_call_wait(struct upcall_call *call, uint64_t deadline);

/**
 * upcall_call_cancel() - Give up a call whose wait was interrupted, or that was started
 * @call: With upcall_call_pending(). The completion function of one that was started still runs.
 *	Through upcall_open_stub() an answer that is there already is thrown away.
 *
 * Return: 0; -ENOENT nothing is under way.
 */
int upcall_call_cancel(struct upcall_call *call);

/* 1: a call is under way that nobody waits for, or that was started and has not ended. */
int upcall_call_pending(const struct upcall_call *call);

/* How the last call went: UPCALL_STAGE_*, also after an error; UNKNOWN before the first. */
uint32_t upcall_call_stage(const struct upcall_call *call);
/* Of the reply: 0, or the application's own failure (positive), or a library's (negative). */
int32_t upcall_call_status(const struct upcall_call *call);
/* The bytes of the reply, never NULL; valid until the next use of the object. */
const void *upcall_call_reply(const struct upcall_call *call);
/* How many there are. */
size_t upcall_call_reply_len(const struct upcall_call *call);
/* With -EMSGSIZE and NOT_DELIVERED: bytes that the callback takes. */
uint32_t upcall_call_needed(const struct upcall_call *call);
/* With -ESTALE and -EOWNERDEAD: UPCALL_REASON_*. */
uint32_t upcall_call_reason(const struct upcall_call *call);
/* With UPCALL_REASON_EXITED: as wait(2) reports it. */
uint32_t upcall_call_exit_status(const struct upcall_call *call);
/* With -ESTALE: what the owner left behind. */
uint64_t upcall_call_word(const struct upcall_call *call);
/* As upcall_incoming_seq(); 0: it was not queued. */
uint64_t upcall_call_seq(const struct upcall_call *call);
/* Nanoseconds from queued to delivered. */
uint64_t upcall_call_queued_ns(const struct upcall_call *call);
/* Nanoseconds from delivered to the answer. */
uint64_t upcall_call_run_ns(const struct upcall_call *call);
/* Nanoseconds from queued to the answer. */
uint64_t upcall_call_total_ns(const struct upcall_call *call);

/* ---- Several commands in one system call ---- */

/**
 * upcall_commands_new() - Collect commands, to be sent together
 * @peer: Whose. Kept alive by the object.
 * @commands: Set on success; freed by upcall_commands_free().
 *
 * Used by one thread at a time. What is added is carried out by upcall_commands_send(), in order;
 * arguments and replies must stay where they are until then. Each function that adds returns the
 * index of the command, 0 and up, or -E2BIG beyond UPCALL_MAX_COMMANDS, or what the arguments
 * are wrong with.
 *
 * Return: 0; -ENOMEM.
 */
int upcall_commands_new(struct upcall_peer *peer, struct upcall_commands **commands);

/**
 * upcall_commands_free() - Free the object; what was not sent is not done
 * @commands: May be NULL.
 */
void upcall_commands_free(struct upcall_commands *commands);

/* Forget what was added. Calls in it can be answered otherwise, call objects used again. */
void upcall_commands_clear(struct upcall_commands *commands);

/* As upcall_call_start(), with an object of the same peer. */
int upcall_commands_start(struct upcall_commands *commands, struct upcall_call *call,
			  uint64_t handle, uint32_t op, const void *arg, size_t len,
			  uint64_t deadline, upcall_done_fn done, void *user);
/* As upcall_call_notify(); @latest as upcall_call_set_latest(). */
int upcall_commands_notify(struct upcall_commands *commands, uint64_t handle, uint32_t op,
			   const void *arg, size_t len, uint64_t deadline, int latest);
/* As upcall_reply(). The incoming is still to be freed, after the command was sent. */
int upcall_commands_reply(struct upcall_commands *commands, struct upcall_incoming *incoming,
			  int32_t status, const void *data, size_t len);
/* As upcall_refuse(). */
int upcall_commands_refuse(struct upcall_commands *commands, struct upcall_incoming *incoming,
			   int err);
/* As upcall_cancel(). */
int upcall_commands_cancel(struct upcall_commands *commands, uint64_t id);
/* As upcall_release(). */
int upcall_commands_release(struct upcall_commands *commands, uint64_t handle, uint32_t flags);
/* As upcall_rebind(). */
int upcall_commands_rebind(struct upcall_commands *commands, uint64_t handle, uint64_t cookie);

/**
 * upcall_commands_send() - Carry out what was added, in one system call
 * @commands: What is added next begins anew.
 *
 * Return: how many failed, 0 and up; or -errno: nothing was done, and it may be sent again.
 */
int upcall_commands_send(struct upcall_commands *commands);

/* How one went that was sent: 0 or 1 as upcall_reply() says, or -errno; -EINVAL no such index. */
int upcall_commands_error(const struct upcall_commands *commands, unsigned int index);
/* Of a start or notify that failed: UPCALL_STAGE_*. */
uint32_t upcall_commands_stage(const struct upcall_commands *commands, unsigned int index);

/* ---- Names ---- */

/**
 * upcall_publish() - Let others find a callback by name
 * @peer: Its owner.
 * @name: 1 to UPCALL_NAME_MAX of A-Z a-z 0-9 . _ - and no dot in front.
 * @handle: Of @peer, alive.
 *
 * Writes a file of that name into $XDG_RUNTIME_DIR/upcall, or /run/upcall for uid 0 or where
 * XDG_RUNTIME_DIR is not set; replaces one that is there. Its mode is 0644: who finds the
 * number may call only as access says.
 *
 * Return: 0; -EINVAL no name; -ESTALE; -EPERM not this peer's; or an errno of the file system.
 */
int upcall_publish(struct upcall_peer *peer, const char *name, uint64_t handle);

/**
 * upcall_withdraw() - Take a name back
 * @peer: Any peer, also an ended one.
 * @name: As published.
 * @handle: The name is left alone unless it still stands for this one.
 *
 * Return: 0; -ENOENT no such name; -ESTALE it stands for another callback by now.
 */
int upcall_withdraw(struct upcall_peer *peer, const char *name, uint64_t handle);

/**
 * upcall_lookup() - Find a callback by name
 * @peer: Any peer.
 * @name: Looked for in $XDG_RUNTIME_DIR/upcall, then in /run/upcall.
 * @handle: Set on success. It may be dead; calling it tells.
 *
 * Return: 0; -EINVAL no name; -ENOENT no such name; -ESTALE it was published before the
 * module was loaded; -EPROTO not a file of this library; or an errno of the file system.
 */
int upcall_lookup(struct upcall_peer *peer, const char *name, uint64_t *handle);

/**
 * upcall_name_new() - A name that resolves again when its owner was replaced
 * @peer: Who calls. Kept alive by the object.
 * @name: Copied. It need not be published yet.
 * @object: Set on success; freed by upcall_name_free().
 *
 * Return: 0; -EINVAL no name; -ENOMEM.
 */
int upcall_name_new(struct upcall_peer *peer, const char *name, struct upcall_name **object);

/**
 * upcall_name_free() - Free a name object; what is published stays
 * @object: May be NULL.
 */
void upcall_name_free(struct upcall_name *object);

/**
 * upcall_name_require_uid() - Only accept callbacks that belong to this user
 * @object: The name.
 * @uid: In the caller's user namespace. The file and the kernel's word on the owner must agree with it.
 */
void upcall_name_require_uid(struct upcall_name *object, uint32_t uid);

/**
 * upcall_name_set_patience() - How long upcall_name_invoke() waits for somebody to take the name
 * @object: The name.
 * @ms: Milliseconds from its start; 0: not at all; negative, as made: until its deadline.
 */
void upcall_name_set_patience(struct upcall_name *object, int64_t ms);

/**
 * upcall_name_resolve() - The handle behind a name, now
 * @object: The name; remembers the handle.
 * @handle: Set on success.
 *
 * Return: as upcall_lookup(); -EACCES the owner is not the one that is required.
 */
int upcall_name_resolve(struct upcall_name *object, uint64_t *handle);

/**
 * upcall_name_invoke() - Call whoever has the name
 * @object: The name, of @call's peer.
 * @call: As for upcall_call_invoke(); the answer is found there.
 * @op: Which operation.
 * @arg: The argument.
 * @len: Bytes of it.
 * @deadline: As for upcall_call_invoke(). Until then, and as long as upcall_name_set_patience()
 *	says, a name that is not there, or whose owner died before it took the call, is resolved again.
 *
 * Never calls twice what may have run. Where the name was not found in time, the stage is NOT_DELIVERED.
 *
 * Return: as upcall_call_invoke(), or the last error of upcall_name_resolve().
 */
int upcall_name_invoke(struct upcall_name *object, struct upcall_call *call, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline);

/* ---- Words ---- */

/**
 * upcall_may_retry() - May the same call be made again, and could it then succeed?
 * @err: What a call returned; either sign.
 * @stage: upcall_call_stage().
 *
 * Return: 1 nothing ran, and the cause may pass; 0 it may have run, or would fail again
 * (as with -ESTALE: find the owner's new handle first).
 */
int upcall_may_retry(int err, uint32_t stage);

/* What an errno means here; either sign. As all of these: a constant string, for any number. */
const char *upcall_strerror(int err);
/* "ESTALE"; "0"; "E?" for what is no errno. */
const char *upcall_errname(int err);
/* For instance "not-delivered". */
const char *upcall_stage_name(uint32_t stage);
/* For instance "did not run and will not: a retry is safe". */
const char *upcall_stage_text(uint32_t stage);
/* For instance "exited". */
const char *upcall_reason_name(uint32_t reason);
/* For instance "the owner exited or was killed". */
const char *upcall_reason_text(uint32_t reason);
/* "same-user", "uid", "gid", "anyone", "stub-only". */
const char *upcall_access_name(uint32_t access);
/* "live", "closing", "dead". */
const char *upcall_state_name(uint32_t state);
/* "call", "result", "cancel", "released", "unreferenced". */
const char *upcall_event_name(uint32_t type);

/**
 * upcall_death_text() - Why a callback ended, with how its owner left
 * @reason: UPCALL_REASON_*.
 * @exit_status: Beside UPCALL_REASON_EXITED: as wait(2) reports it.
 * @text: Filled, always with a NUL.
 * @room: Bytes at @text, 1 or more.
 *
 * Return: @text, for instance "the owner was killed by signal 9".
 */
const char *upcall_death_text(uint32_t reason, uint32_t exit_status, char *text, size_t room);

#ifdef __cplusplus
}
#endif

#endif /* UPCALL_H */
