/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * region.c - every operation on regions and their directories, killed at each instruction:
 * create, open-or-create, open, close, grow, remove, gc, and objects made, opened, closed and
 * removed; POSIX, file and System V.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "region/type.h"
#include "survivor.h"

enum { THING = 1000 }; /* bytes of the object that ops make */

static struct tarn_region *region;
static void *thing;

/* --- worlds before ------------------------------------------------------------------------- */

static int nothing(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return 0;
}

static int make(struct kill_world *world, uint32_t flags, struct harness_report *report)
{
	if (survivor_create(world, flags, &region, report) < 0)
		return -1;
	return survivor_keep(region, report);
}

static int made(struct kill_world *world, struct harness_report *report)
{
	int r = make(world, 0, report);

	tarn_region_close(region);
	return r;
}

/* Never closed: its creator is dead, and the region waits for the last member to leave. */
static int made_ephemeral(struct kill_world *world, struct harness_report *report)
{
	return make(world, TARN_REGION_EPHEMERAL, report);
}

static int make_thing(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_object_create(region, "thing", THING, &thing, &diag);

	if (r < 0)
		return survivor_say(report, "thing", r, &diag);
	memset(thing, 0x77, THING);
	return 0;
}

#define SHARED(ROW) ROW(VALUE, uint32_t, word, "", "one")
TARN_TYPE(shared, 1, SHARED);

static int struct_open(struct kill_world *world, struct harness_report *report)
{
	const struct tarn_struct_opts opts = { .section = "lock" };

	(void)world, (void)report;
	return tarn_struct_open(region, "thing", shared_type(), &opts, &thing);
}

static int with_struct(struct kill_world *world, struct harness_report *report)
{
	if (make(world, 0, report) < 0 || struct_open(world, report) < 0)
		return -1;
	tarn_struct_close(region, thing);
	tarn_region_close(region);
	return 0;
}

static int with_thing(struct kill_world *world, struct harness_report *report)
{
	if (make(world, 0, report) < 0 || make_thing(report) < 0)
		return -1;
	tarn_object_close(region, thing);
	tarn_region_close(region);
	return 0;
}

/* A dead member that holds an object, which has no name any more. */
static int with_debris(struct kill_world *world, struct harness_report *report)
{
	if (make(world, 0, report) < 0 || make_thing(report) < 0)
		return -1;
	return tarn_object_remove(region, "thing");
}

/* Memory that has been used before: what is made there must be zero again. */
static int with_dirt(struct kill_world *world, struct harness_report *report)
{
	if (with_thing(world, report) < 0 || survivor_open(world, &region, report) < 0)
		return -1;

	int r = tarn_object_remove(region, "thing");

	tarn_region_close(region);
	return r;
}

/* --- prepare ------------------------------------------------------------------------------- */

static int join(struct kill_world *world, struct harness_report *report)
{
	return survivor_open(world, &region, report);
}

/* The region lock is held by the member that died. */
static int join_locked(struct kill_world *world, struct harness_report *report)
{
	if (join(world, report) < 0)
		return -1;
	for (uint32_t slot = 0; slot < SURVIVOR_MEMBERS; slot++) {
		uint32_t state = tarn__member_at(region, slot)->state;

		if ((state & TARN__ID_FLAG) != 0 && !tarn__member_alive(region, state)) {
			region->super->lock = state & ~TARN__ID_FLAG;
			return 0;
		}
	}
	return harness_say(report, -1, "nobody has died");
}

static int join_and_hold(struct kill_world *world, struct harness_report *report)
{
	if (join(world, report) < 0)
		return -1;
	return tarn_object_open(region, "thing", &thing, NULL);
}

static int join_and_open_struct(struct kill_world *world, struct harness_report *report)
{
	return join(world, report) < 0 ? -1 : struct_open(world, report);
}

static int join_and_hold_removed(struct kill_world *world, struct harness_report *report)
{
	return join_and_hold(world, report) < 0 ? -1 : tarn_object_remove(region, "thing");
}

static int join_and_make(struct kill_world *world, struct harness_report *report)
{
	return join(world, report) < 0 ? -1 : make_thing(report);
}

/* --- operations ---------------------------------------------------------------------------- */

static int create(struct kill_world *world, struct harness_report *report)
{
	return survivor_create(world, 0, &region, report);
}

static int open_or_create(struct kill_world *world, struct harness_report *report)
{
	return survivor_create(world, TARN_REGION_CREATE, &region, report);
}

static int leave(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn_region_close(region);
	return 0;
}

static int grow(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_region_grow(region, 2 * SURVIVOR_HEAP, NULL);
}

static int remove_region(struct kill_world *world, struct harness_report *report)
{
	(void)report;
	return tarn_region_remove(world->addr, NULL);
}

static int remove_if_idle(struct kill_world *world, struct harness_report *report)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_EPHEMERAL };

	(void)report;
	return tarn_region_remove(world->addr, &opts);
}

static int gc(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_region_gc(region, NULL);
}

static int object_create(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_object_create(region, "thing", THING, &thing, NULL);
}

static int object_open(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_object_open(region, "thing", &thing, NULL);
}

static int struct_describe(struct kill_world *world, struct harness_report *report)
{
	struct tarn_type *type = NULL;
	int r = tarn_struct_describe(region, "thing", &type, NULL, NULL);

	(void)world, (void)report;
	tarn_type_free(type);
	return r;
}

static int struct_close(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn_struct_close(region, thing);
	return 0;
}

static int object_close(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn_object_close(region, thing);
	return 0;
}

static int object_remove(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_object_remove(region, "thing");
}

/* --- survivors ----------------------------------------------------------------------------- */

/* The region is there, with @objects, and whole; close it and start again. */
static int finish(struct kill_world *world, uint32_t objects, int outcome,
		  struct harness_report *report)
{
	if (survivor_kept(region, report) < 0 || survivor_whole(world, region, objects, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	return survivor_restart(world, report) < 0 ? KILL_VIOLATION : outcome;
}

static int check_create(struct kill_world *world, struct harness_report *report)
{
	int r = survivor_open(world, &region, report);
	int outcome = r == 0;

	if (r != 0 && r != -ENOENT)
		return KILL_VIOLATION;
	if (r == -ENOENT && open_or_create(world, report) < 0)
		return KILL_VIOLATION;
	if (survivor_whole(world, region, 0, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	return survivor_restart(world, report) < 0 ? KILL_VIOLATION : outcome;
}

/* Nothing to be seen but "keep". */
static int check_same(struct kill_world *world, struct harness_report *report)
{
	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	return finish(world, 1, 0, report);
}

static int check_thing(struct kill_world *world, struct harness_report *report)
{
	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	return finish(world, 2, 0, report);
}

static int check_ephemeral(struct kill_world *world, struct harness_report *report)
{
	int r = survivor_open(world, &region, report);

	if (r != 0 && r != -ENOENT)
		return KILL_VIOLATION;
	if (r == 0) {
		if (survivor_kept(region, report) < 0)
			return KILL_VIOLATION;
		tarn_region_close(region); /* the last member, again */
	}
	/* of System V a control file may be left, until the key is used again or gc comes */
	if (strncmp(world->addr, "sysv", 4) == 0 &&
	    tarn_leftovers(TARN_LEFTOVER_REMOVE, NULL, NULL) < 0)
		return harness_say(report, KILL_VIOLATION, "tarn_leftovers");
	if (survivor_nothing_left(world, report) < 0)
		return KILL_VIOLATION;
	return survivor_restart(world, report) < 0 ? KILL_VIOLATION : r == -ENOENT;
}

static int check_grow(struct kill_world *world, struct harness_report *report)
{
	struct tarn_region_stat st;
	int outcome;

	if (survivor_open(world, &region, report) != 0 || tarn_region_stat(region, &st) < 0)
		return KILL_VIOLATION;
	if (st.size != SURVIVOR_HEAP && st.size != 2 * SURVIVOR_HEAP)
		return harness_say(report, KILL_VIOLATION, "size %llu",
				   (unsigned long long)st.size);
	outcome = st.size != SURVIVOR_HEAP;
	if (grow(world, report) < 0)
		return harness_say(report, KILL_VIOLATION, "the successor cannot grow it");
	return finish(world, 1, outcome, report);
}

static int check_remove(struct kill_world *world, struct harness_report *report)
{
	int r = survivor_open(world, &region, report);

	if (r == 0)
		return finish(world, 1, 0, report);
	if (r != -ENOENT)
		return KILL_VIOLATION;
	if (open_or_create(world, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	return survivor_restart(world, report) < 0 ? KILL_VIOLATION : 1;
}

/* Is object "thing" there, and what is in it? 1, 0, or KILL_VIOLATION. */
static int thing_there(unsigned char value, struct harness_report *report)
{
	uint64_t size;
	void *data;
	int r = tarn_object_open(region, "thing", &data, &size);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || size != THING)
		return survivor_say(report, "thing", r, NULL);
	for (uint64_t i = 0; i < size; i++)
		if (((unsigned char *)data)[i] != value)
			return harness_say(report, KILL_VIOLATION, "thing: byte %d is %d", (int)i,
					   ((unsigned char *)data)[i]);
	tarn_object_close(region, data);
	return 1;
}

static int check_object_create(struct kill_world *world, struct harness_report *report)
{
	int there;

	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	there = thing_there(0, report);
	if (there < 0)
		return there;
	if (!there && make_thing(report) < 0)
		return KILL_VIOLATION;
	if (!there)
		tarn_object_close(region, thing);
	return finish(world, 2, there, report);
}

/* There with its description, or not there; and then it can be made. */
static int judge_struct(struct kill_world *world, bool kept, struct harness_report *report)
{
	struct tarn_struct_stat stat;
	struct tarn_type *type;
	int r, there;

	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	r = tarn_struct_describe(region, "thing", &type, &stat, NULL);
	there = r == 0;
	if (r != 0 && (r != -ENOENT || kept))
		return survivor_say(report, "the struct", r, NULL);
	if (there && (tarn_type_compare(shared_type(), type, NULL) != 0 ||
		      strcmp(stat.section, "lock") != 0))
		return harness_say(report, KILL_VIOLATION, "it is of another type");
	if (there)
		tarn_type_free(type);
	if (struct_open(world, report) != 0 || *(uint32_t *)thing != 0)
		return harness_say(report, KILL_VIOLATION, "the successor cannot open it");
	tarn_struct_close(region, thing);
	return finish(world, 2, there && !kept, report);
}

static int check_struct_made(struct kill_world *world, struct harness_report *report)
{
	return judge_struct(world, false, report);
}

static int check_struct(struct kill_world *world, struct harness_report *report)
{
	return judge_struct(world, true, report);
}

static int check_object_remove(struct kill_world *world, struct harness_report *report)
{
	int there;

	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	there = thing_there(0x77, report);
	if (there < 0)
		return there;
	if (there && tarn_object_remove(region, "thing") < 0)
		return harness_say(report, KILL_VIOLATION, "the successor cannot remove it");
	return finish(world, 1, !there, report);
}

/* That joining survives its death is shown by the sweep of open. */
static int recover_inside(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	(void)!tarn_region_gc(region, NULL);
	tarn_region_close(region);
	return 0;
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
#define NAMES(kind, fl, plain) \
	{ .name = "region-" kind "-create", .setup = nothing, .op = create, \
	  .check = check_create, .recover = survivor_recover_create, .flags = fl }, \
	{ .name = "region-" kind "-open-or-create", .setup = nothing, .op = open_or_create, \
	  .check = check_create, .recover = survivor_recover_create, \
	  .flags = KILL_SLOW | KILL_LONG }, \
	{ .name = "region-" kind "-open", .setup = made, .op = join, .check = check_same, \
	  .recover = survivor_recover, .flags = KILL_UNCHANGED | plain }, \
	{ .name = "region-" kind "-close", .setup = made, .prepare = join, .op = leave, \
	  .check = check_same, .recover = survivor_recover, .flags = KILL_UNCHANGED | plain }, \
	{ .name = "region-" kind "-close-last-of-ephemeral", .setup = made_ephemeral, \
	  .prepare = join, .op = leave, .check = check_ephemeral, \
	  .recover = survivor_recover, .flags = fl }, \
	{ .name = "region-" kind "-remove", .setup = made, .op = remove_region, \
	  .check = check_remove, .recover = survivor_recover, .flags = fl }, \
	{ .name = "region-" kind "-remove-if-idle", .setup = made, .op = remove_if_idle, \
	  .check = check_remove, .recover = survivor_recover, .flags = KILL_SLOW | KILL_LONG }
#define INSIDE(nm, before, first, what, judge, fl) \
	{ .name = nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .ready = join, .recover = recover_inside, .flags = fl }

static const struct kill_op ops[] = {
	NAMES("posix", 0, 0),
	NAMES("file", KILL_LONG, KILL_LONG),
	NAMES("sysv", 0, KILL_LONG),
	INSIDE("region-posix-grow", made, join, grow, check_grow, 0),
	INSIDE("region-posix-gc", with_debris, join, gc, check_same, KILL_UNCHANGED),
	INSIDE("region-posix-gc-lock-of-the-dead", with_debris, join_locked, gc, check_same,
	       KILL_UNCHANGED),
	INSIDE("object-create", made, join, object_create, check_object_create, 0),
	INSIDE("object-create-on-used-memory", with_dirt, join, object_create,
	       check_object_create, 0),
	INSIDE("object-create-lock-of-the-dead", with_debris, join_locked, object_create,
	       check_object_create, 0),
	INSIDE("object-open", with_thing, join, object_open, check_thing, KILL_UNCHANGED),
	INSIDE("object-close", with_thing, join_and_hold, object_close, check_thing,
	       KILL_UNCHANGED),
	INSIDE("struct-open-creating", made, join, struct_open, check_struct_made, 0),
	INSIDE("struct-open", with_struct, join, struct_open, check_struct, KILL_UNCHANGED),
	INSIDE("struct-describe", with_struct, join, struct_describe, check_struct, KILL_UNCHANGED),
	INSIDE("struct-close", with_struct, join_and_open_struct, struct_close, check_struct,
	       KILL_UNCHANGED),
	INSIDE("object-remove", with_thing, join, object_remove, check_object_remove, 0),
	INSIDE("object-remove-held", made, join_and_make, object_remove, check_object_remove, 0),
	INSIDE("object-close-removed", with_thing, join_and_hold_removed, object_close, check_same,
	       KILL_UNCHANGED),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
