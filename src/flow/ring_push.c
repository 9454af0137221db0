/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_push.c - the producer's side. See ring.h.
 *
 * A record is written from the back: the unit behind it is zeroed, the payload and the mark are
 * stored, and last its word, which publishes it. If it does not fit before the end of the ring,
 * it goes to place 0 and is complete there before the word of the skip in front of it is stored.
 * A batch is the same: all but the first word, then the first word.
 *
 * Zeroing the unit behind a small record may touch the next cache line, just when the consumer
 * waits for this one. So a line more than needed is zeroed after each publication, when nobody
 * waits: zero_to remembers how far.
 */
#include <errno.h>

#include "flow/ring.h"

enum { LINE_UNITS = TARN__CACHE_LINE / RING_UNIT };

/* Where a record goes. */
struct place {
	uint32_t skip; /* units to the end of the ring that it does not fit in; 0 = fits */
	uint32_t pos;  /* of its header */
	uint32_t end;  /* behind it */
};

static TARN__ALWAYS_INLINE struct place place_at(const struct tarn_ring *ring, uint32_t pos,
						 uint32_t units)
{
	uint32_t left = ring->capacity - (pos & ring->mask);
	uint32_t skip = TARN__UNLIKELY(left < units) ? left : 0;

	return (struct place){ .skip = skip, .pos = pos + skip, .end = pos + skip + units };
}

/* Is [.., end] free, the unit at end included? */
static inline bool has_room(const struct tarn_ring *ring, uint32_t end)
{
	return end - ring->head < ring->capacity;
}

/* Look at the consumer's head again. 0 there is room, -EAGAIN, -EUCLEAN. */
static int refresh(struct tarn_ring *ring, uint32_t end)
{
	/* R2 <- W2 in tarn_ring_release(): the consumer is done with what lies before. */
	uint32_t head = atomic_load_explicit(&ring->their_pos->pos, memory_order_acquire);

	if (ring->pos - head >= ring->capacity)
		return -EUCLEAN; /* I2 */
	ring->head = head;
	return has_room(ring, end) ? 0 : -EAGAIN;
}

/* It is full, as far as we know. 0: not any more, or why not. */
__attribute__((noinline)) static int room_or_why(struct tarn_ring *ring, uint32_t end)
{
	int r = refresh(ring, end);

	return r == -EAGAIN ? tarn__ring_idle(ring, false) : r;
}

static inline void store_header(struct tarn_ring *ring, uint32_t pos, uint32_t size, uint32_t kind,
				memory_order order)
{
	struct record_shm *record = record_at(ring, pos);

	/* relaxed: published by a word */
	atomic_store_explicit(&record->mark, pos, memory_order_relaxed);
	atomic_store_explicit(&record->word, size << 2 | kind, order);
}

/* The word at @end is 0 before anything in front of it is published (I4). */
static inline void terminate(struct tarn_ring *ring, uint32_t end)
{
	if ((int32_t)(ring->zero_to - end) > 0)
		return;
	/* relaxed: published by a word */
	atomic_store_explicit(&record_at(ring, end)->word, 0, memory_order_relaxed);
	ring->zero_to = end + 1;
}

/* Zero the rest of a line ahead, if it is free. */
__attribute__((noinline)) static void zero_line(struct tarn_ring *ring, uint32_t from)
{
	uint32_t to = (from + LINE_UNITS) & ~(uint32_t)(LINE_UNITS - 1);

	if (to - ring->head > ring->capacity)
		return;
	memset(record_at(ring, from), 0, (size_t)(to - from) * RING_UNIT);
	ring->zero_to = to;
}

static inline void zero_ahead(struct tarn_ring *ring, uint32_t end)
{
	if (ring->zero_to - end < LINE_UNITS)
		zero_line(ring, ring->zero_to);
}

/* Everything from @first on is written but its first word: publish it. */
static TARN__ALWAYS_INLINE void publish(struct tarn_ring *ring, struct place first, uint32_t size,
					uint32_t end)
{
	terminate(ring, end);
	if (TARN__UNLIKELY(first.skip != 0)) {
		store_header(ring, first.pos, size, RECORD_DATA, memory_order_relaxed);
		/* W1 -> R1 in look() */
		store_header(ring, first.pos - first.skip, (first.skip - 1) * RING_UNIT,
			     RECORD_SKIP, memory_order_release);
	} else {
		/* W1 -> R1 in look() */
		store_header(ring, first.pos, size, RECORD_DATA, memory_order_release);
	}
	ring->pos = end;
	/* release: for a successor, in the order in which it was done */
	atomic_store_explicit(&ring->my_pos->pos, end, memory_order_release);
	notify(ring);
	zero_ahead(ring, end);
}

static inline int check_size(const struct tarn_ring *ring, size_t size)
{
	if (TARN__UNLIKELY(size > ring->record_max ||
			   (ring->record_size != 0 && size != ring->record_size)))
		return -EMSGSIZE;
	return 0;
}

/* Find a place for @size bytes. 0, -EAGAIN and the other reasons. */
static TARN__ALWAYS_INLINE int find_place(struct tarn_ring *ring, size_t size,
					  struct place *ret_place)
{
	if (TARN__UNLIKELY(ring->stale)) {
		int r = tarn__ring_reclaim(ring);

		if (r < 0)
			return r;
	}

	struct place place = place_at(ring, ring->pos, units_of((uint32_t)size));

	if (TARN__UNLIKELY(!has_room(ring, place.end))) {
		int r = room_or_why(ring, place.end);

		if (r < 0)
			return r;
	}
	*ret_place = place;
	return 0;
}

int tarn_ring_push(struct tarn_ring *ring, const void *data, size_t size)
{
	struct place place;
	int r = check_size(ring, size);

	assert(ring->role == TARN_RING_PRODUCER);
	if (r == 0)
		r = find_place(ring, size, &place);
	if (r < 0)
		return r;
	copy(record_at(ring, place.pos)->payload, data, size);
	publish(ring, place, (uint32_t)size, place.end);
	ring->reserved = false;
	return 0;
}

int tarn_ring_push_batch(struct tarn_ring *ring, const struct tarn_buf *bufs, size_t count,
			 size_t *ret_count)
{
	struct place first, place;
	uint32_t end;
	size_t done;
	int r = count == 0 ? -EINVAL : check_size(ring, bufs[0].size);

	assert(ring->role == TARN_RING_PRODUCER);
	if (r == 0)
		r = find_place(ring, bufs[0].size, &first);
	if (r < 0)
		return r;
	copy(record_at(ring, first.pos)->payload, bufs[0].data, bufs[0].size);
	end = first.end;
	for (done = 1; done < count && check_size(ring, bufs[done].size) == 0; done++) {
		uint32_t size = (uint32_t)bufs[done].size;

		place = place_at(ring, end, units_of(size));
		if (!has_room(ring, place.end) && refresh(ring, place.end) < 0)
			break;
		copy(record_at(ring, place.pos)->payload, bufs[done].data, size);
		store_header(ring, place.pos, size, RECORD_DATA, memory_order_relaxed);
		if (place.skip != 0)
			store_header(ring, end, (place.skip - 1) * RING_UNIT, RECORD_SKIP,
				     memory_order_relaxed);
		end = place.end;
	}
	publish(ring, first, (uint32_t)bufs[0].size, end);
	ring->reserved = false;
	*ret_count = done;
	return 0;
}

int tarn_ring_reserve(struct tarn_ring *ring, size_t size, void **ret_data)
{
	struct place place;
	int r = check_size(ring, size);

	assert(ring->role == TARN_RING_PRODUCER);
	if (r == 0)
		r = find_place(ring, size, &place);
	if (r < 0)
		return r;
	ring->reserved = true;
	ring->reserve_pos = place.pos;
	ring->reserve_size = (uint32_t)size;
	ring->zero_to = ring->pos + 1; /* what lies behind is the caller's to scribble on */
	*ret_data = record_at(ring, place.pos)->payload;
	return 0;
}

int tarn_ring_commit(struct tarn_ring *ring, size_t size)
{
	assert(ring->role == TARN_RING_PRODUCER);
	if (TARN__UNLIKELY(ring->stale))
		return -EBUSY; /* the reservation was the parent's */
	if (!ring->reserved)
		return -EINVAL;
	if (size > ring->reserve_size || check_size(ring, size) < 0)
		return -EMSGSIZE;

	const struct place place = {
		.skip = ring->reserve_pos - ring->pos,
		.pos = ring->reserve_pos,
		.end = ring->reserve_pos + units_of((uint32_t)size),
	};

	ring->reserved = false;
	publish(ring, place, (uint32_t)size, place.end);
	return 0;
}

void tarn_ring_abort(struct tarn_ring *ring)
{
	ring->reserved = false;
}

/* --- waiting ------------------------------------------------------------------------------- */

static bool room_there(struct tarn_ring *ring)
{
	/* relaxed: find_place() loads it again, with acquire */
	uint32_t head = atomic_load_explicit(&ring->their_pos->pos, memory_order_relaxed);
	uint32_t want = atomic_load_explicit(&ring->mine->wake_at, memory_order_relaxed);

	return (int32_t)(head - want) >= 0;
}

/*
 * Wait for room for @size bytes. Woken for each record that is taken from a full ring, the producer
 * would do nothing but sleep and wake, so it asks to be woken when a quarter is free; where the
 * consumer is slower than that, the end of the slice wakes it.
 */
static int wait_room(struct tarn_ring *ring, size_t size, int64_t deadline)
{
	struct place place = place_at(ring, ring->pos, units_of((uint32_t)size));
	uint32_t need = place.end + 1 - ring->capacity;
	uint32_t quarter = ring->pos - ring->capacity + ring->capacity / 4;
	uint32_t wake_at = (int32_t)(quarter - need) > 0 ? quarter : need;

	/* relaxed: our own line; room_there() reads it back */
	atomic_store_explicit(&ring->mine->wake_at, wake_at, memory_order_relaxed);
	return tarn__ring_wait(ring, room_there, wake_at, deadline);
}

int tarn_ring_reserve_wait(struct tarn_ring *ring, size_t size, int64_t deadline, void **ret_data)
{
	for (;;) {
		int r = tarn_ring_reserve(ring, size, ret_data);

		if (r != -EAGAIN)
			return r;
		r = wait_room(ring, size, deadline);
		if (r < 0)
			return r;
	}
}

int tarn_ring_push_wait(struct tarn_ring *ring, const void *data, size_t size, int64_t deadline)
{
	for (;;) {
		int r = tarn_ring_push(ring, data, size);

		if (r != -EAGAIN)
			return r;
		r = wait_room(ring, size, deadline);
		if (r < 0)
			return r;
	}
}
