/* SPDX-License-Identifier: GPL-2.0-only */
/* CLOCK_MONOTONIC as the calling process reads it, and as the kernel does. */
#ifndef _UPCALL_TIMENS_H
#define _UPCALL_TIMENS_H

#include <linux/ktime.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/time_namespace.h>

static inline s64 upcall_time_offset(void)
{
#ifdef CONFIG_TIME_NS
	return timespec64_to_ns(&current->nsproxy->time_ns->offsets.monotonic);
#else
	return 0;
#endif
}

/* From the kernel to the process; the end of time is the same for all. */
static inline ktime_t upcall_time_show(ktime_t time)
{
	s64 offset = upcall_time_offset();

	if (time == KTIME_MAX || (offset > 0 && time > KTIME_MAX - offset))
		return KTIME_MAX;
	return max_t(s64, time + offset, 0);
}

/* From the process to the kernel; what lies beyond the end of time is the end of time. */
static inline ktime_t upcall_time_read(u64 ns)
{
	s64 offset = upcall_time_offset();
	s64 time = min_t(u64, ns, KTIME_MAX);

	if (offset < 0 && time > KTIME_MAX + offset)
		return KTIME_MAX;
	return max_t(s64, time - offset, 0);
}

#endif /* _UPCALL_TIMENS_H */
