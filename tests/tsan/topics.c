/* SPDX-License-Identifier: BSD-2-Clause */
/* A topic that one thread publishes and another takes, holds, or waits for among other things. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>

#include "../../src/plat/plat.h"
#include "duet.h"

enum { ROUNDS = 4000, WORDS = 16, MANY = 8 };

static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_ring *producer, *consumer;
static struct tarn_waiter *waiter;

static void fill(uint64_t words[WORDS], uint64_t n)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = n;
}

static void check(const uint64_t *words, size_t size, uint64_t n)
{
	expect("its size", size == WORDS * sizeof(*words));
	for (int i = 0; i < WORDS; i++)
		expect("whole, and the next", words[i] == n);
}

static void *publish_copies(void *arg)
{
	uint64_t words[WORDS];

	for (uint64_t n = 0; n < ROUNDS; n++) {
		fill(words, n);
		must("publish",
		     tarn_publisher_publish_wait(publisher, words, sizeof(words), TARN_FOREVER));
	}
	return arg;
}

static void *take_copies(void *arg)
{
	struct tarn_message message;
	uint64_t words[WORDS];

	for (uint64_t n = 0; n < ROUNDS; n++) {
		must("take", tarn_subscriber_take_wait(subscriber, words, sizeof(words),
						       TARN_FOREVER, &message));
		check(words, message.size, n);
	}
	return arg;
}

static void *take_batches(void *arg)
{
	struct tarn_message messages[MANY];
	uint64_t words[MANY * WORDS], n = 0;
	size_t count;

	while (n < ROUNDS) {
		int r = tarn_subscriber_take_batch(subscriber, words, sizeof(words), messages, MANY,
						   &count);

		if (r == -EAGAIN) {
			sched_yield();
			continue;
		}
		must("take_batch", r);
		for (size_t i = 0; i < count; i++)
			check(messages[i].data, messages[i].size, n++);
	}
	return arg;
}

/* By plain stores, and plain loads. */
static void *publish_loans(void *arg)
{
	void *data;

	for (uint64_t n = 0; n < ROUNDS; n++) {
		must("loan", tarn_publisher_loan_wait(publisher, WORDS * sizeof(uint64_t),
						      TARN_FOREVER, &data));
		fill(data, n);
		must("commit", tarn_publisher_commit(publisher, WORDS * sizeof(uint64_t)));
	}
	return arg;
}

static void *hold_each(void *arg)
{
	struct tarn_message message;

	for (uint64_t n = 0; n < ROUNDS; n++) {
		must("hold", tarn_subscriber_hold_wait(subscriber, TARN_FOREVER, &message));
		check(message.data, message.size, n);
		must("release", tarn_subscriber_release(subscriber, &message));
	}
	return arg;
}

/* One message for each record. */
static void *send_both(void *arg)
{
	uint64_t words[WORDS];

	for (uint64_t n = 0; n < ROUNDS; n++) {
		fill(words, n);
		must("publish",
		     tarn_publisher_publish_wait(publisher, words, sizeof(words), TARN_FOREVER));
		must("push", tarn_ring_push_wait(producer, words, sizeof(words), TARN_FOREVER));
	}
	return arg;
}

static void take_what_is_there(uint64_t taken[2])
{
	struct tarn_message message;
	uint64_t words[WORDS];
	size_t size;

	while (tarn_subscriber_take(subscriber, words, sizeof(words), &message) == 0)
		check(words, message.size, taken[0]++);
	while (tarn_ring_pop(consumer, words, sizeof(words), &size) == 0)
		check(words, size, taken[1]++);
}

static void *wait_for_both(void *arg)
{
	uint64_t taken[2] = { 0, 0 };
	void *tags[2];
	size_t count;

	while (taken[0] < ROUNDS || taken[1] < ROUNDS) {
		must("wait", tarn_waiter_wait(waiter, TARN_FOREVER, tags, 2, &count));
		take_what_is_there(taken);
	}
	return arg;
}

static int no_ring(enum tarn_plat_call call)
{
	return call == TARN_PLAT_URING ? ENOSYS : 0;
}

static void *poll_for_both(void *arg)
{
	struct pollfd poller = { .events = POLLIN };
	uint64_t taken[2] = { 0, 0 };
	void *tags[2];
	size_t count;

	must("descriptor", tarn_waiter_fd(waiter, &poller.fd));
	while (taken[0] < ROUNDS || taken[1] < ROUNDS) {
		int r;

		expect("poll", poll(&poller, 1, -1) == 1);
		r = tarn_waiter_wait(waiter, 0, tags, 2, &count);
		must("wait", r == -ETIMEDOUT ? 0 : r);
		take_what_is_there(taken);
	}
	return arg;
}

static void *poll_by_a_thread(void *arg)
{
	return poll_for_both(arg);
}

static const struct duet duets[] = {
	{ "messages that are copied", publish_copies, take_copies },
	{ "messages in place", publish_loans, hold_each },
	{ "a waiter, of a topic and a ring", send_both, wait_for_both },
	{ "a waiter's descriptor, by a thread", send_both, poll_by_a_thread },
	{ "messages in batches", publish_copies, take_batches },
	{ "a waiter's descriptor, by the kernel", send_both, poll_for_both },
};

int main(int argc, char **argv)
{
	const size_t i = duet_begin(argc, argv, duets, sizeof(duets) / sizeof(duets[0]));
	const struct tarn_topic_opts opts = { .lane_size = 4096 };
	const struct tarn_ring_opts ring_opts = { .capacity = 1024 };
	const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };

	must("publisher", tarn_publisher_open(region, "news", &opts, &publisher));
	must("subscriber", tarn_subscriber_open(region, "news", &opts, &subscriber));
	must("producer", tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &ring_opts, &producer));
	must("consumer", tarn_ring_open(region, "ring", TARN_RING_CONSUMER, &ring_opts, &consumer));
	must("waiter", tarn_waiter_open(&asleep, &waiter));
	must("add", tarn_waiter_add_subscriber(waiter, subscriber, NULL));
	must("add", tarn_waiter_add_ring(waiter, consumer, NULL));
	if (duets[i].other == poll_by_a_thread)
		tarn__plat_fault = no_ring;
	duet_run(&duets[i]);
	tarn_waiter_close(waiter);
	tarn_publisher_close(publisher);
	tarn_subscriber_close(subscriber);
	tarn_ring_close(producer);
	tarn_ring_close(consumer);
	duet_end();
	return 0;
}
