// SPDX-License-Identifier: GPL-2.0-only
/*
 * The floor of the benchmark: two bare ioctls that wake each other with wake_up_process(), and
 * move nothing. For the benchmark only: it trusts both sides to keep to their turns.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include "floor.h"

enum side { CALLER, SERVER };

/**
 * struct floor - One open file
 * @side: Who is on which side, referenced; set by the first ioctl of each, before it looks
 *	at @turn.
 * @turn: Whose it is.
 */
struct floor {
	struct task_struct *side[2];
	enum side turn;
};

static int floor_wait(struct floor *floor, enum side side)
{
	int err = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (smp_load_acquire(&floor->turn) == side)
			break;
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return err;
}

/* One that is not there yet looks at @turn when it comes. */
static void floor_pass(struct floor *floor, enum side to)
{
	struct task_struct *task;

	smp_store_mb(floor->turn, to);
	task = READ_ONCE(floor->side[to]);
	if (task)
		wake_up_process(task);
}

static long floor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct floor *floor = file->private_data;
	enum side side = cmd == FLOOR_SERVE ? SERVER : CALLER;

	if (cmd == FLOOR_NOTHING)
		return 0;
	if (cmd != FLOOR_CALL && cmd != FLOOR_SERVE)
		return -ENOTTY;
	if (side == CALLER || (floor->side[side] && floor->turn == side))
		floor_pass(floor, !side);
	if (!floor->side[side])
		WRITE_ONCE(floor->side[side], get_task_struct(current));
	return floor_wait(floor, side);
}

static int floor_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(sizeof(struct floor), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int floor_release(struct inode *inode, struct file *file)
{
	struct floor *floor = file->private_data;
	int side;

	for (side = CALLER; side <= SERVER; side++) {
		if (floor->side[side])
			put_task_struct(floor->side[side]);
	}
	kfree(floor);
	return 0;
}

static const struct file_operations floor_fops = {
	.owner = THIS_MODULE,
	.open = floor_open,
	.release = floor_release,
	.unlocked_ioctl = floor_ioctl,
};

static struct miscdevice floor_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "floor",
	.fops = &floor_fops,
	.mode = 0600,
};

module_misc_device(floor_device);
MODULE_DESCRIPTION("The least that two processes pay to take turns");
MODULE_LICENSE("GPL");
