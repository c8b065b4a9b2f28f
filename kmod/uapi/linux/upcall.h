/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * upcall - callbacks across processes, by handle.
 *
 * This header is the manual of the ABI. All of it is spoken through ioctl(2) on
 * an open file of /dev/upcall (a *peer*) and, where noted, on a *stub fd*.
 *
 * ABI changelog
 *   1  first version. What is laid out here and not built in a module has its bit
 *      absent from upcall_info.features: its commands are ENOTTY, its flags and the
 *      members that belong to it EINVAL.
 *
 * Rules that hold for every command
 *   - Command numbers never change. The argument is a pointer to a struct whose
 *     first member is its own size in bytes, as the caller compiled it: at least
 *     the size of version 1 (else EINVAL), at most 4096 (else E2BIG). A larger
 *     struct than the kernel's is accepted if the tail that the kernel does not
 *     know is zero (else E2BIG). A smaller one gets the part it has room for.
 *   - Unknown flags, and reserved members that are not zero, are EINVAL.
 *   - Only __u32, __aligned_u64 and 8-byte multiples of char; every size is a
 *     multiple of 8; the layout is the same for 32-bit processes.
 *   - "No value means everything": a limit of 0 is zero, a target of 0 is no
 *     handle. Where "none" is wanted, there is a flag for it.
 *   - [in] is read by the kernel, [out] written, [in,out] both. Without
 *     UPCALL_INVOKE's and UPCALL_EXCHANGE's exceptions, [out] is written only when
 *     the ioctl succeeds. Pointers are user addresses in a 64-bit member.
 *   - Times are nanoseconds; deadlines are absolute CLOCK_MONOTONIC as the
 *     calling process reads it (time namespaces are honoured).
 *   - Errors of every command: EFAULT (the struct cannot be read or written),
 *     E2BIG, EINVAL (above), ENOTTY (no such command here), EPERM (the peer
 *     belongs to another process), ENOMEM (to bind it), ESHUTDOWN (the peer has ended).
 *     They are tested in this order, before anything else.
 *
 * A peer is bound to the calling process (its address space) by the first
 * command other than UPCALL_IOC_INFO; from then on every command of another
 * process is EPERM. All callbacks of a peer die when that process exits or execs,
 * when its last file descriptor is closed, when one of its threads leaves
 * UPCALL_IOC_EXCHANGE with a fatal signal, or by UPCALL_IOC_SHUTDOWN. A peer that was made
 * adoptable outlives its process, for a successor: see UPCALL_IOC_ADOPT.
 *
 * poll(2) on a peer: EPOLLIN an event can be received (a small call, at least);
 * EPOLLHUP the peer has ended; EPOLLOUT a call may be made: cleared when a call of
 * this peer is refused with EAGAIN, until the queue that refused has room for this uid
 * again, or its callback is not live any more. One refusal, the last, is remembered.
 * On a stub fd: EPOLLOUT there is room in that queue for this uid; EPOLLHUP and EPOLLERR the
 * callback is not live any more.
 */
#ifndef _UAPI_LINUX_UPCALL_H
#define _UAPI_LINUX_UPCALL_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define UPCALL_ABI_VERSION	1

#define UPCALL_IOC_MAGIC	0xC4
#define UPCALL_IOC_INFO		_IO(UPCALL_IOC_MAGIC, 0x00)
#define UPCALL_IOC_REGISTER	_IO(UPCALL_IOC_MAGIC, 0x01)
#define UPCALL_IOC_REBIND	_IO(UPCALL_IOC_MAGIC, 0x02)
#define UPCALL_IOC_RELEASE	_IO(UPCALL_IOC_MAGIC, 0x03)
#define UPCALL_IOC_STAT		_IO(UPCALL_IOC_MAGIC, 0x04)
#define UPCALL_IOC_LIST		_IO(UPCALL_IOC_MAGIC, 0x05)
#define UPCALL_IOC_EXPORT	_IO(UPCALL_IOC_MAGIC, 0x06)
#define UPCALL_IOC_INVOKE	_IO(UPCALL_IOC_MAGIC, 0x07)
#define UPCALL_IOC_EXCHANGE	_IO(UPCALL_IOC_MAGIC, 0x08)
#define UPCALL_IOC_SHUTDOWN	_IO(UPCALL_IOC_MAGIC, 0x09)
#define UPCALL_IOC_ADOPT	_IO(UPCALL_IOC_MAGIC, 0x0a)
#define UPCALL_IOC_CONFIG	_IO(UPCALL_IOC_MAGIC, 0x0b)

/*
 * Bounds of the ABI. Those a system may lower are reported by INFO as in force;
 * these are the most that any system grants.
 */
#define UPCALL_MAX_HANDLE	((1ULL << 53) - 1)	/* survives JavaScript, JSON, Lua */
#define UPCALL_MAX_LABEL	16	/* bytes, NUL-padded, need not end in NUL */
#define UPCALL_MAX_PAYLOAD	(1U << 20)	/* bytes, each way */
#define UPCALL_MAX_QUEUED_CALLS	4096	/* of one callback */
#define UPCALL_MAX_COMMANDS	256	/* in one EXCHANGE */
#define UPCALL_MAX_EVENTS	256	/* out of one EXCHANGE */
#define UPCALL_MAX_FDS		64	/* with one call or reply */
#define UPCALL_MAX_NESTING	16	/* calls within calls */
#define UPCALL_MAX_OUTGOING	16384	/* CALLs of one peer whose RESULT was not received */
#define UPCALL_MAX_ORPHAN_NS	3600000000000ULL	/* that an orphan waits: an hour */
#define UPCALL_LATEST_REACH	64	/* how far back LATEST looks for what it replaces */

/*
 * How far a call came. Beside every errno of a call stands one of these:
 * whether it may have run, and so whether it is safe to try again. Put UNKNOWN there
 * before the call: if it is still there, the struct could not be written; treat it
 * as DELIVERED.
 */
#define UPCALL_STAGE_UNKNOWN		0 /* never written by the kernel, see below */
#define UPCALL_STAGE_NOT_DELIVERED	1 /* did not run and will not: a retry is safe */
#define UPCALL_STAGE_DELIVERED		2 /* may have run, may be running */
#define UPCALL_STAGE_REPLIED		3 /* ran to its end */

/* Why a callback ended: upcall_stat.reason, upcall_invoke.reason */
#define UPCALL_REASON_NONE		0	/* it is alive */
#define UPCALL_REASON_RELEASED		1	/* RELEASE by its owner */
#define UPCALL_REASON_ABORTED		2	/* RELEASE with UPCALL_RELEASE_ABORT by its owner */
#define UPCALL_REASON_REVOKED		3	/* RELEASE by an administrator */
#define UPCALL_REASON_SHUTDOWN		4	/* SHUTDOWN of the owner's peer */
#define UPCALL_REASON_CLOSED		5	/* the owner's peer was closed */
#define UPCALL_REASON_EXITED		6	/* the owner exited or was killed */
#define UPCALL_REASON_EXEC		7	/* the owner called execve() */
#define UPCALL_REASON_UNKNOWN		8	/* its record has been forgotten */

/*
 * A negative status of a reply is reserved for libraries, a positive one is the
 * application's own failure, 0 is success. The kernel passes it on unread.
 */
#define UPCALL_STATUS_RAISED		((__u32)-1)	/* it raised: payload is UTF-8 text */

/* ------------------------------------------------------------------------- */
/*
 * INFO: what this module is. Binds nothing; allowed to every process.
 * Errors: those of every command but EPERM and ESHUTDOWN.
 */
#define UPCALL_FEATURE_SYNC		(1ULL << 0)	/* INVOKE, kept replies, resume */
#define UPCALL_FEATURE_ONEWAY		(1ULL << 1)	/* UPCALL_INVOKE_ONEWAY */
#define UPCALL_FEATURE_CANCEL		(1ULL << 2)	/* COMMAND_CANCEL, EVENT_CANCEL */
#define UPCALL_FEATURE_ASYNC		(1ULL << 3)	/* COMMAND_CALL, EVENT_RESULT */
#define UPCALL_FEATURE_NOTIFY		(1ULL << 4)	/* UPCALL_COMMAND_NOTIFY, LATEST */
#define UPCALL_FEATURE_AUTOEND		(1ULL << 5)	/* UPCALL_REGISTER_AUTOEND */
#define UPCALL_FEATURE_SERIAL		(1ULL << 6)	/* UPCALL_REGISTER_SERIAL */
#define UPCALL_FEATURE_NESTED		(1ULL << 7)	/* parents, wait_call, CONFIG */
#define UPCALL_FEATURE_WAIT_ROOM	(1ULL << 8)	/* UPCALL_INVOKE_WAIT_ROOM, EPOLLOUT */
#define UPCALL_FEATURE_FDS		(1ULL << 9)	/* descriptors with calls and replies */
#define UPCALL_FEATURE_STUB		(1ULL << 10)	/* EXPORT and all about stub fds */
#define UPCALL_FEATURE_ADOPT		(1ULL << 11)	/* ADOPT, ADOPTABLE, IDEMPOTENT */

struct upcall_info {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] 0 */
	__u32 abi_version;		/* [out] UPCALL_ABI_VERSION */
	__u32 reserved;			/* [in] 0 */
	__aligned_u64 features;		/* [out] UPCALL_FEATURE_* */
	__aligned_u64 instance;		/* [out] random, new with every load of the module */
	__u32 max_callbacks;		/* [out] in all */
	__u32 max_callbacks_user;	/* [out] of one uid */
	__u32 max_payload;		/* [out] bytes, each way */
	__u32 max_queued_calls;		/* [out] of one callback */
	__u32 max_queued_calls_user;	/* [out] by one uid */
	__u32 max_commands;		/* [out] in one EXCHANGE */
	__aligned_u64 max_queued_bytes_user; /* [out] by one uid: arguments and reply room */
	__u32 max_fds;			/* [out] with one call */
	__u32 max_nesting;		/* [out] calls within calls */
};

/* ------------------------------------------------------------------------- */
/*
 * REGISTER: a new callback. Two registrations are two callbacks, whatever they say.
 *
 * Who may call it is tested at every call, by the caller's credentials at that
 * moment; no capability overrides it.
 *
 * Errors: EINVAL (flag, access mode, access_id that is no uid or gid here, a limit
 * above its cap, a label with a byte after its NUL), EDQUOT (the uid's own
 * callbacks, or its half of what is left of the registry), ENOSPC (registry full),
 * ENOMEM, EFAULT (the handle could not be written: nothing was registered). With
 * ESHUTDOWN a handle may have been written: it is dead.
 */
#define UPCALL_ACCESS_SAME_USER	0	/* effective uid, user and pid namespace of the owner */
#define UPCALL_ACCESS_UID	1	/* effective uid access_id */
#define UPCALL_ACCESS_GID	2	/* effective or supplementary gid access_id */
#define UPCALL_ACCESS_ANYONE	3
#define UPCALL_ACCESS_STUB_ONLY	4	/* nobody by handle, its owner neither; stub fds only */

#define UPCALL_REGISTER_SIGNATURE	(1U << 0) /* callers must name the same signature */
#define UPCALL_REGISTER_AUTOEND		(1U << 1) /* notifications end when delivered; not SERIAL */
#define UPCALL_REGISTER_SERIAL		(1U << 2) /* one call at a time, strictly in order: the next
						   * one is delivered when this one has had its
						   * owner's end
						   */
#define UPCALL_REGISTER_IDEMPOTENT	(1U << 3) /* a successor may run a delivered call again: see
						   * ADOPT. Its argument is kept until its end
						   */
#define UPCALL_REGISTER_UNREFERENCED	(1U << 4) /* event when the last stub fd is closed; not
						   * AUTO_RELEASE
						   */
#define UPCALL_REGISTER_AUTO_RELEASE	(1U << 5) /* RELEASE when the last stub fd is closed */
#define UPCALL_REGISTER_FDS		(1U << 6) /* calls may carry descriptors */

/*
 * File descriptors ride with calls (where the callback was registered with FDS) and with
 * replies (where the caller said how many it takes). They are taken at the submit, and
 * arrive as new descriptors with O_CLOEXEC, all of one call or none. Any file may ride but
 * a peer, a unix socket and an io_uring instance: those could hold each other for ever.
 * While they ride, either way, they are counted against the caller's uid: 4096 of one (EMFILE);
 * those of a call are, with what rides already, also at most the caller's RLIMIT_NOFILE. If the
 * caller leaves while they are being delivered, they count against the owner's uid.
 * One EXCHANGE hands out at most UPCALL_MAX_FDS. Where the receiver's table has no room for
 * all of one call, or a security module objects, they are closed, and it is told:
 * UPCALL_CALL_FDS_LOST, or EMFILE with the result.
 */

struct upcall_register {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] UPCALL_REGISTER_* */
	__aligned_u64 cookie;		/* [in] the owner's; in its events only */
	char label[UPCALL_MAX_LABEL];	/* [in] for people, NUL-padded */
	__aligned_u64 signature;	/* [in] with UPCALL_REGISTER_SIGNATURE, else 0 */
	__aligned_u64 word;		/* [in] left for callers: upcall_stat.word */
	__u32 access;			/* [in] UPCALL_ACCESS_* */
	__u32 access_id;		/* [in] uid or gid in the owner's user namespace, else 0 */
	__u32 max_arg;			/* [in] bytes, 0 to UPCALL_MAX_PAYLOAD */
	__u32 max_queued_calls;		/* [in] 1 to UPCALL_MAX_QUEUED_CALLS */
	__aligned_u64 max_queued_bytes;	/* [in] of arguments waiting; at least max_arg,
					 *	at most 4 GiB
					 */
	__aligned_u64 handle;		/* [out] 1 to UPCALL_MAX_HANDLE; unique */
};

/* ------------------------------------------------------------------------- */
/*
 * REBIND: another cookie for a live callback of this peer, and optionally another
 * word. No delivery that begins after it returned carries the old cookie.
 * Errors: ESTALE (no live callback), EPERM (of another peer).
 */
#define UPCALL_REBIND_WORD	(1U << 0)	/* set word too */

struct upcall_rebind {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] UPCALL_REBIND_* */
	__aligned_u64 handle;		/* [in] */
	__aligned_u64 cookie;		/* [in] */
	__aligned_u64 word;		/* [in] with UPCALL_REBIND_WORD, else 0 */
};

/* ------------------------------------------------------------------------- */
/*
 * RELEASE: retires a callback. Calls that still wait in its queue fail with ESTALE
 * and NOT_DELIVERED, as do all later ones. Calls that were delivered may finish;
 * with ABORT they fail now with ECANCELED and DELIVERED, and the owner gets a CANCEL
 * event for each that has a caller. When each delivered call has had its owner's end
 * (REPLY or REFUSE, which then answer ENOENT), the owner gets one RELEASED event with
 * the cookie.
 *
 * ABORT is also allowed on a callback that is closing already. With CAP_SYS_ADMIN
 * in the user namespace of the owner, ABORT works on any callback (it is REVOKED).
 *
 * Errors: ESTALE, EPERM (of another peer).
 */
#define UPCALL_RELEASE_ABORT	(1U << 0)
#define UPCALL_RELEASE_WORD	(1U << 1)	/* set word first; not one's own: EINVAL */

struct upcall_release {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] UPCALL_RELEASE_* */
	__aligned_u64 handle;		/* [in] */
	__aligned_u64 word;		/* [in] with UPCALL_RELEASE_WORD, else 0 */
};

/* ------------------------------------------------------------------------- */
/*
 * STAT: what a handle is, or why it is no more. A handle is never reused, so what
 * STAT says of its owner stays true of every later call.
 *
 * Live: answered to its owner, to those who may call it, and with CAP_SYS_ADMIN in
 * the owner's user namespace (else EACCES). Dead: answered to everyone as long as the
 * record is kept (a fixed number of the last ones); after that state is DEAD with
 * UPCALL_REASON_UNKNOWN. ESTALE: never issued by this load of the module.
 */
#define UPCALL_STATE_LIVE	1
#define UPCALL_STATE_CLOSING	2	/* retired; delivered calls are not all finished */
#define UPCALL_STATE_DEAD	3

struct upcall_stat {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] 0 */
	__aligned_u64 handle;		/* [in] on a stub fd 0 */
	__u32 state;			/* [out] UPCALL_STATE_* */
	__u32 reason;			/* [out] UPCALL_REASON_* */
	__u32 exit_status;		/* [out] with EXITED: as wait(2) reports it */
	__u32 owned;			/* [out] 1: by this peer, see "own" */
	__aligned_u64 died_ns;		/* [out] CLOCK_MONOTONIC, 0 while it lives */
	__aligned_u64 word;		/* [out] what the owner left; LIVE: "own" */

	/*
	 * The owner as of REGISTER, in the caller's namespaces; unmapped: -1. Not set when DEAD.
	 * After an ADOPT pid and start_time are its successor's; access is as before.
	 */
	__u32 uid;			/* [out] effective */
	__u32 gid;			/* [out] effective */
	__u32 pid;			/* [out] of the process */
	__u32 access;			/* [out] UPCALL_ACCESS_* */
	__u32 access_id;		/* [out] uid or gid */
	__u32 register_flags;		/* [out] UPCALL_REGISTER_* */
	__aligned_u64 start_time;	/* [out] of the process: field 22 of /proc/PID/stat */
	char label[UPCALL_MAX_LABEL];	/* [out] */
	__aligned_u64 signature;	/* [out] */
	__u32 max_arg;			/* [out] bytes */
	__u32 max_queued_calls;		/* [out] */
	__aligned_u64 max_queued_bytes;	/* [out] */

	/* own */
	__aligned_u64 cookie;		/* [out] */
	__aligned_u64 registered_ns;	/* [out] CLOCK_MONOTONIC */
	__u32 stubs;			/* [out] open stub fds */
	__u32 queued;			/* [out] calls that wait */
	__aligned_u64 queued_bytes;	/* [out] of their arguments */
	__u32 running;			/* [out] delivered calls without their owner's end */
	__u32 reserved;			/* [out] 0 */
	__aligned_u64 calls;		/* [out] accepted so far, notifications among them */
	__aligned_u64 delivered;	/* [out] */
	__aligned_u64 replied;		/* [out] replies that reached their caller */
	__aligned_u64 refused;		/* [out] calls turned away for want of room */
	__aligned_u64 queued_ns;	/* [out] sum of times from queued to delivered */
	__aligned_u64 run_ns;		/* [out] sum of times from delivered to the owner's end; of
					 *	a notification that AUTOEND ends: 0
					 */
};

/* ------------------------------------------------------------------------- */
/*
 * LIST: a cursor over callbacks, peers, calls or users. One's own (same effective
 * uid and user namespace), and those in user namespaces where the caller has
 * CAP_SYS_ADMIN. Start with cursor 0; each call fills buffer with whole records
 * of record_size bytes and moves cursor on; it is the end when count is 0.
 * What is created or dies meanwhile may or may not be listed.
 *
 * Errors: EINVAL (what; record_size under 8 or over 4096, or no multiple of 8),
 * EMSGSIZE (buffer holds no record), EFAULT, EINTR (a signal, and no record yet).
 */
#define UPCALL_LIST_CALLBACKS	1	/* struct upcall_list_callback */
#define UPCALL_LIST_PEERS	2	/* struct upcall_list_peer; those that are bound */
#define UPCALL_LIST_CALLS	3	/* struct upcall_list_call */
#define UPCALL_LIST_USERS	4	/* struct upcall_list_user */

struct upcall_list {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] 0 */
	__u32 what;			/* [in] UPCALL_LIST_* */
	__u32 record_size;		/* [in] sizeof the record, as the caller compiled it */
	__aligned_u64 cursor;		/* [in,out] 0 to start; opaque */
	__aligned_u64 buffer;		/* [in] pointer */
	__u32 buffer_len;		/* [in] bytes; more than 1 MiB is not used */
	__u32 count;			/* [out] records written */
};

/* Every member of a record is [out]. Ids are as the caller's namespaces show them, else -1. */
struct upcall_list_callback {
	__aligned_u64 handle;
	__aligned_u64 peer;		/* upcall_list_peer.peer */
	char label[UPCALL_MAX_LABEL];
	__u32 state;			/* UPCALL_STATE_LIVE or UPCALL_STATE_CLOSING */
	__u32 access;
	__u32 access_id;
	__u32 register_flags;
	__u32 pid;
	__u32 uid;
	__u32 queued;
	__u32 running;
	__aligned_u64 queued_bytes;
	__aligned_u64 calls;
	__aligned_u64 refused;
	__aligned_u64 registered_ns;	/* CLOCK_MONOTONIC */
	__aligned_u64 queued_ns;
	__aligned_u64 run_ns;
};

struct upcall_list_peer {
	__aligned_u64 peer;		/* a number of its own; 1 and up */
	__u32 pid;
	__u32 uid;
	__u32 callbacks;		/* that count: RELEASED not yet received */
	__u32 queued;			/* calls to it */
	__u32 running;			/* calls to it */
	__u32 waiting;			/* calls by it, without their result yet */
	__u32 receivers;		/* threads that wait for events */
	__u32 ended;			/* 1: it has ended, but is still open; 2: its process has,
					 *	and it waits for a successor
					 */
};

struct upcall_list_call {
	__aligned_u64 handle;
	__aligned_u64 owner_peer;
	__aligned_u64 caller_peer;	/* 0: it has left, or called on a stub fd */
	__aligned_u64 call;		/* the owner's id of the call */
	__aligned_u64 age_ns;		/* since it was queued */
	__aligned_u64 deadline_ns;	/* CLOCK_MONOTONIC; 0: none */
	__u32 owner_pid;
	__u32 caller_pid;
	__u32 caller_tid;
	__u32 caller_uid;
	__u32 stage;			/* UPCALL_STAGE_NOT_DELIVERED: queued */
	__u32 op;
	__u32 flags;			/* UPCALL_CALL_* */
	__u32 arg_len;			/* bytes */
	char label[UPCALL_MAX_LABEL];
};

struct upcall_list_user {
	__u32 uid;
	__u32 depth;			/* of the user namespace it is counted in; 0: the first */
	__u32 callbacks;
	__u32 queued_calls;
	__aligned_u64 queued_bytes;
	__u32 fds;
	__u32 reserved;			/* 0 */
};

/* ------------------------------------------------------------------------- */
/*
 * EXPORT: a stub fd, which may call this one callback and nothing else. O_CLOEXEC. Each is
 * an open file of its own. Whoever holds it may call, whatever the callback's access says: it can
 * be inherited, be passed over a unix socket, and ride in a call, to a process that could
 * not open /dev/upcall. It binds to no process. Its commands are INFO, STAT (handle 0) and INVOKE
 * (target 0); all others are ENOTTY. It does not keep its callback alive, nor its owner.
 *
 * A call_id of an INVOKE on a stub fd is of the process that made it; what that one did not come
 * back to ends with it, or, if it had closed the stub fd before, with the last close of that.
 *
 * An INVOKE on a stub fd that takes descriptors with its reply takes it at once (reply_room is
 * reply_max, else EINVAL), and its wait is not interrupted after delivery, but by death: a reply
 * that stays on a stub fd may not hold that stub fd.
 *
 * UNREFERENCED: when the last stub fd of a callback that was registered so is closed (each
 * that rides in a call is open), the owner gets one event of that type, unless there is a
 * new one before it is received. After that the next last one is told again.
 * With AUTO_RELEASE the callback is RELEASEd instead, in the same moment.
 *
 * Errors: ESTALE, EPERM (of another peer), EMFILE, ENFILE, ENOMEM, EFAULT. fd may have been
 * written with any of them: no descriptor has been made then.
 */
struct upcall_export {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] 0 */
	__aligned_u64 handle;		/* [in] of this peer */
	__u32 fd;			/* [out] */
	__u32 reserved;			/* [in] 0 */
};

/* ------------------------------------------------------------------------- */
/*
 * INVOKE: one call, and the wait for its answer; with ONEWAY, a notification, without.
 *
 * Unlike other commands it writes its [out] members also when it fails with an
 * errno, if they can be written; stage is then the important one. But with a call_id, an
 * error that is found before the wait (EINVAL, EPERM, ESHUTDOWN, ENOENT, EBUSY) writes
 * nothing: it says nothing about that call.
 *
 * Waiting again: when the wait is interrupted after delivery, or a reply is kept
 * because it did not fit reply_room (but fits reply_max), call_id is not 0. The same INVOKE
 * again waits for that call, or fetches that reply: with a call_id only reply, reply_room,
 * reply_fds, reply_fd_room and the deadline are read, the rest is ignored. So a handler with
 * SA_RESTART, a freezer or a debugger is transparent, and nothing is submitted
 * twice. A call that nobody waits for any more is ended by UPCALL_COMMAND_CANCEL.
 *
 * The argument of an INVOKE is read when it is made. But 16 KiB and more, without ONEWAY and if
 * the callback is not IDEMPOTENT, may be read as late as they are delivered, from the caller's
 * own memory, so that they are copied once. What another thread changes there while the call is
 * in the queue the owner may see or not, page by page, and what it was handed in vain (EFAULT)
 * may differ from what it is handed in the end. Nothing is read once INVOKE has returned: of a
 * call whose caller leaves while its argument is being copied the stage is DELIVERED, and the
 * owner never receives it.
 *
 * Nested calls: a call that is made while another one runs here may name that one as its
 * parent. Calls that name their parents form a chain; a thread that waits in EXCHANGE for one
 * of its calls (wait_call) can be handed the calls of that chain which lead back to its
 * peer. A thread in INVOKE cannot.
 *
 * LATEST: a notification that is out of date once there is a newer one. If the newest call of
 * this peer (on stub fds: of this process) in the queue of the callback is a notification with
 * LATEST and the same op, and among the last UPCALL_LATEST_REACH calls there, the new one takes
 * its place in the queue; upcall_event_call.dropped counts how many were replaced so. Otherwise
 * it is queued as any.
 *
 * Errors, in the order in which they are tested; the stage is NOT_DELIVERED
 * unless it says otherwise:
 *   EINVAL      flags; members that do not belong to them; arg_len or reply_max above
 *               UPCALL_MAX_PAYLOAD; reply_max below reply_room; fd_count or reply_fd_room
 *               above UPCALL_MAX_FDS
 *   ENOENT      call_id is no INVOKE of this peer (on a stub fd: of this process); parent is no
 *               call that runs on it
 *   EBUSY       another thread waits for call_id
 *   ELOOP       nested deeper than UPCALL_MAX_NESTING
 *   EBADF, EINVAL  STUB_FD: target is not open, or no stub fd
 *   ESTALE      no live callback: never issued, released, its owner is gone. reason,
 *               exit_status and word say more, where known
 *   EACCES      may not call it; not through a stub fd
 *   EPROTOTYPE  signature differs from what the callback demands
 *   EMSGSIZE    arg_len above its max_arg: needed says how much it takes
 *   EMFILE      it takes no descriptors
 *   ETIMEDOUT   the deadline passed                        (NOT_DELIVERED or DELIVERED)
 *   EDQUOT      the caller's uid has too many calls or bytes under way
 *   ENOMEM, EFAULT  the argument could not be taken
 *   EBADF, EINVAL, EMFILE  a descriptor is not open, may not ride, is one too many in flight
 *   EDEADLK     the owner waits in this chain, has declared that it has ONE_THREAD, and
 *               does not take nested calls there; not with ONEWAY
 *   EAGAIN      the callback's queue is full, or this uid has its half of it; with
 *               WAIT_ROOM it waits for room instead, until the deadline
 *   EINTR       a signal handler ran        (NOT_DELIVERED, or DELIVERED and call_id)
 *   EOWNERDEAD  the owner died, or shut down, with the call (DELIVERED); or one died, and its
 *               successor ended the callback (DELIVERED)
 *   ECANCELED   cancelled, or aborted by RELEASE           (NOT_DELIVERED or DELIVERED)
 *   ESHUTDOWN   SHUTDOWN of this peer                      (NOT_DELIVERED or DELIVERED)
 *   EMSGSIZE    the reply is kept: needed is its length    (REPLIED, and call_id)
 *   EMFILE      the reply's descriptors could not be installed, or are more than
 *               reply_fd_room by now, and are lost; its bytes were written (REPLIED)
 *   EFAULT      the reply or the struct could not be written (REPLIED; the reply is lost.
 *               ONEWAY: it is queued all the same)
 *   any other   the owner refused the call with it         (NOT_DELIVERED; DELIVERED if an
 *               owner before this one died with it)
 */
#define UPCALL_INVOKE_ONEWAY		(1U << 0) /* no answer wanted; returns once queued */
#define UPCALL_INVOKE_NO_DEADLINE	(1U << 1) /* deadline_ns is 0 and not used */
#define UPCALL_INVOKE_SIGNATURE		(1U << 2) /* signature is set */
#define UPCALL_INVOKE_STUB_FD		(1U << 3) /* target is a stub fd */
#define UPCALL_INVOKE_WAIT_ROOM		(1U << 4) /* wait for room instead of EAGAIN */
#define UPCALL_INVOKE_LATEST		(1U << 5) /* with ONEWAY: see above */

struct upcall_invoke {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] UPCALL_INVOKE_* */
	__aligned_u64 target;		/* [in] handle; stub fd with STUB_FD; 0 on a stub fd */
	__aligned_u64 deadline_ns;	/* [in] absolute; ONEWAY: passed on to the owner */
	__aligned_u64 arg;		/* [in] pointer */
	__aligned_u64 reply;		/* [in] pointer; ONEWAY: 0 */
	__u32 arg_len;			/* [in] bytes, 0 to UPCALL_MAX_PAYLOAD */
	__u32 reply_room;		/* [in] bytes at reply; ONEWAY: 0 */
	__u32 reply_max;		/* [in] the longest reply that is accepted; ONEWAY: 0 */
	__u32 op;			/* [in] which operation; passed on unread */
	__aligned_u64 signature;	/* [in] with SIGNATURE, else 0 */
	__aligned_u64 parent;		/* [in] upcall_event_call.call that this one is nested
					 *	in, or 0; ONEWAY: 0
					 */
	__aligned_u64 fds;		/* [in] pointer to __u32 */
	__aligned_u64 reply_fds;	/* [in] pointer to __u32; ONEWAY: 0 */
	__u32 fd_count;			/* [in] 0 to UPCALL_MAX_FDS */
	__u32 reply_fd_room;		/* [in] descriptors taken with the reply; ONEWAY: 0 */
	__aligned_u64 call_id;		/* [in,out] 0: a new call */
	__u32 stage;			/* [out] UPCALL_STAGE_*; ONEWAY: NOT_DELIVERED yet */
	__u32 status;			/* [out] the reply's; 0 without a reply */
	__u32 reply_len;		/* [out] bytes written to reply */
	__u32 reply_fd_count;		/* [out] descriptors written to reply_fds */
	__u32 needed;			/* [out] with EMSGSIZE: bytes; else 0 */
	__u32 reason;			/* [out] with ESTALE, EOWNERDEAD: UPCALL_REASON_*, else 0 */
	__u32 exit_status;		/* [out] with UPCALL_REASON_EXITED, as wait(2) reports it */
	__u32 reserved;			/* [out] 0 */
	__aligned_u64 word;		/* [out] with ESTALE: what the owner left; else 0 */
	__aligned_u64 seq;		/* [out] upcall_event_call.seq; 0: not queued */
	__aligned_u64 queued_ns;	/* [out] from queued to delivered; 0: not delivered */
	__aligned_u64 run_ns;		/* [out] from delivered to the answer */
	__aligned_u64 total_ns;		/* [out] from queued to the answer */
};

/* ------------------------------------------------------------------------- */
/*
 * EXCHANGE: commands in, events out, one system call for many of both.
 *
 * The commands are carried out in order, each with its own error; a failed one does
 * not stop those behind it. Some are read ahead, and arguments of CALLs and NOTIFYs in a row are
 * read before the first of these is queued. Then, if every command succeeded and events_len is
 * not 0, events are received: at once what there is, else the call waits for one.
 * If a command failed, only what there is at once is received.
 *
 * Events are written to the buffer one behind the other, each at a multiple of
 * 8, upcall_event.size bytes long. At most max_calls of them are CALLs, at most
 * UPCALL_MAX_EVENTS in all. A batch is delivered when it and this struct were
 * written; if that faults, all of it is put back (EFAULT), in front of the queue.
 *
 * Several threads may receive on one peer; each event goes to one of them: a call to the one
 * that began to wait last. A thread that was handed an event returns it even if a signal or
 * its deadline came too.
 *
 * wait_call: waits for one CALL of this peer, and receives only its RESULT, which goes to
 * no other thread meanwhile, and of its chain the CALLs that lead back to this peer (if max_calls
 * is not 0), their CANCELs, and those of the calls that it is nested in. So one thread on each
 * side is enough for calls back and forth. With
 * WAIT_COMMAND wait_call is the index of a CALL among the commands of this very EXCHANGE.
 *
 * Once a command was processed, or an event received, the ioctl returns 0, and wait_error
 * says how the wait ended. Otherwise it fails with that errno:
 *   EINVAL      flags, command_size, reserved members; wait_call or WAIT_COMMAND with events_len
 *               0; WAIT_COMMAND that names no CALL of these
 *   E2BIG       command_count above UPCALL_MAX_COMMANDS
 *   EAGAIN      nothing to receive, and NONBLOCK
 *   ETIMEDOUT   the deadline passed
 *   EINTR       a signal handler ran (restarted by SA_RESTART)
 *   EMSGSIZE    the next event is larger than events_len: needed says its size (the struct
 *               is written also if the ioctl fails with it)
 *   EDQUOT      there are calls, but this uid owes the end of too many (twice
 *               max_queued_calls_user, or max_queued_bytes_user of arguments that are kept, with
 *               those whose callers have left): answer some
 *   ENOENT      wait_call is no CALL of this peer, or another thread has its RESULT
 *   EBUSY       another thread waits for wait_call
 *   ESHUTDOWN   the peer ended
 *   EFAULT      a command could not be read, or its result not be written: it was not carried
 *               out, those before it were (if the memory changes while commands run, it and up
 *               to 7 behind it, too); or the events could not be written: all commands were
 */
#define UPCALL_EXCHANGE_NONBLOCK	(1U << 0)
#define UPCALL_EXCHANGE_NO_DEADLINE	(1U << 1) /* deadline_ns is 0 and not used */
#define UPCALL_EXCHANGE_WAIT_COMMAND	(1U << 2) /* wait_call is the index of a command */

struct upcall_exchange {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] UPCALL_EXCHANGE_* */
	__aligned_u64 deadline_ns;	/* [in] absolute */
	__aligned_u64 commands;		/* [in] pointer to struct upcall_command, [in,out] each */
	__aligned_u64 events;		/* [in] pointer, 8-byte aligned (else EINVAL) */
	__u32 command_count;		/* [in] 0 to UPCALL_MAX_COMMANDS */
	__u32 command_size;		/* [in] sizeof(struct upcall_command); to 4096, by 8 */
	__u32 events_len;		/* [in] bytes; 0: receive nothing */
	__u32 max_calls;		/* [in] 0: no CALLs, other events only */
	__aligned_u64 wait_call;	/* [in] call_id of a CALL, or 0; see WAIT_COMMAND */
	__u32 commands_failed;		/* [out] how many have an error */
	__u32 event_count;		/* [out] */
	__u32 events_used;		/* [out] bytes */
	__u32 wait_error;		/* [out] 0, or the errno with which the wait ended */
	__u32 needed;			/* [out] with EMSGSIZE: bytes for the next event; else 0 */
	__u32 reserved;			/* [in] 0 */
};

/*
 * Commands. Members that a command does not use must be 0 (else EINVAL).
 *
 *   CALL     an asynchronous call. flags: UPCALL_INVOKE_NO_DEADLINE, SIGNATURE, STUB_FD.
 *            If it is accepted, exactly one RESULT event follows, with user_data. Errors as
 *            of INVOKE before its wait, with their stage, and EAGAIN also for
 *            UPCALL_MAX_OUTGOING RESULTs that this peer has not received
 *   NOTIFY   a notification. flags as CALL, and UPCALL_INVOKE_LATEST
 *   REPLY    target: call; data, data_len, status; fds, fd_count. To a notification: no data,
 *            status 0. ENOENT nobody wants it any more, or no such call: either way it has had
 *            its owner's end. EMSGSIZE the caller takes only `needed' bytes, EMFILE only
 *            `needed' descriptors or too many in flight, ENOMEM (its memory cgroup; may pass),
 *            EFAULT, EBADF, EINVAL: the call is still to be answered
 *   REFUSE   target: call; status: an errno, 1 to 511. The call was not run and will not
 *            be: its caller gets this errno and NOT_DELIVERED (DELIVERED, if it came with
 *            UPCALL_CALL_AGAIN). ENOENT as above; EINVAL
 *   CANCEL   target: a call_id of this peer: of a CALL, or of an INVOKE that nobody waits for.
 *            Before delivery it is taken back, after it the owner gets CANCEL; a kept reply is
 *            dropped. The RESULT of a CALL still comes: ECANCELED, or what was faster; 0 also
 *            if it is there already, and was not received.
 *            ENOENT no such call; EBUSY a thread waits for it (INVOKE)
 *   RELEASE  target: handle; flags UPCALL_RELEASE_*; value: word. As the ioctl
 *   REBIND   target: handle; flags UPCALL_REBIND_*; user_data: cookie; value: word. As the ioctl
 */
#define UPCALL_COMMAND_CALL	1
#define UPCALL_COMMAND_NOTIFY	2
#define UPCALL_COMMAND_REPLY	3
#define UPCALL_COMMAND_REFUSE	4
#define UPCALL_COMMAND_CANCEL	5
#define UPCALL_COMMAND_RELEASE	6
#define UPCALL_COMMAND_REBIND	7

struct upcall_command {
	__u32 type;			/* [in] UPCALL_COMMAND_* */
	__u32 flags;			/* [in] of the command */
	__aligned_u64 target;		/* [in] handle, stub fd or call */
	__aligned_u64 user_data;	/* [in] CALL: in its RESULT; REBIND: cookie */
	__aligned_u64 value;		/* [in] RELEASE, REBIND: word; CALL, NOTIFY: signature */
	__aligned_u64 data;		/* [in] pointer */
	__u32 data_len;			/* [in] bytes, 0 to UPCALL_MAX_PAYLOAD */
	__u32 status;			/* [in] REPLY: status; REFUSE: errno; CALL, NOTIFY: op */
	__aligned_u64 deadline_ns;	/* [in] CALL, NOTIFY */
	__aligned_u64 parent;		/* [in] CALL: as of INVOKE */
	__aligned_u64 fds;		/* [in] CALL, NOTIFY, REPLY: pointer to __u32 */
	__u32 fd_count;			/* [in] 0 to UPCALL_MAX_FDS */
	__u32 reply_max;		/* [in] CALL: the longest reply that is accepted */
	__aligned_u64 call_id;		/* [out] CALL: for CANCEL */
	__u32 error;			/* [out] 0 or an errno */
	__u32 stage;			/* [out] CALL, NOTIFY: UPCALL_STAGE_* with error; else 0 */
	__u32 needed;			/* [out] with EMSGSIZE: bytes; EMFILE: fds; else 0 */
	__u32 reply_fd_max;		/* [in] CALL: descriptors taken with the reply */
};

/*
 * Events. Each begins with struct upcall_event; a payload begins payload_offset bytes
 * behind the event's start. Skip types you do not know: size leads to the next.
 * New types come only to those who asked for them.
 */
#define UPCALL_EVENT_CALL		1	/* struct upcall_event_call */
#define UPCALL_EVENT_RESULT		2	/* struct upcall_event_result */
#define UPCALL_EVENT_CANCEL		3	/* struct upcall_event_cancel */
#define UPCALL_EVENT_RELEASED		4	/* struct upcall_event */
#define UPCALL_EVENT_UNREFERENCED	5	/* struct upcall_event */

struct upcall_event {
	__u32 size;			/* bytes with payload and padding, a multiple of 8 */
	__u32 type;			/* UPCALL_EVENT_* */
	__aligned_u64 handle;		/* of the callback */
	__aligned_u64 cookie;		/* the callback's, now; RESULT: user_data */
};

/* What a call is: upcall_event_call.flags, upcall_list_call.flags */
#define UPCALL_CALL_ONEWAY	(1U << 0)	/* a notification: REPLY without bytes ends it */
#define UPCALL_CALL_STUB	(1U << 1)	/* came through a stub fd */
#define UPCALL_CALL_ENDED	(1U << 2)	/* nothing to answer (AUTOEND) */
#define UPCALL_CALL_NO_DEADLINE	(1U << 3)	/* deadline_ns is 0 */
#define UPCALL_CALL_LEFT	(1U << 4)	/* LIST: its caller does not wait any more */
#define UPCALL_CALL_FDS_LOST	(1U << 5)	/* it came with descriptors, which are closed */
#define UPCALL_CALL_LATEST	(1U << 6)	/* a notification sent as LATEST */
#define UPCALL_CALL_AGAIN	(1U << 7)	/* an owner died with it, and may have run it */

/*
 * CALL: run this, then REPLY or REFUSE with the id in call. The caller's ids are as of
 * its submit, in the receiver's namespaces; unmapped: -1. They are the kernel's word.
 */
struct upcall_event_call {
	struct upcall_event event;
	__aligned_u64 call;		/* id of this peer's; never 0 */
	__aligned_u64 seq;		/* increasing: the order of this callback's calls; with
					 *	LATEST the order of each caller's
					 */
	__aligned_u64 deadline_ns;	/* CLOCK_MONOTONIC of the receiver */
	__aligned_u64 start_time;	/* of the caller: field 22 of /proc/PID/stat */
	__u32 flags;			/* UPCALL_CALL_* */
	__u32 op;			/* as the caller gave it */
	__u32 pid;			/* of the caller's process */
	__u32 tid;			/* of the calling thread */
	__u32 uid;			/* effective */
	__u32 gid;			/* effective */
	__u32 reply_max;		/* bytes the caller accepts */
	__u32 dropped;			/* latest-wins: notifications that this one replaced */
	__u32 payload_offset;		/* from the start of the event */
	__u32 payload_len;		/* bytes */
	__u32 fds_offset;		/* from the start of the event, to __u32 each */
	__u32 fd_count;
	__u32 reply_fd_max;		/* descriptors the caller takes with the reply */
	__u32 depth;			/* calls within calls: 1, or one more than its parent's */
};

/*
 * RESULT: the one answer to a CALL command. Its members mean what those of struct upcall_invoke
 * do. EMFILE with REPLIED: the reply's descriptors are lost.
 */
struct upcall_event_result {
	struct upcall_event event;	/* cookie: user_data of the command */
	__aligned_u64 call_id;		/* as the command returned it */
	__aligned_u64 seq;
	__u32 error;			/* 0 or an errno, as of INVOKE */
	__u32 stage;			/* UPCALL_STAGE_* */
	__u32 status;			/* of the reply */
	__u32 reason;			/* UPCALL_REASON_* */
	__u32 exit_status;
	__u32 reserved;			/* 0 */
	__aligned_u64 word;
	__aligned_u64 queued_ns;
	__aligned_u64 run_ns;
	__aligned_u64 total_ns;
	__u32 payload_offset;
	__u32 payload_len;
	__u32 fds_offset;
	__u32 fd_count;
};

/*
 * CANCEL: nobody wants the answer to this call any more. Its REPLY or REFUSE is
 * still owed, and answered ENOENT.
 */
struct upcall_event_cancel {
	struct upcall_event event;
	__aligned_u64 call;		/* upcall_event_call.call */
	__u32 error;			/* why: what its caller was told */
	__u32 reserved;			/* 0 */
};

/* ------------------------------------------------------------------------- */
/*
 * SHUTDOWN: ends the peer although threads wait in it. Its callbacks die, its calls
 * are given up, all waits return ESHUTDOWN, as does every later command but INFO.
 * Errors: those of every command. ESHUTDOWN if it has ended already.
 */
#define UPCALL_SHUTDOWN_WORD	(1U << 0)	/* set the word of every callback first */

struct upcall_shutdown {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] UPCALL_SHUTDOWN_* */
	__aligned_u64 word;		/* [in] with UPCALL_SHUTDOWN_WORD, else 0 */
};

/* ------------------------------------------------------------------------- */
/*
 * ADOPT: takes over the peer of a dead process, whose callbacks go on as if nothing had
 * happened. For a service that is restarted: whoever starts it keeps the peer open, too.
 *
 * A peer is adoptable when its process said so with CONFIG. When that process then exits or
 * execs, and the file is still open elsewhere, the peer is an orphan: for at most orphan_ns, or
 * until the last close. Then it ends, with the reason and the exit status of that process.
 * A fatal signal does not end it before the process's memory goes; SHUTDOWN and the last
 * close end it at any time. Of an orphan
 *   - callbacks are LIVE, queued calls wait, and new ones are accepted; deadlines, signals and
 *     CANCEL end them as ever
 *   - delivered calls end with EOWNERDEAD and DELIVERED. Those of a callback that was registered
 *     IDEMPOTENT, and is LIVE, go back into the queue, in front, in the order of their seq, even
 *     beyond its limits, and are delivered again with UPCALL_CALL_AGAIN and the same id; so are
 *     delivered notifications. But not a call whose caller has left, nor one that came with
 *     descriptors: these end. What was delivered once is DELIVERED from then on, whatever
 *     ends it, is not taken back by a signal (it is waited for again by its call_id), and not
 *     replaced by LATEST
 *   - its CANCEL events are dropped, RELEASED and UNREFERENCED wait for the successor
 *   - what it called itself is given up, as by SHUTDOWN; its RESULTs are dropped
 *   - every command is EPERM but INFO and ADOPT, and poll says no EPOLLHUP
 *
 * The successor is any process that has the file and the effective uid and user namespace
 * which the dead one had when it last registered, called or asked STAT, or adopted it itself.
 * From then on the peer is bound to it, as it was to the dead one, with all that CONFIG set. It
 * finds the callbacks by LIST, and gives them cookies of its own by REBIND. Who may call
 * them is as it was; they count against the uid that registered them.
 *
 * Errors: ENOENT (never bound), EPERM (another user), ESHUTDOWN (it has ended, or its time is
 * up), EBUSY (its process lives, or another one adopts it), ENOMEM; tested in this order, EPERM
 * never for being bound to another process. EFAULT: it is adopted. Who has waited for the
 * process to exit is not told EBUSY, unless another process shares or examines its memory.
 */
struct upcall_adopt {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] 0 */
	__aligned_u64 peer;		/* [out] upcall_list_peer.peer, to find its callbacks */
	__u32 callbacks;		/* [out] that it has: RELEASED not yet received */
	__u32 reserved;			/* [in] 0 */
};

/*
 * CONFIG: how this peer is to be treated. May be repeated; sets all members.
 * Errors: EINVAL (flags, members that do not belong to them, orphan_ns that is 0 or above
 * UPCALL_MAX_ORPHAN_NS).
 */
#define UPCALL_CONFIG_ONE_THREAD	(1U << 0) /* one thread makes and receives all its calls */
#define UPCALL_CONFIG_ADOPTABLE		(1U << 1) /* outlives its process, for a successor */

struct upcall_config {
	__u32 size;			/* [in] */
	__u32 flags;			/* [in] UPCALL_CONFIG_* */
	__aligned_u64 orphan_ns;	/* [in] ADOPTABLE: waits so long for a successor, 1 to
					 *	UPCALL_MAX_ORPHAN_NS; else 0
					 */
	__aligned_u64 events;		/* [in] mask of types beyond version 1: 0 */
};

#endif /* _UAPI_LINUX_UPCALL_H */
