// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// The peer of this environment: opened when it is first needed, one for the main thread and one
// for each worker. Events go from here to those they concern, by the index of a table.
//
// The event loop goes on as long as somebody holds it: who waits for an answer, or for the end of
// a released export; and exports with ref(). A call that runs here does not: what its function
// waits for does, or not, as in any other function.

const native = require('../upcall.node');
const { constants: c } = native;
const { check } = require('./errors');
const { head } = require('./event');

/** Values by number. A number is used again only after it was removed. */
class Table {
	#values = [];
	#free = [];

	add(value) {
		const index = this.#free.pop() ?? this.#values.length;

		this.#values[index] = value;
		return index;
	}

	get(index) {
		return this.#values[index];
	}

	remove(index) {
		const value = this.#values[index];

		if (value === undefined)
			return undefined;
		this.#values[index] = undefined;
		this.#free.push(index);
		return value;
	}

	/** Removes them all. */
	takeAll() {
		const all = this.#values.filter((value) => value !== undefined);

		this.#values = [];
		this.#free = [];
		return all;
	}
}

let isOpen = false;
let holders = 0;
const receivers = {};	// by type of event, and 'end'

/** Who gets the events of a type; of 'end': who hears that the peer has ended. */
function receive(type, receiver) {
	(receivers[type] ??= []).push(receiver);
}

function hold() {
	if (holders++ === 0)
		native.hold(true);
}

function letGo() {
	if (--holders === 0)
		native.hold(false);
}

// Receivers do not throw: what programs throw in them is answered or told there
function dispatch(events, err) {
	for (let i = 0; i < events.length; i += 2) {
		const numbers = head(events[i]);

		for (const receiver of receivers[Number(numbers[c.HEAD_TYPE])] ?? [])
			receiver(numbers, events[i], events[i + 1]);
	}
	if (err)
		close();
}

/** Opens the peer. where: as upcall_open(); undefined: $UPCALL_DEVICE, else /dev/upcall */
function open(where = undefined) {
	check(native.open(where, dispatch));
	isOpen = true;
	if (holders > 0)
		native.hold(true);
}

function need() {
	if (!isOpen)
		open();
}

/** Ends the peer: its exports die, its calls get no answer any more. A later use opens another one. */
function close() {
	if (!isOpen)
		return;
	isOpen = false;
	native.close();
	for (const receiver of receivers.end ?? [])
		receiver();
}

module.exports = { Table, receive, hold, letGo, open, need, close };
