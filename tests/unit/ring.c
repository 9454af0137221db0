/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring: the contract of ring.h line by line, on valid input, on invalid input, and on words that a
 * peer has damaged. Death in the middle of a call is the business of tests/kill, races that of
 * tests/storm and of the thread variant.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow/ring.h"

static struct tarn_region *region;
static struct tarn_ring *producer, *consumer;

static void open_both(const struct tarn_ring_opts *opts)
{
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, opts, &producer), 0);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, NULL, &consumer), 0);
}

static int make_region(void **state)
{
	const struct tarn_region_opts opts = { .size = 8 << 20 };

	(void)state;
	producer = consumer = NULL;
	return tarn_region_create("anon:", &opts, &region);
}

static int drop_region(void **state)
{
	(void)state;
	tarn_ring_close(producer);
	tarn_ring_close(consumer);
	tarn_region_close(region);
	return 0;
}

static const struct tarn_ring_opts small = { .capacity = 256 };

/* A full ring refuses, and what it held comes out whole and in order. */
static void full_then_drained(void **state)
{
	size_t size = 0;
	uint64_t got = 0, count = 0;

	(void)state;
	open_both(&small);
	while (tarn_ring_push(producer, &count, sizeof(count)) == 0)
		count++;
	/* 16 bytes a record, one unit of the 32 stays free */
	assert_int_equal(count, 15);
	assert_int_equal(tarn_ring_push(producer, "x", 1), -EAGAIN);
	for (uint64_t i = 0; i < count; i++) {
		assert_int_equal(tarn_ring_pop(consumer, &got, sizeof(got), &size), 0);
		assert_int_equal(size, sizeof(got));
		assert_int_equal(got, i);
	}
	size = 77;
	assert_int_equal(tarn_ring_pop(consumer, &got, sizeof(got), &size), -EAGAIN);
	assert_int_equal(size, 77);
}

/* Sizes of every kind, over many laps, with skips at the end of the ring. */
static void any_size_survives_the_wrap(void **state)
{
	unsigned char out[128], in[128];
	unsigned seed = 1;
	size_t size;

	(void)state;
	open_both(&small);
	for (int i = 0; i < 20000; i++) {
		seed = seed * 1103515245u + 12345u;

		size_t n = (seed >> 16) % 121;

		memset(out, i, n);
		assert_int_equal(tarn_ring_push(producer, out, n), 0);
		assert_int_equal(tarn_ring_pop(consumer, in, sizeof(in), &size), 0);
		assert_int_equal(size, n);
		assert_memory_equal(in, out, n);
	}
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

static void the_largest_record_always_fits_an_empty_ring(void **state)
{
	unsigned char buf[256] = { 0 };
	struct tarn_ring_stat stat;
	size_t size;

	(void)state;
	open_both(&small);
	assert_int_equal(tarn_ring_stat(producer, &stat), 0);
	assert_int_equal(stat.record_max, 120);
	for (size_t lead = 0; lead < 64; lead++) {
		assert_int_equal(tarn_ring_push(producer, buf, lead % 40), 0);
		assert_int_equal(tarn_ring_pop(consumer, buf, sizeof(buf), &size), 0);
		assert_int_equal(tarn_ring_push(producer, buf, stat.record_max), 0);
		assert_int_equal(tarn_ring_pop(consumer, buf, sizeof(buf), &size), 0);
		assert_int_equal(size, stat.record_max);
	}
	assert_int_equal(tarn_ring_push(producer, buf, stat.record_max + 1), -EMSGSIZE);
}

static void fixed_records_have_their_size(void **state)
{
	const struct tarn_ring_opts fixed = { .capacity = 1024, .record_size = 24 };
	char buf[64] = "";
	size_t size;

	(void)state;
	open_both(&fixed);
	assert_int_equal(tarn_ring_push(producer, buf, 23), -EMSGSIZE);
	assert_int_equal(tarn_ring_push(producer, buf, 25), -EMSGSIZE);
	assert_int_equal(tarn_ring_push(producer, buf, 24), 0);
	assert_int_equal(tarn_ring_pop(consumer, buf, 10, &size), -ENOBUFS);
	assert_int_equal(size, 24);
	assert_int_equal(tarn_ring_pop(consumer, buf, sizeof(buf), &size), 0);
}

/* What the caller scribbled into a reservation that it dropped is never taken for a record. */
static void a_dropped_reservation_leaves_nothing(void **state)
{
	void *data;
	const void *seen;
	size_t size;

	(void)state;
	open_both(&small);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(tarn_ring_commit(producer, 1), -EINVAL);
		assert_int_equal(tarn_ring_reserve(producer, 100, &data), 0);
		memset(data, 0xff, 100);
		if (i % 2 == 0) {
			tarn_ring_abort(producer);
			assert_int_equal(tarn_ring_push(producer, "abc", 4), 0);
		} else {
			memcpy(data, "abc", 4);
			assert_int_equal(tarn_ring_commit(producer, 101), -EMSGSIZE);
			assert_int_equal(tarn_ring_commit(producer, 4), 0);
		}
		assert_int_equal(tarn_ring_peek(consumer, &seen, &size), 0);
		assert_int_equal(size, 4);
		assert_string_equal(seen, "abc");
		assert_int_equal(tarn_ring_release(consumer, 1), 0);
		assert_int_equal(tarn_ring_peek(consumer, &seen, &size), -EAGAIN);
	}
}

static void batches_come_whole(void **state)
{
	struct tarn_buf out[8], in[8];
	char text[8][16];
	size_t count, total = 0;

	(void)state;
	open_both(&small);
	for (int round = 0; round < 500; round++) {
		for (int i = 0; i < 8; i++) {
			out[i].size = (size_t)snprintf(text[i], 16, "%d.%d", round, i) + 1;
			out[i].data = text[i];
		}
		assert_int_equal(tarn_ring_push_batch(producer, out, 8, &count), 0);
		assert_in_range(count, 1, 8);
		total += count;

		size_t got, sum = 0;

		while (tarn_ring_peek_batch(consumer, in, 3, &got) == 0) {
			for (size_t i = 0; i < got; i++)
				assert_string_equal(in[i].data, text[sum + i]);
			if (got == 3) { /* in two steps */
				assert_int_equal(tarn_ring_release(consumer, 1), 0);
				assert_int_equal(tarn_ring_release(consumer, 2), 0);
			} else {
				assert_int_equal(tarn_ring_release(consumer, got), 0);
			}
			assert_int_equal(tarn_ring_release(consumer, 1), -EINVAL);
			sum += got;
		}
		assert_int_equal(sum, count);
	}
	assert_true(total > 3000);
	assert_int_equal(tarn_ring_push_batch(producer, out, 0, &count), -EINVAL);
}

static void finish_ends_the_stream_and_a_successor_reopens_it(void **state)
{
	char buf[8];
	size_t size;

	(void)state;
	open_both(&small);
	assert_int_equal(tarn_ring_push(producer, "a", 1), 0);
	assert_int_equal(tarn_ring_finish(producer), 0);
	assert_int_equal(tarn_ring_pop(consumer, buf, 8, &size), 0);
	assert_int_equal(tarn_ring_pop(consumer, buf, 8, &size), -ENODATA);
	assert_int_equal(tarn_ring_pop_wait(consumer, buf, 8, TARN_FOREVER, &size), -ENODATA);
	tarn_ring_close(producer);
	assert_int_equal(tarn_ring_pop(consumer, buf, 8, &size), -ENODATA);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, NULL, &producer), 0);
	assert_int_equal(tarn_ring_pop(consumer, buf, 8, &size), -EAGAIN);
	assert_int_equal(tarn_ring_push(producer, "b", 1), 0);
	assert_int_equal(tarn_ring_pop(consumer, buf, 8, &size), 0);
}

static void a_role_has_one_holder(void **state)
{
	struct tarn_ring *second = NULL;

	(void)state;
	open_both(&small);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, NULL, &second), -EBUSY);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, NULL, &second), -EBUSY);
	assert_null(second);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_OBSERVER, NULL, &second), 0);
	tarn_ring_close(second);
}

static void another_geometry_is_refused_with_both(void **state)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_ring_opts other = { .capacity = 512, .diag = &diag };
	const struct tarn_ring_opts odd = { .capacity = 300, .diag = &diag };
	struct tarn_ring *ring;

	(void)state;
	open_both(&small);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_OBSERVER, &other, &ring), -EEXIST);
	assert_non_null(strstr(diag.what, "256"));
	assert_non_null(strstr(diag.what, "512"));
	assert_int_equal(tarn_ring_open(region, "q", TARN_RING_OBSERVER, &odd, &ring), -EINVAL);
	assert_int_equal(tarn_ring_open(region, "q", TARN_RING_OBSERVER, NULL, &ring), -ENOENT);
}

/* A word from nowhere becomes an error, not an address. */
static void damaged_words_are_refused(void **state)
{
	struct ring_shm *shm;
	char buf[8];
	size_t size = 77;

	(void)state;
	open_both(&small);
	shm = producer->shm;
	assert_int_equal(tarn_ring_push(producer, "abc", 4), 0);

	struct record_shm *record = record_at(consumer, 0);
	uint32_t word = record->word;
	static const uint32_t bad[] = { 0xffffffffu, (1u << 12) << 2 | 1, 121u << 2 | 1, 3, 2 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		record->word = bad[i];
		assert_int_equal(tarn_ring_pop(consumer, buf, sizeof(buf), &size), -EUCLEAN);
		assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
		assert_int_equal(size, 77);
	}
	record->word = word;
	record->mark = 5;
	assert_int_equal(tarn_ring_pop(consumer, buf, sizeof(buf), &size), -EUCLEAN);
	record->mark = 0;
	shm->head.pos = 1000;
	while (tarn_ring_push(producer, "abc", 4) == 0)
		;
	assert_int_equal(tarn_ring_push(producer, "abc", 4), -EUCLEAN);
	shm->head.pos = 0;
	assert_int_equal(tarn_ring_pop(consumer, buf, sizeof(buf), &size), 0);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
}

/* A producer that died between publication and its count is stepped over by the next one. */
static void a_successor_goes_on_where_the_dead_one_stopped(void **state)
{
	int status;
	size_t size;
	uint64_t got;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer), 0);
	for (uint64_t i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct tarn_ring *ring;
			int r = tarn_ring_open(region, "r", TARN_RING_PRODUCER, NULL, &ring);

			if (r == 0)
				r = tarn_ring_push(ring, &i, sizeof(i));
			if (r != 0)
				_exit(-r);
			raise(SIGKILL);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		if (i % 2 == 0) /* as if killed one store earlier */
			consumer->shm->tail.pos -= 2;
		if (i % 8 == 7)
			for (uint64_t j = i - 7; j <= i; j++) {
				assert_int_equal(tarn_ring_pop(consumer, &got, 8, &size), 0);
				assert_int_equal(got, j);
			}
	}
	assert_int_equal(tarn_ring_pop_wait(consumer, &got, 8, TARN_FOREVER, &size), -EPIPE);
}

/* Waits end by a record, by the peer's death, and by the deadline. */
static void waits_end(void **state)
{
	struct tarn_ring *ring;
	size_t size;
	uint64_t got = 0;
	int status;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer), 0);
	assert_int_equal(tarn_ring_pop_wait(consumer, &got, 8, 0, &size), -ETIMEDOUT);
	assert_int_equal(tarn_ring_wait_peer(consumer, tarn_deadline_after(1000)), -ETIMEDOUT);

	pid_t pid = fork();

	if (pid == 0) {
		int r = tarn_ring_open(region, "r", TARN_RING_PRODUCER, NULL, &ring);

		for (uint64_t i = 0; i < 1000 && r == 0; i++)
			r = tarn_ring_push_wait(ring, &i, sizeof(i),
						tarn_deadline_after(5000000000));
		(void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		if (r != 0)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(tarn_ring_wait_peer(consumer, TARN_FOREVER), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(tarn_ring_pop_wait(consumer, &got, 8, TARN_FOREVER, &size), 0);
		assert_int_equal(got, i);
	}
	assert_int_equal(tarn_ring_pop_wait(consumer, &got, 8, TARN_FOREVER, &size), -EPIPE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, NULL, &producer), 0);
	assert_int_equal(tarn_ring_pop(consumer, &got, 8, &size), -EAGAIN);
}

/* A child that uses its parent's handle does not get the parent's role. */
static void a_child_is_a_member_of_its_own(void **state)
{
	struct tarn_region_stat stat;
	int status;

	(void)state;
	open_both(&small);

	pid_t pid = fork();

	if (pid == 0) {
		int r = tarn_ring_push(producer, "x", 1);

		if (r != -EBUSY)
			_exit(1);
		if (tarn_region_stat(region, &stat) != 0 || stat.member_count != 2)
			_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(tarn_region_stat(region, &stat), 0);
	assert_int_equal(stat.member_count, 1);
	assert_int_equal(tarn_ring_push(producer, "x", 1), 0);
	tarn_ring_close(producer);
	producer = NULL;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_region, drop_region)
	const struct CMUnitTest tests[] = {
		TEST(full_then_drained),
		TEST(any_size_survives_the_wrap),
		TEST(the_largest_record_always_fits_an_empty_ring),
		TEST(fixed_records_have_their_size),
		TEST(a_dropped_reservation_leaves_nothing),
		TEST(batches_come_whole),
		TEST(finish_ends_the_stream_and_a_successor_reopens_it),
		TEST(a_role_has_one_holder),
		TEST(another_geometry_is_refused_with_both),
		TEST(damaged_words_are_refused),
		TEST(a_successor_goes_on_where_the_dead_one_stopped),
		TEST(waits_end),
		TEST(a_child_is_a_member_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
