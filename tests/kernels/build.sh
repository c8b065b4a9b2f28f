#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# build.sh kasan|kcsan|faults: builds that kernel out of Debian's linux-source-6.1, once: what
# it leaves in the cache is bzImage, and build/, against which modules are built. Prints
# the name of that folder; what it does goes to standard error.
set -eu
# shellcheck source=../env.sh
. "$(dirname "$(realpath "$0")")/../env.sh"

flavour=$1
here=$top/tests/kernels
[ -e "$here/$flavour.config" ] || die "no kernel is called $flavour"
fragments=("$here/base.config" "$here/debug.config" "$here/$flavour.config")
[ "$flavour" != faults ] || fragments=("$here/base.config" "$here/faults.config")

# Another configuration or compiler is another kernel; so is another recipe: count it up
# when what this script makes is no longer the same
recipe=2
key=$(grep -hv '^#' "${fragments[@]}" | cat - <(gcc --version) <(say $recipe) | cksum | cut -d' ' -f1)
dest=$cache/kernel-$flavour-$key
[ -e "$dest" ] && { say "$dest"; exit 0; }

tell()	{ say "$flavour kernel: $*" >&2; }

# Names and times that are not this machine's, so that ccache and others get the same bytes
export KBUILD_BUILD_TIMESTAMP=2026-01-01 KBUILD_BUILD_USER=upcall KBUILD_BUILD_HOST=upcall KBUILD_BUILD_VERSION=1

kmake()		# ARGUMENT...
{
	nice make -s -C "$source" O="$obj" CC="ccache gcc" HOSTCC="ccache gcc" LOCALVERSION="-upcall-$flavour" \
		"${arguments[@]}" "$@"
}

# KCSAN stops at one access in some hundred, for a while. So that those are the module's and not the scheduler's,
# only modules are instrumented, and what of the kernel touches their structures for them; the rest is fast. But
# its barriers must be known, or what they order looks like a race.
arguments=()
[ "$flavour" != kcsan ] || {
	arguments=(KCSAN_SANITIZE=n)
	for object in list_debug rbtree timerqueue llist usercopy; do
		arguments+=("KCSAN_SANITIZE_$object.o=y")
	done
	for object in spinlock spinlock_debug mutex rwsem semaphore percpu-rwsem tree srcutree workqueue; do
		arguments+=("KCSAN_INSTRUMENT_BARRIERS_$object.o=y")
	done
}

# --- the source ----------------------------------------------------------------

whole_source()
{
	local name=linux-source-6.1-whole tarball

	if [ ! -e "$cache/$name" ]; then
		tarball=$(source_tarball) || exit 1
		tell "unpacking $tarball, about a minute"
		make_cached "$name" tar -xJf "$tarball" --strip-components=1 || die "cannot unpack $tarball"
	fi
	say "$cache/$name"
}

# --- the configuration ---------------------------------------------------------

# What was asked for and is not there would be a check that silently does not run
not_granted()
{
	local wish

	sed -n 's/^\(CONFIG_[A-Z0-9_]*=.*\)/\1/p' "${fragments[@]}" | while IFS= read -r wish; do
		case $wish in
		*=n)	! grep "^${wish%n}" "$obj/.config" ;;
		*)	grep -qxF "$wish" "$obj/.config" ;;
		esac || say "$wish"
	done
}

configure()
{
	local refused

	kmake tinyconfig >"$obj.log" 2>&1 || { tail -n 30 "$obj.log" >&2; die "$flavour kernel: no configuration"; }
	cat "${fragments[@]}" >>"$obj/.config"
	kmake olddefconfig >>"$obj.log" 2>&1 || { tail -n 30 "$obj.log" >&2; die "$flavour kernel: no configuration"; }
	refused=$(not_granted)
	[ -z "$refused" ] || die "$flavour kernel: not granted by this source: ${refused//$'\n'/, }"
}

# --- the build -----------------------------------------------------------------

objects()	{ find "$obj" -name '*.o' ! -path '*/scripts/*' ! -path '*/tools/*' | wc -l; }

# A line every 20 s, until it is killed
progress()
{
	local begin=$SECONDS expected=1070

	while sleep 20; do
		tell "$(objects) of about $expected objects, $((SECONDS - begin)) s"
	done
}

compile()
{
	local begin=$SECONDS

	tell "compiling, about 10 processor minutes; the second time ccache has most of it"
	progress >/dev/null 9>&- &
	trap 'kill %progress 2>/dev/null' EXIT
	kmake -j"$(nproc)" all >>"$obj.log" 2>&1 </dev/null ||
		{ tail -n 30 "$obj.log" >&2; die "$flavour kernel: does not build; the whole log is $obj.log"; }
	tell "built $(objects) objects in $((SECONDS - begin)) s"
	kill %progress
	trap - EXIT
}

# What 'make -C build M=...' needs, out of source and objects
pack()		# DEST
{
	mkdir -p "$1/build"
	(
		cd "$source"
		find . arch/x86 -maxdepth 1 -name 'Makefile*'
		find include scripts \( -type f -o -type l \) ! -path 'scripts/coccinelle/*' ! -path 'scripts/dtc/*' \
			! -path 'scripts/gdb/*' ! -path 'include/dt-bindings/*' ! -path 'scripts/gcc-plugins/*'
		# shellcheck disable=SC2046 # folders without blanks
		find $(find arch/x86 -name include -o -name scripts -type d) -type f
	) | tar -c -C "$source" -T - | tar -x -C "$1/build"
	(
		cd "$obj"
		! [ -e tools/objtool/objtool ] || say tools/objtool/objtool
		say .config
		say Module.symvers
		find arch/x86/include include -type f
		find scripts -type f ! -name '*.o' ! -name '.*.cmd' ! -name '.*.d'
	) | tar -c -C "$obj" -T - | tar -x -C "$1/build"
	cp "$obj/arch/x86/boot/bzImage" "$obj/System.map" "$1/"
}

mkdir -p "$cache"
exec 9>"$cache/.lock-kernel-$flavour"
flock -n 9 || { tell "another run builds it; waiting"; flock 9; }
[ -e "$dest" ] && { say "$dest"; exit 0; }
source=$(whole_source)
obj=$cache/.obj-$flavour
rm -rf "$obj"
mkdir -p "$obj"
configure
compile
rm -rf "$dest.new"
pack "$dest.new"
mv -T "$dest.new" "$dest"
rm -rf "$obj"
say "$dest"
