/* SPDX-License-Identifier: BSD-2-Clause */
/* spin.c - spin lock and once under the scheduler: who has it, who is told of a death. */
#include <tarn/once.h>
#include <tarn/spin.h>

#include "prims.h"

static struct tarn_spin *spins[SCHED_PROCS + 1];
static struct tarn_once *onces[SCHED_PROCS + 1];

static struct {
	uint32_t inside; /* bit p: process p has the lock, or does what is to be done once */
	uint32_t done;   /* passes that have ended; or that it was done */
	uint32_t failed; /* it was begun, and given up */
} ghost;

static void in(int me)
{
	uint32_t others = living(ghost.inside & ~(1u << me));

	SCHED_CHECK(others == 0, "P%d is at it together with others: %x", me, others);
	ghost.inside = 1u << me;
}

static bool holds(int me)
{
	return (ghost.inside >> me & 1) != 0;
}

/* --- the spin lock ------------------------------------------------------------------------- */

/* The lock is ours, and lock() has said @r. */
static void raise_pair(int me, int r)
{
	uint64_t *pair = pair_of[me]->word;

	in(me);
	if (r == 0)
		SCHED_CHECK(is_whole(me), "P%d sees half a change, and was not told", me);
	else
		SCHED_CHECK(anybody_dead(), "P%d is told of a death, and nobody has died", me);
	pair[1] = pair[0];
	if (r == -EOWNERDEAD)
		r = tarn_spin_consistent(spins[me]);
	SCHED_CHECK(r == 0, "P%d: consistent: %s", me, strerror(-r));
	pair[0]++;
	pair[1]++;
	ghost.inside &= ~(1u << me);
	ghost.done++;
	r = tarn_spin_unlock(spins[me]);
	SCHED_CHECK(r == 0, "P%d: unlock: %s", me, strerror(-r));
}

static void pass(int me)
{
	int r = tarn_spin_lock(spins[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: lock: %s", me, strerror(-r));
	raise_pair(me, r);
}

static void pass_twice(int me)
{
	pass(me);
	pass(me);
}

/* P0 tries, and does not wait; the others do. */
static void try_or_pass(int me)
{
	int r;

	if (me != 0) {
		pass(me);
		return;
	}
	r = tarn_spin_try(spins[me], NULL);
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD || r == -EAGAIN, "P%d: try: %s", me, strerror(-r));
	if (r != -EAGAIN)
		raise_pair(me, r);
}

/* --- once ---------------------------------------------------------------------------------- */

/* What is to be done: both words are 1 then. */
static int do_it(void *arg, bool again)
{
	int me = *(const int *)arg;
	uint64_t *pair = pair_of[me]->word;

	in(me);
	SCHED_CHECK(ghost.done == 0, "P%d does what was done", me);
	SCHED_CHECK(again ? anybody_dead() : pair[0] == 0, "P%d: %s", me,
		    again ? "again, and nobody has died" : "somebody has begun it before");
	pair[0] = 1;
	pair[1] = 1;
	ghost.inside &= ~(1u << me);
	return 0;
}

static int fail_first(void *arg, bool again)
{
	int me = *(const int *)arg;

	if (ghost.failed != 0)
		return do_it(arg, again);
	in(me);
	ghost.failed = 1;
	ghost.inside &= ~(1u << me);
	return -ENODATA;
}

static void run(int me)
{
	int r = tarn_once_run(onces[me], TARN_FOREVER, do_it, &me, NULL);

	SCHED_CHECK(r == 0, "P%d: run: %s", me, strerror(-r));
	SCHED_CHECK(is_whole(me) && pair_of[me]->word[0] == 1, "P%d: done, and it is not", me);
	ghost.done = 1;
}

static void run_twice(int me)
{
	run(me);
	run(me);
}

/* Whoever is first fails, and leaves it to another. */
static void run_or_fail(int me)
{
	int r = tarn_once_run(onces[me], TARN_FOREVER, fail_first, &me, NULL);

	SCHED_CHECK(r == 0 || r == -ENODATA, "P%d: run: %s", me, strerror(-r));
	if (r != 0)
		return;
	SCHED_CHECK(is_whole(me) && pair_of[me]->word[0] == 1, "P%d: done, and it is not", me);
	ghost.done = 1;
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void open_spins(int procs)
{
	const struct tarn_spin_opts opts = { 0 };

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_spin_open(sched_region(p), "spin", &opts, &spins[p]));
		keep(spins[p]);
	}
	show(spins[SCHED_PROCS]);
	open_pair(procs);
	sched_ghost(&ghost, sizeof(ghost));
}

static void open_onces(int procs)
{
	const struct tarn_once_opts opts = { 0 };

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_once_open(sched_region(p), "once", &opts, &onces[p]));
		keep(onces[p]);
	}
	show(onces[SCHED_PROCS]);
	open_pair(procs);
	sched_ghost(&ghost, sizeof(ghost));
}

static void spins_2(void)
{
	open_spins(2);
}

static void spins_3(void)
{
	open_spins(3);
}

static void onces_2(void)
{
	open_onces(2);
}

static void onces_3(void)
{
	open_onces(3);
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_spin_close(spins[p]);
		tarn_once_close(onces[p]);
	}
	memset(spins, 0, sizeof(spins));
	memset(onces, 0, sizeof(onces));
	close_pair();
}

static void verify_spin(void)
{
	int r;

	check_region();
	r = tarn_spin_try(spins[SCHED_PROCS], NULL);
	SCHED_CHECK(r == 0 || (r == -EOWNERDEAD && anybody_dead()), "it cannot be locked: %s",
		    strerror(-r));
	SCHED_CHECK(r != 0 || is_whole(SCHED_PROCS), "half a change is left, and nobody is told");
	SCHED_CHECK(pair_of[SCHED_PROCS]->word[0] >= ghost.done, "a pass was lost");
	must(tarn_spin_unlock(spins[SCHED_PROCS]));
}

static void verify_once(void)
{
	const uint64_t *pair = pair_of[SCHED_PROCS]->word;
	int r;

	check_region();
	r = tarn_once_begin(onces[SCHED_PROCS], TARN_FOREVER, NULL);
	switch (r) {
	case TARN_ONCE_DONE:
		SCHED_CHECK(pair[0] == 1 && pair[1] == 1, "it is done, and it is not");
		return;
	case TARN_ONCE_FIRST:
		SCHED_CHECK(pair[0] == 0, "somebody has begun it, and nobody is told");
		break;
	case TARN_ONCE_AGAIN:
		SCHED_CHECK(anybody_dead(), "again, and nobody has died");
		break;
	default:
		sched_fail("it cannot be begun: %s", strerror(-r));
	}
	SCHED_CHECK(ghost.done == 0, "it is to be done again");
	SCHED_CHECK(anybody_dead() || ghost.failed != 0, "nobody has done it");
	must(tarn_once_fail(onces[SCHED_PROCS]));
}

#define SPIN .holds = holds, .verify = verify_spin, .cleanup = close_all
#define ONCE .holds = holds, .verify = verify_once, .cleanup = close_all

const struct sched_scenario sched_spins[] = {
	{ "spin-2", "two processes spin, twice each", .procs = 2, .setup = spins_2,
	  .body = pass_twice, .quick = { 2, 1 }, .full = { { 3, 2 } }, SPIN },
	{ "spin-3", "three processes spin", .procs = 3, .setup = spins_3, .body = pass,
	  .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SPIN },
	{ "spin-slow", "the dead keep their lock for a while", .procs = 2, .setup = spins_2,
	  .body = pass, .slow = true, .quick = { 2, 1 }, .full = { { 3, 2 } }, SPIN },
	{ "spin-try", "one tries, two spin", .procs = 3, .setup = spins_3, .body = try_or_pass,
	  .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, SPIN },
	{ "once-2", "two run it, twice each", .procs = 2, .setup = onces_2, .body = run_twice,
	  .quick = { 2, 1 }, .full = { { 3, 2 } }, ONCE },
	{ "once-3", "three run it", .procs = 3, .setup = onces_3, .body = run, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, ONCE },
	{ "once-fail", "the first of three fails", .procs = 3, .setup = onces_3,
	  .body = run_or_fail, .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, ONCE },
	{ 0 },
};
