// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// A call that runs here, from its delivery to its answer.

const { AsyncLocalStorage } = require('async_hooks');
const native = require('../upcall.node');
const { constants: c } = native;
const { RemoteError, Refusal, failure, RAISED } = require('./errors');
const { NO_DEADLINE } = require('./event');
const peer = require('./peer');

const [ONEWAY, STUB, ENDED] = [c.CALL_ONEWAY, c.CALL_STUB, c.CALL_ENDED].map(BigInt);

const current = new AsyncLocalStorage();

// By their id, those that have not been answered when their function returned. Weak: a call whose
// answer nobody can give any more is collected, and the library answers it.
const running = new Map();
const forgotten = new FinalizationRegistry((id) => running.delete(id));

/** What a function is told about the call that it runs for, and may ask of it. */
class Call {
	#numbers;
	#cell;
	#controller;
	#cancelled;
	#children;
	#fds;
	#answered = false;
	#tracked = false;

	constructor(numbers, cell) {
		this.#numbers = numbers;
		this.#cell = cell;
	}

	get op() { return Number(this.#numbers[c.HEAD_OP]); }
	get pid() { return Number(this.#numbers[c.HEAD_PID]); }
	get tid() { return Number(this.#numbers[c.HEAD_TID]); }
	get uid() { return Number(this.#numbers[c.HEAD_UID]); }
	get gid() { return Number(this.#numbers[c.HEAD_GID]); }
	get startTime() { return Number(this.#numbers[c.HEAD_START_TIME]); }
	get seq() { return Number(this.#numbers[c.HEAD_SEQ]); }
	get dropped() { return Number(this.#numbers[c.HEAD_DROPPED]); }
	get depth() { return Number(this.#numbers[c.HEAD_DEPTH]); }
	get replyMax() { return Number(this.#numbers[c.HEAD_REPLY_MAX]); }
	get oneway() { return (this.#numbers[c.HEAD_FLAGS] & ONEWAY) !== 0n; }
	get throughStub() { return (this.#numbers[c.HEAD_FLAGS] & STUB) !== 0n; }

	/** As process.hrtime.bigint() counts; undefined: there is none */
	get deadline() {
		const deadline = this.#numbers[c.HEAD_DEADLINE];

		return deadline === NO_DEADLINE ? undefined : deadline;
	}

	/** Aborted when nobody wants the answer any more. */
	get signal() {
		if (!this.#controller) {
			this.#controller = new AbortController();
			if (this.#cancelled)
				this.#controller.abort(this.#cancelled);
		}
		return this.#controller.signal;
	}

	/** The descriptors that came along, from now on the program's to close. */
	takeFds() {
		const count = Number(this.#numbers[c.HEAD_FDS]);

		return Array.from({ length: count }, (_, i) => native.takeFd(this.#cell, i))
			.filter((fd) => fd >= 0);
	}

	/** Descriptors to go with the reply, as many as the caller takes. They stay the program's. */
	attachFds(fds) {
		this.#fds = Array.from(fds);
	}

	// What follows is this package's
	static runs = (call, fn) => current.run(call, fn);
	static answer = (call, status, bytes) => call.#answer(status, bytes);
	static fail = (call, error) => call.#fail(error);
	static track = (call) => call.#track();
	static cancel = (call, errno) => call.#cancel(errno);

	/** The call on whose behalf what runs now runs; undefined: none that could be a parent */
	static current() {
		const call = current.getStore();

		return call && !call.#answered && !(call.#numbers[c.HEAD_FLAGS] & ENDED) ? call : undefined;
	}

	static id = (call) => call.#numbers[c.HEAD_ID];
	static cancelled = (call) => call.#cancelled;
	static addChild = (call, child) => (call.#children ??= new Set()).add(child);
	static removeChild = (call, child) => call.#children?.delete(child);

	#track() {
		this.#tracked = true;
		running.set(Call.id(this), new WeakRef(this));
		forgotten.register(this, Call.id(this), this);
	}

	#done() {
		this.#answered = true;
		if (!this.#tracked)
			return;
		forgotten.unregister(this);
		running.delete(Call.id(this));
	}

	#answer(status, bytes) {
		const ret = native.reply(this.#cell, status, bytes, this.#fds);

		if (ret === -c.EMSGSIZE) {
			this.#raise(`the result is of ${bytes.length} bytes, and the caller takes ${this.replyMax}`);
			return;
		}
		if (ret < 0 && ret !== -c.ESHUTDOWN && ret !== -c.EALREADY)
			this.#raise(`the result could not be sent: ${native.strerror(ret)}`);
		else
			this.#done();
	}

	#raise(text) {
		// Text of any length, and a caller with room for nothing
		for (let bytes = Buffer.from(text); ; bytes = undefined) {
			const ret = native.reply(this.#cell, RAISED, bytes?.subarray(0, this.replyMax));

			if (ret !== -c.ENOMEM || !bytes)
				break;
		}
		this.#done();
	}

	#fail(error) {
		if (error instanceof Refusal) {
			native.refuse(this.#cell, error.errno);
			this.#done();
		} else if (error instanceof RemoteError && error.status !== RAISED) {
			this.#answer(error.status, error.reply);
		} else {
			this.#raise(textOf(error));
		}
	}

	#cancel(errno) {
		this.#cancelled = failure(errno, { stage: c.STAGE_DELIVERED });
		this.#controller?.abort(this.#cancelled);
		for (const child of this.#children ?? [])
			child();
	}
}

/** Of anything that can be thrown; never throws. */
function textOf(error) {
	try {
		return String(error);
	} catch {
		return 'an error that has no text';
	}
}

peer.receive(c.EVENT_CANCEL, (numbers) => {
	const call = running.get(numbers[c.HEAD_ID])?.deref();

	if (call)
		Call.cancel(call, Number(numbers[c.HEAD_ERROR]));
});

peer.receive('end', () => {
	for (const reference of running.values()) {
		const call = reference.deref();

		if (call)
			Call.cancel(call, c.ESHUTDOWN);
	}
});

module.exports = { Call, textOf };
