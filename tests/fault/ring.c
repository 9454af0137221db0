/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.c - every call on rings, with each call of plat failing in turn. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/ring.h>

#include "region.h"

enum { HEAP = 8192 };

static const struct tarn_ring_opts small = { .capacity = 256 };
static struct tarn_ring *ring; /* what run() made */
static struct tarn_ring *producer, *consumer;
static struct tarn_ring *const untouched = (struct tarn_ring *)(uintptr_t)16;

/* --- before and after ---------------------------------------------------------------------- */

static int made(struct harness_report *report)
{
	return make_region("ring", HEAP, 0, report);
}

static int with_roles(struct harness_report *report)
{
	if (made(report) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &small, &producer) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_CONSUMER, &small, &consumer) < 0)
		return harness_say(report, -1, "setup: no ring");
	return 0;
}

static int filled(struct harness_report *report)
{
	if (with_roles(report) < 0)
		return -1;
	while (tarn_ring_push(producer, "0123456789", 10) == 0)
		;
	return 0;
}

/* The producer has died. */
static int orphaned(struct harness_report *report)
{
	pid_t pid;
	int status = 1;

	if (made(report) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		_exit(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &small, &producer) != 0);
	if (pid < 0 || harness_reap(pid, 5000, &status) < 0 || status != 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_CONSUMER, &small, &consumer) < 0)
		return harness_say(report, -1, "setup: no orphan");
	return 0;
}

static void close_ring(void)
{
	tarn_ring_close(ring);
}

static void close_and_remove(void)
{
	tarn_ring_close(ring);
	if (tarn_object_remove(region, "ring") < 0 || tarn_region_gc(region, NULL) < 0)
		abort();
}

/* --- run ----------------------------------------------------------------------------------- */

static int open_as(enum tarn_ring_role role, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_ring_opts opts = small;
	int r;

	opts.diag = &diag;
	ring = untouched;
	r = tarn_ring_open(region, "ring", role, &opts, &ring);
	return fault_told(r, ring != untouched, &diag, report);
}

static int open_producer(struct harness_report *report)
{
	return open_as(TARN_RING_PRODUCER, report);
}

/* Without membarrier the two sides pay for fences themselves; the records come all the same. */
static int open_and_move(struct harness_report *report)
{
	char buf[16];
	size_t size = 0;
	int r = open_as(TARN_RING_CONSUMER, report);

	if (r != 0)
		return r;
	r = tarn_ring_open(region, "ring", TARN_RING_PRODUCER, NULL, &producer);
	if (r == 0) {
		r = tarn_ring_push(producer, "0123456789", 10);
		if (r == 0)
			r = tarn_ring_pop(ring, buf, sizeof(buf), &size);
		if (r == 0 && (size != 10 || memcmp(buf, "0123456789", 10) != 0))
			r = harness_say(report, FAULT_BROKEN, "another record came out");
		tarn_ring_close(producer);
	}
	if (r != 0)
		tarn_ring_close(ring);
	return r;
}

static int pop_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(3000000);
	char buf[16];
	size_t size = 77;
	int r = tarn_ring_pop_wait(consumer, buf, sizeof(buf), deadline, &size);

	if (size != 77)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return fault_timed(r, deadline, report);
}

static int push_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(3000000);

	return fault_timed(tarn_ring_push_wait(producer, "0123456789", 10, deadline), deadline,
			   report);
}

static int wait_peer(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(3000000);

	int r = tarn_ring_wait_peer(consumer, deadline);

	/* whom the kernel does not speak about is taken for alive */
	if (r == 0 && tarn__plat_fault != NULL)
		return 0;
	return fault_timed(r, deadline, report);
}

/* A death is told as a death; or, where the kernel does not answer, as nothing yet. */
static int pop_wait_orphaned(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(3000000);
	char buf[16];
	size_t size;
	int r = tarn_ring_pop_wait(consumer, buf, sizeof(buf), deadline, &size);

	if (r == -EPIPE)
		return 0;
	return r == -ETIMEDOUT ? r : fault_timed(r, deadline, report);
}

/* Nobody sleeps: nothing is asked of the kernel. */
static int push_and_pop(struct harness_report *report)
{
	char buf[16];
	size_t size = 0;
	int r = tarn_ring_push(producer, "0123456789", 10);

	if (r != 0)
		return r;
	r = tarn_ring_pop(consumer, buf, sizeof(buf), &size);
	return r == 0 && size == 10 ? 0 : harness_say(report, FAULT_BROKEN, "no record");
}

static int finish_and_close(struct harness_report *report)
{
	char buf[16];
	size_t size;
	int r = open_as(TARN_RING_PRODUCER, report);

	if (r != 0)
		return r;
	r = tarn_ring_finish(ring);
	tarn_ring_close(ring);
	tarn__plat_fault = NULL;
	if (r == 0 && tarn_ring_pop(consumer, buf, sizeof(buf), &size) != -ENODATA)
		return harness_say(report, FAULT_BROKEN, "the end was not told");
	return r;
}

static int stat_ring(struct harness_report *report)
{
	struct tarn_ring_stat st = { .capacity = 12345 };
	int r = tarn_ring_stat(consumer, &st);

	if (r < 0 && st.capacity != 12345)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return r;
}

/* Inherited over fork(): the child has to join, and to claim the role, which its parent has. */
static int use_after_fork(struct harness_report *report)
{
	int r = tarn_ring_push(producer, "0123456789", 10);

	if (r == 0)
		return harness_say(report, FAULT_BROKEN, "two producers");
	return r == -EBUSY ? 0 : r;
}

static int forked(struct harness_report *report)
{
	return with_roles(report) < 0 ? -1 : fault_forked(report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "ring_open_creating", .setup = made, .run = open_producer,
	  .undo = close_and_remove, .sound = sound },
	{ .name = "ring_open_after_death", .setup = orphaned, .run = open_producer,
	  .undo = close_ring, .sound = sound },
	{ .name = "ring_open_and_move", .setup = made, .run = open_and_move,
	  .undo = close_and_remove, .sound = sound },
	{ .name = "ring_pop_wait", .setup = with_roles, .run = pop_wait, .sound = sound },
	{ .name = "ring_push_wait", .setup = filled, .run = push_wait, .sound = sound },
	{ .name = "ring_pop_wait_after_death", .setup = orphaned, .run = pop_wait_orphaned,
	  .sound = sound },
	{ .name = "ring_wait_peer", .setup = orphaned, .run = wait_peer, .sound = sound },
	{ .name = "ring_push_and_pop", .setup = with_roles, .run = push_and_pop,
	  .sound = sound, .no_calls = true },
	{ .name = "ring_finish_and_close", .setup = orphaned, .run = finish_and_close,
	  .sound = sound },
	{ .name = "ring_stat", .setup = orphaned, .run = stat_ring, .sound = sound },
	{ .name = "ring_use_after_fork", .setup = forked, .run = use_after_fork },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
