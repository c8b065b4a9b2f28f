// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// What a call can fail with, and what the numbers of the ABI are called.

const native = require('../upcall.node');
const { constants: c } = native;

const MAX_ERRNO = 511;	// of a refusal
const STAGES = [];	// their names, by number
const RAISED = -1;	// status of a reply: it raised, and the reply is its text

for (const stage of ['UNKNOWN', 'NOT_DELIVERED', 'DELIVERED', 'REPLIED'])
	STAGES[c[`STAGE_${stage}`]] = stage;

/** An errno and its stage, of a call or of anything else here. */
class UpcallError extends Error {
	/** how: what is known beside the errno, in the numbers of the ABI */
	constructor(errno, how = {}, message = undefined, options = undefined) {
		super(message ?? describe(errno, how), options);
		const stage = how.stage;

		this.errno = Math.abs(errno);
		this.code = native.errname(errno);
		this.stage = stage === undefined ? undefined : STAGES[stage];
		this.reason = how.reason ? native.reasonName(how.reason).toUpperCase() : undefined;
		this.exitStatus = how.reason === c.REASON_EXITED ? how.exitStatus : undefined;
		this.word = how.word;
		this.needed = how.needed;
		this.mayRetry = stage === undefined ? false : native.mayRetry(errno, stage);
	}
}

/** The handle is not alive. It will never be again, nor be another callback's. */
class Stale extends UpcallError {}

/** The function ran, and failed: it threw (status -1), or said so in a status of its own. */
class RemoteError extends UpcallError {
	constructor(text, { status = RAISED, reply = undefined, cause = undefined } = {}) {
		super(0, { stage: c.STAGE_REPLIED }, text, cause && { cause });
		this.errno = undefined;
		this.code = 'ERR_UPCALL_REMOTE';
		this.status = status;
		this.reply = reply ?? Buffer.from(text);
	}
}

/** Thrown by a function: it did not run and will not, so the caller may try again. */
class Refusal extends Error {
	constructor(code = 'EAGAIN') {
		super(`refused with ${code}`);
		this.errno = errnoOf(code);
		this.code = code;
	}
}

for (const type of [UpcallError, Stale, RemoteError, Refusal])
	Object.defineProperty(type.prototype, 'name', {
		value: type.name, writable: true, configurable: true,
	});

function describe(errno, { stage, reason, exitStatus, needed }) {
	let text = `${native.errname(errno)}: `;

	if (reason)
		text += `not a live handle: ${native.deathText(reason, exitStatus)}`;
	else
		text += native.strerror(errno);
	if (needed !== undefined)
		text += ` (${needed} bytes)`;
	if (stage !== undefined)
		text += `; ${native.stageText(stage)}`;
	return text;
}

function errnoOf(code) {
	for (let errno = 1; errno <= MAX_ERRNO; errno++)
		if (native.errname(errno) === code)
			return errno;
	throw new TypeError(`${code} is the name of no errno`);
}

/** The error that belongs to an errno, of either sign. */
function failure(errno, how) {
	return new (Math.abs(errno) === c.ESTALE ? Stale : UpcallError)(errno, how);
}

/** value of a function of the addon: itself, or its error thrown */
function check(value) {
	if (typeof value === 'number' && value < 0)
		throw failure(value);
	return value;
}

module.exports = {
	UpcallError, Stale, RemoteError, Refusal,
	failure, check, RAISED,
};
