/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * naive.c - victims with one fault each, as such programs are usually written. The harness must
 * catch every one of them under the same attack, or its silence about the library means nothing.
 *
 * They read the region's bytes as words that somebody left there for them.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

static unsigned char *map_whole(const struct hostile_arena *arena)
{
	void *map = mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);

	if (map == MAP_FAILED)
		_exit(1);
	return map;
}

static uint32_t word_at(const unsigned char *map, size_t index)
{
	const _Atomic uint32_t *words = (const _Atomic uint32_t *)(const void *)map;

	return atomic_load_explicit(&words[index], memory_order_relaxed);
}

/* Takes an offset from the region and goes there. */
void naive_truster(struct hostile_arena *arena, unsigned index)
{
	unsigned char *map = map_whole(arena);
	size_t words = arena->size / 4;
	uint64_t random = index + 1, sink = 0;

	while (!hostile_over(arena)) {
		uint64_t off = word_at(map, hostile_random(&random) % words);

		hostile_enter(arena, index, "naive_truster");
		sink += (map + off * 64)[0];
	}
	__asm__ volatile("" ::"r"(sink));
	munmap(map, arena->size);
}

/* Follows a chain of indices to its end, which it takes for granted. */
void naive_follower(struct hostile_arena *arena, unsigned index)
{
	unsigned char *map = map_whole(arena);
	size_t words = arena->size / 4;

	while (!hostile_over(arena)) {
		hostile_enter(arena, index, "naive_follower");
		for (size_t at = 1; at != 0;)
			at = word_at(map, at) == 0 ? at : word_at(map, at) % words;
	}
	munmap(map, arena->size);
}

/* Passes on what it found as if it were an error. */
void naive_liar(struct hostile_arena *arena, unsigned index)
{
	static const int allowed[] = { EUCLEAN, 0 };
	unsigned char *map = map_whole(arena);

	while (!hostile_over(arena)) {
		hostile_enter(arena, index, "naive_liar");
		(void)hostile_leave(arena, index, -(int)(word_at(map, 32) % 100), allowed);
	}
	munmap(map, arena->size);
}

static _Atomic uint32_t *ring_word(const struct hostile_arena *arena)
{
	return (_Atomic uint32_t *)(void *)(map_whole(arena) + hostile_find_ring(arena) + 64);
}

/* Sleeps until woken, in the belief that who changes the word will wake it. */
void naive_waiter(struct hostile_arena *arena, unsigned index)
{
	_Atomic uint32_t *word = ring_word(arena);
	uint32_t seen = atomic_load(word);

	while (!hostile_over(arena)) {
		hostile_enter(arena, index, "naive_waiter");
		(void)syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
		seen = atomic_load(word);
	}
}

void naive_waker(struct hostile_arena *arena, unsigned index)
{
	_Atomic uint32_t *word = ring_word(arena);

	while (!hostile_over(arena)) {
		nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
		hostile_enter(arena, index, "naive_waker");
		atomic_fetch_add(word, 1);
		(void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
}
