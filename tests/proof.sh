#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# proof.sh [--readme]: 'make proof'. Runs nothing: a table of what each target said when it last ran whole
# in this tree, as Markdown. What a target said of a module that was another then is marked.
#
# --readme: writes the table into README.md, between its two marks, if every target has run on this module.
set -euo pipefail
# shellcheck source=env.sh
. "${0%/*}/env.sh"

module=$(module_sum)
missing=0 old=0

row()		# TARGET COMMAND TEXT
{
	local sum='' said='not run here'

	if [ -r "$build/proof/$1" ]; then
		read -r sum said <"$build/proof/$1"
		[ "$sum" = "$module" ] || { said+=' (of an earlier module)'; old=$((old + 1)); }
	else
		missing=$((missing + 1))
	fi
	say "| $3 | \`$2\` | $said |"
}

table()
{
	say '| | command | its last line |'
	say '|---|---|---|'
	row test	"make test"		"checks, and every test on Debian's 6.1"
	row race	"make test-race"	"cells of the race matrix"
	row kasan	"make test-kasan"	"every test, and detectors seen to work: KASAN, UBSAN, lockdep, kmemleak, debug objects"
	row kcsan	"make test-kcsan"	"the same: KCSAN"
	row faults	"make faults"		"allocations and copies that fail, one at a time"
	row fuzz	"make fuzz"		"programs at random, and what they reached"
	row corpus	"make test T=fuzz_corpus_test"	"programs of the corpus, which every \`make test\` runs"
	row model	"make model"		"properties of the model, and faults planted in it"
	row mutants	"make mutants"		"the module broken on purpose"
	row coverage	"make coverage"		"lines of kmod/ that run in tests, faults and stress"
	row endurance	"make endurance"	"load, reloads, freezing, full memory, a million dead at once, on eight processors"
	for kernel in $debian_kernels; do
		row "kernel-$kernel" "make test-kernels K=$kernel" "every test on that kernel"
	done
}

mkdir -p "$build/proof"
printf '%s corpus: %s programs\n' "$module" "$(awk -v RS= '/\n[^#]|^[^#]/ { n++ } END { print n + 0 }' \
	"$top"/tests/fuzz/*.prog "$top"/tests/fuzz/corpus/*.prog)" >"$build/proof/corpus"
table >"$build/proof.table"
if [ "${1:-}" != --readme ]; then
	cat "$build/proof.table"
	exit
fi
[ $missing = 0 ] || say "proof: $missing of the targets have not run here" >&2
[ $old = 0 ] || say "proof: $old of the targets ran on an earlier module" >&2
fill_readme proof "$build/proof.table"
