/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - who listens to a section, under the scheduler: a reader that a writer comes round
 * upon, and one who takes dirty marks and copies beside it; the writer may die anywhere.
 *
 * The ring of the log is made to look as small as one tx and a half, so that each overwrites the
 * one before.
 */
#include <errno.h>

#include "scenarios.h"
#include "sync/listen.h"

enum { RING = 128, PASSES = 3 };

struct pair {
	uint64_t a, b;
};

static struct tarn_section *sections[SCHED_PROCS + 1];
static struct tarn_changes *readers[SCHED_PROCS + 1];
static struct tarn_dirty *maps[SCHED_PROCS + 1];
static struct pair *pairs[SCHED_PROCS + 1];
static struct {
	uint64_t copy, done;
} ghost;

/* Both words, by one. */
static void change(int me, bool undo)
{
	struct tarn_tx *tx;
	int r = tarn_section_enter(sections[me], TARN_FOREVER, &tx, NULL);

	SCHED_CHECK(r == 0, "P%d: enter: %s", me, strerror(-r));
	tarn_tx_set64(tx, &pairs[me]->a, pairs[me]->a + 1);
	tarn_tx_set64(tx, &pairs[me]->b, pairs[me]->b + 1);
	r = undo ? tarn_section_abort(sections[me]) : tarn_section_leave(sections[me]);
	SCHED_CHECK(r == 0, "P%d: leave: %s", me, strerror(-r));
}

static void open_all(void)
{
	const struct tarn_section_opts opts = { .journal_size = 128 };
	struct tarn_changes_opts log_opts = { .size = 1024 };
	struct tarn_changes_tx one;
	void *at;

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= 2; i++) {
		int p = i == 2 ? SCHED_PROCS : i;

		sched_as(p);
		must(tarn_section_open(sched_region(p), "section", &opts, &sections[p]));
		if (i == 0)
			must(tarn_object_create(sched_region(p), "pair", sizeof(struct pair), &at,
						NULL));
		else
			must(tarn_object_open(sched_region(p), "pair", &at, NULL));
		pairs[p] = at;
		log_opts.section = sections[p];
		must(tarn_changes_open(sched_region(p), "log", &log_opts, &readers[p]));
		must(tarn_dirty_open(sched_region(p), TARN_FOREVER, &maps[p], NULL));
		change(p, false); /* so that the handle knows who listens */
		must(tarn_changes_next(readers[p], &one));
		sections[p]->log.size = readers[p]->log.size = RING;
		atomic_store(&sections[p]->spins, 1);
	}
}

static void settle_down(void)
{
	uint64_t off, size;

	open_all();
	for (int i = 0; i <= 2; i++) {
		int p = i == 2 ? SCHED_PROCS : i;

		readers[p]->pos = place_load(&readers[p]->shm->head);
		sched_private(sections[p], sizeof(*sections[p]));
		sched_private(readers[p], sizeof(*readers[p]));
	}
	while (tarn_dirty_take(maps[0], 0, UINT64_MAX, &off, &size) == 0)
		;
	ghost.copy = pairs[0]->a;
	sched_as(SCHED_PROCS);
	sched_hot("section", &sections[SCHED_PROCS]->shm->lock,
		  sizeof(struct section_shm) - offsetof(struct section_shm, lock) + 128);
	sched_hot("log", &readers[SCHED_PROCS]->shm->reserve,
		  sizeof(struct changes_shm) - offsetof(struct changes_shm, reserve) + RING);
	sched_hot("marks", maps[SCHED_PROCS]->shm->marks, maps[SCHED_PROCS]->map.size);
	sched_hot("pair", pairs[SCHED_PROCS], sizeof(struct pair));
	sched_ghost(&ghost, sizeof(ghost));
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		if (sections[p] == NULL)
			continue;
		sched_as(p);
		tarn_changes_close(readers[p]);
		tarn_dirty_close(maps[p]);
		tarn_object_close(sched_region(p), pairs[p]);
		tarn_section_close(sections[p]);
	}
	memset(sections, 0, sizeof(sections));
	memset(readers, 0, sizeof(readers));
	memset(maps, 0, sizeof(maps));
}

/* Read on; what is said is one change of both words, later than the one before. */
static int read_one(int me, uint64_t *last)
{
	struct tarn_changes_tx one;
	struct tarn_change c;
	uint64_t value[2] = { 0 };
	int n = 0, r = tarn_changes_next(readers[me], &one);

	if (r != 0) {
		SCHED_CHECK(r == -EAGAIN || r == -EOVERFLOW, "P%d: next: %s", me, strerror(-r));
		return r;
	}
	while (n < 2 && tarn_changes_each(readers[me], &c))
		memcpy(&value[n++], c.data, sizeof(value[0]));
	SCHED_CHECK(one.count == 2 && n == 2 && value[0] == value[1], "P%d: half a tx was read",
		    me);
	SCHED_CHECK(value[0] > *last, "P%d: an old tx was read", me);
	*last = value[0];
	return 0;
}

static void write_and_read(int me)
{
	uint64_t last = 0;

	for (int i = 0; i < PASSES; i++) {
		if (me == 0)
			change(me, false);
		else
			(void)read_one(me, &last);
	}
}

/* P0 changes its mind, and changes; P1 takes the marks, and copies what was marked. */
static void write_and_copy(int me)
{
	uint64_t off, size;

	if (me == 0) {
		change(me, true);
		return;
	}
	if (tarn_dirty_take(maps[me], 0, UINT64_MAX, &off, &size) == 0)
		ghost.copy = __atomic_load_n(&pairs[me]->a, __ATOMIC_ACQUIRE);
}

/* One who copies, whether a page is marked or not: pre-copying. */
static void write_and_copy_first(int me)
{
	uint64_t off, size;

	if (me == 0) {
		change(me, true);
		return;
	}
	(void)!tarn_dirty_take(maps[me], 0, UINT64_MAX, &off, &size);
	ghost.copy = __atomic_load_n(&pairs[me]->a, __ATOMIC_ACQUIRE);
}

static void verify(void)
{
	int me = SCHED_PROCS, r;
	uint64_t last = 0, pages = 0;
	struct tarn_tx *tx;

	r = tarn_section_try(sections[me], &tx, NULL);
	SCHED_CHECK(r == 0, "it cannot be entered: %s", strerror(-r));
	SCHED_CHECK(pairs[me]->a == pairs[me]->b, "half a change is left");
	must(tarn_section_leave(sections[me]));
	while ((r = read_one(me, &last)) == 0)
		;
	SCHED_CHECK(r == -EOVERFLOW || last == 0 || last == pairs[me]->a,
		    "the log ends with %d, the words are %d", (int)last, (int)pairs[me]->a);
	SCHED_CHECK(r == -EOVERFLOW || last != 0 || pairs[me]->a == 3, "a change is not logged");
	must(tarn_dirty_count(maps[me], &pages));
	SCHED_CHECK(pages != 0 || ghost.copy == pairs[me]->a, "the copy has %d, and no mark: %d",
		    (int)ghost.copy, (int)pairs[me]->a);
}

const struct sched_scenario sched_listeners[] = {
	{ "changes", "one changes, one reads the log that comes round", .procs = 2,
	  .setup = settle_down, .body = write_and_read, .verify = verify, .cleanup = close_all,
	  .quick = { 2, 1 }, .full = { { 3, 2 } } },
	{ "dirty", "one changes its mind, one takes marks and copies", .procs = 2,
	  .setup = settle_down, .body = write_and_copy, .verify = verify, .cleanup = close_all,
	  .quick = { 2, 1 }, .full = { { 3, 2 } } },
	{ "dirty-first", "the same, copying before there are marks", .procs = 2,
	  .setup = settle_down, .body = write_and_copy_first, .verify = verify,
	  .cleanup = close_all, .quick = { 2, 1 }, .full = { { 3, 2 } } },
	{ 0 },
};
