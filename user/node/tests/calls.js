// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// What crosses, and how it fails.

const { assert, claim, turn, eventually, collectUntil, rejection, upcall } = require('./common');

/** An export for one test, and its stub. */
function pair(t, fn, options = {}, stubOptions = {}) {
	const w = upcall.export(fn, options);

	t.after(() => { w.release({ abort: true }); });
	return Object.assign(upcall.stub(w.handle, { codec: options.codec, ...stubOptions }), { w });
}

claim('bytes_cross_unchanged_and_are_a_copy', async (t) => {
	const sent = Buffer.from([0, 255, 128, 10, 0]);
	let got;
	const f = pair(t, (bytes) => (got = bytes));
	const reply = await f(sent);

	assert(Buffer.isBuffer(got) && Buffer.isBuffer(reply));
	assert.deepEqual(reply, sent);
	reply[0] = 7;
	assert.equal(sent[0], 0);
});

claim('nothing_strings_and_views_are_bytes_too', async (t) => {
	const f = pair(t, (bytes) => bytes);

	assert.equal((await f()).length, 0);
	assert.equal((await f(null)).length, 0);
	assert.equal(String(await f('grüße')), 'grüße');
	assert.deepEqual(await f(new Uint16Array([1, 258])), Buffer.from([1, 0, 2, 1]));
	assert.deepEqual(await f(new Uint8Array([1, 2, 3]).buffer), Buffer.from([1, 2, 3]));
	assert.deepEqual(await f(new DataView(new ArrayBuffer(4), 1, 2)), Buffer.from([0, 0]));
});

claim('json_codec_carries_values', async (t) => {
	const f = pair(t, ({ a, b }) => ({ sum: a + b, list: [null, 'x'] }), { codec: 'json' });

	assert.deepEqual(await f({ a: 1, b: 2 }), { sum: 3, list: [null, 'x'] });
});

claim('codec_of_ones_own_is_used_both_ways', async (t) => {
	const codec = { encode: (n) => String(n), decode: (bytes) => Number(bytes) };

	assert.equal(await pair(t, (n) => n * 2, { codec })(21), 42);
});

claim('argument_that_is_no_bytes_is_a_type_error_and_nothing_is_called', async (t) => {
	let calls = 0;
	const f = pair(t, () => { calls++; });

	assert((await rejection(f({}))) instanceof TypeError);
	assert((await rejection(f(1))) instanceof TypeError);
	assert.equal(calls, 0);
});

claim('argument_that_is_not_json_is_the_functions_failure', async (t) => {
	const f = pair(t, () => {}, { codec: 'json' }, { codec: 'bytes' });
	const error = await rejection(f('{'));

	assert(error instanceof upcall.RemoteError);
	assert.match(error.message, /^SyntaxError/);
});

claim('result_that_is_no_bytes_is_the_functions_failure', async (t) => {
	const error = await rejection(pair(t, async () => 42)());

	assert(error instanceof upcall.RemoteError);
	assert.match(error.message, /bytes or a string are needed, not number/);
});

claim('exception_crosses_with_its_text_whether_thrown_or_rejected', async (t) => {
	const thrown = await rejection(pair(t, () => { throw new RangeError('too far'); })());
	const rejected = await rejection(pair(t, async () => { throw new RangeError('too far'); })());

	for (const error of [thrown, rejected]) {
		assert(error instanceof upcall.RemoteError && error instanceof upcall.UpcallError);
		assert.deepEqual([error.status, error.stage, error.message, String(error.reply)],
				 [-1, 'REPLIED', 'RangeError: too far', 'RangeError: too far']);
	}
});

claim('anything_can_be_thrown', async (t) => {
	const hostile = { toString() { throw new Error('no text'); } };
	const caught = (thrown) => rejection(pair(t, () => { throw thrown; })());

	assert.equal((await caught('text')).message, 'text');
	assert.equal((await caught(undefined)).message, 'undefined');
	assert.equal((await caught(Symbol('s'))).message, 'Symbol(s)');
	assert.equal((await caught(hostile)).message, 'an error that has no text');
	assert.equal((await caught(Object.create(null))).message, 'an error that has no text');
});

claim('thenable_whose_then_throws_is_a_failure', async (t) => {
	const error = await rejection(pair(t, () => ({ get then() { throw new Error('trap'); } }))());

	assert.equal(error.message, 'Error: trap');
});

claim('text_of_an_exception_is_cut_to_what_the_caller_takes', async (t) => {
	const f = pair(t, () => { throw new Error('x'.repeat(1000)); }, {}, { replyMax: 10 });

	assert.equal((await rejection(f())).message, 'Error: xxx');
	assert.equal((await rejection(f(undefined, { replyMax: 0 }))).message, '');
});

claim('status_of_ones_own_crosses_with_its_bytes', async (t) => {
	const f = pair(t, () => { throw new upcall.RemoteError('', { status: 7, reply: Buffer.from('seven') }); });
	const error = await rejection(f());

	assert.deepEqual([error.status, String(error.reply)], [7, 'seven']);
});

claim('refusal_says_that_it_did_not_run', async (t) => {
	const error = await rejection(pair(t, async () => { throw new upcall.Refusal('EBUSY'); })());

	assert.deepEqual([error.code, error.stage], ['EBUSY', 'NOT_DELIVERED']);
	assert.throws(() => new upcall.Refusal('ENOSUCH'), TypeError);
});

claim('caller_and_operation_are_known', async (t) => {
	const f = pair(t, (_, call) => [call.op, call.pid, call.uid, call.gid, call.depth, call.oneway,
					call.deadline === undefined], { codec: 'json' });

	assert.deepEqual(await f(undefined, { op: 9 }),
			 [9, process.pid, process.getuid(), process.getgid(), 1, false, true]);
});

claim('argument_longer_than_the_callback_takes_says_how_much_it_takes', async (t) => {
	const error = await rejection(pair(t, () => {}, { maxArg: 100 })(Buffer.alloc(101)));

	assert.deepEqual([error.code, error.stage, error.needed], ['EMSGSIZE', 'NOT_DELIVERED', 100]);
});

claim('huge_argument_and_reply_of_a_mebibyte_cross_and_a_byte_more_does_not', async (t) => {
	const f = pair(t, (bytes) => bytes, { maxArg: 1 << 20 }, { replyMax: 1 << 20 });
	const big = Buffer.alloc(1 << 20, 'upcall');

	assert((await f(big)).equals(big));
	assert.equal((await rejection(f(Buffer.alloc((1 << 20) + 1)))).code, 'EMSGSIZE');
});

claim('reply_longer_than_the_caller_takes_is_said_to_it', async (t) => {
	const error = await rejection(pair(t, () => Buffer.alloc(5000), {}, { replyMax: 100 })());

	assert(error instanceof upcall.RemoteError);
	assert.match(error.message, /5000 bytes, and the caller takes 100/);
});

claim('signature_must_be_the_same', async (t) => {
	const f = pair(t, () => 'ok', { access: 'same-user', signature: 'f(i)i' });

	assert.equal((await rejection(f())).code, 'EPROTOTYPE');
	assert.equal(String(await upcall.stub(f.handle, { signature: 'f(i)i' })()), 'ok');
	assert.equal((await rejection(upcall.stub(f.handle, { signature: 'f(s)s' })())).code, 'EPROTOTYPE');
});

claim('timeout_is_the_kernels_and_the_owner_hears_of_it', async (t) => {
	let call;
	const f = pair(t, (_, info) => {
		call = info;
		assert(!call.signal.aborted);
		return new Promise(() => {});
	});
	const error = await rejection(f(undefined, { timeout: 50 }));

	assert.equal(error.code, 'ETIMEDOUT');
	if (error.stage === 'NOT_DELIVERED')	// on a busy machine
		return;
	assert.equal(error.stage, 'DELIVERED');
	assert.equal(typeof call.deadline, 'bigint');
	await eventually(() => call.signal.aborted);
	assert.equal(call.signal.reason.code, 'ETIMEDOUT');
});

claim('timeout_that_makes_no_sense_is_a_type_error', async (t) => {
	const f = pair(t, () => 'ok');

	for (const timeout of [-1, NaN, 'soon'])
		assert((await rejection(f(undefined, { timeout }))) instanceof TypeError);
	assert.equal(String(await f(undefined, { timeout: Infinity })), 'ok');
	assert.equal(String(await f(undefined, { timeout: 1e12 })), 'ok');
});

claim('abort_signal_cancels_and_the_owner_hears_of_it', async (t) => {
	let call;
	const f = pair(t, (_, info) => {
		call = info;
		return new Promise(() => {});
	});
	const controller = new AbortController();
	const answer = rejection(f(undefined, { signal: controller.signal }));

	while (!call)
		await turn();
	controller.abort(new Error('enough'));
	const error = await answer;

	assert.deepEqual([error.name, error.code, error.stage, error.cause.message],
			 ['AbortError', 'ECANCELED', 'DELIVERED', 'enough']);
	await eventually(() => call.signal.aborted);
});

claim('aborted_signal_calls_nothing', async (t) => {
	let calls = 0;
	const f = pair(t, () => { calls++; });
	const error = await rejection(f(undefined, { signal: AbortSignal.abort() }));

	assert.deepEqual([error.name, error.stage, calls], ['AbortError', 'NOT_DELIVERED', 0]);
});

claim('abort_after_the_answer_does_nothing', async (t) => {
	const controller = new AbortController();

	assert.equal(String(await pair(t, () => 'done')(undefined, { signal: controller.signal })), 'done');
	controller.abort();
});

claim('serial_export_runs_one_call_at_a_time_in_order', async (t) => {
	const seen = [];
	let running = 0, most = 0;
	const f = pair(t, async (bytes) => {
		most = Math.max(most, ++running);
		seen.push(bytes[0]);
		await turn();
		await turn();
		running--;
	}, { serial: true });

	await Promise.all(Array.from({ length: 20 }, (_, i) => f(Buffer.from([i]))));
	assert.equal(most, 1);
	assert.deepEqual(seen, Array.from({ length: 20 }, (_, i) => i));
});

claim('calls_of_another_export_run_side_by_side', async (t) => {
	let running = 0, most = 0;
	const f = pair(t, async () => {
		most = Math.max(most, ++running);
		while (most < 5)
			await turn();
		running--;
	});

	await Promise.all(Array.from({ length: 5 }, () => f()));
	assert.equal(most, 5);
});

claim('notification_runs_and_has_no_answer', async (t) => {
	const got = [];
	const f = pair(t, (text, call) => { got.push([text, call.oneway]); return 'for nobody'; },
		       { codec: 'text' });

	assert.equal(f.notify('a'), undefined);
	f.notify('b');
	await eventually(() => got.length === 2);
	assert.deepEqual(got, [['a', true], ['b', true]]);
	assert.throws(() => upcall.stub(1).notify('x'), { code: 'ESTALE', stage: 'NOT_DELIVERED' });
});

claim('latest_notification_takes_the_place_of_one_that_waits', async (t) => {
	const got = [];
	const f = pair(t, (text, call) => { got.push([text, call.dropped]); }, { codec: 'text' });

	for (const text of ['a', 'b', 'c'])
		f.notify(text, { latest: true });
	await eventually(() => got.length > 0);
	assert.deepEqual(got, [['c', 2]]);
});

claim('failure_of_a_notification_goes_to_on_error', async (t) => {
	const failed = new Promise((resolve) => {
		pair(t, () => { throw new Error('unheard'); }, { onError: (error) => resolve(error.message) }).notify();
	});

	assert.equal(await failed, 'unheard');
});

claim('failure_of_a_notification_is_a_warning_otherwise', async (t) => {
	const warning = new Promise((resolve) => process.once('warning', resolve));

	pair(t, async () => { throw new Error('unheard'); }).notify();
	assert.match((await warning).message, /notification .* failed: Error: unheard/);
});

claim('promise_that_nobody_can_settle_is_answered_when_it_is_collected', async (t) => {
	let called = false;
	const f = pair(t, () => {
		called = true;
		return new Promise(() => {});
	});
	let error;
	const answer = rejection(f()).then((e) => { error = e; });

	await eventually(() => called);
	await collectUntil(() => error);
	await answer;
	assert(error instanceof upcall.RemoteError);
	assert.equal(error.message, 'the callback gave no answer');
});

claim('collection_between_call_and_reply_loses_nothing', async (t) => {
	const f = pair(t, async (bytes) => {
		for (let i = 0; i < 3; i++) {
			globalThis.gc();
			await turn();
		}
		return bytes;
	});
	const replies = await Promise.all(Array.from({ length: 10 }, (_, i) => f(Buffer.alloc(5000, i))));

	replies.forEach((reply, i) => assert(reply.equals(Buffer.alloc(5000, i))));
});

claim('options_that_make_no_sense_are_type_errors', () => {
	assert.throws(() => upcall.export('text'), TypeError);
	assert.throws(() => upcall.export(() => {}, { access: 'everybody' }), TypeError);
	assert.throws(() => upcall.export(() => {}, { codec: 'xml' }), TypeError);
	for (const handle of [undefined, -1, 1.5, 2 ** 53, NaN, {}])
		assert.throws(() => upcall.stub(handle), TypeError);
});

claim('options_that_the_kernel_refuses_leave_nothing', () => {
	const label = 'to be refused';

	assert.throws(() => upcall.export(() => {}, { label, queuedCalls: 0 }), { code: 'EINVAL' });
	assert.throws(() => upcall.export(() => {}, { label, name: 'no/name' }), { code: 'EINVAL' });
	assert(upcall.list().every((record) => record.label !== label || record.state === 'closing'));
});
