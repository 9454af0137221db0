/* SPDX-License-Identifier: BSD-2-Clause */
/* Topics in a directory of sockets: messages taken in batches. */
#include "apart.h"

enum { MANY = 64 };
static _Alignas(8) unsigned char room[8192];
static struct tarn_message messages[MANY];

/* Up to @count, into @size bytes. How many, or an error. */
static int take_batch(size_t size, size_t count)
{
	size_t done = 77;
	int r = tarn_subscriber_take_batch(subscriber, room, size, messages, count, &done);

	assert_true(r == 0 ? done >= 1 && done <= count : done == 77);
	return r == 0 ? (int)done : r;
}

static unsigned char fifth[700];

/* Numbers, and a large one, the fifth; of another publisher a text. */
static void check_batch(int count, uint64_t before)
{
	for (int k = 0; k < count; k++) {
		const struct tarn_message *message = &messages[k];
		uint64_t value;

		assert_int_equal(message->missed, 0);
		if (message->size == 6) {
			assert_string_equal(message->data, "other");
		} else if (message->size == sizeof(fifth)) {
			assert_memory_equal(message->data, fifth, sizeof(fifth));
			assert_int_equal(message->number, before + 5);
		} else {
			memcpy(&value, message->data, sizeof(value));
			assert_int_equal(message->number, before + 1 + value);
		}
	}
}

static void taken_in_batches(void **state)
{
	struct tarn_publisher *other;

	(void)state;
	open_publisher();
	assert_int_equal(tarn_publisher_open(NULL, "news", &opts, &other), 0);
	for (unsigned lossy = 0; lossy < 2; lossy++) {
		open_subscriber(lossy ? TARN_TOPIC_LOSSY : 0, 0);
		assert_int_equal(take_batch(sizeof(room), MANY), -EAGAIN);
		assert_int_equal(take_batch(sizeof(room), 0), -EINVAL);
		for (uint64_t n = 0; n < 4; n++)
			assert_int_equal(publish(n), 0);
		memset(fifth, (int)('x' + lossy), sizeof(fifth));
		assert_int_equal(tarn_publisher_publish(publisher, fifth, sizeof(fifth)), 0);
		assert_int_equal(tarn_publisher_publish(other, "other", 6), 0);
		assert_int_equal(take_batch(sizeof(room), 2), 2);
		check_batch(2, 5 * lossy);
		assert_int_equal(take_batch(sizeof(room), MANY), 4);
		check_batch(4, 5 * lossy);
		assert_int_equal(take_batch(sizeof(room), MANY), -EAGAIN);
		tarn_subscriber_close(subscriber);
	}
	subscriber = NULL;
	tarn_publisher_close(other);
}

/* One that is too large keeps those of others from nobody, and is the next one still of its own. */
static void what_does_not_fit_a_batch(void **state)
{
	struct tarn_publisher *other;
	int seen = 0;

	(void)state;
	open_publisher();
	assert_int_equal(tarn_publisher_open(NULL, "news", &opts, &other), 0);
	open_subscriber(0, 0);
	assert_int_equal(tarn_publisher_publish(publisher, fifth, sizeof(fifth)), 0);
	for (int i = 0; i < 6; i++) {
		int r;

		assert_int_equal(tarn_publisher_publish(other, "small", 6), 0);
		r = take_batch(500, MANY);
		assert_true(r == 1 || r == 2 || r == -ENOBUFS);
		assert_int_equal(messages[0].size, r < 0 ? sizeof(fifth) : 6);
		seen += r < 0 ? 0 : r;
	}
	assert_true(seen >= 3);
	assert_in_range(take_batch(sizeof(room), MANY), 1, 7);
	tarn_publisher_close(other);
}

/* Of two laps: each is whole, or counts as missed; what its publisher has left is taken. */
static void batches_of_who_is_slow(void **state)
{
	uint64_t taken = 0, missed = 0, value;
	int r;

	(void)state;
	open_publisher();
	open_subscriber(TARN_TOPIC_LOSSY, 0);
	for (uint64_t n = 0; n < 1000; n++) {
		assert_int_equal(publish(n), 0);
		if (n % 300 == 299 && (r = take_batch(sizeof(room), 20)) > 0) {
			for (int k = 0; k < r; k++)
				missed += messages[k].missed;
			taken += (uint64_t)r;
			assert_int_equal(taken + missed, messages[r - 1].number);
		}
	}
	tarn_publisher_close(publisher);
	publisher = NULL;
	wait_publishers(0);
	while ((r = take_batch(sizeof(room), 20)) > 0) {
		for (int k = 0; k < r; k++, taken++) {
			missed += messages[k].missed;
			memcpy(&value, messages[k].data, sizeof(value));
			assert_int_equal(value + 1, messages[k].number);
			assert_int_equal(taken + 1 + missed, messages[k].number);
		}
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(taken + missed, 1000);
	assert_true(missed > 500);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		TEST(taken_in_batches),
		TEST(what_does_not_fit_a_batch),
		TEST(batches_of_who_is_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
