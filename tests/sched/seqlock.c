/* SPDX-License-Identifier: BSD-2-Clause */
/* seqlock.c - a sequence lock under the scheduler: no torn value is read as a whole one. */
#include <errno.h>
#include <string.h>

#include "scenarios.h"
#include "sync/prim.h"

/* Words that are equal whenever nobody is in the middle of writing them. */
static struct data {
	uint64_t pair[2];
} * data[SCHED_PROCS + 1];

static struct tarn_seqlock *locks[SCHED_PROCS + 1];

static struct {
	uint64_t last; /* written, by a write that has ended; others may have begun since */
} ghost;

static void write_one(int me, uint64_t value)
{
	const uint64_t pair[2] = { value, value };
	int r = tarn_seqlock_write(locks[me], data[me], pair, sizeof(pair), TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0, "P%d: write: %s", me, strerror(-r));
	ghost.last = value;
}

static bool anybody_dead(void)
{
	for (int p = 0; p < SCHED_PROCS; p++)
		if (sched_dead(p))
			return true;
	return false;
}

static void read_one(int me, struct tarn_seqlock *lock, const struct data *from)
{
	uint64_t pair[2] = { 0, 0 };
	uint32_t version;
	int r = tarn_seqlock_begin(lock, &version);

	SCHED_CHECK(r == 0 || r == -EAGAIN || (r == -EOWNERDEAD && anybody_dead()),
		    "P%d: begin: %s", me, strerror(-r));
	if (r < 0)
		return;
	tarn_seqlock_load(lock, pair, from, sizeof(pair));
	SCHED_CHECK(!tarn_seqlock_valid(lock, version) || pair[0] == pair[1],
		    "P%d reads a torn value: %d, %d", me, (int)pair[0], (int)pair[1]);
}

/* P0 reads, the others write. */
static void pass(int me)
{
	if (me == 0) {
		read_one(me, locks[me], data[me]);
		read_one(me, locks[me], data[me]);
	} else {
		write_one(me, (uint64_t)me);
	}
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void open_lock(int p)
{
	const struct tarn_seqlock_opts opts = { 0 };
	void *at;

	sched_as(p);
	must(tarn_seqlock_open(sched_region(p), "seqlock", &opts, &locks[p]));
	atomic_store(&((struct prim *)locks[p])->sec.spins, 1);
	must(tarn__thread_begin());
	sched_private(locks[p], sizeof(struct prim));
	must(tarn_object_open(sched_region(p), "data", &at, NULL));
	data[p] = at;
}

static void open_all(int procs)
{
	const struct section_shm *shm;
	void *at;

	memset(&ghost, 0, sizeof(ghost));
	sched_as(SCHED_PROCS);
	must(tarn_object_create(sched_region(SCHED_PROCS), "data", sizeof(struct data), &at, NULL));
	memset(at, 0, sizeof(struct data));
	for (int p = 0; p < procs; p++)
		open_lock(p);
	open_lock(SCHED_PROCS);
	shm = ((struct prim *)locks[SCHED_PROCS])->sec.shm;
	sched_hot(NULL, &shm->lock, sizeof(*shm) - offsetof(struct section_shm, lock));
	sched_name("lock", &shm->lock);
	sched_name("seq", &shm->seq);
	sched_name("recovered", &shm->recovered);
	sched_name("answered", &shm->answered);
	sched_hot("data", data[SCHED_PROCS], sizeof(struct data));
	sched_ghost(&ghost, sizeof(ghost));
}

static void two(void)
{
	open_all(2);
}

static void three(void)
{
	open_all(3);
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_seqlock_close(locks[p]);
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
	struct tarn_seqlock *lock = locks[SCHED_PROCS];
	const uint64_t pair[2] = { 9, 9 };
	int r;

	(void)!tarn_region_check(sched_region(SCHED_PROCS), print_finding, NULL);
	if (!anybody_dead())
		SCHED_CHECK(data[SCHED_PROCS]->pair[0] == ghost.last, "a write was lost");
	read_one(SCHED_PROCS, lock, data[SCHED_PROCS]);
	r = tarn_seqlock_write(lock, data[SCHED_PROCS], pair, sizeof(pair), TARN_FOREVER, NULL);
	SCHED_CHECK(r == 0, "it cannot be written: %s", strerror(-r));
}

#define JUDGED .verify = verify, .cleanup = close_all

const struct sched_scenario sched_seqlocks[] = {
	{ "seqlock-2", "one writes, one reads twice", .procs = 2, .setup = two, .body = pass,
	  .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "seqlock-3", "two write, one reads twice", .procs = 3, .setup = three, .body = pass,
	  .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ 0 },
};
