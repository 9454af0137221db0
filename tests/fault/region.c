/* SPDX-License-Identifier: BSD-2-Clause */
/* region.c - every call on regions and objects, with each call of plat failing in turn. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/region.h>
#include <tarn/type.h>

#include "fault.h"

enum { HEAP = 8192, GROWN = 16384, THING = 1000 };

static struct tarn_region *region; /* what run() made */
static struct tarn_region *kept;   /* what setup() made */
static struct tarn_region *const untouched = (struct tarn_region *)(uintptr_t)16;
static const char *addr;
static void *thing;

/* --- addresses and options ----------------------------------------------------------------- */

static const char *posix_addr(void)
{
	static char text[80];

	snprintf(text, sizeof(text), "%sregion", harness_prefix());
	return text;
}

static const char *file_addr(void)
{
	static char text[80];

	snprintf(text, sizeof(text), "file:/dev/shm/%sfile", harness_prefix());
	return text;
}

static const char *sysv_addr(void)
{
	static char text[40];

	snprintf(text, sizeof(text), "sysv:0x%x", (unsigned)fault_key());
	return text;
}

static struct tarn_region_opts opts_of(uint32_t flags, struct tarn_diag *diag)
{
	const struct tarn_region_opts opts = {
		.size = HEAP,
		.max_size = strncmp(addr, "sysv", 4) == 0 ? 0 : 2 * GROWN,
		.flags = flags,
		.member_max = 4,
		.object_max = 32,
		.diag = diag,
	};

	return opts;
}

/* The result of a call that gives a handle; checks the promises about failure. */
static int handed(int r, const struct tarn_diag *diag, struct harness_report *report)
{
	if (r < 0 && region != untouched)
		return harness_say(report, FAULT_BROKEN, "it failed, and the handle was touched");
	if (r < 0 && diag->what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	if (r == 0 && region == untouched)
		return harness_say(report, FAULT_BROKEN, "success without a region");
	return r;
}

/* --- run: handles -------------------------------------------------------------------------- */

static int create(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = opts_of(0, &diag);

	region = untouched;
	return handed(tarn_region_create(addr, &opts, &region), &diag, report);
}

static int create_posix(struct harness_report *report)
{
	addr = posix_addr();
	return create(report);
}

static int create_file(struct harness_report *report)
{
	addr = file_addr();
	return create(report);
}

static int create_sysv(struct harness_report *report)
{
	addr = sysv_addr();
	return create(report);
}

static int create_memfd(struct harness_report *report)
{
	addr = "memfd:fault";
	return create(report);
}

static int open_by(uint32_t flags, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_region_opts opts = opts_of(flags, &diag);

	opts.max_size = 0;
	if ((flags & TARN_REGION_OBSERVE) != 0)
		opts.size = 0;
	region = untouched;
	return handed(tarn_region_open(addr, &opts, &region), &diag, report);
}

static int open_it(struct harness_report *report)
{
	return open_by(0, report);
}

static int open_or_create(struct harness_report *report)
{
	addr = posix_addr();
	return open_by(TARN_REGION_CREATE, report);
}

static int observe(struct harness_report *report)
{
	return open_by(TARN_REGION_OBSERVE, report);
}

static int open_fd(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = { .diag = &diag };
	int fd = tarn_segment_fd(tarn_region_segment(kept));

	region = untouched;
	return handed(tarn_region_open_fd(fd, &opts, &region), &diag, report);
}

static int open_and_close(struct harness_report *report)
{
	int r = open_it(report);

	if (r == 0)
		tarn_region_close(region);
	return r;
}

/* --- run: calls on an open region ---------------------------------------------------------- */

static int remove_it(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_region_opts opts = { .diag = &diag };

	(void)report;
	return tarn_region_remove(addr, &opts);
}

static int grow(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_region_stat st;
	int r = tarn_region_grow(kept, GROWN, &diag);

	if (r < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	tarn__plat_fault = NULL;
	if (tarn_region_stat(kept, &st) < 0 || (r == 0 && st.size < GROWN))
		return harness_say(report, FAULT_BROKEN, "success, and it has not grown");
	return r;
}

static int look(struct harness_report *report)
{
	struct tarn_region_stat st = { .version = 12345 };
	int r = tarn_region_stat(kept, &st);

	if (r < 0 && st.version != 12345)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return r;
}

static int gc(struct harness_report *report)
{
	(void)report;
	return tarn_region_gc(kept, NULL);
}

static int check(struct harness_report *report)
{
	(void)report;
	return tarn_region_check(kept, NULL, NULL);
}

static int count_member(const struct tarn_member_stat *st, void *arg)
{
	*(int *)arg += st->alive;
	return 0;
}

static int list_members(struct harness_report *report)
{
	int alive = 0;
	int r = tarn_region_members(kept, count_member, &alive);

	/* whom the kernel does not speak about is taken for alive, never for dead */
	if (r == 0 && alive < 1)
		return harness_say(report, FAULT_BROKEN, "a live member was taken for dead");
	return r;
}

static int object_create(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r;

	thing = &thing;
	r = tarn_object_create(kept, "thing", THING, &thing, &diag);
	if (r < 0 && thing != &thing)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return r;
}

#define THINGS(ROW)                                                                                \
	ROW(VALUE, double, heat, "degC", "of the air")                                             \
	ROW(ENUM, uint8_t, state, "off=0 on=1", "is it measuring")
TARN_TYPE(things, 1, THINGS);

static int struct_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_struct_opts opts = { .section = "lock", .diag = &diag };
	int r;

	thing = &thing;
	r = tarn_struct_open(kept, "thing", things_type(), &opts, &thing);
	if (r < 0 && thing != &thing)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	if (r < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	return r;
}

static int struct_describe(struct harness_report *report)
{
	struct tarn_type *type = NULL;
	struct tarn_struct_stat stat = { .size = 12345 };
	int r = tarn_struct_describe(kept, "thing", &type, &stat, NULL);

	if (r < 0 && (type != NULL || stat.size != 12345))
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	if (r == 0 && strcmp(stat.section, "lock") != 0)
		return harness_say(report, FAULT_BROKEN, "its section is not told");
	tarn_type_free(type);
	return r;
}

static int object_cycle(struct harness_report *report)
{
	void *data;
	int r = object_create(report);

	if (r != 0)
		return r;
	r = tarn_object_open(kept, "thing", &data, NULL);
	if (r == 0)
		tarn_object_close(kept, data);
	tarn_object_close(kept, thing);
	if (r == 0)
		r = tarn_object_remove(kept, "thing");
	tarn__plat_fault = NULL;
	(void)!tarn_object_remove(kept, "thing");
	return r;
}

/* A child of fork() joins anew at its first call. */
static int use_after_fork(struct harness_report *report)
{
	struct tarn_region_stat st;
	int r = tarn_region_gc(region, NULL);

	if (r == 0)
		r = tarn_region_stat(region, &st);
	if (r == 0 && st.member_count < 1)
		return harness_say(report, FAULT_BROKEN, "success, and nobody is a member");
	return r;
}

/* --- before and after ---------------------------------------------------------------------- */

static int keep(struct harness_report *report)
{
	const struct tarn_region_opts opts = opts_of(0, NULL);
	int r = tarn_region_create(addr, &opts, &kept);

	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

static int keep_posix(struct harness_report *report)
{
	addr = posix_addr();
	return keep(report);
}

static int keep_file(struct harness_report *report)
{
	addr = file_addr();
	return keep(report);
}

static int keep_sysv(struct harness_report *report)
{
	addr = sysv_addr();
	return keep(report);
}

/* A member that died with an object open. */
static int keep_debris(struct harness_report *report)
{
	int r = keep_posix(report);
	pid_t pid = r == 0 ? fork() : -1;
	int status = 1;

	if (pid == 0) {
		r = tarn_object_create(kept, "thing", THING, &thing, NULL);
		if (r == 0)
			r = tarn_object_remove(kept, "thing");
		_exit(r != 0);
	}
	if (pid < 0 || harness_reap(pid, 5000, &status) < 0 || status != 0)
		return harness_say(report, -1, "setup: the child failed");
	return 0;
}

/* Inherited by a child, which is this very process: setup forks, and the parent waits. */
static int keep_forked(struct harness_report *report)
{
	int r = keep_posix(report);
	pid_t pid = r == 0 ? fork() : -1;
	int status = 0;

	if (pid < 0)
		return harness_say(report, -1, "setup: %s", strerror(-r));
	if (pid > 0) {
		if (harness_reap(pid, 20000, &status) < 0)
			kill(pid, SIGKILL);
		if (WIFSIGNALED(status))
			abort();
		_exit(WEXITSTATUS(status));
	}
	region = kept;
	return 0;
}

static void undo_create(void)
{
	tarn_region_close(region);
	if (strncmp(addr, "memfd", 5) != 0 && tarn_region_remove(addr, NULL) < 0)
		abort();
}

static void undo_open(void)
{
	tarn_region_close(region);
}

static void undo_remove(void)
{
	const struct tarn_region_opts opts = opts_of(0, NULL);

	tarn_region_close(kept);
	if (tarn_region_create(addr, &opts, &kept) < 0)
		abort();
}

static void undo_thing(void)
{
	tarn_object_close(kept, thing);
	if (tarn_object_remove(kept, "thing") < 0)
		abort();
}

static int keep_struct(struct harness_report *report)
{
	const struct tarn_struct_opts opts = { .section = "lock" };
	void *data;

	if (keep_posix(report) < 0)
		return -1;
	if (tarn_struct_open(kept, "thing", things_type(), &opts, &data) < 0)
		return harness_say(report, -1, "setup: no struct");
	tarn_struct_close(kept, data);
	return 0;
}

static void undo_struct(void)
{
	tarn_struct_close(kept, thing);
	if (tarn_object_remove(kept, "thing") < 0)
		abort();
}

static int kept_sound(struct harness_report *report)
{
	struct tarn_region_stat st;

	if (tarn_region_gc(kept, NULL) < 0 || tarn_region_check(kept, NULL, NULL) < 0 ||
	    tarn_region_stat(kept, &st) < 0)
		return harness_say(report, FAULT_BROKEN, "afterwards its check fails");
	if (st.object_count != 0 || st.used != 0 || st.member_count != 1)
		return harness_say(report, FAULT_BROKEN, "afterwards: %u objects, %u members",
				   st.object_count, st.member_count);
	return 0;
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
#define ON(nm, before, what, after) \
	{ .name = nm, .setup = before, .run = what, .undo = after, .sound = kept_sound }

static const struct fault_case cases[] = {
	{ .name = "region_create_posix", .run = create_posix, .undo = undo_create },
	{ .name = "region_create_file", .run = create_file, .undo = undo_create },
	{ .name = "region_create_sysv", .run = create_sysv, .undo = undo_create },
	{ .name = "region_create_memfd", .run = create_memfd, .undo = undo_create },
	{ .name = "region_open_or_create", .run = open_or_create, .undo = undo_create },
	ON("region_open_posix", keep_posix, open_it, undo_open),
	ON("region_open_file", keep_file, open_it, undo_open),
	ON("region_open_sysv", keep_sysv, open_it, undo_open),
	ON("region_open_fd", keep_posix, open_fd, undo_open),
	ON("region_observe", keep_posix, observe, undo_open),
	ON("region_observe_sysv", keep_sysv, observe, undo_open),
	ON("region_open_and_close", keep_posix, open_and_close, NULL),
	{ .name = "region_remove_posix", .setup = keep_posix, .run = remove_it,
	  .undo = undo_remove },
	{ .name = "region_remove_sysv", .setup = keep_sysv, .run = remove_it,
	  .undo = undo_remove },
	ON("region_grow", keep_posix, grow, NULL),
	ON("region_stat", keep_posix, look, NULL),
	ON("region_gc", keep_debris, gc, NULL),
	ON("region_check", keep_posix, check, NULL),
	ON("region_members", keep_debris, list_members, NULL),
	{ .name = "object_create", .setup = keep_posix, .run = object_create,
	  .undo = undo_thing, .sound = kept_sound, .no_calls = true },
	{ .name = "struct_open_creating", .setup = keep_posix, .run = struct_open,
	  .undo = undo_struct, .sound = kept_sound, .no_calls = true },
	{ .name = "struct_open", .setup = keep_struct, .run = struct_open,
	  .undo = undo_struct, .sound = kept_sound, .no_calls = true },
	{ .name = "struct_describe", .setup = keep_struct, .run = struct_describe,
	  .no_calls = true },
	{ .name = "object_cycle", .setup = keep_posix, .run = object_cycle,
	  .sound = kept_sound, .no_calls = true },
	{ .name = "use_after_fork", .setup = keep_forked, .run = use_after_fork },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
