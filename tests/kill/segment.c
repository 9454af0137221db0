/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segment.c - every operation on segments that changes what others see, killed at each
 * instruction: create, open, grow, close, chmod, remove; POSIX, file, and System V.
 *
 * A segment has no header, so the legal outcomes are about names, sizes and modes: the name is
 * absent, or what it names has its whole size and is zero. System V is named by the kernel
 * before it is filled, but it is zero then too, so the same holds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <tarn/region.h>
#include <tarn/segment.h>

#include "engine.h"
#include "plat/plat.h"

enum { SIZE = 8192, GROWN = 16384, MAX = 32768 };

static struct tarn_segment *seg;

static int say_error(struct harness_report *report, const char *what, int r,
		     const struct tarn_diag *diag)
{
	return harness_say(report, KILL_VIOLATION, "%s: %s%s%s", what, strerror(-r),
			   diag->what[0] != '\0' ? ": " : "", diag->what);
}

static bool is_sysv(const struct kill_world *world)
{
	return strncmp(world->addr, "sysv:", 5) == 0;
}

static struct tarn_segment_opts opts_of(const struct kill_world *world, struct tarn_diag *diag)
{
	struct tarn_segment_opts opts = { .size = SIZE, .diag = diag };

	diag->what[0] = '\0';
	if (!is_sysv(world))
		opts.max_size = MAX;
	return opts;
}

/* --- operations ---------------------------------------------------------------------------- */

static int nothing(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return 0;
}

static int create(struct kill_world *world, struct harness_report *report)
{
	struct tarn_diag diag;
	struct tarn_segment_opts opts = opts_of(world, &diag);
	int r = tarn_segment_create(world->addr, &opts, &seg);

	if (r < 0)
		say_error(report, "create", r, &diag);
	return r;
}

/* As on a file system that has no unnamed files. */
static int no_tmpfile(enum tarn_plat_call call)
{
	static bool done;

	if (call != TARN_PLAT_OPEN || done)
		return 0;
	done = true;
	return EOPNOTSUPP;
}

static int without_tmpfile(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn__plat_fault = no_tmpfile;
	return 0;
}

static int open_it(struct kill_world *world, struct harness_report *report)
{
	struct tarn_diag diag;
	struct tarn_segment_opts opts = opts_of(world, &diag);
	int r = tarn_segment_open(world->addr, &opts, &seg);

	if (r < 0)
		say_error(report, "open", r, &diag);
	return r;
}

static int close_it(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn_segment_close(seg);
	return 0;
}

static int grow(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_segment_grow(seg, GROWN, NULL);
}

static int change_mode(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_segment_chmod(seg, 0640, UINT32_MAX, UINT32_MAX);
}

static int remove_it(struct kill_world *world, struct harness_report *report)
{
	(void)report;
	return tarn_segment_remove(world->addr, NULL);
}

static int fill(struct kill_world *world, struct harness_report *report)
{
	int r = create(world, report);

	if (r == 0)
		memset(tarn_segment_data(seg), 0x5a, SIZE);
	return r;
}

/* --- survivors ----------------------------------------------------------------------------- */

static void count_name(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
}

static int names_left(const struct kill_world *world)
{
	int ids[8];
	int count = 0;

	harness_names(world->dir, count_name, &count);
	return count + harness_sysv_ids(world->key, ids, 8);
}

/* Bytes [@from, @to) of the segment are all @value. */
static bool all(const struct tarn_segment *s, uint64_t from, uint64_t to, unsigned char value)
{
	const unsigned char *p = tarn_segment_data(s);

	for (uint64_t i = from; i < to; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* Open what is there; -ENOENT, or the handle in `seg`. Anything else is a violation. */
static int look(struct kill_world *world, struct harness_report *report)
{
	struct tarn_diag diag;
	struct tarn_segment_opts opts = opts_of(world, &diag);
	int r;

	opts.mode = 0640; /* or less */
	r = tarn_segment_open(world->addr, &opts, &seg);
	if (r < 0 && r != -ENOENT)
		return say_error(report, "the survivor's open", r, &diag);
	return r;
}

/* Remove, and see that nothing is left; then all must work from the start. */
static int start_again(struct kill_world *world, struct harness_report *report)
{
	const struct tarn_segment_opts any = { .flags = TARN_SEGMENT_ANY_MODE };
	int r = tarn_segment_remove(world->addr, &any);

	if (r < 0 && r != -ENOENT)
		return harness_say(report, KILL_VIOLATION, "remove: %s", strerror(-r));
	tarn_segment_close(seg);
	/* what a creator without O_TMPFILE leaves under a passing name */
	if (tarn_leftovers(TARN_LEFTOVER_REMOVE, NULL, NULL) < 0 || names_left(world) != 0)
		return harness_say(report, KILL_VIOLATION, "%d names left", names_left(world));
	if (fill(world, report) < 0)
		return KILL_VIOLATION;
	tarn_segment_close(seg);
	return tarn_segment_remove(world->addr, NULL);
}

static int check_create(struct kill_world *world, struct harness_report *report)
{
	int r = look(world, report);
	int outcome = r == 0;

	if (r != 0 && r != -ENOENT)
		return KILL_VIOLATION;
	if (r == 0 && !all(seg, 0, SIZE, 0))
		return harness_say(report, KILL_VIOLATION, "it is not zero");
	return start_again(world, report) < 0 ? KILL_VIOLATION : outcome;
}

/* For operations that change nothing that others see; the end is told by nobody. */
static int check_same(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) != 0)
		return harness_say(report, KILL_VIOLATION, "the segment is gone");
	if (!all(seg, 0, SIZE, 0x5a))
		return harness_say(report, KILL_VIOLATION, "the bytes have changed");
	return start_again(world, report) < 0 ? KILL_VIOLATION : 0;
}

static int check_grow(struct kill_world *world, struct harness_report *report)
{
	if (look(world, report) != 0)
		return KILL_VIOLATION;

	uint64_t size = tarn_segment_size(seg);

	if (size != SIZE && size != GROWN)
		return harness_say(report, KILL_VIOLATION, "size %d", (int)size);
	if (!all(seg, 0, SIZE, 0x5a) || !all(seg, SIZE, size, 0))
		return harness_say(report, KILL_VIOLATION, "the bytes have changed");
	if (tarn_segment_grow(seg, GROWN, NULL) < 0 || !all(seg, SIZE, GROWN, 0))
		return harness_say(report, KILL_VIOLATION, "the successor cannot grow it");
	return start_again(world, report) < 0 ? KILL_VIOLATION : size == GROWN;
}

static int check_mode(struct kill_world *world, struct harness_report *report)
{
	struct tarn_segment_stat st;

	if (look(world, report) != 0 || tarn_segment_stat(seg, &st) < 0)
		return KILL_VIOLATION;
	if (st.mode != 0600 && st.mode != 0640)
		return harness_say(report, KILL_VIOLATION, "mode %o", st.mode);
	return start_again(world, report) < 0 ? KILL_VIOLATION : st.mode == 0640;
}

static int check_remove(struct kill_world *world, struct harness_report *report)
{
	int r = look(world, report);

	if (r != 0 && r != -ENOENT)
		return KILL_VIOLATION;
	if (r == 0 && !all(seg, 0, SIZE, 0x5a))
		return harness_say(report, KILL_VIOLATION, "the bytes have changed");
	return start_again(world, report) < 0 ? KILL_VIOLATION : r == -ENOENT;
}

/* --- the table ----------------------------------------------------------------------------- */

/* Recovery of a plain segment is to open it, so that is what dies the second time. */
static int recover(struct kill_world *world, struct harness_report *report)
{
	(void)report;
	if (tarn_segment_open(world->addr, NULL, &seg) == 0)
		tarn_segment_close(seg);
	return 0;
}

/* clang-format off */
#define OPS(kind, fl) \
	{ .name = kind "-create", .setup = nothing, .op = create, .check = check_create, \
	  .recover = recover, .flags = fl }, \
	{ .name = kind "-open", .setup = fill, .op = open_it, .check = check_same, \
	  .flags = KILL_UNCHANGED | KILL_SLOW | fl }, \
	{ .name = kind "-close", .setup = fill, .prepare = open_it, .op = close_it, \
	  .check = check_same, .flags = KILL_UNCHANGED | KILL_SLOW | fl }, \
	{ .name = kind "-chmod", .setup = fill, .prepare = open_it, .op = change_mode, \
	  .check = check_mode, .recover = recover, .flags = KILL_SLOW | fl }, \
	{ .name = kind "-remove", .setup = fill, .op = remove_it, .check = check_remove, \
	  .recover = recover, .flags = fl }
#define GROW(kind, fl) \
	{ .name = kind "-grow", .setup = fill, .prepare = open_it, .op = grow, \
	  .check = check_grow, .recover = recover, .flags = fl }

static const struct kill_op ops[] = {
	OPS("segment-posix", 0),
	GROW("segment-posix", 0),
	{ .name = "segment-posix-create-without-tmpfile", .setup = nothing,
	  .prepare = without_tmpfile, .op = create, .check = check_create, .recover = recover },
	OPS("segment-file", KILL_LONG),
	GROW("segment-file", KILL_LONG),
	OPS("segment-sysv", 0),
};
/* clang-format on */

static void world_of(struct kill_world *world, const struct kill_op *op)
{
	kill_world_init(world, "/dev/shm", 1);
	if (strncmp(op->name, "segment-sysv", 12) == 0)
		snprintf(world->addr, sizeof(world->addr), "sysv:0x%x", (unsigned)world->key);
	else if (strncmp(op->name, "segment-file", 12) == 0)
		snprintf(world->addr, sizeof(world->addr), "file:/dev/shm/%sfile",
			 harness_prefix());
	else
		snprintf(world->addr, sizeof(world->addr), "%sposix", harness_prefix());
}

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), world_of);
}
