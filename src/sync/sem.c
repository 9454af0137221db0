/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sem.c - a counting semaphore. A counted one is its state, the number of permits. An owned one has
 * a seat for each permit, and who sits there has it.
 */
#include <errno.h>
#include <inttypes.h>

#include <tarn/sem.h>

#include "sync/prim.h"

static_assert(TARN_SEM_OWNED_MAX == PRIM_SEATS, "as documented");

struct tarn_sem {
	struct prim prim;
};

static int check_opts(const char *name, const struct tarn_sem_opts *opts, struct prim_want *want)
{
	bool owned = (opts->flags & TARN_SEM_OWNED) != 0;
	uint32_t max = owned ? TARN_SEM_OWNED_MAX : TARN_SEM_MAX;

	if ((opts->flags & ~(uint32_t)TARN_SEM_OWNED) != 0 || opts->reserved[0] != 0 ||
	    opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "semaphore %s: flags 0x%" PRIx32
				  ": TARN_SEM_OWNED (1) is the only one, and reserved options are "
				  "zero",
				  name, opts->flags);
	if (opts->value > max || (owned && opts->value == 0))
		return tarn__diag(opts->diag, -EINVAL,
				  "semaphore %s: value %" PRIu32 ": %d to %" PRIu32 " is possible",
				  name, opts->value, owned, max);
	want->make = true;
	want->flags = opts->flags;
	want->seats = owned ? opts->value : 0;
	want->state = owned ? 0 : opts->value;
	want->diag = opts->diag;
	return 0;
}

int tarn_sem_open(struct tarn_region *region, const char *name, const struct tarn_sem_opts *opts,
		  struct tarn_sem **ret_sem)
{
	struct prim_want want = { .kind = TARN_OBJECT_SEM, .handle = sizeof(**ret_sem) };
	struct prim *prim;
	int r = opts != NULL ? check_opts(name, opts, &want) : 0;

	if (r == 0)
		r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_sem = (struct tarn_sem *)prim;
	return r;
}

void tarn_sem_close(struct tarn_sem *sem)
{
	tarn__prim_close(sem != NULL ? &sem->prim : NULL);
}

/* --- wait ---------------------------------------------------------------------------------- */

/* 1, 0 where there is none, -EUCLEAN. */
static inline int count_down(struct prim *prim)
{
	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* seq_cst: B4 <- B3 */
	uint32_t value = atomic_load_explicit(state, memory_order_seq_cst);

	for (int tries = 0; value != 0 && tries < PRIM_TRIES; tries++) {
		if (TARN__UNLIKELY(value > TARN_SEM_MAX))
			return -EUCLEAN;
		/* acquire: T2 <- T1, what was done before the post is visible */
		if (atomic_compare_exchange_weak_explicit(
			    state, &value, value - 1, memory_order_acquire, memory_order_relaxed))
			return 1;
	}
	return 0;
}

static int try_count(struct prim *prim, struct await *w, void *arg)
{
	(void)w, (void)arg;
	return count_down(prim);
}

static int try_seat(struct prim *prim, struct await *w, void *arg)
{
	(void)arg;
	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		int at = tarn__seat_find(prim, w->w.probe, &w->peer);

		if (at < 0)
			return 0;
		if (tarn__seat_take(prim, (uint32_t)at, 0))
			return 1;
	}
	return 0;
}

/* Who has a permit that it will have to wait for, if anybody. */
static void say_who(struct prim *prim, struct tarn_diag *diag)
{
	struct tarn_section_who who;

	for (uint32_t at = 0; at < prim->seat_count; at++) {
		/* relaxed, both: for the eye */
		uint32_t id = atomic_load_explicit(&prim->seats[at].id, memory_order_relaxed);
		uint32_t tid = atomic_load_explicit(&prim->seats[at].tid, memory_order_relaxed);

		if (id == 0)
			continue;
		tarn__section_who(&prim->sec, id, tid, &who);
		tarn__diag_hint(diag, "process %" PRId32 ", thread %" PRId32 " has one of them",
				who.pid, who.tid);
		return;
	}
}

static int error_words(struct prim *prim, int r, struct tarn_diag *diag)
{
	const char *name = prim->sec.name;

	if (diag == NULL)
		return r;
	if (r == -EUCLEAN)
		return tarn__diag(diag, r, "semaphore %s: it counts more than can be", name);
	if (r != -ETIMEDOUT && r != -EAGAIN)
		return tarn__diag(diag, r, "semaphore %s: %s", name, strerror(-r));
	if (prim->seat_count == 0)
		return tarn__diag(diag, r, "semaphore %s: nobody has posted%s", name,
				  r == -ETIMEDOUT ? " until the deadline" : "");
	tarn__diag(diag, r, "semaphore %s: all of its %" PRIu32 " permits are taken", name,
		   prim->seat_count);
	say_who(prim, diag);
	return r;
}

__attribute__((noinline)) static int wait_slowly(struct prim *prim, int64_t deadline, bool wait,
						 struct tarn_diag *diag)
{
	tarn__prim_try_fn *try = prim->seat_count != 0 ? try_seat : try_count;
	struct await once = { .w = { .section = &prim->sec, .probe = true } };
	int r = tarn__prim_ready(prim, diag);

	if (r < 0)
		return r;
	if (wait) {
		r = tarn__prim_await(prim, deadline, try, NULL);
	} else {
		r = try(prim, &once, NULL);
		r = r < 0 ? r : r == 1 ? 0 : -EAGAIN;
	}
	return r < 0 ? error_words(prim, r, diag) : 0;
}

/* One try: of the permits where it counts, else of the one that was last taken or given back by
 * this handle. Who counts need not say who it is, but be a member. */
static TARN__ALWAYS_INLINE bool wait_fast(struct prim *prim)
{
	struct seat_shm *seat = tarn__seat_last(prim);

	if (TARN__UNLIKELY(id_of(&prim->sec) == 0))
		return false;
	if (TARN__UNLIKELY(seat != NULL))
		return TARN__LIKELY(tarn__self.tid != 0) && tarn__seat_sit(prim, seat);

	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* relaxed: decided by the exchange */
	uint32_t value = atomic_load_explicit(state, memory_order_relaxed);

	/* acquire: T2 <- T1, as in count_down() */
	return TARN__LIKELY(value - 1 < TARN_SEM_MAX) &&
	       TARN__LIKELY(atomic_compare_exchange_weak_explicit(
		       state, &value, value - 1, memory_order_acquire, memory_order_relaxed));
}

int tarn_sem_wait(struct tarn_sem *sem, int64_t deadline, struct tarn_diag *diag)
{
	if (TARN__LIKELY(wait_fast(&sem->prim)))
		return 0;
	return wait_slowly(&sem->prim, deadline, true, diag);
}

int tarn_sem_try(struct tarn_sem *sem, struct tarn_diag *diag)
{
	if (TARN__LIKELY(wait_fast(&sem->prim)))
		return 0;
	return wait_slowly(&sem->prim, INT64_MIN, false, diag);
}

/* --- post ---------------------------------------------------------------------------------- */

static inline int count_up(struct prim *prim)
{
	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* relaxed: decided by the exchange */
	uint32_t value = atomic_load_explicit(state, memory_order_relaxed);

	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		if (TARN__UNLIKELY(value >= TARN_SEM_MAX))
			return value == TARN_SEM_MAX ? -EOVERFLOW : -EUCLEAN;
		/* seq_cst: T1 -> T2, and B1 -> B2 */
		if (atomic_compare_exchange_weak_explicit(
			    state, &value, value + 1, memory_order_seq_cst, memory_order_relaxed))
			return 0;
	}
	/* seq_cst: as above. One too many, at worst, for whom such a peer lets nobody count. */
	atomic_fetch_add_explicit(state, 1, memory_order_seq_cst);
	return 0;
}

/* Another permit of this member than the one that was last taken or given back by this handle. */
__attribute__((noinline)) static int give_other(struct prim *prim)
{
	for (uint32_t at = 0; at < prim->seat_count; at++)
		if (tarn__seat_give(prim, &prim->seats[at])) {
			tarn__seat_keep(prim, &prim->seats[at]);
			return tarn__prim_ring(prim, 1);
		}
	return -EPERM;
}

/* The first call of a child of fork(); or that of an observer, who may not. */
__attribute__((noinline)) static int post_anew(struct tarn_sem *sem)
{
	int r = tarn__prim_ready(&sem->prim, NULL);

	return r < 0 ? r : tarn_sem_post(sem);
}

/* Its calls are in its last place: it saves no register before the exchange. */
int tarn_sem_post(struct tarn_sem *sem)
{
	struct prim *prim = &sem->prim;
	struct seat_shm *seat = tarn__seat_last(prim);
	int r;

	if (TARN__UNLIKELY(id_of(&prim->sec) == 0))
		return post_anew(sem);
	if (TARN__UNLIKELY(seat != NULL))
		return TARN__LIKELY(tarn__seat_give(prim, seat)) ? tarn__prim_ring(prim, 1)
								 : give_other(prim);
	r = count_up(prim);
	return r < 0 ? r : tarn__prim_ring(prim, 1);
}

uint32_t tarn_sem_value(const struct tarn_sem *sem)
{
	const struct prim *prim = &sem->prim;
	uint32_t value = 0;

	/* relaxed, all: for the eye */
	if (prim->seat_count == 0)
		return atomic_load_explicit(&prim->sec.shm->state, memory_order_relaxed);
	for (uint32_t at = 0; at < prim->seat_count; at++)
		value += atomic_load_explicit(&prim->seats[at].id, memory_order_relaxed) == 0;
	return value;
}
