/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * order.c - go through a picture: by segment, by process, or by both, without looking at what is
 * asked for by neither.
 *
 * The tables are sorted when this is made: uses by segment and process, mappings by process and
 * address. Two lists of indices lead to the rest:
 *
 *     by_use    the mappings of uses[0], those of uses[1] ...; those of uses[i] begin at
 *               by_use_first[i], in the order of addresses
 *     by_proc   the uses of procs[0], those of procs[1] ..., in the order of segments
 */
#include <errno.h>
#include <stdlib.h>

#include "host/host.h"

static struct tarn__proc *proc_of(const struct tarn_host_process *process)
{
	return (struct tarn__proc *)(uintptr_t)process; /* pub comes first */
}

/* The use of @segment by @process; use_count = there is none. */
static uint32_t find_use(const struct tarn_host *host, const struct tarn_host_segment *segment,
			 const struct tarn_host_process *process)
{
	const struct tarn__seg *seg = tarn__seg_of(segment);
	uint32_t low = seg->use_first, high = seg->use_first + seg->use_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (host->uses[middle].process->index < process->index)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == seg->use_first + seg->use_count || host->uses[low].process != process)
		return host->use_count;
	return low;
}

static void index_uses(struct tarn_host *host)
{
	uint32_t first = 0;

	for (uint32_t i = 0; i < host->proc_count; i++) {
		host->procs[i]->use_first = first;
		first += host->procs[i]->pub.segment_count;
		host->procs[i]->map_first = host->procs[i]->map_count = 0;
	}
	for (uint32_t i = 0; i < host->use_count; i++)
		host->by_proc[proc_of(host->uses[i].process)->use_first++] = i;
	for (uint32_t i = 0; i < host->proc_count; i++)
		host->procs[i]->use_first -= host->procs[i]->pub.segment_count;
}

static void index_mappings(struct tarn_host *host)
{
	uint32_t *first = host->by_use_first;

	for (uint32_t i = 0; i < host->use_count; i++)
		first[i + 1] = first[i] + host->uses[i].mapping_count;
	for (uint32_t i = 0; i < host->map_count; i++) {
		const struct tarn_host_mapping *map = &host->maps[i];
		struct tarn__proc *proc = proc_of(map->process);

		if (proc->map_count++ == 0)
			proc->map_first = i;
		host->by_use[first[find_use(host, map->segment, map->process)]++] = i;
	}
	for (uint32_t i = host->use_count; i > 0; i--)
		first[i] = first[i - 1];
	first[0] = 0;
}

int tarn__host_index(struct tarn_host *host)
{
	host->by_use = calloc((size_t)host->map_count + 1, sizeof(*host->by_use));
	host->by_use_first = calloc((size_t)host->use_count + 1, sizeof(*host->by_use_first));
	host->by_proc = calloc((size_t)host->use_count + 1, sizeof(*host->by_proc));
	if (host->by_use == NULL || host->by_use_first == NULL || host->by_proc == NULL)
		return -ENOMEM;
	index_uses(host);
	index_mappings(host);
	return 0;
}

int tarn_host_segments(const struct tarn_host *host,
		       int (*fn)(const struct tarn_host_segment *segment, void *arg), void *arg)
{
	int r = 0;

	for (uint32_t i = 0; i < host->seg_count && r == 0; i++)
		r = fn(&host->segs[i]->pub, arg);
	return r;
}

int tarn_host_processes(const struct tarn_host *host,
			int (*fn)(const struct tarn_host_process *process, void *arg), void *arg)
{
	int r = 0;

	for (uint32_t i = 0; i < host->proc_count && r == 0; i++)
		r = fn(&host->procs[i]->pub, arg);
	return r;
}

static int uses_of_process(const struct tarn_host *host, const struct tarn__proc *proc,
			   int (*fn)(const struct tarn_host_use *use, void *arg), void *arg)
{
	int r = 0;

	for (uint32_t i = 0; i < proc->pub.segment_count && r == 0; i++)
		r = fn(&host->uses[host->by_proc[proc->use_first + i]], arg);
	return r;
}

int tarn_host_uses(const struct tarn_host *host, const struct tarn_host_segment *segment,
		   const struct tarn_host_process *process,
		   int (*fn)(const struct tarn_host_use *use, void *arg), void *arg)
{
	uint32_t first = segment != NULL ? tarn__seg_of(segment)->use_first : 0;
	uint32_t count = segment != NULL ? tarn__seg_of(segment)->use_count : host->use_count;
	int r = 0;

	if (segment == NULL && process != NULL)
		return uses_of_process(host, proc_of(process), fn, arg);
	if (process != NULL) {
		first = find_use(host, segment, process);
		count = first < host->use_count;
	}
	for (uint32_t i = first; i < first + count && r == 0; i++)
		r = fn(&host->uses[i], arg);
	return r;
}

/* Those of the uses from @first on, @count of them. */
static int mappings_of_uses(const struct tarn_host *host, uint32_t first, uint32_t count,
			    int (*fn)(const struct tarn_host_mapping *mapping, void *arg),
			    void *arg)
{
	uint32_t end = host->by_use_first[first + count];
	int r = 0;

	for (uint32_t i = host->by_use_first[first]; i < end && r == 0; i++)
		r = fn(&host->maps[host->by_use[i]], arg);
	return r;
}

int tarn_host_mappings(const struct tarn_host *host, const struct tarn_host_segment *segment,
		       const struct tarn_host_process *process,
		       int (*fn)(const struct tarn_host_mapping *mapping, void *arg), void *arg)
{
	uint32_t first = process != NULL ? proc_of(process)->map_first : 0;
	uint32_t count = process != NULL ? proc_of(process)->map_count : host->map_count;
	uint32_t use;
	int r = 0;

	if (segment != NULL && process == NULL)
		return mappings_of_uses(host, tarn__seg_of(segment)->use_first,
					tarn__seg_of(segment)->use_count, fn, arg);
	if (segment != NULL) {
		use = find_use(host, segment, process);
		return mappings_of_uses(host, use, use < host->use_count, fn, arg);
	}
	for (uint32_t i = first; i < first + count && r == 0; i++)
		r = fn(&host->maps[i], arg);
	return r;
}
