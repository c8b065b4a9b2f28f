#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# debian.sh NAME: fetches one of the kernels of Debian that 'make test-kernels' runs on, and
# unpacks it into the cache; nothing is installed. Prints the name of the folder: what is in
# it is below. What it does goes to standard error.
#
#	release		its release, in one line
#	vmlinuz		the kernel
#	modules/	those of $test_modules that are not built into it
#	build/		its headers
#	make		what builds a module with them, in its working directory or below; takes
#			make's arguments
#	root/		where packages are unpacked
#	with		not for x86_64: runs a command that finds the cross compiler
#	guest/		not for x86_64: programs for the guest
#
# Whatever apt must know of suites and architectures that this machine does not use it keeps in
# the cache, too, for a day.
set -eu
# shellcheck source=../env.sh
. "$(dirname "$(realpath "$0")")/../env.sh"

name=$1 arch=amd64 suite=bookworm with='' tools=''
case $name in
cloud | rt)	meta=$name-amd64 ;;
6.12)		meta=amd64 suite=bookworm-backports ;;
sid)		meta=amd64 suite=sid ;;
arm64)		meta=arm64 arch=arm64 ;;
*)		die "no kernel is called $name" ;;
esac

tell()	{ say "$name kernel: $*" >&2; }

# --- apt, as if it were another machine ----------------------------------------

# Where this machine gets its packages from
mirrors()
{
	# shellcheck disable=SC2016 # apt's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
		grep -E ' bookworm(-security|-updates)?$' | sort -u
}

sources()	# SUITE
{
	local key=/usr/share/keyrings/debian-archive-keyring.gpg uri release

	[ -r $key ] && key="[signed-by=$key] " || key=
	mirrors | while read -r uri release; do
		case $1 in
		bookworm)	say "deb $key$uri $release main" ;;
		*)		[ "$release" != bookworm ] || say "deb $key$uri $1 main" ;;
		esac
	done
}

foreign_apt()	# SUITE ARCH PROGRAM ARGUMENT...
{
	local dir=$cache/apt-$1-$2

	"$3" -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$dir/lists" \
		-o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" -o APT::Architecture="$2" \
		-o APT::Architectures="$2" -o APT::Sandbox::User= -o Acquire::Languages=none \
		-o Debug::NoLocking=1 "${@:4}"
}

# Lists of packages that are too old, or were never fetched, are fetched
refresh()	# SUITE ARCH
{
	local dir=$cache/apt-$1-$2

	[ -z "$(find "$dir/fresh" -mmin -1440 2>/dev/null)" ] || return 0
	have apt-get || die "there is no apt-get to fetch the $name kernel with"
	tell "fetching what Debian's $1 has for $2"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	sources "$1" >"$dir/sources.list"
	if quietly "$dir/log" foreign_apt "$1" "$2" apt-get update && ! grep -q '^[EW]:' "$dir/log"; then
		touch "$dir/fresh"
	elif [ ! -e "$dir/fresh" ]; then
		cat "$dir/log" >&2
		die "apt-get cannot fetch what Debian's $1 has for $2"
	else
		tell "apt-get cannot; what it had $(date -r "$dir/fresh" +%F) is used"
	fi
}

depends()	# PACKAGE: the names of what it depends on
{
	foreign_apt "$suite" "$arch" apt-cache show --no-all-versions "$1" | sed -n 's/^Depends: //p' | tr ',|' '\n' |
		sed 's/^ *//; s/ .*//'
}

download()	# SUITE ARCH PACKAGE...
{
	(mkdir -p "$new/deb" && cd "$new/deb" && quietly "$new/log" foreign_apt "$1" "$2" apt-get download "${@:3}") ||
		die "apt-get could not fetch ${*:3}"
}

# --- what is in the folder -----------------------------------------------------

unpack()	# FOLDER; all that was downloaded
{
	local deb

	for deb in "$new"/deb/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$1" --no-same-owner --keep-directory-symlink \
			--exclude './usr/share/doc' --exclude './usr/share/man' --exclude './usr/share/locale'
	done
	rm -r "$new/deb"
}

# Of the hundred megabytes of modules one or two are wanted
get_kernel()
{
	local deb m module packages=("linux-image-$release") wanted=('./boot/vmlinuz-*' './usr/lib/modules/*/vmlinuz')

	# in sid the package is empty and depends on these
	depends "linux-image-$release" | grep -qx "linux-binary-$release" && packages=("linux-binary-$release" "linux-modules-$release")
	download "$suite" "$arch" "${packages[@]}"
	for m in $test_modules; do wanted+=("*/kernel/$m.ko*"); done
	mkdir "$new/image" "$new/modules"
	for deb in "$new"/deb/*.deb; do
		# tar is not content if not all of them are in each
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new/image" --wildcards "${wanted[@]}" 2>/dev/null || :
	done
	rm -r "$new/deb"
	find "$new/image" -name 'vmlinuz*' -exec mv {} "$new/vmlinuz" \;
	[ -s "$new/vmlinuz" ] || die "no kernel is in ${packages[*]}"
	find "$new/image" -name '*.ko.xz' -exec xz -d {} +
	for m in $test_modules; do
		module=$(find "$new/image" -path "*/$m.ko")
		[ -z "$module" ] || mv "$module" "$new/modules/"
	done
	rm -r "$new/image"
	# arm64's is compressed as a file, which QEMU does not take
	! gzip -t "$new/vmlinuz" 2>/dev/null || { mv "$new/vmlinuz" "$new/vmlinuz.gz"; gunzip "$new/vmlinuz.gz"; }
}

# The scripts that come with headers are programs: of this machine's architecture
get_headers()
{
	local package

	download "$suite" "$arch" "linux-headers-$release"
	for package in $(depends "linux-headers-$release"); do
		case $package in
		linux-headers-*-common*)	download "$suite" "$arch" "$package" ;;
		linux-kbuild-*)			download "$suite" amd64 "$package" ;;
		esac
	done
	unpack "$new/root"
	# they say where they would be installed
	sed -i "s|/usr/src/|$dest/root/usr/src/|" "$new/root/usr/src/linux-headers-$release/Makefile"
}

# Debian's cross compiler cannot be installed beside gcc-multilib
get_cross_compiler()
{
	download bookworm amd64 {gcc,cpp}-12-aarch64-linux-gnu binutils-aarch64-linux-gnu libgcc-12-dev-arm64-cross \
		libc6{,-dev}-arm64-cross linux-libc-dev-arm64-cross libgcc-s1-arm64-cross
	unpack "$new/root"
	cat >"$new/with" <<-END
	#!/bin/sh
	export PATH=$dest/root/usr/bin:\$PATH LD_LIBRARY_PATH=$dest/root/usr/lib/x86_64-linux-gnu
	exec "\$@"
	END
	chmod +x "$new/with"
	with="$dest/with "
	tools="CROSS_COMPILE=aarch64-linux-gnu- CC=aarch64-linux-gnu-gcc-12 "
}

# For a guest that is no x86_64
get_programs()
{
	download "$suite" "$arch" busybox-static coreutils
	mkdir "$new/guest"
	unpack "$new/guest"
}

# Headers of a later suite than this machine's want its compiler, and that its C library
get_suite()
{
	mkdir -p "$new/root/usr"/{bin,sbin,lib,lib64} "$new/root"/{proc,dev,tmp} "$new/deb/partial"
	(cd "$new/root" && ln -s usr/* .)
	quietly "$new/log" foreign_apt "$suite" "$arch" apt-get install -y --no-install-recommends --download-only \
		-o Dir::Cache::archives="$new/deb" "linux-headers-$release" make dash coreutils sed grep mawk findutils ||
		die "apt-get could not fetch what the $name kernel's headers need"
	rm -r "$new/deb/partial"
	unpack "$new/root"
	ln -sf mawk "$new/root/usr/bin/awk"
}

# The machine's own make, or with a root of its own the one in there, at the same place
write_make()
{
	if [ -x "$new/root/usr/bin/make" ]; then
		cat <<-END
		#!/bin/sh
		exec unshare $([ "$(id -u)" = 0 ] || say --map-root-user) --mount sh -eu -c '
			root=$dest/root
			mkdir -p "\$root\$PWD"
			for dir in /proc /dev "\$PWD"; do mount --rbind "\$dir" "\$root\$dir"; done
			exec chroot "\$root" make -C /usr/src/linux-headers-$release "\$@"' make "\$@"
		END
	else
		cat <<-END
		#!/bin/sh
		exec ${with}make -C $dest/build ${tools}CONFIG_DEBUG_INFO_BTF_MODULES= "\$@"
		END
	fi >"$new/make"
	chmod +x "$new/make"
}

# -------------------------------------------------------------------------------

mkdir -p "$cache"
exec 9>"$cache/.lock-kernel-$name"
flock -n 9 || { tell "another run fetches it; waiting"; flock 9; }
refresh "$suite" "$arch"
release=$(depends "linux-image-$meta" | sed -n 's/^linux-image-\([0-9]\)/\1/p')
[ -n "$release" ] || die "Debian's $suite has no linux-image-$meta"
# count it up when what this script makes is no longer the same
recipe=1
dest=$cache/debian-$release-$recipe
[ ! -e "$dest" ] || { say "$dest"; exit 0; }
tell "fetching $release into $cache"
[ "$arch" = amd64 ] || refresh "$suite" amd64
new=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"
mkdir "$new/root"
get_kernel
if [ "$suite" = sid ]; then get_suite; else get_headers; fi
[ "$arch" = amd64 ] || { get_cross_compiler; get_programs; }
ln -s "root/usr/src/linux-headers-$release" "$new/build"
say "$release" >"$new/release"
write_make
rm -f "$new/log"
mv -T "$new" "$dest"
say "$dest"
