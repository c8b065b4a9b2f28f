#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# "upcall top": its figures in batch mode, and as JSON; terminal_test has the rest.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

serve quick -- cat
quick=$server
serve slow -- sh -c 'until [ -e go ]; do sleep 0.05; done'
slow=$server

# call_on NAME: calls without end, until it is stopped
call_on()
{
	while :; do upcall call "$1" x >caller.out 2>caller.err; done &
	servers="$servers $!"
	caller=$!
}

# shellcheck disable=SC2034
shows_rates()
{
	call_on quick
	upcall top -b -i 2 -n 1 >top.out || return 1
	kill "$caller"
	cat top.out
	# HANDLE LABEL PID COMM USER CALLS/S QUEUED RUNNING WAIT RUN REFUSED/S CALLS
	awk '$2 == "quick" { ok = $6 > 0 && $9 ~ /[0-9.]+[mu]?s/ && $10 ~ /[0-9.]+[mu]?s/ && $12 > 0 }
	     END { exit !ok }' top.out &&
		awk '$2 == "slow" { ok = $6 == 0 && $9 == "-" } END { exit !ok }' top.out &&
		grep -q '^2 callbacks, [0-9.]* calls/s, [0-9]* queued, [0-9]* running, ' top.out
}
claim batch_mode_shows_rate_wait_and_run_of_what_is_called shows_rates

shows_queue()
{
	rm -f go
	upcall call slow x >/dev/null 2>&1 & first=$!
	until_true is_running slow || return 1
	upcall call slow x >/dev/null 2>&1 & second=$!
	until_true is_queued slow || return 1
	upcall top -b -i 0.1 -n 1 --sort queued >top.out
	: >go
	wait "$first" "$second"
	cat top.out
	awk '$2 == "slow" { ok = $7 == 1 && $8 == 1 && first == 0 } $1 ~ /^0x/ { first++ }
	     END { exit !ok }' top.out
}
claim what_is_queued_and_running_is_shown_and_sorted_first shows_queue

shows_iterations()
{
	upcall top -b -i 0.1 -n 3 >top.out || return 1
	[ "$(grep -c '^HANDLE ' top.out)" = 3 ] && [ "$(grep -c ' quick ' top.out)" = 3 ]
}
claim n_iterations_are_n_tables shows_iterations

shows_json()
{
	upcall top -J -i 0.1 -n 2 >top.out || return 1
	cat top.out
	[ "$(grep -c '"label": "quick"' top.out)" = 2 ] &&
		[ "$(grep -vc '^{"time_ns": [0-9]*, "handle": [0-9]*, .*"rate": [0-9.]*, .*"wait_ns": \(null\|[0-9]*\), .*}$' top.out)" = 0 ]
}
claim json_is_an_object_for_each_row_and_sample shows_json

shows_users()
{
	upcall top -u -b -i 0.1 -n 1 >top.out || return 1
	cat top.out
	awk '$1 == "root" { ok = $2 == 2 } END { exit !ok }' top.out
}
claim users_are_shown_with_their_callbacks shows_users

ends_by_signal()
{
	upcall top -b -i 0.1 >top.out & top=$!
	servers="$servers $top"
	until_true grep -q quick top.out || return 1
	stop "$top"
}
claim a_signal_ends_it_with_0 ends_by_signal

claim an_unknown_key_is_a_usage_error fails 125 'is no key' upcall top --sort colour
claim a_key_of_the_other_table_is_a_usage_error fails 125 'no "bytes"' upcall top -b --sort bytes
stop "$quick"
stop "$slow"

conclude
