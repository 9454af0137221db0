/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - every operation on arenas, killed at each instruction: making and removing one, small
 * and large blocks allocated, freed and resized in every way, growth, trimming, abort.
 *
 * An object "pool" has a table of blocks: each op changes the arena and the table in one tx. A
 * survivor enters, which undoes what is to be undone; then the arena's checker must be content,
 * each block of the table must be there with its bytes, and the books agree: what the arena says
 * is used is what the table has, to the byte. At the end all is freed, and every page must be
 * one run again; the arena is removed, and every byte of the region must be there again.
 */
#include <errno.h>
#include <string.h>

#include "arena_ops.h"

/* --- operations ---------------------------------------------------------------------------- */

/* The second time it is refused, and the tx goes on. */
static int twice(void)
{
	uint64_t ref = pool->slots[1].ref;
	int r = drop(1);

	if (r == 0 && tarn_arena_free(arena, tx, ref) != -EINVAL)
		r = -EILSEQ;
	return r;
}

#define OP(nm, what)                                                                               \
	static int nm(struct kill_world *world, struct harness_report *report)                     \
	{                                                                                          \
		int r = enter();                                                                   \
		(void)world, (void)report;                                                         \
		return r < 0 ? r : leave(what);                                                    \
	}

OP(alloc_small, put(7, 100, 90))
OP(alloc_page, put(7, 4096, 90))
OP(alloc_two_pages, put(7, 2 * 4096, 90))
OP(alloc_second, put(7, 2048, 90))
OP(alloc_grow, put(7, 5 * 4096, 90))
OP(free_first, drop(0))
OP(free_twice, twice())
OP(free_second, drop(1))
OP(shrink_large, resize(0, 4096 + 5000))
OP(shrink_pages, resize(0, 8 * 1024 + 1))
OP(extend_large, resize(0, 3 * 4096))
OP(move_small, resize(0, 700))
OP(move_to_pages, resize(0, 2 * 4096))

static int free_low_middle(void)
{
	/* the one block with free pages on both sides */
	int at = -1;

	for (int i = 0; i < PAGES; i++)
		if (pool->slots[i].ref != 0 && (at < 0 || pool->slots[i].ref < pool->slots[at].ref))
			at = i;
	return drop(at);
}

OP(free_between, free_low_middle())

/* What was freed is allocated again in the same tx, and stored over. */
static int again(void)
{
	int r = drop(0);

	return r == 0 ? put(7, 100, 90) : r;
}

OP(free_alloc, again())

static int several(void)
{
	int r = put(7, 2048, 90);

	r = r == 0 ? drop(0) : r;
	r = r == 0 ? put(6, 4096, 80) : r;
	r = r == 0 ? resize(1, 900) : r;
	return r == 0 ? drop(6) : r;
}

OP(do_several, several())

#define UNDONE(nm, what)                                                                           \
	static int nm(struct kill_world *world, struct harness_report *report)                     \
	{                                                                                          \
		int r = enter();                                                                   \
		(void)world, (void)report;                                                         \
		if (r == 0)                                                                        \
			r = what;                                                                  \
		return r < 0 ? r : tarn_section_abort(one);                                        \
	}

UNDONE(abort_several, several())
UNDONE(abort_growth, put(7, 5 * 4096, 90))

static int open_creating(struct kill_world *world, struct harness_report *report)
{
	(void)world;
	return make_arena(0, report);
}

static int trim(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_arena_trim(arena, one, tarn_deadline_after(INT64_C(5000000000)), NULL);
}

static int remove_arena(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_arena_remove(region, "arena", tarn_deadline_after(INT64_C(5000000000)), NULL);
}

/* --- survivors ----------------------------------------------------------------------------- */

/* Slot 7 has a block, or has not. */
static int check_put(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) < 0)
		return KILL_VIOLATION;
	return wind_up(world, pool->slots[7].ref != 0, report);
}

/* One that there was is gone, or is not. */
static int check_drop(struct kill_world *world, struct harness_report *report)
{
	int there = 0, had = 0;

	if (look(world, report) < 0)
		return KILL_VIOLATION;
	for (int i = 0; i < BLOCKS; i++) {
		had += pool->slots[i].size != 0;
		there += pool->slots[i].ref != 0;
	}
	/* of four two may have gone before, and of three two have */
	if (had == PAGES)
		return wind_up(world, there % 2, report);
	return wind_up(world, there < (had == 3 ? 1 : had), report);
}

/* Slot 0 has the new size, or has not. */
#define RESIZED(nm, is)                                                                            \
	static int check_##nm(struct kill_world *world, struct harness_report *report)             \
	{                                                                                          \
		uint64_t size;                                                                     \
                                                                                                   \
		if (look(world, report) < 0)                                                       \
			return KILL_VIOLATION;                                                     \
		size = pool->slots[0].size;                                                        \
		return wind_up(world, is, report);                                                 \
	}

RESIZED(resized, size != 100 && size != 2 * 4096 && size != 3 * 4096 + 1)
RESIZED(extended, size == 3 * 4096)
RESIZED(shrunk, size == 8 * 1024 + 1)
RESIZED(to_pages, size == 2 * 4096)

/* All of it or nothing. */
static int check_several(struct kill_world *world, struct harness_report *report)
{
	bool put_, gone, resized;

	if (look(world, report) < 0)
		return KILL_VIOLATION;
	put_ = pool->slots[7].ref != 0;
	gone = pool->slots[0].ref == 0;
	resized = pool->slots[1].size == 900;
	if (put_ != gone || gone != resized || pool->slots[6].ref != 0)
		return harness_say(report, KILL_VIOLATION, "half of several changes");
	return wind_up(world, put_, report);
}

static int check_same(struct kill_world *world, struct harness_report *report)
{
	int r;

	if (look(world, report) < 0)
		return KILL_VIOLATION;
	if (pool->slots[7].ref != 0)
		return harness_say(report, KILL_VIOLATION, "a block of an aborted tx");
	r = wind_up(world, 0, report);
	return r;
}

/* Is the arena there? 1, 0, KILL_VIOLATION. */
static int still_there(struct kill_world *world, struct harness_report *report)
{
	int r;

	region = NULL;
	if (open_all(world, false, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	r = tarn_arena_open(region, "arena", NULL, &arena);
	if (r != 0 && r != -ENOENT)
		return survivor_say(report, "open", r, NULL);
	return r == 0;
}

/* Make it where it is not @there; then all is as it is to be. */
static int judge_arena(struct kill_world *world, bool there, int outcome,
		       struct harness_report *report)
{
	if (!there && make_arena(0, report) < 0)
		return KILL_VIOLATION;
	return books(report) < 0 ? KILL_VIOLATION : wind_up(world, outcome, report);
}

/* It is there or not, and can be made. */
static int check_made(struct kill_world *world, struct harness_report *report)
{
	int there = still_there(world, report);

	return there < 0 ? there : judge_arena(world, there == 1, there, report);
}

static int check_gone(struct kill_world *world, struct harness_report *report)
{
	int there = still_there(world, report);

	if (there == 0) /* its blocks went with it */
		memset(pool, 0, sizeof(*pool));
	return there < 0 ? there : judge_arena(world, there == 1, !there, report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* What the next one does. */
static int recover(struct kill_world *world, struct harness_report *report)
{
	int r = enter();

	(void)world, (void)report;
	return r == 0 ? leave(0) : r;
}

/* clang-format off */
#define SWEEP(nm, before, what, judge) \
	{ .name = "arena-" nm, .setup = before, .prepare = ready, .op = what, .check = judge, \
	  .ready = ready_to_recover, .recover = recover }
#define SAME(nm, before, what) \
	{ .name = "arena-" nm, .setup = before, .prepare = ready, .op = what, \
	  .check = check_same, .ready = ready_to_recover, .recover = recover, \
	  .flags = KILL_UNCHANGED }

static const struct kill_op ops[] = {
	{ .name = "arena-open-creating", .setup = no_arena, .prepare = join,
	  .op = open_creating, .check = check_made },
	SWEEP("alloc-small", w_two_small, alloc_small, check_put),
	SWEEP("alloc-small-new-slab", w_empty, alloc_small, check_put),
	SWEEP("alloc-small-last", w_one_of_two, alloc_second, check_put),
	SWEEP("alloc-page", w_two_small, alloc_page, check_put),
	SWEEP("alloc-large", w_large, alloc_two_pages, check_put),
	SWEEP("alloc-in-hole", w_holes, alloc_page, check_put),
	SWEEP("alloc-when-slabs-are-empty", w_empty_slab, alloc_two_pages, check_put),
	SWEEP("alloc-poisoned", w_poison, alloc_small, check_put),
	SWEEP("alloc-growing", w_two_small, alloc_grow, check_put),
	SWEEP("alloc-growing-into-spare", w_spare, alloc_grow, check_put),
	SAME("grow-abort", w_two_small, abort_growth),
	SWEEP("free-small", w_two_small, free_second, check_drop),
	SWEEP("free-twice", w_two_small, free_twice, check_drop),
	SWEEP("free-of-full-slab", w_both_of_two, free_second, check_drop),
	SWEEP("free-last-of-slab", w_one_of_two, free_first, check_drop),
	SWEEP("free-giving-slab-back", w_empty_slab, free_first, check_drop),
	SWEEP("free-large", w_large, free_first, check_drop),
	SWEEP("free-page", w_pages, free_first, check_drop),
	SWEEP("free-between-holes", w_holes, free_between, check_drop),
	SWEEP("free-poisoned", w_poison, free_second, check_drop),
	SWEEP("free-and-alloc-again", w_two_small, free_alloc, check_put),
	SWEEP("realloc-shrink", w_grown, shrink_pages, check_shrunk),
	SWEEP("realloc-extend", w_large, extend_large, check_extended),
	SWEEP("realloc-extend-growing", w_pages, extend_large, check_extended),
	SWEEP("realloc-same-pages", w_large, shrink_large, check_resized),
	SWEEP("realloc-small", w_two_small, move_small, check_resized),
	SWEEP("realloc-to-pages", w_two_small, move_to_pages, check_to_pages),
	SWEEP("several", w_two_small, do_several, check_several),
	SAME("abort", w_two_small, abort_several),
	SAME("trim", w_to_trim, trim),
	{ .name = "arena-remove", .setup = w_grown, .prepare = ready, .op = remove_arena,
	  .check = check_gone },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
