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
__attribute__((noinline)) static int look_again(const struct tarn_ring *ring, uint32_t pos,
						struct view *ret_view)
{
	for (int i = 0; i < 2; i++) {
		uint32_t mark, word = load_header(record_at(ring, pos), &mark), size = word >> 2;
		uint32_t left = ring->capacity - (pos & ring->mask), units = units_of(size);
		uint32_t end = end_of(pos, size);

		if (word == 0)
			return i == 0 ? -EAGAIN : -EUCLEAN;
		if (mark != pos)
			return -EUCLEAN; /* I3 */
		if ((word & 3u) == RECORD_DATA) {
			if (!takes_size(ring, size) || end - pos > left)
				return -EUCLEAN; /* I3, I5 */
			*ret_view = (struct view){ .pos = pos, .size = size, .end = end };
			return 0;
		}
		if ((word & 3u) != RECORD_SKIP || units != left)
			return -EUCLEAN; /* I3 */
		pos += units;
	}
	return -EUCLEAN; /* two skips in a row */
}

/* The same. What looks amiss is looked at again, to say what it is. */
static TARN__ALWAYS_INLINE int look(const struct tarn_ring *ring, uint32_t pos,
				    struct view *ret_view)
{
	uint64_t size = size_at(record_at(ring, pos), pos);
	uint32_t end = end_of(pos, (uint32_t)size);

	if (TARN__UNLIKELY(size - ring->size_min > ring->size_span) ||
	    TARN__UNLIKELY((pos & ring->mask) + (end - pos) > ring->capacity)) /* I3, I5 */
		return look_again(ring, pos, ret_view);
	*ret_view = (struct view){ pos, (uint32_t)size, end };
	return 0;
}

/* Nothing is there, as it seems. */
__attribute__((noinline)) static int nothing(struct tarn_ring *ring, struct view *ret_view)
{
	int r = tarn__ring_idle(ring, false);

	if (r == -EAGAIN)
		tarn__ring_rest(ring);
	*ret_view = (struct view){ 0 }; /* nobody uses it; the compiler cannot know */
	if (r == -EPIPE || r == -ENODATA) {
		/* The last record may have come between the two looks. */
		int again = look(ring, ring->pos, ret_view);

		if (again != -EAGAIN)
			return again;
	}
	return r;
}

/* The record after those that were peeked, or why there is none. */
static TARN__ALWAYS_INLINE int look_first(struct tarn_ring *ring, struct view *ret_view)
{
	int r;

	assert(ring->role == TARN_RING_CONSUMER);
	if (is_stale(ring)) {
		r = tarn__ring_reclaim(ring);
		if (r < 0)
			return r;
	}
	if (rests(ring)) {
		*ret_view = (struct view){ 0 };
		return -EAGAIN;
	}
	r = look(ring, ring->pos, ret_view);
	return TARN__LIKELY(r != -EAGAIN) ? r : nothing(ring, ret_view);
}

static inline void advance(struct tarn_ring *ring, uint32_t end)
{
	ring->pos = end;
	/* W2 -> R2 in refresh(): our reads of these units are over. */
	atomic_store_explicit(&ring->my_pos->pos, end, memory_order_release);
	notify(ring);
}

/* A small record was tested: the next one is mostly like it. */
static inline void remember(struct tarn_ring *ring, uint32_t size)
{
	if (size > COPY_SMALL || ring->special != 0)
		return;
	ring->like_size = size;
	ring->like_units = units_of(size);
	ring->like_last = (int32_t)(ring->capacity - ring->like_units);
}

__attribute__((noinline)) static int pop_unlike(struct tarn_ring *ring, void *buf, size_t buf_size,
						size_t *ret_size)
{
	struct view view;
	int r = look_first(ring, &view);

	if (r < 0)
		return r;
	*ret_size = view.size;
	if (TARN__UNLIKELY(view.size > buf_size))
		return -ENOBUFS;
	remember(ring, view.size);
	copy(buf, record_at(ring, view.pos)->payload, view.size);
	ring->peek_count = 0;
	advance(ring, view.end);
	return 0;
}

__attribute__((noinline)) static int popped_slowly(struct tarn_ring *ring, uint32_t waiting)
{
	tarn__ring_notify(ring, waiting);
	return 0;
}

/* The short way, of a record like the one before. What is not, or looks amiss, is looked at again
 * in the long one, to say what it is. */
int tarn_ring_pop(struct tarn_ring *ring, void *buf, size_t buf_size, size_t *ret_size)
{
	uint32_t pos = ring->pos, at = pos & ring->mask, size = ring->like_size, waiting;
	const struct record_shm *record = record_at(ring, pos);

	if (TARN__UNLIKELY((int32_t)at > ring->like_last) || TARN__UNLIKELY(size > buf_size) ||
	    TARN__UNLIKELY(!has_header(record, pos, size)))
		return pop_unlike(ring, buf, buf_size, ret_size);
	copy_small(buf, record->payload, size);
	*ret_size = size;
	ring->peek_count = 0;
	pos += ring->like_units;
	ring->pos = pos;
	/* W2 -> R2 in refresh(): our reads of these units are over. */
	atomic_store_explicit(&ring->my_pos->pos, pos, memory_order_release);
	/* R4 <> W4, as in notify() */
	waiting = atomic_load_explicit(&ring->theirs->waiting, memory_order_relaxed);
	return TARN__LIKELY(waiting == 0) ? 0 : popped_slowly(ring, waiting);
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

/* Behind @view those that are of its size, up to @max and before the end of the ring and of the
 * lap that began at @first: how many, and *@view is the last of them. */
static TARN__ALWAYS_INLINE uint32_t peek_alike(const struct tarn_ring *ring, struct tarn_buf *bufs,
					       uint32_t max, uint32_t first, struct view *view)
{
	uint32_t pos = view->end, size = view->size, units = units_of(size), count;
	uint32_t left = ring->capacity - (pos & ring->mask), lap = ring->capacity - (pos - first);
	const unsigned char *at = (const unsigned char *)record_at(ring, pos);

	left = left < lap ? left : lap;
	if (size >= LARGE)
		return 0; /* of how many units they are depends on where they are */
	for (count = 0; count < max && units <= left; count++) {
		const struct record_shm *record = (const struct record_shm *)(const void *)at;

		if (!has_header(record, pos, size))
			break;
		bufs[count] = (struct tarn_buf){ (void *)(uintptr_t)record->payload, size };
		at += (size_t)units * RING_UNIT;
		pos += units;
		left -= units;
	}
	view->end = pos;
	return count;
}

/* More than the one in @bufs, which @view is of, up to @max of all: how many there are then; *@view
 * is the last. */
static TARN__ALWAYS_INLINE uint32_t peek_more(const struct tarn_ring *ring, struct tarn_buf *bufs,
					      uint32_t max, struct view *view)
{
	uint32_t first = ring->pos, count = 1;

	/* A hostile producer could publish behind us for ever, lap upon lap. */
	while (count < max && view->end - first < ring->capacity) {
		struct view next;

		count += peek_alike(ring, bufs + count, max - count, first, view);
		if (count == max || view->end - first >= ring->capacity ||
		    look(ring, view->end, &next) != 0)
			break;
		*view = next;
		bufs[count].data = record_at(ring, view->pos)->payload;
		bufs[count].size = view->size;
		count++;
	}
	return count;
}

int tarn_ring_peek_batch(struct tarn_ring *ring, struct tarn_buf *ret_bufs, size_t max,
			 size_t *ret_count)
{
	struct view view;
	int r = max == 0 ? -EINVAL : look_first(ring, &view);

	if (r < 0)
		return r;
	ret_bufs[0].data = record_at(ring, view.pos)->payload;
	ret_bufs[0].size = view.size;
	ring->peek_count =
		peek_more(ring, ret_bufs, max < UINT32_MAX ? (uint32_t)max : UINT32_MAX, &view);
	ring->peek_end = view.end;
	*ret_count = ring->peek_count;
	return 0;
}

int tarn_ring_release(struct tarn_ring *ring, size_t count)
{
	assert(ring->role == TARN_RING_CONSUMER);
	if (is_stale(ring))
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
