/* SPDX-License-Identifier: BSD-2-Clause */
/* A publisher that grows: sizes, the order that subscribers keep, lanes taken over, failures. */
#include <stdio.h>
#include <stdlib.h>

#include <tarn/topic.h>

#include "prim.h"
#include "child.h"

#include "flow/topic.h"

static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static const struct tarn_topic_opts small = { .lane_size = 4096 };
static unsigned char large[50000];

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

static void open_publisher(struct tarn_publisher **ret_publisher)
{
	*ret_publisher = NULL; /* the one before is closed */
	assert_int_equal(tarn_publisher_open(region, "news", &small, ret_publisher), 0);
}

static void open_subscriber(uint32_t how, uint32_t history)
{
	const struct tarn_topic_opts opts = { .flags = how, .history = history };

	subscriber = NULL; /* as above */
	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscriber), 0);
}

static void publish(struct tarn_publisher *by, uint64_t n)
{
	assert_int_equal(tarn_publisher_publish(by, &n, sizeof(n)), 0);
}

static void grow(struct tarn_publisher *by, size_t size)
{
	assert_int_equal(tarn_publisher_grow(by, size, NULL), 0);
}

static struct tarn_publisher_stat stat_of(struct tarn_publisher *by)
{
	struct tarn_publisher_stat stat;

	assert_int_equal(tarn_publisher_stat(by, &stat), 0);
	return stat;
}

/* The next message is value @n, of the publisher at @place. */
static void expect(uint64_t n, uint32_t place)
{
	struct tarn_message message;
	uint64_t got = 0;

	assert_int_equal(tarn_subscriber_take(subscriber, &got, sizeof(got), &message), 0);
	assert_int_equal(got, n);
	assert_int_equal(message.publisher, place);
	assert_int_equal(message.missed, 0);
}

static void expect_none(void)
{
	struct tarn_message message;
	char byte;

	assert_int_equal(tarn_subscriber_take(subscriber, &byte, 1, &message), -EAGAIN);
}

static void larger_messages_fit_then(void **state)
{
	struct tarn_message message;
	struct tarn_publisher_stat before, after;
	unsigned char *got = malloc(sizeof(large));

	(void)state;
	assert_non_null(got);
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (unsigned char)(i * 7 + i / 251);
	open_publisher(&publisher);
	open_subscriber(0, 0);
	before = stat_of(publisher);
	grow(publisher, before.size_max); /* it fits */
	after = stat_of(publisher);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(tarn_publisher_publish(publisher, large, sizeof(large)), -EMSGSIZE);
	grow(publisher, sizeof(large));
	after = stat_of(publisher);
	assert_int_equal(after.lane_size, 262144); /* four, with their headers */
	assert_int_equal(after.publisher, 1);
	assert_int_equal(after.publishers, 1); /* it is one still */
	assert_int_equal(after.number, 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(tarn_publisher_publish(publisher, large, sizeof(large)), 0);
		assert_int_equal(tarn_subscriber_take(subscriber, got, sizeof(large), &message), 0);
		assert_int_equal(message.size, sizeof(large));
		assert_int_equal(message.number, i + 1);
		assert_memory_equal(got, large, sizeof(large));
	}
	free(got);
}

/* Whatever the subscriber has not taken comes before what is published after growing. */
static void order_is_kept(void **state)
{
	static const uint32_t hows[] = { 0, TARN_TOPIC_LOSSY };
	uint64_t n = 0;

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		open_subscriber(hows[k], 0);
		open_publisher(&publisher);
		for (int lap = 0; lap < 3; lap++) { /* it does not look meanwhile */
			for (int i = 0; i < 5; i++)
				publish(publisher, ++n);
			grow(publisher, stat_of(publisher).size_max + 1);
		}
		publish(publisher, ++n);
		for (uint64_t i = n - 15; i <= n; i++)
			expect(i, (uint32_t)((i - (n - 15)) / 5));
		expect_none();
		publish(publisher, ++n);
		expect(n, 3);
		tarn_publisher_close(publisher);
		tarn_subscriber_close(subscriber);
	}
	publisher = NULL;
	subscriber = NULL;
}

/* It waits for none but those that were there: who goes on publishing keeps nobody waiting. */
static void others_are_waited_for_no_longer(void **state)
{
	struct tarn_publisher *other;
	unsigned got = 0;

	(void)state;
	open_subscriber(0, 0);
	open_publisher(&other);
	open_publisher(&publisher);
	publish(other, 1);
	publish(publisher, 2);
	expect(1, 0);
	expect(2, 1);
	publish(other, 3);
	publish(publisher, 4);
	grow(publisher, 10000);
	publish(publisher, 100);
	expect(3, 0); /* now it has seen that one came */
	for (uint64_t n = 5; n < 15; n++) {
		struct tarn_message message;
		uint64_t value;

		publish(other, n);
		assert_int_equal(tarn_subscriber_take(subscriber, &value, sizeof(value), &message),
				 0);
		got |= value == 4 ? 1u : 0;
		if (value == 100) {
			assert_int_equal(got, 1);
			got |= 2u;
		}
	}
	assert_int_equal(got, 3);
	tarn_publisher_close(other);
}

/* A lane of the right size, with what another has left there. */
static void a_lane_is_taken_over(void **state)
{
	struct tarn_publisher *other;

	(void)state;
	open_publisher(&publisher);
	open_publisher(&other);
	grow(other, 10000);
	assert_int_equal(stat_of(other).publisher, 2);
	open_subscriber(0, 0);
	publish(other, 1);
	tarn_publisher_close(other);
	for (uint64_t n = 2; n <= 4; n++)
		publish(publisher, n);
	grow(publisher, 10000);
	assert_int_equal(stat_of(publisher).publisher, 2);
	assert_int_equal(stat_of(publisher).number, 1); /* it goes on with its numbers */
	publish(publisher, 5);
	for (uint64_t n = 2; n <= 4; n++)
		expect(n, 0); /* of who came first */
	expect(1, 2);
	expect(5, 2);
	expect_none();
}

/* One came to the place that the other had left before. */
static void two_do_not_wait_for_one_another(void **state)
{
	struct tarn_publisher *other, *third;

	(void)state;
	open_publisher(&publisher);
	open_subscriber(0, 0);
	for (uint64_t n = 1; n <= 3; n++)
		publish(publisher, n);
	grow(publisher, 10000); /* 0 -> 1 */
	publish(publisher, 10);
	open_publisher(&other); /* at 0 */
	expect(1, 0);
	publish(other, 4);
	open_publisher(&third); /* at 2: more is waited for */
	expect(2, 0);
	expect(3, 0);
	expect(10, 1);
	expect(4, 0);
	expect_none();
	tarn_publisher_close(other);
	tarn_publisher_close(third);
}

static void the_latest_comes_last(void **state)
{
	(void)state;
	open_publisher(&publisher);
	open_subscriber(TARN_TOPIC_LATEST, 0);
	publish(publisher, 1);
	grow(publisher, 10000);
	publish(publisher, 2);
	expect(1, 0);
	expect(2, 1);
	expect_none();
}

static void held_messages_stay(void **state)
{
	struct tarn_message old, new;
	void *data;

	(void)state;
	open_publisher(&publisher);
	open_subscriber(0, 0);
	publish(publisher, 1);
	publish(publisher, 2);
	assert_int_equal(tarn_subscriber_hold(subscriber, &old), 0);
	assert_int_equal(tarn_publisher_loan(publisher, 8, &data), 0);
	grow(publisher, 10000);
	assert_int_equal(tarn_publisher_commit(publisher, 8), -EINVAL); /* it is dropped */
	publish(publisher, 3);
	expect(2, 0);
	assert_int_equal(tarn_subscriber_hold(subscriber, &new), 0);
	assert_int_equal(*(const uint64_t *)old.data, 1);
	assert_int_equal(*(const uint64_t *)new.data, 3);
	assert_int_equal(tarn_subscriber_release(subscriber, &old), 0);
	assert_int_equal(tarn_subscriber_release(subscriber, &new), 0);
}

static void history_is_of_both(void **state)
{
	(void)state;
	open_publisher(&publisher);
	publish(publisher, 1);
	grow(publisher, 10000);
	publish(publisher, 2);
	open_subscriber(0, 1);
	expect(1, 0);
	expect(2, 1);
	expect_none();
}

static int grow_what_was_inherited(void)
{
	return tarn_publisher_grow(publisher, 10000, NULL) != -EBUSY;
}

static void failures_leave_it_as_it_was(void **state)
{
	const struct tarn_region_opts tight = { .size = 128 << 10 };
	struct tarn_diag diag = { .what = "" };
	struct tarn_region *narrow;

	(void)state;
	open_publisher(&publisher);
	open_subscriber(0, 0);
	publish(publisher, 1);
	assert_int_equal(tarn_publisher_grow(publisher, (size_t)3 << 30, &diag), -EMSGSIZE);
	assert_non_null(strstr(diag.what, "a message of 3221225472 bytes"));
	assert_non_null(strstr(diag.what, "takes 1073741760"));
	publish(publisher, 2);
	assert_int_equal(in_child(grow_what_was_inherited), 0);
	expect(1, 0);
	expect(2, 0);
	tarn_publisher_close(publisher);
	publisher = NULL;
	assert_int_equal(tarn_region_create("anon:", &tight, &narrow), 0);
	assert_int_equal(tarn_publisher_open(narrow, "news", &small, &publisher), 0);
	publish(publisher, 1);
	assert_int_equal(tarn_publisher_grow(publisher, 1 << 20, &diag), -ENOSPC);
	assert_int_equal(stat_of(publisher).publisher, 0);
	assert_int_equal(stat_of(publisher).number, 1);
	publish(publisher, 2);
	assert_int_equal(stat_of(publisher).publishers, 1);
	assert_int_equal(tarn_region_check(narrow, NULL, NULL), 0);
	tarn_publisher_close(publisher);
	publisher = NULL;
	tarn_region_close(narrow);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_topic_region, drop_topic)
	const struct CMUnitTest tests[] = {
		TEST(larger_messages_fit_then),
		TEST(order_is_kept),
		TEST(others_are_waited_for_no_longer),
		TEST(a_lane_is_taken_over),
		TEST(two_do_not_wait_for_one_another),
		TEST(the_latest_comes_last),
		TEST(held_messages_stay),
		TEST(history_is_of_both),
		TEST(failures_leave_it_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
