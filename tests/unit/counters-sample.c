/* SPDX-License-Identifier: BSD-2-Clause */
/* Histograms and samples of counters: what is stated of buckets, quantiles, sums, merging and
 * differences, on values of every size. */
#include <stdio.h>
#include <stdlib.h>

#include <tarn/counters.h>

#include "prim.h"

#include "flow/counters.h"

enum { HITS, BUSY, FIRST, LAST = FIRST + TARN_METRIC_BITS_MAX - 1, METRICS };

static struct tarn_metric metrics[METRICS] = {
	[HITS] = { "hits_total", "", "", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "", TARN_METRIC_GAUGE, 0, 0 },
};
static char names[METRICS][16];
static struct tarn_counters *web;
static struct tarn_sample *sample;

/* Histograms of 1 to 7 bits for values of any size. */
static int make_counters(void **state)
{
	const struct tarn_counters_opts opts = { .metrics = metrics, .count = METRICS, .slots = 2 };

	for (uint32_t i = FIRST; i <= LAST; i++) {
		snprintf(names[i], sizeof(names[i]), "took%u_ns", i - FIRST + 1);
		metrics[i] =
			(struct tarn_metric){ names[i],      "ns",      "", TARN_METRIC_HISTOGRAM,
					      i - FIRST + 1, UINT64_MAX };
	}
	if (make_region(state) < 0 || tarn_counters_open(region, "web", &opts, &web) < 0 ||
	    tarn_sample_new(web, &sample) < 0)
		return -1;
	return 0;
}

static int drop_counters(void **state)
{
	tarn_sample_free(sample);
	tarn_counters_close(web);
	return drop_region(state);
}

static void take_sample(void)
{
	assert_int_equal(tarn_sample_take(sample, web), 0);
	assert_true(tarn_sample_time(sample) > 0);
}

/* Of each order of magnitude the least values, the largest, and some between. */
static uint64_t nth_value(unsigned n)
{
	unsigned bit = n / 8;
	uint64_t low = UINT64_C(1) << bit, of = (uint64_t)n * UINT64_C(0x9e3779b97f4a7c15);

	switch (n % 8) {
	case 0:
		return low;
	case 1:
		return low - 1;
	case 2:
		return low | (low - 1);
	default:
		return low | (of & (low - 1));
	}
}

enum { VALUES = 8 * 64 };

static void each_value_has_its_bucket(void **state)
{
	(void)state;
	for (unsigned n = 0; n < VALUES; n++) {
		uint64_t value = nth_value(n);

		for (uint32_t i = FIRST; i <= LAST; i++) {
			uint32_t bits = metrics[i].bits, at = bucket_of(bits, value);
			struct tarn_bucket bucket = { 0, 0, 0 };

			assert_int_equal(tarn_sample_bucket(sample, i, at, &bucket), 0);
			assert_true(bucket.low <= value && value <= bucket.high);
			assert_true(bucket.high - bucket.low <= (value >> bits));
			assert_int_equal(bucket_of(bits, bucket.low), at);
			assert_int_equal(bucket_of(bits, bucket.high), at);
		}
	}
}

static void buckets_lie_one_behind_another(void **state)
{
	(void)state;
	for (uint32_t i = FIRST; i <= LAST; i++) {
		struct tarn_bucket bucket;
		uint64_t next = 0;
		uint32_t at = 0;

		for (; tarn_sample_bucket(sample, i, at, &bucket) == 0; at++) {
			assert_int_equal(bucket.low, next);
			assert_int_equal(bucket.count, 0);
			next = bucket.high + 1;
		}
		assert_int_equal(next, 0); /* to the last of 64 bits */
		assert_int_equal(at, (65u - metrics[i].bits) << metrics[i].bits);
	}
	assert_int_equal(tarn_sample_bucket(sample, HITS, 0, &(struct tarn_bucket){ 0 }), -ENOENT);
	assert_int_equal(tarn_sample_bucket(sample, METRICS, 0, &(struct tarn_bucket){ 0 }),
			 -ENOENT);
}

static int by_size(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void quantiles_are_as_exact_as_stated(void **state)
{
	static const double some[] = { 0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1, 2 };
	uint64_t values[VALUES], sum = 0;

	(void)state;
	for (unsigned n = 0; n < VALUES; n++) {
		values[n] = nth_value(n);
		sum += values[n];
		for (uint32_t i = FIRST; i <= LAST; i++)
			tarn_histogram_record(web, i, values[n]);
	}
	qsort(values, VALUES, sizeof(values[0]), by_size);
	take_sample();
	for (uint32_t i = FIRST; i <= LAST; i++) {
		assert_int_equal(tarn_sample_value(sample, i), VALUES);
		assert_int_equal(tarn_sample_sum(sample, i), sum);
		for (size_t k = 0; k < sizeof(some) / sizeof(some[0]); k++) {
			double rank = some[k] * VALUES;
			size_t at = rank <= 1 ? 0 : rank >= VALUES ? VALUES - 1 : (size_t)rank - 1;
			uint64_t exact, told = tarn_sample_quantile(sample, i, some[k]), off;

			at += (double)(at + 1) < rank && at + 1 < VALUES;
			exact = values[at];
			off = told > exact ? told - exact : exact - told;
			assert_true(off <= exact >> (metrics[i].bits + 1));
			if (exact < UINT64_C(2) << metrics[i].bits)
				assert_int_equal(off, 0);
		}
	}
}

static void sum_and_mean_are_exact(void **state)
{
	(void)state;
	for (uint64_t n = 1; n <= 1000; n++)
		tarn_histogram_record(web, FIRST, n * 1001);
	take_sample();
	assert_int_equal(tarn_sample_sum(sample, FIRST), UINT64_C(1001) * 500500);
	assert_true(tarn_sample_mean(sample, FIRST) == 1001 * 500.5);
	assert_true(tarn_sample_mean(sample, LAST) == 0);
	assert_int_equal(tarn_sample_quantile(sample, LAST, 0.5), 0);
	assert_true(tarn_sample_mean(sample, HITS) == 0);
	assert_int_equal(tarn_sample_quantile(sample, HITS, 0.5), 0);
	assert_int_equal(tarn_sample_sum(sample, HITS), 0);
	assert_int_equal(tarn_sample_value(sample, METRICS), 0);
}

static void larger_values_count_as_the_largest(void **state)
{
	const struct tarn_metric small[] = {
		{ "small", "", "", TARN_METRIC_HISTOGRAM, 0, 1000 },
		{ "usual", "", "", TARN_METRIC_HISTOGRAM, 0, 0 },
	};
	const struct tarn_counters_opts opts = { .metrics = small, .count = 2, .slots = 1 };
	struct tarn_counters *counters = NULL;
	struct tarn_sample *of = NULL;
	struct tarn_bucket bucket = { 0, 0, 0 };
	uint32_t last = 0;

	(void)state;
	assert_int_equal(tarn_counters_open(region, "small", &opts, &counters), 0);
	assert_int_equal(tarn_counters_describe(counters, 0)->bits, 4);
	assert_int_equal(tarn_counters_describe(counters, 1)->bits, 4);
	assert_int_equal(tarn_counters_describe(counters, 1)->most, (UINT64_C(1) << 40) - 1);
	tarn_histogram_record(counters, 0, 1000);
	tarn_histogram_record(counters, 0, 1001);
	tarn_histogram_record(counters, 0, UINT64_MAX);
	tarn_histogram_record(counters, 1, UINT64_MAX);
	assert_int_equal(tarn_sample_new(counters, &of), 0);
	assert_int_equal(tarn_sample_take(of, counters), 0);
	assert_int_equal(tarn_sample_take(sample, counters), -EPROTO);
	assert_int_equal(tarn_sample_value(of, 0), 3);
	assert_int_equal(tarn_sample_sum(of, 0), 3000);
	while (tarn_sample_bucket(of, 0, last, &bucket) == 0)
		last++;
	assert_int_equal(bucket.high, 1000);
	assert_int_equal(bucket.count, 3);
	assert_int_equal(tarn_sample_sum(of, 1), (UINT64_C(1) << 40) - 1);
	tarn_sample_free(of);
	tarn_counters_close(counters);
}

static int record_and_die(void *arg)
{
	for (uint64_t n = 0; n < 100; n++)
		tarn_histogram_record(arg, FIRST + 3, n * 77);
	tarn_counter_add(arg, HITS, 100);
	return 0;
}

static void what_the_dead_recorded_stays(void **state)
{
	uint64_t values[METRICS];

	(void)state;
	for (uint64_t n = 1; n < 5; n++) {
		run_dead(record_and_die, web);
		take_sample();
		assert_int_equal(tarn_sample_value(sample, FIRST + 3), 100 * n);
		assert_int_equal(tarn_sample_sum(sample, FIRST + 3), n * 77 * 4950);
		assert_int_equal(tarn_counters_read(web, values, METRICS), 0);
		assert_int_equal(values[FIRST + 3], 100 * n);
		assert_int_equal(values[FIRST], 0);
		assert_int_equal(values[HITS], 100 * n);
	}
}

static void samples_are_subtracted_and_merged(void **state)
{
	struct tarn_sample *earlier = NULL;

	(void)state;
	assert_int_equal(tarn_sample_new(web, &earlier), 0);
	assert_int_equal(tarn_sample_time(earlier), 0);
	tarn_counter_add(web, HITS, 5);
	tarn_gauge_set(web, BUSY, 3);
	for (uint64_t n = 0; n < 50; n++)
		tarn_histogram_record(web, LAST, n * 1000);
	assert_int_equal(tarn_sample_take(earlier, web), 0);
	tarn_counter_add(web, HITS, 7);
	tarn_gauge_set(web, BUSY, 2);
	for (uint64_t n = 0; n < 10; n++)
		tarn_histogram_record(web, LAST, 1000000 + n);
	take_sample();
	assert_int_equal(tarn_sample_subtract(earlier, sample), -EINVAL);
	assert_int_equal(tarn_sample_value(earlier, HITS), 5);
	assert_int_equal(tarn_sample_subtract(sample, earlier), 0);
	assert_int_equal(tarn_sample_value(sample, HITS), 7);
	assert_int_equal(tarn_sample_value(sample, BUSY), 2);
	assert_int_equal(tarn_sample_value(sample, LAST), 10);
	assert_int_equal(tarn_sample_sum(sample, LAST), 10000045);
	assert_int_equal(tarn_sample_merge(sample, earlier), 0);
	assert_int_equal(tarn_sample_value(sample, HITS), 12);
	assert_int_equal(tarn_sample_value(sample, BUSY), 5);
	assert_int_equal(tarn_sample_value(sample, LAST), 60);
	assert_int_equal(tarn_sample_sum(sample, LAST), 10000045 + 1225000);
	tarn_sample_free(earlier);
	tarn_sample_free(NULL);
}

static void samples_of_other_metrics_are_told_apart(void **state)
{
	const struct tarn_counters_opts opts = { .metrics = metrics,
						 .count = METRICS - 1,
						 .slots = 1 };
	struct tarn_counters *counters = NULL;
	struct tarn_sample *of = NULL;

	(void)state;
	assert_int_equal(tarn_counters_open(region, "fewer", &opts, &counters), 0);
	assert_int_equal(tarn_sample_new(counters, &of), 0);
	assert_int_equal(tarn_sample_merge(sample, of), -EPROTO);
	assert_int_equal(tarn_sample_subtract(sample, of), -EPROTO);
	tarn_counters_close(counters);
	assert_int_equal(tarn_sample_value(of, HITS), 0); /* it outlives them */
	tarn_sample_free(of);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_counters, drop_counters)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_value_has_its_bucket),
		TEST(buckets_lie_one_behind_another),
		TEST(quantiles_are_as_exact_as_stated),
		TEST(sum_and_mean_are_exact),
		TEST(larger_values_count_as_the_largest),
		TEST(what_the_dead_recorded_stays),
		TEST(samples_are_subtracted_and_merged),
		TEST(samples_of_other_metrics_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
