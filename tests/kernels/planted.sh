#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# planted.sh kasan|kcsan DIR: sees each check of that kernel fire once, on a bug that
# planted.c commits, and that tests/vm/run fails for it. Logs go to DIR.
set -eu
# shellcheck source=../env.sh
. "$(dirname "$(realpath "$0")")/../env.sh"

flavour=$1 out=$2
here=$top/tests/kernels
dir=$build/planted-$flavour
dest=$("$here/build.sh" "$flavour")

# What each bug must make the kernel say
said="
	rcu-unlocked	suspicious RCU usage
	atomic-sleep	BUG: sleeping function called from invalid context
	object-state	ODEBUG: free active .* object type: timer_list
	undefined	UBSAN: shift-out-of-bounds in .*planted.c
	hang		INFO: task .* blocked for more than
	lock-order	possible circular locking dependency detected
	use-after-free	KASAN: .*use-after-free in use_after_free
	out-of-bounds	KASAN: .*out-of-bounds in out_of_bounds
	leak		kernel memory leak of planted"
[ "$flavour" = kasan ] || said="
	race		KCSAN: data-race in race \[planted\]"

segment()	# NAME: what the kernel said between 'planted: NAME' and 'planted: end'
{
	sed -n "/planted: $1\$/,/planted: end/p" "$out/console"
}

mkdir -p "$dir" "$out"
cp "$here/planted.c" "$dir/"
say 'obj-m := planted.o' >"$dir/Kbuild"
quietly "$dir/log" make -C "$dest/build" M="$dir" UBSAN_SANITIZE=y modules || die "planted.c does not build"

status=0
"$top/tests/vm/run" --kernel "$flavour" --module none --timeout 900 --out "$out" --job "$here/planted.job" \
	--append "kcsan.skip_watch=50" "$dir/planted.ko" >"$out/log" 2>&1 || status=$?

failed=0
result()	# ok|FAIL TEXT
{
	printf '%-6splanted: %s\n' "$@"
	[ "$1" = ok ] || failed=1
}

while read -r bug text; do
	[ -n "$bug" ] || continue
	if ! segment "$bug" | grep -qE "$text"; then
		result FAIL "$bug is not seen"
	elif ! segment "$bug" | grep -qE "$bad_lines"; then
		result FAIL "$bug is seen, but by no pattern that fails a run"
	else
		result ok "$bug is seen: $(segment "$bug" | grep -m 1 -oE "$text.*")"
	fi
done <<<"$said"
if ! segment nothing | grep -q 'planted: end' || segment nothing | grep -qE "$bad_lines"; then
	result FAIL "no bug, and yet a report, or no run at all"
else
	result ok "no bug, no report"
fi
# for the right reason, and it shows the reports
if [ $status = 0 ] || ! grep -q '^vm: FAIL: the kernel complained' "$out/log"; then
	result FAIL "a run with reports does not fail"
else
	result ok "a run with reports fails"
fi
[ $failed = 0 ] || tail -n 40 "$out/log"
exit $failed
