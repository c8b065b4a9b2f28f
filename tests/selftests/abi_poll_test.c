// SPDX-License-Identifier: GPL-2.0-only
/* poll(2) and epoll(7) on a peer: IN, OUT and HUP as the header says. */
#include "abi_test.h"
#include <sys/epoll.h>

static int poll_now(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, 0) < 0 ? -errno : pfd.revents;
}

static int receive_one(int fd)
{
	union any_event event;

	return one_event(fd, &event);
}

/* Waits @ms: the events, 0 if there are none. */
static uint32_t epoll_events(int ep, int ms)
{
	struct epoll_event event = { 0 };

	return epoll_wait(ep, &event, 1, ms) > 0 ? event.events : 0;
}

static int epoll_of(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) ? -1 : ep;
}

TEST(unbound_peer_may_send_and_has_nothing_to_receive)
{
	int fd = peer_open();

	EXPECT_EQ(POLLOUT, poll_now(fd, POLLIN | POLLOUT));
}

TEST_F(pair, polling_binds_nothing)
{
	int fd = peer_open();
	struct upcall_list_peer peers[8];

	EXPECT_EQ(POLLOUT, poll_now(fd, POLLOUT));
	/* the caller, by this very LIST, and the owner */
	EXPECT_EQ(2, list_all(self->caller, UPCALL_LIST_PEERS, peers, sizeof(peers[0]), 8));
}

TEST_F(pair, in_means_that_an_event_can_be_received)
{
	EXPECT_EQ(POLLOUT, poll_now(self->owner, POLLIN | POLLOUT));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(POLLIN | POLLOUT, poll_now(self->owner, POLLIN | POLLOUT));
	EXPECT_EQ(POLLOUT, poll_now(self->caller, POLLIN | POLLOUT));
	ASSERT_EQ(UPCALL_EVENT_CALL, receive_one(self->owner));
	EXPECT_EQ(POLLOUT, poll_now(self->owner, POLLIN | POLLOUT));
	ASSERT_EQ(0, release(self->owner, self->handle, UPCALL_RELEASE_ABORT));
	EXPECT_EQ(POLLOUT, poll_now(self->owner, POLLIN | POLLOUT));
}

TEST_F(pair, in_for_released)
{
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(POLLIN, poll_now(self->owner, POLLIN));
	ASSERT_EQ(UPCALL_EVENT_RELEASED, receive_one(self->owner));
	EXPECT_EQ(0, poll_now(self->owner, POLLIN));
}

TEST_F(pair, in_for_cancel)
{
	struct upcall_event_call call;
	struct async async;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, poll_now(self->owner, POLLIN));
	ASSERT_EQ(0, shut_down(self->caller));
	EXPECT_EQ(-ESHUTDOWN, async_join(&async));
	EXPECT_EQ(POLLIN, poll_now(self->owner, POLLIN));
	ASSERT_EQ(UPCALL_EVENT_CANCEL, receive_one(self->owner));
	EXPECT_EQ(0, poll_now(self->owner, POLLIN));
}

TEST_F(pair, call_that_was_taken_back_is_not_in_any_more)
{
	struct upcall_invoke args = INVOKE_ARGS(self->handle, .flags = 0);

	args.deadline_ns = in_ms(100);
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(0, poll_now(self->owner, POLLIN));
}

TEST_F(pair, hup_when_the_peer_has_ended_and_no_out)
{
	MODULE_ONLY("EPOLLOUT stays");

	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(POLLHUP, poll_now(self->owner, POLLOUT) & (POLLHUP | POLLOUT));
	EXPECT_EQ(POLLHUP, poll_now(self->owner, 0));
	EXPECT_EQ(POLLOUT, poll_now(self->caller, POLLOUT));
}

/* A thread that polls until something happens. */
struct poller {
	struct pollfd pfd;
	int ret;
	pthread_t thread;
};

static void *poller_main(void *arg)
{
	struct poller *poller = arg;

	poller->ret = poll(&poller->pfd, 1, SOON_MS);
	return NULL;
}

TEST_F(pair, poller_is_woken_by_a_call_and_by_the_end)
{
	struct poller in = { .pfd = { .fd = self->owner, .events = POLLIN } };
	struct poller hup = { .pfd = { .fd = self->owner } };

	ASSERT_EQ(0, pthread_create(&in.thread, NULL, poller_main, &in));
	ASSERT_EQ(0, pthread_create(&hup.thread, NULL, poller_main, &hup));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	pthread_join(in.thread, NULL);
	EXPECT_EQ(1, in.ret);
	EXPECT_EQ(POLLIN, in.pfd.revents);
	ASSERT_EQ(0, shut_down(self->owner));
	pthread_join(hup.thread, NULL);
	EXPECT_EQ(1, hup.ret);
	EXPECT_EQ(POLLHUP, hup.pfd.revents);
}

TEST_F(pair, level_triggered_epoll_repeats_itself)
{
	int ep = epoll_of(self->owner, EPOLLIN);

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, 0));
	ASSERT_EQ(UPCALL_EVENT_CALL, receive_one(self->owner));
	EXPECT_EQ(0, epoll_events(ep, 0));
}

TEST_F(pair, edge_triggered_epoll_tells_each_new_event)
{
	int ep = epoll_of(self->owner, EPOLLIN | EPOLLET), i;

	ASSERT_LE(0, ep);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
		EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
		EXPECT_EQ(0, epoll_events(ep, 0));
	}
	/* also one's own */
	ASSERT_EQ(0, notify(self->owner, self->handle, NULL, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
	ASSERT_EQ(0, release(self->owner, self->handle, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
	ASSERT_EQ(0, shut_down(self->owner));
	EXPECT_EQ(EPOLLHUP, epoll_events(ep, SOON_MS) & EPOLLHUP);
}

TEST_F(pair, edge_triggered_epoll_tells_of_events_that_were_put_back)
{
	union any_event event;
	int ep = epoll_of(self->owner, EPOLLIN | EPOLLET);

	MODULE_ONLY("no EFAULT");
	ASSERT_LE(0, ep);
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
	EXPECT_EQ(-EFAULT, receive(self->owner, NULL, sizeof(event), 1, 0, NULL));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
	EXPECT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
}

TEST_F(pair, oneshot_epoll_tells_once_until_it_is_armed_again)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	int ep = epoll_of(self->owner, EPOLLIN | EPOLLONESHOT);

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	EXPECT_EQ(0, epoll_events(ep, 0));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->owner, &event));
	EXPECT_EQ(EPOLLIN, epoll_events(ep, SOON_MS));
}

TEST_F(pair, closing_a_polled_peer_takes_it_out_of_epoll)
{
	int ep = epoll_of(self->owner, EPOLLIN);

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	close(self->owner);
	EXPECT_EQ(0, epoll_events(ep, 0));
	self->owner = peer_open();
	close(ep);
}

TEST_HARNESS_MAIN
