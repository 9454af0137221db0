/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.h - what listens to sections: the change log of one, the dirty map of a region.
 *
 * Both are objects of the region. A section's words dirty and log (section.h) are their places;
 * 0 is none, and that is all that a section without listeners ever looks at.
 *
 *   log      0 +-------------------------------------------+
 *              | magic version size section check          |  set by the creator, then constant
 *           64 +-------------------------------------------+
 *              | reserve head pending pending_seq          |  who has the section's lock
 *              | txs lost                                  |
 *          128 +-------------------------------------------+
 *              | asleep                                    |  readers that are members
 *          192 +-------------------------------------------+
 *              | size bytes, a power of two: a ring        |
 *              +-------------------------------------------+
 *
 *   map      0 +-------------------------------------------+
 *              | magic version pages check                 |  set by the creator, then constant
 *           64 +-------------------------------------------+
 *              | a byte a page of 4096 bytes of the region |  1 by who ends a tx, 0 by the taker
 *              +-------------------------------------------+
 *
 * A position counts the bytes that were ever logged; its place is 192 + position mod size. It is
 * 64 bits wide, in two words: the high one is stored first and loaded last, so that who reads in
 * between takes it for further than it is, never for less. What is logged of a tx is
 *
 *     at | size | version | count | flags | 0     32 bytes; at is its own position
 *     off | size | 0 | new bytes, padded to 8      count times
 *
 * from the journal of the tx, at its end: every entry there names bytes that were changed, and
 * by then they are what they will be. The same bytes may be named more than once. A tx that is
 * larger than the log, or whose journal was damaged by somebody, is logged as lost: its readers
 * must begin anew from what the section guards.
 *
 * How a tx gets into the log, by the one who is inside (tx.c, recover.c):
 *
 *     stores ... leave
 *     mark the pages of the map
 *     reserve     nobody may trust what lies a ring's length before it
 *     the bytes, behind head
 *     pending     what head will be, then pending_seq: the seq that the commit makes
 *     seq         the commit
 *     head        = pending; wake
 *
 * A tx over several sections is logged whole in the log of each of them that has one, with its own
 * version, before the leader's seq decides about all.
 *
 * Who writes what:
 *   reserve .. lost, ring   who has the section's lock; pending_seq of a follower's log also
 *                           whoever rolls its leader back, while both owners are dead
 *   asleep                  readers; cleared by the writer
 *   pages                   anybody who ends a tx; the taker
 *
 * Ordering:
 *   P1 -> P2  show() stores head                          tarn_changes_next(): the tx is whole
 *   P3 -> P4  reserve() is stored before the ring is      get(): bytes of the next round come with
 *             written                                      the reserve that gives them away
 *   P5 <> P6  show() exchanges head, looks at asleep      tarn_changes_wait() sets asleep, looks at
 *                                                         head
 *   M1 -> M2  mark() after the tx's stores, or after      tarn_dirty_take(): whoever copies the
 *             they were undone                            page now has them
 * Marks are exchanged, not stored, so that one taken together is taken with the stores of all.
 *
 * Invariants (tarn__changes_check(), tarn__dirty_check()):
 *   C1  size is a power of two, 1024 to 2^30, and fits the object; check is the words' checksum
 *   C2  head <= reserve <= head + size
 *   C3  while nobody is inside and pending_seq is the section's seq, pending is head
 *   C4  pages is what max_size of the region takes, and fits the object; each byte is 0 or 1
 *
 * After a crash: between pending_seq and the commit, seq is odd, and whoever rolls back sets
 * pending_seq to PENDING_NONE before it ends that by the same seq. Between the commit and head,
 * the lock names a dead member, and seq is pending_seq: who takes the lock stores head. A
 * follower's log waits for its leader: if that is rolled back, the followers' pending_seq go
 * first (rule 3 of the README lets it be done again); so one that is still there when the
 * leader's seq has moved on belongs to a tx that was committed. Marks that were not made in time
 * are made by who rolls back.
 *
 * Trust: words of a section that name no such object are ignored and set to 0. Positions choose a
 * place in the ring, whatever they are; sizes are checked against the handle's.
 */
#ifndef TARN_SYNC_LISTEN_H
#define TARN_SYNC_LISTEN_H

#include <tarn/changes.h>

#include "sync/section.h"

#define CHANGES_MAGIC   0x676e6843u /* "Chng" */
#define CHANGES_VERSION 1u
#define DIRTY_MAGIC     0x74726944u /* "Dirt" */
#define DIRTY_VERSION   1u

#define CHANGES_MIN  UINT64_C(1024)
#define CHANGES_MAX  (UINT64_C(1) << 30)
#define PENDING_NONE 1u /* no seq: those are even */
#define CHANGE_LOST  1u /* change_tx_shm.flags: resync */

/* A position: two words. */
struct place_shm {
	_Atomic uint32_t lo;
	_Atomic uint32_t hi;
};

struct changes_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t size;
	uint32_t section; /* its place: offset / 64 */
	uint32_t check;   /* FNV-1a of the words before it */
	uint8_t pad0[44];

	struct place_shm reserve;
	struct place_shm head;
	struct place_shm pending;
	_Atomic uint32_t pending_seq;
	_Atomic uint32_t txs; /* logged; modulo 2^32 */
	_Atomic uint32_t lost;
	uint8_t pad1[28];

	_Atomic uint32_t asleep;
	uint8_t pad2[60];
	unsigned char ring[];
};

struct change_tx_shm {
	uint64_t at;
	uint32_t size; /* with this header */
	uint32_t version;
	uint32_t count;
	uint32_t flags;
	uint64_t zero;
};

struct change_shm {
	uint64_t off;
	uint32_t size;
	uint32_t zero;
	/* bytes, padded to 8 */
};

struct dirty_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t pages;
	uint32_t check; /* FNV-1a of the words before it */
	uint8_t pad[48];
	_Atomic uint8_t marks[];
};

static_assert(offsetof(struct changes_shm, version) == 4, "layout");
static_assert(offsetof(struct changes_shm, size) == 8, "layout");
static_assert(offsetof(struct changes_shm, section) == 12, "layout");
static_assert(offsetof(struct changes_shm, check) == 16, "layout");
static_assert(offsetof(struct changes_shm, reserve) == 64, "layout");
static_assert(offsetof(struct changes_shm, head) == 72, "layout");
static_assert(offsetof(struct changes_shm, pending) == 80, "layout");
static_assert(offsetof(struct changes_shm, pending_seq) == 88, "layout");
static_assert(offsetof(struct changes_shm, txs) == 92, "layout");
static_assert(offsetof(struct changes_shm, lost) == 96, "layout");
static_assert(offsetof(struct changes_shm, asleep) == 128, "layout");
static_assert(offsetof(struct changes_shm, ring) == 192, "layout");
static_assert(offsetof(struct place_shm, hi) == 4, "layout");
static_assert(offsetof(struct change_tx_shm, size) == 8, "layout");
static_assert(offsetof(struct change_tx_shm, version) == 12, "layout");
static_assert(offsetof(struct change_tx_shm, count) == 16, "layout");
static_assert(offsetof(struct change_tx_shm, flags) == 20, "layout");
static_assert(sizeof(struct change_tx_shm) == 32, "layout");
static_assert(offsetof(struct change_shm, size) == 8, "layout");
static_assert(sizeof(struct change_shm) == 16, "layout");
static_assert(offsetof(struct dirty_shm, version) == 4, "layout");
static_assert(offsetof(struct dirty_shm, pages) == 8, "layout");
static_assert(offsetof(struct dirty_shm, check) == 12, "layout");
static_assert(offsetof(struct dirty_shm, marks) == 64, "layout");

static inline uint64_t place_load(const struct place_shm *place)
{
	/* acquire, both: P2 <- P1 in show(), P4 <- P3 in reserve(); the low word first */
	uint64_t lo = atomic_load_explicit(&place->lo, memory_order_acquire);

	return (uint64_t)atomic_load_explicit(&place->hi, memory_order_acquire) << 32 | lo;
}

static inline struct changes_shm *log_of(const struct listener *log)
{
	return (struct changes_shm *)(void *)log->object.base;
}

/* --- listen.c: the side of who ends a tx ----------------------------------------------------- */

/* The object of @kind that lies at @place, held; @size and more of it: checked. 0, -ENOENT. */
int tarn__listener_find(struct tarn_region *region, uint32_t place, uint32_t kind,
			struct listener *ret_listener);
/* Give its hold up, and forget it. */
void tarn__listener_drop(struct tarn_region *region, struct listener *listener);
/* The log of @section, whose lock is ours; NULL: none. A word that names none becomes 0. */
struct listener *tarn__listen_log(struct tarn_section *section);
/* Say in the log that something was not logged. The lock is ours. */
void tarn__listen_lost(const struct listener *log, uint32_t version);
/* head becomes pending; wake those who wait for that. */
void tarn__listen_show(const struct listener *log);

struct tarn_changes {
	struct changes_shm *shm;
	struct tarn_region *region;
	struct listener log; /* place and size, checked; object, held if we are a member */
	const struct section_shm *section; /* NULL: it is gone */
	uint32_t section_index;
	uint32_t section_state;
	uint64_t pos;
	uint64_t overruns;
	unsigned char *tx; /* the one that was read last, without its header */
	uint32_t tx_room;  /* bytes of that memory */
	uint32_t tx_size;  /* bytes of the tx */
	uint32_t each;     /* of them, given out */
	bool observer;
};

struct tarn_dirty {
	struct dirty_shm *shm;
	struct tarn_region *region;
	struct listener map; /* held */
};

/* --- changes.c, dirty.c ---------------------------------------------------------------------- */

uint32_t tarn__changes_header_check(const struct changes_shm *shm);
uint32_t tarn__dirty_header_check(const struct dirty_shm *shm);
/* The field of the header that breaks C1, C4, or NULL. */
const char *tarn__changes_fault(const struct changes_shm *shm, uint64_t size);
const char *tarn__dirty_fault(const struct tarn_region *region, const struct dirty_shm *shm,
			      uint64_t size);
/* Bytes of the region's dirty map, and how many pages it has marks for. */
uint32_t tarn__dirty_pages(const struct tarn_region *region);
int tarn__changes_check(struct tarn_region *region, const struct tarn__object *object,
			const char *where, tarn_report_fn *fn, void *arg);
int tarn__dirty_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *where, tarn_report_fn *fn, void *arg);

#endif /* TARN_SYNC_LISTEN_H */
