/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_pop.c - the consumer's side. See ring.h.
 *
 * The consumer looks at the word at its own position and nowhere else. What it finds there is
 * loaded once and tested before it selects an address: a hostile producer can make a call fail,
 * not make it read outside the ring.
 */
#include <errno.h>

#include "flow/ring.h"

/* A record that was found and tested. */
struct view {
	uint32_t pos;
	uint32_t size; /* bytes of payload */
	uint32_t end;
};

/* The record at @pos, or behind a skip there. 0, -EAGAIN, -EUCLEAN. */
static inline int look(const struct tarn_ring *ring, uint32_t pos, struct view *ret_view)
{
	for (int i = 0; i < 2; i++) {
		struct record_shm *record = record_at(ring, pos);
		/* R1 <- W1 in publish(): the record is complete. */
		uint32_t word = atomic_load_explicit(&record->word, memory_order_acquire);
		uint32_t size = word >> 2;
		uint32_t units = units_of(size);
		uint32_t left = ring->capacity - (pos & ring->mask);

		if (word == 0)
			return i == 0 ? -EAGAIN : -EUCLEAN;
		/* relaxed: published with the word */
		if (TARN__UNLIKELY(atomic_load_explicit(&record->mark, memory_order_relaxed) !=
				   pos))
			return -EUCLEAN; /* I3 */
		if (TARN__LIKELY((word & 3u) == RECORD_DATA)) {
			if (TARN__UNLIKELY(size > ring->record_max || units > left ||
					   (ring->record_size != 0 && size != ring->record_size)))
				return -EUCLEAN; /* I3, I5 */
			*ret_view = (struct view){ .pos = pos, .size = size, .end = pos + units };
			return 0;
		}
		if ((word & 3u) != RECORD_SKIP || units != left)
			return -EUCLEAN; /* I3 */
		pos += units;
	}
	return -EUCLEAN; /* two skips in a row */
}

/* The record after those that were peeked, or why there is none. */
static inline int look_first(struct tarn_ring *ring, struct view *ret_view)
{
	int r;

	assert(ring->role == TARN_RING_CONSUMER);
	if (TARN__UNLIKELY(ring->stale)) {
		r = tarn__ring_reclaim(ring);
		if (r < 0)
			return r;
	}
	r = look(ring, ring->pos, ret_view);
	if (r != -EAGAIN)
		return r;
	*ret_view = (struct view){ 0 }; /* nobody uses it; the compiler cannot know */
	r = tarn__ring_idle(ring, false);
	if (r == -EPIPE || r == -ENODATA) {
		/* The last record may have come between the two looks. */
		int again = look(ring, ring->pos, ret_view);

		if (again != -EAGAIN)
			return again;
	}
	return r;
}

static inline void advance(struct tarn_ring *ring, uint32_t end)
{
	ring->pos = end;
	/* W2 -> R2 in refresh(): our reads of these units are over. */
	atomic_store_explicit(&ring->my_pos->pos, end, memory_order_release);
	notify(ring);
}

int tarn_ring_pop(struct tarn_ring *ring, void *buf, size_t buf_size, size_t *ret_size)
{
	struct view view;
	int r = look_first(ring, &view);

	if (r < 0)
		return r;
	*ret_size = view.size;
	if (TARN__UNLIKELY(view.size > buf_size))
		return -ENOBUFS;
	copy(buf, record_at(ring, view.pos)->payload, view.size);
	ring->peek_count = 0;
	advance(ring, view.end);
	return 0;
}

int tarn_ring_peek(struct tarn_ring *ring, const void **ret_data, size_t *ret_size)
{
	struct view view;
	int r = look_first(ring, &view);

	if (r < 0)
		return r;
	ring->peek_count = 1;
	ring->peek_end = view.end;
	*ret_data = record_at(ring, view.pos)->payload;
	*ret_size = view.size;
	return 0;
}

int tarn_ring_peek_batch(struct tarn_ring *ring, struct tarn_buf *ret_bufs, size_t max,
			 size_t *ret_count)
{
	struct view view;
	uint32_t count = 0;
	int r = max == 0 ? -EINVAL : look_first(ring, &view);

	if (r < 0)
		return r;
	if (max > UINT32_MAX)
		max = UINT32_MAX;
	do {
		ret_bufs[count].data = record_at(ring, view.pos)->payload;
		ret_bufs[count].size = view.size;
		count++;
		/* A hostile producer could publish behind us for ever, lap upon lap. */
	} while (count < max && view.end - ring->pos < ring->capacity &&
		 look(ring, view.end, &view) == 0);
	ring->peek_count = count;
	ring->peek_end = view.end;
	*ret_count = count;
	return 0;
}

int tarn_ring_release(struct tarn_ring *ring, size_t count)
{
	assert(ring->role == TARN_RING_CONSUMER);
	if (TARN__UNLIKELY(ring->stale))
		return -EBUSY; /* what was peeked was the parent's */
	if (count == 0 || count > ring->peek_count)
		return -EINVAL;

	uint32_t end = ring->peek_end;

	if (count < ring->peek_count) {
		struct view view = { .end = ring->pos };

		for (size_t i = 0; i < count; i++)
			if (look(ring, view.end, &view) < 0 ||
			    view.end - ring->pos > ring->peek_end - ring->pos)
				return -EUCLEAN;
		end = view.end;
	}
	ring->peek_count -= (uint32_t)count;
	advance(ring, end);
	return 0;
}

/* --- waiting ------------------------------------------------------------------------------- */

static bool record_there(struct tarn_ring *ring)
{
	/* relaxed: look() loads it again, with acquire */
	return atomic_load_explicit(&record_at(ring, ring->pos)->word, memory_order_relaxed) != 0;
}

int tarn_ring_pop_wait(struct tarn_ring *ring, void *buf, size_t buf_size, int64_t deadline,
		       size_t *ret_size)
{
	for (;;) {
		int r = tarn_ring_pop(ring, buf, buf_size, ret_size);

		if (r != -EAGAIN)
			return r;
		r = tarn__ring_wait(ring, record_there, 0, deadline);
		if (r < 0)
			return r;
	}
}

int tarn_ring_peek_wait(struct tarn_ring *ring, int64_t deadline, const void **ret_data,
			size_t *ret_size)
{
	for (;;) {
		int r = tarn_ring_peek(ring, ret_data, ret_size);

		if (r != -EAGAIN)
			return r;
		r = tarn__ring_wait(ring, record_there, 0, deadline);
		if (r < 0)
			return r;
	}
}
