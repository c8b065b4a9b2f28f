#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# "upcall trace": what it says of calls, and that it leaves nothing behind.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

instances=/sys/kernel/tracing/instances

# trace ARGUMENT...: in the background; sets $tracer once it sees everything
trace()
{
	rm -f trace.err
	upcall trace "$@" >trace.out 2>trace.err &
	tracer=$!
	servers="$servers $tracer"
	until_true grep -q '^upcall: tracing' trace.err || { cat trace.err; return 1; }
}

# No instance of ours is there
is_clean()	{ ! ls "$instances" | grep -q '^upcall-'; }
# line EVENT TEXT...: there is a line of that event with each text
line()
{
	grep "  $1 " trace.out >lines || { cat trace.out; return 1; }
	shift
	for text; do
		grep -qe "$text" lines || { cat lines; echo "none has $text"; return 1; }
	done
}

tells_a_call()
{
	trace -n 4 || return 1
	exits 3 upcall call --op 7 traced hello || return 1
	wait "$tracer" || return 1
	[ "$(awk '{ print $2 }' trace.out | tr '\n' ' ')" = "queued delivered replied ended " ] ||
		{ cat trace.out; return 1; }
	line queued "$handle" ' traced ' ' op=7 ' ' arg=5' 'seq=1 ' &&
		line delivered "$handle" 'seq=1 ' ' queued=[0-9.]*[mu]*s' &&
		line replied ' status=3 ' ' reply=5' ' run=[0-9.]*[mu]*s' &&
		line ended ' queued=' ' run=' ' total=[0-9.]*[mu]*s'
}

serve traced -- sh -c 'cat; exit 3'
claim a_call_is_four_lines_with_label_op_lengths_and_times tells_a_call
claim at_its_end_the_instance_is_gone is_clean

shows_failures()
{
	trace --errors -n 2 || return 1
	upcall call traced x	# status 3: the reply is one, its end is none
	upcall call 12345 x	# never issued
	wait "$tracer" || return 1
	[ "$(awk '{ print $2 }' trace.out | tr '\n' ' ')" = "replied refused " ] &&
		line refused 'ESTALE not-delivered' && line replied 'status=3'
}
claim errors_are_refused_calls_and_other_statuses shows_failures

shows_one()
{
	serve other -- cat
	other=$handle
	trace --handle other -n 4 || return 1
	upcall call traced x
	upcall call other x || return 1
	wait "$tracer" && [ "$(grep -c "$other" trace.out)" = 4 ] && stop "$server"
}
traced=$server
claim handle_shows_one_callback_alone shows_one

shows_types()
{
	trace registered released || return 1
	serve brief --label 'x reason=7 y' --once -- cat
	upcall call brief x && wait "$server" || return 1
	until_true grep -q released trace.out || return 1
	stop "$tracer" || return 1
	[ "$(awk '{ print $2 }' trace.out | tr '\n' ' ')" = "registered released " ] &&
		line released ' x reason=7 y ' 'calls=1 '
}
claim named_events_are_shown_alone_and_a_label_cannot_forge_fields shows_types
claim a_signal_leaves_nothing_behind is_clean

is_object()
{
	trace -J -n 4 || return 1
	upcall call traced x
	wait "$tracer" || return 1
	[ "$(grep -c '^{"time_ns": [0-9]*, "event": "[a-z]*", "handle": '"$(($1))"', "label": "traced", .*}$' trace.out)" = 4 ] &&
		grep '"ended"' trace.out | grep -q '"total_ns": [0-9]*}$'
}
handle=$(sed -n 's/^{"handle": \([0-9]*\), "label": "traced".*/\1/p' <<END
$(upcall ls --json | tr -d '[]' | sed 's/^ *//')
END
)
claim json_is_an_object_each_line is_object "$handle"

sweeps()
{
	trace || return 1
	kill -9 "$tracer"
	wait "$tracer" 2>/dev/null
	not is_clean || { echo "nothing was left behind"; return 1; }
	trace || return 1
	[ "$(ls "$instances" | grep -c '^upcall-')" = 1 ] || return 1
	stop "$tracer" && is_clean
}
claim what_a_killed_one_left_the_next_one_removes sweeps

closes()
{
	# Its reader is gone after the first line
	rm -f trace.err
	upcall trace 2>trace.err | head -n 1 >out &
	until_true grep -q '^upcall: tracing' trace.err || return 1
	upcall call traced x
	upcall call traced x
	until_true is_clean
}
claim a_closed_pipe_ends_it closes

claim without_root_it_says_so fails 1 'takes root' as alice upcall trace
claim an_unknown_event_is_a_usage_error fails 125 'no event "borked"' upcall trace borked
stop "$traced" >/dev/null

conclude
