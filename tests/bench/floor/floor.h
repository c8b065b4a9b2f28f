/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/floor: what two processes pay at least to take turns through the kernel. An open file
 * has two sides, who share it.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <linux/ioctl.h>

#define FLOOR_NOTHING	_IO('f', 0)	/* returns 0 */
#define FLOOR_CALL	_IO('f', 1)	/* wakes the other side, waits for its turn to end */
#define FLOOR_SERVE	_IO('f', 2)	/* ends one's turn, if it is that, and waits for the next */

#endif /* FLOOR_H */
