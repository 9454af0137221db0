/* SPDX-License-Identifier: BSD-2-Clause */
/* Latest value in a region that is only looked on: it is read, waited for, and left as it was. */
#include <stdlib.h>

#include <tarn/latest.h>

#include "prim.h"

#include "flow/latest.h"

enum { WORDS = 512, READS = 60000 };

static struct tarn_region *look;
static struct tarn_latest *copied, *filled; /* to write */
static struct tarn_latest *seen[2];         /* to look on */

static int make_looked_on(void **state)
{
	const struct tarn_latest_opts copies = { .size = sizeof(uint64_t[WORDS]), .holders = 1 };
	const struct tarn_latest_opts in_place = { .size = sizeof(uint64_t[WORDS]),
						   .holders = 1,
						   .flags = TARN_LATEST_IN_PLACE };
	const struct tarn_region_opts opts = { .size = 1 << 18 };
	const struct tarn_region_opts observe = { .flags = TARN_REGION_OBSERVE };

	(void)state;
	alarm(60);
	return tarn_region_create("memfd:tarn-unit-latest", &opts, &region) < 0 ||
			       tarn_latest_open(region, "copied", &copies, &copied) < 0 ||
			       tarn_latest_open(region, "filled", &in_place, &filled) < 0 ||
			       tarn_region_open_fd(tarn_segment_fd(tarn_region_segment(region)),
						   &observe, &look) < 0 ||
			       tarn_latest_open(look, "copied", NULL, &seen[0]) < 0 ||
			       tarn_latest_open(look, "filled", NULL, &seen[1]) < 0
		       ? -1
		       : 0;
}

static int drop_looked_on(void **state)
{
	tarn_latest_close(seen[0]);
	tarn_latest_close(seen[1]);
	tarn_region_close(look);
	tarn_latest_close(copied);
	tarn_latest_close(filled);
	return drop_region(state);
}

static void fill(uint64_t *words, uint64_t n)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = n;
}

static int write_both(uint64_t n)
{
	uint64_t words[WORDS];
	void *data;
	int r;

	fill(words, n);
	r = tarn_latest_write(copied, words, sizeof(words), TARN_FOREVER, NULL);
	if (r == 0)
		r = tarn_latest_loan(filled, TARN_FOREVER, &data, NULL);
	if (r < 0)
		return r;
	fill(data, n);
	return tarn_latest_publish(filled, sizeof(words));
}

/* Read @from; 0 and what it is, all of it. */
static int read_whole(struct tarn_latest *from, uint64_t *ret_n, uint64_t *ret_number)
{
	uint64_t words[WORDS];
	size_t size = 0;
	int r = tarn_latest_read(from, words, sizeof(words), &size, ret_number);

	if (r < 0)
		return r;
	assert_int_equal(size, sizeof(words));
	for (int i = 1; i < WORDS; i++)
		assert_int_equal(words[i], words[0]);
	*ret_n = words[0];
	return 0;
}

static void it_reads_and_leaves_no_trace(void **state)
{
	const unsigned char *at = (const unsigned char *)copied->prim.sec.shm;
	size_t size = (size_t)copied->prim.sec.object.size;
	unsigned char *before = malloc(size);
	struct tarn_latest_stat stat;
	uint64_t n, number = 0;
	const void *data;

	(void)state;
	assert_non_null(before);
	for (int i = 0; i < 2; i++)
		assert_int_equal(read_whole(seen[i], &n, &number), -ENODATA);
	assert_int_equal(write_both(4), 0);
	memcpy(before, at, size);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(read_whole(seen[i], &n, &number), 0);
		assert_int_equal(n, 4);
		assert_int_equal(number, 1);
		assert_int_equal(tarn_latest_wait(seen[i], 0, 0, &number), 0);
		assert_int_equal(
			tarn_latest_wait(seen[i], 1, tarn_deadline_after(SOON_NS), &number),
			-ETIMEDOUT);
		assert_int_equal(tarn_latest_stat(seen[i], &stat), 0);
		assert_int_equal(stat.number, 1);
		assert_int_equal(tarn_latest_hold(seen[i], &data, &(size_t){ 0 }, NULL, NULL),
				 -EPERM);
		assert_int_equal(tarn_latest_write(seen[i], &n, sizeof(n), 0, NULL), -EPERM);
	}
	assert_memory_equal(before, at, size);
	free(before);
}

static int write_for_ever(void *arg)
{
	(void)arg;
	for (uint64_t n = 1;; n++) {
		if (write_both(n) < 0)
			return 1;
		if (n % 8 == 0)
			pause_us(1);
	}
}

static void it_reads_whole_values_beside_a_writer(void **state)
{
	uint64_t n = 0, number = 0, last[2] = { 0, 0 };
	pid_t writer = start(write_for_ever, NULL);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			tarn_latest_wait(seen[i], 0, tarn_deadline_after(SURELY_NS), &number), 0);
		for (int k = 0; k < READS; k++) {
			int r = read_whole(seen[i], &n, &number);

			assert_true(r == 0 || r == -EAGAIN);
			if (r == 0) {
				assert_int_equal(n, number);
				assert_true(number >= last[i]);
				last[i] = number;
			}
		}
	}
	assert_true(last[1] > 1);
	end(writer);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_looked_on, drop_looked_on)
	const struct CMUnitTest tests[] = {
		TEST(it_reads_and_leaves_no_trace),
		TEST(it_reads_whole_values_beside_a_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
