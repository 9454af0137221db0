/* SPDX-License-Identifier: BSD-2-Clause */
/* waiter.h - what the tests of waiters share: a source of each kind, what happens to it, and how it
 * is taken. */
#ifndef TESTS_UNIT_WAITER_H
#define TESTS_UNIT_WAITER_H

#include <tarn/waiter.h>

#include "prim.h"

enum { LONG_NS = 2000000000 };

static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_latest *latest;
static struct tarn_ring *producer, *consumer;
static struct tarn_event *manual, *automatic;
static struct tarn_waiter *waiter;
static uint64_t seen;

static const struct tarn_topic_opts topic_opts = { .lane_size = 4096 };
static const struct tarn_latest_opts latest_opts = { .size = 8 };
static const struct tarn_ring_opts ring_opts = { .capacity = 256 };
static const struct tarn_event_opts manual_opts = { .flags = 0 };
static const struct tarn_event_opts auto_opts = { .flags = TARN_EVENT_AUTO };

static inline int make_sources(void **state)
{
	seen = 0;
	if (make_region(state) < 0 ||
	    tarn_publisher_open(region, "news", &topic_opts, &publisher) < 0 ||
	    tarn_subscriber_open(region, "news", &topic_opts, &subscriber) < 0 ||
	    tarn_latest_open(region, "state", &latest_opts, &latest) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &ring_opts, &producer) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_CONSUMER, &ring_opts, &consumer) < 0 ||
	    tarn_event_open(region, "manual", &manual_opts, &manual) < 0 ||
	    tarn_event_open(region, "auto", &auto_opts, &automatic) < 0)
		return -1;
	return tarn_waiter_open(NULL, &waiter);
}

static inline void add_all(void)
{
	assert_int_equal(tarn_waiter_add_subscriber(waiter, subscriber, NULL), 0);
	assert_int_equal(tarn_waiter_add_latest(waiter, latest, &seen, NULL), 0);
	assert_int_equal(tarn_waiter_add_ring(waiter, consumer, NULL), 0);
	assert_int_equal(tarn_waiter_add_event(waiter, manual, NULL), 0);
	assert_int_equal(tarn_waiter_add_event(waiter, automatic, NULL), 0);
}

static inline int drop_sources(void **state)
{
	tarn_waiter_close(waiter);
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	tarn_latest_close(latest);
	tarn_ring_close(producer);
	tarn_ring_close(consumer);
	tarn_event_close(manual);
	tarn_event_close(automatic);
	return drop_region(state);
}

/* --- what may happen, and how it is taken --------------------------------------------------- */

enum { NEWS, STATE, RECORD, SET, GO, KINDS };

static inline const void *handle_of(int kind)
{
	const void *const handles[KINDS] = { subscriber, latest, consumer, manual, automatic };

	return handles[kind];
}

static inline int happen(int kind)
{
	uint64_t value = 7;

	switch (kind) {
	case NEWS:
		return tarn_publisher_publish(publisher, &value, sizeof(value));
	case STATE:
		return tarn_latest_write(latest, &value, sizeof(value), TARN_FOREVER, NULL);
	case RECORD:
		return tarn_ring_push(producer, &value, sizeof(value));
	case SET:
		return tarn_event_set(manual);
	default:
		return tarn_event_set(automatic);
	}
}

static inline int consume(int kind)
{
	struct tarn_message message;
	uint64_t value;
	size_t size;

	switch (kind) {
	case NEWS:
		return tarn_subscriber_take(subscriber, &value, sizeof(value), &message);
	case STATE:
		return tarn_latest_read(latest, &value, sizeof(value), &size, &seen);
	case RECORD:
		return tarn_ring_pop(consumer, &value, sizeof(value), &size);
	case SET:
		return tarn_event_reset(manual);
	default:
		return tarn_event_try(automatic);
	}
}

/* What is ready, one of them; NULL: nothing. */
static inline const void *wait_for_one(int64_t deadline)
{
	void *tag = NULL;
	size_t count;
	int r = tarn_waiter_wait(waiter, deadline, &tag, 1, &count);

	assert_true(r == 0 || r == -ETIMEDOUT);
	assert_int_equal(count, r == 0);
	return tag;
}

/* A process of its own makes it happen, once the waiter may well sleep. */
static inline pid_t soon(int kind)
{
	pid_t pid = fork();

	if (pid == 0) {
		tarn_publisher_close(publisher);
		pause_us(kind * 700);
		if (kind == NEWS &&
		    tarn_publisher_open(region, "news", &topic_opts, &publisher) < 0)
			_exit(1);
		_exit(happen(kind) == 0 ? 0 : 2);
	}
	return pid;
}

static inline void ended_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#endif /* TESTS_UNIT_WAITER_H */
