/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * latest.c - latest value: every operation killed at each instruction.
 *
 * Value n consists of n throughout, so a survivor can tell a whole one. Before the operation value
 * 1 was written; after a write value 2 is the newest, in between one of the two. "one" has room
 * for one that holds, so a survivor that cannot use what a dead reader left finds that there is no
 * room. "frames" is filled in place.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <tarn/latest.h>

#include "survivor.h"
#include "sync/prim.h"

enum { OBJECTS = 3, SIZE = 48 }; /* keep, one, frames */

static const struct tarn_latest_opts copied = { .size = SIZE, .holders = 1 };
static const struct tarn_latest_opts filled = { .size = SIZE,
						.holders = 2,
						.flags = TARN_LATEST_IN_PLACE };

static struct tarn_region *region;
static struct tarn_latest *one, *frames;

/* --- values -------------------------------------------------------------------------------- */

static int write_to(struct tarn_latest *latest, int n)
{
	unsigned char bytes[SIZE];

	memset(bytes, n, sizeof(bytes));
	return tarn_latest_write(latest, bytes, sizeof(bytes), TARN_FOREVER, NULL);
}

/* n, where all of it is n; or -1. */
static int value_of(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 1; i < size; i++)
		if (bytes[i] != bytes[0])
			return -1;
	return size == SIZE ? bytes[0] : -1;
}

/* --- worlds before ------------------------------------------------------------------------- */

static int open_all(bool make)
{
	int r = 0;

	if (one == NULL)
		r = tarn_latest_open(region, "one", make ? &copied : NULL, &one);
	if (r == 0 && frames == NULL)
		r = tarn_latest_open(region, "frames", make ? &filled : NULL, &frames);
	return r;
}

static int bare(struct kill_world *world, struct harness_report *report)
{
	int r = survivor_create(world, 0, &region, report);

	return r == 0 ? survivor_keep(region, report) : r;
}

static int with_values(struct kill_world *world, struct harness_report *report)
{
	int r = bare(world, report);

	if (r == 0)
		r = open_all(true);
	if (r == 0)
		r = write_to(one, 1);
	if (r == 0)
		r = write_to(frames, 1);
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

static int hold(struct tarn_latest *latest, struct harness_report *report)
{
	const void *data = NULL;
	uint64_t number = 0;
	size_t size = 0;
	int r = tarn_latest_hold(latest, &data, &size, &number, NULL);

	if (r < 0)
		return harness_say(report, -1, "hold: %s", strerror(-r));
	return value_of(data, size) > 0 ? 0 : harness_say(report, -1, "a torn value is held");
}

/* A reader died while it asked. */
static int left_asking(struct kill_world *world, struct harness_report *report)
{
	int r = with_values(world, report);

	if (r == 0)
		r = hold(one, report);
	if (r == 0)
		atomic_store(&((struct prim *)one)->seats[0].value, 1);
	return r;
}

/* A writer died at it: all that is not the newest is half written. */
static int left_writing(struct kill_world *world, struct harness_report *report)
{
	void *data = NULL;
	int r = with_values(world, report);

	if (r == 0)
		r = tarn_latest_loan(frames, TARN_FOREVER, &data, NULL);
	if (r == 0)
		memset(data, 0x5a, SIZE / 2);
	return r;
}

/* --- prepare ------------------------------------------------------------------------------- */

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

OP(join)
{
	return region != NULL ? 0 : survivor_open(world, &region, report);
}

OP(ready)
{
	int r = join(world, report);

	if (r == 0)
		r = open_all(false);
	if (r == 0)
		r = tarn__thread_begin();
	return r == 0 ? 0 : survivor_say(report, "open", r, NULL);
}

OP(ready_holding)
{
	int r = ready(world, report);

	return r == 0 ? hold(one, report) : r;
}

OP(ready_loaned)
{
	void *data = NULL;
	int r = ready(world, report);

	if (r == 0)
		r = tarn_latest_loan(frames, TARN_FOREVER, &data, NULL);
	if (r == 0)
		memset(data, 2, SIZE);
	return r;
}

/* --- operations ---------------------------------------------------------------------------- */

OP(open_creating)
{
	(void)world, (void)report;
	return tarn_latest_open(region, "one", &copied, &one);
}

OP(write_two)
{
	(void)world, (void)report;
	return write_to(one, 2);
}

OP(write_in_place)
{
	(void)world, (void)report;
	return write_to(frames, 2);
}

OP(publish)
{
	(void)world, (void)report;
	return tarn_latest_publish(frames, SIZE);
}

OP(abort_loan)
{
	(void)world, (void)report;
	tarn_latest_abort(frames);
	return 0;
}

OP(read_one)
{
	unsigned char bytes[SIZE];
	size_t size = 0;
	int r = tarn_latest_read(one, bytes, sizeof(bytes), &size, NULL);

	(void)world;
	return r == 0 && value_of(bytes, size) != 1 ? harness_say(report, 1, "not value 1") : r;
}

OP(read_in_place)
{
	unsigned char bytes[SIZE];
	size_t size = 0;
	int r = tarn_latest_read(frames, bytes, sizeof(bytes), &size, NULL);

	(void)world;
	return r == 0 && value_of(bytes, size) != 1 ? harness_say(report, 1, "not value 1") : r;
}

OP(hold_and_release)
{
	int r = hold(one, report);

	(void)world;
	tarn_latest_release(one);
	return r;
}

OP(hold_again)
{
	(void)world;
	return hold(one, report);
}

OP(close_holding)
{
	(void)world, (void)report;
	tarn_latest_close(one);
	one = NULL;
	return 0;
}

OP(close_loaned)
{
	(void)world, (void)report;
	tarn_latest_close(frames);
	frames = NULL;
	return 0;
}

OP(wait_seen)
{
	uint64_t number = 0;

	(void)world, (void)report;
	return tarn_latest_wait(one, 0, TARN_FOREVER, &number);
}

OP(wait_in_vain)
{
	uint64_t number = 0;

	(void)world, (void)report;
	return tarn_latest_wait(one, 1, tarn_deadline_after(3000000), &number);
}

/* --- survivors ----------------------------------------------------------------------------- */

/* The newest of @latest is whole; it can be held, and stays while others are written. 0: it is
 * value 1, 1: value 2. */
static int newest(struct tarn_latest *latest, struct harness_report *report)
{
	unsigned char bytes[SIZE];
	const void *data = NULL;
	uint64_t number = 0, read = 0;
	size_t size = 0;
	int r = tarn_latest_read(latest, bytes, sizeof(bytes), &size, &read), value;

	if (r < 0)
		return harness_say(report, KILL_VIOLATION, "read: %s", strerror(-r));
	value = value_of(bytes, size);
	if (value < 1 || value > 2)
		return harness_say(report, KILL_VIOLATION, "a torn value is read");
	r = tarn_latest_hold(latest, &data, &size, &number, NULL);
	if (r < 0 || number != read)
		return harness_say(report, KILL_VIOLATION, "hold: %s", strerror(-r));
	for (int n = 3; n < 12; n++)
		if (write_to(latest, n) < 0 || value_of(data, size) != value)
			return harness_say(report, KILL_VIOLATION, "what is held changes");
	tarn_latest_release(latest);
	r = tarn_latest_read(latest, bytes, sizeof(bytes), &size, &number);
	if (r < 0 || value_of(bytes, size) != 11 || number != read + 9)
		return harness_say(report, KILL_VIOLATION, "the last of nine is not the newest");
	return value - 1;
}

static int whole(struct kill_world *world, struct harness_report *report)
{
	tarn_latest_close(one);
	tarn_latest_close(frames);
	one = frames = NULL;
	return survivor_whole(world, region, OBJECTS, report);
}

/* What became of @changed; the other one is as it was. */
static int judge(struct kill_world *world, struct harness_report *report,
		 struct tarn_latest **changed, struct tarn_latest **other)
{
	int outcome = ready(world, report), r;

	if (outcome == 0)
		outcome = newest(*changed, report);
	if (outcome < 0)
		return KILL_VIOLATION;
	r = newest(*other, report) < 0 ? KILL_VIOLATION : whole(world, report);
	return r < 0 ? KILL_VIOLATION : outcome;
}

OP(check_one)
{
	return judge(world, report, &one, &frames);
}

OP(check_frames)
{
	return judge(world, report, &frames, &one);
}

/* It is there, or not; made, it works. */
OP(check_made)
{
	int r = join(world, report), there;

	if (r < 0)
		return KILL_VIOLATION;
	there = tarn_latest_open(region, "one", NULL, &one);
	if (there < 0 && there != -ENOENT)
		return survivor_say(report, "open", there, NULL);
	r = open_all(true);
	if (r == 0)
		r = write_to(one, 1);
	if (r == 0)
		r = write_to(frames, 1);
	if (r < 0 || newest(one, report) < 0 || whole(world, report) < 0)
		return KILL_VIOLATION;
	return there == 0 ? 1 : 0;
}

/* What the next one does: it reads and writes both. */
OP(recover)
{
	int r = ready(world, report);

	if (r == 0)
		r = hold(one, report);
	if (r == 0)
		r = hold(frames, report);
	return r;
}

/* clang-format off */
#define WRITE(nm, before, first, what, judge) \
	{ .name = "latest-" nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .ready = join, .recover = recover }
#define SAME(nm, before, first, what, judge) \
	{ .name = "latest-" nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .ready = join, .recover = recover, .flags = KILL_UNCHANGED }

static const struct kill_op ops[] = {
	{ .name = "latest-open-creating", .setup = bare, .prepare = join, .op = open_creating,
	  .check = check_made },
	WRITE("write", with_values, ready, write_two, check_one),
	WRITE("write-beside-holder", with_values, ready_holding, write_two, check_one),
	WRITE("write-beside-the-dead-who-asks", left_asking, ready, write_two, check_one),
	WRITE("write-in-place", with_values, ready, write_in_place, check_frames),
	WRITE("write-after-dead-writer", left_writing, ready, write_in_place, check_frames),
	WRITE("publish", with_values, ready_loaned, publish, check_frames),
	SAME("abort", with_values, ready_loaned, abort_loan, check_frames),
	SAME("read", with_values, ready, read_one, check_one),
	SAME("read-in-place", with_values, ready, read_in_place, check_frames),
	SAME("hold", with_values, ready, hold_and_release, check_one),
	SAME("hold-again", with_values, ready_holding, hold_again, check_one),
	SAME("hold-after-dead-holder", left_asking, ready, hold_and_release, check_one),
	SAME("close-holding", with_values, ready_holding, close_holding, check_one),
	SAME("close-loaned", with_values, ready_loaned, close_loaned, check_frames),
	SAME("wait-seen", with_values, ready, wait_seen, check_one),
	{ .name = "latest-wait-in-vain", .setup = with_values, .prepare = ready,
	  .op = wait_in_vain, .check = check_one, .result = -ETIMEDOUT,
	  .flags = KILL_UNCHANGED | KILL_SLOW },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
