// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test build's delay points. A test speaks to them through the parameter "hook":
 *
 *	arm NAME TID	the next thread that reaches NAME stops there, once; TID 0: any thread
 *	resume NAME	who is stopped there goes on; ENOENT: nobody is (any more)
 *	clear		nothing is armed, and everybody goes on
 *
 * Read, it says "armed NAME TID" or "stopped NAME TID", one in a line. A thread is held
 * whatever signals it gets, SIGKILL as well, so that a test can end a process in the middle of
 * a step. Nobody is held for longer than HOOK_LIMIT, lest a test that fails hang the
 * machine; unloading the module waits for those who are, as it does for all of its code.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/processor.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/wait.h>
#include "hook.h"
#include "main.h"

#define HOOK_LIMIT	(60 * HZ)
#define HOOK_SPIN_LIMIT	(10 * HZ)	/* less than what RCU would call a stall */
#define HOOK_NAME	24U
#define HOOKS		32U

enum hook_state {
	HOOK_FREE,
	HOOK_ARMED,
	HOOK_STOPPED,
	HOOK_RESUMED,	/* its thread has not noticed yet, and will free it */
};

/**
 * struct hook - A point that is armed, or the one thread that stopped there
 * @state: Written under hook_lock; also read by the one who waits.
 * @name: Of the point. Protected by hook_lock, as @tid.
 * @tid: Who is to stop, 0: anybody; then, who did.
 */
struct hook {
	enum hook_state state;
	char name[HOOK_NAME];
	pid_t tid;
};

static DEFINE_SPINLOCK(hook_lock);
static DECLARE_WAIT_QUEUE_HEAD(hook_wait);
static struct hook hooks[HOOKS];
static unsigned int hooks_armed;

unsigned int upcall_hook_sequence_mask = ~0U;
module_param_named(sequence_mask, upcall_hook_sequence_mask, uint, 0644);
MODULE_PARM_DESC(sequence_mask, "Test build: bits of the sequence in the id of a call");

/* The one that is in a state; NULL for @name or 0 for @tid: any. */
static struct hook *hook_find_locked(enum hook_state state, const char *name, pid_t tid)
{
	unsigned int i;

	lockdep_assert_held(&hook_lock);
	for (i = 0; i < HOOKS; i++) {
		if (hooks[i].state != state || (name && strcmp(hooks[i].name, name)))
			continue;
		if (!tid || !hooks[i].tid || hooks[i].tid == tid)
			return &hooks[i];
	}
	return NULL;
}

/* The current thread's stop at a point, or NULL: it is not to stop. */
static struct hook *hook_stop(const char *name)
{
	struct hook *hook;

	spin_lock(&hook_lock);
	hook = hook_find_locked(HOOK_ARMED, name, task_pid_nr(current));
	if (hook) {
		hook->tid = task_pid_nr(current);
		WRITE_ONCE(hook->state, HOOK_STOPPED);
		WRITE_ONCE(hooks_armed, hooks_armed - 1);
	}
	spin_unlock(&hook_lock);
	return hook;
}

/**
 * upcall_hook_reach() - A thread is at a point
 * @name: Of the point.
 *
 * Context: Process context, may sleep, and not be killed meanwhile.
 */
void upcall_hook_reach(const char *name)
{
	struct hook *hook;

	might_sleep();
	if (!READ_ONCE(hooks_armed))
		return;
	hook = hook_stop(name);
	if (!hook)
		return;
	/* Idle: not killable, and nothing that the watch for hung tasks minds. */
	wait_event_idle_timeout(hook_wait, READ_ONCE(hook->state) == HOOK_RESUMED, HOOK_LIMIT);
	spin_lock(&hook_lock);
	WRITE_ONCE(hook->state, HOOK_FREE);
	spin_unlock(&hook_lock);
}

/**
 * upcall_hook_spin() - A thread is at a point where it cannot sleep
 * @name: Of the point.
 *
 * Context: Process context, perhaps under RCU, or a spinlock that the test does without meanwhile.
 */
void upcall_hook_spin(const char *name)
{
	unsigned long until = jiffies + HOOK_SPIN_LIMIT;
	struct hook *hook;

	if (!READ_ONCE(hooks_armed))
		return;
	hook = hook_stop(name);
	if (!hook)
		return;
	while (READ_ONCE(hook->state) != HOOK_RESUMED && time_before(jiffies, until))
		cpu_relax();
	spin_lock(&hook_lock);
	WRITE_ONCE(hook->state, HOOK_FREE);
	spin_unlock(&hook_lock);
}

static int hook_arm(const char *name, pid_t tid)
{
	struct hook *hook;

	spin_lock(&hook_lock);
	hook = hook_find_locked(HOOK_FREE, NULL, 0);
	if (hook) {
		strscpy(hook->name, name, sizeof(hook->name));
		hook->tid = tid;
		WRITE_ONCE(hook->state, HOOK_ARMED);
		WRITE_ONCE(hooks_armed, hooks_armed + 1);
	}
	spin_unlock(&hook_lock);
	return hook ? 0 : -ENOSPC;
}

static int hook_resume(const char *name)
{
	struct hook *hook;
	int err = -ENOENT;

	spin_lock(&hook_lock);
	while ((hook = hook_find_locked(HOOK_STOPPED, name, 0))) {
		WRITE_ONCE(hook->state, HOOK_RESUMED);
		err = 0;
	}
	spin_unlock(&hook_lock);
	wake_up_all(&hook_wait);
	return err;
}

static void hook_clear(void)
{
	struct hook *hook;

	spin_lock(&hook_lock);
	while ((hook = hook_find_locked(HOOK_ARMED, NULL, 0)))
		WRITE_ONCE(hook->state, HOOK_FREE);
	WRITE_ONCE(hooks_armed, 0);
	spin_unlock(&hook_lock);
	hook_resume(NULL);
}

static int hook_set(const char *text, const struct kernel_param *kp)
{
	char name[HOOK_NAME];
	pid_t tid;

	if (sscanf(text, "arm %23s %d", name, &tid) == 2)
		return hook_arm(name, tid);
	if (sscanf(text, "resume %23s", name) == 1)
		return hook_resume(name);
	if (!sysfs_streq(text, "clear"))
		return -EINVAL;
	hook_clear();
	return 0;
}

static int hook_get(char *text, const struct kernel_param *kp)
{
	unsigned int i;
	int len = 0;

	spin_lock(&hook_lock);
	for (i = 0; i < HOOKS; i++) {
		if (hooks[i].state == HOOK_ARMED || hooks[i].state == HOOK_STOPPED)
			len += sysfs_emit_at(text, len, "%s %s %d\n",
					     hooks[i].state == HOOK_ARMED ? "armed" : "stopped",
					     hooks[i].name, hooks[i].tid);
	}
	spin_unlock(&hook_lock);
	return len;
}

static const struct kernel_param_ops hook_ops = {
	.set = hook_set,
	.get = hook_get,
};

module_param_cb(hook, &hook_ops, NULL, 0600);
MODULE_PARM_DESC(hook, "Test build: where threads are to stop, and do");
