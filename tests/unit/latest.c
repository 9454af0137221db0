/* SPDX-License-Identifier: BSD-2-Clause */
/* Latest value: the contract of latest.h line by line; who dies, forks, holds; damage. */
#include <tarn/latest.h>

#include "prim.h"

#include "flow/latest.h"

enum { WORDS = 32, HOLDERS = 3 };

static struct tarn_latest *writer, *reader;

static int make_latest(void **state)
{
	const struct tarn_latest_opts opts = { .size = sizeof(uint64_t[WORDS]),
					       .holders = HOLDERS };

	if (make_region(state) < 0 || tarn_latest_open(region, "pose", &opts, &writer) < 0 ||
	    tarn_latest_open(region, "pose", NULL, &reader) < 0)
		return -1;
	return 0;
}

static int drop_latest(void **state)
{
	tarn_latest_close(writer);
	tarn_latest_close(reader);
	return drop_region(state);
}

static void fill(uint64_t words[WORDS], uint64_t n)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = n;
}

static int write_value(struct tarn_latest *latest, uint64_t n)
{
	uint64_t words[WORDS];

	fill(words, n);
	return tarn_latest_write(latest, words, sizeof(words), TARN_FOREVER, NULL);
}

static bool is_value(const void *data, size_t size, uint64_t n)
{
	const uint64_t *words = data;

	for (int i = 0; i < WORDS; i++)
		if (words[i] != n)
			return false;
	return size == sizeof(uint64_t[WORDS]);
}

static void expect(uint64_t n, uint64_t number)
{
	uint64_t words[WORDS], got = 0;
	size_t size = 0;

	assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, &got), 0);
	assert_true(is_value(words, size, n));
	assert_int_equal(got, number);
}

static void what_was_written_last_is_read(void **state)
{
	uint64_t words[WORDS], number = 7;
	size_t size = 7;
	const void *data = NULL;

	(void)state;
	assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, &number), -ENODATA);
	assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), -ENODATA);
	assert_int_equal(tarn_latest_number(reader), 0);
	assert_int_equal(size, 7);
	for (uint64_t n = 1; n < 1000; n++) {
		assert_int_equal(write_value(writer, n), 0);
		expect(n, n);
		assert_int_equal(tarn_latest_number(reader), n);
	}
	assert_int_equal(tarn_latest_write(writer, words, 0, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, NULL), 0);
	assert_int_equal(size, 0);
}

static void sizes_are_told(void **state)
{
	char bytes[sizeof(uint64_t[WORDS]) + 1] = "three";
	struct tarn_diag diag = { .what = "" };
	size_t size = 0;

	(void)state;
	assert_int_equal(tarn_latest_write(writer, bytes, sizeof(bytes), TARN_FOREVER, &diag),
			 -EMSGSIZE);
	assert_non_null(strstr(diag.what, "256"));
	assert_non_null(strstr(diag.what, "257"));
	assert_int_equal(tarn_latest_write(writer, bytes, 5, TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_latest_read(reader, bytes, 4, &size, NULL), -ENOBUFS);
	assert_int_equal(size, 5);
	assert_int_equal(tarn_latest_loan(writer, TARN_FOREVER, NULL, &diag), -EOPNOTSUPP);
}

static void a_value_is_changed_where_it_is_still_the_newest(void **state)
{
	uint64_t words[WORDS];

	(void)state;
	fill(words, 1);
	assert_int_equal(tarn_latest_write_if(writer, words, sizeof(words), 1, TARN_FOREVER, NULL),
			 -EAGAIN);
	assert_int_equal(tarn_latest_number(reader), 0);
	assert_int_equal(tarn_latest_write_if(writer, words, sizeof(words), 0, TARN_FOREVER, NULL),
			 0);
	expect(1, 1);
	for (uint64_t n = 2; n < 20; n++) {
		fill(words, n);
		assert_int_equal(tarn_latest_write_if(writer, words, sizeof(words), n - 2,
						      TARN_FOREVER, NULL),
				 -EAGAIN);
		expect(n - 1, n - 1);
		assert_int_equal(tarn_latest_write_if(writer, words, sizeof(words), n - 1,
						      TARN_FOREVER, NULL),
				 0);
		expect(n, n);
	}
	assert_int_equal(
		tarn_latest_write_if(writer, words, sizeof(words) + 1, 19, TARN_FOREVER, NULL),
		-EMSGSIZE);
}

static void what_is_held_stays(void **state)
{
	struct tarn_latest *others[HOLDERS - 1], *one_too_many;
	struct tarn_diag diag = { .what = "" };
	struct tarn_latest_stat stat;
	const void *held[HOLDERS], *data;
	uint64_t number;
	size_t size;

	(void)state;
	for (int i = 0; i < HOLDERS - 1; i++)
		assert_int_equal(tarn_latest_open(region, "pose", NULL, &others[i]), 0);
	assert_int_equal(tarn_latest_open(region, "pose", NULL, &one_too_many), 0);
	for (uint64_t n = 0; n < HOLDERS; n++) {
		struct tarn_latest *who = n == 0 ? reader : others[n - 1];

		assert_int_equal(write_value(writer, n + 1), 0);
		assert_int_equal(tarn_latest_hold(who, &held[n], &size, &number, NULL), 0);
		assert_int_equal(number, n + 1);
	}
	assert_int_equal(tarn_latest_stat(writer, &stat), 0);
	assert_int_equal(stat.holders, HOLDERS);
	assert_int_equal(tarn_latest_hold(one_too_many, &data, &size, &number, &diag), -EUSERS);
	assert_non_null(strstr(diag.what, "process"));
	for (uint64_t n = 100; n < 200; n++) {
		assert_int_equal(write_value(writer, n), 0);
		for (uint64_t i = 0; i < HOLDERS; i++)
			assert_true(is_value(held[i], size, i + 1));
		expect(n, n - 100 + HOLDERS + 1);
	}
	assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), 0);
	assert_true(is_value(data, size, 199));
	for (int i = 0; i < HOLDERS - 1; i++)
		tarn_latest_close(others[i]);
	assert_int_equal(tarn_latest_hold(one_too_many, &data, &size, &number, NULL), 0);
	tarn_latest_close(one_too_many);
	tarn_latest_release(reader);
	tarn_latest_release(reader);
	assert_int_equal(tarn_latest_stat(writer, &stat), 0);
	assert_int_equal(stat.holders, 0);
}

static int hold_and_die(void *arg)
{
	const void *data;
	uint64_t number;
	size_t size;

	return tarn_latest_hold(arg, &data, &size, &number, NULL);
}

static void the_dead_hold_nobody_up(void **state)
{
	const void *data;
	uint64_t number;
	size_t size;

	(void)state;
	assert_int_equal(write_value(writer, 1), 0);
	for (int i = 0; i < 3 * HOLDERS; i++) {
		run_dead(hold_and_die, reader);
		for (uint64_t n = 0; n < 10; n++)
			assert_int_equal(write_value(writer, n), 0);
	}
	assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), 0);
	assert_true(is_value(data, size, 9));
	tarn_latest_release(reader);
}

static int write_half_and_die(void *arg)
{
	struct tarn_latest *latest = arg;

	/* as far as a writer comes before it publishes */
	if (tarn__prim_lock(&latest->prim, TARN_FOREVER, true, NULL) < 0)
		return 1;
	for (uint32_t i = 0; i < latest->count; i++)
		if (i != (atomic_load(&latest->prim.sec.shm->state) & INDEX_MASK))
			memset(buffer_at(latest, i)->value, 0xff, latest->size);
	return 0;
}

static void a_dead_writer_leaves_the_last_value(void **state)
{
	(void)state;
	assert_int_equal(write_value(writer, 5), 0);
	run_dead(write_half_and_die, writer);
	expect(5, 1);
	assert_int_equal(write_value(writer, 6), 0);
	expect(6, 2);
}

static int wait_for_change(void *arg)
{
	uint64_t number = 0;

	atomic_store(&flags[0], 1);
	if (tarn_latest_wait(arg, 1, tarn_deadline_after(SURELY_NS), &number) != 0)
		return 1;
	return number == 2 ? 0 : 2;
}

static void who_waits_for_a_change_is_woken(void **state)
{
	uint64_t number = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(write_value(writer, 1), 0);
	assert_int_equal(tarn_latest_wait(reader, 0, 0, &number), 0);
	assert_int_equal(number, 1);
	assert_int_equal(tarn_latest_wait(reader, 1, tarn_deadline_after(SOON_NS), &number),
			 -ETIMEDOUT);
	pid = start(wait_for_change, reader);
	await_flag(0);
	pause_us(2000);
	assert_int_equal(write_value(writer, 2), 0);
	await_death(pid);
}

/* The second value, in a buffer other than the parent's. */
static int write_and_hold_and_die(void *arg)
{
	return write_value(arg, 2) == 0 ? hold_and_die(arg) : 1;
}

static void a_child_holds_nothing(void **state)
{
	const void *data;
	uint64_t number;
	size_t size;

	(void)state;
	assert_int_equal(write_value(writer, 1), 0);
	assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), 0);
	run_dead(write_and_hold_and_die, reader);
	for (uint64_t n = 3; n < 50; n++)
		assert_int_equal(write_value(writer, n), 0);
	assert_true(is_value(data, size, 1));
	tarn_latest_release(reader);
}

static int hold_when_told(void *arg)
{
	atomic_store(&flags[0], 1);
	await_flag(1);
	return hold_and_die(arg);
}

/* A seat that its parent has given back is nobody's, and not the child's. */
static void a_child_takes_a_seat_of_its_own(void **state)
{
	struct tarn_latest_stat stat;
	const void *data;
	uint64_t number;
	size_t size;
	pid_t pid;

	(void)state;
	assert_int_equal(write_value(writer, 1), 0);
	assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), 0);
	pid = start(hold_when_told, reader);
	await_flag(0);
	tarn_latest_close(reader);
	atomic_store(&flags[1], 1);
	await_death(pid);
	assert_int_equal(tarn_latest_stat(writer, &stat), 0);
	assert_int_equal(stat.holders, 1);
	assert_int_equal(tarn_latest_open(region, "pose", NULL, &reader), 0);
	run_dead(hold_and_die, reader);
	run_dead(hold_and_die, reader);
	run_dead(hold_and_die, reader); /* its place, and those of the others, can be had */
}

static void in_place(void **state)
{
	const struct tarn_latest_opts opts = { .size = 4096, .flags = TARN_LATEST_IN_PLACE };
	struct tarn_diag diag;
	const struct tarn_latest_opts copied = { .size = 4096, .holders = 8, .diag = &diag };
	const struct tarn_latest_opts any = { .size = 4096 };
	struct tarn_latest *frames, *viewer, *other;
	const void *shown;
	uint64_t number;
	void *data;
	size_t size;
	char copy[4096];

	(void)state;
	assert_int_equal(tarn_latest_open(region, "frames", &opts, &frames), 0);
	assert_int_equal(tarn_latest_open(region, "frames", &copied, &viewer), -EEXIST);
	assert_string_equal(diag.what, "latest value frames is one that is filled in place "
				       "(TARN_LATEST_IN_PLACE); wanted was one that is copied");
	assert_int_equal(tarn_latest_open(region, "frames", NULL, &viewer), 0);
	tarn_latest_close(viewer);
	assert_int_equal(tarn_latest_open(region, "frames", &any, &viewer), 0);
	assert_int_equal(tarn_latest_open(region, "copied", &any, &other), 0);
	tarn_latest_close(other);
	assert_int_equal(tarn_latest_open(region, "copied", &opts, &other), -EEXIST);
	assert_int_equal(tarn_latest_publish(frames, 1), -EPERM);
	for (int n = 1; n < 20; n++) {
		assert_int_equal(tarn_latest_loan(frames, TARN_FOREVER, &data, NULL), 0);
		assert_int_equal((uintptr_t)data % 64, 0);
		memset(data, n, 4096);
		assert_int_equal(tarn_latest_publish(frames, 4097), -EMSGSIZE);
		assert_int_equal(tarn_latest_publish(frames, (size_t)n), 0);
		assert_int_equal(tarn_latest_loan(frames, TARN_FOREVER, &data, NULL), 0);
		assert_int_equal(tarn_latest_write(frames, copy, 1, TARN_FOREVER, NULL), -EDEADLK);
		memset(data, 0xee, 4096);
		tarn_latest_abort(frames);
		assert_int_equal(tarn_latest_hold(viewer, &shown, &size, &number, NULL), 0);
		assert_int_equal(size, n);
		assert_int_equal(*(const char *)shown, n);
		assert_int_equal(number, n);
		assert_int_equal(tarn_latest_read(viewer, copy, sizeof(copy), &size, NULL), -EBUSY);
		tarn_latest_release(viewer);
		assert_int_equal(tarn_latest_read(viewer, copy, sizeof(copy), &size, NULL), 0);
		assert_int_equal(copy[n - 1], n);
	}
	tarn_latest_close(viewer);
	tarn_latest_close(frames);
}

static int write_for_ever(void *arg)
{
	for (uint64_t n = 1;; n++)
		if (write_value(arg, n) < 0)
			return 1;
}

static void readers_beside_writers_see_whole_values(void **state)
{
	uint64_t words[WORDS], number, last = 0;
	const void *data;
	size_t size;
	pid_t one = start(write_for_ever, writer), two = start(write_for_ever, writer);

	(void)state;
	while (tarn_latest_number(reader) < 100)
		pause_us(100);
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, &number), 0);
		assert_true(is_value(words, size, words[0]));
		assert_true(number >= last);
		last = number;
		assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), 0);
		assert_true(is_value(data, size, *(const uint64_t *)data));
		assert_true(number >= last);
		if (i % 64 == 0)
			pause_us(10);
		assert_true(is_value(data, size, *(const uint64_t *)data));
		tarn_latest_release(reader);
	}
	end(one);
	end(two);
	assert_int_equal(write_value(writer, 3), 0);
}

static void damage_is_told(void **state)
{
	uint64_t words[WORDS], number;
	const void *data;
	size_t size;
	_Atomic uint32_t *spoilt;
	_Atomic uint64_t *counted;

	(void)state;
	assert_int_equal(write_value(writer, 1), 0);
	atomic_store(&writer->prim.sec.shm->state, 63);
	assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, &number), -EUCLEAN);
	assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), -EUCLEAN);
	assert_int_equal(write_value(writer, 1), -EUCLEAN);
	assert_int_equal(tarn_latest_number(reader), 0);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_store(&writer->prim.sec.shm->state, 0);
	assert_int_equal(write_value(writer, 1), 0);
	spoilt = &buffer_at(writer, atomic_load(&writer->prim.sec.shm->state) & 63)->size;
	atomic_store(spoilt, UINT32_MAX);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, &number), -EUCLEAN);
	assert_int_equal(tarn_latest_hold(reader, &data, &size, &number, NULL), -EUCLEAN);
	assert_int_equal(write_value(writer, 1), 0);
	atomic_store(spoilt, 0);
	counted = &buffer_at(writer, atomic_load(&writer->prim.sec.shm->state) & 63)->number;
	atomic_fetch_add(counted, 1);
	assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, &number), -EUCLEAN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	atomic_fetch_sub(counted, 1);
	assert_int_equal(tarn_latest_read(reader, words, sizeof(words), &size, &number), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_latest, drop_latest)
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_last_is_read),
		TEST(sizes_are_told),
		TEST(a_value_is_changed_where_it_is_still_the_newest),
		TEST(what_is_held_stays),
		TEST(the_dead_hold_nobody_up),
		TEST(a_dead_writer_leaves_the_last_value),
		TEST(who_waits_for_a_change_is_woken),
		TEST(a_child_holds_nothing),
		TEST(a_child_takes_a_seat_of_its_own),
		TEST(in_place),
		TEST(readers_beside_writers_see_whole_values),
		TEST(damage_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
