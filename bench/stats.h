/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.h - what is made of samples and of rounds. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_spread {
	double median, min, max;
};

void bench_sort(uint32_t *samples, size_t count);
/* What at least @part, 0 .. 1, of @count sorted samples does not exceed; 0 where there is none. */
double bench_percentile(const uint32_t *sorted, size_t count, double part);
/* Of values that are not 0; they are sorted. All 0 where there is none. */
struct bench_spread bench_spread_of(double *values, size_t count);

/* The two limits, taken before and after, differ: the host has moved the processors meanwhile, and
 * what was measured in between belongs to neither place. 0: not taken. */
bool bench_moved(double before, double after);

/* Were the two processors as far from one another in a round with this bounce as in those that come
 * to @place? 0: not taken, which is no reason against it. */
bool bench_is_at(double bounce, double place);
/* Of @count sorted bounces: the median of those of the nearest place that has @least of them; where
 * none has, of the place that has the most, the nearest such. 0 where there is no bounce. */
double bench_place_of(const double *sorted, size_t count, size_t least);
/* As many rounds of @count make a place that others are held against: a freak does not. */
size_t bench_place_least(size_t count);

#endif /* BENCH_STATS_H */
