// SPDX-License-Identifier: GPL-2.0-only
/* What is no verb of its own: open, poll, close, fork, exec, a stop, and who comes after it. */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include "faults.h"
#include "../selftests/puppet.h"

static void set_up_stub(const struct scenario *scenario)
{
	owner_new(scenario->flags);
	caller_new();
	w.stub = export_stub(w.owner, w.handle);
	must(w.stub >= 0);
}

/* Its number, or -errno: TRY() passes both. */
static int act_open(const struct scenario *scenario)
{
	int fd = TRY(({ int _fd = peer_open(); _fd < 0 ? -errno : _fd; }));

	(void)scenario;
	if (fd >= 0)
		must(!close(fd));
	return fd < 0 ? fd : 0;
}

static int watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	int epoll = epoll_create1(EPOLL_CLOEXEC), err;

	must(epoll >= 0);
	err = TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0);
	if (!err)
		must(epoll_wait(epoll, &event, 1, 0) == 1 && event.events & EPOLLOUT);
	close(epoll);
	return err;
}

static int act_epoll(const struct scenario *scenario)
{
	(void)scenario;
	return watch(w.caller);
}

static int act_epoll_stub(const struct scenario *scenario)
{
	(void)scenario;
	return watch(w.stub);
}

/* Where there is no memory to find out, it says that there is room. */
static int act_poll_stub(const struct scenario *scenario)
{
	struct pollfd pollfd = { .fd = w.stub, .events = POLLOUT };
	int err = TRY(poll(&pollfd, 1, 0) < 0 ? -errno : 0);

	(void)scenario;
	if (!err)
		must(pollfd.revents == POLLOUT);
	return err;
}

static void set_up_full_stub(const struct scenario *scenario)
{
	set_up_stub(scenario);
	while (!stub_notify(w.stub))
		;
	close(w.stub);
	w.stub = export_stub(w.owner, w.handle);
}

/* There is none. It may say otherwise for want of memory: then a call tells. */
static int act_poll_full(const struct scenario *scenario)
{
	struct pollfd pollfd = { .fd = w.stub, .events = POLLOUT };
	int err = TRY(poll(&pollfd, 1, 0) < 0 ? -errno : 0);

	(void)scenario;
	if (!err && !pollfd.revents)
		must(stub_notify(w.stub) == -EAGAIN);
	return err;
}

/* close(2) cannot fail. */
static int act_close_stub(const struct scenario *scenario)
{
	int err = TRY(close(w.stub) ? -errno : 0);
	union any_event event;

	(void)scenario;
	w.stub = -1;
	must(event_seen(w.owner, UPCALL_EVENT_RELEASED, &event));
	return err;
}

/* With a call under way on both sides. */
static void set_up_busy(const struct scenario *scenario)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .flags = UPCALL_INVOKE_NO_DEADLINE, .user_data = 5,
	};
	union any_event event;

	set_up_stub(scenario);
	cmd.target = w.handle;
	must(!command(w.caller, &cmd));
	must(event_seen(w.owner, UPCALL_EVENT_CALL, &event));
	must(!command(w.caller, &cmd));
}

static int act_close_owner(const struct scenario *scenario)
{
	int err = TRY(close(w.owner) ? -errno : 0);
	struct upcall_exchange out;
	union any_event event;
	uint32_t results = 0;

	(void)scenario;
	w.owner = -1;
	while (results < 2 && !receive(w.caller, &event, sizeof(event), 0, 0, &out))
		results += out.event_count;
	must(results == 2);
	return err;
}

static int act_close_caller(const struct scenario *scenario)
{
	int err = TRY(close(w.caller) ? -errno : 0);
	union any_event event;

	(void)scenario;
	w.caller = -1;
	must(event_seen(w.owner, UPCALL_EVENT_CANCEL, &event));
	return err;
}

/* --- processes --------------------------------------------------------------------- */

/* The child has what its parent has, and goes. */
static int act_fork(const struct scenario *scenario)
{
	pid_t pid = TRY(({
		pid_t _pid = syscall(SYS_fork);

		if (!_pid)
			_exit(0);
		_pid < 0 ? -errno : _pid;
	}));

	(void)scenario;
	if (pid > 0)
		must(reap(pid) >= 0);
	must(stat_of(w.owner, w.handle).state == UPCALL_STATE_LIVE);
	return pid < 0 ? pid : 0;
}

/* If it returns, nothing of this process has changed. Why it failed is not ours to judge. */
static int act_exec(const struct scenario *scenario)
{
	int err = TRY(execl("/proc/self/exe", "faults", AFTER_EXEC, NULL) ? -errno : 0);

	(void)scenario;
	must(stat_of(w.owner, w.handle).state == UPCALL_STATE_LIVE);
	return err;
}

static int again_exec(const struct scenario *scenario, int err)
{
	(void)scenario;
	(void)err;
	return 0;
}

/* Nobody's yet, or ours by now. */
static int act_adopt(const struct scenario *scenario)
{
	struct upcall_adopt args = { .size = sizeof(args) };
	int err = TRY(verb(w.owner, UPCALL_IOC_ADOPT, &args));

	(void)scenario;
	if (!err)
		must(args.callbacks == 1);
	return err;
}

static int again_adopt(const struct scenario *scenario, int err)
{
	int again = act_adopt(scenario);

	return err == -EFAULT && again == -EBUSY ? 0 : again;
}

/* --- a wait that is interrupted ---------------------------------------------------- */

static struct stop {
	pid_t pid;
	bool delivered, over;
} *stop;

/* Another process: who is stopped cannot go on by itself. It ends with its parent. */
static int stop_and_go_on(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stop->delivered, __ATOMIC_ACQUIRE))
		usleep(1000);
	if (!eventually(sleeps_in_ioctl(stop->pid)))
		return 1;
	kill(stop->pid, SIGSTOP);
	/* D: it was not told the id of its call, and waits on. */
	must(eventually(strchr("TD", task_state(stop->pid))));
	kill(stop->pid, SIGCONT);
	__atomic_store_n(&stop->over, true, __ATOMIC_RELEASE);
	return 0;
}

static void receive_and_reply(void)
{
	struct upcall_event_call call;
	union any_event event;

	if (receive(w.owner, &event, sizeof(event), 1, 0, NULL))
		return;
	call = event.call;
	__atomic_store_n(&stop->delivered, true, __ATOMIC_RELEASE);
	must(eventually(__atomic_load_n(&stop->over, __ATOMIC_ACQUIRE)));
	must(!reply(w.owner, call.call, 0, "answer", 6));
}

static void set_up_stop(const struct scenario *scenario)
{
	stop = shared_alloc(sizeof(*stop));
	stop->pid = getpid();
	set_up_stub(scenario);
	w.helper_pid = spawn(stop_and_go_on, NULL);
	when_asleep(receive_and_reply);
}

/*
 * A stop interrupts the wait, which is restarted by the id of the call. Or, where no id can be
 * had or told, it goes on, and the stop waits.
 */
static int act_stop(const struct scenario *scenario)
{
	char got[16];
	struct upcall_invoke args = INVOKE_ARGS(w.handle, .reply = ptr64(got),
		.reply_room = sizeof(got), .reply_max = sizeof(got));
	int err = TRY(verb(w.caller, UPCALL_IOC_INVOKE, &args));

	(void)scenario;
	if (!err)
		must(args.reply_len == 6 && !memcmp(got, "answer", 6));
	return err;
}

/* No second stop: it is the call that counts. */
static int again_stop(const struct scenario *scenario, int err)
{
	(void)err;
	kill(w.helper_pid, SIGKILL);
	__atomic_store_n(&stop->over, true, __ATOMIC_RELEASE);
	helper_stop();
	when_asleep(receive_and_reply);
	return act_stop(scenario);
}

static void set_up_orphan(const struct scenario *scenario)
{
	(void)scenario;
	orphan_new();
}

#define STUB(name, act, ...) { name, set_up_stub, act, ##__VA_ARGS__ }

const struct scenario life_scenarios[] = {
	{ "open", NULL, act_open },
	STUB("epoll", act_epoll),
	STUB("epoll on a stub", act_epoll_stub),
	STUB("poll on a stub", act_poll_stub),
	{ "poll on a stub without room", set_up_full_stub, act_poll_full },
	STUB("close of the last stub", act_close_stub, .flags = UPCALL_REGISTER_AUTO_RELEASE,
	     .errors = { -1 }),
	{ "close of an owner", set_up_busy, act_close_owner, .errors = { -1 } },
	{ "close of a caller", set_up_busy, act_close_caller, .errors = { -1 } },
	STUB("fork", act_fork),
	STUB("exec", act_exec, again_exec, .may_die = true,
	     .errors = { ENOMEM, EFAULT, E2BIG, ENOENT, ENOEXEC }),
	{ "INVOKE that is stopped", set_up_stop, act_stop, again_stop },
	{ "ADOPT", set_up_orphan, act_adopt, again_adopt },
	{ }
};
