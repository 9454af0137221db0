/* SPDX-License-Identifier: BSD-2-Clause */
/* latest.c - a latest value under the scheduler: what is read or held is whole, and never older
 * than what was there before; what is held stays. */
#include "prims.h"

#include "flow/latest.h"

enum { WORDS = 2, LONG_NS = 45000000 /* several nets of a sleeper */ };

static struct tarn_latest *handles[SCHED_PROCS + 1];

static struct {
	uint64_t newest; /* number of a write that has ended */
	uint64_t given;  /* the largest that was read or held */
} ghost;

/* What is given next is none older than that. */
static uint64_t least(void)
{
	return ghost.given > ghost.newest ? ghost.given : ghost.newest;
}

static void give(uint64_t number)
{
	if (number > ghost.given)
		ghost.given = number;
}

static void write_one(int me)
{
	const uint64_t value[WORDS] = { (uint64_t)me, (uint64_t)me };
	int r = tarn_latest_write(handles[me], value, sizeof(value), TARN_FOREVER, NULL);

	SCHED_CHECK(r == 0, "P%d: write: %s", me, strerror(-r));
	ghost.newest++;
}

static void read_one(int me)
{
	uint64_t value[WORDS] = { 0 }, number = 0, from = least();
	size_t size = 0;
	int r = tarn_latest_read(handles[me], value, sizeof(value), &size, &number);

	SCHED_CHECK(r == 0, "P%d: read: %s", me, strerror(-r));
	SCHED_CHECK(value[0] == value[1], "P%d reads a torn value: %d, %d", me, (int)value[0],
		    (int)value[1]);
	SCHED_CHECK(number >= from, "P%d reads number %d after %d", me, (int)number, (int)from);
	give(number);
}

static void hold_one(int me)
{
	uint64_t first[WORDS], then[WORDS], number = 0, from = least();
	const void *data = NULL;
	size_t size = 0;
	int r = tarn_latest_hold(handles[me], &data, &size, &number, NULL);

	/* who verifies finds the seats of the living taken, those of the dead free */
	if (r == -EUSERS && me == SCHED_PROCS && !sched_dead(0))
		return;
	SCHED_CHECK(r == 0, "P%d: hold: %s", me, strerror(-r));
	SCHED_CHECK(number >= from, "P%d holds number %d after %d", me, (int)number, (int)from);
	give(number);
	memcpy(first, data, sizeof(first));
	memcpy(then, data, sizeof(then));
	SCHED_CHECK(first[0] == first[1] && first[0] == then[0] && then[0] == then[1],
		    "P%d holds what changes", me);
	tarn_latest_release(handles[me]);
}

/* P0 reads and holds, the others write. */
static void hold_and_write(int me)
{
	if (me == 0) {
		hold_one(me);
		hold_one(me);
	} else { /* from one to the next: the third of two comes to what was the newest at first */
		write_one(me);
		write_one(me);
		if (handles[2] == NULL)
			write_one(me);
	}
}

static void read_and_write(int me)
{
	if (me == 0) {
		read_one(me);
		read_one(me);
	} else { /* the third comes where the first reader may still be */
		write_one(me);
		write_one(me);
		write_one(me);
	}
}

/* Two hold, one writes three times: room for one holder more than there are would not do. */
static void two_hold(int me)
{
	if (me == 2) {
		write_one(me);
		write_one(me);
		write_one(me);
	} else {
		hold_one(me);
	}
}

/* P0 waits for another value than the first; woken by whoever writes it. */
static void wait_and_write(int me)
{
	int64_t until = sched_now() + LONG_NS;
	uint64_t number = 1;
	int r;

	if (me != 0) {
		write_one(me);
		return;
	}
	sched_deadline(until);
	r = tarn_latest_wait(handles[me], 1, until, &number);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || (r == -ETIMEDOUT && anybody_dead()), "P%d: wait: %s", me,
		    strerror(-r));
	SCHED_CHECK(r < 0 || number > 1, "P%d is told of number %d", me, (int)number);
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void open_all(int procs, uint32_t holders)
{
	const struct tarn_latest_opts opts = { .size = sizeof(uint64_t[WORDS]),
					       .holders = holders };
	const uint64_t value[WORDS] = { 9, 9 };

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= procs; i++) {
		int p = nth(i, procs);

		sched_as(p);
		must(tarn_latest_open(sched_region(p), "latest", &opts, &handles[p]));
		keep(handles[p]);
	}
	must(tarn_latest_write(handles[SCHED_PROCS], value, sizeof(value), TARN_FOREVER, NULL));
	ghost.newest = 1;
	show(handles[SCHED_PROCS]);
	for (uint32_t i = 0; i < handles[SCHED_PROCS]->count; i++)
		sched_hot("buffer", buffer_at(handles[SCHED_PROCS], i),
			  (size_t)handles[SCHED_PROCS]->stride);
	sched_ghost(&ghost, sizeof(ghost));
}

static void two(void)
{
	open_all(2, 1);
}

static void three(void)
{
	open_all(3, 1);
}

static void three_two(void)
{
	open_all(3, 2);
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_latest_close(handles[p]);
	}
	memset(handles, 0, sizeof(handles));
}

static void verify(void)
{
	check_region();
	read_one(SCHED_PROCS);
	hold_one(SCHED_PROCS);
	write_one(SCHED_PROCS);
	read_one(SCHED_PROCS);
}

#define JUDGED .verify = verify, .cleanup = close_all

const struct sched_scenario sched_latests[] = {
	{ "latest-hold", "one holds twice, one writes three times", .procs = 2, .setup = two,
	  .body = hold_and_write, .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "latest-read", "one reads twice, one writes three times", .procs = 2, .setup = two,
	  .body = read_and_write, .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "latest-writers", "one holds twice, two write twice", .procs = 3, .setup = three,
	  .body = hold_and_write, .quick = { 1, 1 }, .full = { { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "latest-holders", "two hold, one writes three times", .procs = 3, .setup = three_two,
	  .body = two_hold, .quick = { 2, 0 }, .full = { { 3, 0 }, { 2, 1 } }, JUDGED },
	{ "latest-wait", "one waits for a new value, one writes it", .procs = 2, .setup = two,
	  .body = wait_and_write, .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ 0 },
};
