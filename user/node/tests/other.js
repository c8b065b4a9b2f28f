// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// What a test needs on the other side: other.js ROLE, as a process or a worker. It says when it is
// ready, and ends when it is told to.

const { parentPort } = require('node:worker_threads');
const upcall = require('upcall');

const say = (message) => parentPort ? parentPort.postMessage(message) : process.send(message);
const onMessage = (fn) => (parentPort ?? process).on('message', fn);

const roles = {
	// A closure: what it counts is its own
	owner() {
		let calls = 0;
		const w = upcall.export(async (text) => `${text} ${++calls}`, { codec: 'text', label: 'owner' });

		w.ref();
		say(w.handle);
	},

	// Calls its caller back, and again, while that one waits
	back() {
		const w = upcall.export(async ({ handle, depth }, call) => {
			const back = upcall.stub(handle, { codec: 'json' });

			return { got: await back({ handle: w.handle, depth: depth - 1 }), at: call.depth };
		}, { codec: 'json' }).ref();

		say(w.handle);
	},

	// Takes calls and never answers
	silent() {
		const never = [];
		const w = upcall.export(() => {
			say('called');
			return new Promise((resolve) => never.push(resolve));
		}).ref();

		say(w.handle);
	},

	// Dies in the middle of a call
	exits() {
		const w = upcall.export(() => process.exit(3)).ref();

		say(w.handle);
	},

	// Calls what it has inherited
	heir() {
		const f = upcall.stub({ fd: 4 }, { codec: 'text' });

		onMessage((message) => {
			if (message === 'call')
				f('the other side').then(say, (error) => say(error.message));
		});
		say('ready');
	},

	// Calls what it is told, and is not patient
	caller() {
		onMessage((handle) => {
			if (handle !== 'end')
				upcall.stub(handle)('from the other side').then((reply) => say(String(reply)),
										(error) => say(error.code));
		});
		say('ready');
	},
};

onMessage((message) => {
	if (message !== 'end')
		return;
	upcall.close();
	if (parentPort)
		parentPort.close();
	else
		process.disconnect();
});
roles[process.argv[2]]();
