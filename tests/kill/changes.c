/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * changes.c - sections that are listened to, killed at each instruction: commits and rollbacks
 * of one and of two, by the living and for the dead, with a change log of each and a dirty map;
 * binding, reading and removing these.
 *
 * Beside the pool of section_ops.h there is a replica of it, made when the logs began. A survivor
 * replays a log from its beginning upon a copy of that: it must become what the pool is, no more
 * and no less; and each page where the two differ, or that a rollback has gone over, must be
 * marked. Then it makes a change, and finds that logged, too.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "section_ops.h"
#include "sync/listen.h"

enum { LOG = 1024, OBJECTS_LISTENED = OBJECTS + 4 /* two logs, map, replica */ };

static struct tarn_changes *logs[2];
static struct tarn_dirty *map;

static const char *const log_names[2] = { "log-one", "log-two" };

static int open_log(int i)
{
	struct tarn_changes_opts opts = { .size = LOG };

	opts.section = i == 0 ? one : two;
	return tarn_changes_open(region, log_names[i], &opts, &logs[i]);
}

static void close_logs(void)
{
	for (int i = 0; i < 2; i++) {
		tarn_changes_close(logs[i]);
		logs[i] = NULL;
	}
	tarn_dirty_close(map);
	map = NULL;
}

/* --- worlds before ------------------------------------------------------------------------- */

static int make_replica(void)
{
	void *data;
	int r = tarn_object_create(region, "replica", sizeof(*pool), &data, NULL);

	if (r == 0) {
		memcpy(data, pool, sizeof(*pool));
		tarn_object_close(region, data);
	}
	return r;
}

/* All but the log of "one". */
static int half_listened(struct kill_world *world, struct harness_report *report)
{
	int r = fresh(world, report);

	if (r == 0)
		r = open_pool(world, report);
	if (r == 0)
		r = open_log(1);
	if (r == 0)
		r = tarn_dirty_open(region, TARN_FOREVER, &map, NULL);
	return r == 0 ? make_replica() : r;
}

static int listened_open(struct kill_world *world, struct harness_report *report)
{
	int r = half_listened(world, report);

	return r == 0 ? open_log(0) : r;
}

static int listened(struct kill_world *world, struct harness_report *report)
{
	int r = listened_open(world, report);

	close_logs();
	close_pool();
	return r;
}

static int unlistened(struct kill_world *world, struct harness_report *report)
{
	int r = half_listened(world, report);

	close_logs();
	close_pool();
	return r;
}

static int no_map(struct kill_world *world, struct harness_report *report)
{
	int r = listened_open(world, report);

	if (r == 0)
		r = tarn_object_remove(region, TARN_DIRTY_NAME);
	close_logs();
	close_pool();
	return r;
}

static int left_inside(struct kill_world *world, struct harness_report *report)
{
	int r = listened(world, report);

	return r == 0 ? inside_changed(world, report) : r;
}

static int left_inside_two(struct kill_world *world, struct harness_report *report)
{
	int r = listened(world, report);

	return r == 0 ? inside_two(world, report) : r;
}

/* A commit that a reader has not read, and one that it has. */
static int left_to_read(struct kill_world *world, struct harness_report *report)
{
	int r = listened(world, report);

	if (r == 0)
		r = prepared(world, report);
	return r == 0 ? op_insert(world, report) : r;
}

/* What the owner left cannot be rolled back whole. */
static int left_set_aside(struct kill_world *world, struct harness_report *report)
{
	int r = left_inside(world, report);

	if (r == 0)
		r = tarn_tx_set8(tx, &pool->nodes[NODES].pad, 0);
	one->shm->journal[atomic_load(&one->shm->count) - 1].where ^= 1u << 4;
	return r == 0 && tarn_section_abort(one) == -ENOTRECOVERABLE ? 0 : -1;
}

/* --- operations ---------------------------------------------------------------------------- */

static int reading(struct kill_world *world, struct harness_report *report)
{
	int r = prepared(world, report);

	if (r == 0)
		r = tarn_changes_open(region, log_names[0], NULL, &logs[0]);
	if (r == 0)
		logs[0]->pos = 0;
	return r;
}

/* The mark that it was bound; the tx. */
static int op_next(struct kill_world *world, struct harness_report *report)
{
	struct tarn_changes_tx one_tx;
	int r;

	(void)world, (void)report;
	while ((r = tarn_changes_next(logs[0], &one_tx)) == 0)
		for (struct tarn_change c; tarn_changes_each(logs[0], &c);)
			;
	return r == -EAGAIN || r == -EOVERFLOW ? 0 : r;
}

static int op_bind(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return open_log(0);
}

static int op_open_map(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_dirty_open(region, TARN_FOREVER, &map, NULL);
}

static int op_remove_log(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_object_remove(region, log_names[0]);

	(void)world, (void)report;
	return r == 0 ? op_insert(world, report) : r;
}

static int op_remove_map(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_object_remove(region, TARN_DIRTY_NAME);

	(void)world, (void)report;
	return r == 0 ? op_insert(world, report) : r;
}

/* A tx larger than the log: lost, not failed. */
static int op_large(struct kill_world *world, struct harness_report *report)
{
	int r = tarn_section_enter(one, TARN_FOREVER, &tx, NULL);

	(void)world, (void)report;
	for (int i = 0; i < 3 && r == 0; i++)
		r = tarn__tx_touch(tx, pool, sizeof(*pool));
	if (r == 0)
		r = tarn_tx_set8(tx, &pool->nodes[8].pad, 1);
	return r == 0 ? tarn_section_leave(one) : r;
}

/* --- survivors ----------------------------------------------------------------------------- */

static int in_and_out(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_section_enter(one, tarn_deadline_after(INT64_C(5000000000)), &tx, &diag);

	if (r == 0)
		r = tarn_section_enter(two, tarn_deadline_after(INT64_C(5000000000)), &tx, &diag);
	if (r == 0)
		r = tarn_section_leave(two);
	if (r == 0)
		r = tarn_section_leave(one);
	return r == 0 ? 0 : survivor_say(report, "enter", r, &diag);
}

/* Replay log @i from its beginning upon @copy of the pool. The txs, or KILL_VIOLATION. */
static int replay(int i, unsigned char *copy, struct harness_report *report)
{
	uint64_t base = (uint64_t)((unsigned char *)pool - region->base);
	struct tarn_changes_tx each_tx;
	struct tarn_change change;
	int n = 0, r;

	r = tarn_changes_open(region, log_names[i], NULL, &logs[i]);
	if (r < 0)
		return survivor_say(report, log_names[i], r, NULL);
	logs[i]->pos = 0;
	/* the first thing that it says is that it was bound, and that is told once */
	r = tarn_changes_next(logs[i], &each_tx);
	if (r != -EOVERFLOW)
		return survivor_say(report, "it does not say that it was bound", r, NULL);
	logs[i]->pos = sizeof(struct change_tx_shm);
	while ((r = tarn_changes_next(logs[i], &each_tx)) == 0) {
		n++;
		while (tarn_changes_each(logs[i], &change)) {
			if (change.off < base || change.off + change.size > base + sizeof(*pool))
				return harness_say(report, KILL_VIOLATION, "a change elsewhere");
			memcpy(copy + (change.off - base), change.data, change.size);
		}
	}
	return r == -EAGAIN ? n : survivor_say(report, "next", r, NULL);
}

static int get_replica(unsigned char *copy, struct harness_report *report)
{
	void *data;
	int r = tarn_object_open(region, "replica", &data, NULL);

	if (r < 0)
		return survivor_say(report, "replica", r, NULL);
	memcpy(copy, data, sizeof(*pool));
	tarn_object_close(region, data);
	return 0;
}

/* What the logs say has happened to the pool, and nothing else. */
static int logs_agree(struct harness_report *report)
{
	unsigned char copy[sizeof(struct pool)];
	struct pool *of_two = (struct pool *)(void *)copy;
	int n[2];

	for (int i = 0; i < 2; i++) {
		if (get_replica(copy, report) < 0)
			return KILL_VIOLATION;
		n[i] = replay(i, copy, report);
		if (n[i] < 0)
			return KILL_VIOLATION;
		if (i == 0 || n[1] > 0) {
			if (memcmp(copy, pool, sizeof(copy)) != 0)
				return harness_say(report, KILL_VIOLATION,
						   "what %s says is not what the pool is",
						   log_names[i]);
		} else if (memcmp(&of_two->two, &pool->two, sizeof(pool->two)) != 0) {
			return harness_say(report, KILL_VIOLATION, "log-two lacks a tx");
		}
	}
	return 0;
}

/* Each page of the pool that is not what it was is marked; all of them, if @all. */
static int marks_agree(bool all, struct harness_report *report)
{
	unsigned char copy[sizeof(struct pool)];
	size_t base = (size_t)((unsigned char *)pool - region->base);
	int r = tarn_dirty_open(region, TARN_FOREVER, &map, NULL);

	if (r < 0)
		return survivor_say(report, "map", r, NULL);
	if (get_replica(copy, report) < 0)
		return KILL_VIOLATION;
	for (size_t i = 0; i < sizeof(copy); i++)
		if ((all || copy[i] != ((unsigned char *)pool)[i]) &&
		    atomic_load(&map->shm->marks[(base + i) / TARN__PAGE]) == 0)
			return harness_say(report, KILL_VIOLATION, "a page is not marked");
	return 0;
}

/* Does a dead one's change wait to be undone? */
static bool half_done(void)
{
	return (atomic_load(&one->shm->seq) & 1) != 0 && atomic_load(&one->shm->count) != 0 &&
	       atomic_load(&one->shm->leader) == place_of(one);
}

static int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	static const char *const names[] = { "log-one", "log-two", TARN_DIRTY_NAME, "replica" };

	close_logs();
	tarn_section_close(one);
	tarn_section_close(two);
	tarn_object_close(region, pool);
	if (survivor_kept(region, report) < 0 ||
	    survivor_whole(world, region, OBJECTS_LISTENED, report) < 0)
		return KILL_VIOLATION;
	for (int i = 0; i < 4; i++)
		if (tarn_object_remove(region, names[i]) < 0)
			return harness_say(report, KILL_VIOLATION, "%s cannot be removed",
					   names[i]);
	if (survivor_whole(world, region, OBJECTS, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	region = NULL;
	return outcome;
}

/* From here on it is logged and marked, whatever was before. */
static int goes_on(struct harness_report *report)
{
	struct tarn_changes_tx one_tx;
	unsigned char mark = pool->nodes[NODES].pad;
	uint64_t pages = 0, off, size;
	int r;

	close_logs();
	r = open_log(0);
	if (r == 0)
		r = tarn_dirty_open(region, TARN_FOREVER, &map, NULL);
	while (r == 0)
		r = tarn_dirty_take(map, 0, UINT64_MAX, &off, &size);
	if (r != -EAGAIN || tarn_section_enter(one, TARN_FOREVER, &tx, NULL) < 0)
		return survivor_say(report, "open again", r, NULL);
	tarn_tx_set8(tx, &pool->nodes[NODES].pad, (uint8_t)~mark);
	r = tarn_section_leave(one);
	if (r == 0)
		r = tarn_changes_next(logs[0], &one_tx);
	if (r == 0)
		r = tarn_changes_next(logs[0], &one_tx) == -EAGAIN ? 0 : -EUCLEAN;
	if (r == 0)
		r = tarn_dirty_count(map, &pages);
	if (r < 0 || pages != 1)
		return survivor_say(report, "it does not go on", r, NULL);
	return 0;
}

static int judge(struct kill_world *world, const struct content *after, bool agree,
		 struct harness_report *report)
{
	struct content found;
	bool undone;

	if (open_pool(world, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	undone = half_done();
	if (in_and_out(report) < 0 || pool_content(&found, report) < 0 ||
	    (agree && (logs_agree(report) < 0 || marks_agree(undone, report) < 0)) ||
	    survivor_check(region, report) < 0 || goes_on(report) < 0)
		return KILL_VIOLATION;
	if (found.one != after->one || found.two != after->two) {
		if (found.one != at_first.one || found.two != at_first.two)
			return harness_say(report, KILL_VIOLATION, "found 0x%x, 0x%x", found.one,
					   found.two);
		return wind_up(world, 0, report);
	}
	return wind_up(world, memcmp(after, &at_first, sizeof(*after)) != 0, report);
}

static const struct content inserted = { .one = 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6,
					 .two = 1u << 3 };
static const struct content moved = { .one = 1u << 2 | 1u << 6, .two = 1u << 3 | 1u << 4 };

static int check_same(struct kill_world *world, struct harness_report *report)
{
	return judge(world, &at_first, true, report);
}

static int check_inserted(struct kill_world *world, struct harness_report *report)
{
	return judge(world, &inserted, true, report);
}

static int check_moved(struct kill_world *world, struct harness_report *report)
{
	return judge(world, &moved, true, report);
}

/* Where a listener was missing, or a gap is told, what came before is not asked for. */
static int check_goes_on(struct kill_world *world, struct harness_report *report)
{
	return judge(world, &inserted, false, report);
}

/* The second section first, by itself: its log is settled all the same. */
static int check2_moved(struct kill_world *world, struct harness_report *report)
{
	int r = open_pool(world, report);

	if (r == 0)
		r = tarn_section_enter(two, tarn_deadline_after(INT64_C(5000000000)), &tx, NULL);
	if (r == 0)
		r = tarn_section_leave(two);
	if (r < 0)
		return survivor_say(report, "enter two", r, NULL);
	return check_moved(world, report);
}

static int check2_same(struct kill_world *world, struct harness_report *report)
{
	return check2_moved(world, report) != 0 ? KILL_VIOLATION : 0;
}

/* Mended by force, or not yet: readers are told that something is missing. */
static int check_mended(struct kill_world *world, struct harness_report *report)
{
	struct tarn_changes_tx one_tx;
	int r, told = 0;

	if (open_pool(world, report) < 0)
		return KILL_VIOLATION;
	r = tarn_section_recover(region, "one", TARN_SECTION_FORCE, NULL);
	if (r == 0)
		r = tarn_changes_open(region, log_names[0], NULL, &logs[0]);
	if (r < 0)
		return survivor_say(report, "mend", r, NULL);
	told = atomic_load(&logs[0]->shm->lost) >= 2;
	logs[0]->pos = sizeof(struct change_tx_shm); /* behind that it was bound */
	if (tarn_changes_next(logs[0], &one_tx) != -EOVERFLOW || !told)
		return harness_say(report, KILL_VIOLATION, "nobody is told");
	close_logs();
	if (marks_agree(true, report) < 0)
		return KILL_VIOLATION;
	r = judge(world, &at_first, false, report);
	return r;
}

/* A reader changes nothing. */
static int check_read(struct kill_world *world, struct harness_report *report)
{
	return judge(world, &inserted, true, report) == 1 ? 0 : KILL_VIOLATION;
}

static int check_lost(struct kill_world *world, struct harness_report *report)
{
	struct tarn_changes_tx one_tx;
	uint32_t lost;
	int r;

	if (open_pool(world, report) < 0 || in_and_out(report) < 0)
		return KILL_VIOLATION;
	r = tarn_changes_open(region, log_names[0], NULL, &logs[0]);
	if (r < 0)
		return survivor_say(report, "open", r, NULL);
	lost = logs[0]->pos > sizeof(struct change_tx_shm);
	logs[0]->pos = sizeof(struct change_tx_shm);
	r = tarn_changes_next(logs[0], &one_tx);
	/* the change is there if the log says that something is missing */
	if (r != (pool->nodes[8].pad != 0 ? -EOVERFLOW : -EAGAIN))
		return survivor_say(report, "the tx and the log disagree", r, NULL);
	close_logs();
	r = judge(world, &at_first, false, report);
	return r < 0 ? r : (int)lost;
}

/* --- the table ----------------------------------------------------------------------------- */

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
#define OP(nm, before, first, what, judges) \
	{ .name = "changes-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_##judges, .ready = ready, .recover = recover }
#define SAME(nm, before, first, what, judges) \
	{ .name = "changes-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_##judges, .ready = ready, .recover = recover, .flags = KILL_UNCHANGED }
#define SAME2(nm, before, first, what, judges) \
	{ .name = "changes-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_##judges, .check2 = check2_##judges, .ready = ready, \
	  .recover = recover, .flags = KILL_UNCHANGED }
#define OP2(nm, before, first, what, judges) \
	{ .name = "changes-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_##judges, .check2 = check2_##judges, .ready = ready, .recover = recover }

static const struct kill_op ops[] = {
	OP("commit", listened, inside_changed, op_leave, inserted),
	{ .name = "changes-insert", .setup = listened, .prepare = prepared, .op = op_insert,
	  .check = check_inserted, .ready = ready, .recover = recover, .flags = KILL_LONG },
	OP2("commit-two", listened, inside_two, op_leave_two, moved),
	SAME("abort", listened, prepared, op_abort, same),
	SAME2("abort-two", listened, prepared, op_abort_two, same),
	{ .name = "changes-full", .setup = listened, .prepare = prepared, .op = op_full,
	  .check = check_same, .ready = ready, .recover = recover, .result = -ENOSPC,
	  .flags = KILL_UNCHANGED },
	OP("lost", listened, prepared, op_large, lost),
	SAME("enter-after-death", left_inside, prepared, enter_leave, same),
	SAME2("enter-second-after-death-of-two", left_inside_two, ready, enter_second, same),
	SAME("recover", left_inside_two, ready, op_recover, same),
	{ .name = "changes-recover-force", .setup = left_set_aside, .prepare = ready,
	  .op = op_recover_force, .check = check_mended, .ready = ready,
	  .recover = op_recover_force, .flags = KILL_UNCHANGED },
	SAME("bind", unlistened, prepared, op_bind, goes_on),
	SAME("open-map", no_map, prepared, op_open_map, goes_on),
	{ .name = "changes-next", .setup = left_to_read, .prepare = reading, .op = op_next,
	  .check = check_read, .flags = KILL_UNCHANGED },
	OP("remove-log", listened, prepared, op_remove_log, goes_on),
	OP("remove-map", listened, prepared, op_remove_map, goes_on),
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
