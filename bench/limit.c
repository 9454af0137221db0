/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limit.c - what the machine itself allows: a cache line bounced between the two processes,
 * memcpy() on one of them, and a stream through a buffer of the ring's size with nothing but a
 * copy in and one load of each line.
 */
#include <stdlib.h>

#include "bench.h"

enum { BOUNCE_COUNT = 20000, MEMCPY_TOTAL = 32 << 20 };

static void bounce(struct duo *duo, uint64_t count)
{
	_Atomic uint64_t *ping = &duo->shm->ping, *pong = &duo->shm->pong;

	if (duo->side == DUO_B) {
		for (uint64_t i = 1; i <= 2 * count; i++) {
			while (atomic_load_explicit(ping, memory_order_acquire) != i)
				;
			atomic_store_explicit(pong, i, memory_order_release);
		}
		return;
	}
	uint64_t before = duo_ticks();

	for (uint64_t i = 1; i <= count; i++) {
		atomic_store_explicit(ping, i, memory_order_release);
		while (atomic_load_explicit(pong, memory_order_acquire) != i)
			;
		uint64_t now = duo_ticks();

		duo_sample(duo, i - 1, now - before);
		before = now;
	}
	for (uint64_t i = count + 1; i <= 2 * count; i++) {
		atomic_store_explicit(ping, i, memory_order_release);
		while (atomic_load_explicit(pong, memory_order_acquire) != i)
			;
		if ((i - count) % DUO_BLOCK == 0)
			before = duo_block(duo, before);
	}
}

static void bounce_reset(struct duo *duo)
{
	duo_meet(duo);
	if (duo->side == DUO_A) {
		atomic_store(&duo->shm->ping, 0);
		atomic_store(&duo->shm->pong, 0);
	}
	duo_meet(duo);
}

static void bounce_run(struct duo *duo, const struct bench_case *c)
{
	bounce_reset(duo);
	bounce(duo, c->count);
}

static struct bench_value bounce_measure(struct duo *duo, const struct bench_case *c)
{
	(void)c;
	bounce_reset(duo);
	bounce(duo, BOUNCE_COUNT);
	return bench_collect(duo, BOUNCE_COUNT);
}

const struct bench_limit bench_bounce = { "cache-line bounce", bounce_measure };

/* Bytes per ns of copying blocks of @c's size, 4 KiB at least, that stay in the cache. */
static struct bench_value memcpy_measure(struct duo *duo, const struct bench_case *c)
{
	size_t size = c->size < 4096 ? 4096 : c->size;
	double best = 0;

	duo_meet(duo);
	if (duo->side == DUO_A) {
		char *from = calloc(2, size), *to = from + size;

		if (from == NULL)
			duo_die("calloc", ENOMEM);
		for (int k = 0; k < 3; k++) {
			uint64_t start = duo_ticks();

			for (size_t done = 0; done < MEMCPY_TOTAL; done += size) {
				memcpy(to, from, size);
				__asm__ volatile("" ::: "memory");
			}
			double ns = (double)(duo_ticks() - start) * duo->shm->tick_ns;

			if (MEMCPY_TOTAL / ns > best)
				best = MEMCPY_TOTAL / ns;
		}
		free(from);
	}
	duo_meet(duo);
	return (struct bench_value){ .p50 = best };
}

const struct bench_limit bench_memcpy = { "memcpy", memcpy_measure };

static void stream_produce(struct duo_shm *shm, uint64_t total, size_t size)
{
	static unsigned char from[BENCH_MESSAGE_MAX];
	uint64_t head = 0;

	for (uint64_t pos = 0; pos < total; pos += size) {
		while (pos + size - head > DUO_STREAM_SIZE)
			head = atomic_load_explicit(&shm->stream_head, memory_order_acquire);
		memcpy(shm->stream + pos % DUO_STREAM_SIZE, from, size);
		atomic_store_explicit(&shm->stream_tail, pos + size, memory_order_release);
	}
}

static void stream_consume(struct duo_shm *shm, uint64_t total)
{
	uint64_t pos = 0, tail = 0, sum = 0;

	shm->t_start = duo_ticks();
	while (pos < total) {
		while (tail == pos)
			tail = atomic_load_explicit(&shm->stream_tail, memory_order_acquire);
		for (; pos < tail; pos += 64)
			sum += shm->stream[pos % DUO_STREAM_SIZE];
		atomic_store_explicit(&shm->stream_head, pos, memory_order_release);
	}
	shm->t_end = duo_ticks();
	__asm__ volatile("" ::"r"(sum));
}

static void stream_run(struct duo *duo, const struct bench_case *c)
{
	duo_meet(duo);
	if (duo->side == DUO_A) {
		atomic_store(&duo->shm->stream_head, 0);
		atomic_store(&duo->shm->stream_tail, 0);
	}
	duo_touch(duo->shm->stream, DUO_STREAM_SIZE);
	duo_meet(duo);
	if (duo->side == DUO_A)
		stream_produce(duo->shm, c->count * c->size, c->size);
	else
		stream_consume(duo->shm, c->count * c->size);
}

const struct bench_case limit_cases[] = {
	{ "round trip, busy", "bare bounce", 8, 100000, BENCH_LATENCY, &bench_bounce, bounce_run },
	{ "one way", "bare stream", 4096, 40000, BENCH_RATE, &bench_memcpy, stream_run },
	{ 0 },
};
