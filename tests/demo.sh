#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# 'make demo': boots the module and runs tests/vm/demo.job in front of you. Says
# what it is doing while it does it, and ends with the transcript. Where Node and Python are
# installed it has a second act, with closures in those.
set -euo pipefail
# shellcheck source=env.sh disable=SC2086 # packages are words
. "${0%/*}/env.sh"

text=/usr/share/common-licenses/GPL-3
[ -r $text ] || text=$top/COPYING
transcript=$(mktemp)
trap 'rm -f "$transcript"' EXIT
begin=$SECONDS

packages=
if ! have node || ! have python3 || [ ! -e /usr/include/node/node_api.h ]; then
	say "demo: the second act, calls between Node, Python and C, needs: apt-get install nodejs libnode-dev python3"
elif "$top/tests/vm/image.sh" $interpreters >/dev/null; then
	packages=$interpreters
else
	say "demo: without the second act, then"
fi

say "demo: building the module and the command, and a small machine to run them in"
status=0
"$top/tests/vm/run" ${packages:+--packages "$packages" --timeout 300} --job "$top/tests/vm/demo.job" "$@" \
		"$text:/root/GPL-3" |
	tee "$transcript" | sed -un 's/^# /demo: /p; /^vm: /p' || status=$?

printf '\nThe transcript:\n'
grep -v '^vm: ' "$transcript"
if [ $status != 0 ]; then
	grep '^vm: ' "$transcript" || :
	die "not every answer was the right one"
fi
say "demo: every answer was the right one; $((SECONDS - begin)) s"
