/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A topic in a storm: four processes publish, eight subscribe, each in its own way; any of them is
 * killed at random, and every message is accounted for.
 *
 *   publisher    by copies, loans and batches; grows now and then; says in its ledger what it
 *                begins, and what is done
 *   subscriber   0 lossless and copying, 1 in batches; 2 lossless, several held in place, let go
 *                of in any order; 3 lossless, by a waiter; 4 lossy and copying, 5 in batches; 6
 *                lossy, in place; 7 of the newest alone
 *
 * What is taken is whole. Of each lane the number that comes is the last one, and what was missed,
 * and one; nothing is missed by who is lossless; what one publisher publishes comes in that order,
 * also if it grows meanwhile. At the end, when no publisher is left, each
 * subscriber takes what there is, and so knows the number of the last message of each lane; who
 * comes afterwards, and asks for history, finds the same. All these numbers together are the
 * messages that were ever there: no fewer than were done, and no more than were begun, since what a
 * victim had begun may be there or not.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <tarn/waiter.h>

#include "crowd.h"

enum {
	PUBLISHERS = 4,
	SUBSCRIBERS = 8,
	LANES = TARN_TOPIC_PUBLISHERS_MAX,
	LANE_SIZE = 65536,
	LANE_MAX = 524288,
	PARCEL_MAX = 1600,
	BATCH = 3,
	HELD = 4,
	PATIENCE_S = 30,
};

enum mutant { NO_MUTANT, LOST, TORN, LET_GO, PASSED_OVER };
static const char *const mutant_names[] = { "none", "lost", "torn", "let-go", "passed-over", NULL };

struct parcel {
	uint32_t publisher;
	uint32_t size;
	uint64_t life;  /* of all publishers that there were; in one of them counts rise */
	uint64_t count; /* what its ledger says that it had begun */
	unsigned char filling[PARCEL_MAX];
};

/* Outside of the region. */
static struct board {
	_Atomic uint32_t left;  /* publishers that have left */
	_Atomic uint64_t lives; /* publishers that there were, one after the other */
	_Atomic uint64_t ends[SUBSCRIBERS][LANES];
} * board;

static struct tarn_region *region;
static struct tarn_publisher *publisher;
static struct tarn_subscriber *subscriber;
static struct tarn_waiter *waiter;
static uint64_t last[LANES]; /* number of the last message of each lane; 0: none yet */
static uint64_t life;        /* of the publisher */
static bool settling;
static struct {
	uint64_t life, count;
} newest[PUBLISHERS]; /* what was taken last of each */
static struct tarn_message held[HELD];
static int held_count;

static int64_t patience(void)
{
	return tarn_deadline_after(PATIENCE_S * INT64_C(1000000000));
}

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 16 << 20, .max_size = 64 << 20 };
	const struct tarn_topic_opts topic_opts = { .lane_size = LANE_SIZE };

	board = harness_shared(sizeof(*board));
	crowd_must("create", tarn_region_create(crowd->addr, &opts, &region));
	/* so that it is there for as long as anybody is */
	crowd_must("publisher", tarn_publisher_open(region, "news", &topic_opts, &publisher));
	tarn_publisher_close(publisher);
	tarn_region_close(region);
	publisher = NULL;
}

static void join(void)
{
	crowd_must("open", tarn_region_open(crowd->addr, NULL, &region));
}

/* --- publishers ------------------------------------------------------------------------------ */

static size_t wrap(struct parcel *parcel, int n, uint64_t count)
{
	uint32_t size =
		(uint32_t)offsetof(struct parcel, filling) + (uint32_t)(count * 7919 % PARCEL_MAX);

	*parcel = (struct parcel){
		.publisher = (uint32_t)n, .size = size, .life = life, .count = count
	};
	for (size_t i = offsetof(struct parcel, filling); i < size; i++)
		((unsigned char *)parcel)[i] = (unsigned char)(count + i);
	return size;
}

static void publish_loan(const struct parcel *parcel, size_t size)
{
	void *data;

	crowd_must("loan", tarn_publisher_loan_wait(publisher, size, patience(), &data));
	memcpy(data, parcel, crowd->mutant == TORN ? size / 2 : size);
	crowd_must("commit", tarn_publisher_commit(publisher, size));
	if (crowd->mutant == TORN)
		memcpy(data, parcel, size);
}

static void publish_batch(int n)
{
	static struct parcel parcels[BATCH];
	struct tarn_buf bufs[BATCH];
	uint64_t count = crowd->ledgers[n].begun;
	int64_t deadline = patience();

	for (int i = 0; i < BATCH; i++) {
		crowd_begun(n);
		bufs[i].data = &parcels[i];
		bufs[i].size = wrap(&parcels[i], n, count + (uint64_t)i + 1);
	}
	for (size_t all = 0; all < BATCH;) {
		size_t done = 0;
		int r = tarn_publisher_publish_batch(publisher, bufs + all, BATCH - all, &done);

		if (r == -EAGAIN && tarn_now() < deadline) {
			harness_sleep_us(50);
			continue;
		}
		crowd_must("batch", r);
		all += done;
		while (done-- > 0)
			crowd_final(n);
	}
}

static void grow(void)
{
	struct tarn_publisher_stat stat;

	crowd_must("stat", tarn_publisher_stat(publisher, &stat));
	if (stat.lane_size < LANE_MAX)
		crowd_must("grow", tarn_publisher_grow(publisher, stat.size_max + 1, NULL));
}

static void publish(int n, uint64_t *seed)
{
	const struct tarn_topic_opts opts = { .lane_size = LANE_SIZE };
	static struct parcel parcel;
	uint64_t how = storm_random(seed) % 64;
	size_t size;
	void *data;

	if (publisher == NULL) {
		life = atomic_fetch_add(&board->lives, 1) + 1;
		crowd_must("publisher", tarn_publisher_open(region, "news", &opts, &publisher));
	}
	if (how == 0) {
		harness_sleep_us(200);
		return;
	}
	if (how == 1) { /* nobody ever knows */
		crowd_must("loan", tarn_publisher_loan_wait(publisher, 100, patience(), &data));
		memset(data, 0xee, 100);
		tarn_publisher_abort(publisher);
		return;
	}
	if (how == 2) {
		grow();
		return;
	}
	if (how < 12) {
		publish_batch(n);
		return;
	}
	crowd_begun(n);
	size = wrap(&parcel, n, crowd->ledgers[n].begun);
	if (how < 24)
		publish_loan(&parcel, size);
	else if (crowd->mutant != LOST || how != 63)
		crowd_must("publish",
			   tarn_publisher_publish_wait(publisher, &parcel, size, patience()));
	crowd_final(n);
}

/* --- subscribers ----------------------------------------------------------------------------- */

static bool is_lossless(int n)
{
	return n - PUBLISHERS < 4;
}

static void check_parcel(const void *data, size_t size)
{
	const struct parcel *parcel = data;

	if (size < offsetof(struct parcel, filling) || size != parcel->size ||
	    parcel->publisher >= PUBLISHERS) {
		crowd_violation("a message of another size", (int64_t)size, parcel->size);
		return;
	}
	for (size_t i = offsetof(struct parcel, filling); i < size; i++)
		if (((const unsigned char *)data)[i] != (unsigned char)(parcel->count + i)) {
			crowd_violation("a torn message", (int64_t)parcel->count, (int64_t)i);
			return;
		}
}

/* Within a life counts rise, whichever lane it is. */
static void check_order(const struct parcel *parcel)
{
	uint32_t by = parcel->publisher;

	if (by >= PUBLISHERS || settling) /* said before; history has no order */
		return;
	if (parcel->life == newest[by].life && parcel->count <= newest[by].count)
		crowd_violation("a message that is older than the one before",
				(int64_t)parcel->count, (int64_t)newest[by].count);
	newest[by].life = parcel->life;
	newest[by].count = parcel->count;
}

static void check(int n, const struct tarn_message *message, const void *data)
{
	uint64_t *seen = &last[message->publisher];

	check_parcel(data, message->size);
	check_order(data);
	if (is_lossless(n) && message->missed != 0)
		crowd_violation("a lossless one misses", (int64_t)message->missed, n);
	if (*seen != 0 && message->number != *seen + 1 + message->missed)
		crowd_violation("a gap", (int64_t)message->number, (int64_t)*seen);
	*seen = message->number;
	atomic_fetch_add(&crowd->counted, 1);
}

static void let_go(uint64_t which)
{
	size_t i = (size_t)(which % (uint64_t)held_count);

	if (crowd->mutant != LET_GO)
		check_parcel(held[i].data, held[i].size);
	crowd_must("release", tarn_subscriber_release(subscriber, &held[i]));
	if (crowd->mutant == LET_GO) {
		harness_sleep_us(100);
		check_parcel(held[i].data, held[i].size);
	}
	held[i] = held[--held_count];
}

static int take_copy(int n)
{
	static struct parcel parcel;
	struct tarn_message message;
	int r = tarn_subscriber_take(subscriber, &parcel, sizeof(parcel), &message);

	if (r == 0)
		check(n, &message, &parcel);
	return r;
}

static int take_batch(int n, uint64_t *seed)
{
	static struct parcel parcels[8];
	size_t size = sizeof(parcels[0]) * (1 + storm_random(seed) % 8), count;
	struct tarn_message messages[8];
	int r = tarn_subscriber_take_batch(subscriber, parcels, size, messages, 8, &count);

	for (size_t i = 0; r == 0 && i < count; i++)
		check(n, &messages[i], messages[i].data);
	return r;
}

static int take_hold(int n, uint64_t *seed)
{
	int r;

	if (held_count == HELD)
		let_go(storm_random(seed));
	r = tarn_subscriber_hold(subscriber, &held[held_count]);
	if (r == 0) {
		check(n, &held[held_count], held[held_count].data);
		held_count++;
	} else if (held_count > 0) {
		let_go(storm_random(seed));
	}
	return r;
}

static int take(int n, uint64_t *seed)
{
	int kind = n - PUBLISHERS;

	if (kind == 2 || kind == 6)
		return take_hold(n, seed);
	return kind == 1 || kind == 5 ? take_batch(n, seed) : take_copy(n);
}

static void subscribe(int n)
{
	const struct tarn_topic_opts opts = { .flags = is_lossless(n) ? 0
						       : n - PUBLISHERS < SUBSCRIBERS - 1
							       ? TARN_TOPIC_LOSSY
							       : TARN_TOPIC_LATEST };

	crowd_must("subscriber", tarn_subscriber_open(region, "news", &opts, &subscriber));
	if (n - PUBLISHERS != 3)
		return;
	crowd_must("waiter", tarn_waiter_open(NULL, &waiter));
	crowd_must("add", tarn_waiter_add_subscriber(waiter, subscriber, NULL));
}

/* Nothing is there: until something is, or it is time to look whether to stop. */
static void rest(uint64_t *seed)
{
	int64_t deadline = tarn_deadline_after(10000000);
	struct pollfd poller = { .events = POLLIN };
	size_t count;
	void *tag;
	int r;

	if (waiter == NULL) {
		harness_sleep_us((int64_t)(storm_random(seed) % 200));
		return;
	}
	if (storm_random(seed) % 2 == 0) {
		r = tarn_waiter_wait(waiter, deadline, &tag, 1, &count);
	} else {
		crowd_must("descriptor", tarn_waiter_fd(waiter, &poller.fd));
		r = tarn_waiter_wait(waiter, 0, &tag, 1, &count);
		if (r == -ETIMEDOUT)
			(void)poll(&poller, 1, 10);
	}
	crowd_must("wait", r == -ETIMEDOUT ? 0 : r);
}

static void consume(int n, uint64_t *seed)
{
	int r;

	if (subscriber == NULL)
		subscribe(n);
	if (n - PUBLISHERS >= 4 && storm_random(seed) % 256 == 0)
		harness_sleep_us(2000); /* slower than history */
	r = take(n, seed);
	if (r == 0 && crowd->mutant == PASSED_OVER && storm_random(seed) % 100 == 0)
		last[0] += last[0] != 0;
	if (r == -EAGAIN)
		rest(seed);
	else
		crowd_must("take", r);
}

static void act(int n, uint64_t *seed)
{
	if (n < PUBLISHERS)
		publish(n, seed);
	else
		consume(n, seed);
}

static void leave(int n)
{
	int64_t deadline = patience();
	uint64_t seed = (uint64_t)n;

	if (n < PUBLISHERS) {
		tarn_publisher_close(publisher);
		atomic_fetch_add(&board->left, 1);
		return;
	}
	if (subscriber == NULL)
		return;
	for (bool done = false; !done;) {
		bool last_look = atomic_load(&board->left) == PUBLISHERS;

		while (take(n, &seed) == 0)
			;
		done = last_look || tarn_now() > deadline;
		harness_sleep_us(100);
	}
	while (held_count > 0)
		let_go(0);
	for (int lane = 0; lane < LANES; lane++)
		board->ends[n - PUBLISHERS][lane] = last[lane];
	tarn_waiter_close(waiter);
	tarn_subscriber_close(subscriber);
}

/* --- account --------------------------------------------------------------------------------- */

static uint64_t settle(void)
{
	const struct tarn_topic_opts opts = { .flags = TARN_TOPIC_LOSSY, .history = UINT32_MAX };
	uint64_t total = 0, begun = 0, final = 0;

	join();
	settling = true;
	crowd_must("subscriber", tarn_subscriber_open(region, "news", &opts, &subscriber));
	while (take_copy(PUBLISHERS + 4) == 0)
		;
	for (int lane = 0; lane < LANES; lane++) {
		total += last[lane];
		for (int s = 0; s < SUBSCRIBERS; s++)
			if (board->ends[s][lane] != 0 && board->ends[s][lane] != last[lane])
				crowd_violation("a subscriber has not the last message",
						(int64_t)board->ends[s][lane], (int64_t)last[lane]);
	}
	for (int n = 0; n < PUBLISHERS; n++) {
		begun += crowd->ledgers[n].begun;
		final += crowd->ledgers[n].final;
	}
	if (total < final || total > begun)
		crowd_violation("messages were lost, or are too many", (int64_t)total,
				(int64_t) final);
	if (begun - final > BATCH * board->lives)
		crowd_violation("more is in doubt than one call of each victim",
				(int64_t)(begun - final), (int64_t)board->lives);
	printf("# %llu messages begun, %llu there, %llu done; the rest was the victims' own\n",
	       (unsigned long long)begun, (unsigned long long)total, (unsigned long long) final);
	tarn_subscriber_close(subscriber);
	crowd_check(region);
	tarn_region_close(region);
	return total;
}

static const struct crowd_plan the_plan = {
	.name = "topics",
	.mutants = mutant_names,
	.processes = PUBLISHERS + SUBSCRIBERS,
	.counts = "takes",
	.make = make,
	.join = join,
	.act = act,
	.leave = leave,
	.settle = settle,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
