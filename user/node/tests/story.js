// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// The life of a callback, line by line: a function, its handle, and what is left of them.

const { assert, claim, turn, collectUntil, rejection, Other, handles, upcall } = require('./common');
const native = require('upcall/upcall.node');

/** Made and dropped where nothing on the stack can hold it. */
function exportAndDrop(fn, options) {
	return upcall.export(fn, options).handle;
}

claim('window_somename_calls_a_closure_of_another_process', async () => {
	const other = await Other.start('owner');

	globalThis.window = globalThis;
	window.somename = upcall.stub(other.ready, { codec: 'text' });
	assert.equal(await window.somename('call'), 'call 1');
	assert.equal(await window.somename('call'), 'call 2');
	assert.equal(await other.end(), 0);
	assert((await rejection(window.somename('late'))) instanceof upcall.Stale);
});

claim('handle_is_a_number_that_json_keeps', () => {
	const w = upcall.export(() => {});

	assert(Number.isSafeInteger(w.handle) && w.handle > 0);
	assert.equal(JSON.parse(JSON.stringify(w.handle)), w.handle);
	w.release();
});

claim('two_exports_of_one_function_are_two_handles', () => {
	const fn = () => {};
	const [a, b] = [upcall.export(fn), upcall.export(fn)];

	assert.notEqual(a.handle, b.handle);
	a.release();
	b.release();
});

claim('dropped_wrapper_is_collected_and_a_late_call_is_stale', async () => {
	const handle = exportAndDrop(() => 'never');

	await collectUntil(() => !handles().includes(handle));
	const error = await rejection(upcall.stub(handle)('late'));

	assert(error instanceof upcall.Stale);
	assert.equal(error.code, 'ESTALE');
	assert.equal(error.stage, 'NOT_DELIVERED');
	assert.equal(error.reason, 'RELEASED');
});

claim('function_alone_pins_nothing', async () => {
	const fn = () => 'alive';
	const handle = exportAndDrop(fn);

	await collectUntil(() => !handles().includes(handle));
	assert.equal(fn(), 'alive');
	assert((await rejection(upcall.stub(handle)())) instanceof upcall.Stale);
});

claim('wrapper_alone_keeps_handle_and_function', async () => {
	const w = (() => {
		const text = 'kept';

		return upcall.export(() => text);
	})();

	for (let i = 0; i < 5; i++) {
		globalThis.gc();
		await turn();
	}
	assert.equal(String(await upcall.stub(w.handle)()), 'kept');
	w.release();
});

claim('function_that_mentions_its_wrapper_is_collected_with_it', async () => {
	const handle = (() => {
		const w = upcall.export(() => w.handle);

		return w.handle;
	})();

	await collectUntil(() => !handles().includes(handle));
});

claim('stub_pins_nothing_and_fails_cleanly_without_its_wrapper', async () => {
	const somename = upcall.stub(exportAndDrop(() => 'here'));

	await collectUntil(() => !handles().includes(somename.handle));
	for (let i = 0; i < 3; i++)
		assert.equal((await rejection(somename())).code, 'ESTALE');
});

claim('rebind_swaps_the_function_under_a_live_handle', async () => {
	const w = upcall.export(() => 'old');
	const f = upcall.stub(w.handle);

	assert.equal(String(await f()), 'old');
	w.rebind(() => 'new');
	assert.equal(String(await f()), 'new');
	w.release();
});

claim('rebound_away_function_is_collected_and_the_handle_lives', async () => {
	let w, gone;

	(() => {
		const old = () => 'old';

		gone = new WeakRef(old);
		w = upcall.export(old);
		w.rebind(() => 'new');
	})();
	await collectUntil(() => gone.deref() === undefined);
	assert.equal(String(await upcall.stub(w.handle)()), 'new');
	w.release();
});

claim('release_ends_the_handle_at_once_and_resolves_when_nothing_runs', async () => {
	let finish;
	const w = upcall.export(() => new Promise((resolve) => { finish = resolve; }));
	const answer = upcall.stub(w.handle)();

	while (!finish)
		await turn();
	let over = false;
	const released = w.release().then(() => { over = true; });

	assert.equal((await rejection(upcall.stub(w.handle)())).code, 'ESTALE');
	assert.equal(over, false);
	finish('finished');
	assert.equal(String(await answer), 'finished');
	await released;
	assert.equal(over, true);
	assert(w.released && await w.release() === undefined);
});

claim('release_with_abort_fails_what_runs', async () => {
	let signal;
	const w = upcall.export((_, call) => {
		signal = call.signal;
		return new Promise((resolve) => signal.addEventListener('abort', resolve));
	});
	const answer = rejection(upcall.stub(w.handle)());

	while (!signal)
		await turn();
	await w.release({ abort: true });
	const error = await answer;

	assert.deepEqual([error.code, error.stage], ['ECANCELED', 'DELIVERED']);
	assert(signal.aborted);
});

claim('symbol_dispose_releases', { skip: !Symbol.dispose && 'this Node has no Symbol.dispose' }, () => {
	const w = upcall.export(() => {});

	w[Symbol.dispose]();
	assert(w.released);
});

claim('published_name_is_found_and_goes_with_its_wrapper', async () => {
	const w = upcall.export((text) => `${text}!`, { name: 'node-test', codec: 'text' });

	assert.equal(upcall.lookup('node-test'), w.handle);
	assert.equal(await upcall.stub('node-test', { codec: 'text' })('hello'), 'hello!');
	await w.release();
	assert.throws(() => upcall.lookup('node-test'), { code: 'ENOENT' });
	assert.equal((await rejection(upcall.stub('node-test')())).code, 'ENOENT');
});

claim('collected_wrapper_takes_its_name_along', async () => {
	exportAndDrop(() => {}, { name: 'node-dropped' });
	await collectUntil(() => {
		try {
			upcall.lookup('node-dropped');
			return false;
		} catch {
			return true;
		}
	});
});

claim('stub_of_a_name_finds_the_next_owner', async () => {
	const f = upcall.stub('node-next', { codec: 'text' });
	const first = upcall.export(() => 'first', { name: 'node-next' });

	assert.equal(await f(), 'first');
	await first.release();
	const later = f(undefined, { timeout: 30_000 });
	const second = upcall.export(() => 'second', { name: 'node-next' });

	assert.equal(await later, 'second');
	second.release();
});

claim('thousand_exports_and_collections_leave_nothing', async () => {
	const seen = new Set();

	for (let i = 0; i < 1000; i++)
		seen.add(exportAndDrop(() => i));
	assert.equal(seen.size, 1000);
	await collectUntil(() => !handles().some((handle) => seen.has(handle)));
	for (const handle of [...seen].slice(0, 10))
		assert.equal(upcall.stat(handle).state, 'dead');
	const w = upcall.export(() => 'there');

	assert(!seen.has(w.handle));
	assert.equal(String(await upcall.stub(w.handle)()), 'there');
	await w.release();
});

claim('what_is_collected_together_is_released_together', async (t) => {
	const real = native.releaseAll;
	const batches = [];

	t.after(() => { native.releaseAll = real; });
	native.releaseAll = (all) => {
		batches.push(all.length);
		return real(all);
	};
	const all = new Set((() => Array.from({ length: 500 }, () => upcall.export(() => {}))
		.map(({ handle }) => handle))());

	await collectUntil(() => !handles().some((handle) => all.has(handle)));
	assert(batches.reduce((sum, n) => sum + n, 0) >= 500);
	assert(batches.length <= 50, `${batches.length} batches`);
});
