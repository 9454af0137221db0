/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart.c - a publisher and a subscriber in a directory of sockets under the scheduler: who sleeps
 * is woken, by a message, by room, and by the end of the publisher; what is passed over is counted,
 * and what was held says whether it was.
 *
 * They meet as always, by a real socket, while the scenario is set up; from then on their threads
 * sleep in poll(), since nothing happens to a socket. What they share is beside the region: the
 * lane, the ack and the bell, each mapped by both. A death is seen by nobody here, since it is a
 * thread that would be told: who has patience waits for that long. What the thread of a subscriber
 * does when the publisher has left is done by a process of its own, P2.
 */
#include "prims.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <tarn/waiter.h>

#include "flow/apart.h"
#include "flow/waiter.h"

enum {
	LANE = 4096,
	LARGE = 1200,       /* three of them fill a lane */
	SMALL = 100,        /* twenty-five of them */
	LONG_NS = 45000000, /* several slices of a sleeper */
	NAP_MS = 50,        /* until threads sleep that have nothing to do */
};

static char dir[64];
static struct tarn_publisher *publisher;   /* of P1 */
static struct tarn_subscriber *subscriber; /* of P0 */
static struct tarn_waiter *waiter;         /* the same */
static size_t size;                        /* of each message */

static struct {
	uint64_t published;
	uint64_t taken; /* the last number that P0 has */
	uint64_t left;  /* P1 has published all, and leaves */
} ghost;

static bool lossless;

static void publish_one(int64_t deadline)
{
	unsigned char bytes[LARGE];
	int r;

	memset(bytes, (int)(ghost.published + 1), size);
	r = deadline == 0 ? tarn_publisher_publish(publisher, bytes, size)
			  : tarn_publisher_publish_wait(publisher, bytes, size, deadline);
	SCHED_CHECK(r == 0 || (r == -EAGAIN && deadline == 0), "publish: %s", strerror(-r));
	if (r == 0)
		ghost.published++;
}

static void check_message(const unsigned char *bytes, const struct tarn_message *message)
{
	SCHED_CHECK(message->size == size, "%d bytes", (int)message->size);
	for (size_t i = 0; bytes != NULL && i < size; i += 31)
		SCHED_CHECK(bytes[i] == (unsigned char)message->number, "message %d is torn",
			    (int)message->number);
	SCHED_CHECK(!lossless || message->missed == 0, "missed %d", (int)message->missed);
	SCHED_CHECK(message->number == ghost.taken + 1 + message->missed,
		    "number %d after %d, and %d missed", (int)message->number, (int)ghost.taken,
		    (int)message->missed);
	ghost.taken = message->number;
}

/* False: there is none. */
static bool take_one(void)
{
	unsigned char bytes[LARGE];
	struct tarn_message message;
	uint64_t least = ghost.published;
	int r = tarn_subscriber_take(subscriber, bytes, sizeof(bytes), &message);

	SCHED_CHECK(r == 0 || (r == -EAGAIN && (!lossless || ghost.taken >= least)),
		    "take: %s, with %d of %d", strerror(-r), (int)ghost.taken, (int)least);
	if (r == 0)
		check_message(bytes, &message);
	return r == 0;
}

/* Take one, and sleep until it is there. False: it is too late for one. */
static bool await_one(int64_t until)
{
	size_t count;
	void *tag;

	while (!take_one()) {
		int r = tarn_waiter_wait(waiter, until, &tag, 1, &count);

		SCHED_CHECK(r == 0 || (r == -ETIMEDOUT && anybody_dead()), "wait: %s",
			    strerror(-r));
		if (r < 0)
			return false;
	}
	return true;
}

/* --- bodies -------------------------------------------------------------------------------- */

/* P0 has all, and waits for one more, and again for one more. */
static void wait_and_publish(int me)
{
	int64_t until = sched_now() + LONG_NS;

	if (me != 0) {
		publish_one(0);
		publish_one(0);
		return;
	}
	sched_deadline(until);
	if (await_one(until))
		(void)await_one(until);
	sched_deadline(INT64_MAX);
}

/* The lane is full. P0 takes one, P1 waits for room. */
static void take_and_wait(int me)
{
	if (me == 0)
		(void)take_one();
	else /* if P0 dies it is in the way for a while */
		publish_one(TARN_FOREVER);
}

/* The lane is full, and nobody is waited for. */
static void take_and_publish(int me)
{
	for (int i = 0; i < (me == 0 ? 2 : 3); i++) {
		if (me == 0)
			(void)take_one();
		else
			publish_one(0);
	}
}

static bool is_of(const unsigned char *bytes, uint64_t number)
{
	for (size_t i = 0; i < size; i += 31)
		if (bytes[i] != (unsigned char)number)
			return false;
	return true;
}

/* A publisher that waits writes over nothing that is held; but it may be about to when it finds
 * that, so letting go of it may say -ESTALE to one that is lossy. */
static void hold_one(bool waited_for)
{
	unsigned char bytes[LARGE];
	struct tarn_message message;
	bool whole;
	int r = tarn_subscriber_hold(subscriber, &message);

	SCHED_CHECK(r == 0 || r == -EAGAIN, "hold: %s", strerror(-r));
	if (r < 0)
		return;
	check_message(NULL, &message);
	memcpy(bytes, message.data, size);
	whole = is_of(bytes, message.number);
	r = tarn_subscriber_release(subscriber, &message);
	SCHED_CHECK(r == 0 || (r == -ESTALE && !lossless), "release: %s", strerror(-r));
	SCHED_CHECK(whole || (r == -ESTALE && !waited_for), "message %d was written over: %s",
		    (int)message.number, strerror(-r));
}

static void hold_and_publish(int me)
{
	for (int i = 0; i < (me == 0 ? 2 : 3); i++) {
		if (me == 0)
			hold_one(true);
		else
			publish_one(0);
	}
}

static void hold_beside_one_that_goes_on(int me)
{
	for (int i = 0; i < 2; i++) {
		if (me == 0)
			hold_one(false);
		else
			publish_one(0);
	}
}

/* Has P0 been told of all that has come and gone, and let go of the place? */
static bool has_parted(void)
{
	return subscriber->readers[0].lane.shm == NULL;
}

/* P0 waits; P1 publishes two, and leaves; P2 is P0's thread, which is told of that, and ends the
 * wait. */
static void wait_for_the_end(int me)
{
	int64_t until = sched_now() + LONG_NS;
	size_t count;
	void *tag;
	int r = 0;

	if (me == 1) {
		publish_one(0);
		publish_one(0);
		ghost.left = 1;
		return;
	}
	if (me == 2) {
		while (ghost.left == 0 && !sched_dead(1))
			tarn__plat_yield();
		tarn__scout_lose(subscriber->scout, 0);
		tarn_waiter_interrupt(waiter);
		return;
	}
	sched_deadline(until);
	while (r == 0) {
		while (take_one())
			;
		r = tarn_waiter_wait(waiter, until, &tag, 1, &count);
		SCHED_CHECK(r == 0 || r == -EINTR || (r == -ETIMEDOUT && anybody_dead()),
			    "wait: %s", strerror(-r));
	}
	sched_deadline(INT64_MAX);
	SCHED_CHECK(has_parted() || anybody_dead() ||
			    subscriber->comings != *subscriber->topic.comings,
		    "the place is kept while one sleeps");
	while (take_one())
		;
	SCHED_CHECK(anybody_dead() || (has_parted() && ghost.taken == ghost.published),
		    "of %d only %d were taken", (int)ghost.published, (int)ghost.taken);
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void open_both(uint32_t flags, int64_t patience)
{
	const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	struct tarn_topic_opts opts = { .socket_dir = dir,
					.lane_size = LANE,
					.patience_ns = patience,
					.flags = TARN_TOPIC_NO_TIME };

	snprintf(dir, sizeof(dir), "/tmp/tarn-sched-apart.XXXXXX");
	if (mkdtemp(dir) == NULL)
		err(2, "mkdtemp");
	sched_as(1);
	must(tarn_publisher_open(NULL, "news", &opts, &publisher));
	opts.flags = flags;
	sched_as(0);
	must(tarn_subscriber_open(NULL, "news", &opts, &subscriber));
	must(tarn_waiter_open(&asleep, &waiter));
	must(tarn_waiter_add_subscriber(waiter, subscriber, NULL));
	nanosleep(&nap, NULL);
}

/* The addresses of the lane, the ack and the bell, as both sides have them. */
static void share_pages(void)
{
	struct lane_shm *lanes[2] = { subscriber->readers[0].lane.shm, publisher->lane.shm };
	struct ack_shm *acks[2];
	struct tarn__futex words[2];
	void *at[SCHED_PROCS + 1] = { lanes[0], lanes[1], NULL, lanes[1] };
	bool all;

	sched_area(sizeof(struct lane_shm) + LANE, at);
	sched_hot("lane", &lanes[1]->last, offsetof(struct lane_shm, lows) - 64);
	sched_name("counted", &lanes[1]->counted);
	sched_name("oldest", &lanes[1]->oldest);
	sched_hot("waits", &lanes[1]->waits, sizeof(lanes[1]->waits));
	sched_hot("messages", lanes[1]->messages, LANE);
	publisher->blocker = 0;
	acks[0] = (struct ack_shm *)(void *)subscriber->readers[0].low;
	acks[1] = (struct ack_shm *)(void *)((char *)tarn__door_token(publisher) -
					     offsetof(struct ack_shm, token));
	at[0] = at[SCHED_PROCS] = acks[0];
	at[1] = acks[1];
	sched_area(APART_PAGE, at);
	sched_hot("ack", acks[0], sizeof(*acks[0]));
	sched_name("how", &acks[0]->how);
	sched_name("token", &acks[0]->token);
	sched_name("sleep", &acks[0]->sleep);
	tarn__scout_announce(subscriber);
	if (tarn__scout_words(subscriber, words, 2, &all) != 2)
		errx(2, "no bell");
	tarn__scout_awake(subscriber);
	at[0] = (void *)(uintptr_t)words[1].word;
	at[1] = at[SCHED_PROCS] = (char *)acks[1] + APART_PAGE;
	sched_area(APART_PAGE, at);
	sched_hot("bell", at[0], sizeof(struct bell_shm));
}

/* What handles remember, put back before each execution. */
static void keep_handles(void)
{
	struct reader *reader = subscriber->readers;

	sched_private(publisher, sizeof(*publisher));
	sched_private(publisher->door, malloc_usable_size(publisher->door));
	sched_private(subscriber, sizeof(*subscriber));
	sched_private(reader, sizeof(*reader));
	if (reader->held != NULL)
		sched_private(reader->held, reader->held_room * sizeof(*reader->held));
	sched_private(waiter, sizeof(*waiter));
	sched_private(waiter->sources, sizeof(*waiter->sources));
	sched_ghost(&ghost, sizeof(ghost));
}

/* The scout's thread hands a place over by words of its own: which, is seen by letting it. */
static void share_scout(void)
{
	struct scout *scout = subscriber->scout;
	size_t bytes = malloc_usable_size(scout) / 8 * 8;
	uint64_t *before = malloc(bytes), *now = (uint64_t *)(void *)scout;
	int count = 0;

	if (before == NULL)
		err(2, "memory");
	memcpy(before, scout, bytes);
	tarn__scout_lose(scout, 0);
	for (size_t i = 0; i < bytes / 8; i++) {
		void *at[SCHED_PROCS + 1] = { &now[i], &now[i], &now[i], &now[i] };

		if (now[i] == before[i])
			continue;
		sched_area(8, at);
		sched_hot("scout", &now[i], 8);
		now[i] = before[i];
		count++;
	}
	free(before);
	if (count != 2)
		errx(2, "%d words of the scout change, not 2", count);
	sched_private(scout, bytes);
}

/* @before messages are there, of which P0 has taken all but @left. */
static void set_up(size_t bytes, uint64_t before, uint64_t left, uint32_t flags, int64_t patience)
{
	struct tarn_message message;

	size = bytes;
	lossless = flags == 0 && patience != 0;
	memset(&ghost, 0, sizeof(ghost));
	open_both(flags, patience);
	sched_as(1);
	publish_one(0);
	sched_as(0);
	/* what it allocates at its first hold */
	must(tarn_subscriber_hold(subscriber, &message));
	must(tarn_subscriber_release(subscriber, &message));
	ghost.taken = 1;
	while (ghost.published < before) {
		sched_as(1);
		publish_one(0);
		sched_as(0);
		while (ghost.published - ghost.taken > left)
			(void)take_one();
	}
	sched_as(SCHED_PROCS);
	share_pages();
	keep_handles();
}

static void all_taken(void)
{
	set_up(SMALL, 2, 0, 0, LONG_NS);
}

static void full(void)
{
	set_up(LARGE, 3, 2, 0, LONG_NS);
}

static void full_and_impatient(void)
{
	set_up(SMALL, 26, 24, 0, 0);
}

static void full_lossy(void)
{
	set_up(SMALL, 26, 25, TARN_TOPIC_LOSSY, LONG_NS); /* the next one goes where P0 reads */
}

static void full_lossy_and_impatient(void)
{
	set_up(SMALL, 26, 25, TARN_TOPIC_LOSSY, 0);
}

/* Nothing was held, so that a place can be given back as often as one likes. */
static void two_to_come(void)
{
	size = SMALL;
	lossless = true;
	memset(&ghost, 0, sizeof(ghost));
	open_both(0, LONG_NS);
	sched_as(SCHED_PROCS);
	share_pages();
	keep_handles();
	share_scout();
}

static void close_both(void)
{
	sched_as(0);
	tarn_waiter_close(waiter);
	tarn_subscriber_close(subscriber);
	sched_as(1);
	tarn_publisher_close(publisher);
	if (rmdir(dir) < 0)
		err(2, "%s", dir);
}

/* Whoever has not died has it all. */
static void verify(void)
{
	if (sched_dead(0))
		return;
	sched_as(0);
	while (take_one())
		;
	sched_as(SCHED_PROCS);
}

static void verify_nothing(void)
{
}

#define JUDGED .verify = verify, .cleanup = close_both

const struct sched_scenario sched_aparts[] = {
	{ "apart-wait", "one waits for two messages, one by one, one publishes them", .procs = 2,
	  .setup = all_taken, .body = wait_and_publish, .quick = { 2, 1 }, .full = { { 3, 1 } },
	  JUDGED },
	{ "apart-room", "one waits for room, with patience, one takes", .procs = 2, .setup = full,
	  .body = take_and_wait, .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "apart-past", "one copies twice, one that waits for nobody publishes three times",
	  .procs = 2, .setup = full_and_impatient, .body = take_and_publish, .quick = { 2, 1 },
	  .full = { { 3, 2 } }, JUDGED },
	{ "apart-hold", "a lossy one holds twice, one with patience publishes three times",
	  .procs = 2, .setup = full_lossy, .body = hold_and_publish, .quick = { 2, 1 },
	  .full = { { 3, 2 } }, JUDGED },
	{ "apart-keep", "a lossless one holds twice, one with patience publishes three times",
	  .procs = 2, .setup = full, .body = hold_and_publish, .quick = { 2, 1 },
	  .full = { { 3, 2 } }, JUDGED },
	{ "apart-stale", "a lossy one holds twice, one that waits for nobody publishes twice",
	  .procs = 2, .setup = full_lossy_and_impatient, .body = hold_beside_one_that_goes_on,
	  .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "apart-end", "one waits, one publishes twice and leaves, the first one's thread is told",
	  .procs = 3, .setup = two_to_come, .body = wait_for_the_end, .quick = { 1, 1 },
	  .full = { { 2, 1 } }, .verify = verify_nothing, .cleanup = close_both },
	{ 0 },
};
