/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * duo.h - two processes, each on a processor of its own, walking through the same list of
 * measurements in step.
 *
 * Side A is the parent: it takes the time stamps, keeps the results and prints. Side B is its
 * child. What they share lies in one anonymous mapping made before the fork, so that nothing
 * of it outlives them. Every limit is measured in these two processes, right before what is
 * compared with it: where the host moves a virtual processor, both move together.
 */
#ifndef BENCH_DUO_H
#define BENCH_DUO_H

#include <stdatomic.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define BENCH_INLINE static inline __attribute__((always_inline))

enum {
	DUO_SAMPLE_MAX = 1 << 17,
	DUO_BLOCK = 64,
	DUO_BLOCK_MAX = DUO_SAMPLE_MAX / DUO_BLOCK,
	DUO_STREAM_SIZE = 4 << 20, /* bytes: more than a second-level cache, less than a third */
};

enum duo_side { DUO_A = 0, DUO_B = 1 };

struct duo_shm {
	alignas(128) _Atomic uint64_t ping; /* A's line of the bare bounce */
	alignas(128) _Atomic uint64_t pong; /* B's */
	alignas(128) _Atomic uint32_t futex_word[2][32];
	alignas(128) _Atomic uint32_t arrived[2][32];
	alignas(128) _Atomic uint64_t stream_tail;
	alignas(128) _Atomic uint64_t stream_head;
	alignas(128) _Atomic int32_t victim; /* process that A is to kill */
	_Atomic uint32_t out_of_time;        /* A's word: no more rounds */
	uint64_t t_start;                    /* ticks: begin of what B times */
	uint64_t t_end;
	double tick_ns;
	alignas(128) _Atomic uint64_t stamp;           /* ticks: when A did what B waits for */
	alignas(128) uint32_t samples[DUO_SAMPLE_MAX]; /* ticks, or ns where B stamps */
	uint32_t blocks[DUO_BLOCK_MAX];                /* ticks of DUO_BLOCK round trips in a row */
	uint32_t block_count;
	alignas(4096) unsigned char stream[DUO_STREAM_SIZE];
};

struct duo {
	struct duo_shm *shm;
	enum duo_side side;
	pid_t child;
	unsigned cpu[2];
	bool pinned;
};

/* Ends both sides with a message; for a benchmark there is no going on from an error. */
void duo_die(const char *what, int error) __attribute__((noreturn));

/* Fork. Returns in both processes. */
void duo_start(struct duo *duo);
/* A: wait for the child, which must have ended well. B: does not return. */
void duo_end(struct duo *duo);
/* Both sides wait for each other. */
void duo_meet(struct duo *duo);

void *duo_map_shared(size_t size);
/* Load a byte of each page, so that this process has them all mapped. */
void duo_touch(const void *data, size_t size);
/* Fork a process that dies with this one. Returns 0 in the child. */
pid_t duo_fork(void);

/* Sort @count samples and return what lies at @part of them. */
double duo_percentile(uint32_t *samples, size_t count, double part);
int duo_compare_double(const void *a, const void *b);

BENCH_INLINE uint64_t duo_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
	unsigned cpu;

	return __builtin_ia32_rdtscp(&cpu);
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks)::"memory");
	return ticks;
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/* Keep @i's sample; what does not fit in 32 bits is the largest that does. */
BENCH_INLINE void duo_sample(struct duo *duo, uint64_t i, uint64_t ticks)
{
	duo->shm->samples[i] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

/* Keep the ticks since @before of a block of round trips; returns the new stamp. */
BENCH_INLINE uint64_t duo_block(struct duo *duo, uint64_t before)
{
	uint64_t now = duo_ticks(), ticks = now - before;

	if (duo->shm->block_count < DUO_BLOCK_MAX)
		duo->shm->blocks[duo->shm->block_count++] =
			ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
	return now;
}

#endif /* BENCH_DUO_H */
