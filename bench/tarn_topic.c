/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_topic.c - topics, by their public calls alone: one a channel, but for a fan-out, where all
 * subscribe to one. Lanes are small where messages go there and back, so that what they touch stays
 * near both processors. Messages have no time stamp, but for `topic-timed`. Those of `topic-apart`
 * are between peers that need not trust each other: no region, but a directory of sockets, which
 * the tool removes when the team is gone.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tarn/topic.h>

#include "contestants.h"
#include "tarn_region.h"

enum { SMALL = 16 << 10, USUAL = 4 << 20, BURST = 32, BESIDE = 64 << 10 };

static struct tarn_publisher *publishers[BENCH_SIDES_MAX]; /* by channel */
static struct tarn_subscriber *subscribers[BENCH_SIDES_MAX];

/* One topic has all subscribers of a fan-out. */
static bool shared(const struct bench *b)
{
	return b->cell->measure == BENCH_FAN_OUT;
}

static uint64_t lane_of(const struct bench *b)
{
	uint64_t size = b->cell->measure == BENCH_ROUND_TRIP ? SMALL : USUAL;

	while (size < 4 * ((uint64_t)b->cell->size + 64))
		size *= 2;
	return size;
}

static unsigned topics(const struct bench *b)
{
	return shared(b) ? 1 : bench_channels(b);
}

static void topic_open(struct bench *b)
{
	tarn_region_make(b, topics(b) * (lane_of(b) + BESIDE));
}

/* @region, or the directory of @opts. */
static void attach_to(struct bench *b, struct tarn_region *region,
		      const struct tarn_topic_opts *opts, uint32_t subscriber_flags)
{
	struct tarn_topic_opts subscriber_opts = *opts;
	uint32_t count = shared(b) ? b->sides - 1 : 1;

	subscriber_opts.flags = subscriber_flags;
	for (unsigned i = 0; i < bench_channels(b); i++) {
		char name[16];

		snprintf(name, sizeof(name), "topic%u", shared(b) ? 0 : i);
		if (bench_receives(b, i))
			tarn_must(b, "tarn_subscriber_open",
				  tarn_subscriber_open(region, name, &subscriber_opts,
						       &subscribers[i]));
		if (bench_sends(b, i) && (i == 0 || !shared(b)))
			tarn_must(b, "tarn_publisher_open",
				  tarn_publisher_open(region, name, opts, &publishers[i]));
	}
	for (unsigned i = 0; i < bench_channels(b); i++)
		if (publishers[i] != NULL)
			tarn_must(b, "tarn_publisher_wait_subscribers",
				  tarn_publisher_wait_subscribers(publishers[i], count,
								  TARN_FOREVER));
}

static void attach(struct bench *b, uint32_t publisher_flags, uint32_t subscriber_flags)
{
	const struct tarn_topic_opts opts = { .lane_size = lane_of(b), .flags = publisher_flags };

	attach_to(b, tarn_region_join(b), &opts, subscriber_flags);
}

static void topic_attach(struct bench *b)
{
	attach(b, TARN_TOPIC_NO_TIME, 0);
}

static void close_all(struct bench *b)
{
	(void)b;
	for (unsigned i = 0; i < BENCH_SIDES_MAX; i++) {
		tarn_publisher_close(publishers[i]);
		tarn_subscriber_close(subscribers[i]);
	}
}

static void topic_detach(struct bench *b)
{
	close_all(b);
	tarn_region_leave();
}

/* --- between peers that need not trust each other --------------------------------------------- */

static void apart_open(struct bench *b)
{
	char dir[sizeof(b->shm->keep)];
	const char *tmp = getenv("TMPDIR");
	int length = snprintf(dir, sizeof(dir), "%s/tarn-bench-XXXXXX",
			      tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");

	if (length < 0 || (size_t)length >= sizeof(dir))
		bench_fail(b, "the name of the directory for temporary files (TMPDIR)",
			   ENAMETOOLONG);
	if (mkdtemp(dir) == NULL)
		bench_fail(b, "mkdtemp", errno);
	memcpy(b->shm->keep, dir, sizeof(dir));
}

/* A subscriber may hold its publisher up for ever, as in a region: none is to miss any. */
static void apart_attach(struct bench *b)
{
	const struct tarn_topic_opts opts = {
		.lane_size = lane_of(b),
		.flags = TARN_TOPIC_NO_TIME,
		.socket_dir = (const char *)b->shm->keep,
		.patience_ns = TARN_FOREVER,
	};

	attach_to(b, NULL, &opts, 0);
}

/* The sockets of who was killed are there still. */
static void apart_clean(struct bench *b)
{
	const char *dir = (const char *)b->shm->keep;
	DIR *names = dir[0] != '\0' ? opendir(dir) : NULL;

	if (names == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(names)) != NULL;)
		(void)unlinkat(dirfd(names), entry->d_name, 0);
	closedir(names);
	(void)rmdir(dir);
}

/* Of a fan-out one publication is for all. */
BENCH_INLINE bool is_sent(const struct bench *b, unsigned channel)
{
	return channel != 0 && b->cell->measure == BENCH_FAN_OUT;
}

/* --- copying ---------------------------------------------------------------------------------- */

BENCH_INLINE void publish(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const void *message;
	int r;

	if (is_sent(b, channel))
		return;
	message = bench_message(b, size, number);
	while ((r = tarn_publisher_publish(publishers[channel], message, size)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_publisher_publish", r);
}

BENCH_INLINE void check(struct bench *b, const void *data, size_t size, size_t got, uint64_t number)
{
	if (__builtin_expect(got != size, 0))
		bench_fail(b, "a message of another size", EBADMSG);
	bench_check(b, data, size, number);
}

BENCH_INLINE void take_as(struct bench *b, unsigned channel, size_t size, uint64_t number,
			  struct tarn_message *message)
{
	void *to = bench_sink(b, size, number);
	int r;

	while ((r = tarn_subscriber_take(subscribers[channel], to, size, message)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_subscriber_take", r);
	check(b, to, size, message->size, number);
}

BENCH_INLINE void take(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	take_as(b, channel, size, number, &message);
}

BENCH_LOOPS(busy_run, publish, take)

BENCH_INLINE void publish_wait(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	if (!is_sent(b, channel))
		tarn_must(b, "tarn_publisher_publish_wait",
			  tarn_publisher_publish_wait(publishers[channel],
						      bench_message(b, size, number), size,
						      TARN_FOREVER));
}

BENCH_INLINE void take_wait_as(struct bench *b, unsigned channel, size_t size, uint64_t number,
			       struct tarn_message *message)
{
	void *to = bench_sink(b, size, number);

	tarn_must(b, "tarn_subscriber_take_wait",
		  tarn_subscriber_take_wait(subscribers[channel], to, size, TARN_FOREVER, message));
	check(b, to, size, message->size, number);
}

BENCH_INLINE void take_wait(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	take_wait_as(b, channel, size, number, &message);
}

BENCH_LOOPS(blocking_run, publish_wait, take_wait)

/* --- in place --------------------------------------------------------------------------------- */

BENCH_INLINE void *loan(struct bench *b, unsigned channel, size_t size)
{
	void *data;
	int r;

	while ((r = tarn_publisher_loan(publishers[channel], size, &data)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_publisher_loan", r);
	return data;
}

BENCH_INLINE void hold(struct bench *b, unsigned channel, size_t size, struct tarn_message *message)
{
	int r;

	while ((r = tarn_subscriber_hold(subscribers[channel], message)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_subscriber_hold", r);
	if (__builtin_expect(message->size != size, 0))
		bench_fail(b, "a message of another size", EBADMSG);
}

BENCH_INLINE void fill_commit(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	if (is_sent(b, channel))
		return;
	bench_fill(b, loan(b, channel, size), size, number);
	tarn_must(b, "tarn_publisher_commit", tarn_publisher_commit(publishers[channel], size));
}

BENCH_INLINE void check_release(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	hold(b, channel, size, &message);
	bench_check(b, message.data, size, number);
	tarn_must(b, "tarn_subscriber_release",
		  tarn_subscriber_release(subscribers[channel], &message));
}

BENCH_LOOPS(in_place_run, fill_commit, check_release)

BENCH_INLINE void mark_commit(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_mark(loan(b, channel, size), size, number);
	tarn_must(b, "tarn_publisher_commit", tarn_publisher_commit(publishers[channel], size));
}

BENCH_INLINE void look_release(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	hold(b, channel, size, &message);
	bench_check_mark(b, message.data, size, number);
	tarn_must(b, "tarn_subscriber_release",
		  tarn_subscriber_release(subscribers[channel], &message));
}

BENCH_LOOPS(zero_copy_run, mark_commit, look_release)

/* --- batches ---------------------------------------------------------------------------------- */

BENCH_INLINE uint64_t publish_many(struct bench *b, unsigned channel, size_t size, uint64_t number,
				   uint64_t count)
{
	struct tarn_buf bufs[BENCH_MANY];
	size_t want = count < BENCH_MANY ? count : BENCH_MANY, done;
	int r;

	if (is_sent(b, channel))
		return count;
	for (size_t k = 0; k < want; k++)
		bufs[k] = (struct tarn_buf){ bench_message_of_batch(b, size, number + k), size };
	while ((r = tarn_publisher_publish_batch(publishers[channel], bufs, want, &done)) ==
	       -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_publisher_publish_batch", r);
	return done;
}

BENCH_INLINE uint64_t take_many(struct bench *b, unsigned channel, size_t size, uint64_t number,
				uint64_t count)
{
	static _Alignas(64) unsigned char room[64 << 10]; /* of one of the largest */
	struct tarn_message messages[BENCH_MANY];
	size_t want = count < BENCH_MANY ? count : BENCH_MANY, done;
	int r;

	while ((r = tarn_subscriber_take_batch(subscribers[channel], room, sizeof(room), messages,
					       want, &done)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_subscriber_take_batch", r);
	for (size_t k = 0; k < done; k++)
		check(b, messages[k].data, size, messages[k].size, number + k);
	return done;
}

BENCH_BATCH_LOOPS(batch_run, publish_many, take_many)

/* --- with the time ---------------------------------------------------------------------------- */

static int64_t last_time;

static void timed_attach(struct bench *b)
{
	attach(b, 0, 0);
}

/* The stamps of one publisher are in order. */
BENCH_INLINE void check_time(struct bench *b, const struct tarn_message *message)
{
	if (__builtin_expect(message->time_ns <= 0 || message->time_ns < last_time, 0))
		bench_fail(b, "a message has no time, or one before that of the last", EBADMSG);
	last_time = message->time_ns;
}

BENCH_INLINE void take_timed(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	take_as(b, channel, size, number, &message);
	check_time(b, &message);
}

BENCH_INLINE void take_timed_wait(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	take_wait_as(b, channel, size, number, &message);
	check_time(b, &message);
}

BENCH_LOOPS(timed_run, publish, take_timed)
BENCH_LOOPS(timed_wait_run, publish_wait, take_timed_wait)

/* --- lossy ------------------------------------------------------------------------------------ *
 *
 * There and back nothing is missed, nor may be said to be. One way the publisher goes on whatever
 * the subscriber does: counted is what that one takes, and each message says how many were missed
 * before it, so that numbers taken and missed must be all that there were, and no other ones.
 */

static void lossy_attach(struct bench *b)
{
	attach(b, TARN_TOPIC_NO_TIME, TARN_TOPIC_LOSSY);
}

static void newest_attach(struct bench *b)
{
	attach(b, TARN_TOPIC_NO_TIME, TARN_TOPIC_LATEST);
}

BENCH_INLINE void check_missed(struct bench *b, const struct tarn_message *message, uint64_t number)
{
	if (__builtin_expect(message->missed != 0 || message->number != number + 1, 0))
		bench_fail(b, "a message was missed where each is waited for", EBADMSG);
	tarn_had(b, number);
}

BENCH_INLINE void publish_in_turn(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	tarn_await_turn(b, number);
	publish(b, channel, size, number);
}

BENCH_INLINE void take_each(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	take_as(b, channel, size, number, &message);
	check_missed(b, &message, number);
}

BENCH_INLINE void take_each_wait(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_message message;

	take_wait_as(b, channel, size, number, &message);
	check_missed(b, &message, number);
}

/* Whatever comes next, after number @last; messages have numbers from 1. */
BENCH_INLINE uint64_t take_any(struct bench *b, size_t size, uint64_t last, uint64_t *missed)
{
	struct tarn_message message;
	void *to = bench_sink(b, size, 0);

	if (bench_blocks(b)) {
		tarn_must(b, "tarn_subscriber_take_wait",
			  tarn_subscriber_take_wait(subscribers[0], to, size, TARN_FOREVER,
						    &message));
	} else {
		int r;

		while ((r = tarn_subscriber_take(subscribers[0], to, size, &message)) == -EAGAIN)
			bench_pause(b);
		tarn_must(b, "tarn_subscriber_take", r);
	}
	if (__builtin_expect(message.number != last + 1 + message.missed, 0))
		bench_fail(b, "missed are others than those that did not come", EBADMSG);
	check(b, to, size, message.size, message.number - 1);
	*missed += message.missed;
	return message.number;
}

/* The library's sums must be those of what came and what did not. */
static void check_sums(struct bench *b, uint64_t taken, uint64_t missed)
{
	struct tarn_subscriber_stat stat;

	tarn_must(b, "tarn_subscriber_stat", tarn_subscriber_stat(subscribers[0], &stat));
	if (stat.taken != taken || stat.missed != missed || taken + missed != b->warm + b->count)
		bench_fail(b, "taken and missed are not what was sent", EBADMSG);
}

/* The clock starts with the message that was taken last of the warming up. */
BENCH_INLINE void lossy_one_way(struct bench *b, size_t size)
{
	uint64_t all = b->warm + b->count, last = 0, taken = 0, missed = 0, from, early;

	if (b->side == 0) {
		for (uint64_t i = 0; i < all; i++)
			publish(b, 0, size, i);
		return;
	}
	do {
		from = last;
		b->shm->t_start[1] = bench_ticks();
		last = take_any(b, size, last, &missed);
		early = taken++;
	} while (last <= b->warm);
	for (; last < all; taken++)
		last = take_any(b, size, last, &missed);
	b->shm->t_end[1] = bench_ticks();
	check_sums(b, taken, missed);
	b->shm->count = taken - early;
	b->shm->sent = all - from;
}

BENCH_LOOPS(lossy_each_run, publish_in_turn, take_each)
BENCH_LOOPS(lossy_each_wait_run, publish_in_turn, take_each_wait)

static __attribute__((noinline)) void lossy_run(struct bench *b)
{
	if (b->cell->measure != BENCH_ONE_WAY)
		(bench_blocks(b) ? lossy_each_wait_run : lossy_each_run)(b);
	else if (b->cell->size == 8)
		lossy_one_way(b, 8);
	else if (b->cell->size == 64)
		lossy_one_way(b, 64);
	else
		lossy_one_way(b, b->cell->size);
}

/* --- rows ------------------------------------------------------------------------------------- */

#define STILL                                                                                      \
	(BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_ONE_WAY) | BENCH_BIT(BENCH_FAN_OUT) |       \
	 BENCH_BIT(BENCH_WRITE))

static const struct bench_variant topic_variants[] = {
	{ BENCH_BUSY, BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP), 0, BENCH_SIZE_MAX,
	  busy_run },
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, BENCH_SIZE_MAX, blocking_run },
	{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 0, 65536, batch_run },
	{ BENCH_IN_PLACE, STILL, 0, BENCH_SIZE_MAX, in_place_run },
	{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, BENCH_SIZE_MAX, zero_copy_run },
	{ 0 },
};

#define TRIPS  (BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_ONE_WAY) | BENCH_FULL_RUN)
#define SLEEPS (TRIPS | BENCH_BIT(BENCH_WAKE_UP))
#define ALONE  BENCH_BIT(BENCH_WRITE)

static const struct bench_variant timed_variants[] = {
	{ BENCH_BUSY, TRIPS | ALONE, 0, BENCH_SIZE_MAX, timed_run },
	{ BENCH_BLOCKING, SLEEPS | ALONE, 0, BENCH_SIZE_MAX, timed_wait_run },
	{ 0 },
};

static const struct bench_variant lossy_variants[] = {
	{ BENCH_BUSY, TRIPS, 0, BENCH_SIZE_MAX, lossy_run },
	{ BENCH_BLOCKING, SLEEPS, 0, BENCH_SIZE_MAX, lossy_run },
	{ 0 },
};

#define FULL(measures) ((measures) | BENCH_FULL_RUN)

static const struct bench_variant apart_variants[] = {
	{ BENCH_BUSY, FULL(BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP)), 0, BENCH_SIZE_MAX,
	  busy_run },
	{ BENCH_BLOCKING, FULL(BENCH_ALL_OF_MESSAGES), 0, BENCH_SIZE_MAX, blocking_run },
	{ BENCH_BATCH, FULL(BENCH_ALL_OF_BATCHES), 0, 65536, batch_run },
	{ BENCH_IN_PLACE, FULL(STILL), 0, BENCH_SIZE_MAX, in_place_run },
	{ BENCH_ZERO_COPY, FULL(BENCH_BIT(BENCH_ROUND_TRIP)), 16, BENCH_SIZE_MAX, zero_copy_run },
	{ 0 },
};

#define CONTESTANT(symbol, say, explain, list, of)                                                 \
	const struct bench_contestant symbol = {                                                   \
		.name = say,                                                                       \
		.group = BENCH_TARN,                                                               \
		.what = explain,                                                                   \
		.variants = list##_variants,                                                       \
		.open = topic_open,                                                                \
		.attach = of##_attach,                                                             \
		.detach = topic_detach,                                                            \
		.pages = TARN_REGION_PAGES,                                                        \
		.burst = BURST,                                                                    \
	};

CONTESTANT(bench_tarn_topic, "topic",
	   "a topic: copying, in place, in batches, polled or slept for (tarn/topic.h)", topic,
	   topic)
CONTESTANT(bench_tarn_topic_timed, "topic-timed",
	   "a topic whose messages say when they were published, as they do if not told otherwise",
	   timed, timed)
CONTESTANT(bench_tarn_topic_lossy, "topic-lossy",
	   "a topic with a lossy subscriber; one-way: what it takes, beside what it misses", lossy,
	   lossy)
CONTESTANT(bench_tarn_topic_newest, "topic-newest",
	   "a topic whose subscriber takes the newest message alone (TARN_TOPIC_LATEST)", lossy,
	   newest)

const struct bench_contestant bench_tarn_topic_apart = {
	.name = "topic-apart",
	.group = BENCH_TARN,
	.what = "a topic between peers that need not trust each other (socket_dir)",
	.variants = apart_variants,
	.open = apart_open,
	.attach = apart_attach,
	.detach = close_all,
	.clean = apart_clean,
	.burst = BURST,
};
