// SPDX-License-Identifier: GPL-2.0-only
/*
 * A lot of everything leaves nothing behind, and no handle comes twice. UPCALL_ROUNDS=N in the
 * environment: N rounds of each worker instead of the usual number, as 'make churn' asks for.
 */
#include "kselftest_harness.h"
#include "puppet.h"
#include "stub.h"

#define WORKERS		4
#define WARM_UP		(5000 / UPCALL_SLOW)	/* of each worker, before memory is measured */
#define USUAL_ROUNDS	(25000 / UPCALL_SLOW)	/* of each worker */
#define LIMIT_S		3600	/* for a million rounds; the program has a limit of its own */
#define SLACK_KIB	8192	/* caches of the processors, other processes */

/* A number out of a file of /proc, by the word that its line begins with; -1: none. */
static long proc_number(const char *path, const char *word)
{
	char line[512];
	long value = -1;
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, word, strlen(word)))
			value = atol(line + strlen(word));
	}
	if (file)
		fclose(file);
	return value;
}

/* What grows if we leak: kernel objects, in KiB. */
static long slab_kib(void)
{
	return proc_number("/proc/meminfo", "Slab:");
}

/* What was freed last goes after grace periods of RCU, which may be many rounds behind. */
static bool slab_is_back(long before)
{
	if (eventually(slab_kib() < before + SLACK_KIB))
		return true;
	fprintf(stderr, "# %ld KiB in slabs, %ld before\n", slab_kib(), before);
	return false;
}

/* What is free and kept all the same, as KASAN does to find late uses, is let go first. */
static long calls_allocated(void)
{
	write_to("/sys/kernel/slab/upcall_call/shrink", "1");
	return proc_number("/proc/slabinfo", "upcall_call ");
}

static uint32_t rounds(void)
{
	const char *text = getenv("UPCALL_ROUNDS");

	return text ? strtoul(text, NULL, 0) : USUAL_ROUNDS;
}

FIXTURE(churn) {
	struct puppet workers[WORKERS];
	struct puppet server;
};

FIXTURE_SETUP(churn)
{
	int i;

	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->server = puppet_new();
	for (i = 0; i < WORKERS; i++)
		self->workers[i] = puppet_new();
}

FIXTURE_TEARDOWN(churn)
{
	int i;

	kill(self->server.pid, SIGKILL);
	for (i = 0; i < WORKERS; i++)
		kill(self->workers[i].pid, SIGKILL);
}

/* All workers do it at once; 0, or how many failed. */
static int all_do(FIXTURE_DATA(churn) *self, puppet_fn fn, uint64_t value)
{
	int i, wrong = 0, until;

	for (i = 0; i < WORKERS; i++) {
		self->workers[i].mem->value = value;
		puppet_start(&self->workers[i], fn);
	}
	for (i = 0; i < WORKERS; i++) {
		/* As long as it takes: the time limit is the test's. */
		for (until = rounds() / 1000 + 10; until && !puppet_done(&self->workers[i]); until--)
			poll(&(struct pollfd){ .fd = self->workers[i].sock, .events = POLLIN },
			     1, SOON_MS);
		wrong += puppet_wait(&self->workers[i]) != 0;
	}
	return wrong;
}

/* The handles that all workers got, by worker. */
static uint64_t *handles[WORKERS];

/* @mem->handle: which worker; @mem->caught: where it goes on in @handles. */
static int register_and_release(struct puppet_mem *mem)
{
	char buf[64] __attribute__((aligned(8)));
	uint32_t end = mem->caught + mem->value;
	uint64_t handle;

	for (; mem->caught < end; mem->caught++) {
		handle = register_new(my_peer, 0, UPCALL_ACCESS_ANYONE);
		if (!handle || release(my_peer, handle, 0))
			return -EIO;
		if (receive(my_peer, buf, sizeof(buf), 0, 0, NULL) ||
		    ((struct upcall_event *)buf)->type != UPCALL_EVENT_RELEASED)
			return -EPROTO;
		handles[mem->handle][mem->caught] = handle;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(uint64_t *)a, y = *(uint64_t *)b;

	return x < y ? -1 : x > y;
}

TEST_F_TIMEOUT(churn, of_callbacks_leaves_nothing_and_repeats_no_handle, LIMIT_S)
{
	uint32_t each = WARM_UP + rounds(), n = WORKERS * each, i, twice = 0;
	uint64_t *all = shared_alloc(n * sizeof(*all));
	long before;

	for (i = 0; i < WORKERS; i++)
		handles[i] = all + (size_t)i * each;
	for (i = 0; i < WORKERS; i++) {
		puppet_kill(&self->workers[i], SIGKILL);
		self->workers[i] = puppet_new();	/* which know @handles */
		self->workers[i].mem->handle = i;
	}
	ASSERT_EQ(0, all_do(self, register_and_release, WARM_UP));
	before = slab_kib();
	ASSERT_EQ(0, all_do(self, register_and_release, rounds()));
	EXPECT_TRUE(slab_is_back(before));

	qsort(all, n, sizeof(*all), by_value);
	EXPECT_LT(0, all[0]);
	EXPECT_GE(UPCALL_MAX_HANDLE, all[n - 1]);
	for (i = 1; i < n; i++)
		twice += all[i] == all[i - 1];
	EXPECT_EQ(0, twice);
	EXPECT_EQ(0, listed_user(my_peer, 0, 0).callbacks);
}

/* Each stub is called through, and half of them are closed with the call queued. */
static int export_and_close(struct puppet_mem *mem)
{
	uint64_t handle = register_new(my_peer, 0, UPCALL_ACCESS_STUB_ONLY);
	struct upcall_event_call call;
	union any_event event;
	uint32_t i;
	int stub;

	for (i = 0; i < mem->value; i++) {
		stub = export_stub(my_peer, handle);
		if (stub < 0 || stub_notify(stub))
			return -EIO;
		if (i % 2)
			close(stub);
		if (next_call(my_peer, &call) || reply(my_peer, call.call, 0, NULL, 0))
			return -EPROTO;
		if (!(i % 2))
			close(stub);
	}
	if (release(my_peer, handle, 0))
		return -EIO;
	return next_event(my_peer, &event) == UPCALL_EVENT_RELEASED ? 0 : -EPROTO;
}

TEST_F_TIMEOUT(churn, of_stubs_leaves_nothing, LIMIT_S)
{
	uint32_t n = rounds() == USUAL_ROUNDS ? USUAL_ROUNDS / 4 : rounds();
	long before;

	ASSERT_EQ(0, all_do(self, export_and_close, WARM_UP / 4));
	before = slab_kib();
	ASSERT_EQ(0, all_do(self, export_and_close, n));
	EXPECT_TRUE(slab_is_back(before));
}

/* Replies to all, and to each with its own argument. */
static int serve(struct puppet_mem *mem)
{
	char *payload;

	while (do_receive(mem) == UPCALL_EVENT_CALL) {
		payload = (char *)&mem->event + mem->event.call.payload_offset;
		if (reply(my_peer, mem->event.call.call, mem->event.call.op, payload,
			  mem->event.call.payload_len))
			return -EIO;
	}
	return 0;
}

/* @mem->handle: which callback. Every call is answered with what it said. */
static int call_and_compare(struct puppet_mem *mem)
{
	uint32_t arg[100], got[100] = { 0 }, n = mem->value, i;

	for (i = 0; i < n; i++) {
		memset(arg, i, sizeof(arg));
		mem->inv = INVOKE_ARGS(mem->handle, .op = i, .arg = ptr64(arg),
				       .arg_len = i % sizeof(arg), .reply = ptr64(got),
				       .reply_room = sizeof(got), .reply_max = sizeof(got));
		if (do_invoke(mem))
			return -EIO;
		if (mem->inv.status != i || mem->inv.reply_len != i % sizeof(arg) ||
		    memcmp(arg, got, mem->inv.reply_len))
			return -EBADMSG;
	}
	return 0;
}

TEST_F_TIMEOUT(churn, of_calls_leaves_nothing, LIMIT_S)
{
	uint64_t handle = puppet_register(&self->server, UPCALL_ACCESS_ANYONE);
	struct upcall_stat stat;
	long slab, calls;
	int i;

	for (i = 0; i < WORKERS; i++)
		self->workers[i].mem->handle = handle;
	puppet_start(&self->server, serve);
	ASSERT_EQ(0, all_do(self, call_and_compare, WARM_UP));
	slab = slab_kib();
	calls = calls_allocated();
	TH_LOG("%ld KiB in slabs, %ld calls", slab, calls);
	EXPECT_LE(0, calls);
	ASSERT_EQ(0, all_do(self, call_and_compare, rounds()));
	TH_LOG("%ld KiB in slabs, %ld calls", slab_kib(), calls_allocated());
	EXPECT_TRUE(slab_is_back(slab));
	EXPECT_GT(calls + 1000, calls_allocated());

	/* The owner's counts are shown to others by LIST. */
	EXPECT_EQ(WORKERS * (WARM_UP + rounds()), listed_callback(my_peer, handle).calls);
	EXPECT_EQ(0, listed_callback(my_peer, handle).queued);
	stat = stat_of(my_peer, handle);
	EXPECT_EQ(UPCALL_STATE_LIVE, stat.state);
	EXPECT_TRUE(eventually(!listed_user(my_peer, 0, 0).queued_calls));
}

TEST_HARNESS_MAIN
