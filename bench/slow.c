/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slow.c - a ring that has got slower, for the proof that `tarn bench compare` says so.
 *
 *     SLOW_NS=20 LD_PRELOAD=libslow.so tarn bench run --only ring
 *
 * Each record is kept back for so long before it is published. Nothing else is slower; see
 * dev/bench-proof.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
