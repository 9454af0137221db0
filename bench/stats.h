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

#endif /* BENCH_STATS_H */
