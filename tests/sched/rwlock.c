/* SPDX-License-Identifier: BSD-2-Clause */
/* rwlock.c - an rwlock under the scheduler: who is in, who is told, who is woken. */
#include "prims.h"

enum { LONELY = 64 }; /* as in rwlock.c */

static struct tarn_rwlock *locks[SCHED_PROCS + 1];

static struct {
	uint32_t reads; /* bit p: process p does */
	uint32_t writes;
	uint32_t done; /* writes that have ended */
} ghost;

static bool holds(int me)
{
	return ((ghost.reads | ghost.writes) >> me & 1) != 0;
}

static void reader(int me)
{
	int r = tarn_rwlock_read(locks[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: read: %s", me, strerror(-r));
	ghost.reads |= 1u << me;
	SCHED_CHECK(living(ghost.writes) == 0, "P%d reads beside a writer: %x", me, ghost.writes);
	SCHED_CHECK(r != 0 || is_whole(me), "P%d sees half a change, and was not told", me);
	ghost.reads &= ~(1u << me);
	r = tarn_rwlock_unlock(locks[me]);
	SCHED_CHECK(r == 0, "P%d: unlock: %s", me, strerror(-r));
}

static void writer(int me)
{
	uint64_t *pair = pair_of[me]->word;
	int r = tarn_rwlock_write(locks[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: write: %s", me, strerror(-r));
	ghost.writes |= 1u << me;
	SCHED_CHECK(living(ghost.writes | ghost.reads) == 1u << me, "P%d writes beside %x and %x",
		    me, ghost.writes, ghost.reads);
	SCHED_CHECK(r != 0 || pair[0] == pair[1], "P%d sees half a change, and was not told", me);
	pair[1] = pair[0];
	if (r == -EOWNERDEAD)
		r = tarn_rwlock_consistent(locks[me]);
	SCHED_CHECK(r == 0, "P%d: consistent: %s", me, strerror(-r));
	pair[0]++;
	pair[1]++;
	ghost.writes &= ~(1u << me);
	ghost.done++;
	r = tarn_rwlock_unlock(locks[me]);
	SCHED_CHECK(r == 0, "P%d: unlock: %s", me, strerror(-r));
}

/* P0 writes, the others read. */
static void one_writes(int me)
{
	if (me == 0)
		writer(me);
	else
		reader(me);
}

/* P0 reads, the others write. */
static void one_reads(int me)
{
	if (me == 0)
		reader(me);
	else
		writer(me);
}

/* P0 writes, P1 reads twice: the second time on the seat that it had. */
static void reads_again(int me)
{
	if (me == 0) {
		writer(me);
	} else {
		reader(me);
		reader(me);
	}
}

/* P1 reads, the others write. */
static void second_reads(int me)
{
	if (me == 1)
		reader(me);
	else
		writer(me);
}

/* P0 writes, and goes on reading what it wrote; P1 writes. */
static void writes_and_reads(int me)
{
	uint64_t *pair = pair_of[me]->word;
	int r;

	if (me != 0) {
		writer(me);
		return;
	}
	r = tarn_rwlock_write(locks[me], TARN_FOREVER, NULL);
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: write: %s", me, strerror(-r));
	pair[0] = pair[1] = 10;
	if (r == -EOWNERDEAD)
		must(tarn_rwlock_consistent(locks[me]));
	r = tarn_rwlock_downgrade(locks[me]);
	SCHED_CHECK(r == 0, "P%d: downgrade: %s", me, strerror(-r));
	ghost.reads |= 1u << me;
	SCHED_CHECK(pair[0] == 10 && pair[1] == 10, "P%d reads what it has not written: %d, %d", me,
		    (int)pair[0], (int)pair[1]);
	ghost.reads &= ~(1u << me);
	must(tarn_rwlock_unlock(locks[me]));
}

static void all_read(int me)
{
	reader(me);
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void open_all(int procs, uint32_t readers)
{
	const struct tarn_rwlock_opts opts = { .readers = readers };

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_rwlock_open(sched_region(p), "rwlock", &opts, &locks[p]));
		keep(locks[p]);
	}
	show(locks[SCHED_PROCS]);
	open_pair(procs);
	sched_ghost(&ghost, sizeof(ghost));
}

/* A line of seats, which a writer looks at at once. */
static void two(void)
{
	open_all(2, 4);
}

/* P1's seat is the second, and P0 has found both empty as often as may be, but for once. */
static void lonely(void)
{
	open_all(3, 4);
	sched_as(SCHED_PROCS);
	must(tarn_rwlock_read(locks[SCHED_PROCS], TARN_FOREVER, NULL));
	sched_as(1);
	must(tarn_rwlock_read(locks[1], TARN_FOREVER, NULL));
	must(tarn_rwlock_unlock(locks[1]));
	sched_as(SCHED_PROCS);
	must(tarn_rwlock_unlock(locks[SCHED_PROCS]));
	sched_as(0);
	for (int i = 1; i < LONELY; i++) {
		must(tarn_rwlock_write(locks[0], TARN_FOREVER, NULL));
		must(tarn_rwlock_unlock(locks[0]));
	}
}

static void three(void)
{
	open_all(3, 4);
}

static void narrow(void)
{
	open_all(3, 1);
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_rwlock_close(locks[p]);
	}
	memset(locks, 0, sizeof(locks));
	close_pair();
}

static void verify(void)
{
	int r;

	check_region();
	r = tarn_rwlock_try_write(locks[SCHED_PROCS], NULL);
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "it cannot be locked: %s", strerror(-r));
	SCHED_CHECK(r != 0 || is_whole(SCHED_PROCS), "half a change is left, and nobody is told");
	SCHED_CHECK(pair_of[SCHED_PROCS]->word[0] >= ghost.done, "a write was lost");
	must(tarn_rwlock_unlock(locks[SCHED_PROCS]));
}

#define JUDGED .holds = holds, .verify = verify, .cleanup = close_all

const struct sched_scenario sched_rwlocks[] = {
	{ "rwlock-2", "one writes, one reads", .procs = 2, .setup = two, .body = one_writes,
	  .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "rwlock-again", "one writes, one reads twice", .procs = 2, .setup = two,
	  .body = reads_again, .quick = { 2, 1 }, .full = { { 3, 1 } }, JUDGED },
	{ "rwlock-lonely", "two write, and look at fewer seats, one reads", .procs = 3,
	  .setup = lonely, .body = second_reads, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 } },
	  JUDGED },
	{ "rwlock-downgrade", "one writes and reads on, one writes", .procs = 2, .setup = two,
	  .body = writes_and_reads, .quick = { 2, 1 }, .full = { { 3, 1 } }, JUDGED },
	{ "rwlock-readers", "one writes, two read", .procs = 3, .setup = three, .body = one_writes,
	  .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "rwlock-writers", "two write, one reads", .procs = 3, .setup = three, .body = one_reads,
	  .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "rwlock-narrow", "three read, one at a time", .procs = 3, .setup = narrow,
	  .body = all_read, .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "rwlock-seats", "one writes, two read, one at a time", .procs = 3, .setup = narrow,
	  .body = one_writes, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 } }, JUDGED },
	{ 0 },
};
