/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.h - the bytes of a trace, and how an event is logged: for this layer and those above.
 *
 *     0 +----------------------------------------------+
 *       | magic version rings events check             |  set by the creator, then constant
 *    64 +----------------------------------------------+
 *       | offset                                       |  CLOCK_REALTIME less CLOCK_MONOTONIC
 *   128 +----------------------------------------------+
 *       | rings: next                                  |  64 bytes
 *       |        events                                |  64 bytes each
 *       +----------------------------------------------+
 *
 *     next   how many events were begun in this ring
 *     event  number N stands in place N modulo events. check is FNV-1a of the words behind it, with
 *            bit 0 set; 0 while the event is written
 *
 * The superblock's word trace is 0: off; or the entry that is logged to, 1 + index in bits 0 to 10
 * and its generation above. An event names its object the same way.
 *
 * Who writes what:
 *   superblock's trace  who has the region lock
 *   offset              the same
 *   next                any member of that ring, by fetch_add: each number is one thread's
 *   an event            the thread that has its number. One that is lapped while it writes, by all
 *                       of a ring, mixes its words with another's: check does not fit then
 *
 * Ordering:
 *   G1 -> G2  on() stores the word behind the object    who logs finds its header
 *   G3 -> G4  check is stored behind the event's words  a reader that sees it sees them
 *   G5 -> G6  words are stored behind check's 0         a reader that saw one of them sees that
 *                                                       check has changed
 *
 * Invariants:
 *   I1  the object has room for all that its header says, and check is that of the header
 *   I2  the superblock's word is 0, or names a live entry of kind trace
 *
 * After a crash: an event whose check is 0 is none, and its place is another one's a lap later.
 */
#ifndef TARN_REGION_TRACE_H
#define TARN_REGION_TRACE_H

#include <tarn/trace.h>

#include "base/bits.h"
#include "region/region.h"

#define TRACE_MAGIC   0x65637254u /* "Trce" */
#define TRACE_VERSION 1u

enum {
	TRACE_WORDS = 16,
	TRACE_EVENTS = 128,
	TRACE_EVENTS_MIN = 8,
	TRACE_RINGS = 16,
	TRACE_AT_MAX = 64, /* traces that a handle logs to in its life */
	TRACE_KIND_BITS = 8,
};

/* An event, as words. */
struct event {
	uint32_t check;
	uint32_t number;
	int64_t time_ns;
	uint32_t who; /* member id */
	uint32_t tid;
	uint32_t kind;   /* and above TRACE_KIND_BITS the code */
	uint32_t object; /* 0, or as the superblock's word */
	uint64_t a, b;
	char text[TARN_TRACE_TEXT_MAX];
};

struct event_shm {
	_Atomic uint32_t words[TRACE_WORDS]; /* struct event */
};

struct trace_ring_shm {
	_Atomic uint32_t next;
	uint8_t pad[60];
	struct event_shm events[];
};

struct trace_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t rings;
	uint32_t events;
	uint32_t check; /* FNV-1a of the four words before it */
	uint8_t pad0[44];
	_Atomic uint64_t offset;
	uint8_t pad1[56];
};

static_assert(offsetof(struct event, number) == 4, "layout");
static_assert(offsetof(struct event, time_ns) == 8, "layout");
static_assert(offsetof(struct event, who) == 16, "layout");
static_assert(offsetof(struct event, tid) == 20, "layout");
static_assert(offsetof(struct event, kind) == 24, "layout");
static_assert(offsetof(struct event, object) == 28, "layout");
static_assert(offsetof(struct event, a) == 32, "layout");
static_assert(offsetof(struct event, b) == 40, "layout");
static_assert(offsetof(struct event, text) == 48, "layout");
static_assert(sizeof(struct event) == TRACE_WORDS * 4, "layout");
static_assert(sizeof(struct event_shm) == 64, "layout");
static_assert(sizeof(struct trace_ring_shm) == 64, "layout");
static_assert(offsetof(struct trace_shm, rings) == 8, "layout");
static_assert(offsetof(struct trace_shm, events) == 12, "layout");
static_assert(offsetof(struct trace_shm, check) == 16, "layout");
static_assert(offsetof(struct trace_shm, offset) == 64, "layout");
static_assert(sizeof(struct trace_shm) == 128, "layout");

/* Where a handle logs to: checked, and constant. */
struct trace_at {
	struct trace_at *older;
	uint32_t word; /* of the superblock, for which this was made */
	uint32_t rings, events;
	unsigned char *first; /* ring */
};

#define TRACE_INDEX_MASK 0x7ffu

/* As the superblock's word names the entry @index whose state is @state. */
static inline uint32_t tarn__trace_name(uint32_t index, uint32_t state)
{
	return (index + 1) | (state >> 2) << 11;
}

static inline uint64_t tarn__trace_ring_bytes(uint32_t events)
{
	return sizeof(struct trace_ring_shm) + (uint64_t)events * sizeof(struct event_shm);
}

static inline struct trace_ring_shm *tarn__trace_ring(unsigned char *first, uint32_t events,
						      uint32_t ring)
{
	return (struct trace_ring_shm *)(void *)(first + ring * tarn__trace_ring_bytes(events));
}

/* --- trace.c ------------------------------------------------------------------------------- */

/* FNV-1a as an event has it. */
uint32_t tarn__trace_check_of(const struct event *event);
/* What the header of @object says, read once. 0, -EPROTO, or -EUCLEAN and the @ret_field. */
int tarn__trace_geometry(const struct tarn__object *object, uint32_t *ret_rings,
			 uint32_t *ret_events, const char **ret_field);
/* It is on: log. @object: may be NULL; @text: TARN_TRACE_TEXT_MAX bytes at most, or NULL. */
void tarn__trace_log(struct tarn_region *region, uint32_t kind, const struct tarn__object *object,
		     uint64_t a, uint64_t b, const char *text);
/* Of an entry that goes: log no more if it is what is logged to. The region lock is held. */
void tarn__trace_unname(struct tarn_region *region, uint32_t index);
/* The handle is closed. */
void tarn__trace_free(struct tarn_region *region);
int tarn__trace_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *where, tarn_report_fn *fn, void *arg);
/* I2 */
void tarn__trace_check_word(struct tarn__audit *audit, struct tarn_region *region);

static inline bool tarn__trace_is_on(const struct tarn_region *region)
{
	/* relaxed: a hint; who logs acquires it */
	return TARN__UNLIKELY(atomic_load_explicit(&region->super->trace, memory_order_relaxed) !=
			      0);
}

/* Of slow paths only: what happens here is worth an event, if it is on. */
static inline void tarn__trace(struct tarn_region *region, uint32_t kind,
			       const struct tarn__object *object, uint64_t a, uint64_t b)
{
	if (tarn__trace_is_on(region))
		tarn__trace_log(region, kind, object, a, b, NULL);
}

#endif /* TARN_REGION_TRACE_H */
