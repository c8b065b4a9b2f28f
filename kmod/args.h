/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_ARGS_H
#define _UPCALL_ARGS_H

/* How the struct of an ioctl comes in and goes out. */
#include <linux/types.h>
#include <linux/uaccess.h>
#include "compat.h"
#include "limits.h"

/*
 * A struct of a round trip is a few words: they are moved one by one between two user_access_*(),
 * unrolled, which takes a third of the instructions of copy_from_user() and its like. @size is a
 * constant for the compiler, and a multiple of 8.
 */
static __always_inline int upcall_words_read(void *to, const void __user *from, size_t size)
{
	const u64 __user *words = from;
	unsigned int i;
	u64 *at = to;

	if (!user_read_access_begin(from, size))
		return -EFAULT;
#pragma GCC unroll 32
	for (i = 0; i < size / sizeof(u64); i++)
		unsafe_get_user(at[i], words + i, out_fault);
	user_read_access_end();
	return 0;

out_fault:
	user_read_access_end();
	return -EFAULT;
}

static __always_inline int upcall_words_write(void __user *to, const void *from, size_t size)
{
	u64 __user *words = to;
	const u64 *at = from;
	unsigned int i;

	if (!user_write_access_begin(to, size))
		return -EFAULT;
#pragma GCC unroll 32
	for (i = 0; i < size / sizeof(u64); i++)
		unsafe_put_user(at[i], words + i, out_fault);
	user_write_access_end();
	return 0;

out_fault:
	user_write_access_end();
	return -EFAULT;
}

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

/*
 * The same in one access, if the struct has the length that is expected: then only its first @in
 * bytes, in which the size stands. What lies behind those is for the caller to set.
 */
static __always_inline int upcall_args_read_words(void *args, size_t ksize, size_t in,
						  const void __user *user, u32 *usize)
{
	u32 *size = args;

	if (likely(!upcall_words_read(args, user, in) && *size == ksize)) {
		*usize = ksize;
		return 0;
	}
	return upcall_args_read(args, ksize, user, usize);
}

/* Writes from @start on as much of it as the caller has room for. */
static __always_inline int upcall_args_write_from(void __user *user, u32 usize, const void *args,
						  size_t ksize, size_t start)
{
	if (likely(usize >= ksize))
		return upcall_words_write(user + start, args + start, ksize - start);
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
