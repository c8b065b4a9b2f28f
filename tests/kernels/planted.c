// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bugs on purpose, one for each check of the sanitizer kernels: who writes its name
 * to debugfs' planted commits it. For tests only; planted.job says what each must set off.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/uaccess.h>

static struct dentry *planted_file;
static DEFINE_SPINLOCK(lock_a);
static DEFINE_SPINLOCK(lock_b);
static int __rcu *rcu_pointer;
static void *kept;
static long shared;

static void use_after_free(void)
{
	volatile char *p = kmalloc(40, GFP_KERNEL);

	kfree((void *)p);
	OPTIMIZER_HIDE_VAR(p);
	p[3] = 1;
}

static void out_of_bounds(void)
{
	volatile char *p = kmalloc(40, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	p[40] = 1;
	kfree((void *)p);
}

static void undefined(void)
{
	int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	shared = 1 << bits;
}

static void lock_order(void)
{
	spin_lock(&lock_a);
	spin_lock(&lock_b);
	spin_unlock(&lock_b);
	spin_unlock(&lock_a);
	spin_lock(&lock_b);
	spin_lock(&lock_a);
	spin_unlock(&lock_a);
	spin_unlock(&lock_b);
}

static void rcu_unlocked(void)
{
	kept = rcu_dereference(rcu_pointer);
}

static void nobody(struct timer_list *timer)
{
}

static void object_state(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	timer_setup(timer, nobody, 0);
	mod_timer(timer, jiffies + 600 * HZ);
	kfree(timer);
}

static void atomic_sleep(void)
{
	spin_lock(&lock_a);
	might_sleep();
	spin_unlock(&lock_a);
}

/* Some, since a copy of the last one's address may linger anywhere. */
static void leak(void)
{
	int i;

	for (i = 0; i < 8; i++)
		kept = kmalloc(123, GFP_KERNEL);
	kept = NULL;
}

static void hang(void)
{
	schedule_timeout_uninterruptible(20 * HZ);
}

/* For two processes at a time. */
static noinline void race(void)
{
	int i;

	for (i = 0; i < 200000; i++) {
		shared++;
		barrier();
	}
}

static const struct {
	const char *name;
	void (*commit)(void);
} bugs[] = {
	{ "use-after-free", use_after_free },
	{ "out-of-bounds", out_of_bounds },
	{ "undefined", undefined },
	{ "lock-order", lock_order },
	{ "rcu-unlocked", rcu_unlocked },
	{ "object-state", object_state },
	{ "atomic-sleep", atomic_sleep },
	{ "leak", leak },
	{ "hang", hang },
	{ "race", race },
};

static ssize_t planted_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	char name[32] = "";
	int i;

	if (copy_from_user(name, text, min(len, sizeof(name) - 1)))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!strcmp(strim(name), bugs[i].name)) {
			bugs[i].commit();
			return len;
		}
	}
	return -EINVAL;
}

static const struct file_operations planted_fops = {
	.owner	= THIS_MODULE,
	.write	= planted_write,
};

static int __init planted_init(void)
{
	planted_file = debugfs_create_file("planted", 0200, NULL, NULL, &planted_fops);
	return PTR_ERR_OR_ZERO(planted_file);
}

static void __exit planted_exit(void)
{
	debugfs_remove(planted_file);
}

module_init(planted_init);
module_exit(planted_exit);
MODULE_DESCRIPTION("Bugs that the sanitizer kernels must see");
MODULE_LICENSE("GPL");
