/* SPDX-License-Identifier: BSD-2-Clause */
/* section.c - every call on sections, with each call of plat failing in turn. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/section.h>

#include "region.h"

enum { HEAP = 8192 };

static const struct tarn_section_opts small = { .journal_size = 256 };
static struct tarn_region *other;
static struct tarn_section *section; /* what run() made */
static struct tarn_section *first, *held;
static struct tarn_tx *tx, *other_tx;
static uint64_t *words;
static struct tarn_section *const untouched = (struct tarn_section *)(uintptr_t)16;

/* --- before and after ---------------------------------------------------------------------- */

static int made(struct harness_report *report)
{
	void *data;

	if (make_region("section", HEAP, 0, report) < 0)
		return -1;
	if (tarn_object_create(region, "words", 256, &data, NULL) < 0)
		return harness_say(report, -1, "setup: no words");
	words = data;
	return 0;
}

static int with_section(struct harness_report *report)
{
	if (made(report) < 0 || tarn_section_open(region, "first", &small, &first) < 0)
		return harness_say(report, -1, "setup: no section");
	return 0;
}

static int warm(struct harness_report *report)
{
	if (with_section(report) < 0 || tarn_section_enter(first, TARN_FOREVER, &tx, NULL) < 0 ||
	    tarn_section_leave(first) < 0)
		return harness_say(report, -1, "setup: enter");
	return 0;
}

/* Its owner has died in the middle. */
static int orphaned(struct harness_report *report)
{
	pid_t pid;
	int status = 0;

	if (with_section(report) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		if (tarn_section_enter(first, TARN_FOREVER, &tx, NULL) < 0 ||
		    tarn_tx_set64(tx, words, 7) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	if (pid < 0 || harness_reap(pid, 5000, &status) < 0 || !WIFSIGNALED(status) ||
	    words[0] != 7)
		return harness_say(report, -1, "setup: no orphan");
	return 0;
}

/* Another member, of this process, is inside. */
static int taken(struct harness_report *report)
{
	if (with_section(report) < 0 || tarn_region_open(addr, NULL, &other) < 0 ||
	    tarn_section_open(other, "first", NULL, &held) < 0 ||
	    tarn_section_enter(held, TARN_FOREVER, &other_tx, NULL) < 0)
		return harness_say(report, -1, "setup: not taken");
	return 0;
}

static void close_section(void)
{
	tarn_section_close(section);
}

static void close_and_remove(void)
{
	tarn_section_close(section);
	if (tarn_section_remove(region, "first", NULL) < 0 || tarn_region_gc(region, NULL) < 0)
		abort();
}

/* Whatever became of the call, the dead owner's change is never final. */
static int undone(struct harness_report *report)
{
	int r = sound(report);

	if (r == 0 && (tarn_section_enter(first, TARN_FOREVER, &tx, NULL) < 0 || words[0] != 0 ||
		       tarn_section_leave(first) < 0))
		return harness_say(report, FAULT_BROKEN, "the dead owner's change is still there");
	return r;
}

/* --- run ----------------------------------------------------------------------------------- */

static int open_section(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_section_opts opts = small;
	int r;

	opts.diag = &diag;
	section = untouched;
	r = tarn_section_open(region, "first", &opts, &section);
	if (r < 0 && section != untouched)
		return harness_say(report, FAULT_BROKEN, "it failed, and the handle was touched");
	if (r < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	return r;
}

static int change(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_tx *mine = NULL;
	int r = tarn_section_enter(first, tarn_deadline_after(3000000), &mine, &diag);

	if (r < 0 && (mine != NULL || diag.what[0] == '\0'))
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	if (r < 0)
		return r;
	if (words[0] != 0)
		return harness_say(report, FAULT_BROKEN, "entered, and it was not rolled back");
	tarn_tx_set64(mine, &words[0], 1);
	tarn_tx_set64(mine, &words[1], 1);
	r = tarn_tx_write(mine, &words[2], "0123456789", 10);
	if (r == 0)
		r = tarn_section_abort(first);
	return r == 0 && (words[0] != 0 || words[1] != 0)
		       ? harness_say(report, FAULT_BROKEN, "not undone")
		       : r;
}

/* Nobody has to wait: nothing is asked of the kernel. */
static int change_and_leave(struct harness_report *report)
{
	struct tarn_tx *mine = NULL;
	uint64_t seen = 77;
	int r = tarn_section_enter(first, TARN_FOREVER, &mine, NULL);

	if (r < 0)
		return r;
	tarn_tx_set64(mine, &words[0], 1);
	r = tarn_tx_write(mine, &words[2], "0123456789", 10);
	if (r == 0)
		r = tarn_section_leave(first);
	if (r == 0)
		r = tarn_section_read(first, &seen, words, sizeof(seen), TARN_FOREVER);
	return r == 0 && seen != 1 ? harness_say(report, FAULT_BROKEN, "read %d", (int)seen) : r;
}

static int try_it(struct harness_report *report)
{
	struct tarn_tx *mine = NULL;
	int r = tarn_section_try(first, &mine, NULL);

	(void)report;
	return r == 0 ? tarn_section_leave(first) : r;
}

/* A live owner is inside. */
static int wait_in_vain(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(3000000);
	struct tarn_tx *mine = NULL;
	struct tarn_diag diag = { .what = "" };
	int r = tarn_section_enter(first, deadline, &mine, &diag);

	if (r == 0)
		return harness_say(report, FAULT_BROKEN, "two are inside");
	if (diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	return fault_timed(r, deadline, report);
}

static void let_go(void)
{
	(void)!tarn_section_leave(held);
	tarn_section_close(held);
	tarn_region_close(other);
}

static int recover(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	int r = tarn_section_recover(region, NULL, 0, &diag);

	if (r < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	return r;
}

static int stat_section(struct harness_report *report)
{
	struct tarn_section_stat st = { .off = 12345 };
	int r = tarn_section_stat(first, &st);

	if (r < 0 && st.off != 12345)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return r;
}

/* Inherited over fork(): the child has to join, and is not inside. */
static int use_after_fork(struct harness_report *report)
{
	struct tarn_tx *mine = NULL;
	int r = tarn_section_leave(first);

	if (r != -EPERM)
		return harness_say(report, FAULT_BROKEN, "a child left what its parent is in");
	r = tarn_section_enter(first, tarn_deadline_after(3000000), &mine, NULL);
	if (r == 0)
		return harness_say(report, FAULT_BROKEN, "two are inside");
	return r == -ETIMEDOUT ? 0 : r;
}

static int forked(struct harness_report *report)
{
	if (with_section(report) < 0 || tarn_section_enter(first, TARN_FOREVER, &tx, NULL) < 0)
		return harness_say(report, -1, "setup: enter");
	return fault_forked(report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "section_open_creating", .setup = made, .run = open_section,
	  .undo = close_and_remove, .sound = sound },
	{ .name = "section_open", .setup = with_section, .run = open_section,
	  .undo = close_section, .sound = sound },
	{ .name = "section_first_enter", .setup = with_section, .run = change, .sound = sound },
	{ .name = "section_change_and_leave", .setup = warm, .run = change_and_leave,
	  .sound = sound, .no_calls = true },
	{ .name = "section_enter_after_death", .setup = orphaned, .run = change,
	  .sound = undone },
	{ .name = "section_try_after_death", .setup = orphaned, .run = try_it, .sound = undone },
	{ .name = "section_recover", .setup = orphaned, .run = recover, .sound = undone },
	{ .name = "section_stat", .setup = orphaned, .run = stat_section, .sound = undone },
	{ .name = "section_wait", .setup = taken, .run = wait_in_vain, .teardown = let_go },
	{ .name = "section_use_after_fork", .setup = forked, .run = use_after_fork },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
