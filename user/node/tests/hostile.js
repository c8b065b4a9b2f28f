// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// Ends at bad moments, and loads.

const { assert, claim, turn, eventually, rejection, Other, handles, upcall, needsProcesses } = require('./common');

claim('owner_that_is_killed_rejects_what_is_pending', needsProcesses, async () => {
	const other = await Other.start('silent');
	const answer = rejection(upcall.stub(other.ready)());

	assert.equal(await other.next(), 'called');
	await other.kill();
	const error = await answer;

	assert.deepEqual([error.code, error.stage, error.reason, error.exitStatus],
			 ['EOWNERDEAD', 'DELIVERED', 'EXITED', 9]);
	const late = await rejection(upcall.stub(other.ready)());

	assert.deepEqual([late.code, late.stage, late.exitStatus], ['ESTALE', 'NOT_DELIVERED', 9]);
	assert.match(late.message, /killed by signal 9/);
});

claim('owner_that_exits_in_a_call_rejects_it', needsProcesses, async () => {
	const other = await Other.start('exits');
	const error = await rejection(upcall.stub(other.ready)());

	assert.deepEqual([error.code, error.stage, error.exitStatus >> 8], ['EOWNERDEAD', 'DELIVERED', 3]);
});

claim('worker_that_is_terminated_with_calls_under_way_harms_nobody', async () => {
	const other = await Other.start('silent');
	const answer = rejection(upcall.stub(other.ready)());

	assert.equal(await other.next(), 'called');
	await other.kill();
	assert.equal((await answer).code, 'EOWNERDEAD');
});

claim('caller_that_dies_is_heard_of_by_the_function', async () => {
	const other = await Other.start('caller');
	let call;
	const w = upcall.export((_, info) => {
		call = info;
		return new Promise((resolve) => info.signal.addEventListener('abort', resolve));
	});

	other.say(w.handle);
	await eventually(() => call);
	assert.equal(call.signal.aborted, false);
	await other.kill();
	await eventually(() => call.signal.aborted);
	await w.release();
});

claim('caller_on_the_other_side_gets_its_reply', async () => {
	const other = await Other.start('caller');
	const w = upcall.export((text) => `heard ${text}`, { codec: 'text' });

	other.say(w.handle);
	assert.equal(await other.next(), 'heard from the other side');
	await other.end();
	w.release();
});

claim('close_rejects_what_is_under_way_and_the_next_use_opens_again', async () => {
	let running;
	const w = upcall.export((_, call) => {
		running = call;
		return new Promise(() => {});
	});
	const answer = rejection(upcall.stub(w.handle)());

	while (!running)
		await turn();
	const { signal } = running;

	upcall.close();
	upcall.close();
	assert.equal((await answer).code, 'ESHUTDOWN');
	assert(signal.aborted && w.released);
	await w.release();
	assert.equal((await rejection(upcall.stub(w.handle)())).code, 'ESTALE');
	const again = upcall.export(() => 'again');

	assert.equal(String(await upcall.stub(again.handle)()), 'again');
	again.release();
});

claim('close_within_a_function_is_survived', async () => {
	const w = upcall.export(() => {
		upcall.close();
		return 'for nobody';
	});
	const answers = await Promise.allSettled(Array.from({ length: 10 }, () => upcall.stub(w.handle)()));

	assert(answers.every(({ reason }) => reason?.code === 'ESHUTDOWN'));
});

claim('swap_under_load_never_runs_the_old_function_after_it', async () => {
	let swapped = false;
	const wrong = [];
	const w = upcall.export(() => {
		if (swapped)
			wrong.push('old');
		return 'old';
	});
	const f = upcall.stub(w.handle, { codec: 'text' });
	const seen = new Set();

	async function load() {
		for (let i = 0; i < 100; i++)
			seen.add(await f());
	}
	const loads = Array.from({ length: 5 }, load);

	while (!seen.has('old'))
		await turn();
	w.rebind(() => 'new');
	swapped = true;
	await Promise.all(loads);
	assert.deepEqual([...seen].sort(), ['new', 'old']);
	assert.deepEqual(wrong, []);
	await w.release();
});

claim('burst_leaves_turns_of_the_loop_to_others', async () => {
	let ran = 0, most = 0, before = 0;
	const w = upcall.export(() => { ran++; }, { queuedCalls: 4000, autoend: true });
	const f = upcall.stub(w.handle);
	let sent = 0;

	try {
		for (; sent < 1000; sent++)
			f.notify();
	} catch (error) {
		assert.equal(error.code, 'EAGAIN');
	}
	assert(sent > 200);
	while (ran < sent) {
		await turn();
		most = Math.max(most, ran - before);
		before = ran;
	}
	assert(most <= 128, `${most} in one turn`);
	await w.release();
});

claim('full_queue_says_that_a_retry_is_safe', async () => {
	const w = upcall.export(() => {}, { queuedCalls: 1 });
	const f = upcall.stub(w.handle);
	const answers = await Promise.allSettled(Array.from({ length: 5 }, () => f()));
	const refused = answers.filter(({ reason }) => reason);

	assert(refused.length > 0 && refused.length < 5);
	for (const { reason } of refused)
		assert.deepEqual([reason.code, reason.stage, reason.mayRetry], ['EAGAIN', 'NOT_DELIVERED', true]);
	await w.release();
});

claim('release_by_its_own_function_is_survived', async () => {
	let released;
	const w = upcall.export(() => {
		released = w.release();
		return 'last words';
	});

	assert.equal(String(await upcall.stub(w.handle)()), 'last words');
	await released;
	assert(!handles().includes(w.handle));
});

claim('calls_of_a_collected_wrapper_that_is_not_released_yet_are_refused', async (t) => {
	const native = require('upcall/upcall.node');
	const real = native.releaseAll;
	let late = [];

	t.after(() => { native.releaseAll = real; });
	native.releaseAll = (all) => { late = late.concat(all); };
	const handle = (() => upcall.export(() => 'gone').handle)();

	await require('./common').collectUntil(() => late.includes(handle));
	const error = await rejection(upcall.stub(handle)());

	assert.deepEqual([error.code, error.stage], ['ESTALE', 'NOT_DELIVERED']);
	real(late);
});
