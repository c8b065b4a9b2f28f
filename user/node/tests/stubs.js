// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// Stub descriptors: who has one may call, and when the last one is closed the owner hears of it.

const { assert, claim, turn, collectUntil, eventually, rejection, Other, handles, upcall, onDouble } = require('./common');
const { closeSync, openSync } = require('node:fs');

const needsModule = { timeout: 60_000, skip: onDouble && 'the test double has no stubs' };

claim('stub_fd_calls_and_the_function_knows', needsModule, async () => {
	const w = upcall.export((text, call) => `${text} ${call.throughStub}`, { codec: 'text' });
	const f = upcall.stub({ fd: w.exportFd() }, { codec: 'text' });

	assert.equal(await f('through'), 'through true');
	assert.equal(await upcall.stub(w.handle, { codec: 'text' })('direct'), 'direct false');
	assert.deepEqual([typeof f.fd, f.handle, upcall.stat(w.handle).stubs], ['number', undefined, 1]);
	f.close();
	f.close();
	assert.equal(upcall.stat(w.handle).stubs, 0);
	assert.equal((await rejection(f('closed'))).code, 'EBADF');
	assert.throws(() => f.notify('closed'), { code: 'EBADF' });
	await w.release();
});

claim('stub_only_export_can_be_called_in_no_other_way', needsModule, async () => {
	const w = upcall.export(() => 'in', { access: 'stub-only' });
	const f = upcall.stub({ fd: w.exportFd() });
	const error = await rejection(upcall.stub(w.handle)());

	assert.deepEqual([error.code, error.stage], ['EACCES', 'NOT_DELIVERED']);
	assert.equal(String(await f()), 'in');
	f.close();
	await w.release();
});

claim('stub_fd_is_inherited_by_a_child_that_calls', needsModule, async () => {
	const w = upcall.export((text) => `heir of ${text}`, { codec: 'text', access: 'stub-only' });
	const fd = w.exportFd();
	const other = await Other.start('heir', { stdio: ['inherit', 'inherit', 'inherit', 'ipc', fd] });

	closeSync(fd);
	other.say('call');
	assert.equal(await other.next(), 'heir of the other side');
	assert.equal(upcall.stat(w.handle).stubs, 1);
	await other.end();
	await eventually(() => upcall.stat(w.handle).stubs === 0);
	await w.release();
});

claim('stub_of_a_released_export_says_why_it_is_stale', needsModule, async () => {
	const w = upcall.export(() => 'never');
	const f = upcall.stub({ fd: w.exportFd() });

	await w.release();
	const error = await rejection(f());

	assert(error instanceof upcall.Stale);
	assert.deepEqual([error.stage, error.reason], ['NOT_DELIVERED', 'RELEASED']);
	f.close();
});

claim('open_stub_does_not_keep_a_dropped_wrapper', needsModule, async () => {
	const { handle, fd } = (() => {
		const w = upcall.export(() => 'never');

		return { handle: w.handle, fd: w.exportFd() };
	})();
	const f = upcall.stub({ fd });

	await collectUntil(() => !handles().includes(handle));
	assert.equal((await rejection(f())).code, 'ESTALE');
	f.close();
});

claim('stubs_keep_an_auto_release_export_until_the_last_is_closed', needsModule, async () => {
	const { handle, fd } = (() => {
		const w = upcall.export(() => 'kept by its stub', { autoRelease: true });

		return { handle: w.handle, fd: w.exportFd() };
	})();

	for (let i = 0; i < 5; i++) {
		globalThis.gc();
		await turn();
	}
	const f = upcall.stub({ fd });

	assert.equal(String(await f()), 'kept by its stub');
	f.close();
	await eventually(() => !handles().includes(handle));
	assert.equal(upcall.stat(handle).reason, 'RELEASED');
});

claim('owner_hears_that_the_last_stub_was_closed_each_time', needsModule, async () => {
	let heard = 0;
	const w = upcall.export(() => {}, { onUnreferenced: (it) => { assert.equal(it, w); heard++; } });
	const [a, b] = [w.exportFd(), w.exportFd()];

	closeSync(a);
	await turn();
	assert.equal(heard, 0);
	closeSync(b);
	w.ref();
	await eventually(() => heard === 1);
	closeSync(w.exportFd());
	await eventually(() => heard === 2);
	await w.release();
});

claim('collected_stub_closes_its_fd', needsModule, async () => {
	const w = upcall.export(() => {});

	(() => upcall.stub({ fd: w.exportFd() }))();
	assert.equal(upcall.stat(w.handle).stubs, 1);
	await collectUntil(() => upcall.stat(w.handle).stubs === 0);
	await w.release();
});

claim('stub_rides_with_a_call_and_with_its_reply', needsModule, async () => {
	const inner = upcall.export((text) => `inner ${text}`, { codec: 'text' });
	const outer = upcall.export(async (_, call) => {
		const [fd] = call.takeFds();
		const f = upcall.stub({ fd }, { codec: 'text' });
		const answer = await f('by the one it was given to');

		call.attachFds([f.fd]);
		setImmediate(() => f.close());
		return answer;
	}, { codec: 'text', fds: true });
	const fd = inner.exportFd();
	const { value, fds } = await upcall.stub(outer.handle, { codec: 'text' })(undefined, { fds: [fd], replyFds: 1 });

	assert.equal(value, 'inner by the one it was given to');
	assert.equal(fds.length, 1);
	const back = upcall.stub({ fd: fds[0] }, { codec: 'text' });

	assert.equal(await back('by the first one'), 'inner by the first one');
	back.close();
	closeSync(fd);
	await eventually(() => upcall.stat(inner.handle).stubs === 0);
	await inner.release();
	await outer.release();
});

claim('descriptor_that_is_no_stub_is_a_type_error', () => {
	const fd = openSync('/dev/null');

	assert.throws(() => upcall.stub({ fd }), TypeError);
	assert.throws(() => upcall.stub({ fd: 'three' }), TypeError);
	closeSync(fd);
	assert.throws(() => upcall.stub({ fd }), { code: 'EBADF' });
});
