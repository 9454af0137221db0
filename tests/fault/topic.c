/* SPDX-License-Identifier: BSD-2-Clause */
/* topic.c - every call on topics, latest values and waiters, with each call of plat failing in
 * turn. Peers that do not trust each other: apart.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/latest.h>
#include <tarn/waiter.h>

#include "region.h"
#include "topics.h"

enum { HEAP = 1 << 18 };

static struct tarn_latest *latest;
static struct tarn_waiter *waiter;

/* --- before and after ---------------------------------------------------------------------- */

static int made(struct harness_report *report)
{
	publisher = NULL;
	subscriber = NULL;
	return make_region("topic", HEAP, 0, report);
}

static int open_small(struct tarn_publisher **ret_publisher, struct tarn_diag *diag)
{
	const struct tarn_topic_opts opts = { .lane_size = 4096, .diag = diag };

	return tarn_publisher_open(region, "news", &opts, ret_publisher);
}

static int published(struct harness_report *report)
{
	if (made(report) < 0 || open_small(&publisher, NULL) < 0 ||
	    tarn_publisher_publish(publisher, "before", 6) < 0)
		return harness_say(report, -1, "setup: no publisher");
	return 0;
}

static int subscribed(struct harness_report *report)
{
	struct tarn_message message;
	char buf[16];

	if (made(report) < 0 || open_small(&publisher, NULL) < 0 ||
	    tarn_subscriber_open(region, "news", NULL, &subscriber) < 0 ||
	    tarn_subscriber_take(subscriber, buf, sizeof(buf), &message) != -EAGAIN)
		return harness_say(report, -1, "setup: no subscriber");
	return 0;
}

static int filled(struct harness_report *report)
{
	if (subscribed(report) < 0)
		return -1;
	while (tarn_publisher_publish(publisher, "0123456789", 10) == 0)
		;
	return 0;
}

static void close_both(void)
{
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	publisher = NULL;
	subscriber = NULL;
}

static void remove_topic(void)
{
	close_both();
	if (tarn_object_remove(region, "news") < 0 || tarn_region_gc(region, NULL) < 0)
		abort();
}

static void close_subscriber(void)
{
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
}

/* --- topics -------------------------------------------------------------------------------- */

static int publisher_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_publisher *opened = no_publisher;
	int r = open_small(&opened, &diag);

	if (r == 0)
		publisher = opened;
	return fault_told(r, opened != no_publisher, &diag, report);
}

static int subscriber_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_topic_opts opts = { .history = UINT32_MAX, .diag = &diag };
	struct tarn_subscriber *opened = no_subscriber;
	int r = tarn_subscriber_open(region, "news", &opts, &opened);

	if (r == 0)
		subscriber = opened;
	return fault_told(r, opened != no_subscriber, &diag, report);
}

/* What was there before comes, whatever fails. */
static int subscribe_and_take(struct harness_report *report)
{
	struct tarn_message message;
	char buf[16] = "";
	int r = subscriber_open(report);

	if (r != 0)
		return r;
	r = tarn_subscriber_take(subscriber, buf, sizeof(buf), &message);
	if (r == 0 && (message.size != 6 || message.missed != 0 || memcmp(buf, "before", 6) != 0))
		r = harness_say(report, FAULT_BROKEN, "another message came");
	if (r != 0)
		close_subscriber();
	return r;
}

static int hold_and_release(struct harness_report *report)
{
	struct tarn_message message;
	void *data;
	int r = tarn_publisher_loan(publisher, 10, &data);

	if (r == 0) {
		memcpy(data, "0123456789", 10);
		r = tarn_publisher_commit(publisher, 10);
	}
	if (r == 0)
		r = tarn_subscriber_hold(subscriber, &message);
	if (r == 0)
		r = tarn_subscriber_release(subscriber, &message);
	return r == 0 ? 0 : harness_say(report, FAULT_BROKEN, "no message: %d", r);
}

static int publish_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);

	return fault_timed(tarn_publisher_publish_wait(publisher, "0123456789", 10, deadline),
			   deadline, report);
}

static int wait_subscribers(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);

	return fault_timed(tarn_publisher_wait_subscribers(publisher, 2, deadline), deadline,
			   report);
}

/* It grows, and goes on; or does not, and goes on where it was. */
static int grow(struct harness_report *report)
{
	static unsigned char much[9000];
	struct tarn_diag diag = { .what = "" };
	struct tarn_message message;
	int r = tarn_publisher_publish(publisher, "first", 5), grown;

	if (r < 0)
		return harness_say(report, FAULT_BROKEN, "it does not publish: %d", r);
	grown = tarn_publisher_grow(publisher, sizeof(much), &diag);
	if (grown < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", grown);
	r = tarn_publisher_publish(publisher, much, grown == 0 ? sizeof(much) : 10);
	if (r < 0)
		return harness_say(report, FAULT_BROKEN, "it does not publish then: %d", r);
	tarn__plat_fault = NULL;
	r = tarn_subscriber_take(subscriber, much, sizeof(much), &message);
	if (r < 0 || message.size != 5)
		return harness_say(report, FAULT_BROKEN, "what came before is not first: %d", r);
	r = tarn_subscriber_take(subscriber, much, sizeof(much), &message);
	if (r < 0 || message.size != (grown == 0 ? sizeof(much) : 10))
		return harness_say(report, FAULT_BROKEN, "what came then is not second: %d", r);
	return grown;
}

/* --- latest values ------------------------------------------------------------------------- */

static int latest_made(struct harness_report *report)
{
	const struct tarn_latest_opts opts = { .size = 64 };

	if (made(report) < 0 || tarn_latest_open(region, "state", &opts, &latest) < 0 ||
	    tarn_latest_write(latest, "value", 5, TARN_FOREVER, NULL) < 0)
		return harness_say(report, -1, "setup: no latest value");
	return 0;
}

static int latest_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_latest_opts opts = { .size = 64, .diag = &diag };
	struct tarn_latest *const none = (struct tarn_latest *)(uintptr_t)16;
	struct tarn_latest *opened = none;
	int r = tarn_latest_open(region, "state", &opts, &opened);

	if (r == 0)
		latest = opened;
	return fault_told(r, opened != none, &diag, report);
}

static void remove_latest(void)
{
	tarn_latest_close(latest);
	if (tarn_object_remove(region, "state") < 0 || tarn_region_gc(region, NULL) < 0)
		abort();
}

static int write_and_read(struct harness_report *report)
{
	char buf[64] = "";
	uint64_t number;
	size_t size = 0;
	int r = tarn_latest_write(latest, "another", 7, TARN_FOREVER, NULL);

	if (r == 0)
		r = tarn_latest_read(latest, buf, sizeof(buf), &size, &number);
	if (r == 0 && (size != 7 || memcmp(buf, "another", 7) != 0))
		return harness_say(report, FAULT_BROKEN, "another value came out");
	return r;
}

static int latest_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	uint64_t number = tarn_latest_number(latest);

	return fault_timed(tarn_latest_wait(latest, number, deadline, &number), deadline, report);
}

/* --- waiters ------------------------------------------------------------------------------- */

static int waiting(struct harness_report *report)
{
	if (subscribed(report) < 0 || tarn_waiter_open(NULL, &waiter) < 0 ||
	    tarn_waiter_add_subscriber(waiter, subscriber, NULL) < 0)
		return harness_say(report, -1, "setup: no waiter");
	return 0;
}

static int waiter_add(struct harness_report *report)
{
	int r = tarn_waiter_open(NULL, &waiter);

	(void)report;
	if (r < 0)
		return r;
	r = tarn_waiter_add_subscriber(waiter, subscriber, NULL);
	if (r < 0)
		tarn_waiter_close(waiter);
	return r;
}

static void close_waiter(void)
{
	tarn_waiter_close(waiter);
}

static int waiter_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	size_t count;
	void *tag;

	return fault_timed(tarn_waiter_wait(waiter, deadline, &tag, 1, &count), deadline, report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "publisher_open_creating", .setup = made, .run = publisher_open,
	  .undo = remove_topic, .sound = sound },
	{ .name = "subscriber_open_creating", .setup = made, .run = subscriber_open,
	  .undo = remove_topic, .sound = sound },
	{ .name = "subscriber_open_and_take", .setup = published, .run = subscribe_and_take,
	  .undo = close_subscriber, .sound = sound },
	{ .name = "publish_and_take", .setup = subscribed, .run = publish_and_take,
	  .sound = sound, .no_calls = true },
	{ .name = "hold_and_release", .setup = subscribed, .run = hold_and_release,
	  .sound = sound, .no_calls = true },
	{ .name = "take_wait", .setup = subscribed, .run = take_wait, .sound = sound },
	{ .name = "publish_wait", .setup = filled, .run = publish_wait, .sound = sound },
	{ .name = "wait_subscribers", .setup = subscribed, .run = wait_subscribers,
	  .sound = sound },
	{ .name = "publisher_grow", .setup = subscribed, .run = grow, .sound = sound,
	  .no_calls = true },
	{ .name = "latest_open_creating", .setup = made, .run = latest_open,
	  .undo = remove_latest, .sound = sound, .no_calls = true },
	{ .name = "latest_write_and_read", .setup = latest_made, .run = write_and_read,
	  .sound = sound, .no_calls = true },
	{ .name = "latest_wait", .setup = latest_made, .run = latest_wait, .sound = sound },
	{ .name = "waiter_add", .setup = subscribed, .run = waiter_add, .undo = close_waiter,
	  .sound = sound, .no_calls = true },
	{ .name = "waiter_wait", .setup = waiting, .run = waiter_wait, .sound = sound },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
