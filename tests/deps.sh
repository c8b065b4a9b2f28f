#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# deps.sh [kernels | debian | bench | model]: installs what building and testing need and this
# machine lacks; with 'kernels', also what building the kernels of tests/kernels needs; with
# 'debian', what running Debian's other ones does; with 'bench', the libraries that it measures;
# with 'model', what searches that. Silent, and a few milliseconds, when nothing is missing.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

[ "$(uname -m)" = x86_64 ] ||
	die "the tests boot an x86_64 kernel and this is $(uname -m); 'make' and 'make install' work here"

missing=()
need()		# PACKAGE TEST...: the package is missing if the test fails
{
	"${@:2}" >/dev/null 2>&1 || missing+=("$1")
}

need gcc		have gcc
need make		have make
need libc6-dev		test -e /usr/include/stdio.h
need linux-headers-amd64 eval "(test_headers)"
need kmod		test -e /sbin/depmod -o -e /usr/sbin/depmod
need qemu-system-x86	have qemu-system-x86_64
# Not gcc-multilib, with which no cross compiler can be installed
gcc=$(gcc -dumpversion 2>/dev/null) || gcc=12
need "gcc-$gcc-multilib" test -e /usr/lib32/libc.a -a -e "/usr/lib/gcc/x86_64-linux-gnu/$gcc/32/libgcc.a"
need cpio		have cpio
need rsync		have rsync
need libnode-dev	test -e /usr/include/node/node_api.h
need e2fsprogs		test -e /sbin/mke2fs -o -e /usr/sbin/mke2fs
need xz-utils		have xz
need perl		have perl
need sparse		have sparse
need cppcheck		have cppcheck
need mandoc		have mandoc
need python3		have python3
if [ "${1:-}" = kernels ]; then
	need flex		have flex
	need bison		have bison
	need bc			have bc
	need ccache		have ccache
	need libelf-dev		test -e /usr/include/libelf.h
	need libssl-dev		test -e /usr/include/openssl/ssl.h
fi
if [ "${1:-}" = debian ]; then
	need qemu-system-arm	have qemu-system-aarch64
	need util-linux		have unshare
fi
if [ "${1:-}" = model ]; then
	need spin		have spin
fi
if [ "${1:-}" = bench ]; then
	need dbus-daemon	test -x /usr/bin/dbus-daemon
	need libsystemd-dev	test -e /usr/include/systemd/sd-bus.h
	need libmicrohttpd-dev	test -e /usr/include/microhttpd.h
	need libcurl4-openssl-dev test -e /usr/include/x86_64-linux-gnu/curl/curl.h -o -e /usr/include/curl/curl.h
fi
[ ${#missing[@]} -gt 0 ] || exit 0

have apt-get || die "missing, and there is no apt-get: ${missing[*]} (Debian's names)"
[ "$(id -u)" = 0 ] || die "missing: ${missing[*]}; as root: apt-get install ${missing[*]}"

say "installing with apt: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# Fails where the package lists are too old, or were never fetched
apt_install()
{
	apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
}
apt_install >"$log" 2>&1 </dev/null ||
	{ quietly "$log" apt-get update && quietly "$log" apt_install </dev/null; } ||
	die "apt-get could not install ${missing[*]}"
