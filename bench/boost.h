/* SPDX-License-Identifier: BSD-2-Clause */
/* boost.h - what bench/boost.cpp has for bench/arena.c and bench/section.c. */
#ifndef BENCH_BOOST_H
#define BENCH_BOOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* managed_shared_memory */
void boost_open(void);
void boost_close(void);
void *boost_alloc(size_t size);
void boost_free(void *p);

/* interprocess_mutex, in @at, which has BOOST_MUTEX_SIZE bytes. */
#define BOOST_MUTEX_SIZE 128
void boost_mutex_make(void *at);
/* Lock, store @i in @count of the @words, a power of two, unlock: as pass_mutex() in
 * bench/section.c. */
void boost_pass(void *at, uint64_t *data, uint64_t words, uint64_t i, int count);

#ifdef __cplusplus
}
#endif

#endif /* BENCH_BOOST_H */
