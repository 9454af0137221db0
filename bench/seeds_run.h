/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds_run.h - between seeds_run.c and the processes that it starts. */
#ifndef BENCH_SEEDS_RUN_H
#define BENCH_SEEDS_RUN_H

#include <stdatomic.h>
#include <stdint.h>

extern char *seeds_death; /* where seeds_die() says why; SEEDS_TEXT bytes, shared */
extern _Atomic uint64_t *seeds_waited;

/* Add to *seeds_waited how long this process stood in line for a processor. */
void seeds_count_wait(void);

#endif /* BENCH_SEEDS_RUN_H */
