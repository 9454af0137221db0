/* SPDX-License-Identifier: BSD-2-Clause */
/* rings.c - producers and consumers, and what they write into the ledger. See storm.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "storm.h"

#define SLICE_NS INT64_C(20000000)

/* One end of a ring, in one process. */
struct end {
	struct storm *storm;
	struct ring_ledger *ledger;
	struct tarn_region *region;
	struct tarn_ring *ring;
	enum tarn_ring_role role;
	int index;
	uint64_t rng;
	/* producer */
	uint64_t base;
	uint32_t maybe;
	uint32_t incarnation;
	/* consumer: the first record of this process */
	bool fresh;
};

static uint32_t pick(struct end *e, uint32_t below)
{
	return (uint32_t)(storm_random(&e->rng) % below);
}

static void open_end(struct end *e)
{
	/* a small ring: full and empty come often */
	struct tarn_diag diag = { .what = "" };
	const struct tarn_ring_opts opts = { .capacity = 1024, .diag = &diag };
	char name[16];
	int r;

	e->region = storm_join(e->storm);
	snprintf(name, sizeof(name), "ring-%d", e->index);
	r = tarn_ring_open(e->region, name, e->role, &opts, &e->ring);
	if (r < 0) {
		storm_violation(e->storm, "%s of %s: %s: %s",
				e->role == TARN_RING_PRODUCER ? "producer" : "consumer", name,
				strerror(-r), diag.what);
		_exit(1);
	}
}

static void close_end(struct end *e)
{
	tarn_ring_close(e->ring);
	tarn_region_close(e->region);
}

/* Leave and come back, as a process that ends well and is followed by another. */
static void come_again(struct end *e)
{
	if (pick(e, 200) != 0)
		return;
	close_end(e);
	open_end(e);
}

/* --- producing ----------------------------------------------------------------------------- */

static size_t fill(struct end *e, struct storm_record *record, uint64_t n)
{
	memset(record, 0, sizeof(*record));
	record->n = n;
	record->base = e->base;
	record->maybe = e->maybe;
	record->incarnation = e->incarnation;
	record->size = pick(e, FILL_MAX + 1);
	for (uint32_t i = 0; i < record->size; i++)
		record->filling[i] = (unsigned char)storm_random(&e->rng);
	record->sum = tarn__fnv32(record->filling, record->size, (uint32_t)n);
	return offsetof(struct storm_record, filling) + record->size;
}

static int by_batch(struct end *e, uint64_t n, uint32_t count, size_t *ret_count)
{
	struct storm_record records[BATCH_MAX];
	struct tarn_buf bufs[BATCH_MAX];

	for (uint32_t i = 0; i < count; i++) {
		bufs[i].size = fill(e, &records[i], n + i);
		bufs[i].data = &records[i];
	}
	return tarn_ring_push_batch(e->ring, bufs, count, ret_count);
}

static int by_reserve(struct end *e, uint64_t n)
{
	struct storm_record record;
	size_t size = fill(e, &record, n);
	void *data;
	int r = tarn_ring_reserve_wait(e->ring, size, tarn_deadline_after(SLICE_NS), &data);

	if (r < 0)
		return r;
	if (e->storm->mutant == MUTANT_TORN && pick(e, 50) == 0) {
		memset(data, 0, size);
		memcpy(data, &record, offsetof(struct storm_record, sum));
		return tarn_ring_commit(e->ring, size);
	}
	memcpy(data, &record, size);
	return tarn_ring_commit(e->ring, size);
}

static int by_push(struct end *e, uint64_t n)
{
	struct storm_record record;
	size_t size = fill(e, &record, n);

	if (pick(e, 2) == 0)
		return tarn_ring_push(e->ring, &record, size);
	return tarn_ring_push_wait(e->ring, &record, size, tarn_deadline_after(SLICE_NS));
}

/* One call, with the ledger kept around it. */
static int write_some(struct end *e)
{
	uint64_t n = e->ledger->written;
	uint32_t count = pick(e, 3) == 0 ? 1 + pick(e, BATCH_MAX) : 1;
	bool early = e->storm->mutant == MUTANT_COUNT_FIRST;
	size_t done = 1;
	int r;

	e->ledger->intent = count;
	if (early) {
		e->ledger->written = n + 1;
		harness_sleep_us(200);
		count = 1;
	}
	if (count > 1)
		r = by_batch(e, n, count, &done);
	else
		r = pick(e, 2) == 0 ? by_reserve(e, n) : by_push(e, n);
	if (r == 0)
		e->ledger->written = n + done;
	else if (early)
		e->ledger->written = n;
	e->ledger->intent = 0;
	return r;
}

static void idle(struct end *e, int r)
{
	if (r == -EAGAIN || r == -ETIMEDOUT)
		return;
	if (r == -EPIPE) {
		/* the other one has died: another will come */
		r = tarn_ring_wait_peer(e->ring, tarn_deadline_after(SLICE_NS));
		if (r == 0 || r == -ETIMEDOUT || r == -ENODATA)
			return;
	}
	storm_violation(e->storm, "ring %d: %s: %s", e->index,
			e->role == TARN_RING_PRODUCER ? "writing" : "reading", strerror(-r));
	_exit(1);
}

void storm_produce(struct storm *storm, int ring, uint64_t seed)
{
	struct end e = {
		.storm = storm,
		.ledger = &storm->rings[ring],
		.index = ring,
		.role = TARN_RING_PRODUCER,
		.rng = seed,
	};

	open_end(&e);
	e.base = e.ledger->written;
	e.maybe = e.ledger->intent;
	e.incarnation = ++e.ledger->incarnation;
	while (storm->stop == 0) {
		int r = write_some(&e);

		if (r != 0)
			idle(&e, r);
		come_again(&e);
	}
	if (tarn_ring_finish(e.ring) < 0)
		storm_violation(storm, "ring %d: finish", ring);
	e.ledger->ended = 1;
	close_end(&e);
}

/* --- consuming ----------------------------------------------------------------------------- */

static bool whole(const struct storm_record *record, size_t size)
{
	return size >= offsetof(struct storm_record, filling) && record->size <= FILL_MAX &&
	       size == offsetof(struct storm_record, filling) + record->size &&
	       record->sum == tarn__fnv32(record->filling, record->size, (uint32_t)record->n);
}

/* May @record come right behind @last? */
static bool follows(const struct storm_seen *last, const struct storm_record *record)
{
	uint64_t again;

	if (last->incarnation == record->incarnation)
		return record->n == last->n + 1;
	if (record->incarnation < last->incarnation || record->n != record->base)
		return false;
	if (last->incarnation == 0)
		return record->n == 0;
	/* numbers that its predecessor wrote and did not count, written again */
	again = last->n + 1 - record->base;
	return again <=
	       (record->incarnation == last->incarnation + 1 ? record->maybe : (uint32_t)BATCH_MAX);
}

static bool is_same(const struct storm_seen *seen, const struct storm_record *record)
{
	return seen->n == record->n && seen->incarnation == record->incarnation;
}

/* What this record may follow: the last one seen, or, for the first of a successor, any of those
 * that its predecessor had in hand. */
static bool expected(struct end *e, const struct storm_note *note, struct storm_seen *last,
		     const struct storm_record *record)
{
	bool again = false;

	if (e->fresh) {
		e->fresh = false;
		for (uint32_t i = 0; i < note->count && !again; i++)
			again = is_same(&note->batch[i], record);
		if (again)
			e->ledger->seen_again++;
	}
	if (!again && !follows(last, record))
		return false;
	if (!again && last->incarnation != 0 && record->incarnation != last->incarnation)
		e->ledger->repeated += last->n + 1 - record->base;
	*last = (struct storm_seen){ .n = record->n, .incarnation = record->incarnation };
	return true;
}

static void note_batch(struct end *e, const struct tarn_buf *bufs, size_t count)
{
	uint32_t current = e->ledger->current;
	const struct storm_note *old = &e->ledger->notes[current];
	struct storm_note *note = &e->ledger->notes[1 - current];
	struct storm_seen last = old->last;

	note->count = 0;
	for (size_t i = 0; i < count; i++) {
		struct storm_record record = { .n = 0 };

		if (bufs[i].size <= sizeof(record))
			memcpy(&record, bufs[i].data, bufs[i].size);
		if (!whole(&record, bufs[i].size)) {
			storm_violation(e->storm, "ring %d: a torn record behind %llu", e->index,
					(unsigned long long)last.n);
			_exit(1);
		}
		if (!expected(e, old, &last, &record)) {
			storm_violation(e->storm,
					"ring %d: record %llu of incarnation %u (base %llu, maybe "
					"%u) behind %llu of %u",
					e->index, (unsigned long long)record.n, record.incarnation,
					(unsigned long long)record.base, record.maybe,
					(unsigned long long)last.n, last.incarnation);
			_exit(1);
		}
		note->batch[note->count++] = last;
	}
	note->last = last;
	e->ledger->current = 1 - current;
	e->ledger->seen += count;
}

static int read_some(struct end *e)
{
	struct tarn_buf bufs[BATCH_MAX];
	const void *data;
	size_t count = 1;
	int r;

	if (pick(e, 2) == 0) {
		r = tarn_ring_peek_batch(e->ring, bufs, 1 + pick(e, BATCH_MAX), &count);
	} else {
		r = tarn_ring_peek_wait(e->ring, tarn_deadline_after(SLICE_NS), &data,
					&bufs[0].size);
		bufs[0].data = (void *)(uintptr_t)data;
	}
	if (r != 0)
		return r;
	if (e->storm->mutant == MUTANT_RELEASE_FIRST && count == 1) {
		struct storm_record copy = { .n = 0 };

		memcpy(&copy, bufs[0].data,
		       bufs[0].size < sizeof(copy) ? bufs[0].size : sizeof(copy));
		r = tarn_ring_release(e->ring, 1);
		harness_sleep_us(200);
		bufs[0].data = &copy;
		note_batch(e, bufs, 1);
		return r;
	}
	note_batch(e, bufs, count);
	if (count > 1 && pick(e, 2) == 0) {
		r = tarn_ring_release(e->ring, 1);
		return r < 0 ? r : tarn_ring_release(e->ring, count - 1);
	}
	return tarn_ring_release(e->ring, count);
}

void storm_consume(struct storm *storm, int ring, uint64_t seed)
{
	struct end e = {
		.storm = storm,
		.ledger = &storm->rings[ring],
		.index = ring,
		.role = TARN_RING_CONSUMER,
		.rng = seed,
		.fresh = true,
	};

	open_end(&e);
	for (;;) {
		int r = read_some(&e);

		if (r == -ENODATA && e.ledger->ended != 0)
			break;
		if (r == -ENODATA) {
			/* finished, but by one who died before it could say so */
			harness_sleep_us(1000);
			continue;
		}
		if (r != 0)
			idle(&e, r);
		come_again(&e);
	}
	close_end(&e);
}
