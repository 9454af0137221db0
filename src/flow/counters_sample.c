/* SPDX-License-Identifier: BSD-2-Clause */
/* counters_sample.c - a copy of all sums, and what can be said of its histograms. No shared memory
 * but in tarn_sample_take(). */
#include <errno.h>
#include <stdlib.h>

#include "flow/counters.h"

struct tarn_sample {
	struct metrics of;
	int64_t time; /* 0: never taken */
	uint64_t cells[];
};

int tarn_sample_new(const struct tarn_counters *counters, struct tarn_sample **ret_sample)
{
	const struct metrics *of = &counters_of(counters)->of;
	struct tarn_sample *sample = calloc(1, sizeof(*sample) + of->cells * sizeof(uint64_t));
	int r;

	if (sample == NULL)
		return -ENOMEM;
	r = tarn__metrics_copy(of, &sample->of);
	if (r < 0) {
		free(sample);
		return r;
	}
	*ret_sample = sample;
	return 0;
}

void tarn_sample_free(struct tarn_sample *sample)
{
	if (sample == NULL)
		return;
	tarn__metrics_free(&sample->of);
	free(sample);
}

static void clear(struct tarn_sample *sample)
{
	memset(sample->cells, 0, sample->of.cells * sizeof(uint64_t));
	sample->time = 0;
}

int tarn_sample_take(struct tarn_sample *sample, const struct tarn_counters *counters)
{
	const struct counters *c = counters_of(counters);
	int r = tarn__metrics_same(&sample->of, &c->of) ? 0 : -EPROTO;

	if (r == 0)
		r = tarn__counters_read_all(c, sample->cells);
	if (r < 0)
		clear(sample);
	else
		sample->time = tarn__plat_now();
	return r;
}

int tarn_sample_merge(struct tarn_sample *sample, const struct tarn_sample *other)
{
	if (!tarn__metrics_same(&sample->of, &other->of))
		return -EPROTO;
	for (uint32_t i = 0; i < sample->of.cells; i++)
		sample->cells[i] += other->cells[i];
	if (other->time > sample->time)
		sample->time = other->time;
	return 0;
}

/* Is the cell one that never goes back? What histograms have above their buckets' least values may
 * wrap round, as their sums do. */
static bool only_grows(const struct metrics *of, uint32_t cell)
{
	return cell >= of->count || of->list[cell].kind == TARN_METRIC_COUNTER;
}

int tarn_sample_subtract(struct tarn_sample *sample, const struct tarn_sample *earlier)
{
	const struct metrics *of = &sample->of;

	if (!tarn__metrics_same(of, &earlier->of))
		return -EPROTO;
	for (uint32_t i = 0; i < of->cells; i++)
		if (only_grows(of, i) && sample->cells[i] < earlier->cells[i])
			return -EINVAL;
	for (uint32_t i = 0; i < of->cells; i++)
		if (!is_gauge(of, i))
			sample->cells[i] -= earlier->cells[i];
	return 0;
}

int64_t tarn_sample_time(const struct tarn_sample *sample)
{
	return sample->time;
}

/* --- histograms ---------------------------------------------------------------------------- */

static uint32_t buckets_of(const struct tarn_sample *sample, uint32_t metric)
{
	return metric < sample->of.count ? sample->of.buckets[metric] : 0;
}

static const uint64_t *counts_of(const struct tarn_sample *sample, uint32_t metric)
{
	return &sample->cells[sample->of.places[metric].cell];
}

int tarn_sample_bucket(const struct tarn_sample *sample, uint32_t metric, uint32_t at,
		       struct tarn_bucket *ret_bucket)
{
	const struct tarn_counters_place *place;
	uint32_t buckets = buckets_of(sample, metric);

	if (at >= buckets)
		return -ENOENT;
	place = &sample->of.places[metric];
	ret_bucket->low = least_of(place->bits, at);
	ret_bucket->high = at + 1 == buckets ? place->most : least_of(place->bits, at + 1) - 1;
	ret_bucket->count = counts_of(sample, metric)[at];
	return 0;
}

uint64_t tarn_sample_value(const struct tarn_sample *sample, uint32_t metric)
{
	uint32_t buckets = buckets_of(sample, metric);
	uint64_t count = 0;

	if (buckets == 0)
		return metric < sample->of.count ? sample->cells[metric] : 0;
	for (uint32_t at = 0; at < buckets; at++)
		count += counts_of(sample, metric)[at];
	return count;
}

uint64_t tarn_sample_sum(const struct tarn_sample *sample, uint32_t metric)
{
	uint32_t buckets = buckets_of(sample, metric);
	uint64_t sum = buckets != 0 ? sample->cells[metric] : 0;

	for (uint32_t at = 0; at < buckets; at++)
		sum += counts_of(sample, metric)[at] * least_of(sample->of.places[metric].bits, at);
	return sum;
}

double tarn_sample_mean(const struct tarn_sample *sample, uint32_t metric)
{
	uint32_t buckets = buckets_of(sample, metric);
	uint64_t count = tarn_sample_value(sample, metric);
	double sum = 0; /* beyond 2^64, too */

	if (buckets == 0 || count == 0)
		return 0;
	for (uint32_t at = 0; at < buckets; at++)
		sum += (double)counts_of(sample, metric)[at] *
		       (double)least_of(sample->of.places[metric].bits, at);
	return (sum + (double)sample->cells[metric]) / (double)count;
}

/* Which value, counted from 1 in the order of size, is at @q of @count. */
static uint64_t rank_of(double q, uint64_t count)
{
	double exact = q * (double)count;
	uint64_t rank;

	if (!(exact > 1))
		return 1;
	if (exact >= (double)count)
		return count;
	rank = (uint64_t)exact;
	rank += (double)rank < exact;
	return rank < count ? rank : count;
}

uint64_t tarn_sample_quantile(const struct tarn_sample *sample, uint32_t metric, double q)
{
	uint64_t count = tarn_sample_value(sample, metric), rank = rank_of(q, count), seen = 0;
	struct tarn_bucket bucket = { 0, 0, 0 };

	for (uint32_t at = 0; tarn_sample_bucket(sample, metric, at, &bucket) == 0; at++) {
		seen += bucket.count;
		if (seen >= rank)
			return bucket.low + (bucket.high - bucket.low + 1) / 2;
	}
	return 0;
}
