/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trace.c - the trace: every operation killed at each instruction, and members that come and go
 * while it is on.
 *
 * Notes whose words belong together were logged before by a process that is dead. Whoever dies
 * where: each event that a survivor reads is whole, all notes from before are there unless the ring
 * went on over them, and the note of the operation is there once or not at all. Then the survivor
 * switches it on, logs, reads that, and removes the trace: every byte can be had again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tarn/trace.h>

#include "survivor.h"

enum { OBJECTS = 1, NOTES = 3, NEW = 50, RECOVERERS = 60, SURVIVORS = 90, ROOMY = 32, NARROW = 8 };

static struct tarn_region *region, *other;
static struct tarn_trace *reader;
static uint32_t events; /* of the ring */

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

/* --- worlds before ------------------------------------------------------------------------- */

static int note(struct tarn_region *of, uint32_t code)
{
	char text[TARN_TRACE_TEXT_MAX];

	snprintf(text, sizeof(text), "note %" PRIu32, code);
	return tarn_trace_note(of, code, code * UINT64_C(0x100000003), ~(uint64_t)code, text);
}

static int switch_on(struct tarn_region *of)
{
	const struct tarn_trace_opts opts = { .rings = 1, .events = events };

	return tarn_trace_on(of, &opts);
}

OP(bare)
{
	int r = survivor_create(world, 0, &region, report);

	return r == 0 ? survivor_keep(region, report) : r;
}

static int with_notes(struct kill_world *world, struct harness_report *report, uint32_t room)
{
	int r = bare(world, report);

	events = room;
	if (r == 0)
		r = switch_on(region);
	for (uint32_t i = 1; i <= NOTES && r == 0; i++)
		r = note(region, i);
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

OP(on)
{
	return with_notes(world, report, ROOMY);
}

/* The next event takes the place of an older one. */
OP(on_full)
{
	int r = with_notes(world, report, NARROW);

	for (int i = 0; i < NARROW && r == 0; i++)
		r = note(region, 1);
	return r;
}

OP(off)
{
	int r = on(world, report);

	return r == 0 ? tarn_trace_off(region) : r;
}

/* --- operations ---------------------------------------------------------------------------- */

OP(join)
{
	events = events != 0 ? events : ROOMY;
	return survivor_open(world, &region, report);
}

/* It is on, and this handle has not logged yet: its first event says who it is, too. */
OP(join_before_on)
{
	int r = join(world, report);

	if (r == 0)
		r = survivor_open(world, &other, report);
	return r == 0 ? switch_on(other) : r;
}

OP(ready_to_read)
{
	int r = join(world, report);

	return r == 0 ? tarn_trace_open(region, &reader, NULL) : r;
}

OP(op_on)
{
	(void)world, (void)report;
	return switch_on(region);
}

OP(op_off)
{
	(void)world, (void)report;
	return tarn_trace_off(region);
}

OP(op_note)
{
	(void)world, (void)report;
	return note(region, NEW);
}

OP(op_remove)
{
	(void)world, (void)report;
	return tarn_object_remove(region, TARN_TRACE_OBJECT);
}

static int pass(const struct tarn_trace_event *event, void *arg)
{
	(void)event, (void)arg;
	return 0;
}

OP(op_read)
{
	(void)world, (void)report;
	return tarn_trace_read(reader, pass, NULL);
}

OP(op_leave)
{
	(void)world, (void)report;
	tarn_region_close(region);
	region = NULL;
	return 0;
}

/* --- what survivors find ------------------------------------------------------------------- */

struct seen {
	struct harness_report *report;
	uint32_t notes[SURVIVORS + 1]; /* by code */
	int r;
};

/* Whole, or not shown. */
static int see(const struct tarn_trace_event *event, void *arg)
{
	struct seen *seen = arg;
	char text[TARN_TRACE_TEXT_MAX];
	uint32_t code = event->code;

	if (event->kind < TARN_TRACE_NOTE || event->kind > TARN_TRACE_DAMAGED)
		return seen->r = harness_say(seen->report, KILL_VIOLATION, "kind %u", event->kind);
	if (event->kind != TARN_TRACE_NOTE)
		return 0;
	snprintf(text, sizeof(text), "note %" PRIu32, code);
	if (code > SURVIVORS || event->a != code * UINT64_C(0x100000003) ||
	    event->b != ~(uint64_t)code || strcmp(event->text, text) != 0)
		return seen->r = harness_say(seen->report, KILL_VIOLATION,
					     "a note that nobody wrote: %" PRIu32 " \"%s\"", code,
					     event->text);
	seen->notes[code]++;
	return 0;
}

static int read_all(struct seen *seen, struct tarn_trace_stat *ret_stat)
{
	int r = tarn_trace_open(region, &reader, NULL);

	memset(seen->notes, 0, sizeof(seen->notes));
	if (r == 0)
		r = tarn_trace_read(reader, see, seen);
	if (r == 0)
		r = tarn_trace_stat(reader, ret_stat);
	tarn_trace_close(reader);
	return seen->r != 0 ? seen->r : r;
}

/* It can be switched on, logs, and leaves nothing when it is removed. */
static int use(struct kill_world *world, struct harness_report *report)
{
	struct seen seen = { .report = report };
	struct tarn_trace_stat stat;
	int r = tarn_trace_on(region, NULL);

	if (r == -ENOSPC) /* there is none, and by default it is too large for this region */
		r = switch_on(region);
	if (r == 0)
		r = note(region, SURVIVORS);
	if (r == 0)
		r = read_all(&seen, &stat);
	if (r < 0 || seen.notes[SURVIVORS] != 1 || !stat.on)
		return harness_say(report, KILL_VIOLATION, "what it logs then is not there: %d", r);
	r = tarn_object_remove(region, TARN_TRACE_OBJECT);
	if (r < 0)
		return harness_say(report, KILL_VIOLATION, "it cannot be removed: %d", r);
	tarn_region_close(region); /* what it has logged to is its own until then */
	if (join(world, report) < 0)
		return KILL_VIOLATION;
	return survivor_whole(world, region, OBJECTS, report);
}

/* What is there, as it was found; absent: -ENOENT. */
static int judge(struct kill_world *world, struct harness_report *report, struct seen *seen,
		 struct tarn_trace_stat *ret_stat)
{
	int there;

	*seen = (struct seen){ .report = report };
	*ret_stat = (struct tarn_trace_stat){ 0 };
	if (join(world, report) < 0 || survivor_check(region, report) < 0)
		return KILL_VIOLATION;
	there = read_all(seen, ret_stat);
	if (there < 0 && there != -ENOENT)
		return harness_say(report, KILL_VIOLATION, "it cannot be read: %d", there);
	return use(world, report) < 0 ? KILL_VIOLATION : there;
}

static bool has_all(const struct seen *seen)
{
	for (uint32_t i = 1; i <= NOTES; i++)
		if (seen->notes[i] != 1)
			return false;
	return true;
}

OP(check_made)
{
	struct seen seen;
	struct tarn_trace_stat stat;
	int r = judge(world, report, &seen, &stat);

	return r == KILL_VIOLATION ? r : stat.on;
}

OP(check_on)
{
	struct seen seen;
	struct tarn_trace_stat stat;
	int r = judge(world, report, &seen, &stat);

	if (r < 0 || !has_all(&seen))
		return harness_say(report, KILL_VIOLATION, "notes from before are not there: %d",
				   r);
	return stat.on;
}

OP(check_off)
{
	int r = check_on(world, report);

	return r < 0 ? r : !r;
}

OP(check_note)
{
	struct seen seen;
	struct tarn_trace_stat stat;
	int r = judge(world, report, &seen, &stat);

	if (r < 0 || !has_all(&seen) || !stat.on || seen.notes[NEW] > 1)
		return harness_say(report, KILL_VIOLATION, "notes from before are not there: %d",
				   r);
	return (int)seen.notes[NEW];
}

/* Of those that were there the oldest may be gone, others not. */
OP(check_full)
{
	struct seen seen;
	struct tarn_trace_stat stat;
	int r = judge(world, report, &seen, &stat);

	if (r < 0 || seen.notes[1] + seen.notes[NEW] + 2 < NARROW - 1 || seen.notes[NEW] > 1)
		return harness_say(report, KILL_VIOLATION, "%u and %u notes: %d", seen.notes[1],
				   seen.notes[NEW], r);
	return (int)seen.notes[NEW];
}

OP(check_removed)
{
	struct seen seen;
	struct tarn_trace_stat stat;
	int r = judge(world, report, &seen, &stat);

	return r == KILL_VIOLATION ? r : r == -ENOENT;
}

/* What the next one does. */
OP(recover)
{
	(void)world, (void)report;
	return note(region, RECOVERERS);
}

/* clang-format off */
#define CHANGES(nm, before, first, what, judge_) \
	{ .name = "trace-" nm, .setup = before, .prepare = first, .op = what, .check = judge_, \
	  .after = 1 }

static const struct kill_op ops[] = {
	{ .name = "trace-on-creating", .setup = bare, .prepare = join, .op = op_on,
	  .check = check_made, .ready = join, .recover = recover },
	CHANGES("on", off, join, op_on, check_on),
	CHANGES("off", on, join, op_off, check_off),
	CHANGES("note", on, join, op_note, check_note),
	CHANGES("note-first", off, join_before_on, op_note, check_note),
	CHANGES("note-over-another", on_full, join, op_note, check_full),
	CHANGES("remove", on, join, op_remove, check_removed),
	{ .name = "trace-join", .setup = on, .op = join, .check = check_off,
	  .ready = join, .recover = recover, .flags = KILL_UNCHANGED },
	{ .name = "trace-leave", .setup = on, .prepare = join, .op = op_leave, .check = check_off,
	  .ready = join, .recover = recover, .flags = KILL_UNCHANGED },
	{ .name = "trace-read", .setup = on, .prepare = ready_to_read, .op = op_read,
	  .check = check_off, .flags = KILL_UNCHANGED },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
