/* SPDX-License-Identifier: BSD-2-Clause */
/* arena_bench.h - what bench/boost.cpp has for bench/arena.c. */
#ifndef BENCH_ARENA_BENCH_H
#define BENCH_ARENA_BENCH_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void boost_open(void);
void boost_close(void);
void *boost_alloc(size_t size);
void boost_free(void *p);

#ifdef __cplusplus
}
#endif

#endif /* BENCH_ARENA_BENCH_H */
