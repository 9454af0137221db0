/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_waiter.c - a topic whose subscriber waits by a waiter, which an event belongs to as well, or
 * by the waiter's descriptor in epoll.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "contestants.h"
#include "tarn_region.h"

enum { LANE = 16 << 10, BESIDE = 64 << 10 };

/* By channel. */
static struct side {
	struct tarn_publisher *publisher;
	struct tarn_subscriber *subscriber;
	struct tarn_event *event;
	struct tarn_waiter *waiter;
	int loop; /* epoll; 0: none */
} sides[BENCH_SIDES_MAX];

static uint64_t lane_of(const struct bench *b)
{
	uint64_t size = LANE;

	while (size < 4 * ((uint64_t)b->cell->size + 64))
		size *= 2;
	return size;
}

static void waiter_open(struct bench *b)
{
	tarn_region_make(b, bench_channels(b) * (lane_of(b) + BESIDE));
}

static void attach_receiver(struct bench *b, struct tarn_region *region, const char *name,
			    struct side *side)
{
	const struct tarn_event_opts event_opts = { .flags = 0 };
	const struct tarn_topic_opts opts = { .flags = 0 };
	char event[32];

	snprintf(event, sizeof(event), "%s.stop", name);
	tarn_must(b, "tarn_subscriber_open",
		  tarn_subscriber_open(region, name, &opts, &side->subscriber));
	tarn_must(b, "tarn_event_open", tarn_event_open(region, event, &event_opts, &side->event));
	tarn_must(b, "tarn_waiter_open", tarn_waiter_open(NULL, &side->waiter));
	tarn_must(b, "tarn_waiter_add_subscriber",
		  tarn_waiter_add_subscriber(side->waiter, side->subscriber, NULL));
	tarn_must(b, "tarn_waiter_add_event",
		  tarn_waiter_add_event(side->waiter, side->event, NULL));
}

static void waiter_attach(struct bench *b)
{
	const struct tarn_topic_opts opts = { .lane_size = lane_of(b),
					      .flags = TARN_TOPIC_NO_TIME };
	struct tarn_region *region = tarn_region_join(b);

	for (unsigned i = 0; i < bench_channels(b); i++) {
		char name[16];

		snprintf(name, sizeof(name), "topic%u", i);
		if (bench_receives(b, i))
			attach_receiver(b, region, name, &sides[i]);
		if (bench_sends(b, i))
			tarn_must(b, "tarn_publisher_open",
				  tarn_publisher_open(region, name, &opts, &sides[i].publisher));
	}
	for (unsigned i = 0; i < bench_channels(b); i++)
		if (sides[i].publisher != NULL)
			tarn_must(b, "tarn_publisher_wait_subscribers",
				  tarn_publisher_wait_subscribers(sides[i].publisher, 1,
								  TARN_FOREVER));
}

static void epoll_attach(struct bench *b)
{
	waiter_attach(b);
	for (unsigned i = 0; i < bench_channels(b); i++) {
		struct epoll_event event = { .events = EPOLLIN };
		int fd;

		if (sides[i].waiter == NULL)
			continue;
		tarn_must(b, "tarn_waiter_fd", tarn_waiter_fd(sides[i].waiter, &fd));
		sides[i].loop = epoll_create1(EPOLL_CLOEXEC);
		if (sides[i].loop < 0 || epoll_ctl(sides[i].loop, EPOLL_CTL_ADD, fd, &event) < 0)
			bench_fail(b, "epoll", errno);
	}
}

static void waiter_detach(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++) {
		if (sides[i].loop > 0)
			close(sides[i].loop);
		tarn_waiter_close(sides[i].waiter);
		tarn_event_close(sides[i].event);
		tarn_publisher_close(sides[i].publisher);
		tarn_subscriber_close(sides[i].subscriber);
	}
	tarn_region_leave();
}

BENCH_INLINE void publish(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	tarn_must(b, "tarn_publisher_publish_wait",
		  tarn_publisher_publish_wait(sides[channel].publisher,
					      bench_message(b, size, number), size, TARN_FOREVER));
}

/* What is there; false: nothing. */
BENCH_INLINE bool take(struct bench *b, struct side *side, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);
	struct tarn_message message;
	int r = tarn_subscriber_take(side->subscriber, to, size, &message);

	if (r == -EAGAIN)
		return false;
	tarn_must(b, "tarn_subscriber_take", r);
	if (__builtin_expect(message.size != size, 0))
		bench_fail(b, "a message of another size", EBADMSG);
	bench_check(b, to, size, number);
	return true;
}

BENCH_INLINE void wait_take(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct side *side = &sides[channel];
	size_t count;
	void *tag;

	do {
		tarn_must(b, "tarn_waiter_wait",
			  tarn_waiter_wait(side->waiter, TARN_FOREVER, &tag, 1, &count));
	} while (!take(b, side, size, number));
}

BENCH_LOOPS(wait_run, publish, wait_take)

/* As an event loop: sleep, ask what is ready, and take it. */
BENCH_INLINE void poll_take(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct side *side = &sides[channel];
	struct epoll_event event;
	size_t count;
	void *tag;
	int r;

	for (;;) {
		r = tarn_waiter_wait(side->waiter, 0, &tag, 1, &count);
		if (r == 0 && take(b, side, size, number))
			return;
		if (r != -ETIMEDOUT)
			tarn_must(b, "tarn_waiter_wait", r);
		else if (epoll_wait(side->loop, &event, 1, -1) < 0 && errno != EINTR)
			bench_fail(b, "epoll_wait", errno);
	}
}

BENCH_LOOPS(poll_run, publish, poll_take)

#define SLEEPS (BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_WAKE_UP))

static const struct bench_variant wait_variants[] = {
	{ BENCH_BLOCKING, SLEEPS, 0, BENCH_SIZE_MAX, wait_run },
	{ 0 },
};

static const struct bench_variant poll_variants[] = {
	{ BENCH_BLOCKING, SLEEPS, 0, BENCH_SIZE_MAX, poll_run },
	{ 0 },
};

const struct bench_contestant bench_tarn_waiter = {
	.name = "waiter",
	.group = BENCH_TARN,
	.what = "a topic and an event waited for at once (tarn/waiter.h)",
	.variants = wait_variants,
	.open = waiter_open,
	.attach = waiter_attach,
	.detach = waiter_detach,
	.pages = TARN_REGION_PAGES,
};

const struct bench_contestant bench_tarn_waiter_epoll = {
	.name = "waiter-epoll",
	.group = BENCH_TARN,
	.what = "the same by the waiter's descriptor, in epoll",
	.variants = poll_variants,
	.open = waiter_open,
	.attach = epoll_attach,
	.detach = waiter_detach,
	.pages = TARN_REGION_PAGES,
};
