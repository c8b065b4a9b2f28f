// SPDX-License-Identifier: GPL-2.0-only
// Reports a run of node:test as kselftest's runner does: what is to be said about a test stands
// before its line.

function said(error) {
	const cause = error?.cause ?? error;
	const text = cause?.stack ?? String(cause);

	return text.split('\n').map((line) => `# ${line}\n`).join('');
}

export default async function* tap(source) {
	let count = 0;

	yield 'TAP version 13\n';
	for await (const { type, data } of source) {
		if (type === 'test:fail')
			yield `${said(data.details.error)}not ok ${++count} ${data.name}\n`;
		else if (type === 'test:pass' && data.skip !== undefined)
			yield `ok ${++count} ${data.name} # SKIP ${data.skip}\n`;
		else if (type === 'test:pass')
			yield `ok ${++count} ${data.name}\n`;
	}
	yield `1..${count}\n`;
}
