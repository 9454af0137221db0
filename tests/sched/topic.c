/* SPDX-License-Identifier: BSD-2-Clause */
/* topic.c - a topic under the scheduler: what is taken or held is whole, in order, and none is lost
 * to who is lossless; what is held stays; who waits for a message or for room is woken. */
#include "prims.h"

#include "flow/topic.h"

enum {
	ROOM = 65536,
	LARGE = 1200,       /* three of them fill a lane */
	SMALL = 100,        /* twenty-five of them */
	LONG_NS = 45000000, /* several nets of a sleeper */
};

static struct tarn_publisher *publisher;                     /* of P1 */
static struct tarn_subscriber *subscribers[SCHED_PROCS + 1]; /* of P0, and of who verifies */
static size_t size;                                          /* of each message */

static struct {
	uint64_t published; /* publishing of so many has ended */
	uint64_t taken;     /* the last number that P0 has */
} ghost;

static void fill_message(unsigned char bytes[LARGE], uint64_t number)
{
	memset(bytes, (int)number, size);
}

static void publish_one(int64_t deadline)
{
	unsigned char bytes[LARGE];
	int r;

	fill_message(bytes, ghost.published + 1);
	r = deadline == 0 ? tarn_publisher_publish(publisher, bytes, size)
			  : tarn_publisher_publish_wait(publisher, bytes, size, deadline);
	SCHED_CHECK(r == 0 || (r == -EAGAIN && deadline == 0), "publish: %s", strerror(-r));
	if (r == 0)
		ghost.published++;
}

static void check_message(int me, const unsigned char *bytes, const struct tarn_message *message)
{
	bool lossless = subscribers[me]->how == LOSSLESS;

	SCHED_CHECK(message->size == size, "P%d: %d bytes", me, (int)message->size);
	for (size_t i = 0; i < size; i += 31)
		SCHED_CHECK(bytes[i] == (unsigned char)message->number, "P%d: message %d is torn",
			    me, (int)message->number);
	SCHED_CHECK(!lossless || message->missed == 0, "P%d missed %d", me, (int)message->missed);
	if (me != 0)
		return;
	SCHED_CHECK(message->number == ghost.taken + 1 + message->missed,
		    "number %d after %d, and %d missed", (int)message->number, (int)ghost.taken,
		    (int)message->missed);
	ghost.taken = message->number;
}

/* False: there is none. */
static bool take_one(int me)
{
	unsigned char bytes[LARGE];
	struct tarn_message message;
	uint64_t least = ghost.published;
	int r = tarn_subscriber_take(subscribers[me], bytes, sizeof(bytes), &message);

	bool lossless = subscribers[me]->how == LOSSLESS;

	/* What a dead publisher was about to write over is gone, too. */
	SCHED_CHECK(r == 0 || (r == -EAGAIN && (!lossless || ghost.taken >= least)),
		    "P%d: take: %s, with %d of %d", me, strerror(-r), (int)ghost.taken, (int)least);
	if (r == 0)
		check_message(me, bytes, &message);
	return r == 0;
}

/* Up to three. */
static void take_batch(int me)
{
	struct tarn_message messages[3];
	unsigned char bytes[3][LARGE];
	uint64_t least = ghost.published;
	size_t count = 0;
	int r = tarn_subscriber_take_batch(subscribers[me], bytes, sizeof(bytes), messages, 3,
					   &count);

	SCHED_CHECK(r == 0 || (r == -EAGAIN && ghost.taken >= least), "P%d: take_batch: %s", me,
		    strerror(-r));
	for (size_t i = 0; i < count; i++)
		check_message(me, messages[i].data, &messages[i]);
}

static void hold_one(int me)
{
	unsigned char first[LARGE];
	struct tarn_message message;
	int r = tarn_subscriber_hold(subscribers[me], &message);

	SCHED_CHECK(r == 0 || r == -EAGAIN, "P%d: hold: %s", me, strerror(-r));
	if (r < 0)
		return;
	memcpy(first, message.data, size);
	check_message(me, first, &message);
	memcpy(first, message.data, size);
	for (size_t i = 0; i < size; i += 31)
		SCHED_CHECK(first[i] == (unsigned char)message.number, "P%d holds what changes",
			    me);
	r = tarn_subscriber_release(subscribers[me], &message);
	SCHED_CHECK(r == 0, "P%d: release: %s", me, strerror(-r));
}

/* P0 takes twice, P1 publishes three times. */
static void take_and_publish(int me)
{
	for (int i = 0; i < (me == 0 ? 2 : 3); i++) {
		if (me == 0)
			(void)take_one(me);
		else
			publish_one(0);
	}
}

/* The last of them goes where the second of the batch is. */
static void take_batch_and_publish(int me)
{
	if (me == 0) {
		take_batch(me);
		return;
	}
	for (int i = 0; i < 4; i++)
		publish_one(0);
}

static void hold_and_publish(int me)
{
	for (int i = 0; i < 2; i++) {
		if (me == 0)
			hold_one(me);
		else
			publish_one(0);
	}
}

/* P0 has all, and waits for one more. */
static void wait_and_publish(int me)
{
	int64_t until = sched_now() + LONG_NS;
	unsigned char bytes[LARGE];
	struct tarn_message message;
	int r;

	if (me != 0) {
		publish_one(0);
		return;
	}
	sched_deadline(until);
	r = tarn_subscriber_take_wait(subscribers[0], bytes, sizeof(bytes), until, &message);
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || (r == -ETIMEDOUT && anybody_dead()), "take_wait: %s", strerror(-r));
	if (r == 0)
		check_message(0, bytes, &message);
}

/* The lane is full. P0 takes one, P1 waits for room. */
static void take_and_wait(int me)
{
	if (me == 0)
		(void)take_one(me);
	else /* if P0 dies it is in nobody's way */
		publish_one(TARN_FOREVER);
}

/* --- set up and judge ---------------------------------------------------------------------- */

static void subscribe(int p, uint32_t flags)
{
	const struct tarn_topic_opts opts = { .flags = flags, .history = UINT32_MAX };
	struct tarn_message message;
	struct reader *reader;

	sched_as(p);
	must(tarn_subscriber_open(sched_region(p), "news", &opts, &subscribers[p]));
	/* what it allocates at its first hold */
	must(tarn_subscriber_hold(subscribers[p], &message));
	must(tarn_subscriber_release(subscribers[p], &message));
	reader = subscribers[p]->readers;
	keep(subscribers[p]);
	sched_private(subscribers[p], sizeof(*subscribers[p]));
	sched_private(reader, sizeof(*reader));
	sched_private(reader->held, reader->held_room * sizeof(*reader->held));
}

/* @before messages are there, of which P0 has taken all but @left. */
static void open_all(size_t bytes, uint64_t before, uint64_t left, uint32_t flags)
{
	const struct tarn_topic_opts opts = { .lane_size = 4096, .flags = TARN_TOPIC_NO_TIME };
	struct lane_shm *shm;

	size = bytes;
	memset(&ghost, 0, sizeof(ghost));
	sched_as(1);
	must(tarn_publisher_open(sched_region(1), "news", &opts, &publisher));
	publish_one(0);
	subscribe(0, flags);
	ghost.taken = 1;
	while (ghost.published < before) {
		sched_as(1);
		publish_one(0);
		sched_as(0);
		while (ghost.published - ghost.taken > left)
			(void)take_one(0);
	}
	subscribe(SCHED_PROCS, TARN_TOPIC_LOSSY);
	sched_as(1);
	keep(publisher);
	sched_private(publisher, sizeof(*publisher));
	sched_as(SCHED_PROCS);
	show(subscribers[SCHED_PROCS]);
	shm = subscribers[SCHED_PROCS]->readers[0].lane.shm;
	sched_hot("lane", shm, offsetof(struct lane_shm, lows[2]));
	sched_hot("messages", shm->messages, 4096);
	sched_hot("comings", &subscribers[SCHED_PROCS]->topic.shm->comings, 64);
	sched_ghost(&ghost, sizeof(ghost));
}

static void full_lossless(void)
{
	open_all(LARGE, 3, 2, 0);
}

static void full_lossy(void)
{
	open_all(LARGE, 6, 5, TARN_TOPIC_LOSSY); /* the next one goes where P0 reads */
}

static void small_lossy(void)
{
	open_all(SMALL, 26, 24, TARN_TOPIC_LOSSY);
}

static void all_taken(void)
{
	open_all(SMALL, 2, 0, 0);
}

static void close_all(void)
{
	sched_as(1);
	tarn_publisher_close(publisher);
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_subscriber_close(subscribers[p]);
	}
	memset(subscribers, 0, sizeof(subscribers));
	publisher = NULL;
}

/* What is there now is whole; whoever has not died has it all, and who has is in nobody's way. */
static void verify(void)
{
	check_region();
	while (take_one(SCHED_PROCS))
		;
	if (!sched_dead(0)) {
		sched_as(0);
		while (take_one(0))
			;
		sched_as(SCHED_PROCS);
	}
}

#define JUDGED .verify = verify, .cleanup = close_all

const struct sched_scenario sched_topics[] = {
	{ "topic-take", "a lossless one takes twice, one publishes three times", .procs = 2,
	  .size = ROOM, .setup = full_lossless, .body = take_and_publish, .quick = { 2, 1 },
	  .full = { { 3, 2 } }, JUDGED },
	{ "topic-lossy", "a lossy one copies twice, one publishes three times", .procs = 2,
	  .size = ROOM, .setup = small_lossy, .body = take_and_publish, .quick = { 2, 1 },
	  .full = { { 3, 2 } }, JUDGED },
	{ "topic-batch", "a lossy one takes up to three at once, one publishes four times",
	  .procs = 2, .size = ROOM, .setup = small_lossy, .body = take_batch_and_publish,
	  .quick = { 2, 1 }, .full = { { 3, 2 } }, JUDGED },
	{ "topic-hold", "a lossy one holds twice, one publishes twice", .procs = 2, .size = ROOM,
	  .setup = full_lossy, .body = hold_and_publish, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  JUDGED },
	{ "topic-wait", "one waits for a message, one publishes it", .procs = 2, .size = ROOM,
	  .setup = all_taken, .body = wait_and_publish, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  JUDGED },
	{ "topic-room", "one waits for room, one takes", .procs = 2, .size = ROOM,
	  .setup = full_lossless, .body = take_and_wait, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  JUDGED },
	{ 0 },
};
