/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage.c - how much of each mapping is in memory, and on which NUMA node.
 *
 * /proc/PID/smaps and numa_maps walk page tables, which takes milliseconds for large mappings, so
 * they are read on demand and only of processes that map shared memory. Both list mappings by
 * rising address, as the picture does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

enum { NODE_MAX = 1024 };

/* The mappings of one process while its file is read. */
struct matching {
	struct tarn_host_mapping *map, *end; /* those not yet passed */
	struct tarn_host_mapping
		*current; /* that the next lines are about; NULL = of no interest */
};

static void match(struct matching *matching, uint64_t address)
{
	while (matching->map < matching->end && matching->map->address < address)
		matching->map++;
	matching->current = matching->map < matching->end && matching->map->address == address
				    ? matching->map
				    : NULL;
}

/* "Pss:     12 kB" */
static bool field(const char *line, const char *key, uint64_t *ret_bytes)
{
	size_t size = strlen(key);
	uint64_t kilobytes;

	if (strncmp(line, key, size) != 0)
		return false;
	line += size;
	if (!tarn__parse_number(&line, 10, &kilobytes) || kilobytes > UINT64_MAX >> 10)
		return false;
	*ret_bytes = kilobytes << 10;
	return true;
}

static int smaps_line(char *line, void *arg)
{
	struct matching *matching = arg;
	struct tarn_host_mapping *map = matching->current;
	struct tarn__map_line head;
	uint64_t bytes;

	if ((*line < 'A' || *line > 'Z') && tarn__parse_map(line, &head)) {
		match(matching, head.start);
		if (matching->current != NULL)
			matching->current->dirty = 0;
		return 0;
	}
	if (map == NULL)
		return 0;
	if (field(line, "Rss:", &bytes))
		map->rss = bytes;
	else if (field(line, "Pss:", &bytes))
		map->pss = bytes;
	else if (field(line, "Shared_Dirty:", &bytes) || field(line, "Private_Dirty:", &bytes))
		map->dirty += bytes;
	else if (field(line, "Swap:", &bytes))
		map->swap = bytes;
	else if (field(line, "Locked:", &bytes))
		map->locked = bytes;
	else if (field(line, "Shared_Hugetlb:", &bytes) || field(line, "Private_Hugetlb:", &bytes))
		map->rss = (map->rss != TARN_HOST_UNKNOWN ? map->rss : 0) + bytes;
	return 0;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a == TARN_HOST_UNKNOWN || (b != TARN_HOST_UNKNOWN && b > a) ? b : a;
}

static void sum_usage(const struct tarn_host_mapping *map)
{
	struct tarn_host_segment *pub = &tarn__seg_of(map->segment)->pub;

	if (map->pss != TARN_HOST_UNKNOWN)
		pub->pss = (pub->pss != TARN_HOST_UNKNOWN ? pub->pss : 0) + map->pss;
	pub->dirty = most(pub->dirty, map->dirty);
	pub->locked = most(pub->locked, map->locked);
	if (pub->kind != TARN_SEGMENT_SYSV && (map->rights & TARN_HOST_PRIVATE) == 0)
		pub->swap = most(pub->swap, map->swap);
}

/* --- NUMA ------------------------------------------------------------------------------------ */

static int add_node(const struct tarn_host_mapping *map, uint64_t node, uint64_t bytes)
{
	struct tarn_host_segment *pub = &tarn__seg_of(map->segment)->pub;
	uint64_t *counts = (uint64_t *)(uintptr_t)pub->node_bytes;

	if (node >= NODE_MAX)
		return 0;
	if (node >= pub->node_count) {
		uint32_t count = (uint32_t)node + 1;

		counts = realloc(counts, count * sizeof(*counts));
		if (counts == NULL)
			return -ENOMEM;
		memset(counts + pub->node_count, 0, (count - pub->node_count) * sizeof(*counts));
		pub->node_bytes = counts;
		pub->node_count = count;
	}
	if (counts[node] < bytes)
		counts[node] = bytes;
	return 0;
}

/* "7f10c000 default file=/dev/shm/x dirty=3 mapped=3 N0=2 N1=1 kernelpagesize_kB=4" */
static int numa_line(char *line, void *arg)
{
	struct matching *matching = arg;
	const char *p = line;
	const char *tail = strstr(line, "kernelpagesize_kB=");
	uint64_t address, kilobytes;
	int r = 0;

	if (tail == NULL || !tarn__parse_number(&p, 16, &address))
		return 0;
	match(matching, address);
	tail += strlen("kernelpagesize_kB=");
	if (matching->current == NULL || !tarn__parse_number(&tail, 10, &kilobytes))
		return 0;
	/* A path comes before the counts, and may hold what looks like one: blanks in it are
	 * escaped by the kernel, so a count stands behind a blank. */
	for (p = strstr(p, " N"); p != NULL && r == 0; p = strstr(p, " N")) {
		uint64_t node, pages;

		p += 2;
		if (tarn__parse_number(&p, 10, &node) && *p++ == '=' &&
		    tarn__parse_number(&p, 10, &pages) && pages < UINT64_MAX / (kilobytes << 10))
			r = add_node(matching->current, node, pages * (kilobytes << 10));
	}
	return r;
}

/* --- each process ---------------------------------------------------------------------------- */

static int read_usage(struct tarn_host *host, struct tarn_host_mapping *map,
		      struct tarn_host_mapping *end)
{
	int32_t pid = map->process->pid;
	struct matching matching = { .map = map, .end = end };
	int r = 0;

	if ((host->flags & TARN_HOST_USAGE) != 0 &&
	    tarn__host_path(host, "/proc/%d/smaps", pid) == 0)
		r = tarn__each_line(host->path, smaps_line, &matching);
	if (r == -ENOMEM || r == -EMFILE)
		return r;
	matching = (struct matching){ .map = map, .end = end };
	r = 0;
	if ((host->flags & TARN_HOST_NODES) != 0 &&
	    tarn__host_path(host, "/proc/%d/numa_maps", pid) == 0)
		r = tarn__each_line(host->path, numa_line, &matching);
	return r == -ENOMEM || r == -EMFILE ? r : 0;
}

int tarn__host_usage(struct tarn_host *host)
{
	uint32_t first = 0;
	int r = 0;

	if ((host->flags & (TARN_HOST_USAGE | TARN_HOST_NODES)) == 0)
		return 0;
	while (first < host->map_count && r == 0) {
		uint32_t end = first + 1;

		while (end < host->map_count &&
		       host->maps[end].process == host->maps[first].process)
			end++;
		r = read_usage(host, host->maps + first, host->maps + end);
		first = end;
	}
	for (uint32_t i = 0; i < host->map_count; i++)
		sum_usage(&host->maps[i]);
	return r;
}
