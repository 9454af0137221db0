/* SPDX-License-Identifier: BSD-2-Clause */
/* Topic: who waits for a subscriber, a message or room is woken by it, in another process. */
#include <tarn/topic.h>

#include "prim.h"

static struct tarn_publisher *publisher;
static const struct tarn_topic_opts small = { .lane_size = 4096 };

static int make_topic(void **state)
{
	if (make_region(state) < 0)
		return -1;
	return tarn_publisher_open(region, "news", &small, &publisher);
}

static int drop_topic(void **state)
{
	tarn_publisher_close(publisher);
	return drop_region(state);
}

static int publish(uint64_t n)
{
	return tarn_publisher_publish(publisher, &n, sizeof(n));
}

static int take_ten(void)
{
	const struct tarn_topic_opts opts = { .history = 0 };
	struct tarn_subscriber *mine;
	struct tarn_message message;
	uint64_t got;

	if (tarn_subscriber_open(region, "news", &opts, &mine) != 0)
		return 1;
	for (uint64_t n = 0; n < 10; n++)
		if (tarn_subscriber_take_wait(mine, &got, sizeof(got),
					      tarn_deadline_after(INT64_C(5000000000)),
					      &message) != 0 ||
		    got != n)
			return 2;
	tarn_subscriber_close(mine);
	return 0;
}

static void who_waits_is_woken(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(
		tarn_publisher_wait_subscribers(publisher, 1, tarn_deadline_after(1000000)),
		-ETIMEDOUT);
	pid = fork();
	if (pid == 0)
		_exit(take_ten());
	assert_int_equal(tarn_publisher_wait_subscribers(publisher, 1,
							 tarn_deadline_after(INT64_C(5000000000))),
			 0);
	for (uint64_t n = 0; n < 10; n++) {
		pause_us((int64_t)(n % 3) * 1000);
		assert_int_equal(publish(n), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int take_slowly(void)
{
	struct tarn_subscriber *mine;
	struct tarn_message message;
	uint64_t got;

	if (tarn_subscriber_open(region, "news", &small, &mine) != 0)
		return 1;
	for (uint64_t n = 0; n < 1000; n++) {
		if (n % 100 == 0)
			pause_us(1000);
		if (tarn_subscriber_hold_wait(mine, tarn_deadline_after(INT64_C(5000000000)),
					      &message) != 0)
			return 2;
		memcpy(&got, message.data, sizeof(got));
		if (got != n || tarn_subscriber_release(mine, &message) != 0)
			return 3;
	}
	return 0;
}

static void who_waits_for_room_is_woken(void **state)
{
	void *data;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(take_slowly());
	assert_int_equal(tarn_publisher_wait_subscribers(publisher, 1,
							 tarn_deadline_after(INT64_C(5000000000))),
			 0);
	for (uint64_t n = 0; n < 1000; n++) {
		if (n % 2 == 0) {
			assert_int_equal(tarn_publisher_publish_wait(
						 publisher, &n, sizeof(n),
						 tarn_deadline_after(INT64_C(5000000000))),
					 0);
			continue;
		}
		assert_int_equal(tarn_publisher_loan_wait(publisher, sizeof(n),
							  tarn_deadline_after(INT64_C(5000000000)),
							  &data),
				 0);
		memcpy(data, &n, sizeof(n));
		assert_int_equal(tarn_publisher_commit(publisher, sizeof(n)), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_topic, drop_topic)
	const struct CMUnitTest tests[] = {
		TEST(who_waits_is_woken),
		TEST(who_waits_for_room_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
