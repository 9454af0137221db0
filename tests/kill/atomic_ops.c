/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * atomic_ops.c - words of shared memory, changed in each way that there is, one after the other:
 * whoever comes after a death finds each of them old or new, and the new ones first. And a gate,
 * 0 until somebody opens it, at which others sleep.
 *
 * Beside sleepers the operation has the mutex, and lets go of it last: a thread of the peer learns
 * from that how it ended, and opens the gate where it died. Sleepers look again after 5 s, so where
 * the operation came to its end it is that which has woken them; but where nobody is to wake them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <tarn/atomic.h>
#include <tarn/mutex.h>

#include "atomic_ops.h"
#include "plat/plat.h"
#include "survivor.h"
#include "sync/prim.h"

enum { OBJECTS = 3 }; /* keep, words, mutex */

#define SLICE_NS INT64_C(10000000)
#define LONG_NS  INT64_C(5000000000)

struct words {
	uint64_t wide[ATOMIC_STEPS];
	uint32_t narrow[ATOMIC_STEPS];
	uint32_t gate;
};

/* In the page that all processes of a sweep share. */
struct state {
	_Atomic int32_t peers[2];  /* threads that sleep at the gate, or are about to */
	_Atomic uint32_t finished; /* so many of them have done their work */
	_Atomic uint32_t ready;    /* they may fall asleep */
	_Atomic uint32_t locked;   /* the operation has the mutex */
	_Atomic uint32_t died;     /* with it */
};

static struct tarn_region *region;
static struct tarn_mutex *mutex;
static struct words *words;

static struct state *state_of(const struct kill_world *world)
{
	return world->shared;
}

#define OP(name) int name(struct kill_world *world, struct harness_report *report)

/* --- the ways to change a word ------------------------------------------------------------- */

/* Every byte of them changes in most of these, and sums carry from one half to the other. */
#define OLD32 UINT32_C(0x5a3cffff)
#define OLD64 UINT64_C(0x5a3c69a5ffffffff)
#define ADD32 UINT32_C(0x01010101)
#define ADD64 UINT64_C(0x0101010101010101)
#define BIT32 30
#define BIT64 62

#define WAYS(n)                                                                                    \
	static uint##n##_t new##n(int i)                                                           \
	{                                                                                          \
		static const uint##n##_t values[ATOMIC_STEPS] = {                                  \
			(uint##n##_t) ~OLD##n,                                                     \
			(uint##n##_t) ~OLD##n,                                                     \
			(uint##n##_t) ~OLD##n,                                                     \
			(uint##n##_t)(OLD##n + ADD##n),                                            \
			(uint##n##_t)(OLD##n + ADD##n),                                            \
			(uint##n##_t)(OLD##n - ADD##n),                                            \
			OLD##n | ADD##n << 2,                                                      \
			OLD##n & ADD##n,                                                           \
			(uint##n##_t)(OLD##n + ADD##n),                                            \
			(uint##n##_t) ~OLD##n,                                                     \
			ADD##n,                                                                    \
			OLD##n | (uint##n##_t)1 << (n - 1),                                        \
			OLD##n & ~((uint##n##_t)1 << BIT##n),                                      \
		};                                                                                 \
		return values[i];                                                                  \
	}                                                                                          \
                                                                                                   \
	static void raise##n(uint##n##_t *word)                                                    \
	{                                                                                          \
		uint##n##_t seen = tarn_atomic_load##n(word);                                      \
                                                                                                   \
		while (!tarn_atomic_compare_exchange##n(word, &seen, seen + ADD##n))               \
			;                                                                          \
	}                                                                                          \
                                                                                                   \
	static void change##n(uint##n##_t *w, int i)                                               \
	{                                                                                          \
		switch (i) {                                                                       \
		case 0:                                                                            \
			tarn_atomic_store##n(w, (uint##n##_t) ~OLD##n);                            \
			break;                                                                     \
		case 1:                                                                            \
			tarn_atomic_store_relaxed##n(w, (uint##n##_t) ~OLD##n);                    \
			break;                                                                     \
		case 2:                                                                            \
			(void)tarn_atomic_exchange##n(w, (uint##n##_t) ~OLD##n);                   \
			break;                                                                     \
		case 3:                                                                            \
			raise##n(w);                                                               \
			break;                                                                     \
		case 4:                                                                            \
			(void)tarn_atomic_fetch_add##n(w, ADD##n);                                 \
			break;                                                                     \
		case 5:                                                                            \
			(void)tarn_atomic_fetch_sub##n(w, ADD##n);                                 \
			break;                                                                     \
		case 6:                                                                            \
			(void)tarn_atomic_fetch_or##n(w, ADD##n << 2);                             \
			break;                                                                     \
		case 7:                                                                            \
			(void)tarn_atomic_fetch_and##n(w, ADD##n);                                 \
			break;                                                                     \
		case 8:                                                                            \
			tarn_atomic_count##n(w, ADD##n);                                           \
			break;                                                                     \
		case 9:                                                                            \
			(void)tarn_atomic_fetch_max##n(w, (uint##n##_t) ~OLD##n);                  \
			break;                                                                     \
		case 10:                                                                           \
			(void)tarn_atomic_fetch_min##n(w, ADD##n);                                 \
			break;                                                                     \
		case 11:                                                                           \
			(void)tarn_atomic_bit_set##n(w, n - 1);                                    \
			break;                                                                     \
		default:                                                                           \
			(void)tarn_atomic_bit_clear##n(w, BIT##n);                                 \
			break;                                                                     \
		}                                                                                  \
	}                                                                                          \
                                                                                                   \
	/* How many are new, the first ones; or a violation. */                                    \
	static int done##n(const uint##n##_t *at, struct harness_report *report)                   \
	{                                                                                          \
		int done = 0;                                                                      \
                                                                                                   \
		for (int i = 0; i < ATOMIC_STEPS; i++) {                                           \
			uint##n##_t value = tarn_atomic_load##n(&at[i]);                           \
                                                                                                   \
			if (value != OLD##n && value != new##n(i))                                 \
				return harness_say(report, KILL_VIOLATION,                         \
						   "word %d is neither old nor new: %llx", i,      \
						   (unsigned long long)value);                     \
			if (value != OLD##n && done++ != i)                                        \
				return harness_say(report, KILL_VIOLATION,                         \
						   "word %d is new, and one before is not", i);    \
		}                                                                                  \
		return done;                                                                       \
	}

WAYS(32)
WAYS(64)

/* --- worlds before, and what is prepared --------------------------------------------------- */

OP(words_made)
{
	static const struct tarn_mutex_opts normal;
	void *data;
	int r = survivor_create(world, 0, &region, report);

	if (r == 0)
		r = survivor_keep(region, report);
	if (r == 0)
		r = tarn_object_create(region, "words", sizeof(*words), &data, NULL);
	if (r == 0)
		r = tarn_mutex_open(region, "mutex", &normal, &mutex);
	if (r < 0)
		return harness_say(report, -1, "setup: %s", strerror(-r));
	words = data;
	for (int i = 0; i < ATOMIC_STEPS; i++) {
		words->wide[i] = OLD64;
		words->narrow[i] = OLD32;
	}
	words->gate = 0;
	return 0;
}

OP(words_ready)
{
	void *data;
	int r;

	if (region != NULL)
		return 0;
	if (survivor_open(world, &region, report) != 0)
		return KILL_VIOLATION;
	r = tarn_object_open(region, "words", &data, NULL);
	if (r == 0)
		r = tarn_mutex_open(region, "mutex", NULL, &mutex);
	if (r < 0)
		return survivor_say(report, "open", r, NULL);
	words = data;
	return 0;
}

/* Who is stepped through takes longer to fall asleep than a sleep lasts. */
OP(words_patient)
{
	tarn__section_net_ns = LONG_NS;
	return words_ready(world, report);
}

/* Until @count sleep at the gate; then the mutex is ours. */
static int beside(struct kill_world *world, int count, struct harness_report *report)
{
	struct state *st = state_of(world);
	int r = words_ready(world, report);

	atomic_store(&st->ready, 1);
	(void)tarn__plat_futex_wake(&st->ready, INT32_MAX);
	for (int i = 0; i < count && r == 0; i++) {
		for (int tries = 0; atomic_load(&st->peers[i]) == 0 && tries < 50000; tries++)
			harness_sleep_us(100);
		if (!harness_await_futex(atomic_load(&st->peers[i]), 5000))
			return harness_say(report, -1, "nobody sleeps");
	}
	if (r == 0)
		r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
	atomic_store(&st->locked, 1);
	(void)tarn__plat_futex_wake(&st->locked, 1);
	return r;
}

OP(words_beside)
{
	return beside(world, 1, report);
}

OP(words_beside_two)
{
	return beside(world, 2, report);
}

/* --- operations ---------------------------------------------------------------------------- */

OP(change_narrow)
{
	(void)world, (void)report;
	for (int i = 0; i < ATOMIC_STEPS; i++)
		change32(&words->narrow[i], i);
	return 0;
}

OP(change_wide)
{
	(void)world, (void)report;
	for (int i = 0; i < ATOMIC_STEPS; i++)
		change64(&words->wide[i], i);
	return 0;
}

/* What the next one does. */
OP(change_the_rest)
{
	(void)world, (void)report;
	for (int i = 0; i < ATOMIC_STEPS; i++) {
		if (tarn_atomic_load32(&words->narrow[i]) == OLD32)
			change32(&words->narrow[i], i);
		if (tarn_atomic_load64(&words->wide[i]) == OLD64)
			change64(&words->wide[i], i);
	}
	return 0;
}

OP(await_gate)
{
	(void)world, (void)report;
	return tarn_atomic_wait(&words->gate, 0, TARN_FOREVER);
}

OP(await_gate_in_vain)
{
	(void)world, (void)report;
	return tarn_atomic_wait(&words->gate, 0, tarn_deadline_after(3 * SLICE_NS));
}

/* While the operation sleeps. */
OP(open_gate)
{
	int r = words_ready(world, report);

	if (r < 0)
		return r;
	tarn_atomic_store32(&words->gate, 1);
	r = tarn_atomic_wake(&words->gate, 1);
	return r == 1 ? 0 : harness_say(report, KILL_VIOLATION, "woken: %d", r);
}

static int open_for(int count)
{
	int r;

	tarn_atomic_store32(&words->gate, 1);
	r = tarn_atomic_wake(&words->gate, count);
	return r < 0 ? r : tarn_mutex_unlock(mutex);
}

OP(open_for_one)
{
	(void)world, (void)report;
	return open_for(1);
}

OP(open_for_all)
{
	(void)world, (void)report;
	return open_for(INT32_MAX);
}

/* Nobody is woken. */
OP(add_to_gate)
{
	(void)world, (void)report;
	(void)tarn_atomic_fetch_add32(&words->gate, 1);
	return tarn_mutex_unlock(mutex);
}

/* --- peers --------------------------------------------------------------------------------- */

static struct kill_world *nursed;

/* If the operation dies: what it was to do. */
static void *nurse(void *arg)
{
	struct state *st = state_of(nursed);
	bool wakes = tarn__section_net_ns == LONG_NS;

	while (atomic_load(&st->locked) == 0)
		(void)tarn__plat_futex_wait(&st->locked, 0, TARN_FOREVER);
	tarn__section_net_ns = SLICE_NS; /* of this thread: the others sleep */
	if (tarn_mutex_lock(mutex, TARN_FOREVER, NULL) == -EOWNERDEAD) {
		atomic_store(&st->died, 1);
		(void)tarn_mutex_consistent(mutex);
		tarn_atomic_store32(&words->gate, 1);
		if (wakes)
			(void)tarn_atomic_wake(&words->gate, INT32_MAX);
	}
	(void)tarn_mutex_unlock(mutex);
	return arg;
}

static int sleep_as(int number)
{
	struct state *st = state_of(nursed);
	int r;

	atomic_store(&st->peers[number], (int32_t)tarn__plat_tid());
	r = tarn_atomic_wait(&words->gate, 0, TARN_FOREVER);
	if (r == 0 && tarn_atomic_load32(&words->gate) == 0)
		r = -EBADMSG;
	atomic_fetch_add(&st->finished, r == 0);
	return r;
}

static void *sleep_too(void *arg)
{
	(void)sleep_as(1);
	return arg;
}

static int with_nurse(struct kill_world *world, int count, int64_t slice,
		      struct harness_report *report)
{
	struct state *st = state_of(world);
	pthread_t thread, other;
	int r;

	memset(st, 0, sizeof(*st));
	nursed = world;
	tarn__section_net_ns = slice;
	if (words_ready(world, report) < 0 || pthread_create(&thread, NULL, nurse, NULL) != 0)
		return KILL_VIOLATION;
	while (atomic_load(&st->ready) == 0)
		(void)tarn__plat_futex_wait(&st->ready, 0, TARN_FOREVER);
	if (count == 2 && pthread_create(&other, NULL, sleep_too, NULL) != 0)
		return KILL_VIOLATION;
	r = sleep_as(0);
	if (count == 2)
		(void)pthread_join(other, NULL);
	(void)pthread_join(thread, NULL);
	return r < 0 ? survivor_say(report, "wait", r, NULL) : 0;
}

OP(sleeping_at_gate)
{
	return with_nurse(world, 1, LONG_NS, report);
}

OP(sleeping_at_gate_twice)
{
	return with_nurse(world, 2, LONG_NS, report);
}

/* It is not woken, and looks again after 10 ms. */
OP(sleeping_unwoken)
{
	return with_nurse(world, 1, SLICE_NS, report);
}

/* --- survivors ----------------------------------------------------------------------------- */

/* Whatever was left, the gate can be waited at and opened. */
static int use_gate(struct harness_report *report)
{
	uint32_t seen = tarn_atomic_load32(&words->gate);
	int r = tarn_atomic_wait(&words->gate, seen, tarn_deadline_after(1000000));

	if (seen > 1 || r != -ETIMEDOUT)
		return harness_say(report, KILL_VIOLATION, "gate %u, and waiting said %d", seen, r);
	tarn_atomic_store32(&words->gate, 2);
	r = tarn_atomic_wait(&words->gate, seen, TARN_FOREVER);
	if (r != 0 || tarn_atomic_wake(&words->gate, INT32_MAX) != 0)
		return harness_say(report, KILL_VIOLATION, "it is open, and waiting said %d", r);
	return (int)seen;
}

static int wind_up(struct kill_world *world, int outcome, struct harness_report *report)
{
	if (use_gate(report) < 0 || change_the_rest(world, report) < 0)
		return KILL_VIOLATION;
	if (done32(words->narrow, report) != ATOMIC_STEPS ||
	    done64(words->wide, report) != ATOMIC_STEPS)
		return harness_say(report, KILL_VIOLATION, "the words cannot be changed");
	if (survivor_check(region, report) < 0 || survivor_kept(region, report) < 0)
		return KILL_VIOLATION;
	tarn_mutex_close(mutex);
	tarn_object_close(region, words);
	if (survivor_whole(world, region, OBJECTS, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	return outcome;
}

OP(check_narrow)
{
	int done = words_ready(world, report) < 0 ? -1 : done32(words->narrow, report);

	return done < 0 ? KILL_VIOLATION : wind_up(world, done, report);
}

OP(check_wide)
{
	int done = words_ready(world, report) < 0 ? -1 : done64(words->wide, report);

	return done < 0 ? KILL_VIOLATION : wind_up(world, done, report);
}

/* Who waits leaves nothing. */
OP(check_gate)
{
	int narrow = words_ready(world, report) < 0 ? -1 : done32(words->narrow, report);

	if (narrow != 0 || done64(words->wide, report) != 0)
		return harness_say(report, KILL_VIOLATION, "who waits has changed words");
	return wind_up(world, 0, report);
}

OP(check_gate_beside)
{
	struct state *st = state_of(world);
	uint32_t sleepers = atomic_load(&st->peers[1]) != 0 ? 2 : 1;

	if (atomic_exchange(&st->finished, 0) != sleepers)
		return harness_say(report, KILL_VIOLATION, "the peer did not do its work");
	if (words_ready(world, report) < 0)
		return KILL_VIOLATION;
	if (tarn_atomic_load32(&words->gate) != 1)
		return harness_say(report, KILL_VIOLATION, "the gate is closed");
	return wind_up(world, atomic_load(&st->died) == 0, report);
}
