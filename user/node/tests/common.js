// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// What the tests share. Nothing sleeps: what must come is waited for, with a limit.

const { test } = require('node:test');
const assert = require('node:assert');
const { once } = require('node:events');
const path = require('node:path');
const upcall = require('upcall');

const LIMIT = 180_000;	// ms; an emulated machine is slow
// Inside this process: what needs another one is run by a worker, or skipped
const onDouble = (process.env.UPCALL_DEVICE ?? '').startsWith('test:');
const needsProcesses = { timeout: LIMIT, skip: onDouble && 'the test double is inside one process' };

/** A claim, and the function that shows it. */
function claim(name, ...rest) {
	const fn = rest.pop();

	test(name, rest[0] ?? { timeout: LIMIT }, fn);
}

function turn() {
	return new Promise((resolve) => setImmediate(resolve));
}

/** Collects, again and again, until it is true. */
async function collectUntil(condition) {
	const until = Date.now() + LIMIT / 2;

	for (;;) {
		globalThis.gc();
		await turn();
		if (condition())
			return;
		await turn();	// what a WeakRef showed is kept until then
		assert(Date.now() < until, `not collected in time: ${condition}`);
	}
}

/** Looks again and again until it is true. */
async function eventually(condition) {
	const until = Date.now() + LIMIT / 2;

	while (!await condition()) {
		assert(Date.now() < until, `not in time: ${condition}`);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

/** As assert.rejects(); returns the error. */
async function rejection(promise) {
	return promise.then(() => assert.fail('it did not reject'), (error) => error);
}

/** Another environment that runs other.js: a process, or on the test double a worker. */
class Other {
	#running;
	#post;

	static async start(role, options = undefined) {
		const other = new Other();
		const file = path.join(__dirname, 'other.js');

		if (onDouble) {
			const { Worker } = require('node:worker_threads');

			other.#running = new Worker(file, { argv: [role] });
			other.#post = (message) => other.#running.postMessage(message);
		} else {
			other.#running = require('node:child_process').fork(file, [role], options);
			other.#post = (message) => other.#running.send(message);
		}
		other.ready = await other.next();
		return other;
	}

	get pid() { return this.#running.pid; }

	/** What it says next. */
	async next() {
		return (await once(this.#running, 'message'))[0];
	}

	say(message) {
		this.#post(message);
	}

	async end() {
		const exited = once(this.#running, 'exit');

		this.say('end');
		return (await exited)[0];
	}

	async kill() {
		const exited = once(this.#running, 'exit');

		if (onDouble)
			this.#running.terminate();
		else
			this.#running.kill('SIGKILL');
		await exited;
	}
}

function handles() {
	return upcall.list().map(({ handle }) => handle);
}

module.exports = {
	assert, claim, turn, collectUntil, eventually, rejection, Other, handles,
	onDouble, needsProcesses, upcall, LIMIT,
};
