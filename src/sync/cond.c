/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cond.c - a condition variable: seats for those who wait, each with a word that says how it stands
 * with it, which is also the word that it sleeps on.
 *
 *     value   31                 2 1    0
 *            | ticket or stamp    | how  |    0 nobody waits here, or it is just sitting down
 *                                             1 waits, awake; with its ticket
 *                                             3 waits, and must be woken; with its ticket
 *                                             2 was signalled; with the stamp of the signal
 *
 * state counts the tickets that were drawn. The stamp of a signal is what state was when it was
 * given, so it is meant for the tickets before that; all of this modulo 2^30. bell is the stamp of
 * the last broadcast: whoever waits with a ticket before it is signalled by that one store,
 * whatever becomes of the broadcaster before it has woken all.
 *
 * Who waits sits down, and only then lets go of its lock. When it is woken it has its lock again
 * before it gets up. So a member that dies in between leaves a seat that says "signalled", and
 * names the dead. That is a signal that is still to be had: one of those whom it was meant for,
 * when it comes round after a slice, puts its own id there in place of the dead one's, by one
 * exchange, and has it; its own seat it gives up. If it was itself signalled just then it has one
 * too many, and puts ASIDE there, which is nobody, so that another one comes and takes it.
 *
 * A seat of the dead is emptied, then freed; but not while there is somebody for its signal.
 *
 * Who writes what:
 *   state        whoever sits down, by addition
 *   bell         whoever broadcasts, by exchange
 *   sleep        as in prim.h: bit 0 says that somebody may wait, and the rest counts
 *   seat.id      0 -> own; the dead or ASIDE -> own, with its signal; own -> 0 or ASIDE; dead -> 0
 *   seat.value   0 -> waits, and awake -> to be woken by exchange, by who sits there; waits ->
 *                signalled by exchange, by anybody; waits -> 0 by exchange, by who sits there or
 *                frees it; signalled -> 0 likewise
 *
 * Ordering:
 *   CV1 -> CV2  sit() has drawn, written, and said so in sleep;   whoever signals sees the seat;
 *               the lock orders them, too, where it is had to signal
 *   CV3 -> CV4  the signal is given                               wait_turn() sees it
 *
 * Invariants:
 *   of a seat whose id is 0, value is 0
 *
 * After a crash: killed before it waits: the seat is freed by who needs one. While it waits:
 * passed over, and freed. After it was signalled: see above. A signaller that is killed before it
 * wakes: the waiter comes round within 10 ms.
 */
#include <errno.h>
#include <inttypes.h>

#include <tarn/cond.h>

#include "sync/prim.h"

static_assert(TARN_COND_WAITERS_MAX == PRIM_SEATS, "as documented");

enum {
	WAITERS_DEFAULT = 64,
	HOW = 3,
	EMPTY = 0,
	WAITING = 1,
	SIGNALLED = 2,
	ASLEEP = 3,            /* WAITING, too */
	TICKETS_FAR = 1 << 28, /* a broadcast that long ago is brought nearer */
};

struct tarn_cond {
	struct prim prim;
};

/* What is let go of for the sleep: one of the two. */
struct guard {
	struct prim *mutex;
	struct tarn_section *section;
	struct tarn_tx **ret_tx;
};

struct turn {
	uint32_t at;    /* our seat */
	uint32_t value; /* that we have written there */
};

static uint32_t ticket_of(uint32_t value)
{
	return value >> 2;
}

static bool waits(uint32_t value)
{
	return (value & WAITING) != 0;
}

/* Was ticket @a drawn before @b? */
static bool before(uint32_t a, uint32_t b)
{
	return ((a - b) & 1u << 29) != 0;
}

static uint32_t load(const _Atomic uint32_t *word)
{
	/* seq_cst: CV2 <- CV1, CV4 <- CV3 */
	return atomic_load_explicit(word, memory_order_seq_cst);
}

static bool change(_Atomic uint32_t *word, uint32_t from, uint32_t to)
{
	/* seq_cst: CV3 -> CV4, and what is done afterwards comes afterwards */
	return atomic_compare_exchange_strong_explicit(word, &from, to, memory_order_seq_cst,
						       memory_order_relaxed);
}

/* --- open ---------------------------------------------------------------------------------- */

int tarn_cond_open(struct tarn_region *region, const char *name, const struct tarn_cond_opts *opts,
		   struct tarn_cond **ret_cond)
{
	struct prim_want want = { .kind = TARN_OBJECT_COND, .handle = sizeof(**ret_cond) };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if (opts->waiters > TARN_COND_WAITERS_MAX || opts->pad != 0 ||
		    opts->reserved[0] != 0 || opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL,
					  "condition variable %s: %" PRIu32
					  " waiters: 1 to %u is possible, and reserved options are "
					  "zero",
					  name, opts->waiters, TARN_COND_WAITERS_MAX);
		want.make = true;
		want.any = opts->waiters == 0;
		want.seats = opts->waiters != 0 ? opts->waiters : WAITERS_DEFAULT;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_cond = (struct tarn_cond *)prim;
	return r;
}

void tarn_cond_close(struct tarn_cond *cond)
{
	tarn__prim_close(cond != NULL ? &cond->prim : NULL);
}

/* --- seats --------------------------------------------------------------------------------- */

/* Is there somebody for a signal of @stamp? */
static bool wanted(struct prim *prim, uint32_t stamp)
{
	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = load(&prim->seats[at].id), value = load(&prim->seats[at].value);

		if (id != 0 && waits(value) && before(ticket_of(value), stamp) &&
		    !tarn__seat_dead(prim, id, false))
			return true;
	}
	return false;
}

/* Free seat @at of the dead member @id. False: it is another's by now, or its signal is wanted. */
static bool bury(struct prim *prim, uint32_t at, uint32_t id)
{
	struct seat_shm *seat = &prim->seats[at];
	uint32_t value = load(&seat->value);

	if ((value & HOW) == SIGNALLED && wanted(prim, ticket_of(value)))
		return false;
	/* Tickets and stamps tell the value of the dead from that of who sits there next. */
	if (load(&seat->id) != id || !change(&seat->value, value, EMPTY) ||
	    !change(&seat->id, id, 0))
		return false;
	/* relaxed: for the eye */
	atomic_fetch_add_explicit(&prim->sec.shm->aborted, 1, memory_order_relaxed);
	return true;
}

/* The seat of the living waiter with the oldest ticket before @stamp, and what is written there;
 * -1: none. @ret_busy: not all seats are free. */
static int oldest(struct prim *prim, uint32_t stamp, uint32_t *ret_value, bool *ret_busy)
{
	int found = -1;

	*ret_busy = false;
	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = load(&prim->seats[at].id), value = load(&prim->seats[at].value);

		if (id == 0)
			continue;
		*ret_busy = true;
		if (!waits(value) || !before(ticket_of(value), stamp) ||
		    (found >= 0 && !before(ticket_of(value), ticket_of(*ret_value))))
			continue;
		if (tarn__seat_dead(prim, id, false)) {
			(void)bury(prim, at, id);
			continue;
		}
		found = (int)at;
		*ret_value = value;
	}
	return found;
}

static void wake(struct prim *prim, uint32_t at)
{
	(void)tarn__plat_futex_wake(&prim->seats[at].value, INT32_MAX);
}

/* Signal who waits on seat @at, with @value, if it still does. */
static bool signal_seat(struct prim *prim, uint32_t at, uint32_t value, uint32_t stamp)
{
	if (!change(&prim->seats[at].value, value, (stamp & (UINT32_MAX >> 2)) << 2 | SIGNALLED))
		return false;
	if ((value & HOW) == ASLEEP)
		wake(prim, at);
	return true;
}

/* Have somebody look round who may take a signal of @stamp. */
static void nudge(struct prim *prim, uint32_t stamp)
{
	uint32_t value;
	bool busy;
	int at = oldest(prim, stamp, &value, &busy);

	if (at >= 0)
		wake(prim, (uint32_t)at);
}

/* The stamp of the last broadcast must not grow so old that it looks new. */
static void bring_near(struct section_shm *shm, uint32_t ticket)
{
	uint32_t bell = load(&shm->bell);

	if (((ticket - bell) & (UINT32_MAX >> 2)) >= TICKETS_FAR)
		(void)change(&shm->bell, bell, ticket - TICKETS_FAR / 2);
}

static int find_seat(struct prim *prim)
{
	for (int probe = 0; probe <= 1; probe++)
		for (uint32_t at = 0; at < prim->seat_count; at++) {
			uint32_t id = load(&prim->seats[at].id);

			if (id != 0 &&
			    (!tarn__seat_dead(prim, id, probe != 0) || !bury(prim, at, id)))
				continue;
			if (tarn__seat_take(prim, at, EMPTY))
				return (int)at;
		}
	return -1;
}

/* From here on this thread can be signalled; its lock is still its own. */
static int sit(struct prim *prim, struct turn *turn, struct tarn_diag *diag)
{
	struct section_shm *shm = prim->sec.shm;
	int at = find_seat(prim);
	uint32_t ticket;

	if (at < 0) {
		tarn__diag(diag, -EUSERS,
			   "condition variable %s: %" PRIu32 " wait, and there is room for no more",
			   prim->sec.name, prim->seat_count);
		tarn__diag_hint(diag, "make it with room for more (waiters)");
		return -EUSERS;
	}
	/* seq_cst, all: CV1 -> CV2 */
	ticket = atomic_fetch_add_explicit(&shm->state, 1, memory_order_seq_cst);
	bring_near(shm, ticket);
	turn->at = (uint32_t)at;
	turn->value = ticket << 2 | WAITING;
	atomic_store_explicit(&prim->seats[at].value, turn->value, memory_order_seq_cst);
	tarn__prim_sleeps(shm);
	return 0;
}

/* What was written there is used up. */
static void get_up(struct prim *prim, uint32_t at)
{
	/* release: not after the seat is free */
	atomic_store_explicit(&prim->seats[at].value, EMPTY, memory_order_release);
	(void)tarn__seat_give(prim, &prim->seats[at]);
}

/* Leave the signal on seat @at to whom it was meant for, too. */
static void hand_on(struct prim *prim, uint32_t at)
{
	uint32_t value = load(&prim->seats[at].value);

	(void)change(&prim->seats[at].id, id_of(&prim->sec), LOCK_ASIDE);
	nudge(prim, ticket_of(value));
}

/* --- wait ---------------------------------------------------------------------------------- */

/* Is there a signal that the dead have left, and that we may have? Then it is ours. */
static bool inherit(struct prim *prim, struct turn *turn)
{
	for (uint32_t at = 0; at < prim->seat_count; at++) {
		struct seat_shm *seat = &prim->seats[at];
		uint32_t id = load(&seat->id), value = load(&seat->value);

		if (at == turn->at || id == 0 || (value & HOW) != SIGNALLED ||
		    !before(ticket_of(turn->value), ticket_of(value)) ||
		    !tarn__seat_dead(prim, id, true) || !change(&seat->id, id, id_of(&prim->sec)))
			continue;
		/* relaxed, both: for the eye */
		atomic_store_explicit(&seat->tid, tarn__self.tid, memory_order_relaxed);
		atomic_store_explicit(&seat->token, tarn__self.token, memory_order_relaxed);
		if (change(&prim->seats[turn->at].value, turn->value, EMPTY)) {
			(void)tarn__seat_give(prim, &prim->seats[turn->at]);
			turn->at = at;
		} else {
			hand_on(prim, at); /* we have been signalled, too */
		}
		return true;
	}
	return false;
}

/* Say that we must be woken. False: our word has changed. */
static bool fall_asleep(struct prim *prim, struct turn *turn)
{
	if ((turn->value & HOW) == ASLEEP)
		return true;
	if (!change(&prim->seats[turn->at].value, turn->value, turn->value | ASLEEP))
		return false;
	turn->value |= ASLEEP;
	/* relaxed: for the eye */
	atomic_fetch_add_explicit(&prim->sec.shm->waited, 1, memory_order_relaxed);
	return true;
}

static int sleep_on(struct prim *prim, const struct turn *turn, int64_t now, int64_t deadline)
{
	int64_t slice = now + tarn__section_net_ns;
	int r = tarn__region_sleep(prim->sec.region, &prim->seats[turn->at].value, turn->value, 0,
				   slice < deadline ? slice : deadline);

	return r == -ETIMEDOUT ? 0 : r;
}

/* Until signalled: 0; else we can be signalled no more. */
static int wait_turn(struct prim *prim, struct turn *turn, int64_t deadline)
{
	_Atomic uint32_t *mine = &prim->seats[turn->at].value;
	bool slept = false;
	int r = 0;

	if (tarn__plat_now() < deadline) /* a signal may be about to come */
		(void)tarn__prim_spin(prim, mine, turn->value);
	for (;;) {
		uint32_t value = load(mine);
		int64_t now;

		if (value != turn->value)
			return (value & HOW) == SIGNALLED ? 0 : -EUCLEAN;
		if (before(ticket_of(value), load(&prim->sec.shm->bell)))
			(void)change(mine, value, (ticket_of(value) + 1) << 2 | SIGNALLED);
		else if (slept && inherit(prim, turn))
			return 0;
		else if ((now = tarn__plat_now()) >= deadline || r < 0) {
			if (change(mine, value, EMPTY))
				return r < 0 ? r : -ETIMEDOUT;
		} else if (tarn_segment_damaged(prim->sec.region->seg)) {
			r = -EIO;
		} else if (fall_asleep(prim, turn)) {
			r = sleep_on(prim, turn, now, deadline);
			slept = true;
		}
	}
}

static int let_go(const struct guard *guard)
{
	if (guard->section != NULL)
		return tarn_section_leave(guard->section);
	tarn__prim_unlock(guard->mutex);
	return 0;
}

static int have_again(const struct guard *guard, struct tarn_diag *diag)
{
	if (guard->section != NULL)
		return tarn_section_enter(guard->section, TARN_FOREVER, guard->ret_tx, diag);
	return tarn__prim_lock(guard->mutex, TARN_FOREVER, true, diag);
}

static int say(struct prim *prim, int r, int again, struct tarn_diag *diag)
{
	const char *name = prim->sec.name;

	if (again == -EOWNERDEAD && diag != NULL)
		tarn__diag_hint(diag,
				"the sleep on condition variable %s ended %s; mend what the lock "
				"guards, and say that it is consistent",
				name, r == 0 ? "with a signal" : "without a signal");
	if (again < 0)
		return again;
	if (r == -ETIMEDOUT)
		return tarn__diag(diag, r, "condition variable %s: no signal until the deadline",
				  name);
	if (r == -EUCLEAN)
		return tarn__diag(
			diag, r,
			"condition variable %s: the words of this waiter were written over", name);
	return r < 0 ? tarn__diag(diag, r, "condition variable %s: %s", name, strerror(-r)) : 0;
}

static int wait_without(struct prim *prim, const struct guard *guard, int64_t deadline,
			struct tarn_diag *diag)
{
	struct turn turn = { 0 };
	int r = tarn__prim_ready(prim, diag), again;

	if (r == 0)
		r = sit(prim, &turn, diag);
	if (r < 0)
		return r;
	r = let_go(guard);
	if (r < 0) { /* its tx was undone; but it is not in there any more */
		if (change(&prim->seats[turn.at].value, turn.value, EMPTY))
			(void)tarn__seat_give(prim, &prim->seats[turn.at]);
		else
			hand_on(prim, turn.at);
		return r;
	}
	r = wait_turn(prim, &turn, deadline);
	if (r < 0)
		get_up(prim, turn.at);
	again = have_again(guard, diag);
	if (r == 0 && again < 0 && again != -EOWNERDEAD)
		hand_on(prim, turn.at);
	else if (r == 0)
		get_up(prim, turn.at);
	return say(prim, r, again, diag);
}

int tarn_cond_wait(struct tarn_cond *cond, struct tarn_mutex *mutex, int64_t deadline,
		   struct tarn_diag *diag)
{
	struct prim *lock = tarn__mutex_prim(mutex);
	const struct guard guard = { .mutex = lock };

	if (!tarn__prim_mine(lock))
		return tarn__diag(diag, -EPERM,
				  "this thread has not locked mutex %s by this handle",
				  lock->sec.name);
	if (lock->depth != 0)
		return tarn__diag(diag, -EINVAL,
				  "mutex %s is locked %" PRIu32
				  " times: others would not get it while this thread waits",
				  lock->sec.name, lock->depth + 1);
	return wait_without(&cond->prim, &guard, deadline, diag);
}

int tarn_cond_wait_in(struct tarn_cond *cond, struct tarn_section *section, int64_t deadline,
		      struct tarn_tx **ret_tx, struct tarn_diag *diag)
{
	const struct guard guard = { .section = section, .ret_tx = ret_tx };

	if (!tarn__tx_inside(section))
		return tarn__diag(diag, -EPERM, "this thread is not inside section %s",
				  section->name);
	if (section->in != NULL || section->tx.depth != 1 || section->tx.followers != NULL)
		return tarn__diag(diag, -EINVAL,
				  "this thread is inside of more than section %s: others would not "
				  "get in there while it waits",
				  section->name);
	return wait_without(&cond->prim, &guard, deadline, diag);
}

/* --- signal -------------------------------------------------------------------------------- */

/* Can anybody be waiting? */
static inline bool asleep(struct prim *prim)
{
	return (load(&prim->sec.shm->sleep) & 1) != 0;
}

/* Nobody sits, or is about to: unless somebody has said since @sleep that it will. */
static void nobody(struct section_shm *shm, uint32_t sleep)
{
	(void)change(&shm->sleep, sleep, sleep & ~1u);
}

static void signal_one(struct prim *prim)
{
	struct section_shm *shm = prim->sec.shm;
	uint32_t sleep = load(&shm->sleep), stamp = load(&shm->state);

	/* Each turn sees one waiter off, or fall asleep, and none comes who is before the stamp. */
	for (uint32_t tries = 0; tries <= 2 * prim->seat_count; tries++) {
		uint32_t value;
		bool busy;
		int at = oldest(prim, stamp, &value, &busy);

		if (at < 0) {
			if (!busy)
				nobody(shm, sleep);
			return;
		}
		if (signal_seat(prim, (uint32_t)at, value, stamp) &&
		    !before(ticket_of(value), load(&shm->bell))) /* not by a broadcast before */
			return;
	}
}

static void signal_all(struct prim *prim)
{
	struct section_shm *shm = prim->sec.shm;
	uint32_t sleep = load(&shm->sleep), stamp = load(&shm->state), bell = load(&shm->bell);
	bool busy = false;

	for (int tries = 0; tries < PRIM_TRIES && before(bell, stamp); tries++) {
		if (change(&shm->bell, bell, stamp))
			break;
		bell = load(&shm->bell);
	}
	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = load(&prim->seats[at].id), value = load(&prim->seats[at].value);

		busy |= id != 0;
		/* twice: it may fall asleep between the look and the exchange */
		for (int tries = 0; tries < 2 && id != 0 && waits(value); tries++) {
			if (!before(ticket_of(value), stamp) || signal_seat(prim, at, value, stamp))
				break;
			value = load(&prim->seats[at].value);
		}
	}
	if (!busy)
		nobody(shm, sleep);
}

/* Somebody may wait; or it is the first call of a child of fork(), or that of an observer. */
__attribute__((noinline)) static int signal_slowly(struct prim *prim, bool all)
{
	int r = tarn__prim_ready(prim, NULL);

	if (r < 0 || !asleep(prim))
		return r;
	if (all)
		signal_all(prim);
	else
		signal_one(prim);
	return 0;
}

int tarn_cond_signal(struct tarn_cond *cond)
{
	struct prim *prim = &cond->prim;

	if (TARN__UNLIKELY(id_of(&prim->sec) == 0) || TARN__UNLIKELY(asleep(prim)))
		return signal_slowly(prim, false);
	return 0;
}

int tarn_cond_broadcast(struct tarn_cond *cond)
{
	struct prim *prim = &cond->prim;

	if (TARN__UNLIKELY(id_of(&prim->sec) == 0) || TARN__UNLIKELY(asleep(prim)))
		return signal_slowly(prim, true);
	return 0;
}
