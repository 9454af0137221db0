/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cond.c - condition variable, barrier and event under the scheduler: no wake-up is lost, what the
 * dead were signalled another one gets once, a death breaks one round.
 */
#include <errno.h>
#include <string.h>

#include "scenarios.h"
#include "sync/prim.h"

enum {
	BRIEFLY_NS = 5000000, /* less than a slice */
	LONG_NS = 45000000,   /* several */
};

/* Under the mutex. */
static struct data {
	uint64_t go;
	uint64_t waiting;
} * data[SCHED_PROCS + 1];

static struct tarn_mutex *mutexes[SCHED_PROCS + 1];
static struct tarn_cond *conds[SCHED_PROCS + 1];
static struct tarn_barrier *barriers[SCHED_PROCS + 1];
static struct tarn_event *events[SCHED_PROCS + 1];

static struct {
	uint32_t woken;     /* by a signal */
	uint32_t signalled; /* 1: with both waiting */
	uint32_t locked;    /* bit p: process p has the mutex */
	uint32_t serial[2]; /* of each round */
	uint32_t told;      /* of a broken round */
} ghost;

/* --- bodies -------------------------------------------------------------------------------- */

static void lock(int me)
{
	int r = tarn_mutex_lock(mutexes[me], TARN_FOREVER, NULL);

	if (r == -EOWNERDEAD)
		r = tarn_mutex_consistent(mutexes[me]);
	SCHED_CHECK(r == 0, "P%d: lock: %s", me, strerror(-r));
	ghost.locked |= 1u << me;
}

static void unlock_it(int me)
{
	int r;

	ghost.locked &= ~(1u << me);
	r = tarn_mutex_unlock(mutexes[me]);
	SCHED_CHECK(r == 0, "P%d: unlock: %s", me, strerror(-r));
}

/* The mutex is ours, and after this too. Was it signalled? */
static bool wait_a_while(int me, int64_t ns)
{
	int64_t until = sched_now() + ns;
	int r;

	sched_deadline(until);
	ghost.locked &= ~(1u << me);
	r = tarn_cond_wait(conds[me], mutexes[me], until, NULL);
	ghost.locked |= 1u << me;
	sched_deadline(INT64_MAX);
	if (r == -EOWNERDEAD) {
		must(tarn_mutex_consistent(mutexes[me]));
		return true; /* nobody knows */
	}
	SCHED_CHECK(r == 0 || r == -ETIMEDOUT, "P%d: wait: %s", me, strerror(-r));
	return r == 0;
}

/* P0 says go, the others wait for that. */
static void go_and_wait(int me)
{
	bool signalled = true;

	lock(me);
	if (me == 0) {
		data[me]->go = 1;
		unlock_it(me);
		must(tarn_cond_signal(conds[me]));
		return;
	}
	while (data[me]->go == 0 && signalled)
		signalled = wait_a_while(me, LONG_NS);
	SCHED_CHECK(signalled || sched_dead(0), "P%d was not signalled", me);
	unlock_it(me);
}

static void all_go_and_wait(int me)
{
	bool signalled = true;

	lock(me);
	if (me == 0) {
		data[me]->go = 1;
		must(tarn_cond_broadcast(conds[me]));
		unlock_it(me);
		return;
	}
	while (data[me]->go == 0 && signalled)
		signalled = wait_a_while(me, LONG_NS);
	SCHED_CHECK(signalled || sched_dead(0), "P%d was not signalled", me);
	unlock_it(me);
}

/* P0 and P1 wait once each, P2 signals once, where both do. */
static void one_for_two(int me)
{
	lock(me);
	if (me == 2) {
		if (data[me]->waiting == 2) {
			must(tarn_cond_signal(conds[me]));
			ghost.signalled = 1;
		}
		unlock_it(me);
		return;
	}
	data[me]->waiting++;
	if (wait_a_while(me, BRIEFLY_NS))
		ghost.woken++;
	data[me]->waiting = 0; /* the signal that is still to come, if any, is for nobody */
	unlock_it(me);
}

static void two_rounds(int me)
{
	for (int i = 0; i < 2; i++) {
		int r = tarn_barrier_wait(barriers[me], TARN_FOREVER, NULL);

		SCHED_CHECK(r == 0 || r == 1 || (r == -EOWNERDEAD && sched_dead(1 - me)),
			    "P%d: round %d: %d", me, i, r);
		if (r == 1)
			SCHED_CHECK(ghost.serial[i]++ == 0, "two are the serial one");
		if (r == -EOWNERDEAD) {
			ghost.told++;
			return;
		}
	}
}

static void set_for_two(int me)
{
	int r = me == 0 ? tarn_event_set(events[me])
			: tarn_event_wait(events[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0, "P%d: %s", me, strerror(-r));
}

/* Each set lets one through. */
static void set_for_each(int me)
{
	int r = 0;

	if (me == 2)
		r = tarn_event_wait(events[me], TARN_FOREVER, NULL);
	else if (me == 1)
		r = tarn_event_set(events[me]);
	SCHED_CHECK(r == 0, "P%d: %s", me, strerror(-r));
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void show(void *handle)
{
	struct prim *prim = handle;
	const struct section_shm *shm = prim->sec.shm;

	sched_hot(NULL, &shm->lock,
		  sizeof(*shm) - offsetof(struct section_shm, lock) + 16 * prim->seat_count);
	sched_name("lock", &shm->lock);
	sched_name("state", &shm->state);
	sched_name("bell", &shm->bell);
	sched_name("sleep", &shm->sleep);
	sched_name("seats", &shm->journal);
}

static void keep(void *prim)
{
	atomic_store(&((struct prim *)prim)->sec.spins, 1);
	must(tarn__thread_begin());
	sched_private(prim, sizeof(struct prim));
}

static int nth(int i, int procs)
{
	return i == procs ? SCHED_PROCS : i;
}

static void begin(void)
{
	memset(&ghost, 0, sizeof(ghost));
	sched_ghost(&ghost, sizeof(ghost));
}

static void open_conds(int procs)
{
	const struct tarn_mutex_opts normal = { .type = TARN_MUTEX_NORMAL };
	const struct tarn_cond_opts two = { .waiters = 2 };
	void *at;

	begin();
	sched_as(SCHED_PROCS);
	must(tarn_object_create(sched_region(SCHED_PROCS), "data", sizeof(struct data), &at, NULL));
	memset(at, 0, sizeof(struct data));
	data[SCHED_PROCS] = at;
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_mutex_open(sched_region(p), "mutex", &normal, &mutexes[p]));
		must(tarn_cond_open(sched_region(p), "cond", &two, &conds[p]));
		keep(mutexes[p]);
		keep(conds[p]);
		if (p != SCHED_PROCS) {
			must(tarn_object_open(sched_region(p), "data", &at, NULL));
			data[p] = at;
		}
	}
	sched_as(SCHED_PROCS);
	sched_hot("data", data[SCHED_PROCS], sizeof(struct data));
	show(mutexes[SCHED_PROCS]);
	show(conds[SCHED_PROCS]);
}

static void conds_2(void)
{
	open_conds(2);
}

static void conds_3(void)
{
	open_conds(3);
}

static void barriers_2(void)
{
	const struct tarn_barrier_opts of_two = { .count = 2 };

	begin();
	for (int i = 0; i <= 2; i++) {
		int p = nth(i, 2);

		sched_as(p);
		must(tarn_barrier_open(sched_region(p), "barrier", &of_two, &barriers[p]));
		keep(barriers[p]);
		if (p != SCHED_PROCS) /* before anybody could die */
			must(tarn_barrier_join(barriers[p], NULL));
	}
	show(barriers[SCHED_PROCS]);
}

static void open_events(uint32_t kind)
{
	const struct tarn_event_opts opts = { .flags = kind };

	begin();
	for (int i = 0; i <= 3; i++) {
		int p = nth(i, 3);

		sched_as(p);
		must(tarn_event_open(sched_region(p), "event", &opts, &events[p]));
		keep(events[p]);
	}
	show(events[SCHED_PROCS]);
}

static void manual(void)
{
	open_events(0);
}

static void automatic(void)
{
	open_events(TARN_EVENT_AUTO);
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_mutex_close(mutexes[p]);
		tarn_cond_close(conds[p]);
		tarn_barrier_close(barriers[p]);
		tarn_event_close(events[p]);
		if (data[p] != NULL)
			tarn_object_close(sched_region(p), data[p]);
	}
	memset(mutexes, 0, sizeof(mutexes));
	memset(conds, 0, sizeof(conds));
	memset(barriers, 0, sizeof(barriers));
	memset(events, 0, sizeof(events));
	memset(data, 0, sizeof(data));
}

static void print_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	sched_fail("%s: %s %s", finding->where, finding->field, finding->rule);
}

static void verify(void)
{
	(void)!tarn_region_check(sched_region(SCHED_PROCS), print_finding, NULL);
}

static void verify_cond(void)
{
	int r = tarn_mutex_try(mutexes[SCHED_PROCS], NULL);

	verify();
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "the mutex: %s", strerror(-r));
	r = tarn_cond_wait(conds[SCHED_PROCS], mutexes[SCHED_PROCS], INT64_MIN, NULL);
	SCHED_CHECK(r == -ETIMEDOUT || r == -EOWNERDEAD, "the survivor's wait: %s", strerror(-r));
	must(tarn_mutex_unlock(mutexes[SCHED_PROCS]));
}

/* One has the signal: woke, or died with the mutex. */
static void verify_once(void)
{
	bool dead = sched_dead(0) || sched_dead(1) || sched_dead(2);

	verify_cond();
	if (ghost.signalled == 0)
		return;
	SCHED_CHECK(dead || ghost.woken == 1, "%d woke of one signal", (int)ghost.woken);
	if (!sched_dead(2) && !(sched_dead(0) && sched_dead(1)))
		SCHED_CHECK(ghost.woken == 1 ||
				    tarn__prim_verdict((struct prim *)mutexes[SCHED_PROCS]) < 0 ||
				    ((struct prim *)mutexes[SCHED_PROCS])->sec.shm->recovered != 0,
			    "the signal is gone with the dead");
}

static void verify_rounds(void)
{
	verify();
	if (!sched_dead(0) && !sched_dead(1))
		SCHED_CHECK(ghost.serial[0] == 1 && ghost.serial[1] == 1 && ghost.told == 0,
			    "rounds without deaths");
}

#define COND .verify = verify_cond, .cleanup = close_all

const struct sched_scenario sched_conds[] = {
	{ "cond-2", "one waits, one signals", .procs = 2, .setup = conds_2, .body = go_and_wait,
	  .quick = { 2, 1 }, .full = { { 3, 1 } }, COND },
	{ "cond-all", "two wait, one broadcasts", .procs = 3, .setup = conds_3,
	  .body = all_go_and_wait, .quick = { 1, 1 }, .full = { { 2, 1 } }, COND },
	{ "cond-once", "two wait, one signals once", .procs = 3, .setup = conds_3,
	  .body = one_for_two, .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } },
	  .verify = verify_once, .cleanup = close_all },
	{ "barrier-2", "two pass two rounds", .procs = 2, .setup = barriers_2, .body = two_rounds,
	  .quick = { 2, 1 }, .full = { { 3, 1 } }, .verify = verify_rounds, .cleanup = close_all },
	{ "event-manual", "one sets, two wait", .procs = 3, .setup = manual, .body = set_for_two,
	  .quick = { 2, 0 }, .full = { { 3, 0 } }, .verify = verify, .cleanup = close_all },
	{ "event-auto", "one sets, one waits", .procs = 3, .setup = automatic, .body = set_for_each,
	  .quick = { 2, 0 }, .full = { { 3, 0 } }, .verify = verify, .cleanup = close_all },
	{ 0 },
};
