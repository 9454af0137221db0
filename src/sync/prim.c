/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prim.c - make, open and close a primitive; its lock, its seats, and waiting for either. The
 * bytes, their owners and the ordering are drawn in prim.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "region/trace.h"
#include "sync/prim.h"

enum {
	SPINS_FIRST = 512,
	SPINS_LEAST = 8,   /* a microsecond: where it does not pay off, it costs little */
	SPINS_MOST = 2048, /* about what a sleep and a wake cost */
	MISSES_MOST = 256, /* then much is tried again */
};

/* --- make and open ------------------------------------------------------------------------- */

const char *tarn__prim_noun(uint32_t kind)
{
	static const char *const nouns[] = {
		[TARN_OBJECT_MUTEX] = "mutex",
		[TARN_OBJECT_RWLOCK] = "rwlock",
		[TARN_OBJECT_SEM] = "semaphore",
		[TARN_OBJECT_COND] = "condition variable",
		[TARN_OBJECT_BARRIER] = "barrier",
		[TARN_OBJECT_EVENT] = "event",
		[TARN_OBJECT_ONCE] = "once",
		[TARN_OBJECT_SPIN] = "spin lock",
		[TARN_OBJECT_SEQLOCK] = "sequence lock",
		[TARN_OBJECT_LATEST] = "latest value",
		[TARN_OBJECT_TOPIC] = "topic",
		[TARN_OBJECT_COUNTERS] = "counters",
	};

	return kind < sizeof(nouns) / sizeof(nouns[0]) ? nouns[kind] : NULL;
}

struct fresh {
	const struct tarn_region *region;
	const struct prim_want *want;
};

/* Bytes up to what a kind has behind its seats. */
static uint64_t bytes_before(const struct prim_want *want)
{
	uint64_t size = sizeof(struct section_shm) + (uint64_t)want->seats * SECTION_UNIT;

	return want->behind == 0
		       ? size
		       : (size + TARN__CACHE_LINE - 1) & ~(uint64_t)(TARN__CACHE_LINE - 1);
}

static void init_prim(unsigned char *base, uint64_t size, void *arg)
{
	struct section_shm *shm = (struct section_shm *)(void *)base;
	const struct fresh *fresh = arg;

	memset(shm, 0, (size_t)bytes_before(fresh->want));
	if (fresh->want->behind != 0)
		fresh->want->init_behind(base + bytes_before(fresh->want),
					 size - bytes_before(fresh->want), fresh->want->arg);
	shm->magic = PRIM_MAGIC;
	shm->version = PRIM_VERSION;
	shm->units = fresh->want->seats;
	shm->flags = fresh->want->kind << 16 | fresh->want->flags;
	shm->check = tarn__section_header_check(shm);
	atomic_init(&shm->leader,
		    (uint32_t)((uint64_t)(base - fresh->region->base) / TARN__CACHE_LINE));
	atomic_init(&shm->state, fresh->want->state);
}

static const char *header_fault(const struct section_shm *shm, uint64_t size, uint32_t kind)
{
	if (size < sizeof(*shm))
		return "size";
	if (shm->magic != PRIM_MAGIC)
		return "magic";
	if (shm->check != tarn__section_header_check(shm))
		return "check";
	if (shm->version != PRIM_VERSION)
		return "version";
	if (shm->flags >> 16 != kind)
		return "flags"; /* I1 */
	if (shm->units > PRIM_SEATS || shm->units > (size - sizeof(*shm)) / SECTION_UNIT)
		return "units"; /* I1 */
	return NULL;
}

int tarn__prim_handle(struct tarn_region *region, const struct tarn__object *object, uint32_t kind,
		      const char *name, struct prim *ret_prim, struct tarn_diag *diag)
{
	struct section_shm *shm = (struct section_shm *)(void *)object->base;
	const char *fault = header_fault(shm, object->size, kind);
	struct tarn_section *sec = &ret_prim->sec;

	if (fault != NULL && strcmp(fault, "version") == 0)
		return tarn__diag(diag, -EPROTO, "%s %s: its version is not %u",
				  tarn__prim_noun(kind), name, PRIM_VERSION);
	if (fault != NULL)
		return tarn__diag(diag, -EUCLEAN, "%s %s: its header is damaged (%s)",
				  tarn__prim_noun(kind), name, fault);
	memset(ret_prim, 0, sizeof(*ret_prim));
	ret_prim->kind = kind;
	ret_prim->flags = shm->flags & PRIM_FLAGS_MASK;
	ret_prim->seats = (struct seat_shm *)(void *)shm->journal;
	/* Read twice, by the check and here: not more than there is, whatever it says now. A writer
	 * looks at the first reader's seat without asking whether there is one. */
	ret_prim->seat_count = shm->units;
	if (ret_prim->seat_count > (object->size - sizeof(*shm)) / SECTION_UNIT ||
	    (ret_prim->seat_count == 0 && kind == TARN_OBJECT_RWLOCK))
		return tarn__diag(diag, -EUCLEAN, "%s %s: its header is damaged (units)",
				  tarn__prim_noun(kind), name);
	sec->shm = shm;
	sec->noun = tarn__prim_noun(kind);
	sec->region = region;
	sec->object = *object;
	memcpy(sec->name, name, strnlen(name, TARN_OBJECT_NAME_MAX));
	atomic_init(&sec->id, region->id);
	atomic_init(&sec->spins, SPINS_FIRST);
	atomic_init(&ret_prim->last,
		    ret_prim->seat_count != 0
			    ? &ret_prim->seats[tarn__id_slot(region->id) % ret_prim->seat_count]
			    : NULL);
	ret_prim->next_held = &tarn__held_none;
	sec->tx.leader = sec;
	return 0;
}

bool tarn__lock_next(struct tarn_region *region, uint32_t *index, struct tarn__object *ret_object,
		     struct entry *ret_entry)
{
	for (; *index < region->object_max; ++*index) {
		uint32_t state = tarn__entry_read(region, *index, ret_entry);

		if (state == TARN__ENTRY_FREE || !tarn__is_lock(ret_entry->kind) ||
		    tarn__entry_fault(region, *index, ret_entry) != NULL ||
		    ret_entry->size < sizeof(struct section_shm))
			continue;
		*ret_object = (struct tarn__object){ .index = *index,
						     .state = state,
						     .off = ret_entry->off,
						     .size = ret_entry->size,
						     .base = region->base + ret_entry->off };
		return true;
	}
	return false;
}

int tarn__lock_handle(struct tarn_region *region, const struct tarn__object *object, uint32_t kind,
		      const char *name, struct tarn_section *ret_section, struct tarn_diag *diag)
{
	struct prim prim;
	int r;

	if (kind == TARN_OBJECT_SECTION)
		return tarn__section_handle(region, object, name, ret_section, diag);
	r = tarn__prim_handle(region, object, kind, name, &prim, diag);
	if (r == 0) {
		*ret_section = prim.sec;
		ret_section->tx.leader = ret_section;
	}
	return r;
}

bool tarn__is_lock(uint32_t kind)
{
	return kind == TARN_OBJECT_SECTION || tarn__prim_noun(kind) != NULL;
}

static struct prim *prim_of(struct tarn__forkable *self)
{
	return (struct prim *)(void *)((char *)self - offsetof(struct prim, sec.forkable));
}

/* In a child: the parent's threads have what was had. */
static void prim_forked(struct tarn__forkable *self)
{
	struct prim *prim = prim_of(self);

	atomic_init(&prim->sec.id, 0);
	prim->next_held = &tarn__held_none;
	prim->depth = 0;
}

/* What its kind's own flags make of it, behind "one". */
static const char *flag_words(uint32_t kind, uint32_t flags)
{
	static const char *const words[][2] = {
		[TARN_OBJECT_MUTEX] = { "that is not recursive",
					"that is recursive (TARN_MUTEX_RECURSIVE)" },
		[TARN_OBJECT_SEM] = { "that counts", "whose permits have owners (TARN_SEM_OWNED)" },
		[TARN_OBJECT_EVENT] = { "that stays set", "that resets itself (TARN_EVENT_AUTO)" },
		[TARN_OBJECT_LATEST] = { "that is copied",
					 "that is filled in place (TARN_LATEST_IN_PLACE)" },
	};

	return kind < sizeof(words) / sizeof(words[0]) && flags <= 1 && words[kind][flags] != NULL
		       ? words[kind][flags]
		       : "of a later version";
}

/* What a seat is for. */
static const char *seat_words(uint32_t kind)
{
	return kind == TARN_OBJECT_RWLOCK     ? "readers"
	       : kind == TARN_OBJECT_SEM      ? "permits"
	       : kind == TARN_OBJECT_BARRIER  ? "parties"
	       : kind == TARN_OBJECT_LATEST   ? "holders"
	       : kind == TARN_OBJECT_COUNTERS ? "handles that add"
					      : "waiters";
}

static int check_same(const struct prim *prim, const struct prim_want *want)
{
	if (want->any || !want->make)
		return 0;
	if (prim->flags != want->flags)
		return tarn__diag(want->diag, -EEXIST, "%s %s is one %s; wanted was one %s",
				  want->noun, prim->sec.name, flag_words(want->kind, prim->flags),
				  flag_words(want->kind, want->flags));
	if (prim->seat_count != want->seats)
		return tarn__diag(want->diag, -EEXIST,
				  "%s %s has room for %" PRIu32 " %s; asked was %" PRIu32,
				  want->noun, prim->sec.name, prim->seat_count,
				  seat_words(want->kind), want->seats);
	return 0;
}

static int open_entered(struct tarn_region *region, const char *name, const struct prim_want *want,
			struct prim **ret_prim)
{
	struct fresh fresh = { .region = region, .want = want };
	const struct tarn__object_want object_want = {
		.kind = want->kind,
		.size = bytes_before(want) + want->behind,
		.init = init_prim,
		.arg = &fresh,
	};
	struct tarn__object object;
	struct prim *prim;
	int r = tarn__object_find_or_make(region, name, &object_want, want->make, &object,
					  want->diag);

	if (r < 0)
		return r;
	prim = calloc(1, want->handle);
	r = prim == NULL ? -ENOMEM
			 : tarn__prim_handle(region, &object, want->kind, name, prim, want->diag);
	if (r == 0)
		r = check_same(prim, want);
	if (r < 0) {
		free(prim);
		tarn__object_drop(region, &object);
		return r;
	}
	prim->sec.forkable.forked = prim_forked;
	prim->thread_ends = want->thread_ends;
	tarn__fork_add(region, &prim->sec.forkable);
	*ret_prim = prim;
	return 0;
}

int tarn__prim_open(struct tarn_region *region, const char *name, const struct prim_want *want,
		    struct prim **ret_prim)
{
	struct tarn_diag words = { .what = "" }; /* not finding it, for one, may yet end well */
	struct prim_want with = *want;
	int r = tarn__region_enter(region);

	if (r < 0)
		return tarn__diag_pass(want->diag, &words, r);
	with.diag = &words;
	with.noun = tarn__prim_noun(want->kind);
	r = open_entered(region, name, &with, ret_prim);
	tarn__region_leave(region);
	return tarn__diag_pass(want->diag, &words, r);
}

static void abandon(struct prim *prim);

void tarn__prim_close(struct prim *prim)
{
	if (prim == NULL)
		return;

	struct tarn_region *region = prim->sec.region;

	if (tarn__prim_mine(prim))
		abandon(prim);
	tarn__region_enter_to_leave(region);
	tarn__fork_remove(region, &prim->sec.forkable);
	tarn__object_drop(region, &prim->sec.object);
	tarn__region_leave(region);
	free(prim);
}

int tarn__prim_ready(struct prim *prim, struct tarn_diag *diag)
{
	int r = id_of(&prim->sec) == 0 ? tarn__section_rejoin(&prim->sec, diag) : 0;

	if (r < 0)
		return r;
	r = tarn__thread_begin();
	if (r < 0)
		return tarn__diag(diag, r, "%s %s: %s", prim->sec.noun, prim->sec.name,
				  strerror(-r));
	return 0;
}

/* --- the lock ------------------------------------------------------------------------------ */

/* The lock is ours. */
static inline int begin(struct prim *prim)
{
	struct thread *me = &tarn__self;
	uint32_t seq;

	if (TARN__UNLIKELY(!tarn__section_start(prim->sec.shm, me, &seq)))
		return -EUCLEAN;
	(void)tarn__prim_hold(prim, me); /* it is ready */
	return tarn__prim_verdict(prim);
}

bool tarn__prim_held(const struct prim *prim)
{
	for (const struct prim *p = tarn__self.held; p != NULL; p = p->next_held)
		if (p->sec.shm == prim->sec.shm)
			return true;
	return false;
}

int tarn__prim_say_died(struct prim *prim, struct tarn_diag *diag)
{
	tarn__diag(diag, -EOWNERDEAD,
		   "%s %s is this thread's; one who had it died, and what it guards may be half "
		   "changed",
		   prim->sec.noun, prim->sec.name);
	tarn__diag_hint(diag, "mend what it guards, and say that it is consistent");
	return -EOWNERDEAD;
}

/* What begin() says, in words. The lock is ours, but where its version contradicts it. */
static int say(struct prim *prim, int r, struct tarn_diag *diag)
{
	if (r == -EOWNERDEAD)
		return tarn__prim_say_died(prim, diag);
	if (r == -EUCLEAN) {
		unlock(prim->sec.shm, LOCK_ASIDE);
		tarn__diag(diag, r, "%s %s is free, and its version says that it is not",
			   prim->sec.noun, prim->sec.name);
		tarn__diag_hint(diag, "tarn_section_recover(), or tarn recover");
	}
	return r;
}

int tarn__prim_lock(struct prim *prim, int64_t deadline, bool wait, struct tarn_diag *diag)
{
	int r = tarn__prim_ready(prim, diag);

	if (r < 0)
		return r;
	if (tarn__prim_held(prim))
		return tarn__diag(diag, -EDEADLK, "this thread has %s %s already", prim->sec.noun,
				  prim->sec.name);
	r = tarn__section_lock(&prim->sec, deadline, wait, diag);
	return r < 0 ? r : say(prim, begin(prim), diag);
}

void tarn__prim_forget(struct prim *prim)
{
	struct prim **p = &tarn__self.held;

	while (*p != NULL && *p != prim)
		p = &(*p)->next_held;
	if (*p == prim)
		*p = prim->next_held;
}

int tarn__prim_say_who(struct prim *prim, int r, uint32_t id, uint32_t tid, const char *does,
		       struct tarn_diag *diag)
{
	struct tarn_section_who who;

	if (diag == NULL)
		return r;
	tarn__section_who(&prim->sec, id, tid, &who);
	if (who.tid == 0) /* of a spin lock it is not known */
		tarn__diag(diag, r, "%s %s: a thread of process %" PRId32 " %s", prim->sec.noun,
			   prim->sec.name, who.pid, does);
	else
		tarn__diag(diag, r, "%s %s: process %" PRId32 ", thread %" PRId32 " %s",
			   prim->sec.noun, prim->sec.name, who.pid, who.tid, does);
	tarn__diag_hint(diag, "see whether it is stopped, or waits for this one");
	return r;
}

void tarn__prim_answer(struct prim *prim)
{
	struct section_shm *shm = prim->sec.shm;

	/* A1 -> A2 in tarn_seqlock_begin(), whose readers have no lock */
	atomic_store_explicit(&shm->inconsistent, 0, memory_order_release);
}

/* Let go as the dead do: the next one is told. */
static void abandon(struct prim *prim)
{
	tarn__count_recovered(prim->sec.shm);
	prim->depth = 0;
	tarn__prim_unlock(prim);
	tarn__prim_ring(prim, INT32_MAX);
}

/* What of this region's handles has seats that the ending thread must not keep. */
static void get_up(struct tarn_region *region, void *arg)
{
	(void)arg;
	pthread_mutex_lock(&region->mutex);
	for (struct tarn__forkable *f = region->forkables; f != NULL; f = f->next) {
		if (f->forked != prim_forked)
			continue;

		struct prim *prim = prim_of(f);

		if (prim->thread_ends != NULL && id_of(&prim->sec) != 0)
			prim->thread_ends(prim);
	}
	pthread_mutex_unlock(&region->mutex);
}

void tarn__prims_thread_ends(struct thread *me)
{
	while (tarn__thread_has_locks(me))
		abandon(me->held);
	if (me->seated)
		tarn__regions_each(get_up, NULL);
	me->seated = false;
}

/* --- waiting ------------------------------------------------------------------------------- */

int tarn__prim_ring_slowly(struct prim *prim, int count)
{
	struct section_shm *shm = prim->sec.shm;
	/* seq_cst: as in tarn__prim_asleep() */
	uint32_t sleep = atomic_load_explicit(&shm->sleep, memory_order_seq_cst);

	/* seq_cst: whoever falls asleep on the new value has looked after what was given back */
	atomic_fetch_add_explicit(&shm->bell, 1, memory_order_seq_cst);
	if (tarn__plat_futex_wake(&shm->bell, count) == 0)
		/* relaxed: nobody slept; if somebody has said since that it will, sleep is another
		 * number */
		(void)atomic_compare_exchange_strong_explicit(&shm->sleep, &sleep, sleep & ~1u,
							      memory_order_relaxed,
							      memory_order_relaxed);
	return 0;
}

void tarn__prim_sleeps(struct section_shm *shm)
{
	/* relaxed: decided by the exchange */
	uint32_t sleep = atomic_load_explicit(&shm->sleep, memory_order_relaxed);

	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		/* seq_cst: B3 -> B4 */
		if (atomic_compare_exchange_weak_explicit(&shm->sleep, &sleep, (sleep | 1) + 2,
							  memory_order_seq_cst,
							  memory_order_relaxed))
			return;
	}
	/* seq_cst: as above, in two steps for whom a peer that changes it for ever lets no other */
	atomic_fetch_add_explicit(&shm->sleep, 2, memory_order_seq_cst);
	atomic_fetch_or_explicit(&shm->sleep, 1, memory_order_seq_cst);
}

/* We are about to sleep. The value of bell to sleep on: of before it was said, so that whoever
 * clears what was said has changed bell since. */
uint32_t tarn__prim_announce(struct section_shm *shm)
{
	/* seq_cst: before sleep is written */
	uint32_t bell = atomic_load_explicit(&shm->bell, memory_order_seq_cst);

	tarn__prim_sleeps(shm);
	return bell;
}

/* How long to spin the next time, after @spins. Two who wake each other up out of sleep never see
 * that spinning would pay off if both did, so that is tried from time to time. */
static uint32_t next_spins(struct prim *prim, uint32_t spins, bool paid_off)
{
	/* relaxed, both: a guess, shared by threads */
	uint32_t misses = atomic_load_explicit(&prim->misses, memory_order_relaxed) + 1;

	if (paid_off)
		misses = 0;
	atomic_store_explicit(&prim->misses, misses, memory_order_relaxed);
	if (paid_off)
		return 2 * spins < SPINS_MOST ? 2 * spins : SPINS_MOST;
	if (misses % MISSES_MOST == 0)
		return SPINS_MOST;
	return spins / 4 > SPINS_LEAST ? spins / 4 : SPINS_LEAST;
}

/* Spin while that lately paid off, looking ever less often. Sooner than in lock.c: who waits here
 * nearly always waits for one event, and not for another to pass many times. */
static int spin(struct prim *prim, struct await *w, tarn__prim_try_fn *try, void *arg)
{
	/* relaxed: a guess, shared by threads */
	uint32_t spins = atomic_load_explicit(&prim->sec.spins, memory_order_relaxed);
	uint32_t pauses = SPINS_LEAST;
	int r = 0;

	for (uint32_t done = 0; done < spins && r == 0; done += pauses, pauses *= 2) {
		for (uint32_t i = 0; i < pauses; i++)
			tarn__plat_pause();
		r = try(prim, w, arg);
	}
	atomic_store_explicit(&prim->sec.spins, next_spins(prim, spins, r != 0),
			      memory_order_relaxed);
	return r;
}

struct change {
	const _Atomic uint32_t *word;
	uint32_t value;
};

static int has_changed(struct prim *prim, struct await *w, void *arg)
{
	const struct change *change = arg;

	(void)prim, (void)w;
	/* relaxed: whoever spins looks again */
	return atomic_load_explicit(change->word, memory_order_relaxed) != change->value;
}

bool tarn__prim_spin(struct prim *prim, const _Atomic uint32_t *word, uint32_t value)
{
	struct change change = { .word = word, .value = value };

	return spin(prim, NULL, has_changed, &change) != 0;
}

static int sleep_on(struct prim *prim, struct await *w, uint32_t bell, int64_t now)
{
	struct section_shm *shm = prim->sec.shm;
	int64_t slice = now + tarn__section_net_ns;
	int r;

	if (!w->w.slept) /* relaxed: for the eye */
		atomic_fetch_add_explicit(&shm->waited, 1, memory_order_relaxed);
	/* Who waits for a message, or the next value, waits for nobody. */
	if (!w->w.slept && prim->kind != TARN_OBJECT_TOPIC && prim->kind != TARN_OBJECT_LATEST)
		tarn__wait_begins(&w->w, w->peer);
	tarn__wait_write_down(&w->w, !w->w.slept);
	w->w.slept = true;
	tarn__wait_stamp(shm, now);
	r = tarn__region_sleep(prim->sec.region, &shm->bell, bell, w->peer,
			       slice < w->w.deadline ? slice : w->w.deadline);
	w->w.probe = tarn__plat_now() >= slice;
	return r == -ETIMEDOUT ? 0 : r;
}

/* Woken: mostly it is there now, and nobody has to say again that it sleeps. Circles are looked for
 * once a sleep, by the look behind that. */
static int look_first(struct prim *prim, struct await *w, tarn__prim_try_fn *try, void *arg)
{
	bool slept = w->w.slept;
	int r;

	w->announced = false;
	w->w.slept = false;
	r = try(prim, w, arg);
	w->w.slept = slept;
	return r;
}

int tarn__prim_await(struct prim *prim, int64_t deadline, tarn__prim_try_fn *try, void *arg)
{
	struct await w = { .w = { .section = &prim->sec, .deadline = deadline } };
	int64_t now = tarn__plat_now();
	int r = try(prim, &w, arg);

	if (r == 0 && now < deadline)
		r = spin(prim, &w, try, arg);
	while (r == 0) {
		uint32_t bell = tarn__prim_announce(prim->sec.shm);

		w.peer = 0;
		w.announced = true;
		w.w.probe |= now >= deadline; /* the last look is a thorough one */
		r = try(prim, &w, arg);
		if (r != 0)
			break;
		if (TARN__UNLIKELY(tarn_segment_damaged(prim->sec.region->seg)))
			r = -EIO;
		else if (now >= deadline)
			r = -ETIMEDOUT;
		else
			r = sleep_on(prim, &w, bell, now);
		now = tarn__plat_now();
		if (r == 0)
			r = look_first(prim, &w, try, arg);
	}
	tarn__wait_cross_out(&w.w, r);
	/* It may be us that the last ring has woken: let another sleeper look. */
	if (r < 0 && w.w.slept)
		tarn__prim_ring(prim, 1);
	return r < 0 ? r : 0;
}

/* --- seats --------------------------------------------------------------------------------- */

bool tarn__seat_dead(struct prim *prim, uint32_t id, bool probe)
{
	struct tarn_section *sec = &prim->sec;

	if (tarn__id_slot(id) >= sec->region->member_max || (id & TARN__ID_FLAG) != 0)
		return true;
	if (id == id_of(sec) || (!probe && tarn__section_seems_alive(sec, id)))
		return false;
	return !tarn__member_alive(sec->region, id);
}

/* Where to look after seat @at: in the next cache line, so that those who come one after another
 * do not share one, then in the next column of all of them. */
static uint32_t after(const struct prim *prim, uint32_t at)
{
	uint32_t next = at + SEATS_A_LINE;

	if (next < prim->seat_count)
		return next;
	next = at % SEATS_A_LINE + 1;
	return next < SEATS_A_LINE && next < prim->seat_count ? next : 0;
}

static int find_free(struct prim *prim)
{
	uint32_t count = prim->seat_count;
	uint32_t at = tarn__seat_guess(prim);

	for (uint32_t i = 0; i < count; i++, at = after(prim, at)) {
		/* seq_cst: B4 <- B3 in tarn__prim_announce() */
		if (atomic_load_explicit(&prim->seats[at].id, memory_order_seq_cst) == 0)
			return (int)at;
	}
	return -1;
}

static void say_dead(struct prim *prim, uint32_t id)
{
	tarn__trace(prim->sec.region, TARN_TRACE_OWNER_DEAD, &prim->sec.object, id, 0);
}

/* Is the seat free, or that of somebody who is dead, which is then freed? */
static bool free_seat(struct prim *prim, uint32_t at, bool probe, uint32_t *ret_peer)
{
	_Atomic uint32_t *word = &prim->seats[at].id;
	/* relaxed: decided by the exchange */
	uint32_t id = atomic_load_explicit(word, memory_order_relaxed), seen;

	/* Who is slower than others looks again: for what they have freed nobody rings. */
	for (int tries = 0; tries < PRIM_TRIES && id != 0; tries++) {
		if (!tarn__seat_dead(prim, id, probe)) {
			*ret_peer = id;
			return false;
		}
		seen = id;
		/* acquire: what the dead did there is visible */
		if (atomic_compare_exchange_strong_explicit(word, &id, 0, memory_order_acquire,
							    memory_order_relaxed)) {
			/* relaxed: for the eye */
			atomic_fetch_add_explicit(&prim->sec.shm->aborted, 1, memory_order_relaxed);
			say_dead(prim, seen);
			return true;
		}
	}
	return id == 0;
}

int tarn__seat_find(struct prim *prim, bool probe, uint32_t *ret_peer)
{
	int found = find_free(prim);

	for (uint32_t at = 0; at < prim->seat_count && found < 0; at++)
		if (free_seat(prim, at, probe, ret_peer))
			found = (int)at;
	return found;
}

void tarn__lock_free_seats(struct tarn_region *region, const struct tarn__object *object,
			   uint32_t kind)
{
	struct prim prim;

	if (!tarn__seats_mendable(kind) ||
	    tarn__prim_handle(region, object, kind, "", &prim, NULL) < 0)
		return;

	struct section_shm *shm = prim.sec.shm;
	/* relaxed: decided by the exchange */
	uint32_t used = atomic_load_explicit(&shm->state, memory_order_relaxed);

	/* relaxed: as many as there are is what rwlock.c makes of more, too */
	if (kind == TARN_OBJECT_RWLOCK && used > prim.seat_count)
		(void)atomic_compare_exchange_strong_explicit(&shm->state, &used, prim.seat_count,
							      memory_order_relaxed,
							      memory_order_relaxed);
	for (uint32_t at = 0; at < prim.seat_count; at++) {
		/* relaxed: decided by the exchange */
		uint32_t id = atomic_load_explicit(&prim.seats[at].id, memory_order_relaxed);

		if (id == 0 || !tarn__seat_dead(&prim, id, true) ||
		    /* seq_cst: T1 -> T2, what the dead did there is visible, and B1 -> B2 */
		    !atomic_compare_exchange_strong_explicit(
			    &prim.seats[at].id, &id, 0, memory_order_seq_cst, memory_order_relaxed))
			continue;
		/* relaxed: for the eye */
		atomic_fetch_add_explicit(&shm->aborted, 1, memory_order_relaxed);
		say_dead(&prim, id);
		(void)tarn__plat_futex_wake(&prim.seats[at].id, 1); /* a writer that drains it */
		tarn__prim_ring(&prim, 1);
	}
}
