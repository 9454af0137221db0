/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.c - the ring and the region lock under the scheduler. */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>

#include "flow/ring.h"
#include "scenarios.h"

/* --- the ring ------------------------------------------------------------------------------- */

/* Two records fill a ring of 32 units: a header and 88 bytes take 12. Small ones, which go the
 * short way but for the first, take 6 with 40 bytes: five of them do. */
enum { RECORDS = 4, WORDS = 11, SMALL_RECORDS = 7, SMALL_WORDS = 5, ODD_WORDS = 7 };

static struct tarn_ring *rings[SCHED_PROCS];

static struct {
	uint32_t pushed, popped;
} ghost;

static size_t record_size; /* of what is pushed and popped */
static uint32_t record_count;
static bool mixed; /* every other one is small, so that one comes where another was just before */

static size_t size_of(uint32_t number)
{
	return mixed && number % 2 != 0 ? sizeof(uint64_t[ODD_WORDS]) : record_size;
}

static void open_both(void)
{
	static const enum tarn_ring_role roles[] = { TARN_RING_PRODUCER, TARN_RING_CONSUMER };
	const struct tarn_ring_opts opts = { .capacity = 256 };

	memset(&ghost, 0, sizeof(ghost));
	for (int p = 0; p < 2; p++) {
		sched_as(p);
		must(tarn_ring_open(sched_region(p), "ring", roles[p], &opts, &rings[p]));
		rings[p]->spin_ns = 0;
		sched_private(rings[p], sizeof(*rings[p]));
	}
	sched_as(SCHED_PROCS);

	struct ring_shm *shm = rings[0]->shm;

	sched_hot("tail", &shm->tail, sizeof(shm->tail));
	sched_hot("producer.owner", &shm->producer, sizeof(shm->producer));
	sched_name("producer.waiting", &shm->producer.waiting);
	sched_hot("head", &shm->head, sizeof(shm->head));
	sched_hot("consumer.owner", &shm->consumer, sizeof(shm->consumer));
	sched_name("consumer.waiting", &shm->consumer.waiting);
	sched_hot("records", shm->records, (size_t)shm->capacity * RING_UNIT);
	sched_ghost(&ghost, sizeof(ghost));
}

static void open_ring(void)
{
	mixed = false;
	record_size = sizeof(uint64_t[WORDS]);
	record_count = RECORDS;
	open_both();
}

static void open_mixed(void)
{
	open_ring();
	mixed = true;
}

static void open_small(void)
{
	mixed = false;
	record_size = sizeof(uint64_t[SMALL_WORDS]);
	record_count = SMALL_RECORDS;
	open_both();
}

static void close_ring(void)
{
	for (int p = 0; p < 2; p++) {
		sched_as(p);
		tarn_ring_close(rings[p]);
	}
}

static void fill(uint64_t words[WORDS], uint64_t number)
{
	for (int i = 0; i < WORDS; i++)
		words[i] = number;
}

static void check_record(const uint64_t *words, size_t size, uint64_t number)
{
	SCHED_CHECK(size == size_of((uint32_t)number), "a record of %zu bytes", size);
	for (int i = 0; i < (int)(size / sizeof(words[0])); i++)
		SCHED_CHECK(words[i] == number, "record %d holds %d at word %d", (int)number,
			    (int)words[i], i);
}

static void push_all(void)
{
	uint64_t words[WORDS];
	int r;

	for (uint32_t n = 0; n < record_count; n++) {
		fill(words, n);
		ghost.pushed++;
		r = tarn_ring_push_wait(rings[0], words, size_of(n), TARN_FOREVER);
		if (r == -EPIPE && sched_dead(1))
			return;
		SCHED_CHECK(r == 0, "push: %s", strerror(-r));
	}
}

static void pop_all(void)
{
	uint64_t words[WORDS];
	size_t size = 0;
	int r;

	for (uint32_t n = 0; n < record_count; n++) {
		r = tarn_ring_pop_wait(rings[1], words, sizeof(words), TARN_FOREVER, &size);
		if (r == -EPIPE && sched_dead(0))
			return;
		SCHED_CHECK(r == 0, "pop: %s", strerror(-r));
		check_record(words, size, n);
		ghost.popped++;
		SCHED_CHECK(ghost.popped <= ghost.pushed, "a record that nobody pushed");
	}
}

static void push_and_pop(int me)
{
	if (me == 0)
		push_all();
	else
		pop_all();
}

static void push_batch_and_finish(void)
{
	uint64_t words[2][WORDS];
	struct tarn_buf bufs[2];
	size_t done = 0;
	void *at = NULL;
	int r;

	for (uint32_t n = 0; n < 2; n++) {
		fill(words[n], n);
		bufs[n] = (struct tarn_buf){ words[n], sizeof(words[n]) };
	}
	ghost.pushed = 2;
	r = tarn_ring_push_batch(rings[0], bufs, 2, &done);
	SCHED_CHECK(r == 0 && done == 2, "push_batch: %d of 2: %s", (int)done, strerror(-r));
	r = tarn_ring_reserve_wait(rings[0], sizeof(words[0]), TARN_FOREVER, &at);
	if (r == -EPIPE && sched_dead(1))
		return;
	SCHED_CHECK(r == 0, "reserve: %s", strerror(-r));
	ghost.pushed = 3;
	fill(words[0], 2);
	memcpy(at, words[0], sizeof(words[0]));
	r = tarn_ring_commit(rings[0], sizeof(words[0]));
	SCHED_CHECK(r == 0, "commit: %s", strerror(-r));
	must(tarn_ring_finish(rings[0]));
}

static void peek_to_the_end(void)
{
	const void *at = NULL;
	uint64_t words[WORDS];
	size_t size = 0;
	int r;

	while ((r = tarn_ring_peek_wait(rings[1], TARN_FOREVER, &at, &size)) == 0) {
		memcpy(words, at, sizeof(words));
		check_record(words, size, ghost.popped);
		r = tarn_ring_release(rings[1], 1);
		SCHED_CHECK(r == 0, "release: %s", strerror(-r));
		ghost.popped++;
	}
	SCHED_CHECK((r == -ENODATA && ghost.popped == 3) || (r == -EPIPE && sched_dead(0)),
		    "peek: %s after %d", strerror(-r), (int)ghost.popped);
}

static void batch_and_peek(int me)
{
	if (me == 0)
		push_batch_and_finish();
	else
		peek_to_the_end();
}

static void verify_ring(void)
{
	check_region();
	if (!sched_dead(0) && !sched_dead(1))
		SCHED_CHECK(ghost.popped == ghost.pushed, "%d records of %d arrived",
			    (int)ghost.popped, (int)ghost.pushed);
}

/* --- the region lock ----------------------------------------------------------------------- */

static struct {
	uint32_t inside;
} lock_ghost;

static void open_lock(void)
{
	struct super_shm *super = sched_region(SCHED_PROCS)->super;

	lock_ghost.inside = 0;
	sched_hot("lock", &super->lock, sizeof(super->lock));
	sched_ghost(&lock_ghost, sizeof(lock_ghost));
}

static void lock_and_unlock(int me)
{
	uint32_t others;

	must(tarn__region_lock(sched_region(me)));
	others = lock_ghost.inside & ~(1u << me);
	for (int p = 0; p < SCHED_PROCS; p++)
		if (sched_dead(p))
			others &= ~(1u << p);
	SCHED_CHECK(others == 0, "P%d has the lock together with others: %x", me, others);
	lock_ghost.inside = 1u << me;
	/* something to be interrupted in */
	(void)tarn__member_alive(sched_region(me), sched_region((me + 1) % 2)->id);
	lock_ghost.inside &= ~(1u << me);
	tarn__region_unlock(sched_region(me));
}

static void lock_twice(int me)
{
	lock_and_unlock(me);
	lock_and_unlock(me);
}

static void verify_lock(void)
{
	struct tarn_region *region = sched_region(SCHED_PROCS);
	int r = tarn__region_lock(region);

	SCHED_CHECK(r == 0, "the region lock cannot be had: %s", strerror(-r));
	tarn__region_unlock(region);
}

static void nothing(void)
{
}

static bool holds_lock(int me)
{
	uint32_t lock = atomic_load(&sched_region(SCHED_PROCS)->super->lock);

	return (lock & ~TARN__ID_FLAG) == sched_region(me)->id;
}

const struct sched_scenario sched_rings[] = {
	{ "ring", "push and pop four records through room for two", .procs = 2, .setup = open_mixed,
	  .body = push_and_pop, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } },
	  .verify = verify_ring, .cleanup = close_ring },
	{ "ring-small", "seven small ones through room for five", .procs = 2, .setup = open_small,
	  .body = push_and_pop, .quick = { 1, 1 }, .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } },
	  .verify = verify_ring, .cleanup = close_ring },
	{ "ring-timers", "the same; time limits pass at any time", .procs = 2, .setup = open_mixed,
	  .body = push_and_pop, .timers = true, .slow = true, .quick = { 1, 1 },
	  .full = { { 2, 1 }, { 1, 2 } }, .verify = verify_ring, .cleanup = close_ring },
	{ "ring-batch", "a batch, a record in place, and the end", .procs = 2, .setup = open_ring,
	  .body = batch_and_peek, .quick = { 2, 1 }, .full = { { 3, 1 }, { 2, 2 } },
	  .verify = verify_ring, .cleanup = close_ring },
	{ "lock", "the region lock, three processes", .procs = 3, .setup = open_lock,
	  .body = lock_and_unlock, .holds = holds_lock, .quick = { 2, 1 }, .full = { { 3, 2 } },
	  .verify = verify_lock, .cleanup = nothing },
	{ "lock-2", "the region lock, two processes, twice each", .procs = 2, .setup = open_lock,
	  .body = lock_twice, .holds = holds_lock, .timers = true, .slow = true, .quick = { 3, 1 },
	  .full = { { 4, 2 } }, .verify = verify_lock, .cleanup = nothing },
	{ 0 },
};
