/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rwlock.c - the lock of prim.h for the writer, a seat for each reader.
 *
 *     lock       the writer, from when it waits for the readers to leave
 *     state      nobody reads on a seat from this one on: how far a writer looks
 *     seat       a reader; value: how many times more than once it reads
 *
 * A reader sits down, then looks whether there is a writer; a writer takes the lock, then looks who
 * sits. So one of the two sees the other, and it is the reader that gets up again.
 *
 * Who sits and finds no writer sees to it that its seat's number is below state, and looks again;
 * then it reads. A writer that has the lock, and has found every seat empty for some time, lowers
 * state, lest it look for ever at seats of long ago. Who sits down after that look finds the
 * writer, or the state that it has left.
 *
 * Who waits for what:
 *   a writer for a writer   on lock, as in a section
 *   a writer for a reader   on the id of its seat; who gets up and sees a lock wakes it there.
 *                           Asleep it is one of the waiters, beside its own id in lock
 *   a reader for a writer   on bell, which the writer's unlock rings for all; as other writers do
 *                           it says in lock that it is to be woken: an unlock looks no further
 *   a reader for a seat     on bell, which who gets up rings for one. That one sits, or finds a
 *                           writer: it is then the one that says so in lock
 *
 * Ordering, besides that of prim.h:
 *   R1 -> R2  a reader has its seat, or gives it back, and looks at lock; a writer has lock,
 *             and looks at state and at seats; all by seq_cst
 *   R3 -> R4  a writer that lowers state has seen the seats before, and unlocks after; a reader
 *             that has its seat looks at lock, then at state
 * A reader gives its seat back as prim.h says, and so a writer that finds it empty may write.
 *
 * After a crash: a dead reader's seat is freed by the writer, or by a reader that finds no other. A
 * dead writer's lock is taken by the next writer, or by a reader, which settles what a section
 * would roll back, so that recovered says it, and unlocks at once.
 *
 * id and tid of a seat are taken and given back at once, and so a thread knows its own by them.
 * One that was taken from the dead is free, and still has the tid. Where four bytes are the most
 * that is exchanged at once, tid is stored after id was taken, and is 0 before it is given back.
 */
#include <errno.h>
#include <inttypes.h>

#include <tarn/rwlock.h>

#include "region/trace.h"
#include "sync/prim.h"

enum {
	READERS = 64,
	LONELY = 64, /* looks at all seats in vain before a writer looks at the first alone */
};

static_assert(TARN_RWLOCK_READERS_MAX == PRIM_SEATS, "as documented");

struct tarn_rwlock {
	struct prim prim;
};

static inline uint32_t lock_of(const struct prim *prim)
{
	/* seq_cst: R1 -> R2, behind the exchange that took or gave the seat */
	return atomic_load_explicit(&prim->sec.shm->lock, memory_order_seq_cst);
}

/* --- seats --------------------------------------------------------------------------------- */

/* How many seats a writer has to look at. */
static inline uint32_t seats_used(const struct prim *prim)
{
	/* seq_cst: R2 <- R1, for a writer; to others it is a guess */
	uint32_t used = atomic_load_explicit(&prim->sec.shm->state, memory_order_seq_cst);

	return used < prim->seat_count ? used : prim->seat_count;
}

static void use_seat(struct prim *prim, uint32_t at)
{
	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* relaxed: decided by the exchange */
	uint32_t used = atomic_load_explicit(state, memory_order_relaxed);

	while (used <= at && /* seq_cst: before lock is looked at, R1 -> R2 */
	       !atomic_compare_exchange_weak_explicit(state, &used, at + 1, memory_order_seq_cst,
						      memory_order_relaxed))
		;
}

static inline bool sits(const struct prim *prim, uint32_t at)
{
	const struct seat_shm *seat = &prim->seats[at];

	/* relaxed, both: only this thread could have made it so */
	return atomic_load_explicit(&seat->tid, memory_order_relaxed) == tarn__self.tid &&
	       atomic_load_explicit(&seat->id, memory_order_relaxed) == id_of(&prim->sec);
}

#if WIDE_SWAPS
static inline bool swap_both(struct seat_shm *seat, uint64_t *seen, uint64_t value)
{
	/* seq_cst: R1 -> R2 */
	return atomic_compare_exchange_strong_explicit((_Atomic uint64_t *)(void *)&seat->id, seen,
						       value, memory_order_seq_cst,
						       memory_order_relaxed);
}

static inline bool take_seat(struct seat_shm *seat, uint32_t id)
{
	uint64_t seen = 0, mine = (uint64_t)tarn__self.tid << 32 | id;

	return TARN__LIKELY(swap_both(seat, &seen, mine)) ||
	       ((uint32_t)seen == 0 && swap_both(seat, &seen, mine));
}

/* False: it is not this thread's. */
static inline bool give_seat(struct seat_shm *seat, uint32_t id)
{
	uint64_t mine = (uint64_t)tarn__self.tid << 32 | id;

	return swap_both(seat, &mine, 0);
}
#else
static inline bool take_seat(struct seat_shm *seat, uint32_t id)
{
	uint32_t free = 0;

	/* seq_cst: R1 -> R2 */
	if (!atomic_compare_exchange_strong_explicit(&seat->id, &free, id, memory_order_seq_cst,
						     memory_order_relaxed))
		return false;
	/* relaxed: for this thread, and for the eye */
	atomic_store_explicit(&seat->tid, tarn__self.tid, memory_order_relaxed);
	return true;
}

static inline bool give_seat(struct seat_shm *seat, uint32_t id)
{
	/* relaxed, both: only this thread could have made it so */
	if (atomic_load_explicit(&seat->tid, memory_order_relaxed) != tarn__self.tid ||
	    atomic_load_explicit(&seat->id, memory_order_relaxed) != id)
		return false;
	/* relaxed: published with the seat */
	atomic_store_explicit(&seat->tid, 0, memory_order_relaxed);
	/* seq_cst: R1 -> R2 */
	return atomic_compare_exchange_strong_explicit(&seat->id, &id, 0, memory_order_seq_cst,
						       memory_order_relaxed);
}
#endif

/* The seat of this thread, or -1. */
static int own_seat(const struct prim *prim)
{
	if (!tarn__prim_is_ready(prim))
		return -1;
	for (uint32_t at = 0; at < seats_used(prim); at++)
		if (sits(prim, at))
			return (int)at;
	return -1;
}

/* Sit down on seat @at, which counts as used, if it is free. */
static inline bool sit_down(struct prim *prim, uint32_t at)
{
	struct seat_shm *seat = &prim->seats[at];

	if (TARN__UNLIKELY(!take_seat(seat, id_of(&prim->sec))))
		return false;
	store_other(&seat->value, 0);
	return true;
}

/* Any seat, which from now on is the one that this thread had last. */
static bool sit_down_anew(struct prim *prim, uint32_t at)
{
	tarn__self.seated = true;
	tarn__self.seat = at + 1;
	return sit_down(prim, at);
}

/* This thread sits there: does it read? Else there is a writer, which may have overlooked it. */
static inline bool may_stay(struct prim *prim, uint32_t at)
{
	while (TARN__LIKELY(lock_of(prim) == 0)) {
		/* seq_cst: R4 <- R3, after lock */
		if (TARN__LIKELY(atomic_load_explicit(&prim->sec.shm->state, memory_order_seq_cst) >
				 at))
			return true;
		use_seat(prim, at);
	}
	return false;
}

__attribute__((noinline)) static int wake_writer(struct prim *prim, struct seat_shm *seat)
{
	(void)tarn__plat_futex_wake(&seat->id, 1);
	return tarn__prim_ring(prim, 1);
}

/* Seat @at was given back. 0, for a caller that ends with this, as the others of this kind: it
 * saves no register. */
static inline int left(struct prim *prim, uint32_t at)
{
	/* R1: a writer that comes later finds the seat empty */
	return TARN__LIKELY(lock_of(prim) == 0) ? tarn__prim_ring(prim, 1)
						: wake_writer(prim, &prim->seats[at]);
}

/* From a seat of this thread's. */
static inline int get_up(struct prim *prim, uint32_t at)
{
	(void)give_seat(&prim->seats[at], id_of(&prim->sec));
	return left(prim, at);
}

/* All that this thread reads. */
static void get_up_for_good(struct prim *prim)
{
	for (int at = own_seat(prim); at >= 0; at = own_seat(prim))
		(void)get_up(prim, (uint32_t)at);
}

/* A writer, and all readers. */
__attribute__((noinline)) static int wake_all(struct prim *prim)
{
	tarn__section_wake(prim->sec.shm, 1);
	return tarn__prim_ring(prim, INT32_MAX);
}

static inline int stop_writing(struct prim *prim)
{
	tarn__prim_drop(prim);
	return TARN__LIKELY(!tarn__prim_let_go(prim)) ? 0 : wake_all(prim);
}

/* --- open ---------------------------------------------------------------------------------- */

int tarn_rwlock_open(struct tarn_region *region, const char *name,
		     const struct tarn_rwlock_opts *opts, struct tarn_rwlock **ret_lock)
{
	struct prim_want want = { .kind = TARN_OBJECT_RWLOCK,
				  .handle = sizeof(**ret_lock),
				  .thread_ends = get_up_for_good };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if (opts->readers > TARN_RWLOCK_READERS_MAX || opts->pad != 0 ||
		    opts->reserved[0] != 0 || opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL,
					  "rwlock %s: %" PRIu32 " readers: 1 to %u are possible, "
					  "and reserved options are zero",
					  name, opts->readers, TARN_RWLOCK_READERS_MAX);
		want.make = true;
		want.seats = opts->readers != 0 ? opts->readers : READERS;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r < 0)
		return r;
	/* Seats are taken from the first one on: that is how far a writer looks. */
	atomic_init(&prim->last, prim->seats);
	*ret_lock = (struct tarn_rwlock *)prim;
	return 0;
}

void tarn_rwlock_close(struct tarn_rwlock *lock)
{
	if (lock == NULL)
		return;
	get_up_for_good(&lock->prim);
	tarn__prim_close(&lock->prim);
}

/* --- words --------------------------------------------------------------------------------- */

/* Why there was no lock for a reader. */
static int reader_words(struct prim *prim, int r, struct tarn_diag *diag)
{
	uint32_t owner = lock_of(prim) & ~TARN__ID_FLAG;
	/* relaxed: for the eye */
	uint32_t tid = atomic_load_explicit(&prim->sec.shm->tid, memory_order_relaxed);

	if (diag == NULL || r == -EDEADLK)
		return r;
	if (r == -ENOTRECOVERABLE || r == -EUCLEAN) {
		tarn__diag(diag, r, "rwlock %s: its lock word %s", prim->sec.name,
			   r == -EUCLEAN ? "names nobody" : "is set aside");
		tarn__diag_hint(diag, "tarn_section_recover(), or tarn recover");
		return r;
	}
	if (r != -ETIMEDOUT && r != -EAGAIN)
		return tarn__diag(diag, r, "rwlock %s: %s", prim->sec.name, strerror(-r));
	if (owner != 0)
		return tarn__prim_say_who(prim, r, owner, tid, "writes, or waits to", diag);
	tarn__diag(diag, r, "rwlock %s: all of its %" PRIu32 " seats for readers are taken",
		   prim->sec.name, prim->seat_count);
	tarn__diag_hint(diag, "create it with room for more (tarn_rwlock_opts.readers)");
	return r;
}

__attribute__((noinline)) static int owner_died(struct prim *prim, struct tarn_diag *diag)
{
	tarn__diag(diag, -EOWNERDEAD,
		   "rwlock %s is locked; a writer of it has died, and what it guards may be half "
		   "changed",
		   prim->sec.name);
	tarn__diag_hint(diag, "write: mend it, and say that it is consistent");
	return -EOWNERDEAD;
}

/* It is locked. */
static inline int verdict(struct prim *prim, struct tarn_diag *diag)
{
	return TARN__LIKELY(tarn__prim_verdict(prim) == 0) ? 0 : owner_died(prim, diag);
}

/* --- read ---------------------------------------------------------------------------------- */

/* 1: wait for the writer that there is; 0: look again; else the error. */
static int look_at_writer(struct prim *prim, struct await *w, uint32_t seen, struct tarn_diag *diag)
{
	struct tarn_section *sec = &prim->sec;
	uint32_t owner = seen & ~TARN__ID_FLAG;
	int r;

	if (owner == LOCK_ASIDE)
		return -ENOTRECOVERABLE;
	if (tarn__id_slot(owner) >= sec->region->member_max)
		return -EUCLEAN; /* I2 */
	if ((!w->w.probe && tarn__section_seems_alive(sec, owner)) ||
	    tarn__section_owned(sec, seen)) {
		w->peer = owner;
		if (w->announced && (seen & TARN__ID_FLAG) == 0 &&
		    !take(sec->shm, seen, seen | TARN__ID_FLAG))
			return 0;
		r = w->w.slept ? tarn__section_deadlock(sec, &w->w.seen, diag) : 0;
		return r < 0 ? r : 1;
	}
	if (!take(sec->shm, seen, id_of(sec) | (seen & TARN__ID_FLAG)))
		return 0;
	r = tarn__section_roll_back(sec);
	if (r < 0)
		return r;
	unlock(sec->shm, 0);
	tarn__prim_ring(prim, INT32_MAX);
	return 0;
}

/* 1: this thread reads; 0: not now. */
static int try_read(struct prim *prim, struct await *w, void *arg)
{
	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		uint32_t seen = lock_of(prim);
		int r = seen != 0 ? look_at_writer(prim, w, seen, arg) : 0, at;

		if (r != 0)
			return r < 0 ? r : 0;
		if (seen != 0)
			continue;
		at = tarn__seat_find(prim, w->w.probe, &w->peer);
		if (at < 0)
			return 0;
		if (!sit_down_anew(prim, (uint32_t)at))
			continue;
		if (may_stay(prim, (uint32_t)at))
			return 1;
		(void)get_up(prim, (uint32_t)at);
	}
	return 0;
}

__attribute__((noinline)) static int read_slowly(struct prim *prim, int64_t deadline, bool wait,
						 struct tarn_diag *diag)
{
	struct await once = { .w = { .section = &prim->sec, .probe = true } };
	int r = tarn__prim_ready(prim, diag), at;

	if (r < 0)
		return r;
	if (tarn__prim_held(prim))
		return tarn__diag(diag, -EDEADLK, "this thread writes under rwlock %s already",
				  prim->sec.name);
	at = tarn__self.seated ? own_seat(prim) : -1;
	if (at >= 0) { /* relaxed: only this thread counts there */
		atomic_fetch_add_explicit(&prim->seats[at].value, 1, memory_order_relaxed);
		return verdict(prim, diag);
	}
	if (wait) {
		r = tarn__prim_await(prim, deadline, try_read, diag);
	} else {
		r = try_read(prim, &once, diag);
		r = r < 0 ? r : r == 1 ? 0 : -EAGAIN;
	}
	return r < 0 ? reader_words(prim, r, diag) : verdict(prim, diag);
}

/* It sat down, and there is a writer. */
__attribute__((noinline)) static int read_later(struct prim *prim, int64_t deadline, bool wait,
						struct tarn_diag *diag)
{
	(void)get_up(prim, tarn__self.seat - 1);
	return read_slowly(prim, deadline, wait, diag);
}

/* The seat that this thread had last, if nobody sits there and nobody writes. */
static TARN__ALWAYS_INLINE int read_lock(struct prim *prim, int64_t deadline, bool wait,
					 struct tarn_diag *diag)
{
	uint32_t at = tarn__self.seat - 1; /* of a thread that is not ready, beyond all */

	if (TARN__UNLIKELY(id_of(&prim->sec) == 0) || TARN__UNLIKELY(at >= prim->seat_count) ||
	    TARN__UNLIKELY(lock_of(prim) != 0) || TARN__UNLIKELY(!sit_down(prim, at)))
		return read_slowly(prim, deadline, wait, diag);
	if (TARN__UNLIKELY(!may_stay(prim, at)))
		return read_later(prim, deadline, wait, diag);
	return verdict(prim, diag);
}

int tarn_rwlock_read(struct tarn_rwlock *lock, int64_t deadline, struct tarn_diag *diag)
{
	return read_lock(&lock->prim, deadline, true, diag);
}

int tarn_rwlock_try_read(struct tarn_rwlock *lock, struct tarn_diag *diag)
{
	return read_lock(&lock->prim, INT64_MIN, false, diag);
}

/* --- write --------------------------------------------------------------------------------- */

/* Who sits on seat @at now. Nobody: what was read there was read before. */
static inline uint32_t sitter(const struct prim *prim, uint32_t at)
{
	/* seq_cst: R2 <- R1 */
	return atomic_load_explicit(&prim->seats[at].id, memory_order_seq_cst);
}

/* Free the seat if @id, who sits there, is dead. */
static bool bury(struct prim *prim, uint32_t at, uint32_t id, bool probe)
{
	if (!tarn__seat_dead(prim, id, probe))
		return false;
	/* seq_cst: B1 -> B2; somebody may wait for a seat */
	if (atomic_compare_exchange_strong_explicit(&prim->seats[at].id, &id, 0,
						    memory_order_seq_cst, memory_order_relaxed)) {
		/* relaxed: for the eye */
		atomic_fetch_add_explicit(&prim->sec.shm->aborted, 1, memory_order_relaxed);
		tarn__trace(prim->sec.region, TARN_TRACE_OWNER_DEAD, &prim->sec.object, id, 0);
		(void)tarn__prim_ring(prim, 1);
	}
	return true;
}

/* Wait until nobody sits on seat @at. 0, -EAGAIN, -ETIMEDOUT, -EIO. */
__attribute__((noinline)) static int drain_seat(struct prim *prim, uint32_t at, int64_t deadline,
						bool wait)
{
	struct tarn_region *region = prim->sec.region;
	struct wait w = { .section = &prim->sec };
	bool probe = !wait;
	uint32_t id;
	int r = 0;

	/* A reader may be about to leave. */
	id = sitter(prim, at);
	if (wait && id != 0)
		(void)tarn__prim_spin(prim, &prim->seats[at].id, id);
	for (id = sitter(prim, at); id != 0 && r == 0; id = sitter(prim, at)) {
		int64_t now = tarn__plat_now(), slice = now + tarn__section_net_ns;

		if (bury(prim, at, id, probe || now >= deadline))
			continue;
		if (TARN__UNLIKELY(tarn_segment_damaged(region->seg)))
			r = -EIO;
		else if (!wait || now >= deadline)
			r = wait ? -ETIMEDOUT : -EAGAIN;
		if (r < 0)
			break;
		if (!w.slept)
			tarn__wait_begins(&w, id);
		tarn__wait_write_down(&w, !w.slept);
		w.slept = true;
		r = tarn__region_sleep(region, &prim->seats[at].id, id, id,
				       slice < deadline ? slice : deadline);
		probe = tarn__plat_now() >= slice;
		r = r == -ETIMEDOUT ? 0 : r;
	}
	tarn__wait_cross_out(&w, r);
	return r;
}

/* The lock is ours: wait until nobody reads. As above, or -EDEADLK: this thread reads; *@ret_at:
 * who does. */
static int drain(struct prim *prim, int64_t deadline, bool wait, uint32_t *ret_at)
{
	uint32_t used = seats_used(prim);
	int r = tarn__self.seated && own_seat(prim) >= 0 ? -EDEADLK : 0;

	for (uint32_t at = 0; at < used && r == 0; at++) {
		*ret_at = at;
		if (sitter(prim, at) != 0)
			r = drain_seat(prim, at, deadline, wait);
	}
	return r;
}

/* The lock is ours. On any seat; by lines, since there may be many. Nobody, often enough: look at
 * the first alone from now on. */
__attribute__((noinline)) static bool others_sit(struct prim *prim)
{
	uint32_t used = seats_used(prim), at = 0;

	for (; at + SEATS_A_LINE <= used; at += SEATS_A_LINE)
		if (TARN__UNLIKELY((sitter(prim, at) | sitter(prim, at + 1) | sitter(prim, at + 2) |
				    sitter(prim, at + 3)) != 0))
			return true;
	for (; at < used; at++)
		if (TARN__UNLIKELY(sitter(prim, at) != 0))
			return true;
	if (TARN__UNLIKELY(++prim->lonely >= LONELY)) {
		prim->lonely = 0;
		/* relaxed: R3 -> R4, published by unlock() */
		atomic_store_explicit(&prim->sec.shm->state, 1, memory_order_relaxed);
	}
	return false;
}

static_assert(SEATS_A_LINE == 4, "as others_sit() looks");

static inline bool anybody_sits(struct prim *prim)
{
	return TARN__UNLIKELY(sitter(prim, 0) != 0) ||
	       /* seq_cst: as in seats_used() */
	       (atomic_load_explicit(&prim->sec.shm->state, memory_order_seq_cst) > 1 &&
		others_sit(prim));
}

static int writer_words(struct prim *prim, int r, uint32_t at, struct tarn_diag *diag)
{
	const struct seat_shm *seat = &prim->seats[at];

	if (diag == NULL)
		return r;
	if (r == -EDEADLK)
		return tarn__diag(diag, r, "this thread reads under rwlock %s", prim->sec.name);
	if (r != -ETIMEDOUT && r != -EAGAIN)
		return tarn__diag(diag, r, "rwlock %s: %s", prim->sec.name, strerror(-r));
	/* relaxed, both: for the eye */
	return tarn__prim_say_who(prim, r, atomic_load_explicit(&seat->id, memory_order_relaxed),
				  atomic_load_explicit(&seat->tid, memory_order_relaxed), "reads",
				  diag);
}

/* The lock is ours, and it was said @r: others are to leave. */
__attribute__((noinline)) static int write_alone(struct prim *prim, int64_t deadline, bool wait,
						 int r, struct tarn_diag *diag)
{
	uint32_t at = 0;
	int drained = drain(prim, deadline, wait, &at);

	prim->lonely = 0;
	if (drained == 0)
		return r;
	r = writer_words(prim, drained, at, diag);
	stop_writing(prim);
	return r;
}

/* Who reads does not wait for a writer, who waits for it. */
__attribute__((noinline)) static int write_slowly(struct prim *prim, int64_t deadline, bool wait,
						  struct tarn_diag *diag)
{
	int at = tarn__self.seated ? own_seat(prim) : -1;
	int r = at >= 0 ? writer_words(prim, -EDEADLK, (uint32_t)at, diag)
			: tarn__prim_lock(prim, deadline, wait, diag);

	return r < 0 && r != -EOWNERDEAD ? r : write_alone(prim, deadline, wait, r, diag);
}

__attribute__((noinline)) static int write_anew(struct prim *prim, int64_t deadline, bool wait,
						struct tarn_diag *diag)
{
	if (unlock_asleep(prim->sec.shm, 0))
		(void)wake_all(prim);
	return write_slowly(prim, deadline, wait, diag);
}

static TARN__ALWAYS_INLINE int write_lock(struct prim *prim, int64_t deadline, bool wait,
					  struct tarn_diag *diag)
{
	enum prim_fast fast = tarn__prim_lock_fast(prim);

	if (TARN__UNLIKELY(fast != FAST_MINE))
		return fast == FAST_BACK ? write_anew(prim, deadline, wait, diag)
					 : write_slowly(prim, deadline, wait, diag);
	return TARN__LIKELY(!anybody_sits(prim)) ? 0 : write_alone(prim, deadline, wait, 0, diag);
}

int tarn_rwlock_write(struct tarn_rwlock *lock, int64_t deadline, struct tarn_diag *diag)
{
	return write_lock(&lock->prim, deadline, true, diag);
}

int tarn_rwlock_try_write(struct tarn_rwlock *lock, struct tarn_diag *diag)
{
	return write_lock(&lock->prim, INT64_MIN, false, diag);
}

int tarn_rwlock_downgrade(struct tarn_rwlock *lock)
{
	struct prim *prim = &lock->prim;
	uint32_t peer;
	int at;

	if (!tarn__prim_mine(prim))
		return -EPERM;
	at = tarn__seat_find(prim, true, &peer);
	if (at < 0)
		return -EAGAIN;
	use_seat(prim, (uint32_t)at);
	if (!sit_down_anew(prim, (uint32_t)at))
		return -EAGAIN;
	stop_writing(prim);
	return 0;
}

/* --- unlock -------------------------------------------------------------------------------- */

/* What it writes, or a seat other than that which it had last. */
__attribute__((noinline)) static int unlock_slowly(struct tarn_rwlock *lock)
{
	struct prim *prim = &lock->prim;
	int at;

	if (tarn__prim_mine(prim))
		return stop_writing(prim);
	at = own_seat(prim);
	if (at < 0)
		return -EPERM;

	_Atomic uint32_t *more = &prim->seats[at].value;
	/* relaxed, both: only this thread counts there */
	uint32_t times = atomic_load_explicit(more, memory_order_relaxed);

	if (times != 0)
		atomic_store_explicit(more, times - 1, memory_order_relaxed);
	else
		return get_up(prim, (uint32_t)at);
	return 0;
}

int tarn_rwlock_unlock(struct tarn_rwlock *lock)
{
	struct prim *prim = &lock->prim;
	uint32_t at = tarn__self.seat - 1; /* as in read_lock() */

	if (tarn__self.held == prim)
		return stop_writing(prim);
	if (TARN__UNLIKELY(id_of(&prim->sec) == 0) || TARN__UNLIKELY(at >= prim->seat_count) ||
	    /* relaxed: only this thread counts there, if it is its seat */
	    TARN__UNLIKELY(atomic_load_explicit(&prim->seats[at].value, memory_order_relaxed) !=
			   0) ||
	    TARN__UNLIKELY(!give_seat(&prim->seats[at], id_of(&prim->sec))))
		return unlock_slowly(lock);
	return left(prim, at);
}

int tarn_rwlock_consistent(struct tarn_rwlock *lock)
{
	if (!tarn__prim_mine(&lock->prim))
		return -EPERM;
	tarn__prim_answer(&lock->prim);
	return 0;
}
