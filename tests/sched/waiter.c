/* SPDX-License-Identifier: BSD-2-Clause */
/* waiter.c - a waiter under the scheduler: whatever happens to one of its sources wakes it, and an
 * auto event that it was woken for, and left to others, wakes one of these. */
#include "prims.h"

#include <tarn/event.h>

#include "flow/ring.h"
#include "flow/topic.h"
#include "flow/waiter.h"

enum { ROOM = 65536, SHORT_NS = 5000000 /* less than a sleeper's net */ };

static struct tarn_publisher *publisher;   /* of P1 */
static struct tarn_subscriber *subscriber; /* of P0 */
static struct tarn_ring *rings[2];         /* P0 is the consumer, P1 the producer */
static struct tarn_event *events[SCHED_PROCS + 1];
static struct tarn_waiter *waiters[2]; /* of P0 and P1 */

static struct {
	uint32_t taken; /* by P0: bit 0 the message, bit 1 the record */
	uint32_t told;  /* P0 was told of the end of the ring */
	uint32_t let;   /* so many were let through by the event */
	uint32_t sets;
} ghost;

/* --- a topic and a ring ---------------------------------------------------------------------- */

static void take_what_is_ready(const void *tag)
{
	struct tarn_message message;
	uint64_t value;
	size_t length;
	int r;

	if (tag == subscriber) {
		r = tarn_subscriber_take(subscriber, &value, sizeof(value), &message);
		SCHED_CHECK(r == 0 || r == -EAGAIN, "take: %s", strerror(-r));
		ghost.taken |= r == 0 ? 1 : 0;
		return;
	}
	SCHED_CHECK(tag == rings[0], "a tag that was not given");
	r = tarn_ring_pop(rings[0], &value, sizeof(value), &length);
	SCHED_CHECK(r == 0 || (r == -EPIPE && sched_dead(1)), "pop: %s", strerror(-r));
	ghost.taken |= r == 0 ? 2 : 0;
	ghost.told |= r == -EPIPE;
}

/* P0 waits until it has both, or the other one is dead; P1 sends both. */
static void wait_for_both(int me)
{
	uint64_t value = 5;
	size_t count;
	void *tag;

	if (me != 0) {
		int r = tarn_publisher_publish(publisher, &value, sizeof(value));

		SCHED_CHECK(r == 0, "publish: %s", strerror(-r));
		r = tarn_ring_push(rings[1], &value, sizeof(value));
		SCHED_CHECK(r == 0, "push: %s", strerror(-r));
		return;
	}
	while (ghost.taken != 3 && ghost.told == 0) {
		int r = tarn_waiter_wait(waiters[0], TARN_FOREVER, &tag, 1, &count);

		SCHED_CHECK(r == 0 && count == 1, "wait: %s", strerror(-r));
		take_what_is_ready(tag);
	}
}

static bool always_missed(int me)
{
	return me == 1; /* P0 watches its beacon */
}

static void open_sources(void)
{
	const struct tarn_topic_opts topic_opts = { .lane_size = 4096,
						    .flags = TARN_TOPIC_NO_TIME };
	const struct tarn_ring_opts ring_opts = { .capacity = 256 };
	const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };

	memset(&ghost, 0, sizeof(ghost));
	sched_as(1);
	must(tarn_publisher_open(sched_region(1), "news", &topic_opts, &publisher));
	must(tarn_ring_open(sched_region(1), "ring", TARN_RING_PRODUCER, &ring_opts, &rings[1]));
	sched_as(0);
	must(tarn_subscriber_open(sched_region(0), "news", &topic_opts, &subscriber));
	must(tarn_ring_open(sched_region(0), "ring", TARN_RING_CONSUMER, &ring_opts, &rings[0]));
	must(tarn_waiter_open(&asleep, &waiters[0]));
	must(tarn_waiter_add_subscriber(waiters[0], subscriber, NULL));
	must(tarn_waiter_add_ring(waiters[0], rings[0], NULL));
	keep(subscriber);
	sched_private(subscriber, sizeof(*subscriber));
	sched_private(subscriber->readers, sizeof(*subscriber->readers));
	sched_private(waiters[0], sizeof(*waiters[0]));
	sched_private(waiters[0]->sources, 2 * sizeof(*waiters[0]->sources));
	for (int p = 0; p < 2; p++)
		sched_private(rings[p], sizeof(*rings[p]));
	sched_as(1);
	keep(publisher);
	sched_private(publisher, sizeof(*publisher));
	sched_as(SCHED_PROCS);

	struct lane_shm *lane = subscriber->readers[0].lane.shm;
	struct ring_shm *ring = rings[0]->shm;

	show(subscriber);
	sched_hot("lane", lane, offsetof(struct lane_shm, lows[2]));
	sched_hot("messages", lane->messages, 4096);
	sched_hot("comings", &subscriber->topic.shm->comings, 64);
	sched_hot("tail", &ring->tail, sizeof(ring->tail));
	sched_hot("producer.owner", &ring->producer, sizeof(ring->producer));
	sched_hot("head", &ring->head, sizeof(ring->head));
	sched_hot("consumer.owner", &ring->consumer, sizeof(ring->consumer));
	sched_name("consumer.waiting", &ring->consumer.waiting);
	sched_hot("records", ring->records, 256);
	sched_ghost(&ghost, sizeof(ghost));
}

static void close_sources(void)
{
	sched_as(0);
	tarn_waiter_close(waiters[0]);
	tarn_subscriber_close(subscriber);
	tarn_ring_close(rings[0]);
	sched_as(1);
	tarn_publisher_close(publisher);
	tarn_ring_close(rings[1]);
}

static void verify_both(void)
{
	check_region();
	SCHED_CHECK(sched_dead(0) || sched_dead(1) || ghost.taken == 3, "taken: %d",
		    (int)ghost.taken);
}

/* --- an auto event --------------------------------------------------------------------------- */

/* P0 waits by a waiter, and leaves it to others; P1 waits by the event; P2 sets it once. */
static void share_an_event(int me)
{
	int64_t until = sched_now() + SHORT_NS;
	size_t count;
	void *tag;
	int r;

	if (me == 2) {
		r = tarn_event_set(events[2]);
		SCHED_CHECK(r == 0, "set: %s", strerror(-r));
		ghost.sets++;
		return;
	}
	if (me == 1) {
		r = tarn_event_wait(events[1], TARN_FOREVER, NULL);
		SCHED_CHECK(r == 0, "P1: %s", strerror(-r));
		ghost.let++;
		return;
	}
	sched_deadline(until); /* P1 may be faster */
	r = tarn_waiter_wait(waiters[0], until, &tag, 1, &count);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || r == -ETIMEDOUT, "P0: %s", strerror(-r));
}

/* P0 and P1 wait by waiters; P2 sets it for a moment. Who is late sees nothing of it, and neither
 * keeps the other awake. */
static void miss_an_event(int me)
{
	int64_t until = sched_now() + SHORT_NS;
	size_t count;
	void *tag;
	int r;

	if (me == 2) {
		r = tarn_event_set(events[2]);
		SCHED_CHECK(r == 0, "set: %s", strerror(-r));
		r = tarn_event_reset(events[2]);
		SCHED_CHECK(r == 0, "reset: %s", strerror(-r));
		return;
	}
	sched_deadline(until);
	r = tarn_waiter_wait(waiters[me], until, &tag, 1, &count);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || r == -ETIMEDOUT, "P%d: %s", me, strerror(-r));
}

static void open_events(uint32_t flags, int waiter_count)
{
	const struct tarn_event_opts opts = { .flags = flags };
	const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };

	memset(&ghost, 0, sizeof(ghost));
	for (int i = 0; i <= 3; i++) {
		int p = nth(i, 3);

		sched_as(p);
		must(tarn_event_open(sched_region(p), "go", &opts, &events[p]));
		keep(events[p]);
		sched_private(events[p], sizeof(struct prim));
	}
	for (int p = 0; p < waiter_count; p++) {
		sched_as(p);
		must(tarn_waiter_open(&asleep, &waiters[p]));
		must(tarn_waiter_add_event(waiters[p], events[p], NULL));
		sched_private(waiters[p], sizeof(*waiters[p]));
		sched_private(waiters[p]->sources, sizeof(*waiters[p]->sources));
	}
	sched_as(SCHED_PROCS);
	show(events[SCHED_PROCS]);
	sched_ghost(&ghost, sizeof(ghost));
}

static void open_auto(void)
{
	open_events(TARN_EVENT_AUTO, 1);
}

static void open_manual(void)
{
	open_events(0, 2);
}

static void close_event(void)
{
	for (int p = 0; p < 2; p++) {
		sched_as(p);
		tarn_waiter_close(waiters[p]);
		waiters[p] = NULL;
	}
	for (int i = 0; i <= 3; i++) {
		sched_as(nth(i, 3));
		tarn_event_close(events[nth(i, 3)]);
	}
}

static void verify_event(void)
{
	check_region();
	SCHED_CHECK(ghost.let <= ghost.sets + (uint32_t)sched_dead(2), "%d through, %d sets",
		    (int)ghost.let, (int)ghost.sets);
}

const struct sched_scenario sched_waiters[] = {
	{ "waiter", "one waits for a message and a record at once, one sends both", .procs = 2,
	  .size = ROOM, .setup = open_sources, .body = wait_for_both, .quick = { 2, 1 },
	  .full = { { 3, 1 } }, .verify = verify_both, .holds = always_missed,
	  .cleanup = close_sources },
	{ "waiter-event", "one waits by a waiter, one by the event, one sets it", .procs = 3,
	  .setup = open_auto, .body = share_an_event, .quick = { 2, 0 }, .full = { { 3, 0 } },
	  .verify = verify_event, .cleanup = close_event },
	{ "waiter-pulse", "two wait by waiters, one sets and resets an event", .procs = 3,
	  .setup = open_manual, .body = miss_an_event, .quick = { 2, 0 }, .full = { { 3, 0 } },
	  .verify = verify_event, .cleanup = close_event },
	{ 0 },
};
