/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waiter.c - a waiter and its descriptor, with each call of plat failing in turn. Where io_uring is
 * what fails a thread sleeps, or a new ring is made: the descriptor is readable all the same when
 * something is ready.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <tarn/waiter.h>

#include "region.h"

enum { HEAP = 8192, SOON_MS = 5000 };

static const struct tarn_event_opts opts = { .flags = 0 };
static struct tarn_event *event;
static struct tarn_waiter *waiter;

static void *end_at_once(void *arg)
{
	return arg;
}

/* The C library keeps the stack of a thread that has ended for the next one. */
static int with_event(struct harness_report *report)
{
	uintptr_t thread;

	if (tarn__plat_thread_start(end_at_once, NULL, &thread) < 0)
		return harness_say(report, -1, "setup: no thread");
	tarn__plat_thread_join(thread);
	if (make_region("waiter", HEAP, 0, report) < 0 ||
	    tarn_event_open(region, "event", &opts, &event) < 0)
		return harness_say(report, -1, "setup: no event");
	return 0;
}

static void close_event(void)
{
	tarn_event_close(event);
	tarn_region_close(region);
}

static void close_waiter(void)
{
	tarn_waiter_close(waiter);
}

static bool is_readable(int fd, int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, ms) == 1;
}

/* What the waiter says: 0, or an error that is one; FAULT_BROKEN. */
static int expect(int wanted, struct harness_report *report)
{
	size_t count = 0;
	void *tag;
	int r = tarn_waiter_wait(waiter, 0, &tag, 1, &count);

	if ((r == 0 || r == -ETIMEDOUT) && r != wanted)
		return harness_say(report, FAULT_BROKEN, "the wait returned %d, not %d", r, wanted);
	return r == wanted ? 0 : r;
}

static int open_fd(int *ret_fd, struct harness_report *report)
{
	int fd = 12345, r = tarn_waiter_open(NULL, &waiter);

	if (r < 0)
		return r;
	r = tarn_waiter_add_event(waiter, event, NULL);
	if (r == 0)
		r = tarn_waiter_fd(waiter, &fd);
	if (r == 0)
		*ret_fd = fd;
	else if (fd != 12345)
		r = harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	if (r != 0)
		tarn_waiter_close(waiter);
	return r;
}

static int make_fd(struct harness_report *report)
{
	int fd;

	return open_fd(&fd, report);
}

/* Armed, told, looked at, armed again, and given up while it is. */
static int be_told(int fd, struct harness_report *report)
{
	for (int i = 0; i < 2; i++) {
		int r = expect(-ETIMEDOUT, report);

		if (r != 0)
			return r;
		r = tarn_event_set(event);
		if (r != 0)
			return r;
		if (!is_readable(fd, SOON_MS))
			return harness_say(report, FAULT_BROKEN, "it was not told");
		r = expect(0, report);
		if (r != 0)
			return r;
		r = tarn_event_reset(event);
		if (r != 0)
			return r;
	}
	return expect(-ETIMEDOUT, report);
}

static int use_fd(struct harness_report *report)
{
	int fd, r = open_fd(&fd, report);

	if (r != 0)
		return r;
	r = be_told(fd, report);
	tarn_event_reset(event);
	if (r != 0)
		tarn_waiter_close(waiter);
	return r;
}

static int wait_for_nothing(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(3000000);
	size_t count;
	void *tag;
	int r = tarn_waiter_open(NULL, &waiter);

	if (r < 0)
		return r;
	r = tarn_waiter_add_event(waiter, event, NULL);
	if (r == 0)
		r = fault_timed(tarn_waiter_wait(waiter, deadline, &tag, 1, &count), deadline,
				report);
	if (r != 0)
		tarn_waiter_close(waiter);
	return r;
}

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "waiter_wait", .setup = with_event, .run = wait_for_nothing,
	  .undo = close_waiter, .sound = sound, .teardown = close_event },
	{ .name = "waiter_fd", .setup = with_event, .run = make_fd,
	  .undo = close_waiter, .sound = sound, .teardown = close_event },
	{ .name = "waiter_told", .setup = with_event, .run = use_fd,
	  .undo = close_waiter, .sound = sound, .teardown = close_event },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
