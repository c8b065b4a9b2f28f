// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The loop of "upcall serve": one thread, one epoll.
 *
 *	events (signals, the peer, output of jobs) -> timers -> answer what ended -> take calls
 *
 * No call is taken that cannot run at once: what is too much stays in the kernel's
 * queue, where its caller can still take it back and knows that it was not delivered. The
 * peer is watched edge-triggered, because it stays readable while calls wait there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tool.h"

/**
 * struct server - All that runs
 * @options: What was asked for.
 * @peer: Owner of the callback.
 * @handle: The callback.
 * @epoll: Watches @signals, the peer, and the output of each job.
 * @signals: A signalfd.
 * @mask: What was blocked before, for COMMAND.
 * @jobs: What runs.
 * @running: How many those are.
 * @taken: Calls so far.
 * @child: The program that has a stub.
 * @childless: It has ended.
 * @closing: The handle is retired by us.
 * @leaving: We end; the handle stays, for a successor.
 * @released: Nothing about the handle follows.
 * @code: Exit code.
 */
struct server {
	const struct serve_options *options;
	struct upcall_peer *peer;
	uint64_t handle;
	int epoll;
	int signals;
	sigset_t mask;
	struct job *jobs;
	uint32_t running;
	uint64_t taken;
	struct child child;
	bool childless;
	bool closing;
	bool leaving;
	bool released;
	int code;
};

static const char *server_name(const struct server *server)
{
	return server->options->name ? server->options->name : "-";
}

static void watch(struct server *server, int fd, uint32_t events, void *what)
{
	struct epoll_event event = { .events = events, .data.ptr = what };

	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		tool_die(EXIT_LOCAL, "epoll_ctl: %s", strerror(errno));
}

/* What was ignored when we came, as under nohup(1), stays ignored. */
static void add_unless_ignored(sigset_t *set, int number)
{
	struct sigaction act;

	if (!sigaction(number, NULL, &act) && act.sa_handler != SIG_IGN)
		sigaddset(set, number);
}

static void server_init(struct server *server)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, normal = { .sa_handler = SIG_DFL };
	sigset_t set;

	sigemptyset(&set);
	add_unless_ignored(&set, SIGINT);
	add_unless_ignored(&set, SIGTERM);
	add_unless_ignored(&set, SIGHUP);
	sigaction(SIGCHLD, &normal, NULL);
	sigaddset(&set, SIGCHLD);
	sigaction(SIGPIPE, &ignore, NULL);
	sigprocmask(SIG_BLOCK, &set, &server->mask);
	server->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->signals < 0 || server->epoll < 0)
		tool_die(EXIT_LOCAL, "signalfd, epoll: %s", strerror(errno));
	watch(server, server->signals, EPOLLIN, &server->signals);
	watch(server, upcall_fd(server->peer), EPOLLIN | EPOLLET, &server->peer);
}

/* Take nothing more: the name first, so that nobody finds a handle that is dead. */
static void server_close(struct server *server)
{
	if (server->closing)
		return;
	server->closing = true;
	if (server->options->name)
		upcall_withdraw(server->peer, server->options->name, server->handle);
	upcall_release(server->peer, server->handle, 0);
}

static void server_abort(struct server *server)
{
	server->code = EXIT_NO;
	if (!server->leaving)
		upcall_release(server->peer, server->handle, UPCALL_RELEASE_ABORT);
	child_signal(&server->child, SIGKILL);
	for (struct job *job = server->jobs; job; job = job->next) {
		if (job->kill_ns)
			job_kill(job);
		else
			job_stop(job, server->options->grace_ns);
	}
}

static void server_signals(struct server *server)
{
	struct signalfd_siginfo info;

	while (read(server->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (info.ssi_code == SI_USER)	/* a terminal's goes to the child, too */
			child_signal(&server->child, info.ssi_signo);
		if (server->closing || server->leaving)
			server_abort(server);
		else if (server->options->adoptable)
			server->leaving = true;
		else
			server_close(server);
	}
}

static void server_refuse(struct server *server, struct upcall_incoming *call, int err)
{
	tool_say("%s: call %" PRIu64 " of process %" PRIu32 " refused: %s: %s",
		 server_name(server), upcall_incoming_seq(call), upcall_incoming_pid(call),
		 text_escape(server->options->argv[0], SIZE_MAX).s, strerror(-err));
	upcall_refuse(call, -err);
	upcall_incoming_free(call);
}

/* A notification has no caller who could cancel it: its deadline is ours to keep. */
static uint64_t stop_time(const struct upcall_incoming *call)
{
	uint64_t deadline = upcall_incoming_deadline(call);

	return upcall_incoming_oneway(call) && deadline != UPCALL_NO_DEADLINE ? deadline : 0;
}

static void server_take(struct server *server, struct upcall_incoming *call)
{
	const struct serve_options *options = server->options;
	uint32_t accepted = upcall_incoming_reply_max(call);
	struct job_plan plan = {
		.argv = options->argv,
		.input = upcall_incoming_data(call),
		.input_len = upcall_incoming_len(call),
		.output_limit = accepted < options->max_reply ? accepted : options->max_reply,
		.capture = !upcall_incoming_oneway(call),
		.signals = server->mask,
	};
	struct job *job = calloc(1, sizeof(*job));
	int err = -ENOMEM;

	server->taken++;
	environment_set(options, server->handle, call);
	if (job)
		err = job_start(job, &plan);
	if (err) {
		free(job);
		server_refuse(server, call, err);
		return;
	}
	job->incoming = call;
	job->stop_ns = stop_time(call);
	job->next = server->jobs;
	server->jobs = job;
	server->running++;
	if (job->out >= 0)
		watch(server, job->out, EPOLLIN, job);
}

static void server_cancel(struct server *server, const struct upcall_incoming *cancel)
{
	for (struct job *job = server->jobs; job; job = job->next)
		if (upcall_incoming_id(job->incoming) == upcall_incoming_id(cancel))
			job_stop(job, server->options->grace_ns);
}

static void server_released(struct server *server)
{
	server->released = true;
	if (server->closing)
		return;
	tool_say("%s: the handle was revoked", server_name(server));
	server->code = EXIT_NO;
	server_close(server);
	for (struct job *job = server->jobs; job; job = job->next)
		job_stop(job, server->options->grace_ns);
}

static void server_event(struct server *server, int type, struct upcall_incoming *incoming)
{
	switch (type) {
	case UPCALL_EVENT_CALL:
		server_take(server, incoming);
		return;
	case UPCALL_EVENT_CANCEL:
		server_cancel(server, incoming);
		break;
	case UPCALL_EVENT_RELEASED:
		if (upcall_incoming_handle(incoming) == server->handle)
			server_released(server);
		break;
	case UPCALL_EVENT_UNREFERENCED:
		tool_say("%s: the last stub was closed", server_name(server));
		break;
	}
	upcall_incoming_free(incoming);
}

static uint32_t server_room(const struct server *server)
{
	const struct serve_options *options = server->options;
	uint32_t room = server->leaving ? 0 : options->jobs - server->running;

	if (options->calls && options->calls - server->taken < room)
		room = options->calls - server->taken;
	return room;
}

static void server_receive(struct server *server)
{
	struct upcall_incoming *incoming;
	int type;

	for (;;) {
		upcall_set_batch(server->peer, server_room(server) ? 1 : 0);
		type = upcall_next(server->peer, UPCALL_NO_WAIT, &incoming);
		if (type < 0)
			break;
		server_event(server, type, incoming);
	}
	/* EDQUOT: other servers of this user owe too much; we try again after the next job */
	if (type != -EAGAIN && type != -EDQUOT)
		tool_die(EXIT_NO, "%s: %s (%s)", server_name(server), upcall_errname(type),
			 upcall_strerror(type));
	if (server->options->calls && server->taken >= server->options->calls)
		server_close(server);
}

/* What cannot be said with the bytes of COMMAND, in words, as far as the caller takes them */
static int reply_failure(struct upcall_incoming *call, const char *words)
{
	size_t len = strlen(words), room = upcall_incoming_reply_max(call);

	return upcall_reply(call, UPCALL_STATUS_RAISED, words, len < room ? len : room);
}

static void answer(struct job *job)
{
	struct upcall_incoming *call = job->incoming;
	struct text words;
	int err;

	if (job->written > job->limit) {
		/* The number first: a caller with little room gets that much of it */
		text_print(&words, "%s%" PRIu64 " bytes of output, %zu are accepted",
			   job->written > UPCALL_MAX_PAYLOAD ? "over " : "",
			   job->written > UPCALL_MAX_PAYLOAD ? UPCALL_MAX_PAYLOAD : job->written,
			   job->limit);
		err = reply_failure(call, words.s);
	} else if (job->err) {
		text_print(&words, "the output cannot be read: %s", strerror(-job->err));
		err = reply_failure(call, words.s);
	} else {
		err = upcall_reply(call, job->exit_code, job->output, job->used);
	}
	if (err < 0)
		tool_say("the reply to call %" PRIu64 " failed: %s (%s)", upcall_incoming_seq(call),
			 upcall_errname(err), upcall_strerror(err));
}

static void log_job(const struct server *server, const struct job *job)
{
	const struct upcall_incoming *call = job->incoming;

	tool_say("%s: call %" PRIu64 " of process %" PRIu32 ", uid %" PRId32 ", op %" PRIu32
		 ": %zu bytes in, %" PRIu64 " out, status %d, %s%s", server_name(server),
		 upcall_incoming_seq(call), upcall_incoming_pid(call),
		 (int32_t)upcall_incoming_uid(call), upcall_incoming_op(call),
		 upcall_incoming_len(call), job->written, job->exit_code,
		 text_age(text_now() - job->started_ns).s, job->kill_ns ? ", stopped" : "");
}

static void server_answer(struct server *server)
{
	struct job **at = &server->jobs, *job;

	while ((job = *at)) {
		if (!job_ended(job)) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		server->running--;
		answer(job);
		if (server->options->verbose)
			log_job(server, job);
		upcall_incoming_free(job->incoming);
		job_free(job);
	}
}

static void earlier(uint64_t *first, uint64_t time)
{
	if (time && (!*first || time < *first))
		*first = time;
}

/* Stop and kill what is due. Returns when the next one is, 0: never. */
static uint64_t server_timers(struct server *server)
{
	uint64_t now = text_now(), next = 0;

	for (struct job *job = server->jobs; job; job = job->next) {
		if (job->stop_ns && job->stop_ns <= now)
			job_stop(job, server->options->grace_ns);
		if (job->kill_ns && job->kill_ns <= now && !job->killed)
			job_kill(job);
		earlier(&next, job->stop_ns);
		if (!job->killed)
			earlier(&next, job->kill_ns);
	}
	return next;
}

static int timeout_until(uint64_t time)
{
	uint64_t now = text_now();

	if (!time)
		return -1;
	if (time <= now)
		return 0;
	return (time - now) / 1000000 < INT32_MAX ? (int)((time - now) / 1000000 + 1) : INT32_MAX;
}

static void server_wait(struct server *server, int timeout)
{
	struct epoll_event events[64];
	int count = epoll_wait(server->epoll, events, 64, timeout);

	for (int i = 0; i < count; i++) {
		void *what = events[i].data.ptr;

		if (what == &server->signals)
			server_signals(server);
		else if (what != &server->peer)
			job_read(what);
	}
}

static bool nothing_waits(const struct server *server)
{
	struct upcall_stat stat;

	return upcall_stat(server->peer, server->handle, &stat, sizeof(stat)) || !stat.queued;
}

/* What it was all for has ended; what it sent as its last is still to be run. */
static void server_child(struct server *server)
{
	if (child_ended(&server->child)) {
		server->childless = true;
		if (!server->code)
			server->code = server->child.exit_code;
		server_receive(server);	/* that its stub is closed, too */
	}
	if (server->childless && nothing_waits(server))
		server_close(server);
}

static bool server_goes_on(const struct server *server)
{
	if (server->jobs || server->child.pid)
		return true;
	return !server->released && !server->leaving;
}

/**
 * server_run() - Serve until a signal, the last call, or the end of the handle
 * @options: What to do.
 * @peer: Owner of the callback; closed on return, but for a successor.
 * @handle: Registered, and published if it has a name.
 *
 * Return: the exit code.
 */
int server_run(const struct serve_options *options, struct upcall_peer *peer, uint64_t handle)
{
	struct server server = {
		.options = options, .peer = peer, .handle = handle, .child.command = options->exec,
	};
	uint64_t next;

	server_init(&server);
	tool_say("serving %s as handle 0x%" PRIx64 " (pid %d)", server_name(&server), handle,
		 (int)getpid());
	if (options->exec)
		child_start(&server.child, peer, handle, &server.mask);
	while (server_receive(&server), server_goes_on(&server)) {
		next = server_timers(&server);
		server_wait(&server, timeout_until(next));
		server_answer(&server);
		server_child(&server);
	}
	if (!server.leaving)
		upcall_close(peer);	/* else the exit leaves it to whoever has it, too */
	return server.code;
}
