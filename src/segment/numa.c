/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * numa.c - on which node memory lies: mbind() to say, move_pages() to ask.
 *
 * On shared memory in tmpfs or hugetlbfs the policy belongs to the object: pages that other
 * processes touch first follow it too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

/* <linux/mempolicy.h> */
enum {
	POLICY_DEFAULT = 0,
	POLICY_PREFERRED = 1,
	POLICY_BIND = 2,
	POLICY_INTERLEAVE = 3,
	MOVE_STRICT = 1 << 0,
	MOVE_OWN = 1 << 1,
	MOVE_ALL = 1 << 2,
};

/* "0-3,8" as a mask; nodes beyond 63 have no bit in the interface. */
static uint64_t mask_of(const char *text)
{
	uint64_t mask = 0;

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		for (unsigned long n = first; n <= last && n < 64; n++)
			mask |= UINT64_C(1) << n;
		text = *end == ',' ? end + 1 : end;
	}
	return mask;
}

static int check_nodes(uint64_t nodes, struct tarn_diag *diag)
{
	char text[256];
	ssize_t n = tarn__plat_read_text("/sys/devices/system/node/has_memory", text, sizeof(text));
	uint64_t there;

	if (n < 0)
		return 0; /* the kernel will say */
	text[strcspn(text, "\n")] = '\0';
	there = mask_of(text);
	if ((nodes & ~there) == 0)
		return 0;
	tarn__diag(diag, -EINVAL, "NUMA node %d was asked; this host has memory on node %.100s",
		   __builtin_ctzll(nodes & ~there), text);
	tarn__diag_hint(diag, "numactl --hardware lists them");
	return -EINVAL;
}

static int mode_of(uint32_t numa, uint64_t nodes, int *ret_mode, struct tarn_diag *diag)
{
	switch (numa) {
	case TARN_NUMA_DEFAULT:
		*ret_mode = POLICY_DEFAULT;
		return nodes == 0 ? 0
				  : tarn__diag(diag, -EINVAL, "the default policy takes no nodes");
	case TARN_NUMA_BIND:
		*ret_mode = POLICY_BIND;
		break;
	case TARN_NUMA_PREFERRED:
		*ret_mode = POLICY_PREFERRED;
		if ((nodes & (nodes - 1)) != 0)
			return tarn__diag(diag, -EINVAL, "one NUMA node can be preferred, not %d",
					  __builtin_popcountll(nodes));
		break;
	case TARN_NUMA_INTERLEAVE:
		*ret_mode = POLICY_INTERLEAVE;
		break;
	default:
		return tarn__diag(diag, -EINVAL, "%u is no NUMA policy", numa);
	}
	if (nodes == 0)
		return tarn__diag(diag, -EINVAL, "a NUMA policy needs nodes");
	return check_nodes(nodes, diag);
}

int tarn__numa_set(void *base, uint64_t size, uint32_t numa, uint64_t nodes, bool move,
		   struct tarn_diag *diag)
{
	int mode = POLICY_DEFAULT;
	int r = mode_of(numa, nodes, &mode, diag);

	if (r < 0)
		return r;
	/* strictness is for binding: an interleaved range is rarely where it would be put anew */
	unsigned strict = numa == TARN_NUMA_BIND ? MOVE_STRICT : 0;

	r = tarn__plat_mbind(base, (size_t)size, mode, nodes, move ? MOVE_ALL | strict : 0);
	/* pages that other processes have mapped too may be moved by CAP_SYS_NICE alone */
	if (move && r == -EPERM)
		r = tarn__plat_mbind(base, (size_t)size, mode, nodes, MOVE_OWN | strict);
	if (r == -ENOSYS)
		return tarn__diag(diag, -EOPNOTSUPP, "this kernel knows no NUMA policies");
	return r < 0 ? tarn__refused(diag, r, "setting", "the NUMA policy") : 0;
}

int tarn_segment_place(struct tarn_segment *seg, uint64_t off, uint64_t size,
		       enum tarn_segment_numa numa, uint64_t nodes)
{
	int r = tarn__guard_check(seg);

	if (r == 0)
		r = tarn__range(seg, off, &size, seg->map_size);
	if (r < 0)
		return r;
	return tarn__numa_set(seg->base + off, size, numa, nodes, true, NULL);
}

int tarn_segment_placement(struct tarn_segment *seg, uint64_t off, uint32_t page_count,
			   int32_t *ret_nodes)
{
	uint64_t size = (uint64_t)page_count * seg->page_size;
	int32_t *nodes;
	int r = tarn__guard_check(seg);

	if (r == 0 && page_count == 0)
		return -EINVAL;
	if (r == 0)
		r = tarn__range(seg, off, &size, seg->map_size);
	if (r < 0)
		return r;
	nodes = calloc(page_count, sizeof(*nodes));
	if (nodes == NULL)
		return -ENOMEM;
	r = tarn__plat_nodes_of(seg->base + off, seg->page_size, page_count, nodes);
	for (uint32_t i = 0; r == 0 && i < page_count; i++)
		ret_nodes[i] = nodes[i] < 0 ? -ENOENT : nodes[i];
	free(nodes);
	return r == -ENOSYS ? -EOPNOTSUPP : r;
}
