/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section_pairs.c - one process stopped inside an operation on sections, wherever it can be
 * stopped, and another one killed beside it, wherever it can die. pairs.h says how.
 *
 * Each has a change of its own to make, so that afterwards it is known of either whether it was
 * made: where the operation returned 0 it was, where it was refused it was not, and of who was
 * killed it is there whole or not at all. Whoever enters finds the pool whole, and nobody who has
 * entered and not left: the stopped one says so of itself in memory outside of the region.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pairs.h"
#include "section_ops.h"
#include "sync/section.h"

/* Who is stepped through takes longer to fall asleep than a sleep lasts otherwise. */
#define LONG_SLEEP INT64_C(60000000000)
#define PATIENCE   tarn_deadline_after(3000000) /* who stands may be the owner */

/* --- inside -------------------------------------------------------------------------------- */

/* Nothing that others had begun is left in the pool. */
static bool pool_whole(void)
{
	return pool->one.count + pool->two.count + pool->free_count == NODES;
}

/* B has entered. It leaves if it is not to be here. */
static int found_whole(const struct kill_world *world, struct harness_report *report)
{
	if (atomic_load(&state_of(world)->inside) != 0)
		return harness_say(report, -EILSEQ, "b is inside beside a");
	if (!pool_whole())
		return harness_say(report, -EILSEQ, "b has entered, and found half a change");
	return 0;
}

static int entered(const struct kill_world *world, struct harness_report *report)
{
	if (!pool_whole())
		return harness_say(report, -EILSEQ, "a has entered, and found half a change");
	atomic_store(&state_of(world)->inside, 1);
	return 0;
}

static void leaving(const struct kill_world *world)
{
	atomic_store(&state_of(world)->inside, 0);
}

/* --- either ------------------------------------------------------------------------------- */

static int recover_one(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_section_recover(region, "one", 0, NULL);
}

static int join_and_leave(struct kill_world *world, struct harness_report *report)
{
	struct tarn_region *mine;
	int r = tarn_region_open(world->addr, NULL, &mine);

	(void)report;
	if (r == 0)
		tarn_region_close(mine);
	return r;
}

/* --- A: is stopped ------------------------------------------------------------------------- */

static int change_one(struct kill_world *world, uint64_t key, bool keep,
		      struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	if (r == 0)
		r = entered(world, report);
	if (r == 0)
		r = insert(&pool->one, key);
	if (r < 0)
		return r;
	leaving(world);
	return keep ? tarn_section_leave(one) : tarn_section_abort(one);
}

static int a_insert(struct kill_world *world, struct harness_report *report)
{
	return change_one(world, 5, true, report);
}

static int a_abort(struct kill_world *world, struct harness_report *report)
{
	return change_one(world, 5, false, report);
}

static int prepared_to_sleep(struct kill_world *world, struct harness_report *report)
{
	tarn__section_net_ns = LONG_SLEEP;
	return prepared(world, report);
}

/* B has 5. */
static int a_insert_later(struct kill_world *world, struct harness_report *report)
{
	return change_one(world, 9, true, report);
}

static int change_both(struct kill_world *world, bool keep, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	if (r == 0)
		r = tarn_section_enter(two, TARN_FOREVER, &tx, NULL);
	if (r == 0)
		r = entered(world, report);
	if (r == 0)
		r = move();
	if (r < 0)
		return r;
	leaving(world);
	if (!keep)
		return tarn_section_abort(two);
	r = tarn_section_leave(two);
	return r == 0 ? tarn_section_leave(one) : r;
}

static int a_move(struct kill_world *world, struct harness_report *report)
{
	return change_both(world, true, report);
}

static int a_abort_two(struct kill_world *world, struct harness_report *report)
{
	return change_both(world, false, report);
}

static int a_second(struct kill_world *world, struct harness_report *report)
{
	struct content found;
	int r = tarn_section_enter(two, TARN_FOREVER, &tx, NULL);

	(void)world;
	if (r == 0)
		r = second_content(&found, report);
	return r == 0 ? tarn_section_leave(two) : r;
}

/* Enters the one section, leaves it, and changes something under the other. */
static int a_second_then_first(struct kill_world *world, struct harness_report *report)
{
	int r = a_second(world, report);

	return r == 0 ? a_insert(world, report) : r;
}

static int a_object(struct kill_world *world, struct harness_report *report)
{
	void *data;
	int r = tarn_object_create(region, "extra", 64, &data, NULL);

	(void)world, (void)report;
	if (r < 0)
		return r;
	memset(data, 0xaa, 64);
	tarn_object_close(region, data);
	return tarn_object_remove(region, "extra");
}

/* --- B: is killed -------------------------------------------------------------------------- */

static int b_change(struct kill_world *world, int r, bool keep, struct harness_report *report)
{
	if (r == 0)
		r = found_whole(world, report);
	if (r == 0)
		r = insert(&pool->one, 9);
	if (r < 0)
		return r;
	return keep ? tarn_section_leave(one) : tarn_section_abort(one);
}

static int b_insert(struct kill_world *world, struct harness_report *report)
{
	return b_change(world, tarn_section_enter(one, PATIENCE, &tx, NULL), true, report);
}

static int b_try(struct kill_world *world, struct harness_report *report)
{
	return b_change(world, tarn_section_try(one, &tx, NULL), true, report);
}

static int b_abort(struct kill_world *world, struct harness_report *report)
{
	return b_change(world, tarn_section_enter(one, PATIENCE, &tx, NULL), false, report);
}

/* The other section first; then what it can get of the first one. */
static int b_second(struct kill_world *world, struct harness_report *report)
{
	struct content found;
	int r = tarn_section_enter(two, PATIENCE, &tx, NULL);

	if (r < 0)
		return r;
	if (second_content(&found, report) < 0)
		return -EILSEQ;
	r = tarn_section_leave(two);
	return r == 0 ? b_insert(world, report) : r;
}

/* Key 6 from one list to the other. */
static int b_move(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, PATIENCE, &tx, NULL);

	if (r < 0)
		return r;
	r = tarn_section_enter(two, PATIENCE, &tx, NULL);
	if (r == -ETIMEDOUT) {
		(void)!tarn_section_leave(one);
		return r;
	}
	if (r == 0)
		r = found_whole(world, report);
	if (r == 0)
		r = take_out(&pool->one, 6);
	if (r == 0)
		r = insert(&pool->two, 6);
	if (r == 0)
		r = tarn_section_leave(two);
	return r == 0 ? tarn_section_leave(one) : r;
}

/* Recover everything, then enter what may be entered. */
static int b_recover_insert(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_recover(region, NULL, 0, NULL);

	return r == 0 ? b_try(world, report) : r;
}

static int b_read(struct kill_world *world, struct harness_report *report)
{
	struct list seen;
	int r = tarn_section_read(one, &seen, &pool->one, sizeof(seen), PATIENCE);

	(void)world;
	if (r == 0 && seen.count != 3 && seen.count != 4)
		return harness_say(report, -EILSEQ, "b has read a list of %d", (int)seen.count);
	return r;
}

/* Reaps the dead, not those who stand. */
static int b_gc(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_region_gc(region, NULL);

	return r == 0 ? b_insert(world, report) : r;
}

static int b_object(struct kill_world *world, struct harness_report *report)
{
	const unsigned char *bytes;
	void *data;
	int r = tarn_object_create(region, "other", 64, &data, NULL);

	(void)world;
	if (r < 0)
		return r;
	bytes = data;
	for (int i = 0; i < 64; i++)
		if (bytes[i] != 0)
			return harness_say(report, -EILSEQ, "a new object is not zero");
	memset(data, 0xbb, 64);
	tarn_object_close(region, data);
	return 0;
}

/* --- a third, asleep in enter while B is inside ---------------------------------------------- */

static int sleeper(struct kill_world *world, struct harness_report *report)
{
	int r = prepared_to_sleep(world, report);

	if (r == 0)
		r = tarn_section_enter(one, tarn_deadline_after(LONG_SLEEP), &tx, NULL);
	if (r == 0 && !pool_whole())
		r = harness_say(report, -EILSEQ, "the sleeper found half a change");
	if (r == 0)
		r = insert(&pool->one, 8);
	if (r == 0)
		r = tarn_section_leave(one);
	return r < 0 ? survivor_say(report, "the sleeper", r, NULL) : 0;
}

/* --- survivors ----------------------------------------------------------------------------- */

/* What an operation does to the pool, all of it or nothing. */
struct effect {
	unsigned to_one, from_one, to_two;
};

static void apply(struct content *content, const struct effect *effect)
{
	content->one = (content->one | effect->to_one) & ~effect->from_one;
	content->two |= effect->to_two;
}

/* Can it be that this was done, or not done, with that fate? */
static bool possible(int fate, bool done)
{
	return fate == KILL_KILLED || done == (fate == 0);
}

static int judge(struct kill_world *world, const struct effect *a, const struct effect *b,
		 unsigned third, struct harness_report *report)
{
	struct content found;

	/* one of two survivors: who enters in order, and who comes upon section two first */
	if (pool_look(world, (getpid() & 1) != 0, &found, report) < 0)
		return KILL_VIOLATION;
	for (int done = 0; done < 4; done++) {
		struct content legal = at_first;

		legal.one |= third;
		if (!possible(world->fate_a, (done & 1) != 0) ||
		    !possible(world->fate_b, (done & 2) != 0))
			continue;
		if ((done & 1) != 0)
			apply(&legal, a);
		if ((done & 2) != 0)
			apply(&legal, b);
		if (same_content(&found, &legal))
			return pool_wind_up(world, 0, report);
	}
	return harness_say(report, KILL_VIOLATION, "a: %d, b: %d, and found 0x%x, 0x%x",
			   world->fate_a, world->fate_b, found.one, found.two);
}

static const struct effect none = { 0 };
static const struct effect gets_5 = { .to_one = 1u << 5 };
static const struct effect gets_9 = { .to_one = 1u << 9 };
static const struct effect moves_4 = { .from_one = 1u << 4, .to_two = 1u << 4 };
static const struct effect moves_6 = { .from_one = 1u << 6, .to_two = 1u << 6 };

#define JUDGES(name, a, b, third)                                                                  \
	static int check_##name(struct kill_world *world, struct harness_report *report)           \
	{                                                                                          \
		return judge(world, &a, &b, third, report);                                        \
	}

JUDGES(none_9, none, gets_9, 0)
JUDGES(5_none, gets_5, none, 0)
JUDGES(5_9, gets_5, gets_9, 0)
JUDGES(9_5, gets_9, gets_5, 0)
JUDGES(9_5_and_8, gets_9, gets_5, 1u << 8)
JUDGES(9_none, gets_9, none, 0)
JUDGES(move_9, moves_4, gets_9, 0)
JUDGES(move_move, moves_4, moves_6, 0)

/* An object may have been left by one who was killed; B's is whole where B has made it. */
static int check_object(struct kill_world *world, struct harness_report *report)
{
	const unsigned char *bytes;
	void *data;
	int r;

	if (open_pool(world, report) < 0)
		return KILL_VIOLATION;
	r = tarn_object_open(region, "other", &data, NULL);
	if (!possible(world->fate_b, r == 0))
		return harness_say(report, KILL_VIOLATION, "b: %d, its object: %d", world->fate_b,
				   r);
	for (int i = 0; i < 64 && r == 0 && world->fate_b == 0; i++) {
		bytes = data;
		if (bytes[i] != 0xbb)
			return harness_say(report, KILL_VIOLATION, "b's object has other bytes");
	}
	if (r == 0)
		tarn_object_close(region, data);
	(void)!tarn_object_remove(region, "other");
	(void)!tarn_object_remove(region, "extra");
	return judge(world, &none, &none, 0, report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
#define BOTH(nm, before, how, op_a, op_b, ...) \
	{ .name = "pair-" nm, .setup = before, .prepare_a = how, .a = op_a, \
	  .prepare_b = how, .b = op_b, __VA_ARGS__ }
#define PAIR(nm, before, ...) BOTH(nm, before, prepared, __VA_ARGS__)
/* What the dead left is still there when the operations begin. */
#define AFTER_DEATH(nm, before, ...) BOTH(nm, before, ready, __VA_ARGS__)
/* B is inside, and has inserted 5. */
#define ASLEEP(nm, op_b, ...) \
	{ .name = "pair-" nm, .setup = fresh, .prepare_a = prepared_to_sleep, .a = a_insert_later, \
	  .prepare_b = inside_changed, .b = op_b, .flags = PAIR_A_WAITS, __VA_ARGS__ }

static const struct kill_pair pairs[] = {
	PAIR("insert-and-enter", fresh, a_insert, b_insert,
	     .check = check_5_9, .refused_b = { -ETIMEDOUT }),
	PAIR("insert-and-try", fresh, a_insert, b_try,
	     .check = check_5_9, .refused_b = { -EAGAIN }),
	PAIR("insert-and-abort", fresh, a_insert, b_abort,
	     .check = check_5_none, .refused_b = { -ETIMEDOUT }),
	PAIR("insert-and-recover", fresh, a_insert, recover_one,
	     .check = check_5_none, .refused_b = { -EBUSY }),
	PAIR("insert-and-read", fresh, a_insert, b_read,
	     .check = check_5_none, .refused_b = { -ETIMEDOUT }),
	PAIR("insert-and-gc", fresh, a_insert, b_gc,
	     .check = check_5_9, .refused_b = { -ETIMEDOUT }),
	PAIR("insert-and-join", fresh, a_insert, join_and_leave, .check = check_5_none),
	PAIR("abort-and-enter", fresh, a_abort, b_insert,
	     .check = check_none_9, .refused_b = { -ETIMEDOUT }),
	PAIR("move-and-second", fresh, a_move, b_second,
	     .check = check_move_9, .refused_b = { -ETIMEDOUT }),
	PAIR("move-and-move", fresh, a_move, b_move,
	     .check = check_move_move, .refused_b = { -ETIMEDOUT }),
	PAIR("move-and-recover", fresh, a_move, b_recover_insert, .check = check_move_9,
	     .refused_b = { -EAGAIN }),
	PAIR("abort-two-and-second", fresh, a_abort_two, b_second, .check = check_none_9,
	     .refused_b = { -ETIMEDOUT }),
	PAIR("join-and-enter", fresh, join_and_leave, b_insert, .check = check_none_9),
	PAIR("join-and-gc", fresh, join_and_leave, b_gc,
	     .check = check_none_9, .refused_b = { -ETIMEDOUT }),
	PAIR("object-and-object", fresh, a_object, b_object,
	     .check = check_object, .refused_b = { -ETIMEDOUT },
	     .flags = KILL_LONG),
	AFTER_DEATH("enter-after-death-and-enter", left_changed, a_insert, b_insert,
		    .check = check_5_9,
		    .refused_b = { -ETIMEDOUT }),
	AFTER_DEATH("enter-after-death-and-recover", left_changed, a_insert, recover_one,
		    .check = check_5_none,
		    .refused_b = { -EBUSY }),
	AFTER_DEATH("recover-and-enter", left_changed, recover_one, b_insert,
		    .check = check_none_9,
		    .refused_a = { -EBUSY }, .refused_b = { -ETIMEDOUT }),
	AFTER_DEATH("recover-and-gc", left_changed, recover_one, b_gc, .check = check_none_9,
		    .refused_b = { -ETIMEDOUT }),
	AFTER_DEATH("second-after-death-of-two-and-second", left_changed_two, a_second_then_first,
		    b_second, .check = check_5_9, .refused_b = { -ETIMEDOUT }),
	AFTER_DEATH("first-after-death-of-two-and-second", left_changed_two, a_insert, b_second,
		    .check = check_5_9, .refused_b = { -ETIMEDOUT }),
	AFTER_DEATH("second-after-death-of-two-and-recover", left_changed_two,
		    a_second_then_first, recover_one,
	       .check = check_5_none, .refused_b = { -EBUSY }),
	ASLEEP("asleep-and-leave", op_leave, .check = check_9_5),
	ASLEEP("asleep-and-abort", op_abort_inside, .check = check_9_none),
	ASLEEP("asleep-and-close", op_close_inside, .check = check_9_none),
	ASLEEP("asleep-and-leave-beside-sleeper", op_leave,
	       .check = check_9_5_and_8, .peer = sleeper),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_pair_main(argc, argv, pairs, (int)(sizeof(pairs) / sizeof(pairs[0])),
			      survivor_world_named);
}
