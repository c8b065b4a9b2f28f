// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/// <reference types="node" />

/**
 * Callbacks across processes, by handle: a function of one process, called from another.
 *
 *	const w = upcall.export(async (text) => text.toUpperCase(), { codec: 'text' });
 *	// w.handle is a Number. In another process:
 *	window.somename = upcall.stub(handle, { codec: 'text' });
 *	await window.somename('hello');		// 'HELLO'
 *
 * All of it is on the event loop's own thread; nothing blocks it, so an exported function may
 * call its caller back and wait for it. Each worker has a peer of its own.
 *
 * Lifetimes. The wrapper that export() returns pins the handle, and nothing else does: not the
 * function, not a name, not a stub. When it is collected the handle is released, and whoever
 * calls late is told Stale, NOT_DELIVERED. A function may mention its own wrapper. When there is no
 * memory pressure V8 collects late or never: release() what should go at a certain time.
 *
 * The event loop. A call keeps the process alive until its answer is there; an export does not.
 * A server says so: upcall.export(fn).ref(). What a function of an export awaits keeps the process
 * alive or not, as anywhere else.
 */
declare namespace upcall {
	/** As it is written in every error of a call: whether it may have run. */
	type Stage = 'UNKNOWN' | 'NOT_DELIVERED' | 'DELIVERED' | 'REPLIED';
	type Reason = 'RELEASED' | 'ABORTED' | 'REVOKED' | 'SHUTDOWN' | 'CLOSED' | 'EXITED' | 'EXEC' | 'UNKNOWN';
	type Bytes = Uint8Array | ArrayBufferView | ArrayBufferLike | string | null | undefined;

	/** An errno, and for a call its stage. */
	class UpcallError extends Error {
		readonly code: string;		// 'ESTALE'
		readonly errno: number | undefined;
		readonly stage: Stage | undefined;
		readonly reason: Reason | undefined;	// with ESTALE and EOWNERDEAD
		readonly exitStatus: number | undefined;	// with EXITED: as wait(2) reports it
		readonly word: bigint | undefined;	// with ESTALE: what the owner left behind
		readonly needed: number | undefined;	// with EMSGSIZE: bytes that the callback takes
		readonly mayRetry: boolean;		// nothing ran, and the cause may pass
	}

	/** The handle is not alive, and never will be again. */
	class Stale extends UpcallError {}

	/**
	 * The function ran and failed: it threw, then the text of what it threw is the message; or
	 * said so with a status of its own. A function throws one to give its caller a status.
	 */
	class RemoteError extends UpcallError {
		constructor(text: string, options?: { status?: number; reply?: Uint8Array; cause?: unknown });
		readonly status: number;
		readonly reply: Buffer;
	}

	/** Thrown by a function that did not and will not run: its caller may try again. */
	class Refusal extends Error {
		constructor(code?: string);	// 'EAGAIN'
		readonly code: string;
		readonly errno: number;
	}

	/** 'bytes' gives Buffers and takes strings and bytes; 'text' gives strings instead. */
	type Codec = 'bytes' | 'text' | 'json' | { encode(value: any): Bytes; decode(bytes: Buffer): any };

	/** What a function is told about the call that it runs for. The ids are the kernel's word. */
	interface Call {
		readonly op: number;
		readonly pid: number;
		readonly tid: number;
		readonly uid: number;
		readonly gid: number;
		readonly startTime: number;		// of the process: field 22 of /proc/PID/stat
		readonly seq: number;
		readonly dropped: number;		// notifications that this one took the place of
		readonly depth: number;			// calls within calls
		readonly replyMax: number;		// bytes that the caller takes
		readonly oneway: boolean;		// a notification
		readonly throughStub: boolean;
		readonly deadline: bigint | undefined;	// as process.hrtime.bigint() counts
		readonly signal: AbortSignal;		// aborted when nobody wants the answer any more
		/** The descriptors that came along, from now on yours to close; before the answer. */
		takeFds(): number[];
		/** Descriptors to go with the reply; they stay yours. */
		attachFds(fds: Iterable<number>): void;
	}

	type Access = 'same-user' | 'anyone' | 'stub-only' | { uid: number } | { gid: number };

	interface ExportOptions {
		/** Publishes it: stub(name) finds it. Withdrawn when it is released, and at exit. */
		name?: string;
		/** For people, in lists; cut to 16 bytes. The name, or that of the function. */
		label?: string;
		access?: Access;
		/** Callers must name the same: a text, which is hashed, or a number. */
		signature?: string | bigint;
		/** Left behind for callers when it dies. */
		word?: bigint | number;
		codec?: Codec;
		/** One call at a time, strictly in order: the next one begins when the promise is settled. */
		serial?: boolean;
		/** Notifications end when they are delivered. Not with serial. */
		autoend?: boolean;
		/** Calls may bring descriptors. */
		fds?: boolean;
		maxArg?: number;	// bytes
		queuedCalls?: number;
		queuedBytes?: number;
		/** Release it when its last stub is closed; till then stubs keep the wrapper. */
		autoRelease?: boolean;
		/** Run when its last stub is closed; till then stubs keep the wrapper. */
		onUnreferenced?(wrapper: Export): void;
		/** Gets what a notification failed with. Without it that is a warning of the process. */
		onError?(error: unknown, call: Call): void;
	}

	/** A function with a handle. */
	class Export {
		private constructor();
		readonly handle: number;
		readonly name: string | undefined;
		readonly released: boolean;
		/** Another function under the same handle, for every call that has not begun. */
		rebind(fn: (argument: any, call: Call) => any): this;
		/**
		 * Retires the handle: calls that wait fail with Stale, those that run may finish; with
		 * abort, they fail now. Resolves when the function will not run any more.
		 */
		release(options?: { abort?: boolean }): Promise<void>;
		/** Keeps the process alive, and this object too, until release() or unref(). */
		ref(): this;
		unref(): this;
		/** A stub: a descriptor that may call this and nothing else, yours to close or give away. */
		exportFd(): number;
		/* [Symbol.dispose] and [Symbol.asyncDispose], where Node has them, are release(). */
	}

	interface CallOptions {
		/** Milliseconds; kept by the kernel. None, if it is not given. */
		timeout?: number;
		/** Aborting it cancels the call: before delivery it never runs. */
		signal?: AbortSignal;
		op?: number;
		replyMax?: number;	// bytes
		/** Of a name: how long to wait, in ms, for somebody to have it. The timeout; without one, 0. */
		patience?: number;
		/**
		 * Not on behalf of the call whose function makes it. Others end with that one's deadline
		 * and cancellation.
		 */
		detached?: boolean;
		/** Descriptors to go along; they stay yours. */
		fds?: Iterable<number>;
		/** How many descriptors are taken with the reply: then it resolves to { value, fds }. */
		replyFds?: number;
	}

	interface StubOptions extends CallOptions {
		codec?: Codec;
		signature?: string | bigint;
	}

	/** Calls, and resolves to the result; or rejects with an UpcallError. */
	interface Stub {
		(argument?: any, options?: CallOptions): Promise<any>;
		/** Queues a notification, for which there is no answer; throws if it is not queued. */
		notify(argument?: any, options?: CallOptions & { latest?: boolean }): void;
		readonly handle: number | undefined;
		readonly fd: number | undefined;
		/** Closes the descriptor of a stub({ fd }); else it does nothing. */
		close(): void;
	}

	interface Stat {
		state: 'live' | 'closing' | 'dead';
		reason: Reason | undefined;
		exitStatus: number;
		word: bigint;
		owned: number;
		uid: number;
		gid: number;
		pid: number;
		startTime: number;
		label: string;
		signature: bigint;
		maxArg: number;
		stubs: number;
		queued: number;
		running: number;
		calls: number;
	}

	interface Callback {
		handle: number;
		label: string;
		state: 'live' | 'closing';
		pid: number;
		uid: number;
		queued: number;
		running: number;
		calls: number;
	}

	/** A stub of anything: of a handle, a name, or a descriptor, which it takes over. Pins nothing. */
	function stub(target: number | bigint | string | { fd: number }, options?: StubOptions): Stub;
	/** What a handle is, or why it is no more. */
	function stat(handle: number): Stat;
	/** The callbacks that there are, as far as one may see them. */
	function list(): Callback[];
	/** The handle behind a name, now. */
	function lookup(name: string): number;
	function info(): { version: string; abiVersion: number; features: bigint; instance: bigint; maxPayload: number };
	/**
	 * Opens the peer, which otherwise happens when it is first needed. where: a path, or 'test:NAME',
	 * the library's test double; else $UPCALL_DEVICE or /dev/upcall.
	 */
	function open(where?: string): void;
	/** Ends the peer: exports die, calls are rejected with ESHUTDOWN. A later use opens another one. */
	function close(): void;

	function exportFunction(fn: (argument: any, call: Call) => any, options?: ExportOptions): Export;
	export { exportFunction as export };
}

export = upcall;
