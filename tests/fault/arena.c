/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - every call on arenas, with each call of plat failing in turn.
 *
 * Growing asks the region for memory, which asks the system; so do opening, trimming and removing,
 * and entering after a death. Whatever failed, afterwards the arena has the blocks that it had, to
 * the byte, and the next one who asks gets what was refused.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/arena.h>

#include "region.h"

enum { REGION = 48 << 10, REGION_MAX = 1 << 20, ARENA = 8 << 10, ARENA_MAX = 256 << 10 };
enum { BLOCKS = 5, BLOCK = 96, MUCH = 90000 };

static struct tarn_section *section;
static struct tarn_arena *arena;
static tarn_ref blocks[BLOCKS];
static uint64_t used; /* bytes, before run() */
static struct tarn_arena *const untouched = (struct tarn_arena *)(uintptr_t)16;

static struct tarn_arena_opts options(struct tarn_diag *diag)
{
	return (struct tarn_arena_opts){
		.section = section, .size = ARENA, .max_size = ARENA_MAX, .diag = diag
	};
}

/* --- before -------------------------------------------------------------------------------- */

static int made(struct harness_report *report)
{
	const struct tarn_section_opts journal = { .journal_size = 8192 };

	used = 0;
	arena = NULL;
	if (make_region("arena", REGION, REGION_MAX, report) < 0)
		return -1;
	if (tarn_section_open(region, "s", &journal, &section) < 0)
		return harness_say(report, -1, "setup: no section");
	return 0;
}

static int count_used(uint64_t *ret_used)
{
	struct tarn_arena_stat st;
	int r = tarn_arena_stat(arena, &st);

	if (r == 0)
		*ret_used = st.used;
	return r;
}

/* An arena with some blocks. */
static int fill(void)
{
	const struct tarn_arena_opts opts = options(NULL);
	struct tarn_tx *tx;
	int r = tarn_arena_open(region, "arena", &opts, &arena);

	if (r == 0)
		r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);
	for (int i = 0; r == 0 && i < BLOCKS; i++)
		r = tarn_arena_alloc(arena, tx, BLOCK, 0, 0, &blocks[i]);
	if (r == 0)
		r = tarn_section_leave(section);
	return r == 0 ? count_used(&used) : r;
}

static int with_arena(struct harness_report *report)
{
	int r = made(report);

	if (r == 0)
		r = fill();
	return r < 0 ? harness_say(report, -1, "setup: %s", strerror(-r)) : 0;
}

/* And it has grown, and there is nothing in what it grew by. */
static int grown(struct harness_report *report)
{
	struct tarn_tx *tx;
	int r = with_arena(report);

	if (r == 0)
		r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);
	if (r == 0)
		r = tarn_arena_grow(arena, tx, MUCH);
	if (r == 0)
		r = tarn_section_leave(section);
	return r < 0 ? harness_say(report, -1, "setup: %s", strerror(-r)) : 0;
}

/* A member has died in the middle of a tx that freed, allocated, and made the arena grow. */
static int orphaned(struct harness_report *report)
{
	struct tarn_tx *tx;
	tarn_ref ref;
	pid_t pid;
	int status = 0;

	if (with_arena(report) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		if (tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0 ||
		    tarn_arena_free(arena, tx, blocks[0]) < 0 ||
		    tarn_arena_alloc(arena, tx, MUCH, 0, 0, &ref) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	if (pid < 0 || harness_reap(pid, 5000, &status) < 0 || !WIFSIGNALED(status))
		return harness_say(report, -1, "setup: no orphan");
	return 0;
}

/* --- after --------------------------------------------------------------------------------- */

/* The blocks are those that were there before, and much can be had. */
static int whole(struct harness_report *report)
{
	struct tarn_tx *tx;
	tarn_ref ref;
	uint64_t now = 0;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	if (r == 0)
		r = tarn_arena_alloc(arena, tx, MUCH, 0, 0, &ref);
	if (r == 0)
		r = tarn_section_abort(section);
	if (r == 0)
		r = count_used(&now);
	if (r < 0)
		return harness_say(report, FAULT_BROKEN, "afterwards it fails: %s", strerror(-r));
	if (now != used)
		return harness_say(report, FAULT_BROKEN, "%d bytes are used, not %d", (int)now,
				   (int)used);
	return sound(report);
}

static void close_arena(void)
{
	tarn_arena_close(arena);
}

static void close_and_remove(void)
{
	tarn_arena_close(arena);
	if (tarn_arena_remove(region, "arena", TARN_FOREVER, NULL) < 0 ||
	    tarn_region_gc(region, NULL) < 0)
		abort();
}

/* --- run ----------------------------------------------------------------------------------- */

static int open_arena(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_arena_opts opts = options(&diag);
	int r;

	arena = untouched;
	r = tarn_arena_open(region, "arena", &opts, &arena);
	if (r < 0 && arena != untouched)
		return harness_say(report, FAULT_BROKEN, "it failed, and the handle was touched");
	if (r < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	return r;
}

/* Enter, do, and leave, or abort where it failed. */
static int inside(struct harness_report *report, int (*act)(struct tarn_tx *tx, tarn_ref *ret_ref))
{
	tarn_ref ref = 16;
	struct tarn_tx *tx;
	int r = tarn_section_enter(section, tarn_deadline_after(3000000), &tx, NULL), left;

	if (r < 0)
		return r;
	r = act(tx, &ref);
	if (r < 0 && ref != 16)
		return harness_say(report, FAULT_BROKEN, "it failed, and the ref was touched");
	left = r < 0 ? tarn_section_abort(section) : tarn_section_leave(section);
	if (left < 0)
		return harness_say(report, FAULT_BROKEN, "leaving fails: %s", strerror(-left));
	return r;
}

static int act_alloc_and_free(struct tarn_tx *tx, tarn_ref *ret_ref)
{
	tarn_ref ref;
	int r = tarn_arena_alloc(arena, tx, BLOCK, 0, 0, &ref);

	(void)ret_ref;
	if (r == 0)
		r = tarn_arena_realloc(arena, tx, ref, BLOCK * 8, 0, &ref);
	return r == 0 ? tarn_arena_free(arena, tx, ref) : r;
}

static int act_alloc_much(struct tarn_tx *tx, tarn_ref *ret_ref)
{
	int r = tarn_arena_alloc(arena, tx, MUCH, 0, 0, ret_ref);

	return r == 0 ? tarn_arena_free(arena, tx, *ret_ref) : r;
}

static int act_realloc_much(struct tarn_tx *tx, tarn_ref *ret_ref)
{
	int r = tarn_arena_realloc(arena, tx, blocks[1], MUCH, 0, ret_ref);

	return r == 0 ? tarn_arena_realloc(arena, tx, *ret_ref, BLOCK, 0, ret_ref) : r;
}

static int act_grow(struct tarn_tx *tx, tarn_ref *ret_ref)
{
	(void)ret_ref;
	return tarn_arena_grow(arena, tx, MUCH);
}

static int alloc_and_free(struct harness_report *report)
{
	return inside(report, act_alloc_and_free);
}

static int alloc_much(struct harness_report *report)
{
	return inside(report, act_alloc_much);
}

static int realloc_much(struct harness_report *report)
{
	return inside(report, act_realloc_much);
}

static int grow(struct harness_report *report)
{
	return inside(report, act_grow);
}

static int trim(struct harness_report *report)
{
	uint64_t size = 77;
	int r = tarn_arena_trim(arena, section, tarn_deadline_after(3000000), &size);

	if (r < 0 && size != 77)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	if (r == 0 && size < MUCH && size != 0)
		return harness_say(report, FAULT_BROKEN, "it gave back %d bytes", (int)size);
	return r;
}

static int stat_arena(struct harness_report *report)
{
	struct tarn_arena_stat st = { .size = 12345 };
	int r = tarn_arena_stat(arena, &st);

	if (r < 0 && st.size != 12345)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	if (r == 0 && st.used != used)
		return harness_say(report, FAULT_BROKEN, "the dead owner's changes are counted");
	return r;
}

static int count_block(const struct tarn_block *block, void *arg)
{
	*(uint64_t *)arg += block->size;
	return 0;
}

static int walk(struct harness_report *report)
{
	uint64_t bytes = 0;
	int r = tarn_arena_walk(arena, count_block, &bytes);

	if (r == 0 && bytes != used)
		return harness_say(report, FAULT_BROKEN, "other blocks: %d bytes", (int)bytes);
	return r;
}

static int check(struct harness_report *report)
{
	int r = tarn_arena_check(arena, NULL, NULL);

	return r == -EUCLEAN ? harness_say(report, FAULT_BROKEN, "nothing is damaged") : r;
}

/* Removed, or there as before; a second try ends it. */
static int remove_arena(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_arena_remove(region, "arena", tarn_deadline_after(3000000), &diag);

	if (r < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	return r;
}

static void make_anew(void)
{
	tarn_arena_close(arena);
	if (tarn_region_gc(region, NULL) < 0 || fill() < 0)
		abort();
}

static int gone(struct harness_report *report)
{
	struct tarn_region_stat st;
	int r = tarn_arena_remove(region, "arena", TARN_FOREVER, NULL);

	if (r < 0 && r != -ENOENT)
		return harness_say(report, FAULT_BROKEN, "a second try: %s", strerror(-r));
	tarn_arena_close(arena);
	arena = NULL;
	if (sound(report) < 0 || tarn_region_stat(region, &st) < 0)
		return harness_say(report, FAULT_BROKEN, "no figures");
	if (st.object_count != 1)
		return harness_say(report, FAULT_BROKEN, "%d objects are left",
				   (int)st.object_count - 1);
	make_anew(); /* for the next run */
	return 0;
}

static int observe(struct harness_report *report)
{
	struct tarn_region_opts opts = { .flags = TARN_REGION_OBSERVE };
	struct tarn_region *seen;
	struct tarn_arena *there = untouched;
	struct tarn_arena_stat st;
	int r = tarn_region_open(addr, &opts, &seen);

	if (r < 0)
		return r;
	r = tarn_arena_open(seen, "arena", NULL, &there);
	if (r == 0)
		r = tarn_arena_stat(there, &st);
	if (r == 0 && st.used != used)
		r = harness_say(report, FAULT_BROKEN, "other bytes: %d", (int)st.used);
	if (there != untouched)
		tarn_arena_close(there);
	tarn_region_close(seen);
	return r;
}

/* Inherited over fork(): the child has to join, in its own name. */
static int forked(struct harness_report *report)
{
	pid_t pid;
	int status = 0;

	if (with_arena(report) < 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return harness_say(report, -1, "setup: fork");
	if (pid > 0) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (WIFSIGNALED(status))
			abort();
		_exit(WEXITSTATUS(status));
	}
	return 0;
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "arena_open_creating", .setup = made, .run = open_arena,
	  .undo = close_and_remove, .sound = sound },
	{ .name = "arena_open", .setup = with_arena, .run = open_arena, .undo = close_arena,
	  .sound = sound },
	{ .name = "arena_alloc_and_free", .setup = with_arena, .run = alloc_and_free,
	  .sound = whole, .no_calls = true },
	{ .name = "arena_grow", .setup = with_arena, .run = grow, .sound = whole },
	{ .name = "arena_alloc_that_grows", .setup = with_arena, .run = alloc_much,
	  .sound = whole },
	{ .name = "arena_realloc_that_grows", .setup = with_arena, .run = realloc_much,
	  .sound = whole },
	{ .name = "arena_alloc_after_death", .setup = orphaned, .run = alloc_much,
	  .sound = whole },
	{ .name = "arena_trim", .setup = grown, .run = trim, .sound = whole },
	{ .name = "arena_trim_after_death", .setup = orphaned, .run = trim, .sound = whole },
	{ .name = "arena_stat_after_death", .setup = orphaned, .run = stat_arena,
	  .sound = whole },
	{ .name = "arena_walk_after_death", .setup = orphaned, .run = walk, .sound = whole },
	{ .name = "arena_check", .setup = with_arena, .run = check, .sound = whole,
	  .no_calls = true },
	{ .name = "arena_remove", .setup = grown, .run = remove_arena,
	  .undo = make_anew, .sound = gone },
	{ .name = "arena_remove_after_death", .setup = orphaned, .run = remove_arena,
	  .undo = make_anew, .sound = gone },
	{ .name = "arena_observe", .setup = grown, .run = observe, .sound = whole },
	{ .name = "arena_use_after_fork", .setup = forked, .run = alloc_much, .sound = whole },
};
/* clang-format on */

/* --- seeded faults ------------------------------------------------------------------------- */

/* A program that goes on after a refusal, as if it had never asked: what it allocated stays. */
static int keeps_what_it_had(struct harness_report *report)
{
	struct tarn_tx *tx;
	tarn_ref ref;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL), left;

	(void)report;
	if (r == 0)
		r = tarn_arena_alloc(arena, tx, BLOCK, 0, 0, &ref);
	if (r == 0)
		r = tarn_arena_alloc(arena, tx, MUCH, 0, 0, &ref);
	left = r == 0 ? tarn_section_abort(section) : tarn_section_leave(section);
	return r < 0 ? r : left;
}

static int act_and_touch(struct tarn_tx *tx, tarn_ref *ret_ref)
{
	*ret_ref = 32;
	return act_grow(tx, ret_ref);
}

static int touches(struct harness_report *report)
{
	return inside(report, act_and_touch);
}

static int find_mutants(void)
{
	static const struct fault_case mutants[] = {
		{ .name = "a_block_that_is_lost",
		  .setup = with_arena,
		  .run = keeps_what_it_had,
		  .sound = whole },
		{ .name = "a_ref_touched_on_failure",
		  .setup = with_arena,
		  .run = touches,
		  .sound = whole },
	};
	const int count = (int)(sizeof(mutants) / sizeof(mutants[0]));
	int failed = 0;

	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		struct fault_total total = { 0 };

		/* one that is wrong without any fault would prove nothing */
		bool found = fault_sweep(&mutants[i], true, &total) > 0 && total.faults > 0;

		failed += !found;
		printf("%sok %d - %s_is_found # %llu faults\n", found ? "" : "not ", i + 1,
		       mutants[i].name, (unsigned long long)total.faults);
	}
	return failed != 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--mutants") == 0) {
		fault_begin(argv);
		return find_mutants();
	}
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
