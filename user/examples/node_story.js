// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
//
// What keeps a handle: its wrapper, and nothing else. The wrapper is dropped and collected; a
// late call is told so, and that it did not run.
//
//	node --expose-gc node_story.js
'use strict';

const upcall = require('upcall');

async function collected(handle) {
	while (upcall.list().some((callback) => callback.handle === handle)) {
		globalThis.gc();
		await new Promise(setImmediate);
	}
}

async function main() {
	const closure = () => 'a closure of Node';
	let wrapper = upcall.export(closure);
	const somename = upcall.stub(wrapper.handle, { codec: 'text' });

	console.log(await somename());
	wrapper = undefined;	// the closure and the stub are still there: they pin nothing
	await collected(somename.handle);
	console.log(closure());
	await somename().catch((error) => console.log(error.name, error.stage));
}

main();
