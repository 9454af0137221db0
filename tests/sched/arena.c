/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - two who allocate and free in one arena, under the scheduler; each may die anywhere.
 *
 * Each keeps the refs of what it has allocated in words of its own, stored in the same tx; so what
 * is in use is what stands in these words, and nothing else, whoever died where.
 */
#include <errno.h>

#include "arena/arena.h"
#include "scenarios.h"

enum { KEPT = 2, BLOCK = 64 };

struct refs {
	uint64_t of[2][KEPT];
};

static struct tarn_section *sections[SCHED_PROCS + 1];
static struct tarn_arena *arenas[SCHED_PROCS + 1];
static struct refs *refs[SCHED_PROCS + 1];

static struct tarn_tx *enter(int me)
{
	struct tarn_tx *tx = NULL;
	int r = tarn_section_enter(sections[me], TARN_FOREVER, &tx, NULL);

	SCHED_CHECK(r == 0, "P%d: enter: %s", me, strerror(-r));
	return tx;
}

static void leave(int me)
{
	int r = tarn_section_leave(sections[me]);

	SCHED_CHECK(r == 0, "P%d: leave: %s", me, strerror(-r));
}

static void keep(int me, struct tarn_tx *tx, uint64_t *at, uint64_t size)
{
	tarn_ref ref = 0;
	int r = tarn_arena_alloc(arenas[me], tx, size, 0, 0, &ref);

	SCHED_CHECK(r == 0, "P%d: alloc: %s", me, strerror(-r));
	tarn_tx_set64(tx, at, ref);
}

static void drop(int me, struct tarn_tx *tx, uint64_t *at)
{
	int r = tarn_arena_free(arenas[me], tx, *at);

	SCHED_CHECK(r == 0, "P%d: free: %s", me, strerror(-r));
	tarn_tx_set64(tx, at, 0);
}

static void open_all(void)
{
	const struct tarn_section_opts section_opts = { .journal_size = 1024 };
	struct tarn_arena_opts opts = { .size = 4096 };
	struct tarn_tx *tx;
	void *at;

	for (int i = 0; i <= 2; i++) {
		int p = i == 2 ? SCHED_PROCS : i;

		sched_as(p);
		must(tarn_section_open(sched_region(p), "section", &section_opts, &sections[p]));
		opts.section = sections[p];
		must(tarn_arena_open(sched_region(p), "arena", &opts, &arenas[p]));
		if (i == 0) {
			must(tarn_object_create(sched_region(p), "refs", sizeof(struct refs), &at,
						NULL));
			memset(at, 0, sizeof(struct refs));
		} else {
			must(tarn_object_open(sched_region(p), "refs", &at, NULL));
		}
		refs[p] = at;
		tx = enter(p);
		if (i < 2)
			keep(p, tx, &refs[p]->of[i][0], BLOCK);
		leave(p);
		atomic_store(&sections[p]->spins, 1);
		sched_private(sections[p], sizeof(*sections[p]));
		sched_private(arenas[p], sizeof(*arenas[p]));
	}
	sched_as(SCHED_PROCS);
	sched_hot("section", &sections[SCHED_PROCS]->shm->lock,
		  sizeof(struct section_shm) - offsetof(struct section_shm, lock) + 1024);
	sched_hot("arena", arenas[SCHED_PROCS]->shm, (size_t)arenas[SCHED_PROCS]->object.size);
	sched_hot("refs", refs[SCHED_PROCS], sizeof(struct refs));
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		if (sections[p] == NULL)
			continue;
		sched_as(p);
		tarn_arena_close(arenas[p]);
		tarn_object_close(sched_region(p), refs[p]);
		tarn_section_close(sections[p]);
	}
	memset(sections, 0, sizeof(sections));
	memset(arenas, 0, sizeof(arenas));
	memset(refs, 0, sizeof(refs));
}

/* Blocks of a slab that is there. */
static void small(int me)
{
	struct tarn_tx *tx = enter(me);

	keep(me, tx, &refs[me]->of[me][1], BLOCK);
	if (me == 0)
		drop(me, tx, &refs[me]->of[me][0]);
	leave(me);
}

/* P0 empties a slab, and P1 fills one. */
static void over_and_over(int me)
{
	struct tarn_tx *tx = enter(me);

	if (me == 0) {
		drop(me, tx, &refs[me]->of[0][0]);
		drop(me, tx, &refs[me]->of[1][0]);
		leave(me);
		return;
	}
	keep(me, tx, &refs[me]->of[1][1], BLOCK);
	keep(me, tx, &refs[me]->of[0][1], BLOCK);
	must(tarn_section_abort(sections[me]));
	tx = enter(me);
	keep(me, tx, &refs[me]->of[1][1], BLOCK);
	leave(me);
}

static void verify(void)
{
	int me = SCHED_PROCS;
	struct tarn_arena_stat stat;
	uint64_t used = 0, size = 0;

	(void)enter(me); /* undoes what the dead have left */
	for (int i = 0; i < 2 * KEPT; i++) {
		uint64_t ref = refs[me]->of[i / KEPT][i % KEPT];

		if (ref == 0)
			continue;
		SCHED_CHECK(tarn_arena_usable_size(arenas[me], ref, &size) == 0,
			    "a block that is linked is free");
		used += size;
	}
	must(tarn_arena_stat(arenas[me], &stat));
	SCHED_CHECK(stat.used == used, "%d bytes are in use, and %d linked", (int)stat.used,
		    (int)used);
	leave(me);
	check_region();
}

#define ARENA .procs = 2, .setup = open_all, .verify = verify, .cleanup = close_all

const struct sched_scenario sched_arenas[] = {
	{ "arena", "two allocate, one of them frees in the same tx", .body = small,
	  .quick = { 2, 1 }, .full = { { 3, 2 } }, ARENA },
	{ "arena-slab", "one empties a slab, one allocates, aborts and allocates again",
	  .body = over_and_over, .quick = { 1, 1 }, .full = { { 2, 2 }, { 3, 1 } }, ARENA },
	{ 0 },
};
