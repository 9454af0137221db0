/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What need not be looked at with each message: a publisher knows what its subscribers need no
 * more, a subscriber that nothing is out of the ordinary. When that is so no longer it is noticed.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tarn/topic.h>
#include <tarn/waiter.h>

#include "prim.h"

#include "flow/topic.h"

enum { PARTIES = 3 };

static struct tarn_publisher *publishers[PARTIES];
static struct tarn_subscriber *subscribers[PARTIES];
static const struct tarn_topic_opts small = { .lane_size = 4096 };

static int make_parties(void **state)
{
	memset(publishers, 0, sizeof(publishers));
	memset(subscribers, 0, sizeof(subscribers));
	return make_region(state);
}

static int drop_parties(void **state)
{
	for (int i = 0; i < PARTIES; i++) {
		tarn_publisher_close(publishers[i]);
		tarn_subscriber_close(subscribers[i]);
	}
	return drop_region(state);
}

static void comes(int i)
{
	assert_int_equal(tarn_publisher_open(region, "news", &small, &publishers[i]), 0);
}

static void goes(int i)
{
	tarn_publisher_close(publishers[i]);
	publishers[i] = NULL;
}

static void subscribe(int i, uint32_t how)
{
	const struct tarn_topic_opts opts = { .flags = how };

	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscribers[i]), 0);
}

static int publish(int i, uint64_t n)
{
	return tarn_publisher_publish(publishers[i], &n, sizeof(n));
}

/* As many as there is room for, at most @most. */
static uint64_t fill(int i, uint64_t most)
{
	uint64_t n = 0;

	while (n < most && publish(i, n) == 0)
		n++;
	return n;
}

static int take_one(int i, uint64_t *ret_n)
{
	struct tarn_message message;

	return tarn_subscriber_take(subscribers[i], ret_n, sizeof(*ret_n), &message);
}

/* All that is there; in their order, and none is missed. */
static uint64_t empty(int i)
{
	struct tarn_message message;
	uint64_t count = 0, got;

	while (tarn_subscriber_take(subscribers[i], &got, sizeof(got), &message) == 0) {
		assert_int_equal(message.missed, 0);
		count++;
	}
	return count;
}

static void expect(int i, uint64_t n)
{
	uint64_t got = 0;

	assert_int_equal(take_one(i, &got), 0);
	assert_int_equal(got, n);
}

enum { LANE_FULL = 64, LAPS = 5 }; /* messages of 8 bytes: 64 each with their headers */

/* --- publishers ---------------------------------------------------------------------------- */

static void one_that_comes_is_waited_for(void **state)
{
	uint64_t count;

	(void)state;
	comes(0);
	assert_int_equal(fill(0, LAPS * LANE_FULL), LAPS * LANE_FULL); /* nobody needs them */
	subscribe(0, 0);
	count = fill(0, LAPS * LANE_FULL);
	assert_in_range(count, 1, LANE_FULL);
	assert_int_equal(empty(0), count);
	for (int lap = 0; lap < LAPS; lap++) {
		(void)fill(0, LANE_FULL / 2);
		(void)empty(0);
	}
	subscribe(1, 0); /* beside one of which much is known */
	count = 0;
	for (int lap = 0; lap < LAPS; lap++) {
		count += fill(0, LANE_FULL / 2);
		(void)empty(0);
	}
	assert_in_range(count, 1, LANE_FULL);
	assert_int_equal(empty(1), count);
}

static void the_slowest_is_waited_for(void **state)
{
	uint64_t count = 0;

	(void)state;
	comes(0);
	subscribe(0, 0);
	subscribe(1, 0);
	for (int lap = 0; lap < LAPS; lap++) {
		count += fill(0, LANE_FULL / 2);
		(void)empty(lap % 2);
	}
	assert_in_range(count, 1, LAPS * LANE_FULL / 2);
	(void)empty(0);
	(void)empty(1);
	count = 0;
	for (int lap = 0; lap < LAPS * 8; lap++) {
		count += fill(0, LANE_FULL / 8);
		(void)empty(1);
	}
	assert_in_range(count, 1, LANE_FULL);
	assert_int_equal(empty(0), count);
}

static void one_that_holds_beside_lossless_ones_is_waited_for(void **state)
{
	struct tarn_message message;
	uint64_t n = 0, now = 0;

	(void)state;
	comes(0);
	subscribe(0, 0);
	subscribe(1, TARN_TOPIC_LOSSY);
	for (int lap = 0; lap < LAPS * 8; lap++) {
		(void)fill(0, LANE_FULL / 8);
		(void)empty(0);
	}
	/* what the lossless one has taken long ago */
	assert_int_equal(tarn_subscriber_hold(subscribers[1], &message), 0);
	memcpy(&n, message.data, sizeof(n));
	for (int lap = 0; lap < LAPS * 8; lap++) {
		while (publish(0, 1000) == 0)
			;
		(void)empty(0);
		memcpy(&now, message.data, sizeof(now));
		assert_int_equal(now, n);
	}
	assert_int_equal(tarn_subscriber_release(subscribers[1], &message), 0);
}

static void what_is_known_is_of_one_lane(void **state)
{
	uint64_t count;

	(void)state;
	comes(0);
	subscribe(0, 0);
	for (int lap = 0; lap < 20 * LAPS; lap++) {
		(void)fill(0, LANE_FULL / 2);
		(void)empty(0);
	}
	assert_int_equal(tarn_publisher_grow(publishers[0], 4000, NULL), 0);
	count = fill(0, 20 * LANE_FULL);
	assert_in_range(count, LANE_FULL, 10 * LANE_FULL);
	assert_int_equal(empty(0), count);
}

static void sizes_are_of_lane_and_type(void **state)
{
	static unsigned char much[4096];
	struct tarn_publisher_stat stat;

	(void)state;
	comes(0);
	assert_int_equal(tarn_publisher_stat(publishers[0], &stat), 0);
	assert_int_equal(tarn_publisher_publish(publishers[0], much, stat.size_max), 0);
	assert_int_equal(tarn_publisher_publish(publishers[0], much, stat.size_max + 1), -EMSGSIZE);
}

/* --- subscribers --------------------------------------------------------------------------- */

static void one_that_comes_has_its_turn(void **state)
{
	uint64_t n, taken = 0;

	(void)state;
	comes(0);
	subscribe(0, 0);
	(void)fill(0, 10);
	expect(0, 0);
	expect(0, 1);
	comes(1);
	assert_int_equal(publish(1, 1000), 0);
	do { /* the first one goes on */
		assert_int_equal(publish(0, 100 + taken), 0);
		assert_int_equal(take_one(0, &n), 0);
	} while (n != 1000 && ++taken < 50);
	assert_in_range(taken, 8, 10);
}

static void what_was_there_comes_first_whoever_noticed(void **state)
{
	struct tarn_waiter *waiter;
	void *tag;
	size_t count;

	(void)state;
	comes(0);
	subscribe(0, 0);
	(void)fill(0, 4);
	expect(0, 0);
	comes(1);
	assert_int_equal(publish(1, 1000), 0);
	assert_int_equal(tarn_waiter_open(NULL, &waiter), 0);
	assert_int_equal(tarn_waiter_add_subscriber(waiter, subscribers[0], NULL), 0);
	assert_int_equal(tarn_waiter_wait(waiter, 0, &tag, 1, &count), 0);
	tarn_waiter_close(waiter);
	for (uint64_t n = 1; n < 4; n++)
		expect(0, n);
	expect(0, 1000);
}

static void each_lane_is_looked_at(void **state)
{
	uint64_t n;

	(void)state;
	comes(0);
	comes(1);
	subscribe(0, 0);
	for (uint64_t i = 0; i < 6; i++) { /* the turn is the other's each second time */
		assert_int_equal(publish(1, i), 0);
		expect(0, i);
		assert_int_equal(take_one(0, &n), -EAGAIN);
	}
}

static void who_waits_for_room_is_told(void **state)
{
	const struct reader *reader;
	struct tarn_message message;
	uint64_t n;

	(void)state;
	comes(0);
	subscribe(0, 0);
	assert_int_equal(publish(0, 0), 0);
	assert_int_equal(tarn_subscriber_hold(subscribers[0], &message),
			 0); /* there is room then */
	assert_int_equal(tarn_subscriber_release(subscribers[0], &message), 0);
	assert_int_equal(take_one(0, &n), -EAGAIN);
	(void)fill(0, 4);
	expect(0, 0);
	reader = &subscribers[0]->readers[0];
	assert_true(reader->raised < reader->pos); /* it is not worth it yet */
	atomic_store(&reader->lane.shm->waits, 1);
	assert_int_equal(tarn_subscriber_hold(subscribers[0], &message), 0);
	assert_int_equal(reader->raised, reader->held[0].pos);
	atomic_store(&reader->lane.shm->waits, 0);
	assert_int_equal(tarn_subscriber_release(subscribers[0], &message), 0);
	expect(0, 2);
	expect(0, 3);
	for (int i = 0; i < 3; i++) { /* once nothing is there all is told */
		assert_int_equal(publish(0, 9), 0);
		expect(0, 9);
		assert_int_equal(take_one(0, &n), -EAGAIN);
		assert_int_equal(reader->raised, reader->pos);
	}
}

static void one_that_is_held_alone_is_released_alone(void **state)
{
	const struct reader *reader;
	struct tarn_message message, before, other;

	(void)state;
	comes(0);
	subscribe(0, 0);
	(void)fill(0, 3);
	expect(0, 0);
	reader = &subscribers[0]->readers[0];
	assert_int_equal(tarn_subscriber_hold(subscribers[0], &before), 0);
	assert_int_equal(tarn_subscriber_release(subscribers[0], &before), 0);
	assert_int_equal(tarn_subscriber_hold(subscribers[0], &message), 0);
	assert_int_equal(tarn_subscriber_release(subscribers[0], &before), -EINVAL);
	other = message;
	other.data = before.data;
	assert_int_equal(tarn_subscriber_release(subscribers[0], &other), -EINVAL);
	other = message;
	other.number--;
	assert_int_equal(tarn_subscriber_release(subscribers[0], &other), -EINVAL);
	assert_int_equal(reader->held_count, 1);
	atomic_store(&reader->lane.shm->waits, 1); /* who waits is told */
	assert_int_equal(tarn_subscriber_release(subscribers[0], &message), 0);
	atomic_store(&reader->lane.shm->waits, 0);
	assert_int_equal(reader->raised, reader->pos);
	assert_int_equal(tarn_subscriber_release(subscribers[0], &message), -EINVAL);
}

/* Of a lane that another took over, a batch takes what was there before alone. */
static void a_batch_keeps_the_order_of_who_came(void **state)
{
	struct tarn_message messages[8];
	uint64_t room[8];
	size_t count, all = 0;

	(void)state;
	comes(0);
	subscribe(0, 0);
	assert_int_equal(publish(0, 1), 0);
	comes(1);
	assert_int_equal(publish(1, 2), 0);
	goes(0);
	comes(2); /* to the first lane */
	assert_int_equal(publish(2, 3), 0);
	assert_int_equal(publish(2, 4), 0);
	while (all < 4) {
		assert_int_equal(tarn_subscriber_take_batch(subscribers[0], room, sizeof(room),
							    messages, 8, &count),
				 0);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(room[i], ++all);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_parties, drop_parties)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_comes_is_waited_for),
		TEST(the_slowest_is_waited_for),
		TEST(one_that_holds_beside_lossless_ones_is_waited_for),
		TEST(what_is_known_is_of_one_lane),
		TEST(sizes_are_of_lane_and_type),
		TEST(one_that_comes_has_its_turn),
		TEST(what_was_there_comes_first_whoever_noticed),
		TEST(each_lane_is_looked_at),
		TEST(who_waits_for_room_is_told),
		TEST(one_that_is_held_alone_is_released_alone),
		TEST(a_batch_keeps_the_order_of_who_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
