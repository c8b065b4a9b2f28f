// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// Exports: functions of this process that others can call.
//
// The wrapper that export() returns holds the function and pins the handle; the table holds the
// wrapper weakly. So a function that mentions its own wrapper can still be collected with it, and
// the collected wrapper releases its handle. What the kernel keeps is an index of the table:
// whatever is called late finds an entry, never an address.

const native = require('../upcall.node');
const { constants: c } = native;
const { check } = require('./errors');
const { bytes } = require('./event');
const { codecOf } = require('./codec');
const { Call, textOf } = require('./running');
const peer = require('./peer');

const ACCESS = {
	'same-user': c.ACCESS_SAME_USER, uid: c.ACCESS_UID, gid: c.ACCESS_GID, anyone: c.ACCESS_ANYONE,
	'stub-only': c.ACCESS_STUB_ONLY,
};
const DEFAULTS = {
	maxArg: c.DEFAULT_MAX_ARG, queuedCalls: c.DEFAULT_QUEUED_CALLS, queuedBytes: c.DEFAULT_QUEUED_BYTES,
};

// entry: { reference: WeakRef of the wrapper, handle, name, ended: resolves at RELEASED }
const exported = new peer.Table();
const published = new Map();	// name -> handle, of this process
const pinned = new Set();	// wrappers with ref()
let collected = [];

// V8 runs these one behind the other, then microtasks: so one release for all of them
const registry = new FinalizationRegistry((entry) => {
	if (collected.push(entry) === 1)
		queueMicrotask(releaseCollected);
});

function releaseCollected() {
	const entries = collected.filter((entry) => !entry.released);

	collected = [];
	for (const entry of entries) {
		entry.released = true;
		withdraw(entry);
	}
	native.releaseAll(entries.map((entry) => entry.handle));
}

function publish(entry, name) {
	check(native.publish(name, entry.handle));
	entry.name = name;
	if (published.size === 0)
		process.once('exit', withdrawAll);
	published.set(name, entry.handle);
}

function withdraw({ name, handle }) {
	if (name === undefined || published.get(name) !== handle)
		return;
	published.delete(name);
	native.withdraw(name, handle);
	if (published.size === 0)
		process.removeListener('exit', withdrawAll);
}

function withdrawAll() {
	for (const [name, handle] of published)
		native.withdraw(name, handle);
	published.clear();
}

/** A function with a handle. What it is made for stands in index.d.ts. */
class Export {
	#fn;
	#entry;
	#codec;
	#label;
	#onError;
	#onUnreferenced;
	#isForStubs;

	constructor(fn, options) {
		const { codec, name, label = name ?? fn.name, onError, onUnreferenced, autoRelease } = options;

		this.#fn = fn;
		this.#codec = codecOf(codec);
		this.#label = label;
		this.#onError = onError;
		this.#onUnreferenced = onUnreferenced;
		this.#isForStubs = Boolean(onUnreferenced || autoRelease);
		this.#entry = { reference: new WeakRef(this), handle: 0, released: false };
		register(this.#entry, label, options);
		registry.register(this, this.#entry, this);
		try {
			if (name !== undefined)
				publish(this.#entry, name);
		} catch (error) {
			this.release();
			throw error;
		}
	}

	get handle() { return this.#entry.handle; }
	get name() { return this.#entry.name; }
	get released() { return this.#entry.released; }

	/** Another function under the same handle, for every call that has not begun. */
	rebind(fn) {
		this.#fn = functionOf(fn);
		return this;
	}

	/** Retires the handle. Resolves when the function will not run any more. */
	release({ abort = false } = {}) {
		const entry = this.#entry;

		if (!entry.released) {
			entry.released = true;
			registry.unregister(this);
			this.unref();
			withdraw(entry);
			native.release(entry.handle, abort ? 1 : 0);
		}
		return ended(entry);
	}

	/**
	 * A stub: a descriptor that may call this and nothing else, the caller's to close or to give
	 * away. With autoRelease or onUnreferenced, stubs keep this object as long as there are any.
	 */
	exportFd() {
		const fd = check(native.exportFd(this.#entry.handle));

		if (this.#isForStubs)
			this.#entry.pinned = this;
		return fd;
	}

	/** Keeps the process alive, and this object too, until release() or unref(). */
	ref() {
		if (!this.#entry.released && !pinned.has(this)) {
			pinned.add(this);
			peer.hold();
		}
		return this;
	}

	unref() {
		if (pinned.delete(this))
			peer.letGo();
		return this;
	}

	toString() {
		return `upcall.Export ${this.#entry.handle}${this.#label ? ` (${this.#label})` : ''}`;
	}

	// This package's
	static run = (wrapper, call, argument) => wrapper.#run(call, argument);
	static unreferenced = (wrapper) => wrapper.#onUnreferenced?.(wrapper);

	#run(call, argument) {
		let result;

		try {
			const value = this.#codec.decode(argument);
			const fn = this.#fn;

			result = Call.runs(call, () => fn(value, call));
			if (typeof result?.then === 'function') {
				Call.track(call);
				Promise.resolve(result).then((late) => this.#succeed(call, late),
							     (error) => this.#fail(call, error));
				return;
			}
		} catch (error) {
			this.#fail(call, error);
			return;
		}
		this.#succeed(call, result);
	}

	#succeed(call, result) {
		let reply;

		try {
			reply = call.oneway ? undefined : this.#codec.encode(result);
		} catch (error) {
			this.#fail(call, error);
			return;
		}
		Call.answer(call, 0, reply);
	}

	#fail(call, error) {
		Call.fail(call, error);
		if (!call.oneway)
			return;
		// Nobody else hears of it
		if (this.#onError)
			this.#onError(error, call);
		else
			process.emitWarning(`a notification to ${this} failed: ${textOf(error)}`, 'UpcallWarning');
	}
}

if (Symbol.dispose)
	Object.defineProperty(Export.prototype, Symbol.dispose, { value: function () { this.release(); } });
if (Symbol.asyncDispose)
	Object.defineProperty(Export.prototype, Symbol.asyncDispose, { value: function () { return this.release(); } });

function register(entry, label, options) {
	const { access = 'same-user', word = 0n, signature } = options;
	const { maxArg, queuedCalls, queuedBytes } = { ...DEFAULTS, ...options };
	const [kind, id] = typeof access === 'string' ? [access, 0] : Object.entries(access)[0] ?? [];

	if (!Object.hasOwn(ACCESS, kind))
		throw new TypeError("access: 'same-user', 'anyone', 'stub-only', { uid } or { gid }");
	peer.need();
	entry.index = exported.add(entry);
	const ret = native.register(entry.index, labelOf(label),
		flagsOf(options), ACCESS[kind], id, signatureOf(signature), word, maxArg, queuedCalls,
		Math.max(queuedBytes, maxArg));

	if (ret < 0)
		exported.remove(entry.index);
	entry.handle = check(ret);
}

function flagsOf({ serial, autoend, fds, onUnreferenced, autoRelease }) {
	return (serial ? c.REGISTER_SERIAL : 0) | (autoend ? c.REGISTER_AUTOEND : 0) | (fds ? c.REGISTER_FDS : 0) |
		(onUnreferenced && !autoRelease ? c.REGISTER_UNREFERENCED : 0) |
		(autoRelease ? c.REGISTER_AUTO_RELEASE : 0);
}

/** Is for people: cut, between characters, to what there is room for. */
function labelOf(label = '') {
	let text = String(label);

	while (Buffer.byteLength(text) > c.MAX_LABEL)
		text = Array.from(text).slice(0, -1).join('');
	return text;
}

function signatureOf(signature) {
	return typeof signature === 'string' ? native.signature(signature) : signature;
}

function functionOf(fn) {
	if (typeof fn !== 'function')
		throw new TypeError('what is exported is a function');
	return fn;
}

function ended(entry) {
	if (entry.over)
		return Promise.resolve();
	if (!entry.ended) {
		entry.ended = new Promise((resolve) => { entry.resolve = resolve; });
		peer.hold();
	}
	return entry.ended;
}

function end(entry) {
	entry.over = true;
	if (entry.resolve) {
		entry.resolve();
		peer.letGo();
	}
}

peer.receive(c.EVENT_CALL, (numbers, event, cell) => {
	const wrapper = exported.get(Number(numbers[c.HEAD_COOKIE]))?.reference.deref();

	// Collected, and not released yet
	if (!wrapper)
		native.refuse(cell, c.ESTALE);
	else
		Export.run(wrapper, new Call(numbers, cell), bytes(event, numbers));
});

// Also of those that somebody else revoked
peer.receive(c.EVENT_RELEASED, (numbers) => {
	const entry = exported.remove(Number(numbers[c.HEAD_COOKIE]));

	if (!entry)
		return;
	const wrapper = entry.reference.deref();

	entry.released = true;
	entry.pinned = undefined;
	withdraw(entry);
	wrapper?.unref();
	end(entry);
});

// The last stub was closed; another one may have been made since
peer.receive(c.EVENT_UNREFERENCED, (numbers) => {
	const entry = exported.get(Number(numbers[c.HEAD_COOKIE]));
	const wrapper = entry?.pinned;

	if (!wrapper || native.stat(entry.handle).stubs > 0)
		return;
	entry.pinned = undefined;
	try {
		Export.unreferenced(wrapper);
	} catch (error) {
		process.nextTick(() => { throw error; });
	}
});

peer.receive('end', () => {
	published.clear();
	for (const wrapper of pinned)
		wrapper.unref();
	for (const entry of exported.takeAll()) {
		entry.released = true;
		entry.pinned = undefined;
		end(entry);
	}
});

module.exports = { Export, functionOf, signatureOf };
