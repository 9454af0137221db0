/* SPDX-License-Identifier: BSD-2-Clause */
/* rows.h - what bench-section, bench-prim and bench-arena print: rows with spread, and claims. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_MAX = 64 };

static bool rows_json;

static int rows_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The median of @values, each divided by that of the same round in @over; NULL: by nothing. */
static double rows_median(const double *values, const double *over, int count)
{
	double sorted[ROUND_MAX];

	for (int i = 0; i < count; i++)
		sorted[i] = over != NULL ? values[i] / over[i] : values[i];
	qsort(sorted, (size_t)count, sizeof(*sorted), rows_order);
	return sorted[count / 2];
}

/* Who does @test, how long it takes them, and how that is to @over by @whom in the same rounds. */
static void row(const char *test, const char *who, const char *unit, const double *values,
		int count, const double *over, const char *whom)
{
	double sorted[ROUND_MAX], middle = rows_median(values, NULL, count), least, most;

	memcpy(sorted, values, (size_t)count * sizeof(*sorted));
	qsort(sorted, (size_t)count, sizeof(*sorted), rows_order);
	least = sorted[0];
	most = sorted[count - 1];
	if (rows_json) {
		printf("{\"schema\":\"tarn.bench.row\",\"version\":1,\"test\":\"%s\",\"who\":\"%"
		       "s\","
		       "\"%s\":%.4g,\"%s_min\":%.4g,\"%s_max\":%.4g",
		       test, who, unit, middle, unit, least, unit, most);
		if (over != NULL)
			printf(",\"ratio\":%.4g,\"ratio_to\":\"%s\"",
			       rows_median(values, over, count), whom);
		printf("}\n");
		return;
	}
	printf("  %-36s %-17s %9.2f %-9s [%.2f..%.2f]", test, who, middle, unit, least, most);
	if (over != NULL)
		printf("   %.2f of %s", rows_median(values, over, count), whom);
	printf("\n");
}

/* Is it as was promised? @found must not be above @bound, or, @at_least, not below. */
static void claim(const char *what, double found, double bound, bool at_least)
{
	bool holds = at_least ? found >= bound : found <= bound;

	if (rows_json)
		printf("{\"schema\":\"tarn.bench.claim\",\"version\":1,\"claim\":\"%s\","
		       "\"found\":%.4g,\"bound\":%.4g,\"at_least\":%s,\"holds\":%s}\n",
		       what, found, bound, at_least ? "true" : "false", holds ? "true" : "false");
	else
		printf("    -> %s: %.2f, %s %.2f: %s\n", what, found,
		       at_least ? "at least" : "at most", bound, holds ? "yes" : "NO");
	fflush(stdout);
}

/* A fact. */
static inline void memory(const char *what, double bytes)
{
	if (rows_json)
		printf("{\"schema\":\"tarn.bench.memory\",\"version\":1,\"what\":\"%s\","
		       "\"size_bytes\":%.4g}\n",
		       what, bytes);
	else
		printf("  %-60s %9.6g bytes\n", what, bytes);
}

#endif /* BENCH_ROWS_H */
