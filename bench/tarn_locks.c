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

#define PRIMITIVE(name, handle, what, opts, take, give)                                            \
	static void name##_attach(struct bench *b)                                                 \
	{                                                                                          \
		tarn_must(b, what, tarn_##name##_open(join(b), what, &opts, &handle));             \
	}                                                                                          \
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
static const struct tarn_sem_opts sem_opts = { .value = 1 };
static const struct tarn_rwlock_opts rwlock_opts = { .readers = 8 };
static const struct tarn_spin_opts spin_opts = { 0 };

PRIMITIVE(mutex, mutex, "mutex", mutex_opts, tarn_mutex_lock, tarn_mutex_unlock)
PRIMITIVE(sem, sem, "semaphore", sem_opts, tarn_sem_wait, tarn_sem_post)
PRIMITIVE(rwlock, rwlock, "rwlock", rwlock_opts, tarn_rwlock_write, tarn_rwlock_unlock)
PRIMITIVE(spin, spin, "spin", spin_opts, tarn_spin_lock, tarn_spin_unlock)

/* Held for long, who waits for it sleeps: mode blocking. What it costs alone is the same then. */
#define VARIANTS(name)                                                                             \
	static const struct bench_variant name##_variants[] = {                                    \
		{ BENCH_BUSY, BENCH_ALL_OF_LOCKS, 0, WORDS_MAX * 8, name##_run },                  \
		{ BENCH_BLOCKING, BENCH_BIT(BENCH_HAND_OVER), 0, WORDS_MAX * 8, name##_run },      \
		{ 0 },                                                                             \
	};

VARIANTS(section)
VARIANTS(mutex)
VARIANTS(sem)
VARIANTS(rwlock)

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
CONTESTANT(bench_tarn_spin, "spin-lock", "a spin lock (tarn/spin.h)", spin)
