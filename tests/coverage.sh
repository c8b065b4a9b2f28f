#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# coverage.sh [PATTERN]...: 'make coverage'. How much of kmod/ runs in all tests, in the faults and in
# the stress, by gcov on the kernel tests/kernels/faults.config. Left out are the tests built as
# 32-bit programs: to the module they are the same again.
#
# It goes piece by piece, each a machine of its own. What a piece counted is kept: it is not run
# again as long as the module and its tests are the same, unless something in it failed. So a run that
# was interrupted goes on where it was. FRESH=1: all pieces anew. ONLY='abi hook': no others now.
#
# Every line that did not run is shown, with the reason that tests/coverage.reasons has for it, and every
# reason that has no such line. The last line is 'coverage: lines NN.N%' if all pieces were counted, else
# 'coverage: partial, lines NN.N%'. So it is with patterns: they are a piece of its own that is not kept, and
# the only one (FAULTS=PATTERN: and these faults). Fails below 95, when partial, and where a test does.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

least=95.0
out=$build/coverage-report
pieces="abi lib tool hook other stress faults"
failed='' counted=() missing=''

[ -z "${FRESH:-}" ] || rm -rf "$out"
mkdir -p "$out"
exec 8>"$out/.lock"
flock -n 8 || die "another one is running"

# --- the modules ---------------------------------------------------------------

# The one that is installed; and the one with the hooks, where calls are not used again
KDIR=$("$top/tests/kernels/build.sh" faults)/build
export KDIR
"$top/tests/module.sh" coverage UPCALL_COVERAGE=1
"$top/tests/module.sh" coverage-test UPCALL_COVERAGE=1 UPCALL_TEST=1
unset KDIR

module_of()	# PIECE
{
	case $1 in hook*) say coverage-test ;; *) say coverage ;; esac
}

# --- the pieces ----------------------------------------------------------------

tests_of()	# PIECE: names of test programs
{
	local name

	for name in "$top"/tests/selftests/*_test.c "$top"/tests/selftests/*.sh; do
		name=${name##*/} name=${name%.c}
		case $name in
		abi_* | lib_* | tool_* | hook_*) [ "${name%%_*}" != "$1" ] || say "$name" ;;
		*) [ "$1" != other ] || say "$name" ;;
		esac
	done
}

# What a piece counts depends on
sources_of()	# PIECE
{
	local name

	find "$build/$(module_of "$1")/kmod" -name '*.gcno' ! -name '*.mod.gcno'
	case $1 in
	stress | faults)	find "$top/tests/$1" "$top/tests/selftests" -name '*.h' -o -path "*/$1/*.c" ;;
	*)
		for name in $(tests_of "$1"); do ls "$top/tests/selftests/$name"{,.c} 2>/dev/null; done
		find "$top/tests/selftests" -name '*.h' -o -name '*.inc'
		;;
	esac
}

key_of()	# PIECE
{
	sources_of "$1" | sort | xargs cat | cksum
}

play()		# PIECE [PATTERN]...
{
	local piece=$1; shift

	UPCALL_MODULE=$build/$(module_of "$piece")/upcall.ko
	export UPCALL_MODULE
	# shellcheck disable=SC2046 # a word for each
	[ $# -gt 0 ] || set -- $(tests_of "$piece")
	case $piece in
	stress)		"$top/tests/stress.sh" --kernel faults 20 ;;
	faults*)	"$top/tests/faults.sh" "$@" ;;
	*)		"$top/tests/run.sh" --kernel faults "$@" ;;
	esac
}

# Leaves what was counted at $out/PIECE/gcda; and its key there, if all was well
run_piece()	# PIECE [PATTERN]...
{
	local piece=$1 status=0 key gcda TIMEFORMAT="coverage: $1 took %0R s, %0U s of a processor"
	key=$(key_of "$piece")

	rm -rf "${out:?}/$piece" "$build"/{test-faults/module,test-faults/test-module,stress-faults/vm,faults/vm}/gcda
	mkdir -p "$out/$piece"
	{ time play "$@" 2>&1; } 8>&- || status=1
	gcda=$(find "$build"/{test-faults,stress-faults,faults}/*/gcda -maxdepth 0 2>/dev/null) || :
	[ -z "$gcda" ] || mv "$gcda" "$out/$piece/gcda"
	if [ $status != 0 ]; then
		failed+=" $piece"
	elif [ -n "$gcda" ]; then
		say "$key" >"$out/$piece/key"
	fi
}

kept()		# PIECE
{
	[ -e "$out/$1/gcda" ] && [ "$(cat "$out/$1/key" 2>/dev/null)" = "$(key_of "$1")" ]
}

take_piece()	# PIECE [PATTERN]...
{
	say
	if [ $# = 1 ] && kept "$1"; then
		say "coverage: $1 is kept of an earlier run"
	elif [ -n "${ONLY:-}" ] && [[ " $ONLY " != *" $1 "* ]]; then
		say "coverage: $1 is left out"
		rm -rf "${out:?}/$1"
	else
		say "coverage: $1"
		run_piece "$@"
	fi
	if [ -e "$out/$1/gcda" ]; then counted+=("$1"); else missing+=" $1"; fi
}

if [ $# = 0 ] && [ -z "${FAULTS+x}" ]; then
	for piece in $pieces; do take_piece "$piece"; done
else
	missing=' all others' ONLY=''
	plain=() hook=()
	for pattern; do
		case $pattern in hook*) hook+=("$pattern") ;; *) plain+=("$pattern") ;; esac
	done
	[ ${#plain[@]} = 0 ] || take_piece chosen "${plain[@]}"
	[ ${#hook[@]} = 0 ] || take_piece hook-chosen "${hook[@]}"
	[ -z "${FAULTS+x}" ] || take_piece faults-chosen "${FAULTS:-*}"
fi
[ ${#counted[@]} -gt 0 ] || die "nothing was counted"

# --- together ------------------------------------------------------------------

# What several machines counted with one module, as gcov says it line by line, with branches.
# Headers come with every source that includes them
report()	# MODULE
{
	local module=$1 all=$out/$1.all piece object name

	rm -rf "$all" "$all.new"
	for piece in "${counted[@]}"; do
		[ "$(module_of "$piece")" = "$module" ] || continue
		if [ ! -e "$all" ]; then
			cp -r "$out/$piece/gcda" "$all"
			continue
		fi
		gcov-tool merge "$all" "$out/$piece/gcda" -o "$all.new" >"$out/log" 2>&1 || die "cannot merge $piece"
		rm -rf "$all"
		mv "$all.new" "$all"
	done
	[ -e "$all" ] || return 0
	for object in "$all"/*.gcda; do
		name=${object##*/} name=${name%.gcda}
		cp "$build/$module/kmod/$name.gcno" "$all/"
		(cd "$build/$module" && gcov -b -c -t -o "$object" "kmod/$name.c" 2>/dev/null)
	done
}

{
	report coverage
	report coverage-test
} >"$out/gcov"
say
awk -v least=$least -v partial="$missing" -f "$top/tests/coverage.awk" "$top/tests/coverage.reasons" "$out/gcov" \
	>"$out/report" && good=1 || good=''
sed '$d' "$out/report"
say "coverage: of ${counted[*]}${missing:+; missing:$missing}"
[ -z "$failed" ] || say "coverage: failed:$failed"
[ -n "$missing" ] || keep_verdict coverage "$(tail -n 1 "$out/report")${failed:+; failed:$failed}"
tail -n 1 "$out/report"
[ -z "$failed$missing" ] && [ -n "$good" ]
