#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Many calls: what "upcall call -n" and "upcall notify -n" count, and how they end.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

# figures MODE...: of 12 calls, of which one in three has status 2
figures()
{
	exits 1 upcall call -n 12 "$@" mixed x >figures || return 1
	cat figures
	grep -q '^12 calls in [0-9.]*m*s, [0-9]*/s$' figures &&
		grep -q '^ *8  status 0$' figures && grep -q '^ *4  status 2$' figures &&
		grep -q '^ *p50 *p90 *p99 *max$' figures &&
		for times in queued run total; do
			grep -qE "^  $times( +[0-9.]+[num]?s){4}\$" figures || return 1
		done
}

# shellcheck disable=SC2016 # COMMAND's shell reads these
serve mixed -- sh -c '[ $((UPCALL_SEQ % 3)) = 0 ] && exit 2; exit 0'
claim outcomes_and_percentiles_of_calls_one_after_the_other figures
claim the_same_from_four_threads figures -P 4
claim the_same_from_one_thread_with_four_under_way figures -P 4 --async

has_json()
{
	exits 1 upcall call -n 12 -J "$@" mixed x >figures || return 1
	cat figures
	times='{"p50": [0-9]*, "p90": [0-9]*, "p99": [0-9]*, "max": [0-9]*}'
	grep -q "\"asked\": 12, .*\"done\": 12, \"good\": 8, \"interrupted\": false, .*\"queued_ns\": $times, \"run_ns\": $times, \"total_ns\": $times, \"outcomes\": \\[{.*}\\]}\$" figures &&
		grep -q '{"count": 4, "error": null, "stage": "replied", "status": 2}' figures
}
claim json_has_the_same_figures has_json
claim json_of_asynchronous_calls_has_the_same_figures has_json --async -P 3
claim without_calls_the_options_of_many_are_usage_errors fails 125 'go with --calls' upcall call -J mixed x
stop "$server"

serve fine -- true
claim all_calls_well_is_exit_code_0 exits 0 upcall call -n 5 fine x
claim where_stderr_is_no_terminal_it_says_nothing sh -c '! upcall call -n 5 fine x 2>&1 >figures | grep .'
claim a_name_that_nobody_serves_is_not_delivered fails 120 ENOENT upcall call -n 5 nobody x
stop "$server"
fails_all()
{
	exits 1 upcall call -n 5 "$@" x >figures && cat figures && grep -q '^ *5  ESTALE (.*), not-delivered$' figures
}
claim calls_to_a_dead_handle_are_counted_by_errno_and_stage fails_all "$handle"
claim asynchronous_ones_as_well fails_all --async -P 2 "$handle"

progresses()
{
	rm -f go
	upcall call -n 1 --progress gate x >figures 2>said & loader=$!
	servers="$servers $loader"
	until_true grep -q '^1 of 1, [0-9]*/s$' said || { cat said; return 1; }
	: >go
	wait "$loader"
}
serve gate -- sh -c 'until [ -e go ]; do sleep 0.05; done'
claim when_asked_to_it_says_how_far_it_is progresses
stop "$server"

meet()
{
	rm -f in.*
	upcall call -n 3 -P 3 "$@" meet x >figures || { cat figures; return 1; }
	grep -q '^ *3  status 0' figures
}
# shellcheck disable=SC2016
together='>in.$UPCALL_SEQ; until [ "$(ls in.* | wc -l)" = 3 ]; do sleep 0.05; done'
serve meet -j 3 -- sh -c "$together"
claim three_threads_have_three_calls_under_way meet
claim one_thread_has_three_calls_under_way meet --async
stop "$server"

# interrupted MODE...: the first call ends, the second runs for ever
interrupted()
{
	rm -f second
	upcall call -n 100 -J "$@" stuck x >figures & loader=$!
	servers="$servers $loader"
	until_true [ -e second ] || return 1
	kill "$loader"
	exits 143 wait "$loader" || return 1
	cat figures
	grep -q '"asked": 100, .*"interrupted": true' figures &&
		grep -q '{"count": 1, "error": null, "stage": "replied", "status": 0}' figures &&
		grep -q '"error": "\(ECANCELED\|ESHUTDOWN\)", "stage": "delivered"' figures || return 1
	until_true not is_running stuck
}
# shellcheck disable=SC2016
serve stuck -- sh -c '[ $((UPCALL_SEQ % 10)) = 1 ] && exit 0; >second; exec sleep 1000'
claim a_signal_ends_it_with_the_figures_so_far_and_what_runs_is_cancelled interrupted
stop "$server"
# shellcheck disable=SC2016
serve stuck -- sh -c '[ $((UPCALL_SEQ % 10)) = 1 ] && exit 0; >second; exec sleep 1000'
claim asynchronous_calls_end_so_too interrupted --async -P 5
stop "$server"

notifies()
{
	exits 0 upcall notify -n 6 told x >figures || return 1
	cat figures
	grep -q '^6 notifications in ' figures && grep -q '^ *6  queued$' figures &&
		grep -qE '^  sending( +[0-9.]+[num]?s){4}$' figures && until_true [ -e told.6 ]
}
# shellcheck disable=SC2016
serve told -- sh -c ': >told.$UPCALL_SEQ'
claim notifications_are_sent_and_run notifies
stop "$server"

refused()
{
	rm -f go
	exits 1 upcall notify -n 20 full x >figures
	: >go
	cat figures
	grep -qE '^ *[0-9]+  queued$' figures && grep -qE '^ *[0-9]+  EAGAIN \(.*\), not-delivered$' figures
}
waits()
{
	rm -f go
	upcall notify -n 20 --wait full x >figures & sender=$!
	servers="$servers $sender"
	until_true is_queued full || return 1
	: >go
	wait "$sender" || return 1
	cat figures
	grep -q '^ *20  queued$' figures && ! grep -q EAGAIN figures
}

is_idle()	{ ! is_queued "$1" && ! is_running "$1"; }

replaces()
{
	until_true is_idle full || return 1	# what went before has run, and sees no other 'go'
	rm -f go
	upcall call full x & first=$!
	until_true is_running full || return 1
	exits 0 upcall notify -n 20 --latest full x || return 1
	[ "$(upcall ls -c -J | grep '"label": "full"' | grep -c '"state": "queued"')" = 1 ] || return 1
	: >go
	wait "$first"
}
serve full --queue 4 -- sh -c 'until [ -e go ]; do sleep 0.05; done'
claim what_a_full_queue_refuses_is_counted refused
claim with_wait_none_is_refused waits
claim with_latest_one_of_many_is_queued replaces
claim latest_and_wait_need_calls fails 125 'go with --calls' upcall notify --latest full x
stop "$server"

# shellcheck disable=SC2016
orders()
{
	rm -f order
	upcall call -n 6 -P 6 --async serial x >/dev/null || return 1
	[ "$(tr "\n" " " <order)" = "1 1 2 2 3 3 4 4 5 5 6 6 " ] || { cat order; return 1; }
}
# shellcheck disable=SC2016
serve serial --serial -j 4 -- sh -c 'echo $UPCALL_SEQ >>order; sleep 0.05; echo $UPCALL_SEQ >>order'
claim a_serial_one_runs_calls_one_after_the_other_whatever_j_says orders
stop "$server"

ends_at_once()
{
	rm -f go
	exits 0 upcall notify auto x || return 1
	until_true [ -e begun ] || return 1
	# COMMAND runs, but nothing of it is left in the kernel
	[ "$(upcall ls -c -J)" = "[]" ] || { upcall ls -c; return 1; }
	: >go
}
serve auto --autoend -- sh -c ': >begun; until [ -e go ]; do sleep 0.05; done'
claim with_autoend_a_notification_is_over_once_taken ends_at_once
stop "$server"
claim serial_and_autoend_are_a_usage_error fails 125 exclude upcall serve x --serial --autoend -- cat

conclude
