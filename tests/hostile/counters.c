/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.c - victims that add, read, fold, come and leave while a peer spoils counters. Nobody is
 * promised that a sum is what was added; but each call comes back with an error that its header
 * names, and what is said of a metric is text.
 */
#include <tarn/counters.h>

#include "victims.h"

static const int counters_open_errors[] = { ENOENT, EEXIST, EPROTO,    ENOSPC, ENFILE,
					    EINVAL, EIO,    ETIMEDOUT, EUSERS, EUCLEAN,
					    ENOMEM, EPERM,  EDEADLK,   EAGAIN, ENOTRECOVERABLE,
					    0 };
static const int counters_errors[] = { EAGAIN, EUCLEAN, ETIMEDOUT,       EIO, EDEADLK,
				       EPROTO, EINVAL,  ENOTRECOVERABLE, 0 };

enum { HITS, BUSY, TOOK, METRICS };

static const struct tarn_metric metrics[METRICS] = {
	[HITS] = { "hits_total", "", "hits", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "", TARN_METRIC_GAUGE, 0, 0 },
	[TOOK] = { "took_ns", "ns", "", TARN_METRIC_HISTOGRAM, 2, 1 << 16 },
};
static const struct tarn_counters_opts opts = { .metrics = metrics, .count = METRICS, .slots = 6 };

static void read_text(struct victim *v, const char *text)
{
	read_all(v, text, strlen(text));
}

/* Whoever made them has said that, or nothing of it. */
static void describe(struct victim *v, const struct tarn_counters *counters)
{
	const struct tarn_metric *metric;

	for (uint32_t i = 0; (metric = tarn_counters_describe(counters, i)) != NULL; i++) {
		read_text(v, metric->name);
		read_text(v, metric->unit);
		read_text(v, metric->help);
		if (metric->kind < TARN_METRIC_COUNTER || metric->kind > TARN_METRIC_HISTOGRAM)
			hostile_lie(v->arena, "describe", "a kind that is none", metric->kind);
	}
}

static void take_sample(struct victim *v, const struct tarn_counters *counters)
{
	struct tarn_sample *sample = NULL;
	struct tarn_bucket bucket;

	if (CALL(v, tarn_sample_new(counters, &sample), counters_open_errors) < 0)
		return;
	if (CALL(v, tarn_sample_take(sample, counters), counters_errors) == 0)
		for (uint32_t i = 0; tarn_sample_bucket(sample, TOOK, i, &bucket) == 0; i++)
			v->sink += bucket.low + bucket.high + bucket.count;
	v->sink += tarn_sample_quantile(sample, TOOK, 0.5) + tarn_sample_sum(sample, TOOK);
	tarn_sample_free(sample);
}

static void use(struct victim *v, struct tarn_counters *counters, uint64_t random)
{
	uint64_t values[METRICS];
	struct tarn_counters_stat stat;
	uint32_t count = 0;

	switch (random % 8) {
	case 0:
		if (CALL(v, tarn_counters_read(counters, values, METRICS), counters_errors) == 0)
			read_all(v, values, sizeof(values));
		break;
	case 1:
		(void)CALL(v, tarn_counters_fold(counters, &count, NULL), counters_errors);
		v->sink += count;
		break;
	case 2:
		take_sample(v, counters);
		break;
	case 3:
		if (CALL(v, tarn_counters_stat(counters, &stat), counters_errors) == 0)
			v->sink += stat.folds + stat.used;
		break;
	default:
		hostile_enter(v->arena, v->index, "adding");
		for (uint64_t i = 0; i < 100; i++) {
			tarn_counter_add(counters, HITS, i);
			tarn_gauge_set(counters, BUSY, (int64_t)i);
			tarn_histogram_record(counters, TOOK, random >> (i % 64));
		}
		break;
	}
}

void victim_tallier(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };

	v.random = arena->seed * 61 + index + 1;
	while (!hostile_over(arena)) {
		struct tarn_counters *counters = NULL;

		if (enter_region(&v, 0) < 0)
			continue;
		(void)CALL(&v, tarn_counters_open(v.region, "web", &opts, &counters),
			   counters_open_errors);
		if (counters != NULL)
			describe(&v, counters);
		for (int i = 0; counters != NULL && i < ROUND_CALLS / 4 && !hostile_over(arena);
		     i++)
			use(&v, counters, hostile_random(&v.random));
		(void)CALL(&v, tarn_region_check(v.region, NULL, NULL), look_errors);
		hostile_enter(arena, index, "closing counters");
		tarn_counters_close(counters);
		leave_region(&v);
	}
}

BEHIND_GUARD(tallier)
