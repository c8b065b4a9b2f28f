#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# 'make demo': boots the module and runs tests/vm/demo.job in front of you. Says
# what it is doing while it does it, and ends with the transcript.
set -euo pipefail
# shellcheck source=env.sh
. "${0%/*}/env.sh"

text=/usr/share/common-licenses/GPL-3
[ -r $text ] || text=$top/COPYING
transcript=$(mktemp)
trap 'rm -f "$transcript"' EXIT
begin=$SECONDS

say "demo: building the module and the command, and a small machine to run them in"
status=0
"$top/tests/vm/run" --job "$top/tests/vm/demo.job" "$@" "$text:/root/GPL-3" |
	tee "$transcript" | sed -un 's/^# /demo: /p; /^vm: /p' || status=$?

printf '\nThe transcript:\n'
grep -v '^vm: ' "$transcript"
if [ $status != 0 ]; then
	grep '^vm: ' "$transcript" || :
	die "not every answer was the right one"
fi
say "demo: every answer was the right one; $((SECONDS - begin)) s"
