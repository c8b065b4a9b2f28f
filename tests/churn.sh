#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# churn.sh ROUNDS: 'make churn'. The churn test with so many rounds of each of its four workers,
# in a virtual machine of its own.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

out=$build/churn
ksft=$(kernel_source)/tools/testing/selftests || die "no kselftest"
mkdir -p "$out"
make -s -C "$top/tests/selftests" KSFT="$ksft" OUTPUT="$out" "$out/churn_test" >&2 ||
	die "the test does not build"
"$top/tests/vm/run" --timeout 3600 --out "$out/vm" -c "UPCALL_ROUNDS=$1 ./churn_test" "$out/churn_test"
