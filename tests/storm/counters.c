/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters in a storm: processes of two threads each add, leave, come again, fold and read, and are
 * killed at random; no sum ever goes back, and at the end each has all adds that had ended, and
 * none that was not begun.
 *
 * Each thread has a counter of its own, its book, and all record in one histogram. Outside of the
 * region stands the largest sum of each that anybody has read: who reads after that finds as much,
 * or more.
 */
#include <errno.h>
#include <stdio.h>

#include <tarn/counters.h>

#include "crowd.h"
#include "flow/counters.h"

enum { TOOK = BOOKS, BUSY, METRICS, SLOTS = BOOKS + 2 };

enum mutant { NO_MUTANT, SHARED, IN_PLACE, TOO_EARLY };
static const char *const mutant_names[] = { "none", "shared", "in-place", "too-early", NULL };

static struct tarn_region *region;
static _Atomic uint64_t *floors; /* METRICS of them */
static char names[METRICS][24];
static struct tarn_metric metrics[METRICS];
static __thread struct tarn_counters *mine; /* a handle is one thread's */
static struct tarn_counters *of_all;        /* SHARED: by all threads of the process */

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 1 << 18 };
	const struct tarn_counters_opts wanted = { .metrics = metrics,
						   .count = METRICS,
						   .slots = SLOTS };

	floors = harness_shared(METRICS * sizeof(*floors));
	for (int n = 0; n < METRICS; n++) {
		snprintf(names[n], sizeof(names[n]), "metric%d", n);
		metrics[n] = (struct tarn_metric){ names[n], "", "", TARN_METRIC_COUNTER, 0, 0 };
	}
	metrics[TOOK].kind = TARN_METRIC_HISTOGRAM;
	metrics[BUSY].kind = TARN_METRIC_GAUGE;
	crowd_must("create", tarn_region_create(crowd->addr, &opts, &region));
	crowd_must("counters", tarn_counters_open(region, "web", &wanted, &mine));
	tarn_counters_close(mine);
	tarn_region_close(region);
	mine = NULL;
}

static void join(void)
{
	crowd_must("open", tarn_region_open(crowd->addr, NULL, &region));
	if (crowd->mutant == SHARED)
		crowd_must("counters", tarn_counters_open(region, "web", NULL, &of_all));
}

static void raise_floor(int metric, uint64_t value)
{
	uint64_t floor = atomic_load(&floors[metric]);

	while (floor < value && !atomic_compare_exchange_weak(&floors[metric], &floor, value))
		;
}

/* --- acts ------------------------------------------------------------------------------------ */

static void read_all(void)
{
	uint64_t values[METRICS], before[METRICS];
	int r;

	for (int n = 0; n < BUSY; n++)
		before[n] = atomic_load(&floors[n]);
	r = tarn_counters_read(mine, values, METRICS);
	if (r == -EAGAIN)
		return;
	crowd_must("read", r);
	for (int n = 0; n < BUSY; n++) {
		if (values[n] < before[n])
			crowd_violation("a sum goes back", (int64_t)values[n], (int64_t)before[n]);
		raise_floor(n, values[n]);
	}
	if (values[BUSY] > 2 * BOOKS)
		crowd_violation("the dead are busy", (int64_t)values[BUSY], 2 * BOOKS);
	atomic_fetch_add(&crowd->counted, 1);
}

static void add(int n, uint64_t value)
{
	crowd_begun(n);
	if (crowd->mutant == TOO_EARLY)
		crowd_final(n);
	if (crowd->mutant == TOO_EARLY)
		harness_sleep_us(50);
	tarn_counter_add(mine, (uint32_t)n, 1);
	if (crowd->mutant != TOO_EARLY)
		crowd_final(n);
	tarn_histogram_record(mine, TOOK, value);
	tarn_gauge_set(mine, BUSY, 1 + value % 2);
}

/* As one would do it who has but one departed: added there, then zeroed. */
static void fold_in_place(void)
{
	struct counters *c = counters_of(mine);
	_Atomic uint64_t *to, *slot = slot_at(c, c->slot);

	if (tarn__prim_lock(&c->prim, TARN_FOREVER, true, NULL) == -EOWNERDEAD)
		tarn__prim_answer(&c->prim);
	to = departed_at(c, atomic_load(&c->shm->flip) & 1);
	for (uint32_t i = 0; i < c->of.cells; i++)
		if (!is_gauge(&c->of, i))
			atomic_fetch_add(&to[i], atomic_load(&slot[i]));
	for (uint32_t i = 0; i < c->of.cells; i++)
		atomic_store(&slot[i], 0);
	tarn__prim_unlock(&c->prim);
}

static void leave_and_come(void)
{
	if (crowd->mutant == SHARED)
		return;
	if (crowd->mutant == IN_PLACE)
		fold_in_place();
	tarn_counters_close(mine);
	crowd_must("counters", tarn_counters_open(region, "web", NULL, &mine));
}

static void act(int n, uint64_t *seed)
{
	int adds = (int)(storm_random(seed) % 100);

	if (mine == NULL && crowd->mutant == SHARED)
		mine = of_all;
	if (mine == NULL)
		crowd_must("counters", tarn_counters_open(region, "web", NULL, &mine));
	switch (storm_random(seed) % 8) {
	case 0:
		leave_and_come();
		break;
	case 1:
		crowd_must("fold", tarn_counters_fold(mine, NULL, NULL));
		break;
	case 2:
	case 3:
		read_all();
		break;
	default:
		while (adds-- > 0)
			add(n, storm_random(seed) >> (storm_random(seed) % 64));
		break;
	}
}

/* --- account --------------------------------------------------------------------------------- */

static uint64_t account(void)
{
	const struct tarn_counters_opts reads = { .flags = TARN_COUNTERS_READ };
	uint64_t values[METRICS], folded[METRICS], sum = 0;

	join();
	crowd_must("counters", tarn_counters_open(region, "web", &reads, &mine));
	read_all();
	crowd_must("read", tarn_counters_read(mine, values, METRICS));
	crowd_must("fold", tarn_counters_fold(mine, NULL, NULL));
	crowd_must("read", tarn_counters_read(mine, folded, METRICS));
	for (int n = 0; n < BOOKS; n++) {
		crowd_book(n, values[n]);
		if (folded[n] != values[n])
			crowd_violation("a fold changes a sum", (int64_t)folded[n],
					(int64_t)values[n]);
		sum += values[n];
	}
	/* of each thread that died the last value may lack */
	if (values[TOOK] > sum)
		crowd_violation("more values than adds", (int64_t)values[TOOK], (int64_t)sum);
	if (values[BUSY] != 0)
		crowd_violation("nobody is there, and busy", (int64_t)values[BUSY], 0);
	tarn_counters_close(mine);
	crowd_check(region);
	tarn_region_close(region);
	return sum;
}

static const struct crowd_plan the_plan = {
	.name = "counters",
	.mutants = mutant_names,
	.counts = "reads",
	.make = make,
	.join = join,
	.act = act,
	.settle = account,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
