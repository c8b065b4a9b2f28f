// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors that are installed already when their delivery fails behind them: they are closed
 * again, but for what another thread has made of their numbers meanwhile.
 */
#include "abi_fds.h"
#include "hook.h"

#define COUNT	3	/* descriptors that ride together */

/* What the fixture of abi_fds.h has, and a page that is to go in the middle of a delivery. */
static char *page;

/* A verb in a thread that stops once it has installed what came. */
struct held {
	int fd, ret;
	unsigned long cmd;
	void *args;
	pthread_t thread;
};

static void *held_main(void *arg)
{
	struct held *held = arg;

	held->ret = verb(held->fd, held->cmd, held->args);
	return NULL;
}

static int held_start(struct held *held, int fd, unsigned long cmd, void *args)
{
	*held = (struct held){ .fd = fd, .cmd = cmd, .args = args };
	return hook_arm("fds_installed") ?: -pthread_create(&held->thread, NULL, held_main, held);
}

static int held_join(struct held *held)
{
	pthread_join(held->thread, NULL);
	return held->ret;
}

/* The numbers that are of that pipe's writing end, but for @writer: how many. */
static int find_numbers(int writer, int *numbers, int max)
{
	int fd, n = 0;

	for (fd = 0; fd < 1100 && n < max; fd++) {
		if (fd != writer && same_file(fd, writer) &&
		    (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
			numbers[n++] = fd;
	}
	return n;
}

/* COUNT of the same pipe, on their way to the owner. */
static int send_some(FIXTURE_DATA(fds) *self)
{
	int fds[COUNT];

	fill_with(fds, COUNT, self->writer);
	return send_fds(self->caller, self->handle, fds, COUNT);
}

/* Begins to receive them into @page, and has installed them. */
static bool receives(FIXTURE_DATA(fds) *self, struct held *held, struct upcall_exchange *args,
		     int *numbers)
{
	page = pages_alloc(1);
	*args = EXCHANGE_ARGS(.events = ptr64(page), .events_len = PAGE, .max_calls = 1);
	return !send_some(self) && !held_start(held, self->owner, UPCALL_IOC_EXCHANGE, args) &&
	       hook_is_hit("fds_installed") && find_numbers(self->writer, numbers, COUNT) == COUNT;
}

/* Another pipe's reading end in the place of @number: another thread's business. */
static int occupy(int number)
{
	int reader = -1, writer = -1;

	if (pipe_new(&reader, &writer) || dup2(reader, number) != number)
		return -1;
	close(reader);
	return writer;
}

/* The call was put back with all that rides: it is received, and nothing else is left of it. */
static void expect_received(struct __test_metadata *_metadata, FIXTURE_DATA(fds) *self, int more)
{
	union any_event event;
	int i;

	EXPECT_EQ(COUNT, usage(self->owner).fds);
	EXPECT_EQ(self->open + more, open_fds());
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	ASSERT_EQ(COUNT, event.call.fd_count);
	for (i = 0; i < COUNT; i++) {
		EXPECT_TRUE(same_file(self->writer, fds_of(&event)[i]));
		EXPECT_EQ(0, close(fds_of(&event)[i]));
	}
	EXPECT_EQ(0, reply(self->owner, event.call.call, 0, NULL, 0));
	EXPECT_EQ(0, usage(self->owner).fds);
	EXPECT_EQ(self->open + more, open_fds());
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_F(fds, are_closed_again_when_their_numbers_cannot_be_written)
{
	struct upcall_exchange args;
	struct held held;
	int numbers[COUNT];

	ASSERT_TRUE(receives(self, &held, &args, numbers));
	EXPECT_EQ(self->open + COUNT, open_fds());
	ASSERT_EQ(0, munmap(page, PAGE));
	ASSERT_EQ(0, hook_resume("fds_installed"));
	EXPECT_EQ(-EFAULT, held_join(&held));
	expect_received(_metadata, self, 0);
}

TEST_F(fds, whose_numbers_another_thread_has_closed_or_used_are_left_alone)
{
	struct pollfd there = { .events = POLLIN };
	struct upcall_exchange args;
	struct held held;
	int numbers[COUNT], writer;
	char byte = 0;

	ASSERT_TRUE(receives(self, &held, &args, numbers));
	writer = occupy(numbers[0]);
	ASSERT_LE(0, writer);
	ASSERT_EQ(0, close(numbers[1]));
	ASSERT_EQ(0, munmap(page, PAGE));
	ASSERT_EQ(0, hook_resume("fds_installed"));
	EXPECT_EQ(-EFAULT, held_join(&held));
	/* What stands there now is open, and works. */
	there.fd = numbers[0];
	EXPECT_EQ(1, write(writer, "x", 1));
	EXPECT_EQ(1, poll(&there, 1, 0));
	EXPECT_EQ(1, read(numbers[0], &byte, 1));
	EXPECT_EQ('x', byte);
	EXPECT_EQ(-1, fcntl(numbers[1], F_GETFD));
	EXPECT_EQ(-1, fcntl(numbers[2], F_GETFD));
	expect_received(_metadata, self, 2);
}

TEST_F(fds, are_another_receivers_when_the_first_could_not_write_them)
{
	struct upcall_exchange args;
	struct held held;
	int numbers[COUNT];

	ASSERT_TRUE(receives(self, &held, &args, numbers));
	/* As long as it is under way nobody else gets it. */
	EXPECT_TRUE(no_event(self->owner));
	ASSERT_EQ(0, munmap(page, PAGE));
	ASSERT_EQ(0, hook_resume("fds_installed"));
	EXPECT_EQ(-EFAULT, held_join(&held));
	expect_received(_metadata, self, 0);
}

/* A reply with COUNT descriptors; the caller has installed them, and is held. */
static bool reply_is_collected(FIXTURE_DATA(fds) *self, struct held *held,
			       struct upcall_invoke *args, int *numbers)
{
	struct upcall_event_call call;
	int fds[COUNT];

	fill_with(fds, COUNT, self->writer);
	return !held_start(held, self->caller, UPCALL_IOC_INVOKE, args) &&
	       !one_call(self->owner, &call) &&
	       !reply_fds(self->owner, call.call, fds, COUNT, NULL) &&
	       hook_is_hit("fds_installed") && find_numbers(self->writer, numbers, COUNT) == COUNT;
}

TEST_F(fds, of_a_reply_are_closed_again_when_the_struct_cannot_be_written)
{
	struct upcall_invoke *args = (void *)pages_alloc(1);
	int numbers[COUNT], back[COUNT], writer;
	struct held held;

	*args = INVOKE_ARGS(self->handle, .reply_fds = ptr64(back), .reply_fd_room = COUNT);
	ASSERT_TRUE(reply_is_collected(self, &held, args, numbers));
	writer = occupy(numbers[1]);
	ASSERT_LE(0, writer);
	ASSERT_EQ(0, munmap(args, PAGE));
	ASSERT_EQ(0, hook_resume("fds_installed"));
	EXPECT_EQ(-EFAULT, held_join(&held));
	EXPECT_EQ(self->open + 2, open_fds());
	EXPECT_EQ(0, fcntl(numbers[1], F_GETFL) & O_ACCMODE);
	EXPECT_EQ(0, usage(self->owner).fds);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_F(fds, of_a_reply_are_closed_again_when_their_numbers_cannot_be_written)
{
	int *back = (int *)pages_alloc(1), numbers[COUNT];
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .reply_fds = ptr64(back),
						.reply_fd_room = COUNT);
	struct held held;

	ASSERT_TRUE(reply_is_collected(self, &held, &args, numbers));
	ASSERT_EQ(0, munmap(back, PAGE));
	ASSERT_EQ(0, hook_resume("fds_installed"));
	EXPECT_EQ(-EFAULT, held_join(&held));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, args.stage);
	EXPECT_EQ(0, args.reply_fd_count);
	EXPECT_EQ(self->open, open_fds());
	EXPECT_EQ(0, usage(self->owner).fds);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_HARNESS_MAIN
