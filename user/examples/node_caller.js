#!/usr/bin/env node
// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
//
// A caller: node_caller.js NAME TEXT calls whoever has the name, prints the reply. If nobody has
// it, or its owner is just being replaced, it waits for up to five seconds.
'use strict';

const upcall = require('upcall');

async function main(name, text) {
	const somename = upcall.stub(name, { codec: 'text', timeout: 5000 });

	try {
		console.log(await somename(text));
	} catch (error) {
		console.error(`call: ${error.message}`);	// says whether it may have run
		process.exitCode = 1;
	}
}

if (process.argv.length === 4) {
	main(process.argv[2], process.argv[3]);
} else {
	console.error('usage: node_caller.js NAME TEXT');
	process.exitCode = 2;
}
