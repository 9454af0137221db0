/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_region.h - the region that Tarn's contestants measure in: on a memfd, made before the sides
 * are forked and opened by each for itself, so that nothing of it outlives the team.
 *
 * A new structure of Tarn is a file beside tarn_ring.c: open() makes the region with room for it,
 * attach() joins the region and opens the structure; then a row in contestants.c.
 */
#ifndef BENCH_TARN_REGION_H
#define BENCH_TARN_REGION_H

#include <tarn/tarn.h>

#include "contestant.h"

/* What kinds of pages the region may lie on. */
#define TARN_REGION_PAGES (BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M))

/* In open(): a region with @size bytes for objects, on pages of the cell's kind. */
void tarn_region_make(struct bench *b, size_t size);
/* In attach(): become a member of it. */
struct tarn_region *tarn_region_join(struct bench *b);
/* In detach(). */
void tarn_region_leave(void);

BENCH_INLINE void tarn_must(struct bench *b, const char *what, int r)
{
	if (__builtin_expect(r < 0, 0))
		bench_fail(b, what, r);
}

/* Where what comes next takes the place of what was not seen yet: in wake-up, whose sender keeps to
 * the clock, it waits until the one before was received, as tarn_had() says. */
BENCH_INLINE void tarn_await_turn(struct bench *b, uint64_t number)
{
	if (b->cell->measure == BENCH_WAKE_UP)
		while (bench_load(&b->shm->ready) != number)
			bench_pause(b);
}

BENCH_INLINE void tarn_had(struct bench *b, uint64_t number)
{
	if (b->cell->measure == BENCH_WAKE_UP)
		bench_store(&b->shm->ready, number + 1);
}

#endif /* BENCH_TARN_REGION_H */
