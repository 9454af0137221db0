/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * numa - on which node shared memory lies, as it was asked and as it is.
 *
 *     numa [MIB]              of shared memory; 4 if not said
 *
 * prints, on a machine of one node:
 *
 *     nodes with memory: 0x1
 *     default:    1024 pages on node 0
 *     bind to 0:  1024 pages on node 0
 *     interleave: 1024 pages on node 0
 *     bind to 63: refused: Invalid argument
 *     one node: all memory is as near, and there is nothing to choose
 *
 * On a machine of several nodes each reaches its own memory sooner. What is shared belongs near
 * whoever uses it most: bind it there, or interleave it where all use it alike. The policy
 * belongs to the memory, not to the process: whoever touches a page first, it lies as was asked.
 * (mbind() on a mapping of one's own, before anybody touched it, is the plain form.) Where pages
 * lie is asked of the kernel, which faults none in for the answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

enum { PAGE = 4096, NODES = 64 };

/* The nodes that have memory, a bit each, as the kernel tells it: "0-1,3". */
static uint64_t nodes_with_memory(void)
{
	FILE *file = fopen("/sys/devices/system/node/has_memory", "r");
	unsigned from, to;
	uint64_t nodes = 0;
	char next = ',';

	while (file != NULL && next == ',' && fscanf(file, "%u", &from) == 1) {
		to = from;
		if (fscanf(file, "%c", &next) == 1 && next == '-' &&
		    fscanf(file, "%u%c", &to, &next) < 1)
			break;
		for (unsigned node = from; node <= to && node < NODES; node++)
			nodes |= (uint64_t)1 << node;
	}
	if (file != NULL)
		fclose(file);
	return nodes != 0 ? nodes : 1; /* a kernel without NUMA has one */
}

/* Make, touch, and say where it is. Return: pages that do not lie on @nodes, or an error. */
static int place(const char *what, uint64_t size, uint32_t numa, uint64_t nodes)
{
	struct tarn_segment_opts opts = { .size = size, .numa = numa, .numa_nodes = nodes };
	uint32_t pages = (uint32_t)(size / PAGE), count[NODES] = { 0 };
	struct tarn_segment *seg = NULL;
	int elsewhere = (int)pages;
	int r = tarn_segment_create("memfd:numa", &opts, &seg);
	int32_t *at = calloc(pages, sizeof(*at));

	if (r == 0) {
		memset(tarn_segment_data(seg), 1, size);
		r = at != NULL ? tarn_segment_placement(seg, 0, pages, at) : -ENOMEM;
	}
	for (uint32_t i = 0; r == 0 && i < pages; i++)
		if (at[i] >= 0 && at[i] < NODES)
			count[at[i]]++;
	printf(r == 0 ? "%-11s" : "%-11s refused: %s\n", what, strerror(-r));
	for (int node = 0; r == 0 && node < NODES; node++) {
		if (count[node] != 0)
			printf(" %u pages on node %d", count[node], node);
		elsewhere -= nodes == 0 || (nodes >> node & 1) != 0 ? (int)count[node] : 0;
	}
	if (r == 0)
		puts("");
	free(at);
	tarn_segment_close(seg);
	return r < 0 ? r : elsewhere;
}

int main(int argc, char **argv)
{
	uint64_t size = (argc > 1 ? strtoull(argv[1], NULL, 10) : 4) << 20;
	uint64_t nodes = nodes_with_memory(), first = nodes & -nodes;
	char what[32];

	printf("nodes with memory: 0x%llx\n", (unsigned long long)nodes);
	snprintf(what, sizeof(what), "bind to %d:", __builtin_ctzll(first));
	int wrong = place("default:", size, TARN_NUMA_DEFAULT, 0) != 0;

	wrong += place(what, size, TARN_NUMA_BIND, first) != 0;
	wrong += place("interleave:", size, TARN_NUMA_INTERLEAVE, nodes) != 0;
	if ((nodes >> 63 & 1) == 0)
		wrong += place("bind to 63:", size, TARN_NUMA_BIND, (uint64_t)1 << 63) >= 0;
	if (nodes == first)
		puts("one node: all memory is as near, and there is nothing to choose");
	return wrong != 0;
}
