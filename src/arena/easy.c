/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * easy.c - allocate and free a small block where one logged word is all that it takes.
 *
 * That is nearly always so: the first slab of the class has a block to give, and another one behind
 * it; or the slab of what is freed has blocks free, and stays where it is in its list. All that
 * is loaded is looked at here as it is in blocks.c. Whatever is not plain, the caller's mistakes
 * and damage included, goes there with nothing stored yet; so what is done with it is said once.
 *
 * On 32-bit machines a word of bits is not stored at once, and everything goes there.
 */
#include "arena/arena.h"

#if UINTPTR_MAX > 0xffffffffu

/* The meta of the run that begins at @page; NULL: there is none. @ret_room: pages from there to the
 * end of its extent, for its length is yet to be looked at. */
static inline struct meta_shm *head_at(const struct tarn_arena *arena, uint64_t page,
				       uint64_t *ret_room)
{
	const struct span *span = arena->spans;
	uint32_t pages = span_pages(span);
	uint64_t at = page - span_first(span);

	for (uint32_t i = 1; TARN__UNLIKELY(at >= pages); i++) {
		if (i >= span_count(arena))
			return NULL;
		span = &arena->spans[i];
		pages = span_pages(span);
		at = page - span_first(span);
	}
	*ret_room = pages - at;
	return is_head(span, (uint32_t)at) ? &span->metas[at] : NULL;
}

/* The logged store of a word of bits, at @unit of the journal, which is below its limit. That the
 * place may be stored to was found when its extent was. */
static inline void set_bits(struct tarn_tx *tx, uint32_t unit, uint64_t *word, uint64_t old,
			    uint64_t bits)
{
	tarn__tx_log(tx, unit, word, 3, old);
	/* release: as the stores of <tarn/section.h>, which this is one of */
	__atomic_store_n(word, bits, __ATOMIC_RELEASE);
}

/* --- alloc ----------------------------------------------------------------------------------- */

/* Blocks begin at multiples of 16, as all sizes are. */
static inline bool is_plain(const struct tarn_arena *arena, uint64_t size, uint32_t align,
			    uint32_t tag)
{
	const uint32_t powers = 1u << 0 | 1u << 1 | 1u << 2 | 1u << 4 | 1u << 8 | 1u << 16;

	return size - 1 < arena->easy_max && align <= 16 && (powers >> align & 1) != 0 &&
	       tag < TARN_ARENA_TAGS;
}

/* Hand out the block of @bits' lowest bit, unless there is more to it than that bit. */
static inline bool take_easily(const struct tarn_arena *arena, struct tarn_tx *tx, uint32_t class,
			       uint32_t page, struct meta_shm *meta, uint64_t word, uint64_t bits,
			       uint32_t tag, tarn_ref *ret_ref)
{
	uint64_t slot = word * 64 + (uint64_t)__builtin_ctzll(bits), rest = bits & (bits - 1);
	uint32_t unit = load32(tx->count);

	if (rest == 0 || unit >= tx->limit || load32(&meta->mark) == mark_of(tx) ||
	    *slab_tag(arena, meta, page, class, slot) != tag)
		return false;
	set_bits(tx, unit, free_word(meta, word), bits, rest);
	*ret_ref = ((uint64_t)page << PAGE_SHIFT) + slot * tarn__classes[class].size;
	return true;
}

static inline bool alloc_easily(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size,
				uint32_t align, uint32_t tag, tarn_ref *ret_ref)
{
	const struct size_class *c;
	struct meta_shm *meta;
	uint64_t bits, room, word = 0;
	uint32_t class, page;

	if (!is_led(arena, tx) || !is_fresh(arena) || !is_plain(arena, size, align, tag) ||
	    TARN__UNLIKELY(tarn__tx_listened(inner(tx)))) /* what is stored there is to be told */
		return false;
	class = tarn__class_index[(size + 15) / 16];
	if (class == CLASSES)
		return false;
	c = &tarn__classes[class];
	page = load32(&arena->shm->classes[class]); /* 0: none, and no page of an extent */
	meta = head_at(arena, page, &room);
	if (meta == NULL || load64(&meta->info) != c->info || room < c->pages)
		return false;
	bits = load64(free_word(meta, 0));
	while (TARN__UNLIKELY(bits == 0) && ++word < used_words(class))
		bits = load64(free_word(meta, word));
	/* 0: it has none, and word is past its last. Whole words are rows of ones: no bits but of
	 * blocks (A6) */
	if (bits == 0 || bits > c->full[word])
		return false;
	return take_easily(arena, tx, class, page, meta, word, bits, tag, ret_ref);
}

/* --- free ------------------------------------------------------------------------------------ */

/* Make the block that @bit stands for free, unless there is more to it than that bit. */
static inline bool give_easily(const struct tarn_arena *arena, struct tarn_tx *tx, uint32_t class,
			       struct meta_shm *meta, uint32_t word, uint64_t bit)
{
	uint64_t full = full_word(class, word), bits = load64(free_word(meta, word));
	uint32_t unit = load32(tx->count);

	if (bits == 0 || bits > full || (bits & bit) != 0 || unit >= tx->limit)
		return false;
	/* a slab that is the last of its list may be empty */
	if ((bits | bit) == full &&
	    link_next(load64(&meta->link)) != load32(&arena->shm->classes[class]))
		return false;
	set_bits(tx, unit, free_word(meta, word), bits, bits | bit);
	meta->mark = mark_of(tx);
	return true;
}

static inline bool free_easily(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref)
{
	const struct size_class *c;
	struct meta_shm *meta;
	uint64_t off = ref % PAGE, slot, room, info;

	if (!is_led(arena, tx) || !is_fresh(arena) || arena->easy_max == 0)
		return false;
	meta = head_at(arena, ref >> PAGE_SHIFT, &room);
	if (meta == NULL)
		return false;
	info = load64(&meta->info);
	if (info_class(info) >= CLASSES)
		return false;
	c = &tarn__classes[info_class(info)];
	slot = off * c->inverse >> 32;
	if (info != c->info || room < c->pages || slot >= c->slots || slot * c->size != off)
		return false;
	return give_easily(arena, tx, info_class(info), meta, (uint32_t)slot / 64,
			   UINT64_C(1) << (slot % 64));
}

#else

static inline bool alloc_easily(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size,
				uint32_t align, uint32_t tag, tarn_ref *ret_ref)
{
	(void)arena, (void)tx, (void)size, (void)align, (void)tag, (void)ret_ref;
	return false;
}

static inline bool free_easily(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref)
{
	(void)arena, (void)tx, (void)ref;
	return false;
}

#endif

int tarn_arena_alloc(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size, uint32_t align,
		     uint32_t tag, tarn_ref *ret_ref)
{
	if (TARN__UNLIKELY(!alloc_easily(arena, tx, size, align, tag, ret_ref)))
		return tarn__arena_alloc(arena, tx, size, align, tag, ret_ref);
	/* release: the caller's stores into the block are plain ones; they stay behind the odd
	 * version that readers look at */
	atomic_thread_fence(memory_order_release); /* style: no operation here to put it on */
	return 0;
}

int tarn_arena_free(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref)
{
	return TARN__LIKELY(free_easily(arena, tx, ref)) ? 0 : tarn__arena_free(arena, tx, ref);
}
