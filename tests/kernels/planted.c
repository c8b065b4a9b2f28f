// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bugs on purpose, one for each check of the sanitizer kernels: who writes its name
 * to debugfs' planted commits it. For tests only; planted.job says when, and planted.sh
 * what each must set off.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/percpu_counter.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static struct dentry *planted_file;
static DEFINE_SPINLOCK(lock_a);
static DEFINE_SPINLOCK(lock_b);
static DEFINE_SPINLOCK(lock_irq);
static int __rcu *rcu_pointer;
static LIST_HEAD(rcu_list);
static void *kept;
static long shared;

/* --- memory ------------------------------------------------------------------ */

static void use_after_free(void)
{
	volatile char *p = kmalloc(40, GFP_KERNEL);

	kfree((void *)p);
	OPTIMIZER_HIDE_VAR(p);
	p[3] = 1;
}

static void double_free(void)
{
	void *p = kmalloc(40, GFP_KERNEL), *again = p;

	OPTIMIZER_HIDE_VAR(again);
	kfree(p);
	kfree(again);
}

static void out_of_bounds(void)
{
	volatile char *p = kmalloc(40, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	p[40] = 1;
	kfree((void *)p);
}

static void vmalloc_bounds(void)
{
	volatile char *p = vmalloc(3000);

	OPTIMIZER_HIDE_VAR(p);
	shared = p[3000];
	vfree((void *)p);
}

static void stack_bounds(void)
{
	volatile char bytes[10] = "";
	int i = 10;

	OPTIMIZER_HIDE_VAR(i);
	shared = *(bytes + i);
}

/* Some, since a copy of the last one's address may linger anywhere. */
static void leak(void)
{
	int i;

	for (i = 0; i < 8; i++)
		kept = kmalloc(123, GFP_KERNEL);
	kept = NULL;
}

static void list_corruption(void)
{
	struct list_head a, b;
	LIST_HEAD(head);

	list_add(&a, &head);
	a.next = &b;
	b.prev = &b;
	list_del(&a);
}

static void refcount_underflow(void)
{
	refcount_t refs = REFCOUNT_INIT(1);

	shared = refcount_dec_and_test(&refs);
	shared = refcount_dec_and_test(&refs);
}

static void user_copy(void)
{
	size_t len = 100;
	char *p = kzalloc(40, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	OPTIMIZER_HIDE_VAR(len);
	shared = copy_to_user((void __user *)(TASK_SIZE_MAX - 4096), p, len);
	kfree(p);
}

/* --- undefined behaviour ------------------------------------------------------ */

static void shift(void)
{
	int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	shared = 1 << bits;
}

static void array_index(void)
{
	static int numbers[4], past_end = ARRAY_SIZE(numbers);

	shared = numbers[READ_ONCE(past_end)];
}

static void bad_bool(void)
{
	bool yes = true;

	*(volatile char *)&yes = 2;
	barrier();
	shared = *(volatile bool *)&yes;
}

/* --- locks, RCU, contexts ------------------------------------------------------- */

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

static void takes_lock_irq(struct timer_list *timer)
{
	spin_lock(&lock_irq);
	spin_unlock(&lock_irq);
}

/* In a softirq, and where a softirq may come. */
static void lock_in_irq(void)
{
	DEFINE_TIMER(timer, takes_lock_irq);

	timer_setup_on_stack(&timer, takes_lock_irq, 0);
	mod_timer(&timer, jiffies);
	do
		msleep(100);
	while (timer_pending(&timer));	/* on a processor that stands still for a while */
	del_timer_sync(&timer);
	destroy_timer_on_stack(&timer);
	spin_lock(&lock_irq);
	spin_unlock(&lock_irq);
}

static void rcu_unlocked(void)
{
	kept = rcu_dereference(rcu_pointer);
}

static void rcu_list_unlocked(void)
{
	struct { struct list_head link; } *entry;

	list_for_each_entry_rcu(entry, &rcu_list, link)
		kept = entry;
}

static void atomic_sleep(void)
{
	spin_lock(&lock_a);
	might_sleep();
	spin_unlock(&lock_a);
}

static void unpinned_cpu(void)
{
	shared = smp_processor_id();
}

/* --- objects that are freed while they are in use -------------------------------- */

static void nobody(struct timer_list *timer)
{
}

static void active_timer(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	timer_setup(timer, nobody, 0);
	mod_timer(timer, jiffies + 600 * HZ);
	kfree(timer);
}

static void nothing(struct work_struct *work)
{
}

static void active_work(void)
{
	struct work_struct *work = kzalloc(sizeof(*work), GFP_KERNEL);

	INIT_WORK(work, nothing);
	/* Its worker cannot run before it is freed. */
	preempt_disable();
	schedule_work_on(smp_processor_id(), work);
	kfree(work);
	preempt_enable();
}

static void rcu_freed(struct rcu_head *head)
{
}

static void rcu_twice(void)
{
	static struct rcu_head head;

	call_rcu(&head, rcu_freed);
	call_rcu(&head, rcu_freed);
	rcu_barrier();
}

static void active_counter(void)
{
	struct percpu_counter *counter = kzalloc(sizeof(*counter), GFP_KERNEL);

	if (!percpu_counter_init(counter, 0, GFP_KERNEL))
		kfree(counter);
}

/* --- hangs ----------------------------------------------------------------------- */

static void hang(void)
{
	schedule_timeout_uninterruptible(10 * HZ);
}

static void soft_lockup(void)
{
	unsigned long end = jiffies + 7 * HZ;

	preempt_disable();
	while (time_before(jiffies, end))
		cpu_relax();
	preempt_enable();
}

static void rcu_stall(void)
{
	unsigned long end = jiffies + 15 * HZ;

	rcu_read_lock();
	while (time_before(jiffies, end))
		cpu_relax();
	rcu_read_unlock();
}

/* --- races: each for two processes at a time --------------------------------------- */

static atomic_t comers;
static struct { spinlock_t lock; long state; long flag; } peer = {
	.lock = __SPIN_LOCK_UNLOCKED(peer.lock),
};

/* Returns when the other one of the pair is there, too: who begins seconds later races with nobody. */
static bool first_one(void)
{
	unsigned long end = jiffies + 60 * HZ;
	int number = atomic_inc_return(&comers);

	while (atomic_read(&comers) < round_up(number, 2) && time_before(jiffies, end))
		msleep(20);
	return number & 1;
}

#define for_seconds(n)	for (unsigned long _end = jiffies + (n) * HZ; time_before(jiffies, _end);)

static noinline void race(void)
{
	first_one();
	for_seconds(2) {
		shared++;
		barrier();
	}
}

/* One of the two forgets the lock. */
static noinline void race_with_lock(void)
{
	bool locks = first_one();

	for_seconds(2) {
		if (locks) {
			spin_lock(&peer.lock);
			peer.state++;
			spin_unlock(&peer.lock);
		} else if (peer.state == -1) {
			break;
		}
	}
}

/* One of the two is marked, and the value never changes: only the strict rules object. */
static noinline void race_with_marked(void)
{
	bool writes = first_one();

	for_seconds(2) {
		if (writes)
			peer.state = 1;
		else if (READ_ONCE(peer.state) == -1)
			break;
		barrier();
	}
}

/* A lock of one's own, whose release does or does not order what was written under it. */
static __always_inline void handmade_lock(bool ordered)
{
	int i;

	if (cmpxchg_acquire(&peer.flag, 0, 1))
		return;
	for (i = 0; i < 100; i++) {
		peer.state++;
		barrier();
	}
	if (ordered)
		smp_store_release(&peer.flag, 0);
	else
		WRITE_ONCE(peer.flag, 0);
	/* Here a write is still under way, for all that is known. */
	for (i = 0; i < 10; i++)
		WRITE_ONCE(kept, READ_ONCE(kept));
}

static noinline void missing_barrier(void)
{
	handmade_lock(false);
}

static noinline void right_barrier(void)
{
	handmade_lock(true);
}

static void race_with_missing_barrier(void)
{
	first_one();
	for_seconds(3)
		missing_barrier();
}

static void no_race_with_barrier(void)
{
	first_one();
	for_seconds(3)
		right_barrier();
}

/* One of the two frees what the other one reads. */
static noinline void race_with_free(void)
{
	static long *published;
	bool frees = first_one();
	long *p;

	for_seconds(2) {
		if (frees) {
			p = kzalloc(sizeof(*p), GFP_KERNEL);
			WRITE_ONCE(published, p);
			udelay(5);
			WRITE_ONCE(published, NULL);
			kfree(p);
		} else {
			p = READ_ONCE(published);
			if (p && *p == -1)
				break;
		}
	}
}

/* ------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*commit)(void);
} bugs[] = {
	{ "use-after-free", use_after_free },
	{ "double-free", double_free },
	{ "out-of-bounds", out_of_bounds },
	{ "vmalloc-bounds", vmalloc_bounds },
	{ "stack-bounds", stack_bounds },
	{ "leak", leak },
	{ "list", list_corruption },
	{ "refcount", refcount_underflow },
	{ "user-copy", user_copy },
	{ "shift", shift },
	{ "array-index", array_index },
	{ "bool", bad_bool },
	{ "lock-order", lock_order },
	{ "lock-in-irq", lock_in_irq },
	{ "rcu-unlocked", rcu_unlocked },
	{ "rcu-list-unlocked", rcu_list_unlocked },
	{ "atomic-sleep", atomic_sleep },
	{ "unpinned-cpu", unpinned_cpu },
	{ "active-timer", active_timer },
	{ "active-work", active_work },
	{ "rcu-twice", rcu_twice },
	{ "active-counter", active_counter },
	{ "hang", hang },
	{ "soft-lockup", soft_lockup },
	{ "rcu-stall", rcu_stall },
	{ "race", race },
	{ "race-with-lock", race_with_lock },
	{ "race-with-marked", race_with_marked },
	{ "race-with-missing-barrier", race_with_missing_barrier },
	{ "no-race-with-barrier", no_race_with_barrier },
	{ "race-with-free", race_with_free },
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
