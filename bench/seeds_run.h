/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds_run.h - between seeds_run.c and the processes that it starts. */
#ifndef BENCH_SEEDS_RUN_H
#define BENCH_SEEDS_RUN_H

extern char *seeds_death; /* where seeds_die() says why; SEEDS_TEXT bytes, shared */

#endif /* BENCH_SEEDS_RUN_H */
