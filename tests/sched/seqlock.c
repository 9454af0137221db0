/* SPDX-License-Identifier: BSD-2-Clause */
/* seqlock.c - a sequence lock under the scheduler: no torn value is read as a whole one. */
#include "prims.h"

static struct tarn_seqlock *locks[SCHED_PROCS + 1];

static struct {
	uint64_t last; /* written, by a write that has ended; others may have begun since */
} ghost;

static void write_one(int me, uint64_t value)
{
	const uint64_t pair[2] = { value, value };
	int r = tarn_seqlock_write(locks[me], pair_of[me], pair, sizeof(pair), TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0, "P%d: write: %s", me, strerror(-r));
	ghost.last = value;
}

static void read_one(int me, struct tarn_seqlock *lock, const struct pair *from)
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
		read_one(me, locks[me], pair_of[me]);
		read_one(me, locks[me], pair_of[me]);
	} else {
		write_one(me, (uint64_t)me);
	}
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void open_all(int procs)
{
	const struct tarn_seqlock_opts opts = { 0 };

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_seqlock_open(sched_region(p), "seqlock", &opts, &locks[p]));
		keep(locks[p]);
	}
	show(locks[SCHED_PROCS]);
	open_pair(procs);
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
	}
	memset(locks, 0, sizeof(locks));
	close_pair();
}

static void verify(void)
{
	struct tarn_seqlock *lock = locks[SCHED_PROCS];
	const uint64_t pair[2] = { 9, 9 };
	int r;

	check_region();
	if (!anybody_dead())
		SCHED_CHECK(pair_of[SCHED_PROCS]->word[0] == ghost.last, "a write was lost");
	read_one(SCHED_PROCS, lock, pair_of[SCHED_PROCS]);
	r = tarn_seqlock_write(lock, pair_of[SCHED_PROCS], pair, sizeof(pair), TARN_FOREVER, NULL);
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
