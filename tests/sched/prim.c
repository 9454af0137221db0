/* SPDX-License-Identifier: BSD-2-Clause */
/* prim.c - mutex and semaphores under the scheduler: who has what, who is told, who is woken. */
#include <errno.h>
#include <string.h>

#include "scenarios.h"
#include "sync/prim.h"

/* Words that are equal whenever nobody is in the middle of changing them. */
static struct data {
	uint64_t pair[2];
} * data[SCHED_PROCS + 1];

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
	uint32_t others = ghost.inside & ~(1u << me);

	for (int p = 0; p < SCHED_PROCS; p++)
		if (sched_dead(p))
			others &= ~(1u << p);
	SCHED_CHECK(others == 0, "P%d has it together with others: %x", me, others);
	ghost.inside = 1u << me;
}

static void pass_mutex(int me)
{
	uint64_t *pair = data[me]->pair;
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

static void try_mutex(int me)
{
	int r;

	if (me != 2) {
		pass_mutex(me);
		return;
	}
	r = tarn_mutex_lock(mutexes[me], sched_now() + 1000, NULL);
	if (r != 0 && r != -EOWNERDEAD)
		return;
	in(me);
	ghost.inside &= ~(1u << me);
	(void)!tarn_mutex_unlock(mutexes[me]);
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
	ghost.inside &= ~(1u << me);
	post(me);
}

static void pass_owned_twice(int me)
{
	pass_owned(me);
	pass_owned(me);
}

/* P0 posts, the others take one each. */
static void make_and_take(int me)
{
	if (me == 0) {
		for (int i = 0; i < 2; i++) {
			ghost.posted++;
			post(me);
		}
		return;
	}
	wait_for(me);
	ghost.taken++;
	SCHED_CHECK(ghost.taken <= ghost.posted, "P%d has what nobody has posted", me);
}

/* P0 and P1 post one each, P2 takes both. */
static void take_from_both(int me)
{
	if (me < 2) {
		ghost.posted++;
		post(me);
		return;
	}
	for (int i = 0; i < 2; i++) {
		wait_for(me);
		ghost.taken++;
		SCHED_CHECK(ghost.taken <= ghost.posted, "P%d has what nobody has posted", me);
	}
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void show(struct prim *prim)
{
	const struct section_shm *shm = prim->sec.shm;

	sched_hot(NULL, &shm->lock,
		  sizeof(*shm) - offsetof(struct section_shm, lock) + 16 * prim->seat_count);
	sched_name("lock", &shm->lock);
	sched_name("state", &shm->state);
	sched_name("bell", &shm->bell);
	sched_name("sleep", &shm->sleep);
	sched_name("seq", &shm->seq);
	sched_name("recovered", &shm->recovered);
	sched_name("waiters", &shm->waiters);
	sched_name("seats", &shm->journal);
}

static void keep(void *prim, size_t size)
{
	atomic_store(&((struct prim *)prim)->sec.spins, 1);
	must(tarn__thread_begin());
	sched_private(prim, size);
}

static void open_data(int procs)
{
	void *at;

	memset(&ghost, 0, sizeof(ghost));
	sched_as(SCHED_PROCS);
	must(tarn_object_create(sched_region(SCHED_PROCS), "data", sizeof(struct data), &at, NULL));
	memset(at, 0, sizeof(struct data));
	data[SCHED_PROCS] = at;
	for (int p = 0; p < procs; p++) {
		sched_as(p);
		must(tarn_object_open(sched_region(p), "data", &at, NULL));
		data[p] = at;
	}
	sched_as(SCHED_PROCS);
	sched_hot("data", data[SCHED_PROCS], sizeof(struct data));
	sched_ghost(&ghost, sizeof(ghost));
}

static void open_mutexes(int procs)
{
	const struct tarn_mutex_opts opts = { .type = TARN_MUTEX_NORMAL };

	for (int i = 0; i <= procs; i++) {
		int p = i == procs ? SCHED_PROCS : i;

		sched_as(p);
		must(tarn_mutex_open(sched_region(p), "mutex", &opts, &mutexes[p]));
		keep(mutexes[p], sizeof(struct prim));
	}
	show((struct prim *)mutexes[SCHED_PROCS]);
	open_data(procs);
}

static void open_sems(int procs, const struct tarn_sem_opts *opts)
{
	for (int i = 0; i <= procs; i++) {
		int p = i == procs ? SCHED_PROCS : i;

		sched_as(p);
		must(tarn_sem_open(sched_region(p), "sem", opts, &sems[p]));
		keep(sems[p], sizeof(struct prim));
	}
	show((struct prim *)sems[SCHED_PROCS]);
	open_data(procs);
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

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_mutex_close(mutexes[p]);
		tarn_sem_close(sems[p]);
		if (data[p] != NULL)
			tarn_object_close(sched_region(p), data[p]);
	}
	memset(mutexes, 0, sizeof(mutexes));
	memset(sems, 0, sizeof(sems));
	memset(data, 0, sizeof(data));
}

static void print_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	sched_fail("%s: %s %s", finding->where, finding->field, finding->rule);
}

static void verify_mutex(void)
{
	const uint64_t *pair = data[SCHED_PROCS]->pair;
	int r;

	(void)!tarn_region_check(sched_region(SCHED_PROCS), print_finding, NULL);
	r = tarn_mutex_try(mutexes[SCHED_PROCS], NULL);
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "it cannot be locked: %s", strerror(-r));
	SCHED_CHECK(r != 0 || pair[0] == pair[1], "half a change is left, and nobody is told");
	SCHED_CHECK(pair[0] >= ghost.done, "a pass was lost");
	must(tarn_mutex_unlock(mutexes[SCHED_PROCS]));
}

static void verify_owned(void)
{
	int r = tarn_sem_try(sems[SCHED_PROCS], NULL);

	SCHED_CHECK(r == 0, "the permit is gone: %s", strerror(-r));
	r = tarn_sem_try(sems[SCHED_PROCS], NULL);
	SCHED_CHECK(r == -EAGAIN, "there are two permits");
	must(tarn_sem_post(sems[SCHED_PROCS]));
	(void)!tarn_region_check(sched_region(SCHED_PROCS), print_finding, NULL);
}

/* What was posted and not taken is there; one may have died having it. */
static void verify_counted(void)
{
	uint32_t left = 0;

	while (tarn_sem_try(sems[SCHED_PROCS], NULL) == 0)
		left++;
	SCHED_CHECK(left + ghost.taken <= ghost.posted, "%d left of %d posted, and %d were taken",
		    (int)left, (int)ghost.posted, (int)ghost.taken);
}

#define MUTEX .verify = verify_mutex, .cleanup = close_all
#define OWNED .verify = verify_owned, .cleanup = close_all

const struct sched_scenario sched_prims[] = {
	{ "mutex-2", "two processes lock", .procs = 2, .setup = mutex_2, .body = pass_mutex,
	  .holds = holds, .quick = { 2, 1 }, .full = { { 3, 2 } }, MUTEX },
	{ "mutex-3", "three processes lock", .procs = 3, .setup = mutex_3, .body = pass_mutex,
	  .holds = holds, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, MUTEX },
	{ "mutex-deadline", "one of three does not wait for ever", .procs = 3, .setup = mutex_3,
	  .body = try_mutex, .timers = true, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 } },
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
	  .quick = { 2, 0 }, .full = { { 3, 0 } }, .verify = verify_counted, .cleanup = close_all },
	{ "sem-take", "two post, one takes both", .procs = 3, .setup = counted_3,
	  .body = take_from_both, .quick = { 2, 0 }, .full = { { 3, 0 } }, .verify = verify_counted,
	  .cleanup = close_all },
	{ 0 },
};
