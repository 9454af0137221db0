/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * barrier.c - so many seats, and whoever sees that all who sit there have arrived ends the round.
 *
 *     state   31            12 11             0
 *            | rounds         | history         |   bit n of history: the round n + 1 before this
 *                                                   one was broken
 *     value   31            12      2 1 0
 *            | round          |  0 | how        |   1 sits: round is the next one that this party
 *                                                   arrives for; 2 it has; 4 it was found dead in
 *                                                   round. All 0: it is just sitting down
 *
 * Rounds count modulo 2^20. A party passes each of them once, in its own time: what became of a
 * round that others have left behind is in history. After twelve more, of which none can have been
 * whole without it, it is taken for broken.
 *
 * A round is over when every seat is done for it: has arrived, or is for a later one. Or when one
 * is found whose party is dead and not done. That is written there first, with the round: so each
 * death breaks one round, whoever comes to see it, and however often; when that one is over the
 * seat is freed. Either way state moves on by one exchange.
 *
 * The seat of a party that arrived and died stays until the round is over. Who takes it before,
 * takes it with what is written there, and then writes that it is for the next round.
 *
 * Who writes what:
 *   state        whoever sees that the round is over, by exchange
 *   seat.id      0 -> own; the dead or ASIDE -> own; own -> 0, or ASIDE where a thread ends
 *   seat.token   who sits there; 0 before it gets up, so that no other thread of its process takes
 *                the seat for its own
 *   seat.value   who sits there; of the dead, by exchange, whoever finds it
 *
 * Ordering:
 *   those of prim.h
 *   BA1 <> BA2  wait_arrived(): the arrival, then all seats are looked at; so of two who arrive
 *               last one sees both
 *
 * Invariants:
 *   value has no other bits than those; of a seat whose id is 0 it is 0
 *
 * After a crash: killed before it has arrived, it breaks the round; after that, the next one.
 * Killed after it has written the last arrival: the others come round within 10 ms.
 */
#include <errno.h>
#include <inttypes.h>

#include <tarn/barrier.h>

#include "sync/prim.h"

static_assert(TARN_BARRIER_MAX == PRIM_SEATS, "as documented");

enum {
	SITS = 1,
	ARRIVED = 2,
	FOUND_DEAD = 4,
	ROUND_SHIFT = 12,
	HISTORY = 12,
	FEW = 128, /* seats that may be looked at while spinning */
};

struct tarn_barrier {
	struct prim prim;
};

/* What is known of the seat of a dead party. */
enum fate {
	FATE_DONE,   /* it had arrived */
	FATE_BREAKS, /* the round */
	FATE_FREED,
	FATE_UNKNOWN, /* it changes just now */
};

struct pass {
	uint32_t round; /* the one that is waited for */
	bool serial;    /* we have ended it */
	uint32_t looks;
};

static uint32_t load(const _Atomic uint32_t *word)
{
	/* seq_cst: BA2 <> BA1, and B4 <- B3 */
	return atomic_load_explicit(word, memory_order_seq_cst);
}

static bool change(_Atomic uint32_t *word, uint32_t from, uint32_t to)
{
	/* seq_cst: T1 -> T2, T2 <- T1, and B1 -> B2 where state moves */
	return atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_seq_cst,
						       memory_order_relaxed);
}

static void write(struct prim *prim, uint32_t at, uint32_t round, uint32_t how)
{
	/* seq_cst: BA1 <> BA2 */
	atomic_store_explicit(&prim->seats[at].value, round << ROUND_SHIFT | how,
			      memory_order_seq_cst);
}

static uint32_t round_of(uint32_t word)
{
	return word >> ROUND_SHIFT;
}

static bool earlier(uint32_t a, uint32_t b)
{
	return ((a - b) & 1u << (31 - ROUND_SHIFT)) != 0;
}

static bool is_done(uint32_t value, uint32_t round)
{
	if ((value & (SITS | FOUND_DEAD)) != SITS)
		return false;
	return earlier(round, round_of(value)) ||
	       ((value & ARRIVED) != 0 && round_of(value) == round);
}

/* --- open ---------------------------------------------------------------------------------- */

static void thread_ends(struct prim *prim);

int tarn_barrier_open(struct tarn_region *region, const char *name,
		      const struct tarn_barrier_opts *opts, struct tarn_barrier **ret_barrier)
{
	struct prim_want want = { .kind = TARN_OBJECT_BARRIER,
				  .handle = sizeof(**ret_barrier),
				  .thread_ends = thread_ends };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if (opts->count == 0 || opts->count > TARN_BARRIER_MAX || opts->pad != 0 ||
		    opts->reserved[0] != 0 || opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL,
					  "barrier %s: %" PRIu32 " parties: 1 to %u is possible, "
					  "and reserved options are zero",
					  name, opts->count, TARN_BARRIER_MAX);
		want.make = true;
		want.seats = opts->count;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_barrier = (struct tarn_barrier *)prim;
	return r;
}

/* --- rounds -------------------------------------------------------------------------------- */

/* The round of @state is over. True: it is us who said so. */
static bool move_on(struct prim *prim, uint32_t state, bool broken)
{
	uint32_t history = (state << 1 | broken) & ((1u << HISTORY) - 1);

	if (!change(&prim->sec.shm->state, state, (round_of(state) + 1) << ROUND_SHIFT | history))
		return false;
	tarn__prim_ring(prim, INT32_MAX);
	return true;
}

/* What came of @round, which is over by @state: 0 or -EOWNERDEAD. */
static int outcome(uint32_t state, uint32_t round)
{
	uint32_t ago = (round_of(state) - round - 1) & (UINT32_MAX >> ROUND_SHIFT);

	return ago < HISTORY && (state >> ago & 1) == 0 ? 0 : -EOWNERDEAD;
}

static bool free_seat(struct prim *prim, uint32_t at, uint32_t id, uint32_t value)
{
	if (!change(&prim->seats[at].value, value, 0) || !change(&prim->seats[at].id, id, 0))
		return false;
	/* relaxed: for the eye */
	atomic_fetch_add_explicit(&prim->sec.shm->aborted, 1, memory_order_relaxed);
	return true;
}

/* Of seat @at, whose party @id is known to be dead since before this call. */
static enum fate fate_of(struct prim *prim, uint32_t at, uint32_t id)
{
	struct seat_shm *seat = &prim->seats[at];
	uint32_t round = round_of(load(&prim->sec.shm->state)), value = load(&seat->value);

	if (load(&seat->id) != id)
		return FATE_UNKNOWN;
	if (is_done(value, round))
		return FATE_DONE;
	if ((value & SITS) == 0 || ((value & FOUND_DEAD) != 0 && round_of(value) != round))
		return free_seat(prim, at, id, value) ? FATE_FREED : FATE_UNKNOWN;
	if ((value & FOUND_DEAD) != 0 ||
	    change(&seat->value, value, round << ROUND_SHIFT | FOUND_DEAD | SITS))
		return FATE_BREAKS;
	return FATE_UNKNOWN;
}

struct seen {
	bool missing;
	bool broken;
	uint32_t peer; /* who has not arrived */
};

static void look_round(struct prim *prim, uint32_t round, bool probe, struct seen *ret)
{
	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = load(&prim->seats[at].id);
		enum fate fate = FATE_UNKNOWN;

		if (id != 0 && is_done(load(&prim->seats[at].value), round))
			continue;
		if (id != 0 && tarn__seat_dead(prim, id, probe))
			fate = fate_of(prim, at, id);
		else if (id != 0 && id != id_of(&prim->sec))
			ret->peer = id;
		ret->broken |= fate == FATE_BREAKS;
		ret->missing |= fate != FATE_DONE;
	}
}

static int try_round(struct prim *prim, struct await *w, void *arg)
{
	struct pass *pass = arg;
	uint32_t state = load(&prim->sec.shm->state);
	struct seen seen = { .missing = false };

	if (earlier(pass->round, round_of(state)))
		return 1;
	if (pass->looks++ != 0 && prim->seat_count > FEW && !w->w.slept && !w->w.probe)
		return 0;
	look_round(prim, round_of(state), w->w.probe, &seen);
	w->peer = seen.peer;
	/* Where we are for the next one only, this one has to be ended too. */
	if ((seen.broken || !seen.missing) && move_on(prim, state, seen.broken))
		pass->serial = !seen.broken && round_of(state) == pass->round;
	return earlier(pass->round, round_of(load(&prim->sec.shm->state)));
}

/* --- seats --------------------------------------------------------------------------------- */

static bool is_mine(const struct prim *prim, uint32_t at)
{
	const struct seat_shm *seat = &prim->seats[at];

	/* relaxed, both: only this thread could have made it so */
	return atomic_load_explicit(&seat->id, memory_order_relaxed) == id_of(&prim->sec) &&
	       atomic_load_explicit(&seat->token, memory_order_relaxed) == tarn__self.token;
}

static int my_seat(const struct prim *prim)
{
	uint32_t guess = tarn__seat_guess(prim);

	if (!tarn__prim_is_ready(prim))
		return -1;
	if (is_mine(prim, guess))
		return (int)guess;
	for (uint32_t at = 0; at < prim->seat_count; at++)
		if (is_mine(prim, at))
			return (int)at;
	return -1;
}

/* We have taken seat @at with what is written there; write what we are there for. False: rounds go
 * by faster than this can be. */
static bool settle_down(struct prim *prim, uint32_t at)
{
	uint32_t value = load(&prim->seats[at].value), round;

	tarn__self.seated = true;
	if ((value & (SITS | ARRIVED | FOUND_DEAD)) == (SITS | ARRIVED)) {
		write(prim, at, round_of(value) + 1, SITS); /* it had arrived, and died */
		return true;
	}
	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		round = round_of(load(&prim->sec.shm->state));
		write(prim, at, round, SITS);
		if (round_of(load(&prim->sec.shm->state)) == round)
			return true;
	}
	return false;
}

/* Take over what a dead party has left at @at. */
static bool succeed(struct prim *prim, uint32_t at, uint32_t id)
{
	struct seat_shm *seat = &prim->seats[at];
	uint32_t state = load(&prim->sec.shm->state);

	switch (fate_of(prim, at, id)) {
	case FATE_DONE:
		if (!change(&seat->id, id, id_of(&prim->sec)))
			return false;
		/* relaxed, both: read by this thread, and by the eye */
		atomic_store_explicit(&seat->tid, tarn__self.tid, memory_order_relaxed);
		atomic_store_explicit(&seat->token, tarn__self.token, memory_order_relaxed);
		return true;
	case FATE_BREAKS:
		(void)move_on(prim, state, true);
		return fate_of(prim, at, id) == FATE_FREED && tarn__seat_take(prim, at, 0);
	case FATE_FREED:
		return tarn__seat_take(prim, at, 0);
	default:
		return false;
	}
}

static int find_seat(struct prim *prim)
{
	/* Those of the dead where there is no other; again, since others may be at them, too. */
	for (int pass = 0; pass < 3; pass++)
		for (uint32_t at = 0; at < prim->seat_count; at++) {
			uint32_t id = load(&prim->seats[at].id);

			if (id == 0 ? tarn__seat_take(prim, at, 0)
				    : pass != 0 && tarn__seat_dead(prim, id, true) &&
					      succeed(prim, at, id))
				return (int)at;
		}
	return -1;
}

static void get_up(struct prim *prim, uint32_t at)
{
	/* release, both: not after the seat is free */
	atomic_store_explicit(&prim->seats[at].token, 0, memory_order_release);
	atomic_store_explicit(&prim->seats[at].value, 0, memory_order_release);
	(void)tarn__seat_give(prim, &prim->seats[at]);
}

/* The seat of this thread, or an error. */
static int join(struct prim *prim, struct tarn_diag *diag)
{
	int r = tarn__prim_ready(prim, diag), at;

	if (r < 0)
		return r;
	at = my_seat(prim);
	if (at >= 0)
		return at;
	at = find_seat(prim);
	if (at < 0)
		return tarn__diag(diag, -EUSERS,
				  "barrier %s: all of its %" PRIu32 " seats are those of others",
				  prim->sec.name, prim->seat_count);
	if (settle_down(prim, (uint32_t)at))
		return at;
	get_up(prim, (uint32_t)at);
	return tarn__diag(diag, -EUCLEAN, "barrier %s: its rounds change without end",
			  prim->sec.name);
}

/* As if it had died. */
static void thread_ends(struct prim *prim)
{
	int at = my_seat(prim);

	if (at >= 0 && change(&prim->seats[at].id, id_of(&prim->sec), LOCK_ASIDE))
		tarn__prim_ring(prim, INT32_MAX);
}

int tarn_barrier_join(struct tarn_barrier *barrier, struct tarn_diag *diag)
{
	int at = join(&barrier->prim, diag);

	return at < 0 ? at : 0;
}

int tarn_barrier_leave(struct tarn_barrier *barrier)
{
	int at = my_seat(&barrier->prim);

	if (at < 0)
		return -EPERM;
	get_up(&barrier->prim, (uint32_t)at);
	return 0;
}

void tarn_barrier_close(struct tarn_barrier *barrier)
{
	if (barrier == NULL)
		return;
	(void)tarn_barrier_leave(barrier);
	tarn__prim_close(&barrier->prim);
}

/* --- wait ---------------------------------------------------------------------------------- */

static int error_words(struct prim *prim, uint32_t round, int r, struct tarn_diag *diag)
{
	struct tarn_section_who who = { .pid = 0 };
	uint32_t done = 0;

	if (diag == NULL || r != -ETIMEDOUT)
		return tarn__diag(diag, r, "barrier %s: %s", prim->sec.name, strerror(-r));
	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = load(&prim->seats[at].id);

		if (id == 0)
			continue;
		if (is_done(load(&prim->seats[at].value), round))
			done++;
		else
			tarn__section_who(&prim->sec, id, load(&prim->seats[at].tid), &who);
	}
	tarn__diag(diag, r, "barrier %s: %" PRIu32 " of %" PRIu32 " have arrived", prim->sec.name,
		   done, prim->seat_count);
	if (who.pid != 0)
		tarn__diag_hint(diag, "process %" PRId32 ", thread %" PRId32 " is not there yet",
				who.pid, who.tid);
	return r;
}

/* Seat @at says that we have arrived for @pass->round, or that is over already. */
static int wait_arrived(struct prim *prim, uint32_t at, int64_t deadline, struct pass *pass,
			struct tarn_diag *diag)
{
	int r = tarn__prim_await(prim, deadline, try_round, pass);

	if (r < 0)
		return error_words(prim, pass->round, r, diag);
	r = outcome(load(&prim->sec.shm->state), pass->round);
	write(prim, at, pass->round + 1, SITS);
	if (r < 0)
		tarn__diag(diag, r, "barrier %s: a party of this round died before it arrived",
			   prim->sec.name);
	return r < 0 ? r : pass->serial;
}

int tarn_barrier_wait(struct tarn_barrier *barrier, int64_t deadline, struct tarn_diag *diag)
{
	struct prim *prim = &barrier->prim;
	struct pass pass = { .serial = false };
	int at = join(prim, diag);
	uint32_t value;

	if (at < 0)
		return at;
	value = load(&prim->seats[at].value);
	if ((value & (SITS | FOUND_DEAD)) != SITS) { /* somebody has written over it */
		write(prim, (uint32_t)at, round_of(load(&prim->sec.shm->state)), SITS);
		value = load(&prim->seats[at].value);
	}
	pass.round = round_of(value);
	if ((value & ARRIVED) == 0)
		write(prim, (uint32_t)at, pass.round, SITS | ARRIVED);
	return wait_arrived(prim, (uint32_t)at, deadline, &pass, diag);
}
