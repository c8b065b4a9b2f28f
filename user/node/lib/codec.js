// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// From values to bytes and back. Bytes are the default: what the other side makes of them is
// agreed between the two, as is the language it is written in.

const { isAnyArrayBuffer } = require('util').types;

function encodeBytes(value) {
	if (value === undefined || value === null)
		return undefined;
	if (typeof value === 'string')
		return Buffer.from(value);
	if (value instanceof Uint8Array)
		return value;
	if (ArrayBuffer.isView(value))
		return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
	if (isAnyArrayBuffer(value))
		return new Uint8Array(value);
	throw new TypeError(`bytes or a string are needed, not ${typeof value}: codec 'json' takes others`);
}

const codecs = {
	bytes: { encode: encodeBytes, decode: (bytes) => bytes },
	text: { encode: encodeBytes, decode: (bytes) => bytes.toString() },
	json: {
		encode: (value) => value === undefined ? undefined : Buffer.from(JSON.stringify(value) ?? ''),
		decode: (bytes) => bytes.length ? JSON.parse(bytes.toString()) : undefined,
	},
};

/** A codec by its name, or an object with encode and decode, whose bytes are looked at, too. */
function codecOf(codec = 'bytes') {
	if (typeof codec === 'string' && Object.hasOwn(codecs, codec))
		return codecs[codec];
	if (typeof codec?.encode === 'function' && typeof codec?.decode === 'function')
		return {
			encode: (value) => encodeBytes(codec.encode(value)),
			decode: (bytes) => codec.decode(bytes),
		};
	throw new TypeError("codec: 'bytes', 'text', 'json', or an object with encode and decode");
}

module.exports = { codecOf };
