/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - the bytes of a ring, its handle, and what its files share.
 *
 * One producer, one consumer. A ring is an object of its region:
 *
 *     0 +---------------------------------------------+
 *       | magic version capacity record_size ...      |  set by the creator, then constant
 *    64 +---------------------------------------------+
 *       | tail                                        |  changes with every record
 *   128 +---------------------------------------------+
 *       | owner state waiting wake_at, waits deaths   |  the producer: changes seldom, so the
 *   192 +---------------------------------------------+  consumer has it in its cache
 *       | head                                        |
 *   256 +---------------------------------------------+
 *       | owner state waiting wake_at, waits deaths   |  the consumer
 *   320 +---------------------------------------------+
 *       | records: capacity * 8 bytes                 |
 *       +---------------------------------------------+
 *
 * Positions count units of 8 bytes since the ring was made, modulo 2^32; a position's place is the
 * position masked by capacity - 1. A record starts at a unit and lies in one piece:
 *
 *     word u32: size << 2 | kind      kind 1 data, 2 skip: go on at place 0
 *     mark u32: its own position      so that nothing else is taken for a header
 *     payload, padded to 8 bytes; of LARGE bytes and more, to unit LARGE_AT of a line, so that
 *     the payload of the next one is aligned to 32, and shares a line with its header
 *
 * The word is the publication: 0 means that nothing is here yet. The unit behind the last record is
 * always 0, so the consumer needs no index of the producer's, and a small record travels in one
 * cache line. One unit of the capacity is kept free for it.
 *
 * Who writes what:
 *   tail, records, the producer's line   the producer
 *   head, the consumer's line            the consumer
 *   waiting is also cleared by the other side, when it wakes the sleeper
 *   owner is taken over from the dead by a successor
 *
 * Ordering:
 *   W1 -> R1  publish() stores the word of the first new record   peek() reads records
 *   W2 -> R2  release() stores head                               room() reuses units
 *   W3 -> R3  claim() and set_state() store state                 peer_of() reads it
 *   W4 <> R4  a sleeper stores waiting, then looks at word or head once more; the other side
 *             stores word or head, then looks at waiting. One must see the other, so the
 *             sleeper runs a barrier on every CPU of a registered process (membarrier),
 *             and the other side pays none. Who cannot register pays a full barrier itself.
 *
 * Invariants (tarn__ring_check() tests them; a peer may break them, so each use is checked):
 *   I1  capacity is a power of two, 32 .. 2^29 units; the object has room for it
 *   I2  (u32)(tail - head) < capacity
 *   I3  every record in [head, tail) has a valid kind, its own mark, and ends before the end
 *   I4  the word at tail is 0, or that of a record which was published and not yet counted
 *   I5  a record has record_size bytes, where the ring has one
 *
 * After a crash:
 *   producer  records are hidden behind the word of the first one, which is stored last; so a
 *             record, or a batch, is there whole or not at all. tail may lag behind by what was
 *             published last, even behind head if that was consumed already: the successor
 *             steps over it (I4), and then I2 holds again.
 *   consumer  head is stored when it is done with a record; the successor starts there.
 *   either    owner names the dead. The kernel says so (member.c); a successor replaces it.
 */
#ifndef TARN_FLOW_RING_H
#define TARN_FLOW_RING_H

#include <string.h>

#include <tarn/ring.h>

#include "base/bits.h"
#include "base/diag.h"
#include "flow/copy.h"
#include "region/region.h"

#define RING_MAGIC   0x676e6952u /* "Ring" */
#define RING_VERSION 2u
#define RING_UNIT    8u
/* With its header and all that it is padded with it has 2^30 bytes, so that no skip in front of it
 * has more than a word of 30 bits can say. */
#define RECORD_MAX ((1u << 30) - TARN__CACHE_LINE)

/* ring_side_shm.state */
enum {
	SIDE_NONE = 0, /* nobody had this role yet */
	SIDE_ACTIVE = 1,
	SIDE_LEFT = 2,
	SIDE_FINISHED = 3,
};

/* ring_side_shm.waiting */
enum {
	WAIT_ASLEEP = 1u << 0,
	WAIT_FENCE = 1u << 1, /* the sleeper has no membarrier: the other side must fence */
};

/* kinds of records */
enum { RECORD_DATA = 1, RECORD_SKIP = 2 };

struct ring_pos_shm {
	_Atomic uint32_t pos; /* tail or head */
	uint8_t pad[60];
};

struct ring_side_shm {
	_Atomic uint32_t owner; /* member id, 0 = nobody */
	_Atomic uint32_t state;
	_Atomic uint32_t waiting;
	_Atomic uint32_t wake_at; /* producer: the head at which there is room enough */
	uint8_t pad0[32];         /* call.h has its own there */
	_Atomic uint32_t waits;   /* how often it slept, for the eye, as is the next one */
	_Atomic uint32_t deaths;  /* owners that died, and have a successor */
	uint8_t pad1[8];
};

struct ring_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t capacity;    /* units */
	uint32_t record_size; /* bytes; 0 = any */
	uint32_t record_max;  /* bytes */
	uint32_t check;       /* FNV-1a of the five words before it */
	uint8_t pad[40];
	struct ring_pos_shm tail;
	struct ring_side_shm producer;
	struct ring_pos_shm head;
	struct ring_side_shm consumer;
	unsigned char records[];
};

struct record_shm {
	_Atomic uint32_t word;
	_Atomic uint32_t mark;
	unsigned char payload[];
};

static_assert(offsetof(struct ring_shm, version) == 4, "layout");
static_assert(offsetof(struct ring_shm, capacity) == 8, "layout");
static_assert(offsetof(struct ring_shm, record_size) == 12, "layout");
static_assert(offsetof(struct ring_shm, record_max) == 16, "layout");
static_assert(offsetof(struct ring_shm, check) == 20, "layout");
static_assert(offsetof(struct ring_shm, tail) == 64, "layout");
static_assert(offsetof(struct ring_shm, producer) == 128, "layout");
static_assert(offsetof(struct ring_shm, head) == 192, "layout");
static_assert(offsetof(struct ring_shm, consumer) == 256, "layout");
static_assert(offsetof(struct ring_shm, records) == 320, "layout");
static_assert(offsetof(struct ring_side_shm, state) == 4, "layout");
static_assert(offsetof(struct ring_side_shm, waiting) == 8, "layout");
static_assert(offsetof(struct ring_side_shm, wake_at) == 12, "layout");
static_assert(offsetof(struct ring_side_shm, waits) == 48, "layout");
static_assert(offsetof(struct ring_side_shm, deaths) == 52, "layout");
static_assert(sizeof(struct ring_pos_shm) == 64, "layout");
static_assert(sizeof(struct ring_side_shm) == 64, "layout");
static_assert(offsetof(struct record_shm, mark) == 4, "layout");
static_assert(offsetof(struct record_shm, payload) == 8, "layout");

/* Geometry is copied here once checked, and never read from the region again. */
struct tarn_ring {
	/* what every call reads */
	unsigned char *records;
	struct ring_pos_shm *my_pos;
	struct ring_side_shm *theirs;
	uint32_t capacity; /* units */
	uint32_t mask;
	uint32_t size_min; /* a record has size_min .. size_min + size_span bytes */
	uint32_t size_span;
	uint32_t pos; /* this side's own: tail or head */
	/* Producer: from pos on, so many units are before the end of the ring, free, and 0, as is
	 * the one behind them: a record of so many needs no other look. 0 while special or
	 * reserved. */
	uint32_t run;
	/* The record before, if it was small: mostly the next one is like it. */
	uint32_t like_size;
	uint32_t like_units; /* UINT32_MAX: there was none */
	int32_t like_last;   /* consumer: the last place where so many fit in, -1 while special */
	uint32_t special;    /* SPECIAL_ bits */

	/* producer */
	uint32_t head;    /* the consumer's, when last read */
	uint32_t zero_to; /* every unit of [pos, zero_to) is 0 */
	uint32_t zero_at; /* so is this one, until the next record is written; pos: no other */
	uint32_t need;    /* the head at which there is room for what there was none for last */
	bool reserved;
	uint32_t reserve_pos;  /* where the reserved record starts */
	uint32_t reserve_size; /* bytes it may have */

	/* consumer */
	uint32_t peek_count;
	uint32_t peek_end; /* position behind the last record peeked */

	enum tarn_ring_role role;
	uint32_t record_size;
	uint32_t record_max;
	struct ring_shm *shm;
	struct ring_pos_shm *their_pos;
	struct ring_side_shm *mine;
	struct tarn_region *region;
	struct tarn__object object;
	struct tarn__forkable forkable;
	uint32_t empty_count; /* calls that found nothing, for the rate of liveness probes */
	int64_t spin_ns;      /* how long to look before sleeping; adapts, but for 0 */
	int64_t rest_ns;      /* how long a rest is; 0: none */
	int64_t rest_until;   /* while SPECIAL_REST */
	uint32_t rested_at;   /* the position at which this side last began to rest */
	/* What follows may be the handle of the other side, of another thread. */
	unsigned char apart[TARN__CACHE_LINE];
};

enum {
	LINE_UNITS = TARN__CACHE_LINE / RING_UNIT,
	LARGE = 1024, /* bytes from which on a record takes what is left up to */
	LARGE_AT = 3, /* this unit of a line: the payload of the next one is aligned to 32 */
};

/* tarn_ring.special */
enum {
	SPECIAL_STALE = 1u << 0, /* inherited over fork(): the role must be claimed anew */
	SPECIAL_FENCE = 1u << 1, /* one of both sides could not register for membarrier */
	SPECIAL_REST = 1u << 2,  /* it has caught up with the other side, and lets it get ahead */
};

static inline bool is_stale(const struct tarn_ring *ring)
{
	return TARN__UNLIKELY((ring->special & SPECIAL_STALE) != 0);
}

static inline void make_special(struct tarn_ring *ring, uint32_t bit)
{
	ring->special |= bit;
	ring->run = 0;
	ring->like_last = -1;
}

static inline void make_plain(struct tarn_ring *ring, uint32_t bit)
{
	ring->special &= ~bit; /* the next small record sets run and like_last */
}

static inline struct record_shm *record_at(const struct tarn_ring *ring, uint32_t pos)
{
	return (struct record_shm *)(void *)(ring->records +
					     (size_t)(pos & ring->mask) * RING_UNIT);
}

/* Are word and mark loaded and stored at once? */
#define WIDE_HEADERS (UINTPTR_MAX > 0xffffffffu && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static TARN__ALWAYS_INLINE void store_header(struct record_shm *record, uint32_t pos, uint32_t word,
					     memory_order order)
{
#if WIDE_HEADERS
	atomic_store_explicit((_Atomic uint64_t *)(void *)&record->word, (uint64_t)pos << 32 | word,
			      order);
#else
	/* relaxed: published by a word */
	atomic_store_explicit(&record->mark, pos, memory_order_relaxed);
	atomic_store_explicit(&record->word, word, order);
#endif
}

static TARN__ALWAYS_INLINE uint32_t load_header(const struct record_shm *record, uint32_t *ret_mark)
{
	/* R1 <- W1 in publish() and push(): the record is complete. */
	uint32_t word = atomic_load_explicit(&record->word, memory_order_acquire);

	/* relaxed: published with the word */
	*ret_mark = atomic_load_explicit(&record->mark, memory_order_relaxed);
	return word;
}

/* Is this the header of @size bytes of data at @pos? */
static TARN__ALWAYS_INLINE bool has_header(const struct record_shm *record, uint32_t pos,
					   uint32_t size)
{
#if WIDE_HEADERS
	/* R1 <- W1, as above */
	return atomic_load_explicit((const _Atomic uint64_t *)(const void *)&record->word,
				    memory_order_acquire) ==
	       ((uint64_t)pos << 32 | (size << 2 | RECORD_DATA));
#else
	uint32_t mark, word = load_header(record, &mark);

	return word == (size << 2 | RECORD_DATA) && mark == pos;
#endif
}

/* Bytes of the data at @pos; if anything else is there, more than any has. */
static TARN__ALWAYS_INLINE uint64_t size_at(const struct record_shm *record, uint32_t pos)
{
#if WIDE_HEADERS
	/* R1 <- W1, as above. What is more or less than it should be is in bits above the size. */
	uint64_t both = atomic_load_explicit((const _Atomic uint64_t *)(const void *)&record->word,
					     memory_order_acquire);
	uint64_t rest = both - ((uint64_t)pos << 32 | RECORD_DATA);

	return rest >> 2 | rest << 62;
#else
	uint32_t mark, word = load_header(record, &mark);

	return (word & 3u) == RECORD_DATA && mark == pos ? word >> 2 : UINT64_MAX;
#endif
}

/* Units of a record of @size bytes, its header included; of one with fewer than LARGE. */
static inline uint32_t units_of(uint32_t size)
{
	return 1 + (size + RING_UNIT - 1) / RING_UNIT;
}

/* Behind the record of @size bytes at @pos. */
static TARN__ALWAYS_INLINE uint32_t end_of(uint32_t pos, uint32_t size)
{
	uint32_t end = pos + units_of(size);

	return size < LARGE ? end : end + ((LARGE_AT - end) & (LINE_UNITS - 1));
}

/* Units of what has this @word at @pos, a record or a skip. */
static inline uint32_t units_at(uint32_t pos, uint32_t word)
{
	uint32_t size = word >> 2;

	return (word & 3u) == RECORD_SKIP ? units_of(size) : end_of(pos, size) - pos;
}

static inline bool takes_size(const struct tarn_ring *ring, size_t size)
{
	return size - ring->size_min <= ring->size_span;
}

/* --- ring.c -------------------------------------------------------------------------------- */

/* Where the parts of a ring lie: in a struct ring_shm, or each where its writer wants it. */
struct ring_parts {
	unsigned char *records; /* at a line */
	uint32_t capacity;      /* units */
	uint32_t record_size;
	uint32_t record_max;
	struct ring_pos_shm *tail, *head;
	struct ring_side_shm *producer, *consumer;
};

/* The largest record that a ring of @capacity bytes takes. */
uint32_t tarn__ring_record_max(uint64_t capacity);
/* A handle of these parts, which are checked; the role is the caller's to claim. */
void tarn__ring_of(struct tarn_ring *ring, struct tarn_region *region,
		   const struct ring_parts *parts, enum tarn_ring_role role);
/* The role is ours: go on where the last one stopped. 0, -EUCLEAN. */
int tarn__ring_go_on(struct tarn_ring *ring);
void tarn__ring_set_fence(struct tarn_ring *ring);
bool tarn__ring_worth_probing(struct tarn_region *region, uint32_t owner, uint32_t *looks);

/* Take the role again after a fork. 0, -EBUSY, -EUCLEAN or what joining returns. */
int tarn__ring_reclaim(struct tarn_ring *ring);
/* What the other side is. @probe: ask the kernel even if nothing hints at a death. */
enum tarn_ring_peer tarn__ring_peer(struct tarn_ring *ring, bool probe);
/* Why there is nothing to do for this side: -EAGAIN, -EPIPE, -ENODATA or -EIO. */
int tarn__ring_idle(struct tarn_ring *ring, bool probe);

/* --- ring_wait.c --------------------------------------------------------------------------- */

/* This side has found nothing to do. */
void tarn__ring_rest(struct tarn_ring *ring);
/* Is it not to look yet? */
bool tarn__ring_rests_still(struct tarn_ring *ring);
static inline bool rests(struct tarn_ring *ring)
{
	return TARN__UNLIKELY((ring->special & SPECIAL_REST) != 0) && tarn__ring_rests_still(ring);
}

/* Is there what this side waits for? */
typedef bool tarn__ring_ready_fn(struct tarn_ring *ring);

/* Spin, then sleep until @ready, the other side's death, or a slice has passed. 0: look again;
 * -ETIMEDOUT. */
int tarn__ring_wait(struct tarn_ring *ring, tarn__ring_ready_fn *ready, uint32_t wake_at,
		    int64_t deadline);
/* For who waits for more than this ring. Would a pop not be -EAGAIN; or is a quarter of it free,
 * and room for what there was none for last? @probe: ask the kernel whether the peer lives. */
bool tarn__ring_there(struct tarn_ring *ring, bool probe);
/* This side sleeps, and wants to be woken when there is something; a producer when the head is at
 * @wake_at. Then comes the barrier, and another look. */
void tarn__side_sleeps(struct ring_side_shm *side, uint32_t wake_at);
/* There is no membarrier here: the other side is to fence. The value to sleep on. */
uint32_t tarn__side_fence(struct ring_side_shm *side);
void tarn__side_awake(struct ring_side_shm *side);
/* Say that this side sleeps: on which word and value; and which member's death is to wake it. */
_Atomic uint32_t *tarn__ring_sleeps(struct tarn_ring *ring, uint32_t *ret_value,
				    uint32_t *ret_peer);
/* There is no membarrier here: the other side is to fence. Before a last look. */
uint32_t tarn__ring_fence(struct tarn_ring *ring);
/* It sleeps no more. */
void tarn__ring_awake(struct tarn_ring *ring);
void tarn__ring_wake(struct ring_side_shm *side);
/* The other side sleeps: wake it, if its condition holds. */
void tarn__ring_notify(struct tarn_ring *ring, uint32_t waiting);

/* After storing what the other side may wait for: wake it if it sleeps. */
static inline void notify(struct tarn_ring *ring)
{
	if (TARN__UNLIKELY((ring->special & SPECIAL_FENCE) != 0)) {
		/* W4 <> R4, our half: a full barrier, as an exchange that tools understand */
		(void)atomic_exchange_explicit(&ring->my_pos->pos, ring->pos, memory_order_seq_cst);
	}
	/* R4 <> W4: relaxed, the sleeper's barrier orders it behind our store */
	uint32_t waiting = atomic_load_explicit(&ring->theirs->waiting, memory_order_relaxed);

	if (TARN__UNLIKELY(waiting != 0))
		tarn__ring_notify(ring, waiting);
}

/* --- ring_push.c --------------------------------------------------------------------------- */

enum { RING_FRAME = 24 };

/* Copy a record of RING_FRAME bytes, which are these words, and @size at @data. As
 * tarn_ring_push(). */
int tarn__ring_push_framed(struct tarn_ring *ring, uint64_t first, uint64_t second, uint64_t third,
			   const void *data, size_t size);
/* Is there what tarn__ring_wait_room() was told of last? */
bool tarn__ring_room_there(struct tarn_ring *ring);
/* Spin, then sleep once, for room for @size bytes, or until @ready, which may want more than
 * tarn__ring_room_there(). As tarn__ring_wait(). */
int tarn__ring_wait_room(struct tarn_ring *ring, size_t size, tarn__ring_ready_fn *ready,
			 int64_t deadline);

/* --- ring_check.c -------------------------------------------------------------------------- */

int tarn__ring_check(struct tarn_region *region, const struct tarn__object *object,
		     const char *where, tarn_report_fn *fn, void *arg);
/* Where it lies, @record_max apart, which does not matter here: I2, I3, I5. */
void tarn__ring_check_parts(struct tarn__audit *audit, const struct ring_parts *parts);
/* The field of the header that breaks I1, or NULL. @size: of the object. */
const char *tarn__ring_fault(const struct ring_shm *shm, uint64_t size);
uint32_t tarn__ring_header_check(const struct ring_shm *shm);

#endif /* TARN_FLOW_RING_H */
