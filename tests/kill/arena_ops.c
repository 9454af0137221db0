/* SPDX-License-Identifier: BSD-2-Clause */
/* arena_ops.c - see arena_ops.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena_ops.h"

struct tarn_region *region;
struct tarn_section *one;
struct tarn_arena *arena;
struct tarn_tx *tx;
struct pool *pool;

/* --- blocks -------------------------------------------------------------------------------- */

/* 16 bytes at the beginning and 8 at the end: short, so that sweeps are. */
static void fill(const struct slot *slot)
{
	unsigned char *p = tarn_arena_at(arena, slot->ref, slot->size);

	for (uint64_t i = 0; i < 16 && i < slot->size; i++)
		p[i] = (unsigned char)(slot->seed + i);
	for (uint64_t i = slot->size > 24 ? slot->size - 8 : slot->size; i < slot->size; i++)
		p[i] = (unsigned char)(slot->seed + i);
}

static bool filled(const struct slot *slot)
{
	const unsigned char *p = tarn_arena_at(arena, slot->ref, slot->size);

	if (p == NULL)
		return false;
	for (uint64_t i = 0; i < 16 && i < slot->size; i++)
		if (p[i] != (unsigned char)(slot->seed + i))
			return false;
	for (uint64_t i = slot->size > 24 ? slot->size - 8 : slot->size; i < slot->size; i++)
		if (p[i] != (unsigned char)(slot->seed + i))
			return false;
	return true;
}

/* A block into slot @n; what is in it is stored without a log, as it may be. */
int put(int n, uint64_t size, uint64_t seed)
{
	struct slot slot = { .size = size, .seed = seed };
	int r = tarn_arena_alloc(arena, tx, size, 0, 0, &slot.ref);

	if (r < 0)
		return r;
	fill(&slot);
	return tarn_tx_write(tx, &pool->slots[n], &slot, sizeof(slot));
}

int drop(int n)
{
	int r = tarn_arena_free(arena, tx, pool->slots[n].ref);

	return r < 0 ? r : tarn_tx_set64(tx, &pool->slots[n].ref, 0);
}

int resize(int n, uint64_t size)
{
	struct slot slot = pool->slots[n];
	int r = tarn_arena_realloc(arena, tx, slot.ref, size, 0, &slot.ref);

	if (r < 0)
		return r;
	slot.size = size;
	/* the block may be where it was: its bytes are changed by logged stores */
	if (tarn_tx_log(tx, (char *)tarn_arena_at(arena, slot.ref, size) + size - 8, 8) == 0)
		fill(&slot);
	return tarn_tx_write(tx, &pool->slots[n], &slot, sizeof(slot));
}

int enter(void)
{
	return tarn_section_enter(one, tarn_deadline_after(INT64_C(5000000000)), &tx, NULL);
}

int leave(int r)
{
	int left = tarn_section_leave(one);

	return r < 0 ? r : left;
}

/* --- worlds before ------------------------------------------------------------------------- */

static int create(struct kill_world *world, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = { .size = HEAP,
					       .max_size = 5 * HEAP,
					       .member_max = SURVIVOR_MEMBERS,
					       .object_max = SURVIVOR_OBJECTS,
					       .diag = &diag };
	const struct tarn_section_opts sopts = { .journal_size = JOURNAL, .diag = &diag };
	void *data;
	int r = tarn_region_create(world->addr, &opts, &region);

	if (r == 0)
		r = survivor_keep(region, report);
	if (r == 0)
		r = tarn_section_open(region, "one", &sopts, &one);
	if (r == 0)
		r = tarn_object_create(region, "pool", sizeof(*pool), &data, &diag);
	if (r < 0)
		return survivor_say(report, "create", r, &diag);
	pool = data;
	return 0;
}

int make_arena(uint32_t flags, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_arena_opts opts = { .section = one,
					      .size = PAGES * 4096,
					      .max_size = PAGES_MAX * 4096,
					      .flags = flags,
					      .diag = &diag };
	int r = tarn_arena_open(region, "arena", &opts, &arena);

	return r < 0 ? survivor_say(report, "arena", r, &diag) : 0;
}

static void close_all(void)
{
	tarn_arena_close(arena);
	tarn_section_close(one);
	if (pool != NULL)
		tarn_object_close(region, pool);
	tarn_region_close(region);
	arena = NULL;
	one = NULL;
	pool = NULL;
	region = NULL;
}

int no_arena(struct kill_world *world, struct harness_report *report)
{
	int r = create(world, report);

	close_all();
	return r;
}

/* @what puts and drops blocks. */
static int world_with(struct kill_world *world, uint32_t flags, int (*what)(void),
		      struct harness_report *report)
{
	int r = create(world, report);

	if (r == 0)
		r = make_arena(flags, report);
	if (r == 0)
		r = enter();
	if (r == 0)
		r = leave(what != NULL ? what() : 0);
	close_all();
	return r < 0 ? harness_say(report, -1, "setup: %s", strerror(-r)) : 0;
}

static int two_small(void)
{
	int r = put(0, 100, 10);

	return r == 0 ? put(1, 100, 20) : r;
}

static int one_of_two(void)
{
	return put(0, 2048, 10);
}

static int both_of_two(void)
{
	int r = put(0, 2048, 10);

	return r == 0 ? put(1, 2048, 20) : r;
}

/* Two slabs of one class: one full, one empty, which stays. */
static int a_slab_and_an_empty_one(void)
{
	int r = put(0, 2048, 10);

	r = r == 0 ? put(1, 2048, 20) : r;
	r = r == 0 ? put(2, 2048, 30) : r;
	r = r == 0 ? drop(2) : r;
	return r == 0 ? drop(1) : r;
}

/* All four pages, one block each. */
static int pages(void)
{
	int r = 0;

	for (int i = 0; i < PAGES && r == 0; i++)
		r = put(i, 4096, (uint64_t)(10 * i + 10));
	return r;
}

/* The first and the third are free. */
static int pages_with_holes(void)
{
	int r = pages();
	int low[PAGES];

	/* slots in order of place */
	for (int i = 0; i < PAGES && r == 0; i++)
		low[i] = i;
	for (int i = 0; i < PAGES; i++)
		for (int k = i + 1; k < PAGES; k++)
			if (pool->slots[low[k]].ref < pool->slots[low[i]].ref) {
				int t = low[i];

				low[i] = low[k];
				low[k] = t;
			}
	r = r == 0 ? drop(low[0]) : r;
	return r == 0 ? drop(low[2]) : r;
}

static int one_large(void)
{
	return put(0, 2 * 4096, 10);
}

static int grown(void)
{
	int r = put(0, 3 * 4096, 10);

	return r == 0 ? put(1, 3 * 4096, 20) : r;
}

#define WORLD(nm, flags, what)                                                                     \
	int nm(struct kill_world *world, struct harness_report *report)                            \
	{                                                                                          \
		return world_with(world, flags, what, report);                                     \
	}

WORLD(w_empty, 0, NULL)
WORLD(w_two_small, 0, two_small)
WORLD(w_one_of_two, 0, one_of_two)
WORLD(w_both_of_two, 0, both_of_two)
WORLD(w_empty_slab, 0, a_slab_and_an_empty_one)
WORLD(w_pages, 0, pages)
WORLD(w_holes, 0, pages_with_holes)
WORLD(w_large, 0, one_large)
WORLD(w_grown, 0, grown)
WORLD(w_poison, TARN_ARENA_POISON, two_small)

/* It has grown and given it up: an extent that is in no table. */
int w_spare(struct kill_world *world, struct harness_report *report)
{
	int r = create(world, report);

	if (r == 0)
		r = make_arena(0, report);
	if (r == 0)
		r = enter();
	if (r == 0) {
		r = grown();
		if (tarn_section_abort(one) < 0)
			r = -1;
	}
	close_all();
	return r;
}

/* It has grown, and nothing is in there any more. */
int w_to_trim(struct kill_world *world, struct harness_report *report)
{
	int r = w_grown(world, report);

	if (r == 0 && survivor_open(world, &region, report) != 0)
		return -1;
	if (r == 0)
		r = tarn_section_open(region, "one", NULL, &one);
	if (r == 0)
		r = tarn_arena_open(region, "arena", NULL, &arena);
	if (r == 0) {
		void *data;

		r = tarn_object_open(region, "pool", &data, NULL);
		pool = r == 0 ? data : NULL;
	}
	if (r == 0)
		r = enter();
	if (r == 0)
		r = leave(drop(1));
	close_all();
	return r;
}

/* --- prepare ------------------------------------------------------------------------------- */

int open_all(struct kill_world *world, bool with_arena, struct harness_report *report)
{
	void *data;
	int r;

	if (region == NULL && survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	r = tarn_section_open(region, "one", NULL, &one);
	if (r == 0 && with_arena)
		r = tarn_arena_open(region, "arena", NULL, &arena);
	if (r == 0)
		r = tarn_object_open(region, "pool", &data, NULL);
	if (r < 0)
		return survivor_say(report, "open", r, NULL);
	pool = data;
	return 0;
}

int join(struct kill_world *world, struct harness_report *report)
{
	return open_all(world, false, report);
}

/* What a thread does once is behind us. */
int ready(struct kill_world *world, struct harness_report *report)
{
	int r = open_all(world, true, report);

	if (r == 0)
		r = enter();
	return r == 0 ? leave(0) : r;
}

/* The recoverer has its handles, and has not entered. */
int ready_to_recover(struct kill_world *world, struct harness_report *report)
{
	return open_all(world, false, report);
}

/* --- survivors ----------------------------------------------------------------------------- */

static void take_finding(const struct tarn_finding *finding, void *arg)
{
	harness_say(arg, KILL_VIOLATION, "check: %s: %s %s, found 0x%llx, expected 0x%llx",
		    finding->where, finding->field, finding->rule,
		    (unsigned long long)finding->found, (unsigned long long)finding->expected);
}

/* The arena is whole, and the table says what is in it. */
int books(struct harness_report *report)
{
	struct tarn_arena_stat st;
	uint64_t used = 0, count = 0;
	int r = tarn_arena_check(arena, take_finding, report);

	if (r < 0)
		return r == -EUCLEAN ? KILL_VIOLATION : survivor_say(report, "check", r, NULL);
	for (int i = 0; i < BLOCKS; i++) {
		const struct slot *slot = &pool->slots[i];
		uint64_t size = 0;

		if (slot->ref == 0)
			continue;
		if (tarn_arena_usable_size(arena, slot->ref, &size) < 0 || size < slot->size)
			return harness_say(report, KILL_VIOLATION, "block %d is not there", i);
		if (!filled(slot))
			return harness_say(report, KILL_VIOLATION, "block %d has other bytes", i);
		used += size;
		count++;
	}
	r = tarn_arena_stat(arena, &st);
	if (r < 0)
		return survivor_say(report, "stat", r, NULL);
	if (st.used != used || st.used_count != count)
		return harness_say(report, KILL_VIOLATION,
				   "%llu bytes in %llu blocks, the table has %llu in %llu",
				   (unsigned long long)st.used, (unsigned long long)st.used_count,
				   (unsigned long long)used, (unsigned long long)count);
	return 0;
}

/* Blocks come and go; then all are freed, and every page is there, in one run. */
static int empty_it(struct harness_report *report)
{
	struct tarn_arena_stat st;
	int r = enter();

	if (r == 0)
		r = put(5, 64, 50);
	if (r == 0)
		r = leave(put(4, 2 * 4096, 40));
	if (r < 0)
		return survivor_say(report, "the arena cannot be used", r, NULL);
	if (books(report) < 0)
		return KILL_VIOLATION;
	r = enter();
	for (int i = 0; i < BLOCKS && r == 0; i++)
		if (pool->slots[i].ref != 0)
			r = drop(i);
	r = leave(r);
	if (r == 0)
		r = tarn_arena_trim(arena, one, TARN_FOREVER, NULL);
	if (r == 0)
		r = tarn_arena_stat(arena, &st);
	if (r < 0)
		return survivor_say(report, "emptying it", r, NULL);
	if (st.used != 0 || st.size != PAGES * 4096 || st.free != st.size ||
	    st.largest != st.size || st.extents != 1)
		return harness_say(report, KILL_VIOLATION,
				   "empty, %llu of %llu bytes are free, %llu in one piece",
				   (unsigned long long)st.free, (unsigned long long)st.size,
				   (unsigned long long)st.largest);
	return books(report);
}

int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	int r;

	if (empty_it(report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	tarn_arena_close(arena);
	r = tarn_arena_remove(region, "arena", TARN_FOREVER, NULL);
	if (r < 0)
		return survivor_say(report, "remove", r, NULL);
	tarn_section_close(one);
	tarn_object_close(region, pool);
	if (survivor_kept(region, report) < 0 ||
	    survivor_whole(world, region, OBJECTS - 1, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	region = NULL;
	return outcome;
}

int look(struct kill_world *world, struct harness_report *report)
{
	int r;

	region = NULL;
	if (open_all(world, true, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	r = enter();
	r = r == 0 ? leave(0) : r;
	return r < 0 ? survivor_say(report, "enter", r, NULL) : books(report);
}
