/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.c - two sides of a structure, step by step in one process, for the cache lines that move
 * between them to be counted: see dev/lines.
 *
 *     bench-lines    prints where the shared memory is and which words say whose step begins, then
 *                    NAME, a tab, what it is, a tab, messages counted, for each
 *
 * Run under valgrind's lackey, which prints each load and store. A store to said[SENDER] or
 * said[RECEIVER] says that what follows is done by that side, to said[NOBODY] that nobody's is
 * counted, and to said[COUNT] that a lap begins: laps have the order of what is printed. So
 * the sides have one mapping; which processor an access is made by is known all the same.
 *
 * Where that is stands first, and nothing is done until a line of input says that it was read.
 *
 * `waits`: the receiver looks, and finds nothing, before each message is sent. `stream`: 64 are
 * sent, then 64 received. A lap goes before, so that whatever is used again was used by both.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

enum { MESSAGES = 1024, STREAM = 64, LANE = 16 << 10, REGION = 1 << 20 };
enum { LAPS = 2 };
enum { NOBODY, SENDER, RECEIVER, COUNT, SAID };

static _Atomic uint64_t said[SAID];
static unsigned char mine[64 * STREAM], theirs[4096];
static struct tarn_ring *producer, *consumer;
static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_latest *written, *seen;
/* A queue of numbers by two indices, which tell that lines are counted as they are known to move:
 * each on a line of its own, or both on one. */
static uint64_t *by_hand, *head, *tail;

static int must(const char *what, int r)
{
	if (r >= 0)
		return r;
	fprintf(stderr, "bench-lines: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* One store, which the compiler keeps between what is before it and what is behind. */
static void say(unsigned what)
{
	atomic_signal_fence(memory_order_seq_cst);
	/* relaxed: nobody reads it but who looks at the trace */
	atomic_store_explicit(&said[what], 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void push(size_t size)
{
	must("push", tarn_ring_push(producer, mine, size));
}

static int pop(size_t size)
{
	return tarn_ring_pop(consumer, theirs, sizeof(theirs), &size);
}

static void push_many(size_t size)
{
	struct tarn_buf bufs[STREAM];
	size_t done;

	for (size_t i = 0; i < STREAM; i++)
		bufs[i] = (struct tarn_buf){ mine + i * size, size };
	must("push", tarn_ring_push_batch(producer, bufs, STREAM, &done));
	must("push", done == STREAM ? 0 : -EIO);
}

static int pop_many(size_t size)
{
	struct tarn_buf bufs[STREAM];
	size_t done;
	int r = tarn_ring_peek_batch(consumer, bufs, STREAM, &done);

	if (r < 0)
		return r;
	must("pop", done == STREAM ? 0 : -EIO);
	for (size_t i = 0; i < done; i++)
		memcpy(theirs, bufs[i].data, size);
	return tarn_ring_release(consumer, done);
}

static void publish(size_t size)
{
	must("publish", tarn_publisher_publish(publisher, mine, size));
}

static int take(size_t size)
{
	struct tarn_message message;

	(void)size;
	return tarn_subscriber_take(subscriber, theirs, sizeof(theirs), &message);
}

/* In place, the first and the last word alone. */
static void mark(void *data, size_t size)
{
	memcpy(data, mine, sizeof(uint64_t));
	memcpy((unsigned char *)data + size - sizeof(uint64_t), mine, sizeof(uint64_t));
}

static void look_at(const void *data, size_t size)
{
	memcpy(theirs, data, sizeof(uint64_t));
	memcpy(theirs, (const unsigned char *)data + size - sizeof(uint64_t), sizeof(uint64_t));
}

static void reserve(size_t size)
{
	void *data;

	must("reserve", tarn_ring_reserve(producer, size, &data));
	mark(data, size);
	must("commit", tarn_ring_commit(producer, size));
}

static int peek(size_t size)
{
	const void *data;
	int r = tarn_ring_peek(consumer, &data, &size);

	if (r < 0)
		return r;
	look_at(data, size);
	return tarn_ring_release(consumer, 1);
}

static void loan(size_t size)
{
	void *data;

	must("loan", tarn_publisher_loan(publisher, size, &data));
	mark(data, size);
	must("commit", tarn_publisher_commit(publisher, size));
}

static int hold(size_t size)
{
	struct tarn_message message;
	int r = tarn_subscriber_hold(subscriber, &message);

	if (r < 0)
		return r;
	look_at(message.data, size);
	return tarn_subscriber_release(subscriber, &message);
}

static void publish_many(size_t size)
{
	struct tarn_buf bufs[STREAM];
	size_t done;

	for (size_t i = 0; i < STREAM; i++)
		bufs[i] = (struct tarn_buf){ mine + i * size, size };
	for (size_t all = 0; all < STREAM; all += done) /* none goes past the end of the lane */
		must("publish",
		     tarn_publisher_publish_batch(publisher, bufs + all, STREAM - all, &done));
}

static int take_many(size_t size)
{
	struct tarn_message messages[STREAM];
	size_t done;
	int r = tarn_subscriber_take_batch(subscriber, theirs, STREAM * size, messages, STREAM,
					   &done);

	return r == 0 && done != STREAM ? -EIO : r;
}

static void write_value(size_t size)
{
	must("write", tarn_latest_write(written, mine, size, TARN_FOREVER, NULL));
}

static uint64_t last;

static int read_value(size_t size)
{
	if (tarn_latest_number(seen) == last)
		return -EAGAIN;
	return tarn_latest_read(seen, theirs, sizeof(theirs), &size, &last);
}

static void put(size_t size)
{
	uint64_t at = *tail;

	(void)size;
	by_hand[16 + at % 1024] = at;
	__atomic_store_n(tail, at + 1, __ATOMIC_RELEASE);
}

static int get(size_t size)
{
	uint64_t at = *head;

	(void)size;
	if (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == at)
		return -EAGAIN;
	must("the queue by hand", by_hand[16 + at % 1024] == at ? 0 : -EIO);
	__atomic_store_n(head, at + 1, __ATOMIC_RELEASE);
	return 0;
}

/* --- counts ----------------------------------------------------------------------------------- */

typedef void send_fn(size_t size);
typedef int receive_fn(size_t size);

/* @each messages a step, @steps of them one after another before the other side's turn. */
static void turns(send_fn *send, receive_fn *receive, size_t size, unsigned steps, unsigned each,
		  bool waits)
{
	for (unsigned i = 0; i < MESSAGES; i += steps * each) {
		if (waits) {
			say(RECEIVER);
			must("there is nothing", receive(size) == -EAGAIN ? 0 : -EIO);
		}
		say(SENDER);
		for (unsigned k = 0; k < steps; k++)
			send(size);
		say(RECEIVER);
		for (unsigned k = 0; k < steps; k++)
			must("receive", receive(size));
	}
}

static void count(const char *name, const char *what, send_fn *send, receive_fn *receive,
		  size_t size, unsigned steps, unsigned each)
{
	for (int lap = 0; lap < LAPS; lap++) {
		say(COUNT); /* the last lap is what counts */
		turns(send, receive, size, steps, each, steps * each == 1);
	}
	say(NOBODY);
	printf("%s\t%s\t%d\n", name, what, MESSAGES);
}

static void open_all(struct tarn_region *region)
{
	const struct tarn_topic_opts topic_opts = { .lane_size = LANE,
						    .flags = TARN_TOPIC_NO_TIME };
	const struct tarn_topic_opts subscriber_opts = { 0 };
	const struct tarn_latest_opts latest_opts = { .size = 64 };
	void *data;

	must("ring", tarn_ring_open(region, "ring", TARN_RING_PRODUCER,
				    &(struct tarn_ring_opts){ .capacity = LANE }, &producer));
	must("ring", tarn_ring_open(region, "ring", TARN_RING_CONSUMER, NULL, &consumer));
	must("publisher", tarn_publisher_open(region, "topic", &topic_opts, &publisher));
	must("subscriber", tarn_subscriber_open(region, "topic", &subscriber_opts, &subscriber));
	must("latest", tarn_latest_open(region, "latest", &latest_opts, &written));
	must("latest", tarn_latest_open(region, "latest", &latest_opts, &seen));
	must("object", tarn_object_create(region, "hand", (16 + 1024) * 8, &data, NULL));
	by_hand = data;
}

int main(void)
{
	const struct tarn_region_opts opts = { .size = REGION };
	struct tarn_region *region;
	const struct tarn_segment *segment;

	must("region", tarn_region_create("anon:", &opts, &region));
	open_all(region);
	segment = tarn_region_segment(region);
	printf("shared\t%p\t%zu\n", tarn_segment_data(segment), (size_t)tarn_segment_size(segment));
	printf("said\t%p\n", (void *)said);
	fflush(stdout);
	(void)getchar();
	head = by_hand;
	tail = by_hand + 8;
	count("apart", "by hand: two indices on two lines, 8 B", put, get, 8, 1, 1);
	*head = *tail = 0;
	tail = by_hand + 1;
	*tail = 0;
	count("together", "by hand: two indices on one line, 8 B", put, get, 8, 1, 1);
	count("ring_8", "ring: 8 B, the other side waits", push, pop, 8, 1, 1);
	count("ring_8_stream", "ring: 8 B, 64 one by one", push, pop, 8, STREAM, 1);
	count("ring_8_batch", "ring: 8 B, a batch of 64", push_many, pop_many, 8, 1, STREAM);
	count("ring_64", "ring: 64 B, the other side waits", push, pop, 64, 1, 1);
	count("ring_64_stream", "ring: 64 B, 64 one by one", push, pop, 64, STREAM, 1);
	count("ring_64_batch", "ring: 64 B, a batch of 64", push_many, pop_many, 64, 1, STREAM);
	count("ring_in_place", "ring: 2 KiB in place, the other side waits", reserve, peek, 2048, 1,
	      1);
	count("topic_64", "topic: 64 B, the other side waits", publish, take, 64, 1, 1);
	count("topic_64_stream", "topic: 64 B, 64 one by one", publish, take, 64, STREAM, 1);
	count("topic_64_batch", "topic: 64 B, a batch of 64", publish_many, take_many, 64, 1,
	      STREAM);
	count("topic_in_place", "topic: 2 KiB in place, the other side waits", loan, hold, 2048, 1,
	      1);
	count("latest_64", "latest value: 64 B, the other side waits", write_value, read_value, 64,
	      1, 1);
	return 0;
}
