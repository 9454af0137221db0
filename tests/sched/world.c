/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.c - the shared memory of a scenario, and the private memory of its processes.
 *
 * The region is a real one, mapped once for each process, at places of their own. What of it is
 * written while processes run is named by the scenario, the "hot" bytes; the rest is constant then.
 * A hash of the hot bytes is kept up: a store is made after its hook has returned, so it is
 * taken in at the next one.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "world.h"

enum { UNIT = 8, SAVED_MAX = 32, NAMES_MAX = 160 };

struct world world;

static struct saved {
	void *at;
	void *copy;
	size_t size;
	bool ghost;
} saved[SAVED_MAX];
static int saved_count;

static struct {
	size_t off;
	const char *name;
} names[NAMES_MAX];
static int name_count;

static struct {
	size_t off, size;
} pending;

static uint64_t unit_at(const unsigned char *base, uint32_t unit)
{
	uint64_t value;

	memcpy(&value, base + (size_t)unit * UNIT, sizeof(value));
	return value;
}

void world_flush(void)
{
	const unsigned char *now = world.base[SCHED_PROCS];

	if (pending.size == 0)
		return;

	uint32_t first = (uint32_t)(pending.off / UNIT);
	uint32_t last = (uint32_t)((pending.off + pending.size - 1) / UNIT);

	for (uint32_t u = first; u <= last; u++) {
		uint64_t old = unit_at(world.shadow, u), new = unit_at(now, u);

		if (old == new)
			continue;
		world.hash ^= mix(u + 1, old) ^ mix(u + 1, new);
		world.stores++;
		memcpy(world.shadow + (size_t)u * UNIT, &new, sizeof(new));
	}
	pending.size = 0;
}

void world_touch(size_t off, size_t size)
{
	world_flush();
	pending.off = off;
	pending.size = size;
}

uint64_t world_ghosts(void)
{
	uint64_t h = 1;

	for (int i = 0; i < saved_count; i++)
		for (size_t at = 0; saved[i].ghost && at < saved[i].size; at += 4) {
			uint32_t value;

			memcpy(&value, (const char *)saved[i].at + at, sizeof(value));
			h = mix(h, value);
		}
	return h;
}

/* --- for scenarios ------------------------------------------------------------------------- */

struct tarn_region *sched_region(int p)
{
	return world.region[p];
}

static size_t offset_of(const void *at)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		size_t off = (size_t)((uintptr_t)at - (uintptr_t)world.base[p]);

		if (world.base[p] != NULL && off < world.size)
			return off;
	}
	errx(2, "%p is not in the region", at);
}

static void heat(size_t off, size_t size, uint8_t how)
{
	for (size_t u = off / UNIT; u <= (off + size - 1) / UNIT; u++) {
		if (world.heat[u] == WORLD_COLD)
			world.hot[world.hot_count++] = (uint32_t)u;
		world.heat[u] = how;
	}
}

void sched_name(const char *name, const void *at)
{
	if (name_count == NAMES_MAX)
		errx(2, "too many names");
	names[name_count].name = name;
	names[name_count++].off = offset_of(at);
}

void sched_hot(const char *name, const void *at, size_t size)
{
	if (name != NULL)
		sched_name(name, at);
	heat(offset_of(at), size, WORLD_HOT);
}

static void save(void *at, size_t size, bool ghost)
{
	if (saved_count == SAVED_MAX || size % 4 != 0)
		errx(2, "too much to save");
	saved[saved_count].at = at;
	saved[saved_count].size = size;
	saved[saved_count].ghost = ghost;
	saved[saved_count++].copy = malloc(size);
}

void sched_private(void *at, size_t size)
{
	save(at, size, false);
}

void sched_ghost(void *at, size_t size)
{
	save(at, size, true);
}

const char *world_name(size_t off)
{
	static char text[80];
	int best = -1;

	if (off >= world.size)
		return "a word of its own";
	for (int i = 0; i < name_count; i++)
		if (names[i].off <= off && (best < 0 || names[i].off > names[best].off))
			best = i;
	if (best < 0)
		snprintf(text, sizeof(text), "+0x%zx", off);
	else if (names[best].off == off)
		snprintf(text, sizeof(text), "%s", names[best].name);
	else
		snprintf(text, sizeof(text), "%s+%zu", names[best].name, off - names[best].off);
	return text;
}

/* --- making it ----------------------------------------------------------------------------- */

static void must(const char *what, int r)
{
	if (r < 0)
		errx(2, "%s: %s", what, strerror(-r));
}

static void *alloc(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL)
		err(2, "memory");
	return p;
}

void world_open(int procs, size_t size)
{
	const struct tarn_region_opts opts = { .size = size != 0 ? size : 16384,
					       .member_max = SCHED_PROCS + 1,
					       .object_max = 32 };
	struct tarn_region_stat stat;
	static unsigned number;
	char name[64];

	memset(&world, 0, sizeof(world));
	saved_count = name_count = 0;
	pending.size = 0;
	snprintf(name, sizeof(name), "shm:tarn-sched-%d-%u", (int)getpid(), number++);
	sched_as(SCHED_PROCS);
	must("create", tarn_region_create(name, &opts, &world.region[SCHED_PROCS]));
	for (int p = 0; p < procs; p++) {
		sched_as(p);
		must("open", tarn_region_open(name, NULL, &world.region[p]));
	}
	sched_as(SCHED_PROCS);
	must("remove", tarn_region_remove(name, NULL));
	must("stat", tarn_region_stat(world.region[SCHED_PROCS], &stat));
	for (int p = 0; p <= SCHED_PROCS; p++) {
		struct tarn_region *region = world.region[p];

		if (region == NULL)
			continue;
		world.base[p] = region->base;
		sched_private(region, sizeof(*region));
	}
	world.size = stat.total_size;
	world.heat = alloc(world.size / UNIT, 1);
	world.hot = alloc(world.size / UNIT, sizeof(uint32_t));
	world.shadow = alloc(1, world.size);
	world.image = alloc(1, world.size);
	for (uint32_t slot = 0; slot <= SCHED_PROCS; slot++) {
		static const char *const beacons[] = { "beacon-0", "beacon-1", "beacon-2",
						       "beacon-3" };
		const void *at = tarn__member_beacon(world.region[SCHED_PROCS], slot);

		sched_name(beacons[slot], at);
		heat(offset_of(at), 4, WORLD_BEACON);
	}
}

void world_ready(void)
{
	memcpy(world.image, world.base[SCHED_PROCS], world.size);
	memcpy(world.shadow, world.image, world.size);
	for (int i = 0; i < saved_count; i++)
		memcpy(saved[i].copy, saved[i].at, saved[i].size);
	for (uint32_t i = 0; i < world.hot_count; i++)
		world.hash_at_start ^= mix(world.hot[i] + 1, unit_at(world.image, world.hot[i]));
	world.hash = world.hash_at_start;
}

void world_restore(void)
{
	unsigned char *base = world.base[SCHED_PROCS];

	for (uint32_t i = 0; i < world.hot_count; i++) {
		size_t at = (size_t)world.hot[i] * UNIT;

		memcpy(base + at, world.image + at, UNIT);
		memcpy(world.shadow + at, world.image + at, UNIT);
	}
	for (int i = 0; i < saved_count; i++)
		memcpy(saved[i].at, saved[i].copy, saved[i].size);
	world.hash = world.hash_at_start;
	pending.size = 0;
}

void world_close(void)
{
	for (int p = 0; p <= SCHED_PROCS; p++) {
		sched_as(p);
		tarn_region_close(world.region[p]);
	}
	for (int i = 0; i < saved_count; i++)
		free(saved[i].copy);
	free(world.heat);
	free(world.hot);
	free(world.shadow);
	free(world.image);
	memset(&world, 0, sizeof(world));
	saved_count = name_count = 0;
}
