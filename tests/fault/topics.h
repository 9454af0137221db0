/* SPDX-License-Identifier: BSD-2-Clause */
/* topics.h - the two ends of a topic, wherever it is, and what is tried with both of them there. */
#ifndef TESTS_FAULT_TOPICS_H
#define TESTS_FAULT_TOPICS_H

#include <errno.h>

#include <tarn/topic.h>

#include "fault.h"

enum { SLICE_NS = 3000000 };

static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_publisher *const no_publisher = (struct tarn_publisher *)(uintptr_t)16;
static struct tarn_subscriber *const no_subscriber = (struct tarn_subscriber *)(uintptr_t)16;

/* Nobody sleeps: nothing is asked of the kernel. */
static inline int publish_and_take(struct harness_report *report)
{
	struct tarn_message message;
	char buf[16];
	int r = tarn_publisher_publish(publisher, "0123456789", 10);

	if (r == 0)
		r = tarn_subscriber_take(subscriber, buf, sizeof(buf), &message);
	return r == 0 && message.size == 10
		       ? 0
		       : harness_say(report, FAULT_BROKEN, "no message: %d", r);
}

static inline int take_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	struct tarn_message message = { .number = 77 };
	char buf[16];
	int r = tarn_subscriber_take_wait(subscriber, buf, sizeof(buf), deadline, &message);

	if (message.number != 77)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return fault_timed(r, deadline, report);
}

#endif /* TESTS_FAULT_TOPICS_H */
