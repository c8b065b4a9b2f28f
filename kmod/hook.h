/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Delay points: nothing in the module that is installed. In the test build (UPCALL_TEST=1) a
 * thread that reaches a point stops there if a test has armed it, until the test lets it go.
 * So a test does not hope for an interleaving, it makes it. A point stands where we may sleep:
 * never under a spinlock. One under RCU spins, and takes a processor: ATOMIC.
 */
#ifndef _UPCALL_HOOK_H
#define _UPCALL_HOOK_H

#ifdef UPCALL_TEST

#include <linux/compiler.h>

extern unsigned int upcall_hook_sequence_mask;

void upcall_hook_reach(const char *name);
void upcall_hook_spin(const char *name);

#define UPCALL_HOOK(name)		upcall_hook_reach(#name)
#define UPCALL_HOOK_ATOMIC(name)	upcall_hook_spin(#name)
/* What is left of a sequence number, so that a test need not wait until it repeats. */
#define UPCALL_HOOK_SEQUENCE(seq)	((seq) & READ_ONCE(upcall_hook_sequence_mask))

#else

#define UPCALL_HOOK(name)		do { } while (0)
#define UPCALL_HOOK_ATOMIC(name)	do { } while (0)
#define UPCALL_HOOK_SEQUENCE(seq)	(seq)

#endif /* UPCALL_TEST */
#endif /* _UPCALL_HOOK_H */
