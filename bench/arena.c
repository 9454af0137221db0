/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - allocating from an arena, beside malloc() and Boost.Interprocess, one thread.
 *
 *     bench-arena [-J] [-r ROUNDS]
 *
 * Four patterns: a block allocated and freed at once; a hundred, or ten thousand, allocated, then
 * freed in another order; and a hundred of sizes of all kinds. In each round all contestants run
 * one after the other, so that ratios are taken within a round; processor time is counted. The
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

#include "boost.h"
#include "rows.h"

enum { PAIRS = 40000, MANY = 10000, PER_TX = 100 };

enum pattern { AT_ONCE, HUNDRED, MANY_HELD, MIXED, PATTERNS };
static const struct {
	const char *name;
	int held;
} patterns[] = {
	{ "64 B, freed at once", 1 },
	{ "64 B, 100 held", 100 },
	{ "64 B, 10000 held", MANY },
	{ "16 B to 4 KiB, 100 held", 100 },
};

static struct tarn_region *region;
static struct tarn_section *section;
static struct tarn_arena *arena;
static size_t sizes[100];

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

/* The block that is freed as number @i: 37 has no divisor that 100 or 10000 has. */
static int turn(enum pattern p, int i)
{
	return i * 37 % patterns[p].held;
}

/* --- contestants ---------------------------------------------------------------------------- */

static void *hold(void *p)
{
	__asm__ __volatile__("" : "+r"(p) : : "memory");
	return p;
}

static void run_malloc(enum pattern p)
{
	static void *held[MANY];
	int count = patterns[p].held;

	for (int n = 0; n < PAIRS / count; n++) {
		for (int i = 0; i < count; i++)
			held[i] = hold(malloc(size_of(p, i)));
		for (int i = 0; i < count; i++)
			free(held[turn(p, i)]);
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

/* A block freed at once; @each: in one tx with its allocation, else a hundred of them in one. */
static void run_at_once(bool each)
{
	struct tarn_tx *tx = NULL;

	for (int n = 0; n < PAIRS; n++) {
		if (each || n % PER_TX == 0)
			tx = enter();
		(void)tarn_arena_free(arena, tx, arena_alloc(tx, 64));
		if (each || n % PER_TX == PER_TX - 1)
			leave();
	}
}

/* @each: a tx for each call, else for a hundred. */
static void run_held(enum pattern p, bool each)
{
	static tarn_ref held[MANY];
	struct tarn_tx *tx = NULL;
	int count = patterns[p].held;

	for (int n = 0; n < PAIRS / count; n++)
		for (int i = 0; i < 2 * count; i++) {
			if (each || i % PER_TX == 0)
				tx = enter();
			if (i < count)
				held[i] = arena_alloc(tx, size_of(p, i));
			else
				(void)tarn_arena_free(arena, tx, held[turn(p, i - count)]);
			if (each || i % PER_TX == PER_TX - 1)
				leave();
		}
}

static void run_arena(enum pattern p, bool each)
{
	if (p == AT_ONCE)
		run_at_once(each);
	else
		run_held(p, each);
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
	static void *held[MANY];
	int count = patterns[p].held;

	for (int n = 0; n < PAIRS / count; n++) {
		for (int i = 0; i < count; i++)
			held[i] = boost_alloc(size_of(p, i));
		for (int i = 0; i < count; i++)
			boost_free(held[turn(p, i)]);
	}
}
#endif

enum who { MALLOC, EACH, TOGETHER, BOOST };

static const struct contestant {
	const char *name;
	void (*run)(enum pattern p);
} contestants[] = {
	{ "malloc", run_malloc },
	{ "arena, a tx each", run_arena_each },
	{ "arena, 100 a tx", run_arena_together },
#ifdef BENCH_BOOST
	{ "Boost", run_boost },
#endif
};

enum { CONTESTANTS = sizeof(contestants) / sizeof(*contestants) };

/* --- rounds --------------------------------------------------------------------------------- */

static double results[PATTERNS][CONTESTANTS][ROUND_MAX];

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

	for (int i = 0; i < 100; i++) {
		seed = seed * 1103515245u + 12345u;
		sizes[i] = 16u << (seed >> 16) % 8;
		sizes[i] += (seed >> 8) % sizes[i];
	}
}

static void print(int p, int rounds)
{
	for (int c = 0; c < CONTESTANTS; c++)
		row(patterns[p].name, contestants[c].name, "ns", results[p][c], rounds,
		    c != MALLOC ? results[p][MALLOC] : NULL, "malloc");
	if (p == MIXED)
		return;
	claim("arena / malloc", rows_median(results[p][EACH], results[p][MALLOC], rounds), 3.0,
	      false);
#ifdef BENCH_BOOST
	claim("Boost / arena", rows_median(results[p][BOOST], results[p][EACH], rounds), 5.0, true);
#endif
}

static int add_arena(const struct tarn_object_stat *stat, void *arg)
{
	if (stat->kind == TARN_OBJECT_ARENA)
		*(uint64_t *)arg = stat->size;
	return 0;
}

/* What of the arena's bytes is not for blocks. */
static void print_memory(void)
{
	struct tarn_arena_stat st;
	uint64_t size = 0;
	int r = tarn_arena_stat(arena, &st);

	if (r == 0)
		r = tarn_region_objects(region, add_arena, &size);
	if (r < 0)
		die("stat", r);
	memory("an arena of 4 MiB, beside its blocks", (double)(size - st.size));
	memory("... to each page of 4096 bytes",
	       (double)(size - st.size) / (double)(st.size >> 12));
}

int main(int argc, char **argv)
{
	int rounds = 7, opt;

	while ((opt = getopt(argc, argv, "Jr:")) != -1) {
		if (opt == 'J')
			rows_json = true;
		else if (opt == 'r')
			rounds = (int)strtol(optarg, NULL, 10);
		else
			return 2;
	}
	if (rounds < 1 || rounds > ROUND_MAX)
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
	if (!rows_json)
		printf("Allocating; ns of processor time a pair of alloc and free, median of %d "
		       "rounds [smallest..largest]\n",
		       rounds);
	for (int p = 0; p < PATTERNS; p++)
		print(p, rounds);
	print_memory();
#ifdef BENCH_BOOST
	boost_close();
#else
	if (!rows_json)
		printf("\nBoost is not measured: its headers (libboost-dev) or a C++ compiler were "
		       "not there when this was built.\n");
#endif
	tarn_arena_close(arena);
	tarn_section_close(section);
	tarn_region_close(region);
	return 0;
}
