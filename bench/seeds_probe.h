/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seeds_probe.h - what the probes share: where figures go, ending badly, and two processes on a
 * processor each.
 *
 * A probe runs in a process of its own. It puts one value of a figure for each round, or says why
 * it cannot. Whatever it makes has no name, or loses it at once; its children die with it. Where
 * it finds that what was moved is not what was sent, it ends with seeds_die(), and its figures are
 * not measured.
 */
#ifndef BENCH_SEEDS_PROBE_H
#define BENCH_SEEDS_PROBE_H

#include <stdatomic.h>
#include <stdalign.h>
#include <sys/types.h>

#include "seeds.h"

struct seeds_run {
	struct seeds_figure *figures;
	uint32_t rounds;
	bool quick;
	uint32_t cpu_count; /* that this process may use */
	unsigned cpus[2];
	uint64_t memory_free; /* bytes, as the kernel and the memory cgroups have it */
};

typedef void seeds_probe_fn(struct seeds_run *run);

seeds_probe_fn seeds_stream, seeds_megabyte, seeds_frame, seeds_copies; /* seeds_move.c */
seeds_probe_fn seeds_hop, seeds_small, seeds_batch;                     /* seeds_hop.c */
seeds_probe_fn seeds_caches, seeds_order, seeds_pages;                  /* seeds_cache.c */
seeds_probe_fn seeds_sharing, seeds_sync, seeds_race, seeds_exercise2;  /* seeds_race.c */
seeds_probe_fn seeds_matrix, seeds_flag;                                /* seeds_work.c */
seeds_probe_fn seeds_paging, seeds_single, seeds_cow, seeds_disk;       /* seeds_memory.c */
seeds_probe_fn seeds_facts, seeds_numa;                                 /* seeds_facts.c */

/* --- figures -------------------------------------------------------------------------------- */

void seeds_put(struct seeds_run *run, enum seeds_fig fig, double value);
void seeds_lack(struct seeds_run *run, enum seeds_fig fig, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void seeds_note(struct seeds_run *run, enum seeds_fig fig, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* This probe has failed; @error is an errno, or 0. */
void seeds_die(const char *what, int error) __attribute__((noreturn));
/* @size bytes, at most @part of what memory is free, in steps of 2 MiB, and 8 MiB at least. */
size_t seeds_size(const struct seeds_run *run, size_t size, double part);

/* --- memory and processes ------------------------------------------------------------------- */

/* Anonymous, shared with children, all of it there. */
void *seeds_map(size_t size);
/* Fork a process that dies with this one. Returns 0 in the child. */
pid_t seeds_fork(void);
/* The child must have ended well. */
void seeds_wait(pid_t child);
void seeds_pin(const struct seeds_run *run, int side);

struct seeds_pair_shm {
	alignas(128) _Atomic uint32_t arrived[2][32];
	alignas(128) _Atomic uint64_t word[4][16]; /* each in lines of its own */
};

struct seeds_pair {
	struct seeds_run *run;
	struct seeds_pair_shm *shm;
	int side; /* 0: puts the figures; 1: its child */
	void *arg;
};

typedef void seeds_side_fn(struct seeds_pair *pair);

/* Run @side in two processes, each on a processor of its own; returns in the first when both are
 * through. */
void seeds_pair(struct seeds_run *run, seeds_side_fn *side, void *arg);
/* Both wait for each other. */
void seeds_meet(struct seeds_pair *pair);

void seeds_yield(void);

/* Wait until @word has @value; gives the processor away where that takes long. */
static inline void seeds_until(_Atomic uint64_t *word, uint64_t value)
{
	for (uint32_t i = 1; atomic_load_explicit(word, memory_order_acquire) != value; i++)
		if (i % 65536 == 0)
			seeds_yield();
}

/* --- what is moved, and how it is known to have arrived -------------------------------------- */

/* A message of @size bytes, a multiple of 64: its number in the first word, the complement in the
 * last, and in each line a word that depends on the line and on whether the number is odd. */
struct seeds_message {
	size_t size;
	unsigned char *data[2]; /* for even and odd numbers */
	uint64_t sum[2];        /* of the second word of each line */
};

void seeds_message_init(struct seeds_message *message, size_t size);
void seeds_message_free(struct seeds_message *message);
/* The bytes of message @number; valid until the next call of the same parity. */
const void *seeds_message_make(struct seeds_message *message, uint64_t number);
/* Loads one word of each line, and ends the probe if it is not message @number. */
void seeds_message_check(const struct seeds_message *message, const void *data, uint64_t number);

/* Keeps the compiler from leaving out what led to @value, or moving memory accesses over it. */
static inline void seeds_keep(uint64_t value)
{
	__asm__ volatile("" ::"r"(value) : "memory");
}

#endif /* BENCH_SEEDS_PROBE_H */
