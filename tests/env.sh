# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the scripts here share; sourced, not run. Whatever a test needs and the
# machine lacks is taken out of a Debian package into the cache, which may be
# deleted at any time.

top=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
# shellcheck disable=SC2034 # used by those who source this
build=$top/build
cache=${UPCALL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/upcall}

say()	{ printf '%s\n' "$*"; }
die()	{ printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
have()	{ command -v "$1" >/dev/null; }

# Debian's packages for a guest that runs what is in Python and in Node
# shellcheck disable=SC2034 # used by those who source this
interpreters="python3-minimal libpython3-stdlib nodejs"

# quietly LOG COMMAND...: its output is of interest only if it fails
quietly()
{
	local log=$1; shift

	"$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

# The module's source in a number; without comments, and without the points where tests stop it
module_sum()
{
	cat "$top"/kmod/*.[ch] "$top"/kmod/uapi/linux/*.h | grep -v '^[[:space:]]*UPCALL_HOOK' |
		gcc -fpreprocessed -dD -E -P -x c - 2>/dev/null | cksum | cut -d ' ' -f 1
}

# What 'make proof' shows of a target: the last line of a run of all that it has
keep_verdict()	# TARGET LINE
{
	mkdir -p "$build/proof"
	say "$(module_sum) $2" >"$build/proof/$1"
}

# Puts a file's lines into README.md, between the two marks of that name
fill_readme()	# NAME FILE
{
	local new=$build/readme.new

	awk -v name="$1" -v file="$2" '
		index($0, "<!-- " name ": end") == 1	{ within = 0 }
		!within					{ print }
		index($0, "<!-- " name ": begin") == 1	{ within = 1; while ((getline line <file) > 0) print line }
	' "$top/README.md" >"$new"
	[ "$(grep -c "^<!-- $1:" "$new")" = 2 ] || die "README.md lacks its marks"
	cat "$new" >"$top/README.md"
}

# What must not be in the kernel's log: tests/vm/run judges by it
bad_lines='WARNING:|BUG:|BUG |Oops|Kernel panic|KASAN|KCSAN|UBSAN|refcount_t|blocked for more than'
bad_lines+='|possible (recursive|circular)|inconsistent lock state|suspicious RCU|DEBUG_LOCKS_WARN|non-static key'
bad_lines+='|rcu.*detected|soft lockup|general protection|double fault|list_(add|del) corruption'
# shellcheck disable=SC2034
bad_lines+='|usercopy:|ODEBUG|kernel memory leak|objects remaining|printk messages dropped|^[^:]*Out of memory:'

# All time limits on the kernels of tests/kernels are this many times what they are on Debian's
# shellcheck disable=SC2034
sanitizer_slowness=5

# Debian's other kernels, which kernels/debian.sh fetches, and how much longer time limits are there
debian_kernels="cloud rt 6.12 sid arm64"
# shellcheck disable=SC2034
debian_slowness=2
is_debian()	{ [[ " $debian_kernels " = *" $1 "* ]]; }

# What makes user/ and tests for the kernel in that folder: words for make, one to a line
cross_words()	# FOLDER
{
	[ ! -e "$1/with" ] || printf '%s\n' "CC=$1/with aarch64-linux-gnu-gcc-12 --sysroot=$1/root" \
		"AR=$1/with aarch64-linux-gnu-ar"
}

# Kernel headers to test with: KDIR, or the newest Debian ones. The running
# kernel is not the first choice, because it need not be one that QEMU can boot.
test_headers()
{
	local dir

	[ -z "${KDIR:-}" ] || { say "$KDIR"; return; }
	dir=$(find /usr/src -maxdepth 1 -name 'linux-headers-[0-9]*-amd64' 2>/dev/null |
		grep -v -e -cloud- -e -rt- | sort -V | tail -n 1)
	[ -n "$dir" ] || dir=/lib/modules/$(uname -r)/build
	[ -e "$dir/Makefile" ] || die "no kernel headers found; 'make deps' installs linux-headers-amd64"
	say "$dir"
}

release_of()	{ sed -n 's/^#define UTS_RELEASE "\(.*\)"$/\1/p' "$1/include/generated/utsrelease.h"; }
version_of()	{ dpkg-query -W -f '${Version}' "$1" 2>/dev/null; }

# fetch DIR COMMAND... PACKAGE: makes the cache's folder DIR by running COMMAND
# there with the downloaded .deb as its last argument; whole or not at all.
fetch()
{
	local dir=$cache/$1 new package=${*: -1}
	local -a unpack=("${@:2:$#-2}")

	[ -e "$dir" ] && return
	have apt-get || die "need ${package%%=*}, and there is no apt-get to fetch it with"
	say "fetching ${package%%=*} into $cache" >&2
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/.new.XXXXXX")
	chmod 755 "$new"
	mkdir "$new/deb" "$new/out"
	if ! { cd "$new/deb" &&
	       { apt-get download "$package" || { apt-get update && apt-get download "$package"; }; } \
			>"$new/log" 2>&1 || { tail -n 5 "$new/log" >&2; false; } &&
	       cd "$new/out" && "${unpack[@]}" "$new"/deb/*.deb; }; then
		rm -rf "$new"
		return 1
	fi
	[ -e "$dir" ] || mv -T "$new/out" "$dir"
	rm -rf "$new"
}

unpack_members()	# MEMBER... DEB
{
	dpkg-deb --fsys-tarfile "${*: -1}" | tar -x --strip-components=2 "${@:1:$#-1}"
}

# What a guest with a disk needs of the kernel's modules, in the order in which they are loaded
disk_modules="
	drivers/virtio/virtio_ring
	drivers/virtio/virtio
	drivers/virtio/virtio_pci_modern_dev
	drivers/virtio/virtio_pci_legacy_dev
	drivers/virtio/virtio_pci
	drivers/block/virtio_blk
	crypto/crc32c_generic
	fs/jbd2/jbd2
	fs/mbcache
	lib/crc16
	fs/ext4/ext4"

# What tests load by themselves
test_modules="fs/fuse/fuse"

# The kernel that belongs to the headers, and those of its modules. It is not installed: that
# would put a boot loader entry and an initramfs on a machine that only wants a test.
kernel_package()
{
	local release=$1 package=linux-image-$1 version name m
	local -a members=("./boot/vmlinuz-$1")

	for m in $disk_modules $test_modules; do members+=("./lib/modules/$release/kernel/$m.ko"); done
	name=$package-$(cksum <<<"${members[*]}" | cut -d' ' -f1)
	version=$(version_of "linux-headers-$release") || version=
	(fetch "$name" unpack_members "${members[@]}" "$package${version:+=$version}") ||
		die "no kernel to boot for $release: it is not installed, and there is no package $package"
	say "$cache/$name"
}

kernel_image()
{
	local dir

	[ -r "/boot/vmlinuz-$1" ] && { say "/boot/vmlinuz-$1"; return; }
	dir=$(kernel_package "$1") || return
	say "$dir/vmlinuz-$1"
}

kernel_modules()	# RELEASE: the folder of $disk_modules and $test_modules
{
	local dir

	[ -r "/lib/modules/$1/kernel/fs/ext4/ext4.ko" ] && [ -r "/lib/modules/$1/kernel/fs/fuse/fuse.ko" ] && { say "/lib/modules/$1/kernel"; return; }
	dir=$(kernel_package "$1") || return
	say "$dir/modules/$1/kernel"
}

# A module of that kernel, as 'fs/fuse/fuse'
kernel_module()		# RELEASE MODULE
{
	local file=lib/modules/$1/kernel/$2.ko dir=modules-$1-${2##*/} version

	[ -r "/$file" ] && { say "/$file"; return; }
	version=$(version_of "linux-headers-$1") || version=
	(fetch "$dir" unpack_members "./$file" "linux-image-$1${version:+=$version}") || return
	say "$cache/$dir/${file#lib/}"
}

static_busybox()
{
	local b=/bin/busybox

	if [ -x $b ] && ! ldd $b >/dev/null 2>&1; then
		say $b
		return
	fi
	# Not installed either: the package would replace a dynamic busybox
	(fetch busybox-static unpack_members ./bin/busybox busybox-static) ||
		die "no static busybox"
	say "$cache/busybox-static/busybox"
}

source_files="
	tools/testing/selftests/lib.mk
	tools/testing/selftests/kselftest.h
	tools/testing/selftests/kselftest_harness.h
	tools/testing/selftests/run_kselftest.sh
	tools/testing/selftests/kselftest/runner.sh
	tools/testing/selftests/kselftest/prefix.pl
	tools/testing/selftests/kselftest/module.sh
	scripts/subarch.include
	scripts/checkpatch.pl
	scripts/spelling.txt
	scripts/const_structs.checkpatch
	scripts/kernel-doc"

# make_cached DIR COMMAND...: makes the cache's folder DIR by running COMMAND there; whole or not at all
make_cached()
{
	local dir=$cache/$1 new

	[ -e "$dir" ] && return
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/.new.XXXXXX")
	chmod 755 "$new"
	(cd "$new" && "${@:2}") || { rm -rf "$new"; return 1; }
	# Another run may have been faster
	mv -T "$new" "$dir" 2>/dev/null || rm -rf "$new"
}

unpack_tarball()	# DEB
{
	dpkg-deb --fsys-tarfile "$1" | tar -x --strip-components=3 ./usr/src/linux-source-6.1.tar.xz
}

# The kernel's source: installed, or fetched once for all that is made out of it
source_tarball()
{
	local tarball=linux-source-6.1.tar.xz

	[ -r /usr/src/$tarball ] && { say /usr/src/$tarball; return; }
	(fetch linux-source-6.1-tarball unpack_tarball linux-source-6.1) || die "no linux-source-6.1"
	say "$cache/linux-source-6.1-tarball/$tarball"
}

unpack_source()		# TARBALL
{
	local -a members
	local f

	for f in $source_files; do members+=("linux-source-6.1/$f"); done
	tar -xJf "$1" --strip-components=1 "${members[@]}"
}

# The dozen files of the kernel's source that tests and checks use
kernel_source()
{
	local name tarball

	# another list of files is another folder
	name=linux-source-6.1-$(cksum <<<"$source_files" | cut -d' ' -f1)
	if [ ! -e "$cache/$name" ]; then
		tarball=$(source_tarball) || exit 1
		say "unpacking kselftest and checkpatch from $tarball" >&2
		make_cached "$name" unpack_source "$tarball" || die "cannot unpack $tarball"
	fi
	say "$cache/$name"
}
