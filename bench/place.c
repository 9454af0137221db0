/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * place.c - which rounds of a row count where the host has had the processors now near one another
 * and now far.
 *
 * A round's bounce tells where they were. All rounds of a run are looked at together, since all are
 * of the same two processors (sides 0 and 1 take the bounce), so that rows can be compared with one
 * another:
 *
 *   near    the nearest place that at least two rounds were taken at, and as many as a third of all
 *           before any was tried again (by which the far ones alone become more and more); the
 *           median of their bounces stands for it, and what is within 1.5 times of that belongs to
 *           it
 *   a row   is of its near rounds, if these are half of what was asked for, or no fewer than its
 *           others. Else it is of the place that most of the others were at, and says so
 *
 * What is near is known for good only at the end, so every round is kept until then, and a row that
 * was measured before a nearer place was seen is as short of near rounds as any other.
 */
#include "engine.h"

/* What one process does alone is as fast wherever the other processor is. */
static bool matters(const struct bench_cell *cell)
{
	bool alone = cell->measure == BENCH_WRITE &&
		     (cell->variant->measures & ~(unsigned)BENCH_ALL_OF_LOCKS) == 0;

	return cell->pinned && !alone;
}

void bench_note_bounce(struct bench_run *run, double bounce)
{
	size_t i = run->bounce_count;

	if (bounce == 0)
		return;
	for (; i > 0 && run->bounces[i - 1] > bounce; i--)
		run->bounces[i] = run->bounces[i - 1];
	run->bounces[i] = bounce;
	run->bounce_count++;
	run->first_count += run->again == 0;
	run->near = bench_place_of(run->bounces, run->bounce_count,
				   bench_place_least(run->first_count));
}

bool bench_is_near(const struct bench_run *run, const struct bench_row *row, double bounce)
{
	return !matters(&row->cell) || bench_is_at(bounce, run->near);
}

static unsigned near_count(const struct bench_run *run, const struct bench_row *row)
{
	unsigned count = 0;

	for (unsigned i = 0; i < row->rounds; i++)
		count += bench_is_near(run, row, row->figures[i].bounce);
	return count;
}

bool bench_is_short(const struct bench_run *run, const struct bench_row *row)
{
	return row->failed[0] == '\0' && near_count(run, row) < run->settings.rounds;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Where most of the rounds of @row were taken that are not near. */
static double other_place(const struct bench_run *run, const struct bench_row *row)
{
	double sorted[BENCH_TAKEN_MAX];
	size_t count = 0;

	for (unsigned i = 0; i < row->rounds; i++)
		if (!bench_is_near(run, row, row->figures[i].bounce))
			sorted[count++] = row->figures[i].bounce;
	(void)bench_spread_of(sorted, count); /* sorts them */
	return bench_place_of(sorted, count, count);
}

static double place_of(const struct bench_run *run, const struct bench_row *row)
{
	unsigned near = near_count(run, row), others = row->rounds - near;

	if (near * 2 >= run->settings.rounds || near >= others)
		return run->near;
	return other_place(run, row);
}

/* Rounds at @place come first, and alone count. */
static void divide(struct bench_row *row, double place)
{
	unsigned count = 0;

	for (unsigned i = 0; i < row->rounds; i++) {
		struct bench_figures figures = row->figures[i];

		if (!bench_is_at(figures.bounce, place))
			continue;
		row->figures[i] = row->figures[count];
		row->figures[count++] = figures;
	}
	row->set_aside = row->rounds - count;
	row->rounds = count;
}

static void settle(struct bench_run *run, struct bench_row *row)
{
	double place = place_of(run, row);

	if (!matters(&row->cell) || place == 0)
		return;
	divide(row, place);
	if (bench_over_rounds(row, offsetof(struct bench_figures, bounce)).median == 0)
		return;
	row->place = place == run->near ? BENCH_NEAR : place > run->near ? BENCH_FAR : BENCH_NEARER;
	run->set_aside += row->set_aside;
	run->other_rows += row->place != BENCH_NEAR;
}

void bench_settle(struct bench_run *run)
{
	for (unsigned i = 0; i < run->row_count; i++)
		settle(run, &run->rows[i]);
}
