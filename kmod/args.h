/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_ARGS_H
#define _UPCALL_ARGS_H

/* How the struct of an ioctl comes in and goes out. */
#include <linux/types.h>
#include <linux/uaccess.h>
#include "limits.h"

/* Copies a struct in whose size stands in front: *@usize is as the caller compiled it. */
static inline int upcall_args_read(void *args, size_t ksize, const void __user *user, u32 *usize)
{
	if (get_user(*usize, (const u32 __user *)user))
		return -EFAULT;
	if (*usize < ksize)
		return -EINVAL;
	if (*usize > UPCALL_MAX_STRUCT)
		return -E2BIG;
	return copy_struct_from_user(args, ksize, user, *usize);
}

/* Writes as much of it as the caller has room for; a tail that we do not know is zero. */
static inline int upcall_args_write(void __user *user, u32 usize, const void *args, size_t ksize)
{
	return copy_to_user(user, args, min_t(size_t, usize, ksize)) ? -EFAULT : 0;
}

long upcall_ioctl_info(void __user *user);

#endif /* _UPCALL_ARGS_H */
