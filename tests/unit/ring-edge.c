/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring, at its edges: waits whose deadline is past, or that a peer would make last for ever (each
 * runs in a child, which SIGALRM ends if it does), and the words that go with errors.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow/ring.h"
#include "child.h"

static struct tarn_region *region;
static struct tarn_ring *producer, *consumer;
static const struct tarn_ring_opts small = { .capacity = 256 };

static int make_region(void **state)
{
	(void)state;
	producer = consumer = NULL;
	return tarn_region_create("anon:", NULL, &region);
}

static int drop_region(void **state)
{
	(void)state;
	tarn_ring_close(producer);
	tarn_ring_close(consumer);
	tarn_region_close(region);
	return 0;
}

static int join_and_die(void)
{
	struct tarn_region_stat stat;

	if (tarn_region_stat(region, &stat) != 0)
		return 1;
	raise(SIGKILL);
	return 2;
}

static int find_dead(const struct tarn_member_stat *stat, void *arg)
{
	if (!stat->alive)
		*(uint32_t *)arg = tarn__id_of(stat->slot, stat->generation);
	return 0;
}

/* The peer says "nobody sleeps", whenever it can. */
static int unsleep(enum tarn_plat_call call)
{
	if (call == TARN_PLAT_LOCK_GET)
		atomic_store_explicit(&consumer->mine->waiting, 0, memory_order_relaxed);
	return 0;
}

static int wait_under_fire(void)
{
	uint32_t dead = 0;

	if (in_child(join_and_die) != 1000 + SIGKILL ||
	    tarn_region_members(region, find_dead, &dead) != 0 || dead == 0)
		return 3;
	if (tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer) != 0)
		return 1;
	/* to see that a member is dead takes a call: time enough for the peer */
	atomic_store_explicit(&consumer->theirs->owner, dead, memory_order_relaxed);
	tarn__plat_fault = unsleep;
	return tarn_ring_wait_peer(consumer, tarn_deadline_after(20000000)) == -ETIMEDOUT ? 0 : 2;
}

static void a_scribbled_sleep_mark_does_not_outlast_the_deadline(void **state)
{
	(void)state;
	assert_int_equal(in_child(wait_under_fire), 0);
}

static int pop_once(void)
{
	char record[56] = { 0 };
	size_t size;

	if (tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer) != 0)
		return 1;
	if (tarn_ring_pop_wait(consumer, record, sizeof(record), 0, &size) != -ETIMEDOUT)
		return 2;
	return tarn_ring_pop_wait(consumer, record, sizeof(record), INT64_MIN, &size) == -ETIMEDOUT
		       ? 0
		       : 3;
}

static void a_past_deadline_tries_once(void **state)
{
	(void)state;
	assert_int_equal(in_child(pop_once), 0);
}

static void words_are_for_failures_alone(void **state)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_ring_opts opts = { .capacity = 256, .diag = &diag };
	struct tarn_ring *second = NULL;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &opts, &producer), 0);
	assert_string_equal(diag.what, "");
	/* a header whose own numbers contradict each other, with a checksum that fits */
	producer->shm->record_max -= 8;
	producer->shm->check = tarn__ring_header_check(producer->shm);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &opts, &second), -EUCLEAN);
	assert_string_not_equal(diag.what, "");
	assert_null(second);
}

static void a_handle_that_never_spins_waits_all_the_same(void **state)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_ring_opts unknown = { .flags = 4, .diag = &diag };
	const struct tarn_ring_opts asleep = { .capacity = 256, .flags = TARN_RING_NO_SPIN };
	uint64_t record = 1;
	size_t size;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &unknown, &producer),
			 -EINVAL);
	assert_non_null(strstr(diag.what, "0x4"));
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &asleep, &consumer), 0);
	/* of the handle: the other side spins, unless it says so, too */
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &small, &producer), 0);
	assert_int_equal(consumer->spin_ns, 0);
	assert_true(producer->spin_ns > 0);
	assert_int_equal(tarn_ring_pop_wait(consumer, &record, sizeof(record),
					    tarn_deadline_after(1000000), &size),
			 -ETIMEDOUT);
	assert_int_equal(tarn_ring_push(producer, &record, sizeof(record)), 0);
	assert_int_equal(tarn_ring_pop_wait(consumer, &record, sizeof(record), TARN_FOREVER, &size),
			 0);
	assert_int_equal(consumer->spin_ns, 0);
}

/* Numbered, and of so many bytes. */
static struct {
	uint64_t pushed, popped;
	size_t size;
} numbered;

static int push_one(void)
{
	uint64_t record[16] = { numbered.pushed };
	int r = tarn_ring_push(producer, record, numbered.size);

	numbered.pushed += r == 0;
	return r;
}

static int pop_one(void)
{
	uint64_t record[16];
	size_t size;
	int r = tarn_ring_pop(consumer, record, sizeof(record), &size);

	if (r < 0)
		return r;
	assert_int_equal(size, numbered.size);
	assert_int_equal(record[0], numbered.popped++);
	return 0;
}

/* It finds nothing until that is over, and once for each 1/64 of the ring. */
static void stream(uint32_t size)
{
	uint64_t record[16];
	size_t got;

	numbered.size = size;
	consumer->rested_at = consumer->pos;
	while (consumer->pos - consumer->rested_at <= consumer->capacity / 64) {
		assert_int_equal(pop_one(), -EAGAIN); /* no rest yet */
		assert_int_equal(push_one(), 0);
		assert_int_equal(pop_one(), 0);
	}
	assert_int_equal(pop_one(), -EAGAIN);
	consumer->rest_until = INT64_MAX;
	assert_int_equal(push_one(), 0);
	assert_int_equal(pop_one(), -EAGAIN); /* it rests */
	assert_int_equal(tarn_ring_pop_wait(consumer, record, sizeof(record), INT64_MIN, &got), 0);
	assert_int_equal(record[0], numbered.popped++); /* no longer than until the deadline */
	assert_int_equal(pop_one(), -EAGAIN);
	assert_int_equal(push_one(), 0);
	assert_int_equal(pop_one(), 0); /* not again so soon */

	while (push_one() == 0)
		;
	producer->rest_until = INT64_MAX;
	assert_int_equal(pop_one(), 0);
	assert_int_equal(push_one(), -EAGAIN);
	memset(record, 0, sizeof(record));
	record[0] = numbered.pushed++;
	assert_int_equal(tarn_ring_push_wait(producer, record, size, INT64_MIN), 0);
	while (pop_one() == 0)
		;
	assert_int_equal(numbered.popped, numbered.pushed);
	consumer->rest_until = producer->rest_until = 0;
	consumer->rested_at = consumer->pos - consumer->capacity; /* one is due, and a long one */
	consumer->rest_ns = INT64_MAX / 4;
	assert_int_equal(tarn_ring_finish(producer), 0);
	assert_int_equal(pop_one(), -ENODATA);
	assert_int_equal(pop_one(), -ENODATA); /* there is nobody to let ahead */
}

static void who_streams_and_has_caught_up_rests(void **state)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_ring_opts opts = { .capacity = 1 << 16, .flags = TARN_RING_STREAM };
	const struct tarn_ring_opts both = { .flags = TARN_RING_STREAM | TARN_RING_NO_SPIN,
					     .diag = &diag };

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &both, &producer),
			 -EINVAL);
	assert_non_null(strstr(diag.what, "cannot stream"));
	for (uint32_t size = 8; size <= 100; size += 92) {
		assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &opts, &consumer),
				 0);
		assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &opts, &producer),
				 0);
		stream(size);
		tarn_ring_close(producer);
		tarn_ring_close(consumer);
		producer = consumer = NULL;
	}
}

static uint64_t seed = 1;

static uint32_t random_below(uint32_t end)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % end;
}

enum { MANY = 8, NUMBERS = 4096, ROOM = 8192 };

static size_t written[NUMBERS]; /* sizes, by number */

/* Mostly like the one before: 8 and 64 bytes, and others. */
static uint32_t some_size(uint32_t max)
{
	static uint32_t usual;

	switch (random_below(16)) {
	case 0:
		usual = 8;
		break;
	case 1:
		usual = 64;
		break;
	case 2:
		usual = random_below(max + 1);
		break;
	case 3:
	case 4:
		return random_below(max + 1);
	}
	return usual < max ? usual : max;
}

/* One way or another of several to write records of up to @max bytes. How many were written. */
static uint64_t write_some(uint64_t next, uint32_t max)
{
	static unsigned char bytes[MANY][ROOM];
	struct tarn_buf bufs[MANY];
	void *data;
	size_t count = 1;
	int r;

	for (unsigned i = 0; i < MANY; i++) {
		bufs[i] = (struct tarn_buf){ bytes[i], some_size(max) };
		memset(bytes[i], (int)(0x80 | (next + i)), bufs[i].size); /* never 0 */
		written[(next + i) % NUMBERS] = bufs[i].size;
	}
	switch (random_below(8)) {
	case 0:
	case 3:
		r = tarn_ring_push_batch(producer, bufs, 1 + random_below(MANY), &count);
		break;
	case 1:
		r = tarn_ring_reserve(producer, max, &data);
		if (r == 0) {
			memset(data, 0xff, max);
			memcpy(data, bytes[0], bufs[0].size);
			r = tarn_ring_commit(producer, bufs[0].size);
		}
		break;
	case 2:
		r = tarn_ring_reserve(producer, max, &data);
		if (r == 0) {
			memset(data, 0xff, max);
			tarn_ring_abort(producer);
		}
		return 0;
	default:
		r = tarn_ring_push(producer, bytes[0], bufs[0].size);
	}
	assert_true(r == 0 || r == -EAGAIN);
	return r == 0 ? count : 0;
}

/* Is it what was written with this number? */
static bool is_numbered(const unsigned char *data, size_t size, uint64_t number)
{
	size_t right = 0;

	while (right < size && data[right] == (unsigned char)(0x80 | number))
		right++;
	return size == written[number % NUMBERS] && right == size;
}

/* The oldest of them is read, if there is one. How many were read. */
static uint64_t read_some(uint64_t first, uint64_t next)
{
	static unsigned char bytes[ROOM];
	struct tarn_buf bufs[MANY];
	size_t size, count = 1;
	int r;

	if (random_below(4) == 0) {
		r = tarn_ring_peek_batch(consumer, bufs, 1 + random_below(MANY), &count);
		for (size_t i = 0; r == 0 && i < count; i++)
			assert_true(is_numbered(bufs[i].data, bufs[i].size, first + i));
		if (r == 0)
			assert_int_equal(tarn_ring_release(consumer, count), 0);
	} else {
		r = tarn_ring_pop(consumer, bytes, sizeof(bytes), &size);
		if (r == 0)
			assert_true(is_numbered(bytes, size, first));
	}
	assert_int_equal(r, first == next ? -EAGAIN : 0);
	return r == 0 ? count : 0;
}

/* Write and read records of up to @max bytes, about as many, and now and then read all. */
static void many_laps(uint32_t max, int steps)
{
	uint64_t first = 0, next = 0;

	for (int step = 0; step < steps; step++) {
		next += write_some(next, max);
		/* relaxed: one thread */
		assert_int_equal(atomic_load_explicit(&record_at(producer, producer->pos)->word,
						      memory_order_relaxed),
				 0);
		/* what else is 0 is not of a lap ago, or it would be believed 2^32 later */
		if (producer->run == 0)
			assert_true(producer->zero_at - producer->pos < producer->capacity);
		for (uint32_t left = step % 16 == 0 ? 1000 : random_below(3); left > 0; left--)
			first += read_some(first, next);
	}
}

/* Laps over what is not 0: the unit behind the newest record is (I4), and nothing else is read. */
static void old_bytes_are_never_taken_for_records(void **state)
{
	static const struct {
		uint64_t capacity;
		uint32_t max;
	} rows[] = {
		{ 256, 8 },     { 256, 40 },     { 256, 100 },   { 256, 120 },    { 512, 8 },
		{ 512, 40 },    { 512, 100 },    { 512, 128 },   { 4096, 8 },     { 4096, 40 },
		{ 4096, 100 },  { 4096, 1100 },  { 4096, 1984 }, { 16384, 1100 }, { 16384, 4096 },
		{ 2048, 1016 }, { 16384, 8128 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct tarn_ring_opts opts = { .capacity = rows[i].capacity };
		char name[8] = { 'r', (char)('a' + i), '\0' };

		assert_int_equal(tarn_ring_open(region, name, TARN_RING_PRODUCER, &opts, &producer),
				 0);
		assert_int_equal(tarn_ring_open(region, name, TARN_RING_CONSUMER, &opts, &consumer),
				 0);
		many_laps(rows[i].max, rows[i].max > 128 ? 4000 : 20000);
		tarn_ring_close(producer);
		tarn_ring_close(consumer);
		producer = consumer = NULL;
	}
}

/* A record of @size bytes goes there and back, in place: where its payload is. */
static const unsigned char *in_place(size_t size)
{
	const void *there;
	size_t got;
	void *data;

	assert_int_equal(tarn_ring_reserve(producer, size, &data), 0);
	memset(data, 0xff, size);
	assert_int_equal(tarn_ring_commit(producer, size), 0);
	assert_int_equal(tarn_ring_peek(consumer, &there, &got), 0);
	assert_int_equal(got, size);
	assert_ptr_equal(there, data);
	assert_int_equal(tarn_ring_release(consumer, 1), 0);
	return data;
}

/* Whatever went before, from the second on, but for the first of a lap. */
static void large_payloads_are_aligned(void **state)
{
	const struct tarn_ring_opts opts = { .capacity = 1 << 16 };
	unsigned aligned = 0;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &opts, &producer), 0);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &opts, &consumer), 0);
	for (uint32_t before = 0; before < 100; before++) {
		size_t size = LARGE + before * 13;

		(void)in_place(before);
		(void)in_place(size);
		for (int i = 0; i < 3; i++)
			aligned += (uintptr_t)in_place(size) % 32 == 0;
	}
	assert_in_range(aligned, 280, 300);
	assert_true((uintptr_t)in_place(LARGE - 1) % 8 == 0);
}

/* What a skip in front of it says has to fit into the word of a record. */
static void the_largest_record_of_all_can_be_skipped_to(void **state)
{
	(void)state;
	for (uint32_t pos = 0; pos < 2 * LINE_UNITS; pos++) {
		uint32_t units = end_of(pos, RECORD_MAX) - pos;

		assert_true(((uint64_t)(units - 2) * RING_UNIT << 2 | RECORD_SKIP) <= UINT32_MAX);
	}
}

/* Positions count modulo 2^32, and a new handle knows of no unit that it is 0. */
static void a_producer_may_begin_right_before_position_0(void **state)
{
	const uint32_t begin = 0u - 2;
	uint64_t record = 1;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer), 0);
	/* relaxed: one thread, and so below */
	atomic_store_explicit(&consumer->shm->tail.pos, begin, memory_order_relaxed);
	atomic_store_explicit(&consumer->shm->head.pos, begin, memory_order_relaxed);
	memset(record_at(consumer, 0), 0xff, RING_UNIT);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &small, &producer), 0);
	assert_int_equal(tarn_ring_push(producer, &record, sizeof(record)), 0);
	assert_int_equal(producer->pos, 0);
	assert_int_equal(atomic_load_explicit(&record_at(producer, 0)->word, memory_order_relaxed),
			 0);
}

/* A record of record_max fits into an empty ring at any place, and one more byte is refused. */
static void the_largest_record_fits_at_any_place(void **state)
{
	static const uint64_t capacities[] = { 256, 1024, 2048, 4096, 8192 };

	(void)state;
	for (unsigned i = 0; i < sizeof(capacities) / sizeof(*capacities); i++) {
		const struct tarn_ring_opts opts = { .capacity = capacities[i] };
		struct tarn_ring_stat stat;
		char name[8] = { 'r', (char)('a' + i), '\0' };

		assert_int_equal(tarn_ring_open(region, name, TARN_RING_PRODUCER, &opts, &producer),
				 0);
		assert_int_equal(tarn_ring_open(region, name, TARN_RING_CONSUMER, &opts, &consumer),
				 0);
		assert_int_equal(tarn_ring_stat(producer, &stat), 0);
		for (uint32_t place = 0; place < producer->capacity; place++) {
			while ((producer->pos & producer->mask) != place)
				(void)in_place(0); /* one unit further on */
			(void)in_place(stat.record_max);
		}
		assert_int_equal(tarn_ring_push(producer, name, stat.record_max + 1), -EMSGSIZE);
		tarn_ring_close(producer);
		tarn_ring_close(consumer);
		producer = consumer = NULL;
	}
}

/* What a hostile producer publishes at @pos: the header of 8 bytes of data, with that mark. */
static void forge(uint32_t pos, uint32_t mark)
{
	store_header(record_at(consumer, pos), mark, 8u << 2 | RECORD_DATA, memory_order_relaxed);
}

/* The short ways, of records like the one before: they look at mark and place all the same. */
static void what_only_looks_like_the_one_before_is_damage(void **state)
{
	const uint32_t capacity = (uint32_t)small.capacity / RING_UNIT, units = 2;
	unsigned char bytes[8] = { 0 };
	struct tarn_buf bufs[MANY];
	size_t size, count;

	(void)state;
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_PRODUCER, &small, &producer), 0);
	assert_int_equal(tarn_ring_open(region, "r", TARN_RING_CONSUMER, &small, &consumer), 0);
	assert_int_equal(tarn_ring_push(producer, bytes, sizeof(bytes)), 0);
	assert_int_equal(tarn_ring_pop(consumer, bytes, sizeof(bytes), &size), 0);

	forge(units, units + capacity); /* of another lap */
	assert_int_equal(tarn_ring_pop(consumer, bytes, sizeof(bytes), &size), -EUCLEAN);
	forge(units, units);
	forge(2 * units, 0);
	assert_int_equal(tarn_ring_peek_batch(consumer, bufs, MANY, &count), 0);
	assert_int_equal(count, 1);

	/* half of it would be behind the ring */
	consumer->pos = capacity - 1;
	forge(capacity - 1, capacity - 1);
	assert_int_equal(tarn_ring_pop(consumer, bytes, sizeof(bytes), &size), -EUCLEAN);
	consumer->pos = capacity - 1 - units;
	forge(capacity - 1 - units, capacity - 1 - units);
	assert_int_equal(tarn_ring_peek_batch(consumer, bufs, MANY, &count), 0);
	assert_int_equal(count, 1);
}

/* Where memcpy() would be slow they are copied in pieces: from each place beside the other. */
static void copies_are_the_same_wherever_both_lie(void **state)
{
	static unsigned char from[3 * COPY_PAGE], to[3 * COPY_PAGE];

	(void)state;
	for (uint32_t i = 0; i < sizeof(from); i++)
		from[i] = (unsigned char)(i * 7 + i / 251);
	for (uint32_t at = 0; at < 2 * TARN__CACHE_LINE; at++)
		for (uint32_t size = 1020; size <= 5000; size += 331) {
			memset(to, 0, sizeof(to));
			copy(to + at, from, size);
			assert_memory_equal(to + at, from, size);
			assert_int_equal(to[at + size], 0);
		}
	assert_true(copies_slowly(to + COPY_PAGE + 8, to, COPY_BY_STRING));
	assert_false(copies_slowly(to + COPY_PAGE + 8, to, COPY_BY_STRING - 1));
	assert_false(copies_slowly(to, to, COPY_BY_STRING));
	assert_false(copies_slowly(to + 32, to, COPY_BY_STRING));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_region, drop_region)
	const struct CMUnitTest tests[] = {
		TEST(a_scribbled_sleep_mark_does_not_outlast_the_deadline),
		TEST(a_past_deadline_tries_once),
		TEST(words_are_for_failures_alone),
		TEST(a_handle_that_never_spins_waits_all_the_same),
		TEST(who_streams_and_has_caught_up_rests),
		TEST(old_bytes_are_never_taken_for_records),
		TEST(large_payloads_are_aligned),
		TEST(the_largest_record_fits_at_any_place),
		TEST(the_largest_record_of_all_can_be_skipped_to),
		TEST(a_producer_may_begin_right_before_position_0),
		TEST(what_only_looks_like_the_one_before_is_damage),
		TEST(copies_are_the_same_wherever_both_lie),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
