/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c - go through the rounds of a run, and make figures of what the teams leave. */
#include <stdio.h>

#include "engine.h"

#define AGAIN_NS INT64_C(2000000000)

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- how many --------------------------------------------------------------------------------- */

static bool sleeps(const struct bench_cell *cell)
{
	return cell->variant->mode == BENCH_BLOCKING;
}

static uint64_t first_count(const struct bench_cell *cell)
{
	if (cell->measure == BENCH_WAKE_UP || (cell->measure == BENCH_HAND_OVER && sleeps(cell)))
		return 3;
	if (cell->size >= 1 << 20)
		return 2;
	return sleeps(cell) ? 40 : 300;
}

static uint64_t least_count(const struct bench_cell *cell)
{
	if (cell->measure == BENCH_WAKE_UP)
		return 12;
	if (cell->size > 1 << 20)
		return 3;
	return 20;
}

static uint64_t most_count(const struct bench_cell *cell)
{
	return bench_is_rate(cell->measure) ? 4 << 20 : BENCH_SAMPLE_MAX;
}

/* The first side that kept the time, and what it came to. */
static double elapsed_ns(const struct bench_shm *shm, unsigned sides)
{
	uint64_t from = 0, to = 0;

	for (unsigned i = 0; i < sides; i++) {
		if (shm->t_end[i] == 0)
			continue;
		from = from == 0 || shm->t_start[i] < from ? shm->t_start[i] : from;
		to = shm->t_end[i] > to ? shm->t_end[i] : to;
	}
	return (double)(to - from) * shm->tick_ns;
}

static uint64_t next_count(const struct bench_run *run, const struct bench_row *row, uint64_t count)
{
	const struct bench_shm *shm = run->shm;
	double loops = (double)(shm->sent != 0 ? shm->sent : count) +
		       (double)shm->block_count * BENCH_BLOCK;
	double each = elapsed_ns(shm, row->cell.sides) / loops;
	double wanted = each > 0 ? (double)run->settings.slice_ns / each : (double)count;
	uint64_t least = least_count(&row->cell), most = most_count(&row->cell);

	if (row->cell.measure == BENCH_ROUND_TRIP && wanted > 16 * BENCH_BLOCK)
		wanted /= 2; /* the other half are blocks */
	if (row->cell.measure == BENCH_OPEN_LOOP)
		wanted = (double)run->settings.slice_ns * 1e-9 * (double)row->cell.rate;
	if (wanted < (double)least)
		return least;
	return wanted > (double)most ? most : (uint64_t)wanted;
}

/* --- figures ---------------------------------------------------------------------------------- */

static double mean(double a, double b)
{
	return a != 0 && b != 0 ? (a + b) / 2 : a + b;
}

/* What spoils a limit makes it worse than it is, so the better of the two is nearer to it; of the
 * bounce both are of the same place, and what lies between them is spread. */
static double limit_of(const struct bench_run *run, enum bench_limit_kind kind)
{
	double before = run->shm->before.own, after = run->shm->after.own;

	if (kind == BENCH_LIMIT_BOUNCE || kind == BENCH_LIMIT_HOP || before == 0 || after == 0)
		return mean(before, after);
	return (before < after) == (kind == BENCH_LIMIT_MEMCPY) ? after : before;
}

static void figure_latency(const struct bench_run *run, struct bench_figures *f)
{
	struct bench_shm *shm = run->shm;
	size_t n = shm->sample_count;
	double ns = shm->tick_ns / (shm->per_sample != 0 ? shm->per_sample : 1);

	bench_sort(shm->samples, n);
	f->p50 = bench_percentile(shm->samples, n, 0.5) * ns;
	f->p90 = bench_percentile(shm->samples, n, 0.9) * ns;
	f->p99 = bench_percentile(shm->samples, n, 0.99) * ns;
	f->p99_9 = bench_percentile(shm->samples, n, 0.999) * ns;
	f->max = bench_percentile(shm->samples, n, 1) * ns;
	if (shm->block_count == 0)
		return;
	bench_sort(shm->blocks, shm->block_count);
	f->block =
		bench_percentile(shm->blocks, shm->block_count, 0.5) * shm->tick_ns / BENCH_BLOCK;
}

/* Round trips are held against the bounce by blocks on both sides: clocks tick too coarsely. */
static void figure_ratio(const struct bench_run *run, const struct bench_row *row,
			 struct bench_figures *f)
{
	const struct bench_shm *shm = run->shm;
	double block = mean(shm->before.block, shm->after.block);

	if (f->limit == 0)
		return;
	if (row->limit == BENCH_LIMIT_HOP && f->rate != 0)
		f->ratio = f->rate * f->limit;
	else if (row->limit == BENCH_LIMIT_MEMCPY)
		f->ratio = f->rate * (double)row->cell.size / f->limit;
	else if (row->limit == BENCH_LIMIT_BOUNCE && f->block != 0 && block != 0)
		f->ratio = f->block / block;
	else
		f->ratio = f->p50 / f->limit;
}

static void figure(const struct bench_run *run, struct bench_row *row)
{
	struct bench_figures *f = &row->figures[row->rounds++];
	const struct bench_shm *shm = run->shm;

	memset(f, 0, sizeof(*f));
	f->bounce = mean(shm->before.bounce, shm->after.bounce);
	f->limit = limit_of(run, row->limit);
	if (bench_is_rate(row->cell.measure))
		f->rate = (double)shm->count / elapsed_ns(shm, row->cell.sides);
	else
		figure_latency(run, f);
	figure_ratio(run, row, f);
}

static void take_round(struct bench_run *run, struct bench_row *row)
{
	figure(run, row);
	if (row->cell.pinned)
		bench_note_bounce(run, row->figures[row->rounds - 1].bounce);
}

struct bench_spread bench_over_rounds(const struct bench_row *row, size_t field)
{
	double values[BENCH_TAKEN_MAX];

	for (unsigned i = 0; i < row->rounds; i++)
		memcpy(&values[i], (const char *)&row->figures[i] + field, sizeof(double));
	return bench_spread_of(values, row->rounds);
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void keep_why(struct bench_row *row, const struct bench_shm *shm)
{
	memcpy(row->failed, shm->why, sizeof(row->failed));
	row->failed[sizeof(row->failed) - 1] = '\0';
}

/* A short loop before the first round, which counts for nothing: how many messages a loop takes to
 * last as long as it should, and whether the cell can be measured at all. */
static bool try_cell(struct bench_run *run, struct bench_row *row)
{
	uint64_t count = row->count == 0 ? first_count(&row->cell) : row->count;

	if (!bench_cell_run(run, &row->cell, count)) {
		/* what stops the tool may have ended its processes too */
		if (run->settings.progress == NULL ||
		    !run->settings.progress(run, run->settings.arg))
			keep_why(row, run->shm);
		return false;
	}
	row->count = next_count(run, row, run->shm->count);
	return true;
}

static void run_cell(struct bench_run *run, struct bench_row *row)
{
	if (row->count == 0 && !try_cell(run, row))
		return;
	for (unsigned tries = 0; tries < BENCH_TRIES; tries++) {
		if (!try_cell(run, row))
			return;
		if (!row->cell.pinned ||
		    !bench_moved(run->shm->before.bounce, run->shm->after.bounce)) {
			take_round(run, row);
			return;
		}
		row->discarded++;
		run->discarded++;
	}
}

static bool is_stopped(struct bench_run *run)
{
	if (run->settings.progress != NULL && run->settings.progress(run, run->settings.arg))
		run->stopped = true;
	return run->stopped;
}

static bool goes_on(struct bench_run *run)
{
	int64_t spent = now_ns() - run->began_ns;

	run->elapsed_ns = spent;
	if (run->done > 0)
		run->left_ns = spent / run->done * (run->in_all - run->done);
	if (run->settings.budget_ns > 0 && run->left_ns > run->settings.budget_ns - spent)
		run->left_ns = run->settings.budget_ns - spent;
	if (run->settings.budget_ns > 0 && spent > run->settings.budget_ns)
		run->out_of_time = true;
	return !is_stopped(run) && !run->out_of_time;
}

static void run_round(struct bench_run *run)
{
	for (unsigned i = 0; i < run->row_count; i++, run->done++) {
		struct bench_row *row = &run->rows[i];

		if (row->failed[0] != '\0')
			continue;
		run->now = row;
		if (!goes_on(run))
			return;
		run_cell(run, row);
	}
}

/* --- again ------------------------------------------------------------------------------------ */

static unsigned count_short(const struct bench_run *run)
{
	unsigned count = 0;

	for (unsigned i = 0; i < run->row_count; i++)
		count += bench_is_short(run, &run->rows[i]);
	return count;
}

/* The host seldom moves the processors back within a moment: let it have one. */
static void pause_if_far(const struct bench_run *run, const struct bench_row *row, unsigned before)
{
	struct timespec span = { run->settings.pause_ns / 1000000000,
				 run->settings.pause_ns % 1000000000 };

	if (row->rounds == before || !bench_is_near(run, row, row->figures[row->rounds - 1].bounce))
		(void)nanosleep(&span, NULL);
}

/* Each row that is short of rounds, once more; false: that was all. */
static bool run_short(struct bench_run *run, int64_t end_ns)
{
	run->again = count_short(run);
	for (unsigned i = 0; i < run->row_count; i++) {
		struct bench_row *row = &run->rows[i];
		unsigned before = row->rounds;

		if (!bench_is_short(run, row))
			continue;
		run->now = row;
		run->left_ns = end_ns - now_ns();
		if (is_stopped(run) || run->left_ns <= 0)
			return false;
		run_cell(run, row);
		pause_if_far(run, row, before);
	}
	return run->again > 0;
}

/* As long again as the rounds took, and AGAIN_NS; or until the time is over that was given. */
static void run_again(struct bench_run *run)
{
	int64_t now = now_ns(), end = now + (now - run->began_ns) + AGAIN_NS;

	if (run->settings.budget_ns > 0)
		end = run->began_ns + run->settings.budget_ns;
	for (unsigned i = 0; i < BENCH_AGAIN; i++)
		if (run->stopped || run->out_of_time || !run_short(run, end))
			return;
}

static void say_what_is_missing(struct bench_run *run)
{
	for (unsigned i = 0; i < run->row_count; i++) {
		struct bench_row *row = &run->rows[i];

		if (row->rounds == 0 && row->failed[0] == '\0')
			snprintf(row->failed, sizeof(row->failed), "%s",
				 row->discarded > 0 ? "discarded: the host moved the processors"
				 : run->stopped     ? "not measured: it was interrupted"
						    : "not measured: the time was over");
	}
}

void bench_go(struct bench_run *run)
{
	run->began_ns = now_ns();
	run->tick_ns = bench_measure_tick();
	run->in_all = run->row_count * run->settings.rounds;
	for (unsigned round = 0; round < run->settings.rounds; round++) {
		if (run->stopped || run->out_of_time)
			break;
		run_round(run);
	}
	run_again(run);
	run->elapsed_ns = now_ns() - run->began_ns;
	(void)is_stopped(run);
	bench_settle(run);
	say_what_is_missing(run);
}
