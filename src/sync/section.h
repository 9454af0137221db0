/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section.h - the bytes of a section, its handle, and what its files share.
 *
 * A section is an object of its region:
 *
 *     0 +---------------------------------------------+
 *       | magic version units flags check             |  set by the creator, then constant
 *    64 +---------------------------------------------+
 *       | lock                                        |  what those who want to enter look at
 *   128 +---------------------------------------------+
 *       | seq count leader leader_seq                 |  the tx: written by who is inside
 *       | tid token aborted recovered                 |  and who that is
 *       | dirty log followed                          |  and who listens
 *   192 +---------------------------------------------+
 *       | waited seen_seq seen_lo seen_hi             |  written by those who wait
 *       +---------------------------------------------+
 *   256 | 8 waiters: id tid token inside              |
 *   384 +---------------------------------------------+
 *       | journal: units of 16 bytes                  |
 *       +---------------------------------------------+
 *
 * lock is a member id, 0 free; bit 0 says that somebody sleeps. Threads of one process have one
 * member id, and exclude each other since none of them may replace anything but 0. Which of them
 * is inside is known by the handle, in private memory; tid and token tell the others.
 *
 * seq is even when nobody is inside. Who enters makes it odd, and then the journal counts; the
 * store that makes it even again is the commit: with it the journal no longer counts, and readers
 * know that what they read before may have changed. So is the end of a rollback. Between the two,
 * count says how many units of the journal are to be undone. It is 0 when the lock is free.
 *
 * The journal is read from its end. An entry is a unit { where, old }:
 *
 *     where  63                   16 15       4 3      0
 *            | offset in the region | tag      | code   |    tag: bits 1..12 of seq
 *
 * code 0..3: old is the word of 1 << code bytes at offset. code 15: old is a size in bytes; the
 * old bytes stand in the units before this one. code 14: old is a size in bytes of what may be
 * changed without being put back, new memory; it is there for those who listen. A tag of another
 * tx makes the entry a stale one, which is damage.
 *
 * A tx over several sections has one journal, that of the section entered first, its leader. The
 * others say so: leader is the place of that section, leader_seq its seq, which is odd. As long
 * as the leader's seq is that, the fate of the tx is open; whoever finds one of the others with
 * a dead owner sees to the leader first.
 *
 * Who writes what:
 *   magic .. check     the creator, before the object has a name
 *   lock               by exchange: 0 or a dead member's id -> own; own -> 0; bit 0 by sleepers
 *   seq .. followed, journal    the owner of the lock
 *   waited .. seen_hi, waiters  whoever waits; for the eye, and to find deadlocks
 *
 * Ordering:
 *   S1 -> S2  unlock_asleep() gives the word back            take() takes it
 *   V1 -> V2  settle() makes seq even                        version_of(), leader_open() read it
 *   V3 -> V4  store_bytes(): bytes, stored after seq was odd load_bytes(), then seq again
 * Log before store, store before commit: these need only the order of one thread's
 * instructions, since a death is seen through the kernel. They are release stores for the
 * compiler's sake, and for readers'.
 *
 * Invariants (tarn__section_check() tests them):
 *   I1  units fit the object; check is the checksum of the words before it
 *   I2  lock is 0, ASIDE, or names a member slot
 *   I3  while lock is 0 seq is even, count is 0, and leader is the section itself
 *   I4  while seq is odd and leader is the section itself, count <= units, and the journal's
 *       entries lie in the heap, outside the section, with this seq's tag
 *   I5  while seq is odd and leader is another, that is a section of the region
 *
 * After a crash: lock names a dead member. The next one replaces the id with its own, and, if seq
 * is odd, undoes the journal from its end. Undoing does not change the journal, so it can be
 * done again from the start by the next one if it is killed too; making seq even ends it.
 * What fails a check before anything is undone sets the section aside: lock becomes ASIDE, and
 * everything stays as it is until tarn_section_recover().
 *
 * Who listens: dirty and log are the places (offset / 64) of a dirty map and of a change log, 0
 * where there is none. Before settle() the journal is the list of what the tx has changed,
 * complete and not yet public; whoever ends the tx marks and logs then: see listen.h. flags of the
 * header are zero, and refused otherwise.
 */
#ifndef TARN_SYNC_SECTION_H
#define TARN_SYNC_SECTION_H

#include <string.h>

#include <tarn/section.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/region.h"
#include "sync/thread.h"

#define SECTION_MAGIC   0x74636553u /* "Sect" */
#define SECTION_VERSION 1u
#define SECTION_UNIT    16u

/* Are two neighbours of four bytes, aligned to eight, stored at once, the first one lower? */
#define WIDE_STORES (UINTPTR_MAX > 0xffffffffu && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
/* Are they exchanged at once, without a library? */
#ifdef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_8
#define WIDE_SWAPS (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
#else
#define WIDE_SWAPS 0
#endif

/* section_shm.lock: set aside. A slot that no member has. */
#define LOCK_ASIDE (0x3ffu << 1)

/* codes of entries */
enum { CODE_TOUCH = 14, CODE_RANGE = 15, CODE_MASK = 15 };
#define TAG_MASK 0xfff0u

struct waiter_shm {
	_Atomic uint32_t id; /* member, 0 = no entry */
	_Atomic uint32_t tid;
	_Atomic uint32_t token;  /* whose entry it is; 0: it is being written, or was left behind */
	_Atomic uint32_t inside; /* 0: that thread is inside of nothing, so nobody waits for it */
};

struct section_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t units; /* of the journal */
	uint32_t flags; /* zero */
	uint32_t check; /* FNV-1a of the four words before it */
	uint8_t pad0[44];

	_Atomic uint32_t lock;
	_Atomic uint32_t state; /* of primitives, prim.h; 0 in a section */
	_Atomic uint32_t bell;  /* the same */
	_Atomic uint32_t sleep; /* the same */
	uint8_t pad1[48];

	_Atomic uint32_t seq;
	_Atomic uint32_t count;
	_Atomic uint32_t leader; /* offset of a section, in units of 64 bytes */
	_Atomic uint32_t leader_seq;
	_Atomic uint32_t tid; /* 0: nobody, or just coming */
	_Atomic uint32_t token;
	_Atomic uint32_t aborted;
	_Atomic uint32_t recovered;
	_Atomic uint32_t dirty;        /* offset of a dirty map, in units of 64 bytes; 0 none */
	_Atomic uint32_t log;          /* the same of a change log */
	_Atomic uint32_t followed;     /* seq of the last tx that was logged for followers, too */
	_Atomic uint32_t inconsistent; /* of primitives, prim.h; 0 in a section */
	uint8_t pad2[16];

	_Atomic uint32_t waited;
	_Atomic uint32_t seen_seq; /* what seq was ... */
	_Atomic uint32_t seen_lo;  /* ... when a waiter first saw it, CLOCK_MONOTONIC ns */
	_Atomic uint32_t seen_hi;
	uint8_t pad3[48];

	struct waiter_shm waiters[TARN_SECTION_WAITERS];
	struct tarn_tx_entry journal[];
};

static_assert(offsetof(struct section_shm, version) == 4, "layout");
static_assert(offsetof(struct section_shm, units) == 8, "layout");
static_assert(offsetof(struct section_shm, flags) == 12, "layout");
static_assert(offsetof(struct section_shm, check) == 16, "layout");
static_assert(offsetof(struct section_shm, lock) == 64, "layout");
static_assert(offsetof(struct section_shm, state) == 68, "layout");
static_assert(offsetof(struct section_shm, bell) == 72, "layout");
static_assert(offsetof(struct section_shm, sleep) == 76, "layout");
static_assert(offsetof(struct section_shm, seq) == 128, "layout");
static_assert(offsetof(struct section_shm, count) == 132, "layout");
static_assert(offsetof(struct section_shm, leader) == 136, "layout");
static_assert(offsetof(struct section_shm, leader_seq) == 140, "layout");
static_assert(offsetof(struct section_shm, tid) == 144, "layout");
static_assert(offsetof(struct section_shm, token) == 148, "layout");
static_assert(offsetof(struct section_shm, aborted) == 152, "layout");
static_assert(offsetof(struct section_shm, recovered) == 156, "layout");
static_assert(offsetof(struct section_shm, dirty) == 160, "layout");
static_assert(offsetof(struct section_shm, log) == 164, "layout");
static_assert(offsetof(struct section_shm, followed) == 168, "layout");
static_assert(offsetof(struct section_shm, inconsistent) == 172, "layout");
static_assert(offsetof(struct section_shm, waited) == 192, "layout");
static_assert(offsetof(struct section_shm, seen_seq) == 196, "layout");
static_assert(offsetof(struct section_shm, seen_lo) == 200, "layout");
static_assert(offsetof(struct section_shm, seen_hi) == 204, "layout");
static_assert(offsetof(struct section_shm, waiters) == 256, "layout");
static_assert(offsetof(struct section_shm, journal) == 384, "layout");
static_assert(offsetof(struct waiter_shm, tid) == 4, "layout");
static_assert(offsetof(struct waiter_shm, token) == 8, "layout");
static_assert(offsetof(struct waiter_shm, inside) == 12, "layout");
static_assert(sizeof(struct waiter_shm) == 16, "layout");
static_assert(offsetof(struct tarn_tx_entry, old) == 8, "layout");
static_assert(sizeof(struct tarn_tx_entry) == SECTION_UNIT, "layout");

/* A tx: embedded in the handle of its leader, and written only by the thread that is inside. */
struct tx {
	struct tarn_tx pub;             /* limit is 0 where the fast path must not go on */
	struct tarn_section *leader;    /* whose handle this is in */
	struct tarn_section *followers; /* the other sections, last entered first */
	struct tx *next_open;           /* of the same thread, in another region */
	uint32_t depth;                 /* sections entered and not left */
	int error;                      /* sticky: it is to be undone */
	bool simple;                    /* one section, no error: leave() may take the fast path */
};

/* What listens to a section, as this process knows it: held, checked. */
struct listener {
	uint32_t place; /* what the section's word said; 0: nothing is known */
	uint32_t size;  /* of the ring in bytes, or of the map in pages */
	struct tarn__object object;
};

/* Geometry is copied here once checked, and never read from the region again. */
struct tarn_section {
	struct section_shm *shm;
	_Atomic uint32_t id; /* member id; 0: an observer, or inherited over fork() */
	uint32_t units;
	uint64_t mark;      /* of pub, without the tag */
	uint64_t heap_size; /* bytes that may be read, as of the opening */
	struct tx tx;
	struct tx *in; /* the tx that it follows in; written under the lock */
	struct tarn_section *next_follower;
	bool left;                /* entered and left again, while the tx goes on */
	_Atomic uint32_t spins;   /* how long spinning lately paid off */
	struct listener map, log; /* written under the lock */
	struct tarn_region *region;
	struct tarn__object object;
	struct tarn__forkable forkable;
	const char *noun; /* "section": for words to people */
	char name[TARN_OBJECT_NAME_MAX + 1];
};

/* Our member id; another thread may be joining anew after a fork. */
static inline uint32_t id_of(const struct tarn_section *section)
{
	/* relaxed: it says nothing about anything else */
	return atomic_load_explicit(&section->id, memory_order_relaxed);
}

/* --- section.c ----------------------------------------------------------------------------- */

/* The handle of an object that is a section, made on the caller's stack. 0, -EUCLEAN, -EPROTO. */
int tarn__section_handle(struct tarn_region *region, const struct tarn__object *object,
			 const char *name, struct tarn_section *ret_section,
			 struct tarn_diag *diag);
/* The next object at or after entry @*index that is a section. False: no more. */
bool tarn__section_next(struct tarn_region *region, uint32_t *index,
			struct tarn__object *ret_object, struct entry *ret_entry);
/* The same of whatever has a lock, primitives too (prim.c): is it one, the next one, and a handle
 * of it as of a section. */
bool tarn__is_lock(uint32_t kind);
bool tarn__lock_next(struct tarn_region *region, uint32_t *index, struct tarn__object *ret_object,
		     struct entry *ret_entry);
int tarn__lock_handle(struct tarn_region *region, const struct tarn__object *object, uint32_t kind,
		      const char *name, struct tarn_section *ret_section, struct tarn_diag *diag);
/* Of a primitive whose seats are permits or read locks: free those of the dead, and of nobody. */
void tarn__lock_free_seats(struct tarn_region *region, const struct tarn__object *object,
			   uint32_t kind);
/* A handle for the section at @off of the region. 0, -ENOENT, -EUCLEAN. */
int tarn__section_at(struct tarn_region *region, uint64_t off, struct tarn_section *ret_section);
/* Bytes of the heap that are there: what the superblock says, and no more than the file has. */
uint64_t tarn__heap_size(const struct tarn_region *region);
void tarn__section_read_stat(struct tarn_section *section, struct tarn_section_stat *ret_stat);
/* A handle after fork(): a member anew. 0, -EPERM, -EUCLEAN, or as joining; @diag says. */
int tarn__section_rejoin(struct tarn_section *section, struct tarn_diag *diag);
/* The place of a section, as leader names it. */
static inline uint32_t place_of(const struct tarn_section *section)
{
	return (uint32_t)(section->object.off / TARN__CACHE_LINE);
}

/* --- lock.c -------------------------------------------------------------------------------- */

static inline bool take(struct section_shm *shm, uint32_t expected, uint32_t id)
{
	/* S2 <- S1 in unlock_asleep(): what the last owner did is visible. seq_cst for rwlock.c. */
	return atomic_compare_exchange_strong_explicit(&shm->lock, &expected, id,
						       memory_order_seq_cst, memory_order_relaxed);
}

void tarn__section_wake(struct section_shm *shm, int count);

/* Give the word back; @value is 0, or LOCK_ASIDE. Does somebody sleep on it? */
static inline bool unlock_asleep(struct section_shm *shm, uint32_t value)
{
	/* S1 -> S2 in take(): everything done inside is visible. seq_cst: B1 of prim.h. */
	uint32_t old = atomic_exchange_explicit(&shm->lock, value, memory_order_seq_cst);

	return (old & TARN__ID_FLAG) != 0;
}

static inline void unlock(struct section_shm *shm, uint32_t value)
{
	if (TARN__UNLIKELY(unlock_asleep(shm, value)))
		tarn__section_wake(shm, value == 0 ? 1 : INT32_MAX);
}

/* Wait for the lock; what a dead owner left is undone by then. What tarn_section_enter() returns;
 * @wait false: -EAGAIN instead of waiting. */
int tarn__section_lock(struct tarn_section *section, int64_t deadline, bool wait,
		       struct tarn_diag *diag);
extern int64_t tarn__section_net_ns; /* how long a sleep lasts at most */
/* Does the member live that the lock word @seen names? */
bool tarn__section_owned(struct tarn_section *section, uint32_t seen);
void tarn__section_who(struct tarn_section *section, uint32_t id, uint32_t tid,
		       struct tarn_section_who *ret_who);

/* What deadlock.c found at the last look. */
struct graph_seen {
	uint32_t sum; /* 0: nothing */
};

/* Who waits, and how it is written down; also for what waits for no section: prim.c. */
struct wait {
	struct tarn_section *section;
	int64_t deadline;
	uint32_t mine; /* our id, with bit 0 once we have slept */
	bool slept;
	bool probe; /* ask the kernel whether the owner lives, whatever its slot and beacon say */
	struct waiter_shm *place; /* where it is written down that we wait */
	int64_t since;            /* 0: it is not in the trace */
	uint32_t whom;            /* as it says there */
	struct graph_seen seen;
	struct tarn_diag *diag;
};

/* Before each sleep; @first: it is the first one of this wait. */
void tarn__wait_write_down(struct wait *w, bool first);
/* At its end: @r is what came of it. */
void tarn__wait_cross_out(struct wait *w, int r);
/* It is about to sleep for the first time, for @whom: of who waits long, the trace tells. */
void tarn__wait_begins(struct wait *w, uint32_t whom);
/* Say since when this owner was seen, if somebody has the lock. */
void tarn__wait_stamp(struct section_shm *shm, int64_t now);
/* Do slot and beacon of the member @owner say that it lives? Cheap, and a hint. */
bool tarn__section_seems_alive(const struct tarn_section *section, uint32_t owner);

/* --- tx.c ---------------------------------------------------------------------------------- */

/* Tell the others which thread is inside. */
static inline void tarn__section_sign(struct section_shm *shm, const struct thread *me)
{
#if UINTPTR_MAX > 0xffffffffu
	/* relaxed: for the eye, and for deadlock.c, which looks twice */
	atomic_store_explicit((_Atomic uint64_t *)(void *)&shm->tid, me->both,
			      memory_order_relaxed);
#else
	atomic_store_explicit(&shm->token, me->token, memory_order_relaxed);
	atomic_store_explicit(&shm->tid, me->tid, memory_order_relaxed);
#endif
}

/* The lock is ours: be inside. False if seq says that somebody else is (I3). */
static inline bool tarn__section_start(struct section_shm *shm, const struct thread *me,
				       uint32_t *ret_seq)
{
	/* relaxed: written under the lock, which is ours */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_relaxed);

	if (TARN__UNLIKELY((seq & 1) != 0))
		return false;
	tarn__section_sign(shm, me);
	/* release: with whose journal it is; the journal itself is empty */
	atomic_store_explicit(&shm->seq, seq + 1, memory_order_release);
	*ret_seq = seq + 1;
	return true;
}

/* Undo @tx, leave its sections. 0 or -ENOTRECOVERABLE. */
int tarn__tx_abort(struct tx *tx);
/* Is this thread inside of @section, by this handle? */
bool tarn__tx_inside(const struct tarn_section *section);
/* Is it inside of any section of @region? */
bool tarn__tx_under_way(const struct tarn_region *region);
/* Say that @size bytes at @at may be stored over without a log, for those who listen; an abort puts
 * nothing back there. As tarn_tx_store(). */
int tarn__tx_touch(struct tarn_tx *pub, const void *at, uint64_t size);
/* Does somebody listen to the section? It is in the line of seq. The lock is ours. */
static inline bool tarn__listened(const struct section_shm *shm)
{
#if UINTPTR_MAX > 0xffffffffu
	/* relaxed: written under the lock */
	return atomic_load_explicit((const _Atomic uint64_t *)(const void *)&shm->dirty,
				    memory_order_relaxed) != 0;
#else
	return (atomic_load_explicit(&shm->dirty, memory_order_relaxed) |
		atomic_load_explicit(&shm->log, memory_order_relaxed)) != 0;
#endif
}

/* Does somebody listen to a section of the tx @of? */
static inline bool tarn__tx_listened(const struct tx *of)
{
	if (TARN__UNLIKELY(tarn__listened(of->leader->shm)))
		return true;
	for (const struct tarn_section *s = of->followers; s != NULL; s = s->next_follower)
		if (tarn__listened(s->shm))
			return true;
	return false;
}

/*
 * The one store that commits, or ends a rollback; the journal is empty with it: the two words are
 * one where a store of 8 bytes is one. A store less is what makes leaving as fast as a plain mutex.
 */
static inline void settle(struct section_shm *shm, uint32_t seq)
{
#if WIDE_STORES
	/* V1 -> V2 in version_of(), leader_open() */
	atomic_store_explicit((_Atomic uint64_t *)(void *)&shm->seq, (uint32_t)(seq + 1),
			      memory_order_release);
#else
	/* V1 -> V2 in version_of(), leader_open() */
	atomic_store_explicit(&shm->seq, seq + 1, memory_order_release);
	/* relaxed: published by unlock(); if we die before, by whoever takes our place */
	atomic_store_explicit(&shm->count, 0, memory_order_relaxed);
#endif
}

/* --- bytes.c ------------------------------------------------------------------------------- */

/* Copy into and out of the region, in words as large as the place allows. */
void tarn__store_bytes(void *to, const void *from, size_t size);
void tarn__load_bytes(void *to, const void *from, size_t size);
/* A unit of the journal, each word of it loaded once. */
struct tarn_tx_entry tarn__load_unit(const struct tarn_tx_entry *unit);

/* The word of 1 << @code bytes at @from, which is aligned to its size. */
static inline uint64_t tarn__load_word(const void *from, uint64_t code)
{
	uint64_t value;
	uint32_t v32;
	uint16_t v16;

	switch (code) {
	case 3:
		memcpy(&value, from, sizeof(value));
		return value;
	case 2:
		memcpy(&v32, from, sizeof(v32));
		return v32;
	case 1:
		memcpy(&v16, from, sizeof(v16));
		return v16;
	default:
		return *(const unsigned char *)from;
	}
}

static inline void tarn__store_word(void *to, uint64_t code, uint64_t value)
{
	switch (code) {
	case 3:
#if UINTPTR_MAX > 0xffffffffu
		/* V3 -> V4 in tarn__load_bytes() */
		atomic_store_explicit((_Atomic uint64_t *)to, value, memory_order_release);
#else
		tarn__store_bytes(to, &value, sizeof(value));
#endif
		break;
	case 2:
		/* V3 -> V4 in tarn__load_bytes() */
		atomic_store_explicit((_Atomic uint32_t *)to, (uint32_t)value,
				      memory_order_release);
		break;
	case 1:
		/* V3 -> V4 in tarn__load_bytes() */
		atomic_store_explicit((_Atomic uint16_t *)to, (uint16_t)value,
				      memory_order_release);
		break;
	default:
		/* V3 -> V4 in tarn__load_bytes() */
		atomic_store_explicit((_Atomic unsigned char *)to, (unsigned char)value,
				      memory_order_release);
	}
}

/* --- recover.c ----------------------------------------------------------------------------- */

/* What is wrong with the journal's first @count units as those of seq @seq, and where; or NULL. */
const char *tarn__journal_fault(const struct tarn_section *section, uint32_t count, uint32_t seq,
				uint32_t *ret_unit);
/* What one entry says, checked. */
struct tarn__step {
	uint64_t off;
	uint64_t size;
	uint64_t code;
	uint64_t old;
	uint32_t data; /* of a range: the unit where its bytes begin; the next entry ends there */
};
/* The entry whose unit is @at - 1, in a region whose heap has @heap bytes. NULL, or what is wrong
 * with it. */
const char *tarn__journal_step(const struct tarn_section *section, uint64_t heap, uint32_t at,
			       uint32_t seq, struct tarn__step *ret);
/* Undo them. 0, or -EUCLEAN; if that is found before the first one, nothing was changed. */
int tarn__journal_undo(struct tarn_section *section, uint32_t count, uint32_t seq);
/* Before replacing the dead owner: is the fate of what it did known? 0; -EAGAIN: a live member
 * is about to decide it; -ENOTRECOVERABLE. */
int tarn__section_clear_leader(struct tarn_section *section);
/* The lock is ours, taken from the dead: undo what they left. 0, or -ENOTRECOVERABLE and the lock
 * is given back as LOCK_ASIDE. */
int tarn__section_roll_back(struct tarn_section *section);
/* Somebody has died who had the lock, which is ours: count that, and of a primitive say that it is
 * inconsistent. */
void tarn__count_recovered(struct section_shm *shm);

/* --- listen.c, dirty.c: under the lock of the section, but for the last two ----------------- */

/* The stores are made, the commit is not: mark and log them. */
void tarn__listen_commit(struct tarn_section *leader, struct tarn_section *followers);
/* They are undone, and that is not final yet. @whole: all of them were. */
void tarn__listen_undone(struct tarn_section *leader, uint32_t count, uint32_t seq, bool whole);
/* seq was settled: what was logged for that can be read. */
void tarn__listen_publish(struct tarn_section *section);
/* Of a tx whose fate is not known. */
void tarn__listen_unknown(struct tarn_section *section);
/* The place of the region's dirty map, 0 none; under the region lock. */
uint32_t tarn__dirty_place(const struct tarn_region *region);
/* Forget the listeners, and give up the holds on them. */
void tarn__listen_drop(struct tarn_section *section);

/* --- deadlock.c ---------------------------------------------------------------------------- */

/* Does waiting for @section close a circle, for the second look in a row? -EDEADLK with the circle
 * in @diag, or 0. */
int tarn__section_deadlock(struct tarn_section *section, struct graph_seen *seen,
			   struct tarn_diag *diag);

/* --- section_check.c ----------------------------------------------------------------------- */

int tarn__section_check(struct tarn_region *region, const struct tarn__object *object,
			const char *where, tarn_report_fn *fn, void *arg);
/* The field of the header that breaks I1, or NULL. @size: of the object. */
const char *tarn__section_fault(const struct section_shm *shm, uint64_t size);
uint32_t tarn__section_header_check(const struct section_shm *shm);

#endif /* TARN_SYNC_SECTION_H */
