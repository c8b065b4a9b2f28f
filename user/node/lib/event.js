// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
'use strict';

// What the addon hands over: 64-bit numbers, each at the place that its name has among the
// constants, and behind them bytes.

const { constants } = require('../upcall.node');

const NO_DEADLINE = 0xffffffffffffffffn;

function head(event) {
	return new BigUint64Array(event, 0, constants.HEAD_COUNT);
}

function bytes(event, numbers) {
	return Buffer.from(event, constants.HEAD_COUNT * 8, Number(numbers[constants.HEAD_LENGTH]));
}

module.exports = { NO_DEADLINE, head, bytes };
