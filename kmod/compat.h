/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_COMPAT_H
#define _UPCALL_COMPAT_H

/*
 * What kernels after 6.1 call otherwise. The sources are written for 6.1, and only here is
 * asked which kernel it is. Where the newer name can be had on the older kernel without a
 * difference it is the newer that the sources use.
 */

#include <linux/compiler.h>
#include <linux/file.h>
#include <linux/hrtimer.h>
#include <linux/version.h>

/* Some 6.1 and later: it is written as a whole at once, and need not be cleared before */
#ifndef __uninitialized
#define __uninitialized
#endif

/* 6.7: with an address of the process to write the number to, or none */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define receive_fd(file, flags)		receive_fd(file, NULL, flags)
#endif

/* 6.13: the function is not set by hand any more; 6.15: nor can it be */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *timer),
				 clockid_t clock_id, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock_id, mode);
	timer->function = function;
}
#endif

#endif /* _UPCALL_COMPAT_H */
