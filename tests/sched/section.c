/* SPDX-License-Identifier: BSD-2-Clause */
/* section.c - sections under the scheduler: who is inside, what they change, and what is left. */
#include <errno.h>
#include <string.h>

#include "scenarios.h"
#include "sync/section.h"

/*
 * The data: a pair for each section, whose words are equal whenever nobody is inside, and that each
 * pass raises by one; a pair of words, one guarded by each section, that are raised together; and
 * one word guarded by the first.
 */
static struct data {
	uint64_t pair[2][2];
	uint64_t both[2];
	uint64_t one;
} * data[SCHED_PROCS + 1];

static struct tarn_section *sections[2][SCHED_PROCS + 1];

/* How far each process is, in which of its passes; what it may have made final. */
static struct {
	uint32_t inside[2]; /* bit p: process p is */
	uint32_t done[4];   /* passes made final, by what they raise: pair 0, pair 1, both, one */
	uint32_t seen[4];   /* what somebody has seen of it, which is final then */
	uint32_t leaving[SCHED_PROCS]; /* 0, or 1 + what the pass raises that is being left */
} ghost;

static void ghost_in(int s, int me)
{
	uint32_t others = living(ghost.inside[s] & ~(1u << me));

	SCHED_CHECK(others == 0, "P%d is inside section %d together with others: %x", me, s,
		    others);
	ghost.inside[s] = 1u << me;
}

static void must_be(int me, const char *what, int found, int wanted)
{
	SCHED_CHECK(found == wanted, "P%d: %s: %s", me, what, strerror(-found));
}

static void enter(int s, int me, struct tarn_tx **ret_tx)
{
	int r = tarn_section_enter(sections[s][me], TARN_FOREVER, ret_tx, NULL);

	SCHED_CHECK(r == 0, "P%d: enter: %s", me, strerror(-r));
	ghost_in(s, me);
}

static void leave(int s, int me)
{
	int r;

	ghost.inside[s] &= ~(1u << me);
	r = tarn_section_leave(sections[s][me]);
	SCHED_CHECK(r == 0, "P%d: leave: %s", me, strerror(-r));
}

/* What is seen does not go back. */
static void see(int me, int what, uint64_t found)
{
	SCHED_CHECK(found >= ghost.done[what] && found >= ghost.seen[what],
		    "P%d sees %d, and others have seen %d, and %d made final", me, (int)found,
		    (int)ghost.seen[what], (int)ghost.done[what]);
	ghost.seen[what] = (uint32_t)found;
}

/* What is inside is whole. */
static void look(int s, int me)
{
	const uint64_t *pair = data[me]->pair[s];
	const uint64_t *both = &data[me]->both[s];
	uint64_t a = pair[0], b = pair[1];

	SCHED_CHECK(a == b, "P%d is inside and sees half a change: %d %d", me, (int)a, (int)b);
	see(me, s, a);
	if (sections[1][me] != NULL)
		see(me, 2, *both);
}

static void raise_pair(int s, int me, struct tarn_tx *tx)
{
	for (int i = 0; i < 2; i++) {
		uint64_t *word = &data[me]->pair[s][i];
		int r = tarn_tx_set64(tx, word, *word + 1);

		SCHED_CHECK(r == 0, "P%d: store: %s", me, strerror(-r));
	}
}

static void pass(int s, int me)
{
	struct tarn_tx *tx;

	enter(s, me, &tx);
	look(s, me);
	raise_pair(s, me, tx);
	ghost.leaving[me] = 1 + (uint32_t)s;
	leave(s, me);
	ghost.leaving[me] = 0;
	ghost.done[s]++;
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void name_section(int s, const struct section_shm *shm)
{
	static const char *const names[2][8] = {
		{ "lock", "seq", "count", "leader", "tid", "waited", "waiters", "journal" },
		{ "lock-2", "seq-2", "count-2", "leader-2", "tid-2", "waited-2", "waiters-2",
		  "journal-2" },
	};

	sched_name(names[s][0], &shm->lock);
	sched_name(names[s][1], &shm->seq);
	sched_name(names[s][2], &shm->count);
	sched_name(names[s][3], &shm->leader);
	sched_name(names[s][4], &shm->tid);
	sched_name(names[s][5], &shm->waited);
	sched_name(names[s][6], &shm->waiters);
	sched_name(names[s][7], &shm->journal);
}

static void open_sections(int s, int procs)
{
	static const char *const names[] = { "first", "second" };
	const struct tarn_section_opts opts = { .journal_size = 128 };
	struct tarn_tx *tx;

	for (int i = 0; i <= procs; i++) {
		int p = i == procs ? SCHED_PROCS : i;

		sched_as(p);
		must(tarn_section_open(sched_region(p), names[s], &opts, &sections[s][p]));
		/* what only the first enter does */
		must(tarn_section_enter(sections[s][p], TARN_FOREVER, &tx, NULL));
		must(tarn_section_leave(sections[s][p]));
		atomic_store(&sections[s][p]->spins, 1);
		sched_private(sections[s][p], sizeof(*sections[s][p]));
	}
	sched_hot(NULL, &sections[s][SCHED_PROCS]->shm->lock,
		  sizeof(struct section_shm) - offsetof(struct section_shm, lock) + 128);
	name_section(s, sections[s][SCHED_PROCS]->shm);
}

static void open_all(int section_count, int procs)
{
	void *at;

	memset(&ghost, 0, sizeof(ghost));
	memset(sections, 0, sizeof(sections));
	for (int s = 0; s < section_count; s++)
		open_sections(s, procs);
	sched_as(SCHED_PROCS);
	must(tarn_object_create(sched_region(SCHED_PROCS), "data", sizeof(struct data), &at, NULL));
	memset(at, 0, sizeof(struct data));
	data[SCHED_PROCS] = at;
	for (int p = 0; p < procs; p++) {
		sched_as(p);
		must(tarn_object_open(sched_region(p), "data", &at, NULL));
		data[p] = at;
	}
	sched_as(SCHED_PROCS);
	sched_hot("data", data[SCHED_PROCS], sizeof(struct data));
	sched_ghost(&ghost, sizeof(ghost));
}

static void close_all(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		for (int s = 0; s < 2; s++)
			tarn_section_close(sections[s][p]);
		if (sched_region(p) != NULL)
			tarn_object_close(sched_region(p), data[p]);
	}
	memset(sections, 0, sizeof(sections));
}

static void open_both_2(void)
{
	open_all(2, 2);
}

static void open_both_3(void)
{
	open_all(2, 3);
}

static void open_2(void)
{
	open_all(1, 2);
}

static void open_3(void)
{
	open_all(1, 3);
}

/* As many as were made final, or, of those that died while leaving, some more. */
static void check_count(int what, uint64_t found)
{
	uint32_t most = ghost.done[what];

	for (int p = 0; p < SCHED_PROCS; p++)
		most += ghost.leaving[p] == 1 + (uint32_t)what;
	see(SCHED_PROCS, what, found);
	SCHED_CHECK(found <= most, "%d passes, of at most %d", (int)found, (int)most);
}

static void verify(void)
{
	struct data *at = data[SCHED_PROCS];
	struct tarn_tx *tx;

	check_region();
	for (int s = 0; s < 2; s++) {
		int r = 0;

		if (sections[s][SCHED_PROCS] == NULL)
			continue;
		r = tarn_section_try(sections[s][SCHED_PROCS], &tx, NULL);
		SCHED_CHECK(r == 0, "section %d cannot be entered: %s", s, strerror(-r));
		SCHED_CHECK(at->pair[s][0] == at->pair[s][1], "half a change is left: %d %d",
			    (int)at->pair[s][0], (int)at->pair[s][1]);
		check_count(s, at->pair[s][0]);
		must(tarn_section_leave(sections[s][SCHED_PROCS]));
	}
	SCHED_CHECK(at->both[0] == at->both[1], "half a change of both is left: %d %d",
		    (int)at->both[0], (int)at->both[1]);
	check_count(2, at->both[0]);
	check_count(3, at->one);
	check_region();
}

static bool holds(int me)
{
	const struct tarn_section *section = sections[0][SCHED_PROCS];
	uint32_t lock = atomic_load(&section->shm->lock);

	return (lock & ~TARN__ID_FLAG) == sections[0][me]->id;
}

/* Both, so that nobody waits for what another does. */
static bool holds_both(int me)
{
	const struct tarn_section *second = sections[1][SCHED_PROCS];

	return holds(me) &&
	       (atomic_load(&second->shm->lock) & ~TARN__ID_FLAG) == sections[1][me]->id;
}

/* --- what the processes do ----------------------------------------------------------------- */

static void one_pass(int me)
{
	pass(0, me);
}

/* With as few accesses as a pass can have, so that more of the bound can be gone through. */
static void short_pass(int me)
{
	struct tarn_tx *tx;

	enter(0, me, &tx);
	see(me, 3, data[me]->one);
	must_be(me, "store", tarn_tx_set64(tx, &data[me]->one, data[me]->one + 1), 0);
	ghost.leaving[me] = 1 + 3;
	leave(0, me);
	ghost.leaving[me] = 0;
	ghost.done[3]++;
}

static void two_passes(int me)
{
	pass(0, me);
	pass(0, me);
}

/* P0 changes its mind; and its second pass is refused a store, so leaving undoes it. */
static void abort_and_pass(int me)
{
	struct tarn_tx *tx;
	int r;

	if (me != 0) {
		pass(0, me);
		return;
	}
	enter(0, me, &tx);
	look(0, me);
	raise_pair(0, me, tx);
	raise_pair(0, me, tx); /* the older of two entries for a place is to win */
	ghost.inside[0] &= ~(1u << me);
	must_be(me, "abort", tarn_section_abort(sections[0][me]), 0);
	enter(0, me, &tx);
	look(0, me);
	raise_pair(0, me, tx);
	r = tarn_tx_store(tx, (char *)data[me] + 1, 1, 8);
	must_be(me, "an unaligned store", r, -EINVAL);
	ghost.inside[0] &= ~(1u << me);
	must_be(me, "leave", tarn_section_leave(sections[0][me]), -EINVAL);
}

/* Ranges: P0 by a copy, the others by a log and stores of their own. */
static void ranges(int me)
{
	struct tarn_tx *tx;
	uint64_t *pair = data[me]->pair[0], value;

	enter(0, me, &tx);
	look(0, me);
	value = pair[0] + 1;
	if (me == 0) {
		const uint64_t new[2] = { value, value };

		must_be(me, "write", tarn_tx_write(tx, pair, new, sizeof(new)), 0);
	} else {
		must_be(me, "log", tarn_tx_log(tx, pair, 2 * sizeof(*pair)), 0);
		pair[1] = value;
		pair[0] = value;
	}
	ghost.leaving[me] = 1;
	leave(0, me);
	ghost.leaving[me] = 0;
	ghost.done[0]++;
}

/* P0 changes, the last process reads without entering, what is between does both. */
static void read_pair(int me)
{
	uint32_t version, before = ghost.seen[0] > ghost.done[0] ? ghost.seen[0] : ghost.done[0];
	uint64_t pair[2];
	struct data *at = data[me];

	for (int i = 0; i < 2; i++) {
		int r = tarn_section_read_begin(sections[0][me], &version);

		if (r == -EAGAIN || r == -EOWNERDEAD)
			continue;
		must_be(me, "read_begin", r, 0);
		/* one by one, as who follows a list does */
		must_be(me, "load",
			tarn_section_load(sections[0][me], &pair[0], &at->pair[0][0], 8), 0);
		must_be(me, "load",
			tarn_section_load(sections[0][me], &pair[1], &at->pair[0][1], 8), 0);
		if (!tarn_section_read_valid(sections[0][me], version))
			continue;
		SCHED_CHECK(pair[0] == pair[1], "P%d has read half a change: %d %d", me,
			    (int)pair[0], (int)pair[1]);
		SCHED_CHECK(pair[0] >= before, "P%d has read what is long over", me);
		return;
	}
	must_be(me, "read",
		tarn_section_read(sections[0][me], pair, at->pair[0], sizeof(pair), TARN_FOREVER),
		0);
	SCHED_CHECK(pair[0] == pair[1] && pair[0] >= before, "P%d has read half a change: %d %d",
		    me, (int)pair[0], (int)pair[1]);
}

static void readers(int me)
{
	if (me == 0)
		two_passes(me);
	else
		read_pair(me);
}

static void reader_and_writers(int me)
{
	if (me < 2)
		pass(0, me);
	else
		read_pair(me);
}

/* Both sections in one tx. @back: leave the one entered first, first. */
static void pass_both(int me, bool back, bool undo)
{
	struct tarn_tx *tx;

	enter(0, me, &tx);
	look(0, me);
	enter(1, me, &tx);
	look(1, me);
	SCHED_CHECK(data[me]->both[0] == data[me]->both[1],
		    "P%d is inside both and sees half a change", me);
	for (int i = 0; i < 2; i++)
		must_be(me, "store", tarn_tx_set64(tx, &data[me]->both[i], data[me]->both[i] + 1),
			0);
	if (undo) {
		ghost.inside[0] &= ~(1u << me);
		ghost.inside[1] &= ~(1u << me);
		must_be(me, "abort", tarn_section_abort(sections[0][me]), 0);
		return;
	}
	ghost.leaving[me] = 1 + 2;
	/* others cannot enter before the last is left */
	must_be(me, "leave", tarn_section_leave(sections[back][me]), 0);
	ghost.inside[0] &= ~(1u << me);
	ghost.inside[1] &= ~(1u << me);
	must_be(me, "leave", tarn_section_leave(sections[!back][me]), 0);
	ghost.leaving[me] = 0;
	ghost.done[2]++;
}

static void both_and_both(int me)
{
	pass_both(me, me != 0, false);
}

/* One who has both, and one who wants the second only, where the follower is. */
static void both_and_second(int me)
{
	if (me == 0)
		pass_both(me, true, false);
	else
		pass(1, me);
}

static void both_undone(int me)
{
	if (me == 0)
		pass_both(me, false, true);
	else
		pass(me - 1, me);
}

static void both_first_second(int me)
{
	if (me == 0)
		pass_both(me, false, false);
	else
		pass(me - 1, me);
}

/* In and out. */
static void hop(int me)
{
	struct tarn_tx *tx;

	enter(0, me, &tx);
	leave(0, me);
}

/* P1 waits no longer than that; the others for ever. */
static void deadline(int me)
{
	int64_t until = sched_now() + 1;
	struct tarn_tx *tx;
	int r;

	if (me != 1) {
		hop(me);
		if (me == 0)
			hop(me);
		return;
	}
	sched_deadline(until);
	r = tarn_section_enter(sections[0][me], until, &tx, NULL);
	if (r == -ETIMEDOUT)
		return;
	must_be(me, "enter", r, 0);
	ghost_in(0, me);
	leave(0, me);
}

/* A third party sees to what the dead have left, while others enter. */
static void recoverer(int me)
{
	if (me < 2) {
		pass(0, me);
		return;
	}

	int r = tarn_section_recover(sched_region(me), "first", 0, NULL);

	SCHED_CHECK(r == 0 || r == -EBUSY, "P%d: recover: %s", me, strerror(-r));
}

/* P0 has both in one tx; P1 removes the first, P2 uses the second. */
static void remover(int me)
{
	bool dead = sched_dead(0);
	int r;

	if (me == 0) {
		pass_both(me, false, false);
		return;
	}
	if (me == 2) {
		pass(1, me);
		return;
	}
	r = tarn_section_remove(sched_region(me), "first", NULL);
	SCHED_CHECK(r == 0, "P%d: remove: %s", me, strerror(-r));
	/* what it left is undone, or somebody is at it */
	SCHED_CHECK(!dead || !holds(0), "P%d has removed it with a dead owner's changes in place",
		    me);
}

/* Everybody has both open, so no memory comes free. */
static void open_to_remove(void)
{
	struct tarn_region *region = sched_region(SCHED_PROCS);

	open_all(2, 3);
	sched_hot("region-lock", &region->super->lock, sizeof(region->super->lock));
	sched_hot("directory", region->directory,
		  region->object_max * sizeof(region->directory[0]));
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_private(sched_region(p)->hold_count,
			      region->object_max * sizeof(region->hold_count[0]));
		sched_private(sched_region(p)->hold_state,
			      region->object_max * sizeof(region->hold_state[0]));
	}
}

/* P0 spoils the first entry of its own journal, so if it dies then, the tx cannot be undone whole.
 * P1 adds ten to the second's word; P2 frees the second by force, but the first before that. */
static void forcer(int me)
{
	struct tarn_tx *tx;
	int r;

	if (me == 0) {
		enter(0, me, &tx);
		enter(1, me, &tx);
		for (int i = 0; i < 2; i++)
			must_be(me, "store",
				tarn_tx_set64(tx, &data[me]->both[i], data[me]->both[i] + 1), 0);
		sections[0][me]->shm->journal[0].where ^= 1u << 4;
		ghost.leaving[me] = 1 + 2;
		leave(1, me);
		leave(0, me);
		ghost.leaving[me] = 0;
		ghost.done[2]++;
	} else if (me == 1) {
		r = tarn_section_enter(sections[1][me], TARN_FOREVER, &tx, NULL);
		if (r == -ENOTRECOVERABLE)
			return;
		must_be(me, "enter", r, 0);
		ghost_in(1, me);
		must_be(me, "store", tarn_tx_set64(tx, &data[me]->both[1], data[me]->both[1] + 10),
			0);
		ghost.leaving[me] = 1 + 1;
		leave(1, me);
		ghost.leaving[me] = 0;
		ghost.done[1]++;
	} else {
		r = tarn_section_recover(sched_region(me), "second", TARN_SECTION_FORCE, NULL);
		SCHED_CHECK(r == 0 || r == -EBUSY, "P%d: recover: %s", me, strerror(-r));
	}
}

/* The second entry could be undone: its word is what was made final, by force or not. */
static void verify_force(void)
{
	struct tarn_region *region = sched_region(SCHED_PROCS);
	uint64_t *word = &data[SCHED_PROCS]->both[1];
	struct tarn_tx *tx;

	must(tarn_section_recover(region, NULL, TARN_SECTION_FORCE, NULL));
	for (int s = 0; s < 2; s++) {
		int r = tarn_section_try(sections[s][SCHED_PROCS], &tx, NULL);

		SCHED_CHECK(r == 0, "section %d cannot be entered: %s", s, strerror(-r));
		must(tarn_section_leave(sections[s][SCHED_PROCS]));
	}
	check_count(2, *word % 10);
	check_count(1, *word / 10);
	check_region();
}

#define SECTION .verify = verify, .cleanup = close_all

const struct sched_scenario sched_sections[] = {
	{ "pass-2", "two processes, two passes each", .procs = 2, .setup = open_2,
	  .body = two_passes, .holds = holds, .quick = { 2, 1 }, .full = { { 3, 2 } }, SECTION },
	{ "pass-3", "three processes, a pass each", .procs = 3, .setup = open_3, .body = one_pass,
	  .holds = holds, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SECTION },
	{ "short-3", "three processes, a pass with one store each", .procs = 3, .setup = open_3,
	  .body = short_pass, .holds = holds, .quick = { 1, 1 }, .full = { { 3, 2 } }, SECTION },
	{ "slow-death", "the dead keep their lock for a while", .procs = 2, .setup = open_2,
	  .body = one_pass, .slow = true, .timers = true, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  SECTION },
	{ "timers", "three processes; time limits pass at any time", .procs = 3, .setup = open_3,
	  .body = one_pass, .timers = true, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SECTION },
	{ "abort", "one aborts, then is refused a store; one passes", .procs = 2, .setup = open_2,
	  .body = abort_and_pass, .holds = holds, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  SECTION },
	{ "ranges", "stores of ranges, and into what was logged", .procs = 2, .setup = open_2,
	  .body = ranges, .holds = holds, .quick = { 2, 1 }, .full = { { 3, 2 } }, SECTION },
	{ "readers", "one changes twice, two read without entering", .procs = 3, .setup = open_3,
	  .body = readers, .holds = holds, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SECTION },
	{ "reader", "two change, one reads without entering", .procs = 3, .setup = open_3,
	  .body = reader_and_writers, .holds = holds, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SECTION },
	{ "both", "two processes, two sections in one tx each", .procs = 2, .setup = open_both_2,
	  .body = both_and_both, .holds = holds_both, .quick = { 1, 1 }, .full = { { 3, 2 } },
	  SECTION },
	{ "both-second", "two sections in one tx; one wants the second", .procs = 2,
	  .setup = open_both_2, .body = both_and_second, .holds = holds_both, .quick = { 2, 1 },
	  .full = { { 3, 2 } }, SECTION },
	{ "both-undone", "... aborted; others want one each", .procs = 3, .setup = open_both_3,
	  .body = both_undone, .holds = holds_both, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SECTION },
	{ "both-three", "two sections in one tx; others want one each", .procs = 3,
	  .setup = open_both_3, .body = both_first_second, .holds = holds_both, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SECTION },
	{ "deadline", "two wait, one of them not for ever", .procs = 3, .setup = open_3,
	  .body = deadline, .timers = true, .quick = { 2, 0 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, SECTION },
	{ "recover", "a third process recovers while two pass", .procs = 3, .setup = open_3,
	  .body = recoverer, .holds = holds, .quick = { 1, 1 }, .full = { { 3, 1 }, { 1, 2 } },
	  SECTION },
	{ "force", "two sections in one tx that cannot be undone; one is freed by force",
	  .procs = 3, .setup = open_both_3, .body = forcer, .quick = { 1, 1 },
	  .full = { { 2, 1 }, { 1, 2 } }, .verify = verify_force, .cleanup = close_all },
	{ "remove", "two sections in one tx; one removes the first, one wants the second",
	  .procs = 3, .setup = open_to_remove, .body = remover, .quick = { 1, 1 },
	  .full = { { 1, 2 } }, SECTION },
	{ 0 },
};
