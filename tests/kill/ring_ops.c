/* SPDX-License-Identifier: BSD-2-Clause */
/* ring_ops.c - see ring_ops.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ring_ops.h"

const char name[] = "ring";
const struct tarn_ring_opts small = { .capacity = CAPACITY };
struct tarn_region *region;
struct tarn_ring *ring;
static bool is_large; /* as the state says */

/* --- records ------------------------------------------------------------------------------- */

static size_t record_fill(struct record *record, uint64_t n)
{
	size_t size = (is_large ? LARGE_SIZE : 8) + (size_t)(n * 7 % 33);

	record->n = n;
	for (size_t i = 0; i < size - 8; i++)
		record->filling[i] = (unsigned char)(n * 31 + i);
	return size;
}

bool record_is(const void *data, size_t size, uint64_t n)
{
	struct record want;

	return size == record_fill(&want, n) && memcmp(data, &want, size) == 0;
}

int push(uint64_t n)
{
	struct record record;
	size_t size = record_fill(&record, n);

	return tarn_ring_push(ring, &record, size);
}

struct state *state_of(const struct kill_world *world)
{
	return world->shared;
}

/* --- worlds before ------------------------------------------------------------------------- */

static int open_as(struct kill_world *world, enum tarn_ring_role role,
		   const struct tarn_ring_opts *opts, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_ring_opts told = opts != NULL ? *opts : small;
	int r;

	told.diag = &diag;
	is_large = state_of(world)->large;
	if (is_large)
		told.capacity = LARGE_CAPACITY;
	if (region == NULL && survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	r = tarn_ring_open(region, name, role, &told, &ring);
	return r < 0 ? survivor_say(report, role == TARN_RING_PRODUCER ? "producer" : "consumer", r,
				    &diag)
		     : 0;
}

/* Open @role, go on, and close; the region too. */
static void close_all(void)
{
	tarn_ring_close(ring);
	tarn_region_close(region);
	ring = NULL;
	region = NULL;
}

int no_ring(struct kill_world *world, struct harness_report *report)
{
	int r = survivor_create(world, 0, &region, report);

	if (r == 0)
		r = survivor_keep(region, report);
	tarn_region_close(region);
	return r;
}

/* @skip records have come and gone, @held are there. */
static int ring_with(struct kill_world *world, uint64_t skip, uint64_t held,
		     struct harness_report *report)
{
	struct state *st = state_of(world);
	char buf[LARGE_MAX];
	size_t size;

	if (no_ring(world, report) < 0)
		return -1;
	region = NULL;
	for (uint64_t n = 0; n < skip + held; n++) {
		if (open_as(world, TARN_RING_PRODUCER, NULL, report) < 0 || push(n) < 0)
			return harness_say(report, -1, "push %d", (int)n);
		tarn_ring_close(ring);
		if (n >= skip)
			continue;
		if (open_as(world, TARN_RING_CONSUMER, NULL, report) < 0 ||
		    tarn_ring_pop(ring, buf, sizeof(buf), &size) < 0)
			return harness_say(report, -1, "pop %d", (int)n);
		tarn_ring_close(ring);
	}
	st->first = skip;
	st->next = skip + held;
	ring = NULL;
	close_all();
	return 0;
}

int empty(struct kill_world *world, struct harness_report *report)
{
	return ring_with(world, 0, 0, report);
}

int some(struct kill_world *world, struct harness_report *report)
{
	return ring_with(world, 0, HELD, report);
}

/* The next record does not fit before the end of the ring. */
int at_wrap(struct kill_world *world, struct harness_report *report)
{
	return ring_with(world, 6, 2, report);
}

/* The oldest record lies behind a skip. */
int at_skip(struct kill_world *world, struct harness_report *report)
{
	return ring_with(world, 8, 1, report);
}

/* The same of large records. */
static int large_with(struct kill_world *world, uint64_t skip, uint64_t held,
		      struct harness_report *report)
{
	state_of(world)->large = true;
	world->heap = 2 * LARGE_CAPACITY;
	world->max = 4 * LARGE_CAPACITY;
	return ring_with(world, skip, held, report);
}

int large(struct kill_world *world, struct harness_report *report)
{
	return large_with(world, 0, HELD, report);
}

int large_at_wrap(struct kill_world *world, struct harness_report *report)
{
	return large_with(world, 5, 2, report);
}

int large_at_skip(struct kill_world *world, struct harness_report *report)
{
	return large_with(world, 7, 1, report);
}

/* No room for the next record. */
int full(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);

	if (ring_with(world, 2, 0, report) < 0)
		return -1;
	if (open_as(world, TARN_RING_PRODUCER, NULL, report) < 0)
		return -1;
	while (push(st->next) == 0)
		st->next++;
	close_all();
	return 0;
}

/* Its producer and its consumer have died. */
int orphaned(struct kill_world *world, struct harness_report *report)
{
	if (some(world, report) < 0 || open_as(world, TARN_RING_PRODUCER, NULL, report) < 0)
		return -1;
	return open_as(world, TARN_RING_CONSUMER, NULL, report);
}

/* --- prepare ------------------------------------------------------------------------------- */

int join(struct kill_world *world, struct harness_report *report)
{
	return survivor_open(world, &region, report);
}

int produce(struct kill_world *world, struct harness_report *report)
{
	return open_as(world, TARN_RING_PRODUCER, NULL, report);
}

/* Into an empty ring; what follows is not the first that it writes. */
int produce_again(struct kill_world *world, struct harness_report *report)
{
	if (produce(world, report) < 0)
		return -1;
	state_of(world)->next = 1;
	return push(0);
}

int consume(struct kill_world *world, struct harness_report *report)
{
	return open_as(world, TARN_RING_CONSUMER, NULL, report);
}

int produce_reserved(struct kill_world *world, struct harness_report *report)
{
	void *data;
	struct record record;

	if (produce(world, report) < 0)
		return -1;
	return tarn_ring_reserve(ring, record_fill(&record, state_of(world)->next), &data);
}

/* --- operations ---------------------------------------------------------------------------- */

int open_producer(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_ring_open(region, name, TARN_RING_PRODUCER, &small, &ring);
}

int open_consumer(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_ring_open(region, name, TARN_RING_CONSUMER, &small, &ring);
}

int close_ring(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn_ring_close(ring);
	return 0;
}

int push_one(struct kill_world *world, struct harness_report *report)
{
	(void)report;
	return push(state_of(world)->next);
}

int push_batch(struct kill_world *world, struct harness_report *report)
{
	enum { BATCH = 3 };
	struct record records[BATCH];
	struct tarn_buf bufs[BATCH];
	size_t count = 0;
	int r;

	for (int i = 0; i < BATCH; i++) {
		bufs[i].size = record_fill(&records[i], state_of(world)->next + (uint64_t)i);
		bufs[i].data = &records[i];
	}
	r = tarn_ring_push_batch(ring, bufs, BATCH, &count);
	if (r == 0 && count != BATCH)
		return harness_say(report, 1, "%d of a batch of %d", (int)count, BATCH);
	return r;
}

int reserve_commit(struct kill_world *world, struct harness_report *report)
{
	struct record record;
	size_t size = record_fill(&record, state_of(world)->next);
	void *data;
	int r = tarn_ring_reserve(ring, size + 8, &data);

	(void)report;
	if (r < 0)
		return r;
	memcpy(data, &record, size);
	return tarn_ring_commit(ring, size);
}

int reserve_abort(struct kill_world *world, struct harness_report *report)
{
	struct record record;
	void *data;
	int r = tarn_ring_reserve(ring, SIZE_MAX_, &data);

	(void)world, (void)report;
	if (r < 0)
		return r;
	record_fill(&record, 999);
	memcpy(data, &record, SIZE_MAX_);
	tarn_ring_abort(ring);
	return 0;
}

int finish(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_ring_finish(ring);
}

static int check_pop(int r, const void *data, size_t size, uint64_t n,
		     struct harness_report *report)
{
	if (r == 0 && !record_is(data, size, n))
		return harness_say(report, 1, "record %d is not what was written", (int)n);
	return r;
}

int pop_one(struct kill_world *world, struct harness_report *report)
{
	char buf[LARGE_MAX];
	size_t size = 0;
	int r = tarn_ring_pop(ring, buf, sizeof(buf), &size);

	return check_pop(r, buf, size, state_of(world)->first, report);
}

int peek_release(struct kill_world *world, struct harness_report *report)
{
	const void *data = NULL;
	size_t size = 0;
	int r = tarn_ring_peek(ring, &data, &size);

	r = check_pop(r, data, size, state_of(world)->first, report);
	return r == 0 ? tarn_ring_release(ring, 1) : r;
}

/* Three are looked at, two let go, then the last. */
int peek_batch_release(struct kill_world *world, struct harness_report *report)
{
	struct tarn_buf bufs[HELD];
	size_t count = 0;
	int r = tarn_ring_peek_batch(ring, bufs, HELD, &count);

	if (r == 0 && count != HELD)
		return harness_say(report, 1, "%d records, not %d", (int)count, HELD);
	for (size_t i = 0; i < count && r == 0; i++)
		r = check_pop(0, bufs[i].data, bufs[i].size, state_of(world)->first + i, report);
	if (r == 0)
		r = tarn_ring_release(ring, 2);
	return r == 0 ? tarn_ring_release(ring, 1) : r;
}

static int64_t soon(void)
{
	return tarn_deadline_after(INT64_C(120000000000));
}

int pop_wait(struct kill_world *world, struct harness_report *report)
{
	char buf[LARGE_MAX];
	size_t size = 0;
	int r = tarn_ring_pop_wait(ring, buf, sizeof(buf), soon(), &size);

	return check_pop(r, buf, size, state_of(world)->first, report);
}

int peek_wait(struct kill_world *world, struct harness_report *report)
{
	const void *data = NULL;
	size_t size = 0;
	int r = tarn_ring_peek_wait(ring, soon(), &data, &size);

	r = check_pop(r, data, size, state_of(world)->first, report);
	return r == 0 ? tarn_ring_release(ring, 1) : r;
}

int push_wait(struct kill_world *world, struct harness_report *report)
{
	struct record record;
	size_t size = record_fill(&record, state_of(world)->next);

	(void)report;
	return tarn_ring_push_wait(ring, &record, size, soon());
}

int reserve_wait(struct kill_world *world, struct harness_report *report)
{
	struct record record;
	size_t size = record_fill(&record, state_of(world)->next);
	void *data;
	int r = tarn_ring_reserve_wait(ring, size, soon(), &data);

	(void)report;
	if (r < 0)
		return r;
	memcpy(data, &record, size);
	return tarn_ring_commit(ring, size);
}

int wait_peer(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_ring_wait_peer(ring, soon());
}

int wait_short(struct kill_world *world, struct harness_report *report)
{
	char buf[LARGE_MAX];
	size_t size = 0;

	(void)world, (void)report;
	return tarn_ring_pop_wait(ring, buf, sizeof(buf), tarn_deadline_after(3000000), &size);
}

/* --- wakers and peers ---------------------------------------------------------------------- */

/* A producer comes, writes one record, and leaves. */
int wake_with_record(struct kill_world *world, struct harness_report *report)
{
	if (produce(world, report) < 0)
		return -1;
	return push(state_of(world)->next) < 0 ? harness_say(report, -1, "no room") : 0;
}

/* A consumer comes, and takes enough that the producer is to be woken. */
int wake_with_room(struct kill_world *world, struct harness_report *report)
{
	char buf[LARGE_MAX];
	size_t size;

	if (consume(world, report) < 0)
		return -1;
	for (int i = 0; i < 4; i++)
		if (tarn_ring_pop(ring, buf, sizeof(buf), &size) < 0)
			return harness_say(report, -1, "nothing to take");
	return 0;
}

enum { PATIENCE_NS = 2000000000, TOLD_NS = 1900000000 };

/* Lives beside the op, asleep in pop_wait: gets a record, hears of the end, or its time is up. */
static int consume_asleep(struct kill_world *world, int64_t limit_ns, struct harness_report *report)
{
	struct state *st = state_of(world);
	char buf[LARGE_MAX];
	size_t size = 0;
	int r;

	if (consume(world, report) < 0)
		return -1;
	r = tarn_ring_pop_wait(ring, buf, sizeof(buf), tarn_deadline_after(limit_ns), &size);
	if (r == 0 && !record_is(buf, size, st->first))
		return harness_say(report, -1, "the sleeper got a torn record");
	if (r == 0)
		st->peer_saw = 1;
	close_all();
	return r == 0 || r == -EPIPE || r == -ENODATA || r == -ETIMEDOUT
		       ? 0
		       : survivor_say(report, "sleeping consumer", r, NULL);
}

/* A producer that leaves may be followed by another: nothing to be told. */
int sleeping_consumer(struct kill_world *world, struct harness_report *report)
{
	return consume_asleep(world, 200000000, report);
}

/* A record or a death must reach it long before its deadline. */
int woken_consumer(struct kill_world *world, struct harness_report *report)
{
	int64_t begin = harness_now();
	int r = consume_asleep(world, PATIENCE_NS, report);

	if (r == 0 && harness_now() - begin > TOLD_NS)
		return harness_say(report, -1, "the sleeper was not told");
	return r;
}

/* The same for a producer in push_wait. */
static int produce_asleep(struct kill_world *world, int64_t limit_ns, struct harness_report *report)
{
	struct state *st = state_of(world);
	struct record record;
	size_t size = record_fill(&record, st->next);
	int r;

	if (produce(world, report) < 0)
		return -1;
	r = tarn_ring_push_wait(ring, &record, size, tarn_deadline_after(limit_ns));
	if (r == 0)
		st->peer_saw = 1;
	close_all();
	return r == 0 || r == -EPIPE || r == -ETIMEDOUT
		       ? 0
		       : survivor_say(report, "sleeping producer", r, NULL);
}

int sleeping_producer(struct kill_world *world, struct harness_report *report)
{
	return produce_asleep(world, 200000000, report);
}

int woken_producer(struct kill_world *world, struct harness_report *report)
{
	int64_t begin = harness_now();
	int r = produce_asleep(world, PATIENCE_NS, report);

	if (r == 0 && harness_now() - begin > TOLD_NS)
		return harness_say(report, -1, "the sleeper was not told");
	return r;
}
