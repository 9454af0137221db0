/* SPDX-License-Identifier: BSD-2-Clause */
/* Topic: the contract of topic.h line by line; who is slow, late, gone, dead; laps; damage. */
#include <stdio.h>
#include <stdlib.h>

#include <tarn/topic.h>
#include <tarn/type.h>

#include "prim.h"
#include "child.h"

#include "flow/topic.h"

static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static const struct tarn_topic_opts small = { .lane_size = 4096 };

static int make_topic_region(void **state)
{
	publisher = NULL;
	subscriber = NULL;
	return make_region(state);
}

static int drop_topic(void **state)
{
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	return drop_region(state);
}

static void open_publisher(void)
{
	publisher = NULL; /* the one before is closed */
	assert_int_equal(tarn_publisher_open(region, "news", &small, &publisher), 0);
}

static void open_subscriber(uint32_t how, uint32_t history)
{
	const struct tarn_topic_opts opts = { .flags = how, .history = history };

	subscriber = NULL; /* as above */
	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscriber), 0);
}

static int publish(uint64_t n)
{
	return tarn_publisher_publish(publisher, &n, sizeof(n));
}

/* The next message is value @n, with @number, after @missed. */
static void expect(uint64_t n, uint64_t number, uint64_t missed)
{
	struct tarn_message message;
	uint64_t got = 0;

	assert_int_equal(tarn_subscriber_take(subscriber, &got, sizeof(got), &message), 0);
	assert_int_equal(got, n);
	assert_int_equal(message.size, sizeof(got));
	assert_int_equal(message.number, number);
	assert_int_equal(message.missed, missed);
	assert_null(message.data);
}

static void expect_none(void)
{
	struct tarn_message message;
	char byte;

	assert_int_equal(tarn_subscriber_take(subscriber, &byte, 1, &message), -EAGAIN);
}

static void what_is_published_is_taken(void **state)
{
	struct tarn_publisher_stat stat;
	struct tarn_subscriber_stat seen;
	struct tarn_message message;
	int64_t before = tarn__plat_now();
	char buf[8];

	(void)state;
	open_subscriber(0, 0);
	expect_none();
	open_publisher();
	expect_none();
	assert_int_equal(tarn_publisher_publish(publisher, "", 0), 0);
	assert_int_equal(tarn_publisher_publish(publisher, "hello", 6), 0);
	assert_int_equal(tarn_subscriber_take(subscriber, NULL, 0, &message), 0);
	assert_int_equal(message.size, 0);
	assert_int_equal(message.number, 1);
	assert_int_equal(tarn_subscriber_take(subscriber, buf, 5, &message), -ENOBUFS);
	assert_int_equal(message.size, 6);
	assert_int_equal(tarn_subscriber_take(subscriber, buf, sizeof(buf), &message), 0);
	assert_string_equal(buf, "hello");
	assert_int_equal(message.number, 2);
	assert_int_equal(message.publisher, 0);
	assert_int_equal(message.member, region->id);
	assert_in_range(message.time_ns, before, tarn__plat_now());
	expect_none();
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.number, 2);
	assert_int_equal(stat.lane_size, 4096);
	assert_int_equal(stat.subscribers, 1);
	assert_int_equal(stat.publishers, 1);
	assert_int_equal(tarn_subscriber_stat(subscriber, &seen), 0);
	assert_int_equal(seen.taken, 2);
	assert_int_equal(seen.missed, 0);
	assert_int_equal(seen.publishers, 1);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static void bad_options_say_what(void **state)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_topic_opts opts = { .lane_size = 5000, .diag = &diag };
	char longest[TARN_OBJECT_NAME_MAX + 1];
	struct tarn_publisher_stat stat;
	char *big;

	(void)state;
	assert_int_equal(tarn_publisher_open(region, "news", &opts, &publisher), -EINVAL);
	assert_non_null(strstr(diag.what, "5000"));
	opts.lane_size = 0;
	opts.flags = 64;
	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscriber), -EINVAL);
	assert_non_null(strstr(diag.what, "0x40"));
	opts.flags = 0;
	opts.reserved[1] = 1;
	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscriber), -EINVAL);
	assert_int_equal(tarn_subscriber_open(region, "news", NULL, &subscriber), -ENOENT);
	opts.reserved[1] = 0;
	opts.flags = TARN_TOPIC_EXISTING | TARN_TOPIC_LOSSY;
	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscriber), -ENOENT);
	opts.flags = 0;
	assert_int_equal(tarn_publisher_open(region, "news", NULL, &publisher), -ENOENT);
	assert_int_equal(tarn_subscriber_open(region, "a:1", &small, &subscriber), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[TARN_TOPIC_NAME_MAX + 1] = '\0';
	opts.reserved[1] = 0;
	opts.lane_size = 4096;
	assert_int_equal(tarn_subscriber_open(region, longest, &opts, &subscriber), -EINVAL);
	longest[TARN_TOPIC_NAME_MAX] = '\0';
	assert_int_equal(tarn_publisher_open(region, longest, &opts, &publisher), 0);
	tarn_publisher_close(publisher);
	open_publisher();
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	big = calloc(1, stat.size_max + 1);
	assert_int_equal(tarn_publisher_publish(publisher, big, stat.size_max + 1), -EMSGSIZE);
	for (int i = 0; i < 20; i++)
		assert_int_equal(tarn_publisher_publish(publisher, big, stat.size_max), 0);
	free(big);
}

static void a_slow_lossless_one_holds_its_publisher_up(void **state)
{
	struct tarn_topic_blocker blocker;
	uint64_t sent = 0, got = 0;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	assert_int_equal(tarn_publisher_blocker(publisher, &blocker), -ENOENT);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 1000 && publish(sent) == 0; i++)
			sent++;
		assert_int_equal(publish(sent), -EAGAIN);
		assert_int_equal(tarn_publisher_blocker(publisher, &blocker), 0);
		assert_int_equal(blocker.subscriber, 0);
		assert_int_equal(blocker.pid, getpid());
		assert_int_equal(blocker.lossy, 0);
		assert_int_equal(tarn_publisher_publish_wait(publisher, &sent, sizeof(sent), 0),
				 -ETIMEDOUT);
		for (int i = 0; i < 20 && got < sent; i++, got++)
			expect(got, got + 1, 0);
	}
	while (got < sent) {
		expect(got, got + 1, 0);
		got++;
	}
	expect_none();
	assert_true(sent > 500);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static void a_lossy_one_is_told_what_it_missed(void **state)
{
	struct tarn_message message;
	uint64_t sent = 0, expected = 1, missed = 0, got;

	(void)state;
	open_publisher();
	assert_int_equal(publish(++sent), 0);
	expected = sent + 1;
	open_subscriber(0, 0); /* whose place it gets, and nothing else */
	tarn_subscriber_close(subscriber);
	open_subscriber(TARN_TOPIC_LOSSY, 0);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < round; i++)
			assert_int_equal(publish(++sent), 0);
		for (int i = 0; i < 30; i++) {
			int r = tarn_subscriber_take(subscriber, &got, sizeof(got), &message);

			if (r == -EAGAIN)
				break;
			assert_int_equal(r, 0);
			assert_int_equal(got, message.number);
			assert_int_equal(message.number, expected + message.missed);
			expected = message.number + 1;
			missed += message.missed;
		}
	}
	while (tarn_subscriber_take(subscriber, &got, sizeof(got), &message) == 0) {
		assert_int_equal(message.number, expected + message.missed);
		expected = message.number + 1;
		missed += message.missed;
	}
	assert_int_equal(expected, sent + 1);
	assert_true(missed > 1000);
}

static void the_latest_alone_is_the_latest(void **state)
{
	(void)state;
	open_publisher();
	open_subscriber(TARN_TOPIC_LATEST, 0);
	expect_none();
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(publish(n), 0);
	expect(3, 3, 2);
	expect_none();
	for (uint64_t n = 4; n <= 1000; n++)
		assert_int_equal(publish(n), 0);
	expect(1000, 1000, 996);
	expect_none();
}

static void who_comes_late_gets_history(void **state)
{
	(void)state;
	open_publisher();
	for (uint64_t n = 1; n <= 1000; n++)
		assert_int_equal(publish(n), 0);
	open_subscriber(0, 0);
	expect_none();
	tarn_subscriber_close(subscriber);
	open_subscriber(0, 3);
	for (uint64_t n = 998; n <= 1000; n++)
		expect(n, n, 0);
	expect_none();
	tarn_subscriber_close(subscriber);
	open_subscriber(TARN_TOPIC_LOSSY, UINT32_MAX);

	struct tarn_message message;
	uint64_t n = 0, count = 0;

	while (tarn_subscriber_take(subscriber, &n, sizeof(n), &message) == 0) {
		assert_int_equal(message.missed, 0);
		count++;
	}
	assert_int_equal(n, 1000);
	assert_in_range(count, 4096 / 64 / 2, 4096 / 64);
	tarn_publisher_close(publisher); /* and when the publisher is gone */
	publisher = NULL;
	tarn_subscriber_close(subscriber);
	open_subscriber(0, 1);
	expect(1000, 1000, 0);
	open_publisher(); /* who comes next goes on */
	assert_int_equal(publish(7), 0);
	expect(7, 1001, 0);
}

static void held_messages_stay(void **state)
{
	struct tarn_message held[5];
	struct tarn_topic_blocker blocker;
	uint64_t n = 0;

	(void)state;
	open_publisher();
	for (int lossy = 0; lossy < 2; lossy++) {
		uint64_t first = n;

		open_subscriber(lossy ? TARN_TOPIC_LOSSY : 0, 0);
		for (int i = 0; i < 5; i++) {
			assert_int_equal(publish(n++), 0);
			assert_int_equal(tarn_subscriber_hold(subscriber, &held[i]), 0);
		}
		for (int i = 0; i < 1000 && publish(n) == 0; i++)
			n++;
		assert_int_equal(publish(n), -EAGAIN);
		assert_int_equal(tarn_publisher_blocker(publisher, &blocker), 0);
		assert_int_equal(blocker.lossy, lossy);
		for (int i = 0; i < 5; i++)
			assert_int_equal(*(const uint64_t *)held[i].data, first + (uint64_t)i);
		/* from the middle: memory is free only before the first that is held */
		assert_int_equal(tarn_subscriber_release(subscriber, &held[2]), 0);
		assert_int_equal(tarn_subscriber_release(subscriber, &held[2]), -EINVAL);
		assert_int_equal(publish(n), -EAGAIN);
		assert_int_equal(tarn_subscriber_release(subscriber, &held[0]), 0);
		assert_int_equal(tarn_subscriber_release(subscriber, &held[4]), 0);
		assert_int_equal(*(const uint64_t *)held[1].data, first + 1);
		assert_int_equal(tarn_subscriber_release(subscriber, &held[1]), 0);
		assert_int_equal(tarn_subscriber_release(subscriber, &held[3]), 0);
		for (uint64_t seen = first + 5; seen < n; seen++)
			expect(seen, seen + 1, 0);
		expect_none();
		assert_int_equal(publish(n++), 0);
		tarn_subscriber_close(subscriber);
	}
	subscriber = NULL;
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static void a_loan_is_filled_in_place(void **state)
{
	struct tarn_message message;
	void *data;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	assert_int_equal(tarn_publisher_commit(publisher, 1), -EINVAL);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(tarn_publisher_loan(publisher, 100, &data), 0);
		assert_int_equal((uintptr_t)data % 32, 0);
		memset(data, i, 100);
		if (i % 3 == 0) {
			tarn_publisher_abort(publisher);
			assert_int_equal(tarn_publisher_commit(publisher, 1), -EINVAL);
			continue;
		}
		expect_none();
		assert_int_equal(tarn_publisher_commit(publisher, 101), -EMSGSIZE);
		assert_int_equal(tarn_publisher_commit(publisher, (size_t)i % 100), 0);
		assert_int_equal(tarn_subscriber_hold(subscriber, &message), 0);
		assert_int_equal(message.size, i % 100);
		for (size_t k = 0; k < message.size; k++)
			assert_int_equal(((const unsigned char *)message.data)[k],
					 (unsigned char)i);
		assert_int_equal(tarn_subscriber_release(subscriber, &message), 0);
	}
}

/* Its publisher was about to write over all of it, and left. */
static void a_lane_that_is_empty_keeps_its_numbers(void **state)
{
	static const unsigned char bytes[1024];
	struct tarn_publisher_stat stat;
	void *data;

	(void)state;
	open_publisher();
	for (int i = 0; i < 2; i++)
		assert_int_equal(tarn_publisher_publish(publisher, bytes, sizeof(bytes)), 0);
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(tarn_publisher_loan(publisher, stat.size_max, &data), 0);
	tarn_publisher_close(publisher);
	open_publisher();
	assert_true(publisher->oldest == publisher->pos);
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.number, 2);
	open_subscriber(0, UINT32_MAX);
	expect_none();
	assert_int_equal(publish(7), 0);
	expect(7, 3, 0);
}

/* Three of them fill the lane, and the fourth is behind a skip: it is not lost with that. */
static void what_lies_behind_a_skip_is_kept(void **state)
{
	static unsigned char bytes[1200];
	struct tarn_message message;

	(void)state;
	open_publisher();
	for (int i = 0; i < 6; i++)
		assert_int_equal(tarn_publisher_publish(publisher, bytes, sizeof(bytes)), 0);
	open_subscriber(0, UINT32_MAX);
	for (uint64_t n = 4; n <= 6; n++) {
		assert_int_equal(tarn_subscriber_take(subscriber, bytes, sizeof(bytes), &message),
				 0);
		assert_int_equal(message.number, n);
	}
	expect_none();
}

/* A loan that skipped, and is dropped: history is what it was. */
static void a_dropped_loan_costs_no_history(void **state)
{
	static unsigned char bytes[1200];
	struct tarn_message message;
	void *data;
	uint64_t n;

	(void)state;
	open_publisher();
	for (int i = 0; i < 3; i++)
		assert_int_equal(tarn_publisher_publish(publisher, bytes, sizeof(bytes)), 0);
	assert_int_equal(tarn_publisher_loan(publisher, sizeof(bytes), &data), 0);
	tarn_publisher_abort(publisher);
	for (int i = 0; i < 6; i++)
		assert_int_equal(publish(1), 0);
	open_subscriber(0, UINT32_MAX);
	for (n = 3; n < 9; n++) /* the loan had asked for what the first two took */
		if (tarn_subscriber_take(subscriber, bytes, sizeof(bytes), &message) != 0 ||
		    message.number != n)
			break;
	assert_int_equal(n, 9);
}

static uint64_t seed = 1;

static uint32_t random_below(uint32_t end)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % end;
}

static size_t written[4096]; /* sizes, by number */

static void check_message(const unsigned char *bytes, const struct tarn_message *message)
{
	assert_int_equal(message->size, written[message->number % 4096]);
	for (size_t k = 0; k < message->size; k++)
		assert_int_equal(bytes[k], (unsigned char)(0x80 | message->number));
}

/* One way or another of several to publish. How many were. */
static uint64_t publish_some(uint64_t next, uint32_t max)
{
	unsigned char bytes[4][2048];
	struct tarn_buf bufs[4];
	size_t count = 1;
	void *data;
	int r;

	for (unsigned i = 0; i < 4; i++) {
		bufs[i] = (struct tarn_buf){ bytes[i], random_below(max + 1) };
		memset(bytes[i], (int)(0x80 | (next + i)), bufs[i].size);
		written[(next + i) % 4096] = bufs[i].size;
	}
	switch (random_below(4)) {
	case 0:
		r = tarn_publisher_publish_batch(publisher, bufs, 4, &count);
		break;
	case 1:
		r = tarn_publisher_loan(publisher, max, &data);
		if (r == 0) {
			memset(data, 0xff, max);
			memcpy(data, bytes[0], bufs[0].size);
			r = tarn_publisher_commit(publisher, bufs[0].size);
		}
		break;
	default:
		r = tarn_publisher_publish(publisher, bytes[0], bufs[0].size);
	}
	assert_true(r == 0 || r == -EAGAIN);
	return r == 0 ? count : 0;
}

/* Laps of any sizes: nothing of the lap before is ever taken for a message. */
static void sizes_of_all_kinds_pass(void **state)
{
	static const uint32_t most[] = { 8, 100, 700, 1984 };
	static const uint32_t hows[] = { 0, TARN_TOPIC_LOSSY, TARN_TOPIC_LATEST };
	static unsigned char bytes[2048];

	(void)state;
	open_publisher();
	for (unsigned i = 0; i < 12; i++) {
		struct tarn_publisher_stat stat;
		struct tarn_message message, held = { .data = NULL };
		uint64_t next, expected;

		assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
		next = expected = stat.number + 1;
		open_subscriber(hows[i / 4], 0);
		for (int step = 0; step < 10000; step++) {
			next += publish_some(next, most[i % 4]);
			for (uint32_t left = random_below(4); left > 0; left--) {
				bool hold = held.data == NULL && random_below(4) == 0;
				int r = hold ? tarn_subscriber_hold(subscriber, &message)
					     : tarn_subscriber_take(subscriber, bytes,
								    sizeof(bytes), &message);

				assert_true(r == 0 || (r == -EAGAIN && expected == next));
				if (r != 0)
					continue;
				assert_int_equal(message.number, expected + message.missed);
				assert_true(hows[i / 4] != 0 || message.missed == 0);
				expected = message.number + 1;
				check_message(hold ? message.data : bytes, &message);
				if (hold)
					held = message;
			}
			if (held.data != NULL && random_below(8) == 0) {
				check_message(held.data, &held);
				assert_int_equal(tarn_subscriber_release(subscriber, &held), 0);
				held.data = NULL;
			}
		}
		assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
		tarn_subscriber_close(subscriber);
		tarn_publisher_close(publisher); /* its successor finds the end */
		open_publisher();
		assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
		assert_int_equal(stat.number + 1, next);
	}
	subscriber = NULL;
}

static void each_publisher_has_its_lane(void **state)
{
	struct tarn_publisher *others[10];
	struct tarn_message message;
	uint64_t seen[11] = { 0 }, got;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(tarn_publisher_open(region, "news", &small, &others[i]), 0);
	for (uint64_t n = 0; n < 1000; n++) {
		assert_int_equal(publish(n), 0);
		for (int i = 0; i < 10; i++)
			assert_int_equal(tarn_publisher_publish(others[i], &n, sizeof(n)), 0);
		for (int i = 0; i < 11; i++) {
			assert_int_equal(
				tarn_subscriber_take(subscriber, &got, sizeof(got), &message), 0);
			assert_in_range(message.publisher, 0, 10);
			assert_int_equal(got, seen[message.publisher]++);
			assert_int_equal(message.number, got + 1);
		}
		expect_none();
	}
	for (int i = 0; i < 10; i++)
		tarn_publisher_close(others[i]);
	/* another size is another lane */
	assert_int_equal(tarn_publisher_open(region, "news",
					     &(struct tarn_topic_opts){ .lane_size = 8192 },
					     &others[0]),
			 0);
	assert_int_equal(tarn_publisher_publish(others[0], &got, sizeof(got)), 0);
	assert_int_equal(tarn_subscriber_take(subscriber, &got, sizeof(got), &message), 0);
	assert_int_equal(message.publisher, 11);
	tarn_publisher_close(others[0]);
}

static int publish_and_die(void)
{
	struct tarn_publisher *mine;
	uint64_t n = 42;

	if (tarn_publisher_open(region, "news", &small, &mine) != 0 ||
	    tarn_publisher_publish(mine, &n, sizeof(n)) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static int hold_and_die(void)
{
	const struct tarn_topic_opts opts = { .history = 1 };
	struct tarn_subscriber *mine;
	struct tarn_message message;

	if (tarn_subscriber_open(region, "news", &opts, &mine) != 0 ||
	    tarn_subscriber_hold(mine, &message) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static void the_dead_hold_nobody_up(void **state)
{
	struct tarn_publisher_stat stat;

	(void)state;
	open_subscriber(0, 0);
	assert_int_equal(in_child(publish_and_die), 1000 + SIGKILL);
	expect(42, 1, 0);
	assert_int_equal(in_child(hold_and_die), 1000 + SIGKILL);
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	open_publisher();
	assert_int_equal(tarn_publisher_stat(publisher, &stat), 0);
	assert_int_equal(stat.publisher, 0); /* the dead one's lane */
	assert_int_equal(stat.number, 1);
	assert_int_equal(stat.subscribers, 0);
	for (uint64_t n = 0; n < 1000; n++)
		assert_int_equal(publish(n), 0);
}

static int use_what_was_inherited(void)
{
	struct tarn_message message;
	uint64_t n = 0;

	if (publish(n) != -EBUSY || tarn_publisher_commit(publisher, 0) != -EBUSY ||
	    tarn_publisher_wait_subscribers(publisher, 1, 0) != -EBUSY)
		return 2;
	if (tarn_subscriber_take(subscriber, &n, sizeof(n), &message) != -EBUSY ||
	    tarn_subscriber_hold(subscriber, &message) != -EBUSY ||
	    tarn_subscriber_release(subscriber, &message) != -EBUSY)
		return 3;
	tarn_subscriber_close(subscriber);
	tarn_publisher_close(publisher);
	return publish_and_die() == 2 ? 0 : 4;
}

static void a_child_opens_its_own(void **state)
{
	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	assert_int_equal(publish(1), 0);
	assert_int_equal(in_child(use_what_was_inherited), 1000 + SIGKILL);
	assert_int_equal(publish(2), 0);
	expect(1, 1, 0);
	expect(2, 2, 0);
	expect(42, 1, 0); /* the child's, in a lane of its own, since it came when we were there */
	expect_none();
}

static int count_object(const struct tarn_object_stat *stat, void *arg)
{
	(void)stat;
	++*(uint32_t *)arg;
	return 0;
}

static void removing_a_topic_removes_its_lanes(void **state)
{
	uint32_t before = 0, after = 0;

	(void)state;
	assert_int_equal(tarn_region_objects(region, count_object, &before), 0);
	open_publisher();
	open_subscriber(0, 0);
	assert_int_equal(tarn_object_remove(region, "news:0"), -EBUSY);
	assert_int_equal(tarn_object_remove(region, "news"), 0);
	assert_int_equal(publish(1), 0); /* who has it open keeps it */
	expect(1, 1, 0);
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	publisher = NULL;
	open_subscriber(0, UINT32_MAX); /* another one */
	expect_none();
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	assert_int_equal(tarn_object_remove(region, "news"), 0);
	assert_int_equal(tarn_region_objects(region, count_object, &after), 0);
	assert_int_equal(after, before);
}

/* Another comes by the name, while it is still open: its lanes are not the old one's. */
static void a_topic_made_anew_is_another(void **state)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_topic_opts opts = { .lane_size = 4096 };
	struct lane lane = { 0 };

	(void)state;
	open_subscriber(0, 0);
	assert_int_equal(tarn_object_remove(region, "news"), 0);
	assert_int_equal(tarn_publisher_open(region, "news", &opts, &publisher), 0);
	assert_int_equal(publish(1), 0);
	/* as if a publisher of the old one had come just before; relaxed: one thread */
	atomic_store_explicit(&subscriber->topic.shm->lanes, 1, memory_order_relaxed);
	atomic_store_explicit(&subscriber->topic.shm->comings, 1, memory_order_relaxed);
	expect_none();
	assert_int_equal(tarn__lane_open(&subscriber->topic, 0, 4096, &lane, &diag), -ENOENT);
	assert_non_null(strstr(diag.what, "removed"));
	assert_null(lane.shm);
}

static void failures_are_explained(void **state)
{
	const struct tarn_topic_opts opts = { .lane_size = 4096 };
	struct tarn_diag diag = { .what = "" };
	char bytes[5000] = { 0 };
	char pid[16];

	(void)state;
	assert_int_equal(tarn_publisher_open(region, "news", &opts, &publisher), 0);
	open_subscriber(0, 0);
	assert_int_equal(tarn_publisher_publish(publisher, bytes, sizeof(bytes)), -EMSGSIZE);
	assert_int_equal(tarn_publisher_explain(publisher, -EMSGSIZE, sizeof(bytes), &diag),
			 -EMSGSIZE);
	assert_non_null(strstr(diag.what, "5000"));
	assert_non_null(strstr(diag.what, "1984"));
	assert_non_null(strstr(diag.hint, "16384"));
	assert_int_equal(tarn_publisher_explain(publisher, -EMSGSIZE, (size_t)1 << 31, &diag),
			 -EMSGSIZE);
	assert_non_null(strstr(diag.hint, "parts"));
	while (tarn_publisher_publish(publisher, bytes, 100) == 0)
		;
	assert_int_equal(tarn_publisher_explain(publisher, -EAGAIN, 100, &diag), -EAGAIN);
	snprintf(pid, sizeof(pid), "%d ", (int)getpid());
	assert_non_null(strstr(diag.what, pid));
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	assert_int_equal(tarn_publisher_explain(publisher, -EAGAIN, 100, &diag), -EAGAIN);
	assert_non_null(strstr(diag.what, "any more"));
	assert_int_equal(tarn_publisher_explain(publisher, -EIO, 100, &diag), -EIO);
	assert_non_null(strstr(diag.what, strerror(EIO)));
}

static void damage_is_said(void **state)
{
	struct lane_shm *shm;
	struct tarn_message message;
	uint64_t n;

	(void)state;
	open_publisher();
	open_subscriber(0, 0);
	assert_int_equal(publish(1), 0);
	shm = publisher->lane.shm;
	/* relaxed, all: one thread */
	atomic_store_explicit(&message_at(&publisher->lane, 4096)->size, 5000,
			      memory_order_relaxed);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_subscriber_take(subscriber, &n, sizeof(n), &message), -EUCLEAN);
	assert_int_equal(tarn_subscriber_take(subscriber, &n, sizeof(n), &message), -EAGAIN);
	for (int i = 0; i < 1000; i++) /* it holds nobody up any more */
		assert_int_equal(publish(1), 0);
	atomic_store_explicit(&shm->oldest, 17, memory_order_relaxed);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	tarn_publisher_close(publisher);
	open_publisher(); /* gets another lane */
	assert_int_equal(publisher->topic.seat, 1);
	assert_int_equal(publish(7), 0);
	expect(7, 1, 0);
	tarn_publisher_close(publisher);
	/* far behind all that a lane can come to: what lies there would be outside of it */
	atomic_store_explicit(&shm->oldest, UINT64_MAX - 31, memory_order_relaxed);
	atomic_store_explicit(&message_at(&subscriber->readers[0].lane, UINT64_MAX - 31)->number, 0,
			      memory_order_relaxed);
	open_publisher();
	assert_int_equal(publisher->topic.seat, 1);
	tarn_publisher_close(publisher);
	shm->capacity = 12345;
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	open_publisher();
	assert_int_equal(publisher->topic.seat, 1);
	tarn_subscriber_close(subscriber);
	open_subscriber(0, 0); /* it is told of the one, and reads the other */
	assert_int_equal(tarn_subscriber_take(subscriber, &n, sizeof(n), &message), -EUCLEAN);
	assert_int_equal(publish(8), 0);
	expect(8, 2, 0);
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	assert_int_equal(tarn_object_remove(region, "news"), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_topic_region, drop_topic)
	const struct CMUnitTest tests[] = {
		TEST(what_is_published_is_taken),
		TEST(bad_options_say_what),
		TEST(a_slow_lossless_one_holds_its_publisher_up),
		TEST(a_lossy_one_is_told_what_it_missed),
		TEST(the_latest_alone_is_the_latest),
		TEST(who_comes_late_gets_history),
		TEST(held_messages_stay),
		TEST(a_loan_is_filled_in_place),
		TEST(a_lane_that_is_empty_keeps_its_numbers),
		TEST(what_lies_behind_a_skip_is_kept),
		TEST(a_dropped_loan_costs_no_history),
		TEST(sizes_of_all_kinds_pass),
		TEST(each_publisher_has_its_lane),
		TEST(the_dead_hold_nobody_up),
		TEST(a_child_opens_its_own),
		TEST(removing_a_topic_removes_its_lanes),
		TEST(a_topic_made_anew_is_another),
		TEST(failures_are_explained),
		TEST(damage_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
