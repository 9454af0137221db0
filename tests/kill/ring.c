/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - every operation on rings, killed at each instruction: taking and giving back both
 * roles, push, batch, reserve and commit, pop, peek and release, finish; asleep in each _wait
 * call; and with a living peer asleep on the other side.
 *
 * Record n holds the number n and a filling that follows from it, so a survivor can tell a whole
 * record from a torn one, and a gap from an absent one. Two survivors judge each state: one that
 * reads first, and one that writes first.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "survivor.h"

enum {
	CAPACITY = 256, /* bytes: 32 units, the smallest there is, so that sweeps wrap */
	HELD = 3,       /* records in the ring before most ops */
	SIZE_MAX_ = 48,
};

static const char name[] = "ring";
static const struct tarn_ring_opts small = { .capacity = CAPACITY };
static struct tarn_region *region;
static struct tarn_ring *ring;

/* --- records ------------------------------------------------------------------------------- */

struct record {
	uint64_t n;
	unsigned char filling[SIZE_MAX_ - 8];
};

static size_t record_fill(struct record *record, uint64_t n)
{
	size_t size = 8 + (size_t)(n * 7 % 33);

	record->n = n;
	for (size_t i = 0; i < size - 8; i++)
		record->filling[i] = (unsigned char)(n * 31 + i);
	return size;
}

static bool record_is(const void *data, size_t size, uint64_t n)
{
	struct record want;

	return size == record_fill(&want, n) && memcmp(data, &want, size) == 0;
}

static int push(uint64_t n)
{
	struct record record;
	size_t size = record_fill(&record, n);

	return tarn_ring_push(ring, &record, size);
}

/* Where the world stands before the op: `first` is the next to be read, `next` to be written. Kept
 * in the shared page, so that setup, op and survivors agree. */
struct state {
	uint64_t first;
	uint64_t next;
	uint64_t peer_saw; /* by a living peer: records read, or written */
};

static struct state *state_of(const struct kill_world *world)
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

static int no_ring(struct kill_world *world, struct harness_report *report)
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
	char buf[SIZE_MAX_];
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

static int empty(struct kill_world *world, struct harness_report *report)
{
	return ring_with(world, 0, 0, report);
}

static int some(struct kill_world *world, struct harness_report *report)
{
	return ring_with(world, 0, HELD, report);
}

/* The next record does not fit before the end of the ring. */
static int at_wrap(struct kill_world *world, struct harness_report *report)
{
	return ring_with(world, 6, 1, report);
}

/* No room for the next record. */
static int full(struct kill_world *world, struct harness_report *report)
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
static int orphaned(struct kill_world *world, struct harness_report *report)
{
	if (some(world, report) < 0 || open_as(world, TARN_RING_PRODUCER, NULL, report) < 0)
		return -1;
	return open_as(world, TARN_RING_CONSUMER, NULL, report);
}

/* --- prepare ------------------------------------------------------------------------------- */

static int join(struct kill_world *world, struct harness_report *report)
{
	return survivor_open(world, &region, report);
}

static int produce(struct kill_world *world, struct harness_report *report)
{
	return open_as(world, TARN_RING_PRODUCER, NULL, report);
}

static int consume(struct kill_world *world, struct harness_report *report)
{
	return open_as(world, TARN_RING_CONSUMER, NULL, report);
}

static int produce_reserved(struct kill_world *world, struct harness_report *report)
{
	void *data;
	struct record record;

	if (produce(world, report) < 0)
		return -1;
	return tarn_ring_reserve(ring, record_fill(&record, state_of(world)->next), &data);
}

/* --- operations ---------------------------------------------------------------------------- */

static int open_producer(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_ring_open(region, name, TARN_RING_PRODUCER, &small, &ring);
}

static int open_consumer(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_ring_open(region, name, TARN_RING_CONSUMER, &small, &ring);
}

static int close_ring(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	tarn_ring_close(ring);
	return 0;
}

static int push_one(struct kill_world *world, struct harness_report *report)
{
	(void)report;
	return push(state_of(world)->next);
}

static int push_batch(struct kill_world *world, struct harness_report *report)
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

static int reserve_commit(struct kill_world *world, struct harness_report *report)
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

static int reserve_abort(struct kill_world *world, struct harness_report *report)
{
	struct record record;
	void *data;
	int r = tarn_ring_reserve(ring, SIZE_MAX_, &data);

	(void)world, (void)report;
	if (r < 0)
		return r;
	record_fill(&record, 999);
	memcpy(data, &record, sizeof(record));
	tarn_ring_abort(ring);
	return 0;
}

static int finish(struct kill_world *world, struct harness_report *report)
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

static int pop_one(struct kill_world *world, struct harness_report *report)
{
	char buf[SIZE_MAX_];
	size_t size = 0;
	int r = tarn_ring_pop(ring, buf, sizeof(buf), &size);

	return check_pop(r, buf, size, state_of(world)->first, report);
}

static int peek_release(struct kill_world *world, struct harness_report *report)
{
	const void *data = NULL;
	size_t size = 0;
	int r = tarn_ring_peek(ring, &data, &size);

	r = check_pop(r, data, size, state_of(world)->first, report);
	return r == 0 ? tarn_ring_release(ring, 1) : r;
}

/* Three are looked at, two let go, then the last. */
static int peek_batch_release(struct kill_world *world, struct harness_report *report)
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
	return tarn_deadline_after(INT64_C(10000000000));
}

static int pop_wait(struct kill_world *world, struct harness_report *report)
{
	char buf[SIZE_MAX_];
	size_t size = 0;
	int r = tarn_ring_pop_wait(ring, buf, sizeof(buf), soon(), &size);

	return check_pop(r, buf, size, state_of(world)->first, report);
}

static int peek_wait(struct kill_world *world, struct harness_report *report)
{
	const void *data = NULL;
	size_t size = 0;
	int r = tarn_ring_peek_wait(ring, soon(), &data, &size);

	r = check_pop(r, data, size, state_of(world)->first, report);
	return r == 0 ? tarn_ring_release(ring, 1) : r;
}

static int push_wait(struct kill_world *world, struct harness_report *report)
{
	struct record record;
	size_t size = record_fill(&record, state_of(world)->next);

	(void)report;
	return tarn_ring_push_wait(ring, &record, size, soon());
}

static int reserve_wait(struct kill_world *world, struct harness_report *report)
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

static int wait_peer(struct kill_world *world, struct harness_report *report)
{
	(void)world, (void)report;
	return tarn_ring_wait_peer(ring, soon());
}

static int wait_short(struct kill_world *world, struct harness_report *report)
{
	char buf[SIZE_MAX_];
	size_t size = 0;

	(void)world, (void)report;
	return tarn_ring_pop_wait(ring, buf, sizeof(buf), tarn_deadline_after(3000000), &size);
}

/* --- wakers and peers ---------------------------------------------------------------------- */

/* A producer comes, writes one record, and leaves. */
static int wake_with_record(struct kill_world *world, struct harness_report *report)
{
	if (produce(world, report) < 0)
		return -1;
	return push(state_of(world)->next) < 0 ? harness_say(report, -1, "no room") : 0;
}

/* A consumer comes, and takes enough that the producer is to be woken. */
static int wake_with_room(struct kill_world *world, struct harness_report *report)
{
	char buf[SIZE_MAX_];
	size_t size;

	if (consume(world, report) < 0)
		return -1;
	for (int i = 0; i < 4; i++)
		if (tarn_ring_pop(ring, buf, sizeof(buf), &size) < 0)
			return harness_say(report, -1, "nothing to take");
	return 0;
}

enum { PATIENCE_NS = 2000000000, TOLD_NS = 1900000000 };

/* Lives beside the op, asleep in pop_wait: gets a record, or hears of the end, or its time is up. */
static int consume_asleep(struct kill_world *world, int64_t limit_ns, struct harness_report *report)
{
	struct state *st = state_of(world);
	char buf[SIZE_MAX_];
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
static int sleeping_consumer(struct kill_world *world, struct harness_report *report)
{
	return consume_asleep(world, 200000000, report);
}

/* A record or a death must reach it long before its deadline. */
static int woken_consumer(struct kill_world *world, struct harness_report *report)
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

static int sleeping_producer(struct kill_world *world, struct harness_report *report)
{
	return produce_asleep(world, 200000000, report);
}

static int woken_producer(struct kill_world *world, struct harness_report *report)
{
	int64_t begin = harness_now();
	int r = produce_asleep(world, PATIENCE_NS, report);

	if (r == 0 && harness_now() - begin > TOLD_NS)
		return harness_say(report, -1, "the sleeper was not told");
	return r;
}

/* --- survivors ----------------------------------------------------------------------------- */

struct found {
	uint64_t first; /* number of the first record; next if there is none */
	uint64_t next;  /* behind the last one */
	int end;        /* what the consumer is told then */
};

/* Read everything; records must be whole and without a gap. */
static int drain(struct kill_world *world, struct found *ret, struct harness_report *report)
{
	struct record record = { .n = 0 };
	size_t size = 0;
	bool any = false;

	if (consume(world, report) < 0)
		return KILL_VIOLATION;
	while ((ret->end = tarn_ring_pop(ring, &record, sizeof(record), &size)) == 0) {
		if (!any)
			ret->first = ret->next = record.n;
		any = true;
		if (!record_is(&record, size, ret->next))
			return harness_say(report, KILL_VIOLATION, "record %d is torn, or a gap",
					   (int)ret->next);
		ret->next++;
	}
	if (!any)
		ret->first = ret->next = UINT64_MAX;
	if (ret->end != -EAGAIN && ret->end != -EPIPE && ret->end != -ENODATA)
		return survivor_say(report, "pop", ret->end, NULL);
	tarn_ring_close(ring);
	return 0;
}

/* A producer writes @from and the next, and a consumer finds them. */
static int goes_on(struct kill_world *world, uint64_t from, struct harness_report *report)
{
	struct found found;

	if (produce(world, report) < 0)
		return KILL_VIOLATION;
	for (uint64_t n = from; n < from + 2; n++)
		if (push(n) < 0)
			return harness_say(report, KILL_VIOLATION, "push: no room");
	tarn_ring_close(ring);
	if (drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first != from || found.next != from + 2)
		return harness_say(report, KILL_VIOLATION, "found %d to %d, not %d to %d",
				   (int)found.first, (int)found.next, (int)from, (int)from + 2);
	return 0;
}

/* The ring works; then everything around it. */
static int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	if (goes_on(world, 1000, report) < 0 || goes_on(world, 2000, report) < 0)
		return KILL_VIOLATION;
	if (tarn_object_remove(region, name) < 0)
		return harness_say(report, KILL_VIOLATION, "the ring cannot be removed");
	if (survivor_kept(region, report) < 0 || survivor_whole(world, region, 1, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	region = NULL;
	return outcome;
}

static int look_first(struct kill_world *world, struct harness_report *report)
{
	region = NULL;
	ring = NULL;
	if (survivor_open(world, &region, report) != 0)
		return harness_say(report, KILL_VIOLATION, "the region is gone");
	return survivor_check(region, report);
}

/* The outcome is how many records are new. */
static int produced(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first == UINT64_MAX)
		found.first = found.next = st->next;
	if (found.next < st->next || found.first > st->next ||
	    (found.first != st->first && found.first != found.next))
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, (int)(found.next - st->next), report);
}

/* One record: there or not. */
static int check_push(struct kill_world *world, struct harness_report *report)
{
	return produced(world, report);
}

/* Three at once. */
static int check_batch(struct kill_world *world, struct harness_report *report)
{
	int there = produced(world, report);

	if (there < 0)
		return KILL_VIOLATION;
	if (there == 0 || there == 3)
		return there / 3;
	return harness_say(report, KILL_VIOLATION, "%d of a batch of 3 are there", there);
}

/* Writer first: goes on behind whatever is there, and the reader finds all of it. */
static int write_first(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct record record = { .n = 0 };
	uint64_t expect = st->first;
	bool fits;
	size_t size;
	int r, seen = 0;

	if (look_first(world, report) < 0 || produce(world, report) < 0)
		return KILL_VIOLATION;
	r = push(5000);
	if (r != 0 && r != -EAGAIN && r != -EPIPE)
		return survivor_say(report, "the successor's push", r, NULL);
	fits = r == 0;
	tarn_ring_close(ring);
	if (consume(world, report) < 0)
		return KILL_VIOLATION;
	while ((r = tarn_ring_pop(ring, &record, sizeof(record), &size)) == 0) {
		if (record.n == 5000)
			break;
		if (seen++ == 0)
			expect = record.n;
		if (!record_is(&record, size, expect++))
			return harness_say(report, KILL_VIOLATION, "record %d is torn, or a gap",
					   (int)expect - 1);
	}
	if (fits && (r != 0 || !record_is(&record, size, 5000)))
		return harness_say(report, KILL_VIOLATION, "the successor's record is not there");
	tarn_ring_close(ring);
	return wind_up(world, 0, report);
}

/* How many of the records that were there are gone. */
static int check_pop_by(struct kill_world *world, int *ret_gone, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first == UINT64_MAX)
		found.first = found.next = st->next;
	if (found.next != st->next || found.first < st->first)
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	*ret_gone = (int)(found.first - st->first);
	return wind_up(world, 0, report);
}

static int check_popped(struct kill_world *world, struct harness_report *report)
{
	int gone = 0;

	return check_pop_by(world, &gone, report) < 0 ? KILL_VIOLATION : gone;
}

/* Two were let go, then one. */
static int check_released(struct kill_world *world, struct harness_report *report)
{
	int gone = 0;

	if (check_pop_by(world, &gone, report) < 0)
		return KILL_VIOLATION;
	if (gone == 1)
		return harness_say(report, KILL_VIOLATION, "one of two was let go");
	return gone == 0 ? 0 : gone - 1;
}

static int check_same(struct kill_world *world, struct harness_report *report)
{
	int gone = 0;

	if (check_pop_by(world, &gone, report) < 0)
		return KILL_VIOLATION;
	return gone == 0 ? 0 : harness_say(report, KILL_VIOLATION, "%d records gone", gone);
}

/* The consumer hears of the end once, and only once, all is said. */
static int check_finished(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first != st->first || found.next != st->next)
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, found.end == -ENODATA, report);
}

/* Making a ring: it is there or it is not, and either way it can be used. */
static int check_made(struct kill_world *world, struct harness_report *report)
{
	struct tarn_ring_stat stat;
	int r;

	if (look_first(world, report) < 0)
		return KILL_VIOLATION;
	r = tarn_ring_open(region, name, TARN_RING_OBSERVER, NULL, &ring);
	if (r != 0 && r != -ENOENT)
		return survivor_say(report, "look", r, NULL);
	if (r == 0) {
		if (tarn_ring_stat(ring, &stat) < 0 || stat.capacity != CAPACITY || stat.used != 0)
			return harness_say(report, KILL_VIOLATION, "it is not as it was made");
		tarn_ring_close(ring);
	}
	return wind_up(world, r == 0, report);
}

/* A record may have been written by the waker and taken by the sleeper: 0, 1, 2. */
static int check_pop_woken(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first == UINT64_MAX) {
		/* before the record, or after it: the ring alone cannot tell */
		return wind_up(world, 0, report);
	}
	if (found.first != st->next || found.next != st->next + 1)
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, 1, report);
}

/* Four were taken by the waker; then the sleeper's record. */
static int check_push_woken(struct kill_world *world, struct harness_report *report)
{
	const struct state *st = state_of(world);
	struct found found;

	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first < st->first || found.first > st->first + 4 ||
	    (found.next != st->next && found.next != st->next + 1))
		return harness_say(report, KILL_VIOLATION, "found %d to %d", (int)found.first,
				   (int)found.next);
	return wind_up(world, (int)(found.first - st->first) + (int)(found.next - st->next),
		       report);
}

/* Beside a sleeper that may have read, or written: nothing torn, nothing lost, nothing twice. */
static int check_beside(struct kill_world *world, struct harness_report *report)
{
	struct state *st = state_of(world);
	struct found found;
	uint64_t saw = st->peer_saw;

	st->peer_saw = 0;
	if (look_first(world, report) < 0 || drain(world, &found, report) < 0)
		return KILL_VIOLATION;
	if (found.first != UINT64_MAX && saw != 0 && found.first <= st->first &&
	    st->first == st->next)
		return harness_say(report, KILL_VIOLATION, "record %d came twice",
				   (int)found.first);
	return wind_up(world, 0, report);
}

/* --- the table ----------------------------------------------------------------------------- */

/* The successor's first steps; that joining the region survives its death is region.c's to show. */
static int recover_producer(struct kill_world *world, struct harness_report *report)
{
	if (open_producer(world, report) == 0)
		tarn_ring_close(ring);
	return 0;
}

static int recover_consumer(struct kill_world *world, struct harness_report *report)
{
	if (open_consumer(world, report) == 0)
		tarn_ring_close(ring);
	return 0;
}

/* clang-format off */
#define PUSH(nm, before, first, what, judge) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .check2 = write_first, .ready = join, .recover = recover_producer }
#define POP(nm, before, first, what, judge, last) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, .check = judge, \
	  .check2 = write_first, .ready = join, .recover = recover_consumer, \
	  .after = last }
#define SAME(nm, before, first, what, rec) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, \
	  .check = check_same, .check2 = write_first, .ready = join, .recover = rec, \
	  .flags = KILL_UNCHANGED }
#define BESIDE(nm, before, first, what, who) \
	{ .name = "ring-" nm, .setup = before, .prepare = first, .op = what, .peer = who, \
	  .check = check_beside, .flags = KILL_NO_IMAGES }

static const struct kill_op ops[] = {
	POP("open-creating-producer", no_ring, join, open_producer, check_made, 1),
	POP("open-creating-consumer", no_ring, join, open_consumer, check_made, 1),
	SAME("open-producer", some, join, open_producer, recover_producer),
	SAME("open-consumer", some, join, open_consumer, recover_consumer),
	SAME("open-producer-after-death", orphaned, join, open_producer, recover_producer),
	SAME("open-consumer-after-death", orphaned, join, open_consumer, recover_consumer),
	SAME("close-producer", some, produce, close_ring, recover_producer),
	SAME("close-consumer", some, consume, close_ring, recover_consumer),
	SAME("close-producer-reserved", some, produce_reserved, close_ring, recover_producer),
	PUSH("push", some, produce, push_one, check_push),
	PUSH("push-wrapping", at_wrap, produce, push_one, check_push),
	PUSH("push-first", empty, produce, push_one, check_push),
	PUSH("push-batch", some, produce, push_batch, check_batch),
	PUSH("push-batch-wrapping", at_wrap, produce, push_batch, check_batch),
	PUSH("reserve-commit", some, produce, reserve_commit, check_push),
	PUSH("reserve-commit-wrapping", at_wrap, produce, reserve_commit, check_push),
	SAME("reserve-abort", some, produce, reserve_abort, recover_producer),
	PUSH("finish", some, produce, finish, check_finished),
	POP("pop", some, consume, pop_one, check_popped, 1),
	POP("pop-wrapping", at_wrap, consume, pop_one, check_popped, 1),
	POP("peek-release", some, consume, peek_release, check_popped, 1),
	POP("peek-batch-release", some, consume, peek_batch_release, check_released, 2),
	PUSH("push-wait-with-room", some, produce, push_wait, check_push),
	POP("pop-wait-with-record", some, consume, pop_wait, check_popped, 1),
	{ .name = "ring-pop-wait-asleep", .setup = empty, .prepare = consume, .op = pop_wait,
	  .wake = wake_with_record, .check = check_pop_woken, .check2 = write_first,
	  .ready = join, .recover = recover_consumer, .flags = KILL_UNORDERED },
	{ .name = "ring-peek-wait-asleep", .setup = empty, .prepare = consume, .op = peek_wait,
	  .wake = wake_with_record, .check = check_pop_woken, .check2 = write_first,
	  .ready = join, .recover = recover_consumer, .flags = KILL_UNORDERED | KILL_SLOW },
	{ .name = "ring-push-wait-asleep", .setup = full, .prepare = produce, .op = push_wait,
	  .wake = wake_with_room, .check = check_push_woken, .check2 = write_first,
	  .ready = join, .recover = recover_producer, .after = 5 },
	{ .name = "ring-reserve-wait-asleep", .setup = full, .prepare = produce,
	  .op = reserve_wait, .wake = wake_with_room, .check = check_push_woken,
	  .check2 = write_first, .ready = join, .recover = recover_producer, .after = 5,
	  .flags = KILL_SLOW },
	{ .name = "ring-wait-peer-asleep", .setup = empty, .prepare = consume, .op = wait_peer,
	  .wake = wake_with_record, .check = check_pop_woken, .check2 = write_first,
	  .ready = join, .recover = recover_consumer, .flags = KILL_UNORDERED },
	{ .name = "ring-pop-wait-timed-out", .setup = empty, .prepare = consume,
	  .op = wait_short, .check = check_same, .check2 = write_first, .result = -ETIMEDOUT,
	  .flags = KILL_UNCHANGED | KILL_SLOW },
	BESIDE("push-beside-sleeping-consumer", empty, produce, push_one, woken_consumer),
	BESIDE("batch-beside-sleeping-consumer", empty, produce, push_batch, woken_consumer),
	BESIDE("commit-beside-sleeping-consumer", empty, produce, reserve_commit, woken_consumer),
	BESIDE("finish-beside-sleeping-consumer", empty, produce, finish, woken_consumer),
	{ .name = "ring-close-beside-sleeping-consumer", .setup = empty, .prepare = produce,
	  .op = close_ring, .peer = sleeping_consumer, .check = check_beside,
	  .flags = KILL_NO_IMAGES | KILL_SLOW },
	BESIDE("pop-beside-sleeping-producer", full, consume, pop_one, woken_producer),
	{ .name = "ring-close-beside-sleeping-producer", .setup = full, .prepare = consume,
	  .op = close_ring, .peer = sleeping_producer, .check = check_beside,
	  .flags = KILL_NO_IMAGES | KILL_SLOW },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), survivor_world);
}
