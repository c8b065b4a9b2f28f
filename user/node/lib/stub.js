// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// Stubs: functions here that call functions elsewhere.

const { closeSync } = require('fs');
const native = require('../upcall.node');
const { constants: c } = native;
const { UpcallError, Stale, RemoteError, failure, check, RAISED } = require('./errors');
const { bytes } = require('./event');
const { codecOf } = require('./codec');
const { signatureOf } = require('./export');
const { Call } = require('./running');
const peer = require('./peer');

const CLOSED = -1;	// instead of a descriptor
const BACKOFF_FIRST = 1, BACKOFF_LAST = 50;	// ms

const pending = new peer.Table();	// of calls that wait for their RESULT

/** What the addon needs beside the target; arguments that make no sense throw here. */
function parameters(argument, codec, options) {
	const parent = options.detached ? undefined : Call.current();
	const { timeout } = options;
	let deadline;

	if (timeout !== undefined) {
		if (!(timeout >= 0))
			throw new TypeError('timeout: milliseconds');
		if (timeout <= Number.MAX_SAFE_INTEGER / 1e6)
			deadline = process.hrtime.bigint() + BigInt(Math.round(timeout * 1e6));
	}
	if (parent?.deadline !== undefined && !(deadline <= parent.deadline))
		deadline = parent.deadline;
	return {
		argument: codec.encode(argument), op: options.op ?? 0, deadline, parent,
		signature: signatureOf(options.signature), signal: options.signal,
		fds: options.fds && Array.from(options.fds), replyFds: options.replyFds ?? 0,
		replyMax: options.replyMax ?? c.DEFAULT_REPLY_MAX,
	};
}

function aborted(signal, stage) {
	const error = failure(c.ECANCELED, { stage });

	error.name = 'AbortError';
	error.cause = signal?.reason;
	return error;
}

/** An errno with which a call was not even queued: the kernel knows why. */
function notQueued(err, target, isStub) {
	const how = { stage: c.STAGE_NOT_DELIVERED };
	const about = err === -c.ESTALE || err === -c.EMSGSIZE ? native.stat(target, isStub) : undefined;

	if (typeof about === 'object' && err === -c.EMSGSIZE)
		how.needed = about.maxArg;
	else if (typeof about === 'object')
		Object.assign(how, { reason: about.reason, exitStatus: about.exitStatus, word: about.word });
	return failure(err, how);
}

/** One call of one handle or stub: the bytes of its reply, and the descriptors that came along. */
function callOnce(target, isStub, what) {
	const { parent, signal } = what;

	return new Promise((resolve, reject) => {
		if (signal?.aborted || (parent && Call.cancelled(parent))) {
			reject(aborted(signal, c.STAGE_NOT_DELIVERED));
			return;
		}
		const entry = { resolve, reject, signal, parent };
		const index = pending.add(entry);
		const id = native.start(target, isStub, what.op, what.argument, what.deadline, what.signature,
					what.fds, what.replyMax, what.replyFds, parent ? Call.id(parent) : 0,
					index);

		if (typeof id === 'number') {
			pending.remove(index);
			reject(notQueued(id, target, isStub));
			return;
		}
		peer.hold();
		entry.cancel = () => native.cancel(id);
		signal?.addEventListener('abort', entry.cancel, { once: true });
		if (parent)
			Call.addChild(parent, entry.cancel);
	});
}

function settle(entry) {
	entry.signal?.removeEventListener('abort', entry.cancel);
	if (entry.parent)
		Call.removeChild(entry.parent, entry.cancel);
	peer.letGo();
}

peer.receive(c.EVENT_RESULT, (numbers, event, fds = []) => {
	const entry = pending.remove(Number(numbers[c.HEAD_COOKIE]));
	const errno = Number(numbers[c.HEAD_ERROR]);
	const status = Number(BigInt.asIntN(64, numbers[c.HEAD_STATUS]));

	if (!entry)
		return;
	settle(entry);
	if (errno === 0 && status === 0)
		entry.resolve({ reply: bytes(event, numbers), fds });
	else if (errno === 0)
		entry.reject(remoteError(status, bytes(event, numbers)));
	else if (errno === c.ECANCELED && entry.signal?.aborted)
		entry.reject(aborted(entry.signal, Number(numbers[c.HEAD_STAGE])));
	else
		entry.reject(failure(errno, {
			stage: Number(numbers[c.HEAD_STAGE]), reason: Number(numbers[c.HEAD_REASON]),
			exitStatus: Number(numbers[c.HEAD_EXIT_STATUS]), word: numbers[c.HEAD_WORD],
		}));
});

function remoteError(status, reply) {
	const text = status === RAISED ? reply.toString() : `the function failed with status ${status}`;

	return new RemoteError(text, { status, reply });
}

peer.receive('end', () => {
	for (const entry of pending.takeAll()) {
		settle(entry);
		entry.reject(failure(c.ESHUTDOWN, { stage: c.STAGE_DELIVERED }));
	}
});

/** A name that resolves again when its owner was replaced, as upcall_name_invoke() does. */
class Name {
	#name;
	#handle;
	#dead;

	constructor(name) {
		this.#name = name;
	}

	resolve() {
		if (this.#handle === undefined) {
			const handle = native.lookup(this.#name);

			if (handle < 0)
				throw failure(handle, { stage: c.STAGE_NOT_DELIVERED });
			if (handle === this.#dead)
				throw notQueued(-c.ESTALE, handle, 0);
			this.#handle = handle;
		}
		return this.#handle;
	}

	#forget() {
		this.#dead = this.#handle ?? this.#dead;
		this.#handle = undefined;
	}

	/** Calls attempt(handle) until somebody is there or time is up; never twice what may have run. */
	async call(attempt, patience, signal) {
		const until = performance.now() + patience;

		for (let wait = BACKOFF_FIRST; ; wait = Math.min(wait * 2, BACKOFF_LAST)) {
			const remembered = this.#handle !== undefined;

			try {
				return await attempt(this.resolve());
			} catch (error) {
				if (!mayComeBack(error))
					throw error;
				this.#forget();
				if (remembered)
					continue;
				if (!(performance.now() + wait <= until) || signal?.aborted)
					throw error;
			}
			await new Promise((resolve) => setTimeout(resolve, wait));
		}
	}
}

function mayComeBack(error) {
	return error instanceof UpcallError && error.stage === 'NOT_DELIVERED' &&
		(error instanceof Stale || error.code === 'ENOENT');
}

function handleOf(target) {
	const handle = Number(target);

	if (!Number.isSafeInteger(handle) || handle < 0)
		throw new TypeError('a handle is an integer from 1 to 2 ** 53 - 1');
	return handle;
}

/** One that is given up without close() is closed when it is collected. */
const stubFds = new FinalizationRegistry((fd) => closeSync(fd));

/** Whom a stub calls: a handle, a name, or a stub's descriptor, which it takes over. */
class Target {
	#name;
	#number;
	isStub = 0;

	constructor(target) {
		if (typeof target === 'string') {
			this.#name = new Name(target);
		} else if (typeof target === 'object' && target !== null && 'fd' in target) {
			this.isStub = 1;
			this.#number = stubOf(target.fd);
			stubFds.register(this, target.fd, this);
		} else {
			this.#number = handleOf(target);
		}
	}

	get handle() { return this.isStub ? undefined : this.#number; }
	get fd() { return this.isStub ? this.#number : undefined; }

	/** The number to call, now. */
	now() {
		if (this.#number === CLOSED)
			throw failure(c.EBADF, { stage: c.STAGE_NOT_DELIVERED });
		return this.#name ? this.#name.resolve() : this.#number;
	}

	async call(what, patience) {
		if (!this.#name)
			return callOnce(this.now(), this.isStub, what);
		return this.#name.call((handle) => callOnce(handle, 0, what), patience, what.signal);
	}

	close() {
		if (!this.isStub || this.#number === CLOSED)
			return;
		stubFds.unregister(this);
		closeSync(this.#number);
		this.#number = CLOSED;
	}
}

function stubOf(fd) {
	if (!Number.isInteger(fd) || check(native.isStub(fd)) !== 1)
		throw new TypeError(`${fd} is no stub's descriptor`);
	return fd;
}

/** A function that calls a handle, a name or a stub's descriptor. */
function stub(to, options = {}) {
	const target = new Target(to);
	const codec = codecOf(options.codec);

	async function call(argument, more = undefined) {
		const all = more ? { ...options, ...more } : options;
		const what = parameters(argument, codec, all);

		peer.need();
		const { reply, fds } = await target.call(what, all.patience ?? all.timeout ?? 0);
		const value = codec.decode(reply);

		return what.replyFds ? { value, fds } : value;
	}

	/** Queues a notification, for which there is no answer. */
	function notify(argument, more = undefined) {
		const all = more ? { ...options, ...more } : options;
		const what = parameters(argument, codec, { ...all, detached: true });

		peer.need();
		const number = target.now();
		const err = native.notify(number, target.isStub, what.op, what.argument, what.deadline,
					  what.signature, what.fds, all.latest ? 1 : 0);

		if (err)
			throw notQueued(err, number, target.isStub);
	}

	Object.defineProperty(call, 'name', { value: `upcall ${typeof to === 'object' ? `fd ${to.fd}` : to}` });
	Object.defineProperty(call, 'handle', { enumerable: true, get: () => target.handle });
	Object.defineProperty(call, 'fd', { enumerable: true, get: () => target.fd });
	return Object.assign(call, { notify, close: () => target.close() });
}

module.exports = { stub };
