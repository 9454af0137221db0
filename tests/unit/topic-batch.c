/* SPDX-License-Identifier: BSD-2-Clause */
/* Topic: messages taken in batches, of one publisher and of several; what ends a batch. */
#include <stdlib.h>

#include <tarn/topic.h>

#include "prim.h"
#include "child.h"

#include "flow/topic.h"

enum { MANY = 64, PUBLISHERS = 3 };

static struct tarn_publisher *publishers[PUBLISHERS];
static struct tarn_subscriber *subscriber;
static const struct tarn_topic_opts small = { .lane_size = 4096 };

static _Alignas(8) unsigned char room[8192];
static struct tarn_message messages[MANY];

static int make_topic(void **state)
{
	memset(publishers, 0, sizeof(publishers));
	subscriber = NULL;
	return make_region(state);
}

static int drop_topic(void **state)
{
	for (int i = 0; i < PUBLISHERS; i++)
		tarn_publisher_close(publishers[i]);
	tarn_subscriber_close(subscriber);
	return drop_region(state);
}

static void open_publishers(int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(tarn_publisher_open(region, "news", &small, &publishers[i]), 0);
}

static void open_subscriber(uint32_t how, uint32_t history)
{
	const struct tarn_topic_opts opts = { .flags = how, .history = history };

	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscriber), 0);
}

static int publish(int i, uint64_t n)
{
	return tarn_publisher_publish(publishers[i], &n, sizeof(n));
}

/* Up to @count, into a buffer of @size bytes. How many, or an error. */
static int take_up_to(size_t size, size_t count)
{
	size_t done = 77;
	int r = tarn_subscriber_take_batch(subscriber, room, size, messages, count, &done);

	assert_true(r == 0 ? done >= 1 && done <= count : done == 77);
	return r == 0 ? (int)done : r;
}

/* Message @k of the batch is value @n of the publisher at @place, with @number, after @missed. */
static void is(int k, uint64_t n, uint32_t place, uint64_t number, uint64_t missed)
{
	uint64_t got;

	assert_int_equal(messages[k].size, sizeof(got));
	memcpy(&got, messages[k].data, sizeof(got));
	assert_int_equal(got, n);
	assert_int_equal(messages[k].publisher, place);
	assert_int_equal(messages[k].number, number);
	assert_int_equal(messages[k].missed, missed);
}

static void what_is_there_is_taken_at_once(void **state)
{
	static const uint32_t hows[] = { 0, TARN_TOPIC_LOSSY };
	int64_t before = tarn__plat_now();
	struct tarn_subscriber_stat stat;

	(void)state;
	open_publishers(1);
	for (int i = 0; i < 2; i++) {
		uint64_t first = (uint64_t)i * 9 + 1;

		open_subscriber(hows[i], 0);
		assert_int_equal(take_up_to(sizeof(room), MANY), -EAGAIN);
		for (uint64_t n = first; n < first + 7; n++)
			assert_int_equal(publish(0, n), 0);
		assert_int_equal(tarn_publisher_publish(publishers[0], NULL, 0), 0);
		assert_int_equal(tarn_publisher_publish(publishers[0], "hello", 6), 0);
		assert_int_equal(take_up_to(sizeof(room), 0), -EINVAL);
		assert_int_equal(take_up_to(sizeof(room), 3), 3);
		for (int k = 0; k < 3; k++)
			is(k, first + (uint64_t)k, 0, first + (uint64_t)k, 0);
		assert_int_equal(take_up_to(sizeof(room), MANY), 6); /* more than there is */
		for (int k = 0; k < 4; k++) {
			is(k, first + 3 + (uint64_t)k, 0, first + 3 + (uint64_t)k, 0);
			assert_ptr_equal(messages[k].data, room + 8 * k);
			assert_int_equal(messages[k].member, region->id);
			assert_in_range(messages[k].time_ns, before, tarn__plat_now());
		}
		assert_int_equal(messages[4].size, 0);
		assert_int_equal(messages[5].number, first + 8);
		assert_string_equal(messages[5].data, "hello");
		assert_int_equal(tarn_subscriber_release(subscriber, &messages[5]), -EINVAL);
		assert_int_equal(take_up_to(sizeof(room), MANY), -EAGAIN);
		assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
		assert_int_equal(stat.taken, 9);
		assert_int_equal(stat.missed, 0);
	}
}

static void messages_of_one_type_are_an_array(void **state)
{
	struct tick {
		uint64_t at;
		double bid, ask;
	} ticks[MANY];
	size_t done;

	(void)state;
	open_publishers(1);
	open_subscriber(0, 0);
	for (uint64_t n = 0; n < 30; n++) {
		struct tick tick = { .at = n, .bid = (double)n, .ask = (double)n + 1 };

		assert_int_equal(tarn_publisher_publish(publishers[0], &tick, sizeof(tick)), 0);
	}
	assert_int_equal(
		tarn_subscriber_take_batch(subscriber, ticks, sizeof(ticks), messages, MANY, &done),
		0);
	assert_int_equal(done, 30);
	for (uint64_t n = 0; n < 30; n++)
		assert_true(ticks[n].at == n && ticks[n].ask == (double)n + 1);
}

static void what_does_not_fit_is_the_next_one(void **state)
{
	static const uint32_t hows[] = { 0, TARN_TOPIC_LOSSY };
	char large[100] = "large";

	(void)state;
	open_publishers(1);
	for (int i = 0; i < 2; i++) {
		uint64_t first = (uint64_t)i * 5 + 1;

		open_subscriber(hows[i], 0);
		for (uint64_t n = 0; n < 2; n++)
			assert_int_equal(publish(0, n), 0);
		assert_int_equal(tarn_publisher_publish(publishers[0], large, sizeof(large)), 0);
		assert_int_equal(publish(0, 3), 0);
		assert_int_equal(tarn_publisher_publish(publishers[0], "abc", 3), 0);
		assert_int_equal(take_up_to(7, MANY), -ENOBUFS);
		assert_int_equal(messages[0].size, 8);
		assert_null(messages[0].data);
		assert_int_equal(take_up_to(115, MANY), 2);
		assert_int_equal(take_up_to(99, MANY), -ENOBUFS);
		assert_int_equal(messages[0].size, 100);
		assert_int_equal(messages[0].number, first + 2);
		assert_int_equal(messages[0].missed, 0);
		/* the last one is not padded */
		assert_int_equal(take_up_to(104 + 8 + 2, MANY), 2);
		assert_string_equal(messages[0].data, large);
		is(1, 3, 0, first + 3, 0);
		assert_ptr_equal(messages[1].data, room + 104);
		assert_int_equal(take_up_to(0, 1), -ENOBUFS);
		assert_int_equal(take_up_to(3, MANY), 1);
		assert_int_equal(messages[0].size, 3);
		assert_int_equal(take_up_to(0, 1), -EAGAIN);
	}
	assert_int_equal(tarn_publisher_publish(publishers[0], NULL, 0), 0);
	assert_int_equal(take_up_to(0, MANY), 1);
}

static void each_has_its_turn(void **state)
{
	(void)state;
	open_publishers(3);
	open_subscriber(0, 0);
	for (uint64_t n = 0; n < 4; n++)
		for (int i = 0; i < 3; i++)
			assert_int_equal(publish(i, 10 * (uint64_t)i + n), 0);
	assert_int_equal(take_up_to(sizeof(room), 6), 6);
	for (int k = 0; k < 4; k++)
		is(k, (uint64_t)k, 0, (uint64_t)k + 1, 0);
	is(4, 10, 1, 1, 0);
	is(5, 11, 1, 2, 0);
	/* the first one has more, and comes last all the same */
	assert_int_equal(publish(0, 4), 0);
	assert_int_equal(take_up_to(sizeof(room), 5), 5);
	for (int k = 0; k < 4; k++)
		is(k, 20 + (uint64_t)k, 2, (uint64_t)k + 1, 0);
	is(4, 4, 0, 5, 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), 2);
	is(0, 12, 1, 3, 0);
	is(1, 13, 1, 4, 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), -EAGAIN);
	assert_int_equal(publish(2, 24), 0);
	assert_int_equal(publish(1, 14), 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), 2); /* who had no turn is first */
	is(0, 24, 2, 5, 0);
	is(1, 14, 1, 5, 0);
}

/* One that goes on in other lanes: all in order, wherever a batch ends. */
static void who_came_later_waits(void **state)
{
	static const uint32_t hows[] = { 0, TARN_TOPIC_LOSSY };

	(void)state;
	for (uint32_t k = 0; k < 2; k++) {
		open_subscriber(hows[k], 0);
		open_publishers(1);
		for (uint64_t n = 1; n <= 15; n++) {
			struct tarn_publisher_stat stat;

			assert_int_equal(publish(0, n), 0);
			assert_int_equal(tarn_publisher_stat(publishers[0], &stat), 0);
			if (n % 5 == 0)
				assert_int_equal(
					tarn_publisher_grow(publishers[0], stat.size_max + 1, NULL),
					0);
		}
		assert_int_equal(publish(0, 16), 0);
		for (uint64_t next = 1; next <= 16;) {
			int done = take_up_to(sizeof(room), 3 + next);

			assert_in_range(done, 1, 16);
			for (int i = 0; i < done; i++, next++)
				assert_int_equal(*(const uint64_t *)(const void *)messages[i].data,
						 next);
		}
		assert_int_equal(take_up_to(sizeof(room), MANY), -EAGAIN);
		tarn_publisher_close(publishers[0]);
		publishers[0] = NULL;
	}
}

/* In a lane, behind what another has left there, which waits for who came before that, too. */
static void who_took_a_lane_over_waits(void **state)
{
	static const struct {
		uint64_t value;
		uint32_t place;
		uint64_t number;
	} order[5] = { { 2, 0, 1 }, { 3, 0, 2 }, { 4, 0, 3 }, { 1, 2, 1 }, { 5, 2, 2 } };

	(void)state;
	open_publishers(2);
	assert_int_equal(tarn_publisher_grow(publishers[1], 10000, NULL), 0);
	open_subscriber(0, 0);
	assert_int_equal(tarn_publisher_open(region, "news", &small, &publishers[2]), 0);
	assert_int_equal(publish(2, 77), 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), 1);
	is(0, 77, 1, 1, 0); /* now it is the turn of lane 2 */
	assert_int_equal(publish(1, 1), 0);
	tarn_publisher_close(publishers[1]);
	publishers[1] = NULL;
	for (uint64_t n = 2; n <= 4; n++)
		assert_int_equal(publish(0, n), 0);
	assert_int_equal(tarn_publisher_grow(publishers[0], 10000, NULL), 0);
	assert_int_equal(publish(0, 5), 0);
	for (int i = 0; i < 5;) {
		int done = take_up_to(sizeof(room), MANY);

		assert_in_range(done, 1, 5 - i);
		for (int k = 0; k < done; k++, i++)
			is(k, order[i].value, order[i].place, order[i].number, 0);
	}
}

/* There is always something before it, and never room for it behind that. */
static void a_large_one_has_its_turn(void **state)
{
	static char large[1000];
	int tries = 0;

	(void)state;
	open_publishers(2);
	open_subscriber(0, 0);
	assert_int_equal(tarn_publisher_publish(publishers[1], large, sizeof(large)), 0);
	do {
		assert_int_equal(publish(0, 1), 0);
		assert_in_range(take_up_to(sizeof(large), MANY), 1, 2);
	} while (messages[0].publisher != 1 && ++tries < 10);
	assert_in_range(tries, 1, 2);
	assert_int_equal(messages[0].size, sizeof(large));
}

static void the_newest_alone_is_one_of_each(void **state)
{
	(void)state;
	open_publishers(2);
	open_subscriber(TARN_TOPIC_LATEST, 0);
	for (uint64_t n = 1; n <= 500; n++)
		assert_int_equal(publish(0, n), 0);
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(publish(1, n), 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), 2);
	is(0, 500, 0, 500, 499);
	is(1, 3, 1, 3, 2);
	assert_int_equal(take_up_to(sizeof(room), MANY), -EAGAIN);
}

static void a_lossy_one_is_told_what_it_missed(void **state)
{
	struct tarn_subscriber_stat stat;
	uint64_t sent = 0, expected = 1, missed = 0;

	(void)state;
	open_publishers(1);
	open_subscriber(TARN_TOPIC_LOSSY, 0);
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < round; i++)
			assert_int_equal(publish(0, ++sent), 0);
		for (int k = 0, done = take_up_to(sizeof(room), 30); k < done; k++) {
			is(k, messages[k].number, 0, expected + messages[k].missed,
			   messages[k].missed);
			assert_true(k == 0 || messages[k].missed == 0);
			expected = messages[k].number + 1;
			missed += messages[k].missed;
		}
	}
	assert_true(missed > 1000);
	assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
	assert_int_equal(stat.missed, missed);
	assert_int_equal(stat.taken + missed, expected - 1);
}

/* --- laps ---------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static uint32_t random_below(uint32_t end)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % end;
}

static uint32_t most; /* bytes of a message */

static size_t size_of(uint32_t place, uint64_t number)
{
	return (size_t)((number * 2654435761u + place * 40503u) >> 7) % (most + 1);
}

static void check_bytes(const struct tarn_message *message)
{
	const unsigned char *bytes = message->data;

	assert_int_equal(message->size, size_of(message->publisher, message->number));
	for (size_t i = 0; i < message->size; i++)
		assert_int_equal(bytes[i],
				 (unsigned char)(message->number * 4 + message->publisher));
}

static uint64_t published[PUBLISHERS], expected[PUBLISHERS]; /* last, and next */
static struct tarn_message held;

static void publish_some(void)
{
	unsigned char bytes[2048];

	for (uint32_t left = random_below(12); left > 0; left--) {
		uint32_t i = random_below(PUBLISHERS);
		uint64_t number = published[i] + 1;
		size_t size = size_of(i, number);
		int r;

		memset(bytes, (int)(number * 4 + i), size);
		r = tarn_publisher_publish(publishers[i], bytes, size);
		assert_true(r == 0 ||
			    (r == -EAGAIN && (takes_all(subscriber) || held.data != NULL)));
		published[i] += r == 0;
	}
}

static bool all_taken(void)
{
	for (int i = 0; i < PUBLISHERS; i++)
		if (expected[i] != published[i] + 1)
			return false;
	return true;
}

static void is_next(const struct tarn_message *message)
{
	assert_in_range(message->publisher, 0, PUBLISHERS - 1);
	assert_int_equal(message->number, expected[message->publisher] + message->missed);
	assert_true(message->missed == 0 || !takes_all(subscriber));
	expected[message->publisher] = message->number + 1;
	check_bytes(message);
}

/* They lie one behind another, and those of a publisher come one after another. */
static void check_batch(int count)
{
	const unsigned char *at = room;
	bool seen[PUBLISHERS] = { false };

	for (int k = 0; k < count; k++) {
		uint32_t of = messages[k].publisher;

		if (messages[k].size != 0)
			assert_ptr_equal(messages[k].data, at);
		at += (messages[k].size + 7) & ~(size_t)7;
		is_next(&messages[k]);
		assert_true(k == 0 || messages[k - 1].publisher == of || !seen[of]);
		seen[of] = true;
	}
}

/* A batch that is not full has all, or there was no room for what would have come. */
static void take_some(void)
{
	size_t size = random_below(4) == 0 ? random_below(most * 2 + 1) : sizeof(room);
	int count = (int)random_below(20) + 1, done = take_up_to(size, (size_t)count);
	size_t left = size;
	bool full = done == count;

	if (done < 0) {
		assert_true(done == -EAGAIN ? all_taken() : done == -ENOBUFS);
		assert_true(done == -EAGAIN || messages[0].size > size);
		return;
	}
	check_batch(done);
	for (int k = 0; k < done; k++)
		left -= (messages[k].size + 7) / 8 * 8 < left ? (messages[k].size + 7) / 8 * 8
							      : left;
	for (uint32_t i = 0; i < PUBLISHERS; i++) /* of a lossy one it may be a later one */
		full |= expected[i] <= published[i] &&
			left < (takes_all(subscriber) ? size_of(i, expected[i]) : most);
	assert_true(full || all_taken());
}

static void batches_of_all_kinds_pass(void **state)
{
	static const uint32_t hows[] = { 0, TARN_TOPIC_LOSSY, TARN_TOPIC_LATEST };
	static const uint32_t mosts[] = { 8, 100, 700, 1984 };

	(void)state;
	open_publishers(PUBLISHERS);
	memset(published, 0, sizeof(published));
	for (unsigned i = 0; i < 12; i++) {
		held.data = NULL;
		most = mosts[i % 4];
		open_subscriber(hows[i / 4], 0);
		for (int k = 0; k < PUBLISHERS; k++)
			expected[k] = published[k] + 1;
		for (int step = 0; step < 5000; step++) {
			publish_some();
			if (held.data == NULL && random_below(8) == 0 &&
			    tarn_subscriber_hold(subscriber, &held) == 0)
				is_next(&held);
			take_some();
			if (held.data != NULL && random_below(8) == 0) {
				check_bytes(&held);
				assert_int_equal(tarn_subscriber_release(subscriber, &held), 0);
				held.data = NULL;
			}
		}
		assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	}
}

/* --- low ----------------------------------------------------------------------------------- */

static void fill_lane(void)
{
	char bytes[64] = "";

	while (tarn_publisher_publish(publishers[0], bytes, sizeof(bytes)) == 0)
		;
}

static void *publish_waiting(void *arg)
{
	char bytes[64] = "";

	(void)arg;
	return (void *)(intptr_t)tarn_publisher_publish_wait(
		publishers[0], bytes, sizeof(bytes), tarn_deadline_after(INT64_C(4000000000)));
}

static void a_publisher_that_waits_is_let_go(void **state)
{
	pthread_t thread;
	void *result;

	(void)state;
	open_publishers(1);
	open_subscriber(0, 0);
	fill_lane();
	assert_int_equal(take_up_to(sizeof(room), 2), 2);
	fill_lane();
	assert_int_equal(pthread_create(&thread, NULL, publish_waiting, NULL), 0);
	/* relaxed: a hint */
	while (atomic_load_explicit(&publishers[0]->lane.shm->waits, memory_order_relaxed) == 0)
		pause_us(1000);
	/* with three of them a sixteenth of the lane is free; low was stored behind two */
	assert_int_equal(take_up_to(sizeof(room), 1), 1);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, 0);
}

static void what_a_batch_has_taken_is_free(void **state)
{
	(void)state;
	open_publishers(1);
	open_subscriber(0, 0);
	fill_lane();
	assert_in_range(take_up_to(sizeof(room), MANY), 30, 50);
	assert_in_range(subscriber->readers[0].pos - subscriber->readers[0].raised, 0, 127);
	fill_lane();
	assert_in_range(take_up_to(sizeof(room), MANY), 25, 50);
}

static void what_is_held_stays(void **state)
{
	uint64_t n = 0;

	(void)state;
	open_publishers(1);
	open_subscriber(0, 0);
	assert_int_equal(publish(0, ++n), 0);
	assert_int_equal(tarn_subscriber_hold(subscriber, &held), 0);
	while (publish(0, n + 1) == 0)
		n++;
	assert_int_equal(take_up_to(sizeof(room), MANY), n - 1);
	for (int k = 0; k < (int)n - 1; k++)
		is(k, (uint64_t)k + 2, 0, (uint64_t)k + 2, 0);
	assert_int_equal(publish(0, n), -EAGAIN);
	assert_int_equal(*(const uint64_t *)held.data, 1);
	assert_int_equal(tarn_subscriber_release(subscriber, &held), 0);
	assert_int_equal(publish(0, ++n), 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), 1);
}

/* --- who fails ----------------------------------------------------------------------------- */

static void damage_is_said_behind_what_is_whole(void **state)
{
	struct message_shm *third;

	(void)state;
	open_publishers(2);
	open_subscriber(0, 0);
	for (uint64_t n = 1; n <= 4; n++)
		assert_int_equal(publish(0, n), 0);
	assert_int_equal(publish(1, 7), 0);
	third = message_at(&publishers[0]->lane, 4096 + 2 * 64);
	/* relaxed: one thread */
	atomic_store_explicit(&third->size, 5000, memory_order_relaxed);
	assert_int_equal(take_up_to(sizeof(room), MANY), 2);
	is(0, 1, 0, 1, 0);
	is(1, 2, 0, 2, 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), -EUCLEAN);
	assert_int_equal(take_up_to(sizeof(room), MANY), 1);
	is(0, 7, 1, 1, 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), -EAGAIN);
	for (int i = 0; i < 1000; i++) /* it holds nobody up any more */
		assert_int_equal(publish(0, 1), 0);
	tarn_publisher_close(publishers[0]);
	publishers[0] = NULL;
	tarn_publisher_close(publishers[1]);
	publishers[1] = NULL;
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	assert_int_equal(tarn_object_remove(region, "news"), 0);
}

/* Of another lane than that of which something was taken. */
static void damage_is_said_beside_what_is_whole(void **state)
{
	(void)state;
	open_publishers(2);
	open_subscriber(0, 0);
	assert_int_equal(publish(0, 1), 0);
	assert_int_equal(publish(1, 2), 0);
	/* relaxed: one thread */
	atomic_store_explicit(&message_at(&publishers[1]->lane, 4096)->number, 5,
			      memory_order_relaxed);
	assert_int_equal(take_up_to(sizeof(room), MANY), 1);
	is(0, 1, 0, 1, 0);
	assert_int_equal(publish(0, 2), 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), -EUCLEAN);
	assert_int_equal(take_up_to(sizeof(room), MANY), 1);
	is(0, 2, 0, 2, 0);
	tarn_publisher_close(publishers[1]);
	publishers[1] = NULL;
	tarn_publisher_close(publishers[0]);
	publishers[0] = NULL;
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	assert_int_equal(tarn_object_remove(region, "news"), 0);
}

static int use_what_was_inherited(void)
{
	return take_up_to(sizeof(room), MANY) == -EBUSY && take_up_to(sizeof(room), 0) == -EINVAL
		       ? 0
		       : 1;
}

static void a_child_opens_its_own(void **state)
{
	(void)state;
	open_publishers(1);
	open_subscriber(0, 0);
	assert_int_equal(publish(0, 1), 0);
	assert_int_equal(in_child(use_what_was_inherited), 0);
	assert_int_equal(take_up_to(sizeof(room), MANY), 1);
	is(0, 1, 0, 1, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_topic, drop_topic)
	const struct CMUnitTest tests[] = {
		TEST(what_is_there_is_taken_at_once),
		TEST(messages_of_one_type_are_an_array),
		TEST(what_does_not_fit_is_the_next_one),
		TEST(each_has_its_turn),
		TEST(who_came_later_waits),
		TEST(who_took_a_lane_over_waits),
		TEST(a_large_one_has_its_turn),
		TEST(the_newest_alone_is_one_of_each),
		TEST(a_lossy_one_is_told_what_it_missed),
		TEST(batches_of_all_kinds_pass),
		TEST(a_publisher_that_waits_is_let_go),
		TEST(what_a_batch_has_taken_is_free),
		TEST(what_is_held_stays),
		TEST(damage_is_said_behind_what_is_whole),
		TEST(damage_is_said_beside_what_is_whole),
		TEST(a_child_opens_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
