/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cond.c - condition variable, barrier and event under the scheduler: no wake-up is lost, what the
 * dead were signalled another one gets once, a death breaks one round.
 */
#include "prims.h"

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
	uint32_t begun[2];  /* bit p: process p has come to that round */
	uint32_t told;      /* of a broken round */
	uint32_t set;       /* the event was */
	uint32_t in_vain;   /* who have waited for it, and did not get through */
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
	SCHED_CHECK(tarn__prim_verdict((struct prim *)mutexes[me]) == 0,
		    "P%d was not told that one died with the mutex", me);
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

static uint32_t bell_of(struct tarn_cond *cond)
{
	return atomic_load(&((struct prim *)cond)->sec.shm->bell);
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
	/* The store to bell signals all, whatever becomes of who made it. */
	SCHED_CHECK(signalled || (sched_dead(0) && bell_of(conds[me]) == 0),
		    "P%d was not signalled", me);
	unlock_it(me);
}

/* P0 signals for nobody, perhaps, then says go; P1 gives up once, then waits for that. */
static void go_again(int me)
{
	bool signalled = true;

	if (me == 0)
		must(tarn_cond_signal(conds[me]));
	lock(me);
	if (me == 0) {
		data[me]->go = 1;
		unlock_it(me);
		must(tarn_cond_signal(conds[me]));
		return;
	}
	(void)wait_a_while(me, -1);
	while (data[me]->go == 0 && signalled)
		signalled = wait_a_while(me, LONG_NS);
	SCHED_CHECK(signalled || sched_dead(0), "P%d was not signalled", me);
	unlock_it(me);
}

/* P0 and P1 wait once each, P2 signals twice, where both do. */
static void two_for_two(int me)
{
	bool signalled;

	lock(me);
	if (me == 2) {
		if (data[me]->waiting == 2) {
			must(tarn_cond_signal(conds[me]));
			must(tarn_cond_signal(conds[me]));
			ghost.signalled = 2;
		}
		unlock_it(me);
		return;
	}
	data[me]->waiting++;
	signalled = wait_a_while(me, BRIEFLY_NS);
	data[me]->waiting = 0; /* before it is counted: who dies in between waits no more */
	if (signalled)
		ghost.woken++;
	else
		ghost.in_vain++;
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
		int r;

		ghost.begun[i] |= 1u << me;
		r = tarn_barrier_wait(barriers[me], TARN_FOREVER, NULL);
		SCHED_CHECK(r == 0 || r == 1 || (r == -EOWNERDEAD && sched_dead(1 - me)),
			    "P%d: round %d: %d", me, i, r);
		SCHED_CHECK(r < 0 || ghost.begun[i] == 3, "P%d passes round %d alone", me, i);
		if (r == 1)
			SCHED_CHECK(ghost.serial[i]++ == 0, "two are the serial one");
		if (r == -EOWNERDEAD) {
			ghost.told++;
			return;
		}
	}
}

/* Each comes and waits for the other; one that dies before it sits down is not known of. */
static void come_and_wait(int me)
{
	int64_t until = sched_now() + LONG_NS;
	int r;

	sched_deadline(until);
	r = tarn_barrier_wait(barriers[me], until, NULL);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || r == 1 || ((r == -EOWNERDEAD || r == -ETIMEDOUT) && anybody_dead()),
		    "P%d: %d", me, r);
	if (r == 1)
		SCHED_CHECK(ghost.serial[0]++ == 0, "two are the serial one");
}

static bool sits(int me)
{
	(void)me;
	return true;
}

static void set_it(int me)
{
	int r = tarn_event_set(events[me]);

	SCHED_CHECK(r == 0, "P%d: set: %s", me, strerror(-r));
	ghost.set = 1;
}

/* Was it set? */
static bool wait_for_set(int me, int64_t ns)
{
	int64_t until = sched_now() + ns;
	int r;

	sched_deadline(until);
	r = tarn_event_wait(events[me], until, NULL);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || r == -ETIMEDOUT, "P%d: wait: %s", me, strerror(-r));
	return r == 0;
}

/* P0 sets, and all get through. */
static void set_for_two(int me)
{
	if (me == 0)
		set_it(me);
	else
		SCHED_CHECK(wait_for_set(me, LONG_NS) || sched_dead(0), "P%d did not get through",
			    me);
}

/* P0 and P1 both set. */
static void either_sets(int me)
{
	if (me != 2)
		set_it(me);
	else
		SCHED_CHECK(wait_for_set(me, LONG_NS) || (sched_dead(0) && sched_dead(1)),
			    "P%d did not get through", me);
}

/* P0 sets, and where P1 is about to sleep, resets. */
static void set_and_reset(int me)
{
	bool asleep = (atomic_load(&((struct prim *)events[me])->sec.shm->sleep) & 1) != 0;

	if (me == 1) {
		SCHED_CHECK(wait_for_set(me, LONG_NS) || sched_dead(0), "P%d did not get through",
			    me);
		return;
	}
	must(tarn_event_set(events[me]));
	if (asleep)
		must(tarn_event_reset(events[me]));
}

/* P2 sets, and one of the others gets through. */
static void set_for_one(int me)
{
	if (me == 2)
		set_it(me);
	else if (wait_for_set(me, BRIEFLY_NS))
		ghost.woken++;
	else
		ghost.in_vain++;
}

/* --- set up and judge ---------------------------------------------------------------------- */

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

static void open_barriers(bool joined)
{
	const struct tarn_barrier_opts of_two = { .count = 2 };

	begin();
	for (int i = 0; i <= 2; i++) {
		int p = nth(i, 2);

		sched_as(p);
		must(tarn_barrier_open(sched_region(p), "barrier", &of_two, &barriers[p]));
		keep(barriers[p]);
		if (p != SCHED_PROCS && joined) /* before anybody could die */
			must(tarn_barrier_join(barriers[p], NULL));
	}
	show(barriers[SCHED_PROCS]);
}

static void barriers_2(void)
{
	open_barriers(true);
}

static void barriers_empty(void)
{
	open_barriers(false);
}

static void open_events(uint32_t kind, int procs)
{
	const struct tarn_event_opts opts = { .flags = kind };

	begin();
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_event_open(sched_region(p), "event", &opts, &events[p]));
		keep(events[p]);
	}
	show(events[SCHED_PROCS]);
}

static void manual_2(void)
{
	open_events(0, 2);
}

static void manual_3(void)
{
	open_events(0, 3);
}

static void automatic_3(void)
{
	open_events(TARN_EVENT_AUTO, 3);
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

static void verify(void)
{
	check_region();
}

/* Nobody waits any more: whose seats are left? */
static void verify_seats(void)
{
	const struct prim *prim = (const struct prim *)conds[SCHED_PROCS];

	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = atomic_load(&prim->seats[at].id);

		for (int p = 0; p < SCHED_PROCS; p++)
			SCHED_CHECK(id == 0 || sched_dead(p) || conds[p] == NULL ||
					    id != id_of(&((struct prim *)conds[p])->sec),
				    "P%d keeps a seat", p);
	}
}

static void verify_cond(void)
{
	int r = tarn_mutex_try(mutexes[SCHED_PROCS], NULL);

	verify();
	verify_seats();
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

/* Of two signals each living one has one. */
static void verify_twice(void)
{
	verify_cond();
	if (ghost.signalled == 2 && !sched_dead(2))
		SCHED_CHECK(ghost.in_vain == 0, "%d waited in vain", (int)ghost.in_vain);
}

static void verify_round(void)
{
	verify();
	SCHED_CHECK(anybody_dead() || ghost.serial[0] == 1, "nobody has ended the round");
}

static void verify_set(void)
{
	verify();
	SCHED_CHECK(ghost.set == 0 || tarn_event_try(events[SCHED_PROCS]) == 0, "it is not set");
}

/* A set lets one through, whoever else has died: if nobody took it along, nobody waited in vain. */
static void verify_set_once(void)
{
	bool set = tarn_event_try(events[SCHED_PROCS]) == 0;

	verify();
	SCHED_CHECK(ghost.woken + set <= 1, "one set lets %d through", (int)(ghost.woken + set));
	SCHED_CHECK(!set || ghost.in_vain == 0, "it is set, and one has waited for it in vain");
	SCHED_CHECK(anybody_dead() || ghost.woken == 1, "nobody got through");
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
	{ "cond-again", "one gives up, then waits; one signals twice", .procs = 2, .setup = conds_2,
	  .body = go_again, .quick = { 2, 1 }, .full = { { 3, 1 } }, COND },
	{ "cond-twice", "two wait, one signals twice", .procs = 3, .setup = conds_3,
	  .body = two_for_two, .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } },
	  .verify = verify_twice, .cleanup = close_all },
	{ "barrier-2", "two pass two rounds", .procs = 2, .setup = barriers_2, .body = two_rounds,
	  .holds = sits, .quick = { 2, 1 }, .full = { { 3, 1 } }, .verify = verify_rounds,
	  .cleanup = close_all },
	{ "barrier-come", "two come and pass a round", .procs = 2, .setup = barriers_empty,
	  .body = come_and_wait, .quick = { 2, 1 }, .full = { { 3, 1 } }, .verify = verify_round,
	  .cleanup = close_all },
	{ "event-manual", "one sets, two wait", .procs = 3, .setup = manual_3, .body = set_for_two,
	  .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, .verify = verify_set,
	  .cleanup = close_all },
	{ "event-either", "two set, one waits", .procs = 3, .setup = manual_3, .body = either_sets,
	  .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, .verify = verify_set,
	  .cleanup = close_all },
	{ "event-pulse", "one sets and resets, one waits", .procs = 2, .setup = manual_2,
	  .body = set_and_reset, .quick = { 2, 1 }, .full = { { 3, 1 } }, .verify = verify,
	  .cleanup = close_all },
	{ "event-auto", "one sets, two wait, and one gets through", .procs = 3,
	  .setup = automatic_3, .body = set_for_one, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, .verify = verify_set_once,
	  .cleanup = close_all },
	{ 0 },
};
