/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section.c - every operation on sections, killed at each instruction: opening, entering, logged
 * stores of every kind, commit, abort, several sections, waiting, recovering, removing; and with a
 * living peer asleep on the other side.
 *
 * Two survivors judge each state: one that enters the sections in their order, and one that comes
 * upon the second one first. For each the pool must be as it was before, or as it is to be after.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "section_ops.h"

/* --- survivors ----------------------------------------------------------------------------- */

/* 0: as it was; 1: as @after says. */
static int judge(struct kill_world *world, const struct content *after, bool second,
		 struct harness_report *report)
{
	struct content found;
	int outcome;

	if (pool_look(world, second, &found, report) < 0)
		return KILL_VIOLATION;
	if (same_content(&found, after))
		outcome = 1;
	else if (same_content(&found, &at_first))
		outcome = 0;
	else
		return harness_say(report, KILL_VIOLATION, "found 0x%x, 0x%x and note %d",
				   found.one, found.two, found.note);
	if (same_content(after, &at_first))
		outcome = 0;
	return pool_wind_up(world, outcome, report);
}

static const struct content inserted = { .one = 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6,
					 .two = 1u << 3 };
static const struct content removed = { .one = 1u << 2 | 1u << 6, .two = 1u << 3 };
static const struct content moved = { .one = 1u << 2 | 1u << 6, .two = 1u << 3 | 1u << 4 };
static const struct content noted = { .one = 1u << 2 | 1u << 4 | 1u << 6,
				      .two = 1u << 3,
				      .note = 'w' };

#define JUDGES(name, after)                                                                        \
	static int check_##name(struct kill_world *world, struct harness_report *report)           \
	{                                                                                          \
		return judge(world, after, false, report);                                         \
	}                                                                                          \
	static int check2_##name(struct kill_world *world, struct harness_report *report)          \
	{                                                                                          \
		return judge(world, after, true, report);                                          \
	}

JUDGES(same, &at_first)
JUDGES(inserted, &inserted)
JUDGES(removed, &removed)
JUDGES(moved, &moved)
JUDGES(noted, &noted)

/* The section is there or not; it can be made, and used. */
static int check_made(struct kill_world *world, struct harness_report *report)
{
	const struct tarn_section_opts opts = { .journal_size = JOURNAL };
	struct content found;
	int r;

	if (survivor_open(world, &region, report) != 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	r = tarn_section_open(region, "one", NULL, &one);
	if (r != 0 && r != -ENOENT)
		return survivor_say(report, "open", r, NULL);
	if ((r != 0 && tarn_section_open(region, "one", &opts, &one) < 0) ||
	    tarn_section_open(region, "two", &opts, &two) < 0 || open_pool(world, report) < 0 ||
	    pool_content(&found, report) < 0)
		return harness_say(report, KILL_VIOLATION, "it cannot be made");
	return pool_wind_up(world, r == 0, report);
}

/* Gone or not; what a dead owner had changed is undone either way once it is gone. */
static int check_gone(struct kill_world *world, struct harness_report *report)
{
	const struct tarn_section_opts opts = { .journal_size = JOURNAL };
	struct content found;
	int r;

	if (survivor_open(world, &region, report) != 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	r = tarn_section_open(region, "one", NULL, &one);
	if (r == 0 && (enter_patiently(one, report) < 0 || tarn_section_leave(one) < 0))
		return KILL_VIOLATION;
	if (r != 0 && tarn_section_open(region, "one", &opts, &one) < 0)
		return harness_say(report, KILL_VIOLATION, "it cannot be made anew");
	if (open_pool(world, report) < 0 || enter_patiently(two, report) < 0 ||
	    pool_content(&found, report) < 0 || tarn_section_leave(two) < 0)
		return KILL_VIOLATION;
	if (!same_content(&found, &at_first))
		return harness_say(report, KILL_VIOLATION, "a change of the dead was not undone");
	return pool_wind_up(world, r != 0, report);
}

/* Still set aside, or mended by force: the entry that was damaged changed nothing. */
static int check_mended(struct kill_world *world, struct harness_report *report)
{
	struct content found;
	int r;

	if (open_pool(world, report) < 0)
		return KILL_VIOLATION;
	r = tarn_section_enter(one, tarn_deadline_after(INT64_C(5000000000)), &tx, NULL);
	if (r == 0)
		r = tarn_section_leave(one);
	else if (r == -ENOTRECOVERABLE)
		r = tarn_section_recover(region, "one", TARN_SECTION_FORCE, NULL) < 0 ? r : 1;
	if (r < 0)
		return survivor_say(report, "enter", r, NULL);
	if (pool_look(world, false, &found, report) < 0)
		return KILL_VIOLATION;
	if (!same_content(&found, &at_first))
		return harness_say(report, KILL_VIOLATION, "not undone");
	return pool_wind_up(world, r == 0, report);
}

/* Beside a peer that has inserted 9 once the op was done or dead. */
static int check_beside(struct kill_world *world, struct harness_report *report)
{
	struct content found, with, without;
	unsigned mine = 1u << 5, peers = 1u << 9;

	if (atomic_exchange(&state_of(world)->finished, 0) != 1)
		return harness_say(report, KILL_VIOLATION, "the peer did not do its work");
	if (pool_look(world, false, &found, report) < 0)
		return KILL_VIOLATION;
	without = at_first;
	without.one |= peers;
	with = without;
	with.one |= mine;
	if (!same_content(&found, &without) && !same_content(&found, &with))
		return harness_say(report, KILL_VIOLATION, "found 0x%x, 0x%x", found.one,
				   found.two);
	return pool_wind_up(world, same_content(&found, &with), report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* What the next one does. */
static int recover(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	if (r == 0)
		(void)!tarn_section_leave(one);
	r = tarn_section_enter(two, TARN_FOREVER, &tx, NULL);
	return r == 0 ? tarn_section_leave(two) : r;
}

/* clang-format off */
#define CHANGES(nm, first, what, judges) \
	{ .name = "section-" nm, .setup = fresh, .prepare = first, .op = what, \
	  .check = check_##judges, .check2 = check2_##judges, .ready = ready, .recover = recover }
#define SAME(nm, before, first, what) \
	{ .name = "section-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_same, .check2 = check2_same, .ready = ready, .recover = recover, \
	  .flags = KILL_UNCHANGED }
#define BESIDE(nm, first, what) \
	{ .name = "section-" nm, .setup = fresh, .prepare = first, .op = what, \
	  .peer = sleeping_enterer, .check = check_beside, .flags = KILL_NO_IMAGES }

static const struct kill_op ops[] = {
	{ .name = "section-open-creating", .setup = no_sections, .prepare = join,
	  .op = open_creating, .check = check_made },
	SAME("first-enter-leave", fresh, ready, enter_leave),
	SAME("enter-leave", fresh, prepared, enter_leave),
	SAME("try-leave", fresh, prepared, try_leave),
	CHANGES("insert", prepared, op_insert, inserted),
	CHANGES("remove-node", prepared, op_remove, removed),
	CHANGES("write", prepared, op_write, noted),
	CHANGES("set", prepared, op_set, noted),
	CHANGES("log", prepared, op_log, noted),
	CHANGES("move", prepared, op_move, moved),
	CHANGES("move-nested", prepared, op_move_nested, moved),
	CHANGES("leave", inside_changed, op_leave, inserted),
	CHANGES("leave-two", inside_two, op_leave_two, moved),
	SAME("abort", fresh, prepared, op_abort),
	SAME("abort-two", fresh, prepared, op_abort_two),
	SAME("close-inside", fresh, inside_changed, op_close_inside),
	{ .name = "section-full", .setup = fresh, .prepare = prepared, .op = op_full,
	  .check = check_same, .check2 = check2_same, .ready = ready, .recover = recover,
	  .result = -ENOSPC, .flags = KILL_UNCHANGED },
	SAME("read", fresh, prepared, op_read),
	SAME("enter-after-death", left_changed, prepared, enter_leave),
	SAME("enter-after-death-in-its-slot", left_changed, join_its_slot, enter_leave),
	SAME("try-after-death", left_changed, prepared, try_leave),
	SAME("enter-second-after-death-of-two", left_changed_two, ready, enter_second),
	SAME("enter-first-after-death-of-two", left_changed_two, ready, enter_leave),
	SAME("read-after-death", left_changed, prepared, op_read),
	SAME("recover", left_changed_two, ready, op_recover),
	{ .name = "section-recover-force", .setup = left_aside, .prepare = ready,
	  .op = op_recover_force, .check = check_mended, .ready = ready,
	  .recover = op_recover_force },
	{ .name = "section-remove-after-death", .setup = left_changed, .prepare = join,
	  .op = op_section_remove, .check = check_gone },
	{ .name = "section-remove", .setup = left_changed_two, .prepare = join,
	  .op = op_section_remove, .check = check_gone },
	{ .name = "section-enter-asleep", .setup = fresh, .prepare = beside_holder,
	  .op = op_insert, .wake = let_holder_go, .check = check_inserted,
	  .check2 = check2_inserted, .ready = ready, .recover = recover },
	{ .name = "section-enter-timed-out", .setup = fresh, .prepare = beside_holder,
	  .op = enter_timed_out, .check = check_same, .check2 = check2_same,
	  .result = -ETIMEDOUT, .flags = KILL_UNCHANGED | KILL_SLOW },
	BESIDE("leave-beside-sleeper", inside_beside_sleeper, op_leave),
	BESIDE("abort-beside-sleeper", inside_beside_sleeper, op_abort_inside),
	BESIDE("close-beside-sleeper", inside_beside_sleeper, op_close_inside),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
