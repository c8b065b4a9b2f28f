#!/usr/bin/env node
// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
//
// An owner: answers every call with its argument in upper case, and can be found by the name
// "upper". SIGINT or SIGTERM: what was taken is finished, then it ends.
//
//	node_owner.js &
//	node_caller.js upper hello
'use strict';

const upcall = require('upcall');

const upper = upcall.export(async (text) => text.toUpperCase(), { name: 'upper', codec: 'text' });

upper.ref();	// an export alone does not keep a process alive
console.log(upper.handle);

for (const signal of ['SIGINT', 'SIGTERM'])
	process.once(signal, () => upper.release());
