/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blocks.c - allocate, free, and change the size of a block.
 *
 * A small block is a bit in the meta of its slab. The first slab of its class's list has a free
 * one; when that was the last, the slab leaves the list, and comes back when a block of it is
 * freed. So the common case is one logged word to free, and one or two to allocate: the bit, and
 * the tag where it is not the one that the block had before.
 *
 * Whether a ref is that of an allocated block is known from the run that its page lies in: a slab,
 * a multiple of the class's size, the bit; or the first byte of a large run. So a wild or double
 * free is told before anything is stored.
 */
#include "arena/arena.h"

static bool bad_request(const struct tarn_arena *arena, uint64_t size, uint32_t align)
{
	return size == 0 || size > (uint64_t)arena->max_pages * PAGE ||
	       (align & (align - 1)) != 0 || align > PAGE;
}

static uint32_t pages_of(uint64_t size)
{
	return (uint32_t)((size + PAGE - 1) >> PAGE_SHIFT);
}

/* --- poison ---------------------------------------------------------------------------------- */

static size_t poison_size(uint64_t size)
{
	return size < POISON_SIZE ? (size_t)size : POISON_SIZE;
}

static void poison(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref, uint64_t size)
{
	if (tarn_tx_log(tx, arena->base + ref, poison_size(size)) == 0)
		memset(arena->base + ref, POISON_BYTE, poison_size(size));
}

static bool poison_whole(const struct tarn_arena *arena, tarn_ref ref, uint64_t size)
{
	for (size_t i = 0; i < poison_size(size); i++)
		if (arena->base[ref + i] != POISON_BYTE)
			return false;
	return true;
}

/* A new slab's tags say of no block that it was filled. */
static void clear_tags(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *slab,
		       uint32_t class)
{
	unsigned char *tags = slab_tags(arena, slab, class);

	if (tarn_tx_log(tx, tags, tarn__classes[class].slots) == 0)
		memset(tags, 0, tarn__classes[class].slots);
}

/* --- slabs ----------------------------------------------------------------------------------- */

/* Is @run a slab of a class that there is? */
static bool is_slab(const struct run *run)
{
	return info_class(run->info) < CLASSES &&
	       run->info == tarn__classes[info_class(run->info)].info;
}

bool tarn__slab_empty(const struct run *slab, uint32_t class)
{
	for (uint32_t w = 0; w < used_words(class); w++)
		if (load64(free_word(slab->meta, w)) != full_word(class, w))
			return false;
	return true;
}

static bool slab_full(const struct run *slab, uint32_t class)
{
	for (uint32_t w = 0; w < used_words(class); w++)
		if (load64(free_word(slab->meta, w)) != 0)
			return false;
	return true;
}

static int make_slab(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t class)
{
	const struct size_class *c = &tarn__classes[class];
	struct run slab;
	uint32_t page;
	int r = tarn__run_take(arena, tx, c->pages, false, &page);

	if (r < 0)
		return r;
	slab.span = span_at(arena, page);
	slab.page = page;
	slab.meta = &slab.span->metas[page - span_first(slab.span)];
	tarn_tx_set64(tx, &slab.meta->info, c->info);
	for (uint32_t w = 0; w < words_of(class); w++)
		tarn_tx_set64(tx, free_word(slab.meta, w), full_word(class, w));
	if ((arena->flags & TARN_ARENA_POISON) != 0)
		clear_tags(arena, tx, &slab, class);
	tarn__list_add(arena, tx, &arena->shm->classes[class], KIND_SLAB, page);
	return tx_result(tx);
}

int tarn__slab_drop_empty(struct tarn_arena *arena, struct tarn_tx *tx)
{
	for (uint32_t class = 0; class < CLASSES; class ++) {
		uint32_t *list = &arena->shm->classes[class];
		uint32_t last = tarn__list_last(arena, list, KIND_SLAB);
		struct run slab;

		if (last == 0 || !run_at(arena, last, &slab) || !is_slab(&slab) ||
		    info_class(slab.info) != class || !tarn__slab_empty(&slab, class))
			continue;
		tarn__list_del(arena, tx, list, KIND_SLAB, last);
		tarn__run_release(arena, tx, &slab);
		return tx_result(tx) < 0 ? tx_result(tx) : 1;
	}
	return 0;
}

/* Whoever listens does not see the stores that are made into a new block. */
static void tell_of_block(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref, uint64_t size)
{
	if (TARN__UNLIKELY(tarn__tx_listened(inner(tx))))
		(void)tarn__tx_touch(tx, arena->base + ref, size);
}

/* The block's bit, and what the tx may need again. */
static int take_block(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *slab,
		      uint32_t class, uint32_t word, uint64_t bits, uint32_t tag, tarn_ref *ret_ref)
{
	const struct size_class *c = &tarn__classes[class];
	uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
	tarn_ref ref = ((uint64_t)slab->page << PAGE_SHIFT) + (uint64_t)slot * c->size;
	unsigned char *slot_tag = &slab_tags(arena, slab, class)[slot];

	if (TARN__UNLIKELY(load32(&slab->meta->mark) == mark_of(tx)) &&
	    tarn_tx_log(tx, arena->base + ref, c->size) < 0)
		return tx_result(tx);
	if (TARN__UNLIKELY((arena->flags & TARN_ARENA_POISON) != 0) && *slot_tag == POISON_TAG) {
		if (!poison_whole(arena, ref, c->size))
			return tx_fail(tx, -EUCLEAN);
		/* after an abort it must be poisoned again */
		if (tarn_tx_log(tx, arena->base + ref, poison_size(c->size)) < 0)
			return tx_result(tx);
	}
	tell_of_block(arena, tx, ref, c->size);
	tarn_tx_set64(tx, free_word(slab->meta, word), bits & (bits - 1));
	if (*slot_tag != tag || TARN__UNLIKELY(tarn__tx_listened(inner(tx))))
		tarn_tx_set8(tx, slot_tag, (uint8_t)tag);
	if ((bits & (bits - 1)) == 0 && slab_full(slab, class))
		tarn__list_del(arena, tx, &arena->shm->classes[class], KIND_SLAB, slab->page);
	*ret_ref = ref;
	return tx_result(tx);
}

/* A block of the first slab of the class's list. -EAGAIN: the list is empty. */
static int alloc_slot(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t class, uint32_t tag,
		      tarn_ref *ret_ref)
{
	uint32_t page = load32(&arena->shm->classes[class]);
	struct run slab;

	if (page == 0)
		return -EAGAIN;
	if (TARN__UNLIKELY(!run_at(arena, page, &slab) || !is_slab(&slab) ||
			   info_class(slab.info) != class))
		return tx_fail(tx, -EUCLEAN);
	for (uint32_t w = 0; w < used_words(class); w++) {
		uint64_t bits = load64(free_word(slab.meta, w));

		if (TARN__UNLIKELY((bits & ~full_word(class, w)) != 0))
			return tx_fail(tx, -EUCLEAN); /* A6 */
		if (bits != 0)
			return take_block(arena, tx, &slab, class, w, bits, tag, ret_ref);
	}
	return tx_fail(tx, -EUCLEAN); /* A5 */
}

/* --- alloc ----------------------------------------------------------------------------------- */

static int alloc_large(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size, uint32_t tag,
		       tarn_ref *ret_ref)
{
	uint32_t len = pages_of(size), page;
	int r = tarn__run_take(arena, tx, len, true, &page);
	struct span *span;

	if (r < 0)
		return r;
	span = span_at(arena, page);
	tarn_tx_set64(tx, &span->metas[page - span_first(span)].info,
		      info_of(KIND_LARGE, 0, tag, len));
	*ret_ref = (uint64_t)page << PAGE_SHIFT;
	tell_of_block(arena, tx, *ret_ref, (uint64_t)len << PAGE_SHIFT);
	return tx_result(tx);
}

/* No slab of @class can be made, as @full says: a larger block is better than none. */
static int alloc_elsewhere(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t class,
			   uint64_t size, uint32_t align, uint32_t tag, int full, tarn_ref *ret_ref)
{
	for (uint32_t c = class + 1; c < CLASSES; c++) {
		int r = (tarn__classes[c].size & (align - 1)) != 0
				? -EAGAIN
				: alloc_slot(arena, tx, c, tag, ret_ref);

		if (r != -EAGAIN)
			return r;
	}
	/* whoever waited for the region's lock in vain does not do so twice */
	return full == -ENOMEM && tarn__classes[class].pages > pages_of(size)
		       ? alloc_large(arena, tx, size, tag, ret_ref)
		       : full;
}

static int alloc_slowly(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t class, uint64_t size,
			uint32_t align, uint32_t tag, tarn_ref *ret_ref)
{
	int r = make_slab(arena, tx, class);

	if (is_full(r))
		return alloc_elsewhere(arena, tx, class, size, align, tag, r, ret_ref);
	if (r == 0)
		r = alloc_slot(arena, tx, class, tag, ret_ref);
	return r == -EAGAIN ? tx_fail(tx, -EUCLEAN) : r; /* A5: it was put there just now */
}

static int alloc(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size, uint32_t align,
		 uint32_t tag, tarn_ref *ret_ref)
{
	uint32_t class = tarn__class_of(size, align);
	int r;

	if (class == CLASSES)
		return alloc_large(arena, tx, size, tag, ret_ref);
	r = alloc_slot(arena, tx, class, tag, ret_ref);
	if (TARN__UNLIKELY(r == -EAGAIN))
		r = alloc_slowly(arena, tx, class, size, align, tag, ret_ref);
	return r;
}

int tarn__arena_alloc(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size, uint32_t align,
		      uint32_t tag, tarn_ref *ret_ref)
{
	tarn_ref ref = 0;
	int r = arena_begin(arena, tx);

	if (TARN__UNLIKELY(r < 0))
		return r;
	if (align == 0)
		align = 16;
	if (TARN__UNLIKELY(bad_request(arena, size, align) || tag >= TARN_ARENA_TAGS))
		return -EINVAL;
	r = alloc(arena, tx, size, align, tag, &ref);
	if (TARN__UNLIKELY(r < 0))
		return r;
	/* release: the caller's stores into the block are plain ones; they stay behind the odd
	 * version that readers look at */
	atomic_thread_fence(memory_order_release); /* style: no operation here to put it on */
	*ret_ref = ref;
	return 0;
}

/* --- find ------------------------------------------------------------------------------------ */

/* An allocated block. */
struct found {
	struct run run;
	uint64_t size;
	uint32_t class; /* CLASSES: large */
	uint32_t slot;
};

/* 0; -EINVAL: no block that is allocated begins at @ref; -EUCLEAN. */
static int find_block(struct tarn_arena *arena, tarn_ref ref, struct found *ret)
{
	const struct size_class *c;
	uint64_t off, bits;
	uint32_t word;

	if (TARN__UNLIKELY(ref >> PAGE_SHIFT > UINT32_MAX))
		return -EINVAL;
	/* most often the page begins a run */
	if (!run_at(arena, (uint32_t)(ref >> PAGE_SHIFT), &ret->run) &&
	    !tarn__run_around(arena, (uint32_t)(ref >> PAGE_SHIFT), &ret->run))
		return -EINVAL;
	off = ref - ((uint64_t)ret->run.page << PAGE_SHIFT);
	if (info_kind(ret->run.info) == KIND_LARGE) {
		ret->class = CLASSES;
		ret->size = (uint64_t)run_len(&ret->run) << PAGE_SHIFT;
		return off == 0 ? 0 : -EINVAL;
	}
	if (info_kind(ret->run.info) == KIND_FREE)
		return -EINVAL;
	if (!is_slab(&ret->run))
		return -EUCLEAN;
	ret->class = info_class(ret->run.info);
	c = &tarn__classes[ret->class];
	ret->slot = (uint32_t)(off * c->inverse >> 32);
	ret->size = c->size;
	if (ret->slot >= c->slots || (uint64_t)ret->slot * c->size != off)
		return -EINVAL;
	word = ret->slot / 64;
	bits = load64(free_word(ret->run.meta, word));
	if ((bits & ~full_word(ret->class, word)) != 0)
		return -EUCLEAN; /* A6 */
	return (bits >> (ret->slot % 64) & 1) != 0 ? -EINVAL : 0;
}

int tarn_arena_usable_size(struct tarn_arena *arena, tarn_ref ref, uint64_t *ret_size)
{
	struct found found;
	struct tarn_arena glance;
	bool inside = tarn__arena_inside(arena);
	int r = inside ? tarn__arena_fresh(arena) : tarn__arena_glance(arena, &glance);

	if (r == 0)
		r = find_block(inside ? arena : &glance, ref, &found);
	if (r == 0)
		*ret_size = found.size;
	return r;
}

/* --- free ------------------------------------------------------------------------------------ */

/* The slab has become empty, and is not the last of its list. It stays if no other one is empty,
 * and then as the last. */
static void slab_emptied(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *slab,
			 uint32_t class)
{
	uint32_t *list = &arena->shm->classes[class], first = load32(list);
	uint32_t last = tarn__list_last(arena, list, KIND_SLAB);
	struct run other;

	if (last == 0 || !run_at(arena, last, &other) || !is_slab(&other) ||
	    info_class(other.info) != class) {
		(void)tx_fail(tx, -EUCLEAN);
	} else if (tarn__slab_empty(&other, class)) {
		tarn__list_del(arena, tx, list, KIND_SLAB, slab->page);
		tarn__run_release(arena, tx, slab);
	} else if (first == slab->page) {
		/* the ring turns by one */
		tarn_tx_set32(tx, list, link_next(load64(&slab->meta->link)));
	} else {
		tarn__list_del(arena, tx, list, KIND_SLAB, slab->page);
		tarn__list_add(arena, tx, list, KIND_SLAB, slab->page);
		tarn_tx_set32(tx, list, first);
	}
}

static void free_slot(struct tarn_arena *arena, struct tarn_tx *tx, const struct found *found)
{
	uint32_t class = found->class, word = found->slot / 64;
	uint64_t *at = free_word(found->run.meta, word);
	uint64_t bits = load64(at);
	bool was_full = bits == 0 && slab_full(&found->run, class);

	bits |= UINT64_C(1) << (found->slot % 64);
	tarn_tx_set64(tx, at, bits);
	found->run.meta->mark = mark_of(tx);
	if (was_full)
		tarn__list_add(arena, tx, &arena->shm->classes[class], KIND_SLAB, found->run.page);
	else if (bits == full_word(class, word) &&
		 /* if it is the last of its list, it may be empty */
		 link_next(load64(&found->run.meta->link)) != load32(&arena->shm->classes[class]) &&
		 tarn__slab_empty(&found->run, class))
		slab_emptied(arena, tx, &found->run, class);
}

static int free_found(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref,
		      const struct found *found)
{
	if (TARN__UNLIKELY((arena->flags & TARN_ARENA_POISON) != 0)) {
		poison(arena, tx, ref, found->size);
		if (found->class < CLASSES)
			tarn_tx_set8(tx, &slab_tags(arena, &found->run, found->class)[found->slot],
				     POISON_TAG);
	}
	if (found->class < CLASSES)
		free_slot(arena, tx, found);
	else
		tarn__run_release(arena, tx, &found->run);
	return tx_result(tx);
}

int tarn__arena_free(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref)
{
	struct found found;
	int r = arena_begin(arena, tx);

	if (TARN__UNLIKELY(r < 0) || ref == 0)
		return r;
	r = find_block(arena, ref, &found);
	if (TARN__UNLIKELY(r < 0))
		return r == -EUCLEAN ? tx_fail(tx, r) : r;
	return free_found(arena, tx, ref, &found);
}

/* --- realloc --------------------------------------------------------------------------------- */

/* Give the end of a large block back, from page @len on. */
static void shrink(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *run,
		   uint32_t len)
{
	struct run rest = *run;

	rest.page += len;
	rest.meta += len;
	rest.info = info_of(KIND_LARGE, 0, 0, run_len(run) - len);
	tarn_tx_set64(tx, &run->meta->info, info_of(KIND_LARGE, 0, info_tag(run->info), len));
	/* For a moment a run of its own; its meta may have been a head's when the tx began. */
	tarn_tx_set64(tx, &rest.meta->info, rest.info);
	tarn__head_set(tx, run->span, rest.page, true);
	tarn__run_release(arena, tx, &rest);
}

/* Add what is free behind a large block, if there is enough of it. False: there is not. */
static bool extend(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *run,
		   uint32_t len)
{
	uint32_t more = len - run_len(run), page = run->page + run_len(run), have;
	struct run next;

	if (page - span_first(run->span) == span_pages(run->span) || !run_at(arena, page, &next) ||
	    info_kind(next.info) != KIND_FREE || run_len(&next) < more ||
	    load32(&next.meta->mark) == mark_of(tx))
		return false;
	have = run_len(&next);
	tarn__list_del(arena, tx, &arena->shm->bins[tarn__bin_of(have)], KIND_FREE, page);
	tarn__head_set(tx, next.span, page, false);
	tarn_tx_set64(tx, &run->meta->info, info_of(KIND_LARGE, 0, info_tag(run->info), len));
	if (have > more) {
		struct meta_shm *meta = next.meta + more;

		meta->mark = load32(&next.meta->mark);
		tarn_tx_set64(tx, &meta->info, info_of(KIND_FREE, 0, 0, have - more));
		tarn__head_set(tx, next.span, page + more, true);
		tarn__list_add(arena, tx, &arena->shm->bins[tarn__bin_of(have - more)], KIND_FREE,
			       page + more);
	}
	return true;
}

/* Can the block stay where it is? Then it is changed, and true. */
static bool resize_in_place(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref,
			    const struct found *found, uint64_t size, uint32_t align)
{
	uint32_t class = tarn__class_of(size, align), len = pages_of(size);

	if ((ref & (align - 1)) != 0)
		return false;
	if (found->class < CLASSES || class < CLASSES)
		return found->class == class || (found->size >= size && found->size / 2 < size);
	if (len < run_len(&found->run))
		shrink(arena, tx, &found->run, len);
	else if (len > run_len(&found->run))
		return extend(arena, tx, &found->run, len);
	return true;
}

static uint32_t tag_of(const struct tarn_arena *arena, const struct found *found)
{
	if (found->class == CLASSES)
		return info_tag(found->run.info);
	return slab_tags(arena, &found->run, found->class)[found->slot];
}

static int move(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref, uint64_t size,
		uint32_t align, tarn_ref *ret_ref)
{
	struct found found;
	uint32_t tag;
	int r = find_block(arena, ref, &found);

	if (r == 0) {
		tag = tag_of(arena, &found);
		r = alloc(arena, tx, size, align, tag < TARN_ARENA_TAGS ? tag : 0, ret_ref);
	}
	if (r < 0)
		return r;
	/* release stores, all: they stay behind the odd version that readers look at */
	tarn__store_bytes(arena->base + *ret_ref, arena->base + ref,
			  (size_t)(found.size < size ? found.size : size));
	/* A slab may have come or gone: look at it anew. */
	r = find_block(arena, ref, &found);
	return r < 0 ? tx_fail(tx, -EUCLEAN) : free_found(arena, tx, ref, &found);
}

int tarn_arena_realloc(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref, uint64_t size,
		       uint32_t align, tarn_ref *ret_ref)
{
	struct found found;
	tarn_ref to = 0;
	int r;

	if (ref == 0)
		return tarn_arena_alloc(arena, tx, size, align, 0, ret_ref);
	r = arena_begin(arena, tx);
	if (r < 0)
		return r;
	if (align == 0)
		align = 16;
	if (bad_request(arena, size, align))
		return -EINVAL;
	r = find_block(arena, ref, &found);
	if (r < 0)
		return r == -EUCLEAN ? tx_fail(tx, r) : r;
	if (resize_in_place(arena, tx, ref, &found, size, align)) {
		/* its end may be new to the caller */
		tell_of_block(arena, tx, ref,
			      found.class < CLASSES ? found.size
						    : (uint64_t)pages_of(size) << PAGE_SHIFT);
		r = tx_result(tx);
		to = ref;
	} else {
		r = move(arena, tx, ref, size, align, &to);
	}
	if (r == 0) {
		/* release: as in tarn_arena_alloc() */
		atomic_thread_fence(memory_order_release); /* style: as in tarn_arena_alloc() */
		*ret_ref = to;
	}
	return r;
}
