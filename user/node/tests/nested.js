// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// Calls within calls: one thread on each side is enough, since nobody blocks.

const { assert, claim, turn, eventually, rejection, Other, upcall } = require('./common');

claim('function_that_is_called_calls_its_caller_back_while_it_waits', async () => {
	const other = await Other.start('back');
	const depths = [];
	const w = upcall.export(async ({ handle, depth }, call) => {
		depths.push(call.depth);
		return depth > 0 ? upcall.stub(handle, { codec: 'json' })({ handle: w.handle, depth }) : 'bottom';
	}, { codec: 'json' });
	const answer = await upcall.stub(other.ready, { codec: 'json' })({ handle: w.handle, depth: 3 });

	assert.deepEqual(depths, [2, 4, 6]);
	assert.deepEqual(answer, { at: 1, got: { at: 3, got: { at: 5, got: 'bottom' } } });
	await w.release();
	assert.equal(await other.end(), 0);
});

claim('endless_recursion_ends_with_eloop', async () => {
	const w = upcall.export(async () => upcall.stub(w.handle)());
	const error = await rejection(upcall.stub(w.handle)());

	assert(error instanceof upcall.RemoteError);
	assert.match(error.message, /ELOOP/);
	w.release();
});

claim('call_within_a_call_ends_with_its_deadline', async () => {
	const inner = upcall.export((_, call) => String(call.deadline));
	const outer = upcall.export(async (_, call) => {
		const late = await upcall.stub(inner.handle)(undefined, { timeout: 1e9 });
		const soon = await upcall.stub(inner.handle)(undefined, { timeout: 1 }).catch(() => undefined);
		const detached = await upcall.stub(inner.handle)(undefined, { detached: true });

		assert.equal(String(late), String(call.deadline));
		assert(soon === undefined || BigInt(soon) < call.deadline);
		return detached;
	});

	assert.equal(String(await upcall.stub(outer.handle)(undefined, { timeout: 50_000 })), 'undefined');
	inner.release();
	outer.release();
});

claim('call_within_a_call_is_cancelled_with_it', async () => {
	let innerCall, outcome;
	const inner = upcall.export((_, call) => {
		innerCall = call;
		return new Promise((resolve) => call.signal.addEventListener('abort', () => resolve('late')));
	});
	const outer = upcall.export(async () => {
		outcome = await rejection(upcall.stub(inner.handle)());
		throw outcome;
	});
	const controller = new AbortController();
	const answer = rejection(upcall.stub(outer.handle)(undefined, { signal: controller.signal }));

	while (!innerCall)
		await turn();
	controller.abort();
	assert.equal((await answer).code, 'ECANCELED');
	await eventually(() => outcome);
	assert.equal(outcome.code, 'ECANCELED');
	await eventually(() => innerCall.signal.aborted);
	inner.release();
	outer.release();
});

claim('call_after_the_answer_has_no_parent', async () => {
	const inner = upcall.export((_, call) => String(call.depth));
	let late;
	const outer = upcall.export(() => {
		late = turn().then(turn).then(() => upcall.stub(inner.handle)());
	});

	await upcall.stub(outer.handle)();
	assert.equal(String(await late), '1');
	inner.release();
	outer.release();
});
