/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_race.c - two processes that write near one another: false sharing, what locks cost, lost
 * updates, and a bounded buffer.
 *
 * Where the texts say counter++ on plain memory, load and store stand apart here, and are atomic
 * each: so the compiler makes of it what it makes of counter++ without optimising. Every counter is
 * compared with what it must be.
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tarn/base.h>

#include "seeds_cache.h"

static void add_plain(_Atomic int32_t *counter)
{
	int32_t value = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

static void expect(const char *what, int64_t found, int64_t wanted)
{
	if (found != wanted)
		seeds_die(what, 0);
}

/* --- false sharing ------------------------------------------------------------------------- */

/* The text's two structs. */
struct near {
	_Atomic int32_t counter1, counter2;
};

struct far {
	_Atomic int32_t counter1;
	char pad1[60];
	_Atomic int32_t counter2;
	char pad2[60];
};

struct sharing {
	alignas(4096) struct near near;
	alignas(4096) struct far far;
};

static double add_beside(struct seeds_pair *pair, _Atomic int32_t *counter, int32_t times)
{
	int32_t before = atomic_load(counter);

	seeds_meet(pair);
	int64_t began = tarn_now();

	for (int32_t i = 0; i < times; i++) {
		add_plain(counter);
		__asm__ volatile("" ::: "memory"); /* each addition for itself */
	}
	int64_t took = tarn_now() - began;

	expect("a counter with one writer is wrong", atomic_load(counter) - before, times);
	seeds_meet(pair);
	return (double)took / times;
}

static void sharing_side(struct seeds_pair *pair)
{
	struct sharing *shared = pair->arg;
	int32_t times = pair->run->quick ? 300000 : 2000000;
	bool first = pair->side == 0;

	for (uint32_t round = 0; round < pair->run->rounds; round++) {
		double near = add_beside(
			pair, first ? &shared->near.counter1 : &shared->near.counter2, times);
		double far = add_beside(pair, first ? &shared->far.counter1 : &shared->far.counter2,
					times);

		if (!first)
			continue;
		seeds_put(pair->run, SEEDS_FIG_SHARING_NEAR, near);
		seeds_put(pair->run, SEEDS_FIG_SHARING_FAR, far);
		seeds_put(pair->run, SEEDS_FIG_SHARING_RATIO, near / far);
	}
}

void seeds_sharing(struct seeds_run *run)
{
	char word[SEEDS_WORD];

	if (seeds_read_word("/sys/devices/system/cpu/cpu0/cache/index0/coherency_line_size", word))
		seeds_put(run, SEEDS_FIG_LINE_BYTES, strtod(word, NULL));
	else
		seeds_lack(run, SEEDS_FIG_LINE_BYTES, "the kernel does not say");
	seeds_pair(run, sharing_side, seeds_map(sizeof(struct sharing)));
}

/* --- what locks cost ----------------------------------------------------------------------- */

struct sync {
	alignas(128) _Atomic int32_t counter;
	alignas(128) sem_t sem;
};

enum sync_kind { PLAIN, ATOMIC, SEM };

static void lock(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		if (errno != EINTR)
			seeds_die("sem_wait", errno);
}

static void unlock(sem_t *sem)
{
	if (sem_post(sem) != 0)
		seeds_die("sem_post", errno);
}

static void add(struct sync *sync, enum sync_kind kind)
{
	if (kind == ATOMIC) {
		atomic_fetch_add(&sync->counter, 1);
		return;
	}
	if (kind == SEM)
		lock(&sync->sem);
	add_plain(&sync->counter);
	__asm__ volatile("" ::: "memory");
	if (kind == SEM)
		unlock(&sync->sem);
}

/* ns an addition, with @both adding, or the first alone. */
static double additions(struct seeds_pair *pair, enum sync_kind kind, bool both, int32_t times)
{
	struct sync *sync = pair->arg;
	double ns = 0;

	if (pair->side == 0)
		atomic_store(&sync->counter, 0);
	seeds_meet(pair);
	if (both || pair->side == 0) {
		int64_t began = tarn_now();

		for (int32_t i = 0; i < times; i++)
			add(sync, kind);
		ns = (double)(tarn_now() - began) / times;
	}
	seeds_meet(pair);
	if (kind != PLAIN)
		expect("a protected counter is wrong", atomic_load(&sync->counter),
		       both ? 2 * (int64_t)times : times);
	seeds_meet(pair);
	return ns;
}

static void sync_side(struct seeds_pair *pair)
{
	struct seeds_run *run = pair->run;

	for (uint32_t round = 0; round < run->rounds; round++) {
		double plain = additions(pair, PLAIN, false, 1000000);
		double atomic = additions(pair, ATOMIC, false, 500000);
		double sem = additions(pair, SEM, false, 200000);
		double atomic2 = additions(pair, ATOMIC, true, 500000);
		double sem2 = additions(pair, SEM, true, 20000);

		if (pair->side != 0)
			continue;
		seeds_put(run, SEEDS_FIG_SYNC_PLAIN, plain);
		seeds_put(run, SEEDS_FIG_SYNC_ATOMIC, atomic);
		seeds_put(run, SEEDS_FIG_SYNC_SEM, sem);
		seeds_put(run, SEEDS_FIG_SYNC_SEM_TO_PLAIN, sem / plain);
		seeds_put(run, SEEDS_FIG_SYNC_ATOMIC_2, atomic2);
		seeds_put(run, SEEDS_FIG_SYNC_SEM_2, sem2);
		seeds_put(run, SEEDS_FIG_SYNC_CROWD_ATOMIC, atomic2 / atomic);
		seeds_put(run, SEEDS_FIG_SYNC_CROWD_SEM, sem2 / sem);
		seeds_put(run, SEEDS_FIG_SYNC_SEM_TO_ATOMIC_2, sem2 / atomic2);
	}
}

static sem_t *make_sem(sem_t *sem, unsigned value)
{
	if (sem_init(sem, 1, value) != 0)
		seeds_die("sem_init", errno);
	return sem;
}

void seeds_sync(struct seeds_run *run)
{
	struct sync *sync = seeds_map(sizeof(*sync));

	(void)make_sem(&sync->sem, 1);
	seeds_pair(run, sync_side, sync);
}

/* --- lost updates -------------------------------------------------------------------------- */

struct race {
	alignas(128) _Atomic int32_t here; /* processes that are there */
	alignas(128) struct sync sync;
};

/* Two children, as the text forks them; @together: neither begins before the other is there, each
 * on a processor of its own. Returns how many of the updates are lost. */
static int32_t race(struct seeds_run *run, struct race *shared, enum sync_kind kind, bool together,
		    int32_t times)
{
	pid_t children[2];

	atomic_store(&shared->here, 0);
	atomic_store(&shared->sync.counter, 0);
	for (int i = 0; i < 2; i++) {
		children[i] = seeds_fork();
		if (children[i] != 0)
			continue;
		if (together) {
			seeds_pin(run, i);
			atomic_fetch_add(&shared->here, 1);
			while (atomic_load(&shared->here) < 2)
				sched_yield();
		}
		for (int32_t j = 0; j < times; j++)
			add(&shared->sync, kind);
		_exit(0);
	}
	for (int i = 0; i < 2; i++)
		seeds_wait(children[i]);
	return 2 * times - atomic_load(&shared->sync.counter);
}

void seeds_race(struct seeds_run *run)
{
	enum { SHOWN = 1000, LONG = 1000000, LOCKED = 20000 };
	struct race *shared = seeds_map(sizeof(*shared));
	uint32_t runs = 4 * run->rounds;

	(void)make_sem(&shared->sync.sem, 1);
	for (uint32_t i = 0; i < runs && i < SEEDS_ROUND_MAX; i++) {
		seeds_put(run, SEEDS_FIG_RACE_SHOWN, race(run, shared, PLAIN, false, SHOWN));
		seeds_put(run, SEEDS_FIG_RACE_TOGETHER, race(run, shared, PLAIN, true, SHOWN));
		seeds_put(run, SEEDS_FIG_RACE_SEM, race(run, shared, SEM, false, SHOWN));
	}
	for (uint32_t round = 0; round < run->rounds; round++) {
		seeds_put(run, SEEDS_FIG_RACE_LONG,
			  race(run, shared, PLAIN, true, LONG) / (2.0 * LONG));
		seeds_put(run, SEEDS_FIG_RACE_SEM_LONG, race(run, shared, SEM, true, LOCKED));
		seeds_put(run, SEEDS_FIG_RACE_ATOMIC_LONG, race(run, shared, ATOMIC, true, LONG));
	}
}

/* --- a bounded buffer ---------------------------------------------------------------------- */

enum { SLOTS = 10, ITEMS = 50, PRODUCED = 1 << 16 };

struct bounded {
	sem_t mutex, empty, full;
	int32_t buffer[SLOTS];
	uint32_t head, tail;
	uint32_t line_count;
	int32_t lines[2 * ITEMS]; /* what is printed, in the order in which it would be */
};

static void produce(struct bounded *b, int32_t item)
{
	lock(&b->empty);
	lock(&b->mutex);
	b->buffer[b->head] = item;
	b->head = (b->head + 1) % SLOTS;
	b->lines[b->line_count++] = PRODUCED + item;
	unlock(&b->mutex);
	unlock(&b->full);
}

static void consume(struct bounded *b)
{
	lock(&b->full);
	lock(&b->mutex);
	b->lines[b->line_count++] = b->buffer[b->tail];
	b->tail = (b->tail + 1) % SLOTS;
	unlock(&b->mutex);
	unlock(&b->empty);
}

static void play(struct bounded *b)
{
	pid_t children[2];

	memset(b, 0, sizeof(*b));
	(void)make_sem(&b->mutex, 1);
	(void)make_sem(&b->empty, SLOTS);
	(void)make_sem(&b->full, 0);
	for (int i = 0; i < 2; i++) {
		children[i] = seeds_fork();
		if (children[i] != 0)
			continue;
		for (int32_t item = 0; item < ITEMS; item++) {
			if (i == 0)
				produce(b, item);
			else
				consume(b);
		}
		_exit(0);
	}
	seeds_wait(children[0]);
	seeds_wait(children[1]);
}

void seeds_exercise2(struct seeds_run *run)
{
	struct bounded *b = seeds_map(sizeof(*b));

	for (uint32_t i = 0; i < 4 * run->rounds && i < SEEDS_ROUND_MAX; i++) {
		int32_t next = 0;
		bool order = true, turns = true;

		play(b);
		for (uint32_t k = 0; k < b->line_count; k++) {
			if (b->lines[k] < PRODUCED)
				order &= b->lines[k] == next++;
			turns &= (b->lines[k] >= PRODUCED) == (k % 2 == 0);
		}
		seeds_put(run, SEEDS_FIG_EXERCISE2_ORDER, order && next == ITEMS);
		seeds_put(run, SEEDS_FIG_EXERCISE2_TURNS, turns);
	}
}
