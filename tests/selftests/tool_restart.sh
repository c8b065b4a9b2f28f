#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Services that are killed under load, under a supervisor that is a few lines of shell. Every
# call is a number; the service writes each number that it ran to a ledger, the caller says of each what
# became of it, and at the end the two must agree. 'make demo-restart' is more of this: RESTART_KILLS
# of each service, RESTART_CALLS from one to the next.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

calls=${RESTART_CALLS:-100} kills=${RESTART_KILLS:-3}
all_sent=0 all_answered=0 all_died=0 all_duplicates=0 again=0

lines()		{ wc -l <"$1"; }
grown()		{ [ "$(lines ledger)" -ge "$1" ]; }
# The Nth process serves, and has run so many calls
under_load()	{ until_true serves "$1" && until_true grown $(($(lines ledger) + per_kill)); }
# serves N: the Nth process does
serves()	{ [ "$(grep -c ': serving ' served)" -ge "$1" ]; }

kill_again_and_again()
{
	for n in $(seq "$kills"); do
		under_load "$n" || return 1
		kill -9 "$(sed -n 's/.*: serving .* (pid \([0-9]*\))$/\1/p' served | tail -n 1)"
	done
	under_load $((kills + 1))
}

# round CALLS COMMAND...: CALLS from one kill to the next; leaves answers, ledger and served to be judged
round()
{
	per_kill=$1; shift
	: >ledger
	: >served	# it has the last round's
	supervise.sh "$@" >/dev/null 2>served </dev/null &
	supervisor=$!
	servers="$servers $supervisor"
	until_true serves 1 || return 1
	ledger_caller ledger 1000000 4 >answers 2>caller.err &
	caller=$!
	kill_again_and_again
	status=$?
	kill "$caller"
	wait "$caller" || status=1
	cat served caller.err
	stop "$supervisor"
	count
	[ "$status" = 0 ]
}

count()
{
	sent=$(lines answers)
	answered=$(grep -c ' answered$' answers)
	died=$(grep -c ' owner died$' answers)
	sort ledger | uniq -d >twice
	duplicates=$(lines twice)
}

total()
{
	all_sent=$((all_sent + sent)) all_answered=$((all_answered + answered))
	all_died=$((all_died + died)) all_duplicates=$((all_duplicates + duplicates))
	echo "# restart: $1: sent $sent, answered $answered, owner died $died, duplicates $duplicates"
}

# Of a plain callback: what runs twice would be a lie to the caller
never_again()
{
	round "$@" && all_told && [ "$duplicates" = 0 ]
}

# Of an idempotent one: nobody hears of a death. What ran again is no duplicate, a second answer would be
none_lost()
{
	round "$@" && all_told || return 1
	again=$duplicates
	cut -d' ' -f1 answers | sort | uniq -d >twice
	duplicates=$(lines twice)
	[ "$died" = 0 ] && [ "$duplicates" = 0 ]
}

# Every number was told of once, as answered or as the owner's death; what was answered was done
all_told()
{
	grep ' failed: ' answers
	cut -d' ' -f1 answers | sort -n >told
	seq "$sent" | cmp - told || return 1
	[ "$sent" = $((answered + died)) ] || return 1
	sed -n 's/ answered$//p' answers | sort >right
	sort -u ledger | comm -23 right - >undone
	[ ! -s undone ] || { echo "answered, and not done:"; cat undone; return 1; }
}

handle_stays()
{
	[ "$(grep -c ': serving ' served)" = $((kills + 1)) ] &&
		[ "$(sed -n 's/.* as handle \(0x[0-9a-f]*\) .*/\1/p' served | sort -u | wc -l)" = 1 ]
}
nothing_is_left()	{ until_true not supervisors && [ "$(upcall ls | wc -l)" = 1 ]; }
supervisors()		{ ps | grep -q '[s]upervise.sh'; }

claim callers_of_a_killed_service_hear_of_each_call_that_ran_and_of_no_other never_again "$calls" restartable 5 ledger
total "a service on the library"
claim its_handle_stays_the_same handle_stays
claim callers_of_an_idempotent_one_notice_nothing none_lost "$calls" restartable 5 ledger idempotent
total "the same, idempotent ($again calls ran again to their end)"
claim the_handle_of_an_idempotent_one_stays_the_same handle_stays

# shellcheck disable=SC2016 # COMMAND's shell expands these
append='read -r n || :; echo "$n" >>ledger; printf %s "$n"'
claim a_command_that_is_served_is_no_different never_again $((calls / 8)) \
	upcall serve ledger --adoptable 1m --peer-fd 5 -j 2 -- sh -c "$append"
total "upcall serve"
claim the_handle_of_a_command_stays_the_same handle_stays
claim callers_of_an_idempotent_command_notice_nothing none_lost $((calls / 8)) \
	upcall serve ledger --adoptable 1m --idempotent --peer-fd 5 -j 2 -- sh -c "$append"
total "upcall serve --idempotent ($again calls ran again to their end)"
claim the_end_of_the_supervisor_is_the_end_of_the_service nothing_is_left
echo "# restart: sent $all_sent, answered $all_answered, owner died $all_died, duplicates $all_duplicates"
conclude
