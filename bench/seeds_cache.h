/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds_cache.h - chases through memory, for those who need one elsewhere. */
#ifndef BENCH_SEEDS_CACHE_H
#define BENCH_SEEDS_CACHE_H

#include "seeds_probe.h"

enum { SEEDS_WORD = 32 };

/* Make one random cycle through the lines of @data. */
void seeds_chase_make(void *data, size_t size);
/* Walk it: ns a step. */
double seeds_chase(const void *data, size_t size, uint64_t steps);

uint64_t seeds_random(uint64_t *state); /* 31 bits */
/* Private memory on transparent huge pages, touched; NULL where the kernel gives none. */
void *seeds_map_thp(size_t size);
/* The first word of a file of the kernel. */
bool seeds_read_word(const char *path, char ret_word[SEEDS_WORD]);

#endif /* BENCH_SEEDS_CACHE_H */
