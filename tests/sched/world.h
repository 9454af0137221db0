/* SPDX-License-Identifier: BSD-2-Clause */
/* world.h - the shared memory of a scenario, and the private memory of its processes. */
#ifndef TESTS_SCHED_WORLD_H
#define TESTS_SCHED_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "region/region.h"
#include "schedule.h"

enum { WORLD_COLD = 0, WORLD_HOT = 1, WORLD_BEACON = 2, AREAS_MAX = 6 };

/* Memory that processes share, each by a mapping of its own; the last one is that of who verifies,
 * by which it can be written. NULL: that process does not have it. */
struct area {
	size_t off, size;
	unsigned char *base[SCHED_PROCS + 1];
};

struct world {
	struct tarn_region *region[SCHED_PROCS + 1];
	struct area areas[AREAS_MAX]; /* the region, and what lies beside it */
	int area_count;
	size_t size;           /* of all areas: offsets are below it */
	uint8_t *heat;         /* of each unit of 8 bytes */
	unsigned char *shadow; /* what the hash was made of */
	unsigned char *image;  /* at the start of each execution */
	uint32_t *hot;         /* the units that are not cold */
	uint32_t hot_count;
	uint64_t hash, hash_at_start;
	uint64_t stores; /* that changed something, so far */
};

extern struct world world;

/* A region of its own, opened by @procs processes and by the one that verifies. */
void world_open(int procs, size_t size);
/* All is set up: remember it. */
void world_ready(void);
/* As it was then. */
void world_restore(void);
void world_close(void);
/* The process is about to store here, or the scheduler has: the hash follows at the next flush. */
void world_touch(size_t off, size_t size);
void world_flush(void);
/* Where process @p finds what it has at @at; what is in no area has a number of its own, beyond
 * size. */
size_t world_offset(int p, const void *at);
/* What is there, to be written. */
unsigned char *world_at(size_t off);
uint64_t world_ghosts(void);
/* What @off is called, for traces. */
const char *world_name(size_t off);

static inline uint64_t mix(uint64_t h, uint64_t value)
{
	h += UINT64_C(0x9e3779b97f4a7c15) + value * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	h = (h ^ h >> 29) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 32;
}

#endif /* TESTS_SCHED_WORLD_H */
