/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the measurements of upcall share, on the bare ioctls.
 */
#ifndef BENCH_UPCALL_H
#define BENCH_UPCALL_H

#include <linux/upcall.h>
#include <stdint.h>
#include "bench.h"

int peer_open(void);
uint64_t callback_register(int fd, uint32_t flags);
struct upcall_invoke invoke_make(const struct run *run, uint64_t target, uint64_t *result);
void owner_serve(int fd) __attribute__((noreturn));

#endif /* BENCH_UPCALL_H */
