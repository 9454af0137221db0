/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - allocating from an arena, beside malloc() and Boost.Interprocess, one thread.
 *
 *     bench-arena [-J] [-r ROUNDS]
 *
 * Three patterns: a block allocated and freed at once; a hundred allocated, then freed in another
 * order; and the hundred with sizes of all kinds. In each round all contestants run one after the
 * other, so that ratios are taken within a round; medians of processor time are printed. The
 * arena is measured in two ways: each call, or pair, in a tx of its own, and a hundred in one tx.
 * The others have no undo, malloc() no sharing either, and Boost's lock is not robust.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tarn/arena.h>

#include "arena_bench.h"

enum { PAIRS = 100000, BATCH = 100, ROUNDS_MAX = 31 };

enum pattern { AT_ONCE, BATCHES, MIXED, PATTERNS };
static const char *const pattern_names[] = { "64 B, freed at once", "64 B, 100 held",
					     "16 B to 4 KiB, 100 held" };

static struct tarn_region *region;
static struct tarn_section *section;
static struct tarn_arena *arena;
static size_t sizes[BATCH];
static int order[BATCH];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* others may run here, too */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what, int r)
{
	fprintf(stderr, "bench-arena: %s: %s\n", what, strerror(-r));
	exit(1);
}

static size_t size_of(enum pattern p, int i)
{
	return p == MIXED ? sizes[i] : 64;
}

/* --- contestants ---------------------------------------------------------------------------- */

static void *hold(void *p)
{
	__asm__ __volatile__("" : "+r"(p) : : "memory");
	return p;
}

static void run_malloc(enum pattern p)
{
	void *held[BATCH];

	if (p == AT_ONCE) {
		for (int i = 0; i < PAIRS; i++)
			free(hold(malloc(64)));
		return;
	}
	for (int n = 0; n < PAIRS / BATCH; n++) {
		for (int i = 0; i < BATCH; i++)
			held[i] = hold(malloc(size_of(p, i)));
		for (int i = 0; i < BATCH; i++)
			free(held[order[i]]);
	}
}

static struct tarn_tx *enter(void)
{
	struct tarn_tx *tx;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	if (r < 0)
		die("enter", r);
	return tx;
}

static void leave(void)
{
	int r = tarn_section_leave(section);

	if (r < 0)
		die("leave", r);
}

static tarn_ref arena_alloc(struct tarn_tx *tx, size_t size)
{
	tarn_ref ref = 0;
	int r = tarn_arena_alloc(arena, tx, size, 0, 0, &ref);

	if (r < 0)
		die("alloc", r);
	return ref;
}

/* @each: a tx for each call, or pair of calls; else one for a hundred of them. */
static void run_arena(enum pattern p, bool each)
{
	struct tarn_tx *tx = NULL;
	tarn_ref held[BATCH];

	for (int n = 0; n < PAIRS / BATCH; n++) {
		if (!each)
			tx = enter();
		for (int i = 0; i < BATCH; i++) {
			if (each)
				tx = enter();
			held[i] = arena_alloc(tx, size_of(p, i));
			if (p == AT_ONCE)
				(void)tarn_arena_free(arena, tx, held[i]);
			if (each)
				leave();
		}
		if (p == AT_ONCE && !each)
			leave();
		if (p == AT_ONCE)
			continue;
		if (!each) {
			leave();
			tx = enter();
		}
		for (int i = 0; i < BATCH; i++) {
			if (each)
				tx = enter();
			(void)tarn_arena_free(arena, tx, held[order[i]]);
			if (each)
				leave();
		}
		if (!each)
			leave();
	}
}

static void run_arena_each(enum pattern p)
{
	run_arena(p, true);
}

static void run_arena_together(enum pattern p)
{
	run_arena(p, false);
}

#ifdef BENCH_BOOST
static void run_boost(enum pattern p)
{
	void *held[BATCH];

	if (p == AT_ONCE) {
		for (int i = 0; i < PAIRS; i++)
			boost_free(boost_alloc(64));
		return;
	}
	for (int n = 0; n < PAIRS / BATCH; n++) {
		for (int i = 0; i < BATCH; i++)
			held[i] = boost_alloc(size_of(p, i));
		for (int i = 0; i < BATCH; i++)
			boost_free(held[order[i]]);
	}
}
#endif

static const struct contestant {
	const char *name;
	void (*run)(enum pattern p);
} contestants[] = {
	{ "malloc", run_malloc },
	{ "arena, a tx each", run_arena_each },
	{ "arena, 100 a tx", run_arena_together },
#ifdef BENCH_BOOST
	{ "Boost managed_shared_memory", run_boost },
#endif
};

enum { CONTESTANTS = sizeof(contestants) / sizeof(*contestants) };

/* --- rounds --------------------------------------------------------------------------------- */

static double results[PATTERNS][CONTESTANTS][ROUNDS_MAX];

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(const double *values, const double *over, int count)
{
	double sorted[ROUNDS_MAX];

	for (int i = 0; i < count; i++)
		sorted[i] = over != NULL ? values[i] / over[i] : values[i];
	qsort(sorted, (size_t)count, sizeof(*sorted), by_value);
	return sorted[count / 2];
}

static void open_arena(void)
{
	const struct tarn_region_opts ropts = { .size = 8 << 20 };
	const struct tarn_section_opts sopts = { .journal_size = 64 << 10 };
	struct tarn_arena_opts opts = { .size = 4 << 20 };
	int r = tarn_region_create("anon:", &ropts, &region);

	if (r == 0)
		r = tarn_section_open(region, "s", &sopts, &section);
	opts.section = section;
	if (r == 0)
		r = tarn_arena_open(region, "a", &opts, &arena);
	if (r < 0)
		die("arena", r);
}

static void draw(void)
{
	unsigned seed = 1;

	for (int i = 0; i < BATCH; i++) {
		seed = seed * 1103515245u + 12345u;
		sizes[i] = 16u << (seed >> 16) % 8;
		sizes[i] += (seed >> 8) % sizes[i];
		order[i] = i * 37 % BATCH;
	}
}

static void print(int rounds, bool json)
{
	for (int p = 0; p < PATTERNS; p++) {
		if (!json)
			printf("%s%s: ns of processor time a pair of alloc and free, median of %d "
			       "rounds\n",
			       p > 0 ? "\n" : "", pattern_names[p], rounds);
		for (int c = 0; c < CONTESTANTS; c++) {
			double ns = median(results[p][c], NULL, rounds);
			double ratio = median(results[p][c], results[p][0], rounds);

			printf(json ? "{\"schema\":\"tarn.bench.arena\",\"version\":1,"
				      "\"pattern\":\"%s\",\"allocator\":\"%s\",\"pair_ns\":%.2f,"
				      "\"ratio_malloc\":%.3f}\n"
				    : "%.0s  %-28s %8.1f ns  %6.2f of malloc\n",
			       pattern_names[p], contestants[c].name, ns, ratio);
		}
	}
#ifndef BENCH_BOOST
	if (!json)
		printf("\nBoost is not measured: its headers (libboost-dev) or a C++ compiler were "
		       "not there when this was built.\n");
#endif
}

int main(int argc, char **argv)
{
	int rounds = 7, opt;
	bool json = false;

	while ((opt = getopt(argc, argv, "Jr:")) != -1) {
		if (opt == 'J')
			json = true;
		else if (opt == 'r')
			rounds = (int)strtol(optarg, NULL, 10);
		else
			return 2;
	}
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	draw();
	open_arena();
#ifdef BENCH_BOOST
	boost_open();
#endif
	for (int round = -1; round < rounds; round++) /* the first one warms up */
		for (int p = 0; p < PATTERNS; p++)
			for (int c = 0; c < CONTESTANTS; c++) {
				double began = now_ns();

				contestants[c].run((enum pattern)p);
				if (round >= 0)
					results[p][c][round] = (now_ns() - began) / PAIRS;
			}
	print(rounds, json);
#ifdef BENCH_BOOST
	boost_close();
#endif
	tarn_arena_close(arena);
	tarn_section_close(section);
	tarn_region_close(region);
	return 0;
}
