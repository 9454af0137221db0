/* SPDX-License-Identifier: BSD-2-Clause */
/* section_judge.c - what each survivor looks at in the pool: see section_ops.h. */
#include <stdio.h>
#include <string.h>

#include "section_ops.h"

bool same_content(const struct content *a, const struct content *b)
{
	return a->one == b->one && a->two == b->two && a->note == b->note;
}

int enter_patiently(struct tarn_section *section, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_section_enter(section, tarn_deadline_after(INT64_C(5000000000)), &tx, &diag);

	return r < 0 ? survivor_say(report, "enter", r, &diag) : 0;
}

int pool_look(struct kill_world *world, bool second, struct content *ret,
	      struct harness_report *report)
{
	struct content alone = { 0 };

	await_holder_end(world);
	if (open_pool(world, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	if (second && (enter_patiently(two, report) < 0 || second_content(&alone, report) < 0 ||
		       tarn_section_leave(two) < 0))
		return KILL_VIOLATION;
	if (enter_patiently(one, report) < 0 || enter_patiently(two, report) < 0 ||
	    pool_content(ret, report) < 0)
		return KILL_VIOLATION;
	if (tarn_section_leave(two) < 0 || tarn_section_leave(one) < 0)
		return harness_say(report, KILL_VIOLATION, "leave failed");
	if (second && alone.two != ret->two)
		return harness_say(report, KILL_VIOLATION,
				   "section two alone showed 0x%x, not 0x%x", alone.two, ret->two);
	return survivor_check(region, report);
}

int pool_wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	struct content before, after;
	uint32_t version = 0;
	int r;

	if (enter_patiently(one, report) < 0 || pool_content(&before, report) < 0)
		return KILL_VIOLATION;
	r = insert(&pool->one, 20);
	if (r < 0 || tarn_section_abort(one) < 0)
		return harness_say(report, KILL_VIOLATION, "no node can be had");
	if (enter_patiently(one, report) < 0 || insert(&pool->one, 21) < 0 ||
	    tarn_section_leave(one) < 0 || enter_patiently(one, report) < 0 ||
	    pool_content(&after, report) < 0 || take_out(&pool->one, 21) < 0 ||
	    tarn_section_leave(one) < 0)
		return harness_say(report, KILL_VIOLATION, "the list cannot be changed");
	if (after.one != (before.one | 1u << 21) || after.two != before.two)
		return harness_say(report, KILL_VIOLATION, "a change was lost");
	if (tarn_section_read_begin(one, &version) < 0 ||
	    tarn_section_read_begin(two, &version) < 0)
		return harness_say(report, KILL_VIOLATION, "it cannot be read");
	if (survivor_kept(region, report) < 0)
		return KILL_VIOLATION;
	tarn_section_close(one);
	tarn_section_close(two);
	tarn_object_close(region, pool);
	if (survivor_whole(world, region, OBJECTS, report) < 0)
		return KILL_VIOLATION;
	if (tarn_section_remove(region, "one", NULL) < 0 ||
	    tarn_section_remove(region, "two", NULL) < 0)
		return harness_say(report, KILL_VIOLATION, "the sections cannot be removed");
	if (survivor_whole(world, region, OBJECTS - 2, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	region = NULL;
	return outcome;
}
