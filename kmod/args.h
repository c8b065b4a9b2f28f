/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_ARGS_H
#define _UPCALL_ARGS_H

/* How the struct of an ioctl comes in and goes out. */
#include <linux/types.h>
#include <linux/uaccess.h>
#include "limits.h"

/*
 * Structs come and go in the length that this kernel knows, mostly. Where that is a constant
 * for the compiler, hardened usercopy has nothing to check at run time.
 */

/* Copies a struct in whose size stands in front: *@usize is as the caller compiled it. */
static __always_inline int upcall_args_read(void *args, size_t ksize, const void __user *user,
					    u32 *usize)
{
	if (get_user(*usize, (const u32 __user *)user))
		return -EFAULT;
	if (*usize < ksize)
		return -EINVAL;
	if (*usize > UPCALL_MAX_STRUCT)
		return -E2BIG;
	if (likely(*usize == ksize))
		return copy_from_user(args, user, ksize) ? -EFAULT : 0;
	return copy_struct_from_user(args, ksize, user, *usize);
}

/* Writes from @start on as much of it as the caller has room for. */
static __always_inline int upcall_args_write_from(void __user *user, u32 usize, const void *args,
						  size_t ksize, size_t start)
{
	if (likely(usize >= ksize))
		return copy_to_user(user + start, args + start, ksize - start) ? -EFAULT : 0;
	return copy_to_user(user + start, args + start, usize - start) ? -EFAULT : 0;
}

/* All of it; a tail that we do not know is zero. */
static __always_inline int upcall_args_write(void __user *user, u32 usize, const void *args,
					     size_t ksize)
{
	return upcall_args_write_from(user, usize, args, ksize, 0);
}

long upcall_ioctl_info(void __user *user);

#endif /* _UPCALL_ARGS_H */
