#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# image.sh PACKAGE...: makes an ext4 file system of these Debian packages, of all that they
# depend on, and of busybox for what a shell wants. Says where it is: in the cache,
# where it stays. Nothing is installed, and no script of a package runs.
set -eu
# shellcheck source=../env.sh
. "$(dirname "$(realpath "$0")")/../env.sh"

# Another recipe is another image
name=guest-$(cat "$0" - <<<"$*" | cksum | cut -d' ' -f1)
image=$cache/$name.ext4
[ ! -e "$image" ] || { say "$image"; exit; }
have apt-get || die "need the packages $*, and there is no apt-get to fetch them with"

mkdir -p "$cache"
new=$(mktemp -d "$cache/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"
mkdir -p "$new/deb/partial" "$new/tree"/{bin,sbin,dev,proc,sys,tmp,run,root,etc,usr/bin,usr/sbin,usr/lib,var/tmp}

# apt is told that nothing is installed, so it knows what all is needed
download()
{
	: >"$new/status"
	apt-get install -y --no-install-recommends --download-only -o Debug::NoLocking=1 \
		-o Dir::State::status="$new/status" -o Dir::Cache::archives="$new/deb" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= "$@"
}

add_busybox()
{
	local busybox applet

	busybox=$(static_busybox)
	cp "$busybox" "$new/tree/bin/busybox"
	for applet in $("$busybox" --list-full); do
		[ -e "$new/tree/bin/${applet##*/}" ] || [ -e "$new/tree/usr/bin/${applet##*/}" ] ||
			ln -sf /bin/busybox "$new/tree/$applet"
	done
}

say "fetching $* and what they need into $cache" >&2
# Fails where the package lists are too old, or were never fetched
download "$@" >"$new/log" 2>&1 ||
	{ quietly "$new/log" apt-get update && quietly "$new/log" download "$@"; } ||
	die "apt-get could not fetch $*"
for deb in "$new"/deb/*.deb; do
	dpkg-deb -x "$deb" "$new/tree"
done
rm -rf "$new/tree/usr/share"/{doc,man,info,locale,lintian}
add_busybox
# Half as much again, and 64 MiB, to write to; where nothing is written it takes no room
size=$(($(du -sk "$new/tree" | cut -f1) * 3 / 2 + 65536))
PATH=$PATH:/usr/sbin:/sbin
quietly "$new/log" mke2fs -q -t ext4 -O ^has_journal -m 0 -E root_owner=0:0 -d "$new/tree" "$new/image" "${size}k"
mv "$new/image" "$image"
say "$image"
