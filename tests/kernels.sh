#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# kernels.sh [--kernels "NAME ..."] [PATTERN]...: 'make test-kernels'. Runs the tests on each of
# Debian's other kernels, or on those named; with patterns, only the test programs that match.
# One line for each kernel, and the last is 'kernels: N passed, N failed'.
set -eu -o pipefail
# shellcheck source=env.sh
. "${0%/*}/env.sh"

kernels=$debian_kernels
if [ "${1:-}" = --kernels ]; then
	kernels=$2
	shift 2
fi
# What sid has today by its version
kernels=" ${kernels//7.2/sid} "
for kernel in $kernels; do
	is_debian "$kernel" || die "no kernel is called $kernel: they are $debian_kernels"
done

mkdir -p "$build"
lines=$build/kernels
: >"$lines"
passed=0 failed=0
for kernel in $kernels; do
	printf '\n=== %s\n' "$kernel"
	status=0
	"$top/tests/run.sh" --kernel "$kernel" "$@" | tee "$build/kernels.log" || status=$?
	line=$(grep -E "^$kernel .*[0-9]+ passed, [0-9]+ failed" "$build/kernels.log" | tail -n 1 || :)
	[ -n "$line" ] || line="$kernel (none): 0 passed, 1 failed, 0 skipped"
	say "$line" >>"$lines"
	[[ $line =~ ([0-9]+)" passed, "([0-9]+)" failed" ]]
	passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
	# whatever it says, it ended badly
	[ $status = 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || failed=$((failed + 1))
done
printf '\n== all kernels\n'
cat "$lines"
say "kernels: $passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
