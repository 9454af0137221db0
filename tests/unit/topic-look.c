/* SPDX-License-Identifier: BSD-2-Clause */
/* Who publishes and subscribes, how much is kept for whom, and who holds whom up. */
#include <stdlib.h>

#include <tarn/topic.h>

#include "prim.h"
#include "child.h"

#include "flow/topic.h"

static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static const struct tarn_topic_opts small = { .lane_size = 4096 };

static struct tarn_topic_user users[8];
static int user_count;

static int drop_topic(void **state)
{
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	publisher = NULL;
	subscriber = NULL;
	return drop_region(state);
}

static int keep(const struct tarn_topic_user *user, void *arg)
{
	(void)arg;
	assert_true(user_count < 8);
	users[user_count++] = *user;
	return 0;
}

static void look(int count)
{
	user_count = 0;
	assert_int_equal(tarn_topic_users(region, "news", keep, NULL), 0);
	assert_int_equal(user_count, count);
}

static void open_both(uint32_t how)
{
	const struct tarn_topic_opts opts = { .flags = how };

	assert_int_equal(tarn_publisher_open(region, "news", &small, &publisher), 0);
	assert_int_equal(tarn_subscriber_open(region, "news", &opts, &subscriber), 0);
}

static int publish(void)
{
	return tarn_publisher_publish(publisher, "12345678", 8);
}

static int take_one(void)
{
	struct tarn_message message;
	char buf[8];

	return tarn_subscriber_take(subscriber, buf, sizeof(buf), &message);
}

static void all_are_told_of(void **state)
{
	const struct tarn_topic_opts larger = { .lane_size = 8192 };
	struct tarn_publisher *other;
	struct tarn_topic_stat stat;

	(void)state;
	assert_int_equal(tarn_topic_users(region, "news", keep, NULL), -ENOENT);
	assert_int_equal(tarn_topic_stat(region, "news", &stat), -ENOENT);
	assert_int_equal(tarn_topic_stat(region, "flags", &stat), -EPROTO);
	open_both(0);
	assert_int_equal(tarn_publisher_open(region, "news", &larger, &other), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(publish(), 0);
	look(3);
	assert_int_equal(users[0].role, TARN_TOPIC_PUBLISHES);
	assert_int_equal(users[0].place, 0);
	assert_int_equal(users[0].pid, getpid());
	assert_int_equal(users[0].tid, tarn__self.tid);
	assert_true(users[0].alive);
	assert_int_equal(users[0].lane_size, 4096);
	assert_int_equal(users[0].number, 5);
	assert_int_equal(users[0].kept, 5);
	assert_false(users[0].waits);
	assert_int_equal(users[0].held_up_by, UINT32_MAX);
	assert_int_equal(users[1].place, 1);
	assert_int_equal(users[1].lane_size, 8192);
	assert_int_equal(users[1].number, 0);
	assert_int_equal(users[1].kept, 0);
	assert_int_equal(users[2].role, TARN_TOPIC_TAKES_ALL);
	assert_int_equal(users[2].pid, getpid());
	assert_int_equal(users[2].kept, 5);
	assert_int_equal(users[2].missed, 0);
	tarn_publisher_close(other);
	look(3); /* its lane stays */
	assert_int_equal(users[1].slot, UINT32_MAX);
	assert_false(users[1].alive);
	assert_int_equal(tarn_topic_stat(region, "news", &stat), 0);
	assert_int_equal(stat.number, 5);
	assert_int_equal(stat.publishers, 1);
	assert_int_equal(stat.subscribers, 1);
	assert_int_equal(stat.lanes, 2);
	assert_in_range(stat.size, 12288, 12288 + 100000);
}

/* What it has taken is counted a thirty-second of the lane at a time, and all once nothing is
 * there. */
static void who_is_slow_is_named(void **state)
{
	int fit = 0;

	(void)state;
	open_both(0);
	while (publish() == 0)
		fit++;
	look(2);
	assert_int_equal(users[0].held_up_by, 0);
	assert_int_equal(users[0].number, fit);
	assert_int_equal(users[1].kept, fit);
	while (take_one() == 0)
		continue;
	look(2);
	assert_int_equal(users[0].held_up_by, UINT32_MAX);
	assert_int_equal(users[0].kept, fit);
	assert_int_equal(users[1].kept, 0);
	for (int i = 0; i < 1000; i++) { /* as the publisher finds it, so it is said, over laps */
		int r = publish();

		look(2);
		assert_true(r == 0 || users[0].held_up_by == 0);
		if (r == -EAGAIN)
			assert_int_equal(take_one(), 0);
	}
	assert_int_equal(users[1].missed, 0);
}

static void nobody_is_named_before_it_is_so(void **state)
{
	(void)state;
	open_both(0);
	for (int i = 0; i < 1000; i++) {
		look(2);
		assert_int_equal(publish(), users[0].held_up_by == 0 ? -EAGAIN : 0);
		if (users[0].held_up_by == 0)
			while (take_one() == 0)
				continue;
	}
}

static void what_a_lossy_one_misses_is_said(void **state)
{
	struct tarn_subscriber_stat stat;
	struct tarn_message message;

	(void)state;
	open_both(TARN_TOPIC_LOSSY);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(publish(), 0);
	look(2);
	assert_int_equal(users[1].role, TARN_TOPIC_TAKES_LOSSY);
	assert_int_equal(users[1].kept, 0);
	assert_int_equal(users[0].held_up_by, UINT32_MAX);
	assert_int_equal(users[1].missed, 0);
	assert_int_equal(take_one(), 0);
	assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
	look(2);
	assert_int_not_equal(stat.missed, 0);
	assert_int_equal(users[1].missed, stat.missed);
	assert_int_equal(tarn_subscriber_hold(subscriber, &message), 0);
	look(2);
	assert_int_equal(users[1].kept, 1000 - message.number + 1);
	while (publish() == 0)
		continue;
	look(2);
	assert_int_equal(users[0].held_up_by, 0);
	tarn_subscriber_close(subscriber);
	tarn_publisher_close(publisher);
	open_both(TARN_TOPIC_LOSSY); /* others, on the same places */
	look(2);
	assert_int_equal(users[1].missed, 0);
}

static void who_wants_the_newest_alone_is_said(void **state)
{
	struct tarn_topic_blocker blocker;
	struct tarn_message message;
	struct tarn_topic_stat stat;
	int r = 0;

	(void)state;
	open_both(TARN_TOPIC_LATEST);
	for (int i = 0; i < 10; i++)
		assert_int_equal(publish(), 0);
	look(2);
	assert_int_equal(users[1].role, TARN_TOPIC_TAKES_LATEST);
	assert_int_equal(users[1].kept, 0);
	assert_int_equal(tarn_topic_stat(region, "news", &stat), 0);
	assert_int_equal(stat.subscribers, 1);
	assert_int_equal(tarn_subscriber_hold(subscriber, &message), 0);
	assert_int_equal(message.number, 10);
	look(2);
	assert_int_equal(users[1].kept, 1);
	for (int i = 0; i < 1000 && r == 0; i++) /* it is in the way by what it holds */
		r = publish();
	assert_int_equal(r, -EAGAIN);
	look(2);
	assert_int_equal(users[0].held_up_by, 0);
	assert_int_equal(tarn_publisher_blocker(publisher, &blocker), 0);
	assert_true(blocker.lossy);
	assert_memory_equal(message.data, "12345678", 8);
	assert_int_equal(tarn_subscriber_release(subscriber, &message), 0);
	assert_int_equal(publish(), 0);
}

static int subscribe_and_die(void)
{
	struct tarn_subscriber *mine;

	return tarn_subscriber_open(region, "news", NULL, &mine);
}

static void the_dead_are_dead(void **state)
{
	struct tarn_topic_stat stat;

	(void)state;
	open_both(TARN_TOPIC_LOSSY);
	assert_int_equal(in_child(subscribe_and_die), 0);
	for (int i = 0; i < 40; i++)
		assert_int_equal(publish(), 0);
	look(3);
	assert_false(users[2].alive);
	assert_int_equal(users[2].kept, 40);
	assert_int_equal(users[0].held_up_by, UINT32_MAX);
	assert_int_equal(tarn_topic_stat(region, "news", &stat), 0);
	assert_int_equal(stat.subscribers, 1);
	for (int i = 0; i < 100; i++) { /* up to where the publisher finds that it is dead */
		user_count = 0;
		assert_int_equal(tarn_topic_users(region, "news", keep, NULL), 0);
		assert_int_equal(users[0].held_up_by, UINT32_MAX);
		assert_int_equal(publish(), 0);
	}
	look(2);
}

static int end_it(const struct tarn_topic_user *user, void *arg)
{
	(void)user;
	(void)arg;
	return 7;
}

static void it_ends_when_told_to(void **state)
{
	(void)state;
	open_both(0);
	assert_int_equal(tarn_topic_users(region, "news", end_it, NULL), 7);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_region, drop_topic)
	const struct CMUnitTest tests[] = {
		TEST(all_are_told_of),
		TEST(who_is_slow_is_named),
		TEST(nobody_is_named_before_it_is_so),
		TEST(what_a_lossy_one_misses_is_said),
		TEST(who_wants_the_newest_alone_is_said),
		TEST(the_dead_are_dead),
		TEST(it_ends_when_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
