// SPDX-License-Identifier: GPL-2.0-only
'use strict';

// When a process goes on, when it ends; and programs in C on the other side.

const { assert, claim, upcall, needsProcesses, LIMIT } = require('./common');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');

function run(code, options = {}) {
	return spawnSync(process.execPath, ['--expose-gc', '-e', `const upcall = require('upcall'); ${code}`],
			 { timeout: LIMIT, encoding: 'utf8', ...options });
}

function endsWith(status, said, code) {
	const done = run(code);

	assert.deepEqual([done.status, done.signal, done.stdout.trim(), done.stderr], [status, null, said, '']);
}

claim('idle_export_does_not_keep_the_process', () => {
	endsWith(0, 'end', `
		globalThis.w = upcall.export(() => {});
		process.on('exit', () => console.log('end'));`);
});

claim('export_with_ref_keeps_the_process_until_unref', () => {
	endsWith(0, 'still here', `
		const w = upcall.export(() => {}).ref();
		setTimeout(() => { console.log('still here'); w.unref(); }, 50).unref();`);
});

claim('collected_export_with_ref_there_is_none', () => {
	endsWith(0, 'pinned', `
		const handle = (() => upcall.export(() => 'pinned').ref().handle)();
		setImmediate(() => { gc(); setImmediate(async () => {
			gc();
			console.log(String(await upcall.stub(handle)()));
			process.exit();
		}); });`);
});

claim('pending_call_keeps_the_process', () => {
	endsWith(0, 'answered', `
		const w = upcall.export(() => new Promise((resolve) => setTimeout(resolve, 50, 'answered').unref()));
		upcall.stub(w.handle)().then((reply) => console.log(String(reply)));`);
});

claim('process_ends_cleanly_with_calls_under_way', () => {
	endsWith(5, '', `
		const w = upcall.export(() => { setImmediate(() => process.exit(5)); return new Promise(() => {}); });
		for (let i = 0; i < 10; i++)
			upcall.stub(w.handle)().catch(() => {});`);
});

claim('uncaught_exception_elsewhere_ends_it_as_ever', () => {
	const done = run('upcall.export(() => {}).ref(); setImmediate(() => { throw new Error("elsewhere"); });');

	assert.equal(done.status, 1);
	assert.match(done.stderr, /Error: elsewhere/);
});

claim('workers_have_peers_of_their_own_and_end_cleanly', () => {
	endsWith(0, 'abc', `
		const { Worker, isMainThread, parentPort } = require('worker_threads');
		const code = \`const upcall = require('upcall');
			const w = upcall.export((text) => text).ref();
			require('worker_threads').parentPort.postMessage(w.handle);\`;
		(async () => {
			let text = '';
			for (const letter of 'abc') {
				const worker = new Worker(code, { eval: true });
				const handle = await new Promise((resolve) => worker.once('message', resolve));
				text += await upcall.stub(handle)(letter);
				await worker.terminate();
			}
			console.log(text);
		})();`);
});

claim('name_goes_when_the_process_ends', needsProcesses, () => {
	endsWith(0, '', 'globalThis.w = upcall.export(() => {}, { name: "node-ends" });');
	assert.throws(() => upcall.lookup('node-ends'), { code: 'ENOENT' });
});

claim('without_a_module_the_error_says_so', () => {
	const done = run('upcall.export(() => {})', { env: { ...process.env, UPCALL_DEVICE: '/nowhere' } });

	assert.equal(done.status, 1);
	assert.match(done.stderr, /UpcallError: ENOENT: .*is the module loaded/);
});

// ---- C on either side ----

/** A program in the background, and the first line that it says. */
async function start(t, program, ...args) {
	const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });

	t.after(() => child.kill('SIGKILL'));
	return { child, line: String((await once(child.stdout, 'data'))[0]).trim() };
}

claim('node_calls_a_function_in_c', needsProcesses, async (t) => {
	const { child, line } = await start(t, 'lib_owner');

	assert.equal(await upcall.stub(Number(line), { codec: 'text' })('by handle'), 'BY HANDLE');
	assert.equal(await upcall.stub('upper', { codec: 'text' })('by name'), 'BY NAME');
	const error = await upcall.stub(Number(line))(Buffer.alloc(5000)).catch((e) => e);

	assert.deepEqual([error.code, error.stage], ['EMSGSIZE', 'NOT_DELIVERED']);
	child.kill();
	assert.equal((await once(child, 'exit'))[0], 0);
});

claim('c_calls_a_function_in_node', needsProcesses, async () => {
	const w = upcall.export((text) => text.toUpperCase(), { codec: 'text', name: 'node-upper' });
	const caller = spawn('lib_caller', ['node-upper', 'hello from c'], { stdio: ['ignore', 'pipe', 'inherit'] });
	const [said] = await once(caller.stdout, 'data');

	assert.equal(String(said), 'HELLO FROM C\n');
	await w.release();
});

claim('command_calls_a_function_in_node_and_shows_its_failure', needsProcesses, async () => {
	const w = upcall.export(() => { throw new Error('not today'); });
	const caller = spawn('upcall', ['call', String(w.handle), 'x'], { stdio: ['ignore', 'pipe', 'pipe'] });
	let said = '';

	caller.stderr.on('data', (data) => { said += data; });
	caller.stdout.on('data', (data) => { said += data; });
	const [code] = await once(caller, 'close');

	assert.notEqual(code, 0);
	assert.match(said, /not today/);
	await w.release();
});

claim('examples_do_what_they_say', needsProcesses, async (t) => {
	const { child } = await start(t, 'node_owner.js');
	const caller = spawnSync('node_caller.js', ['upper', 'hello'], { encoding: 'utf8', timeout: LIMIT });

	assert.deepEqual([caller.stdout, caller.stderr, caller.status], ['HELLO\n', '', 0]);
	const inC = spawnSync('lib_caller', ['upper', 'hello'], { encoding: 'utf8', timeout: LIMIT });

	assert.equal(inC.stdout, 'HELLO\n');
	const story = spawnSync(process.execPath, ['--expose-gc', '/usr/bin/node_story.js'], { encoding: 'utf8', timeout: LIMIT });

	assert.equal(story.stdout, 'a closure of Node\na closure of Node\nStale NOT_DELIVERED\n');
	child.kill('SIGTERM');
	assert.equal((await once(child, 'exit'))[0], 0);
	assert.throws(() => upcall.lookup('upper'), { code: 'ENOENT' });
});
