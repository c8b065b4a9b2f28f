#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Exit codes: COMMAND's own, and those that say how far a call came.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

passes_through()
{
	for code in "$@"; do
		exits "$code" upcall call exit "$code" || return 1
	done
}

are_told_apart()
{
	for code in "$@"; do
		fails 123 "ended with status $code" upcall call exit "$code" || return 1
	done
}

# shellcheck disable=SC2016 # COMMAND's shell reads these
serve exit -- sh -c 'exit $(cat)'
claim exit_codes_of_COMMAND_pass_through passes_through 0 1 2 42 119 126 127 255
claim exit_codes_of_COMMAND_that_mean_something_else_are_123 are_told_apart 120 121 122 123 124 125
stop "$server"

# shellcheck disable=SC2016
serve signal -- sh -c 'kill -$(cat) $$'
claim a_COMMAND_killed_by_TERM_is_143 exits 143 upcall call signal TERM
claim a_COMMAND_killed_by_KILL_is_137 exits 137 upcall call signal KILL
stop "$server"

serve missing -- ./no-such-command
claim a_COMMAND_that_is_not_there_was_not_run \
	fails 120 'ENOENT (refused by its owner' upcall call missing x
claim a_refusal_says_that_a_retry_is_safe says 'a retry is safe' upcall call missing x
stop "$server"

: >data
serve data -- ./data
claim a_COMMAND_that_cannot_be_executed_was_not_run \
	fails 120 'EACCES (refused by its owner' upcall call data x
stop "$server"

claim a_name_that_nobody_serves_is_not_delivered fails 120 ENOENT upcall call nobody x
claim a_name_that_cannot_be_is_not_delivered fails 120 EINVAL upcall call no/name x
claim a_handle_that_was_never_issued_is_ESTALE fails 120 ESTALE upcall call 12345 x
claim a_number_that_is_no_handle_is_a_usage_error exits 125 upcall call 99999999999999999999999 x
claim without_the_device_nothing_is_called \
	fails 124 'is the module loaded' env UPCALL_DEVICE=/dev/nothing upcall call x x
claim an_unknown_option_is_a_usage_error fails 125 --bogus upcall call --bogus x x
claim an_unknown_command_is_a_usage_error fails 125 'no command' upcall bogus
claim no_command_is_a_usage_error exits 125 upcall
claim a_serve_without_COMMAND_is_a_usage_error exits 125 upcall serve name
claim a_serve_without_dashes_is_a_usage_error fails 125 'follows a --' upcall serve name cat
claim a_name_that_is_a_number_is_not_served fails 125 'taken for a handle' upcall serve 42 -- cat
claim a_duration_that_is_none_is_a_usage_error fails 125 duration upcall call --timeout soon x x

all_help()
{
	for command in serve call notify ls stat why revoke info stub top trace; do
		says "usage: upcall $command" upcall "$command" --help || return 1
		exits 0 upcall "$command" --help || return 1
	done
}
claim every_command_has_help all_help
claim help_lists_the_exit_codes says '  121      delivered' upcall --help
claim the_version_is_told says 'upcall 0.' upcall --version

serve signed --signature 'text -> number' -- cat
claim another_signature_is_EPROTOTYPE fails 120 EPROTOTYPE upcall call --signature other signed x
claim no_signature_is_EPROTOTYPE fails 120 EPROTOTYPE upcall call signed x
claim the_same_signature_is_accepted exits 0 upcall call -s 'text -> number' signed x
stop "$server"

serves_who()
{
	# shellcheck disable=SC2016 # the two shells read these
	sh -c 'echo $$ >pid; exec upcall call --op 7 who x' >got &&
		echo "who 7 1 0 0 0 $(cat pid) $(cat pid) $((handle))" | diff - got
}
# shellcheck disable=SC2016
serve who -- sh -c 'echo $UPCALL_NAME $UPCALL_OP $UPCALL_SEQ $UPCALL_ONEWAY \
	$UPCALL_UID $UPCALL_GID $UPCALL_PID $UPCALL_TID $UPCALL_HANDLE'
claim COMMAND_finds_the_caller_in_its_environment serves_who
stop "$server"

conclude
