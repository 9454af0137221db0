/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_latest.c - a value that one writes and others read whole: as a latest value, and what one
 * has without it, the value beside a lock. A pass is one write, or one read; each copies the cell's
 * size. What is read was written before by the same side: what is measured is the call, with nobody
 * in its way. Between two processes, "latest": one writes, the other waits for its change counter,
 * or polls it, and answers by another one; no value may be passed over there.
 */
#include "tarn_region.h"

enum { VALUE_MAX = 4096, REGION_SIZE = 1 << 20, SOME = 8 };

static struct tarn_latest *latest;
static struct tarn_mutex *mutex;
static struct tarn_rwlock *rwlock;
static unsigned char *value; /* what the locks guard */
static size_t got;
static struct tarn_seqlock *seqlock;
static struct tarn_latest *pair[2]; /* by channel */

static void value_open(struct bench *b)
{
	tarn_region_make(b, REGION_SIZE);
}

static void value_detach(struct bench *b)
{
	(void)b;
	tarn_latest_close(latest);
	tarn_mutex_close(mutex);
	tarn_rwlock_close(rwlock);
	tarn_seqlock_close(seqlock);
	tarn_region_leave();
}

/* Side 0 alone has something to do. */
static void latest_attach(struct bench *b)
{
	struct tarn_latest_opts opts = { .size = VALUE_MAX };
	struct tarn_region *region = tarn_region_join(b);

	tarn_must(b, "tarn_latest_open", tarn_latest_open(region, "latest", &opts, &latest));
	if (b->side == 0)
		tarn_must(b, "tarn_latest_write",
			  tarn_latest_write(latest, b->source, b->cell->size, TARN_FOREVER, NULL));
}

static void locked_attach(struct bench *b)
{
	struct tarn_region *region = tarn_region_join(b);
	struct tarn_mutex_opts mutex_opts = { .type = TARN_MUTEX_NORMAL };
	struct tarn_rwlock_opts rwlock_opts = { .readers = SOME };
	struct tarn_seqlock_opts seqlock_opts = { 0 };
	void *data;

	tarn_must(b, "tarn_mutex_open", tarn_mutex_open(region, "mutex", &mutex_opts, &mutex));
	tarn_must(b, "tarn_rwlock_open", tarn_rwlock_open(region, "rwlock", &rwlock_opts, &rwlock));
	tarn_must(b, "tarn_seqlock_open",
		  tarn_seqlock_open(region, "seqlock", &seqlock_opts, &seqlock));
	if (b->side != 0)
		return;
	tarn_must(b, "tarn_object_create",
		  tarn_object_create(region, "value", VALUE_MAX, &data, NULL));
	value = data;
}

/* --- passes ----------------------------------------------------------------------------------- */

BENCH_INLINE void done(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
}

BENCH_INLINE void latest_put(struct bench *b, size_t size, uint64_t number)
{
	(void)number;
	tarn_must(b, "tarn_latest_write",
		  tarn_latest_write(latest, b->source, size, TARN_FOREVER, NULL));
}

BENCH_INLINE void latest_get(struct bench *b, size_t size, uint64_t number)
{
	(void)number;
	tarn_must(b, "tarn_latest_read", tarn_latest_read(latest, b->sink, size, &got, NULL));
}

BENCH_INLINE void latest_hold(struct bench *b, size_t size, uint64_t number)
{
	const void *data;

	(void)size;
	(void)number;
	tarn_must(b, "tarn_latest_hold", tarn_latest_hold(latest, &data, &got, NULL, NULL));
}

BENCH_INLINE void latest_let_go(struct bench *b, size_t size, uint64_t number)
{
	(void)b;
	(void)size;
	(void)number;
	tarn_latest_release(latest);
}

/* The compiler may not keep a copy that nobody looks at. */
BENCH_INLINE void copy(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	__asm__ volatile("" ::: "memory");
}

#define LOCKED(name, handle, take, give, to, from)                                                 \
	BENCH_INLINE void name(struct bench *b, size_t size, uint64_t number)                      \
	{                                                                                          \
		(void)number;                                                                      \
		tarn_must(b, #take, take(handle, TARN_FOREVER, NULL));                             \
		copy(to, from, size);                                                              \
		tarn_must(b, #give, give(handle));                                                 \
	}

LOCKED(mutex_put, mutex, tarn_mutex_lock, tarn_mutex_unlock, value, b->source)
LOCKED(mutex_get, mutex, tarn_mutex_lock, tarn_mutex_unlock, b->sink, value)
LOCKED(rwlock_put, rwlock, tarn_rwlock_write, tarn_rwlock_unlock, value, b->source)
LOCKED(rwlock_get, rwlock, tarn_rwlock_read, tarn_rwlock_unlock, b->sink, value)

BENCH_INLINE void seqlock_put(struct bench *b, size_t size, uint64_t number)
{
	(void)number;
	tarn_must(b, "tarn_seqlock_write",
		  tarn_seqlock_write(seqlock, value, b->source, size, TARN_FOREVER, NULL));
}

BENCH_INLINE void seqlock_get(struct bench *b, size_t size, uint64_t number)
{
	(void)number;
	tarn_must(b, "tarn_seqlock_read",
		  tarn_seqlock_read(seqlock, b->sink, value, size, TARN_FOREVER));
}

BENCH_LOCK_LOOPS(latest_put_run, latest_put, done)
BENCH_LOCK_LOOPS(latest_get_run, latest_get, done)
BENCH_LOCK_LOOPS(latest_hold_run, latest_hold, latest_let_go)
BENCH_LOCK_LOOPS(mutex_put_run, mutex_put, done)
BENCH_LOCK_LOOPS(mutex_get_run, mutex_get, done)
BENCH_LOCK_LOOPS(rwlock_put_run, rwlock_put, done)
BENCH_LOCK_LOOPS(rwlock_get_run, rwlock_get, done)
BENCH_LOCK_LOOPS(seqlock_put_run, seqlock_put, done)
BENCH_LOCK_LOOPS(seqlock_get_run, seqlock_get, done)

#define CONTESTANT(symbol, say, explain, of, run) BESIDE(symbol, say, explain, of, run, 0)
#define BESIDE(symbol, say, explain, of, run, beside)                                              \
	static const struct bench_variant symbol##_variants[] = {                                  \
		{ BENCH_BUSY, BENCH_BIT(BENCH_WRITE) | (beside), 1, VALUE_MAX, run },              \
		{ 0 },                                                                             \
	};                                                                                         \
	const struct bench_contestant symbol = {                                                   \
		.name = say,                                                                       \
		.group = BENCH_TARN,                                                               \
		.what = explain,                                                                   \
		.variants = symbol##_variants,                                                     \
		.open = value_open,                                                                \
		.attach = of##_attach,                                                             \
		.detach = value_detach,                                                            \
	};

CONTESTANT(bench_tarn_latest_write, "latest-write", "a latest value, written (tarn/latest.h)",
	   latest, latest_put_run)
CONTESTANT(bench_tarn_latest_read, "latest-read", "a latest value, copied out of it", latest,
	   latest_get_run)
CONTESTANT(bench_tarn_latest_hold, "latest-hold", "a latest value, held and released", latest,
	   latest_hold_run)
CONTESTANT(bench_tarn_mutex_write, "mutex-write", "a value copied in under a mutex", locked,
	   mutex_put_run)
CONTESTANT(bench_tarn_mutex_read, "mutex-read", "a value copied out under a mutex", locked,
	   mutex_get_run)
CONTESTANT(bench_tarn_rwlock_write, "rwlock-write", "a value copied in under a rwlock", locked,
	   rwlock_put_run)
CONTESTANT(bench_tarn_rwlock_read, "rwlock-read", "a value copied out under a rwlock, shared",
	   locked, rwlock_get_run)
BESIDE(bench_tarn_seqlock_write, "seqlock-write", "a value copied in under a sequence lock", locked,
       seqlock_put_run, BENCH_FULL_RUN)
BESIDE(bench_tarn_seqlock_read, "seqlock-read", "a value copied out under a sequence lock", locked,
       seqlock_get_run, BENCH_FULL_RUN)

/* --- between two processes -------------------------------------------------------------------- */

enum { PAIR_MAX = 1 << 20, PAIR_BUFFERS = 3 };

static void pair_open(struct bench *b)
{
	tarn_region_make(b, REGION_SIZE + 2 * PAIR_BUFFERS * (b->cell->size + 128));
}

static void pair_attach(struct bench *b)
{
	bool lends = b->cell->variant->mode == BENCH_IN_PLACE ||
		     b->cell->variant->mode == BENCH_ZERO_COPY;
	struct tarn_latest_opts opts = { .size = (uint32_t)b->cell->size,
					 .holders = 1,
					 .flags = lends ? TARN_LATEST_IN_PLACE : 0 };
	struct tarn_region *region = tarn_region_join(b);

	for (unsigned i = 0; i < 2; i++)
		tarn_must(b, "tarn_latest_open",
			  tarn_latest_open(region, i == 0 ? "there" : "back", &opts, &pair[i]));
}

static void pair_detach(struct bench *b)
{
	tarn_latest_close(pair[0]);
	tarn_latest_close(pair[1]);
	value_detach(b);
}

/* Until there is value @number, counted from 0 as messages are. */
BENCH_INLINE void pair_await(struct bench *b, unsigned channel, uint64_t number, bool sleeps)
{
	uint64_t newest;

	if (sleeps)
		tarn_must(b, "tarn_latest_wait",
			  tarn_latest_wait(pair[channel], number, TARN_FOREVER, &newest));
	else
		while ((newest = tarn_latest_number(pair[channel])) <= number)
			bench_pause(b);
	if (__builtin_expect(newest != number + 1, 0))
		bench_fail(b, "the change counter is another one than so many values have",
			   EBADMSG);
}

BENCH_INLINE void pair_check(struct bench *b, size_t size, uint64_t number, uint64_t newest)
{
	if (__builtin_expect(got != size || newest != number + 1, 0))
		bench_fail(b, "a value of another size or number", EBADMSG);
}

BENCH_INLINE void pair_write(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	tarn_await_turn(b, number);
	tarn_must(b, "tarn_latest_write",
		  tarn_latest_write(pair[channel], bench_message(b, size, number), size,
				    TARN_FOREVER, NULL));
}

BENCH_INLINE void pair_read(struct bench *b, unsigned channel, size_t size, uint64_t number,
			    bool sleeps)
{
	void *to = bench_sink(b, size, number);
	uint64_t newest;

	pair_await(b, channel, number, sleeps);
	tarn_must(b, "tarn_latest_read", tarn_latest_read(pair[channel], to, size, &got, &newest));
	pair_check(b, size, number, newest);
	bench_check(b, to, size, number);
	tarn_had(b, number);
}

BENCH_INLINE void pair_poll(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	pair_read(b, channel, size, number, false);
}

BENCH_INLINE void pair_sleep(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	pair_read(b, channel, size, number, true);
}

BENCH_LOOPS(pair_busy_run, pair_write, pair_poll)
BENCH_LOOPS(pair_blocking_run, pair_write, pair_sleep)

BENCH_INLINE void pair_lend(struct bench *b, unsigned channel, size_t size, uint64_t number,
			    bool all)
{
	void *data;

	tarn_must(b, "tarn_latest_loan",
		  tarn_latest_loan(pair[channel], TARN_FOREVER, &data, NULL));
	if (all)
		bench_fill(b, data, size, number);
	else
		bench_mark(data, size, number);
	tarn_must(b, "tarn_latest_publish", tarn_latest_publish(pair[channel], size));
}

BENCH_INLINE void pair_look(struct bench *b, unsigned channel, size_t size, uint64_t number,
			    bool all)
{
	const void *data;
	uint64_t newest;

	pair_await(b, channel, number, false);
	tarn_must(b, "tarn_latest_hold",
		  tarn_latest_hold(pair[channel], &data, &got, &newest, NULL));
	pair_check(b, size, number, newest);
	if (all)
		bench_check(b, data, size, number);
	else
		bench_check_mark(b, data, size, number);
	tarn_latest_release(pair[channel]);
}

BENCH_INLINE void pair_fill(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	pair_lend(b, channel, size, number, true);
}

BENCH_INLINE void pair_see(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	pair_look(b, channel, size, number, true);
}

BENCH_INLINE void pair_mark(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	pair_lend(b, channel, size, number, false);
}

BENCH_INLINE void pair_glance(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	pair_look(b, channel, size, number, false);
}

BENCH_LOOPS(pair_in_place_run, pair_fill, pair_see)
BENCH_LOOPS(pair_zero_copy_run, pair_mark, pair_glance)

#define TRIPS (BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_FULL_RUN)

static const struct bench_variant pair_variants[] = {
	{ BENCH_BUSY, TRIPS, 1, PAIR_MAX, pair_busy_run },
	{ BENCH_BLOCKING, TRIPS | BENCH_BIT(BENCH_WAKE_UP), 1, PAIR_MAX, pair_blocking_run },
	{ BENCH_IN_PLACE, TRIPS, 1, PAIR_MAX, pair_in_place_run },
	{ BENCH_ZERO_COPY, TRIPS, 16, PAIR_MAX, pair_zero_copy_run },
	{ 0 },
};

const struct bench_contestant bench_tarn_latest = {
	.name = "latest",
	.group = BENCH_TARN,
	.what = "latest values, one each way: polled or slept for, copied or in place",
	.variants = pair_variants,
	.open = pair_open,
	.attach = pair_attach,
	.detach = pair_detach,
};
