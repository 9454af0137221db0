/* SPDX-License-Identifier: BSD-2-Clause */
/* counters.c - counters under the scheduler: whoever adds, leaves, comes, folds and dies, a sum has
 * all adds that have ended, none that was not begun, and never goes back. */
#include "prims.h"

#include "flow/counters.h"

enum { HITS, BUSY, METRICS };

static const struct tarn_metric metrics[METRICS] = {
	[HITS] = { "hits_total", "", "", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "", TARN_METRIC_GAUGE, 0, 0 },
};

static struct tarn_counters *handles[SCHED_PROCS + 1];

static struct {
	uint64_t begun, done; /* adds */
	uint64_t given;       /* the largest sum that was read */
} ghost;

static uint64_t read_sum(int me)
{
	uint64_t values[METRICS] = { 0 };
	uint64_t from = ghost.given > ghost.done ? ghost.given : ghost.done;
	int r = tarn_counters_read(handles[me], values, METRICS);

	SCHED_CHECK(r == 0, "P%d: read: %s", me, strerror(-r));
	SCHED_CHECK(values[HITS] >= from, "P%d reads %d after %d", me, (int)values[HITS],
		    (int)from);
	SCHED_CHECK(values[HITS] <= ghost.begun, "P%d reads %d of %d", me, (int)values[HITS],
		    (int)ghost.begun);
	if (values[HITS] > ghost.given)
		ghost.given = values[HITS];
	return values[BUSY];
}

static void add(int me)
{
	ghost.begun++;
	tarn_counter_add(handles[me], HITS, 1);
	ghost.done++;
}

static void leave(int me)
{
	tarn__counters_leave(counters_of(handles[me]));
}

/* A slot; but where each has an owner that lives. */
static bool come(int me)
{
	int r = tarn_counters_join(handles[me], NULL);

	SCHED_CHECK(r == 0 || r == -EUSERS, "P%d: join: %s", me, strerror(-r));
	return r == 0;
}

static void fold(int me)
{
	int r = tarn_counters_fold(handles[me], NULL, NULL);

	SCHED_CHECK(r == 0, "P%d: fold: %s", me, strerror(-r));
}

/* P0 reads, P1 adds, leaves and comes again. */
static void read_and_leave(int me)
{
	if (me == 0) {
		(void)read_sum(me);
		(void)read_sum(me);
	} else {
		add(me);
		leave(me);
		if (come(me))
			add(me);
	}
}

/* P0 reads, P1 adds and leaves, P2 folds whoever is gone. */
static void read_leave_fold(int me)
{
	if (me == 0) {
		(void)read_sum(me);
		(void)read_sum(me);
	} else if (me == 1) {
		add(me);
		leave(me);
	} else {
		fold(me);
	}
}

/* P2 wants a slot that P0 and P1 have. */
static void three_for_two(int me)
{
	if (me == 2) {
		if (come(me))
			add(me);
		(void)read_sum(me);
	} else {
		add(me);
		leave(me);
	}
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void open_all(int procs, uint32_t slots)
{
	const struct tarn_counters_opts opts = { .metrics = metrics,
						 .count = METRICS,
						 .slots = slots };
	const struct tarn_counters_opts reads = { .flags = TARN_COUNTERS_READ };
	struct counters *c;

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_counters_open(sched_region(p), "counters",
					p == SCHED_PROCS || p >= (int)slots ? &reads : &opts,
					&handles[p]));
		c = counters_of(handles[p]);
		c->looks = false; /* the last one folds, and wants a slot where it has none */
		keep(c);
		sched_private(c, sizeof(*c));
	}
	c = counters_of(handles[0]);
	show(c);
	sched_hot("flip", &c->shm->flip, sizeof(c->shm->flip));
	for (uint32_t at = 0; at < 2; at++)
		sched_hot("departed", departed_at(c, at), METRICS * sizeof(uint64_t));
	for (uint32_t at = 0; at < slots; at++)
		sched_hot("slot", slot_at(c, at), METRICS * sizeof(uint64_t));
	sched_ghost(&ghost, sizeof(ghost));
}

static void two(void)
{
	open_all(2, 3);
}

static void three(void)
{
	open_all(3, 3);
}

static void three_two(void)
{
	open_all(3, 2);
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_counters_close(handles[p]);
	}
	memset(handles, 0, sizeof(handles));
}

static void verify(void)
{
	check_region();
	(void)read_sum(SCHED_PROCS);
	fold(SCHED_PROCS);
	(void)read_sum(SCHED_PROCS);
	check_region();
}

#define JUDGED .verify = verify, .cleanup = close_all

const struct sched_scenario sched_counters[] = {
	{ "counters-leave", "one reads twice, one adds, leaves, comes again and adds", .procs = 2,
	  .setup = two, .body = read_and_leave, .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "counters-fold", "one reads twice, one adds and leaves, one folds", .procs = 3,
	  .setup = three, .body = read_leave_fold, .quick = { 1, 1 },
	  .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "counters-slots", "two slots: two add and leave, one comes and adds", .procs = 3,
	  .setup = three_two, .body = three_for_two, .quick = { 1, 1 },
	  .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ 0 },
};
