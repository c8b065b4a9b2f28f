# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What run.sh and profile.sh share: building, booting. Sourced, not run.

# shellcheck source=../env.sh
. "${BASH_SOURCE[0]%/*}/../env.sh"

bench=$top/tests/bench
out=$build/bench
mkdir -p "$out"

build_floor()
{
	local headers dir=$out/floor

	headers=$(test_headers)
	mkdir -p "$dir"
	cp "$bench"/floor/* "$dir/"
	quietly "$dir/log" make -C "$headers" M="$dir" modules || die "the floor does not build"
}

build_all()
{
	build_floor
	flock "$build/.user" make -s -C "$top/user" lib >&2
	make -s -C "$bench" OUTPUT="$out" >&2
}

# The job's first words
# shellcheck disable=SC2034 # used by those who source this
load='for m in floor binder_linux fuse; do insmod $m.ko; done'

run_in_vm()	# OPTION...: of tests/vm/run
{
	local release

	release=$(release_of "$(test_headers)")
	"$top/tests/vm/run" --out "$out/vm" --timeout 900 "$@" "$out/bench" "$out/bench-libraries" \
		"$out/floor/floor.ko" /usr/bin/dbus-daemon:/usr/bin/ \
		"$(kernel_module "$release" drivers/android/binder_linux)" \
		"$(kernel_module "$release" fs/fuse/fuse)"
}
