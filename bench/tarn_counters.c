/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_counters.c - counters: to add to one, beside a word of one's own that is added to without an
 * exchange, and to read a thousand. A pass is 16 adds to the same, since one is less than clocks
 * can tell; or one read of all. Those named -8 are measured beside seven processes on the other
 * processor that add all the time, each in a slot of its own, to all counters by turns; or, without
 * Tarn, all to the same word.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tarn_region.h"

enum { COUNTERS = 1000, TOOK = COUNTERS, METRICS, OTHERS = 7, ADDS = 16, REGION_SIZE = 4 << 20 };

static struct tarn_counters *counters;
static char names[METRICS][8];
static struct tarn_metric metrics[METRICS];
static uint64_t values[METRICS];
static BENCH_LINE uint64_t own;
static uint64_t *shared;
static pid_t others[OTHERS];
static struct tarn_region *region;
static struct tarn_counters *more[OTHERS];

static void counters_open(struct bench *b)
{
	tarn_region_make(b, REGION_SIZE);
	for (unsigned i = 0; i < METRICS; i++) {
		snprintf(names[i], sizeof(names[i]), "m%u", i);
		metrics[i] = (struct tarn_metric){ names[i], "", "", TARN_METRIC_COUNTER, 0, 0 };
	}
	metrics[TOOK].kind = TARN_METRIC_HISTOGRAM;
}

static void counters_attach(struct bench *b)
{
	const struct tarn_counters_opts opts = { .metrics = metrics,
						 .count = METRICS,
						 .slots = 16 };

	region = tarn_region_join(b);
	tarn_must(b, "tarn_counters_open",
		  tarn_counters_open(region, "counters", &opts, &counters));
	shared = &b->shm->word;
}

/* Until detach(), or the end of side 1. */
static void start_others(struct bench *b, void (*add)(uint64_t n))
{
	for (int i = 0; b->side == 1 && i < OTHERS; i++) {
		others[i] = fork();
		if (others[i] < 0)
			bench_fail(b, "fork", errno);
		if (others[i] > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (uint64_t n = 0;; n++)
			add(n);
	}
	bench_meet(b);
}

static void add_all(uint64_t n)
{
	tarn_counter_add(counters, (uint32_t)(n % COUNTERS), 1);
}

static void add_shared(uint64_t n)
{
	__atomic_fetch_add(shared, n, __ATOMIC_RELAXED);
}

static void counters_8_attach(struct bench *b)
{
	counters_attach(b);
	start_others(b, add_all);
}

static void shared_8_attach(struct bench *b)
{
	counters_attach(b);
	start_others(b, add_shared);
}

/* Eight have added to all of them, and nobody does now. */
static void counters_still_attach(struct bench *b)
{
	counters_attach(b);
	for (uint64_t n = 0; n < COUNTERS; n++)
		add_all(n);
	for (int i = 0; b->side == 1 && i < OTHERS - 1; i++) {
		tarn_must(b, "tarn_counters_open",
			  tarn_counters_open(region, "counters", NULL, &more[i]));
		for (uint32_t n = 0; n < COUNTERS; n++)
			tarn_counter_add(more[i], n, 1);
	}
	bench_meet(b);
}

static void counters_detach(struct bench *b)
{
	(void)b;
	for (int i = 0; i < OTHERS; i++) {
		if (others[i] <= 0)
			continue;
		kill(others[i], SIGKILL);
		waitpid(others[i], NULL, 0);
	}
	for (int i = 0; i < OTHERS; i++)
		tarn_counters_close(more[i]);
	tarn_counters_close(counters);
	tarn_region_leave();
}

/* --- passes ----------------------------------------------------------------------------------- */

BENCH_INLINE void done(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
}

BENCH_INLINE void own_add(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
	for (int i = 0; i < ADDS; i++)
		__atomic_store_n(&own, __atomic_load_n(&own, __ATOMIC_RELAXED) + 1,
				 __ATOMIC_RELAXED);
}

BENCH_INLINE void shared_add(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
	for (int i = 0; i < ADDS; i++)
		__atomic_fetch_add(shared, 1, __ATOMIC_RELAXED);
}

BENCH_INLINE void counter_add(struct bench *b, size_t size, uint64_t number)
{
	struct tarn_counters *mine = counters; /* as who adds often has it */

	(void)b;
	(void)size;
	(void)number;
	for (int i = 0; i < ADDS; i++)
		tarn_counter_add(mine, 7, 1);
}

BENCH_INLINE void record(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	tarn_histogram_record(counters, TOOK, 1000 + number % 1024);
}

BENCH_INLINE void read_all(struct bench *b, size_t size, uint64_t number)
{
	(void)size;
	(void)number;
	tarn_must(b, "tarn_counters_read", tarn_counters_read(counters, values, COUNTERS));
}

BENCH_LOCK_LOOPS(own_add_run, own_add, done)
BENCH_LOCK_LOOPS(shared_add_run, shared_add, done)
BENCH_LOCK_LOOPS(counter_add_run, counter_add, done)
BENCH_LOCK_LOOPS(record_run, record, done)
BENCH_LOCK_LOOPS(read_all_run, read_all, done)

#define CONTESTANT(symbol, say, of, explain, attaches, run)                                        \
	static const struct bench_variant symbol##_variants[] = {                                  \
		{ BENCH_BUSY, BENCH_BIT(BENCH_WRITE) | BENCH_FULL_RUN, 0, 0, run },                \
		{ 0 },                                                                             \
	};                                                                                         \
	const struct bench_contestant symbol = {                                                   \
		.name = say,                                                                       \
		.group = of,                                                                       \
		.what = explain,                                                                   \
		.variants = symbol##_variants,                                                     \
		.open = counters_open,                                                             \
		.attach = attaches,                                                                \
		.detach = counters_detach,                                                         \
	};

CONTESTANT(bench_own_add, "own-add", BENCH_HAND,
	   "16 times a word of private memory, loaded and stored, nothing else", counters_attach,
	   own_add_run)
CONTESTANT(bench_shared_add, "shared-add", BENCH_HAND,
	   "16 times one word for all, by an atomic addition", counters_attach, shared_add_run)
CONTESTANT(bench_shared_add_8, "shared-add-8", BENCH_HAND, "the same beside seven who add to it",
	   shared_8_attach, shared_add_run)
CONTESTANT(bench_tarn_counter_add, "counter-add", BENCH_TARN,
	   "16 times a counter (tarn/counters.h)", counters_attach, counter_add_run)
CONTESTANT(bench_tarn_counter_add_8, "counter-add-8", BENCH_TARN,
	   "the same beside seven who add to it", counters_8_attach, counter_add_run)
CONTESTANT(bench_tarn_histogram, "histogram-record", BENCH_TARN,
	   "a value is recorded in a histogram", counters_attach, record_run)
CONTESTANT(bench_tarn_counters_read, "counters-read", BENCH_TARN,
	   "1000 counters are read, of eight who have added", counters_still_attach, read_all_run)
CONTESTANT(bench_tarn_counters_read_8, "counters-read-8", BENCH_TARN,
	   "the same beside seven who add to all of them", counters_8_attach, read_all_run)
