/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk.c - go through an arena from its first page to its last: figures, and each block.
 *
 * There are no counts in the region, so figures are always right. Those who are not inside of the
 * section read as any optimistic reader: what they found counts if the version is the same
 * afterwards. Each step goes on by a page at least, so a bent run ends the walk and no more.
 */
#include "arena/arena.h"

enum { TRIES = 8, OBSERVER_TRIES = 2000 };

#define PATIENCE_NS INT64_C(2000000000)

/* --- rest ------------------------------------------------------------------------------------ */

static int run_steady(struct tarn_arena *arena, int (*fn)(struct tarn_arena *arena, void *arg),
		      void *arg, uint32_t *version, bool *ret_valid)
{
	int r = tarn_section_read_begin(arena->own, version);
	struct tarn_arena glance;

	*ret_valid = false;
	if (r < 0)
		return r;
	r = tarn__arena_glance(arena, &glance);
	if (r == 0)
		r = fn(&glance, arg);
	/* acquire: what was looked at was loaded before the version is looked at again */
	atomic_thread_fence(memory_order_acquire); /* style: the loads are plain words, and many */
	*ret_valid = tarn_section_read_valid(arena->own, *version);
	return r;
}

int tarn__arena_at_rest(struct tarn_arena *arena, int (*fn)(struct tarn_arena *arena, void *arg),
			void *arg)
{
	int tries = arena->region->observer ? OBSERVER_TRIES : TRIES, r, left;
	struct tarn_tx *tx;
	uint32_t version;
	bool valid;

	if (tarn__arena_inside(arena)) {
		r = tarn__arena_fresh(arena);
		return r < 0 ? r : fn(arena, arg);
	}
	for (int i = 0; i < tries; i++) {
		r = run_steady(arena, fn, arg, &version, &valid);
		/* an observer cannot undo what the dead one left, and nobody else may come */
		if (valid || r == -ENOTRECOVERABLE || (arena->region->observer && r == -EOWNERDEAD))
			return r;
		tarn__plat_yield();
	}
	if (arena->region->observer)
		return -EAGAIN;
	r = tarn_section_enter(arena->own, tarn_deadline_after(PATIENCE_NS), &tx, NULL);
	if (r < 0)
		return r;
	r = tarn__arena_fresh(arena);
	if (r == 0)
		r = fn(arena, arg);
	left = tarn_section_leave(arena->own);
	return r < 0 ? r : left;
}

/* --- blocks ---------------------------------------------------------------------------------- */

typedef int run_fn(struct tarn_arena *arena, const struct run *run, void *arg);

/* Call @fn for each run. -EUCLEAN where one does not begin where the last one ended. */
static int each_run(struct tarn_arena *arena, run_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < span_count(arena); i++) {
		uint32_t page = span_first(&arena->spans[i]), left = span_pages(&arena->spans[i]);

		while (left > 0) {
			struct run run;
			int r;

			if (!run_at(arena, page, &run) || run_len(&run) > left)
				return -EUCLEAN;
			r = fn(arena, &run, arg);
			if (r != 0)
				return r;
			page += run_len(&run);
			left -= run_len(&run);
		}
	}
	return 0;
}

static bool slab_sound(const struct run *run)
{
	return info_class(run->info) < CLASSES &&
	       run_len(run) == tarn__classes[info_class(run->info)].pages;
}

/* Call @fn for each allocated block of the slab. */
static int each_block(struct tarn_arena *arena, const struct run *slab,
		      int (*fn)(const struct tarn_block *block, void *arg), void *arg)
{
	uint32_t class = info_class(slab->info);
	const struct size_class *c = &tarn__classes[class];
	const unsigned char *tags = slab_tags(arena, slab, class);

	for (uint32_t slot = 0; slot < c->slots; slot++) {
		struct tarn_block block = { .size = c->size, .tag = load8(&tags[slot]) };
		int r;

		if ((load64(free_word(slab->meta, slot / 64)) >> (slot % 64) & 1) != 0)
			continue;
		block.ref = ((uint64_t)slab->page << PAGE_SHIFT) + (uint64_t)slot * c->size;
		r = fn(&block, arg);
		if (r != 0)
			return r;
	}
	return 0;
}

struct walk {
	int (*fn)(const struct tarn_block *block, void *arg);
	void *arg;
};

static int walk_run(struct tarn_arena *arena, const struct run *run, void *arg)
{
	const struct walk *walk = arg;
	struct tarn_block block = { .ref = (uint64_t)run->page << PAGE_SHIFT,
				    .size = (uint64_t)run_len(run) << PAGE_SHIFT,
				    .tag = info_tag(run->info) };

	switch (info_kind(run->info)) {
	case KIND_FREE:
		return 0;
	case KIND_LARGE:
		return walk->fn(&block, walk->arg);
	case KIND_SLAB:
		return slab_sound(run) ? each_block(arena, run, walk->fn, walk->arg) : -EUCLEAN;
	default:
		return -EUCLEAN;
	}
}

/* The version to walk on. What a dead owner left half-done is undone first by who may do that. */
static int walk_begin(struct tarn_arena *arena, uint32_t *ret_version)
{
	int r = tarn_section_read_begin(arena->own, ret_version);
	struct tarn_tx *tx;

	if (r == -EOWNERDEAD && !arena->region->observer) {
		r = tarn_section_enter(arena->own, tarn_deadline_after(PATIENCE_NS), &tx, NULL);
		if (r == 0)
			r = tarn_section_leave(arena->own);
		if (r == 0)
			r = tarn_section_read_begin(arena->own, ret_version);
	}
	return r == -EOWNERDEAD ? -EAGAIN : r;
}

int tarn_arena_walk(struct tarn_arena *arena, int (*fn)(const struct tarn_block *block, void *arg),
		    void *arg)
{
	struct walk walk = { fn, arg };
	struct tarn_arena glance;
	uint32_t version = 0;
	bool inside = tarn__arena_inside(arena);
	int r = inside ? 0 : walk_begin(arena, &version);

	if (r == 0)
		r = inside ? tarn__arena_fresh(arena) : tarn__arena_glance(arena, &glance);
	if (r < 0)
		return r;
	r = each_run(inside ? arena : &glance, walk_run, &walk);
	/* acquire: as in run_steady() */
	atomic_thread_fence(memory_order_acquire); /* style: as in run_steady() */
	if (r > 0 || inside || tarn_section_read_valid(arena->own, version))
		return r;
	return -EAGAIN;
}

/* --- stat ------------------------------------------------------------------------------------ */

struct count {
	struct tarn_arena_stat *stat;
	uint64_t free_pages;
	uint32_t largest; /* pages */
	uint32_t largest_slot;
};

static int count_block(const struct tarn_block *block, void *arg)
{
	struct tarn_arena_stat *stat = arg;

	stat->used += block->size;
	stat->used_count++;
	if (block->tag < TARN_ARENA_TAGS) {
		stat->tags[block->tag].used++;
		stat->tags[block->tag].used_bytes += block->size;
	}
	return 0;
}

static int count_slab(struct tarn_arena *arena, const struct run *slab, struct count *count)
{
	struct tarn_arena_class *class = &count->stat->classes[info_class(slab->info)];
	uint64_t before = count->stat->used_count, used, slots;
	int r = each_block(arena, slab, count_block, count->stat);

	used = count->stat->used_count - before;
	slots = tarn__classes[info_class(slab->info)].slots;
	class->slabs++;
	class->used += used;
	class->free += slots - used;
	count->stat->free += (slots - used) * class->size;
	if (used<slots &&class->size> count->largest_slot)
		count->largest_slot = class->size;
	return r;
}

static int count_run(struct tarn_arena *arena, const struct run *run, void *arg)
{
	struct count *count = arg;
	struct walk walk = { count_block, count->stat };

	if (info_kind(run->info) == KIND_FREE) {
		count->stat->free_runs++;
		count->free_pages += run_len(run);
		if (run_len(run) > count->largest)
			count->largest = run_len(run);
		return 0;
	}
	if (info_kind(run->info) == KIND_SLAB)
		return slab_sound(run) ? count_slab(arena, run, count) : -EUCLEAN;
	count->stat->large_count++;
	return walk_run(arena, run, &walk);
}

static int count_all(struct tarn_arena *arena, void *arg)
{
	struct tarn_arena_stat *stat = arg;
	struct count count = { .stat = stat };
	int r;

	memset(stat, 0, sizeof(*stat));
	for (uint32_t class = 0; class < CLASSES; class ++)
		stat->classes[class].size = tarn__classes[class].size;
	r = each_run(arena, count_run, &count);
	stat->max_size = (uint64_t)arena->max_pages * PAGE;
	stat->flags = arena->flags;
	stat->section = arena->own->object.off;
	for (uint32_t i = 0; i < span_count(arena); i++) {
		uint64_t pages = span_pages(&arena->spans[i]);

		if (pages == 0)
			continue;
		stat->size += pages * PAGE;
		stat->overhead += tarn__extent_size(pages) - pages * PAGE;
		stat->extents++;
	}
	stat->overhead += offsetof(struct arena_shm, first);
	stat->free += count.free_pages * PAGE;
	stat->largest = count.largest > 0 ? (uint64_t)count.largest * PAGE : count.largest_slot;
	if (count.free_pages > 0)
		stat->fragmentation =
			(uint32_t)((count.free_pages - count.largest) * 1000 / count.free_pages);
	return r;
}

int tarn_arena_stat(struct tarn_arena *arena, struct tarn_arena_stat *ret_stat)
{
	struct tarn_arena_stat stat;
	int r = tarn__arena_at_rest(arena, count_all, &stat);

	if (r == 0)
		*ret_stat = stat;
	return r;
}
