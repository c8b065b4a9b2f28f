#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# ktap.sh COUNTS: reads what run_kselftest.sh prints, says one line per test as
# it comes, with the test's own words below it if it failed, and writes
# 'passed failed skipped' to the file COUNTS. Every TEST() counts, a program
# only if it has none, or if it ended badly without one to blame.
set -eu

passed=0 failed=0 skipped=0
prog='' name='' last='' words=() planned=0 seen=0 blamed=0 programs=0 expected=''

pass()	{ passed=$((passed + 1)); printf 'ok    %s\n' "$*"; }
skip()	{ skipped=$((skipped + 1)); printf 'SKIP  %s\n' "$*"; }
fail()
{
	failed=$((failed + 1))
	printf 'FAIL  %s\n' "$*"
	[ ${#words[@]} = 0 ] || printf '        %s\n' "${words[@]}"
	words=()
}

program_begins()
{
	prog=$1 name='' last='' words=() planned=0 seen=0 blamed=0
	programs=$((programs + 1))
}

program_ends()	# ok|not, what follows the name
{
	if [ $seen -lt "$planned" ]; then
		fail "$prog: ended after $seen of $planned tests${name:+, the last was $name}${2:+ ($2)}"
	elif [ "$1" = not ]; then
		[ $blamed = 1 ] || fail "$prog${2:+ ($2)}"
	elif [ $seen = 0 ]; then
		case $2 in
		*SKIP*)	skip "$prog: ${reason:-${words[*]: -1}}" ;;
		*)	pass "$prog" ;;
		esac
	fi
	prog='' reason=''
}

test_ends()	# ok|not, description
{
	local what=${2%% # SKIP*} why=${2##*# SKIP}

	seen=$((seen + 1))
	what=${what#- }
	if [[ $2 = *'# SKIP'* ]]; then
		# the harness prints the reason and drops the name
		[[ $2 = '# SKIP'* ]] && what=$name
		skip "$prog: $what:${why:- no reason given}"
	elif [ "$1" = ok ]; then
		pass "$prog: $what"
	else
		blamed=1
		fail "$prog: $what"
	fi
	words=() name='' last=$what
}

re_begin='^# selftests: [^:]*: (.*)$'
re_end='^(not )?ok [0-9]+ selftests: [^:]*: ([^ ]*)( # (.*))?$'
re_test='^# (not )?ok [0-9]+ ?(.*)$'
re_plan='^# 1\.\.([0-9]+)( # SKIP (.*))?'
re_run='^# # +RUN +(.*) \.\.\.$'
reason=''

while IFS= read -r line; do
	line=${line%$'\r'}
	if [[ -z $prog && $line =~ $re_begin ]]; then
		program_begins "${BASH_REMATCH[1]}"
	elif [[ $line =~ ^1\.\.([0-9]+)$ ]]; then
		expected=${BASH_REMATCH[1]}
	elif [[ -z $prog || $line = vm:* ]]; then
		[[ $line = 'TAP version'* ]] || printf '%s\n' "$line"
	elif [[ $line =~ $re_end ]]; then
		[ -n "${BASH_REMATCH[1]}" ] && state=not || state=ok
		program_ends "$state" "${BASH_REMATCH[4]:-}"
	elif [[ $line =~ $re_test ]]; then
		[ -n "${BASH_REMATCH[1]}" ] && state=not || state=ok
		test_ends "$state" "${BASH_REMATCH[2]}"
	elif [[ $line =~ $re_plan ]]; then
		planned=${BASH_REMATCH[1]} reason=${BASH_REMATCH[3]:-}
	elif [[ $line =~ $re_run ]]; then
		name=${BASH_REMATCH[1]} words=()
	elif [[ $line != '# TAP version'* ]]; then
		line=${line#\# }
		words+=("${line#\# }")
	fi
done

[ -z "$prog" ] || fail "$prog: the machine ended${name:+ in $name}${last:+ after $last}"
words=()
[ -n "$expected" ] || fail "no test ran"
[ -z "$expected" ] || [ $programs -ge "$expected" ] ||
	fail "$((expected - programs)) of $expected programs did not run"
echo "$passed $failed $skipped" >"$1"
