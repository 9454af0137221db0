/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slow.c - a ring that has got slower, for the proof that `tarn bench compare` says so.
 *
 *     SLOW_NS=20 LD_PRELOAD=libslow.so tarn bench run --only ring
 *
 * Each record is kept back for so long before it is published. Nothing else is slower; see
 * dev/bench-proof.
 *
 *     SLOW_SAY=1 SLOW_NS=20 LD_PRELOAD=libslow.so tarn version
 *
 * prints instead what a push of 64 bytes takes alone, and what it takes with that, in ns.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tarn/region.h>
#include <tarn/ring.h>

static int (*push)(struct tarn_ring *ring, const void *data, size_t size);
static int (*push_wait)(struct tarn_ring *ring, const void *data, size_t size, int64_t deadline);
static int (*commit)(struct tarn_ring *ring, size_t size);
static double slow_ns, pass_ns;

/* Takes no clock, whose reading would cost more than what is to be lost. */
static void passes(long count)
{
	for (long i = 0; i < count; i++)
		__asm__ volatile("" ::: "memory");
}

static void lose(void)
{
	passes((long)(slow_ns / pass_ns));
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

enum { BLOCK = 256, BLOCKS = 400 };

/* ns of the best block of pushes, by @how. */
static double push_ns(struct tarn_ring *producer, struct tarn_ring *consumer,
		      int (*how)(struct tarn_ring *ring, const void *data, size_t size))
{
	unsigned char message[64] = { 0 };
	double best = 1e18;

	for (int k = 0; k < BLOCKS; k++) {
		double before = now_ns();
		size_t size;

		for (int i = 0; i < BLOCK; i++)
			if (how(producer, message, sizeof(message)) != 0)
				_Exit(2);
		best = now_ns() - before < best ? now_ns() - before : best;
		for (int i = 0; i < BLOCK; i++)
			if (tarn_ring_pop(consumer, message, sizeof(message), &size) != 0)
				_Exit(2);
	}
	return best / BLOCK;
}

static void say(void)
{
	const struct tarn_ring_opts opts = { .capacity = 64 << 10 };
	const struct tarn_region_opts region_opts = { .size = 1 << 20 };
	struct tarn_region *region;
	struct tarn_ring *producer, *consumer;

	if (tarn_region_create("anon:", &region_opts, &region) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &producer) < 0 ||
	    tarn_ring_open(region, "ring", TARN_RING_CONSUMER, NULL, &consumer) < 0) {
		fprintf(stderr, "libslow: no ring can be made\n");
		_Exit(2);
	}
	printf("%.2f %.2f\n", push_ns(producer, consumer, push),
	       push_ns(producer, consumer, tarn_ring_push));
	fflush(stdout);
	_Exit(0);
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("SLOW_NS");
	double best = 1e18;

	*(void **)&push = dlsym(RTLD_NEXT, "tarn_ring_push");
	*(void **)&push_wait = dlsym(RTLD_NEXT, "tarn_ring_push_wait");
	*(void **)&commit = dlsym(RTLD_NEXT, "tarn_ring_commit");
	if (push == NULL || push_wait == NULL || commit == NULL) {
		fprintf(stderr, "libslow: there is no ring to be slowed down\n");
		_Exit(2);
	}
	slow_ns = text != NULL ? strtod(text, NULL) : 0;
	for (int i = 0; i < 50; i++) {
		double before = now_ns();

		passes(20000);
		best = now_ns() - before < best ? now_ns() - before : best;
	}
	pass_ns = best / 20000;
	if (getenv("SLOW_SAY") != NULL)
		say();
}

int tarn_ring_push(struct tarn_ring *ring, const void *data, size_t size)
{
	lose();
	return push(ring, data, size);
}

int tarn_ring_push_wait(struct tarn_ring *ring, const void *data, size_t size, int64_t deadline)
{
	lose();
	return push_wait(ring, data, size, deadline);
}

int tarn_ring_commit(struct tarn_ring *ring, size_t size)
{
	lose();
	return commit(ring, size);
}
