#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# How calls run: at the same time, one after the other, to the end, or cut short.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

# A call in the background: its output in NAME.out, its messages in NAME.err
call()
{
	upcall call "$@" >"$1.out" 2>"$1.err" </dev/null &
	caller=$!
}

# COMMANDs that wait until a file is there
gate='echo $$ >started; until [ -e go ]; do sleep 0.05; done; echo through'
# shellcheck disable=SC2016 # COMMAND's shell reads these
together='>in.$UPCALL_SEQ; until [ -e in.1 ] && [ -e in.2 ] && [ -e in.3 ]; do sleep 0.05; done'

three_meet()
{
	call meet x; first=$caller
	call meet x; second=$caller
	call meet x
	wait "$first" && wait "$second" && wait "$caller"
}

serve meet -j 3 -- sh -c "$together"
claim three_calls_run_at_a_time_with_j_3 three_meet
stop "$server"

one_waits()
{
	rm -f go started
	call one x; first=$caller
	until_true is_running one || return 1
	call one x
	until_true is_queued one || return 1
	[ "$(upcall ls --calls --json | grep -c '"state": "running"')" = 1 ] || return 1
	: >go
	wait "$first" && wait "$caller"
}

serve one -- sh -c "$gate"
claim without_j_one_call_runs_and_the_next_one_waits one_waits
stop "$server"

drains()
{
	rm -f go started
	call drain x
	until_true [ -s started ] || return 1
	kill "$server"
	until_true not upcall stat drain || return 1
	fails 120 ENOENT upcall call drain x || return 1
	: >go
	wait "$caller" && [ "$(cat drain.out)" = through ] && wait "$server"
}

serve drain -- sh -c "$gate"
claim TERM_lets_a_running_call_finish_and_takes_no_more drains

queued_is_safe()
{
	rm -f go started
	call queue x; first=$caller
	until_true [ -s started ] || return 1
	upcall call "$handle" x >second.out 2>second.err & caller=$!
	until_true is_queued queue || return 1
	kill "$server"
	exits 120 wait "$caller" && grep -q ESTALE second.err || return 1
	: >go
	wait "$first" && wait "$server"
}

serve queue -- sh -c "$gate"
claim TERM_turns_a_waiting_call_away_undelivered queued_is_safe

aborts()
{
	rm -f go started
	call abort x
	until_true [ -s started ] || return 1
	kill "$server"
	until_true not upcall stat abort || return 1
	kill "$server"
	exits 121 wait "$caller" && grep -q ECANCELED abort.err &&
		exits 1 wait "$server" && until_true is_gone "$(cat started)"
}

serve abort -- sh -c "$gate"
claim a_second_TERM_stops_what_runs aborts

# In the foreground: sh has those in the background ignore INT
signalled()
{
	: >"$dir/serve.err"
	{
		until_true grep -q '(pid' "$dir/serve.err"
		kill -"$1" "$(sed -n 's/.*(pid \([0-9]*\))$/\1/p' "$dir/serve.err")"
	} &
	exits 0 upcall serve signalled -- cat 2>"$dir/serve.err" && not upcall stat signalled
}

claim INT_ends_it_cleanly signalled INT
claim HUP_ends_it_cleanly signalled HUP

nameless()
{
	serve - -- cat && exits 0 upcall call "$handle" x && stop "$server"
}

claim without_a_name_it_can_be_called_by_handle nameless

ends_after_two()
{
	exits 0 upcall call two x && exits 0 upcall call two x && wait "$server" &&
		fails 120 ENOENT upcall call two x
}

serve two -n 2 -- true
claim with_n_2_it_ends_after_two_calls ends_after_two

times_out()
{
	rm -f go started
	fails 121 ETIMEDOUT upcall call --timeout 3s slow x &&
		until_true is_gone "$(cat started)"
}

waiting_times_out()
{
	rm -f go started
	call slow x
	until_true [ -s started ] || return 1
	fails 120 ETIMEDOUT upcall call --timeout 300ms slow x || return 1
	: >go
	wait "$caller"
}

killed_caller()
{
	rm -f go started
	call slow x
	until_true [ -s started ] || return 1
	kill -9 "$caller"
	until_true is_gone "$(cat started)"
}

serve slow -- sh -c "$gate"
claim a_deadline_after_delivery_is_121_and_ends_COMMAND times_out
claim a_deadline_before_delivery_is_120 waiting_times_out
claim a_caller_that_is_killed_ends_COMMAND killed_caller
claim a_server_goes_on_after_cancelled_calls exits 0 sh -c ': >go; exec upcall call slow x'
stop "$server"

stubborn()
{
	rm -f go started
	fails 121 ETIMEDOUT upcall call --timeout 3s stubborn x &&
		until_true is_gone "$(cat started)"
}

serve stubborn --grace 100ms -- sh -c "trap '' TERM; $gate"
claim a_cancelled_COMMAND_that_ignores_TERM_is_killed stubborn
stop "$server"

notified()
{
	exits 0 upcall notify note 'one line' &&
		until_true grep -qx '1 one line' serve.out
}

# shellcheck disable=SC2016
serve note -- sh -c 'echo "$UPCALL_ONEWAY $(cat)"'
claim a_notification_runs_COMMAND_with_the_servers_stdout notified
claim a_notification_to_nobody_is_not_delivered fails 120 ENOENT upcall notify nobody x
stop "$server"

served_twice()
{
	fails 1 'is served by process' upcall serve shared -- cat
}

replaced()
{
	serve shared --replace -- echo new || return 1
	successor=$server
	[ "$(upcall call shared x)" = new ] && [ "$(upcall call "$old_handle" x)" = old ] || return 1
	stop "$old" && [ "$(upcall call shared x)" = new ] && stop "$successor"
}

serve shared -- echo old
old=$server old_handle=$handle
claim a_name_that_is_served_is_not_taken_over_by_accident served_twice
claim a_successor_takes_the_name_and_keeps_it_when_the_first_one_ends replaced

waits_for_name()
{
	call later x --wait
	serve later -- echo came
	wait "$caller" && [ "$(cat later.out)" = came ]
}

claim a_caller_can_wait_for_a_name_to_be_served waits_for_name
stop "$server"

tells_of_calls()
{
	exits 4 upcall call --op 9 told hello || return 1
	until_true grep -q 'told: call 1 of process [0-9]*, uid 0, op 9: 5 bytes in, 5 out, status 4, ' serve.err
}
serve told -v -- sh -c 'cat; exit 4'
claim verbose_is_a_line_for_each_call tells_of_calls
stop "$server"

conclude
