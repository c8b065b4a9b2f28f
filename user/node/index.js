// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// Callbacks across processes, by handle. index.d.ts is the manual.

const native = require('./upcall.node');
const { UpcallError, Stale, RemoteError, Refusal, check } = require('./lib/errors');
const { Export, functionOf } = require('./lib/export');
const { stub } = require('./lib/stub');
const peer = require('./lib/peer');

/** Another process may call fn from now on: it needs the handle. */
function exportFunction(fn, options = {}) {
	return new Export(functionOf(fn), options);
}

/** What a handle is, or why it is no more. */
function stat(handle) {
	peer.need();
	const about = check(native.stat(handle));

	about.reason = about.reason ? native.reasonName(about.reason).toUpperCase() : undefined;
	return about;
}

/** The callbacks that there are, as far as one may see them. */
function list() {
	peer.need();
	return check(native.list());
}

/** The handle behind a name, now. */
function lookup(name) {
	peer.need();
	return check(native.lookup(name));
}

function info() {
	peer.need();
	return check(native.info());
}

module.exports = {
	export: exportFunction, stub, stat, list, lookup, info,
	open: peer.open, close: peer.close,
	Export, UpcallError, Stale, RemoteError, Refusal,
};
