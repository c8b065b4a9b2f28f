// SPDX-License-Identifier: GPL-2.0-only
/*
 * upcall by its library: on the caller's side, with the bare owner of the other rows; and on
 * the owner's, with their bare caller.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <upcall.h>
#include "../bench.h"
#include "../upcall.h"

static struct upcall_invoke invoke;
static struct upcall_call *by_library;
static uint64_t target, result;
static int fd;

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	fail(what);
}

static void setup(struct run *run)
{
	(void)run;
	close(peer_open());
}

static void serve_bare(struct run *run)
{
	*(uint64_t *)run->shared = callback_register(fd = peer_open(), 0);
	serving(run);
	owner_serve(fd);
}

static void connect_by_library(struct run *run)
{
	struct upcall_peer *peer;

	target = *(uint64_t *)run->shared;
	check(upcall_open(NULL, &peer), "upcall_open");
	check(upcall_call_new(peer, &by_library), "upcall_call_new");
}

static uint64_t call_by_library(struct run *run)
{
	uint64_t answered;

	check(upcall_call_invoke(by_library, target, 0, run->arg, run->size, UPCALL_NO_DEADLINE),
	      "upcall_call_invoke");
	memcpy(&answered, upcall_call_reply(by_library), sizeof(answered));
	return answered;
}

static int run_callback(struct upcall_incoming *incoming, void *user)
{
	uint64_t answered = answer(upcall_incoming_data(incoming), upcall_incoming_len(incoming));

	(void)user;
	check(upcall_return(incoming, &answered, sizeof(answered)), "upcall_return");
	return 0;
}

static void serve_by_library(struct run *run)
{
	struct upcall_callback *callback;
	struct upcall_peer *peer;

	check(upcall_open(NULL, &peer), "upcall_open");
	check(upcall_callback_new(peer, NULL, run_callback, NULL, NULL, &callback),
	      "upcall_callback_new");
	*(uint64_t *)run->shared = upcall_callback_handle(callback);
	serving(run);
	check(upcall_run(peer, 1), "upcall_run");
}

static void connect_bare(struct run *run)
{
	fd = peer_open();
	invoke = invoke_make(run, *(uint64_t *)run->shared, &result);
}

static uint64_t call_bare(struct run *run)
{
	(void)run;
	must(ioctl(fd, UPCALL_IOC_INVOKE, &invoke));
	return result;
}

const struct way way_library_caller = {
	.name = "library-caller", .setup = setup,
	.serve = serve_bare, .connect = connect_by_library, .call = call_by_library,
};

const struct way way_library_owner = {
	.name = "library-owner", .setup = setup,
	.serve = serve_by_library, .connect = connect_bare, .call = call_bare,
};
