/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena_pairs.c - one process stopped inside an operation on an arena, wherever it can be stopped,
 * and another one killed beside it, wherever it can die. pairs.h says how.
 *
 * A's block goes into slot 7 of the table, B's into slot 6; what either frees leaves its slot. So
 * afterwards it is known of either whether it was done, and the books say that the arena has what
 * the table has, to the byte, whoever has grown or trimmed it meanwhile.
 */
#include <errno.h>
#include <string.h>

#include "arena_ops.h"
#include "pairs.h"

#define PATIENCE tarn_deadline_after(3000000) /* who stands may be the owner */

/* --- A: is stopped ------------------------------------------------------------------------- */

/* All its time: B may be the owner, until it dies. */
static int enter_a(void)
{
	return tarn_section_enter(one, TARN_FOREVER, &tx, NULL);
}

#define A(nm, what)                                                                                \
	static int nm(struct kill_world *world, struct harness_report *report)                     \
	{                                                                                          \
		int r = enter_a();                                                                 \
		(void)world, (void)report;                                                         \
		return r < 0 ? r : leave(what);                                                    \
	}

A(a_small, put(7, 100, 90))
A(a_page, put(7, 4096, 90))
A(a_growing, put(7, 5 * 4096, 90))
A(a_free, drop(0))

static int a_abort(struct kill_world *world, struct harness_report *report)
{
	int r = enter_a();

	(void)world, (void)report;
	if (r == 0)
		r = put(7, 5 * 4096, 90);
	return r < 0 ? r : tarn_section_abort(one);
}

static int a_trim(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_arena_trim(arena, one, TARN_FOREVER, NULL);
}

/* --- B: is killed -------------------------------------------------------------------------- */

#define B(nm, what)                                                                                \
	static int nm(struct kill_world *world, struct harness_report *report)                     \
	{                                                                                          \
		int r = tarn_section_enter(one, PATIENCE, &tx, NULL);                              \
		(void)world, (void)report;                                                         \
		return r < 0 ? r : leave(what);                                                    \
	}

B(b_small, put(6, 100, 60))
B(b_growing, put(6, 6 * 4096, 60))
B(b_free, drop(1))

static int b_trim(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_arena_trim(arena, one, PATIENCE, NULL);
}

static int b_remove(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_arena_remove(region, "arena", PATIENCE, NULL);
}

/* --- survivors ----------------------------------------------------------------------------- */

/* Can it be that this was done, or not done, with that fate? */
static bool possible(int fate, bool done)
{
	return fate == KILL_KILLED || done == (fate == 0);
}

static int judge(struct kill_world *world, bool a_done, bool b_done, struct harness_report *report)
{
	if (!possible(world->fate_a, a_done) || !possible(world->fate_b, b_done))
		return harness_say(report, KILL_VIOLATION, "a: %d, and it is %sdone; b: %d, %sdone",
				   world->fate_a, a_done ? "" : "not ", world->fate_b,
				   b_done ? "" : "not ");
	return wind_up(world, 0, report);
}

/* Where there is nothing to be seen of what was done. */
static bool unseen(int fate)
{
	return fate == 0;
}

static int check_put_put(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) < 0)
		return KILL_VIOLATION;
	return judge(world, pool->slots[7].ref != 0, pool->slots[6].ref != 0, report);
}

static int check_put_drop(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) < 0)
		return KILL_VIOLATION;
	return judge(world, pool->slots[7].ref != 0, pool->slots[1].ref == 0, report);
}

static int check_drop_drop(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) < 0)
		return KILL_VIOLATION;
	return judge(world, pool->slots[0].ref == 0, pool->slots[1].ref == 0, report);
}

static int check_put_none(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) < 0)
		return KILL_VIOLATION;
	return judge(world, pool->slots[7].ref != 0, unseen(world->fate_b), report);
}

static int check_none_put(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) < 0)
		return KILL_VIOLATION;
	if (pool->slots[7].ref != 0)
		return harness_say(report, KILL_VIOLATION, "a block of an aborted tx");
	return judge(world, unseen(world->fate_a), pool->slots[6].ref != 0, report);
}

/* What is removed is gone with its blocks, whatever A was about to do. */
static int check_removed(struct kill_world *world, struct harness_report *report)
{
	int r;

	if (open_all(world, false, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	r = tarn_arena_open(region, "arena", NULL, &arena);
	if (r != 0 && r != -ENOENT)
		return survivor_say(report, "open", r, NULL);
	if (!possible(world->fate_b, r != 0))
		return harness_say(report, KILL_VIOLATION, "b: %d, and opening says %d",
				   world->fate_b, r);
	if (r != 0) {
		r = enter();
		if (r == 0)
			r = leave(0);
		memset(pool, 0, sizeof(*pool));
		if (r < 0 || make_arena(0, report) < 0)
			return KILL_VIOLATION;
	} else {
		r = enter();
		if (r < 0 || leave(0) < 0)
			return KILL_VIOLATION;
	}
	return books(report) < 0 ? KILL_VIOLATION : wind_up(world, 0, report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
#define PAIR(nm, before, op_a, op_b, judges, flag) \
	{ .name = "pair-arena-" nm, .setup = before, .prepare_a = ready, .a = op_a, \
	  .prepare_b = ready, .b = op_b, .check = check_##judges, \
	  .refused_b = { -ETIMEDOUT }, .flags = flag }

static const struct kill_pair pairs[] = {
	PAIR("alloc-and-alloc", w_two_small, a_small, b_small, put_put, 0),
	PAIR("alloc-and-free", w_two_small, a_small, b_free, put_drop, 0),
	PAIR("free-and-free", w_two_small, a_free, b_free, drop_drop, 0),
	PAIR("alloc-and-growing", w_two_small, a_page, b_growing, put_put, 0),
	PAIR("growing-and-growing", w_two_small, a_growing, b_growing, put_put, KILL_LONG),
	PAIR("growing-and-alloc", w_two_small, a_growing, b_small, put_put, 0),
	PAIR("grow-abort-and-growing", w_two_small, a_abort, b_growing, none_put, KILL_LONG),
	PAIR("alloc-and-trim", w_to_trim, a_small, b_trim, put_none, 0),
	PAIR("growing-and-trim", w_to_trim, a_growing, b_trim, put_none, KILL_LONG),
	PAIR("trim-and-growing", w_to_trim, a_trim, b_growing, none_put, 0),
	PAIR("trim-and-alloc", w_to_trim, a_trim, b_small, none_put, 0),
	{ .name = "pair-arena-alloc-and-remove", .setup = w_two_small, .prepare_a = ready,
	  .a = a_small, .prepare_b = ready, .b = b_remove, .check = check_removed,
	  .refused_a = { -ENOENT }, .refused_b = { -ETIMEDOUT, -EBUSY } },
	{ .name = "pair-arena-growing-and-remove", .setup = w_two_small, .prepare_a = ready,
	  .a = a_growing, .prepare_b = ready, .b = b_remove, .check = check_removed,
	  .refused_a = { -ENOENT }, .refused_b = { -ETIMEDOUT, -EBUSY }, .flags = KILL_LONG },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_pair_main(argc, argv, pairs, (int)(sizeof(pairs) / sizeof(pairs[0])),
			      survivor_world_named);
}
