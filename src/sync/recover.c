/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recover.c - undo what a tx changed: for a thread that aborts, and for a dead one.
 *
 * The journal is checked whole before the first byte is put back, and each entry again, loaded
 * once, when it is put back: a peer may write to it meanwhile. It is walked from its end, so that
 * of two entries for one place the older wins; and nothing in it changes, so that who is killed
 * on the way leaves the next one the same work.
 *
 * For a follower (section.h) there is no journal of its own: its leader is settled first. No lock
 * is held while waiting for that, and nothing is waited for but a rollback that is under way, which
 * itself waits for nothing; so recovering cannot close a circle.
 */
#include <errno.h>
#include <inttypes.h>

#include "region/trace.h"
#include "sync/section.h"

const char *tarn__journal_step(const struct tarn_section *section, uint64_t heap, uint32_t at,
			       uint32_t seq, struct tarn__step *ret)
{
	const struct tarn_region *region = section->region;
	struct tarn_tx_entry entry = tarn__load_unit(&section->shm->journal[at - 1]);
	uint64_t units;

	ret->off = entry.where >> 16;
	ret->code = entry.where & CODE_MASK;
	ret->old = entry.old;
	ret->data = at - 1;
	if ((entry.where & TAG_MASK) != ((uint64_t)seq << 3 & TAG_MASK))
		return "its tag is another tx's";
	if (ret->code <= 3) {
		ret->size = UINT64_C(1) << ret->code;
	} else if (ret->code == CODE_TOUCH) {
		ret->size = entry.old;
	} else if (ret->code == CODE_RANGE) {
		ret->size = entry.old;
		units = ret->size / SECTION_UNIT + (ret->size % SECTION_UNIT != 0);
		if (units > at - 1)
			return "it is longer than what is before it";
		ret->data = at - 1 - (uint32_t)units;
	} else {
		return "its size is none";
	}
	if (ret->off < region->heap_off ||
	    !tarn__inside(ret->off - region->heap_off, ret->size, heap))
		return "it lies outside the region's objects";
	if (ret->code <= 3 && ret->off % ret->size != 0)
		return "it is not aligned";
	if (ret->off < section->object.off + section->object.size &&
	    ret->off + ret->size > section->object.off)
		return "it lies in the section itself";
	return NULL;
}

const char *tarn__journal_fault(const struct tarn_section *section, uint32_t count, uint32_t seq,
				uint32_t *ret_unit)
{
	uint64_t heap = tarn__heap_size(section->region);
	struct tarn__step step;

	*ret_unit = count;
	if (count > section->units)
		return "count is larger than the journal"; /* I4 */
	for (uint32_t at = count; at > 0; at = step.data) {
		const char *fault = tarn__journal_step(section, heap, at, seq, &step);

		*ret_unit = at - 1;
		if (fault != NULL)
			return fault;
	}
	return NULL;
}

static void put_back(struct tarn_section *section, const struct tarn__step *step)
{
	unsigned char *to = section->region->base + step->off;

	if (step->code == CODE_RANGE)
		tarn__store_bytes(to, &section->shm->journal[step->data], (size_t)step->size);
	else if (step->code != CODE_TOUCH)
		tarn__store_word(to, step->code, step->old);
}

int tarn__journal_undo(struct tarn_section *section, uint32_t count, uint32_t seq)
{
	uint64_t heap = tarn__heap_size(section->region);
	struct tarn__step step;
	uint32_t unit;

	if (tarn__journal_fault(section, count, seq, &unit) != NULL)
		return -EUCLEAN; /* rule 6 */
	for (uint32_t at = count; at > 0; at = step.data) {
		if (tarn__journal_step(section, heap, at, seq, &step) != NULL)
			return -EUCLEAN; /* changed since */
		put_back(section, &step);
	}
	return 0;
}

/* What can be undone of a journal that fails: up to the first entry that does. */
static void undo_forced(struct tarn_section *section, uint32_t count, uint32_t seq)
{
	uint64_t heap = tarn__heap_size(section->region);
	struct tarn__step step;

	if (count > section->units)
		return;
	for (uint32_t at = count; at > 0; at = step.data) {
		if (tarn__journal_step(section, heap, at, seq, &step) == NULL)
			put_back(section, &step);
		else
			step.data = at - 1;
	}
}

/* --- leaders ------------------------------------------------------------------------------- */

/* Is the fate of the tx open that @section was part of? */
static bool leader_open(const struct tarn_section *leader, uint32_t leader_seq)
{
	/* V2 <- V1 in settle(): if it is decided, so are its stores */
	return atomic_load_explicit(&leader->shm->seq, memory_order_acquire) == leader_seq;
}

int tarn__section_clear_leader(struct tarn_section *section)
{
	struct section_shm *shm = section->shm;
	struct tarn_section leader;
	/* acquire: leader and its seq were stored before seq became odd */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_acquire);
	/* relaxed: the owner is dead, nobody writes */
	uint32_t place = atomic_load_explicit(&shm->leader, memory_order_relaxed);
	uint32_t leader_seq = atomic_load_explicit(&shm->leader_seq, memory_order_relaxed);
	uint32_t seen;
	int r;

	if ((seq & 1) == 0 || place == place_of(section))
		return 0;
	r = tarn__section_at(section->region, (uint64_t)place * TARN__CACHE_LINE, &leader);
	if (r < 0)
		return -ENOTRECOVERABLE; /* I5 */
	if (!leader_open(&leader, leader_seq))
		return 0;
	/* relaxed: decided by the exchange in take() */
	seen = atomic_load_explicit(&leader.shm->lock, memory_order_relaxed);
	if ((seen & ~TARN__ID_FLAG) == LOCK_ASIDE)
		return -ENOTRECOVERABLE;
	if (tarn__section_owned(&leader, seen) ||
	    !take(leader.shm, seen, id_of(section) | (seen & TARN__ID_FLAG)))
		return -EAGAIN;
	/* relaxed: take() has acquired it */
	if (atomic_load_explicit(&leader.shm->leader, memory_order_relaxed) != place) {
		unlock(leader.shm, LOCK_ASIDE); /* I5: a leader leads itself */
		return -ENOTRECOVERABLE;
	}
	r = tarn__section_roll_back(&leader);
	if (r == 0)
		unlock(leader.shm, 0);
	tarn__listen_drop(&leader);
	return r;
}

void tarn__count_recovered(struct section_shm *shm)
{
	/* relaxed, all: the lock is ours, and what is counted is for the eye */
	uint32_t count = atomic_load_explicit(&shm->recovered, memory_order_relaxed);

	/* A section is as it was. */
	if (shm->magic != SECTION_MAGIC)
		atomic_store_explicit(&shm->inconsistent, 1, memory_order_relaxed);
	atomic_store_explicit(&shm->recovered, count + 1, memory_order_relaxed);
}

/* Undone, or nothing to undo: as whoever enters is to find it (rule 4). The lock is ours. */
static void clean(struct tarn_section *section, uint32_t seq)
{
	struct section_shm *shm = section->shm;

	if ((seq & 1) != 0)
		settle(shm, seq);
	if (tarn__listened(shm))
		tarn__listen_publish(section);
	/* It may have been committed by a member whose words have four bytes, and not emptied.
	 * relaxed: published by unlock(); if we die before, done again by whoever comes next */
	atomic_store_explicit(&shm->count, 0, memory_order_relaxed);
	atomic_store_explicit(&shm->leader, place_of(section), memory_order_relaxed);
	atomic_store_explicit(&shm->tid, 0, memory_order_relaxed);
}

static void say_undone(struct tarn_section *section, uint32_t whom, uint32_t units)
{
	tarn__trace(section->region, TARN_TRACE_ROLLBACK, &section->object, whom, units);
}

int tarn__section_roll_back(struct tarn_section *section)
{
	struct section_shm *shm = section->shm;
	/* relaxed, all: take() has acquired them */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_relaxed);
	uint32_t count = atomic_load_explicit(&shm->count, memory_order_relaxed);
	uint32_t place = atomic_load_explicit(&shm->leader, memory_order_relaxed);

	if ((seq & 1) != 0) {
		if (place == place_of(section) && tarn__journal_undo(section, count, seq) < 0) {
			unlock(shm, LOCK_ASIDE);
			tarn__trace(section->region, TARN_TRACE_ASIDE, &section->object, 0, 0);
			return -ENOTRECOVERABLE;
		}
		if (shm->magic == SECTION_MAGIC)
			say_undone(section, 0, count);
		if (place == place_of(section))
			tarn__listen_undone(section, count, seq, true);
		tarn__count_recovered(shm);
	}
	clean(section, seq);
	return 0;
}

/* --- what may yet be undone ---------------------------------------------------------------- */

static bool overlaps(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

/* Has the journal an entry for a byte of [@off, @off + @size)? */
static bool journal_names(const struct tarn_section *section, uint32_t count, uint32_t seq,
			  uint64_t off, uint64_t size)
{
	uint64_t heap = tarn__heap_size(section->region);
	struct tarn__step step;

	if (count > section->units)
		return false; /* I4: such a one is not undone */
	for (uint32_t at = count; at > 0; at = step.data) {
		if (tarn__journal_step(section, heap, at, seq, &step) != NULL)
			step.data = at - 1; /* as in undo_forced() */
		else if (overlaps(step.off, step.size, off, size))
			return true;
	}
	return false;
}

static bool owes(struct tarn_section *section, uint64_t off, uint64_t size)
{
	struct section_shm *shm = section->shm;
	/* relaxed: whoever is undoing it has its id there until the last store to the section */
	uint32_t lock = atomic_load_explicit(&shm->lock, memory_order_relaxed);
	/* V2 <- V1 in settle(): if it is even, what was put back is there */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_acquire);
	/* relaxed, both: constant while it is undone; a live one's tx is not about memory that
	 * nobody holds */
	uint32_t count = atomic_load_explicit(&shm->count, memory_order_relaxed);
	uint32_t place = atomic_load_explicit(&shm->leader, memory_order_relaxed);
	uint64_t at = (uint64_t)place * TARN__CACHE_LINE;
	bool odd = (seq & 1) != 0, aside = (lock & ~TARN__ID_FLAG) == LOCK_ASIDE;

	if (overlaps(section->object.off, section->object.size, off, size) &&
	    ((odd && !aside) || tarn__section_owned(section, lock)))
		return true;
	if (!odd)
		return false;
	if (place == place_of(section))
		return journal_names(section, count, seq, off, size);
	return overlaps(at, 1, off,
			size); /* its leader: whether that has committed is to be seen */
}

bool tarn__object_owed(struct tarn_region *region, uint64_t off, uint64_t size)
{
	struct tarn_section section;
	struct tarn__object object;
	struct entry entry;

	for (uint32_t i = 0; tarn__section_next(region, &i, &object, &entry); i++)
		if (tarn__section_handle(region, &object, entry.name, &section, NULL) == 0 &&
		    owes(&section, off, size))
			return true;
	return false;
}

/* --- tarn_section_recover() ----------------------------------------------------------------- */

static int say_fault(struct tarn_section *section, uint32_t seq, uint32_t count,
		     struct tarn_diag *diag)
{
	uint32_t unit = 0;
	const char *fault = tarn__journal_fault(section, count, seq, &unit);

	if (fault == NULL)
		tarn__diag(diag, -ENOTRECOVERABLE,
			   "section %s was changed together with another one that could not be "
			   "rolled back, or is gone",
			   section->name);
	else
		tarn__diag(diag, -ENOTRECOVERABLE,
			   "section %s cannot be rolled back: unit %" PRIu32 " of its journal: %s",
			   section->name, unit, fault);
	tarn__diag_hint(diag, "TARN_SECTION_FORCE undoes the rest and frees it; what it guards may "
			      "be inconsistent then");
	return -ENOTRECOVERABLE;
}

/* The lock is ours, and was @seen before. -EAGAIN: somebody who lives has its leader; everything is
 * as it was, the lock included. */
static int mend(struct tarn_section *section, uint32_t seen, uint32_t flags, struct tarn_diag *diag)
{
	struct section_shm *shm = section->shm;
	/* relaxed, all: take() has acquired them */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_relaxed);
	uint32_t count = atomic_load_explicit(&shm->count, memory_order_relaxed);
	bool own = atomic_load_explicit(&shm->leader, memory_order_relaxed) == place_of(section);
	bool force = (flags & TARN_SECTION_FORCE) != 0;
	int r = 0;

	if ((seq & 1) == 0 || shm->magic != SECTION_MAGIC)
		r = 0; /* the lock word alone was wrong, or it is a primitive: no journal */
	else if (own)
		r = tarn__journal_undo(section, count, seq);
	else
		r = tarn__section_clear_leader(section);
	if (r == -EAGAIN) {
		unlock(shm, seen);
		return r;
	}
	if (r < 0 && !force) {
		unlock(shm, LOCK_ASIDE);
		tarn__trace(section->region, TARN_TRACE_ASIDE, &section->object,
			    seen & ~TARN__ID_FLAG, 0);
		return say_fault(section, seq, own ? count : 0, diag);
	}
	if (r < 0 && own)
		undo_forced(section, count, seq);
	if ((seq & 1) != 0 && shm->magic == SECTION_MAGIC)
		say_undone(section, seen & ~TARN__ID_FLAG, count);
	if ((seq & 1) != 0 && own && shm->magic == SECTION_MAGIC)
		tarn__listen_undone(section, count, seq, r == 0);
	else if (r < 0)
		tarn__listen_unknown(section);
	/* A spin lock has an owner without its version being odd. */
	if ((seq & 1) != 0 || shm->flags >> 16 == TARN_OBJECT_SPIN)
		tarn__count_recovered(shm);
	clean(section, seq);
	unlock(shm, 0);
	return 0;
}

static int recover_one(struct tarn_section *section, uint32_t flags, struct tarn_diag *diag);

/* The journal of a follower's tx is its leader's: that one first, or what it puts back later would
 * lie over what was committed since. */
static int recover_leader(struct tarn_section *section, uint32_t flags, struct tarn_diag *diag)
{
	struct section_shm *shm = section->shm;
	struct tarn_section leader;
	/* acquire: leader and its seq were stored before seq became odd */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_acquire);
	/* relaxed, all: the owner is dead, nobody writes */
	uint32_t place = atomic_load_explicit(&shm->leader, memory_order_relaxed);
	uint32_t leader_seq = atomic_load_explicit(&shm->leader_seq, memory_order_relaxed);
	int r = 0;

	if ((seq & 1) == 0 || place == place_of(section) || shm->magic != SECTION_MAGIC ||
	    tarn__section_at(section->region, (uint64_t)place * TARN__CACHE_LINE, &leader) < 0)
		return 0; /* mend() says what is wrong */
	if (leader_open(&leader, leader_seq) &&
	    atomic_load_explicit(&leader.shm->leader, memory_order_relaxed) == place)
		r = recover_one(&leader, flags, diag);
	tarn__listen_drop(&leader);
	return r;
}

static int recover_one(struct tarn_section *section, uint32_t flags, struct tarn_diag *diag)
{
	enum { TRIES = 100 }; /* lost to others in a row; a hostile peer could go on for ever */
	int r;

	for (int i = 0; i < TRIES; i++) {
		/* relaxed: decided by the exchange in take() */
		uint32_t seen = atomic_load_explicit(&section->shm->lock, memory_order_relaxed);
		uint32_t seq = atomic_load_explicit(&section->shm->seq, memory_order_relaxed);

		if (tarn__section_owned(section, seen))
			return tarn__diag(diag, -EBUSY, "section %s: its owner lives",
					  section->name);
		if ((seen & ~TARN__ID_FLAG) == 0 && (seq & 1) == 0)
			return 0;
		r = recover_leader(section, flags, diag);
		if (r == -EBUSY)
			return r;
		if (!take(section->shm, seen, id_of(section) | (seen & TARN__ID_FLAG)))
			continue;
		r = mend(section, seen, flags, diag);
		if (r != -EAGAIN)
			return r;
	}
	return tarn__diag(diag, -EBUSY, "section %s: others were always faster", section->name);
}

/* A section, or a primitive: its kind, or as tarn__object_find(). */
static int find_lock(struct tarn_region *region, const char *name, struct tarn__object *ret_object,
		     struct tarn_diag *diag)
{
	int r = -EPROTO;

	for (uint32_t kind = TARN_OBJECT_TOPIC; kind >= TARN_OBJECT_SECTION; kind--) {
		if (!tarn__is_lock(kind))
			continue;
		r = tarn__object_find(region, name, kind, ret_object, diag);
		if (r != -EPROTO)
			return r < 0 ? r : (int)kind;
	}
	return r;
}

static int recover_entered(struct tarn_region *region, const char *name, uint32_t flags,
			   struct tarn_diag *diag)
{
	struct tarn_section section;
	struct tarn__object object;
	struct entry entry;
	int r = 0, one = 0, kind;

	if (name == NULL) {
		for (uint32_t i = 0; tarn__lock_next(region, &i, &object, &entry); i++) {
			if (!tarn__object_hold(region, &object))
				continue;
			one = tarn__lock_handle(region, &object, entry.kind, entry.name, &section,
						diag);
			if (one == 0) {
				one = recover_one(&section, flags, diag);
				tarn__listen_drop(&section);
				tarn__lock_free_seats(region, &object, entry.kind);
			}
			tarn__object_drop(region, &object);
			r = one < 0 && one != -EBUSY ? one : r;
		}
		return r;
	}
	kind = find_lock(region, name, &object, diag);
	if (kind < 0)
		return kind;
	r = tarn__lock_handle(region, &object, (uint32_t)kind, name, &section, diag);
	if (r == 0) {
		r = recover_one(&section, flags, diag);
		tarn__listen_drop(&section);
		tarn__lock_free_seats(region, &object, (uint32_t)kind);
	}
	tarn__object_drop(region, &object);
	return r;
}

int tarn_section_recover(struct tarn_region *region, const char *name, uint32_t flags,
			 struct tarn_diag *diag)
{
	struct tarn_diag words = { .what = "" };
	int r;

	if ((flags & ~TARN_SECTION_FORCE) != 0)
		return tarn__diag(diag, -EINVAL, "flags 0x%" PRIx32 " are not known", flags);
	r = tarn__region_enter_member(region);
	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EPERM ? "the region was opened to look on"
					      : "the region cannot be used");
	r = recover_entered(region, name, flags, &words);
	tarn__region_leave(region);
	return tarn__diag_pass(diag, &words, r);
}
