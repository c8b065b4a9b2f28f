#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# readme.sh [JSON]: writes what 'make bench' measured into README.md, between its two marks, and
# the plot beside this script.
set -euo pipefail
# shellcheck source=../env.sh
. "${0%/*}/../env.sh"

bench=$top/tests/bench
json=${1:-$build/bench/bench.json}
[ -r "$json" ] || die "no $json: 'make bench' writes it"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk -f "$bench/labels.awk" -f "$bench/rows.awk" -f "$bench/readme.awk" "$json" >"$work/tables"
fill_readme bench "$work/tables"

awk -f "$bench/labels.awk" -f "$bench/rows.awk" -f "$bench/plot.awk" "$json" >"$work/plot"
height=$(sed -n 's/^<!-- height \([0-9]*\) -->$/\1/p' "$work/plot")
sed "s/HEIGHT/$height/; /^<!-- height/d" "$work/plot" >"$bench/performance.svg"
