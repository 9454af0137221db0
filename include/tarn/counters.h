/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/counters.h - figures that describe themselves: counters, gauges and histograms of a region,
 * added to by any number of processes, read by anyone.
 *
 *     enum { REQUESTS, BUSY, TOOK };
 *     static const struct tarn_metric metrics[] = {
 *             [REQUESTS] = { "requests_total", "", "requests answered", TARN_METRIC_COUNTER },
 *             [BUSY] = { "busy", "", "requests being answered now", TARN_METRIC_GAUGE },
 *             [TOOK] = { "took_ns", "ns", "what a request took", TARN_METRIC_HISTOGRAM },
 *     };
 *     const struct tarn_counters_opts opts = { .metrics = metrics, .count = 3 };
 *
 *     r = tarn_counters_open(region, "web", &opts, &web);
 *     tarn_counter_add(web, REQUESTS, 1);
 *     tarn_histogram_record(web, TOOK, ns);
 *
 *     r = tarn_counters_read(web, values, 3);
 *
 * Each handle has a slot, cache lines that nobody else writes: to add is to load a word and to
 * store it. Who reads sums over the slots. What a handle has added stays when it is closed or its
 * process dies: whoever comes upon such a slot folds it into what the departed have added, and a
 * sum never goes backwards, whoever looks and whenever. What it has said of a gauge goes with it: a
 * gauge is the sum of what those say who are there.
 *
 * A histogram counts values in buckets, 2^bits for each doubling of the value. A quantile is wrong
 * by at most 1 / 2^(bits + 1) of the value; those below 2^(bits + 1) are exact, and so is the sum.
 *
 * Callers:   a handle belongs to one thread at a time; each thread that adds opens its own. A child
 *            of fork() has a slot of its own with its first add.
 * Progress:  to add, set or record is wait-free: one or two stores. To read is tried again while
 *            others fold, and is else wait-free. No system call but where one opens, closes or
 *            folds, and, of gauges, to ask whether a process lives whose beacon says nothing.
 * Crash:     each add is there or not. A record that was killed between its two stores is counted,
 *            and its value wrong in the sum by less than the width of its bucket. Who is killed
 *            while it folds leaves that to the next one; sums are right meanwhile.
 * Memory:    512 bytes, 256 for each metric; 16 for each slot; and for each slot, and twice more, 8
 *            for each metric and bucket, rounded up to 128.
 * Trust:     members may write what they like: figures are wrong then, and damage is -EUCLEAN.
 */
#ifndef TARN_COUNTERS_H
#define TARN_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/atomic.h>
#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

#define TARN_METRICS_MAX        4096u
#define TARN_METRIC_NAME_MAX    63  /* bytes: letters, digits and _; not a digit first */
#define TARN_METRIC_UNIT_MAX    31  /* bytes: the same, or none */
#define TARN_METRIC_HELP_MAX    135 /* bytes of UTF-8, no control characters */
#define TARN_METRIC_BITS_MAX    7u
#define TARN_COUNTERS_SLOTS_MAX 4096u
#define TARN_COUNTERS_CELLS_MAX (1u << 20) /* metrics and buckets of all histograms */

enum tarn_metric_kind {
	TARN_METRIC_COUNTER = 1,   /* goes up */
	TARN_METRIC_GAUGE = 2,     /* goes up and down, may be negative: a sum over those there */
	TARN_METRIC_HISTOGRAM = 3, /* how many values of which size */
};

/* What one is. */
struct tarn_metric {
	const char *name;
	const char *unit; /* base unit, "ns", "bytes"; "" or NULL: a number */
	const char *help; /* in words; NULL: none */
	uint32_t kind;    /* enum tarn_metric_kind */
	uint32_t bits;    /* histogram: 2^bits buckets for each doubling, 1 .. 7; 0 = 4 */
	uint64_t most;    /* histogram: larger values count as this; 0 = 2^40 - 1 */
};

/* tarn_counters_opts.flags */
enum {
	/* Take no slot: this handle reads. So does one of a region that is only looked on. */
	TARN_COUNTERS_READ = 1u << 0,
};

/* All zero means: the default of each. */
struct tarn_counters_opts {
	const struct tarn_metric *metrics; /* NULL: it must exist */
	uint32_t count;                    /* of them, 1 .. TARN_METRICS_MAX */
	uint32_t slots; /* handles that may add at a time, 1 .. TARN_COUNTERS_SLOTS_MAX; 0 = 64, or
			   as many as there are */
	uint32_t flags;
	uint32_t pad; /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/* Where the buckets of a histogram are; the library's own, as are the fields of the handle. */
struct tarn_counters_place {
	uint32_t cell;
	uint32_t bits;
	uint64_t most;
};

/*
 * This process's handle. The fields are the library's own: they stand here so that adding can be
 * made in line, and are part of the binary interface.
 */
struct tarn_counters {
	uint64_t *cells; /* of its slot; NULL: it has none */
	const struct tarn_counters_place *places;
	uint32_t ready; /* metrics that may be added to in line; 0: the same */
	uint32_t pad;
};

struct tarn_counters_stat {
	uint32_t metrics;
	uint32_t cells; /* words of a slot */
	uint32_t slots;
	uint32_t used;    /* slots of handles that are there */
	uint32_t left;    /* of those that are gone, not folded yet: their sums count */
	uint32_t pad;     /* zero */
	uint64_t folds;   /* slots that were folded since it was made */
	uint64_t dropped; /* of this handle: adds in a child of fork() that found no slot */
};

/**
 * tarn_counters_open - open counters @name of @region, with a slot for this handle.
 * @opts:         they are created if they are absent and it has metrics. Of existing ones the first
 *                metrics must be those of @opts, help aside: a later version may have added some
 *                behind them. NULL: they must exist
 * @ret_counters: handle on success, untouched on failure; tarn_counters_close() it
 *
 * Return: 0, or
 *   -ENOENT   there are none of that name, and @opts has no metrics or the region is only looked on
 *   -EINVAL   name or @opts out of range; diag says what
 *   -EEXIST   they exist with other metrics, or another number of slots than @opts asks; diag names
 *             the first metric that differs
 *   -EUSERS   every slot has an owner that lives; diag tells of one
 *   -EPROTO   the object is no counters, or of another version
 *   -ENOSPC, -ENFILE, -ENOMEM  no room to create them
 *   -EUCLEAN  they are damaged
 *   -ETIMEDOUT, -ENOTRECOVERABLE, -EIO  every slot is taken, and those of the dead cannot be
 *             folded: who is at it is stopped; and as tarn_mutex_lock()
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_counters_open(struct tarn_region *region, const char *name,
					       const struct tarn_counters_opts *opts,
					       struct tarn_counters **ret_counters);

/**
 * tarn_counters_close - give the slot back: what was added stays, what was said of gauges does not.
 * Accepts NULL. Waits for nobody: what cannot be folded now is by whoever comes next.
 * Since: 0.1
 */
TARN_API void tarn_counters_close(struct tarn_counters *counters);

/**
 * tarn_counters_join - a slot for a handle that has none: in a child of fork(), before its first
 * add does so by itself and cannot say that there was none.
 * Return: 0, -EPERM (it only reads), -EUSERS, -ETIMEDOUT, -EUCLEAN as in opening, and what becoming
 *   a member returns.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_counters_join(struct tarn_counters *counters,
					       struct tarn_diag *diag);

/**
 * tarn_counters_slot - what adding calls where the handle has no slot yet; not for programs.
 * Return: the words of its slot; NULL: none could be had, and the add is dropped. To add by a
 *   handle that only reads, or to a metric that does not exist, is an assertion.
 * Since: 0.1
 */
TARN_API uint64_t *tarn_counters_slot(struct tarn_counters *counters, uint32_t metric);

/* Has the handle a slot, and is there such a metric? Of a constant it is not asked, since those are
 * of the table that the counters were opened with: it is a comparison more. */
static inline bool tarn__counters_ready(const struct tarn_counters *counters, uint32_t metric)
{
	return __builtin_constant_p(metric) ? counters->cells != NULL : metric < counters->ready;
}

/* Nobody else writes there: no exchange is needed. */
static inline void tarn__counters_raise(uint64_t *cell, uint64_t by)
{
	tarn_atomic_store_relaxed64(cell, tarn_atomic_load_relaxed64(cell) + by);
}

/**
 * tarn_counter_add - count @by more. Of a metric of another kind than counter the figure is wrong.
 * @metric: its place among the metrics of the opening; one that is no constant is compared with
 *   their number, and there being none is an assertion
 * Since: 0.1
 */
static inline void tarn_counter_add(struct tarn_counters *counters, uint32_t metric, uint64_t by)
{
	uint64_t *cells;

	if (__builtin_expect(tarn__counters_ready(counters, metric), 1)) {
		tarn__counters_raise(&counters->cells[metric], by);
		return;
	}
	cells = tarn_counters_slot(counters, metric);
	if (cells != NULL)
		tarn__counters_raise(&cells[metric], by);
}

/** tarn_gauge_set - what this handle has of a gauge is @value now. Since: 0.1 */
static inline void tarn_gauge_set(struct tarn_counters *counters, uint32_t metric, int64_t value)
{
	uint64_t *cells = counters->cells;

	if (__builtin_expect(!tarn__counters_ready(counters, metric), 0))
		cells = tarn_counters_slot(counters, metric);
	if (__builtin_expect(cells != NULL, 1))
		tarn_atomic_store_relaxed64(&cells[metric], (uint64_t)value);
}

/** tarn_gauge_add - it is @by more, or less where that is negative. Since: 0.1 */
static inline void tarn_gauge_add(struct tarn_counters *counters, uint32_t metric, int64_t by)
{
	tarn_counter_add(counters, metric, (uint64_t)by);
}

/**
 * tarn_histogram_record - count a value: one word is stored, or two where it is not the least value
 * of its bucket. Of a metric that is no histogram the figure is wrong.
 * Since: 0.1
 */
static inline void tarn_histogram_record(struct tarn_counters *counters, uint32_t metric,
					 uint64_t value)
{
	const struct tarn_counters_place *place;
	uint64_t *cells = counters->cells, rest;
	uint32_t exponent, shift;

	if (__builtin_expect(!tarn__counters_ready(counters, metric), 0))
		cells = tarn_counters_slot(counters, metric);
	if (__builtin_expect(cells == NULL, 0))
		return;
	place = &counters->places[metric];
	if (__builtin_expect(value > place->most, 0))
		value = place->most;
	exponent = 63u - (uint32_t)__builtin_clzll(value | 1);
	shift = exponent > place->bits ? exponent - place->bits : 0;
	rest = value & ((UINT64_C(1) << shift) - 1);
	tarn__counters_raise(&cells[place->cell + (shift << place->bits) + (value >> shift)], 1);
	/* Release: the bucket first. What it counts is in the sum, but for less than its width. */
	if (rest != 0)
		tarn_atomic_store64(&cells[metric],
				    tarn_atomic_load_relaxed64(&cells[metric]) + rest);
}

/* --- reading ---------------------------------------------------------------------------------- */

/** tarn_counters_count - how many metrics there are. Since: 0.1 */
TARN_API uint32_t tarn_counters_count(const struct tarn_counters *counters);

/**
 * tarn_counters_describe - what metric @metric is, as whoever made the counters has said.
 * Return: valid until the handle is closed; NULL: there is none.
 * Since: 0.1
 */
TARN_API const struct tarn_metric *tarn_counters_describe(const struct tarn_counters *counters,
							  uint32_t metric);

/** tarn_counters_find - the metric of that name. Return: its place, or -ENOENT. Since: 0.1 */
TARN_API int tarn_counters_find(const struct tarn_counters *counters, const char *name);

/**
 * tarn_counters_read - the figures of the first @count metrics: of a counter the sum of all that
 * was ever added, of a gauge (an int64_t) the sum over those who are there, of a histogram how many
 * values were recorded. What others add meanwhile is in some of them and not in others.
 * Return: 0, or
 *   -EAGAIN   slots were folded all the time, a thousand times in a row
 *   -EUCLEAN  their words contradict each other
 *   -EIO      the file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_counters_read(const struct tarn_counters *counters,
					       uint64_t *values, uint32_t count);

/**
 * tarn_counters_fold - fold the slots of those who are gone, so that they can be had.
 * @ret_count: how many; may be NULL
 * Return: 0, or
 *   -EPERM     the region was opened to look on
 *   -ETIMEDOUT who is at it is stopped: 100 ms were waited
 *   -EUCLEAN, -ENOTRECOVERABLE, -EIO  as tarn_mutex_lock()
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_counters_fold(struct tarn_counters *counters, uint32_t *ret_count,
					       struct tarn_diag *diag);

/** tarn_counters_stat - facts, see the struct. Return: 0, -EUCLEAN. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_counters_stat(const struct tarn_counters *counters,
					       struct tarn_counters_stat *ret_stat);

/* --- samples ---------------------------------------------------------------------------------- */

/* The figures of all metrics at one time, with the buckets of histograms: a copy of one's own,
 * which outlives the handle. */
struct tarn_sample;

/* One of a histogram. */
struct tarn_bucket {
	uint64_t low;   /* the least value that is counted here */
	uint64_t high;  /* the largest */
	uint64_t count; /* of values */
};

/**
 * tarn_sample_new - a sample for the metrics of @counters, all zero.
 * @ret_sample: tarn_sample_free() it
 * Return: 0, -ENOMEM.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sample_new(const struct tarn_counters *counters,
					    struct tarn_sample **ret_sample);

/** tarn_sample_free - accepts NULL. Since: 0.1 */
TARN_API void tarn_sample_free(struct tarn_sample *sample);

/**
 * tarn_sample_take - the figures now, in place of what was there.
 * Return: as tarn_counters_read(), -EPROTO: it is for other metrics; on failure it is all zero.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sample_take(struct tarn_sample *sample,
					     const struct tarn_counters *counters);

/**
 * tarn_sample_merge - add the figures of @other: another region's, another machine's.
 * Return: 0, -EPROTO: they are of other metrics.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sample_merge(struct tarn_sample *sample,
					      const struct tarn_sample *other);

/**
 * tarn_sample_subtract - what came since @earlier: counters and histograms are differences; a gauge
 * stays as it is.
 * Return: 0, -EPROTO: they are of other metrics; -EINVAL: @earlier has more of one, so it is none
 *   of the same counters, or not earlier. Nothing was changed.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sample_subtract(struct tarn_sample *sample,
						 const struct tarn_sample *earlier);

/** tarn_sample_time - when it was taken, CLOCK_MONOTONIC ns; 0: it was not. Since: 0.1 */
TARN_API int64_t tarn_sample_time(const struct tarn_sample *sample);

/** tarn_sample_value - the figure of @metric, as tarn_counters_read(); 0 of none. Since: 0.1 */
TARN_API uint64_t tarn_sample_value(const struct tarn_sample *sample, uint32_t metric);

/** tarn_sample_sum - the sum of a histogram's values, modulo 2^64; 0 of others. Since: 0.1 */
TARN_API uint64_t tarn_sample_sum(const struct tarn_sample *sample, uint32_t metric);

/** tarn_sample_mean - the mean of a histogram's values; 0 where there are none. Since: 0.1 */
TARN_API double tarn_sample_mean(const struct tarn_sample *sample, uint32_t metric);

/**
 * tarn_sample_quantile - the value that a part of a histogram's values is not above: the middle of
 * the bucket of the one that is it, so wrong by at most 1 / 2^(bits + 1) of it.
 * @q: how large a part, 0 to 1
 * Return: the value; 0 where there are none, and of what is no histogram.
 * Since: 0.1
 */
TARN_API uint64_t tarn_sample_quantile(const struct tarn_sample *sample, uint32_t metric, double q);

/**
 * tarn_sample_bucket - bucket @at of a histogram, from that of 0 up.
 * Return: 0, -ENOENT: it has no such bucket, or is none.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sample_bucket(const struct tarn_sample *sample, uint32_t metric,
					       uint32_t at, struct tarn_bucket *ret_bucket);

TARN_END_DECLS

#endif /* TARN_COUNTERS_H */
