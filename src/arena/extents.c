/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extents.c - what an arena consists of: make, find, add and remove extents.
 *
 * An extent is made complete, as one free run, before it has a name in the directory; then it is
 * added to the table by logged stores. Killed or aborted in between, it is a spare: it has the
 * arena's id, and the name of a slot that the table says is empty. Whoever grows next into that
 * slot finds it by that name. All this is done inside of the arena's section, so nobody else
 * does it at the same time.
 */
#include <inttypes.h>
#include <stdio.h>

#include "arena/arena.h"

uint32_t tarn__extent_check(const struct extent_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct extent_shm, check), TARN__FNV32_BASIS);
}

void tarn__extent_name(const char *arena, uint32_t slot, char ret_name[EXTENT_NAME_SIZE])
{
	snprintf(ret_name, EXTENT_NAME_SIZE, "%.60s.%" PRIu32, arena, slot);
}

/* --- geometry -------------------------------------------------------------------------------- */

static uint64_t heads_size(uint64_t pages)
{
	return ((pages + 511) / 512) * TARN__CACHE_LINE;
}

static uint64_t tables_size(uint64_t pages)
{
	return sizeof(struct extent_shm) + heads_size(pages) + pages * sizeof(struct meta_shm);
}

uint64_t tarn__extent_size(uint64_t pages)
{
	/* objects lie at multiples of 64, pages at multiples of 4096 */
	return tables_size(pages) + pages * PAGE + PAGE - TARN__CACHE_LINE;
}

void tarn__extent_init(struct tarn_region *region, struct extent_shm *at, uint32_t slot,
		       uint64_t id, uint32_t pages)
{
	uint64_t off = (uint64_t)((unsigned char *)at - region->base), data = 0;
	struct meta_shm *metas;

	(void)tarn__round_up(off + tables_size(pages), PAGE, &data);
	memset(at, 0, sizeof(*at) + (size_t)heads_size(pages));
	at->magic = EXTENT_MAGIC;
	at->slot = slot;
	at->id = id;
	at->first = (uint32_t)(data >> PAGE_SHIFT);
	at->pages = pages;
	at->check = tarn__extent_check(at);
	((uint64_t *)(void *)(at + 1))[0] = 1; /* the first page is a head */
	metas = (struct meta_shm *)(void *)((unsigned char *)at + sizeof(*at) + heads_size(pages));
	memset(metas, 0, sizeof(*metas));
	metas->info = info_of(KIND_FREE, 0, 0, pages);
}

const char *tarn__extent_span(const struct tarn_region *region, uint64_t off, uint64_t end,
			      uint64_t id, uint32_t slot, struct span *ret_span)
{
	struct extent_shm copy;
	unsigned char *at;
	uint64_t data;

	if (end < off || end - off < sizeof(copy))
		return "size";
	memcpy(&copy, region->base + off, sizeof(copy));
	if (copy.magic != EXTENT_MAGIC)
		return "magic";
	if (copy.check != tarn__extent_check(&copy))
		return "check";
	if (copy.id != id)
		return "id";
	if (copy.slot != slot)
		return "slot";
	if (copy.pages == 0 || copy.pages > PAGES_MAX)
		return "pages";
	data = (uint64_t)copy.first << PAGE_SHIFT;
	if (data < off || data - off < tables_size(copy.pages) ||
	    !tarn__inside(data, (uint64_t)copy.pages << PAGE_SHIFT, end))
		return "first";
	off += sizeof(copy);
	at = region->base + off;
	ret_span->heads = (uint64_t *)(void *)at;
	ret_span->metas = (struct meta_shm *)(void *)(at + heads_size(copy.pages));
	/* release: a reader that finds pages finds the first of the same; see at.c */
	atomic_store_explicit(&ret_span->first, copy.first, memory_order_release);
	atomic_store_explicit(&ret_span->pages, copy.pages, memory_order_release);
	return NULL;
}

/* --- find, make ------------------------------------------------------------------------------ */

struct new_extent {
	struct tarn_region *region;
	uint32_t slot;
	uint32_t pages;
	uint64_t id;
};

static void init_extent(unsigned char *base, uint64_t size, void *arg)
{
	const struct new_extent *want = arg;

	(void)size;
	tarn__extent_init(want->region, (struct extent_shm *)(void *)base, want->slot, want->id,
			  want->pages);
}

/* Is the extent one free run, as whoever made it or gave it up has left it? */
static bool is_blank(const struct span *span)
{
	struct meta_shm *metas = span->metas;

	return (load64(&span->heads[0]) & 1) != 0 &&
	       load64(&metas[0].info) == info_of(KIND_FREE, 0, 0, span_pages(span));
}

/* Take the spare of @slot, if there is one with @least to @most pages; else remove it. */
static int take_spare(struct tarn_arena *arena, uint32_t slot, uint32_t least, uint32_t most,
		      struct tarn__object *ret_object)
{
	struct tarn_region *region = arena->region;
	char name[EXTENT_NAME_SIZE];
	struct span span = { 0 };
	const char *fault;
	int r;

	tarn__extent_name(arena->name, slot, name);
	r = tarn__region_enter_member(region);
	if (r < 0)
		return r;
	r = tarn__object_find(region, name, TARN_OBJECT_EXTENT, ret_object, NULL);
	if (r < 0) {
		tarn__region_leave(region);
		return r;
	}
	fault = tarn__extent_span(region, ret_object->off, ret_object->off + ret_object->size,
				  arena->id, slot, &span);
	if (fault == NULL && span_pages(&span) >= least && span_pages(&span) <= most &&
	    is_blank(&span)) {
		tarn__region_leave(region);
		return 0;
	}
	tarn__object_drop(region, ret_object);
	tarn__region_leave(region);
	/* too small, or of an arena of this name that is no more */
	r = tarn__object_remove_exact(region, ret_object->index, ret_object->state);
	return r < 0 ? r : -ENOENT;
}

static int make_once(struct tarn_arena *arena, uint32_t slot, uint32_t pages,
		     struct tarn__object *ret_object)
{
	struct tarn_region *region = arena->region;
	struct new_extent extent = {
		.region = region, .slot = slot, .pages = pages, .id = arena->id
	};
	const struct tarn__object_want want = { .kind = TARN_OBJECT_EXTENT,
						.size = tarn__extent_size(pages),
						.init = init_extent,
						.arg = &extent };
	char name[EXTENT_NAME_SIZE];
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return r;
	tarn__extent_name(arena->name, slot, name);
	r = tarn__object_make(region, name, &want, ret_object, NULL);
	tarn__region_leave(region);
	return r;
}

/* Make an extent of @pages, growing the region where it has no room. */
static int make_extent(struct tarn_arena *arena, uint32_t slot, uint32_t pages,
		       struct tarn__object *ret_object)
{
	struct tarn_region *region = arena->region;
	int r = make_once(arena, slot, pages, ret_object);
	uint64_t size;

	if (r != -ENOSPC)
		return r;
	size = tarn__region_size(region) - region->heap_off + tarn__extent_size(pages);
	r = tarn_region_grow(region, size, NULL);
	if (r < 0)
		return r == -ETIMEDOUT ? r : -ENOSPC;
	return make_once(arena, slot, pages, ret_object);
}

/* As many pages as the arena has already, or fewer; at least @least. */
static int find_or_make(struct tarn_arena *arena, uint32_t slot, uint32_t least, uint32_t most,
			struct tarn__object *ret_object)
{
	uint32_t pages = load32(&arena->shm->pages);
	int r = take_spare(arena, slot, least, most, ret_object);

	if (r != -ENOENT)
		return r;
	pages = pages < least ? least : pages > most ? most : pages;
	for (;;) {
		r = make_extent(arena, slot, pages, ret_object);
		if (r != -ENOSPC || pages == least)
			return r;
		pages = pages / 2 > least ? pages / 2 : least;
	}
}

/* --- grow ------------------------------------------------------------------------------------ */

/* Epochs are never used twice, whatever is undone; so ticket is stored without a log. */
static uint32_t next_epoch(struct arena_shm *shm)
{
	uint32_t ticket = load32(&shm->ticket) + 1;

	if (ticket == EPOCH_REMOVED)
		ticket = 1;
	__atomic_store_n(&shm->ticket, ticket, __ATOMIC_RELAXED); /* relaxed: inside the section */
	return ticket;
}

/* Stored without a log, each: for those who listen. */
static void tell_of_epoch(struct tarn_arena *arena, struct tarn_tx *tx)
{
	if (TARN__UNLIKELY(tarn__tx_listened(inner(tx))))
		(void)tarn__tx_touch(tx, &arena->shm->ticket, sizeof(arena->shm->ticket));
}

static void tell_of_extent(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t off)
{
	const struct extent_shm *shm = (const void *)(arena->base + off);
	uint64_t size = sizeof(*shm) + heads_size(shm->pages) + sizeof(struct meta_shm);

	if (TARN__UNLIKELY(tarn__tx_listened(inner(tx))))
		(void)tarn__tx_touch(tx, shm, size);
}

/* Rule 4: whoever copies the table in between has the first epoch, which will stand there neither
 * when the tx is final nor when it is undone. */
static void set_extent(struct tarn_tx *tx, struct arena_shm *shm, uint32_t slot, uint64_t off)
{
	tarn_tx_set32(tx, &shm->epoch, next_epoch(shm));
	tarn_tx_set64(tx, &shm->extents[slot], off);
	tarn_tx_set32(tx, &shm->epoch, next_epoch(shm));
}

static int attach(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t slot,
		  const struct tarn__object *object)
{
	struct arena_shm *shm = arena->shm;
	const struct span *span = &arena->spans[slot];
	struct run run;
	int r;

	set_extent(tx, shm, slot, object->off);
	if (tx_result(tx) < 0)
		return tx_result(tx);
	r = tarn__arena_sync(arena);
	if (r < 0)
		return tx_fail(tx, r);
	if (!run_at(arena, span_first(span), &run) || info_kind(run.info) != KIND_FREE)
		return tx_fail(tx, -EUCLEAN);
	tell_of_epoch(arena, tx);
	tell_of_extent(arena, tx, object->off);
	run.meta->mark = 0; /* nothing in there is anybody's */
	tarn_tx_set32(tx, &shm->pages, load32(&shm->pages) + run_len(&run));
	tarn__list_add(arena, tx, &shm->bins[tarn__bin_of(run_len(&run))], KIND_FREE, run.page);
	return tx_result(tx);
}

int tarn__arena_grow(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t pages)
{
	uint32_t have = load32(&arena->shm->pages);
	struct tarn__object object;
	int r = -ENOMEM;

	if (have >= arena->max_pages || pages > arena->max_pages - have)
		return -ENOMEM;
	for (uint32_t slot = 1; slot < EXTENTS_MAX; slot++) {
		if (load64(&arena->shm->extents[slot]) != 0)
			continue;
		r = find_or_make(arena, slot, pages, arena->max_pages - have, &object);
		if (r == 0) {
			r = attach(arena, tx, slot, &object);
			/* sync has taken a hold of its own */
			if (tarn__region_enter(arena->region) == 0) {
				tarn__object_drop(arena->region, &object);
				tarn__region_leave(arena->region);
			}
			return r;
		}
		/* something else of that name: the next one */
		if (r != -EPROTO && r != -EEXIST && r != -EUCLEAN)
			break;
	}
	if (r == -ETIMEDOUT) /* another has the region's lock, and does not give it back */
		return r;
	return r == -ENOMEM || r == -ENOSPC || r == -ENFILE || r == -EPROTO || r == -EEXIST ||
			       r == -EUCLEAN
		       ? -ENOMEM
		       : tx_fail(tx, r);
}

int tarn_arena_grow(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size)
{
	int r = arena_begin(arena, tx);
	uint32_t pages;

	if (r < 0)
		return r;
	if (size > (uint64_t)arena->max_pages * PAGE)
		return -EINVAL;
	pages = (uint32_t)((size + PAGE - 1) >> PAGE_SHIFT);
	r = pages == 0 ? 1 : tarn__run_look(arena, pages);
	if (r < 0)
		return tx_fail(tx, r);
	return r == 1 ? 0 : tarn__arena_grow(arena, tx, pages);
}

/* --- remove, trim ---------------------------------------------------------------------------- */

/* The name of the next extent at or after entry @*index that has @id and is in no @table. */
static bool next_loose(struct tarn_region *region, uint64_t id, const struct arena_shm *table,
		       uint32_t *index, uint32_t *ret_state, struct entry *ret_entry)
{
	struct extent_shm copy;

	for (; *index < region->object_max; ++*index) {
		uint32_t state = tarn__entry_read(region, *index, ret_entry);

		if ((state & 3u) != TARN__ENTRY_LIVE || ret_entry->kind != TARN_OBJECT_EXTENT ||
		    ret_entry->size < sizeof(copy) ||
		    tarn__entry_fault(region, *index, ret_entry) != NULL)
			continue;
		memcpy(&copy, region->base + ret_entry->off, sizeof(copy));
		if (copy.id == id && (table == NULL || copy.slot == 0 || copy.slot >= EXTENTS_MAX ||
				      load64(&table->extents[copy.slot]) != ret_entry->off)) {
			*ret_state = state;
			return true;
		}
	}
	return false;
}

uint64_t tarn__extents_remove(struct tarn_region *region, uint64_t id,
			      const struct arena_shm *table)
{
	uint64_t size = 0;
	struct entry entry;
	uint32_t state;

	/* exactly these: by now their names may be those of a new arena's */
	for (uint32_t index = 0; next_loose(region, id, table, &index, &state, &entry); index++)
		if (tarn__object_remove_exact(region, index, state) == 0)
			size += entry.size;
	return size;
}

void tarn__extents_remove_named(struct tarn_region *region, const char *name)
{
	char extent[EXTENT_NAME_SIZE];
	struct tarn__object object;

	for (uint32_t slot = 1; slot < EXTENTS_MAX; slot++) {
		int r = tarn__region_enter_member(region);

		if (r < 0)
			return;
		tarn__extent_name(name, slot, extent);
		r = tarn__object_find(region, extent, TARN_OBJECT_EXTENT, &object, NULL);
		if (r == 0)
			tarn__object_drop(region, &object);
		tarn__region_leave(region);
		if (r == 0)
			(void)tarn__object_remove_exact(region, object.index, object.state);
	}
}

/* Take one extent that is a single free run out of the table. 1, 0 (there is none), or an error. */
static int detach_one(struct tarn_arena *arena, struct tarn_tx *tx)
{
	struct arena_shm *shm = arena->shm;

	for (uint32_t slot = 1; slot < span_count(arena); slot++) {
		const struct span *span = &arena->spans[slot];
		uint32_t pages = span_pages(span);
		struct run run;

		if (pages == 0 || !run_at(arena, span_first(span), &run) ||
		    info_kind(run.info) != KIND_FREE || run_len(&run) != pages)
			continue;
		if (load32(&shm->pages) < pages)
			return tx_fail(tx, -EUCLEAN);
		tarn__list_del(arena, tx, &shm->bins[tarn__bin_of(pages)], KIND_FREE, run.page);
		set_extent(tx, shm, slot, 0);
		tarn_tx_set32(tx, &shm->pages, load32(&shm->pages) - pages);
		tell_of_epoch(arena, tx);
		return tx_result(tx) < 0 ? tx_result(tx) : 1;
	}
	return 0;
}

/* One step in a tx of its own: a journal need not be large. */
static int trim_step(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t *size)
{
	int r = arena_begin(arena, tx);

	if (r == 0)
		r = tarn__slab_drop_empty(arena, tx);
	if (r == 0)
		r = detach_one(arena, tx);
	if (r == 0)
		/* Nobody adds one while we are inside. What was taken out is final. */
		*size += tarn__extents_remove(arena->region, arena->id, arena->shm);
	return r;
}

int tarn_arena_trim(struct tarn_arena *arena, struct tarn_section *section, int64_t deadline,
		    uint64_t *ret_size)
{
	enum { STEPS = CLASSES + EXTENTS_MAX + 1 };
	struct tarn_tx *tx;
	uint64_t size = 0;
	int r = 1, left;

	if (section == NULL || section->shm != arena->section)
		return -EINVAL;
	if (tarn__arena_inside(arena))
		return -EDEADLK;
	for (int step = 0; step < STEPS && r == 1; step++) {
		r = tarn_section_enter(section, deadline, &tx, NULL);
		if (r < 0)
			break;
		r = trim_step(arena, tx, &size);
		left = tarn_section_leave(section);
		if (r >= 0 && left < 0)
			r = left;
	}
	if (tarn__arena_fresh(arena) < 0 && r >= 0)
		r = -EUCLEAN;
	if (r < 0)
		return r;
	if (ret_size != NULL)
		*ret_size = size;
	return 0;
}
