/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peers.h - other people's libraries, as contestants; what their files have in common.
 *
 * Each file has the contestants of one package, and is compiled where the package was found. What
 * was not found stands in the table all the same, and says which package it would come from
 * (peers.c). Which settings each has got, and why: bench/README.md, "Peers".
 */
#ifndef BENCH_PEERS_PEERS_H
#define BENCH_PEERS_PEERS_H

#include "../contestant.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct bench_contestant bench_boost_mq, bench_boost_cond, bench_boost_spsc,
	bench_boost_mutex;
extern const struct bench_contestant bench_qb;
extern const struct bench_contestant bench_ck_spsc, bench_ck_mpmc;
extern const struct bench_contestant bench_dpdk_spsc, bench_dpdk_mpmc;
extern const struct bench_contestant bench_zmq;
extern const struct bench_contestant bench_nng;
extern const struct bench_contestant bench_ompi, bench_mpich;
extern const struct bench_contestant bench_lmdb, bench_lmdb_get;
extern const struct bench_contestant bench_pthread_mutex, bench_pthread_robust, bench_pthread_read,
	bench_pthread_write, bench_pthread_spin, bench_pthread_cond, bench_posix_sem,
	bench_sysv_sem;

enum {
	PEERS_CHANNELS = BENCH_SIDES_MAX,
	PEERS_SIZE_MAX = 1 << 20, /* beyond, their rings would have to be of hundreds of MiB */
};

/* A receiver that polls is not woken up. */
#define PEERS_POLLED (BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP))

/* Instead of BENCH_LOOPS, where not every loop of each size is needed: 8 and 64 bytes alone; the
 * round trip alone; of any size, which the compiler does not know. */
#define PEERS_LOOPS_SMALL(name, send, recv)                                                        \
	static __attribute__((noinline)) void name(struct bench *b)                                \
	{                                                                                          \
		if (b->cell->size == 8)                                                            \
			bench_loop(b, 8, send, recv);                                              \
		else                                                                               \
			bench_loop(b, 64, send, recv);                                             \
	}
#define PEERS_LOOP_ROUND_TRIP(name, send, recv)                                                    \
	static __attribute__((noinline)) void name(struct bench *b)                                \
	{                                                                                          \
		bench_loop_round_trip(b, b->cell->size, send, recv);                               \
	}
#define PEERS_LOOPS_LARGE(name, send, recv)                                                        \
	static __attribute__((noinline)) void name(struct bench *b)                                \
	{                                                                                          \
		bench_loop(b, b->cell->size, send, recv);                                          \
	}

#ifdef __cplusplus
}
#endif

#endif /* BENCH_PEERS_PEERS_H */
