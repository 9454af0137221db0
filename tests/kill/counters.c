/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.c - counters: every operation killed at each instruction.
 *
 * Before the operation BEFORE was added to the counter, half of it by handles whose process is
 * dead, and some of that is folded. What it adds is there whole or not at all, whoever died; each
 * survivor reads the sum as it finds it, folds, and reads it again, and takes more slots than there
 * are, one after another. A gauge is what the living say.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <tarn/counters.h>

#include "flow/counters.h"
#include "survivor.h"

enum { OBJECTS = 2, SLOTS = 3, BEFORE = 1000, STEP = 7, TOOK_BEFORE = 100, TOOK_STEP = 37 };
enum { HITS, BUSY, TOOK, METRICS };

static const struct tarn_metric metrics[METRICS] = {
	[HITS] = { "hits_total", "", "", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "", TARN_METRIC_GAUGE, 0, 0 },
	[TOOK] = { "took_ns", "ns", "", TARN_METRIC_HISTOGRAM, 1, 128 },
};
static const struct tarn_counters_opts wanted = { .metrics = metrics,
						  .count = METRICS,
						  .slots = SLOTS };

static struct tarn_region *region;
static struct tarn_counters *web;

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

/* --- worlds before ------------------------------------------------------------------------- */

static int open_web(bool make)
{
	return web != NULL ? 0 : tarn_counters_open(region, "web", make ? &wanted : NULL, &web);
}

OP(bare)
{
	int r = survivor_create(world, 0, &region, report);

	return r == 0 ? survivor_keep(region, report) : r;
}

static void add_half(void)
{
	tarn_counter_add(web, HITS, BEFORE / 2);
	tarn_gauge_set(web, BUSY, 50);
	tarn_histogram_record(web, TOOK, TOOK_BEFORE);
}

/* One handle has added and left, and was folded; another's process is dead then. */
OP(with_sums)
{
	int r = bare(world, report);

	if (r == 0)
		r = open_web(true);
	if (r == 0) {
		add_half();
		tarn_counters_close(web);
		web = NULL;
		r = open_web(false);
	}
	if (r == 0)
		add_half();
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

/* No slot is free: the others added nothing. */
OP(with_sums_full)
{
	struct tarn_counters *more;
	int r = with_sums(world, report);

	for (int i = 1; i < SLOTS && r == 0; i++)
		r = tarn_counters_open(region, "web", NULL, &more);
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

/* Who folds the slot of the dead was killed behind the store that makes it count. */
static int half_folded(struct kill_world *world, struct harness_report *report, uint32_t zeroed)
{
	int r = with_sums(world, report);
	struct counters *c;
	uint64_t flip;

	if (r < 0)
		return r;
	c = counters_of(web);
	if (tarn__prim_lock(&c->prim, TARN_FOREVER, true, NULL) < 0)
		return harness_say(report, -1, "setup: the lock");
	flip = atomic_load(&c->shm->flip);
	for (uint32_t i = 0; i < c->of.cells; i++)
		atomic_store(&departed_at(c, (flip & 1) ^ 1)[i],
			     i == BUSY ? 0
				       : atomic_load(&departed_at(c, flip & 1)[i]) +
						 atomic_load(&slot_at(c, c->slot)[i]));
	atomic_store(&c->shm->flip, ((flip >> FLIP_COUNT) + 1) << FLIP_COUNT |
					    (uint64_t)(c->slot + 1) << FLIP_SLOT |
					    ((flip & 1) ^ 1));
	for (uint32_t i = 0; i < zeroed; i++)
		atomic_store(&slot_at(c, c->slot)[i], 0);
	return 0;
}

OP(left_flipped)
{
	return half_folded(world, report, 0);
}

OP(left_zeroing)
{
	return half_folded(world, report, METRICS);
}

/* --- prepare ------------------------------------------------------------------------------- */

OP(join)
{
	return region != NULL ? 0 : survivor_open(world, &region, report);
}

OP(look)
{
	const struct tarn_counters_opts reads = { .flags = TARN_COUNTERS_READ };
	int r = join(world, report);

	if (r == 0 && web == NULL)
		r = tarn_counters_open(region, "web", &reads, &web);
	if (r == 0)
		r = tarn__thread_begin();
	return r == 0 ? 0 : survivor_say(report, "open", r, NULL);
}

OP(ready)
{
	int r = join(world, report);

	if (r == 0)
		r = open_web(false);
	if (r == 0)
		r = tarn__thread_begin();
	return r == 0 ? 0 : survivor_say(report, "open", r, NULL);
}

OP(ready_added)
{
	int r = ready(world, report);

	if (r == 0) {
		tarn_counter_add(web, HITS, STEP);
		tarn_histogram_record(web, TOOK, TOOK_STEP);
		tarn_gauge_set(web, BUSY, 9);
	}
	return r;
}

/* --- operations ---------------------------------------------------------------------------- */

OP(open_creating)
{
	(void)world, (void)report;
	return open_web(true);
}

OP(open_there)
{
	(void)world, (void)report;
	return open_web(false);
}

OP(add)
{
	(void)world, (void)report;
	tarn_counter_add(web, HITS, STEP);
	return 0;
}

OP(set_gauge)
{
	(void)world, (void)report;
	tarn_gauge_set(web, BUSY, 3);
	tarn_gauge_add(web, BUSY, -1);
	return 0;
}

OP(record)
{
	(void)world, (void)report;
	tarn_histogram_record(web, TOOK, TOOK_STEP);
	return 0;
}

OP(fold)
{
	(void)world, (void)report;
	return tarn_counters_fold(web, NULL, NULL);
}

OP(close_it)
{
	(void)world, (void)report;
	tarn_counters_close(web);
	web = NULL;
	return 0;
}

OP(read_all)
{
	uint64_t values[METRICS] = { 0 };
	int r = tarn_counters_read(web, values, METRICS);

	(void)world;
	return r == 0 && (values[HITS] != BEFORE || values[TOOK] != 2)
		       ? harness_say(report, 1, "other sums")
		       : r;
}

OP(take_sample)
{
	struct tarn_sample *sample = NULL;
	int r = tarn_sample_new(web, &sample);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_sample_take(sample, web);
	tarn_sample_free(sample);
	return r;
}

/* --- survivors ----------------------------------------------------------------------------- */

struct sums {
	uint64_t values[METRICS];
	uint64_t took; /* the sum of TOOK */
};

static int read_sums(struct tarn_counters *counters, struct sums *sums)
{
	struct tarn_sample *sample = NULL;
	int r = tarn_counters_read(counters, sums->values, METRICS);

	if (r == 0)
		r = tarn_sample_new(counters, &sample);
	if (r == 0)
		r = tarn_sample_take(sample, counters);
	if (r == 0)
		sums->took = tarn_sample_sum(sample, TOOK);
	tarn_sample_free(sample);
	return r;
}

/* What a record adds that was killed between its two stores: less than the bucket's width is
 * lacking. */
static bool took_fits(const struct sums *sums)
{
	uint64_t whole = 2 * TOOK_BEFORE + (sums->values[TOOK] - 2) * TOOK_STEP;

	return sums->values[TOOK] >= 2 && sums->values[TOOK] <= 3 && sums->took <= whole &&
	       (sums->values[TOOK] == 2 ? sums->took == whole : whole - sums->took < 16);
}

/* Is something else there than at first, and not an add that was read for the first time? */
static int same(const char *when, const struct sums *was, const struct sums *is,
		struct harness_report *report)
{
	if (memcmp(was, is, sizeof(*was)) == 0)
		return 0;
	return harness_say(report, KILL_VIOLATION,
			   "%s the sums are %d, %d, %d, %d, not %d, %d, %d, %d", when,
			   (int)is->values[HITS], (int)is->values[BUSY], (int)is->values[TOOK],
			   (int)is->took, (int)was->values[HITS], (int)was->values[BUSY],
			   (int)was->values[TOOK], (int)was->took);
}

/* Slots for all, one after another, and each adds. */
static int use_slots(struct sums *sums, struct harness_report *report)
{
	for (int i = 0; i < 2 * SLOTS; i++) {
		struct tarn_counters *counters = NULL;
		struct sums found;
		int r = tarn_counters_open(region, "web", NULL, &counters);

		if (r < 0)
			return survivor_say(report, "another slot", r, NULL);
		tarn_counter_add(counters, HITS, 1);
		tarn_gauge_set(counters, BUSY, 4);
		sums->values[HITS]++;
		sums->values[BUSY] = 4;
		r = read_sums(web, &found);
		if (r < 0 || same("with one more,", sums, &found, report) < 0)
			return KILL_VIOLATION;
		tarn_counters_close(counters);
		sums->values[BUSY] = 0;
		r = read_sums(web, &found);
		if (r < 0 || same("with that closed,", sums, &found, report) < 0)
			return KILL_VIOLATION;
	}
	return 0;
}

/* The sums, as they are and go on to be, whatever is done. */
static int steady(struct sums *ret_first, struct harness_report *report)
{
	struct sums now;
	int r = read_sums(web, ret_first);

	if (r < 0)
		return harness_say(report, KILL_VIOLATION, "read: %s", strerror(-r));
	if (!took_fits(ret_first) || ret_first->values[BUSY] != 0)
		return harness_say(report, KILL_VIOLATION, "%d values, %d in all; gauge %d",
				   (int)ret_first->values[TOOK], (int)ret_first->took,
				   (int)ret_first->values[BUSY]);
	r = tarn_counters_fold(web, NULL, NULL);
	if (r == 0)
		r = read_sums(web, &now);
	if (r < 0)
		return harness_say(report, KILL_VIOLATION, "fold: %s", strerror(-r));
	if (same("folded,", ret_first, &now, report) < 0 || use_slots(&now, report) < 0)
		return KILL_VIOLATION;
	return survivor_check(region, report);
}

static int whole(struct kill_world *world, struct harness_report *report)
{
	tarn_counters_close(web);
	web = NULL;
	return survivor_whole(world, region, OBJECTS, report);
}

static int judge(struct kill_world *world, struct harness_report *report, struct sums *sums)
{
	if (look(world, report) < 0 || steady(sums, report) < 0 || whole(world, report) < 0)
		return KILL_VIOLATION;
	return 0;
}

/* What it counts is there, or not. */
OP(check_hits)
{
	struct sums sums;
	int r = judge(world, report, &sums);

	if (r == 0 && sums.values[HITS] != BEFORE && sums.values[HITS] != BEFORE + STEP)
		return harness_say(report, KILL_VIOLATION, "%d hits", (int)sums.values[HITS]);
	return r < 0 ? r : sums.values[HITS] == BEFORE + STEP;
}

/* The same of what was added before the operation: all of it is there. */
OP(check_added)
{
	struct sums sums;
	int r = judge(world, report, &sums);

	if (r == 0 && (sums.values[HITS] != BEFORE + STEP || sums.values[TOOK] != 3 ||
		       sums.took != 2 * TOOK_BEFORE + TOOK_STEP))
		return harness_say(report, KILL_VIOLATION, "%d hits, %d values, %d in all",
				   (int)sums.values[HITS], (int)sums.values[TOOK], (int)sums.took);
	return r;
}

/* 1: it is counted; 2: and summed up. */
OP(check_record)
{
	struct sums sums;
	int r = judge(world, report, &sums);

	return r < 0 || sums.values[TOOK] == 2            ? r
	       : sums.took == 2 * TOOK_BEFORE + TOOK_STEP ? 2
							  : 1;
}

/* They are there, or not; made, they work. */
OP(check_made)
{
	struct sums sums;
	int r = join(world, report), there;

	if (r < 0)
		return KILL_VIOLATION;
	there = open_web(false);
	if (there < 0 && there != -ENOENT)
		return survivor_say(report, "open", there, NULL);
	r = open_web(true);
	if (r == 0)
		r = read_sums(web, &sums);
	if (r < 0 || sums.values[HITS] != 0 || sums.values[TOOK] != 0 || sums.took != 0)
		return harness_say(report, KILL_VIOLATION, "new ones: %s", strerror(-r));
	if (use_slots(&sums, report) < 0 || whole(world, report) < 0)
		return KILL_VIOLATION;
	return there == 0 ? 1 : 0;
}

/* What the next one does: it takes a slot where there is none without folding, and adds nothing. */
OP(recover)
{
	int r = ready(world, report);

	return r == 0 ? tarn_counters_fold(web, NULL, NULL) : r;
}

/* clang-format off */
#define CHANGES(nm, first, what, judge_, last) \
	{ .name = "counters-" nm, .setup = with_sums, .prepare = first, .op = what, \
	  .check = judge_, .ready = join, .recover = recover, .after = last }
#define SAME(nm, before, first, what, judge_) \
	{ .name = "counters-" nm, .setup = before, .prepare = first, .op = what, .check = judge_, \
	  .ready = join, .recover = recover, .flags = KILL_UNCHANGED }

static const struct kill_op ops[] = {
	{ .name = "counters-open-creating", .setup = bare, .prepare = join, .op = open_creating,
	  .check = check_made },
	SAME("open", with_sums, join, open_there, check_hits),
	SAME("open-where-all-are-dead", with_sums_full, join, open_there, check_hits),
	SAME("open-after-dead-folder", left_flipped, join, open_there, check_hits),
	CHANGES("add", ready, add, check_hits, 1),
	SAME("gauge", with_sums, ready, set_gauge, check_hits),
	CHANGES("record", ready, record, check_record, 2),
	SAME("fold", with_sums, ready, fold, check_hits),
	SAME("fold-what-was-added", with_sums, ready_added, fold, check_added),
	SAME("fold-many", with_sums_full, look, fold, check_hits),
	SAME("fold-after-dead-folder", left_flipped, look, fold, check_hits),
	SAME("fold-after-who-died-zeroing", left_zeroing, look, fold, check_hits),
	SAME("close", with_sums, ready_added, close_it, check_added),
	SAME("close-after-dead-folder", left_zeroing, ready_added, close_it, check_added),
	SAME("read", with_sums, ready, read_all, check_hits),
	SAME("read-after-dead-folder", left_flipped, look, read_all, check_hits),
	SAME("sample", left_zeroing, look, take_sample, check_hits),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
