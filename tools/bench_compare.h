/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_compare.h - two results side by side, and a verdict only where chance cannot explain it.
 *
 * A row got slower, or faster, if all of this holds; else there is no difference that can be told:
 *
 *   apart    the rounds of the one and of the other do not overlap: the worst of the better one is
 *            better than the best of the worse one
 *   beyond   the medians are further apart than the limits of the two, which were taken in the same
 *            rounds, and than the round trip of a cache line: where the machine became faster
 *            or slower, that much is its doing. Where these differ by more than BENCH_LIMIT_MOVED
 *            the ratios to them are apart as well
 *   enough   they are at least BENCH_LEAST apart
 *   sure     they are apart by bench_factor() times the mean width of the two spreads. A few rounds
 *            may be apart by chance: of three of each every tenth pair is
 *
 * What is compared is the figure, or its ratio to the limit, taken within each round: the latter
 * where the machines differ, or where its spread is so much the narrower that the limit must have
 * been what moved (a host that moves its processors between rounds). Nothing is quite in proportion
 * to its limit, so "beyond" then asks for half as much as the limits of the two differ by.
 *
 * Only like is held against like: rows of one machine whose cache lines took times that differ by
 * more than BENCH_UNLIKE_PLACES, or of two machines one of which had its processors near and the
 * other one far, are unlike. Where one process works alone, and its row says so, that is no matter.
 * Unlike are also rows of those who sleep, if in one they were awake all the while: a round trip
 * took less than that of two bare sleepers.
 *
 * With that noise alone, of equal width on both sides, calls fewer than one row in ten thousand.
 */
#ifndef TARN_TOOLS_BENCH_COMPARE_H
#define TARN_TOOLS_BENCH_COMPARE_H

#include "bench_json.h"
#include "out.h"

#define BENCH_LEAST         0.05
#define BENCH_LIMIT_MOVED   1.25 /* as the engine discards rounds */
#define BENCH_UNLIKE_PLACES 1.5  /* as the engine sets rounds aside */

enum bench_verdict {
	BENCH_SAME = 0, /* no difference that can be told */
	BENCH_SLOWER,
	BENCH_FASTER,
	BENCH_UNLIKE,     /* the processors were at another distance, or the sleepers awake */
	BENCH_ONLY_FIRST, /* the other one has no such row, or could not measure it */
	BENCH_ONLY_SECOND,
	BENCH_NEITHER,
	BENCH_VERDICT_COUNT,
};

struct bench_pair {
	const struct bench_result *first, *second; /* NULL: there is none */
	const char *unit;                          /* of a and b; NULL: nothing to compare */
	struct bench_span a, b;
	struct bench_span ratio; /* of times: above 1 the second one is slower; 0: unknown */
	bool relative;           /* a and b are ratios to the limit */
	double limit_ratio;      /* of the limits, likewise; 1: not known */
	enum bench_verdict verdict;
	const char *why; /* "" of slower and faster */
};

/* How many widths apart @rounds of each have to be. */
double bench_factor(uint64_t rounds);
/* @relative: the machines differ. */
void bench_judge(struct bench_pair *pair, bool relative);

/* tarn bench compare A B: the verb's lists "compared" and "differences". */
extern const struct out_list bench_compared_list, bench_differences_list;
int bench_compare(struct cli *cli, const char *first, const char *second);

#endif /* TARN_TOOLS_BENCH_COMPARE_H */
