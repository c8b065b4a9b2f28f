#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# restart.sh [CALLS [KILLS]]: 'make demo-restart'. Boots the module, kills services under load
# that are adopted by the next process, and accounts for every call, as
# tests/selftests/tool_restart.sh says. Its last line is
# 'restart: sent S, answered A, owner died D, duplicates 0', where S is A + D.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

calls=${1:-800} kills=${2:-5} tests=$top/tests/selftests
out=$build/restart
mkdir -p "$out"
say "restart: four services under load, each killed $kills times, $calls calls or more apart"

# The machine's own lines come behind the script's: the sums are to be last
status=0
"$top/tests/vm/run" --timeout 900 --out "$out/vm" -c "RESTART_CALLS=$calls RESTART_KILLS=$kills ./tool_restart.sh" \
	"$tests/tool_restart.sh" "$tests/tap.inc" "$tests/tool.inc" |
	tee "$out/log" | sed -un '/^# restart: sent/d; s/^# //p; /^not ok/p; /^ok/p; /^vm: /p' || :
status=${PIPESTATUS[0]}
sed -n 's/^# \(restart: sent\)/\1/p' "$out/log" | grep . || { say "restart: no sums"; exit 1; }
exit "$status"
