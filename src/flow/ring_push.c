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
 * waits for this one. So lines ahead are zeroed after a publication, when nobody waits: zero_to
 * remembers how far, and run how many units need no other thought. The short way of a push looks at
 * run alone, and calls nothing but in its last place, so that it saves no registers.
 *
 * Behind a large record the next one may be as large: the unit behind that one is zeroed then, and
 * remembered in zero_at.
 */
#include <errno.h>

#include "flow/ring.h"

enum {
	AHEAD_UNITS = 4 * LINE_UNITS, /* zeroed at a time, where there is room */
};

/* Where a record goes. */
struct place {
	uint32_t skip; /* units to the end of the ring that it does not fit in; 0 = fits */
	uint32_t pos;  /* of its header */
	uint32_t end;  /* behind it */
};

static TARN__ALWAYS_INLINE struct place place_at(const struct tarn_ring *ring, uint32_t pos,
						 uint32_t size)
{
	uint32_t left = ring->capacity - (pos & ring->mask), end = end_of(pos, size);

	if (TARN__LIKELY(end - pos <= left))
		return (struct place){ .pos = pos, .end = end };
	return (struct place){ left, pos + left, end_of(pos + left, size) };
}

static inline uint32_t word_of_skip(uint32_t units)
{
	return (units - 1) * RING_UNIT << 2 | RECORD_SKIP;
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

	if (r != -EAGAIN)
		return r;
	r = tarn__ring_idle(ring, false);
	ring->need = end + 1 - ring->capacity;
	if (r == -EAGAIN && end - ring->pos <= ring->capacity / 16) /* several more are to come */
		tarn__ring_rest(ring);
	return r;
}

/* The word at @end is 0 before anything in front of it is published (I4). */
static inline void terminate(struct tarn_ring *ring, uint32_t end)
{
	if ((int32_t)(ring->zero_to - end) > 0)
		return;
	ring->zero_to = end + 1;
	if (ring->zero_at == end)
		return;
	/* relaxed: published by a word */
	atomic_store_explicit(&record_at(ring, end)->word, 0, memory_order_relaxed);
}

/* Zero what is ahead up to a multiple of @units, if it is free. */
static bool zero_to(struct tarn_ring *ring, uint32_t units)
{
	uint32_t from = ring->zero_to, to = (from + units) & ~(units - 1);

	if (to - ring->head > ring->capacity)
		return false;
	memset(record_at(ring, from), 0, (size_t)(to - from) * RING_UNIT);
	ring->zero_to = to;
	return true;
}

/* Think ahead: what the next records need. */
static void prepare(struct tarn_ring *ring)
{
	uint32_t pos = ring->pos;

	if (ring->zero_to - pos <= LINE_UNITS && !zero_to(ring, AHEAD_UNITS))
		(void)zero_to(ring, LINE_UNITS);

	uint32_t left = ring->capacity - (pos & ring->mask);
	uint32_t zero = ring->zero_to - 1 - pos; /* and free: nothing else is zeroed */

	ring->run = ring->special != 0 ? 0 : zero < left ? zero : left;
	ring->zero_at = pos;
}

/* The same where the next record may be as large: it takes lines enough by itself, so all that can
 * be had beforehand is to know that it has room, and the unit behind it. */
static inline void prepare_large(struct tarn_ring *ring, uint32_t size)
{
	struct place next = place_at(ring, ring->pos, size);

	ring->run = 0;
	ring->zero_at = ring->pos;
	if (!has_room(ring, next.end) && refresh(ring, next.end) < 0)
		return;
	/* relaxed: published by a word */
	atomic_store_explicit(&record_at(ring, next.end)->word, 0, memory_order_relaxed);
	ring->zero_at = next.end;
}

__attribute__((noinline)) static int published_slowly(struct tarn_ring *ring)
{
	notify(ring);
	prepare(ring);
	return 0;
}

/* Everything from @first on is written but its first word: publish it. Behind what has up to @small
 * bytes, lines are made ready that the next ones will lie in. */
static TARN__ALWAYS_INLINE int publish(struct tarn_ring *ring, struct place first, uint32_t size,
				       uint32_t end, uint32_t small)
{
	terminate(ring, end);
	if (TARN__UNLIKELY(first.skip != 0)) {
		store_header(record_at(ring, first.pos), first.pos, size << 2 | RECORD_DATA,
			     memory_order_relaxed);
		/* W1 -> R1 in size_at() and load_header() */
		store_header(record_at(ring, ring->pos), ring->pos, word_of_skip(first.skip),
			     memory_order_release);
	} else {
		/* W1 -> R1 in size_at() and load_header() */
		store_header(record_at(ring, first.pos), first.pos, size << 2 | RECORD_DATA,
			     memory_order_release);
	}
	ring->pos = end;
	ring->reserved = false;
	/* release: for a successor, in the order in which it was done */
	atomic_store_explicit(&ring->my_pos->pos, end, memory_order_release);
	if (size <= small)
		return published_slowly(ring);
	notify(ring);
	prepare_large(ring, size);
	return 0;
}

/* Find a place for @size bytes. 0, -EMSGSIZE, -EAGAIN and the other reasons. */
static TARN__ALWAYS_INLINE int find_place(struct tarn_ring *ring, size_t size,
					  struct place *ret_place)
{
	assert(ring->role == TARN_RING_PRODUCER);
	if (!takes_size(ring, size))
		return -EMSGSIZE;
	if (is_stale(ring)) {
		int r = tarn__ring_reclaim(ring);

		if (r < 0)
			return r;
	}

	struct place place = place_at(ring, ring->pos, (uint32_t)size);

	if (rests(ring))
		return -EAGAIN;
	if (TARN__UNLIKELY(!has_room(ring, place.end))) {
		int r = room_or_why(ring, place.end);

		if (r < 0)
			return r;
	}
	*ret_place = place;
	return 0;
}

__attribute__((noinline)) static int push_slowly(struct tarn_ring *ring, const void *data,
						 size_t size)
{
	struct place place;
	int r = find_place(ring, size, &place);

	if (r < 0)
		return r;
	copy(record_at(ring, place.pos)->payload, data, size);
	return publish(ring, place, (uint32_t)size, place.end, COPY_SMALL);
}

int tarn__ring_push_framed(struct tarn_ring *ring, uint64_t first, uint64_t second, uint64_t third,
			   const void *data, size_t size)
{
	struct place place;
	int r = find_place(ring, RING_FRAME + size, &place);
	unsigned char *payload;

	if (TARN__UNLIKELY(r < 0))
		return r;
	payload = record_at(ring, place.pos)->payload;
	/* one by one: put together, and copied in larger pieces, they would be waited for */
	memcpy(payload, &first, sizeof(first));
	memcpy(payload + 8, &second, sizeof(second));
	memcpy(payload + 16, &third, sizeof(third));
	copy(payload + RING_FRAME, data, size);
	return publish(ring, place, (uint32_t)(RING_FRAME + size), place.end,
		       RING_FRAME + COPY_SMALL);
}

/* The short way, of a small record that @run has room for. */
static TARN__ALWAYS_INLINE int push_small(struct tarn_ring *ring, const void *data, size_t size,
					  uint32_t units, uint32_t run)
{
	uint32_t pos = ring->pos;
	struct record_shm *record = record_at(ring, pos);

	copy_small(record->payload, data, size);
	/* W1 -> R1 in size_at() and load_header() */
	store_header(record, pos, (uint32_t)size << 2 | RECORD_DATA, memory_order_release);
	ring->pos = pos + units;
	ring->run = run - units;
	/* release: for a successor, in the order in which it was done */
	atomic_store_explicit(&ring->my_pos->pos, pos + units, memory_order_release);
	/* R4 <> W4, as in notify(); there is no fence where there is a run */
	if (TARN__UNLIKELY(atomic_load_explicit(&ring->theirs->waiting, memory_order_relaxed) !=
			   0) ||
	    TARN__UNLIKELY(run - units < LINE_UNITS))
		return published_slowly(ring);
	return 0;
}

__attribute__((noinline)) static int push_unlike(struct tarn_ring *ring, const void *data,
						 size_t size)
{
	uint32_t units = units_of((uint32_t)size), run = ring->run;

	if (size > COPY_SMALL || units > run || !takes_size(ring, size))
		return push_slowly(ring, data, size);
	ring->like_size = (uint32_t)size;
	ring->like_units = units;
	return push_small(ring, data, size, units, run);
}

int tarn_ring_push(struct tarn_ring *ring, const void *data, size_t size)
{
	uint32_t units = ring->like_units, run = ring->run;

	if (TARN__UNLIKELY(size != ring->like_size) || TARN__UNLIKELY(units > run))
		return push_unlike(ring, data, size);
	return push_small(ring, data, size, units, run);
}

/* A record of a batch, at @at or behind a skip there. The position behind it, or @at: no room. */
static uint32_t push_another(struct tarn_ring *ring, uint32_t at, const void *data, uint32_t size)
{
	struct place place = place_at(ring, at, size);

	if (!has_room(ring, place.end) && refresh(ring, place.end) < 0)
		return at;
	copy(record_at(ring, place.pos)->payload, data, size);
	store_header(record_at(ring, place.pos), place.pos, size << 2 | RECORD_DATA,
		     memory_order_relaxed);
	if (place.skip != 0)
		store_header(record_at(ring, at), at, word_of_skip(place.skip),
			     memory_order_relaxed);
	return place.end;
}

/* So many units from @pos on are free, as far as is known, and before the end of the ring. */
static inline uint32_t run_at(const struct tarn_ring *ring, uint32_t pos)
{
	uint32_t left = ring->capacity - (pos & ring->mask);
	uint32_t room = ring->head + ring->capacity - 1 - pos;

	return left < room ? left : room;
}

/* Records of @size bytes, which are small, into the run of @run units at @pos: as many of @bufs as
 * are of that size, and as there is room for. Inlined with a size that is known to the compiler. */
static TARN__ALWAYS_INLINE size_t push_alike(const struct tarn_ring *ring, uint32_t pos,
					     uint32_t run, const struct tarn_buf *bufs,
					     size_t count, uint32_t size)
{
	unsigned char *at = (unsigned char *)record_at(ring, pos);
	const uint32_t units = units_of(size);
	size_t done;

	for (done = 0; done < count && bufs[done].size == size && units <= run; done++) {
		struct record_shm *record = (struct record_shm *)(void *)at;

		copy_small(record->payload, bufs[done].data, size);
		store_header(record, pos, size << 2 | RECORD_DATA, memory_order_relaxed);
		at += (size_t)units * RING_UNIT;
		pos += units;
		run -= units;
	}
	return done;
}

/* Of a batch, all but the first: as many as there is room for behind @end. */
static size_t push_more(struct tarn_ring *ring, const struct tarn_buf *bufs, size_t count,
			uint32_t *end)
{
	uint32_t pos = *end, run = run_at(ring, pos);
	size_t done = 0;

	while (done < count && takes_size(ring, bufs[done].size)) {
		uint32_t size = (uint32_t)bufs[done].size, units = units_of(size), next;

		if (TARN__LIKELY(size <= COPY_SMALL) && TARN__LIKELY(units <= run)) {
			const struct tarn_buf *rest = bufs + done;
			size_t alike =
				size == 8    ? push_alike(ring, pos, run, rest, count - done, 8)
				: size == 64 ? push_alike(ring, pos, run, rest, count - done, 64)
					     : push_alike(ring, pos, run, rest, count - done, size);

			done += alike;
			pos += (uint32_t)alike * units;
			run -= (uint32_t)alike * units;
			continue;
		}
		next = push_another(ring, pos, bufs[done].data, size);
		if (next == pos)
			break;
		done++;
		pos = next;
		run = run_at(ring, pos);
	}
	*end = pos;
	return done;
}

int tarn_ring_push_batch(struct tarn_ring *ring, const struct tarn_buf *bufs, size_t count,
			 size_t *ret_count)
{
	struct place first;
	uint32_t end;
	size_t more;
	int r = count == 0 ? -EINVAL : find_place(ring, bufs[0].size, &first);

	if (r < 0)
		return r;
	copy(record_at(ring, first.pos)->payload, bufs[0].data, bufs[0].size);
	end = first.end;
	more = push_more(ring, bufs + 1, count - 1, &end);
	*ret_count = 1 + more;
	return publish(ring, first, (uint32_t)bufs[0].size, end, COPY_SMALL);
}

int tarn_ring_reserve(struct tarn_ring *ring, size_t size, void **ret_data)
{
	struct place place;
	int r = find_place(ring, size, &place);

	if (r < 0)
		return r;
	ring->reserved = true;
	ring->reserve_pos = place.pos;
	ring->reserve_size = (uint32_t)size;
	ring->zero_to = ring->pos + 1; /* what lies behind is the caller's to scribble on */
	if (ring->zero_at != place.end)
		ring->zero_at = ring->pos;
	ring->run = 0;
	*ret_data = record_at(ring, place.pos)->payload;
	return 0;
}

int tarn_ring_commit(struct tarn_ring *ring, size_t size)
{
	assert(ring->role == TARN_RING_PRODUCER);
	if (is_stale(ring))
		return -EBUSY; /* the reservation was the parent's */
	if (!ring->reserved)
		return -EINVAL;
	if (size > ring->reserve_size || !takes_size(ring, size))
		return -EMSGSIZE;

	const struct place place = {
		.skip = ring->reserve_pos - ring->pos,
		.pos = ring->reserve_pos,
		.end = end_of(ring->reserve_pos, (uint32_t)size),
	};

	return publish(ring, place, (uint32_t)size, place.end, COPY_SMALL);
}

void tarn_ring_abort(struct tarn_ring *ring)
{
	ring->reserved = false;
}

/* --- waiting ------------------------------------------------------------------------------- */

bool tarn__ring_room_there(struct tarn_ring *ring)
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
int tarn__ring_wait_room(struct tarn_ring *ring, size_t size, tarn__ring_ready_fn *ready,
			 int64_t deadline)
{
	struct place place = place_at(ring, ring->pos, (uint32_t)size);
	uint32_t need = place.end + 1 - ring->capacity;
	uint32_t quarter = ring->pos - ring->capacity + ring->capacity / 4;
	uint32_t wake_at = (int32_t)(quarter - need) > 0 ? quarter : need;

	/* relaxed: our own line; it is read back there */
	atomic_store_explicit(&ring->mine->wake_at, wake_at, memory_order_relaxed);
	return tarn__ring_wait(ring, ready, wake_at, deadline);
}

int tarn_ring_reserve_wait(struct tarn_ring *ring, size_t size, int64_t deadline, void **ret_data)
{
	for (;;) {
		int r = tarn_ring_reserve(ring, size, ret_data);

		if (r != -EAGAIN)
			return r;
		r = tarn__ring_wait_room(ring, size, tarn__ring_room_there, deadline);
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
		r = tarn__ring_wait_room(ring, size, tarn__ring_room_there, deadline);
		if (r < 0)
			return r;
	}
}
