/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c - percentiles, medians of rounds with their spread, and the rules by which a round is
 * discarded, or belongs to another place than others. */
#include <stdlib.h>

#include "stats.h"

/* Places of two processors (one core's threads, one third-level cache, two of them) differ by
 * 1.6 and more; rounds at one place by a tenth. */
#define MOVED 1.25
/* So that both are told apart. Rows of a run on an idle host had 102 to 150 ns, and one
 * had 455. */
#define PLACE 1.5
/* Three of its 288 rows had 80 to 85 ns, and on a loaded host every seventh round: a table held
 * against what is seldom had would be one of exceptions. Of three places one has a third. */
enum { PLACE_LEAST = 2, PLACE_PART = 3 };

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_sort(uint32_t *samples, size_t count)
{
	qsort(samples, count, sizeof(*samples), compare_u32);
}

double bench_percentile(const uint32_t *sorted, size_t count, double part)
{
	double place = part * (double)count;
	size_t i = (size_t)place;

	if (count == 0)
		return 0;
	if ((double)i == place && i > 0) /* exactly so many do not exceed the one before */
		i--;
	return sorted[i < count ? i : count - 1];
}

struct bench_spread bench_spread_of(double *values, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (values[i] != 0)
			values[kept++] = values[i];
	if (kept == 0)
		return (struct bench_spread){ 0 };
	qsort(values, kept, sizeof(*values), compare_double);
	double middle = kept % 2 ? values[kept / 2] : (values[kept / 2 - 1] + values[kept / 2]) / 2;

	return (struct bench_spread){ middle, values[0], values[kept - 1] };
}

bool bench_moved(double before, double after)
{
	if (before == 0 || after == 0)
		return false;
	return before > after * MOVED || after > before * MOVED;
}

bool bench_is_at(double bounce, double place)
{
	if (bounce == 0 || place == 0)
		return true;
	return bounce <= place * PLACE && place <= bounce * PLACE;
}

size_t bench_place_least(size_t count)
{
	size_t part = (count + PLACE_PART - 1) / PLACE_PART;

	return part > PLACE_LEAST ? part : PLACE_LEAST;
}

double bench_place_of(const double *sorted, size_t count, size_t least)
{
	size_t end = 0, best = 0, most = 0;

	for (size_t i = 0; i < count && most < least; i++) {
		while (end < count && sorted[end] <= sorted[i] * PLACE)
			end++;
		if (end - i > most) {
			most = end - i;
			best = i;
		}
	}
	return most > 0 ? sorted[best + (most - 1) / 2] : 0;
}
