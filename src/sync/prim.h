/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prim.h - what the primitives have in common: mutex, rwlock, semaphore, condition variable,
 * barrier, event, once, spin lock, sequence lock.
 *
 * Each is an object of its region with the bytes of a section (section.h), and seats where a
 * section has its journal:
 *
 *     0 +---------------------------------------------+
 *       | magic version units flags check             |  units: how many seats; flags: kind << 16
 *    64 +---------------------------------------------+
 *       | lock state bell sleep                       |
 *   128 +---------------------------------------------+
 *       | seq tid token .. recovered .. inconsistent  |
 *   192 +---------------------------------------------+
 *       | waited .. , 8 waiters                       |  as in a section
 *   384 +---------------------------------------------+
 *       | seats of 16 bytes: id tid token value       |
 *       +---------------------------------------------+
 *
 * There are two mechanisms, and each primitive is made of one of them or of both.
 *
 * The lock: that of a section, with the same waiting, the same search for circles, the same
 * word for what is set aside. Nothing is undone when its owner dies, since nothing was logged.
 * Instead whoever takes it over says that it is inconsistent, and counts it in recovered; as long
 * as that is said everyone who locks is told -EOWNERDEAD; *_consistent() takes it back.
 *
 * Seats: a word each that names the member who sits there, 0 nobody. A permit, a read lock, a
 * place in a queue is a seat, taken and given back by one exchange, which says in the same
 * instant whose it is. There is no count that a death could leave wrong. The seat of a dead
 * member is free to whoever comes upon it. tid, token and value are written by who sits there.
 *
 * Who must wait for seats, or for state, sleeps on bell: bell changes when something was given
 * back that others may wait for. Bit 0 of sleep says that somebody sleeps, the rest of it counts
 * how often that was said, so that who finds nobody asleep clears the bit only if nobody has
 * said it since.
 *
 * Who writes what:
 *   magic .. check        the creator, before the object has a name
 *   lock, seq, tid ...    as in a section: section.h
 *   inconsistent          who has the lock
 *   state                 each kind's own: see its file
 *   aborted               counts seats of the dead that were freed; for the eye
 *   bell                  who gives something back
 *   sleep                 who is about to sleep; bit 0 is cleared by who rings
 *   seat.id               by exchange: 0 or a dead member's id -> own; own -> 0
 *   seat.tid, token       who sits there
 *   seat.value            see each kind's file
 *
 * Ordering:
 *   those of section.h
 *   B1 -> B2  what is given back, then sleep is read: tarn__prim_asleep(), seq_cst
 *   B3 -> B4  sleep is written, then what is wanted is looked at: tarn__prim_await(), seq_cst;
 *             so one of the two sees the other; tests/model/bell.pml has both
 *   T1 -> T2  tarn__seat_give() publishes what was done there; tarn__seat_sit() sees it
 *
 * Invariants (tarn__prim_check() tests them):
 *   I1  units fit the object; flags say the kind that the directory says
 *   I2  lock is 0, ASIDE, or names a member slot; so does each seat's id, which may be ASIDE
 *       where a thread may leave it behind that lives no more, or a signal: barrier, condition
 *       variable
 *   I3  while lock is 0 seq is even
 *   and each kind's own of state and value
 *
 * After a crash: see above. Whoever sleeps looks again after 10 ms at the latest, and then asks the
 * kernel whether those live who sit where it wants to.
 */
#ifndef TARN_SYNC_PRIM_H
#define TARN_SYNC_PRIM_H

#include <errno.h>

#include "sync/section.h"

#define PRIM_MAGIC   0x6d697250u /* "Prim" */
#define PRIM_VERSION 1u
#define PRIM_SEATS   4096u /* the most that one may have */

/* The kind's own flags, in the lower half of section_shm.flags. */
#define PRIM_FLAGS_MASK 0xffffu

struct seat_shm {
	_Atomic uint32_t id; /* member, 0 = free */
	_Atomic uint32_t tid;
	_Atomic uint32_t token;
	_Atomic uint32_t value;
};

static_assert(offsetof(struct seat_shm, tid) == 4, "layout");
static_assert(offsetof(struct seat_shm, token) == 8, "layout");
static_assert(offsetof(struct seat_shm, value) == 12, "layout");
static_assert(sizeof(struct seat_shm) == SECTION_UNIT, "layout");

enum {
	SEATS_A_LINE = TARN__CACHE_LINE / sizeof(struct seat_shm),
	PRIM_TRIES = 1000, /* exchanges in a row that others were faster at: a peer that does
			      nothing else must not keep us here past the deadline */
};

static_assert(offsetof(struct section_shm, journal) % TARN__CACHE_LINE == 0, "of seats");

/* Embedded at the start of each primitive's handle. */
struct prim {
	struct tarn_section sec; /* as lock.c, recover.c and deadlock.c know it; units is 0 */
	struct seat_shm *seats;
	uint32_t seat_count;
	uint32_t kind;  /* enum tarn_object_kind */
	uint32_t flags; /* the kind's own */
	uint32_t depth; /* of a recursive lock, beyond the first; written by who has it */
	/* The seat that was last taken or given back by this handle, a guess; NULL: it has none. */
	_Atomic(struct seat_shm *) last;
	_Atomic uint32_t misses; /* how often in a row spinning has not paid off */
	uint32_t lonely;         /* looks in a row in which a writer found no reader */
	struct prim *next_held;  /* by the same thread; see tarn__prim_hold() */
	/* Get the calling thread, which ends, up from its seats; NULL: it may keep them. Called for
	 * each handle once tarn__self.seated was set. */
	void (*thread_ends)(struct prim *prim);
};

/* --- prim.c -------------------------------------------------------------------------------- */

struct prim_want {
	const char *noun;
	uint32_t kind;
	uint32_t flags;
	uint32_t seats;
	uint32_t state; /* of a new one */
	bool make;
	bool any;      /* an existing one may have other flags and seats than these */
	size_t handle; /* bytes of the handle, struct prim first */
	/* What the kind has behind the seats, at the next line: so many bytes, made by init_behind.
	 * Of an existing one it is not compared. */
	uint64_t behind;
	void (*init_behind)(void *behind, uint64_t size, void *arg);
	void *arg;
	void (*thread_ends)(struct prim *prim); /* of the handle; NULL: see struct prim */
	struct tarn_diag *diag;
};

/* What tarn_section_open() returns. */
int tarn__prim_open(struct tarn_region *region, const char *name, const struct prim_want *want,
		    struct prim **ret_prim);
/* Let go of the lock, if this thread has it, as by the dead; free the handle. Accepts NULL. */
void tarn__prim_close(struct prim *prim);
/* A handle of any kind of primitive, for lock.c and deadlock.c; made on the caller's stack. */
int tarn__prim_handle(struct tarn_region *region, const struct tarn__object *object, uint32_t kind,
		      const char *name, struct prim *ret_prim, struct tarn_diag *diag);
/* NULL: no primitive */
const char *tarn__prim_noun(uint32_t kind);
/* Before anything that writes: id and thread are known. 0, or what becoming a member returns. */
int tarn__prim_ready(struct prim *prim, struct tarn_diag *diag);
static inline bool tarn__prim_is_ready(const struct prim *prim)
{
	return tarn__self.tid != 0 && id_of(&prim->sec) != 0;
}

/* --- the lock */

/* Has this thread the lock, by this handle? */
static inline bool tarn__prim_mine(const struct prim *prim)
{
	const struct prim *p = tarn__self.held;

	while (TARN__UNLIKELY(p != prim) && p != NULL)
		p = p->next_held;
	return p != NULL;
}
/* 0; -EOWNERDEAD: it is ours, too; -EDEADLK: it was ours before; and as tarn__section_lock(). */
int tarn__prim_lock(struct prim *prim, int64_t deadline, bool wait, struct tarn_diag *diag);
/* Has this thread the lock, by whichever handle? */
bool tarn__prim_held(const struct prim *prim);
/* -EOWNERDEAD while it is inconsistent, or 0. */
static inline int tarn__prim_verdict(const struct prim *prim)
{
	/* relaxed: written under the lock */
	return TARN__LIKELY(atomic_load_explicit(&prim->sec.shm->inconsistent,
						 memory_order_relaxed) == 0)
		       ? 0
		       : -EOWNERDEAD;
}
/* What became of the short way. A caller goes on with calls in its last place, and with its own
 * arguments: so it saves no register before the exchange, which waits for stores. */
enum prim_fast {
	FAST_MINE,
	FAST_NOT,
	FAST_BACK, /* ours, but not by the short way: unlock(shm, 0), then the long one */
};
/* The lock is ours: it is the one that this thread took last. False: the thread is not ready, and
 * nothing was done. */
static inline bool tarn__prim_hold(struct prim *prim, struct thread *me)
{
	/* Stored only if it is another: the next exchange waits for stores. It is never NULL, so
	 * that the same look says whether the thread is ready. */
	if (TARN__UNLIKELY(prim->next_held != me->held)) {
		if (TARN__UNLIKELY(me->held == NULL))
			return false;
		prim->next_held = me->held;
	}
	me->held = prim;
	return true;
}
/* Where it is free, and there is nothing to be told: have it. */
static inline enum prim_fast tarn__prim_lock_fast(struct prim *prim)
{
	struct thread *me = &tarn__self;
	struct section_shm *shm = prim->sec.shm;
	uint32_t seq;

	if (TARN__UNLIKELY(!tarn__prim_is_ready(prim)) ||
	    TARN__UNLIKELY(!take(shm, 0, id_of(&prim->sec))))
		return FAST_NOT;
	if (TARN__UNLIKELY(tarn__prim_verdict(prim) < 0) ||
	    TARN__UNLIKELY(!tarn__section_start(shm, me, &seq)))
		return FAST_BACK;
	(void)tarn__prim_hold(prim, me); /* it is ready */
	return FAST_MINE;
}
void tarn__prim_forget(struct prim *prim); /* not the one locked last */
static inline void tarn__prim_drop(struct prim *prim)
{
	if (TARN__LIKELY(tarn__self.held == prim))
		tarn__self.held = prim->next_held;
	else
		tarn__prim_forget(prim);
}
/* The lock is ours, and forgotten: give it back. Does somebody sleep on its word? */
static inline bool tarn__prim_let_go(struct prim *prim)
{
	struct section_shm *shm = prim->sec.shm;

	/* relaxed: written under the lock, which is ours */
	settle(shm, atomic_load_explicit(&shm->seq, memory_order_relaxed) | 1);
	/* relaxed: published by unlock(); if we die before, by whoever takes our place */
	atomic_store_explicit(&shm->tid, 0, memory_order_relaxed);
	return unlock_asleep(shm, 0);
}
/* The lock is ours. */
static inline void tarn__prim_unlock(struct prim *prim)
{
	tarn__prim_drop(prim);
	if (TARN__UNLIKELY(tarn__prim_let_go(prim)))
		tarn__section_wake(prim->sec.shm, 1);
}
/* -EOWNERDEAD, in words: it is ours, and what it guards may be half changed. */
int tarn__prim_say_died(struct prim *prim, struct tarn_diag *diag);
/* "NOUN NAME: process, thread DOES", for member @id. @r. */
int tarn__prim_say_who(struct prim *prim, int r, uint32_t id, uint32_t tid, const char *does,
		       struct tarn_diag *diag);
/* The lock is ours: it is consistent. */
void tarn__prim_answer(struct prim *prim);
/* The thread ends: others get what it has as from the dead. */
void tarn__prims_thread_ends(struct thread *me);

/* --- waiting */

/* One look at what is wanted. 1: it is ours; 0: not now, and @w->peer may be set to a member
 * whose death would change that; else the error. */
struct await {
	struct wait w;
	uint32_t peer;
	bool announced; /* it sleeps after this look, if that is in vain */
};
typedef int tarn__prim_try_fn(struct prim *prim, struct await *w, void *arg);

/* Try, spin, and sleep in turn. 0; -ETIMEDOUT, without words; -EIO; and the errors of @try. */
int tarn__prim_await(struct prim *prim, int64_t deadline, tarn__prim_try_fn *try, void *arg);
/* Spin, as that does, until *@word is not @value any more. False: it still was. */
bool tarn__prim_spin(struct prim *prim, const _Atomic uint32_t *word, uint32_t value);
/* Say that this thread is about to sleep; B3 -> B4, the look that follows. */
void tarn__prim_sleeps(struct section_shm *shm);
/* The same: the value of bell to sleep on. */
uint32_t tarn__prim_announce(struct section_shm *shm);
/* Does anybody say that it sleeps on the bell? */
static inline bool tarn__prim_asleep(const struct prim *prim)
{
	/* seq_cst: B2 <- B1, the caller's exchange before this */
	return (atomic_load_explicit(&prim->sec.shm->sleep, memory_order_seq_cst) & 1) != 0;
}
int tarn__prim_ring_slowly(struct prim *prim, int count);
/* Something was given back that @count may wait for. 0, for a caller that ends with this. */
static inline int tarn__prim_ring(struct prim *prim, int count)
{
	return TARN__LIKELY(!tarn__prim_asleep(prim)) ? 0 : tarn__prim_ring_slowly(prim, count);
}

/* --- seats */

/* Store @value where it is not there already: the next exchange waits for stores. */
static inline void store_other(_Atomic uint32_t *to, uint32_t value)
{
	/* relaxed, both: for the eye, or a guess */
	if (TARN__UNLIKELY(atomic_load_explicit(to, memory_order_relaxed) != value))
		atomic_store_explicit(to, value, memory_order_relaxed);
}
static inline struct seat_shm *tarn__seat_last(const struct prim *prim)
{
	/* relaxed: a guess, shared by threads */
	return atomic_load_explicit(&prim->last, memory_order_relaxed);
}
/* Its number, where there are seats. */
static inline uint32_t tarn__seat_guess(const struct prim *prim)
{
	return (uint32_t)(tarn__seat_last(prim) - prim->seats);
}
static inline void tarn__seat_keep(struct prim *prim, struct seat_shm *seat)
{
	if (TARN__UNLIKELY(tarn__seat_last(prim) != seat)) /* relaxed: as above */
		atomic_store_explicit(&prim->last, seat, memory_order_relaxed);
}
/* Sit down on the seat if it is free. */
static inline bool tarn__seat_sit(struct prim *prim, struct seat_shm *seat)
{
	uint32_t free = 0, tid = tarn__self.tid; /* before the exchange, which waits for it */

	/* seq_cst: T2 <- T1 in tarn__seat_give(), and B4 */
	if (TARN__UNLIKELY(!atomic_compare_exchange_strong_explicit(
		    &seat->id, &free, id_of(&prim->sec), memory_order_seq_cst,
		    memory_order_relaxed)))
		return false;
	store_other(&seat->tid, tid); /* for the eye */
	return true;
}
/* The same of seat @at, which may well not be free; and say which thread it is. */
static inline bool tarn__seat_take(struct prim *prim, uint32_t at, uint32_t value)
{
	struct seat_shm *seat = &prim->seats[at];

	/* relaxed: decided by the exchange */
	if (atomic_load_explicit(&seat->id, memory_order_relaxed) != 0 ||
	    !tarn__seat_sit(prim, seat))
		return false;
	store_other(&seat->token, tarn__self.token);
	store_other(&seat->value, value);
	tarn__seat_keep(prim, seat);
	return true;
}
/* Get up from the seat, if this member sits there. */
static inline bool tarn__seat_give(struct prim *prim, struct seat_shm *seat)
{
	uint32_t id = id_of(&prim->sec);

	/* seq_cst: T1 -> T2 in tarn__seat_sit(), and B1 */
	return atomic_compare_exchange_strong_explicit(&seat->id, &id, 0, memory_order_seq_cst,
						       memory_order_relaxed);
}
/* Is member @id, who sits somewhere, dead? @probe: ask the kernel whatever slot and beacon say. An
 * id that no member could have is that of nobody, and dead. */
bool tarn__seat_dead(struct prim *prim, uint32_t id, bool probe);
/* The seat of a dead member was freed, or taken. */
static inline void tarn__prim_freed(const struct prim *prim)
{
	tarn__count_also(&prim->sec.shm->aborted);
}
/* Any free seat, beginning with the one last used: its number, or -1. Those of the dead are freed
 * first where there is no other. */
int tarn__seat_find(struct prim *prim, bool probe, uint32_t *ret_peer);
/* Is it enough for the seats of this kind that those of the dead are freed? */
static inline bool tarn__seats_mendable(uint32_t kind)
{
	return kind == TARN_OBJECT_SEM || kind == TARN_OBJECT_RWLOCK;
}

/* --- mutex.c ------------------------------------------------------------------------------- */

struct tarn_mutex;
struct prim *tarn__mutex_prim(struct tarn_mutex *mutex);

/* --- event.c ------------------------------------------------------------------------------- */

struct tarn_event;
/* Is it set? B4 <- B3: behind saying that one sleeps. */
bool tarn__event_there(const struct tarn_event *event);

/* --- facts --------------------------------------------------------------------------------- */

int tarn__prim_check(struct tarn_region *region, const struct tarn__object *object, uint32_t kind,
		     const char *where, tarn_report_fn *fn, void *arg);

#endif /* TARN_SYNC_PRIM_H */
