#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# profile.sh [ROW]: 'make profile'. Where the instructions of one round trip or message go
# (default: invoke/8), function by function, the user's side included; '*' marks upcall's own.
#
# QEMU writes down each block of code that runs, for some hundred round trips. One that is left
# before its end counts in full: the sum is a few percent higher than what 'make bench' says.
set -euo pipefail
# shellcheck source=common.sh
. "${0%/*}/common.sh"

row=${1:-invoke/8}
log_bytes=60000000	# of blocks, as QEMU writes them
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

monitor()	# COMMAND
{
	say "$1" >"$work/monitor.in"
}

log_blocks()
{
	: >"$work/blocks"
	monitor "logfile $work/blocks"
	monitor "log exec,nochain,in_asm"
	while [ "$(stat -c %s "$work/blocks")" -lt $log_bytes ] && kill -0 $$; do sleep 0.2; done
	monitor "log none"
}

# Address, type and name of what is in kernel, modules and program
symbols()
{
	sed -n 's/^symbol //p' "$out/profile.log"
	say "0000700000000000 t (vdso) [user]"
	nm "$out/bench" | awk '$2 ~ /^[tTwWi]$/ { print $1, "t", $3, "[user]" }'
}

"$top/tests/deps.sh" bench
build_all
mkfifo "$work/monitor.in" "$work/monitor.out"
cat "$work/monitor.out" >/dev/null &
run_in_vm --icount --monitor "$work/monitor" \
	-c "$load; grep -i ' [tw] ' /proc/kallsyms | sed 's/^/symbol /'; ./bench -i -p $row" |
	while read -r line; do
		say "$line"
		# of several rows the first: QEMU writes the text of each block once
		if [[ $line == "profile "* && -z ${logged:-} ]]; then
			log_blocks
			logged=1
		fi
	done >"$out/profile.log"
wait
symbols | sort >"$work/symbols"
each=$(sed -n '0,/^profile /s/^profile .* \([0-9]*\)$/\1/p' "$out/profile.log")
[ -n "$each" ] || die "nothing measures $row"
from=$(awk '$3 == "profiled" { print $1 }' "$work/symbols")
awk -f "$bench/blocks.awk" -v from="$from" "$work/blocks" | sort -m - "$work/symbols" |
	awk -f "$bench/profile.awk" -v row="$row" -v each="$each"
