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
	rcu-list-unlocked	RCU-list traversed in non-reader section
	atomic-sleep	BUG: sleeping function called from invalid context
	unpinned-cpu	BUG: using smp_processor_id\(\) in preemptible
	refcount	refcount_t: underflow
	hang		INFO: task .* blocked for more than
	soft-lockup	BUG: soft lockup
	rcu-stall	rcu.*detected stalls
	list		list_del corruption
	user-copy	usercopy: Kernel memory exposure attempt"
case $flavour in
kasan)	said+="
	active-timer	ODEBUG: free active .* object type: timer_list
	active-work	ODEBUG: free active .* object type: work_struct
	active-counter	ODEBUG: free active .* object type: percpu_counter
	rcu-twice	ODEBUG: activate active .* object type: rcu_head
	shift		UBSAN: shift-out-of-bounds in .*planted.c
	array-index	UBSAN: array-index-out-of-bounds in .*planted.c
	bool		UBSAN: invalid-load in .*planted.c
	lock-order	possible circular locking dependency detected
	use-after-free	KASAN: .*use-after-free in use_after_free
	double-free	KASAN: (double-free|invalid-free)
	out-of-bounds	KASAN: slab-out-of-bounds in out_of_bounds
	vmalloc-bounds	KASAN: vmalloc-out-of-bounds in vmalloc_bounds
	stack-bounds	KASAN: stack-out-of-bounds in stack_bounds
	leak		kernel memory leak of planted" ;;
kcsan)	said+="
	lock-in-irq	inconsistent lock state
	race		KCSAN: data-race in race \[planted\]
	race-with-lock	KCSAN: data-race in race_with_lock \[planted\]
	race-with-marked	KCSAN: data-race in race_with_marked \[planted\]
	race-with-missing-barrier	reordered to: missing_barrier.* \[planted\]
	race-with-free	KCSAN: .*race in .*race_with_free.* \[planted\]" ;;
esac

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
no_bugs=nothing
[ "$flavour" != kcsan ] || no_bugs+=" no-race-with-barrier"
for bug in $no_bugs; do
	if ! segment "$bug" | grep -q 'planted: end' || segment "$bug" | grep -qE "$bad_lines"; then
		result FAIL "$bug: no bug, and yet a report, or no run at all"
	else
		result ok "$bug: no bug, no report"
	fi
done
# for the right reason, and it shows the reports
if [ $status = 0 ] || ! grep -q '^vm: FAIL: the kernel complained' "$out/log"; then
	result FAIL "a run with reports does not fail"
else
	result ok "a run with reports fails"
fi
[ $failed = 0 ] || tail -n 40 "$out/log"
exit $failed
