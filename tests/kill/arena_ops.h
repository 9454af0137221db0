/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena_ops.h - an object "pool" with a table of blocks of an arena, under section "one": what is
 * put into it and dropped, the worlds before, and what every survivor looks at. For arena.c and
 * arena_pairs.c.
 */
#ifndef TESTS_KILL_ARENA_OPS_H
#define TESTS_KILL_ARENA_OPS_H

#include <tarn/arena.h>

#include "survivor.h"

enum {
	BLOCKS = 8,
	JOURNAL = 8192,
	PAGES = 4,
	PAGES_MAX = 24,
	HEAP = 40960,
	OBJECTS = 4, /* keep, one, pool, arena */
};

struct slot {
	uint64_t ref;
	uint64_t size;
	uint64_t seed;
};

struct pool {
	struct slot slots[BLOCKS];
};

extern struct tarn_region *region; /* of this process */
extern struct tarn_section *one;
extern struct tarn_arena *arena;
extern struct tarn_tx *tx;
extern struct pool *pool;

/* --- inside of the section ------------------------------------------------------------------ */

/* A block into slot @n; what is in it is stored without a log, as it may be. */
int put(int n, uint64_t size, uint64_t seed);
int drop(int n);
int resize(int n, uint64_t size);
int enter(void);
/* Leave; @r if that is an error. */
int leave(int r);

/* --- a process ------------------------------------------------------------------------------ */

int open_all(struct kill_world *world, bool with_arena, struct harness_report *report);
int make_arena(uint32_t flags, struct harness_report *report);

/* --- survivors ------------------------------------------------------------------------------ */

/* The arena is whole, and the table says what is in it. */
int books(struct harness_report *report);
/* Open all, have undone what is to be undone, look at the books. */
int look(struct kill_world *world, struct harness_report *report);
/* Empty the arena, remove it; every page and every byte is there. @outcome, or KILL_VIOLATION. */
int wind_up(struct kill_world *world, int outcome, struct harness_report *report);

/* worlds before, and what is prepared */
kill_fn no_arena, w_empty, w_two_small, w_one_of_two, w_both_of_two, w_empty_slab, w_pages, w_holes,
	w_large, w_grown, w_poison, w_spare, w_to_trim, join, ready, ready_to_recover;

#endif /* TESTS_KILL_ARENA_OPS_H */
