/* SPDX-License-Identifier: BSD-2-Clause */
/* prim.c - mutex and semaphores under the scheduler: who has what, who is told, who is woken. */
#include "prims.h"

enum { LONG_NS = 45000000 }; /* several slices of a sleep */

static struct tarn_mutex *mutexes[SCHED_PROCS + 1];
static struct tarn_sem *sems[SCHED_PROCS + 1];

static struct {
	uint32_t inside; /* bit p: process p has what there is */
	uint32_t posted; /* begun */
	uint32_t taken;
	uint32_t done; /* passes that have ended */
} ghost;

/* --- the mutex ----------------------------------------------------------------------------- */

static void in(int me)
{
	uint32_t others = living(ghost.inside & ~(1u << me));

	SCHED_CHECK(others == 0, "P%d has it together with others: %x", me, others);
	ghost.inside = 1u << me;
}

static void pass_mutex(int me)
{
	uint64_t *pair = pair_of[me]->word;
	int r = tarn_mutex_lock(mutexes[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: lock: %s", me, strerror(-r));
	in(me);
	if (r == 0)
		SCHED_CHECK(pair[0] == pair[1], "P%d sees half a change, and was not told", me);
	else if (pair[0] != pair[1])
		pair[1] = pair[0];
	if (r == -EOWNERDEAD)
		r = tarn_mutex_consistent(mutexes[me]);
	SCHED_CHECK(r == 0, "P%d: consistent: %s", me, strerror(-r));
	pair[0]++;
	pair[1]++;
	ghost.inside &= ~(1u << me);
	ghost.done++;
	r = tarn_mutex_unlock(mutexes[me]);
	SCHED_CHECK(r == 0, "P%d: unlock: %s", me, strerror(-r));
}

/* In and out. */
static void hop(int me)
{
	int r = tarn_mutex_lock(mutexes[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: lock: %s", me, strerror(-r));
	in(me);
	ghost.inside &= ~(1u << me);
	must(tarn_mutex_unlock(mutexes[me]));
}

/* P1 waits no longer than that; the others for ever, P0 twice. */
static void hop_or_give_up(int me)
{
	int64_t until = sched_now() + 1;
	int r;

	if (me != 1) {
		hop(me);
		if (me == 0)
			hop(me);
		return;
	}
	sched_deadline(until);
	r = tarn_mutex_lock(mutexes[me], until, NULL);
	if (r == -ETIMEDOUT)
		return;
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: lock: %s", me, strerror(-r));
	in(me);
	ghost.inside &= ~(1u << me);
	must(tarn_mutex_unlock(mutexes[me]));
}

static bool holds(int me)
{
	return (ghost.inside >> me & 1) != 0;
}

/* --- semaphores ---------------------------------------------------------------------------- */

static void wait_for(int me)
{
	int r = tarn_sem_wait(sems[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0, "P%d: wait: %s", me, strerror(-r));
}

static void post(int me)
{
	int r = tarn_sem_post(sems[me]);

	SCHED_CHECK(r == 0, "P%d: post: %s", me, strerror(-r));
}

/* One permit, that has an owner. */
static void pass_owned(int me)
{
	wait_for(me);
	in(me);
	pair_of[me]->word[0]++;
	SCHED_CHECK(ghost.inside == 1u << me, "P%d has it together with others", me);
	ghost.inside &= ~(1u << me);
	post(me);
}

static void pass_owned_twice(int me)
{
	pass_owned(me);
	pass_owned(me);
}

/* One that was posted, or is still to be: unless one of @posters, a bit each, has died. */
static void take_posted(int me, uint32_t posters)
{
	int64_t until = sched_now() + LONG_NS;
	int r;

	sched_deadline(until);
	r = tarn_sem_wait(sems[me], until, NULL);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || (r == -ETIMEDOUT && living(posters) != posters), "P%d: wait: %s", me,
		    strerror(-r));
	if (r != 0)
		return;
	ghost.taken++;
	SCHED_CHECK(ghost.taken <= ghost.posted, "P%d has what nobody has posted", me);
}

/* P0 posts, the others take one each. */
static void make_and_take(int me)
{
	if (me != 0) {
		take_posted(me, 1);
		return;
	}
	for (int i = 0; i < 2; i++) {
		ghost.posted++;
		post(me);
	}
}

/* P0 and P1 post one each, P2 takes both. */
static void take_from_both(int me)
{
	if (me < 2) {
		ghost.posted++;
		post(me);
		return;
	}
	for (int i = 0; i < 2; i++)
		take_posted(me, 3);
}

/* P0 posts once; P1 does not wait for ever, and gives back what it gets; P2 does. */
static void deadline_for_one(int me)
{
	int64_t until = sched_now() + 1000;

	if (me == 1) {
		sched_deadline(until);
		if (tarn_sem_wait(sems[me], until, NULL) != 0)
			return;
		post(me);
	} else if (me == 0) {
		ghost.posted++;
		post(me);
	} else {
		wait_for(me);
		ghost.taken++;
	}
}

/* A peer that gives and takes what is wanted in every instant: there is something whenever one
 * looks, and not the same when one wants to have it. */
static void flip(const void *at, enum sched_access kind)
{
	struct prim *prim = (struct prim *)sems[0];
	_Atomic uint32_t *word = prim->seat_count != 0 ? &prim->seats[0].id : &prim->sec.shm->state;

	if (at != (const void *)word)
		return;
	if (kind == SCHED_LOAD)
		atomic_store(word, prim->seat_count != 0 ? 0 : 1);
	else
		atomic_store(word, atomic_load(word) + 2);
}

static void try_in_vain(int me)
{
	int r = tarn_sem_try(sems[me], NULL);

	SCHED_CHECK(r == -EAGAIN || r == -EUCLEAN, "P%d: try: %s", me, strerror(-r));
	(void)!tarn_sem_post(sems[me]);
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void begin(int procs)
{
	memset(&ghost, 0, sizeof(ghost));
	open_pair(procs);
	sched_ghost(&ghost, sizeof(ghost));
}

static void open_mutexes(int procs)
{
	const struct tarn_mutex_opts opts = { .type = TARN_MUTEX_NORMAL };

	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_mutex_open(sched_region(p), "mutex", &opts, &mutexes[p]));
		keep(mutexes[p]);
	}
	show(mutexes[SCHED_PROCS]);
	begin(procs);
}

static void open_sems(int procs, const struct tarn_sem_opts *opts)
{
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_sem_open(sched_region(p), "sem", opts, &sems[p]));
		keep(sems[p]);
	}
	show(sems[SCHED_PROCS]);
	begin(procs);
}

static void mutex_2(void)
{
	open_mutexes(2);
}

static void mutex_3(void)
{
	open_mutexes(3);
}

static const struct tarn_sem_opts owned = { .value = 1, .flags = TARN_SEM_OWNED };
static const struct tarn_sem_opts counted = { .value = 0 };

static void owned_2(void)
{
	open_sems(2, &owned);
}

static void owned_3(void)
{
	open_sems(3, &owned);
}

static void counted_3(void)
{
	open_sems(3, &counted);
}

static void owned_1(void)
{
	open_sems(1, &owned);
}

static void counted_1(void)
{
	open_sems(1, &counted);
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_mutex_close(mutexes[p]);
		tarn_sem_close(sems[p]);
	}
	close_pair();
	memset(mutexes, 0, sizeof(mutexes));
	memset(sems, 0, sizeof(sems));
}

static void verify_mutex(void)
{
	int r;

	check_region();
	r = tarn_mutex_try(mutexes[SCHED_PROCS], NULL);
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "it cannot be locked: %s", strerror(-r));
	SCHED_CHECK(r != 0 || is_whole(SCHED_PROCS), "half a change is left, and nobody is told");
	SCHED_CHECK(pair_of[SCHED_PROCS]->word[0] >= ghost.done, "a pass was lost");
	must(tarn_mutex_unlock(mutexes[SCHED_PROCS]));
}

static void verify_owned(void)
{
	int r = tarn_sem_try(sems[SCHED_PROCS], NULL);

	SCHED_CHECK(r == 0, "the permit is gone: %s", strerror(-r));
	r = tarn_sem_try(sems[SCHED_PROCS], NULL);
	SCHED_CHECK(r == -EAGAIN, "there are two permits");
	must(tarn_sem_post(sems[SCHED_PROCS]));
	check_region();
}

/* What was posted and not taken is there; one may have died having it. */
static void verify_counted(void)
{
	uint32_t left = 0;

	while (tarn_sem_try(sems[SCHED_PROCS], NULL) == 0)
		left++;
	SCHED_CHECK(left + ghost.taken <= ghost.posted, "%d left of %d posted, and %d were taken",
		    (int)left, (int)ghost.posted, (int)ghost.taken);
	if (!anybody_dead())
		SCHED_CHECK(left + ghost.taken == ghost.posted, "of %d posted, %d are lost",
			    (int)ghost.posted, (int)(ghost.posted - ghost.taken - left));
}

/* What a peer has written there is not to be judged. */
static void put_back(void)
{
	struct prim *prim = (struct prim *)sems[SCHED_PROCS];

	atomic_store(prim->seat_count != 0 ? &prim->seats[0].id : &prim->sec.shm->state, 0);
	check_region();
}

#define MUTEX   .verify = verify_mutex, .cleanup = close_all
#define OWNED   .verify = verify_owned, .cleanup = close_all
#define COUNTED .verify = verify_counted, .cleanup = close_all

const struct sched_scenario sched_prims[] = {
	{ "mutex-2", "two processes lock", .procs = 2, .setup = mutex_2, .body = pass_mutex,
	  .holds = holds, .quick = { 2, 1 }, .full = { { 3, 2 } }, MUTEX },
	{ "mutex-3", "three processes lock", .procs = 3, .setup = mutex_3, .body = pass_mutex,
	  .holds = holds, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, MUTEX },
	{ "mutex-deadline", "one of three does not wait for ever", .procs = 3, .setup = mutex_3,
	  .body = hop_or_give_up, .timers = true, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 } },
	  MUTEX },
	{ "sem-owned-2", "one permit, two processes, twice each", .procs = 2, .setup = owned_2,
	  .body = pass_owned_twice, .holds = holds, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  OWNED },
	{ "sem-owned-3", "one permit, three processes", .procs = 3, .setup = owned_3,
	  .body = pass_owned, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, OWNED },
	{ "sem-slow", "the dead keep the permit for a while", .procs = 2, .setup = owned_2,
	  .body = pass_owned, .slow = true, .timers = true, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  OWNED },
	{ "sem-make", "one posts, two take", .procs = 3, .setup = counted_3, .body = make_and_take,
	  .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 } }, COUNTED },
	{ "sem-take", "two post, one takes both", .procs = 3, .setup = counted_3,
	  .body = take_from_both, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 } }, COUNTED },
	{ "sem-deadline", "one posts, one of two does not wait for ever", .procs = 3,
	  .setup = counted_3, .body = deadline_for_one, .timers = true, .quick = { 2, 0 },
	  .full = { { 3, 0 } }, COUNTED },
	{ "sem-flipped-owned", "a peer flips the only seat for ever", .procs = 1, .setup = owned_1,
	  .body = try_in_vain, .rival = flip, .full = { { 1, 0 } }, .verify = put_back,
	  .cleanup = close_all },
	{ "sem-flipped-counted", "a peer flips the number for ever", .procs = 1, .setup = counted_1,
	  .body = try_in_vain, .rival = flip, .full = { { 1, 0 } }, .verify = put_back,
	  .cleanup = close_all },
	{ 0 },
};
