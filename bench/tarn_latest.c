/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_latest.c - a value that one writes and others read whole: as a latest value, and what one
 * has without it, the value beside a lock. A pass is one write, or one read; each copies the cell's
 * size. What is read was written before by the same side: what is measured is the call, with nobody
 * in its way.
 */
#include "tarn_region.h"

enum { VALUE_MAX = 4096, REGION_SIZE = 1 << 20, SOME = 8 };

static struct tarn_latest *latest;
static struct tarn_mutex *mutex;
static struct tarn_rwlock *rwlock;
static unsigned char *value; /* what the locks guard */
static size_t got;

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
	void *data;

	tarn_must(b, "tarn_mutex_open", tarn_mutex_open(region, "mutex", &mutex_opts, &mutex));
	tarn_must(b, "tarn_rwlock_open", tarn_rwlock_open(region, "rwlock", &rwlock_opts, &rwlock));
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

BENCH_LOCK_LOOPS(latest_put_run, latest_put, done)
BENCH_LOCK_LOOPS(latest_get_run, latest_get, done)
BENCH_LOCK_LOOPS(latest_hold_run, latest_hold, latest_let_go)
BENCH_LOCK_LOOPS(mutex_put_run, mutex_put, done)
BENCH_LOCK_LOOPS(mutex_get_run, mutex_get, done)
BENCH_LOCK_LOOPS(rwlock_put_run, rwlock_put, done)
BENCH_LOCK_LOOPS(rwlock_get_run, rwlock_get, done)

#define CONTESTANT(symbol, say, explain, of, run)                                                  \
	static const struct bench_variant symbol##_variants[] = {                                  \
		{ BENCH_BUSY, BENCH_BIT(BENCH_WRITE), 1, VALUE_MAX, run },                         \
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
