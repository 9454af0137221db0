/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * at.c - refs and addresses: the one place where one becomes the other.
 *
 * Any thread may ask, while another of this process brings the spans up to date. A span changes by
 * pages going to 0, first to its new value, pages to theirs; who reads pages, first, and pages
 * again has both of the same, or of two extents of one length.
 *
 * Ordering:
 *   P1 -> P2  tarn__arena_span_put() stores pages, first, pages   in_span() reads them
 */
#include "arena/arena.h"

/* Does @size bytes at @off lie in @span? */
static inline bool in_span(const struct span *span, uint64_t off, uint64_t size)
{
	/* P2 <- P1: first is at least as new as pages, the last look as new as first */
	uint32_t pages = atomic_load_explicit(&span->pages, memory_order_acquire);
	uint32_t first = atomic_load_explicit(&span->first, memory_order_acquire);
	uint64_t begin = (uint64_t)first << PAGE_SHIFT, length = (uint64_t)pages << PAGE_SHIFT;

	/* relaxed: behind the acquire loads above */
	return off >= begin && tarn__inside(off - begin, size, length) &&
	       atomic_load_explicit(&span->pages, memory_order_relaxed) == pages;
}

static bool in_arena(const struct tarn_arena *arena, uint64_t off, uint64_t size)
{
	for (uint32_t i = 0; i < EXTENTS_MAX; i++)
		if (in_span(&arena->spans[i], off, size))
			return true;
	return false;
}

void tarn__arena_span_put(struct span *span, const struct span *from)
{
	/* P1 -> P2, all three: see the head */
	atomic_store_explicit(&span->pages, 0, memory_order_release);
	atomic_store_explicit(&span->first, span_first(from), memory_order_release);
	span->heads = from->heads;
	span->metas = from->metas;
	span->off = from->off;
	span->object = from->object;
	span->held = from->held;
	atomic_store_explicit(&span->pages, span_pages(from), memory_order_release);
}

static void *at_slowly(struct tarn_arena *arena, tarn_ref ref, size_t size)
{
	if (in_arena(arena, ref, size))
		return arena->base + ref;
	/* It may have grown since we looked. */
	if (load32(&arena->shm->epoch) ==
		    atomic_load_explicit(&arena->epoch,
					 memory_order_relaxed) || /* relaxed: a hint */
	    tarn__arena_sync(arena) < 0 ||
	    !in_arena(arena, ref, size))
		return NULL;
	return arena->base + ref;
}

void *tarn_arena_at(struct tarn_arena *arena, tarn_ref ref, size_t size)
{
	if (TARN__LIKELY(in_span(&arena->spans[0], ref, size)))
		return arena->base + ref;
	return at_slowly(arena, ref, size);
}

tarn_ref tarn_arena_ref(struct tarn_arena *arena, const void *at)
{
	uint64_t off = (uint64_t)((uintptr_t)at - (uintptr_t)arena->base);

	return tarn_arena_at(arena, off, 1) != NULL ? off : 0;
}
