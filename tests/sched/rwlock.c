/* SPDX-License-Identifier: BSD-2-Clause */
/* rwlock.c - an rwlock under the scheduler: who is in, who is told, who is woken. */
#include <errno.h>
#include <string.h>

#include "scenarios.h"
#include "sync/prim.h"

/* Words that are equal whenever nobody is in the middle of changing them. */
static struct data {
	uint64_t pair[2];
} * data[SCHED_PROCS + 1];

static struct tarn_rwlock *locks[SCHED_PROCS + 1];

static struct {
	uint32_t reads; /* bit p: process p does */
	uint32_t writes;
	uint32_t done; /* writes that have ended */
} ghost;

static uint32_t living(uint32_t who)
{
	for (int p = 0; p < SCHED_PROCS; p++)
		if (sched_dead(p))
			who &= ~(1u << p);
	return who;
}

static bool holds(int me)
{
	return ((ghost.reads | ghost.writes) >> me & 1) != 0;
}

static void reader(int me)
{
	const uint64_t *pair = data[me]->pair;
	int r = tarn_rwlock_read(locks[me], TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "P%d: read: %s", me, strerror(-r));
	ghost.reads |= 1u << me;
	SCHED_CHECK(living(ghost.writes) == 0, "P%d reads beside a writer: %x", me, ghost.writes);
	SCHED_CHECK(r != 0 || pair[0] == pair[1], "P%d sees half a change, and was not told", me);
	ghost.reads &= ~(1u << me);
	r = tarn_rwlock_unlock(locks[me]);
	SCHED_CHECK(r == 0, "P%d: unlock: %s", me, strerror(-r));
}

static void writer(int me)
{
	uint64_t *pair = data[me]->pair;
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

static void all_read(int me)
{
	reader(me);
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

static void open_lock(int p, uint32_t readers)
{
	const struct tarn_rwlock_opts opts = { .readers = readers };
	void *at;

	sched_as(p);
	must(tarn_rwlock_open(sched_region(p), "rwlock", &opts, &locks[p]));
	atomic_store(&((struct prim *)locks[p])->sec.spins, 1);
	must(tarn__thread_begin());
	sched_private(locks[p], sizeof(struct prim));
	must(tarn_object_open(sched_region(p), "data", &at, NULL));
	data[p] = at;
}

static void open_all(int procs, uint32_t readers)
{
	void *at;

	memset(&ghost, 0, sizeof(ghost));
	sched_as(SCHED_PROCS);
	must(tarn_object_create(sched_region(SCHED_PROCS), "data", sizeof(struct data), &at, NULL));
	memset(at, 0, sizeof(struct data));
	for (int p = 0; p < procs; p++)
		open_lock(p, readers);
	open_lock(SCHED_PROCS, readers);
	show((struct prim *)locks[SCHED_PROCS]);
	sched_hot("data", data[SCHED_PROCS], sizeof(struct data));
	sched_ghost(&ghost, sizeof(ghost));
}

static void two(void)
{
	open_all(2, 2);
}

static void three(void)
{
	open_all(3, 2);
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
		if (data[p] != NULL)
			tarn_object_close(sched_region(p), data[p]);
	}
	memset(locks, 0, sizeof(locks));
	memset(data, 0, sizeof(data));
}

static void print_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	sched_fail("%s: %s %s", finding->where, finding->field, finding->rule);
}

static void verify(void)
{
	const uint64_t *pair = data[SCHED_PROCS]->pair;
	int r;

	(void)!tarn_region_check(sched_region(SCHED_PROCS), print_finding, NULL);
	r = tarn_rwlock_try_write(locks[SCHED_PROCS], NULL);
	SCHED_CHECK(r == 0 || r == -EOWNERDEAD, "it cannot be locked: %s", strerror(-r));
	SCHED_CHECK(r != 0 || pair[0] == pair[1], "half a change is left, and nobody is told");
	SCHED_CHECK(pair[0] >= ghost.done, "a write was lost");
	must(tarn_rwlock_unlock(locks[SCHED_PROCS]));
}

#define JUDGED .holds = holds, .verify = verify, .cleanup = close_all

const struct sched_scenario sched_rwlocks[] = {
	{ "rwlock-2", "one writes, one reads", .procs = 2, .setup = two, .body = one_writes,
	  .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "rwlock-readers", "one writes, two read", .procs = 3, .setup = three, .body = one_writes,
	  .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "rwlock-writers", "two write, one reads", .procs = 3, .setup = three, .body = one_reads,
	  .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "rwlock-narrow", "three read, one at a time", .procs = 3, .setup = narrow,
	  .body = all_read, .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ 0 },
};
