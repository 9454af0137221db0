/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_locks.c - what is changed under a lock: sections, with each changed word in their journal,
 * and the primitives that lock. A pass enters, changes size / 8 words, and leaves.
 */
#include "tarn_region.h"

enum { WORDS_MAX = 64, REGION_SIZE = 1 << 20 };

static uint64_t *words; /* what is changed, a line apart from the lock */
static struct tarn_section *section;
static struct tarn_mutex *mutex;
static struct tarn_sem *sem;
static struct tarn_rwlock *rwlock;
static struct tarn_spin *spin;
static struct tarn_once *once;
static struct tarn_seqlock *seqlock;

static void lock_open(struct bench *b)
{
	tarn_region_make(b, REGION_SIZE);
}

/* The first side to come makes the words, the others find them. */
static struct tarn_region *join(struct bench *b)
{
	struct tarn_region *region = tarn_region_join(b);
	void *data;
	int r = 0;

	if (b->side == 0)
		r = tarn_object_create(region, "words", WORDS_MAX * 8, &data, NULL);
	tarn_must(b, "tarn_object_create", r);
	bench_meet(b);
	if (b->side != 0)
		r = tarn_object_open(region, "words", &data, NULL);
	tarn_must(b, "tarn_object_open", r);
	words = (uint64_t *)data;
	return region;
}

static void lock_detach(struct bench *b)
{
	(void)b;
	tarn_section_close(section);
	tarn_mutex_close(mutex);
	tarn_sem_close(sem);
	tarn_rwlock_close(rwlock);
	tarn_spin_close(spin);
	tarn_once_close(once);
	tarn_seqlock_close(seqlock);
	tarn_region_leave();
}

BENCH_INLINE void change(size_t size, uint64_t number)
{
	for (size_t i = 0; i < size / 8; i++)
		__atomic_store_n(&words[i], number, __ATOMIC_RELAXED);
}

/* --- section ---------------------------------------------------------------------------------- */

static void section_attach(struct bench *b)
{
	const struct tarn_section_opts opts = { .journal_size = 4096 };

	tarn_must(b, "tarn_section_open", tarn_section_open(join(b), "section", &opts, &section));
}

BENCH_INLINE void section_enter(struct bench *b, size_t size, uint64_t number)
{
	struct tarn_tx *tx;

	tarn_must(b, "tarn_section_enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	for (size_t i = 0; i < size / 8; i++)
		tarn_tx_set64(tx, &words[i], number);
}

BENCH_INLINE void section_leave(struct bench *b, size_t size, uint64_t number)
{
	(void)size;
	(void)number;
	tarn_must(b, "tarn_section_leave", tarn_section_leave(section));
}

BENCH_LOCK_LOOPS(section_run, section_enter, section_leave)

/* --- primitives ------------------------------------------------------------------------------- */

#define ATTACH(name, of, handle, what, opts)                                                       \
	static void name##_attach(struct bench *b)                                                 \
	{                                                                                          \
		tarn_must(b, what, tarn_##of##_open(join(b), what, &opts, &handle));               \
	}

#define PRIMITIVE(name, of, handle, what, opts, take, give)                                        \
	ATTACH(name, of, handle, what, opts)                                                       \
	BENCH_INLINE void name##_take(struct bench *b, size_t size, uint64_t number)               \
	{                                                                                          \
		tarn_must(b, what, take(handle, TARN_FOREVER, NULL));                              \
		change(size, number);                                                              \
	}                                                                                          \
	BENCH_INLINE void name##_give(struct bench *b, size_t size, uint64_t number)               \
	{                                                                                          \
		(void)size;                                                                        \
		(void)number;                                                                      \
		tarn_must(b, what, give(handle));                                                  \
	}                                                                                          \
	BENCH_LOCK_LOOPS(name##_run, name##_take, name##_give)

static const struct tarn_mutex_opts mutex_opts = { .type = TARN_MUTEX_NORMAL };
static const struct tarn_mutex_opts recursive_opts = { .type = TARN_MUTEX_RECURSIVE };
static const struct tarn_sem_opts sem_opts = { .value = 1 };
static const struct tarn_sem_opts owned_opts = { .value = 1, .flags = TARN_SEM_OWNED };
static const struct tarn_rwlock_opts rwlock_opts = { .readers = 8 };
static const struct tarn_spin_opts spin_opts = { 0 };
static const struct tarn_once_opts once_opts = { 0 };
static const struct tarn_seqlock_opts seqlock_opts = { 0 };

PRIMITIVE(mutex, mutex, mutex, "mutex", mutex_opts, tarn_mutex_lock, tarn_mutex_unlock)
PRIMITIVE(recursive, mutex, mutex, "mutex", recursive_opts, tarn_mutex_lock, tarn_mutex_unlock)
PRIMITIVE(sem, sem, sem, "semaphore", sem_opts, tarn_sem_wait, tarn_sem_post)
PRIMITIVE(owned, sem, sem, "semaphore", owned_opts, tarn_sem_wait, tarn_sem_post)
PRIMITIVE(rwlock, rwlock, rwlock, "rwlock", rwlock_opts, tarn_rwlock_write, tarn_rwlock_unlock)
PRIMITIVE(spin, spin, spin, "spin", spin_opts, tarn_spin_lock, tarn_spin_unlock)

/* --- rwlock, to read -------------------------------------------------------------------------- */

/* Readers do not wait for one another: handed over it is from a writer to a reader, and from that
 * one to a writer, by turns. */
ATTACH(shared, rwlock, rwlock, "rwlock", rwlock_opts)

BENCH_INLINE void shared_take(struct bench *b, size_t size, uint64_t number)
{
	if (b->cell->measure == BENCH_HAND_OVER && number % 2 == 0) {
		rwlock_take(b, size, number);
		return;
	}
	tarn_must(b, "tarn_rwlock_read", tarn_rwlock_read(rwlock, TARN_FOREVER, NULL));
	for (size_t i = 0; i < size / 8; i++)
		(void)__atomic_load_n(&words[i], __ATOMIC_RELAXED);
}

BENCH_LOCK_LOOPS(shared_run, shared_take, rwlock_give)

/* --- sequence lock, to write ------------------------------------------------------------------ */

ATTACH(seqlock, seqlock, seqlock, "seqlock", seqlock_opts)

BENCH_INLINE void seqlock_take(struct bench *b, size_t size, uint64_t number)
{
	tarn_must(b, "tarn_seqlock_lock", tarn_seqlock_lock(seqlock, TARN_FOREVER, NULL));
	(void)number;
	tarn_must(b, "tarn_seqlock_store", tarn_seqlock_store(seqlock, words, b->source, size));
}

BENCH_INLINE void seqlock_give(struct bench *b, size_t size, uint64_t number)
{
	(void)size;
	(void)number;
	tarn_must(b, "tarn_seqlock_unlock", tarn_seqlock_unlock(seqlock));
}

BENCH_LOCK_LOOPS(seqlock_run, seqlock_take, seqlock_give)

/* --- once ------------------------------------------------------------------------------------- */

static int do_once(void *arg, bool again)
{
	(void)arg;
	(void)again;
	return 0;
}

/* Alone: what was done before is not done again. Handed over: who has begun it fails, and the other
 * one, who waits, begins. */
static void once_attach(struct bench *b)
{
	tarn_must(b, "once", tarn_once_open(join(b), "once", &once_opts, &once));
	if (b->side == 0 && b->cell->measure == BENCH_WRITE)
		tarn_must(b, "once", tarn_once_run(once, TARN_FOREVER, do_once, NULL, NULL));
}

static int must_not_do(void *arg, bool again)
{
	(void)again;
	bench_fail((struct bench *)arg, "what was done once was done again", EBADMSG);
}

BENCH_INLINE void once_take(struct bench *b, size_t size, uint64_t number)
{
	int r;

	if (b->cell->measure == BENCH_WRITE) {
		tarn_must(b, "tarn_once_run",
			  tarn_once_run(once, TARN_FOREVER, must_not_do, b, NULL));
		return;
	}
	tarn_must(b, "tarn_once_begin", r = tarn_once_begin(once, TARN_FOREVER, NULL));
	if (r == TARN_ONCE_DONE)
		bench_fail(b, "what has failed is told to be done", EBADMSG);
	change(size, number);
}

BENCH_INLINE void once_give(struct bench *b, size_t size, uint64_t number)
{
	(void)size;
	(void)number;
	if (b->cell->measure == BENCH_HAND_OVER)
		tarn_must(b, "tarn_once_fail", tarn_once_fail(once));
}

BENCH_LOCK_LOOPS(once_run, once_take, once_give)

/* Held for long, who waits for it sleeps: mode blocking. What it costs alone is the same then. */
#define VARIANTS(name, beside, bytes)                                                              \
	static const struct bench_variant name##_variants[] = {                                    \
		{ BENCH_BUSY, BENCH_ALL_OF_LOCKS | (beside), 0, bytes, name##_run },               \
		{ BENCH_BLOCKING, BENCH_BIT(BENCH_HAND_OVER) | (beside), 0, bytes, name##_run },   \
		{ 0 },                                                                             \
	};

VARIANTS(section, 0, WORDS_MAX * 8)
VARIANTS(mutex, 0, WORDS_MAX * 8)
VARIANTS(sem, 0, WORDS_MAX * 8)
VARIANTS(rwlock, 0, WORDS_MAX * 8)
VARIANTS(recursive, BENCH_FULL_RUN, WORDS_MAX * 8)
VARIANTS(owned, BENCH_FULL_RUN, WORDS_MAX * 8)
VARIANTS(shared, BENCH_FULL_RUN, WORDS_MAX * 8)
VARIANTS(seqlock, BENCH_FULL_RUN, WORDS_MAX * 8)
VARIANTS(once, BENCH_FULL_RUN, 0)

static const struct bench_variant spin_variants[] = {
	{ BENCH_BUSY, BENCH_ALL_OF_LOCKS, 0, WORDS_MAX * 8, spin_run },
	{ 0 },
};

#define CONTESTANT(symbol, say, explain, list)                                                     \
	const struct bench_contestant symbol = {                                                   \
		.name = say,                                                                       \
		.group = BENCH_TARN,                                                               \
		.what = explain,                                                                   \
		.variants = list##_variants,                                                       \
		.open = lock_open,                                                                 \
		.attach = list##_attach,                                                           \
		.detach = lock_detach,                                                             \
	};

CONTESTANT(bench_tarn_section, "section",
	   "a section: what is changed is undone if its owner dies (tarn/section.h)", section)
CONTESTANT(bench_tarn_mutex, "mutex", "a mutex (tarn/mutex.h)", mutex)
CONTESTANT(bench_tarn_sem, "semaphore", "a semaphore of one permit (tarn/sem.h)", sem)
CONTESTANT(bench_tarn_rwlock, "rwlock", "a rwlock, to write (tarn/rwlock.h)", rwlock)
CONTESTANT(bench_tarn_recursive, "recursive-mutex", "a mutex that its owner may lock again",
	   recursive)
CONTESTANT(bench_tarn_owned, "owned-semaphore", "a semaphore whose permit has an owner", owned)
CONTESTANT(bench_tarn_shared, "rwlock-shared",
	   "a rwlock, to read; handed over from a writer to a reader and back", shared)
CONTESTANT(bench_tarn_seqlock, "seqlock", "a sequence lock, to write (tarn/seqlock.h)", seqlock)
CONTESTANT(bench_tarn_once, "once",
	   "what was done is not done again; handed over by who fails (tarn/once.h)", once)
CONTESTANT(bench_tarn_spin, "spin-lock", "a spin lock (tarn/spin.h)", spin)
