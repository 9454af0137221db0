/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.c - the shared memory of a scenario, and the private memory of its processes.
 *
 * The region is a real one, mapped once for each process, at places of their own; a scenario may
 * name memory beside it that is shared, too. What of it is written while processes run is named by
 * the scenario, the "hot" bytes; the rest is constant then.
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

size_t world_offset(int p, const void *at)
{
	for (int i = 0; i < world.area_count; i++) {
		const struct area *area = &world.areas[i];
		size_t off = (size_t)((uintptr_t)at - (uintptr_t)area->base[p]);

		if (area->base[p] != NULL && off < area->size)
			return area->off + off;
	}
	return world.size + (uintptr_t)at;
}

unsigned char *world_at(size_t off)
{
	int i = 0;

	while (off - world.areas[i].off >= world.areas[i].size)
		i++;
	return world.areas[i].base[SCHED_PROCS] + (off - world.areas[i].off);
}

static uint64_t unit_at(const unsigned char *base)
{
	uint64_t value;

	memcpy(&value, base, sizeof(value));
	return value;
}

void world_flush(void)
{
	if (pending.size == 0)
		return;

	uint32_t first = (uint32_t)(pending.off / UNIT);
	uint32_t last = (uint32_t)((pending.off + pending.size - 1) / UNIT);
	const unsigned char *now = world_at((size_t)first * UNIT);

	for (uint32_t u = first; u <= last; u++, now += UNIT) {
		uint64_t old = unit_at(world.shadow + (size_t)u * UNIT), new = unit_at(now);

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
	for (int p = 0; p <= SCHED_PROCS; p++)
		if (world_offset(p, at) < world.size)
			return world_offset(p, at);
	errx(2, "%p is neither in the region nor beside it", at);
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

/* @count items of @size bytes in place of @old; those that are new are 0. */
static void *grow(void *old, size_t old_count, size_t count, size_t size)
{
	unsigned char *p = realloc(old, count * size);

	if (p == NULL)
		err(2, "memory");
	memset(p + old_count * size, 0, (count - old_count) * size);
	return p;
}

/* One more area; nothing of it is hot yet. */
static struct area *add_area(size_t size)
{
	struct area *area = &world.areas[world.area_count];

	if (world.area_count == AREAS_MAX || size % UNIT != 0)
		errx(2, "too many areas, or one of no size");
	*area = (struct area){ .off = world.size, .size = size };
	world.area_count++;
	world.size += size;
	world.heat = grow(world.heat, area->off / UNIT, world.size / UNIT, 1);
	world.hot = grow(world.hot, area->off / UNIT, world.size / UNIT, sizeof(uint32_t));
	world.shadow = grow(world.shadow, area->off, world.size, 1);
	world.image = grow(world.image, area->off, world.size, 1);
	return area;
}

void sched_area(size_t size, void *const at[SCHED_PROCS + 1])
{
	struct area *area = add_area(size);

	memcpy(area->base, at, sizeof(area->base));
}

void world_open(int procs, size_t size)
{
	const struct tarn_region_opts opts = { .size = size != 0 ? size : 16384,
					       .member_max = SCHED_PROCS + 1,
					       .object_max = 32 };
	struct tarn_region_stat stat;
	struct area *area;
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
	area = add_area(stat.total_size);
	for (int p = 0; p <= SCHED_PROCS; p++) {
		struct tarn_region *region = world.region[p];

		if (region == NULL)
			continue;
		area->base[p] = region->base;
		sched_private(region, sizeof(*region));
	}
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
	for (int i = 0; i < world.area_count; i++) {
		const struct area *area = &world.areas[i];

		memcpy(world.image + area->off, area->base[SCHED_PROCS], area->size);
	}
	memcpy(world.shadow, world.image, world.size);
	for (int i = 0; i < saved_count; i++)
		memcpy(saved[i].copy, saved[i].at, saved[i].size);
	for (uint32_t i = 0; i < world.hot_count; i++)
		world.hash_at_start ^=
			mix(world.hot[i] + 1, unit_at(world.image + (size_t)world.hot[i] * UNIT));
	world.hash = world.hash_at_start;
}

void world_restore(void)
{
	for (uint32_t i = 0; i < world.hot_count; i++) {
		size_t at = (size_t)world.hot[i] * UNIT;

		memcpy(world_at(at), world.image + at, UNIT);
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
