/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.c - wait for a section.
 *
 * Whoever finds the word taken spins for as long as that lately paid off, looking seldom, then
 * looks who has it:
 *
 *     a live member     sleep on the word and on the owner's beacon, a slice at most; look again
 *     a dead member     see to the tx's leader, take its place, undo what it left
 *     nobody who could  -EUCLEAN: the word was written to by somebody else
 *     ASIDE             -ENOTRECOVERABLE
 *
 * Who sleeps sets bit 0 first, and takes the word with bit 0 set afterwards, since others may sleep
 * behind; so each unlock wakes one, until one finds nobody. Who gives up wakes one, too. A sleeper
 * hears at once of the death of the owner under whom it fell asleep. Of others who die while they
 * have the word, or owe a wake, it does not: for that each sleep ends after 10 ms at the latest,
 * and looks again.
 *
 * A sleeper writes itself down among the waiters, and when it first saw this owner. Those words
 * are for the eye and for deadlock.c; a sleeper that dies leaves its entry to the next one. There
 * are few places, and a circle is seen only where all of it is written down; so one who is inside
 * of something takes the place of one who is not, and after each slice every sleeper sees whether
 * it still has its own. An entry is that of the thread whose token stands there.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>

#include "region/trace.h"
#include "sync/section.h"

/* A wake that went to the dead is made up for after this. Tests that go through a sleeper
 * instruction by instruction make it longer. */
int64_t tarn__section_net_ns = 10000000;

enum {
	SPINS_FIRST_LOOK = 128, /* pauses of the processor: some 3 microseconds */
	SPINS_MIN = SPINS_FIRST_LOOK,
	SPINS_MAX = 2048,  /* four looks, and about what a sleep and a wake cost */
	TRIES_MAX = 10000, /* changes of the word in a row without a sleep: a peer that does nothing
			      else must not keep us here past the deadline */
};

void tarn__section_wake(struct section_shm *shm, int count)
{
	(void)tarn__plat_futex_wake(&shm->lock, count);
}

bool tarn__section_owned(struct tarn_section *section, uint32_t seen)
{
	uint32_t owner = seen & ~TARN__ID_FLAG;

	return owner != 0 && owner != LOCK_ASIDE &&
	       tarn__id_slot(owner) < section->region->member_max &&
	       (owner == id_of(section) || tarn__member_alive(section->region, owner));
}

/*
 * What the slot and the beacon of @owner's member say, which are in the cache. A question to the
 * kernel takes longer than many passes of others; while they all say that it lives, it is asked
 * after each slice only.
 */
bool tarn__section_seems_alive(const struct tarn_section *section, uint32_t owner)
{
	const struct tarn_region *region = section->region;
	uint32_t slot = tarn__id_slot(owner);
	/* relaxed, both: hints */
	uint32_t state =
		atomic_load_explicit(&tarn__member_at(region, slot)->state, memory_order_relaxed);
	uint32_t beacon =
		atomic_load_explicit(tarn__member_beacon(region, slot), memory_order_relaxed);

	return state == (owner | TARN__ID_FLAG) && (beacon & FUTEX_TID_MASK) != 0 &&
	       (beacon & FUTEX_OWNER_DIED) == 0;
}

/* --- who waits, and for how long ------------------------------------------------------------ */

/* CLAIM_LEFT: of the living, where nobody's token stands; or that of somebody who is inside of
 * nothing, if we are inside of something. */
enum claim {
	CLAIM_FREE,
	CLAIM_DEAD,
	CLAIM_LEFT,
};

static void fill(struct wait *w)
{
	/* relaxed, all: for the eye, and for deadlock.c, which looks twice */
	atomic_store_explicit(&w->place->id, id_of(w->section), memory_order_relaxed);
	atomic_store_explicit(&w->place->tid, tarn__self.tid, memory_order_relaxed);
	atomic_store_explicit(&w->place->inside, tarn__thread_holds(), memory_order_relaxed);
	atomic_store_explicit(&w->place->token, tarn__self.token, memory_order_relaxed);
}

/* May an entry that says @id, @token and @inside be claimed as @how? */
static bool may_claim(const struct wait *w, enum claim how, uint32_t id, uint32_t token,
		      uint32_t inside)
{
	switch (how) {
	case CLAIM_FREE:
		return id == 0;
	case CLAIM_DEAD:
		return id != id_of(w->section) && !tarn__member_alive(w->section->region, id);
	default:
		return token == 0 || (inside == 0 && tarn__thread_holds());
	}
}

/* Two who are at it at the same time may both think that they have it: the token that is stored
 * last counts, and the other one sees that a slice later. */
static bool claim(struct wait *w, struct waiter_shm *place, enum claim how)
{
	/* relaxed, all: as in fill() */
	uint32_t id = atomic_load_explicit(&place->id, memory_order_relaxed);
	uint32_t token = atomic_load_explicit(&place->token, memory_order_relaxed);
	uint32_t inside = atomic_load_explicit(&place->inside, memory_order_relaxed);

	if (!may_claim(w, how, id, token, inside))
		return false;
	/* not seen as ours with another's token, and not taken from whoever was faster */
	if (!atomic_compare_exchange_strong_explicit(&place->token, &token, 0, memory_order_relaxed,
						     memory_order_relaxed) ||
	    !atomic_compare_exchange_strong_explicit(&place->id, &id, id_of(w->section),
						     memory_order_relaxed, memory_order_relaxed))
		return false;
	w->place = place;
	fill(w);
	return true;
}

static bool has_place(const struct wait *w)
{
	/* relaxed: as in fill() */
	return w->place != NULL &&
	       atomic_load_explicit(&w->place->token, memory_order_relaxed) == tarn__self.token;
}

/* Before each sleep. Who is inside of nothing, and found no place at @first, does not ask the
 * kernel about all the others each time. */
void tarn__wait_write_down(struct wait *w, bool first)
{
	int last = first || tarn__thread_holds() ? CLAIM_LEFT : CLAIM_FREE;

	if (has_place(w)) {
		fill(w); /* two may have been at it */
		return;
	}
	w->place = NULL;
	for (int how = CLAIM_FREE; how <= last; how++)
		for (int i = 0; i < TARN_SECTION_WAITERS; i++)
			if (claim(w, &w->section->shm->waiters[i], (enum claim)how))
				return;
}

void tarn__wait_begins(struct wait *w, uint32_t whom)
{
	if (!tarn__trace_is_on(w->section->region))
		return;
	w->since = tarn__plat_now();
	w->whom = whom;
	tarn__trace_log(w->section->region, TARN_TRACE_WAIT, &w->section->object, whom, 0, NULL);
}

void tarn__wait_cross_out(struct wait *w, int r)
{
	uint32_t token = tarn__self.token, id = id_of(w->section);

	if (w->since != 0)
		tarn__trace(w->section->region, r < 0 ? TARN_TRACE_TIMEOUT : TARN_TRACE_GOT,
			    &w->section->object, w->whom, (uint64_t)(tarn__plat_now() - w->since));
	/* relaxed, both: as in fill(). By exchange: it may be another's by now. */
	if (w->place != NULL &&
	    atomic_compare_exchange_strong_explicit(&w->place->token, &token, 0,
						    memory_order_relaxed, memory_order_relaxed))
		(void)atomic_compare_exchange_strong_explicit(
			&w->place->id, &id, 0, memory_order_relaxed, memory_order_relaxed);
}

/* When this owner was first seen; the first to wait for it says so. */
void tarn__wait_stamp(struct section_shm *shm, int64_t now)
{
	/* relaxed, all: for the eye */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_relaxed);

	if ((seq & 1) == 0 || (atomic_load_explicit(&shm->seen_seq, memory_order_relaxed) == seq &&
			       atomic_load_explicit(&shm->seen_hi, memory_order_relaxed) != 0))
		return;
	atomic_store_explicit(&shm->seen_lo, (uint32_t)now, memory_order_relaxed);
	atomic_store_explicit(&shm->seen_hi, (uint32_t)((uint64_t)now >> 32) | 1u << 31,
			      memory_order_relaxed);
	atomic_store_explicit(&shm->seen_seq, seq, memory_order_relaxed);
}

void tarn__section_who(struct tarn_section *section, uint32_t id, uint32_t tid,
		       struct tarn_section_who *ret_who)
{
	struct tarn_member_stat stat;

	memset(ret_who, 0, sizeof(*ret_who));
	ret_who->slot = tarn__id_slot(id);
	ret_who->tid = (int32_t)tid;
	if (ret_who->slot >= section->region->member_max)
		return;
	ret_who->alive = tarn__member_alive(section->region, id);
	tarn__member_read(section->region, ret_who->slot, &stat);
	ret_who->pid = stat.pid;
}

static int timed_out(struct tarn_section *section, struct tarn_diag *diag)
{
	struct tarn_section_stat stat;
	int32_t pid;

	if (diag == NULL)
		return -ETIMEDOUT;
	tarn__section_read_stat(section, &stat);
	pid = stat.owner.pid;
	if (!stat.held || stat.damaged)
		return tarn__diag(diag, -ETIMEDOUT,
				  "%s %s was always taken by others until the deadline",
				  section->noun, section->name);
	if (!stat.owner.alive) {
		tarn__diag(diag, -ETIMEDOUT,
			   "%s %s was held by process %" PRId32 ", thread %" PRId32
			   ", which has died, and what it left was not undone before the deadline",
			   section->noun, section->name, pid, stat.owner.tid);
		tarn__diag_hint(diag, "a later deadline, or tarn_section_recover()");
		return -ETIMEDOUT;
	}

	int64_t ms = stat.since_ns != 0 ? (tarn__plat_now() - stat.since_ns) / 1000000 : 0;

	tarn__diag(diag, -ETIMEDOUT,
		   "%s %s is held by process %" PRId32 ", thread %" PRId32
		   ", which lives, for at least %" PRId64 " ms",
		   section->noun, section->name, pid, stat.owner.tid, ms);
	/* Of which namespace that number is, is not known; if nobody here has it, of another. */
	if (pid > 0 && tarn__plat_pid_there(pid) != 0)
		tarn__diag_hint(diag,
				"see whether it is stopped: ps -o pid,stat,cmd -p %" PRId32
				" (if it is of this PID namespace)",
				pid);
	else
		tarn__diag_hint(diag, "see whether it is stopped, in its own PID namespace: no "
				      "process has that number here");
	return -ETIMEDOUT;
}

/* --- taking -------------------------------------------------------------------------------- */

/*
 * Spin while that lately paid off. Each look takes the word's line away from the one inside, and
 * if the word is free just then, all the lines of the tx, too: so who looks at once and often
 * makes everybody slow. It is looked at seldom, and ever less often, and the one inside goes
 * through many times meanwhile.
 */
static bool spin(struct tarn_section *section)
{
	/* relaxed: a guess, shared by threads */
	uint32_t spins = atomic_load_explicit(&section->spins, memory_order_relaxed);
	uint32_t next = spins / 2 > SPINS_MIN ? spins / 2 : SPINS_MIN;
	uint32_t pauses = SPINS_FIRST_LOOK, seen;
	bool got = false;

	for (uint32_t done = 0; done < spins && !got; done += pauses, pauses *= 2) {
		for (uint32_t i = 0; i < pauses; i++)
			tarn__plat_pause();
		seen = atomic_load_explicit(&section->shm->lock, memory_order_relaxed);
		got = seen == 0 && take(section->shm, 0, id_of(section));
	}
	if (got)
		next = 2 * spins < SPINS_MAX ? 2 * spins : SPINS_MAX;
	atomic_store_explicit(&section->spins, next, memory_order_relaxed);
	return got;
}

/* One look. 1: it is ours; 0: not now; else the error. */
static int look(struct wait *w, uint32_t seen)
{
	struct tarn_section *section = w->section;
	uint32_t owner = seen & ~TARN__ID_FLAG;
	uint32_t mine = w->mine | (seen & TARN__ID_FLAG);
	int r = 0;

	if (owner == 0)
		return take(section->shm, seen, mine);
	if (owner == LOCK_ASIDE)
		return -ENOTRECOVERABLE;
	if (tarn__id_slot(owner) >= section->region->member_max)
		return -EUCLEAN; /* I2 */
	if ((!w->probe && tarn__section_seems_alive(section, owner)) ||
	    tarn__section_owned(section, seen))
		return 0;
	r = tarn__section_clear_leader(section);
	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return r;
	if (!take(section->shm, seen, mine))
		return 0;
	tarn__trace(section->region, TARN_TRACE_OWNER_DEAD, &section->object, owner, 0);
	r = tarn__section_roll_back(section);
	return r < 0 ? r : 1;
}

/* Sleep until the word changes, its owner dies, or a slice has passed. */
static int sleep_on(struct wait *w, uint32_t seen)
{
	_Atomic uint32_t *lock = &w->section->shm->lock;
	int64_t now = tarn__plat_now(), slice = now + tarn__section_net_ns;
	int r;

	if ((seen & TARN__ID_FLAG) == 0 && /* relaxed: the kernel compares it again */
	    !atomic_compare_exchange_strong_explicit(lock, &seen, seen | TARN__ID_FLAG,
						     memory_order_relaxed, memory_order_relaxed))
		return 0;
	w->mine |= TARN__ID_FLAG; /* others may sleep behind us */
	if (!w->slept)            /* relaxed: for the eye */
		atomic_fetch_add_explicit(&w->section->shm->waited, 1, memory_order_relaxed);
	if (!w->slept)
		tarn__wait_begins(w, seen & ~TARN__ID_FLAG);
	tarn__wait_write_down(w, !w->slept);
	w->slept = true;
	tarn__wait_stamp(w->section->shm, now);
	r = tarn__region_sleep(w->section->region, lock, seen | TARN__ID_FLAG,
			       seen & ~TARN__ID_FLAG, slice < w->deadline ? slice : w->deadline);
	w->probe = tarn__plat_now() >= slice;
	return r == -ETIMEDOUT ? 0 : r;
}

static int error_words(struct tarn_section *section, int r, struct tarn_diag *diag)
{
	switch (r) {
	case -EUCLEAN:
		tarn__diag(diag, r, "the lock word of %s %s names nobody", section->noun,
			   section->name);
		break;
	case -ENOTRECOVERABLE:
		tarn__diag(diag, r,
			   "%s %s is set aside: what a dead owner left in it could "
			   "not be undone",
			   section->noun, section->name);
		break;
	case -ETIMEDOUT:
		return timed_out(section, diag);
	case -EDEADLK:
		return r;
	default:
		return tarn__diag(diag, r, "%s %s: %s", section->noun, section->name, strerror(-r));
	}
	tarn__diag_hint(diag, "tarn_section_recover(), or tarn recover");
	return r;
}

/* Look and sleep in turn. 1: it is ours. */
static int wait_for(struct wait *w)
{
	struct tarn_section *section = w->section;
	int tries = 0, r = 0;

	for (;;) {
		/* relaxed: decided by the exchange in take() */
		uint32_t seen = atomic_load_explicit(&section->shm->lock, memory_order_relaxed);

		if (TARN__UNLIKELY(tarn_segment_damaged(section->region->seg)))
			return -EIO;
		r = look(w, seen);
		if (r != 0)
			return r;
		/* A word that keeps changing is looked at again at once, but not for ever. */
		if ((seen & ~TARN__ID_FLAG) == 0 && ++tries % TRIES_MAX != 0)
			continue;
		if (tarn__plat_now() >= w->deadline)
			return -ETIMEDOUT;
		if ((seen & ~TARN__ID_FLAG) == 0)
			continue;
		if (w->slept) {
			r = tarn__section_deadlock(section, &w->seen, w->diag);
			if (r < 0)
				return r;
		}
		r = sleep_on(w, seen);
		if (r < 0)
			return r;
	}
}

int tarn__section_lock(struct tarn_section *section, int64_t deadline, bool wait,
		       struct tarn_diag *diag)
{
	struct wait w = {
		.section = section,
		.deadline = deadline,
		.mine = id_of(section),
		.probe = !wait,
		.diag = diag,
	};
	int r;

	if (take(section->shm, 0, id_of(section)))
		return 0;
	if (wait && tarn__plat_now() < deadline && spin(section))
		return 0;
	if (wait) {
		r = wait_for(&w);
		tarn__wait_cross_out(&w, r);
		/* It may be us that the last unlock has woken: let another sleeper look. */
		if (r < 0 && w.slept)
			tarn__section_wake(section->shm, 1);
	} else {
		/* relaxed: decided by the exchange in take() */
		r = look(&w, atomic_load_explicit(&section->shm->lock, memory_order_relaxed));
		if (r == 0)
			return tarn__diag(diag, -EAGAIN, "%s %s is taken", section->noun,
					  section->name);
	}
	return r < 0 ? error_words(section, r, diag) : 0;
}
