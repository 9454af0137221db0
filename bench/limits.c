/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.c - what the machine itself allows, taken by the very processes that are measured: a cache
 * line bounced between the first two sides, memcpy() on one, bare futex words, a system call that
 * does nothing, an exchange of a word.
 */
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"

enum {
	BOUNCE_COUNT = 2048,
	FUTEX_COUNT = 60,
	WAKE_COUNT = 8,
	CALL_COUNT = 500,
	CALL_BLOCKS = 8,
	COPY_BYTES = 16 << 20,
	LIMIT_SAMPLES = 2048,
};

#define BOUNCE_NS 500e6

static uint32_t samples[LIMIT_SAMPLES];

static double median_ns(const struct bench *b, size_t count)
{
	bench_sort(samples, count);
	return bench_percentile(samples, count, 0.5) * b->shm->tick_ns;
}

/* --- cache line ------------------------------------------------------------------------------- */

/* Side 0 says so, as the number of the next bounce, where the two hardly ever run at once. */
#define BOUNCE_OVER UINT64_MAX

static void bounce_back(struct bench_shm *shm)
{
	for (uint64_t i = 1; i <= 2 * BOUNCE_COUNT; i++) {
		uint64_t ping;

		while ((ping = bench_load(&shm->ping)) != i)
			if (ping == BOUNCE_OVER)
				return;
		bench_store(&shm->pong, i);
	}
}

/* False: other work keeps the other side from running, and it is past @end. */
static bool bounce_once(struct bench_shm *shm, uint64_t i, uint64_t end)
{
	bench_store(&shm->ping, i);
	for (uint32_t looks = 1; bench_load(&shm->pong) != i; looks++)
		if (looks % 4096 == 0 && (int64_t)(bench_ticks() - end) > 0)
			return false;
	return true;
}

static void bounce(struct bench *b, struct bench_limits *limits)
{
	struct bench_shm *shm = b->shm;
	uint64_t before = bench_ticks(), end = before + bench_from_ns(b, BOUNCE_NS), i = 1, now;

	for (; i <= BOUNCE_COUNT && bounce_once(shm, i, end); i++) {
		now = bench_ticks();
		samples[i - 1] = (uint32_t)(now - before);
		before = now;
	}
	if (i > BOUNCE_COUNT / 8)
		limits->bounce = median_ns(b, i - 1);
	if (i <= BOUNCE_COUNT) {
		bench_store(&shm->ping, BOUNCE_OVER);
		return;
	}
	size_t blocks = 0;

	for (before = bench_ticks(); i <= 2 * BOUNCE_COUNT && bounce_once(shm, i, end); i++) {
		if (i % BENCH_BLOCK != 0)
			continue;
		now = bench_ticks();
		samples[blocks++] = (uint32_t)(now - before);
		before = now;
	}
	if (i <= 2 * BOUNCE_COUNT)
		bench_store(&shm->ping, BOUNCE_OVER);
	if (blocks > 4)
		limits->block = median_ns(b, blocks) / BENCH_BLOCK;
}

static void take_bounce(struct bench *b, struct bench_limits *limits)
{
	if (b->side == 0) {
		bench_store(&b->shm->ping, 0);
		bench_store(&b->shm->pong, 0);
	}
	bench_meet(b);
	if (b->side == 0)
		bounce(b, limits);
	else if (b->side == 1)
		bounce_back(b->shm);
	bench_meet(b);
}

/* --- futex ------------------------------------------------------------------------------------ */

static void futex_post(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Until it is @value or more: who was kept from running may find that it has gone on. */
static void futex_await(uint32_t *word, uint32_t value)
{
	uint32_t now;

	while ((int32_t)((now = __atomic_load_n(word, __ATOMIC_SEQ_CST)) - value) < 0)
		syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
}

static double futex_pair(struct bench *b)
{
	uint32_t *there = b->shm->futex_word[0], *back = b->shm->futex_word[1];
	uint64_t before;

	if (b->side == 0) /* begin with the other one asleep, or neither may ever sleep */
		bench_wait_until(b, bench_ticks() + bench_from_ns(b, BENCH_ASLEEP_NS));
	before = bench_ticks();
	for (uint32_t i = 1; i <= FUTEX_COUNT; i++) {
		if (b->side == 0) {
			futex_post(there, i);
			futex_await(back, i);
			uint64_t now = bench_ticks();

			samples[i - 1] = (uint32_t)(now - before);
			before = now;
		} else {
			futex_await(there, i);
			futex_post(back, i);
		}
	}
	return median_ns(b, FUTEX_COUNT);
}

/* The samples are side 1's: what it finds goes through the words of the limits. */
static double futex_wake(struct bench *b)
{
	uint64_t step = (uint64_t)(1e6 / b->shm->tick_ns), next = bench_ticks() + step;

	for (uint32_t i = 1; i <= WAKE_COUNT; i++, next += step) {
		if (b->side == 0) {
			while ((int64_t)(bench_ticks() - next) < 0)
				bench_pause(b);
			bench_store(&b->shm->stamps[i], bench_ticks());
			futex_post(b->shm->futex_word[0], i);
		} else {
			futex_await(b->shm->futex_word[0], i);
			b->shm->stamps[WAKE_COUNT + i] = bench_ticks();
		}
	}
	bench_meet(b);
	for (uint32_t i = 1; i <= WAKE_COUNT; i++)
		samples[i - 1] = (uint32_t)(b->shm->stamps[WAKE_COUNT + i] - b->shm->stamps[i]);
	return median_ns(b, WAKE_COUNT);
}

static double take_futex(struct bench *b, enum bench_limit_kind kind)
{
	double ns = 0;

	if (b->side == 0)
		memset(b->shm->futex_word, 0, sizeof(b->shm->futex_word));
	bench_meet(b);
	if (b->side > 1) {
		if (kind == BENCH_LIMIT_WAKE)
			bench_meet(b);
	} else {
		ns = kind == BENCH_LIMIT_WAKE ? futex_wake(b) : futex_pair(b);
	}
	bench_meet(b);
	return ns;
}

/* --- one processor ---------------------------------------------------------------------------- */

/* ns a block of copying messages of this cell, from where they are made to where they go. */
static double copy_ns(struct bench *b, size_t size)
{
	uint64_t count = size < 1024 ? COPY_BYTES / 1024 : COPY_BYTES / size + 2, done = 0;
	double best = 0;

	for (int k = 0; k < 4; k++) { /* the first one warms up */
		uint64_t start = bench_ticks();

		for (uint64_t i = 0; i < count; i++, done++) {
			memcpy(bench_sink(b, size, done), bench_message(b, size, done), size);
			__asm__ volatile("" ::: "memory");
		}
		double ns = (double)(bench_ticks() - start) * b->shm->tick_ns / (double)count;

		if (k > 0 && (best == 0 || ns < best))
			best = ns;
	}
	return best;
}

/* ns a turn, the best of some blocks of them. */
static double best_ns(const struct bench *b, bool exchange)
{
	uint64_t best = UINT64_MAX;

	for (int k = 0; k < CALL_BLOCKS; k++) {
		uint64_t start = bench_ticks(), ticks;

		for (uint64_t i = 0; i < CALL_COUNT; i++) {
			if (exchange)
				(void)__atomic_exchange_n(&b->shm->word, i, __ATOMIC_SEQ_CST);
			else
				syscall(SYS_getppid);
		}
		ticks = bench_ticks() - start;
		best = ticks < best ? ticks : best;
	}
	return (double)best * b->shm->tick_ns / CALL_COUNT;
}

static double take_alone(struct bench *b, enum bench_limit_kind kind)
{
	size_t size = b->cell->size;

	switch (kind) {
	case BENCH_LIMIT_MEMCPY:
		return (double)size / copy_ns(b, size);
	case BENCH_LIMIT_COPY:
		return copy_ns(b, size);
	case BENCH_LIMIT_SYSCALL:
		return best_ns(b, false);
	case BENCH_LIMIT_EXCHANGE:
		return best_ns(b, true);
	default:
		return 0;
	}
}

void bench_take_limits(struct bench *b, struct bench_limits *limits)
{
	enum bench_limit_kind kind = bench_limit_of(b->cell);

	if (!b->alone)
		take_bounce(b, limits);
	if (kind == BENCH_LIMIT_BOUNCE || kind == BENCH_LIMIT_HOP) {
		if (b->side == 0)
			limits->own = limits->bounce / (kind == BENCH_LIMIT_HOP ? 2 : 1);
	} else if (kind == BENCH_LIMIT_FUTEX || kind == BENCH_LIMIT_WAKE) {
		double ns = take_futex(b, kind);

		if (b->side == 0)
			limits->own = ns;
	} else if (b->side == 0) {
		limits->own = take_alone(b, kind);
	}
	bench_meet(b);
}

enum bench_limit_kind bench_limit_of(const struct bench_cell *cell)
{
	bool sleeps = cell->variant->mode == BENCH_BLOCKING;

	switch (cell->measure) {
	case BENCH_ROUND_TRIP:
		return sleeps ? BENCH_LIMIT_FUTEX : BENCH_LIMIT_BOUNCE;
	case BENCH_ONE_WAY:
	case BENCH_FAN_OUT:
		return cell->size < 4096 ? BENCH_LIMIT_HOP : BENCH_LIMIT_MEMCPY;
	case BENCH_WAKE_UP:
		return BENCH_LIMIT_WAKE;
	case BENCH_OPEN_LOOP:
	case BENCH_HAND_OVER:
		return sleeps ? BENCH_LIMIT_WAKE : BENCH_LIMIT_HOP;
	case BENCH_WRITE:
		if (cell->contestant->group == BENCH_KERNEL)
			return BENCH_LIMIT_SYSCALL;
		return cell->size == 0 || (cell->variant->measures & BENCH_BIT(BENCH_HAND_OVER))
			       ? BENCH_LIMIT_EXCHANGE
			       : BENCH_LIMIT_COPY;
	default:
		return BENCH_LIMIT_NONE;
	}
}
