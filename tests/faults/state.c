// SPDX-License-Identifier: GPL-2.0-only
/* What the states of the scenarios are made of. Nothing fails here: the server is another thread. */
#include "faults.h"
#include "../selftests/puppet.h"

/* An owner with a callback, whose max_queued_calls is returned. */
uint32_t owner_new(uint32_t flags)
{
	struct upcall_register args = REGISTER_ARGS(.cookie = COOKIE, .flags = flags);

	w.owner = peer_open();
	must(!verb(w.owner, UPCALL_IOC_REGISTER, &args));
	w.handle = args.handle;
	return args.max_queued_calls;
}

/* Bound, and known: nothing of that is left to the call that is to fail. */
void caller_new(void)
{
	w.caller = peer_open();
	must(stat_of(w.caller, w.handle).state == UPCALL_STATE_LIVE);
}

/* A uid that nobody else here has. The right to inject stays. */
void become_stranger(void)
{
	must(!prctl(PR_SET_SECUREBITS, 1 << 2));	/* no set-uid fixup of capabilities */
	must(!setresuid(1234, 1234, 1234));
}

void pipe_make(void)
{
	must(!pipe_new(&w.reader, &w.writer));
}

/* The next event within the time that tests give, and it is of that type. */
bool event_seen(int fd, uint32_t type, union any_event *event)
{
	return receive(fd, event, sizeof(*event), 1, 0, NULL) == 0 && event->event.type == type;
}

/* --- the server -------------------------------------------------------------------- */

static char taken[2 * MIB] __attribute__((aligned(8)));

/* The same bytes and the same descriptors, as far as the caller accepts them. */
static void answer(const struct upcall_event_call *call)
{
	const char *at = (const char *)call;
	uint32_t *fds = (uint32_t *)(at + call->fds_offset), i;
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_REPLY, .target = call->call,
		.data = ptr64(at + call->payload_offset),
		.data_len = call->payload_len < call->reply_max ? call->payload_len : call->reply_max,
	};

	if (call->flags & UPCALL_CALL_ONEWAY)
		cmd.data_len = 0;
	if (!cmd.data_len)
		cmd.data = 0;
	if (call->reply_fd_max >= call->fd_count && call->fd_count) {
		cmd.fds = ptr64(fds);
		cmd.fd_count = call->fd_count;
	}
	__atomic_add_fetch(&w.served, 1, __ATOMIC_RELEASE);
	command(w.owner, &cmd);
	for (i = 0; i < call->fd_count; i++)
		close(fds[i]);
}

static void *serve(void *unused)
{
	struct upcall_event_call *call = (struct upcall_event_call *)taken;
	struct upcall_exchange args;

	(void)unused;
	do {
		args = (struct upcall_exchange){
			.size = sizeof(args), .flags = UPCALL_EXCHANGE_NO_DEADLINE,
			.events = ptr64(taken), .events_len = sizeof(taken), .max_calls = 1,
		};
		if (verb(w.owner, UPCALL_IOC_EXCHANGE, &args))
			break;
		if (call->event.type == UPCALL_EVENT_CALL)
			answer(call);
	} while (true);
	return NULL;
}

/* Every call to the owner is answered from here on, with what it brings. */
void server_start(void)
{
	must(!pthread_create(&w.server, NULL, serve, NULL));
	w.serves = true;
}

void server_stop(void)
{
	if (!w.serves)
		return;
	w.serves = false;
	must(!shut_down(w.owner));
	pthread_join(w.server, NULL);
}

uint32_t served(void)
{
	return __atomic_load_n(&w.served, __ATOMIC_ACQUIRE);
}

/* --- a helper ---------------------------------------------------------------------- */

static pthread_t helper;
static void (*helper_fn)(void);
static bool helper_runs, helper_over;

static void *help(void *unused)
{
	(void)unused;
	/* Not eventually(): the call may have failed before it slept. */
	while (!sleeps_in_ioctl(getpid())) {
		if (__atomic_load_n(&helper_over, __ATOMIC_ACQUIRE))
			return NULL;
		usleep(1000);
	}
	helper_fn();
	return NULL;
}

/* @fn is called by another thread when this one sleeps in a call. */
void when_asleep(void (*fn)(void))
{
	helper_fn = fn;
	__atomic_store_n(&helper_over, false, __ATOMIC_RELEASE);
	must(!pthread_create(&helper, NULL, help, NULL));
	helper_runs = true;
}

void helper_stop(void)
{
	if (!helper_runs)
		return;
	helper_runs = false;
	__atomic_store_n(&helper_over, true, __ATOMIC_RELEASE);
	pthread_join(helper, NULL);
}

/* --- an orphan --------------------------------------------------------------------- */

static int register_and_die(void *unused)
{
	struct upcall_config config = {
		.size = sizeof(config), .flags = UPCALL_CONFIG_ADOPTABLE,
		.orphan_ns = UPCALL_MAX_ORPHAN_NS,
	};

	(void)unused;
	return verb(w.owner, UPCALL_IOC_CONFIG, &config) ||
	       !register_new(w.owner, COOKIE, UPCALL_ACCESS_SAME_USER);
}

/* w.owner is the peer of a process that has died, and has a callback. */
void orphan_new(void)
{
	w.owner = peer_open();
	must(reap(spawn(register_and_die, NULL)) == 0);
}
